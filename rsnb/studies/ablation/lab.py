"""The ablation lab: any field of a run is an axis, every cell is kept, nothing is run twice.

A :class:`Spec` says what one cell is. ``vary`` changes one field of it by name; a :class:`Lab` trains cells on one
data set and one backbone, and keeps each under a hash of settings, data, weights and code, so that a grid that was
interrupted or widened runs only what is missing. A method of your own is a class, a loss of your own a function;
both are passed in and enter the hash with all that they refer to (see :mod:`rsnb.base.own`).
"""

from __future__ import annotations

import copy
import datetime
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.callables import name_of
from rsnb.base.fields import checked
from rsnb.base.locks import alone
from rsnb.base.own import digest_of_own, digests_known
from rsnb.base.sources import digest
from rsnb.config import LATER
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.settings import backbone_stamp
from rsnb.studies import keys
from rsnb.studies.ablation.cell import Cell, read_cell, write_cell
from rsnb.studies.ablation.counting import (
    batches_of,
    hits_by_image,
    hits_of_images,
    intra_modal,
    mean_recall,
    part_of_training,
    rounded_history,
)
from rsnb.studies.ablation.objects import SPLITS, checked_parts, copy_of, readers_of
from rsnb.studies.ablation.running import Stopped, run_cells
from rsnb.studies.ablation.spec import Spec, usual_options

__all__ = ["Lab", "Stopped", "run_cells"]


