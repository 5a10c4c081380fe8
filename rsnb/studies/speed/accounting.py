"""Where the seconds of a training step go: every operation of it is timed, and told by its kind."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from rsnb.studies.speed.pair import Pair
from rsnb.studies.speed.timing import attainable_flops, clock_of, precisions, timed

AT_THE_RATE = "matrix products, at the machine's best rate"
SLOWER = "matrix products, above that"
ADAPTER = "matrix products in fp32: the adapter, the loss"
NAMED_NOT = "Python, autograd, operations too small to name"

#: Kind of work -> the operations of torch that do it, forward and backward. Products are told apart by their dtype.
KINDS = {
    "products of queries, keys and values": ("bmm", "baddbmm"),
    "softmax, masks": ("_softmax", "_softmax_backward_data", "masked_fill_", "masked_fill"),
    "GELU": ("silu", "silu_backward", "gelu", "gelu_backward", "sigmoid", "sigmoid_backward"),
    "layer norm": ("native_layer_norm", "native_layer_norm_backward"),
    "casts and copies": ("_to_copy", "copy_", "clone", "cat", "index", "index_put_", "gather", "embedding", "stack"),
    "sums and products number by number": ("add", "add_", "sub", "mul", "mul_", "div", "div_", "sum", "relu", "neg",
                                           "threshold_backward", "where"),
    "dropout": ("native_dropout", "native_dropout_backward", "bernoulli_", "bernoulli"),
    "new memory": ("empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "zeros", "zeros_like",
                   "new_zeros", "zero_", "fill_"),
}  # fmt: skip
_PRODUCTS = ("mm", "addmm", "convolution")


def seconds_by_kind(call: Callable) -> tuple[dict[str, float], float]:
    """CPU seconds of the operations of ``call()``, by kind, and the floating-point operations of its low-precision
    products (of all of them where there are none). Its own work is left out of the seconds."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    kind_of = {name: kind for kind, names in KINDS.items() for name in names}
    seconds: dict[str, float] = defaultdict(float)
    flops: dict[str, float] = defaultdict(float)

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            packet = function.overloadpacket
            started = time.process_time()
            made = function(*args, **(kwargs or {}))
            took = time.process_time() - started
            name = packet.__name__
            if name in _PRODUCTS:
                kind = SLOWER if made.dtype == torch.bfloat16 else ADAPTER
                flops[kind] += flop_registry[packet](*args, **(kwargs or {}), out_val=made)
            else:
                kind = kind_of.get(name, NAMED_NOT)
            seconds[kind] += took
            return made

    with Watch():
        call()
    if SLOWER not in seconds:
        seconds[SLOWER], flops[SLOWER] = seconds.pop(ADAPTER), flops.pop(ADAPTER)
    return dict(seconds), flops[SLOWER]


def account(args, pair: Pair) -> dict[str, Any] | None:
    """The step in our best precision: seconds and share of each kind of work, the largest first, and what share of
    the step is accounted for by name. None on another device than a CPU, where operations do not wait for their end.

    The matrix products of the frozen CLIP stand in two lines: what they would take at the rate that the largest
    of them reaches alone (:func:`rsnb.studies.speed.timing.attainable_flops`), and what they take above that.
    """
    import torch

    if not args.device.startswith("cpu"):
        return None
    precision = precisions(args.device)[-1]
    one = pair.our_step(*pair.batch(args.batch_size), precision)
    one()
    whole, found = [], []
    for _ in range(args.rounds):
        whole.append(timed(one, clock_of(args.device)))
        found.append(seconds_by_kind(one))
    step = min(whole)
    kinds, work = min(found, key=lambda pair: sum(pair[0].values()))  # the one least disturbed
    rate = attainable_flops(args, torch.bfloat16 if precision == "bf16" else torch.float32, pair)
    kinds[AT_THE_RATE] = min(work / rate, kinds[SLOWER])
    kinds[SLOWER] -= kinds[AT_THE_RATE]
    kinds.pop(NAMED_NOT, None)
    named = sum(kinds.values())
    kinds[NAMED_NOT] = max(step - named, 0.0)
    rows = [
        {"name": name, "seconds": round(took, 4), "share": round(took / step, 4)}
        for name, took in sorted(kinds.items(), key=lambda item: (item[0] == NAMED_NOT, -item[1]))
        if took > 0
    ]
    return {
        "precision": precision,
        "step_seconds": round(step, 4),
        "gflop_a_second_at_best": round(rate / 1e9, 1),
        "accounted": round(min(named / step, 1.0), 3),
        "rows": rows,
    }
