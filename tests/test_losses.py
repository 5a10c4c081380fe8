from __future__ import annotations

import pytest
import reference
import torch
import torch.nn.functional as F

from rsnb import losses
from rsnb.errors import RsnbError


def embeddings(n, d=512, count=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=rng).requires_grad_() for _ in range(count)]


@pytest.mark.parametrize("n", [2, 3, 16])
def test_hmmc_equals_the_loops_values_and_gradients(n):
    ours, plain = embeddings(n), embeddings(n)
    a, b = losses.hmmc(*ours), reference.hmmc(*plain)
    assert a.item() > 0
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    a.backward()
    b.backward()
    for x, y in zip(ours, plain):
        assert x.grad.abs().sum() > 0
        torch.testing.assert_close(x.grad, y.grad, atol=1e-5, rtol=1e-5)


def test_by_hand():
    """Two pairs on a plane: v = e1, e2 and t = e1, (e1 + e2)/sqrt 2."""
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    t = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), dim=-1)
    r = 2**-0.5
    # s = [[1, r], [0, r]]; rows: [0.2 + r - 1]+ = 0 and [0.2 + 0 - r]+ = 0;
    # columns: [0.2 + 0 - 1]+ = 0 and [0.2 + r - r]+ = 0.2
    assert losses.triplet(v, t).item() == pytest.approx(max(0, 0.2 + r - 1) + 0.2, abs=1e-6)
    # t against itself: s = [[1, r], [r, 1]]: four hinges of [0.2 + r - 1]+, all zero at margin 0.2
    assert losses.triplet(t, t).item() == 0
    assert losses.triplet(t, t, margin=0.5).item() == pytest.approx(4 * (0.5 + r - 1), abs=1e-6)


def test_sum_mining_adds_every_negative():
    a, b = embeddings(5, count=2)
    s = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    expected = sum(torch.relu(0.2 + s[i, j] - s[k, k]) for i in range(5) for j in range(5) if i != j for k in (i, j))
    torch.testing.assert_close(losses.triplet(a, b, mining="sum"), expected, atol=1e-5, rtol=1e-5)
    assert losses.triplet(a, b, mining="sum") > losses.triplet(a, b)


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_semi_hard_mining_takes_the_hardest_of_those_that_are_less_similar_than_the_positive(margin):
    a, b = embeddings(7, d=3, count=2)
    with torch.no_grad():
        a[3], b[3] = a[4], b[4]  # a twin: as similar as the positive, so no semi-hard negative
    s = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    expected = torch.zeros(())
    for i in range(7):
        others = [j for j in range(7) if j != i]
        rows = [margin + s[i, j] - s[i, i] for j in others if s[i, j] < s[i, i] and {i, j} != {3, 4}]
        columns = [margin + s[j, i] - s[i, i] for j in others if s[j, i] < s[i, i] and {i, j} != {3, 4}]
        expected = expected + sum(max(0, *(h.item() for h in hinges), 0) for hinges in (rows, columns))
    found = losses.triplet(a, b, margin=margin, mining="semi-hard")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found <= losses.triplet(a, b, margin=margin)
    found.backward()
    assert a.grad.isfinite().all()


def test_a_positive_that_is_farthest_leaves_no_semi_hard_negative():
    v = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), dim=-1)
    assert losses.triplet(v, -v, mining="semi-hard").item() == 0 < losses.triplet(v, -v).item()


def test_weights_and_parts():
    x = embeddings(6)
    total, parts = losses.hmmc(*x, parts=True)
    torch.testing.assert_close(total, sum(parts.values()))
    weighted = losses.hmmc(*x, weights=(2.0, 0.0, 0.5))
    torch.testing.assert_close(weighted, 2 * parts["cross"] + 0.5 * parts["text"])
    assert losses.hmmc(*x, weights=(1, 0, 0), parts=True)[1]["image"] == 0


@pytest.mark.parametrize("kind", ["same", "opposite", "zero", "huge"])
def test_extreme_inputs_have_finite_gradients(kind):
    base = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    a = {"same": torch.ones(4, 8), "opposite": base, "zero": torch.zeros(4, 8), "huge": base * 1e15}[kind]
    a = a.clone().requires_grad_()
    b = (-a.detach() if kind == "opposite" else a.detach()).clone().requires_grad_()
    for loss in (losses.triplet(a, b), losses.clip_loss(a, b)):
        a.grad = b.grad = None
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(a.grad).all() and torch.isfinite(b.grad).all()


def test_losses_are_fp32_under_autocast():
    a, b = embeddings(16, count=2)
    for loss in (losses.triplet, losses.clip_loss):
        with torch.autocast("cpu", torch.bfloat16):
            inside = loss(a, b)
        assert torch.equal(inside, loss(a, b))


def test_one_pair_has_no_negative():
    a, b = embeddings(1, count=2)
    assert losses.triplet(a, b).item() == 0


def test_clip_loss_is_the_mean_of_two_cross_entropies():
    a, b = embeddings(4, count=2)
    s = 7.0 * F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    rows = -torch.stack([s[i, i] - s[i].logsumexp(0) for i in range(4)]).mean()
    columns = -torch.stack([s[i, i] - s[:, i].logsumexp(0) for i in range(4)]).mean()
    torch.testing.assert_close(losses.clip_loss(a, b, 7.0), (rows + columns) / 2, atol=1e-5, rtol=1e-5)


def test_bad_input_is_named():
    a, b = embeddings(4, count=2)
    with pytest.raises(RsnbError, match=r"\(4, 512\) and \(3, 512\)"):
        losses.triplet(a, b[:3])
    with pytest.raises(RsnbError, match="hardest"):
        losses.triplet(a, b, mining="easy")
    with pytest.raises(RsnbError, match="three weights"):
        losses.hmmc(a, b, a, b, weights=(1, 1))
    with pytest.raises(RsnbError):
        losses.clip_loss(a, b[:2])
