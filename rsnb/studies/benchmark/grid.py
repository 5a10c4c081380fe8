"""Methods side by side on one data set: ``rsnb benchmark``. One result file for each method and seed.

The cells are those of the lab (:mod:`rsnb.studies.ablation.lab`), varied over "method". All methods get the same data,
epochs, batch and seeds, and a learning rate of its own: chosen on validation with seed 0 and a shorter run, from three
neighbouring rungs of a ladder, and further along it while the best one is the outermost. What was tried is written into
every result. The test part is read once a run, at the end. A finished cell is not run again, one that fails is named
and leaves the others alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.files import make_folder, write_json
from rsnb.base.options import reading_of
from rsnb.base.sources import digest
from rsnb.base.text import markdown_table
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError
from rsnb.studies.ablation.cell import Cell
from rsnb.studies.ablation.lab import Lab
from rsnb.studies.ablation.spec import Spec
from rsnb.studies.rates import next_rung

LOSSES = {"hmmc": "HMMC", "clip": "CLIP loss", "triplet": "triplet loss"}
HISTORY = ("epoch", "loss", "loss_cross", "loss_image", "loss_text", "intra_image_cos", "intra_text_cos", "val_mr",
           "lr", "seconds")  # fmt: skip


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
        make_folder(self.folder)
        cells = args.out / "installed" if args.install else args.out  # these save adapters as well
        self.lab = Lab(
            args.data, args.root, args.backbone, args.pretrained, cells, also=(), limit=args.limit, **reading_of(args)
        )
        self.parts = self.lab.parts

    def clip(self):
        """The backbone; for a plan its shape alone."""
        from rsnb.backbone import clip_of_a_plan, load_clip

        return (clip_of_a_plan if self.args.dry_run else load_clip)(self.args.backbone, self.args.pretrained)

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
        """The settings with the best validation mR at seed 0, and all that were tried: each a cell of the lab."""
        from rsnb.methods import defaults

        default, loss = defaults(method, self.args.backbone), self.own_loss(method)
        if method == "zero_shot":
            return {"loss": loss}, []
        if not self.args.search_epochs:
            return {"loss": loss, "lr": default["lr"]}, []
        tried: list[dict[str, Any]] = []
        while (lr := next_rung([(t["lr"], t["val_mr"]) for t in tried], float(default["lr"]))) is not None:
            tried.append({"loss": loss, "lr": lr, **self._try(method, loss, lr)})
            print(f"search {self.label(method)}: {tried[-1]}", flush=True)
        best = max(tried, key=lambda t: t["val_mr"])
        return {"loss": best["loss"], "lr": best["lr"]}, tried

    def _try(self, method: str, loss: str, lr: float) -> dict[str, Any]:
        config = TrainConfig(method=method, epochs=self.args.search_epochs, loss=loss, lr=lr, **self.common())
        try:
            cell = self.lab.cell(Spec(config), 0, progress=True)
        except RsnbError as error:  # a learning rate too high ends in nan: a result of the search, not its end
            return {"val_mr": -1.0, "error": str(error)}
        return {"val_mr": round(cell.val_mr, 2), "best_epoch": cell.best_epoch}

    # --- a cell -------------------------------------------------------------------------------------------------

    def cell(self, method: str, seed: int, chosen: dict[str, Any], tried: list[dict[str, Any]]) -> dict[str, Any]:
        """The result of one method and seed: from its file if that was made with the very same settings, data,
        weights and code, else from the lab, which trains it now (going on where an earlier call was stopped)."""
        config = self.config(method, seed, chosen)
        key = self.lab.key(Spec(config), seed)
        path = self.folder / f"{self.label(method)}-seed{seed}.json"
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            if result.get("hash") == digest(key):
                return result
        shipped = self.args.install and method == "mrs" and seed == 0 and config.loss == "hmmc"
        cell = self.lab.cell(Spec(config), seed, progress=True, key=key, on_model=self.ship if shipped else None)
        result = self.result_of(cell, config, tried)
        write_json(path, result)
        return result

    def ship(self, model) -> None:
        """Keep the adapter of a run that was trained now."""
        import rsnb

        rsnb.save_adapter(model, paths.adapters_dir() / f"{self.name}-mrs-seed0.safetensors")

    def result_of(self, cell: Cell, config: TrainConfig, tried: list[dict[str, Any]]) -> dict[str, Any]:
        """What a result file holds: the cell, what it cost, and where it comes from."""
        import torch

        from rsnb.methods import METHODS

        args, model = self.args, self.lab.adapted(Spec(config), config.seed)
        total = sum(p.numel() for p in model.clip.model.parameters())
        entry, trains = METHODS[config.method], bool(model.trainable())
        costs = self.costs(model, config) if trains else {}
        plain = config.method == "zero_shot" or config.loss == entry.loss == "clip"
        flags = f"--data {Path(args.data).name} --backbone {args.backbone} --methods {config.method}"
        flags += f" --loss {args.loss} --seeds {args.seeds}"
        flags += f" --epochs {args.epochs} --search-epochs {args.search_epochs} --precision {args.precision}"
        seconds = [row["seconds"] for row in cell.history]
        return {
            "data": self.parts["test"].name,
            "backbone": args.backbone,
            "method": config.method,
            "title": entry.title + ("" if plain else f" + {LOSSES[config.loss]}"),
            "seed": config.seed,
            "trainable": cell.trainable,
            "backbone_parameters": total,
            "config": config.to_dict(),
            "search": tried,
            **({"best_epoch": cell.best_epoch, "val_mr": round(cell.val_mr, 2)} if trains else {}),
            "test": cell.test,
            "honest": cell.honest,
            "hits": {name: getattr(cell, name) for name in ("text", "image", "captions")},
            "seconds": cell.seconds,
            "seconds_per_epoch": round(statistics.median(seconds), 2) if seconds else 0.0,
            **costs,
            "history": [{k: row[k] for k in HISTORY if k in row} for row in cell.history],
            "key": cell.key,
            "hash": cell.hash,
            "made_by": cell.made_by,
            "forward": "rsnb.fast" if model.is_fast else "open_clip",
            "machine": f"{model.device.type}, {torch.get_num_threads()} threads, {platform.machine()}",
            "command": f"rsnb benchmark {flags} {'--install' if args.install else f'--out {args.out.as_posix()}'}",
            "stamp": cell.test["stamp"],
            "date": cell.date,
        }

    def costs(self, model, config: TrainConfig) -> dict[str, Any]:
        from rsnb.base.devices import pick_device
        from rsnb.measures import costs

        model.to(pick_device(config.device))
        batch = costs.first_batch(model, self.parts["train"], config.batch_size)
        return {"memory_mb": costs.training_memory(model, *batch, config), "file_bytes": costs.file_bytes(model)}

    # --- the plan -----------------------------------------------------------------------------------------------

    def plan(self) -> list[dict[str, Any]]:
        """What the call would run, with time and memory estimated from a few training steps of each method."""
        import rsnb
        from rsnb.base.devices import pick_device
        from rsnb.measures import costs
        from rsnb.methods import METHODS, defaults

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
        lines = [
            (
                r["title"],
                r["loss"],
                f"{r['trainable']:,}",
                f"{r['runs']}",
                f"{r['hours']:.2f}",
                f"{r['memory_mb'] / 1000:.2f}",
            )
            for r in rows
        ]
        lines.append(("all", "", "", f"{sum(r['runs'] for r in rows)}", f"{sum(r['hours'] for r in rows):.2f}", ""))
        print(markdown_table(("method", "loss", "trainable", "runs", "hours", "memory (GB)"), lines))
        return rows
