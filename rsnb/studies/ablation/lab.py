"""The ablation lab: any field of a run is an axis, every cell is kept, nothing is run twice.

A :class:`Spec` says what one cell is. ``vary`` changes one field of it by name; a :class:`Lab` trains cells on one
data set and one backbone, and keeps each under a hash of settings, data, weights and code, so that a grid that was
interrupted or widened runs only what is missing. A method of your own is a class, a loss of your own a function;
both are passed in and enter the hash with all that they refer to (see :mod:`rsnb.base.own`).
"""

from __future__ import annotations

import copy
import datetime
import inspect
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.callables import name_of
from rsnb.base.files import reason
from rsnb.base.own import digest_of_own
from rsnb.base.sources import digest
from rsnb.config import LATER
from rsnb.errors import RsnbError
from rsnb.settings import backbone_stamp
from rsnb.studies import keys
from rsnb.studies.ablation.cell import Cell, read_cell, write_cell
from rsnb.studies.ablation.counting import hits_of_images, mean_recall, part_of_training, rounded_history
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

        if limit is not None and limit < 2:
            raise RsnbError(f"limit is {limit}; a batch needs at least 2 images")
        self.backbone, self.pretrained = backbone, pretrained
        self.folder, self.limit = Path(folder), limit
        self.also = [paths.results_dir() / "ablations"] if also is None else [Path(p) for p in also]
        self.methods = _by_name(methods, "methods", "")
        self.losses = _by_name(losses, "losses", "own:")
        taken = sorted(set(self.methods) & set(rsnb.METHODS))
        if taken:
            raise RsnbError(f"the name {', '.join(taken)} is taken by a method of rsnb; choose another")
        splits = ("train", "val", "test")
        self.parts = {split: rsnb.load_dataset(data, split, root=root, limit=limit) for split in splits}
        self.fingerprints = {split: part.fingerprint() for split, part in self.parts.items()}

    @cached_property
    def weights(self) -> str:
        """The fingerprint of the backbone."""
        return self.clip().fingerprint()

    def clip(self):
        """A fresh copy of the backbone."""
        import rsnb

        return rsnb.load_clip(self.backbone, self.pretrained)

    @property
    def stamp(self) -> str:
        few = f" · at most {self.limit} images a split" if self.limit else ""
        return f"{self.parts['test'].stamp} · {backbone_stamp(self.backbone, self.pretrained)}{few}"

    def key(self, spec: Spec, seed: int) -> dict[str, Any]:
        """All that decides a cell; see :func:`rsnb.studies.keys.key_of`."""
        return self.keys([(spec, seed)])[0]

    def keys(self, wanted: Iterable[tuple[Spec, int]]) -> list[dict[str, Any]]:
        """The keys of many cells, each (spec, seed); what they share is digested once.

        Raises:
            RsnbError: a method or loss of your own holds something that cannot be digested.
        """
        found, digests = [], {}
        for spec, seed in wanted:
            config = spec.config.replace(seed=seed).to_dict()
            kept = {k: v for k, v in config.items() if k != "device"}
            usual = self.defaults(spec.config.method)
            kept["options"] = {k: v for k, v in config["options"].items() if k not in usual or usual[k] != v}
            own = {}
            known = {**self.methods, **self.losses}
            for name in (*spec.config.method.split("+"), spec.config.loss):
                if name in known:
                    if name not in digests:
                        digests[name] = digest_of_own(known[name])
                    own[name] = digests[name]
            settings = {"config": kept, "share": spec.share}
            found.append(keys.key_of(settings, self.fingerprints, self.weights, keys.RUN, own))
        return found

    def defaults(self, method: str) -> dict[str, Any]:
        """What the options of a method are if nobody sets them: one that is set to just that is no change."""
        from rsnb.methods import METHODS

        found, parts = {}, method.split("+")
        for name in parts:
            build = self.methods.get(name) or (METHODS[name].build if name in METHODS else None)
            for p in inspect.signature(build).parameters.values() if build else ():
                if p.default is not inspect.Parameter.empty:
                    found[p.name if len(parts) == 1 else f"{name}.{p.name}"] = p.default
        return found

    def found(self, spec: Spec, seed: int) -> Cell | None:
        """The cell, if it is finished: made with these very settings, data, weights and code."""
        return self.kept(digest(self.key(spec, seed)))

    def kept(self, name: str) -> Cell | None:
        """The finished cell of this hash, if there is one."""
        path = self.place(name)
        return read_cell(path) if path else None

    def place(self, name: str) -> Path | None:
        """The file of the finished cell of this hash, if there is one."""
        files = (folder / f"{name}.json" for folder in (self.folder / "cells", *self.also))
        return next((path for path in files if path.is_file()), None)

    def cell(
        self,
        spec: Spec,
        seed: int,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
        progress: bool = False,
        key: dict[str, Any] | None = None,
        on_model: Callable[[Any], None] | None = None,
    ) -> Cell:
        """The cell: from its file, or trained now, going on where it was stopped.

        Args:
            on_epoch: see :func:`rsnb.train`; the state's ``cell`` is the spec. May raise :class:`Stopped`.
            key: of this spec and seed, where it is known already. on_model: called with a model that was trained now.

        Raises:
            RsnbError: bad settings, or a training that failed; what other cells did is kept.
        """
        key = key or self.key(spec, seed)
        kept = self.kept(digest(key))
        return kept if kept is not None else self._run(spec, seed, key, on_epoch, progress, on_model)

    def _run(self, spec: Spec, seed: int, key: dict[str, Any], on_epoch, progress: bool, on_model) -> Cell:
        import rsnb

        name, config = digest(key), spec.config.replace(seed=seed)
        model = self.adapted(spec, seed)
        train, started = self.train_part(spec, seed), time.perf_counter()
        state, found, steps = self.folder / "state" / name, None, 0
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
            steps = len(found.history) * self.steps(spec)
        seconds = time.perf_counter() - started
        if on_model is not None:
            on_model(model)
        cell = Cell(
            hash=name,
            seed=seed,
            val_mr=round(found.best_val_mr, 4) if found else 0.0,
            trainable=rsnb.count_trainable(model),
            steps=steps,
            seconds=round(seconds, 1),
            key=key,
            stamp=self.stamp,
            date=datetime.date.today().isoformat(),
            best_epoch=found.best_epoch if found else 0,
            history=rounded_history(found.history) if found else [],
            made_by=keys.made_by(),
            **self._retrieves(model),
        )
        write_cell(cell, self.folder / "cells" / f"{name}.json")
        shutil.rmtree(state, ignore_errors=True)
        return cell

    def _retrieves(self, model) -> dict[str, Any]:
        """What a cell keeps of the test part, which is read here and nowhere else."""
        import rsnb
        from rsnb.measures.summary import summary_of

        test = self.parts["test"]
        report = rsnb.evaluate(model, test)
        summary = summary_of(report, test)
        captions = tuple(len(item.captions) for item in test)
        text, image = hits_of_images(summary.hits, captions)  # ties at random
        return {
            "mr": round(mean_recall(text, image, captions), 4),
            "sorted_mr": round(report.mr, 4),
            "text": text,
            "image": image,
            "captions": captions,
            "test": report.to_dict(),
            "honest": summary.to_dict(),
        }

    def adapted(self, spec: Spec, seed: int):
        """A fresh model of the spec's method."""
        import rsnb
        from rsnb.methods import with_own_classes

        method = with_own_classes(spec.config.method, self.methods.values())
        return rsnb.adapt(self.clip(), method, seed=seed, **spec.config.options)

    def train_part(self, spec: Spec, seed: int):
        """The training images that the spec may see: of one seed, a smaller share lies within a larger one."""
        return part_of_training(self.parts["train"], spec.share, seed)

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
    known = dict(zip(todo, lab.keys((cells[name], seed) for name, seed in todo)))
    hashes = {one: digest(key) for one, key in known.items()}
    kept = {key: cell for key in set(hashes.values()) if (cell := lab.kept(key)) is not None}
    spent, built, left = [], set(), Counter(name for name in hashes.values() if name not in kept)
    for name, spec in cells.items():  # a method that cannot be built is found before anything is trained
        kind = repr((spec.config.method, spec.config.options))
        if kind not in built and any(hashes[name, seed] not in kept for seed in range(seeds)):
            try:
                lab.adapted(spec, 0)
                built.add(kind)
            except Exception as error:
                failed[name] = reason(error)
                left -= Counter(hashes[name, seed] for seed in range(seeds))
    for number, (name, seed) in enumerate(todo, start=1):
        if name in failed:
            continue
        started, old = time.perf_counter(), kept.get(hashes[name, seed])
        try:
            cell = old or lab.cell(cells[name], seed, on_epoch, progress, known[name, seed])
        except Stopped:
            raise
        except Exception as error:  # a loss of your own may raise anything
            failed[name] = reason(error)
            left -= Counter(hashes[name, later] for later in range(seed, seeds))
            continue
        if old is None:
            spent.append(time.perf_counter() - started)
            kept[cell.hash] = cell
            left.pop(cell.hash, None)
        done[name].append(cell)
        if on_cell is not None:
            on_cell(name, cell, number, len(todo), len(left) * statistics.fmean(spent) if spent else 0.0)
    return {name: own for name, own in done.items() if own}, failed


def _by_name(own: Sequence[Any], kind: str, head: str) -> dict[str, Any]:
    """Methods or losses of a user's own by the names under which a spec takes them."""
    names = [name_of(one) for one in own]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RsnbError(
            f"two {kind} are called {', '.join(twice)}, and their cells would be taken for one another's; "
            "give one of them another name"
        )
    return {f"{head}{name}": one for name, one in zip(names, own)}
