"""Image files opened as RGB, whatever their mode."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rsnb.data.headers import Header, read_header
from rsnb.data.rasters import View, has_rasterio, is_mask, read_numbers, to_bytes
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    from PIL.Image import Image

#: What Pillow may open; nothing else is tried (an EPS file would be run by Ghostscript).
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000")
LONGEST = 89_000_000  # pixels that are decoded whole; Pillow warns a little above
NARROW = 64  # times as long as wide: resizing the short side would make a picture of gigabytes


def open_rgb(source: Path | bytes, name: str = "", view: View | None = None) -> Image:
    """Decode an image file (or its bytes) to a PIL image of mode RGB; see `to_rgb`, and for numbers beyond 8 bits and
    bands beyond three :mod:`rsnb.data.rasters`.

    Memory: of 8 bits and up to four bands about 12 bytes a pixel; else see :func:`rsnb.data.rasters.read_numbers`.

    Raises:
        RsnbError: it cannot be decoded; the message has the name and the reason.
    """
    image, _ = decode(source, name, view)
    return image


def decode(source: Path | bytes, name: str = "", view: View | None = None) -> tuple[Image, str]:
    """Like `open_rgb`; also returns what the file had: Pillow's mode ("L", "RGBA", "I;16", ...), or bands and bits."""
    from PIL import Image, UnidentifiedImageError

    label, bands = name or (str(source) if isinstance(source, Path) else "an image"), view and view.bands
    if isinstance(source, Path) and source.exists() and not source.is_file():  # a pipe would be waited for
        raise RsnbError(f"{label} cannot be read (it is no ordinary file); take it out of the set")
    try:
        header = read_header(source)
    except OSError as error:
        raise RsnbError(f"{label} cannot be read ({error.strerror}); get the file again") from None
    is_tiff = header is not None and header.format == "TIFF"
    try:
        large = is_tiff and header.width * header.height > LONGEST  # a mosaic: read in steps
        if header and (header.is_deep or large or (bands and is_tiff)):
            return _from_numbers(source, header, view, label)
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            _refuse(*image.size, label)
            image.load()
            if is_tiff and header.may_have_mask and not (is_mask(image) and (view is None or view.mask)):
                # a fourth band, such as near infrared, that GDAL calls alpha
                if 1 in header.extra:  # Pillow has divided the others by it
                    return _from_numbers(source, header, view, label)
                return Image.merge("RGB", image.split()[:3]), str(header)
            return _with_bands(to_rgb(image), bands, label), image.mode
    except RsnbError:
        raise
    except UnidentifiedImageError:
        if is_tiff:  # bands apart, a compression that Pillow lacks
            return _from_numbers(source, header, view, label)
        raise RsnbError(f"{label} cannot be decoded ({_what_else(source)}); get the file again") from None
    except Exception as error:  # Pillow's decoders raise many types for broken files
        if is_tiff and has_rasterio():
            return _from_numbers(source, header, view, label)
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise RsnbError(f"{label} cannot be decoded ({reason}); get the file again") from None


def _from_numbers(source: Path | bytes, header: Header, view: View | None, label: str) -> tuple[Image, str]:
    from PIL import Image

    _refuse(header.width, header.height, label, whole=False)
    pixels = to_bytes(read_numbers(source, header, view and view.bands, label), header, view)
    return Image.fromarray(pixels).convert("RGB"), _mode(header)


def _with_bands(image: Image, bands: tuple[int, ...] | None, label: str) -> Image:
    """RGB with other bands of its three; itself where none are asked for."""
    from PIL import Image

    if not bands:
        return image
    if max(bands) > 3:
        raise RsnbError(f"{label} has 3 bands, but band {max(bands)} was asked for")
    parts = image.split()
    return Image.merge("RGB", [parts[band - 1] for band in (bands if len(bands) == 3 else bands * 3)])


def _refuse(width: int, height: int, label: str, whole: bool = True) -> None:
    """Refuse, before anything is decoded, what would take gigabytes."""
    short, long = sorted((width, height))
    if not short or long > NARROW * short:
        raise RsnbError(
            f"{label} is {width} x {height} pixels, more than {NARROW} times as long as wide; cut a part out"
        )
    if whole and width * height > LONGEST:
        raise RsnbError(
            f"{label} is {width} x {height} pixels; {LONGEST // 10**6} million are decoded at most. Cut it into tiles"
        )


def _mode(header: Header) -> str:
    if header.bands == 1 and header.kind == "uint" and header.bits == 16:
        return "I;16"
    return "F" if header.bands == 1 and header.kind == "float" and header.bits == 32 else str(header)


#: how files begin that stand in the place of an image: what they are
STAND_INS = {
    b"version https://git-lfs": "a pointer of git-lfs, not an image: git lfs pull",
    b"/annex/objects": "a pointer of git-annex, not an image: git annex get",
    b"<!doctype": "a web page, not an image",
    b"<html": "a web page, not an image",
}


def _what_else(source: Path | bytes) -> str:
    if isinstance(source, Path):
        with source.open("rb") as file:
            source = file.read(64)
    start = source[:64].lstrip().lower()
    return next(
        (said for sign, said in STAND_INS.items() if start.startswith(sign)), "not an image, or an unknown format"
    )


def looks_sound(source: Path | bytes) -> str | None:
    """None if the file begins like an image; otherwise what is wrong. Reads the header only."""
    from PIL import Image

    try:
        if isinstance(source, Path) and source.stat().st_size == 0:
            return "empty file"
        header = read_header(source)
        if header is not None and (header.is_deep or header.format == "TIFF"):
            return None  # what Pillow cannot open may be read as numbers
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            _refuse(*image.size, "it")
        return None
    except RsnbError as error:
        return str(error).removeprefix("it is ").split(";")[0]
    except Image.DecompressionBombError:
        return f"more than {LONGEST // 10**6} million pixels"
    except Exception as error:
        return _what_else(source) if "cannot identify" in str(error) else type(error).__name__


def to_rgb(image: Image) -> Image:
    """Any PIL mode of 8 bits to RGB (H and W stay); deeper ones as :func:`rsnb.data.rasters.to_bytes` says.

    - grey, palette, CMYK, YCbCr, LAB, 1 bit: Pillow's own conversion;
    - transparency (RGBA, LA, palette): laid over black, as aerial products show places without data.

    An orientation tag (EXIF) is left alone, and of several frames the first is taken.
    """
    from PIL import Image

    if image.mode == "RGB":
        return image if "transparency" not in image.info else _over_black(image)
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_scaled(image)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_black(image)
    return image.convert("RGB")


def _scaled(image: Image):
    import numpy as np

    kind = "float" if image.mode == "F" else "uint"
    pixels = np.asarray(image).astype(np.float64).clip(min=0)[None]
    pixels[~np.isfinite(pixels)] = np.nan
    return to_bytes(pixels, Header(*image.size, 1, 32, kind), None)


def _over_black(image: Image) -> Image:
    from PIL import Image

    if image.mode == "La":  # premultiplied grey: the only mode without a direct way to RGBA
        image = image.convert("LA")
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(ground, image).convert("RGB")
