"""Single things seen from above, as maps and drones show them, and their palettes."""

from __future__ import annotations

import math
from random import Random

from rsnb.worlds.web.primitives import (
    COLOURS,
    RGB,
    Pen,
    SideCanvas,
    fill,
    jitter,
    mix,
    noise,
    pick_colour,
    shade,
    stripes,
)

PALETTES: dict[str, dict[str, RGB]] = {
    "map": {
        "grass": (200, 226, 176),
        "wood": (160, 204, 146),
        "water": (160, 206, 240),
        "sand": (246, 232, 190),
        "road": (255, 252, 240),
        "edge": (206, 196, 176),
        "pave": (236, 232, 226),
        "soil": (232, 216, 176),
        "roof": (214, 200, 186),
        "tree": (140, 190, 126),
    },
    "cartoon": {
        "grass": (126, 204, 76),
        "wood": (52, 150, 66),
        "water": (54, 170, 236),
        "sand": (252, 222, 130),
        "road": (96, 98, 112),
        "edge": (250, 250, 250),
        "pave": (214, 206, 214),
        "soil": (196, 134, 76),
        "roof": (232, 88, 62),
        "tree": (36, 128, 56),
    },
    "drone": {
        "grass": (108, 134, 72),
        "wood": (58, 88, 50),
        "water": (46, 96, 116),
        "sand": (206, 184, 146),
        "road": (104, 104, 106),
        "edge": (226, 222, 212),
        "pave": (168, 164, 158),
        "soil": (150, 116, 84),
        "roof": (150, 88, 72),
        "tree": (48, 82, 42),
    },
    "pastel": {
        "grass": (206, 232, 208),
        "wood": (170, 212, 190),
        "water": (190, 220, 246),
        "sand": (250, 236, 214),
        "road": (226, 220, 232),
        "edge": (255, 255, 255),
        "pave": (240, 232, 240),
        "soil": (238, 216, 196),
        "roof": (248, 190, 182),
        "tree": (150, 204, 172),
    },
    "board": {
        "grass": (70, 140, 70),
        "wood": (30, 92, 52),
        "water": (26, 88, 150),
        "sand": (220, 180, 100),
        "road": (196, 170, 120),
        "edge": (120, 92, 60),
        "pave": (190, 180, 160),
        "soil": (150, 96, 50),
        "roof": (176, 52, 40),
        "tree": (24, 78, 40),
    },
    "autumn": {
        "grass": (176, 160, 84),
        "wood": (170, 104, 50),
        "water": (80, 120, 140),
        "sand": (220, 196, 150),
        "road": (130, 122, 116),
        "edge": (240, 226, 196),
        "pave": (186, 172, 156),
        "soil": (140, 98, 66),
        "roof": (128, 66, 50),
        "tree": (196, 106, 40),
    },
    "winter": {
        "grass": (232, 238, 244),
        "wood": (120, 140, 140),
        "water": (130, 160, 186),
        "sand": (224, 220, 212),
        "road": (156, 160, 168),
        "edge": (244, 244, 246),
        "pave": (206, 210, 216),
        "soil": (212, 210, 206),
        "roof": (160, 90, 80),
        "tree": (84, 108, 100),
    },
}


