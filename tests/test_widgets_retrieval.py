"""Every control of the panels for neighbours, retrieval and the map is moved; what they show is ranked by hand."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch

from rsnb.classroom.widgets.gallery import nearest_captions, nearest_images
from rsnb.studies.runs import adapter_path

matplotlib.use("agg")
import matplotlib.pyplot as plt
from PIL import Image

import rsnb
from rsnb.classroom.widgets.retrieval import TO_IMAGE, TO_TEXT, retrieval_explorer
from rsnb.classroom.widgets.similar import similarity_explorer
from rsnb.classroom.widgets.space import tsne_hover
from rsnb.data import CaptionDataset, Item
from rsnb.errors import RsnbError

BEFORE, AFTER = "zero-shot CLIP", "with adapter"


@pytest.fixture(scope="module")
def world():
    """(test set, models by name, reports by name) on a part of the toy world."""
    dataset = rsnb.load_dataset("toy", "test", limit=44)
    adapter = adapter_path("toy", "mini")
    models = {BEFORE: rsnb.load_clip(), AFTER: rsnb.load_adapter(adapter, rsnb.load_clip())}
    return dataset, models, {name: rsnb.evaluate(model, dataset) for name, model in models.items()}


@pytest.fixture(scope="module")
def similar(world):
    dataset, _, reports = world
    return similarity_explorer(dataset, reports)


@pytest.fixture(scope="module")
def retrieval(world):
    dataset, models, reports = world
    return retrieval_explorer(dataset, models, reports, known={"boats", "in", "the", "harbor", "many", "are"})


@pytest.fixture(scope="module")
def space(world):
    dataset, _, reports = world
    rng = np.random.default_rng(0)
    captions = [j for j, image in enumerate(dataset.captions[1]) if image < 40]
    maps = {name: (rng.normal(size=(40, 2)), rng.normal(size=(len(captions), 2))) for name in reports}
    return tsne_hover(dataset, maps, range(40), captions, reports)


def shown(panel):
    return panel.picture.value, panel.text.value


def changes(panel, **values) -> bool:
    """Whether moving these controls changes what is seen."""
    before = shown(panel)
    panel.set(**values)
    return shown(panel) != before


def state(panel, **values) -> tuple[str, str]:
    """With these controls moved: all text of the figure, a line a piece, and the text under it. Nothing is redrawn."""
    figure, text = panel.draw(**{**panel.values, **values})
    pieces = [piece.get_text() for piece in figure.findobj(matplotlib.text.Text)]
    plt.close(figure)
    return "\n".join(piece for piece in pieces if piece), text


def said(panel) -> str:
    return re.sub("<[^>]+>", "\n", panel.text.value)


def ranked(query, rows) -> list[int]:
    """Places of the rows (N, D) by falling cosine with the query (D,), plainly."""
    cosines = [sum(a * b for a, b in zip(query, row)) for row in rows]
    return sorted(range(len(rows)), key=lambda i: -cosines[i])


def plain(report):
    return report.image_embeddings.double().tolist(), report.text_embeddings.double().tolist()


# --- neighbours -------------------------------------------------------------------------------------------------
def test_ranking_helpers():
    scores = torch.tensor([0.2, 0.9, 0.9, 0.5])
    assert [i for i, _ in nearest_images(scores, 3)] == [1, 2, 3]
    assert [i for i, _ in nearest_images(scores, 3, leave_out=1)] == [2, 3, 0]
    assert [c for c, _ in nearest_captions(scores, ["a", "b", "b", "c"], 3)] == ["b", "c", "a"]
    assert [c for c, _ in nearest_captions(scores, ["a", "b", "b", "c"], 9, leave_out="b")] == ["c", "a"]


@pytest.mark.check
def test_every_control_of_the_similarity_explorer(similar):
    moves = {"scene": "harbor", "number": 2, "start": "caption", "caption": 4}
    assert list(similar.controls) == list(moves)
    assert similar.controls["caption"].disabled
    for name, value in moves.items():
        assert changes(similar, **{name: value}), name
    assert not similar.controls["caption"].disabled


@pytest.mark.parametrize("start", ["image", "caption"])
def test_similarity_explorer_shows_the_plain_ranking(world, similar, start):
    dataset, _, reports = world
    captions, owner = dataset.captions
    asked = [i for i, label in enumerate(dataset.labels) if label == "stadium"][1]
    own = dataset[asked].captions
    words, text = state(similar, scene="stadium", number=2, start=start, caption=3)
    for name, report in reports.items():
        images, texts = plain(report)
        at = next(j for j in range(len(owner)) if owner[j] == asked and captions[j] == own[2])
        query = images[asked] if start == "image" else texts[at]
        near = [i for i in ranked(query, images) if start == "caption" or i != asked][:5]
        found = list(dict.fromkeys(captions[j] for j in ranked(query, texts)))
        found = [c for c in found if start == "image" or c != own[2]][:5]
        alike = sum(dataset.labels[i] == "stadium" for i in near)
        classes = [{dataset.labels[owner[j]] for j in range(len(owner)) if captions[j] == c} for c in found]
        alike_texts = sum("stadium" in c for c in classes)
        pairs = sum(c in own for c in found) + sum(own[2] in dataset[i].captions for i in near if start == "caption")
        assert (
            f"{name}: {alike} of the 5 nearest images and {alike_texts} of the 5 nearest captions are of the class "
            f"stadium. Own pairs among them: {pairs}."
        ) in text
        cosines = [f"{sum(a * b for a, b in zip(query, images[i])):.2f}" for i in near]
        notes = [f"{dataset.labels[i]}  {cosine}" for i, cosine in zip(near, cosines)]
        assert "\n".join(notes) in "\n".join(re.findall(r"^[a-z]+  -?\d\.\d\d$", words, re.M))
        begun = [line.removesuffix(" …") for line in re.findall(r"^-?\d\.\d\d   (.*)$", words, re.M)]
        assert any([c[: len(line)] for c, line in zip(found, begun[k:])] == begun[k : k + 5] for k in (0, 5))


def test_marks_of_the_neighbours(world, similar):
    """Ticks and thick frames are own pairs, dashes are other classes."""
    dataset, _, reports = world
    near = reports[AFTER].image_ranks.tolist().index(0)  # a caption that finds its image first
    asked = dataset.captions[1][near]
    label = dataset.labels[asked]
    same = [i for i, other in enumerate(dataset.labels) if other == label]
    number = dataset[asked].captions.index(dataset.captions[0][near]) + 1
    figure, text = similar.draw(scene=label, number=same.index(asked) + 1, start="caption", caption=number)
    framed = [axis for axis in figure.findobj(plt.Axes) if axis.images]
    assert len(framed) == 10
    for axis in framed:
        spine, own = axis.spines["left"], (axis.images[0].get_array() == np.asarray(dataset.image(asked))).all()
        assert (spine.get_linestyle() == "--") == (axis.get_title("center").split("  ")[0] != label)
        assert (axis.title.get_fontweight() == "bold") == (spine.get_linewidth() > 4) == own
    assert framed[5].spines["left"].get_linewidth() > 4
    pieces = [piece.get_text() for piece in figure.findobj(matplotlib.text.Text)]
    counted = sum(map(int, re.findall(r"Own pairs among them: (\d+)", text)))
    assert pieces.count("✓") + sum(axis.spines["left"].get_linewidth() > 4 for axis in framed) == counted
    plt.close(figure)


def test_slider_follows_the_class(world, similar):
    dataset, _, _ = world
    uneven = dataset.subset([0, 1, 2, *[i for i, label in enumerate(dataset.labels) if label == "harbor"][:1]])
    panel = similarity_explorer(uneven, {"m": part(uneven)})
    panel.set(number=3)
    drawn, plainly = [], panel.draw
    panel.draw = lambda **values: drawn.append(values) or plainly(**values)
    panel.set(scene="harbor")
    assert len(drawn) == 1
    assert panel.values["number"] == panel.controls["number"].max == 1
    assert "harbor" in said(panel)


def part(dataset, seed: int = 0):
    """A report of random embeddings on a data set."""
    rng = torch.Generator().manual_seed(seed)
    rows = len(dataset), len(dataset.captions[0])
    image, text = (torch.nn.functional.normalize(torch.randn(n, 8, generator=rng), dim=1) for n in rows)
    ranks = torch.zeros(rows[0], dtype=torch.long)
    return rsnb.evaluation.Report({}, ranks, ranks, image, text, torch.tensor(dataset.captions[1]))


def test_reports_must_belong(world):
    dataset, models, reports = world
    with pytest.raises(RsnbError, match="evaluate on this data set"):
        similarity_explorer(dataset.subset([0, 1]), reports)
    with pytest.raises(RsnbError, match="at least one model"):
        similarity_explorer(dataset, {})
    with pytest.raises(RsnbError, match="same names"):
        retrieval_explorer(dataset, {BEFORE: models[BEFORE]}, reports)


# --- retrieval --------------------------------------------------------------------------------------------------
@pytest.mark.check
def test_every_control_of_the_retrieval_explorer(retrieval):
    first = retrieval.values
    moves = [
        ("method", AFTER),
        ("count", 3),
        ("query", "many boats are in the harbor"),
        ("way", TO_TEXT),
        ("scene", "harbor"),
        ("number", 2),
    ]
    assert {name for name, _ in moves} == set(retrieval.controls)
    assert retrieval.controls["scene"].disabled and not retrieval.controls["query"].disabled
    for name, value in moves:
        assert changes(retrieval, **{name: value}), name
    assert retrieval.controls["query"].disabled and not retrieval.controls["scene"].disabled
    assert changes(retrieval, method=BEFORE)
    retrieval.set(**first)


def test_text_to_image_is_the_plain_ranking(world, retrieval):
    dataset, models, reports = world
    query = "many boats are in the harbor"
    for name, model in models.items():
        moved = {"way": TO_IMAGE, "method": name, "query": query, "count": 7}
        words, text = state(retrieval, **moved)
        with torch.no_grad():
            vector = model.encode_text(models[BEFORE].tokenizer([query]))[0].double().tolist()
        images, _ = plain(reports[name])
        near = ranked(vector, images)[:7]
        notes = [
            f"{place}. {dataset.labels[i]}  {sum(a * b for a, b in zip(vector, images[i])):.2f}"
            for place, i in enumerate(near, start=1)
        ]
        assert re.findall(r"^\d+\. [a-z]+  -?\d\.\d\d$", words, re.M) == notes
        assert "no training caption" not in text
        figure, _ = retrieval.draw(**{**retrieval.values, **moved})
        pictures = [axis.images[0].get_array() for axis in figure.axes if axis.images]
        assert all((picture == np.asarray(dataset.image(i))).all() for picture, i in zip(pictures, near))
        plt.close(figure)


def test_a_caption_of_the_set_finds_its_own_image(world, retrieval):
    dataset, _, reports = world
    captions, owner = dataset.captions
    ranks = reports[AFTER].image_ranks.tolist()
    alone = [j for j in range(len(captions)) if captions.count(captions[j]) == 1]
    for fits, among in ((lambda rank: rank < 4, "is among"), (lambda rank: rank > 6, "is not among")):
        query = captions[next(j for j in alone if fits(ranks[j]))]
        words, text = state(retrieval, way=TO_IMAGE, method=AFTER, count=5, query=query)
        assert f"its own image {among}" in text and ("own pair" in words) == (among == "is among")


def test_image_to_text_is_the_plain_ranking(world, retrieval):
    dataset, _, reports = world
    captions, _ = dataset.captions
    asked = [i for i, label in enumerate(dataset.labels) if label == "harbor"][1]
    words, text = state(retrieval, way=TO_TEXT, method=AFTER, scene="harbor", number=2, count=4)
    images, texts = plain(reports[AFTER])
    found = list(dict.fromkeys(captions[j] for j in ranked(images[asked], texts)))[:4]
    lines = [line.removesuffix(" …") for line in re.findall(r"^-?\d\.\d\d   (.*)$", words, re.M)]
    assert lines == [caption[: len(line)] for caption, line in zip(found, lines)] and len(lines) == 4
    own = sum(c in dataset[asked].captions for c in found)
    best = min(
        place for place, j in enumerate(ranked(images[asked], texts), start=1) if captions[j] in dataset[asked].captions
    )
    assert f"{own} of the 4 captions found are the image's own" in text
    assert f"number {best} of {len(captions)}" in text
    assert words.count("✓") == own + (own > 0)  # and once in the legend


def test_friendly_words_about_a_query(world, retrieval):
    _, models, _ = world
    picture = retrieval.picture.value
    retrieval.set(query="   ")
    assert "type a sentence" in said(retrieval) and retrieval.picture.value == picture
    room = models[BEFORE].context_length - 2

    def about(query: str) -> tuple[str, str]:
        return state(retrieval, way=TO_IMAGE, method=BEFORE, count=1, query=query)

    assert "no training caption contains: a, castle, snow." in about("a castle in the snow")[1]
    assert "too long" not in about(" ".join(["boats"] * room))[1]
    assert "too long" in about(" ".join(["boats"] * (room + 1)))[1]
    assert "up to “… boats boats boats boats harbor”" in about("boats " * (room - 1) + "harbor castle snow " * 2000)[1]
    words, _ = about("🚤 $x_{$ <b> \\frac & 船")  # no formula, and no letter that the font lacks
    assert "□" in words and "\\$x_{\\$" in words
    retrieval.set(query="<b>bold</b> boats")
    assert "<b>" not in retrieval.text.value


# --- the map ----------------------------------------------------------------------------------------------------
class Reader(HTMLParser):
    """Points, their cards and the numbers of open tags."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.points, self.open, self.circles, self.buttons, self.label = [], 0, 0, [], ""
        self.feed(markup)
        assert self.open == 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.open += tag not in ("circle", "br", "input")
        self.circles += tag == "circle"
        self.buttons += [attrs] * (tag == "input")
        self.label = self.label or attrs.get("aria-label", "")
        if attrs.get("class", "").split()[:1] == ["p"]:
            self.points.append(attrs)

    def handle_startendtag(self, tag, attrs):
        self.circles += tag == "circle"

    def handle_endtag(self, tag):
        self.open -= 1


