"""``rsnb composed``: its options, and the committed result file."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rsnb
from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.base.options import Own, add_options
from rsnb.errors import RsnbError
from rsnb.measures.mixing import WAYS
from rsnb.settings import resolve
from rsnb.studies import keys
from rsnb.studies.composed.scores import FIRST, LAMBDAS
from rsnb.studies.composed.study import ADAPTED, ZERO_SHOT, composed_sentences, composed_table, study
from rsnb.studies.runs import adapter_path, result_head, run_name


# --- the command ------------------------------------------------------------------------------------------------
def result_file() -> Path:
    return paths.results_dir() / "composed.json"


def load_composed(data: str = "toy", backbone: str = "mini") -> dict[str, Any] | None:
    """The committed study of this data and backbone, or None."""
    return _file().get("runs", {}).get(run_name(data, backbone))


def _file() -> dict[str, Any]:
    path = result_file()
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["runs"].items()
        return found
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise RsnbError(
            f"{path} is not a result file of rsnb composed ({error!r}); remove it, then run rsnb composed --install"
        ) from None


def composed_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "root", "pretrained", "limit", "install", "json", data="toy", backbone="mini")
    add_options(parser, adapter=Own(said="the shipped one of this data and backbone, if any"))
    parser.add_argument("--normalise", default="cdf", choices=WAYS, help="what the sentences are about (default: cdf)")


def composed_command(args: argparse.Namespace) -> int:
    """Measure mAP and recall against lambda, print the table and its sentences; keep them with --install."""
    if args.install and (args.limit or args.adapter or args.normalise != "cdf"):
        raise RsnbError(
            "--install keeps results that others rely on; it does not go with --limit, --adapter or --normalise"
        )
    given = resolve(
        {}, data=args.data, root=args.root, backbone=args.backbone, pretrained=args.pretrained, limit=args.limit
    )
    models = {ZERO_SHOT: given.clip()}
    adapter = args.adapter or adapter_path(given.data, given.backbone)
    if adapter.is_file():
        models[ADAPTED] = rsnb.load_adapter(adapter, given.clip())
    elif args.adapter:
        raise RsnbError(f"there is no adapter at {args.adapter}; rsnb train writes one")
    key = composed_key(given, adapter if ADAPTED in models else None, args.normalise)
    found = study(models, given.dataset("val"), given.dataset("test"), args.normalise)
    found = {"key": key, "made_by": keys.made_by(keys.COMPOSED), **found}
    found = {"stamp": given.stamp.rsplit(" · ", 1)[0] + (" · adapter of seed 0" if not args.adapter else ""), **found}
    if args.limit:
        found["stamp"] += f" · at most {args.limit} images a split"
    if args.install:
        install_composed(found, given)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(
        f"{found['stamp']}\nattributes from {found['source']}; {found['queries']['test']:,} test queries on "
        f"{found['images']['test']:,} images, {found['right']} right ones each on average\n"
    )
    for row in composed_table(found, WAYS):
        print(
            "   ".join(
                f"{name} {value:.2f}"
                if isinstance(value, float)
                else f"{value}"
                if name == "model"
                else f"{name} {value}"
                for name, value in row.items()
            )
        )
    print("\n" + "\n".join(composed_sentences(found)))
    return 0


def composed_key(given, adapter: Path | None, way: str) -> dict[str, Any]:
    """All that decides what :func:`rsnb.studies.composed.study.study` finds. given: settings as ``resolve`` gives."""
    weights = {"clip": given.clip().fingerprint()}
    if adapter is not None:
        weights["adapter"] = hashlib.sha256(adapter.read_bytes()).hexdigest()[:16]
    data = {split: given.dataset(split).fingerprint() for split in ("val", "test")}
    return keys.key_of(composed_settings(way), data, weights, keys.COMPOSED)


def composed_settings(way: str) -> dict[str, Any]:
    return {"way": way, "lambdas": list(LAMBDAS), "first": FIRST}


def install_composed(found: Mapping[str, Any], given) -> None:
    """Put a study into data/results/composed.json, beside those of other data."""
    root = " --root DIR" if given.root else ""
    date = datetime.date.today().isoformat()
    run_ = {"command": f"rsnb composed --data {given.data}{root} --backbone {given.backbone} --install", "date": date}
    kept = _file().get("runs", {})
    kept = {**kept, run_name(given.data, given.backbone): {**run_, **found}}
    head = result_head(
        "composed retrieval: mAP and recall of an image plus words, against the weight of the words",
        "rsnb composed --install; the command of each run is kept with it",
        " | ".join(one["stamp"] for one in kept.values()),
    )
    write_json(result_file(), {**head, "runs": kept})
