"""Every checker passes the right answers and names the wrong ones; none is passed by an empty answer."""

from __future__ import annotations

import pytest
import torch

from rsnb import exercises
from rsnb.errors import RsnbError
from rsnb.exercises.core import judge, run_source

ALL = list(exercises.every().values())
RIGHT = [(e, i) for e in ALL for i in range(-1, len(e.right))]
WRONG = [(e, name) for e in ALL for name in e.wrong]
EMPTY = (None, ..., "", [], {}, (), lambda *_: None, lambda *_: ..., lambda *_: "", lambda *_: 0)


@pytest.mark.parametrize("exercise, number", RIGHT, ids=lambda x: getattr(x, "key", str(x)))
def test_right_answers_pass(exercise, number):
    source = exercise.solution if number < 0 else exercise.right[number]
    verdict = judge(exercise, run_source(exercise, source))
    assert verdict.ok, verdict


@pytest.mark.parametrize("exercise, name", WRONG, ids=lambda x: getattr(x, "key", str(x)))
def test_wrong_answers_are_named(exercise, name):
    verdict = judge(exercise, run_source(exercise, exercise.wrong[name]))
    assert not verdict.ok and verdict.mistake == name, verdict
    assert exercise.mistakes[name].says in str(verdict)


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.key)
def test_an_empty_answer_fails(exercise):
    for answer in EMPTY:
        assert not judge(exercise, answer).ok, answer
    if exercise.kind == "code":
        verdict = judge(exercise, run_source(exercise, exercise.stub))
        assert not verdict.ok and verdict.mistake == "empty" and exercise.hint in str(verdict)


class Odd:
    """What no checker expects."""

    def __eq__(self, other):
        raise ValueError("odd")

    __repr__ = __len__ = __float__ = __iter__ = __eq__


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.key)
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_no_answer_breaks_a_checker(exercise):
    odd = Odd()
    for answer in (10**400, float("nan"), 1 + 2j, odd, {1: odd}, [odd], [[1], [2, 3]], b"x", torch.zeros(0), range(3)):
        for given in (answer, lambda *_, answer=answer: answer):
            verdict = judge(exercise, given)
            assert not verdict.ok and str(verdict) and verdict._repr_html_()


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.key)
def test_an_exercise_is_complete(exercise):
    assert 1 <= exercise.difficulty <= 3 and 1 <= exercise.importance <= 3 and 1 <= exercise.minutes <= 30
    assert exercise.kind in ("code", "prediction") and exercise.hint and exercise.errors and exercise.task
    assert len(exercise.right) >= 1 and len(exercise.wrong) >= 3 and set(exercise.wrong) <= set(exercise.mistakes)
    assert len(set(exercise.right) | {exercise.solution}) == len(exercise.right) + 1
    assert len({mistake.says for mistake in exercise.mistakes.values()}) == len(exercise.mistakes)


def test_the_table_counts_what_the_checkers_say(capsys):
    from rsnb.cli import main

    assert main(["exercises", "--lesson", "3"]) in (0, None)
    printed = capsys.readouterr().out
    assert "hinge" in printed and "right answers pass" in printed
    assert main(["exercises", "--lesson", "77"]) == 2


def test_help_comes_step_by_step():
    hinge = exercises.find("hinge")
    assert hinge.hint in exercises.hint("hinge") and "I see" in exercises.hint("hinge")
    assert exercises.solution("hinge") == hinge.solution
    assert exercises.solution("hinge")._repr_html_().startswith("<details>")
    assert "✓" in exercises.check("hinge", run_source(hinge, hinge.solution))._repr_html_()


def test_an_unknown_exercise_is_named():
    with pytest.raises(RsnbError, match="perhaps hinge"):
        exercises.check("hing", 1)
