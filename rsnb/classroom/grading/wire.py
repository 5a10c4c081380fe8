"""What goes between the judge and a student's process: one JSON line each way, and nothing that runs.

Numbers, texts, lists, dicts and tensors are written with a tag of their kind. What comes back from a student is read as
these kinds alone, so a value can be wrong but can do nothing.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

KINDS = {"float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool", "float16"}
LONGEST = 200_000_000  # bytes of a line
DEEPEST = 40


def written(value: Any) -> str:
    """A value as a line."""
    return json.dumps(_tagged(value, 0))


def read(line: str | bytes) -> Any:
    """The value of a line.

    Raises:
        ValueError: it is no such line.
    """
    return _plain(json.loads(line), 0)


def _tagged(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError("nested too deep")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return {"int": str(int(value))}
    if isinstance(value, (float, np.floating)):
        return {"float": repr(float(value)) if math.isfinite(value) else str(float(value))}
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, torch.Tensor):
        plain = value.detach().resolve_conj().resolve_neg().cpu()
        array = (plain.float() if plain.dtype == torch.bfloat16 else plain).contiguous().numpy()
        return {"tensor": _array(array)}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return {"array": _array(np.ascontiguousarray(value))}
    if isinstance(value, Mapping):
        return {"dict": [[_tagged(k, depth + 1), _tagged(v, depth + 1)] for k, v in value.items()]}
    for kind in (tuple, set, frozenset, list):
        if isinstance(value, kind):
            return {kind.__name__: [_tagged(x, depth + 1) for x in value]}
    if hasattr(value, "to_numpy"):
        return _tagged(value.to_numpy().tolist(), depth + 1)
    if isinstance(value, (range, Iterator, np.ndarray)):
        return {"list": [_tagged(x, depth + 1) for x in value]}
    try:  # Fraction, Decimal
        return {"float": repr(float(value))}
    except Exception:
        return {"other": type(value).__name__}


def _array(array: np.ndarray) -> list[Any]:
    if array.dtype.name not in KINDS:
        raise ValueError(f"an array of {array.dtype.name}")
    return [array.dtype.name, list(array.shape), base64.b64encode(array.tobytes()).decode("ascii")]


class Other:
    """A value of a kind that has no place on the wire; equal to no answer."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _plain(value: Any, depth: int) -> Any:
    if depth > 2 * DEEPEST:
        raise ValueError("nested too deep")
    if value is None or isinstance(value, (bool, str)):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("no such kind")
    (kind, body), depth = *value.items(), depth + 1
    if kind == "int":
        return int(str(body)[:400])
    if kind == "float":
        return float(body)
    if kind in ("tensor", "array"):
        name, shape, data = body
        if name not in KINDS or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError("no such array")
        array = np.frombuffer(base64.b64decode(data, validate=True), dtype=name).reshape(shape).copy()
        return torch.from_numpy(array) if kind == "tensor" else array
    if kind == "dict":
        return {_plain(k, depth): _plain(v, depth) for k, v in body}
    if kind == "other":
        return ... if body == "ellipsis" else Other(str(body)[:60])
    makers = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    if kind not in makers:
        raise ValueError("no such kind")
    return makers[kind](_plain(x, depth) for x in body)
