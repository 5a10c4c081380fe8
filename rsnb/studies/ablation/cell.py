"""One finished cell of an ablation, and its file."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsnb.base.files import write_text
from rsnb.errors import RsnbError


@dataclass(frozen=True)
class Cell:
    """One finished cell: one spec, one seed.

    ``text`` (N,): for each test image, the mean over K = 1, 5, 10 of the chance that one of its captions is among
    the first K (ties broken at random); ``image`` (N,): the sum of the like over its captions, ``captions`` (N,) many.
    ``mr`` is their mean recall in percent, ``sorted_mr`` the one of a stable sort.
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


def mean_recall(text: Sequence[float], image: Sequence[float], captions: Sequence[int]) -> float:
    """mR in percent from what a :class:`Cell` keeps of each image."""
    return 50 * (math.fsum(text) / len(text) + math.fsum(image) / sum(captions))


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
