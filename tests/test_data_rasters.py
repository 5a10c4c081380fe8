"""Images beyond RGB of 8 bits: bands, bits, nodata, one range for a set; and what is refused before it is decoded."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_data_layouts import lines

from rsnb.commands.cli import main
from rsnb.data import load_dataset, report
from rsnb.data.headers import read_header
from rsnb.data.images import FORMATS, decode, looks_sound, open_rgb
from rsnb.data.rasters import View, bands_of, scale_of
from rsnb.errors import RsnbError
from rsnb.figures import plots
from rsnb.studies.ablation.lab import Lab

rasterio = pytest.importorskip("rasterio")


def tiff(file, pixels, **options):
    """Written by GDAL: (bands, H, W) of any type."""
    file.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype}
        with rasterio.open(file, "w", **profile, **options) as out:
            out.write(pixels)
    return file


def png16(file, pixels):
    """(H, W, 3 or 4) uint16 as PNG, by the format's definition."""
    height, width, bands = pixels.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return file


def random(shape, low, high, dtype):
    return np.random.default_rng(0).uniform(low, high, shape).astype(dtype)


def scaled(pixels, top):
    """Written out: 0..top as 0..255, bands last."""
    return np.moveaxis((pixels.astype(float) / top * 255).round().clip(0, 255).astype(np.uint8), 0, -1)


COMPRESSED = [{}, {"compress": "deflate"}, {"compress": "lzw", "predictor": 2}, {"compress": "zstd"}]
COMPRESSED += [{"tiled": True, "blockxsize": 16, "blockysize": 16}, {"BIGTIFF": "YES"}, {"interleave": "band"}]


@pytest.mark.parametrize("options", COMPRESSED, ids=str)
@pytest.mark.parametrize("bands, alpha", [(3, None), (4, "YES"), (4, "NO"), (4, "PREMULTIPLIED"), (8, None)])
@pytest.mark.parametrize("dtype, top", [("uint8", 255), ("uint16", 4095)])
def test_bands_beyond_three_leave_the_first_three_as_they_are(tmp_path, options, bands, alpha, dtype, top):
    """8 bits byte for byte; 16 bits from 0 to the bits in use, in colour as in grey."""
    pixels = random((bands, 9, 11), 20, 200 if dtype == "uint8" else 2800, dtype)
    file = tiff(tmp_path / "a.tif", pixels, photometric="RGB", **({"alpha": alpha} if alpha else {}), **options)
    assert (np.asarray(open_rgb(file)) == scaled(pixels[:3], top)).all() and looks_sound(file) is None
    assert (np.asarray(open_rgb(file.read_bytes())) == scaled(pixels[:3], top)).all()
    chosen = np.asarray(open_rgb(file, view=View((3, 2, 1))))
    assert (chosen == scaled(pixels[[2, 1, 0]], top)).all()


def test_the_smallest_example_of_a_fourth_band(tmp_path):
    """Water (30, 90, 150) with little near infrared stays water."""
    pixels = np.array([30, 90, 150, 3], np.uint8)[:, None, None] * np.ones((4, 5, 5), np.uint8)
    pixels[3] += np.arange(25, dtype=np.uint8).reshape(5, 5)
    assert open_rgb(tiff(tmp_path / "a.tif", pixels, photometric="RGB", alpha="YES")).getpixel((2, 2)) == (30, 90, 150)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.webp"])
def test_a_mask_stays_a_mask(tmp_path, name):
    image = Image.new("RGBA", (8, 6), (200, 100, 50, 255))
    image.paste((200, 100, 50, 0), (0, 0, 3, 6))
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    out = open_rgb(tmp_path / name)
    assert out.getpixel((0, 0)) == (0, 0, 0) and out.getpixel((7, 0)) == (200, 100, 50)


@pytest.mark.parametrize("bands", [3, 4])
def test_a_png_of_16_bits_in_colour(tmp_path, bands):
    pixels = random((9, 11, bands), 200, 2799, np.uint16)
    pixels[..., 3:] = 65535  # of a PNG the fourth is a mask, and all is there
    out = np.asarray(open_rgb(png16(tmp_path / "a.png", pixels)))
    assert (out == scaled(np.moveaxis(pixels[..., :3], -1, 0), 4095)).all()


