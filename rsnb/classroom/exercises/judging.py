"""Exercises that check themselves: what one is, how an answer is judged, how help is given step by step.

An answer is judged against a reference of our own, on fixed inputs and on others that are drawn anew each time, never
against another output of the student. A wrong one is shown the smallest input on which it fails. Each exercise also
knows the typical mistakes as functions: if an answer gives on every input what a known mistake gives, the verdict says
which mistake it is and why it is one.
"""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rsnb.classroom.exercises.comparing import Nothing, difference
from rsnb.classroom.exercises.running import Raised, answers, copied
from rsnb.classroom.exercises.showing import a_kind, both, comma, shown, shown_input, size
from rsnb.errors import RsnbError

ATOL = 1e-4
LIMIT = 20.0  # seconds for all inputs of a judgement
DRAWN = 24  # inputs that are drawn beside the fixed ones


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: ``make`` computes it, ``says`` explains what happened, why it is wrong, the remedy.

    A mistake that gives several values has a tuple of functions; one that no value shows, found by ``Exercise.also``,
    has the empty tuple.
    """

    make: Callable[..., Any] | tuple[Callable[..., Any], ...]
    says: str

    @property
    def makes(self) -> tuple[Callable[..., Any], ...]:
        return self.make if isinstance(self.make, tuple) else (self.make,)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Fields:
        key: short name, unique in the series. lesson: number of the notebook. title, aim: a line each.
        difficulty, importance: 1 to 3. minutes: to solve it.
        task: what to do, Markdown, with shapes. kind: "code" (the answer is a function) or "prediction" (a value).
        name: what the student defines. stub: the code the student starts from. solution: the source of an answer.
        cases: ``cases()`` gives the inputs, a list of tuples; a prediction has none ("[()]").
        truth: the reference, called with a case. mistakes: by name.
        hint: the first step of the ladder. errors: "I see this", in an error or in a verdict: what it means.
        right: sources of right answers written in other ways than the solution, for the tests.
        wrong: {name of the mistake: source}, for the tests: each must be recognised as that mistake.
        atol: how far a number may be off.
        also: asked of an answer whose values are right: the name of a mistake that it still makes, or None.
        checked: what a right answer was compared with, beside the inputs.
        draw: ``draw(rng)`` gives one more input: of any size, in any order, with repeats and ties where the task allows
            them, negative and extreme values.
        described: ``described(*case)``: an input that is too large to be shown, in words, and what is right there.
        holds: of an exercise that asks for an example: ``holds(value)`` gives (the name of what is wrong with it or
            None, what was measured of it); it may raise, where the value is of another kind. There is no ``truth``.
    """

    key: str
    lesson: int
    title: str
    aim: str
    difficulty: int
    importance: int
    minutes: int
    task: str
    name: str
    stub: str
    solution: str
    truth: Callable[..., Any]
    mistakes: dict[str, Mistake]
    hint: str
    errors: dict[str, str]
    right: tuple[str, ...]
    wrong: dict[str, str]
    cases: Callable[[], list[tuple]] = lambda: [()]
    kind: str = "code"
    atol: float = ATOL
    also: Callable[[Any], str | None] = lambda answer: None
    checked: str = ""
    draw: Callable[[random.Random], tuple] | None = None
    described: Callable[..., str] | None = None
    holds: Callable[[Any], tuple[str | None, str]] | None = None


@dataclass(frozen=True, repr=False)
class Verdict:
    """``ok``; ``lines``: what is right or wrong and why; ``mistake``: its name, if it is a known one."""

    ok: bool
    lines: tuple[str, ...]
    mistake: str | None = None

    def __repr__(self) -> str:
        return "\n".join(f"{self.sign} {line}" if n == 0 else line for n, line in enumerate(self.lines))

    @property
    def sign(self) -> str:
        """✓ right, ✗ wrong, … not written yet."""
        return "✓" if self.ok else "…" if self.mistake == "empty" else "✗"

    def _repr_html_(self) -> str:
        colour = {"✓": "#029e73", "✗": "#d55e00", "…": "#888888"}[self.sign]
        body = "<br>".join(html.escape(line) for line in self.lines)
        return f'<div style="border-left:4px solid {colour};padding:.3em .8em"><b>{self.sign}</b> {body}</div>'


def judge(exercise: Exercise, answer: Any, seed: int | None = None, limit: float = LIMIT) -> Verdict:
    """Compare an answer with the reference on every case; never raises because of the answer, and waits for it no
    longer than ``limit`` seconds.

    Args:
        seed: of the inputs that are drawn beside the fixed ones; None: others at each call, so that none is known.
    """
    unwritten = Verdict(
        False, (f"{exercise.name} is not written yet; open the hint below if you want a first step",), "empty"
    )
    if _is_empty(answer):
        return unwritten
    code = exercise.kind == "code"
    if code and not callable(answer):
        return Verdict(False, (f"{exercise.name} should be a function, it is {a_kind(answer)}",), "no function")
    cases, got, remarks = [*exercise.cases(), *drawn(exercise, seed)], [answer], []
    if code:
        found = answers(answer, cases, limit)
        first = found.values[0] if found.values else None
        if isinstance(first, Raised) and isinstance(first.error, NotImplementedError) and not str(first.error):
            return unwritten  # the stub; torch's own error has a message
        if found.error is not None:
            return _stopped(exercise, found.error, cases[len(found.values)], limit)
        got = found.values
        if found.changed:
            remarks.append(
                f"It changes its argument {found.changed} in place: anyone who uses it again finds other values."
            )
    if exercise.holds:
        return _held(exercise, got[0], limit)
    truth = [exercise.truth(*copied(case)) for case in cases]
    problems = [difference(a, b, exercise.atol) for a, b in zip(got, truth)]
    if not any(problems):
        name = exercise.also(answer)
        if name:
            return Verdict(False, (f"not yet: {exercise.mistakes[name].says}",), name)
        passed = ", ".join(filter(None, (f"on {len(cases)} inputs" if code else "", exercise.checked)))
        right = f"{exercise.title}: right" + (f" ({passed})" if passed else "")
        return Verdict(True, (right, *remarks, *(_other_form(got, truth) if code else ())))
    for name, mistake in exercise.mistakes.items():
        for make in mistake.makes:
            theirs = [_attempt(make, case) for case in cases]
            if not any(difference(a, b, exercise.atol) for a, b in zip(got, theirs)):
                return Verdict(False, (f"not yet: {mistake.says}",), name)
    failing = [n for n, problem in enumerate(problems) if problem]
    raised = [n for n in failing if isinstance(got[n], Raised)]
    if raised:
        n = min(raised, key=lambda n: size(cases[n]))
        return _stopped(exercise, got[n].error, cases[n], limit)
    return _unnamed(exercise, cases, got, truth, problems)


