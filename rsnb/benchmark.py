"""Methods side by side on one data set: ``rsnb benchmark``. One result file for each method and seed.

For each method the learning rate (and for linear probe and full fine-tuning the loss) is chosen on validation
with seed 0 and a shorter run; the grid tried is written into every result. The test part is read once a run, at
the end. A finished cell is not run again. This file imports torch only when it runs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from rsnb import paths
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError

RECALLS = ("text_r1", "text_r5", "text_r10", "image_r1", "image_r5", "image_r10")
GRIDS: dict[str, list[dict[str, Any]]] = {
    "zero_shot": [],
    "linear_probe": [{"loss": loss, "lr": lr} for loss in ("clip", "hmmc") for lr in (3e-4, 1e-3, 3e-3)],
    "mrs": [{"loss": "hmmc", "lr": lr} for lr in (1e-3, 3e-3, 1e-2)],
    "full": [{"loss": loss, "lr": lr} for loss in ("clip", "hmmc") for lr in (1e-4, 3e-4, 1e-3)],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="toy", help="toy, ucm, rsicd, rsitmd, or a folder (default: toy)")
    parser.add_argument("--root", type=Path, default=None, help="where a real data set lies")
    parser.add_argument("--backbone", default="mini", help="mini, or any open_clip name (default: mini)")
    parser.add_argument("--pretrained", default=None, help="tag or checkpoint path of the backbone's weights")
    parser.add_argument("--methods", default=",".join(GRIDS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=30, help="of a full run (default: %(default)s)")
    parser.add_argument("--search-epochs", type=int, default=10, help="of a run of the search (default: %(default)s); "
                        "0: no search, take the method's defaults (on the mini CLIP: what was chosen on the toy world)")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--limit", type=int, default=None, help="at most N images of each split (for a try)")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmark"), help="folder of the result files")
    parser.add_argument("--install", action="store_true", help="write to the committed results and adapters instead")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run what is missing, print the table, return its rows."""
    import rsnb

    methods = [m.strip() for m in args.methods.split(",") if m.strip()]
    unknown = sorted(set(methods) - set(GRIDS))
    if unknown:
        raise RsnbError(f"no method is called {', '.join(unknown)}; choose from {', '.join(GRIDS)}")
    name = f"{Path(args.data).name}-{args.backbone}"
    if args.install and args.limit:
        raise RsnbError("--install keeps results that others rely on; it does not go with --limit")
    out = (paths.results_dir() if args.install else args.out) / name
    out.mkdir(parents=True, exist_ok=True)
    parts = {s: rsnb.load_dataset(args.data, s, root=args.root, limit=args.limit) for s in ("train", "val", "test")}
    backbone = _clip(args).fingerprint()
    results = []
    for method in methods:
        chosen, tried = _search(method, parts, args, out, backbone)
        for seed in range(args.seeds if GRIDS[method] else 1):
            path = out / f"{method}-seed{seed}.json"
            config = TrainConfig(method=method, seed=seed, epochs=args.epochs, **_common(args), **chosen)
            result = _read(path, config, parts, backbone)
            if result is None:
                result = _cell(config, tried, parts, args, name)
                _write(path, result)
            results.append(result)
            test = result["test"]
            print(f"{method} seed {seed}: mR {test['mr']:.2f}  ({result['seconds']:.0f} s)", flush=True)
    rows = table(results)
    print(json.dumps(rows, indent=1) if args.json else text_table(rows))
    return rows