def test_every_control_of_the_map(space):
    first = space.values
    still = space.first
    moves = {"model": AFTER, "scene": "harbor", "colour": "hit or miss", "texts": False}
    assert list(moves) == list(space.controls)
    for name, value in moves.items():
        assert changes(space, **{name: value}), name
    assert space.first == still
    space.set(**first)


def test_map_shows_every_image_at_its_place(world, space):
    dataset, _, _ = world
    reader = Reader(space.picture.value)
    assert len(reader.points) == 40 and reader.circles == sum(len(dataset[i].captions) for i in range(40))
    lefts = [float(re.search(r"left:([\d.]+)%", point["style"])[1]) for point in reader.points]
    tops = [float(re.search(r"top:([\d.]+)%", point["style"])[1]) for point in reader.points]
    assert min(lefts + tops) > 0 and max(lefts + tops) < 100
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 2))
    order = sorted(range(40), key=lambda k: (dataset.labels[k], images[k, 0]))  # class by class, from left to right
    assert np.corrcoef(lefts, images[order, 0])[0, 1] > 0.999
    assert np.corrcoef(tops, -images[order, 1])[0, 1] > 0.999  # top to bottom
    for k, button in zip(order, reader.buttons):
        assert button["aria-label"].startswith(f"{dataset.labels[k]}: {dataset[k].captions[0][:20]}")
    sheet = space.sheet.value
    for k in (0, 39):
        data = base64.b64decode(re.search(rf"\.t{k}{{background-image:url\(data:image/jpeg;base64,([^)]+)\)", sheet)[1])
        small, wanted = Image.open(io.BytesIO(data)), dataset.image(k).resize((64, 64), Image.Resampling.BICUBIC)
        assert small.size == (64, 64)
        assert np.abs(np.asarray(small, float) - np.asarray(wanted, float)).mean() < 12


