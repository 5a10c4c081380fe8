"""What a training run is: one frozen dataclass, to and from JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from rsnb.base.fields import FIELDS, checked
from rsnb.errors import RsnbError

LATER = {"loss_options": {}, "loss_lr": None}  # fields that a result file or a key holds only where they are set


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run; the defaults suit the toy world and the mini CLIP.

    ``TrainConfig.paper()`` gives the reference settings of the paper (Adam, 2e-4, x 0.7 from the 20th epoch on,
    30 epochs, batch 16, every caption of every image once an epoch).

    Fields:
        method, options: what is attached (see ``rsnb.METHODS``) and its options; several methods are "mrs+lora" and
            {"lora.rank": 2}, parts of the CLIP that train too ``{"unfreeze": "ln_"}`` (see :func:`rsnb.adapt`).
        loss: "hmmc" (the paper), "clip" (contrastive), "triplet" (the cross-modal term of HMMC alone), or "own:<name>"
            for a function of your own of that name, given to ``rsnb.train`` with it.
        loss_options, loss_lr: of a loss of your own: its keyword arguments, and the learning rate of its parameters
            if it is a module that has some (None: ``lr``).
        margin, mining, weights: of the hinge; weights are (cross-modal, intra-image, intra-text).
        token_dropout: rate of the second view.
        epochs, batch_size: in pairs.
        pairs: "one" draws one random caption for each image and epoch; "all" takes every (image, caption) pair.
        lr, optimizer, weight_decay, lr_decay, lr_step: lr is multiplied by lr_decay every lr_step epochs.
        seed: of initial weights, order, captions and dropout.
        precision: "auto" is bf16 autocast where the device has instructions for it (CUDA from compute capability 8
            on, newer CPUs) and fp32 elsewhere; the losses are fp32 in any case.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
    """

    method: str = "mrs"
    options: dict[str, Any] = field(default_factory=dict)
    loss: str = "hmmc"
    margin: float = 0.2
    mining: str = "hardest"
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    token_dropout: float = 0.2
    epochs: int = 30
    batch_size: int = 64
    pairs: str = "one"
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    lr_decay: float = 0.7
    lr_step: int = 20
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    loss_options: dict[str, Any] = field(default_factory=dict)
    loss_lr: float | None = None

    def __post_init__(self):
        for name in {f.name for f in dataclasses.fields(self)} & set(FIELDS):
            if (value := getattr(self, name)) is not None or name not in LATER:
                object.__setattr__(self, name, checked(name, value))
        if not isinstance(self.method, str) or not self.method:
            raise RsnbError(f"method is {self.method!r}; it must be the name of one, such as 'mrs'")
        for name in ("options", "loss_options"):
            _check_options(name, getattr(self, name))
        if not self.loss.startswith("own:") and (self.loss_options or self.loss_lr is not None):
            given = self.loss_options or f"loss_lr {self.loss_lr}"
            raise RsnbError(f"the loss is {self.loss!r} and takes no {given}; these are for a loss 'own:<name>'")
        object.__setattr__(self, "weights", _checked_weights(self.weights))

    @classmethod
    def paper(cls, **changes) -> TrainConfig:
        """The reference settings of the paper's protocol. Its code lowers the rate at the start of the 20th epoch, so
        after 19."""
        return cls(**{"batch_size": 16, "lr": 2e-4, "pairs": "all", "epochs": 30, "lr_step": 19, **changes})

    def replace(self, **changes) -> TrainConfig:
        """A copy with some fields changed."""
        unknown = sorted(set(changes) - {f.name for f in dataclasses.fields(self)})
        if unknown:
            known = ", ".join(f.name for f in dataclasses.fields(self))
            raise RsnbError(f"no setting is called {', '.join(unknown)}; the settings are: {known}")
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        found = json.loads(json.dumps(dataclasses.asdict(self)))
        return {name: value for name, value in found.items() if name not in LATER or value != LATER[name]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The settings of a result file. Those of version 0.1 also hold ``compile``, which decided nothing."""
        return cls().replace(**{name: value for name, value in values.items() if name != "compile"})


def _check_options(name: str, options: Any) -> None:
    if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
        raise RsnbError(f"{name} is {options!r}; it must be a dict of names and values")
    for key, value in options.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise RsnbError(
                f"{key} in {name} is {value!r}; it must be a finite number, a word, true, false, none, or a list"
            ) from None


def _checked_weights(weights: Any) -> tuple[float, float, float]:
    if not isinstance(weights, (tuple, list)) or len(weights) != 3:
        raise RsnbError(f"weights is {weights!r}; three are needed (cross-modal, intra-image, intra-text)")
    found = tuple(checked("weight", weight, f"in weights {weights!r}, one") for weight in weights)
    if not any(found):
        raise RsnbError(f"weights is {weights!r}; one of the three must be above 0, or there is nothing to learn from")
    return found
