"""``python -m tests.faults``: run the cases, print how many of each kind are as they should be, 1 if one is not."""

from __future__ import annotations

import argparse
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from .tables import run_and_report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--case", metavar="WORDS", help="the cases whose kind and name hold these; shows what they print"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random damage (default: 0)")
    parser.add_argument("--sample", type=int, metavar="N", help="so many cases, drawn with the seed")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="cases at a time (default: 2)")
    parser.add_argument("--list", action="store_true", help="name the cases and run none")
    parser.add_argument("--install", action="store_true", help="keep the result: tests/faults/result.json")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return run_and_report(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
