"""Hits as one page that loads nothing: pictures of tiles, and an outline map of where they are."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from rsnb.base.text import on_one_line
from rsnb.tiles.places import distance

if TYPE_CHECKING:
    from PIL.Image import Image

Thumbnail = Callable[[int], "Image | None"]
Row = Mapping[str, Any]  # a hit as rsnb.tiles.hits has it, with its ring
SIDE, BYTES = 192, 10_000  # a thumbnail at most; it is shown smaller
WIDE, LEFT, FOOT, BADGE = 284, 76, 40, 10  # in pixels: the map, room for latitudes and for longitudes, a number

STYLE = """
:root { color-scheme: light dark; --page: light-dark(#fff, #14171b); --panel: light-dark(#f4f6f8, #1e2329);
  --line: light-dark(#c9ced4, #3f4853); --text: light-dark(#1d2329, #e3e7eb); --muted: light-dark(#57606a, #a3adb8);
  --hit: light-dark(#01619a, #7cc4f0); --on-hit: light-dark(#fff, #10151a); --mark: light-dark(#b45309, #ffb84d); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: .8rem 1rem 3rem; font: 16px/1.45 system-ui, sans-serif;
  color: var(--text); background: var(--page); overflow-wrap: anywhere; }
h1, h2 { line-height: 1.25; margin: 0 0 .3rem; font-size: 1.5rem; } h2 { font-size: 1.25rem; }
p { margin: .3rem 0; max-width: 62rem; } a { color: var(--hit); }
.muted, figcaption { color: var(--muted); font-size: .875rem; } .proof strong { color: var(--mark); }
.proof { padding: .4rem .8rem; border-left: 4px solid var(--mark); background: var(--panel); }
section { margin-top: 1.2rem; padding-top: 1rem; border-top: 1px solid var(--line); }
ol { list-style: none; margin: .8rem 0 0; padding: 0; display: grid; gap: .75rem;
  align-content: start; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.hit { padding: .4rem; border: 1px solid var(--line); border-radius: 6px; background: var(--panel);
  font-size: .75rem; line-height: 1.35; scroll-margin: 1rem; }
img, .none { display: grid; place-content: center; width: 100%; height: 10rem; object-fit: contain; }
.none { color: var(--muted); border: 1px dashed var(--line); } code { font: inherit; font-family: monospace; }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: 0 .35rem; margin-top: .4rem; }
.head strong { font-size: 1rem; } .hit span { white-space: nowrap; } code ~ span { color: var(--muted); }
.rank { flex: none; min-width: 1.75rem; padding: 0 .35rem; border-radius: 1rem; text-align: center; font-weight: 700;
  line-height: 1.75rem; font-size: .875rem; color: var(--on-hit); background: var(--hit); text-decoration: none; }
span.rank { color: var(--text); background: var(--line); } figure { margin: .8rem 0 0; scroll-margin: 1rem; }
.map { display: block; width: 100%; max-width: 26rem; height: auto; font-size: 11px; } text { fill: var(--muted); }
.grid, .all, .bar { fill: none; stroke: var(--line); } .bar { stroke: var(--text); }
.all { stroke: var(--muted); stroke-width: 1.5; stroke-dasharray: 5 4; }
.tile { fill: var(--hit); fill-opacity: .18; } .tile, .lead { stroke: var(--hit); }
.spot circle { fill: var(--hit); stroke: var(--page); }
.spot text { fill: var(--on-hit); font-weight: 700; text-anchor: middle; }
.hit.on, .hit:target { outline: 3px solid var(--mark); } .tile.on { stroke: var(--mark); stroke-width: 3; }
.spot:is(.on, :target, :focus-visible) circle { fill: var(--page); stroke: var(--mark); stroke-width: 4; }
.spot:is(.on, :target, :focus-visible) text { fill: var(--text); }
:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; } .spot:focus-visible { outline: none; }
@media (min-width: 60rem) { .placed { display: grid; grid-template-columns: minmax(0, 1fr) 23rem; gap: 1.25rem; }
  figure { position: sticky; top: .8rem; align-self: start; } .to-map { display: none; }
  ol { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); } }
"""
SCRIPT = """
for (const kind of ["pointerover", "focusin"]) addEventListener(kind, ({target}) => {
  const at = target.closest?.("[data-hit]") || document.activeElement.closest("[data-hit]");
  for (const one of document.querySelectorAll("[data-hit]"))
    one.classList.toggle("on", one.dataset.hit === at?.dataset.hit);
});
"""
_OWN = [f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in (STYLE, SCRIPT)]
POLICY = f"default-src 'none'; img-src data:; style-src {_OWN[0]}; script-src {_OWN[1]}; base-uri 'none'"
WEAK = "Most queries about other things score higher here: what was asked for may not be there"
FOREIGN = "“above 97 %”: of a fixed set of queries about other things, 97 % find nothing here that scores as high."


def page(rows: Sequence[Row], about: Mapping[str, Any], thumbnail: Thumbnail) -> str:
    """The page; see :func:`rsnb.tiles.hits.write_hits`. Nothing in it comes from elsewhere, and its policy forbids any
    script or style but its own, whatever a file is called."""
    asked = list(dict.fromkeys([*(about.get("queries") or ()), *(row["query"] for row in rows)]))
    found = {query: [(n, row) for n, row in enumerate(rows) if row["query"] == query] for query in asked}
    title = f"Hits in {_text(about.get('index') or 'the tiles')}"
    facts = {"": f"{tiles:,} tiles" if isinstance(tiles := about.get("tiles"), int) else tiles}
    facts |= {"model: ": about.get("model"), "made: ": about.get("made"), " ": about.get("note")}
    named = {"near": "within (lon, lat, km) ", "bbox": "within west, south, east, north ", "min_score": "least score "}
    for key, said in named.items():
        if about.get(key) is not None:
            value = about[key]
            facts[said] = ", ".join(f"{x:g}" for x in value) if isinstance(value, (list, tuple)) else value
    stamp = " · ".join(name + _text(fact) for name, fact in facts.items() if fact not in (None, ""))
    links = [f'<a href="#q{n}">{_named(query)}</a> ({len(found[query])})' for n, query in enumerate(asked, 1)]
    foreign = any(row["percentile"] is not None for row in rows)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{STYLE}</style></head>
<body><main><h1>{title}</h1><p class="muted">Searched: {stamp.removesuffix(".")}.</p>
<p class="proof"><strong>A high score is no proof.</strong> Every search has a best hit, even where nothing like it is
there: look at the picture.</p>
<p class="muted">Below a picture: its rank, and its score, which says how near it is to the query (cosine, 1 at most; of
an image with words a share of 0 to 1).
{FOREIGN * foreign}</p>
{f"<p>Queries: {', '.join(links)}</p>" * (len(links) > 1)}
{"".join(_section(n, query, found[query], about.get("extent"), thumbnail) for n, query in enumerate(asked, 1))}
{"<p>No hits.</p>" * (not asked)}</main><script>{SCRIPT}</script></body></html>
"""


def _text(value: Any) -> str:
    """What a stranger may have written, for HTML: no markup, no quote, nothing that turns the direction of writing."""
    return html.escape(on_one_line(str(value)))


def _named(query: str) -> str:
    return f"<bdi>{_text(query)}</bdi>" if query.startswith("image: ") else f"“<bdi>{_text(query)}</bdi>”"


def _section(number: int, query: str, found: list[tuple[int, Row]], extent: Any, thumbnail: Thumbnail) -> str:
    head = f'<section aria-labelledby="q{number}"><h2 id="q{number}">{_named(query)}</h2>'
    if not found:
        return f"{head}<p>No hits.</p></section>"
    places = [(n, row) for n, (_, row) in enumerate(found, 1) if row["ring"]]
    cards = "".join(_card(f"{number}-{n}", row, thumbnail(which)) for n, (which, row) in enumerate(found, 1))
    said = f"{len(found)} hits, best first" if len(found) > 1 else "1 hit"
    if len(places) < len(found):
        said += f"; {len(found) - len(places)} without a place" if places else "; no place is known"
    said += f'<span class="to-map">; <a href="#map{number}">map</a></span>' * bool(places)
    share = found[0][1]["percentile"]
    if share is not None and share < 50:
        said += f". <strong>{WEAK}</strong>"
    drawn = _map(number, places, extent) if places else ""
    kind = ' class="placed"' * bool(places)
    return f'{head}<p class="muted">{said}.</p><div{kind}><ol>{cards}</ol>{drawn}</div></section>'


def _card(key: str, row: Row, picture: Image | None) -> str:
    path, rank, share = _text(row["path"]), row["rank"], row["percentile"]
    badge = f'<span class="rank">{rank}</span>'
    if row["ring"]:
        badge = f'<a class="rank" href="#m{key}" aria-label="{rank}: hit {rank} on the map">{rank}</a>'
    shown = _picture(picture, f"Hit {rank}: {path}") if picture else '<div class="none">no picture</div>'
    words = "" if share is None else "above all" if share == 100 else f"above {math.floor(share)} %"
    lines = [f"<code><bdi>{path.replace('/', '/<wbr>')}</bdi></code>"]
    if row["lon"] is not None and row["lat"] is not None:
        lines.append(f"<span>{_degrees(row['lat'], 5, 'NS')},</span> <span>{_degrees(row['lon'], 5, 'EW')}</span>")
    lines.append(f"<span>x {row['x']}, y {row['y']},</span> <span>{row['width']} × {row['height']} px</span>")
    return (
        f'<li class="hit" id="h{key}" data-hit="{key}">{shown}<div class="head">{badge}'
        f"<strong>{row['score']:.3f}</strong><span>{words}</span></div>{'<br>'.join(lines)}</li>"
    )


def _picture(picture: Image, alt: str) -> str:
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    for quality in (85, 75, 60, 45, 30):
        small.save(file := io.BytesIO(), "JPEG", quality=quality, optimize=True)
        if file.tell() <= BYTES:
            break
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img width="{small.width}" height="{small.height}" alt="{alt}" src="data:image/jpeg;base64,{data}">'


def _map(number: int, places: list[tuple[int, Row]], extent: Any) -> str:
    """An outline map: longitudes shrunk by the cosine of the middle latitude, so that it is true there."""
    rings = [row["ring"] for _, row in places]
    frame = []
    if extent and None not in extent:
        west, south, east, north = extent
        east += 360 * (east < west)
        frame = [(west, south), (east, south), (east, north), (west, north)]
    middle = (frame[0][0] + frame[1][0]) / 2 if frame else rings[0][0][0]
    turns = [360 * round((middle - sum(lon for lon, _ in ring) / len(ring)) / 360) for ring in rings]
    rings = [[(lon + turn, lat) for lon, lat in ring] for ring, turn in zip(rings, turns)]
    lons, lats = zip(*(corner for ring in (*rings, frame) for corner in ring))
    lat, lon = (min(lats) + max(lats)) / 2, (min(lons) + max(lons)) / 2
    lat = min(89, max(-89, lat))  # over a pole it is no map
    shrink = math.cos(math.radians(lat))
    across = max(max(lons) - min(lons), 4e-4) * shrink * 1.08  # in degrees of latitude, with a margin
    up = max(max(lats) - min(lats), 4e-4) * 1.08
    across, up = max(across, up / 1.2), max(up, across * 0.6)
    scale = WIDE / across
    high = up * scale

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[0] - lon) * shrink * scale, (lat - point[1]) * scale
        return round(LEFT + WIDE / 2 + x, 1), round(high / 2 + y + 1, 1)

    parts = [*_graticule(lon, lat, across / shrink, up, at, high)]
    if frame:
        parts.append(f'<polygon class="all" points="{" ".join("{},{}".format(*at(corner)) for corner in frame)}"/>')
    middles = [at((sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring))) for ring in rings]
    for (n, _), ring, (x, y) in zip(places, rings, middles):
        area = " ".join("{},{}".format(*at(corner)) for corner in ring)
        shape = f'<polygon points="{area}"' if ring[1:] else f'<circle cx="{x}" cy="{y}" r="3"'
        parts.append(f'{shape} class="tile" data-hit="{number}-{n}"/>')
    taken: list[tuple[float, float]] = []
    for x, y in middles:
        taken.append(_free((x, y), taken, high))
        parts.append(f'<path class="lead" d="M{x} {y}L{taken[-1][0]} {taken[-1][1]}"/>')
    for (n, row), (x, y) in zip(places, taken):
        head = f'<a class="spot" id="m{number}-{n}" data-hit="{number}-{n}" href="#h{number}-{n}">'
        head += f"<title>Hit {row['rank']}: {_text(row['path'])}</title>"
        parts.append(f'{head}<circle cx="{x}" cy="{y}" r="{BADGE}"/><text x="{x}" y="{y + 4}">{row["rank"]}</text></a>')
    said = "Each number is a hit; its picture has the same number." + " Dashed: all tiles of the index." * bool(frame)
    size = f'viewBox="0 0 {LEFT + WIDE + 1} {high + FOOT:.0f}"'
    drawn = f'<svg class="map" {size} role="group" aria-label="Map of the hits">{"".join(parts)}</svg>'
    return f'<figure id="map{number}">{drawn}<figcaption>{said} North is up.</figcaption></figure>'


