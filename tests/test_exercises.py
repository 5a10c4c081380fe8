"""Every checker passes the right answers and names the wrong ones; none is passed by an empty answer."""

from __future__ import annotations

import collections
import functools
import json
import re
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas
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
    exercise = replace(exercise, draw=None)
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
    odd, exercise = Odd(), replace(exercise, draw=None)
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
        inputs = len(exercise.cases()) + len(core.drawn(exercise))
        assert verdict.ok and numbers(verdict) == ([inputs] if exercise.kind == "code" else []), key
        assert exercise.title in verdict.lines[0] and exercise.checked in verdict.lines[0]


def test_a_function_that_prints_is_told_to_return():
    verdict = said("hinge", lambda a, b, margin: print("0.3"))
    assert not verdict.ok and "return" in verdict.lines[0]


def test_the_smallest_input_that_fails_is_shown_with_both_values():
    verdict = said("mean_cosine", lambda x: (x / x.norm(dim=1, keepdim=True)).sum())
    assert not verdict.ok and "found" in verdict.lines[0] and "expected" in verdict.lines[0]
    rows = re.search(r"for \[(\[.*?\])\]:", verdict.lines[0]).group(1)
    assert rows.count("[") == 2, "two rows are enough to see it"


def test_an_answer_that_knows_the_fixed_inputs_does_not_pass():
    for key in ("mean_cosine", "hinge", "image_recall", "leak_share", "gap_and_se", "best_epoch"):
        exercise = exercises.find(key)
        known = {repr(case): exercise.truth(*case) for case in exercise.cases()}

        def answer(*given, known=known):
            return known.get(repr(given), 0.0)

        assert not judge(exercise, answer).ok, key


@pytest.mark.parametrize("seed", range(3))
def test_the_drawn_inputs_are_others_each_time_and_of_one_seed_the_same(seed):
    for exercise in ALL:
        if exercise.draw:
            one, two, other = (repr(core.drawn(exercise, s)) for s in (seed, seed, seed + 1))
            assert one == two != other, exercise.key


def forever(*_):
    while True:
        pass


def deeper(*given):
    return deeper(*given)


@pytest.mark.parametrize(
    "answer, mistake, words",
    [
        (forever, "endless", "does not come to an end"),
        (lambda *_: sys.exit(0), "error", "SystemExit"),
        (deeper, "error", "RecursionError"),
        (lambda *_: (_ for _ in ()).throw(KeyError("x")), "error", "KeyError"),
    ],
)
def test_nothing_that_a_student_writes_ends_a_checker(answer, mistake, words):
    verdict = judge(exercises.find("mean_recall"), answer, limit=1.0)
    assert not verdict.ok and verdict.mistake == mistake and words in verdict.lines[0]


def test_an_input_changed_in_place_is_said():
    verdict = said("hardest_negative", "def hardest(s):\n    return s.fill_diagonal_(-9).argmax(dim=1)\n")
    assert verdict.ok and "changes its argument 1 in place" in str(verdict)
    assert "in place" not in str(said("hardest_negative", exercises.find("hardest_negative").solution))


def test_a_comma_in_a_number_is_explained():
    verdict = said("wrong_pairs", (347, 160))
    assert not verdict.ok and "347160" in str(verdict)


@pytest.mark.parametrize(
    "key, form",
    [
        ("mean_cosine", lambda value: np.float64(value)),
        ("mean_cosine", lambda value: Fraction(float(value))),
        ("mean_cosine", lambda value: Decimal(float(value))),
        ("hardest_negative", lambda value: value.numpy()[::-1].copy()[::-1]),
        ("hardest_negative", lambda value: pandas.Series(value.tolist(), index=range(5, 5 + len(value)))),
        ("hardest_negative", lambda value: (int(i) for i in value)),
        ("hardest_negative", lambda value: [np.int64(i) for i in value.tolist()]),
        ("hardest_negative", lambda value: [torch.tensor(int(i)) for i in value]),
        ("may_change", lambda value: np.bool_(value)),
        ("may_change", lambda value: torch.tensor(value)),
        ("split_by_image", lambda value: {name: np.array(of) for name, of in value.items()}),
        ("gap_and_se", lambda value: collections.OrderedDict(reversed(value.items()))),
        ("usable_captions", lambda value: range(0) if not value else map(int, value)),
    ],
)
def test_a_right_value_passes_in_any_usual_form(key, form):
    exercise = exercises.find(key)
    truth = run_source(exercise, exercise.solution)
    verdict = judge(exercise, lambda *given: form(truth(*given)))
    assert verdict.ok, verdict


def test_whole_numbers_given_as_floats_are_remarked():
    truth = run_source(exercises.find("hardest_negative"), exercises.find("hardest_negative").solution)
    verdict = said("hardest_negative", lambda s: truth(s).float())
    assert verdict.ok and "given as floats" in str(verdict)


@pytest.mark.campaign
@pytest.mark.parametrize("exercise", [e for e in ALL if e.draw], ids=lambda e: e.key)
def test_no_draw_refuses_a_right_answer_or_hides_a_mistake(exercise):
    for seed in range(60):
        for source in (exercise.solution, *exercise.right):
            verdict = judge(exercise, run_source(exercise, source), seed)
            assert verdict.ok, (seed, verdict)
        for name, source in exercise.wrong.items():
            verdict = judge(exercise, run_source(exercise, source), seed)
            assert verdict.mistake == name, (seed, name, verdict)


def test_a_short_input_is_named():
    some = said("may_change", lambda name: name.startswith("added.") and "0.up.image" not in name)
    assert re.search(r"for 'added\.adapters\.\d\.up\.image\.(weight|bias)'", some.lines[0])
    assert len(numbers(said("adapter_parameters", lambda *_: 1))) >= 6, "the four sizes, found and expected"
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


def test_a_suspect_is_told_in_words():
    verdict = said("probe_length", lambda suspect: bool(suspect.image.norm(dim=1).max() > 1.01))
    assert re.search(r"it gives (True|False) for a suspect with \d+ images, \d+ captions and mR", verdict.lines[0])


@pytest.mark.parametrize("key", [key for key, e in exercises.every().items() if e.holds])
def test_an_example_is_measured_and_of_any_kind(key):
    right = said(key, exercises.find(key).solution)
    assert right.ok and len(numbers(right)) >= 2, "what was measured of it"
    for value in (3, "x", [1.0], [[1, 2], [3]], ("a", "b"), (torch.zeros(0), torch.zeros(0)), (None, None)):
        verdict = said(key, lambda value=value: value)
        assert not verdict.ok and ("described in the task" in str(verdict) or verdict.mistake)
