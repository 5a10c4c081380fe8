"""The nearest rows by inner product, exactly, of an index of fp16 rows in blocks that stay on the disk.

The score of a stored row x and a query q is their true inner product, rounded to float64 and then to float32:
``numpy.float32(math.fsum(x_i * q_i))``, where every product is exact in float64 (11 and 24 bits). Nothing else enters
it: neither the blocks, nor the other queries, nor the number of threads. It is computed for few rows, as follows.

1. Rows and queries are multiplied in fp32, chunk by chunk. With u = 2^-24, a sum of D rounded products, in whatever
   order, misses the true one by at most D u / (1 - D u) sum abs(x_i q_i) (Higham 2002, section 3.1), and that sum is
   at most ``|x| |q|`` (Cauchy-Schwarz). Rounding the score adds ``u |x| |q|``. So, for D up to a million, ::

       abs(approximate - score)  <=  eps  =  2 (D + 2) u |x| |q|  +  D 2^-108,

   where the factor 2 covers 1 / (1 - D u) and the rounding of the norms, and the last term whatever underflows.
2. If k rows are known to have a score >= t, a row of the k best has so too, hence approximate >= t - eps; those that
   have less are done with. Such a t is the k-th best score so far or, before there are k, the k-th best approximate of
   a chunk less eps. It only rises: an old t, read by another thread, is as right and merely lets more through.
3. The others are multiplied in float64. The same bound, with u = 2^-53, says between which two numbers the truth is.
   Where both round to one float32, that is the score; where not, ``math.fsum`` decides.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from rsnb.base.shapes import described
from rsnb.errors import RsnbError

CHUNK = 2**20  # numbers that a thread holds in fp32: 2048 rows of width 512
TOGETHER = 128  # queries
LONGEST = 2.0**80  # a query, in the sum of its absolute values: times any fp16 it is far below the largest float32


def nearest(
    blocks: Sequence[np.ndarray],
    queries: np.ndarray,
    top: int,
    keep: np.ndarray | None = None,
    longest: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The best rows of each query, on as many threads as torch uses.

    Args:
        blocks: each (n_b, D) float16, usually memory-mapped, in order.
        queries: (Q, D) float32.
        top: so many rows for each query; meant to be at most some thousands.
        keep: (N,) bool over the rows of all blocks, the others are not looked at; None: all.
        longest: the length of no row is above it, as :func:`longest_row` finds it; None: it is found on the way.

    Returns:
        scores (Q, k) float32 and rows (Q, k) int64, best first, k = min(top, rows kept). The row numbers count through
        all blocks. Of equal scores the lower row comes first.

    Raises:
        RsnbError: a shape or dtype is another one; a query or a row is not finite.
    """
    count = _checked(blocks, queries, top, keep)
    scores, rows = np.full((len(queries), count), -np.inf, np.float32), np.full((len(queries), count), -1, np.int64)
    step, jobs, first = max(1, CHUNK // max(1, queries.shape[1])), [], 0
    for block in blocks:
        jobs += [(block[start : start + step], first + start) for start in range(0, len(block), step)]
        first += len(block)
    for start in range(0, len(queries) if count else 0, TOGETHER):
        part = slice(start, start + TOGETHER)
        best = _Best(queries[part], scores[part], rows[part], longest)
        left = iter(jobs)  # each thread takes the next chunk
        with _threads() as number, ThreadPoolExecutor(number) as pool:
            for done in [pool.submit(best.search, left, keep) for _ in range(min(number, len(jobs)))]:
                done.result()
    return scores, rows


class _Best:
    """The best rows of some queries (Q, D) so far: ``scores`` (Q, k) and ``rows`` (Q, k). All threads add to them."""

    def __init__(self, queries: np.ndarray, scores: np.ndarray, rows: np.ndarray, longest: float | None):
        self.queries = torch.from_numpy(queries.copy())
        self.lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
        self.scores, self.rows, self.longest, self.lock = scores, rows, longest, threading.Lock()

    def search(self, jobs: Iterator[tuple[np.ndarray, int]], keep: np.ndarray | None) -> None:
        """Look through chunks; each is stored rows (n, D) and the number of the first of them."""
        buffer = torch.empty(0)
        for chunk, first in jobs:
            rows = np.arange(first, first + len(chunk))
            if keep is not None and not keep[rows].all():
                rows = rows[keep[rows]]
                chunk = chunk[rows - first]
            if len(rows):
                if buffer.shape != chunk.shape:
                    buffer = torch.empty(chunk.shape, dtype=torch.float32, device="cpu")
                self._look(buffer.copy_(_tensor(chunk)), rows)

    def _look(self, chunk: Tensor, rows: np.ndarray) -> None:
        """Add what a chunk (n, D) in fp32, whose rows have the numbers ``rows`` (n,), has to add."""
        width, longest = chunk.shape[1], _longest(chunk, rows) if self.longest is None else self.longest
        eps = 2 * (width + 2) * 2.0**-24 * longest * self.lengths + width * 2.0**-108
        approximate = self.queries @ chunk.T  # (Q, n)
        count, kth = self.scores.shape[1], self.scores[:, -1].astype(np.float64)
        if len(rows) >= count and not np.isfinite(kth).all():  # see 2.
            kth = np.maximum(kth, approximate.topk(count).values[:, -1].double().numpy() - eps)
        least = np.nextafter((kth - eps).astype(np.float32), -np.float32(np.inf))
        of = np.flatnonzero(approximate.amax(dim=1).numpy() >= least)  # queries for which there is something here
        if not len(of):
            return
        near = approximate[of].numpy()
        some = np.flatnonzero((near >= least[of, None]).any(axis=0))
        value, score = exact(self.queries[of].double(), chunk[some].double())
        if (np.abs(near[:, some] - value) > eps[of, None]).any():
            raise RsnbError(
                "torch multiplies float32 less exactly here than float32 allows, so the nearest rows are not sure; "
                'call torch.set_float32_matmul_precision("highest") before'
            )
        self._merge(of, score, rows[some])

    def _merge(self, of: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> None:
        """Scores (q, r) of the queries with the numbers ``of`` (q,) and rows (r,) join the best."""
        with self.lock:
            scores = np.concatenate([self.scores[of], scores], axis=1)
            rows = np.concatenate([self.rows[of], np.broadcast_to(rows, (len(of), len(rows)))], axis=1)
            order = np.lexsort((rows, -scores))[:, : self.rows.shape[1]]
            self.scores[of] = np.take_along_axis(scores, order, axis=1)
            self.rows[of] = np.take_along_axis(rows, order, axis=1)


def longest_row(blocks: Sequence[np.ndarray]) -> float:
    """The length of the longest row of an index, for many searches.

    Raises:
        RsnbError: a row is not finite.
    """
    longest, first = 0.0, 0
    for block in blocks:
        for start in range(0, len(block), step := max(1, CHUNK // max(1, block.shape[1]))):
            part = _tensor(block[start : start + step]).float()
            longest = max(longest, _longest(part, range(first + start, first + start + len(part))))
        first += len(block)
    return longest


def _longest(chunk: Tensor, rows: Sequence[int]) -> float:
    norms = torch.linalg.vector_norm(chunk, dim=1)
    if not math.isfinite(longest := float(norms.amax())):
        row = rows[int(norms.isfinite().int().argmin())]
        raise RsnbError(f"row {row} of the index is not finite; build the block that holds it again")
    return longest


def exact(q: Tensor, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Inner products of queries (q, D) and stored rows (r, D), all in float64: close ones (q, r) in float64, and the
    scores (q, r) in float32 as the module defines them."""
    value = q @ x.T
    slack = 2 * (x.shape[1] + 2) * 2.0**-53 * (q.abs() @ x.abs().T)
    score = (value - slack).float()
    for i, j in (score != (value + slack).float()).nonzero().tolist():
        score[i, j] = math.fsum((q[i] * x[j]).tolist())
    return value.numpy(), score.numpy()


@contextlib.contextmanager
def _threads() -> Iterator[int]:
    """The number of threads to start, as many as torch uses; in this block torch gives each of them one. (Its own way,
    to split every product, has the threads wait for each other after each, which is long on a busy machine.)"""
    number = torch.get_num_threads()
    if number > 1:  # a thread of a server that was born while another searches sees 1: it must not stay so
        torch.set_num_threads(1)
    try:
        yield number
    finally:
        if number > 1:
            torch.set_num_threads(number)


def _tensor(chunk: np.ndarray) -> Tensor:
    """The same memory as a tensor, without torch's warning of arrays that must not be written: it is only read."""
    chunk = np.ascontiguousarray(chunk)
    writable = {**chunk.__array_interface__, "data": (chunk.ctypes.data, False)}
    return torch.from_numpy(np.asarray(SimpleNamespace(__array_interface__=writable, owner=chunk)))


def _checked(blocks: Sequence[np.ndarray], queries: np.ndarray, top: int, keep: np.ndarray | None) -> int:
    """The number of rows to find for each query."""
    if not (isinstance(queries, np.ndarray) and queries.ndim == 2 and queries.dtype == np.float32):
        raise RsnbError(f"queries must be a numpy array (Q, D) of float32, found {described(queries)}")
    for number, block in enumerate(blocks):
        if block.dtype != np.float16 or block.ndim != 2 or block.shape[1] != queries.shape[1]:
            raise RsnbError(
                f"queries are (Q, {queries.shape[1]}) float32, but block {number} of the index is {block.shape} "
                f"{block.dtype} instead of (n, {queries.shape[1]}) float16; ask with the model that made the index"
            )
    bad = np.flatnonzero(~(np.abs(queries).sum(axis=1, dtype=np.float64) < LONGEST))
    if len(bad):
        raise RsnbError(f"query {bad[0]} is not finite or too long; embed it again, and divide it by its norm")
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 1:
        raise RsnbError(f"top is {top!r}; it must be a whole number, at least 1")
    rows = sum(map(len, blocks))
    if keep is None:
        return min(top, rows)
    if not (isinstance(keep, np.ndarray) and keep.dtype == bool and keep.shape == (rows,)):
        raise RsnbError(f"keep must be a numpy array ({rows},) of bool, one for each row, found {described(keep)}")
    return min(top, int(keep.sum()))
