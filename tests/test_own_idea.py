"""The page "Your own idea": its examples run, and do what they say."""

from __future__ import annotations

import importlib.util
import math
import re
from pathlib import Path

import pytest
import torch

import rsnb
from rsnb import TrainConfig
from rsnb.data.batches import Batch, Pairs
from rsnb.errors import RsnbError

PAGE = Path(__file__).resolve().parent.parent / "notebooks" / "own_idea.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
SETUP, EXAMPLES = BLOCKS[0], BLOCKS[1:]
NAMES = [re.search(r"^(?:def|class) (\w+)", block, re.MULTILINE)[1] for block in EXAMPLES]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """example(name): the module of the page's example of that name, with the set-up before it."""
    folder, made = tmp_path_factory.mktemp("page"), {}

    def load(name: str):
        if name not in made:
            path = folder / f"{name}.py"
            path.write_text(SETUP + "\n\n" + EXAMPLES[NAMES.index(name)], encoding="utf-8")
            spec = importlib.util.spec_from_file_location(f"own_idea_{name}", path)
            made[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(made[name])
        return made[name]

    return load


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_is_short(example, name):
    lines = [line for line in EXAMPLES[NAMES.index(name)].splitlines() if line.strip()]
    assert len(lines) <= 20 and example(name)


def some_batch(count: int = 12, width: int = 8) -> Batch:
    """Pairs with equal captions, several of a class."""
    train = rsnb.load_dataset("toy", "train", limit=6)
    pairs = Pairs(train)
    pairs.captions = [f"caption {n % 5}" for n in range(len(pairs))]
    pairs.labels = [n % 3 for n in range(len(train))]
    draws = torch.randn(4, count, width, generator=torch.Generator().manual_seed(1))
    views = dict(zip(("image", "text", "image2", "text2"), torch.nn.functional.normalize(draws, dim=-1)))
    chosen = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(2))[:count].tolist()
    return Batch(views, 100.0, pairs, chosen)


def softmax_loss(scores: list[float], target: list[float]) -> float:
    whole = math.log(sum(math.exp(s) for s in scores))
    return sum(t * (whole - s) for s, t in zip(scores, target))


def test_identical_captions_are_masked(example):
    """Written out: for each pair, the softmax over itself and the pairs of other captions."""
    batch = some_batch()
    s = (50 * batch.image.double() @ batch.text.double().T).tolist()
    expected, captions = 0.0, batch.captions
    assert len(set(captions)) < len(captions)
    for i, caption in enumerate(captions):
        kept = [j for j in range(len(batch)) if j == i or captions[j] != caption]
        own = [float(j == i) for j in kept]
        expected += softmax_loss([s[i][j] for j in kept], own) / 2 + softmax_loss([s[j][i] for j in kept], own) / 2
    assert example("masked_clip").masked_clip(batch).item() == pytest.approx(expected, rel=1e-5)


def test_targets_are_soft_by_class(example):
    """Written out: 0.7 on the pair itself, 0.3 spread over the pairs of its class, itself among them."""
    batch = some_batch()
    s, labels, expected = (50 * batch.image.double() @ batch.text.double().T).tolist(), batch.labels.tolist(), 0.0
    n = len(batch)
    for i in range(n):
        alike = [labels[j] == labels[i] for j in range(n)]
        target = [0.7 * (j == i) + 0.3 * alike[j] / sum(alike) for j in range(n)]
        expected += softmax_loss(s[i], target) / 2 + softmax_loss([s[j][i] for j in range(n)], target) / 2
    assert example("soft_targets").soft_targets(batch).item() == pytest.approx(expected, rel=1e-5)


def test_a_temperature_learns(example):
    """Its gradient is the written-out one, and it moves in training at a rate of its own."""
    page = example("Temperature")
    loss, batch = page.Temperature(20.0), some_batch()
    value = loss(batch)
    value.backward()
    s, t, step = batch.image.double() @ batch.text.double().T, math.log(20.0), 1e-5

    def written_out(log_scale: float) -> float:
        logits, n = (math.exp(log_scale) * s).tolist(), len(batch)
        own = [[float(i == j) for j in range(n)] for i in range(n)]
        rows = sum(softmax_loss(logits[i], own[i]) for i in range(n))
        return rows / 2 + sum(softmax_loss([logits[j][i] for j in range(n)], own[i]) for i in range(n)) / 2

    slope = (written_out(t + step) - written_out(t - step)) / (2 * step)
    assert value.item() == pytest.approx(written_out(t), rel=1e-5)
    assert loss.log_scale.grad.item() == pytest.approx(slope, rel=1e-4)
    assert len(page.learned) == 2 and page.learned[0] != pytest.approx(math.log(30.0), abs=1e-6)
    quick, still = (
        page.run(page.Temperature, 1, settings={"lr": 1e-3, "loss_lr": rate}).history[0]["loss.log_scale"]
        for rate in (0.5, 0.0)
    )
    assert abs(quick - t) > 0.1 and still == pytest.approx(t, abs=1e-6), "its rate is not the adapter's"


def test_no_two_equal_captions_in_a_batch(example):
    page = example("no_equal_captions")
    captions, owner = page.train.captions
    torch.manual_seed(0)
    batches = page.no_equal_captions(page.train, 1)
    assert sum(map(len, batches)) >= len(captions) - len(batches)
    for batch in batches:
        assert len({captions[n] for n in batch}) == len({owner[n] for n in batch}) == len(batch)


def test_the_average_is_what_is_kept_and_the_weights_go_on(example):
    """The weights that train are those of plain Adam; the validated ones are their moving average, written out."""
    page = example("Averaged")
    p, plain = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    averaged, adam, mean = page.Averaged([p], lr=0.1), torch.optim.Adam([plain], lr=0.1), None
    for step in range(4):
        averaged.train()
        for x, optimizer in ((p, averaged), (plain, adam)):
            x.grad = x.detach() * (step + 1)
            optimizer.step()
        mean = plain.detach().clone() if mean is None else mean.lerp(plain.detach(), 0.1)
        assert torch.equal(p, plain)
        averaged.eval()
        assert torch.allclose(p, mean)


def test_a_run_that_brings_nothing_stops(example):
    page = example("early")
    scores = [row["val_mr"] for row in page.history]
    assert len(scores) == 6 or scores.index(max(scores)) <= len(scores) - 3


def test_the_score_chooses_the_best_epoch(example):
    page = example("worst_class")
    result = page.run(score=lambda report, val: -report.mr, epochs=3)
    lowest = min(result.history, key=lambda row: row["val_mr"])
    assert result.best_epoch == lowest["epoch"] and result.best_score == -lowest["val_mr"]
    assert result.best_val_mr == lowest["val_mr"]
    with pytest.raises(RsnbError, match="score gave nan"):
        page.run(score=lambda report, val: float("nan"), epochs=1)


def test_the_page_names_settings_that_there_are():
    assert {"loss_options", "loss_lr"} <= set(TrainConfig.__dataclass_fields__)
