"""Images whose numbers are no picture yet: more than 8 bits, other bands than RGB, places without data."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsnb.data.headers import Header
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np

LONGEST = 8192  # pixels of a side that are read one by one; of a longer one, every n-th
NOTHING = 1e30  # beyond this a number stands for "no data", whatever the header says
INSTALL = "pip install 'rsnb[geo]'"


@dataclass(frozen=True)
class View:
    """How numbers become a picture, alike for all images of a set: the bands that are red, green and blue (or one for
    grey), counted from 1 (None: the first three, or the first), and what becomes 0 and 255 (None: each image for
    itself, see :func:`to_bytes`)."""

    bands: tuple[int, ...] | None = None
    low: float | None = None
    high: float | None = None


def bands_of(text: str | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """ "4,3,2" as (4, 3, 2).

    Raises: RsnbError if it is not one or three whole numbers from 1 to 1000.
    """
    if text is None:
        return None
    parts = text.split(",") if isinstance(text, str) else list(text)
    words = [str(part).strip() for part in parts]
    if len(words) not in (1, 3) or not all(word.isdecimal() and 1 <= int(word) <= 1000 for word in words):
        raise RsnbError(f"bands are {text!r}; give one or three band numbers, counted from 1, such as 4,3,2")
    return tuple(map(int, words))


def read_numbers(source: Path | bytes, header: Header, bands: tuple[int, ...] | None, label: str) -> np.ndarray:
    """The numbers of the chosen bands, (1 or 3, H, W) float32, nan where there is no data.

    A side of more than LONGEST pixels is read in steps, so that memory does not grow with the file.

    Raises: RsnbError if there are fewer bands, the numbers are complex, or what reads them is not installed.
    """
    import numpy as np

    chosen = bands or ((1, 2, 3) if header.bands >= 3 else (1,))
    if max(chosen) > header.bands:
        raise RsnbError(f"{label} has {header}, but band {max(chosen)} was asked for")
    if header.kind == "complex":
        raise RsnbError(f"{label} has {header}; give its amplitude as an image of its own")
    pixels = None
    if header.format == "PNG":
        pixels = _png(source, header, label)[[band - 1 for band in chosen]]
    elif header.bands == 1 and (header.bits, header.kind) in ((16, "uint"), (32, "float"), (8, "uint")):
        pixels = _pillow(source, header, label)
    if pixels is None:
        pixels = _rasterio(source, header, chosen, label)
    pixels = pixels.astype(np.float32)
    empty = ~np.isfinite(pixels) | (np.abs(pixels) > NOTHING)
    if header.nodata is not None and math.isfinite(header.nodata):
        empty |= pixels == np.float32(header.nodata)
    pixels[empty] = np.nan
    for end in (np.nanmin, np.nanmax) if header.nodata is None and not empty.all() else ():
        pixels[pixels == _far_from_all(pixels, end)] = np.nan
    return pixels


def _far_from_all(pixels: np.ndarray, end: Callable[[np.ndarray], float]) -> float:
    """The least or largest number, where it stands for "no data" though no header says so: it comes more than once, and
    lies farther from the others, of which there are at least 16, than these lie from each other. Else nan."""
    import numpy as np

    extreme = end(pixels)
    others = pixels[~np.isnan(pixels) & (pixels != extreme)]
    others = np.unique(others[:: max(1, len(others) // 10**6)])
    if len(others) < 16 or (pixels == extreme).sum() < 2:
        return math.nan
    return float(extreme) if np.abs(others - extreme).min() > others[-1] - others[0] else math.nan


def _png(source: Path | bytes, header: Header, label: str) -> np.ndarray:
    """(bands, H, W) of a PNG of 16 bits, of which Pillow would keep the upper byte."""
    import torch
    from torchvision.io import ImageReadMode, decode_png

    if header.width * header.height > LONGEST**2:
        raise RsnbError(f"{label} is {header.width} x {header.height} pixels, too large for a PNG; cut it into pieces")
    raw = source if isinstance(source, bytes) else source.read_bytes()
    try:
        return decode_png(torch.frombuffer(bytearray(raw), dtype=torch.uint8), ImageReadMode.UNCHANGED).numpy()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RsnbError(f"{label} cannot be decoded ({reason}); get the file again") from None


def _pillow(source: Path | bytes, header: Header, label: str) -> np.ndarray | None:
    """(1, H, W) of one band, where Pillow reads its numbers as they are and at a size that fits; else None."""
    import numpy as np
    from PIL import Image

    if header.width * header.height > LONGEST**2:
        return None
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("TIFF",)) as image:
            if image.mode not in ("L", "I;16", "I;16B", "F"):
                return None
            image.load()
            return np.asarray(image)[None]
    except Exception:  # a compression that Pillow lacks, or a broken file: rasterio says which
        return None


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
    step = max(1, math.ceil(max(header.width, header.height) / LONGEST))
    shape = (len(bands), max(1, header.height // step), max(1, header.width // step))
    closed = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO", "CPL_DEBUG": "OFF"}
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

    Of 8 bits as they are. With a range, that of the set. Without one, an image for itself: integers from 0 to the
    smallest of 8, 10, 11, 12, 14, 16 bits (or the maximum itself) that holds the largest number, for sensors rarely use
    all 16; floats as they are if they fit into 0..1, or else into 0..255, else from the least to the largest number.
    """
    import numpy as np

    low, high = (view.low, view.high) if view else (None, None)
    if header.bits <= 8 and header.kind == "uint":
        low, high = 0.0, 255.0
    elif low is None or high is None:
        known = pixels[~np.isnan(pixels)]
        top, least = (float(known.max()), float(known.min())) if known.size else (1.0, 0.0)
        if header.kind == "float":
            low, high = (0.0, 1.0) if top <= 1 else (0.0, 255.0) if top <= 255 else (max(least, 0.0), top)
        else:
            low, high = 0.0, next((2.0**b - 1 for b in (8, 10, 11, 12, 14, 16) if top < 2**b), top)
    scaled = (np.nan_to_num(pixels, nan=low).astype(np.float64) - low) / max(high - low, 1e-12) * 255
    whole = scaled.round().clip(0, 255).astype(np.uint8)
    return whole[0] if len(whole) == 1 else np.moveaxis(whole, 0, -1)
