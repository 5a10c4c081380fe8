"""The three lists of packages agree: pyproject.toml, environment.yml, constraints.txt."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

NAMED = {
    "torch", "torchvision", "open_clip_torch", "jupyterlab", "matplotlib", "seaborn", "ipywidgets", "scikit-learn",
    "pandas", "pillow", "tqdm", "safetensors", "numpy", "nbclient", "nbconvert", "ipykernel",
}  # fmt: skip


def parsed(lines) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r for r in found}


@pytest.fixture(scope="module")
def pyproject(repo) -> dict[str, Requirement]:
    text = (repo / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = (\[.*?^\])", text, re.DOTALL | re.MULTILINE)
    return parsed(ast.literal_eval(block[1]))


@pytest.fixture(scope="module")
def extras(repo) -> dict[str, Requirement]:
    text = (repo / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:dev|geo|export|grid) = (\[.*?\])", text, re.DOTALL | re.MULTILINE)
    return parsed(line for found in lists for line in ast.literal_eval(found))


@pytest.fixture(scope="module")
def environment(repo) -> list[str]:
    lines = (repo / "environment.yml").read_text(encoding="utf-8").splitlines()
    return [line.strip()[2:] for line in lines if line.strip().startswith("- ")]


@pytest.fixture(scope="module")
def constraints(repo) -> dict[str, Requirement]:
    lines = (repo / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return parsed(line for line in lines if line and not line.startswith("#"))


def test_environment_and_pyproject_list_the_same(pyproject, environment):
    options = [line for line in environment if line.startswith("-")]
    assert options == ["-c constraints.txt", "-e .[dev]"]
    others = [e for e in environment if e not in options and e not in ("conda-forge", "pip", "pip:")]
    pip = [line for line in others if not line.startswith("python=")]
    assert {n: str(r.specifier) for n, r in parsed(pip).items()} == {n: str(r.specifier) for n, r in pyproject.items()}


def test_python_of_environment_fits(repo, environment):
    text = (repo / "pyproject.toml").read_text(encoding="utf-8")
    least = re.search(r'requires-python = ">=([\d.]+)"', text)[1]
    (python,) = [line.removeprefix("python=") for line in environment if line.startswith("python=")]
    assert Version(python) >= Version(least)


def test_named_packages_are_required(pyproject):
    assert {canonicalize_name(n) for n in NAMED} <= set(pyproject)
    assert str(pyproject["open-clip-torch"].specifier) == "==3.3.*"


def test_constraints_pin_what_is_required(pyproject, extras, constraints):
    assert set(pyproject) | set(extras) <= set(constraints)
    for name, pin in constraints.items():
        (exact,) = pin.specifier
        assert exact.operator == "==" and "*" not in exact.version and "+" not in exact.version, str(pin)
        for wanted in (pyproject.get(name), extras.get(name)):
            assert wanted is None or wanted.specifier.contains(exact.version), f"{pin} against {wanted}"


def test_files_name_no_host_and_no_folder_of_a_machine(repo):
    names = ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run")
    for name in names:
        text = (repo / name).read_text(encoding="utf-8")
        assert "://" not in text and "index-url" not in text and str(repo) not in text, name


def test_the_hooks_run_the_ruff_of_the_constraints(repo, constraints):
    (pin,) = constraints["ruff"].specifier
    assert f"rev: v{pin.version} " in (repo / ".pre-commit-config.yaml").read_text(encoding="utf-8")


def test_make_explains_itself(repo):
    shown = subprocess.run(["make", "help"], cwd=repo, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "check", "faults", "campaign", "lab", "notebooks", "lint", "clean"):
        assert f"make {target} " in shown
