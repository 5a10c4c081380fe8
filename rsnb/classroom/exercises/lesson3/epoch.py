"""The epoch that is reported."""

from __future__ import annotations

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


def _histories() -> list[tuple]:
    """mR of each epoch on validation and on test: with and without ties, the best early, late and in the middle."""
    return [
        ((41.0, 47.5, 52.0, 51.0, 49.5), (40.2, 46.1, 49.3, 50.8, 48.0)),
        ((30.5, 44.0, 41.5, 44.0, 38.0, 44.0, 43.5), (29.1, 40.6, 45.2, 41.8, 37.7, 43.9, 42.4)),
        ((60.0, 58.5, 57.0), (55.5, 56.5, 54.0)),
        ((20.0, 35.5, 35.5, 35.5), (18.5, 30.0, 33.5, 31.0)),
        ((12.0, 25.0, 33.0, 38.5, 41.0, 40.0), (11.5, 26.0, 35.5, 39.0, 38.0, 37.0)),
    ]


def _chosen(val_mr, test_mr, by="val", tie="first", first=1, report=None):
    scores = {"val": val_mr, "test": test_mr, "order": range(len(val_mr))}[by]
    best = [epoch for epoch, score in enumerate(scores) if score == max(scores)]
    epoch = best[0] if tie == "first" else best[-1]
    return epoch + first, test_mr[epoch] if report is None else report(test_mr)


BEST_EPOCH = Exercise(
    key="best_epoch",
    lesson=3,
    title="Which epoch is reported?",
    aim="Choose the epoch without looking at the test part.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=(
        "Write `best_epoch(val_mr, test_mr)`. Both are tuples with one mR per epoch, epoch 1 first. Return "
        "`(epoch, mr)`: the epoch that validation chooses, counted from 1, and the test mR of that epoch, which "
        "is the number to report. If several epochs tie on validation, the first one counts: "
        "$e = \\min \\mathrm{arg}\\max_i \\mathrm{val}_i$."
    ),
    name="best_epoch",
    stub="def best_epoch(val_mr, test_mr):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def best_epoch(val_mr, test_mr):\n"
        "    best = val_mr.index(max(val_mr))  # 0-based; index finds the first one\n"
        "    return best + 1, test_mr[best]\n"
    ),
    cases=_histories,
    draw=draws.best_epoch,
    truth=_chosen,
    mistakes={
        "chosen on test": Mistake(
            lambda val, test: _chosen(val, test, by="test"),
            "the epoch is chosen on the test part: then the number has seen the answers and is too good. Choose "
            "only with val_mr",
        ),
        "best of test": Mistake(
            lambda val, test: _chosen(val, test, report=max),
            "the epoch is right, but the mR is the best of all epochs on test, which also chooses on test; "
            "report test_mr of the chosen epoch",
        ),
        "last epoch": Mistake(
            lambda val, test: _chosen(val, test, by="order"),
            "this is the last epoch; training may have passed its best by then. Take the one with the highest val_mr",
        ),
        "last of the ties": Mistake(
            lambda val, test: _chosen(val, test, tie="last"),
            "of epochs that tie on validation this takes the last one; a later epoch must be better, not equal: "
            "compare with > and not with >=",
        ),
        "from 0": Mistake(
            lambda val, test: _chosen(val, test, first=0),
            "the epoch is counted from 0; Python's index starts there, epochs start at 1: add 1 to what you return "
            "(and not to the place where you read test_mr)",
        ),
        "reports validation": Mistake(
            lambda val, test: _chosen(val, val),
            "the mR is that of validation, where this epoch was picked for being the best, so it is too good; "
            "report test_mr of the chosen epoch",
        ),
        "swapped": Mistake(
            lambda val, test: _chosen(val, test)[::-1],
            "both numbers are right, in the wrong order: return the epoch first, then the mR",
        ),
        "next epoch": Mistake(
            lambda val, test: (_chosen(val, test)[0], test[_chosen(val, test)[0]]),
            "the epoch is right, but the mR is that of the epoch after it: epochs count from 1, places in a tuple from "
            "0. Epoch e is at test_mr[e - 1]",
        ),
    },
    hint="find the place of the highest val_mr first (0-based); read test_mr at that place; add 1 for the epoch",
    errors={
        "index out of range": "places run from 0 to the number of epochs - 1: add 1 only to the epoch that you return",
        "has no attribute 'argmax'": "these are tuples of numbers: use max and index, or torch.tensor(val_mr).argmax()",
        "expected the shape": "return two values: epoch, mr",
    },
    right=(
        "def best_epoch(val_mr, test_mr):\n"
        "    best, epoch, reported = float('-inf'), 0, 0.0\n"
        "    for number, (val, test) in enumerate(zip(val_mr, test_mr), start=1):\n"
        "        if val > best:\n"
        "            best, epoch, reported = val, number, test\n"
        "    return epoch, reported\n",
        "def best_epoch(val_mr, test_mr):\n"
        "    place = max(range(len(val_mr)), key=lambda i: (val_mr[i], -i))\n"
        "    return [place + 1, torch.tensor(test_mr)[place]]\n",
    ),
    wrong={
        "chosen on test": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = test_mr.index(max(test_mr))\n"
            "    return best + 1, test_mr[best]\n"
        ),
        "best of test": ("def best_epoch(val_mr, test_mr):\n    return val_mr.index(max(val_mr)) + 1, max(test_mr)\n"),
        "last epoch": "def best_epoch(val_mr, test_mr):\n    return len(val_mr), test_mr[-1]\n",
        "last of the ties": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = 0\n"
            "    for i in range(len(val_mr)):\n"
            "        if val_mr[i] >= val_mr[best]:\n"
            "            best = i\n"
            "    return best + 1, test_mr[best]\n"
        ),
        "from 0": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = sorted(range(len(val_mr)), key=lambda i: -val_mr[i])[0]\n"
            "    return best, test_mr[best]\n"
        ),
        "reports validation": (
            "def best_epoch(val_mr, test_mr):\n    return 1 + val_mr.index(max(val_mr)), max(val_mr)\n"
        ),
        "swapped": (
            "def best_epoch(val_mr, test_mr):\n"
            "    best = val_mr.index(max(val_mr))\n"
            "    return test_mr[best], best + 1\n"
        ),
        "next epoch": (
            "def best_epoch(val_mr, test_mr):\n"
            "    epoch = val_mr.index(max(val_mr)) + 1\n"
            "    return epoch, test_mr[epoch]\n"
        ),
    },
)

EXERCISES = [BEST_EPOCH]
