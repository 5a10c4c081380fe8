"""How sure a number of one model is: bootstrap intervals over resampled items."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from rsnb.errors import RsnbError
from rsnb.measures.ties import Hits

if TYPE_CHECKING:
    import numpy as np


# --- the parts of every bootstrap -----------------------------------------------------------------------------------
def resampled_sums(table: Tensor, draws: int, seed: int) -> Tensor:
    """Sums of the columns of (N, C) over ``draws`` samples of N rows with replacement: (draws, C), float64.

    The samples depend on N, ``draws`` and ``seed`` alone."""
    n, rng, sums = len(table), torch.Generator().manual_seed(seed), []
    for part in torch.arange(draws).split(max(1, 2**21 // n)):
        drawn = torch.randint(n, (len(part), n), generator=rng)
        times = torch.zeros(len(part), n, dtype=torch.float64)
        times.scatter_add_(1, drawn, torch.ones((), dtype=torch.float64).expand_as(times))
        sums.append(times @ table)
    return torch.cat(sums)


def percentile_ends(values: Tensor | np.ndarray, level: float = 0.95) -> tuple[Tensor, Tensor]:
    """The two ends between which the share ``level`` of (draws, ...) values lies: twice (...).

    Raises:
        RsnbError: a level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise RsnbError(f"the level of an interval is {level}; it must lie between 0 and 1, as 0.95 does")
    values = torch.as_tensor(values)
    low, high = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype), dim=0)
    return low, high


# --- recalls over resampled images ----------------------------------------------------------------------------------
class RecallDifference(NamedTuple):
    """A difference of two recalls in points, and the ends of its interval."""

    value: float
    low: float
    high: float


def resample(found: Hits, draws: int = 2000, seed: int = 0) -> Tensor:
    """Recalls and mr in percent of ``draws`` random samples of the images: (draws, len(found.names)).

    A sample draws N images with replacement; an image comes with all of its captions, because these are not
    independent of each other. Only the queries are drawn: every query keeps its ranking in the whole, fixed gallery.
    The samples depend on N, ``draws`` and ``seed`` alone, so those of two models on one split belong together.
    """
    n, k = len(found.text), len(found.ks)
    captions = torch.cat([found.image, torch.ones(len(found.owner), 1, dtype=torch.float64)], dim=1)
    own = torch.zeros(n, k + 1, dtype=torch.float64).index_add_(0, found.owner, captions)  # hits and number, an image
    sums = resampled_sums(torch.cat([found.text, own], dim=1), draws, seed)
    values = 100 * torch.cat([sums[:, :k] / n, sums[:, k:-1] / sums[:, -1:].clamp(min=1)], dim=1)
    return torch.cat([values, values.mean(dim=1, keepdim=True)], dim=1)


def intervals(found: Hits, draws: int = 2000, level: float = 0.95, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The percentile interval of every recall and of mr over resampled images; see :func:`resample`.

    It says how far the number could move with other images of the same kind as queries. It knows nothing of another
    gallery, of another training seed, or of a bias that all images share.
    """
    return dict(zip(found.names, _pairs(resample(found, draws, seed), level)))


def recall_difference(
    first: Hits, second: Hits, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> dict[str, RecallDifference]:
    """First minus second in points, with the interval of a paired bootstrap: both models see the same drawn images,
    so what is hard for both cancels. An interval without 0 speaks for a difference on images of this kind.

    Raises:
        RsnbError: the two are not of the same split.
    """
    if len(first.text) != len(second.text) or first.ks != second.ks or not torch.equal(first.owner, second.owner):
        raise RsnbError(
            f"a paired difference needs two models on the same split and the same K: found {len(first.text)} images, "
            f"{len(first.owner)} captions, K {first.ks} and {len(second.text)} images, {len(second.owner)} captions, "
            f"K {second.ks}; if the numbers agree, the captions belong to other images"
        )
    ends = _pairs(resample(first, draws, seed) - resample(second, draws, seed), level)
    one, other = first.recalls, second.recalls
    return {name: RecallDifference(one[name] - other[name], *end) for name, end in zip(first.names, ends)}


def _pairs(values: Tensor, level: float) -> list[tuple[float, float]]:
    return [(low, high) for low, high in torch.stack(percentile_ends(values, level), dim=1).tolist()]
