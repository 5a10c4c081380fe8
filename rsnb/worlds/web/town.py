"""Towns, traffic and industry seen from above in the web's manner: maps, cartoons, drone shots."""

from __future__ import annotations

import math
from random import Random

from rsnb.worlds.web.above import Plan, adj, blob, scene
from rsnb.worlds.web.patterns import layout
from rsnb.worlds.web.primitives import Pen, jitter, pick_colour, shade
from rsnb.worlds.web.scenes import item


@scene(3)
def houses(p: Plan, r: Random):
    """Rows of houses, from packed to scattered."""
    packed = r.choice(("dense", "dense", "sparse", None))
    p.ground("pave" if packed == "dense" and r.random() < 0.5 else "grass")
    colour, rgb = pick_colour(r, ["red", "gray", "brown", "orange", "blue", "white", "beige"])
    if packed == "sparse":
        n = r.randint(2, 6)
        if r.random() < 0.6:
            p.road(p.winding(0.05), 0.06)
        p.trees(r.randint(5, 25), 0.04)
        for x, y in layout(r, "scattered", n):
            p.roof(x, y, r.uniform(0.12, 0.17), 0.1, r.choice((0, 90, r.uniform(0, 180))), jitter(rgb, r))
        return [item("house", n, colour, **adj("scattered")), item("tree", 20, None)], "among"
    rows, cols = (r.randint(4, 6), r.randint(5, 8)) if packed else (3, r.randint(3, 4))
    h = 1 / rows
    for i in range(rows):
        y = (i + 0.5) * h
        if i % 2 == 0:
            p.road([(0, y + h / 2), (1, y + h / 2)], h * 0.22, False)
        for j in range(cols):
            x = (j + 0.5) / cols
            p.roof(
                x,
                y - (h * 0.08 if i % 2 == 0 else -h * 0.08),
                0.72 / cols,
                h * 0.5,
                r.choice((0, 0, 90)) if not packed else 0,
                jitter(rgb, r),
            )
            if not packed or r.random() < 0.25:
                p.tree(x + 0.45 / cols, y + h * 0.2, 0.1 * h)
    return [
        item("house", rows * cols, colour, arrangement="in rows", **adj(packed)),
        item("street", 2, None, **adj("narrow" if packed else None)),
    ], "along"


@scene(2)
def city(p: Plan, r: Random):
    """Blocks of buildings in a street grid."""
    p.c.rect(0, 0, 1, 1, p.pal["road"])
    m = r.randint(2, 4)
    step = 1 / m
    park = (r.randrange(m), r.randrange(m)) if r.random() < 0.4 else None
    for i in range(m):
        for j in range(m):
            x, y = i * step + step * 0.1, j * step + step * 0.1
            w = step * 0.8
            if (i, j) == park:
                p.ground("grass", [(x, y), (x + w, y), (x + w, y + w), (x, y + w)])
                p.trees(6, 0.08 * step, (x, y, x + w, y + w))
                continue
            p.c.rect(x, y, x + w, y + w, p.pal["pave"])
            k = r.choice((1, 2, 2, 3))
            for a in range(k):
                for b in range(k):
                    p.roof(
                        x + w * (a + 0.5) / k,
                        y + w * (b + 0.5) / k,
                        w / k * r.uniform(0.6, 0.9),
                        w / k * r.uniform(0.6, 0.9),
                        0,
                        jitter(r.choice([p.pal["roof"], (150, 150, 158), (190, 186, 180), (110, 116, 130)]), r),
                        "flat",
                    )
    for _ in range(r.randint(0, 14)):
        k = r.randrange(m + 1) * step
        p.car(*((k, r.random()) if r.random() < 0.5 else (r.random(), k)), 0.05, r.choice((0, 90)))
    items = [
        item("building", 20, None, arrangement="in blocks", **adj(r.choice(("tall", "dense", "busy", None)))),
        item("street", 4, None),
    ]
    return (items[:1] + [item("park", 1, None, **adj("small", "green"))], "around") if park else (items, "between")


@scene(2)
def tanks(p: Plan, r: Random):
    p.ground(r.choice(("soil", "pave", "grass")))
    n = r.choice((1, 2, 3, 4, 6, 9))
    colour, rgb = pick_colour(r, ["white", "white", "gray", "beige", "blue", "red"])
    arrangement = r.choice(("in a row", "in a grid", "scattered", "in a cluster")) if n > 2 else "in a row"
    q = 0.26 if n == 1 else 0.15 if n == 2 else 0.1
    spots = layout(r, arrangement, n, 0.26)
    for x, y in spots:
        p.tank(x, y, q * (1 if arrangement != "in a cluster" else 0.6), jitter(rgb, r, 5))
    return [item("tank", len(spots), colour, arrangement=arrangement if n > 2 else None, **adj("round"))], None


