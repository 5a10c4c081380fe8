"""Panels that need no model: the browser, the adapter designer, the hinge playground."""

from __future__ import annotations

import asyncio
import base64
import html
import io
import re
import threading
from collections import Counter
from types import SimpleNamespace

import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from PIL import Image

from rsnb.figures import png
from rsnb.figures.style import GREY, HIT, IMAGE, SHARED, TEXT

matplotlib.use("agg")
import matplotlib.pyplot as plt

import rsnb
from rsnb.classroom.widgets import browser, designer, hinge
from rsnb.classroom.widgets.panel import REST
from rsnb.data import CaptionDataset
from rsnb.data.dataset import Item
from rsnb.errors import RsnbError
from rsnb.losses import triplet
from rsnb.mrs import MRS

MINI = ({"image": 192, "text": 128}, {"image": 4, "text": 4}, 2_928_513, "mini CLIP")
MOVES = {  # panel -> control -> a value to move it to, one after the other
    "browser": {"picked": 3, "page": 2, "repeated": True, "shared": True, "typed": "trees", "label": "river"},
    "designer": {"backbone": "ViT-B/32", "bottleneck": 32, "shared": 0, "share_layers": False, "blocks": "last half",
                 "towers": ("text",)},
    "hinge": {"batch": "look-alikes (one class)", "mining": "sum", "margin": 0.5, "caption_1": 0.9, "caption_2": 0.95,
              "caption_3": -0.3, "caption_4": 0.5, "image": 1},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def plain_files():
    """Small pictures, not compressed further: half the time of a drawing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "SCREEN_DPI", 60)
        patch.setattr(png, "_light", lambda drawn: drawn)
        yield


@pytest.fixture(scope="module")
def toy():
    return rsnb.load_dataset("toy", "test")


def build(name, toy):
    if name == "browser":
        return browser.dataset_browser(toy)
    return designer.adapter_designer(*MINI) if name == "designer" else hinge.hinge_playground()


@pytest.fixture(scope="module")
def panels(toy, plain_files):
    """One of each, in its first state: to be asked, not to be moved."""
    made = {name: build(name, toy) for name in MOVES}
    first = {name: panel.values for name, panel in made.items()}
    yield made
    assert first == {name: panel.values for name, panel in made.items()}


@pytest.fixture(autouse=True)
def close():
    yield
    assert not plt.get_fignums(), "a panel left a figure open"


def said(panel) -> str:
    """The text as it is read."""
    return html.unescape(re.sub("<[^>]*>", "", panel.text.value.replace("<br>", "\n")))


def told(panel, **values) -> str:
    """The text for these values, drawn but not kept as a picture."""
    figure, text = panel.draw(**{**panel.values, **values})
    plt.close(figure)
    return text


def shown(panel) -> bytes:
    """The picture as it is seen."""
    return base64.b64decode(re.search(r'src="data:image/\w+;base64,([^"]+)"', panel.picture.value)[1])


def not_blank(picture: bytes) -> bool:
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    return min(pixels.shape[:2]) > 100 and (pixels < 240).any(axis=2).mean() > 0.02


# --- all three --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MOVES)
def test_every_control_moves_the_picture_or_the_text(toy, name):
    panel, drawn = build(name, toy), []
    draw = panel.draw
    panel.draw = lambda **values: drawn.append(values) or draw(**values)
    assert set(MOVES[name]) == set(panel.controls)
    for key, value in MOVES[name].items():
        before = panel.picture.value, panel.text.value
        panel.set(**{key: value})
        assert panel.values[key] == value and drawn.pop() == panel.values and not drawn  # drawn once, at the end
        assert (panel.picture.value, panel.text.value) != before, key
        assert not_blank(shown(panel)), key


@pytest.mark.parametrize("name", MOVES)
def test_the_saved_output_has_the_first_picture_with_its_alternative_text(panels, name):
    panel = panels[name]
    data, metadata = panel._repr_mimebundle_()
    (mime,) = set(data) & {"image/png", "image/jpeg"}
    assert metadata[mime]["alt"] == panel.alt and len(panel.alt) > 40
    assert "application/vnd.jupyter.widget-view+json" in data
    assert not_blank(base64.b64decode(data[mime]))


@pytest.mark.parametrize("name", MOVES)
def test_the_picture_is_drawn_twice_as_large_as_shown_and_says_what_it_shows(toy, name):
    panel, alts = build(name, toy), []
    for _ in range(2):
        markup = panel.picture.value
        width, height = (int(re.search(rf' {side}="(\d+)"', markup)[1]) for side in ("width", "height"))
        drawn = Image.open(io.BytesIO(shown(panel)))
        assert (drawn.width // 2, drawn.height // 2) == (width, height) and 600 < width <= 1000
        alts.append(html.unescape(re.search(r'alt="([^"]*)"', markup)[1]))
        assert alts[-1].startswith(panel.alt) and said(panel).splitlines()[0] in alts[-1]
        panel.set(**{"browser": {"label": "river"}, "designer": {"bottleneck": 8}, "hinge": {"image": 1}}[name])
    assert alts[0] != alts[1]


@pytest.mark.parametrize("name", MOVES)
def test_in_a_notebook_only_the_newest_values_are_drawn(toy, name):
    """Thirty moves without a rest are one drawing, of the last; a rest between two moves makes two."""
    sliders = {"browser": "picked", "designer": "bottleneck", "hinge": "margin"}

    async def drag():
        panel, drawn = build(name, toy), []
        draw, slider = panel.draw, panel.controls[sliders[name]]
        panel.draw = lambda **values: drawn.append(values) or draw(**values)
        ends = slider.min, slider.max
        for step in range(30):
            slider.value = ends[step % 2]
            await asyncio.sleep(0)
        assert not drawn  # thirty steps take less than a rest
        await asyncio.sleep(panel.rest + REST)
        assert drawn == [panel.values] and slider.value == ends[1]
        slider.value = ends[0]
        await asyncio.sleep(panel.rest + REST)
        assert drawn[1:] == [panel.values]
        panel.set(**{sliders[name]: ends[1]})  # from Python: at once
        assert drawn[2:] == [panel.values]

    asyncio.run(drag())


def test_moves_reported_in_another_thread_are_drawn_in_that_of_the_notebook():
    threads = []

    async def drag():
        panel = build("hinge", None)
        draw = panel.draw
        panel.draw = lambda **values: threads.append(threading.current_thread()) or draw(**values)
        moves = threading.Thread(target=lambda: setattr(panel.controls["margin"], "value", 0.4))
        moves.start()
        moves.join()
        await asyncio.sleep(panel.rest + REST)

    asyncio.run(drag())
    assert threads == [threading.main_thread()]


@pytest.mark.parametrize("error, line", [(RsnbError("no such <class>"), "no such <class>"),
                                         (ValueError("one\ntwo"), "ValueError: one two")])  # fmt: skip
def test_an_error_of_a_drawing_is_one_line_and_the_picture_stays(error, line):
    async def drag():
        panel = build("hinge", None)
        before = panel.picture.value

        def draw(**values):
            raise error

        panel.draw = draw
        panel.controls["margin"].value = 0.4
        await asyncio.sleep(panel.rest + REST)
        assert said(panel) == line and panel.picture.value == before

    asyncio.run(drag())


def test_boxes_of_text_ask_for_enter(panels):
    def parts(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from parts(child)

    boxes = [w for w in parts(panels["browser"].box) if isinstance(w, ipywidgets.Text)]
    beside = [w.value for w in parts(panels["browser"].box) if isinstance(w, ipywidgets.Label)]
    assert len(boxes) == len(beside) == 1 and "Enter" in beside[0]


@pytest.mark.parametrize("name", MOVES)
def test_figures_are_in_readable_type(panels, name):
    figure, _ = panels[name].draw(**panels[name].values)
    figure.canvas.draw()
    texts = [t for t in figure.findobj(matplotlib.text.Text) if t.get_text().strip() and t.get_visible()]
    assert texts and min(t.get_fontsize() for t in texts) >= 11
    plt.close(figure)


# --- browser ----------------------------------------------------------------------------------------------------
FILTERS = (
    {"label": "harbor"},
    {"typed": "Trees, cars"},
    {"repeated": True},
    {"shared": True},
    {"label": "beach", "typed": "sea", "shared": True},
)


@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_filters_find_what_a_loop_finds(toy, panels, asked):
    captions = Counter(caption for item in toy for caption in set(item.captions))
    words = set(re.findall("[a-z]+", asked.get("typed", "").lower()))
    count = 0
    for item in toy:
        fits = item.label == asked.get("label", item.label)
        fits &= all(any(word in caption.split() for caption in item.captions) for word in words)
        fits &= not asked.get("repeated") or max(Counter(item.captions).values()) > 1
        fits &= not asked.get("shared") or any(captions[caption] > 1 for caption in item.captions)
        count += fits
    assert 0 < count < len(toy)
    assert told(panels["browser"], **asked).startswith(f"{count} of {len(toy)} images")


def test_page_and_image_follow_the_filter(toy):
    panel = build("browser", toy)
    page, picked = panel.controls["page"], panel.controls["picked"]
    assert (page.max, picked.max) == (33, 8)  # 264 images, eight a page
    panel.set(page=33, picked=5)
    panel.set(label="harbor")
    assert (page.value, page.max, picked.value, picked.max) == (1, 2, 1, 8)  # 12 images
    panel.set(page=2)
    assert picked.max == 4
    panel.set(picked=4)
    item = [item for item in toy if item.label == "harbor"][11]
    assert item.name in said(panel) and all(caption in said(panel) for caption in item.captions)
    panel.set(label=browser.ALL)
    assert (page.value, page.max) == (1, 33)


def test_the_first_page_shows_several_classes(toy, panels):
    figure, _ = panels["browser"].draw(**panels["browser"].values)
    titles = [axis.get_title().split(" · ")[1] for axis in figure.axes]
    plt.close(figure)
    assert len(set(titles)) == browser.PER_PAGE


def test_repeated_and_shared_captions_are_marked():
    items = [Item("a.png", None, ("one .", "one .", "two ."), "x"), Item("b.png", None, ("one .", "<b>"), "x")]
    panel = browser.dataset_browser(CaptionDataset(items))
    assert "1. one . (2 times on this image, on 1 other image too)" in said(panel)
    assert said(panel).endswith("3. two .")
    panel.set(picked=2)
    assert "2. <b>" in said(panel) and "<b>" not in panel.text.value  # shown as typed, not obeyed


def test_images_that_cannot_be_read_do_not_stop_it():
    items = [Item("a.png", None, ("a tree .",)), Item("b.png", None, ("no tree .",))]
    panel = browser.dataset_browser(CaptionDataset(items))  # no classes either
    assert panel.controls["label"].options == (browser.ALL,)
    assert "a tree ." in said(panel) and not_blank(shown(panel))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"typed": "xyzzy"}, "No caption has the word “xyzzy”."),
        ({"typed": "tre"}, "Words that occur: trees"),
        ({"typed": "?!"}, "“?!” holds no word."),
        ({"typed": "boats", "label": "forest"}, "take one away"),
        ({"typed": "機場 " * 50}, "No caption has the word “機場”."),  # signs that the font of the figure lacks
    ],
)
def test_no_match_is_friendly(panels, asked, answer):
    text = told(panels["browser"], **asked)
    assert text.startswith("0 of 264 images") and answer in text


def test_no_match_and_back(toy):
    panel = build("browser", toy)
    panel.set(typed="xyzzy")
    assert panel.controls["page"].max == panel.controls["picked"].max == 1
    assert "0 of 264" in said(panel) and not_blank(shown(panel))
    panel.set(typed="")
    assert "264 of 264" in said(panel)


def test_real_images(shared_data):
    data = rsnb.load_dataset("ucm", "test", root=shared_data / "ucm_precomp")
    panel = browser.dataset_browser(data)
    assert "210 of 210 images" in said(panel) and not_blank(shown(panel))
    assert panel.stamp == data.stamp


# --- designer ---------------------------------------------------------------------------------------------------
DESIGNS = (
    {},
    {"bottleneck": 16, "shared": 8},
    {"shared": 0, "share_layers": False},
    {"towers": ("image",), "shared": 120},
    {"towers": ("text",), "share_layers": False, "blocks": "last half"},
    {"share_layers": False, "blocks": "last block"},
    {"blocks": "first half", "bottleneck": 128},
)


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_counts_are_those_of_the_package(panels, design):
    text = told(panels["designer"], **design)
    clip = rsnb.load_clip()
    assert sum(p.numel() for p in clip.parameters()) == MINI[2] and clip.widths == MINI[0] and clip.depths == MINI[1]
    model = eval(text.splitlines()[-1], {"rsnb": rsnb, "clip": clip, "range": range})  # the line of Python it prints
    count = rsnb.count_trainable(model)
    assert text.startswith(f"{count:,} parameters, {100 * count / MINI[2]:.2f} % of mini CLIP")


@pytest.mark.parametrize("share_layers", [True, False])
def test_counts_on_vit_b32(panels, share_layers):
    text = told(panels["designer"], backbone="ViT-B/32", share_layers=share_layers)
    count = rsnb.count_trainable(MRS(SimpleNamespace(**designer.VIT_B32), share_layers=share_layers))
    assert text.startswith(f"{count:,} parameters")
    assert rsnb.METHODS["full"].count_vit_b32 == designer.VIT_B32["total"]
    if share_layers:
        assert count == rsnb.METHODS["mrs"].count_vit_b32
        assert "0.11 % of ViT-B/32: down 82,048, up 74,880, shared up 4,160" in text and "24 blocks" in text
        assert "saves 4,160" in text
    else:
        assert "12 adapters of 161,088" in text


def test_limits_keep_every_design_possible(toy):
    panel = build("designer", toy)
    shared = panel.controls["shared"]
    assert shared.max == 120  # less than the narrowest tower, in steps of 8
    panel.set(towers=("image",), shared=10_000)
    assert shared.value == shared.max == 184
    panel.set(towers=("image", "text"))
    assert shared.value == shared.max == 120 and "shared=120" in said(panel)
    panel.set(backbone="ViT-B/32")
    assert shared.max == 504 and panel.controls["bottleneck"].max == 256


def test_boxes_are_as_wide_as_their_features(panels):
    figure, _ = panels["designer"].draw(**{**panels["designer"].values, "bottleneck": 32, "shared": 96})
    boxes = {
        name: {
            round(p.get_width(), 4)
            for p in figure.axes[1].patches
            if isinstance(p, Rectangle) and p.get_facecolor() == to_rgba(colour)
        }
        for name, colour in (("image", IMAGE), ("text", TEXT), ("z", GREY), ("d", SHARED))
    }
    words = " ".join(t.get_text() for t in figure.axes[1].texts)
    plt.close(figure)
    unit = designer.WIDEST / 192
    expected = {"image": (192, 96), "text": (128, 32), "z": (32,), "d": (96,)}  # streams, own outputs; z; shared
    assert boxes == {name: {round(unit * n, 4) for n in widths} for name, widths in expected.items()}
    for shape in ("down: 192 → 32", "down: 128 → 32", "up: 32 → 96", "up: 32 → 32", "32 → 96\n3,168"):
        assert shape in words


# --- hinge ------------------------------------------------------------------------------------------------------
def loss_of(s: np.ndarray, margin: float, mining: str) -> float:
    """``rsnb.losses.triplet`` of any matrix: of embeddings whose cosines are 0.4 s, with the margin 0.4 m, over 0.4.

    Images are unit vectors e_i, captions have the column 0.4 s_j in that space and the rest of their length outside.
    """
    column = 0.4 * torch.tensor(s)
    rest = torch.diag((1 - column.square().sum(dim=0)).sqrt())
    image, text = torch.eye(4, 8, dtype=torch.float64), torch.cat([column, rest]).T
    assert torch.allclose(image @ text.T, column) and torch.allclose(text.norm(dim=1), torch.ones(4).double())
    return triplet(image, text, margin=0.4 * margin, mining=mining).item() / 0.4


@pytest.mark.parametrize("mining", ["hardest", "sum"])
@pytest.mark.parametrize("margin", [0.0, 0.2, 0.6])
def test_loss_is_that_of_the_package(margin, mining):
    own = np.random.default_rng(0).uniform(-0.4, 1, (4, 4))
    for s in (*map(np.array, hinge.BATCHES.values()), own):
        rows, columns = hinge.hinges(s, margin, mining)
        assert rows.sum() + columns.sum() == pytest.approx(loss_of(s, margin, mining), abs=1e-5)


@pytest.mark.parametrize("mining", ["hardest", "sum"])
def test_loss_of_real_cosines(mining):
    image, text = torch.nn.functional.normalize(torch.randn(2, 4, 3, generator=torch.manual_seed(0)), dim=-1)
    rows, columns = hinge.hinges((image @ text.T).numpy().astype(float), 0.2, mining)
    assert rows.sum() + columns.sum() == pytest.approx(triplet(image, text, mining=mining).item(), abs=1e-5)


@pytest.mark.parametrize("mining", ["hardest", "sum"])
@pytest.mark.parametrize("batch", hinge.BATCHES)
def test_what_is_marked_is_what_the_gradient_pushes(batch, mining):
    s, step = np.array(hinge.BATCHES[batch]), 1e-3
    rows, columns = (part > 0 for part in hinge.hinges(s, 0.2, mining))
    for y, x in np.ndindex(s.shape):
        moved = s.copy()
        moved[y, x] += step
        slope = (loss_of(moved, 0.2, mining) - loss_of(s, 0.2, mining)) / step
        expected = -(rows[y].sum() + columns[:, x].sum()) if y == x else int(rows[y, x]) + int(columns[y, x])
        assert slope == pytest.approx(expected, abs=0.02), (y, x)


def test_the_margin_itself_is_far_enough():
    s = np.full((4, 4), 0.6)
    np.fill_diagonal(s, 0.8)
    assert all(not part.any() for part in hinge.hinges(s, 0.2, "sum"))  # 0.2 + 0.6 - 0.8, up to rounding


def test_text_says_what_pushes(panels):
    panel = panels["hinge"]
    assert "Image 2, loss 0.26: pushes caption 3 away, pulls its own caption 2 closer." in told(panel)
    assert "Image 1, loss 0.00: no negative comes within the margin" in told(panel, image=1)
    s = panel.similarities
    assert f"loss {loss_of(s, 0.2, 'hardest'):.2f} = images" in told(panel)
    assert f"loss {loss_of(s, 0.6, 'sum'):.2f} = images" in told(panel, margin=0.6, mining="sum")


def test_dragging_changes_the_batch_and_a_preset_restores_it(toy):
    panel = build("hinge", toy)
    first = panel.picture.value
    assert panel.batch.value == hinge.START
    panel.set(caption_4=0.7)
    assert panel.batch.value == hinge.OWN and panel.similarities[1, 3] == 0.7
    panel.set(image=4)
    assert [slider.value for slider in panel.sliders] == pytest.approx(list(panel.similarities[3]))
    assert [slider.description for slider in panel.sliders][2:] == ["caption 3", "caption 4 (its own)"]
    panel.set(image=2)
    assert panel.controls["caption_4"].value == 0.7 and panel.batch.value == hinge.OWN
    panel.set(batch=hinge.START)
    assert (panel.similarities == np.array(hinge.BATCHES[hinge.START])).all()
    assert panel.picture.value == first


def test_marks_do_not_hang_on_colour(panels):
    panel = panels["hinge"]
    figure, _ = panel.draw(**panel.values)
    left = figure.axes[0]
    hatched = [(p.get_x() + 0.44, p.get_y() + 0.44) for p in left.patches if p.get_hatch()]
    framed = [p for p in left.patches if p.get_edgecolor() == to_rgba(HIT)]
    marks = {(line.get_marker(), round(line.get_xdata()[0]), round(line.get_ydata()[0])) for line in left.lines}
    plt.close(figure)
    assert hatched == [(pytest.approx(2), pytest.approx(1))] and len(framed) == 4
    assert marks == {(">", 2, 1), ("v", 2, 1)}
