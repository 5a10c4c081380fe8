"""Scenes of land and water: beach, farmland, forest, meadow, park, pond, river.

Each function draws one scene on a ``Canvas`` and returns what is in it: the attributes that the
captions name (see ``phrases.py``).
"""

from __future__ import annotations

import math

from PIL import Image

from rsnb.worlds.toy.draw import ROOFS, Canvas, Point, box, curve, oval, ribbon, rows, shift, tint
from rsnb.worlds.toy.parts import BOAT, boat, house, path, road, tree, tree_row, trees, water
from rsnb.worlds.toy.places import fountain, lump, strip, town, winding

Attributes = dict[str, str]
CROPS = {"green": (104, 132, 64), "yellow": (186, 164, 96), "brown": (136, 108, 78), "dark green": (70, 98, 54)}


def beach(c: Canvas) -> Attributes:
    """Sea, white waves, sand and what lies behind it."""
    c.turn = c.rng.integers(4) * math.pi / 2 + c.rng.uniform(-0.3, 0.3)
    sea, sand = c.pick("dark blue", "light blue", "green"), c.pick("sand", "sand", "white sand", "grey sand")
    land, shape = c.pick("trees", "houses", "road", "bare land", "meadow"), c.pick("straight", "curved")
    c.cover(sand)
    edge = winding(c, 26 if shape == "curved" else 3, -18)
    for offset, alpha in ((7, 60), (3, 110)):  # wet sand
        c.poly([*shift(edge, offset), (200, -200), (-200, -200)], (120, 104, 80, alpha))
    c.cover(sea, [*edge, (200, -200), (-200, -200)], solid=True)
    c.poly(ribbon(shift(edge, -9), 18), (112, 160, 158, 110))
    for k, offset in enumerate((-1.5, -13, -28)):
        for a, b in ((0, 0.36), (0.3, 0.72), (0.68, 1.0)):
            piece = shift(edge, offset + c.rng.uniform(-3, 3))
            piece = piece[int(a * len(piece)) : int(b * len(piece)) + 1]
            if k == 0 or c.chance(0.75):
                c.line(piece, (240, 244, 242, 230 - 60 * k), 4 - k)
    y0 = 62
    if land == "trees":
        c.cover("undergrowth", [*winding(c, 8, y0), (200, 200), (-200, 200)])
        trees(c, 130, 8, "green", lambda x, y: y > y0 - 2)
    elif land == "meadow":
        c.cover("grass", [*winding(c, 8, y0), (200, 200), (-200, 200)])
    elif land == "bare land":
        c.cover("bare", [*winding(c, 8, y0), (200, 200), (-200, 200)])
    else:
        c.cover("grass", box(0, 140, 400, 150))
        road(c, [(-190, y0 + 12), (0, y0 + 12), (190, y0 + 12)], 18, cars=5)
        if land == "houses":
            town(c, -180, 180, y0 + 26, 190, ["red", "white"], 26)
        trees(c, 18, 7, where=lambda x, y: y > y0 + 28)
    crowd = c.chance(0.35)
    if crowd:
        for x, y in c.scatter(34, 9, lambda x, y: 6 < y < y0 - 12):
            c.drop(oval(x, y, 3.4, 3.4), 4, 110)
            c.poly(oval(x, y, 3.4, 3.4), ((206, 62, 54), (60, 104, 176), (240, 240, 236))[int(c.rng.integers(3))])
    sail = not crowd and c.chance(0.4)
    if sail:
        for x in c.rng.uniform(-80, 80, int(c.rng.integers(1, 3))):
            boat(c, float(x), float(c.rng.uniform(-104, -80)), c.rng.uniform(0, 6.3), 26, True)
    return {
        "sea": sea.replace("light blue", "bright blue"),
        "sand": {"sand": "yellow", "white sand": "white"}.get(sand, "grey"),
        "land": land,
        "shape": shape,
        "side": c.side(0, -1),
        "extra": "umbrellas" if crowd else "boats" if sail else "",
    }


