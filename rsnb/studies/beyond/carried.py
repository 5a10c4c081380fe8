"""Does the recipe carry over, and what does it cost? Other data, and the pictures that the CLIP was pre-trained for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rsnb.errors import RsnbError
from rsnb.evaluation import ranks, recalls
from rsnb.worlds.natural import Natural, embedded, natural_pictures

WORLD_SEED = 7  # of the second toy world: same classes, other pictures and captions, used for nothing else
UCM, SECOND = "UCM-Captions", "a second toy world"
KINDS = {"natural": "natural pictures", "overhead": "familiar views from above"}
PICTURES = 500


def data_of(name: str, root: Path | None, out: Path) -> dict[str, Any]:
    """What :class:`rsnb.studies.beyond.trying.Tries` takes for a data set of the carry-over.

    Raises:
        RsnbError: UCM-Captions without the folder of its images.
    """
    if name == UCM:
        if root is None:
            raise RsnbError("the study on UCM-Captions needs --root DIR, the folder of its images and captions")
        return {"data": "ucm", "root": root}
    if name == SECOND:
        from rsnb.worlds.toy import build_toy

        folder = out / f"toy-world-{WORLD_SEED}"
        if not (folder / "dataset_toy.json").is_file():
            build_toy(folder, seed=WORLD_SEED)
        return {"data": str(folder)}
    return {"data": "toy"}


def pretraining_pictures(clip, kind: str = "natural", count: int = PICTURES) -> Natural:
    """Held-out pictures of the world that the mini CLIP was pre-trained on, one caption each, in the manner of that
    world. kind: of :data:`KINDS`.

    Raises:
        RsnbError: another backbone.
    """
    drawn = natural_pictures(clip, count, None, kind)
    if drawn is None:
        raise RsnbError(f"the pictures of pre-training are drawn for the mini CLIP, not for {clip.name}")
    return drawn


def mr_on(model, drawn: Natural) -> float:
    """mR of a model on such pictures."""
    model.eval()
    image, text = embedded(model, drawn.pictures, drawn.captions)
    six = recalls(*ranks(image, text, torch.arange(len(image))))
    return round(sum(six.values()) / len(six), 2)


def kept_of_pretraining(models: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """{kind of picture: {model: mR}}: what adapting took from zero-shot.

    Args:
        models: by name, on the mini CLIP.
    """
    clip = next(iter(models.values())).clip
    drawn = {said: pretraining_pictures(clip, kind, PICTURES) for kind, said in KINDS.items()}
    return {said: {name: mr_on(model, own) for name, model in models.items()} for said, own in drawn.items()}
