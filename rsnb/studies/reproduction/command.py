"""``rsnb reproduce``: its options, the estimate, and the report."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rsnb.base import paths
from rsnb.base.files import write_json, write_text
from rsnb.base.options import Own, add_options
from rsnb.base.text import markdown_table
from rsnb.config import TrainConfig
from rsnb.studies.reproduction.cells import BACKBONE, METHODS, Reproduction, duration
from rsnb.studies.reproduction.compare import PAPER, report_text


def reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "root", "limit", "precision", "device", "install", "dry_run", "json")
    add_options(
        parser,
        data=Own("ucm", choices=(*PAPER, "toy"), remark="toy is a rehearsal without real images"),
        backbone=Own(BACKBONE, remark="OpenAI's weights need the default"),
        pretrained=Own(
            "openai",
            remark="openai is downloaded by open_clip, `rsnb fetch vit-b-32` gets the same as a file; untrained "
            "makes a checkpoint file of random weights, for a rehearsal",
        ),
        methods=METHODS,
        seeds=1,
        epochs=Own(TrainConfig.paper().epochs, remark="fewer than the paper's are a trial"),
        out="outputs/reproduce",
    )
    parser.add_argument(
        "--recipe",
        choices=("paper", "beyond"),
        default="paper",
        help="beyond: in place of the paper's methods and settings the recipe of `rsnb beyond`, at two learning rates, "
        "with 20 epochs unless --epochs says fewer or more than its default (default: %(default)s)",
    )


def default_reproduce_arguments(**changes: Any) -> argparse.Namespace:
    """The defaults of the command with some changed, for a notebook."""
    parser = argparse.ArgumentParser()
    reproduce_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), **changes})


def reproduce_command(args: argparse.Namespace) -> int:
    """Estimate, run what is missing, print ours beside the paper's. Returns 1 if a cell failed, else 0."""
    say = (lambda *text: None) if args.json else (lambda *text: print(*text, flush=True))
    if args.recipe == "beyond":
        from rsnb.studies.beyond.reproducing import reproduce_beyond

        return reproduce_beyond(args, say)
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
        write_json(grid.folder / "paper.json", summary)
        write_text(grid.folder / "paper.md", text + "\n")
        if args.install:
            name = "rehearsal" if grid.reasons else f"reproduction-{grid.args.data}"
            write_json(paths.results_dir() / f"{name}.json", summary)
    if args.json:
        print(json.dumps({**summary, "failed": failed}, indent=1))
    for line in failed:
        say(f"FAILED {line}; the same command tries it again")
    return 1 if failed else 0


def settings_text(config: TrainConfig | None = None) -> str:
    """The paper's settings in one line."""
    c = config or TrainConfig.paper()
    return (
        f"Adam, learning rate {c.lr:g}, times {c.lr_decay:g} from epoch {c.lr_step + 1} on, {c.epochs} epochs, batch "
        f"{c.batch_size}, every caption once an epoch, best epoch by validation mR, test part once"
    )


def estimate_text(grid: Reproduction, found: dict[str, Any]) -> str:
    """The estimate for a terminal."""
    images = found["images"]
    lines = [
        grid.stamp,
        settings_text(TrainConfig.paper(epochs=grid.args.epochs)),
        f"{images['train']:,} train, {images['val']:,} val, {images['test']:,} test images; "
        f"{found['steps_per_epoch']:,} steps per epoch; estimated on {found['machine']}",
        "",
    ]
    rows = [
        (
            row["title"],
            f"{row['trainable']:,}",
            f"{row['runs']}",
            f"{row['seconds_per_step']:.3f}",
            duration(row["hours"]),
            f"{row['memory_mb'] / 1000:.2f}",
            f"{row['disk_mb'] / 1000:.2f}",
        )
        for row in found["methods"]
    ]
    rows.append(("all", "", "", "", duration(sum(row["hours"] for row in found["methods"])), "", ""))
    head = ("method", "trainable", "runs", "seconds per step", "time", "memory (GB)", "disk (GB)")
    lines += [markdown_table(head, rows), ""]
    lines.append(
        f"beside that: weights {found['weights_mb']:.0f} MB; decoded images {found['pixels_mb']:.0f} MB in "
        "memory, and as much in the cache on disk"
    )
    return "\n".join(lines)
