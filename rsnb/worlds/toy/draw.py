"""Drawing primitives of the toy overhead world: noise, ground textures, a canvas that turns, the sensor.

Scenes are drawn at 256 pixels (one unit = one pixel, origin in the middle of the picture, x to the
right, y down) and reduced to 128 at the end. A scene is drawn in its own *local* frame; ``Canvas.turn``
rotates that frame, so one function gives every orientation, while the sun stays where it is.

Everything is computed in float64 from one ``numpy.random.Generator``, so that the same seed gives the
same pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

SIZE = 256  # drawing size in pixels
OUT = 128  # size of the finished picture

Colour = tuple[int, int, int]
Point = tuple[float, float]

# name: (dark colour, light colour, size of the patches in px, strength of the fine grain)
GROUNDS: dict[str, tuple[Colour, Colour, int, float]] = {
    "grass": ((84, 103, 58), (122, 134, 80), 56, 0.09),
    "lawn": ((92, 120, 62), (116, 140, 76), 70, 0.05),
    "dry grass": ((138, 132, 84), (168, 158, 106), 60, 0.09),
    "meadow": ((96, 124, 66), (124, 148, 80), 80, 0.07),
    "bare": ((150, 124, 92), (186, 161, 124), 50, 0.08),
    "red soil": ((146, 98, 72), (172, 124, 94), 50, 0.08),
    "sand": ((205, 184, 140), (226, 209, 168), 60, 0.04),
    "white sand": ((220, 213, 194), (236, 230, 214), 60, 0.03),
    "grey sand": ((172, 163, 146), (192, 184, 166), 60, 0.04),
    "asphalt": ((92, 93, 96), (108, 109, 111), 60, 0.05),
    "concrete": ((158, 157, 152), (176, 174, 168), 70, 0.04),
    "yard": ((136, 132, 124), (156, 151, 141), 50, 0.06),
    "gravel": ((128, 117, 104), (148, 136, 122), 30, 0.12),
    "undergrowth": ((40, 58, 34), (58, 76, 44), 40, 0.12),
    "dark blue": ((30, 54, 80), (40, 68, 96), 90, 0.03),
    "light blue": ((64, 132, 150), (86, 156, 170), 90, 0.03),
    "green": ((50, 82, 68), (64, 98, 80), 90, 0.03),
    "brown": ((104, 92, 58), (116, 104, 68), 90, 0.02),
}

ROOFS: dict[str, Colour] = {
    "red": (164, 82, 62),
    "grey": (134, 136, 140),
    "white": (222, 220, 213),
    "blue": (72, 112, 158),
    "brown": (122, 92, 68),
}


def tint(colour: Sequence[float], factor: float) -> Colour:
    """``colour`` made brighter (factor > 1) or darker (factor < 1), clipped to 0..255."""
    return tuple(int(min(255, max(0, round(v * factor)))) for v in colour[:3])  # type: ignore[return-value]


def jitter(rng: np.random.Generator, colour: Sequence[float], amount: float = 0.06) -> Colour:
    """``colour`` with a small random change of brightness and of each channel."""
    return tint(
        [v * f for v, f in zip(colour, 1 + amount * 0.4 * rng.uniform(-1, 1, 3))], 1 + amount * rng.uniform(-1, 1)
    )


@lru_cache(maxsize=64)
def _spline(knots: int, size: int) -> np.ndarray:
    """Matrix (size, knots) of uniform cubic B-splines: smooth interpolation of a coarse grid."""
    position = np.linspace(1.0, knots - 2.001, size)
    left = np.floor(position).astype(int)
    t = position - left
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    matrix = np.zeros((size, knots))
    for offset, weight in enumerate(weights):
        matrix[np.arange(size), left - 1 + offset] += weight / 6
    return matrix


def noise(rng: np.random.Generator, cell: float, octaves: int = 3, size: int = SIZE) -> np.ndarray:
    """Multi-octave noise, (size, size) float64 of mean 0 and standard deviation 1; ``cell`` in pixels."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        knots = max(4, int(size / max(1.5, cell / 2**octave)) + 3)
        spline = _spline(knots, size)
        total += 0.6**octave * (spline @ rng.standard_normal((knots, knots)) @ spline.T)
    return (total - total.mean()) / (total.std() + 1e-9)


def texture(rng: np.random.Generator, dark: Colour, light: Colour, cell: int, grain: float) -> np.ndarray:
    """A ground texture (256, 256, 3) uint8: two colours mixed in soft patches, plus fine grain."""
    mix = np.clip(0.5 + 0.3 * noise(rng, cell, 4), 0, 1)[..., None]
    rgb = np.asarray(dark) * (1 - mix) + np.asarray(light) * mix
    rgb = rgb * (1 + grain * noise(rng, 4, 2))[..., None]
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def ground(rng: np.random.Generator, name: str) -> Image.Image:
    """One of ``GROUNDS`` as a picture of 256 x 256."""
    return Image.fromarray(texture(rng, *GROUNDS[name]))


