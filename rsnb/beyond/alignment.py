"""The losses of HarMA and MPS-CLIP, for a config whose loss is "own:HarMALoss" or "own:MPSLoss" (:func:`rsnb.train`).

Restated from ``models/harma.py`` of github.com/seekerhuang/HarMA (Huang 2024, arXiv 2404.18253) and from
``models/mpsclip.py``, ``models/mpr.py`` of github.com/Lcrucial1f/MPS-CLIP at 694ea6f (Li, Wang, Huang 2026, arXiv
2601.18190). Two pairs are the least; equal captions of different images count as negatives of each other, as there.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsnb.beyond.parts import both_ways, pairs_of_one_image
from rsnb.errors import RsnbError


def contrast(logits: Tensor, same: Tensor) -> Tensor:
    r"""Cross-entropy both ways, with a target spread evenly over the pairs of the same image, averaged over the batch.

    Args:
        logits: (B, B), images by texts. same: (B, B), whether two pairs have one image; true on the diagonal.
    """
    return both_ways(logits, same / same.sum(dim=1, keepdim=True)) / len(logits)


def adaptive_triplet(s: Tensor, margin: float = 0.2, gamma: float = 2.0) -> Tensor:
    r"""A hinge on every negative, weighted by its own size, as the focal loss weighs: hard negatives count most.

    .. math:: L = \tfrac12 \sum_{i \ne j} \bigl(w(h_{ij}) + w(h'_{ij})\bigr),\quad w(h) = (1 - e^{-h})^\gamma h,

    with :math:`h_{ij} = [m + s_{ij} - s_{ii}]_+` and :math:`h'_{ij} = [m + s_{ij} - s_{jj}]_+`. Summed over the batch;
    the gradient goes through the weight too.

    Args:
        s: (B, B) cosines, images by texts.
    """
    positive, negative = s.diagonal(), ~torch.eye(len(s), dtype=torch.bool, device=s.device)
    hinges = torch.stack([margin + s - positive[:, None], margin + s - positive[None, :]])[:, negative].clamp(min=0)
    return (-torch.expm1(-hinges)).pow(gamma).mul(hinges).sum() / 2


class HarMALoss(nn.Module):
    """HarMA's objective, :func:`contrast` + :func:`adaptive_triplet`, times B: the sum over the batch.

    Departure: what learns is the logarithm of the inverse temperature, at most log 100 as in CLIP; the public code
    learns the temperature itself, which a large step could make negative.

    Args:
        margin, gamma: see :func:`adaptive_triplet`. temperature: where the learned one begins.
    """

    def __init__(self, margin: float = 0.2, gamma: float = 2.0, temperature: float = 0.07):
        super().__init__()
        if gamma < 1 or temperature <= 0:
            raise RsnbError(f"gamma is {gamma} and temperature {temperature}; they must be at least 1, and above 0")
        self.margin, self.gamma = margin, gamma
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, batch):
        s = batch.image @ batch.text.T
        scale = self.log_scale.clamp(max=math.log(100.0)).exp()
        parts = {
            "contrast": len(s) * contrast(scale * s, pairs_of_one_image(batch.owners)),
            "triplet": len(s) * adaptive_triplet(s, self.margin, self.gamma),
        }
        return sum(parts.values()), {name: part.detach() for name, part in parts.items()}


class MPSLoss(nn.Module):
    r"""HarMA's two losses of the whole image, and the same of the regions seen in several ways, times B.

    A perspective is a small network on the regions' embedding. Of an image and a text the most similar perspective
    counts, :math:`s_{ij} = \max_k v_{ik} t_j`; this part is weighted by ``share``, its contrast has CLIP's temperature
    and knows no two captions of one image. The perspectives serve training alone.

    Args:
        width: D of the CLIP, half of what :class:`MPSCLIP` gives. perspectives, share: how many, and their weight.
        margin, gamma, temperature: as in HarMA; this temperature does not learn.
    """

    def __init__(
        self,
        width: int = 512,
        perspectives: int = 4,
        share: float = 0.2,
        margin: float = 0.2,
        gamma: float = 2.0,
        temperature: float = 0.07,
    ):
        super().__init__()
        if gamma < 1 or temperature <= 0 or perspectives < 1:
            raise RsnbError(
                f"gamma {gamma}, perspectives {perspectives}: at least 1; temperature {temperature}: above 0"
            )
        self.width, self.share, self.temperature = width, share, temperature
        self.hinge = {"margin": margin, "gamma": gamma}
        self.perspectives = nn.ModuleList(perspective(width) for _ in range(perspectives))

    def forward(self, batch):
        if batch.image.shape[1] != 2 * self.width:
            raise RsnbError(
                f"the embeddings have width {batch.image.shape[1]}; MPSLoss(width={self.width}) needs "
                f"{2 * self.width}: train MPSCLIP, and give the width of its CLIP as loss_options={{'width': ...}}"
            )
        whole, regions, text = (
            F.normalize(x, dim=-1) for x in (*batch.image.chunk(2, dim=1), batch.text.chunk(2, dim=1)[0])
        )
        s = whole @ text.T
        views = torch.stack([F.normalize(one(regions), dim=-1) @ text.T for one in self.perspectives]).amax(dim=0)
        itself = torch.eye(len(s), dtype=torch.bool, device=s.device)
        parts = {
            "contrast": contrast(s / self.temperature, pairs_of_one_image(batch.owners)),
            "triplet": adaptive_triplet(s, **self.hinge),
            "contrast of views": self.share * contrast(batch.logit_scale * views, itself),
            "triplet of views": self.share * adaptive_triplet(views, **self.hinge),
        }
        return len(s) * sum(parts.values()), {name: len(s) * part.detach() for name, part in parts.items()}


def perspective(width: int) -> nn.Sequential:
    """Two linear layers with a GELU between; weights Xavier-uniform, biases zero."""
    layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
    for layer in (layers[0], layers[2]):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return layers
