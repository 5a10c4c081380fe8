"""Exercises that ask for one of several sentences."""

from __future__ import annotations

from collections.abc import Mapping

from rsnb.classroom.exercises.judging import Exercise, Mistake


def chosen(
    *,
    key: str,
    lesson: int,
    title: str,
    aim: str,
    minutes: int,
    task: str,
    options: Mapping[str, str],
    right: str,
    says: Mapping[str, str],
    hint: str,
) -> Exercise:
    """The exercise to choose the sentence that follows.

    Args:
        options: {letter: sentence}. right: the letter of the one. says: {letter: why it is not}, of all others.
    """
    listed = "\n".join(f"- **{letter}**: {sentence}" for letter, sentence in options.items())
    return Exercise(
        key=key,
        lesson=lesson,
        title=title,
        aim=aim,
        difficulty=2,
        importance=3,
        minutes=minutes,
        task=f"{task}\n\n{listed}\n\nSet `{key}` to its letter, as a text.",
        name=key,
        stub=f"{key} = ...  # a letter, as a text\n",
        solution=f'# {options[right][:80].rsplit(" ", 1)[0]} ...\n{key} = "{right}"\n',
        kind="prediction",
        truth=lambda: right,
        mistakes={letter: Mistake(lambda letter=letter: letter, said) for letter, said in says.items()},
        hint=hint,
        errors={"NameError": 'a letter is a text and needs quotes: "x", for example'},
        right=(f'{key} = "{right.upper()}"\n', f'{key} = " {right}"\n'),
        wrong={letter: f'{key} = "{letter}"\n' for letter in says},
    )
