"""Which code made a result: a digest of the statements that decide it, wherever they stand.

What changes no result changes no digest: comments, docstrings, blank lines, the file and the order in which a
definition stands, and the address from which it is imported.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import json
import textwrap
import tokenize
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from rsnb.base import paths
from rsnb.errors import RsnbError

#: The modules that decide what a training run gives.
DECIDES = (
    "adapted",
    "backbone",
    "base.devices",
    "baselines.adapters",
    "baselines.composed",
    "baselines.heads",
    "baselines.prompts",
    "evaluation",
    "fast",
    "losses",
    "methods",
    "mrs",
    "surgery",
    "training",
)


@lru_cache
def code_version() -> str:
    """12 hex digits of the code that decides a result; see :func:`version_of`."""
    files = (paths.PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in DECIDES)
    return version_of(file.read_text(encoding="utf-8") for file in files)


def version_of(sources: Iterable[str]) -> str:
    """12 hex digits of the top-level statements of some modules, as text and as a sorted set."""
    statements: set[str] = set()
    for source in sources:
        statements |= _statements(source)
    return digest("\n".join(sorted(statements)))


def _statements(source: str) -> set[str]:
    """The top-level statements of a module as text, without comments, docstrings, blank lines and imports of rsnb;
    an import of several names counts as several."""
    tree, lines = ast.parse(source), _without_comments(source)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            _clear(lines, node.body[0])
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and _is_own(node):
            _clear(lines, node)
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name} as {alias.asname}" for alias in node.names if not _is_own(node)}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"from {node.module} import {a.name} as {a.asname}" for a in node.names if not _is_own(node)}
        else:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            kept = (line.rstrip() for line in lines[first - 1 : node.end_lineno])
            found.add("\n".join(line for line in kept if line))
    return found - {""}


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return all(name.split(".")[0] == "rsnb" for name in names)


def _clear(lines: list[str], node: ast.stmt) -> None:
    lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)


def _without_comments(source: str) -> list[str]:
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return lines


def source_of(own: Callable) -> str:
    """The source of a function or class, also of one that was written in a notebook."""
    try:
        return inspect.getsource(own)
    except (OSError, TypeError):  # a class of a notebook has no file to look in, but its methods know their cells
        members = {k: v for k, v in vars(own).items() if inspect.isfunction(v) or not k.startswith("__")}
        parts = [f"class {own.__name__}({', '.join(base.__qualname__ for base in getattr(own, '__bases__', ()))})"]
    try:
        parts += [f"{k} = {inspect.getsource(v) if inspect.isfunction(v) else repr(v)}" for k, v in members.items()]
    except OSError:
        raise RsnbError(
            f"the source of {own.__name__} cannot be read, so its cells could not be distinguished from another's; "
            "write it in a notebook cell or in a file"
        ) from None
    return "\n".join(parts)


def digest(value: Any) -> str:
    """12 hex digits of a text (common indentation aside) or of a value as sorted JSON."""
    text = textwrap.dedent(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
