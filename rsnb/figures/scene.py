"""Figures of a scene cut into tiles: scores on the map, and what they are compared with."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from rsnb.figures.style import GREY, HIT, PALETTE, heading, styled

COLOURS = "cividis"  # readable with every kind of colour vision, and in grey
TRUE = "#ff3b30"
WIDE = 12.0


@styled
def scene_picture(pixels: np.ndarray, side: int, title: str) -> Figure:
    """The whole scene with the lines at which it is cut."""
    height, width = pixels.shape[:2]
    figure, axis = plt.subplots(figsize=(WIDE, WIDE * height / width + 0.5))
    axis.imshow(pixels, interpolation="antialiased")
    for x in range(side, width, side):
        axis.axvline(x - 0.5, color="white", linewidth=0.8)
    for y in range(side, height, side):
        axis.axhline(y - 0.5, color="white", linewidth=0.8)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    heading(figure, title)
    return figure


def draw_scores(
    axis,
    pixels: np.ndarray,
    corners: np.ndarray,
    side: int,
    scores: np.ndarray,
    best: Sequence[int],
    true: Sequence[int],
    least: float = -np.inf,
) -> Any:
    """A faint grey scene under tiles shaded by score, each with its score times 100; the best ones are outlined and
    numbered in order, and the true ones have a frame inside.

    Args:
        corners: (n, 2), x and y of each tile in pixels. best: tiles, best first. true: tiles that are right.
        least: tiles that score less stay grey.
    """
    grey = pixels.mean(axis=2)
    axis.imshow(0.35 * grey + 155, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    norm = matplotlib.colors.Normalize(float(scores.min()), max(float(scores.max()), float(scores.min()) + 1e-6))
    shades = matplotlib.colormaps[COLOURS]
    size = axis.get_position().width * axis.figure.get_figwidth() * 72 * side / pixels.shape[1]  # points of a tile
    rank = {tile: n for n, tile in enumerate(best, start=1)}
    shown = np.flatnonzero(scores >= least)
    for n in shown:
        (x, y), score = corners[n], scores[n]
        colour = shades(norm(score))
        axis.add_patch(Rectangle((x, y), side, side, facecolor=colour, alpha=0.78, edgecolor="white", linewidth=0.4))
        dark = np.dot(colour[:3], (0.3, 0.6, 0.1)) < 0.55
        at, ink = (x + side / 2, y + side * (0.68 if n in rank else 0.5)), "white" if dark else "black"
        axis.text(*at, f"{100 * score:.0f}", ha="center", va="center", fontsize=min(9, size * 0.3), color=ink)
        if n in rank:
            edge = [withStroke(linewidth=1.2, foreground="black" if dark else "white")]
            axis.text(x + side / 2, y + side * 0.3, f"#{rank[n]}", ha="center", va="center", fontweight="bold",
                      fontsize=min(11, size * 0.36), color=ink, path_effects=edge)  # fmt: skip
    for n in (n for n in best if scores[n] >= least):
        axis.add_patch(Rectangle(tuple(corners[n]), side, side, fill=False, edgecolor="black", linewidth=2))
    inset = 0.09 * side
    for n in true:
        x, y = corners[n]
        box = (x + inset, y + inset), side - 2 * inset, side - 2 * inset
        axis.add_patch(Rectangle(*box, fill=False, edgecolor="white", linewidth=4.2))
        axis.add_patch(Rectangle(*box, fill=False, edgecolor=TRUE, linewidth=2.2))
    axis.set(xticks=[], yticks=[], xlim=(0, pixels.shape[1]), ylim=(pixels.shape[0], 0))
    axis.grid(False)
    return matplotlib.cm.ScalarMappable(norm, shades)


def explain(figure: Figure, best: str, true: str = "") -> None:
    """What an outlined and what a framed tile is, below the map."""
    box = functools.partial(Rectangle, (0, 0), 1, 1, fill=False)
    handles = [box(edgecolor="black", linewidth=2, label=best)]
    handles += [box(edgecolor=TRUE, linewidth=2, label=true)] * bool(true)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=1.4, handleheight=1.4)


@styled
def score_maps(
    pixels: np.ndarray,
    corners: np.ndarray,
    side: int,
    found: Mapping[str, tuple[Any, Any]],
    true: Any,
    name_of_true: str,
    title: str,
) -> Figure:
    """A map for each model: found is {name: (scores (n,), best tiles in order)}."""
    height, width = pixels.shape[:2]
    each = WIDE / len(found)
    figure, axes = plt.subplots(1, len(found), figsize=(WIDE, each * height / width + 2.0), squeeze=False)
    for axis, (name, (scores, best)) in zip(axes[0], found.items()):
        shades = draw_scores(axis, pixels, corners, side, np.asarray(scores), list(best), list(true))
        axis.set_title(name)
        figure.colorbar(shades, ax=axis, orientation="horizontal", fraction=0.05, pad=0.03, label="cosine")
    explain(figure, f"the {len(best)} best tiles, numbered", name_of_true)
    heading(figure, title)
    return figure


@styled
def dumbbells(rows: Mapping[str, tuple[float, float]], names: tuple[str, str], xlabel: str, title: str) -> Figure:
    """Two values of each row, joined by a line: a square and a circle; the largest gain is on top."""
    order = sorted(rows, key=lambda name: rows[name][1] - rows[name][0])
    figure, axis = plt.subplots(figsize=(11, 0.3 * len(order) + 1.8))
    for y, name in enumerate(order):
        one, two = rows[name]
        axis.plot([one, two], [y, y], color=HIT if two > one else PALETTE[3] if two < one else GREY, linewidth=2.5)
    for value, (marker, colour, name) in enumerate(zip("so", (GREY, PALETTE[0]), names)):
        dots = [rows[row][value] for row in order]
        axis.plot(dots, range(len(order)), marker, color=colour, markersize=8, label=name, clip_on=False)
    axis.set(yticks=range(len(order)), yticklabels=order, xlim=(-2, 102), xlabel=xlabel)
    figure.legend(loc="outside lower right", ncols=2)
    heading(figure, title)
    return figure


@styled
def best_scores(
    panels: Mapping[str, Mapping[str, Any]], marked: Mapping[str, Mapping[str, float]], title: str
) -> Figure:
    """A panel for each model: every best score as a tick in a row for each kind of query; marked ones have their name.

    Args:
        panels: {model: {kind: scores}}. marked: {model: {query: score}}.
    """
    figure, axes = plt.subplots(len(panels), 1, figsize=(11, 2.3 * len(panels) + 0.9), sharex=True, squeeze=False)
    for axis, (name, kinds) in zip(axes[:, 0], panels.items()):
        for y, scores in enumerate(kinds.values()):
            colour = (GREY, PALETTE[0])[y % 2]
            axis.plot(scores, np.full(len(scores), y), "|", color=colour, markersize=22, markeredgewidth=1.6)
            axis.plot(np.median(scores), y, "D", color="white", markeredgecolor="black", markersize=8)
        for query, score in marked.get(name, {}).items():
            axis.annotate(query, (score, 0), (score, -0.75), ha="center", fontsize=10,
                          arrowprops={"arrowstyle": "->", "color": "black"})  # fmt: skip
        axis.set(yticks=range(len(kinds)), yticklabels=kinds, ylim=(-1, len(kinds) - 0.4))
        axis.set_title(name)
        axis.grid(axis="y")
    axes[-1, 0].set_xlabel("cosine of the best hit (diamond: median)")
    heading(figure, title)
    return figure


@styled
def threshold_choice(
    scores: Any,
    right: Any,
    thresholds: Any,
    f1: Mapping[float, float],
    chosen: float,
    names: tuple[str, str],
    title: str,
) -> Figure:
    """Above: the scores of right and wrong tiles, and F1 of every threshold over the whole scene; below: what other
    draws of ten choose."""
    scores, right = np.asarray(scores), np.asarray(right, dtype=bool)
    figure, (top, low) = plt.subplots(2, 1, figsize=(11, 5.6), sharex=True, height_ratios=(3, 2))
    xs = sorted(f1)
    top.plot(xs, [f1[x] for x in xs], color="black", drawstyle="steps-pre", label="F1 in the whole scene")
    for y, (kind, marker, colour, name) in enumerate(((~right, "|", GREY, names[1]), (right, "o", HIT, names[0]))):
        top.plot(scores[kind], np.full(kind.sum(), -0.1 - 0.12 * y), marker, color=colour, markersize=8, label=name)
    top.set(ylim=(-0.32, 1.02), ylabel="F1", yticks=(0, 0.25, 0.5, 0.75, 1))
    low.hist(thresholds, bins=np.linspace(scores.min(), scores.max() + 1e-6, 41), color=PALETTE[1])
    low.set(xlabel="threshold (cosine)", ylabel="draws of ten")
    for axis in (top, low):
        axis.axvline(chosen, color=PALETTE[3], linestyle="--", label="chosen on our ten" if axis is top else None)
    top.legend(loc="upper left", frameon=True)
    heading(figure, title)
    return figure
