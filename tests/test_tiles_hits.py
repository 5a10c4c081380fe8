"""Hits leave the program as .csv, .json, .geojson, .parquet and .html; whatever files and queries are called."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import string
from collections import Counter
from html.parser import HTMLParser

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rsnb.errors import RsnbError
from rsnb.tiles import page
from rsnb.tiles.hits import COLUMNS, ENDINGS, ending_of, geometry, ring_of, write_hits

ABOUT = {"index": "tiles.index", "tiles": 4321, "model": "mini CLIP", "made": "2026-07-24", "note": "exact search"}
ABOUT["extent"] = [8.49, 47.29, 8.52, 47.32]
EVIL = [
    "<script>alert(1)</script>.png",
    "\"'><img src=x onerror=alert(1)>&amp;.tif",
    "a\u202egnp.exe",
    "=1+1.tif",
    "a/@b",
]
EVIL += [
    "-2.tif",
    "+3.tif",
    "@sum.tif",
    "\ttab.tif",
    "two\nlines.tif",
    "\udcff.tif",
    "comma,semi;.tif",
    "</style>",
    "NaN",
]
VOID = {"meta", "img", "br", "wbr"}
NO_PLACE = {**dict.fromkeys(("lon", "lat", "west", "south", "east", "north"), math.nan), "corners": None}


def square(lon: float, lat: float, half: float = 0.001, turn: float = 0.0) -> list[float]:
    """Upper left, upper right, lower right, lower left; longitudes as projections give them, in -180..180."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    around = [(x * cos - y * sin, x * sin + y * cos) for x, y in ((-1, 1), (1, 1), (1, -1), (-1, -1))]
    return [c for x, y in around for c in ((lon + half * x + 180) % 360 - 180, lat + half * y)]


def hit(rank: int = 1, lon: float = 8.5, lat: float = 47.3, half: float = 0.001, turn: float = 0.0, **more) -> dict:
    corners = square(lon, lat, half, turn)
    place = {"lon": lon, "lat": lat, "corners": corners}
    place |= {"west": min(corners[::2]), "south": lat - half, "east": max(corners[::2]), "north": lat + half}
    known = {
        "query": "a harbour",
        "rank": rank,
        "score": 0.3 - rank / 97,
        "percentile": 97.123456,
        "path": f"s/{rank}.tif",
    }
    window = {"x": 256 * rank, "y": 0, "width": 256, "height": 256}
    times = {"modified": pd.Timestamp("2026-05-01T10:00:00.123456789Z"), "taken": pd.NaT}
    return known | window | place | times | more


