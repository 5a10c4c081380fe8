"""The paper's settings, interrupted and resumed cells, rehearsals that say so, and the table beside the paper's."""

from __future__ import annotations

import json
import statistics

import pytest
import torch

import rsnb
from rsnb.base import paths
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.studies import paper
from rsnb.studies.reproduction import cells as reproduction_cells
from rsnb.studies.reproduction.command import default_reproduce_arguments, reproduce_command
from rsnb.studies.reproduction.compare import (
    COLUMNS,
    chance_recall,
    compare_with_paper,
    comparison_sentence,
    load_rehearsal,
)
from rsnb.studies.reproduction.figures import beside_figure, time_figure
from rsnb.studies.reproduction.weights import is_untrained, looks_like_openai, untrained_checkpoint

FEW = {"data": "toy", "backbone": "mini", "pretrained": "untrained", "limit": 6, "epochs": 1, "precision": "fp32"}


def arguments(tmp_path, **changes):
    return default_reproduce_arguments(**{**FEW, "out": tmp_path, **changes})


# --- settings and estimate --------------------------------------------------------------------------------------
def test_the_settings_are_the_papers():
    c = TrainConfig.paper()
    assert (c.optimizer, c.lr, c.lr_decay, c.lr_step, c.epochs, c.batch_size) == ("adam", 2e-4, 0.7, 19, 30, 16)
    assert (c.pairs, c.loss, c.margin, c.token_dropout, c.weights) == ("all", "hmmc", 0.2, 0.2, (1.0, 1.0, 1.0))
    defaults = default_reproduce_arguments()
    assert defaults.epochs == 30 and defaults.backbone == "ViT-B-32-quickgelu" and defaults.pretrained == "openai"


def test_each_cell_is_trained_with_them(tmp_path):
    grid = reproduction_cells.Reproduction(arguments(tmp_path, epochs=30))
    for method, loss in (("mrs", "hmmc"), ("adaptformer", "clip")):
        chosen, tried = grid.search(method)
        assert tried == [] and chosen["loss"] == loss
        assert grid.config(method, 1, chosen) == TrainConfig.paper(method=method, seed=1, loss=loss, precision="fp32")


def test_hours_from_steps():
    encode = {"seconds_per_image": 0.5, "seconds_per_caption": 0.1}
    images, captions = {"train": 32, "val": 8, "test": 10}, 160  # 10 steps; an image with its captions costs 1 s
    assert reproduction_cells.hours(2.0, encode, images, captions, epochs=3) * 3600 == pytest.approx(3 * (20 + 8) + 10)
    assert reproduction_cells.hours(0.0, encode, images, captions, epochs=3) * 3600 == pytest.approx(10)
    assert reproduction_cells.full_size("ucm") == ({"train": 1512, "val": 378, "test": 210}, 7560)
    assert [reproduction_cells.duration(h) for h in (30, 0.5, 0.01)] == ["30.0 h", "30 min", "36 s"]


def test_dry_run(tmp_path, capsys):
    assert reproduce_command(arguments(tmp_path, dry_run=True, json=True, methods="zero_shot,mrs,full")) == 0
    found = json.loads(capsys.readouterr().out)
    zero, mrs, full = found["estimate"]["methods"]
    assert zero["seconds_per_step"] == 0 < mrs["seconds_per_step"] and 0 < zero["hours"] < mrs["hours"]
    assert full["memory_mb"] > mrs["memory_mb"] > zero["memory_mb"] and full["disk_mb"] > mrs["disk_mb"] > 0
    hours = found["estimate"]["paper_hours"]["mrs"]
    assert hours["rsicd"] > hours["rsitmd"] > hours["ucm"] > 0
    assert found["stamp"].startswith("REHEARSAL") and not list(tmp_path.rglob("*-seed*.json"))


