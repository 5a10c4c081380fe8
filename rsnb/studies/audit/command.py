"""``rsnb audit``: its options, and what it prints."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError
from rsnb.studies import keys
from rsnb.studies.audit.captions import captions_key, count_all
from rsnb.studies.audit.epochs import EPOCHS, METHODS, best_epochs
from rsnb.studies.audit.findings import findings
from rsnb.studies.audit.result_files import install_audit


def audit_arguments(parser: argparse.ArgumentParser) -> None:
    remark = "here the one with ucm_precomp, rsicd_precomp and rsitmd_precomp, to count their captions (images or not)"
    add_options(parser, root=Own(remark=remark))
    parser.add_argument(
        "--part",
        default=None,
        choices=("best-epoch",),
        help="train the runs that choose their epoch on validation and on test; finished ones are kept in --out",
    )
    add_options(parser, "install", "json")
    group = parser.add_argument_group("with --part best-epoch")
    group.add_argument("--methods", default=",".join(METHODS), help="comma-separated names (default: %(default)s)")
    add_options(group, "limit", seeds=3, epochs=EPOCHS, out="outputs/audit")


def audit_command(args: argparse.Namespace) -> int:
    """Count or train what was asked for; print the findings."""
    if args.install and not (args.root or args.part):
        raise RsnbError("--install keeps what was counted or trained; give it with --root DIR or --part best-epoch")
    if args.install and args.limit:
        raise RsnbError("--install keeps results that others rely on; leave out --limit")
    captions = epochs = None
    if args.root:
        captions = {"sets": count_all(args.root)}
        if args.install:
            install_audit(
                "audit",
                "captions of the three test splits, and the ceilings they set",
                "rsnb audit --root DIR --install",
                "UCM-Captions, RSICD, RSITMD (real) · captions alone",
                {"key": captions_key(args.root), "made_by": keys.made_by(keys.CAPTIONS), **captions},
            )
    if args.part:
        methods = [name.strip() for name in args.methods.split(",") if name.strip()]
        epochs = best_epochs(methods, args.seeds, args.epochs, out=args.out, limit=args.limit)
        if args.install:
            install_audit(
                "best-epoch",
                "test mR of the epoch that validation chooses, and of the one that test chooses",
                f"rsnb audit --part best-epoch --methods {','.join(methods)} --seeds {args.seeds} --epochs "
                f"{args.epochs} --install",
                f"{epochs['made_from']} · {args.epochs} epochs · {args.seeds} seeds",
                epochs,
            )
    said = findings(captions, epochs)
    print(json.dumps([asdict(line) for line in said], indent=1) if args.json else "\n".join(map(str, said)))
    return 0
