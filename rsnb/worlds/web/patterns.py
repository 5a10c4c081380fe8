"""Abstract pictures: patterns with a direction, and shapes in an arrangement."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from rsnb.worlds.web.primitives import Pen, SideCanvas, fill, jitter, noise, pick_colour, shade, stripes
from rsnb.worlds.web.scenes import item

SHAPES = (
    "circle",
    "square",
    "triangle",
    "ring",
    "cross",
    "star",
    "diamond",
    "bar",
    "hexagon",
    "arc",
    "rectangle",
    "oval",
)
PATTERNS = (
    "stripes",
    "grid",
    "dots",
    "waves",
    "bricks",
    "leaves",
    "ripples",
    "sand",
    "grass",
    "asphalt",
    "checkerboard",
    "zigzag",
    "wood",
    "clouds",
    "pebbles",
    "scales",
    "mesh",
    "gradient",
    "confetti",
    "furrows",
)
ARRANGEMENTS = ("in a row", "in a column", "in a grid", "scattered", "in a ring", "in a cluster", "along a line")


def shape(p: Pen, name: str, rgb) -> None:
    if name == "circle":
        p.oval(0, 0, 0.5, 0.5, rgb, True)
    elif name == "oval":
        p.oval(0, 0, 0.5, 0.28, rgb, True)
    elif name == "ring":
        p.line([(0.42 * math.cos(k * math.pi / 10), 0.42 * math.sin(k * math.pi / 10)) for k in range(22)], rgb, 0.16)
    elif name == "arc":
        p.line([(0.42 * math.cos(k * math.pi / 10), 0.42 * math.sin(k * math.pi / 10)) for k in range(11)], rgb, 0.16)
    elif name == "square":
        p.rect(-0.42, -0.42, 0.42, 0.42, rgb, True)
    elif name == "rectangle":
        p.rect(-0.5, -0.28, 0.5, 0.28, rgb, True)
    elif name == "bar":
        p.rect(-0.5, -0.09, 0.5, 0.09, rgb)
    elif name == "cross":
        p.rect(-0.5, -0.14, 0.5, 0.14, rgb)
        p.rect(-0.14, -0.5, 0.14, 0.5, rgb)
    else:
        n, dent = {"triangle": (3, 1), "star": (10, 0.45), "diamond": (4, 1), "hexagon": (6, 1)}[name]
        pts = [
            (
                (0.52 if k % 2 == 0 else 0.52 * dent) * math.sin(2 * math.pi * k / n),
                (0.52 if k % 2 == 0 else 0.52 * dent) * math.cos(2 * math.pi * k / n),
            )
            for k in range(n)
        ]
        p.poly(pts, rgb, True)


def layout(r: Random, arrangement: str, count: int, spacing: float = 0.16) -> list[tuple[float, float]]:
    """Centres (fractions) of `count` shapes in one of ARRANGEMENTS."""
    if arrangement in ("in a row", "in a column", "along a line"):
        a = {"in a row": 0.0, "in a column": math.pi / 2}.get(arrangement, r.choice((0.7, 2.4, 0.5, 2.6)))
        step = min(spacing, 0.84 / max(1, count - 1))
        return [
            (0.5 + step * (k - (count - 1) / 2) * math.cos(a), 0.5 + step * (k - (count - 1) / 2) * math.sin(a))
            for k in range(count)
        ]
    if arrangement == "in a grid":
        cols = max(2, math.ceil(math.sqrt(count)))
        rows = math.ceil(count / cols)
        step = min(max(0.26, spacing), 0.84 / cols)
        return [
            (0.5 + step * (k % cols - (cols - 1) / 2), 0.5 + step * (k // cols - (rows - 1) / 2)) for k in range(count)
        ]
    if arrangement == "in a ring":
        q = r.uniform(0.26, 0.36)
        return [
            (0.5 + q * math.cos(2 * math.pi * k / count), 0.5 + q * math.sin(2 * math.pi * k / count))
            for k in range(count)
        ]
    cx, cy, spread = (
        (r.uniform(0.35, 0.65), r.uniform(0.35, 0.65), 0.18) if arrangement == "in a cluster" else (0.5, 0.5, 0.42)
    )
    out: list[tuple[float, float]] = []
    for _ in range(count * 12):
        x, y = cx + r.uniform(-spread, spread), cy + r.uniform(-spread, spread)
        if all((x - a) ** 2 + (y - b) ** 2 > (0.09 if spread < 0.3 else 0.13) ** 2 for a, b in out):
            out.append((x, y))
        if len(out) == count:
            break
    return out


DIRECTIONS = {0: "horizontal", 90: "vertical", 45: "diagonal", 135: "diagonal"}
LINED = ("stripes", "waves", "ripples", "furrows", "wood", "gradient")
TONES = {"sand": (224, 196, 140), "grass": (84, 146, 60), "asphalt": (96, 96, 100), "clouds": (160, 190, 225)}


def pattern(c: SideCanvas, r: Random, name: str, rgb, rgb2) -> str | None:
    """Fill the canvas with a pattern; returns the direction of its lines where it has one."""
    angle = r.choice(list(DIRECTIONS))
    k = r.uniform(4, 11)
    if name in LINED:
        _lines(c, r, name, rgb, rgb2, angle, k)
        return DIRECTIONS[angle]
    if name in TONES:
        _grain(c, r, name)
        return None
    c.cover(fill(c.size, rgb2))
    m = r.randint(4, 9)
    step = 1 / m
    if name in ("grid", "mesh"):
        _grid(c, name, m, rgb)
        return None
    for i in range(-1, m + 1):
        for j in range(m + 1):
            x, y = (i + 0.5) * step, (j + 0.5) * step
            if name in ("leaves", "pebbles", "confetti"):
                _strewn(c, r, name, x, y, step, rgb)
            else:
                _tile(c, r, name, (i, j), x, y, step, rgb)
    return None


def _lines(c: SideCanvas, r: Random, name: str, rgb, rgb2, angle: int, k: float) -> None:
    """Lines across the canvas at an angle in degrees, k of them."""
    n = c.size
    field = {
        "stripes": lambda: stripes(n, angle, k),
        "waves": lambda: stripes(n, angle, k, 0, 0.035),
        "ripples": lambda: (stripes(n, angle, k * 1.8, 1, 0.02) + noise(n, r)) / 2,
        "furrows": lambda: stripes(n, angle, k * 1.5) * 0.7 + noise(n, r) * 0.3,
        "wood": lambda: stripes(n, angle, k, 0, 0.05) * 0.6 + stripes(n, angle, k * 2.7, 2, 0.03) * 0.4,
        "gradient": lambda: stripes(n, angle, 0.3),
    }[name]()
    if name in ("stripes", "waves"):
        field = (field > r.uniform(-0.4, 0.4)) * 2.0 - 1
    c.cover(fill(n, rgb, field, other=rgb2))


def _grain(c: SideCanvas, r: Random, name: str) -> None:
    """A surface without lines, in a colour of its own."""
    n = c.size
    grain = np.random.default_rng(r.randrange(2**31)).normal(size=(n, n)).clip(-2, 2) / 2
    field = noise(n, r) if name == "clouds" else noise(n, r) * 0.4 + grain * 0.8
    c.cover(fill(n, jitter(TONES[name], r), field, 40 if name == "clouds" else 24))
    if name == "grass":
        for _ in range(150):
            x, y = r.random(), r.random()
            c.line([(x, y), (x + r.uniform(-0.02, 0.02), y - 0.05)], jitter((60, 130, 50), r, 24), 0.007)


def _grid(c: SideCanvas, name: str, m: int, rgb) -> None:
    """m lines each way: upright in a grid, slanted in a mesh."""
    step = 1 / m
    for j in range(-m, 2 * m + 1):
        if name == "grid":
            c.line([(j * step, 0), (j * step, 1)], rgb, 0.02)
            c.line([(0, j * step), (1, j * step)], rgb, 0.02)
        else:
            c.line([(j * step, 0), (j * step + 1, 1)], rgb, 0.015)
            c.line([(j * step, 0), (j * step - 1, 1)], rgb, 0.015)


def _tile(c: SideCanvas, r: Random, name: str, cell: tuple[int, int], x: float, y: float, step: float, rgb) -> None:
    """One cell of a regular pattern, (column, row), with its centre at x, y."""
    i, j = cell
    if name == "dots":
        c.oval(x, y, step * 0.3, step * 0.3, rgb)
    elif name == "bricks":
        dx = step * 0.5 * (j % 2)
        c.rect(x - step * 0.46 + dx, y - step * 0.42, x + step * 0.46 + dx, y + step * 0.42, jitter(rgb, r, 10))
    elif name == "checkerboard" and (i + j) % 2:
        c.rect(x - step / 2, y - step / 2, x + step / 2, y + step / 2, rgb)
    elif name == "zigzag":
        c.line([(x - step / 2, y), (x, y - step * 0.4), (x + step / 2, y)], rgb, 0.025)
    elif name == "scales":
        c.oval(x + step * 0.5 * (j % 2), y, step * 0.5, step * 0.5, rgb if (i + j) % 2 else shade(rgb, 0.8))


def _strewn(c: SideCanvas, r: Random, name: str, x: float, y: float, step: float, rgb) -> None:
    """One piece of an irregular pattern, somewhere near x, y."""
    x, y = x + r.uniform(-0.5, 0.5) * step, y + r.uniform(-0.5, 0.5) * step
    pen = Pen(c, x, y, step, r.uniform(0, 180))
    if name == "leaves":
        pen.poly(((-0.6, 0), (0, 0.25), (0.6, 0), (0, -0.25)), jitter(rgb, r, 26))
    elif name == "pebbles":
        pen.oval(0, 0, 0.5, 0.38, jitter(rgb, r, 26))
    else:
        pen.rect(-0.25, -0.1, 0.25, 0.1, pick_colour(r)[1])


def abstract(c: SideCanvas, r: Random) -> dict:
    """Draw a pattern or an arrangement of shapes; returns its tags."""
    (n1, c1), (n2, c2) = pick_colour(r), pick_colour(r)
    while n1 == n2:
        n2, c2 = pick_colour(r)
    tags = {"kind": "abstract", "relation": None, "place": None, "side": None}
    if r.random() < 0.45:
        name = r.choice(PATTERNS)
        direction = pattern(c, r, name, c1, c2)
        own = name in ("sand", "grass", "asphalt", "clouds", "confetti")
        tags.update(
            form="pattern", items=[item(name, 1, None if own else n1)], ground=None if own else n2, direction=direction
        )
        return tags
    c.cover(fill(c.size, c2, noise(c.size, r) if r.random() < 0.4 else None, 10))
    name, arrangement = r.choice(SHAPES), r.choice(ARRANGEMENTS)
    count = r.choices((1, 2, 3, 4, 5, 6, 8, 10, 14), (5, 3, 3, 3, 2, 2, 2, 2, 2))[0]
    size = r.choice((None, "small", "large"))
    s = {None: 0.17, "small": 0.1, "large": 0.24}[size] * (2.2 if count == 1 else 1 if count < 6 else 0.75)
    texture = r.choice(("striped", "checkered", "dotted")) if count < 4 and r.random() < 0.35 else None
    s = min(s, 0.8 / count) if arrangement in ("in a row", "in a column", "along a line") and count > 1 else s
    tilt = r.choice((0, 0, r.uniform(-45, 45)))
    for x, y in (
        layout(r, arrangement, count, max(0.16, s * 1.2))
        if count > 1
        else [(r.uniform(0.35, 0.65), r.uniform(0.35, 0.65))]
    ):
        shape(Pen(c, x, y, s, tilt, texture=texture), name, jitter(c1, r, 6))
    items = [
        item(
            name,
            count,
            n1,
            size=size,
            texture=texture if name not in ("ring", "arc", "bar", "cross") else None,
            arrangement=arrangement if count > 2 else None,
        )
    ]
    if r.random() < 0.3:
        n3, c3 = pick_colour(r)
        other = r.choice([x for x in SHAPES if x != name])
        x, y = r.choice(((0.15, 0.15), (0.85, 0.85), (0.15, 0.85), (0.85, 0.15)))
        if n3 not in (n1, n2):
            shape(Pen(c, x, y, 0.2), other, c3)
            items.append(item(other, 1, n3))
            tags["relation"] = "next to"
    tags.update(form="shapes", items=items, ground=n2, direction=None)
    return tags
