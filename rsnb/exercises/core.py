"""Exercises that check themselves: what one is, how an answer is judged, how help is given step by step.

An answer is judged against a reference of our own, on inputs the student has not seen, never against another
output of the student. Each exercise also knows the typical mistakes as functions: if an answer gives on every input
what a known mistake gives, the verdict says which mistake it is and why it is one.
"""

from __future__ import annotations

import copy
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rsnb.errors import RsnbError

ATOL = 1e-4


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: ``make`` computes it, ``says`` explains what happened, why it is wrong, the remedy."""

    make: Callable[..., Any]
    says: str


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
        hint: the first step of the ladder. errors: "I see this": what it means.
        right: sources of right answers written in other ways than the solution, for the tests.
        wrong: {name of the mistake: source}, for the tests: each must be recognised as that mistake.
        atol: how far a number may be off.
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
    if _is_empty(answer):
        return Verdict(False, (f"{exercise.name} is not written yet. First hint: {exercise.hint}",), "empty")
    if exercise.kind == "code" and not callable(answer):
        kind = type(answer).__name__
        return Verdict(False, (f"{exercise.name} should be a function, it is a {kind}",), "no function")
    cases = exercise.cases()
    got = []
    for case in cases:
        try:
            got.append(answer(*_copied(case)) if exercise.kind == "code" else answer)
        except Exception as error:  # the student's code: name its error, as a line
            if isinstance(error, NotImplementedError) and not str(error):  # the stub; torch's own has a message
                return Verdict(False, (f"{exercise.name} is not written yet. First hint: {exercise.hint}",), "empty")
            text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
            meaning = next((m for seen, m in exercise.errors.items() if seen.lower() in text.lower()), "")
            return Verdict(False, (f"{exercise.name} stops with {text}", *([meaning] if meaning else [])), "error")
    truth = [exercise.truth(*_copied(case)) for case in cases]
    problems = [_difference(a, b, exercise.atol) for a, b in zip(got, truth)]
    if not any(problems):
        passed = f"on {len(cases)} inputs" if exercise.kind == "code" else "as computed from the data"
        return Verdict(True, (f"{exercise.title}: right ({passed})",))
    for name, mistake in exercise.mistakes.items():
        theirs = [mistake.make(*_copied(case)) for case in cases]
        same = [not _difference(a, b, exercise.atol) for a, b in zip(got, theirs)]
        if all(same):
            return Verdict(False, (f"not yet: {mistake.says}",), name)
    right = sum(not problem for problem in problems)
    some = f"right on {right} of {len(cases)} inputs; " if right else ""
    first = next(problem for problem in problems if problem)
    return Verdict(False, (f"not yet: {some}{first}", f"Hint: {exercise.hint}"))


def _is_empty(answer: Any) -> bool:
    return answer is None or answer is ... or (isinstance(answer, (str, list, tuple, dict, set)) and len(answer) == 0)


def _copied(case: Sequence) -> list:
    """Inputs of their own, so that an answer that works in place harms no other."""
    return [copy.deepcopy(x) for x in case]


def _difference(got: Any, want: Any, atol: float) -> str:
    """"" if equal, else what differs."""
    if isinstance(want, dict):
        if not isinstance(got, dict) or set(got) != set(want):
            return f"expected a dict with the keys {', '.join(map(str, want))}, got {_shown(got)}"
        return next((f"{k}: {d}" for k, d in ((k, _difference(got[k], want[k], atol)) for k in want) if d), "")
    if isinstance(want, (str, bool)) or want is None:
        return "" if type(got) is type(want) and got == want else f"the answer is not {_shown(got)}"
    if isinstance(want, (tuple, list, set)) and not all(isinstance(x, (int, float)) for x in want):
        names = lambda values: {x if isinstance(x, str) else _shown(x) for x in values}  # noqa: E731
        same = isinstance(got, (tuple, list, set)) and names(got) == names(want)
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


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # the student's own class
        return f"a {type(value).__name__}"
    return text if len(text) < 60 else f"a {type(value).__name__}"


def run_source(exercise: Exercise, source: str) -> Any:
    """What a source text defines under the exercise's name (for tests and for building notebooks)."""
    space: dict[str, Any] = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn}
    exec(compile(source, f"<{exercise.key}>", "exec"), space)  # our own texts, never a student's
    if exercise.name not in space:
        raise RsnbError(f"{exercise.key}: this source does not define {exercise.name}")
    return space[exercise.name]
