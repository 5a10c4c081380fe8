"""Figures of the benchmark: what each method reaches, what it costs, and the paper's results beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rsnb.figures.style import FAMILIES, GREY, PALETTE, heading, styled, wrapped
from rsnb.studies.runs import Run


@styled
def parameters_against_mr(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Trainable parameters (log axis) against test mR: a point per method with its spread over the seeds, zero-shot and
    full fine-tuning as lines.

    rows: as of ``benchmark.table``: method, title, trainable, mr, mr_sd.
    """
    from rsnb.methods import METHODS

    figure, axis = plt.subplots(figsize=(11, 6.4))
    points = [row for row in rows if row["trainable"]]
    _reference_lines(axis, rows)
    for row in points:
        name, colour, marker = FAMILIES[METHODS[row["method"]].family]
        axis.errorbar(
            row["trainable"],
            row["mr"],
            row["mr_sd"] or 0,
            color=colour,
            marker=marker,
            markersize=9,
            capsize=4,
            markeredgecolor="white",
            linestyle="none",
        )
    axis.set_xscale("log")
    axis.margins(x=0.12, y=0.08)
    _names_at_the_right(axis, points)
    axis.legend(handles=_families(row["method"] for row in points), loc="lower right")
    axis.set(xlabel="trainable parameters (log scale)", ylabel="test mR (%), mean and spread over seeds")
    axis.set_title(wrapped(title, 9))
    return figure


def _families(methods: Iterable[str]) -> list:
    """Handles of a legend: the colour and the marker of each family that occurs."""
    from rsnb.methods import METHODS

    return [
        plt.Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=9, label=name)
        for name, colour, marker in map(FAMILIES.get, dict.fromkeys(METHODS[method].family for method in methods))
    ]


def _reference_lines(axis, rows: Sequence[Mapping[str, Any]]) -> None:
    """Zero-shot and full fine-tuning as dashed lines."""
    lines = {"zero_shot": ("zero-shot", PALETTE[7]), "full": ("full fine-tuning", PALETTE[0])}
    for row in rows:
        if row["method"] in lines and (row["method"] == "zero_shot" or row["title"] == "Full fine-tuning"):
            name, colour = lines[row["method"]]
            axis.axhline(row["mr"], color=colour, linestyle="--", linewidth=1.5)
            axis.annotate(
                f"{name} {row['mr']:.1f}",
                (0, row["mr"]),
                (4, 4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=colour,
            )


def _names_at_the_right(axis, points: Sequence[Mapping[str, Any]]) -> None:
    """The names in a column at the right, none on top of another, each with a line to its point."""
    from rsnb.methods import METHODS

    low, high = axis.get_ylim()
    gap, place = (high - low) / 21, low - (high - low)
    line = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.8, "shrinkB": 5, "relpos": (0, 0.5)}
    for row in sorted(points, key=lambda r: r["mr"]):
        place = max(row["mr"], place + gap)
        axis.annotate(
            f"{row['title']}  {row['mr']:.1f}",
            (row["trainable"], row["mr"]),
            (1.02, place),
            va="center",
            textcoords=("axes fraction", "data"),
            color=FAMILIES[METHODS[row["method"]].family][1],
            fontsize=11,
            arrowprops=line,
        )
    axis.set_ylim(low, max(high, place + gap / 2))


def _dots(axis, names: Sequence[str], methods: Sequence[str], values: Sequence[float | None]) -> None:
    """A dot per line in its family's colour and marker; none where the value is None."""
    from rsnb.methods import METHODS

    for y, (method, value) in enumerate(zip(methods, values)):
        if value is not None:
            _, colour, marker = FAMILIES[METHODS[method].family]
            axis.plot(value, y, marker, color=colour, markersize=9, markeredgecolor="white")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)


