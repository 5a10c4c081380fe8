"""``rsnb results --where``: every committed result, the command that makes it again, and whether this code made it.

``--verify NAME`` makes one again in another folder and compares each stated number within what is allowed: the spread
over seeds where there is one, and never less than 1 mR, under which a difference is noise. With ``--confirm`` one seed
is made again, and where it comes out equal to the digit (a ratio of times: within what is allowed), that is written
down beside the results. ``--against REVISION`` makes the mini CLIP in small, by the code of that revision and by
today's, and asks whether all weights are equal to the bit. ``--stale`` lists what other code, data, weights or settings
made and nobody has confirmed since; ``--make all`` makes it.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from rsnb.errors import RsnbError
from rsnb.publishing.asked import parsed
from rsnb.publishing.confirmed import Standing, standing_of
from rsnb.publishing.kept import NOISE, Kept, allowed, kept, leaves, narrow
from rsnb.publishing.making import make
from rsnb.publishing.quotes import fill_files
from rsnb.publishing.verifying import compare_result, verify

__all__ = ["NOISE", "Kept", "allowed", "compare_result", "find_result", "kept", "leaves", "narrow", "parsed", "verify"]


def results_command(args: argparse.Namespace) -> int:
    """List, verify, check or fill. 1, if a number lies outside, a text disagrees, or (with --stale) one is stale."""
    if (args.confirm or args.against) and not args.verify:
        raise RsnbError("--confirm and --against go with --verify NAME: what is confirmed is remade first")
    if args.json and (args.check or args.fill or args.make or args.verify):
        raise RsnbError("--json goes with the list of results, with --where and with --stale")
    if args.check or args.fill:
        changed = fill_files(write=args.fill)
        verb = "written" if args.fill else "disagrees with the results; rsnb results --fill writes it"
        print("\n".join(f"{path.name}: {verb}" for path in changed) or "every text agrees with the results")
        return 1 if changed and args.check else 0
    if args.make:
        return make(args)
    if args.verify:
        return verify(find_result(args.verify), args)
    found = [(result, standing(result, args.root)) for result in kept()]
    if args.stale:
        found = [(result, where) for result, where in found if where.stale]
    if args.json:
        lines = [described(result, where) for result, where in found]
        print(json.dumps(lines, indent=1, ensure_ascii=False))
        return 1 if args.stale and found else 0
    for result, where in found:
        print(f"{result.name}: {where.sentence}")
        if not args.stale:
            stamp = f"{result.stamp} · {where.stamp}; {result.date}"
            print(f"    {result.what} [{stamp}]\n    {result.command}")
    if args.stale:
        remedy = "rsnb results --make all makes them, --verify NAME --confirm one seed of one"
        remedy = remedy if found else "this code made or confirmed all of them"
        print(f"{len(found)} stale: {remedy}")
        return 1 if found else 0
    stale = sum(where.stale for _, where in found)
    print(f"\n{len(found)} results, {stale} stale. rsnb results --verify NAME remakes one and compares.")
    return 0


def standing(result: Kept, root=None) -> Standing:
    """Where a result stands; see :class:`rsnb.publishing.confirmed.Standing`."""
    return standing_of(result.name, result.pairs(root), result.roots)


def described(result: Kept, where: Standing) -> dict[str, Any]:
    """A result for --json."""
    lines = {name: getattr(result, name) for name in ("name", "what", "stamp", "date", "command", "numbers")}
    lines["stamp"] = f"{result.stamp} · {where.stamp}"
    return {**lines, "standing": where.sentence, "stale": where.stale, "changed": where.changed}


def find_result(name: str) -> Kept:
    """The result of this name."""
    found = {result.name: result for result in kept()}
    if name not in found:
        near = [other for other in found if name.lower() in other.lower()] or list(found)
        raise RsnbError(f"no result is called {name}; there are: {', '.join(near)}")
    return found[name]
