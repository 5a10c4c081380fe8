"""Buildings and street furniture, in side view."""

from __future__ import annotations

import math

from rsnb.worlds.web.objects import BLACK, GLASS, GRAY, WHITE, WOOD, DrawnObject, windows
from rsnb.worlds.web.primitives import COLOURS, jitter, shade


def house(p, c, r):
    roof = jitter(r.choice([COLOURS["red"], WOOD, GRAY, (90, 60, 60)]), r)
    p.rect(-0.45, 0, 0.45, 0.58, c, body=True)
    p.poly(
        ((-0.55, 0.56), (0.55, 0.56), (0.1, 1), (-0.1, 1))
        if r.random() < 0.4
        else ((-0.55, 0.56), (0.55, 0.56), (0, 1)),
        roof,
    )
    p.rect(-0.08, 0, 0.1, 0.34, WOOD)
    p.rect(-0.36, 0.22, -0.18, 0.42, GLASS)
    p.rect(0.2, 0.22, 0.38, 0.42, GLASS)
    if r.random() < 0.5:
        p.rect(0.22, 0.8, 0.32, 1.02, shade(roof, 0.7))


def skyscraper(p, c, r):
    p.rect(-0.19, 0, 0.19, 0.94, c)
    windows(p, -0.17, 0.06, 0.17, 0.92, 3, r.randint(7, 10), r.choice([GLASS, (250, 225, 130), shade(c, 0.6)]))
    p.line(((0, 0.94), (0, 1)), GRAY, 0.02)


def tower(p, c, r):
    p.poly(((-0.17, 0), (0.17, 0), (0.12, 0.75), (-0.12, 0.75)), c, body=True)
    for u in (-0.17, -0.05, 0.07):
        p.rect(u, 0.73, u + 0.1, 0.88, c)
    p.rect(-0.05, 0.4, 0.05, 0.55, BLACK)
    p.rect(-0.05, 0, 0.05, 0.16, WOOD)


def factory(p, c, r):
    p.rect(-0.7, 0, 0.5, 0.42, c)
    for k in range(3):
        p.poly(((-0.7 + k * 0.4, 0.42), (-0.3 + k * 0.4, 0.42), (-0.3 + k * 0.4, 0.62)), shade(c, 0.75))
    for u in (0.34, 0.54):
        p.rect(u, 0, u + 0.1, 0.86, shade(c, 0.65))
        p.oval(u + 0.1, 0.93, 0.12, 0.07, (200, 200, 204))
    windows(p, -0.65, 0.1, 0.3, 0.34, 5, 1)


def church(p, c, r):
    p.rect(-0.1, 0, 0.42, 0.4, c)
    p.poly(((-0.12, 0.4), (0.46, 0.4), (0.36, 0.58), (0, 0.58)), (120, 60, 50))
    p.rect(-0.34, 0, -0.06, 0.6, c)
    p.poly(((-0.38, 0.6), (-0.02, 0.6), (-0.2, 0.9)), (120, 60, 50))
    p.line(((-0.2, 0.9), (-0.2, 1.02)), BLACK, 0.025)
    p.line(((-0.26, 0.97), (-0.14, 0.97)), BLACK, 0.025)
    p.oval(-0.2, 0.45, 0.06, 0.06, GLASS)
    p.rect(-0.27, 0, -0.13, 0.2, WOOD)


def barn(p, c, r):
    p.poly(((-0.55, 0), (0.55, 0), (0.55, 0.5), (0.38, 0.8), (0, 0.98), (-0.38, 0.8), (-0.55, 0.5)), c, body=True)
    p.line(((-0.6, 0.48), (-0.4, 0.82), (0, 1), (0.4, 0.82), (0.6, 0.48)), shade(c, 0.5), 0.06)
    p.rect(-0.2, 0, 0.2, 0.42, shade(c, 0.75))
    p.line(((-0.2, 0), (0.2, 0.42)), WHITE, 0.04)
    p.line(((0.2, 0), (-0.2, 0.42)), WHITE, 0.04)


def tent(p, c, r):
    p.poly(((-0.65, 0), (0.65, 0), (0, 1)), c, body=True)
    p.poly(((-0.2, 0), (0.2, 0), (0, 0.75)), shade(c, 0.45))


def bridge(p, c, r):
    if r.random() < 0.5:
        p.rect(-1.3, 0.42, 1.3, 0.54, c)
        for u in (-0.6, 0.6):
            p.rect(u - 0.05, 0, u + 0.05, 1, c)
        for a, b in ((-1.3, -0.6), (-0.6, 0.6), (0.6, 1.3)):
            top = [(a + (b - a) * k / 8, 0.54 + 0.44 * abs(2 * k / 8 - 1) ** 2) for k in range(9)]
            if a == -1.3:
                top = [(a + (b - a) * k / 4, 0.54 + 0.44 * k / 4) for k in range(5)]
            if b == 1.3:
                top = [(a + (b - a) * k / 4, 0.98 - 0.44 * k / 4) for k in range(5)]
            p.line(top, c, 0.04)
    else:
        p.rect(-1.3, 0.45, 1.3, 0.62, c)
        for k in range(4):
            u = -1.3 + 0.65 * k
            p.rect(u, 0, u + 0.14, 0.5, c)
            p.line(
                [(u + 0.14 + 0.51 * j / 8, 0.45 - 0.2 * (2 * j / 8 - 1) ** 2) for j in range(9)], shade(c, 0.8), 0.08
            )


