"""``rsnb results``: every committed result, the command that makes it again, and whether this code made it.

``--verify NAME`` makes one again in another folder and compares each stated number within what is allowed: the spread
over seeds where there is one, and never less than 1 mR, under which a difference is noise. With ``--confirm`` one seed
is made again, and where it comes out equal to the digit (a ratio of times: within what is allowed), that is written
down beside the results. ``--stale`` lists what other code, data, weights or settings made and nobody has confirmed
since.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError
from rsnb.publishing.asked import parsed
from rsnb.publishing.confirmed import Standing, confirm, standing_of
from rsnb.publishing.kept import NOISE, SPEED, Kept, allowed, kept, leaves, narrow
from rsnb.publishing.quotes import fill_files

__all__ = ["NOISE", "Kept", "allowed", "compare_result", "find_result", "kept", "leaves", "narrow", "parsed", "verify"]
SHOWN = 40  # rows of a long comparison


def results_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verify", metavar="NAME", help="make this result again and compare")
    parser.add_argument("--stale", action="store_true", help="those that this code did not make, nor confirm; 1 if any")
    parser.add_argument("--check", action="store_true", help="does every text that quotes results agree with them?")
    parser.add_argument("--fill", action="store_true", help="write the numbers of the results into these texts")
    add_options(parser, "root", "json")
    group = parser.add_argument_group("with --verify")
    group.add_argument(
        "--confirm", action="store_true", help="one seed; if it comes out equal, write that down beside the results"
    )
    remark = "an interrupted result goes on there"
    add_options(group, seeds=Own(said="all"), out=Own("outputs/verify", remark=remark))


def results_command(args: argparse.Namespace) -> int:
    """List, verify, check or fill. 1, if a number lies outside, a text disagrees, or (with --stale) one is stale."""
    if args.confirm and not args.verify:
        raise RsnbError("--confirm goes with --verify NAME: what is confirmed is made again first")
    if args.check or args.fill:
        changed = fill_files(write=args.fill)
        verb = "written" if args.fill else "disagrees with the results; rsnb results --fill writes it"
        print("\n".join(f"{path.name}: {verb}" for path in changed) or "every text agrees with the results")
        return 1 if changed and args.check else 0
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
        remedy = "rsnb results --verify NAME --confirm makes one seed again" if found else "this code made all of them"
        print(f"{len(found)} stale: {remedy}")
        return 1 if found else 0
    stale = sum(where.stale for _, where in found)
    print(f"\n{len(found)} results, {stale} stale. rsnb results --verify NAME makes one again and compares.")
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


def verify(result: Kept, args: argparse.Namespace) -> int:
    """Make it again, print stated and new numbers side by side. 1, if one lies outside of what is allowed."""
    if args.seeds is not None and not 1 <= args.seeds <= result.seeds:
        raise RsnbError(f"--seeds {args.seeds}: {result.name} has {result.seeds}")
    if args.confirm and args.seeds is None and result.seeds > 1:
        args.seeds = 1
    print(f"{result.name}: {result.what}\n{result.command}", flush=True)
    now = result.again(args)
    rows = compare_result(result.numbers, now, whole=args.seeds is None)
    rows.sort(key=lambda row: row["agrees"])  # those outside first
    width = max(len(row["number"]) for row in rows)
    for row in rows[:SHOWN]:
        verdict = "as stated" if row["agrees"] else "OUTSIDE"
        print(
            f"{row['number']:{width}}  stated {row['stated']:9.2f}  now {row['now']:9.2f}  "
            f"allowed ± {row['allowed']:.2f}  {verdict}"
        )
    if len(rows) > SHOWN:
        gap = max(abs(row["now"] - row["stated"]) for row in rows[SHOWN:])
        print(f"... {len(rows) - SHOWN} more, of which the farthest is {gap:.2f} away")
    outside = [row["number"] for row in rows if not row["agrees"]]
    print(
        f"{len(rows) - len(outside)} of {len(rows)} numbers come out as stated"
        + (f"; outside: {', '.join(outside)}" if outside else "")
    )
    if args.confirm:
        return confirm_result(result, now, args)
    return 1 if outside else 0


def confirm_result(result: Kept, now: dict[str, float], args: argparse.Namespace) -> int:
    """Write down that these numbers came out again, if they did. 1, if one did not."""
    today = result.pairs(args.root)[0][2]
    stated = {name: value for name, (value, _) in result.numbers.items()}
    if result.name.startswith("speed/"):
        how = f"within {SPEED:.0%}"
        wrong = [name for name, value in now.items() if abs(value - stated[name]) > SPEED * stated[name]]
    else:
        how, digits = "equal to the digit", max(len(repr(value).partition(".")[2]) for value in stated.values())
        wrong = [name for name, value in now.items() if round(value, digits) != stated[name]]
    if wrong:
        print(f"not confirmed: {len(wrong)} of {len(now)} numbers are not {how}: {', '.join(wrong[:5])}")
        return 1
    part = f"{args.seeds} of {result.seeds} seeds" if args.seeds else "all"
    confirm(result.name, today, result.roots, len(now), how, part)
    print(f"confirmed: {len(now)} numbers {how} ({part}), code {today['code']}")
    return 0


def compare_result(
    stated: dict[str, tuple[float, float]], now: dict[str, float], whole: bool = True
) -> list[dict[str, Any]]:
    """A row for each number that was made again.

    Raises:
        RsnbError: nothing was made again, or something that is not stated; or, if it is to be whole, not everything.
    """
    unknown, absent = sorted(set(now) - set(stated)), sorted(set(stated) - set(now))
    if whole and now and absent and not unknown:
        raise RsnbError(f"{len(absent)} stated numbers were not made again: {', '.join(absent[:5])}")
    if unknown or not now:
        raise RsnbError(f"what was made again has {', '.join(unknown) or 'no numbers'}; stated: {', '.join(stated)}")
    return [
        {
            "number": name,
            "stated": stated[name][0],
            "now": value,
            "allowed": stated[name][1],
            "agrees": abs(value - stated[name][0]) <= stated[name][1],
        }
        for name, value in now.items()
    ]