def table(*rows: dict, dtype=None) -> pd.DataFrame:
    """As a search gives it; of dtype object, names may hold what UTF-8 does not."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS), dtype=dtype)


@pytest.fixture
def some() -> pd.DataFrame:
    """Three hits of two queries: one turned, one without a place and percentile, one with a date."""
    taken = pd.Timestamp("2026-04-01T12:30:00", tz="Europe/Berlin").tz_convert("UTC")
    other = hit(1, query="image: boat.jpg", taken=taken, path="shard.tar/0001.jpg")
    return table(hit(1, turn=17), hit(2, percentile=math.nan, **NO_PLACE), other)


def picture(row: int) -> Image.Image:
    return Image.effect_noise((256, 200), 60).convert("RGB")


def write(hits: pd.DataFrame, path, about=None, thumbnail=picture) -> str:
    write_hits(hits, path, ABOUT if about is None else about, thumbnail)
    return path.read_text(encoding="utf-8") if path.suffix != ".parquet" else ""


# --- tables and records -------------------------------------------------------------------------------------------
def test_csv(some, tmp_path):
    text = write(some, tmp_path / "hits.csv")
    first, second, third = csv.DictReader(io.StringIO(text))
    assert list(first) == list(COLUMNS)
    assert (first["score"], first["percentile"], first["lon"], first["path"]) == ("0.2897", "97.12", "8.5", "s/1.tif")
    assert [float(c) for c in first["corners"].split(" ")] == pytest.approx(square(8.5, 47.3, turn=17), abs=1e-7)
    assert {second[name] for name in (*NO_PLACE, "percentile", "taken")} == {""}
    assert first["modified"] == "2026-05-01T10:00:00+00:00" and third["taken"] == "2026-04-01T10:30:00+00:00"
    read = pd.read_csv(tmp_path / "hits.csv", parse_dates=["modified"])
    assert read["rank"].tolist() == [1, 2, 1] and read["lon"].isna().tolist() == [False, True, False]


def test_a_spreadsheet_takes_no_name_or_query_for_a_formula(tmp_path):
    names = ["=1+1.tif", "+3.tif", "-2.tif", "@sum.tif", "\ttab.tif", "\rcr.tif", "＝wide.tif", "plain=1.tif"]
    write(table(*(hit(n, path=name, query=name, lon=-0.1) for n, name in enumerate(names))), tmp_path / "hits.csv")
    with open(tmp_path / "hits.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, name in zip(rows, names):
        assert not {row["path"][0], row["query"][0]} & set("=+-@\t\r＝")
        kept = name.replace("\r", "\\r")
        assert (tmp_path / row["path"]) == tmp_path / kept  # still the same file
        assert row["query"].removeprefix("'") == kept and row["lon"] == "-0.1"


def test_json(some, tmp_path):
    def no_constant(name):
        raise AssertionError(name)  # NaN and Infinity are no JSON

    found = json.loads(write(some, tmp_path / "hits.json"), parse_constant=no_constant)
    assert found["about"] == ABOUT and [list(row) for row in found["hits"]] == [list(COLUMNS)] * 3
    first, second, third = found["hits"]
    assert (first["score"], first["x"], first["taken"]) == (0.2897, 256, None)
    assert first["corners"] == pytest.approx(square(8.5, 47.3, turn=17), abs=1e-7)
    assert {second[name] for name in (*NO_PLACE, "percentile")} == {None}
    assert third["path"] == "shard.tar/0001.jpg"


def test_parquet(some, tmp_path):
    write(some, tmp_path / "hits.parquet")
    found = pq.read_table(tmp_path / "hits.parquet")
    kinds = {field.name: str(field.type) for field in found.schema}
    assert list(kinds) == list(COLUMNS) and json.loads(found.schema.metadata[b"about"]) == ABOUT
    assert kinds["corners"].startswith("list<") and kinds["corners"].endswith("double>")
    assert (kinds["rank"], kinds["score"], kinds["modified"]) == ("int64", "double", "timestamp[us, tz=UTC]")
    first, second, third = found.to_pylist()
    assert first["corners"] == pytest.approx(square(8.5, 47.3, turn=17), abs=1e-7)
    assert {second[name] for name in (*NO_PLACE, "percentile", "taken")} == {None}
    read = pd.read_parquet(tmp_path / "hits.parquet")
    assert read["taken"][2] == some["taken"][2] and read["modified"][0] == some["modified"][0].floor("s")
    write_hits(read, tmp_path / "again.parquet", ABOUT, picture)  # corners are arrays there
    assert pq.read_table(tmp_path / "again.parquet") == found


# --- GeoJSON ------------------------------------------------------------------------------------------------------
def signed_area(ring: list[list[float]]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:])) / 2


def area_by_rfc_7946(found: dict | None) -> float:
    """In square degrees; a geometry must keep to section 3.1."""
    if found is None or found["type"] == "Point":
        points = [found["coordinates"]] if found else []
        assert all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in points)
        return 0.0
    assert set(found) == {"type", "coordinates"} and found["type"] in ("Polygon", "MultiPolygon")
    polygons = [found["coordinates"]] if found["type"] == "Polygon" else found["coordinates"]
    assert len(polygons) > (found["type"] == "MultiPolygon")
    total = 0.0
    for (ring,) in polygons:  # the exterior, no hole
        assert len(ring) >= 4 and ring[0] == ring[-1], "a ring is closed and has four positions"
        assert len({tuple(corner) for corner in ring}) == len(ring) - 1, "a corner twice"
        assert all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring)
        x, y = ring[0]
        area = signed_area([[lon - x, lat - y] for lon, lat in ring])
        assert area > 0, "an exterior ring is counter-clockwise"
        total += area
    return total


def test_geojson(some, tmp_path):
    found = json.loads(write(some, tmp_path / "hits.geojson"))
    assert found["type"] == "FeatureCollection" and found["about"] == ABOUT and found["without_place"] == 1
    assert "crs" not in found  # RFC 7946 knows one alone
    for feature in found["features"]:
        assert set(feature) == {"type", "geometry", "properties"} and feature["type"] == "Feature"
        area_by_rfc_7946(feature["geometry"])
    first, second, third = found["features"]
    ring = first["geometry"]["coordinates"][0]
    for corner in zip(square(8.5, 47.3, turn=17)[::2], square(8.5, 47.3, turn=17)[1::2]):
        assert any(corner == pytest.approx(other, abs=1e-7) for other in ring), "turned tiles stay turned"
    assert second["geometry"] is None and second["properties"]["path"] == "s/2.tif"
    assert set(third["properties"]) == set(COLUMNS) - {"corners"}


def test_it_is_said_how_many_have_no_place(some, tmp_path):
    assert write_hits(some, tmp_path / "a.csv", ABOUT, picture) == f"3 hits in {tmp_path / 'a.csv'}, 1 without a place"
    assert write_hits(some[:1], tmp_path / "a.json", ABOUT, picture) == f"1 hit in {tmp_path / 'a.json'}"


@pytest.mark.parametrize("turn", [0, 17, 45, 90, 180, -60])
@pytest.mark.parametrize("lon", [179.99, -179.99, 180, -180, 179.9995, -179.0005])
def test_a_tile_across_the_antimeridian_is_cut_in_two(lon, turn):
    one = hit(lon=lon, lat=-17, half=0.02, turn=turn)
    found = geometry(ring_of(one))
    inside = abs(lon) > 179.5
    assert found["type"] == ("MultiPolygon" if inside else "Polygon")
    assert area_by_rfc_7946(found) == pytest.approx(0.04**2, rel=1e-4)
    if inside:
        sides = [{math.copysign(1, corner[0]) for corner in ring} for (ring,) in found["coordinates"]]
        assert sorted(map(tuple, sides)) == [(-1.0,), (1.0,)]


@pytest.mark.parametrize("lon", [179.98, -179.98])
def test_a_tile_that_only_touches_the_antimeridian_is_whole(lon):
    found = geometry(ring_of(hit(lon=lon, lat=0, half=0.02)))
    assert found["type"] == "Polygon" and area_by_rfc_7946(found) == pytest.approx(0.04**2, rel=1e-4)


def test_every_direction_of_corners_ends_counter_clockwise():
    corners = square(8.5, 47.3)
    points = list(zip(corners[::2], corners[1::2]))
    for order in (points, points[::-1], points[2:] + points[:2]):
        found = geometry(ring_of(hit(corners=[c for point in order for c in point])))
        assert area_by_rfc_7946(found) == pytest.approx(0.002**2)


@pytest.mark.parametrize(
    ("west", "east", "lon", "wide"),
    [(-180, 180, 0, 360), (-100, 100, 0, 200), (0, 360, 180, 360), (100, -60, -160, 200), (200, 210, -155, 10)],
)
def test_a_tile_wider_than_half_the_earth_is_where_its_centre_is(west, east, lon, wide):
    one = hit(lon=lon, lat=0, corners=[west, 10, east, 10, east, -10, west, -10])
    assert area_by_rfc_7946(geometry(ring_of(one))) == pytest.approx(20 * wide)


def test_what_has_no_area_is_a_point():
    photograph = hit(corners=None)
    over_the_pole = hit(lon=0, lat=90, corners=[-135, 89, 135, 89, 45, 89, -45, 89])
    flat = hit(corners=[8.5, 47.3] * 4)
    for one in (photograph, over_the_pole, flat):
        assert geometry(ring_of(one)) == {"type": "Point", "coordinates": [one["lon"], one["lat"]]}
    assert ring_of(hit(**NO_PLACE) | {"lon": None, "lat": None}) == [] and geometry([]) is None


# --- all of them --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", ENDINGS)
def test_no_hits(ending, tmp_path):
    path = tmp_path / f"hits{ending}"
    assert write_hits(table(), path, ABOUT, picture) == f"0 hits in {path}"
    if ending == ".csv":
        assert path.read_text() == ",".join(COLUMNS) + "\n" and pd.read_csv(path).empty
    elif ending == ".parquet":
        assert pq.read_table(path).num_rows == 0 and pq.read_table(path).column_names == list(COLUMNS)
    elif ending == ".html":
        assert "No hits." in Page(path.read_text("utf-8")).text
    else:
        assert json.loads(path.read_text())["hits" if ending == ".json" else "features"] == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_evil_names_stay_text(ending, tmp_path):
    path = tmp_path / f"hits{ending}"
    rows = [hit(n, path=name, query=query) for query in EVIL[:3] for n, name in enumerate(EVIL, 1)]
    about = ABOUT | {"index": EVIL[0], "note": EVIL[1], "model": "a\udcffb"}
    write_hits(table(*rows, dtype=object), path, about, lambda row: None)
    kept = [name.encode("utf-8", "backslashreplace").decode() for name in EVIL]
    if ending == ".html":
        return  # below
    if ending == ".csv":
        with open(path, encoding="utf-8", newline="") as file:
            found = [row["path"].removeprefix("./") for row in csv.DictReader(file)]
    elif ending == ".parquet":
        found = pq.read_table(path)["path"].to_pylist()
    else:
        read = json.loads(path.read_text("utf-8"))
        found = [row.get("properties", row)["path"] for row in read["hits" if ending == ".json" else "features"]]
    assert found == kept * 3


@pytest.mark.parametrize("name", ["hits.txt", "hits", "hits.json.gz", ".html/hits"])
def test_another_ending_names_the_five(name, some, tmp_path):
    with pytest.raises(RsnbError) as error:
        write_hits(some, tmp_path / name, ABOUT, picture)
    assert all(ending in str(error.value) for ending in ENDINGS) and name in str(error.value)
    assert list(tmp_path.iterdir()) == [] and ending_of("a/HITS.GeoJSON") == ".geojson"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_in_the_way_is_said(ending, some, tmp_path):
    (tmp_path / f"hits{ending}").mkdir()
    with pytest.raises(RsnbError, match="it is a folder"):
        write_hits(some, tmp_path / f"hits{ending}", ABOUT, picture)
    assert len(list(tmp_path.iterdir())) == 1


# --- the page -----------------------------------------------------------------------------------------------------
class Page(HTMLParser):
    """A page taken apart: tags closed in order, ids, what is linked or loaded, what is shown."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], Counter(), [], ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {tag} {attrs}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert "svg" in self.open, f"<{tag}/> closes nothing in HTML"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, name: str, tag: str | None = None) -> list[str]:
        return [value for kind, key, value in self.attributes if key == name and tag in (None, kind)]


