"""Exercises that check themselves: what one is, how an answer is judged, how help is given step by step.

An answer is judged against a reference of our own, on inputs the student has not seen, never against another
output of the student. Each exercise also knows the typical mistakes as functions: if an answer gives on every input
what a known mistake gives, the verdict says which mistake it is and why it is one.
"""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rsnb.errors import RsnbError

ATOL = 1e-4


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


@dataclass(frozen=True, repr=False)
class Verdict:
    """``ok``; ``lines``: what is right or wrong and why; ``mistake``: its name, if it is a known one."""

    ok: bool
    lines: tuple[str, ...]
    mistake: str | None = None

    def __repr__(self) -> str:
        return "\n".join(("✓ " if self.ok else "✗ ") + line if n == 0 else line for n, line in enumerate(self.lines))

    def _repr_html_(self) -> str:
        colour, sign = ("#029e73", "✓") if self.ok else ("#d55e00", "✗")
        body = "<br>".join(html.escape(line) for line in self.lines)
        return f'<div style="border-left:4px solid {colour};padding:.3em .8em"><b>{sign}</b> {body}</div>'


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Compare an answer with the reference on every case; never raises because of the answer."""
    unwritten = Verdict(
        False, (f"{exercise.name} is not written yet; open the hint below if you want a first step",), "empty"
    )
    if _is_empty(answer):
        return unwritten
    code = exercise.kind == "code"
    if code and not callable(answer):
        return Verdict(False, (f"{exercise.name} should be a function, it is {_a(answer)}",), "no function")
    cases = exercise.cases()
    got = []
    for case in cases:
        try:
            got.append(answer(*_copied(case)) if code else answer)
        except Exception as error:  # the student's code: name its error, as a line
            if isinstance(error, NotImplementedError) and not str(error):  # the stub; torch's own has a message
                return unwritten
            text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
            return Verdict(False, (f"{exercise.name} stops with {text}", *_meaning(exercise, text)), "error")
    truth = [exercise.truth(*_copied(case)) for case in cases]
    problems = [_difference(a, b, exercise.atol) for a, b in zip(got, truth)]
    if not any(problems):
        name = exercise.also(answer)
        if name:
            return Verdict(False, (f"not yet: {exercise.mistakes[name].says}",), name)
        passed = ", ".join(filter(None, (f"on {len(cases)} inputs" if code else "", exercise.checked)))
        return Verdict(True, (f"{exercise.title}: right" + (f" ({passed})" if passed else ""),))
    for name, mistake in exercise.mistakes.items():
        for make in mistake.makes:
            theirs = [make(*_copied(case)) for case in cases]
            if not any(_difference(a, b, exercise.atol) for a, b in zip(got, theirs)):
                return Verdict(False, (f"not yet: {mistake.says}",), name)
    right = sum(not problem for problem in problems)
    some = f"right on {right} of {len(cases)} inputs; " if right else ""
    n = next(n for n, problem in enumerate(problems) if problem)
    first = "nothing was returned; end with return" if code and got[n] is None else problems[n]
    given = _short(cases[n]) if code else ""
    where = f"for {given}: " if given else ""
    return Verdict(False, (f"not yet: {some}{where}{first}", *_meaning(exercise, first), f"Hint: {exercise.hint}"))


def _meaning(exercise: Exercise, text: str) -> list[str]:
    """What the exercise says of such an error or difference: one line or none."""
    return [meaning for seen, meaning in exercise.errors.items() if seen.lower() in text.lower()][:1]


def _is_empty(answer: Any) -> bool:
    return answer is None or answer is ... or (isinstance(answer, (str, list, tuple, dict, set)) and len(answer) == 0)


def _copied(case: Sequence) -> list:
    """Inputs of their own, so that an answer that works in place harms no other."""
    return [copy.deepcopy(x) for x in case]


def _difference(got: Any, want: Any, atol: float) -> str:
    """ "" if equal, else what differs."""
    if isinstance(want, dict):
        expected = f"expected a dict with the keys {', '.join(map(_shown, want))}"
        if not isinstance(got, dict):
            return f"{expected}, got {_shown(got)}"
        if set(got) != set(want):
            missing, other = ([_shown(k) for k in x if k not in y] for x, y in ((want, got), (got, want)))
            wrong = [f"{', '.join(keys)} {what}" for keys, what in ((missing, "missing"), (other, "unknown")) if keys]
            return f"{expected}; {', '.join(wrong)}"
        return next((f"{k}: {d}" for k, d in ((k, _difference(got[k], want[k], atol)) for k in want) if d), "")
    if isinstance(want, str) and not isinstance(got, str):
        return f"expected a text, got {_shown(got)}"
    if isinstance(want, bool) and not isinstance(got, bool):
        return f"expected True or False, got {_shown(got)}"
    if isinstance(want, (str, bool)) or want is None:
        return "" if type(got) is type(want) and got == want else f"the answer is not {_shown(got)}"
    if isinstance(want, (tuple, list, set)) and not all(isinstance(x, (int, float)) for x in want):
        same = isinstance(got, (tuple, list, set)) and _names(got) == _names(want)
        return "" if same else f"the answer is not {_shown(got)}"
    try:
        a, b = (torch.as_tensor(x).detach().to(torch.float64) for x in (got, want))
    except (TypeError, ValueError, RuntimeError):
        return f"expected numbers, got {_shown(got)}"
    if a.shape != b.shape:
        return f"expected the shape {tuple(b.shape)}, got {tuple(a.shape)}"
    if not torch.isfinite(a).all():
        return "some values are nan or infinite"
    gap = (a - b).abs().max().item() if a.numel() else 0.0
    scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
    return "" if gap <= atol * scale else f"the values differ by up to {gap:.3g}"


def _names(values: Iterable) -> set[str]:
    return {x if isinstance(x, str) else _shown(x) for x in values}


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # the student's own class
        return _a(value)
    return text if len(text) < 60 else _a(value)


def _a(value: Any) -> str:
    """The type of a value with its article: a str, an int."""
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" or name == "ndarray" else f"a {name}"


def _short(case: Sequence) -> str:
    """An input in words, if it is strings and numbers and fits into a line, else ""."""
    text = ", ".join(map(repr, case)) if _is_plain(case) else ""
    return text if len(text) <= 80 else ""


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list, set)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float))


def run_source(exercise: Exercise, source: str) -> Any:
    """What a source text defines under the exercise's name (for tests and for building notebooks)."""
    space: dict[str, Any] = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn}
    exec(compile(source, f"<{exercise.key}>", "exec"), space)  # our own texts, never a student's
    if exercise.name not in space:
        raise RsnbError(f"{exercise.key}: this source does not define {exercise.name}")
    return space[exercise.name]
