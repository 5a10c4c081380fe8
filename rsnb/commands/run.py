"""Commands about notebooks, machine and data: a function for the arguments and one that runs it, for each.

A command line option wins over its ``RSNB_*`` variable, which wins over the default.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from rsnb.base import paths
from rsnb.classroom import lesson
from rsnb.errors import RsnbError


def what_arguments(parser: argparse.ArgumentParser, model: bool = True) -> None:
    """Options that say on what data and what backbone a command works."""
    group = parser.add_argument_group("data" + (" and backbone" if model else ""))
    if model:
        group.add_argument("--data", metavar="NAME", help="toy (default), ucm, rsicd, rsitmd, or a path")
    group.add_argument("--root", metavar="DIR", help="folder of the real images and captions")
    group.add_argument("--layout", help="layout of the caption files, if it is not detected")
    group.add_argument("--skip-bad", action="store_true", help="go on without missing or broken images")
    group.add_argument("--seed", type=int, metavar="N", help="of splits and training (default: 0)")
    if model:
        group.add_argument("--backbone", metavar="NAME", help="mini (default) or an open_clip name")
        group.add_argument("--pretrained", metavar="TAG", help="open_clip's tag, or a checkpoint file")


def variables(args: argparse.Namespace) -> dict[str, str]:
    """The options that were given, as ``RSNB_*`` variables; paths are made absolute."""
    found = {}
    for name in ("data", "root", "layout", "backbone", "pretrained", "seed", "epochs", "limit", "batch_size"):
        value = getattr(args, name, None)
        if value is not None:
            found[f"RSNB_{name.upper()}"] = str(value)
    for name in ("skip_bad", "quick"):
        if getattr(args, name, False):
            found[f"RSNB_{name.upper()}"] = "1"
    data = found.get("RSNB_DATA") or os.environ.get("RSNB_DATA") or "toy"
    if "RSNB_ROOT" in found and lesson.known_name(data) == "toy":
        raise RsnbError("--root names the folder of real data; say which data it holds, such as --data ucm")
    for name in ("RSNB_ROOT", "RSNB_DATA", "RSNB_PRETRAINED"):  # a notebook runs in another folder
        value = found.get(name) or os.environ.get(name)
        if value and lesson.known_name(value) is None and Path(value).expanduser().exists():
            found[name] = str(Path(value).expanduser().resolve())
    return found


def settings_of(args: argparse.Namespace) -> lesson.Settings:
    """Options and environment as checked settings."""
    return lesson.resolve({**os.environ, **variables(args)})


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


def run(args: argparse.Namespace) -> int:
    """Execute notebooks; 1 if a cell fails."""
    from rsnb.publishing import runner

    try:
        only = tuple(int(number) for number in args.only.split(",") if number.strip())
    except ValueError:
        raise RsnbError(f"--only takes numbers such as 1,3, not {args.only!r}") from None
    job = runner.Job(args.out, args.notebooks, only, args.inplace, True, variables(args))
    try:
        results = runner.run(job)
    except runner.CellFailed as error:
        print(f"rsnb: {error}", file=sys.stderr)
        return 1
    print(json.dumps(results, indent=1) if args.json else f"\n{runner.summary(results)}\n\nwritten to {args.out}")
    return 0


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("outputs"), metavar="DIR", help="folder to be written to")
    parser.add_argument("--json", action="store_true", help="print JSON")


def doctor(args: argparse.Namespace) -> int:
    """Check the machine; 1 if something is broken."""
    from rsnb.commands import doctor as checks

    found = checks.diagnose(args.out)
    report = checks.as_dict(found)
    print(json.dumps(report, indent=1) if args.json else checks.as_text(found))
    return 0 if report["ok"] else 1


def data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="?", metavar="NAME", help="toy (default), ucm, rsicd, rsitmd, or a path")
    what_arguments(parser, model=False)
    parser.add_argument("--no-images", action="store_true", help="captions only: do not look for or open images")
    parser.add_argument("--json", action="store_true", help="print JSON")


def data(args: argparse.Namespace) -> int:
    """Report on a data set; 1 if it has faults that would stop a training, unless they are to be skipped."""
    from rsnb.data import report

    given = settings_of(args)
    found = report(given.data, root=given.root, layout=given.layout, check_images=not args.no_images, seed=given.seed)
    print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) if args.json else found.text())
    images = found.images or {}
    faults = any(found.faults.values()) or any(images.get(k) for k in ("missing", "ambiguous", "undecodable"))
    if faults and not args.skip_bad:
        print("rsnb: training would stop at these defects; repair them, or go on with --skip-bad", file=sys.stderr)
        return 1
    return 0


def toy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: where the shipped copy lies")
    parser.add_argument("--check", action="store_true", help="write nothing; compare pixels and captions")
    parser.add_argument("--count", type=int, metavar="N", help="train pictures of each class")
    parser.add_argument("--test-count", type=int, metavar="N", help="test pictures of each class")
    parser.add_argument("--seed", type=int, metavar="N", help="default: that of the shipped copy")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")


def toy(args: argparse.Namespace) -> int:
    """Draw the toy world; with --check, 1 if a folder differs from what the code draws."""
    from rsnb.worlds.toy import build, check

    out = args.out or paths.toy_dir()
    options = {name: getattr(args, name) for name in ("count", "test_count", "seed")}
    options = {name: value for name, value in options.items() if value is not None}
    if not args.check:
        print(f"written: {build(out, **options, workers=args.workers)}")
        return 0
    differences = check(out, **options, workers=args.workers)
    for line in differences[:10]:
        print(line)
    print(f"{len(differences)} differences" if differences else f"{out} is what the code draws, pixel for pixel")
    return 1 if differences else 0
