"""The places where a method reaches into an unmodified open_clip model, and the hooks for where rsnb.fast does not run.

By default :mod:`rsnb.fast` computes the blocks itself and calls the method at these places; no hook fires then. For a
model that it does not know, and after ``model.fast(False)``, hooks in open_clip's own forward call it.

open_clip's residual block computes, with ``ls_1`` and ``ls_2`` identities in every CLIP::

    x1 = x  + ls_1(attention(ln_1(x)))
    x2 = x1 + ls_2(mlp(ln_2(x1)))

A hook on ``ln_i`` sees the stream that goes in and the normed stream that comes out; a hook on ``ls_i`` sees the
branch's output and may return another one. That hosts serial and parallel adapters without touching a block,
its class or its state dict, and is undone by removing the hooks.
"""

from __future__ import annotations

import contextlib

import torch
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

    A place may mix tokens, look at the whole batch, or change the tensors it is given, which are copies. What a class
    ``promises`` of its places saves work and memory; a subclass inherits no promise, for it may break it:

        "tokenwise": the answer for a token depends on that token and its position alone ("tokenwise in text": there);
        "reads only": no tensor that is given is changed.
    """

    after_attention = after_mlp = in_proj = None
    tokens = embed = enter = leave = before_block = head = None
    trains_backbone = False  # True only for full fine-tuning, which works on a copy
    promises: frozenset[str] | set[str] = frozenset()

    def keeps_promise(self, word: str) -> bool:
        """Whether the method's own class makes this promise."""
        return word in vars(type(self)).get("promises", ())

    def mixes_tokens(self, tower: str) -> bool:
        """Whether a place where only some tokens may be computed could let them see each other."""
        places = (self.after_attention, self.after_mlp, self.embed if tower == "text" else self.leave)
        promised = self.keeps_promise("tokenwise") or self.keeps_promise(f"tokenwise in {tower}")
        return any(place is not None for place in places) and not promised

    def at(self, place: str, *given):
        """What the method makes of ``given`` at a place: in fp32 under autocast too, in the dtype of the first one."""
        reads_only, dtype, device = self.keeps_promise("reads only"), given[0].dtype, given[0].device.type
        given = [widened(x, copied=not reads_only) if isinstance(x, Tensor) else x for x in given]
        watched = [x for x in given if isinstance(x, Tensor)] if reads_only and torch.is_grad_enabled() else []
        versions = [x._version for x in watched]
        with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext():
            made = getattr(self, place)(*given)
        if versions != [x._version for x in watched]:
            raise RsnbError(f"{type(self).__name__} promises 'reads only', but its {place} changes what it is given")
        return made.to(dtype)


def widened(x: Tensor, copied: bool = False) -> Tensor:
    """x in fp32 where it is narrower; ``copied``: in memory of its own in any case."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32)) if x.is_floating_point() else x
    return x.clone() if copied and wide is x else wide


class Tap:
    """``after_attention`` or ``after_mlp`` of one block. Bound methods as hooks survive a deepcopy of the model."""

    def __init__(self, method: Method, place: str, tower: str, layer: int):
        self.method, self.place, self.tower, self.layer = method, place, tower, layer
        self.stream = self.normed = None

    def listen(self, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        """Hook on ``ln_i``: remember the stream that goes in and the normed stream that comes out."""
        self.stream, self.normed = inputs[0], output

    def join(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        """Hook on ``ls_i``: the method's answer in the place of the branch's output."""
        stream, normed, self.stream, self.normed = self.stream, self.normed, None, None
        return self.method.at(self.place, output, normed, stream, self.tower, self.layer)


class Swap:
    """Another packed weight for the attention of one block, for the time of its forward pass."""

    def __init__(self, method: Method, tower: str, layer: int):
        self.method, self.tower, self.layer = method, tower, layer
        self.own = None

    def put(self, attention: nn.Module, inputs: tuple) -> None:
        """Hook before attention: the method's weight in, the frozen one kept aside."""
        self.own = attention._parameters["in_proj_weight"]
        attention._parameters["in_proj_weight"] = self.method.at("in_proj", self.own, self.tower, self.layer)

    def back(self, attention: nn.Module, inputs: tuple, output) -> None:
        """Hook after attention, also after an error: the frozen weight back."""
        if self.own is not None:
            attention._parameters["in_proj_weight"], self.own = self.own, None


class Stream:
    """The places outside the branches: token embeddings, and the image tower's sequence; hooks of the same names."""

    def __init__(self, method: Method, layer: int = 0):
        self.method, self.layer = method, layer

    def embed(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return self.method.at("embed", output)

    def enter(self, module: nn.Module, inputs: tuple) -> tuple:
        return (self.method.at("enter", inputs[0]), *inputs[1:])

    def before_block(self, module: nn.Module, inputs: tuple) -> tuple:
        return (self.method.at("before_block", inputs[0], self.layer), *inputs[1:])

    def leave(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return self.method.at("leave", output)


def untouched_blocks(method: Method, tower: str) -> int | None:
    """How many blocks of a tower come before the first one that a method acts in or before; None: it leaves the whole
    tower alone, but for a head.

    Where places alone do not tell, a class may: ``first_block(tower)`` gives the number of the first block, or None. A
    subclass does not inherit that, as with promises.
    """
    of_tower = {"image": ("enter", "before_block", "leave"), "text": ("tokens", "embed")}[tower]
    places = (*of_tower, "in_proj", "after_attention", "after_mlp")
    if all(getattr(method, place) is None for place in places):
        return None
    own = vars(type(method)).get("first_block")
    return own(method, tower) if own else 0
