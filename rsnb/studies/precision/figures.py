"""The figure of search in a folder of real images: precision by class, before and after adaptation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rsnb.figures.style import GREY, IMAGE, TEXT, heading, styled
from rsnb.studies.precision.study import IMAGES, SPELLED, WORDS, sentence_of

TITLES = {WORDS: f"By words: “{sentence_of('tenniscourt')}”", IMAGES: "By images: each asks for the others"}
MARKS = (("o", 11, "none", "0.2", 3), ("D", 6.5, None, None, 2))  # shape, size, face, edge (None: the panel's), order


@styled
def by_class(found: Mapping[str, Any], name: str) -> Figure:
    """Precision at 10 of every class in one gallery: words and images side by side, a line from the first model to the
    second, classes in the order of the second by images."""
    own = found["galleries"][name]
    first, second = list(own["models"])[:2]
    order = sorted(found["sentences"], key=lambda label: own["models"][second][IMAGES]["classes"][label])
    places = np.arange(len(order))
    figure, axes = plt.subplots(1, 2, figsize=(12, 0.3 * len(order) + 2.2), sharey=True, sharex=True)
    for axis, way, colour in zip(axes, (WORDS, IMAGES), (TEXT, IMAGE)):
        before, after = (np.array([row[way]["classes"][c] for c in order]) for row in _two(own, first, second))
        axis.hlines(places, before, after, color=colour, linewidth=3, alpha=0.45)
        axis.axvline(own["chance"][way], color=GREY, linestyle="--", linewidth=1.5)
        axis.text(
            own["chance"][way] + 1,
            len(order) - 0.3,
            f"chance: {own['chance'][way]:.1f}",
            color="0.35",
            fontsize=11,
            va="bottom",
        )
        for values, model, (mark, size, face, edge, height) in zip((before, after), (first, second), MARKS):
            mean = own["models"][model][way]["mean"]
            axis.plot(
                values,
                places,
                mark,
                color=edge or colour,
                markerfacecolor=face or colour,
                markersize=size,
                markeredgewidth=1.5,
                zorder=height,
                label=f"{model}: {mean:.1f} on average",
            )
        axis.set(xlabel=f"right among the first {found['top']} hits (%)", xlim=(-3, 103), ylim=(-0.7, len(order) + 0.4))
        axis.set_title(TITLES[way])
        axis.legend(loc="lower right")
    axes[1].tick_params(axis="y", length=0)
    axes[0].set_yticks(places, [SPELLED.get(label, label) for label in order])
    heading(figure, _title(own, (first, second), name))
    return figure


def _two(own: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    return [own["models"][name] for name in names]


def _title(own: Mapping[str, Any], models: Sequence[str], name: str) -> str:
    """What the two panels say together."""
    said = {}
    for way in (WORDS, IMAGES):
        means = sorted({f"{own['models'][model][way]['mean']:.0f}" for model in models}, key=float)
        said[way] = " to ".join(means)
    head = f"{name[0].upper()}{name[1:]}"
    return f"{head}: of the hits of an image {said[IMAGES]} % are of its class, of those of a sentence {said[WORDS]} %"
