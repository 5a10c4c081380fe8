"""``rsnb grade``: a folder of students' notebooks becomes a table of verdicts, as CSV and as a page."""

from __future__ import annotations

import argparse
import html
import json
from collections.abc import Sequence
from pathlib import Path

from rsnb.base.files import make_folder, write_csv, write_text
from rsnb.base.options import Own, add_options
from rsnb.classroom import exercises
from rsnb.classroom.grading.handin import Graded, cells_of, graded, lesson_of
from rsnb.classroom.grading.sandbox import need_walls
from rsnb.errors import RsnbError

SIGNS = {"right": ("✓", "#029e73"), "wrong": ("✗", "#d55e00"), "open": ("…", "#888888")}


def grade_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the notebooks, anywhere below; their names are free")
    parser.add_argument(
        "--unsafe", action="store_true", help="run them without walls, where bubblewrap is missing: on a spare machine"
    )
    seed = Own(said="other inputs each time", remark="here of the inputs that are drawn")
    add_options(parser, "json", seed=seed, out=Own("outputs/grades"))


def grade_command(args: argparse.Namespace) -> int:
    """Judge every notebook; write grades.csv and grades.html. 1, if a file could not be judged."""
    notebooks = sorted(p for p in args.folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    if not notebooks:
        raise RsnbError(f"no notebook lies below {args.folder}")
    if not args.unsafe:
        need_walls()
    make_folder(args.out)
    masters, found, failed = student_masters(), [], []
    for path in notebooks:
        student = path.relative_to(args.folder).with_suffix("").as_posix()
        try:
            own = graded(path, student, masters, args.unsafe, args.seed)
        except RsnbError as error:
            failed.append(str(error))
            continue
        found += own
        if not args.json:
            print(f"{student}: {sum(g.verdict.ok for g in own)} of {len(own)} right", flush=True)
    if not found:
        raise RsnbError("nothing could be judged:\n  " + "\n  ".join(failed))
    rows = [row_of(g) for g in found]
    write_csv(args.out / "grades.csv", rows)
    write_text(args.out / "grades.html", page(found))
    if args.json:
        print(json.dumps({"grades": rows, "failed": failed}, indent=1, ensure_ascii=False))
    else:
        print("\n".join([*(f"NOT JUDGED {line}" for line in failed), f"written: {args.out / 'grades.csv'} and .html"]))
    return 1 if failed else 0


def student_masters() -> dict[int, list[str]]:
    """The code cells of the student notebooks as they were handed out, by lesson."""
    from rsnb.publishing import masters, runner

    folder = runner.notebooks_dir() / masters.FLAVOURS["student"]
    found = {path: cells_of(path) for path in sorted(folder.glob("*.ipynb"))}
    return {lesson: cells for cells in found.values() if (lesson := lesson_of(cells)) is not None}


def row_of(one: Graded) -> dict[str, str]:
    """A row of the table. What a student's code said is text, and no formula of a spreadsheet."""
    said = " ".join(one.verdict.lines)
    cells = {
        "student": one.student,
        "exercise": one.exercise,
        "verdict": one.word,
        "mistake": one.verdict.mistake or "",
    }
    cells["said"] = said
    return {name: f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text for name, text in cells.items()}


def page(found: Sequence[Graded]) -> str:
    """Students down, exercises across; what the checker said stands under each sign."""
    keys = [key for key in exercises.every() if any(g.exercise == key for g in found)]
    students = list(dict.fromkeys(g.student for g in found))
    by = {(g.student, g.exercise): g for g in found}
    head = "".join(f'<th scope="col">{html.escape(key)}</th>' for key in keys)
    body = []
    for student in students:
        cells = "".join(_cell(by.get((student, key))) for key in keys)
        right = sum(g.verdict.ok for g in found if g.student == student)
        total = sum(g.student == student for g in found)
        body.append(f'<tr><th scope="row">{html.escape(student)}</th><td>{right} of {total}</td>{cells}</tr>')
    style = (
        "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
        "th,td{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}"
        "details{max-width:24em}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Grades</title><style>{style}</style>'
        f"<h1>Grades</h1><table><thead><tr><th>student</th><th>right</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></html>\n"
    )


def _cell(one: Graded | None) -> str:
    if one is None:
        return "<td></td>"
    sign, colour = SIGNS[one.word]
    said = "<br>".join(html.escape(line) for line in one.verdict.lines)
    return f'<td><details><summary style="color:{colour}">{sign} {one.word}</summary>{said}</details></td>'
