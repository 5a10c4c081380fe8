"""``rsnb reproduce --recipe beyond``: the recipe on real data with a pretrained CLIP; hours and memory first.

Two learning rates are trained with seed 0, the better one on the validation part is taken, and the test part is opened
for it alone. What makes the paper's rows a rehearsal makes these one.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from typing import Any

from rsnb.base import paths
from rsnb.base.devices import pick_device
from rsnb.base.files import write_json, write_text
from rsnb.base.text import markdown_table
from rsnb.beyond.published import printed
from rsnb.beyond.recipe import Recipe
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.beyond.costing import PreparedStep
from rsnb.studies.beyond.studies import BESIDE, OURS, RECIPE, with_clips_loss
from rsnb.studies.beyond.trying import Tries
from rsnb.studies.reproduction.cells import METHODS, Reproduction, duration, hours, peak_megabytes
from rsnb.studies.runs import result_head
from rsnb.studies.speed.timing import compared, in_turn

RATES = (3e-4, 1e-3)
TO_BE_BEATEN = ("Full fine-tuning (the paper)", "MRS-Adapter + HMMC (the paper)", "MPS-CLIP")
SIZES = ((8, 2, 0.0), (4, 1, 0.0), (2, 1, 0.0), (2, 1, 0.5))  # bottleneck, rank, share of the width that both use


def goals(data: str) -> dict[str, float]:
    """{whose: mR} to be beaten: the paper's full fine-tuning and adapter, and MPS-CLIP as its authors report it."""
    printed_for = {row.method: row.mean_recall for row in printed() if row.dataset == data.upper()}
    return {name: float(printed_for[name]) for name in TO_BE_BEATEN if printed_for.get(name)}


def recipe_for(clip, recipe: Recipe = RECIPE) -> Recipe:
    """The recipe with the largest module that has no more numbers than MRS-Adapter on this CLIP.

    Raises:
        RsnbError: none is so small, or the towers differ in depth.
    """
    if len(set(clip.depths.values())) > 1:
        raise RsnbError(
            f"the recipe has one module for each depth, and the towers of {clip.name} have {clip.depths['image']} and "
            f"{clip.depths['text']} blocks; take a backbone such as ViT-B-32-quickgelu or ViT-B-16 with --backbone"
        )
    budget = _count(clip, "mrs", {})
    for bottleneck, rank, share in SIZES:
        shared = int(share * min(clip.widths.values()))
        options = {**recipe.options, "mrs.bottleneck": bottleneck, "mrs.shared": shared, "lora.rank": rank}
        if _count(clip, recipe.method, options) <= budget:
            return recipe.replace(options=options)
    raise RsnbError(
        f"on {clip.name} MRS-Adapter has {budget:,} numbers, and the smallest module of the recipe has more; take "
        "another backbone with --backbone"
    )


def _count(clip, method: str, options: dict[str, Any]) -> int:
    import rsnb

    model = rsnb.adapt(clip, method, seed=0, **options)
    count = rsnb.count_trainable(model)
    model.detach()
    return count


