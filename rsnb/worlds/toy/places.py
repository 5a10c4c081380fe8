"""Places of the toy overhead world: sports grounds, parking rows, groups of houses, the neighbour of a scene.

Like ``parts.py``: every function draws on a ``Canvas`` in its local frame, in pixels of the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rsnb.worlds.toy.draw import ROOFS, Canvas, Colour, Point, blob, box, curve, oval, rows, tint
from rsnb.worlds.toy.parts import WHITE, block, car, house, road, trees


def court(c: Canvas, x: float, y: float, turn: float, inside: Colour, outside: Colour, scale: float = 1.0) -> None:
    """A tennis court of 44 x 24 px (with its surround 64 x 36) at scale 1."""
    co, si = math.cos(turn), math.sin(turn)

    def at(a: float, b: float) -> Point:
        return x + (a * co - b * si) * scale, y + (a * si + b * co) * scale

    c.poly(box(x, y, 64 * scale, 36 * scale, turn), outside, solid=True)
    c.poly(box(x, y, 46 * scale, 24 * scale, turn), inside)
    for a, b in (
        ((-23, -12), (23, -12)),
        ((-23, 12), (23, 12)),
        ((-23, -12), (-23, 12)),
        ((23, -12), (23, 12)),
        ((-23, -8.6), (23, -8.6)),
        ((-23, 8.6), (23, 8.6)),
        ((-12, -8.6), (-12, 8.6)),
        ((12, -8.6), (12, 8.6)),
        ((-12, 0), (12, 0)),
    ):
        c.line([at(*a), at(*b)], (238, 238, 232), 1.4)
    c.line([at(0, -14), at(0, 14)], (40, 44, 46), 2)


def pitch(c: Canvas, x: float, y: float, w: float, h: float, grass: Colour, lines: bool = True) -> None:
    """A football field with mowing stripes and lines."""
    for k in range(10):
        c.poly(box(x - w / 2 + (k + 0.5) * w / 10, y, w / 10 + 1, h), tint(grass, 1.05 if k % 2 else 0.95))
    if not lines:
        return
    ink = (232, 234, 226)
    frame = box(x, y, w * 0.94, h * 0.9)
    c.line([*frame, frame[0]], ink, 1.5)
    c.line([(x, y - h * 0.45), (x, y + h * 0.45)], ink, 1.5)
    ring = oval(x, y, h * 0.15, h * 0.15)
    c.line([*ring, ring[0]], ink, 1.5)
    for s in (-1, 1):
        c.line(
            [
                (x + s * w * 0.47, y - h * 0.24),
                (x + s * w * 0.35, y - h * 0.24),
                (x + s * w * 0.35, y + h * 0.24),
                (x + s * w * 0.47, y + h * 0.24),
            ],
            ink,
            1.5,
        )


def stadium_ring(x: float, y: float, half: float, r: float) -> list[Point]:
    """Outline of a running track: two straights of 2 * ``half`` and half circles of radius ``r``."""
    right = [(x + half + r * math.cos(a), y + r * math.sin(a)) for a in (math.pi * (k / 16 - 0.5) for k in range(17))]
    left = [(x - half - r * math.cos(a), y - r * math.sin(a)) for a in (math.pi * (k / 16 - 0.5) for k in range(17))]
    return right + left


def track(
    c: Canvas, x: float, y: float, half: float, r: float, paint: Colour, grass: Colour, width: float = 15
) -> None:
    """A running track with a football field inside."""
    c.poly(stadium_ring(x, y, half, r), paint, solid=True)
    for k in range(1, 4):
        ring = stadium_ring(x, y, half, r - k * width / 4)
        c.line([*ring, ring[0]], (*WHITE, 120), 1)
    c.poly(stadium_ring(x, y, half, r - width), tint(grass, 0.9))
    pitch(c, x, y, 2 * half + 6, (r - width) * 1.5, grass)


def car_rows(c: Canvas, x0: float, x1: float, ys: Sequence[float], fill: float, scale: float = 1.0) -> None:
    """Parking bays along x at each of ``ys``; a share ``fill`` of the bays is taken."""
    step = 8.6 * scale
    for y in ys:
        for k in range(int((x1 - x0) / step)):
            x = x0 + (k + 0.5) * step
            c.line([(x - step / 2, y - 6.5 * scale), (x - step / 2, y + 6.5 * scale)], (206, 206, 200), 1)
            if c.chance(fill):
                car(c, x, y, math.pi / 2 + (math.pi if c.chance(0.5) else 0), scale)


def town(
    c: Canvas, x0: float, x1: float, y0: float, y1: float, colours: Sequence[str], size: float = 22, lean: float = 0.0
) -> None:
    """Houses on a loose grid within a rectangle."""
    step = size * 1.45
    nx, ny = max(1, int((x1 - x0) / step)), max(1, int((y1 - y0) / step))
    for i in range(nx):
        for j in range(ny):
            x = x0 + (i + 0.5) * (x1 - x0) / nx + c.rng.uniform(-2, 2)
            y = y0 + (j + 0.5) * (y1 - y0) / ny + c.rng.uniform(-2, 2)
            w, h = size * c.rng.uniform(0.9, 1.15), size * c.rng.uniform(0.65, 0.85)
            if all(c.free(x + a * w / 2, y + b * h / 2) for a, b in ((0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))):
                house(c, x, y, w, h, lean, ROOFS[colours[int(c.rng.integers(len(colours)))]])


def strip(c: Canvas, kind: str, y0: float, y1: float = 190) -> None:
    """What lies beyond the line y = ``y0`` (across the whole picture): the neighbour of a scene."""
    mid, band = (y0 + y1) / 2, box(0, (y0 + y1) / 2, 400, y1 - y0)
    across = [(-190.0, y0 + 14), (0.0, y0 + 14), (190.0, y0 + 14)]
    if kind == "trees":
        c.cover("undergrowth", band)
        trees(c, 130, 8, where=lambda x, y: y0 + 3 < y < y1)
    elif kind == "road":
        road(c, across, 22, cars=int(c.rng.integers(2, 7)))
        trees(c, 14, 7, where=lambda x, y: y0 + 34 < y < y1)
    elif kind == "houses":
        c.cover("grass", band)
        town(c, -180, 180, y0 + 4, y1, [c.pick("red", "grey", "brown")], 24)
    elif kind == "buildings":
        c.cover("yard", band)
        for k in range(6):
            block(c, -150 + 60 * k, y0 + 26, c.rng.uniform(36, 48), 34, 0, ROOFS[c.pick("white", "grey", "red")], 14)
            block(c, -150 + 60 * k, y0 + 74, c.rng.uniform(36, 48), 34, 0, ROOFS[c.pick("white", "grey")], 14)
    elif kind == "bare land":
        c.cover("bare", band)
    elif kind == "grass":
        c.cover("grass", band)
    elif kind == "river":
        c.poly(box(0, y0 + 2, 400, 5), (150, 138, 104))
        c.cover(c.pick("green", "dark blue"), box(0, mid + 2, 400, y1 - y0 - 4), solid=True)
    elif kind == "farmland":
        for k in range(7):
            tone = ((110, 130, 66), (168, 152, 96), (134, 112, 80))[int(c.rng.integers(3))]
            c.fill(box(-165 + 55 * k, mid, 52, y1 - y0 - 4), rows(c.rng, tint(tone, 0.94), tint(tone, 1.06), c.turn, 6))
    elif kind == "parking lot":
        c.cover("asphalt", band, solid=True)
        car_rows(c, -180, 180, (y0 + 14, y0 + 44, y0 + 58, y0 + 88), 0.7)


def fountain(c: Canvas, x: float, y: float, r: float) -> None:
    c.poly(oval(x, y, r, r), (214, 210, 200), solid=True)
    c.poly(oval(x, y, r * 0.82, r * 0.82), (84, 142, 156))
    c.poly(oval(x, y, r * 0.28, r * 0.28), (228, 236, 236))


def winding(c: Canvas, bend: float, y: float = 0.0, reach: float = 200) -> list[Point]:
    """A line across the picture along x whose bends are about ``bend`` pixels deep."""
    flip = 1 if c.chance(0.5) else -1
    ks = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return curve(
        [(k * reach, y + flip * bend * (1 if i % 2 else -1) * c.rng.uniform(0.7, 1.1)) for i, k in enumerate(ks)]
    )


def lump(c: Canvas, x: float, y: float, rx: float, ry: float, wobble: float = 0.18) -> list[Point]:
    """``draw.blob`` with the canvas's own chance."""
    return blob(c.rng, x, y, rx, ry, wobble)
