"""``rsnb audit``: the printed numbers of the paper, read again with care.

Five questions to a table of recalls: do the means agree with their parts; do the counts give the percentage; which
recalls can a single run have on so many images; what could any model reach; and what is won by choosing the epoch on
the test part. The first three need the printed table alone (``paper.csv``), the fourth the caption files, the last a
few trainings on the toy world. :func:`findings` says what follows from an answer, and what does not. This file imports
torch only where it counts or trains.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rsnb.base.recalls import RECALLS, recall_label
from rsnb.studies import paper

#: Test images and captions, as the paper states them.
SIZES = {"RSICD": (1093, 5465), "RSITMD": (452, 2260), "UCM": (210, 1050)}
KINDS = {
    "traditional": "traditional methods",
    "clip": "other CLIP methods",
    "prompt": "prompts and adapters",
    "adapter": "prompts and adapters",
}
WAYS = {"text": "image to text", "image": "text to image"}
NAMES = {name: recall_label(name) for name in RECALLS}


# --- 1. the mean of six ------------------------------------------------------------------------------------------
# Printed values have two decimals: hundredths are whole numbers, and all sums of them are exact.
def hundredths(value: float) -> int:
    """16.02 -> 1602."""
    return round(100 * value)


def gap(recalls: Iterable[float], mr: float) -> int:
    """Printed mR minus the mean of the six printed recalls, in 1/600 of a point: 6 mR - sum, in hundredths."""
    return 6 * hundredths(mr) - sum(map(hundredths, recalls))


def means(rows: Sequence[paper.Row] | None = None) -> list[dict[str, Any]]:
    """Every printed mR beside the mean of its six recalls.

    Rounding moves each of six recalls, and so their mean, by at most 0.005, and mR by another 0.005: a sound row can be
    off by 0.01, which is 6 in units of :func:`gap`. Cutting instead of rounding gives the same bound. ``verdict``:
    "exact" (mR is the rounded mean of the printed recalls), "rounding" (within the bound), "beyond".
    """
    table = []
    for row in paper.all_rows() if rows is None else rows:
        off = gap(row.recalls.values(), row.mr)
        verdict = "exact" if abs(off) <= 3 else "rounding" if abs(off) <= 6 else "beyond"
        table.append(
            {
                "dataset": row.dataset,
                "method": row.title,
                "printed": row.mr,
                "computed": row.mean,
                "gap": off / 600,
                "verdict": verdict,
            }
        )
    return table


def one_digit(recalls: Mapping[str, float], mr: float) -> list[tuple[str, str, str]]:
    """The changes of one digit that would make a row sound: (which number, as printed, changed). The recalls of a
    direction must still rise from R@1 to R@10."""
    printed, found = {**recalls, "mr": mr}, []
    for name, value in printed.items():
        text = f"{value:.2f}"
        for place, digit in enumerate(text):
            for other in "0123456789" if digit != "." else "":
                new = text[:place] + other + text[place + 1 :]
                if other == digit or (new[0] == "0" and len(new) > 4):
                    continue
                row = {**printed, name: float(new)}
                mean = row.pop("mr")
                ways = [[v for n, v in row.items() if n.startswith(way)] for way in WAYS]
                if abs(gap(row.values(), mean)) <= 6 and all(own == sorted(own) for own in ways):
                    found.append((name, text, new))
    return found


def mendable(off: float) -> float:
    """Of the sound rows: the share (0 to 1) that one digit could still mend if their mR were printed ``off`` higher."""
    sound = [row for row, line in zip(paper.all_rows(), means()) if line["verdict"] != "beyond"]
    return sum(bool(one_digit(row.recalls, row.mr + off)) for row in sound) / len(sound)


# --- 2. how many parameters fewer --------------------------------------------------------------------------------
def parameters() -> dict[str, float]:
    """Trained parameters of the adapter and of full fine-tuning, counted on ViT-B/32, and how many per cent fewer:
    as printed (``claimed``), from the exact counts, and at least and at most from the printed, rounded 0.16 M.
    ``implied``: of how many parameters the claimed percentage would leave the adapter's."""
    from rsnb.methods import METHODS

    few, all_ = METHODS["mrs"].count_vit_b32, METHODS["full"].count_vit_b32
    fewer = [100 * (1 - part / all_) for part in (few, 1e6 * paper.MILLIONS + 5000, 1e6 * paper.MILLIONS - 5000)]
    return {
        "trained": few,
        "all": all_,
        "claimed": paper.FEWER,
        "fewer": fewer[0],
        "least": fewer[1],
        "most": fewer[2],
        "implied": few / (1 - paper.FEWER / 100),
    }


# --- 3. which recalls are possible -------------------------------------------------------------------------------
@functools.cache
def lattice(queries: int) -> frozenset[int]:
    """The values, in hundredths of a per cent, that a recall over so many queries can be printed as.

    k hits of N queries are 100 k / N per cent. Every value within 0.01 of one of these counts as possible, so that
    rounding, cutting, and rounding twice on the way to a mean are all allowed.
    """
    if queries >= 10_000:  # the steps are no wider than 0.01
        return frozenset(range(10_001))
    found: set[int] = set()
    for k in range(queries + 1):
        low, rest = divmod(10_000 * k, queries)
        found.update((low - 1, low, low + 1) if rest == 0 else (low, low + 1))
    return frozenset(found & set(range(10_001)))


def possible(value: float, queries: int) -> bool:
    """Whether a printed recall can be a share of so many queries; see :func:`lattice`."""
    return hundredths(value) in lattice(queries)


def chance_of_rounding(queries: int) -> float:
    """The share (0 to 1) of all values with two decimals that pass the test by luck."""
    return len(lattice(queries)) / 10_001


def tail(passed: int, total: int, luck: float) -> float:
    """Probability that at least so many of the values pass by luck alone."""
    return math.fsum(math.comb(total, k) * luck**k * (1 - luck) ** (total - k) for k in range(passed, total + 1))


def recalls_of(dataset: str, kind: str, way: str) -> list[float]:
    """All printed recalls of one data set, one of the ``KINDS`` of methods and one direction."""
    rows = [row for row in paper.all_rows(dataset) if KINDS[row.group] == kind]
    return [value for row in rows for name, value in row.recalls.items() if name.startswith(way)]


def granularity(dataset: str, kind: str, way: str = "text", runs: int = 1, images: int | None = None) -> dict[str, Any]:
    """How many of the printed recalls can be counts over the test split, as means of ``runs`` runs of equal weight.

    Args:
        images: count over so many images instead; captions five times as many.

    Returns:
        ``passed`` of ``total``; ``chance``, the share that passes by luck; ``luck``, the probability of so many
        passes by luck alone.
    """
    values = recalls_of(dataset, kind, way)
    queries = runs * (SIZES[dataset][way == "image"] if images is None else images * (5 if way == "image" else 1))
    passed, rate = sum(possible(value, queries) for value in values), chance_of_rounding(queries)
    return {
        "dataset": dataset,
        "methods": kind,
        "way": way,
        "runs": runs,
        "queries": queries,
        "passed": passed,
        "total": len(values),
        "share": passed / len(values),
        "chance": rate,
        "luck": tail(passed, len(values), rate),
    }


def who_counted(dataset: str, kind: str, spread: float = 0.12) -> list[dict[str, Any]]:
    """:func:`granularity` of image to text, had the test split another number of images: from ``spread`` fewer to as
    many more. A peak says over how many images the recalls were counted."""
    images = SIZES[dataset][0]
    width = round(spread * images)
    return [{"images": n, **granularity(dataset, kind, images=n)} for n in range(images - width, images + width + 1)]
