"""Colours, a pen, cheap noise and fills: what everything in the web world is drawn with.

Coordinates of a canvas are fractions of its side (x to the right, y down, both 0 to 1).
A `Pen` draws in the local frame of one object: u to the right and v *up*, in units of the object's size.
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (206, 44, 40),
    "orange": (238, 130, 30),
    "yellow": (243, 208, 48),
    "green": (56, 150, 62),
    "blue": (42, 92, 200),
    "purple": (128, 60, 160),
    "pink": (240, 140, 175),
    "brown": (128, 82, 46),
    "black": (32, 32, 36),
    "white": (242, 242, 238),
    "gray": (136, 138, 142),
    "turquoise": (50, 185, 185),
    "beige": (214, 190, 148),
}
CIRCLE = [(math.cos(2 * math.pi * k / 20), math.sin(2 * math.pi * k / 20)) for k in range(20)]


def clip8(value: float) -> int:
    return 0 if value < 0 else 255 if value > 255 else int(value)


def shade(rgb: RGB, factor: float) -> RGB:
    """Darken (factor < 1) or lighten towards white (factor > 1)."""
    if factor <= 1:
        return tuple(clip8(v * factor) for v in rgb)
    return mix(rgb, (255, 255, 255), factor - 1)


def mix(a: RGB, b: RGB, t: float) -> RGB:
    return tuple(clip8(x + (y - x) * t) for x, y in zip(a, b))


def jitter(rgb: RGB, r: Random, amount: float = 16) -> RGB:
    base = r.uniform(-amount, amount)
    return tuple(clip8(v + base + r.uniform(-amount, amount) * 0.6) for v in rgb)


def pick_colour(r: Random, names=None) -> tuple[str, RGB]:
    """A colour's name and one jittered value of it."""
    name = r.choice(names or list(COLOURS))
    return name, jitter(COLOURS[name], r, 9 if name in ("gray", "white", "black") else 16)


@lru_cache(maxsize=1)
def noise_pool() -> np.ndarray:
    """Twelve fixed fields of smooth noise (12, 192, 192), about -1 to 1; the same in every process."""
    rng = np.random.default_rng(12345)
    fields = []
    for k in range(12):
        total = np.zeros((192, 192), np.float32)
        for step, weight in ((4, 1.0), (12, 0.7), (32, 0.5), (96, 0.35)):
            coarse = Image.fromarray(rng.normal(size=(step, step)).astype(np.float32))
            total += (
                weight
                * (1 if k % 2 == 0 or step > 8 else 0.2)
                * np.asarray(coarse.resize((192, 192), Image.Resampling.BICUBIC))
            )
        fields.append(total / (np.abs(total).max() + 1e-6))
    return np.stack(fields)


@lru_cache(maxsize=4)
def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    return x, y


