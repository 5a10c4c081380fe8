"""``rsnb reproduce``: rows of the paper's table made again with its settings, beside what it printed.

The cells are those of :mod:`rsnb.studies.benchmark.grid`, with ``TrainConfig.paper()`` and without a search: a finished
cell is not run again, one that was interrupted goes on at its last finished epoch. What cannot be compared with the
paper (weights that were never trained, another backbone, fewer images or epochs) is a rehearsal, and every table and
sentence says so.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsnb.base.files import make_folder, reason
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.ablation.cell import Cell
from rsnb.studies.ablation.spec import Spec
from rsnb.studies.benchmark.grid import Grid
from rsnb.studies.reproduction.compare import PAPER, compare_with_paper, comparison_sentence
from rsnb.studies.reproduction.weights import UNTRAINED, is_untrained, looks_like_openai, untrained_checkpoint
from rsnb.studies.runs import result_head

METHODS = "zero_shot,mrs"  # unless others are asked for
BACKBONE = "ViT-B-32-quickgelu"  # OpenAI trained with QuickGELU; ViT-B-32 is open_clip's plain-GELU model
IMAGES = {"ucm": (1_890, 210), "rsitmd": (4_291, 452), "rsicd": (9_828, 1_093)}  # train + val, test
CAPTIONS, VAL = 5, 0.2  # captions per image; the part of train + val that becomes val, by image


# --- the cells --------------------------------------------------------------------------------------------------
class Reproduction(Grid):
    """The cells of a benchmark with the paper's settings; tries and other weights have folders of their own."""

    def __init__(self, args: argparse.Namespace):
        for name in ("seeds", "epochs", "limit"):
            value = getattr(args, name)
            if value is not None and value < 1:
                raise RsnbError(f"--{name} must be at least 1, not {value}")
        make_folder(args.out)
        self.asked = args
        partial = args.limit is not None or args.epochs != TrainConfig.paper().epochs
        weights = Path(args.pretrained or "random").stem
        folder = args.out / (f"{weights}-try" if partial else weights)
        pretrained = args.pretrained
        if pretrained == UNTRAINED and not args.dry_run:
            pretrained = untrained_checkpoint(args.backbone, args.out / f"{UNTRAINED}-{args.backbone}.safetensors")
        more = {
            "out": folder,
            "pretrained": pretrained,
            "install": False,
            "loss": "own",
            "search_epochs": 0,
            "batch_size": TrainConfig.paper().batch_size,
        }
        try:
            super().__init__(argparse.Namespace(**{**vars(args), **more}))
            self.clip()
        except RsnbError as error:
            if pretrained != "openai" or "openai" not in str(error):
                raise
            raise RsnbError(
                f"{error}\n`rsnb fetch vit-b-32` gets the weights, resumably; then --pretrained FILE. "
                "--pretrained untrained rehearses without them"
            ) from None
        self.reasons = self._reasons()
        self.stamp = f"{self.parts['train'].stamp} · {self.weights['stamp']}"
        if self.reasons:
            self.stamp = f"REHEARSAL · {self.stamp}" + " · RANDOM weights" * self.weights["untrained"]

    def clip(self):
        clip, asked = super().clip(), self.asked.pretrained
        plan = self.asked.dry_run  # which believes what it is told: the weights are not there to be looked at
        random = asked in (UNTRAINED, "random") or (asked is None and self.asked.backbone != "mini")
        self.weights = {
            "stamp": clip.stamp,
            "untrained": random if plan else is_untrained(clip),
            "openai": not random if plan else looks_like_openai(clip),
            "megabytes": round(4e-6 * sum(p.numel() for p in clip.parameters()), 1),
        }
        return clip

    def config(self, method: str, seed: int, chosen: dict[str, Any]) -> TrainConfig:
        return TrainConfig.paper(
            method=method,
            seed=seed,
            epochs=self.args.epochs,
            precision=self.args.precision,
            device=self.args.device,
            loss=chosen["loss"],
        )

    def _reasons(self) -> list[str]:
        """Why nothing here can be compared with the paper; [] if it can."""
        data, args, found = self.args.data, self.args, []
        if self.weights["untrained"]:
            found.append("RANDOM weights, never trained")
        if args.backbone != BACKBONE:
            found.append(f"the backbone is {args.backbone}, the paper's is ViT-B/32")
        elif not self.weights["untrained"] and not self.weights["openai"]:
            found.append("these weights are not OpenAI's")
        if data not in PAPER:
            found.append(f"the data is {self.parts['test'].stamp}")
        elif args.limit is None and len(self.parts["test"]) != IMAGES[data][1]:
            found.append(f"{len(self.parts['test'])} test images, the paper has {IMAGES[data][1]}")
        if args.limit is not None:
            found.append(f"at most {args.limit} images a split")
        if args.epochs != TrainConfig.paper().epochs:
            found.append(f"{args.epochs} epoch{'s' * (args.epochs > 1)} instead of {TrainConfig.paper().epochs}")
        return found

    def run(self, say=print) -> tuple[list[dict[str, Any]], list[str]]:
        """All cells, method by method: the results, and a line for each cell that failed."""
        cells = [(method, seed) for method in self.methods for seed in self.seeds(method)]
        results, failed, begun = [], [], time.perf_counter()
        for number, (method, seed) in enumerate(cells, start=1):
            try:
                result = self.result(method, seed)
            except Exception as error:  # an interrupt is none: it ends the command, which goes on there next time
                failed.append(f"{method}, seed {seed}: {reason(error)}")
                continue
            results.append(result)
            so_far = duration((time.perf_counter() - begun) / 3600)
            say(f"[{number}/{len(cells)}] {method} seed {seed}: mR {result['test']['mr']:.2f}, {so_far} so far")
        return results, failed

    def result(self, method: str, seed: int = 0) -> dict[str, Any]:
        """One cell, from its file or trained now."""
        chosen, tried = self.search(method)
        return self.cell(method, seed, chosen, tried)

    def result_of(self, cell: Cell, config: TrainConfig, tried) -> dict[str, Any]:
        result = super().result_of(cell, config, tried)
        return {**result, "command": self.command(), "stamp": self.stamp, "reasons": self.reasons}

    def key(self) -> dict[str, Any]:
        """All that decides the rows of :meth:`summary`."""
        one = self.lab.key(Spec(), 0)
        return keys.key_of(settings_of(self.args), one["data"], one["weights"], keys.REHEARSAL)

    def command(self) -> str:
        """What makes this again; a place on this machine is left out."""
        a = self.asked
        words = [
            "rsnb reproduce",
            f"--data {a.data}",
            "--root DIR" * (a.data != "toy"),
            f"--methods {a.methods}",
            f"--seeds {a.seeds}",
            f"--backbone {a.backbone}" * (a.backbone != BACKBONE),
            f"--pretrained {Path(a.pretrained).name if a.pretrained else 'random'}",
            f"--precision {a.precision}",
            f"--epochs {a.epochs}" * (a.epochs != TrainConfig.paper().epochs),
            f"--limit {a.limit}" * (a.limit is not None),
            "--install" * a.install,
        ]
        return " ".join(filter(None, words))

    # --- the estimate -------------------------------------------------------------------------------------------
    def estimate(self, steps: int = 3) -> dict[str, Any]:
        """Seconds, hours, memory and disk, from a few training steps of each method and one batch of encoding."""
        import torch

        import rsnb
        from rsnb.base.devices import autocast, pick_device
        from rsnb.measures import costs
        from rsnb.methods import METHODS

        device = pick_device(self.args.device)
        clip = self.clip().to(device)
        sizes = {part: len(data) for part, data in self.parts.items()}
        captions = len(self.parts["train"].captions[0])
        encode = {"seconds_per_image": 0.0, "seconds_per_caption": 0.0}
        rows = []
        for method in self.methods:
            model = rsnb.adapt(clip, method, seed=0)
            config = self.config(method, 0, {"loss": self.own_loss(method)})
            batch = costs.first_batch(model, self.parts["train"], config.batch_size)
            if not rows:
                with torch.no_grad(), autocast(device, "fp32"):  # reported numbers are read in fp32
                    for name, encoder, x in zip(encode, (model.encode_image, model.encode_text), batch):
                        encode[name] = _seconds(lambda f=encoder, x=x: f(x), device) / len(x)
            row: dict[str, Any] = {"method": method, "title": METHODS[method].title, "loss": config.loss}
            row |= {"trainable": rsnb.count_trainable(model), "runs": len(self.seeds(method))}
            if model.trainable():
                row["seconds_per_step"] = round(costs.seconds_per_step(model, *batch, config, steps=steps), 4)
                row["memory_mb"] = costs.training_memory(model, *batch, config)["total"]
            else:
                row |= {"seconds_per_step": 0.0, "memory_mb": self.weights["megabytes"]}
            row["hours"] = row["runs"] * hours(row["seconds_per_step"], encode, sizes, captions, config.epochs)
            row["disk_mb"] = round(16e-6 * row["trainable"], 1)  # weights, the best ones, Adam's two averages
            rows.append(row)
            clip = model.detach()
        pixels = 3 * clip.image_size**2 * sum(sizes.values()) / 1e6
        whole = {
            row["method"]: {
                data: round(hours(row["seconds_per_step"], encode, *full_size(data), TrainConfig.paper().epochs), 2)
                for data in PAPER
            }
            for row in rows
        }
        return {
            "images": sizes,
            "captions": captions,
            "steps_per_epoch": math.ceil(captions / config.batch_size),
            **{name: round(value, 5) for name, value in encode.items()},
            "methods": rows,
            "weights_mb": self.weights["megabytes"],
            "pixels_mb": round(pixels, 1),
            "paper_hours": whole,
            "machine": f"{device.type}, {torch.get_num_threads()} threads, {platform.machine()}",
        }

    def summary(self, results: Sequence[dict[str, Any]], estimate: dict[str, Any]) -> dict[str, Any]:
        """Everything that was found, as it is written and installed."""

        rows = compare_with_paper(results, self.args.data)
        what = "rows of the paper's table made again" + ", as a rehearsal" * bool(self.reasons)
        stamp = f"{self.stamp} · {self.args.seeds} seed{'s' * (self.args.seeds > 1)}"
        histories = {r["method"]: r["history"] for r in results if r["history"] and r["seed"] == 0}
        return {
            **result_head(what, self.command(), stamp),
            "key": self.key(),
            "made_by": keys.made_by(keys.REHEARSAL),
            "reasons": self.reasons,
            "data": self.args.data,
            "backbone": self.args.backbone,
            "estimate": estimate,
            "peak_mb": peak_megabytes(),
            "rows": rows,
            "sentences": [comparison_sentence(row, self.reasons) for row in rows],
            "histories": histories,
        }


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """What a call of the command asks for, of all that decides a number."""
    from rsnb.methods import METHODS

    methods = list(METHODS) if args.methods == "all" else [m.strip() for m in args.methods.split(",") if m.strip()]
    asked = {"epochs": args.epochs, "precision": args.precision}
    configs = {m: TrainConfig.paper(method=m, loss=METHODS[m].loss, **asked).to_dict() for m in methods}
    configs = {m: {k: v for k, v in config.items() if k != "device"} for m, config in configs.items()}
    return {"configs": configs, "seeds": args.seeds, "limit": args.limit}


def _seconds(call, device, rounds: int = 2) -> float:
    """Shortest of a few timed calls after one to warm up."""
    import torch

    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def full_size(data: str) -> tuple[dict[str, int], int]:
    """Images of each part of a whole data set, and the captions of its train part."""
    both, test = IMAGES[data]
    val = round(VAL * both)
    return {"train": both - val, "val": val, "test": test}, CAPTIONS * (both - val)


def hours(step: float, encode: dict[str, float], images: dict[str, int], captions: int, epochs: int) -> float:
    """One run of one method: all steps, validation after each epoch, the test part once.

    step: seconds of a training step of 16 pairs (0: nothing trains). encode: seconds_per_image, seconds_per_caption.
    """
    each = encode["seconds_per_image"] + captions / images["train"] * encode["seconds_per_caption"]
    epoch = math.ceil(captions / TrainConfig.paper().batch_size) * step + images["val"] * each
    return (epochs * epoch * (step > 0) + images["test"] * each) / 3600


def duration(hours: float) -> str:
    """ "3.2 h", "14 min" or "20 s"."""
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min" if hours >= 1 / 30 else f"{3600 * hours:.0f} s"


def peak_megabytes() -> float | None:
    """The most memory (10^6 bytes) that this process has held; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
