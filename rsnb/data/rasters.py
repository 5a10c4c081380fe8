"""Images whose numbers are no picture yet: more than 8 bits, other bands than RGB, places without data."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsnb.data.headers import Header
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

LONGEST = 4096  # pixels of a side that are read; of a longer one, every n-th
NOTHING = 1e30  # beyond this a number stands for "no data", whatever the header says
BLOCK = 256e6  # bytes that may be stored in one piece, which has to be read as one
EMPTY = 20_000  # times its size that a file may state to hold: what compresses better has no picture in it
AT_ONCE = 2**20  # pixels that are converted together
INSTALL = "pip install 'rsnb[geo]'"


@dataclass(frozen=True)
class View:
    """How numbers become a picture, alike for all images of a set.

    Fields:
        bands: those that are red, green and blue (or one for grey), counted from 1; None: the first three, or the first
        ranges: (type of number or "any", what becomes black, what becomes white); an image of a type that has none is
            scaled for itself, see :func:`to_bytes`
        mask: whether a fourth band of 8 bits that is called alpha is a mask; else it is a band, and left out
    """

    bands: tuple[int, ...] | None = None
    ranges: tuple[tuple[str, float, float], ...] = ()
    mask: bool = True

    def range_of(self, header: Header) -> tuple[float, float] | None:
        """What becomes black and white in an image with this header."""
        found = {name: (low, high) for name, low, high in self.ranges}
        return found.get(header.type, found.get("any"))


def bands_of(text: str | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """ "4,3,2" as (4, 3, 2).

    Raises:
        RsnbError: it is not one or three whole numbers from 1 to 1000.
    """
    if text is None:
        return None
    parts = text.split(",") if isinstance(text, str) else list(text)
    words = [str(part).strip() for part in parts]
    if len(words) not in (1, 3) or not all(word.isdecimal() and 1 <= int(word) <= 1000 for word in words):
        raise RsnbError(f"bands are {text!r}; give one or three band numbers, counted from 1, such as 4,3,2")
    return tuple(map(int, words))


def scale_of(text: str | tuple[float, float] | None) -> tuple[float, float] | None:
    """ "310,2790" as (310.0, 2790.0): what becomes black and what white.

    Raises:
        RsnbError: it is not two finite numbers, the second one larger.
    """
    if text is None:
        return None
    parts = text.split(",") if isinstance(text, str) else list(text)
    try:
        low, high = map(float, parts)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise RsnbError(f"scale is {text!r}; give two numbers, what becomes black and what white, such as 310,2790")
    return low, high


def read_numbers(source: Path | bytes, header: Header, bands: tuple[int, ...] | None, label: str) -> np.ndarray:
    """The numbers of the chosen bands, (1 or 3, H, W) float32, nan where there is no data.

    A side of more than LONGEST pixels is read in steps. Memory: at most 24 bytes for each number that is read, and one
    block of the file, which has at most BLOCK bytes, three times.

    Raises:
        RsnbError: there are fewer bands, the numbers are complex, what reads them is not installed, or the header
            states more than the file can hold.
    """
    chosen = bands or ((1, 2, 3) if header.bands >= 3 else (1,))
    if max(chosen) > header.bands:
        raise RsnbError(f"{label} has {header}, but band {max(chosen)} was asked for")
    if header.kind == "complex":
        raise RsnbError(f"{label} has {header}; give its amplitude as an image of its own")
    _refuse_by_header(source, header, label)
    if header.format == "PNG":
        return _png(source, header, chosen, label)
    raw = None
    if header.bands == 1 and header.type in ("uint16", "float32", "uint8"):
        raw = _pillow(source, header)
    if raw is None:
        raw = _rasterio(source, header, chosen, label)
    pixels = _with_gaps(raw, header.nodata)
    if header.nodata is None:
        for end in ("min", "max"):
            extreme = _far_from_all(pixels, end)
            if not math.isnan(extreme):
                pixels[pixels == extreme] = math.nan
    return pixels


def _refuse_by_header(source: Path | bytes, header: Header, label: str) -> None:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    stated = header.width * header.height * header.bands * header.bits / 8
    if stated > 64e6 and stated > EMPTY * size:
        raise RsnbError(f"{label} has {size:,} bytes and states {stated / 1e6:,.0f} MB of numbers; get the file again")
    if header.block * header.bits / 8 > BLOCK:
        raise RsnbError(
            f"{label} stores {header.block * header.bits / 8e6:,.0f} MB in one piece; write it in tiles "
            "(gdal_translate -co TILED=YES)"
        )


def _with_gaps(raw: np.ndarray, nodata: float | None) -> np.ndarray:
    """Numbers as float32, nan where there is no data."""
    import numpy as np

    pixels = np.empty(raw.shape, dtype=np.float32)
    for rows in _rows(raw):
        with np.errstate(over="ignore"):
            part = raw[:, rows].astype(np.float32)
        empty = ~np.isfinite(part) | (np.abs(part) > NOTHING)
        if nodata is not None and math.isfinite(nodata):
            empty |= part == np.float32(nodata)
        part[empty] = np.nan
        pixels[:, rows] = part
    return pixels


def _rows(pixels: np.ndarray) -> Iterator[slice]:
    """Slices of the rows of (bands, H, W), of about AT_ONCE pixels each."""
    _, height, width = pixels.shape
    step = max(1, AT_ONCE // max(width, 1))
    return (slice(start, start + step) for start in range(0, height, step))


def _far_from_all(pixels: np.ndarray, end: str) -> float:
    """The least ("min") or largest ("max") number, where it stands for "no data" though no header says so: it comes
    more than once, and lies farther from the others, of which there are at least 16, than these lie from each other.
    Else nan."""
    import numpy as np

    extreme = float({"min": np.fmin, "max": np.fmax}[end].reduce(pixels, axis=None))
    if math.isnan(extreme):
        return math.nan
    step = max(1, math.ceil((pixels[0].size / AT_ONCE) ** 0.5))
    some = pixels[:, ::step, ::step]
    others = np.unique(some[~np.isnan(some) & (some != extreme)])
    if len(others) < 16 or np.count_nonzero(pixels == extreme) < 2:
        return math.nan
    return extreme if np.abs(others - extreme).min() > others[-1] - others[0] else math.nan


def _png(source: Path | bytes, header: Header, bands: tuple[int, ...], label: str) -> np.ndarray:
    """The numbers of a PNG of 16 bits, of which Pillow would keep the upper byte; its mask is laid over black."""
    import numpy as np
    import torch
    from torchvision.io import ImageReadMode, decode_png

    if header.width * header.height > 4 * LONGEST**2:
        raise RsnbError(f"{label} is {header.width} x {header.height} pixels, too large for a PNG; cut it into pieces")
    raw = source if isinstance(source, bytes) else source.read_bytes()
    try:
        whole = decode_png(torch.frombuffer(bytearray(raw), dtype=torch.uint8), ImageReadMode.UNCHANGED).numpy()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RsnbError(f"{label} cannot be decoded ({reason}); get the file again") from None
    step = _step(header)
    whole = whole[:, ::step, ::step]
    pixels = _with_gaps(whole[[band - 1 for band in bands]], None)
    if header.bands in (2, 4):
        pixels *= whole[-1] / np.float32(2**header.bits - 1)
        pixels[:, whole[-1] == 0] = np.nan
    return pixels


def _step(header: Header) -> int:
    return max(1, math.ceil(max(header.width, header.height) / LONGEST))


def _pillow(source: Path | bytes, header: Header) -> np.ndarray | None:
    """(1, H, W) of one band, where Pillow reads its numbers as they are and at a size that fits; else None."""
    import numpy as np
    from PIL import Image

    if _step(header) > 1:
        return None
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("TIFF",)) as image:
            if image.mode not in ("L", "I;16", "I;16B", "F"):
                return None
            image.load()
            return np.asarray(image)[None]
    except Exception:  # a compression that Pillow lacks, or a broken file: rasterio says which
        return None


def is_mask(image: Image) -> bool:
    """Whether the fourth band of a Pillow image has no value but 0 and 255."""
    return {value for _, value in image.getchannel(3).getcolors(256)} <= {0, 255}


def has_rasterio() -> bool:
    """Whether the extra `geo` is installed."""
    try:
        import rasterio
    except ImportError:
        return False
    return bool(rasterio)


def _rasterio(source: Path | bytes, header: Header, bands: tuple[int, ...], label: str) -> np.ndarray:
    """(bands, H, W) through GDAL's GeoTIFF driver alone: no other format, no files beside it, no network."""
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning
        from rasterio.io import MemoryFile
    except ImportError:
        size = f", {header.width} x {header.height} pixels"
        raise RsnbError(
            f"{label} has {header}{size}, which is read with rasterio: {INSTALL} (or convert it to RGB of 8 bits)"
        ) from None
    import warnings

    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # in all threads: a picture needs no place
    step = _step(header)
    shape = (len(bands), max(1, header.height // step), max(1, header.width // step))
    closed = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "CPL_DEBUG": "OFF"}
    closed["GDAL_CACHEMAX"] = 64  # MB
    try:
        with rasterio.Env(**closed):
            if isinstance(source, bytes):
                with MemoryFile(source) as memory, memory.open(driver="GTiff", sharing=False) as file:
                    return file.read(list(bands), out_shape=shape)
            with rasterio.open(source.absolute(), driver="GTiff", sharing=False) as file:
                return file.read(list(bands), out_shape=shape)
    except Exception as error:  # rasterio's and GDAL's errors are many
        reason = " ".join(str(error).split())[:120]
        raise RsnbError(f"{label} ({header}) cannot be decoded ({reason}); get the file again") from None


def to_bytes(pixels: np.ndarray, header: Header, view: View | None) -> np.ndarray:
    """Numbers (bands, H, W) as uint8 (H, W) or (H, W, 3); places without data are black.

    Of 8 bits as they are. With a range of the view, by that. Without one, an image for itself: integers from 0 to the
    smallest of 8, 10, 11, 12, 14, 16 bits (or the maximum itself) that holds the largest number, for sensors rarely use
    all 16; floats as they are if they fit into 0..1, or else into 0..255, else from the least to the largest number.
    """
    import numpy as np

    known = view.range_of(header) if view else None
    if header.type == "uint8" or (header.bits < 8 and header.kind == "uint"):
        low, high = 0.0, 255.0
    else:
        low, high = known or _own_range(pixels, header)
    whole = np.empty((*pixels.shape[1:], len(pixels)), dtype=np.uint8)
    for rows in _rows(pixels):
        part = np.nan_to_num(np.moveaxis(pixels[:, rows], 0, -1), nan=low).astype(np.float64)
        whole[rows] = ((part - low) / max(high - low, 1e-12) * 255).round().clip(0, 255)
    return whole[..., 0] if len(pixels) == 1 else whole


def _own_range(pixels: np.ndarray, header: Header) -> tuple[float, float]:
    import numpy as np

    least, top = (float(end.reduce(pixels, axis=None)) for end in (np.fmin, np.fmax))
    if math.isnan(top):
        return 0.0, 1.0
    if header.kind == "float":
        return (0.0, 1.0) if top <= 1 else (0.0, 255.0) if top <= 255 else (max(least, 0.0), top)
    return 0.0, next((2.0**b - 1 for b in (8, 10, 11, 12, 14, 16) if top < 2**b), top)
