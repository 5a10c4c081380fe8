"""Land and water seen from above in the web's manner: fields, woods, lakes, rivers, coasts, gardens."""

from __future__ import annotations

import math
from random import Random

from rsnb.worlds.web.above import Plan, adj, blob, scene
from rsnb.worlds.web.patterns import layout
from rsnb.worlds.web.primitives import COLOURS, Pen, fill, jitter, pick_colour, shade, stripes
from rsnb.worlds.web.scenes import item


@scene(2)
def road_through(p: Plan, r: Random):
    """A road through woods, lawn or desert."""
    ground = r.choice(("wood", "grass", "sand", "soil"))
    p.ground(ground)
    bend = r.choice(("straight", "winding"))
    if ground == "wood":
        p.trees(110, 0.045)
    pts = p.winding(0 if bend == "straight" else r.uniform(0.1, 0.2))
    p.road(pts, r.uniform(0.05, 0.12))
    n = r.choice((0, 0, 1, 1, 2, 3))
    colour, rgb = pick_colour(r, ["red", "white", "blue", "yellow", "black"])
    for _ in range(n):
        i = r.randrange(2, 14)
        (x0, y0), (x1, y1) = pts[i], pts[i + 1]
        p.car(x0, y0, 0.09, -math.degrees(math.atan2(y1 - y0, x1 - x0)), rgb)
    second = {"wood": "forest", "grass": "lawn", "sand": "desert", "soil": "bare land"}[ground]
    items = [item("road", 1, None, **adj(bend)), item(second, 1, None)]
    if n:
        return [item("car", n, colour), items[0]], "on"
    return items, "through"


@scene(3)
def fields(p: Plan, r: Random):
    """A patchwork of fields, or one field with furrows."""
    c = p.c
    tones = [
        (150, 180, 80),
        (200, 180, 90),
        (120, 150, 70),
        (170, 130, 80),
        (220, 200, 120),
        (90, 140, 70),
        p.pal["soil"],
        p.pal["grass"],
    ]
    if r.random() < 0.4:
        name, tone = r.choice((("green", (110, 160, 70)), ("yellow", (222, 196, 84)), ("brown", (150, 110, 74))))
        word, angle = r.choice((("horizontal", 0), ("vertical", 90), ("diagonal", 40), ("diagonal", 130)))
        tone = jitter(tone, r)
        c.cover(fill(c.size, tone, stripes(c.size, angle, r.uniform(7, 16)), other=shade(tone, r.uniform(0.6, 0.85))))
        if r.random() < 0.5:
            p.car(
                r.uniform(0.25, 0.75), r.uniform(0.25, 0.75), 0.12, -angle, COLOURS[r.choice(("red", "green", "blue"))]
            )
            return [item("tractor", 1, None), item("field", 1, name, **adj("ploughed"))], "on"
        return [item("field", 1, name), item("furrow", 20, None, **adj("parallel", word))], "with"
    m, k = r.randint(2, 4), r.randint(2, 4)
    cut = [i / m + (r.uniform(-0.06, 0.06) if 0 < i < m else 0) for i in range(m + 1)]
    row = [i / k + (r.uniform(-0.06, 0.06) if 0 < i < k else 0) for i in range(k + 1)]
    for i in range(m):
        for j in range(k):
            tone = jitter(r.choice(tones), r, 14)
            box = [(cut[i], row[j]), (cut[i + 1], row[j]), (cut[i + 1], row[j + 1]), (cut[i], row[j + 1])]
            f = stripes(c.size, r.choice((0, 90, 45)), r.uniform(8, 18)) if r.random() < 0.6 else None
            c.cover(fill(c.size, tone, f, 14), box)
            c.line(box + box[:1], p.pal["edge"] if r.random() < 0.4 else shade(tone, 0.7), 0.008)
    second = r.choice((None, "farmhouse", "road", "tree"))
    if second == "farmhouse":
        p.roof(r.uniform(0.2, 0.8), r.uniform(0.2, 0.8), 0.16, 0.1)
    elif second == "road":
        p.road([(cut[1], -0.1), (cut[1], 1.1)], 0.04, False)
    elif second:
        p.trees(r.randint(4, 9), 0.04)
    first = item(
        "field",
        m * k,
        None,
        arrangement=r.choice((None, "like a patchwork")),
        **adj(r.choice(("square", "different", None))),
    )
    return [first] + ([item(second, 20 if second == "tree" else 1, None)] if second else []), "and"


