"""Scenes of transport: airport, bridge, harbor, railway station, runway, viaduct.

Each function draws one scene on a ``Canvas`` and returns the attributes that the captions name.
"""

from __future__ import annotations

import math

from rsnb.worlds.toy.draw import ROOFS, Canvas, Point, box, curve, oval, ribbon, shift, tint
from rsnb.worlds.toy.parts import WHITE, block, boat, car, house, path, plane, road, traffic, trees
from rsnb.worlds.toy.places import car_rows, strip, town

Attributes = dict[str, str]
TAILS = {"white": WHITE, "red": (186, 62, 54), "blue": (58, 98, 160)}


def airport(c: Canvas) -> Attributes:
    """A terminal with parked planes, the apron, grass and a runway beyond."""
    n = c.pick("one", "two", "three", "four", "many")
    tail, roof = c.pick("white", "white", "red", "blue"), c.pick("white", "grey", "blue")
    land, lot, runway_ = c.pick("grass", "bare land"), c.chance(0.45), c.chance(0.5)
    c.lift = 8.0 if runway_ else 20.0  # the camera moves towards the terminal
    c.cover("grass" if land == "grass" else "bare")
    c.cover("concrete", box(0, -10, 400, 140), solid=True)
    for x in range(-190, 191, 42):
        c.line([(x, -80), (x, 60)], (140, 139, 134), 1)
    c.line([(-190, 44), (190, 44)], (206, 182, 84), 2)
    if runway_:
        c.poly(box(0, 96, 400, 34), (104, 104, 106), solid=True)
        c.dashes([(-190, 96), (190, 96)], WHITE, 2.5, 16, 12)
        for s in (-1, 1):
            c.line([(-190, 96 + s * 15), (190, 96 + s * 15)], WHITE, 1)
        for x in (-110, 70):
            c.poly(box(x, 70, 24, 26), (112, 112, 112))
    c.cover("asphalt", box(0, -146, 400, 74), solid=True)
    if lot:
        car_rows(c, -180, 180, (-122, -140, -172), 0.75, 0.9)
    else:
        road(c, [(-190, -124), (0, -124), (190, -124)], 20, cars=5)
        c.cover("grass", box(0, -170, 400, 66))
    block(c, 0, -88, 290, 34, 0, ROOFS[roof], 18, 9)
    for k in range(-4, 5):
        c.line([(k * 32, -103), (k * 32, -73)], (*tint(ROOFS[roof], 0.8), 160), 1.5)
    spots = {
        "one": [0.0],
        "two": [-38.0, 38.0],
        "three": [-64.0, 0.0, 64.0],
        "four": [-84.0, -28.0, 28.0, 84.0],
        "many": [-150.0, -100.0, -50.0, 0.0, 50.0, 100.0, 150.0],
    }[n]
    length = {"one": 78, "two": 68, "three": 58, "four": 52, "many": 44}[n]
    for x in spots:
        c.poly(box(x + 9, -66, 5, 22), (206, 206, 204))
        plane(
            c,
            x + c.rng.uniform(-3, 3),
            -52 + length / 2,
            -math.pi / 2 + c.rng.uniform(-0.06, 0.06),
            length,
            TAILS[tail],
        )
        car(c, x + 19, -56, 1.57, 0.9)
    if n == "many":
        for x in (-120.0, -66.0, -12.0, 42.0, 96.0):
            plane(c, x, 26, math.pi / 2, 40, TAILS[tail])
    for x in c.rng.uniform(-120, 120, 4):
        car(c, float(x), 50, 0, 0.9)
    trees(c, 16, 6, where=lambda x, y: y < -150 or y > 122)
    return {
        "n": n,
        "tail": tail,
        "roof": roof,
        "land": land,
        "lot": "lot" if lot else "",
        "runway": "runway" if runway_ else "",
    }