def checked(text: str) -> Page:
    """A page that holds together: ids unique, links lead to them, nothing comes from elsewhere, no code but its own."""
    found = Page(text)
    ids = found.all("id")
    assert len(set(ids)) == len(ids)
    assert {link.removeprefix("#") for link in found.all("href")} <= set(ids), "a link leads nowhere, or elsewhere"
    assert {*found.all("aria-labelledby")} <= set(ids)
    assert all(source.startswith("data:image/jpeg;base64,") for source in found.all("src"))
    assert not re.search(r"https?://|@import|url\(", text)
    assert {name for _, name, _ in found.attributes if name.startswith("on") or name == "style"} == set()
    assert (found.tags["script"], found.tags["style"], found.tags["link"]) == (1, 1, 0)
    (policy,) = [value for value in found.all("content", "meta") if "default-src" in value]
    assert policy == page.POLICY and "'none'" in policy and "unsafe" not in policy
    return found


def test_page(some, tmp_path):
    text = write(some, tmp_path / "hits.html")
    found = checked(text)
    assert found.tags["img"] == found.tags["li"] == 3 and found.tags["section"] == 2
    assert found.all("alt") == ["Hit 1: s/1.tif", "Hit 2: s/2.tif", "Hit 1: shard.tar/0001.jpg"]
    for said in ("A high score is no proof", "4,321 tiles", "mini CLIP", "made: 2026-07-24", "exact search", "0.290"):
        assert said in found.text
    assert found.text.count("above 97 %") == 3  # two hits, and what it means
    assert checked(write(some, tmp_path / "a.html", ABOUT | {"note": "A sentence."})).text.count("A sentence.\n") == 1
    assert "2 hits, best first; 1 without a place" in found.text and "“a harbour”" in found.text
    assert "47.30000° N, 8.50000° E" in found.text and "x 256, y 0, 256 × 256 px" in found.text
    assert found.tags["svg"] == 2  # a map for each query
    for source in found.all("src"):
        data = base64.b64decode(source.partition(",")[2])
        with Image.open(io.BytesIO(data)) as shown:
            assert shown.format == "JPEG" and max(shown.size) == 192
        assert len(data) <= 10_000


