"""A setting is typed once: one sentence from command line, file, Python, notebook and axis of the lab."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rsnb
from rsnb import TrainConfig
from rsnb.base.devices import pick_device
from rsnb.base.fields import FIELDS, checked
from rsnb.commands import cli
from rsnb.errors import RsnbError
from rsnb.mrs import MRS
from rsnb.settings import resolve
from rsnb.studies.ablation.spec import Spec, parse_axis, vary

NAN, INF = float("nan"), float("inf")
BAD = [
    ("epochs", "three"), ("epochs", 2.5), ("epochs", 0), ("epochs", -1), ("epochs", True), ("epochs", 10**30),
    ("epochs", INF), ("epochs", None), ("batch_size", 16.5), ("batch_size", 1), ("batch_size", "x"), ("seed", 0.5),
    ("seed", -1), ("seed", 2**64), ("seed", NAN), ("lr_step", 1.5), ("lr", "fast"), ("lr", NAN), ("lr", INF),
    ("lr", 1e30), ("lr", -1e-3), ("lr", False), ("margin", "x"), ("margin", INF), ("weight_decay", -1),
    ("weight_decay", "x"), ("weight_decay", NAN), ("lr_decay", INF), ("token_dropout", "x"), ("token_dropout", 1),
    ("token_dropout", -0.1), ("token_dropout", NAN), ("loss", "l2"), ("loss", "own:"), ("pairs", "two"),
    ("mining", "easy"), ("optimizer", "sgd"), ("precision", "fp8"), ("device", "gpu"), ("device", "cuda:"),
]  # fmt: skip


def as_text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_bad_value_is_one_sentence_whichever_way_it_comes(field, value, tmp_path, capsys, monkeypatch):
    """Field, value and what is allowed, in each of them."""
    with pytest.raises(RsnbError) as python:
        TrainConfig(**{field: value})
    sentence = str(python.value)
    assert sentence == f"{field} is {value!r}; it must be {FIELDS[field]}"
    with pytest.raises(RsnbError) as file:
        TrainConfig.from_dict(json.loads(json.dumps({**TrainConfig().to_dict(), field: value})))
    assert str(file.value) == sentence
    if field not in ("seed", "device"):  # these are no axes
        name, values = parse_axis(f"{'loss.name' if field == 'loss' else field}={as_text(value)}")
        with pytest.raises(RsnbError) as axis:
            vary(Spec(), name, values[0])
        assert str(axis.value) == sentence
    if field in ("seed", "epochs", "batch_size") and value is not None:
        with pytest.raises(RsnbError) as variable:
            resolve({f"RSNB_{field.upper()}": as_text(value)})
        assert str(variable.value) == f"RSNB_{sentence}".replace(field, field.upper(), 1)
        with pytest.raises(RsnbError) as notebook:
            resolve({}, **{field: value})
        assert str(notebook.value) == sentence
    monkeypatch.chdir(tmp_path)
    known = ("seed", "epochs", "batch_size", "lr", "loss", "device")
    option = (
        [f"--{field.replace('_', '-')}={as_text(value)}"] if field in known else ["--set", f"{field}={as_text(value)}"]
    )
    assert cli.main(["train", *option, "--limit", "8"]) == 2
    assert sentence.removeprefix(field) in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("weights", [(0, 0, 0), (1, 2), 1, "abc", (1, -1, 1), (1, NAN, 1), (1, "x", 1), (True, 0, 1)])
def test_bad_weights(weights):
    with pytest.raises(RsnbError, match="weights"):
        TrainConfig(weights=weights)


@pytest.mark.parametrize("value", ["x", -1, NAN, INF, True])
def test_bad_weight_as_an_axis(value):
    with pytest.raises(RsnbError, match=f"loss.intra_image is {value!r}; it must be a number"):
        vary(Spec(), "loss.intra_image", value)


@pytest.mark.parametrize("share", ["x", 0, 1.5, NAN, True])
def test_bad_share(share):
    with pytest.raises(RsnbError, match="data.share is .* above 0 and at most 1"):
        vary(Spec(), "data.share", share)


def test_all_three_weights_zero_as_axes():
    spec = vary(vary(Spec(), "loss.cross", 0), "loss.intra_image", 0)
    with pytest.raises(RsnbError, match="one of the three must be above 0"):
        vary(spec, "loss.intra_text", 0)


def test_good_values_become_pythons_own():
    config = TrainConfig(epochs=np.int64(3), lr=1, margin=np.float32(0.5), seed=2**64 - 1)
    assert (type(config.epochs), type(config.lr), type(config.margin)) == (int, float, float)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert TrainConfig(lr=1) == TrainConfig(lr=1.0) and checked("seed", 7) == 7


@pytest.mark.parametrize("options", [{"bottleneck": NAN}, {"bottleneck": object()}, {3: 4}, "bottleneck=3"])
def test_options_that_no_file_can_keep(options):
    with pytest.raises(RsnbError, match="options"):
        TrainConfig(options=options)


def test_a_device_that_is_not_here():
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for name in (f"cuda:{max(cards, 7)}", "gpu", "cuda:", 3):
        with pytest.raises(RsnbError, match=f"{name!r}"):
            pick_device(name)


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("mrs", {"share_layers": "maybe"}, "share_layers = 'maybe'; it must be true or false"),
        ("mrs", {"share_layers": 1}, "true or false"),
        ("mrs", {"bottleneck": "abc"}, "bottleneck = 'abc'; it must be a whole number"),
        ("mrs", {"bottleneck": 2.5}, "whole number"),
        ("mrs", {"bottleneck": True}, "whole number"),
        ("mrs", {"bottleneck": 10**30}, "bottleneck"),
        ("mrs", {"dropout": 2}, "dropout.* 2"),
        ("mrs", {"dropout": NAN}, "dropout = nan; it must be a finite number"),
        ("mrs", {"layers": 3}, "layers = 3; it must be a list, each entry a whole number, or none"),
        ("mrs", {"layers": (0.5,)}, "whole number"),
        ("mrs", {"layers": (1, 1)}, "each once"),
        ("mrs", {"layers": ()}, "blocks 0 to 3"),
        ("adaptformer", {"scale": INF}, "finite number"),
        ("lora", {"rank": "2"}, "whole number"),
        ("lora", {"rnak": 2}, "no option called rnak; it has: rank"),
        ("coop", {"tokens": 100}, "take 1 to 29"),
        ("zero_shot", {"bottleneck": 8}, "it has: none"),
    ],
)
def test_options_of_a_method(method, options, said):
    clip = rsnb.load_clip("mini")
    with pytest.raises(RsnbError, match=said):
        rsnb.adapt(clip, method, **options)
    assert clip.adapted_by is None


def test_options_that_a_method_would_ignore():
    """Towers of 24 and 12 blocks, as ViT-L/14 has them: no adapter that nothing calls, no block that is not there."""
    clip = SimpleNamespace(widths={"image": 64, "text": 32}, depths={"image": 24, "text": 12}, grid=(2, 2))
    from rsnb.baselines.adapters import CrossModal

    for build, options in [
        (MRS, {"share_layers": False}),
        (MRS, {"layers": (20,)}),
        (CrossModal, {"share_layers": False}),
    ]:
        with pytest.raises(RsnbError, match="0 to 11"):
            build(clip, **{"shared": 8, "bottleneck": 4, **options})
    for options in ({}, {"layers": (11,)}, {"layers": (20,), "towers": "image"}):
        MRS(clip, shared=8, bottleneck=4, **options)
    each = MRS(clip, shared=8, bottleneck=4, share_layers=False, towers=("image",))
    assert len(each.adapters) == 24


def test_an_unknown_method():
    from rsnb.methods import defaults

    for call in (lambda: defaults("no-such"), lambda: rsnb.adapt(rsnb.load_clip("mini"), "no-such")):
        with pytest.raises(RsnbError, match="no method is called 'no-such'; choose one of zero_shot"):
            call()
    assert cli.main(["ablate", "--vary", "loss.margin=0.1,0.2", "--method", "no-such", "--dry-run"]) == 2


@pytest.mark.parametrize("seed", [2**64, -1, 0.5, "x"])
def test_a_bad_seed_of_initial_weights(seed):
    with pytest.raises(RsnbError, match="seed is"):
        rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=seed)
