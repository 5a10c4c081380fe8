"""The page of one's own tiles: its blocks are run as they stand there, and FAISS and LanceDB find what we find."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

import rsnb


@pytest.fixture
def blocks(repo) -> list[str]:
    text = (repo / "notebooks" / "own_tiles.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy = rsnb.load_dataset("toy", "test")
    for name, images in (("tiles", range(60)), ("more", range(60, 64))):
        (tmp_path / name).mkdir()
        for i in images:
            shutil.copy(toy[i].path, tmp_path / name / f"{i:02d}.png")


@pytest.mark.filterwarnings("ignore::UserWarning")  # LanceDB's about forks
def test_the_page_runs_and_all_find_the_same(blocks, folders, capsys):
    names: dict = {"__name__": "__main__"}
    pool = [n for n, block in enumerate(blocks) if "ProcessPoolExecutor" in block]
    for n, block in enumerate(blocks):
        if n not in pool:  # spawned processes would import this module: tests/test_tiles_index.py does it
            exec(compile(block, "own_tiles.md", "exec"), names)
    hits = names["hits"]
    assert len(hits) == 5 and names["picture"].size == (128, 128)
    names["lists"].nprobe = names["lists"].nlist  # all lists: exact
    scores, found = names["lists"].search(names["query"], 5)
    paths = names["pandas"].read_parquet("tiles.index/tiles.parquet")["path"].iloc[found[0]]
    assert paths.tolist() == hits["path"].tolist() and np.abs(scores[0] - hits["score"]).max() < 1e-5
    near = names["tiles"].search(names["query"][0]).distance_type("dot").limit(5).to_pandas()
    assert near["path"].tolist() == hits["path"].tolist()
    assert len(pool) == 1


def test_the_columns_of_the_page_are_those_of_the_table(repo):
    from rsnb.tiles.store import schema

    text = (repo / "notebooks" / "own_tiles.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in schema().names)
