"""Traffic and transport, and close-ups, seen from above in the web's manner: maps, games, drone shots."""

from __future__ import annotations

import math
from random import Random

from rsnb.worlds.web.above import Plan, adj, scene
from rsnb.worlds.web.patterns import layout
from rsnb.worlds.web.primitives import COLOURS, Pen, jitter, pick_colour, shade
from rsnb.worlds.web.scenes import item


@scene()
def crossroads(p: Plan, r: Random):
    p.ground(r.choice(("grass", "pave", "soil")))
    w = r.uniform(0.1, 0.2)
    p.road([(0.5, -0.1), (0.5, 1.1)], w)
    p.road([(-0.1, 0.5), (1.1, 0.5)], w)
    p.c.rect(0.5 - w / 2, 0.5 - w / 2, 0.5 + w / 2, 0.5 + w / 2, p.pal["road"])
    n = r.randint(0, 6)
    colour, rgb = pick_colour(r, ["red", "yellow", "white", "blue"])
    for k in range(n):
        t = r.uniform(0.05, 0.4) + (0.5 if r.random() < 0.5 else 0)
        p.car(*((t, 0.5 + w * 0.25) if k % 2 else (0.5 - w * 0.25, t)), w * 0.8, 90 * (1 - k % 2), rgb)
    for x, y in ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)):
        if r.random() < 0.6:
            p.roof(x, y, 0.2, 0.16)
        else:
            p.trees(3, 0.05, (x - 0.1, y - 0.1, x + 0.1, y + 0.1))
    items = [item("crossroads", 1, None, **adj(r.choice(("busy", None)) if n > 3 else "empty" if not n else None))]
    return (items + [item("car", n, colour)], "with") if n else (items, None)


@scene()
def roundabout(p: Plan, r: Random):
    p.ground(r.choice(("grass", "pave")))
    w = r.uniform(0.08, 0.13)
    for a in range(r.choice((3, 4, 4))):
        t = a * math.pi / 2 + 0.1
        p.road([(0.5, 0.5), (0.5 + 0.8 * math.cos(t), 0.5 + 0.8 * math.sin(t))], w, False)
    q = r.uniform(0.2, 0.28)
    p.c.oval(0.5, 0.5, q * 1.05, q * 1.05, p.pal["edge"])
    p.c.oval(0.5, 0.5, q, q, p.pal["road"])
    p.c.oval(0.5, 0.5, q - w, q - w, p.pal["grass"])
    p.tree(0.5, 0.5, (q - w) * 0.5)
    n = r.randint(0, 4)
    for _ in range(n):
        a = r.random() * 6.28
        p.car(0.5 + (q - w / 2) * math.cos(a), 0.5 + (q - w / 2) * math.sin(a), w * 0.7, 90 - math.degrees(a))
    return [item("roundabout", 1, None)] + ([item("car", n, None)] if n else []), "with"


@scene(2)
def car_park(p: Plan, r: Random):
    p.ground("road" if p.name in ("cartoon", "drone", "winter", "autumn") else "pave")
    rows, cols = r.randint(2, 4), r.randint(4, 8)
    occupied = r.choice((0, 0.3, 0.8, 0.97))
    n = 0
    for i in range(rows):
        y = (i + 0.5) / rows
        for j in range(cols + 1):
            p.c.line(
                [(0.04 + 0.92 * j / cols, y - 0.3 / rows), (0.04 + 0.92 * j / cols, y + 0.3 / rows)],
                (250, 250, 245),
                0.01,
            )
        for j in range(cols):
            if r.random() < occupied:
                p.car(0.04 + 0.92 * (j + 0.5) / cols, y, min(0.5 / rows, 0.85 * 0.92 / cols / 0.46), 90)
                n += 1
    word = {0: "empty", 0.3: "half empty", 0.97: "full"}.get(occupied)
    if n == 0:
        return [item("parking lot", 1, None, **adj("empty")), item("line", 20, "white", **adj("parallel"))], "with"
    return [item("car", n, None, arrangement="in rows"), item("parking lot", 1, None, **adj(word))], "in"


