"""The README's result tables are the committed result files, to the letter."""

from __future__ import annotations

import json

import pytest

from rsnb import benchmark


@pytest.mark.parametrize("data", ["toy", "ucm"])
def test_tables_equal_the_result_files(repo, data):
    results = benchmark.load_results(data, "mini")
    assert {"zero_shot", "mrs", "full"} <= {r["method"] for r in results}
    table = benchmark.text_table(benchmark.table(results))
    readme = (repo / "README.md").read_text(encoding="utf-8")
    for line in table.strip().splitlines():
        assert line in readme, f"README differs from the result files: {line}"


@pytest.mark.parametrize("data", ["toy", "ucm"])
def test_result_files_are_whole(data):
    for result in benchmark.load_results(data, "mini"):
        test = result["test"]
        assert test["mr"] == pytest.approx(sum(test[k] for k in benchmark.RECALLS) / 6, abs=0.01)
        assert result["command"].startswith("rsnb benchmark") and result["stamp"] and result["date"]
        if result["method"] != "zero_shot":
            best = max(result["history"], key=lambda row: row["val_mr"])
            assert result["best_epoch"] == best["epoch"], "the best epoch is chosen on validation"


def recorded(data):
    """The committed result whose adapter is shipped: MRS-Adapter with HMMC, seed 0."""
    results = benchmark.load_results(data, "mini")
    return next(r for r in results if (r["method"], r["config"]["loss"], r["seed"]) == ("mrs", "hmmc", 0))


def test_the_shipped_adapter_gives_the_recorded_recalls():
    import rsnb
    from rsnb import paths

    model = rsnb.load_adapter(paths.adapters_dir() / "toy-mini-mrs-seed0.safetensors")
    report = rsnb.evaluate(model, rsnb.load_dataset("toy", "test"))
    assert report.mr == pytest.approx(recorded("toy")["test"]["mr"], abs=0.2)  # another machine rounds otherwise
    assert rsnb.count_trainable(model) <= 0.03 * sum(p.numel() for p in model.clip.model.parameters())


def test_the_shipped_adapter_gives_the_recorded_recalls_on_real_images(shared_data):
    import rsnb
    from rsnb import paths

    root = shared_data / "ucm_precomp"
    if not root.is_dir():
        pytest.skip("no ucm_precomp in the real data")
    model = rsnb.load_adapter(paths.adapters_dir() / "ucm-mini-mrs-seed0.safetensors")
    report = rsnb.evaluate(model, rsnb.load_dataset("ucm", "test", root=root))
    assert report.mr == pytest.approx(recorded("ucm")["test"]["mr"], abs=0.5)


def test_the_table_of_methods_holds_what_the_search_chose():
    """Where a search on the toy world's validation part is committed, METHODS starts from its winner."""
    from rsnb import paths
    from rsnb.methods import METHODS

    found = {p.stem.removeprefix("search-"): p for p in (paths.results_dir() / "toy-mini").glob("search-*.json")}
    assert set(METHODS) - {"zero_shot"} <= set(found)
    for method in set(found) & set(METHODS):
        tried = json.loads(found[method].read_text(encoding="utf-8"))["tried"]
        assert METHODS[method].lr == max(tried, key=lambda t: t["val_mr"])["lr"], method


def test_the_speed_table_is_the_result_files(repo):
    from rsnb import bench

    readme = (repo / "README.md").read_text(encoding="utf-8")
    assert [line for line in bench.text_table().splitlines() if line not in readme] == []
    assert "RANDOM" in bench.load("step-cpu")["backbone"] and "random weights" in readme
    compiled = bench.load("compile-mini-cpu")["compile"]
    said = f"a step is {compiled['ratio']['median']:.2f} times as fast, after {compiled['first_step_seconds']:.0f} s of"
    assert said in " ".join(readme.split())


def test_what_the_readme_says_of_the_tables(repo):
    """Each figure of the paragraphs under the tables, from the result files."""
    readme = " ".join((repo / "README.md").read_text(encoding="utf-8").split())
    toy = {r["title"]: r for r in benchmark.table(benchmark.load_results("toy", "mini"))}
    mr = {title: row["mr"] for title, row in toy.items()}
    mrs, crossed, full = mr["MRS-Adapter + HMMC"], mr["MRS-Adapter + CLIP loss"], mr["Full fine-tuning"]
    said = [f"MRS-Adapter with HMMC ({mrs:.1f})", f"with CLIP's loss MRS-Adapter gets {crossed:.1f}",
            f"with HMMC AdaptFormer gets {mr['AdaptFormer + HMMC']:.1f} (its own {mr['AdaptFormer']:.1f})",
            f"costs it about {crossed - mrs:.0f} mR", f"reaches {mrs / full:.2f} of full fine-tuning with HMMC",
            f"and {crossed / full:.2f} with CLIP's loss", f"starts at {mr['Zero-shot CLIP'] / full:.2f} of full",
            f"spread over seeds is {max(r['mr_sd'] or 0 for r in toy.values()):.1f} at most"]  # fmt: skip
    others = [t for t in mr if t not in ("Zero-shot CLIP", "Full fine-tuning") and " + " not in t]
    said += [f"{title} ({mr[title]:.1f})" for title in others]
    ucm = {r["title"]: r["mr"] for r in benchmark.table(benchmark.load_results("ucm", "mini"))}
    share = ucm["MRS-Adapter + HMMC"] / ucm["Full fine-tuning"]
    best = max((t for t in ucm if t not in ("Zero-shot CLIP", "Full fine-tuning")), key=ucm.get)
    said += [f"small methods: {best} ({ucm[best]:.1f}); MRS-Adapter reaches {share:.2f} of full fine-tuning"]
    assert [words for words in said if words not in readme] == []


def test_what_the_readme_says_of_the_exercises(repo):
    from rsnb.exercises import table

    rows = table.rows()
    readme = " ".join((repo / "README.md").read_text(encoding="utf-8").split())
    right, wrong = sum(r["right"] for r in rows), sum(r["wrong"] for r in rows)
    assert f"with {len(rows)} exercises in between" in readme
    assert f"on {right} right and {wrong} wrong answers" in readme
    assert sum(r["passed"] for r in rows) == right and sum(r["named"] for r in rows) == wrong


def test_the_ablation_of_the_loss_is_the_committed_one(repo):
    from rsnb import ablate, effects

    study = ablate.read_studies()["loss"]
    table = effects.rows(study["done"], study["baseline"])
    readme = (repo / "README.md").read_text(encoding="utf-8")
    assert [line for line in effects.text_table(table).splitlines() if line not in readme] == []
    verdict = {row["cell"]: row["verdict"] for row in table}
    worse = ("cross-modal hinge alone", "without intra-image", "without intra-text")
    assert {verdict[name] for name in worse} == {"worse"}
    assert verdict["CLIP's loss"] == "noise" and study["epochs"] == 12 and table[0]["seeds"] == 3
