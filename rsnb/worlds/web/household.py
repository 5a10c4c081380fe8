"""Things of the house, food and toys, in side view."""

from __future__ import annotations

import math

from rsnb.worlds.web.objects import BLACK, GLASS, GRAY, LEAF, WHITE, WOOD, DrawnObject
from rsnb.worlds.web.primitives import COLOURS, shade


def ball(p, c, r):
    p.oval(0, 0.5, 0.5, 0.5, c, body=True)
    p.oval(-0.15, 0.7, 0.14, 0.1, shade(c, 1.5))


def football(p, c, r):
    p.oval(0, 0.5, 0.5, 0.5, WHITE)
    p.poly([(0.2 * math.cos(k * 1.2566 + 0.3), 0.5 + 0.2 * math.sin(k * 1.2566 + 0.3)) for k in range(5)], BLACK)
    for k in range(5):
        a = k * 1.2566 + 0.3
        p.oval(0.44 * math.cos(a), 0.5 + 0.44 * math.sin(a), 0.1, 0.1, BLACK)
        p.line(
            ((0.2 * math.cos(a), 0.5 + 0.2 * math.sin(a)), (0.4 * math.cos(a), 0.5 + 0.4 * math.sin(a))), BLACK, 0.04
        )


def cup(p, c, r):
    p.oval(0.36, 0.5, 0.2, 0.24, c)
    p.oval(0.36, 0.5, 0.11, 0.14, shade(c, 1.6))
    p.poly(((-0.4, 0.95), (0.4, 0.95), (0.32, 0), (-0.32, 0)), c, body=True)
    p.oval(0, 0.95, 0.4, 0.09, shade(c, 0.55))


def bottle(p, c, r):
    p.poly(
        ((-0.16, 0), (0.16, 0), (0.16, 0.58), (0.06, 0.74), (0.06, 0.94), (-0.06, 0.94), (-0.06, 0.74), (-0.16, 0.58)),
        c,
    )
    p.rect(-0.07, 0.92, 0.07, 1, BLACK)
    p.rect(-0.16, 0.2, 0.16, 0.45, WHITE)


def chair(p, c, r):
    for u in (-0.28, 0.22):
        p.rect(u, 0, u + 0.07, 0.45, shade(c, 0.75))
    p.rect(-0.32, 0.42, 0.32, 0.52, c)
    p.rect(-0.32, 0.5, -0.22, 1, c)
    p.rect(-0.32, 0.68, -0.1, 0.98, c)


def table(p, c, r):
    p.rect(-0.8, 0.82, 0.8, 1, c)
    for u in (-0.7, 0.6):
        p.rect(u, 0, u + 0.1, 0.84, shade(c, 0.8))


def book(p, c, r):
    p.rect(-0.36, 0, 0.4, 0.96, WHITE)
    p.rect(-0.4, 0.03, 0.34, 1, c, body=True)
    p.rect(-0.4, 0.03, -0.3, 1, shade(c, 0.6))
    p.rect(-0.16, 0.62, 0.22, 0.78, shade(c, 1.7))


def clock(p, c, r):
    p.oval(0, 0.5, 0.5, 0.5, c)
    p.oval(0, 0.5, 0.41, 0.41, WHITE)
    for k in range(12):
        a = k * math.pi / 6
        p.line(
            ((0.33 * math.cos(a), 0.5 + 0.33 * math.sin(a)), (0.39 * math.cos(a), 0.5 + 0.39 * math.sin(a))),
            BLACK,
            0.03,
        )
    for length, width in ((0.2, 0.05), (0.32, 0.03)):
        a = r.random() * 6.28
        p.line(((0, 0.5), (length * math.cos(a), 0.5 + length * math.sin(a))), BLACK, width)


def umbrella(p, c, r):
    p.line(((0, 0.9), (0, 0.08), (0.1, 0.02), (0.16, 0.1)), BLACK, 0.04)
    p.poly(
        [(0.52 * math.cos(k * math.pi / 12), 0.55 + 0.42 * math.sin(k * math.pi / 12)) for k in range(13)], c, body=True
    )
    for u in (-0.35, 0, 0.35):
        p.oval(u, 0.53, 0.17, 0.06, shade(c, 0.7))


