"""The reference of the package, made from its docstrings: a page for each wing, and one for the modules beside them.

Griffe reads the files (nothing is imported), Napoleon turns Google's style of docstrings into reStructuredText, and
Sphinx makes a place to link to of every public name.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from textwrap import indent

import rsnb
from rsnb.base import paths
from rsnb.errors import RsnbError

OWN_SECTIONS = [("Fields", "params_style"), ("Options", "params_style")]  # of a docstring, beside Google's


class Reference:
    """The public names of a package, read from its files.

    Args:
        package: the folder of the package; its name is that of the package.
    """

    def __init__(self, package: Path = paths.PACKAGE):
        try:
            import griffe
        except ImportError:
            raise RsnbError('griffe is needed to build the site; install it with: pip install -e ".[site]"') from None
        self.package = griffe.load(package.name, search_paths=[package.parent])

    @cached_property
    def modules(self) -> dict[str, object]:
        """{full name: module} in the order of the pages; ``__main__`` and what lies below an underscore is left out."""
        return {module.path: module for module in _modules_of(self.package)}

    @cached_property
    def pages(self) -> dict[str, list]:
        """{name of a page: the modules on it}: a wing each, and the package with the modules that lie flat in it."""
        found = defaultdict(list)
        for path, module in self.modules.items():
            wing = ".".join(path.split(".")[:2])
            is_wing = wing in self.modules and self.modules[wing].is_init_module
            found[wing if is_wing else self.package.path].append(module)
        return dict(found)

    def write(self, folder: Path) -> list[str]:
        """Write a page for each wing and return their names."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, modules in self.pages.items():
            lines = _module(modules[0], "=") + (self._face() if name == self.package.path else [])
            lines += [line for module in modules[1:] for line in _module(module, "-")]
            (folder / f"{name}.rst").write_text("\n".join(lines) + "\n", "utf-8")
        return list(self.pages)

    def resolve(self, name: str) -> str | None:
        """Where the reference has what a program calls ``name``: ``rsnb.train`` is found at ``rsnb.training.train``.
        None for what is not public, and for what is not of the package."""
        head, *rest = name.split(".")
        if head != self.package.path:
            return None
        place = self.package
        for part in rest:
            lazy = self._lazy.get(part) if place is self.package else None
            place = self._at(lazy) if lazy else place.members.get(part)
            if place is not None and place.is_alias:
                place = self._at(place.target_path)
            if place is None:
                return None
        return place.path if place.is_module or _is_documented(place) else None

    def _face(self) -> list[str]:
        """What the package hands out by itself, as a list of links."""
        found = {name: self.resolve(f"{self.package.path}.{name}") for name in self._lazy}
        return [*(f"- :py:obj:`{self.package.path}.{name} <{place}>`" for name, place in found.items() if place), ""]

    def _at(self, path: str):
        """The module of that full name, else what the module before the last dot defines."""
        module, _, name = path.rpartition(".")
        return self.modules.get(path) or (self.modules[module].members.get(name) if module in self.modules else None)

    @cached_property
    def _lazy(self) -> dict[str, str]:
        """{name that the package imports when it is asked for: where it lies}."""
        if self.package.path != rsnb.__name__:
            return {}
        return {**{name: f"{module}.{name}" for name, module in rsnb._NAMES.items()}, **rsnb._MODULES}

    def used_in(self, sources: list[str]) -> dict[str, list[str]]:
        """{module: its names} that cells of code take from the package, as far as the reference has them."""
        bound, used = {}, []
        for tree in filter(None, map(_parsed, sources)):
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    heads = {alias: alias.name.split(".")[0] for alias in node.names}
                    bound |= {a.asname or head: a.name if a.asname else head for a, head in heads.items()}
                elif isinstance(node, ast.ImportFrom):
                    bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            used += [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Attribute, ast.Name))]
        found = defaultdict(set)
        for name in used:
            head, dot, rest = name.partition(".")
            place = self.resolve(bound[head] + dot + rest) if head in bound else None
            if place and place not in self.modules:
                module = next(known for known in reversed(self.modules) if place.startswith(f"{known}."))
                found[module].add(place)
        return {module: sorted(found[module]) for module in sorted(found)}


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except SyntaxError:  # a magic of IPython, or a stub
        return None