def test_page_without_pictures_places_or_percentiles(tmp_path):
    rows = [hit(n, percentile=math.nan, **NO_PLACE) for n in (1, 2)]
    found = checked(write(table(*rows), tmp_path / "a.html", thumbnail=lambda row: None))
    assert (found.tags["img"], found.tags["svg"], found.tags["li"]) == (0, 0, 2)
    assert "above" not in found.text and found.text.count("no picture") == 2 and "no place is known" in found.text


def test_the_thumbnail_is_asked_for_rows_in_order(some, tmp_path):
    asked = []
    some.index = [7, 5, 9]  # whatever the labels are
    write(some, tmp_path / "a.html", thumbnail=asked.append)
    assert asked == [0, 1, 2]


def test_a_query_without_hits_says_so(some, tmp_path):
    found = checked(
        write(some, tmp_path / "a.html", ABOUT | {"queries": ["a volcano", "a harbour", "image: boat.jpg"]})
    )
    assert found.tags["section"] == 3 and found.text.count("No hits.") == 1
    assert re.search(r"“a volcano” \(0\), “a harbour” \(2\), image: boat.jpg \(1\)", found.text)


def test_a_weak_best_hit_is_called_weak(tmp_path):
    for share, weak in ((12.0, True), (50.0, False), (99.97, False), (100.0, False), (0.0, True)):
        text = checked(write(table(hit(percentile=share)), tmp_path / "a.html")).text
        assert (page.WEAK in text) == weak
        assert ("above all" in text) == (share == 100) and (share == 100 or f"above {math.floor(share)} %" in text)


