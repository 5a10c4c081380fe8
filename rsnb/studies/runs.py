"""Committed training runs: read, averaged over seeds, and the settings they were made with."""

from __future__ import annotations

import datetime
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.recalls import RECALLS, recall_label
from rsnb.errors import RsnbError
from rsnb.studies import keys


def result_head(what: str, command: str, stamp: str) -> dict[str, Any]:
    """What a result file opens with: what it is, the rsnb command that makes it again, date, stamp, versions."""
    today = datetime.date.today().isoformat()
    return {"what": what, "command": command, "date": today, "stamp": stamp, "versions": keys.versions()}


# --- finished runs ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Run:
    """One committed result file: what was trained, how, and what it retrieves on the test part.

    Recalls are expected over random orders of equal similarities, where the file holds them.
    """

    method: str
    title: str
    seed: int
    trainable: int
    config: dict[str, Any]
    history: list[dict[str, Any]]
    recalls: dict[str, float]
    mr: float
    seconds: float
    stamp: str
    command: str


def run_name(data: str, backbone: str) -> str:
    """The folder of results and the head of an adapter's name: "toy-mini"."""
    return f"{Path(data).name}-{backbone.replace('/', '_').replace(':', '_')}"


def adapter_path(data: str, backbone: str, method: str = "mrs", seed: int = 0) -> Path:
    """Where the shipped adapter of this data and backbone lies, if there is one."""
    return paths.adapters_dir() / f"{run_name(data, backbone)}-{method}-seed{seed}.safetensors"


def read_runs(
    data: str, backbone: str, folder: Path | None = None, methods: Sequence[str] | None = None, own_loss: bool = True
) -> list[Run]:
    """The committed runs on this data and backbone, in the order of ``rsnb.METHODS``; [] if there are none.

    Args:
        methods: only these. own_loss: only runs with the method's own loss (HMMC for MRS-Adapter, CLIP's for others).

    Raises:
        RsnbError: a file that is no result file.
    """
    from rsnb.methods import METHODS

    places = sorted((folder or paths.results_dir()).joinpath(run_name(data, backbone)).glob("*-seed*.json"))
    runs = []
    for path in places:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            test = found["honest"]["expected"] if "honest" in found else found["test"]
            recalls = {name: float(test[name]) for name in RECALLS}
            kept = {name: found[name] for name in Run.__dataclass_fields__ if name not in ("recalls", "mr")}
            runs.append(Run(recalls=recalls, mr=float(test["mr"]), **kept))
        except (ValueError, KeyError, TypeError) as error:
            raise RsnbError(f"{path} is not a result file of rsnb benchmark ({error!r}); remove or renew it") from None
    runs = [r for r in runs if methods is None or r.method in methods]
    if own_loss:
        own = {name: entry.loss for name, entry in METHODS.items() if name != "zero_shot"}
        runs = [r for r in runs if r.config.get("loss", own.get(r.method)) == own.get(r.method, r.config.get("loss"))]
    order = list(METHODS)
    return sorted(runs, key=lambda r: (order.index(r.method) if r.method in order else len(order), r.method, r.seed))


def recipe(data: str, backbone: str, method: str = "mrs", **changes: Any):
    """The settings (TrainConfig) of the committed run of a method, or the defaults where there is none; device and
    precision are left to the machine at hand."""
    from rsnb.config import TrainConfig
    from rsnb.methods import defaults

    config = next((TrainConfig.from_dict(r.config) for r in read_runs(data, backbone) if r.method == method), None)
    config = config or TrainConfig(method=method, **defaults(method, backbone))
    return config.replace(**{"precision": "auto", "device": "auto", **changes})


@dataclass(frozen=True)
class Average:
    """One method over its seeds: mean recalls, mR and seconds; spread is the sample standard deviation of mR (0 for
    one seed). Has ``recalls`` and ``mr`` as a report has."""

    method: str
    title: str
    trainable: int
    seeds: int
    recalls: dict[str, float]
    mr: float
    spread: float
    seconds: float


def average_runs(runs: Sequence[Run]) -> list[Average]:
    """The runs of each method (and loss: the title names it), averaged over the seeds, in the order given."""
    table = []
    for title in dict.fromkeys(run.title for run in runs):
        own = [run for run in runs if run.title == title]
        mr = [run.mr for run in own]
        table.append(
            Average(
                own[0].method,
                title,
                own[0].trainable,
                len(own),
                recalls={name: sum(run.recalls[name] for run in own) / len(own) for name in own[0].recalls},
                mr=statistics.fmean(mr),
                spread=statistics.stdev(mr) if len(own) > 1 else 0.0,
                seconds=sum(run.seconds for run in own) / len(own),
            )
        )
    return table


def recall_columns(report) -> dict[str, float]:
    """Recalls and mR of a report, a run or an average under the names of a table's columns."""
    return {recall_label(name): value for name, value in {**report.recalls, "mr": report.mr}.items()}
