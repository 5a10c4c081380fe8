"""Which device a run uses, and whether it computes in bf16 there."""

from __future__ import annotations

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from rsnb.base import distributed
from rsnb.base.fields import checked
from rsnb.errors import RsnbError


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 is worth while: on CUDA, and on a CPU with bf16 instructions."""
    return device.type == "cuda" or (device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextlib.contextmanager
def autocast(device: torch.device, precision: str):
    """bf16 autocast where ``precision`` asks for it ("auto": where the device has it).

    On a CPU the plain attention kernel is taken with it: for a CLIP's short sequences its backward pass is faster.
    """
    bf16 = precision == "bf16" or (precision == "auto" and has_bf16(device))
    plain = sdpa_kernel(SDPBackend.MATH) if bf16 and device.type == "cpu" else contextlib.nullcontext()
    with plain, torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        yield


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is CUDA, else MPS, else the CPU; another name is checked against what is there, its number too."""
    if checked("device", name) == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and distributed.size() > 1:
        name = f"cuda:{distributed.local()}"
    cards = [f"cuda:{n}" for n in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    there = ["cpu", *["cuda"][: len(cards)], *cards, *["mps"][: torch.backends.mps.is_available()]]
    if name not in there:
        raise RsnbError(f"there is no device {name!r} here; take one of {', '.join(there)}")
    return torch.device(name)
