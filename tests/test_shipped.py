"""Shipped adapters by their short names, in Python and in commands."""

from __future__ import annotations

import shutil

import pytest
import torch

import rsnb
from rsnb.base import paths
from rsnb.commands.cli import main
from rsnb.errors import RsnbError


@pytest.mark.parametrize("name", list(paths.ADAPTERS))
def test_a_short_name_is_its_file(name):
    one, other = rsnb.load_adapter(name), rsnb.methods.load_adapter(paths.adapters_dir() / paths.ADAPTERS[name][0])
    assert all(torch.equal(x, other.state()[n]) for n, x in one.state().items())
    file = paths.adapters_dir() / paths.ADAPTERS[name][0]
    assert file.stat().st_size < 1_000_000


def test_every_shipped_adapter_has_a_name():
    assert {p.name for p in paths.adapters_dir().glob("*.safetensors")} == {file for file, _ in paths.ADAPTERS.values()}


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    shutil.copy(paths.adapters_dir() / paths.ADAPTERS["ucm"][0], tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    here, there = rsnb.load_adapter("toy"), rsnb.load_adapter(tmp_path / "toy")
    assert all(torch.equal(x, there.state()[n]) for n, x in here.state().items())


def test_an_unknown_name_is_a_file_that_is_missing():
    with pytest.raises(RsnbError, match="nowhere"):
        rsnb.load_adapter("nowhere")


def test_a_command_takes_the_name(capsys):
    assert main(["search", "two white boats in a harbor", "--adapter", "toy", "--k", "2", "--json"]) == 0
    by_name = capsys.readouterr().out
    file = paths.adapters_dir() / paths.ADAPTERS["toy"][0]
    assert main(["search", "two white boats in a harbor", "--adapter", str(file), "--k", "2", "--json"]) == 0
    assert capsys.readouterr().out == by_name