def crops(c: Canvas, name: str, angle: float = 0.0) -> Image.Image:
    """Crop rows in one of ``CROPS``, along the local y axis when ``angle`` is 0."""
    tone = tint(CROPS[name], c.rng.uniform(0.92, 1.08))
    return rows(c.rng, tint(tone, 0.93), tint(tone, 1.07), c.turn + angle, c.rng.uniform(5, 8))


def farmland(c: Canvas) -> Attributes:
    """Fields: strips, blocks or circles, in one or two crops, cut by a road, a river or nothing."""
    layout = c.pick("strips", "blocks", "blocks", "circles")
    first = c.pick(*CROPS)
    second = c.pick(*[k for k in CROPS if k != first])
    near = c.pick("road", "river", "house", "trees", "", "")

    papers = {(name, k): crops(c, name, k * math.pi / 2) for name in (first, second) for k in (0, 1)}

    c.cover("dry grass")
    if layout == "circles":
        c.cover("bare")
        r = 62 if c.chance(0.5) else 84
        for i in range(-2, 3):
            for j in range(-2, 3):
                c.fill(
                    oval(i * (2 * r + 6) + 20, j * (2 * r + 6) + 20, r, r, n=60),
                    papers[first if (i + j) % 2 else second, 0],
                )
                if c.chance(0.6):
                    a = c.rng.uniform(0, 6.3)
                    x, y = i * (2 * r + 6) + 20, j * (2 * r + 6) + 20
                    c.line([(x, y), (x + r * math.cos(a), y + r * math.sin(a))], (200, 196, 180), 1.5)
    else:
        w = c.rng.uniform(24, 34) if layout == "strips" else c.rng.uniform(66, 92)
        h = 400 if layout == "strips" else c.rng.uniform(54, 76)
        for i in range(-int(190 / w) - 1, int(190 / w) + 2):
            for j in range(-int(190 / h) - 1, int(190 / h) + 2):
                lift = (i % 2) * h * 0.4
                c.fill(
                    box(i * w, j * h + lift, w - 2.5, h - 2.5),
                    papers[first if c.chance(0.6) else second, int(layout == "blocks" and c.chance(0.3))],
                )
    if near == "road":
        road(c, winding(c, 5, c.rng.uniform(-40, 40)), 14, "", 2, (186, 170, 140))
    elif near == "river":
        water(c, ribbon(winding(c, 22, c.rng.uniform(-40, 40)), 24), c.pick("green", "dark blue"))
    elif near == "house":
        x, y = c.rng.uniform(-50, 50, 2)
        c.cover("grass", lump(c, x, y, 40, 34))
        house(c, x - 14, y, 34, 22, 0.2, ROOFS["red"])
        house(c, x + 20, y + 8, 24, 16, 1.6, ROOFS["grey"])
        trees(c, 6, 7, where=lambda u, v: abs(u - x) < 38 and abs(v - y) < 32)
    elif near == "trees":
        y = c.rng.uniform(-50, 50)
        tree_row(c, [(-190, y), (190, y)], 7, 12)
    return {"layout": layout, "first": first, "second": second, "near": near}


def forest(c: Canvas) -> Attributes:
    """A closed canopy, perhaps with a road, a river, a clearing, a lake or a house in it."""
    kind = c.pick("dark green", "dark green", "green", "light green", "yellow")
    thing = c.pick("", "", "road", "river", "clearing", "lake", "house")
    c.cover("undergrowth")
    x, y = (float(v) for v in c.rng.uniform(-45, 45, 2))
    shape = c.pick("straight", "curved")
    if thing == "road":
        road(c, winding(c, 40 if shape == "curved" else 3), 15, "", 1, (176, 160, 130))
    elif thing == "river":
        water(c, ribbon(winding(c, 40 if shape == "curved" else 5), 28), c.pick("green", "dark blue"))
    elif thing == "clearing":
        c.cover(c.pick("bare", "dry grass"), lump(c, x, y, 56, 44, 0.25), solid=True)
    elif thing == "lake":
        water(c, lump(c, x, y, 54, 42, 0.2), c.pick("green", "dark blue"))
    elif thing == "house":
        c.cover("grass", lump(c, x, y, 46, 40), solid=True)
        house(c, x, y, 38, 26, c.rng.uniform(0, 3), ROOFS["red"], 9)
    size = c.rng.uniform(8.5, 12)
    trees(c, 520, size, kind, gap=size * 0.92)
    return {"kind": kind, "thing": thing, "shape": shape}


