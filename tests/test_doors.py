"""What a user hands in to a run: checked, reproducible, part of its key, exact after a break."""

from __future__ import annotations

import functools
import inspect

import pytest
import torch
from torchvision import transforms

import rsnb
from rsnb import TrainConfig
from rsnb.adapted import Adapted
from rsnb.base.callables import arguments_of, name_of
from rsnb.base.own import digest_of_own
from rsnb.base.run_state import RunState
from rsnb.data import PixelStore, augment
from rsnb.data.batches import VIEWS, checked_batches, epoch_order
from rsnb.data.objective import LOSSES, Objective, built_in_views
from rsnb.errors import RsnbError
from rsnb.studies.ablation.lab import Lab, run_cells
from rsnb.studies.ablation.spec import Spec, grid_of_specs, vary


@pytest.fixture(scope="module")
def parts():
    return rsnb.load_dataset("toy", "train", limit=33), rsnb.load_dataset("toy", "val", limit=22)


def run(parts, loss=None, out=None, force=False, epochs=1, settings=None, **own):
    """(result, weights, the model's forward passes)."""
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0)
    name = {"loss": "clip"} if loss is None else {"loss": f"own:{getattr(loss, '__name__', type(loss).__name__)}"}
    config = TrainConfig(**{"epochs": epochs, "batch_size": 16, "device": "cpu", **name, **(settings or {})})
    result = rsnb.train(model, *parts, config, out=out, force=force, progress=False, loss=loss, **own)
    return result, {name: p.detach().clone() for name, p in model.trainable().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


# --- the loss ----------------------------------------------------------------------------------------------------
def test_built_in_losses_are_functions_of_a_batch():
    assert {name: built_in_views(name) for name in LOSSES} == {"hmmc": VIEWS, "clip": VIEWS[:2], "triplet": VIEWS[:2]}


def in_batch_form(batch, margin=0.2):
    return rsnb.losses.hmmc(batch.image, batch.text, batch.image2, batch.text2, margin)


@pytest.mark.check
def test_a_loss_of_a_batch_of_four_arguments_and_built_in_train_alike(parts):
    def four(v, t, v2, t2):
        return rsnb.losses.hmmc(v, t, v2, t2)

    def any_number(*views):
        return rsnb.losses.hmmc(*views)

    built_in = run(parts, settings={"loss": "hmmc"})[1]
    for loss in (in_batch_form, four, any_number):
        assert same(built_in, run(parts, loss)[1]), loss
    assert not same(built_in, run(parts, in_batch_form, settings={"loss_options": {"margin": 0.4}})[1])


@pytest.mark.parametrize(
    ("read", "views"),
    [
        ("image text", "image text"),
        ("image image2", "image text image2"),
        ("text2", "image text text2"),
        ("text", "image text"),
    ],
)
def test_only_views_that_are_read_are_computed_and_in_one_pass(parts, monkeypatch, read, views):
    calls = []
    real = Adapted.encode_twice
    monkeypatch.setattr(
        Adapted, "encode_twice", lambda self, tower, *more: calls.append(tower) or real(self, tower, *more)
    )
    seen = []

    def loss(batch):
        seen.append(sorted(batch._views))
        return sum((getattr(batch, view).sum() for view in read.split()), torch.zeros(()))

    run(parts, loss)
    assert seen[0] == sorted(VIEWS) and all(found == sorted(views.split()) for found in seen[2:])
    assert set(calls) == {view[:-1] for view in views.split() if view.endswith("2")}


def test_a_view_that_is_read_later_alone(parts):
    def late(batch):
        return rsnb.losses.clip_loss(batch.image, batch.image2 if batch.epoch == 2 else batch.text)

    run(parts, late, epochs=2)  # the last epoch is asked for too
    with pytest.raises(RsnbError, match="reads image2 in epoch 2"):
        run(parts, late, epochs=3)


def test_what_a_batch_holds(parts):
    train, seen = parts[0], []

    def looks(batch):
        seen.append((batch.captions, batch.owners.tolist(), batch.labels.tolist(), batch.epoch))
        return rsnb.losses.clip_loss(batch.image, batch.text, batch.logit_scale)

    run(parts, looks, epochs=2)
    for captions, owners, labels, _ in seen:
        assert all(caption in train[owner].captions for caption, owner in zip(captions, owners))
        assert [train.classes[n] for n in labels] == [train[owner].label for owner in owners]
    assert [epoch for *_, epoch in seen[2:]] == [1, 1, 2, 2]


def test_labels_that_are_not_there(parts):
    def looks(batch):
        return batch.image.sum() * batch.labels.sum()

    bare = [rsnb.data.Item(i.name, i.path, i.captions, None, i.cell) for i in parts[0]]
    with pytest.raises(RsnbError, match="33 of 33 images .* no class"):
        run((rsnb.data.CaptionDataset(bare), parts[1]), looks)


def test_losses_that_cannot_be():
    def two(v, t):
        return v.sum()

    def matrix(batch):
        return batch.image

    with pytest.raises(RsnbError, match="two needs 2 arguments"):
        Objective(TrainConfig(loss="own:two"), two)
    with pytest.raises(RsnbError, match="no argument called tua; it has: margin"):
        Objective(TrainConfig(loss="own:in_batch_form", loss_options={"tua": 1}), in_batch_form)
    with pytest.raises(RsnbError, match=r"matrix gave a tensor of shape \(2, 2\)"):
        Objective(TrainConfig(loss="own:matrix"), matrix)(rsnb.data.batches.Batch(dict.fromkeys(VIEWS, torch.eye(2))))
    with pytest.raises(RsnbError, match="takes no {'tau': 5}"):
        TrainConfig(loss="clip", loss_options={"tau": 5})


def test_a_loss_that_no_weight_moves(parts):
    def constant(batch):
        return torch.tensor(1.0)

    with pytest.raises(RsnbError, match="constant does not depend on the embeddings"):
        run(parts, constant)


def test_arguments_of_a_loss_are_axes(tmp_path):
    base = Spec(TrainConfig(epochs=1, batch_size=16, precision="fp32"))
    with pytest.raises(RsnbError, match="after loss.name=own"):
        vary(base, "loss.margn", 5)
    mine = vary(base, "loss.name", "own:in_batch_form")
    lab = Lab(folder=tmp_path, also=(), limit=32, losses=[in_batch_form])
    wrong = vary(mine, "loss.tau", 5)
    done, failed = run_cells(lab, {"mine": mine, "wrong": wrong}, 1)
    assert list(done) == ["mine"] and "no argument called tau" in failed["wrong"]
    assert lab.key(wrong, 0) != lab.key(mine, 0) and "loss_options" not in lab.key(mine, 0)["settings"]["config"]
    assert vary(wrong, "loss.name", "clip").config.loss_options == {}


class Scale(torch.nn.Module):
    def __init__(self, start=10.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(float(start)))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, batch):
        self.calls += 1
        return len(batch) * rsnb.losses.clip_loss(batch.image, batch.text2, self.scale)


