"""How unusual a score is, and a threshold that is chosen on a few labelled tiles."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable

from rsnb.classroom.exercises.judging import Exercise, Mistake

STEP = 64  # scores are multiples of 1/64, which every kind of float holds exactly


# --- the percentile ---------------------------------------------------------------------------------------------
def _asked() -> list[tuple]:
    """(score, foreign): in no order, with ties, the score among them, below all and above all."""
    foreign = [0.5, 0.25, 0.375, 0.25, 0.75, 0.4375, -0.125, 0.5]
    return [(0.5, foreign), (0.4375, foreign), (0.8, foreign), (-0.5, foreign), (0.25, foreign), (0.3, [0.25])]


def _one_asked(rng: random.Random) -> tuple:
    foreign = [rng.randint(-STEP // 2, STEP) / STEP for _ in range(rng.randint(1, 30))]
    score = rng.choice((rng.choice(foreign), rng.choice(foreign), rng.randint(-STEP // 2, STEP) / STEP))
    return score, foreign


def _share(score: float, foreign: list[float], counts: Callable[[float], bool]) -> float:
    return 100 * sum(map(counts, foreign)) / len(foreign)


PERCENTILE_OF = Exercise(
    key="percentile_of",
    lesson=12,
    title="How unusual is a score?",
    aim="Compare a best score with those of sentences that describe nothing here.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=(
        "Write `percentile_of(score, foreign)`. `score` is a cosine; `foreign` is a list of the best cosines of "
        "foreign sentences, at least one, in no particular order, and some may be equal. Return the share of "
        "the foreign ones that are **lower** than `score`, in percent. One that is equal is not lower: in doubt, "
        "the query has found nothing."
    ),
    name="percentile_of",
    stub="def percentile_of(score, foreign):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def percentile_of(score, foreign):\n    return 100 * sum(other < score for other in foreign) / len(foreign)\n"
    ),
    cases=_asked,
    draw=_one_asked,
    truth=lambda score, foreign: _share(score, foreign, lambda other: other < score),
    mistakes={
        "ties counted": Mistake(
            lambda score, foreign: _share(score, foreign, lambda other: other <= score),
            "foreign scores that equal yours are counted as lower; the task leaves them out, so compare with < alone",
        ),
        "higher ones": Mistake(
            lambda score, foreign: _share(score, foreign, lambda other: other > score),
            "this is the share of foreign sentences that score higher: a query that finds something would have 0. "
            "Count the lower ones",
        ),
        "fraction": Mistake(
            lambda score, foreign: _share(score, foreign, lambda other: other < score) / 100,
            "this is a share between 0 and 1; the task asks for percent, so multiply by 100",
        ),
        "count": Mistake(
            lambda score, foreign: _share(score, foreign, lambda other: other < score) * len(foreign) / 100,
            "this is how many are lower, not which share of them: divide by the number of foreign sentences",
        ),
        "one more": Mistake(
            lambda score, foreign: 100 * sum(other < score for other in foreign) / (len(foreign) + 1),
            "the query is counted among the foreign sentences: divide by len(foreign), so that a query above all of "
            "them has 100",
        ),
        "order taken as given": Mistake(
            lambda score, foreign: 100 * bisect.bisect_left(foreign, score) / len(foreign),
            "a search by halves needs a sorted list; these scores come in no order. Sort them first",
        ),
        "of the best": Mistake(
            lambda score, foreign: 100 * score / max(foreign),
            "this compares with the highest foreign score alone, on a scale that begins at 0; cosines have no such "
            "scale. Count how many are lower",
        ),
        "between the ends": Mistake(
            lambda score, foreign: 100 * (score - min(foreign)) / (max(foreign) - min(foreign)),
            "this is where the score lies between the lowest and the highest foreign one; most may lie close to one "
            "end. Count how many are lower",
        ),
        "of the mean": Mistake(
            lambda score, foreign: 100.0 if score > sum(foreign) / len(foreign) else 0.0,
            "this asks only whether the score is above the mean; count how many of the foreign scores are lower",
        ),
    },
    hint="compare each foreign score with yours, count the ones that are lower, divide by how many there are",
    errors={"'>' not supported": "foreign is a list: compare its members one by one, or make a tensor of it"},
    right=(
        "def percentile_of(score, foreign):\n    return (torch.tensor(foreign) < score).float().mean() * 100\n",
        "def percentile_of(score, foreign):\n"
        "    import bisect\n"
        "    return bisect.bisect_left(sorted(foreign), score) / len(foreign) * 100\n",
        "def percentile_of(score, foreign):\n"
        "    below = [other for other in foreign if other < score]\n"
        "    return len(below) * 100 / len(foreign)\n",
    ),
    wrong={
        "ties counted": (
            "def percentile_of(score, foreign):\n"
            "    return 100 - 100 * sum(f > score for f in foreign) / len(foreign)\n"
        ),
        "higher ones": (
            "def percentile_of(score, foreign):\n    return 100 * (torch.tensor(foreign) > score).float().mean()\n"
        ),
        "fraction": ("def percentile_of(score, foreign):\n    return sum(f < score for f in foreign) / len(foreign)\n"),
        "count": "def percentile_of(score, foreign):\n    return sum(f < score for f in foreign)\n",
        "one more": (
            "def percentile_of(score, foreign):\n"
            "    every = sorted([*foreign, score])\n"
            "    return 100 * every.index(score) / len(every)\n"
        ),
        "order taken as given": (
            "def percentile_of(score, foreign):\n"
            "    import numpy as np\n"
            "    return 100 * np.searchsorted(foreign, score) / len(foreign)\n"
        ),
        "of the best": "def percentile_of(score, foreign):\n    return score / max(foreign) * 100\n",
        "between the ends": (
            "def percentile_of(score, foreign):\n"
            "    low, high = min(foreign), max(foreign)\n"
            "    return (score - low) / (high - low) * 100\n"
        ),
        "of the mean": (
            "def percentile_of(score, foreign):\n    return 100 if score * len(foreign) > sum(foreign) else 0\n"
        ),
    },
)


# --- the threshold ----------------------------------------------------------------------------------------------
def _counts(scores, labels, t, found=lambda score, t: score >= t) -> tuple[int, int, int]:
    """Right ones found, wrong ones found, right ones missed."""
    hits = [found(score, t) for score in scores]
    right = sum(hit and label for hit, label in zip(hits, labels))
    return right, sum(hits) - right, sum(labels) - right


def _f1(right: int, wrong: int, missed: int) -> float:
    return 2 * right / (2 * right + wrong + missed)


def _by_parts(right: int, wrong: int, missed: int) -> float:
    if not right:
        return 0.0
    precision, recall = right / (right + wrong), right / (right + missed)
    return 2 * precision * recall / (precision + recall)


def _best(scores, labels, measure=_f1, higher=True, found=lambda score, t: score >= t) -> float:
    tried = sorted(set(scores), reverse=higher)
    return max(tried, key=lambda t: measure(*_counts(scores, labels, t, found)))  # the first of equal ones


def _no_worse(right: int, wrong: int, missed: int) -> float:
    return -wrong - missed


def _precision(right: int, wrong: int, missed: int) -> float:
    return right / (right + wrong)


def _tens() -> list[tuple]:
    """(scores, labels): in no order, with ties of scores and of F1; one right tile, and only right ones."""
    return [
        ([0.5, 0.25, 0.75, 0.125], [True, False, True, False]),
        ([0.25, 0.5, 0.75, 0.375], [True, False, True, False]),
        ([0.5, 0.5, 0.25, 0.75], [True, False, False, False]),
        ([0.125, 0.75, 0.5, 0.625, 0.25], [True, True, False, False, False]),
        ([0.25, 0.5], [True, True]),
        # four found, three of them right; the sum or the product of precision and recall would take all seven
        ([0.125, 0.375, 0.0625, 0.5, 0.25, 0.1875, 0.4375], [False, False, True, True, True, False, True]),
    ]


def _ten(rng: random.Random) -> tuple:
    """Ten tiles, some right; the usual ways to write F1 choose one threshold, however they round."""
    while True:
        labels = [rng.random() < rng.choice((0.3, 0.5, 0.7)) for _ in range(rng.choice((10, 10, 6)))]
        scores = [(rng.randint(0, 40) + 12 * label) / STEP for label in labels]
        rounded = lambda *counts: round(_by_parts(*counts), 9)  # noqa: E731
        if any(labels) and len({_best(scores, labels, way) for way in (_f1, _by_parts, rounded)}) == 1:
            return scores, labels


THRESHOLD = Exercise(
    key="threshold_on_ten",
    lesson=12,
    title="A threshold from ten labelled tiles",
    aim="Choose the score from which on a tile is called found.",
    difficulty=2,
    importance=3,
    minutes=12,
    task=(
        "Write `threshold_on_ten(scores, labels)`. `scores` is a list of cosines of some tiles; `labels` is a list of "
        "True (the tile shows what was asked for) and False, at least one of them True. A tile is *found* at a "
        "threshold $t$ if its score is **at least** $t$. With $a$ right tiles found, $b$ wrong tiles found, and $c$ "
        "right tiles not found,\n\n"
        "$$F_1 = \\frac{2a}{2a + b + c}$$\n\n"
        "Try each score as a threshold and return the one with the largest $F_1$; of several that are equally good, "
        "the highest. Scores come in no order, and some may be equal."
    ),
    name="threshold_on_ten",
    stub="def threshold_on_ten(scores, labels):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def threshold_on_ten(scores, labels):\n"
        "    def f1(t):\n"
        "        found = [score >= t for score in scores]\n"
        "        a = sum(f and label for f, label in zip(found, labels))\n"
        "        return 2 * a / (sum(found) + sum(labels))  # 2a + b + c, counted by rows\n\n"
        "    return max(scores, key=lambda t: (f1(t), t))\n"
    ),
    cases=_tens,
    draw=_ten,
    truth=_best,
    mistakes={
        "lowest of equal ones": Mistake(
            lambda scores, labels: _best(scores, labels, higher=False),
            "where several thresholds are equally good, this is the lowest of them; the task asks for the highest, "
            "which finds fewer wrong tiles",
        ),
        "strictly above": Mistake(
            lambda scores, labels: _best(scores, labels, found=lambda score, t: score > t),
            "a tile whose score equals the threshold counts as not found here; found means at least t, so >=",
        ),
        "fewest errors": Mistake(
            lambda scores, labels: _best(scores, labels, _no_worse),
            "this is the threshold with the fewest errors (the best accuracy). Where right tiles are rare, finding "
            "nothing at all has few errors; F1 ignores the wrong tiles that are rightly left out",
        ),
        "all right ones": Mistake(
            lambda scores, labels: min(score for score, label in zip(scores, labels) if label),
            "this threshold finds every right tile, whatever else comes with them: it maximises the recall. F1 weighs "
            "wrong tiles found against right ones missed",
        ),
        "best precision": Mistake(
            lambda scores, labels: _best(scores, labels, _precision),
            "this maximises the precision: one right tile at the top is enough for it, and all others are missed. F1 "
            "asks for both",
        ),
        "above all wrong ones": Mistake(
            lambda scores, labels: max((s for s, label in zip(scores, labels) if not label), default=min(scores)),
            "this is the highest score of a wrong tile: the choice hangs on one tile, and that one is found too. Try "
            "all scores, and compare F1",
        ),
        "F1 returned": Mistake(
            lambda scores, labels: _f1(*_counts(scores, labels, _best(scores, labels))),
            "this is the best F1 itself; return the threshold at which it is reached",
        ),
        "place returned": Mistake(
            lambda scores, labels: scores.index(_best(scores, labels)),
            "this is the place of the threshold in the list; return the score that is there",
        ),
        "in the middle": Mistake(
            lambda scores, labels: (
                (
                    sum(s for s, label in zip(scores, labels) if label) / sum(labels)
                    + sum(s for s, label in zip(scores, labels) if not label) / (len(labels) - sum(labels))
                )
                / 2
            ),
            "this lies halfway between the means of right and wrong tiles, which no F1 was asked about. Try each score",
        ),
    },
    hint="write a function of t that gives F1, then take the maximum over the scores by the pair (F1, t)",
    errors={
        "division by zero": "2a + b + c is 0 only without right tiles and without found ones; precision and recall "
        "alone can be 0 / 0: use the formula of the task",
        "must be real number, not tuple": "return the threshold alone, not the pair of F1 and threshold",
    },
    right=(
        "def threshold_on_ten(scores, labels):\n"
        "    best, chosen = -1, None\n"
        "    for t in sorted(scores, reverse=True):\n"
        "        a = sum(1 for s, l in zip(scores, labels) if s >= t and l)\n"
        "        b = sum(1 for s, l in zip(scores, labels) if s >= t and not l)\n"
        "        c = sum(1 for s, l in zip(scores, labels) if s < t and l)\n"
        "        if 2 * a / (2 * a + b + c) > best:\n"
        "            best, chosen = 2 * a / (2 * a + b + c), t\n"
        "    return chosen\n",
        "def threshold_on_ten(scores, labels):\n"
        "    s, l = torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)\n"
        "    found = s[None] >= s[:, None]  # (threshold, tile)\n"
        "    f1 = 2 * (found & l).sum(1) / (found.sum(1) + l.sum())\n"
        "    return s[f1 == f1.max()].max()\n",
        "def threshold_on_ten(scores, labels):\n"
        "    def f1(t):\n"
        "        a = sum(l for s, l in zip(scores, labels) if s >= t)\n"
        "        if a == 0:\n"
        "            return 0\n"
        "        p, r = a / sum(s >= t for s in scores), a / sum(labels)\n"
        "        return round(2 * p * r / (p + r), 9)\n"
        "    return max(sorted(scores, reverse=True), key=f1)\n",
    ),
    wrong={
        "lowest of equal ones": (
            "def threshold_on_ten(scores, labels):\n"
            "    def f1(t):\n"
            "        a = sum(l for s, l in zip(scores, labels) if s >= t)\n"
            "        return 2 * a / (sum(s >= t for s in scores) + sum(labels))\n"
            "    return max(sorted(scores), key=f1)\n"
        ),
        "strictly above": (
            "def threshold_on_ten(scores, labels):\n"
            "    def f1(t):\n"
            "        a = sum(l for s, l in zip(scores, labels) if s > t)\n"
            "        return 2 * a / (sum(s > t for s in scores) + sum(labels))\n"
            "    return max(scores, key=lambda t: (f1(t), t))\n"
        ),
        "fewest errors": (
            "def threshold_on_ten(scores, labels):\n"
            "    def right(t):\n"
            "        return sum((s >= t) == l for s, l in zip(scores, labels))\n"
            "    return max(scores, key=lambda t: (right(t), t))\n"
        ),
        "all right ones": (
            "def threshold_on_ten(scores, labels):\n"
            "    return torch.tensor(scores, dtype=torch.float64)[torch.tensor(labels)].min()\n"
        ),
        "best precision": (
            "def threshold_on_ten(scores, labels):\n"
            "    def p(t):\n"
            "        return sum(l for s, l in zip(scores, labels) if s >= t) / sum(s >= t for s in scores)\n"
            "    return max(scores, key=lambda t: (p(t), t))\n"
        ),
        "above all wrong ones": (
            "def threshold_on_ten(scores, labels):\n"
            "    wrong = [s for s, l in zip(scores, labels) if not l]\n"
            "    return max(wrong) if wrong else min(scores)\n"
        ),
        "F1 returned": (
            "def threshold_on_ten(scores, labels):\n"
            "    return max(\n"
            "        2 * sum(l for s, l in zip(scores, labels) if s >= t)\n"
            "        / (sum(s >= t for s in scores) + sum(labels))\n"
            "        for t in scores\n"
            "    )\n"
        ),
        "place returned": (
            "def threshold_on_ten(scores, labels):\n"
            "    def f1(i):\n"
            "        a = sum(l for s, l in zip(scores, labels) if s >= scores[i])\n"
            "        f = 2 * a / (sum(s >= scores[i] for s in scores) + sum(labels))\n"
            "        return f, scores[i], -i\n"
            "    return max(range(len(scores)), key=f1)\n"
        ),
        "in the middle": (
            "def threshold_on_ten(scores, labels):\n"
            "    s, l = torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)\n"
            "    if l.all():\n"
            "        raise ZeroDivisionError\n"
            "    return (s[l].mean() + s[~l].mean()) / 2\n"
        ),
    },
)

EXERCISES = [PERCENTILE_OF, THRESHOLD]
