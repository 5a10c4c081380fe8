"""A result made again and compared: each stated number, what came out now, and what it may differ by."""

from __future__ import annotations

import argparse
from typing import Any

from rsnb.errors import RsnbError
from rsnb.publishing import in_small
from rsnb.publishing.confirmed import confirm
from rsnb.publishing.kept import SPEED, Kept

SHOWN = 40  # rows of a long comparison


def verify(result: Kept, args: argparse.Namespace) -> int:
    """Make it again, print stated and new numbers side by side. 1, if one lies outside of what is allowed."""
    if args.against is not None:
        return verify_against(result, args)
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


def verify_against(result: Kept, args: argparse.Namespace) -> int:
    """Make it in small by the code of another revision and by today's, and write down that nothing differs. 1, if
    something does."""
    if result.name != "mini":
        raise RsnbError(
            f"--against goes with mini, whose making is repeated in small; {result.name} is made again whole"
        )
    print(f"{result.name}: {result.what}\nin small ({in_small.SAID}), by the code of {args.against} and by today's")
    wrong, compared = in_small.differing(args.against, args.out / "in-small")
    if wrong:
        print(f"not confirmed: {len(wrong)} of {compared} parts differ: {', '.join(wrong[:5])}")
        return 1
    print(f"{compared} parts, none differs by a bit")
    if args.confirm:
        how = f"in small equal to the bit to what the code of {args.against} makes"
        confirm(result.name, result.pairs(args.root)[0][2], result.roots, compared, how, f"in small: {in_small.SAID}")
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
