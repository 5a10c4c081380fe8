"""``rsnb reproduce``: rows of the paper's table made again with its settings, beside what it printed.

The cells are those of :mod:`rsnb.studies.benchmark.grid`, with ``TrainConfig.paper()`` and without a search: a finished cell is not
run again, one that was interrupted goes on at its last finished epoch. What cannot be compared with the paper (weights
that were never trained, another backbone, fewer images or epochs) is a rehearsal, and every table and sentence says so.
This file imports torch only when it runs.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.studies.benchmark import grid as benchmark

BACKBONE = "ViT-B-32-quickgelu"  # OpenAI trained with QuickGELU; ViT-B-32 is open_clip's plain-GELU model
PAPER = {"ucm": "UCM", "rsitmd": "RSITMD", "rsicd": "RSICD"}
IMAGES = {"ucm": (1_890, 210), "rsitmd": (4_291, 452), "rsicd": (9_828, 1_093)}  # train + val, test
CAPTIONS, VAL = 5, 0.2  # captions an image; the part of train + val that becomes val, by image
COLUMNS = (*benchmark.RECALLS, "mr")
UNTRAINED = "untrained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        default="ucm",
        choices=(*PAPER, "toy"),
        help="ucm (default), rsitmd, rsicd; toy is a rehearsal without real images",
    )
    parser.add_argument("--root", type=Path, default=None, help="where the data set lies")
    parser.add_argument(
        "--methods", default="zero_shot,mrs", help="comma-separated names, or all (default: both of %(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to N-1 (default: %(default)s)")
    parser.add_argument("--backbone", default=BACKBONE, help="default: %(default)s, which OpenAI's weights need")
    parser.add_argument(
        "--pretrained",
        default="openai",
        help="openai (downloaded by open_clip), the FILE of `rsnb "
        "fetch vit-b-32`, or untrained: a checkpoint file of random weights, for a rehearsal",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        default=TrainConfig.paper().epochs,
        help="default: %(default)s, as in the paper; fewer are a try",
    )
    parser.add_argument("--limit", type=int, default=None, help="at most N images of each split: a try")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("outputs/reproduce"),
        help="folder of results and of what is needed to go on (default: %(default)s)",
    )
    parser.add_argument("--install", action="store_true", help="keep the summary with the committed results")
    parser.add_argument("--dry-run", action="store_true", help="print hours, memory and disk, and run nothing")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def arguments(**changes: Any) -> argparse.Namespace:
    """The defaults of the command with some changed, for a notebook."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), **changes})


def run(args: argparse.Namespace) -> int:
    """Estimate, run what is missing, print ours beside the paper's. Returns 1 if a cell failed, else 0."""
    say = (lambda *text: None) if args.json else (lambda *text: print(*text, flush=True))
    grid = Reproduction(args)
    estimate = grid.estimate()
    say(estimate_text(grid, estimate))
    if args.dry_run:
        if args.json:
            print(json.dumps({"stamp": grid.stamp, "reasons": grid.reasons, "estimate": estimate}, indent=1))
        return 0
    results, failed = grid.run(say)
    summary = grid.summary(results, estimate)
    if results:
        text = report_text(summary)
        say("\n" + text)
        benchmark._write(grid.folder / "paper.json", summary)
        benchmark._replace(grid.folder / "paper.md", text + "\n")
        if args.install:
            name = "rehearsal" if grid.reasons else f"reproduction-{grid.args.data}"
            benchmark._write(paths.results_dir() / f"{name}.json", summary)
    if args.json:
        print(json.dumps({**summary, "failed": failed}, indent=1))
    for line in failed:
        say(f"FAILED {line}; the same command tries it again")
    return 1 if failed else 0


