from __future__ import annotations

import argparse
import json

import pytest

from rsnb import benchmark
from rsnb.errors import RsnbError


def arguments(tmp_path, *more):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    few = ["--limit", "44", "--epochs", "2", "--search-epochs", "1", "--batch-size", "16", "--seeds", "2"]
    return parser.parse_args([*few, "--out", str(tmp_path), *more])


@pytest.fixture
def small_grid(monkeypatch):
    grid = [{"loss": "hmmc", "lr": 1e-9}, {"loss": "hmmc", "lr": 3e-3}]
    monkeypatch.setitem(benchmark.GRIDS, "mrs", grid)
    return grid


def test_search_on_validation_cells_and_table(tmp_path, small_grid, capsys, monkeypatch):
    args = arguments(tmp_path, "--methods", "zero_shot,mrs")
    rows = benchmark.run(args)
    assert [r["method"] for r in rows] == ["zero_shot", "mrs"]
    assert "MRS-Adapter + HMMC (2 seeds)" in capsys.readouterr().out
    folder = tmp_path / "toy-mini"
    assert sorted(p.name for p in folder.glob("*-seed*.json")) == [
        "mrs-seed0.json", "mrs-seed1.json", "zero_shot-seed0.json",
    ]  # fmt: skip
    result = json.loads((folder / "mrs-seed1.json").read_text(encoding="utf-8"))
    assert [t["lr"] for t in result["search"]] == [1e-9, 3e-3]
    assert result["config"]["lr"] == max(result["search"], key=lambda t: t["val_mr"])["lr"]
    assert result["val_mr"] == pytest.approx(max(r["val_mr"] for r in result["history"]), abs=0.01)
    assert result["trainable"] == 37_248 and result["config"]["seed"] == 1 and "toy world" in result["stamp"]
    mean = sum(json.loads((folder / f"mrs-seed{k}.json").read_text())["test"]["mr"] for k in (0, 1)) / 2
    assert rows[1]["mr"] == pytest.approx(mean, abs=0.01)

    def never(*args, **kwargs):
        raise AssertionError("a finished cell was run again")

    monkeypatch.setattr("rsnb.training.train", never)
    assert benchmark.run(args) == rows
    args.epochs = 3
    with pytest.raises(AssertionError, match="run again"):
        benchmark.run(args)


def test_bad_arguments(tmp_path):
    with pytest.raises(RsnbError, match="no method is called magic"):
        benchmark.run(arguments(tmp_path, "--methods", "mrs,magic"))
    with pytest.raises(RsnbError, match="does not go with --limit"):
        benchmark.run(arguments(tmp_path, "--install"))
