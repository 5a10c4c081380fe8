"""The figures of the audit: gaps of the means, recalls that can be counts, ceilings, and the choice of the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rsnb.figures.style import GREY, HIT, IMAGE, MISS, SHARED, TEXT, heading, styled, wrapped

LOOKS = ((IMAGE, "o"), (TEXT, "s"), (HIT, "D"))  # of the kinds of methods, in their order


@styled
def mean_gaps(table: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Printed minus computed mR of every row (mR points), in the order of the tables; what rounding cannot explain is
    named. table: of ``audit.means``."""
    figure, axis = plt.subplots(figsize=(11, 4.6))
    axis.axhspan(-0.01, 0.01, color=HIT, alpha=0.25, label="what rounding explains")
    start = 0
    for name in dict.fromkeys(line["dataset"] for line in table):
        own = [line for line in table if line["dataset"] == name]
        axis.axvline(start - 0.5, color="0.75", linewidth=1)
        axis.text(start, 0.385, name, fontweight="bold", va="center")
        for place, line in enumerate(own, start=start):
            beyond = line["verdict"] == "beyond"
            axis.plot(
                place,
                line["gap"],
                "X" if beyond else "o",
                color=MISS if beyond else IMAGE,
                markersize=12 if beyond else 6,
                markeredgecolor="white",
            )
            if beyond:
                text = f"{line['method']}\n{line['printed']:.2f} printed\n{line['computed']:.2f} computed"
                right = place > 0.5 * len(table)
                axis.annotate(
                    text,
                    (place, line["gap"]),
                    (-10 if right else 10, 0),
                    textcoords="offset points",
                    ha="right" if right else "left",
                    va="center",
                )
        start += len(own)
    axis.set(
        xlim=(-1.5, start),
        ylim=(-0.25, 0.44),
        ylabel="printed − computed mR",
        xticks=[],
        xlabel=f"the {len(table)} printed rows, in the order of the tables",
    )
    axis.legend(loc="lower right")
    heading(figure, title)
    return figure


@styled
def pass_shares(
    cells: Sequence[Mapping[str, Any]], kinds: Sequence[str], ways: Mapping[str, str], title: str
) -> Figure:
    """A panel a direction, a group of lines a data set: the share of printed recalls that can be counts (coloured
    mark), and the share that luck gives (grey bar). cells: of ``audit.granularity``."""
    sets = list(dict.fromkeys(cell["dataset"] for cell in cells))
    rows = [(name, kind) for name in sets for kind in kinds]
    figure, axes = plt.subplots(1, len(ways), figsize=(12, 0.45 * len(rows) + 2.1), sharey=True)
    for axis, (way, words) in zip(axes, ways.items()):
        for cell in (cell for cell in cells if cell["way"] == way):
            place = rows.index((cell["dataset"], cell["methods"]))
            colour, mark = LOOKS[kinds.index(cell["methods"])]
            axis.barh(place, cell["chance"], height=0.72, color="0.85", zorder=1)
            axis.plot(cell["share"], place, mark, color=colour, markersize=11, markeredgecolor="black", zorder=3)
            left = cell["share"] > 0.8
            axis.annotate(
                f"{cell['passed']} of {cell['total']}",
                (cell["share"], place),
                (-11 if left else 11, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=11,
            )
        axis.set(xlim=(-0.03, 1.04), xlabel="share that can be counts (grey: by luck)")
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.set_title(words, fontsize=12)
        axis.grid(axis="y", visible=False)
        for place in range(len(kinds), len(rows), len(kinds)):
            axis.axhline(place - 0.5, color="0.7", linewidth=1)
    axes[0].set_yticks(range(len(rows)), [f"{name} · {kind}" for name, kind in rows])
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    heading(figure, title)
    return figure


@styled
def image_counts(
    scans: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], stated: Mapping[str, int], title: str
) -> Figure:
    """A panel per data set: had the test split N images, what share of the printed image-to-text recalls could be
    counts? A line per kind of methods, its best N marked. scans: data set -> kind -> of ``audit.who_counted``."""
    figure, axes = plt.subplots(1, len(scans), figsize=(12, 4.4), sharey=True)
    for axis, (name, kinds) in zip(axes, scans.items()):
        axis.axvline(stated[name], color="0.2", linestyle="--", linewidth=1.2)
        some = next(iter(kinds.values()))
        axis.plot([c["images"] for c in some], [c["chance"] for c in some], color=GREY, label="by luck")
        for (kind, scan), (colour, mark) in zip(kinds.items(), LOOKS):
            best = max(scan, key=lambda cell: cell["passed"])
            axis.plot([c["images"] for c in scan], [c["share"] for c in scan], color=colour, linewidth=0.8, alpha=0.6)
            axis.plot(
                best["images"],
                best["share"],
                mark,
                color=colour,
                markersize=10,
                markeredgecolor="black",
                label=kind if name == next(iter(scans)) else None,
            )
            if best["luck"] * len(scan) < 0.001:
                axis.annotate(
                    f"{best['images']:,}",
                    (best["images"], best["share"]),
                    (9, 0),
                    va="center",
                    textcoords="offset points",
                )
        axis.set(xlabel=f"images N (stated: {stated[name]:,})", ylim=(0, 1.06))
        axis.set_title(name, fontsize=12)
        axis.locator_params(axis="x", nbins=4)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1))
    axes[0].set_ylabel("recalls that can be counts over N")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    heading(figure, title)
    return figure


