"""The working copy of the lessons and its start page: nothing of a student's is lost, and it says what is next."""

from __future__ import annotations

import json
import re
import subprocess

import nbformat
import pytest

from rsnb.commands import cli
from rsnb.errors import RsnbError
from rsnb.publishing import handout, start

NAMES = [path.name for path, _ in handout.files("student")]
FIRST, SECOND = NAMES[:2]


def links(folder) -> list[tuple[str, str]]:
    return re.findall(r"^\| \[(.+?)\]\((.+?)\)", (folder / start.START).read_text(encoding="utf-8"), re.MULTILINE)


def following(folder) -> str:
    return re.search(r"\*\*Next: \[.+?\]\((.+?)\)\*\*", (folder / start.START).read_text(encoding="utf-8"))[1]


def answer(path) -> bytes:
    """Write into a notebook, as a student does."""
    notebook = json.loads(path.read_bytes())
    notebook["cells"][1]["source"] = "mine = 1"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path.read_bytes()


@pytest.fixture
def newer(monkeypatch):
    """From now on another version of every lesson is shipped."""
    files, versions = handout.files, []

    def later(flavour):
        return [(path, content + b"\n" * len(versions)) for path, content in files(flavour)]

    monkeypatch.setattr(handout, "files", later)
    return lambda: versions.append(None)


def test_every_lesson_is_copied_with_its_exercises_where_it_has_some(tmp_path, repo):
    lessons = start.prepare(tmp_path)
    assert len(lessons) == 13 and [lesson.name for lesson in lessons] == NAMES
    for lesson in lessons:
        student = repo / "notebooks" / "student" / lesson.name
        source = student if student.exists() else repo / "notebooks" / lesson.name
        assert (tmp_path / lesson.file).read_bytes() == source.read_bytes()
        assert bool(lesson.more) == student.exists()


def test_the_page_lists_the_lessons_with_the_minutes_of_the_table(tmp_path, repo):
    lessons = start.prepare(tmp_path)
    table = (repo / "notebooks" / "README.md").read_text(encoding="utf-8")
    row = re.compile(r"\]\((\d\d_\w+\.ipynb)\).*\| (\d+) \| (\d*) ?\|$", re.MULTILINE)
    stated = {name: (int(least), int(whole or least)) for name, least, whole in row.findall(table)}
    assert {lesson.name: (lesson.minutes, lesson.minutes + lesson.more) for lesson in lessons} == stated
    assert [file for _, file in links(tmp_path)] == NAMES
    text = (tmp_path / start.START).read_text(encoding="utf-8")
    assert all(f"| {lesson.minutes} | " in text and lesson.learn.replace("|", r"\|") in text for lesson in lessons)
    assert all(len(lesson.learn) > 40 for lesson in lessons)


def test_what_is_next_is_the_first_lesson_not_yet_changed(tmp_path):
    start.prepare(tmp_path)
    assert following(tmp_path) == FIRST
    answer(tmp_path / FIRST)
    start.prepare(tmp_path)
    assert following(tmp_path) == SECOND
    for name in NAMES[1:]:
        answer(tmp_path / name)
    assert all(lesson.begun for lesson in start.prepare(tmp_path))
    assert "Next" not in (tmp_path / start.START).read_text(encoding="utf-8")


def test_a_second_call_keeps_changes_and_gives_back_what_was_deleted(tmp_path):
    start.prepare(tmp_path)
    mine = answer(tmp_path / FIRST)
    (tmp_path / SECOND).unlink()
    start.prepare(tmp_path)
    assert (tmp_path / FIRST).read_bytes() == mine and (tmp_path / SECOND).exists()
    assert not list(tmp_path.glob("*-new*"))


def test_a_new_version_replaces_what_was_not_touched_and_lies_beside_what_was(tmp_path, newer):
    start.prepare(tmp_path)
    mine, old = answer(tmp_path / FIRST), (tmp_path / SECOND).read_bytes()
    newer()
    lessons = start.prepare(tmp_path)
    beside = lessons[0].file
    assert lessons[0].beside and beside != FIRST and lessons[0].begun and not lessons[1].beside
    assert (tmp_path / FIRST).read_bytes() == mine and (tmp_path / SECOND).read_bytes() == old + b"\n"
    assert dict(links(tmp_path))[lessons[0].title] == beside
    assert start.prepare(tmp_path)[0].file == beside
    also = answer(tmp_path / beside)
    newer()
    third = start.prepare(tmp_path)[0].file
    assert third not in (FIRST, beside)
    assert ((tmp_path / FIRST).read_bytes(), (tmp_path / beside).read_bytes()) == (mine, also)
    assert nbformat.read(tmp_path / third, as_version=4).cells[1].source != "mine = 1"


def test_a_file_that_was_there_before_is_a_students(tmp_path):
    (tmp_path / FIRST).write_text("mine", encoding="utf-8")
    assert start.prepare(tmp_path)[0].beside
    assert (tmp_path / FIRST).read_text(encoding="utf-8") == "mine"


def test_a_broken_list_is_named(tmp_path):
    start.prepare(tmp_path)
    (tmp_path / start.GIVEN).write_text("[", encoding="utf-8")
    with pytest.raises(RsnbError, match="given.json"):
        start.prepare(tmp_path)


def test_the_command_opens_jupyterlab_on_the_page(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr("jupyterlab.labapp.main", called.append)
    start.prepare(tmp_path)
    (tmp_path / FIRST).write_text("mine", encoding="utf-8")
    given = json.loads((tmp_path / start.GIVEN).read_text(encoding="utf-8"))
    (tmp_path / start.GIVEN).write_text(json.dumps({**given, FIRST: "an older version"}), encoding="utf-8")
    assert cli.main(["lab", "--dir", str(tmp_path), "--", "--no-browser"]) == 0
    (options,) = called
    assert f"--ServerApp.root_dir={tmp_path.resolve()}" in options and options[-1] == "--no-browser"
    assert any(start.START in option for option in options)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and FIRST in said[0]


def test_git_does_not_see_the_working_copy(repo):
    if not (repo / ".git").exists():
        pytest.skip("not a clone")
    assert subprocess.run(["git", "check-ignore", "-q", f"work/{FIRST}"], cwd=repo).returncode == 0
