"""What the paper printed: the result rows of its tables on RSICD, RSITMD and UCM-Captions.

Figures of Yuan, Zhan, Xiong, IEEE TGRS 2023, section IV; nothing in ``paper.csv`` was measured by this project.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from rsnb.base.recalls import RECALLS

DATASETS = ("RSICD", "RSITMD", "UCM")
GROUPS = ("traditional", "clip", "prompt", "adapter")
#: What its abstract says of the adapter: trained parameters in millions, and how many per cent fewer than all.
MILLIONS, FEWER = 0.16, 98.9


@dataclass(frozen=True)
class Row:
    """A printed row. method: its key in ``rsnb.METHODS``, None where it is not there. recalls, mr: percent, as
    printed, with two decimals. millions: the printed number of trained parameters, None where none is printed.
    group: one of ``GROUPS``."""

    dataset: str
    method: str | None
    title: str
    millions: float | None
    recalls: dict[str, float]
    mr: float
    group: str
    backbone: str

    @property
    def mean(self) -> float:
        """The mean of the six printed recalls, which mR should be."""
        return sum(self.recalls.values()) / len(self.recalls)


def all_rows(dataset: str | None = None) -> list[Row]:
    """All printed rows, or those of one of ``DATASETS``, in the paper's order."""
    return [row for row in _table() if dataset in (None, row.dataset)]


@functools.cache
def _table() -> tuple[Row, ...]:
    from rsnb.methods import METHODS

    keys = {entry.paper: key for key, entry in METHODS.items() if entry.paper}
    with (Path(__file__).parent / "paper.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Row(
                r["dataset"],
                keys.get(r["method"]),
                r["method"],
                float(r["params_millions"]) if r["params_millions"] else None,
                {name: float(r[name]) for name in RECALLS},
                float(r["mean_recall"]),
                r["group"],
                r["backbone"],
            )
            for r in csv.DictReader(file)
        )


def rows(dataset: str | None = None) -> list[Row]:
    """The rows of methods on CLIP ViT-B/32, which can be compared with ours."""
    return [row for row in all_rows(dataset) if row.backbone == "CLIP ViT-B-32"]


def mr_of(dataset: str) -> dict[str, float]:
    """Method key -> printed mR on one data set."""
    return {row.method: row.mr for row in rows(dataset) if row.method}
