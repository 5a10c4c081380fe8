"""The drawn scene: the same each time, none of the shipped pictures, and where it says it is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas
import pytest
from PIL import Image

import rsnb
from rsnb.errors import RsnbError
from rsnb.tiles.reading import starts
from rsnb.worlds import scene as module
from rsnb.worlds.scene import KINDS, corners, draw_scene, in_rows, laid_out, write_scene, write_tiles
from rsnb.worlds.toy.build import SEED
from rsnb.worlds.toy.scenes import CLASSES, draw


@pytest.fixture(scope="module")
def scene():
    return draw_scene(seed=1, rows=4, columns=6)


def test_a_scene_is_the_same_each_time(scene):
    again, other = draw_scene(seed=1, rows=4, columns=6), draw_scene(seed=2, rows=4, columns=6)
    assert np.array_equal(again.pixels, scene.pixels) and again.captions == scene.captions
    assert other.labels != scene.labels


def test_its_parts_fit(scene):
    assert scene.pixels.shape == (512, 768, 3) and scene.pixels.dtype == np.uint8 and scene.shape == (4, 6)
    assert len(scene.labels) == len(scene.captions) == 24 and set(scene.labels) == set(CLASSES)
    assert all(len(captions) == 5 and all(captions) for captions in scene.captions)
    first = np.asarray(draw(scene.labels[0], module.APART + 1, "train", 0)[0])
    assert np.array_equal(scene.pixels[:128, :128], first)
    assert [int(cell) for cell in scene.cells([0, 127, 128, 700, 9999], [0, 127, 0, 300, 511])] == [0, 0, 1, 17, 23]


def test_no_cell_is_a_picture_that_ships(scene):
    assert module.APART > 1000 * SEED
    shipped = {caption for split in ("trainval", "test") for caption in rsnb.load_dataset("toy", split).captions[0]}
    lists = [captions for captions in scene.captions if set(captions) <= shipped]
    assert len(lists) < len(scene.captions) / 4, "single sentences repeat, whole lists hardly do"
    for split, name in (("train", scene.labels[0]), ("test", scene.labels[0])):
        assert not np.array_equal(scene.pixels[:128, :128], np.asarray(draw(name, SEED, split, 0)[0]))


def test_classes_are_equally_frequent_and_kinds_cluster():
    assert sorted(name for kind in KINDS for name in kind) == sorted(CLASSES)
    grid = laid_out(0, 10, 15)
    assert max(Counter(grid.ravel()).values()) - min(Counter(grid.ravel()).values()) <= 1
    kind = np.vectorize(module._KIND.get)(grid)
    alike = np.concatenate([(kind[1:] == kind[:-1]).ravel(), (kind[:, 1:] == kind[:, :-1]).ravel()]).mean()
    rng = np.random.default_rng(0)
    mixed = rng.permutation(kind.ravel()).reshape(kind.shape)
    assert alike > 0.5 > 0.4 > (mixed[1:] == mixed[:-1]).mean()


def test_another_side_and_bad_sizes():
    small = draw_scene(seed=0, rows=1, columns=2, side=64)
    assert small.pixels.shape == (64, 128, 3)
    for size in ({"rows": 0}, {"columns": -1}, {"side": 8}):
        with pytest.raises(RsnbError, match="give at least"):
            draw_scene(**size)


def test_a_row_that_is_not_full_is_left_out():
    pictures = [Image.new("RGB", (40, 30), (n, 0, 0)) for n in range(5)]
    found = in_rows(pictures, "abcde", [["x"]] * 5, columns=2, side=16)
    assert found.shape == (2, 2) and found.labels == ("a", "b", "c", "d") and found.pixels[20, 20, 0] == 3


def test_the_geotiff_lies_where_it_says(scene, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    write_scene(tmp_path / "a.tif", scene.pixels)
    write_scene(tmp_path / "b.tif", scene.pixels[10:, 30:], shift=(30, 10))
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        assert np.array_equal(a.read().transpose(1, 2, 0), scene.pixels)
        assert a.crs.to_epsg() == 32631 and a.res == (2.0, 2.0)
        assert a.xy(10, 30) == b.xy(0, 0)
    index = rsnb.Index.build(tmp_path / "a.tif", tmp_path / "index", tile=128)
    table = index.table()
    assert len(index) == 24 and corners(table).tolist() == [
        [x, y] for y in range(0, 512, 128) for x in range(0, 768, 128)
    ]
    assert table["lon"].between(2.6, 2.8).all() and table["lat"].between(55.4, 55.6).all()


def test_without_rasterio_the_remedy_is_said(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "has_rasterio", lambda: False)
    with pytest.raises(RsnbError, match=r"pip install 'rsnb\[geo\]'"):
        write_scene(tmp_path / "a.tif", scene.pixels)
    assert not list(tmp_path.iterdir())


def test_tiles_as_pictures_know_their_corner(scene, tmp_path):
    write_tiles(tmp_path / "t", scene.pixels, (starts(768, 128, 64), starts(512, 128, 0)), 128)
    files = sorted(path.name for path in (tmp_path / "t").iterdir())
    found = corners(pandas.DataFrame({"path": files, "x": 0, "y": 0}))
    assert len(files) == 11 * 4 and found[:, 0].max() == 640 and found[:, 1].max() == 384
    with Image.open(tmp_path / "t" / files[5]) as tile:
        x, y = found[5]
        assert np.array_equal(np.asarray(tile), scene.pixels[y : y + 128, x : x + 128])
