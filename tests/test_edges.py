"""The edges of a command: outputs, streams, folders, locks, settings given twice, other people's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import rsnb
from rsnb.base.files import make_folder, write_text, write_torch
from rsnb.base.locks import only
from rsnb.base.text import on_one_line, plain
from rsnb.commands.cli import main
from rsnb.data import fetch
from rsnb.errors import RsnbError
from rsnb.publishing import stick


def said(capsys) -> str:
    """The one line of an error, without a traceback."""
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("rsnb: ") and "warning" not in line]
    assert len(lines) == 1 and "Traceback" not in told.err, told.err
    return lines[0]


@pytest.mark.parametrize(
    "command, word",
    [
        ("train --epochs 1 --set epochs=3", "twice"),
        ("train --limit 1 --epochs 1", "pairs"),
        ("train --data ~nosuchuser/x", "~nosuchuser"),
        ("ablate --method zero_shot --vary train.lr=1e-3,1e-4", "zero_shot"),
        ("ablate --method nosuch --vary train.lr=1e-3,1e-4", "nosuch"),
        ("run --only ,,", "--only"),
        ("run --only 1,,2", "--only"),
        ("figures --only ,", "--only"),
        ("benchmark --seeds 0", "seeds"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_done(tmp_path, monkeypatch, capsys, command, word):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2 and word in said(capsys)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


LONGER = [pytest.param(one, marks=pytest.mark.check) for one in ("toy", "pretrain", "benchmark --methods zero_shot")]


@pytest.mark.parametrize("command", ["train --epochs 1", *LONGER])
@pytest.mark.parametrize("kind", ["a file", "below a file", "a loop", "too long"])
def test_an_output_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys, command, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rsnb.training._loop", lambda *a, **k: pytest.fail("trained"))
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    if kind == "a loop":
        if os.name == "nt":
            pytest.skip("links need rights on Windows")
        (tmp_path / "loop").symlink_to("loop")
    out = {"a file": "file", "below a file": "file/x", "a loop": "loop/x", "too long": "x" * 300}[kind]
    assert main([*command.split(), "--out", out]) in (1, 2) and said(capsys)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name, value, word", [("WORLD_SIZE", "2", "torchrun"), ("WORLD_SIZE", "two", "torchrun")])
def test_a_world_without_torchrun(tmp_path, monkeypatch, capsys, name, value, word):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv(name, value)
    assert main(["train", "--epochs", "1", "--out", str(tmp_path / "r")]) == 2 and word in said(capsys)


@pytest.mark.check
@pytest.mark.skipif(os.name == "nt", reason="/dev/full is of Unix")
def test_streams_that_are_full_or_closed_end_in_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "rsnb", "data"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("rsnb: the output cannot be written")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m rsnb data >&-"], stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in done.stderr


@pytest.mark.check
@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be deleted on Windows")
def test_a_working_folder_that_is_gone_is_named(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m rsnb data"
    environment = {**os.environ, "PYTHONPATH": str(Path(rsnb.__file__).parent.parent)}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "gone" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.check
def test_without_a_home_the_cache_lies_among_temporary_files(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "USERPROFILE", "RSNB_CACHE")}
    code = "import pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))\n" if os.name != "nt" else ""
    code += "from rsnb.base import paths; print(paths.cache_dir())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


# --- what lies in a folder already ----------------------------------------------------------------------------------
def test_pack_leaves_what_is_yours_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "README.txt").write_text("my own notes", encoding="utf-8")
    monkeypatch.setattr(stick, "resolve_packages", lambda *a: pytest.fail("went on"))
    assert main(["pack", str(tmp_path)]) == 2 and "README.txt" in said(capsys)
    assert (tmp_path / "README.txt").read_text(encoding="utf-8") == "my own notes"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("mine.whl", "other-1.0-py3-none-any.whl", "numpy-2.0-py3-none-any.whl"):
        (wheels / name).write_bytes(b"no zip")
    with zipfile.ZipFile(wheels / "pillow-11.0-py3-none-any.whl", "w") as file:
        file.writestr("a", "b")
    assert stick.absent(["numpy==2.0", "pillow==11.0"], wheels) == ["numpy==2.0"]
    assert sorted(path.name for path in wheels.iterdir()) == [
        "mine.whl", "other-1.0-py3-none-any.whl", "pillow-11.0-py3-none-any.whl",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("target", ["mine.txt", "not there"])
def test_no_lock_is_taken_through_a_link(tmp_path, target):
    (tmp_path / "mine.txt").write_text("my own")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(RsnbError, match="link"), only(tmp_path / "lock", "a training"):
        pass
    assert (tmp_path / "mine.txt").read_text() == "my own"
    assert not (tmp_path / "not there").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("of someone else", encoding="utf-8")
    (tmp_path / "a.txt").symlink_to(other)
    write_text(tmp_path / "a.txt", "mine")
    assert other.read_text(encoding="utf-8") == "of someone else" and not (tmp_path / "a.txt").is_symlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RsnbError, match="no ordinary file"):
        write_text(tmp_path / "pipe", "mine")
    (tmp_path / "x.part").symlink_to(other)
    with pytest.raises(RsnbError, match="link"):
        fetch._length(tmp_path / "x.part")


def test_a_full_disk_is_said_in_our_words(tmp_path, monkeypatch):
    def full(value, path):
        raise RuntimeError("[enforce fail at inline_container.cc:626] . unexpected pos 64 vs 0")

    write_torch(tmp_path / "a.pt", {"x": torch.ones(2)})
    before = (tmp_path / "a.pt").read_bytes()
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RsnbError, match="MB are free"):
        write_torch(tmp_path / "a.pt", {"x": torch.zeros(2)})
    assert (tmp_path / "a.pt").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_folder_of_results_is_tried_first(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


# --- two at once, and a kill between training and result --------------------------------------------------------------
def test_one_works_in_a_folder_and_the_other_says_who(tmp_path):
    entered, leave = threading.Event(), threading.Event()

    def work():
        with only(tmp_path / "lock", "a training"):
            entered.set()
            leave.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(20)
    try:
        with pytest.raises(RsnbError, match=f"in use.*{os.getpid()}"), only(tmp_path / "lock", "a training"):
            pass
    finally:
        leave.set()
        thread.join()
    with only(tmp_path / "lock", "a training"):
        pass
    assert not (tmp_path / "lock").exists()


def test_a_finished_training_is_not_trained_again(tmp_path, monkeypatch, capsys):
    """Killed after the last epoch, before the result was written."""
    command = ["train", "--limit", "24", "--epochs", "2", "--batch-size", "8", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    (tmp_path / "run" / "result.json").unlink()
    first = load_file(tmp_path / "run" / "adapter.safetensors")
    monkeypatch.setattr("rsnb.training._loop", lambda *a, **k: pytest.fail("trained again"))
    assert main(command) == 0
    second = load_file(tmp_path / "run" / "adapter.safetensors")
    assert set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)
    capsys.readouterr()
    assert main(command) == 2 and "finished" in said(capsys)


# --- strangers' names -------------------------------------------------------------------------------------------------
def test_what_a_terminal_would_obey_is_shown_instead():
    for wild in ("\x1b[31mred", "bell\x07", "\x9b2J", "\u202ereversed", "back\x08", "carriage\r", "\x00", "\ud800"):
        shown = plain(wild)
        assert shown != wild and "\\" in shown and shown.isprintable(), shown
    assert plain("caf\u00e9 \u673a\n\tend") == "caf\u00e9 \u673a\n\tend" and on_one_line("a\nb\tc") == "a\\nb\\tc"


def test_names_and_captions_reach_the_terminal_as_text(tmp_path, capsys):
    rows = [f"\x1b[2J{n}.png,a view \x1b]0;title\x07 of it {n},{'test' if n else 'train'}" for n in range(3)]
    (tmp_path / "pairs.csv").write_text("\n".join(["filename,title,split", *rows]), encoding="utf-8")
    main(["data", str(tmp_path)])
    main(["data", str(tmp_path), "--json"])
    main(["search", "x", "--data", str(tmp_path)])
    told = capsys.readouterr()
    assert not set("\x1b\x07") & set(told.out + told.err) and "\\x1b" in told.out


# --- fetched files -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name, content, right",
    [
        ("a.zip", b"<!DOCTYPE html><html>log in</html>", False),
        ("a.parquet", b"<html>", False),
        ("a.parquet", b"PAR1" + bytes(996_000), True),
        ("a.zip", b"PK\x03\x04" + bytes(996_000), True),
        ("a.zip", b"PK\x03\x04" + bytes(100_000), False),
        ("a.zip", b"PK\x03\x04" + bytes(3_000_000), False),
        ("a.json", b'  {"a": 1}' + bytes(990_000), True),
    ],
)
def test_what_came_must_look_like_what_was_wanted(tmp_path, name, content, right):
    (tmp_path / name).write_bytes(content)
    file = fetch.File(name, 1.0, f"https://x.example/{name}")
    assert (fetch._unlike(tmp_path / name, file) is None) == right == fetch._is_here(tmp_path / name, file)
    if not right:
        with pytest.raises(RsnbError, match="move it away"):
            fetch.download(file, tmp_path)


def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path):
    def bomb(file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("a.png", bytes(30_000_000))

    def method(file):
        with zipfile.ZipFile(file, "w") as made:
            made.writestr("a.png", b"x" * 500)
        raw = bytearray(file.read_bytes())
        for start in (b"PK\x03\x04", b"PK\x01\x02"):
            raw[raw.index(start) + (8 if start[2] == 3 else 10)] = 99
        file.write_bytes(raw)

    def encrypted(file):
        with zipfile.ZipFile(file, "w") as made:
            made.writestr("a.png", b"x" * 500)
        raw = bytearray(file.read_bytes())
        for start in (b"PK\x03\x04", b"PK\x01\x02"):
            raw[raw.index(start) + (6 if start[2] == 3 else 8)] |= 1
        file.write_bytes(raw)

    for n, damage in enumerate((bomb, method, encrypted, lambda file: file.write_bytes(b"PK\x03\x04 cut"))):
        folder = tmp_path / str(n)
        folder.mkdir()
        damage(folder / "a.zip")
        with pytest.raises(RsnbError, match="cannot be unpacked"):
            fetch.unpack(folder / "a.zip", folder, lambda line: None)
        assert [path.name for path in folder.iterdir()] == ["a.zip"]


def test_errors_are_data_with_json(tmp_path, capsys):
    assert main(["data", str(tmp_path / "nowhere"), "--json"]) == 2
    assert "nowhere" in json.loads(capsys.readouterr().out)["error"]
