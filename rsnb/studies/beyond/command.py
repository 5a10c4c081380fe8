"""``rsnb beyond``: run, show and keep the studies of the road beyond the paper."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.base import paths
from rsnb.base.files import write_json, write_text
from rsnb.base.options import Own, add_options
from rsnb.base.sources import digest
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError
from rsnb.measures.difference import Difference, difference, gaps_of_images, verdicts
from rsnb.studies.runs import result_head

if TYPE_CHECKING:
    from rsnb.studies.beyond.studies import Study

HITS = ("text", "image")
SUCCESSORS = "successors"
NAMES = ("search", "rates", "added", "left out", "corners", "steps", "budget", "carried to UCM",
         "carried to a second world", SUCCESSORS)  # fmt: skip


def result_file(name: str) -> Path:
    return paths.results_dir() / "beyond" / f"{name.replace(' ', '-')}.json"


def load_beyond(name: str) -> dict[str, Any] | None:
    """The committed result of a study, or None: its ``runs`` by recipe, or the ``rows`` of the later methods.

    Raises:
        RsnbError: the file holds something else.
    """
    path = result_file(name)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        content = "rows" if name == SUCCESSORS else "runs"
        kept = (list if content == "rows" else dict)(found[content])
        runs = [run for own in kept.values() for run in own] if content == "runs" else []
        if not all({"key", "seed"} <= run.keys() for run in runs):
            raise KeyError("a run without key or seed")
        return {**found, content: kept}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RsnbError(f"{path} is not a result of rsnb beyond ({error!r}); remove it, then run the study") from None


# --- what a study says ------------------------------------------------------------------------------------------
def mean_mr(runs: list[Mapping[str, Any]], split: str, way: str = "plain") -> float:
    return statistics.fmean(run[split][way]["mr"] for run in runs)


def compared(
    runs: list[Mapping[str, Any]], others: list[Mapping[str, Any]], split: str, way: str = "plain"
) -> Difference:
    """mR of some runs minus that of others, over their common seeds, on the same images."""
    pairs = [(a[split], b[split]) for a in runs for b in others if a["seed"] == b["seed"]]
    hits = [[(*(one[way][k] for k in HITS), one["captions"]) for one in pair] for pair in pairs]
    return difference([gaps_of_images(a, b) for a, b in hits])


def table_of(study: Study, runs: Mapping[str, list[Mapping[str, Any]]], split: str) -> str:
    """One row per recipe: what trains, epochs, minutes, mR with spread, and the difference from the baseline."""
    names = [name for name in study.recipes if name in runs]
    base = {name: study.against.get(name, study.baseline) for name in names if name != study.baseline}
    seeds = {name: {run["seed"] for run in own} for name, own in runs.items()}
    base = {name: other for name, other in base.items() if seeds[name] & seeds.get(other, set())}
    gaps = {name: compared(runs[name], runs[other], split) for name, other in base.items()}
    said = dict(zip(gaps, verdicts(list(gaps.values()))))
    said |= {name: "one seed" for name, gap in gaps.items() if gap.seeds == 1}
    rows = []
    for name in names:
        own = runs[name]
        spread = f" ± {statistics.stdev(r[split]['plain']['mr'] for r in own):.1f}" if len(own) > 1 else ""
        gap = f"{gaps[name].mean:+.1f} ({gaps[name].low:.1f} to {gaps[name].high:.1f})" if name in gaps else ""
        if name in gaps and name in study.against:
            gap += f", against {study.against[name]}"
        rows.append([
            name, f"{own[0]['trainable']:,}", f"{len(own[0]['val_mr'])}", f"{len(own)}",
            f"{mean_mr(own, split):.1f}{spread}", f"{mean_mr(own, split, 'turns'):.1f}", gap, said.get(name, ""),
        ])  # fmt: skip
    head = ["recipe", "trains", "epochs", "seeds", f"mR, {split}", "with eight turns", "difference", "verdict"]
    return markdown_table(head, rows)


# --- the command ------------------------------------------------------------------------------------------------
def beyond_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", default="all", metavar="NAMES", help=f"all, or some of {', '.join(NAMES)}")
    parser.add_argument("--final", action="store_true", help="open the test part: once, for what is reported")
    parser.add_argument(
        "--so-far", action="store_true", help="train nothing: the runs that are made, here or in the results"
    )
    add_options(parser, root=Own(remark="here of UCM-Captions, for the study that carries the recipe there"))
    add_options(parser, "install", "dry_run", "json", out="outputs/beyond")


def beyond_command(args: argparse.Namespace) -> int:
    """Run what is missing of the studies, print their tables, and keep them with --install."""
    names = NAMES if args.study == "all" else tuple(name.strip() for name in args.study.split(","))
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise RsnbError(f"no study is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    from rsnb.studies.beyond import successors_study

    say = (lambda *text: None) if args.json else (lambda *text: print(*text, flush=True))
    trained = [name for name in names if name != SUCCESSORS]
    if args.dry_run:
        found = plan(trained)
        if trained:
            say(plan_table(found))
        if SUCCESSORS in names:
            found[SUCCESSORS] = successors_study.run(args.out, dry_run=True, say=say)
        if args.json:
            print(json.dumps(found, indent=1))
        return 0
    made = {name: _ran(name, args, say) for name in trained}
    if SUCCESSORS in names:
        made[SUCCESSORS] = successors_study.run(args.out, say=say)
        if args.install:
            write_json(result_file(SUCCESSORS), made[SUCCESSORS])
    if args.json:
        print(json.dumps(made, indent=1))
    return 0


def plan(names: list[str]) -> dict[str, dict[str, float]]:
    """{study: runs, and minutes of one core} from two timed steps of each recipe; a run that two studies share counts
    in the first of them."""
    import rsnb
    from rsnb.measures import costs
    from rsnb.studies.beyond.studies import STUDIES

    train, seen, found, timed = rsnb.load_dataset("toy", "train"), set(), {}, {}
    for name in names:
        runs, seconds = 0, 0.0
        for label, recipe in STUDIES[name].recipes.items():
            own = (str(recipe), STUDIES[name].data)
            fresh = [s for s in range(STUDIES[name].seeds[label]) if (*own, s) not in seen]
            seen |= {(*own, s) for s in fresh}
            step = (recipe.method, str(recipe.options), recipe.batch_size, recipe.loss == "hmmc")
            if step not in timed:
                model = rsnb.adapt(rsnb.load_clip("mini"), recipe.method, seed=0, **recipe.options)
                batch = costs.first_batch(model, train, recipe.batch_size)
                config = recipe.replace(loss="hmmc" if step[-1] else "clip").config(0, "bf16")
                timed[step] = costs.seconds_per_step(model, *batch, config)
            pairs = len(train) if recipe.pairs == "one" else len(train.captions[0])
            seconds += len(fresh) * recipe.epochs * pairs / recipe.batch_size * timed[step]
            runs += len(fresh)
        found[name] = {"runs": runs, "minutes": round(seconds / 60, 1)}
    return found


def plan_table(found: Mapping[str, Mapping[str, float]]) -> str:
    rows = [[name, f"{one['runs']}", f"{one['minutes']:.0f}"] for name, one in found.items()]
    runs, minutes = (sum(one[k] for one in found.values()) for k in ("runs", "minutes"))
    rows.append(["all", f"{runs}", f"{minutes:.0f} ({minutes / 120:.1f} hours on two cores)"])
    return markdown_table(["study", "runs", "minutes of one core, training alone"], rows)


def _ran(name: str, args: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    from rsnb.studies.beyond.carried import UCM, data_of
    from rsnb.studies.beyond.costing import costs_of
    from rsnb.studies.beyond.studies import BESIDE, STUDIES, with_clips_loss
    from rsnb.studies.beyond.trying import Tries

    study = STUDIES[name]
    tries = Tries(**data_of(study.data, args.root, args.out), folder=args.out)
    split = "test" if args.final and study.final else "val"
    runs: dict[str, list[dict[str, Any]]] = {}
    committed = _committed(name) if args.so_far and split == "val" else {}  # the test part is opened with the weights
    for seed in range(max(study.seeds.values())):  # seed 0 of all first, so that a part of it already compares
        for label, recipe in study.recipes.items():
            if seed < study.seeds[label]:
                own = committed.get(digest(tries.key(recipe, seed)))
                if own is None:
                    known = tries.kept(recipe, seed) if args.so_far else tries.run(recipe, seed, not args.json)
                    own = known and _kept_of(known, seed)
                if own:
                    runs.setdefault(label, []).append(own)
    if study.baseline not in runs:
        raise RsnbError(f"no run of {study.baseline!r} is made, which {name!r} compares with; leave out --so-far")
    runs = {label: runs[label] for label in study.recipes if label in runs}
    if split == "test":
        for label, recipe in study.recipes.items():
            for run in runs.get(label, ()):
                run["test"] = tries.opened(recipe, run["seed"])
    stamp = f"{tries.stamp} · {'test' if split == 'test' else 'validation'} part"
    text = f"## {study.question}\n\n{table_of(study, runs, split)}\n\n{stamp}"
    say(text + "\n")
    made = {"baseline": study.baseline, "against": dict(study.against), "runs": runs}
    if name == "corners" and split == "test":
        made["pretraining"] = _of_pretraining(study, tries)
        made["costs"] = costs_of(study.recipes | {BESIDE: with_clips_loss()}, tries.clip, tries.parts["train"])
    if args.install:
        _lose_nothing(name, study, runs)
        final = " --root DIR" * (study.data == UCM) + " --final" * (split == "test")
        head = result_head(study.question, f"rsnb beyond --study '{name}'{final} --install", stamp)
        write_text(result_file(name), _in_lines({**head, **made}))
        if name == "corners" and split == "test":
            _ship(tries)
    return made


def _committed(name: str) -> dict[str, dict[str, Any]]:
    """{hash of the key: run}: what the committed results hold of validation; of a run that several studies made, each
    on its own machine, that of the study ``name``."""
    studies = (load_beyond(other) for other in (*NAMES, name) if other != SUCCESSORS)
    runs = (run for study in studies if study for own in study["runs"].values() for run in own)
    return {digest(run["key"]): {field: value for field, value in run.items() if field != "test"} for run in runs}


def _lose_nothing(name: str, study: Study, runs: Mapping[str, list[Mapping[str, Any]]]) -> None:
    """Refuse to replace a kept result by one that lacks a run of it, or its test part."""
    for label, own in (load_beyond(name) or {"runs": {}})["runs"].items():
        made = {run["seed"]: run for run in runs.get(label, ())}
        for run in (run for run in own if run["seed"] < study.seeds.get(label, 0)):
            lacking = "the run" if run["seed"] not in made else "the test part"
            if run["seed"] not in made or ("test" in run and "test" not in made[run["seed"]]):
                raise RsnbError(
                    f"{result_file(name)} stays as it is: {lacking} of {label!r}, seed {run['seed']}, would be lost; "
                    "add --final, or leave out --so-far"
                )


def _of_pretraining(study: Study, tries) -> dict[str, dict[str, float]]:
    """What seed 0 of each recipe kept of zero-shot, beside CLIP as it is."""
    import rsnb
    from rsnb.studies.beyond.carried import kept_of_pretraining

    models = {"zero-shot CLIP": rsnb.adapt(tries.clip(), "zero_shot")}
    return kept_of_pretraining(models | {name: tries.model(recipe) for name, recipe in study.recipes.items()})


def _ship(tries) -> None:
    """Keep seed 0 of the recipe as the shipped adapter "beyond"."""
    import rsnb
    from rsnb.studies.beyond.studies import RECIPE

    rsnb.save_adapter(tries.model(RECIPE), paths.adapters_dir() / paths.ADAPTERS["beyond"][0])


def _in_lines(result: Mapping[str, Any]) -> str:
    """JSON with one line per run, and one for everything else of the file."""
    head = [f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in result.items() if k != "runs"]
    runs = [
        f"  {json.dumps(label)}: [\n" + ",\n".join(f"   {json.dumps(run, ensure_ascii=False)}" for run in own) + "\n  ]"
        for label, own in result["runs"].items()
    ]
    return "{\n" + ",\n".join([*head, ' "runs": {\n' + ",\n".join(runs) + "\n }"]) + "\n}\n"


def _kept_of(found: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What a result file keeps of a run."""
    same = ("key", "made_by", "device", "trainable", "best_epoch", "seconds", "cpu_seconds", "val")
    return {
        "seed": seed,
        **{k: found[k] for k in same if k in found},
        "val_mr": [round(r["val_mr"], 2) for r in found["history"]],
    }
