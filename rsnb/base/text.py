"""Tables in Markdown, and text of strangers on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rsnb.errors import plain

__all__ = ["PlainStream", "markdown_table", "on_one_line", "plain"]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of texts under a head, as a table in Markdown."""
    first, *others = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    return "\n".join([first, "|---" * len(head) + "|", *others])


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
