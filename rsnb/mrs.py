"""MRS-Adapter, the paper's module: the file to open first.

One small bottleneck, shared by all blocks of both towers. Each modality has its own down-projection and its own
up-projection; a last slice of the up-projection is shared by both, so that what one modality learns moves the other::

    z   = dropout(relu(down_m(x)))             x: (N, L, width_m), z: (N, L, 64)
    out = concat(up_m(z), up_shared(z))        (N, L, width_m - 64) and (N, L, 64)
    x2  = x1 + mlp(ln_2(x1)) + out(x1)         parallel to the MLP, fed with the un-normed stream x1
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rsnb.base.fields import chosen_blocks
from rsnb.errors import RsnbError
from rsnb.surgery import Method


class MRSAdapter(nn.Module):
    """The adapter itself.

    Args:
        widths: the stream's width in each tower, {"image": 768, "text": 512} for ViT-B/32.
        bottleneck: width of z.
        shared: how many of the output features come from the up-projection that both modalities share.
        dropout: on z.

    At ViT-B/32 the five linear layers hold 49,216 + 32,832 + 45,760 + 29,120 + 4,160 = 161,088 parameters.
    Source: Yuan et al. 2023, MRS-Adapter section.
    """

    def __init__(self, widths: dict[str, int], bottleneck: int = 64, shared: int = 64, dropout: float = 0.5):
        super().__init__()
        if bottleneck < 1:
            raise RsnbError(f"the bottleneck is {bottleneck}; it must be at least 1")
        if not 0 <= shared < min(widths.values()):
            raise RsnbError(
                f"the shared up-projection has width {shared}; it must be at least 0 and less than the narrowest "
                f"tower's width, {min(widths.values())} here"
            )
        self.down = nn.ModuleDict({m: nn.Linear(width, bottleneck) for m, width in widths.items()})
        self.up = nn.ModuleDict({m: nn.Linear(bottleneck, width - shared) for m, width in widths.items()})
        self.up_shared = nn.Linear(bottleneck, shared) if shared else None
        self.dropout = nn.Dropout(dropout)
        for down in self.down.values():
            nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))  # nn.Linear's own start, drawn again: the committed
            # results were made with the random numbers that follow
            nn.init.zeros_(down.bias)
        shared_up = [self.up_shared] if shared else []
        for up in [*self.up.values(), *shared_up]:
            nn.init.zeros_(up.weight)  # so that step 0 adds exactly zero: zero-shot CLIP
            nn.init.zeros_(up.bias)

    def forward(self, x: Tensor, modality: str) -> Tensor:
        """x: (N, L, width of the modality) -> (N, L, width), to be added to the stream."""
        z = self.dropout(torch.relu(self.down[modality](x)))  # (N, L, bottleneck)
        own = self.up[modality](z)  # (N, L, width - shared)
        return own if self.up_shared is None else torch.cat([own, self.up_shared(z)], dim=-1)


class MRS(Method):
    """MRS-Adapter attached to a CLIP: parallel to the MLP, on the stream after attention.

    Options:
        bottleneck, shared, dropout: see :class:`MRSAdapter`.
        share_layers: one adapter for all blocks (the paper), or one for each depth.
        towers: which towers get it.
        layers: which blocks get it (0-based; None is all of them). Each tower must have them.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(
        self,
        clip,
        bottleneck: int = 64,
        shared: int = 64,
        dropout: float = 0.5,
        share_layers: bool = True,
        towers: str | tuple[str, ...] = ("image", "text"),
        layers: tuple[int, ...] | None = None,
    ):
        super().__init__()
        towers = (towers,) if isinstance(towers, str) else tuple(towers)
        if not towers or set(towers) - {"image", "text"}:
            raise RsnbError(f"towers is {towers!r}; choose from 'image' and 'text'")
        chosen = chosen_blocks({tower: clip.depths[tower] for tower in towers}, layers, share_layers)
        widths = {tower: clip.widths[tower] for tower in towers}
        self.adapters = nn.ModuleList(
            MRSAdapter(widths, bottleneck, shared, dropout) for _ in range(1 if share_layers else len(chosen))
        )
        self._adapter_of = {layer: 0 if share_layers else i for i, layer in enumerate(chosen)}
        self.towers = towers

    def after_mlp(self, out: Tensor, normed: Tensor, stream: Tensor, tower: str, layer: int) -> Tensor:
        """mlp(ln_2(x1)) + adapter(x1); the block itself adds x1."""
        if tower not in self.towers or layer not in self._adapter_of:
            return out
        return out + self.adapters[self._adapter_of[layer]](stream, tower)

    def first_block(self, tower: str) -> int | None:
        """For :func:`rsnb.surgery.untouched_blocks`."""
        return min(self._adapter_of) if tower in self.towers else None
