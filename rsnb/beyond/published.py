"""What later methods print of themselves: ``successors.csv``, facts with their sources, and its tables.

One row per method and data set. ``trained``: whether the backbone is frozen or trained in full; ``trainable_millions``
with ``count_by``: "authors", or "code" where the layers of their public code were counted. ``epoch_chosen_on``: the
part on which the best epoch is chosen, by the public code. ``read_in``: "source" where the numbers were read there,
"copy" where they were read in a table of others that we can give no address of. What was not found is empty.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from rsnb.base.recalls import RECALLS, recall_label
from rsnb.base.text import markdown_table

DATASETS = ("RSICD", "RSITMD", "UCM")
COPY = "†"  # behind numbers that were not read at their source
#: How an address is named in the tables.
HOSTS = {"arxiv.org": "paper", "huggingface.co": "model card", "github.com": "code", "www.sciencestack.ai": "summary"}


@dataclass(frozen=True)
class Printed:
    """A row of the file; recalls in percent and mean_recall, as printed, None and "" where none was found."""

    method: str
    year: int
    dataset: str
    recalls: dict[str, float] | None
    mean_recall: str
    backbone: str
    pretraining: str
    trained: str
    trainable_millions: float | None
    count_by: str
    epoch_chosen_on: str
    read_in: str
    sources: tuple[str, ...]
    note: str

    @property
    def mean(self) -> float | None:
        """The mean of the six recalls, which mean_recall should be."""
        return sum(self.recalls.values()) / len(self.recalls) if self.recalls else None


@functools.cache
def printed() -> tuple[Printed, ...]:
    """All rows, in the order of the file."""
    with (Path(__file__).parent / "successors.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_row(r) for r in csv.DictReader(file))


def _row(r: dict[str, str]) -> Printed:
    return Printed(
        r["method"],
        int(r["year"]),
        r["dataset"],
        {name: float(r[name]) for name in RECALLS} if r["text_r1"] else None,
        r["mean_recall"],
        r["backbone"],
        r["pretraining"],
        r["trained"],
        float(r["trainable_millions"]) if r["trainable_millions"] else None,
        r["count_by"],
        r["epoch_chosen_on"],
        r["read_in"],
        (r["source"], *r["also"].split()),
        r["note"],
    )


def summary_table() -> str:
    """One row per method: what it trains, from where, and its mean recall on each data set."""
    rows = []
    for method in dict.fromkeys(row.method for row in printed()):
        of = {row.dataset: row for row in printed() if row.method == method}
        first = next(iter(of.values()))
        rows.append(
            [
                method,
                f"{first.year}",
                first.backbone or "?",
                first.pretraining or "?",
                first.trained or "?",
                _count(first),
                *(_mean(of[name]) if name in of else "" for name in DATASETS),
                first.epoch_chosen_on,
            ]
        )
    head = ("method", "year", "backbone", "pretrained on", "backbone is", "trained (M)", *DATASETS, "epoch chosen on")
    return markdown_table(head, rows)


def _count(row: Printed) -> str:
    if row.trainable_millions is None:
        return "?"
    return f"{row.trainable_millions:g}" + (", counted" if row.count_by == "code" else "")


def _mean(row: Printed) -> str:
    return row.mean_recall + COPY * (row.read_in == "copy") if row.mean_recall else "not found"


def recalls_table() -> str:
    """The six recalls, where they were found, by data set."""
    rows = [
        [name, row.method, *(f"{value:.2f}" for value in row.recalls.values()), _mean(row)]
        for name in DATASETS
        for row in printed()
        if row.dataset == name and row.recalls
    ]
    return markdown_table(("set", "method", *(recall_label(name) for name in RECALLS), "mR"), rows)


def source_list() -> str:
    """One item per method: where its numbers were read, and what must be known of them."""
    items = []
    for method in dict.fromkeys(row.method for row in printed()):
        own = [row for row in printed() if row.method == method]
        addresses = dict.fromkeys(address for row in own for address in row.sources)
        links = ", ".join(f"[{_named(address)}]({address})" for address in addresses)
        items.append(f"- **{method}**: {links}. {own[0].note[0].upper()}{own[0].note[1:]}.")
    return "\n".join(items)


def _named(address: str) -> str:
    kind = "a reader's report" if "/issues/" in address else HOSTS[address.split("/")[2]]
    return "settings" if address.endswith(".yaml") else kind