@pytest.mark.parametrize(
    "dtype, nodata", [("uint16", 65535), ("uint16", 0), ("int16", -9999), ("float32", -3.4e38), ("float64", 1e20)]
)
@pytest.mark.parametrize("bands", [1, 3])
def test_nodata_decides_no_scale_and_is_black(tmp_path, dtype, nodata, bands):
    pixels = random((bands, 20, 20), 300, 2999, dtype)
    pixels[:, :4] = nodata
    out = np.asarray(open_rgb(tiff(tmp_path / "a.tif", pixels, nodata=nodata)))
    assert (out[:4] == 0).all() and out[4:].mean() > 60, out[4:].mean()


@pytest.mark.parametrize("bands, dtype", [(1, "uint16"), (3, "uint16"), (4, "uint16"), (1, "float32")])
def test_tiles_of_one_set_are_scaled_alike(tmp_path, bands, dtype):
    """A dark tile stays dark beside a bright one, in train and in test; the report states the range."""
    levels = {"a": (300, 900), "b": (300, 2900), "c": (2000, 2900), "d": (300, 900)}
    for name, (low, high) in levels.items():
        pixels = random((bands, 30, 30), low, high, dtype)
        pixels[:, 0] = 65535 if dtype == "uint16" else -3e38
        tiff(tmp_path / f"{name}.tif", pixels, nodata=float(pixels[0, 0, 0]))
    rows = [f"{name}.tif,a view of {name} from above,{'test' if name == 'd' else 'train'}" for name in levels]
    lines(tmp_path / "pairs.csv", ["filename,title,split", *rows])
    every = load_dataset(tmp_path, "all")
    means = {item.name[0]: np.asarray(every.image(i))[1:].mean() for i, item in enumerate(every)}
    assert means["a"] < 70 and means["c"] > 180 and abs(means["a"] - means["d"]) < 5
    assert len({item.view for item in every}) == 1
    found = report(tmp_path, progress=False)
    ((kind, low, high),) = found.images["view"]["ranges"]
    assert kind == dtype
    assert 290 < low < 400 and 2700 < high < 2950 and f"{low:g} becomes black" in found.text()
    again = load_dataset(tmp_path, "test")
    assert again[0].view == every[0].view and again.fingerprint() != load_dataset(tmp_path, "trainval").fingerprint()


def test_deep_images_inside_parquet_have_one_range_too(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    for part, levels in (("train", ((300, 900), (2000, 2900), (300, 2900))), ("test", ((300, 900), (2000, 2900)))):
        rows = []
        for n, (low, high) in enumerate(levels):
            raw = tiff(tmp_path / "scratch" / "a.tif", random((3, 20, 20), low, high, np.uint16)).read_bytes()
            rows.append({"image": {"bytes": raw, "path": f"{part}{n}.tif"}, "text": f"{part} {n} from above"})
        (tmp_path / "set").mkdir(exist_ok=True)
        pd.DataFrame(rows).to_parquet(tmp_path / "set" / f"{part}.parquet")
    test = load_dataset(tmp_path / "set", "test")
    dark, bright = (np.asarray(test.image(i)).mean() for i in range(2))
    assert dark < 70 and bright > 180 and test.view.ranges


def test_bands_are_chosen_by_number(tmp_path, capsys):
    for name in "abc":
        tiff(tmp_path / f"{name}.tif", random((5, 8, 8), 0, 255, np.uint8), photometric="MINISBLACK")
    rows = [f"{name}.tif,a view of {name} from above,{part}" for name, part in zip("abc", ("train", "train", "test"))]
    lines(tmp_path / "pairs.csv", ["filename,title,split", *rows])
    plain, chosen = load_dataset(tmp_path, "all"), load_dataset(tmp_path, "all", bands="4,3,2")
    pixels = random((5, 8, 8), 0, 255, np.uint8)
    assert (np.asarray(chosen.image(0)) == np.moveaxis(pixels[[3, 2, 1]], 0, -1)).all()
    assert (np.asarray(plain.image(0)) == np.moveaxis(pixels[:3], 0, -1)).all()
    assert plain.fingerprint() != chosen.fingerprint()
    assert main(["data", str(tmp_path), "--bands", "4,3,2"]) == 0 and "bands: 4, 3, 2" in capsys.readouterr().out
    assert main(["data", str(tmp_path), "--bands", "7,3,2"]) == 1 and "band 7" in capsys.readouterr().out


@pytest.mark.check
@pytest.mark.parametrize("dtype, top", [("uint8", 255), ("uint16", 4095)])
def test_a_mosaic_beyond_pillows_limit_is_read_in_steps(tmp_path, dtype, top):
    """12,000 x 12,000 pixels of three bands, every third one."""
    tile = random((3, 1, 16), 0, 200 if top == 255 else 4000, dtype)
    file = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 3, "height": 12_000, "width": 12_000, "dtype": dtype, "tiled": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(file, "w", photometric="RGB", compress="deflate", **profile) as out:
            out.write(np.tile(tile, (1, 12_000, 750)))
    image = open_rgb(file)
    assert image.size == (4000, 4000) and looks_sound(file) is None
    row = np.tile(scaled(tile, top)[0], (750, 1))
    at = [np.abs(row - pixel.astype(int)).sum(axis=-1).argmin() for pixel in np.asarray(image)[0, :64]]
    assert (np.asarray(image) == np.asarray(image)[:1]).all() and (row[at] == np.asarray(image)[0, :64]).all()


@pytest.mark.parametrize("wrong", ["", "1,2", "0,1,2", "a,b,c", "1,2,3,4", "1.5,2,3", "-1,2,3", (1, 2)])
def test_bands_that_are_none(wrong):
    with pytest.raises(RsnbError, match="such as 4,3,2"):
        bands_of(wrong)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "LA", "RGBA"])
