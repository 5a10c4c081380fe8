"""``rsnb notebooks``: copies of the notebooks to work in."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from rsnb.base.files import write_bytes
from rsnb.publishing import masters, runner
from rsnb.publishing.runner import find_notebooks

#: As typed: as pages names them. Homework is a student's notebook without the folded solutions.
FLAVOURS = {"lesson": "lesson", "student": "student", "homework": "student", "solutions": "solution"}
SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?</details>", re.DOTALL)


# --- notebooks to hand out ----------------------------------------------------------------------------------------
def notebooks_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to put them")
    parser.add_argument(
        "--flavour",
        choices=FLAVOURS,
        default="student",
        help="student: with exercises (default); homework: without solutions; solutions: solved; lesson: no exercises",
    )


def notebooks_command(args: argparse.Namespace) -> int:
    """Copy the notebooks out of the package; what is there already is left alone."""
    states = copy_notebooks(args.folder, args.flavour)
    for name, state in states.items():
        print(f"{state:8} {args.folder / name}")
    if "kept" in states.values():
        print("kept: the file there differs from this version's; move it away and run again to get that one")
    print(f"open them with: jupyter lab {args.folder}")
    return 0


def without_solutions(notebook: bytes) -> bytes:
    """A student's notebook whose cells hold no folded solution; hints stay."""
    found = json.loads(notebook)
    for cell in found["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            cell["source"] = SOLUTION.sub("", text).rstrip().splitlines(keepends=True)
    return (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def copy_notebooks(folder: Path, flavour: str = "student") -> dict[str, str]:
    """Copy the notebooks of a flavour.

    Returns {name: "written", "there" (the same file is there), or "kept" (another one is: edited, so not touched)}.
    """
    states = {}
    for source in _of(flavour):
        content, target = _content(source, flavour), folder / source.name
        if not target.exists():
            write_bytes(target, content)
            states[source.name] = "written"
        else:
            states[source.name] = "there" if target.read_bytes() == content else "kept"
    return states


def files(flavour: str = "student") -> list[tuple[Path, bytes]]:
    """Every lesson as (its file, what is handed out): of the flavour, or as it is where it has no exercises."""
    own = {path.name: path for path in _of(flavour)}
    chosen = [own.get(path.name, path) for path in _of("lesson")]
    return [(path, _content(path, flavour)) for path in chosen]


def _of(flavour: str) -> list[Path]:
    return find_notebooks(runner.notebooks_dir() / masters.FLAVOURS[FLAVOURS[flavour]])


def _content(source: Path, flavour: str) -> bytes:
    content = source.read_bytes()
    return without_solutions(content) if flavour == "homework" else content
