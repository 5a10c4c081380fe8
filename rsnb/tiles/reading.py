"""Tiles out of files: which windows a file is cut into, and the picture of each with its place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.data.headers import PALETTE, Header, read_header
from rsnb.data.images import NARROW, decode
from rsnb.data.ranges import evenly, view_of
from rsnb.data.rasters import BLOCK, View, to_bytes
from rsnb.errors import RsnbError
from rsnb.tiles.files import File
from rsnb.tiles.places import Grid, Window, grid_of, need_rasterio, of_box, opened

if TYPE_CHECKING:
    from PIL.Image import Image

LOOKED_AT = 200  # files whose headers decide how all are read


@dataclass(frozen=True)
class How:
    """How files become tiles: side and overlap in pixels (side 0: each file is one), and bands and ranges."""

    tile: int = 0
    overlap: int = 0
    view: View | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"tile": self.tile, "overlap": self.overlap, "view": self.view and dataclasses.asdict(self.view)}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> How:
        """What :meth:`to_dict` gave, through JSON."""
        view = said["view"]
        if view is not None:
            ranges = tuple((str(name), float(low), float(high)) for name, low, high in view["ranges"])
            view = View(view["bands"] and tuple(map(int, view["bands"])), ranges, bool(view["mask"]))
        return cls(int(said["tile"]), int(said["overlap"]), view)


def how_to_read(
    root: Path,
    files: Sequence[File],
    tile: int = 0,
    overlap: int = 0,
    bands: tuple[int, ...] | None = None,
    scale: tuple[float, float] | None = None,
) -> How:
    """One way for all files, so that neighbouring tiles are scaled alike; see :func:`rsnb.data.ranges.view_of`.

    Raises:
        RsnbError: a tile or an overlap that makes no sense.
    """
    if tile < 0 or (tile and not 8 <= tile <= 8192) or not 0 <= overlap <= max(0, tile - 1):
        raise RsnbError(f"tiles of {tile} pixels with an overlap of {overlap}: give 8 to 8192, and an overlap below it")
    deep = [file for file in files if file.path.lower().endswith((".tif", ".tiff", ".png"))]
    return How(tile, overlap, view_of([file.source(root) for file in evenly(deep, LOOKED_AT)], bands, scale))


def windows(width: int, height: int, how: How) -> Iterator[Window]:
    """The tiles of an image, row by row: side by side, less the overlap; the last ones are moved back to end at the
    edge, so that all have one size and nothing is left out. An image smaller than a tile is one."""
    if not how.tile or (width <= how.tile and height <= how.tile):
        yield 0, 0, width, height
        return
    for y in starts(height, how.tile, how.overlap):
        for x in starts(width, how.tile, how.overlap):
            yield x, y, min(how.tile, width), min(how.tile, height)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side."""
    if length <= tile:
        return [0]
    count = math.ceil((length - tile) / (tile - overlap)) + 1
    return [*(n * (tile - overlap) for n in range(count - 1)), length - tile]


class Opened:
    """A file that is about to be read: its header is looked at once, for all of its tiles, and its grid with the first.

    Raises:
        RsnbError: it cannot be read.
    """

    def __init__(self, file: File, root: Path, how: How):
        self.file, self.how = file, how
        try:
            self.source = file.source(root)
            self.header: Header | None = read_header(self.source) if file.is_tiff else None
        except OSError as error:
            raise RsnbError(f"{file.path} cannot be read ({error.strerror or error})") from None
        self.is_geotiff = self.header is not None and self.header.format == "TIFF"
        self.is_cut = bool(how.tile) and self.is_geotiff

    @cached_property
    def grid(self) -> Grid | None:
        """Where it lies, if it says so."""
        return grid_of(self.source) if self.is_geotiff else None

    def windows(self) -> list[Window | None]:
        """Of a file that is cut; [None] of one that is a tile as it is."""
        if not self.is_cut:
            return [None]
        need_rasterio(Path(self.file.path))
        return list(windows(self.header.width, self.header.height, self.how))

    def read(self, window: Window | None) -> tuple[Image | None, dict[str, Any]]:
        """The picture, and the cells of the table; no picture where there is no data in it.

        Raises:
            RsnbError: it cannot be decoded.
        """
        if window is None:
            picture, _ = decode(self.source, self.file.path, self.how.view)
            whole = (self.header.width, self.header.height) if self.header else picture.size
            window = 0, 0, *whole
        else:
            picture = _cut(self.source, self.file.path, self.header, window, self.how.view)
        x, y, width, height = window
        place = self.grid.cells(window) if self.grid else {}
        if not place and self.file.box and not self.is_cut:
            place = of_box(*self.file.box)
        file = self.file
        cells = {"path": file.path, "start": file.start, "x": x, "y": y, "width": width, "height": height, **place}
        return picture, {**cells, "bytes": file.bytes, "modified": file.modified, "taken": file.taken}


def _cut(source: Path | bytes, label: str, header: Header, window: Window, view: View | None) -> Image | None:
    """A part of a GeoTIFF as :func:`rsnb.data.images.open_rgb` reads a whole one; None where no pixel has data.

    Memory: the pixels of the part, and the blocks of the file that it touches.
    """
    import numpy as np
    from PIL import Image
    from rasterio.windows import Window as Part

    x, y, width, height = window
    bands = (view and view.bands) or ((1, 2, 3) if header.bands >= 3 else (1,))
    if max(bands) > header.bands:
        raise RsnbError(f"{label} has {header}, but band {max(bands)} was asked for")
    if header.kind == "complex":
        raise RsnbError(f"{label} has {header}; give its amplitude as an image of its own")
    if header.photometric == PALETTE:
        raise RsnbError(f"{label} has a palette; write its colours out (gdal_translate -expand rgb)")
    if header.block * header.bits / 8 > BLOCK:
        raise RsnbError(f"{label} stores too much in one piece; write it in tiles (gdal_translate -co TILED=YES)")
    if max(width, height) > NARROW * min(width, height):
        raise RsnbError(f"{label} is more than {NARROW} times as long as wide; cut a part out")
    part = Part(x, y, width, height)
    try:
        with opened(source) as file:
            raw = file.read(list(bands), window=part)
            masked = view is None or view.mask or not header.may_have_mask
            there = file.read_masks(list(bands), window=part) != 0 if masked else np.ones(raw.shape, dtype=bool)
    except Exception as error:  # rasterio's and GDAL's errors are many
        reason = " ".join(str(error).split())[:120]
        raise RsnbError(f"{label} ({header}) cannot be decoded ({reason}); get the file again") from None
    pixels = raw.astype(np.float32)
    pixels[~there | ~np.isfinite(pixels)] = np.nan
    if np.isnan(pixels).all():
        return None
    return Image.fromarray(to_bytes(pixels, header, view)).convert("RGB")
