"""A file imports only from rows above its own, and ``import rsnb`` costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rsnb

#: The house from the ground up: a file imports only from its own wing and from those above it in this list.
WINGS = (
    ("errors",),
    ("base",),
    ("config", "losses", "fast", "surgery"),
    ("data",),
    ("backbone", "adapted", "mrs", "baselines"),
    ("methods", "evaluation"),
    ("training",),
    ("settings",),
    ("worlds",),
    ("measures",),
    ("tiles",),
    ("beyond",),
    ("figures",),
    ("studies",),
    ("classroom",),
    ("publishing",),
    ("commands",),
    ("__main__",),
)
HEIGHT = {name: height for height, row in enumerate(WINGS) for name in row}
PACKAGE = Path(__file__).resolve().parent.parent / "rsnb"
FILES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def module_of(file: str) -> str:
    """'data/load.py' -> 'data.load', 'data/__init__.py' -> 'data'."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(file): file for file in FILES}


def imported(file: str) -> set[str]:
    """Modules of rsnb that a file imports, anywhere in it, without the leading 'rsnb.'; of a public name such as
    rsnb.load_clip, none."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole.removeprefix("rsnb.") in MODULES else node.module)
    return {name.removeprefix("rsnb.") for name in found if name.startswith("rsnb.")}


@pytest.mark.parametrize("file", FILES)
def test_imports_go_one_way(file):
    wing = module_of(file).split(".")[0]
    assert wing in HEIGHT, f"rsnb/{file} is new: put it into a wing"
    for name in imported(file):
        other = name.split(".")[0]
        assert name in MODULES, f"rsnb/{file} imports rsnb.{name}, which is no module"
        assert other == wing or HEIGHT[other] < HEIGHT[wing], f"rsnb/{file} imports rsnb.{name}, which is not below it"


def test_no_circle():
    order, open_ = [], []

    def visit(module: str) -> None:
        assert module not in open_, " imports ".join([*open_[open_.index(module) :], module])
        if module not in order:
            open_.append(module)
            for other in sorted(imported(MODULES[module])):
                visit(other)
            order.append(open_.pop())

    for module in MODULES:
        visit(module)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["rsnb", "rsnb.commands.cli", "rsnb.classroom.lesson", "rsnb.worlds.pretrain"])
def test_import_is_light(module):
    heavy = {"torch", "open_clip", "pandas", "matplotlib", "sklearn", "numpy", "nbclient", "IPython"}
    assert python(f"import {module}, sys; print(sorted(set(sys.modules) & {heavy}))").strip() == "[]"


def test_functions_are_not_hidden_by_modules():
    """A module named like a public function would take its place as soon as it is imported."""
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    functions = {name for name in rsnb.__all__ if callable(getattr(rsnb, name))}
    assert not modules & functions
    assert callable(rsnb.train) and callable(rsnb.evaluate)


def test_every_public_name_is_there():
    assert [name for name in rsnb.__all__ if getattr(rsnb, name, None) is None] == []


#: what the student's notebooks of version 0.1 take from their top-level imports
HANDED_OUT = {
    "analysis": "FUNCTION_WORDS adapter_path alignment average_runs by_class chance_of_same_class cosine examples "
    "expected_same_class hardest_in_batch image_retrieval_ceiling named natural neighbour_agreement one_caption "
    "pair_values read_runs recall_columns recipe same_label space tsne uniformity vocabulary within_between words_of",
    "plots": "HIT MISS TEXT bars caption_hits captioned contact_sheet histogram histograms hmmc_batch image_hits "
    "run_bars run_curves similarity_study training_curves tsne_panels",
    "lesson": "record setup show table touch backbone_stamp",
    "benchmark": "RECALLS load_results table",
    "diagrams": "families mrs_diagram",
    "method_plots": "beside_the_paper costs parameters_against_mr",
    "paper": "DATASETS mr_of rows",
    "bug_plots": "epoch_choice shown_and_honest",
    "bugs": "CHECKS EPOCHS HEALTHY LETTERS Lab NAMES REPAIRS STEPS confirm recount",
    "exercises": "check",
    "honest": "of chance",
    "fast": "without LightQuickGELU",
    "losses": "triplet hmmc clip_loss",
}


@pytest.mark.parametrize("module", HANDED_OUT)
def test_notebooks_already_handed_out_find_what_they_import(module):
    found = getattr(rsnb, module)
    assert [name for name in HANDED_OUT[module].split() if not hasattr(found, name)] == []


def test_a_former_module_says_where_its_contents_are():
    with pytest.raises(AttributeError, match="rsnb notebooks DIR"):
        rsnb.honest.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rsnb.nothing  # noqa: B018


def test_former_names_lead_somewhere():
    from rsnb.base import former

    places = {place for found in former.MODULES.values() for place in found}
    assert sorted(places - set(MODULES)) == []
    for module, name in former.NAMES:
        assert callable(getattr(getattr(rsnb, module), name)), f"{module}.{name}"