def bridge(c: Canvas) -> Attributes:
    """A road across water."""
    n, form = c.pick("one", "one", "two"), c.pick("plain", "arch", "cables")
    bank = c.pick("trees", "buildings", "bare land", "grass", "houses")
    colour = c.pick("green", "dark blue", "green" if bank == "bare land" else "brown")
    deck, ships = c.pick("grey", "white", "red"), c.chance(0.35)
    c.cover({"trees": "undergrowth", "bare land": "bare", "buildings": "yard"}.get(bank, "grass"))
    half = c.rng.uniform(50, 66)
    shore = [[(x, s * (half + c.rng.uniform(-4, 4))) for x in range(-200, 201, 50)] for s in (-1, 1)]
    c.poly([*curve(shore[0]), *curve(shore[1])[::-1]], (150, 138, 104))
    c.cover(colour, [*shift(curve(shore[0]), 4), *shift(curve(shore[1]), -4)[::-1]], solid=True)
    xs = [c.rng.uniform(-20, 20)] if n == "one" else [-34.0, 34.0]
    width = 30 if n == "one" else 22
    if ships:
        for x in (-90.0, 92.0)[: int(c.rng.integers(1, 3))]:
            boat(c, x, c.rng.uniform(-26, 26), c.rng.uniform(-0.3, 0.3), 32, True)
    tone = {"grey": (126, 126, 126), "white": (196, 194, 188), "red": (166, 92, 74)}[deck]
    for x in xs:
        line: list[Point] = [(x, -200.0), (x, 0.0), (x, 200.0)]
        c.block(ribbon(line, width + 8))
        c.poly(ribbon([(x, -200), (x, 200)], width + 2), (112, 112, 112))
        c.drop(box(x, 0, width + 4, 2 * half + 20), 16, 130)
        if form == "plain":
            for y in range(-int(half) + 10, int(half), 26):
                c.poly(box(x, y, width + 10, 6), (172, 168, 160))
        c.poly(box(x, 0, width + 6, 2 * half + 24), tint(tone, 1.2))
        c.poly(box(x, 0, width, 2 * half + 26), tone)
        c.dashes(line, (228, 226, 214), 1.8, 9, 8)
        if form == "arch":
            for s in (-1, 1):
                rib = [
                    (x + s * (width / 2 + 2 + 7 * math.sin(math.pi * (k / 20))), -half + 2 * half * k / 20)
                    for k in range(21)
                ]
                c.line(rib, (226, 224, 216), 3)
                for a in rib[2:-1:3]:
                    c.line([a, (x + s * (width / 2), a[1])], (226, 224, 216), 1)
        elif form == "cables":
            for y in (-half * 0.45, half * 0.45):
                for k in range(-5, 6):
                    c.line([(x, y), (x + (width / 2) * (1 if k % 2 else -1), y + k * 7)], (232, 230, 222), 1)
                c.drop(box(x, y, width + 12, 5), 26, 120)
                c.poly(box(x, y, width + 14, 6), (226, 224, 218))
        traffic(c, line, int(c.rng.integers(3, 9)), width / 4)
    if bank == "buildings":
        for s in (-1, 1):
            for k in range(-3, 4):
                at = (k * 56 + c.rng.uniform(-4, 4), s * (half + 36))
                if c.free(at[0] - 20, at[1]) and c.free(at[0] + 20, at[1]):
                    block(c, *at, 42, 36, 0, ROOFS[c.pick("white", "grey", "red")], 16)
    elif bank == "houses":
        for y in (-190.0, half + 12):
            town(c, -185, 185, y, y + 178 - half, ["red", "grey"], 24)
    trees(c, {"trees": 190, "bare land": 6, "grass": 24}.get(bank, 16), 8, gap=9 if bank == "trees" else 18)
    return {"n": n, "form": form, "colour": colour, "bank": bank, "deck": deck, "ships": "boats" if ships else ""}


def harbor(c: Canvas) -> Attributes:
    """Piers with boats moored on both sides."""
    c.turn = c.rng.integers(4) * math.pi / 2 + c.rng.uniform(-0.35, 0.35)
    n, fill = c.pick("one", "two", "three"), c.pick("many", "many", "few")
    colour, land, size = (
        c.pick("dark blue", "dark blue", "green"),
        c.pick("parking lot", "road", "buildings", "trees"),
        c.pick("large", "small"),
    )
    c.cover(colour)
    c.block(box(0, -60, 400, 250))
    xs = {"one": [0.0], "two": [-52.0, 52.0], "three": [-80.0, 0.0, 80.0]}[n]
    length = 34 if size == "large" else 23
    if n == "three":
        length = min(length, 27)
    step = length * 0.46
    for x in xs:
        c.drop(box(x, -40, 8, 236), 4)
        c.poly(box(x, -40, 8, 236), (190, 180, 160))
        for s in (-1, 1):
            k, y = 0, -150.0
            while y < 52:
                if k % 2 == 0:
                    c.line([(x, y - step / 2), (x + s * (length + 2), y - step / 2)], (186, 178, 160), 1.5)
                if c.chance(0.93 if fill == "many" else 0.28):
                    boat(c, x + s * (length * 0.5 + 5), y, 0 if s > 0 else math.pi, length * c.rng.uniform(0.85, 1.05))
                y += step
                k += 1
    if n == "one":
        boat(c, 92, -70, c.rng.uniform(0, 6), 32, True)
    c.poly(box(0, 74, 400, 10), (196, 188, 170))
    c.cover("grass", box(0, 140, 400, 124))
    c.taken.paste(0, (0, 0, 256, 256))
    c.block(box(0, -60, 400, 276))
    strip(c, land, 80)
    return {
        "n": n,
        "fill": fill,
        "colour": colour,
        "land": land,
        "size": "small" if n == "three" else size,
        "side": c.side(0, 1),
    }


