"""What the paper printed: its result rows for methods on CLIP ViT-B/32, on RSICD, RSITMD and UCM-Captions.

Figures of Yuan, Zhan, Xiong, IEEE TGRS 2023, section IV; nothing in ``paper.csv`` was measured by this project.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from rsnb.evaluation import RECALLS

DATASETS = ("RSICD", "RSITMD", "UCM")


@dataclass(frozen=True)
class Row:
    """A printed row. method: its key in ``rsnb.METHODS``, None where it is not there. recalls, mr: percent, as
    printed. millions: the printed number of trained parameters."""

    dataset: str
    method: str | None
    title: str
    millions: float
    recalls: dict[str, float]
    mr: float

    @property
    def mean(self) -> float:
        """The mean of the six printed recalls, which mR should be."""
        return sum(self.recalls.values()) / len(self.recalls)


def rows(dataset: str | None = None) -> list[Row]:
    """All printed rows, or those of one of ``DATASETS``, in the paper's order."""
    from rsnb.methods import METHODS

    keys = {entry.paper: key for key, entry in METHODS.items() if entry.paper}
    with (Path(__file__).parent / "paper.csv").open(encoding="utf-8", newline="") as file:
        return [
            Row(r["dataset"], keys.get(r["method"]), r["method"], float(r["params_millions"]),
                {name: float(r[name]) for name in RECALLS}, float(r["mean_recall"]))
            for r in csv.DictReader(file) if dataset in (None, r["dataset"])
        ]  # fmt: skip


def mr_of(dataset: str) -> dict[str, float]:
    """Method key -> printed mR on one data set."""
    return {row.method: row.mr for row in rows(dataset) if row.method}
