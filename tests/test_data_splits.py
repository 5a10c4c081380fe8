"""Splits: disjoint, seeded, by image; identical files and a caption's siblings never cross."""

from __future__ import annotations

import random

import pytest
from test_data_layouts import TEST, TRAIN, images, write_karpathy, write_precomp

from rsnb.data import load_dataset
from rsnb.data.splits import assign, draw
from rsnb.errors import RsnbError


def names(ds):
    return [item.name for item in ds]


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_disjoint_and_owners_do_not_cross(seed):
    dice = random.Random(seed)
    count = dice.randint(2, 300)
    keys = [f"image_{n}" for n in range(count)]
    official = [dice.choice(["train", "val", "test"]) for _ in keys]
    fraction = dice.uniform(0.05, 0.9)
    mixed = dice.sample(range(count), count)
    twins = [mixed[start : start + 3] for start in range(0, count // 5, 3)]
    parts = assign(keys, official, seed, fraction, twins)
    assert [p == "test" for p in parts] == [p == "test" for p in official]
    for group in twins:
        assert not {"train", "val"} <= {parts[i] for i in group}
    free = assign(keys, official, seed, fraction)
    pool = sum(p != "test" for p in official)
    if pool > 1:
        assert free.count("val") == min(max(round(fraction * pool), 1), pool - 1)
    order = dice.sample(range(count), count)
    mixed = assign([keys[i] for i in order], [official[i] for i in order], seed, fraction)
    assert mixed == [free[i] for i in order]  # the order of the list does not matter


def test_loaded_splits(tmp_path):
    root = write_precomp(tmp_path)
    train, val, test = (load_dataset(root, s, images=False) for s in ("train", "val", "test"))
    assert len(train) == 8 and len(val) == 2 and names(test) == list(TEST)
    assert not set(names(train)) & set(names(val)) and not set(train.captions[0]) & set(val.captions[0])
    assert set(names(train)) | set(names(val)) == set(TRAIN)
    assert names(load_dataset(root, "trainval", images=False)) == list(TRAIN)
    assert names(load_dataset(root, "val", images=False)) == names(val)
    drawn = {tuple(names(load_dataset(root, "val", images=False, seed=s))) for s in range(10)}
    assert len(drawn) > 3
    assert names(load_dataset(root, "test", images=False, seed=5)) == names(test)
    same = load_dataset(write_karpathy(tmp_path / "other"), "val", images=False)
    assert names(same) == names(val) and same.fingerprint() == val.fingerprint()


def test_captions_of_a_repeated_name_stay_together(tmp_path):
    twice = [*TRAIN, "beach_0.tif"]
    root = write_precomp(tmp_path)
    (root / "train_filename.txt").write_text("\n".join(twice), encoding="utf-8")
    (root / "train_caps.txt").write_text("\n".join(f"{n} {k}" for n in twice for k in range(3)), encoding="utf-8")
    for seed in range(6):
        parts = [load_dataset(root, s, images=False, seed=seed) for s in ("train", "val")]
        holders = [item for ds in parts for item in ds if item.name == "beach_0.tif"]
        assert len(holders) == 1 and len(holders[0].captions) == 6


def test_identical_files_go_to_train_together(tmp_path):
    root = write_precomp(tmp_path)
    images(root / "pics", [*TRAIN, *TEST])
    copies = ["airport_1.jpg", "airport_4.jpg", "beach_2.jpg"]
    for name in copies[1:]:
        (root / "pics" / name).write_bytes((root / "pics" / copies[0]).read_bytes())
    stems = {name.split(".")[0] for name in copies}
    seen = set()
    for seed in range(12):
        train = {n.split(".")[0] for n in names(load_dataset(root, "train", seed=seed))}
        val = {n.split(".")[0] for n in names(load_dataset(root, "val", seed=seed, images=False))}
        assert stems <= train or stems <= val
        assert not train & val and len(train | val) == 10
        seen.add(len(val))
    assert seen != {2}  # some draws did tear them apart


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, "half"])
def test_wrong_fractions(tmp_path, fraction):
    with pytest.raises(RsnbError, match="val_fraction is"):
        load_dataset(write_precomp(tmp_path), images=False, val_fraction=fraction)


def test_official_val_must_exist(tmp_path):
    with pytest.raises(RsnbError, match="has no val part of its own"):
        load_dataset(write_precomp(tmp_path), "val", images=False, val_fraction=None)