def test_map_needs_no_script_and_no_network(space):
    page = space.sheet.value + space.picture.value
    assert "script" not in page and "http" not in page and "@import" not in page and not re.search(r"\son\w+=", page)
    key = re.search(r'class="(rsnb-[0-9a-f]{8})"', space.picture.value)[1]
    rules = re.findall(r"([^{}]+){", space.sheet.value.removeprefix("<style>"))
    assert rules and all(part.strip().startswith(f".{key}") for rule in rules for part in rule.split(","))
    assert ":hover .card" in page and ":focus-within .card" in page


def test_map_is_one_stop_and_its_label_follows(space):
    """Radio buttons of one name are one tab stop, and arrow keys go through them."""
    reader = Reader(space.picture.value)
    assert {(button["type"], button["name"]) for button in reader.buttons} == {("radio", reader.buttons[0]["name"])}
    assert "tabindex" not in space.picture.value
    assert reader.label.startswith(space.alt) and said(space).strip().splitlines()[0] in reader.label


def test_highlight_and_hits(world, space):
    dataset, _, reports = world
    first = space.values
    space.set(model=AFTER, scene="harbor", colour="hit or miss", texts=False)
    reader = Reader(space.picture.value)
    labels, hits = dataset.labels[:40], (reports[AFTER].text_ranks[:40] < 5).tolist()
    assert reader.circles == 0
    for point, button in zip(reader.points, reader.buttons):
        label = button["aria-label"].split(":")[0]
        assert ("faint" in point["class"]) == (label != "harbor") == ("disabled" in button)
    assert sum("color:#029e73" in point["style"] for point in reader.points) == sum(hits)
    found = [p["style"] for p, b in zip(reader.points, reader.buttons) if "disabled" not in b]
    own = [hit for label, hit in zip(labels, hits) if label == "harbor"]
    assert sum("color:#029e73" in style for style in found) == sum(own)
    assert f"{len(own)} images of the class harbor. {sum(own)} of them find a caption of their own" in said(space)
    assert f"({sum(hits)} images)" in space.picture.value
    space.set(**first)


