"""Image files as sensors, other programs and attackers write them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import make
from .box import Box, Case, Seen, fine, gives, orderly, refused
from .captions import REPORT

SCALED = "values of more than 8 bits are scaled, none is cut off"
BANDS, MASKS = "a fourth band is no mask", "a mask is laid over black"
NODATA = "places without data do not decide the scale"
ODD = "a sound image that cannot be read is named as what it is"
FORMATS = "one list of image formats, and nothing is started"
MEMORY = "memory is bounded by what the header says"
DAMAGED, MODES = "a damaged image is named", "8-bit images are as Pillow reads them"
CACHE = "a wrong byte in the cache is found"


def set_of(write: Callable[[Path, Any, int], None], ending: str = "tif", size: int = 32) -> Callable[[Box], None]:
    """A set whose images are written by ``write(path, rng, n)``; rng is numpy's."""

    def build(box: Box) -> None:
        import numpy as np

        rows, rng = make.plain_rows(8, 4, ending=ending), np.random.default_rng(box.seed)
        make.karpathy(box.data, rows)
        (box.data / "images").mkdir()
        for n, row in enumerate(rows):
            write(box.data / "images" / row.name, rng, n)

    return build


def pixels_of(box: Box) -> Seen:
    """Of each image as it is read: the 2nd and 98th of 100 values of its lower half, and its first pixels."""

    def look() -> dict[str, Any]:
        import numpy as np

        import rsnb

        dataset, found = rsnb.load_dataset(str(box.data), "all"), {}
        for i, item in enumerate(dataset):
            image = np.asarray(dataset.image(i)).astype(int)
            lower = image[len(image) // 2 :]
            found[item.name] = {
                "low": int(np.percentile(lower, 2)), "high": int(np.percentile(lower, 98)),
                "first": image[:3, :3].tolist(),
            }  # fmt: skip
        return found

    return box.call(look)


def spread(box: Box, seen: Seen) -> None:
    """Read over the whole range, or refused with the bits and what would read them."""
    if seen.code == 2:
        return refused("bit|band", never=("get the file again",))(box, seen)
    assert seen.code == 0, f"it ended with {seen.code}"
    dull = {name: (v["low"], v["high"]) for name, v in seen.value.items() if v["high"] - v["low"] < 120}
    assert not dull, f"the 2nd and 98th of 100 values are {dict(list(dull.items())[:2])}"


def values(bands: int, low: int, high: int, kind: str, odd: int | float | None = None, share: float = 0.2):
    """Random values (H, W, bands); a share of the rows holds ``odd``."""

    def draw(rng: Any, size: int = 32) -> Any:
        pixels = rng.integers(low, high, (size, size, bands)).astype(kind)
        if odd is not None:
            pixels[: int(size * share)] = odd
        return pixels

    return draw


def as_tiff(draw: Callable, **tags: Any) -> Callable[[Box], None]:
    return set_of(lambda path, rng, n: make.tiff(path, draw(rng), **tags))


RGB16, RGBN16, GREY16 = (values(bands, 200, 2800, "<u2") for bands in (3, 4, 1))
scaled = [
    Case(SCALED, "TIFF, RGB, 3 x 16 bits", as_tiff(RGB16), pixels_of, spread),
    Case(SCALED, "TIFF, RGB and infrared, 4 x 16 bits", as_tiff(RGBN16, extra=0), pixels_of, spread),
    Case(SCALED, "TIFF, 4 x 16 bits, called alpha", as_tiff(RGBN16, extra=2), pixels_of, spread),
    Case(SCALED, "TIFF, grey, 16 bits", as_tiff(GREY16, photometric=1), pixels_of, spread),
    Case(
        SCALED,
        "TIFF, 3 bands of 16 bits that are not called colours",
        as_tiff(RGB16, photometric=1, extra=0),
        pixels_of,
        spread,
    ),
    Case(SCALED, "TIFF, float, 0 to 3,000", as_tiff(values(1, 200, 2800, "<f4"), photometric=1), pixels_of, spread),
    Case(SCALED, "PNG, RGB, 3 x 16 bits", set_of(lambda p, rng, n: make.png(p, RGB16(rng)), "png"), pixels_of, spread),
    Case(
        SCALED,
        "PNG, RGBA, 4 x 16 bits",
        set_of(lambda p, rng, n: make.png(p, rgba16(rng), kind=6), "png"),
        pixels_of,
        spread,
    ),
    Case(
        SCALED,
        "PNG, grey, 16 bits",
        set_of(lambda p, rng, n: make.png(p, GREY16(rng), kind=0), "png"),
        pixels_of,
        spread,
    ),
    Case(
        NODATA,
        "uint16, rows of 65,535",
        as_tiff(values(1, 300, 3000, "<u2", 65535, 0.05), photometric=1),
        pixels_of,
        spread,
    ),
    Case(
        NODATA,
        "uint16, rows of 65,535, GDAL's tag",
        as_tiff(values(1, 300, 3000, "<u2", 65535), photometric=1, nodata="65535"),
        pixels_of,
        spread,
    ),
    Case(
        NODATA,
        "float, -3.4e38, GDAL's tag",
        as_tiff(values(1, 300, 3000, "<f4", -3.4e38), photometric=1, nodata="-3.4e+38"),
        pixels_of,
        spread,
    ),
    Case(
        NODATA,
        "float, 3.4e38, GDAL's tag",
        as_tiff(values(1, 300, 3000, "<f4", 3.4e38), photometric=1, nodata="3.4e+38"),
        pixels_of,
        spread,
    ),
    Case(
        NODATA,
        "float, rows of nan",
        as_tiff(values(1, 300, 3000, "<f4", float("nan")), photometric=1),
        pixels_of,
        spread,
    ),
]


def rgba16(rng: Any) -> Any:
    pixels = RGBN16(rng)
    pixels[..., 3] = 65535
    return pixels


def water(infrared: bool) -> Callable[[Any, int], Any]:
    """(30, 90, 150) everywhere; the fourth band has many values, or two."""

    def draw(rng: Any, size: int = 32) -> Any:
        import numpy as np

        pixels = np.zeros((size, size, 4), "u1")
        pixels[..., :3] = (30, 90, 150)
        pixels[..., 3] = rng.integers(3, 60, (size, size)) if infrared else 255
        if not infrared:
            pixels[size // 2 :, :, 3] = 0
        return pixels

    return draw


def blue(box: Box, seen: Seen) -> None:
    """The three colours as they were, or refused with its bands."""
    if seen.code == 2:
        return refused("band", never=("get the file again",))(box, seen)
    assert seen.code == 0, f"it ended with {seen.code}"
    first = {name: v["first"][0][0] for name, v in seen.value.items()}
    assert all(abs(a - b) <= 1 for colour in first.values() for a, b in zip(colour, (30, 90, 150))), first


def half_black(box: Box, seen: Seen) -> None:
    blue(box, seen)
    assert all(v["low"] == 0 for v in seen.value.values()), "what the mask hides is not black"


bands = [
    *(Case(BANDS, f"4 x 8 bits, ExtraSamples {x}", as_tiff(water(True), extra=x), pixels_of, blue) for x in (0, 1, 2)),
    Case(MASKS, "4 x 8 bits, ExtraSamples 2, two values", as_tiff(water(False), extra=2), pixels_of, half_black),
    Case(
        MASKS,
        "PNG, RGBA, two values",
        set_of(lambda path, rng, n: pil(water(False)(rng), "RGBA").save(path), "png"),
        pixels_of,
        half_black,
    ),
]


def pil(pixels: Any, mode: str) -> Any:
    from PIL import Image

    return Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes())


# --- sound, but not for Pillow ----------------------------------------------------------------------------------
def one_odd(write: Callable[[Box, Path], None], name: str = "tile_03.tif") -> Callable[[Box], None]:
    """An ordinary set in which one image is another."""

    def build(box: Box) -> None:
        make.small_set(box)
        listing = box.data / "dataset_own.json"
        listing.write_text(listing.read_text(encoding="utf-8").replace("tile_03.png", name), encoding="utf-8")
        (box.data / "images" / "tile_03.png").unlink()
        write(box, box.data / "images" / name)

    return build


def random_tiff(box: Box, path: Path, bands: int = 8, kind: str = "u1", **tags: Any) -> None:
    import numpy as np

    make.tiff(path, values(bands, 0, 250, kind)(np.random.default_rng(box.seed)), **tags)


READ_OR_NAMED = refused("tile_03", "band|bit|pixel", never=("get the file again",))


def read_or_named(box: Box, seen: Seen) -> None:
    if seen.code:
        READ_OR_NAMED(box, seen)


ODDITIES = {
    "8 bands": partial(random_tiff, photometric=1, extra=0),
    "5 bands, RGB": partial(random_tiff, bands=5, extra=0),
    "2 bands": partial(random_tiff, bands=2, photometric=1, extra=0),
    "3 x 16 bits, BlackIsZero": partial(random_tiff, bands=3, kind="<u2", photometric=1, extra=0),
    "float, 3 bands": partial(random_tiff, bands=3, kind="<f4"),
    "float of 64 bits": partial(random_tiff, bands=1, kind="<f8", photometric=1),
    "32 bits, signed or not": partial(random_tiff, bands=1, kind="<u4", photometric=1),
}
LARGE = {
    "PNG, 60,000 x 60,000 in its header": lambda box, path: make.png(path, size=(60_000, 60_000), bits=8),
    "TIFF, 60,000 x 60,000 in its header": partial(random_tiff, bands=3, size=(60_000, 60_000)),
    "PNG, 2 billion x 2 billion": lambda box, path: make.png(path, size=(2**31 - 1, 2**31 - 1), bits=8),
    "JPEG, 60,000 x 1": lambda box, path: strip(path, (60_000, 1), "JPEG"),
    "JPEG, 1 x 60,000": lambda box, path: strip(path, (1, 60_000), "JPEG"),
    "PNG, 100,000 x 2": lambda box, path: strip(path, (100_000, 2), "PNG"),
}


def strip(path: Path, size: tuple[int, int], form: str) -> None:
    from PIL import Image

    Image.new("RGB", size, (9, 90, 190)).save(path, form)


def other_bytes(raw: bytes) -> Callable[[Box, Path], None]:
    return lambda box, path: path.write_bytes(raw)


def saved_as(form: str) -> Callable[[Box, Path], None]:
    def write(box: Box, path: Path) -> None:
        from PIL import Image

        file = io.BytesIO()
        Image.new("RGB", (64, 64), (9, 90, 190)).save(file, form)
        path.write_bytes(file.getvalue())

    return write


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(touched) (w) file closefile\nshowpage\n%%EOF\n"
)
HTML = b"<!DOCTYPE html><html><body>Sign in to download</body></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 123456\n"
STRANGERS = {
    "an EPS": other_bytes(EPS),
    "a PDF": saved_as("PDF"),
    "an ICO": saved_as("ICO"),
    "a PCX": saved_as("PCX"),
    "a page of HTML": other_bytes(HTML),
    "a git-lfs pointer": other_bytes(LFS),
    "an empty file": other_bytes(b""),
}
BY_IMAGE = ("search", "--image", "{data}/images/tile_03.jpg", "--limit", "24")
FED = ("evaluate", "--data", "{data}", "--split", "all")
odd = [
    *(Case(ODD, name, one_odd(write), REPORT, read_or_named) for name, write in ODDITIES.items()),
    *(
        Case(
            MEMORY,
            f"{name}, rsnb {run[0]}",
            one_odd(write, "tile_03.jpg"),
            run,
            orderly,
            megabytes=1000,
            slow=run is not REPORT,
        )
        for name, write in LARGE.items()
        for run in (REPORT, BY_IMAGE, FED)
    ),
    *(
        Case(FORMATS, f"{name} called .jpg", one_odd(write, "tile_03.jpg"), REPORT, refused("tile_03"))
        for name, write in STRANGERS.items()
    ),
    *(
        Case(
            FORMATS,
            f"{name} called .jpg, rsnb search --image",
            one_odd(write, "tile_03.jpg"),
            BY_IMAGE,
            refused(r"tile_03"),
            slow=True,
        )
        for name, write in list(STRANGERS.items())[:2]
    ),
]