@scene(2)
def station(p: Plan, r: Random):
    """Tracks and trains, with or without platforms."""
    p.ground(r.choice(("soil", "pave", "grass")))
    n = r.choice((1, 2, 3, 4, 6))
    colour, rgb = pick_colour(r, ["red", "blue", "green", "yellow", "white", "gray", "orange"])
    top = 0.5 - 0.055 * n
    for k in range(n):
        p.rails([(-0.05, top + 0.11 * (k + 0.5)), (1.05, top + 0.11 * (k + 0.5))], 0.05)
    t = r.choice((0, 1, 1, 2)) if n > 1 else r.choice((0, 1))
    for k in r.sample(range(n), t):
        p.train(r.uniform(0.3, 0.7), top + 0.11 * (k + 0.5), r.uniform(0.4, 0.8), 0, rgb, r.randint(2, 5), 0.055)
    items = (
        [item("train", t, colour), item("track", n, None, **adj("parallel" if n > 1 else "straight"))]
        if t
        else [item("track", n, None, **adj("parallel" if n > 1 else "straight"))]
    )
    if n > 1 and r.random() < 0.55:
        p.c.rect(0.1, top - 0.12, 0.9, top - 0.02, p.pal["edge"])
        p.roof(0.5, top - 0.2, 0.5, 0.13, 0, None, "flat")
        return items[:1] + [item("train station", 1, None)], "at"
    return items, "on"


@scene(2)
def airfield(p: Plan, r: Random):
    """Airplanes at a terminal or on the apron."""
    p.ground(r.choice(("pave", "grass", "road")))
    p.c.rect(0, 0.3, 1, 1, p.pal["pave"] if r.random() < 0.5 else shade(p.pal["road"], 1.1))
    n = r.choice((1, 2, 3, 4, 5))
    colour, rgb = r.choice(
        (("white", (248, 248, 248)), ("white", (248, 248, 248)), pick_colour(r, ["red", "blue", "yellow"]))
    )
    if r.random() < 0.6:
        p.roof(0.5, 0.2, 0.95, 0.2, 0, (190, 194, 202), "flat")
        for k in range(n):
            x = (k + 0.5) / n
            p.c.line([(x, 0.28), (x, 0.4)], (150, 154, 160), 0.035)
            p.plane(x, 0.3 + 0.55 * min(0.36, 0.9 / n), min(0.36, 0.9 / n), 90, rgb)
        return [item("airplane", n, colour, **adj(r.choice(("parked", None)))), item("terminal", 1, None)], "at"
    spots = layout(r, r.choice(("in a row", "scattered", "in a column")), n, 0.3)
    for x, y in spots:
        p.plane(x, y, 0.4 if n == 1 else 0.24, r.choice((0, 45, 90, 180)), rgb)
    return [item("airplane", len(spots), colour, **adj(r.choice(("parked", None)))), item("airfield", 1, None)], "on"


@scene(2)
def runway(p: Plan, r: Random):
    p.ground(r.choice(("grass", "soil", "sand")))
    w, y = r.uniform(0.14, 0.24), r.uniform(0.4, 0.6)
    p.c.rect(0, y - w / 2, 1, y + w / 2, p.pal["road"] if sum(p.pal["road"]) < 500 else (130, 130, 136))
    for side in (-1, 1):
        p.c.line([(0, y + side * w * 0.44), (1, y + side * w * 0.44)], (250, 250, 250), 0.01)
    p.c.dashed([(0.2, y), (1, y)], (250, 250, 250), 0.015, 0.07)
    for k in range(6):
        yy = y + w * (k - 2.5) * 0.13
        p.c.line([(0.04, yy), (0.15, yy)], (250, 250, 250), 0.012)
    if r.random() < 0.5:
        p.c.line(
            [(r.uniform(0.3, 0.7), y + w / 2), (r.uniform(0.3, 0.7), 1.1)],
            p.pal["road"] if sum(p.pal["road"]) < 500 else (130, 130, 136),
            0.07,
        )
    n = r.choice((0, 1, 1))
    if n:
        p.plane(r.uniform(0.35, 0.7), y, r.uniform(0.18, 0.3), r.choice((0, 180)))
        return [item("airplane", 1, None), item("runway", 1, None)], "on"
    return [item("runway", 1, None, **adj("long", r.choice(("empty", "straight")))), item("mark", 20, "white")], "with"


