"""Natural pictures to compare overhead images with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsnb.base import paths
from rsnb.errors import RsnbError


# --- a natural set to compare with ------------------------------------------------------------------------------
@dataclass
class Natural:
    """Embedded natural pictures: image (N, D), text (N, D) or None without captions, the pictures, what they are."""

    image: Tensor
    text: Tensor | None
    pictures: list[Any]
    captions: list[str] | None
    stamp: str


def natural_pictures(clip, count: int, folder: str | Path | None = None, wanted: str = "natural") -> Natural | None:
    """Up to `count` natural pictures, embedded.

    Args:
        clip: with the mini CLIP and no folder, side views of the drawn web world that pre-training never saw.
        folder: photographs of your own, found anywhere beneath it; without captions.
        wanted: which of the web world's pictures: "natural" (side views), or "overhead" or "abstract" for comparison.

    Returns:
        None where the backbone is another one and no folder is given.
    """
    from PIL import Image

    if folder:
        from rsnb.data.endings import ENDINGS
        from rsnb.data.images import open_rgb

        found = sorted(p for p in paths.user_path(folder).rglob("*") if p.suffix.lower() in ENDINGS)[:count]
        if len(found) < 2:
            raise RsnbError(f"{folder} holds {len(found)} images; give a folder with at least two natural photographs")
        pictures, captions, stamp = [open_rgb(p, p.name) for p in found], None, "natural photographs (own folder)"
    elif clip.name == "mini":
        from rsnb.worlds.web.world import held_out

        arrays, texts, kinds = held_out(5 * count + 50, size=clip.image_size, workers=1, progress=False)
        chosen = [i for i, kind in enumerate(kinds) if kind == wanted][:count]
        pictures = [Image.fromarray(arrays[i]) for i in chosen]
        views = {"natural": "side views", "overhead": "views from above", "abstract": "patterns"}[wanted]
        captions, stamp = [texts[i][0] for i in chosen], f"drawn web world, held-out {views}"
    else:
        return None
    return Natural(*embedded(clip, pictures, captions), pictures, captions, stamp)


@torch.no_grad()
def embedded(
    model, pictures: Sequence[Any], captions: Sequence[str] | None, batch_size: int = 64
) -> tuple[Tensor, Tensor | None]:
    """Pictures (N, D) and a caption of each (N, D), or None, as a CLIP or an adapted one encodes them."""
    clip = getattr(model, "clip", model)
    image, text = [], []
    for i in range(0, len(pictures), batch_size):
        pixels = torch.stack([clip.preprocess(p) for p in pictures[i : i + batch_size]])
        image.append(model.encode_image(pixels.to(clip.device)).cpu())
        if captions:
            tokens = clip.tokenizer(list(captions[i : i + batch_size]))
            text.append(model.encode_text(tokens.to(clip.device)).cpu())
    return torch.cat(image), torch.cat(text) if text else None