@pytest.mark.parametrize("ending", ["tif", "png", "jpg", "bmp", "webp", "gif"])
def test_8_bits_are_what_pillow_reads(tmp_path, mode, ending):
    image = Image.fromarray(random((7, 9, 3), 0, 255, np.uint8)).convert(
        "RGB" if mode in ("LAB",) else mode if mode != "RGBA" else "RGB"
    )
    if mode == "RGBA":
        image.putalpha(Image.new("L", image.size, 255))
    try:
        image.save(tmp_path / f"a.{ending}")
    except (OSError, ValueError, KeyError):
        pytest.skip(f"Pillow writes no {mode} as {ending}")
    with Image.open(tmp_path / f"a.{ending}") as plain:
        assert (np.asarray(open_rgb(tmp_path / f"a.{ending}")) == np.asarray(plain.convert("RGB"))).all()


def test_without_the_extra_the_sentence_names_bands_bits_and_the_command(tmp_path, monkeypatch):
    file = tiff(tmp_path / "a.tif", random((8, 6, 6), 0, 4000, np.uint16))
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(RsnbError) as caught:
        open_rgb(file)
    assert all(word in str(caught.value) for word in ("8 bands of 16 bits", "rsnb[geo]", "6 x 6"))
    grey = random((1, 6, 6), 0, 4000, np.uint16)
    assert decode(tiff(tmp_path / "b.tif", grey))[1] == "I;16"


# --- strangers' files -----------------------------------------------------------------------------------------------
def test_nothing_but_the_listed_formats_is_opened(tmp_path, monkeypatch):
    """An EPS file would start Ghostscript."""
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: pytest.fail("a program was started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a program was started"))
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    for ending, kind in (("ppm", "PPM"), ("ico", "ICO"), ("tga", "TGA"), ("pcx", "PCX")):
        Image.new("RGB", (16, 16)).save(tmp_path / f"a.{ending}", kind)
        with pytest.raises(RsnbError):
            open_rgb(tmp_path / f"a.{ending}")
    with pytest.raises(RsnbError):
        open_rgb(tmp_path / "a.jpg")
    assert looks_sound(tmp_path / "a.jpg") and "EPS" not in FORMATS


@pytest.mark.parametrize("text", [
    '<VRTDataset rasterXSize="5" rasterYSize="5"><VRTRasterBand dataType="UInt16" band="1"/></VRTDataset>',
    "/vsicurl/http://127.0.0.1:9/a.tif",
])  # fmt: skip
def test_only_the_tiff_driver_reads(tmp_path, text):
    (tmp_path / "a.tif").write_text(text, encoding="utf-8")
    with pytest.raises(RsnbError):
        open_rgb(tmp_path / "a.tif")


