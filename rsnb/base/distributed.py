"""Several processes that train as one: torch's own distributed engine, started by ``torchrun -m rsnb train``.

Each process embeds its share of a batch; the embeddings of all are gathered, with gradients, so that the hardest
negatives come from the whole batch and the loss is that of one process with all of it::

    dL/dw = mean over ranks of (ranks x its share's part of dL/dw)

The factor comes from gathering (every rank computes the same loss, and all of them send gradients back), the mean
from ``DistributedDataParallel``. So the sum of the parts remains: no learning rate has to be scaled.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from rsnb.errors import RsnbError

WAIT = datetime.timedelta(minutes=30)  # the others wait this long while the first one evaluates


def size() -> int:
    """How many processes train together; 1 without ``torchrun``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is; the first is 0, writes the files and speaks."""
    return dist.get_rank() if size() > 1 else 0


@contextlib.contextmanager
def together(device: str = "auto") -> Iterator[None]:
    """Join the processes that ``torchrun`` started (NCCL on CUDA, else Gloo) and leave them at the end."""
    world = os.environ.get("WORLD_SIZE", "1").strip() or "1"
    if not world.isdecimal():
        raise RsnbError(f"WORLD_SIZE is {world!r}; torchrun sets it to a number of processes, else leave it unset")
    if int(world) < 2:
        yield
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise RsnbError(
            f"WORLD_SIZE is {world} but {', '.join(missing)} is not set; start several processes with "
            "torchrun, or unset WORLD_SIZE"
        )
    on_cuda = device.split(":")[0] in ("auto", "cuda") and torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(local())
    dist.init_process_group("nccl" if on_cuda else "gloo", timeout=WAIT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def local() -> int:
    """The number of this process on its machine: the CUDA device it takes."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def share(chosen: list[int]) -> tuple[list[int], list[int]]:
    """A batch, shortened to a multiple of the processes, and this process's part of it."""
    each = len(chosen) // size()
    return chosen[: each * size()], chosen[rank() * each : (rank() + 1) * each]


def gather(x: Tensor) -> Tensor:
    """(B / ranks, D) here -> (B, D) everywhere, in the order of the batch; gradients go back to where x came from."""
    if size() == 1:
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(list(all_gather(x.contiguous())))


def wrap(module: nn.Module, steady: bool = True) -> nn.Module:
    """The module, with the first process's weights, whose gradients are averaged over the processes.

    steady: whether the same parameters get one in every step.
    """
    if size() == 1:
        return module
    from torch.nn.parallel import DistributedDataParallel

    return DistributedDataParallel(
        module, broadcast_buffers=False, static_graph=steady, find_unused_parameters=not steady
    )


def same(module: nn.Module) -> nn.Module:
    """The module, with the first process's weights, for one whose gradients are the same in all of them."""
    if size() > 1:
        module.load_state_dict(from_first(lambda: {name: x.cpu() for name, x in module.state_dict().items()}))
    return module


def from_first(make: Callable[[], Any]) -> Any:
    """What ``make()`` gives in the first process, everywhere; its RsnbError is raised everywhere."""
    if size() == 1:
        return make()
    found: list[Any] = [None, None]
    if rank() == 0:
        try:
            found[0] = make()
        except RsnbError as error:
            found[1] = str(error)
    dist.broadcast_object_list(found)
    if found[1] is not None:
        raise RsnbError(found[1])
    return found[0]
