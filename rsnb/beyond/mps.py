"""MPS-CLIP: an adapter with global attention behind every block, and an image seen as a whole and by its regions.

Li, Wang, Huang 2026, *Multi-Perspective Subimage CLIP with Keyword Guidance* (arXiv 2601.18190), restated from the
authors' public code (github.com/Lcrucial1f/MPS-CLIP at 694ea6f, ``open_clip/model.py``, ``open_clip/GA.py``,
``models``). With x the stream that leaves a block and sigma the sigmoid of a learned gate::

    z  = linear(attention(gelu(down(x))))                  (N, L, bottleneck)
    z  = z + norm(z + attention(norm(z) + positions))      positions: sines and cosines
    z  = z + narrow(relu(conv(wide(z))))                   conv: each channel alone, along five tokens
    x' = x + up(sigma z)                                   up begins as zero

**What is replaced.** There a language model finds keywords in the captions, SamGeo cuts subimages for them, in training
and in test, and each goes through the tower. Both are models of others, which need a network. So the regions are the
windows of a grid, whatever is in them; a region has the embedding of the mean of its patches after the last block.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsnb.beyond.harma import GATE, attend, zero
from rsnb.errors import RsnbError
from rsnb.surgery import TOWERS, Method


def positions(like: Tensor) -> Tensor:
    """(L, width) sines (even features) and cosines (odd ones) of the places in a sequence (N, L, width)."""
    length, width = like.shape[1:]
    wave = 1e4 ** (-torch.arange(0, width, 2, device=like.device) / width)
    angle = torch.arange(length, device=like.device)[:, None] * wave
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).to(like.dtype)


class GlobalAttention(nn.Module):
    """Attention over all tokens and a convolution along them; either may be left out for a whole sequence at random."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.norm, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.wide, self.narrow = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width, bias=False)
        self.conv = nn.Conv1d(2 * width, 2 * width, 5, padding=2, groups=2 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor) -> Tensor:
        normed = self.norm(z)
        z = z + self.sometimes(self.after(z + self.dropout(attend(self.attention, normed + positions(z)))))
        hidden = self.conv(self.wide(z).transpose(1, 2)).transpose(1, 2)
        return z + self.sometimes(self.dropout(self.narrow(self.dropout(hidden.relu()))))

    def sometimes(self, branch: Tensor) -> Tensor:
        """The branch; in training zero for some sequences, and larger for the others."""
        return branch * self.dropout(branch.new_ones(len(branch), 1, 1))


class G2Adapter(nn.Module):
    """The adapter of one tower and block; gives what is added to the stream, at first zero."""

    def __init__(self, width: int, bottleneck: int, heads: int, dropout: float):
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), zero(nn.Linear(bottleneck, width))
        self.attention = nn.MultiheadAttention(bottleneck, heads, batch_first=True)
        self.linear = nn.Linear(bottleneck, bottleneck)
        self.everywhere = GlobalAttention(bottleneck, heads, dropout)
        self.gate = nn.Parameter(torch.tensor(GATE))

    def forward(self, x: Tensor) -> Tensor:
        z = self.linear(attend(self.attention, F.gelu(self.down(x))))
        return self.up(self.gate.sigmoid() * self.everywhere(z))


class MPSCLIP(Method):
    """MPS-CLIP's adapters, and embeddings of twice the width: an image as a whole, then its regions; a caption twice.

    So a cosine is the mean of two: of the whole image, and of the regions' mean. (When the public code tests, it takes
    the cosine of the mean of the two embeddings.) At step 0 the first half is zero-shot CLIP, the second is not. The
    loss, :class:`rsnb.beyond.alignment.MPSLoss`, takes the halves apart.

    At ViT-B/32 with bottleneck 128 the adapters have 9,139,224 numbers, and the perspectives of the loss 2,101,248: the
    count of the public code's layers; none was found in print. What ``unfreeze`` trains of CLIP's last LayerNorm and
    projection does not reach the regions.

    Options:
        bottleneck, heads: of the adapter; heads must divide it. dropout: of attention, convolution and branches.
        regions: windows in a row and in a column of the grid of patches.
    """

    promises = {"reads only"}

    def __init__(self, clip, bottleneck: int = 128, heads: int = 8, dropout: float = 0.1, regions: int = 2):
        super().__init__()
        if min(bottleneck, heads) < 1 or bottleneck % heads or bottleneck % 2:
            raise RsnbError(f"the bottleneck is {bottleneck}; it must be even and a multiple of heads, {heads} here")
        self.grid, self.regions = clip.grid, regions
        if not 1 <= regions <= min(self.grid):
            raise RsnbError(f"regions is {regions}; a grid of {self.grid} patches has 1 to {min(self.grid)} in a row")
        self.visual = (clip.model.visual,)  # in a tuple: it is no part of the method
        self.adapters, self.found = nn.ModuleDict(), None
        for tower in TOWERS:
            width, depth = clip.widths[tower], clip.depths[tower]
            self.adapters[tower] = nn.ModuleList(G2Adapter(width, bottleneck, heads, dropout) for _ in range(depth))

    def after_mlp(self, out: Tensor, normed: Tensor, stream: Tensor, tower: str, layer: int) -> Tensor:
        return out + self.adapters[tower][layer](stream + out)

    def leave(self, x: Tensor) -> Tensor:
        """Find the regions' mean embedding (N, D), for :meth:`head`."""
        (visual,), (rows, columns) = self.visual, self.grid
        if x.shape[1] != 1 + rows * columns:
            raise RsnbError(
                f"MPSCLIP finds {x.shape[1] - 1} tokens behind CLS, and its regions are windows of {rows} x {columns} "
                "patches; it does not go with prompts in the image tower"
            )
        patches = x[:, 1:].unflatten(1, self.grid)  # (N, rows, columns, width)
        strips = patches.tensor_split(self.regions, dim=1)
        windows = [window for strip in strips for window in strip.tensor_split(self.regions, dim=2)]
        means = torch.stack([window.mean(dim=(1, 2)) for window in windows], dim=1)  # (N, regions^2, width)
        embedded = visual.ln_post(means)
        embedded = embedded if visual.proj is None else embedded @ visual.proj
        self.found = F.normalize(embedded, dim=-1).mean(dim=1)
        return x

    def head(self, embedding: Tensor, tower: str) -> Tensor:
        """(N, D) -> (N, 2 D), both halves of length 1."""
        other = embedding
        if tower == "image":
            other, self.found = self.found, None
        return torch.cat([F.normalize(embedding, dim=-1), F.normalize(other, dim=-1)], dim=1)
