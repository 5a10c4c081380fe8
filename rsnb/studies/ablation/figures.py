"""The figures of an ablation: a line for one axis of numbers, a heat map for two axes, else differences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rsnb.base.files import write_bytes
from rsnb.figures import png
from rsnb.figures.style import HIT, IMAGE, MISS, TEXT, heading, styled, wrapped
from rsnb.studies.ablation.differences import cell_label, row_name

COLOUR = {"better": HIT, "worse": MISS, "cannot be told": "0.45", "collapsed": "black", "baseline": IMAGE, "": "0.45"}
SIGN = {"better": "^", "worse": "v", "cannot be told": "o", "collapsed": "X", "baseline": "s", "": "o"}

LINES = (IMAGE, TEXT, HIT, MISS)
LEAST = 16  # mR: what the axis spans at least, and the colours: a small difference looks small


def difference_figure(table: Sequence[Mapping[str, Any]], axes: Sequence[str], question: str) -> Figure:
    """The right figure for ``difference_rows``: by the number of axes, and whether their values are numbers. Its label
    says what it shows, for readers who cannot see it."""
    numbers = [axis for axis in axes if all(_is_number(row[axis]) for row in table)]
    if len(axes) == 3:
        figure = lines(table, axes, question)
    elif len(axes) == 1 and numbers:
        figure = line(table, axes[0], question)
    elif len(axes) == 2 and len(table) > 2:
        figure = heat_map(table, axes[0], axes[1], question)
    else:
        figure = differences(table, axes, question)
    cells = ", ".join(f"{row_name(row, axes)} {row['mR']:.1f}" for row in table)
    figure.set_label(f"{question} {table[0]['part'].capitalize()} mR of each cell: {cells}.")
    return figure


@styled
def line(table: Sequence[Mapping[str, Any]], axis: str, question: str) -> Figure:
    """mR over one axis of numbers, the baseline as a square; the bars are the 95 % intervals of the differences from
    it, which decide the verdicts."""
    rows = sorted(table, key=lambda row: row[axis])
    places = range(len(rows))
    figure, ax = plt.subplots(figsize=(9, 4.6))
    ax.plot(places, [row["mR"] for row in rows], color=IMAGE)
    bars = "95 % interval of the difference from the baseline"
    for place, row in zip(places, rows):
        verdict = row["verdict"]
        if not math.isnan(row["low"]):
            ax.errorbar(place, row["mR"], _around(row), color=COLOUR[verdict], capsize=5, linestyle="none", label=bars)
            bars = None
        ax.plot(place, row["mR"], SIGN[verdict], markersize=11, color=COLOUR[verdict], markeredgecolor="black")
        ax.annotate(f"{row['mR']:.1f}", (place, row["mR"]), (9, 7), textcoords="offset points")
    ax.set_xticks(places, [cell_label(row[axis]) for row in rows])
    ax.margins(y=0.25)
    low, high = ax.get_ylim()
    if high - low < LEAST:
        ax.set_ylim((low + high - LEAST) / 2, (low + high + LEAST) / 2)
    ax.set(xlabel=axis, ylabel=f"{table[0]['part']} mR (%)")
    ax.set_title(wrapped(question, 9))
    _legend(figure, ax, {row["verdict"] for row in rows})
    return figure


@styled
def heat_map(table: Sequence[Mapping[str, Any]], first: str, second: str, question: str) -> Figure:
    """mR over two axes, the number in each cell; below it the difference from the baseline and what it is worth."""
    rows, columns = (list(dict.fromkeys(row[axis] for row in table)) for axis in (first, second))
    values = np.full((len(rows), len(columns)), np.nan)
    figure, ax = plt.subplots(figsize=(max(6.5, 1.7 * len(columns) + 2.5), 1.0 * len(rows) + 2.2))
    for row in table:
        values[rows.index(row[first]), columns.index(row[second])] = row["mR"]
    low, high = np.nanmin(values), np.nanmax(values)
    if high - low < LEAST:
        low, high = (low + high - LEAST) / 2, (low + high + LEAST) / 2
    shown = ax.imshow(values, cmap="viridis", aspect="auto", vmin=low, vmax=high)
    middle = low + 0.6 * (high - low)
    for row in table:
        place = columns.index(row[second]), rows.index(row[first])
        gap = row["verdict"] if math.isnan(row["difference"]) else f"{row['difference']:+.1f}, {row['verdict']}"
        ax.text(
            *place,
            f"{row['mR']:.1f}\n{gap}",
            ha="center",
            va="center",
            fontsize=11,
            color="black" if row["mR"] > middle else "white",
        )
    ax.set_xticks(range(len(columns)), [textwrap.fill(cell_label(v), 14) for v in columns])
    ax.set_yticks(range(len(rows)), [cell_label(v) for v in rows])
    ax.grid(False)
    ax.set(xlabel=second, ylabel=first)
    ax.set_title(wrapped(question, figure.get_figwidth() - 1))
    figure.colorbar(shown, ax=ax, label=f"{table[0]['part']} mR (%)")
    return figure


@styled
def lines(table: Sequence[Mapping[str, Any]], axes: Sequence[str], question: str) -> Figure:
    """mR over the second axis, a line for each value of the third, a panel for each of the first; the bars are the
    95 % intervals of the differences that are judged, a cross is a cell that collapsed."""
    panels, places, names = (list(dict.fromkeys(row[axis] for row in table)) for axis in axes)
    places.sort()
    figure, all_of = plt.subplots(1, len(panels), figsize=(4.6 * len(panels) + 1, 4.6), sharey=True, squeeze=False)
    for ax, panel in zip(all_of[0], panels):
        for name, colour in zip(names, LINES):
            rows = {row[axes[1]]: row for row in table if (row[axes[0]], row[axes[2]]) == (panel, name)}
            known = [x for x in places if x in rows]
            x, mean = [places.index(p) for p in known], [rows[p]["mR"] for p in known]
            around = np.nan_to_num([_around(rows[p]) for p in known])[:, :, 0].T  # (2, places)
            shift = 0.05 * (names.index(name) - (len(names) - 1) / 2)  # bars side by side
            x = [place + shift for place in x]
            ax.errorbar(x, mean, around, color=colour, marker="o", capsize=4, label=str(name))
            dead = [(i, m) for i, m, p in zip(x, mean, known) if rows[p]["verdict"] == "collapsed"]
            if dead:
                ax.plot(*zip(*dead), SIGN["collapsed"], color=colour, markersize=13, markeredgecolor="black")
        ax.set_xticks(range(len(places)), [cell_label(p) for p in places])
        ax.set(xlabel=axes[1], title=str(panel))
    all_of[0][0].set_ylabel(f"{table[0]['part']} mR (%)")
    low, high = all_of[0][0].get_ylim()
    if high - low < LEAST:
        all_of[0][0].set_ylim((low + high - LEAST) / 2, (low + high + LEAST) / 2)
    heading(figure, question)
    bars = "bars: 95 % interval of the difference that a verdict is about"
    legend = {"loc": "outside lower left", "ncols": len(names), "title": bars, "alignment": "left"}
    figure.legend(*all_of[0][0].get_legend_handles_labels(), **legend)
    return figure


@styled
def differences(table: Sequence[Mapping[str, Any]], axes: Sequence[str], question: str) -> Figure:
    """The difference of each cell from the baseline with its 95 % interval; left of the line is worse."""
    rows = [row for row in table if not math.isnan(row["difference"])]
    base = next((row for row in table if row["verdict"] == "baseline"), None)
    figure, ax = plt.subplots(figsize=(9, 0.55 * max(1, len(rows)) + 2.0))
    names = []
    for place, row in enumerate(rows):
        colour = COLOUR[row["verdict"]]
        ax.plot((row["low"], row["high"]), (place, place), color=colour, linewidth=3)
        ax.plot(row["difference"], place, SIGN[row["verdict"]], markersize=11, color=colour, markeredgecolor="black")
        names.append(row_name(row, axes))
    ax.axvline(0, color="0.2", linewidth=1.5)
    ax.set_yticks(range(len(rows)), names)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    said = f"difference in {table[0]['part']} mR"
    said += f" from “{row_name(base, axes)}” ({base['mR']:.1f})" if base else ""
    ax.set(xlabel=said)
    ax.set_title(wrapped(question, 7.5))
    _legend(figure, ax, {row["verdict"] for row in rows})
    return figure


@styled
def coverage_figure(found: Mapping[str, Mapping[int, Mapping[str, float]]], truth: float) -> Figure:
    """How often each kind of interval holds the truth, and how often it sees a true difference, by number of seeds.

    found: {kind of interval: {seeds: :func:`rsnb.measures.coverage.coverage`'s "holds", and "tells" at ``truth``}}.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.85 * len(found) + 1.9), sharey=True)
    seeds = list(next(iter(found.values())))
    for ax, key in zip(axes, ("holds", "tells")):
        for place, of in enumerate(found.values()):
            for row, count in enumerate(seeds):
                where, share = place + 0.38 * (row - (len(seeds) - 1) / 2), 100 * of[count][key]
                ax.barh(where, share, 0.34, color=(IMAGE, TEXT)[row % 2], label=None if place else f"{count} seeds")
                ax.text(share - 2, where, f"{share:.1f} %", ha="right", va="center", color="white", weight="bold")
        ax.set(xlim=(0, 118), xlabel="of all experiments (%)")
        ax.grid(axis="y", visible=False)
    axes[0].axvline(95, color="0.2", linewidth=1.5, linestyle="--")
    axes[0].set_title("holds the true difference\n(dashed: the 95 % that it promises)")
    axes[1].set_title(f"sees a true difference of {truth:g} mR\n(nothing is gained where the left is too low)")
    axes[0].set_yticks(range(len(found)), list(found))
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure


def save(figure: Figure, path: Path, stamp: str) -> None:
    """Write a figure with its stamp under it."""

    write_bytes(path, png.picture(figure, alt=path.stem, stamp=stamp))


def _legend(figure: Figure, ax, verdicts: set[str]) -> None:
    said = {
        "baseline": "baseline",
        "better": "better than the baseline",
        "worse": "worse than the baseline",
        "cannot be told": "cannot be told from the baseline",
        "collapsed": "collapsed: never left its start",
    }
    for verdict, text in said.items():
        if verdict in verdicts:
            ax.plot([], [], SIGN[verdict], color=COLOUR[verdict], markeredgecolor="black", markersize=9, label=text)
    if ax.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower left", ncols=2)


def _around(row: Mapping[str, Any]) -> list[list[float]]:
    """[[down], [up]]: how far the interval of a row's difference reaches from its mR."""
    return [[row["difference"] - row["low"]], [row["high"] - row["difference"]]]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
