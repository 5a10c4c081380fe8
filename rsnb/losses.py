"""The objectives: HMMC (the paper's), its bidirectional hinge, and CLIP's contrastive loss.

All functions take embeddings of one batch, row i of each tensor belonging to pair i, and return scalars. They
compute in fp32, under autocast too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rsnb.base.shapes import need_rows
from rsnb.errors import RsnbError


def triplet(a: Tensor, b: Tensor, margin: float = 0.2, mining: str = "hardest") -> Tensor:
    r"""Bidirectional hinge T(a, b) on the hardest in-batch negative (the paper, HMMC section).

    .. math::
        T(a, b) = \sum_i \max_{j \ne i} [m + s_{ij} - s_{ii}]_+ + \sum_j \max_{i \ne j} [m + s_{ij} - s_{jj}]_+

    with :math:`s_{ij}` the cosine of ``a[i]`` and ``b[j]``. Summed over the batch, not averaged.

    Args:
        a, b: (B, D) embeddings; they are normalised here. A batch of one has no negatives: the loss is 0.
        margin: m, in units of cosine.
        mining: "hardest" takes the largest hinge of each row and column; "semi-hard" the largest among the negatives
            that are less similar than the positive, :math:`s_{ij} < s_{ii}` (Schroff et al. 2015, FaceNet, section
            3.2); "sum" adds all of them.
    """
    need_rows("triplet", a, b)
    with torch.autocast(a.device.type, enabled=False):  # cosines in fp32 always
        s = F.normalize(a.float(), dim=-1) @ F.normalize(b.float(), dim=-1).T  # (B, B)
    positive = s.diagonal()  # (B,)   s_ii
    itself = torch.eye(len(s), dtype=torch.bool, device=s.device)
    for_a = (margin + s - positive[:, None]).clamp(min=0).masked_fill(itself, 0)  # row i: a_i against every b_j
    for_b = (margin + s - positive[None, :]).clamp(min=0).masked_fill(itself, 0)  # column j: b_j against every a_i
    if mining == "sum":
        return for_a.sum() + for_b.sum()
    if mining == "semi-hard":  # without negatives that are as similar as the positive, or more
        for_a = for_a.masked_fill(s >= positive[:, None], 0)
        for_b = for_b.masked_fill(s >= positive[None, :], 0)
    elif mining != "hardest":
        raise RsnbError(f"mining is {mining!r}; choose 'hardest', 'semi-hard' or 'sum'")
    return for_a.amax(dim=1).sum() + for_b.amax(dim=0).sum()


def hmmc(
    image: Tensor,
    text: Tensor,
    image_augmented: Tensor,
    text_augmented: Tensor,
    margin: float = 0.2,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    mining: str = "hardest",
    parts: bool = False,
):
    r"""Hybrid multi-modal contrastive loss (the paper, HMMC section).

    .. math:: L = w_1\,T(v, t) + w_2\,T(v, v') + w_3\,T(t, t')

    Args:
        image, text: v and t, (B, D), the clean embeddings.
        image_augmented, text_augmented: v' and t', (B, D), of the same inputs with token dropout.
        margin, mining: see :func:`triplet`.
        weights: of the cross-modal, intra-image and intra-text terms; equal in the reference code.
        parts: also return the three unweighted terms as a dict ``cross``, ``image``, ``text``.

    Returns:
        the loss, or (loss, parts). A term of weight 0 is not computed and reported as 0.
    """
    need_rows("hmmc", image, text, *(x for x in (image_augmented, text_augmented) if x is not None))
    pairs = {"cross": (image, text), "image": (image, image_augmented), "text": (text, text_augmented)}
    if len(weights) != 3 or not any(weights):
        raise RsnbError(
            f"hmmc needs three weights, not all 0 (cross-modal, intra-image, intra-text), found {weights!r}"
        )
    terms = {
        name: triplet(*pair, margin=margin, mining=mining) if w else image.new_zeros((), dtype=torch.float32)
        for (name, pair), w in zip(pairs.items(), weights)
    }
    loss = sum(w * term for w, term in zip(weights, terms.values()))
    return (loss, {name: term.detach() for name, term in terms.items()}) if parts else loss


def clip_loss(image: Tensor, text: Tensor, logit_scale: Tensor | float = 100.0) -> Tensor:
    r"""CLIP's symmetric cross-entropy (Radford et al. 2021, figure 3), averaged over the batch.

    .. math:: L = \tfrac12\,\mathrm{CE}(\tau s, \mathrm{diag}) + \tfrac12\,\mathrm{CE}(\tau s^\top, \mathrm{diag})

    Args:
        image, text: (B, D) embeddings; normalised here.
        logit_scale: tau, the inverse temperature (100 in a trained CLIP).
    """
    need_rows("clip_loss", image, text)
    with torch.autocast(image.device.type, enabled=False):  # in fp32 always
        logits = logit_scale * F.normalize(image.float(), dim=-1) @ F.normalize(text.float(), dim=-1).T
        target = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
