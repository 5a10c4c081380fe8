"""``rsnb results``: every committed result, the command that makes it again, and a check that it still comes out.

A result is a file under ``data/results`` (a few files together, where they are the seeds of one
thing). ``--verify NAME`` makes it again in another folder and compares each stated number within what is allowed:
the spread over seeds where there is one, and never less than 1 mR, under which a difference is noise.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rsnb import studies
from rsnb.base import paths
from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError
from rsnb.measures.summary import summary_of
from rsnb.publishing.quotes import fill_files
from rsnb.studies.ablation.lab import run_cells
from rsnb.studies.ablation.paper_studies import STUDIES, base_spec, cells_of, read_studies, stamp_of
from rsnb.studies.benchmark.grid import Grid
from rsnb.studies.keys import code_of
from rsnb.studies.speed.command import bench_command
from rsnb.studies.speed.tables import speed_folder
from rsnb.worlds.pretrain import pretrain_command

NOISE = 1.0  # mR
SPEED = 0.25  # of a ratio of two times: what another hour of the same machine may change


@dataclass(frozen=True)
class Kept:
    """One committed result.

    ``numbers``: name -> (stated, allowed difference). ``again`` makes it anew below a folder and returns the same
    names with what came out; ``seeds`` says that fewer may be asked for.
    """

    name: str
    what: str
    stamp: str
    date: str
    command: str
    numbers: dict[str, tuple[float, float]]
    again: Callable[[argparse.Namespace], dict[str, float]] = field(repr=False)
    seeds: int = 1


def results_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verify", metavar="NAME", help="make this result again and compare")
    parser.add_argument("--check", action="store_true", help="does every text that quotes results agree with them?")
    parser.add_argument("--fill", action="store_true", help="write the numbers of the results into these texts")
    add_options(parser, "json")
    group = parser.add_argument_group("with --verify")
    remark = "an interrupted result goes on there"
    add_options(group, "root", seeds=Own(said="all"), out=Own("outputs/verify", remark=remark))


def results_command(args: argparse.Namespace) -> int:
    """List, verify, check or fill. 1, if a number lies outside, or a text disagrees."""

    if args.check or args.fill:
        changed = fill_files(write=args.fill)
        verb = "written" if args.fill else "disagrees with the results; rsnb results --fill writes it"
        print("\n".join(f"{path.name}: {verb}" for path in changed) or "every text agrees with the results")
        return 1 if changed and args.check else 0
    if args.verify:
        return verify(find_result(args.verify), args)
    found = kept()
    if args.json:
        lines = [{k: getattr(r, k) for k in ("name", "what", "stamp", "date", "command", "numbers")} for r in found]
        print(json.dumps(lines, indent=1, ensure_ascii=False))
        return 0
    for result in found:
        print(f"{result.name}\n    {result.what} [{result.stamp}; {result.date}]\n    {result.command}")
    print(f"\n{len(found)} results. rsnb results --verify NAME makes one again and compares.")
    return 0


def find_result(name: str) -> Kept:
    """The result of this name."""
    found = {result.name: result for result in kept()}
    if name not in found:
        near = [other for other in found if name.lower() in other.lower()] or list(found)
        raise RsnbError(f"no result is called {name}; there are: {', '.join(near)}")
    return found[name]


def verify(result: Kept, args: argparse.Namespace) -> int:
    """Make it again, print stated and new numbers side by side. 1, if one lies outside of what is allowed."""
    if args.seeds is not None and not 1 <= args.seeds <= result.seeds:
        raise RsnbError(f"--seeds {args.seeds}: {result.name} has {result.seeds}")
    print(f"{result.name}: {result.what}\n{result.command}", flush=True)
    now = result.again(args)
    rows = compare_result(result.numbers, now, whole=args.seeds is None)
    rows.sort(key=lambda row: row["agrees"])  # those outside first
    width = max(len(row["number"]) for row in rows)
    for row in rows[:SHOWN]:
        verdict = "as stated" if row["agrees"] else "OUTSIDE"
        print(
            f"{row['number']:{width}}  stated {row['stated']:9.2f}  now {row['now']:9.2f}  "
            f"allowed ± {row['allowed']:.2f}  {verdict}"
        )
    if len(rows) > SHOWN:
        gap = max(abs(row["now"] - row["stated"]) for row in rows[SHOWN:])
        print(f"... {len(rows) - SHOWN} more, of which the farthest is {gap:.2f} away")
    outside = [row["number"] for row in rows if not row["agrees"]]
    print(
        f"{len(rows) - len(outside)} of {len(rows)} numbers come out as stated"
        + (f"; outside: {', '.join(outside)}" if outside else "")
    )
    return 1 if outside else 0


def compare_result(
    stated: dict[str, tuple[float, float]], now: dict[str, float], whole: bool = True
) -> list[dict[str, Any]]:
    """A row for each number that was made again.

    Raises:
        RsnbError: nothing was made again, or something that is not stated; or, if it is to be whole, not everything.
    """
    unknown, absent = sorted(set(now) - set(stated)), sorted(set(stated) - set(now))
    if whole and now and absent and not unknown:
        raise RsnbError(f"{len(absent)} stated numbers were not made again: {', '.join(absent[:5])}")
    if unknown or not now:
        raise RsnbError(f"what was made again has {', '.join(unknown) or 'no numbers'}; stated: {', '.join(stated)}")
    return [
        {
            "number": name,
            "stated": stated[name][0],
            "now": value,
            "allowed": stated[name][1],
            "agrees": abs(value - stated[name][0]) <= stated[name][1],
        }
        for name, value in now.items()
    ]


def kept() -> list[Kept]:
    """All committed results."""
    return [*_benchmarks(), *_ablations(), *_speed(), *_single(), *_adapters(), _mini(), _toy()]


def allowed(values: list[float]) -> float:
    """What a mean recall may differ by when it is made again: twice its spread over seeds, and at least 1 mR."""
    return max(NOISE, 2 * statistics.stdev(values) if len(values) > 1 else 0.0)


def part_of_command(command: str, part: str) -> Callable:
    """Of ``rsnb ablate ...`` the function ``ablate_arguments`` or ``ablate_command``."""
    name = shlex.split(command)[1]
    module = {**studies.COMMANDS, "pretrain": "rsnb.worlds.pretrain"}[name]
    return getattr(importlib.import_module(module), f"{name}_{part}")


def parsed(command: str, install: bool = False, **changes: Any) -> argparse.Namespace:
    """The arguments of ``rsnb <name> ...``, some of them changed; DIR is ``root``."""
    parser = argparse.ArgumentParser()
    part_of_command(command, "arguments")(parser)
    given = parser.parse_args([word for word in shlex.split(command)[2:] if word not in ("--install", "--force")])
    known = {name: value for name, value in changes.items() if name in vars(given)}
    return argparse.Namespace(**{**vars(given), **known, "install": install})


# --- the kinds of results ---------------------------------------------------------------------------------------
def _benchmarks() -> list[Kept]:
    """The methods side by side: one result a method and loss, its seeds together."""
    found = []
    for folder in sorted(path for path in paths.results_dir().iterdir() if any(path.glob("*-seed*.json"))):
        groups: dict[str, list[dict[str, Any]]] = {}
        for path in sorted(folder.glob("*-seed*.json")):
            groups.setdefault(path.stem.rpartition("-seed")[0], []).append(json.loads(path.read_text(encoding="utf-8")))
        for label, runs in groups.items():
            first, scores = runs[0], [_mr(run) for run in runs]
            numbers = {f"mR, seed {run['seed']}": (_mr(run), allowed(scores)) for run in runs}
            stamp = f"{first['stamp']} · {_count(len(runs), 'seed')}"
            what = first["title"] + (f", {first['config']['epochs']} epochs" if first["trainable"] else ", not trained")

            def again(args, label=label, runs=runs, folder=folder):
                place = args.out / code_of().digest  # what other code made there is not taken for new
                given = parsed(runs[0]["command"], out=place, root=args.root)
                cells, now = Grid(given), {}
                for run in runs[: args.seeds]:
                    chosen = {"loss": run["config"]["loss"], "lr": run["config"]["lr"]}
                    now[f"mR, seed {run['seed']}"] = _mr(cells.cell(run["method"], run["seed"], chosen, []), run)
                return now

            real = "" if first["data"] == "toy" or "--root" in first["command"] else " --root DIR"
            about = (what, stamp, max(run["date"] for run in runs), first["command"] + real)
            found.append(Kept(f"{folder.name}/{label}", *about, numbers, again, len(runs)))
    return found


def _mr(run: dict[str, Any], like: dict[str, Any] | None = None) -> float:
    """mR of a result file: expected over ties where it (or the one it is compared with) has that, else as sorted."""
    return run["honest"]["expected"]["mr"] if "honest" in (like or run) else run["test"]["mr"]


def _ablations() -> list[Kept]:
    found = []
    for name, study in read_studies().items():
        numbers, seeds = {}, max(len(cells) for cells in study["done"].values())
        for cell, runs in study["done"].items():
            scores = [run.mr for run in runs]
            numbers |= {f"{cell}, seed {run.seed}": (run.mr, allowed(scores)) for run in runs}

        def again(args, name=name, study=study):
            from rsnb.studies.ablation import lab as laboratory

            given = parsed(study["command"])
            lab = laboratory.Lab(folder=args.out / "ablate", also=[])
            base = base_spec("toy", "mini", given.method, given.epochs, given.precision)
            cells = cells_of(STUDIES[name], base)
            done, failed = run_cells(lab, cells, args.seeds or given.seeds)
            for cell, reason in failed.items():
                raise RsnbError(f"{cell}: {reason}")
            return {f"{cell}, seed {run.seed}": run.mr for cell, runs in done.items() for run in runs}

        date = max(run.date for runs in study["done"].values() for run in runs)
        stamp = stamp_of(study["stamp"], study["epochs"], seeds)
        found.append(Kept(f"ablations/{name}", study["question"], stamp, date, study["command"], numbers, again, seeds))
    return found


def _speed() -> list[Kept]:
    """Times and memory against the plain version; another machine may well lie outside."""
    found = []
    for path in sorted(speed_folder().glob("*.json")):
        stated = json.loads(path.read_text(encoding="utf-8"))
        numbers = {name: (value, SPEED * value) for name, value in _ratios(stated).items()}

        def again(args, stated=stated):
            given = parsed(stated["command"])
            if given.captions and args.root:
                given.captions = str(args.root / given.captions)
            return _ratios(bench_command(given))

        about = ("times and memory against the plain version", f"{stated['captions']} · {stated['backbone']}")
        command = f"{stated['command']} --out data/results/speed/{path.name} --force"
        found.append(Kept(f"speed/{path.stem}", *about, stated["date"], command, numbers, again))
    return found


def _ratios(found: dict[str, Any]) -> dict[str, float]:
    """The ratios of a file of ``rsnb bench``: name -> median."""
    numbers = {}
    for part in ("step", "evaluation", "data"):
        entries = found.get(part, {})
        if "ratio" in entries:
            numbers[part] = entries["ratio"]["median"]
        numbers |= {f"{part}, {p}": entries[p]["ratio"]["median"] for p in ("bf16", "fp32") if p in entries}
    shares = found.get("memory", {})
    return numbers | {f"memory, {name}": value for name, value in shares.items() if name.endswith("_share")}


def _single() -> list[Kept]:
    """Results that are one file, or one entry of its "runs", made by the command that stands in it."""
    found = []
    for path in sorted(paths.results_dir().glob("*.json")):
        stated = json.loads(path.read_text(encoding="utf-8"))
        for entry, part in stated.get("runs", {"": stated}).items():

            def again(args, path=path, entry=entry, part=part):
                made = made_again(part["command"], path.name, args)
                return leaves(made["runs"][entry] if entry else made)

            numbers = {name: (value, narrow(path.stem, name, value)) for name, value in leaves(part).items()}
            name = f"{path.stem}/{entry}" if entry else path.stem
            about = (part[key] for key in ("stamp", "date", "command"))
            found.append(Kept(name, stated["what"], *about, numbers, again))
    return found


def made_again(command: str, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """The result file that a command writes, with another folder in the place of the committed results."""
    words = shlex.split(command)
    if "DIR" in words and args.root is None:
        raise RsnbError(f"this result is made from real data: give --root, the DIR of {command}")
    root = {"root": args.root} if "DIR" in words else {}
    given = parsed(command, install=True, out=args.out / words[1], **root)
    folder, before = args.out / "results", os.environ.get("RSNB_RESULTS")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["RSNB_RESULTS"] = str(folder)
    try:
        part_of_command(command, "command")(given)
    finally:
        os.environ.pop("RSNB_RESULTS")
        if before is not None:
            os.environ["RSNB_RESULTS"] = before
    return json.loads((folder / name).read_text(encoding="utf-8"))


def narrow(result: str, name: str, value: float) -> float:
    """What a number of a single file may differ by: nothing if it is a whole number or a setting, a rounding if it is
    counted from texts, a step of its grid for the weight lambda; else 1 mR, and half of itself where that is less."""
    last = name.rpartition("/")[2]
    if result == "audit" or last in ("right", "chance"):
        return 0.011
    if (value == int(value) and last in WHOLE) or name.startswith("lambdas/"):
        return 0.0
    if last == "lambda":
        return 0.051
    return min(NOISE, max(0.05, abs(value) / 2)) if value else NOISE


SHOWN = 40  # rows of a long comparison
WHOLE = ("images", "captions", "distinct", "shared", "trainable", "seeds", "seed", "test", "val", "train", "first")
MACHINE = ("versions", "machine", "estimate", "seconds", "hours", "memory_mb", "peak_mb")


def leaves(value: Any, name: str = "") -> dict[str, float]:
    """Every number of nested dicts and lists by its path, "best/mrs/0/val"; not what the machine decides."""
    if isinstance(value, dict):
        inside = [(key, v) for key, v in value.items() if key not in MACHINE]
    elif isinstance(value, list):
        inside = list(enumerate(value))
    else:
        return {name: float(value)} if isinstance(value, (int, float)) and not isinstance(value, bool) else {}
    return {n: v for key, part in inside for n, v in leaves(part, f"{name}/{key}" if name else str(key)).items()}


def _adapters() -> list[Kept]:
    """Shipped adapters, each against the result of the run that made it."""
    found = []
    for path in sorted(paths.adapters_dir().glob("*.safetensors")):
        data = path.stem.split("-")[0]
        source = paths.results_dir() / f"{data}-mini" / f"{path.stem.removeprefix(f'{data}-mini-')}.json"
        if not source.is_file():
            continue
        stated = json.loads(source.read_text(encoding="utf-8"))

        def again(args, path=path, data=data, stated=stated):
            import rsnb

            test = rsnb.load_dataset(data, "test", root=args.root)
            report = rsnb.evaluate(rsnb.load_adapter(path), test)
            return {"mR": summary_of(report, test).expected["mr"] if "honest" in stated else report.mr}

        real = "" if data == "toy" else " --root DIR"
        command = f"rsnb evaluate --data {data}{real} --adapter data/adapters/{path.name}"
        found.append(
            Kept(
                f"adapters/{path.stem}",
                f"the shipped adapter: {stated['title']}, seed {stated['seed']}",
                stated["stamp"],
                stated["date"],
                command,
                {"mR": (_mr(stated), 0.5)},
                again,
            )
        )
    return found


def _mini() -> Kept:
    card = json.loads((paths.mini_dir() / "model_card.json").read_text(encoding="utf-8"))

    def again(args):
        made = pretrain_command(parsed(card["command"], out=args.out / "pretrain"))
        return {f"held-out mR, {kind}": part["mr"] for kind, part in made["held_out_retrieval"].items()}

    numbers = {f"held-out mR, {kind}": (part["mr"], 3.0) for kind, part in card["held_out_retrieval"].items()}
    what = f"the mini CLIP, pre-trained in {card['seconds'] / 60:.0f} minutes"
    stamp = f"drawn web world · mini CLIP · seed {card['settings']['seed']}"
    return Kept("mini", what, stamp, card["date"], card["command"], numbers, again)


def _toy() -> Kept:
    def again(args):
        from rsnb.worlds.toy import check_toy

        return {"differences": float(len(check_toy(paths.toy_dir())))}

    about = ("the toy world: pictures and captions", "toy world (drawn)", "drawn by the code of today")
    return Kept("toy", *about, "rsnb toy --check", {"differences": (0.0, 0.0)}, again)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
