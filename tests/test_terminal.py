"""What a command prints fits the window, and JSON is JSON."""

from __future__ import annotations

import io
import json
import re
import shlex
import time

import pytest

from rsnb.base import terminal
from rsnb.base.terminal import Fitted, fitted, stream_of, width_of, wrapped
from rsnb.commands import cli
from rsnb.commands.cli import COMMANDS, EVERY, GROUPS, build_parser, main

TABLE = """| method | trainable | i2t R@1 | R@5 | R@10 | t2i R@1 | R@5 | R@10 | mR | seconds |
|---|---|---|---|---|---|---|---|---|---|
| MRS-Adapter + HMMC, 4 epochs live | 37,248 | 27.27 | 51.14 | 70.08 | 17.27 | 52.88 | 70.98 | 48.27 | 94.6 |
| Zero-shot CLIP | 0 | 6.82 | 21.59 | 33.71 | 6.36 | 21.06 | 31.82 | 20.23 | - |"""
#: cheap forms of every command; with --json where it is offered
CHEAP = ["doctor", "data", "evaluate --limit 12", 'search "two boats" --limit 12', "exercises", "results --stale",
         "benchmark --methods mrs --limit 12 --dry-run", "ablate --study loss --dry-run",
         "ablate --study controls --dry-run", "audit", "train --limit 12 --epochs 1"]  # fmt: skip


@pytest.fixture
def window(monkeypatch):
    def of(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))

    return of


# --- the helper --------------------------------------------------------------------------------------------------
def test_a_table_keeps_its_numbers_and_folds_its_texts():
    found = fitted(TABLE, 80)
    assert max(map(len, found.splitlines())) <= 80
    for number in ("37,248", "27.27", "94.6", "20.23"):
        assert number in found
    assert "".join(found.split()).count("MRS-Adapter") == 1
    wide = fitted(TABLE, 140).splitlines()
    assert len(wide) == 3 and len({line.index(value) for line, value in zip(wide[1:], ("37,248", "     0"))}) == 1


def test_a_table_that_does_not_fit_becomes_a_list():
    found = fitted(TABLE, 40)
    assert max(map(len, found.splitlines())) <= 40
    assert "  trainable: 37,248" in found and "  mR: 48.27" in found and found.count("method: ") == 2


@pytest.mark.parametrize("width", [20, 33, 80])
def test_a_long_line_is_wrapped_between_words_and_no_path_is_cut(width):
    path = "/data/" + "folder/" * 20 + "image.tif"
    found = wrapped(f"    1  0.512  {path}  two white boats are in the harbor near many houses", width)
    assert path in found.split() and all(len(line) <= width or path in line for line in found.splitlines())
    assert " ".join(found.split()) == f"1 0.512 {path} two white boats are in the harbor near many houses"


def test_a_stream_lays_out_what_comes_in_pieces():
    out = io.StringIO()
    stream = Fitted(out, 80)
    for part in ("a word ", "and more " * 12, "\n", TABLE[:100], TABLE[100:] + "\n", "end"):
        print(part, end="", file=stream)
    stream.flush()
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80 and lines[-1] == "end"
    assert out.getvalue().count("27.27") == 1 and "|" not in out.getvalue()


def test_a_file_gets_lines_as_they_are_and_a_window_its_own(monkeypatch, window):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert width_of(io.StringIO()) is None
    out = io.StringIO()
    print(TABLE, file=stream_of(out))
    assert out.getvalue() == TABLE + "\n"
    window(100)
    assert width_of(io.StringIO()) == 100
    assert type(stream_of(out, as_it_is=True)) is not Fitted


def test_what_is_no_number_is_no_column_of_numbers():
    assert all(terminal.NUMBER.fullmatch(x) for x in ("", "1", "-2.5", "37,248", "56.1 ± 0.6", "-5.1", "1e-3", "12:30"))
    assert not any(terminal.NUMBER.fullmatch(x) for x in ("mR", "3 of 3 runs", "a", "better"))


# --- the commands ------------------------------------------------------------------------------------------------
def test_the_help_groups_every_command_once_with_an_example(capsys, window):
    window(80)
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    begun = time.process_time()
    with pytest.raises(SystemExit):
        main(["--help"])
    assert time.process_time() - begun < 1
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"rsnb {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_fits_and_its_examples_are_taken(name, capsys, window):
    window(80)
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    for line in COMMANDS[name][2].splitlines():
        words = shlex.split(line.split(" >> ")[0])
        assert words[:2] == ["rsnb", name]
        build_parser(name).parse_args(words[1:])


@pytest.mark.check
@pytest.mark.parametrize("line", CHEAP)
def test_the_output_of_a_command_fits(line, capsys, window, tmp_path, monkeypatch):
    window(80)
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)) in (0, 1)
    captured = capsys.readouterr()
    for text in captured.out.splitlines() + [part for part in captured.err.splitlines() if "\r" not in part]:
        assert len(text) <= 80 or max(map(len, text.split())) > 70, text  # a path is not cut


@pytest.mark.check
@pytest.mark.parametrize("line", CHEAP)
def test_json_is_json_wherever_it_is_offered(line, capsys, window, tmp_path, monkeypatch):
    window(80)
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(line), "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out) is not None


@pytest.mark.parametrize("more", ["--fill", "--check", "--make all", "--verify audit"])
def test_json_that_is_not_offered_is_refused_in_json(more, capsys):
    assert main(["results", *more.split(), "--json"]) == 2
    assert "--json goes with" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_options(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(re.search(rf"\b{name}\b", script) for name in COMMANDS) and "--vary" in script
    assert EVERY not in script and cli.EVERY == EVERY
