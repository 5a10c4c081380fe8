"""Natural side views: one or two groups of things before a background."""

from __future__ import annotations

from random import Random

from rsnb.worlds.web import buildings, creatures, household, vehicles  # noqa: F401  (they register their things)
from rsnb.worlds.web.objects import OBJECTS, DrawnObject
from rsnb.worlds.web.primitives import Pen, SideCanvas, fill, jitter, noise, pick_colour, shade, stripes

OUTDOOR = (
    "field",
    "field",
    "sunset",
    "night",
    "snow",
    "desert",
    "street",
    "mountains",
    "forest",
    "skyline",
    "beach",
    "cloudy",
    "rain",
    "hills",
    "plain",
)
WATER = ("sea", "sea", "lake", "sunset sea", "night sea", "plain")
SKY = ("sky", "sky", "field", "sunset", "mountains", "skyline", "night", "cloudy", "sea")
INDOOR = ("table", "table", "wall", "wall", "shelf", "tiles", "plain", "plain")
COUNT_WEIGHTS = (50, 14, 12, 7, 5, 3, 3, 3, 3)  # 1 to 9


def item(name: str, count: int = 1, colour: str | None = None, **more) -> dict:
    """One group in the tags: name, count, colour and where they hold size, texture, adjectives."""
    return {"name": name, "count": count, "colour": colour, **more}


def background(c: SideCanvas, kind: str, r: Random) -> float:
    """Paint a background; returns where things stand (fraction from the top)."""
    n, horizon = c.size, r.uniform(0.5, 0.72)
    sky = {
        "sunset": (244, 150, 84),
        "sunset sea": (244, 150, 84),
        "night": (22, 26, 58),
        "night sea": (22, 26, 58),
        "cloudy": (176, 182, 190),
        "rain": (128, 138, 150),
        "snow": (206, 216, 230),
    }.get(kind, (140, 192, 236))
    sky = jitter(sky, r, 14)
    if kind in ("plain", "wall", "table", "shelf", "tiles"):
        if kind == "plain":
            c.cover(fill(n, pick_colour(r)[1] if r.random() < 0.6 else (246, 246, 244)))
            return r.uniform(0.72, 0.9)
        wall = pick_colour(r, ["beige", "white", "gray", "blue", "green", "pink", "yellow", "turquoise"])[1]
        field = noise(n, r) if r.random() < 0.5 else stripes(n, 90, r.randint(5, 12))
        c.cover(fill(n, wall, field, 8))
        h = r.uniform(0.66, 0.82)
        if kind == "tiles":
            for k in range(1, 9):
                c.line([(k / 8, 0), (k / 8, 1)], shade(wall, 1.4), 0.008)
                c.line([(0, k / 8), (1, k / 8)], shade(wall, 1.4), 0.008)
            return h
        floor = r.choice([(150, 104, 64), (196, 150, 100), (110, 80, 60), (180, 180, 184)])
        if kind == "shelf":
            c.rect(0, h, 1, h + 0.06, floor)
            return h
        c.cover(
            fill(n, jitter(floor, r), stripes(n, 0, r.randint(8, 16), bend=0.01), 9), [(0, h), (1, h), (1, 1), (0, 1)]
        )
        return h + r.uniform(0.04, 0.12)
    x_grad = stripes(n, 0, 0.25, 1.57)
    c.cover(fill(n, sky, x_grad, 30, None if kind != "sunset" else (250, 214, 120)))
    if kind == "sky":
        return 0.95
    if kind in ("night", "night sea"):
        for _ in range(25):
            x, y = r.random(), r.random() * 0.6
            c.oval(x, y, 0.005, 0.005, (240, 240, 210))
    if kind == "mountains":
        tone = r.choice([(110, 116, 130), (96, 110, 100), (130, 110, 100)])
        for _ in range(r.randint(2, 4)):
            x, w, h = r.random(), r.uniform(0.2, 0.4), r.uniform(0.2, 0.4)
            c.poly([(x - w, horizon), (x, horizon - h), (x + w, horizon)], jitter(tone, r))
            c.poly(
                [(x - w * 0.25, horizon - h * 0.75), (x, horizon - h), (x + w * 0.25, horizon - h * 0.75)],
                (240, 244, 250),
            )
    if kind == "hills":
        for _ in range(3):
            c.oval(r.random(), horizon + 0.05, r.uniform(0.3, 0.5), r.uniform(0.1, 0.25), jitter((96, 158, 80), r))
    if kind == "skyline":
        x = 0.0
        while x < 1:
            w, h = r.uniform(0.05, 0.12), r.uniform(0.1, 0.38)
            c.rect(x, horizon - h, x + w, horizon, jitter((120, 126, 144), r, 24))
            x += w
    if kind == "forest":
        for k in range(16):
            x = k / 15 + r.uniform(-0.03, 0.03)
            Pen(c, x, horizon + 0.02, r.uniform(0.25, 0.4)).poly(((-0.2, 0), (0.2, 0), (0, 1)), jitter((40, 92, 50), r))
    ground = {
        "snow": (240, 243, 248),
        "desert": (222, 186, 122),
        "street": (112, 112, 116),
        "beach": (232, 210, 160),
        "sea": (40, 104, 172),
        "lake": (70, 136, 180),
        "sunset sea": (140, 96, 120),
        "night sea": (18, 34, 76),
        "night": (38, 52, 48),
        "rain": (90, 110, 88),
    }.get(kind, (104, 164, 76))
    area = [(0, horizon), (1, horizon), (1, 1), (0, 1)]
    if "sea" in kind or kind == "lake":
        c.cover(fill(n, jitter(ground, r), stripes(n, 0, r.randint(9, 16), r.random() * 6, 0.012), 14), area)
        if kind == "lake":
            c.oval(r.random(), horizon, 0.5, 0.05, (84, 136, 76))
        return r.uniform(horizon + 0.1, 0.9)
    c.cover(fill(n, jitter(ground, r), noise(n, r), 16), area)
    if kind == "street":
        c.dashed([(0, (horizon + 1) / 2 + 0.1), (1, (horizon + 1) / 2 + 0.1)], (240, 236, 210), 0.015, 0.08)
    if kind == "beach":
        c.cover(
            fill(n, (60, 140, 196), stripes(n, 0, 12, 0, 0.01), 12),
            [(0, horizon - 0.12), (1, horizon - 0.12), (1, horizon), (0, horizon)],
        )
    if kind == "rain":
        for _ in range(40):
            x, y = r.random(), r.random()
            c.line([(x, y), (x - 0.015, y + 0.05)], (196, 204, 216), 0.006)
    return r.uniform(horizon + 0.06, 0.93)