def test_a_page_shows_evil_names_as_text(tmp_path):
    rows = [hit(n, path=name, query=query) for query in EVIL for n, name in enumerate(EVIL, 1)]
    about = {
        "index": EVIL[0],
        "tiles": EVIL[1],
        "model": "a\u202eb",
        "made": EVIL[2],
        "note": "</script>",
        "extent": None,
    }
    hits = table(*rows, dtype=object)
    text = write(hits, tmp_path / "a.html", about, lambda row: picture(row) if row == 0 else None)
    found = checked(text)
    assert "\u202e" not in text and "\\u202egnp.exe" in found.text and "two\\nlines.tif" in found.text
    assert EVIL[0] in found.text and EVIL[1] in found.text and "\\udcff.tif" in found.text
    assert found.tags["img"] == 1 and found.all("alt") == [f"Hit 1: {EVIL[0]}"]
    assert set(text) - set(string.printable) <= set("“”°×·")


SHAPES = {
    "one": ([hit(lon=24.9, lat=69.1, half=0.0003)], None),
    "one dot": ([hit(corners=None)], None),
    "crossing": ([hit(n, lon=(n / 4 - 1) % 360 - 180, lat=-17, half=0.1) for n in range(1, 9)], [178, -18, -178, -16]),
    "world": ([hit(n, lon=40 * n - 170, lat=20 * n - 80, half=1) for n in range(9)], [-180, -90, 180, 90]),
    "cluster": ([hit(n) for n in range(1, 31)], [6, 45, 10, 48]),
    "pole": ([hit(lon=0, lat=-90, corners=None)], [-180, -90, 180, -60]),
    "strip": ([hit(1, lon=8), hit(2, lon=9)], None),
    "tower": ([hit(1, lat=40), hit(2, lat=60)], [8.4, 40, 8.6, 60]),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_holds_all_hits_inside_and_no_number_covers_another(shape, tmp_path):
    rows, extent = SHAPES[shape]
    text = write(table(*rows), tmp_path / "a.html", ABOUT | {"extent": extent}, lambda row: None)
    found = checked(text)
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', text).groups())
    assert width == 361 and 200 <= height <= 400
    spots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="(\S+)" cy="(\S+)" r="10"', text)]
    assert len(spots) == len(rows)
    for n, (x, y) in enumerate(spots):
        assert page.LEFT - 0.1 <= x <= page.LEFT + page.WIDE + 0.1 and 0 <= y <= height - page.FOOT + 1
        assert all(math.hypot(x - a, y - b) > 2 * page.BADGE for a, b in spots[:n])
    for shown in re.findall(r'<polygon points="([^"]+)"', text):
        for x, y in (map(float, corner.split(",")) for corner in shown.split()):
            assert page.LEFT - 0.2 <= x <= page.LEFT + page.WIDE + 0.2 and 0 <= y <= height
    assert (found.all("class", "polygon").count("all"), "Dashed" in found.text) == ((1, True) if extent else (0, False))
    named = re.findall(r'text-anchor="\w+">([^<]+ [NESW])</text>', text)
    assert len(named) >= 2 and len(set(named)) == len(named), "each line of the graticule has its own name"


def test_the_scale_bar_is_as_long_as_it_says(tmp_path):
    """The frame's width is known in degrees: what the bar says, by haversine, is what its pixels say."""
    text = write(table(hit()), tmp_path / "a.html", ABOUT | {"extent": [8.4, 47.25, 8.6, 47.35]})
    start, end = map(float, re.search(r'class="bar" d="M(\S+) \S+v4H([\d.]+)', text).groups())
    (said,) = re.findall(r">(\d+) km</text>", text)
    corners = re.search(r'class="all" points="(\S+),\S+ (\S+),', text).groups()
    pixels = float(corners[1]) - float(corners[0])
    half = math.sin(math.radians(0.2) / 2) * math.cos(math.radians(47.3))
    metres = 2 * 6_371_008.8 * math.asin(half)
    assert (end - start) / pixels * metres == pytest.approx(1000 * int(said), rel=0.005)
