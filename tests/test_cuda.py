"""The same numbers on a GPU as on the CPU: embeddings, gradients, losses, training, evaluation, files.

Skipped where there is no CUDA device.
"""

from __future__ import annotations

import json

import pytest
import torch
from test_fast import assert_close, both_ways
from test_method_table import ALL, TRAINED, a_batch, a_loss, mini, perturb  # noqa: F401

import rsnb
from rsnb import TrainConfig, losses
from rsnb.base import devices
from rsnb.commands import cli
from rsnb.data.pixels import PixelStore
from rsnb.evaluation import embed, encode_captions

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
GPU = "cuda"


@pytest.fixture(autouse=True)
def full_precision():
    """No TF32, which has ten bits of mantissa."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


@pytest.fixture(scope="module")
def parts():
    return rsnb.load_dataset("toy", "train", limit=44), rsnb.load_dataset("toy", "val", limit=22)


def embeddings_and_gradients(model, pixels, tokens):
    """Of a model without dropout, on the device where it is; brought to the CPU."""
    model.eval().zero_grad(set_to_none=True)
    device = next(model.clip.model.parameters()).device
    out = model.encode_image(pixels.to(device)), model.encode_text(tokens.to(device))
    if model.trainable():
        (losses.clip_loss(*out, model.clip.logit_scale) + losses.triplet(*out, margin=2.0)).backward()
    grads = {name: p.grad.cpu().clone() for name, p in model.trainable().items() if p.grad is not None}
    return [x.detach().cpu() for x in out], grads


@pytest.mark.parametrize("method", ALL)
def test_embeddings_and_gradients_are_those_of_the_cpu(mini, method):  # noqa: F811
    batch = a_batch(mini)
    model = perturb(rsnb.adapt(mini, method, seed=0))
    try:
        here = embeddings_and_gradients(model, *batch)
        there = embeddings_and_gradients(model.to(GPU), *batch)
        assert model.device.type == "cuda"
        assert_close([here, there], atol=3e-5, rtol=3e-4)
    finally:
        model.to("cpu").detach()


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("twice", [False, True], ids=["one view", "two views"])
def test_fast_equals_hooks_there_too(mini, method, twice):  # noqa: F811
    """Captions as long as the context, so that both ways draw the same dropout."""
    pixels, _ = a_batch(mini)
    tokens = mini.tokenizer([f"{word} " + "a long road with trees " * 20 for word in ("red", "two", "the")])
    model = perturb(rsnb.adapt(mini, method, seed=0)).to(GPU)
    try:
        assert_close(both_ways(model, pixels.to(GPU), tokens.to(GPU), twice), atol=3e-5, rtol=3e-4)
    finally:
        model.to("cpu").detach()


@pytest.mark.parametrize("mining", ["hardest", "semi-hard", "sum"])
def test_losses_are_those_of_the_cpu(mining):
    rng = torch.Generator().manual_seed(2)
    views = torch.nn.functional.normalize(torch.randn(4, 24, 32, generator=rng), dim=-1)
    values = [losses.hmmc(*views.to(device), margin=0.2, mining=mining).item() for device in ("cpu", GPU)]
    assert values[1] == pytest.approx(values[0], rel=1e-5) and values[0] > 0
    values = [losses.clip_loss(*views[:2].to(d), torch.tensor(2.0, device=d)).item() for d in ("cpu", GPU)]
    assert values[1] == pytest.approx(values[0], rel=1e-5)


@pytest.mark.parametrize("method", TRAINED)
def test_every_term_moves_every_parameter_in_bf16(mini, method):  # noqa: F811
    model = perturb(rsnb.adapt(mini, method, seed=0)).to(GPU).train()
    try:
        pixels, tokens = (x.to(GPU) for x in a_batch(mini))
        with devices.autocast(torch.device(GPU), "bf16"):
            loss = a_loss(model, pixels, tokens)
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.trainable().values())
    finally:
        model.to("cpu").detach()


def train(parts, out=None, device=GPU, **changes):
    model = rsnb.adapt(rsnb.load_clip("mini"), changes.pop("method", "mrs"), seed=0)
    settings = {"epochs": 3, "batch_size": 16, "lr": 1e-3, "precision": "fp32", "device": device, **changes}
    result = rsnb.train(model, *parts, TrainConfig(method=model.method, **settings), out=out, progress=False)
    return model, result


def test_training_without_dropout_is_that_of_the_cpu(parts):
    """Dropout draws other numbers there; without it the first losses agree to rounding."""
    settings = {"loss": "clip", "token_dropout": 0.0, "epochs": 2}
    losses_of = {}
    for device in ("cpu", GPU):
        _, result = train(parts, device=device, method="adaptformer", **settings)
        losses_of[device] = [row["loss"] for row in result.history]
    assert losses_of[GPU] == pytest.approx(losses_of["cpu"], rel=2e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", ["mrs", "vl_prompt", "linear_probe", "full"])
def test_training_and_its_file(parts, tmp_path, method, precision):
    """It trains there, is evaluated the same on both, and its file gives the same embeddings on the CPU."""
    model, result = train(parts, tmp_path / "run", method=method, precision=precision)
    assert model.device.type == "cuda" and len(result.history) == 3
    there = rsnb.evaluate(model, parts[1], precision="fp32")
    images = embed(model, parts[1], precision="fp32")[0]
    rsnb.save_adapter(model, tmp_path / "a.safetensors")
    again = rsnb.load_adapter(tmp_path / "a.safetensors", rsnb.load_clip("mini"))
    assert again.device.type == "cpu"
    torch.testing.assert_close(embed(again, parts[1], precision="fp32")[0], images, atol=1e-4, rtol=0)
    here = rsnb.evaluate(again, parts[1], precision="fp32")
    assert here.mr == pytest.approx(there.mr, abs=0.8), "one rank of 22 images may turn at a rounding"


def test_an_interrupted_run_goes_on(parts, tmp_path, monkeypatch):
    import rsnb.training as loop

    _, whole = train(parts)
    real = loop._Epochs._steps

    def interrupted(*args, **kwargs):
        if interrupted.calls == 2:
            raise KeyboardInterrupt
        interrupted.calls += 1
        return real(*args, **kwargs)

    interrupted.calls = 0
    monkeypatch.setattr(loop._Epochs, "_steps", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(parts, tmp_path / "run")
    monkeypatch.undo()
    _, again = train(parts, tmp_path / "run")
    a, b = ([row["loss"] for row in result.history] for result in (whole, again))
    assert b == pytest.approx(a, rel=1e-3), "the generators of the device go on where they were"


def test_pixels_go_there_and_captions_come_back(parts):
    clip = rsnb.load_clip("mini").to(GPU)
    pixels = PixelStore(parts[0], clip).batch([0, 3, 5], GPU)
    assert pixels.device.type == "cuda"
    expected = torch.stack([clip.preprocess(parts[0].image(i)) for i in (0, 3, 5)])
    torch.testing.assert_close(pixels.cpu(), expected)
    model = rsnb.adapt(clip, "zero_shot")
    text = encode_captions(model, model.clip.tokenizer(["a red roof", "two planes"]))
    assert text.device.type == "cuda" and text.shape[0] == 2


def test_auto_takes_it_and_the_commands_run(tmp_path, capsys):
    assert devices.pick_device().type == "cuda"
    out = tmp_path / "run"
    few = ["--limit", "16", "--epochs", "1", "--batch-size", "8", "--out", str(out)]
    assert cli.main(["train", "--backbone", "mini", *few]) == 0
    assert (out / "adapter.safetensors").is_file()
    cli.main(["doctor"])
    assert torch.cuda.get_device_name(0) in capsys.readouterr().out


def test_its_speed_is_measured(tmp_path):
    out = tmp_path / "speed.json"
    few = ["--backbone", "mini", "--batch-size", "8", "--rounds", "2", "--images", "10", "--device", GPU]
    assert cli.main(["bench", "--parts", "step,waterfall,evaluation,memory", *few, "--out", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["machine"]["clock"] == "seconds on the wall" and found["memory"]["megabytes"]["plain"] > 0