def test_every_cell_of_the_lab_trains_a_module_of_its_own(tmp_path):
    given = Scale()
    lab = Lab(folder=tmp_path, also=(), limit=32, losses=[Scale])
    spec = vary(Spec(TrainConfig(epochs=1, batch_size=16, precision="fp32")), "loss.name", "own:Scale")
    cells = grid_of_specs(spec, {"loss.start": [5.0, 20.0], "loss.lr": [0.1]})
    done, failed = run_cells(lab, cells, 1)
    assert len(done) == 2 and not failed and given.calls == 0


def test_a_module_given_as_an_object_is_trained_itself(parts):
    given = Scale()
    result, _ = run(parts, given)
    assert result.history[-1]["loss.scale"] == given.scale.item() != 10.0
    assert given.calls == 2, "the question which views it reads leaves it alone"


# --- augmentation ------------------------------------------------------------------------------------------------
def pixels_of(n=6, size=8):
    return torch.arange(n * 3 * size * size, dtype=torch.float32).reshape(n, 3, size, size) / 100


@pytest.mark.parametrize("step", [augment.flips, augment.quarter_turns, augment.random_resized_crops])
def test_steps_draw_from_their_generator_alone(step):
    pixels = pixels_of(40)
    before, kept = torch.random.get_rng_state(), pixels.clone()
    made = [step(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert torch.equal(torch.random.get_rng_state(), before) and torch.equal(pixels, kept)
    assert made[0].shape == pixels.shape and made[0].dtype == pixels.dtype


def test_flips_and_turns_are_what_they_say():
    pixels = pixels_of(200)
    turned = augment.quarter_turns(pixels, torch.Generator().manual_seed(0))
    flipped = augment.flips(pixels, torch.Generator().manual_seed(0), vertical=False)
    counts = [0] * 4
    for image, made in zip(pixels, turned):
        counts[next(k for k in range(4) if torch.equal(made, image.rot90(k, (1, 2))))] += 1
    assert min(counts) > 30
    mirrored = sum(torch.equal(made, image.flip(2)) for image, made in zip(pixels, flipped))
    plain = sum(torch.equal(made, image) for image, made in zip(pixels, flipped))
    assert mirrored + plain == 200 and 70 < mirrored < 130
    whole = augment.random_resized_crops(pixels, torch.Generator(), scale=(1.0, 1.0), ratio=(1.0, 1.0))
    torch.testing.assert_close(whole, pixels, atol=1e-4, rtol=1e-5)
    with pytest.raises(RsnbError, match="scale is"):
        augment.random_resized_crops(pixels, torch.Generator(), scale=(0.5, 2.0))


def test_only_training_is_augmented_and_the_same_again(parts):
    seen = []

    def darker(pixels, generator):
        seen.append(torch.rand(1, generator=generator).item())
        return pixels * 0.5

    first, second, plain = (run(parts, augment=step, epochs=2) for step in (darker, darker, None))
    assert same(first[1], second[1]) and not same(first[1], plain[1])
    assert len(seen) == 8 and seen[:4] == seen[4:] and len(set(seen[:4])) == 4
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0)
    for name, p in model.trainable().items():
        p.data.copy_(first[1][name])
    assert rsnb.evaluate(model, parts[1], precision="auto").mr == pytest.approx(first[0].best_val_mr, abs=1e-4)


@pytest.mark.parametrize("step", [lambda p, g: p[:1], lambda p, g: p.double(), lambda p, g: None])
def test_an_augmentation_that_gives_another_thing(parts, step):
    with pytest.raises(RsnbError, match="augment gave"):
        run(parts, augment=step)


def test_a_random_step_of_the_preprocessing_is_refused(parts):
    clip = rsnb.load_clip("mini")
    PixelStore(parts[0], clip)
    nested = transforms.Compose([transforms.Compose([transforms.RandomHorizontalFlip()]), transforms.ToTensor()])
    for random in (nested, transforms.RandomApply([transforms.Resize(8)]), transforms.ColorJitter(0.1)):
        clip.preprocess = random
        with pytest.raises(RsnbError, match=r"random step .* augment\(pixels, generator\)"):
            PixelStore(parts[0], clip)
        with pytest.raises(RsnbError, match="random step"):
            rsnb.evaluate(clip, parts[1])


# --- batches -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([], "no batch"),
        ([[0, 1], [2]], "batch 2 of batches has 1 pairs"),
        ([[0, 99]], "names 99; captions have the numbers 0 to 9"),
        ([[0, -1]], "names -1"),
        ([[0, 1.0]], "names 1.0"),
        ([[0, True]], "names True"),
        ([[3, 4, 3]], "names caption 3 twice"),
        (["01"], "is '01'"),
        ([0, 1], "is 0"),
        (None, "gave NoneType"),
    ],
)
def test_batches_are_checked(batches, said):
    with pytest.raises(RsnbError, match=said):
        checked_batches(batches, 10)


