r"""Notebook files: built from their masters, tidied, and turned into self-contained HTML pages.

A page loads nothing from elsewhere: pictures are inside, and formulas (``$...$`` and ``$$...$$`` in markdown
cells) become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import copy
import html
import json
import logging
import re
import tempfile
from pathlib import Path

from rsnb.base import paths
from rsnb.classroom import lesson
from rsnb.errors import RsnbError

PLAIN_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}

# Fenced code | inline code | escaped dollar | $$ display $$ | $ inline $ (no space inside the dollars)
_PARTS = re.compile(
    r"(?P<code>```.*?```|~~~.*?~~~|(?P<tick>`+).+?(?P=tick)|\\\$)"
    r"|\$\$(?P<display>.+?)\$\$"
    r"|\$(?P<inline>[^\s$](?:[^$\n]*[^\s$])?)\$(?!\d)",
    re.DOTALL,
)

_PLACE = re.compile(r"formula(\d+)rsnb", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'(?:id|href)="[^"]*"')
_CELL_FILE = re.compile(r"\S*ipykernel_\d+[/\\]\d+\.py:\d+: ")  # the head of a warning
_SCRATCH = re.compile(re.escape(tempfile.gettempdir()) + r"[/\\][\w-]+")
PICTURES = ("image/png", "image/jpeg")
_NAMELESS = re.compile(
    r'<img alt="(No description has been provided for this image)"([^>]*?src="data:image/(?:png|jpeg);base64,)'
)


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


def build(source: Path, folder: Path, only: tuple[int, ...] = (), flavour: str = "lesson") -> list[Path]:
    """Make ``<folder>/<name>.ipynb`` (without outputs) from every master ``<source>/<name>.py``, or of some numbers.

    A master marks the place of an exercise by a code cell ``# %% exercise="key"``. The lesson leaves it out; the
    student's notebook has the task, a stub and its checker there, with folded hints; the solution has an answer.
    Of a master without exercises there is the lesson alone. Every notebook gets links that open it where nothing is
    installed, below its title, and the set-up cell behind its first text.
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
        notebook.metadata = _plain(PLAIN_METADATA)
        exercised = any("exercise" in cell.metadata for cell in notebook.cells)
        if flavour != "lesson" and not exercised:
            continue
        notebook.cells = [
            part
            for cell in notebook.cells
            for part in (_exercise(cell.metadata["exercise"], flavour) if "exercise" in cell.metadata else [cell])
        ]
        _set_up(notebook.cells, f"{master.stem}.ipynb", exercised)
        for index, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{index:03d}"
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        written.append(folder / f"{master.stem}.ipynb")
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        write_notebook(notebook, written[-1])
    if not written and flavour == "lesson":
        raise RsnbError(f"no masters like 1-name.py in {source}")
    return written


def _set_up(cells: list, name: str, exercised: bool) -> None:
    """Put the links below the title and the set-up cell behind the first text, in place."""
    from nbformat.v4 import new_code_cell

    if cells and cells[0].cell_type == "markdown":
        title, *rest = cells[0].source.split("\n")
        cells[0].source = "\n".join([title, "", hosted_links(name, exercised), *rest])
        cells.insert(1, new_code_cell(SET_UP, metadata={"jupyter": {"source_hidden": True}}))  # folded in JupyterLab