class Lab:
    """Trains and keeps cells on one data set and backbone.

    Args:
        data, root, limit: as :func:`rsnb.load_dataset` takes them; or three data sets, {"train": ..., "val": ...,
            "test": ...}, and no root.
        backbone, pretrained: as :func:`rsnb.load_clip` takes them; or a CLIP, of which the lab takes a copy.
        folder: where finished cells (``cells/<hash>.json``, and ``.safetensors`` with what was trained) and unfinished
            runs (``state/``) are kept.
        also: further folders with finished cells, read only (the committed ones by default).
        methods, losses: your own: classes that extend ``rsnb.surgery.Method``, and losses as :func:`rsnb.train` takes
            them, of which each cell trains a copy. Take them with ``vary(spec, "method", "<class>")`` and
            ``vary(spec, "loss.name", "own:<function>")``; an argument of the loss is then an axis, ``loss.<argument>``.
        reading: what else :func:`rsnb.load_dataset` takes: layout, bands, scale, skip_bad.
    """

    def __init__(
        self,
        data: Any = "toy",
        root: str | Path | None = None,
        backbone: Any = "mini",
        pretrained: str | None = None,
        folder: str | Path = "outputs/ablate",
        also: Iterable[Path] | None = None,
        limit: int | None = None,
        methods: Sequence[type] = (),
        losses: Sequence[Callable] = (),
        **reading: Any,
    ) -> None:
        import rsnb

        if limit is not None and checked("limit", limit) < 2:
            raise RsnbError(f"limit is {limit}; a batch needs at least 2 images")
        self.own_clip = None if isinstance(backbone, str) else copy_of(backbone, pretrained)
        self.backbone, self.pretrained = backbone, pretrained
        if pretrained is not None and paths.user_path(pretrained).is_file():  # whatever folder a worker starts in
            self.pretrained = str(paths.user_path(pretrained).resolve())
        if self.own_clip is not None:
            self.backbone, self.pretrained = backbone.name, backbone.pretrained
        self.folder, self.limit = Path(folder), limit
        self.also = [paths.results_dir() / "ablations"] if also is None else [Path(p) for p in also]
        self.methods = _by_name(methods, "methods", "")
        self.losses = _by_name(losses, "losses", "own:")
        taken = sorted(set(self.methods) & set(rsnb.METHODS))
        if taken:
            raise RsnbError(f"the name {', '.join(taken)} is taken by a method of rsnb; choose another")
        if isinstance(data, Mapping):
            self.parts = {split: part.limited(limit) for split, part in checked_parts(data, root).items()}
        else:
            self.parts = {split: rsnb.load_dataset(data, split, root=root, limit=limit, **reading) for split in SPLITS}
        self.fingerprints = {split: part.fingerprint() for split, part in self.parts.items()}

    @cached_property
    def weights(self) -> str:
        """The fingerprint of the backbone."""
        return self.clip().fingerprint()

    @cached_property
    def start_val_mr(self) -> float:
        """Validation mR of the backbone with nothing trained."""
        import rsnb

        return round(rsnb.evaluate(rsnb.adapt(self.clip(), "zero_shot"), self.parts["val"]).mr, 4)

    def clip(self):
        """A fresh copy of the backbone."""
        import rsnb

        if self.own_clip is not None:
            return copy.deepcopy(self.own_clip)
        return rsnb.load_clip(self.backbone, self.pretrained)

    @property
    def stamp(self) -> str:
        few = f" · at most {self.limit} images a split" if self.limit else ""
        own = self.own_clip
        clip = backbone_stamp(self.backbone, self.pretrained) if own is None else own.stamp
        return f"{self.parts['test'].stamp} · {clip}{few}"

    @cached_property
    def readers(self) -> dict[str, str]:
        """Digests of what reads the pictures and words of a CLIP that was given, if its name alone does not say it."""
        return {} if self.own_clip is None else readers_of(self.own_clip)

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
            own = dict(self.readers)
            known = {**self.methods, **self.losses}
            for name in (*spec.config.method.split("+"), spec.config.loss):
                if name in known:
                    if name not in digests:
                        digests[name] = digest_of_own(known[name])
                    own[name] = digests[name]
            found.append(keys.key_of(spec.settings(kept), self.fingerprints, self.weights, keys.RUN, own))
        return found

    def defaults(self, method: str) -> dict[str, Any]:
        """What the options of a method are if nobody sets them: one that is set to just that is no change."""
        return usual_options(method, self.methods)

    def found(self, spec: Spec, seed: int) -> Cell | None:
        """The cell, if it is finished: made with these very settings, data, weights and code."""
        return self.kept(digest(self.key(spec, seed)))

    def kept(self, name: str) -> Cell | None:
        """The finished cell of this hash, if there is one."""
        path = self.place(name)
        return replace(read_cell(path), lab=self) if path else None

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
        """The cell: from its file, or trained now, going on where it was stopped. Where another process is at it, this
        one waits and takes what it made.

        Args:
            on_epoch: see :func:`rsnb.train`; the state's ``cell`` is the spec. May raise :class:`Stopped`. A cell whose
                run it ends as finished is kept, but not found in the place of the whole run.
            key: of this spec and seed, where it is known already. on_model: called with a model that was trained now.

        Raises:
            RsnbError: bad settings, or a training that failed; what other cells did is kept.
        """
        key = key or self.key(spec, seed)
        name = digest(key)
        kept = self.kept(name)
        if kept is not None:
            return kept
        with alone(self.lock(name)):
            return self.kept(name) or self._run(spec, seed, key, on_epoch, progress, on_model)

    def lock(self, name: str) -> Path:
        """What is held while the cell of this hash is trained."""
        return self.folder / "state" / f"{name}.lock"

    def _run(self, spec: Spec, seed: int, key: dict[str, Any], on_epoch, progress: bool, on_model) -> Cell:
        import rsnb

        loss, state = copy.deepcopy(self.losses.get(spec.config.loss)), self.folder / "state" / digest(key)
        things = {**self.methods, spec.config.loss: loss}
        own = key.get("own", {})
        with digests_known((thing, own[name]) for name, thing in things.items() if name in own):
            model = self.adapted(spec, seed)
            made = self._trained(model, spec, seed, state, loss, on_epoch, progress)
            if made["history"] and len(made["history"]) < spec.config.epochs:  # the key does not know what said stop
                key = {**key, "stopped after": len(made["history"])}
            if on_model is not None:
                on_model(model)
            cell = Cell(
                hash=digest(key),
                seed=seed,
                trainable=rsnb.count_trainable(model),
                key=key,
                stamp=self.stamp,
                date=datetime.date.today().isoformat(),
                made_by=keys.made_by(),
                path=self.folder / "cells" / f"{digest(key)}.json",
                lab=self,
                **made,
                **self._retrieves(model),
            )
            try:
                rsnb.save_adapter(model, cell.path.with_suffix(".safetensors"))
            except RsnbError as error:  # such as infinite numbers in a mask: the cell has its results all the same
                warnings.warn(f"what was trained is not kept: {error}", RsnbWarning, stacklevel=3)
        write_cell(cell, cell.path)
        shutil.rmtree(state, ignore_errors=True)
        return cell

    def _trained(self, model, spec: Spec, seed: int, state: Path, loss, on_epoch, progress: bool) -> dict[str, Any]:
        """Train the model. Returns what a cell keeps of that."""
        import rsnb

        train, started = self.train_part(spec, seed), time.perf_counter()
        found = None
        if model.trainable():
            found = rsnb.train(
                model,
                train,
                self.parts["val"],
                spec.config.replace(seed=seed),
                out=state,
                take_finished=True,  # stopped between training and result
                progress=progress,
                loss=loss,
                batches=batches_of(spec, seed),
                on_epoch=on_epoch and (lambda state: on_epoch(state.of_cell(spec))),
            )
        return {
            "val_mr": round(found.best_val_mr, 4) if found else 0.0,
            "steps": len(found.history) * self.steps(spec) if found else 0,
            "seconds": round(time.perf_counter() - started, 1),
            "best_epoch": found.best_epoch if found else 0,
            "history": rounded_history(found.history) if found else [],
        }

    def _retrieves(self, model) -> dict[str, Any]:
        """What a cell keeps of the validation part, and of the test part, which is read here and nowhere else."""
        import rsnb
        from rsnb.measures.summary import summary_of

        val, test = self.parts["val"], self.parts["test"]
        val_report, val_captions = rsnb.evaluate(model, val), tuple(len(item.captions) for item in val)
        val_text, val_image = hits_by_image(val_report, val_captions)
        report = rsnb.evaluate(model, test)
        summary = summary_of(report, test, tokenizer=model.clip.tokenizer)
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
            "val": val_report.to_dict(),
            "val_text": val_text,
            "val_image": val_image,
            "val_captions": val_captions,
            "start_val_mr": self.start_val_mr,
            "cosines": intra_modal(val_report),
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
        whole, rest = divmod(pairs if spec.twins is None else images, spec.config.batch_size)
        return whole + (rest > 1 and spec.twins is None)

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
