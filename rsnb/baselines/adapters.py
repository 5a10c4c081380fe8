"""The other adapters of the paper's table: small bottlenecks inside the blocks of a frozen CLIP.

All of them compute ``up(act(down(x)))`` with a narrow middle. They differ in where x is taken from, where the
result goes, what stands in the middle, and what the two towers have in common:

    ============  ========  ===================  =================  ==================================
    method        place     fed with             after              the two towers share
    ============  ========  ===================  =================  ==================================
    Adapter       serial    the branch's output  attention and MLP  nothing
    AdaptFormer   parallel  the stream           MLP                nothing
    Convpass      parallel  the normed stream    attention and MLP  (image tower only)
    Cross-Modal   serial    the branch's output  attention and MLP  a slice of the up-projection
    UniAdapter    parallel  the stream           MLP                the down-projection, if widths allow
    MRS (mrs.py)  parallel  the stream           MLP                a slice of the up-projection
    ============  ========  ===================  =================  ==================================

``share_layers``: one module for all blocks of a tower, which is what reproduces most of the paper's parameter
column, or one for each block, as the methods' own papers have it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsnb.base.fields import chosen_blocks
from rsnb.errors import RsnbError
from rsnb.surgery import TOWERS, Method


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI's approximation of GELU, x * sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


class Bank(Method):
    """Adapters of one kind in the blocks: one for each tower, or one for each tower, block and place in it."""

    places = 1

    def fill(self, clip, make, share_layers: bool, towers: tuple[str, ...] = TOWERS) -> None:
        """``make(width, tower)`` builds one adapter."""
        self.adapters = nn.ModuleDict()
        for tower in towers:
            count = 1 if share_layers else self.places * clip.depths[tower]
            self.adapters[tower] = nn.ModuleList(make(clip.widths[tower], tower) for _ in range(count))

    def adapter_at(self, tower: str, layer: int, place: int = 0) -> nn.Module:
        adapters = self.adapters[tower]
        return adapters[0] if len(adapters) == 1 else adapters[self.places * layer + place]


class Bottleneck(nn.Module):
    """``up(dropout(act(down(x))))``, (N, L, width) -> (N, L, width); ``start`` says how ``up`` begins.

    start: "zero" (step 0 adds nothing), "near zero" (Houlsby: all weights N(0, 0.001) cut at two deviations,
        zero biases), "torch" (PyTorch's own).
    """

    def __init__(self, width: int, bottleneck: int, act=torch.relu, dropout: float = 0.0, start: str = "zero"):
        super().__init__()
        if bottleneck < 1:
            raise RsnbError(f"the bottleneck is {bottleneck}; it must be at least 1")
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.act, self.dropout = act, nn.Dropout(dropout)
        nn.init.zeros_(self.down.bias)
        if start == "zero":
            nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)
        elif start == "near zero":
            for layer in (self.down, self.up):
                nn.init.trunc_normal_(layer.weight, std=1e-3, a=-2e-3, b=2e-3)
            nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.dropout(self.act(self.down(x))))


class Adapter(Bank):
    """Houlsby et al. 2019, *Parameter-Efficient Transfer Learning for NLP*: serial, after attention and after MLP.

    ``y = h + up(gelu(down(h)))`` with h the branch's output, before it is added to the stream. The weights begin
    near zero, so step 0 is zero-shot CLIP nearly, not exactly.

    Departures: layer norms stay frozen (Houlsby trains them); with ``share_layers`` one adapter serves both places
    of all blocks of a tower, which gives the paper's 0.17 M (165,248 on ViT-B/32).
    """

    promises = {"tokenwise", "reads only"}

    places = 2

    def __init__(self, clip, bottleneck: int = 64, share_layers: bool = True):
        super().__init__()
        self.fill(clip, lambda width, _: Bottleneck(width, bottleneck, F.gelu, start="near zero"), share_layers)

    def after_attention(self, out, normed, stream, tower, layer):
        return out + self.adapter_at(tower, layer, 0)(out)

    def after_mlp(self, out, normed, stream, tower, layer):
        return out + self.adapter_at(tower, layer, 1)(out)


class AdaptFormer(Bank):
    """Chen et al. 2022, *AdaptFormer*: parallel to the MLP, on the un-normed stream, scaled.

    ``x2 = x1 + mlp(ln_2(x1)) + s * up(dropout(relu(down(x1))))``, s = 0.1, dropout 0.1, up zero at first.

    Departures: both towers get one (the original is for images alone); with ``share_layers`` one adapter serves all
    blocks of a tower, which gives the paper's 0.17 M (165,248 on ViT-B/32).
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, bottleneck: int = 64, scale: float = 0.1, dropout: float = 0.1, share_layers: bool = True):
        super().__init__()
        self.scale = scale
        self.fill(clip, lambda width, _: Bottleneck(width, bottleneck, dropout=dropout), share_layers)

    def after_mlp(self, out, normed, stream, tower, layer):
        return out + self.scale * self.adapter_at(tower, layer)(stream)


