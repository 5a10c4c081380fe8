"""The paper's ablations: what is varied, the committed cells, and what they say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.measures.difference import VERDICTS
from rsnb.studies.ablation.cell import read_cell
from rsnb.studies.ablation.differences import row_name
from rsnb.studies.ablation.spec import Spec, parse_axis, vary
from rsnb.studies.runs import read_runs, recipe

EPOCHS = 12  # of a committed ablation


@dataclass(frozen=True)
class Study:
    """One ablation: cells by label, each a set of changes to the base run; "" changes nothing and is the baseline.

    ``axes``: what is varied; a cell's label is then a tuple of their values, or the one value. ``choice``: what the
    paper's setting is, in words. ``against``: the label that a cell is compared with, where it is not the baseline.
    ``searched``: whether each cell has a learning rate of its own, see :func:`rsnb.studies.rates.searched`. ``once``:
    labels of the cells that run with one seed, because they take long.
    """

    question: str
    cells: dict[Any, dict[str, Any]] = field(default_factory=dict)
    baseline: Any = "as in the paper"
    axes: tuple[str, ...] = ()
    choice: str = ""
    against: dict[Any, Any] = field(default_factory=dict)
    searched: bool = False
    once: tuple[Any, ...] = ()

    def seeds(self, label: Any, asked: int) -> int:
        """How many seeds a cell runs with, where so many are asked for."""
        return 1 if label in self.once else asked


def _axis(question: str, name: str, values: tuple[Any, ...], baseline: Any, choice: str) -> Study:
    return Study(
        question,
        {v: {} if v == baseline else {name: list(v) if isinstance(v, tuple) else v} for v in values},
        baseline,
        (name,),
        choice,
    )


STUDIES = {
    "loss": Study(
        "Does HMMC help the adapter?",
        {"as in the paper": {}, "cross-modal hinge alone": {"loss.intra_image": 0, "loss.intra_text": 0},
         "without intra-image": {"loss.intra_image": 0}, "without intra-text": {"loss.intra_text": 0},
         "intra-modal terms alone": {"loss.cross": 0}, "CLIP's loss": {"loss.name": "clip"}},
        choice="HMMC with its three terms",
    ),
    "shared": _axis("How wide should the shared up-projection be?", "adapter.shared", (0, 8, 16, 32, 64), 64,
                    "a slice of 64 that both modalities share"),
    "bottleneck": _axis("How wide should the bottleneck be?", "adapter.bottleneck", (8, 16, 32, 64, 128), 64,
                        "a bottleneck of 64"),
    "layers": Study(
        "One adapter for all blocks, and which blocks?",
        {"as in the paper": {}, "one adapter a block": {"adapter.share_layers": False},
         "first half of the blocks": {"adapter.layers": [0, 1]}, "last half of the blocks": {"adapter.layers": [2, 3]},
         "last block alone": {"adapter.layers": [3]}},
        choice="one adapter for all blocks of both towers",
    ),
    "towers": Study(
        "Which tower needs it?",
        {"as in the paper": {}, "image tower alone": {"adapter.towers": ["image"]},
         "text tower alone": {"adapter.towers": ["text"]}},
        choice="both towers adapted",
    ),
    "dropout": _axis("How much dropout inside the adapter?", "adapter.dropout", (0.0, 0.1, 0.3, 0.5), 0.5,
                     "dropout 0.5 inside the adapter"),
    "token_dropout": _axis("How strong should the second view's token dropout be?", "loss.token_dropout",
                           (0.05, 0.1, 0.2, 0.4), 0.2, "token dropout 0.2"),
    "margin": _axis("How wide should the margin be?", "loss.margin", (0.05, 0.1, 0.2, 0.4), 0.2, "margin 0.2"),
    "mining": _axis("Hardest negative, or the sum of all?", "loss.mining", ("hardest", "sum"), "hardest",
                    "the hardest negative alone"),
    "data": _axis("How much training data does it need?", "data.share", (0.05, 0.1, 0.25, 0.5, 1.0), 1.0,
                  "all training images"),
}  # fmt: skip


def base_spec(data: str, backbone: str, method: str, epochs: int, precision: str, settings: list[str] = ()):
    """The run that every cell changes: the method's committed settings, with fewer epochs."""

    spec = Spec(recipe(data, backbone, method, epochs=epochs, precision=precision))
    for text in settings:
        name, values = parse_axis(text)
        if len(values) > 1:
            raise RsnbError(f"--set {text}: one value is wanted for every cell; several are an axis, --vary {text}")
        spec = vary(spec, name, values[0])
    return spec


