"""The lecturer's kit: slides, sticks, notebooks that open anywhere."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
import types
import venv
import zipfile
from argparse import Namespace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from rsnb import settings
from rsnb.base import paths
from rsnb.classroom import lesson
from rsnb.commands import cli
from rsnb.errors import RsnbError
from rsnb.figures.png import picture
from rsnb.publishing import runner, stick
from rsnb.publishing.handout import copy_notebooks
from rsnb.publishing.masters import COLAB_LACKS, FLAVOURS, SET_UP, build_notebooks
from rsnb.publishing.stick import resolve_packages

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


# --- slides ---------------------------------------------------------------------------------------------------------
def shown_and_saved(monkeypatch, out: Path, dpi: int):
    """A figure with a photograph of many colours, shown: (picture on the page, picture in the folder)."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(lesson, "_current", settings.Settings(out=out, dpi=dpi))
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda data, **more: displayed.append(data))
    figure = Figure(figsize=(4, 3))
    figure.add_axes((0, 0, 1, 1)).imshow(np.random.default_rng(0).random((60, 80, 3)))
    lesson.show(figure, "noise", alt="Noise in all colours.")
    mime = next(kind for kind in displayed[0] if kind.startswith("image/"))
    (file,) = (out / "figures").glob("*-noise.png")
    return Image.open(io.BytesIO(base64.b64decode(displayed[0][mime]))), Image.open(file)


def test_a_figure_for_slides_is_large_and_in_all_colours(monkeypatch, tmp_path):
    page, saved = shown_and_saved(monkeypatch, tmp_path / "slides", 200)
    assert abs(saved.width / page.width - 2) < 0.02 and page.width < 450
    assert saved.text["Description"] == "Noise in all colours." and "toy world (drawn)" in saved.text["Comment"]
    assert saved.convert("RGB").getcolors(256) is None, "more than 256 colours are kept"
    page, saved = shown_and_saved(monkeypatch, tmp_path / "usual", settings.SCREEN_DPI)
    assert saved.size == page.size and saved.mode == "P"


def test_a_panel_for_slides_is_drawn_large(monkeypatch, tmp_path):
    from matplotlib.figure import Figure

    monkeypatch.setattr("IPython.display.display", lambda data, **more: None)

    def draw(side: float):
        figure = Figure(figsize=(side, side))
        figure.add_axes((0, 0, 1, 1))
        return figure, "text"

    first = memoryview(picture(draw(3)[0], "A panel.", "made here"))  # as a widget holds it
    panel = Namespace(name="panel", alt="A panel.", stamp="made here", values={"side": 3}, first=first, draw=draw)
    for dpi in (settings.SCREEN_DPI, 200):
        monkeypatch.setattr(lesson, "_current", settings.Settings(out=tmp_path / str(dpi), dpi=dpi))
        lesson.touch(panel)
    (small,), (large,) = (list((tmp_path / str(dpi)).rglob("*.png")) for dpi in (settings.SCREEN_DPI, 200))
    assert Image.open(small).width < 400 and "torch" in Image.open(small).text["Source"]
    assert Image.open(large).width >= 590 and Image.open(large).text["Comment"] == "made here"


def test_the_resolution_comes_from_outside():
    assert settings.resolve({}).dpi == settings.SCREEN_DPI and settings.resolve({"RSNB_DPI": "300"}).dpi == 300
    with pytest.raises(RsnbError, match="RSNB_DPI must be at least 100"):
        settings.resolve({"RSNB_DPI": "72"})


SMALL = """
from matplotlib.figure import Figure
from rsnb import lesson
s = lesson.setup()
for name in ("second-by-name", "a-by-name"):
    figure = Figure(figsize=(3, 2))
    figure.add_axes((0, 0, 1, 1))
    lesson.show(figure, name, alt=f"A figure called <{name}>.")
"""


