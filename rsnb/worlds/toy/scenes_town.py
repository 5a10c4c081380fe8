"""Scenes of the town: housing, industry, parking, squares, sports grounds, storage tanks.

Each function draws one scene on a ``Canvas`` and returns the attributes that the captions name.
"""

from __future__ import annotations

import math

from rsnb.worlds.toy.draw import ROOFS, Canvas, box, curve, oval, tint
from rsnb.worlds.toy.parts import block, car, hall, house, path, road, tank, tree, trees
from rsnb.worlds.toy.places import car_rows, court, fountain, lump, pitch, strip, track, winding

Attributes = dict[str, str]
TURF = {"green": (92, 132, 66), "brown": (156, 130, 92)}
CLAY = {"red": (168, 84, 64), "blue": (72, 108, 156), "brown": (150, 112, 84)}


def denseresidential(c: Canvas) -> Attributes:
    """Rows of houses close to each other, cut by roads."""
    roof = c.pick("red", "grey", "white", "brown", "mixed")
    names = {"mixed": ["red", "grey", "white"]}.get(roof, [roof] * 5 + ["grey"])
    roads, green, n = c.pick("one", "two"), c.pick("few", "many"), c.rng.uniform(19, 24)
    c.cover(c.pick("yard", "grass") if green == "few" else "grass")
    lanes = [c.rng.uniform(-30, 30)]
    for y in lanes:
        road(c, [(-190, y), (0, y), (190, y)], 18, "", 5, scale=0.85)
    cross = c.rng.uniform(-40, 40)
    if roads == "two":
        road(c, [(cross, -190), (cross, 0), (cross, 190)], 18, "", 5, scale=0.85)
        c.poly(box(cross, lanes[0], 18, 18), (112, 112, 113))
    for s in (-1, 1):
        for k in range(8):
            y = lanes[0] + s * (21 + k * n * 0.98)
            x = -190 + c.rng.uniform(0, 8)
            while x < 190:
                w = n * c.rng.uniform(1.0, 1.35)
                if roads == "one" or abs(x + w / 2 - cross) > w / 2 + 11:
                    house(c, x + w / 2, y, w - 4, n * 0.7, 0, ROOFS[names[int(c.rng.integers(len(names)))]], 4)
                x += w
    trees(c, 150 if green == "many" else 14, 6 if green == "many" else 5, "green", gap=9)
    return {"roof": roof, "roads": roads, "green": green}


def sparseresidential(c: Canvas) -> Attributes:
    """A few large houses, each on its own land."""
    n = c.pick("one", "one", "two", "three")
    roof, land = c.pick("red", "grey", "white", "brown"), c.pick("lawn", "lawn", "trees", "bare land")
    pool, drive = c.chance(0.4), c.pick("straight", "curved")
    c.cover({"lawn": "grass", "trees": "undergrowth", "bare land": "bare"}[land])
    line = winding(c, 16 if drive == "curved" else 2, 84)
    spots = {
        "one": [(0.0, -8.0)],
        "two": [(-52.0, -16.0), (54.0, -4.0)],
        "three": [(-66.0, 12.0), (0.0, -52.0), (66.0, 6.0)],
    }[n]
    road(c, line, 17, "", 1, (138, 134, 128))
    for x, y in spots:
        x, y = x + c.rng.uniform(-9, 9), y + c.rng.uniform(-9, 9)
        if land != "lawn":
            c.cover("lawn", lump(c, x, y, 50, 42), solid=land == "trees")
        path(c, curve([(x, y), (x + 12, 50), (x + 4, 86)]), 8, (170, 164, 152))
        a, size = c.rng.uniform(-0.4, 0.4), 1.25 if n == "one" else 1.0
        house(c, x, y, 46 * size, 27 * size, a, ROOFS[roof], 10)
        house(c, x + 14 * size * math.cos(a), y + 14 * size, 22 * size, 24 * size, a, ROOFS[roof], 8)
    if pool:
        x, y = spots[0]
        c.poly(box(x - 4, y - 48, 44, 26, 0.1), (214, 206, 190), solid=True)
        c.poly(box(x - 4, y - 48, 36, 18, 0.1), (70, 164, 190))
    trees(
        c,
        {"lawn": 26, "trees": 260, "bare land": 12}[land],
        10 if land == "trees" else 9,
        "green",
        gap=10 if land == "trees" else 16,
    )
    return {"n": n, "roof": roof, "land": land, "pool": "pool" if pool else "", "drive": drive}


