"""A small drawn scene, as one image with a place on the earth: places of the toy world side by side, like with like.

For the lesson on one's own tiles, where a scene is wanted whose every tile is known. Each cell is a picture that the
shipped toy data do not hold. The scene is set into the open North Sea, so that nobody takes it for a place that is
there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rsnb.base.files import replacing
from rsnb.data.rasters import INSTALL, has_rasterio
from rsnb.errors import RsnbError
from rsnb.worlds.toy.scenes import CLASSES, describe, draw

if TYPE_CHECKING:
    import pandas

APART = 3_000_000  # added to a scene's seed: the pictures are none of the shipped ones, whose seed is 2024
CRS, LEFT, TOP = "EPSG:32631", 480_000.0, 6_150_000.0  # UTM zone 31 north: about 2.7 east, 55.5 north
METRES = 2.0  # to a pixel: a tile of 128 is 256 m wide
SWAPS = 6000
#: What lies beside what.
KINDS = (
    ("beach", "bridge", "harbor", "pond", "river"),
    ("farmland", "forest", "meadow", "park"),
    ("denseresidential", "playground", "sparseresidential", "square", "stadium", "tenniscourt"),
    ("airport", "industrial", "parking", "railwaystation", "runway", "storagetanks", "viaduct"),
)
_KIND = {name: number for number, names in enumerate(KINDS) for name in names}
_CORNER = re.compile(r"x(\d+)_y(\d+)\.png$")


@dataclass(frozen=True)
class Scene:
    """``pixels`` (H, W, 3) uint8; of each cell, row by row, its class and its captions; the side of a cell."""

    pixels: np.ndarray
    labels: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.pixels.shape[0] // self.side, self.pixels.shape[1] // self.side

    def cells(self, x: Sequence[float], y: Sequence[float]) -> np.ndarray:
        """The number of the cell under each point, given in pixels."""
        rows, columns = self.shape
        across = np.clip(np.asarray(x) // self.side, 0, columns - 1).astype(int)
        return np.clip(np.asarray(y) // self.side, 0, rows - 1).astype(int) * columns + across


def draw_scene(seed: int = 0, rows: int = 10, columns: int = 12, side: int = 128) -> Scene:
    """A grid of places of the toy world: all classes about equally often, those of one kind near each other.

    Raises:
        RsnbError: there is no cell, or a cell is too small to show anything.
    """
    if rows < 1 or columns < 1 or not 16 <= side <= 512:
        raise RsnbError(
            f"a scene of {rows} x {columns} cells of {side} pixels: give at least 1 row and column, and 16 to 512"
        )
    grid, counts, found = laid_out(seed, rows, columns), dict.fromkeys(CLASSES, 0), []
    for name in map(str, grid.ravel()):
        picture, attributes = draw(name, APART + seed, "train", counts[name])
        captions = describe(name, attributes, APART + seed, "train", counts[name])
        counts[name] += 1
        found.append((picture, name, tuple(captions)))
    return in_rows(*zip(*found), columns=columns, side=side)


def in_rows(pictures: Sequence[Image.Image], labels, captions, columns: int, side: int) -> Scene:
    """Pictures side by side as a scene, row by row; those that fill no row are left out."""
    rows = len(pictures) // columns
    pixels = np.zeros((rows * side, columns * side, 3), dtype=np.uint8)
    for n, picture in enumerate(pictures[: rows * columns]):
        y, x = n // columns * side, n % columns * side
        fitting = picture if picture.size == (side, side) else picture.resize((side, side), Image.Resampling.BICUBIC)
        pixels[y : y + side, x : x + side] = np.asarray(fitting)
    count = rows * columns
    return Scene(pixels, tuple(labels[:count]), tuple(map(tuple, captions[:count])), side)


def laid_out(seed: int, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) names of classes. They are dealt at random; then two cells change places wherever that gives
    more neighbours of one kind."""
    rng = np.random.Generator(np.random.PCG64([APART, seed, rows, columns]))
    names = np.array([CLASSES[n % len(CLASSES)] for n in range(rows * columns)], dtype=object)
    rng.shuffle(names)
    grid = names.reshape(rows, columns)

    def alike(cell: tuple[int, int]) -> int:
        y, x = cell
        near = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        return sum(_KIND[grid[b, a]] == _KIND[grid[y, x]] for b, a in near if 0 <= b < rows and 0 <= a < columns)

    for _ in range(SWAPS):
        one, two = (divmod(int(place), columns) for place in rng.integers(rows * columns, size=2))
        before = alike(one) + alike(two)
        grid[one], grid[two] = grid[two], grid[one]
        if alike(one) + alike(two) < before:
            grid[one], grid[two] = grid[two], grid[one]
    return grid


def write_scene(path: Path, pixels: np.ndarray, shift: tuple[int, int] = (0, 0)) -> None:
    """Write pixels (H, W, 3) as a GeoTIFF. ``shift``: where its first pixel lies in the whole scene, in pixels.

    Raises:
        RsnbError: rasterio is not installed.
    """
    if not has_rasterio():
        raise RsnbError(f"{path} is written with rasterio: {INSTALL}, or write its tiles as pictures (write_tiles)")
    import rasterio

    place = rasterio.Affine(METRES, 0, LEFT + METRES * shift[0], 0, -METRES, TOP - METRES * shift[1])
    size = {"height": pixels.shape[0], "width": pixels.shape[1], "count": 3, "dtype": "uint8"}
    kept = {"crs": CRS, "transform": place, "photometric": "RGB", "compress": "deflate", "tiled": True}
    with replacing(path) as scratch, rasterio.open(scratch, "w", driver="GTiff", **size, **kept) as file:
        file.write(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def write_tiles(folder: Path, pixels: np.ndarray, starts: tuple[Sequence[int], Sequence[int]], side: int) -> None:
    """Write tiles of a scene as PNG files without a place; ``starts``: where they begin, along x and along y."""
    folder.mkdir(parents=True, exist_ok=True)
    for y in starts[1]:
        for x in starts[0]:
            Image.fromarray(pixels[y : y + side, x : x + side]).save(folder / f"x{x:05d}_y{y:05d}.png")


def corners(table: pandas.DataFrame) -> np.ndarray:
    """(n, 2): x and y in its scene of every tile of an index, cut from a GeoTIFF or written by :func:`write_tiles`."""
    named = [_CORNER.search(path) for path in table["path"]]
    extra = np.array([(int(m[1]), int(m[2])) if m else (0, 0) for m in named])
    return table[["x", "y"]].to_numpy().astype(int) + extra
