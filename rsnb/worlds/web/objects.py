"""Buildings, vehicles and outdoor things in side view (u -0.5..0.5 across, v 0..1 up from the ground)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rsnb.worlds.web.primitives import RGB, Pen

BLACK, WHITE, GRAY = (36, 36, 40), (244, 244, 240), (140, 142, 146)
WOOD, GLASS, LEAF, SKIN = (126, 84, 50), (150, 200, 228), (58, 132, 60), (226, 178, 142)


@dataclass(frozen=True)
class DrawnObject:
    """One kind of object: how to draw it, where it may stand and how big it is."""

    name: str
    draw: Callable[[Pen, RGB, Random], None]
    place: str = "ground"  # or sky, water, indoor
    size: float = 0.4  # usual height as a fraction of the picture
    width: float = 1.0  # in units of the height
    colours: tuple[str, ...] | None = None  # None: any; (): its colour is not worth a word


def windows(p: Pen, u0, v0, u1, v1, nx, ny, colour=GLASS) -> None:
    du, dv = (u1 - u0) / nx, (v1 - v0) / ny
    for i in range(nx):
        for j in range(ny):
            p.rect(u0 + (i + 0.22) * du, v0 + (j + 0.22) * dv, u0 + (i + 0.78) * du, v0 + (j + 0.78) * dv, colour)


def wheels(p: Pen, positions, radius) -> None:
    for u in positions:
        p.oval(u, radius, radius, radius, BLACK)
        p.oval(u, radius, radius * 0.45, radius * 0.45, GRAY)