def industrial(c: Canvas) -> Attributes:
    """Large halls with ridged roofs, yards, trucks, perhaps chimneys or tanks."""
    roof = c.pick("blue", "white", "grey", "red", "mixed")
    near, extra = c.pick("road", "trees", "river", "bare land"), c.pick("", "tanks", "chimney", "containers")
    n = c.pick("three", "four", "several")
    names = {"mixed": ["blue", "white", "red"]}.get(roof, [roof] * 4 + ["grey"])
    c.cover("yard")
    strip(c, near, 72)
    lots = {
        "three": [(-62, -20, 104, 92), (58, -66, 104, 62), (58, 16, 104, 58)],
        "four": [(-62, -66, 106, 62), (-62, 16, 106, 58), (58, -66, 100, 62), (58, 16, 100, 58)],
        "several": [
            (-84, -70, 66, 54),
            (-4, -70, 70, 54),
            (76, -70, 66, 54),
            (-84, 8, 66, 62),
            (-4, 8, 70, 62),
            (76, 8, 66, 62),
        ],
    }[n]
    for k, (x, y, w, h) in enumerate(lots):
        if extra and k == len(lots) - 1:
            if extra == "tanks":
                for i in range(2):
                    for j in range(2):
                        tank(c, x - 20 + 40 * i, y - 14 + 32 * j, 13, (206, 206, 200), 10)
            elif extra == "chimney":
                c.shadow(oval(x, y, 7, 7), 70, 110)
                c.poly(oval(x, y, 8, 8), (206, 200, 190))
                c.poly(oval(x, y, 4.5, 4.5), (70, 66, 64))
            else:
                for i in range(4):
                    for j in range(5):
                        tone = ((176, 74, 52), (62, 100, 152), (196, 168, 84), (110, 130, 110))[int(c.rng.integers(4))]
                        c.drop(box(x - 33 + 22 * i, y - 20 + 10 * j, 19, 7), 5)
                        c.poly(box(x - 33 + 22 * i, y - 20 + 10 * j, 19, 7), tone)
            continue
        name = names[int(c.rng.integers(len(names)))]
        if c.chance(0.75):
            hall(c, x, y, w - 8, h - 8, 0, ROOFS[name], int(c.rng.integers(2, 5)))
        else:
            block(c, x, y, w - 8, h - 8, 0, ROOFS[name], 14, 5)
    for y in c.rng.uniform(-100, 60, 7):
        car(c, float(-2 if n != "several" else 36), float(y), 1.57, 1.4)
    for k in range(-4, 4):  # what lies behind
        hall(c, k * 84 + 20, -136, 74, 50, 0, ROOFS[names[int(c.rng.integers(len(names)))]], 3)
    return {"roof": roof, "near": near, "extra": extra, "n": "several" if extra else n}


def parking(c: Canvas) -> Attributes:
    """Rows of cars in marked bays."""
    fill = c.pick("full", "full", "half", "few")
    near = c.pick("road", "trees", "buildings", "grass", "")
    isles = c.chance(0.5)
    c.cover("asphalt")
    y0 = 66 if near else 190
    y, k, ys = -178.0, 0, []
    while y < y0 - 16:
        ys.append(y)
        y += 17 if k % 2 == 0 else 38
        k += 1
    share = {"full": 0.94, "half": 0.5, "few": 0.14}[fill]
    car_rows(c, -190, 190, ys, share, 1.25)
    if isles:
        for a, b in zip(ys[0::2], ys[1::2]):
            mid = (a + b) / 2
            for x in range(-168, 180, 84):
                c.poly(box(x, mid, 11, 34), (108, 128, 74))
                for s in (-8, 8):
                    tree(c, x, mid + s, 7)
    if near:
        strip(c, near, y0)
    return {"fill": fill, "near": near, "isles": "trees" if isles else "", "side": c.side(0, 1)}


