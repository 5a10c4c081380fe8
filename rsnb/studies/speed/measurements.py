"""Speed and memory against the method as published (`benchmarks/plain.py`), in turn on the same weights and data.

Every figure is a ratio of times taken alternately (A B A B ...) in one run on one machine; absolute times are written
beside it but mean little on another.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.errors import RsnbError

_HERE = paths.PACKAGE
FOLDER = next((p for p in (_HERE.parent / "benchmarks", _HERE / "_shipped" / "benchmarks") if p.is_dir()), _HERE)
#: The last one takes minutes to compile and is asked for by name.
PARTS = ("step", "waterfall", "evaluation", "memory", "growth", "data", "start", "compile")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", default=",".join(PARTS[:-1]), help="which of %(default)s (default) and compile")
    parser.add_argument("--backbone", default="ViT-B-32-quickgelu", help="random weights (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="of the step (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements (default: %(default)s)")
    parser.add_argument("--images", type=int, default=210, help="of the evaluation, five captions each")
    parser.add_argument("--captions", metavar="FILE", help="a text file, a caption a line; default: the toy world's")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, mps")
    parser.add_argument("--out", type=Path, default=None, help="write the results there as JSON")
    parser.add_argument("--force", action="store_true", help="replace an existing --out")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)


def arguments(**changes) -> argparse.Namespace:
    """The arguments of :func:`run` with some of them changed, for a notebook."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([])
    unknown = sorted(set(changes) - set(vars(args)))
    if unknown:
        raise RsnbError(f"rsnb bench has no argument called {', '.join(unknown)}")
    return argparse.Namespace(**{**vars(args), **changes})


def load(name: str) -> dict[str, Any] | None:
    """A result file of the folder ``benchmarks``; None where there is none."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def ratios() -> list[dict[str, Any]]:
    """The committed results as lines: what, how many times the plain version's (least, median, most), and the aim."""
    names = ("step-cpu", "evaluation-cpu", "memory-cpu")
    if not all(map(load, names)):
        raise RsnbError(f"{FOLDER} lacks one of {', '.join(names)}; rsnb bench --out FILE writes them")
    found, more, memory = map(load, names)
    lines = []

    def line(what: str, ratio: dict[str, float], aim: str) -> None:
        row = {"against the plain version": what, "median": ratio["median"], "least": ratio["min"]}
        lines.append({**row, "most": ratio["max"], "aim": aim})

    line("training step, bf16: times as fast", found["step"]["bf16"]["ratio"], "3.0")
    line("training step, fp32: times as fast", found["step"]["fp32"]["ratio"], "1.7")
    line("evaluation, bf16: times as fast", more["evaluation"]["bf16"]["ratio"], "20")
    line("evaluation, fp32: times as fast", more["evaluation"]["fp32"]["ratio"], "")
    line("images from the cache: times as fast as decoding", found["data"]["ratio"], "10")
    for precision, aim in (("bf16", "0.22 at most"), ("fp32", "")):
        share = memory["memory"][f"ours-{precision}_share"]
        line(f"peak memory of a step of 64, {precision}: share", dict.fromkeys(("min", "median", "max"), share), aim)
    return lines


def text_table() -> str:
    """:func:`ratios` as Markdown."""
    rows = ratios()
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows)])


def run(args) -> dict[str, Any]:
    """Run the chosen parts; returns {part: figures}."""
    if args.child:
        return _child(args)
    chosen = [part.strip() for part in args.parts.split(",") if part.strip()]
    unknown = set(chosen) - set(PARTS)
    if unknown or args.rounds < 1 or args.batch_size < 2:
        raise RsnbError(f"--parts {args.parts}: choose from {', '.join(PARTS)}; --rounds at least 1, --batch-size 2")
    if args.images < 10:
        raise RsnbError(f"--images {args.images}: at least 10 are needed for R@10")
    if args.out and args.out.exists() and not args.force:
        raise RsnbError(f"{args.out} exists; give another --out, or --force to replace it")
    import torch

    lab = Lab(args) if set(chosen) - {"data", "start"} else None
    results: dict[str, Any] = {
        "machine": {
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "device": args.device,
        }
    }
    results |= {"backbone": f"{args.backbone}, RANDOM weights", "batch_size": args.batch_size, "rounds": args.rounds}
    source = f"{Path(args.captions).parent.name}/{Path(args.captions).name}" if args.captions else "the toy world"
    results |= {"date": datetime.date.today().isoformat()}
    results |= {
        "captions": f"from {source}",
        "command": f"rsnb bench --parts {','.join(chosen)} --backbone "
        f"{args.backbone} --batch-size {args.batch_size} --rounds {args.rounds} --device {args.device}"
        + (f" --captions {source}" if args.captions else ""),
    }
    for part in chosen:
        results[part] = DO[part](args, lab)
        if not args.json:
            print(f"{part}: {json.dumps(results[part], indent=1)}", flush=True)
        if args.out:  # after each part: what is measured is kept
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8", newline="\n")
    if args.json:
        print(json.dumps(results, indent=1))
    return results


