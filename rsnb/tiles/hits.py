"""Hits of a search leave the program: as a table, as records, on a map, as a page; by the ending of the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.base.files import replacing, write_csv, write_json, write_text
from rsnb.errors import RsnbError
from rsnb.tiles.page import Thumbnail, page

if TYPE_CHECKING:
    from pandas import DataFrame

Ring = list[tuple[float, float]]
ENDINGS = (".csv", ".json", ".geojson", ".parquet", ".html")
PLACE, WINDOW = ("lon", "lat", "west", "south", "east", "north"), ("x", "y", "width", "height")
COLUMNS = ("query", "rank", "score", "percentile", "path", *WINDOW, *PLACE, "corners", "modified", "taken")
_DIGITS = {"score": 4, "percentile": 2, **dict.fromkeys(PLACE, 7)}
_FORMULA = "=+-@\t\n＝＋－＠"  # what a spreadsheet may take for the beginning of one


def ending_of(path: str | Path) -> str:
    """The ending of a file for hits, to be asked before a long search; an RsnbError where none of :data:`ENDINGS`."""
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise RsnbError(f"{path} ends in {ending or 'nothing'}; hits are written as {', '.join(ENDINGS)}: choose one")
    return ending


def records(hits: DataFrame) -> list[dict[str, Any]]:
    """The hits as JSON has them: the columns of :data:`COLUMNS`, rounded, None where something is missing."""
    return [{name: _plain(row[name], _DIGITS.get(name, 7)) for name in COLUMNS} for row in hits.to_dict("records")]


def write_hits(hits: DataFrame, path: str | Path, about: Mapping[str, Any], thumbnail: Thumbnail) -> str:
    """Write hits, best first per query, with the columns of :data:`COLUMNS`; returns a sentence on what was written.

    What is missing is null, or empty in a .csv. There, a name or a query that begins as a formula of a spreadsheet does
    is made text: a path by ``./`` before it, which names the same file; a query by an apostrophe, as in ``rsnb grade``.
    Bytes of names that are no UTF-8 stand as escapes, and in a .csv the carriage return.

    Args:
        about: what was searched: index, tiles, model, made, note; for a page also extent, [west, south, east, north] of
            all tiles or None, and queries, all that were asked, in case one has no hit.
        thumbnail: the picture of the hit in that row, counted from 0, or None.

    Raises:
        RsnbError: another ending; the file cannot be written.
    """
    ending, about, rows = ending_of(path), _plain(about), records(hits)
    rings = [ring_of(row) for row in rows]
    if ending == ".csv":
        cells = [{name: _cell(name, value) for name, value in row.items()} for row in rows]
        write_csv(path, cells) if cells else write_text(path, ",".join(COLUMNS) + "\n")
    elif ending == ".json":
        write_json(path, {"about": about, "hits": rows})
    elif ending == ".geojson":
        facts = [{name: value for name, value in row.items() if name != "corners"} for row in rows]
        features = [{"type": "Feature", "geometry": geometry(r), "properties": f} for r, f in zip(rings, facts)]
        head = {"type": "FeatureCollection", "about": about, "without_place": rings.count([])}
        write_json(path, head | {"features": features})
    elif ending == ".parquet":
        _write_parquet(path, rows, about)
    else:
        write_text(path, page([row | {"ring": ring} for row, ring in zip(rows, rings)], about, thumbnail))
    counted = f"{len(rows)} {'hit' if len(rows) == 1 else 'hits'} in {path}"
    return f"{counted}, {rings.count([])} without a place" if [] in rings else counted


def ring_of(row: Mapping[str, Any]) -> Ring:
    """Where a hit is: its corners, counter-clockwise, the first not repeated, without a jump at the antimeridian (so a
    longitude may be out of range), the middle in range; one point where no area is known, as of a photograph or over a
    pole; nothing without a place."""
    lon, corners = row["lon"], row["corners"] or [None]
    point = [] if None in (lon, row["lat"]) else [(lon, row["lat"])]
    if None in corners:
        return point
    lons, short = corners[::2], corners[:1]
    for one in lons[1:]:
        short.append(short[-1] + (one - short[-1] + 180) % 360 - 180)
    ways = (short, lons, [one + 360 * (one < 0) for one in lons])  # the last two: wider than half the earth
    fits = [way for way in ways if lon is None or math.cos(math.radians(lon - sum(way) / 4)) > 0]
    if abs(short[-1] - short[0]) > 180 or not fits:
        return point
    turns = 360 * math.floor((sum(fits[0]) / 4 + 180) / 360)
    ring = [(one - turns, min(90.0, max(-90.0, lat))) for one, lat in zip(fits[0], corners[1::2])]
    return (ring if _area(ring) > 0 else ring[::-1]) if _area(ring) else point


def geometry(ring: Ring) -> dict[str, Any] | None:
    """The same as a geometry of GeoJSON (RFC 7946): longitudes in range, cut in two at the antimeridian."""
    if len(ring) < 2:
        return {"type": "Point", "coordinates": list(ring[0])} if ring else None
    corners, pieces = [], []
    for (x0, y0), (x1, y1) in zip([ring[-1], *ring], ring):
        cuts = [cut for cut in (-180, 180) if (x0 - cut) * (x1 - cut) < 0]
        corners += [*((cut, y0 + (cut - x0) / (x1 - x0) * (y1 - y0)) for cut in cuts), (x1, y1)]
    for turn in (0, -360, 360):
        piece = [(round(x + turn, 7), round(y, 7)) for x, y in corners if abs(x + turn) <= 180]
        if _area(piece) > 0:
            pieces.append([[list(corner) for corner in [*piece, piece[0]]]])
    if len(pieces) == 1:
        return {"type": "Polygon", "coordinates": pieces[0]}
    return {"type": "MultiPolygon", "coordinates": pieces}


def _area(ring: Ring) -> float:
    """Twice the area, in square degrees; negative if clockwise."""
    moved = [(x - ring[0][0], y - ring[0][1]) for x, y in ring]
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(moved, moved[1:]))


def _plain(value: Any, digits: int = 7) -> Any:
    """As JSON takes it: no NaN, no type of numpy or pandas, times as in ISO 8601, text that UTF-8 can hold."""
    import pandas as pd

    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, digits) for one in value]
    if pd.isna(value) or value in (math.inf, -math.inf):
        return None
    if isinstance(value, datetime):
        value = pd.Timestamp(value).floor("s")
        value = value.tz_convert("UTC") if value.tzinfo else value
    if isinstance(value, (date, str)):
        return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value.isoformat()
    return round(value, digits) if isinstance(value, float) else value


def safe_path(path: str) -> str:
    """A path for a .csv, where no spreadsheet takes it for a formula."""
    return str(_cell("path", path))


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, str):
        harmless = "" if not value.startswith((*_FORMULA,)) else "./" if name == "path" else "'"
        return harmless + value.replace("\r", "\\r")
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _write_parquet(path: str | Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    when = ("modified", "taken")
    kinds = dict.fromkeys(COLUMNS, pa.float64()) | dict.fromkeys(("rank", *WINDOW), pa.int64())
    kinds |= dict.fromkeys(("query", "path"), pa.string()) | dict.fromkeys(when, pa.timestamp("us", tz="UTC"))
    kinds["corners"] = pa.list_(pa.float64())
    found = [{**row, **{name: row[name] and datetime.fromisoformat(row[name]) for name in when}} for row in rows]
    table = pa.Table.from_pylist(found, pa.schema([*kinds.items()], metadata={"about": json.dumps(about)}))
    with replacing(path) as scratch:
        pq.write_table(table, scratch)
