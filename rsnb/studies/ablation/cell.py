"""One finished cell of an ablation, and its file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsnb.base.files import write_text
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.ablation.spec import Spec

HITS = ("text", "image", "captions", "val_text", "val_image", "val_captions")
#: What a file holds only where the cell has it.
LATER = {"val", "val_text", "val_image", "val_captions", "start_val_mr", "cosines"}
NOT_KEPT = {"path", "lab"}  # in memory alone


class Stopped(Exception):
    """Raised between two epochs when a run is asked to stop; what was done is kept."""


@dataclass(frozen=True)
class Cell:
    """One finished cell: one spec, one seed.

    ``text`` (N,): for each test image, the mean over K = 1, 5, 10 of the chance that one of its captions is among
    the first K (ties broken at random); ``image`` (N,): the sum of the like over its captions, ``captions`` (N,) many.
    ``mr`` is their mean recall in percent, ``sorted_mr`` the one of a stable sort. ``test`` has the six recalls of
    that sort, ``honest`` the expected ones with what ties, resampling and repeated captions make of them, ``history``
    one row per epoch; cells of version 0.1 have none of the three. ``val``, ``val_text``, ``val_image`` and
    ``val_captions`` are of the validation part what ``test``, ``text``, ``image`` and ``captions`` are of the test
    part (``val_mr`` is what training saw of it, in its precision); earlier cells have them empty, and
    so they have ``start_val_mr``, the validation mR of the CLIP with nothing trained, and ``cosines``: the mean cosine
    of two images and of captions of two images of the validation part, after training. ``made_by``: see
    :func:`rsnb.studies.keys.made_by`.

    ``path``: the cell's file; what was trained lies beside it, as ``<hash>.safetensors``. ``lab``: where it comes from,
    if from a :class:`rsnb.studies.ablation.lab.Lab`.
    """

    hash: str
    seed: int
    mr: float
    sorted_mr: float
    val_mr: float
    trainable: int
    steps: int
    seconds: float
    text: tuple[float, ...]
    image: tuple[float, ...]
    captions: tuple[int, ...]
    key: dict[str, Any]
    stamp: str
    date: str = ""
    best_epoch: int = 0
    test: dict[str, Any] = field(default_factory=dict)
    honest: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    made_by: dict[str, Any] = field(default_factory=dict)
    val: dict[str, Any] = field(default_factory=dict)
    val_text: tuple[float, ...] = ()
    val_image: tuple[float, ...] = ()
    val_captions: tuple[int, ...] = ()
    start_val_mr: float = 0.0
    cosines: dict[str, float] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False, repr=False)
    lab: Any = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, and what is pickled, leave the lab with its data and models behind."""
        return {**self.__dict__, "lab": None}

    @property
    def spec(self) -> Spec:
        """What the cell was asked to be."""
        settings = dict(keys.in_parts(self.key)["settings"])
        return Spec(TrainConfig.from_dict(settings.pop("config")).replace(seed=0), **settings)

    def hits(self, final: bool) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]:
        """``text``, ``image`` and ``captions`` of the validation part, or of the test part where it is final."""
        return (self.text, self.image, self.captions) if final else (self.val_text, self.val_image, self.val_captions)

    @property
    def collapsed(self) -> bool:
        """Whether training never left its start: the best validation mR is not above zero-shot's."""
        return bool(self.steps) and self.val_mr <= self.start_val_mr

    def model(self, lab=None):
        """The trained model, on a CLIP of its own: an :class:`rsnb.adapted.Adapted`.

        Args:
            lab: gives the CLIP and the classes of your own; None is the lab that gave the cell, and for one that was
                read with :func:`read_cell` the CLIP is loaded by its name.

        Raises:
            RsnbError: nothing that was trained lies beside the cell's file; the CLIP is another one, or a class of your
                own is missing.
        """
        from rsnb.methods import AND, load_adapter

        lab = self.lab if lab is None else lab
        adapter = self.path.with_suffix(".safetensors") if self.path else None
        if adapter is None or not adapter.is_file():
            raise RsnbError(
                f"there is no adapter beside {self.path or f'the cell {self.hash}'}: it was made before cells "
                "kept theirs, or came here without it. Train it again: Lab(..., folder=<a new folder>, also=())"
                f".cell(cell.spec, {self.seed}).model()"
            )
        if lab is None:
            return load_adapter(adapter)
        own = [lab.methods[name] for name in self.spec.config.method.split(AND) if name in lab.methods]
        return load_adapter(adapter, lab.clip(), own)


def write_cell(cell: Cell, path: Path) -> None:
    """One line of JSON a field."""
    kept = {f.name: getattr(cell, f.name) for f in dataclasses.fields(cell) if f.name not in NOT_KEPT}
    kept = {name: value for name, value in kept.items() if value or name not in LATER}
    body = ",\n".join(
        f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False, separators=(',', ':'))}" for k, v in kept.items()
    )
    write_text(path, f"{{\n{body}\n}}\n")


def read_cell(path: Path) -> Cell:
    """A cell from its file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found |= {name: tuple(found[name]) for name in HITS if name in found}
        return Cell(**{**found, "path": path})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} is not a cell of the lab ({error}); delete it, and it is made again") from None
