"""Where on the earth a tile lies, as a GeoTIFF says it."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.data.rasters import INSTALL, has_rasterio
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np

RADIUS = 6371.0088  # km, the mean radius of the earth
#: GDAL reads this file alone, through its GeoTIFF driver, without a network.
CLOSED = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_DEBUG": "OFF",
    "GDAL_CACHEMAX": 64,
}
Window = tuple[int, int, int, int]  # x, y, width, height in pixels


@dataclass(frozen=True)
class Grid:
    """How the pixels of a file lie on the earth: projection, and the affine map of column and row to its coordinates,
    (a, b, c, d, e, f) with x = a column + b row + c, y = d column + e row + f."""

    crs: Any
    affine: tuple[float, float, float, float, float, float]

    def degrees(self, columns: Sequence[float], rows: Sequence[float]) -> list[tuple[float, float]] | None:
        """Longitude and latitude (EPSG:4326) of points in pixels, 0 being the edge of the first; None where the
        projection has none for them."""
        from rasterio.warp import transform

        a, b, c, d, e, f = self.affine
        xs = [a * column + b * row + c for column, row in zip(columns, rows)]
        ys = [d * column + e * row + f for column, row in zip(columns, rows)]
        try:
            lon, lat = transform(self.crs, "EPSG:4326", xs, ys)[:2]
        except Exception:  # PROJ's errors are many
            return None
        right = all(math.isfinite(x) and math.isfinite(y) and -90.000001 <= y <= 90.000001 for x, y in zip(lon, lat))
        return [(_wrapped(x), y) for x, y in zip(lon, lat)] if right else None

    def cells(self, window: Window) -> dict[str, Any]:
        """The columns of the table that say where a window lies; {} where that cannot be said."""
        x, y, width, height = window
        columns = [x, x + width, x + width, x, x + width / 2]
        rows = [y, y, y + height, y + height, y + height / 2]
        found = self.degrees(columns, rows)
        if found is None:
            return {}
        *corners, centre = found
        return {
            "lon": centre[0],
            "lat": centre[1],
            **bounds(corners),
            "corners": [v for point in corners for v in point],
        }


def _wrapped(lon: float) -> float:
    """A longitude in -180..180."""
    return lon if -180 <= lon <= 180 else (lon + 180) % 360 - 180


def bounds(points: Sequence[tuple[float, float]]) -> dict[str, float]:
    """West, south, east, north of points; west > east where they lie on both sides of the antimeridian."""
    lon, lat = zip(*points)
    if max(lon) - min(lon) > 180:
        lon = [x + 360 if x < 0 else x for x in lon]
    return {"west": _wrapped(min(lon)), "south": min(lat), "east": _wrapped(max(lon)), "north": max(lat)}


def of_box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """The columns of the table for a place known by its bounds alone."""
    width = east - west if west <= east else east - west + 360
    corners = [west, north, east, north, east, south, west, south]
    centre = _wrapped(west + width / 2)
    return {
        "lon": centre, "lat": (south + north) / 2, "west": west, "south": south, "east": east, "north": north,
        "corners": corners,
    }  # fmt: skip


def distance(lon: np.ndarray, lat: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    r"""Kilometres on the sphere from each point to one, by the haversine formula:
    :math:`2 R \arcsin \sqrt{\sin^2 \frac{\Delta\phi}{2} + \cos\phi_1 \cos\phi_2 \sin^2 \frac{\Delta\lambda}{2}}`."""
    import numpy as np

    (lon, lat), (lon0, lat0) = np.radians([lon, lat]), np.radians(at)
    half = np.sin((lat - lat0) / 2) ** 2 + np.cos(lat) * np.cos(lat0) * np.sin((lon - lon0) / 2) ** 2
    return 2 * RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def inside(table: dict[str, np.ndarray], box: tuple[float, float, float, float]) -> np.ndarray:
    """Whether the bounds of each tile and a box west, south, east, north have a point in common; of tiles without a
    place, no."""
    import numpy as np

    west, south, east, north = box
    with np.errstate(invalid="ignore"):
        found = (table["south"] <= north) & (table["north"] >= south)
        across = np.zeros(len(found), dtype=bool)
        for shift in (-360, 0, 360):  # both may go across the antimeridian
            start = table["west"] + shift
            end = start + np.where(table["east"] >= table["west"], table["east"] - table["west"], 0)
            end = np.where(table["east"] < table["west"], start + table["east"] - table["west"] + 360, end)
            stop = east if east >= west else east + 360
            across |= (start <= stop) & (end >= west)
    return found & across


def grid_of(source: Path | bytes) -> Grid | None:
    """The grid of a GeoTIFF; None of a file without one, or where rasterio is not installed."""
    if not has_rasterio():
        return None
    try:
        with opened(source) as file:
            if file.crs is None or file.transform.is_identity:
                return None
            return Grid(file.crs, tuple(file.transform)[:6])
    except Exception:  # a TIFF that only Pillow reads is a picture without a place
        return None


@contextlib.contextmanager
def opened(source: Path | bytes) -> Iterator[Any]:
    """A file of rasterio for the block: of the GeoTIFF driver, closed to everything else. Each thread opens its own."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # in all threads: it is asked for, not missed
    with rasterio.Env(**CLOSED):
        if isinstance(source, bytes):
            with MemoryFile(source) as memory, memory.open(driver="GTiff", sharing=False) as file:
                yield file
        else:
            with rasterio.open(source.absolute(), driver="GTiff", sharing=False) as file:
                yield file


def need_rasterio(path: Path) -> None:
    """Raises:
    RsnbError: rasterio is not installed.
    """
    if not has_rasterio():
        raise RsnbError(f"{path} is cut into tiles with rasterio: {INSTALL}")
