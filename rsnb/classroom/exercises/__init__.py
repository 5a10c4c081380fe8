"""The exercises of the series: ``check``, ``hint``, ``solution``; ``EXERCISES`` by key.

In a notebook::

    from rsnb import exercises
    exercises.check("hinge", hinge)      # what is right, what is wrong and why
    exercises.hint("hinge")              # a first step, then what common errors mean
    exercises.solution("hinge")          # folded away until it is opened
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from rsnb.errors import RsnbError

LESSONS = (1, 2, 3, 4, 5, 10, 12, 13)
_all: dict[str, Any] = {}


def every() -> dict[str, Any]:
    """All exercises by key, in the order of the series."""
    if not _all:
        for number in LESSONS:
            for exercise in importlib.import_module(f"rsnb.classroom.exercises.lesson{number}").EXERCISES:
                if exercise.key in _all or exercise.lesson != number:
                    raise RsnbError(f"the exercise {exercise.key!r} of lesson {number} is there twice or misplaced")
                _all[exercise.key] = exercise
    return _all


def find(key: str):
    """The exercise of that name."""
    if key not in every():
        near = difflib.get_close_matches(key, every(), n=3)
        raise RsnbError(
            f"no exercise is called {key!r}; "
            + (f"perhaps {', '.join(near)}" if near else f"there are {', '.join(every())}")
        )
    return every()[key]


def check(key: str, answer: Any):
    """Judge an answer; the verdict shows itself in a notebook and prints as text."""
    from rsnb.classroom.exercises.judging import judge

    return judge(find(key), answer)


def hint(key: str) -> str:
    """The first step, then what common errors mean."""
    exercise = find(key)
    seen = "\n".join(f'I see "{error}": {meaning}' for error, meaning in exercise.errors.items())
    return _Text(f"Hint: {exercise.hint}\n{seen}")


def solution(key: str):
    """One way to write it; folded in a notebook."""
    return _Folded(find(key).solution)


class _Text(str):
    """A text that a notebook shows as lines."""

    def __repr__(self) -> str:
        return str(self)


class _Folded(_Text):
    """A source text that a notebook folds away until it is opened."""

    def _repr_html_(self) -> str:
        import html

        return f"<details><summary>solution</summary><pre>{html.escape(self)}</pre></details>"
