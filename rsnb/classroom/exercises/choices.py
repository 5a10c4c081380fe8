"""Exercises that ask for one of several names or sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsnb.classroom.exercises.judging import Exercise, Mistake


def one_of(key: str, right: str, why: str, says: Mapping[str, str], what: str, **rest: Any) -> Exercise:
    """The exercise to name one of several: a text, without regard to capitals and spaces.

    Args:
        key: of the exercise, and what the student sets. right: the name. why: the reason, in a line.
        says: {another name: why it is not that}, of all others. what: a name, or a letter.
        rest: the other fields of an Exercise.
    """
    return Exercise(
        key=key,
        name=key,
        kind="prediction",
        difficulty=2,
        importance=3,
        stub=f"{key} = ...  # {what}, as a text\n",
        solution=f'# {why}\n{key} = "{right}"\n',
        truth=lambda: right,
        mistakes={other: Mistake(lambda other=other: other, said) for other, said in says.items()},
        errors={"NameError": f'{what} is a string and needs quotes, as in {key} = "..."'},
        right=(f'{key} = " {right.title()} "\n', f'{key} = "{right}".upper()\n'),
        wrong={other: f'{key} = "{other}"\n' for other in says},
        **rest,
    )


def chosen(key: str, task: str, options: Mapping[str, str], right: str, **rest: Any) -> Exercise:
    """The exercise to choose the sentence that follows; options: {letter: sentence}, right: the letter of the one."""
    listed = "\n".join(f"- **{letter}**: {sentence}" for letter, sentence in options.items())
    task = f"{task}\n\n{listed}\n\nSet `{key}` to its letter, as a string."
    return one_of(key, right, f"{options[right][:80].rsplit(' ', 1)[0]} ...", what="a letter", task=task, **rest)