class ConvBottleneck(nn.Module):
    """``up(dropout(quick_gelu(conv(quick_gelu(down(x))))))``: a 3 x 3 convolution over the grid of patches.

    The CLS token goes through the same convolution alone, as an image of one pixel. The convolution begins as the
    identity, up as zero.
    """

    def __init__(self, width: int, bottleneck: int, grid: tuple[int, int], dropout: float):
        super().__init__()
        if bottleneck < 1:
            raise RsnbError(f"the bottleneck is {bottleneck}; it must be at least 1")
        self.grid = grid
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.conv, self.dropout = nn.Conv2d(bottleneck, bottleneck, 3, padding=1), nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.down.weight)
        for zero in (self.down.bias, self.conv.weight, self.conv.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)
        with torch.no_grad():
            self.conv.weight[:, :, 1, 1] += torch.eye(bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        (rows, columns), n = self.grid, x.shape[0]
        z = quick_gelu(self.down(x)).transpose(1, 2)  # (N, bottleneck, 1 + patches)
        if z.shape[2] != 1 + rows * columns:
            raise RsnbError(
                f"Convpass convolves over {rows} x {columns} patches behind CLS, but finds {z.shape[2] - 1} tokens; "
                "it does not go with prompts in the image tower"
            )
        cls = self.conv(z[:, :, :1, None]).flatten(2)  # (N, bottleneck, 1)
        patches = self.conv(z[:, :, 1:].reshape(n, -1, rows, columns)).flatten(2)  # (N, bottleneck, patches)
        z = torch.cat([cls, patches], dim=2).transpose(1, 2)
        return self.up(self.dropout(quick_gelu(z)))


class Convpass(Bank):
    """Jie and Deng 2022, *Convolutional Bypasses Are Better Vision Transformer Adapters*: image tower only.

    ``x1 = x + attention(ln_1(x)) + s * bypass(ln_1(x))`` and the same beside the MLP: parallel, on the normed
    stream. Up begins as zero, so step 0 is zero-shot CLIP. The original chooses s for each task; here it is 1.

    Departures: the grid of patches is the backbone's (the original writes 14 x 14); with ``share_layers`` one module
    serves both places of all blocks, which gives the paper's 0.14 M (136,064 on ViT-B/32).
    """

    places = 2
    promises = {"reads only", "tokenwise in text"}

    def __init__(self, clip, bottleneck: int = 64, scale: float = 1.0, dropout: float = 0.1, share_layers: bool = True):
        super().__init__()
        self.scale = scale
        grid = clip.grid
        make = lambda width, _: ConvBottleneck(width, bottleneck, grid, dropout)  # noqa: E731
        self.fill(clip, make, share_layers, towers=("image",))

    def after_attention(self, out, normed, stream, tower, layer):
        return out if tower == "text" else out + self.scale * self.adapter_at(tower, layer, 0)(normed)

    def after_mlp(self, out, normed, stream, tower, layer):
        return out if tower == "text" else out + self.scale * self.adapter_at(tower, layer, 1)(normed)


class CrossModalBottleneck(nn.Module):
    """``concat(up_m(z), up_shared(z))`` with ``z = quick_gelu(down_m(h))``: MRS-Adapter's shape, without dropout."""

    def __init__(self, widths: dict[str, int], bottleneck: int, shared: int):
        super().__init__()
        if bottleneck < 1:
            raise RsnbError(f"the bottleneck is {bottleneck}; it must be at least 1")
        if not 1 <= shared < min(widths.values()):
            raise RsnbError(f"the shared width is {shared}; it must be from 1 to {min(widths.values()) - 1} here")
        self.down = nn.ModuleDict({m: nn.Linear(width, bottleneck) for m, width in widths.items()})
        self.up = nn.ModuleDict({m: nn.Linear(bottleneck, width - shared) for m, width in widths.items()})
        self.up_shared = nn.Linear(bottleneck, shared)
        for down in self.down.values():
            nn.init.zeros_(down.bias)
        for up in (*self.up.values(), self.up_shared):
            nn.init.zeros_(up.weight)
            nn.init.zeros_(up.bias)

    def forward(self, h: Tensor, modality: str) -> Tensor:
        z = quick_gelu(self.down[modality](h))
        return torch.cat([self.up[modality](z), self.up_shared(z)], dim=-1)


class CrossModal(Method):
    """Jiang et al. 2022, *Cross-Modal Adapter for Text-Video Retrieval*: serial, a slice of the up-projection shared.

    ``y = h + concat(up_m(z), up_shared(z))``, ``z = quick_gelu(down_m(h))``, h the output of attention or MLP.
    This is the nearest relative of MRS-Adapter, which moves it beside the MLP and adds dropout 0.5.

    Departures: up begins as zero (the original draws it small), so step 0 is zero-shot CLIP; with ``share_layers``
    one module serves both places of all blocks. 164,208 parameters on ViT-B/32 with 16 shared features, 161,088
    with 64: both round to the paper's 0.16 M.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, bottleneck: int = 64, shared: int = 16, share_layers: bool = True):
        super().__init__()
        count = 1 if share_layers else 2 * len(chosen_blocks(clip.depths, share=False))
        widths = clip.widths
        self.adapters = nn.ModuleList(CrossModalBottleneck(widths, bottleneck, shared) for _ in range(count))

    def adapter_at(self, layer: int, place: int) -> nn.Module:
        return self.adapters[0] if len(self.adapters) == 1 else self.adapters[2 * layer + place]

    def after_attention(self, out, normed, stream, tower, layer):
        return out + self.adapter_at(layer, 0)(out, tower)

    def after_mlp(self, out, normed, stream, tower, layer):
        return out + self.adapter_at(layer, 1)(out, tower)


class UniBottleneck(Bottleneck):
    """A bottleneck with a layer norm of its own in front."""

    def __init__(self, width: int, bottleneck: int, start: str, down: nn.Linear | None = None):
        super().__init__(width, bottleneck, start=start)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        self.norm = nn.LayerNorm(width)
        if down is not None:
            self.down = down

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.norm(x))


class UniAdapter(Bank):
    """Lu et al. 2023, *UniAdapter*: parallel to the MLP, with a layer norm of its own, scaled by 0.1.

    ``x2 = x1 + mlp(ln_2(x1)) + 0.1 * up_m(relu(down(norm_m(x1))))``. The down-projection is the same for both
    modalities where their widths are equal. As in the reference code the text's up-projection begins as zero and the
    image's as PyTorch draws it, so step 0 is NOT zero-shot CLIP.

    Departures: CLIP's towers have widths 768 and 512, so each has its own down-projection unless ``share_down`` is
    possible and asked for; there is no fusion encoder, hence no cross-modal up-projection. No natural setting gives the
    paper's 0.55 M; one for each block with bottleneck 16 comes nearest (537,984 on ViT-B/32).
    """

    promises = {"tokenwise", "reads only"}

    def __init__(
        self, clip, bottleneck: int = 16, scale: float = 0.1, share_layers: bool = False, share_down: bool = False
    ):
        super().__init__()
        self.scale = scale
        widths = clip.widths
        if share_down and widths["image"] != widths["text"]:
            raise RsnbError(
                f"share_down needs towers of one width, this CLIP has {widths['image']} (image) and {widths['text']} "
                "(text); leave it out"
            )
        self.fill(clip, lambda w, tower: UniBottleneck(w, bottleneck, START[tower]), share_layers)
        if share_down:
            for image, text in zip(self.adapters["image"], self.adapters["text"]):
                text.down = image.down

    def after_mlp(self, out, normed, stream, tower, layer):
        return out + self.scale * self.adapter_at(tower, layer)(stream)


START = {"image": "torch", "text": "zero"}  # UniAdapter's up-projections


class LoRA(Method):
    """Hu et al. 2021, *LoRA*: a low-rank change of the weights that make queries, keys and values. Not in the paper.

    ``W' = W + (alpha / r) * B A`` for W of q, k and v, in every block of both towers; A is (r, width) and random,
    B is (width, r) and zero, so step 0 is zero-shot CLIP. Rank 2 gives 184,320 parameters on ViT-B/32.

    Departures: q, k and v each (the original takes q and v), no dropout on the input.

    Options:
        rank: r. alpha: None is the rank, a factor of 1. share_layers: one A and B for all blocks of a tower.
    """

    promises = {"tokenwise", "reads only"}

    def __init__(self, clip, rank: int = 2, alpha: float | None = None, share_layers: bool = False):
        super().__init__()
        if rank < 1:
            raise RsnbError(f"the rank is {rank}; it must be at least 1")
        self.scale = 1.0 if alpha is None else alpha / rank
        self.A, self.B = nn.ParameterDict(), nn.ParameterDict()
        for tower, width in clip.widths.items():
            depth = 1 if share_layers else clip.depths[tower]
            self.A[tower] = nn.Parameter(torch.empty(depth, 3, rank, width))
            self.B[tower] = nn.Parameter(torch.zeros(depth, 3, width, rank))
            bound = 1 / math.sqrt(width)  # kaiming-uniform with a = sqrt 5
            nn.init.uniform_(self.A[tower], -bound, bound)

    def in_proj(self, weight: Tensor, tower: str, layer: int) -> Tensor:
        """(3 width, width) -> the same, with q's, k's and v's change added."""
        k = layer if len(self.A[tower]) > 1 else 0
        change = torch.bmm(self.B[tower][k], self.A[tower][k]).flatten(0, 1)  # (3 width, width)
        return weight + self.scale * change.to(weight.dtype)
