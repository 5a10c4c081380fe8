"""Figures for slides: large, in all colours, with a contact sheet."""

from __future__ import annotations

import base64
import io
from argparse import Namespace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from rsnb import settings
from rsnb.classroom import lesson
from rsnb.commands import cli
from rsnb.errors import RsnbError
from rsnb.figures.png import picture
from rsnb.publishing import runner


def shown_and_saved(monkeypatch, out: Path, dpi: int):
    """A figure with a photograph of many colours, shown: (picture on the page, picture in the folder)."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(lesson, "_current", settings.Settings(out=out, dpi=dpi))
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda data, **more: displayed.append(data))
    figure = Figure(figsize=(4, 3))
    figure.add_axes((0, 0, 1, 1)).imshow(np.random.default_rng(0).random((60, 80, 3)))
    lesson.show(figure, "noise", alt="Noise in all colours.")
    mime = next(kind for kind in displayed[0] if kind.startswith("image/"))
    (file,) = (out / "figures").glob("*-noise.png")
    return Image.open(io.BytesIO(base64.b64decode(displayed[0][mime]))), Image.open(file)


def test_a_figure_for_slides_is_large_and_in_all_colours(monkeypatch, tmp_path):
    page, saved = shown_and_saved(monkeypatch, tmp_path / "slides", 200)
    assert abs(saved.width / page.width - 2) < 0.02 and page.width < 450
    assert saved.text["Description"] == "Noise in all colours." and "toy world (drawn)" in saved.text["Comment"]
    assert saved.convert("RGB").getcolors(256) is None, "more than 256 colours are kept"
    page, saved = shown_and_saved(monkeypatch, tmp_path / "usual", settings.SCREEN_DPI)
    assert saved.size == page.size and saved.mode == "P"


def test_a_panel_for_slides_is_drawn_large(monkeypatch, tmp_path):
    from matplotlib.figure import Figure

    monkeypatch.setattr("IPython.display.display", lambda data, **more: None)

    def draw(side: float):
        figure = Figure(figsize=(side, side))
        figure.add_axes((0, 0, 1, 1))
        return figure, "text"

    first = memoryview(picture(draw(3)[0], "A panel.", "made here"))  # as a widget holds it
    panel = Namespace(name="panel", alt="A panel.", stamp="made here", values={"side": 3}, first=first, draw=draw)
    for dpi in (settings.SCREEN_DPI, 200):
        monkeypatch.setattr(lesson, "_current", settings.Settings(out=tmp_path / str(dpi), dpi=dpi))
        lesson.touch(panel)
    (small,), (large,) = (list((tmp_path / str(dpi)).rglob("*.png")) for dpi in (settings.SCREEN_DPI, 200))
    assert Image.open(small).width < 400 and "torch" in Image.open(small).text["Source"]
    assert Image.open(large).width >= 590 and Image.open(large).text["Comment"] == "made here"


def test_the_resolution_comes_from_outside():
    assert settings.resolve({}).dpi == settings.SCREEN_DPI and settings.resolve({"RSNB_DPI": "300"}).dpi == 300
    with pytest.raises(RsnbError, match="RSNB_DPI is 72; .* at least 100"):
        settings.resolve({"RSNB_DPI": "72"})


SMALL = """
from matplotlib.figure import Figure
from rsnb import lesson
s = lesson.setup()
for name in ("second-by-name", "a-by-name"):
    figure = Figure(figsize=(3, 2))
    figure.add_axes((0, 0, 1, 1))
    lesson.show(figure, name, alt=f"A figure called <{name}>.")
"""


def small_notebook(folder: Path, *cells: str) -> None:
    folder.mkdir(parents=True)
    made = [nbformat.v4.new_markdown_cell("# 3 · A small one\n\ntext"), *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=made), folder / "03_small.ipynb")


def test_figures_come_with_a_contact_sheet(monkeypatch, tmp_path, capsys):
    small_notebook(tmp_path / "nb", SMALL)
    monkeypatch.setattr(runner, "notebooks_dir", lambda folder=None: tmp_path / "nb")
    out = tmp_path / "slides"
    assert cli.main(["figures", "--out", str(out), "--dpi", "250"]) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "03_small-a-by-name.png",
        "03_small-second-by-name.png",
        "index.html",
    ]
    assert all(Image.open(path).width >= 740 for path in out.glob("*.png"))
    sheet = (out / "index.html").read_text(encoding="utf-8")
    assert sheet.index("second-by-name.png") < sheet.index("a-by-name.png"), "in the order of the lesson"
    assert 'alt="A figure called &lt;a-by-name&gt;."' in sheet and "<h2>3 · A small one</h2>" in sheet
    assert "toy world (drawn) · mini CLIP · seed 0" in sheet and "http" not in sheet
    assert "2 figures" in capsys.readouterr().out


def test_figures_say_where_a_notebook_failed(monkeypatch, tmp_path, capsys):
    small_notebook(tmp_path / "nb", "1 / 0")
    monkeypatch.setattr(runner, "notebooks_dir", lambda folder=None: tmp_path / "nb")
    assert cli.main(["figures", "--out", str(tmp_path / "slides")]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert cli.main(["figures", "--only", "x"]) == 2 and "--only takes numbers" in capsys.readouterr().err
    assert cli.main(["figures", "--dpi", "20"]) == 2 and "at least 100" in capsys.readouterr().err