def test_a_side_file_changes_nothing(tmp_path):
    pixels = random((4, 6, 6), 0, 4000, np.uint16)
    file = tiff(tmp_path / "a.tif", pixels)
    before = np.asarray(open_rgb(file))
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>5</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    tiff(tmp_path / "a.tif.msk", np.zeros((1, 6, 6), np.uint8))
    assert (np.asarray(open_rgb(file)) == before).all()


@pytest.mark.parametrize("size", [(60000, 1), (1, 60000), (20000, 9000)])
def test_an_image_of_gigabytes_is_refused_by_its_header(tmp_path, size):
    Image.new("L", size).save(tmp_path / "a.png")
    for look in (open_rgb, looks_sound):
        if look is open_rgb:
            with pytest.raises(RsnbError, match="pixels"):
                look(tmp_path / "a.png")
        else:
            assert "pixels" in look(tmp_path / "a.png")


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_header_is_no_traceback(tmp_path, seed):
    rng = np.random.default_rng(seed)
    pixels = random((int(rng.integers(1, 6)), 9, 9), 0, 4000, rng.choice(["uint8", "uint16", "float32"]))
    raw = bytearray(tiff(tmp_path / "a.tif", pixels, **({"BIGTIFF": "YES"} if seed % 3 == 0 else {})).read_bytes())
    for place in rng.integers(0, min(len(raw), 400), 12):
        raw[place] = rng.integers(256)
    (tmp_path / "b.tif").write_bytes(raw[: len(raw) if seed % 2 else int(rng.integers(1, len(raw)))])
    read_header(tmp_path / "b.tif")
    try:
        assert open_rgb(tmp_path / "b.tif").mode == "RGB"
    except RsnbError as error:
        assert "b.tif" in str(error)


@pytest.mark.skipif(os.name == "nt", reason="no pipes among files on Windows")
def test_a_pipe_called_like_an_image_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    lines(tmp_path / "mine_train.csv", ["filename,title", "a.png,what is inside a pipe"])
    with pytest.raises(RsnbError, match="no image"):
        load_dataset(Path(tmp_path))


def test_a_sheet_shows_what_the_model_sees(tmp_path, capsys, monkeypatch):
    made = plots.contact_sheet
    for name in "abcd":
        tiff(tmp_path / f"{name}.tif", random((4, 30, 40), 300, 2900, np.uint16))
    rows = [f"{name}.tif,a view of {name} from above,{'test' if name == 'd' else 'train'}" for name in "abcd"]
    lines(tmp_path / "pairs.csv", ["filename,title,split", *rows])
    sheet = tmp_path / "out" / "sheet.png"
    assert main(["data", str(tmp_path), "--sheet", str(sheet)]) == 0
    with Image.open(sheet) as picture:
        assert min(picture.size) > 100 and np.asarray(picture.convert("L")).std() > 10
    shown = []
    monkeypatch.setattr(
        plots, "contact_sheet", lambda images, titles, title: shown.append(titles) or made(images, titles, title)
    )
    assert main(["data", str(tmp_path), "--sheet", str(sheet), "--force"]) == 0
    assert [title.splitlines()[0] for title in shown[0]] == [f"{name}.tif" for name in "abcd"]
    before = sheet.read_bytes()
    assert main(["data", str(tmp_path), "--sheet", str(sheet)]) == 2 and "--force" in capsys.readouterr().err
    assert sheet.read_bytes() == before
    assert main(["data", str(tmp_path), "--sheet", str(sheet), "--force"]) == 0


# --- one rule for a set ---------------------------------------------------------------------------------------------
def tiles(folder, pictures, parts, **options):
    """A set of TIFF files: {name: pixels}, and the part of each."""
    for name, pixels in pictures.items():
        tiff(folder / f"{name}.tif", pixels, **options)
    rows = [f"{name}.tif,a view of {name} from above,{part}" for name, part in zip(pictures, parts.split())]
    lines(folder / "pairs.csv", ["filename,title,split", *rows])
    return load_dataset(folder, "all")