@pytest.mark.check
def test_a_plan_needs_no_weights(tmp_path, capsys):
    """Neither a download nor a file; and it does not say that they are random, but that it has not loaded them."""
    for pretrained in ("openai", "laion2b_s34b_b79k", str(tmp_path / "not-there-yet.pt")):
        args = arguments(tmp_path, dry_run=True, json=True, pretrained=pretrained, backbone="ViT-B-32-quickgelu")
        grid = reproduction_cells.Reproduction(args)
        assert "no weights are loaded" in grid.stamp and "RANDOM" not in grid.stamp + " ".join(grid.reasons)
        assert grid.weights["megabytes"] == pytest.approx(605.1, abs=0.1)
    assert not list(tmp_path.rglob("*.safetensors"))
    args = arguments(tmp_path, dry_run=True, json=True, backbone="mini", pretrained="untrained")
    assert reproduction_cells.Reproduction(args).reasons[0].startswith("RANDOM weights")


# --- a run ------------------------------------------------------------------------------------------------------
@pytest.mark.check
def test_a_rehearsal_from_the_command_to_the_table(tmp_path, capsys, monkeypatch):
    installed = tmp_path / "results"
    installed.mkdir()
    monkeypatch.setattr(paths, "results_dir", lambda: installed)
    args = arguments(tmp_path / "out", seeds=2, install=True)
    assert reproduce_command(args) == 0
    said = capsys.readouterr().out
    assert "[3/3] mrs seed 1" in said and "nothing follows from the difference" in said
    assert "| MRS-Adapter + HMMC, ours (2 seeds) |" in said and "untrained-mini.safetensors" in said
    cells = sorted(p.name for p in (tmp_path / "out" / "untrained-try" / "toy-mini").glob("*-seed*.json"))
    assert cells == ["mrs-seed0.json", "mrs-seed1.json", "zero_shot-seed0.json"]
    summary = load_rehearsal()
    assert {"what", "command", "date", "stamp", "versions"} <= set(summary) and "python" in summary["versions"]
    assert summary["stamp"].startswith("REHEARSAL") and "RANDOM weights" in summary["stamp"]
    assert "--pretrained untrained" in summary["command"] and "--limit 6" in summary["command"]
    assert str(tmp_path) not in json.dumps(summary), "a place on this machine is in the result file"
    zero, mrs = summary["rows"]
    assert mrs["ours"]["mr"] == pytest.approx(statistics.fmean(mrs["all_mr"]), abs=0.01) and mrs["paper"] is None
    assert zero["spread"] is None and mrs["spread"]["mr"] == pytest.approx(statistics.stdev(mrs["all_mr"]), abs=0.01)
    assert abs(zero["ours"]["mr"] - zero["chance"]["mr"]) < 25, "random weights should be near guessing"
    config = json.loads((tmp_path / "out/untrained-try/toy-mini/mrs-seed1.json").read_text("utf-8"))["config"]
    assert (config["lr"], config["pairs"], config["batch_size"], config["seed"]) == (2e-4, "all", 16, 1)
    monkeypatch.setattr("rsnb.training.train", lambda *args, **more: pytest.fail("a finished cell was run again"))
    assert reproduce_command(args) == 0


@pytest.mark.check
def test_an_interrupted_cell_goes_on_and_ends_alike(tmp_path, monkeypatch):
    import rsnb.training as loop

    whole = reproduction_cells.Reproduction(arguments(tmp_path / "whole", epochs=2)).result("mrs")
    real, epochs = loop.evaluate, []

    def interrupted(*args, **options):
        epochs.append(len(epochs))
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(loop, "evaluate", interrupted)
    args = arguments(tmp_path / "cut", epochs=2, methods="mrs")
    with pytest.raises(KeyboardInterrupt):
        reproduce_command(args)
    assert not list((tmp_path / "cut").rglob("*-seed*.json"))
    assert reproduce_command(args) == 0
    assert len(epochs) == 3, "epoch 1, epoch 2 broken off, then 2 again and not the first"
    found = json.loads((tmp_path / "cut/untrained-try/toy-mini/mrs-seed0.json").read_text("utf-8"))
    assert [row["loss"] for row in found["history"]] == [row["loss"] for row in whole["history"]]
    assert {k: found["test"][k] for k in COLUMNS} == {k: whole["test"][k] for k in COLUMNS}


def test_a_failed_cell_is_named_and_the_others_are_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rsnb.training.train", lambda *args, **more: 1 / 0)
    assert reproduce_command(arguments(tmp_path)) == 1
    said = capsys.readouterr().out
    assert "FAILED mrs, seed 0: ZeroDivisionError" in said and "Zero-shot CLIP, ours (1 seed)" in said


