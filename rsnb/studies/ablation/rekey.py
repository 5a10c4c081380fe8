"""Kept cells under a new key, after the code that decides a result was rewritten and gives the same numbers.

    python -m rsnb.studies.ablation.rekey --against REVISION [--folder DIR]

A cell's key holds the code that made it. Where that code has only changed in form, or the key itself has another form,
the cell need not be trained again. This command proves it before it renames: every method and every loss takes ten
training steps with the code of the revision and with the code of today, and losses, gradients, final weights and
embeddings must be equal bit by bit; so must whole cells of the lab, and every file of the data. A cell of a method that
gives other numbers, or that was not made by the revision's code, with the data and weights that are here, is refused.
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
from collections.abc import Collection, Iterator
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
    from rsnb.studies.keys import code_of
    print(code_of().digest)
except ImportError:
    try:
        from rsnb.studies.ablation.fingerprint import code_version
    except ImportError:
        from rsnb.studies.ablation.lab import code_version
    print(code_version())
"""
DATA = """
import rsnb
print(*(rsnb.load_dataset("toy", split).fingerprint() for split in ("train", "val", "test")))
"""
CELLS = [("mrs", {}, 1.0), ("mrs", {"loss": "clip"}, 0.5), ("linear_probe", {"loss": "clip"}, 1.0)]


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
    yield from trace_of_cells()


def trace_of_cells() -> Iterator[tuple[str, str]]:
    """The same of what the lab keeps of a few cells."""
    from rsnb.config import TrainConfig
    from rsnb.studies.ablation.lab import Lab
    from rsnb.studies.ablation.spec import Spec

    numbers = ("mr", "sorted_mr", "val_mr", "trainable", "steps", "text", "image", "captions")
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(folder=folder, also=(), limit=2 * IMAGES)
        for method, settings, share in CELLS:
            usual = {"epochs": 2, "batch_size": IMAGES, "precision": "fp32", "device": "cpu"}
            cell = lab.cell(Spec(TrainConfig(method=method, **usual, **settings), share), 1)
            kept = json.dumps([getattr(cell, name) for name in numbers])
            yield f"{method} {settings} cell, share {share}", hashlib.sha256(kept.encode()).hexdigest()


def _in(tree: Path, *arguments: str, data: Path | None = None) -> str:
    """What a Python program prints with the package of another tree (and its data, or those of ``data``)."""
    home = str((data or tree) / "data")
    code = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "RSNB_HOME": home}
    return subprocess.run(
        [sys.executable, *arguments], env=code, cwd=tree, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def rekey(folder: Path, old: str, lab, differ: Collection[str] = ()) -> int:
    """Rename every cell that the code ``old`` made to its key of today, ``studies.json`` with it.

    Args:
        lab: on the data and the backbone of the cells. differ: methods that give other numbers today; a cell of one of
            them is refused.
    """
    from rsnb.base.files import write_text
    from rsnb.base.sources import digest
    from rsnb.studies import keys
    from rsnb.studies.ablation.cell import read_cell, write_cell

    names, cells = {}, []
    texts = {split: text_fingerprint(part) for split, part in lab.parts.items()}
    for path in sorted(folder.glob("*.json")):
        if path.name == "studies.json":
            continue
        cell = read_cell(path)
        then, flat = keys.in_parts(cell.key), "settings" not in cell.key
        if then["code"] != old or digest(cell.key) != cell.hash or path.stem != cell.hash:
            sys.exit(f"{path} was not made by the code {old}: nothing is renamed")
        if then["settings"]["config"]["method"] in differ:
            sys.exit(f"{path}: {then['settings']['config']['method']} gives other numbers today: nothing is renamed")
        spec = cell.spec
        key = lab.key(spec, cell.seed)
        seen = {split: cell.key[split] for split in texts} if flat else then["data"]
        if then["weights"] != key["weights"] or seen != (texts if flat else key["data"]) or then.get("own"):
            sys.exit(f"{path} was made with other data, weights, or methods of a user's own: nothing is renamed")
        names[cell.hash] = digest(key)
        made = {"modules": keys.code_of().modules, "versions": cell.made_by.get("versions", {})}
        cells.append((path, dataclasses.replace(cell, hash=digest(key), key=key, made_by=made)))
    for path, _ in cells:
        path.unlink()
    for path, cell in cells:
        write_cell(cell, folder / f"{cell.hash}.json")
        if (adapter := path.with_suffix(".safetensors")).exists():
            adapter.replace(folder / f"{cell.hash}.safetensors")
    studies = folder / "studies.json"
    if studies.exists():
        text = studies.read_text(encoding="utf-8")
        for before, after in names.items():
            text = text.replace(f'"{before}"', f'"{after}"')
        write_text(studies, text)
    return len(names)


def text_fingerprint(dataset) -> str:
    """What a key of version 0.1 holds of a data set: names and captions, no images."""
    digest = hashlib.sha256()
    for item in dataset:
        for text in (item.name, *item.captions):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(b"\1")
    return digest.hexdigest()[:16]


def main() -> None:
    from rsnb.base import paths
    from rsnb.base.revisions import tree_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION", help="the code that made the cells, as git names it")
    parser.add_argument("--folder", type=Path, help="where the cells are (default: the committed ablations)")
    parser.add_argument("--trace", action="store_true", help="print the trace of the package in PYTHONPATH and stop")
    args = parser.parse_args()
    if args.trace:
        for name, value in trace():
            print(name, value, flush=True)
        return
    here, today = Path(__file__).resolve(), paths.PACKAGE.parent
    with tree_of(args.against) as tree:
        old = _in(tree, "-c", VERSION).strip()
        data = [_in(today, "-c", DATA, data=place) for place in (tree, today)]
        with ThreadPoolExecutor(2) as pool:
            both = pool.map(lambda place: _in(place, str(here), "--trace"), (tree, today))
        before, after = (text.splitlines() for text in both)
    differ = [run for run in before if run not in after]  # a method that only today's code has is no difference
    print(f"{len(before)} runs, {len(differ)} differ", *differ, sep="\n  ")
    if not before:
        sys.exit("nothing was compared: nothing is renamed")
    if data[0] != data[1]:
        sys.exit("names, captions or images of the toy world differ from those of the revision: nothing is renamed")
    from rsnb.studies.ablation.lab import Lab

    folder = args.folder or paths.results_dir() / "ablations"
    others = {run.split()[0] for run in differ}
    print(f"{rekey(folder, old, Lab(also=()), others)} cells of the code {old} have the keys of today")


if __name__ == "__main__":
    main()
