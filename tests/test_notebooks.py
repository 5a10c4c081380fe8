"""Every notebook runs (with less work, on the toy world and on real images) and is saved whole; lint_prose.py
holds what a master contains."""

from __future__ import annotations

import ast
import html
import json
import re
from pathlib import Path

import nbformat
import pytest

from rsnb.classroom import exercises
from rsnb.publishing import pages
from rsnb.publishing.masters import build_notebooks

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NAMES = sorted(path.stem for path in (FOLDER / "source").glob("[0-9]*.py"))
PLACES = re.compile(r'^# %% exercise="(\w+)"$', re.MULTILINE)
KEYS = {name: PLACES.findall((FOLDER / "source" / f"{name}.py").read_text(encoding="utf-8")) for name in NAMES}
SOLVED = [name for name in NAMES if KEYS[name]]


def saved(name: str):
    path = FOLDER / f"{name}.ipynb"
    assert path.is_file(), f"{path.name} is not built: make notebooks"
    return nbformat.read(path, as_version=4)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    numbers = [int(re.match(r"\d+", name)[0]) for name in NAMES]
    assert numbers[:5] == [1, 2, 3, 4, 5] and len(set(numbers)) == len(numbers)


def flavour_of(name: str) -> str:
    """The solved notebook, which holds every cell of the lesson and the exercises with their checkers, if there is
    one; else the lesson."""
    return "solutions" if KEYS[name] else "."


@pytest.mark.parametrize("name", NAMES)
def test_runs_on_the_toy_world(name, quick_run):
    out = quick_run(flavour_of(name), name)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in results["notebooks"]] == [name]
    assert "toy world (drawn)" in results["stamp"] and "numbers mean nothing" in results["stamp"]
    assert list((out / "figures").glob(f"{name}-*.png"))
    assert (out / f"{name}.html").stat().st_size > 10_000


def verdicts_of(path: Path) -> list[str]:
    """What an executed notebook shows below each of its checkers."""
    checks = [cell for cell in code(nbformat.read(path, as_version=4)) if "exercises.check(" in cell.source]
    return ["".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs) for cell in checks]


@pytest.mark.parametrize("name", SOLVED)
def test_a_solved_notebook_passes_its_checkers(name, quick_run):
    verdicts = verdicts_of(quick_run("solutions", name) / f"{name}.ipynb")
    assert len(verdicts) == len(KEYS[name]) and all(verdict.startswith("✓") for verdict in verdicts), verdicts


@pytest.mark.check
@pytest.mark.parametrize("name", SOLVED)
def test_an_empty_student_notebook_runs_to_its_end(name, quick_run):
    """No traceback, and a friendly word at every exercise."""
    path = quick_run("student", name) / f"{name}.ipynb"
    said = verdicts_of(path)
    assert len(said) == len(KEYS[name]) and all("not written yet" in text for text in said)
    notebook = nbformat.read(path, as_version=4)
    assert not [o for cell in code(notebook) for o in cell.outputs if o.output_type == "error"]


@pytest.mark.check
@pytest.mark.parametrize("name", NAMES)
def test_same_cells_run_on_real_images(name, quick_run, shared_data):
    if not (shared_data / "ucm_precomp").is_dir():
        pytest.skip("no ucm_precomp in the real data")
    out = quick_run(".", name, "--data", "ucm", "--root", str(shared_data / "ucm_precomp"))
    assert "UCM-Captions (real)" in json.loads((out / "results.json").read_text(encoding="utf-8"))["stamp"]


@pytest.mark.parametrize("name", NAMES)
def test_cells_equal_their_master(name, tmp_path):
    (built,) = [path for path in build_notebooks(FOLDER / "source", tmp_path) if path.stem == name]
    master = nbformat.read(built, as_version=4)
    assert [(c.cell_type, c.source) for c in master.cells] == [(c.cell_type, c.source) for c in saved(name).cells]


def test_every_exercise_has_its_place():
    placed = [(int(re.match(r"\d+", name)[0]), key) for name in NAMES for key in KEYS[name]]
    assert sorted(placed) == sorted((e.lesson, e.key) for e in exercises.every().values())


@pytest.mark.parametrize("flavour, below", [("student", "student"), ("solution", "solutions")])
def test_student_and_solution_come_from_the_master(flavour, below, tmp_path):
    built = build_notebooks(FOLDER / "source", tmp_path, flavour=flavour)
    assert [path.stem for path in built] == SOLVED
    assert sorted(path.name for path in (FOLDER / below).iterdir() if path.is_file()) == [p.name for p in built]
    for path in built:
        assert path.read_text(encoding="utf-8") == (FOLDER / below / path.name).read_text(encoding="utf-8"), (
            f"notebooks/{below}/{path.name} differs from its master: make notebooks"
        )
        cells = [cell.source.replace("](../", "](") for cell in nbformat.read(path, as_version=4).cells]
        whole = [cell.source for cell in saved(path.stem).cells]
        assert [source for source in cells if source in whole] == whole, "a cell of the lesson is missing"