def hosted_links(name: str, exercised: bool) -> str:
    """One line of links that open a notebook on Colab and Binder, once the project is hosted at paths.REPOSITORY.

    It is the same in every flavour, and text, so that a page loads no picture from elsewhere.
    """
    project = paths.REPOSITORY.removeprefix("https://github.com/")
    places = {"lesson": f"notebooks/{name}", **({"with exercises": f"notebooks/student/{name}"} if exercised else {})}
    hosts = {
        "Colab": f"https://colab.research.google.com/github/{project}/blob/{paths.BRANCH}/",
        "Binder": f"https://mybinder.org/v2/gh/{project}/{paths.BRANCH}?urlpath=lab/tree/",
    }
    lines = [
        f"Open in {host}: " + ", ".join(f"[{what}]({start}{path})" for what, path in places.items())
        for host, start in hosts.items()
    ]
    return " · ".join(lines)


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
    dots = lambda n: "●" * n + "○" * (3 - n)  # noqa: E731
    kind = "Exercise" if e.kind == "code" else "Prediction"
    head = (
        f"### {kind}: {e.title}\n\n*{e.aim}* Difficulty {dots(e.difficulty)}, importance {dots(e.importance)}, "
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


def tidy(notebook) -> None:
    """Take out what changes from run to run or tells about the machine: times, widgets, folders."""
    notebook.metadata = _plain(PLAIN_METADATA)
    homes = sorted({str(paths.PACKAGE.parent), str(Path.home())}, key=len, reverse=True)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        widget = "application/vnd.jupyter.widget-view+json"  # a progress bar: shows nothing without its kernel
        for output in cell.outputs:
            if any(kind in output.get("data", {}) for kind in PICTURES):  # controls with a static picture beside them
                output.data.pop(widget, None)
        cell.outputs = [output for output in cell.outputs if widget not in output.get("data", {})]
        for output in cell.outputs:
            output.get("metadata", {}).pop("execution", None)
            data = output.get("data", {})
            for holder, key in ((output, "text"), (data, "text/plain"), (data, "text/html")):
                if isinstance(holder.get(key), str):
                    for home in homes:
                        if len(home) > 1:
                            holder[key] = holder[key].replace(home, "~")
                    holder[key] = _CELL_FILE.sub("", holder[key])
                    holder[key] = _SCRATCH.sub("(a temporary folder)", holder[key])


def write_page(notebook, path: Path) -> None:
    """One self-contained HTML page: pictures inside, formulas as MathML, nothing loaded from elsewhere."""
    from nbconvert import HTMLExporter

    quiet = logging.getLogger("rsnb.publishing.pages")
    quiet.setLevel(logging.ERROR)  # it warns of missing alternative texts, which follow below
    exporter = HTMLExporter(template_name="lab", embed_images=True, log=quiet)
    # nbconvert would load these from a content network: formulas are MathML here, and widgets are left out.
    exporter.require_js_url = exporter.jquery_url = exporter.mathjax_url = ""
    exporter.mermaid_js_url = exporter.mermaid_layout_elk_js_url = ""
    resources = {"metadata": {"name": path.stem, "path": ""}}
    plain, formulas = without_formulas(notebook)
    page, _ = exporter.from_notebook_node(plain, resources=resources)
    page = _ATTRIBUTE.sub(lambda m: _PLACE.sub("formula", m[0]), page)  # a heading's anchor holds no markup
    page = _PLACE.sub(lambda m: formulas[int(m[1])], page)
    texts = iter(alternative_texts(notebook))
    page = _NAMELESS.sub(lambda m: f'<img alt="{html.escape(next(texts, m[1]))}"{m[2]}', page)
    lesson.write_bytes(path, page.encode("utf-8"))


def alternative_texts(notebook) -> list[str]:
    """The alternative text of every picture among the outputs, in the order of the page."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [(output, kind) for output in outputs for kind in PICTURES if kind in output.get("data", {})]
    return [output.metadata.get(kind, {}).get("alt", "figure") for output, kind in shown]


def without_formulas(notebook):
    """A copy with a mark in the place of each formula, and the formulas as MathML.

    The markdown renderer tears MathML apart, so it is put in afterwards.
    """
    changed, formulas = copy.deepcopy(notebook), []

    def mark(match: re.Match) -> str:
        made = _replace(match)
        if match["code"] or made.startswith("`"):
            return made
        formulas.append(made)
        return f"formula{len(formulas) - 1}rsnb"

    for cell in changed.cells:
        if cell.cell_type == "markdown":
            cell.source = _PARTS.sub(mark, cell.source)
    return changed, formulas


def to_mathml(markdown: str) -> str:
    """Replace the formulas in one text; a formula that cannot be read stays as it is, as code."""
    return _PARTS.sub(_replace, markdown)


def _replace(match: re.Match) -> str:
    if match["code"]:
        return match[0]
    from latex2mathml.converter import convert

    display = match["display"] is not None
    tex = (match["display"] if display else match["inline"]).strip()
    try:
        mathml = convert(tex, display="block" if display else "inline")
    except Exception:  # its parser raises many kinds
        return f"`{tex}`"
    return mathml.replace("\n", " ")


def _plain(value):
    from nbformat import from_dict

    return from_dict(value)


def write_notebook(notebook, path: Path) -> None:
    """Write a notebook file, whole or not at all."""
    import nbformat

    lesson.write_bytes(path, (nbformat.writes(notebook).rstrip("\n") + "\n").encode("utf-8"))
