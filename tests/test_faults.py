"""The cases of tests/faults: some in every test run, a sample of all in `make check`; `make faults` runs them all."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a case is run in a fork of this process")
FEW, SAMPLE = 15, 60


def test_some_cases_are_as_they_should_be():
    from faults import tables
    from faults.judge import run

    quick = [case for case in tables.all_cases() if not case.slow and case.seconds == 60]
    tables.warm()
    wrong = [f"{v.kind}: {v.name}: {v.wrong}" for v in run(tables.sample(quick, FEW)) if v.wrong]
    assert not wrong, "\n".join(wrong)


def test_there_are_many_cases_of_each_door():
    from faults import tables

    assert len(tables.all_cases()) >= 200
    assert all(len(table.CASES) >= 20 for table in tables.TABLES)


@pytest.mark.check
def test_a_sample_is_as_it_should_be(repo):
    words = [sys.executable, "-m", "tests.faults", "--sample", str(SAMPLE), "--json"]
    done = subprocess.run(words, cwd=repo, capture_output=True, text=True)
    result = json.loads(done.stdout)
    assert (result["tried"], result["wrong"]) == (SAMPLE, [])


def broken_case(run, **limits):
    from faults.box import Case, orderly

    return Case("a kind", "a name", None, run, orderly, **limits)


def forgets(box):
    raise KeyError("loss")


def hangs():
    import time

    time.sleep(60)


def leaves_a_process():
    subprocess.Popen(["sleep", "60"])


def changes_a_file(box):
    (box.data / "mine.txt").write_text("mine", encoding="utf-8")


@pytest.mark.parametrize(
    "action, limits, said",
    [
        (lambda: forgets(None), {}, "traceback"),
        (hangs, {"seconds": 0.3}, "did not end"),
        (lambda: print("\x1b[2J"), {}, "control character"),
        (lambda: sys.exit(3), {}, "ended with 3"),
        (int, {"megabytes": 5}, "MB"),
    ],
)
def test_a_case_is_judged(action, limits, said):
    """What holds for all cases is found where it does not hold."""
    from faults.judge import judged

    assert said in judged(broken_case(lambda box: box.call(action), **limits)).wrong


def test_leftovers_and_changed_files_are_found(monkeypatch):
    from faults import box as boxes
    from faults.judge import judged

    monkeypatch.setattr(boxes, "GRACE", 0.2)
    assert "left processes" in judged(broken_case(lambda box: box.call(leaves_a_process))).wrong

    def run(box):
        seen = box.call(int)
        changes_a_file(box)
        return seen

    assert "mine.txt" in judged(broken_case(run)).wrong
