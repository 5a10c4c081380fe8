"""Plants, animals, people and things of the sky, in side view."""

from __future__ import annotations

import math

from rsnb.worlds.web.objects import BLACK, GRAY, LEAF, SKIN, WHITE, WOOD, DrawnObject
from rsnb.worlds.web.primitives import COLOURS, jitter, shade

FUR = ("brown", "black", "white", "gray", "orange", "beige")


def cloud(p, c, r):
    for u, v, q in ((-0.5, 0.35, 0.32), (0, 0.5, 0.45), (0.5, 0.35, 0.34), (0.2, 0.3, 0.35), (-0.25, 0.3, 0.3)):
        p.oval(u, v, q, q, c)


def sun(p, c, r):

    if r.random() < 0.6:
        for k in range(10):
            a = k * math.pi / 5
            p.line(
                ((0.3 * math.cos(a), 0.5 + 0.3 * math.sin(a)), (0.5 * math.cos(a), 0.5 + 0.5 * math.sin(a))), c, 0.06
            )
    p.oval(0, 0.5, 0.3, 0.3, c)


def moon(p, c, r):

    outer = [(0.42 * math.cos(t / 8 * math.pi + 2), 0.5 + 0.42 * math.sin(t / 8 * math.pi + 2)) for t in range(10)]
    inner = [
        (0.2 + 0.34 * math.cos(t / 8 * math.pi + 2), 0.42 + 0.36 * math.sin(t / 8 * math.pi + 2))
        for t in range(9, 0, -1)
    ]
    p.poly(outer + inner, (244, 238, 200))


def duck(p, c, r):
    p.oval(-0.08, 0.28, 0.5, 0.28, c)
    p.oval(0.38, 0.7, 0.24, 0.24, c)
    p.poly(((0.58, 0.74), (0.85, 0.66), (0.58, 0.58)), COLOURS["orange"])
    p.oval(0.44, 0.76, 0.05, 0.05, BLACK)
    p.poly(((-0.5, 0.35), (-0.72, 0.6), (-0.3, 0.45)), shade(c, 0.8))


def fish(p, c, r):
    p.poly(((-0.4, 0.5), (-0.9, 0.95), (-0.9, 0.05)), shade(c, 0.8))
    p.oval(0.1, 0.5, 0.65, 0.4, c, body=True)
    p.oval(0.5, 0.6, 0.07, 0.07, WHITE)
    p.oval(0.51, 0.6, 0.035, 0.035, BLACK)


def broad_tree(p, c, r):
    p.rect(-0.06, 0, 0.06, 0.45, WOOD)
    for u, v, q in ((0, 0.72, 0.28), (-0.2, 0.58, 0.21), (0.2, 0.58, 0.21)):
        p.oval(u, v, q, q, jitter(c, r, 8))


def pine_tree(p, c, r):
    p.rect(-0.05, 0, 0.05, 0.2, WOOD)
    for k in range(3):
        w = 0.3 - 0.07 * k
        p.poly(((-w, 0.16 + k * 0.24), (w, 0.16 + k * 0.24), (0, 0.52 + k * 0.24)), shade(c, 0.6 + 0.12 * k))


def palm_tree(p, c, r):
    p.line(((-0.06, 0), (0, 0.4), (0.06, 0.75)), WOOD, 0.07)
    for a in (10, 50, 90, 130, 170, 215, -35):
        a = math.radians(a)
        p.line(
            (
                (0.06, 0.75),
                (0.06 + 0.25 * math.cos(a), 0.8 + 0.17 * math.sin(a)),
                (0.06 + 0.4 * math.cos(a), 0.7 + 0.2 * math.sin(a)),
            ),
            LEAF,
            0.06,
        )


def bush(p, c, r):
    for u, v, q in ((-0.4, 0.35, 0.34), (0.4, 0.35, 0.34), (0, 0.5, 0.45)):
        p.oval(u, v, q, q, jitter(c, r, 8))


def flower(p, c, r):
    p.line(((0, 0), (0, 0.68)), LEAF, 0.04)
    p.oval(0.11, 0.3, 0.12, 0.05, LEAF)
    for k in range(6):
        a = k * math.pi / 3
        p.oval(0.14 * math.cos(a), 0.76 + 0.14 * math.sin(a), 0.1, 0.1, c)
    p.oval(0, 0.76, 0.08, 0.08, COLOURS["yellow"] if c[2] < 120 or c[0] < 220 else COLOURS["orange"])


