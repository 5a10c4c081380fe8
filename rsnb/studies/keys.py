"""One key for every kept result: settings, data, weights, and the code that decides it.

The code of a result is that of some modules and of all they import, but for :data:`NO_NUMBER`. What changes no result
changes no digest: comments, docstrings, blank lines, the file and the order in which a definition stands, and the
address from which it is imported. Versions of Python, torch and open_clip are written down beside the key and reported
where they differ; they are no part of it, for another machine's build must not make again what is shipped.
"""

from __future__ import annotations

import ast
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from rsnb.base import paths
from rsnb.base.sources import digest, statements
from rsnb.errors import RsnbError

#: What a training run and the reading of its recalls are made of; beside them, what else a study adds.
RUN = ("training", "methods", "evaluation", "backbone", "data.pixels", "measures.summary", "studies.ablation.counting")
BEST_EPOCH = (*RUN, "studies.audit.epochs")
COMPOSED = (*RUN, "studies.composed.study")
BEYOND = (*RUN, "beyond.recipe")
CONTROLS = (*RUN, "studies.controls.study")
PRECISION = ("studies.precision.study",)
REHEARSAL = (*RUN, "studies.reproduction.compare")
SPEED = (*RUN, "studies.speed.measurements")
SEARCH = ("studies.speed.search",)
CAPTIONS = ("studies.audit.captions",)
PRETRAINING = ("worlds.pretrain",)
TOY = ("worlds.toy.build",)

#: Modules that decide no number, and why.
NO_NUMBER = {
    "errors": "sentences",
    "config": "every value of it stands in the key",
    "base.bars": "what is shown while numbers are computed",
    "base.files": "how a file is written",
    "base.options": "options of the command line; their values stand in the key",
    "base.paths": "where things lie; what lies there stands in the key",
    "data.digests": "gives the key",
    "data.load": "the names, classes, captions and images that it finds stand in the key",
    "data.splits": "as data.load",
    "studies.ablation.lab": "what it decides lies in studies.ablation.counting",
    "studies.ablation.spec": "every value of it stands in the key",
    "studies.keys": "gives the key",
    "studies.runs": "reads settings of kept runs; they stand in the key",
}


# --- the code ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Code:
    """The digest of some modules together, and of each (8 digits) by name, so that a changed one can be named."""

    digest: str
    modules: dict[str, str]


@cache
def code_of(roots: tuple[str, ...] = RUN) -> Code:
    """The code of these modules and of all that they import."""
    found = {name: _statements(name) for name in sorted(modules_of(roots))}
    return Code(version_of(found.values()), {name: digest("\n".join(sorted(own)))[:8] for name, own in found.items()})


def version_of(modules: Iterable[str | set[str]]) -> str:
    """12 hex digits of the top-level statements of some modules (their source, or the statements), as a sorted set."""
    sets = (statements(module) if isinstance(module, str) else module for module in modules)
    return digest("\n".join(sorted(set().union(*sets))))


def modules_of(roots: Iterable[str]) -> set[str]:
    """These modules of rsnb and all that they import, directly or not, but for :data:`NO_NUMBER`."""
    found, todo = set(), list(roots)
    while todo:
        name = todo.pop()
        if name not in found and name not in NO_NUMBER:
            found.add(name)
            todo += _imports(name)
    return found


@cache
def _source(module: str) -> str:
    path = paths.PACKAGE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RsnbError(
            f"{file} cannot be read ({error.strerror}); the code of a result cannot be determined"
        ) from None


@cache
def _statements(module: str) -> set[str]:
    return statements(_source(module))