# --- damage -----------------------------------------------------------------------------------------------------
ENDINGS = ("jpg", "png", "tif", "gif", "bmp", "webp")


def one_damaged(ending: str, damage: Callable[[Box, Path], None]) -> Callable[[Box], None]:
    """Noise pictures of a format, one of them damaged."""

    def build(box: Box) -> None:
        from PIL import Image

        rows = make.plain_rows(8, 3, ending=ending)
        make.karpathy(box.data, rows)
        (box.data / "images").mkdir()
        for row in rows:
            image = Image.frombytes("RGB", (48, 48), box.rng.randbytes(48 * 48 * 3))
            image.save(box.data / "images" / row.name)
        damage(box, box.data / "images" / f"tile_03.{ending}")

    return build


damage = [
    *(
        Case(DAMAGED, f"{e}: cut off, {n}", one_damaged(e, make.cut), REPORT, refused("tile_03"))
        for e in ENDINGS
        for n in range(2)
    ),
    *(
        Case(DAMAGED, f"{e}: other bits, {n}", one_damaged(e, make.flip), REPORT, orderly)
        for e in ENDINGS
        for n in range(2)
    ),
    Case(
        DAMAGED,
        "jpg: cut off, skip_bad",
        one_damaged("jpg", make.cut),
        ("data", "{data}", "--skip-bad"),
        fine("tile_03"),
    ),
]


