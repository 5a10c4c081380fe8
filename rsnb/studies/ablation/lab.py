"""The ablation lab: any field of a run is an axis, every cell is kept, nothing is run twice.

A :class:`Spec` says what one cell is. ``vary`` changes one field of it by name; a :class:`Lab` trains cells on one
data set and one backbone, and keeps each under a hash of settings, data, weights and code, so that a grid that was
interrupted or widened runs only what is missing. A method of your own is a class, a loss of your own a function;
both are passed in and enter the hash with their source.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.fields import checked
from rsnb.base.files import reason
from rsnb.base.own import name_of
from rsnb.config import LATER
from rsnb.errors import RsnbError
from rsnb.measures import ties
from rsnb.settings import backbone_stamp
from rsnb.studies.ablation.cell import Cell, mean_recall, read_cell, write_cell
from rsnb.studies.ablation.fingerprint import code_version, digest, source_of
from rsnb.studies.ablation.spec import Spec


class Stopped(Exception):
    """Raised between two epochs when a run is asked to stop; what was done is kept."""


class Lab:
    """Trains and keeps cells on one data set and backbone.

    Args:
        folder: where finished cells (``cells/<hash>.json``) and unfinished runs (``state/``) are kept.
        also: further folders with finished cells, read only (the committed ones by default).
        methods, losses: your own: classes that extend ``rsnb.surgery.Method``, and losses as :func:`rsnb.train` takes
            them, of which each cell trains a copy. Take them with ``vary(spec, "method", "<class>")`` and
            ``vary(spec, "loss.name", "own:<function>")``; an argument of the loss is then an axis, ``loss.<argument>``.
    """

    def __init__(
        self,
        data: str = "toy",
        root: str | Path | None = None,
        backbone: str = "mini",
        pretrained: str | None = None,
        folder: str | Path = "outputs/ablate",
        also: Iterable[Path] | None = None,
        limit: int | None = None,
        methods: Sequence[type] = (),
        losses: Sequence[Callable] = (),
    ) -> None:
        import rsnb

        if limit is not None and checked("limit", limit) < 2:
            raise RsnbError(f"limit is {limit}; a batch needs at least 2 images")
        self.backbone, self.pretrained = backbone, pretrained
        self.folder, self.limit = Path(folder), limit
        self.also = [paths.results_dir() / "ablations"] if also is None else [Path(p) for p in also]
        self.methods = {method.__name__: method for method in methods}
        self.losses = {f"own:{name_of(loss)}": loss for loss in losses}
        taken = sorted(set(self.methods) & set(rsnb.METHODS))
        if taken:
            raise RsnbError(f"the name {', '.join(taken)} is taken by a method of rsnb; choose another")
        splits = ("train", "val", "test")
        self.parts = {split: rsnb.load_dataset(data, split, root=root, limit=limit) for split in splits}
        self._fingerprints = {split: part.fingerprint() for split, part in self.parts.items()}
        self._weights = self.clip().fingerprint()

    def clip(self):
        """A fresh copy of the backbone."""
        import rsnb

        return rsnb.load_clip(self.backbone, self.pretrained)

    @property
    def stamp(self) -> str:
        few = f" · at most {self.limit} images a split" if self.limit else ""
        return f"{self.parts['test'].stamp} · {backbone_stamp(self.backbone, self.pretrained)}{few}"

    def key(self, spec: Spec, seed: int) -> dict[str, Any]:
        """All that decides a cell."""
        config = spec.config.replace(seed=seed).to_dict()
        kept = {k: v for k, v in config.items() if k != "device"}
        usual = self.defaults(spec.config.method)
        kept["options"] = {k: v for k, v in config["options"].items() if k not in usual or usual[k] != v}
        key = {"config": kept, "share": spec.share, "backbone": self._weights, **self._fingerprints}
        for name, own in ((spec.config.method, self.methods), (spec.config.loss, self.losses)):
            if name in own:
                key[f"source of {name}"] = digest(source_of(own[name]))
        return {**key, "code": code_version()}

    def defaults(self, method: str) -> dict[str, Any]:
        """What the options of a method are if nobody sets them: one that is set to just that is no change."""
        from rsnb.methods import METHODS

        build = self.methods.get(method) or (METHODS[method].build if method in METHODS else None)
        found = inspect.signature(build).parameters.values() if build else ()
        return {p.name: p.default for p in found if p.default is not inspect.Parameter.empty}

    def found(self, spec: Spec, seed: int) -> Cell | None:
        """The cell, if it is finished: made with these very settings, data, weights and code."""
        return self.kept(digest(self.key(spec, seed)))

    def kept(self, name: str) -> Cell | None:
        """The finished cell of this hash, if there is one."""
        for folder in (self.folder / "cells", *self.also):
            if (path := folder / f"{name}.json").is_file():
                return read_cell(path)
        return None

    def cell(
        self, spec: Spec, seed: int, on_epoch: Callable[[dict[str, Any]], None] | None = None, progress: bool = False
    ) -> Cell:
        """The cell: from its file, or trained now, going on where it was stopped.

        Args:
            on_epoch: see :func:`rsnb.train`; the state's ``cell`` is the spec. May raise :class:`Stopped`. A cell whose
                run it ends as finished is kept, but not found in the place of the whole run.

        Raises:
            RsnbError: bad settings, or a training that failed; what other cells did is kept.
        """
        kept = self.found(spec, seed)
        return kept if kept is not None else self._run(spec, seed, on_epoch, progress)

    def _run(self, spec: Spec, seed: int, on_epoch, progress: bool) -> Cell:
        import datetime

        import rsnb

        key = self.key(spec, seed)
        name, config = digest(key), spec.config.replace(seed=seed)
        model = self.adapted(spec, seed)
        train, started = self.train_part(spec, seed), time.perf_counter()
        state, best, steps = self.folder / "state" / name, 0.0, 0
        if model.trainable():
            found = rsnb.train(
                model,
                train,
                self.parts["val"],
                config,
                out=state,
                force=(state / "done.json").exists(),
                progress=progress,
                loss=copy.deepcopy(self.losses.get(config.loss)),
                on_epoch=on_epoch and (lambda state: on_epoch(state.of_cell(spec))),
            )
            best, steps = found.best_val_mr, len(found.history) * self.steps(spec)
            if len(found.history) < config.epochs:  # on_epoch said stop, and the key does not know what it is
                key["stopped after"] = len(found.history)
                name = digest(key)
        seconds = time.perf_counter() - started
        report = rsnb.evaluate(model, self.parts["test"])
        hits = ties.hits(report.image_embeddings, report.text_embeddings, report.owner)  # ties at random
        count = [len(item.captions) for item in self.parts["test"]]
        sums = [0.0] * len(count)
        for owner, hit in zip(hits.owner.tolist(), hits.image.mean(dim=1).tolist()):
            sums[owner] += hit
        cell = Cell(
            hash=name,
            seed=seed,
            mr=0.0,
            sorted_mr=round(report.mr, 4),
            val_mr=round(best, 4),
            trainable=rsnb.count_trainable(model),
            steps=steps,
            seconds=round(seconds, 1),
            text=tuple(round(x, 5) for x in hits.text.mean(dim=1).tolist()),
            image=tuple(round(x, 5) for x in sums),
            captions=tuple(count),
            key=key,
            stamp=self.stamp,
            date=datetime.date.today().isoformat(),
        )
        cell = dataclasses.replace(cell, mr=round(mean_recall(cell.text, cell.image, cell.captions), 4))
        write_cell(cell, self.folder / "cells" / f"{name}.json")
        shutil.rmtree(state, ignore_errors=True)
        return cell

    def adapted(self, spec: Spec, seed: int):
        """A fresh model of the spec's method."""
        import rsnb

        name, options = spec.config.method, spec.config.options
        return rsnb.adapt(self.clip(), self.methods.get(name, name), seed=seed, **options)

    def train_part(self, spec: Spec, seed: int):
        """The training images that the spec may see: of one seed, a smaller share lies within a larger one."""
        import torch

        from rsnb.data import CaptionDataset

        whole = self.parts["train"]
        if spec.share == 1:
            return whole
        order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed)).tolist()
        kept = sorted(order[: max(2, round(spec.share * len(whole)))])
        return CaptionDataset([whole[i] for i in kept], whole.name, whole.split, whole.layout, whole.root, whole.stamp)

    def steps(self, spec: Spec) -> int:
        """Training steps of an epoch."""
        share, train = spec.share, self.parts["train"]
        images = len(train) if share == 1 else max(2, round(share * len(train)))
        pairs = images if spec.config.pairs == "one" else round(len(train.captions[0]) * images / len(train))
        whole, rest = divmod(pairs, spec.config.batch_size)
        return whole + (rest > 1)

    def seconds(self, spec: Spec) -> float:
        """What the cell will take, about: from two timed training steps, and without evaluation."""
        from rsnb.base.devices import pick_device
        from rsnb.measures import costs

        model = self.adapted(spec, 0).to(pick_device(spec.config.device))
        if not model.trainable():
            return 0.0
        batch = costs.first_batch(model, self.parts["train"], spec.config.batch_size)
        own = self.losses.get(spec.config.loss)
        config = spec.config.replace(loss="hmmc", **LATER) if own else spec.config
        return spec.config.epochs * self.steps(spec) * costs.seconds_per_step(model, *batch, config)


