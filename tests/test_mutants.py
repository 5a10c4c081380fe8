"""Slips made by rule in right answers: a checker lets none through that gives another value on some input."""

from __future__ import annotations

import random
import warnings

import pytest
import variants
from mutants import mutants, sampled

from rsnb.classroom import exercises
from rsnb.classroom.exercises.comparing import difference
from rsnb.classroom.exercises.judging import drawn, judge, run_source
from rsnb.classroom.exercises.running import answers, copied

DRAWN = [e for e in exercises.every().values() if e.draw]
EACH = 15
ALLOWED = 0.02  # of the wrong ones may pass, all exercises together; each is listed below with its reason
PASSING: dict[tuple[str, str], str] = {}  # (exercise, source) -> why nothing tells it from a right answer


def wrong_ones(exercise, share: float = 1.0) -> list[tuple[str, str, bool]]:
    """(slip, source, whether it passes) of those that give another value on some of 400 inputs."""
    found = sampled([exercise.solution, *exercise.right], EACH)
    if share < 1:
        found = random.Random(exercise.key).sample(found, max(1, round(share * len(found))))
    wrong = []
    for name, source in found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answer = run_source(exercise, source)
            except Exception:  # the slip is in a line outside of the function
                continue
            passes = judge(exercise, answer, limit=5.0).ok
            if not passes or _differs(exercise, answer):
                wrong.append((name, source, passes))
    return wrong


def _differs(exercise, answer) -> bool:
    cases = [*exercise.cases(), *drawn(exercise, seed=99, count=400)]
    found = answers(answer, cases, limit=60.0)
    values = zip(cases, found.values)
    return found.error is not None or any(
        difference(value, exercise.truth(*copied(case)), exercise.atol) for case, value in values
    )


def test_mutants_are_what_they_say():
    found = dict(mutants("def f(x, y):\n    return x.sum(dim=1) - y\n"))
    assert found["operator in line 2"] == "def f(x, y):\n    return x.sum(dim=1) + y"
    assert found["order in line 2"] == "def f(x, y):\n    return y - x.sum(dim=1)"
    assert found["axis or index in line 2"] == "def f(x, y):\n    return x.sum(dim=0) - y"
    assert found["another function in line 2"] == "def f(x, y):\n    return x.mean(dim=1) - y"
    assert found["argument left out in line 2"] == "def f(x, y):\n    return x.sum() - y"
    assert len(sampled(["def f(a, b):\n    return a + b * 2 - a / b\n"], 3)) == 3


@pytest.mark.check
@pytest.mark.parametrize("exercise", DRAWN, ids=lambda e: e.key)
def test_a_tenth_of_the_mutants_is_refused(exercise):
    assert [source for _, source, passes in wrong_ones(exercise, 0.1) if passes] == []


@pytest.mark.campaign
def test_at_most_two_percent_of_the_mutants_pass(capsys):
    found = {exercise.key: wrong_ones(exercise) for exercise in DRAWN}
    passing = [(key, source) for key, wrong in found.items() for _, source, passes in wrong if passes]
    total = sum(map(len, found.values()))
    with capsys.disabled():
        print(f"\n{total} mutants that differ on some input, {len(passing)} pass")
    assert total > 300 and set(passing) <= set(PASSING) and len(passing) <= ALLOWED * total, passing


EVERY = list(exercises.every().values())


@pytest.mark.check
@pytest.mark.parametrize("exercise", [e for e in EVERY if e.key != "hinge"], ids=lambda e: e.key)
def test_a_right_answer_passes_in_every_form(exercise):
    """(The hinge is asked for with its gradient, so it stays a tensor of PyTorch.)"""
    truth = run_source(exercise, exercise.solution)
    function = exercise.kind == "code"
    value = truth(*copied(exercise.cases()[0])) if function else truth
    tried = variants.forms(value)
    assert len(tried) >= 10
    for name, form in tried.items():
        verdict = judge(exercise, (lambda *given, form=form: form(truth(*given))) if function else form(truth), seed=7)
        assert verdict.ok, (name, verdict)


@pytest.mark.parametrize("exercise", [e for e in EVERY if e.kind == "prediction"], ids=lambda e: e.key)
def test_a_wrong_value_passes_in_no_form(exercise):
    tried = list(variants.wrong(run_source(exercise, exercise.solution)))
    assert len(tried) >= 10
    assert [value for value in tried if judge(exercise, value).ok] == []
