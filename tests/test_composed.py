"""Composed retrieval: the truth of the drawn world, the mixed score against a plain loop, and the panel."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter

import matplotlib
import pytest
import torch

from rsnb.figures.png import picture
from rsnb.measures.mixing import WAYS, mixed, normalise
from rsnb.studies.composed import figures as composed_figures
from rsnb.studies.composed.command import composed_arguments, composed_command, load_composed, result_file
from rsnb.studies.composed.queries import (
    CAPTIONS,
    EMPTY,
    KINDS,
    Query,
    _sketched,
    drawn_attributes,
    queries,
    scenes,
    wording,
)
from rsnb.studies.composed.scores import (
    LAMBDAS,
    Space,
    average_precision,
    chance_precision,
    composed_space,
    galleries,
    hits_at,
    interval_of_queries,
    recall_at,
    recall_curve,
    relevant,
)
from rsnb.studies.composed.study import ADAPTED, ZERO_SHOT, _worth, composed_sentences, composed_table, study
from rsnb.studies.runs import adapter_path

matplotlib.use("agg")
import matplotlib.pyplot as plt

import rsnb
from rsnb.classroom.widgets.compose import compose_explorer
from rsnb.data import CaptionDataset, Item
from rsnb.errors import RsnbError
from rsnb.worlds.toy import scenes as toy_scenes


@pytest.fixture(scope="module")
def test_set():
    return rsnb.load_dataset("toy", "test", limit=44)


@pytest.fixture(scope="module")
def asked(test_set):
    return queries(test_set)[0]


@pytest.fixture(scope="module")
def models():
    adapter = adapter_path("toy", "mini")
    return {ZERO_SHOT: rsnb.load_clip(), ADAPTED: rsnb.load_adapter(adapter, rsnb.load_clip())}


@pytest.fixture(scope="module")
def spaces(models, test_set, asked):
    return {name: composed_space(model, test_set, asked) for name, model in models.items()}


def words_set(*captions, labels=None):
    """A data set without images: one caption each, or a tuple of them."""
    items = [
        Item(f"{i}.jpg", None, (c,) if isinstance(c, str) else c, labels[i] if labels else None)
        for i, c in enumerate(captions)
    ]
    return CaptionDataset(items, name="own")


# --- the truth --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["airport", "beach", "farmland", "meadow", "square", "viaduct"])
def test_the_sketch_decides_what_the_drawing_decides(name):
    _, attributes = toy_scenes.draw(name, 2024, "test", 3)
    assert _sketched(f"{name}_73.jpg")[0] == attributes
    _, attributes = toy_scenes.draw(name, 2024, "train", 10)
    assert _sketched(f"{name}_11.jpg")[0] == attributes


def test_drawn_attributes_hold_for_every_image_and_for_no_other_world(test_set):
    attributes = drawn_attributes(test_set)
    assert len(attributes) == len(test_set)
    assert all(
        a.get("n") != "one" or any("one" in c or " a" in f" {c}" for c in item.captions)
        for a, item in zip(attributes, test_set)
    )
    item = test_set[0]
    other = Item(item.name, item.path, ("another caption .", *item.captions[1:]), item.label)
    assert drawn_attributes(CaptionDataset([other], name="toy")) is None  # a world of another seed
    assert drawn_attributes(CaptionDataset([item], name="own")) is None


def test_queries_ask_for_what_the_image_has_not(test_set, asked):
    attributes, labels = drawn_attributes(test_set), scenes(test_set)
    assert len(asked) > 80 and {query.kind for query in asked} <= set(KINDS)
    assert max(Counter((query.image, query.words) for query in asked).values()) == 1  # words name one change
    for query in asked:
        assert query.wanted and query.image not in query.wanted
        assert {labels[i] for i in query.wanted} == {labels[query.image]}
    query = next(q for q in asked if q.words.endswith(" planes"))
    count = query.words.split()[0]
    assert attributes[query.image]["n"] != count
    right = {i for i, a in enumerate(attributes) if labels[i] == labels[query.image] and a["n"] == count}
    assert set(query.wanted) == right
    assert not any(query.words == labels[query.image] for query in asked)


def test_every_value_has_words():
    drawn = {(s, n): _sketched(f"{s}_{n}.jpg")[0] for s in toy_scenes.CLASSES for n in (1, 2, 70, 71)}
    for scene, key, value in {(s, k, v) for (s, _), found in drawn.items() for k, v in found.items() if v}:
        said = wording(scene, key, value)
        assert (said is None) == (key in ("side", "first", "second")), (scene, key, value)
        assert said is None or (said[0] in KINDS and "{" not in said[1] and "(s)" not in said[1])
    assert wording("airport", "n", "one") == ("quantity", "one plane")
    assert wording("pond", "n", "two") == ("quantity", "two ponds")


def test_words_of_captions_are_attributes_of_other_data():
    captions = [
        "a boat near trees .",
        "boats and trees .",
        "a pier with trees",
        "a pier",
        "a field of wheat",
        "a field",
    ]
    data = words_set(*captions, labels=["harbor"] * 4 + ["field"] * 2)
    asked, source = queries(data)
    assert source == CAPTIONS and {query.kind for query in asked} == {"word"}
    found = {(query.image, query.words): query.wanted for query in asked}
    assert found[3, "trees"] == (0, 1, 2) and found[0, "pier"] == (2, 3) and found[5, "wheat"] == (4,)
    assert (0, "boat") not in found and (1, "boat") not in found  # carried by one image of four: divides nothing
    assert not any(words in EMPTY for _, words in found)


def test_without_classes_the_captions_subject_is_what_stays():
    data = words_set(("a lake .", "the blue lake"), ("a lake with trees .", "the lake"), ("houses .", "red houses ."))
    assert scenes(data) == ["lake", "lake", "houses"]
    asked, _ = queries(data)
    assert {(query.image, query.words) for query in asked} == {(0, "trees"), (1, "blue")}
    with pytest.raises(RsnbError, match="no two of one class"):
        queries(words_set("a lake .", "a lake ."))


# --- scores -----------------------------------------------------------------------------------------------------
def plain(image, words, lam, way):
    """One row of the mixed score, from the definition."""

    def scaled(row):
        mean = sum(row) / len(row)
        spread = math.sqrt(sum((x - mean) ** 2 for x in row) / len(row))
        return {
            "cdf": lambda x: 0.5 * (1 + math.erf((x - mean) / spread / math.sqrt(2))),
            "standard score": lambda x: (x - mean) / spread,
            "min-max": lambda x: (x - min(row)) / (max(row) - min(row)),
            "none": lambda x: x,
        }[way]

    one, other = scaled(image), scaled(words)
    return [(1 - lam) * one(a) + lam * other(b) for a, b in zip(image, words)]


@pytest.mark.parametrize("way", WAYS)
def test_mixed_is_the_plain_loop(way):
    rng = torch.Generator().manual_seed(0)
    image, words = torch.randn(4, 30, generator=rng) * 0.1 + 0.8, torch.randn(4, 30, generator=rng) * 0.02 + 0.2
    for lam in (0.0, 0.35, 1.0):
        expected = [plain(a, b, lam, way) for a, b in zip(image.double().tolist(), words.double().tolist())]
        assert torch.allclose(mixed(image, words, lam, way), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("way", WAYS)
def test_one_part_alone_keeps_its_order_on_every_scale(spaces, asked, way):
    image, words, _ = spaces[ADAPTED].scores(asked[:200])
    order = mixed(image, words, 0.0, way).argsort(dim=1, descending=True, stable=True)
    assert torch.equal(order, image.argsort(dim=1, descending=True, stable=True))
    order = mixed(image, words, 1.0, way).argsort(dim=1, descending=True, stable=True)
    assert torch.equal(order, words.argsort(dim=1, descending=True, stable=True))


def test_a_constant_changes_no_order_and_a_factor_is_a_weight():
    rng = torch.Generator().manual_seed(1)
    image, words = torch.rand(5, 40, generator=rng).double(), torch.rand(5, 40, generator=rng).double()
    order = mixed(image, words, 0.4, "none").argsort(dim=1)
    assert torch.equal(mixed(image, words - 0.3, 0.4, "none").argsort(dim=1), order)
    assert not torch.equal(mixed(image, 5 * words, 0.4, "none").argsort(dim=1), order)
    for way in WAYS[:3]:
        assert torch.equal(
            mixed(image, 5 * words - 0.3, 0.4, way).argsort(dim=1), mixed(image, words, 0.4, way).argsort(dim=1)
        )


def test_the_query_is_never_in_its_gallery():
    gallery = galleries([0, 3, 5], 6)
    assert gallery.tolist() == [[1, 2, 3, 4, 5], [0, 1, 2, 4, 5], [0, 1, 2, 3, 4]]
    at = Space(torch.eye(3), torch.eye(3)[:2])
    image, words, gallery = at.scores([Query(1, "x", "word", "", (0,)), Query(2, "y", "word", "", (0,))])
    assert gallery.tolist() == [[0, 2], [0, 1]]
    assert image.tolist() == [[0, 0], [0, 0]] and words.tolist() == [[1, 0], [0, 1]]  # never its own cosine of 1


def test_bad_settings_are_named():
    x = torch.rand(1, 3)
    with pytest.raises(RsnbError, match="between 0 .* and 1"):
        mixed(x, x, 1.2)
    with pytest.raises(RsnbError, match="there are cdf"):
        normalise(x, "softmax")
    assert torch.isfinite(mixed(torch.ones(1, 3), torch.ones(1, 3), 0.5)).all()  # a row without any spread


def test_measures_by_hand():
    found = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    expected = torch.tensor([100 * (1 + 2 / 3) / 2, 25.0], dtype=torch.float64)
    assert torch.allclose(average_precision(found), expected)
    assert recall_at(found, 2).tolist() == [50.0, 0.0]


def test_chance_is_what_random_orders_give():
    asked = [Query(0, "x", "word", "", (1, 2)), Query(1, "x", "word", "", (3,))]
    right = relevant(asked, galleries([0, 1], 8))
    scores = torch.rand(20000, 2, 7, generator=torch.Generator().manual_seed(0))
    drawn = average_precision(hits_at(scores.flatten(0, 1), right.repeat(20000, 1))).mean().item()
    assert chance_precision(asked, 8) == pytest.approx(drawn, abs=0.5)


def test_curve_is_the_single_measures(spaces, asked):
    at, some = spaces[ZERO_SHOT], asked[:60]
    at = Space(at.image, at.words[:60])
    found = recall_curve(at, some, "min-max")
    image, words, gallery = at.scores(some)
    order = mixed(image[[7]], words[[7]], LAMBDAS[6], "min-max")[0].argsort(descending=True)
    places = [n for n, i in enumerate(gallery[7, order].tolist(), start=1) if i in some[7].wanted]
    precision = sum(k / place for k, place in enumerate(places, start=1)) / len(places)
    assert found.precision[6, 7].item() == pytest.approx(100 * precision)
    assert found.recall[6, 7].item() == pytest.approx(100 * sum(p <= 10 for p in places) / len(places))
    assert found.best == int(found.precision.mean(dim=1).argmax())


def test_interval_draws_images_with_all_their_changes():
    asked = [Query(i, str(k), "word", "", (9,)) for i in range(8) for k in range(50)]
    values = torch.tensor([float(q.image % 2) for q in asked])
    low, high = interval_of_queries(values, asked)
    assert low <= 0.25 and high >= 0.75  # 8 images, however many changes each has
    assert interval_of_queries(torch.ones(400), asked) == (1.0, 1.0)


# --- the study and the panel ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def result(models):
    val, part = (rsnb.load_dataset("toy", split, limit=44) for split in ("val", "test"))
    return study(models, val, part)


def test_study_chooses_on_val_and_says_so(result):
    assert json.loads(json.dumps(result)) == result
    row = result["models"][ADAPTED]
    for own in row["ways"].values():
        assert own["mAP"]["mix"] == own["curve"][LAMBDAS.index(own["lambda"])]
        assert own["mAP"]["image"] == own["curve"][0] and own["mAP"]["words"] == own["curve"][-1]
        assert own["interval"][0] <= own["mAP"]["mix"] <= own["interval"][1]
    ends = {(own["curve"][0], own["curve"][-1]) for own in row["ways"].values()}
    assert len(ends) == 1  # one part alone, on any scale
    first, *_, last = composed_sentences(result)
    assert f"{result['models'][ZERO_SHOT]['ways']['cdf']['mAP']['mix']:.1f}" in first and last.startswith(ADAPTED)
    assert len(composed_table(result, WAYS)) == 2 * len(WAYS)


def test_worth_follows_the_interval():
    assert _worth(2.0, 0.5, 3.0).startswith("adds 2.0")
    assert _worth(-2.0, -3.0, -0.5).startswith("loses 2.0")
    assert _worth(0.4, -0.5, 1.0).startswith("makes no clear difference: +0.4")


def test_figures_are_drawn(result, test_set, asked):
    line, found = result["models"][ADAPTED]["ways"]["cdf"]["curve"], {"x": [(test_set.image(1), "a", True)] * 2}
    for figure in (
        composed_figures.ways(result, "?"),
        composed_figures.kinds(result, "?"),
        composed_figures.curves({"a": line}, LAMBDAS, {"a": 0.2}, "?"),
        composed_figures.answers(test_set.image(0), "four planes", "airport", found, "?"),
    ):
        assert len(picture(figure, "a figure of the test", "made here")) > 5000


def test_panel_moves_and_never_shows_the_query(test_set, models, spaces, asked, monkeypatch):
    query, seen = asked[0], []
    draw = composed_figures.panel  # the first time; then a small figure in its place, as drawing takes a second
    monkeypatch.setattr(
        "rsnb.classroom.widgets.compose.panel",
        lambda *args: seen.append(args) or (draw(*args) if len(seen) == 1 else plt.figure(figsize=(1, 1 + args[4]))),
    )
    shown = []
    image = test_set.image
    monkeypatch.setattr(test_set, "image", lambda i: shown.append(i) or image(i))
    panel = compose_explorer(test_set, models, spaces, asked, first=query)
    del shown[:-6]  # the still picture
    assert query.image not in shown[:-1] and shown[-1] == query.image  # five found, then the query itself
    assert [right for *_, right in seen[-1][3]] == [i in query.wanted for i in shown[:-1]]
    assert f"{len(query.wanted)} other images of {test_set.labels[query.image]}" in panel.text.value
    before = panel.picture.value
    panel.set(lam=0.0)
    scores = spaces[ADAPTED].image @ spaces[ADAPTED].image[query.image]
    scores[query.image] = -9
    assert shown[-6:-1] == scores.argsort(descending=True)[:5].tolist() and panel.picture.value != before
    panel.set(own="many boats")
    assert seen[-1][3][0][2] is None and seen[-1][5] is None and "nothing says" in panel.text.value
    assert panel.controls["change"].disabled
    panel.set(own="", method=ZERO_SHOT, way="none", scene="harbor", number=2)
    assert panel.values["change"] in {q.words for q in asked if q.image == shown[-1]}
    data, _ = panel._repr_mimebundle_()
    assert "image/png" in data or "image/jpeg" in data
    with pytest.raises(RsnbError, match="the same names"):
        compose_explorer(test_set, models, {}, asked)
    with pytest.raises(RsnbError, match="make it from this data set"):
        compose_explorer(test_set, models, spaces, asked[:3])


# --- the command ------------------------------------------------------------------------------------------------
def command(*given):
    parser = argparse.ArgumentParser()
    composed_arguments(parser)
    return composed_command(parser.parse_args(given))


def test_command_prints_and_installs(capsys, monkeypatch, tmp_path, result):
    monkeypatch.setattr("rsnb.studies.composed.command.result_file", lambda: tmp_path / "results" / "composed.json")
    monkeypatch.setattr("rsnb.studies.composed.command.study", lambda *args: result)
    assert load_composed() is None
    assert command("--install") == 0
    said = capsys.readouterr().out
    assert "test queries" in said and composed_sentences(result)[0] in said
    kept = json.loads((tmp_path / "results" / "composed.json").read_text(encoding="utf-8"))
    assert {"what", "command", "date", "stamp", "versions"} <= set(kept) and set(kept["runs"]) == {"toy-mini"}
    assert composed_table(load_composed()) == composed_table(result)
    (tmp_path / "results" / "composed.json").write_text("[]")
    with pytest.raises(RsnbError, match="not a result file of rsnb composed"):
        load_composed()
    with pytest.raises(RsnbError, match="does not go with"):
        command("--install", "--limit", "10")
    with pytest.raises(RsnbError, match="there is no adapter at"):
        command("--adapter", str(tmp_path / "none.safetensors"), "--limit", "22")


def test_committed_numbers_hold_together():
    kept = load_composed()
    assert kept is not None and result_file().stat().st_size < 30_000
    for row in kept["models"].values():
        own = row["ways"][kept["way"]]
        assert own["mAP"]["mix"] > max(own["mAP"]["image"], own["mAP"]["words"]) > kept["chance"]
        assert row["gain"][1] > 0


def test_real_captions_give_queries(shared_data):
    data = rsnb.load_dataset("ucm", "test", root=shared_data / "ucm_precomp")
    asked, source = queries(data)
    assert source == CAPTIONS and len(asked) > 300
    for query in asked[::50]:
        assert not any(query.words in c.lower().split() for c in data[query.image].captions)
        assert all(any(query.words in c.lower() for c in data[i].captions) for i in query.wanted)
