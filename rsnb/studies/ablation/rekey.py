"""Kept cells under a new key, after the code that decides a result was rewritten and gives the same numbers.

    python -m rsnb.studies.ablation.rekey --against REVISION

A cell's key holds the code that made it. Where that code has only changed in form, the cell need not be trained
again. This command proves it before it renames: every method and every loss takes ten training steps with the code
of the revision and with the code of today, and losses, gradients, final weights and embeddings must be equal bit by
bit. A cell that was not made by the revision's code is refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

STEPS, IMAGES = 10, 16
RUNS = [
    ("mrs", {}),
    ("mrs", {"mining": "sum"}),
    ("mrs", {"weights": (1.0, 0.0, 0.0)}),
    ("mrs", {"weights": (0.0, 1.0, 1.0)}),
]
RUNS += [("mrs", {"loss": "triplet"}), ("mrs", {"loss": "clip"}), ("mrs", {"precision": "bf16", "pairs": "all"})]
RUNS += [("full", {"loss": "clip"}), ("adaptformer", {"precision": "bf16", "loss": "clip"})]
VERSION = """
try:
    from rsnb.studies.ablation.fingerprint import code_version
except ImportError:
    from rsnb.studies.ablation.lab import code_version
print(code_version())
"""


def trace() -> Iterator[tuple[str, str]]:
    """(name of a run, SHA-256 of all its numbers): ten steps of each of RUNS and of every method."""
    import torch

    import rsnb

    train, val = (rsnb.load_dataset("toy", split, limit=IMAGES) for split in ("train", "val"))
    every = [(name, {}) for name in rsnb.METHODS if name not in ("zero_shot", "mrs")]
    for method, settings in RUNS + every:
        for fast in (True, False):
            seen = hashlib.sha256()
            model = rsnb.adapt(rsnb.load_clip("mini"), method, seed=0).fast(fast)
            for parameter in model.trainable().values():
                parameter.register_post_accumulate_grad_hook(lambda p: seen.update(p.grad.numpy().tobytes()))  # noqa: B023
            usual = {
                "method": method,
                "precision": "fp32",
                "epochs": STEPS,
                "batch_size": IMAGES,
                "seed": 0,
                "device": "cpu",
            }
            found = rsnb.train(model, train, val, rsnb.TrainConfig(**{**usual, **settings}), progress=False)
            for row in found.history:
                seen.update(json.dumps({k: v for k, v in row.items() if "second" not in k}, sort_keys=True).encode())
            report = rsnb.evaluate(model, val)
            kept = [*model.trainable().values(), report.image_embeddings, report.text_embeddings]
            kept += [report.text_ranks, report.image_ranks]
            for value in kept:
                seen.update(value.detach().float().numpy().tobytes())
            assert torch.isfinite(report.image_embeddings).all()
            yield f"{method} {settings} {'fast' if fast else 'hooks'}", seen.hexdigest()


def _in(tree: Path, *arguments: str) -> str:
    """What a Python program prints with the package of another tree."""
    code = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "RSNB_HOME": str(tree / "data")}
    return subprocess.run(
        [sys.executable, *arguments], env=code, cwd=tree, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def rekey(folder: Path, old: str, new: str) -> int:
    """Rename every cell that the code ``old`` made to its key with ``new``, ``studies.json`` with it."""
    from rsnb.base.files import write_text
    from rsnb.studies.ablation.cell import read_cell, write_cell
    from rsnb.studies.ablation.fingerprint import digest

    names, cells = {}, {}
    for path in sorted(folder.glob("*.json")):
        if path.name == "studies.json":
            continue
        cell = read_cell(path)
        if cell.key["code"] != old or digest(cell.key) != cell.hash or path.stem != cell.hash:
            sys.exit(f"{path} was not made by the code {old}: nothing is renamed")
        cell.key["code"] = new
        names[cell.hash] = digest(cell.key)
        cells[path] = cell
    for path, cell in cells.items():
        path.unlink()
        write_cell(dataclasses.replace(cell, hash=names[cell.hash]), folder / f"{names[cell.hash]}.json")
    studies = folder / "studies.json"
    if studies.exists():
        text = studies.read_text(encoding="utf-8")
        for before, after in names.items():
            text = text.replace(f'"{before}"', f'"{after}"')
        write_text(studies, text)
    return len(names)


def main() -> None:
    from rsnb.base import paths

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION", help="the code that made the cells, as git names it")
    parser.add_argument("--trace", action="store_true", help="print the trace of the package in PYTHONPATH and stop")
    args = parser.parse_args()
    if args.trace:
        for name, value in trace():
            print(name, value, flush=True)
        return
    here = Path(__file__).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", tree, args.against], check=True, cwd=paths.PACKAGE
        )
        try:
            old, new = (_in(place, "-c", VERSION).strip() for place in (tree, paths.PACKAGE.parent))
            with ThreadPoolExecutor(2) as pool:
                both = pool.map(lambda place: _in(place, str(here), "--trace"), (tree, paths.PACKAGE.parent))
            before, after = (text.splitlines() for text in both)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], check=True, cwd=paths.PACKAGE)
    differ = [run for run in before if run not in after]  # a method that only today's code has is no difference
    print(f"{len(before)} runs of {STEPS} steps, {len(differ)} differ", *differ, sep="\n  ")
    if differ or not before:
        sys.exit("the two codes do not give the same numbers: nothing is renamed")
    print(f"{old} -> {new}: {rekey(paths.results_dir() / 'ablations', old, new)} cells renamed")


if __name__ == "__main__":
    main()
