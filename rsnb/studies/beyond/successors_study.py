"""Two later methods in the benchmark's protocol: HarMA and MPS-CLIP on the toy world, with the mini CLIP.

As in :mod:`rsnb.studies.benchmark.grid`: 25 epochs, one caption per image and epoch, batch 64, bf16; a learning rate of
its own for each, chosen on validation with seed 0 and shorter runs, or the next best where the whole run ends in nan;
the test part is read once a run, at its end. The
bottleneck is 32, so that the adapters are as large beside the mini CLIP as the originals are beside ViT-B/32 (4 % and
7 % of it). What was stopped goes on where it was: cells lie in a folder that is named by the code that makes them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rsnb
from rsnb.base.fields import checked
from rsnb.base.files import write_json
from rsnb.base.recalls import RECALLS
from rsnb.base.text import markdown_table
from rsnb.beyond.alignment import HarMALoss, MPSLoss
from rsnb.beyond.harma import HarMA
from rsnb.beyond.mps import MPSCLIP
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.measures import costs
from rsnb.studies import keys
from rsnb.studies.ablation.cell import Cell
from rsnb.studies.ablation.lab import Lab
from rsnb.studies.ablation.spec import Spec, vary
from rsnb.studies.rates import FAILED, rungs, searched
from rsnb.studies.runs import result_head

WHAT = "later methods in the benchmark's protocol: HarMA and MPS-CLIP on the toy world"
#: the modules that decide the result
CODE = (*keys.RUN, "studies.rates", "beyond.alignment", "beyond.harma", "beyond.mps", "studies.beyond.successors_study")
RATE = 3e-3  # where the search begins: the rate of the adapters that are nearest
OPTIONS = {"bottleneck": 32, "heads": 4}


def specs(width: int, epochs: int = 25) -> dict[str, Spec]:
    """{title: what is trained}. width: D of the CLIP."""
    common = {"options": OPTIONS, "epochs": epochs, "batch_size": 64, "lr": RATE, "precision": "bf16"}
    mps = TrainConfig("MPSCLIP", loss="own:MPSLoss", loss_options={"width": width}, **common)
    return {
        "HarMA": Spec(TrainConfig("HarMA", loss="own:HarMALoss", **common)),
        "MPS-CLIP, regions of a grid": Spec(mps),
    }


def run(
    out: Path,
    seeds: int = 3,
    dry_run: bool = False,
    say: Callable[[str], None] = print,
    limit: int | None = None,
    epochs: int = 25,
    search_epochs: int = 5,
) -> dict[str, Any]:
    """Train what is not there yet, and write ``out / "successors.json"``; with ``dry_run`` only tell how long it takes.

    Args:
        out: a folder; cells and unfinished runs lie in ``out / "successors-<digest of the code>"``. seeds: at least 1.
        say: is told each line of progress. limit: images a split; with it and fewer epochs, a rehearsal.

    Returns:
        what is in the file; of a dry run {"rows": [...], "hours": ...}.
    """
    checked("seeds", seeds)
    folder = out / f"successors-{keys.code_of(CODE).digest}"
    lab = Lab(folder=folder, also=(), limit=limit, methods=[HarMA, MPSCLIP], losses=[HarMALoss, MPSLoss])
    wanted = specs(lab.clip().embed_dim, epochs)
    if dry_run:
        return _plan(lab, wanted, seeds, search_epochs, say)
    _, tried = searched(lab, {title: vary(spec, "train.epochs", search_epochs) for title, spec in wanted.items()}, say)
    rows = []
    for title, spec in wanted.items():
        cells, diverged = _trained(lab, title, spec, tried[title], seeds, say)
        rows.append({**_row(title, spec, cells, tried[title], lab), "diverged": diverged})
    stamp = f"{lab.stamp} · test recalls expected over random orders of ties"
    result = {
        **result_head(WHAT, "rsnb beyond --study successors --install", stamp),
        "key": successors_key(lab, seeds, epochs, search_epochs, limit),
        "made_by": keys.made_by(CODE),
        "rows": rows,
    }
    write_json(out / "successors.json", result)
    say(table(rows))
    return result


def successors_key(
    lab: Lab, seeds: int = 3, epochs: int = 25, search_epochs: int = 5, limit: int | None = None
) -> dict[str, Any]:
    """All that decides the numbers."""
    wanted = specs(lab.clip().embed_dim, epochs)
    settings = {"configs": {title: spec.config.to_dict() for title, spec in wanted.items()}, "seeds": seeds}
    settings |= {"search_epochs": search_epochs, "limit": limit}
    return keys.key_of(settings, lab.fingerprints, lab.weights, CODE)


def _trained(
    lab: Lab, title: str, spec: Spec, tried: list[tuple[float, float]], seeds: int, say: Callable[[str], None]
) -> tuple[list[Cell], list[float]]:
    """A cell per seed at the rate of the search's best score at which all seeds can be trained; and the better rates at
    which one could not, for what learns for a few epochs may still end in nan later.

    Raises:
        RsnbError: no rate of the search trains every seed.
    """
    diverged: list[float] = []
    for rate, score in sorted(tried, key=lambda pair: pair[1], reverse=True):
        if score == FAILED:
            break
        cells: list[Cell] = []
        try:
            for seed in range(seeds):
                cells.append(lab.cell(vary(spec, "train.lr", rate), seed, progress=True))
                say(f"{title}, seed {seed}: mR {cells[-1].val_mr:.1f} on validation, {cells[-1].mr:.1f} on test")
            return cells, diverged
        except RsnbError as error:
            say(f"{title}, seed {len(cells)}, rate {rate:g}: {error}")
            diverged.append(rate)
            problem = error
    raise RsnbError(f"{title} cannot be trained over {seeds} seeds at any rate of its search: {problem}")


def _row(title: str, spec: Spec, cells: list[Cell], tried: list[tuple[float, float]], lab: Lab) -> dict[str, Any]:
    """What the file keeps of a method: each seed, and mean and spread (sample standard deviation) of mR."""
    runs = [
        {
            "seed": cell.seed,
            "best_epoch": cell.best_epoch,
            "val_mr": cell.val_mr,
            "val": {name: cell.val[name] for name in RECALLS},
            "test_mr": cell.honest["expected"]["mr"],
            "test": {name: cell.honest["expected"][name] for name in RECALLS},
            "seconds": cell.seconds,
            "cell": cell.hash,
        }
        for cell in cells
    ]
    spread = {
        f"{part}_mr": {
            "mean": round(statistics.fmean(run[f"{part}_mr"] for run in runs), 2),
            "sd": round(statistics.stdev(run[f"{part}_mr"] for run in runs), 2) if len(runs) > 1 else None,
        }
        for part in ("val", "test")
    }
    loss = lab.losses[spec.config.loss](**spec.config.loss_options)
    return {
        "title": title,
        "method": spec.config.method,
        "loss": spec.config.loss,
        "trainable": cells[0].trainable,
        "trainable_in_loss": sum(p.numel() for p in loss.parameters()),  # of no use after training
        "lr": cells[0].spec.config.lr,
        "search": [{"lr": lr, "val_mr": val_mr} for lr, val_mr in tried],
        "collapsed": [cell.seed for cell in cells if cell.collapsed],
        **spread,
        "runs": runs,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown, one row per method."""
    head = ("method", "trainable", "rate", "validation mR", "test mR", "seeds")
    with_spread = lambda of: f"{of['mean']:.1f}" + (f" ± {of['sd']:.1f}" if of["sd"] is not None else "")  # noqa: E731
    lines = [
        (
            row["title"],
            f"{row['trainable']:,}",
            f"{row['lr']:g}",
            with_spread(row["val_mr"]),
            with_spread(row["test_mr"]),
            f"{len(row['runs'])}",
        )
        for row in rows
    ]
    return markdown_table(head, lines)


def _plan(lab: Lab, wanted: dict[str, Spec], seeds: int, search_epochs: int, say: Callable[[str], None]):
    """How long it takes, from a few timed steps with CLIP's loss, without evaluation and without what is done already;
    the search as of three rates (it goes on where the best one is the outermost)."""
    rows, searches = [], len(rungs(RATE))
    for title, spec in wanted.items():
        model = lab.adapted(spec, 0)
        plain = spec.config.replace(loss="clip", loss_options={})
        batch = costs.first_batch(model, lab.parts["train"], plain.batch_size)
        epoch = lab.steps(spec) * costs.seconds_per_step(model, *batch, plain)
        epochs = searches * search_epochs + seeds * spec.config.epochs
        hours = epoch * epochs / 3600
        rows.append({"title": title, "trainable": rsnb.count_trainable(model), "epochs": epochs, "hours": hours})
        say(f"{title}: {epochs} epochs of {epoch:.1f} s, {hours:.2f} hours")
    found = {"rows": rows, "hours": sum(row["hours"] for row in rows)}
    say(f"together {found['hours']:.2f} hours on this machine")
    return found
