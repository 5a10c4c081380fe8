"""What one cell of an ablation is, and how a field of it is varied by name."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsnb.base.assignments import parse_assignments
from rsnb.base.fields import checked
from rsnb.config import LATER, TrainConfig
from rsnb.errors import RsnbError

#: name after the dot -> field of TrainConfig, by the name before it. "adapter.x" is the method's option x; "loss.x",
#: if x is not among these, the keyword argument x of a loss of your own.
GROUPS = {
    "loss": {"name": "loss", "lr": "loss_lr", **{n: n for n in ("margin", "mining", "token_dropout")}},
    "train": {n: n for n in ("epochs", "batch_size", "pairs", "lr", "optimizer", "weight_decay", "lr_decay", "lr_step",
                             "precision")},
}  # fmt: skip
WEIGHTS = ("loss.cross", "loss.intra_image", "loss.intra_text")  # the places of TrainConfig.weights
SHARE = "data.share"
OF_DATA = {SHARE: "share", "data.twins": "twins", "data.alike": "alike"}  # fields of a Spec


@dataclass(frozen=True)
class Spec:
    """What one cell is: the run's settings, and what it sees of the training images.

    ``share``: of the training images, 0 to 1. ``twins``: the share of the pairs in each batch that have another of the
    same caption, or of the same class (``alike``), see :mod:`rsnb.data.twins`; None draws batches at random.
    """

    config: TrainConfig = TrainConfig()
    share: float = 1.0
    twins: float | None = None
    alike: str = "caption"

    def __post_init__(self):
        checked("share", self.share, SHARE)
        if self.twins is not None:
            checked("twins", self.twins, "data.twins")
        checked("alike", self.alike, "data.alike")

    def settings(self, config: dict[str, Any]) -> dict[str, Any]:
        """What the key of a cell holds of it. config: the settings of the run as they stand there."""
        twins = {} if self.twins is None else {"twins": self.twins, "alike": self.alike}
        return {"config": config, "share": self.share, **twins}


def usual_options(method: str, own: Mapping[str, type] = {}) -> dict[str, Any]:
    """What the options of a method, or of several together, are if nobody sets them. own: classes by name."""
    from rsnb.methods import AND, METHODS

    found, parts = {}, method.split(AND)
    for name in parts:
        build = own.get(name) or (METHODS[name].build if name in METHODS else None)
        for p in inspect.signature(build).parameters.values() if build else ():
            if p.default is not inspect.Parameter.empty:
                found[p.name if len(parts) == 1 else f"{name}.{p.name}"] = p.default
    return found


def values_of(spec: Spec, own: Mapping[str, type] = {}) -> dict[str, Any]:
    """{axis: value} of all that ``vary`` can change, the options that nobody set among them. own: classes by name."""
    config = spec.config
    found = {"method": config.method}
    options = {**usual_options(config.method, own), **config.options}
    found |= {f"adapter.{name}": value for name, value in options.items()}
    found |= {f"{group}.{n}": getattr(config, field) for group, names in GROUPS.items() for n, field in names.items()}
    found |= {f"loss.{name}": value for name, value in config.loss_options.items()}
    found |= {**dict(zip(WEIGHTS, config.weights)), **{axis: getattr(spec, name) for axis, name in OF_DATA.items()}}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def axis_names() -> list[str]:
    """The names that ``vary`` knows; an option of the method is "adapter.<option>" beside them."""
    return ["method", *(f"{g}.{n}" for g, names in GROUPS.items() for n in names), *WEIGHTS, *OF_DATA]


def vary(spec: Spec, name: str, value: Any) -> Spec:
    """A copy of ``spec`` with one field changed.

    Args:
        name: "adapter.<option of the method>", "loss.margin", "train.lr", "loss.intra_image", "data.share", ...
            (see :func:`fields`), or a field of ``TrainConfig`` as it stands.

    Raises:
        RsnbError: an unknown name, or a value that the field does not take.
    """
    config = spec.config
    group, _, own = name.partition(".")
    value = tuple(value) if isinstance(value, list) else value
    if name in OF_DATA:
        return dataclasses.replace(spec, **{OF_DATA[name]: value})
    if name in WEIGHTS:
        weights = list(config.weights)
        weights[WEIGHTS.index(name)] = checked("weight", value, name)
        changes = {"weights": tuple(weights)}
    elif group == "adapter" and own:
        changes = {"options": {**config.options, own: value}}
    elif group == "loss" and own and own not in GROUPS["loss"] and config.loss.startswith("own:"):
        changes = {"loss_options": {**config.loss_options, own: value}}
    else:
        field = GROUPS.get(group, {}).get(own) if own else name
        if field not in {f.name for f in dataclasses.fields(TrainConfig)}:
            raise RsnbError(
                f"no axis is called {name!r}; there are adapter.<option of the method>, {', '.join(axis_names())}, and "
                "loss.<keyword argument> of a loss of your own, after loss.name=own:<its name>"
            )
        if field in ("seed", "device", "options", "loss_options"):
            raise RsnbError(f"{name} is not an axis; give the number of seeds, and options as adapter.<option>")
        changes = {field: value}
        if field == "loss" and value != config.loss:  # what was set for another loss does not hold for this one
            changes |= LATER
    return dataclasses.replace(spec, config=config.replace(**changes))


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """'adapter.bottleneck=8,16' -> ("adapter.bottleneck", [8, 16]); see :mod:`rsnb.base.assignments`."""
    return parse_assignments(text, "axis with its values", "adapter.bottleneck=8,16,32")


def grid_of_specs(base: Spec, axes: Mapping[str, Sequence[Any]]) -> dict[tuple[Any, ...], Spec]:
    """Every combination of the axes' values: {(value of each axis): spec}, in the order given."""
    cells = {}
    for values in itertools.product(*axes.values()):
        spec = base
        for name, value in zip(axes, values):
            spec = vary(spec, name, value)
        cells[tuple(tuple(v) if isinstance(v, list) else v for v in values)] = spec
    return cells
