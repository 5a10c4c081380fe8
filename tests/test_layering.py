"""A file imports only from rows above its own, and ``import rsnb`` costs nothing."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import rsnb

#: From the bottom to the top; files of one row do not import each other. A folder is one entry.
ROWS = (
    ("errors",),
    ("paths", "config", "offline", "losses", "fast", "distributed", "links", "fetch"),
    ("surgery",),
    ("backbone", "mrs", "heads", "adapters", "prompts"),
    ("methods", "data", "studies"),
    ("data.toy", "web", "evaluation"),
    ("training", "analysis", "paper"),
    ("bugs",),
    ("exercises",),
    ("honest",),
    ("plots", "costs"),
    ("method_plots", "speed_plots", "bug_plots", "audit_plots", "composed_plots"),
    ("diagrams",),
    ("pretrain", "benchmark", "bench", "lesson"),
    ("lab", "composed", "reproduce"),
    ("effects", "audit"),
    ("lab_plots",),
    ("ablate",),
    ("prose",),
    ("results",),
    ("pages", "doctor", "widgets"),
    ("runner",),
    ("commands", "site"),
    ("model_commands", "kit"),
    ("cli",),
    ("__main__", "train", "studies.ablation.rekey"),
)
HEIGHT = {name: height for height, row in enumerate(ROWS) for name in row}
PACKAGE = Path(__file__).resolve().parent.parent / "rsnb"
FILES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py") if p.name != "__init__.py")


def entry_of(module: str) -> str | None:
    """The entry of ROWS that a module such as 'data.toy.draw' belongs to."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in HEIGHT), None)


def imported(path: Path) -> set[str]:
    """Modules of rsnb that a file imports, anywhere in it, without the leading 'rsnb.'."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("rsnb.") for name in found if name.startswith("rsnb.")}


@pytest.mark.parametrize("file", FILES)
def test_imports_go_one_way(file):
    module = file.removesuffix(".py").replace("/", ".")
    own = entry_of(module)
    assert own is not None, f"rsnb/{file} is new: give it a row in ROWS"
    for name in imported(PACKAGE / file):
        other = entry_of(name)
        if other is None or other == own or (own == "data.toy" and other == "data"):
            continue  # a public name such as rsnb.load_clip, or the same folder
        assert HEIGHT[other] < HEIGHT[own], f"rsnb/{file} imports rsnb.{name}, which is not below it"


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["rsnb", "rsnb.cli", "rsnb.lesson", "rsnb.pretrain", "rsnb.benchmark"])
def test_import_is_light(module):
    heavy = {"torch", "open_clip", "pandas", "matplotlib", "sklearn", "numpy", "nbclient", "IPython"}
    assert python(f"import {module}, sys; print(sorted(set(sys.modules) & {heavy}))").strip() == "[]"


def test_functions_are_not_hidden_by_modules():
    """A module named like a public function would take its place as soon as it is imported."""
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    with pytest.raises(ImportError, match="rsnb.train is a function"):
        importlib.import_module("rsnb.train")  # a command (torchrun -m rsnb.train) that no one can import
    modules.remove("train")
    functions = {name for name in rsnb.__all__ if callable(getattr(rsnb, name))}
    assert not modules & functions
    assert callable(rsnb.train) and callable(rsnb.evaluate)


def test_every_public_name_is_there():
    assert [name for name in rsnb.__all__ if getattr(rsnb, name, None) is None] == []
