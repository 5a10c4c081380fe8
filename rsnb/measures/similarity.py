"""Studies of embeddings and of finished runs: pure functions of tensors, no figures.

Everywhere N is a number of images, M of captions, D the width of an embedding; embeddings are L2-normalised, so
that a dot product is a cosine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rsnb.base.shapes import described, need_rows
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy

UNKNOWN = "unlabelled"


# --- similarities -----------------------------------------------------------------------------------------------
def cosine(a: Tensor, b: Tensor | None = None) -> Tensor:
    """Cosine of every row of a (N, D) with every row of b (M, D): (N, M). Without b: of a with itself."""
    need_rows("cosine", *([a] if b is None else [a, b]), alike=False)
    a = torch.nn.functional.normalize(a.float(), dim=-1)
    b = a if b is None else torch.nn.functional.normalize(b.float(), dim=-1)
    return a @ b.T


def pair_values(similarity: Tensor) -> Tensor:
    """The N(N-1)/2 values above the diagonal of a symmetric (N, N) matrix: every pair once, no item with itself."""
    need_rows("pair_values", similarity)
    n = len(similarity)
    if similarity.shape != (n, n):
        raise RsnbError(f"a square matrix is needed, found {described(similarity)}")
    return similarity[torch.triu(torch.ones(n, n, dtype=torch.bool), diagonal=1)]


def named(labels: Sequence[str | None]) -> list[str]:
    """Labels with None written out, so that data without classes forms one group."""
    return [UNKNOWN if label is None else label for label in labels]


def same_label(labels: Sequence[str | None]) -> Tensor:
    """(N, N) bool: do i and j have the same label?"""
    known = {label: i for i, label in enumerate(dict.fromkeys(named(labels)))}
    ids = torch.tensor([known[label] for label in named(labels)])
    return ids[:, None] == ids[None, :]


def within_between(similarity: Tensor, labels: Sequence[str | None], cross: bool = False) -> tuple[Tensor, Tensor]:
    """Split the pairs of an (N, N) matrix into those of one class and those of two.

    Args:
        cross: row i and column j are of different modalities. Then both (i, j) and (j, i) count; the true pairs on
            the diagonal never do.
    """
    need_rows("within_between", similarity)
    if similarity.shape != (len(labels), len(labels)):
        raise RsnbError(f"{len(labels)} labels do not belong to a matrix of shape {tuple(similarity.shape)}")
    same, ones = same_label(labels), torch.ones_like(similarity, dtype=torch.bool)
    pairs = ones & ~torch.eye(len(ones), dtype=torch.bool) if cross else torch.triu(ones, diagonal=1)
    return similarity[pairs & same], similarity[pairs & ~same]


def by_class(labels: Sequence[str | None]) -> tuple[list[int], list[tuple[str, int, int]]]:
    """An order of the items by class, and (class, first, behind last) of each block in that order."""
    names = named(labels)
    order = sorted(range(len(names)), key=lambda i: names[i])
    blocks: list[tuple[str, int, int]] = []
    for place, i in enumerate(order):
        if blocks and blocks[-1][0] == names[i]:
            blocks[-1] = (names[i], blocks[-1][1], place + 1)
        else:
            blocks.append((names[i], place, place + 1))
    return order, blocks


def examples(labels: Sequence[str | None], per_class: int = 1, seed: int = 0, most: int = 400) -> list[int]:
    """Indices of `per_class` random items of each class, ordered by class; of data without classes up to 24 items."""
    names = named(labels)
    if len(set(names)) == 1:
        per_class = max(per_class, 24)
    shuffled = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    taken: dict[str, list[int]] = {name: [] for name in sorted(set(names))}
    for i in shuffled:
        if len(taken[names[i]]) < per_class:
            taken[names[i]].append(i)
    return [i for own in taken.values() for i in own][:most]


def one_caption(owner: Tensor | Sequence[int], images: int, seed: int = 0) -> Tensor:
    """For each image the index of one of its captions, drawn at random: (N,)."""
    owner = torch.as_tensor(owner).tolist()
    shuffled = torch.randperm(len(owner), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = {owner[caption]: caption for caption in shuffled}
    if len(chosen) < images:
        raise RsnbError(f"{images - len(chosen)} of {images} images have no caption")
    return torch.tensor([chosen[image] for image in range(images)])


# --- batches ----------------------------------------------------------------------------------------------------
def expected_same_class(labels: Sequence[str | None], batch_size: int) -> float:
    r"""How many of the B - 1 others in a random batch are of an item's own class, on average.

    .. math:: (B - 1) \sum_c \frac{n_c (n_c - 1)}{N (N - 1)}
    """
    n, counts = len(labels), Counter(named(labels))
    if not 2 <= batch_size <= n:
        raise RsnbError(f"a batch of {batch_size} cannot be drawn from {n} items; take 2 to {n}")
    return (batch_size - 1) * sum(c * (c - 1) for c in counts.values()) / (n * (n - 1))


def chance_of_same_class(labels: Sequence[str | None], batch_size: int) -> float:
    """Probability that at least one of the B - 1 others is of an item's own class (drawn without replacement)."""
    n, counts = len(labels), Counter(named(labels))
    if not 2 <= batch_size <= n:
        raise RsnbError(f"a batch of {batch_size} cannot be drawn from {n} items; take 2 to {n}")
    alone = sum(c * math.comb(n - c, batch_size - 1) / math.comb(n - 1, batch_size - 1) for c in counts.values()) / n
    return 1 - alone


