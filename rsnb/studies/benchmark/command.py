"""``rsnb benchmark``: its options, and the loop over methods and seeds."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from rsnb.base.fields import FIELDS
from rsnb.base.files import reason
from rsnb.base.options import READING, add_options
from rsnb.errors import RsnbError
from rsnb.studies.benchmark.grid import Grid
from rsnb.studies.benchmark.tables import benchmark_rows, recall_table, write_tables


def benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "root", *READING, "pretrained", "limit", "precision", "device", "install", "dry_run", "json")
    add_options(parser, data="toy", backbone="mini", methods="all", seeds=3, epochs=25, batch_size=64)
    add_options(parser, out="outputs/benchmark")
    parser.add_argument(
        "--loss",
        default="own",
        choices=("own", *FIELDS["loss"].words),
        help="own: HMMC for MRS-Adapter, CLIP's loss for the others, as in the paper (default); or one for all",
    )
    parser.add_argument(
        "--search-epochs",
        type=int,
        default=5,
        help="of a run of the search (default: %(default)s); "
        "0: no search, use the method's defaults (on the mini CLIP: what was chosen on the toy world)",
    )


def benchmark_command(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run what is missing, write and print the table, return its rows.

    Raises:
        RsnbError: bad arguments; or, after all other cells have run, the cells that failed and why.
    """
    grid = Grid(args)
    if args.dry_run:
        return grid.plan()
    results, failed = [], []
    total, number, begun = sum(len(grid.seeds(method)) for method in grid.methods), 0, time.perf_counter()
    for method in grid.methods:
        try:
            chosen, tried = grid.search(method)
        except Exception as error:
            failed.append(f"the search of {method}: {reason(error)}")
            number += len(grid.seeds(method))
            continue
        for seed in grid.seeds(method):
            number += 1
            try:
                result = grid.cell(method, seed, chosen, tried)
            except Exception as error:
                failed.append(f"{method}, seed {seed}: {reason(error)}")
                print(f"[{number}/{total}] FAILED {failed[-1]}", flush=True)
                continue
            results.append(result)
            scored = f"mR {result['test']['mr']:.2f}  ({result['seconds']:.0f} s)"
            so_far = f"{(time.perf_counter() - begun) / 60:.0f} min so far"
            print(f"[{number}/{total}] {method} seed {seed}: {scored}, {so_far}", flush=True)
    rows = benchmark_rows(results)
    if rows:
        write_tables(grid.folder)
        print(json.dumps(rows, indent=1) if args.json else recall_table(rows))
    if failed:
        lines = "\n  ".join(failed)
        raise RsnbError(f"{len(failed)} failed, the others are done; the same command tries these again:\n  {lines}")
    return rows
