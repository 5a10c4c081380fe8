"""Questions of devices: which one a run uses, whether it is there, and whether it computes in bf16."""

from __future__ import annotations

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from rsnb.base import distributed
from rsnb.errors import RsnbError


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16, so that it is faster than fp32: CUDA from compute capability 8 on
    (a T4 or V100 only emulates it, and is slower), ROCm, and CPUs with bf16 instructions."""
    if device.type == "cuda":
        with torch.cuda.device(device):  # torch asks the current one
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        # Private, for torch has no public question that means instructions of bf16 rather than any way to compute it;
        # a torch that has lost it, or was built without mkldnn, takes fp32.
        asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        return asked is not None and bool(asked())
    return False


@contextlib.contextmanager
def autocast(device: torch.device, precision: str):
    """bf16 autocast where ``precision`` asks for it ("auto": where the device has instructions for it).

    On a CPU the plain attention kernel is taken with it: for a CLIP's short sequences its backward pass is faster.
    """
    bf16 = precision == "bf16" or (precision == "auto" and computes_bf16(device))
    plain = sdpa_kernel(SDPBackend.MATH) if bf16 and device.type == "cpu" else contextlib.nullcontext()
    with plain, torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        yield


def device_counts() -> dict[str, int]:
    """How many devices of each kind are here, {"cpu": 1, "cuda": 2, "mps": 0}."""
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {"cpu": 1, "cuda": cuda, "mps": int(torch.backends.mps.is_available())}


def pick_device(name: str = "auto") -> torch.device:
    """The device of a name: "auto" is CUDA, else MPS, else the CPU; "cuda" is the one of this process.

    Raises:
        RsnbError: there is no such device here, or not so many of its kind.
    """
    counts, name = device_counts(), str(name)
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if counts[kind])
    if name == "cuda" and distributed.size() > 1:
        name = f"cuda:{distributed.local()}"
    kind, _, number = name.partition(":")
    there = ", ".join(kind if n == 1 else f"cuda:0 to cuda:{n - 1}" for kind, n in counts.items() if n)
    if not counts.get(kind) or (":" in name and not number.isdecimal()):
        raise RsnbError(f"there is no device {name!r} here; take one of {there}")
    if int(number or 0) >= counts[kind]:
        raise RsnbError(f"there is no device {name!r} here, which has {counts[kind]} of {kind}; take one of {there}")
    return torch.device(name)
