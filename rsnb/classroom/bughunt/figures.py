"""The figures of the bug hunt: what each bug did to mR, and the epoch that test would choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rsnb.figures.style import GREY, HIT, IMAGE, MISS, TEXT, heading, styled, wrapped


@styled
def shown_and_honest(rows: Sequence[tuple[str, float, float]], title: str) -> Figure:
    """What each suspect printed and what it gives repaired: (name, shown mR, honest mR), in percent."""
    rows = sorted(rows, key=lambda row: row[2] - row[1])
    figure, axis = plt.subplots(figsize=(10, 0.5 * len(rows) + 2.0))
    for place, (_, shown, honest) in enumerate(rows):
        axis.plot((shown, honest), (place, place), color=GREY, linewidth=2, zorder=1)
        gap = f"{shown - honest:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")
        axis.annotate(gap, (max(shown, honest), place), (11, 0), textcoords="offset points", va="center")
    places = range(len(rows))
    axis.scatter([row[2] for row in rows], places, s=110, color=HIT, zorder=2, label="honest, after the repair")
    axis.scatter(
        [row[1] for row in rows],
        places,
        s=80,
        marker="X",
        color=MISS,
        edgecolors="white",
        linewidths=0.7,
        zorder=3,
        label="shown, with the bug",
    )
    axis.set_yticks(places, [row[0] for row in rows])
    axis.invert_yaxis()
    axis.margins(x=0.1, y=0.09)
    axis.set(xlabel="test mR (%); the number beside a pair is shown minus honest")
    axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    heading(figure, title)
    return figure


@styled
def epoch_choice(history: Sequence[Mapping[str, float]], title: str) -> Figure:
    """Validation and test mR over the epochs, with the epoch that each of them would choose and its test mR."""
    epochs = [row["epoch"] for row in history]
    figure, axis = plt.subplots(figsize=(10, 4.8))
    axis.plot(epochs, [row["val_mr"] for row in history], "o-", markersize=4, color=IMAGE, label="validation")
    axis.plot(epochs, [row["test_mr"] for row in history], "s-", markersize=4, color=TEXT, label="test")
    for part, mark, colour in (("val", "o", HIT), ("test", "X", MISS)):
        best = max(history, key=lambda row: row[f"{part}_mr"])
        name = "validation" if part == "val" else "test"
        axis.axvline(best["epoch"], color=colour, linestyle="--", linewidth=1.5)
        said = f"{name} chooses epoch {best['epoch']}: test mR {best['test_mr']:.1f}"
        axis.plot(
            best["epoch"],
            best["test_mr"],
            mark,
            markersize=13,
            color=colour,
            markeredgecolor="black",
            zorder=5,
            linestyle="none",
            label=said,
        )
    axis.set(xlabel="epoch", ylabel="mR (%)")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    axis.set_title(wrapped(title, 10))
    return figure