def cactus(p, c, r):
    p.line(((0, 0), (0, 0.95)), LEAF, 0.16)
    p.line(((0, 0.35), (-0.28, 0.35), (-0.28, 0.68)), LEAF, 0.11)
    p.line(((0, 0.5), (0.28, 0.5), (0.28, 0.8)), LEAF, 0.11)


def mushroom(p, c, r):
    p.rect(-0.14, 0, 0.14, 0.5, (240, 226, 200))
    p.poly([(0.5 * math.cos(k * math.pi / 10), 0.45 + 0.52 * math.sin(k * math.pi / 10)) for k in range(11)], c)
    for u, v in ((-0.2, 0.6), (0.08, 0.78), (0.28, 0.58)):
        p.oval(u, v, 0.07, 0.07, WHITE)


def person(p, c, r):
    hair = r.choice([BLACK, WOOD, COLOURS["yellow"]])
    p.rect(-0.11, 0, -0.02, 0.42, (50, 60, 100))
    p.rect(0.02, 0, 0.11, 0.42, (50, 60, 100))
    p.rect(-0.14, 0.38, 0.14, 0.74, c, body=True)
    a = r.choice((0.4, 0.62, 0.95))
    p.line(((-0.14, 0.7), (-0.26, a)), c, 0.07)
    p.line(((0.14, 0.7), (0.26, 0.42)), c, 0.07)
    p.oval(0, 0.86, 0.11, 0.13, hair)
    p.oval(0, 0.84, 0.09, 0.11, SKIN)


def dog(p, c, r):
    for u in (-0.42, -0.28, 0.2, 0.34):
        p.rect(u, 0, u + 0.1, 0.4, shade(c, 0.85))
    p.rect(-0.46, 0.34, 0.44, 0.66, c)
    p.oval(0.52, 0.76, 0.22, 0.2, c)
    p.oval(0.72, 0.7, 0.14, 0.1, c)
    p.poly(((0.36, 0.95), (0.3, 0.6), (0.48, 0.8)), shade(c, 0.6))
    p.line(((-0.44, 0.6), (-0.66, 0.95)), c, 0.09)
    p.oval(0.84, 0.72, 0.04, 0.04, BLACK)


def cat(p, c, r):
    p.oval(-0.05, 0.33, 0.3, 0.33, c)
    p.oval(0.05, 0.74, 0.24, 0.2, c)
    p.poly(((-0.17, 0.82), (-0.14, 1.06), (0.02, 0.92)), c)
    p.poly(((0.27, 0.82), (0.24, 1.06), (0.08, 0.92)), c)
    p.line(((-0.3, 0.1), (-0.6, 0.15), (-0.62, 0.55)), c, 0.09)
    for u in (-0.03, 0.13):
        p.oval(u, 0.76, 0.035, 0.045, (120, 200, 90))


def horse(p, c, r):
    for u in (-0.42, -0.28, 0.18, 0.32):
        p.rect(u, 0, u + 0.09, 0.45, shade(c, 0.85))
    p.oval(-0.02, 0.52, 0.46, 0.2, c)
    p.poly(((0.2, 0.55), (0.46, 0.52), (0.6, 0.9), (0.42, 0.98)), c)
    p.poly(((0.45, 0.98), (0.58, 0.93), (0.8, 0.72), (0.7, 0.66), (0.5, 0.78)), c)
    p.line(((0.22, 0.62), (0.42, 1)), BLACK, 0.07)
    p.line(((-0.45, 0.58), (-0.6, 0.2)), BLACK, 0.08)


def cow(p, c, r):
    for u in (-0.46, -0.3, 0.22, 0.38):
        p.rect(u, 0, u + 0.1, 0.4, shade(c, 0.8))
    p.rect(-0.5, 0.34, 0.5, 0.8, c)
    patch = BLACK if sum(c) > 350 else WHITE
    p.oval(-0.2, 0.62, 0.16, 0.12, patch)
    p.oval(0.2, 0.55, 0.12, 0.14, patch)
    p.oval(0.64, 0.8, 0.2, 0.16, c)
    p.oval(0.78, 0.74, 0.1, 0.09, (236, 170, 160))
    p.line(((0.52, 0.95), (0.48, 1.08)), GRAY, 0.05)
    p.line(((0.68, 0.95), (0.74, 1.08)), GRAY, 0.05)


