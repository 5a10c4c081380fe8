"""What a command prints, as wide as the window: tables laid out, long lines wrapped between words."""

from __future__ import annotations

import io
import os
import re
import shutil
import textwrap
from collections.abc import Sequence

from rsnb.base.text import PlainStream

NUMBER = re.compile(r"[-+±−\d][\d.,:x%eE±+\-− ]*|")
TEXT = 12  # columns that a column of text needs at least
EDGES = (2, 1)  # between two columns, the wider one where there is room
HANGING = re.compile(r"\s|[-\[\d]")  # begins a line whose later lines are indented: an entry of a list


def width_of(stream) -> int | None:
    """Columns to print in; None where nobody asked: a file or a pipe without COLUMNS gets lines as they are."""
    asked = os.environ.get("COLUMNS", "").isdigit()
    try:
        window = stream.isatty()
    except (AttributeError, ValueError):
        window = False
    return max(20, shutil.get_terminal_size((80, 24)).columns) if asked or window else None


def fitted(text: str, width: int) -> str:
    """A text with its Markdown tables laid out and its long lines wrapped; a word longer than a line stays whole."""
    found, table = [], []
    for line in [*text.split("\n"), None]:
        if line is not None and line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if table:
            found.append(_table(table[0], table[2:], width))
            table = []
        if line is not None:
            found.append(wrapped(line, width))
    return "\n".join(found)


def wrapped(line: str, width: int) -> str:
    """One line as several; the later ones of an entry of a list are indented by two more than it."""
    if len(line) <= width:
        return line
    indent, more = line[: len(line) - len(line.lstrip())], "  " if HANGING.match(line) else ""
    lines = textwrap.wrap(
        line,
        width,
        initial_indent="",
        subsequent_indent=indent + more,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
    return "\n".join(lines) or line


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Columns of numbers keep their width, the others share what is left, and heads fold between words; where that is
    too little, each row is a list of its cells."""
    from rich.console import Console
    from rich.table import Table

    whole = [all(NUMBER.fullmatch(row[n]) for row in rows) for n in range(len(head))]
    cells = [max((len(cell) for cell in column), default=0) for column in zip(*rows)] if rows else [0] * len(head)
    words = [max(map(len, name.split()), default=0) for name in head]
    least = [max(word, size if number else min(size, TEXT)) for word, size, number in zip(words, cells, whole)]
    edge = next((edge for edge in EDGES if sum(least) + edge * (len(head) - 1) <= width), None)
    if edge is None:
        return "\n".join(_as_list(head, row, width) for row in rows)
    table = Table(box=None, pad_edge=False, padding=(0, edge, 0, 0), header_style="")
    for name, number, size in zip(head, whole, least):
        table.add_column(name, justify="right" if number else "left", min_width=size, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, markup=False, highlight=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _as_list(head: Sequence[str], row: Sequence[str], width: int) -> str:
    first, *others = (f"{name}: {cell}" if name else cell for name, cell in zip(head, row) if cell)
    return "\n".join([wrapped(first, width), *(wrapped(f"  {line}", width) for line in others)])


class Fitted(PlainStream):
    """A text stream that lays out what it is given; see :func:`fitted`."""

    def __init__(self, stream, width: int):
        super().__init__(stream)
        self._width, self._table, self._rest = width, [], ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.startswith("|"):
                self._table.append(line)
            else:
                self._end_of_table()
                super().write(wrapped(line, self._width) + "\n")
        return len(text)

    def flush(self) -> None:
        self._end_of_table()
        rest, self._rest = self._rest, ""
        super().write(rest)
        self._stream.flush()

    def _end_of_table(self) -> None:
        table, self._table = self._table, []
        if table:
            super().write(fitted("\n".join(table), self._width) + "\n")


def stream_of(stream, as_it_is: bool = False) -> PlainStream:
    """What a command prints to. as_it_is: JSON, which nobody reads by lines."""
    width = None if as_it_is else width_of(stream)
    return PlainStream(stream) if width is None else Fitted(stream, width)
