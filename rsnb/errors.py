"""The one exception that rsnb raises for bad input."""

from __future__ import annotations


class RsnbError(ValueError):
    """Bad input. The message says what was found, where, and what to do about it."""


class RsnbWarning(UserWarning):
    """Something was left out or replaced; the message says what and how many."""
