"""Result files of the benchmark, and the tables made of them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.files import replacing, write_csv, write_json, write_text
from rsnb.base.recalls import COLUMNS, RECALLS
from rsnb.base.text import markdown_table
from rsnb.measures.difference import Difference, adjusted, difference, gaps_of_images, verdicts
from rsnb.studies.benchmark.figures import parameters_against_mr

OURS, DUELS = "MRS-Adapter + HMMC", "verdicts.json"


def benchmark_rows(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per method and loss: mean and standard deviation over seeds of the recalls and mR on test, and costs.

    Recalls are expected over random orders of ties where every result has them so ("counting": "expected", with the
    range that orders of the ties can give, and the share of the best mR any model could reach); else of a sort.
    """
    rows, expected = [], all("honest" in r for r in results)
    for title in dict.fromkeys(r["title"] for r in results):
        of = [r for r in results if r["title"] == title]
        row = {"method": of[0]["method"], "title": title, "loss": of[0]["config"]["loss"]}
        row |= {"trainable": of[0]["trainable"], "seeds": len(of)}
        row["share"] = of[0]["trainable"] / of[0]["backbone_parameters"]
        for key in COLUMNS:
            values = [r["honest"]["expected"][key] if expected else r["test"][key] for r in of]
            row[key] = statistics.fmean(values)
            row[f"{key}_sd"] = statistics.stdev(values) if len(of) > 1 else None
        row["counting"] = "expected" if expected else "sort"
        if expected:
            ends = [[r["honest"]["ties_mr"][end] for r in of] for end in (0, 1)]
            row |= {"ties_low": min(ends[0]), "ties_high": max(ends[1])}
            row["of_ceiling"] = row["mr"] / of[0]["honest"]["ceiling"]["mr"]
        row["lr"] = of[0]["config"]["lr"] if of[0]["trainable"] else None
        row["seconds"] = statistics.fmean(r["seconds"] for r in of)
        row["seconds_per_epoch"] = statistics.fmean(r.get("seconds_per_epoch", 0.0) for r in of)
        row["memory_mb"] = of[0].get("memory_mb", {}).get("total")
        row["file_bytes"] = of[0].get("file_bytes", 0)
        row["stamp"] = of[0]["stamp"]
        rows.append(row)
    return rows


def duels(results: list[dict[str, Any]], of: str = OURS) -> list[dict[str, Any]]:
    """The method titled ``of`` against each other one that trains, over common seeds and test images: one family of
    comparisons, so the verdicts (on ``of``) are adjusted for their number.

    Returns:
        rows with ``against``, ``difference`` (in mR), ``low`` and ``high`` (95 %, of this one alone), ``p`` and
        ``verdict`` (in the family), ``seeds``, and ``images``: whether the interval is over test images too, for which
        result files must hold the hits of each. Methods without two common seeds have no row.
    """
    runs: dict[str, dict[int, dict[str, Any]]] = {}
    for result in results:
        runs.setdefault(result["title"], {})[result["seed"]] = result
    found: dict[str, Difference] = {}
    for title, own in runs.items():
        common = sorted(set(own) & set(runs.get(of, {})))
        if title == of or len(common) < 2 or not own[common[0]]["trainable"]:
            continue
        pairs = [(runs[of][seed], own[seed]) for seed in common]
        if all("hits" in run for pair in pairs for run in pair):
            found[title] = difference(
                [gaps_of_images(*(tuple(run["hits"].values()) for run in pair)) for pair in pairs]
            )
        else:
            found[title] = difference([_mr(ours) - _mr(theirs) for ours, theirs in pairs])
    family = list(found.values())
    return [
        {"against": title, "difference": gap.mean, "low": gap.low, "high": gap.high, "p": p, "verdict": word}
        | {"seeds": gap.seeds, "images": gap.images}
        for (title, gap), p, word in zip(found.items(), adjusted([one.p for one in family]), verdicts(family))
    ]


def load_duels(data: str = "toy", backbone: str = "mini") -> list[dict[str, Any]]:
    """:func:`duels` of the committed results, as they are kept beside them; [] if there are none."""
    path = paths.results_dir() / f"{data}-{backbone}" / DUELS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _mr(result: dict[str, Any]) -> float:
    return (result["honest"]["expected"] if "honest" in result else result["test"])["mr"]


def recall_table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown: recalls and mR; with what ties can make of mR, and mR as a share of the ceiling."""
    honest = rows[0]["counting"] == "expected"
    head = ["method", "trainable", "share", "text R@1", "R@5", "R@10", "image R@1", "R@5", "R@10", "mR ± sd"]
    tuned = next((r["seconds_per_epoch"] for r in rows if r["method"] == "full"), None)  # what times are compared with
    head += ["ties", "of the ceiling"] * honest
    head += ["epoch, full fine-tuning = 1" if tuned else "seconds per epoch"]
    lines = []
    for r in rows:
        mr = f"{r['mr']:.1f}" + (f" ± {r['mr_sd']:.1f}" if r["mr_sd"] is not None else "")
        cells = [f"{r[k]:.1f}" for k in RECALLS]
        label = f"{r['title']} ({r['seeds']} seed{'s' if r['seeds'] > 1 else ''})"
        cells = [label, f"{r['trainable']:,}", f"{100 * r['share']:.2f} %", *cells, mr]
        if honest:
            cells += [f"{r['ties_low']:.1f} to {r['ties_high']:.1f}", f"{100 * r['of_ceiling']:.0f} %"]
        seconds = f"{r['seconds_per_epoch'] / tuned:.2f}" if tuned else f"{r['seconds_per_epoch']:.1f}"
        lines.append([*cells, seconds if r["trainable"] else "-"])
    counted = "recalls expected over random orders of ties" if honest else "ties in the order of the data set"
    return f"{markdown_table(head, lines)}\n\n{rows[0]['stamp']} · test part · {counted}"


def cost_table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown: what each method costs."""
    head, lines = ["method", "trainable", "lr", "seconds per epoch", "memory to train (MB)", "file (kB)"], []
    for r in rows:
        if r["trainable"]:
            cells = [r["title"], f"{r['trainable']:,}", f"{r['lr']:g}", f"{r['seconds_per_epoch']:.1f}"]
            lines.append([*cells, f"{r['memory_mb']:.0f}" if r["memory_mb"] else "-", f"{r['file_bytes'] / 1000:,.0f}"])
    return markdown_table(head, lines)


def write_tables(folder: Path) -> None:
    """table.md, table.csv and table.png of all result files in a folder, and verdicts.json with :func:`duels`."""
    results = read_results(folder)
    rows = benchmark_rows(results)
    write_json(folder / DUELS, duels(results))
    write_csv(folder / "table.csv", rows)
    write_text(folder / "table.md", f"{recall_table(rows)}\n\n{cost_table(rows)}\n")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = parameters_against_mr(rows, rows[0]["stamp"])
    with replacing(folder / "table.png") as scratch:
        FigureCanvasAgg(figure).print_png(scratch)


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The result files of a folder, in the order of the table of methods; [] if there are none."""
    from rsnb.methods import METHODS

    found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*-seed*.json"))]
    place = {method: number for number, method in enumerate(METHODS)}
    return sorted(found, key=lambda r: (place.get(r["method"], len(place)), r["title"], r["seed"]))


def load_results(data: str = "toy", backbone: str = "mini", folder: Path | None = None) -> list[dict[str, Any]]:
    """The result files of one data set and backbone; [] if there are none."""
    return read_results((folder or paths.results_dir()) / f"{data}-{backbone}")
