"""The nearest images and captions of an image or a caption, under one or several models."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rsnb.classroom.widgets.gallery import (
    OWN,
    SAME,
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
from rsnb.figures.style import heading, styled
from rsnb.measures.similarity import UNKNOWN


def similarity_explorer(dataset, reports: Mapping[str, Any], count: int = 5) -> Panel:
    """Pick an image, or one of its captions: what lies nearest to it among the images, and among the captions?

    Args:
        dataset: the test set.
        reports: name of a model -> its report on `dataset`, such as {"zero-shot CLIP": before, "with adapter": after};
            one row of the picture each.
        count: neighbours of each kind.
    """
    gallery = Gallery(dataset, reports)
    captions = gallery.captions
    most = max(len(item.captions) for item in dataset)
    controls = gallery.pickers()
    controls["start"] = buttons([("from the image", "image"), ("from its caption", "caption")])
    controls["caption"] = ipywidgets.IntSlider(1, 1, most, description="caption", continuous_update=False)

    def settle(change: Any) -> None:
        gallery.fit(controls)
        controls["caption"].disabled = controls["start"].value == "image"

    def neighbours(report, asked: int, caption: str | None):
        """The nearest images as (image, cosine, kind) and captions as (caption, cosine, kind)."""
        if caption is None:
            query = report.image_embeddings[asked]  # (D,)
        else:
            at = next(j for j, own in enumerate(gallery.owner) if own == asked and captions[j] == caption)
            query = report.text_embeddings[at]
        images = nearest_images(report.image_embeddings @ query, count, asked if caption is None else None)
        texts = nearest_captions(report.text_embeddings @ query, captions, count, caption)
        return (
            [(i, s, gallery.of_image(i, asked, caption)) for i, s in images],
            [(c, s, gallery.of_caption(c, asked)) for c, s in texts],
        )

    def draw(scene: str, number: int, start: str, caption: int) -> tuple[Figure, str]:
        asked = gallery.picked(scene, number)
        own = dataset[asked].captions
        text = own[min(caption, len(own)) - 1] if start == "caption" else None
        found = {name: neighbours(report, asked, text) for name, report in reports.items()}
        return (
            _picture(dataset, gallery.labels, asked, text, found),
            "\n".join(_sentence(name, *both, gallery.labels[asked]) for name, both in found.items()),
        )

    return Panel(
        "similarity-explorer",
        controls,
        draw,
        f"An image, and its {count} nearest images and captions under {' and '.join(reports)}; "
        "own pairs, items of the same class and of other classes are marked.",
        settle=settle,
    )


@styled
def _picture(dataset, labels: Sequence[str], asked: int, text: str | None, found: Mapping[str, Any]) -> Figure:
    """Left the item asked for; right, one band a model, its nearest images with its nearest captions under them."""
    columns = max(len(images) for images, _ in found.values())
    rows = max(len(texts) for _, texts in found.values())
    figure = plt.figure(figsize=(12, (2.6 + 0.25 * rows) * len(found) + 0.8))
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, columns))
    query = left.subplots(len(found), 1, squeeze=False)[:, 0]
    for axis in query[0 if text else 1 :]:
        axis.axis("off")
    if text is None:
        draw_image(query[0], dataset.image(asked), f"asked for:\n{labels[asked]}")
    else:
        wrapped = textwrap.fill(f"“{printable(text, 150)}”", 19)
        query[0].text(0, 0.5, f"asked for:\n\n{wrapped}", va="center", fontsize=12)
    kinds = set()
    bands = right.subfigures(len(found), 1, squeeze=False)[:, 0]
    for band, (name, (images, texts)) in zip(bands, found.items()):
        band.suptitle(name, x=0.005, ha="left", fontsize=13, fontweight="bold")
        grid = band.add_gridspec(2, columns, height_ratios=(1.8, 0.25 * rows), wspace=0.06)
        for column, (image, cosine, kind) in enumerate(images):
            note = f"{textwrap.shorten(labels[image], 17, placeholder='…')}  {cosine:.2f}"
            draw_image(band.add_subplot(grid[0, column]), dataset.image(image), note, kind)
        draw_captions(band.add_subplot(grid[1, :]), texts, 92)
        kinds |= {kind for *_, kind in (*images, *texts)}
    draw_legend(figure, kinds)
    heading(figure, f"What lies nearest to {'this image' if text is None else 'this caption'}, and how near (cosine)?")
    return figure


def _sentence(name: str, images: Sequence[tuple], texts: Sequence[tuple], label: str) -> str:
    """How many of the neighbours are of the class asked for, and how many are own pairs."""
    own = sum(kind == OWN for *_, kind in (*images, *texts))
    if label == UNKNOWN:
        return f"{name}: {own} own among the {len(images)} nearest images and {len(texts)} nearest captions."
    alike = [
        f"{sum(kind in (OWN, SAME) for *_, kind in found)} of the {len(found)} nearest" for found in (images, texts)
    ]
    return f"{name}: {alike[0]} images and {alike[1]} captions are of the class {label}. Own pairs among them: {own}."
