"""One training loop for every method: best epoch by validation, resumable, safe against a kill at any moment."""

from __future__ import annotations

import contextlib
import math
import numbers
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rsnb.adapted import Adapted
from rsnb.base import bars, distributed
from rsnb.base.callables import name_of
from rsnb.base.devices import autocast, pick_device
from rsnb.base.locks import only
from rsnb.base.own import digest_of_own
from rsnb.base.run_state import RunState, TrainResult
from rsnb.config import TrainConfig
from rsnb.data.batches import VIEWS, Batch, Pairs, checked_batches, epoch_order, seed_of
from rsnb.data.kept import LARGEST
from rsnb.data.objective import Objective, built_in_views
from rsnb.errors import RsnbError
from rsnb.evaluation import Inputs, Report, evaluate
from rsnb.fast import Begun
from rsnb.surgery import TOWERS


class Views(nn.Module):
    """The embeddings of a batch, (B, D) each, in the order of ``names``, in one pass: image and text, and the others
    that the loss reads. A tower of which it reads nothing is only logged, and gets no gradient."""

    def __init__(self, model: Adapted, config: TrainConfig, reads: Sequence[str] | None = None):
        super().__init__()
        self.model, self.rate = model, config.token_dropout
        self.reads = built_in_views(config.loss) if reads is None else tuple(reads)
        self.names = tuple(view for view in VIEWS if view in (*VIEWS[:2], *self.reads))

    def forward(self, images: Tensor | Begun, texts: Tensor | Begun) -> tuple[Tensor, ...]:
        found = {}
        for tower, x in (("image", images), ("text", texts)):
            read = {tower, f"{tower}2"} & set(self.reads)
            with torch.set_grad_enabled(torch.is_grad_enabled() and bool(read)):
                if f"{tower}2" in read:
                    found[tower], found[f"{tower}2"] = self.model.encode_twice(tower, x, self.rate)
                else:
                    found[tower] = self.model.encode_image(x) if tower == "image" else self.model.encode_text(x)
        return tuple(found[name] for name in self.names)


def batch_loss(
    model: Adapted, pixels: Tensor, tokens: Tensor, config: TrainConfig
) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
    """A built-in loss of one batch, its parts, and the clean embeddings (B, D) of images and texts."""
    of = Views(model, config)
    views = dict(zip(of.names, of(pixels, tokens)))
    loss, parts = Objective(config)(Batch(views, model.clip.logit_scale))
    return loss, parts, views["image"], views["text"]


class EpochState(dict):
    """What ``on_epoch`` is given: the epoch's row of the history (it is that dict), and what there is beside it.

    ``history``: all rows so far, this one last. ``report``: the :class:`~rsnb.evaluation.Report` on val. ``model``: as
    it is after this epoch. ``seed``: of the run. ``cell``: in the lab, the spec of the cell.
    """

    def __init__(self, row: dict[str, Any], history: list[dict[str, Any]], report: Report, model: Adapted, seed: int):
        super().__init__(row)
        self.row, self.history, self.report, self.model, self.seed = row, history, report, model, seed
        self.cell: Any = None
        self.stopped = False

    def of_cell(self, cell: Any) -> EpochState:
        """The same, with the cell of the lab that is trained."""
        self.cell = cell
        return self

    def stop(self) -> None:
        """End the training with this epoch, as finished; returning "stop" does the same."""
        self.stopped = True