def _group(
    c: SideCanvas, kind: DrawnObject, r: Random, count: int, box, scale: float, colour, texture, arrangement
) -> None:
    """Draw `count` copies within box = (x0, x1, y) with y the baseline."""
    x0, x1, y = box
    columns = count if arrangement == "in a row" or count <= 3 else (count + 1) // 2
    limit = (x1 - x0) / (columns * kind.width)
    s = min(kind.size * scale, limit * 1.05, 0.85, y * 0.97)
    for k in range(count):
        if arrangement == "in a row" or count == 1:
            x, yy, ss = x0 + (x1 - x0) * (k + 0.5) / count, y, s
        else:
            x = x0 + (x1 - x0) * ((k % columns) + 0.5 + r.uniform(-0.15, 0.15)) / columns
            row = k // columns if columns < count else r.choice((0, 0.5, 1))
            yy = y - (1 - row) * s * 0.55 if kind.place != "sky" else y - r.uniform(0, 0.3) - row * 0.1
            ss = s * (0.85 + 0.2 * row)
            yy = max(yy, ss * 0.97)
        tone = colour if count == 1 else jitter(colour, r, 5)
        pen = Pen(c, x, yy, ss, 0 if kind.place != "sky" else r.uniform(-8, 8), r.random() < 0.5, texture)
        kind.draw(pen, tone, r)


