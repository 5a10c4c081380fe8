"""Composed retrieval by hand: an image, some words, and a slider for the weight of the words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets
import torch
from matplotlib.figure import Figure

from rsnb.classroom.widgets.gallery import printable
from rsnb.classroom.widgets.panel import Panel
from rsnb.errors import RsnbError
from rsnb.measures.mixing import WAYS, mixed
from rsnb.measures.similarity import by_class
from rsnb.studies.composed.figures import panel
from rsnb.studies.composed.queries import Query, scenes
from rsnb.studies.composed.scores import FIRST, LAMBDAS, Curve, Space, encode_words, recall_curve

NONE = "no change has an answer"
THIS = "this query"  # a line of the picture
LONGEST = 200  # letters of own words


def compose_explorer(
    dataset,
    models: Mapping[str, Any],
    spaces: Mapping[str, Space],
    asked: list[Query],
    first: Query | None = None,
    lam: float = 0.3,
    count: int = 5,
) -> Panel:
    """Move lambda: which images are found for an image plus words?

    Args:
        dataset: the test set; its images are queries and gallery.
        models: name -> a CLIP or an adapted model, for words of your own.
        spaces: the same names -> ``composed.space(model, dataset, asked)``.
        asked: the queries with a known answer (``composed.queries``).
        first: the query shown first; without it the first one.
        count: images shown.
    """
    _check(dataset, models, spaces, asked)
    explorer = _Explorer(dataset, models, spaces, asked, count)
    return Panel(
        "compose-explorer",
        explorer.make_controls(first or asked[0], lam),
        explorer.draw,
        "A query image with words, the images found for both together, framed by whether they are right, and the "
        "recall of the query against the weight of the words.",
        settle=explorer.settle,
    )


def _check(dataset, models: Mapping[str, Any], spaces: Mapping[str, Space], asked: list[Query]) -> None:
    if set(models) != set(spaces) or not models:
        raise RsnbError(
            f"models: {', '.join(models)}; spaces: {', '.join(spaces)}; give both the same names, at least one"
        )
    if not asked:
        raise RsnbError("a panel needs at least one query; composed.queries(dataset) gives them")
    for name, at in spaces.items():
        if (len(at.image), len(at.words)) != (len(dataset), len(asked)):
            raise RsnbError(
                f"the space of {name!r} holds {len(at.image):,} images and {len(at.words):,} queries, not "
                f"{len(dataset):,} and {len(asked):,}; make it from this data set and these queries"
            )


class _Explorer:
    """What the panel knows: the classes, the changes that have an answer, and the curves computed so far."""

    def __init__(self, dataset, models, spaces: Mapping[str, Space], asked: list[Query], count: int):
        self.dataset, self.models, self.spaces, self.asked, self.count = dataset, models, spaces, asked, count
        self.labels = scenes(dataset)
        order, blocks = by_class(self.labels)
        self.members = {name: order[start:end] for name, start, end in blocks}
        self.changes: dict[int, dict[str, int]] = {}  # image -> words -> place of the query
        for place, query in enumerate(asked):
            self.changes.setdefault(query.image, {})[query.words] = place
        self.curves: dict[tuple[str, str], Curve] = {}  # (model, way) -> of all queries

    def make_controls(self, first: Query, lam: float) -> dict[str, ipywidgets.Widget]:
        scene = self.labels[first.image]
        own, words = self.members[scene], list(self.changes[first.image])
        slider = {"continuous_update": False}
        self.controls = {
            "scene": ipywidgets.Dropdown(options=list(self.members), value=scene, description="class"),
            "number": ipywidgets.IntSlider(own.index(first.image) + 1, 1, len(own), description="image", **slider),
            "change": ipywidgets.Dropdown(options=words, value=first.words, description="words"),
            "lam": ipywidgets.FloatSlider(lam, min=0, max=1, step=0.05, description="λ", **slider),
            "method": ipywidgets.Dropdown(options=list(self.models), value=list(self.models)[-1], description="model"),
            "way": ipywidgets.Dropdown(options=WAYS, description="normalised by"),
            "own": ipywidgets.Text("", description="or words of your own", continuous_update=False),
        }
        return self.controls

    def picked(self, scene: str, number: int) -> int:
        return self.members[scene][min(number, len(self.members[scene])) - 1]

    def settle(self, change: Any) -> None:
        controls = self.controls
        controls["number"].max = len(self.members[controls["scene"].value])
        image = self.picked(controls["scene"].value, controls["number"].value)
        options = list(self.changes.get(image, {})) or [NONE]
        if list(controls["change"].options) != options:
            kept = controls["change"].value
            controls["change"].options = options
            controls["change"].value = kept if kept in options else options[0]
        controls["change"].disabled = bool(controls["own"].value.strip())

    def draw(
        self, scene: str, number: int, change: str, lam: float, method: str, way: str, own: str
    ) -> tuple[Figure, str]:
        image, typed = self.picked(scene, number), " ".join(own.split())[:LONGEST]
        words = typed or change
        place = self.changes.get(image, {}).get(words)
        if place is None and not typed:
            raise RsnbError(
                "For this image no change has an answer in this data set: take another image, or type "
                "words of your own."
            )
        found = self.found(image, words, place, lam, method, way)
        lines, text = None, f"{method}: nothing says what is right for words of your own; see the classes found."
        if place is not None:
            lines = self.lines(place, method, way)
            text = f"{method}, λ = {lam:.2f}: {self.said(place, found, scene, lam, lines[THIS])}"
        wanted = None if place is None else set(self.asked[place].wanted)
        shown = [
            (self.dataset.image(i), f"{n}. {printable(self.labels[i], 14)}", None if wanted is None else i in wanted)
            for n, i in enumerate(found, start=1)
        ]
        query = self.dataset.image(image)
        figure = panel(query, printable(words, 60), scene, shown, lam, lines, LAMBDAS, f"recall at {FIRST} (%)")
        return figure, text

    def found(self, image: int, words: str, place: int | None, lam: float, method: str, way: str) -> list[int]:
        """The images found for an image with words, best first; place: of the query with a known answer."""
        at = self.spaces[method]
        query = self.asked[place] if place is not None else Query(image, words, "own", "", ())
        vector = at.words[place][None] if place is not None else encode_words(self.models[method], [words])
        seen, heard, gallery = Space(at.image, vector).scores([query])
        best = mixed(seen, heard, lam, way)[0].argsort(descending=True, stable=True)[: self.count].tolist()
        return [int(gallery[0, k]) for k in best]

    def lines(self, place: int, method: str, way: str) -> dict[str, list[float]]:
        """Recall at each lambda, of this query and of all."""
        if (method, way) not in self.curves:
            self.curves[method, way] = recall_curve(self.spaces[method], self.asked, way)
        recall = self.curves[method, way].recall  # (L, Q)
        every = f"mean of all {len(self.asked):,} queries"
        return {THIS: recall[:, place].tolist(), every: recall.mean(dim=1).tolist()}

    def said(self, place: int, found: list[int], scene: str, lam: float, recall: list[float]) -> str:
        query = self.asked[place]
        was = f"“{query.was}”" if query.was else "nothing of the kind"
        return (
            f"{sum(i in query.wanted for i in found)} of the first {len(found)} are right. "
            f"Right are the {len(query.wanted)} other images of {scene} with “{query.words}”; the query has {was}.\n"
            f"Among the first {FIRST} stand {_at(recall, lam):.0f} % of them; image alone {recall[0]:.0f} %, "
            f"words alone {recall[-1]:.0f} %."
        )


def _at(values: list[float], lam: float) -> float:
    """The value at the lambda nearest to lam."""
    return values[int((torch.tensor(LAMBDAS) - lam).abs().argmin())]
