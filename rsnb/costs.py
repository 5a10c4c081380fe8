"""What a method costs: bytes to train it, bytes to ship it, seconds a step."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from rsnb.evaluation import autocast
from rsnb.methods import save_adapter
from rsnb.training import batch_loss

ADAM = 12  # bytes a trainable number in fp32: its gradient and Adam's two averages


def kept_for_backward(model, pixels, tokens, config) -> int:
    """Bytes of all tensors that one training step keeps for its backward pass, the weights themselves left out.

    Counted with ``torch.autograd.graph.saved_tensors_hooks``, each storage once: the same on every machine, unlike
    a process's resident memory. Leaves gradients as they are.
    """
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    own |= {b.untyped_storage().data_ptr() for b in model.buffers()}
    kept: dict[int, int] = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.train()
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, autocast(model.device, config.precision):
        loss = batch_loss(model, pixels, tokens, config)[0]  # alive, so that no address is used twice
    total = sum(kept.values())
    del loss
    model.eval()
    return total


def training_memory(model, pixels, tokens, config) -> dict[str, float]:
    """Megabytes (10^6) to train with this batch: ``weights`` of the whole model, ``activations`` kept for the
    backward pass, ``states`` (gradients and Adam's averages of what trains), and their sum ``total``."""
    numbers = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.trainable().values())
    found = {"weights": 4 * numbers, "activations": kept_for_backward(model, pixels, tokens, config)}
    found["states"] = ADAM * trainable
    found["total"] = sum(found.values())
    return {name: round(value / 1e6, 2) for name, value in found.items()}


def file_bytes(model) -> int:
    """Size of the file that :func:`rsnb.save_adapter` writes: what has to be shipped beside the CLIP."""
    with tempfile.TemporaryDirectory() as folder:
        return save_adapter(model, Path(folder) / "adapter.safetensors").stat().st_size


def seconds_per_step(model, pixels, tokens, config, steps: int = 3) -> float:
    """Median seconds of a training step with this batch, after one step to warm up. Changes the weights."""
    optimizer = torch.optim.Adam(model.trainable().values(), lr=0.0)
    model.train()
    times = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        with autocast(model.device, config.precision):
            loss = batch_loss(model, pixels, tokens, config)[0]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    model.eval()
    return sorted(times[1:])[steps // 2]