def _modules_of(module) -> list:
    below = [m for _, m in sorted(module.members.items()) if not m.is_alias and m.is_module and m.name[0] != "_"]
    return [module, *(found for m in below for found in _modules_of(m))]


def _is_documented(member) -> bool:
    """Public names that a module defines itself: functions and classes with a docstring, and constants."""
    if member.is_alias or member.name.startswith("_"):
        return False
    return bool(member.docstring) or (member.is_attribute and member.name.isupper())


def _module(module, underline: str) -> list[str]:
    lines = [module.path, underline * len(module.path), "", f".. py:module:: {module.path}", ""]
    lines += _text(module)
    for member in module.members.values():
        if not member.is_alias and not member.is_module and _is_documented(member):
            lines += _member(member)
    return lines


def _member(member) -> list[str]:
    """A directive of Sphinx's Python domain with the docstring below it; a class with its public methods."""
    kind = "data" if member.is_attribute and member.parent.is_module else member.kind.value
    name, options = member.name, []
    if member.is_function:
        kind, name = "method" if member.parent.is_class else "function", member.signature()
        options = [f":{label}:" for label in ("classmethod", "staticmethod", "async") if label in member.labels]
    elif member.is_class:
        name = member.signature() or _fields(member)
    elif "property" in member.labels:
        kind, options = "property", [f":type: {member.annotation}"] * bool(member.annotation)
    elif member.value is not None and len(str(member.value)) <= 70:
        options = [f":value: {member.value}"]
    body = [*options, "", *_text(member)]
    if member.is_class:
        body += [line for m in member.members.values() if _is_documented(m) for line in _member(m)]
    name = _linked(" ".join(name.split()), member)
    return [f".. py:{kind}:: {name}", indent("\n".join(body), "   "), ""]


def _linked(signature: str, member) -> str:
    """A signature with the classes of the package by their full names, so that each is linked to its own place."""

    def full(match: re.Match) -> str:
        known = member.module.members.get(match[0])
        target = known.target_path if known is not None and known.is_alias else ""
        return target if target.startswith(f"{member.package.path}.") else match[0]

    name, bracket, rest = signature.partition("(")
    return name + bracket + re.sub(r"(?<![\w.'\"])[A-Z]\w*[a-z]\w*", full, rest)


def _fields(named_tuple) -> str:
    """A class without a constructor of its own, with the fields that are given in its body."""
    fields = [m for m in named_tuple.members.values() if m.is_attribute and m.annotation and "property" not in m.labels]
    given = (f"{m.name}: {m.annotation}" + (f" = {m.value}" if m.value is not None else "") for m in fields)
    return f"{named_tuple.name}({', '.join(given)})" if fields else named_tuple.name


def _text(documented) -> list[str]:
    """The docstring as lines of reStructuredText; of a constant the comment beside it."""
    from sphinx.ext.napoleon import Config, GoogleDocstring

    if documented.docstring is None:
        return [*_comment(documented), ""] if documented.is_attribute else []
    settings = Config(napoleon_use_ivar=True, napoleon_custom_sections=OWN_SECTIONS)
    return ["\n".join(GoogleDocstring(documented.docstring.value, settings).lines()), ""]


def _comment(constant) -> list[str]:
    """The comment above a constant (``#:``), else the one behind it."""
    lines = constant.parent.lines_collection[constant.filepath]
    above = []
    for line in reversed(lines[: constant.lineno - 1]):
        if not line.lstrip().startswith("#:"):
            break
        above.insert(0, line.strip()[2:].strip())
    behind = lines[constant.endlineno - 1].partition("  # ")[2]
    return above or [behind.strip()]