def railwaystation(c: Canvas) -> Attributes:
    """Tracks, platform roofs, trains, and the station building."""
    roofs = c.pick("two", "three", "four")
    tone = c.pick("white", "grey", "blue", "red")
    train = c.pick(*[name for name in ("white", "red", "blue", "green") if name != tone])
    near, hall_ = c.pick("road", "buildings", "trees", "parking lot", "bare land"), c.chance(0.6)
    c.cover("yard")
    strip(c, near, 92)
    c.cover("gravel", box(0, -34, 400, 176), solid=True)
    covers = {"two": (-66.0, 6.0), "three": (-90.0, -34.0, 22.0), "four": (-104.0, -60.0, -16.0, 28.0)}[roofs]
    lines = [y for k in range(12) if all(abs((y := -116.0 + 14 * k) - v) > 14 for v in covers)]
    for y in lines:
        for k in range(-38, 39):
            c.line([(k * 5, y - 4.5), (k * 5, y + 4.5)], (92, 80, 72), 2)
        for s in (-2.6, 2.6):
            c.line([(-190, y + s), (190, y + s)], (206, 204, 200), 1.5)
    wagon = {"white": (232, 232, 230), "red": (170, 60, 52), "blue": (60, 98, 156), "green": (66, 104, 78)}[train]
    for k, i in enumerate(c.rng.permutation(len(lines))[:2]):
        start = c.rng.uniform(-150, -90) if k == 0 else c.rng.uniform(-60, 0)
        for x in (start + 36 * j for j in range(7)):
            c.drop(box(x, lines[i], 33, 9), 5)
            c.poly(box(x, lines[i], 33, 9), wagon)
            c.poly(box(x, lines[i], 31, 3), tint(wagon, 1.14))
    for v in covers:
        c.poly(box(0, v, 300, 20), (182, 178, 170))
        c.shadow(box(0, v, 210, 15), 9)
        for s in (-1, 1):
            c.poly(box(0, v + s * 4, 210, 8.5), tint(ROOFS[tone], c.light(s * math.pi / 2) * 1.02))
        for k in range(-6, 7):
            c.line([(k * 16, v - 8), (k * 16, v + 8)], (*tint(ROOFS[tone], 0.75), 90), 1)
    if hall_:
        block(c, 0, 71, 170, 30, 0, ROOFS[tone if tone != "blue" else "white"], 20, 4)
    trees(c, 22, 7)
    return {"roofs": roofs, "tone": tone, "train": train, "near": near, "hall": "hall" if hall_ else ""}


