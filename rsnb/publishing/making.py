"""``rsnb results --make``: what is stale is made by the code of today, in the order of need.

A plan with its hours comes first, the clock of each after it. What is interrupted goes on where it was, for each
command keeps its finished runs; what is made is no longer stale, so the same call goes on with the next.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Sequence
from typing import Any

from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.base.text import markdown_table
from rsnb.errors import RsnbError
from rsnb.publishing.asked import parsed, part_of_command
from rsnb.publishing.confirmed import standing_of
from rsnb.publishing.kept import CLOCK, Kept, kept
from rsnb.publishing.verifying import verify

#: By the part of the name before "/". What is needed by others comes first: the world and the backbone, the methods
#: (with the shipped adapters), the studies.
ORDER = ("toy", "mini", "toy-mini", "ucm-mini", "adapters", "ablations", "controls", "composed", "tiles", "best-epoch",
         "audit", "rehearsal", "speed")  # fmt: skip
CHECKED = ("toy", "mini")  # drawn or trained again and compared: everything else was made with them


def clock() -> dict[str, Any]:
    """{name of a result: seconds, threads and date of the last time it was made}."""
    path = paths.results_dir() / CLOCK
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def stale(wanted: str, root=None) -> list[Kept]:
    """The stale ones among the wanted results, in order of need. wanted: "all", or names, or what stands before
    "/" in names."""
    known, names = kept(), [name.strip() for name in wanted.split(",") if name.strip()]
    if wanted != "all":
        called = {result.name: {result.name, result.name.partition("/")[0]} for result in known}
        unknown = set(names) - set().union(*called.values())
        if unknown or not names:
            raise RsnbError(
                f"no result is called {', '.join(sorted(unknown)) or repr(wanted)}; rsnb results lists them"
            )
        known = [result for result in known if called[result.name] & set(names)]
    found = [result for result in known if standing_of(result.name, result.pairs(root), result.roots).stale]
    return sorted(found, key=_need)


def _need(result: Kept) -> int:
    family = result.name.partition("/")[0]
    return ORDER.index(family) if family in ORDER else len(ORDER)


def plan(results: Sequence[Kept], root=None) -> str:
    """A table: each command once, the results that it makes, and what it took the last time."""
    rows, total, unknown = [], 0.0, 0
    for command, made in _by_command(results).items():
        seconds = _seconds(made)
        total, unknown = total + (seconds or 0), unknown + (seconds is None)
        needs = "needs --root DIR; left out" if not root and _real(command) else ""
        took = "not known" if seconds is None else f"{seconds / 60:.1f} min"
        rows.append([made[0].name + (f" and {len(made) - 1} more" if made[1:] else ""), took, needs, command])
    text = markdown_table(("result", "took", "", "command"), rows)
    said = f"{len(results)} stale results, {len(rows)} commands, about {total / 3600:.1f} hours on one thread"
    return f"{text}\n\n{said}" + (f", and {unknown} that nobody has timed" if unknown else "")


def make(args: argparse.Namespace) -> int:
    """Print the plan, then make each. 1, if one could not be made."""
    results = stale(args.make, args.root)
    print(plan(results, args.root), flush=True)
    if args.dry_run:
        return 0
    begun, failed = time.perf_counter(), []
    for number, (command, made) in enumerate(_by_command(results).items(), start=1):
        if not args.root and _real(command):
            failed.append(f"{made[0].name}: needs --root DIR")
            continue
        print(f"[{number}] {command}", flush=True)
        started = time.perf_counter()
        try:
            _make(made[0], command, args)
        except RsnbError as error:
            failed.append(f"{made[0].name}: {error}")
            continue
        _note([result.name for result in made], time.perf_counter() - started)
        print(f"[{number}] {(time.perf_counter() - begun) / 60:.1f} min so far", flush=True)
    print("\n".join(f"NOT MADE {line}" for line in failed))
    return 1 if failed else 0


def _make(result: Kept, command: str, args: argparse.Namespace) -> None:
    if result.name in CHECKED:
        if verify(result, argparse.Namespace(seeds=None, confirm=True, against=None, out=args.out, root=args.root)):
            raise RsnbError("it is not reproduced to the digit")
        return
    given = parsed(command, install=True, force=True, **({"root": args.root} if " DIR" in command else {}))
    if getattr(given, "captions", None):
        given.captions = str(args.root / given.captions)
    if part_of_command(command, "command")(given) == 1:
        raise RsnbError("the command failed; what it printed says why")


def _real(command: str) -> bool:
    """Whether a command reads real data, which do not ship."""
    return " DIR" in command or " --captions " in command


def _by_command(results: Sequence[Kept]) -> dict[str, list[Kept]]:
    found: dict[str, list[Kept]] = {}
    for result in results:
        if not result.name.startswith("adapters/"):  # written by the benchmark of their data
            found.setdefault(result.command, []).append(result)
    return found


def _seconds(made: Sequence[Kept]) -> float | None:
    known = [clock().get(result.name, {}).get("seconds", result.seconds) for result in made]
    return None if None in known else max(known)


def _note(names: Sequence[str], seconds: float) -> None:
    from torch import get_num_threads

    entry = {"seconds": round(seconds, 1), "threads": get_num_threads(), "date": datetime.date.today().isoformat()}
    write_json(paths.results_dir() / CLOCK, dict(sorted({**clock(), **dict.fromkeys(names, entry)}.items())))
