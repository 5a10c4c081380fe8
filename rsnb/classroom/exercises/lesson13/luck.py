"""How high the best of k tries comes by luck alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from rsnb.classroom.exercises.judging import Exercise, Mistake

MOST = 20_000  # ways to draw, so that going through all of them is an answer as well


def _tries() -> list[tuple]:
    """(scores, k): in no order, with ties, one try, more tries than scores, a single score, below 0."""
    return [
        ([62.0, 58.0], 2),
        ([62.0, 60.0, 61.0], 1),
        ([60.5, 63.0, 58.5], 2),
        ([61.25, 60.0, 64.5, 60.0, 62.75], 3),
        ([57.0, 59.5], 9),
        ([48.0], 4),
        ([-1.5, 2.0, -4.25, 0.5], 5),
        ([55.0, 55.0, 55.0, 58.0], 2),
        ([61.5, 63.25, 60.75, 59.0, 64.0, 62.5, 60.25, 63.5, 61.0, 58.75], 4),
    ]


def _try(rng: random.Random) -> tuple:
    while True:
        count, k = rng.randint(1, 10), rng.choice((1, 2, 3, rng.randint(4, 12)))
        if count**k <= MOST:
            middle = rng.choice((0, 60))
            return [middle + rng.randint(-24, 24) / 4 for _ in range(count)], k


def _expected(scores: Sequence[float], weight) -> float:
    """The sum of scores times ``weight(place from 1, how many there are)``, in the order given."""
    n = len(scores)
    return sum(score * weight(i, n) for i, score in enumerate(scores, 1))


def _of_best(k: int):
    """The chance that the best of k draws is the one in that place."""
    return lambda i, n: (i / n) ** k - ((i - 1) / n) ** k


def _without(scores: list[float], k: int) -> float:
    return _expected(sorted(scores), lambda i, n: math.comb(i - 1, k - 1) / math.comb(n, k))


def _parts(scores: list[float], k: int) -> float:
    best = [max(scores[i : i + k]) for i in range(0, len(scores), k)]
    return sum(best) / len(best)


def _quantile(scores: list[float], share: float) -> float:
    place = share * (len(scores) - 1)
    low, high = sorted(scores)[math.floor(place)], sorted(scores)[math.ceil(place)]
    return low + (place - math.floor(place)) * (high - low)


BEST_OF_LUCK = Exercise(
    key="best_of_luck",
    lesson=13,
    title="The best of k tries",
    aim="Say how high the best of k tries comes by luck alone.",
    difficulty=3,
    importance=3,
    minutes=12,
    task=(
        "Somebody tries k recipes that are all equally good and reports the best. What does that look like? Write "
        "`best_of(scores, k)`: `scores` are the mR of one recipe with different seeds, a list of $n \\ge 1$ numbers in "
        "no particular order, some may be equal; draw $k \\ge 1$ of them at random, each time from all $n$ (so the "
        "same one may be drawn twice, and $k$ may be larger than $n$). Return the **expected value of the largest** of "
        "the k, exactly: no simulation.\n\n"
        "What you need: with the scores in rising order, $v_1 \\le \\dots \\le v_n$, one draw is among the first $i$ "
        "with the chance $i / n$."
    ),
    name="best_of",
    stub="def best_of(scores, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def best_of(scores, k):\n"
        "    n = len(scores)\n"
        "    # all k are among the first i, and not all among the first i - 1\n"
        "    chance = [(i / n) ** k - ((i - 1) / n) ** k for i in range(1, n + 1)]\n"
        "    return sum(v * p for v, p in zip(sorted(scores), chance))\n"
    ),
    cases=_tries,
    draw=_try,
    truth=lambda scores, k: _expected(sorted(scores), _of_best(k)),
    atol=1e-5,
    mistakes={
        "the largest": Mistake(
            lambda scores, k: max(scores),
            "this is the largest of all scores; k tries may miss it. Each score counts with the chance that it is the "
            "best of the k",
        ),
        "the mean": Mistake(
            lambda scores, k: sum(scores) / len(scores),
            "this is the mean, what a single try gives on average. The best of several is higher, and the more tries "
            "the more so",
        ),
        "without replacement": Mistake(
            (_without, lambda scores, k: _without(scores, min(k, len(scores)))),
            "no score is drawn twice here, as if a seed that was tried could not come again. Each draw is from all n, "
            "so that chances multiply: (i / n) ** k",
        ),
        "the smallest": Mistake(
            lambda scores, k: _expected(sorted(scores, reverse=True), _of_best(k)),
            "this is the expected smallest of the k: the scores fall where they should rise. Sort them in rising order",
        ),
        "not sorted": Mistake(
            lambda scores, k: _expected(scores, _of_best(k)),
            "the scores are taken in the order in which they come, but i / n is the chance of one that is at most v_i "
            "in rising order: sort them first",
        ),
        "k and n exchanged": Mistake(
            lambda scores, k: _expected(sorted(scores), lambda i, n: (i / k) ** n - ((i - 1) / k) ** n),
            "k and n have changed places: one draw of n is among the first i with the chance i / n, and there are k "
            "draws, (i / n) ** k",
        ),
        "not differenced": Mistake(
            lambda scores, k: _expected(sorted(scores), lambda i, n: (i / n) ** k),
            "(i / n) ** k is the chance that the best is v_i or lower; these chances sum to more than 1. That it is "
            "v_i itself is the difference from the one before: subtract ((i - 1) / n) ** k",
        ),
        "as shares": Mistake(
            lambda scores, k: (
                _expected(sorted(scores), lambda i, n: (i / n) ** k)
                / sum((i / len(scores)) ** k for i in range(1, len(scores) + 1))
            ),
            "the chances (i / n) ** k are divided by their sum. They are chances of v_i or lower, and overlap; take "
            "their differences, which sum to 1 by themselves",
        ),
        "a density": Mistake(
            lambda scores, k: _expected(sorted(scores), lambda i, n: k * (i / n) ** (k - 1) / n),
            "the derivative of x ** k stands for the difference of two of its values, which holds only for very many "
            "scores. Write (i / n) ** k - ((i - 1) / n) ** k",
        ),
        "counted from 0": Mistake(
            lambda scores, k: _expected(sorted(scores), lambda i, n: _of_best(k)(i - 1, n)),
            "the places are counted from 0, so the best score has the chance of the one before it. Python counts from "
            "0, the formula from 1: enumerate(..., 1)",
        ),
        "equal ones once": Mistake(
            lambda scores, k: _expected(sorted(set(scores)), _of_best(k)),
            "two seeds with the same score count as one; each of the n is drawn with the same chance. Leave out set()",
        ),
        "in parts": Mistake(
            _parts,
            "this is the mean over the best of the first k, the next k, and so on: one way of many to draw, which "
            "depends on the order. Sum over all scores, each with its chance",
        ),
        "a quantile": Mistake(
            lambda scores, k: _quantile(scores, k / (k + 1)),
            "this is the quantile k / (k + 1) of the scores, a rule of thumb. The expected value sums over all scores, "
            "each with the chance that it is the best",
        ),
    },
    hint="what is the chance that all k are among the first i in rising order? v_i is the best where that is so, and "
    "not all are among the first i - 1",
    errors={
        "division by zero": "divide by n, the number of scores, never by n - k: k may be n or larger",
        "larger sample than population": "random.sample draws each score once; and a simulation is never exact",
        "unsupported operand": "scores is a list: take its numbers one by one, or make a tensor of it",
        "the values differ": "by hand, for two scores and k = 2: the best is the lower one only if both draws are",
    },
    right=(
        "def best_of(scores, k):\n"
        "    import itertools\n"
        "    every = [max(drawn) for drawn in itertools.product(scores, repeat=k)]\n"
        "    return sum(every) / len(every)\n",
        "def best_of(scores, k):\n"
        "    v = torch.tensor(scores, dtype=torch.float64).sort().values\n"
        "    at_most = (torch.arange(len(v) + 1) / len(v)).double() ** k\n"
        "    return v @ at_most.diff()\n",
        "def best_of(scores, k):\n"
        "    v, n = sorted(scores), len(scores)\n"
        "    return v[-1] - sum((v[i] - v[i - 1]) * (i / n) ** k for i in range(1, n))\n",
    ),
    wrong={
        "the largest": "def best_of(scores, k):\n    return torch.tensor(scores).max()\n",
        "the mean": "def best_of(scores, k):\n    import statistics\n    return statistics.fmean(scores)\n",
        "without replacement": (
            "def best_of(scores, k):\n"
            "    import itertools\n"
            "    every = [max(drawn) for drawn in itertools.combinations(scores, k)]\n"
            "    return sum(every) / len(every)\n"
        ),
        "the smallest": (
            "def best_of(scores, k):\n"
            "    import itertools\n"
            "    every = [min(drawn) for drawn in itertools.product(scores, repeat=k)]\n"
            "    return sum(every) / len(every)\n"
        ),
        "not sorted": (
            "def best_of(scores, k):\n"
            "    n = len(scores)\n"
            "    return sum(v * (((i + 1) / n) ** k - (i / n) ** k) for i, v in enumerate(scores))\n"
        ),
        "k and n exchanged": (
            "def best_of(scores, k):\n"
            "    n = len(scores)\n"
            "    return sum(v * (((i + 1) / k) ** n - (i / k) ** n) for i, v in enumerate(sorted(scores)))\n"
        ),
        "not differenced": (
            "def best_of(scores, k):\n"
            "    n = len(scores)\n"
            "    return sum(v * ((i + 1) / n) ** k for i, v in enumerate(sorted(scores)))\n"
        ),
        "as shares": (
            "def best_of(scores, k):\n"
            "    v = torch.tensor(scores, dtype=torch.float64).sort().values\n"
            "    w = torch.arange(1, len(v) + 1).double() ** k\n"
            "    return v @ w / w.sum()\n"
        ),
        "a density": (
            "def best_of(scores, k):\n"
            "    n = len(scores)\n"
            "    return sum(v * k * (i / n) ** (k - 1) / n for i, v in enumerate(sorted(scores), 1))\n"
        ),
        "counted from 0": (
            "def best_of(scores, k):\n"
            "    n = len(scores)\n"
            "    return sum(v * ((i / n) ** k - ((i - 1) / n) ** k) for i, v in enumerate(sorted(scores)))\n"
        ),
        "equal ones once": (
            "def best_of(scores, k):\n"
            "    v = sorted({*scores})\n"
            "    return sum(x * (((i + 1) / len(v)) ** k - (i / len(v)) ** k) for i, x in enumerate(v))\n"
        ),
        "in parts": (
            "def best_of(scores, k):\n"
            "    best = [part.max() for part in torch.tensor(scores).split(k)]\n"
            "    return sum(best) / len(best)\n"
        ),
        "a quantile": (
            "def best_of(scores, k):\n    import numpy as np\n    return np.quantile(scores, k / (k + 1))\n"
        ),
    },
)

EXERCISES = [BEST_OF_LUCK]
