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

#: What Colab does not bring, or brings too old. The rest is left as it is there: its own Jupyter and PyTorch.
COLAB_LACKS = ("open_clip_torch==3.3.*", "ipywidgets>=8.1")

#: The first code cell of every notebook. RSNB_SOURCE names another place to install from, such as a clone or a wheel.
SET_UP = f"""\
# Set-up: installs rsnb if it is missing, on Colab or where RSNB_SOURCE says from what. Elsewhere this only looks.
import importlib.util
import os
import subprocess
import sys

colab = "google.colab" in sys.modules
if importlib.util.find_spec("rsnb") is None:
    source = os.environ.get("RSNB_SOURCE", "git+{paths.REPOSITORY}")
    wanted = [["--no-deps", source], {json.dumps(COLAB_LACKS)}] if colab else [[source]]
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    asked = colab or "RSNB_SOURCE" in os.environ             # on your own machine nothing is fetched unasked
    if not asked or any(subprocess.run([*pip, *what]).returncode for what in wanted):
        raise SystemExit(f"rsnb is not installed in {{sys.executable}}. Choose the kernel of the environment that has "
                         f"it, or install it in a cell of its own: %pip install {{source}}")
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
        notebook.cells = [
            part
            for cell in notebook.cells
            for part in (_exercise(cell.metadata["exercise"], flavour) if "exercise" in cell.metadata else [cell])
        ]
        _set_up(notebook.cells)
        for index, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{index:03d}"
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        written.append(folder / f"{master.stem}.ipynb")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        write_notebook(notebook, written[-1])
    if not written and flavour == "lesson":
        raise RsnbError(f"no masters like 1-name.py in {source}")
    return written


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
