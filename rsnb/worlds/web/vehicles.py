"""Vehicles on land, on water and in the air, in side view."""

from __future__ import annotations

from rsnb.worlds.web.objects import BLACK, GLASS, GRAY, SKIN, WHITE, WOOD, DrawnObject, wheels, windows
from rsnb.worlds.web.primitives import COLOURS, shade


def car(p, c, r):
    p.poly(((-0.6, 0.5), (-0.38, 0.95), (0.3, 0.95), (0.6, 0.5)), c)
    p.rect(-1, 0.18, 1, 0.55, c, body=True)
    p.poly(((-0.48, 0.53), (-0.32, 0.86), (-0.05, 0.86), (-0.05, 0.53)), GLASS)
    p.poly(((0.02, 0.53), (0.02, 0.86), (0.25, 0.86), (0.46, 0.53)), GLASS)
    p.rect(0.88, 0.36, 1, 0.48, (252, 232, 120))
    wheels(p, (-0.58, 0.58), 0.21)


def truck(p, c, r):
    p.rect(-1, 0.16, 0.42, 1, c, body=True)
    p.rect(0.46, 0.16, 1, 0.7, r.choice([WHITE, shade(c, 0.7)]))
    p.rect(0.72, 0.42, 0.98, 0.66, GLASS)
    wheels(p, (-0.72, -0.38, 0.7), 0.17)


def bus(p, c, r):
    p.rect(-1.05, 0.14, 1.05, 0.98, c)
    windows(p, -1, 0.5, 1, 0.92, 6, 1)
    p.line(((-1.05, 0.36), (1.05, 0.36)), WHITE, 0.05)
    wheels(p, (-0.65, 0.65), 0.17)


def train(p, c, r):
    p.line(((-2.2, 0.03), (2.2, 0.03)), BLACK, 0.05)
    for k in range(3):
        u = -1.75 + k * 1.18
        p.rect(u, 0.18, u + 1.1, 0.95, c)
        windows(p, u + 0.05, 0.48, u + 1.05, 0.85, 4, 1)
        wheels(p, (u + 0.25, u + 0.85), 0.13)
    p.poly(((1.71, 0.18), (2.05, 0.18), (1.95, 0.7), (1.71, 0.95)), c)


def bicycle(p, c, r):
    for u in (-0.5, 0.5):
        p.oval(u, 0.3, 0.3, 0.3, BLACK)
        p.oval(u, 0.3, 0.23, 0.23, (226, 226, 222))
    p.line(((-0.5, 0.3), (-0.2, 0.75), (0.36, 0.75), (0, 0.3), (-0.5, 0.3)), c, 0.07)
    p.line(((0, 0.3), (-0.2, 0.85)), c, 0.07)
    p.line(((0.5, 0.3), (0.34, 0.95), (0.2, 0.98)), c, 0.07)
    p.rect(-0.32, 0.82, -0.1, 0.9, BLACK)


def motorcycle(p, c, r):
    for u in (-0.5, 0.5):
        p.oval(u, 0.27, 0.27, 0.27, BLACK)
        p.oval(u, 0.27, 0.12, 0.12, GRAY)
    p.poly(((-0.6, 0.55), (-0.1, 0.35), (0.3, 0.4), (0.3, 0.75), (0, 0.8), (-0.15, 0.62)), c)
    p.line(((0.5, 0.27), (0.3, 0.9), (0.15, 0.95)), GRAY, 0.07)


def tractor(p, c, r):
    p.rect(-0.5, 0.5, 0, 0.98, c)
    p.rect(-0.42, 0.62, -0.06, 0.9, GLASS)
    p.rect(0, 0.3, 0.62, 0.58, c)
    p.line(((0.4, 0.58), (0.4, 0.85)), BLACK, 0.06)
    wheels(p, (-0.35,), 0.32)
    wheels(p, (0.45,), 0.19)


def airplane(p, c, r):
    p.poly(((-1.2, 0.5), (-1, 0.66), (0.9, 0.66), (1.25, 0.48), (0.9, 0.36), (-0.9, 0.36)), c)
    p.poly(((-1.2, 0.55), (-1.25, 1), (-1, 1), (-0.7, 0.62)), shade(c, 0.7))
    p.poly(((0.2, 0.45), (-0.5, 0), (-0.25, 0), (0.5, 0.45)), shade(c, 0.6))
    for k in range(7):
        p.rect(-0.6 + k * 0.2, 0.52, -0.52 + k * 0.2, 0.6, (60, 90, 140))