class BeyondReproduction:
    """The runs: both rates with seed 0, the better one with the other seeds."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.grid = Reproduction(argparse.Namespace(**{**vars(args), "methods": "mrs"}))
        made = recipe_for(self.grid.clip())
        usual = args.epochs == TrainConfig.paper().epochs
        self.recipe = made if usual else made.replace(epochs=args.epochs)
        self.reasons = [*self.grid.reasons]
        self.stamp, self.folder = self.grid.stamp, self.grid.folder / "beyond"
        weights = self.grid.args.pretrained
        self.tries = Tries(
            self.grid.parts, None, args.backbone, weights, self.folder, args.precision, args.limit, args.device
        )

    def estimate(self) -> dict[str, Any]:
        """Hours and memory of all runs, from a few training steps and one batch of encoding; ``step_ratio`` is how
        long a step takes beside one of MRS-Adapter with CLIP's loss and as many pairs, the two timed in turn."""
        of_paper, recipe = self.grid.estimate(), self.recipe
        device = pick_device(self.args.device)
        paired = {OURS: recipe, BESIDE: with_clips_loss().replace(batch_size=recipe.batch_size)}
        steps = {
            name: PreparedStep(one, self.grid.clip().to(device), self.grid.parts["train"], self.args.precision)
            for name, one in paired.items()
        }
        times = in_turn(steps, 3, "" if device.type == "cpu" else device.type)
        step = statistics.median(times[OURS])
        encode = {name: of_paper[name] for name in ("seconds_per_image", "seconds_per_caption")}
        captions, per_epoch = of_paper["captions"], math.ceil(of_paper["captions"] / recipe.batch_size)
        of_sixteen = step * per_epoch / math.ceil(captions / TrainConfig.paper().batch_size)  # `hours` has its batches
        one = hours(of_sixteen, encode, of_paper["images"], captions, recipe.epochs)
        runs = len(RATES) + self.args.seeds - 1
        return {
            "trainable": steps[OURS].trainable,
            "runs": runs,
            "seconds_per_step": round(step, 4),
            "step_ratio": compared(times[OURS], times[BESIDE])["ratio"],
            "steps_per_epoch": per_epoch,
            "hours": round(runs * one, 5),
            "memory_mb": steps[OURS].memory,
            "images": of_paper["images"],
            "machine": of_paper["machine"],
        }

    def run(self, say) -> dict[str, Any]:
        """Everything that was found."""
        tried = {}
        for rate in RATES:
            found = self.tries.run(self.recipe.replace(lr=rate), 0)
            tried[rate] = found["val"]["plain"]["mr"]
            say(f"rate {rate:g}: validation mR {tried[rate]:.2f}")
        chosen = self.recipe.replace(lr=max(tried, key=lambda rate: tried[rate]))
        runs = []
        for seed in range(self.args.seeds):
            found = self.tries.run(chosen, seed)
            test = self.tries.opened(chosen, seed)
            runs.append({"seed": seed, "best_epoch": found["best_epoch"], "seconds": found["seconds"], "test": test})
            say(f"seed {seed}: test mR {test['plain']['mr']:.2f}, with eight turns {test['turns']['mr']:.2f}")
        what = "the recipe beyond the paper on real data" if not self.reasons else "the recipe, as a rehearsal"
        return {
            **result_head(what, self.command(), self.stamp),
            "key": self.tries.key(chosen, 0),
            "made_by": keys.made_by(keys.BEYOND),
            "reasons": self.reasons,
            "data": self.args.data,
            "recipe": chosen.to_dict(),
            "rates": [[rate, mr] for rate, mr in tried.items()],
            "peak_mb": peak_megabytes(),
            "goals": goals(self.args.data),
            "runs": runs,
        }

    def command(self) -> str:
        """What makes this again; a place on this machine is left out."""
        words = self.grid.command().split(" --methods mrs", 1)
        return f"{words[0]} --recipe beyond{words[1]}"


def report(found: dict[str, Any]) -> str:
    """The result for a terminal: mR beside the goals; a rehearsal compares nothing."""
    rows = []
    for way, said in (("plain", "the recipe"), ("turns", "with eight turns averaged")):
        values = [run["test"][way]["mr"] for run in found["runs"]]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        rows.append([said, f"{len(values)}", f"{statistics.fmean(values):.2f}{spread}"])
    if not found["reasons"]:
        rows += [[f"to be beaten: {name}", "", f"{mr:.2f}"] for name, mr in found["goals"].items()]
    head = [found["stamp"], ""]
    if found["reasons"]:
        head += [f"A rehearsal ({'; '.join(found['reasons'])}): its numbers say nothing about the recipe.", ""]
    return "\n".join(head) + markdown_table(["", "seeds", "mR, test"], rows)


def estimate_text(run: BeyondReproduction, found: dict[str, Any]) -> str:
    images, epochs = found["images"], run.recipe.epochs
    long = f"{epochs} epoch{'s' * (epochs > 1)} of all captions in batches of {run.recipe.batch_size}"
    rates = " and ".join(f"{rate:g}" for rate in RATES)
    return (
        f"{run.stamp}\nthe recipe beyond the paper: {found['trainable']:,} numbers, {long}, rates {rates}\n"
        f"{images['train']:,} train, {images['val']:,} val, {images['test']:,} test images; estimated on "
        f"{found['machine']}:\n{found['runs']} runs, {found['seconds_per_step']:.3f} s per step "
        f"({found['step_ratio']['median']:.2f} of {BESIDE}), "
        f"{duration(found['hours'])} in all, {found['memory_mb'] / 1000:.2f} GB of memory beside the images"
    )


def reproduce_beyond(args: argparse.Namespace, say) -> int:
    """Estimate, run what is missing, print and write the result."""
    if args.methods != METHODS:
        raise RsnbError(f"--recipe beyond trains its own method, and --methods {args.methods} does not go with it")
    run = BeyondReproduction(args)
    estimate = run.estimate()
    say(estimate_text(run, estimate))
    if args.dry_run:
        if args.json:
            print(json.dumps({"stamp": run.stamp, "reasons": run.reasons, "estimate": estimate}, indent=1))
        return 0
    found = {**run.run(say), "estimate": estimate}
    say("\n" + report(found))
    write_json(run.folder / "beyond.json", found)
    write_text(run.folder / "beyond.md", report(found) + "\n")
    if args.install:
        name = "rehearsal" if run.reasons else f"reproduction-{args.data}"
        write_json(paths.results_dir() / "beyond" / f"{name}.json", found)
    if args.json:
        print(json.dumps(found, indent=1))
    return 0