@scene()
def stadium(p: Plan, r: Random):
    p.ground(r.choice(("pave", "grass")))
    a, b = r.uniform(0.38, 0.46), r.uniform(0.3, 0.36)
    colour, rgb = pick_colour(r, ["white", "gray", "blue", "red", "beige"])
    p.shade_of(0.5, 0.5, a, b, box=False)
    p.c.oval(0.5, 0.5, a, b, rgb)
    p.c.oval(0.5, 0.5, a * 0.86, b * 0.84, shade(rgb, 0.7))
    p.c.oval(0.5, 0.5, a * 0.7, b * 0.68, (96, 170, 80))
    if r.random() < 0.7:
        p.court(0.5, 0.5, a * 0.95, "football", 0)
    return [
        item("stadium", 1, colour, **adj(r.choice(("oval", "round", "large")))),
        item("football field", 1, "green"),
    ], "with"


@scene()
def track_field(p: Plan, r: Random):
    p.ground("grass")
    colour, rgb = pick_colour(r, ["red", "orange", "blue", "brown"])
    for k, tone in enumerate((rgb, shade(rgb, 1.3), rgb, shade(rgb, 1.3), rgb, (104, 176, 84))):
        q = 0.26 - k * 0.016
        p.c.rect(0.3, 0.5 - q, 0.7, 0.5 + q, tone)
        p.c.oval(0.3, 0.5, q, q, tone)
        p.c.oval(0.7, 0.5, q, q, tone)
    p.c.rect(0.3, 0.5 - 0.18, 0.7, 0.5 + 0.18, (104, 176, 84))
    p.court(0.5, 0.5, 0.46, "football")
    return [item("running track", 1, colour, **adj("oval")), item("football field", 1, "green")], "around"


@scene(2)
def courts(p: Plan, r: Random):
    kind = r.choice(("tennis", "tennis", "basketball", "football"))
    p.ground(r.choice(("grass", "pave", "wood")))
    n = r.choice((1, 1, 2, 3, 4))
    colour, rgb = r.choice(
        (("green", (70, 150, 80)), ("blue", (56, 110, 190)), ("red", (190, 84, 62)), ("orange", (214, 136, 76)))
    )
    w, angle = {1: r.uniform(0.5, 0.75), 2: 0.5, 3: 0.44, 4: 0.38}[n], r.choice((0, 90))
    spots = (
        [(0.5, 0.5)]
        if n == 1
        else [(0.5, (k + 0.5) / n) for k in range(n)]
        if n < 4
        else [(0.27, 0.3), (0.73, 0.3), (0.27, 0.7), (0.73, 0.7)]
    )
    if 1 < n < 4:
        w, angle = min(w, 1.55 / n * 0.9), 0
    if n == 4:
        angle = 0
    for x, y in spots:
        p.court(x, y, w, kind, angle, rgb)
    if r.random() < 0.5:
        for k in range(8):
            p.tree(k / 7, r.choice((0.04, 0.96)), 0.04)
    return [
        item(
            {"football": "football field"}.get(kind, kind + " court"),
            n,
            colour,
            arrangement="side by side" if n > 1 else None,
        )
    ], None


@scene()
def pools(p: Plan, r: Random):
    p.ground(r.choice(("grass", "pave")))
    n = r.choice((1, 1, 2, 3))
    for x, y in layout(r, "scattered", n) if n > 1 else [(0.55, 0.55)]:
        s = 0.5 if n == 1 else 0.2
        if r.random() < 0.5:
            p.c.rect(x - s * 0.56, y - s * 0.36, x + s * 0.56, y + s * 0.36, (240, 232, 214))
            p.c.rect(x - s / 2, y - s * 0.3, x + s / 2, y + s * 0.3, (70, 190, 226))
            if n == 1:
                for k in range(1, 5):
                    p.c.dashed(
                        [(x - s / 2, y - s * 0.3 + k * s * 0.12), (x + s / 2, y - s * 0.3 + k * s * 0.12)],
                        (240, 250, 255),
                        0.01,
                        0.03,
                    )
        else:
            p.c.poly(blob(r, x, y, s * 0.5), (240, 232, 214))
            p.c.poly(blob(r, x, y, s * 0.4, 0.1), (70, 190, 226))
    m = r.choice((0, 1, 1, 2))
    for k in range(m):
        p.roof(0.2 + 0.5 * k, 0.14, 0.28, 0.18)
    return [item("swimming pool", n, "blue")] + ([item("house", m, None)] if m else []), "behind"