def table(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method: mean and standard deviation over seeds of the recalls and mR, on test."""
    rows = []
    for method in dict.fromkeys(r["method"] for r in results):
        of = [r for r in results if r["method"] == method]
        row = {"method": method, "title": of[0]["title"], "trainable": of[0]["trainable"], "seeds": len(of)}
        row["share"] = of[0]["trainable"] / of[0]["backbone_parameters"]
        for key in (*RECALLS, "mr"):
            values = [r["test"][key] for r in of]
            row[key] = round(statistics.fmean(values), 2)
            row[f"{key}_sd"] = round(statistics.stdev(values), 2) if len(of) > 1 else None
        row["seconds"] = round(statistics.fmean(r["seconds"] for r in of), 1)
        row["stamp"] = of[0]["stamp"]
        rows.append(row)
    return rows


def text_table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    head = "| method | trainable | share | text R@1 | R@5 | R@10 | image R@1 | R@5 | R@10 | mR | seconds |"
    lines = [head, "|---" * 11 + "|"]
    for r in rows:
        mr = f"{r['mr']:.1f}" + (f" ± {r['mr_sd']:.1f}" if r["mr_sd"] is not None else "")
        cells = [f"{r[k]:.1f}" for k in RECALLS]
        label = f"{r['title']} ({r['seeds']} seed{'s' if r['seeds'] > 1 else ''})"
        cells = [label, f"{r['trainable']:,}", f"{100 * r['share']:.2f} %", *cells, mr, f"{r['seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, f"\n{rows[0]['stamp']}"])


def load_results(data: str = "toy", backbone: str = "mini", folder: Path | None = None) -> list[dict[str, Any]]:
    """The result files of one data set and backbone, in the order of the table of methods; [] if there are none."""
    folder = (folder or paths.results_dir()) / f"{data}-{backbone}"
    found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*-seed*.json"))]
    order = list(GRIDS)
    return sorted(found, key=lambda r: (order.index(r["method"]) if r["method"] in order else 99, r["seed"]))


def long_runs() -> Path:
    """The folder of committed runs that were trained longer than those of the table."""
    return paths.results_dir() / "long"


def _common(args) -> dict[str, Any]:
    return {"batch_size": args.batch_size, "precision": args.precision, "device": args.device}


def _clip(args):
    import rsnb

    return rsnb.load_clip(args.backbone, args.pretrained)


def _search(method: str, parts, args, out: Path, backbone: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings with the best validation mR at seed 0, and all that were tried. Cached in search-<method>.json."""
    import rsnb
    from rsnb.methods import defaults

    grid = GRIDS[method]
    if not grid:
        return {}, []
    if not args.search_epochs:
        return defaults(method, args.backbone), []
    path = out / f"search-{method}.json"
    base = {"epochs": args.search_epochs, "grid": grid, "train": parts["train"].fingerprint(), **_common(args)}
    base["backbone"] = backbone
    tried = []
    if path.exists():
        saved = json.loads(path.read_text(encoding="utf-8"))
        tried = saved["tried"] if saved["base"] == base else []
    for settings in grid[len(tried) :]:
        config = TrainConfig(method=method, epochs=args.search_epochs, **_common(args), **settings)
        model = rsnb.adapt(_clip(args), method, seed=0)
        try:
            found = rsnb.train(model, parts["train"], parts["val"], config)
            score = {"val_mr": round(found.best_val_mr, 2), "best_epoch": found.best_epoch}
        except RsnbError as error:  # a learning rate too high ends in nan: a result of the search, not its end
            score = {"val_mr": -1.0, "error": str(error)}
        tried.append({**settings, **score})
        print(f"search {method}: {tried[-1]}", flush=True)
        _write(path, {"base": base, "tried": tried})
    best = max(tried, key=lambda t: t["val_mr"])
    return {k: best[k] for k in grid[0]}, tried


def _cell(config: TrainConfig, tried, parts, args, name: str) -> dict[str, Any]:
    """Train (if anything trains), take the best epoch by validation, read the test part once."""
    import torch

    import rsnb
    from rsnb.methods import METHODS

    clip = _clip(args)
    total = sum(p.numel() for p in clip.model.parameters())
    model = rsnb.adapt(clip, config.method, seed=config.seed)
    started = time.perf_counter()
    history, best = [], {}
    if model.trainable():
        found = rsnb.train(model, parts["train"], parts["val"], config)
        history, best = found.history, {"best_epoch": found.best_epoch, "val_mr": round(found.best_val_mr, 2)}
        if args.install and config.method == "mrs" and config.seed == 0:
            rsnb.save_adapter(model, paths.adapters_dir() / f"{name}-mrs-seed0.safetensors")
    seconds = time.perf_counter() - started
    report = rsnb.evaluate(model, parts["test"])
    flags = f"--data {Path(args.data).name} --backbone {args.backbone} --methods {config.method} --seeds {args.seeds}"
    flags += f" --epochs {args.epochs} --search-epochs {args.search_epochs} --precision {args.precision}"
    return {
        "data": parts["test"].name,
        "backbone": args.backbone,
        "method": config.method,
        "title": METHODS[config.method].title + (" + HMMC" if config.method == "mrs" else ""),
        "seed": config.seed,
        "trainable": rsnb.count_trainable(model),
        "backbone_parameters": total,
        "config": config.to_dict(),
        "search": tried,
        **best,
        "test": report.to_dict(),
        "seconds": round(seconds, 1),
        "history": [{k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in history],
        "key": _key(config, parts, clip.fingerprint()),
        "versions": {"rsnb": rsnb.__version__, "torch": torch.__version__.split("+")[0]},
        "machine": f"{model.device.type}, {torch.get_num_threads()} threads, {platform.machine()}",
        "command": f"rsnb benchmark {flags} {'--install' if args.install else f'--out {args.out.as_posix()}'}",
        "stamp": report.stamp,
        "date": datetime.date.today().isoformat(),
    }


def _key(config: TrainConfig, parts, backbone: str) -> dict[str, Any]:
    kept = {k: v for k, v in config.to_dict().items() if k != "device"}
    return {"config": kept, "backbone": backbone, **{s: d.fingerprint() for s, d in parts.items()}}


def _read(path: Path, config: TrainConfig, parts, backbone: str) -> dict[str, Any] | None:
    """A finished cell with the same settings, data and weights; otherwise None."""
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result if result["key"] == _key(config, parts, backbone) else None


def _write(path: Path, value: Any) -> None:
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, path)
