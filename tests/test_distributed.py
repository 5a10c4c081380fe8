"""Two processes with half a batch each are one process with the whole: loss, gradients; and what if one dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from test_method_table import perturb

import rsnb
from rsnb import TrainConfig
from rsnb.data.batches import Batch
from rsnb.data.objective import Objective
from rsnb.training import Views

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.check,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed"),
]
LOSSES = ("hmmc", "clip", "triplet", "own:images_alone")
METHODS = tuple(method for method in rsnb.METHODS if method != "zero_shot")

STEP = """
import sys
import torch
import rsnb
from rsnb.base import distributed, offline
sys.path.insert(0, "tests")
import test_distributed as own

offline.block_if_asked()
with distributed.together("cpu"):
    found = {}
    for method in own.METHODS:
        for loss in own.LOSSES:
            found[method, loss] = own.one_step(method, loss)
    try:
        distributed.from_first(own.refuse)
    except rsnb.RsnbError as error:
        found["error"] = str(error)
    torch.save(found, sys.argv[1] + str(distributed.rank()))
"""


def refuse():
    from rsnb.base import distributed

    assert distributed.rank() == 0, "asked in the first process alone"
    raise rsnb.RsnbError("there is nothing here")


class images_alone(torch.nn.Module):
    """A loss of one's own that reads three of the four views, leaves the text alone, and learns a temperature."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(5.0))

    def forward(self, batch):
        return rsnb.losses.clip_loss(batch.image, batch.image2, self.scale) * len(batch)


def one_step(method: str, loss: str):
    """(loss, gradients) of a batch of 6 of random pixels, in as many processes as there are; no dropout."""
    from rsnb.base import distributed

    model = perturb(rsnb.adapt(rsnb.load_clip("mini"), method, seed=0)).eval()
    config = TrainConfig(method=method, loss=loss, token_dropout=0.0, margin=1.0, batch_size=6)
    pixels = torch.randn(6, 3, 60, 60, generator=torch.Generator().manual_seed(5))
    tokens = model.clip.tokenizer([f"{n} white planes " * n for n in range(1, 7)])
    objective = Objective(config, images_alone() if loss.startswith("own:") else None)
    if objective.module is not None:
        objective.reads = ("image", "image2")
    views = Views(model, config, objective.reads)
    names, views = views.names, distributed.wrap(views, steady=objective.module is None)
    _, own = distributed.share(list(range(6)))
    found = [distributed.gather(x) for x in views(pixels[own], tokens[own])]
    value, _ = objective(Batch(dict(zip(names, found)), model.clip.logit_scale))
    value.backward()
    gradients = {name: p.grad for name, p in model.trainable().items() if p.grad is not None}
    if objective.module is not None:
        gradients["loss.scale"] = objective.module.scale.grad
    return value.detach(), gradients


def torchrun(*command: str) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *command]
    return subprocess.Popen(run, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_same_loss_and_gradients_as_one_process(tmp_path):
    (tmp_path / "step.py").write_text(STEP)
    done = torchrun(str(tmp_path / "step.py"), str(tmp_path / "found.pt"))
    out, err = done.communicate(timeout=300)
    assert done.returncode == 0, out[-1000:] + err[-3000:]
    found, second = (torch.load(tmp_path / f"found.pt{n}", weights_only=True) for n in (0, 1))
    assert found["error"] == second["error"] == "there is nothing here", "an error is raised in both"
    for method in METHODS:
        for loss in LOSSES:
            value, gradients = one_step(method, loss)
            theirs, others = found[method, loss]
            assert torch.equal(theirs, second[method, loss][0])
            torch.testing.assert_close(theirs, value, atol=1e-5, rtol=1e-5)
            for name, grad in gradients.items():
                gap = (others[name] - grad).abs().max()
                assert gap <= 1e-5 * max(1.0, grad.abs().max()), f"{method} {loss} {name}: {gap:.1e}"
            assert any(grad.abs().max() > 1e-4 for grad in gradients.values()), "nothing was compared"


DOORS = """
import sys
import torch
import rsnb
from rsnb.base import distributed, offline
from rsnb.data.augment import flips
sys.path.insert(0, "tests")
import test_distributed as own

def batches(train, epoch):
    return torch.randperm(len(train.captions[0]))[:30].split(10)

def score(report, val):
    return -report.mr

def on_epoch(state):
    calls.append(state["epoch"])
    if state.report.mr >= 0 and state["epoch"] == 2:
        state.stop()

offline.block_if_asked()
with distributed.together("cpu"):
    calls = []
    torch.manual_seed(distributed.rank())
    model = rsnb.adapt(rsnb.load_clip("mini"), "mrs", seed=0)
    train, val = (rsnb.load_dataset("toy", part, limit=22) for part in ("train", "val"))
    config = rsnb.TrainConfig(loss="own:images_alone", epochs=5, batch_size=10, device="cpu")
    result = rsnb.train(model, train, val, config, out=sys.argv[1] + "run", progress=False, loss=own.images_alone,
                        augment=flips, batches=batches, score=score, on_epoch=on_epoch)
    weights = {name: p.detach() for name, p in model.trainable().items()}
    found = {"weights": weights, "calls": calls, "scale": [row["loss.scale"] for row in result.history]}
    torch.save(found, sys.argv[1] + str(distributed.rank()))
"""


def test_what_a_user_hands_in_works_in_two_processes(tmp_path):
    (tmp_path / "doors.py").write_text(DOORS)
    done = torchrun(str(tmp_path / "doors.py"), str(tmp_path / "found"))
    out, err = done.communicate(timeout=300)
    assert done.returncode == 0, out[-1000:] + err[-3000:]
    first, second = (torch.load(tmp_path / f"found{n}", weights_only=True) for n in (0, 1))
    assert (first["calls"], second["calls"]) == ([1, 2], []), "called in the first process, and both stop"
    assert first["scale"] == second["scale"] and len(first["scale"]) == 2 and first["scale"][1] != 5.0
    assert all(torch.equal(first["weights"][name], second["weights"][name]) for name in first["weights"])
    assert (tmp_path / "foundrun" / "done.json").is_file()


def test_a_rank_that_dies_ends_all_and_the_run_goes_on(tmp_path):
    out = tmp_path / "run"
    train = ["-m", "rsnb", "train", "--data", "toy", "--limit", "33", "--device", "cpu", "--batch-size", "16"]
    train += ["--epochs", "10", "--out", str(out), "--json"]
    done, workers = torchrun(*train), []
    try:
        deadline = time.time() + 240
        while not (out / "state.pt").exists():
            assert done.poll() is None and time.time() < deadline, done.communicate()[1][-3000:]
            time.sleep(0.1)
        workers = psutil.Process(done.pid).children(recursive=True)
        next(w for w in workers if w.environ().get("RANK") == "1").kill()
        done.communicate(timeout=90)
    finally:
        done.kill()
    assert done.returncode not in (0, None)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive, "a process is left over"
    assert not (out / "done.json").exists()
    before = json.loads(torch.load(out / "state.pt", weights_only=True)["result"])["history"]
    assert 1 <= len(before) < 10

    again = torchrun(*train)
    printed, err = again.communicate(timeout=300)
    assert again.returncode == 0, printed[-1000:] + err[-3000:]
    result = json.loads(printed)  # one process speaks
    assert result["history"][: len(before)] == before and len(result["history"]) == 10
    assert result == json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert rsnb.load_adapter(out / "adapter.safetensors").method == "mrs"
