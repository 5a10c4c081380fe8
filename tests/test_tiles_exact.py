"""The nearest rows against all scores written out and sorted."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsnb.errors import RsnbError
from rsnb.tiles import exact
from rsnb.tiles.exact import longest_row, nearest


def plainly(blocks, queries, top, keep=None):
    """Each score alone by math.fsum, whose sum of floats is the true one, rounded once; a stable sort of all."""
    stored = [row.astype(np.float64) for block in blocks for row in block]
    rows = [n for n in range(len(stored)) if keep is None or keep[n]]
    k = min(top, len(rows))
    scores, numbers = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for i, query in enumerate(queries.astype(np.float64)):
        own = np.array([math.fsum(stored[n] * query) for n in rows], np.float64).astype(np.float32)
        order = np.argsort(-own, kind="stable")[:k]
        scores[i], numbers[i] = own[order], np.array(rows, np.int64)[order]
    return scores, numbers


def same(found, wanted):
    for one, other in zip(found, wanted):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_array_equal(one, other)


def unit(rng, rows, width):
    x = rng.standard_normal((rows, width)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def split(x, at):
    return np.split(x, sorted(at))


@pytest.fixture(autouse=True)
def as_before():
    threads, chunk, together = torch.get_num_threads(), exact.CHUNK, exact.TOGETHER
    yield
    assert torch.get_num_threads() == threads
    exact.CHUNK, exact.TOGETHER = chunk, together


@st.composite
def cases(draw):
    """Rows of many kinds in blocks of unequal sizes, some of them empty; chunks of few rows; few queries at a time."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, width = draw(st.integers(0, 60)), draw(st.sampled_from([1, 2, 3, 8, 33]))
    x = unit(rng, rows, width) * draw(st.sampled_from([1, 1e-7, 1e-3, 30, 6e4])) if rows else np.empty((0, width))
    if draw(st.booleans()):  # rows of many lengths
        x = x * 10.0 ** rng.uniform(-3, 0, (rows, 1))
    if draw(st.booleans()):  # few different numbers: ties that are no duplicates
        x = np.round(x * 2) / 2
    if rows and draw(st.booleans()):  # duplicates
        x = x[rng.integers(0, draw(st.integers(1, rows)), rows)]
    q = unit(rng, draw(st.integers(0, 5)), width) * draw(st.sampled_from([1, -1, 0, 1e-42, 1e-30, 1e20]))
    if draw(st.booleans()):
        q = np.round(q)
    at = [draw(st.integers(0, rows)) for _ in range(draw(st.integers(0, 5)))]
    keep = draw(st.sampled_from([None, rng.random(rows) < 0.5, np.zeros(rows, bool), np.ones(rows, bool)]))
    chunk, together = draw(st.sampled_from([1, 5 * width, 2**20])), draw(st.sampled_from([1, 2, 128]))
    blocks = split(x.astype(np.float16), at)
    return blocks, q.astype(np.float32), draw(st.sampled_from([1, 2, 7, 100])), keep, chunk, together


@settings(max_examples=120, deadline=None)
@given(cases(), st.sampled_from([1, 2]))
def test_equal_to_all_scores_sorted(case, threads):
    *asked, exact.CHUNK, exact.TOGETHER = case
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wanted = plainly(*asked)
        same(nearest(*asked), wanted)
        same(nearest(*asked, longest_row(asked[0])), wanted)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(torch_threads)


def test_neither_blocks_nor_company_nor_threads_matter(monkeypatch):
    """At the size at which products of matrices give equal rows different last bits."""
    rng = np.random.default_rng(0)
    x, q = unit(rng, 2000, 512).astype(np.float16), unit(rng, 130, 512)
    x[rng.integers(0, 2000, 800)] = x[rng.integers(0, 2000, 800)]
    keep = rng.random(2000) < 0.7
    for mask in (None, keep):
        whole = nearest([x], q, 20, mask)
        for i in (0, 1, 64, 128, 129):
            same(nearest([x], q[i : i + 1], 20, mask), [found[i : i + 1] for found in whole])
        for at in ([1, 2, 700], [*range(0, 2000, 250)], [0, 0, 1999, 2000]):
            same(nearest(split(x, at), q, 20, mask), whole)
        monkeypatch.setattr(exact, "CHUNK", 100 * 512)
        before = torch.get_num_threads()
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            same(nearest([x], q, 20, mask), whole)
        torch.set_num_threads(before)
    same([found[:2] for found in whole], plainly([x], q[:2], 20, keep))


