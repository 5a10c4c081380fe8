"""Functions and classes that a user hands in: their names and arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any


def name_of(own: Any) -> str:
    """The name of a function or class, of what ``functools.partial`` was given, or of an object's class."""
    while isinstance(own, functools.partial):
        own = own.func
    return getattr(own, "__name__", None) or type(own).__name__


def arguments_of(own: Callable, skip: int = 0) -> tuple[int | None, Collection[str] | None]:
    """How a function is called: (arguments by position that it must be given, or None for any number of them;
    names of those that it may be given, after the first ``skip``, or None for any name)."""
    parameters = list(inspect.signature(own).parameters.values())
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in places)
    many = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    first = {p.name for p in places[:skip]}
    free = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return (None if many else needed), (None if free else [name for name in named if name not in first])
