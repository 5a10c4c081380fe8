"""Methods that leave the blocks alone and act on the pooled embedding."""

from __future__ import annotations

from torch import Tensor, nn

from rsnb.surgery import Method


class LinearProbe(Method):
    """A linear map after each frozen encoder: e' = W_m e, without bias.

    The paper's column says 1.05 M parameters on ViT-B/32 and does not say how; two maps from 512 to 1,024
    (2 x 512 x 1,024 = 1,048,576) fit it. Initialised as torch does it, so step 0 is NOT zero-shot CLIP.

    Options:
        dim: width of the new joint space; None is twice CLIP's.
    """

    def __init__(self, clip, dim: int | None = None):
        super().__init__()
        dim = 2 * clip.embed_dim if dim is None else dim
        self.maps = nn.ModuleDict({m: nn.Linear(clip.embed_dim, dim, bias=False) for m in ("image", "text")})

    def head(self, embedding: Tensor, tower: str) -> Tensor:
        """(N, D) -> (N, dim)."""
        return self.maps[tower](embedding)