# --- the cells --------------------------------------------------------------------------------------------------
class Reproduction(benchmark.Grid):
    """The cells of a benchmark with the paper's settings; tries and other weights have folders of their own."""

    def __init__(self, args: argparse.Namespace):
        for name in ("seeds", "epochs", "limit"):
            value = getattr(args, name)
            if value is not None and value < 1:
                raise RsnbError(f"--{name} must be at least 1, not {value}")
        self.asked = args
        partial = args.limit is not None or args.epochs != TrainConfig.paper().epochs
        weights = Path(args.pretrained or "random").stem
        folder = args.out / (f"{weights}-try" if partial else weights)
        pretrained = args.pretrained
        if args.dry_run and pretrained == "openai":
            pretrained = "random"  # a plan needs the architecture alone, and no download
        if pretrained == UNTRAINED:
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
        except OSError as error:
            raise RsnbError(f"{folder} cannot be made ({error.strerror}); choose another --out") from None
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
        if args.dry_run and args.pretrained == "openai":
            plan = "the plan; no weights are loaded for it"
            self.stamp = f"{self.parts['train'].stamp} · {args.backbone}, openai · {plan}"

    def clip(self):
        clip = super().clip()
        self.weights = {
            "stamp": clip.stamp,
            "untrained": is_untrained(clip),
            "openai": looks_like_openai(clip),
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
                failed.append(f"{method}, seed {seed}: {benchmark._reason(error)}")
                continue
            results.append(result)
            so_far = duration((time.perf_counter() - begun) / 3600)
            say(f"[{number}/{len(cells)}] {method} seed {seed}: mR {result['test']['mr']:.2f}, {so_far} so far")
        return results, failed

    def result(self, method: str, seed: int = 0) -> dict[str, Any]:
        """One cell, from its file or trained now."""
        chosen, tried = self.search(method)
        return self.cell(method, seed, chosen, tried)

    def _run(self, config: TrainConfig, tried, key: dict[str, Any]) -> dict[str, Any]:
        result = super()._run(config, tried, key)
        return {**result, "command": self.command(), "stamp": self.stamp, "reasons": self.reasons}

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
        from rsnb.evaluation import autocast
        from rsnb.measures import costs
        from rsnb.methods import METHODS
        from rsnb.training import pick_device

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
        from rsnb.classroom import lesson

        rows = compare(results, self.args.data)
        what = "rows of the paper's table made again" + ", as a rehearsal" * bool(self.reasons)
        stamp = f"{self.stamp} · {self.args.seeds} seed{'s' * (self.args.seeds > 1)}"
        histories = {r["method"]: r["history"] for r in results if r["history"] and r["seed"] == 0}
        return {
            **lesson.result_head(what, self.command(), stamp),
            "reasons": self.reasons,
            "data": self.args.data,
            "backbone": self.args.backbone,
            "estimate": estimate,
            "peak_mb": peak_megabytes(),
            "rows": rows,
            "sentences": [sentence(row, self.reasons) for row in rows],
            "histories": histories,
        }


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


# --- the weights ------------------------------------------------------------------------------------------------
def untrained_checkpoint(backbone: str, path: str | Path, seed: int = 0) -> Path:
    """A checkpoint file of a backbone's random weights, to rehearse with; made once, loaded like any other file."""
    import torch
    from safetensors.torch import save_file

    from rsnb import backbone as clips

    path = Path(path)
    if path.is_file():
        return path
    if backbone != "mini" and backbone not in clips.open_clip.list_models():
        clips.load_clip(backbone)  # says what is wrong with the name
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = clips.new_mini() if backbone == "mini" else clips._quietly(clips.open_clip.create_model, backbone)
    scratch = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, scratch)
        scratch.replace(path)
    except OSError as error:
        raise RsnbError(f"{path} cannot be written ({error.strerror or error}); choose another --out") from None
    return path


def is_untrained(clip) -> bool:
    """Whether these are initial weights: every layer norm still multiplies by 1 and adds 0; no training leaves that."""
    import torch

    norms = [m for m in clip.modules() if isinstance(m, torch.nn.LayerNorm)]
    return bool(norms) and all(bool((m.weight == 1).all()) and bool((m.bias == 0).all()) for m in norms)


def looks_like_openai(clip) -> bool:
    """OpenAI's weights end at a temperature of 0.01, and are half precision numbers, also where a file holds floats."""
    weight = getattr(getattr(clip.model.visual, "conv1", None), "weight", None)
    hot = abs(clip.model.logit_scale.item() - math.log(100)) < 1e-3
    return hot and weight is not None and bool((weight.float() == weight.half().float()).all())


# --- ours beside the paper's ------------------------------------------------------------------------------------
def compare(results: Sequence[dict[str, Any]], data: str) -> list[dict[str, Any]]:
    """One row a method: ours (mean over the seeds, expected over random orders of ties), the paper's, the difference
    and the spread (standard deviation over the seeds; None for one) of each recall and of mR; what orders of the ties
    could make of mR, and what guessing gives on as many images. Without a printed row, paper and difference: None."""
    from rsnb.studies import paper

    printed = {row.method: row for row in paper.rows(PAPER[data])} if data in PAPER else {}
    rows = []
    for method in dict.fromkeys(r["method"] for r in results):
        own = [r for r in results if r["method"] == method]
        found = [r["honest"]["expected"] for r in own]
        ties = [mr for r in own for mr in r["honest"]["ties_mr"]]
        row: dict[str, Any] = {
            "method": method,
            "title": own[0]["title"],
            "seeds": len(own),
            "trainable": own[0]["trainable"],
            "ours": {},
            "paper": None,
            "difference": None,
            "spread": None,
            "all_mr": [round(recalls["mr"], 2) for recalls in found],
            "ties_mr": [min(ties), max(ties)],
        }
        values = {name: [recalls[name] for recalls in found] for name in COLUMNS}
        row["ours"] = {name: round(statistics.fmean(found), 2) for name, found in values.items()}
        if len(own) > 1:
            row["spread"] = {name: round(statistics.stdev(found), 2) for name, found in values.items()}
        row["chance"] = chance(own[0]["test"]["images"], own[0]["test"]["captions"])
        if method in printed:
            row["paper"] = {**printed[method].recalls, "mr": printed[method].mr}
            row["difference"] = {name: round(row["ours"][name] - row["paper"][name], 2) for name in COLUMNS}
        rows.append(row)
    return rows


