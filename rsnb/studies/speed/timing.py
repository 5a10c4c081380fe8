"""Two functions timed in turn; memory and floating-point operations of a call."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsnb.studies.speed.pair import Pair


def in_turn(calls: dict[str, Callable], rounds: int, device: str = "", warm: int = 1) -> dict[str, list]:
    """Seconds of each call, all of them in turn (A B C A B C ...), after ``warm`` rounds that are not counted.
    ``device`` says by which clock (:func:`clock_of`); without one, the clock on the wall."""
    sync = synchronise(device)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warm + rounds):
        for name, call in calls.items():
            sync()
            seconds = timed(lambda c=call: (c(), sync()), clock_of(device))
            if number >= warm:
                times[name].append(seconds)
    return times


def compared(plain: list[float], ours: list[float]) -> dict[str, Any]:
    """Ratios of neighbouring times (min, median, max), and median seconds."""
    ratios = sorted(a / b for a, b in zip(plain, ours))
    return {
        "ratio": {
            name: round(value, 2)
            for name, value in (("min", ratios[0]), ("median", statistics.median(ratios)), ("max", ratios[-1]))
        },
        "plain_seconds": round(statistics.median(plain), 4),
        "our_seconds": round(statistics.median(ours), 4),
    }


def clock_of(device: str) -> Callable[[], float]:
    """On a CPU the CPU seconds of this process, which other programs hardly lengthen; else seconds on the wall."""
    return time.process_time if device.startswith("cpu") else time.perf_counter


def synchronise(device: str) -> Callable:
    import torch

    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None


@contextlib.contextmanager
def threads(count: int):
    """In this block torch computes with so many threads of the CPU."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def precisions(device: str) -> tuple[str, ...]:
    import torch

    from rsnb.base.devices import computes_bf16

    return ("fp32", "bf16") if computes_bf16(torch.device(device)) else ("fp32",)


def flops_of(call: Callable) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def attainable_flops(args, dtype, pair: Pair, seconds: float = 1.0) -> float:
    """Operations a second of the tower's largest product, x W of the MLP, alone."""
    import torch

    width, sync, clock = pair.clip.widths["image"], synchronise(args.device), clock_of(args.device)
    rows = 2 * args.batch_size * (1 + pair.clip.grid[0] * pair.clip.grid[1])
    a = torch.randn(rows, width, device=args.device, dtype=dtype)
    b = torch.randn(width, 4 * width, device=args.device, dtype=dtype)
    best, started = float("inf"), clock()
    while clock() - started < seconds:
        best = min(best, timed(lambda: (sync(), a @ b, sync()), clock))
    return 2 * rows * width * 4 * width / best


def peak_rss() -> int:
    """Of this process alone: on Linux getrusage also knows the peak of the process that started this one."""
    status = Path("/proc/self/status")
    for line in status.read_text(encoding="utf-8").splitlines() if status.is_file() else ():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def timed(call: Callable, clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    call()
    return clock() - started