def test_empty_split(tmp_path):
    root = write_precomp(tmp_path)
    (root / "test_filename.txt").unlink()
    (root / "test_caps.txt").unlink()
    with pytest.raises(RsnbError, match="has no image in 'test'; it has 8 in train, 2 in val, 0 in test"):
        load_dataset(root, "test", images=False)


def test_limit_is_balanced_and_seeded(tmp_path):
    root = write_precomp(tmp_path)
    ds = load_dataset(root, "trainval", images=False, limit=6)
    assert sorted(ds.labels) == ["airport"] * 3 + ["beach"] * 3
    assert names(ds) == [n for n in TRAIN if n in names(ds)]  # in the order of the list
    assert names(load_dataset(root, "trainval", images=False, limit=6)) == names(ds)
    assert len(load_dataset(root, "trainval", images=False, limit=9)) == 9  # four beaches, five airports
    assert len(load_dataset(root, "trainval", images=False, limit=99)) == 10
    assert len({tuple(draw([None] * 50, 5, seed)) for seed in range(8)}) > 6
    for wrong in (0, -3, 2.5, True):
        with pytest.raises(RsnbError, match="limit is"):
            load_dataset(root, images=False, limit=wrong)
    with pytest.raises(RsnbError, match="seed is None"):
        load_dataset(root, images=False, seed=None)


def test_dataset_object(tmp_path):
    root = write_precomp(tmp_path / "mine")
    ds = load_dataset(root, "test", images=False)
    assert len(ds) == 3 and ds[-1].name == "airport_92.tif" and not ds.is_toy and ds.stamp == "mine (own data)"
    assert repr(ds).startswith("CaptionDataset(mine/test: 3 images (captions only), 15 captions, 1 classes")
    part = ds.subset([2, 0])
    assert names(part) == ["airport_92.tif", "airport_90.tif"] and part.captions[1] == [0] * 5 + [1] * 5
    assert part.fingerprint() != ds.fingerprint() == ds.subset(range(3)).fingerprint()
    with pytest.raises(RsnbError, match="out of range"):
        ds.subset([0, 3])


def test_labels(tmp_path):
    plain = {f"{n:05d}.jpg": ["x"] for n in range(4)}
    assert load_dataset(write_precomp(tmp_path / "a", plain, {"9.jpg": ["y"]}), "all", images=False).classes == []
    mixed = plain | {"tennis_court_3.jpg": ["x"], "square-9.jpg": ["x"]}
    ds = load_dataset(write_precomp(tmp_path / "b", mixed, {"9.jpg": ["y"]}), "all", images=False)
    assert ds.classes == ["square", "tennis_court"] and ds.labels.count(None) == 5
    camera = {f"IMG_{n}.jpg": ["x"] for n in range(4)}
    ds = load_dataset(write_precomp(tmp_path / "c", camera, {"IMG_9.jpg": ["y"]}), "all", images=False)
    assert ds.classes == []  # one class for all says nothing
    folders = {"forest/1.jpg": ["x"], "river/2.jpg": ["x"], "images/3.jpg": ["x"]}
    ds = load_dataset(write_precomp(tmp_path / "d", folders, {"river/7.jpg": ["y"]}), "all", images=False)
    assert ds.labels == ["forest", "river", None, "river"]


def test_labels_from_the_folders_of_the_files(tmp_path):
    root = write_precomp(tmp_path, {"1.jpg": ["x"], "2.jpg": ["x"]}, {"3.jpg": ["y"]})
    images(root / "forest", ["1"])
    images(root / "river", ["2", "3"])
    assert load_dataset(root, "all").labels == ["forest", "river", "river"]


def test_toy_is_read_like_any_karpathy_set(tmp_path, monkeypatch):
    toy = write_karpathy(tmp_path / "toy", "dataset_toy.json")
    images(toy / "images", [*TRAIN, *TEST], ".png")
    monkeypatch.setenv("RSNB_HOME", str(tmp_path))
    monkeypatch.setenv("RSNB_ROOT", str(tmp_path / "of a real set"))
    ds = load_dataset("toy", "test")
    assert ds.is_toy and ds.stamp == "toy world (drawn)" and ds.layout == "karpathy" and ds.image(0).size == (9, 7)
    assert load_dataset(toy, "test").is_toy