def meadow(c: Canvas) -> Attributes:
    """Open grass with little on it."""
    tone = c.pick("green", "green", "yellow", "light green")
    thing = c.pick("", "tree", "trees", "path", "bare", "pond", "two paths")
    c.cover({"green": "grass", "yellow": "dry grass", "light green": "meadow"}[tone])
    for x, y in c.scatter(5, 40):
        c.poly(lump(c, x, y, 34, 26, 0.3), (*((78, 96, 56) if tone != "yellow" else (150, 134, 80)), 40))
    x, y = (float(v) for v in c.rng.uniform(-50, 50, 2))
    if thing == "tree":
        tree(c, x, y, 15, "green")
    elif thing == "trees":
        trees(c, int(c.rng.integers(8, 14)), 10, c.pick("green", "dark green"), gap=24)
    elif thing in ("path", "two paths"):
        path(c, winding(c, 30, y / 2), 7)
        if thing == "two paths":
            path(c, [(b, a) for a, b in winding(c, 20, x / 2)], 7)
    elif thing == "bare":
        c.cover("bare", lump(c, x, y, 50, 36, 0.35))
    elif thing == "pond":
        water(c, lump(c, x, y, 26, 20), "green")
    return {"tone": tone, "thing": thing}


def park(c: Canvas) -> Attributes:
    """Lawns, curved paths, trees, with a lake, a round flower bed or a fountain in the middle."""
    heart = c.pick("lake", "lake", "flower bed", "fountain", "lawn")
    near = c.pick("road", "buildings", "houses", "")
    sea = c.pick("green", "dark blue")
    c.cover("lawn")
    ring: list[Point] = lump(c, 0, 0, 66, 58, 0.14)
    for k in range(5):
        a = k * 1.257 + c.rng.uniform(-0.3, 0.3)
        path(
            c,
            curve(
                [
                    (50 * math.cos(a), 50 * math.sin(a)),
                    (105 * math.cos(a + 0.35), 105 * math.sin(a + 0.35)),
                    (200 * math.cos(a), 200 * math.sin(a)),
                ]
            ),
            7,
        )
    path(c, [*ring, ring[0]], 7)
    bridge = False
    if heart == "lake":
        shore = lump(c, 0, 0, 52, 42, 0.24)
        water(c, shore, sea)
        bridge = c.chance(0.4)
        if bridge:
            c.drop(box(4, 0, 9, 110), 5)
            c.poly(box(4, 0, 9, 110), (206, 196, 176))
    elif heart == "flower bed":
        for r, tone in ((40, (206, 196, 176)), (35, (168, 66, 78)), (24, (206, 172, 70)), (13, (92, 120, 62))):
            c.poly(oval(0, 0, r, r), tone, solid=True)
    elif heart == "fountain":
        c.poly(oval(0, 0, 44, 44), (198, 188, 170), solid=True)
        fountain(c, 0, 0, 24)
    if near:
        strip(c, near, 74)
    dense = c.pick("many", "some")
    trees(c, 110 if dense == "many" else 42, 8, "green", lambda x, y: math.hypot(x, y) > 62)
    trees(c, 9, 7, "light green", lambda x, y: math.hypot(x, y) > 58)
    return {
        "heart": heart,
        "near": near,
        "water": sea if heart == "lake" else "",
        "dense": dense,
        "bridge": "bridge" if bridge else "",
    }