@styled
def ceilings(
    panels: Mapping[str, tuple[Mapping[str, float], Mapping[str, float] | None, str]],
    names: Mapping[str, str],
    title: str,
) -> Figure:
    """A panel a test split: the ceiling of each recall (bar) and the best row beside it (dot), in percent.

    panels: split -> (ceiling by recall, a row's recalls or None, the name of that row). names: recall -> its label.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(12, 4.4), sharey=True)
    for axis, (name, (limit, row, whose)) in zip(axes, panels.items()):
        places = range(len(names))
        axis.barh(places, [limit[key] for key in names], color="0.85", label="ceiling")
        for place, key in enumerate(names):
            if limit[key] < 99.95:
                axis.text(limit[key] - 1.5, place + 0.26, f"{limit[key]:.1f}", ha="right", va="center", color="0.3")
        if row:
            axis.plot([row[key] for key in names], places, "o", color=IMAGE, markersize=10, markeredgecolor="black")
        axis.set(xlim=(0, 103), xlabel=f"{whose} (dot), ceiling (bar), %")
        axis.set_title(name, fontsize=12)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(names)), names.values())
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    heading(figure, title)
    return figure


@styled
def epoch_gains(runs: Sequence[Mapping[str, Any]], titles: Mapping[str, str], title: str) -> Figure:
    """What choosing the epoch on test adds, in mR points, a dot per run. Left: over the whole test part. Right: on the
    half of it that chose, and on the half that did not. runs: of ``audit.choice``; titles: method -> its name."""
    methods = list(dict.fromkeys(run["method"] for run in runs))
    figure, axes = plt.subplots(1, 2, figsize=(12, 0.8 * len(methods) + 2.4), sharey=True)
    for place, method in enumerate(methods):
        own = [run for run in runs if run["method"] == method]
        at = [place + 0.16 * (number - (len(own) - 1) / 2) for number in range(len(own))]
        axes[0].plot([run["gain"] for run in own], at, "o", color=IMAGE, markersize=10, markeredgecolor="black")
        axes[1].plot(
            [run["own_half"] for run in own],
            at,
            "X",
            color=MISS,
            markersize=11,
            markeredgecolor="white",
            label=None if place else "on the half that chose",
        )
        axes[1].plot(
            [run["other_half"] for run in own],
            at,
            "o",
            color=SHARED,
            markersize=9,
            markeredgecolor="black",
            label=None if place else "on the other half",
        )
    for axis, words in zip(axes, ("Chosen by the whole test part", "Chosen by a random half of it")):
        axis.axvline(0, color="0.2", linewidth=1.5)
        axis.set_title(wrapped(words, 6), fontsize=12)
        axis.set_xlabel("gain over validation's choice (mR points)")
        axis.margins(x=0.12)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(methods)), [titles.get(method, method) for method in methods])
    axes[0].set_ylim(len(methods) - 0.4, -0.6)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    heading(figure, title)
    return figure
