"""Notebooks built from their masters in ``notebooks/source``."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.publishing.pages import PLAIN_METADATA, plain_text, write_notebook

FLAVOURS = {"lesson": "", "student": "student", "solution": "solutions"}  # and the folder below notebooks/

PREDICT = "> **Predict.**"
_PREDICTED = re.compile(r"(?:(?P<number>\d+)\|)?(?P<value>.*)", re.DOTALL)
_BESIDE = re.compile(r"\]\((\w[\w-]*\.(?:md|ipynb)(?:#[^)]*)?)\)")  # the target of a link to a page beside a lesson

#: What Colab does not bring, or brings too old. The rest is left as it is there: its own Jupyter and PyTorch.
COLAB_LACKS = ("open_clip_torch==3.3.*", "ipywidgets>=8.1")

#: The first code cell of every notebook. RSNB_SOURCE names another place to install from, such as a clone or a wheel.
SET_UP = f"""\
# Set-up: installs rsnb if it is missing, on Colab or where RSNB_SOURCE says from
# what. Elsewhere this only looks.
import importlib.util
import os
import subprocess
import sys

colab = "google.colab" in sys.modules
if importlib.util.find_spec("rsnb") is None:
    source = os.environ.get("RSNB_SOURCE", "git+{paths.REPOSITORY}")
    lacking = {json.dumps(COLAB_LACKS)}
    wanted = [["--no-deps", source], lacking] if colab else [[source]]
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    asked = colab or "RSNB_SOURCE" in os.environ  # else nothing is fetched
    if not asked or any(subprocess.run([*pip, *what]).returncode for what in wanted):
        raise SystemExit(
            f"rsnb is not installed in {{sys.executable}}. Choose the kernel of the "
            "environment that has it, or install it in a cell of its own: "
            f"%pip install {{source}}"
        )
    importlib.invalidate_caches()
