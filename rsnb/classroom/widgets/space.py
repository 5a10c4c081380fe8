"""A map of the embeddings that shows the picture under the mouse. Plain HTML and CSS: no script, nothing loaded."""

from __future__ import annotations

import base64
import html
import io
import textwrap
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from rsnb.classroom.widgets.gallery import buttons
from rsnb.classroom.widgets.panel import Panel
from rsnb.errors import RsnbError
from rsnb.figures import plots
from rsnb.figures.style import HIT, MISS, PALETTE
from rsnb.measures.similarity import named

EVERY = "all classes"
BY_CLASS, BY_HIT = "class", "hit or miss"
FIRST = 5  # an image is a hit if a caption of its own is among so many
#: Outlines of the marks, in the order of ``plots.MARKERS``: disc, square, triangle, diamond, triangle upside down.
SHAPES = ("circle(50%)", "inset(4%)", "polygon(50% 0,100% 95%,0 95%)", "polygon(50% 0,100% 50%,50% 100%,0 50%)",
          "polygon(0 5%,100% 5%,50% 100%)")  # fmt: skip
STYLE = """
.ID{background:#fff;color:#222;font:15px/1.3 sans-serif;padding:10px;max-width:880px;box-sizing:border-box}
.ID .map{position:relative;height:560px;border:1px solid #bbb}
.ID svg{position:absolute;left:0;top:0;width:100%;height:100%}
.ID .p{position:absolute;width:14px;height:14px;margin:-7px 0 0 -7px;cursor:pointer;z-index:1}
.ID .p input{position:absolute;opacity:0;margin:0}
.ID .p:hover{z-index:9} .ID .p:focus-within{z-index:8;outline:3px solid #000;outline-offset:1px}
.ID .k{position:relative;display:inline-block;width:14px;height:14px;background:#222;vertical-align:-1px}
.ID .k::after{content:"";position:absolute;inset:1.5px;background:currentColor;clip-path:inherit}
.ID .faint{z-index:0} .ID .faint .k,.ID circle.faint{opacity:.13} .ID .n.faint{opacity:.35}
.ID .n{position:absolute;transform:translate(-50%,-50%);z-index:2;pointer-events:none;min-width:14px;padding:1px 3px;
 border:1px solid #888;border-radius:11px;background:#ffffffd9;font-weight:bold;text-align:center}
.ID .card{display:none;position:absolute;width:200px;padding:8px;background:#fff;color:#222;border:1px solid #444;
 box-shadow:0 2px 8px #0006;pointer-events:none;text-align:left}
.ID .p:hover .card,.ID .p:focus-within .card{display:block}
.ID .card i{display:block;width:WIDEpx;height:WIDEpx;background:#eee center/contain no-repeat;margin-bottom:4px}
.ID .west{left:16px} .ID .east{right:16px} .ID .north{top:0} .ID .south{bottom:0}
.ID .legend{columns:5 130px;margin-top:8px} .ID .legend div{break-inside:avoid}
"""


class MapPanel(Panel):
    """A panel whose live picture is a map of HTML; what ``draw`` draws is shown where widgets do not run.

    Args:
        sheet: CSS, sent once.
        markup: as ``draw``, called with the value of every control; returns (HTML, text).
    """

    def __init__(self, *args: Any, sheet: str, markup: Callable[..., tuple[str, str]], **more: Any) -> None:
        self.sheet = ipywidgets.HTML(f"<style>{sheet}</style>", layout={"display": "none"})
        self.markup = markup
        super().__init__(*args, **more)

    def body(self) -> list[ipywidgets.Widget]:
        return [self.sheet, *super().body()]

    def show(self, values: dict[str, Any]) -> None:
        markup, text = self.markup(**values)
        label = html.escape(self.alt_of(text))
        self.picture.value = f'<div role="radiogroup" aria-label="{label}">{markup}</div>'
        self.say(text)


