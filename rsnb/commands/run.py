"""Commands about notebooks, machine and data: a function for the arguments and one that runs it, for each.

A command line option wins over its ``RSNB_*`` variable, which wins over the default.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rsnb.errors import RsnbError
from rsnb.publishing.runner import run_notebooks
from rsnb.settings import variables, what_arguments


def run_arguments(parser: argparse.ArgumentParser) -> None:
    what_arguments(parser)
    parser.add_argument("--epochs", type=int, metavar="N", help="of the live training (default: the notebook's)")
    parser.add_argument("--batch-size", type=int, metavar="N", help="pairs a training step (default: 64)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N images of each split")
    parser.add_argument("--only", metavar="1,3", default="", help="notebooks by number (default: all)")
    parser.add_argument("--quick", action="store_true", help="a quick check with little data; numbers mean nothing")
    parser.add_argument("--out", type=Path, default=Path("outputs"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--notebooks", type=Path, metavar="DIR", help="default: those of the clone")
    parser.add_argument("--inplace", action="store_true", help="rebuild from source/, write outputs back (authors)")
    parser.add_argument("--json", action="store_true", help="print results.json instead of the table")


def run_command(args: argparse.Namespace) -> int:
    """Execute notebooks; 1 if a cell fails."""
    from rsnb.publishing import runner

    try:
        only = tuple(int(number) for number in args.only.split(",") if number.strip())
    except ValueError:
        raise RsnbError(f"--only takes numbers such as 1,3, not {args.only!r}") from None
    job = runner.Job(args.out, args.notebooks, only, args.inplace, True, variables(args))
    try:
        results = run_notebooks(job)
    except runner.CellFailed as error:
        print(f"rsnb: {error}", file=sys.stderr)
        return 1
    print(json.dumps(results, indent=1) if args.json else f"\n{runner.summary(results)}\n\nwritten to {args.out}")
    return 0
