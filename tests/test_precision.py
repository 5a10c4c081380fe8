"""Search in a folder of images by words and by images: precision equals a plain count, and the kept result is whole."""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter

import numpy as np
import pytest

import rsnb
from rsnb.errors import RsnbError
from rsnb.figures.png import picture
from rsnb.publishing.results import find_result, standing
from rsnb.studies import keys
from rsnb.studies.precision import command as precision_module
from rsnb.studies.precision import study, tables
from rsnb.studies.precision.command import ALL, GALLERIES, TEST, TOY, UCM, ZERO_SHOT, load_precision, result_file
from rsnb.studies.precision.figures import by_class
from rsnb.studies.precision.study import IMAGES, PROMPTS, TOP, WORDS, sentence_of
from rsnb.tiles.asking import of_texts


@pytest.fixture(scope="module")
def toy():
    """Five images of each of four classes of the toy world, and one more."""
    part = rsnb.load_dataset("toy", "test")
    chosen = [n for label in ("beach", "harbor", "river", "viaduct") for n in _of(part, label)[:5]]
    return part.subset([*chosen, _of(part, "harbor")[5]])


def _of(part, label):
    return [n for n, own in enumerate(part.labels) if own == label]


@pytest.fixture(scope="module")
def model(repo):
    return rsnb.load_adapter(repo / "data" / "adapters" / "toy-mini-mrs-seed0.safetensors")


