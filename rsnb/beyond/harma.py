"""HarMA: a gated adapter behind every MLP, with a part that both towers share.

Huang 2024, *Efficient Remote Sensing with Harmonized Transfer Learning and Modality Alignment* (arXiv 2404.18253),
restated from the authors' public code (github.com/seekerhuang/HarMA, ``models/mga.py``).
For a tower m and a block, with h what its MLP gives and sigma the sigmoid of a learned gate::

    z0 = gelu(down_m(h))                                   (N, L, bottleneck)
    z1 = attention_m(shared(attention_m(z0)))              shared(z) = z + up(sigma attention(y) + (1 - sigma) y)
    z2 = sigma z0 + (1 - sigma) z1                                     with y = down(z), half as wide
    h' = h + sigma up_m(z2)                                up_m and up begin as zero: step 0 is zero-shot CLIP

Tokens see each other in the adapter, a caption's words also those behind them and the padding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsnb.errors import RsnbError
from rsnb.surgery import TOWERS, Method

GATE = 0.6  # where every gate begins, before the sigmoid


def attend(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """Self-attention, (N, L, width) -> the same."""
    return attention(x, x, x, need_weights=False)[0]


def zero(layer: nn.Linear) -> nn.Linear:
    """The layer, with weight and bias zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mixed(gate: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """sigma(gate) a + (1 - sigma(gate)) b."""
    return torch.lerp(b, a, gate.sigmoid())


class SharedAdapter(nn.Module):
    """What the two towers of one depth have in common: (N, L, width) -> the same, at first unchanged."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, width // 2), zero(nn.Linear(width // 2, width))
        self.attention = nn.MultiheadAttention(width // 2, heads, batch_first=True)
        self.gate = nn.Parameter(torch.tensor(GATE))

    def forward(self, z: Tensor) -> Tensor:
        y = self.down(z)
        return z + self.up(mixed(self.gate, attend(self.attention, y), y))


class GatedAdapter(nn.Module):
    """The adapter of one tower and block; gives what is added to h, at first zero."""

    def __init__(self, width: int, bottleneck: int, heads: int):
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), zero(nn.Linear(bottleneck, width))
        self.attention = nn.MultiheadAttention(bottleneck, heads, batch_first=True)
        self.gate, self.outer_gate = (nn.Parameter(torch.tensor(GATE)) for _ in range(2))

    def forward(self, h: Tensor, shared: SharedAdapter) -> Tensor:
        z0 = F.gelu(self.down(h))
        z1 = attend(self.attention, shared(attend(self.attention, z0)))  # the same attention twice
        return self.outer_gate.sigmoid() * self.up(mixed(self.gate, z0, z1))


class HarMA(Method):
    """HarMA's multimodal gated adapter; its loss is :class:`rsnb.beyond.alignment.HarMALoss`.

    At ViT-B/32 with bottleneck 128 a depth has 494,533 numbers (263,554 image, 197,762 text, 33,217 shared), all
    twelve 5,934,396; the authors speak of 0.5 M a layer, and their code counts 5.9 M (issue 10 of their repository).

    Departure: the shared part serves both towers, as the paper has it; in the public code of today the text tower alone
    uses it. The count is the same.

    Options:
        bottleneck: width of z. heads: of every attention; must divide half the bottleneck.
    """

    promises = {"reads only"}

    def __init__(self, clip, bottleneck: int = 128, heads: int = 8):
        super().__init__()
        if min(bottleneck, heads) < 1 or bottleneck % (2 * heads):
            raise RsnbError(f"the bottleneck is {bottleneck}; half of it must be a multiple of heads, {heads} here")
        self.shared = nn.ModuleList(SharedAdapter(bottleneck, heads) for _ in range(max(clip.depths.values())))
        self.adapters = nn.ModuleDict()
        for tower in TOWERS:
            width, depth = clip.widths[tower], clip.depths[tower]
            self.adapters[tower] = nn.ModuleList(GatedAdapter(width, bottleneck, heads) for _ in range(depth))

    def after_mlp(self, out: Tensor, normed: Tensor, stream: Tensor, tower: str, layer: int) -> Tensor:
        return out + self.adapters[tower][layer](out, self.shared[layer])
