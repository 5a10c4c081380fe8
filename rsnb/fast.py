"""The same forward pass with less work. It changes no number beyond rounding, and it honours every method's places.

What is saved, against open_clip's own forward with hooks:

- ``cut``: captions end after the longest one of the batch: with a causal mask, padding behind EOS decides nothing;
- ``views``: the two views of HMMC share the embedding of patches and words and go through the blocks as one batch;
- ``pooled``: the last block is computed for the pooled token alone (CLS or EOS), after keys and values of all tokens;
- ``light``: the backward pass keeps less: of attention queries, keys and values, of QuickGELU its input (the softmax
  and the sigmoid are made again), and no fp32 copy of a bf16 stream that an adapter reads;
- ``once``: under bf16 the frozen weights are cast once and kept, where autocast casts them again at every call.

Models of another kind (other attention, a timm tower, text pooled elsewhere) are named by :func:`why_not`.
:func:`without` leaves out savings by name, to see what each is worth.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.weak import WeakTensorKeyDictionary

from rsnb.base.towers import why_not as why_not
from rsnb.errors import RsnbError

SAVINGS = ("cut", "views", "pooled", "light", "once")
SEQUENCES_AT_A_TIME = 16  # in LightAttention: their scores still fit into the cache of a processor
_left_out: frozenset[str] = frozenset()  # savings, inside `without`
_watchers: list[Callable[[Tensor], None]] = []  # inside `watching`
_copies = WeakTensorKeyDictionary()  # frozen weight -> (its state, its bf16 copy)


class Begun(NamedTuple):
    """What the first blocks of a frozen tower made of some inputs, to go on from: see :func:`begin`."""

    stream: Tensor  # (N, L, width), captions at their whole length; or (N, D) after the whole tower
    ids: Tensor | None  # of captions, (N, L)
    blocks: int | None  # how many; None: all, and what follows them


@contextlib.contextmanager
def without(*savings: str):
    """Leave out some of SAVINGS in this block: the same numbers, with more work."""
    global _left_out
    unknown = sorted(set(savings) - set(SAVINGS))
    if unknown:
        raise RsnbError(f"no saving is called {', '.join(unknown)}; there are {', '.join(SAVINGS)}")
    before, _left_out = _left_out, frozenset(savings)
    try:
        yield
    finally:
        _left_out = before


@contextlib.contextmanager
def watching(watch: Callable[[Tensor], None]):
    """In this block ``watch`` is called with every tensor that the passes keep for their backward pass in place of an
    fp32 copy (see :func:`keep_narrow`): what memory is counted by."""
    _watchers.append(watch)
    try:
        yield
    finally:
        _watchers.remove(watch)


class LightQuickGELU(torch.autograd.Function):
    """x sigmoid(1.702 x) = silu(1.702 x) / 1.702, which keeps 1.702 x alone; its derivative is that of silu there.

    With ``in_place`` 1.702 x takes the memory of x, for whoever made x and needs it for nothing else.
    """

    @staticmethod
    def forward(ctx, x: Tensor, in_place: bool = False) -> Tensor:
        scaled = x.mul_(1.702) if in_place else 1.702 * x
        ctx.save_for_backward(scaled)
        return F.silu(scaled).mul_(1 / 1.702)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return torch.ops.aten.silu_backward(grad, *ctx.saved_tensors), None


class LightAttention(torch.autograd.Function):
    """softmax(q k' / sqrt(d)) v for short sequences, which keeps q, k and v alone and makes the softmax again.

    qkv: (N, L, 3, heads, d); gives (N, L, heads * d). Scores and softmax are fp32 whatever the dtype.
    """

    @staticmethod
    def weights(q: Tensor, k: Tensor, causal: bool) -> Tensor:
        scores = (q.float() @ k.float().transpose(-1, -2)).mul_(q.shape[-1] ** -0.5)  # (N, heads, L, L)
        if causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu_(1)
            scores.masked_fill_(later, -torch.inf)
        return scores.softmax(dim=-1)

    @staticmethod
    def forward(ctx, qkv: Tensor, causal: bool) -> Tensor:
        ctx.save_for_backward(qkv)
        ctx.causal = causal
        n, length, _, heads, d = qkv.shape
        out = qkv.new_empty(n, length, heads, d)
        for part, result in zip(*(x.split(SEQUENCES_AT_A_TIME) for x in (qkv, out))):
            q, k, v = part.permute(2, 0, 3, 1, 4).contiguous()  # once, where each product would copy its own
            result.transpose(1, 2).copy_(LightAttention.weights(q, k, causal).to(v.dtype) @ v)
        return out.flatten(2)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (qkv,) = ctx.saved_tensors
        out, scale = torch.empty_like(qkv), qkv.shape[-1] ** -0.5
        grad = grad.unflatten(2, qkv.shape[-2:])
        for part, g, result in zip(*(x.split(SEQUENCES_AT_A_TIME) for x in (qkv, grad, out))):
            q, k, v = part.permute(2, 0, 3, 1, 4).contiguous()  # (N, heads, L, d)
            dq, dk, dv = result.permute(2, 0, 3, 1, 4)
            g = g.transpose(1, 2).contiguous()
            p = LightAttention.weights(q, k, ctx.causal)
            dv.copy_(p.to(v.dtype).transpose(-1, -2) @ g)
            dp = (g @ v.transpose(-1, -2)).float()
            ds = (p * (dp - (p * dp).sum(-1, keepdim=True))).mul_(scale).to(q.dtype)
            dq.copy_(ds @ k)
            dk.copy_(ds.transpose(-1, -2) @ q)
        return out, None


@contextlib.contextmanager
def keep_narrow(wide: list[Tensor], narrow: tuple[Tensor, ...]):
    """While active, the backward pass keeps each of the ``narrow`` tensors in place of its fp32 copy."""
    places = {w.data_ptr(): n.detach() for w, n in zip(wide, narrow)}

    def pack(x: Tensor):
        n = places.get(x.data_ptr())
        if n is None or x.numel() != n.numel() or not x.is_contiguous():
            n = None
        for watch in _watchers:
            watch(x if n is None else n)
        return x if n is None else (n, x.shape)

    def unpack(kept):
        return kept if isinstance(kept, Tensor) else kept[0].float().view(kept[1])

    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield
    finally:
        places.clear()  # the graph keeps pack itself alive


@dataclass
class TowerPass:
    """One pass through one tower: whose places, in which dtype."""

    method: nn.Module | None  # a rsnb.surgery.Method
    tower: str
    dtype: torch.dtype
    rate: float | None = None  # of the token dropout of the second view
    with_clean: bool = True  # whether there is a first view
    given_twice: bool = False  # whether the input is a batch of two equal halves, one for each view

    def views(self, x: Tensor) -> Tensor:
        """(N, L, width) -> with a rate (2N, L, width): the clean view, then the one with token dropout."""
        if self.rate is None:
            return x
        clean, copies = x.chunk(2) if self.given_twice else (x, x)
        dropped = F.dropout(copies, self.rate, training=True)
        return torch.cat([clean, dropped]) if self.with_clean else dropped

    def has(self, place: str) -> bool:
        """Whether the method has something to do there."""
        return getattr(self.method, place, None) is not None

    def at(self, place: str, x: Tensor, *more) -> Tensor:
        """x, or what the method makes of it there."""
        return self.method.at(place, x, *more) if self.has(place) else x

    @property
    def mixes_tokens(self) -> bool:
        return self.method is not None and self.method.mixes_tokens(self.tower)

    def cast(self, p: Tensor | None) -> Tensor | None:
        """p in this pass's dtype; what is frozen is cast once and kept."""
        if p is None or p.dtype == self.dtype:
            return p
        if p.requires_grad or torch.is_inference(p) or "once" in _left_out:
            return p.to(self.dtype)
        now = (p._version, p.data_ptr(), p.device, self.dtype)
        before, copy = _copies.get(p, (None, None))
        if before != now:
            with torch.inference_mode(False):  # a copy made while evaluating must do for training too
                copy = p.detach().to(self.dtype)
            _copies[p] = (now, copy)
        return copy

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, self.cast(weight), self.cast(bias))

    def norm(self, x: Tensor, ln: nn.Module) -> Tensor:
        if not isinstance(ln, nn.LayerNorm):
            return ln(x)  # open_clip has towers without ln_pre
        return F.layer_norm(x, ln.normalized_shape, self.cast(ln.weight), self.cast(ln.bias), ln.eps)

    def join(self, name: str, out: Tensor, normed: Tensor, stream: Tensor, layer: int) -> Tensor:
        """The method's place on a branch, in fp32 whatever the pass is in."""
        narrow = (out, normed, stream)
        if not self.has(name):
            return out
        if out.dtype == torch.float32 or "light" in _left_out or not self.method.keeps_promise("reads only"):
            return self.method.at(name, *narrow, self.tower, layer)
        wide = [x.float() for x in narrow]
        with keep_narrow(wide, narrow):
            return self.method.at(name, *wide, self.tower, layer).to(out.dtype)

    def attention(self, attn: nn.Module, normed: Tensor, layer: int, only_at: Tensor | None) -> Tensor:
        """(N, L, width) -> the same, or (N, 1, width) with the queries of the positions ``only_at`` (N,) alone."""
        (n, length, width), heads = normed.shape, attn.num_heads
        weight = self.cast(self.at("in_proj", attn.in_proj_weight, self.tower, layer))
        bias = self.cast(attn.in_proj_bias)
        causal = self.tower == "text"
        if only_at is None and normed.device.type == "cpu" and "light" not in _left_out:
            out = LightAttention.apply(F.linear(normed, weight, bias).view(n, length, 3, heads, -1), causal)
            return self.linear(out, attn.out_proj.weight, attn.out_proj.bias)
        if only_at is None:
            q, k, v = F.linear(normed, weight, bias).view(n, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        else:
            k, v = F.linear(normed, weight[width:], bias[width:]).view(n, length, 2, heads, -1).permute(2, 0, 3, 1, 4)
            q = F.linear(_tokens_at(normed, only_at), weight[:width], bias[:width])
            q = q.view(n, 1, heads, -1).transpose(1, 2)
            seen = (torch.arange(length, device=only_at.device) <= only_at[:, None])[:, None, None] if causal else None
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        out = out.transpose(1, 2).reshape(n, -1, width)
        return self.linear(out, attn.out_proj.weight, attn.out_proj.bias)

    def block(self, block: nn.Module, x: Tensor, layer: int, only_at: Tensor | None = None) -> Tensor:
        """A residual block; with ``only_at`` (N,) its output at these positions alone, (N, 1, width)."""
        if self.tower == "image":
            x = self.at("before_block", x, layer)
        normed = self.norm(x, block.ln_1)
        out = self.attention(block.attn, normed, layer, only_at)
        if only_at is not None:
            x, normed = _tokens_at(x, only_at), _tokens_at(normed, only_at)
        x = x + self.join("after_attention", out, normed, x, layer)
        normed = self.norm(x, block.ln_2)
        fc, act, proj = block.mlp.c_fc, block.mlp.gelu, block.mlp.c_proj
        hidden = self.linear(normed, fc.weight, fc.bias)
        light = isinstance(act, QuickGELU) and "light" not in _left_out
        out = self.linear(LightQuickGELU.apply(hidden, True) if light else act(hidden), proj.weight, proj.bias)
        return x + self.join("after_mlp", out, normed, x, layer)

    def blocks(self, stack: nn.Module, x: Tensor, pooled_at: Tensor, first: int) -> Tensor:
        """The blocks from ``first`` on and what leaves them, the last one for the pooled token (N,) alone where the
        method allows it: (N, width)."""
        last = len(stack.resblocks) - 1
        last_is_short = not self.mixes_tokens and "pooled" not in _left_out
        for layer, block in list(enumerate(stack.resblocks))[first:]:
            only_at = pooled_at if layer == last and last_is_short else None
            if stack.grad_checkpointing and torch.is_grad_enabled():
                x = checkpoint(self.block, block, x, layer, only_at, use_reentrant=False)
            else:
                x = self.block(block, x, layer, only_at)
        if self.tower == "image":
            x = self.at("leave", x)
        return x[:, 0] if last_is_short else _tokens_at(x, pooled_at)[:, 0]


def encode(
    model: nn.Module, tower: str, x: Tensor | Begun, method: nn.Module | None = None, rate: float | None = None
) -> Tensor:
    """What ``model.encode_image`` or ``encode_text`` gives with the method attached: (N, D), not yet normalised.

    Args:
        model: an open_clip model for which :func:`why_not` is None.
        x: pixels (N, 3, S, S), or ids (N, L) as they come from the tokenizer, before the method's ``tokens``; both
            are moved to the model's device. Ids left on the CPU spare a CUDA device a synchronisation. Or what
            :func:`begin` made of them with no more blocks than the method leaves alone.
        rate: with a number, (2N, D): first the clean views, then those with token dropout of this rate.
    """
    if isinstance(x, Begun) and x.blocks is None:
        return x.stream
    whole = _pass_of(model, tower, method, rate)
    if not isinstance(x, Begun) and (tower == "image" or (method and not method.keeps_promise("reads only"))):
        x = x.to(model.visual.conv1.weight.device, non_blocking=True)
    passes = [whole]
    if rate is not None and tower == "text" and whole.mixes_tokens:  # its ``embed`` may look at the batch of both views
        passes, x = [replace(whole, given_twice=True)], torch.cat([x, x])
    elif rate is not None and "views" in _left_out:
        passes = [replace(whole, rate=None), replace(whole, with_clean=False)]
    run = _image if tower == "image" else _text
    with torch.autocast(model.visual.conv1.weight.device.type, enabled=False):
        return torch.cat([run(one, model, x) for one in passes])


@torch.no_grad()
def begin(model: nn.Module, tower: str, x: Tensor, blocks: int | None, cut: bool = True) -> Begun:
    """What the first blocks of a tower make of pixels or ids, where no method touches them, for :func:`encode`; without
    ``cut`` of all positions of a caption, for a method that lets tokens see those behind EOS."""
    if blocks is None:
        return Begun(encode(model, tower, x), None, None)
    one_pass, device = _pass_of(model, tower), model.visual.conv1.weight.device
    given = x[:, : int(x.argmax(dim=1).max()) + 1] if tower == "text" and cut else x
    with torch.autocast(device.type, enabled=False):
        stream = (_patches if tower == "image" else _words)(one_pass, model, given.to(device, non_blocking=True))
        stack = (model.visual if tower == "image" else getattr(model, "text", model)).transformer
        for layer, block in enumerate(stack.resblocks[:blocks]):
            stream = one_pass.block(block, stream, layer)
    if tower == "image":
        return Begun(stream, None, blocks)
    return Begun(F.pad(stream, (0, 0, 0, x.shape[1] - stream.shape[1])), x, blocks)


def embed_batch(model: nn.Module, tower: str, x: Tensor | Begun, rate: float | None = None) -> Tensor:
    """What an :class:`rsnb.adapted.Adapted` gives: :func:`encode`, its head, L2-normalised."""
    pooled = encode(model.clip.model, tower, x, model.added, rate).float()
    if model.added.head is not None:
        with torch.autocast(pooled.device.type, enabled=False):
            pooled = model.added.at("head", pooled, tower)
    return F.normalize(pooled, dim=-1)


def _pass_of(model: nn.Module, tower: str, method: nn.Module | None = None, rate: float | None = None) -> TowerPass:
    """A pass in bf16 under bf16 autocast, else in the dtype of the weights."""
    weight = model.visual.conv1.weight
    device = weight.device.type
    bf16 = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
    return TowerPass(method, tower, torch.bfloat16 if bf16 else weight.dtype, rate)


def _patches(one_pass: TowerPass, model: nn.Module, pixels: Tensor) -> Tensor:
    """(N, 3, S, S) -> (N, 1 + patches, width)"""
    visual = model.visual
    conv = visual.conv1
    x = F.conv2d(pixels.to(one_pass.dtype), one_pass.cast(conv.weight), one_pass.cast(conv.bias), stride=conv.stride)
    x = x.flatten(2).transpose(1, 2)  # (N, patches, width)
    cls = one_pass.cast(visual.class_embedding).expand(len(x), 1, -1)
    x = torch.cat([cls, x], dim=1) + one_pass.cast(visual.positional_embedding)  # (N, 1 + patches, width)
    return one_pass.norm(x, visual.ln_pre)


def _image(one_pass: TowerPass, model: nn.Module, x: Tensor | Begun) -> Tensor:
    visual, first = model.visual, 0
    if isinstance(x, Begun):
        x, first = x.stream, x.blocks
    else:
        x = one_pass.at("enter", one_pass.views(_patches(one_pass, model, x)))
    x = one_pass.blocks(visual.transformer, x, x.new_zeros(len(x), dtype=torch.long), first)
    x = one_pass.norm(x, visual.ln_post)
    return x if visual.proj is None else x @ one_pass.cast(visual.proj)


def _words(one_pass: TowerPass, model: nn.Module, ids: Tensor) -> Tensor:
    """(N, L) -> (N, L, width)"""
    text = getattr(model, "text", model)
    x = one_pass.at("embed", F.embedding(ids, text.token_embedding.weight).to(one_pass.dtype))
    return x + one_pass.cast(text.positional_embedding)[: ids.shape[1]]


def _text(one_pass: TowerPass, model: nn.Module, given: Tensor | Begun) -> Tensor:
    text = getattr(model, "text", model)
    begun = isinstance(given, Begun)
    ids = given.ids if begun else one_pass.at("tokens", given)
    end = ids.argmax(dim=1)  # (N,) where EOS is
    if "cut" not in _left_out and not one_pass.mixes_tokens:
        ids = ids[:, : int(end.max()) + 1]  # on the CPU this waits for no device
    device = text.positional_embedding.device
    end, ids = end.to(device, non_blocking=True), ids.to(device, non_blocking=True)
    x = given.stream[:, : ids.shape[1]] if begun else one_pass.views(_words(one_pass, model, ids))
    x = one_pass.blocks(text.transformer, x, end.repeat(len(x) // len(end)), given.blocks if begun else 0)
    x = one_pass.norm(x, text.ln_final)
    projection = text.text_projection
    if projection is None:
        return x
    if isinstance(projection, nn.Linear):
        return one_pass.linear(x, projection.weight, projection.bias)
    return x @ one_pass.cast(projection)


def _tokens_at(x: Tensor, position: Tensor) -> Tensor:
    """(N, L, width) -> (N, 1, width), of row n the token at position[n]."""
    return x.gather(1, position[:, None, None].expand(-1, 1, x.shape[2]))