def playground(c: Canvas) -> Attributes:
    """A running track around a football field."""
    lane, turf = c.pick("red", "red", "blue", "brown"), c.pick("green", "green", "brown")
    near, extra = (
        c.pick("trees", "road", "buildings", "houses", "bare land"),
        c.pick("", "basketball", "tennis", "stand"),
    )
    c.cover("grass" if near != "bare land" else "bare")
    strip(c, near, 84)
    extra_y = -92
    if extra == "basketball":
        for x in (-60, 0, 60):
            c.poly(box(x, extra_y, 52, 30), (96, 128, 104), solid=True)
            c.poly(box(x, extra_y, 44, 23), (176, 108, 78))
            c.line([(x, extra_y - 11), (x, extra_y + 11)], (232, 232, 226), 1.3)
            c.line([*oval(x, extra_y, 5, 5), (x + 5, extra_y)], (232, 232, 226), 1.3)
    elif extra == "tennis":
        for x in (-68, 0, 68):
            court(c, x, extra_y, 0, (70, 110, 160), (86, 128, 92))
    elif extra == "stand":
        c.shadow(box(0, -86, 120, 20), 14)
        for k in range(5):
            c.poly(box(0, -94 + 4 * k, 120, 4), tint((200, 200, 198), 0.82 + 0.07 * k))
    track(c, 0, -4, 52, 60, CLAY[lane], TURF[turf])
    trees(c, 36 if near == "trees" else 16, 8)
    return {"lane": lane, "turf": turf, "near": near, "extra": extra}


def square(c: Canvas) -> Attributes:
    """A paved place with a pattern, something in its middle, streets or buildings around."""
    form, heart = c.pick("round", "square", "round"), c.pick("fountain", "monument", "lawn", "flower bed")
    near, pave = c.pick("roads", "buildings", "trees"), c.pick("white", "grey", "red")
    stone = {"white": (214, 208, 196), "grey": (166, 164, 160), "red": (184, 132, 108)}[pave]
    c.cover("grass" if near == "trees" else "yard")
    if near == "roads":
        for s in (-1, 1):
            road(c, [(-190, s * 100), (0, s * 100), (190, s * 100)], 22, cars=5)
            road(c, [(s * 100, -190), (s * 100, 0), (s * 100, 190)], 22, cars=5)
    elif near == "buildings":
        for k in range(12):
            a = k * math.pi / 6
            d = 112 / max(abs(math.cos(a)), abs(math.sin(a)))
            block(c, d * math.cos(a), d * math.sin(a), 46, 40, 0, ROOFS[c.pick("white", "grey", "red")], 18)
    ring = (lambda r: oval(0, 0, r, r, n=60)) if form == "round" else (lambda r: box(0, 0, 1.8 * r, 1.8 * r))
    for k, r in enumerate((82, 74, 58, 52, 36, 31)):
        c.poly(ring(r), stone if k % 2 == 0 else tint(stone, 0.84), solid=True)
    for k in range(8):
        a = k * math.pi / 4
        c.poly(box(54 * math.cos(a), 54 * math.sin(a), 52, 6, a), tint(stone, 1.06))
    for k in range(4):
        a = (k + 0.5) * math.pi / 2
        d = 58 if form == "round" else 64
        c.poly(oval(d * math.cos(a), d * math.sin(a), 13, 13), (98, 126, 68))
    if heart == "fountain":
        fountain(c, 0, 0, 24)
    elif heart == "monument":
        c.poly(box(0, 0, 32, 32), tint(stone, 0.9))
        c.shadow(box(0, 0, 12, 12), 44, 140)
        c.poly(box(0, 0, 14, 14), (236, 232, 224))
        c.poly(box(0, 0, 6, 6), (190, 184, 172))
    elif heart == "lawn":
        c.poly(ring(26), (96, 128, 66))
    else:
        for r, tone in ((26, (98, 128, 68)), (20, (172, 62, 74)), (11, (212, 178, 76))):
            c.poly(ring(r), tone)
    trees(c, 90 if near == "trees" else 30, 7)
    return {"form": form, "heart": heart, "near": near, "pave": pave}


