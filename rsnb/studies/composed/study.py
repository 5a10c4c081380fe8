"""Composed retrieval: an image and a few words are one query. Nothing is trained.

The similarity of the query image to every image of the gallery and that of the words to every image are each brought to
a common scale over the gallery, then mixed: ``(1 - lambda) * image + lambda * words`` (WeiCom: Psomas et al. 2024,
"Composed Image Retrieval for Remote Sensing"). What counts as found is known exactly for the drawn toy world, and from
the words of the captions for any other data. ``rsnb composed`` measures it and writes ``data/results/composed.json``.

Everywhere N is a number of images, Q of queries, L of values of lambda, D the width of an embedding. A gallery is all
images but the query image: N - 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rsnb.measures.mixing import WAYS
from rsnb.studies.composed.queries import KINDS, Query, queries
from rsnb.studies.composed.scores import (
    FIRST,
    LAMBDAS,
    Curve,
    chance_precision,
    composed_space,
    interval_of_queries,
    recall_curve,
)

# --- a study ----------------------------------------------------------------------------------------------------
ZERO_SHOT, ADAPTED = "zero-shot CLIP", "with adapter"


def study(models: Mapping[str, Any], val, test, way: str = "cdf") -> dict[str, Any]:
    """Choose lambda on val, report on test: every model, every normalisation. Rows of plain numbers, ready for JSON.

    Args:
        models: name -> a CLIP or an adapted model; the first one is what the others are compared with.
        way: the normalisation that the sentence and the table by kinds speak of.
    """
    asked_val, source = queries(val)
    asked, _ = queries(test)
    found: dict[str, Any] = {
        "source": source,
        "way": way,
        "lambdas": list(LAMBDAS),
        "first": FIRST,
        "models": {},
        "differences": {},
        "images": {"val": len(val), "test": len(test)},
        "queries": {"val": len(asked_val), "test": len(asked)},
        "right": round(sum(len(q.wanted) for q in asked) / len(asked), 2),
        "chance": round(chance_precision(asked, len(test)), 2),
    }
    chosen: dict[str, Tensor] = {}
    for name, model in models.items():
        spaces = composed_space(model, val, asked_val), composed_space(model, test, asked)
        row: dict[str, Any] = {"ways": {}}
        for each in WAYS:
            on_val, on_test = recall_curve(spaces[0], asked_val, each), recall_curve(spaces[1], asked, each)
            at = on_val.best
            row["ways"][each] = {
                "lambda": LAMBDAS[at],
                "curve": _round(on_test.precision.mean(dim=1)),
                "recall curve": _round(on_test.recall.mean(dim=1)),
                **_numbers(on_test, at, asked),
            }
            if each == way:
                chosen[name] = on_test.precision[at]
                alone = on_test.precision[[0, -1]]
                better = alone[int(alone.mean(dim=1).argmax())]
                row["gain"] = _difference(chosen[name] - better, asked)
                row["kinds"] = _kinds(on_test, at, asked)
        found["models"][name] = row
    first = next(iter(chosen))
    found["differences"] = {name: _difference(chosen[name] - chosen[first], asked) for name in chosen if name != first}
    return found


def _round(values: Tensor) -> list[float]:
    return [round(v, 2) for v in values.tolist()]


def _numbers(on_test: Curve, at: int, asked: Sequence[Query]) -> dict[str, Any]:
    """mAP and recall of the mix, the image alone and the words alone, with the interval of the first."""
    low, high = interval_of_queries(on_test.precision[at], asked)
    rows = {"mix": at, "image": 0, "words": -1}
    return {
        "mAP": {name: round(on_test.precision[i].mean().item(), 2) for name, i in rows.items()},
        "recall": {name: round(on_test.recall[i].mean().item(), 2) for name, i in rows.items()},
        "interval": [round(low, 2), round(high, 2)],
    }


def _difference(values: Tensor, asked: Sequence[Query]) -> list[float]:
    """[mean, low, high] in points."""
    return [round(v, 2) for v in (values.mean().item(), *interval_of_queries(values, asked))]


def _kinds(on_test: Curve, at: int, asked: Sequence[Query]) -> dict[str, dict[str, float]]:
    """mAP by the kind of change."""
    table = {}
    for kind in KINDS:
        own = torch.tensor([query.kind == kind for query in asked])
        if own.any():
            mean = {
                name: round(on_test.precision[i][own].mean().item(), 2)
                for name, i in (("mix", at), ("image", 0), ("words", -1))
            }
            table[kind] = {"queries": int(own.sum()), **mean}
    return table


def composed_sentences(found: Mapping[str, Any]) -> list[str]:
    """A study in plain words."""
    said, way = [], found["way"]
    for name, row in found["models"].items():
        own = row["ways"][way]
        gain, low, high = row["gain"]
        said.append(
            f"{name}: mixing at lambda = {own['lambda']:.2f}, chosen on the validation part, reaches an mAP of "
            f"{own['mAP']['mix']:.1f} on {found['queries']['test']:,} test queries; the image alone reaches "
            f"{own['mAP']['image']:.1f}, the words alone {own['mAP']['words']:.1f}, a random order "
            f"{found['chance']:.1f}. Mixing {_worth(gain, low, high)} against the better of the two alone."
        )
    for name, (value, low, high) in found["differences"].items():
        said.append(
            f"{name} against {next(iter(found['models']))}, each at its own lambda: it {_worth(value, low, high)}."
        )
    return said


def _worth(value: float, low: float, high: float) -> str:
    what = "adds" if low > 0 else "loses" if high < 0 else "makes no clear difference:"
    number = f"{abs(value):.1f}" if low > 0 or high < 0 else f"{value:+.1f}"
    return f"{what} {number} points (95 % interval {low:+.1f} to {high:+.1f})"


def composed_table(found: Mapping[str, Any], ways: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A study as rows: mAP and recall in percent, test part."""
    rows = []
    for name, row in found["models"].items():
        for way in ways or (found["way"],):
            own = row["ways"][way]
            middle = own["curve"][found["lambdas"].index(0.5)]
            rows.append(
                {
                    "model": name,
                    "normalised by": way,
                    "lambda (val)": own["lambda"],
                    "mAP image": own["mAP"]["image"],
                    "mAP words": own["mAP"]["words"],
                    "mAP mix": own["mAP"]["mix"],
                    "95 % interval": "{:.1f} to {:.1f}".format(*own["interval"]),
                    "mAP at 0.5": middle,
                    f"R@{found['first']} image": own["recall"]["image"],
                    f"R@{found['first']} mix": own["recall"]["mix"],
                }
            )
    return rows
