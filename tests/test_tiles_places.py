"""Where tiles of GeoTIFFs lie, to a pixel, and their pictures: projections, rotation, bands, places without data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsnb.data.images import open_rgb
from rsnb.data.rasters import View
from rsnb.errors import RsnbError
from rsnb.tiles.files import files_of
from rsnb.tiles.places import bounds, distance, inside, of_box
from rsnb.tiles.reading import How, Opened, how_to_read, starts, windows

rasterio = pytest.importorskip("rasterio", reason="needs the extra geo")
from rasterio.transform import Affine  # noqa: E402
from rasterio.warp import transform  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
GRIDS = {
    "UTM": ("EPSG:32632", Affine(10, 0, 465_000, 0, -10, 5_248_000)),
    "UTM south": ("EPSG:32733", Affine(0.5, 0, 300_000, 0, -0.5, 6_000_000)),
    "degrees": ("EPSG:4326", Affine(0.0001, 0, 8.5, 0, -0.0001, 47.4)),
    "rotated": ("EPSG:32632", Affine.translation(465_000, 5_248_000) * Affine.rotation(31) * Affine.scale(3, -5)),
    "south up": ("EPSG:3857", Affine(20, 0, 950_000, 0, 20, 6_000_000)),
}


def write(path, pixels, crs=None, affine=None, **more):
    """A GeoTIFF of (bands, H, W)."""
    bands, height, width = pixels.shape
    said = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype, **more}
    if crs:
        said.update(crs=crs, transform=affine)
    with rasterio.open(path, "w", **said) as file:
        file.write(pixels)
    return path


def drawn(bands: int, height: int, width: int, dtype="uint8", seed: int = 0) -> np.ndarray:
    top = 255 if dtype == "uint8" else 3000
    return np.random.default_rng(seed).integers(1, top, (bands, height, width)).astype(dtype)


def tiles_of(path, **how):
    (file,), wrong = files_of(path)
    assert not wrong
    opened = Opened(file, path.parent, how_to_read(path.parent, [file], **how))
    return [opened.read(window) for window in opened.windows()]


@pytest.mark.parametrize("name", GRIDS)
def test_corners_go_back_to_their_pixels(tmp_path, name):
    crs, affine = GRIDS[name]
    path = write(tmp_path / "a.tif", drawn(3, 70, 100), crs, affine)
    found = tiles_of(path, tile=32, overlap=8)
    assert len(found) == 4 * 3
    for _, cells in found:
        x, y, w, h = (cells[key] for key in ("x", "y", "width", "height"))
        lon, lat = [*cells["corners"][::2], cells["lon"]], [*cells["corners"][1::2], cells["lat"]]
        back = [~affine * point for point in zip(*transform("EPSG:4326", crs, lon, lat))]
        wanted = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x + w / 2, y + h / 2)]
        assert np.abs(np.array(back) - wanted).max() < 0.01
        assert cells["west"] == min(lon[:4]) and cells["north"] == max(lat[:4])


def test_a_file_without_projection_has_no_place(tmp_path):
    ((_, cells),) = tiles_of(write(tmp_path / "a.tif", drawn(3, 20, 20)))
    assert "lon" not in cells and (cells["width"], cells["height"]) == (20, 20)


@pytest.mark.parametrize("bands", range(1, 9))
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_tile_is_the_part_of_the_whole_picture(tmp_path, bands, dtype):
    path = write(tmp_path / "a.tif", drawn(bands, 40, 50, dtype), tiled=True, blockxsize=16, blockysize=16)
    (file,), _ = files_of(path)
    how = how_to_read(tmp_path, [file], tile=16, overlap=4)
    whole = np.asarray(open_rgb(path, view=how.view))
    opened = Opened(file, tmp_path, how)
    for window in opened.windows():
        x, y, w, h = window
        picture, _ = opened.read(window)
        assert np.array_equal(np.asarray(picture), whole[y : y + h, x : x + w])


def test_chosen_bands_and_scale_are_those_of_the_whole(tmp_path):
    path = write(tmp_path / "a.tif", drawn(6, 40, 40, "uint16"))
    (file,), _ = files_of(path)
    how = how_to_read(tmp_path, [file], tile=20, bands=(6, 3, 1), scale=(100.0, 2000.0))
    whole, opened = np.asarray(open_rgb(path, view=how.view)), Opened(file, tmp_path, how)
    assert how.view.bands == (6, 3, 1) and How.from_dict(how.to_dict()) == how
    for x, y, w, h in opened.windows():
        assert np.array_equal(np.asarray(opened.read((x, y, w, h))[0]), whole[y : y + h, x : x + w])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_places_without_data_are_black_and_whole_tiles_of_them_left_out(tmp_path, dtype):
    pixels = drawn(3, 32, 64, dtype)
    pixels[:, :, :40] = 0
    path = write(tmp_path / "a.tif", pixels, nodata=0)
    left, right = tiles_of(path, tile=32)
    assert left[0] is None
    shown = np.asarray(right[0])
    assert not shown[:, :8].any() and shown[:, 8:].any()


def test_a_mask_of_the_file_counts(tmp_path):
    pixels = drawn(4, 32, 32)
    pixels[3] = 255
    pixels[3, :, :10] = 0
    path = write(tmp_path / "a.tif", pixels, photometric="RGB", alpha="YES")
    ((picture, _),) = tiles_of(path, tile=32)
    assert not np.asarray(picture)[:, :10].any() and np.asarray(picture)[:, 10:].any()


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 400), st.integers(8, 400), st.integers(8, 100), st.integers(0, 99))
def test_windows_cover_all_and_have_one_size(width, height, tile, overlap):
    overlap = min(overlap, tile - 1)
    seen = np.zeros((height, width), dtype=int)
    found = list(windows(width, height, How(tile, overlap)))
    for x, y, w, h in found:
        assert 0 <= x <= width - w and 0 <= y <= height - h and (w, h) == (min(tile, width), min(tile, height))
        seen[y : y + h, x : x + w] += 1
    assert seen.min() >= 1 and len(set(found)) == len(found)
    at = starts(width, tile, overlap)
    assert all(b - a <= tile - overlap for a, b in zip(at, at[1:]))


@pytest.mark.parametrize("tile, overlap", [(-1, 0), (4, 0), (64, 64), (0, 8), (10_000, 0)])
def test_a_tile_that_makes_no_sense_is_refused(tmp_path, tile, overlap):
    with pytest.raises(RsnbError, match="overlap"):
        how_to_read(tmp_path, [], tile, overlap)


@pytest.mark.parametrize("more", [{"dtype": "complex64"}, {"palette": True}, {"bands": (1, 2, 9)}])
def test_what_is_no_picture_is_said(tmp_path, more):
    if "dtype" in more:
        path = write(tmp_path / "a.tif", drawn(1, 32, 64).astype("complex64"))
    else:
        path = write(tmp_path / "a.tif", drawn(1 if "palette" in more else 3, 32, 64))
    if "palette" in more:
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {n: (n, 0, 255 - n) for n in range(256)})
    with pytest.raises(RsnbError, match=r"a\.tif"):
        tiles_of(path, tile=32, bands=more.get("bands"))


def test_distances_are_those_of_the_sphere():
    lon, lat = np.array([8.54, 8.54, 0.0, 180.0, np.nan]), np.array([47.37, 48.37, 0.0, 0.0, 0.0])
    found = distance(lon, lat, (8.54, 47.37))
    quarter = np.pi * 6371.0088
    assert found[0] == 0 and abs(found[1] - quarter / 180) < 1e-6 and np.isnan(found[4])
    assert abs(distance(lon, lat, (0.0, 0.0))[3] - quarter) < 1e-6


def test_boxes_meet_across_the_antimeridian():
    table = {name: np.array(values) for name, values in {
        "west": [10.0, 179.5, -179.9, np.nan], "east": [11.0, -179.5, -179.8, np.nan],
        "south": [0.0, 0.0, 0.0, np.nan], "north": [1.0, 1.0, 1.0, np.nan],
    }.items()}  # fmt: skip
    assert inside(table, (10.5, 0.5, 12.0, 2.0)).tolist() == [True, False, False, False]
    assert inside(table, (179.0, 0.0, -179.85, 1.0)).tolist() == [False, True, True, False]
    assert inside(table, (-180.0, 0.0, -179.6, 1.0)).tolist() == [False, True, True, False]
    assert inside(table, (10.0, 2.0, 12.0, 3.0)).tolist() == [False] * 4
    assert bounds([(179.5, 1.0), (-179.5, 0.0)]) == {"west": 179.5, "south": 0.0, "east": -179.5, "north": 1.0}
    assert of_box(179.0, 0.0, -179.0, 1.0)["lon"] == 180.0


def test_one_view_for_neighbours(tmp_path):
    """A dark half and a bright half of one scene are scaled alike."""
    pixels = np.concatenate([drawn(3, 32, 32, "uint16") // 10, drawn(3, 32, 32, "uint16")], axis=2)
    (dark, _), (bright, _) = tiles_of(write(tmp_path / "a.tif", pixels), tile=32)
    assert np.asarray(dark).mean() < 0.25 * np.asarray(bright).mean()
    assert View() == View(None, (), True)


def test_hits_are_shapes_of_geopandas(tmp_path):
    geopandas = pytest.importorskip("geopandas", reason="needs the extra geo")
    import rsnb
    from rsnb.tiles.hits import write_hits

    path = write(tmp_path / "a.tif", drawn(3, 64, 96), *GRIDS["rotated"])
    index = rsnb.Index.build(path, tmp_path / "i", tile=32)
    hits = index.search("boats", top=6)
    assert isinstance(hits, geopandas.GeoDataFrame) and hits.crs.to_epsg() == 4326 and len(hits) == 6
    assert hits.geometry.contains(geopandas.GeoSeries.from_xy(hits["lon"], hits["lat"], crs=hits.crs)).all()
    write_hits(hits, tmp_path / "hits.geojson", {"index": "i"}, lambda row: None)
    read = geopandas.read_file(tmp_path / "hits.geojson")
    assert read["path"].tolist() == ["a.tif"] * 6
    one, other = (frame.geometry.normalize() for frame in (read, hits))
    assert one.geom_equals_exact(other, 1e-6).all()
    none = index.search("boats", min_score=2.0)
    assert none.empty


def test_how_numbers_became_pictures_is_said(tmp_path):
    import rsnb
    from rsnb.tiles.building import build
    from rsnb.tiles.identity import adapted

    path = write(tmp_path / "wide.tif", drawn(4, 40, 1100, "uint16"))
    model = adapted(rsnb.load_clip())
    scaled, wide = build(path, tmp_path / "i", model).remarks
    assert "uint16" in scaled and "wide.tif is one tile" in wide
    (cut,) = build(path, tmp_path / "j", model, tile=32).remarks
    assert "uint16" in cut
