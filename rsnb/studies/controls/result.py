"""``rsnb ablate --study controls``: what it measures, prints and keeps."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import rsnb
from rsnb.base import paths
from rsnb.base.files import write_json, write_text
from rsnb.errors import RsnbError
from rsnb.settings import resolve
from rsnb.studies import keys
from rsnb.studies.controls.study import BATCH, ITEMS, MARGIN, controls, controls_table
from rsnb.studies.runs import adapter_path, result_head, run_name

CONTROLS = "controls"
ZERO_SHOT, ADAPTED = "zero-shot", "adapted"
QUESTION = "Is it the view from above, or the unfamiliar look?"


def result_file() -> Path:
    return paths.results_dir() / "controls.json"


def read_controls(data: str = "toy", backbone: str = "mini") -> dict[str, Any] | None:
    """The committed controls of this data and backbone, or None."""
    return _kept().get(run_name(data, backbone))


def _kept() -> dict[str, Any]:
    path = result_file()
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["runs"]) if path.is_file() else {}
    except (ValueError, KeyError, TypeError) as error:
        raise RsnbError(
            f"{path} is not a result file of the controls ({error!r}); remove it and run them again"
        ) from None


def run_controls(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, print, and write (with --install to the committed results) the controls of zero-shot CLIP and of the
    shipped adapter of this data and backbone, if there is one."""
    given = resolve(
        {}, data=args.data, root=args.root, backbone=args.backbone, pretrained=args.pretrained, limit=args.limit
    )
    models, adapter = {ZERO_SHOT: given.clip()}, adapter_path(given.data, given.backbone)
    if adapter.is_file():
        models[ADAPTED] = rsnb.load_adapter(adapter, given.clip())
    found = controls(models, given.dataset("test"), os.environ.get("RSNB_NATURAL"))
    stamp = given.stamp.rsplit(" · ", 1)[0] + " · adapter of seed 0" * (ADAPTED in models) + " · test part"
    root = " --root DIR" if given.root else ""
    run = {
        "command": f"rsnb ablate --study controls --data {given.data}{root} --backbone {given.backbone} --install",
        "date": datetime.date.today().isoformat(),
        "stamp": stamp,
        "key": controls_key(given, adapter if ADAPTED in models else None),
        "made_by": keys.made_by(keys.CONTROLS),
        "sets": {n: {m: {k: round(v, 4) for k, v in of.items()} for m, of in s.items()} for n, s in found.items()},
    }
    text = f"## {QUESTION}\n\n{controls_table(found)}\n\n{stamp}\n"
    if args.install:
        kept = {**_kept(), run_name(given.data, given.backbone): run}
        what = "how crowded the space is, and how hard the hardest negative: three sets, before and after"
        stamps = " | ".join(one["stamp"] for one in kept.values())
        head = result_head(
            what, "rsnb ablate --study controls --install; the command of each run is kept with it", stamps
        )
        write_json(result_file(), {**head, "runs": kept})
    else:
        write_text(args.out / "controls.md", text)
    if not args.json:
        print("\n" + text)
    return {"question": QUESTION, "stamp": stamp, "sets": run["sets"]}


def controls_key(given, adapter: Path | None) -> dict[str, Any]:
    """All that decides the numbers. given: settings as ``resolve`` gives."""
    weights = {"clip": given.clip().fingerprint()}
    if adapter is not None:
        weights["adapter"] = hashlib.sha256(adapter.read_bytes()).hexdigest()[:16]
    return keys.key_of(settings(), {"test": given.dataset("test").fingerprint()}, weights, keys.CONTROLS)


def settings() -> dict[str, Any]:
    return {"margin": MARGIN, "batch": BATCH, "items": ITEMS}