@scene(2)
def highway(p: Plan, r: Random):
    """A wide road with lanes, or one crossing over another."""
    p.ground(r.choice(("grass", "soil", "pave")))
    w = r.uniform(0.2, 0.32)
    tone = p.pal["road"] if sum(p.pal["road"]) < 620 else (150, 150, 158)

    def way(a, b, width, flat):
        p.c.line([a, b], p.pal["edge"], width * 1.12)
        p.c.line([a, b], tone, width)
        for k in (-0.25, 0.25):
            dx, dy = (0, k * width) if flat else (k * width, 0)
            p.c.dashed([(a[0] + dx, a[1] + dy), (b[0] + dx, b[1] + dy)], (250, 250, 250), 0.009, 0.05)
        p.c.line([a, b], (250, 220, 90), 0.01)

    over = r.random() < 0.5
    if over:
        way((0.5, -0.1), (0.5, 1.1), w * 0.8, False)
        if p.shadow:
            p.c.line([(0.5 - w * 0.6, 0.5 + w * 0.58), (0.5 + w * 0.6, 0.5 + w * 0.58)], (60, 60, 66), 0.04)
    way((-0.1, 0.5), (1.1, 0.5), w, True)
    if over and r.random() < 0.6:
        q = r.uniform(0.24, 0.32)
        for a, b in ((1, 1), (-1, -1), (1, -1)):
            p.c.line(
                [
                    (
                        0.5 + a * q * (1 - math.cos(t / 8 * 1.57)) + a * 0.06,
                        0.5 + b * q * (1 - math.sin(t / 8 * 1.57)) + b * 0.06,
                    )
                    for t in range(9)
                ],
                tone,
                0.05,
            )
    n = r.choice((0, 3, 6, 10))
    for _ in range(n):
        p.car(r.random(), 0.5 + w * r.choice((-0.37, -0.12, 0.12, 0.37)), 0.09, r.choice((0, 180)))
    first = item("highway", 1, None, **adj("wide", "busy" if n > 5 else "empty" if not n else None))
    if over:
        return [item(r.choice(("overpass", "interchange", "flyover")), 1, None), item("road", 2, None)], "over"
    return [first] + ([item("car", n, None)] if n else []), "with"


@scene()
def containers(p: Plan, r: Random):
    p.ground("pave")
    water = r.random() < 0.5
    if water:
        p.ground("water", [(0, 0.72), (1, 0.72), (1, 1), (0, 1)])
        p.boat(0.5, 0.86, 0.7, 0, jitter(COLOURS["red"], r))
    for i in range(r.randint(2, 4)):
        for j in range(r.randint(4, 8)):
            rgb = pick_colour(r, ["red", "blue", "green", "orange", "gray", "white"])[1]
            p.c.rect(0.05 + j * 0.115, 0.06 + i * 0.15, 0.15 + j * 0.115, 0.18 + i * 0.15, rgb)
    return [
        item("container", 20, None, arrangement="in rows", **adj("colorful")),
        item("ship" if water else "dock", 1, None),
    ], "next to"


@scene(4)
def close_up(p: Plan, r: Random):
    """A few large things from straight above on plain ground."""
    ground, word = r.choice(
        (("grass", "grass"), ("pave", "concrete"), ("road", "asphalt"), ("sand", "sand"), ("water", "water"))
    )
    name = r.choice(
        ("boat",)
        if ground == "water"
        else ("car", "airplane", "house", "tree", "tank", "truck", "umbrella", "tent", "person")
    )
    p.ground(ground)
    n = r.choice((1, 1, 1, 2, 3, 4))
    colour, rgb = pick_colour(r)
    s = {1: r.uniform(0.45, 0.65), 2: 0.34, 3: 0.28, 4: 0.28}[n]
    spots = [(0.5, 0.5)] if n == 1 else layout(r, r.choice(("in a row", "in a grid", "along a line")), n, 0.32)
    angle = r.choice((0, 90, r.uniform(0, 360)))
    for x, y in spots:
        if name in ("boat", "car"):
            getattr(p, name)(x, y, s, angle, rgb)
        elif name == "airplane":
            p.plane(x, y, s, angle, rgb)
        elif name == "house":
            p.roof(x, y, s, s * 0.7, angle, rgb)
        elif name == "tree":
            p.tree(x, y, s * 0.45)
        elif name == "tank":
            p.tank(x, y, s * 0.45, rgb)
        elif name == "truck":
            pen = Pen(p.c, x, y, s, angle)
            pen.rect(-0.5, -0.18, 0.24, 0.18, rgb)
            pen.rect(0.27, -0.16, 0.5, 0.16, shade(rgb, 0.7))
            pen.rect(0.38, -0.13, 0.44, 0.13, (40, 54, 70))
        elif name == "person":
            Pen(p.c, x, y, s * 0.5, angle).oval(0, 0, 0.2, 0.5, rgb)
            p.c.oval(x, y, s * 0.09, s * 0.09, (70, 50, 40))
        else:
            k = 4 if name == "tent" else 8
            for j in range(k):
                a, b = 6.2832 * j / k + 0.4, 6.2832 * (j + 1) / k + 0.4
                p.c.poly(
                    [
                        (x, y),
                        (x + s * 0.45 * math.cos(a), y + s * 0.45 * math.sin(a)),
                        (x + s * 0.45 * math.cos(b), y + s * 0.45 * math.sin(b)),
                    ],
                    shade(rgb, 0.8) if j % 2 else rgb,
                )
    return [item(name, n, None if name == "tree" else colour), item(word, 1, None)], "on"
