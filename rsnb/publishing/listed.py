"""``rsnb results``: the list of the committed results, at once; all else that the command does is in
:mod:`rsnb.publishing.results`, which knows the code, the data and the weights, and takes its time.

The lists of ``rsnb results`` and ``rsnb exercises`` are kept as JSON, for what they list would take seconds to import;
``rsnb results --fill`` writes them anew.
"""

from __future__ import annotations

import argparse
import json

from rsnb.base import paths
from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError

COLUMNS = ("name", "what", "stamp", "date", "command")


def results_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verify", metavar="NAME", help="remake this result and compare")
    parser.add_argument("--where", action="store_true", help="the list, with what made each and what has changed since")
    parser.add_argument("--stale", action="store_true", help="those that this code did not make, nor confirm; 1 if any")
    parser.add_argument("--check", action="store_true", help="does every text that quotes results agree with them?")
    parser.add_argument("--fill", action="store_true", help="write the numbers of the results into these texts")
    parser.add_argument(
        "--make", metavar="all|NAMES", help="of these, remake what is stale with today's code, in order of need"
    )
    add_options(parser, "root", "dry_run", "json")
    group = parser.add_argument_group("with --verify")
    group.add_argument(
        "--confirm", action="store_true", help="one seed; if it comes out equal, write that down beside the results"
    )
    group.add_argument(
        "--against", metavar="REVISION", help="mini in small, by that code and by today's: are all weights equal?"
    )
    remark = "an interrupted result goes on there"
    add_options(group, seeds=Own(said="all"), out=Own("outputs/verify", remark=remark))


def results_command(args: argparse.Namespace) -> int:
    """Print the list; or what else was asked for."""
    if any(
        (args.verify, args.where, args.stale, args.check, args.fill, args.make, args.json, args.confirm, args.against)
    ):
        from rsnb.publishing import results

        return results.results_command(args)
    rows = read_listing()
    for row in rows:
        print(f"{row['name']}: {row['what']} [{row['stamp']}; {row['date']}]\n    {row['command']}")
    print(f"\n{len(rows)} results. --where: what made each; --stale: what has changed since; --verify NAME: remake one")
    return 0


def read_listing() -> list[dict[str, str]]:
    """The committed list: name, what, stamp, date and command of each result.

    Raises:
        RsnbError: it is missing or cannot be read.
    """
    path = paths.results_listing()
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [{column: str(row[column]) for column in COLUMNS} for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RsnbError(f"{path} cannot be read ({error!r}); write it again with: rsnb results --fill") from None
