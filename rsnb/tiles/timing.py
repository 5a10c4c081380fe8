"""How fast :func:`rsnb.tiles.exact.nearest` is beside FAISS: ``python -m rsnb.tiles.timing``, needs faiss-cpu."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
from functools import partial
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
    """Ours, FAISS's flat index of the same values as fp32 and FAISS's fp16 index, timed in turn in one run, each told
    to use as many threads as torch: the ten nearest of random rows of unit length, stored as fp16 in mapped files.

    A row for each of them: median, fastest and slowest seconds, the median ratio to the flat index, MB that a search of
    ours takes beyond the map (:func:`peak`) and MB that the index holds in memory at all times.

    Raises:
        RsnbError: faiss is missing, or the results differ by more than rounding.
    """
    try:
        import faiss
    except ImportError:
        raise RsnbError("the comparison needs FAISS: pip install faiss-cpu") from None
    found, top, before = [], min(TOP, rows), faiss.omp_get_max_threads()
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
            for count in queries:
                asked = _unit(np.random.default_rng(count), count, width)
                calls = {
                    "rsnb": partial(nearest, blocks, asked, top),
                    "faiss flat": partial(flat.search, asked, top),
                    "faiss fp16": partial(half.search, asked, top),
                }
                scores = calls["rsnb"]()[0]
                for name in ("faiss flat", "faiss fp16"):
                    _agree(name, scores, calls[name](), blocks, asked)
                memory = {"rsnb": (peak(Path(folder), count, width), 0)}
                memory |= {f"faiss {name}": (None, rows * width * b >> 20) for name, b in (("flat", 4), ("fp16", 2))}
                for name, taken in (times := in_turn(calls, repeats)).items():
                    ratio = statistics.median(a / b for a, b in zip(taken, times["faiss flat"]))
                    numbers = [round(x, 4) for x in (statistics.median(taken), min(taken), max(taken), ratio)]
                    heads = ("seconds", "fastest", "slowest", "to_flat", "search_mb", "index_mb")
                    found.append({"what": name, "queries": count, **dict(zip(heads, [*numbers, *memory[name]]))})
        finally:
            faiss.omp_set_num_threads(before)
    return found


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
            raise RsnbError(f"{name} finds other rows: scores differ by up to {largest:.2g}")


def peak(folder: Path, queries: int, width: int) -> float | None:
    """Most MB that a search takes beyond the map, in a fresh process: RssAnon of Linux, which counts no page of a file,
    read every millisecond, less what it was after a search of one row. None on other systems."""
    if not sys.platform.startswith("linux"):
        return None
    code = f"from rsnb.tiles.timing import _peak; _peak({str(folder)!r}, {queries}, {width}, {torch.get_num_threads()})"
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


if __name__ == "__main__":
    print(*compare(), sep="\n")
