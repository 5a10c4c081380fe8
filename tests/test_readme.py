"""The README's result tables are the committed result files, to the letter."""

from __future__ import annotations

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