# --- 8 bits stay as they are ------------------------------------------------------------------------------------
def of_mode(mode: str, ending: str) -> Callable[[Box], None]:
    def write(path: Path, rng: Any, n: int) -> None:
        from PIL import Image

        image = Image.frombytes("RGB", (32, 32), rng.integers(0, 256, (32, 32, 3)).astype("u1").tobytes())
        if mode == "RGBA":
            image.putalpha(Image.frombytes("L", (32, 32), rng.integers(0, 256, (32, 32)).astype("u1").tobytes()))
        image.convert(mode).save(path)

    return set_of(write, ending)


def as_pillow_reads(box: Box) -> dict[str, Any]:
    """Written out: transparency over black, all else by Pillow's own conversion."""
    import numpy as np
    from PIL import Image

    found = {}
    for path in sorted((box.data / "images").iterdir()):
        image = Image.open(path)
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
        found[path.name] = np.asarray(image.convert("RGB"))[:3, :3].tolist()
    return found


def firsts(box: Box) -> Seen:
    def look() -> dict[str, Any]:
        import numpy as np

        import rsnb

        dataset = rsnb.load_dataset(str(box.data), "all")
        return {item.name: np.asarray(dataset.image(i))[:3, :3].tolist() for i, item in enumerate(dataset)}

    return box.call(look)


