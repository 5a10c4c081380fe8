"""When two values are the same answer, and else what differs: in any form in which numbers, texts and sets come."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from rsnb.classroom.exercises.running import Raised
from rsnb.classroom.exercises.showing import shown


class Nothing:
    """In the place of the value of a known mistake that cannot be made on an input: an answer that is this mistake
    raises there."""


def difference(got: Any, want: Any, atol: float) -> str:
    """ "" if equal, else what differs. ``atol``: how far a number may be off, relative to the largest beyond 1."""
    if want is Nothing or isinstance(got, Raised):
        return "" if want is Nothing and isinstance(got, Raised) else "it gives nothing here"
    if isinstance(want, dict):
        return _of_dicts(got, want, atol)
    if isinstance(want, str) and not isinstance(got, str):
        return f"expected a text, got {shown(got)}"
    if isinstance(want, bool):
        got = _truth(got)
        if not isinstance(got, bool):
            return f"expected True or False, got {shown(got)}"
    if isinstance(want, str) and isinstance(got, str):
        got, want = _text(got), _text(want)
    if isinstance(want, (str, bool)) or want is None:
        return "" if type(got) is type(want) and got == want else f"the answer is not {shown(got)}"
    if isinstance(want, (tuple, list, set)) and not all(isinstance(x, (int, float)) for x in want):
        got = np.asarray(got).tolist() if isinstance(got, np.ndarray) or hasattr(got, "to_numpy") else got
        same = isinstance(got, (tuple, list, set, frozenset)) and _names(got) == _names(want)
        return "" if same else f"the answer is not {shown(got)}"
    if isinstance(want, set):
        got, want = sorted(got) if isinstance(got, (set, frozenset)) else got, sorted(want)
    return _of_numbers(got, want, atol)


def numbers_of(value: Any) -> torch.Tensor:
    """Numbers in any usual form as float64: tensors, numpy (also with negative strides), pandas, lists of these,
    ``Fraction`` and ``Decimal``.

    Raises:
        TypeError, ValueError, OverflowError: it is no number, or too large for one.
    """
    if isinstance(value, torch.Tensor):
        if value.is_complex():
            raise TypeError("complex")
        return value.detach().resolve_neg().to("cpu", torch.float64)
    if isinstance(value, (complex, str, bytes)):
        raise TypeError(type(value).__name__)
    if isinstance(value, (numbers.Number, decimal.Decimal)):
        return torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, (list, tuple, range, Iterator)):
        parts = [numbers_of(x) for x in value]
        return torch.stack(parts) if parts else torch.zeros(0, dtype=torch.float64)
    array = np.array(value.to_numpy() if hasattr(value, "to_numpy") else value)  # a copy, with strides of its own
    if array.dtype == object:
        return numbers_of(array.tolist())
    if array.dtype.kind not in "biuf":
        raise TypeError(str(array.dtype))
    return torch.from_numpy(array.astype(np.float64))


def _of_numbers(got: Any, want: Any, atol: float) -> str:
    try:
        a, b = numbers_of(got), numbers_of(want)
    except Exception:  # whatever the student's class does
        return f"expected numbers, got {shown(got)}"
    if a.shape != b.shape:
        return f"expected the shape {tuple(b.shape)}, got {tuple(a.shape)}"
    if not torch.isfinite(a).all():
        return "some values are nan or infinite"
    gap = (a - b).abs().max().item() if a.numel() else 0.0
    scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
    return "" if gap <= atol * scale else f"the values differ by up to {gap:.3g}"


def _of_dicts(got: Any, want: dict, atol: float) -> str:
    expected = f"expected a dict with the keys {', '.join(map(shown, want))}"
    if not isinstance(got, Mapping):
        return f"{expected}, got {shown(got)}"
    if set(got) != set(want):
        missing, other = ([shown(k) for k in x if k not in y] for x, y in ((want, got), (got, want)))
        wrong = [f"{', '.join(keys)} {what}" for keys, what in ((missing, "missing"), (other, "unknown")) if keys]
        return f"{expected}; {', '.join(wrong)}"
    return next((f"{k}: {d}" for k, d in ((k, difference(got[k], want[k], atol)) for k in want) if d), "")


def _truth(value: Any) -> Any:
    """numpy's and torch's single True and False as Python's."""
    if isinstance(value, np.bool_):
        return bool(value)
    single = isinstance(value, torch.Tensor) and value.dtype == torch.bool and value.numel() == 1
    return bool(value) if single else value


def _names(values: Iterable) -> set[str]:
    return {_text(x) if isinstance(x, str) else shown(x) for x in values}


def _text(text: str) -> str:
    """A text without regard to capitals and spaces."""
    return " ".join(text.split()).casefold()
