"""A recipe: what trains, by which loss, and how long; every part of it is a field, so that it can be left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rsnb
from rsnb.beyond.parts import Contrast, WarmUpAndCosine, turns
from rsnb.config import TrainConfig
from rsnb.errors import RsnbError

LOSSES = ("contrast", "clip", "hmmc")
SCHEDULES = ("cosine", "steps")


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how; the defaults are those of the recipe at 20 epochs of all captions.

    Fields:
        method, options: as :func:`rsnb.adapt` takes them.
        loss: "contrast" is :class:`rsnb.beyond.parts.Contrast`, "clip" CLIP's at its own fixed temperature, "hmmc" the
            paper's.
        learned, equal, soft, loss_lr: of "contrast"; loss_lr is the rate of its temperature.
        turns: whether training images are turned and mirrored.
        schedule: "cosine" warms up for ``warm_up`` of all steps and falls as a cosine; "steps" is the paper's way, Adam
            at x 0.7 every 20 epochs.
        average: of the moving average of the weights, with "cosine".
        epochs, pairs, batch_size, lr, weight_decay: as in :class:`rsnb.TrainConfig`.
    """

    method: str = "mrs"
    options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "contrast"
    learned: bool = True
    equal: bool = True
    soft: float = 0.0
    loss_lr: float = 3e-3
    turns: bool = True
    schedule: str = "cosine"
    warm_up: float = 0.05
    average: float = 0.0
    epochs: int = 20
    pairs: str = "all"
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.0

    def __post_init__(self):
        if self.loss not in LOSSES or self.schedule not in SCHEDULES:
            raise RsnbError(
                f"a recipe's loss is one of {', '.join(LOSSES)} and its schedule one of {', '.join(SCHEDULES)}, "
                f"found {self.loss!r} and {self.schedule!r}"
            )
        if self.average and self.schedule != "cosine":
            raise RsnbError(f"average is {self.average}; the weights are averaged with schedule='cosine' alone")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "options": dict(self.options)}

    def config(self, seed: int, precision: str = "auto", device: str = "auto") -> TrainConfig:
        """The settings of a run."""
        own = {"loss": self.loss}
        if self.loss == "contrast":
            options = {"learned": self.learned, "equal": self.equal, "soft": self.soft}
            own = {"loss": "own:Contrast", "loss_options": options, "loss_lr": self.loss_lr}
        same = {name: getattr(self, name) for name in ("method", "epochs", "pairs", "batch_size", "lr", "weight_decay")}
        return TrainConfig(**same, **own, options=dict(self.options), seed=seed, precision=precision, device=device)

    def doors(self, train) -> dict[str, Any]:
        """What :func:`rsnb.train` is handed in beside the config. train: the data set that it trains on."""
        found: dict[str, Any] = {"loss": Contrast} if self.loss == "contrast" else {}
        if self.turns:
            found["augment"] = turns
        if self.schedule == "cosine":
            pairs = len(train) if self.pairs == "one" else len(train.captions[0])
            whole, rest = divmod(pairs, self.batch_size)
            steps = self.epochs * (whole + (rest > 1))
            warm_up = round(self.warm_up * steps)
            found["optimizer"] = WarmUpAndCosine(self.lr, steps, warm_up, self.weight_decay, self.average)
        return found


def train_recipe(
    recipe: Recipe,
    clip,
    train,
    val,
    seed: int = 0,
    out: str | Path | None = None,
    precision: str = "auto",
    device: str = "auto",
    progress: bool = True,
    **more: Any,
):
    """Train a recipe on a CLIP; as :func:`rsnb.train`, which it calls. Returns (the model at its best epoch, the
    :class:`rsnb.base.run_state.TrainResult`)."""
    config = recipe.config(seed, precision, device)
    model = rsnb.adapt(clip, config.method, seed=seed, **config.options)
    doors = recipe.doors(train)
    return model, rsnb.train(model, train, val, config, out=out, progress=progress, **doors, **more)
