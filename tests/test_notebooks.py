"""Every notebook runs (with less work, on the toy world and on real images) and reads well as it is saved."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from rsnb import pages

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NAMES = sorted(path.stem for path in (FOLDER / "source").glob("[0-9]*.py"))
OPENING = ("**You will learn**", "**You need**", "**Minutes**", "**Runs on**")
CLOSING = ("## Recap", "**Where the toy differs from the real thing.**", "**Try it.**")


def saved(name: str):
    path = FOLDER / f"{name}.ipynb"
    assert path.is_file(), f"{path.name} is not built: make notebooks"
    return nbformat.read(path, as_version=4)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert [int(re.match(r"\d+", name)[0]) for name in NAMES] == list(range(1, len(NAMES) + 1)) and len(
        NAMES
    ) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_on_the_toy_world(name, quick_runs):
    out, run = quick_runs["toy", name]
    results = run.result()
    assert [entry["name"] for entry in results["notebooks"]] == [name]
    assert "toy world (drawn)" in results["stamp"] and "numbers mean nothing" in results["stamp"]
    assert list((out / "figures").glob(f"{name}-*.png"))
    assert (out / f"{name}.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_same_cells_run_on_real_images(name, quick_runs, shared_data):
    if ("ucm", name) not in quick_runs:
        pytest.skip("no ucm_precomp in the real data")
    results = quick_runs["ucm", name][1].result()
    assert "UCM-Captions (real)" in results["stamp"]


@pytest.mark.parametrize("name", NAMES)
def test_opens_and_closes_as_all_do(name):
    notebook = saved(name)
    first = notebook.cells[0].source
    assert first.startswith("# ") and [part for part in OPENING if part not in first] == []
    texts = "\n".join(cell.source for cell in notebook.cells[-6:] if cell.cell_type == "markdown")
    assert [part for part in CLOSING if part not in texts] == []


@pytest.mark.parametrize("name", NAMES)
def test_cells_equal_their_master(name, tmp_path):
    (built,) = [path for path in pages.build(FOLDER / "source", tmp_path) if path.stem == name]
    master = nbformat.read(built, as_version=4)
    assert [(c.cell_type, c.source) for c in master.cells] == [
        (c.cell_type, c.source) for c in saved(name).cells
    ]


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs_are_complete(name):
    notebook = saved(name)
    for number, cell in enumerate(code(notebook), start=1):
        assert cell.execution_count == number or not cell.source.strip(), (
            f"code cell {number} was not executed"
        )
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
    assert [path.stem for path in pages.build(FOLDER / "source", tmp_path, only=(2,))] == [NAMES[1]]
    assert [path.stem for path in tmp_path.glob("*.ipynb")] == [NAMES[1]]


def test_notebooks_are_small_enough_to_clone():
    sizes = {name: (FOLDER / f"{name}.ipynb").stat().st_size for name in NAMES}
    assert sum(sizes.values()) < 8_000_000, sizes
