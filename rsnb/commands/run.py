"""Commands about notebooks, machine and data: a function for the arguments and one that runs it, for each.

A command line option wins over its ``RSNB_*`` variable, which wins over the default.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError
from rsnb.publishing.runner import run_notebooks
from rsnb.settings import variables, what_arguments


def run_arguments(parser: argparse.ArgumentParser) -> None:
    what_arguments(parser)
    add_options(parser, epochs=Own(said="the notebook's"), batch_size=Own(said="64"))
    add_options(parser, "limit", "only", "quick", "json", out="outputs")
    parser.add_argument("--notebooks", type=Path, metavar="DIR", help="default: those of the clone")
    parser.add_argument("--inplace", action="store_true", help="rebuild from source/, write outputs back (authors)")


def run_command(args: argparse.Namespace) -> int:
    """Execute notebooks; 1 if a cell fails."""
    from rsnb.publishing import runner

    try:
        only = tuple(int(number) for number in args.only.split(",")) if args.only else ()
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