@cache
def _imports(module: str) -> frozenset[str]:
    """The modules of rsnb that a module imports; of what a package hands on, the module that defines it."""
    found = set()
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("rsnb.") for a in node.names if a.name.startswith("rsnb.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rsnb":
            found |= {_home(node.module.removeprefix("rsnb").lstrip("."), alias.name) for alias in node.names}
    return frozenset(found - {""})


def _home(module: str, name: str) -> str:
    """Where "from rsnb.<module> import <name>" gets it from; "" for a public name of rsnb itself, loaded lazily."""
    inner = f"{module}.{name}".lstrip(".")
    path = paths.PACKAGE.joinpath(*inner.split("."))
    if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
        return inner
    if module and paths.PACKAGE.joinpath(*module.split(".")).is_dir():
        for node in ast.walk(ast.parse(_source(module))):
            if isinstance(node, ast.ImportFrom) and any((a.asname or a.name) == name for a in node.names):
                return node.module.removeprefix("rsnb.")
    return module


# --- the key ----------------------------------------------------------------------------------------------------
def key_of(
    settings: Mapping[str, Any],
    data: Mapping[str, str],
    weights: str | Mapping[str, str],
    roots: tuple[str, ...] = RUN,
    own: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All that decides a result, as plain values.

    Args:
        settings: what was asked for. data: split -> fingerprint of the data set. weights: fingerprint of the CLIP (or
            several, by name). roots: the modules that decide the result, such as :data:`RUN`. own: name -> digest of a
            method or loss of a user's own.
    """
    key = {"settings": dict(settings), "data": dict(data), "weights": weights, "code": code_of(roots).digest}
    return {**key, "own": dict(own)} if own else key


def made_by(roots: tuple[str, ...] = RUN) -> dict[str, Any]:
    """What stands beside a key: the digest of each module, the versions at hand, and the threads that torch may use. No
    part of the key."""
    from torch import get_num_threads

    return {"modules": code_of(roots).modules, "versions": versions(), "threads": get_num_threads()}


@cache
def versions() -> dict[str, str]:
    """Of Python and of what computes the numbers."""
    from rsnb import __version__

    known = {"python": platform.python_version(), "rsnb": __version__}
    for name, package in (("torch", "torch"), ("open_clip", "open_clip_torch")):
        known[name] = metadata.version(package).split("+")[0]
    return known


def other_versions(then: Mapping[str, str]) -> list[str]:
    """'torch 2.14.0, here 2.15.0' for what computes numbers and was of another version."""
    now, then = versions(), {name: version.split("+")[0] for name, version in then.items()}
    return [f"{n} {then[n]}, here {now[n]}" for n in ("torch", "open_clip") if n in then and then[n] != now[n]]


# --- what changed -----------------------------------------------------------------------------------------------
def in_parts(key: Mapping[str, Any]) -> dict[str, Any]:
    """A key as :func:`key_of` gives it. Those of version 0.1 lay flat, held no images, and the benchmark's no code."""
    if "settings" not in key:
        settings = {"config": key["config"], "share": key.get("share", 1.0)}
        key = {"settings": settings, "data": None, "weights": key["backbone"], "code": key.get("code")}
    settings = dict(key["settings"])
    if "config" in settings:
        settings["config"] = _whole(settings["config"])
    if "configs" in settings:
        settings["configs"] = {name: _whole(config) for name, config in settings["configs"].items()}
    return {**key, "settings": settings}


def _whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a run; those that came later have the value that they had before they could be set."""
    from rsnb.config import TrainConfig

    return {name: value for name, value in TrainConfig.from_dict(dict(config)).to_dict().items() if name != "device"}


def parts_changed(
    then: Mapping[str, Any] | None, now: Mapping[str, Any], modules: Mapping[str, str] | None, code: Code
):
    """What differs between the key of a result and today's: "settings (lr)", "code (losses, training)"; [] if nothing.

    Args:
        then: the key in the result; None where it has none. modules: those of :func:`made_by` in it. code: today's.
        now: today's key; a part that is None is not at hand and not compared.
    """
    if then is None:
        return ["no key: made before results held one"]
    then, found = in_parts(then), []
    for part in ("settings", "data", "weights", "own"):
        old, new = then.get(part), in_parts(now).get(part) if part == "settings" and now.get(part) else now.get(part)
        if part == "data" and old is None and new is not None:
            found.append("data (the key holds no images)")
        elif new is not None and old != new:
            which = sorted(_differing(old, new))
            found.append(f"{part} ({', '.join(which)})" if which else part)
    if then.get("code") is None:
        found.append("code (the key holds none)")
    elif then["code"] != code.digest:
        which = sorted(n for n in {*code.modules, *(modules or {})} if (modules or {}).get(n) != code.modules.get(n))
        found.append(f"code ({', '.join(which)})" if modules else "code (which modules was not written down)")
    return found


def _differing(old: Any, new: Any) -> set[str]:
    """The innermost names under which two values differ."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return set()
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    return set().union(*({*_differing(old.get(n), new.get(n))} or {str(n)} for n in names)) if names else set()
