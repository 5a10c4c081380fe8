"""Which device a run gets, and where "auto" is bf16."""

from __future__ import annotations

import contextlib
import types

import pytest
import torch

from rsnb.base import devices
from rsnb.errors import RsnbError


@pytest.fixture
def cuda(monkeypatch):
    """cuda(number of devices, compute capability): a machine with such GPUs."""

    def machine(count: int, major: int = 9):
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(major=major))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return machine


@pytest.mark.parametrize("major, native", [(7, False), (8, True), (9, True)])  # T4 and V100; A100; H100
def test_bf16_only_where_the_gpu_has_instructions_for_it(cuda, major, native):
    cuda(1, major)
    assert devices.computes_bf16(torch.device("cuda")) == native


def test_bf16_of_a_cpu(monkeypatch):
    assert devices.computes_bf16(torch.device("cpu")) in (True, False)
    monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace())  # a torch without the question
    assert not devices.computes_bf16(torch.device("cpu"))
    with devices.autocast(torch.device("cpu"), "auto"):
        assert not torch.is_autocast_enabled("cpu")
    assert not devices.computes_bf16(torch.device("meta"))


def test_the_device_of_a_name(cuda):
    cuda(2)
    assert devices.pick_device() == devices.pick_device("cuda") == torch.device("cuda")
    assert devices.pick_device("cuda:1") == torch.device("cuda", 1)
    cuda(0)
    assert devices.pick_device() == devices.pick_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:7", "cuda:1", "cuda:", "cuda:x", "cuda:-1", "cpu:1", "mps", "abacus", ""])
def test_a_device_that_is_not_here(cuda, name):
    cuda(1)
    with pytest.raises(RsnbError, match=f"no device '{name}' here.* take one of cpu, cuda"):
        devices.pick_device(name)
