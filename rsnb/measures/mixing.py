"""Similarities of two kinds on one scale, and mixed: an image plus words as the query."""

from __future__ import annotations

import torch
from torch import Tensor

from rsnb.errors import RsnbError

#: Scale of a row of similarities, by name; see :func:`normalise`.
WAYS = ("cdf", "standard score", "min-max", "none")


def normalise(scores: Tensor, way: str = "cdf") -> Tensor:
    r"""Each row of similarities (Q, N) on a common scale over its gallery.

    "cdf" (the paper's) takes the row for a normal distribution and gives the share of it that lies below, 0 to 1:
    :math:`\Phi((s - \mu) / \sigma)`; "standard score" stops at :math:`(s - \mu) / \sigma`; "min-max" stretches the row
    to 0 to 1; "none" leaves cosines. All of them rise with s: none changes the order within a row.
    """
    if way not in WAYS:
        raise RsnbError(f"no normalisation is called {way!r}; there are {', '.join(WAYS)}")
    scores = scores.double()
    if way == "none":
        return scores
    if way == "min-max":
        low, high = scores.amin(dim=1, keepdim=True), scores.amax(dim=1, keepdim=True)
        return (scores - low) / (high - low).clamp(min=1e-12)
    spread = scores.std(dim=1, correction=0, keepdim=True).clamp(min=1e-12)
    score = (scores - scores.mean(dim=1, keepdim=True)) / spread
    return torch.special.ndtr(score) if way == "cdf" else score


def mixed(image_scores: Tensor, word_scores: Tensor, lam: float, way: str = "cdf") -> Tensor:
    """(Q, N) and (Q, N) -> (Q, N): the image alone at lambda 0, the words alone at 1."""
    if not 0 <= lam <= 1:
        raise RsnbError(f"lambda is a weight between 0 (image alone) and 1 (words alone), not {lam}")
    return (1 - lam) * normalise(image_scores, way) + lam * normalise(word_scores, way)
