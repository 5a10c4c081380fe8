"""The colours and the style that all figures share."""

from __future__ import annotations

import functools
import textwrap
from typing import Any

import matplotlib
import matplotlib.colors
import matplotlib.patches
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
IMAGE, TEXT, SHARED, HIT, MISS, GREY = PALETTE[0], PALETTE[1], PALETTE[4], PALETTE[2], PALETTE[3], "0.55"
MARKERS = "os^DvPX"
STYLE = {
    "font.size": 12, "axes.titlesize": 13, "axes.labelsize": 12, "legend.fontsize": 11, "xtick.labelsize": 11,
    "ytick.labelsize": 11, "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.titlepad": 10,
    "axes.grid": True, "grid.color": "0.9", "axes.axisbelow": True, "axes.edgecolor": "0.7", "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "figure.facecolor": "white", "lines.linewidth": 2,
    "figure.constrained_layout.use": True, "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
}  # fmt: skip


def styled(draw):
    """Draw in the common style, whatever the caller's settings are. Text is text: a dollar sign in a caption or in the
    name of a class begins no formula. Only the powers of ten of a logarithmic axis are formulas."""

    @functools.wraps(draw)
    def inside(*args, **kwargs) -> Figure:
        with plt.rc_context(STYLE | {"text.parse_math": False}):
            figure = draw(*args, **kwargs)
            for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
                for label in axis.get_ticklabels(which="both"):
                    label.set_parse_math(axis.get_scale() == "log")
            return figure

    return inside


def wrapped(text: str, width: float, size: float = 13) -> str:
    """Break a title to `width` inches of bold type of that size."""
    return "\n".join(textwrap.wrap(text, max(12, int(width * 112 / size))))


def as_array(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def heading(figure: Figure, title: str) -> None:
    """A title over all panels, at the left."""
    figure.suptitle(wrapped(title, figure.get_figwidth()), x=0.01, ha="left", fontsize=14, fontweight="bold")


def frame(axis, hit: bool) -> None:
    """A green frame for a hit, a red dashed one for a miss: told apart without colour too."""
    axis.axis("on")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=True, color=HIT if hit else MISS, linewidth=4 if hit else 2.5, linestyle="-" if hit else "--")


FAMILIES = {"head": ("heads", PALETTE[5], "s"), "prompt": ("prompts", PALETTE[4], "^"),
            "adapter": ("adapters", PALETTE[2], "o"), "weights": ("weights", PALETTE[0], "D")}  # fmt: skip
