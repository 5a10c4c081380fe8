"""Every notebook runs (with less work, on the toy world and on real images) and reads well as it is saved."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from rsnb import pages, runner

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


def run_quickly(name: str, out: Path, **settings: str) -> dict:
    """Execute the committed notebook with the work reduced from outside its cells."""
    number = int(re.match(r"\d+", name)[0])
    variables = {"RSNB_QUICK": "1", **{f"RSNB_{key.upper()}": value for key, value in settings.items()}}
    job = runner.Job(out, FOLDER, only=(number,), progress=False, settings=variables)
    return runner.run(job)


def test_there_are_notebooks():
    assert [int(re.match(r"\d+", name)[0]) for name in NAMES] == list(range(1, len(NAMES) + 1)) and len(
        NAMES
    ) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_on_the_toy_world(name, tmp_path):
    results = run_quickly(name, tmp_path)
    assert [entry["name"] for entry in results["notebooks"]] == [name]
    assert "toy world (drawn)" in results["stamp"] and "numbers mean nothing" in results["stamp"]
    assert list((tmp_path / "figures").glob(f"{name}-*.png"))
    assert (tmp_path / f"{name}.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_same_cells_run_on_real_images(name, tmp_path, shared_data):
    root = shared_data / "ucm_precomp"
    if not root.is_dir():
        pytest.skip("no ucm_precomp in the real data")
    results = run_quickly(name, tmp_path, data="ucm", root=str(root))
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
            if "image/png" in output.get("data", {}):
                assert output.metadata.get("image/png", {}).get("alt"), (
                    f"code cell {number}: figure without alt"
                )
    assert notebook.metadata == pages.PLAIN_METADATA


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs_tell_nothing_about_a_machine(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert str(FOLDER.parent) not in text and str(Path.home()) + "/" not in text
    assert not re.search(r'["\s(](?:/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users)', text)
    assert "/site-packages/" not in text, "a warning of another package is shown"


def test_notebooks_are_small_enough_to_clone():
    sizes = {name: (FOLDER / f"{name}.ipynb").stat().st_size for name in NAMES}
    assert sum(sizes.values()) < 8_000_000, sizes
