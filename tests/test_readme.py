"""The committed result files are whole, and the shipped adapters give them; test_results.py binds the texts to them."""

from __future__ import annotations

import pytest

from rsnb.studies.benchmark.tables import RECALLS, load_results
from rsnb.studies.speed.tables import load_measurement


@pytest.mark.parametrize("data", ["toy", "ucm"])
def test_result_files_are_whole(data):
    for result in load_results(data, "mini"):
        test = result["test"]
        assert test["mr"] == pytest.approx(sum(test[k] for k in RECALLS) / 6, abs=0.01)
        assert result["command"].startswith("rsnb benchmark") and result["stamp"] and result["date"]
        if result["method"] != "zero_shot":
            best = max(result["history"], key=lambda row: row["val_mr"])
            assert result["best_epoch"] == best["epoch"], "the best epoch is chosen on validation"


def recorded(data):
    """The committed result whose adapter is shipped: MRS-Adapter with HMMC, seed 0."""
    results = load_results(data, "mini")
    return next(r for r in results if (r["method"], r["config"]["loss"], r["seed"]) == ("mrs", "hmmc", 0))


def test_the_shipped_adapter_gives_the_recorded_recalls():
    import rsnb
    from rsnb.base import paths

    model = rsnb.load_adapter(paths.adapters_dir() / "toy-mini-mrs-seed0.safetensors")
    report = rsnb.evaluate(model, rsnb.load_dataset("toy", "test"))
    assert report.mr == pytest.approx(recorded("toy")["test"]["mr"], abs=0.2)  # another machine rounds otherwise
    assert rsnb.count_trainable(model) <= 0.03 * sum(p.numel() for p in model.clip.model.parameters())


def test_the_shipped_adapter_gives_the_recorded_recalls_on_real_images(shared_data):
    import rsnb
    from rsnb.base import paths

    root = shared_data / "ucm_precomp"
    if not root.is_dir():
        pytest.skip("no ucm_precomp in the real data")
    model = rsnb.load_adapter(paths.adapters_dir() / "ucm-mini-mrs-seed0.safetensors")
    report = rsnb.evaluate(model, rsnb.load_dataset("ucm", "test", root=root))
    assert report.mr == pytest.approx(recorded("ucm")["test"]["mr"], abs=0.5)


def test_the_table_of_methods_holds_what_the_search_chose():
    """METHODS holds a rate that the committed search tried on the toy world's validation part: the winner, or one that
    it is ahead of by no more than what counts as noise (it tries one seed of a few epochs)."""
    from rsnb.methods import METHODS
    from rsnb.publishing.kept import NOISE

    results = [
        r for r in load_results("toy", "mini") if r["search"] and r["config"]["loss"] == METHODS[r["method"]].loss
    ]
    assert {r["method"] for r in results} == set(METHODS) - {"zero_shot"}
    for result in results:
        tried = {trial["lr"]: trial["val_mr"] for trial in result["search"]}
        assert tried[METHODS[result["method"]].lr] > max(tried.values()) - NOISE, result["method"]
        assert tried[result["config"]["lr"]] == max(tried.values()), result["method"]


def test_speed_was_measured_with_random_weights(repo):

    readme = (repo / "README.md").read_text(encoding="utf-8")
    assert "RANDOM" in load_measurement("step-cpu")["backbone"] and "random weights" in readme