class Plan:
    """A plan in the making: canvas, palette and shared choices (shadows, grainy or flat ground)."""

    def __init__(self, c: SideCanvas, r: Random, palette: str):
        self.c, self.r, self.name = c, r, palette
        spread = 24 if palette == "drone" else 8  # photographs differ more than printed maps
        self.pal = {k: jitter(v, r, spread) for k, v in PALETTES[palette].items()}
        self.grain = {"drone": r.uniform(10, 34), "autumn": 14, "winter": 8}.get(palette, r.choice((0, 0, 6)))
        self.shadow = r.random() < (0.8 if palette == "drone" else 0.35)

    def ground(self, key: str, polygon=None, amount: float | None = None) -> None:
        """Fill all or a polygon with one of the palette's grounds; water gets ripples."""
        a = self.grain if amount is None else amount
        if key == "water" and self.r.random() < 0.5:
            field = stripes(self.c.size, self.r.uniform(0, 180), self.r.uniform(6, 14), 0, 0.012)
            self.c.cover(fill(self.c.size, self.pal[key], field, 7), polygon)
        elif a == 0:
            if polygon is None:
                self.c.rect(0, 0, 1, 1, self.pal[key])
            else:
                self.c.poly(polygon, self.pal[key])
        else:
            self.c.cover(fill(self.c.size, self.pal[key], noise(self.c.size, self.r), a), polygon)

    def shade_of(self, x, y, a, b, angle: float = 0.0, box: bool = True) -> None:
        """A soft shadow towards the lower right under something of half axes a, b."""
        if not self.shadow:
            return
        dark = mix(self.pal["pave"], (20, 24, 30), 0.72)
        saved, self.c.outline = self.c.outline, None
        p = Pen(self.c, x + 0.25 * b, y + 0.25 * b, 1, angle)
        p.rect(-a, -b, a, b, dark) if box else p.oval(0, 0, a, b, dark)
        self.c.outline = saved

    def tree(self, x, y, q) -> None:
        r, t = self.r, jitter(self.pal["tree"], self.r, 14)
        self.shade_of(x, y, q, q, box=False)
        if self.name == "drone" or r.random() < 0.3:
            for k in range(5):
                a = 1.2566 * k
                self.c.oval(x + q * 0.45 * math.cos(a), y + q * 0.45 * math.sin(a), q * 0.6, q * 0.6, t)
            self.c.oval(x - q * 0.2, y - q * 0.25, q * 0.45, q * 0.45, shade(t, 1.2))
        else:
            self.c.oval(x, y, q, q, t)
            self.c.oval(x - q * 0.2, y - q * 0.2, q * 0.5, q * 0.5, shade(t, 1.18))

    def trees(self, n: int, q: float, inside=(0, 0, 1, 1)) -> None:
        x0, y0, x1, y1 = inside
        for _ in range(n):
            self.tree(self.r.uniform(x0, x1), self.r.uniform(y0, y1), q * self.r.uniform(0.75, 1.25))

    def roof(self, x, y, w, h, angle=0.0, rgb: RGB | None = None, style: str | None = None) -> None:
        """A roof of length w and width h (fractions of the picture)."""
        rgb = rgb or jitter(self.pal["roof"], self.r, 14)
        style = style or self.r.choice(("gable", "gable", "hip", "flat"))
        self.shade_of(x, y, w / 2, h / 2, angle)
        p = Pen(self.c, x, y, 1, angle)
        a, b = w / 2, h / 2
        if style == "flat":
            p.rect(-a, -b, a, b, rgb)
            p.rect(-a * 0.85, -b * 0.8, a * 0.85, b * 0.8, shade(rgb, 0.9))
            p.rect(a * 0.2, -b * 0.3, a * 0.55, b * 0.2, shade(rgb, 1.3))
        elif style == "gable":
            p.rect(-a, 0, a, b, shade(rgb, 1.15))
            p.rect(-a, -b, a, 0, shade(rgb, 0.75))
        else:
            i = max(0.0, a - b)
            p.poly(((-a, b), (a, b), (i, 0), (-i, 0)), shade(rgb, 1.15))
            p.poly(((-a, -b), (a, -b), (i, 0), (-i, 0)), shade(rgb, 0.7))
            p.poly(((-a, -b), (-a, b), (-i, 0)), rgb)
            p.poly(((a, -b), (a, b), (i, 0)), shade(rgb, 0.85))

    def car(self, x, y, s, angle=0.0, rgb: RGB | None = None) -> None:
        """A car of length s."""
        rgb = rgb or pick_colour(self.r, ["red", "white", "blue", "black", "gray", "yellow", "white", "gray"])[1]
        p = Pen(self.c, x, y, s, angle)
        p.rect(-0.5, -0.23, 0.5, 0.23, rgb)
        p.rect(0.08, -0.19, 0.26, 0.19, (40, 54, 70))
        p.rect(-0.36, -0.19, -0.26, 0.19, (40, 54, 70))

    def boat(self, x, y, s, angle=0.0, rgb: RGB | None = None) -> None:
        rgb = rgb or self.r.choice([(248, 248, 244), COLOURS["red"], COLOURS["brown"], (250, 240, 210)])
        p = Pen(self.c, x, y, s, angle)
        p.poly(((-0.5, -0.15), (0.2, -0.17), (0.5, 0), (0.2, 0.17), (-0.5, 0.15)), rgb)
        p.rect(-0.38, -0.08, 0.08, 0.08, shade(rgb, 0.62))

    def plane(self, x, y, s, angle=0.0, rgb: RGB | None = None) -> None:
        rgb = rgb or self.r.choice([(246, 246, 246), (220, 224, 232), COLOURS["yellow"], COLOURS["red"]])
        p = Pen(self.c, x, y, s, angle)
        p.poly(((0.12, 0), (-0.18, 0.48), (-0.3, 0.48), (-0.12, 0), (-0.3, -0.48), (-0.18, -0.48)), shade(rgb, 0.85))
        p.poly(((-0.36, 0), (-0.5, 0.17), (-0.42, 0.17), (-0.26, 0), (-0.42, -0.17), (-0.5, -0.17)), shade(rgb, 0.75))
        p.poly(((-0.48, -0.045), (0.4, -0.06), (0.5, 0), (0.4, 0.06), (-0.48, 0.045)), rgb)

    def tank(self, x, y, q, rgb: RGB | None = None) -> None:
        rgb = rgb or self.r.choice([(240, 240, 236), (206, 208, 210), (226, 214, 188), (90, 130, 170)])
        self.shade_of(x, y, q, q, box=False)
        self.c.oval(x, y, q, q, shade(rgb, 0.8))
        self.c.oval(x, y, q * 0.86, q * 0.86, rgb)
        self.c.oval(x, y, q * 0.12, q * 0.12, shade(rgb, 0.6))

    def road(self, pts, width: float, marks: bool | None = None) -> None:
        self.c.line(pts, self.pal["edge"], width * 1.25)
        self.c.line(pts, self.pal["road"], width)
        if marks if marks is not None else width > 0.07:
            self.c.dashed(pts, mix(self.pal["edge"], COLOURS["yellow"], 0.4), 0.012, 0.05)

    def rails(self, pts, width: float = 0.035) -> None:
        """A track: sleepers across and two rails; pts a straight pair of points."""
        (x0, y0), (x1, y1) = pts
        length = math.hypot(x1 - x0, y1 - y0) or 1
        nx, ny = -(y1 - y0) / length, (x1 - x0) / length
        for k in range(int(length / 0.035)):
            t = (k + 0.5) * 0.035 / length
            x, y = x0 + (x1 - x0) * t, y0 + (y1 - y0) * t
            self.c.line(
                [(x - nx * width * 0.6, y - ny * width * 0.6), (x + nx * width * 0.6, y + ny * width * 0.6)],
                (116, 84, 60),
                0.01,
            )
        for k in (-0.35, 0.35):
            self.c.line(
                [(x0 + nx * width * k, y0 + ny * width * k), (x1 + nx * width * k, y1 + ny * width * k)],
                (70, 70, 78),
                0.009,
            )

    def train(self, x, y, length, angle, rgb: RGB, cars: int = 3, width: float = 0.045) -> None:
        p = Pen(self.c, x, y, 1, angle)
        step = length / cars
        for k in range(cars):
            u = -length / 2 + k * step
            p.rect(u, -width / 2, u + step * 0.92, width / 2, rgb)
            p.rect(u + step * 0.1, -width * 0.2, u + step * 0.82, width * 0.2, shade(rgb, 1.3))

    def winding(self, amplitude: float | None = None, across: bool | None = None, at: float | None = None) -> list:
        """Points of a curve that runs through the picture."""
        r = self.r
        amp = r.uniform(0.05, 0.2) if amplitude is None else amplitude
        at = r.uniform(0.35, 0.65) if at is None else at
        ph, f, slope = r.random() * 6.28, r.uniform(4, 9), r.uniform(-0.3, 0.3)
        pts = [(t / 14, at + slope * (t / 14 - 0.5) + amp * math.sin(f * t / 14 + ph)) for t in range(-1, 16)]
        return [(y, x) for x, y in pts] if (across if across is not None else r.random() < 0.5) else pts

    def court(self, x, y, w, kind: str, angle: float = 0.0, rgb: RGB | None = None) -> None:
        """A tennis or basketball court or football field of length w."""
        h = w * {"tennis": 0.5, "basketball": 0.56, "football": 0.64}[kind]
        rgb = (
            rgb
            or {
                "tennis": self.r.choice([(60, 120, 180), (180, 90, 60), (70, 140, 90)]),
                "basketball": (206, 130, 76),
                "football": (92, 170, 76),
            }[kind]
        )
        p, a, b = Pen(self.c, x, y, 1, angle), w / 2, h / 2
        line, t = (246, 246, 240), max(0.008, w * 0.018)
        p.rect(-a * 1.12, -b * 1.15, a * 1.12, b * 1.15, shade(rgb, 0.72 if kind == "tennis" else 0.95))
        p.rect(-a, -b, a, b, rgb)
        p.line(((-a, -b), (a, -b), (a, b), (-a, b), (-a, -b)), line, t)
        p.line(((0, -b), (0, b)), line, t)
        if kind == "tennis":
            for v in (-0.72, 0.72):
                p.line(((-a, b * v), (a, b * v)), line, t)
            p.line(((-a * 0.5, -b * 0.72), (-a * 0.5, b * 0.72)), line, t)
            p.line(((a * 0.5, -b * 0.72), (a * 0.5, b * 0.72)), line, t)
            p.line(((-a * 0.5, 0), (a * 0.5, 0)), line, t)
        else:
            p.line([(b * 0.3 * math.cos(k * 0.35), b * 0.3 * math.sin(k * 0.35)) for k in range(19)], line, t)
            for k in (-1, 1):
                q = 0.6 if kind == "football" else 0.45
                p.line(((k * a, -b * q), (k * a * 0.7, -b * q), (k * a * 0.7, b * q), (k * a, b * q)), line, t)


SCENES: list = []  # every function that draws a scene from above, repeated by its weight


def scene(weight: int = 1):
    """Register `function(plan, random) -> (items, relation)` as a scene of this weight."""

    def register(function):
        SCENES.extend([function] * weight)
        return function

    return register


def adj(*words) -> dict:
    """Adjectives of an item; empty ones are left out."""
    return {"adjectives": [w for w in words if w]}


def blob(r: Random, x, y, q, rough: float = 0.2) -> list:
    ph = [r.random() * 6.28 for _ in range(3)]
    return [
        (
            x + q * (1 + rough * math.sin(2 * a + ph[0]) + rough * 0.6 * math.sin(3 * a + ph[1])) * math.cos(a),
            y + q * (1 + rough * math.sin(2 * a + ph[0]) + rough * 0.6 * math.sin(3 * a + ph[1])) * math.sin(a),
        )
        for a in (k * 2 * math.pi / 28 for k in range(28))
    ]
