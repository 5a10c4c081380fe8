"""``rsnb lab``: JupyterLab on a working copy of the lessons, opened at a page that says what is next."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rsnb.base.files import write_bytes, write_json
from rsnb.errors import RsnbError
from rsnb.publishing import handout

START, GIVEN = "START.md", ".rsnb/given.json"  # the page; and the digest of each file as it was given
OVERRIDES = ".rsnb/overrides.json"  # JupyterLab's file of settings where the user has none
RENDERED = {"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}}


# --- the command --------------------------------------------------------------------------------------------------
def lab_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", type=Path, default=Path("work"), help="the working copy (default: work, beside you)")
    parser.add_argument(
        "--flavour",
        choices=handout.FLAVOURS,
        default="student",
        help="student: with exercises (default); homework: without solutions; solutions: solved; lesson: no exercises",
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="-- OPTIONS", help="for JupyterLab")


def lab_command(args: argparse.Namespace) -> int:
    """Bring the working copy up to date, write its start page, open JupyterLab there."""
    lessons = prepare(args.dir, args.flavour)
    for lesson in lessons:
        if lesson.beside:
            print(f"{args.dir / lesson.name} holds your changes; the new version is beside it: {lesson.file}")
    from jupyterlab.labapp import main

    folder = args.dir.resolve()
    options = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{START}"]
    options += [f"--LabApp.app_settings_dir={(folder / OVERRIDES).parent}"]
    main(options + [option for option in args.options if option != "--"])
    return 0


# --- the working copy ---------------------------------------------------------------------------------------------
@dataclass
class Lesson:
    """A lesson of the working copy.

    Fields:
        name, file: as it is shipped; and the newest copy, another name where the first holds changes of an older one.
        title, learn, minutes, more: from the notebook's first cell; ``more`` minutes for its exercises, 0 where it has
            none.
        begun: a copy of it differs from what was given.
    """

    name: str
    file: str
    title: str
    learn: str
    minutes: int
    more: int
    begun: bool

    @property
    def beside(self) -> bool:
        return self.file != self.name


def prepare(folder: Path, flavour: str = "student") -> list[Lesson]:
    """Copy the lessons into a folder, never over a changed file, and write the start page.

    A lesson without exercises comes as it is, whatever the flavour. A new version takes the place of a copy that was
    not touched, and lies beside one that was.

    Raises:
        RsnbError: the folder's list of what was given cannot be read.
    """
    given, lessons = _given(folder), []
    for path, content in handout.files(flavour):
        file = _place(folder, path.name, content, given)
        copies = [name for name in given if name == path.name or name.startswith(f"{path.stem}-new")]
        begun = any(_digest(folder / name) not in (None, given[name]) for name in copies)
        lessons.append(Lesson(path.name, file, *about(content), begun))
    write_json(folder / GIVEN, given)
    write_json(folder / OVERRIDES, RENDERED)
    write_bytes(folder / START, page(lessons).encode("utf-8"))
    return lessons


def _given(folder: Path) -> dict[str, str]:
    path = folder / GIVEN
    if not path.exists():
        return {}
    try:
        return {str(name): str(digest) for name, digest in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError) as error:
        raise RsnbError(f"{path} is not the list that rsnb lab wrote ({error}); take another --dir") from None


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _place(folder: Path, name: str, content: bytes, given: dict[str, str]) -> str:
    """Write a file where no changes are lost; returns under which name this version is."""
    version, stem = hashlib.sha256(content).hexdigest(), Path(name).stem
    for number in count():
        candidate = name if number == 0 else f"{stem}-new{f'-{number}' if number > 1 else ''}.ipynb"
        there = _digest(folder / candidate)
        if there is None or there in (given.get(candidate), version):  # nothing of the student's in it
            if there != version:
                write_bytes(folder / candidate, content)
            given[candidate] = version
        if given.get(candidate) == version:
            return candidate
    raise AssertionError("unreachable")


# --- the page -----------------------------------------------------------------------------------------------------
def about(notebook: bytes) -> tuple[str, str, int, int]:
    """(title, what it teaches, minutes, more minutes for its exercises), from the first cell of a notebook.

    Raises:
        RsnbError: the cell does not say it.
    """
    cells = ["".join(cell["source"]) for cell in json.loads(notebook)["cells"]]
    title = re.match(r"# (.+)", cells[0])
    learn = re.search(r"\*\*You will learn\*\* (.+?)(?=\n\s*\n|\n\*\*|\Z)", cells[0], re.DOTALL)
    minutes = re.search(r"\*\*Minutes\*\* (\d+)", cells[0])
    if not (title and learn and minutes):
        raise RsnbError(
            "a lesson begins with its title, **You will learn** and **Minutes**; build it: rsnb run --inplace"
        )
    asked = any("exercises.check(" in cell for cell in cells)
    more = re.search(r"\*\*Minutes\*\* .*?(\d+) more for its exercises", cells[0]) if asked else None
    return title[1], " ".join(learn[1].split()), int(minutes[1]), int(more[1]) if more else 0


def page(lessons: list[Lesson]) -> str:
    """The start page, in Markdown."""
    following = next((lesson for lesson in lessons if not lesson.begun), None)
    first = "You have begun all lessons." if following is None else f"**Next: {_link(following)}**."
    rows = ["| lesson | minutes | with its exercises | you will learn | |", "|---|---|---|---|---|"]
    for lesson in lessons:
        state = ["begun"] * lesson.begun
        if lesson.beside:
            state.append(f"a new version; [yours]({lesson.name})")
        learn = lesson.learn.replace("|", "\\|")
        whole = f"{lesson.minutes + lesson.more}" if lesson.more else ""
        rows.append(f"| {_link(lesson)} | {lesson.minutes} | {whole} | {learn} | {', '.join(state)} |")
    hours = [sum(minutes) / 60 for minutes in zip(*((one.minutes, one.minutes + one.more) for one in lessons))]
    return "\n".join(
        [
            "# Start",
            "",
            f"{first} A click opens a lesson; run its cells from top to bottom with Shift-Enter.",
            "",
            *rows,
            "",
            f"About {hours[0]:.0f} hours in all, {hours[1]:.0f} with the exercises. Each runs on its own; in this "
            "order they build on each other.",
            "",
            "The lessons in this folder are copies and yours to change: `rsnb lab` never overwrites a file that you "
            "changed, and rewrites this page. An exercise that is not written yet does not stop the notebook. "
            "Ctrl-C in the terminal ends JupyterLab.",
            "",
        ]
    )


def _link(lesson: Lesson) -> str:
    return f"[{lesson.title}]({lesson.file})"