KINDS = (("RGB", "png"), ("RGB", "jpg"), ("RGB", "tif"), ("RGB", "webp"), ("L", "png"), ("P", "png"), ("RGBA", "png"),
         ("CMYK", "jpg"), ("CMYK", "tif"), ("1", "png"), ("L", "tif"))  # fmt: skip
modes = [Case(MODES, f"{mode} as {end}", of_mode(mode, end), firsts, gives(as_pillow_reads)) for mode, end in KINDS]


# --- the cache --------------------------------------------------------------------------------------------------
def pixel_digest(folder: Path) -> str:
    """Of all images as a model takes them, from the cache where they lie there; they lie there afterwards."""
    import hashlib

    import rsnb

    dataset, clip = rsnb.load_dataset(str(folder), "all"), rsnb.load_clip("mini")
    store = rsnb.data.PixelStore(dataset, clip)
    found = hashlib.sha256(store[list(range(len(dataset)))].numpy().tobytes()).hexdigest()
    store.keep()
    return found


def read_twice(change: Callable[[Box, bytearray], None]) -> Callable[[Box], Seen]:
    """Read, change the largest file of the cache, read again."""

    def run(box: Box) -> Seen:
        box.notes["first"] = box.call(pixel_digest, box.data)
        cache = [path for path in (box.folder / "cache").rglob("*") if path.is_file()]
        assert cache, "nothing lies in the cache"
        largest = max(cache, key=os.path.getsize)
        raw = bytearray(largest.read_bytes())
        change(box, raw)
        largest.write_bytes(raw)
        return box.call(pixel_digest, box.data)

    return run


def same_pixels(box: Box, seen: Seen) -> None:
    fine()(box, seen)
    assert seen.value == box.notes["first"].value, "other pixels than before"


def noise_in_the_middle(box: Box, raw: bytearray) -> None:
    at = len(raw) // 3
    raw[at : at + len(raw) // 3] = box.rng.randbytes(len(raw) // 3)


def one_bit(box: Box, raw: bytearray) -> None:
    raw[len(raw) // 2 + box.rng.randrange(1000)] ^= 1


def shorter(box: Box, raw: bytearray) -> None:
    del raw[len(raw) // 2 :]


def nothing_left(box: Box, raw: bytearray) -> None:
    raw.clear()


def noise_set(box: Box) -> None:
    one_damaged("png", lambda box, path: None)(box)


cache = [
    Case(CACHE, change.__name__.replace("_", " "), noise_set, read_twice(change), same_pixels)
    for change in (noise_in_the_middle, one_bit, shorter, nothing_left)
]

CASES = [*scaled, *bands, *odd, *damage, *modes, *cache]
