"""What a method costs: bytes to train it, bytes to ship it, seconds per step."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rsnb import fast
from rsnb.base.devices import autocast
from rsnb.data import PixelStore
from rsnb.methods import save_adapter
from rsnb.training import batch_loss

ADAM = 12  # bytes a trainable number in fp32: its gradient and Adam's two averages


class LargestTensor(TorchDispatchMode):
    """While active: ``numbers``, the size of the largest tensor that any operation made (a view is none)."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        for x in tree_leaves(found):
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in given:
                self.numbers = max(self.numbers, x.numel())
        return found


def first_batch(model, train, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One batch of pairs spread over a train part, to time or measure a step with: pixels and tokens."""
    captions, owner = train.captions
    chosen = list(range(0, len(captions), max(1, len(captions) // batch_size)))[:batch_size]
    pixels = PixelStore(train, model.clip)[[owner[c] for c in chosen]]
    return pixels.to(model.device), model.clip.tokenizer([captions[c] for c in chosen]).to(model.device)


def loss_of_batch(model, pixels, tokens, config) -> torch.Tensor:
    """The loss of one training step, in the config's precision."""
    with autocast(model.device, config.precision):
        return batch_loss(model, pixels, tokens, config)[0]


def kept_for_backward(forward: Callable[[], torch.Tensor], modules: Iterable[nn.Module]) -> int:
    """Bytes of all tensors that ``forward()`` keeps for its backward pass, the weights of the modules left out.

    Counted with ``torch.autograd.graph.saved_tensors_hooks``, each storage once: the same on every machine, unlike
    a process's resident memory. Leaves gradients as they are.
    """
    own = {x.untyped_storage().data_ptr() for m in modules for x in (*m.parameters(), *m.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with fast.watching(pack), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()  # alive, so that no address is used twice
    total = sum(kept.values())
    del loss
    return total


def training_memory(model, pixels, tokens, config) -> dict[str, float]:
    """Megabytes (10^6) to train with this batch: ``weights`` of the whole model, ``activations`` kept for the
    backward pass, ``states`` (gradients and Adam's averages of what trains), and their sum ``total``."""
    kept = kept_for_backward(lambda: loss_of_batch(model.train(), pixels, tokens, config), [model])
    model.eval()
    numbers = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.trainable().values())
    found = {"weights": 4 * numbers, "activations": kept}
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
        loss = loss_of_batch(model, pixels, tokens, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    model.eval()
    return sorted(times[1:])[steps // 2]