def cells_of(study: Study, base, data: str = "toy", backbone: str = "mini") -> dict[Any, Any]:
    """{label: Spec} of a study. CLIP's loss, and another method, come with the learning rate that was chosen for
    them; another method also with its loss."""
    from rsnb.methods import METHODS

    cells = {}
    for name, changes in study.cells.items():
        spec = base
        if "method" in changes:  # another method comes with its own learning rate and loss
            own = recipe(data, backbone, changes["method"]) if changes["method"] in METHODS else base.config
            spec = vary(vary(spec, "train.lr", own.lr), "loss.name", own.loss)
        for axis, value in changes.items():
            spec = vary(spec, axis, value)
        if changes.get("loss.name") == "clip" and base.config.method == "mrs":
            runs = read_runs(data, backbone, methods=["mrs"], own_loss=False)
            rates = [r.config["lr"] for r in runs if r.config["loss"] == "clip"]
            spec = vary(spec, "train.lr", rates[0]) if rates else spec
        cells[name] = spec
    return cells


def stamp_of(made_from: str, lengths: Iterable[int], seeds: Iterable[int], final: bool = True) -> str:
    """The stamp of a table of ablations. lengths, seeds: the epochs and the numbers of seeds of its cells."""
    part = "test part" if final else "validation part"
    return f"{made_from} · {_from_to(lengths, 'epoch')} · {_from_to(seeds, 'seed')} · {part}"


def _from_to(numbers: Iterable[int], what: str) -> str:
    least, most = min(numbers := list(numbers)), max(numbers)
    return f"{most} {what}{'s' * (most > 1)}" if least == most else f"{least} to {most} {what}s"


def study_stamp(study: Mapping[str, Any]) -> str:
    """The stamp of the rows of a committed study; see :func:`read_studies`."""
    lengths = {cell.spec.config.epochs for cells in study["done"].values() for cell in cells}
    return stamp_of(study["stamp"], lengths, {row["seeds"] for row in study["rows"]})


def read_studies(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The committed ablations: name -> question, axes, baseline, stamp, command, ``done`` {label: cells}, and ``rows``:
    :func:`rsnb.studies.ablation.differences.difference_rows` of the test part, with the verdicts of the family."""
    folder = folder or paths.results_dir() / "ablations"
    index = folder / "studies.json"
    if not index.is_file():
        return {}
    studies = json.loads(index.read_text(encoding="utf-8"))
    for study in studies.values():
        study["done"] = {
            tuple(value) if isinstance(value, list) else value: [read_cell(folder / f"{name}.json") for name in hashes]
            for value, hashes in study.pop("cells")
        }
        if isinstance(study["baseline"], list):
            study["baseline"] = tuple(study["baseline"])
        study["rows"] = [{k: math.nan if v is None else v for k, v in row.items()} for row in study["rows"]]
    return studies


def conclusions(studies: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What the committed ablations say of each choice of the paper: one row per study.

    ``verdict``: "holds" (every alternative is worse), "holds in part" (some are worse, none is better), "another is
    better", or "cannot be told"; each study is one family of comparisons. The alternatives by name under ``worse``,
    ``cannot be told``, ``better`` and ``collapsed``, each with its difference in mR, if it has one; ``beside``: the
    number of "parameters" or "steps", where it changed along with them.
    """

    def gap(row):
        return "" if math.isnan(row["difference"]) else f" ({row['difference']:+.1f})"

    found = []
    for name, study in ((name, studies[name]) for name in STUDIES if name in studies):
        rows = [r for r in study["rows"] if r["verdict"] != "baseline"]
        said = {
            verdict: [row_name(r, study["axes"]) + gap(r) for r in rows if r["verdict"] == verdict]
            for verdict in VERDICTS
        }
        if said["better"]:
            verdict = "another is better"
        elif said["worse"]:
            verdict = "holds in part" if said["cannot be told"] else "holds"
        else:
            verdict = "cannot be told"
        beside = [kind for kind in ("parameters", "steps") if any(kind in r["beside"] for r in rows)]
        seeds = min(r["seeds"] for r in rows)
        found.append(
            {
                "study": name,
                "choice": STUDIES[name].choice,
                "verdict": verdict,
                **said,
                "beside": beside,
                "seeds": seeds,
            }
        )
    return found