def test_batches_as_tensors_and_generators():
    assert checked_batches((torch.tensor([i, i + 1]) for i in (0, 4)), 10) == [[0, 1], [4, 5]]


def test_batches_of_ones_own(parts):
    """Those of the default, handed in, give the default's weights; random numbers in a sampler repeat."""
    drawn, config = [], TrainConfig(batch_size=16)

    def usual(train, epoch):
        drawn.append((epoch, torch.rand(1).item()))
        order = epoch_order(config, train.captions[1], len(train), epoch - 1)
        return [order[:16], order[16:32]]

    first, second = run(parts, batches=usual, epochs=2)[1], run(parts, batches=usual, epochs=2)[1]
    assert (
        same(first, second)
        and same(first, run(parts, epochs=2)[1])
        and drawn[:2] == drawn[2:]
        and [epoch for epoch, _ in drawn[:2]] == [1, 2]
    )
    assert drawn[0][1] != drawn[1][1]


# --- optimizer ---------------------------------------------------------------------------------------------------
def test_an_optimizer_of_ones_own_equals_the_default(parts):
    usual = run(parts, epochs=2)[1]
    adam = run(parts, epochs=2, optimizer=lambda model: torch.optim.Adam(model.trainable().values(), lr=1e-3))
    assert same(usual, adam[1])


