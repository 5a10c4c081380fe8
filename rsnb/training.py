"""One training loop for every method: best epoch by validation, resumable, safe against a kill at any moment."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from rsnb import losses
from rsnb.adapted import Adapted
from rsnb.base import distributed
from rsnb.base.devices import autocast, pick_device
from rsnb.base.files import replacing, write_json
from rsnb.config import TrainConfig
from rsnb.data import PixelStore
from rsnb.errors import RsnbError
from rsnb.evaluation import evaluate

STATE, DONE = "state.pt", "done.json"


@dataclass
class TrainResult:
    """The history (one dict an epoch) and the best epoch by validation mR."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_val_mr: float = -1.0
    seconds: float = 0.0

    def frame(self):
        """The history as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame(self.history)


def epoch_order(config: TrainConfig, owner: list[int], images: int, epoch: int) -> list[int]:
    """The captions of one epoch, in order: a seeded function of (seed, epoch) alone, so a run can resume.

    pairs="all": every caption once, shuffled. pairs="one": one random caption of each image, shuffled.
    """
    rng = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
    if config.pairs == "all":
        return torch.randperm(len(owner), generator=rng).tolist()
    captions: list[list[int]] = [[] for _ in range(images)]
    for caption, image in enumerate(owner):
        captions[image].append(caption)
    draws = torch.rand(images, generator=rng).tolist()
    chosen = [own[int(draw * len(own))] for own, draw in zip(captions, draws) if own]
    return [chosen[i] for i in torch.randperm(len(chosen), generator=rng).tolist()]


class Views(nn.Module):
    """The embeddings of a batch that the loss needs: image and text (B, D), for HMMC their dropped-out twins too."""

    def __init__(self, model: Adapted, config: TrainConfig):
        super().__init__()
        self.model, self.config = model, config

    def forward(self, pixels: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
        if self.config.loss in ("clip", "triplet"):
            return self.model.encode_image(pixels), self.model.encode_text(tokens)
        image, image_augmented = self.model.encode_twice("image", pixels, self.config.token_dropout)
        text, text_augmented = self.model.encode_twice("text", tokens, self.config.token_dropout)
        return image, text, image_augmented, text_augmented


def loss_of(
    views: Sequence[Tensor], logit_scale: Tensor, config: TrainConfig, own: Callable[..., Tensor] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of what :class:`Views` gave, and its parts. own: a function of your own of the views."""
    if own is not None:
        loss = own(*views)
        return loss, {"cross": loss.detach()}
    if config.loss == "hmmc":
        return losses.hmmc(*views, config.margin, config.weights, config.mining, parts=True)
    if config.loss == "clip":
        loss = losses.clip_loss(*views, logit_scale)
    else:
        loss = losses.triplet(*views, config.margin, config.mining)
    return loss, {"cross": loss.detach()}


def batch_loss(
    model: Adapted, pixels: Tensor, tokens: Tensor, config: TrainConfig
) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
    """The loss of one batch, its parts, and the clean embeddings (B, D) of images and texts."""
    views = Views(model, config)(pixels, tokens)
    loss, parts = loss_of(views, model.clip.logit_scale, config)
    return loss, parts, views[0], views[1]


