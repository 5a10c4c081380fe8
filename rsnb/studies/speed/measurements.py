"""Speed and memory against the method as published (``plain.py``), in turn on the same weights and data.

Every figure is a ratio of times taken alternately (A B A B ...) in one run on one machine; absolute times are written
beside it but mean little on another. On a CPU they are CPU seconds, so that other programs on the machine count little.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from rsnb.base.processes import end_with_input
from rsnb.errors import RsnbError
from rsnb.studies.speed.accounting import account
from rsnb.studies.speed.epochs import epochs
from rsnb.studies.speed.pair import Pair
from rsnb.studies.speed.timing import (
    attainable_flops,
    clock_of,
    compared,
    flops_of,
    in_turn,
    peak_rss,
    precisions,
    timed,
)

PARTS = ("step", "waterfall", "account", "evaluation", "memory", "epochs", "growth", "data", "start")


def step(args, pair: Pair) -> dict[str, Any]:
    """The training step: same loss first, then times; with the share of the matrix-multiply ceiling that it reaches."""
    import torch

    pixels, tokens = pair.batch(args.batch_size)
    pair.model.eval()
    with torch.no_grad():
        ours = pair.model.encode_image(pixels), pair.model.encode_text(tokens)
        theirs = (
            pair.plain.encode_image(pair.clip.model, pair.adapter, pixels),
            pair.plain.encode_text(pair.clip.model, pair.adapter, tokens),
        )
    gap = max((a - b).abs().max().item() for a, b in zip(ours, theirs))
    if gap > 1e-4:
        raise RsnbError(f"the two versions differ by {gap:.1e}; their times must not be compared")
    found: dict[str, Any] = {"largest_difference": float(f"{gap:.1e}")}
    calls = {"plain": pair.plain_step(pixels, tokens)}
    calls |= {p: pair.our_step(pixels, tokens, p) for p in precisions(args.device)}
    times = in_turn(calls, args.rounds, args.device)
    for precision in precisions(args.device):
        found[precision] = compared(times["plain"], times[precision])
        work = flops_of(calls[precision])
        ceiling = attainable_flops(args, torch.bfloat16 if precision == "bf16" else torch.float32, pair)
        reached = work / found[precision]["our_seconds"]
        found[precision] |= {"gflop": round(work / 1e9, 1), "share_of_matmul_ceiling": round(reached / ceiling, 2)}
    found["plain_gflop"] = round(flops_of(calls["plain"]) / 1e9, 1)
    return found


#: What `waterfall` measures, from the published version to ours: name, precision, savings that are left out.
STAIRS = (
    ("the same, written out", "fp32", ("cut", "views", "pooled", "light", "once")),
    ("captions cut at the longest", "fp32", ("views", "pooled", "light", "once")),
    ("both views in one batch", "fp32", ("pooled", "light", "once")),
    ("last block: pooled token alone", "fp32", ("light", "once")),
    ("backward pass keeps less", "fp32", ("once",)),
    ("bf16 for the frozen CLIP", "bf16", ("once",)),
    ("frozen weights cast once", "bf16", ()),
)


def savings_one_by_one(args, pair: Pair) -> list[dict[str, Any]]:
    """The step, one saving after the other: median seconds of all variants measured in turn, and the megabytes that
    each keeps for its backward pass (counted, not read from the process)."""
    from rsnb import fast
    from rsnb.config import TrainConfig
    from rsnb.measures import costs

    batch = pair.batch(args.batch_size)
    calls: dict[str, Callable] = {"as published": pair.plain_step(*batch)}
    keeps = {"as published": lambda: pair.plain.loss(pair.clip.model, pair.adapter, *batch)}
    left_out: dict[str, tuple] = {"as published": ()}
    for name, precision, missing in STAIRS:
        if precision in precisions(args.device):
            calls[name], left_out[name] = pair.our_step(*batch, precision), missing
            keeps[name] = lambda p=precision: costs.loss_of_batch(pair.model.train(), *batch, TrainConfig(precision=p))

    def without(name: str, call: Callable) -> Callable:
        def one():
            with fast.without(*left_out[name]):
                call()

        return one

    times = in_turn({n: without(n, call) for n, call in calls.items()}, args.rounds, args.device)
    found = []
    for name in calls:
        with fast.without(*left_out[name]):
            kept = costs.kept_for_backward(keeps[name], (pair.model, pair.adapter))
        seconds = statistics.median(times[name])
        found.append({"name": name, "seconds": round(seconds, 4), "megabytes_kept": round(kept / 1e6, 1)})
    return found


def evaluation(args, pair: Pair) -> dict[str, Any]:
    """Validation of a whole test split, five captions per image: the plain one against ours, recalls compared."""
    import torch

    from rsnb import evaluation as ours
    from rsnb.base.devices import autocast

    pixels, tokens = pair.batch(args.images, 5 * args.images)
    owner = torch.arange(args.images).repeat_interleave(5)
    recalls: dict[str, Any] = {}

    def plain():
        recalls["plain"] = pair.plain.validate(pair.clip.model, pair.adapter, pixels, tokens, owner)

    @torch.no_grad()
    def quick(precision):
        pair.model.eval()
        distinct, place = torch.unique(tokens, dim=0, return_inverse=True)
        with autocast(pair.model.device, precision):
            image = torch.cat([pair.model.encode_image(part) for part in pixels.split(64)])
            text = ours.encode_captions(pair.model, distinct)
        recalls[precision] = ours.recalls(*ours.ranks(image.float().cpu(), text.float()[place].cpu(), owner))

    calls = {"plain": plain} | {p: lambda p=p: quick(p) for p in precisions(args.device)}
    times = in_turn(calls, max(1, args.rounds // 2), args.device, warm=0)  # it takes minutes
    found = {"images": args.images, "captions": len(tokens)}
    for precision in precisions(args.device):
        gap = max(abs(recalls["plain"][k] - recalls[precision][k]) for k in recalls["plain"])
        found[precision] = {**compared(times["plain"], times[precision]), "largest_recall_difference": round(gap, 2)}
    return found


def memory(args, pair: Pair) -> dict[str, Any]:
    """Peak memory of one step above the loaded model, batch 64, each version in a process of its own."""
    found = {}
    for name in ("plain", *(f"ours-{p}" for p in precisions(args.device))):
        command = [sys.executable, "-m", "rsnb", "bench", "--child", name, "--backbone", args.backbone]
        command += ["--device", args.device]
        if args.captions:
            command += ["--captions", args.captions]
        ours, theirs = os.pipe()  # the child ends where this end of the pipe does
        try:
            done = subprocess.run(command, stdin=ours, capture_output=True, text=True, env=dict(os.environ))
        finally:
            os.close(ours)
            os.close(theirs)
        if done.returncode:
            raise RsnbError(f"measuring the memory of {name} failed: {done.stderr.strip()[-500:]}")
        found[name] = json.loads(done.stdout.strip().splitlines()[-1])["mb"]
    ratios = {f"{name}_share": round(mb / found["plain"], 3) for name, mb in found.items() if name != "plain"}
    return {"megabytes": found, **ratios}


def measure_in_child(args) -> dict[str, Any]:
    """Megabytes that one step of batch 64 adds at its peak to what the loaded model took."""
    import psutil

    end_with_input()
    pair = Pair(args)
    name, _, precision = args.child.partition("-")
    make = (lambda *b: pair.plain_step(*b)) if name == "plain" else (lambda *b: pair.our_step(*b, precision))
    batch = pair.batch(64)
    if args.device.startswith("cuda"):
        import torch

        before = torch.cuda.memory_allocated()
        make(*batch)()
        peak = torch.cuda.max_memory_allocated()
    else:
        before = psutil.Process().memory_info().rss
        make(*batch)()
        peak = peak_rss()
    print(json.dumps({"mb": round((peak - before) / 1e6, 1)}))
    return {}


def growth(args, pair: Pair) -> dict[str, Any]:
    """Seconds a pair of the step from batch 8 to 128, and a caption of the ranking from 1,000 to 50,000 (random)."""
    import torch

    from rsnb.evaluation import ranks
    from rsnb.measures.costs import LargestTensor

    precision = precisions(args.device)[-1]
    pairs = {}
    for size in (8, 16, 32, 64, 128):
        one = pair.our_step(*pair.batch(size), precision)
        one()
        pairs[size] = round(1e3 * min(timed(one, clock_of(args.device)) for _ in range(3)) / size, 2)
    captions, numbers = {}, {}
    for count in (1_000, 5_000, 20_000, 50_000):
        rng = torch.Generator().manual_seed(0)
        image = torch.nn.functional.normalize(torch.randn(1000, 512, generator=rng), dim=-1)
        text = torch.nn.functional.normalize(torch.randn(count, 512, generator=rng), dim=-1)
        owner = torch.arange(count) % 1000
        seconds = min(timed(lambda i=image, t=text, o=owner: ranks(i, t, o)) for _ in range(2))
        captions[count] = round(1e6 * seconds / count, 2)
        with LargestTensor() as largest:
            ranks(image, text, owner)
        numbers[count] = largest.numbers
    return {
        "precision": precision,
        "milliseconds_a_pair": pairs,
        "microseconds_a_caption_against_1000_images": captions,
        "largest_tensor_of_the_ranking": numbers,
    }


def image_loading(args, pair: Pair | None) -> dict[str, Any]:
    """Images a second of the toy world through preprocessing: decoded each time, and out of the cache on disk."""
    import tempfile
    import warnings

    import torch

    import rsnb
    from rsnb.data import PixelStore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clip = pair.clip if pair else rsnb.load_clip(args.backbone, "random" if args.backbone == "mini" else None)
    ds = rsnb.load_dataset("toy", "test")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        PixelStore(ds, clip, cache=folder).fill(progress=False).keep()
        store = PixelStore(ds, clip, cache=folder)
        size = store.cache_file.stat().st_size

        def decode():
            for i in range(len(ds)):
                clip.preprocess(ds.image(i))

        def cached():
            for batch in torch.arange(len(ds)).split(64):
                store[batch]

        times = in_turn({"decode": decode, "cached": cached}, args.rounds)  # by the wall: the disk counts
        found = compared(times["decode"], times["cached"])
    rate = round(len(ds) / found["our_seconds"])
    return {
        **found,
        "images": f"{len(ds)} of the toy world",
        "images_a_second": rate,
        "file_megabytes": round(size / 1e6, 1),
    }


def start(args, pair: Pair | None) -> dict[str, Any]:
    """Seconds of `import rsnb` and of `rsnb --help`, the fastest of five fresh processes each."""
    calls = {"import_rsnb": ["-c", "import rsnb"], "help": ["-m", "rsnb", "--help"], "python_alone": ["-c", "pass"]}
    found = {}
    for name, call in calls.items():
        times = [
            timed(lambda c=call: subprocess.run([sys.executable, *c], stdout=subprocess.DEVNULL, check=True))
            for _ in range(5)
        ]
        found[name] = round(min(times), 3)
    return found


DO = {
    "step": step, "waterfall": savings_one_by_one, "account": account, "evaluation": evaluation, "memory": memory,
    "epochs": epochs, "growth": growth, "data": image_loading, "start": start,
}  # fmt: skip
