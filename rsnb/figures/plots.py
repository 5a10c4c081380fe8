"""The notebooks' figures. Each function answers one question and returns a matplotlib Figure; none calls show().

One style for all: white grid, colour-blind safe colours (seaborn's "colorblind" ten), no text below 11 points, since
the figures are also projected. Colours keep their meaning: blue images, orange text, green hits, red misses.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.colors
import matplotlib.patches
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rsnb.figures.style import (
    HIT,
    IMAGE,
    MARKERS,
    MISS,
    PALETTE,
    SHARED,
    TEXT,
    as_array,
    frame,
    heading,
    styled,
    wrapped,
)

if TYPE_CHECKING:
    pass


# --- pictures ---------------------------------------------------------------------------------------------------
@styled
def contact_sheet(images: Sequence[Any], titles: Sequence[str], title: str, columns: int = 6) -> Figure:
    """A grid of images, each with a name above it."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 1.95 * rows + 0.4), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, name in zip(axes.flat, images, titles):
        axis.imshow(image)
        shown = "\n".join(textwrap.shorten(line, 20, placeholder="…") for line in name.split("\n"))
        axis.set_title(shown, fontsize=11, fontweight="normal", loc="center", pad=3)
    heading(figure, title)
    return figure


@styled
def captioned(images: Sequence[Any], captions: Sequence[Sequence[str]], titles: Sequence[str], title: str) -> Figure:
    """One row per image, with all its captions beside it."""
    rows = len(images)
    figure, axes = plt.subplots(rows, 2, figsize=(10, 2.45 * rows + 0.3), squeeze=False, width_ratios=(1, 3.4))
    figure.get_layout_engine().set(h_pad=0.12)
    for (left, right), image, own, name in zip(axes, images, captions, titles):
        left.imshow(image)
        left.set_title(name, fontsize=11, loc="center", pad=3)
        left.axis("off")
        right.axis("off")
        shown = [textwrap.fill(f"{i}. {c}", 88, subsequent_indent="    ") for i, c in enumerate(own[:6], start=1)]
        right.text(0, 0.5, "\n".join(shown), va="center", fontsize=11.5, linespacing=1.6)
    heading(figure, title)
    return figure


@styled
def image_hits(queries: Sequence[str], answers: Sequence[Sequence[tuple[Any, str, bool]]], title: str) -> Figure:
    """Text to image: a caption in each row, then the images found for it, (image, note, is a hit) each."""
    columns = max(len(row) for row in answers)
    figure, axes = plt.subplots(
        len(queries),
        columns + 1,
        figsize=(11, 2.1 * len(queries) + 0.4),
        squeeze=False,
        width_ratios=(1.7, *[1] * columns),
    )
    figure.get_layout_engine().set(h_pad=0.08)
    for axis in axes.flat:
        axis.axis("off")
    for row, query, found in zip(axes, queries, answers):
        row[0].text(0, 0.5, textwrap.fill(f"“{query}”", 23), va="center", fontsize=11.5)
        for axis, (image, note, hit) in zip(row[1:], found):
            axis.imshow(image)
            frame(axis, hit)
            axis.set_title(note, fontsize=11, fontweight="normal", loc="center", pad=4, color=HIT if hit else "0.25")
    heading(figure, title)
    return figure


@styled
def caption_hits(
    queries: Sequence[Any], notes: Sequence[str], answers: Sequence[Sequence[tuple[str, bool]]], title: str
) -> Figure:
    """Image to text: an image in each row, then the captions found for it, (caption, is a hit) each."""
    figure, axes = plt.subplots(
        len(queries), 2, figsize=(11, 2.45 * len(queries) + 0.4), squeeze=False, width_ratios=(1, 4)
    )
    figure.get_layout_engine().set(h_pad=0.12)
    for (left, right), image, note, found in zip(axes, queries, notes, answers):
        left.imshow(image)
        left.set_title(note, fontsize=11, fontweight="normal", loc="center", pad=3)
        left.axis("off")
        right.axis("off")
        for i, (caption, hit) in enumerate(found):
            y = 0.5 + min(0.2, 0.8 / len(found)) * ((len(found) - 1) / 2 - i)
            mark, colour = ("✓", HIT) if hit else ("✗", MISS)
            right.text(0, y, mark, fontsize=14, fontweight="bold", color=colour, va="center", fontfamily="DejaVu Sans")
            text = textwrap.fill(f"{i + 1}. {caption}", 92, subsequent_indent="    ")
            right.text(0.03, y, text, fontsize=11.5, va="center", fontweight="bold" if hit else "normal")
    heading(figure, title)
    return figure


