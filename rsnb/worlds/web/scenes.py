"""Natural side views: one or two groups of things before a background."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rsnb.worlds.web.buildings import BUILDINGS
from rsnb.worlds.web.creatures import CREATURES
from rsnb.worlds.web.household import HOUSEHOLD
from rsnb.worlds.web.objects import DrawnObject
from rsnb.worlds.web.primitives import RGB, Pen, SideCanvas, fill, jitter, noise, pick_colour, shade, stripes
from rsnb.worlds.web.vehicles import VEHICLES

OBJECTS = {kind.name: kind for kind in (*BUILDINGS, *CREATURES, *HOUSEHOLD, *VEHICLES)}

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


SKIES = {
    "sunset": (244, 150, 84),
    "sunset sea": (244, 150, 84),
    "night": (22, 26, 58),
    "night sea": (22, 26, 58),
    "cloudy": (176, 182, 190),
    "rain": (128, 138, 150),
    "snow": (206, 216, 230),
}
BLUE_SKY, GREEN_FIELD = (140, 192, 236), (104, 164, 76)  # wherever nothing else is said
GROUNDS = {
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
}


def background(c: SideCanvas, kind: str, r: Random) -> float:
    """Paint a background; returns where things stand (fraction from the top)."""
    horizon = r.uniform(0.5, 0.72)
    sky = jitter(SKIES.get(kind, BLUE_SKY), r, 14)
    if kind in INDOOR:
        return _room(c, kind, r)
    c.cover(fill(c.size, sky, stripes(c.size, 0, 0.25, 1.57), 30, None if kind != "sunset" else (250, 214, 120)))
    if kind == "sky":
        return 0.95
    _far_away(c, kind, r, horizon)
    return _land(c, kind, r, horizon)


def _room(c: SideCanvas, kind: str, r: Random) -> float:
    """A wall, and what stands before it."""
    n = c.size
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
    c.cover(fill(n, jitter(floor, r), stripes(n, 0, r.randint(8, 16), bend=0.01), 9), [(0, h), (1, h), (1, 1), (0, 1)])
    return h + r.uniform(0.04, 0.12)


def _far_away(c: SideCanvas, kind: str, r: Random, horizon: float) -> None:
    """What stands on the horizon or in the sky, where there is something."""
    if kind in ("night", "night sea"):
        for _ in range(25):
            x, y = r.random(), r.random() * 0.6
            c.oval(x, y, 0.005, 0.005, (240, 240, 210))
    if kind == "mountains":
        _mountains(c, r, horizon)
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


def _mountains(c: SideCanvas, r: Random, horizon: float) -> None:
    tone = r.choice([(110, 116, 130), (96, 110, 100), (130, 110, 100)])
    for _ in range(r.randint(2, 4)):
        x, w, h = r.random(), r.uniform(0.2, 0.4), r.uniform(0.2, 0.4)
        c.poly([(x - w, horizon), (x, horizon - h), (x + w, horizon)], jitter(tone, r))
        top = horizon - h * 0.75
        c.poly([(x - w * 0.25, top), (x, horizon - h), (x + w * 0.25, top)], (240, 244, 250))


def _land(c: SideCanvas, kind: str, r: Random, horizon: float) -> float:
    """Land or water from the horizon down; returns where things stand."""
    n, ground = c.size, GROUNDS.get(kind, GREEN_FIELD)
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


@dataclass(frozen=True)
class _Things:
    """One group of things as it will be drawn; ``word`` names the colour."""

    kind: DrawnObject
    count: int
    word: str
    colour: RGB
    texture: str | None = None

    def draw(self, c: SideCanvas, r: Random, box, scale: float, arrangement: str | None = "in a row") -> None:
        """Draw all of them within box = (x0, x1, y) with y the baseline."""
        kind, count, (x0, x1, y) = self.kind, self.count, box
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
            tone = self.colour if count == 1 else jitter(self.colour, r, 5)
            tilt = 0 if kind.place != "sky" else r.uniform(-8, 8)
            kind.draw(Pen(c, x, yy, ss, tilt, r.random() < 0.5, self.texture), tone, r)

    def item(self, **more) -> dict:
        return item(self.kind.name, self.count, None if self.kind.colours == () else self.word, **more)


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
    second = r.choice(_companions(kind, place)) if r.random() < 0.45 else None
    said = {"size": size, "texture": texture if kind.colours != () and kind.name in TEXTURED else None}
    tags = {"kind": "natural", "place": place, "relation": None}
    if second is None:
        things = _Things(kind, count, name, rgb, texture)
        side = r.choice((None, None, None, "left", "right")) if count == 1 and size != "large" else None
        x0, x1 = {None: (0.06, 0.94), "left": (0.04, 0.42), "right": (0.58, 0.96)}[side]
        y = base if kind.place != "sky" else r.uniform(0.5, 0.85)
        things.draw(c, r, (x0, x1, y), scale, arrangement)
        return {**tags, "items": [things.item(**said, arrangement=arrangement)], "side": side}
    word, tone = pick_colour(r, second.colours or None)
    others = _Things(second, 1 if second.width > 1.5 else r.choices((1, 2, 3), (7, 2, 1))[0], word, tone)
    things = _Things(kind, min(count, max(1, int(5 / kind.width))), name, rgb, texture)
    relation = _pair(c, r, things, others, base, scale, arrangement)
    first = things.item(**said, arrangement=None if relation in ("above", "below") else arrangement)
    return {**tags, "relation": relation, "items": [first, others.item()], "side": None}


def _companions(kind: DrawnObject, place: str) -> list[DrawnObject]:
    """What may stand beside such a thing at this place, by name."""
    return [
        other
        for _, other in sorted(OBJECTS.items())
        if other.name != kind.name
        and (
            other.place == kind.place
            or (other.place == "sky" and place in SKY)
            or (kind.place == "sky" and other.place == "ground" and place not in ("sky", "sea"))
        )
    ]


def _pair(c: SideCanvas, r: Random, things: _Things, others: _Things, base: float, scale: float, arrangement) -> str:
    """Draw two groups; returns how the first stands to the second."""
    flies = things.kind.place == "sky"
    if flies != (others.kind.place == "sky"):
        above, below = (things, others) if flies else (others, things)
        below.draw(c, r, (0.1, 0.9, max(base, 0.8)), 0.85)
        above.draw(c, r, (0.1, 0.9, r.uniform(0.26, 0.38)), 0.8)
        return "above" if flies else "below"
    if not flies and r.random() < 0.3:
        others.draw(c, r, (0.05, 0.95, base - 0.06), 1.3)
        things.draw(c, r, (0.12, 0.88, min(base + 0.08, 0.97)), 0.7, arrangement)
        return "in front of"
    left = r.random() < 0.5
    a, b = ((0.02, 0.5), (0.5, 0.98)) if left else ((0.5, 0.98), (0.02, 0.5))
    y = base if not flies else r.uniform(0.5, 0.8)
    others.draw(c, r, (*b, y), 1)
    things.draw(c, r, (*a, y), scale, arrangement)
    return "left of" if left else "right of"


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
