"""Live parts of the site: their marks in the lessons, the one script of all pages, and the data beside it.

A master marks the place of a part by ``<!-- live: name -->`` on a line of its own, which no notebook shows. On the site
it becomes an empty element, which the script fills; without JavaScript it stays empty and the page is as it was.
"""

from __future__ import annotations

import importlib
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from rsnb.errors import RsnbError

FOLDER = Path(__file__).resolve().parent  # of the sources
SOURCES = (
    "base",
    "controls",
    "tokenizer",
    "tower",
    "retrieval",
    "loss",
    "ties",
    "budget",
    "map",
    "quiz",
)  # in the script's order
SCRIPT = "live.js"

#: {part: the data that it loads}; a part without data has an empty tuple.
PARTS: dict[str, tuple[str, ...]] = {
    "retrieval": ("tower", "gallery"),
    "loss": (),
    "ties": (),
    "budget": (),
    "map": ("gallery", "coordinates"),
}

#: {data: the module here with a function of its name, which makes it ready for JSON}
DATA = {"tower": "weights", "gallery": "gallery", "coordinates": "coordinates"}

_MARK = re.compile(r"^<!-- live: (\w+) -->$", re.MULTILINE)


def marked(markdown: str) -> list[str]:
    """The live parts that a text marks.

    Raises:
        RsnbError: there is no such part.
    """
    names = _MARK.findall(markdown)
    for name in names:
        if name not in PARTS:
            raise RsnbError(f"a lesson marks the live part {name!r}; there are {', '.join(PARTS)}")
    return names


def parts_of(notebooks: Iterable[Path]) -> set[str]:
    """The live parts that these notebooks mark."""
    return {
        name
        for path in notebooks
        for cell in json.loads(path.read_text("utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
        for name in marked("".join(cell["source"]))
    }


def with_places(markdown: str) -> str:
    """The text with an empty element where each mark was."""
    marked(markdown)
    return _MARK.sub(r'<div class="live" data-live="\1"></div>', markdown)


def script() -> str:
    """All sources as one classic script, which a page may load from a folder too."""
    return "\n".join((FOLDER / f"{name}.js").read_text("utf-8") for name in SOURCES)


def sealed(name: str, content: dict) -> str:
    """The script that hands data to ``rsnb.load(name)``: JSON as text, with its length and its Adler-32."""
    text = json.dumps(content, separators=(",", ":"))
    seal = {"length": len(text), "checksum": zlib.adler32(text.encode("ascii")), "text": text}
    return f"rsnb.data.{name} = {json.dumps(seal, separators=(',', ':'))};\n"


def write(folder: Path, parts: set[str]) -> None:
    """Write the script, and the data of these parts into ``live/`` beside it."""
    (folder / "live").mkdir(parents=True, exist_ok=True)
    (folder / SCRIPT).write_text(script(), "utf-8")
    names = {name for part in parts for name in PARTS[part]}
    for name in sorted(names):
        module = importlib.import_module(f"{__package__}.{DATA[name]}")  # only now: they take torch
        (folder / "live" / f"{name}.js").write_text(sealed(name, getattr(module, name)()), "utf-8")
    if "gallery" in names:
        from rsnb.publishing.live import gallery

        (folder / "live" / "gallery.jpg").write_bytes(gallery.sheet())