@dataclass
class Hardest:
    """Of every item in many random batches: its positive, its hardest negative, whose that was."""

    positive: Tensor
    negative: Tensor
    item: Tensor
    at: Tensor
    same_class: Tensor

    @property
    def gap(self) -> Tensor:
        """Positive minus hardest negative; a hinge of margin m pushes where this is below m."""
        return self.positive - self.negative

    def inside(self, margin: float = 0.2) -> float:
        """Share of items whose hinge is active, 0 to 1."""
        return (self.gap < margin).float().mean().item()


def hardest_in_batch(
    a: Tensor,
    b: Tensor,
    labels: Sequence[str | None] | None = None,
    batch_size: int = 16,
    items: int = 2000,
    seed: int = 0,
) -> Hardest:
    """Draw random batches and find each item's hardest negative, as HMMC's hinge does.

    Args:
        a, b: (N, D), row i of both belonging together (an image and a caption, or twice the image).
        labels: classes, to see how often the hardest negative is of the same class.
        items: draw batches until about so many items were seen.
    """
    need_rows("hardest_in_batch", a, b)
    n = len(a)
    if not 2 <= batch_size <= n:
        raise RsnbError(f"{n} rows do not give batches of {batch_size}; take 2 to {n}")
    s, same = cosine(a, b), same_label(labels if labels is not None else list(map(str, range(n))))
    rng = torch.Generator().manual_seed(seed)
    found: dict[str, list[Tensor]] = {name: [] for name in ("positive", "negative", "item", "at", "same_class")}
    for _ in range(max(1, items // batch_size)):
        batch = torch.randperm(n, generator=rng)[:batch_size]
        part = s[batch][:, batch]
        negative, at = part.masked_fill(torch.eye(batch_size, dtype=torch.bool), -torch.inf).max(dim=1)
        values = (part.diagonal(), negative, batch, batch[at], same[batch, batch[at]])
        for name, value in zip(found, values):
            found[name].append(value)
    return Hardest(**{name: torch.cat(values) for name, values in found.items()})


# --- the shape of the space -------------------------------------------------------------------------------------
def alignment(x: Tensor, y: Tensor) -> float:
    """Mean squared distance of positive pairs, ``E |x - y|^2`` (Wang & Isola 2020, equation 1). Smaller is better."""
    need_rows("alignment", x, y)
    return (x.float() - y.float()).square().sum(dim=-1).mean().item()


def uniformity(x: Tensor, t: float = 2.0) -> float:
    """``log E exp(-t |x_i - x_j|^2)`` over pairs (Wang & Isola 2020, equation 2). 0 if all are one
    point, about -4 if spread evenly over a sphere of many dimensions (t = 2). Smaller is better."""
    squared = 2 - 2 * pair_values(cosine(x))
    return (torch.logsumexp(-t * squared, dim=0) - math.log(len(squared))).item()


def space_summary(
    image: Tensor, text: Tensor, owner: Tensor, labels: Sequence[str | None], seed: int = 0
) -> dict[str, float]:
    """Intra-modal similarity of a model in one row: mean and spread of the cosines, alignment, uniformity.

    Args:
        image (N, D), text (M, D), owner (M,): from a report of ``rsnb.evaluate``. Of each image one caption, drawn
            at random, stands in the text-text numbers.
    """
    need_rows("space_summary", image, text, alike=False)
    one = text[one_caption(owner, len(image), seed)]
    row = {}
    for name, x in (("image", image), ("text", one)):
        pairs = pair_values(cosine(x))
        within, between = within_between(cosine(x), labels)
        row |= {f"{name} mean": pairs.mean().item(), f"{name} spread": pairs.std(correction=0).item()}
        row |= {f"{name} within": _mean(within), f"{name} between": _mean(between)}
        row[f"{name} uniformity"] = uniformity(x)
    row["alignment"] = alignment(image[owner], text)
    row["modality gap"] = (image.mean(dim=0) - text.mean(dim=0)).norm().item()
    return row


def neighbour_agreement(x: Tensor, labels: Sequence[str | None], k: int = 5) -> float:
    """Share (0 to 1) of each item's k nearest neighbours that are of its own class, in the full space."""
    if len(labels) != len(x):
        raise RsnbError(f"{len(labels)} labels do not belong to {described(x)}")
    near = cosine(x).fill_diagonal_(-torch.inf).topk(min(k, len(x) - 1), dim=1).indices
    return same_label(labels).gather(1, near).float().mean().item()


def tsne(x: Tensor, seed: int = 0, perplexity: float = 30.0) -> numpy.ndarray:
    """t-SNE of (N, D) rows to (N, 2), started from PCA and seeded. Perplexity is cut to what N allows.

    Distances are Euclidean; of normalised rows that is the order of their cosines.
    """
    from sklearn.manifold import TSNE

    need_rows("tsne", x)
    if len(x) < 4:
        raise RsnbError(f"t-SNE of {len(x)} points shows nothing; give at least 4")
    kept = min(perplexity, (len(x) - 1) / 3)
    return TSNE(perplexity=kept, init="pca", random_state=seed, n_jobs=1).fit_transform(x.float().cpu().numpy())


def _mean(values: Tensor) -> float:
    return values.mean().item() if len(values) else math.nan