def small_notebook(folder: Path, *cells: str) -> None:
    folder.mkdir(parents=True)
    made = [nbformat.v4.new_markdown_cell("# 3 · A small one\n\ntext"), *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=made), folder / "03_small.ipynb")


def test_figures_come_with_a_contact_sheet(monkeypatch, tmp_path, capsys):
    small_notebook(tmp_path / "nb", SMALL)
    monkeypatch.setattr(runner, "notebooks_dir", lambda folder=None: tmp_path / "nb")
    out = tmp_path / "slides"
    assert cli.main(["figures", "--out", str(out), "--dpi", "250"]) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "03_small-a-by-name.png",
        "03_small-second-by-name.png",
        "index.html",
    ]
    assert all(Image.open(path).width >= 740 for path in out.glob("*.png"))
    sheet = (out / "index.html").read_text(encoding="utf-8")
    assert sheet.index("second-by-name.png") < sheet.index("a-by-name.png"), "in the order of the lesson"
    assert 'alt="A figure called &lt;a-by-name&gt;."' in sheet and "<h2>3 · A small one</h2>" in sheet
    assert "toy world (drawn) · mini CLIP · seed 0" in sheet and "http" not in sheet
    assert "2 figures" in capsys.readouterr().out


def test_figures_say_where_a_notebook_failed(monkeypatch, tmp_path, capsys):
    small_notebook(tmp_path / "nb", "1 / 0")
    monkeypatch.setattr(runner, "notebooks_dir", lambda folder=None: tmp_path / "nb")
    assert cli.main(["figures", "--out", str(tmp_path / "slides")]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert cli.main(["figures", "--only", "x"]) == 2 and "--only takes numbers" in capsys.readouterr().err
    assert cli.main(["figures", "--dpi", "20"]) == 2 and "at least 100" in capsys.readouterr().err


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


# --- the stick ------------------------------------------------------------------------------------------------------
WANTED = ["numpy==2.4.6", "Jinja2==3.1.6", "torch==2.15.0"]


def wheel(folder: Path, name: str, version: str, more: dict[str, str] | None = None) -> Path:
    """A wheel that holds one module and, to be installed, its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, content)
    return path


@pytest.fixture
def calls(monkeypatch):
    """pip and uv are replaced by something that writes what they would."""
    made = []

    def call(command):
        made.append(command)
        if command[2] == "uv":
            Path(command[command.index("-o") + 1]).write_text("# list\n" + "\n".join(WANTED), encoding="utf-8")
        elif command[3] == "wheel":
            wheel(Path(command[command.index("--wheel-dir") + 1]), "rsnb", "0.1.0")
        else:
            for wanted in [word for word in command if "==" in word]:
                wheel(Path(command[command.index("--dest") + 1]), *wanted.split("=="))

    monkeypatch.setattr(stick, "_call", call)
    return made


def test_a_stick_is_filled_and_a_stopped_one_goes_on(calls, tmp_path, capsys):
    folder = tmp_path / "stick"
    argv = ["pack", str(folder), "--systems", "windows,linux", "--python", "3.12"]
    assert cli.main(argv) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", "notebooks", "wheels"]
    assert len(list((folder / "wheels" / "windows").glob("*.whl"))) == len(WANTED) + 1
    assert len(list((folder / "notebooks").glob("*.ipynb"))) == len(list((FOLDER / "student").glob("[0-9]*.ipynb")))
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert "py -3.12 -m venv rsnb-env" in readme and "python3.12 -m venv rsnb-env" in readme and "macOS" not in readme
    assert r"rsnb-env\Scripts\python -m pip install --no-index --find-links wheels/windows rsnb" in readme
    assert "rsnb-env/bin/rsnb doctor" in readme and re.search(r"Linux \(x86-64\): \d+ MB here, about \d+ MB", readme)

    torch = next((folder / "wheels" / "linux").glob("torch*"))
    torch.write_bytes(torch.read_bytes()[:100])  # the stick was pulled out
    calls.clear()
    assert cli.main(argv) == 0
    fetched = [word for command in calls if "download" in command for word in command if "==" in word]
    assert fetched == ["torch==2.15.0"] and zipfile.is_zipfile(torch)
    assert "README.txt there says" in capsys.readouterr().out


def test_a_dry_run_fetches_nothing(calls, tmp_path, capsys):
    assert cli.main(["pack", str(tmp_path / "stick"), "--dry-run"]) == 0
    assert not (tmp_path / "stick").exists() and [command[2] for command in calls] == ["uv"]
    assert " ".join(WANTED) in capsys.readouterr().out


def test_packages_are_asked_for_the_students_machine(calls, tmp_path):
    resolve_packages(paths.PACKAGE.parent, "macos", "3.12", "https://cpu.example")
    (command,) = calls
    words = " ".join(map(str, command))
    assert "--python-platform aarch64-apple-darwin --python-version 3.12" in words and "constraints.txt" in words
    assert "--extra-index-url https://cpu.example --index-strategy unsafe-best-match" in words
    fetch = stick.fetch_command(["torch==2.15.0"], tmp_path, "linux", "3.12", "https://cpu.example")
    words = " ".join(map(str, fetch))
    assert "--only-binary=:all:" in words and "--platform manylinux_2_28_x86_64" in words and "--no-deps" in words
    assert "--python-version 3.12" in words and "--extra-index-url https://cpu.example" in words


def test_what_is_there_is_told_by_name_and_version(tmp_path):
    wheel(tmp_path, "jinja2", "3.1.6")
    wheel(tmp_path, "torch", "2.14.0")
    wheel(tmp_path, "open_clip_torch", "3.3.0")
    wanted = [*WANTED, "open-clip-torch==3.3.0"]
    assert stick.absent(wanted, tmp_path) == ["numpy==2.4.6", "torch==2.15.0"]
    assert stick.absent(["torch==2.15.0+cpu"], tmp_path) == ["torch==2.15.0+cpu"]


def test_pack_says_what_is_wrong(monkeypatch, tmp_path, capsys):
    assert cli.main(["pack", str(tmp_path), "--systems", "amiga"]) == 2
    assert "linux, windows, macos, not amiga" in capsys.readouterr().err
    monkeypatch.setattr(subprocess, "run", lambda command, **more: Namespace(returncode=1))
    for there, remedy in ((None, "pip install uv"), (True, "the message above says why")):
        monkeypatch.setattr(stick.importlib.util, "find_spec", lambda name, there=there: there)
        assert cli.main(["pack", str(tmp_path)]) == 2
        assert f"uv pip stopped: {remedy}" in capsys.readouterr().err
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "rsnb")
    assert cli.main(["pack", str(tmp_path)]) == 2
    assert "builds rsnb from a clone" in capsys.readouterr().err


# --- notebooks that open anywhere -----------------------------------------------------------------------------------
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_notebook_begins_with_links_and_set_up(flavour, tmp_path):
    for path in build_notebooks(FOLDER / "source", tmp_path, flavour=flavour):
        first, second = nbformat.read(path, as_version=4).cells[:2]
        assert second.cell_type == "code" and second.source == SET_UP
        title, blank, links = first.source.split("\n")[:3]
        assert title.startswith("# ") and not blank and links.startswith("Open in Colab: [lesson](")
        targets = re.findall(r"\((https://\S+?)\)", links)
        project = paths.REPOSITORY.removeprefix("https://github.com/")
        for target in targets:
            assert f"/{project}/" in target and target.split("/")[2] in ("colab.research.google.com", "mybinder.org")
        exercised = '# %% exercise="' in (FOLDER / "source" / f"{path.stem}.py").read_text(encoding="utf-8")
        places = [f"notebooks/{path.name}", *([f"notebooks/student/{path.name}"] if exercised else [])]
        ends = [re.search(r"notebooks/(?:student/)?\d\d_\w+\.ipynb$", target)[0] for target in targets]
        assert ends == places * 2  # on Colab, and on Binder


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
