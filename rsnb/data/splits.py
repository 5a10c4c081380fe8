"""Who is in which part: the official test part, and a seeded 80/20 split of the rest by image."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rsnb.base.fields import checked
from rsnb.errors import RsnbError

SPLITS = ("train", "val", "trainval", "test", "all")


def assign(
    keys: Sequence[str],
    official: Sequence[str],
    seed: int = 0,
    val_fraction: float | None = 0.2,
    twins: Sequence[Sequence[int]] = (),
) -> list[str]:
    """Part ("train", "val" or "test") of each image.

    Args:
        keys: one name per image; the split depends on the set of names, not on their order
        official: the part that the data set itself gives each image
        val_fraction: share of the official train + val images that becomes val (paper: 0.2); None keeps the official
            val part
        twins: groups of images (indices) with identical files: a group that the draw would tear apart goes to train as
            a whole, so that val never holds a copy of a training image

    Raises:
        RsnbError: val_fraction is not in (0, 1).
    """
    parts = list(official)
    if val_fraction is not None:
        if not isinstance(val_fraction, (int, float)) or not 0 < val_fraction < 1:
            raise RsnbError(
                f"val_fraction is {val_fraction!r}; use a share between 0 and 1, "
                "or None for the data set's own val part"
            )
        pool = sorted((i for i, part in enumerate(official) if part != "test"), key=lambda i: keys[i])
        random.Random(seed).shuffle(pool)
        count = min(max(round(val_fraction * len(pool)), 1), len(pool) - 1) if len(pool) > 1 else 0
        for n, i in enumerate(pool):
            parts[i] = "val" if n < count else "train"
    for group in twins:
        if {parts[i] for i in group} >= {"train", "val"}:
            for i in group:
                parts[i] = "train" if parts[i] == "val" else parts[i]
    return parts


def members(parts: Sequence[str], split: str) -> list[int]:
    """Indices of the images of a split; `trainval` and `all` are unions.

    Raises:
        RsnbError: the split is unknown or holds no image.
    """
    if split not in SPLITS:
        raise RsnbError(f"unknown split {split!r}; use one of {', '.join(SPLITS)}")
    wanted = {"trainval": ("train", "val"), "all": ("train", "val", "test")}.get(split, (split,))
    return [i for i, part in enumerate(parts) if part in wanted]


def draw(labels: Sequence[str | None], count: int, seed: int = 0) -> list[int]:
    """`count` indices, seeded, in order: as even over the classes as they allow, or plainly at random.

    Raises:
        RsnbError: count is not a positive whole number.
    """
    count = checked("limit", count)
    dice = random.Random(seed)
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(label or "", []).append(i)
    for label in sorted(groups):
        dice.shuffle(groups[label])
    order = sorted(groups)
    dice.shuffle(order)
    rounds = max(map(len, groups.values()), default=0)
    chosen = [groups[label][n] for n in range(rounds) for label in order if n < len(groups[label])]
    return sorted(chosen[:count])