# --- distributions ----------------------------------------------------------------------------------------------
def _histogram(
    axis,
    groups: Mapping[str, Any],
    bins: int = 40,
    means: bool = True,
    colours: Sequence[str] = PALETTE,
    discrete: bool = False,
) -> None:
    """Filled outlines of several groups on common bins, as shares in percent, with the means as dashed lines."""
    kept = {name: as_array(values).ravel() for name, values in groups.items() if len(values)}
    everything = np.concatenate([*kept.values()]) if kept else np.zeros(1)
    low, high = float(everything.min()), float(everything.max())
    bins = max(5, min(bins, int(2 * min(map(len, kept.values()), default=0) ** 0.5)))  # fewer for few values
    edges = np.arange(low - 0.5, high + 1.5) if discrete else np.linspace(low, high + 1e-6, bins + 1)
    for (name, values), colour in zip(kept.items(), colours):
        share, _ = np.histogram(values, edges)
        share = 100 * share / max(len(values), 1)
        label = f"{name}: mean {values.mean():.2f}" if means else name
        axis.stairs(share, edges, fill=True, alpha=0.3, color=colour)
        axis.stairs(share, edges, color=colour, linewidth=2, label=label)
        if means:
            axis.axvline(values.mean(), color=colour, linestyle="--", linewidth=1.5)
    axis.set_ylim(bottom=0)
    if discrete:
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    if len(kept) > 1 or means:
        axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=1)


@styled
def histogram(
    groups: Mapping[str, Any],
    xlabel: str,
    title: str,
    ylabel: str = "share of pairs (%)",
    bins: int = 40,
    line: tuple[float, str] | None = None,
    discrete: bool = False,
) -> Figure:
    """How one or several groups of values are spread. line: (x, what it says) of a vertical mark."""
    figure, axis = plt.subplots(figsize=(9, 4.4))
    _histogram(axis, groups, bins, discrete=discrete)
    if line is not None:
        axis.axvline(line[0], color="0.2", linewidth=1.5)
        axis.annotate(line[1], (line[0], axis.get_ylim()[1]), (5, -14), textcoords="offset points", fontsize=11)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.set_title(wrapped(title, 9))
    return figure


@styled
def histograms(
    panels: Mapping[str, Mapping[str, Any]],
    xlabel: str,
    title: str,
    ylabel: str = "share of pairs (%)",
    line: tuple[float, str] | None = None,
) -> Figure:
    """The same comparison for several kinds of pairs, side by side on one x axis."""
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 4.8), sharex=True, squeeze=False)
    for axis, (name, groups) in zip(axes[0], panels.items()):
        _histogram(axis, groups)
        if line is not None:
            axis.axvline(line[0], color="0.2", linewidth=1.5, label=line[1])
            axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16))
        axis.set(xlabel=xlabel)
        axis.set_title(wrapped(name, 11 / len(panels) - 0.8))
    axes[0][0].set_ylabel(ylabel)
    heading(figure, title)
    return figure