def test_map_escapes_and_checks(tmp_path):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "a.png")
    labels = ("<i>", "b", None)
    dataset = CaptionDataset(
        [Item(f"{n}", tmp_path / "a.png", (f'<script>"{n}" & more',), label) for n, label in enumerate(labels)]
    )
    panel = tsne_hover(dataset, {"m": [(0, 0), (1, 1), (1, 1)]}, [0, 1, 2])
    reader = Reader(panel.picture.value)
    assert "<script" not in panel.picture.value and "<i>" not in panel.picture.value.replace('<i class="', "")
    assert '<i>: <script>"0" & more' in [button["aria-label"] for button in reader.buttons]
    assert list(panel.controls) == ["model", "scene"] and "find a caption" not in said(panel)
    with pytest.raises(RsnbError, match=r"3 images and 0 captions need \(3, 2\) and \(0, 2\)"):
        tsne_hover(dataset, {"m": [(0, 0)]}, [0, 1, 2])
    with pytest.raises(RsnbError, match="no report for m"):
        tsne_hover(dataset, {"m": [(0, 0), (1, 1), (1, 1)]}, [0, 1, 2], reports={})
    with pytest.raises(RsnbError, match="at least one model"):
        tsne_hover(dataset, {}, [0, 1, 2])


def test_data_without_classes(tmp_path):
    for n in range(4):
        Image.new("RGB", (16, 16), (60 * n, 0, 0)).save(tmp_path / f"{n}.png")
    dataset = CaptionDataset([Item(f"{n}", tmp_path / f"{n}.png", (f"number {n}", "a square")) for n in range(4)])
    panel = similarity_explorer(dataset, {"m": part(dataset)})
    assert panel.controls["scene"].options == ("unlabelled",)
    assert "own among the 3 nearest images" in said(panel) and "class" not in said(panel)
    assert changes(panel, number=4)
    figure = state(panel)[0]
    assert "class unknown" in figure and "same class" not in figure and "another class" not in figure


# --- in the page ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["similar", "retrieval", "space"])
def test_static_picture_beside_the_controls(name, request):
    panel = request.getfixturevalue(name)
    data, metadata = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    mime = next(kind for kind in ("image/png", "image/jpeg") if kind in data)
    assert Image.open(io.BytesIO(base64.b64decode(data[mime]))).width > 900
    assert len(metadata[mime]["alt"]) > 30 and metadata[mime]["alt"] in data["text/plain"]