def test_a_schedule_steps_with_the_optimizer(parts):
    rates = []

    def halves(model):
        optimizer = torch.optim.SGD(model.trainable().values(), lr=1.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rates.append(step) or 0.5**step)
        return optimizer, schedule

    result, _ = run(parts, epochs=2, optimizer=halves)
    steps = len(parts[0]) // 16
    assert [row["lr"] for row in result.history] == [0.5**steps, 0.5 ** (2 * steps)]


@pytest.mark.parametrize(
    "make",
    [
        lambda model: None,
        lambda model: torch.optim.Adam(list(model.trainable().values())[:-1]),
        lambda model: torch.optim.Adam([*model.trainable().values(), torch.nn.Parameter(torch.ones(1))]),
        lambda model: (torch.optim.Adam(model.trainable().values()), "a schedule"),
    ],
)
def test_an_optimizer_that_does_not_fit(parts, make):
    with pytest.raises(RsnbError, match="optimizer"):
        run(parts, optimizer=make)


# --- between epochs ----------------------------------------------------------------------------------------------
def test_on_epoch_sees_row_report_model_and_seed(parts):
    seen = []

    def look(state):
        seen.append(state)
        assert state.report.mr == state["val_mr"] == state.row["val_mr"] and state.seed == 0 and state.cell is None
        assert state.history[-1] == dict(state) and state.model.trainable()

    result, _ = run(parts, epochs=2, on_epoch=look)
    assert [dict(state) for state in seen] == result.history


@pytest.mark.parametrize("way", ["answer", "method"])
def test_on_epoch_stops_a_run_as_finished(parts, tmp_path, way):
    def stop(state):
        if state["epoch"] == 2:
            return "stop" if way == "answer" else state.stop()

    result, weights = run(parts, epochs=5, on_epoch=stop, out=tmp_path)
    assert len(result.history) == 2 and (tmp_path / "done.json").is_file()
    with pytest.raises(RsnbError, match="finished run"):
        run(parts, epochs=5, on_epoch=stop, out=tmp_path)
    assert same(weights, run(parts, epochs=2)[1])