@styled
def bars(
    values: Mapping[str, float], xlabel: str, title: str, form: str = "{:,.0f}", colour: str = IMAGE, log: bool = False
) -> Figure:
    """Horizontal bars (dots on a logarithmic axis), one per name, the value written at its end."""
    figure, axis = plt.subplots(figsize=(9, 0.34 * len(values) + 1.4))
    names = [textwrap.shorten(name, 60, placeholder=" …") for name in values]
    places, numbers = range(len(names)), list(values.values())
    if log:  # a bar has no honest length on a logarithmic axis: dots
        axis.plot(numbers, places, "o", markersize=11, color=colour)
        axis.set(xscale="log", ylim=(-0.6, len(names) - 0.4))
    else:
        axis.barh(places, numbers, color=colour, height=0.72)
    for place, number in zip(places, numbers):
        axis.annotate(
            form.format(number),
            (number, place),
            (10 if log else 4, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
        )
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    if not log and all(float(number).is_integer() for number in numbers):
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axis.margins(x=0.14)
    axis.grid(axis="y", visible=False)
    axis.set(xlabel=xlabel)
    axis.set_title(wrapped(title, 7.5))
    return figure


# --- similarities -----------------------------------------------------------------------------------------------
@styled
def similarity_study(
    similarity: Any,
    blocks: Sequence[tuple[str, int, int]],
    groups: Mapping[str, Any],
    title: str,
    what: str = "images",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """A similarity matrix ordered by class (left) and the same numbers as histograms (right).

    blocks: (class, first row, behind last row), from ``analysis.by_class``. what: the columns. limits: cosines of the
    darkest and the brightest colour, so that two matrices can be compared; default: those of this one.
    """
    values = as_array(similarity)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.4), width_ratios=(1.75, 1))
    low, high = limits or np.percentile(values[~np.eye(*values.shape, dtype=bool)], (1, 99.5))
    shown = left.imshow(values, cmap="viridis", vmin=low, vmax=max(high, low + 1e-6), interpolation="none")
    names = [textwrap.shorten(name, 18, placeholder="…") for name, _, _ in blocks]
    left.set_yticks([(first + last - 1) / 2 for _, first, last in blocks], names)
    left.set(xticks=[], xlabel=f"{what}, in the same order")
    left.grid(False)
    left.tick_params(length=0)
    if 1 < len(blocks) < 60:
        for _, first, _ in blocks[1:]:
            left.axhline(first - 0.5, color="white", linewidth=0.5)
            left.axvline(first - 0.5, color="white", linewidth=0.5)
    figure.colorbar(shown, ax=left, label="cosine similarity", pad=0.02)
    _histogram(right, groups)
    right.set(xlabel="cosine similarity", ylabel="share of pairs (%)")
    heading(figure, title)
    return figure


@styled
def hmmc_batch(matrices: Mapping[str, Any], title: str, margin: float = 0.2) -> Figure:
    """The three cosine matrices of HMMC on one batch: positives framed, each row's hardest negative marked.

    A filled triangle is a negative that comes within the margin of its positive and so is pushed away; an empty one
    is far enough. Right-pointing: hardest of its row; down-pointing: hardest of its column.
    """
    figure, axes = plt.subplots(1, len(matrices), figsize=(12.5, 6.0), squeeze=False)
    low = min(float(as_array(m).min()) for m in matrices.values())
    for axis, (name, matrix) in zip(axes[0], matrices.items()):
        s = as_array(matrix)
        n = len(s)
        shown = axis.imshow(s, cmap="viridis", vmin=low, vmax=1)
        axis.grid(False)
        negatives = np.where(np.eye(n, dtype=bool), -np.inf, s)
        for i in range(n):
            axis.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=2))
            row, column = negatives[i].argmax(), negatives[:, i].argmax()
            for (y, x), mark in (((i, row), ">"), ((column, i), "v")):
                active = s[y, x] + margin > s[i, i]
                shift = 0.17 if mark == ">" else -0.17
                axis.plot(
                    x - shift,
                    y,
                    mark,
                    markersize=7,
                    color=MISS if active else "none",
                    markeredgecolor="white",
                    markeredgewidth=1,
                )
        axis.set(xticks=range(n), yticks=range(n), xticklabels=range(1, n + 1), yticklabels=range(1, n + 1))
        axis.tick_params(length=0, labelsize=11)
        axis.set_title(name, loc="center", fontsize=12)
    figure.colorbar(shown, ax=axes, location="bottom", label="cosine similarity", shrink=0.5, aspect=40)
    heading(figure, title)
    return figure


