"""The one exception that rsnb raises for bad input."""

from __future__ import annotations

import re

#: What a terminal would obey instead of showing it: control characters but for the end of a line and the tabulator,
#: marks that turn the direction of writing, separators of lines, and halves of characters.
_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(text: str) -> str:
    """Text with escapes, such as ``\\x1b``, for what a terminal would obey; names and captions may hold anything."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


class RsnbError(ValueError):
    """Bad input. The message says what was found, where, and what to do about it; what others wrote stands in it as
    :func:`plain` text."""

    def __init__(self, *args: object):
        super().__init__(*(plain(one) if isinstance(one, str) else one for one in args))


class RsnbWarning(UserWarning):
    """Something was left out or replaced; the message says what and how many."""
