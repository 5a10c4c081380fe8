"""The loop: resumes to the same weights, survives kill -9, keeps the best epoch, stops at nan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import rsnb
from rsnb import TrainConfig
from rsnb.errors import RsnbError
from rsnb.training import epoch_order

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"epochs": 3, "batch_size": 16, "lr": 1e-3, "device": "cpu"}


@pytest.fixture
def clip():
    return rsnb.load_clip("mini")


@pytest.fixture(scope="module")
def parts():
    return rsnb.load_dataset("toy", "train", limit=44), rsnb.load_dataset("toy", "val", limit=22)


def weights(model):
    return {name: p.detach().clone() for name, p in model.trainable().items()}


def run(clip, parts, out=None, method="mrs", force=False, seed=0, **changes):
    model = rsnb.adapt(clip, method, seed=seed)
    try:
        config = TrainConfig(method=method, **{**SMALL, "seed": seed, **changes})
        return rsnb.train(model, *parts, config, out=out, force=force, progress=False), weights(model)
    finally:
        model.detach()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_every_epoch_is_logged_and_the_best_is_kept(clip, parts):
    model = rsnb.adapt(clip, "mrs", seed=0)
    result = rsnb.train(model, *parts, TrainConfig(**SMALL), progress=False)
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert result.best_val_mr == max(row["val_mr"] for row in result.history)
    assert rsnb.evaluate(model, parts[1], precision="auto").mr == pytest.approx(result.best_val_mr, abs=1e-4)
    columns = {"loss", "loss_cross", "loss_image", "loss_text", "val_mr", "lr", "intra_image_cos", "intra_text_cos"}
    assert columns <= set(result.frame().columns)
    model.detach()


def test_the_logged_loss_is_the_sum_of_its_parts(clip, parts):
    row = run(clip, parts, epochs=1, precision="fp32")[0].history[0]
    assert row["loss"] == pytest.approx(row["loss_cross"] + row["loss_image"] + row["loss_text"], rel=1e-5)


def test_training_learns_and_leaves_the_clip_alone(clip, parts):
    before = clip.fingerprint()
    clip._fingerprint = ""
    train = parts[0]
    model = rsnb.adapt(clip, "mrs", seed=0)
    start = rsnb.evaluate(model, train).mr
    rsnb.train(model, train, train, TrainConfig(**{**SMALL, "epochs": 6, "lr": 3e-3}), progress=False)
    assert rsnb.evaluate(model, train).mr > start + 3
    assert model.detach().fingerprint() == before


def test_same_seed_same_weights_other_seed_other_weights(clip, parts):
    first, second, third = (run(clip, parts, seed=s, epochs=1)[1] for s in (0, 0, 1))
    assert same(first, second) and not same(first, third)


@pytest.mark.check
def test_resume_ends_with_the_same_weights(clip, parts, tmp_path, monkeypatch):
    whole, expected = run(clip, parts)
    import rsnb.training as loop

    def interrupted(*args, **kwargs):
        if interrupted.calls == 2:
            raise KeyboardInterrupt
        interrupted.calls += 1
        return real(*args, **kwargs)

    real, interrupted.calls = loop._Epochs._steps, 0
    monkeypatch.setattr(loop._Epochs, "_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(clip, parts, out=tmp_path / "run")
    monkeypatch.undo()
    again, found = run(clip, parts, out=tmp_path / "run")
    assert same(expected, found)
    assert [r["val_mr"] for r in again.history] == [r["val_mr"] for r in whole.history]


KILLED = """
import sys, rsnb
from rsnb import TrainConfig
model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0)
parts = rsnb.load_dataset("toy", "train", limit=44), rsnb.load_dataset("toy", "val", limit=22)
rsnb.train(model, *parts, TrainConfig(epochs=6, batch_size=16, device="cpu"), out=sys.argv[1], progress=False)
rsnb.save_adapter(model, sys.argv[1] + "/adapter.safetensors")
"""


@pytest.mark.check
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_kill_9_and_start_again(clip, parts, tmp_path):
    def start():
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, env=environment)

    process = start()
    deadline = time.time() + 120
    while not (tmp_path / "state.pt").exists():
        assert process.poll() is None and time.time() < deadline, "the run ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "done.json").exists()
    again = start()
    _, whole = run(clip, parts, epochs=6, lr=1e-3)  # meanwhile, the same run without a break
    assert again.wait(180) == 0
    model = rsnb.load_adapter(tmp_path / "adapter.safetensors", clip)
    found = weights(model)
    model.detach()
    assert same(found, whole)


def test_a_finished_run_is_not_overwritten(clip, parts, tmp_path):
    run(clip, parts, out=tmp_path, epochs=1)
    done = (tmp_path / "done.json").read_bytes()
    with pytest.raises(RsnbError, match="finished run"):
        run(clip, parts, out=tmp_path, epochs=1)
    assert (tmp_path / "done.json").read_bytes() == done
    run(clip, parts, out=tmp_path, epochs=1, force=True)
    assert json.loads((tmp_path / "done.json").read_text())["best_epoch"] == 1


def test_another_run_in_the_folder_is_refused(clip, parts, tmp_path, monkeypatch):
    import rsnb.training as loop

    monkeypatch.setattr(loop.RunState, "finish", lambda self: None)  # as if it had been killed after its last epoch
    run(clip, parts, out=tmp_path, epochs=1)
    with pytest.raises(RsnbError, match="other settings .*lr"):
        run(clip, parts, out=tmp_path, epochs=1, lr=5e-4)
    with pytest.raises(RsnbError, match=r"other settings \(val differ"):
        run(clip, (parts[0], parts[1].subset(range(10))), out=tmp_path, epochs=1)


def test_a_damaged_state_is_named(clip, parts, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"half a file")
    with pytest.raises(RsnbError, match=r"state\.pt cannot be read"):
        run(clip, parts, out=tmp_path, epochs=1)
    torch.save({"weights": torch.ones(1)}, tmp_path / "state.pt")  # a file of something else
    with pytest.raises(RsnbError, match=r"state\.pt cannot be read"):
        run(clip, parts, out=tmp_path, epochs=1)


def other_shape(state):
    name = next(iter(state["weights"]))
    state["weights"][name] = state["weights"][name][None]


def other_kind(state):
    name = next(iter(state["best"]))
    state["best"][name] = state["best"][name].bool()


def other_average(state):
    kept = next(iter(state["optimizer"]["state"].values()))
    kept["exp_avg"] = kept["exp_avg"].reshape(-1)[:1]


CHANGES = {
    "shape": other_shape,
    "kind": other_kind,
    "average": other_average,
    "history": lambda state: state.update(result="[]"),
    "row": lambda state: state.update(result='{"history": [3], "best_epoch": 1}'),
    "epoch": lambda state: state.update(result='{"history": [], "best_epoch": 9}'),
    "key": lambda state: state.update(key="3"),
    "weights": lambda state: state.update(weights=[1]),
    "no optimizer": lambda state: state.pop("optimizer"),
    "other optimizer": lambda state: state.update(optimizer={"state": {}, "param_groups": []}),
}


def test_a_state_of_something_else_is_named(clip, parts, tmp_path, monkeypatch):
    import rsnb.training as loop

    monkeypatch.setattr(loop.RunState, "finish", lambda self: None)  # as if it had been killed after its last epoch
    run(clip, parts, out=tmp_path, epochs=1)
    content = (tmp_path / "state.pt").read_bytes()
    for change in CHANGES.values():
        (tmp_path / "state.pt").write_bytes(content)
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        change(state)
        torch.save(state, tmp_path / "state.pt")
        with pytest.raises(RsnbError, match=r"state\.pt.*start anew") as error:
            run(clip, parts, out=tmp_path, epochs=1)
        assert "\n" not in str(error.value)


def test_nan_in_the_first_epoch_gives_the_initial_weights_back(clip, parts, monkeypatch):
    import rsnb.training as loop

    monkeypatch.setattr(loop._Epochs, "_steps", lambda epochs, *_: poison(epochs.model))

    def poison(model):
        for p in model.trainable().values():
            p.data.fill_(float("nan"))
        raise RsnbError("the loss became nan")

    model = rsnb.adapt(clip, "mrs", seed=0)
    before = weights(model)
    with pytest.raises(RsnbError, match="became nan"):
        rsnb.train(model, *parts, TrainConfig(**SMALL), progress=False)
    assert same(before, weights(model))
    model.detach()


def test_nan_stops_and_keeps_the_best_epoch(clip, parts, tmp_path, monkeypatch):
    real = rsnb.losses.hmmc
    calls = []

    def poisoned(*args, **kwargs):
        loss, terms = real(*args, **kwargs)
        calls.append(1)
        return (loss * float("nan") if len(calls) > 4 else loss), terms  # three steps an epoch: nan in epoch 2

    monkeypatch.setattr(rsnb.losses, "hmmc", poisoned)
    model = rsnb.adapt(clip, "mrs", seed=0)
    with pytest.raises(RsnbError, match="loss became nan in epoch 2"):
        rsnb.train(model, *parts, TrainConfig(**SMALL), out=tmp_path, progress=False)
    assert all(torch.isfinite(p).all() for p in model.trainable().values())
    assert (tmp_path / "state.pt").exists() and not (tmp_path / "done.json").exists()
    kept = torch.load(tmp_path / "state.pt", weights_only=True)
    assert same(kept["best"], weights(model))
    model.detach()


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "clip"},
        {"loss": "triplet"},
        {"pairs": "all"},
        {"optimizer": "adamw"},
        {"mining": "sum"},
        {"weights": (1, 0, 0)},
        {"precision": "bf16"},
    ],
)
def test_options_of_the_loop(clip, parts, changes):
    result, _ = run(clip, parts, epochs=1, **changes)
    assert result.history[0]["loss"] > 0


@pytest.mark.parametrize("method", ["linear_probe", "full"])
def test_other_methods_train(clip, parts, method):
    start = rsnb.adapt(clip, method, seed=0)
    before = weights(start)
    start.detach()
    _, after = run(clip, parts, method=method, epochs=1, loss="clip")
    assert not same(before, after)


def test_order_of_an_epoch():
    owner = [0, 0, 0, 1, 2, 2]
    config = TrainConfig(pairs="all")
    assert sorted(epoch_order(config, owner, 3, 0)) == list(range(6))
    assert epoch_order(config, owner, 3, 0) == epoch_order(config, owner, 3, 0)
    one = TrainConfig(pairs="one")
    seen = set()
    for epoch in range(50):
        order = epoch_order(one, owner, 3, epoch)
        assert sorted(owner[c] for c in order) == [0, 1, 2]
        seen |= set(order)
    assert seen == set(range(6))


def test_zero_shot_and_a_wrong_config_are_refused(clip, parts):
    model = rsnb.adapt(clip, "zero_shot")
    with pytest.raises(RsnbError, match="trains nothing"):
        rsnb.train(model, *parts, TrainConfig(method="zero_shot"))
    with pytest.raises(RsnbError, match="the config says method 'mrs'"):
        rsnb.train(model, *parts, TrainConfig(method="mrs"))
    model.detach()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"loss": "l2"}, "loss is 'l2'"),
        ({"epochs": 0}, "at least 1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"weights": (1, 2)}, "three are needed"),
        ({"token_dropout": 1.0}, "below 1"),
        ({"epoch": 3}, "no setting is called epoch"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(RsnbError, match=message):
        TrainConfig().replace(**changes)


def test_config_to_json_and_back():
    config = TrainConfig(options={"bottleneck": 8}, weights=(1, 0, 1), lr=3e-4)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert TrainConfig.paper().batch_size == 16 and TrainConfig.paper().lr == 2e-4


def test_no_such_device(clip, parts):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA, so the device asked for exists")
    with pytest.raises(RsnbError, match="no device 'cuda' here"):
        run(clip, parts, device="cuda")