def test_a_try_never_touches_a_full_run(tmp_path):
    full = reproduction_cells.Reproduction(arguments(tmp_path, limit=None, epochs=30))
    attempt = reproduction_cells.Reproduction(arguments(tmp_path, epochs=30))
    assert full.folder != attempt.folder and full.args.pretrained == attempt.args.pretrained


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seeds": 0}, "--seeds must be at least 1"),
        ({"epochs": 0}, "--epochs must"),
        ({"limit": -1}, "--limit must"),
        ({"methods": "magic"}, "no method is called magic"),
        ({"pretrained": "gone/away.pt"}, "no checkpoint at"),
        ({"data": "ucm"}, "does not ship"),
        ({"backbone": "ViT-B-33"}, "similar names"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_bad_arguments(tmp_path, changes, message, monkeypatch):
    monkeypatch.delenv("RSNB_ROOT", raising=False)
    with pytest.raises(RsnbError, match=message):
        reproduce_command(arguments(tmp_path, **changes))


def test_bad_places(tmp_path):
    (tmp_path / "busy").write_text("a file, no folder")
    with pytest.raises(RsnbError, match="another --out"):
        reproduce_command(arguments(tmp_path / "busy"))
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(RsnbError, match="cannot be read as weights"):
        reproduce_command(arguments(tmp_path, pretrained=str(tmp_path / "broken.safetensors")))


# --- what may be compared ---------------------------------------------------------------------------------------
def test_weights_that_were_never_trained_are_known(tmp_path):
    trained = rsnb.load_clip("mini")
    file = untrained_checkpoint("mini", tmp_path / "new" / "untrained.safetensors")
    fresh = rsnb.load_clip("mini", file)
    assert is_untrained(fresh) and not is_untrained(trained)
    assert "RANDOM" not in fresh.stamp, "a file does not say so by itself; this is why the code looks"
    assert untrained_checkpoint("mini", tmp_path / "b.safetensors").read_bytes() == file.read_bytes()
    before = file.stat().st_mtime_ns
    assert untrained_checkpoint("mini", file).stat().st_mtime_ns == before


def test_marks_of_openais_weights():
    clip = rsnb.load_clip("mini")
    assert not looks_like_openai(clip)
    with torch.no_grad():
        clip.model.logit_scale.fill_(4.6052)
        assert looks_like_openai(clip)  # the mini CLIP is kept in half precision, too
        clip.model.visual.conv1.weight.mul_(1.0001)
    assert not looks_like_openai(clip)


def test_reasons_against_a_comparison(tmp_path):
    grid = reproduction_cells.Reproduction(arguments(tmp_path))
    assert grid.reasons[0].startswith("RANDOM weights") and "6 images" in " ".join(grid.reasons)
    grid = reproduction_cells.Reproduction(arguments(tmp_path, pretrained=None, limit=None, epochs=30))
    assert grid.reasons == ["the backbone is mini, the paper's is ViT-B/32", "the data is toy world (drawn)"]
    grid.args.data, grid.args.backbone = "ucm", reproduction_cells.BACKBONE
    grid.weights = {"untrained": False, "openai": True}
    assert grid._reasons() == ["264 test images, the paper has 210"]
    grid.parts["test"] = range(210)
    assert grid._reasons() == []
    grid.weights["openai"] = False
    assert grid._reasons() == ["these weights are not OpenAI's"]


# --- the table --------------------------------------------------------------------------------------------------
def result(method, seed, value, images=210, trainable=161_088, ties=0.0):
    test = dict.fromkeys(COLUMNS, value + ties / 2) | {"images": images, "captions": 5 * images}
    honest = {"expected": dict.fromkeys(COLUMNS, value), "ties_mr": [value - ties, value + ties]}
    about = {"method": method, "title": "MRS-Adapter + HMMC", "seed": seed, "trainable": trainable}
    return {**about, "test": test, "honest": honest}


def test_ours_paper_difference_spread():
    (row,) = compare_with_paper([result("mrs", 0, 54.0), result("mrs", 1, 58.0)], "ucm")
    (printed,) = [r for r in paper.rows("UCM") if r.method == "mrs"]
    assert row["paper"] == {**printed.recalls, "mr": printed.mr} and printed.mr == 55.71
    assert row["ours"]["mr"] == 56.0 and row["difference"]["mr"] == 0.29
    assert row["spread"]["mr"] == pytest.approx(2.83) and row["all_mr"] == [54.0, 58.0]
    assert row["difference"]["text_r1"] == pytest.approx(56 - printed.recalls["text_r1"])
    assert compare_with_paper([result("lora", 0, 50.0)], "ucm")[0]["paper"] is None
    assert compare_with_paper([result("mrs", 0, 50.0)], "toy")[0]["difference"] is None


def test_sentences():
    one = compare_with_paper([result("mrs", 0, 53.8)], "ucm")[0]
    said = "MRS-Adapter + HMMC: 53.8 mR against 55.7 printed, -1.9; one seed, so no spread."
    assert comparison_sentence(one, []) == said
    tied = compare_with_paper([result("mrs", 0, 53.8, ties=4.0)], "ucm")[0]
    assert tied["ours"]["mr"] == 53.8, "not what one order of the ties gives"
    assert "53.8 (orders of ties: 49.8 to 57.8) mR against 55.7 printed, -1.9" in comparison_sentence(tied, [])
    said = comparison_sentence(one, ["RANDOM weights, never trained"])
    assert "REHEARSAL (RANDOM weights, never trained): nothing follows" in said and "-1.9" not in said
    for values, where in (((54, 58), "among"), ((56, 58), "below"), ((50, 52), "above")):
        row = compare_with_paper([result("mrs", seed, value) for seed, value in enumerate(values)], "ucm")[0]
        assert f"lies {where} our seeds, and the paper prints no spread" in comparison_sentence(row, [])
    zero = compare_with_paper([result("zero_shot", 0, 33.0, trainable=0)], "ucm")[0]
    assert "nothing is trained" in comparison_sentence(zero, [])
    assert "the paper has no such row" in comparison_sentence(
        compare_with_paper([result("lora", 0, 50.0)], "ucm")[0], []
    )


def test_guessing():
    found = chance_recall(210, 1050)
    assert found["image_r1"] == found["text_r1"] == round(100 / 210, 2)  # 5 of 1,050 is 1 of 210
    assert found["image_r10"] == round(1000 / 210, 2) > found["text_r10"]
    torch.manual_seed(0)
    ranks = torch.stack([torch.rand(1050).argsort()[:5].min() for _ in range(20_000)])
    assert found["text_r10"] == pytest.approx(100 * (ranks < 10).float().mean().item(), abs=0.4)
    assert chance_recall(2, 4)["image_r5"] == 100


def test_figures():
    rows = compare_with_paper([result("mrs", 0, 54.0), result("mrs", 1, 58.0), result("zero_shot", 0, 33.0)], "ucm")
    figure = beside_figure(rows, "How far?", rehearsal=True)
    assert len(figure.axes) == 2 and all("REHEARSAL" in [x.get_text() for x in axis.texts] for axis in figure.axes)
    plain = beside_figure(rows, "How far?")
    assert not any(axis.texts for axis in plain.axes)
    time = time_figure({"here": 2.0}, "How long?")
    (axis,) = time.axes
    assert "RSICD: 73,710 steps" in [x.get_text() for x in axis.get_legend().get_texts()]


def test_the_committed_rehearsal():
    found = load_rehearsal("rehearsal")
    assert found["stamp"].startswith("REHEARSAL") and "RANDOM weights" in found["stamp"]
    assert found["backbone"] == reproduction_cells.BACKBONE and found["data"] == "ucm" and found["reasons"]
    zero, mrs = found["rows"]
    assert mrs["trainable"] == 161_088 and mrs["paper"]["mr"] == 55.71 and zero["paper"]["mr"] == 33.08
    assert abs(zero["ours"]["mr"] - zero["chance"]["mr"]) < 8 and "nothing follows" in found["sentences"][1]
    assert found["estimate"]["weights_mb"] == pytest.approx(605.1, abs=0.1)
    assert load_rehearsal("reproduction-nowhere") is None