def tsne_hover(
    dataset,
    maps: Mapping[str, Any],
    shown: Sequence[int],
    captions: Sequence[int] = (),
    reports: Mapping[str, Any] | None = None,
    size: int = 64,
) -> MapPanel:
    """A t-SNE map that shows image, class and first caption of the point under the mouse, or of the focused one.

    Args:
        dataset: the set that the points are of.
        maps: name of a model -> points (N, 2) of the images, or (those, points (M, 2) of captions).
        shown: the N images of the data set, in the order of the points.
        captions: the M captions (places in ``dataset.captions[0]``), in the order of their points.
        reports: the same names -> report on `dataset`; with them points can be coloured by hit and miss.
        size: pixels of a thumbnail; it is shown twice as large.
    """
    shown = [int(i) for i in shown]
    points = {name: _both(name, value, len(shown), len(captions)) for name, value in maps.items()}
    if not points or not shown:
        raise RsnbError("a map needs at least one model and one image; give maps={name: points} and the images shown")
    if reports is not None and (lacking := [name for name in maps if name not in reports]):
        raise RsnbError(f"no report for {', '.join(lacking)}; reports are of {', '.join(reports) or 'nothing'}")
    labels, owner = named(dataset.labels), dataset.captions[1]
    image_labels, text_labels = [labels[i] for i in shown], [labels[owner[j]] for j in captions]
    classes = sorted(set(image_labels))
    hits = {name: [int(reports[name].text_ranks[i]) < FIRST for i in shown] for name in reports or ()}

    def said(model: str, scene: str, colour: str = BY_CLASS, texts: bool = False) -> str:
        return _said(model, scene, image_labels, hits.get(model), texts)

    def draw(model: str, **others: Any) -> tuple[Figure, str]:
        title = "Which images lie together?"
        return plots.tsne_panels({model: points[model]}, image_labels, text_labels, title), said(model, **others)

    cards = [_card(dataset[i], labels[i], k) for k, i in enumerate(shown)]
    key = f"rsnb-{uuid.uuid4().hex[:8]}"  # styles hold for the whole page, which may show several maps

    def markup(model: str, scene: str, colour: str = BY_CLASS, texts: bool = False) -> tuple[str, str]:
        images, dots = points[model]
        coloured_by = hits[model] if colour == BY_HIT else None
        parts = _map(key, images, dots if texts else dots[:0], image_labels, text_labels, cards, scene, coloured_by)
        return f'<div class="{key}">{parts}</div>', said(model, scene, colour, texts)

    controls = _controls(list(maps), classes, colours=reports is not None, texts=len(captions) > 0)
    sheet = _sheet(key, [_thumbnail(dataset.image(i), size) for i in shown], 2 * size)
    alt = f"t-SNE map of {len(shown)} images, a point per image: those that a model finds alike are near."
    return MapPanel("space", controls, draw, alt, sheet=sheet, markup=markup)


def _controls(
    models: Sequence[str], classes: Sequence[str], colours: bool, texts: bool
) -> dict[str, ipywidgets.Widget]:
    """The last two controls stand where there are hits to colour by, and captions to show."""
    controls: dict[str, ipywidgets.Widget] = {
        "model": buttons(models),
        "scene": ipywidgets.Dropdown(options=[EVERY, *classes], description="highlight"),
    }
    if colours:
        controls["colour"] = buttons([(f"colour by {name}", name) for name in (BY_CLASS, BY_HIT)])
    if texts:
        controls["texts"] = ipywidgets.Checkbox(True, description="captions", indent=False)
    return controls


def _said(model: str, scene: str, labels: Sequence[str], hits: Sequence[bool] | None, texts: bool) -> str:
    """The text under the map; ``hits``: of each image, where there is a report."""
    chosen = [k for k, label in enumerate(labels) if scene in (EVERY, label)]
    lines = [f"{model} · {len(chosen)} images" + (f" of the class {scene}." if scene != EVERY else ".")]
    if hits is not None:
        found = sum(hits[k] for k in chosen)
        lines.append(f"{found} of them find a caption of their own among the first {FIRST}.")
    dots = " Small dots are captions." if texts else ""
    return " ".join(lines) + (
        f"\nMove the mouse over a point to see its image; a click keeps it open. By keyboard: Tab to the map, then "
        f"the arrow keys.{dots} Only who is near to whom means something."
    )


def _sheet(key: str, thumbnails: Sequence[str], wide: int) -> str:
    """The CSS of one map: its outlines, and its pictures (data URIs), shown so many pixels wide."""
    sheet = STYLE.replace("WIDE", str(wide)).replace("ID", key)
    sheet += "".join(f".{key} .s{n}{{clip-path:{shape}}}" for n, shape in enumerate(SHAPES))
    return sheet + "".join(
        f".{key} .t{k}{{background-image:url({picture})!important}}" for k, picture in enumerate(thumbnails)
    )


def _both(name: str, value: Any, images: int, texts: int) -> tuple[np.ndarray, np.ndarray]:
    """The points of the images (N, 2) and of the captions (M, 2), checked."""
    pair = value if isinstance(value, tuple) else (value, np.empty((0, 2)))
    pair = tuple(np.asarray(part, dtype=float) for part in pair)
    wanted = [(images, 2), (texts, 2)]
    if [part.shape for part in pair] != wanted:
        raise RsnbError(
            f"the map {name!r} has points of shape {' and '.join(str(part.shape) for part in pair)}; "
            f"{images} images and {texts} captions need {wanted[0]} and {wanted[1]}"
        )
    return pair


