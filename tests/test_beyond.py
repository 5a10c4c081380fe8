"""The recipe beyond the paper: its parts equal plain restatements, and a run of it can be killed and resumed."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import rsnb
from rsnb.beyond import parts
from rsnb.beyond.cache import cached_backward
from rsnb.beyond.recipe import Recipe, train_recipe
from rsnb.data.batches import Batch, Pairs
from rsnb.errors import RsnbError
from rsnb.losses import clip_loss

SLIM = {"mrs.share_layers": False, "mrs.bottleneck": 8, "mrs.shared": 0, "mrs.dropout": 0.1, "lora.rank": 2}


class Listed:
    """What :class:`Pairs` reads of a data set."""

    name, split, classes, labels = "listed", "train", ["a"], ["a"] * 4
    captions = (["one", "two", "one", "three", "four", "four"], [0, 0, 1, 2, 3, 3])


def batch_of(chosen: list[int], seed: int = 0, scale: float = 20.0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    views = {n: F.normalize(torch.randn(len(chosen), 16, generator=generator), dim=-1) for n in ("image", "text")}
    return Batch({n: x.requires_grad_() for n, x in views.items()}, torch.tensor(scale), Pairs(Listed()), chosen)


def test_contrast_without_its_changes_is_clips_loss():
    for seed in range(20):
        batch = batch_of([0, 1, 2, 3, 4, 5], seed)
        found = parts.Contrast(learned=False, equal=False)(batch)
        torch.testing.assert_close(found, 6 * clip_loss(batch.image, batch.text, 20.0))


def written_out(batch: Batch, equal: bool, soft: float, scale: float) -> float:
    """:class:`parts.Contrast` in plain Python, pair by pair."""
    v, t = batch.image.detach().double(), batch.text.detach().double()
    n, total = len(v), 0.0
    for a, b in ((v, t), (t, v)):
        for i in range(n):
            same = [
                batch.captions[i] == batch.captions[j] or bool(batch.owners[i] == batch.owners[j]) for j in range(n)
            ]
            right = [float(i == j or (equal and same[j])) for j in range(n)]
            near = [math.exp(scale * float(v[i] @ v[j] + t[i] @ t[j]) / 2) for j in range(n)]
            target = [(1 - soft) * r / sum(right) + soft * x / sum(near) for r, x in zip(right, near)]
            scores = [math.exp(scale * float(a[i] @ b[j])) for j in range(n)]
            total -= sum(y * math.log(s / sum(scores)) for y, s in zip(target, scores)) / 2
    return total


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("soft", [0.0, 0.3])
def test_contrast_equals_its_formula(equal, soft):
    for seed in range(5):
        batch = batch_of([0, 2, 3, 4, 5, 1], seed)
        found = parts.Contrast(learned=False, equal=equal, soft=soft)(batch)
        assert found.item() == pytest.approx(written_out(batch, equal, soft, 20.0), rel=1e-4)


def test_equal_captions_pull_both_ways():
    """Two pairs of one caption: neither is a negative of the other, so a perfect answer costs log 2 each."""
    batch = batch_of([0, 2])
    same = F.normalize(torch.ones(2, 16), dim=-1)
    batch._views = {"image": same, "text": same}
    assert parts.Contrast(equal=True)(batch).item() == pytest.approx(2 * math.log(2), rel=1e-5)


def test_the_temperature_learns_within_bounds():
    loss = parts.Contrast(learned=True)
    loss(batch_of([0, 1, 2, 3])).backward()
    assert loss.change.grad is not None and loss.change.grad.abs() > 0
    loss = parts.Contrast(learned=True, start=50.0)  # 50 times 20 is beyond 100
    bounded = parts.Contrast(learned=False, start=5.0)
    batch = batch_of([0, 1, 2, 3])
    torch.testing.assert_close(loss(batch), bounded(batch))
    loss(batch).backward()
    assert loss.change.grad == 0


def test_eight_turns_are_eight_and_what_turns_draws():
    pixels = torch.randn(4, 3, 6, 6)
    eight = parts.eight_turns(pixels)
    assert torch.equal(eight[0], pixels)
    assert len({one[0].numpy().tobytes() for one in eight}) == 8
    drawn = set()
    for seed in range(60):
        turned = parts.turns(pixels, torch.Generator().manual_seed(seed))
        places = [next(k for k, one in enumerate(eight) if torch.equal(one[i], turned[i])) for i in range(4)]
        drawn.update(places)
    assert drawn == set(range(8))


def test_what_is_no_square_is_not_turned():
    for turned in (parts.eight_turns, lambda x: parts.turns(x, torch.Generator())):
        with pytest.raises(RsnbError, match="6 x 4"):
            turned(torch.zeros(2, 3, 6, 4))


def test_averaged_weights_equal_a_plain_loop():
    torch.manual_seed(0)
    x = torch.nn.Parameter(torch.randn(5))
    plain = torch.nn.Parameter(x.detach().clone())
    optimizer, other = parts.AveragedAdamW([x], 0.1, average=0.9), torch.optim.AdamW([plain], 0.1, weight_decay=0.0)
    average = None
    for step in range(1, 21):
        for p, o in ((x, optimizer), (plain, other)):
            o.zero_grad()
            (p**2).sum().backward()
            o.step()
        keep = min(0.9, (1 + step) / (10 + step))
        average = plain.detach().clone() if average is None else keep * average + (1 - keep) * plain.detach()
    weights = x.detach().clone()
    torch.testing.assert_close(weights, plain.detach())
    optimizer.eval()
    torch.testing.assert_close(x.detach(), average)
    optimizer.train()
    assert torch.equal(x.detach(), weights)


def test_the_rate_rises_and_falls_to_nothing():
    made = parts.WarmUpAndCosine(0.1, steps=100, warm_up=10)
    rates = [made.factor(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1 and max(rates) == 1
    assert all(a >= b for a, b in zip(rates[9:], rates[10:])) and rates[100] == pytest.approx(0)
    assert rates[55] == pytest.approx(0.5, abs=0.02)


def test_turns_averaged_equals_a_loop_over_turns():
    data, clip = rsnb.load_dataset("toy", "val", limit=5), rsnb.load_clip("mini")
    report = rsnb.evaluate(parts.TurnsAveraged(clip), data)
    pixels = rsnb.data.PixelStore(data, clip).batch(range(len(data)), torch.device("cpu"))
    with torch.no_grad():
        turned = [clip.encode_image(p.rot90(k, (2, 3))) for p in (pixels, pixels.flip(3)) for k in range(4)]
    torch.testing.assert_close(report.image_embeddings, F.normalize(torch.stack(turned).mean(dim=0), dim=-1))
    torch.testing.assert_close(report.text_embeddings, rsnb.evaluate(clip, data).text_embeddings)


def test_between_start_and_end():
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0)
    start = {n: x.detach().clone() for n, x in model.state().items()}
    end = {n: x + 1 for n, x in start.items()}
    parts.between(model, start, end, 0.25)
    for name, x in model.state().items():
        torch.testing.assert_close(x.detach(), start[name] + 0.25)


def test_cached_backward_is_exact_with_dropout():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(16, 4))
    x, y = torch.randn(12, 8), torch.randn(12, 8)
    pieces = list(zip(x.split(5), y.split(5)))

    def encode(piece):
        return [F.normalize(net(part), dim=-1) for part in piece]

    def loss(a, b):
        return clip_loss(a, b, 10.0)

    torch.manual_seed(1)
    whole = [torch.cat(views) for views in zip(*[encode(piece) for piece in pieces])]
    expected = loss(*whole)
    expected.backward()
    gradients = [p.grad.clone() for p in net.parameters()]
    after = torch.rand(1)
    net.zero_grad()
    torch.manual_seed(1)
    found = cached_backward(encode, pieces, loss)
    torch.testing.assert_close(found, expected.detach())
    for p, gradient in zip(net.parameters(), gradients):
        torch.testing.assert_close(p.grad, gradient)
    assert torch.equal(torch.rand(1), after)  # the random numbers go on as after one pass


def test_a_recipe_is_within_the_papers_budget():
    mini, paper = rsnb.load_clip("mini"), rsnb.adapt(rsnb.load_clip("mini"), "mrs")
    found = rsnb.count_trainable(rsnb.adapt(mini, "mrs+lora", **SLIM))
    assert found <= rsnb.count_trainable(paper) == 37_248


@pytest.mark.parametrize("wrong", [{"loss": "cross"}, {"schedule": "up"}, {"schedule": "steps", "average": 0.9}])
def test_a_recipe_that_cannot_be_is_refused(wrong):
    with pytest.raises(RsnbError):
        Recipe(**wrong)


@pytest.mark.parametrize("wrong", [{"soft": 1.0}, {"start": 0.0}, {"soft": -0.1}])
def test_a_loss_that_cannot_be_is_refused(wrong):
    with pytest.raises(RsnbError):
        parts.Contrast(**wrong)


def test_a_killed_run_ends_with_the_same_weights(tmp_path):
    train, val = (rsnb.load_dataset("toy", part, limit=24) for part in ("train", "val"))
    recipe = Recipe("mrs+lora", SLIM, epochs=3, pairs="one", batch_size=8, average=0.9)

    class Killed(Exception):
        pass

    def kill(state):
        if state["epoch"] == 2:
            raise Killed

    def run(out=None, **more):
        return train_recipe(recipe, rsnb.load_clip("mini"), train, val, 3, out, "fp32", "cpu", False, **more)

    whole, result = run()
    with pytest.raises(Killed):
        run(tmp_path, on_epoch=kill)
    again, resumed = run(tmp_path)
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in result.history]
    assert all(torch.equal(x, again.state()[name]) for name, x in whole.state().items())
    assert "loss.change" in result.history[-1]
