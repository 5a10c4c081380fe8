"""How a method reaches into an unmodified open_clip model: forward hooks, nothing else.

(Where :mod:`rsnb.fast` knows the model, it computes the same from the same places, with less work.)

open_clip's residual block computes, with ``ls_1`` and ``ls_2`` identities in every CLIP::

    x1 = x  + ls_1(attention(ln_1(x)))
    x2 = x1 + ls_2(mlp(ln_2(x1)))

A hook on ``ln_i`` sees the stream that goes in and the normed stream that comes out; a hook on ``ls_i`` sees the
branch's output and may return another one. That hosts serial and parallel adapters without touching a block,
its class or its state dict, and is undone by removing the hooks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsnb.errors import RsnbError

TOWERS = ("image", "text")


class Method(nn.Module):
    """What a method may do; a subclass overrides what it needs. Its parameters are the ones that train.

    In the blocks, ``tower`` being "image" or "text" and ``layer`` the block's index:
        ``after_attention``, ``after_mlp``: (branch output, normed stream, stream, tower, layer), each of the first
        three (N, L, width), give the new branch output.
        ``in_proj``: (weight, tower, layer) gives the weight (3 width, width) by which attention makes q, k and v.
    Around them:
        ``tokens``: ids (N, L) give the ids that go into the text tower; ``embed``: their embeddings
        (N, L, width), before positions are added, give new ones.
        ``enter``, ``leave``: the image tower's sequence (N, L, width) before its first and after its last block;
        ``before_block``: (sequence, layer) before each block.
        ``head``: (embedding (N, D), tower), pooled and not yet normalised, gives the new embedding.
    """

    after_attention = after_mlp = in_proj = None
    tokens = embed = enter = leave = before_block = head = None
    trains_backbone = False  # True only for full fine-tuning, which works on a copy
    tokenwise = True  # False where a place in a block lets tokens see each other (a convolution)


class Tap:
    """One place in one block. Its hooks are bound methods, so a deepcopy of the model carries them along."""

    def __init__(self, method: Method, site: str, tower: str, layer: int):
        self.method, self.site, self.tower, self.layer = method, site, tower, layer
        self.stream = self.normed = None

    def listen(self, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        self.stream, self.normed = inputs[0], output

    def join(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        stream, normed, self.stream, self.normed = self.stream, self.normed, None, None
        site = getattr(self.method, self.site)
        with torch.autocast(output.device.type, enabled=False):  # what trains computes in fp32
            return site(output.float(), normed.float(), stream.float(), self.tower, self.layer).to(output.dtype)


class Swap:
    """Another packed weight for the attention of one block, for the time of its forward pass."""

    def __init__(self, method: Method, tower: str, layer: int):
        self.method, self.tower, self.layer = method, tower, layer
        self.own = None

    def put(self, attention: nn.Module, inputs: tuple) -> None:
        self.own = attention._parameters["in_proj_weight"]
        attention._parameters["in_proj_weight"] = self.method.in_proj(self.own, self.tower, self.layer)

    def back(self, attention: nn.Module, inputs: tuple, output) -> None:
        if self.own is not None:
            attention._parameters["in_proj_weight"], self.own = self.own, None


class Sequence:
    """The places outside the blocks: token embeddings, and the image tower's sequence."""

    def __init__(self, method: Method, layer: int = 0):
        self.method, self.layer = method, layer

    def embed(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return self.method.embed(output)

    def enter(self, module: nn.Module, inputs: tuple) -> tuple:
        return (self.method.enter(inputs[0]), *inputs[1:])

    def before_block(self, module: nn.Module, inputs: tuple) -> tuple:
        return (self.method.before_block(inputs[0], self.layer), *inputs[1:])

    def leave(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return self.method.leave(output)


class TokenDropout:
    """HMMC's second view: dropout on the token embeddings just before the first block.

    While ``rate`` is set, the second half of a batch is dropped out and the first half is left clean, so
    that both views go through a tower in one pass.
    """

    def __init__(self):
        self.rate: float | None = None

    def drop(self, module: nn.Module, inputs: tuple) -> tuple | None:
        if self.rate is None:
            return None
        clean, copies = inputs[0].chunk(2)
        return (torch.cat([clean, F.dropout(copies, self.rate, training=True)]), *inputs[1:])


def transformers(model: nn.Module) -> dict[str, nn.Module]:
    """The two stacks of residual blocks of an open_clip model, by tower."""
    text = getattr(model, "text", None)
    found = {
        "image": getattr(getattr(model, "visual", None), "transformer", None),
        "text": getattr(text if text is not None else model, "transformer", None),
    }
    for tower, stack in found.items():
        blocks = getattr(stack, "resblocks", None)
        if blocks is None or not all(hasattr(blocks[0], name) for name in ("ln_1", "ls_1", "ln_2", "ls_2")):
            raise RsnbError(
                f"the {tower} tower of this {type(model).__name__} is no stack of open_clip residual blocks "
                "(a timm, ResNet or Hugging Face tower?); take a ViT CLIP such as ViT-B-32-quickgelu"
            )
    return found


def token_embedding(model: nn.Module) -> nn.Module:
    """The text tower's embedding table: in the model itself, or in its ``text`` (CustomTextCLIP)."""
    return getattr(model, "text", model).token_embedding


def has_blocks(model: nn.Module) -> bool:
    """Whether both towers are stacks of open_clip residual blocks (heads need none, token dropout does)."""
    try:
        return bool(transformers(model))
    except RsnbError:
        return False
