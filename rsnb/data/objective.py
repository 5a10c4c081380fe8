"""The loss of a run: a function of a batch, built in or a user's own, and the views of the batch that it reads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from rsnb import losses
from rsnb.base import distributed
from rsnb.base.callables import arguments_of, name_of
from rsnb.config import TrainConfig
from rsnb.data.batches import VIEWS, Batch, Pairs
from rsnb.errors import RsnbError

#: name in a config -> the loss as a function of a batch and of the settings that it takes, which gives a scalar, or a
#: scalar and its terms by name. Each is a sum over the batch, but CLIP's is a mean
LOSSES: dict[str, Callable[..., Tensor | tuple[Tensor, dict[str, Tensor]]]] = {
    "hmmc": lambda batch, *, margin, weights, mining: losses.hmmc(
        batch.image, batch.text, batch.image2, batch.text2, margin, weights, mining, parts=True
    ),
    "clip": lambda batch: losses.clip_loss(batch.image, batch.text, batch.logit_scale),
    "triplet": lambda batch, *, margin, mining: losses.triplet(batch.image, batch.text, margin, mining),
}


class Objective:
    """The loss of a run as a function of a :class:`~rsnb.data.batches.Batch`: a built-in one, or one of your own.

    ``reads``: the views that it needs, image and text always. ``module``: where it has parameters, the module.
    """

    def __init__(self, config: TrainConfig, own: Any = None, device: torch.device | None = None):
        self.name, self.module, self.reads = name_of(own) if own is not None else config.loss, None, VIEWS
        self.sums = own is not None or config.loss != "clip"  # over the batch; CLIP's loss is a mean
        if own is None:
            loss, names = LOSSES[config.loss], arguments_of(LOSSES[config.loss], skip=1)[1]
            options = {name: getattr(config, name) for name in names}
        elif isinstance(own, type) and issubclass(own, nn.Module):
            self._check_options(config.loss_options, arguments_of(own)[1])
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                loss, options = own(**config.loss_options), {}
        else:
            loss, options = own, config.loss_options
        if isinstance(loss, nn.Module):
            self.module = distributed.same(loss.to(device or "cpu").train())
        self.loss, self.options = loss, options
        called = loss.forward if isinstance(loss, nn.Module) else loss
        count = arguments_of(called)[0]
        self.of_views = count in (4, None)  # a function of v, t, v2, t2
        if count not in (1, 4, None):
            raise RsnbError(f"a loss is a function of a batch, or of v, t, v2, t2; {self.name} needs {count} arguments")
        if own is not None:
            self._check_options(options, arguments_of(called, skip=4 if self.of_views else 1)[1])

    def _check_options(self, options: dict[str, Any], names: Collection[str] | None) -> None:
        unknown = sorted(set(options) - set(names)) if names is not None else []
        if unknown:
            has = ", ".join(names) or "none"
            raise RsnbError(f"the loss {self.name} has no argument called {', '.join(unknown)}; it has: {has}")

    def __call__(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, a scalar, and its terms by name; in fp32, under autocast too.

        Raises:
            RsnbError: a loss of your own that gives another thing.
        """
        given = [getattr(batch, view) for view in VIEWS] if self.of_views else [batch]
        with torch.autocast(batch.image.device.type, enabled=False):
            loss = self.loss(*given, **self.options)
        loss, parts = loss if isinstance(loss, tuple) and len(loss) == 2 else (loss, None)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise RsnbError(
                f"the loss {self.name} gave {found}; it must give a scalar, or a scalar and a dict of terms"
            )
        return loss.reshape(()), {"cross": loss.detach()} if parts is None else parts

    def ask(self, model, pairs: Pairs, config: TrainConfig) -> None:
        """Find which views the loss reads: one of your own is called with random embeddings, as in the first epoch
        and as in the last."""
        if config.loss in LOSSES:
            self.reads = built_in_views(config.loss)
        if self.of_views or config.loss in LOSSES:
            return
        trial, read, device = copy.copy(self), set(VIEWS[:2]), model.device
        trial.loss = copy.deepcopy(self.loss)
        with torch.no_grad():
            width = model.encode_text(model.clip.tokenizer(pairs.captions[:1])).shape[1]
        count = min(config.batch_size, len(pairs))
        chosen = range(0, len(pairs), len(pairs) // count)[:count]
        random = torch.randn(4, count, width, generator=torch.Generator().manual_seed(0)).to(device)
        views = {view: x.requires_grad_() for view, x in zip(VIEWS, nn.functional.normalize(random, dim=-1))}
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for epoch in (1, config.epochs):
                batch = Batch(views, model.clip.logit_scale.detach(), pairs, chosen, epoch)
                trial(batch)
                read |= batch.read
        self.reads = tuple(view for view in VIEWS if view in read)


@lru_cache
def built_in_views(loss: str) -> tuple[str, ...]:
    """The views that a built-in loss reads."""
    batch = Batch(dict.fromkeys(VIEWS, torch.eye(2)))
    Objective(TrainConfig(loss=loss))(batch)
    return tuple(view for view in VIEWS if view in batch.read)
