"""A difference of two methods over training seeds and test images: one interval for it, and one word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np

Hits = tuple[Sequence[float], Sequence[float], Sequence[int]]
BETTER, WORSE, OPEN, COLLAPSED = VERDICTS = ("better", "worse", "cannot be told", "collapsed")


@dataclass(frozen=True)
class Difference:
    """What one method has more than another, in points: the mean over ``seeds`` common seeds, and its interval.

    ``p``: how probable a mean so far from 0, or farther, would be without any difference; nan for one seed, which says
    nothing about other seeds. ``images``: whether the interval knows that other test images would give another number.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    images: bool = True

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def verdict(self) -> str:
        """One of :data:`VERDICTS`, for a difference that was looked at alone; see :func:`verdicts` for several."""
        return verdicts([self])[0]

    def sentence(self, verdict: str | None = None, compared: int = 1) -> str:
        """The difference, its interval and a verdict in words. compared: the size of the family it was given in."""
        if math.isnan(self.low):
            return f"{self.mean:+.1f} mR of one seed, which has no interval"
        said = f"{self.mean:+.1f} mR, interval {self.low:.1f} to {self.high:.1f}"
        if self.seeds < 2:
            return f"{said} over images alone: one seed cannot tell a difference from the luck of the seed"
        among = f", {compared} comparisons in all" if compared > 1 else ""
        return f"{said}: {verdict or self.verdict} with {self.seeds} seeds{among}"

    __str__ = sentence


def difference(gaps: np.ndarray | Sequence[Sequence[float]] | Sequence[float], level: float = 0.95) -> Difference:
    r"""The mean of S seeds' gaps on N test images, with an interval for other seeds *and* other images.

    Args:
        gaps: (S, N), of seed s and image i what one method has more than the other, in points; both methods see the
            same images, and those of one seed began alike. Or (S,), where only the means over the images are known:
            then the interval is Student's t over the seeds, and takes the test images as given.

    Seeds and images are crossed, both drawn at random: :math:`x_{si} = \mu + a_s + b_i + e_{si}`. With the mean squares
    of a two-way analysis of variance (seeds, images, and what is left),

    .. math::

        V = \frac{M_{image} + \max(M_{seed} - M_{rest},\; 0)}{S N}, \qquad
        \nu = \frac{(S N V)^2}{M_{image}^2 / f_{image} + M_{seed}^2 / f_{seed}}

    is the variance of the mean, without counting twice what seed and image do together, and :math:`\nu` its degrees of
    freedom, at least :math:`S - 1`; the interval is :math:`\bar x \pm t_\nu \sqrt V`. Where the seeds add nothing
    visible, or there is but one, :math:`M_{image}` stands alone in both.

    Source:
        F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2
        (1946) 110-114. How often the interval holds the truth: :mod:`rsnb.measures.coverage`.

    Raises:
        RsnbError: another shape, a number that is not finite, or a level that is not between 0 and 1.
    """
    import numpy as np
    from scipy import stats

    x = np.asarray(gaps, dtype=np.float64)
    if x.ndim not in (1, 2) or not x.size or (x.ndim == 2 and x.shape[1] < 2):
        raise RsnbError(f"gaps have the shape {x.shape}; give (seeds, images), or (seeds,) of their means")
    if not np.isfinite(x).all() or not 0 < level < 1:
        raise RsnbError(f"gaps must be finite and the level between 0 and 1; the level is {level}")
    seeds, mean = len(x), x.mean()
    if x.ndim == 1:
        if seeds < 2:
            raise RsnbError("one mean of one seed has no interval; give the gaps on each image, or more seeds")
        variance, freedom = x.var(ddof=1) / seeds, seeds - 1
    else:
        variance, freedom = _of_two_ways(x)
    error = math.sqrt(variance)
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    p = 2 * stats.t.sf(abs(mean) / error, freedom) if error else float(mean == 0)
    p = math.nan if seeds < 2 else float(p)
    return Difference(float(mean), float(mean - half), float(mean + half), p, seeds, x.ndim == 2)


def gaps_of_images(hits: Hits, other: Hits) -> np.ndarray:
    """(N,): what each image adds to the difference of two models' mR, in points; their mean is the difference.

    Args:
        hits, other: of each model on the same N images: the mean over K of the chance that one of an image's captions
            is among the first K, the sum over its captions of the like for the image, and the number of its captions.
    """
    import numpy as np

    (text, image, captions), (text2, image2, _) = hits, other
    count = np.array(captions, dtype=float)
    return 50 * (np.subtract(text, text2) + np.subtract(image, image2) * len(count) / count.sum())


def _of_two_ways(x: np.ndarray) -> tuple[float, float]:
    """The variance of the mean of (S, N), and its degrees of freedom."""
    s, n = x.shape
    seed, image, mean = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True), x.mean()
    squares = [n * ((seed - mean) ** 2).sum(), s * ((image - mean) ** 2).sum(), ((x - seed - image + mean) ** 2).sum()]
    free = [s - 1, n - 1, (s - 1) * (n - 1)]
    if s == 1:
        return squares[1] / free[1] / n, free[1]
    of_seed, of_image, of_rest = (square / f for square, f in zip(squares, free))
    of_image, added = max(of_image, of_rest), max(of_seed - of_rest, 0.0)
    whole = of_image + added
    uncertain = of_image**2 / free[1] + (of_seed**2 / free[0] if added else 0.0)
    return whole / (s * n), max(whole**2 / uncertain, s - 1) if whole else s - 1


def adjusted(p: Sequence[float]) -> list[float]:
    """P values of a family of comparisons, so that all of them together are wrong in at most 5 % of families where each
    is called at 0.05. What is nan stays so and does not count.

    Source:
        S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70.
    """
    known = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    found, largest = [math.nan] * len(p), 0.0
    for rank, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        found[i] = largest
    return found


def verdicts(family: Sequence[Difference | None], risk: float = 0.05) -> list[str]:
    """One of :data:`VERDICTS` for each difference of a family, the p values adjusted within it (:func:`adjusted`).

    None stands for a method whose training never left its start: it collapsed, and is no member of the family."""
    found = adjusted([math.nan if one is None else one.p for one in family])
    words = [(BETTER if one and one.mean > 0 else WORSE) if p < risk else OPEN for one, p in zip(family, found)]
    return [COLLAPSED if one is None else word for one, word in zip(family, words)]