def noise(size: int, r: Random) -> np.ndarray:
    """A random window (size, size) of the noise pool (size at most 96 keeps offsets varied)."""
    pool = noise_pool()
    span = max(1, 192 - size)
    i, j, k = r.randrange(span), r.randrange(span), r.randrange(12)
    field = pool[k, i : i + size, j : j + size]
    if field.shape != (size, size):
        field = np.resize(np.tile(pool[k], (2 + size // 192, 2 + size // 192)), (size, size))
    return field[:, ::-1] if r.random() < 0.5 else field


def stripes(size: int, angle: float, count: float, phase: float = 0.0, bend: float = 0.0) -> np.ndarray:
    """A sine grating (size, size) in -1..1; `angle` in degrees is the direction in which the lines run."""
    x, y = grid(size)
    a = math.radians(angle)
    across = -x * math.sin(a) + y * math.cos(a)
    if bend:
        across = across + bend * np.sin((x * math.cos(a) + y * math.sin(a)) * 12 + phase)
    return np.sin(across * (2 * math.pi * count) + phase)


def fill(
    size: int, colour: RGB, field: np.ndarray | None = None, amount: float = 12.0, other: RGB | None = None
) -> Image.Image:
    """An image (size, size): a colour modulated by a field in -1..1, towards `other` or in brightness."""
    if field is None:
        return Image.new("RGB", (size, size), colour)
    base = np.array(colour, np.float32)
    if other is None:
        out = base + (field * amount)[..., None]
    else:
        out = base + ((field + 1) / 2)[..., None] * (np.array(other, np.float32) - base)
    im = Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
    return im if im.width == size else im.resize((size, size), Image.Resampling.BILINEAR)


class SideCanvas:
    """A square picture in the making, at twice the final size.

    size: pixels of the final picture. outline: colour of contour lines, or None.
    """

    def __init__(self, size: int, colour: RGB = (255, 255, 255), outline: RGB | None = None):
        self.size, self.px, self.outline = size, 2 * size, outline
        self.im = Image.new("RGB", (self.px, self.px), colour)
        self.d = ImageDraw.Draw(self.im)

    def cover(self, image: Image.Image, polygon: list | None = None) -> None:
        """Paste a (size, size) fill over everything or inside a polygon of fractions."""
        image = image.resize((self.px, self.px), Image.Resampling.BILINEAR)
        if polygon is None:
            self.im.paste(image)
            return
        mask = Image.new("L", (self.px, self.px))
        ImageDraw.Draw(mask).polygon([(x * self.px, y * self.px) for x, y in polygon], fill=255)
        self.im.paste(image, (0, 0), mask)

    def poly(self, pts, colour: RGB) -> None:
        self.d.polygon([(x * self.px, y * self.px) for x, y in pts], fill=colour, outline=self.outline)

    def line(self, pts, colour: RGB, width: float) -> None:
        w = max(1, round(width * self.px))
        self.d.line([(x * self.px, y * self.px) for x, y in pts], fill=colour, width=w, joint="curve")

    def rect(self, x0, y0, x1, y1, colour: RGB) -> None:
        p = self.px
        self.d.rectangle(
            (min(x0, x1) * p, min(y0, y1) * p, max(x0, x1) * p, max(y0, y1) * p), fill=colour, outline=self.outline
        )

    def oval(self, x, y, rx, ry, colour: RGB) -> None:
        p = self.px
        self.d.ellipse(((x - rx) * p, (y - ry) * p, (x + rx) * p, (y + ry) * p), fill=colour, outline=self.outline)

    def dashed(self, pts, colour: RGB, width: float, dash: float = 0.04) -> None:
        """A dashed line along a polyline; dash and gap have the same length."""
        for (x0, y0), (x1, y1) in zip(pts, pts[1:]):
            length = math.hypot(x1 - x0, y1 - y0)
            n = max(1, int(length / dash))
            for k in range(0, n, 2):
                a, b = k / n, min(1.0, (k + 1) / n)
                self.line(
                    [(x0 + (x1 - x0) * a, y0 + (y1 - y0) * a), (x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)], colour, width
                )


class Pen:
    """Draws one object: origin (x, y) and size s in canvas fractions, angle in degrees, mirrored or not.

    texture: None, "striped", "checkered" or "dotted"; it marks the parts drawn with body=True.
    """

    def __init__(
        self,
        canvas: SideCanvas,
        x: float,
        y: float,
        s: float,
        angle: float = 0.0,
        flip: bool = False,
        texture: str | None = None,
    ):
        self.c, self.d = canvas, canvas.d
        self.x, self.y, self.s = x * canvas.px, y * canvas.px, s * canvas.px
        self.angle, self.texture, self.out = angle, texture, canvas.outline
        self.ca, self.sa = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        self.f = -1 if flip else 1

    def pt(self, u: float, v: float) -> tuple[float, float]:
        u *= self.f
        return (self.x + self.s * (u * self.ca + v * self.sa), self.y - self.s * (v * self.ca - u * self.sa))

    def poly(self, pts, colour: RGB, body: bool = False) -> None:
        pts = [self.pt(u, v) for u, v in pts]
        self.d.polygon(pts, fill=colour, outline=self.out)
        if body and self.texture:
            self._decorate(pts, colour)

    def rect(self, u0, v0, u1, v1, colour: RGB, body: bool = False) -> None:
        self.poly(((u0, v0), (u1, v0), (u1, v1), (u0, v1)), colour, body)

    def oval(self, u, v, a, b, colour: RGB, body: bool = False) -> None:
        """An ellipse around (u, v) with half axes a and b."""
        if self.angle == 0 and not (body and self.texture):
            x, y = self.pt(u, v)
            self.d.ellipse(
                (x - a * self.s, y - b * self.s, x + a * self.s, y + b * self.s), fill=colour, outline=self.out
            )
        else:
            self.poly([(u + a * p, v + b * q) for p, q in CIRCLE], colour, body)

    def line(self, pts, colour: RGB, width: float = 0.05) -> None:
        self.d.line([self.pt(u, v) for u, v in pts], fill=colour, width=max(1, round(width * self.s)), joint="curve")

    def _decorate(self, pts, colour: RGB) -> None:
        xs, ys = [p[0] for p in pts], [p[1] for p in pts]
        x0, y0 = int(min(xs)), int(min(ys))
        w, h = int(max(xs)) - x0 + 1, int(max(ys)) - y0 + 1
        if w < 8 or h < 8:
            return
        mask, mark = Image.new("L", (w, h)), Image.new("L", (w, h))
        ImageDraw.Draw(mask).polygon([(x - x0, y - y0) for x, y in pts], fill=255)
        d = ImageDraw.Draw(mark)
        step = max(6, min(w, h) // 4)
        if self.texture == "striped":
            for k in range(0, w, 2 * step // 2 * 2):
                d.rectangle((k, 0, k + step - 1, h), fill=255)
        else:
            for i in range(0, w, step):
                for j in range(0, h, step):
                    if self.texture == "checkered":
                        if (i // step + j // step) % 2:
                            d.rectangle((i, j, i + step - 1, j + step - 1), fill=255)
                    else:
                        d.ellipse((i + 1, j + 1, i + step * 0.65, j + step * 0.65), fill=255)
        light = sum(colour) > 420
        self.c.im.paste(shade(colour, 0.45) if light else shade(colour, 1.7), (x0, y0), ImageChops.multiply(mask, mark))
