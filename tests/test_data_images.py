"""Images: found by name whatever their ending or case, never outside the folder; every mode becomes RGB."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_data_layouts import TEST, TRAIN, images, write_precomp

from rsnb.data import load_dataset
from rsnb.data.images import decode, looks_sound, open_rgb, to_rgb
from rsnb.data.index import ImageIndex, clean_name
from rsnb.errors import RsnbError, RsnbWarning

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def saved(image, tmp_path, name="a.png", **options):
    image.save(tmp_path / name, **options)
    return open_rgb(tmp_path / name)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "LA", "RGBA", "I;16", "I", "F"])
@pytest.mark.parametrize("size", [(8, 8), (13, 5), (1, 1)])
def test_every_mode_and_size_becomes_rgb(tmp_path, mode, size):
    image = Image.new(mode, size)
    out, read_mode = decode((image.save(tmp_path / "a.tif"), tmp_path / "a.tif")[1])
    assert out.mode == "RGB" and out.size == size and read_mode


def test_grey_and_palette_keep_their_values(tmp_path):
    grey = np.asarray(saved(Image.fromarray(RAMP), tmp_path))
    assert (grey == RAMP[..., None]).all()
    palette = Image.fromarray(RAMP).convert("P")
    assert (np.asarray(saved(palette, tmp_path)) == np.asarray(palette.convert("RGB"))).all()


@pytest.mark.parametrize(("bits", "top"), [(16, 65535), (16, 40000), (12, 4000), (11, 2047), (8, 200)])
def test_16_bit_is_scaled_from_the_bits_in_use(tmp_path, bits, top):
    pixels = np.linspace(0, top, 48).round().astype(np.uint16).reshape(6, 8)
    out = np.asarray(saved(Image.fromarray(pixels), tmp_path, "a.tif"))
    assert np.abs(out[..., 0] - pixels / (2**bits - 1) * 255).max() <= 0.5 + 1e-9
    assert (out[..., 0] == out[..., 2]).all()


@pytest.mark.parametrize(("low", "high", "first", "last"), [(0, 1, 0, 255), (0, 200, 0, 200), (50, 1e4, 0, 255)])
def test_float_images(tmp_path, low, high, first, last):
    pixels = np.linspace(low, high, 48, dtype=np.float32).reshape(6, 8)
    out = np.asarray(saved(Image.fromarray(pixels), tmp_path, "a.tif"))
    assert out[0, 0, 0] == first and out[-1, -1, 0] == last


def test_integers_beyond_16_bit_and_not_a_number():
    assert np.asarray(to_rgb(Image.fromarray(np.array([[0, 10**6]], dtype=np.int32))))[0, :, 0].tolist() == [0, 255]
    assert np.asarray(to_rgb(Image.fromarray(np.array([[np.nan, 1.0]], dtype=np.float32))))[0, 0, 0] == 0


def test_transparency_lies_over_black(tmp_path):
    rgba = Image.new("RGBA", (4, 4), (200, 100, 50, 255))
    rgba.putpixel((0, 0), (200, 100, 50, 0))
    rgba.putpixel((1, 0), (200, 100, 50, 128))
    out = saved(rgba, tmp_path)
    assert [out.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (100, 50, 25), (200, 100, 50)]
    grey = Image.new("LA", (2, 1), (90, 255))
    grey.putpixel((0, 0), (90, 0))
    assert [saved(grey, tmp_path).getpixel((x, 0))[0] for x in range(2)] == [0, 90]
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((0, 0), 0)
    out = saved(palette, tmp_path, "b.png", transparency=0)
    assert [out.getpixel((x, 0)) for x in range(2)] == [(0, 0, 0), (0, 255, 0)]


def test_orientation_tag_is_left_alone_and_first_frame_is_taken(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert saved(Image.new("RGB", (9, 4)), tmp_path, "a.jpg", exif=exif).size == (9, 4)
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    out = saved(frames[0], tmp_path, "a.tif", save_all=True, append_images=frames[1:])
    assert out.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("content", [b"", b"<html>quota exceeded</html>", b"\x89PNG\r\n\x1a\n broken"])
def test_broken_files_have_a_clear_error(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(RsnbError, match=r"a\.png cannot be decoded \(.+\); get the file again"):
        open_rgb(tmp_path / "a.png")


def test_index_finds_names_whatever_ending_and_case(tmp_path):
    images(tmp_path / "one" / "Deep", ["Airport_1", "caf\u00e9", "v1.2.tif"], ".JPEG")
    images(tmp_path / ".hidden", ["secret"], ".png")
    (tmp_path / "one" / "._Airport_1.JPEG").write_bytes(b"mac")
    (tmp_path / "airport_1.txt").write_text("no image", encoding="utf-8")
    index = ImageIndex(tmp_path)
    assert len(index) == 3
    for name in ("airport_1.tif", "train/AIRPORT_1.png", "one/deep/airport_1", "Airport_1.JPEG"):
        (found,) = index.match([name])
        assert found.path.name == "Airport_1.JPEG", name
    for name, there in (
        ("cafe\u0301.png", 1),
        ("v1.2.tif", 1),
        ("v1.2", 1),
        ("secret.png", 0),
        ("airport.png", 0),
        ("v1.tif", 0),
    ):
        (found,) = index.match([name])
        assert bool(found.path) == bool(there), name


def test_index_prefers_folder_then_ending_then_spelling(tmp_path):
    images(tmp_path / "train", ["1"], ".jpg")
    images(tmp_path / "test", ["1"], ".jpg")
    images(tmp_path / "test", ["1"], ".tif")
    index = ImageIndex(tmp_path)
    found = index.match(["test/1.tif", "TRAIN/1.tif"])
    assert [own.path.parent.name + own.path.suffix for own in found] == ["test.tif", "train.jpg"]
    assert [len(index.match([name])[0].several) for name in ("1.jpg", "1.png")] == [2, 3]


FILES = ("north/tile_1.png", "north/tile_2.png", "flat.png", "Site_A.png", "site_a.png", "scan.tif")


@pytest.mark.skipif(os.name == "nt", reason="names that differ in case are one file on Windows")
@pytest.mark.parametrize(
    "names, expected",
    [
        (["north/tile_1.png", "south/tile_1.png"], ["north/tile_1.png", None]),  # a listed folder counts
        (["south/tile_1.png", "north/tile_2.png"], [None, "north/tile_2.png"]),  # north is a listed folder
        (["south/tile_1.png"], ["north/tile_1.png"]),  # no folder south, and the only tile_1 that is listed
        (["tile_1.png", "north/tile_1.png"], [None, "north/tile_1.png"]),  # one file, one name
        (["data/north/tile_1.png"], ["north/tile_1.png"]),
        (["train/flat.png", "test/north/tile_1.png"], ["flat.png", "north/tile_1.png"]),  # parts are no folders here
        (["Site_A.png", "site_a.png"], ["Site_A.png", "site_a.png"]),
        (["SITE_A.png"], ["several"]),
        (["flat.jpg", "flat.png"], [None, "flat.png"]),
        (["scan.jpg", "scan.png"], [None, None]),  # both claim scan.tif alike
        (["north/nothing.png"], [None]),
        (["north/flat.png"], [None]),  # north exists and has no flat.png
    ],
)
def test_one_file_serves_one_listed_name(tmp_path, names, expected):
    for file in FILES:
        images((tmp_path / file).parent, [Path(file).stem], Path(file).suffix)
    found = ImageIndex(tmp_path).match(names)
    given = [own.path and own.path.relative_to(tmp_path).as_posix() for own in found]
    assert ["several" if own.several else path for own, path in zip(found, given)] == expected


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_not_followed_out_of_the_folder(tmp_path):
    images(tmp_path / "outside", TRAIN)
    root = write_precomp(tmp_path / "root")
    (root / "pictures").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "airport_0.jpg").symlink_to(tmp_path / "outside" / "airport_0.jpg")
    assert len(ImageIndex(root)) == 0 and ImageIndex(root).outside == 2
    with pytest.raises(RsnbError, match="2 links that lead elsewhere were not followed"):
        load_dataset(root)


@pytest.mark.parametrize("name", ["", " ", "/", "..", "a\0.png"])
def test_names_that_are_none(name):
    with pytest.raises(RsnbError):
        clean_name(name)


def test_clean_name():
    assert clean_name(" .\\train\\a.png\t") == "train/a.png"


def test_missing_and_corrupt_images_are_listed(tmp_path):
    root = write_precomp(tmp_path)
    with pytest.raises(RsnbError, match="holds no image files; the captions name 'airport_0.tif'.*images=False"):
        load_dataset(root)
    images(root / "pics", [*list(TRAIN)[2:], *TEST])
    (root / "pics" / "beach_1.jpg").write_bytes(b"oops")
    with pytest.raises(RsnbError) as caught:
        load_dataset(root, "trainval")
    message = str(caught.value)
    assert "2 images missing: airport_0.tif, airport_1.tif. Remedy: put the images" in message
    assert (
        "1 images that cannot be decoded: beach_1.tif (not an image, or an unknown format). Remedy: get these"
        in message
    )
    with pytest.warns(RsnbWarning) as warned:
        ds = load_dataset(root, "trainval", skip_bad=True)
    assert len(warned) == 1 and len(ds) == 7
    assert len(load_dataset(root, "test")) == 3  # nothing is wrong there
    with pytest.raises(RsnbError, match="loaded without images"):
        load_dataset(root, "trainval", images=False).image(0)


def test_truncated_image_fails_when_decoded_and_is_skipped_before(tmp_path):
    root = write_precomp(tmp_path)
    images(root, [*TRAIN, *TEST], ".png")
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "airport_90.png")
    whole = (root / "airport_90.png").read_bytes()
    (root / "airport_90.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RsnbError, match="airport_90.tif cannot be decoded"):
        load_dataset(root, "test").image(0)
    with pytest.warns(RsnbWarning, match="cannot be decoded"):
        assert len(load_dataset(root, "test", skip_bad=True)) == 2


def test_several_files_for_one_name(tmp_path):
    root = write_precomp(tmp_path)
    images(root / "a", TEST, ".png")
    images(root / "b", TEST, ".png")
    with pytest.raises(RsnbError, match=r"fit several files: airport_90.tif \(a/airport_90.png, b/airport_90.png\)"):
        load_dataset(root, "test")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s7--00.png\n", "git annex get"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"nothing", "not an image"),
    ],
)
def test_what_stands_in_the_place_of_an_image_is_said(tmp_path, content, said):
    (tmp_path / "a.png").write_bytes(content)
    for source in (tmp_path / "a.png", content):
        assert said in looks_sound(source)
        with pytest.raises(RsnbError, match=said):
            decode(source, "a.png")