@pytest.mark.parametrize("below", ["", "student", "solutions"])
def test_links_to_pages_lead_there(below):
    links = {}
    for path in (FOLDER / below).glob("*.ipynb"):
        text = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
        links |= dict.fromkeys(re.findall(r"\]\(([^)#:]+\.(?:md|ipynb))(?:#[^)]*)?\)", text), path)
    assert links and [f"{path.name}: {to}" for to, path in links.items() if not (path.parent / to).is_file()] == []


@pytest.mark.parametrize("name", SOLVED)
def test_no_answer_takes_a_name_of_the_lesson(name):
    """A wrong answer must not break the cells after it."""
    lesson = ast.parse("\n".join(cell.source for cell in code(saved(name))))
    used = {node.id for node in ast.walk(lesson) if isinstance(node, ast.Name)}
    used |= {node.name for node in ast.walk(lesson) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert [exercises.find(key).name for key in KEYS[name] if exercises.find(key).name in used] == []


@pytest.mark.parametrize("name", SOLVED)
def test_an_unfilled_exercise_says_so_and_goes_on(name):
    """The students' own cells, as they get them: never a traceback, and no checker is content."""
    space, verdicts = {}, []
    cells = [cell.source for cell in code(nbformat.read(FOLDER / "student" / f"{name}.ipynb", as_version=4))]
    for stub, source in zip(cells, cells[1:]):
        if "exercises.check(" in source:
            body, check = source.rsplit("\n", 1)
            exec(f"{stub}\n{body}", space)
            verdicts.append(eval(check, space))
    assert len(verdicts) == len(KEYS[name])
    assert all(verdict.mistake == "empty" and "not written yet" in str(verdict) for verdict in verdicts)


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs_are_complete(name):
    notebook = saved(name)
    for number, cell in enumerate(code(notebook), start=1):
        assert cell.execution_count == number or not cell.source.strip(), f"code cell {number} was not executed"
        for output in cell.outputs:
            assert output.output_type != "error", f"code cell {number}: {output.get('evalue')}"
            for kind in pages.PICTURES:
                shown = kind in output.get("data", {})
                assert not shown or output.metadata.get(kind, {}).get("alt"), f"code cell {number}: no alt text"
    assert notebook.metadata == pages.PLAIN_METADATA


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs_tell_nothing_about_a_machine(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert str(FOLDER.parent) not in text and str(Path.home()) + "/" not in text
    assert not re.search(r'["\s(](?:/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users)', text)
    assert "/site-packages/" not in text, "a warning of another package is shown"


def test_building_one_leaves_the_others_alone(tmp_path):
    assert [path.stem for path in build_notebooks(FOLDER / "source", tmp_path, only=(2,))] == [NAMES[1]]
    assert [path.stem for path in tmp_path.glob("*.ipynb")] == [NAMES[1]]


def test_notebooks_are_small_enough_to_clone():
    sizes = {name: (FOLDER / f"{name}.ipynb").stat().st_size for name in NAMES}
    assert sum(sizes.values()) < 8_000_000, sizes


WITHOUT_DATA = (
    "printed in the paper",
    "printed (ViT-B/32",
    "the paper's sizes",
    "from the sizes printed",
    "counted",
    "after the papers",
    "invented",
    "widths of",
    "drawn web world",
    "the table of rsnb fetch",
    "spreads of",
    "RANDOM weights",
    "weights do not matter",
    "nothing measured",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_and_table_says_what_it_is_made_from(name):
    """Toy, real or paper, the model, the seeds; and beside it the date and the versions."""
    outputs = [output for cell in code(saved(name)) for output in cell.outputs if "data" in output]
    tables = [o for o in outputs if 'class="dataframe"' in o.data.get("text/html", "")]
    pictures = [o for o in outputs if any(kind in o.data for kind in pages.PICTURES)]
    assert pictures
    for output in tables + pictures:
        made = output.metadata["rsnb"]
        stamp = made["stamp"]
        if "toy world (drawn)" in stamp or "(real)" in stamp:
            assert re.search(r"mini CLIP|ViT-|captions alone", stamp), f"no model: {stamp}"
            assert re.search(r"\bseeds?\b|captions alone", stamp), f"no seed: {stamp}"
        else:
            assert any(kind in stamp for kind in WITHOUT_DATA), f"neither toy, real nor paper: {stamp}"
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", made["date"])
        assert re.fullmatch(r"rsnb [\d.]+, torch [\d.]+", made["versions"])
        assert output not in tables or html.escape(stamp) in output.data["text/html"]