@dataclass(frozen=True)
class Doors:
    """What a user hands in to a run; see :func:`train`."""

    loss: Any = None
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None
    batches: Callable[[Any, int], Any] | None = None
    optimizer: Callable[[Adapted], Any] | None = None
    score: Callable[[Report, Any], float] | None = None

    def digests(self) -> dict[str, str]:
        """What the key of a run holds of each that is given."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {f"own {name}": digest_of_own(own) for name, own in given.items() if own is not None}


def train(
    model: Adapted,
    train,
    val,
    config: TrainConfig | None = None,
    out: str | Path | None = None,
    force: bool = False,
    progress: bool = True,
    loss: Any = None,
    on_epoch: Callable[[EpochState], Any] | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    batches: Callable[[Any, int], Any] | None = None,
    optimizer: Callable[[Adapted], Any] | None = None,
    score: Callable[[Report, Any], float] | None = None,
    keep_bytes: int = LARGEST,
    take_finished: bool = False,
) -> TrainResult:
    """Train what the method added; afterwards the model holds the best epoch: that of the largest validation mR.

    Args:
        model: from :func:`rsnb.adapt`. train, val: data sets; val is never trained on, test is never seen.
        config: ``batch_size`` counts the pairs of all processes together (see :mod:`rsnb.base.distributed`).
        out: a folder for the run's state. A run killed there at any moment and started again with the same settings
            goes on at the last finished epoch and ends with the same weights. A finished run is never overwritten
            unless ``force``.
        loss: your own, for a config whose loss is "own:<its name>": a function of a :class:`~rsnb.data.batches.Batch`
            or of (v, t, v2, t2) that gives a scalar, the sum over the batch, or a scalar and a dict of its terms; a
            module with such a forward, whose parameters train too; or the class of one.
        on_epoch: called after each epoch, when it is saved, in the first process, with an :class:`EpochState`; "stop"
            as answer ends the run as finished, and what it raises ends it to be continued from ``out``.
        augment: augment(pixels (B, 3, S, S), generator) gives pixels, in training alone (:mod:`rsnb.data.augment`).
        batches: batches(train, epoch from 1) gives the batches of an epoch, lists of numbers of ``train.captions``.
        optimizer: optimizer(model) gives an optimizer, or an optimizer and a schedule that steps with it; the config's
            lr, lr_decay and weight_decay then rest. Its ``eval()`` and ``train()``, if any, frame each validation.
        score: score(report, val) gives the number that is largest in the best epoch.
        keep_bytes: what blocks that the method leaves alone make of an input is the same at every step, where neither
            augmentation nor token dropout acts on it. It is computed once and kept, for each tower and data set that
            needs no more bytes than this (1 GiB); 0 keeps nothing: the same numbers, with more work.
        take_finished: a finished run of the same settings in ``out`` is taken as it is: the model gets its best epoch.

    Torch's random state is set anew in each epoch, from the seed and the epoch.

    Raises:
        RsnbError: a loss that is not finite (the best epoch so far is kept, in the model and in ``out``); a folder with
            another or a finished run; a function of yours that gives what it should not.
    """
    config = config or TrainConfig(method=model.method, options=model.options)
    own = Doors(loss, augment, batches, optimizer, score)
    _check(model, config, own)
    pairs = len(train) if config.pairs == "one" else len(train.captions[0])
    if pairs < 2 * distributed.size() or not len(val):
        raise RsnbError(
            f"there are {pairs} pairs to train on and {len(val)} images to validate on; a loss compares at least "
            f"{2 * distributed.size()} pairs, and the best epoch needs at least one image"
        )
    model.to(pick_device(config.device))
    epochs = _Epochs(model, config, train, val, own, keep_bytes)
    key = _key(model, config, train, val, own if out else Doors())
    first = out is not None and distributed.rank() == 0
    with only(Path(out) / "lock", "a training") if first else contextlib.nullcontext():
        run = RunState(model, epochs.parts, key, out, force, take_finished)
        try:
            if not run.finished:
                _loop(epochs, run, on_epoch, quiet=not progress or distributed.rank() > 0)
        finally:
            run.restore_best()
            model.eval()
        run.finish()
    return run.result


def _loop(epochs: _Epochs, run: RunState, on_epoch: Callable[[EpochState], Any] | None, quiet: bool) -> None:
    """The epochs that are left, until ``on_epoch`` says stop."""
    config, history = epochs.config, run.result.history
    started, first = time.perf_counter() - run.result.seconds, len(history)
    with bars.bar(initial=first, total=config.epochs, hidden=quiet, bar_format=bars.EPOCHS) as bar:
        for epoch in range(first, config.epochs):
            row = epochs.run(epoch, bar)
            run.add(row, seconds=time.perf_counter() - started)
            bar.n = epoch + 1
            bar.set_postfix({"loss": f"{row['loss']:.3f}", "val mR": f"{row['val_mr']:.1f}"})
            if on_epoch is None:
                continue
            state = EpochState(row, history, epochs.report, epochs.model, config.seed)
            if distributed.from_first(lambda state=state: on_epoch(state) == "stop" or state.stopped):
                break


def _check(model: Adapted, config: TrainConfig, own: Doors) -> None:
    """What cannot be trained is said before anything is touched."""
    for name, given in vars(own).items():
        if given is not None and not callable(given):
            raise RsnbError(f"{name} is {given!r}; it must be a function")
    if (config.method, config.options) != (model.method, model.options):
        raise RsnbError(
            f"the config says method {config.method!r} {config.options}, the model carries {model.method!r} "
            f"{model.options}; make the model with rsnb.adapt(clip, config.method, **config.options)"
        )
    wanted = f"own:{name_of(own.loss)}" if own.loss is not None else None
    if wanted != (config.loss if config.loss.startswith("own:") else None):
        raise RsnbError(f"the config says loss {config.loss!r}, the function given is {wanted!r}; make them agree")
    if not model.trainable():
        raise RsnbError(f"the method {model.method!r} trains nothing; evaluate it with rsnb.evaluate")
    if config.batch_size < 2 * distributed.size():
        raise RsnbError(f"a batch of {config.batch_size} is too small for {distributed.size()} processes")


def _optimizers(model: Adapted, config: TrainConfig, objective: Objective, own: Any) -> dict[str, Any]:
    """What moves the weights, by the name under which its state is saved; and the loss, if it has parameters.

    Raises:
        RsnbError: an optimizer of your own that leaves out parameters that train, or holds others.
    """
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    if own is None:
        parts = {"optimizer": kind(model.trainable().values(), lr=config.lr, weight_decay=config.weight_decay)}
    else:
        made = own(model)
        made = made if isinstance(made, tuple) else (made,)
        if len(made) > 2 or not isinstance(made[0], torch.optim.Optimizer) or not hasattr(made[-1], "state_dict"):
            said = ", ".join(type(part).__name__ for part in made)
            raise RsnbError(f"optimizer gave {said}; it must give a torch optimizer, or one and a schedule")
        parts = dict(zip(("optimizer", "scheduler"), made))
        held = {id(p) for group in made[0].param_groups for p in group["params"]}
        lacking = [name for name, p in model.trainable().items() if id(p) not in held]
        if lacking or len(held) > len(model.trainable()):
            others = len(held) + len(lacking) - len(model.trainable())
            raise RsnbError(
                f"the optimizer must hold what trains, all of model.trainable() and nothing else; it leaves out "
                f"{', '.join(lacking[:3]) or 'nothing'} and holds {others} others"
            )
    if objective.module is not None:
        parts["loss"] = objective.module
        train = [p for p in objective.module.parameters() if p.requires_grad]
        if train:
            parts["loss_optimizer"] = kind(
                train, lr=config.lr if config.loss_lr is None else config.loss_lr, weight_decay=0.0
            )
    return parts


class _Epochs:
    """Trains and validates one epoch after the other: what all of them share."""

    def __init__(self, model: Adapted, config: TrainConfig, train, val, own: Doors, keep_bytes: int):
        self.model, self.config, self.train, self.val, self.own = model, config, train, val, own
        self.pairs = Pairs(train)
        self.objective = Objective(config, own.loss, model.device)
        self.objective.ask(model, self.pairs, config)
        same = {"image": own.augment is None and "image2" not in self.objective.reads}  # at every step
        same["text"] = "text2" not in self.objective.reads
        self.inputs = Inputs(model, train, keep=[tower for tower in TOWERS if same[tower]], keep_bytes=keep_bytes)
        self.val_inputs = Inputs(model, val, keep=TOWERS, keep_bytes=keep_bytes)
        views = Views(model, config, self.objective.reads)
        self.names, self.views = views.names, distributed.wrap(views, steady=own.loss is None)
        self.parts = _optimizers(model, config, self.objective, own.optimizer)
        self.rates = {} if own.optimizer else {"optimizer": config.lr}
        if "loss_optimizer" in self.parts:
            self.rates["loss_optimizer"] = self.parts["loss_optimizer"].param_groups[0]["lr"]
        self.report: Report | None = None  # of the last validation, in the first process

    def run(self, epoch: int, bar) -> dict[str, Any]:
        """Train epoch number ``epoch`` (from 0) and validate. Returns its row of the history."""
        config, started, optimizer = self.config, time.perf_counter(), self.parts["optimizer"]
        for name, rate in self.rates.items():
            for group in self.parts[name].param_groups:
                group["lr"] = rate * config.lr_decay ** (epoch // config.lr_step)
        batches = self._batches(epoch)
        # dropout of this epoch, whatever came before; another one in each process
        torch.manual_seed(seed_of(config.seed, epoch, distributed.rank()))
        getattr(optimizer, "train", lambda: None)()
        row = self._steps(epoch, batches, bar)
        getattr(optimizer, "eval", lambda: None)()
        mr, recalls, score = distributed.from_first(self._validated)
        row |= {"val_mr": mr, "lr": optimizer.param_groups[0]["lr"]}
        row |= {f"val_{name}": value for name, value in recalls.items()}
        if score is not None:
            row["val_score"] = score
        if self.objective.module is not None:
            learned = self.objective.module.named_parameters()
            row |= {f"loss.{name}": p.item() for name, p in learned if p.numel() == 1}
        return {**row, "seconds": time.perf_counter() - started}

    def _validated(self) -> tuple[float, dict[str, float], float | None]:
        """mR, the six recalls, and the score of your own."""
        self.report = evaluate(self.model, self.val, precision=self.config.precision, inputs=self.val_inputs)
        if self.own.score is None:
            return self.report.mr, self.report.recalls, None
        score = self.own.score(self.report, self.val)
        score = score.item() if isinstance(score, Tensor) and score.numel() == 1 else score
        if isinstance(score, bool) or not isinstance(score, numbers.Real) or not math.isfinite(score):
            raise RsnbError(f"score gave {score!r}; it must give a finite number")
        return self.report.mr, self.report.recalls, float(score)

    def _batches(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, as numbers of pairs; a sampler of your own draws from the seed and the epoch."""
        config = self.config
        if self.own.batches is None:
            order = epoch_order(config, self.pairs.owner, len(self.train), epoch)
            return [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]

        def draw() -> list[list[int]]:
            torch.manual_seed(seed_of(config.seed, epoch, stream=1))
            return checked_batches(self.own.batches(self.train, epoch + 1), len(self.pairs), 2 * distributed.size())

        return distributed.from_first(draw)

    def _steps(self, epoch: int, batches: list[list[int]], bar) -> dict[str, float]:
        """The training steps of one epoch. Returns means per pair: loss, its parts, cosines within a modality."""
        model, device = self.model, self.model.device
        model.train()
        generator = torch.Generator().manual_seed(seed_of(self.config.seed, epoch, distributed.rank(), stream=2))
        sums: dict[str, Tensor] = {}
        pairs = 0
        for batch in batches:
            chosen, own = distributed.share(batch)
            if len(chosen) < 2:
                continue  # one pair alone has no negative
            with autocast(device, self.config.precision):
                images = self.inputs.images([self.pairs.owner[c] for c in own])
                texts = self.inputs.texts([self.inputs.place[c] for c in own])
            if self.own.augment is not None:
                images = _augmented(self.own.augment, images, generator)
            with autocast(device, self.config.precision):
                found = [distributed.gather(x) for x in self.views(images, texts)]
                views = dict(zip(self.names, found))
                batch = Batch(views, model.clip.logit_scale, self.pairs, chosen, epoch + 1)
                loss, parts = self.objective(batch)
            self._backward(loss)
            for name, value in _logged(found, loss, parts, self.objective.sums).items():
                sums[name] = sums.get(name, 0.0) + value
            pairs += len(chosen)
            if device.type == "cpu" and not math.isfinite(loss.item()):  # elsewhere once an epoch: no sync a step
                break
            for name in ("optimizer", "loss_optimizer", "scheduler"):
                if name in self.parts:
                    self.parts[name].step()
            bar.update(1 / len(batches))
        row = {"epoch": epoch + 1, **{name: float(value) / max(pairs, 1) for name, value in sums.items()}}
        if not math.isfinite(row["loss"]):
            raise RsnbError(
                f"the loss became {row['loss']} in epoch {epoch + 1}; the best epoch so far is kept. "
                f"Lower the learning rate ({self.config.lr:g}) or take precision='fp32'"
            )
        return row

    def _backward(self, loss: Tensor) -> None:
        for name in ("optimizer", "loss_optimizer"):
            if name in self.parts:
                self.parts[name].zero_grad(set_to_none=True)
        if not loss.requires_grad:
            raise RsnbError(
                f"the loss {self.objective.name} does not depend on the embeddings: nothing can learn from it"
            )
        loss.backward()


