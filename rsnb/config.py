"""What a training run is: one frozen dataclass, to and from JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from rsnb.errors import RsnbError

CHOICES = {
    "loss": ("hmmc", "clip", "triplet"),
    "mining": ("hardest", "sum"),
    "optimizer": ("adam", "adamw"),
    "pairs": ("one", "all"),
    "precision": ("auto", "fp32", "bf16"),
}
AT_LEAST = {"epochs": 1, "batch_size": 2, "lr_step": 1, "lr": 0.0, "margin": 0.0, "lr_decay": 0.0, "seed": 0}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run; the defaults suit the toy world and the mini CLIP.

    ``TrainConfig.paper()`` gives the reference settings of the paper (Adam, 2e-4, x 0.7 every 20 epochs,
    30 epochs, batch 16, every caption of every image once an epoch).

    Fields:
        method, options: what is attached (see ``rsnb.METHODS``) and its options; several methods are "mrs+lora" and
            {"lora.rank": 2}, parts of the CLIP that train too {"unfreeze": "ln_"} (see :func:`rsnb.adapt`).
        loss: "hmmc" (the paper), "clip" (contrastive), "triplet" (the cross-modal term of HMMC alone), or "own:<name>"
            for a function of your own of that name, given to ``rsnb.train`` with it.
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

    def __post_init__(self):
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices and not (name == "loss" and str(value).startswith("own:")):
                raise RsnbError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
        for name, least in AT_LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
                raise RsnbError(f"{name} is {value!r}; it must be a number of at least {least}")
        if not 0 <= self.token_dropout < 1:
            raise RsnbError(f"token_dropout is {self.token_dropout!r}; it must be at least 0 and below 1")
        weights = self.weights
        if not isinstance(weights, (tuple, list)) or not all(isinstance(w, (int, float)) and w >= 0 for w in weights):
            raise RsnbError(f"weights is {weights!r}; they must be numbers of at least 0")
        if len(self.weights) != 3:
            raise RsnbError(f"weights is {self.weights!r}; three are needed (cross-modal, intra-image, intra-text)")
        object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))

    @classmethod
    def paper(cls, **changes) -> TrainConfig:
        """The reference settings of the paper's protocol."""
        return cls(**{"batch_size": 16, "lr": 2e-4, "pairs": "all", "epochs": 30, **changes})

    def replace(self, **changes) -> TrainConfig:
        """A copy with some fields changed."""
        unknown = sorted(set(changes) - {f.name for f in dataclasses.fields(self)})
        if unknown:
            known = ", ".join(f.name for f in dataclasses.fields(self))
            raise RsnbError(f"no setting is called {', '.join(unknown)}; the settings are: {known}")
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The settings of a result file. Those of version 0.1 also hold ``compile``, which decided nothing."""
        return cls().replace(**{name: value for name, value in values.items() if name != "compile"})
