"""All cases, samples of them, and the table of a run."""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import captions, images, layouts, runs, servers, settings, streams, weights
from .box import REPO, Case
from .judge import Verdict, run

TABLES = (captions, layouts, images, settings, weights, runs, streams, servers)
RESULT = REPO / "tests" / "faults" / "result.json"
COMMAND = "python -m tests.faults --install"
#: Imported once, before the cases are forked off: what every one of them would import.
BEFORE = ("torch", "open_clip", "rsnb.commands.cli", "rsnb.commands.model", "rsnb.commands.data", "rsnb.training",
          "rsnb.methods", "rsnb.evaluation", "rsnb.data", "pandas", "PIL.Image")  # fmt: skip


def all_cases() -> list[Case]:
    """Every case; no two have one name."""
    cases = [case for one in TABLES for case in one.CASES]
    names = [str(case) for case in cases]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two cases are called {', '.join(sorted(twice))}"
    return cases


def sample(cases: list[Case], count: int, seed: int = 0) -> list[Case]:
    """So many of them, of as many kinds as there are, in their order."""
    drawn: list[Case] = []
    rng, left = random.Random(seed), list(cases)
    rng.shuffle(left)
    while left and len(drawn) < count:
        kinds = {case.kind: case for case in left}  # one of each
        chosen = list(kinds.values())[: count - len(drawn)]
        drawn += chosen
        left = [case for case in left if case not in chosen]
    return [case for case in cases if case in drawn]


def warm() -> None:
    """Import what the cases need."""
    for name in BEFORE:
        importlib.import_module(name)


def counted(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """A row a kind: how many were tried, and how many are as they should be."""
    kinds = dict.fromkeys(v.kind for v in verdicts)
    own = {kind: [v for v in verdicts if v.kind == kind] for kind in kinds}
    return [{"kind": k, "tried": len(vs), "right": sum(not v.wrong for v in vs)} for k, vs in own.items()]


def table(verdicts: list[Verdict]) -> str:
    """The rows of `counted`, for a terminal."""
    rows = counted(verdicts)
    rows.append({"kind": "all", "tried": len(verdicts), "right": sum(not v.wrong for v in verdicts)})
    wide = max(len(row["kind"]) for row in rows)
    head = f"{'kind':{wide}}  tried  as it should be"
    return "\n".join([head, *(f"{row['kind']:{wide}}  {row['tried']:>5}  {row['right']:>15}" for row in rows)])


def result_of(verdicts: list[Verdict], seed: int, seconds: float) -> dict[str, Any]:
    """What is kept of a run."""
    from rsnb.base.sources import digest
    from rsnb.commands.cli import COMMANDS
    from rsnb.publishing.runner import versions_of_run
    from rsnb.studies import keys

    tables = sorted(Path(__file__).parent.glob("*.py"))
    return {
        "command": COMMAND,
        "date": datetime.date.today().isoformat(),
        "code": keys.code_of(tuple(module.removeprefix("rsnb.") for _, module, _ in COMMANDS.values())).digest,
        "cases": digest([path.read_text(encoding="utf-8") for path in tables])[:12],
        "seed": seed,
        "seconds": round(seconds),
        "tried": len(verdicts),
        "right": sum(not v.wrong for v in verdicts),
        "kinds": counted(verdicts),
        "wrong": [{"kind": v.kind, "case": v.name, "what": v.wrong} for v in verdicts if v.wrong],
        "versions": versions_of_run(),
    }


def run_and_report(args: argparse.Namespace) -> int:
    """The command; 1 if a case is not as it should be."""
    cases = all_cases()
    if args.case:
        cases = [case for case in cases if args.case.lower() in str(case).lower()]
        if not cases:
            print(f"no case is called {args.case!r}; --list names them", file=sys.stderr)
            return 2
    if args.sample:
        cases = sample(cases, args.sample, args.seed)
    if args.list:
        print("\n".join(str(case) for case in cases))
        return 0
    warm()
    begun = time.monotonic()

    def say(verdict: Verdict) -> None:
        if args.case:
            print(f"{verdict.printed}\n", file=sys.stderr)
        if verdict.wrong:
            print(f"{verdict.kind}: {verdict.name}: {verdict.wrong}", file=sys.stderr)

    verdicts = run(cases, args.seed, args.at_once, say)
    result = result_of(verdicts, args.seed, time.monotonic() - begun)
    if args.install:
        from rsnb.base.files import write_json

        write_json(RESULT, result)
    if args.json:
        print(json.dumps({**result, "verdicts": [asdict(v) for v in verdicts]}, indent=1))
    else:
        print(f"{table(verdicts)}\n{result['seconds']} seconds")
    return 1 if result["wrong"] else 0
