"""What is committed: every result, the command that makes it again, and the keys of then and of today.

A result is a file under ``data/results`` (a few files together, where they are the seeds of one thing).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.errors import RsnbError
from rsnb.measures.summary import summary_of
from rsnb.publishing import todays_keys
from rsnb.publishing.asked import parsed, part_of_command
from rsnb.publishing.confirmed import FILE as CONFIRMED
from rsnb.studies import keys
from rsnb.studies.ablation.lab import run_cells
from rsnb.studies.ablation.paper_studies import base_spec, read_studies, study_stamp
from rsnb.studies.ablation.story_studies import specs_again
from rsnb.studies.benchmark.grid import Grid
from rsnb.studies.beyond.carried import data_of
from rsnb.studies.beyond.command import load_beyond
from rsnb.studies.beyond.studies import OURS, STUDIES
from rsnb.studies.beyond.trying import Tries
from rsnb.studies.speed.command import bench_command
from rsnb.studies.speed.tables import speed_folder
from rsnb.worlds.pretrain import pretrain_command

NOISE = 1.0  # mR
CLOCK = "made.json"  # what each took the last time, see rsnb.publishing.making
HIT = 10.01  # one of the first ten hits of a sentence, in percent
SPEED = 0.25  # of a ratio of two times: what another hour of the same machine may change


@dataclass(frozen=True)
class Kept:
    """One committed result.

    ``numbers``: name -> (stated, allowed difference). ``again`` makes it anew below a folder and returns the same
    names with what came out; ``seeds`` says that fewer may be asked for. ``pairs`` gives (the key in the result or
    None, what stands beside it, today's key) of each of its runs, the data of today from ``root`` where they do not
    ship; of today's key a part is None that is not at hand. ``roots``: the modules that decide it. ``seconds``: what
    making it took, as far as the result says it.
    """

    name: str
    what: str
    stamp: str
    date: str
    command: str
    numbers: dict[str, tuple[float, float]]
    again: Callable[[argparse.Namespace], dict[str, float]] = field(repr=False)
    pairs: Callable[[Any], list[todays_keys.Pair]] = field(repr=False)
    seeds: int = 1
    roots: tuple[str, ...] = keys.RUN
    seconds: float | None = None

    @property
    def listed(self) -> dict[str, str]:
        """What the list of :mod:`rsnb.publishing.listed` holds of it."""
        return {name: getattr(self, name) for name in ("name", "what", "stamp", "date", "command")}


def kept() -> list[Kept]:
    """All committed results."""
    return [*_benchmarks(), *_ablations(), *_beyond(), *_speed(), *_single(), *_adapters(), _mini(), _toy()]


def allowed(values: list[float]) -> float:
    """What a mean recall may differ by when it is made again: twice its spread over seeds, and at least 1 mR."""
    return max(NOISE, 2 * statistics.stdev(values) if len(values) > 1 else 0.0)


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
                given = parsed(runs[0]["command"], out=args.out, root=args.root)
                cells, now = Grid(given), {}
                for run in runs[: args.seeds]:
                    chosen = {"loss": run["config"]["loss"], "lr": run["config"]["lr"]}
                    now[f"mR, seed {run['seed']}"] = _mr(cells.cell(run["method"], run["seed"], chosen, []), run)
                return now

            real = "" if first["data"] == "toy" or "--root" in first["command"] else " --root DIR"
            about = (what, stamp, max(run["date"] for run in runs), first["command"] + real)
            pairs = partial(todays_keys.of_benchmark, runs)
            seconds = sum(run["seconds"] for run in runs)
            found.append(Kept(f"{folder.name}/{label}", *about, numbers, again, pairs, len(runs), seconds=seconds))
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
            cells = specs_again(name, study, base)
            asked = {cell: min(len(study["done"][cell]), args.seeds or given.seeds) for cell in cells}
            done, failed = run_cells(lab, cells, asked)
            for cell, reason in failed.items():
                raise RsnbError(f"{cell}: {reason}")
            return {f"{cell}, seed {run.seed}": run.mr for cell, runs in done.items() for run in runs}

        date = max(run.date for runs in study["done"].values() for run in runs)
        stamp = study_stamp(study)
        about = (study["question"], stamp, date, study["command"])
        pairs = partial(todays_keys.of_ablation, name, study)
        seconds = 60 * study["minutes"]
        found.append(Kept(f"ablations/{name}", *about, numbers, again, pairs, seeds, seconds=seconds))
    return found


def _beyond() -> list[Kept]:
    """The studies of the road beyond the paper: recipes over seeds, and what is one file."""
    found = []
    for path in sorted((paths.results_dir() / "beyond").glob("*.json")):
        stated = json.loads(path.read_text(encoding="utf-8"))
        about = (stated["what"], stated["stamp"], stated["date"], stated["command"])
        name, study = f"beyond/{path.stem}", path.stem.replace("-", " ")
        if study not in STUDIES:
            of, roots = todays_keys.BEYOND[path.stem.partition("-")[0]]
            again = partial(_leaves_again, stated["command"], f"beyond/{path.name}")
            numbers = {n: (v, narrow(path.stem, n, v)) for n, v in leaves(stated).items()}
            found.append(Kept(name, *about, numbers, again, partial(of, stated), 1, roots))
            continue
        split, numbers = ("test" if " --final" in stated["command"] else "val"), {}
        for label, runs in stated["runs"].items():
            scores = [run[split]["plain"]["mr"] for run in runs]
            numbers |= {f"{label}, seed {run['seed']}": (mr, allowed(scores)) for run, mr in zip(runs, scores)}

        def again(args, study=study, stated=stated, split=split):
            tries = Tries(**data_of(STUDIES[study].data, args.root, args.out), folder=args.out / "beyond")
            now = {}
            for label, runs in stated["runs"].items():
                for run in runs[: args.seeds]:
                    recipe, seed = STUDIES[study].recipes[label], run["seed"]
                    made = {"val": tries.run(recipe, seed)["val"]}
                    made |= {"test": tries.opened(recipe, seed)} if split == "test" else {}
                    now[f"{label}, seed {seed}"] = made[split]["plain"]["mr"]
            return now

        pairs = partial(todays_keys.of_beyond, study, stated)
        most = max(len(runs) for runs in stated["runs"].values())
        seconds = sum(run["seconds"] for runs in stated["runs"].values() for run in runs)
        found.append(Kept(name, *about, numbers, again, pairs, most, keys.BEYOND, seconds))
    return found


def _leaves_again(command: str, name: str, args: argparse.Namespace) -> dict[str, float]:
    return leaves(made_again(command, name, args))


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

        search = "search" in stated
        what = "times and memory " + ("of a search beside FAISS" if search else "against the plain version")
        about = (what, f"{stated['captions']} · {stated['backbone']}")
        command = f"{stated['command']} --out data/results/speed/{path.name} --force"
        pairs = partial(todays_keys.of_speed, stated)
        about = (*about, stated["date"], command)
        roots = keys.SEARCH if search else keys.SPEED
        found.append(Kept(f"speed/{path.stem}", *about, numbers, again, pairs, roots=roots))
    return found


def _ratios(found: dict[str, Any]) -> dict[str, float]:
    """The ratios of a file of ``rsnb bench``: name -> median."""
    numbers = {}
    for part in ("step", "evaluation", "data", "epochs", "search"):
        entries = found.get(part, {})
        if "ratio" in entries:
            numbers[part] = entries["ratio"]["median"]
        compared = {name: of for name, of in entries.items() if isinstance(of, dict) and "ratio" in of}
        numbers |= {f"{part}, {name}": of["ratio"]["median"] for name, of in compared.items()}
    shares = found.get("memory", {})
    return numbers | {f"memory, {name}": value for name, value in shares.items() if name.endswith("_share")}


def _single() -> list[Kept]:
    """Results that are one file, or one entry of its "runs", made by the command that stands in it."""
    found = []
    for path in sorted(paths.results_dir().glob("*.json")):
        if path.name in (CONFIRMED, CLOCK) or path == paths.results_listing():
            continue
        stated = json.loads(path.read_text(encoding="utf-8"))
        for entry, part in stated.get("runs", {"": stated}).items():

            def again(args, path=path, entry=entry, part=part):
                made = made_again(part["command"], path.name, args)
                now = leaves(made["runs"][entry] if entry else made)
                return {name: value for name, value in now.items() if name != "seeds"} if args.seeds else now

            numbers = {name: (value, narrow(path.stem, name, value)) for name, value in leaves(part).items()}
            name = f"{path.stem}/{entry}" if entry else path.stem
            about = (part[key] for key in ("stamp", "date", "command"))
            of, roots = todays_keys.SINGLE[path.stem.partition("-")[0]]
            seeds = getattr(parsed(part["command"]), "seeds", 1)
            found.append(Kept(name, stated["what"], *about, numbers, again, partial(of, part), seeds, roots))
    return found


def made_again(command: str, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """The result file that a command writes, with another folder in the place of the committed results."""
    words = shlex.split(command)
    if "DIR" in words and args.root is None:
        raise RsnbError(f"this result is made from real data: give --root, the DIR of {command}")
    asked = {"root": args.root} if "DIR" in words else {}
    asked |= {"seeds": args.seeds} if args.seeds else {}
    given = parsed(command, install=True, out=args.out / words[1], **asked)
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
    counted from texts, a step of its grid for the weight lambda, one hit of ten of a single sentence; else 1 mR, and
    half of itself where that is less."""
    last = name.rpartition("/")[2]
    if result == "audit" or last in ("right", "chance"):
        return 0.011
    if (value == int(value) and last in WHOLE) or name.startswith("lambdas/"):
        return 0.0
    if last == "lambda":
        return 0.051
    if result == "tiles" and "/words/classes/" in name:
        return HIT
    return min(NOISE, max(0.05, abs(value) / 2)) if value else NOISE


WHOLE = ("images", "captions", "distinct", "shared", "trainable", "seeds", "seed", "test", "val", "train", "first")
ASIDE = ("versions", "machine", "estimate", "seconds", "hours", "memory_mb", "peak_mb", "key", "made_by")


def leaves(value: Any, name: str = "") -> dict[str, float]:
    """Every number of nested dicts and lists by its path, "best/mrs/0/val" or "trainings/mrs, seed 0/gain"; not what
    the machine decides, and no key."""
    if isinstance(value, dict):
        inside = [(key, v) for key, v in value.items() if key not in ASIDE]
    elif isinstance(value, list):
        inside = [(_name_of_item(item, number), item) for number, item in enumerate(value)]
    else:
        return {name: float(value)} if isinstance(value, (int, float)) and not isinstance(value, bool) else {}
    return {n: v for key, part in inside for n, v in leaves(part, f"{name}/{key}" if name else str(key)).items()}


def _name_of_item(item: Any, number: int) -> str:
    """One run of many by its method and seed, so that some of them can be compared alone."""
    if isinstance(item, dict) and {"method", "seed"} <= set(item):
        return f"{item['method']}, seed {item['seed']}"
    return str(number)


def _adapters() -> list[Kept]:
    """Shipped adapters, each against the result of the run that made it."""
    found = [_adapter_beyond()] if load_beyond("corners") else []
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
                partial(todays_keys.of_benchmark, [stated]),
            )
        )
    return found


