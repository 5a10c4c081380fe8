"""Where the tiles of a scene begin."""

from __future__ import annotations

import math
import random

from rsnb.classroom.exercises.judging import Exercise, Mistake


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    step = tile - overlap
    return [*(n * step for n in range(math.ceil((length - tile) / step))), length - tile]


def _sides() -> list[tuple]:
    """(length, tile, overlap): even and uneven divisions, no overlap and much of it, a side that is one tile."""
    return [(10, 4, 0), (12, 4, 0), (10, 4, 2), (9, 4, 2), (4, 4, 1), (5, 4, 3), (100, 32, 8), (130, 64, 0)]


def _side(rng: random.Random) -> tuple:
    tile = rng.randint(2, 40)
    overlap = rng.choice((0, rng.randint(0, tile - 1), tile // 2))
    step = tile - overlap
    return rng.choice((tile, tile + step * rng.randint(1, 9), tile + rng.randint(1, 200))), tile, overlap


def _not_beyond(length: int, tile: int, step: int) -> list[int]:
    return list(range(0, length - tile + 1, step))


TILE_STARTS = Exercise(
    key="tile_starts",
    lesson=12,
    title="Where the tiles begin",
    aim="Cut a side into tiles that overlap and leave nothing out.",
    difficulty=2,
    importance=2,
    minutes=10,
    task=(
        "Write `tile_starts(length, tile, overlap)`: a list of the pixels at which the tiles of a side begin, in "
        "rising order. All three are whole numbers, `length` $\\ge$ `tile` > `overlap` $\\ge 0$. The first tile begins "
        "at 0, and each further one `tile - overlap` after the one before it. Every tile lies within the side, every "
        "pixel is in a tile, no start is there twice: the last tile is moved back so that it ends at the edge. No tile "
        "is cut that is not needed."
    ),
    name="tile_starts",
    stub="def tile_starts(length, tile, overlap):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def tile_starts(length, tile, overlap):\n"
        "    last = length - tile  # the last start that lies within the side\n"
        "    return [*range(0, last, tile - overlap), last]\n"
    ),
    cases=_sides,
    draw=_side,
    truth=_starts,
    mistakes={
        "edge left out": Mistake(
            lambda length, tile, overlap: _not_beyond(length, tile, tile - overlap),
            "the pixels at the end of the side are in no tile where the step does not divide it. Add one tile more, "
            "which ends at the edge: it begins at length - tile",
        ),
        "beyond the edge": Mistake(
            lambda length, tile, overlap: list(range(0, max(1, length - overlap), tile - overlap)),
            "the last tile reaches beyond the side: it would be filled with something that is not in the scene. Move "
            "it back until it ends at the edge",
        ),
        "every step": Mistake(
            lambda length, tile, overlap: list(range(0, length, tile - overlap)),
            "tiles begin at every step up to the end of the side, so the last ones reach beyond it. A tile that begins "
            "at s needs the pixels up to s + tile",
        ),
        "last twice": Mistake(
            lambda length, tile, overlap: [*_not_beyond(length, tile, tile - overlap), length - tile],
            "where the step divides the side, the last start is there twice, so that one tile would be found twice. "
            "End the range before length - tile",
        ),
        "no overlap": Mistake(
            lambda length, tile, overlap: _starts(length, tile, 0),
            "the tiles lie side by side whatever the overlap is: the step from one to the next is tile - overlap",
        ),
        "step is the overlap": Mistake(
            lambda length, tile, overlap: [*range(0, length - tile, overlap), length - tile],
            "the step between two tiles is overlap here, which is what they share. With an overlap of 0 nothing moves "
            "on; the step is tile - overlap",
        ),
        "added": Mistake(
            (
                lambda length, tile, overlap: [*range(0, length - tile, tile + overlap), length - tile],
                lambda length, tile, overlap: sorted({min(n, length - tile) for n in range(0, length, tile + overlap)}),
            ),
            "tile + overlap leaves a gap between two tiles instead of letting them share pixels; subtract the overlap",
        ),
        "pushed together": Mistake(
            lambda length, tile, overlap: (
                [round(n * (length - tile) / k) for n in range(k + 1)]
                if (k := math.ceil((length - tile) / (tile - overlap)))
                else [0]
            ),
            "the tiles are spread evenly over the side, so all overlaps grow a little. That covers the side too, but "
            "the task keeps the step and moves the last tile alone",
        ),
    },
    hint="which is the last start that lies within the side? Every other one is a multiple of the step and below it",
    errors={
        "arg 3 must not be zero": "the step is 0: with an overlap of 0 it must be tile, so tile - overlap",
        "expected the shape": "count the tiles: is the end of the side covered, and is a start there twice?",
    },
    right=(
        "def tile_starts(length, tile, overlap):\n"
        "    found, at = [], 0\n"
        "    while at + tile < length:\n"
        "        found.append(at)\n"
        "        at += tile - overlap\n"
        "    return found + [length - tile]\n",
        "def tile_starts(length, tile, overlap):\n"
        "    step = tile - overlap\n"
        "    count = -(-(length - tile) // step) + 1\n"
        "    return torch.tensor([min(n * step, length - tile) for n in range(count)])\n",
        "def tile_starts(length, tile, overlap):\n"
        "    return sorted({min(at, length - tile) for at in range(0, length, tile - overlap)})\n",
    ),
    wrong={
        "edge left out": (
            "def tile_starts(length, tile, overlap):\n"
            "    step = tile - overlap\n"
            "    return [n * step for n in range((length - tile) // step + 1)]\n"
        ),
        "beyond the edge": (
            "def tile_starts(length, tile, overlap):\n"
            "    found = [0]\n"
            "    while found[-1] + tile < length:\n"
            "        found.append(found[-1] + tile - overlap)\n"
            "    return found\n"
        ),
        "every step": ("def tile_starts(length, tile, overlap):\n    return list(range(0, length, tile - overlap))\n"),
        "last twice": (
            "def tile_starts(length, tile, overlap):\n"
            "    found = list(range(0, length - tile + 1, tile - overlap))\n"
            "    found.append(length - tile)\n"
            "    return found\n"
        ),
        "no overlap": (
            "def tile_starts(length, tile, overlap):\n"
            "    return sorted({min(at, length - tile) for at in range(0, length, tile)})\n"
        ),
        "step is the overlap": (
            "def tile_starts(length, tile, overlap):\n    return [*range(0, length - tile, overlap), length - tile]\n"
        ),
        "added": (
            "def tile_starts(length, tile, overlap):\n"
            "    return sorted({min(at, length - tile) for at in range(0, length, tile + overlap)})\n"
        ),
        "pushed together": (
            "def tile_starts(length, tile, overlap):\n"
            "    count = -(-(length - tile) // (tile - overlap))\n"
            "    return [round(n * (length - tile) / count) for n in range(count)] + [length - tile]\n"
        ),
    },
)

EXERCISES = [TILE_STARTS]
