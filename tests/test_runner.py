"""The runner: what it writes, in what order, how it fails, and that it needs no network."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import nbformat
import psutil
import pytest

from rsnb.classroom import lesson
from rsnb.errors import RsnbError
from rsnb.publishing import pages, runner
from rsnb.publishing.runner import run_notebooks
from rsnb.settings import DATA_STAMPS, QUICK_LIMIT, Settings, backbone_stamp

RECALLS = {f"{way}_r{k}": 10.0 * k for way in ("text", "image") for k in (1, 5, 10)}
MASTER = """
# %% [markdown]
# # A title
# The loss is $T(v, t) + \\frac{1}{2}$, it costs \\$5, and `$x$` is code.

# %%
from rsnb import lesson

s = lesson.setup(seed=3)

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(2, 2))
lesson.show(figure, "empty axes", alt="Axes with nothing in them")
lesson.table([{"method": "none", "mR": 1.234}], caption="A table")

# %%
from types import SimpleNamespace

report = SimpleNamespace(recalls=RECALLS, mr=26.7)
lesson.record("Zero-shot CLIP", report, trainable=0)
print("ran to the end")
"""


def write(folder, name: str, *cells: str) -> None:
    folder.mkdir(exist_ok=True)
    made = [nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), folder / name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run of a small notebook, built from its master and executed in place."""
    folder = tmp_path_factory.mktemp("lesson")
    (folder / "source").mkdir()
    (folder / "source" / "1-try.py").write_text(MASTER.replace("RECALLS", repr(RECALLS)), encoding="utf-8")
    job = runner.Job(out=folder / "out", folder=folder, inplace=True, progress=False)
    (folder / "out").mkdir()
    (folder / "out" / "foreign.txt").write_text("mine", encoding="utf-8")
    return folder, run_notebooks(job)


def test_everything_is_written_and_nothing_foreign_is_touched(finished):
    folder, results = finished
    names = {p.relative_to(folder / "out").as_posix() for p in (folder / "out").rglob("*") if p.is_file()}
    figure = "figures/1-try-empty-axes.png"
    assert names == {"1-try.ipynb", "1-try.html", "index.html", figure, "results.json", "foreign.txt"}
    assert results == json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
    assert [n["name"] for n in results["notebooks"]] == ["1-try"] and results["notebooks"][0]["cells"] == 3
    assert results["records"][0]["stamp"] == "toy world (drawn) · mini CLIP · seed 3"
    assert results["versions"]["python"]


