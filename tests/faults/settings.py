"""Values of settings: on the command line, in the environment, and in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .box import Box, Case, Seen, fine, refused

LINE, VARIABLE = "a wrong value on the command line is named", "a wrong variable RSNB_* is named"
PYTHON, IGNORED = "a wrong value in Python is named", "a value that would be ignored is refused"

#: name -> (command line, a word of the message)
TRAIN = ("train", "--out", "{out}", "--epochs", "1")
WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "--set epochs=many": ((*TRAIN[:3], "--set", "epochs=many"), "epochs"),
    "--set epochs=2.5": ((*TRAIN[:3], "--set", "epochs=2.5"), "epochs"),
    "--set lr=nan": ((*TRAIN, "--set", "lr=nan"), "lr"),
    "--set lr=NaN": ((*TRAIN, "--set", "lr=NaN"), "lr"),
    "--set lr=Infinity": ((*TRAIN, "--set", "lr=Infinity"), "lr"),
    "--set lr=-1": ((*TRAIN, "--set", "lr=-1"), "lr"),
    "--set lr=1e999": ((*TRAIN, "--set", "lr=1e999"), "lr"),
    "--set margin=wide": ((*TRAIN, "--set", "margin=wide"), "margin"),
    "--set margin=true": ((*TRAIN, "--set", "margin=true"), "margin"),
    "--set weights=[0,0,0]": ((*TRAIN, "--set", "weights=[0,0,0]"), "weights"),
    "--set weights=[1,1]": ((*TRAIN, "--set", "weights=[1,1]"), "weights"),
    "--set weights=[1,nan,1]": ((*TRAIN, "--set", "weights=[1,NaN,1]"), "weight"),
    "--set seed=1": ((*TRAIN, "--set", "seed=1"), "seed"),
    "--set method=full": ((*TRAIN, "--set", "method=full"), "method"),
    "--set bottleneck=0": ((*TRAIN, "--set", "bottleneck=0"), "bottleneck"),
    "--set bottleneck=-8": ((*TRAIN, "--set", "bottleneck=-8"), "bottleneck"),
    "--set bottleneck=wide": ((*TRAIN, "--set", "bottleneck=wide"), "bottleneck"),
    "--set bottleneck of 30 digits": ((*TRAIN, "--set", "bottleneck=" + "9" * 30), "bottleneck"),
    "--set share_layers=maybe": ((*TRAIN, "--set", "share_layers=maybe"), "share_layers"),
    "--set dropout=2": ((*TRAIN, "--set", "dropout=2"), "dropout"),
    "--set no=such": ((*TRAIN, "--set", "no=such"), "no"),
    "--set without a value": ((*TRAIN, "--set", "bottleneck="), "value"),
    "--set without a name": ((*TRAIN, "--set", "=3"), "name"),
    "--set of 5,000 digits": ((*TRAIN[:3], "--set", "epochs=" + "9" * 5000), "epochs"),
    "--epochs 0": ((*TRAIN[:3], "--epochs", "0"), "epochs"),
    "--epochs -3": ((*TRAIN[:3], "--epochs", "-3"), "epochs"),
    "--epochs 1e9": ((*TRAIN[:3], "--epochs", "1e9"), "epochs"),
    "--batch-size 0": ((*TRAIN, "--batch-size", "0"), "batch"),
    "--batch-size 1": ((*TRAIN, "--batch-size", "1"), "batch"),
    "--limit 0": ((*TRAIN, "--limit", "0"), "limit"),
    "--seed -1": ((*TRAIN, "--seed", "-1"), "seed"),
    "--seed of 80 bits": ((*TRAIN, "--seed", str(2**80)), "seed"),
    "--lr fast": ((*TRAIN, "--lr", "fast"), "lr"),
    "--loss none": ((*TRAIN, "--loss", "none"), "loss"),
    "--device cuda:7": ((*TRAIN, "--device", "cuda:7"), "cuda"),
    "--device gpu": ((*TRAIN, "--device", "gpu"), "device"),
    "--method unknown": ((*TRAIN, "--method", "unknown"), "unknown"),
    "--method mrs+": ((*TRAIN, "--method", "mrs+"), "mrs"),
    "--backbone ViT-X": ((*TRAIN, "--backbone", "ViT-X"), "ViT-X"),
    "--data nowhere": ((*TRAIN, "--data", "nowhere"), "nowhere"),
    "--data ucm --root nowhere": ((*TRAIN, "--data", "ucm", "--root", "nowhere"), "nowhere"),
    "--layout unknown": (("data", "toy", "--layout", "unknown"), "layout"),
    "--split all of it": (("evaluate", "--split", "all of it"), "split|all of it"),
    "--counting twice": (("evaluate", "--counting", "twice"), "counting"),
    "--adapter nowhere": (("evaluate", "--adapter", "nowhere.safetensors"), "nowhere"),
    "--adapter a folder": (("evaluate", "--adapter", "{data}"), "data"),
    "--k 0": (("search", "a boat", "--k", "0"), "k"),
    "no query": (("search",), "sentence"),
    "--image nowhere": (("search", "--image", "nowhere.jpg"), "nowhere"),
    "benchmark --seeds 0": (("benchmark", "--seeds", "0", "--dry-run", "--out", "{out}"), "seeds"),
    "benchmark --batch-size 0 --dry-run": (("benchmark", "--batch-size", "0", "--dry-run", "--out", "{out}"), "batch"),
    "benchmark --methods unknown": (("benchmark", "--methods", "unknown", "--dry-run", "--out", "{out}"), "unknown"),
    "benchmark --methods ,": (("benchmark", "--methods", ",", "--dry-run", "--out", "{out}"), "method"),
    "ablate --vary unknown=1": (("ablate", "--vary", "unknown=1", "--dry-run", "--out", "{out}"), "unknown"),
    "ablate --vary adapter.bottleneck=": (("ablate", "--vary", "adapter.bottleneck=", "--dry-run"), "bottleneck"),
    "ablate --method unknown": (("ablate", "--method", "unknown", "--study", "loss", "--dry-run"), "unknown"),
    "ablate --study unknown": (("ablate", "--study", "unknown", "--dry-run"), "unknown"),
    "ablate --seeds 0": (("ablate", "--study", "loss", "--seeds", "0", "--dry-run"), "seeds"),
    "reproduce --data toy2": (("reproduce", "--data", "toy2", "--dry-run"), "toy2"),
    "run --only ,,": (("run", "--only", ",,", "--out", "{out}"), "only|notebook"),
    "run --only 99": (("run", "--only", "99", "--out", "{out}"), "99"),
    "toy --workers 0": (("toy", "--out", "{out}", "--workers", "0"), "workers"),
    "toy --count -1": (("toy", "--out", "{out}", "--count", "-1"), "count|picture"),
    "toy --seed -1": (("toy", "--out", "{out}", "--seed", "-1"), "seed"),
    "pretrain --steps 0": (("pretrain", "--steps", "0", "--out", "{out}"), "steps"),
    "pretrain --images -5": (("pretrain", "--images", "-5", "--out", "{out}"), "images|picture"),
    "pretrain --lr nan": (("pretrain", "--lr", "nan", "--out", "{out}"), "lr"),
    "bench --parts unknown": (("bench", "--parts", "unknown"), "unknown"),
    "bench --rounds 0": (("bench", "--rounds", "0"), "rounds"),
    "fetch unknown": (("fetch", "unknown", "--out", "{out}"), "unknown"),
    "exercises --lesson 99": (("exercises", "--lesson", "99"), "99"),
    "an unknown command": (("unknown",), "unknown"),
}
QUIET = {
    "ablate --method zero_shot": (("ablate", "--method", "zero_shot", "--study", "loss", "--dry-run"), "zero_shot"),
    "train --method zero_shot": ((*TRAIN, "--method", "zero_shot"), "zero_shot"),
    "train --epochs 1 --set epochs=3": ((*TRAIN, "--set", "epochs=3"), "epochs"),
    "train --lr 0.1 --set lr=0.2": ((*TRAIN, "--lr", "0.1", "--set", "lr=0.2"), "lr"),
}
VARIABLES = {
    "RSNB_SEED": "x", "RSNB_EPOCHS": "0", "RSNB_BATCH_SIZE": "many", "RSNB_LIMIT": "-1", "RSNB_DPI": "1",
    "RSNB_QUICK": "perhaps", "RSNB_SKIP_BAD": "2", "RSNB_DATA": "nowhere", "RSNB_ROOT": "/nowhere",
    "RSNB_BACKBONE": "ViT-X", "RSNB_PRETRAINED": "nowhere.pt",
}  # fmt: skip


def with_variable(name: str, value: str) -> Callable[[Box], Seen]:
    def run(box: Box) -> Seen:
        env = {name: value, **({"RSNB_DATA": "ucm"} if name == "RSNB_ROOT" else {})}
        return box.command("search", "a boat", *(() if name == "RSNB_LIMIT" else ("--limit", "24")), env=env)

    return run


def without_torchrun(box: Box) -> Seen:
    """WORLD_SIZE without the other variables."""
    return box.command(*TRAIN, "--limit", "8", env={"WORLD_SIZE": "2"})


# --- Python -----------------------------------------------------------------------------------------------------
def configured(**fields: Any) -> Callable[[Box], Seen]:
    def make_config() -> dict:
        import rsnb

        return rsnb.TrainConfig(**fields).to_dict()

    return lambda box: box.call(make_config)


def python(said: str) -> Callable[[Box], Seen]:
    """An expression of Python in which the usual names are known."""

    def evaluate() -> str:
        import numpy
        import torch

        import rsnb
        from rsnb import evaluation, losses
        from rsnb.evaluation import evaluate, ranks, recalls
        from rsnb.measures import similarity, ties

        names = {"numpy": numpy, "torch": torch, "rsnb": rsnb, "losses": losses, "evaluate": evaluate, "ranks": ranks}
        names |= {"recalls": recalls, "similarity": similarity, "ties": ties, "nan": math.nan, "r": torch.randn}
        names |= {"evaluation": evaluation, "few": lambda: rsnb.load_dataset("toy", "test", limit=8)}
        names |= {"clip": lambda: rsnb.load_clip("mini"), "own": torch.arange}
        return str(eval(said, names))[:300]

    return lambda box: box.call(evaluate)


FIELDS = [
    {"epochs": "many"},
    {"epochs": 2.5},
    {"epochs": True},
    {"epochs": -1},
    {"batch_size": 1},
    {"lr": math.nan},
    {"lr": math.inf},
    {"lr": "1e-3"},
    {"margin": None},
    {"seed": 2**70},
    {"seed": -1},
    {"weights": (0, 0, 0)},
    {"weights": "abc"},
    {"options": []},
    {"options": {"bottleneck": math.nan}},
    {"options": {"x": object}},
    {"device": "cuda:x"},
    {"precision": "fp8"},
    {"method": ""},
    {"method": None},
    {"loss": "own:"},
    {"token_dropout": 1},
]
CALLS = (
    "rsnb.load_dataset('toy', 'everything')",
    "rsnb.load_dataset('toy', limit=2.5)",
    "rsnb.load_dataset('toy', seed='x')",
    "rsnb.load_dataset('toy', val_fraction=1.5)",
    "rsnb.load_dataset('toy', val_fraction=nan)",
    "rsnb.load_dataset(5)",
    "rsnb.load_dataset('~nosuchuser/data')",
    "rsnb.load_dataset('a\\0b')",
    "rsnb.load_clip('mini', 'nowhere.pt')",
    "rsnb.adapt(clip(), 'unknown')",
    "rsnb.adapt(clip(), 'mrs', bottleneck=0)",
    "rsnb.adapt(clip(), 'mrs', unknown=3)",
    "rsnb.adapt(clip(), [])",
    "rsnb.adapt(5, 'mrs')",
    "rsnb.load_adapter('nowhere.safetensors')",
    "evaluate(rsnb.adapt(clip(), 'zero_shot'), few(), precision='fp8')",
    "evaluate(rsnb.adapt(clip(), 'zero_shot'), few(), batch_size=0)",
)
SHAPES = (
    "losses.triplet(r(4), r(4))",
    "losses.triplet(r(4, 8, 2), r(4, 8, 2))",
    "losses.triplet(r(4, 8), r(5, 8))",
    "losses.triplet(numpy.zeros((4, 8)), numpy.zeros((4, 8)))",
    "losses.triplet(r(4, 8), r(4, 8), mining='easy')",
    "losses.hmmc(r(4, 8), r(4, 8), r(4, 8), r(4, 9))",
    "losses.hmmc(r(4, 8), r(4, 8), r(4, 8), r(4, 8), weights=(1, 1))",
    "losses.clip_loss(r(4), r(4))",
    "losses.clip_loss(r(4, 8), r(5, 8))",
    "losses.clip_loss(r(4, 8).tolist(), r(4, 8))",
    "ranks(r(4), r(4), own(4))",
    "ranks(r(4, 8), r(4, 9), own(4))",
    "ranks(r(4, 8), r(4, 8), own(3))",
    "ranks(r(4, 8), r(4, 8), own(4) + 9)",
    "ranks(r(4, 8) * nan, r(4, 8), own(4))",
    "ranks(numpy.zeros((4, 8)), r(4, 8), own(4))",
    "recalls(r(4) * nan, r(4))",
    "recalls(r(4, 4), r(4))",
    "recalls(r(0), r(0))",
    "ties.recall(r(4, 8) * nan, r(4, 8), own(4))",
    "ties.recall(r(4), r(4, 8), own(4))",
    "similarity.cosine(r(4))",
    "similarity.cosine(r(4, 8), r(4, 9))",
    "rsnb.adapt(clip(), 'mrs').encode_image(r(4, 3, 64))",
    "rsnb.adapt(clip(), 'mrs').encode_image(r(4, 1, 64, 64))",
    "rsnb.adapt(clip(), 'mrs').encode_image(numpy.zeros((4, 3, 64, 64)))",
    "rsnb.adapt(clip(), 'mrs').encode_text(own(32))",
    "rsnb.adapt(clip(), 'mrs').encode_text(own(64).reshape(2, 32) - 9)",
    "rsnb.adapt(clip(), 'mrs').encode_text(['a boat'])",
)
SHAPED = "a wrong shape in Python is said in one sentence"


def no_result(box: Box, seen: Seen) -> None:
    """It is refused; a shape or a kind is named."""
    assert seen.code == 2, f"it gave {seen.out.strip()[:80] or seen.err.strip()[-120:]}"


RIGHT = {
    "--set bottleneck=8 lr=1e-3": (*TRAIN, "--limit", "48", "--set", "bottleneck=8", "--set", "lr=1e-3"),
    "--limit 2": (*TRAIN, "--limit", "2"),
    "--limit 1": (*TRAIN, "--limit", "1"),
}


def trained_or_refused(box: Box, seen: Seen) -> None:
    """With next to nothing to train on: a result, or one sentence."""
    (fine() if seen.code == 0 else refused())(box, seen)


CASES = [
    *(Case(LINE, name, None, line, refused(word), seconds=30) for name, (line, word) in WRONG.items()),
    *(Case(IGNORED, name, None, line, refused(word), seconds=30) for name, (line, word) in QUIET.items()),
    *(
        Case(VARIABLE, f"{n}={v}", None, with_variable(n, v), refused(f"{n}|{v}"), seconds=30)
        for n, v in VARIABLES.items()
    ),
    Case(VARIABLE, "WORLD_SIZE=2 without torchrun", None, without_torchrun, refused("WORLD_SIZE|RANK|torchrun")),
    *(Case(PYTHON, f"TrainConfig({fields})", None, configured(**fields), no_result) for fields in FIELDS),
    *(Case(PYTHON, said, None, python(said), no_result, seconds=30) for said in CALLS),
    *(Case(SHAPED, said, None, python(said), no_result, seconds=30) for said in SHAPES),
    *(Case(LINE, f"right: {name}", None, line, trained_or_refused, slow=True) for name, line in RIGHT.items()),
]
