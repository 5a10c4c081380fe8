"""Methods that leave the blocks alone and act on the pooled embedding."""

from __future__ import annotations

from torch import Tensor, nn

from rsnb.errors import RsnbError
from rsnb.surgery import TOWERS, Method


class LinearProbe(Method):
    """A linear map after each frozen encoder: e' = W_m e, without bias.

    The paper's column says 1.05 M parameters on ViT-B/32 and does not say how; two maps from 512 to 1,024
    (2 x 512 x 1,024 = 1,048,576) fit it. Initialised as torch does it, so step 0 is NOT zero-shot CLIP.

    Options:
        dim: width of the new joint space; None is twice CLIP's.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, dim: int | None = None):
        super().__init__()
        dim = 2 * clip.embed_dim if dim is None else dim
        self.maps = nn.ModuleDict({m: nn.Linear(clip.embed_dim, dim, bias=False) for m in ("image", "text")})

    def head(self, embedding: Tensor, tower: str) -> Tensor:
        """(N, D) -> (N, dim)."""
        return self.maps[tower](embedding)


class CLIPAdapter(Method):
    """Gao et al. 2021, *CLIP-Adapter*: a small MLP after each frozen encoder, blended with what it was given.

    ``e' = r * relu(W_2 relu(W_1 e)) + (1 - r) * e``, r = 0.2, without biases. Both ReLUs are the original's: the
    added part has no negative entry. Step 0 is NOT zero-shot CLIP.

    Departures: captions get one too, with the same shape. The original's middle is a quarter of D; only half of D
    (512-256-512 on both sides, 524,288 parameters on ViT-B/32) gives the paper's 0.52 M.

    Options:
        dim: width of the middle; None is D / 2. ratio: r.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, dim: int | None = None, ratio: float = 0.2):
        super().__init__()
        dim = clip.embed_dim // 2 if dim is None else dim
        if dim < 1 or not 0 <= ratio <= 1:
            raise RsnbError(f"dim is {dim} and ratio {ratio}; dim must be at least 1 and ratio between 0 and 1")
        self.ratio = ratio
        self.down = nn.ModuleDict({m: nn.Linear(clip.embed_dim, dim, bias=False) for m in TOWERS})
        self.up = nn.ModuleDict({m: nn.Linear(dim, clip.embed_dim, bias=False) for m in TOWERS})

    def head(self, embedding: Tensor, tower: str) -> Tensor:
        """(N, D) -> (N, D)."""
        added = self.up[tower](self.down[tower](embedding).relu()).relu()
        return self.ratio * added + (1 - self.ratio) * embedding