def hat(p, c, r):
    p.oval(0, 0.14, 0.85, 0.14, c)
    p.poly(((-0.42, 0.15), (0.42, 0.15), (0.34, 0.95), (-0.34, 0.95)), c)
    p.rect(-0.41, 0.2, 0.41, 0.38, BLACK if sum(c) > 200 else COLOURS["red"])


def guitar(p, c, r):
    p.oval(0, 0.2, 0.22, 0.2, c)
    p.oval(0, 0.42, 0.16, 0.15, c)
    p.oval(0, 0.34, 0.07, 0.07, BLACK)
    p.rect(-0.03, 0.36, 0.03, 0.95, WOOD)
    p.rect(-0.07, 0.92, 0.07, 1.02, BLACK)
    p.rect(-0.09, 0.12, 0.09, 0.16, BLACK)


def tennis_racket(p, c, r):
    p.rect(-0.035, 0, 0.035, 0.42, BLACK)
    p.oval(0, 0.7, 0.22, 0.3, c)
    p.oval(0, 0.7, 0.17, 0.25, (232, 236, 226))
    for k in (-0.1, 0, 0.1):
        p.line(((k, 0.48), (k, 0.92)), GRAY, 0.012)
        p.line(((-0.16, 0.7 + k), (0.16, 0.7 + k)), GRAY, 0.012)


def table_lamp(p, c, r):
    p.oval(0, 0.06, 0.2, 0.07, GRAY)
    p.line(((0, 0.05), (0, 0.6)), GRAY, 0.05)
    p.poly(((-0.34, 0.55), (0.34, 0.55), (0.18, 1), (-0.18, 1)), c, body=True)


def apple(p, c, r):
    p.oval(-0.17, 0.42, 0.28, 0.4, c)
    p.oval(0.17, 0.42, 0.28, 0.4, c)
    p.line(((0, 0.75), (0.06, 1)), WOOD, 0.06)
    p.oval(0.2, 0.92, 0.15, 0.06, LEAF)


def banana(p, c, r):
    pts = [(0.8 * math.cos(a), 0.95 + 0.9 * math.sin(a)) for a in (math.pi * (1.05 + 0.9 * k / 10) for k in range(11))]
    inner = [
        (0.72 * math.cos(a), 1.05 + 0.55 * math.sin(a)) for a in (math.pi * (1.95 - 0.9 * k / 10) for k in range(11))
    ]
    p.poly(pts + inner, (240, 208, 60))


def pizza(p, c, r):
    p.oval(0, 0.5, 0.5, 0.5, (196, 130, 60))
    p.oval(0, 0.5, 0.42, 0.42, (244, 204, 90))
    for k in range(8):
        a = k * 0.785 + 0.2
        q = 0.3 if k % 2 else 0.15
        p.oval(q * math.cos(a), 0.5 + q * math.sin(a), 0.07, 0.07, COLOURS["red"])


def cake(p, c, r):
    p.rect(-0.55, 0, 0.55, 0.6, c)
    p.rect(-0.55, 0.45, 0.55, 0.65, shade(c, 1.6))
    for u in (-0.3, 0, 0.3):
        p.rect(u - 0.03, 0.65, u + 0.03, 0.88, COLOURS["blue"])
        p.oval(u, 0.94, 0.05, 0.07, COLOURS["orange"])


def television(p, c, r):
    p.rect(-0.7, 0.15, 0.7, 1, BLACK)
    p.rect(-0.62, 0.23, 0.62, 0.92, r.choice([GLASS, (60, 90, 160), (110, 170, 110)]))
    p.rect(-0.25, 0, 0.25, 0.08, BLACK)
    p.rect(-0.06, 0.05, 0.06, 0.18, BLACK)


def sofa(p, c, r):
    p.rect(-0.8, 0.4, 0.8, 1, c, body=True)
    p.rect(-0.8, 0.12, 0.8, 0.5, shade(c, 1.15))
    for k in (-1, 1):
        p.rect(k * 0.78, 0.1, k * 1, 0.72, shade(c, 0.8))
    p.rect(-0.01, 0.12, 0.01, 0.5, shade(c, 0.6))


def window(p, c, r):
    p.rect(-0.4, 0, 0.4, 1, c)
    for u in (-0.34, 0.03):
        for v in (0.06, 0.53):
            p.rect(u, v, u + 0.31, v + 0.41, GLASS)


