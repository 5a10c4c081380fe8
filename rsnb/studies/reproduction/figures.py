"""Figures of the reproduction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rsnb.base.recalls import COLUMNS
from rsnb.config import TrainConfig
from rsnb.figures.style import GREY, MARKERS, PALETTE, STYLE, heading, wrapped
from rsnb.studies.reproduction.cells import full_size
from rsnb.studies.reproduction.compare import PAPER

# --- figures ----------------------------------------------------------------------------------------------------
TITLES = {"ucm": "UCM-Captions", "rsitmd": "RSITMD", "rsicd": "RSICD"}


def time_figure(marks: dict[str, float], title: str):
    """Hours of the training steps of one run (30 epochs) against the seconds that a step takes, a line per data set.

    marks: name -> seconds per step, measured somewhere; each a vertical line with the hours of every data set on it.
    """
    import matplotlib.pyplot as plt

    config = TrainConfig.paper()
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(10, 5.2))
        seconds = (0.02, max(20.0, 1.5 * max(marks.values(), default=1.0)))
        for data, colour, marker in zip(PAPER, PALETTE, MARKERS):
            steps = config.epochs * math.ceil(full_size(data)[1] / config.batch_size)
            axis.plot(seconds, [steps * s / 3600 for s in seconds], color=colour)
            measured = list(marks.values())
            axis.plot(
                measured,
                [steps * s / 3600 for s in measured],
                marker,
                color=colour,
                markersize=9,
                markeredgecolor="white",
                label=f"{TITLES[data]}: {steps:,} steps",
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="seconds per step of 16 pairs (log scale)",
            ylabel="hours of one run (log scale)",
            xlim=seconds,
        )
        low, high = axis.get_ylim()
        axis.set_ylim(low, 3 * high)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_major_formatter("{x:,g}")
        note = {"textcoords": "offset points", "fontsize": 11}
        for line, (name, value) in enumerate(marks.items()):
            axis.axvline(value, color=GREY, linestyle="--", linewidth=1.2)
            above = {"xycoords": ("data", "axes fraction"), "ha": "right", "va": "top", "color": "0.3"}
            axis.annotate(name, (value, 1), (-5, -4 - 16 * line), **above, **note)  # one below the other
        for name, value in {"an hour": 1, "a day": 24, "a week": 168}.items():
            axis.axhline(value, color="0.8", linewidth=1)
            beside = {"xycoords": ("axes fraction", "data"), "va": "center", "color": "0.4"}
            axis.annotate(name, (1, value), (5, 0), **beside, **note)
        axis.legend(loc="lower right", frameon=True, framealpha=1, edgecolor="none")
        axis.set_title(wrapped(title, 9))
    return figure


def beside_figure(rows: Sequence[dict[str, Any]], title: str, rehearsal: bool = False):
    """A panel per method: each recall and mR, ours as a point (with the spread), the paper's as a diamond, guessing as
    a short line. rows: of :func:`compare`."""
    import matplotlib.pyplot as plt

    names = ("text\nR@1", "text\nR@5", "text\nR@10", "image\nR@1", "image\nR@5", "image\nR@10", "mR")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(rows), figsize=(11, 4.6), sharey=True, squeeze=False)
        for axis, row in zip(axes[0], rows):
            places = range(len(COLUMNS))
            if row["paper"]:
                axis.plot(
                    places,
                    [row["paper"][name] for name in COLUMNS],
                    "D",
                    color=PALETTE[1],
                    markersize=9,
                    label="paper, as printed",
                )
            axis.errorbar(
                places,
                [row["ours"][name] for name in COLUMNS],
                [row["spread"][name] for name in COLUMNS] if row["spread"] else None,
                fmt="o",
                capsize=4,
                color=PALETTE[0],
                markersize=8,
                label="ours",
            )
            for place, name in enumerate(COLUMNS):
                axis.hlines(
                    row["chance"][name],
                    place - 0.3,
                    place + 0.3,
                    color=GREY,
                    linewidth=2,
                    label="guessing" if place == 0 else None,
                )
            if rehearsal:
                axis.text(
                    0.5,
                    0.9,
                    "REHEARSAL",
                    transform=axis.transAxes,
                    ha="center",
                    va="center",
                    fontsize=22,
                    fontweight="bold",
                    color="0.82",
                    zorder=0,
                )
            axis.set_xticks(places, names)
            axis.set_title(row["title"])
            axis.set_ylim(0, 105)
        axes[0][0].set_ylabel("recall (%)")
        axes[0][0].legend(loc="upper left", bbox_to_anchor=(0, 0.86) if rehearsal else None)
        heading(figure, title)
    return figure
