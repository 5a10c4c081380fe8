"""Retrieval by hand: type a sentence and see the images found, or pick an image and see the captions found."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from rsnb.classroom.widgets.gallery import (
    OWN,
    Gallery,
    buttons,
    draw_captions,
    draw_image,
    draw_legend,
    nearest_captions,
    nearest_images,
    printable,
)
from rsnb.classroom.widgets.panel import Panel
from rsnb.data.words import vocabulary
from rsnb.errors import RsnbError
from rsnb.figures.style import heading, styled

TO_IMAGE, TO_TEXT = "text → image", "image → text"
LONGEST = 2000  # letters of a query; no context is as long


def retrieval_explorer(
    dataset,
    models: Mapping[str, Any],
    reports: Mapping[str, Any],
    known: Collection[str] | None = None,
    query: str | None = None,
    count: int = 6,
) -> Panel:
    """Ask a model: which images for this sentence, or which captions for this image?

    Args:
        dataset: the test set; its images and captions are what can be found.
        models: name -> a CLIP or an adapted model, for what is typed.
        reports: the same names -> the model's report on `dataset`.
        known: the words of the training captions (``analysis.vocabulary``); others in a query are named.
        query: the first sentence asked; without it the first caption of the data set.
        count: results shown at first, 1 to 12.
    """
    gallery = Gallery(dataset, reports)
    if set(models) != set(reports):
        raise RsnbError(f"models: {', '.join(models)}; reports: {', '.join(reports)}; give both the same names")
    explorer = _Explorer(dataset, models, reports, gallery, known)
    return Panel(
        "retrieval-explorer",
        explorer.make_controls((query or "").strip() or gallery.captions[0], count),
        explorer.draw,
        "The images that a model finds for a sentence, or the captions that it finds for an image, best first, with "
        "their cosines.",
        settle=explorer.settle,
    )


class _Explorer:
    """What the panel asks and answers with."""

    def __init__(self, dataset, models, reports, gallery: Gallery, known: Collection[str] | None):
        self.dataset, self.models, self.reports, self.gallery, self.known = dataset, models, reports, gallery, known

    def make_controls(self, query: str, count: int) -> dict[str, ipywidgets.Widget]:
        self.controls = {
            "way": buttons([TO_IMAGE, TO_TEXT]),
            "method": ipywidgets.Dropdown(options=list(self.models), description="model"),
            "count": ipywidgets.IntSlider(count, 1, 12, description="results", continuous_update=False),
            "query": ipywidgets.Text(query, description="sentence", continuous_update=False, placeholder="a sentence"),
            **self.gallery.pickers(),
        }
        return self.controls

    def settle(self, change: Any) -> None:
        controls = self.controls
        self.gallery.fit(controls)
        typed = controls["way"].value == TO_IMAGE
        controls["query"].disabled = not typed
        controls["scene"].disabled = controls["number"].disabled = typed

    def draw(self, way: str, method: str, count: int, query: str, scene: str, number: int) -> tuple[Figure, str]:
        if way == TO_TEXT:
            return self.captions_for(self.gallery.picked(scene, number), method, count)
        query = " ".join(query.split())[:LONGEST]
        if not query:
            raise RsnbError("Nothing is asked yet: type a sentence and press Enter.")
        return self.images_for(query, method, count)

    def captions_for(self, asked: int, method: str, count: int) -> tuple[Figure, str]:
        report, gallery = self.reports[method], self.gallery
        scores = report.text_embeddings @ report.image_embeddings[asked]  # (M,)
        texts = [
            (caption, cosine, gallery.of_caption(caption, asked))
            for caption, cosine in nearest_captions(scores, gallery.captions, count)
        ]
        own = sum(kind == OWN for *_, kind in texts)
        return (
            _captions(self.dataset.image(asked), gallery.labels[asked], texts, method),
            f"{method}: {own} of the {len(texts)} captions found are the image's own. The best of its own is "
            f"number {int(report.text_ranks[asked]) + 1} of {len(gallery.captions):,}, repeats counted.",
        )

    def images_for(self, query: str, method: str, count: int) -> tuple[Figure, str]:
        gallery = self.gallery
        vector, read = _encode(self.models[method], query)
        images = nearest_images(self.reports[method].image_embeddings @ vector, count)
        own = gallery.carriers.get(query, set())  # the images that have this very sentence as a caption
        asked = min(own, default=None)
        pictures = [
            (
                self.dataset.image(i),
                f"{gallery.labels[i]}  {cosine:.2f}",
                None if asked is None else gallery.of_image(i, asked, query),
            )
            for i, cosine in images
        ]
        classes = Counter(gallery.labels[i] for i, _ in images)
        said = [
            f"{method}: {', '.join(f'{n} × {name}' for name, n in classes.most_common())}; "
            f"cosines from {images[0][1]:.2f} down to {images[-1][1]:.2f}."
        ]
        if own:
            among = "among" if own & {i for i, _ in images} else "not among"
            said.append(f"The sentence is a caption of this set; its own image is {among} those found.")
        return _images(query, pictures, method), "\n".join([*said, *self.warnings(query, read)])

    def warnings(self, query: str, read: str) -> list[str]:
        """What the model does not read of a sentence, and the words that it did not learn."""
        said = []
        if len(read) < len(query):
            said.append(f"The sentence is too long: it is cut, and the model reads it up to “… {read[-30:]}”.")
        strange = [w[:30] for w in vocabulary([query]) if self.known is not None and w not in self.known]
        if strange:
            said.append(
                f"Words that no training caption contains: {', '.join(strange[:12])}. The model answers all the same."
            )
        return said


@torch.no_grad()
def _encode(model, query: str) -> tuple[Tensor, str]:
    """The embedding (D,) of a sentence, and what of the sentence the model reads before its context is full."""
    tokenizer = getattr(model, "clip", model).tokenizer
    tokens, empty = tokenizer([query]), tokenizer([""])  # (1, L)
    read = len(query)
    if tokens[0, -1] != empty[0, -1]:  # no room left: find the shortest beginning that gives the same tokens
        read = bisect_left(range(read), True, key=lambda n: torch.equal(tokenizer([query[:n]]), tokens))
    was_training = model.training
    vector = model.eval().encode_text(tokens.to(getattr(model, "clip", model).device))[0].float().cpu()
    model.train(was_training)
    return vector, query[:read]


@styled
def _images(query: str, pictures: Sequence[tuple[Any, str, str | None]], method: str) -> Figure:
    """A contact sheet, best first: (picture, note, kind) each; kind is None for a sentence that is no caption here."""
    columns = 6 if len(pictures) > 4 else 4
    rows = -(-len(pictures) // columns)
    framed = any(kind for *_, kind in pictures)
    height = (12 / columns + 0.35) * rows + (1.2 if framed else 0.8)
    figure, axes = plt.subplots(rows, columns, figsize=(12, height), squeeze=False)
    for axis in axes.flat[len(pictures) :]:
        axis.axis("off")
    for place, (axis, (picture, note, kind)) in enumerate(zip(axes.flat, pictures), start=1):
        draw_image(axis, picture, f"{place}. {note}", kind)
    if framed:
        draw_legend(figure, [kind for *_, kind in pictures])
    figure.get_layout_engine().set(h_pad=0.08)
    heading(figure, f"{method}: which images are found for “{printable(query, 100)}”?")
    return figure


@styled
def _captions(picture: Any, label: str, texts: Sequence[tuple[str, float, str]], method: str) -> Figure:
    """The picture asked for, and the captions found for it: (caption, cosine, kind) each."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, max(3.6, 0.3 * len(texts) + 1.2)), width_ratios=(1, 3))
    draw_image(left, picture, label)
    draw_captions(right, texts, 84)
    draw_legend(figure, [kind for *_, kind in texts], frames=False)
    figure.get_layout_engine().set(h_pad=0.1)
    heading(figure, f"{method}: which captions are found for this picture?")
    return figure
