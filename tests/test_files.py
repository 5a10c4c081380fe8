"""A file is written whole or not at all, with the same bytes on every system."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from rsnb.base.files import replacing, write_bytes, write_csv, write_json, write_text
from rsnb.errors import RsnbError


def test_folders_are_made_and_bytes_are_the_same_everywhere(tmp_path):
    write_text(tmp_path / "deep" / "text.md", "Straße\nend\n")
    assert (tmp_path / "deep" / "text.md").read_bytes() == "Straße\nend\n".encode()
    write_json(tmp_path / "value.json", {"name": "ü", "values": [1, None]})
    assert json.loads((tmp_path / "value.json").read_bytes()) == {"name": "ü", "values": [1, None]}
    write_csv(tmp_path / "rows.csv", [{"a": 1, "b": "x, y"}, {"a": None, "b": 2.5}])
    assert (tmp_path / "rows.csv").read_bytes() == b'a,b\n1,"x, y"\n,2.5\n'


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    write_bytes(tmp_path / "file", b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file") as scratch:
        scratch.write_bytes(b"half")
        raise ZeroDivisionError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize("place", ["file/in/the/way", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_bytes(b"here")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(RsnbError, match=f"{(tmp_path / place).name}.* cannot be written .*another folder"):
        write_text(tmp_path / place, "text")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_threads_that_write_one_file_do_not_mix(tmp_path):
    contents = [bytes([n]) * 100_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_bytes(tmp_path / "file", content), contents))
    assert (tmp_path / "file").read_bytes() in contents and os.listdir(tmp_path) == ["file"]
