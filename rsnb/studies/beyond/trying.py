"""Recipes trained and kept: validation read at once, the test part only when it is opened."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import rsnb
from rsnb.base.files import write_json
from rsnb.base.locks import alone
from rsnb.base.sources import digest
from rsnb.beyond.parts import TurnsAveraged
from rsnb.beyond.recipe import Recipe, train_recipe
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.ablation.counting import hits_by_image, mean_recall, rounded_history

SPLITS = ("train", "val", "test")


class Tries:
    """Trains recipes on one data set and one CLIP, and keeps each run under a hash of all that decides it.

    Args:
        data: a name that :func:`rsnb.load_dataset` takes, or {"train": ..., "val": ..., "test": ...}.
        folder: ``<hash>.json`` with what the validation part says, ``<hash>.safetensors`` with what was trained,
            ``<hash>.test.json`` once the test part was opened, and unfinished runs. precision: of the training.
    """

    def __init__(
        self,
        data: str | Mapping[str, Any] = "toy",
        root: str | Path | None = None,
        backbone: str = "mini",
        pretrained: str | None = None,
        folder: str | Path = "outputs/beyond",
        precision: str = "bf16",
        limit: int | None = None,
        device: str = "auto",
    ):
        own = isinstance(data, Mapping)
        load = (
            (lambda split: data[split].limited(limit))
            if own
            else lambda split: rsnb.load_dataset(data, split, root=root, limit=limit)
        )
        self.parts = {split: load(split) for split in SPLITS}
        self.backbone, self.pretrained, self.folder = backbone, pretrained, Path(folder)
        self.precision, self.device = precision, device

    def clip(self):
        """A fresh copy of the backbone."""
        return rsnb.load_clip(self.backbone, self.pretrained)

    @cached_property
    def stamp(self) -> str:
        return f"{self.parts['val'].stamp} · {self.clip().stamp}"

    @cached_property
    def _fixed(self) -> tuple[dict[str, str], str]:
        return {split: part.fingerprint() for split, part in self.parts.items()}, self.clip().fingerprint()

    def key(self, recipe: Recipe, seed: int) -> dict[str, Any]:
        """All that decides a run; see :func:`rsnb.studies.keys.key_of`."""
        data, weights = self._fixed
        settings = {"recipe": recipe.to_dict(), "seed": seed, "precision": self.precision}
        return keys.key_of(json.loads(json.dumps(settings)), data, weights, keys.BEYOND)

    def kept(self, recipe: Recipe, seed: int) -> dict[str, Any] | None:
        """What the validation part says of a finished run, if it was run."""
        path = self.folder / f"{digest(self.key(recipe, seed))}.json"
        return _read(path) if path.is_file() else None

    def run(self, recipe: Recipe, seed: int = 0, progress: bool = False) -> dict[str, Any]:
        """The run: kept, or trained now, going on where it was stopped. Reads validation alone."""
        key = self.key(recipe, seed)
        name = digest(key)
        with alone(self.folder / f"{name}.lock"):
            found = self.kept(recipe, seed)
            if found is not None:
                return found
            out, started = self.folder / name, time.process_time()
            resumed = out.is_dir() and any(out.iterdir())
            parts = self.parts["train"], self.parts["val"]
            model, result = train_recipe(
                recipe, self.clip(), *parts, seed, out, self.precision, self.device, progress, take_finished=True
            )
            seconds = time.process_time() - started
            rsnb.save_adapter(model, self.folder / f"{name}.safetensors")
            found = {
                "hash": name,
                "key": key,
                "made_by": keys.made_by(keys.BEYOND),
                "stamp": self.stamp,
                "date": datetime.date.today().isoformat(),
                "device": device_name(model.device),
                "trainable": rsnb.count_trainable(model),
                "best_epoch": result.best_epoch,
                "seconds": round(result.seconds, 1),
                "cpu_seconds": None if resumed else round(seconds, 1),  # those before a stop are not known
                "history": rounded_history(result.history),
                "val": self.reads(model, "val"),
            }
            write_json(self.folder / f"{name}.json", found)
            for path in out.glob("*"):
                path.unlink()
            out.rmdir()
            return found

    def opened(self, recipe: Recipe, seed: int = 0) -> dict[str, Any]:
        """What the test part says of a finished run. Opened once, for the recipe that was chosen and its controls."""
        name = digest(self.key(recipe, seed))
        path = self.folder / f"{name}.test.json"
        if not path.is_file():
            write_json(path, self.reads(self.model(recipe, seed), "test"))
        return _read(path)

    def model(self, recipe: Recipe, seed: int = 0):
        """The trained model of a finished run."""
        return rsnb.load_adapter(self.folder / f"{digest(self.key(recipe, seed))}.safetensors", self.clip())

    def reads(self, model, split: str) -> dict[str, Any]:
        """mR and the hits of each image, as the model is and with an image's eight turns averaged; ties at random."""
        part = self.parts[split]
        captions = tuple(len(item.captions) for item in part)
        found: dict[str, Any] = {"captions": captions}
        for name, one in (("plain", model), ("turns", TurnsAveraged(model))):
            report = rsnb.evaluate(one, part)
            text, image = hits_by_image(report, captions)
            recalls = {k: round(v, 2) for k, v in report.recalls.items()}
            hits = {"text": [round(x, 4) for x in text], "image": [round(x, 4) for x in image]}
            found[name] = {"mr": round(mean_recall(text, image, captions), 4), **hits, **recalls}
        return found


def device_name(device: torch.device) -> str:
    """What computes: CPU, or the name of the card, such as NVIDIA H200."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


def _read(path: Path) -> dict[str, Any]:
    """What a run keeps: of validation, or of the test part once it was opened."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        read = found if path.name.endswith(".test.json") else found["val"]
        float(read["plain"]["mr"]), len(read["captions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} is not a run of rsnb beyond ({error!r}); delete it, and it is made again") from None
    return found