@scene()
def plaza(p: Plan, r: Random):
    p.ground("pave")
    step = r.uniform(0.08, 0.16)
    for k in range(int(1 / step) + 1):
        p.c.line([(k * step, 0), (k * step, 1)], shade(p.pal["pave"], 0.88), 0.008)
        p.c.line([(0, k * step), (1, k * step)], shade(p.pal["pave"], 0.88), 0.008)
    q = r.uniform(0.12, 0.2)
    mid = r.choice(("fountain", "statue", "flower bed"))
    p.c.oval(0.5, 0.5, q * 1.2, q * 1.2, shade(p.pal["pave"], 0.75))
    p.c.oval(0.5, 0.5, q, q, {"fountain": (90, 180, 226), "statue": (222, 214, 196), "flower bed": (120, 180, 90)}[mid])
    if mid == "flower bed":
        for _ in range(14):
            a, d = r.random() * 6.28, r.random() * q * 0.8
            p.c.oval(
                0.5 + d * math.cos(a),
                0.5 + d * math.sin(a),
                0.015,
                0.015,
                pick_colour(r, ["red", "pink", "yellow", "purple"])[1],
            )
    else:
        p.c.oval(0.5, 0.5, q * 0.3, q * 0.3, (246, 246, 246) if mid == "fountain" else (120, 116, 108))
    edge = r.choice(("tree", "building", None))
    for k in range(8):
        if edge == "tree":
            p.tree(0.08 if k % 2 else 0.92, 0.1 + 0.27 * (k // 2), 0.06)
        elif edge == "building":
            p.roof(0.12 + 0.25 * (k % 4), 0.06 if k < 4 else 0.94, 0.2, 0.14, 0, None, "flat")
    items = [
        item(r.choice(("plaza", "town square")), 1, None, **adj("paved" if r.random() < 0.4 else None)),
        item(mid, 1, None),
    ]
    if edge and r.random() < 0.5:
        return [items[0], item(edge, 20, None)], "surrounded by"
    return items, "with"


@scene(2)
def factories(p: Plan, r: Random):
    p.ground(r.choice(("pave", "soil")))
    n = r.choice((1, 2, 3, 4))
    colour, rgb = pick_colour(r, ["gray", "blue", "white", "red", "brown"])
    for k in range(n):
        y = (k + 0.5) / n if n > 1 else 0.5
        w, h = r.uniform(0.5, 0.7), min(0.3, 0.7 / n)
        p.roof(0.42, y, w, h, 0, jitter(rgb, r, 6), "flat")
        for j in range(6):
            x = 0.42 - w / 2 + w * (j + 0.5) / 6
            p.c.line([(x, y - h * 0.45), (x, y + h * 0.45)], shade(rgb, 0.7), 0.012)
    c = r.choice((0, 1, 2, 3))
    for k in range(c):
        x, y = 0.86, 0.2 + 0.28 * k
        p.shade_of(x, y, 0.04, 0.04, box=False)
        p.c.oval(x, y, 0.045, 0.045, (170, 90, 70))
        p.c.oval(x, y, 0.025, 0.025, (40, 40, 44))
        if r.random() < 0.6:
            for j in range(4):
                p.c.oval(x + 0.03 + j * 0.035, y - 0.02 - j * 0.03, 0.03 + j * 0.01, 0.03 + j * 0.01, (222, 222, 226))
    first = item(r.choice(("factory", "warehouse")), n, colour, **adj(r.choice(("large", "industrial", None))))
    return [first] + ([item("chimney", c, None, **adj(r.choice(("smoking", None))))] if c else []), "with"


@scene()
def play_area(p: Plan, r: Random):
    p.ground(r.choice(("sand", "grass", "pave")))
    p.c.poly(blob(r, 0.5, 0.5, 0.36), pick_colour(r, ["beige", "orange", "turquoise", "red"])[1])
    for x, y in layout(r, "scattered", r.randint(4, 7)):
        k, rgb = r.randrange(4), pick_colour(r, ["red", "yellow", "blue", "green", "purple"])[1]
        pen = Pen(p.c, x, y, 0.14, r.uniform(0, 180))
        if k == 0:
            pen.rect(-0.5, -0.14, 0.5, 0.14, rgb)
            pen.rect(-0.5, -0.25, -0.25, 0.25, shade(rgb, 0.7))
        elif k == 1:
            p.c.oval(x, y, 0.06, 0.06, rgb)
            p.c.oval(x, y, 0.03, 0.03, shade(rgb, 1.4))
        elif k == 2:
            pen.rect(-0.3, -0.3, 0.3, 0.3, (236, 216, 160))
        else:
            pen.line(((-0.5, -0.3), (-0.5, 0.3)), rgb, 0.1)
            pen.line(((0.5, -0.3), (0.5, 0.3)), rgb, 0.1)
            pen.line(((-0.5, 0), (0.5, 0)), rgb, 0.1)
    p.trees(r.randint(2, 8), 0.05, (0, 0, 1, 0.12))
    return [
        item("playground", 1, None, **adj("colorful")),
        item(r.choice(("slide", "swing", "tree")), 20, None),
    ], "with"


@scene()
def panels(p: Plan, r: Random):
    p.ground(r.choice(("grass", "soil", "sand")))
    rows = r.randint(3, 7)
    for i in range(rows):
        y = (i + 0.5) / rows
        for j in range(8):
            p.c.rect(0.05 + j * 0.113, y - 0.28 / rows, 0.155 + j * 0.113, y + 0.28 / rows, (40, 62, 120))
        p.c.line([(0.05, y), (0.95, y)], (120, 150, 210), 0.006)
    return [item("solar panel", rows * 8, "blue", arrangement="in rows")], None
