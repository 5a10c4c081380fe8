"""The figures that are quoted from the paper."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rsnb import METHODS, paper
from rsnb.evaluation import RECALLS


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


def test_the_rows_are_those_of_the_paper(shared_data):
    path = Path(shared_data).parent / "paper_tables.csv"
    if not path.is_file():
        pytest.skip("no paper_tables.csv beside the real data")
    with path.open(encoding="utf-8") as file:
        printed = [r for r in csv.DictReader(file) if "ViT-B-32" in r["backbone"]]
    ours = paper.rows()
    given = [(r["dataset"], r["method"], float(r["params_millions"]), float(r["mean_recall"])) for r in printed]
    assert given == [(r.dataset, r.title, r.millions, r.mr) for r in ours]
    assert all(float(p[name]) == r.recalls[name] for p, r in zip(printed, ours) for name in RECALLS)