@pytest.mark.parametrize("top", [3, 2500])
def test_thousands_of_ties(top):
    rng = np.random.default_rng(1)
    x = np.repeat(unit(rng, 1, 512).astype(np.float16), 10_000, axis=0)
    q = unit(rng, 4, 512)
    scores, rows = nearest(split(x, [4096, 8192]), q, top)
    assert (rows == np.arange(top)).all() and (scores == scores[:, :1]).all()
    better = x.copy()
    better[[17, 9_999]] = q[0].astype(np.float16)
    scores, rows = nearest([better], q, top)
    assert rows[0, :3].tolist() == [17, 9_999, 0]
    for i in range(4):
        last = math.fsum(x[0].astype(np.float64) * q[i].astype(np.float64))
        assert (scores == np.float32(last))[i].sum() >= top - 2


def test_ties_take_little_memory(monkeypatch):
    """Every row is a candidate for every query; yet never more than a chunk of them is multiplied exactly."""
    largest = []
    monkeypatch.setattr(exact, "exact", lambda q, x, do=exact.exact: (largest.append(len(x)), do(q, x))[1])
    monkeypatch.setattr(exact, "CHUNK", 500 * 16)
    nearest([np.ones((5_000, 16), np.float16)], np.ones((3, 16), np.float32), 5)
    assert largest and max(largest) <= 500


def test_few_rows_are_multiplied_exactly(monkeypatch):
    """What the bound is for; and it holds, with room, for what torch computes."""
    rng = np.random.default_rng(2)
    x, q, counted = unit(rng, 20_000, 64).astype(np.float16), unit(rng, 1, 64), []
    monkeypatch.setattr(exact, "exact", lambda q, x, do=exact.exact: (counted.append(len(x)), do(q, x))[1])
    monkeypatch.setattr(exact, "CHUNK", 1000 * 64)
    nearest([x], q, 10)
    assert 10 <= sum(counted) < 400


@pytest.mark.parametrize("scale", [1e-30, 1e-37, 1e-42])
def test_products_below_the_least_float32(scale):
    rng = np.random.default_rng(7)
    x, q = (unit(rng, 60, 8) * 1e-6).astype(np.float16), (unit(rng, 3, 8) * scale).astype(np.float32)
    same(nearest(split(x, [20]), q, 10), plainly([x], q, 10))


def test_a_score_between_two_floats():
    """1 + 2^-24 lies midway between two float32; what is lost below decides, and it is below float64 as well."""
    x = np.array([[1, 2.0**-24, 2.0**-24], [1, 2.0**-24, 0], [1, 2.0**-24, -(2.0**-24)]], np.float16)
    q = np.array([[1, 1, 2.0**-20]], np.float32)
    scores, rows = nearest([x], q, 3)
    assert rows.tolist() == [[0, 1, 2]] and scores[0].tolist() == [1 + 2.0**-23, 1.0, 1.0]
    same((scores, rows), plainly([x], q, 3))
    value, score = exact.exact(torch.ones(1, 3).double(), torch.tensor([[1, 2.0**-24, 2.0**-60]]).double())
    assert score[0, 0] == 1.0, "first to float64, a tie, then to the even one"