def test_on_epoch_in_the_lab_sees_the_cell(tmp_path):
    lab, seen = Lab(folder=tmp_path, also=(), limit=32), []
    spec = Spec(TrainConfig(epochs=3, batch_size=16, loss="clip"))
    cell = lab.cell(spec, 1, on_epoch=lambda state: seen.append((state.cell, state.seed)) or "stop")
    assert seen == [(spec, 1)] and cell.steps == lab.steps(spec), "steps that were made"
    assert lab.kept(cell.hash) == cell and lab.found(spec, 1) is None, "it is not taken for the whole run"


# --- all together ------------------------------------------------------------------------------------------------
class Mean(torch.optim.Adam):
    def step(self, closure=None):
        super().step(closure)
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                self.state[p].setdefault("mean", p.detach().clone()).lerp_(p.detach(), 0.3)

    def eval(self):
        for p in self.param_groups[0]["params"]:
            if "mean" in self.state[p]:
                weights = p.detach().clone()
                p.data.copy_(self.state[p]["mean"])
                self.state[p]["mean"].copy_(weights)

    train = eval


def averaged(model):
    optimizer = Mean(model.trainable().values(), lr=3e-3)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)


def noisy(pixels, generator):
    return augment.flips(pixels, generator) + 0.1 * torch.randn(pixels.shape, generator=generator)


def random_batches(train, epoch):
    return torch.randperm(len(train.captions[0]))[:48].split(12)


def negative(report, val):
    return -report.mr


ALL = {"augment": noisy, "batches": random_batches, "optimizer": averaged, "score": negative}


@pytest.mark.check
def test_a_broken_run_with_all_of_them_goes_on_exactly(parts, tmp_path):
    whole, expected = run(parts, Scale, epochs=3, settings={"loss_lr": 0.5}, **ALL)

    def breaks(state):
        if state["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(parts, Scale, epochs=3, settings={"loss_lr": 0.5}, out=tmp_path, on_epoch=breaks, **ALL)
    torch.manual_seed(99)
    again, found = run(parts, Scale, epochs=3, settings={"loss_lr": 0.5}, out=tmp_path, **ALL)
    drop = lambda history: [{k: v for k, v in row.items() if k != "seconds"} for row in history]  # noqa: E731
    assert drop(again.history) == drop(whole.history) and same(expected, found)
    assert whole.history[-1]["loss.scale"] != 10.0 and again.best_epoch == whole.best_epoch


@pytest.mark.parametrize("door", ALL)
def test_what_is_handed_in_is_in_the_key(parts, tmp_path, door, monkeypatch):
    monkeypatch.setattr(RunState, "finish", lambda self: None)  # as if killed after its last epoch
    run(parts, out=tmp_path, **{door: ALL[door]})
    run(parts, out=tmp_path, **{door: ALL[door]})
    with pytest.raises(RsnbError, match=f"other settings .*own {door}"):
        run(parts, out=tmp_path)


def test_another_loss_of_the_same_name_is_another_run(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(RunState, "finish", lambda self: None)
    one = in_batch_form

    def other(batch):
        return rsnb.losses.triplet(batch.image, batch.text)

    other.__name__ = one.__name__
    run(parts, one, out=tmp_path)
    with pytest.raises(RsnbError, match="own loss differ"):
        run(parts, other, out=tmp_path)


def test_what_is_no_function_is_refused(parts):
    for door in ("augment", "batches", "optimizer", "score"):
        with pytest.raises(RsnbError, match=f"{door} is 3; it must be a function"):
            run(parts, **{door: 3})


def test_names_of_what_is_handed_in():
    partial = functools.partial(in_batch_form, margin=0.3)
    assert name_of(partial) == name_of(in_batch_form) == "in_batch_form" and name_of(Scale()) == "Scale"
    assert len({digest_of_own(own) for own in (partial, in_batch_form, Scale(), functools.partial(in_batch_form))}) == 4
    assert arguments_of(partial, skip=1) == (1, ["margin"]) and inspect.isfunction(in_batch_form)
    assert arguments_of(lambda *views: None) == (None, [])
