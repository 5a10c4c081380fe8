"""Every checker passes the right answers and names the wrong ones; none is passed by an empty answer."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace

import pytest
import torch

from rsnb.classroom import exercises
from rsnb.classroom.exercises import judging as core
from rsnb.classroom.exercises.judging import judge, run_source
from rsnb.commands.cli import main
from rsnb.errors import RsnbError

#: Their cases are made once: some train a model.
ALL = [replace(e, cases=functools.cache(e.cases)) for e in exercises.every().values()]
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
        assert not verdict.ok and verdict.mistake == "empty" and "not written yet" in str(verdict)
        assert exercise.hint not in str(verdict)  # it waits, folded, until it is asked for


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
    assert {name for name, mistake in exercise.mistakes.items() if not mistake.makes} <= set(exercise.wrong)


def test_the_table_counts_what_the_checkers_say(capsys):
    assert main(["exercises", "--lesson", "3", "--check"]) == 0
    printed = capsys.readouterr().out
    assert "hinge" in printed and "right answers pass" in printed
    assert main(["exercises", "--lesson", "77"]) == 2


def test_the_list_judges_nothing(capsys, monkeypatch):
    monkeypatch.setattr(core, "judge", None)
    assert main(["exercises", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert [(row["right"], row["wrong"]) for row in rows.values()] == [(1 + len(e.right), len(e.wrong)) for e in ALL]
    assert list(rows) == [e.key for e in ALL] and "passed" not in rows["hinge"]


def test_a_checker_that_misjudges_an_answer_fails_the_check(capsys, monkeypatch):
    monkeypatch.setattr(core, "judge", lambda exercise, answer: core.Verdict(False, ("no",)))
    assert main(["exercises", "--lesson", "4", "--check", "--json"]) == 1
    assert {(row["passed"], row["named"]) for row in json.loads(capsys.readouterr().out)} == {(0, 0)}


def test_help_comes_step_by_step():
    hinge = exercises.find("hinge")
    assert hinge.hint in exercises.hint("hinge") and "I see" in exercises.hint("hinge")
    assert exercises.solution("hinge") == hinge.solution
    assert exercises.solution("hinge")._repr_html_().startswith("<details>")
    assert "✓" in exercises.check("hinge", run_source(hinge, hinge.solution))._repr_html_()


def test_an_unknown_exercise_is_named():
    with pytest.raises(RsnbError, match="perhaps hinge"):
        exercises.check("hing", 1)


# --- what a verdict says -----------------------------------------------------------------------------------------
def said(key, source_or_answer):
    exercise = exercises.find(key)
    source = isinstance(source_or_answer, str)
    return judge(exercise, run_source(exercise, source_or_answer) if source else source_or_answer)


def numbers(verdict) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", verdict.lines[0])]


@pytest.mark.parametrize("answer", [3, "x", [1.0]])
def test_what_is_no_function_is_named_by_its_type(answer):
    verdict = judge(exercises.find("hinge"), answer)
    assert verdict.mistake == "no function" and re.search(rf"\b{type(answer).__name__}\b", verdict.lines[0])


def test_a_right_answer_says_what_it_was_compared_with():
    for key in ("best_epoch", "hinge", "zero_start", "wrong_pairs"):
        exercise = exercises.find(key)
        verdict = said(key, exercise.solution)
        assert verdict.ok and numbers(verdict) == ([len(exercise.cases())] if exercise.kind == "code" else []), key
        assert exercise.title in verdict.lines[0] and exercise.checked in verdict.lines[0]


def test_a_function_that_prints_is_told_to_return():
    verdict = said("hinge", lambda a, b, margin: print("0.3"))
    assert not verdict.ok and "return" in verdict.lines[0]


def test_a_short_input_is_named():
    some = said("may_change", lambda name: name.startswith("added.") and "0.up.image" not in name)
    assert numbers(some)[:2] == [23, 25] and "'added.adapters.0.up.image.weight'" in some.lines[0]
    assert numbers(said("adapter_parameters", lambda *_: 1))[:4] == [768, 512, 64, 64]
    assert "tensor" not in said("hinge", lambda *_: 1.0).lines[0], "tensors are not shown"
    assert "'yes'" in said("may_change", lambda name: "yes").lines[0]


def test_the_keys_and_the_form_of_a_dict_are_named():
    moves = run_source(exercises.find("zero_start"), exercises.find("zero_start").solution)
    some = {("both zero" if name == "both are zero" else name): word for name, word in moves.items()}
    line = said("zero_start", some).lines[0]
    assert line.index("'both are zero'") < line.index("missing") < line.index("'both zero'") < line.index("unknown")
    verdict = said("zero_start", moves | {"up is zero": ["up"]})
    assert "up is zero" in verdict.lines[0] and "['up']" in verdict.lines[0] and len(verdict.lines) == 3
    assert said("zero_start", {name: [word] for name, word in moves.items()}).mistake == "in lists"


HINGE = "def hardest_hinge(a, b, margin):\n    {}\n    return x.amax(1).sum() + y.amax(0).sum()\n"
OFF = "; e = torch.eye(len(s), dtype=torch.bool); x = x.masked_fill(e, 0); y = y.masked_fill(e, 0)"


@pytest.mark.parametrize(
    "body, mistake",
    [
        ("s = a @ b.T; d = s.diag(); x, y = (margin + s - d[:, None]).relu(), (margin + s - d).relu()" + OFF, None),
        (
            "s = a @ b.T; d = s.diag().detach(); x, y = (margin + s - d[:, None]).relu(), (margin + s - d).relu()"
            + OFF,
            "no gradient",
        ),
        (
            "s = torch.from_numpy(a.numpy() @ b.numpy().T); d = s.diag(); "
            "x, y = (margin + s - d[:, None]).relu(), (margin + s - d).relu()" + OFF,
            "no gradient",
        ),
        ("s = a @ b.T; d = s.diag(); x = (margin + s - d).relu(); y = x" + OFF, "one matrix"),
        (
            "s = a @ b.T; d = s.diagonal(); s.fill_diagonal_(0); x, y = (margin + s - d[:, None]).relu(), "
            "(margin + s - d).relu()" + OFF,
            "view",
        ),
        (
            "s = a @ b.T; d = s.diagonal(); s.fill_diagonal_(-10); x, y = (margin + s - d[:, None]).relu(), "
            "(margin + s - d).relu()",
            "view",
        ),
    ],
)
def test_the_hinge_is_looked_at_closely(body, mistake):
    verdict = said("hinge", HINGE.format(body))
    assert verdict.ok == (mistake is None) and verdict.mistake == mistake, verdict


@pytest.mark.parametrize(
    "key, source, meaning",
    [
        ("hinge", "def hardest_hinge(a, b, margin):\n    return (a @ b.T).max(1).sum()\n", "take .values"),
        ("hinge", "def hardest_hinge(a, b, margin):\n    return (a @ b).sum()\n", "a @ b.T"),
        (
            "hinge",
            HINGE.format("s = a @ b.T; d = s.diagonal(); s.fill_diagonal_(-torch.inf); x = y = margin + s - d"),
            "clone it before you fill",
        ),
        ("hmmc", "def hmmc(v, t, v2, t2, margin):\n    return T(v, t)\n", "in code the hinge is triplet(a, b, margin)"),
    ],
)
def test_the_ladder_explains_an_error(key, source, meaning):
    verdict = said(key, source)
    assert not verdict.ok and meaning in verdict.lines[1], verdict


def test_a_task_leaves_the_formula_to_the_student():
    twin, hmmc = (exercises.find(key).task for key in ("token_dropout", "hmmc"))
    assert "frac" not in twin and "1 - " not in twin
    assert "T(v" not in hmmc and "T(t" not in hmmc
