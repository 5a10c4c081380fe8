"""``rsnb ablate``: vary any field of a run, over seeds, and say in plain words what the differences are worth.

``--vary`` spans a grid; ``--study`` runs one of the series' own studies. Finished cells are kept, and an interrupted
or widened call runs only what is missing. Numbers are of the validation part, on which one explores; ``--final`` adds
those of the test part, for what is reported.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rsnb.base import paths
from rsnb.base.files import make_folder, write_csv, write_json, write_text
from rsnb.base.options import READING, add_options, reading_of
from rsnb.base.sources import digest
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError
from rsnb.studies.ablation.cell import write_cell
from rsnb.studies.ablation.differences import cell_label, difference_rows, difference_sentences, difference_table, mr_of
from rsnb.studies.ablation.figures import difference_figure, save
from rsnb.studies.ablation.lab import Lab, run_cells
from rsnb.studies.ablation.paper_studies import EPOCHS, Study, base_spec, cells_of, stamp_of
from rsnb.studies.ablation.spec import parse_axis, vary
from rsnb.studies.ablation.story_studies import EVERY
from rsnb.studies.controls.result import CONTROLS, QUESTION, run_controls
from rsnb.studies.rates import rungs, searched


def ablate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="AXIS=V,V",
        help="an axis of the grid, such as "
        "adapter.bottleneck=8,16 or loss.intra_image=0,1; the first value is the baseline; may be "
        "given several times",
    )
    parser.add_argument("--set", action="append", default=[], metavar="AXIS=V", help="a field of every cell")
    parser.add_argument(
        "--study",
        default=None,
        metavar="NAMES",
        help=f"instead of --vary: studies of the series, all or some of {', '.join([*EVERY, CONTROLS])}",
    )
    parser.add_argument(
        "--final",
        action="store_true",
        help="show the numbers of the test part too: once, for what is reported (default: validation only)",
    )
    parser.add_argument("--method", default="mrs", help="the method of the base run (default: %(default)s)")
    add_options(parser, "root", *READING, "pretrained", "precision", "limit", "install", "dry_run", "json")
    add_options(parser, data="toy", backbone="mini", seeds=3, epochs=EPOCHS, out="outputs/ablate")


def ablate_command(args: argparse.Namespace) -> int:
    """Run what is missing, print and write each table with its sentences. 1, if a cell failed."""
    if args.seeds < 1:
        raise RsnbError(f"--seeds must be at least 1, not {args.seeds}")
    wanted = studies_of(args)
    trained = {name: study for name, study in wanted.items() if name != CONTROLS}
    elsewhere = trained and (args.data, args.backbone) != ("toy", "mini")
    if args.install and (args.limit or args.vary or args.set or elsewhere):
        raise RsnbError(
            "--install keeps results that others rely on; it goes with --study on the toy world and the "
            "mini CLIP, and not with --set or --limit"
        )
    if CONTROLS in wanted:
        if args.dry_run:
            said = f"{CONTROLS}: nothing is trained; about a minute on the mini CLIP"
            if not args.json:
                print(said)
            elif not trained:
                print(json.dumps({"stamp": said, "plan": []}, indent=1))
        else:
            measured = run_controls(args)
        if not trained:
            if args.json and not args.dry_run:
                print(json.dumps({CONTROLS: measured}, indent=1))
            return 0
    wanted = trained
    args.final = args.final or args.install
    if args.method == "zero_shot":
        raise RsnbError("zero_shot trains nothing, so there is nothing to vary; take another --method")
    if args.dry_run and (clip := _clip_of_a_plan(args)) is not None:
        lab = Lab(args.data, args.root, clip, folder=args.out, limit=args.limit, **reading_of(args))
        plan(lab, _planned(_grids(wanted, args), wanted, args.seeds), known=False, as_json=args.json)
        return 0
    if not args.dry_run:
        make_folder(args.out)
    lab = Lab(args.data, args.root, args.backbone, args.pretrained, args.out, limit=args.limit, **reading_of(args))
    grids = _grids(wanted, args)
    if args.dry_run:
        plan(lab, _planned(grids, wanted, args.seeds), as_json=args.json)
        return 0
    begun, failed, shown, tried = time.perf_counter(), {}, {}, {}
    for name, study in wanted.items():
        if study.searched:
            show = partial(print, f"search of {name}:", flush=True)
            grids[name], tried[name] = searched(lab, grids[name], show)
    seeds = {(n, label): wanted[n].seeds(label, args.seeds) for n, cells in grids.items() for label in cells}
    runs = [(grids[study][label], seed) for (study, label), count in seeds.items() for seed in range(count)]
    kept = {name for key in lab.keys(runs) if lab.place(name := digest(key))}

    def say(name, cell, number, total, left):
        so_far = (time.perf_counter() - begun) / 60
        when = "was there" if cell.hash in kept else f"{so_far:.1f} min so far, about {left / 60:.1f} left"
        print(
            f"[{number}/{total}] {name[0]}, {cell_label(name[1])}, seed {cell.seed}: validation mR {mr_of(cell):.1f}; "
            f"{when}",
            flush=True,
        )

    # one list, so that seed 0 of every study comes before seed 1 of any; a cell of two studies is run once
    flat = {(study, cell): spec for study, cells in grids.items() for cell, spec in cells.items()}
    done, failed = run_cells(lab, flat, seeds, progress=False, on_cell=say)
    for name, study in wanted.items():
        own = {cell: done[name, cell] for cell in study.cells if (name, cell) in done}
        if own:
            shown[name] = report_study(lab, name, study, own, args, tried.get(name, {}))
    if args.json:
        print(json.dumps(shown, indent=1, default=str))
    for (study, cell), reason in failed.items():
        print(f"FAILED {study}, {cell_label(cell)}: {reason}")
    return 1 if failed else 0


def _grids(wanted: dict[str, Study], args: argparse.Namespace) -> dict[str, dict[Any, Any]]:
    base = base_spec(args.data, args.backbone, args.method, args.epochs, args.precision, args.set)
    return {name: cells_of(study, base, args.data, args.backbone) for name, study in wanted.items()}


def _planned(
    grids: dict[str, dict[Any, Any]], wanted: dict[str, Study], seeds: int
) -> dict[str, dict[Any, tuple[Any, int]]]:
    """The cells of a plan, each (spec, number of seeds), the rates that a search tries at least among them."""
    found: dict[str, dict[Any, tuple[Any, int]]] = {}
    for name, cells in grids.items():
        study, found[name] = wanted[name], {}
        for label, spec in cells.items():
            rates = rungs(spec.config.lr) if study.searched else ()
            tried = {(label, f"rate {rate:g}"): vary(spec, "train.lr", rate) for rate in rates}
            found[name] |= {cell: (s, study.seeds(label, seeds)) for cell, s in (tried or {label: spec}).items()}
    return found


def _clip_of_a_plan(args: argparse.Namespace):
    """A CLIP to plan with, where the weights are not on this machine: a plan downloads nothing. Otherwise None."""
    from rsnb.backbone import clip_of_a_plan, starts_a_download

    away = starts_a_download(args.backbone, args.pretrained)
    return clip_of_a_plan(args.backbone, args.pretrained) if away else None


def studies_of(args: argparse.Namespace) -> dict[str, Study]:
    """The studies asked for by --study, or the one that --vary spans."""

    if bool(args.vary) == bool(args.study):
        raise RsnbError(f"give --vary AXIS=V,V (or several), or --study all or some of {', '.join([*EVERY, CONTROLS])}")
    if args.study:
        known = {**EVERY, CONTROLS: Study(QUESTION)}
        names = list(known) if args.study == "all" else [n.strip() for n in args.study.split(",")]
        unknown = [n for n in names if n not in known]
        if unknown:
            raise RsnbError(f"no study is called {', '.join(unknown)}; there are {', '.join(known)}")
        return {name: known[name] for name in names}
    parsed = [parse_axis(text) for text in args.vary]
    axes, names = dict(parsed), [name for name, _ in parsed]
    if len(axes) < len(names):
        raise RsnbError(f"an axis is given twice: {', '.join(names)}; give all its values in one --vary")
    cells = {
        tuple(tuple(v) if isinstance(v, list) else v for v in values): dict(zip(names, values))
        for values in itertools.product(*axes.values())
    }
    values = hashlib.sha256(repr((parsed, args.set, args.method, args.epochs, args.limit)).encode()).hexdigest()[:4]
    name = f"{'-'.join(names)}-{values}"  # of its own, so that one grid does not overwrite another's table
    return {name: Study(" × ".join(names), cells, next(iter(cells)), tuple(names))}


def plan(
    lab, grids: dict[str, dict[Any, tuple[Any, int]]], known: bool = True, as_json: bool = False
) -> list[dict[str, Any]]:
    """Print every cell (spec, number of seeds) with the seconds it will take. ``known``: whether the weights are there,
    without which nobody can say which cells are finished."""
    took: dict[str, float] = {}
    total, counted = 0.0, set()
    rows: list[dict[str, Any]] = []
    for study, cells in grids.items():
        for name, (spec, seeds) in cells.items():
            keys = lab.keys((spec, seed) for seed in range(seeds)) if known else []
            finished = {seed for seed, key in enumerate(keys) if lab.place(digest(key)) is not None}
            missing = [s for s in range(seeds) if s not in finished and (repr(spec), s) not in counted]
            counted |= {(repr(spec), s) for s in missing}
            if missing and repr(spec) not in took:
                took[repr(spec)] = lab.seconds(spec)
            seconds = len(missing) * took.get(repr(spec), 0.0)
            total += seconds
            row = {"study": study, "cell": cell_label(name), "to do": len(missing), "seeds": seeds}
            rows.append({**row, "minutes": seconds / 60})
    if as_json:
        print(json.dumps({"stamp": lab.stamp, "finished cells known": known, "plan": rows}, indent=1))
        return rows
    print(lab.stamp)
    if not known:
        print(
            "the weights are not on this machine: which cells are finished cannot be looked up, so all count as to do"
        )
    lines = [(row["study"], row["cell"], f"{row['to do']} of {row['seeds']}", f"{row['minutes']:.1f}") for row in rows]
    print(markdown_table(("study", "cell", "runs to do", "minutes"), lines))
    print(f"about {total / 60:.0f} minutes, without evaluation")
    return rows


def report_study(
    lab, name: str, study: Study, done: dict[Any, list[Any]], args: argparse.Namespace, tried: Mapping[Any, Any]
) -> dict[str, Any]:
    """Print the study's tables and sentences, write them and the figure; returns those of the part that is shown last.

    On validation always, on test where it is final. tried: the learning rates of each cell, where they were searched.
    """
    axes, seeds = list(study.axes), {len(cells) for cells in done.values()}
    found: dict[str, Any] = {}
    for final in (False, True) if args.final else (False,):
        table = difference_rows(done, study.baseline, axes, final, study.against)
        said = difference_sentences(table, axes)
        lengths = {cell.spec.config.epochs for cells in done.values() for cell in cells}
        stamp = stamp_of(lab.stamp, lengths, seeds, final)
        body = [difference_table(table, axes), "", *(f"- {line}" for line in said)]
        text = "\n".join([f"## {study.question}", "", *body, "", stamp])
        found = {"question": study.question, "stamp": stamp, "table": table, "sentences": said}
        found |= {"tried": [[cell_label(label), own] for label, own in tried.items()]} if tried else {}
        if not args.json:
            print("\n" + text + "\n")
        if not args.install:
            stem = f"{name}{'-final' * final}"
            write_text(args.out / f"{stem}.md", text + "\n")
            write_csv(args.out / f"{stem}.csv", table)
            save(difference_figure(table, axes, study.question), args.out / f"{stem}.png", stamp)
            if not args.json:
                print(f"written: {args.out / stem}.md, .csv and .png; the cells are in {args.out / 'cells'}")
    if args.install:
        install_study(lab, name, study, done, args, tried, found["table"])
    return found


# --- the committed ablations ------------------------------------------------------------------------------------
def install_study(
    lab,
    name: str,
    study: Study,
    done: dict[Any, list[Any]],
    args: argparse.Namespace,
    tried: Mapping[Any, Any],
    table: Sequence[Mapping[str, Any]],
) -> None:
    """Copy a study's cells to the committed results and enter them, with its verdicts, in its ``studies.json``."""
    folder = paths.results_dir() / "ablations"
    index = folder / "studies.json"
    known = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    for cell in (cell for cells in done.values() for cell in cells):
        write_cell(cell, folder / f"{cell.hash}.json")
    known[name] = {
        "question": study.question,
        "axes": study.axes,
        "baseline": study.baseline,
        "epochs": args.epochs,
        "stamp": lab.stamp,
        "command": f"rsnb ablate --study {shlex.quote(name)} --seeds {args.seeds} --epochs {args.epochs} "
        f"--precision {args.precision} --install",
        "minutes": round(sum(cell.seconds for cells in done.values() for cell in cells) / 60, 1),
        "threads": sorted({c.made_by["threads"] for cells in done.values() for c in cells if "threads" in c.made_by}),
        **({"tried": list(tried.items())} if tried else {}),
        "cells": [[value, [cell.hash for cell in cells]] for value, cells in done.items()],
        "rows": [{k: None if v != v else v for k, v in row.items()} for row in table],  # None: not known
    }
    write_json(index, {key: known[key] for key in EVERY if key in known})
