"""The comparison with the method as published: both compute the same, and the figures are what was timed."""

from __future__ import annotations

import argparse
import json
import time

import pytest
import torch

from rsnb.errors import RsnbError
from rsnb.studies.speed.accounting import ADAPTER, AT_THE_RATE, SLOWER, account, seconds_by_kind
from rsnb.studies.speed.command import bench_arguments, bench_command, default_bench_arguments
from rsnb.studies.speed.measurements import STAIRS, image_loading, savings_one_by_one
from rsnb.studies.speed.pair import Pair
from rsnb.studies.speed.timing import compared, in_turn, threads


def arguments(*more):
    parser = argparse.ArgumentParser()
    bench_arguments(parser)
    few = ["--backbone", "mini", "--batch-size", "4", "--rounds", "1", "--images", "10"]
    return parser.parse_args([*few, *more])


@pytest.fixture(scope="module")
def lab():
    return Pair(arguments())


def test_both_versions_give_the_same_loss_and_gradients(lab, monkeypatch):
    """All dropout off, so that both see the same; the fast forward against the plain one."""
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, *args, **kwargs: x)
    pixels, tokens = lab.batch(4)
    theirs = lab.plain_step(pixels, tokens)()
    for p in lab.model.trainable().values():
        p.grad = None
    ours = lab.our_step(pixels, tokens, "fp32")().item()
    assert ours == pytest.approx(theirs, rel=1e-5) and ours > 0.1
    plain = dict(lab.adapter.named_parameters())
    for name, p in lab.model.added.adapters[0].named_parameters():
        assert (p.grad - plain[name].grad).norm() <= 1e-4 * plain[name].grad.norm(), name


@pytest.mark.check
def test_the_parts_and_the_file(tmp_path, capsys):
    out = tmp_path / "deep" / "results.json"
    results = bench_command(arguments("--parts", "step,evaluation", "--out", str(out)))
    assert json.loads(out.read_text(encoding="utf-8")) == json.loads(json.dumps(results))
    fp32 = results["step"]["fp32"]
    assert results["step"]["largest_difference"] < 1e-4 and fp32["ratio"]["min"] <= fp32["ratio"]["max"]
    assert fp32["gflop"] < results["step"]["plain_gflop"], "the fast step should do less work"
    assert results["evaluation"]["fp32"]["largest_recall_difference"] == 0
    assert "RANDOM" in results["backbone"] and "evaluation:" in capsys.readouterr().out


def test_the_waterfall_goes_down(lab):
    args = default_bench_arguments(backbone="mini", batch_size=4, rounds=1)
    rows = savings_one_by_one(args, lab)
    assert [row["name"] for row in rows] == ["as published", *(name for name, *_ in STAIRS)][: len(rows)]
    kept = [row["megabytes_kept"] for row in rows]
    names = [row["name"] for row in rows]
    assert kept[0] == pytest.approx(kept[1], rel=0.03), "written out, and nothing saved yet"
    assert kept[names.index("captions cut at the longest")] < kept[1]
    assert kept[names.index("backward pass keeps less")] < kept[names.index("last block: pooled token alone")] < kept[1]
    assert all(row["seconds"] > 0 for row in rows)
    with pytest.raises(RsnbError, match="no argument called speed"):
        default_bench_arguments(speed=9)


def test_a_step_is_accounted_for(lab):
    """By name, and to its end: what the kinds of work take adds up to the step."""
    found = account(default_bench_arguments(backbone="mini", batch_size=8, rounds=1), lab)
    rows = {row["name"]: row for row in found["rows"]}
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1, abs=0.15)
    assert 0.5 < found["accounted"] <= 1 and rows[AT_THE_RATE]["share"] > 0.05
    assert found["rows"][0]["share"] >= found["rows"][1]["share"]
    other = argparse.Namespace(**{**vars(arguments()), "device": "cuda"})
    assert account(other, lab) is None, "operations there do not wait for their end"


def test_kinds_of_work_are_told_apart():
    a = torch.randn(300, 300, dtype=torch.bfloat16)

    def work():
        torch.softmax((a @ a).float(), dim=-1)
        a.float() @ a.float()

    seconds, flops = seconds_by_kind(work)
    assert flops == 2 * 300**3, "of the bf16 product alone"
    assert {SLOWER, ADAPTER, "softmax, masks", "casts and copies"} <= set(seconds)
    seconds, flops = seconds_by_kind(lambda: a.float() @ a.float())
    assert flops == 2 * 300**3 and ADAPTER not in seconds


def test_several_threads_are_taken_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_other_programs_count_little():
    """On a CPU its own seconds are counted, not those in which it waits."""
    times = in_turn({"waits": lambda: time.sleep(0.05)}, rounds=1, device="cpu")
    assert times["waits"][0] < 0.04


def test_decoding_against_the_cache():
    found = image_loading(arguments(), None)
    assert found["ratio"]["median"] > 1 and found["file_megabytes"] > 1


def test_ratios_are_of_neighbours():
    calls = {"slow": lambda: time.sleep(0.04), "quick": lambda: time.sleep(0.01)}
    times = in_turn(calls, rounds=3)
    assert [len(seconds) for seconds in times.values()] == [3, 3]
    found = compared(times["slow"], times["quick"])
    low, middle, high = (found["ratio"][k] for k in ("min", "median", "max"))
    assert 1 < low <= middle <= high and found["plain_seconds"] > found["our_seconds"] > 0.009


def test_bad_arguments(tmp_path):
    with pytest.raises(RsnbError, match="choose from step"):
        bench_command(arguments("--parts", "step,magic"))
    with pytest.raises(RsnbError, match="--threads 0"):
        bench_command(arguments("--parts", "step", "--threads", "0"))
    with pytest.raises(RsnbError, match="at least 10"):
        bench_command(arguments("--parts", "evaluation", "--images", "0"))
    (tmp_path / "kept.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RsnbError, match="--force"):
        bench_command(arguments("--parts", "start", "--out", str(tmp_path / "kept.json")))
    if not torch.cuda.is_available():
        with pytest.raises(RsnbError, match="cuda"):
            Pair(arguments("--device", "cuda"))
    with pytest.raises(RsnbError, match="cannot be compared"):
        Pair(arguments("--backbone", "RN50"))
    with pytest.raises(RsnbError, match="cannot be read"):
        Pair(arguments("--captions", str(tmp_path / "none.txt")))
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(RsnbError, match="no caption"):
        Pair(arguments("--captions", str(tmp_path / "empty.txt")))
