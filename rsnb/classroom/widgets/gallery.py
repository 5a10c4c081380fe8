"""Images and captions with their nearest neighbours, as the panels draw them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from rsnb.errors import RsnbError
from rsnb.figures.style import HIT, MISS
from rsnb.measures.similarity import UNKNOWN, by_class, named

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
        self.labels = named(dataset.labels)
        order, blocks = by_class(dataset.labels)
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
        if UNKNOWN in (self.labels[asked], *classes):
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
    return ipywidgets.ToggleButtons(options=options, style={"button_width": "auto"})


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