def lighthouse(p, c, r):
    for k in range(6):
        a, b = 0.17 - k * 0.013, 0.17 - (k + 1) * 0.013
        p.poly(((-a, k * 0.13), (a, k * 0.13), (b, k * 0.13 + 0.13), (-b, k * 0.13 + 0.13)), c if k % 2 else WHITE)
    p.rect(-0.13, 0.78, 0.13, 0.81, BLACK)
    p.rect(-0.07, 0.81, 0.07, 0.91, (252, 232, 120))
    p.poly(((-0.1, 0.91), (0.1, 0.91), (0, 1)), c if sum(c) < 600 else BLACK)


def windmill(p, c, r):
    p.poly(((-0.2, 0), (0.2, 0), (0.11, 0.6), (-0.11, 0.6)), c)
    p.poly(((-0.13, 0.6), (0.13, 0.6), (0, 0.74)), (120, 60, 50))
    t = r.random()

    for k in range(4):
        a = (k + t) * math.pi / 2
        p.line(((0, 0.62), (0.4 * math.cos(a), 0.62 + 0.4 * math.sin(a))), shade(c, 0.6), 0.05)


def castle(p, c, r):
    p.rect(-0.5, 0, 0.5, 0.5, c)
    for u in (-0.6, -0.1, 0.4):
        p.rect(u, 0, u + 0.22, 0.7, shade(c, 0.9))
        p.poly(
            ((u - 0.03, 0.7), (u + 0.25, 0.7), (u + 0.11, 1)), COLOURS["blue"] if r.random() < 0.5 else COLOURS["red"]
        )
    p.oval(0, 0.12, 0.1, 0.16, BLACK)


def hut(p, c, r):
    p.rect(-0.36, 0, 0.36, 0.5, (206, 170, 110))
    p.poly(((-0.55, 0.44), (0.55, 0.44), (0, 1)), (150, 110, 50))
    p.rect(-0.1, 0, 0.1, 0.34, BLACK)


def barrel(p, c, r):
    p.rect(-0.34, 0.08, 0.34, 0.9, c)
    p.oval(0, 0.08, 0.34, 0.08, c)
    p.oval(0, 0.9, 0.34, 0.1, shade(c, 1.3))
    for v in (0.3, 0.65):
        p.line(((-0.34, v), (0.34, v)), shade(c, 0.6), 0.05)


def storage_tank(p, c, r):
    p.rect(-0.55, 0, 0.55, 0.8, c)
    p.oval(0, 0.8, 0.55, 0.17, shade(c, 0.85))
    p.line(((0.3, 0), (0.42, 0.8)), shade(c, 0.5), 0.03)


def tower_crane(p, c, r):
    p.line(((-0.15, 0), (-0.15, 1)), c, 0.06)
    p.line(((-0.45, 0.86), (0.55, 0.86)), c, 0.05)
    p.line(((-0.45, 0.86), (-0.15, 1), (0.55, 0.86)), shade(c, 0.7), 0.02)
    p.rect(-0.45, 0.74, -0.33, 0.86, GRAY)
    p.line(((0.4, 0.86), (0.4, 0.45)), BLACK, 0.02)
    p.rect(0.32, 0.38, 0.48, 0.47, (90, 90, 96))


def fence(p, c, r):
    for k in range(9):
        u = -1.4 + k * 0.34
        p.poly(((u, 0), (u + 0.16, 0), (u + 0.16, 0.85), (u + 0.08, 1), (u, 0.85)), c)
    for v in (0.28, 0.62):
        p.line(((-1.5, v), (1.5, v)), c, 0.1)


def bench(p, c, r):
    p.rect(-0.8, 0.4, 0.8, 0.52, c)
    p.rect(-0.8, 0.68, 0.8, 0.8, c)
    p.rect(-0.8, 0.88, 0.8, 1, c)
    for u in (-0.65, 0.6):
        p.rect(u, 0, u + 0.08, 1, BLACK)


def lamp(p, c, r):
    p.line(((0, 0), (0, 0.86)), BLACK, 0.04)
    p.rect(-0.1, 0.84, 0.1, 1, (252, 232, 130))
    p.poly(((-0.13, 1), (0.13, 1), (0, 1.06)), BLACK)


def traffic_light(p, c, r):
    p.line(((0, 0), (0, 0.5)), GRAY, 0.06)
    p.rect(-0.14, 0.42, 0.14, 1, BLACK)
    for v, k in ((0.88, "red"), (0.71, "yellow"), (0.54, "green")):
        p.oval(0, v, 0.075, 0.075, COLOURS[k])