def train(
    model: Adapted,
    train,
    val,
    config: TrainConfig | None = None,
    out: str | Path | None = None,
    force: bool = False,
    progress: bool = True,
    loss: Callable[..., Tensor] | None = None,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> TrainResult:
    """Train what the method added; afterwards the model holds the epoch with the best validation mR.

    Args:
        model: from :func:`rsnb.adapt`. train, val: data sets; val is never trained on, test is never seen.
        config: ``batch_size`` counts the pairs of all processes together (see :mod:`rsnb.base.distributed`).
        out: a folder for the run's state. A run killed there at any moment and started again with the same
            settings goes on at the last finished epoch and ends with the same weights. A finished run is
            never overwritten unless ``force``.
        loss: a function of your own, for a config whose loss is "own:<its name>": called with the embeddings of the
            batch's images and captions and of their token-dropped twins, ``loss(v, t, v2, t2)``, each (B, D) and
            normalised; returns a scalar, the sum over the batch.
        on_epoch: called after each epoch with its row of the history, when the epoch is saved; what it raises ends
            the training there, to be continued from ``out``.

    Torch's random state is set anew in each epoch, from the seed and the epoch.

    Raises:
        RsnbError: a loss that is not finite (the best epoch so far is kept, in the model and in ``out``); a
            folder that holds another or a finished run.
    """
    config = config or TrainConfig(method=model.method, options=model.options)
    _check(model, config, loss)
    model.to(pick_device(config.device))
    run = _Run(model, config, _key(model, config, train, val), out, force)
    epochs = _Epochs(model, config, train, val, loss)
    started, first = time.perf_counter() - run.result.seconds, len(run.result.history)
    quiet = not progress or distributed.rank() > 0
    bar = tqdm(range(first, config.epochs), initial=first, total=config.epochs, unit="epoch", disable=quiet)
    try:
        for epoch in bar:
            row = epochs.run(epoch, run.optimizer, bar)
            run.add(row, seconds=time.perf_counter() - started)
            bar.set_postfix({"loss": f"{row['loss']:.3f}", "val mR": f"{row['val_mr']:.1f}"})
            if on_epoch is not None:
                on_epoch(row)
    finally:
        bar.close()
        run.restore_best()
        model.eval()
    run.finish()
    return run.result


def _check(model: Adapted, config: TrainConfig, loss: Callable[..., Tensor] | None) -> None:
    """What cannot be trained is said before anything is touched."""
    if (config.method, config.options) != (model.method, model.options):
        raise RsnbError(
            f"the config says method {config.method!r} {config.options}, the model carries {model.method!r} "
            f"{model.options}; make the model with rsnb.adapt(clip, config.method, **config.options)"
        )
    wanted = f"own:{getattr(loss, '__name__', 'loss')}" if loss is not None else None
    if wanted != (config.loss if config.loss.startswith("own:") else None):
        raise RsnbError(f"the config says loss {config.loss!r}, the function given is {wanted!r}; make them agree")
    if not model.trainable():
        raise RsnbError(f"the method {model.method!r} trains nothing; evaluate it with rsnb.evaluate")
    if config.batch_size < 2 * distributed.size():
        raise RsnbError(f"a batch of {config.batch_size} is too small for {distributed.size()} processes")


class _Epochs:
    """Trains and validates one epoch after the other: what all of them share."""

    def __init__(self, model: Adapted, config: TrainConfig, train, val, own_loss: Callable[..., Tensor] | None):
        self.model, self.config, self.train, self.val, self.own_loss = model, config, train, val, own_loss
        self.views = distributed.wrap(Views(model, config))
        self.store, self.val_store = PixelStore(train, model.clip), PixelStore(val, model.clip)
        captions, self.owner = train.captions
        self.tokens = model.clip.tokenizer(captions)

    def run(self, epoch: int, optimizer: torch.optim.Optimizer, bar) -> dict[str, Any]:
        """Train epoch number ``epoch`` (from 0) and validate. Returns its row of the history."""
        config, started = self.config, time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = config.lr * config.lr_decay ** (epoch // config.lr_step)
        # dropout of this epoch, whatever came before; another one in each process
        torch.manual_seed(config.seed * 100_003 + epoch + 10_000_019 * distributed.rank())
        order = epoch_order(config, self.owner, len(self.train), epoch)
        row = self._steps(epoch, order, optimizer, bar)
        mr, recalls = distributed.from_first(lambda: _validate(self.model, self.val, self.val_store, config))
        row |= {"val_mr": mr, "lr": optimizer.param_groups[0]["lr"]}
        row |= {f"val_{name}": value for name, value in recalls.items()}
        return {**row, "seconds": time.perf_counter() - started}

    def _steps(self, epoch: int, order: list[int], optimizer: torch.optim.Optimizer, bar) -> dict[str, float]:
        """The training steps of one epoch. Returns means per pair: loss, its parts, cosines within a modality."""
        model, config, device = self.model, self.config, self.model.device
        model.train()
        sums: dict[str, Tensor] = {}
        pairs = 0
        for start in range(0, len(order), config.batch_size):
            chosen, own = distributed.share(order[start : start + config.batch_size])
            if len(chosen) < 2:
                continue  # one pair alone has no negative
            pixels, words = self.store.batch([self.owner[c] for c in own], device), self.tokens[own]
            if device.type == "cuda":
                words = words.pin_memory()
            with autocast(device, config.precision):
                found = [distributed.gather(x) for x in self.views(pixels, words)]
                loss, parts = loss_of(found, model.clip.logit_scale, config, self.own_loss)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for name, value in _logged(found, loss, parts, config).items():
                sums[name] = sums.get(name, 0.0) + value
            pairs += len(chosen)
            if device.type == "cpu" and not math.isfinite(loss.item()):  # elsewhere once an epoch: no sync a step
                break
            optimizer.step()
            bar.set_postfix_str(f"step {start // config.batch_size + 1}", refresh=False)
        row = {"epoch": epoch + 1, **{name: float(value) / max(pairs, 1) for name, value in sums.items()}}
        if not math.isfinite(row["loss"]):
            raise RsnbError(
                f"the loss became {row['loss']} in epoch {epoch + 1}; the best epoch so far is kept. "
                f"Lower the learning rate ({config.lr:g}) or take precision='fp32'"
            )
        return row


@torch.no_grad()
def _logged(found: list[Tensor], loss: Tensor, parts: dict[str, Tensor], config: TrainConfig) -> dict[str, Tensor]:
    """What the history keeps of a step, as sums over its pairs."""
    pairs = len(found[0])
    scale = pairs if config.loss == "clip" else 1  # the hinges are sums already
    logged = {"loss": loss.detach() * scale, **{f"loss_{k}": v * scale for k, v in parts.items()}}
    logged["intra_image_cos"] = _mean_cosine(found[0]) * pairs
    logged["intra_text_cos"] = _mean_cosine(found[1]) * pairs
    return logged


def _validate(model: Adapted, val, store: PixelStore, config: TrainConfig) -> tuple[float, dict[str, float]]:
    """mR and the six recalls."""
    report = evaluate(model, val, store=store, precision=config.precision)
    return report.mr, report.recalls


def _mean_cosine(x: Tensor) -> Tensor:
    """Mean cosine between different rows of normalised embeddings (B, D)."""
    n = len(x)
    return (x.detach().sum(dim=0).square().sum() - n) / (n * (n - 1))


def _key(model: Adapted, config: TrainConfig, train, val) -> dict[str, Any]:
    """All that decides a run's outcome: settings, weights and data."""
    return {
        "config": config.to_dict(),
        "backbone": model.original[0].fingerprint(),
        "train": train.fingerprint(),
        "val": val.fingerprint(),
    }


class _Run:
    """The state of a run, in memory and, where ``out`` is given, in one file that is replaced atomically."""

    def __init__(self, model: Adapted, config: TrainConfig, key: dict, out: str | Path | None, force: bool):
        self.model, self.key = model, key
        self.out = Path(out) if out is not None and distributed.rank() == 0 else None  # the first process writes
        self.result = TrainResult()
        self.best = self._copy()  # epoch 0, till there is better
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        self.optimizer = kind(model.trainable().values(), lr=config.lr, weight_decay=config.weight_decay)
        self.take(distributed.from_first(lambda: self.found(force)))

    def found(self, force: bool) -> dict | None:
        """The state that lies in ``out``; None at the beginning."""
        if self.out is None:
            return None
        self.out.mkdir(parents=True, exist_ok=True)
        if force:
            for name in (STATE, DONE):
                (self.out / name).unlink(missing_ok=True)
        if (self.out / DONE).exists():
            raise RsnbError(f"{self.out} holds a finished run; take another folder, or force=True (--force) to redo it")
        return self.read() if (self.out / STATE).exists() else None

    def read(self) -> dict:
        path = self.out / STATE
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise RsnbError(f"{path} cannot be read ({error}); delete it or use force=True to start anew") from error
        if json.loads(state["key"]) != self.key:
            old, new = json.loads(state["key"]), self.key
            differs = [k for k in new if old.get(k) != new[k] and k != "config"]
            differs += [k for k in new["config"] if old["config"].get(k) != new["config"][k]]
            raise RsnbError(
                f"{self.out} holds an unfinished run with other settings ({', '.join(differs)} differ); "
                "take another folder, or force=True (--force) to start anew"
            )
        if set(state["weights"]) != set(self.model.state()):
            raise RsnbError(f"{path} was written by another version of rsnb; use force=True (--force) to start anew")
        return state

    def take(self, state: dict | None) -> None:
        """Go on from a state."""
        if state is None:
            return
        self.result = TrainResult(**json.loads(state["result"]))
        self.best = {name: value.to(self.model.device) for name, value in state["best"].items()}
        self._put(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])

    def add(self, row: dict[str, Any], seconds: float) -> None:
        """One more epoch: into the history, as the best one if it is, and onto the disk."""
        result = self.result
        result.history.append(row)
        if row["val_mr"] > result.best_val_mr:
            result.best_val_mr, result.best_epoch = row["val_mr"], row["epoch"]
            self.best = self._copy()
        result.seconds = seconds
        self.save()

    def save(self) -> None:
        if self.out is None:
            return
        state = {
            "key": json.dumps(self.key),
            "result": json.dumps(vars(self.result)),
            "weights": {name: x.detach().cpu() for name, x in self.model.state().items()},
            "best": {name: value.cpu() for name, value in self.best.items()},
            "optimizer": self.optimizer.state_dict(),
        }
        with replacing(self.out / STATE) as scratch:
            torch.save(state, scratch)

    def restore_best(self) -> None:
        self._put(self.best)

    def _copy(self) -> dict[str, Tensor]:
        return {name: x.detach().clone() for name, x in self.model.state().items()}

    @torch.no_grad()  # counted as a change of the weights, unlike writing through .data
    def _put(self, kept: dict[str, Tensor]) -> None:
        for name, x in self.model.state().items():
            x.copy_(kept[name])

    def finish(self) -> None:
        if self.out is not None:
            done = {"key": self.key, **vars(self.result)}
            write_json(self.out / DONE, done)
