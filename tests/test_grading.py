"""Hand-ins: judged as in the notebook, whatever a student's code tries."""

from __future__ import annotations

import csv
import json
import shutil
from fractions import Fraction

import numpy as np
import pandas
import pytest
import torch

from rsnb.classroom import exercises
from rsnb.classroom.grading import sandbox, wire
from rsnb.classroom.grading.handin import Graded, cells_of, graded, lesson_of, student_cells
from rsnb.classroom.grading.sandbox import Process, confined
from rsnb.commands.cli import main
from rsnb.errors import RsnbError
from rsnb.publishing.grading import row_of

shut_in = pytest.mark.skipif(not confined(), reason="no bubblewrap here that may make namespaces")


def notebook(path, *cells):
    found = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), "utf-8")
    return path


def of_mean_cosine(body):
    return f"def mean_cosine(x):\n    {body}", 'exercises.check("mean_cosine", mean_cosine)'


RIGHT = "v = F.normalize(x, dim=-1); s = v @ v.T; return (s.sum() - len(x)) / (len(x) * (len(x) - 1))"


def verdict(tmp_path, *cells, key="mean_cosine"):
    path = notebook(tmp_path / "one.ipynb", *cells)
    return next(g.verdict for g in graded(path, "one", {}, seed=1) if g.exercise == key)


# --- what goes over the wire --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -(10**30), 0.1, "é", [1, [2.5, "x"]], (1, 2), {1, 2}, frozenset("ab"), {"a": [1], 2: None},
        float("inf"), torch.arange(6).view(2, 3), torch.tensor(0.5), torch.zeros(0), torch.tensor([True, False]),
        np.arange(4.0)[::-1], np.float32(0.25), np.int64(4), np.bool_(True), ...,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_comes_over_the_wire_as_it_was(value):
    again = wire.read(wire.written(value))
    if isinstance(value, (torch.Tensor, np.ndarray)):
        assert type(again) is type(value) and np.array_equal(np.asarray(again), np.asarray(value))
    else:
        assert again == value


def test_other_kinds_become_plain_ones_or_nothing():
    assert wire.read(wire.written(Fraction(1, 4))) == 0.25
    assert wire.read(wire.written(pandas.Series([1, 2], index=[5, 6]))) == [1, 2]
    assert wire.read(wire.written(range(3))) == [0, 1, 2] and wire.read(wire.written(iter("ab"))) == ["a", "b"]
    assert repr(wire.read(wire.written(object()))) == "<object>"
    deep = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ValueError, match="too deep"):
        wire.written(deep)


@pytest.mark.parametrize(
    "line",
    ["", "{", "[1]", '{"a": 1, "b": 2}', '{"nonsense": []}', '{"tensor": ["object", [1], "AAAA"]}',
     '{"tensor": ["float32", [9999999], "AAAA"]}', '{"tensor": ["float32", [-1], "AAAA"]}', '{"float": "x"}',
     '{"list": 3}', '{"dict": [[1]]}', "1"],
)  # fmt: skip
def test_what_is_no_line_is_refused(line):
    with pytest.raises((ValueError, TypeError)):
        wire.read(line)


# --- what of a hand-in is run -------------------------------------------------------------------------------------
def test_the_cells_that_were_handed_out_are_not_run(repo):
    cells = cells_of(repo / "notebooks" / "student" / "02_intra_modal_similarity.ipynb")
    assert lesson_of(cells) == 2
    assert student_cells(cells, 2, {2: cells})[1:] == []
    own = "def mean_cosine(x):\n    return 0"
    imports, *rest = student_cells([*cells, own], 2, {2: cells})
    assert rest == [own] and "import torch" in imports and "rsnb" not in imports


def test_what_is_no_notebook_is_named(tmp_path):
    (tmp_path / "a.ipynb").write_text("{", "utf-8")
    with pytest.raises(RsnbError, match=r"a\.ipynb is not a notebook"):
        cells_of(tmp_path / "a.ipynb")
    with pytest.raises(RsnbError, match="checks no exercise"):
        graded(notebook(tmp_path / "b.ipynb", "1"), "b", {})


def test_where_nothing_can_be_shut_in_nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "confined", lambda: False)
    with pytest.raises(RsnbError, match="--unsafe"):
        Process(tmp_path, 5.0)
    with Process(tmp_path, 60.0, unsafe=True) as process:
        assert process.ask({"cells": ["x = 3", "1 / 0"]})["ran"] == ["", "ZeroDivisionError: division by zero"]
        assert process.ask({"known": "x"}) == {"value": {"function": False, "value": 3}}


# --- verdicts -----------------------------------------------------------------------------------------------------
@shut_in
def test_a_right_a_wrong_and_an_unwritten_answer_are_judged_as_in_the_notebook(tmp_path):
    assert verdict(tmp_path, *of_mean_cosine(RIGHT)).ok
    wrong = verdict(tmp_path, *of_mean_cosine("v = F.normalize(x); return (v @ v.T).mean()"))
    assert not wrong.ok and wrong.mistake == "diagonal"
    assert verdict(tmp_path, *of_mean_cosine("raise NotImplementedError")).mistake == "empty"
    assert verdict(tmp_path, *of_mean_cosine("return x.nonsense")).mistake == "error"
    assert verdict(tmp_path, 'exercises.check("mean_cosine", mean_cosine)').mistake == "empty"