def chance(images: int, captions: int) -> dict[str, float]:
    """Recalls and mR, in percent, of a model that ranks at random, with the same number of captions for each image."""
    wrong, found = captions - captions // images, {}
    for k in (1, 5, 10):
        found[f"text_r{k}"] = 100 * (1 - math.comb(wrong, min(k, captions)) / math.comb(captions, min(k, captions)))
        found[f"image_r{k}"] = 100 * min(1.0, k / images)
    found["mr"] = statistics.fmean(found.values())
    return {name: round(value, 2) for name, value in found.items()}


def sentence(row: dict[str, Any], reasons: Sequence[str]) -> str:
    """One row in plain words."""
    ours, own = f"{row['ours']['mr']:.1f}", row["all_mr"]
    if reasons:
        beside = f", {row['paper']['mr']:.1f} printed" if row["paper"] else ""
        return (
            f"{row['title']}: {ours} mR here (guessing gives {row['chance']['mr']:.1f}){beside}. REHEARSAL "
            f"({'; '.join(reasons)}): nothing follows from the difference."
        )
    if row["spread"]:
        ours = f"{ours} ± {row['spread']['mr']:.1f} over {row['seeds']} seeds ({min(own):.1f} to {max(own):.1f})"
    if not row["paper"]:
        return f"{row['title']}: {ours} mR; the paper has no such row."
    printed = row["paper"]["mr"]
    low, high = row["ties_mr"]
    if high - low >= 0.1:
        ours = f"{ours} (orders of ties: {low:.1f} to {high:.1f})"
    text = f"{row['title']}: {ours} mR against {printed:.1f} printed, {row['difference']['mr']:+.1f}; "
    if not row["trainable"]:
        return text + "nothing is trained, so a difference lies in the data, the weights or the counting."
    if not row["spread"]:
        return text + "one seed, so no spread."
    where = "above" if printed > max(own) else "below" if printed < min(own) else "among"
    return text + f"the printed number lies {where} our seeds, and the paper prints no spread."


def settings_text(config: TrainConfig | None = None) -> str:
    """The paper's settings in one line."""
    c = config or TrainConfig.paper()
    return (
        f"Adam, learning rate {c.lr:g}, times {c.lr_decay:g} every {c.lr_step} epochs, {c.epochs} epochs, batch "
        f"{c.batch_size}, every caption once an epoch, best epoch by validation mR, test part once"
    )


def estimate_text(grid: Reproduction, found: dict[str, Any]) -> str:
    """The estimate for a terminal."""
    images = found["images"]
    lines = [
        grid.stamp,
        settings_text(TrainConfig.paper(epochs=grid.args.epochs)),
        f"{images['train']:,} train, {images['val']:,} val, {images['test']:,} test images; "
        f"{found['steps_per_epoch']:,} steps an epoch; estimated on {found['machine']}",
        f"{'method':22}{'trainable':>12}{'runs':>6}{'s a step':>10}{'time':>10}{'memory':>11}{'disk':>10}",
    ]
    for row in found["methods"]:
        lines.append(
            f"{row['title']:22}{row['trainable']:>12,}{row['runs']:>6}{row['seconds_per_step']:>10.3f}"
            f"{duration(row['hours']):>10}{row['memory_mb'] / 1000:>8.2f} GB{row['disk_mb'] / 1000:>7.2f} GB"
        )
    lines.append(f"{'all':50}{duration(sum(r['hours'] for r in found['methods'])):>10}")
    lines.append(
        f"beside that: weights {found['weights_mb']:.0f} MB; decoded images {found['pixels_mb']:.0f} MB in "
        "memory, and as much in the cache on disk"
    )
    return "\n".join(lines)


