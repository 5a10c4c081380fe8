"""Inputs and answers in a line, as a verdict shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

LINE = 240  # signs of an input


def size(case: Any) -> int:
    """How much there is to read in an input."""
    if isinstance(case, torch.Tensor):
        return case.numel()
    if isinstance(case, dict):
        return sum(1 + size(value) for value in case.values())
    if isinstance(case, (list, tuple, set)):
        return 1 + sum(size(value) for value in case)
    return 1


def shown_input(case: Sequence) -> str:
    """An input, numbers with three digits; what is too long by its shape or kind."""
    text = ", ".join(map(value, case))
    return text if len(text) <= LINE else ", ".join(v if len(v := value(x)) <= 60 else _outline(x) for x in case)


def value(x: Any) -> str:
    """A value as Python writes it, floats with three digits."""
    if isinstance(x, torch.Tensor):
        return repr(_rounded(x.detach().tolist()))
    plain = isinstance(x, (list, tuple, set, dict, str, int, float, type(None)))
    return repr(_rounded(x)) if plain else a_kind(x)


def both(got: Any, want: Any) -> str:
    """ " (found ..., expected ...)", if both fit into a line, else ""."""
    a, b = (value(_plain(x)) for x in (got, want))
    return f" (found {a}, expected {b})" if len(a) + len(b) <= 160 else ""


def comma(got: Any, want: Any) -> str:
    """What is said to somebody who typed 347,160: Python sees two numbers."""
    whole = isinstance(got, tuple) and len(got) > 1 and all(type(x) is int for x in got)
    if not whole or isinstance(want, bool) or not isinstance(want, (int, float)):
        return ""
    return f"In Python a comma makes {len(got)} numbers of one: write {''.join(map(str, got))}, or _ in its place."


def shown(x: Any) -> str:
    """A value that is short, else its kind."""
    try:
        text = repr(x)
    except Exception:  # the student's own class
        return a_kind(x)
    return text if len(text) < 60 else a_kind(x)


def a_kind(x: Any) -> str:
    """The type of a value with its article: a str, an int."""
    name = type(x).__name__
    return f"an {name}" if name[0].lower() in "aeiou" or name == "ndarray" else f"a {name}"


def _rounded(x: Any) -> Any:
    if isinstance(x, float):
        return float(f"{x:.3g}")
    if isinstance(x, dict):
        return {key: _rounded(v) for key, v in x.items()}
    return type(x)(map(_rounded, x)) if type(x) in (list, tuple, set) else x


def _outline(x: Any) -> str:
    if isinstance(x, torch.Tensor):
        return f"a tensor {tuple(x.shape)}"
    return f"{a_kind(x)} of {len(x)}" if hasattr(x, "__len__") else a_kind(x)


def _plain(x: Any) -> Any:
    """Tensors and arrays as lists and numbers."""
    try:
        return x.detach().tolist() if isinstance(x, torch.Tensor) else x.tolist() if hasattr(x, "tolist") else x
    except Exception:  # the student's own class
        return x
