"""Recall that does not depend on the order of ties, what could be reached at all, and how sure a number is.

Pure functions of embeddings (N images, M captions, width D), on the CPU. Five ways of counting stand side by side in
:data:`COUNTINGS`; :func:`report` puts recall, the effect of ties, a bootstrap interval and the ceiling in one table.

What is a tie? Two captions of the same text have the same embedding, so their similarities to an image are equal and
only the sort decides which of them comes first. :func:`rsnb.evaluation.embed` encodes a repeated caption once, and here
every distinct row is multiplied once, so such ties are exact and the default tolerance is 0. (A product of the whole
matrices may give two equal columns different last bits.) Code that encodes a repeated caption in several batches gets
embeddings that differ by rounding; there a tolerance such as 1e-6 joins them again. Text to image, only images of equal
embeddings tie: a text that describes two images is two queries of one ranking, in which one of the images comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rsnb.base.recalls import KS, recall_names
from rsnb.errors import RsnbError
from rsnb.evaluation import captions_of, checked_embeddings, ranks, similarities

COUNTINGS = {
    "expected": "the mean over all orders of the tied items, in closed form",
    "sort": "tied items in the order of the data set, as rsnb.evaluate counts",
    "authors": "the reversed argsort of numpy, as published code for remote sensing retrieval counts",
    "optimistic": "in every query the tied items that are right come first",
    "pessimistic": "in every query the tied items that are right come last",
}


# --- ties -------------------------------------------------------------------------------------------------------
@dataclass
class Ties:
    """Where the best right item of each query stands; one number a query (Q,).

    ``ahead`` items are strictly nearer than it, all of them wrong. ``own`` right items (itself counted; 0 for a query
    without any) and ``foreign`` wrong ones are as near as it.
    """

    ahead: Tensor
    own: Tensor
    foreign: Tensor

    def hits(self, k: int, counting: str = "expected") -> Tensor:
        """(Q,) chance from 0 to 1 that a right item is among the first k: expected, optimistic or pessimistic."""
        places = k - self.ahead  # what the items ahead leave to the tied ones
        if counting == "expected":
            return chance_of_hit(places, self.own + self.foreign, self.own)
        needed = {"optimistic": 0, "pessimistic": self.foreign}[counting]
        return ((places > needed) & (self.own > 0)).double()


def chance_of_hit(places: Tensor, group: Tensor, own: Tensor) -> Tensor:
    r"""Probability that at least one of ``own`` items of a group in random order is in the first ``places`` of it.

    .. math:: 1 - \binom{g - o}{r} \Big/ \binom{g}{r} = 1 - \prod_{j=0}^{r-1} \frac{g - o - j}{g - j},
       \qquad r = \min(\mathrm{places}, g)

    With one own item this is r / g. Tensors of one shape; float64.
    """
    places = places.clamp(min=0).minimum(group)
    miss = torch.ones(group.shape, dtype=torch.float64)
    for j in range(int(places.max()) if len(places) else 0):
        factor = (group - own - j).clamp(min=0).double() / (group - j).clamp(min=1)
        miss = torch.where(j < places, miss * factor, miss)
    return 1 - miss


def ties(image: Tensor, text: Tensor, owner: Tensor, tolerance: float = 0.0, block: int = 2**23) -> tuple[Ties, Ties]:
    """What stands ahead of, and beside, the best right item of every query, both ways.

    Args:
        image: (N, D); text: (M, D); owner: (M,) index of each caption's image.
        tolerance: similarities that differ by at most this count as tied; 0: only equal ones.
        block: at most so many similarities at a time (and at least one row of them).

    Returns:
        of each image among all captions (N,), of each caption among all images (M,).
    """
    image, text, owner = checked_embeddings(image, text, owner)
    if not tolerance >= 0:
        raise RsnbError(f"the tolerance is {tolerance}; it must be 0 or more")
    return (
        _beside(image, text, captions_of(owner, len(image)), tolerance, block),
        _beside(text, image, owner[:, None], tolerance, block),
    )


def _beside(query: Tensor, gallery: Tensor, own: Tensor, tolerance: float, block: int) -> Ties:
    """Ties of (Q, D) queries among (G, D) items; own (Q, C) are the right items, -1 where there are fewer than C."""
    found = []
    for rows, s in similarities(query, gallery, block):
        there = own[rows] >= 0
        mine = s.gather(1, own[rows].clamp(min=0)).masked_fill(~there, -torch.inf)
        best = mine.amax(dim=1, keepdim=True)
        ahead = (s > best + tolerance).sum(dim=1)
        near = (s >= best - tolerance).sum(dim=1)  # ahead or tied
        tied = (there & (mine >= best - tolerance)).sum(dim=1)
        found.append(torch.stack([ahead, tied, near - ahead - tied]))
    return Ties(*torch.cat(found, dim=1))


# --- hits and recalls -------------------------------------------------------------------------------------------
@dataclass
class Hits:
    """The chance (0 to 1) of each query to be a hit at each K: ``text`` (N, len(ks)) image to text, ``image``
    (M, len(ks)) text to image, ``owner`` (M,)."""

    text: Tensor
    image: Tensor
    owner: Tensor
    ks: tuple[int, ...] = KS

    @property
    def names(self) -> list[str]:
        return [*recall_names(self.ks), "mr"]

    @property
    def recalls(self) -> dict[str, float]:
        """text_r1, ..., image_r1, ... and mr, their mean; in percent."""
        values = 100 * torch.cat([self.text.mean(dim=0), self.image.mean(dim=0)])
        return dict(zip(self.names, [*values.tolist(), values.mean().item()]))


def hits(
    image: Tensor,
    text: Tensor,
    owner: Tensor,
    counting: str = "expected",
    ks: Sequence[int] = KS,
    tolerance: float = 0.0,
    block: int = 2**23,
) -> Hits:
    """Every query's chance of a hit, by one of the :data:`COUNTINGS`; tolerance as in :func:`ties` (the two sorts,
    "sort" and "authors", know none)."""
    if counting not in COUNTINGS:
        raise RsnbError(f"unknown counting {counting!r}; there are: {', '.join(COUNTINGS)}")
    image, text, owner = checked_embeddings(image, text, owner)
    if counting == "sort":
        return _hits_of_ranks(ranks(image, text, owner, block), owner, ks)
    if counting == "authors":
        return _hits_of_ranks(authors_ranks(image, text, owner, block=block), owner, ks)
    return hits_of_ties(ties(image, text, owner, tolerance, block), owner, ks, counting)


def _hits_of_ranks(both: tuple[Tensor, Tensor], owner: Tensor, ks: Sequence[int]) -> Hits:
    return Hits(*(torch.stack([(r < k).double() for k in ks], dim=1) for r in both), owner, tuple(ks))


def hits_of_ties(both: tuple[Ties, Ties], owner: Tensor, ks: Sequence[int], counting: str) -> Hits:
    return Hits(*(torch.stack([t.hits(k, counting) for k in ks], dim=1) for t in both), owner, tuple(ks))


def recall(
    image: Tensor,
    text: Tensor,
    owner: Tensor,
    counting: str = "expected",
    ks: Sequence[int] = KS,
    tolerance: float = 0.0,
    block: int = 2**23,
) -> dict[str, float]:
    """The recalls and mr in percent by one of the :data:`COUNTINGS`; see :func:`hits`.

    "pessimistic" and "optimistic" bound what any sort can make of the ties. They are taken query by query: one order
    of the data set serves some queries at the cost of others, so it seldom reaches either.
    """
    return hits(image, text, owner, counting, ks, tolerance, block).recalls


# --- the counting of the published codes ------------------------------------------------------------------------
def authors_ranks(
    image: Tensor, text: Tensor, owner: Tensor, kind: str | None = None, block: int = 2**23
) -> tuple[Tensor, Tensor]:
    """0-based ranks (N,) and (M,) as the public codes of PE-RSITR, AMFMN, GaLR, PIR and HarMA count them.

    One similarity matrix (N, 5N) in float64, captions 5i to 5i + 4 belonging to image i (PIR and HarMA: in float32, the
    captions looked up). Each row, and each row of the transpose, is sorted by ``numpy.argsort(row)[::-1]``; an image's
    rank is the position of the first of its captions, a caption's rank that of its image. Here any ``owner`` will do,
    and the rows come in blocks. GaLR's re-ranking before the count is not part of this.

    Ties: the position in the array decides. A stable sort that is reversed (``kind="stable"``) puts the LAST of equal
    items first, the opposite of :func:`rsnb.evaluation.ranks`. The codes leave ``kind`` at numpy's default, which is
    not stable: the order of equal items then depends on the numpy version and on the processor, so the same
    embeddings can give another recall on another machine. Without ties all of these are the same.
    """
    image, text, owner = checked_embeddings(image, text, owner)
    image, text = image.double(), text.double()
    both = ((image, text, captions_of(owner, len(image))), (text, image, owner[:, None]))
    return tuple(_by_argsort(*way, kind, block) for way in both)


def _by_argsort(query: Tensor, gallery: Tensor, own: Tensor, kind: str | None, block: int) -> Tensor:
    last, found = len(gallery) - 1, []
    for rows, s in similarities(query, gallery, block):
        order = torch.from_numpy(np.argsort(s.numpy(), axis=1, kind=kind))  # of each place the item, ascending
        at = torch.empty_like(order).scatter_(1, order, torch.arange(last + 1).expand_as(order))
        mine = (last - at).gather(1, own[rows].clamp(min=0))  # read backwards: descending
        found.append(mine.masked_fill(own[rows] < 0, torch.iinfo(torch.long).max).min(dim=1).values)
    return torch.cat(found)
