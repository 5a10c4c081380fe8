"""Tables in Markdown, and text of strangers on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of texts under a head, as a table in Markdown."""
    first, *others = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    return "\n".join([first, "|---" * len(head) + "|", *others])


#: What a terminal would obey instead of showing it: control characters but for the end of a line and the tabulator,
#: marks that turn the direction of writing, separators of lines, and halves of characters.
_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Text with escapes, such as ``\\x1b``, for what a terminal would obey; names and captions may hold anything."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def on_one_line(text: str) -> str:
    """The same, with ends of lines and tabulators escaped too."""
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")


class PlainStream:
    """A text stream that shows what it is given; see :func:`plain`."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(plain(text))

    def __getattr__(self, name: str):
        return getattr(self._stream, name)
