"""``rsnb exercises``: every exercise, and with ``--check`` the verdicts of its checker on right and wrong answers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rsnb.base.options import add_options
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError

LISTING = Path(__file__).with_name("listing.json")


def exercises_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lesson", type=int, help="of one notebook only")
    parser.add_argument("--check", action="store_true", help="let every checker judge its right and wrong answers")
    add_options(parser, "json")


def exercise_rows(lesson: int | None = None) -> list[dict[str, Any]]:
    """One line per exercise, of the list that is kept: importing the checkers takes seconds.

    Raises:
        RsnbError: the notebook has no exercises; the list cannot be read.
    """
    try:
        rows = json.loads(LISTING.read_text(encoding="utf-8"))
        found = [row for row in rows if lesson in (None, row["lesson"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{LISTING} cannot be read ({error!r}); write it again with: rsnb results --fill") from None
    if not found:
        raise RsnbError(f"there are no exercises for notebook {lesson}")
    return found


def rows_of_today() -> list[dict[str, Any]]:
    """What the list should hold: each exercise, and on how many right and wrong answers its checker is tried."""
    from rsnb.classroom import exercises

    shown = ("lesson", "key", "title", "kind", "difficulty", "importance", "minutes")
    return [
        {**{name: getattr(e, name) for name in shown}, "right": 1 + len(e.right), "wrong": len(e.wrong)}
        for e in exercises.every().values()
    ]


def verdict_counts(key: str) -> dict[str, int]:
    """How many right answers of an exercise pass, and how many wrong ones fail with their mistake named."""
    from rsnb.classroom import exercises
    from rsnb.classroom.exercises.judging import judge, run_source

    e = exercises.find(key)
    right = [judge(e, run_source(e, source)) for source in (e.solution, *e.right)]
    wrong = {name: judge(e, run_source(e, source)) for name, source in e.wrong.items()}
    return {
        "passed": sum(verdict.ok for verdict in right),
        "named": sum(not verdict.ok and verdict.mistake == name for name, verdict in wrong.items()),
    }


def exercises_command(args: argparse.Namespace) -> int:
    """Print the table; 1 if a checker was tried and misjudged an answer."""
    found = exercise_rows(args.lesson)
    if args.check:
        found = [row | verdict_counts(row["key"]) for row in found]
    total = {key: sum(row[key] for row in found) for key in found[0] if isinstance(found[0][key], int)}
    misjudged = args.check and (total["passed"], total["named"]) != (total["right"], total["wrong"])
    if args.json:
        print(json.dumps(found, indent=1))
        return int(misjudged)
    head = ("", "exercise", "title", "kind", "minutes", "right", "wrong")
    shown = [
        (str(r["lesson"]), r["key"], r["title"], r["kind"], str(r["minutes"]), _of(r, "passed", "right"),
         _of(r, "named", "wrong"))
        for r in found
    ]  # fmt: skip
    print(markdown_table(head, shown) + "\n")
    said = f"{len(found)} exercises, {total['minutes']} minutes: "
    if args.check:
        said += f"{total['passed']} of {total['right']} right answers pass, "
        print(said + f"{total['named']} of {total['wrong']} wrong ones fail with their mistake named")
    else:
        said += f"their checkers are tried on {total['right']} right and {total['wrong']} wrong answers"
        print(said + "; judge them with: rsnb exercises --check")
    return int(misjudged)


def _of(row: dict[str, Any], judged: str, of: str) -> str:
    """3, or 3 of 3, where the checker was tried."""
    return f"{row[judged]} of {row[of]}" if judged in row else f"{row[of]}"
