"""A data set to leaf through: filter by class, words or repeated captions; read the captions of an image."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import ipywidgets
from matplotlib.figure import Figure
from PIL import Image

from rsnb.classroom.widgets.gallery import printable
from rsnb.classroom.widgets.panel import Panel
from rsnb.data.words import vocabulary, words_of
from rsnb.errors import RsnbError
from rsnb.figures import plots

if TYPE_CHECKING:
    from rsnb.data import CaptionDataset

ALL, PER_PAGE, COLUMNS, SIDE = "all classes", 8, 4, 200


def dataset_browser(dataset: CaptionDataset, stamp: str | None = None) -> Panel:
    """A panel that shows eight images a page, and the captions of the one picked.

    The filters add up: a class; whole words, all of which stand in the image's captions; a caption written more than
    once on the image; a caption that another image carries too. Page and image follow the filters. Images come class
    by class in turn, so that the first page shows several.
    """
    browser = _Browser(dataset)
    alt = "Up to eight images of the data set, each with its class; the captions of the framed one stand below."
    return Panel("browser", browser.controls, browser.draw, alt, stamp or dataset.stamp, browser.settle)


class _Browser:
    """The data set with what the filters ask of it, and the controls."""

    def __init__(self, dataset: CaptionDataset):
        self.dataset = dataset
        self.owners = Counter(caption for item in dataset for caption in set(item.captions))  # -> images that carry it
        self.words = [set(vocabulary(item.captions)) for item in dataset]
        self.frequent = [word for word, _ in vocabulary(dataset.captions[0]).most_common()]
        self.order = _in_turn([item.label for item in dataset])
        self.small = lru_cache(maxsize=8 * PER_PAGE)(partial(_small, dataset))
        self.filters = {
            "label": ipywidgets.Dropdown(description="class", options=[ALL, *dataset.classes]),
            "typed": ipywidgets.Text(
                description="words in the captions", placeholder="e.g. tree", continuous_update=False
            ),
            "repeated": ipywidgets.Checkbox(description="a caption repeated on the image", indent=False),
            "shared": ipywidgets.Checkbox(description="a caption shared with another image", indent=False),
        }
        self.page = ipywidgets.BoundedIntText(description="page", value=1, min=1, max=1)
        self.picked = ipywidgets.IntSlider(description="captions of image", value=1, min=1, max=1)
        self.controls = {**self.filters, "page": self.page, "picked": self.picked}

    def matching(self, label: str, typed: str, repeated: bool, shared: bool) -> list[int]:
        wanted, dataset = set(words_of(typed)), self.dataset
        if typed.strip() and not wanted:
            return []
        return [
            i
            for i in self.order
            if label in (ALL, dataset[i].label)
            and wanted <= self.words[i]
            and (not repeated or len(set(dataset[i].captions)) < len(dataset[i].captions))
            and (not shared or any(self.owners[caption] > 1 for caption in dataset[i].captions))
        ]

    def notes_on(self, caption: str, own: Sequence[str]) -> str:
        times, others = own.count(caption), self.owners[caption] - 1
        notes = [f"{times} times on this image"] * (times > 1)
        notes += [f"on {others:,} other image{'s' * (others > 1)} too"] * (others > 0)
        return f" ({', '.join(notes)})" if notes else ""

    def draw(self, label: str, typed: str, repeated: bool, shared: bool, page: int, picked: int) -> tuple[Figure, str]:
        dataset = self.dataset
        found = self.matching(label, typed, repeated, shared)
        count = f"{len(found):,} of {len(dataset):,} images"
        asked = [f"class {label}"] * (label != ALL) + [f"word “{word}”" for word in words_of(typed)]
        asked += ["repeated caption"] * repeated + ["shared caption"] * shared
        title = f"Which images fit: {', '.join(asked)}? {count}" if asked else f"What is in the set? {count}"
        title = printable(title, 200)
        if not found:
            return _nothing(title), f"{count}. {_advice(typed, self.frequent)}"
        shown = found[PER_PAGE * (page - 1) : PER_PAGE * page]
        item = dataset[shown[picked - 1]]
        names = [f"{n} · {printable(dataset[i].label or dataset[i].name, 40)}" for n, i in enumerate(shown, start=1)]
        figure = _sheet([self.small(i) for i in shown], names, title, picked)
        lines = [f"{count}, page {page} of {_pages(found)}. Image {picked}: {item.name}"]
        lines += [
            f"{n}. {caption}{self.notes_on(caption, item.captions)}" for n, caption in enumerate(item.captions, 1)
        ]
        return figure, "\n".join(lines)

    def settle(self, change: dict | None) -> None:
        """A filter or the page was moved: set what depends on it."""
        page, picked = self.page, self.picked
        if change is not None and change["owner"] is picked:
            return
        found = self.matching(**{key: control.value for key, control in self.filters.items()})
        if change is None or change["owner"] is not page:
            page.value, page.max = 1, _pages(found)
        picked.value, picked.max = 1, max(1, min(PER_PAGE, len(found) - PER_PAGE * (page.value - 1)))


def _small(dataset: CaptionDataset, i: int) -> Image.Image | None:
    """The picture reduced, or None where it cannot be read."""
    try:
        image = dataset.image(i)
    except RsnbError:
        return None
    image.thumbnail((SIDE, SIDE))
    return image


def _in_turn(labels: Sequence[str | None]) -> list[int]:
    """The images, class by class in turn: all classes on page 1, not eight airports."""
    seen: Counter[str | None] = Counter()
    turn = []  # how many of its class come before an image
    for label in labels:
        turn.append(seen[label] if label else 0)
        seen[label] += 1
    return sorted(range(len(labels)), key=turn.__getitem__)


def _pages(found: Sequence[int]) -> int:
    return max(1, -(-len(found) // PER_PAGE))


def _sheet(images: Sequence[Image.Image | None], names: Sequence[str], title: str, picked: int) -> Figure:
    """A contact sheet with a frame around the picked image; an image that cannot be read is a grey tile."""
    blank = Image.new("RGB", (SIDE, SIDE), (225, 225, 225))
    figure = plots.contact_sheet([image or blank for image in images], names, title, columns=COLUMNS)
    for axis, image in zip(figure.axes, images):
        if image is None:
            axis.text(SIDE / 2, SIDE / 2, "no image\nto read", ha="center", va="center")
    axis = figure.axes[picked - 1]
    axis.title.set_fontweight("bold")
    axis.axis("on")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(visible=True, color="black", linewidth=4)
    return figure


def _nothing(title: str) -> Figure:
    blank = Image.new("RGB", (SIDE, SIDE), (225, 225, 225))
    return plots.contact_sheet([blank], ["no image fits"], title, columns=COLUMNS)


def _advice(typed: str, frequent: Sequence[str]) -> str:
    """What to try when nothing was found: words of the captions that resemble an unknown one, most frequent first."""
    wanted = words_of(typed)
    if typed.strip() and not wanted:
        return f"“{typed.strip()}” holds no word."
    unknown = [word for word in wanted if word not in frequent]
    if not unknown:
        return "Each filter alone may find some: take one away."
    word = unknown[0]
    near = [w for w in frequent if word in w or w in word and len(w) > 3][:6]
    near = near or difflib.get_close_matches(word, frequent)
    return f"No caption has the word “{word}”." + (f" Words that occur: {', '.join(near)}." if near else "")
