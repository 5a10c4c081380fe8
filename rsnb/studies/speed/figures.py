"""The figures of *Why it is fast*: a training step, one saving after the other; and where the rest of it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rsnb.figures.style import HIT, IMAGE, MISS, heading, styled
from rsnb.studies.speed.accounting import AT_THE_RATE, NAMED_NOT


@styled
def waterfall(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Seconds of a step and megabytes kept for its backward pass, from the published version (top) to ours (bottom).

    rows: as of ``bench.waterfall``: name, seconds, megabytes_kept. What a step saves is green, what it costs is red,
    what is left is blue; the number beside a bar is what is left, and how many times less than at the top.
    """
    figure, axes = plt.subplots(1, 2, figsize=(12, 0.55 * len(rows) + 2.1), sharey=True)
    panels = (
        ("seconds", "seconds per step", "{:.2f} s"),
        ("megabytes_kept", "megabytes kept for the backward pass", "{:,.0f} MB"),
    )
    for axis, (key, label, form) in zip(axes, panels):
        values = [row[key] for row in rows]
        for place, (value, before) in enumerate(zip(values, [values[0], *values])):
            left = min(value, before)
            ends = IMAGE if place in (0, len(rows) - 1) else "#9cc3de"
            axis.barh(place, left, color=ends, height=0.7)
            axis.barh(place, abs(value - before), left=left, color=HIT if value <= before else MISS, height=0.7)
            text = form.format(value) + (f"  ({values[0] / value:.2g}x less)" if place and value < values[0] else "")
            axis.annotate(text, (max(value, before), place), (5, 0), textcoords="offset points", va="center")
        axis.set_xlim(0, 1.42 * max(values))
        axis.set_xlabel(label)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes[0].invert_yaxis()
    meaning = {"what is left": IMAGE, "saved": HIT, "added": MISS}
    handles = [Patch(color=colour, label=name) for name, colour in meaning.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    heading(figure, title)
    return figure


@styled
def where_the_time_goes(found: Mapping[str, Any], title: str) -> Figure:
    """Share of a step for each kind of work; green is what it would take at the machine's best rate of multiplication.

    found: as of ``rsnb.studies.speed.accounting.account``.
    """
    rows = found["rows"]
    figure, axis = plt.subplots(figsize=(9, 0.4 * len(rows) + 1.6))
    colours = {AT_THE_RATE: HIT, NAMED_NOT: "#9cc3de"}
    shares = [100 * row["share"] for row in rows]
    axis.barh(range(len(rows)), shares, color=[colours.get(row["name"], IMAGE) for row in rows], height=0.7)
    for place, share in enumerate(shares):
        axis.annotate(f"{share:.1f} %", (share, place), (5, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.15 * max(shares))
    axis.set_xlabel(f"share of a step in {found['precision']} (%)")
    axis.grid(axis="y", visible=False)
    heading(figure, title)
    return figure