def helicopter(p, c, r):
    p.oval(0.15, 0.45, 0.45, 0.26, c)
    p.oval(0.35, 0.5, 0.2, 0.16, GLASS)
    p.poly(((-0.2, 0.55), (-1, 0.62), (-1, 0.7), (-0.2, 0.42)), c)
    p.line(((-1, 0.5), (-1, 0.85)), BLACK, 0.05)
    p.line(((0.15, 0.7), (0.15, 0.85)), BLACK, 0.05)
    p.line(((-0.7, 0.87), (1, 0.87)), BLACK, 0.05)
    p.line(((-0.25, 0.1), (0.6, 0.1)), BLACK, 0.05)


def hot_air_balloon(p, c, r):
    p.oval(0, 0.66, 0.34, 0.36, c, body=True)
    for k in (-1, 1):
        p.line(((k * 0.24, 0.42), (k * 0.08, 0.14)), BLACK, 0.02)
    p.rect(-0.1, 0, 0.1, 0.15, WOOD)


def kite(p, c, r):
    p.poly(((0, 1), (0.34, 0.68), (0, 0.3), (-0.34, 0.68)), c, body=True)
    p.line(((0, 0.3), (0.12, 0.2), (-0.08, 0.1), (0.08, 0)), shade(c, 0.6), 0.03)


def rocket(p, c, r):
    p.poly(((-0.15, 0.25), (0.15, 0.25), (0.15, 0.7), (0, 1), (-0.15, 0.7)), c)
    p.poly(((-0.15, 0.45), (-0.32, 0.2), (-0.15, 0.25)), COLOURS["red"])
    p.poly(((0.15, 0.45), (0.32, 0.2), (0.15, 0.25)), COLOURS["red"])
    p.oval(0, 0.62, 0.07, 0.07, GLASS)
    p.poly(((-0.1, 0.25), (0.1, 0.25), (0, 0)), COLOURS["orange"])


def sailboat(p, c, r):
    p.poly(((-0.45, 0.2), (0.5, 0.2), (0.34, 0), (-0.34, 0)), WOOD)
    p.line(((0, 0.2), (0, 1)), BLACK, 0.03)
    p.poly(((0.03, 0.26), (0.03, 0.97), (0.44, 0.26)), c, body=True)
    p.poly(((-0.04, 0.26), (-0.04, 0.85), (-0.34, 0.26)), shade(c, 1.3))


def ship(p, c, r):
    p.poly(((-1, 0.36), (1.05, 0.36), (0.8, 0), (-0.85, 0)), c)
    p.rect(-0.7, 0.36, 0.3, 0.58, WHITE)
    windows(p, -0.68, 0.4, 0.28, 0.56, 6, 1, (60, 90, 140))
    p.rect(-0.5, 0.58, 0.05, 0.74, WHITE)
    p.rect(-0.35, 0.74, -0.15, 1, COLOURS["red"])


def canoe(p, c, r):
    p.poly(((-1.4, 0.8), (-1.1, 0.45), (1.1, 0.45), (1.4, 0.8), (1, 0), (-1, 0)), c)
    p.oval(0.1, 1, 0.14, 0.18, SKIN)
    p.rect(-0.06, 0.4, 0.26, 0.85, BLACK)


VEHICLES = (
    DrawnObject("car", car, size=0.24, width=2.1),
    DrawnObject("truck", truck, size=0.3, width=2.1),
    DrawnObject("bus", bus, size=0.3, width=2.2),
    DrawnObject("train", train, size=0.22, width=3.6),
    DrawnObject("bicycle", bicycle, size=0.28, width=1.6),
    DrawnObject("motorcycle", motorcycle, size=0.28, width=1.6),
    DrawnObject("tractor", tractor, size=0.34, width=1.4, colours=("green", "red", "blue", "orange")),
    DrawnObject(
        "airplane", airplane, place="sky", size=0.22, width=2.6, colours=("white", "gray", "red", "blue", "yellow")
    ),
    DrawnObject("helicopter", helicopter, place="sky", size=0.28, width=1.7),
    DrawnObject("balloon", hot_air_balloon, place="sky", size=0.34, width=0.75),
    DrawnObject("kite", kite, place="sky", size=0.26, width=0.8),
    DrawnObject("rocket", rocket, place="sky", size=0.4, width=0.6, colours=("white", "red", "gray", "blue")),
    DrawnObject("sailboat", sailboat, place="water", size=0.42, width=0.9),
    DrawnObject("ship", ship, place="water", size=0.32, width=2.0),
    DrawnObject("canoe", canoe, place="water", size=0.12, width=2.8),
)
