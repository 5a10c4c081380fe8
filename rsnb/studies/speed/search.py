"""How fast :func:`rsnb.tiles.exact.nearest` is beside FAISS, on the same stored rows."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsnb.errors import RsnbError
from rsnb.studies.speed.timing import in_turn
from rsnb.tiles.exact import longest_row, nearest

BLOCK, TOP = 4096, 10
ROWS, WIDTH = 1_000_000, 512
SMALL = 10_000  # rows, asked once


def measure_search(rounds: int, rows: int = ROWS, width: int = WIDTH, small: int = SMALL) -> dict[str, Any]:
    """Random rows of unit length, stored as fp16 in files that are mapped and warm; the ten nearest to a query, to 100
    queries at once, and to a query among fewer rows.

    In turn, in one run: ours, FAISS's flat index of the same values in fp32, and FAISS's index in fp16, each on as many
    threads as torch uses. All must find the same scores, up to the rounding of fp32.

    Returns:
        {what: ratio of our time to the flat index's (min, median, max); median seconds of each; search_mb, what our
        search takes in memory beyond the map (None but on Linux); index_mb, what the flat index holds in it}

    Raises:
        RsnbError: faiss is missing, or the results differ.
    """
    asked = {"1 query": (rows, 1), "100 queries": (rows, 100), f"1 query, {small:,} rows": (small, 1)}
    return {what: _measured(rounds, count, width, queries) for what, (count, queries) in asked.items()}


def _measured(rounds: int, rows: int, width: int, queries: int) -> dict[str, Any]:
    try:
        import faiss
    except ImportError:
        raise RsnbError("the comparison needs FAISS: pip install faiss-cpu") from None
    before = faiss.omp_get_max_threads()
    with tempfile.TemporaryDirectory() as folder:
        blocks = _draw(Path(folder), rows, width)
        flat = faiss.IndexFlatIP(width)
        half = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        half.train(blocks[0].astype(np.float32))
        for block in blocks:
            flat.add(block.astype(np.float32))
            half.add(block.astype(np.float32))
        asked = _unit(np.random.default_rng(queries), queries, width)
        longest = longest_row(blocks)  # as an opened index knows it
        calls = {
            "ours": lambda: nearest(blocks, asked, TOP, longest=longest),
            "flat": lambda: flat.search(asked, TOP),
            "fp16": lambda: half.search(asked, TOP),
        }
        faiss.omp_set_num_threads(torch.get_num_threads())
        try:
            scores = calls["ours"]()[0]
            for name in ("flat", "fp16"):
                _agree(name, scores, calls[name](), blocks, asked)
            times = in_turn(calls, rounds)
        finally:
            faiss.omp_set_num_threads(before)
        memory = peak(Path(folder), queries, width)
    ratios = sorted(a / b for a, b in zip(times["ours"], times["flat"]))
    ends = {"min": ratios[0], "median": statistics.median(ratios), "max": ratios[-1]}
    return {
        "ratio": {name: round(value, 2) for name, value in ends.items()},
        **{f"{name}_seconds": round(statistics.median(taken), 6) for name, taken in times.items()},
        "search_mb": memory,
        "index_mb": rows * width * 4 >> 20,
    }


def _unit(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    x = rng.standard_normal((rows, width), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _draw(folder: Path, rows: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    for start in range(0, rows, BLOCK):
        np.save(folder / f"{start:012d}.npy", _unit(rng, min(BLOCK, rows - start), width).astype(np.float16))
    return _mapped(folder)


def _mapped(folder: Path) -> list[np.ndarray]:
    return [np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))]


def _agree(name: str, ours: np.ndarray, theirs: tuple, blocks: list[np.ndarray], queries: np.ndarray) -> None:
    """Place by place, FAISS's score, and the true one of its row, is our score up to the rounding of fp32 products; so
    the rows differ at most where scores hardly do."""
    rows = np.stack([[blocks[row // BLOCK][row % BLOCK] for row in line] for line in theirs[1]]).astype(np.float64)
    for score in (theirs[0], np.einsum("qkd,qd->qk", rows, queries.astype(np.float64))):
        if not (largest := np.abs(score - ours).max()) <= 2 * queries.shape[1] * 2.0**-24:
            raise RsnbError(f"FAISS {name} finds other rows: scores differ by up to {largest:.2g}")


def peak(folder: Path, queries: int, width: int) -> float | None:
    """Most MB that a search takes beyond the map, in a fresh process: RssAnon of Linux, which counts no page of a file,
    read every millisecond, less what it was after a search of one row. None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    given = f"{str(folder)!r}, {queries}, {width}, {torch.get_num_threads()}"
    code = f"from rsnb.studies.speed.search import _peak; _peak({given})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RsnbError(f"the memory of a search was not measured: {done.stderr.strip()[-400:]}")
    return float(done.stdout)


def _peak(folder: str, queries: int, width: int, threads: int) -> None:
    torch.set_num_threads(threads)
    blocks, asked, done = _mapped(Path(folder)), _unit(np.random.default_rng(1), queries, width), threading.Event()
    nearest([blocks[0][:1]], asked, 1)
    seen = [_anonymous()]
    watcher = threading.Thread(target=lambda: [seen.append(_anonymous()) for _ in iter(lambda: done.wait(0.001), True)])
    watcher.start()
    nearest(blocks, asked, TOP)
    done.set()
    watcher.join()
    print(round(max(seen) - seen[0], 1))


def _anonymous() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024