def _thumbnail(image: Any, size: int) -> str:
    """A small JPEG as a data URI."""
    buffer = io.BytesIO()
    small = image.copy()
    small.thumbnail((size, size))
    small.save(buffer, "JPEG", quality=75, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _card(item: Any, label: str, k: int) -> tuple[str, str]:
    """What a reader hears of a point, and what appears beside it."""
    caption = html.escape(textwrap.shorten(item.captions[0], 90, placeholder=" …"))
    name = html.escape(label)
    return f"{name}: {caption}", f'<i class="t{k}"></i><b>{name}</b><br>{caption}'


def _looks(classes: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Class -> (colour, shape), a pair of its own for each."""
    return {c: (PALETTE[n % 10], n // 10 % len(SHAPES)) for n, c in enumerate(classes)}


def _map(
    name: str,
    images: np.ndarray,
    texts: np.ndarray,
    image_labels: Sequence[str],
    text_labels: Sequence[str],
    cards: Sequence[tuple[str, str]],
    scene: str,
    hits: Sequence[bool] | None,
) -> str:
    """The HTML of one state of the map: captions below, images above, class numbers on top; a legend.

    The images are radio buttons of that name, so that a browser makes one tab stop of them, and arrow keys go from one
    to the next: class by class, in each from left to right. JupyterLab leaves the keys to an element that says
    data-lm-suppress-shortcuts.
    """
    classes = sorted(set(image_labels))
    looks = _looks(classes)
    everything = np.concatenate([images, texts])
    low, width = everything.min(axis=0), np.maximum(np.ptp(everything, axis=0), 1e-9)

    def place(xy: np.ndarray) -> np.ndarray:
        """In percent, y downwards."""
        return ((xy - low) / width * (0.94, -0.94) + (0.03, 0.97)) * 100

    def faint(label: str) -> str:
        return "" if scene in (EVERY, label) else " faint"

    parts = ['<div class="map"><svg aria-hidden="true">']
    for (x, y), label in zip(place(texts), text_labels):
        colour = looks[label][0] if hits is None and label in looks else "#949494"
        parts.append(
            f'<circle class="{faint(label).strip()}" cx="{x:.1f}%" cy="{y:.1f}%" r="2" fill="{colour}" '
            f'fill-opacity=".45"/>'
        )
    parts.append("</svg>")
    places = place(images)
    for k in sorted(range(len(images)), key=lambda k: (image_labels[k], places[k][0])):
        (x, y), label, (heard, card) = places[k], image_labels[k], cards[k]
        colour, shape = looks[label] if hits is None else _look_of(hits[k])
        side = f"{'west' if x < 50 else 'east'} {'north' if y < 50 else 'south'}"
        parts.append(
            f'<label class="p{faint(label)}" style="left:{x:.1f}%;top:{y:.1f}%;color:{colour}">'
            f'<input type="radio" name="{name}" aria-label="{heard}"{" disabled" if faint(label) else ""} '
            f'data-lm-suppress-shortcuts="">'
            f'<span class="k s{shape}"></span><span class="card {side}">{card}</span></label>'
        )
    written: list[np.ndarray] = []
    for number, name in enumerate(classes, start=1):
        own = np.median(images[[label == name for label in image_labels]], axis=0)
        if len(classes) > 1 and all(np.linalg.norm((own - other) / width) > 0.05 for other in written):
            written.append(own)
            x, y = place(own)
            parts.append(f'<span class="n{faint(name)}" style="left:{x:.1f}%;top:{y:.1f}%">{number}</span>')
    return "".join([*parts, "</div>", _legend(looks, scene, hits)])


def _legend(looks: Mapping[str, tuple[str, int]], scene: str, hits: Sequence[bool] | None) -> str:
    """What the marks and the numbers mean."""
    parts = ['<div class="legend">']
    if hits is not None:
        for hit, what in ((True, f"hit: own caption among the first {FIRST}"), (False, "miss")):
            colour, shape = _look_of(hit)
            parts.append(
                f'<div style="column-span:all"><span class="k s{shape}" style="color:{colour}"></span> '
                f"{what} ({list(hits).count(hit)} images)</div>"
            )
    for number, (name, (colour, shape)) in enumerate(looks.items(), start=1):
        mark = f'<span class="k s{shape}" style="color:{colour}"></span> ' if hits is None else ""
        entry = f"{number} {html.escape(name)}"
        parts.append(f"<div>{mark}{f'<b>{entry}</b>' if name == scene else entry}</div>")
    return "".join([*parts, "</div>"])


def _look_of(hit: bool) -> tuple[str, int]:
    """Colour and shape of a hit (a green disc) and a miss (a red triangle)."""
    return (HIT, 0) if hit else (MISS, 2)