def _augmented(
    augment: Callable[[Tensor, torch.Generator], Tensor], pixels: Tensor, generator: torch.Generator
) -> Tensor:
    """The pixels that an augmentation of your own makes."""
    found = augment(pixels, generator)
    if not isinstance(found, Tensor) or (found.shape, found.dtype) != (pixels.shape, pixels.dtype):
        said = f"{tuple(found.shape)}, {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
        raise RsnbError(
            f"augment gave {said}; it must give pixels as it got them, {tuple(pixels.shape)}, {pixels.dtype}"
        )
    return found


@torch.no_grad()
def _logged(found: list[Tensor], loss: Tensor, parts: dict[str, Tensor], sums: bool) -> dict[str, Tensor]:
    """What the history keeps of a step, as sums over its pairs; ``sums``: whether the loss is one."""
    pairs = len(found[0])
    scale = 1 if sums else pairs
    logged = {"loss": loss.detach() * scale, **{f"loss_{k}": v * scale for k, v in parts.items()}}
    logged["intra_image_cos"] = _mean_cosine(found[0]) * pairs
    logged["intra_text_cos"] = _mean_cosine(found[1]) * pairs
    return logged


def _mean_cosine(x: Tensor) -> Tensor:
    """Mean cosine between different rows of normalised embeddings (B, D)."""
    n = len(x)
    return (x.detach().sum(dim=0).square().sum() - n) / (n * (n - 1))


def _key(model: Adapted, config: TrainConfig, train, val, own: Doors) -> dict[str, Any]:
    """All that decides a run's outcome: settings, weights, data, and what the user handed in."""
    return {
        "config": config.to_dict(),
        "backbone": model.original[0].fingerprint(),
        "train": train.fingerprint(),
        "val": val.fingerprint(),
        **own.digests(),
    }