def test_mapped_files_that_must_not_be_written(tmp_path):
    rng = np.random.default_rng(3)
    x, q = unit(rng, 100, 8).astype(np.float16), unit(rng, 2, 8)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    q.flags.writeable = False
    blocks = [mapped[:30], mapped[30:]]
    assert not any(block.flags.writeable for block in blocks)
    same(nearest(blocks, q, 5), plainly([x], q, 5))
    same(nearest([x[::-1], np.asfortranarray(x)], q, 5), plainly([x[::-1], x], q, 5))


def test_the_settings_of_the_caller_do_not_matter():
    rng = np.random.default_rng(4)
    x, q = unit(rng, 100, 8).astype(np.float16), unit(rng, 2, 8)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            same(nearest([x], q, 5), plainly([x], q, 5))
    finally:
        torch.set_default_dtype(torch.float32)


def test_several_searches_at_once():
    rng = np.random.default_rng(5)
    x, q = unit(rng, 5_000, 32).astype(np.float16), unit(rng, 8, 32)
    wanted, found = nearest([x], q, 10), {}
    torch.set_num_threads((before := torch.get_num_threads()) + 1)
    threads = [threading.Thread(target=lambda i=i: found.update({i: nearest([x], q, 10)})) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.get_num_threads() == before + 1
    torch.set_num_threads(before)
    assert len(found) == 6
    for one in found.values():
        same(one, wanted)


# --- what is refused --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("query", [1.0, 0.0])
def test_a_row_that_is_not_finite_is_named(bad, query):
    x = np.ones((50, 4), np.float16)
    x[37, 2] = bad
    q = np.full((2, 4), query, np.float32)
    with pytest.raises(RsnbError, match="row 37 of the index is not finite"):
        nearest(split(x, [10, 20]), q, 3)
    with pytest.raises(RsnbError, match="row 37 of the index is not finite"):
        longest_row(split(x, [10, 20]))
    keep = np.ones(50, bool)
    keep[37] = False
    same(nearest([x], q, 3, keep), plainly([x], q, 3, keep))


def test_arithmetic_less_exact_than_float32_is_noticed(monkeypatch):
    rng = np.random.default_rng(6)
    x, q = unit(rng, 500, 64).astype(np.float16), unit(rng, 3, 64)
    product = torch.Tensor.__matmul__

    def coarse(a, b):
        return product(a, b) if a.dtype == torch.float64 else product(a.bfloat16(), b.bfloat16()).float()

    monkeypatch.setattr(torch.Tensor, "__matmul__", coarse)
    with pytest.raises(RsnbError, match="set_float32_matmul_precision"):
        nearest([x], q, 10)


X, Q = np.ones((4, 3), np.float16), np.ones((2, 3), np.float32)
WRONG = {
    "query with NaN": ([X], np.where(np.eye(2, 3), np.float32(np.nan), Q), 1, None, "query 0 is not finite"),
    "infinite query": ([X], Q * [[1], [np.inf]], 1, None, "float32"),
    "endless query": ([X], Q * np.float32([[1], [np.inf]]), 1, None, "query 1 is not finite or too long"),
    "too long a query": ([X], Q * np.float32(1e37), 1, None, "query 0 is not finite or too long"),
    "other width": ([X], Q[:, :2], 1, None, r"block 0 of the index is \(4, 3\) float16 instead of \(n, 2\)"),
    "one query": ([X], Q[0], 1, None, r"queries must be a numpy array \(Q, D\) of float32"),
    "a tensor": ([X], torch.ones(2, 3), 1, None, "found a tensor"),
    "float32 block": ([X, Q], Q, 1, None, r"block 1 of the index is \(2, 3\) float32"),
    "no top": ([X], Q, 0, None, "top is 0"),
    "half a top": ([X], Q, 1.5, None, "top is 1.5"),
    "short mask": ([X], Q, 1, np.ones(3, bool), r"keep must be a numpy array \(4,\) of bool"),
    "numbers for a mask": ([X], Q, 1, np.arange(4), "keep must be"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_sentence(case):
    *asked, message = WRONG[case]
    with pytest.raises(RsnbError, match=message) as error:
        nearest(*asked)
    assert "\n" not in str(error.value)
