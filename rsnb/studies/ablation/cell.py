"""One finished cell of an ablation, and its file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsnb.base.files import write_text
from rsnb.errors import RsnbError


@dataclass(frozen=True)
class Cell:
    """One finished cell: one spec, one seed.

    ``text`` (N,): for each test image, the mean over K = 1, 5, 10 of the chance that one of its captions is among
    the first K (ties broken at random); ``image`` (N,): the sum of the like over its captions, ``captions`` (N,) many.
    ``mr`` is their mean recall in percent, ``sorted_mr`` the one of a stable sort. ``test`` has the six recalls of
    that sort, ``honest`` the expected ones with what ties, resampling and repeated captions make of them, ``history``
    one row an epoch; cells of version 0.1 have none of the three. ``made_by``: see :func:`rsnb.studies.keys.made_by`.
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


def write_cell(cell: Cell, path: Path) -> None:
    """One line of JSON a field."""
    body = ",\n".join(
        f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False, separators=(',', ':'))}"
        for k, v in dataclasses.asdict(cell).items()
    )
    write_text(path, f"{{\n{body}\n}}\n")


def read_cell(path: Path) -> Cell:
    """A cell from its file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for name in ("text", "image", "captions"):
            found[name] = tuple(found[name])
        return Cell(**found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} is no cell of the lab ({error}); delete it, and it is made again") from None