@scene()
def orchard(p: Plan, r: Random):
    p.ground(r.choice(("grass", "soil")))
    m = r.randint(4, 8)
    for i in range(m):
        for j in range(m):
            p.tree((i + 0.5) / m, (j + 0.5) / m, 0.3 / m)
    return [item("tree", m * m, None, arrangement=r.choice(("in a grid", "in rows")))], None


@scene(3)
def woods(p: Plan, r: Random):
    kind = r.choice(("dense", "dense", "sparse", "clearing"))
    p.ground("wood" if kind != "sparse" else r.choice(("grass", "soil", "sand")))
    p.trees(r.randint(90, 150) if kind != "sparse" else r.randint(6, 20), r.uniform(0.035, 0.07))
    if kind == "clearing":
        p.ground(
            "grass",
            [
                (0.5 + r.uniform(0.2, 0.3) * math.cos(k), 0.5 + r.uniform(0.2, 0.3) * math.sin(k))
                for k in (0, 1, 2, 3, 4, 5)
            ],
        )
        n = r.choice((0, 1, 2))
        for k in range(n):
            p.roof(0.42 + 0.17 * k, 0.5, 0.13, 0.09)
        return [item("clearing", 1, None), item("forest", 1, None)] if not n else [
            item("cabin", n, None),
            item("forest", 1, None, **adj("dark")),
        ], "in"
    if kind == "dense":
        return [item("forest", 1, None, **adj(r.choice(("dense", "thick", "green"))))], None
    return [item("tree", 20, None, **adj("sparse")), item(r.choice(("lawn", "open land")), 1, None)], "on"


@scene(2)
def lake(p: Plan, r: Random):
    around = r.choice(("grass", "wood", "sand", "pave", "soil"))
    p.ground(around)
    if around == "wood":
        p.trees(100, 0.05)
    x, y, q = r.uniform(0.4, 0.6), r.uniform(0.4, 0.6), r.choice((0.16, 0.25, 0.34))
    pts = blob(r, x, y, q)
    if r.random() < 0.5:
        p.c.poly([(x + (a - x) * 1.12, y + (b - y) * 1.12) for a, b in pts], p.pal["sand"])
    p.ground("water", pts)
    n = r.choice((0, 0, 1, 2))
    for _ in range(n):
        p.boat(x + r.uniform(-0.5, 0.5) * q, y + r.uniform(-0.5, 0.5) * q, 0.1, r.uniform(0, 360))
    if around in ("grass", "pave"):
        for _ in range(r.randint(0, 12)):
            a = r.random() * 6.28
            p.tree(x + q * 1.5 * math.cos(a), y + q * 1.5 * math.sin(a), 0.04)
    size = {0.16: "small", 0.34: "large"}.get(q)
    second = {"grass": "lawn", "wood": "forest", "sand": "sand", "pave": "path", "soil": "bare land"}[around]
    return [
        item("lake" if q > 0.2 else "pond", 1, None, size=size, **adj(r.choice(("round", "calm", None)))),
        item(second, 1, None),
    ], "surrounded by"