# --- training ---------------------------------------------------------------------------------------------------
@styled
def training_curves(history: Sequence[Mapping[str, float]], title: str, start: float | None = None) -> Figure:
    """Loss parts, validation mR and intra-modal cosine over the epochs; start: mR before the first epoch."""
    epochs = [row["epoch"] for row in history]
    figure, (loss, mr, cosine) = plt.subplots(1, 3, figsize=(12, 4.2))
    colours = {"cross": ("cross-modal", SHARED), "image": ("intra-image", IMAGE), "text": ("intra-text", TEXT)}
    for part, (name, colour) in colours.items():
        key = f"loss_{part}"
        if key in history[0]:
            loss.plot(epochs, [row[key] for row in history], "o-", markersize=4, color=colour, label=name)
    loss.set(xlabel="epoch", ylabel="loss per pair", ylim=(0, None))
    loss.set_title("Loss parts")
    loss.legend()
    values = [row["val_mr"] for row in history]
    x, y = ([0, *epochs], [start, *values]) if start is not None else (epochs, values)
    mr.plot(x, y, "o-", markersize=4, color=HIT)
    best = int(np.argmax(values))
    mr.plot(
        epochs[best],
        values[best],
        "*",
        markersize=16,
        color=HIT,
        markeredgecolor="black",
        label=f"best: {values[best]:.1f}, epoch {epochs[best]}",
    )
    mr.set(xlabel="epoch (0: before training)" if start is not None else "epoch", ylabel="mR (%)")
    mr.set_title("Validation mR")
    mr.legend(loc="lower right")
    for key, name, colour in (("intra_image_cos", "image-image", IMAGE), ("intra_text_cos", "text-text", TEXT)):
        cosine.plot(epochs, [row[key] for row in history], "o-", markersize=4, color=colour, label=name)
    cosine.set(xlabel="epoch", ylabel="mean cosine in a batch")
    cosine.set_title("Intra-modal similarity")
    cosine.legend()
    for axis in (loss, mr, cosine):
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, nbins=6))
    heading(figure, title)
    return figure


# --- the space --------------------------------------------------------------------------------------------------
def looks_of(labels: Sequence[str], named: int = 8) -> dict[str, tuple[str, str]]:
    """{class: (colour, marker)} of some classes, evenly spaced among the sorted ones; an eye tells no more apart."""
    classes = sorted(set(labels))
    chosen = [classes[i] for i in np.linspace(0, len(classes) - 1, min(named, len(classes))).round().astype(int)]
    colours = [PALETTE[i] for i in (0, 1, 2, 3, 4, 5, 8, 9)]
    return {c: (colours[i % 8], MARKERS[i % len(MARKERS)]) for i, c in enumerate(chosen)}


@styled
def tsne_panels(
    panels: Mapping[str, tuple[Any, Any]], image_labels: Sequence[str], text_labels: Sequence[str], title: str
) -> Figure:
    """Two-dimensional maps of images and captions together, one panel per model.

    panels: name -> (points of the images (N, 2), points of the captions (M, 2)). Eight classes have a colour each, the
    images as large marks of a shape of their own, the captions as small crosses; all others are grey.
    """
    looks = looks_of(image_labels)
    figure, axes = plt.subplots(1, len(panels), figsize=(12, 6.9), squeeze=False)
    for axis, (name, (images, texts)) in zip(axes[0], panels.items()):
        for points, labels, small in ((texts, text_labels, True), (images, image_labels, False)):
            for c in (None, *looks):
                own = as_array(points)[[i for i, label in enumerate(labels) if looks.get(label) == looks.get(c)]]
                colour, marker = looks.get(c, ("0.82", "o"))
                if small:
                    axis.scatter(*own.T, s=14, color=colour, marker="+", linewidths=0.9)
                else:
                    edge = {"edgecolors": "black", "linewidths": 0.6} if c else {"linewidths": 0}
                    axis.scatter(
                        *own.T, s=52 if c else 22, color=colour, marker=marker, label=c or "other classes", **edge
                    )
        axis.set(xticks=[], yticks=[])
        axis.set_title(wrapped(name, 5.5))
    axes[0][0].scatter([], [], s=30, color="0.3", marker="+", label="captions of a class: its colour")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, handletextpad=0.1, columnspacing=0.8)
    heading(figure, title)
    return figure