if colab:
    from google.colab import output

    output.enable_custom_widget_manager()"""


def build_notebooks(source: Path, folder: Path, only: tuple[int, ...] = (), flavour: str = "lesson") -> list[Path]:
    """Make ``<folder>/<name>.ipynb`` (without outputs) from every master ``<source>/<name>.py``, or of some numbers.

    A master marks the place of an exercise by a code cell ``# %% exercise="key"``. The lesson leaves it out; the
    student's notebook has the task, a stub and its checker there, with folded hints; the solution has an answer.
    Of a master without exercises there is the lesson alone. Every notebook gets the set-up cell behind its first text.
    """
    try:
        import jupytext
    except ImportError:
        raise RsnbError('jupytext is needed to build notebooks; install it with: pip install -e ".[dev]"') from None
    written = []
    for master in sorted(source.glob("[0-9]*.py")):
        if only and int(re.match(r"\d+", master.stem)[0]) not in only:
            continue
        notebook = jupytext.read(master, fmt="py:percent")
        notebook.metadata = plain_text(PLAIN_METADATA)
        exercised = any("exercise" in cell.metadata for cell in notebook.cells)
        if flavour != "lesson" and not exercised:
            continue
        if flavour == "student":
            notebook.cells = with_predictions(notebook.cells)
        notebook.cells = [
            part
            for cell in notebook.cells
            for part in (_exercise(cell.metadata["exercise"], flavour) if "exercise" in cell.metadata else [cell])
        ]
        _set_up(notebook.cells)
        if FLAVOURS[flavour]:
            _link_from_below(notebook.cells)
        for index, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{index:03d}"
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        written.append(folder / f"{master.stem}.ipynb")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        write_notebook(notebook, written[-1])
    if not written and flavour == "lesson":
        raise RsnbError(f"no masters like 1-name.py in {source}")
    return written


def with_predictions(cells: list) -> list:
    """A place to write each prediction, below the text that asks for it, and what was written beside the result, see
    :func:`answered_by`."""
    from nbformat.v4 import new_code_cell

    after: dict[int, list[str]] = {}
    for number, at in enumerate(_asking(cells), start=1):
        after[at] = [f"lesson.predict({number}, ...)  # in words or as a number"]
    answered = answered_by(cells)
    for number, (at, value) in sorted(answered.items()):
        if value != "-":
            call = f"lesson.compare({number}{', ' * bool(value)}{value})"
            wrapped = f"lesson.compare(\n    {number},\n    {value},\n)"
            after.setdefault(at, []).append(call if len(call) <= 88 else wrapped)
    missing = set(range(1, len(_asking(cells)) + 1)) - set(answered)
    if missing:
        raise RsnbError(f"nothing is computed after the predictions {sorted(missing)}")
    return [part for n, cell in enumerate(cells) for part in (cell, *map(new_code_cell, after.get(n, ())))]


def answered_by(cells: list) -> dict[int, tuple[int, str]]:
    """{number of a prediction, from 1: (the cell that answers it, value)} of a notebook.

    The result is that of the next code cell, or of a later one that is marked ``# %% predicted="value"``. The value is
    an expression of the names of that cell, shown beside the prediction; it may be empty. ``"2|value"`` answers the
    second prediction of the notebook, wherever the cell lies, and ``"-"`` says that no cell does.
    """
    asks, answered = _asking(cells), {}
    for number, (start, end) in enumerate(zip(asks, [*asks[1:], len(cells)]), start=1):
        code = [n for n in range(start + 1, end) if cells[n].cell_type == "code"]
        code = [n for n in code if "exercise" not in cells[n].metadata]
        if code:
            answered[number] = code[0], ""
        for n in code:
            if "predicted" in cells[n].metadata:
                mark = _PREDICTED.fullmatch(cells[n].metadata["predicted"])
                answered[int(mark["number"] or number)] = n, mark["value"]
    return answered


def _asking(cells: list) -> list[int]:
    return [n for n, cell in enumerate(cells) if cell.cell_type == "markdown" and PREDICT in cell.source]


def _link_from_below(cells: list) -> None:
    """Let links to files beside the lessons lead there from a folder below, in place."""
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = _BESIDE.sub(r"](../\1)", cell.source)


def _set_up(cells: list) -> None:
    """Put the set-up cell behind the first text, in place."""
    from nbformat.v4 import new_code_cell

    if cells and cells[0].cell_type == "markdown":
        cells.insert(1, new_code_cell(SET_UP, metadata={"jupyter": {"source_hidden": True}}))  # folded in JupyterLab


def _folded(title: str, body: str) -> str:
    """One block of HTML without a blank line, which every Markdown leaves whole."""
    return f"<details><summary>{title}</summary>{body}</details>"


def _inline(text: str) -> str:
    """Plain text with `code` as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False)).replace("\n", " ")


def _exercise(key: str, flavour: str) -> list:
    """The cells of an exercise in a flavour of the notebook."""
    from nbformat.v4 import new_code_cell, new_markdown_cell

    from rsnb.classroom import exercises

    if flavour == "lesson":
        return []
    e = exercises.find(key)
    kind = "Exercise" if e.kind == "code" else "Prediction"
    head = (
        f"### {kind}: {e.title}\n\n*{e.aim}* Difficulty {_dots(e.difficulty)}, importance {_dots(e.importance)}, "
        f"{e.minutes} minutes.\n\n{e.task}"
    )
    seen = "".join(f"<li><i>I see “{_inline(error)}”</i>: {_inline(why)}</li>" for error, why in e.errors.items())
    source = re.sub(r"\n(?=\n)", "\n&#32;", html.escape(e.solution.rstrip(), quote=False))  # no line is blank
    ladder = "\n\n".join(
        (
            _folded("Hint", f"<p>{_inline(e.hint)}</p>"),
            _folded("I see an error", f"<ul>{seen}</ul>"),
            _folded("Solution", f"<pre><code>{source}</code></pre>"),
        )
    )
    code = e.solution if flavour == "solution" else e.stub
    imports = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
    used = imports if re.search(r"\b(torch|F|nn)\.", code + e.solution) else ""
    check = f'from rsnb import exercises\n\nexercises.check("{key}", {e.name})'
    return [
        new_markdown_cell(head),
        new_code_cell((used + code).rstrip()),
        new_code_cell(check),
        new_markdown_cell(ladder),
    ]


def _dots(level: int) -> str:
    """1 -> '●○○'."""
    return "●" * level + "○" * (3 - level)
