"""A stick for a room without a network: filled, stopped and gone on with, checked."""

from __future__ import annotations

import re
import subprocess
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest

from rsnb.base import paths
from rsnb.commands import cli
from rsnb.publishing import stick
from rsnb.publishing.stick import resolve_packages

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


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