def _adapter_beyond() -> Kept:
    """The shipped adapter of the road beyond the paper: seed 0 of the recipe."""
    name, stated = paths.ADAPTERS["beyond"][0], load_beyond("corners")
    first = {**stated, "runs": {OURS: stated["runs"][OURS][:1]}}
    (run,) = first["runs"][OURS]

    def again(args):
        import rsnb

        test = rsnb.load_dataset("toy", "test")
        return {"mR": rsnb.evaluate(rsnb.load_adapter(paths.adapters_dir() / name), test).mr}

    about = ("the shipped adapter: the recipe of notebook 13, seed 0", stated["stamp"], stated["date"])
    command, pairs = "rsnb evaluate --data toy --adapter beyond", partial(todays_keys.of_beyond, "corners", first)
    numbers = {"mR": (run["test"]["plain"]["mr"], 0.5)}
    return Kept(f"adapters/{Path(name).stem}", *about, command, numbers, again, pairs, roots=keys.BEYOND)


def _mini() -> Kept:
    card = json.loads((paths.mini_dir() / "model_card.json").read_text(encoding="utf-8"))

    def again(args):
        made = pretrain_command(parsed(card["command"], out=args.out / "pretrain"))
        return {f"held-out mR, {kind}": part["mr"] for kind, part in made["held_out_retrieval"].items()}

    numbers = {f"held-out mR, {kind}": (part["mr"], 3.0) for kind, part in card["held_out_retrieval"].items()}
    of, seconds = partial(todays_keys.of_mini, card), card["seconds"]
    what = f"the mini CLIP, pre-trained in {card['seconds'] / 60:.0f} minutes"
    stamp = f"drawn web world · mini CLIP · seed {card['settings']['seed']}"
    about = (what, stamp, card["date"], card["command"])
    return Kept("mini", *about, numbers, again, of, roots=keys.PRETRAINING, seconds=seconds)


def _toy() -> Kept:
    def again(args):
        from rsnb.worlds.toy import check_toy

        return {"differences": float(len(check_toy(paths.toy_dir())))}

    about = ("the toy world: pictures and captions", "toy world (drawn)", "drawn by the code of today")
    numbers = {"differences": (0.0, 0.0)}
    return Kept("toy", *about, "rsnb toy --check", numbers, again, todays_keys.of_toy, roots=keys.TOY)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
