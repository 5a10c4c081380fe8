"""One value in all the forms in which a right answer may come, and values that are near it and wrong."""

from __future__ import annotations

import collections
import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas
import torch


def forms(value: Any) -> dict[str, Callable[[Any], Any]]:
    """{name: what makes the form}, for values like this one: ten at least."""
    if isinstance(value, str):
        return TEXTS
    if isinstance(value, bool):
        return TRUTHS
    if isinstance(value, (set, frozenset)):
        return SETS
    if isinstance(value, dict):
        return _of_dicts(next(iter(value.values())))
    if isinstance(value, (tuple, list)) and any(isinstance(x, torch.Tensor) for x in value):
        return {name: lambda both, form=form: tuple(map(form, both)) for name, form in _arrays().items()}
    return _arrays() if _whole_array(value) else NUMBERS


def _whole_array(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, torch.Tensor) and value.dim() > 0)


def _deep(kind: Callable[[Any], Any], of: type = list) -> Callable[[Any], Any]:
    """Nested lists (or tuples) of numbers of one kind."""

    def form(value: Any) -> Any:
        plain = torch.as_tensor(value).tolist() if not isinstance(value, (list, tuple)) else value
        return of(map(form, plain)) if isinstance(plain, (list, tuple)) else kind(plain)

    return form


def _numpy(value: Any) -> np.ndarray:
    return np.array(value.detach() if isinstance(value, torch.Tensor) else value)


def _arrays() -> dict[str, Callable[[Any], Any]]:
    return {
        "lists": _deep(lambda x: x),
        "tuples": _deep(lambda x: x, tuple),
        "numpy": _numpy,
        "numpy of objects": lambda value: _numpy(value).astype(object),
        "numpy backwards": lambda value: _numpy(value)[::-1].copy()[::-1],
        "numpy in columns": lambda value: np.asfortranarray(_numpy(value)),
        "float64": lambda value: torch.as_tensor(_numpy(value)).double(),
        "with a gradient": lambda value: torch.as_tensor(_numpy(value)).double().requires_grad_(),
        "fractions": _deep(lambda x: Fraction(x)),
        "decimals": _deep(lambda x: Decimal(x)),
        "numpy's numbers": _deep(lambda x: np.asarray(x)[()]),
        "tensors": _deep(lambda x: torch.tensor(x)),
        "a table": lambda value: pandas.Series(_numpy(value)) if _numpy(value).ndim == 1 else _numpy(value),
    }


NUMBERS: dict[str, Callable[[Any], Any]] = {
    "Python's": lambda x: float(x),
    "a tensor": lambda x: torch.tensor(float(x), dtype=torch.float64),
    "a tensor with a gradient": lambda x: torch.tensor(float(x), dtype=torch.float64, requires_grad=True),
    "float64": lambda x: np.float64(x),
    "float32": lambda x: np.float32(x),
    "longdouble": lambda x: np.longdouble(float(x)),
    "an array without axes": lambda x: np.array(float(x)),
    "a fraction": lambda x: Fraction(float(x)),
    "a decimal": lambda x: Decimal(float(x)),
    "its own kind": lambda x: x,
}
TEXTS: dict[str, Callable[[Any], Any]] = {
    "upper": str.upper, "lower": str.lower, "title": str.title, "swapped": str.swapcase, "spaces": lambda x: f"  {x} ",
    "a line": lambda x: f"{x}\n", "a tab": lambda x: f"\t{x}", "numpy": np.str_, "its own kind": str,
    "a subclass": type("Text", (str,), {}), "two spaces": lambda x: x.replace(" ", "  "),
}  # fmt: skip
TRUTHS: dict[str, Callable[[Any], Any]] = {
    "Python's": bool, "numpy": np.bool_, "a tensor": torch.tensor, "of a comparison": lambda x: int(x) == 1,
    "of numbers": lambda x: np.float64(x) > 0.5, "of tensors": lambda x: torch.tensor(float(x)) > 0.5,
    "any": lambda x: any([x]), "all": lambda x: torch.tensor([x]).all(), "an array": lambda x: np.array([x]).any(),
    "not not": lambda x: bool(x),
}  # fmt: skip
SETS: dict[str, Callable[[Any], Any]] = {
    "lower": lambda x: {name.lower() for name in x},
    "frozen": frozenset, "a list": sorted, "a tuple": tuple, "backwards": lambda x: sorted(x)[::-1],
    "keys": lambda x: list(dict.fromkeys(x)),
    "its own kind": set, "numpy": lambda x: np.array(sorted(x)), "a table": lambda x: pandas.Series(sorted(x)),
    "numpy's texts": lambda x: {np.str_(name) for name in x}, "twice": lambda x: [*x, *x],
}  # fmt: skip


def _of_dicts(inner: Any) -> dict[str, Callable[[Any], Any]]:
    values = {
        f"values: {name}": lambda value, form=form: {key: form(of) for key, of in value.items()}
        for name, form in forms(inner).items()
    }
    return values | {
        "backwards": lambda value: dict(reversed(value.items())),
        "ordered": collections.OrderedDict,
        "read only": types.MappingProxyType,
    }


def wrong(value: Any) -> Iterator[Any]:
    """Values that are not this one: ten at least."""
    yield from (None, [], (), {}, float("nan"), object(), lambda: value, [value], (value, value), type(value))
    if isinstance(value, str):
        yield from (
            value[:-1],
            value + ".",
            value[::-1] + "x",
            value * 2,
            "",
            " ",
            f"not {value}",
            value.encode(),
            0,
            True,
        )
        yield from (letter for letter in "abcde" if letter != value)
    if isinstance(value, (int, float)):
        yield from (
            value + 1,
            value - 1,
            value * 2,
            value / 2,
            -value,
            0,
            str(value),
            f"{value:,}",
            value + 0.5,
            1e400,
            True,
        )
    if isinstance(value, set):
        names = sorted(value)
        yield from ({*value, "Z"}, set(names[1:]), set(), "".join(names), {name + name for name in names}, len(value))
        yield from ({*names[1:], other} for other in "ABCDEF" if other not in value)
    if isinstance(value, dict):
        for key, of in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: other} for other in set(value.values()) - {of})
        yield from ({**value, "more": 1}, list(value), list(value.values()), str(value))
