"""Predictions: a place to write each, in the notebooks with exercises, and what was written beside the result."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import IPython.display
import nbformat
import pytest

from rsnb.classroom import lesson
from rsnb.errors import RsnbError
from rsnb.publishing.masters import PREDICT, build_notebooks

SOURCE = Path(__file__).resolve().parent.parent / "notebooks" / "source"
MASTER = """# %% [markdown]
# # Title
#
# > **Predict.** How many?

# %%
count = 3

# %% [markdown]
# > **Predict.** And later?

# %%
early = 1

# %% predicted="1|'from afar'"
late = 2

# %% predicted="late * 2"
last = 4

# %% exercise="hinge"
"""


@pytest.fixture
def shown(monkeypatch):
    found = []
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: found.append(data["text/plain"]))
    monkeypatch.setattr(lesson, "_predicted", {})
    return found


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    return {
        path.stem: code_of(path) for path in build_notebooks(SOURCE, tmp_path_factory.mktemp("s"), flavour="student")
    }


def test_the_lessons_with_exercises_have_a_place_for_each_prediction(students):
    for name, code in students.items():
        text = (SOURCE / f"{name}.py").read_text(encoding="utf-8")
        places = [int(m[1]) for source in code if (m := re.match(r"lesson\.predict\((\d+), \.\.\.\)", source))]
        assert places == list(range(1, text.count(f"# {PREDICT}") + 1)) and places


def test_a_prediction_is_compared_after_it_was_written_and_once(students):
    for code in students.values():
        at = {int(m[1]): n for n, source in enumerate(code) if (m := re.match(r"lesson\.predict\((\d+)", source))}
        seen = [
            (n, int(m[1])) for n, source in enumerate(code) if (m := re.match(r"lesson\.compare\(\s*(\d+)", source))
        ]
        assert all(n > at[number] + 1 for n, number in seen), "code stands between the two"
        assert len({number for _, number in seen}) == len(seen) >= 0.7 * len(at)


def test_a_prediction_is_compared_with_what_exists_by_then(students):
    """Every name that a comparison reads is assigned in a cell above it."""
    for name, code in students.items():
        known: set[str] = set(dir(builtins))
        for source in code:
            tree = ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in source.splitlines()))
            nodes = list(ast.walk(tree))
            if source.startswith("lesson.compare("):
                bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
                read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
                assert not (unknown := read - known - bound), f"{name}: {unknown} in {source}"
            for n in nodes:
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store):
                    known.add(n.id)
                elif isinstance(n, (ast.FunctionDef, ast.ClassDef)):
                    known.add(n.name)
                elif isinstance(n, ast.alias):
                    known.add((n.asname or n.name).split(".")[0])


def test_the_place_of_a_comparison_can_be_marked(tmp_path):
    (tmp_path / "1_some.py").write_text(MASTER, encoding="utf-8")
    (student,) = build_notebooks(tmp_path, tmp_path / "s", flavour="student")
    code = code_of(student)
    assert code.index("lesson.compare(1, 'from afar')") == code.index("late = 2") + 1
    assert code.index("lesson.compare(2, late * 2)") == code.index("last = 4") + 1
    (plain,) = build_notebooks(tmp_path, tmp_path / "l")
    assert not any("lesson.predict" in source for source in code_of(plain)), "who reads writes nothing"


def test_a_prediction_that_nothing_answers_is_an_error(tmp_path):
    (tmp_path / "1_some.py").write_text(MASTER + "\n# %% [markdown]\n# > **Predict.** Nothing.\n", encoding="utf-8")
    with pytest.raises(RsnbError, match=r"\[3\]"):
        build_notebooks(tmp_path, tmp_path / "s", flavour="student")


def test_what_was_predicted_is_shown_beside_the_result(shown):
    lesson.predict(1, 40)
    lesson.compare(1, 61.25)
    lesson.predict(2, "more in one class")
    lesson.compare(2, {"one class": 0.72, "two": 0.52})
    lesson.predict(3, "the third")
    lesson.compare(3)
    assert [all(part in text for part in parts) for text, parts in zip(shown, (
        ("40", "61.2", "off by 21.2"), ("more in one class", "one class 0.72, two 0.52"), ("the third", "above"),
    ))] == [True] * 3  # fmt: skip
    assert "off by" not in shown[1]


@pytest.mark.parametrize("odd", [10**400, float("nan"), float("inf"), True, {1, 2}, [1, "a"], b"x", object()])
def test_whatever_was_predicted_is_shown(odd, shown):
    lesson.predict(1, odd)
    lesson.compare(1, 2.5)
    assert len(shown) == 1 and "2.5" in shown[0] and "off by" not in shown[0]


def test_what_was_not_predicted_is_not_asked_for(shown):
    lesson.predict(1, ...)
    lesson.compare(1, 3)
    lesson.predict(2, 5)
    lesson.predict(2, ...)  # taken back
    lesson.compare(2, 3)
    assert shown == []
