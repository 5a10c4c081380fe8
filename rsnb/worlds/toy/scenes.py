"""The 22 classes of the toy overhead world and the seed of each of their pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from rsnb.worlds.toy import scenes_nature, scenes_town, scenes_transport
from rsnb.worlds.toy.captions import write
from rsnb.worlds.toy.draw import Canvas

SCENES: dict[str, Callable[[Canvas], dict[str, str]]] = {
    function.__name__: function
    for function in sorted(
        (
            scenes_transport.airport,
            scenes_nature.beach,
            scenes_transport.bridge,
            scenes_town.denseresidential,
            scenes_town.sparseresidential,
            scenes_nature.farmland,
            scenes_nature.forest,
            scenes_transport.harbor,
            scenes_town.industrial,
            scenes_nature.meadow,
            scenes_town.parking,
            scenes_nature.park,
            scenes_town.playground,
            scenes_nature.pond,
            scenes_transport.railwaystation,
            scenes_nature.river,
            scenes_transport.runway,
            scenes_town.square,
            scenes_town.stadium,
            scenes_town.storagetanks,
            scenes_town.tenniscourt,
            scenes_transport.viaduct,
        ),
        key=lambda function: function.__name__,
    )
}
CLASSES: tuple[str, ...] = tuple(SCENES)
SPLITS = ("train", "test")
_DRAW, _WRITE = 0, 1  # two streams of chance for each picture: one for the pixels, one for the captions


def stream(seed: int, split: str, name: str, index: int, purpose: int = _DRAW) -> np.random.Generator:
    """The random stream of one picture: depends on nothing but these five values."""
    return np.random.Generator(np.random.PCG64([seed, SPLITS.index(split), CLASSES.index(name), index, purpose]))


def draw(name: str, seed: int, split: str, index: int) -> tuple[Image.Image, dict[str, str]]:
    """Draw picture ``index`` of class ``name``.

    Returns:
        The RGB picture (128 x 128) and its attributes, such as ``{"n": "two", "roof": "blue"}``.
    """
    canvas = Canvas(stream(seed, split, name, index))
    attributes = SCENES[name](canvas)
    return canvas.finish(), attributes


def describe(name: str, attributes: dict[str, str], seed: int, split: str, index: int) -> list[str]:
    """The five captions of picture ``index`` of class ``name``."""
    return write(name, attributes, stream(seed, split, name, index, _WRITE))
