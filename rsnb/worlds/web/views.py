"""Wider views from above: two to four scenes in one picture, as a drone sees a district rather than a thing."""

from __future__ import annotations

import math
from random import Random

from PIL import Image, ImageDraw

from rsnb.worlds.web.above import SCENES, Plan
from rsnb.worlds.web.primitives import SideCanvas

FORMS = ("halves", "halves", "inset", "inset", "quarters")


def _part(plan: Plan, make, r: Random) -> tuple[Image.Image, list]:
    """One scene in the palette of the whole view: its picture and its items."""
    c = SideCanvas(plan.c.size, outline=plan.c.outline)
    part = Plan(c, r, plan.name)
    part.pal, part.grain, part.shadow = plan.pal, plan.grain, plan.shadow
    items, relation = make(part, r)
    return c.im, (items, relation)


def _beyond(px: int, r: Random) -> tuple[Image.Image, list]:
    """A mask (255 on one side of a straight line near the middle) and the line's ends, as fractions."""
    t, d = r.choice((0, math.pi / 2, r.uniform(0, math.pi))), r.uniform(-0.12, 0.12)
    nx, ny = math.cos(t), math.sin(t)
    x, y = 0.5 + d * nx, 0.5 + d * ny
    a, b = (x - ny * 2, y + nx * 2), (x + ny * 2, y - nx * 2)
    far = [(b[0] + nx * 3, b[1] + ny * 3), (a[0] + nx * 3, a[1] + ny * 3)]
    mask = Image.new("L", (px, px), 0)
    ImageDraw.Draw(mask).polygon([(u * px, v * px) for u, v in (a, b, *far)], fill=255)
    return mask, [a, b]


def _seam(plan: Plan, ends: list, r: Random) -> None:
    """What parts two districts: a road, a river, a wall, a row of trees or nothing."""
    kind = r.choice(("road", "road", "river", "wall", "trees", None))
    if kind == "road":
        plan.road(ends, r.uniform(0.04, 0.09))
    elif kind == "river":
        plan.c.line(ends, plan.pal["water"], r.uniform(0.06, 0.12))
    elif kind == "wall":
        plan.c.line(ends, plan.pal["edge"], 0.015)
    elif kind == "trees":
        (x0, y0), (x1, y1) = ends
        for k in range(36):
            plan.tree(x0 + (x1 - x0) * k / 35, y0 + (y1 - y0) * k / 35, 0.035)


def _surroundings(plan: Plan, r: Random) -> None:
    """The country around an inset scene."""
    plan.ground(r.choice(("grass", "grass", "soil", "sand", "pave", "wood")))
    plan.trees(r.choice((0, 8, 25, 60)), r.uniform(0.02, 0.04))
    for _ in range(r.choice((0, 0, 4, 12))):
        plan.roof(r.random(), r.random(), 0.09, 0.07, r.choice((0, 90)))
    for _ in range(r.choice((0, 1, 1, 2))):
        plan.road(plan.winding(r.uniform(0, 0.15), at=r.choice((0.08, 0.9, 0.5))), r.uniform(0.03, 0.06), False)


def wide(plan: Plan, r: Random) -> tuple[list, str | None, list, str]:
    """Draw a wide view on the plan's canvas.

    Returns (items, relation, also, name): the main scene's groups, the first group of every other scene, and the
    main scene's name.
    """
    makers = [f for f in sorted(SCENES, key=lambda f: f.__name__) if f.__name__ != "close_up"]
    form = r.choice(FORMS)
    count = {"halves": 2, "inset": 1, "quarters": r.choice((2, 3))}[form]
    chosen: list = []
    while len(chosen) < count:
        make = r.choice(makers)
        if make not in chosen:
            chosen.append(make)
    parts = [_part(plan, make, r) for make in chosen]
    px = plan.c.im.width
    if form == "halves":
        mask, ends = _beyond(px, r)
        plan.c.im.paste(parts[0][0])
        plan.c.im.paste(parts[1][0], (0, 0), mask)
        _seam(plan, ends, r)
    elif form == "inset":
        _surroundings(plan, r)
        side = round(px * r.uniform(0.5, 0.75))
        small = parts[0][0].resize((side, side), Image.Resampling.BICUBIC)
        plan.c.im.paste(small, (r.randint(0, px - side), r.randint(0, px - side)))
    else:
        half = px // 2
        places = [(0, 0), (half, 0), (0, half), (half, half)]
        r.shuffle(places)
        for k, place in enumerate(places):
            small = parts[k % count][0].resize((half, half), Image.Resampling.BICUBIC)
            plan.c.im.paste(small, place)
        if r.random() < 0.7:
            plan.road([(0.5, -0.1), (0.5, 1.1)], 0.05)
            plan.road([(-0.1, 0.5), (1.1, 0.5)], 0.05)
    (items, relation), others = parts[0][1], [p[1][0][0] for p in parts[1:]]
    return items, relation, others, chosen[0].__name__
