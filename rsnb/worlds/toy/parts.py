"""Things that stand in the toy overhead world: trees, houses, roads, vehicles, water, sports grounds.

Every function draws on a ``Canvas`` in its local frame; lengths are pixels of the 256-pixel drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rsnb.worlds.toy.draw import GROUNDS, Canvas, Colour, Point, along, box, jitter, oval, ribbon, shift, tint

TREES: dict[str, tuple[Colour, ...]] = {
    "green": ((72, 102, 50), (82, 112, 56), (64, 94, 48)),
    "dark green": ((38, 62, 40), (46, 70, 44), (34, 56, 38)),
    "light green": ((106, 136, 62), (118, 146, 68), (96, 126, 58)),
    "yellow": ((150, 132, 56), (132, 108, 48), (112, 116, 54)),
}
CARS: tuple[Colour, ...] = (
    (225, 225, 222),
    (235, 236, 238),
    (60, 62, 66),
    (150, 152, 156),
    (160, 48, 44),
    (52, 78, 128),
)
WHITE: Colour = (232, 232, 226)
BOAT: Colour = (238, 238, 234)


def tree(c: Canvas, x: float, y: float, r: float, kind: str = "green") -> None:
    """One crown: a shadow, a dark disc, lighter lumps on the sunny side."""
    ((px, py),) = c.place([(x, y)])
    dx, dy = c.dark
    base = jitter(c.rng, TREES[kind][int(c.rng.integers(3))], 0.12)
    pen = c.pen

    def disc(cx: float, cy: float, q: float, fill: Sequence[int]) -> None:
        pen.ellipse([cx - q, cy - q, cx + q, cy + q], fill=tuple(fill))

    disc(px + dx * r * 0.8 * c.slant, py + dy * r * 0.8 * c.slant, r, (16, 24, 20, 105))
    disc(px, py, r, tint(base, 0.84))
    for ax, ay, size in c.rng.uniform((-0.55, -0.55, 0.3), (0.55, 0.55, 0.5), (5, 3)):
        toward = -(ax * dx + ay * dy)
        disc(px + ax * r, py + ay * r, r * size, tint(base, 1.0 + 0.3 * toward))
    disc(px - dx * r * 0.35, py - dy * r * 0.35, r * 0.4, tint(base, 1.28))


def trees(
    c: Canvas,
    n: int,
    r: float = 7,
    kind: str = "green",
    where: Callable[[float, float], bool] | None = None,
    gap: float | None = None,
) -> None:
    """Up to ``n`` trees of radius about ``r`` on free ground."""
    for x, y in c.scatter(n, gap or r * 1.3, where):
        tree(c, x, y, r * c.rng.uniform(0.75, 1.25), kind)


def tree_row(c: Canvas, points: Sequence[Point], r: float = 6, gap: float = 16, kind: str = "green") -> None:
    """Trees in a row along a line, free ground only."""
    for a, _ in along(points, 1, gap):
        x, y = a[0] + c.rng.uniform(-2, 2), a[1] + c.rng.uniform(-2, 2)
        if c.free(x, y):
            tree(c, x, y, r * c.rng.uniform(0.8, 1.2), kind)


def car(c: Canvas, x: float, y: float, turn: float, scale: float = 1.0) -> None:
    paint = CARS[int(c.rng.integers(len(CARS)))]
    w, h = 11 * scale, 5.4 * scale
    c.drop(box(x, y, w, h, turn), 2.5 * scale, 130)
    c.poly(box(x, y, w, h, turn), paint)
    c.poly(box(x + 0.1 * w * math.cos(turn), y + 0.1 * w * math.sin(turn), w * 0.2, h * 0.8, turn), tint(paint, 0.5))


def traffic(c: Canvas, points: Sequence[Point], n: int, offset: float = 5, scale: float = 1.0) -> None:
    """``n`` vehicles on both lanes of a line."""
    for sign in (-1, 1):
        spots = along(shift(points, sign * offset), 1, 15 * scale)
        for k in c.rng.permutation(len(spots))[: (n + (sign > 0)) // 2]:
            (x, y), (u, v) = spots[k]
            car(c, x, y, math.atan2(v - y, u - x), scale)


def road(
    c: Canvas,
    points: Sequence[Point],
    width: float = 20,
    marks: str = "dashed",
    cars: int = 0,
    paint: Colour = (112, 112, 113),
    scale: float = 1.0,
) -> None:
    """A paved road: light edges, centre line ("dashed", "double" or ""), vehicles."""
    c.poly(ribbon(points, width + 4), (158, 152, 140), solid=True)
    c.poly(ribbon(points, width), jitter(c.rng, paint, 0.05))
    if marks == "dashed":
        c.dashes(points, (222, 220, 208), 1.6, 8, 8)
    elif marks == "double":
        c.poly(ribbon(points, 3), (206, 190, 120))
        for s in (-0.26, 0.26):
            c.dashes(shift(points, s * width), (222, 220, 208), 1.2, 7, 8)
    if cars:
        traffic(c, points, cars, width / 4, scale)


def path(c: Canvas, points: Sequence[Point], width: float = 5, paint: Colour = (196, 184, 158)) -> None:
    c.poly(ribbon(points, width), paint, solid=True)


def house(c: Canvas, x: float, y: float, w: float, h: float, turn: float, roof: Colour, height: float = 7) -> None:
    """A house with a hipped roof: four slopes, each as bright as the sun finds it."""
    if w < h:
        w, h, turn = h, w, turn + math.pi / 2
    roof = jitter(c.rng, roof, 0.08)
    a, b, d, e = box(x, y, w, h, turn)
    c.shadow([a, b, d, e], height)
    c.block(box(x, y, w + 1, h + 1, turn))
    k = (w - h * 0.8) / 2
    p, q = (x - k * math.cos(turn), y - k * math.sin(turn)), (x + k * math.cos(turn), y + k * math.sin(turn))
    for shape, way in (
        ([a, b, q, p], -math.pi / 2),
        ([b, d, q], 0.0),
        ([d, e, p, q], math.pi / 2),
        ([e, a, p], math.pi),
    ):
        c.poly(shape, tint(roof, c.light(turn + way)))
    c.line([p, q], tint(roof, 1.2), 1)


def block(
    c: Canvas, x: float, y: float, w: float, h: float, turn: float, roof: Colour, height: float = 16, units: int = 3
) -> None:
    """A flat-roofed building with a parapet and ``units`` boxes on the roof."""
    roof = jitter(c.rng, roof, 0.05)
    outer = box(x, y, w, h, turn)
    c.shadow(outer, height)
    c.poly(outer, tint(roof, 0.82), solid=True)
    c.poly(box(x, y, w - 4, h - 4, turn), roof)
    for _ in range(units):
        u, v = c.rng.uniform(-0.34, 0.34) * w, c.rng.uniform(-0.3, 0.3) * h
        at = (x + u * math.cos(turn) - v * math.sin(turn), y + u * math.sin(turn) + v * math.cos(turn))
        c.drop(box(*at, 7, 5, turn), 3, 90)
        c.poly(box(*at, 7, 5, turn), tint(roof, 1.12))


def hall(
    c: Canvas, x: float, y: float, w: float, h: float, turn: float, roof: Colour, bays: int = 3, height: float = 12
) -> None:
    """A factory hall: parallel gables along its length, two tones each."""
    roof = jitter(c.rng, roof, 0.05)
    c.shadow(box(x, y, w, h, turn), height)
    c.block(box(x, y, w + 6, h + 6, turn))
    step = h / (2 * bays)
    for k in range(2 * bays):
        v = -h / 2 + (k + 0.5) * step
        way = turn + (-math.pi / 2 if k % 2 == 0 else math.pi / 2)
        c.poly(box(x - v * math.sin(turn), y + v * math.cos(turn), w, step + 0.6, turn), tint(roof, c.light(way)))
    for k in range(1, 4):
        u = -w / 2 + k * w / 4
        c.line(
            [
                (
                    x + u * math.cos(turn) - s * h / 2 * math.sin(turn),
                    y + u * math.sin(turn) + s * h / 2 * math.cos(turn),
                )
                for s in (-1, 1)
            ],
            (*tint(roof, 0.8), 110),
            1,
        )


def plane(c: Canvas, x: float, y: float, turn: float, length: float = 46, paint: Colour = WHITE) -> None:
    """An airliner whose nose points along ``turn``."""
    co, si, s = math.cos(turn), math.sin(turn), length

    def at(points: Sequence[Point]) -> list[Point]:
        return [(x + (a * co - b * si) * s, y + (a * si + b * co) * s) for a, b in points]

    body = at(oval(0, 0, 0.5, 0.058))
    parts = [at([(0.12, k * 0.03), (-0.14, k * 0.46), (-0.22, k * 0.46), (-0.08, k * 0.03)]) for k in (-1, 1)]
    parts += [at([(-0.36, k * 0.02), (-0.47, k * 0.19), (-0.52, k * 0.19), (-0.46, k * 0.02)]) for k in (-1, 1)]
    for shape in (*parts, body):
        c.drop(shape, 5, 90)
    for k in (-1, 1):
        c.poly(at(oval(0.03, k * 0.17, 0.06, 0.026)), (120, 124, 130))
    for shape in parts:
        c.poly(shape, tint(WHITE, 0.92))
    c.poly(body, (244, 244, 242))
    if paint != WHITE:
        c.poly(at(oval(0, 0, 0.49, 0.04)), paint)
        for shape in parts[2:]:
            c.poly(shape, paint)
    c.poly(at(oval(-0.42, 0, 0.08, 0.02)), tint(paint, 0.8))
    c.block(box(x, y, s, s, turn))


def boat(
    c: Canvas, x: float, y: float, turn: float, length: float = 20, wake: bool = False, paint: Colour = BOAT
) -> None:
    co, si, s = math.cos(turn), math.sin(turn), length

    def at(points: Sequence[Point]) -> list[Point]:
        return [(x + (a * co - b * si) * s, y + (a * si + b * co) * s) for a, b in points]

    if wake:
        c.poly(at([(-0.4, 0), (-2.0, 0.42), (-1.7, 0), (-2.0, -0.42)]), (225, 235, 238, 80))
    hull_ = at([(-0.5, -0.15), (0.2, -0.16), (0.52, 0), (0.2, 0.16), (-0.5, 0.15)])
    c.drop(hull_, 3, 110)
    c.poly(hull_, paint)
    c.poly(at([(-0.3, -0.08), (0.12, -0.08), (0.12, 0.08), (-0.3, 0.08)]), (150, 138, 120))


def tank(c: Canvas, x: float, y: float, r: float, paint: Colour, height: float = 16) -> None:
    """A round storage tank: the wall, the roof with its sheen and rim."""
    c.shadow(oval(x, y, r, r), height)
    c.block(oval(x, y, r + 5, r + 5))
    c.poly(oval(x, y, r, r), tint(paint, 0.72))
    c.poly(oval(x, y, r - 2, r - 2), paint)
    back = -c.turn
    dx = c.dark[0] * math.cos(back) - c.dark[1] * math.sin(back)
    dy = c.dark[0] * math.sin(back) + c.dark[1] * math.cos(back)
    c.poly(oval(x - dx * r * 0.25, y - dy * r * 0.25, r * 0.6, r * 0.6), tint(paint, 1.07))
    c.poly(oval(x, y, r * 0.16, r * 0.16), tint(paint, 0.8))
    c.line([(x, y), (x + r * 0.95, y)], tint(paint, 0.78), 1.5)


def water(c: Canvas, points: Sequence[Point], colour: str, bank: Colour | None = (150, 138, 104)) -> None:
    """Water within a shape, with a bank around it."""
    if bank:
        c.line([*points, points[0]], bank, 6)
    c.cover(colour, points, solid=True)
    deep = tint(GROUNDS[colour][0], 0.9)
    c.line([*points, points[0]], (*deep, 150), 2)