def report_text(summary: dict[str, Any]) -> str:
    """The table and the sentences, as Markdown."""
    names = ("text R@1", "R@5", "R@10", "image R@1", "R@5", "R@10", "mR")
    lines = [f"| | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for row in summary["rows"]:
        seeds = f"{row['seeds']} seed{'s' * (row['seeds'] > 1)}"
        for name, label, form in (
            ("ours", f"{row['title']}, ours ({seeds})", "{:.2f}"),
            ("paper", "paper", "{:.2f}"),
            ("difference", "difference", "{:+.2f}"),
            ("spread", "spread", "± {:.2f}"),
        ):
            cells = [form.format(row[name][key]) if row[name] else "-" for key in COLUMNS]
            if row["paper"] or name == "ours":
                lines.append(f"| {label} | {' | '.join(cells)} |")
    said = [f"- {text}" for text in summary["sentences"]]
    return "\n".join([*lines, "", summary["stamp"], "", *said])


def load(name: str = "rehearsal") -> dict[str, Any] | None:
    """A committed summary: "rehearsal", or "reproduction-ucm" and the like; None if there is none."""
    path = paths.results_dir() / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


# --- figures ----------------------------------------------------------------------------------------------------
TITLES = {"ucm": "UCM-Captions", "rsitmd": "RSITMD", "rsicd": "RSICD"}


def time_figure(marks: dict[str, float], title: str):
    """Hours of the training steps of one run (30 epochs) against the seconds a step takes, a line a data set.

    marks: name -> seconds a step, measured somewhere; each a vertical line with the hours of every data set on it.
    """
    import matplotlib.pyplot as plt

    from rsnb.figures import plots

    config = TrainConfig.paper()
    with plt.rc_context(plots.STYLE):
        figure, axis = plt.subplots(figsize=(10, 5.2))
        seconds = (0.02, max(20.0, 1.5 * max(marks.values(), default=1.0)))
        for data, colour, marker in zip(PAPER, plots.PALETTE, plots.MARKERS):
            steps = config.epochs * math.ceil(full_size(data)[1] / config.batch_size)
            axis.plot(seconds, [steps * s / 3600 for s in seconds], color=colour)
            measured = list(marks.values())
            axis.plot(
                measured,
                [steps * s / 3600 for s in measured],
                marker,
                color=colour,
                markersize=9,
                markeredgecolor="white",
                label=f"{TITLES[data]}: {steps:,} steps",
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="seconds a step of 16 pairs (log scale)",
            ylabel="hours of one run (log scale)",
            xlim=seconds,
        )
        low, high = axis.get_ylim()
        axis.set_ylim(low, 3 * high)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_major_formatter("{x:,g}")
        for name, value in marks.items():
            axis.axvline(value, color=plots.GREY, linestyle="--", linewidth=1.2)
            axis.annotate(
                name,
                (value, 1),
                (-5, -4),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=11,
                color="0.3",
            )
        for name, value in {"an hour": 1, "a day": 24, "a week": 168}.items():
            axis.axhline(value, color="0.8", linewidth=1)
            axis.annotate(
                name,
                (1, value),
                (5, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=11,
                color="0.4",
            )
        axis.legend(loc="lower right")
        axis.set_title(plots._wrap(title, 9))
    return figure


def beside_figure(rows: Sequence[dict[str, Any]], title: str, rehearsal: bool = False):
    """A panel a method: each recall and mR, ours as a point (with the spread), the paper's as a diamond, guessing as a
    short line. rows: of :func:`compare`."""
    import matplotlib.pyplot as plt

    from rsnb.figures import plots

    names = ("text\nR@1", "text\nR@5", "text\nR@10", "image\nR@1", "image\nR@5", "image\nR@10", "mR")
    with plt.rc_context(plots.STYLE):
        figure, axes = plt.subplots(1, len(rows), figsize=(11, 4.6), sharey=True, squeeze=False)
        for axis, row in zip(axes[0], rows):
            places = range(len(COLUMNS))
            if row["paper"]:
                axis.plot(
                    places,
                    [row["paper"][name] for name in COLUMNS],
                    "D",
                    color=plots.PALETTE[1],
                    markersize=9,
                    label="paper, as printed",
                )
            axis.errorbar(
                places,
                [row["ours"][name] for name in COLUMNS],
                [row["spread"][name] for name in COLUMNS] if row["spread"] else None,
                fmt="o",
                capsize=4,
                color=plots.PALETTE[0],
                markersize=8,
                label="ours",
            )
            for place, name in enumerate(COLUMNS):
                axis.hlines(
                    row["chance"][name],
                    place - 0.3,
                    place + 0.3,
                    color=plots.GREY,
                    linewidth=2,
                    label="guessing" if place == 0 else None,
                )
            if rehearsal:
                axis.text(
                    0.5,
                    0.9,
                    "REHEARSAL",
                    transform=axis.transAxes,
                    ha="center",
                    va="center",
                    fontsize=22,
                    fontweight="bold",
                    color="0.82",
                    zorder=0,
                )
            axis.set_xticks(places, names)
            axis.set_title(row["title"])
            axis.set_ylim(0, 105)
        axes[0][0].set_ylabel("recall (%)")
        axes[0][0].legend(loc="upper left", bbox_to_anchor=(0, 0.86) if rehearsal else None)
        plots._head(figure, title)
    return figure
