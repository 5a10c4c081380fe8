"""The toy overhead world: the shipped copy is what the code draws, and has the statistics it should have."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.worlds.toy import CLASSES, build_toy, check_toy
from rsnb.worlds.toy.build import COUNT, JSON_NAME, SEED, TEST_COUNT, filename, jobs, pixels, render
from rsnb.worlds.toy.captions import expand
from rsnb.worlds.toy.phrases import PHRASES

EXPECTED = [
    "airport",
    "beach",
    "bridge",
    "denseresidential",
    "farmland",
    "forest",
    "harbor",
    "industrial",
    "meadow",
    "park",
    "parking",
    "playground",
    "pond",
    "railwaystation",
    "river",
    "runway",
    "sparseresidential",
    "square",
    "stadium",
    "storagetanks",
    "tenniscourt",
    "viaduct",
]
# a word of which at least one stands in nearly every caption of the class
NAMED = {
    "airport": ("airport", "plane", "planes", "airplane", "airplanes", "aircraft", "terminal"),
    "beach": ("beach",),
    "bridge": ("bridge", "bridges"),
    "denseresidential": ("residential", "houses"),
    "farmland": ("farmland", "fields"),
    "forest": ("forest", "trees"),
    "harbor": ("harbor", "boats", "pier", "piers"),
    "industrial": ("industrial", "factory"),
    "meadow": ("meadow", "grassland", "grass"),
    "park": ("park",),
    "parking": ("parking", "cars"),
    "playground": ("playground", "field", "track"),
    "pond": ("pond", "ponds"),
    "railwaystation": ("station", "trains", "platforms"),
    "river": ("river",),
    "runway": ("runway", "runways"),
    "sparseresidential": ("residential", "house", "houses"),
    "square": ("square",),
    "stadium": ("stadium",),
    "storagetanks": ("tank", "tanks"),
    "tenniscourt": ("tennis",),
    "viaduct": ("viaduct",),
}


@pytest.fixture(scope="module")
def folder() -> Path:
    return paths.data_dir() / "toy"


@pytest.fixture(scope="module")
def world(folder: Path) -> dict:
    return json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))


def test_classes_and_counts(world: dict, folder: Path) -> None:
    assert list(CLASSES) == EXPECTED
    assert world["dataset"] == "toy"
    found = Counter((image["label"], image["split"]) for image in world["images"])
    assert found == {(name, split): n for name in CLASSES for split, n in (("train", COUNT), ("test", TEST_COUNT))}
    assert len(world["images"]) == 22 * (69 + 12) == 1518 + 264
    on_disk = sorted(p.name for p in (folder / "images").iterdir())
    assert on_disk == sorted(image["filename"] for image in world["images"])


def test_karpathy_layout(world: dict) -> None:
    for imgid, image in enumerate(world["images"]):
        assert image["imgid"] == imgid
        assert image["filename"].rsplit("_", 1)[0] == image["label"]
        assert len(image["sentences"]) == 5
        assert image["sentids"] == [s["sentid"] for s in image["sentences"]] == list(range(5 * imgid, 5 * imgid + 5))
        for sentence in image["sentences"]:
            assert sentence["imgid"] == imgid
            assert sentence["raw"] == " ".join([*sentence["tokens"], "."])
            assert 4 <= len(sentence["tokens"]) <= 20, sentence["raw"]
            assert all(word.isalpha() and word.islower() for word in sentence["tokens"]), sentence["raw"]


@pytest.mark.parametrize("name", EXPECTED)
def test_pixels_and_captions_are_what_the_code_draws(name: str, world: dict, folder: Path) -> None:
    listed = {image["filename"]: image for image in world["images"]}
    for job in ((name, "train", 7, 8), (name, "test", 3, COUNT + 4)):
        jpeg, captions = render(job, SEED)
        assert job in jobs()
        np.testing.assert_array_equal(pixels(jpeg), pixels(folder / "images" / filename(job)))
        assert captions == [s["raw"] for s in listed[filename(job)]["sentences"]]


def test_pictures_are_small_and_all_different(world: dict, folder: Path) -> None:
    seen: dict[bytes, str] = {}
    for image in world["images"]:
        data = pixels(folder / "images" / image["filename"])
        assert data.shape == (128, 128, 3)
        assert data.std() > 4, f"{image['filename']} is nearly one colour"
        twin = seen.setdefault(data.tobytes(), image["filename"])
        assert twin == image["filename"], f"{twin} and {image['filename']} have the same pixels"
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 12e6


def test_captions_repeat_as_people_do(world: dict) -> None:
    captions = [(s["raw"], image["split"]) for image in world["images"] for s in image["sentences"]]
    times = Counter(raw for raw, _ in captions)
    assert 0.35 <= sum(n for n in times.values() if n > 1) / len(captions) <= 0.45
    train = {raw for raw, split in captions if split == "train"}
    test = [raw for raw, split in captions if split == "test"]
    assert 0.1 < sum(raw in train for raw in test) / len(test) < 0.5
    lengths = [len(raw.split()) - 1 for raw, _ in captions]
    assert 10 <= np.mean(lengths) <= 12.5
    assert 200 <= len({word for raw in times for word in raw.split()}) <= 400
    assert any(len({s["raw"] for s in image["sentences"]}) == 1 for image in world["images"])
    # the usual picture has at least two captions that no other picture has
    owners: dict[str, set[int]] = {}
    for image in world["images"]:
        for sentence in image["sentences"]:
            owners.setdefault(sentence["raw"], set()).add(image["imgid"])
    own = [sum(len(owners[s["raw"]]) == 1 for s in image["sentences"]) for image in world["images"]]
    assert np.mean(own) >= 2
    assert np.mean(np.array(own) == 0) < 0.1


def test_captions_name_their_class(world: dict) -> None:
    for name in CLASSES:
        tokens = [set(s["tokens"]) for i in world["images"] if i["label"] == name for s in i["sentences"]]
        share = np.mean([bool(words & set(NAMED[name])) for words in tokens])
        assert share > 0.85, f"{name}: only {share:.0%} of the captions name it"


def test_grammar() -> None:
    """Counts agree with their nouns and verbs; a part without its attribute is left out."""
    rng = np.random.default_rng(0)
    assert set(PHRASES) == set(CLASSES)
    assert all(line[0] in "012" and line[1] == " " for lines in PHRASES.values() for line in lines)
    text = "{n:plane/planes} {n~is/are} near a {tone} hall [with {lot}]"
    assert expand(text, "airport", {"n": "two", "tone": "orange", "lot": ""}, rng) == (
        "two planes are near an orange hall ."
    )
    assert expand("(a|a) tank {n~is/are} here", "pond", {"n": "one"}, rng) == "a tank is here ."


@pytest.mark.check
def test_build_does_not_depend_on_workers_and_check_finds_changes(tmp_path: Path, folder: Path) -> None:
    build_toy(tmp_path, count=1, test_count=0, workers=2, progress=False)
    for name in CLASSES:
        same = f"images/{name}_1.jpg"
        np.testing.assert_array_equal(pixels(tmp_path / same), pixels(folder / same))
    shutil.copy(tmp_path / "images" / "pond_1.jpg", tmp_path / "images" / "river_1.jpg")
    (tmp_path / "images" / "park_1.jpg").unlink()
    text = (tmp_path / JSON_NAME).read_text(encoding="utf-8")
    (tmp_path / JSON_NAME).write_text(text.replace(" is ", " was "), encoding="utf-8")
    assert check_toy(tmp_path, count=1, test_count=0, progress=False) == [
        "missing: images/park_1.jpg",
        "other pixels: images/river_1.jpg",
        f"other content: {JSON_NAME}",
    ]


def test_bad_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RsnbError, match="is a file"):
        build_toy(tmp_path / "file", count=1, progress=False)
    with pytest.raises(RsnbError, match="was not found"):
        check_toy(tmp_path, count=1, progress=False)
    with pytest.raises(RsnbError, match="at least 1"):
        build_toy(tmp_path / "new", count=0, progress=False)