def plain_version():
    """The module ``benchmarks/plain.py``."""
    path = FOLDER / "plain.py"
    if not path.is_file():
        raise RsnbError(f"{path} is missing; install rsnb anew, or run it from a clone")
    spec = importlib.util.spec_from_file_location("rsnb_plain", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Lab:
    """One CLIP with random weights, the same adapter weights in both versions, the same images and captions."""

    def __init__(self, args):
        import warnings

        import torch

        import rsnb
        from rsnb import fast
        from rsnb.training import pick_device

        self.plain, self.device = plain_version(), pick_device(args.device)
        args.device = str(self.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            self.clip = rsnb.load_clip(args.backbone, "random" if args.backbone == "mini" else None).to(self.device)
        reason = fast.why_not(self.clip.model)
        if reason or not hasattr(self.clip.model, "token_embedding"):
            raise RsnbError(
                f"{args.backbone} cannot be compared: {reason or 'its text tower is a module of its own'}; "
                "take a plain CLIP such as ViT-B-32-quickgelu"
            )
        self.sentences = _sentences(args.captions)
        widths = self.clip.widths
        self.adapter = self.plain.Adapter(widths["image"], widths["text"]).to(self.device)
        self.model = rsnb.adapt(self.clip, "mrs", seed=0).to(self.device)
        rng = torch.Generator().manual_seed(0)
        for p in self.adapter.parameters():
            p.data = 0.02 * torch.randn(p.shape, generator=rng).to(self.device)
        self.model.added.adapters[0].load_state_dict(self.adapter.state_dict())

    def batch(self, count: int, captions: int | None = None):
        import torch

        rng = torch.Generator().manual_seed(1)
        size = self.clip.image_size
        pixels = torch.randn(count, 3, size, size, generator=rng)
        tokens = self.clip.tokenizer([self.sentences[i % len(self.sentences)] for i in range(captions or count)])
        return pixels.to(self.device), tokens.to(self.device)

    def plain_step(self, pixels, tokens) -> Callable:
        import torch

        optimizer = torch.optim.Adam(self.adapter.parameters(), lr=0.0)
        return lambda: self.plain.step(self.clip.model, self.adapter, optimizer, pixels, tokens)

    def our_step(self, pixels, tokens, precision: str) -> Callable:
        import torch

        from rsnb.config import TrainConfig
        from rsnb.measures.costs import loss_of_batch

        config = TrainConfig(precision=precision)
        tokens = tokens.cpu()  # as in training: no step waits for the device to say how long its captions are
        optimizer = torch.optim.Adam(self.model.trainable().values(), lr=0.0)

        def one():
            loss = loss_of_batch(self.model.train(), pixels, tokens, config)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss

        return one


def in_turn(calls: dict[str, Callable], rounds: int, sync: Callable = lambda: None, warm: int = 1) -> dict[str, list]:
    """Seconds of each call, all of them in turn (A B C A B C ...), after ``warm`` rounds that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warm + rounds):
        for name, call in calls.items():
            sync()
            seconds = _timed(lambda c=call: (c(), sync()))
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


def _sync(device: str) -> Callable:
    import torch

    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None


def _precisions(device: str) -> tuple[str, ...]:
    import torch

    from rsnb.evaluation import has_bf16

    return ("fp32", "bf16") if has_bf16(torch.device(device)) else ("fp32",)


def step(args, lab: Lab) -> dict[str, Any]:
    """The training step: same loss first, then times; with the share of the matrix-multiply ceiling that it reaches."""
    import torch

    pixels, tokens = lab.batch(args.batch_size)
    lab.model.eval()
    with torch.no_grad():
        ours = lab.model.encode_image(pixels), lab.model.encode_text(tokens)
        theirs = (
            lab.plain.encode_image(lab.clip.model, lab.adapter, pixels),
            lab.plain.encode_text(lab.clip.model, lab.adapter, tokens),
        )
    gap = max((a - b).abs().max().item() for a, b in zip(ours, theirs))
    if gap > 1e-4:
        raise RsnbError(f"the two versions differ by {gap:.1e}; their times must not be compared")
    found: dict[str, Any] = {"largest_difference": float(f"{gap:.1e}")}
    calls = {"plain": lab.plain_step(pixels, tokens)}
    calls |= {p: lab.our_step(pixels, tokens, p) for p in _precisions(args.device)}
    times = in_turn(calls, args.rounds, _sync(args.device))
    for precision in _precisions(args.device):
        found[precision] = compared(times["plain"], times[precision])
        work = _flops(calls[precision])
        ceiling = _ceiling(args, torch.bfloat16 if precision == "bf16" else torch.float32, lab)
        reached = work / found[precision]["our_seconds"]
        found[precision] |= {"gflop": round(work / 1e9, 1), "share_of_matmul_ceiling": round(reached / ceiling, 2)}
    found["plain_gflop"] = round(_flops(calls["plain"]) / 1e9, 1)
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


def waterfall(args, lab: Lab) -> list[dict[str, Any]]:
    """The step, one saving after the other: median seconds of all variants measured in turn, and the megabytes that
    each keeps for its backward pass (counted, not read from the process)."""
    from rsnb import fast
    from rsnb.config import TrainConfig
    from rsnb.measures import costs

    batch = lab.batch(args.batch_size)
    calls: dict[str, Callable] = {"as published": lab.plain_step(*batch)}
    keeps = {"as published": lambda: lab.plain.loss(lab.clip.model, lab.adapter, *batch)}
    left_out: dict[str, tuple] = {"as published": ()}
    for name, precision, missing in STAIRS:
        if precision in _precisions(args.device):
            calls[name], left_out[name] = lab.our_step(*batch, precision), missing
            keeps[name] = lambda p=precision: costs.loss_of_batch(lab.model.train(), *batch, TrainConfig(precision=p))

    def without(name: str, call: Callable) -> Callable:
        def one():
            with fast.without(*left_out[name]):
                call()

        return one

    times = in_turn({n: without(n, call) for n, call in calls.items()}, args.rounds, _sync(args.device))
    found = []
    for name in calls:
        with fast.without(*left_out[name]):
            kept = costs.kept_for_backward(keeps[name], (lab.model, lab.adapter))
        seconds = statistics.median(times[name])
        found.append({"name": name, "seconds": round(seconds, 4), "megabytes_kept": round(kept / 1e6, 1)})
    return found


def compiled(args, lab: Lab) -> dict[str, Any]:
    """Our step with and without ``torch.compile``, in turn: the ratio (above 1: compiled is faster), and the seconds
    of the first compiled step."""
    precision = _precisions(args.device)[-1]
    one = lab.our_step(*lab.batch(args.batch_size), precision)

    def other():
        lab.model.compile_fast()
        one()
        lab.model.compile_fast(False)

    first = _timed(other)
    times = in_turn({"eager": one, "compiled": other}, args.rounds, _sync(args.device))
    found = compared(times["eager"], times["compiled"])
    return {
        "precision": precision,
        "first_step_seconds": round(first, 1),
        "ratio": found["ratio"],
        "eager_seconds": found["plain_seconds"],
        "compiled_seconds": found["our_seconds"],
    }


def _flops(call: Callable) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def _ceiling(args, dtype, lab: Lab, seconds: float = 1.0) -> float:
    """Operations a second of the tower's largest product, x W of the MLP, alone."""
    import torch

    width, sync = lab.clip.widths["image"], _sync(args.device)
    rows = 2 * args.batch_size * (1 + lab.clip.grid[0] * lab.clip.grid[1])
    a = torch.randn(rows, width, device=args.device, dtype=dtype)
    b = torch.randn(width, 4 * width, device=args.device, dtype=dtype)
    best, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < seconds:
        sync()
        begun = time.perf_counter()
        a @ b
        sync()
        best = min(best, time.perf_counter() - begun)
    return 2 * rows * width * 4 * width / best


def evaluation(args, lab: Lab) -> dict[str, Any]:
    """Validation of a whole test split, five captions an image: the plain one against ours, recalls compared."""
    import torch

    from rsnb import evaluation as ours
    from rsnb.evaluation import autocast

    pixels, tokens = lab.batch(args.images, 5 * args.images)
    owner = torch.arange(args.images).repeat_interleave(5)
    recalls: dict[str, Any] = {}

    def plain():
        recalls["plain"] = lab.plain.validate(lab.clip.model, lab.adapter, pixels, tokens, owner)

    @torch.no_grad()
    def quick(precision):
        lab.model.eval()
        distinct, place = torch.unique(tokens, dim=0, return_inverse=True)
        with autocast(lab.model.device, precision):
            image = torch.cat([lab.model.encode_image(part) for part in pixels.split(64)])
            text = ours.encode_captions(lab.model, distinct)
        recalls[precision] = ours.recalls(*ours.ranks(image.float().cpu(), text.float()[place].cpu(), owner))

    calls = {"plain": plain} | {p: lambda p=p: quick(p) for p in _precisions(args.device)}
    times = in_turn(calls, max(1, args.rounds // 2), _sync(args.device), warm=0)  # it takes minutes
    found = {"images": args.images, "captions": len(tokens)}
    for precision in _precisions(args.device):
        gap = max(abs(recalls["plain"][k] - recalls[precision][k]) for k in recalls["plain"])
        found[precision] = {**compared(times["plain"], times[precision]), "largest_recall_difference": round(gap, 2)}
    return found


def memory(args, lab: Lab) -> dict[str, Any]:
    """Peak memory of one step above the loaded model, batch 64, each version in a process of its own."""
    found = {}
    for name in ("plain", *(f"ours-{p}" for p in _precisions(args.device))):
        command = [sys.executable, "-m", "rsnb", "bench", "--child", name, "--backbone", args.backbone]
        command += ["--device", args.device]
        if args.captions:
            command += ["--captions", args.captions]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
        if done.returncode:
            raise RsnbError(f"measuring the memory of {name} failed: {done.stderr.strip()[-500:]}")
        found[name] = json.loads(done.stdout.strip().splitlines()[-1])["mb"]
    ratios = {f"{name}_share": round(mb / found["plain"], 3) for name, mb in found.items() if name != "plain"}
    return {"megabytes": found, **ratios}


def _child(args) -> dict[str, Any]:
    """Megabytes that one step of batch 64 adds at its peak to what the loaded model took."""
    import psutil

    lab = Lab(args)
    name, _, precision = args.child.partition("-")
    make = (lambda *b: lab.plain_step(*b)) if name == "plain" else (lambda *b: lab.our_step(*b, precision))
    batch = lab.batch(64)
    if args.device.startswith("cuda"):
        import torch

        before = torch.cuda.memory_allocated()
        make(*batch)()
        peak = torch.cuda.max_memory_allocated()
    else:
        before = psutil.Process().memory_info().rss
        make(*batch)()
        peak = _peak_rss()
    print(json.dumps({"mb": round((peak - before) / 1e6, 1)}))
    return {}


def _peak_rss() -> int:
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


def growth(args, lab: Lab) -> dict[str, Any]:
    """Seconds a pair of the step from batch 8 to 128, and a caption of the ranking from 1,000 to 50,000 (random)."""
    import torch

    from rsnb.evaluation import ranks
    from rsnb.measures.costs import LargestTensor

    precision = _precisions(args.device)[-1]
    pairs = {}
    for size in (8, 16, 32, 64, 128):
        one = lab.our_step(*lab.batch(size), precision)
        one()
        pairs[size] = round(1e3 * min(_timed(one) for _ in range(3)) / size, 2)
    captions, numbers = {}, {}
    for count in (1_000, 5_000, 20_000, 50_000):
        rng = torch.Generator().manual_seed(0)
        image = torch.nn.functional.normalize(torch.randn(1000, 512, generator=rng), dim=-1)
        text = torch.nn.functional.normalize(torch.randn(count, 512, generator=rng), dim=-1)
        owner = torch.arange(count) % 1000
        seconds = min(_timed(lambda i=image, t=text, o=owner: ranks(i, t, o)) for _ in range(2))
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


def _timed(call: Callable) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def data(args, lab: Lab | None) -> dict[str, Any]:
    """Images a second of the toy world through preprocessing: decoded each time, and out of the cache on disk."""
    import tempfile
    import warnings

    import torch

    import rsnb
    from rsnb.data import PixelStore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clip = lab.clip if lab else rsnb.load_clip(args.backbone, "random" if args.backbone == "mini" else None)
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

        times = in_turn({"decode": decode, "cached": cached}, args.rounds)
        found = compared(times["decode"], times["cached"])
    rate = round(len(ds) / found["our_seconds"])
    return {
        **found,
        "images": f"{len(ds)} of the toy world",
        "images_a_second": rate,
        "file_megabytes": round(size / 1e6, 1),
    }


def start(args, lab: Lab | None) -> dict[str, Any]:
    """Seconds of `import rsnb` and of `rsnb --help`, the fastest of five fresh processes each."""
    calls = {"import_rsnb": ["-c", "import rsnb"], "help": ["-m", "rsnb", "--help"], "python_alone": ["-c", "pass"]}
    found = {}
    for name, call in calls.items():
        again = lambda c=call: subprocess.run([sys.executable, *c], stdout=subprocess.DEVNULL, check=True)  # noqa: E731
        found[name] = round(min(_timed(again) for _ in range(5)), 3)
    return found


DO = {"step": step, "waterfall": waterfall, "evaluation": evaluation, "memory": memory, "growth": growth, "data": data,
      "start": start, "compile": compiled}  # fmt: skip


def _sentences(path: str | None) -> list[str]:
    if path:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise RsnbError(f"{path} cannot be read ({error.strerror}); give --captions a text file") from None
        lines = [line.strip() for line in lines if line.strip()]
        if not lines:
            raise RsnbError(f"{path} has no caption; give --captions a text file with one a line")
        return lines
    import rsnb

    return list(rsnb.load_dataset("toy", "test", images=False).captions[0])
