"""The panel that searches a scene: every control is moved; what it says is counted by hand."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("agg")
import matplotlib.pyplot as plt

import rsnb
from rsnb.classroom.widgets.scene import NOTHING, scene_search
from rsnb.errors import RsnbError
from rsnb.studies.runs import adapter_path
from rsnb.tiles.reading import starts
from rsnb.worlds.scene import corners, draw_scene, write_tiles

QUERY = "many boats are in a harbor ."
BEFORE, AFTER = "zero-shot CLIP", "with adapter"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(scene, its indexes by the name of the model)."""
    folder, scene = tmp_path_factory.mktemp("scene"), draw_scene(seed=3, rows=4, columns=6)
    write_tiles(folder / "tiles", scene.pixels, (starts(768, 128, 0), starts(512, 128, 0)), 128)
    models = {
        BEFORE: rsnb.adapt(rsnb.load_clip(), "zero_shot"),
        AFTER: rsnb.load_adapter(adapter_path("toy", "mini"), rsnb.load_clip()),
    }
    return scene, {
        name: rsnb.Index.build(folder / "tiles", folder / name, model=model) for name, model in models.items()
    }


@pytest.fixture(scope="module")
def panel(world):
    scene, indexes = world
    return scene_search(scene, indexes, QUERY, top=5, least=0.3)


def state(panel, **values) -> tuple[list[str], str]:
    """Texts of the figure and the text below, with these controls moved; nothing is redrawn."""
    figure, text = panel.draw(**{**panel.values, **values})
    pieces = [piece.get_text() for piece in figure.findobj(matplotlib.text.Text)]
    plt.close(figure)
    return pieces, text


def plain(world, query, name):
    """Cosine of each tile, computed anew from its pixels, in the order of the scene's cells."""
    scene, indexes = world
    model = indexes[name].model
    with torch.no_grad():
        text = model.encode_text(model.clip.tokenizer([query]))[0]
        tiles = [
            torch.stack([model.clip.preprocess(picture)])
            for picture in (indexes[name].picture(row) for _, row in indexes[name].table().iterrows())
        ]
        scores = torch.cat([model.encode_image(tile) for tile in tiles]) @ text
    found = np.zeros(len(scene.labels))
    found[scene.cells(*corners(indexes[name].table()).T)] = scores.numpy()
    return found


def test_every_control_changes_what_is_seen(panel):
    moves = {"query": "a red bridge", "method": BEFORE, "top": 3, "least": 0.1, "framed": "harbor"}
    assert list(panel.controls) == list(moves)
    for name, value in moves.items():
        before = panel.picture.value
        panel.set(**{name: value})
        assert panel.values[name] == value and panel.picture.value != before, name
    panel.set(query=QUERY, method=AFTER, top=5, least=0.3, framed=NOTHING)
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", [BEFORE, AFTER])
def test_it_says_what_counting_says(world, panel, name):
    scores, labels = plain(world, QUERY, name), np.array(world[0].labels)
    foreign = world[1][name].about["foreign"]
    pieces, text = state(panel, method=name, least=0.25, framed="harbor", top=4)
    lit = scores >= 0.25
    share = 100 * sum(other < scores.max() for other in foreign) / len(foreign)
    assert f"{lit.sum()} of 24 tiles reach 0.25; the best has {scores.max():.2f}" in text and f"{share:.0f} %" in text
    found = (lit & (labels == "harbor")).sum()
    of_class = (labels == "harbor").sum()
    assert f"Of the {of_class} tiles of harbor, {found} are lit; {lit.sum() - found} others are." in text
    written = sorted(int(piece) for piece in pieces if re.fullmatch(r"-?\d+", piece))
    assert np.abs(np.array(written) - np.sort(100 * scores[lit])).max() < 0.6
    ranks = {piece for piece in pieces if piece.startswith("#")}
    assert ranks == {f"#{n + 1}" for n in range(min(4, lit.sum()))}


def test_a_high_threshold_leaves_the_map_dark(panel):
    pieces, text = state(panel, least=0.9)
    assert "0 of 24 tiles reach 0.90" in text
    assert not [piece for piece in pieces if re.fullmatch(r"#?-?\d+", piece)]


def test_what_it_shows_is_put_into_words(panel):
    class Reader(HTMLParser):
        alt = ""

        def handle_starttag(self, tag, attrs):
            if tag == "img":
                self.alt = dict(attrs)["alt"]

    panel.set(query="a castle in the snow")
    reader = Reader()
    reader.feed(panel.picture.value)
    assert (
        "A scene in tiles" in reader.alt and "Now: with adapter" in reader.alt and "of foreign sentences" in reader.alt
    )
    panel.set(query=QUERY)


@pytest.mark.parametrize("query, words", [("   ", "Nothing is asked yet"), ("boat " * 500, "shorten it")])
def test_what_cannot_be_asked_is_said(panel, query, words):
    before = panel.picture.value
    panel.set(query=query)
    assert words in panel.text.value and panel.picture.value == before
    panel.set(query=QUERY)


def test_formulas_and_strange_signs_are_text(panel):
    pieces, _ = state(panel, query="boats for $5 and $6 🚢")
    assert any("5" in piece and "□" in piece for piece in pieces)


def test_another_index_is_refused(world, tmp_path):
    scene, indexes = world
    with pytest.raises(RsnbError, match="at least one model"):
        scene_search(scene, {}, QUERY)
    with pytest.raises(RsnbError, match="build it of this scene with tile=128"):
        scene_search(draw_scene(seed=3, rows=1, columns=2), indexes, QUERY)