def runway(c: Canvas) -> Attributes:
    """A paved strip with its markings; no terminal."""
    n, land = c.pick("one", "one", "two", "crossed"), c.pick("grass", "grass", "bare land")
    jets, taxi, tone = c.pick("", "one", "two"), c.chance(0.5), c.pick("grey", "dark")
    c.cover("grass" if land == "grass" else "bare")
    for x, y in c.scatter(5, 40):
        c.poly(oval(x, y, 60, 12), (*((132, 128, 78) if land == "grass" else (136, 112, 82)), 60))
    paint = {"grey": (140, 139, 138), "dark": (88, 89, 93)}[tone]

    def lane(y: float, width: float, turn: float = 0.0) -> None:
        co, si = math.cos(turn), math.sin(turn)

        def at(a: float, b: float) -> Point:
            return a * co - b * si, y + a * si + b * co

        c.poly([at(-200, -width / 2), at(200, -width / 2), at(200, width / 2), at(-200, width / 2)], paint, solid=True)
        for s in (-1, 1):
            c.line([at(-200, s * (width / 2 - 3)), at(200, s * (width / 2 - 3))], WHITE, 1.3)
        c.dashes([at(-40, 0), at(200, 0)], WHITE, 2.6, 18, 13)
        for k in range(8):  # threshold bars
            v = (k - 3.5) * (width - 10) / 8
            c.line([at(-92, v), at(-62, v)], WHITE, 2.4)
        for _ in range(24):  # rubber
            a, v = c.rng.uniform(-50, 60), c.rng.uniform(-0.14, 0.14) * width
            c.line([at(a, v), at(a + 50, v)], (40, 40, 42, 26), 3)

    wide = 54 if n in ("one",) else 40
    if taxi and n != "crossed":
        path(c, [(-200, 84), (200, 84)], 18, tint(paint, 1.06))
        for x in (-90, 60):
            path(c, curve([(x, 84), (x + 30, 60), (x + 44, 0)]), 16, tint(paint, 1.06))
        c.line([(-190, 84), (190, 84)], (206, 182, 84), 1.3)
    ys = {"one": [0.0], "two": [-46.0, 34.0], "crossed": [0.0]}[n]
    if n == "crossed":
        lane(0, wide, c.rng.uniform(0.9, 1.3))
    for y in ys:
        lane(y, wide)
    for k in range({"": 0, "one": 1, "two": 2}[jets]):
        plane(c, 6.0 + k * 76, ys[-1], 0.0 if k == 0 else 0.02, 52, TAILS["white"])
    trees(c, 6, 7, where=lambda x, y: abs(y) > 100)
    return {"n": n, "land": land, "jets": jets, "taxi": "taxiway" if taxi and n != "crossed" else "", "tone": tone}


def viaduct(c: Canvas) -> Attributes:
    """Roads over roads on pillars: crossing decks and curved ramps."""
    form = c.pick("crossing", "clover", "curved", "clover")
    near, busy = c.pick("trees", "grass", "buildings", "bare land", "houses"), c.pick("many", "few")
    levels = c.pick("two", "three")
    c.cover({"trees": "grass", "bare land": "bare", "buildings": "yard", "houses": "grass"}.get(near, "grass"))
    cars = 12 if busy == "many" else 3

    def deck(line: list[Point], width: float, height: float, n: int) -> None:
        c.drop(ribbon(line, width + 4), height, 105)
        c.poly(ribbon(line, width + 4), (204, 200, 190), solid=True)
        c.poly(ribbon(line, width), (124, 124, 126))
        c.dashes(line, (226, 224, 214), 1.4, 7, 7)
        if n:
            traffic(c, line, n, width / 4)

    flat: list[Point] = [(-200.0, 0.0), (0.0, 0.0), (200.0, 0.0)]
    if form == "clover":
        for sx in (-1, 1):
            for sy in (-1, 1):
                loop = [
                    (sx * (44 + 34 * math.cos(a)), sy * (44 + 34 * math.sin(a)))
                    for a in (2 * math.pi * k / 40 for k in range(41))
                ]
                deck(loop, 11, 2, 1)
                deck(
                    curve([(sx * 200, sy * 24), (sx * 110, sy * 34), (sx * 34, sy * 110), (sx * 24, sy * 200)]),
                    11,
                    3,
                    1,
                )
    elif form == "curved":
        for s in (-1, 1):
            deck(curve([(-200, s * 24), (-60, s * 30), (28 * 1.0, s * 84), (40, s * 200)]), 13, 4, 2)
            deck(curve([(200, s * 18), (90, s * 40), (54, s * 120), (60, s * 200)]), 13, 5, 2)
    deck(flat, 34, 3, cars)
    if form == "crossing":
        deck(curve([(-200, 70), (-60, 54), (60, -50), (200, -66)]), 20, 10, cars // 2)
    deck([(0.0, -200.0), (0.0, 0.0), (0.0, 200.0)], 32, 15, cars)
    if levels == "three":
        deck(curve([(-200, -120), (-70, -40), (50, 40), (120, 200)]), 20, 20, cars // 2)
    if near == "buildings":
        for x, y in c.scatter(14, 44):
            if all(c.free(x + a, y + b) for a in (-22, 0, 22) for b in (-19, 0, 19)):
                block(c, x, y, 38, 32, 0, ROOFS[c.pick("white", "grey", "red")], 16)
    elif near == "houses":
        for x, y in c.scatter(40, 26):
            if all(c.free(x + a, y + b) for a in (-14, 14) for b in (-11, 11)):
                house(c, x, y, 22, 16, 0, ROOFS[c.pick("red", "grey")])
    trees(c, {"trees": 170, "grass": 16, "bare land": 5}.get(near, 20), 7, gap=8 if near == "trees" else 16)
    return {"form": form, "near": near, "busy": busy, "levels": levels}