def _free(spot: tuple[float, float], taken: list[tuple[float, float]], high: float) -> tuple[float, float]:
    """The nearest place for a number that covers no other."""
    for turn in range(3000):
        far, angle = 0.35 * turn, 0.7 * turn
        x, y = round(spot[0] + far * math.cos(angle), 1), round(spot[1] + far * math.sin(angle), 1)
        inside = not turn or (LEFT + BADGE < x < LEFT + WIDE - BADGE and BADGE < y < high - BADGE)
        if inside and all(math.hypot(x - a, y - b) >= 2.3 * BADGE for a, b in taken):
            return x, y
    return spot


def _graticule(lon: float, lat: float, wide: float, up: float, at: Callable, high: float) -> list[str]:
    """Lines of round degrees with their names, the border, and a scale bar, which holds at the middle latitude."""
    parts, right = [], LEFT + WIDE
    for here, digits in _ticks(lon, wide, 3):
        x, named = at((here, lat))[0], _degrees((here + 180) % 360 - 180, digits, "EW")
        side = "start" if x < LEFT + 20 else "end" if x > right - 24 else "middle"
        parts.append(f'<path class="grid" d="M{x} 1V{high + 5:.1f}"/>')
        parts.append(f'<text x="{x}" y="{high + 16:.1f}" text-anchor="{side}">{named}</text>')
    for here, digits in _ticks(lat, up, 4):
        if abs(here) <= 90:
            y, named = at((lon, here))[1], _degrees(here, digits, "NS")
            parts.append(f'<path class="grid" d="M{LEFT - 4} {y}H{right}"/>')
            parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{named}</text>')
    parts.append(f'<rect class="grid" x="{LEFT}" y="1" width="{WIDE}" height="{high:.1f}"/>')
    metres = 1e6 * float(distance(lon + wide / 1000, lat, (lon, lat)))
    length = _round(metres / 4)
    to, y = LEFT + length / metres * WIDE, high + 30
    said = f"{length / 1000:,.0f} km" if length >= 1000 else f"{length:,.3g} m"
    said += f" at {_degrees(lat, 0, 'NS')}" * (up > 5)
    parts.append(f'<path class="bar" d="M{LEFT} {y - 4:.1f}v4H{to:.1f}v-4"/><text x="{to + 6:.1f}" y="{y:.1f}">{said}')
    return [*parts, "</text>"]


def _ticks(middle: float, span: float, most: int) -> list[tuple[float, int]]:
    """Round numbers in a span, each with the decimal places to name it."""
    step = _round(span / most)
    first, last = math.ceil((middle - span / 2) / step), math.floor((middle + span / 2) / step)
    return [(k * step, max(0, -math.floor(math.log10(step)))) for k in range(first, last + 1)]


def _round(about: float) -> float:
    """1, 2 or 5 times a power of ten: the smallest above three quarters."""
    ten = 10 ** math.floor(math.log10(0.75 * about))
    return next(ten * one for one in (1, 2, 5, 10) if ten * one >= 0.75 * about)


def _degrees(value: float, digits: int, sides: str) -> str:
    side = f" {sides[value < 0]}" if round(value, digits) % 180 else ""
    return f"{abs(value):.{digits}f}°{side}"
