"""One picture from above: a palette, one scene, now and then a neighbour along an edge."""

from __future__ import annotations

from random import Random

from rsnb.worlds.web import land, town, traffic  # noqa: F401  (they register their scenes)
from rsnb.worlds.web.above import SCENES, Plan
from rsnb.worlds.web.primitives import SideCanvas
from rsnb.worlds.web.scenes import item
from rsnb.worlds.web.views import wide

WIDE = 0.4  # share of wide views

MEDIA = {
    "map": ("map", "map", "plan"),
    "cartoon": ("cartoon", "cartoon map", "game"),
    "drone": ("drone", "drone", "above"),
    "pastel": ("illustration", "map"),
    "board": ("board game", "game"),
    "autumn": ("drone", "autumn"),
    "winter": ("winter", "drone"),
}


def overhead(c: SideCanvas, r: Random) -> dict:
    """Draw one picture seen from above on `c`; returns its tags."""
    palette = r.choices(list(MEDIA), (4, 4, 12, 3, 3, 2, 2))[0]
    if palette in ("cartoon", "board", "map") and r.random() < 0.45:
        c.outline = r.choice(((30, 30, 34), (70, 60, 50), (110, 100, 90)))
    p = Plan(c, r, palette)
    if r.random() < WIDE:
        items, relation, also, name = wide(p, r)
        return _tags(r, palette, items, relation, name, also=also)
    make = r.choice(sorted(SCENES, key=lambda f: f.__name__))
    items, relation = make(p, r)
    extra = None
    if r.random() < 0.3 and len(items) < 3:
        extra = r.choice(("road", "tree", "house", "river", "railway"))
        along = r.random() < 0.5
        at = r.choice((0.05, 0.95))
        ends = [(at, -0.1), (at, 1.1)] if along else [(-0.1, at), (1.1, at)]
        if extra == "road":
            p.road(ends, 0.08)
        elif extra == "river":
            c.line(ends, p.pal["water"], 0.14)
        elif extra == "railway":
            p.rails(ends, 0.05)
        else:
            for k in range(8):
                x, y = (at, k / 7) if along else (k / 7, at)
                p.tree(x, y, 0.05) if extra == "tree" else p.roof(x, y, 0.11, 0.09, 90 if along else 0)
    known = not extra or extra in [i["name"] for i in items]
    extra = None if known else item(extra, 20 if extra in ("tree", "house") else 1, None)
    return _tags(r, palette, items, relation, make.__name__, extra=extra)


def _tags(r: Random, palette: str, items, relation, scene: str, extra=None, also=()) -> dict:
    return {
        "kind": "overhead",
        "items": items,
        "relation": relation,
        "place": None,
        "side": None,
        "medium": r.choice(MEDIA[palette]),
        "palette": palette,
        "scene": scene,
        "extra": extra,
        "also": list(also),
    }
