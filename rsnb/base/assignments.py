"""NAME=VALUE and NAME=VALUE,VALUE as they stand on a command line."""

from __future__ import annotations

import json
from typing import Any

from rsnb.errors import RsnbError

CONSTANTS = {"True": True, "False": False, "None": None}  # as Python writes them; JSON's own names hold as well


def parse_assignment(text: str, what: str, example: str) -> tuple[str, Any]:
    """'weights=[1,0,1]' -> ("weights", [1, 0, 1]). The value is JSON, a constant of Python, or a word.

    Args:
        what, example: how an error calls a right text, and one that is right: "KEY=VALUE", "bottleneck=32".

    Raises:
        RsnbError: no name, no value, or several values without brackets around them.
    """
    name, values = parse_assignments(text, what, example)
    if len(values) > 1:
        raise RsnbError(f"{text!r} gives {len(values)} values, one is wanted: {what}, such as {example}; a list: [1,2]")
    return name, values[0]


def parse_assignments(text: str, what: str, example: str) -> tuple[str, list[Any]]:
    """'bottleneck=8,16' -> ("bottleneck", [8, 16]). A comma inside brackets parts nothing: 'layers=[0,1],[2,3]' has
    two values, both lists. See :func:`parse_assignment`."""
    name, _, values = text.partition("=")
    parts = [part.strip() for part in _parted(values)]
    if not name.strip() or "" in parts:
        lacks = "no name" if not name.strip() else "no value" if parts == [""] else "an empty value between its commas"
        raise RsnbError(f"{text!r} is no {what}: it has {lacks}; write for example {example}")
    return name.strip(), [parse_value(part) for part in parts]


def _parted(values: str) -> list[str]:
    parts, depth = [""], 0
    for character in values:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def parse_value(text: str) -> Any:
    """A value as text: JSON, a constant of Python, or a word."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        return CONSTANTS.get(text, text)