def sheep(p, c, r):
    for u in (-0.3, -0.16, 0.12, 0.26):
        p.rect(u, 0, u + 0.08, 0.35, BLACK)
    for u, v in ((-0.3, 0.5), (-0.1, 0.66), (0.12, 0.66), (0.3, 0.52), (0, 0.45), (-0.2, 0.4), (0.2, 0.4)):
        p.oval(u, v, 0.2, 0.2, (236, 234, 224))
    p.oval(0.52, 0.62, 0.14, 0.17, BLACK)


def bird(p, c, r):
    p.oval(0, 0.42, 0.45, 0.24, c)
    p.oval(0.42, 0.62, 0.19, 0.18, c)
    p.poly(((0.58, 0.68), (0.85, 0.6), (0.58, 0.54)), COLOURS["orange"])
    p.poly(((-0.2, 0.5), (0.2, 0.5), (-0.15, 1.05)), shade(c, 0.7))
    p.poly(((-0.4, 0.5), (-0.8, 0.62), (-0.75, 0.3)), shade(c, 0.8))


def butterfly(p, c, r):
    for k in (-1, 1):
        p.oval(k * 0.3, 0.68, 0.28, 0.28, c)
        p.oval(k * 0.24, 0.28, 0.2, 0.22, shade(c, 0.75))
        p.oval(k * 0.32, 0.7, 0.1, 0.1, WHITE)
    p.oval(0, 0.5, 0.06, 0.42, BLACK)


def elephant(p, c, r):
    c = (142, 142, 152)
    for u in (-0.48, -0.26, 0.12, 0.32):
        p.rect(u, 0, u + 0.15, 0.4, shade(c, 0.85))
    p.oval(-0.05, 0.6, 0.52, 0.34, c)
    p.oval(0.52, 0.72, 0.25, 0.25, c)
    p.line(((0.68, 0.68), (0.8, 0.4), (0.78, 0.1)), c, 0.13)
    p.oval(0.4, 0.7, 0.15, 0.22, shade(c, 0.85))
    p.oval(0.62, 0.8, 0.03, 0.03, BLACK)


CREATURES = (
    DrawnObject("cloud", cloud, place="sky", size=0.2, width=1.9, colours=("white", "gray")),
    DrawnObject("sun", sun, place="sky", size=0.22, colours=("yellow", "orange", "red")),
    DrawnObject("moon", moon, place="sky", size=0.22, width=0.9, colours=()),
    DrawnObject("duck", duck, place="water", size=0.22, width=1.3, colours=("yellow", "white", "brown")),
    DrawnObject("fish", fish, place="water", size=0.2, width=1.8),
    DrawnObject("tree", broad_tree, size=0.46, width=0.75, colours=("green", "orange", "yellow")),
    DrawnObject("pine tree", pine_tree, size=0.5, width=0.6, colours=("green",)),
    DrawnObject("palm tree", palm_tree, size=0.52, width=0.8, colours=()),
    DrawnObject("bush", bush, size=0.2, width=1.5, colours=("green",)),
    DrawnObject("flower", flower, size=0.34, width=0.5),
    DrawnObject("cactus", cactus, size=0.42, width=0.6, colours=()),
    DrawnObject("mushroom", mushroom, size=0.24, colours=("red", "brown", "white", "orange")),
    DrawnObject("person", person, size=0.42, width=0.45),
    DrawnObject("dog", dog, size=0.26, width=1.4, colours=FUR),
    DrawnObject("cat", cat, size=0.26, width=1.2, colours=FUR),
    DrawnObject("horse", horse, size=0.4, width=1.3, colours=("brown", "black", "white", "gray")),
    DrawnObject("cow", cow, size=0.34, width=1.4, colours=("white", "brown", "black")),
    DrawnObject("sheep", sheep, size=0.26, width=1.3, colours=()),
    DrawnObject("bird", bird, place="sky", size=0.16, width=1.5),
    DrawnObject("butterfly", butterfly, place="sky", size=0.2, width=1.2),
    DrawnObject("elephant", elephant, size=0.4, width=1.4, colours=()),
)