def rows(rng: np.random.Generator, dark: Colour, light: Colour, angle: float, period: float) -> Image.Image:
    """Crop rows: a texture with soft parallel stripes at ``angle`` (radians), ``period`` in pixels."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    wave = np.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / period)
    rgb = texture(rng, dark, light, 50, 0.05) * (1 + 0.09 * wave)[..., None]
    return Image.fromarray(np.clip(np.rint(rgb), 0, 255).astype(np.uint8))


def curve(points: Sequence[Point], steps: int = 14) -> list[Point]:
    """A smooth line (Catmull-Rom) through ``points``; the ends are repeated."""
    p = [np.asarray(q, float) for q in (points[0], *points, points[-1])]
    out: list[Point] = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:]):
        for t in np.linspace(0, 1, steps, endpoint=False):
            q = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
            out.append((float(q[0]), float(q[1])))
    return [*out, (float(p[-1][0]), float(p[-1][1]))]


def shift(points: Sequence[Point], offset: float) -> list[Point]:
    """A line moved sideways by ``offset`` pixels (to the right of its direction when positive)."""
    p = np.asarray(points, float)
    d = np.gradient(p, axis=0)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-9
    return [(float(x), float(y)) for x, y in p + offset * np.stack([-d[:, 1], d[:, 0]], 1)]


def ribbon(points: Sequence[Point], width: float) -> list[Point]:
    """Outline of a band of ``width`` pixels along a line."""
    return shift(points, width / 2) + shift(points, -width / 2)[::-1]


def box(x: float, y: float, w: float, h: float, turn: float = 0.0) -> list[Point]:
    """Corners of a rectangle of ``w`` x ``h`` centred at (x, y), turned by ``turn`` radians."""
    c, s = math.cos(turn), math.sin(turn)
    return [
        (x + a * w * c - b * h * s, y + a * w * s + b * h * c)
        for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    ]


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0, n: int = 40) -> list[Point]:
    """Points of an ellipse."""
    c, s = math.cos(turn), math.sin(turn)
    angles = [2 * math.pi * k / n for k in range(n)]
    return [
        (x + rx * math.cos(a) * c - ry * math.sin(a) * s, y + rx * math.cos(a) * s + ry * math.sin(a) * c)
        for a in angles
    ]


def blob(rng: np.random.Generator, x: float, y: float, rx: float, ry: float, wobble: float = 0.18) -> list[Point]:
    """Points of an irregular closed shape: an ellipse whose radius wavers by about ``wobble``."""
    amp, phase = wobble * rng.uniform(0.3, 1, 4) / np.arange(1, 5) ** 0.7, rng.uniform(0, 2 * math.pi, 4)
    out = []
    for k in range(72):
        a = 2 * math.pi * k / 72
        r = 1 + sum(amp[i] * math.sin((i + 2) * a + phase[i]) for i in range(4))
        out.append((x + rx * r * math.cos(a), y + ry * r * math.sin(a)))
    return out


def hull(points: Iterable[Point]) -> list[Point]:
    """Convex hull (monotone chain)."""
    ordered = sorted(set(points))

    def half(seq: list[Point]) -> list[Point]:
        chain: list[Point] = []
        for p in seq:
            while len(chain) > 1 and (
                (chain[-1][0] - chain[-2][0]) * (p[1] - chain[-2][1])
                <= (chain[-1][1] - chain[-2][1]) * (p[0] - chain[-2][0])
            ):
                chain.pop()
            chain.append(p)
        return chain[:-1]

    return half(ordered) + half(ordered[::-1])


class Canvas:
    """A picture being drawn. ``rng`` is the only source of chance; ``turn`` rotates the local frame."""

    def __init__(self, rng: np.random.Generator, turn: float | None = None) -> None:
        self.rng = rng
        self.turn = rng.uniform(0, 2 * math.pi) if turn is None else turn
        self.lift = 0.0  # moves the local frame along its own y axis, in pixels
        azimuth = math.radians(-135 + rng.uniform(-30, 30))  # where shadows fall, in picture coordinates
        self.dark = (math.cos(azimuth), math.sin(azimuth))
        self.slant = rng.uniform(0.7, 1.1)  # shadow length per unit of height
        self.image = Image.new("RGB", (SIZE, SIZE))
        self.pen = ImageDraw.Draw(self.image, "RGBA")
        self.taken = Image.new("L", (SIZE, SIZE))  # where roads and buildings stand: no tree grows there
        self._taken = ImageDraw.Draw(self.taken)

    # --- frames -----------------------------------------------------------------------------------
    def place(self, points: Iterable[Point]) -> list[Point]:
        """Local coordinates to picture pixels."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        return [(SIZE / 2 + x * c - (y + self.lift) * s, SIZE / 2 + x * s + (y + self.lift) * c) for x, y in points]

    def side(self, x: float, y: float) -> str:
        """On which side of the picture the local direction (x, y) points: left, right, top, bottom."""
        (px, py), (qx, qy) = self.place([(x, y), (0.0, 0.0)])
        px, py = px - qx, py - qy
        if abs(px) > abs(py):
            return "right" if px > 0 else "left"
        return "bottom" if py > 0 else "top"

    def light(self, turn: float) -> float:
        """Brightness of a slope whose downhill side looks along local angle ``turn``: 0.73 to 1.17."""
        angle = turn + self.turn
        return 0.95 - 0.22 * (math.cos(angle) * self.dark[0] + math.sin(angle) * self.dark[1])

    def pick(self, *options: str) -> str:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    # --- marks ------------------------------------------------------------------------------------
    def poly(self, points: Sequence[Point], fill: Sequence[int], solid: bool = False) -> None:
        """Fill a shape with a colour (a fourth value is its opacity); ``solid`` keeps trees away."""
        at = self.place(points)
        self.pen.polygon(at, fill=tuple(fill))
        if solid:
            self._taken.polygon(at, fill=255)

    def block(self, points: Sequence[Point]) -> None:
        self._taken.polygon(self.place(points), fill=255)

    def line(self, points: Sequence[Point], fill: Sequence[int], width: float = 1) -> None:
        self.pen.line(self.place(points), fill=tuple(fill), width=max(1, round(width)), joint="curve")

    def dashes(
        self, points: Sequence[Point], fill: Sequence[int], width: float = 1, on: float = 7, off: float = 7
    ) -> None:
        """A dashed line along ``points``."""
        for a, b in along(points, on, off):
            self.line([a, b], fill, width)

    def fill(self, points: Sequence[Point] | None, paper: Image.Image, solid: bool = False) -> None:
        """Fill a shape (None: everything) with a texture."""
        if points is None:
            self.image.paste(paper)
            return
        mask = Image.new("L", (SIZE, SIZE))
        ImageDraw.Draw(mask).polygon(self.place(points), fill=255)
        self.image.paste(paper, mask=mask)
        if solid:
            self._taken.polygon(self.place(points), fill=255)

    def cover(self, name: str, points: Sequence[Point] | None = None, solid: bool = False) -> None:
        """Fill a shape (None: everything) with the ground ``name``."""
        self.fill(points, ground(self.rng, name), solid)

    def shadow(self, shape: Sequence[Point], height: float, strength: int = 120) -> None:
        """Shadow on the ground of a convex shape that rises ``height`` pixels."""
        dx, dy = (v * height * self.slant for v in self.dark)
        at = self.place(shape)
        self.pen.polygon(hull(at + [(x + dx, y + dy) for x, y in at]), fill=(16, 22, 34, strength))

    def drop(self, points: Sequence[Point], height: float, strength: int = 110) -> None:
        """A detached shadow: the shape itself, moved (something thin, high above the ground)."""
        dx, dy = (v * height * self.slant for v in self.dark)
        self.pen.polygon([(x + dx, y + dy) for x, y in self.place(points)], fill=(16, 22, 34, strength))

    def free(self, x: float, y: float) -> bool:
        """Whether the local point lies in the picture and nothing solid stands there."""
        ((px, py),) = self.place([(x, y)])
        return (
            -8 <= px < SIZE + 8
            and -8 <= py < SIZE + 8
            and not self.taken.getpixel((int(min(SIZE - 1, max(0, px))), int(min(SIZE - 1, max(0, py)))))
        )

    def scatter(self, n: int, gap: float, where: Callable[[float, float], bool] | None = None) -> list[Point]:
        """Up to ``n`` free local points at least ``gap`` pixels from each other."""
        found: list[Point] = []
        for x, y in self.rng.uniform(-184, 184, (n * 5, 2)):
            if len(found) == n:
                break
            if (
                (where is None or where(x, y))
                and self.free(x, y)
                and all((x - a) ** 2 + (y - b) ** 2 >= gap**2 for a, b in found)
            ):
                found.append((float(x), float(y)))
        return found

    # --- the sensor -------------------------------------------------------------------------------
    def finish(self) -> Image.Image:
        """The finished picture (128 x 128): relief, haze, exposure, reduction, sensor noise."""
        rng = self.rng
        a = np.asarray(self.image, np.float64)
        a = a * (1 + 0.035 * noise(rng, 50, 3) + 0.025 * noise(rng, 3, 1))[..., None]
        a = a.reshape(OUT, 2, OUT, 2, 3).mean((1, 3))
        grey = a.mean(2, keepdims=True)
        a = grey + (a - grey) * rng.uniform(0.72, 0.96)
        a = (a - 110) * rng.uniform(0.92, 1.08) + 110 + rng.uniform(-8, 8)
        haze = rng.uniform(0, 0.12)
        a = a * (1 - haze) + np.array([186, 194, 204]) * haze
        a = a + rng.standard_normal((OUT, OUT, 1)) * 1.2
        return Image.fromarray(np.clip(np.rint(a), 0, 255).astype(np.uint8))


def along(points: Sequence[Point], on: float, off: float = 0.0) -> list[tuple[Point, Point]]:
    """Pieces of ``on`` pixels, ``off`` pixels apart, along a line: [(start, end), ...]."""
    p = np.asarray(points, float)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    starts = np.arange(0, length[-1] - on, on + off)

    def at(s: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(s, length, p[:, 0]), np.interp(s, length, p[:, 1])], 1)

    return [((float(a[0]), float(a[1])), (float(b[0]), float(b[1]))) for a, b in zip(at(starts), at(starts + on))]