@scene(3)
def river(p: Plan, r: Random):
    side = r.choice(("grass", "wood", "pave", "soil", "sand"))
    p.ground(side)
    if side == "wood":
        p.trees(100, 0.045)
    bend = r.choice(("winding", "winding", "straight"))
    w = r.choice((0.08, 0.14, 0.24))
    across = r.random() < 0.5
    pts = p.winding(r.uniform(0.1, 0.2) if bend == "winding" else 0, across)
    p.c.line(pts, p.pal["sand"], w * 1.3)
    p.c.line(pts, p.pal["water"], w)
    if side == "pave":
        for _ in range(16):
            x, y = r.random(), r.random()
            if min(abs(x - a) + abs(y - b) for a, b in pts) > w * 0.5 + 0.12:
                p.roof(x, y, 0.1, 0.08, r.choice((0, 90)))
    n = r.choice((0, 0, 1, 1, 2, 3))
    for k in range(n):
        x, y = pts[round(2 + 12 * (k + 1) / (n + 1))]
        end = [(x - w, y), (x + w, y)] if across else [(x, y - w), (x, y + w)]
        long = [(-0.1, y), (1.1, y)] if across else [(x, -0.1), (x, 1.1)]
        p.c.line(long, p.pal["road"], 0.045)
        p.c.line(end, (186, 120, 76) if r.random() < 0.4 else p.pal["edge"], 0.065)
        p.c.line(end, p.pal["road"], 0.04)
    b = r.choice((0, 0, 1, 2)) if w > 0.1 else 0
    for _ in range(b):
        x, y = r.choice(pts[2:-2])
        p.boat(x, y, 0.1, (90 if across else 0) + r.uniform(-25, 25))
    first = item("river", 1, None, **adj(bend, {0.08: "narrow", 0.24: "wide"}.get(w)))
    if n:
        return [item("bridge", n, None), first], "over"
    if b:
        return [item("boat", b, None), first], "on"
    return [
        first,
        item(
            {"grass": "meadow", "wood": "forest", "pave": "town", "soil": "bare land", "sand": "desert"}[side], 1, None
        ),
    ], "through"


@scene(2)
def coast(p: Plan, r: Random):
    p.ground("water")
    y, ph = r.uniform(0.35, 0.6), r.random() * 6
    edge = [(k / 12, y + 0.05 * math.sin(k * 0.8 + ph)) for k in range(13)]
    p.ground("sand", edge + [(1, 1), (0, 1)])
    p.c.line(edge, (248, 250, 250), 0.03)
    if r.random() < 0.5:
        p.c.line([(a, b - 0.08) for a, b in edge], (226, 240, 246), 0.015)
    if r.random() < 0.6:
        p.ground(r.choice(("grass", "wood")), [(a, b + 0.28) for a, b in edge] + [(1, 1), (0, 1)])
    n = r.choice((0, 3, 6, 10))
    for _ in range(n):
        x, yy, q = r.uniform(0.05, 0.95), y + r.uniform(0.08, 0.24), 0.035
        rgb = pick_colour(r, ["red", "blue", "yellow", "orange", "pink"])[1]
        p.c.oval(x, yy, q, q, rgb)
        p.c.line([(x - q, yy), (x + q, yy)], (250, 250, 250), 0.01)
        p.c.line([(x, yy - q), (x, yy + q)], (250, 250, 250), 0.01)
    b = r.choice((0, 0, 1, 2, 3))
    for _ in range(b):
        p.boat(r.uniform(0.1, 0.9), r.uniform(0.06, y - 0.14), 0.1, r.uniform(0, 360))
    first = item("beach", 1, None, **adj(r.choice(("sandy", "white", None))))
    if n:
        return [item("umbrella", n, None, **adj("colorful")), first], "on"
    if b:
        return [item("boat", b, None), first], "off"
    return [first, item("wave", 20, None, **adj("white"))], "with"


