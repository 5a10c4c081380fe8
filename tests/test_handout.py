"""Notebooks to hand out: copied without harm to edited ones, and opening anywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
import venv
from argparse import Namespace
from pathlib import Path

import nbformat
import pytest
from test_stick import wheel

from rsnb.base import paths
from rsnb.commands import cli
from rsnb.publishing.handout import copy_notebooks
from rsnb.publishing.masters import COLAB_LACKS, FLAVOURS, SET_UP, build_notebooks

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


# --- notebooks to hand out --------------------------------------------------------------------------------------------
def test_notebooks_are_copied_and_edited_ones_kept(tmp_path, capsys):
    states = copy_notebooks(tmp_path / "mine")
    assert sorted(states) == sorted(path.name for path in (FOLDER / "student").glob("[0-9]*.ipynb"))
    assert set(states.values()) == {"written"}
    edited = tmp_path / "mine" / min(states)
    edited.write_text("my answers", encoding="utf-8")
    assert cli.main(["notebooks", str(tmp_path / "mine")]) == 0
    assert edited.read_text(encoding="utf-8") == "my answers"
    shown = capsys.readouterr().out
    assert shown.count("kept ") == 1 and f"kept     {edited}" in shown and shown.count("there ") >= len(states) - 1


@pytest.mark.parametrize("flavour, below", [("lesson", "."), ("student", "student"), ("solutions", "solutions")])
def test_every_flavour_can_be_had(flavour, below, tmp_path):
    assert cli.main(["notebooks", str(tmp_path), "--flavour", flavour]) == 0
    for path in (FOLDER / below).glob("[0-9]*.ipynb"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


# --- notebooks that open anywhere -----------------------------------------------------------------------------------
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_notebook_begins_with_its_title_and_set_up(flavour, tmp_path):
    for path in build_notebooks(FOLDER / "source", tmp_path, flavour=flavour):
        first, second = nbformat.read(path, as_version=4).cells[:2]
        assert first.source.startswith("# ") and "mybinder.org" not in first.source
        assert second.cell_type == "code" and second.source == SET_UP


def test_the_address_is_set_in_one_place(repo):
    name = paths.REPOSITORY.removeprefix("https://github.com/").split("/")[0]
    texts = [*(repo / "rsnb").rglob("*.py"), *(repo / "notebooks" / "source").glob("*.py"), *repo.glob("*.*")]
    texts += [repo / "notebooks" / "README.md", repo / "notebooks" / "lecturers.md"]
    holding = [path for path in texts if path.is_file() and name in path.read_text(encoding="utf-8", errors="ignore")]
    assert [path.name for path in holding] == ["paths.py"]


def test_what_colab_lacks_is_required(repo):
    text = (repo / "pyproject.toml").read_text(encoding="utf-8")
    required = re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)[1]
    assert COLAB_LACKS and all(f'"{line}"' in required for line in COLAB_LACKS)


@pytest.fixture
def set_up(monkeypatch):
    """Runs the exact text of the cell; returns the calls of pip it made. ``installed``: can rsnb be imported?"""

    def run(installed: bool, returncode: int = 0) -> list[list[str]]:
        made = []

        def pip(command, **more):
            made.append(command)
            return Namespace(returncode=returncode)

        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", pip)
            if not installed:
                patch.setattr("importlib.util.find_spec", lambda name: None)
            exec(SET_UP, {})
        return made

    return run


def test_set_up_does_nothing_where_rsnb_is(set_up, monkeypatch):
    monkeypatch.setenv("RSNB_SOURCE", "anything")
    assert set_up(installed=True) == []


def test_set_up_fetches_nothing_unasked(set_up):
    with pytest.raises(SystemExit, match=r"not installed in .*%pip install git\+https://github.com/"):
        set_up(installed=False)


def test_set_up_installs_what_it_is_told_to(set_up, monkeypatch):
    monkeypatch.setenv("RSNB_SOURCE", "../my clone")
    assert set_up(installed=False) == [[sys.executable, "-m", "pip", "install", "-q", "../my clone"]]
    with pytest.raises(SystemExit, match="Choose the kernel"):
        set_up(installed=False, returncode=1)


def test_set_up_on_colab_leaves_its_own_packages_and_turns_widgets_on(set_up, monkeypatch):
    enabled = []
    colab = types.ModuleType("google.colab")
    colab.output = Namespace(enable_custom_widget_manager=lambda: enabled.append(True))
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    first, second = set_up(installed=False)
    assert first[-2:] == ["--no-deps", f"git+{paths.REPOSITORY}"] and second[-2:] == list(COLAB_LACKS)
    assert enabled == [True]
    assert set_up(installed=True) == [] and len(enabled) == 2


def in_a_bare_environment(folder: Path, source: str, **more: str) -> subprocess.CompletedProcess:
    """The exact cell in a new virtual environment that has nothing but pip, then the import."""
    venv.create(folder / "bare", with_pip=True)
    python = folder / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    cell = folder / "cell.py"
    cell.write_text(f"{SET_UP}\n\nimport rsnb\n\nprint(rsnb.__file__)\n", encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RSNB_BLOCK_SOCKETS")}
    return subprocess.run(
        [str(python), str(cell)], env={**env, "RSNB_SOURCE": source, **more}, cwd=folder, capture_output=True, text=True
    )


@pytest.mark.check
def test_set_up_in_a_bare_environment(tmp_path):
    """pip installs and the import that follows in the same process finds it; a stand-in wheel keeps it offline."""
    source = wheel(tmp_path / "wheels", "rsnb", "0.0.1")
    done = in_a_bare_environment(tmp_path, str(source), PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "bare") in done.stdout


@pytest.mark.check
@pytest.mark.skipif(os.environ.get("TEST_INSTALL") != "1", reason="fetches PyTorch, several GB: set TEST_INSTALL=1")
def test_set_up_installs_this_clone(tmp_path, repo):
    done = in_a_bare_environment(tmp_path, str(repo))
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "bare") in done.stdout


def test_homework_has_hints_and_no_solutions(tmp_path):
    from rsnb.publishing.handout import copy_notebooks

    copy_notebooks(tmp_path / "student")
    states = copy_notebooks(tmp_path / "homework", "homework")
    assert set(states.values()) == {"written"}
    for path in sorted((tmp_path / "homework").glob("*.ipynb")):
        text, before = path.read_text("utf-8"), (tmp_path / "student" / path.name).read_text("utf-8")
        assert "<summary>Solution</summary>" in before and "<summary>Solution</summary>" not in text
        assert text.count("<summary>Hint</summary>") == before.count("<summary>Hint</summary>") > 0
        assert len(json.loads(text)["cells"]) == len(json.loads(before)["cells"])
    assert set(copy_notebooks(tmp_path / "homework", "homework").values()) == {"there"}