def drawn(exercise: Exercise, seed: int | None = None, count: int = DRAWN) -> list[tuple]:
    """Inputs that are drawn for one judgement."""
    rng = random.Random(seed)
    return [exercise.draw(rng) for _ in range(count)] if exercise.draw else []


def _unnamed(
    exercise: Exercise, cases: Sequence[tuple], got: Sequence[Any], truth: Sequence[Any], problems: Sequence[str]
) -> Verdict:
    """What is said of a wrong answer that is no known mistake: the smallest input on which it fails."""
    n = min((n for n, problem in enumerate(problems) if problem), key=lambda n: size(cases[n]))
    code, right = exercise.kind == "code", sum(not problem for problem in problems)
    first = "nothing was returned; end with return" if code and got[n] is None else problems[n]
    some = f"right on {right} of {len(cases)} inputs; " if right else ""
    if exercise.described:
        said = f"not yet: {some}it gives {shown(got[n])} for {exercise.described(*cases[n])}"
        return Verdict(False, (said, f"Hint: {exercise.hint}"))
    given = f"for {shown_input(cases[n])}: " if cases[n] else ""
    values = both(got[n], truth[n]) if code and first.startswith(("the values", "the answer")) else ""
    lines = (f"not yet: {some}{given}{first}{values}", *_meaning(exercise, first), comma(got[n], truth[n]))
    return Verdict(False, (*filter(None, lines), f"Hint: {exercise.hint}"))


def _held(exercise: Exercise, value: Any, limit: float) -> Verdict:
    """The verdict on an example: any that does what is asked is right."""
    if isinstance(value, Raised):
        return _stopped(exercise, value.error, (), limit)
    try:
        name, measured = exercise.holds(value)
    except Exception:  # another kind of value, or one whose class does odd things
        expected = f"{exercise.name} gives {shown(value)}: what is asked for is described in the task"
        return Verdict(False, (f"not yet: {expected}", f"Hint: {exercise.hint}"))
    if name is None:
        return Verdict(True, (f"{exercise.title}: right ({measured})",))
    return Verdict(False, (f"not yet: {exercise.mistakes[name].says} ({measured})",), name)


def _stopped(exercise: Exercise, error: BaseException, case: tuple, limit: float) -> Verdict:
    """The verdict on an answer that gave none."""
    where = f" for {exercise.described(*case) if exercise.described else shown_input(case)}" if case else ""
    if isinstance(error, TimeoutError):
        said = f"{exercise.name} does not come to an end{where}: it was stopped after {limit:g} seconds"
        return Verdict(False, (said, "Is there a loop whose condition never becomes false?"), "endless")
    lines = str(error).splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    if isinstance(error, SystemExit):
        text = "SystemExit: it would end the program; return the value instead"
    return Verdict(False, (f"{exercise.name} stops{where} with {text}", *_meaning(exercise, text)), "error")


def _attempt(make: Callable, case: tuple) -> Any:
    """What a known mistake gives; where it gives nothing, no answer is it."""
    try:
        return make(*copied(case))
    except Exception:
        return Nothing


def _other_form(got: Sequence[Any], truth: Sequence[Any]) -> tuple[str, ...]:
    """What is said of right values in another form than asked: at most one line."""
    for a, b in zip(got, truth):
        if isinstance(a, bool) and isinstance(b, (int, float)) and not isinstance(b, bool):
            return ("It gives True or False where a number is asked for; they count as 1 and 0 here.",)
        whole = isinstance(b, torch.Tensor) and not b.dtype.is_floating_point
        if whole and isinstance(a, torch.Tensor) and a.dtype.is_floating_point:
            return ("The values are whole numbers, given as floats; as indices torch would refuse them.",)
    return ()


def _meaning(exercise: Exercise, text: str) -> list[str]:
    """What the exercise says of such an error or difference: one line or none."""
    return [meaning for seen, meaning in exercise.errors.items() if seen.lower() in text.lower()][:1]


def _is_empty(answer: Any) -> bool:
    return answer is None or answer is ... or (isinstance(answer, (str, list, tuple, dict, set)) and len(answer) == 0)


def run_source(exercise: Exercise, source: str) -> Any:
    """What a source text defines under the exercise's name (for tests and for building notebooks)."""
    space: dict[str, Any] = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn}
    exec(compile(source, f"<{exercise.key}>", "exec"), space)  # our own texts, never a student's
    if exercise.name not in space:
        raise RsnbError(f"{exercise.key}: this source does not define {exercise.name}")
    return space[exercise.name]
