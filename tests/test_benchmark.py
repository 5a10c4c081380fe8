from __future__ import annotations

import argparse
import json

import pytest

from rsnb.errors import RsnbError
from rsnb.studies import rates
from rsnb.studies.benchmark.command import benchmark_arguments, benchmark_command
from rsnb.studies.benchmark.tables import RECALLS, benchmark_rows, load_results, recall_table
from rsnb.studies.rates import next_rung


def arguments(tmp_path, *more):
    parser = argparse.ArgumentParser()
    benchmark_arguments(parser)
    few = ["--limit", "44", "--epochs", "2", "--search-epochs", "1", "--batch-size", "16", "--seeds", "2"]
    return parser.parse_args([*few, "--out", str(tmp_path), *more])


@pytest.fixture
def two_rungs(monkeypatch):
    """A ladder of two, so that a search is short."""
    monkeypatch.setattr(rates, "LADDER", (1e-9, 3e-3))


@pytest.mark.check
def test_search_on_validation_cells_and_table(tmp_path, two_rungs, capsys, monkeypatch):
    args = arguments(tmp_path, "--methods", "zero_shot,mrs")
    rows = benchmark_command(args)
    assert [r["method"] for r in rows] == ["zero_shot", "mrs"]
    said = capsys.readouterr().out
    assert "MRS-Adapter + HMMC (2 seeds)" in said and "[3/3] mrs seed 1" in said
    folder = tmp_path / "toy-mini"
    assert sorted(p.name for p in folder.glob("*-seed*.json")) == [
        "mrs-seed0.json",
        "mrs-seed1.json",
        "zero_shot-seed0.json",
    ]
    result = json.loads((folder / "mrs-seed1.json").read_text(encoding="utf-8"))
    assert sorted(t["lr"] for t in result["search"]) == [1e-9, 3e-3]
    assert result["config"]["lr"] == max(result["search"], key=lambda t: t["val_mr"])["lr"]
    assert result["val_mr"] == pytest.approx(max(r["val_mr"] for r in result["history"]), abs=0.01)
    assert result["trainable"] == 37_248 and result["config"]["seed"] == 1 and "toy world" in result["stamp"]
    assert result["file_bytes"] > 4 * 37_248 and result["memory_mb"]["activations"] > 1
    found = [json.loads((folder / f"mrs-seed{k}.json").read_text(encoding="utf-8"))["honest"] for k in (0, 1)]
    assert rows[1]["mr"] == pytest.approx(sum(f["expected"]["mr"] for f in found) / 2, abs=0.01)
    assert rows[1]["ties_low"] == min(f["ties_mr"][0] for f in found) <= rows[1]["mr"] <= rows[1]["ties_high"]
    assert rows[1]["of_ceiling"] == pytest.approx(rows[1]["mr"] / found[0]["ceiling"]["mr"], abs=1e-3)
    assert (folder / "table.png").stat().st_size > 10_000
    assert "MRS-Adapter + HMMC (2 seeds)" in (folder / "table.md").read_text(encoding="utf-8")
    assert (folder / "table.csv").read_text(encoding="utf-8").count("\n") == 3
    assert not list((tmp_path / "state").iterdir()), "the states of finished runs are left behind"

    def never(*args, **kwargs):
        raise AssertionError("a finished cell was run again")

    monkeypatch.setattr("rsnb.training.train", never)
    assert benchmark_command(args) == rows
    args.epochs = 3
    with pytest.raises(RsnbError, match="run again"):
        benchmark_command(args)


def test_a_table_counts_all_its_rows_alike():
    """One result without the expected recalls, and the whole table shows those of a sort."""
    old = [{k: v for k, v in result.items() if k != "honest"} for result in load_results("toy", "mini")[:2]]
    honest = {"expected": dict.fromkeys((*RECALLS, "mr"), 50.0), "ties_mr": [49.0, 51.0], "ceiling": {"mr": 80.0}}
    plain = benchmark_rows([old[0], {**old[1], "honest": honest}])
    assert {r["counting"] for r in plain} == {"sort"} and plain[1]["mr"] != 50
    (row,) = benchmark_rows([{**old[0], "honest": honest}])
    assert (row["counting"], row["mr"], row["of_ceiling"]) == ("expected", 50.0, 0.625)
    text = recall_table([row])
    assert "| 50.0 | 49.0 to 51.0 | 62 % |" in text and "expected over random orders of ties" in text
    text = recall_table(plain)
    assert "of the ceiling" not in text and "order of the data set" in text


def test_a_failed_cell_is_named_and_leaves_the_others_alone(tmp_path, monkeypatch, capsys):
    import rsnb.training as loop

    real = loop.train

    def breaks(model, train, val, config, **more):
        if config.method == "linear_probe" and config.seed == 0:
            raise ValueError("out of luck")
        return real(model, train, val, config, **more)

    monkeypatch.setattr("rsnb.training.train", breaks)
    args = arguments(tmp_path, "--methods", "linear_probe,zero_shot", "--search-epochs", "0", "--epochs", "1")
    with pytest.raises(RsnbError, match="1 failed, the others are done") as failure:
        benchmark_command(args)
    assert "linear_probe, seed 0: ValueError: out of luck" in str(failure.value)
    done = sorted(p.name for p in (tmp_path / "toy-mini").glob("*-seed*.json"))
    assert done == ["linear_probe-seed1.json", "zero_shot-seed0.json"]


def test_another_loss_is_another_file(tmp_path):
    few = ("--methods", "mrs", "--loss", "clip", "--seeds", "1", "--epochs", "1", "--search-epochs", "0")
    (row,) = benchmark_command(arguments(tmp_path, *few))
    assert row["title"] == "MRS-Adapter + CLIP loss" and row["loss"] == "clip"
    assert (tmp_path / "toy-mini" / "mrs+clip-seed0.json").is_file()


def test_the_plan_runs_nothing(tmp_path, capsys):
    plan = benchmark_command(arguments(tmp_path, "--methods", "mrs,zero_shot,full", "--dry-run"))
    assert [r["method"] for r in plan] == ["mrs", "zero_shot", "full"]
    assert plan[0]["hours"] > 0 and plan[1]["hours"] == 0
    assert plan[2]["memory_mb"] > plan[0]["memory_mb"] > plan[1]["memory_mb"]
    assert not list((tmp_path / "toy-mini").glob("*.json")) and "MRS-Adapter" in capsys.readouterr().out


def test_the_search_climbs_while_the_best_is_the_outermost():
    def climb(score, start):
        tried = []
        while (lr := next_rung(tried, start)) is not None:
            tried.append((lr, score(lr)))
        return [lr for lr, _ in tried]

    assert climb(lambda lr: -abs(lr - 1e-3), 1e-3) == [1e-3, 3e-4, 3e-3]
    assert climb(lambda lr: lr, 1e-3) == [1e-3, 3e-4, 3e-3, 1e-2, 3e-2, 1e-1]
    assert climb(lambda lr: -lr, 1e-4) == [1e-4, 3e-5, 3e-4, 1e-5]
    assert climb(lambda lr: -abs(lr - 1e-4), 2e-4) == [3e-4, 1e-4, 1e-3, 3e-5]


def test_bad_arguments(tmp_path):
    with pytest.raises(RsnbError, match="no method is called magic"):
        benchmark_command(arguments(tmp_path, "--methods", "mrs,magic"))
    with pytest.raises(RsnbError, match="does not go with --limit"):
        benchmark_command(arguments(tmp_path, "--install"))
