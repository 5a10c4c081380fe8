"""Figures that explain a method: boxes and arrows, no data."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.colors
import matplotlib.patches
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from rsnb.figures.style import FAMILIES, GREY, HIT, IMAGE, SHARED, TEXT, styled


def _box(axis, x: float, y: float, w: float, h: float, text: str, colour: str, dashed: bool = False) -> None:
    fill, style = matplotlib.colors.to_rgba(colour, 0.22), "--" if dashed else "-"
    axis.add_patch(
        FancyBboxPatch(
            (x - w / 2, y - h / 2),
            w,
            h,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            facecolor=fill,
            edgecolor=colour,
            linewidth=1.6,
            linestyle=style,
        )
    )
    axis.text(x, y, text, ha="center", va="center", fontsize=11)


def _arrow(axis, *points: tuple[float, float], colour: str = "0.25") -> None:
    """A line through the points with a head at its end."""
    for a, b in zip(points[:-2], points[1:-1]):
        axis.plot(*zip(a, b), color=colour, linewidth=1.6, solid_capstyle="round")
    axis.add_patch(
        FancyArrowPatch(
            *points[-2:], arrowstyle="-|>", mutation_scale=13, color=colour, linewidth=1.6, shrinkA=0, shrinkB=0
        )
    )


@styled
def mrs_diagram(widths: Mapping[str, int], bottleneck: int = 64, shared: int = 64) -> Figure:
    """Left: one residual block with the adapter beside its MLP. Right: inside the adapter, with all widths."""
    figure, (block, inside) = plt.subplots(1, 2, figsize=(12, 6.3), width_ratios=(1, 1.15))
    for axis in (block, inside):
        axis.set_axis_off()
        axis.set_aspect("equal")
    block.set(xlim=(-2.2, 4.4), ylim=(-0.9, 9.0))
    for y, text in ((1.1, "LayerNorm 1"), (2.2, "attention"), (5.2, "LayerNorm 2"), (6.3, "MLP")):
        _box(block, 0, y, 2.1, 0.75, text, GREY)
    _box(block, 3.0, 5.75, 2.3, 1.5, "MRS-Adapter\n(the same one in\nevery block)", HIT)
    for y in (3.5, 7.7):
        block.add_patch(matplotlib.patches.Circle((0, y), 0.24, facecolor="white", edgecolor="0.25", linewidth=1.6))
        block.text(0, y, "+", ha="center", va="center", fontsize=15)
    for low, high in ((-0.1, 0.72), (1.48, 1.82), (2.58, 3.26), (3.74, 4.82), (5.58, 5.92), (6.68, 7.46), (7.94, 8.6)):
        _arrow(block, (0, low), (0, high))
    _arrow(block, (0, 0.3), (-1.6, 0.3), (-1.6, 3.5), (-0.24, 3.5))
    _arrow(block, (0, 4.2), (-1.6, 4.2), (-1.6, 7.7), (-0.24, 7.7))
    _arrow(block, (0, 4.2), (3.0, 4.2), (3.0, 5.0), colour=HIT)
    _arrow(block, (3.0, 6.5), (3.0, 7.7), (0.24, 7.7), colour=HIT)
    block.text(0, -0.4, "x", ha="center", fontsize=13, fontstyle="italic")
    block.text(0.15, 3.85, "x₁", fontsize=13, fontstyle="italic")
    block.text(0.2, 8.45, "x₂ = x₁ + MLP(LN₂(x₁)) + adapter(x₁)", fontsize=11)
    block.set_title("One block of a tower: grey is frozen, green trains", fontsize=12)

    v, t = widths["image"], widths["text"]
    inside.set(xlim=(-4.6, 4.6), ylim=(-0.9, 9.0))
    for x, name, width, colour in ((-2.7, "image", v, IMAGE), (2.7, "text", t, TEXT)):
        inside.text(x, -0.4, f"{name} stream x₁: {width}", ha="center", fontsize=11.5, color=colour, fontweight="bold")
        _box(inside, x, 1.3, 2.6, 0.8, f"down: {width} → {bottleneck}", colour)
        _box(inside, x, 3.0, 2.6, 0.8, "ReLU, dropout 0.5", GREY, dashed=True)
        _box(inside, x, 5.0, 2.3, 0.8, f"up: {bottleneck} → {width - shared}", colour)
        _box(inside, x, 7.2, 2.6, 0.8, f"concat: {width - shared} + {shared}", GREY, dashed=True)
        inside.text(
            x, 8.5, f"added to the {name} stream: {width}", ha="center", fontsize=11.5, color=colour, fontweight="bold"
        )
        _arrow(inside, (x, -0.05), (x, 0.88))
        _arrow(inside, (x, 1.72), (x, 2.58))
        _arrow(inside, (x, 3.42), (x, 4.58))
        _arrow(inside, (x, 5.42), (x, 6.78))
        _arrow(inside, (x, 7.62), (x, 8.4))
        side, into = (-0.35, x + 0.7) if x < 0 else (0.35, x - 0.7)
        _arrow(inside, (x, 3.8), (side, 3.8), (side, 4.58), colour=colour)
        _arrow(inside, (side, 5.47), (side, 6.1), (into, 6.1), (into, 6.78), colour=SHARED)
    _box(inside, 0, 5.0, 2.4, 0.9, f"up, shared:\n{bottleneck} → {shared}", SHARED)
    inside.set_title("Inside the adapter: two down-projections, two up-projections, one shared", fontsize=12)
    return figure


# A tower from below upwards: height, text and width of CLIP's own boxes, and the arrows between all boxes (low, high).
TOWER = (
    (0.0, "tokens: patches or words", 4.2),
    (2.5, "LayerNorm 1", 2.0),
    (3.35, "attention", 2.0),
    (5.7, "LayerNorm 2", 2.0),
    (6.55, "MLP", 2.0),
    (9.5, "pool and project", 3.0),
)
STREAM = (
    *((0.32, 2.18), (2.82, 3.03), (3.67, 3.95), (4.45, 4.63), (5.07, 5.38)),
    *((6.02, 6.23), (6.87, 7.15), (7.65, 7.83), (8.27, 9.18), (9.82, 10.3)),
)
#: Where a note stands, its family, its text, what it points at.
NOTES = (
    (-6.9, 0.0, "prompt", "CoOp: 16 learned words\nbefore the caption\nVL-Prompt: CoOp and VPT", (-2.14, 0.0)),
    (-6.9, 1.95, "prompt", "VPT (deep): 50 learned\ntokens beside the patches,\nnew ones in every block", (-0.1, 1.7)),
    (-6.9, 4.2, "adapter", "Adapter, Cross-Modal\nAdapter: after attention\nand after the MLP", (-0.87, 4.2)),
    (-6.9, 3.35, "weights", "LoRA: W + BA in q, k, v", (-1.02, 3.35)),
    (
        *(3.75, 4.2, "adapter"),
        "Convpass: beside attention and\nbeside the MLP, a 3 x 3 convolution;\nimages only, input normed",
        (2.82, 3.5),
    ),
    (
        *(3.75, 6.75, "adapter"),
        "AdaptFormer: beside the MLP\nUniAdapter: the same place, with\na norm of its own\n"
        "MRS-Adapter: one adapter\nfor everything",
        (2.82, 6.55),
    ),
    (
        *(3.75, 10.65, "head"),
        "Linear probe: a matrix per modality\nCLIP-Adapter: two layers, blended\n0.2 new, 0.8 old",
        (1.52, 10.65),
    ),
    (3.75, 0.0, "weights", "Full fine-tuning: all that is grey", (2.14, 0.0)),
)


@styled
def families() -> Figure:
    """Where each method of the paper (and LoRA) reaches into a tower: grey is CLIP's own, colours are the families."""
    figure, axis = plt.subplots(figsize=(12, 9.2))
    axis.set_axis_off()
    axis.set_aspect("equal")
    axis.set(xlim=(-7.0, 7.4), ylim=(-0.9, 11.3))
    colours = {name: colour for name, (_, colour, *_) in FAMILIES.items()}
    _draw_frame(axis)
    for y, text, w in TOWER:
        _box(axis, 0, y, w, 0.6, text, GREY)
    _draw_adapters(axis, colours["adapter"])
    for low, high in STREAM:
        _arrow(axis, (0, low), (0, high))
    _box(axis, 0, 10.65, 3.0, 0.6, "head", colours["head"])
    for x, y, family, text, (to_x, to_y) in NOTES:
        colour = colours[family]
        axis.text(x, y, text, color=colour, fontsize=11.5, va="center", linespacing=1.35, fontweight="bold")
        start = x - 0.1 if x > 0 else -3.15
        axis.plot([start, to_x], [y if x > 0 else to_y, to_y], color=colour, linewidth=1.1, linestyle=":")
    axis.set_title("Thirteen ways into one tower, by what they add (colour) and where", fontsize=13)
    return figure


