"""One hand-in: the cells of a notebook that a student wrote or changed, and a verdict for each of its exercises."""

from __future__ import annotations

import ast
import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rsnb.classroom import exercises
from rsnb.classroom.exercises.judging import Exercise, Verdict, judge
from rsnb.classroom.grading.sandbox import Process, sent
from rsnb.errors import RsnbError

LARGEST = 50_000_000  # bytes of a notebook
PACKAGES = ("torch", "numpy", "math", "re", "random", "statistics", "collections", "itertools", "functools", "pandas")
CALL, CELLS = 10.0, 60.0  # seconds for one input, and for all cells


@dataclass(frozen=True)
class Graded:
    """The verdict on one exercise of one hand-in."""

    student: str
    exercise: str
    verdict: Verdict

    @property
    def word(self) -> str:
        """right, wrong, or open (not written)."""
        return "right" if self.verdict.ok else "open" if self.verdict.mistake == "empty" else "wrong"


def cells_of(path: Path) -> list[str]:
    """The code cells of a notebook; magics are left out. Outputs are not read.

    Raises:
        RsnbError: it is no notebook.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST / 1e6:.0f} MB")
        found = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [cell["source"] for cell in found if cell["cell_type"] == "code"]
        texts = ["".join(source) for source in sources]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RsnbError(f"{path} is not a notebook ({error})") from None
    return ["\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in t.split("\n")) for t in texts]


def lesson_of(cells: Sequence[str]) -> int | None:
    """The lesson of whose exercises a notebook checks most."""
    text = "\n".join(cells)
    asked = [e.lesson for e in exercises.every().values() if f'check("{e.key}"' in text or f"check('{e.key}'" in text]
    return max(set(asked), key=asked.count) if asked else None


def student_cells(cells: Sequence[str], lesson: int, masters: Mapping[int, Sequence[str]]) -> list[str]:
    """What is run of a hand-in: the imports of all cells, and the cells that the lesson's notebook does not have."""
    known = {cell.strip() for cell in masters.get(lesson, ())}
    own = [cell for cell in cells if cell.strip() and cell.strip() not in known]
    return ["\n".join(filter(None, (_imports(cell) for cell in cells))), *own]


def _imports(cell: str) -> str:
    """The imports of the packages that exercises use; others might start work, or be missing."""
    try:
        nodes = ast.parse(cell).body
    except (SyntaxError, ValueError, RecursionError):
        return ""
    kept = []
    for node in nodes:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None)]
        if isinstance(node, (ast.Import, ast.ImportFrom)) and all(n and n.split(".")[0] in PACKAGES for n in names):
            kept.append(ast.unparse(node))
    return "\n".join(kept)


def graded(
    path: Path, student: str, masters: Mapping[int, Sequence[str]], unsafe: bool = False, seed: int | None = None
) -> list[Graded]:
    """The verdicts on a hand-in, one for each exercise of its lesson. The student's code runs in a process of its own;
    inputs go there and answers come back, and what is right is known here alone.

    Raises:
        RsnbError: it is no notebook of the series, or the system cannot shut the process in.
    """
    cells = cells_of(path)
    lesson = lesson_of(cells)
    if lesson is None:
        raise RsnbError(f"{path} checks no exercise of the series")
    own = student_cells(cells, lesson, masters)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_ones:
        found, process = [], None
        for exercise in (e for e in exercises.every().values() if e.lesson == lesson):
            if (
                process is None or process.ended
            ):  # an answer that ended it, or took too long, costs the next ones nothing
                process = open_ones.enter_context(Process(Path(folder), CALL, unsafe))
                ran = process.ask({"cells": own}, CELLS)
            found.append(Graded(student, exercise.key, _verdict(exercise, process, ran, seed)))
    return found


def _verdict(exercise: Exercise, process: Process, ran: Mapping[str, Any], seed: int | None) -> Verdict:
    known = process.ask({"known": exercise.name})
    kind = known.get("value")
    if "error" in ran or not isinstance(kind, dict):
        said = ran.get("error") or known.get("error", "it gave nothing")
        return Verdict(False, (f"the notebook's cells stop: {said}",), "error")
    if not kind.get("function"):
        return judge(exercise, kind.get("value"), seed)

    def answer(*given: Any) -> Any:
        leaves = [n for n, x in enumerate(given) if isinstance(x, torch.Tensor) and x.requires_grad]
        told = process.ask({"call": exercise.name, "given": [sent(x) for x in given], "leaves": leaves})
        if "unwritten" in told:
            raise NotImplementedError
        if "error" in told:
            raise as_told(str(told["error"]))
        return (
            _Told.apply(told["value"], told["gradients"], *(given[n] for n in leaves)) if leaves else told.get("value")
        )

    return judge(exercise, answer, seed, limit=20 * CALL)


class _Told(torch.autograd.Function):
    """A scalar and its gradient, as the student's process told them."""

    @staticmethod
    def forward(ctx, value, gradients, *_):
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx, outer):
        return (None, None, *(outer * gradient for gradient in ctx.gradients))


def as_told(text: str) -> Exception:
    """An error as it was called in the student's process: "KeyError: 'x'"."""
    name, colon, message = text.partition(": ")
    known = bool(colon) and name.isidentifier()
    return type(name if known else "Error", (Exception,), {})(message if known else text)
