"""A query as a vector: a sentence, a picture, or numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsnb.base.shapes import described
from rsnb.base.text import plain
from rsnb.data.images import open_rgb
from rsnb.data.rasters import View
from rsnb.errors import RsnbError
from rsnb.tiles.identity import Encoder


@torch.no_grad()
def of_texts(model: Encoder, texts: list[str]) -> np.ndarray:
    """(Q, D) of sentences, rows of unit length.

    Raises:
        RsnbError: one is empty, or longer than the model reads.
    """
    tokenizer = model.clip.tokenizer
    for text in texts:
        if not text.strip():
            raise RsnbError("a query is empty; give a sentence, such as a harbour with many boats")
        if hasattr(tokenizer, "encode"):
            count = len(tokenizer.encode(text)) + 2
            if count > tokenizer.context_length:
                raise RsnbError(
                    f"the query {plain(text[:40])!r}... has {count} tokens, and this model reads "
                    f"{tokenizer.context_length}; shorten it"
                )
    return model.encode_text(tokenizer(texts).to(model.clip.device)).float().cpu().numpy()


@torch.no_grad()
def of_picture(model: Encoder, picture: Any, view: View | None = None) -> np.ndarray:
    """(D,) of an image file, read as the tiles of the index were, or of a PIL image; of unit length.

    Raises:
        RsnbError: it is no image that can be read.
    """
    if isinstance(picture, Path):
        if not picture.is_file():
            raise RsnbError(f"no image at {picture}")
        picture = open_rgb(picture, str(picture), view)
    pixels = model.clip.preprocess(picture)[None].to(model.clip.device)
    return model.encode_image(pixels).float().cpu().numpy()[0]


def of_numbers(numbers: Any, width: int) -> np.ndarray:
    """(Q, D) of an array or tensor (D,) or (Q, D), each row scaled to unit length.

    Raises:
        RsnbError: another width, or numbers that are not finite or all zero.
    """
    if isinstance(numbers, torch.Tensor):
        numbers = numbers.detach().float().cpu().numpy()
    try:
        found = np.atleast_2d(np.asarray(numbers, dtype=np.float32))
    except (TypeError, ValueError):
        raise RsnbError(f"a query is a sentence, an image or a vector, found {described(numbers)}") from None
    if found.ndim != 2 or found.shape[1] != width:
        raise RsnbError(
            f"a query of shape {np.shape(numbers)} and an index of vectors of {width} do not belong together"
        )
    length = np.linalg.norm(found, axis=1, keepdims=True)
    if not np.isfinite(found).all() or not length.all():
        raise RsnbError("a query vector has numbers that are not finite, or is zero")
    return found / length
