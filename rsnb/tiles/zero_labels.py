"""What an index tells without labels: the class of each tile by words, and tiles that are nearly equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsnb.errors import RsnbError
from rsnb.tiles.asking import of_texts

if TYPE_CHECKING:
    import pandas

    from rsnb.tiles.index import Index

#: The sentences whose mean embedding stands for a class that is given by its name.
PROMPTS = ("{}", "an aerial image of {}", "a satellite photo of {}", "{} seen from above")
ROWS = 4096  # that are compared at a time
MOST = 100_000  # pairs
#: When each fails, in a line.
FORCED = "Every tile gets one of the classes given, also where none fits: look at the margin, and at some tiles."
ALIKE = "Two tiles of one kind, such as open sea, can be as close as two copies: look before you delete."


def read_classes(path: Path) -> dict[str, tuple[str, ...]]:
    """{class: its sentences} of a text file: a line for each class, its name, or ``name: sentence | sentence``.

    Raises:
        RsnbError: there is none, it is no UTF-8 text, or it names fewer than two classes, or one twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise RsnbError(f"{path} is no text in UTF-8; save it as one") from None
    except OSError as error:
        raise RsnbError(
            f"{path} cannot be read ({error.strerror or error}); give a file with a class in each line"
        ) from None
    classes: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        name, _, said = (part.strip() for part in line.partition(":"))
        if not name:
            continue
        if name in classes:
            raise RsnbError(f"{path}, line {number}: the class {name!r} is there twice; take one out")
        sentences = tuple(part.strip() for part in said.split("|") if part.strip())
        classes[name] = sentences or tuple(prompt.format(name) for prompt in PROMPTS)
    if len(classes) < 2:
        raise RsnbError(f"{path} names fewer than two classes; give at least two, a line each")
    return classes


def class_vectors(index: Index, classes: dict[str, tuple[str, ...]]) -> np.ndarray:
    """(C, D): of each class the mean of its sentences' embeddings, of unit length."""
    found = np.stack([of_texts(index.model, list(sentences)).mean(axis=0) for sentences in classes.values()])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def label(index: Index, classes: dict[str, tuple[str, ...]]) -> pandas.DataFrame:
    r"""The most probable class of every tile: columns of the table, then class, probability, margin (to the second
    one), second, score (cosine).

    The probability is the softmax over the classes of :math:`\tau` times the cosine, with CLIP's own :math:`\tau`.
    """
    names, vectors = np.array(list(classes), dtype=object), class_vectors(index, classes)
    scale, parts = float(index.model.clip.logit_scale.detach()), []
    for block in index.blocks:
        cosine = block.astype(np.float32) @ vectors.T
        odds = np.exp(scale * (cosine - cosine.max(axis=1, keepdims=True)))
        odds /= odds.sum(axis=1, keepdims=True)
        order = np.argsort(-odds, axis=1, kind="stable")[:, :2]
        best, second = np.take_along_axis(odds, order, 1).T
        parts.append((order[:, 0], best, best - second, order[:, 1], cosine[np.arange(len(cosine)), order[:, 0]]))
    first, best, margin, second, cosine = map(np.concatenate, zip(*parts))
    said = {"class": names[first], "probability": best, "margin": margin, "second": names[second], "score": cosine}
    return index.table().assign(**said)


def near_equal(index: Index, least: float = 0.98, most: int = MOST) -> pandas.DataFrame:
    """Pairs of tiles with a cosine of at least ``least``: path, x, y of both, score; closest first. Tiles of one image
    that overlap are left out, for they are alike by construction.

    Raises:
        RsnbError: there are more than ``most``.
    """
    import pandas

    if not 0 < least <= 1:
        raise RsnbError(f"a least cosine of {least}: give a number up to 1, such as 0.98")
    found, count = [], 0
    for first, second, scores in _close(index.blocks, least):
        found.append((first, second, scores))
        count += len(first)
        if count > most:
            raise RsnbError(f"more than {most:,} pairs have a cosine of {least}; ask for a higher one")
    first, second, scores = map(np.concatenate, zip(*found)) if found else (np.empty(0, int), np.empty(0, int), [])
    table = index.table(["path", "x", "y", "width", "height"])
    a, b = (table.iloc[rows].reset_index(drop=True) for rows in (first, second))
    overlap = a["path"] == b["path"]
    for side, size in (("x", "width"), ("y", "height")):
        overlap &= (a[side] < b[side] + b[size]) & (b[side] < a[side] + a[size])
    pairs = pandas.concat([a.add_suffix("_1"), b.add_suffix("_2")], axis=1).assign(score=scores)
    return pairs[~overlap].sort_values("score", ascending=False, kind="stable").reset_index(drop=True)


def _close(blocks: Sequence[np.ndarray], least: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows i < j of all pairs with that cosine, and the cosines, block against block."""
    starts = np.cumsum([0, *map(len, blocks)])
    for n, one in enumerate(blocks):
        left = one.astype(np.float32)
        for m in range(n, len(blocks)):
            cosine = left @ (left if m == n else blocks[m].astype(np.float32)).T
            i, j = np.nonzero(cosine >= least)
            keep = i < j if m == n else slice(None)
            yield starts[n] + i[keep], starts[m] + j[keep], cosine[i, j][keep].clip(max=1)  # rounded rows: 1.0001
