"""Wrong answers made by rule from right ones: one small slip in each."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator

NAMES = {  # what is taken for what
    "amax": "amin", "max": "min", "min": "max", "argmax": "argmin", "sum": "mean", "mean": "sum", "any": "all",
    "all": "any", "fmean": "median", "variance": "pvariance", "comb": "perm", "ceil": "floor", "lower": "upper",
}  # fmt: skip
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.MatMult: ast.Mult,
             ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}  # fmt: skip
COMPARED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
            ast.In: ast.NotIn, ast.NotIn: ast.In}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """(what was done, the source with it): one place changed in each."""
    tree = ast.parse(source)
    places = [node for node in ast.walk(tree) if hasattr(node, "lineno")]
    for number, node in enumerate(places):
        for name, change in _changes(node):
            other = copy.deepcopy(tree)
            twin = [n for n in ast.walk(other) if hasattr(n, "lineno")][number]
            change(twin)
            try:
                text = ast.unparse(ast.fix_missing_locations(other))
                compile(text, "<mutant>", "exec")
            except (ValueError, SyntaxError, TypeError, AttributeError):
                continue
            if text != ast.unparse(tree):
                yield f"{name} in line {node.lineno}", text


def sampled(sources: list[str], most: int, seed: int = 0) -> list[tuple[str, str]]:
    """At most so many mutants of some sources, of as many kinds as there are."""
    found = list({text: name for source in sources for name, text in mutants(source)}.items())
    random.Random(seed).shuffle(found)
    kinds: dict[str, int] = {}
    ranked = []
    for text, name in found:
        kind = name.split(" in line")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
        ranked.append((kinds[kind], name, text))
    return [(name, text) for _, name, text in sorted(ranked, key=lambda item: item[0])[:most]]


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:
    """The slips that can be made at a node."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield "operator", lambda n: setattr(n, "op", OPERATORS[type(n.op)]())
        if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult)):
            yield "order", _swap
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        yield "comparison", lambda n: setattr(n, "ops", [COMPARED[type(n.ops[0])](), *n.ops[1:]])
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "off by one", lambda n: setattr(n, "value", n.value + 1)
        if node.value in (0, 1, -1):
            yield "axis or index", lambda n: setattr(n, "value", 1 - abs(n.value))
        else:
            yield "off by one less", lambda n: setattr(n, "value", n.value - 1)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "flag", lambda n: setattr(n, "value", not n.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert, ast.Not)):
        yield "sign or mask", _drop_sign
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield "another function", lambda n: setattr(n, "attr", NAMES[n.attr])
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield "another function", lambda n: setattr(n, "id", NAMES[n.id])
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transposed", lambda n: setattr(n, "attr", "mT.mT")
    if isinstance(node, ast.Call):
        if node.keywords and any(k.arg for k in node.keywords):
            yield "argument left out", lambda n: n.keywords.pop()
        if len(node.args) >= 2:
            yield "arguments exchanged", lambda n: n.args.__setitem__(slice(0, 2), n.args[1::-1])
    if isinstance(node, (ast.List, ast.Tuple)) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        yield "order", lambda n: n.elts.reverse()
    if isinstance(node, ast.IfExp):
        yield "branches exchanged", _exchange
    if isinstance(node, ast.BoolOp):
        yield "and for or", lambda n: setattr(n, "op", ast.Or() if isinstance(n.op, ast.And) else ast.And())


def _swap(node: ast.BinOp) -> None:
    node.left, node.right = node.right, node.left


def _exchange(node: ast.IfExp) -> None:
    node.body, node.orelse = node.orelse, node.body


def _drop_sign(node: ast.UnaryOp) -> None:
    node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not() if isinstance(node.op, ast.Invert) else node.op
    if isinstance(node.op, ast.Not):
        node.operand = ast.Compare(left=node.operand, ops=[ast.Is()], comparators=[ast.Constant(None)])