@pytest.fixture(scope="module")
def index(toy, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    assert study.as_folder(toy, folder / "images") == toy.labels
    return rsnb.Index.build(folder / "images", folder / "made.index", model)


# --- the measure ------------------------------------------------------------------------------------------------
def plain(vectors, asked, labels, wanted, top, own=None):
    """The share of the first hits of one query that are of a class, from the definition, in percent."""
    scores = {n: sum(float(a) * float(b) for a, b in zip(asked, vector)) for n, vector in enumerate(vectors)}
    near = sorted((n for n in scores if n != own), key=lambda n: (-scores[n], n))[:top]
    return 100 * len([n for n in near if labels[n] == wanted]) / top


@pytest.mark.parametrize("top", [1, 3, 10])
def test_precision_is_the_plain_count(index, toy, model, top):
    found = study.precision(index, toy.labels, top)
    vectors, labels = np.concatenate([np.array(b) for b in index.blocks]).astype(np.float64), toy.labels
    assert set(found[WORDS]) == set(found[IMAGES]) == {"beach", "harbor", "river", "viaduct"}
    for label in found[WORDS]:
        asked = of_texts(model, [sentence_of(label)])[0]
        assert found[WORDS][label] == pytest.approx(plain(vectors, asked, labels, label, top))
        each = [plain(vectors, vectors[n] / np.linalg.norm(vectors[n]), labels, label, top, n) for n in _of(toy, label)]
        assert found[IMAGES][label] == pytest.approx(statistics.fmean(each))
    assert found[IMAGES]["harbor"] != found[WORDS]["harbor"] or top == 1


def test_an_image_never_finds_itself(index, toy, model, tmp_path):
    hits = study.hits_of_images(index)
    assert len(hits) == len(toy) and all(len(found) == TOP for found in hits)
    assert not any(image in found or len(set(found)) < TOP for image, found in enumerate(hits))
    twice = toy.subset([0, 0, 0, 5, 6])  # three copies: a copy is found, the query itself is not
    study.as_folder(twice, tmp_path / "images")
    copies = study.hits_of_images(rsnb.Index.build(tmp_path / "images", tmp_path / "i", model), 2)
    assert [set(found) for found in copies[:3]] == [{1, 2}, {0, 2}, {0, 1}]


def test_chance_is_what_random_orders_give_and_no_order_beats_the_most():
    labels = ["a"] * 12 + ["b"] * 6 + ["c"] * 30
    found, rng, drawn = study.expected(labels), np.random.default_rng(0), {WORDS: [], IMAGES: []}
    for label, size in Counter(labels).items():
        own = np.array([name == label for name in labels])
        words = [own[rng.permutation(len(own))[:TOP]].mean() for _ in range(4000)]
        rest = np.delete(own, own.argmax())
        images = [rest[rng.permutation(len(rest))[:TOP]].mean() for _ in range(4000)]
        drawn[WORDS].append(100 * np.mean(words)), drawn[IMAGES].append(100 * np.mean(images))
        assert rest.sum() == size - 1
    for way, values in drawn.items():
        assert found["chance"][way] == pytest.approx(np.mean(values), abs=1)
    assert found["most"] == {WORDS: pytest.approx(86.67), IMAGES: pytest.approx(83.33)}


def test_intervals_are_over_classes():
    mean, low, high = study.over_classes([0.0, 0.0, 100.0, 100.0])
    assert mean == 50 and low == 0 and high == 100
    assert study.over_classes([5.0] * 21) == [5.0, 5.0, 5.0]


def test_every_class_has_a_sentence_by_the_rule():
    from rsnb.data.labels import UCM_CLASSES

    said = {label: sentence_of(label) for label in UCM_CLASSES}
    assert said["tenniscourt"] == "an aerial image of a tennis court"
    assert said["agricultural"] == "an aerial image of an agricultural area"
    assert said["storagetanks"] == "an aerial image of storage tanks" and said["overpass"].endswith("an overpass")
    assert len(set(said.values())) == 21 and set(study.SPELLED) <= set(said)
    assert sentence_of("river", PROMPTS[0]) == "a river"


def test_images_without_a_class_or_a_file_are_refused(toy, tmp_path):
    from dataclasses import replace

    bare = toy.subset([0])
    bare.items = (replace(bare.items[0], label=None),)
    with pytest.raises(RsnbError, match="with a class is needed"):
        study.as_folder(bare, tmp_path / "x")


def test_a_gallery_compares_with_the_first_model(toy, model):
    models = {ZERO_SHOT: rsnb.adapt(rsnb.load_clip(), "zero_shot"), TOY: model}
    found = study.gallery(models, toy)
    assert json.loads(json.dumps(found)) == found and found["images"] == len(toy)
    first, second = (found["models"][name] for name in models)
    for way in (WORDS, IMAGES):
        assert "difference" not in first[way]
        assert second[way]["difference"][0] == pytest.approx(second[way]["mean"] - first[way]["mean"], abs=0.02)
        assert second[way]["interval"][0] <= second[way]["mean"] <= second[way]["interval"][1]
    assert second["wordings"][study.PROMPT] == second[WORDS]["mean"] and set(second["wordings"]) == set(PROMPTS)


# --- the kept result --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def kept():
    return load_precision()


def test_the_kept_result_is_whole(kept):
    assert {"what", "command", "date", "stamp", "versions", "key", "made_by"} <= set(kept)
    assert "not a pretrained" in kept["stamp"] and result_file().stat().st_size < 30_000
    assert list(kept["galleries"]) == list(GALLERIES) and kept["top"] == TOP and len(kept["sentences"]) == 21
    assert kept["sentences"] == {label: sentence_of(label) for label in kept["sentences"]}
    sizes = {ALL: 2100, TEST: 210}
    for name, own in kept["galleries"].items():
        n, each = sizes[name], sizes[name] // 21
        assert own["images"] == n and tuple(own["models"]) == GALLERIES[name][1]
        assert own["chance"] == {WORDS: round(100 * each / n, 2), IMAGES: round(100 * (each - 1) / (n - 1), 2)}
        for row in own["models"].values():
            assert row["wordings"][study.PROMPT] == row[WORDS]["mean"]
            for way in (WORDS, IMAGES):
                values = row[way]["classes"]
                assert set(values) == set(kept["sentences"])
                assert row[way]["mean"] == pytest.approx(statistics.fmean(values.values()), abs=0.02)
                assert row[way]["interval"][0] <= row[way]["mean"] <= row[way]["interval"][1] <= own["most"][way]
                assert way == IMAGES or all(value % 10 == 0 for value in values.values())
        assert UCM not in own["models"] or name == TEST, "it was trained on the others"


def test_its_sentences_agree_with_its_numbers(kept):
    said = tables.precision_sentences(kept)
    assert len(said) == 3 * len(GALLERIES)
    for name, sentences in zip(GALLERIES, (said[:3], said[3:])):
        own, title = kept["galleries"][name], f"{name[0].upper()}{name[1:]}"
        for way, sentence in zip((WORDS, IMAGES), sentences):
            assert sentence.startswith(f"{title}, by {way}: ") and f"chance {own['chance'][way]:.1f}" in sentence
            for model, row in own["models"].items():
                assert f"{row[way]['mean']:.1f}" in sentence and model in sentence
                if model != ZERO_SHOT:
                    value, low, high = row[way]["difference"]
                    verb = "adds" if low > 0 else "loses" if high < 0 else "makes no clear difference"
                    assert f"{model} {row[way]['mean']:.1f}, which {verb}" in sentence
                    assert f"{abs(value):.1f} points (95 % interval {low:+.1f} to {high:+.1f})" in sentence
        for row in own["models"].values():
            assert "{:.1f} to {:.1f}".format(*sorted(row["wordings"].values())[:: len(PROMPTS) - 1]) in sentences[2]
    for name in GALLERIES:
        assert f"| {kept['sentences']['river']} |" in tables.class_table(kept, name)
    assert tables.precision_table(kept).count("\n") == 1 + sum(2 + len(models) for _, models in GALLERIES.values())


def test_its_figure_is_drawn(kept):
    for name in GALLERIES:
        assert len(picture(by_class(kept, name), "a figure of the test", "made here")) > 5000
    assert precision_module.picture_file().stat().st_size > 10_000


def test_it_is_listed_with_what_its_numbers_may_differ_by():
    found = find_result("tiles")
    for name, (value, allowed) in found.numbers.items():
        assert allowed >= 10 if "/words/classes/" in name else allowed <= 1, name
        assert allowed == 0 or not name.endswith("/images") or "models" in name or "chance" in name or "most" in name
        assert not name.startswith(("key", "made_by")) and value == value
    changed = standing(found).changed
    assert not any(part.startswith(("settings", "weights")) for part in changed), changed
    assert found.roots == keys.PRECISION and "tiles.exact" in keys.code_of(found.roots).modules


# --- the command ------------------------------------------------------------------------------------------------
def run(*given):
    parser = argparse.ArgumentParser()
    precision_module.precision_arguments(parser)
    return precision_module.precision_command(parser.parse_args([str(word) for word in given]))


def test_the_command_shows_what_is_kept(capsys, kept):
    assert run() == 0
    shown = capsys.readouterr().out
    assert kept["stamp"] in shown and all(line in shown for line in tables.precision_sentences(kept))
    assert run("--json") == 0 and json.loads(capsys.readouterr().out) == kept


def test_the_command_says_what_is_missing(monkeypatch, tmp_path):
    with pytest.raises(RsnbError, match="give it with --root"):
        run("--install")
    monkeypatch.setenv("RSNB_RESULTS", str(tmp_path))
    with pytest.raises(RsnbError, match=r"there is no .*tiles\.json; rsnb precision --root DIR --install writes it"):
        run()
    (tmp_path / "tiles.json").write_text("[]")
    with pytest.raises(RsnbError, match="not a result file of rsnb precision"):
        run()
    with pytest.raises(RsnbError, match="does not exist"):
        run("--root", tmp_path / "none")


def test_other_images_than_those_of_ucm_are_refused(monkeypatch, tmp_path, toy):
    """A part of the images gives other numbers under the same names."""
    monkeypatch.setattr("rsnb.settings.Settings.dataset", lambda self, split="test": toy)
    monkeypatch.setattr("rsnb.settings._check_data", lambda *given: None)
    with pytest.raises(RsnbError, match="holds 21 images of UCM where all 2,100 images are to be searched"):
        precision_module.measured(tmp_path)


@pytest.mark.filterwarnings("ignore::rsnb.errors.RsnbWarning")
def test_real_images_give_the_kept_numbers(shared_data, kept):
    """The 210 test images, with the model that is read the fastest; data and key are those of the result."""
    given = precision_module.resolve({}, data="ucm", root=shared_data)
    part = given.dataset("test")
    if not part.has_images:
        pytest.skip("the captions of UCM are here without the images")
    assert kept["key"]["data"]["test"] == part.fingerprint()
    found = study.gallery({ZERO_SHOT: rsnb.adapt(given.clip(), "zero_shot")}, part)
    stated, now = (own["models"][ZERO_SHOT] for own in (kept["galleries"][TEST], found))
    assert now[IMAGES]["mean"] == pytest.approx(stated[IMAGES]["mean"], abs=1)
    assert now[WORDS]["mean"] == pytest.approx(stated[WORDS]["mean"], abs=1)