def road_sign(p, c, r):
    p.line(((0, 0), (0, 0.6)), GRAY, 0.05)
    if r.random() < 0.5:
        p.oval(0, 0.78, 0.22, 0.22, COLOURS["red"])
        p.rect(-0.14, 0.73, 0.14, 0.83, WHITE)
    else:
        p.poly(((-0.26, 0.58), (0.26, 0.58), (0, 1)), COLOURS["red"])
        p.poly(((-0.15, 0.64), (0.15, 0.64), (0, 0.88)), WHITE)


def playground_slide(p, c, r):
    p.line(((-0.3, 0), (-0.3, 0.9)), GRAY, 0.05)
    p.line(((-0.46, 0), (-0.46, 0.9)), GRAY, 0.05)
    for v in (0.15, 0.35, 0.55, 0.75):
        p.line(((-0.46, v), (-0.3, v)), GRAY, 0.04)
    p.poly(((-0.34, 0.9), (-0.2, 0.9), (0.5, 0.1), (0.7, 0.1), (0.7, 0), (0.42, 0)), c)


def swing(p, c, r):
    for k in (-1, 1):
        p.line(((k * 0.35, 0.95), (k * 0.55, 0)), c, 0.06)
    p.line(((-0.38, 0.95), (0.38, 0.95)), c, 0.06)
    for u in (-0.17, 0.17):
        p.line(((u - 0.06, 0.95), (u - 0.06, 0.3)), BLACK, 0.02)
        p.line(((u + 0.06, 0.95), (u + 0.06, 0.3)), BLACK, 0.02)
        p.rect(u - 0.1, 0.26, u + 0.1, 0.31, WOOD)


def fountain(p, c, r):
    p.poly(((-0.55, 0.25), (0.55, 0.25), (0.42, 0), (-0.42, 0)), GRAY)
    p.oval(0, 0.25, 0.55, 0.07, (90, 160, 215))
    p.rect(-0.06, 0.2, 0.06, 0.6, GRAY)
    for k in (-1, 1):
        p.line(((0, 0.62), (k * 0.1, 0.9), (k * 0.24, 0.9), (k * 0.36, 0.3)), (190, 222, 244), 0.05)


def flag(p, c, r):
    p.line(((-0.3, 0), (-0.3, 1)), GRAY, 0.04)
    p.poly(((-0.28, 0.97), (0.1, 0.92), (0.35, 0.97), (0.35, 0.62), (0.1, 0.57), (-0.28, 0.62)), c, body=True)


BUILDINGS = (
    DrawnObject("house", house, size=0.42, width=1.1),
    DrawnObject("skyscraper", skyscraper, size=0.72, width=0.42),
    DrawnObject("tower", tower, size=0.62, width=0.4),
    DrawnObject("factory", factory, size=0.42, width=1.4),
    DrawnObject("church", church, size=0.6, width=0.8, colours=("white", "beige", "gray", "brown", "red")),
    DrawnObject("barn", barn, size=0.38, width=1.2, colours=("red", "brown", "white", "green")),
    DrawnObject("tent", tent, size=0.3, width=1.3),
    DrawnObject("bridge", bridge, size=0.36, width=2.4, colours=("red", "gray", "brown", "white")),
    DrawnObject("lighthouse", lighthouse, size=0.66, width=0.45, colours=("red", "white", "blue", "black")),
    DrawnObject("windmill", windmill, size=0.6, width=0.8, colours=("white", "beige", "brown", "gray")),
    DrawnObject("castle", castle, size=0.45, width=1.2, colours=("gray", "beige", "brown", "pink")),
    DrawnObject("hut", hut, size=0.34, width=1.1, colours=()),
    DrawnObject("barrel", barrel, size=0.28, width=0.8),
    DrawnObject("storage tank", storage_tank, size=0.34, width=1.2, colours=("white", "gray", "beige", "blue")),
    DrawnObject("crane", tower_crane, size=0.68, width=0.9, colours=("yellow", "orange", "red")),
    DrawnObject("fence", fence, size=0.2, width=3.0, colours=("white", "brown", "gray")),
    DrawnObject("bench", bench, size=0.22, width=1.7, colours=("brown", "green", "gray", "red")),
    DrawnObject("lamp post", lamp, size=0.55, width=0.3, colours=()),
    DrawnObject("traffic light", traffic_light, size=0.5, width=0.34, colours=()),
    DrawnObject("road sign", road_sign, size=0.4, width=0.5, colours=()),
    DrawnObject("slide", playground_slide, size=0.36, width=1.3),
    DrawnObject("swing", swing, size=0.4, width=1.1),
    DrawnObject("fountain", fountain, size=0.38, width=1.2, colours=()),
    DrawnObject("flag", flag, size=0.5, width=0.7),
)
