"""``rsnb exercises``: every exercise with the verdicts of its checker on right and on wrong answers."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rsnb.base.options import add_options
from rsnb.errors import RsnbError


def exercises_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lesson", type=int, help="of one notebook alone")
    add_options(parser, "json")


def exercise_rows(lesson: int | None = None) -> list[dict[str, Any]]:
    """One line an exercise: what it is, and how many right answers pass, wrong ones fail and are named."""
    from rsnb.classroom import exercises
    from rsnb.classroom.exercises.core import judge, run_source

    found = []
    for e in exercises.every().values():
        if lesson is not None and e.lesson != lesson:
            continue
        right = [judge(e, run_source(e, source)).ok for source in (e.solution, *e.right)]
        wrong = [judge(e, run_source(e, source)) for source in e.wrong.values()]
        named = [not verdict.ok and verdict.mistake == name for verdict, name in zip(wrong, e.wrong)]
        found.append(
            {
                "lesson": e.lesson,
                "key": e.key,
                "title": e.title,
                "kind": e.kind,
                "difficulty": e.difficulty,
                "importance": e.importance,
                "minutes": e.minutes,
                "right": len(right),
                "passed": sum(right),
                "wrong": len(wrong),
                "named": sum(named),
            }
        )
    if not found:
        raise RsnbError(f"there are no exercises for notebook {lesson}")
    return found


def exercises_command(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Print the table; returns its rows."""
    found = exercise_rows(args.lesson)
    if args.json:
        print(json.dumps(found, indent=1))
        return found
    print(f"{'':3}{'exercise':24}{'title':44}{'kind':12}{'diff.':>6}{'imp.':>6}{'min.':>6}  right passed  wrong named")
    for r in found:
        print(
            f"{r['lesson']:<3}{r['key']:24}{r['title'][:42]:44}{r['kind']:12}{r['difficulty']:>6}{r['importance']:>6}"
            f"{r['minutes']:>6}  {r['passed']:>5} of {r['right']:<5} {r['named']:>5} of {r['wrong']}"
        )
    total = {key: sum(r[key] for r in found) for key in ("right", "passed", "wrong", "named", "minutes")}
    print(
        f"{len(found)} exercises, {total['minutes']} minutes: {total['passed']} of {total['right']} right answers "
        f"pass, {total['named']} of {total['wrong']} wrong ones fail with their mistake named"
    )
    return found