def _draw_frame(axis) -> None:
    """Around one block of the tower."""
    axis.add_patch(
        FancyBboxPatch(
            (-3.1, 1.3),
            6.2,
            7.3,
            boxstyle="round,pad=0.02,rounding_size=0.15",
            facecolor="0.97",
            edgecolor="0.7",
            linewidth=1.4,
        )
    )
    axis.text(-2.95, 8.5, "one block,\nrepeated", fontsize=11, color="0.4", va="top")


def _draw_adapters(axis, colour: str) -> None:
    """In line behind attention and MLP, and beside both, with CLIP's own ways around them."""
    for y in (4.2, 7.4):
        _box(axis, 0, y, 1.7, 0.45, "serial", colour)
    for y, low, high in ((3.35, 2.1, 4.85), (6.55, 5.25, 8.05)):
        _box(axis, 2.05, y, 1.5, 0.6, "parallel", colour)
        _arrow(axis, (0, low), (2.05, low), (2.05, y - 0.32), colour=colour)
        _arrow(axis, (2.05, y + 0.32), (2.05, high), (0.22, high), colour=colour)
        _arrow(axis, (0, low), (-1.7, low), (-1.7, high), (-0.22, high))
        axis.add_patch(matplotlib.patches.Circle((0, high), 0.2, facecolor="white", edgecolor="0.25", linewidth=1.6))
        axis.text(0, high, "+", ha="center", va="center", fontsize=14)
