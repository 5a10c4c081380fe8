"""The nearest images and captions of an image or a caption, under one or several models."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from rsnb.classroom.widgets.base import Panel
from rsnb.errors import RsnbError
from rsnb.figures.plots import HIT, MISS, _head, _styled
from rsnb.measures import similarity as analysis

#: What a neighbour is to the item asked for: mark, colour, dashes, width of the frame, what the legend says.
OWN, SAME, OTHER, UNSURE = "own", "same", "other", "unsure"
LOOKS = {OWN: ("✓", HIT, "-", 4.5, "own pair"), SAME: ("○", "0.4", "-", 1.8, "same class"),
         OTHER: ("✗", MISS, "--", 2.2, "another class"), UNSURE: ("·", "0.4", "-", 0, "class unknown")}  # fmt: skip


class Gallery:
    """A data set with its captions and classes at hand, and the controls that pick one of its images.

    Args:
        reports: name of a model -> its report on this data set.
    """

    def __init__(self, dataset, reports: Mapping[str, Any]) -> None:
        self.dataset = dataset
        self.captions, self.owner = dataset.captions
        self.labels = analysis.named(dataset.labels)
        order, blocks = analysis.by_class(dataset.labels)
        self.members = {name: order[first:last] for name, first, last in blocks}
        self.carriers: dict[str, set[int]] = {}  # a caption -> the images that have it, word for word
        for caption, image in zip(self.captions, self.owner):
            self.carriers.setdefault(caption, set()).add(image)
        if not reports:
            raise RsnbError("a panel needs the report of at least one model; give {name: rsnb.evaluate(model, data)}")
        for name, report in reports.items():
            sizes = len(report.image_embeddings), len(report.text_embeddings)
            if sizes != (len(dataset), len(self.captions)):
                raise RsnbError(
                    f"the report of {name!r} is of {sizes[0]:,} images and {sizes[1]:,} captions, the data "
                    f"set has {len(dataset):,} and {len(self.captions):,}; evaluate on this data set"
                )

    def pickers(self) -> dict[str, ipywidgets.Widget]:
        """A class and the number of an image within it; ``fit`` keeps the second within the first."""
        classes = list(self.members)
        return {
            "scene": ipywidgets.Dropdown(options=classes, description="class"),
            "number": ipywidgets.IntSlider(
                1, 1, len(self.members[classes[0]]), description="image", continuous_update=False
            ),
        }

    def fit(self, controls: Mapping[str, ipywidgets.Widget]) -> None:
        """The slider ends at the last image of the class."""
        controls["number"].max = len(self.members[controls["scene"].value])

    def picked(self, scene: str, number: int) -> int:
        """The index of that image in the data set."""
        own = self.members[scene]
        return own[min(number, len(own)) - 1]

    def of_image(self, image: int, asked: int, caption: str | None = None) -> str:
        """What an image is to the image `asked`, or to that caption of it: the words count, so a caption is own to
        each image that has it."""
        if caption is not None and image in self.carriers[caption]:
            return OWN
        return self._alike({image}, asked)

    def of_caption(self, caption: str, asked: int) -> str:
        """What a caption is to the image `asked`; here too the words count."""
        if asked in self.carriers[caption]:
            return OWN
        return self._alike(self.carriers[caption], asked)

    def _alike(self, images: set[int], asked: int) -> str:
        """Whether one of the images is of the class of `asked`."""
        classes = {self.labels[i] for i in images}
        if analysis.UNKNOWN in (self.labels[asked], *classes):
            return UNSURE
        return SAME if self.labels[asked] in classes else OTHER


def nearest_images(scores: Tensor, count: int, leave_out: int | None = None) -> list[tuple[int, float]]:
    """(image, cosine), best first. scores: (N,)."""
    order = scores.argsort(descending=True, stable=True).tolist()
    return [(i, float(scores[i])) for i in order if i != leave_out][:count]


def nearest_captions(
    scores: Tensor, captions: Sequence[str], count: int, leave_out: str | None = None
) -> list[tuple[str, float]]:
    """(caption, cosine), best first, each wording once. scores: (M,)."""
    found: dict[str, float] = {}
    for j in scores.argsort(descending=True, stable=True).tolist():
        if captions[j] != leave_out:
            found.setdefault(captions[j], float(scores[j]))
        if len(found) == count:
            break
    return list(found.items())


def buttons(options: Sequence[str] | Sequence[tuple[str, str]]) -> ipywidgets.ToggleButtons:
    """A few choices side by side, as wide as their names: the values, or (what is written, value) each."""
    return ipywidgets.ToggleButtons(options=options, style={"button_width": "auto"}, layout={"width": "auto"})


def printable(text: str, width: int) -> str:
    """Text for a figure: cut to `width` letters, signs that the font lacks as boxes, no formula between dollars."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    short = textwrap.shorten(text, width, placeholder=" …") if " " in text.strip() else text[:width]
    return "".join(c if font.get_char_index(ord(c)) else "□" for c in short).replace("$", r"\$")


def draw_image(axis, image: Any, note: str, kind: str | None = None) -> None:
    """A picture with a note above it, framed by what it is to the item asked for."""
    axis.imshow(image)
    axis.set(xticks=[], yticks=[])
    axis.set_title(note, fontsize=11, fontweight="bold" if kind == OWN else "normal", loc="center", pad=6)
    _, colour, dashes, width, _ = LOOKS[kind or SAME]
    for spine in axis.spines.values():
        spine.set(visible=kind is not None, color=colour, linestyle=dashes, linewidth=width)


def draw_captions(axis, found: Sequence[tuple[str, float, str]], width: int) -> None:
    """A list of (caption, cosine, kind), from top to bottom, cut to `width` letters."""
    axis.axis("off")
    axis.set(xlim=(0, 1), ylim=(len(found), 0))
    for i, (caption, cosine, kind) in enumerate(found):
        mark, colour, *_ = LOOKS[kind]
        axis.annotate(
            mark, (0, i + 0.5), fontsize=14, fontweight="bold", color=colour, va="center", fontfamily="DejaVu Sans"
        )
        axis.annotate(
            f"{cosine:.2f}   {printable(caption, width)}",
            (0, i + 0.5),
            (22, 0),
            fontsize=11.5,
            va="center",
            textcoords="offset points",
            fontweight="bold" if kind == OWN else "normal",
        )


def draw_legend(figure: Figure, kinds: Sequence[str], frames: bool = True) -> None:
    """What marks, and frames where there are some, mean."""
    handles = []
    for kind in (kind for kind in LOOKS if kind in kinds):
        mark, colour, dashes, width, name = LOOKS[kind]
        dashes = dashes if frames else "none"
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=width, label=f"{mark} {name}"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        labelcolor="linecolor",
        handlelength=2 if frames else 0,
        prop={"family": "DejaVu Sans", "size": 12},
    )


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


@_styled
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
    _head(figure, f"What lies nearest to {'this image' if text is None else 'this caption'}, and how near (cosine)?")
    return figure


def _sentence(name: str, images: Sequence[tuple], texts: Sequence[tuple], label: str) -> str:
    """How many of the neighbours are of the class asked for, and how many are own pairs."""
    own = sum(kind == OWN for *_, kind in (*images, *texts))
    if label == analysis.UNKNOWN:
        return f"{name}: {own} own among the {len(images)} nearest images and {len(texts)} nearest captions."
    alike = [
        f"{sum(kind in (OWN, SAME) for *_, kind in found)} of the {len(found)} nearest" for found in (images, texts)
    ]
    return f"{name}: {alike[0]} images and {alike[1]} captions are of the class {label}. Own pairs among them: {own}."
