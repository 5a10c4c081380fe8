"""Composed retrieval by hand: an image, some words, and a slider for the weight of the words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets
import torch
from matplotlib.figure import Figure

from rsnb.classroom.widgets.base import Panel
from rsnb.classroom.widgets.gallery import printable
from rsnb.errors import RsnbError
from rsnb.measures.similarity import by_class
from rsnb.studies.composed.figures import panel
from rsnb.studies.composed.queries import Query, scenes
from rsnb.studies.composed.scores import FIRST, LAMBDAS, WAYS, Curve, Space, encode_words, mixed, recall_curve

NONE = "no change has an answer"
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
                f"{len(dataset):,} and {len(asked):,}; make it of this data set and these queries"
            )
    labels = scenes(dataset)
    order, blocks = by_class(labels)
    members = {name: order[start:end] for name, start, end in blocks}
    changes: dict[int, dict[str, int]] = {}
    for place, query in enumerate(asked):
        changes.setdefault(query.image, {})[query.words] = place
    curves: dict[tuple[str, str], Curve] = {}  # (model, way) -> of all queries
    first = first or asked[0]
    scene = labels[first.image]
    slider = {"continuous_update": False}
    controls: dict[str, ipywidgets.Widget] = {
        "scene": ipywidgets.Dropdown(options=list(members), value=scene, description="class"),
        "number": ipywidgets.IntSlider(
            members[scene].index(first.image) + 1, 1, len(members[scene]), description="image", **slider
        ),
        "change": ipywidgets.Dropdown(options=list(changes[first.image]), value=first.words, description="words"),
        "lam": ipywidgets.FloatSlider(lam, min=0, max=1, step=0.05, description="λ", **slider),
        "method": ipywidgets.Dropdown(options=list(models), value=list(models)[-1], description="model"),
        "way": ipywidgets.Dropdown(options=WAYS, description="normalised by"),
        "own": ipywidgets.Text(
            "", description="or words of your own", continuous_update=False, layout={"width": "26em"}
        ),
    }

    def picked(scene: str, number: int) -> int:
        return members[scene][min(number, len(members[scene])) - 1]

    def settle(change: Any) -> None:
        controls["number"].max = len(members[controls["scene"].value])
        image = picked(controls["scene"].value, controls["number"].value)
        options = list(changes.get(image, {})) or [NONE]
        if list(controls["change"].options) != options:
            kept = controls["change"].value
            controls["change"].options = options
            controls["change"].value = kept if kept in options else options[0]
        controls["change"].disabled = bool(controls["own"].value.strip())

    def draw(scene: str, number: int, change: str, lam: float, method: str, way: str, own: str) -> tuple[Figure, str]:
        image, typed = picked(scene, number), " ".join(own.split())[:LONGEST]
        words = typed or change
        place = changes.get(image, {}).get(words)
        if place is None and not typed:
            raise RsnbError(
                "For this image no change has an answer in this data set: take another image, or type "
                "words of your own."
            )
        at = spaces[method]
        query = asked[place] if place is not None else Query(image, words, "own", "", ())
        vector = at.words[place][None] if place is not None else encode_words(models[method], [words])
        seen, said, gallery = Space(at.image, vector).scores([query])
        scores = mixed(seen, said, lam, way)[0]
        best = scores.argsort(descending=True, stable=True)[:count].tolist()
        found = [int(gallery[0, k]) for k in best]
        wanted = set(query.wanted)
        shown = [
            (dataset.image(i), f"{n}. {printable(labels[i], 14)}", i in wanted if place is not None else None)
            for n, i in enumerate(found, start=1)
        ]
        lines, text = None, f"{method}: nothing says what is right for words of your own; see the classes found."
        if place is not None:
            if (method, way) not in curves:
                curves[method, way] = recall_curve(at, asked, way)
            recall = curves[method, way].recall  # (L, Q)
            values, mean = recall[:, place].tolist(), recall.mean(dim=1).tolist()
            lines = {"this query": values, f"mean of all {len(asked):,} queries": mean}
            was = f"“{query.was}”" if query.was else "nothing of the kind"
            text = (
                f"{method}, λ = {lam:.2f}: {sum(i in wanted for i in found)} of the first {len(found)} are right. "
                f"Right are the {len(wanted)} other images of {scene} with “{words}”; the query has {was}.\n"
                f"Among the first {FIRST} stand {_at(values, lam):.0f} % of them; image alone {values[0]:.0f} %, "
                f"words alone {values[-1]:.0f} %."
            )
        figure = panel(
            dataset.image(image), printable(words, 60), scene, shown, lam, lines, LAMBDAS, f"recall at {FIRST} (%)"
        )
        return figure, text

    return Panel(
        "compose-explorer",
        controls,
        draw,
        "A query image with words, the images found for both together, framed by whether they are right, and the "
        "recall of the query against the weight of the words.",
        settle=settle,
    )


def _at(values: list[float], lam: float) -> float:
    """The value at the lambda nearest to lam."""
    return values[int((torch.tensor(LAMBDAS) - lam).abs().argmin())]
