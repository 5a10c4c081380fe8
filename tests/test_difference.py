"""The interval of a difference over seeds and images: against written-out sums, a library, and by its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rsnb.errors import RsnbError
from rsnb.measures.coverage import coverage, spreads_of
from rsnb.measures.difference import VERDICTS, Difference, adjusted, difference, verdicts
from rsnb.studies.ablation.differences import image_gaps
from rsnb.studies.ablation.paper_studies import read_studies


def written_out(x: list[list[float]]) -> tuple[float, float, float]:
    """Mean, variance of the mean and degrees of freedom of gaps (S, N), number by number."""
    s, n = len(x), len(x[0])
    mean = sum(map(sum, x)) / (s * n)
    seeds = [sum(row) / n for row in x]
    images = [sum(row[i] for row in x) / s for i in range(n)]
    of_seed = n * sum((a - mean) ** 2 for a in seeds) / (s - 1)
    of_image = s * sum((b - mean) ** 2 for b in images) / (n - 1)
    rest = sum((x[j][i] - seeds[j] - images[i] + mean) ** 2 for j in range(s) for i in range(n)) / ((s - 1) * (n - 1))
    of_image = max(of_image, rest)
    if of_seed <= rest:
        return mean, of_image / (s * n), n - 1
    whole = of_image + of_seed - rest
    return mean, whole / (s * n), max(whole**2 / (of_image**2 / (n - 1) + of_seed**2 / (s - 1)), s - 1)


@pytest.mark.parametrize("seed_spread", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("s, n", [(2, 2), (3, 40), (5, 17)])
def test_the_interval_equals_the_written_out_sums(s, n, seed_spread):
    rng = np.random.default_rng(s * n)
    x = 1 + rng.normal(0, seed_spread, (s, 1)) + rng.normal(0, 2, (1, n)) + rng.normal(0, 1, (s, n))
    found, (mean, variance, freedom) = difference(x), written_out(x.tolist())
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert (found.mean, found.low, found.high) == pytest.approx((mean, mean - half, mean + half))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean) / math.sqrt(variance), freedom))
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high) and (found.seeds, found.images) == (s, True)


def test_means_of_seeds_alone_have_students_interval():
    gaps = [1.0, 2.5, 0.5, 3.0]
    found, known = difference(gaps), stats.ttest_1samp(gaps, 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.p == pytest.approx(known.pvalue) and not found.images


def test_one_seed_gives_no_verdict():
    x = np.random.default_rng(0).normal(5, 1, (1, 50))
    found = difference(x)
    half = stats.t.ppf(0.975, 49) * x.std(ddof=1) / math.sqrt(50)
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half))
    assert math.isnan(found.p) and found.verdict == "cannot be told" and "one seed" in str(found)


def test_no_spread_at_all():
    assert difference(np.zeros((3, 4))).p == 1 and difference(np.zeros((3, 4))).verdict == "cannot be told"
    assert difference(np.ones((3, 4))).p == 0 and difference(np.ones((3, 4))).verdict == "better"


@pytest.mark.parametrize("gaps", [[], [1.0], [[1.0], [2.0]], np.zeros((2, 2, 2)), [[1.0, math.nan]], 3.0])
def test_what_has_no_interval_is_refused(gaps):
    with pytest.raises(RsnbError):
        difference(gaps)


def test_holms_rule_equals_its_definition_and_never_calls_more():
    rng = np.random.default_rng(3)
    for p in rng.random((50, 7)) ** 3:
        order = np.argsort(p)
        steps = np.maximum.accumulate(np.minimum(1, (7 - np.arange(7)) * p[order]))
        assert np.array(adjusted(list(p)))[order] == pytest.approx(steps)
        assert all(a >= b for a, b in zip(adjusted(list(p)), p))
    assert adjusted([0.01, math.nan, 0.04])[0] == pytest.approx(0.02) and math.isnan(adjusted([0.01, math.nan])[1])


def test_a_family_is_judged_together():
    p = [0.01, 0.03, 0.04, 0.2]
    family = [Difference(sign, 0, 0, value, 3) for sign, value in zip((2, -2, 1, 1), p)]
    assert verdicts(family) == ["better", "cannot be told", "cannot be told", "cannot be told"]
    assert [one.verdict for one in family] == ["better", "worse", "better", "cannot be told"]
    assert set(verdicts(family)) <= set(VERDICTS)


# --- what it promises ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def known():
    """The spreads of every comparison of the committed ablations."""
    return [
        spreads_of(np.array([image_gaps(*pair, final=True) for pair in zip(cells, study["done"][study["baseline"]])]))
        for study in read_studies().values()
        for name, cells in study["done"].items()
        if name != study["baseline"] and len(cells) > 1  # one seed has no spread
    ]


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_interval_holds_the_truth_as_often_as_it_says(known, seeds):
    """Of no difference and of a true one, with the spreads of our own runs, 2,000 experiments."""
    for truth in (0.0, 2.5):
        found = coverage(known, seeds, 2000, truth)
        assert 0.93 <= found["holds"] <= 0.97, found
        assert found["tells"] <= 0.07 if not truth else found["tells"] >= 0.40, found


@pytest.mark.check
@pytest.mark.parametrize("spread", [0.0, 0.7, 2.0])
def test_it_holds_for_seeds_of_any_spread(known, spread):
    alike = [one._replace(seed=spread) for one in known]
    assert 0.92 <= coverage(alike, 3)["holds"] <= 0.98


def test_intervals_from_one_source_of_luck_promise_too_much(known):
    images = coverage(known, 5, interval=lambda gaps: difference(gaps.mean(axis=0, keepdims=True)))
    seeds = coverage(known, 5, interval=lambda gaps: difference(gaps.mean(axis=1)))
    assert images["holds"] < 0.935 and seeds["holds"] < 0.92


def test_spreads_give_back_what_went_in():
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        x = rng.normal(0, 2, (4, 1)) + rng.normal(0, 9, (1, 60)) + rng.normal(0, 5, (4, 60))
        one = spreads_of(x)
        found.append((one.seed**2, one.images.var(), one.rest.var()))
    assert np.mean(found, axis=0) == pytest.approx((4, 81, 25), rel=0.12)