def run_cells(
    lab: Lab,
    cells: Mapping[Any, Spec],
    seeds: int = 3,
    progress: bool = True,
    on_cell: Callable[[Any, Cell, int, int, float], None] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[dict[Any, list[Cell]], dict[Any, str]]:
    """Every cell with every seed: seed 0 of all cells first, so that a partial grid already compares.

    Args:
        on_cell: called with (name, cell, number done, number of all, seconds left, about) after each one.
        on_epoch: see :meth:`Lab.cell`.

    Returns:
        {name: finished cells by seed}, and {name: why it failed}: a cell that fails leaves the others alone.
    """
    done: dict[Any, list[Cell]] = {name: [] for name in cells}
    failed: dict[Any, str] = {}
    todo = [(name, seed) for seed in range(seeds) for name in cells]
    hashes = {(name, seed): digest(lab.key(cells[name], seed)) for name, seed in todo}
    kept = {key: cell for key in set(hashes.values()) if (cell := lab.kept(key)) is not None}
    spent, built = [], set()
    for name, spec in cells.items():  # a method that cannot be built is found before anything is trained
        kind = repr((spec.config.method, spec.config.options))
        if kind not in built and any(hashes[name, seed] not in kept for seed in range(seeds)):
            try:
                lab.adapted(spec, 0)
                built.add(kind)
            except Exception as error:
                failed[name] = reason(error)
    for number, (name, seed) in enumerate(todo, start=1):
        if name in failed:
            continue
        started, old = time.perf_counter(), kept.get(hashes[name, seed])
        try:
            cell = old or lab.cell(cells[name], seed, on_epoch, progress)
        except Stopped:
            raise
        except Exception as error:  # a loss of your own may raise anything
            failed[name] = reason(error)
            continue
        if old is None:
            spent.append(time.perf_counter() - started)
            kept[cell.hash] = cell
        done[name].append(cell)
        if on_cell is not None:
            missing = {hashes[n, s] for n, s in todo[number:] if n not in failed} - set(kept)
            on_cell(name, cell, number, len(todo), len(missing) * statistics.fmean(spent) if spent else 0.0)
    return {name: own for name, own in done.items() if own}, failed