def stadium(c: Canvas) -> Attributes:
    """Stands around a field, under a ring roof."""
    roof, form = c.pick("white", "grey", "red", "blue"), c.pick("oval", "oval", "round")
    near, inner = c.pick("parking lot", "trees", "roads", "buildings"), c.pick("track", "field")
    c.cover("concrete" if near == "parking lot" else "grass")
    if near in ("parking lot", "buildings"):
        strip(c, near, 96)
    if near == "roads":
        for s in (-1, 1):
            road(c, [(-190, s * 108), (0, s * 108), (190, s * 108)], 22, cars=5)
    rx, ry = (112, 84) if form == "oval" else (90, 88)
    c.poly(oval(0, 0, rx + 10, ry + 10, n=60), (178, 174, 166), solid=True)
    c.shadow(oval(0, 0, rx, ry, n=60), 20, 130)
    tone = ROOFS[roof]
    for k in range(48):  # roof panels, each lit by the sun in its own way
        a, b = 2 * math.pi * k / 48, 2 * math.pi * (k + 1) / 48
        quad = [(f * rx * math.cos(t), f * ry * math.sin(t)) for f, t in ((1, a), (1, b), (0.6, b), (0.6, a))]
        c.poly(quad, tint(tone, c.light(a) * (1.03 if k % 2 else 0.95)))
    seat = ((150, 150, 156), (84, 110, 160), (176, 92, 80))[int(c.rng.integers(3))]
    for f, dark in ((0.72, 0.72), (0.66, 0.9), (0.6, 1.05)):
        c.poly(oval(0, 0, rx * f, ry * f, n=60), tint(seat, dark))
    if inner == "track":
        c.poly(oval(0, 0, rx * 0.55, ry * 0.55, n=60), (172, 86, 66))
        c.poly(oval(0, 0, rx * 0.47, ry * 0.45, n=60), (88, 128, 62))
        pitch(c, 0, 0, rx * 0.72, ry * 0.5, (92, 136, 66))
    else:
        c.poly(oval(0, 0, rx * 0.55, ry * 0.55, n=60), (84, 122, 60))
        pitch(c, 0, 0, rx * 0.86, ry * 0.66, (94, 138, 68))
    trees(c, 60 if near == "trees" else 18, 7)
    return {"roof": roof, "form": form, "near": near, "inner": inner}


def storagetanks(c: Canvas) -> Attributes:
    """Round tanks in a row or a grid."""
    n = c.pick("two", "three", "four", "six", "many")
    tone = c.pick("white", "white", "grey", "brown")
    paint = {"white": (230, 228, 220), "grey": (158, 162, 166), "brown": (146, 112, 86)}[tone]
    near, floor = c.pick("road", "trees", "river", "bare land", "buildings"), c.pick("bare", "yard", "grass")
    c.cover(floor)
    strip(c, near, 80)
    spots, r = {
        "two": ([(-50, -10), (50, -10)], 40),
        "three": ([(-78, -10), (0, -10), (78, -10)], 32),
        "four": ([(-44, -52), (44, -52), (-44, 30), (44, 30)], 32),
        "six": ([(-74, -48), (0, -48), (74, -48), (-74, 28), (0, 28), (74, 28)], 28),
        "many": ([(-144 + 48 * i, -132 + 48 * j) for i in range(7) for j in range(5)], 19),
    }[n]
    for x, y in spots:  # low walls around the tanks
        if n != "many":
            frame = box(x, y, 2 * r + 12, 2 * r + 12)
            c.line([*frame, frame[0]], (190, 184, 170), 3)
    c.line([(-190, spots[0][1] + r + 9), (190, spots[0][1] + r + 9)], (184, 182, 176), 2.5)
    for x, y in spots:
        tank(c, x, y, r * c.rng.uniform(0.93, 1), paint, 18 if n != "many" else 11)
    trees(c, 8, 7, where=lambda x, y: y < 70)
    return {"n": n, "tone": tone, "near": near, "floor": {"bare": "bare land", "yard": "", "grass": "grass"}[floor]}


def tenniscourt(c: Canvas) -> Attributes:
    """Courts side by side."""
    n = c.pick("one", "two", "three", "four", "six")
    inside, outside = (("blue", "green"), ("green", "red"), ("red", "green"), ("blue", "red"), ("green", "green"))[
        int(c.rng.integers(5))
    ]
    tones = {"blue": (62, 104, 164), "green": (86, 138, 98), "red": (176, 88, 66)}
    near = c.pick("trees", "road", "houses", "parking lot", "grass")
    c.cover("grass")
    strip(c, near, 72)
    spots, s, a = {
        "one": ([(0, -8)], 1.7, 0.0),
        "two": ([(-40, -8), (40, -8)], 1.55, math.pi / 2),
        "three": ([(-58, -10), (0, -10), (58, -10)], 1.4, math.pi / 2),
        "four": ([(-50, -50), (50, -50), (-50, 18), (50, 18)], 1.35, 0.0),
        "six": ([(-52, -54), (0, -54), (52, -54), (-52, 24), (0, 24), (52, 24)], 1.2, math.pi / 2),
    }[n]
    out = tones[outside] if inside != outside else (64, 108, 76)
    for x, y in spots:
        court(c, x, y, a, tones[inside], out, s)
    trees(c, 60 if near == "trees" else 26, 8)
    return {"n": n, "inside": inside, "outside": outside, "near": near}
