"""The figures of composed retrieval: what is found, mAP against lambda, and by the kind of change."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rsnb.figures.style import GREY, IMAGE, MARKERS, PALETTE, SHARED, TEXT, frame, heading, styled, wrapped

PARTS = {"image": ("image alone", IMAGE, "//"), "words": ("words alone", TEXT, ".."), "mix": ("mixed", SHARED, "")}
LAMBDA = "λ: weight of the words (0: image alone, 1: words alone)"


def _query(axis, picture: Any, words: str, scene: str) -> None:
    """The query: its picture, the words under it."""
    axis.imshow(picture)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.set_title(f"query:\n{textwrap.shorten(scene, 18, placeholder='…')}", fontsize=12, loc="center", pad=6)
    axis.set_xlabel(textwrap.fill(f"+ “{words}”", 20), fontsize=13, fontweight="bold", labelpad=6)
    for spine in axis.spines.values():
        spine.set(visible=True, color="0.2", linewidth=1.5)


def _answer(axis, picture: Any, note: str, right: bool | None) -> None:
    """One image found; right is None where nothing says whether it is."""
    axis.imshow(picture)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    if right is not None:
        frame(axis, right)
    axis.set_title(note, fontsize=11, fontweight="normal", loc="center", pad=5)


@styled
def answers(
    picture: Any, words: str, scene: str, rows: Mapping[str, Sequence[tuple[Any, str, bool | None]]], title: str
) -> Figure:
    """One query, and a row of images found for each lambda: (picture, note, is it right) each."""
    columns = max(map(len, rows.values()))
    figure = plt.figure(figsize=(12, 2.35 * len(rows) + 0.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, columns))
    _query(left.subplots(), picture, words, scene)
    for band, (name, found) in zip(np.ravel(right.subfigures(len(rows), 1)), rows.items()):
        band.suptitle(name, x=0.01, ha="left", fontsize=12, fontweight="bold")
        for axis, item in zip(band.subplots(1, columns), found):
            _answer(axis, *item)
    heading(figure, title)
    return figure


@styled
def curves(
    lines: Mapping[str, Sequence[float]],
    lambdas: Sequence[float],
    chosen: Mapping[str, float],
    title: str,
    ylabel: str = "mAP (%), test part",
) -> Figure:
    """A line of each name against lambda, with a mark at the lambda that was chosen for it."""
    figure, axis = plt.subplots(figsize=(9, 4.8))
    for (name, values), colour, mark in zip(lines.items(), PALETTE, MARKERS):
        _curve(axis, name, values, lambdas, chosen.get(name), colour, mark)
    axis.set(xlabel=LAMBDA, ylabel=ylabel, xlim=(-0.02, 1.02))
    axis.set_ylim(0, 1.15 * max(map(max, lines.values())))
    axis.legend(loc="lower left")
    axis.set_title(wrapped(title, 9))
    return figure


def _curve(axis, name, values, lambdas, chosen, colour, mark) -> None:
    if chosen is None:
        axis.plot(lambdas, values, color=colour, label=name)
        return
    at = int(np.argmin(np.abs(np.asarray(lambdas) - chosen)))
    axis.plot(
        lambdas,
        values,
        mark,
        linestyle="-",
        color=colour,
        markevery=[at],
        markersize=11,
        label=f"{name}: {values[at]:.1f} at λ = {chosen:.2f}, chosen on val",
        markeredgecolor="black",
    )


@styled
def ways(found: Mapping[str, Any], title: str) -> Figure:
    """mAP against lambda under each normalisation, one panel per model; the mark is the lambda chosen on val."""
    models = found["models"]
    figure, axes = plt.subplots(1, len(models), figsize=(6 * len(models), 5.4), sharey=True, squeeze=False)
    for axis, (name, row) in zip(axes[0], models.items()):
        for (way, own), colour, mark in zip(row["ways"].items(), PALETTE, MARKERS):
            axis.plot(found["lambdas"], own["curve"], color=colour, label=way)
            at = found["lambdas"].index(own["lambda"])
            axis.plot(own["lambda"], own["curve"][at], mark, color=colour, markersize=10, markeredgecolor="black")
        axis.set(xlabel="λ: weight of the words")
        axis.set_title(name)
    axes[0][0].set(ylabel="mAP (%), test part", ylim=(0, None))
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=len(names))
    heading(figure, title)
    return figure


@styled
def kinds(found: Mapping[str, Any], title: str) -> Figure:
    """mAP by the kind of change: image alone, words alone, mixed; one panel per model."""
    models = found["models"]
    most = max(len(row["kinds"]) for row in models.values())
    figure, axes = plt.subplots(1, len(models), figsize=(6 * len(models), 0.75 * most + 2), sharex=True, squeeze=False)
    for axis, (name, row) in zip(axes[0], models.items()):
        places = np.arange(len(row["kinds"]))
        for step, (part, (label, colour, hatch)) in enumerate(PARTS.items()):
            values = [kind[part] for kind in row["kinds"].values()]
            bars = axis.barh(
                places + 0.27 * (step - 1),
                values,
                0.25,
                color=colour,
                label=label,
                hatch=hatch,
                edgecolor="white",
                linewidth=0,
            )
            axis.bar_label(bars, fmt="%.0f", padding=3, fontsize=11)
        axis.set_yticks(places, [f"{kind} ({own['queries']:,})" for kind, own in row["kinds"].items()])
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set(xlabel="mAP (%), test part")
        axis.set_title(name)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=len(names))
    heading(figure, title)
    return figure


@styled
def panel(
    picture: Any,
    words: str,
    scene: str,
    found: Sequence[tuple[Any, str, bool | None]],
    lam: float,
    lines: Mapping[str, Sequence[float]] | None,
    lambdas: Sequence[float],
    ylabel: str,
) -> Figure:
    """The slider panel: the query, the first images found for it, and below the recall against lambda with a mark."""
    figure = plt.figure(figsize=(12, 6.2 if lines else 3.4))
    top, *below = np.ravel(figure.subfigures(2, 1, height_ratios=(1.25, 1)) if lines else figure.subfigures(1, 1))
    first, *rest = top.subplots(1, 1 + len(found), width_ratios=(1.1, *[1] * len(found)))
    _query(first, picture, words, scene)
    for axis, item in zip(rest, found):
        _answer(axis, *item)
    if lines:
        axis = below[0].subplots()
        (own, values), *others = lines.items()
        for name, line in others:
            axis.plot(lambdas, line, color=GREY, linestyle="--", label=name)
        axis.plot(lambdas, values, color=SHARED, linewidth=2.5, label=own)
        axis.axvline(lam, color="0.2", linewidth=1.5)
        axis.plot(lam, np.interp(lam, lambdas, values), "o", color=SHARED, markersize=12, markeredgecolor="black")
        axis.set(xlabel=LAMBDA, ylabel=ylabel, xlim=(-0.02, 1.02), ylim=(0, 105))
        axis.legend(loc="upper right")
    heading(figure, f"What is found at λ = {lam:.2f}?")
    return figure