def test_the_index_leads_to_what_lies_there(finished):
    out = finished[0] / "out"
    page = (out / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="([^"#:]+)"', page)) == {"1-try.html", "results.json", "figures/1-try-empty-axes.png"}
    assert 'alt="Axes with nothing in them"' in page and finished[1]["records"][0]["stamp"] in page


def test_page_stands_alone(finished):
    page = (finished[0] / "out" / "1-try.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)\s*=\s*["\']https?://', page)
    assert "<math" in page and "<mfrac>" in page and "data:image/png;base64" in page
    assert "mathjax" not in page.lower() or "cdnjs" not in page
    assert 'alt="Axes with nothing in them"' in page
    assert "$x$" in page


def test_notebook_in_place_is_clean(finished):
    saved = nbformat.read(finished[0] / "1-try.ipynb", as_version=4)
    assert saved.metadata == pages.PLAIN_METADATA
    assert [c.id for c in saved.cells] == [f"cell-{i:03d}" for i in range(5)]
    assert all("execution" not in c.metadata for c in saved.cells)
    text = (finished[0] / "1-try.ipynb").read_text(encoding="utf-8")
    assert "ran to the end" in text and str(pages.paths.PACKAGE.parent) not in text


def test_summary_is_one_table_with_the_stamp_once(finished):
    text = runner.summary(finished[1])
    assert text.count("toy world (drawn) · mini CLIP · seed 3") == 1
    assert "| Zero-shot CLIP | 0 | 10.00 | 50.00 | 100.00 | 10.00 | 50.00 | 100.00 | 26.70 |" in text
    two = [dict(finished[1]["records"][0]), dict(finished[1]["records"][0], stamp="other data")]
    text = runner.summary({**finished[1], "records": two})
    assert "other data" in text and "stamp" in text


def test_failing_cell_is_named_and_the_rest_is_kept(tmp_path):
    write(tmp_path / "nb", "2-fails.ipynb", "print('before')", "raise ValueError('first\\nthe reason')", "1")
    job = runner.Job(out=tmp_path / "out", folder=tmp_path / "nb", progress=False)
    with pytest.raises(runner.CellFailed) as caught:
        run_notebooks(job)
    message = str(caught.value)
    assert "2-fails.ipynb, code cell 2 of 3: ValueError: the reason" in message
    assert str(tmp_path / "out" / "2-fails.ipynb") in message
    half = nbformat.read(tmp_path / "out" / "2-fails.ipynb", as_version=4)
    assert half.cells[0].outputs and half.cells[1].outputs[0].output_type == "error"
    assert not half.cells[2].outputs


def test_dead_kernel_is_told(tmp_path):
    write(tmp_path / "nb", "1-dies.ipynb", "import os; os._exit(9)")
    with pytest.raises(runner.CellFailed, match="the kernel died.*memory"):
        run_notebooks(runner.Job(out=tmp_path / "out", folder=tmp_path / "nb", progress=False))


def test_kernel_has_our_settings_this_python_and_no_network(tmp_path):
    check = """
        import os, socket, sys
        assert os.environ["RSNB_SEED"] == "5" and os.environ["RSNB_NOTEBOOK"] == "1-look.ipynb"
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=2)
        except OSError as error:
            assert "blocked" in str(error), error
        else:
            raise AssertionError("reached the network")
        print(sys.executable)
    """
    write(tmp_path / "nb", "1-look.ipynb", check)
    job = runner.Job(tmp_path / "out", tmp_path / "nb", progress=False, settings={"RSNB_SEED": "5"})
    run_notebooks(job)
    (cell,) = nbformat.read(tmp_path / "out" / "1-look.ipynb", as_version=4).cells
    assert os.path.basename(sys.executable) in cell.outputs[0].text
    assert "RSNB_SEED" not in os.environ


def test_only_keeps_the_results_of_the_others(tmp_path):
    folder, out = tmp_path / "nb", tmp_path / "out"
    for number in (1, 2):
        write(folder, f"{number}-n.ipynb", f"print({number})")
    out.mkdir()
    old = {"records": [{"notebook": "1-n"}], "notebooks": [{"name": n, "seconds": 1} for n in ("1-n", "2-n")]}
    (out / "results.json").write_text(json.dumps(old), encoding="utf-8")
    results = run_notebooks(runner.Job(out, folder, only=(2,), progress=False))
    assert [n["name"] for n in results["notebooks"]] == ["1-n", "2-n"] and len(results["records"]) == 1
    with pytest.raises(RsnbError, match="no notebook number 7.*there: 1, 2"):
        run_notebooks(runner.Job(out, folder, only=(7,)))


def test_bad_settings_stop_before_anything_runs(tmp_path):
    write(tmp_path / "nb", "1-n.ipynb", "1")
    for settings, words in (
        ({"RSNB_DATA": "nothing-like-this"}, "no data set .* known: toy, ucm"),
        ({"RSNB_DATA": "ucm"}, "does not ship"),
        ({"RSNB_DATA": "ucm", "RSNB_ROOT": str(tmp_path / "no")}, "does not exist"),
        ({"RSNB_SEED": "one"}, "RSNB_SEED is .one.; it must be a whole number"),
        ({"RSNB_EPOCHS": "0"}, "at least 1"),
    ):
        with pytest.raises(RsnbError, match=words):
            run_notebooks(runner.Job(tmp_path / "out", tmp_path / "nb", settings=settings))
    assert not (tmp_path / "out").exists()


def test_environment_wins_over_arguments(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RSNB_SEED", "7")
    monkeypatch.setenv("RSNB_EPOCHS", "4")
    monkeypatch.setenv("RSNB_OUTPUT", str(tmp_path))
    monkeypatch.setenv("RSNB_NOTEBOOK", "9-here.ipynb")
    s = lesson.setup(seed=1, epochs=30)
    assert (s.seed, s.epochs, s.limit, s.quick) == (7, 4, None, False)
    said = capsys.readouterr().out
    assert said.startswith("toy world (drawn) · mini CLIP · seed 7 · rsnb ") and "torch" in said
    report = SimpleNamespace(recalls=RECALLS, mr=1.0)
    for seconds in (1.0, 2.0):
        lesson.record("MRS", report, trainable=10, seconds=seconds, best_epoch=3)
    lesson.record("full", report)
    records = lesson.read_results(tmp_path / "results.json")["records"]
    assert [(r["method"], r["seconds"]) for r in records] == [("MRS", 2.0), ("full", None)]
    assert records[0]["notebook"] == "9-here" and records[0]["best_epoch"] == 3
    monkeypatch.setenv("RSNB_QUICK", "1")
    quick = lesson.setup(epochs=30)
    assert quick.quick and quick.limit == QUICK_LIMIT and quick.epochs == 1
    assert "numbers mean nothing" in quick.stamp
    monkeypatch.undo()
    lesson.setup()


def test_stamps_agree_with_those_of_the_data():
    from rsnb.data.locate import STAMPS

    assert DATA_STAMPS == STAMPS
    assert backbone_stamp("ViT-B-32-quickgelu", None) == "ViT-B-32-quickgelu, RANDOM weights"
    assert backbone_stamp("ViT-B-32-quickgelu", "weights/openai.pt") == "ViT-B-32-quickgelu, openai.pt"


def page_of(tmp_path, markdown: str) -> str:
    """What a page shows of one text."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(markdown)])
    pages.write_page(notebook, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text(encoding="utf-8").split("<main>")[1].split("</main>")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("costs $5 and $6", ["costs $5 and $6"]),
        ("`$a$` and\n\n```\n$b$\n```", ["<code>$a$</code>", "<code>$b$\n</code>"]),
        (r"an escaped \$x\$", ["an escaped $x$"]),
        (r"one nobody knows, $\nosuch{a}$", [r"<code>\nosuch{a}</code>"]),
    ],
)
def test_dollars_that_are_no_formula_stay(tmp_path, text, expected):
    page = page_of(tmp_path, text)
    assert "<math" not in page and all(part in page for part in expected)


def test_formula_becomes_mathml(tmp_path):
    page = page_of(tmp_path, r"of $s_{ij}$ and $$\sum_i \max_{j \neq i} [m + s_{ij} - s_{ii}]_+$$")
    inline, block = re.findall("<math.*?</math>", page)
    assert 'display="inline"' in inline and 'display="block"' in block and "$" not in page


def test_formulas_stand_in_headings_tables_and_environments(tmp_path):
    text = "## The loss $T$\n\n| a | b |\n|---|---|\n| $x_1$ | `$y$` |\n\n"
    page = page_of(tmp_path, text + "\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}")
    heading, cell, block = re.findall("<math.*?</math>", page)
    assert re.search(r'<h2 id="The-loss-T">The loss <math', page) and 'display="block"' in block
    assert "<td>" + cell + "</td>" in page and "<code>$y$</code>" in page


def test_real_pictures_are_not_saved_in_place(tmp_path):
    job = runner.Job(tmp_path / "out", inplace=True, settings={"RSNB_DATA": "ucm", "RSNB_ROOT": str(tmp_path)})
    with pytest.raises(RsnbError, match="must not be passed on"):
        run_notebooks(job)
    assert not (tmp_path / "out").exists()


# --- two side by side ---------------------------------------------------------------------------------------------
RECORD = f"""
    from types import SimpleNamespace
    from rsnb import lesson
    import os, time
    lesson.setup()
    for number in range(40):
        lesson.record(f"method {{number}}", SimpleNamespace(recalls={RECALLS!r}, mr=1.0))
    print("threads", os.environ.get("OMP_NUM_THREADS"))
"""


@pytest.fixture
def two_at_once(monkeypatch):
    monkeypatch.setattr(runner, "side_by_side", lambda settings, notebooks: min(2, notebooks))


@pytest.mark.check
def test_two_writers_lose_no_record_and_the_order_is_that_of_the_numbers(two_at_once, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("OMP_NUM_THREADS")
    for number in (2, 3, 11):
        write(tmp_path / "nb", f"{number}-n.ipynb", RECORD)
    results = run_notebooks(runner.Job(tmp_path / "out", tmp_path / "nb"))
    assert [n["name"] for n in results["notebooks"]] == ["2-n", "3-n", "11-n"]
    expected = [(name, f"method {k}") for name in ("2-n", "3-n", "11-n") for k in range(40)]
    assert [(r["notebook"], r["method"]) for r in results["records"]] == expected
    assert results == json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    (cell,) = nbformat.read(tmp_path / "out" / "3-n.ipynb", as_version=4).cells
    assert "threads 1" in cell.outputs[-1].text
    shown = capsys.readouterr().err
    assert "[3/3]" in shown and all(f"] {name}-n: " in shown for name in (2, 3, 11))


@pytest.mark.check
def test_a_failing_notebook_stops_the_one_beside_it(two_at_once, tmp_path):
    alive = tmp_path / "alive"
    wait = f"""
        import pathlib, time
        for number in range(600):
            pathlib.Path({str(alive)!r}).write_text(str(number))
            time.sleep(0.1)
    """
    fail = f"""
        import pathlib, time
        while not pathlib.Path({str(alive)!r}).exists():
            time.sleep(0.1)
        raise ValueError("the reason")
    """
    for number, cell in ((1, wait), (2, fail), (12, "print(12)")):
        write(tmp_path / "nb", f"{number}-n.ipynb", cell)
    with pytest.raises(runner.CellFailed, match="2-n.ipynb, code cell 1 of 1: ValueError: the reason"):
        run_notebooks(runner.Job(tmp_path / "out", tmp_path / "nb", progress=False))
    assert [path.name for path in (tmp_path / "out").glob("*.ipynb")] == ["2-n.ipynb"]
    then = alive.read_text()
    time.sleep(0.5)
    assert alive.read_text() == then, "its kernel is still running"


@pytest.mark.check
@pytest.mark.skipif(os.name == "nt", reason="another process cannot be sent Ctrl-C alone")
def test_ctrl_c_stops_every_kernel(tmp_path):
    for number in (1, 2):
        cell = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, '{number}.pid').write_text(str(os.getpid()))"
        write(tmp_path / "nb", f"{number}-n.ipynb", cell, "time.sleep(60)")
    code = "from rsnb.commands import cli; from rsnb.publishing import runner; import signal, sys; "
    code += "signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored in what a shell's & starts
    code += "runner.side_by_side = lambda *_: 2; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "run", "--notebooks", str(tmp_path / "nb"), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: all(file.is_file() and file.read_text() for file in (tmp_path / "1.pid", tmp_path / "2.pid")))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in said and "Traceback" not in said
    until(lambda: not any(psutil.pid_exists(int((tmp_path / f"{n}.pid").read_text())) for n in (1, 2)))


def until(done, seconds: float = 60) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_large_clip_runs_alone():
    assert runner.side_by_side(Settings(backbone="ViT-B-32-quickgelu"), 11) == 1
    assert runner.side_by_side(Settings(), 1) == 1
