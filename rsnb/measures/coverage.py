"""How often an interval of a difference holds the truth, and how often it sees a difference: by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rsnb.measures.difference import Difference, difference

if TYPE_CHECKING:
    import numpy as np


class Spreads(NamedTuple):
    """What the gaps of a comparison are made of, in points: the standard deviation of the seeds' effect, and, to be
    drawn from, the effects of the images (N,) and what is left (S N,)."""

    seed: float
    images: np.ndarray
    rest: np.ndarray


def spreads_of(gaps: np.ndarray) -> Spreads:
    """The spreads of gaps (S, N), S > 1: each part without what the others add to it by chance."""
    import numpy as np

    x = np.asarray(gaps, dtype=np.float64)
    s, n = x.shape
    seed, image, mean = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True), x.mean()
    rest = x - seed - image + mean
    of_rest = (rest**2).sum() / ((s - 1) * (n - 1))
    by_chance = max((image - mean).var(ddof=1), 1e-12)
    kept = math.sqrt(max(by_chance - of_rest / s, 0.0) / by_chance)
    wide = math.sqrt(s / (s - 1))  # what is left has lost a mean over the seeds
    return Spreads(
        math.sqrt(max(seed.var(ddof=1) - of_rest / n, 0.0)), kept * (image - mean).ravel(), wide * rest.ravel()
    )


def experiment(spreads: Spreads, seeds: int, truth: float, rng: np.random.Generator) -> np.ndarray:
    """Gaps (seeds, N) of one experiment with other seeds and other images, whose true difference is ``truth``."""
    n = len(spreads.images)
    of_seed = rng.normal(0, 1, (seeds, 1)) * spreads.seed
    return truth + of_seed + rng.choice(spreads.images, n) + rng.choice(spreads.rest, (seeds, n))


def coverage(
    known: Sequence[Spreads],
    seeds: int,
    experiments: int = 2000,
    truth: float = 0.0,
    interval: Callable[[np.ndarray], Difference] = difference,
    rng_seed: int = 0,
) -> dict[str, float]:
    """Shares of simulated experiments, each with the spreads of one of ``known`` in turn.

    Returns:
        ``holds``: the interval holds the true difference; ``tells``: it does not hold 0 and lies on the side of the
        truth (of no difference: on either side); ``half``: mean half width in points.
    """
    import numpy as np

    rng, holds, tells, half = np.random.default_rng(rng_seed), 0, 0, 0.0
    for number in range(experiments):
        found = interval(experiment(known[number % len(known)], seeds, truth, rng))
        holds += found.low <= truth <= found.high
        tells += (found.low > 0 and truth >= 0) or (found.high < 0 and truth <= 0)
        half += found.half
    return {"holds": holds / experiments, "tells": tells / experiments, "half": half / experiments}
