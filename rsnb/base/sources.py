"""Source text without what decides nothing: comments, docstrings, blank lines. Short digests."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import textwrap
import tokenize
from typing import Any


def digest(value: Any) -> str:
    """12 hex digits of a text (common indentation aside) or of a value as sorted JSON."""
    text = textwrap.dedent(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def statements(source: str) -> set[str]:
    """The top-level statements of a module as text, without comments, docstrings, blank lines and imports of rsnb;
    an import of several names counts as several."""
    tree, lines = ast.parse(source), without_comments(source)
    _clear_docstrings(tree, lines)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and _is_own(node):
            _clear(lines, node)
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name} as {alias.asname}" for alias in node.names if not _is_own(node)}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"from {node.module} import {a.name} as {a.asname}" for a in node.names if not _is_own(node)}
        else:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            found.add(_joined(lines[first - 1 : node.end_lineno]))
    return found - {""}


def plain(source: str) -> str:
    """The text of one definition, not indented, without comments, docstrings and blank lines; a piece of text that is
    no whole statement (the line of a lambda) keeps what could not be told apart."""
    source = textwrap.dedent(source)
    try:
        lines = without_comments(source)
    except (tokenize.TokenError, SyntaxError):
        return source
    with contextlib.suppress(SyntaxError):
        _clear_docstrings(ast.parse(source), lines)
    return _joined(lines)


def without_comments(source: str) -> list[str]:
    """The lines of a source; a hash inside of a string is no comment."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return lines


def _clear_docstrings(tree: ast.AST, lines: list[str]) -> None:
    for node in ast.walk(tree):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        if documented and ast.get_docstring(node) is not None:
            _clear(lines, node.body[0])


def _clear(lines: list[str], node: ast.stmt) -> None:
    lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return all(name.split(".")[0] == "rsnb" for name in names)


def _joined(lines: list[str]) -> str:
    kept = (line.rstrip() for line in lines)
    return "\n".join(line for line in kept if line)
