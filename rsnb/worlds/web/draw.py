"""One picture of the web world: choose a kind, draw it, give it a style, write its caption."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from PIL import Image, ImageFilter

from rsnb.worlds.web.aerial import overhead
from rsnb.worlds.web.captions import caption
from rsnb.worlds.web.patterns import abstract
from rsnb.worlds.web.primitives import SideCanvas, noise
from rsnb.worlds.web.scenes import natural

NATURAL, ABSTRACT, OVERHEAD = 0.36, 0.14, 0.50  # shares of the three kinds of picture
KINDS = ("natural", "abstract", "overhead")
# Style and its weight, for side views and patterns, and for pictures from above.
STYLES = {"plain": 30, "grainy": 16, "faded": 9, "blurry": 8, "tinted": 9, "gray": 5, "dark": 5, "vivid": 8, "lit": 10}
STYLES_ABOVE = {
    "plain": 30,
    "grainy": 24,
    "faded": 8,
    "blurry": 6,
    "tinted": 8,
    "gray": 4,
    "dark": 3,
    "vivid": 5,
    "lit": 6,
    "sepia": 3,
    "blueprint": 3,
    "night": 3,
    "sketch": 3,
}
DIRECTIONS = ("horizontal", "vertical", "diagonal")
COLOURLESS = ("gray", "sepia", "blueprint", "night", "sketch")


def seeded(seed: int, index: int) -> Random:
    """A random generator of this picture alone."""
    return Random((seed + 1) * 1_000_000_007 + index * 7919 + 13)


def _stylise(im: Image.Image, style: str, r: Random) -> Image.Image:
    """Apply one style to the reduced picture."""
    if style == "plain":
        return im
    if style == "blurry":
        return im.filter(ImageFilter.BoxBlur(r.uniform(0.8, 1.6)))
    n = im.width
    if style == "sketch":
        edges = np.asarray(im.convert("L").filter(ImageFilter.FIND_EDGES), np.float32)
        out = np.repeat((250 - np.clip(edges * 1.8, 0, 220))[..., None], 3, 2)
        out[:2], out[-2:], out[:, :2], out[:, -2:] = 250, 250, 250, 250
        return Image.fromarray(out.astype(np.uint8))
    a = np.asarray(im, np.float32)
    luma = a[..., :1] * 0.3 + a[..., 1:2] * 0.59 + a[..., 2:] * 0.11
    if style == "grainy":
        grain = np.random.default_rng(r.randrange(2**31)).normal(size=(n, n, 1)).astype(np.float32)
        a = a + grain * r.uniform(7, 20) + noise(n, r)[..., None] * 14
    elif style == "faded":
        a = 150 + (a - 150) * r.uniform(0.35, 0.55)
    elif style == "tinted":
        a = a * np.array([r.uniform(0.7, 1.15) for _ in range(3)], np.float32)
    elif style == "gray":
        a = np.repeat(luma, 3, 2)
    elif style == "dark":
        a = a * r.uniform(0.35, 0.55)
    elif style == "vivid":
        a = luma + (a - luma) * 1.6
    elif style == "lit":
        y, x = np.mgrid[0:n, 0:n].astype(np.float32) / n
        t = r.random() * 6.28
        a = a * (1 + r.uniform(0.25, 0.5) * ((x - 0.5) * math.cos(t) + (y - 0.5) * math.sin(t)))[..., None]
    elif style == "sepia":
        a = luma * np.array([1.07, 0.9, 0.66], np.float32)
    elif style == "blueprint":
        t = luma / 255
        a = np.array([24, 60, 140], np.float32) + t * np.array([190, 180, 110], np.float32)
    elif style == "night":
        t = np.clip((luma - 110) / 145, 0, 1)
        a = np.array([10, 14, 34], np.float32) + luma * 0.16 + t * np.array([200, 170, 70], np.float32)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def _turn(im: Image.Image, r: Random, most: float) -> Image.Image:
    """Turn by up to `most` degrees and enlarge so that no corner shows; sometimes crop closer."""
    angle = r.uniform(-most, most)
    t = abs(math.radians(angle))
    zoom = (math.cos(t) + math.sin(t)) * r.choice((1, 1, 1.15, 1.35))
    c, s, h = math.cos(math.radians(angle)) / zoom, math.sin(math.radians(angle)) / zoom, im.width / 2
    matrix = (c, s, h - h * c - h * s, -s, c, h + h * s - h * c)
    return im.transform(im.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def picture(seed: int, index: int, size: int = 96) -> tuple[Image.Image, dict]:
    """The picture (size, size) and its tags, without a caption."""
    r = seeded(seed, index)
    kind = r.choices(KINDS, (NATURAL, ABSTRACT, OVERHEAD))[0]
    c = SideCanvas(size)
    if kind != "overhead" and r.random() < 0.22:
        c.outline = (30, 30, 34)
    outlined = c.outline is not None
    tags = {"natural": natural, "abstract": abstract, "overhead": overhead}[kind](c, r)
    im = c.im.reduce(2)
    if kind == "overhead":
        if r.random() < 0.5:
            im = im.transpose(
                r.choice(
                    (
                        Image.Transpose.ROTATE_90,
                        Image.Transpose.ROTATE_180,
                        Image.Transpose.FLIP_LEFT_RIGHT,
                        Image.Transpose.TRANSPOSE,
                    )
                )
            )
            _forget(tags, DIRECTIONS)
        if r.random() < 0.45:
            im = _turn(im, r, r.choice((8, 20, 45)))
            _forget(tags, DIRECTIONS)
    styles = STYLES_ABOVE if kind == "overhead" else STYLES
    style = r.choices(list(styles), styles.values())[0]
    tags["style"], tags["outlined"] = style, outlined
    if style in COLOURLESS:
        for group in (*tags["items"], tags.get("extra") or {}, *tags.get("also", ())):
            group["colour"] = None
        if tags.get("ground"):
            tags["ground"] = None
    if style in COLOURLESS or tags.get("palette") in ("autumn", "winter"):
        _forget(tags, ("green", "lush", "white", "colorful"))
    return _stylise(im, style, r), tags


def _forget(tags: dict, words: tuple[str, ...]) -> None:
    """Take adjectives out that no longer hold (directions in a turned picture, colours in a gray one)."""
    for group in (*tags["items"], *tags.get("also", ())):
        if "adjectives" in group:
            group["adjectives"] = [w for w in group["adjectives"] if w not in words]


def draw(seed: int, index: int, size: int = 96) -> tuple[np.ndarray, str, dict]:
    """Picture number `index` of the world `seed`.

    Returns (pixels, caption, tags): uint8 (size, size, 3), one alt-text-like caption, and what is drawn:
    `kind` (natural, abstract or overhead), `items` (name, count, colour, ...), `relation`, `place`, `style`.
    The same arguments give the same answer in every process (with the same versions of Pillow and numpy).
    """
    im, tags = picture(seed, index, size)
    return np.asarray(im, np.uint8), caption(tags, Random(seeded(seed, index).randrange(2**40) + 1)), tags
