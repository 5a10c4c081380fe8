"""Methods side by side on one data set: ``rsnb benchmark``. One result file for each method and seed.

Every method gets the same data, epochs, batch and seeds, and a learning rate of its own: chosen on validation with
seed 0 and a shorter run, from three neighbouring rungs of a ladder, and further along it while the best one is the
outermost. What was tried is written into every result. The test part is read once a run, at the end. A finished
cell is not run again, one that fails is named and leaves the others alone. This file imports torch only when it runs.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import hashlib
import io
import json
import os
import platform
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.config import CHOICES, TrainConfig
from rsnb.errors import RsnbError

RECALLS = ("text_r1", "text_r5", "text_r10", "image_r1", "image_r5", "image_r10")
LOSSES = {"hmmc": "HMMC", "clip": "CLIP loss", "triplet": "triplet loss"}
LADDER = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
HISTORY = ("epoch", "loss", "loss_cross", "loss_image", "loss_text", "intra_image_cos", "intra_text_cos", "val_mr",
           "lr", "seconds")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="toy", help="toy, ucm, rsicd, rsitmd, or a folder (default: toy)")
    parser.add_argument("--root", type=Path, default=None, help="where a real data set lies")
    parser.add_argument("--backbone", default="mini", help="mini, or any open_clip name (default: mini)")
    parser.add_argument("--pretrained", default=None, help="tag or checkpoint path of the backbone's weights")
    parser.add_argument("--methods", default="all", help="comma-separated names, or all (default)")
    parser.add_argument(
        "--loss",
        default="own",
        choices=("own", *CHOICES["loss"]),
        help="own: HMMC for MRS-Adapter, CLIP's loss for the others, as in the paper (default); or one for all",
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=25, help="of a full run (default: %(default)s)")
    parser.add_argument(
        "--search-epochs",
        type=int,
        default=5,
        help="of a run of the search (default: %(default)s); "
        "0: no search, take the method's defaults (on the mini CLIP: what was chosen on the toy world)",
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--limit", type=int, default=None, help="at most N images of each split (for a try)")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmark"), help="folder of the result files")
    parser.add_argument("--install", action="store_true", help="write to the committed results and adapters instead")
    parser.add_argument("--dry-run", action="store_true", help="print the plan with estimated time and memory")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Run what is missing, write and print the table, return its rows.

    Raises:
        RsnbError: bad arguments; or, after all other cells have run, the cells that failed and why.
    """
    grid = Grid(args)
    if args.dry_run:
        return grid.plan()
    results, failed = [], []
    total, number, begun = sum(len(grid.seeds(method)) for method in grid.methods), 0, time.perf_counter()
    for method in grid.methods:
        try:
            chosen, tried = grid.search(method)
        except Exception as error:
            failed.append(f"the search of {method}: {_reason(error)}")
            number += len(grid.seeds(method))
            continue
        for seed in grid.seeds(method):
            number += 1
            try:
                result = grid.cell(method, seed, chosen, tried)
            except Exception as error:
                failed.append(f"{method}, seed {seed}: {_reason(error)}")
                print(f"[{number}/{total}] FAILED {failed[-1]}", flush=True)
                continue
            results.append(result)
            scored = f"mR {result['test']['mr']:.2f}  ({result['seconds']:.0f} s)"
            so_far = f"{(time.perf_counter() - begun) / 60:.0f} min so far"
            print(f"[{number}/{total}] {method} seed {seed}: {scored}, {so_far}", flush=True)
    rows = table(results)
    if rows:
        write_tables(grid.folder)
        print(json.dumps(rows, indent=1) if args.json else text_table(rows))
    if failed:
        lines = "\n  ".join(failed)
        raise RsnbError(f"{len(failed)} failed, the others are done; the same command tries these again:\n  {lines}")
    return rows


