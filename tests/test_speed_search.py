"""The times of a search beside FAISS are of the same hits; on a few rows, for their form."""

from __future__ import annotations

import json

import pytest

from rsnb.errors import RsnbError
from rsnb.studies.speed import search
from rsnb.studies.speed.command import bench_command, default_bench_arguments


def test_the_same_hits_are_timed():
    pytest.importorskip("faiss", reason="needs faiss-cpu")
    found = search.measure_search(2, rows=5000, width=32, small=100)
    assert list(found) == ["1 query", "100 queries", "1 query, 100 rows"]
    for one in found.values():
        assert 0 < one["ratio"]["min"] <= one["ratio"]["median"] <= one["ratio"]["max"]
        assert min(one["ours_seconds"], one["flat_seconds"], one["fp16_seconds"]) > 0


def test_other_hits_are_an_error():
    pytest.importorskip("faiss", reason="needs faiss-cpu")
    import numpy as np

    rng = np.random.default_rng(0)
    blocks, query = [search._unit(rng, 50, 8).astype(np.float16)], search._unit(rng, 1, 8)
    scores, rows = search.nearest(blocks, query, 3)
    search._agree("flat", scores, (scores, rows), blocks, query)
    with pytest.raises(RsnbError, match="other rows"):
        search._agree("flat", scores, (scores, rows[:, ::-1]), blocks, query)


def test_search_is_measured_alone(tmp_path, monkeypatch):
    with pytest.raises(RsnbError, match="choose from"):
        bench_command(default_bench_arguments(parts="step,search"))
    monkeypatch.setattr(search, "measure_search", lambda rounds: {"1 query": {"ratio": {"median": 0.5}}})
    out = tmp_path / "s.json"
    bench_command(default_bench_arguments(parts="search", out=out, threads=2))
    kept = json.loads(out.read_text(encoding="utf-8"))
    assert kept["command"] == "rsnb bench --parts search --rounds 5 --threads 2" and kept["search"]