def door(p, c, r):
    p.rect(-0.24, 0, 0.24, 1, c)
    for v in (0.1, 0.55):
        p.rect(-0.15, v, 0.15, v + 0.34, shade(c, 0.8))
    p.oval(0.19, 0.48, 0.03, 0.03, COLOURS["yellow"])


def shirt(p, c, r):
    p.poly(
        (
            (-0.28, 0),
            (0.28, 0),
            (0.28, 0.6),
            (0.42, 0.5),
            (0.54, 0.68),
            (0.22, 0.98),
            (-0.22, 0.98),
            (-0.54, 0.68),
            (-0.42, 0.5),
            (-0.28, 0.6),
        ),
        c,
        body=True,
    )
    p.oval(0, 0.98, 0.11, 0.08, shade(c, 0.6))


def shoe(p, c, r):
    p.poly(((-0.8, 0.15), (-0.8, 0.95), (-0.35, 0.95), (-0.1, 0.6), (0.6, 0.45), (0.9, 0.15)), c)
    p.rect(-0.82, 0, 0.92, 0.17, WHITE)
    for u in (-0.2, 0.02, 0.22):
        p.line(((u, 0.55), (u - 0.14, 0.75)), WHITE, 0.05)


def box(p, c, r):
    p.rect(-0.45, 0, 0.3, 0.75, c, body=True)
    p.poly(((-0.45, 0.75), (-0.25, 0.98), (0.5, 0.98), (0.3, 0.75)), shade(c, 1.25))
    p.poly(((0.3, 0), (0.5, 0.22), (0.5, 0.98), (0.3, 0.75)), shade(c, 0.7))


def vase(p, c, r):
    for u in (-0.2, 0, 0.18):
        p.line(((0, 0.5), (u, 0.85)), LEAF, 0.03)
        p.oval(u, 0.9, 0.08, 0.08, COLOURS["pink"] if c[0] < 200 else COLOURS["yellow"])
    p.poly(
        ((-0.12, 0), (0.12, 0), (0.24, 0.3), (0.1, 0.52), (0.14, 0.6), (-0.14, 0.6), (-0.1, 0.52), (-0.24, 0.3)),
        c,
        body=True,
    )


HOUSEHOLD = (
    DrawnObject("ball", ball, size=0.2),
    DrawnObject("football", football, size=0.18, colours=()),
    DrawnObject("cup", cup, place="indoor", size=0.28),
    DrawnObject("bottle", bottle, place="indoor", size=0.46, width=0.36),
    DrawnObject("chair", chair, place="indoor", size=0.42, width=0.7),
    DrawnObject(
        "table", table, place="indoor", size=0.32, width=1.6, colours=("brown", "white", "black", "beige", "green")
    ),
    DrawnObject("book", book, place="indoor", size=0.26, width=0.9),
    DrawnObject("clock", clock, place="indoor", size=0.32),
    DrawnObject("umbrella", umbrella, size=0.38, width=1.1),
    DrawnObject("hat", hat, place="indoor", size=0.2, width=1.8),
    DrawnObject("guitar", guitar, place="indoor", size=0.5, width=0.5),
    DrawnObject("racket", tennis_racket, place="indoor", size=0.46, width=0.5),
    DrawnObject("lamp", table_lamp, place="indoor", size=0.38, width=0.7),
    DrawnObject("apple", apple, place="indoor", size=0.22, colours=("red", "green", "yellow")),
    DrawnObject("banana", banana, place="indoor", size=0.2, width=1.7, colours=()),
    DrawnObject("pizza", pizza, place="indoor", size=0.34, colours=()),
    DrawnObject("cake", cake, place="indoor", size=0.3, width=1.2, colours=("pink", "white", "brown", "yellow")),
    DrawnObject("television", television, place="indoor", size=0.34, width=1.4, colours=()),
    DrawnObject("sofa", sofa, place="indoor", size=0.3, width=2.0),
    DrawnObject("window", window, place="indoor", size=0.44, width=0.9, colours=("white", "brown", "blue", "green")),
    DrawnObject("door", door, place="indoor", size=0.6, width=0.5),
    DrawnObject("shirt", shirt, place="indoor", size=0.38, width=1.1),
    DrawnObject("shoe", shoe, place="indoor", size=0.18, width=1.9),
    DrawnObject("box", box, place="indoor", size=0.28, width=1.1),
    DrawnObject("vase", vase, place="indoor", size=0.36, width=0.6),
)
