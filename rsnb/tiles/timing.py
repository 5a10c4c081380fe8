"""How fast :func:`rsnb.tiles.exact.nearest` is beside FAISS: ``python -m rsnb.tiles.timing``, needs faiss-cpu."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsnb.errors import RsnbError
from rsnb.studies.speed.timing import in_turn
from rsnb.tiles.exact import nearest

BLOCK, TOP = 4096, 10


def compare(
    rows: int = 1_000_000, width: int = 512, queries: tuple[int, ...] = (1, 100), repeats: int = 5
) -> list[dict[str, Any]]:
    """Random rows of unit length, stored as fp16 in files that are mapped and in memory; the ten nearest of them.

    All in turn, in one run: ours, FAISS's flat index of the same values as fp32 and FAISS's fp16 index, each on as many
    threads as torch uses. The three must find the same scores, up to the rounding of float32; as these are sorted and
    FAISS's rows must have our exact scores, rows differ only where scores do not. ``memory_mb`` is what a search takes
    beyond the map, see :func:`peak`; FAISS holds all rows in memory (``index_mb``), the map is the system's to drop.

    Raises:
        RsnbError: faiss is missing, or the results differ.
    """
    try:
        import faiss
    except ImportError:
        raise RsnbError("the comparison needs FAISS: pip install faiss-cpu") from None
    found, before = [], faiss.omp_get_max_threads()
    with tempfile.TemporaryDirectory() as folder:
        blocks = _draw(Path(folder), rows, width)
        flat = faiss.IndexFlatIP(width)
        half = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        half.train(blocks[0].astype(np.float32))
        for block in blocks:
            flat.add(block.astype(np.float32))
            half.add(block.astype(np.float32))
        faiss.omp_set_num_threads(torch.get_num_threads())
        try:
            for number in queries:
                asked = _unit(np.random.default_rng(number), number, width)
                calls: dict[str, Callable] = {
                    "rsnb": lambda q=asked: nearest(blocks, q, TOP),
                    "faiss flat": lambda q=asked: flat.search(q, TOP),
                    "faiss fp16": lambda q=asked: half.search(q, TOP),
                }
                for name in ("faiss flat", "faiss fp16"):
                    _agree(name, calls["rsnb"](), calls[name](), blocks, asked)
                times = in_turn(calls, repeats)
                memory, size = {"rsnb": peak(Path(folder), number, width)}, {"faiss flat": 4, "faiss fp16": 2}
                for name, taken in times.items():
                    ratio = statistics.median(a / b for a, b in zip(taken, times["faiss flat"]))
                    seconds = [round(x, 4) for x in (statistics.median(taken), min(taken), max(taken))]
                    row = {"what": name, "queries": number, **dict(zip(("seconds", "fastest", "slowest"), seconds))}
                    index = round(rows * width * size.get(name, 0) / 2**20)
                    row |= {"to_flat": round(ratio, 3), "memory_mb": memory.get(name), "index_mb": index}
                    found.append(row)
        finally:
            faiss.omp_set_num_threads(before)
    return found


def _unit(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    x = rng.standard_normal((rows, width), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _draw(folder: Path, rows: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    for start in range(0, rows, BLOCK):
        block = _unit(rng, min(BLOCK, rows - start), width)
        np.save(folder / f"{start:012d}.npy", block.astype(np.float16))
    return _mapped(folder)


def _mapped(folder: Path) -> list[np.ndarray]:
    return [np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))]


def _agree(name: str, ours: tuple, theirs: tuple, blocks: list[np.ndarray], queries: np.ndarray) -> None:
    exact, rounding = ours[0], 2 * queries.shape[1] * 2.0**-24  # of a float32 product of vectors of length one
    rows = np.stack([[blocks[row // BLOCK][row % BLOCK] for row in line] for line in theirs[1]]).astype(np.float64)
    true = np.einsum("qkd,qd->qk", rows, queries.astype(np.float64))
    for what, score in (("scores", theirs[0]), ("rows", true)):
        if not np.abs(score - exact).max() <= rounding:
            raise RsnbError(f"the {what} of {name} differ from ours by up to {np.abs(score - exact).max():.2g}")


def peak(folder: Path, queries: int, width: int) -> float | None:
    """Largest memory in MB (2**20 bytes) that a search takes beyond the map, in a process of its own: RssAnon of Linux,
    which pages of mapped files are no part of, read every millisecond and compared with what it was before the search
    (after one of a single row, which loads what torch loads once). None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    code = f"from rsnb.tiles.timing import _peak; _peak({str(folder)!r}, {queries}, {width}, {torch.get_num_threads()})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RsnbError(f"the memory of a search was not measured: {done.stderr.strip()[-400:]}")
    return float(done.stdout.split()[-1])


def _peak(folder: str, queries: int, width: int, threads: int) -> None:
    torch.set_num_threads(threads)
    blocks, asked, done = _mapped(Path(folder)), _unit(np.random.default_rng(1), queries, width), threading.Event()
    nearest([blocks[0][:1]], asked, 1)
    before, seen = _anonymous(), []

    def watch() -> None:
        while not done.wait(0.001):
            seen.append(_anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    nearest(blocks, asked, TOP)
    done.set()
    watcher.join()
    print(round(max(seen, default=before) - before, 1))


def _anonymous() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


if __name__ == "__main__":
    for line in compare():
        print(line)