def water(fourth):
    """(30, 90, 150) with a fourth band."""
    return np.concatenate(
        [np.full((1, 5, 5), value, np.uint8) for value in (30, 90, 150)] + [fourth.astype(np.uint8)[None]]
    )


FLAT = np.ones((5, 5))
EDGE = np.where(np.eye(5), 255, 0)


@pytest.mark.parametrize(
    "fourth", [7 * FLAT, np.where(np.eye(5), 60, 3), np.arange(25).reshape(5, 5)], ids=("flat", "two", "many")
)
def test_a_fourth_band_that_is_no_mask_darkens_nothing(tmp_path, fourth):
    file = tiff(tmp_path / "a.tif", water(fourth), photometric="RGB", alpha="YES")
    assert (np.asarray(open_rgb(file)) == (30, 90, 150)).all()


def test_a_fourth_band_is_a_mask_in_a_whole_set_or_in_none(tmp_path):
    """Two tiles whose near infrared is 0 or 255 by chance lie beside one where it is not."""
    pictures = {"a": water(EDGE), "b": water(0 * FLAT), "c": water(np.arange(25).reshape(5, 5)), "d": water(EDGE)}
    bands = tiles(tmp_path / "bands", pictures, "train train train test", photometric="RGB", alpha="YES")
    assert all((np.asarray(bands.image(i)) == (30, 90, 150)).all() for i in range(4))
    assert "no mask" in report(tmp_path / "bands", progress=False).text()
    pictures = {"a": water(EDGE), "b": water(255 * FLAT), "c": water(EDGE)}
    masks = tiles(tmp_path / "masks", pictures, "train train test", photometric="RGB", alpha="YES")
    assert masks.view is None and (np.asarray(masks.image(0))[0, 1] == 0).all()
    assert (np.asarray(masks.image(0))[0, 0] == (30, 90, 150)).all()


def test_types_of_number_have_a_range_each(tmp_path):
    """Reflectance 0..1 as float beside the same as counts of 16 bits: neither becomes black."""
    pictures = {
        "a": random((3, 20, 20), 300, 2900, np.uint16), "b": random((3, 20, 20), 0.02, 0.6, np.float32),
        "c": random((3, 20, 20), 300, 2900, np.uint16), "d": random((3, 20, 20), 0.02, 0.6, np.float32),
    }  # fmt: skip
    every = tiles(tmp_path, pictures, "train train test test")
    assert [name for name, _, _ in every.view.ranges] == ["float32", "uint16"]
    assert all(90 < np.asarray(every.image(i)).mean() < 165 for i in range(4))


def test_a_range_can_be_kept_and_given(tmp_path, capsys):
    """A run says which range its images had; elsewhere the same tile is scaled by it where it is asked for."""
    pictures = {name: random((3, 20, 20), low, high, np.uint16) for name, low, high in (
        ("a", 300, 900), ("b", 2000, 2900), ("c", 300, 2900), ("d", 500, 1500), ("e", 300, 2800), ("f", 300, 900),
    )}  # fmt: skip
    whole = tiles(tmp_path / "whole", pictures, "train train train train train test")
    run = tmp_path / "run"
    assert main(["train", "--data", str(tmp_path / "whole"), "--epochs", "1", "--out", str(run)]) == 0
    ((kind, low, high),) = json.loads((run / "result.json").read_text(encoding="utf-8"))["view"]["ranges"]
    assert (kind, low, high) == whole.view.ranges[0]
    bright = {"x": random((3, 20, 20), 2000, 2900, np.uint16), "y": pictures["f"]}
    alone = tiles(tmp_path / "alone", bright, "test test")
    assert alone.view is not None and alone.view != whole.view
    evaluate = ["evaluate", "--data", str(tmp_path / "alone"), "--adapter", str(run / "adapter.safetensors")]
    scale = f"{low:g},{high:g}"
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(evaluate) == 0 and f"give --scale {scale}" in capsys.readouterr().err
        assert main([*evaluate, "--scale", scale]) == 0 and "another way" not in capsys.readouterr().err
    given = load_dataset(tmp_path / "alone", "test", scale=scale)
    assert (np.asarray(given.image(1)) == np.asarray(whole.image(5))).all()