def natural(c: SideCanvas, r: Random) -> dict:
    """Draw one natural side view on `c`; returns its tags."""
    names = sorted(OBJECTS)
    kind = OBJECTS[r.choice(names)]
    places = {"ground": OUTDOOR, "water": WATER, "sky": SKY, "indoor": INDOOR}[kind.place]
    place = r.choice(places)
    base = background(c, place, r)
    count = r.choices(range(1, 10), COUNT_WEIGHTS)[0]
    count = min(count, max(2, int(8 / kind.width)), 5 if kind.size > 0.55 else 9)  # no crowd of specks
    name, rgb = pick_colour(r, kind.colours or None)
    texture = r.choice(("striped", "checkered", "dotted")) if r.random() < 0.2 else None
    size = r.choices((None, "small", "large"), (6, 2, 2))[0]
    scale = {None: r.uniform(0.9, 1.2), "small": 0.58, "large": 1.6}[size]
    arrangement = "in a row" if count > 2 and r.random() < 0.5 else None
    second = None
    if r.random() < 0.45:
        pool = [
            t
            for t in map(OBJECTS.get, names)
            if t.name != kind.name
            and (
                t.place == kind.place
                or (t.place == "sky" and place in SKY)
                or (kind.place == "sky" and t.place == "ground" and place not in ("sky", "sea"))
            )
        ]
        second = r.choice(pool)
    tags = {"kind": "natural", "place": place, "relation": None}
    first = item(
        kind.name,
        count,
        None if kind.colours == () else name,
        size=size,
        arrangement=arrangement,
        texture=texture if kind.colours != () and _textured(kind) else None,
    )
    if second is None:
        side = r.choice((None, None, None, "left", "right")) if count == 1 and size != "large" else None
        x0, x1 = {None: (0.06, 0.94), "left": (0.04, 0.42), "right": (0.58, 0.96)}[side]
        y = base if kind.place != "sky" else r.uniform(0.5, 0.85)
        _group(c, kind, r, count, (x0, x1, y), scale, rgb, texture, arrangement)
        tags.update(items=[first], side=side)
        return tags
    name2, rgb2 = pick_colour(r, second.colours or None)
    count2 = 1 if second.width > 1.5 else r.choices((1, 2, 3), (7, 2, 1))[0]
    first["count"] = count = min(count, max(1, int(5 / kind.width)))
    other = item(second.name, count2, None if second.colours == () else name2)
    if (kind.place == "sky") != (second.place == "sky"):
        above, below = (kind, second) if kind.place == "sky" else (second, kind)
        swap = above is second
        spec = {True: (count, rgb, texture), False: (count2, rgb2, None)}
        n_b, c_b, t_b = spec[swap]
        n_a, c_a, t_a = spec[not swap]
        _group(c, below, r, n_b, (0.1, 0.9, max(base, 0.8)), 0.85, c_b, t_b, "in a row")
        _group(c, above, r, n_a, (0.1, 0.9, r.uniform(0.26, 0.38)), 0.8, c_a, t_a, "in a row")
        tags["relation"] = "below" if swap else "above"
        first["arrangement"] = None
    elif kind.place != "sky" and r.random() < 0.3:
        _group(c, second, r, count2, (0.05, 0.95, base - 0.06), 1.3, rgb2, None, "in a row")
        _group(c, kind, r, count, (0.12, 0.88, min(base + 0.08, 0.97)), 0.7, rgb, texture, arrangement)
        tags["relation"] = "in front of"
    else:
        left = r.random() < 0.5
        a, b = ((0.02, 0.5), (0.5, 0.98)) if left else ((0.5, 0.98), (0.02, 0.5))
        y = base if kind.place != "sky" else r.uniform(0.5, 0.8)
        _group(c, second, r, count2, (*b, y), 1, rgb2, None, "in a row")
        _group(c, kind, r, count, (*a, y), scale, rgb, texture, arrangement)
        tags["relation"] = "left of" if left else "right of"
    tags.update(items=[first, other], side=None)
    return tags


TEXTURED = {
    "house",
    "tower",
    "barn",
    "tent",
    "car",
    "truck",
    "balloon",
    "kite",
    "sailboat",
    "fish",
    "person",
    "ball",
    "cup",
    "book",
    "umbrella",
    "lamp",
    "sofa",
    "shirt",
    "box",
    "vase",
    "flag",
}


def _textured(kind: DrawnObject) -> bool:
    return kind.name in TEXTURED