@styled
def costs(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Three panels of dots, a line per method: seconds per epoch, megabytes to train, kilobytes to ship (log axis).

    rows: as of ``benchmark.table``; methods that train nothing are left out, the others ordered by seconds.
    """
    rows = sorted((r for r in rows if r["trainable"]), key=lambda r: r["seconds_per_epoch"])
    figure, axes = plt.subplots(1, 3, figsize=(12, 0.36 * len(rows) + 2.2), sharey=True)
    panels = (
        ("seconds per epoch", [r["seconds_per_epoch"] for r in rows]),
        ("memory to train (MB)", [r["memory_mb"] for r in rows]),
        ("file to ship (kB, log scale)", [r["file_bytes"] / 1000 for r in rows]),
    )
    for axis, (label, values) in zip(axes, panels):
        _dots(axis, [r["title"] for r in rows], [r["method"] for r in rows], values)
        axis.set(xlabel=label, xlim=(0, 1.1 * max(values)))
    axes[2].set(xscale="log", xlim=(0.6 * min(values), 1.7 * max(values)))
    figure.legend(handles=_families(r["method"] for r in rows), loc="outside lower left", ncols=4)
    heading(figure, title)
    return figure


def share_of_the_way(mr: Mapping[str, float]) -> dict[str, float]:
    """Each method's mR on the scale where zero-shot CLIP is 0 and full fine-tuning 1: comparable between backbones."""
    low, high = mr["zero_shot"], mr["full"]
    return {method: (value - low) / (high - low) for method, value in mr.items()}


@styled
def beside_the_paper(
    paper: Mapping[str, Mapping[str, float]], ours: Mapping[str, Mapping[str, float]], title: str
) -> Figure:
    """A panel for each column of the paper (shaded) and of ours: how far each method gets from zero-shot (0) to full
    fine-tuning (1).

    paper, ours: name of a panel -> {method key: mR}; each needs zero_shot and full.
    """
    from rsnb.methods import METHODS

    panels = {name: share_of_the_way(mr) for name, mr in {**paper, **ours}.items()}
    methods = [m for m in METHODS if any(m in shares for shares in panels.values()) and m not in ("zero_shot", "full")]
    mean = {m: [panels[name][m] for name in paper if m in panels[name]] for m in methods}
    methods.sort(key=lambda m: sum(mean[m]) / len(mean[m]) if mean[m] else -1, reverse=True)
    figure, axes = plt.subplots(1, len(panels), figsize=(12, 0.36 * len(methods) + 2.4), sharey=True, sharex=True)
    for axis, (name, shares) in zip(axes, panels.items()):
        if name in paper:
            axis.set_facecolor("0.96")
        for end in (0, 1):
            axis.axvline(end, color=GREY, linestyle="--", linewidth=1.2)
        _dots(axis, [METHODS[m].title for m in methods], methods, [shares.get(m) for m in methods])
        axis.set_title(name, fontsize=12)
    figure.supxlabel("0: zero-shot CLIP, 1: full fine-tuning", fontsize=12)
    figure.legend(handles=_families(methods), loc="outside lower left", ncols=4)
    heading(figure, title)
    return figure


@styled
def run_curves(runs: Sequence[Run], title: str) -> Figure:
    """Validation mR over the epochs, one colour per method, one thin line per seed."""
    figure, axis = plt.subplots(figsize=(9, 4.8))
    colour_of = _method_colours(runs)
    seen = set()
    for run in runs:
        if not run.history:
            continue
        epochs, values = zip(*((row["epoch"], row["val_mr"]) for row in run.history))
        label = None if run.method in seen else run.title
        axis.plot(epochs, values, alpha=0.85, linewidth=1.8, color=colour_of[run.method], label=label)
        seen.add(run.method)
    axis.set(xlabel="epoch", ylabel="validation mR (%)")
    axis.set_title(wrapped(title, 9))
    axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3)
    return figure


@styled
def run_bars(runs: Sequence[Run], title: str) -> Figure:
    """Test mR of each method: the bar is the mean over the seeds, a dot is one seed; below the name its parameters."""
    methods = list(dict.fromkeys(run.method for run in runs))
    colour_of = _method_colours(runs)
    figure, axis = plt.subplots(figsize=(9, 0.85 * len(methods) + 1.5))
    rng = np.random.default_rng(0)
    names = []
    for y, method in enumerate(methods):
        own = [run for run in runs if run.method == method]
        values = np.array([run.mr for run in own])
        axis.barh(y, values.mean(), color=colour_of[method], alpha=0.55, height=0.62)
        axis.plot(values, y + rng.uniform(-0.12, 0.12, len(values)), "o", color="black", markersize=5)
        spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
        said = f"{values.mean():.1f}{spread}"
        axis.annotate(said, (values.max(), y), (10, 0), textcoords="offset points", va="center")
        names.append(f"{own[0].title}\n{own[0].trainable:,} trained")
    axis.set_yticks(range(len(methods)), names)
    axis.invert_yaxis()
    axis.margins(x=0.14)
    axis.grid(axis="y", visible=False)
    axis.set(xlabel="test mR (%), mean and spread over seeds")
    axis.set_title(wrapped(title, 7.5))
    return figure


def _method_colours(runs: Sequence[Run]) -> dict[str, str]:
    fixed = {"zero_shot": PALETTE[7], "linear_probe": PALETTE[5], "mrs": PALETTE[2], "full": PALETTE[0]}
    spare = iter([PALETTE[i] for i in (1, 3, 4, 6, 8, 9)] * 3)
    return {m: fixed.get(m) or next(spare) for m in dict.fromkeys(run.method for run in runs)}