@pytest.mark.parametrize("wrong", ["", "1", "2,1", "1,1", "a,b", "nan,1", "0,inf", "1,2,3", (1,)])
def test_scales_that_are_none(wrong):
    with pytest.raises(RsnbError, match="such as 310,2790"):
        scale_of(wrong)


def test_the_mask_of_a_png_of_16_bits_is_laid_over_black(tmp_path):
    pixels = random((9, 11, 4), 200, 60000, np.uint16)
    pixels[..., 3] = 65535
    pixels[:3, :, 3], pixels[3, :, 3] = 0, 32768
    out = np.asarray(open_rgb(png16(tmp_path / "a.png", pixels)))
    plain = scaled(np.moveaxis(pixels[..., :3], -1, 0), 65535)
    assert (out[:3] == 0).all() and (out[4:] == plain[4:]).all() and np.abs(out[3] - plain[3] / 2).max() <= 1


# --- what a header states -------------------------------------------------------------------------------------------
def stated(file, width, height, bands, rows):
    """A TIFF of some hundred bytes: 16 bits, strips of so many rows, of which none is there."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, 2 if bands == 3 else 1)]
    tags += [(273, 4, 8), (277, 3, bands), (278, 4, rows), (279, 4, 100), (339, 3, 1)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    raw = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    file.write_bytes(raw + bytes(max(0, 350 - len(raw))))
    return file


@pytest.mark.parametrize("size", [(8000, 8000, 60, 8000), (60000, 60000, 3, 60000), (60000, 60000, 3, 1)])
def test_a_header_cannot_ask_for_more_than_its_file_holds(tmp_path, size):
    before = peak()
    with pytest.raises(RsnbError, match="MB"):
        open_rgb(stated(tmp_path / "a.tif", *size))
    assert peak() - before < 100


def test_a_block_of_gigabytes_is_refused(tmp_path):
    file = stated(tmp_path / "a.tif", 20000, 20000, 3, 20000)
    with file.open("ab") as end:
        end.truncate(10_000_000)  # as if much of it were there
    with pytest.raises(RsnbError, match="in one piece"):
        open_rgb(file)


def peak() -> float:
    """The largest memory of this process so far, in MB."""
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@pytest.mark.check
@pytest.mark.parametrize("bands, dtype", [(1, "uint16"), (3, "uint16"), (8, "uint8"), (3, "float64")])
def test_memory_stays_below_what_is_stated(tmp_path, bands, dtype):
    """24 bytes for each number that is read, and three blocks; in a process of its own, for the peak stays."""
    pixels = np.random.default_rng(0).integers(0, 250, (bands, 3000, 3000)).astype(dtype)
    file = tiff(tmp_path / "a.tif", pixels, tiled=True)
    code = (
        "import resource, rasterio, torch; from pathlib import Path; from rsnb.data.images import open_rgb\n"
        f"open_rgb(Path({str(tiff(tmp_path / 'b.tif', pixels[:, :64, :64]))!r}))\n"
        "a = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"open_rgb(Path({str(file)!r}))\nprint((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - a) * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    numbers = min(bands, 3) * 3000 * 3000
    assert int(done.stdout) < 24 * numbers + 64e6 + 3 * 256 * 256 * bands * np.dtype(dtype).itemsize, (
        int(done.stdout) / numbers
    )


def test_a_pipe_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes on this system")
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(RsnbError, match="no ordinary file"):
        open_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "command", ["benchmark --methods zero_shot,mrs --seeds 1", "ablate --vary train.lr=1e-3,1e-4 --seeds 1"]
)
def test_studies_read_the_same_bands(tmp_path, command, capsys):
    pictures = {name: random((5, 8 + n, 8), 0, 255, np.uint8) for n, name in enumerate("abcdefgh")}
    tiles(tmp_path / "set", pictures, "train train train train train train test test", photometric="MINISBLACK")
    given = [*command.split(), "--data", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--dry-run"]
    assert main([*given, "--bands", "4,3,2"]) == 0
    assert main([*given, "--bands", "4,3"]) == 2 and "such as 4,3,2" in capsys.readouterr().err
    plain, chosen = (Lab(str(tmp_path / "set"), folder=tmp_path / "lab", **more) for more in ({}, {"bands": "4,3,2"}))
    assert plain.fingerprints != chosen.fingerprints and chosen.parts["test"].view.bands == (4, 3, 2)
