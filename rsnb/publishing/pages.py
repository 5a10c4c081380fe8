"""Notebook files: tidied, written, and turned into self-contained HTML pages."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from rsnb.base import paths
from rsnb.base.files import write_text

PLAIN_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}

_CELL_FILE = re.compile(r"\S*ipykernel_\d+[/\\]\d+\.py:\d+: ")  # the head of a warning
_SCRATCH = re.compile(re.escape(tempfile.gettempdir()) + r"[/\\][\w-]+")
PICTURES = ("image/png", "image/jpeg")


def tidy(notebook) -> None:
    """Take out what changes from run to run or tells about the machine: times, widgets, folders."""
    notebook.metadata = plain_text(PLAIN_METADATA)
    homes = sorted({str(paths.PACKAGE.parent), str(paths.home())}, key=len, reverse=True)
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
    from rsnb.publishing.exporter import PageExporter, page_parts

    first = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), path.stem)
    resources = {"metadata": {"name": path.stem, "path": ""}, "page": page_parts(first.split("\n")[0].lstrip("# "))}
    page, _ = PageExporter().from_notebook_node(notebook, resources=resources)
    write_text(path, page)


def plain_text(value):
    from nbformat import from_dict

    return from_dict(value)


def write_notebook(notebook, path: Path) -> None:
    """Write a notebook file, whole or not at all."""
    import nbformat

    write_text(path, nbformat.writes(notebook).rstrip("\n") + "\n")


def title_of(notebook: Path) -> str:
    """The heading a notebook begins with."""
    source = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(source).split("\n")[0].lstrip("# ")
