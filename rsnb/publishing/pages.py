r"""Notebook files: built from their masters, tidied, and turned into self-contained HTML pages.

A page loads nothing from elsewhere: pictures are inside, and formulas (``$...$`` and ``$$...$$`` in markdown
cells) become MathML, which browsers draw by themselves.
"""

from __future__ import annotations

import copy
import html
import logging
import re
import tempfile
from pathlib import Path

from rsnb.base import paths
from rsnb.base.files import write_bytes

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


def tidy(notebook) -> None:
    """Take out what changes from run to run or tells about the machine: times, widgets, folders."""
    notebook.metadata = plain_text(PLAIN_METADATA)
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
    write_bytes(path, page.encode("utf-8"))


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


def plain_text(value):
    from nbformat import from_dict

    return from_dict(value)


def write_notebook(notebook, path: Path) -> None:
    """Write a notebook file, whole or not at all."""
    import nbformat

    write_bytes(path, (nbformat.writes(notebook).rstrip("\n") + "\n").encode("utf-8"))
