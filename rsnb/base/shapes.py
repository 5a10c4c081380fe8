"""What a function wants and what it was given, in one sentence. Only shapes and dtypes are looked at."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rsnb.errors import RsnbError


def described(x: Any) -> str:
    """'a tensor of shape (4, 3) and torch.float32', 'a numpy array of shape (4, 3)', 'a list of 4'."""
    if isinstance(x, Tensor):
        return f"a tensor of shape {tuple(x.shape)} and {x.dtype}"
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return f"a {type(x).__module__.split('.')[0]} {type(x).__name__} of shape {tuple(x.shape)}"
    if isinstance(x, (list, tuple)):
        return f"a {type(x).__name__} of {len(x)}"
    return "None" if x is None else f"a {type(x).__name__}"


def need_pixels(x: Any, size: tuple[int, int]) -> None:
    """Raise unless x is ``(N, 3, *size)`` of floats."""
    if not (isinstance(x, Tensor) and x.is_floating_point() and x.ndim == 4 and x.shape[1:] == (3, *size)):
        raise RsnbError(
            f"encode_image needs float pixels of shape (N, 3, {size[0]}, {size[1]}), found {described(x)}; "
            "torch.stack([clip.preprocess(picture) for picture in pictures]) makes them"
        )


def need_tokens(x: Any, length: int) -> None:
    """Raise unless x is (N, length) of whole numbers."""
    whole = isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex() or x.dtype.itemsize == 1)
    if not (whole and x.ndim == 2 and x.shape[1] == length):
        raise RsnbError(
            f"encode_text needs whole numbers of shape (N, {length}), found {described(x)}; "
            "clip.tokenizer(list of sentences) makes them"
        )


def need_rows(function: str, *tensors: Any, alike: bool = True) -> None:
    """Raise unless all are tensors (B, D) with B and D at least 1: of one shape, or (``alike`` False) of one D."""
    sound = all(isinstance(x, Tensor) and x.ndim == 2 and x.numel() and not x.is_complex() for x in tensors)
    if not sound or len({x.shape if alike else x.shape[1] for x in tensors}) > 1:
        wanted = "(B, D) of one shape" if alike else "(N, D) and (M, D) of one width D"
        wanted = wanted if len(tensors) > 1 else "(N, D)"
        found = [str(tuple(x.shape)) if isinstance(x, Tensor) and not x.is_complex() else described(x) for x in tensors]
        raise RsnbError(f"{function} needs tensors {wanted}, found {' and '.join(found)}")
