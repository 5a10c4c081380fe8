"""Command line: ``python -m rsnb.worlds.toy --out DIR [--check]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rsnb.errors import RsnbError
from rsnb.worlds.toy.build import COUNT, SEED, TEST_COUNT, build, check


def main(argv: list[str] | None = None) -> int:
    """0: written, or equal; 1: differences were found; 2: bad input."""
    parser = argparse.ArgumentParser(prog="python -m rsnb.worlds.toy", description="Draw the toy overhead world.")
    parser.add_argument("--out", type=Path, required=True, help="folder of dataset_toy.json and images/")
    parser.add_argument("--check", action="store_true", help="write nothing; compare the folder with the code")
    parser.add_argument("--count", type=int, default=COUNT, help="train pictures per class (default %(default)s)")
    parser.add_argument(
        "--test-count", type=int, default=TEST_COUNT, help="test pictures per class (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="default %(default)s, the shipped copy's")
    parser.add_argument("--workers", type=int, default=1, help="processes (default %(default)s)")
    given = parser.parse_args(argv)
    options = {"count": given.count, "test_count": given.test_count, "seed": given.seed, "workers": given.workers}
    try:
        if not given.check:
            print(f"written: {build(given.out, **options)}")
            return 0
        faults = check(given.out, **options)
    except RsnbError as error:
        print(error, file=sys.stderr)
        return 2
    for line in faults[:10]:
        print(line)
    print(
        f"{len(faults)} differences from what the code draws"
        if faults
        else f"{given.out} is what the code draws, pixel for pixel and caption for caption"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