@shut_in
@pytest.mark.check
@pytest.mark.parametrize(
    "cells, said",
    [
        (("from rsnb.classroom.exercises import find\nmean_cosine = find('mean_cosine').truth",), ""),
        (("import rsnb.classroom.exercises.judging as j\nj.judge = lambda *_: True", *of_mean_cosine("return 1")), ""),
        (of_mean_cosine("import os; os._exit(0)"), "ended"),
        (of_mean_cosine("raise SystemExit"), "SystemExit"),
        (of_mean_cosine("import sys; sys.stdout.write('{\"value\": 1}\\n'); return 9.0"), ""),
        (of_mean_cosine("import os; os.write(1, b'{\"value\": true}\\n'); return 9.0"), ""),
        (of_mean_cosine("return type('Odd', (), {'__eq__': lambda *_: True})()"), ""),
        (of_mean_cosine("return bytearray(5 * 1024**3)"), ""),
    ],
)
def test_a_hand_in_cannot_mark_itself_right(tmp_path, cells, said):
    found = verdict(tmp_path, *cells, 'exercises.check("mean_cosine", mean_cosine)')
    assert not found.ok and said in str(found), found


@shut_in
@pytest.mark.check
@pytest.mark.parametrize(
    "attempt",
    [
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:PORT')",
        "open('PLACE/other.ipynb', 'w').write('x')",
        "open('PLACE/secret.txt').read()",
        "import os; os.kill(PID, 9)",
        "open('/etc/rsnb-was-here', 'w')",
        "open('/etc/passwd').read()",
        "import rsnb, pathlib; (pathlib.Path(rsnb.__file__).parent / 'classroom/exercises/judging.py').read_text()",
        "import rsnb, pathlib; (pathlib.Path(rsnb.__file__).parents[1] / '.git/HEAD').read_text()",
        "import rsnb.classroom.bughunt.checks as c; c.CHECKS",
        "open('big', 'wb').write(bytes(300 * 1024**2))",
    ],
)
def test_a_hand_in_reaches_nothing_outside(tmp_path, attempt):
    import http.server
    import os
    import threading

    asked = []

    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(1)

        def log_message(self, *_):
            pass

    (tmp_path / "secret.txt").write_text("grades", "utf-8")
    other = notebook(tmp_path / "other.ipynb", "1")
    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tried = attempt.replace("PORT", str(server.server_port)).replace("PLACE", str(tmp_path))
        tried = tried.replace("PID", str(os.getpid()))
        with Process(inside(tmp_path), 60.0) as process:
            ran = process.ask({"cells": [tried, "open('mine.txt', 'w').write('x'); fine = 1"]})["ran"]
            assert not ran[1] and process.ask({"known": "fine"})["value"]["value"] == 1
            assert ran[0] or "other" in attempt  # a file of that name in a folder of its own, which nobody sees
        server.shutdown()
    assert not asked and json.loads(other.read_text("utf-8"))["cells"][0]["source"] == "1"


def inside(tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir(exist_ok=True)
    return folder


@shut_in
def test_a_loop_without_end_costs_its_time_and_no_more(tmp_path):
    with Process(inside(tmp_path), 1.5) as process:
        process.ask({"cells": ["def f(x):\n    while True: pass"]}, 60.0)
        assert "TimeoutError" in process.ask({"call": "f", "given": [1], "leaves": []})["error"]
        assert "ended" in process.ask({"call": "f", "given": [1], "leaves": []})["error"]


@shut_in
@pytest.mark.check
def test_every_solution_passes_and_every_stub_is_open(repo, tmp_path):
    """All lessons, the suspects of the bug hunt too, which go over in their parts."""
    for folder, word in (("solutions", "right"), ("student", "open")):
        for path in sorted((repo / "notebooks" / folder).glob("*.ipynb")):
            for one in graded(path, path.stem, {}, seed=3):
                assert one.word == word, (path.name, one.exercise, one.verdict)


@shut_in
def test_a_folder_becomes_a_table(repo, tmp_path, capsys):
    folder, out = tmp_path / "handed in", tmp_path / "out"
    notebook(folder / "group" / "anna <b>.ipynb", *of_mean_cosine(RIGHT))
    notebook(folder / "=1+1.ipynb", *of_mean_cosine("return '=cmd'"))
    (folder / "notes.ipynb").write_text("[]", "utf-8")
    assert main(["grade", str(folder), "--out", str(out), "--seed", "1"]) == 1
    said = capsys.readouterr().out
    asked = sum(exercise.lesson == 2 for exercise in exercises.every().values())
    assert f"group/anna <b>: 1 of {asked} right" in said and "NOT JUDGED" in said and "notes.ipynb" in said
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * asked and {row["verdict"] for row in rows} == {"right", "wrong", "open"}
    assert any(row["student"] == "'=1+1" for row in rows), "no formula of a spreadsheet"
    page = (out / "grades.html").read_text(encoding="utf-8")
    assert "anna &lt;b&gt;" in page and "anna <b>" not in page and "<script" not in page
    assert main(["grade", str(tmp_path / "out")]) == 2
    notebook(tmp_path / "none" / "a.ipynb", "1")
    assert main(["grade", str(tmp_path / "none"), "--out", str(out)]) == 2 and "a.ipynb" in capsys.readouterr().err


def test_a_row_says_what_the_checker_said():
    from rsnb.classroom.exercises.judging import Verdict

    row = row_of(Graded("ann", "hinge", Verdict(False, ("+1", "two"), "mean")))
    assert row == {"student": "ann", "exercise": "hinge", "verdict": "wrong", "mistake": "mean", "said": "'+1 two"}
    assert set(exercises.every()) >= {"hinge"} and shutil.which("python3")
