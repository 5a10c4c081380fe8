"""The appendix of the site: what runs in the page, in JavaScript beside Python, and then every source as a whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.publishing.live.pages import FOLDER, SOURCES

NAME = "live"  # of the page

#: (what it does, "file.js: function", "file.py: function")
PAIRS = (
    ("The tokenizer", "tokenizer.js: vocabulary", "backbone.py: mini_tokenizer"),
    ("How the merges were learned, and how they are used", "tokenizer.js: pieces", "worlds/web/bpe.py: train_bpe"),
    ("MRS-Adapter", "tower.js: adapter", "mrs.py: MRSAdapter.forward"),
    ("The adapter beside the MLP of a block", "tower.js: block", "mrs.py: MRS.after_mlp"),
    ("The embedding of a sentence", "tower.js: embed", "backbone.py: Clip.encode_text"),
    ("Ranks", "retrieval.js: rank", "evaluation.py: similarities"),
    ("The hinge", "loss.js: triplet", "losses.py: triplet"),
    ("CLIP's loss", "loss.js: clip", "losses.py: clip_loss"),
    ("HMMC", "loss.js: hmmc", "losses.py: hmmc"),
    ("Ties", "ties.js: chance", "measures/ties.py: chance_of_hit"),
    ("The ceiling", "ties.js: ceiling", "measures/ceiling.py: ceiling"),
)

_INTRODUCTION = """\
# The live parts, in JavaScript beside Python

The live parts of the lessons run in the page, without Python and without a network. They are one plain script, joined
from the sources below; nothing else is loaded but the data beside it. Tests compare its numbers with Python's. The text
tower's weights are those of the mini CLIP; in Python its tokenizer and its blocks are open_clip's.
"""


def write(folder: Path) -> str:
    """Write the page into ``folder`` and return its name."""
    parts = [_INTRODUCTION]
    for title, left, right in PAIRS:
        parts.append(
            f'## {title}\n\n<div class="beside">\n\n{_block("javascript", left, javascript(left))}\n\n'
            f"{_block('python', f'rsnb/{right}', python(right))}\n\n</div>\n"
        )
    for name in SOURCES:
        parts.append(f"## {name}.js\n\n```javascript\n{(FOLDER / f'{name}.js').read_text('utf-8')}```\n")
    (folder / f"{NAME}.md").write_text("\n".join(parts), "utf-8")
    return NAME


def _block(language: str, place: str, code: str) -> str:
    file, _, name = place.partition(": ")
    return f"<div>\n\n`{file}`, `{name}`\n\n```{language}\n{code}\n```\n\n</div>"


def javascript(place: str) -> str:
    """The function of a JavaScript source, with the comment before it, from "file.js: name".

    Raises:
        RsnbError: there is no such function.
    """
    file, name = place.split(": ")
    lines = (FOLDER / file).read_text("utf-8").splitlines()
    opening = re.compile(rf"  (async )?(function|const) {name}\b")
    start = next((k for k, line in enumerate(lines) if opening.match(line)), None)
    if start is None:
        raise RsnbError(f"the appendix shows {place}, which is not there; change PAIRS in {__name__}")
    last = re.compile(r"  \}") if lines[start].endswith("{") else re.compile(r".*;$")  # of a body, of an expression
    end = next(k for k in range(start, len(lines)) if last.match(lines[k]))
    while re.match(r"  (/\*\*| \*|//)", lines[start - 1]):
        start -= 1
    return "\n".join(line.removeprefix("  ") for line in lines[start : end + 1])


def python(place: str) -> str:
    """The function or method of a module of rsnb, from "file.py: name" or "file.py: Class.name".

    Raises:
        RsnbError: there is no such function.
    """
    file, name = place.split(": ")
    source = (paths.PACKAGE / file).read_text("utf-8")
    body = ast.parse(source).body
    for part in name.split("."):
        found = next((node for node in body if getattr(node, "name", None) == part), None)
        if found is None:
            raise RsnbError(f"the appendix shows {place}, which is not there; change PAIRS in {__name__}")
        body = found.body
    lines = source.splitlines()[found.lineno - 1 : found.end_lineno]
    return "\n".join(line[found.col_offset :] for line in lines)
