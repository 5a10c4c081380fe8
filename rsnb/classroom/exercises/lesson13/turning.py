"""An image in its eight turns: from above no side is up."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


def _squares() -> list[tuple]:
    """(3, S, S) without two equal pixels, so that no turn looks like another; S is also 3, where axes can be mixed up
    unnoticed, and 1."""
    rng = random.Random(13)
    return [(torch.arange(12.0).view(3, 2, 2),), *((draws.unequal(rng, 3, s, s),) for s in (3, 4, 1, 5))]


def _square(rng: random.Random) -> tuple:
    side = rng.choice((1, 2, 3, 3, 4, 5))
    return (draws.unequal(rng, 3, side, side),)


def _eight(x: Tensor, turns=range(4), mirror=(2,), axes=(1, 2)) -> Tensor:
    return torch.stack([side.rot90(turn, axes) for side in (x, x.flip(mirror)) for turn in turns])


def _each(change: Callable[[Tensor], list[Tensor]]) -> Callable[[Tensor], Tensor]:
    """``change`` of the image, then of its mirror image."""
    return lambda x: torch.stack([*change(x), *change(x.flip(2))])


EIGHT_TURNS = Exercise(
    key="eight_turns",
    lesson=13,
    title="Eight turns",
    aim="Make eight training images of one, where no side is up.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=(
        "Write `eight_turns(pixels)`: `pixels` is one square image (3, S, S), its axes are colour, row and column. "
        "Return (8, 3, S, S): first the image turned by 0, 90, 180 and 270 degrees **anticlockwise**, then its mirror "
        "image (left and right exchanged), turned by the same four angles in the same order."
    ),
    name="eight_turns",
    stub="def eight_turns(pixels):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def eight_turns(pixels):\n"
        "    sides = (pixels, pixels.flip(2))  # the image, and left and right exchanged\n"
        "    return torch.stack([x.rot90(turn, (1, 2)) for x in sides for turn in range(4)])\n"
    ),
    cases=_squares,
    draw=_square,
    truth=_eight,
    mistakes={
        "four turns": Mistake(
            lambda x: _eight(x)[:4],
            "these are the four turns alone. Seen from above the mirror image could be a place as well, and no turn "
            "makes it of the image: add its four turns",
        ),
        "flips without turns": Mistake(
            (
                _each(lambda x: [x, x.flip(2), x.flip(1), x.flip(1, 2)]),
                _each(lambda x: [x, x.flip(1), x.flip(2), x.flip(1, 2)]),
                _each(lambda x: [x, x.flip(1, 2), x, x.flip(1, 2)]),
            ),
            "only mirrors and half turns are there, so just four of the eight images are different. Nothing turns "
            "rows into columns: use quarter turns, torch.rot90",
        ),
        "half turn for a mirror": Mistake(
            lambda x: _eight(x, mirror=(1, 2)),
            "exchanging left and right and also top and bottom is a half turn, so the last four are the first four "
            "once more. A mirror image exchanges along one axis alone: flip(2)",
        ),
        "clockwise": Mistake(
            lambda x: _eight(x, axes=(2, 1)),
            "the images turn clockwise. torch.rot90 turns from the first of the two axes towards the second: (1, 2) is "
            "anticlockwise, (2, 1) and negative numbers of turns are clockwise",
        ),
        "upside down": Mistake(
            lambda x: _eight(x, mirror=(1,)),
            "the mirror image has top and bottom exchanged; the eight are the same, but in another order. Left and "
            "right lie along the columns, the last axis: flip(2)",
        ),
        "mirror after turning": Mistake(
            lambda x: torch.cat([_eight(x)[:4], _eight(x)[:4].flip(3)]),
            "each turned image is mirrored, which gives the same eight in another order: after a mirror a turn goes "
            "the other way round. Mirror first, then turn",
        ),
        "in pairs": Mistake(
            lambda x: torch.stack([side.rot90(turn, (1, 2)) for turn in range(4) for side in (x, x.flip(2))]),
            "each turn is followed by its mirror image; the task wants the four turns of the image first. Exchange the "
            "two loops",
        ),
        "mirror images first": Mistake(
            lambda x: _eight(x).roll(4, 0),
            "the mirror images come first; the image itself should be the first of the eight",
        ),
        "begins turned": Mistake(
            lambda x: _eight(x, turns=range(1, 5)),
            "the first image is turned already, and the one as it lies comes last. Count the turns from 0: range(4)",
        ),
        "wrong axes": Mistake(
            (lambda x: _eight(x, axes=(0, 1)), lambda x: _eight(x, axes=(0, 2))),
            "the turn mixes colours with places: the first axis is the colour, and torch.rot90 takes the axes 0 and 1 "
            "unless it is told otherwise. Height and width are (1, 2)",
        ),
        "colours mirrored": Mistake(
            lambda x: _eight(x, mirror=(0,)),
            "flip(0) exchanges red and blue and leaves every pixel in its place. Left and right lie along the last "
            "axis: flip(2)",
        ),
        "transposed": Mistake(
            (
                _each(lambda x: [x, x.mT, x, x.mT]),
                _each(lambda x: [x, x.mT, x.flip(1, 2), x.flip(1, 2).mT]),
                _each(lambda x: [x, x.mT, x.flip(1, 2), x.mT.flip(1, 2)]),
            ),
            "exchanging rows and columns mirrors the image at its diagonal; it is no quarter turn. Use torch.rot90, or "
            "transpose and then exchange top and bottom",
        ),
        "joined": Mistake(
            lambda x: _eight(x).flatten(0, 1),
            "torch.cat joins the images along the axis of colours, to one image of 24. torch.stack makes a new first "
            "axis for the eight",
        ),
    },
    hint="torch.rot90(x, turns, (1, 2)) turns height and width; x.flip(2) exchanges left and right; then torch.stack",
    errors={
        "equal size": "a turn has changed the shape, so it has turned colours into rows: turn height and width, (1, 2)",
        "out of range": "one image has three axes, 0 to 2: colour, row, column. Height and width are (1, 2)",
        "expected the shape": "eight images of the shape (3, S, S), on a new first axis: torch.stack",
    },
    right=(
        "def eight_turns(pixels):\n"
        "    def quarter(x):\n"
        "        return x.transpose(1, 2).flip(1)\n"
        "    found = [pixels]\n"
        "    for _ in range(3):\n"
        "        found.append(quarter(found[-1]))\n"
        "    found.append(torch.flip(pixels, [-1]))\n"
        "    for _ in range(3):\n"
        "        found.append(quarter(found[-1]))\n"
        "    return torch.stack(found)\n",
        "def eight_turns(pixels):\n"
        "    both = torch.stack([pixels, pixels.flip(-1)])  # (2, 3, S, S)\n"
        "    return torch.stack([both.rot90(k, (-2, -1)) for k in range(4)], dim=1).flatten(0, 1)\n",
        "def eight_turns(pixels):\n"
        "    import numpy as np\n"
        "    x = pixels.numpy()\n"
        "    return [np.rot90(y, k, axes=(1, 2)) for y in (x, x[:, :, ::-1]) for k in range(4)]\n",
    ),
    wrong={
        "four turns": "def eight_turns(pixels):\n    return [pixels.rot90(k, (1, 2)) for k in range(4)]\n",
        "flips without turns": (
            "def eight_turns(pixels):\n"
            "    found = []\n"
            "    for x in (pixels, pixels.flip(2)):\n"
            "        found += [x, x.flip(2), x.flip(1), x.flip(2).flip(1)]\n"
            "    return torch.stack(found)\n"
        ),
        "half turn for a mirror": (
            "def eight_turns(pixels):\n"
            "    four = torch.stack([pixels.rot90(k, (1, 2)) for k in range(4)])\n"
            "    return torch.cat([four, four.flip(2, 3)])\n"
        ),
        "clockwise": (
            "def eight_turns(pixels):\n"
            "    return torch.stack([x.rot90(-k, (1, 2)) for x in (pixels, pixels.flip(2)) for k in range(4)])\n"
        ),
        "upside down": (
            "def eight_turns(pixels):\n"
            "    both = torch.stack([pixels, pixels.flip(1)])\n"
            "    return torch.stack([b.rot90(k, (1, 2)) for b in both for k in range(4)])\n"
        ),
        "mirror after turning": (
            "def eight_turns(pixels):\n"
            "    four = [pixels.rot90(k, (1, 2)) for k in range(4)]\n"
            "    return torch.stack(four + [x.flip(2) for x in four])\n"
        ),
        "in pairs": (
            "def eight_turns(pixels):\n"
            "    both = torch.stack([pixels, pixels.flip(2)])\n"
            "    return torch.cat([both.rot90(k, (2, 3)) for k in range(4)])\n"
        ),
        "mirror images first": (
            "def eight_turns(pixels):\n"
            "    return torch.stack([x.rot90(k, (1, 2)) for x in (pixels.flip(2), pixels) for k in range(4)])\n"
        ),
        "begins turned": (
            "def eight_turns(pixels):\n"
            "    return torch.stack([x.rot90(k + 1, (1, 2)) for x in (pixels, pixels.flip(2)) for k in range(4)])\n"
        ),
        "wrong axes": (
            "def eight_turns(pixels):\n"
            "    return torch.stack([torch.rot90(x, k) for x in (pixels, pixels.flip(2)) for k in range(4)])\n"
        ),
        "colours mirrored": (
            "def eight_turns(pixels):\n"
            "    return torch.stack([x.rot90(k, (1, 2)) for x in (pixels, pixels[[2, 1, 0]]) for k in range(4)])\n"
        ),
        "transposed": (
            "def eight_turns(pixels):\n"
            "    four = lambda x: [x, x.transpose(1, 2), x.flip(1, 2), x.flip(1, 2).transpose(1, 2)]\n"
            "    return torch.stack(four(pixels) + four(pixels.flip(2)))\n"
        ),
        "joined": (
            "def eight_turns(pixels):\n"
            "    return torch.cat([x.rot90(k, (1, 2)) for x in (pixels, pixels.flip(2)) for k in range(4)])\n"
        ),
    },
)

EXERCISES = [EIGHT_TURNS]