class Grid:
    """The cells of one call: which methods and seeds, on what, and where their files lie."""

    def __init__(self, args: argparse.Namespace):
        import rsnb

        self.args = args
        known = list(rsnb.METHODS)
        named = dict.fromkeys(m.strip() for m in args.methods.split(",") if m.strip())
        self.methods = known if args.methods == "all" else list(named)
        unknown = sorted(set(self.methods) - set(known))
        if unknown or not self.methods:
            raise RsnbError(
                f"no method is called {', '.join(unknown) or repr(args.methods)}; choose from all, {', '.join(known)}"
            )
        if args.install and args.limit:
            raise RsnbError("--install keeps results that others rely on; it does not go with --limit")
        self.name = f"{Path(args.data).name}-{args.backbone.replace('/', '_').replace(':', '_')}"
        self.folder = (paths.results_dir() if args.install else args.out) / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parts = {
            split: rsnb.load_dataset(args.data, split, root=args.root, limit=args.limit)
            for split in ("train", "val", "test")
        }
        self.backbone = self.clip().fingerprint()

    def clip(self):
        import rsnb

        return rsnb.load_clip(self.args.backbone, self.args.pretrained)

    def seeds(self, method: str) -> range:
        return range(1 if method == "zero_shot" else self.args.seeds)

    def own_loss(self, method: str) -> str:
        from rsnb.methods import METHODS

        return METHODS[method].loss if self.args.loss == "own" or method == "zero_shot" else self.args.loss

    def label(self, method: str) -> str:
        """The stem of the file names: the method, and the loss where it is not the method's own."""
        from rsnb.methods import METHODS

        loss = self.own_loss(method)
        return method if loss == METHODS[method].loss else f"{method}+{loss}"

    def common(self) -> dict[str, Any]:
        return {"batch_size": self.args.batch_size, "precision": self.args.precision, "device": self.args.device}

    def config(self, method: str, seed: int, chosen: dict[str, Any]) -> TrainConfig:
        return TrainConfig(method=method, seed=seed, epochs=self.args.epochs, **self.common(), **chosen)

    # --- the learning rate --------------------------------------------------------------------------------------

    def search(self, method: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The settings with the best validation mR at seed 0, and all that were tried; kept in search-<label>.json."""
        from rsnb.methods import defaults

        default, loss = defaults(method, self.args.backbone), self.own_loss(method)
        if method == "zero_shot":
            return {"loss": loss}, []
        if not self.args.search_epochs:
            return {"loss": loss, "lr": default["lr"]}, []
        path = self.folder / f"search-{self.label(method)}.json"
        base = {"epochs": self.args.search_epochs, "loss": loss, "train": self.parts["train"].fingerprint()}
        base |= {"backbone": self.backbone, **self.common()}
        saved = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        tried = saved["tried"] if saved.get("base") == base else []
        while (lr := next_rung([(t["lr"], t["val_mr"]) for t in tried], float(default["lr"]))) is not None:
            tried.append({"loss": loss, "lr": lr, **self._try(method, loss, lr)})
            print(f"search {self.label(method)}: {tried[-1]}", flush=True)
            _write(path, {"base": base, "tried": tried})
        best = max(tried, key=lambda t: t["val_mr"])
        return {"loss": best["loss"], "lr": best["lr"]}, tried

    def _try(self, method: str, loss: str, lr: float) -> dict[str, Any]:
        import rsnb

        config = TrainConfig(method=method, epochs=self.args.search_epochs, loss=loss, lr=lr, **self.common())
        model = rsnb.adapt(self.clip(), method, seed=0)
        try:
            found = rsnb.train(model, self.parts["train"], self.parts["val"], config)
        except RsnbError as error:  # a learning rate too high ends in nan: a result of the search, not its end
            return {"val_mr": -1.0, "error": str(error)}
        return {"val_mr": round(found.best_val_mr, 2), "best_epoch": found.best_epoch}

    # --- a cell -------------------------------------------------------------------------------------------------

    def cell(self, method: str, seed: int, chosen: dict[str, Any], tried: list[dict[str, Any]]) -> dict[str, Any]:
        """The result of one method and seed: from its file if that was made with the very same settings, data and
        weights, else trained now (going on where an earlier call was stopped)."""
        config = self.config(method, seed, chosen)
        key = self.key(config)
        path = self.folder / f"{self.label(method)}-seed{seed}.json"
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            if result.get("hash") == digest(key):
                return result
        result = self._run(config, tried, key)
        _write(path, result)
        return result

    def key(self, config: TrainConfig) -> dict[str, Any]:
        """All that decides a result."""
        kept = {k: v for k, v in config.to_dict().items() if k not in ("device", "compile")}
        return {"config": kept, "backbone": self.backbone, **{s: d.fingerprint() for s, d in self.parts.items()}}

    def _run(self, config: TrainConfig, tried, key: dict[str, Any]) -> dict[str, Any]:
        """Train (if anything trains), take the best epoch by validation, read the test part once."""
        import torch

        import rsnb
        from rsnb.measures import ties as honest
        from rsnb.methods import METHODS

        args, clip = self.args, self.clip()
        total = sum(p.numel() for p in clip.model.parameters())
        model = rsnb.adapt(clip, config.method, seed=config.seed)
        state = args.out / "state" / digest(key)
        started = time.perf_counter()
        history, best, costs = [], {}, {}
        if model.trainable():
            costs = self.costs(model, config)
            found = rsnb.train(model, self.parts["train"], self.parts["val"], config, out=state, force=_done(state))
            history, best = found.history, {"best_epoch": found.best_epoch, "val_mr": round(found.best_val_mr, 2)}
            if args.install and config.method == "mrs" and config.seed == 0 and config.loss == "hmmc":
                rsnb.save_adapter(model, paths.adapters_dir() / f"{self.name}-mrs-seed0.safetensors")
        seconds = time.perf_counter() - started
        report = rsnb.evaluate(model, self.parts["test"])
        entry = METHODS[config.method]
        plain = config.method == "zero_shot" or config.loss == entry.loss == "clip"
        flags = f"--data {Path(args.data).name} --backbone {args.backbone} --methods {config.method}"
        flags += f" --loss {args.loss} --seeds {args.seeds}"
        flags += f" --epochs {args.epochs} --search-epochs {args.search_epochs} --precision {args.precision}"
        result = {
            "data": self.parts["test"].name,
            "backbone": args.backbone,
            "method": config.method,
            "title": entry.title + ("" if plain else f" + {LOSSES[config.loss]}"),
            "seed": config.seed,
            "trainable": rsnb.count_trainable(model),
            "backbone_parameters": total,
            "config": config.to_dict(),
            "search": tried,
            **best,
            "test": report.to_dict(),
            "honest": honest.of(report, self.parts["test"]).to_dict(),
            "seconds": round(seconds, 1),
            "seconds_per_epoch": round(statistics.median(r["seconds"] for r in history), 2) if history else 0.0,
            **costs,
            "history": [{k: round(row[k], 5) for k in HISTORY if k in row} for row in history],
            "key": key,
            "hash": digest(key),
            "versions": {"rsnb": rsnb.__version__, "torch": torch.__version__.split("+")[0]},
            "forward": "rsnb.fast" if model.is_fast else "open_clip",
            "machine": f"{model.device.type}, {torch.get_num_threads()} threads, {platform.machine()}",
            "command": f"rsnb benchmark {flags} {'--install' if args.install else f'--out {args.out.as_posix()}'}",
            "stamp": report.stamp,
            "date": datetime.date.today().isoformat(),
        }
        shutil.rmtree(state, ignore_errors=True)
        return result

    def costs(self, model, config: TrainConfig) -> dict[str, Any]:
        from rsnb.measures import costs
        from rsnb.training import pick_device

        model.to(pick_device(config.device))
        batch = costs.first_batch(model, self.parts["train"], config.batch_size)
        return {"memory_mb": costs.training_memory(model, *batch, config), "file_bytes": costs.file_bytes(model)}

    # --- the plan -----------------------------------------------------------------------------------------------

    def plan(self) -> list[dict[str, Any]]:
        """What the call would run, with time and memory estimated from a few training steps of each method."""
        import rsnb
        from rsnb.measures import costs
        from rsnb.methods import METHODS, defaults
        from rsnb.training import pick_device

        images = len(self.parts["train"])
        steps = max(1, images // self.args.batch_size)
        rows, clip = [], self.clip()
        for method in self.methods:
            model = rsnb.adapt(clip, method, seed=0).to(pick_device(self.args.device))
            chosen = {"loss": self.own_loss(method), "lr": defaults(method, self.args.backbone)["lr"]}
            config = self.config(method, 0, chosen)
            row: dict[str, Any] = {"method": method, "title": METHODS[method].title, "loss": config.loss}
            row |= {"trainable": rsnb.count_trainable(model), "runs": len(self.seeds(method))}
            if model.trainable():
                batch = costs.first_batch(model, self.parts["train"], config.batch_size)
                epoch = steps * costs.seconds_per_step(model, *batch, config)
                searched = 3 * self.args.search_epochs
                row["hours"] = epoch * (self.args.epochs * row["runs"] + searched) / 3600
                row["memory_mb"] = costs.training_memory(model, *batch, config)["total"]
            else:
                row |= {"hours": 0.0, "memory_mb": round(4 * sum(p.numel() for p in model.parameters()) / 1e6, 2)}
            rows.append(row)
            clip = model.detach()
        stamp = f"{self.parts['train'].stamp} · {clip.stamp}"
        if self.args.json:
            print(json.dumps({"stamp": stamp, "plan": rows}, indent=1))
            return rows
        print(
            f"{stamp}\n{images} train images, batch {self.args.batch_size}, {self.args.epochs} epochs, "
            f"search of {self.args.search_epochs}; without evaluation and without what is done already"
        )
        print(f"{'method':22}{'loss':9}{'trainable':>12}{'runs':>6}{'hours':>8}{'memory':>11}")
        for r in rows:
            print(
                f"{r['title']:22}{r['loss']:9}{r['trainable']:>12,}{r['runs']:>6}{r['hours']:>8.2f}"
                f"{r['memory_mb'] / 1000:>8.2f} GB"
            )
        print(f"{'all':22}{'':9}{'':12}{sum(r['runs'] for r in rows):>6}{sum(r['hours'] for r in rows):>8.2f}")
        return rows


def next_rung(tried: list[tuple[float, float]], start: float) -> float | None:
    """The learning rate to try next: the rung nearest to ``start`` and its neighbours, then outwards while the best
    score is the outermost rate's; None when the best one has a neighbour on both sides (or the ladder ends)."""
    middle = min(range(len(LADDER)), key=lambda i: abs(LADDER[i] / start - 1) + abs(start / LADDER[i] - 1))
    rungs = {i for i, rate in enumerate(LADDER) if any(abs(rate / lr - 1) < 1e-9 for lr, _ in tried)}
    for i in (middle, middle - 1, middle + 1):
        if 0 <= i < len(LADDER) and i not in rungs:
            return LADDER[i]
    best = LADDER.index(min(LADDER, key=lambda rate: abs(rate / max(tried, key=lambda t: t[1])[0] - 1)))
    for i in (best - 1, best + 1):
        if 0 <= i < len(LADDER) and i not in rungs:
            return LADDER[i]
    return None


def digest(key: dict[str, Any]) -> str:
    """12 hex digits of a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def table(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method and loss: mean and standard deviation over seeds of the recalls and mR on test, and costs.

    Recalls are expected over random orders of ties where every result has them so ("counting": "expected", with the
    range that orders of the ties can give, and the share of the best mR any model could reach); else of a sort.
    """
    rows, expected = [], all("honest" in r for r in results)
    for title in dict.fromkeys(r["title"] for r in results):
        of = [r for r in results if r["title"] == title]
        row = {"method": of[0]["method"], "title": title, "loss": of[0]["config"]["loss"]}
        row |= {"trainable": of[0]["trainable"], "seeds": len(of)}
        row["share"] = of[0]["trainable"] / of[0]["backbone_parameters"]
        for key in (*RECALLS, "mr"):
            values = [r["honest"]["expected"][key] if expected else r["test"][key] for r in of]
            row[key] = round(statistics.fmean(values), 2)
            row[f"{key}_sd"] = round(statistics.stdev(values), 2) if len(of) > 1 else None
        row["counting"] = "expected" if expected else "sort"
        if expected:
            ends = [[r["honest"]["ties_mr"][end] for r in of] for end in (0, 1)]
            row |= {"ties_low": round(min(ends[0]), 2), "ties_high": round(max(ends[1]), 2)}
            row["of_ceiling"] = round(row["mr"] / of[0]["honest"]["ceiling"]["mr"], 4)
        row["lr"] = of[0]["config"]["lr"] if of[0]["trainable"] else None
        row["seconds"] = round(statistics.fmean(r["seconds"] for r in of), 1)
        row["seconds_per_epoch"] = round(statistics.fmean(r.get("seconds_per_epoch", 0.0) for r in of), 2)
        row["memory_mb"] = of[0].get("memory_mb", {}).get("total")
        row["file_bytes"] = of[0].get("file_bytes", 0)
        row["stamp"] = of[0]["stamp"]
        rows.append(row)
    return rows


def text_table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown: recalls and mR; with what ties can make of mR, and mR as a share of the ceiling."""
    honest = rows[0]["counting"] == "expected"
    more = " ties | of the ceiling |" if honest else ""
    head = f"| method | trainable | share | text R@1 | R@5 | R@10 | image R@1 | R@5 | R@10 | mR |{more} s an epoch |"
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for r in rows:
        mr = f"{r['mr']:.1f}" + (f" ± {r['mr_sd']:.1f}" if r["mr_sd"] is not None else "")
        cells = [f"{r[k]:.1f}" for k in RECALLS]
        label = f"{r['title']} ({r['seeds']} seed{'s' if r['seeds'] > 1 else ''})"
        cells = [label, f"{r['trainable']:,}", f"{100 * r['share']:.2f} %", *cells, mr]
        if honest:
            cells += [f"{r['ties_low']:.1f} to {r['ties_high']:.1f}", f"{100 * r['of_ceiling']:.0f} %"]
        cells.append(f"{r['seconds_per_epoch']:.1f}" if r["trainable"] else "-")
        lines.append(f"| {' | '.join(cells)} |")
    counted = "recalls expected over random orders of ties" if honest else "ties in the order of the data set"
    return "\n".join([*lines, f"\n{rows[0]['stamp']} · {counted}"])


def cost_table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown: what each method costs."""
    lines = ["| method | trainable | lr | seconds an epoch | memory to train (MB) | file (kB) |", "|---" * 6 + "|"]
    for r in rows:
        if r["trainable"]:
            cells = [r["title"], f"{r['trainable']:,}", f"{r['lr']:g}", f"{r['seconds_per_epoch']:.1f}"]
            cells += [f"{r['memory_mb']:.0f}" if r["memory_mb"] else "-", f"{r['file_bytes'] / 1000:,.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_tables(folder: Path) -> None:
    """table.md, table.csv and table.png of all result files in a folder."""
    rows = table(read_results(folder))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _replace(folder / "table.csv", buffer.getvalue())
    _replace(folder / "table.md", f"{text_table(rows)}\n\n{cost_table(rows)}\n")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from rsnb.studies.benchmark import figures as method_plots

    figure = method_plots.parameters_against_mr(rows, rows[0]["stamp"])
    FigureCanvasAgg(figure).print_png(str(folder / "table.png"))


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The result files of a folder, in the order of the table of methods; [] if there are none."""
    from rsnb.methods import METHODS

    found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*-seed*.json"))]
    order = list(METHODS)
    place = lambda r: order.index(r["method"]) if r["method"] in order else len(order)  # noqa: E731
    return sorted(found, key=lambda r: (place(r), r["title"], r["seed"]))


def load_results(data: str = "toy", backbone: str = "mini", folder: Path | None = None) -> list[dict[str, Any]]:
    """The result files of one data set and backbone; [] if there are none."""
    return read_results((folder or paths.results_dir()) / f"{data}-{backbone}")


def _done(state: Path) -> bool:
    """Whether a run was finished there but its result never written."""
    return (state / "done.json").exists()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def _write(path: Path, value: Any) -> None:
    _replace(path, json.dumps(value, indent=1) + "\n")


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(text, encoding="utf-8", newline="\n")
    os.replace(scratch, path)
