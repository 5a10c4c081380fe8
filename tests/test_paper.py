"""The figures that are quoted from the paper."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rsnb import METHODS
from rsnb.base.recalls import RECALLS
from rsnb.studies import paper


def test_each_data_set_has_every_method_of_the_paper():
    assert [m for m, entry in METHODS.items() if entry.paper is None] == ["lora"]
    for name in paper.DATASETS:
        found = paper.mr_of(name)
        assert set(found) == {m for m, entry in METHODS.items() if entry.paper}, name
        for row in paper.rows(name):
            assert row.method is None or row.millions == METHODS[row.method].paper_millions, row


def test_mr_is_the_mean_of_the_recalls_but_for_two_rows():
    wrong = {(r.dataset, r.method) for r in paper.rows() if abs(r.mean - r.mr) > 0.02}
    assert wrong == {("RSITMD", "adaptformer"), ("UCM", "cross_modal")}


def test_all_rows_hold_the_traditional_methods_too():
    everything, ours = paper.all_rows(), paper.rows()
    assert [len(paper.all_rows(name)) for name in paper.DATASETS] == [30, 29, 27] and len(everything) == 86
    assert len(ours) == 42 and [r for r in everything if r in ours] == ours
    assert {r.group for r in everything} == set(paper.GROUPS) and "traditional" not in {r.group for r in ours}
    assert all(r.method is None for r in everything if r.group == "traditional")
    assert [r.title for r in everything if r.millions is None] == ["CABIR", "CABIR"]
    for row in everything:
        assert set(row.recalls) == set(RECALLS)
        for way in ("text", "image"):
            rising = [row.recalls[f"{way}_r{k}"] for k in (1, 5, 10)]
            assert 0 < rising[0] < rising[1] < rising[2] < 100, row


def test_the_rows_are_those_of_the_paper(shared_data):
    path = Path(shared_data).parent / "paper_tables.csv"
    if not path.is_file():
        pytest.skip("no paper_tables.csv beside the real data")
    with path.open(encoding="utf-8") as file:
        printed = list(csv.DictReader(file))
    ours = paper.all_rows()
    given = [(r["dataset"], r["group"], r["method"], r["backbone"], float(r["mean_recall"])) for r in printed]
    assert given == [(r.dataset, r.group, r.title, r.backbone, r.mr) for r in ours]
    millions = [float(r["params_millions"]) if r["params_millions"] else None for r in printed]
    assert millions == [r.millions for r in ours]
    assert all(float(p[name]) == r.recalls[name] for p, r in zip(printed, ours) for name in RECALLS)
