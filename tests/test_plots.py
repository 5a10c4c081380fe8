"""Every figure is drawn on small data; its text, sizes and marks are looked at, nothing is shown."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from rsnb.figures.style import MISS
from rsnb.studies.benchmark.figures import (
    beside_the_paper,
    costs,
    parameters_against_mr,
    run_bars,
    run_curves,
    share_of_the_way,
)
from rsnb.studies.runs import Run

matplotlib.use("agg")

from rsnb.figures import diagrams, plots
from rsnb.studies import paper

PICTURES = [np.full((8, 8, 3), shade, np.uint8) for shade in (0, 120, 250)]
CURVE = [{"epoch": e, "loss_cross": 3 / e, "loss_image": 1 / e, "loss_text": 2 / e, "val_mr": 10 + e % 3,
          "intra_image_cos": 0.2, "intra_text_cos": 0.3} for e in range(1, 5)]  # fmt: skip


def run(method, seed, mr):
    return Run(method, method.title(), seed, 10, {}, CURVE, {}, mr, 1.0, "", "")


RUNS = [run("zero_shot", 0, 20.0), run("mrs", 0, 40.0), run("mrs", 1, 44.0), run("other", 0, 30.0)]
COSTS = {"seconds_per_epoch": 2.0, "memory_mb": 90.0, "file_bytes": 150_000}
ROWS = [{"method": m, "title": t, "trainable": n, "mr": mr, "mr_sd": sd, **COSTS} for m, t, n, mr, sd in (
    ("zero_shot", "Zero-shot CLIP", 0, 14.0, None), ("mrs", "MRS-Adapter + HMMC", 161_088, 44.0, 0.5),
    ("adaptformer", "AdaptFormer", 165_248, 44.1, 0.4), ("full", "Full fine-tuning", 151_277_313, 45.0, 0.3),
)]  # fmt: skip
S = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.9, 0.1], [0.3, 0.4, 0.9]])

FIGURES = {
    "contact_sheet": lambda: plots.contact_sheet(PICTURES, ["a", "b", "a class of a very long name"], "T", columns=2),
    "captioned": lambda: plots.captioned(PICTURES[:2], [["one .", "two"], ["x" * 200]], ["a", "b"], "Captions"),
    "image_hits": lambda: plots.image_hits(["q"], [[(PICTURES[0], "n", True), (PICTURES[1], "m", False)]], "Hits"),
    "caption_hits": lambda: plots.caption_hits([PICTURES[0]], ["a"], [[("yes", True), ("no", False)]], "Hits"),
    "histogram": lambda: plots.histogram({"a": torch.rand(20), "none": torch.zeros(0)}, "x", "T", line=(0.5, "here")),
    "discrete": lambda: plots.histogram({"a": torch.tensor([1.0, 2, 2])}, "x", "How?", discrete=True),
    "histograms": lambda: plots.histograms({"p": {"a": [1, 2]}, "q": {"a": [3, 4], "b": [5]}}, "x", "How?"),
    "bars": lambda: plots.bars({"a": 1, "b": 1000}, "x", "How many?", log=True),
    "similarity_study": lambda: plots.similarity_study(S, [("a", 0, 2), ("b", 2, 3)], {"x": [0.1], "y": [0.2]}, "T"),
    "one_block": lambda: plots.similarity_study(S, [("unlabelled", 0, 3)], {"same": [0.1], "other": []}, "T"),
    "hmmc_batch": lambda: plots.hmmc_batch({"a": S, "b": S.T}, "T"),
    "training_curves": lambda: plots.training_curves(CURVE, "T", start=9.0),
    "one_epoch": lambda: plots.training_curves(CURVE[:1], "T"),
    "run_curves": lambda: run_curves(RUNS, "T"),
    "run_bars": lambda: run_bars(RUNS, "T"),
    "tsne_panels": lambda: plots.tsne_panels({"before": (np.eye(2), np.eye(2))}, ["a", "b"], ["a", "b"], "T"),
    "parameters_against_mr": lambda: parameters_against_mr(ROWS, "T"),
    "costs": lambda: costs(ROWS, "What does it cost?"),
    "beside_the_paper": lambda: beside_the_paper(
        {"paper: UCM": paper.mr_of("UCM")}, {"ours": {"zero_shot": 14.0, "mrs": 44.0, "full": 45.0, "lora": 40.0}}, "T"
    ),
    "families": diagrams.families,
    "mrs_diagram": lambda: diagrams.mrs_diagram({"image": 768, "text": 512}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_in_readable_type(name):
    before = dict(matplotlib.rcParams)
    figure = FIGURES[name]()
    assert isinstance(figure, matplotlib.figure.Figure)
    figure.canvas.draw()
    texts = [t for t in figure.findobj(matplotlib.text.Text) if t.get_text().strip() and t.get_visible()]
    assert texts and min(t.get_fontsize() for t in texts) >= 11
    assert dict(matplotlib.rcParams) == before  # the style does not leak into the caller's figures


def words_of(figure):
    return " ".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


def test_diagram_names_the_papers_widths():
    text = words_of(FIGURES["mrs_diagram"]())
    for piece in ("768 → 64", "512 → 64", "64 → 704", "64 → 448", "64 → 64", "704 + 64", "448 + 64"):
        assert piece in text


def test_hits_and_misses_differ_without_colour():
    figure = FIGURES["image_hits"]()
    hit, miss = (axis.spines["top"] for axis in figure.axes[1:])
    assert hit.get_linestyle() != miss.get_linestyle() and hit.get_edgecolor() != miss.get_edgecolor()
    assert "✓" in words_of(FIGURES["caption_hits"]()) and "✗" in words_of(FIGURES["caption_hits"]())


def test_hmmc_marks_the_hardest_negative_and_whether_it_is_active():
    axis = plots.hmmc_batch({"a": S}, "T", margin=0.2).axes[0]
    marks = {
        (line.get_marker(), round(line.get_ydata()[0]), round(line.get_xdata()[0])): line.get_markerfacecolor() == MISS
        for line in axis.lines
    }
    assert marks == {
        (">", 0, 1): True,  # 0.8 + 0.2 > 0.9
        (">", 1, 0): False,  # 0.2 + 0.2 < 0.9
        (">", 2, 1): False,
        ("v", 2, 0): False,  # hardest of column 0
        ("v", 0, 1): True,
        ("v", 0, 2): False,
    }


def test_run_bars_show_mean_and_spread():
    text = words_of(run_bars(RUNS, "T"))
    assert f"42.0 ± {math.sqrt(8):.1f}" in text and "20.0" in text


def test_curves_mark_the_best_epoch():
    assert "best: 12.0, epoch 2" in words_of(plots.training_curves(CURVE, "T"))


def test_histogram_shares_add_up_to_100():
    axis = plots.histogram({"a": torch.tensor([0.0, 0.1, 0.9, 1.0])}, "x", "T").axes[0]
    assert axis.patches[0].get_data().values.sum() == pytest.approx(100)


def test_share_of_the_way_puts_methods_between_zero_shot_and_full_fine_tuning():
    shares = share_of_the_way({"zero_shot": 20.0, "mrs": 50.0, "full": 60.0, "coop": 10.0})
    assert shares == {"zero_shot": 0.0, "mrs": 0.75, "full": 1.0, "coop": -0.25}


def test_the_costs_of_a_method_stand_on_its_line():
    rows = [{**ROWS[1], "seconds_per_epoch": 9.0}, {**ROWS[2], "seconds_per_epoch": 3.0}]
    seconds, memory, file = costs(rows, "T").axes
    assert [label.get_text() for label in seconds.get_yticklabels()] == ["AdaptFormer", "MRS-Adapter + HMMC"]
    assert [float(line.get_xdata()[0]) for line in seconds.lines] == [3.0, 9.0]
    assert file.get_xscale() == "log" and [float(line.get_xdata()[0]) for line in file.lines] == [150.0, 150.0]


@pytest.mark.parametrize("wild", [r"price $\frac{1$ of land", "$$", r"a $\bad{$ b", "5 $ to 6 $"])
def test_text_of_a_data_set_is_no_formula(tmp_path, wild):
    """Captions, titles and names of classes may hold dollar signs."""
    picture = Image.new("RGB", (9, 9))
    for figure in (
        plots.contact_sheet([picture] * 2, [wild, "b"], wild),
        plots.captioned([picture], [[wild] * 5], [wild], wild),
    ):
        figure.savefig(tmp_path / "a.png")
        matplotlib.pyplot.close(figure)
