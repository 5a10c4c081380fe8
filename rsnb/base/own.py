"""Functions and classes that a user hands in: their names, their arguments, their source."""

from __future__ import annotations

import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Collection
from typing import Any

from rsnb.errors import RsnbError


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


def source_digest(own: Any) -> str:
    """12 hex digits of the source of a function, a class, or an object's class: what the key of a run holds of it.

    Raises:
        RsnbError: there is no source to be read.
    """
    while isinstance(own, functools.partial):
        own = own.func
    own = own if hasattr(own, "__name__") else type(own)
    try:
        source = textwrap.dedent(_source(own))
    except (OSError, TypeError):
        raise RsnbError(
            f"the source of {name_of(own)} cannot be read, so its runs could not be distinguished from another's; "
            "write it in a notebook cell or in a file"
        ) from None
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _source(own: Any) -> str:
    try:
        return inspect.getsource(own)
    except (OSError, TypeError):
        if not isinstance(own, type):
            raise
    # a class of a notebook has no file to look in, but its methods know their cells
    head = f"class {own.__name__}({', '.join(base.__qualname__ for base in own.__bases__)})"
    members = [member for member in vars(own).values() if inspect.isfunction(member)]
    return "\n".join([head, *(textwrap.dedent(inspect.getsource(member)) for member in members)])