@scene(3)
def marina(p: Plan, r: Random):
    p.ground("water")
    h = r.uniform(0.12, 0.25)
    p.ground(r.choice(("pave", "sand", "grass")), [(0, 0), (1, 0), (1, h), (0, h)])
    k, n = r.randint(1, 3), 0
    colour, rgb = r.choice(
        (
            ("white", (248, 248, 246)),
            ("white", (248, 248, 246)),
            pick_colour(r, ["red", "blue", "yellow"]),
            (None, None),
        )
    )
    s = r.uniform(0.11, 0.16)
    for i in range(k):
        x, end = (i + 0.5) / k, r.uniform(0.7, 0.95)
        p.c.rect(x - 0.025, h, x + 0.025, end, (164, 120, 80) if r.random() < 0.6 else p.pal["edge"])
        y = h + 0.07
        while y < end:
            for side in (-1, 1):
                if r.random() < 0.8:
                    p.boat(x + side * (0.03 + s / 2), y, s, 0 if side > 0 else 180, rgb)
                    n += 1
            y += s * 0.5
    if not n:
        p.boat(0.5, 0.6, s, 0, rgb)
    return [
        item("boat", max(n, 1), colour, **adj(r.choice(("docked", "moored", None)))),
        item("pier", k, None, **adj(r.choice(("wooden", "long", None)))),
    ], "at"


@scene()
def island(p: Plan, r: Random):
    p.ground("water")
    n = r.choice((1, 1, 2, 3))
    for x, y in layout(r, "scattered", n) if n > 1 else [(0.5, 0.5)]:
        q = 0.3 / math.sqrt(n)
        p.c.poly(blob(r, x, y, q), p.pal["sand"])
        p.ground("grass", blob(r, x, y, q * 0.75))
        p.trees(5, q * 0.18, (x - q * 0.4, y - q * 0.4, x + q * 0.4, y + q * 0.4))
    return [
        item("island", n, None, **adj(r.choice(("green", "small", None)))),
        item(r.choice(("sea", "ocean", "lake")), 1, None),
    ], "in"


@scene(2)
def garden(p: Plan, r: Random):
    """A park or garden with paths."""
    p.ground("grass")
    n = r.choice((1, 2, 2))
    for k in range(n):
        p.c.line(p.winding(0.12, k == 0), p.pal["sand"] if sum(p.pal["sand"]) < 700 else p.pal["edge"], 0.04)
    p.trees(r.randint(8, 26), 0.05)
    if r.random() < 0.45:
        p.ground("water", blob(r, 0.5, 0.5, 0.16))
        return [item(r.choice(("park", "garden")), 1, None, **adj("green")), item("pond", 1, None)], "with"
    return [
        item(r.choice(("park", "garden")), 1, None, **adj(r.choice(("green", "lush", None)))),
        item("path", n, None, **adj("winding")),
    ], "with"


@scene()
def herd(p: Plan, r: Random):
    p.ground(r.choice(("grass", "grass", "soil")))
    n, name = r.choice((1, 3, 5, 8, 12)), r.choice(("sheep", "cow", "horse"))
    rgb = {"sheep": (242, 240, 232), "cow": (90, 60, 44), "horse": (140, 84, 44)}[name]
    spots = layout(r, r.choice(("scattered", "in a cluster")), n) if n > 1 else [(0.5, 0.5)]
    for x, y in spots:
        pen = Pen(p.c, x, y, 0.07 if n > 1 else 0.2, r.uniform(0, 360))
        pen.oval(0, 0, 0.5, 0.26, rgb)
        pen.oval(0.52, 0, 0.16, 0.13, shade(rgb, 0.5))
    return [item(name, len(spots), None), item("meadow", 1, None, **adj("green"))], "on"


@scene(2)
def open_land(p: Plan, r: Random):
    key, name = r.choice(
        (
            ("grass", "meadow"),
            ("grass", "lawn"),
            ("sand", "desert"),
            ("soil", "bare land"),
            ("water", "sea"),
            ("wood", "grassland"),
        )
    )
    p.ground(key, amount=18)
    n = r.choice((0, 1, 2, 4))
    if key != "water":
        p.trees(n, 0.05)
    else:
        for _ in range(n):
            p.boat(r.uniform(0.15, 0.85), r.uniform(0.15, 0.85), 0.14, r.uniform(0, 360))
    first = item(name, 1, None, **adj(r.choice(("open", "empty", "wide", "flat"))))
    return [first] + ([item("boat" if key == "water" else "tree", n, None)] if n else []), "with"