def pond(c: Canvas) -> Attributes:
    """One or two still waters with a closed shore."""
    n = c.pick("one", "one", "one", "two")
    near = c.pick("grass", "trees", "farmland", "bare land", "houses", "road")
    colour = c.pick("green", "dark blue", "light blue", "green" if near == "bare land" else "brown")
    if near == "farmland":
        papers = [crops(c, name) for name in ("green", "yellow", "brown")]
        for i in range(-3, 4):
            c.fill(box(i * 58, 0, 55, 400), papers[int(c.rng.integers(3))])
    else:
        c.cover({"trees": "undergrowth", "bare land": "bare"}.get(near, "grass"))
    spots = [(0.0, 0.0, 72, 56)] if n == "one" else [(-50.0, -14.0, 42, 48), (54.0, 16.0, 40, 42)]
    shores = [lump(c, x + c.rng.uniform(-8, 8), y + c.rng.uniform(-8, 8), rx, ry, 0.16) for x, y, rx, ry in spots]
    for shore in shores:
        water(c, shore, colour, (168, 150, 112))
    island = n == "one" and c.chance(0.3)
    if island:
        c.cover("grass", lump(c, 6, 0, 18, 14))
        for x, y in ((0, 0), (12, 3), (5, -6)):
            tree(c, x, y, 7)
    if near == "trees":
        trees(c, 300, 9, c.pick("green", "dark green"), gap=9)
    elif near == "houses":
        town(c, -185, 185, -185, -72, ["red", "grey"], 26)
        town(c, -185, 185, 72, 185, ["red", "grey"], 26)
    elif near == "road":
        road(c, [(-190, 92), (0, 92), (190, 92)], 20, cars=4)
    if near not in ("trees", "bare land", "farmland"):
        trees(c, 20, 7)
    return {
        "n": n,
        "colour": colour.replace("light blue", "bright blue"),
        "near": near,
        "island": "island" if island else "",
    }


def river(c: Canvas) -> Attributes:
    """Running water from edge to edge: curved or straight, narrow or wide, with its two banks."""
    shape = c.pick("curved", "curved", "straight")
    bank = c.pick("trees", "farmland", "houses", "grass", "bare land")
    colour = c.pick("green", "dark blue", "green" if bank == "bare land" else "brown")
    width = c.pick("wide", "narrow")
    if bank == "farmland":
        papers = [crops(c, name) for name in ("green", "yellow", "brown")]
        for i in range(-4, 5):
            c.fill(box(i * 46, 0, 44, 400), papers[int(c.rng.integers(3))])
    else:
        c.cover({"trees": "undergrowth", "bare land": "bare"}.get(bank, "grass"))
    line = winding(c, (46 if width == "narrow" else 34) if shape == "curved" else 4)
    w = 58 if width == "wide" else 30
    fork = c.chance(0.2)
    if fork:
        water(c, ribbon(curve([(0, 0), (40, 60), (30, 120), (60, 200)]), w * 0.6), colour)
    water(c, ribbon(line, w), colour)
    if fork:
        c.cover(colour, ribbon(line, w - 4), solid=True)
    extra = ""
    x, y = line[len(line) // 2]
    if not fork and width == "wide" and c.chance(0.35):
        extra = "island"
        c.cover(c.pick("sand", "grass"), lump(c, x, y, 38, 13, 0.2))
        tree(c, x, y, 7)
    elif c.chance(0.3):
        extra = "boat"
        boat(c, x, y, c.rng.uniform(-0.4, 0.4), 30, True, BOAT)
    if bank == "trees":
        trees(c, 300, 9, c.pick("green", "dark green"), gap=10)
    elif bank == "houses":
        town(c, -185, 185, -185, 185, [c.pick("red", "grey"), "white"], 24)
    else:
        tree_row(c, shift(line, w / 2 + 10), 6, 22)
        trees(c, 10, 7)
    return {"shape": shape, "colour": colour, "bank": bank, "width": width, "extra": "fork" if fork else extra}
