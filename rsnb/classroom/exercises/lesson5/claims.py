"""Claims about differences: an example that breaks one, and one to be repaired."""

from __future__ import annotations

from typing import Any

from rsnb.classroom.exercises.choices import chosen
from rsnb.classroom.exercises.comparing import numbers_of
from rsnb.classroom.exercises.judging import Exercise, Mistake
from rsnb.measures.difference import difference

GAP = 2.0


def _ahead_and_unproven(value: Any) -> tuple[str | None, str]:
    a, b = (numbers_of(x) for x in value)
    if a.dim() != 1 or a.shape != b.shape or len(a) != 3:
        return "three seeds", f"found {tuple(a.shape)} and {tuple(b.shape)}"
    if not bool(((a >= 0) & (a <= 100)).all() and ((b >= 0) & (b <= 100)).all()):
        return "percent", f"values from {min(a.min(), b.min()):.1f} to {max(a.max(), b.max()):.1f}"
    gaps = a - b
    if gaps.mean() < GAP:
        return ("behind" if gaps.mean() < 0 else "too near"), f"the mean gap is {gaps.mean():.2f}"
    if not (gaps > 0).all():
        return "lost a seed", f"gaps {', '.join(f'{x:.1f}' for x in gaps.tolist())}"
    found = difference(gaps.tolist())
    said = f"mean gap {gaps.mean():.2f}, 95 % interval {found.low:.1f} to {found.high:.1f}"
    return ("proven" if found.low > 0 else None), said


AHEAD_AND_UNPROVEN = Exercise(
    key="ahead_and_unproven",
    lesson=5,
    title="Ahead on every seed, but not proven",
    aim='Find the input that breaks the claim "it won on all three seeds by two points, so it is better".',
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        f"*Someone says: our method wins on all three seeds, by {GAP:.0f} mR on average, so it is better.* Find the "
        "input that breaks this. Write `ahead_and_unproven()`; it takes nothing and returns `a, b`, three mean recalls "
        f"each (in percent, seed by seed), with `a` ahead of `b` on every seed and by at least {GAP:.0f} on average, "
        "such that the 95 % interval of the mean gap, $\\bar g \\pm 4.30\\, s_g / \\sqrt 3$ (Student's $t$ for "
        "three gaps), still contains 0."
    ),
    name="ahead_and_unproven",
    stub="def ahead_and_unproven():\n    raise NotImplementedError  # your code: return a, b\n",
    solution=(
        "def ahead_and_unproven():\n"
        "    a, b = [60.1, 64.0, 60.5], [60.0, 60.0, 60.0]  # gaps of 0.1, 4.0 and 0.5\n"
        "    return [x + 1 for x in a], b  # mean 2.5, and far too uneven\n"
    ),
    truth=lambda: None,
    holds=_ahead_and_unproven,
    mistakes={
        "three seeds": Mistake((), "a and b need three numbers each, one for each seed"),
        "percent": Mistake((), "a mean recall in percent lies between 0 and 100"),
        "behind": Mistake((), "a is behind b on average: exchange them"),
        "too near": Mistake((), f"the mean gap must be at least {GAP:.0f}"),
        "lost a seed": Mistake((), "a must be ahead on every seed, or the claim would not even be made"),
        "proven": Mistake((), "this interval excludes 0, so the claim would hold here. Make the gaps less even"),
    },
    hint="the interval grows with the spread of the gaps: one large gap and two small ones",
    errors={"not iterable": "return both, separated by a comma: return a, b"},
    right=(
        "def ahead_and_unproven():\n    return torch.tensor([50.2, 50.3, 58.0]), torch.tensor([50.0, 50, 50])\n",
        "def ahead_and_unproven():\n    return (71.0, 76.0, 72.0), (70.5, 70.0, 71.0)\n",
    ),
    wrong={
        "three seeds": "def ahead_and_unproven():\n    return [60, 61, 62, 69], [59, 59, 59, 59]\n",
        "percent": "def ahead_and_unproven():\n    return [110, 160, 111], [100, 100, 100]\n",
        "behind": "def ahead_and_unproven():\n    return [50, 50, 50], [50.2, 50.3, 58]\n",
        "too near": "def ahead_and_unproven():\n    return [50.1, 50.1, 52], [50, 50, 50]\n",
        "lost a seed": "def ahead_and_unproven():\n    return [49, 50.5, 60], [50, 50, 50]\n",
        "proven": "def ahead_and_unproven():\n    return [52.4, 52.5, 52.6], [50, 50, 50]\n",
    },
)

REPAIR_VERDICT = chosen(
    key="repair_verdict",
    lesson=5,
    title="Repair a claim about verdicts",
    aim="Say what follows from two verdicts of a table, and what does not.",
    minutes=4,
    task=(
        "In a table like the one above, MRS-Adapter + HMMC is *better* than a method X; for a method Y the verdict "
        "is *cannot be told*. A report says: so Y is better than X. Which sentence is right?"
    ),
    options={
        "a": "Y is better than X, because Y is as good as MRS-Adapter, which beats X.",
        "b": "Nothing follows for Y against X: that pair needs its own interval, from its own gaps.",
        "c": "Y and MRS-Adapter are equally good, so you may use the cheaper one.",
        "d": "With more seeds the verdict on Y would become better or worse, so the table is useless as it is.",
    },
    right="b",
    says={
        "a": "'cannot be told' is not 'as good as': the interval may reach from far below 0 to above it. Y may lie "
        "between the two, or below X",
        "c": "'cannot be told' is no proof of equality: it says that these seeds and images do not decide",
        "d": "more seeds narrow the interval, but may leave 0 in it for ever, if the two are close. What the table "
        "does say remains valid",
    },
    hint="which pairs were compared in the table, and which was not?",
)

EXERCISES = [AHEAD_AND_UNPROVEN, REPAIR_VERDICT]
