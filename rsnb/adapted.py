"""A CLIP with a method attached: what :func:`rsnb.adapt` gives."""

from __future__ import annotations

import copy
import difflib
import re
import warnings
from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rsnb.base.shapes import need_pixels, need_tokens
from rsnb.base.towers import has_blocks, token_embedding, transformers, why_not
from rsnb.errors import RsnbError, RsnbWarning
from rsnb.fast import Begun, begin, embed_batch
from rsnb.surgery import Method, Stream, Swap, Tap, untouched_blocks

#: Places of a method that need towers of open_clip's residual blocks; ``tokens`` and ``head`` lie outside them.
IN_THE_TOWERS = ("after_attention", "after_mlp", "in_proj", "embed", "enter", "leave", "before_block")
CLIP_PART = "clip:"  # before the name of a parameter of the CLIP that trains too; no method has such a name
_warned: set[tuple[str, str]] = set()  # (model, reason for open_clip's own forward): each is said once


class TokenDropout:
    """HMMC's second view: dropout on the token embeddings just before the first block.

    While ``rate`` is set, the second half of a batch is dropped out and the first half is left clean, so
    that both views go through a tower in one pass.
    """

    def __init__(self):
        self.rate: float | None = None

    def drop(self, module: nn.Module, inputs: tuple) -> tuple | None:
        """Hook before a stack of blocks."""
        if self.rate is None:
            return None
        clean, copies = inputs[0].chunk(2)
        return (torch.cat([clean, F.dropout(copies, self.rate, training=True)]), *inputs[1:])


class Adapted(nn.Module):
    """A CLIP with a method attached. Made by :func:`rsnb.adapt`.

    ``encode_image(pixels)`` and ``encode_text(tokens)`` give L2-normalised (N, D) embeddings; everything else
    of the CLIP is reached through ``.clip``. The frozen CLIP stays in eval mode whatever ``train()`` says.

    ``unfreeze``: parts of the CLIP that train beside the method (see :func:`named_parameters_of`). Where any part of it
    trains, ``.clip`` is a copy that shares what is frozen with the CLIP given, which stays as it is.
    """

    def __init__(self, clip, method: str, added: Method, options: dict, unfreeze: str | Collection[str] | None = None):
        super().__init__()
        if getattr(clip, "adapted_by", None):
            raise RsnbError(
                f"this CLIP already carries the method {clip.adapted_by!r}; call .detach() on that model first, "
                "or load a second CLIP"
            )
        needs_blocks = any(getattr(added, place) is not None for place in IN_THE_TOWERS)
        self._droppable = needs_blocks or has_blocks(clip.model)
        if needs_blocks:
            transformers(clip.model)  # raises before anything is touched
        unfrozen = named_parameters_of(clip.model, "" if added.trains_backbone else unfreeze)
        self.original = [clip]  # in a list, so that its weights are not listed twice
        self.clip = _copy_of(clip, unfrozen) if unfrozen else clip
        self.method, self.options, self.added, self.unfrozen = method, dict(options), added, unfrozen
        self._kept = {name: p.requires_grad for name, p in clip.named_parameters()}
        for name, p in self.clip.model.named_parameters():
            p.requires_grad_(name in unfrozen)
        self.token_dropout = TokenDropout()
        self._handles: list = []
        self._attach()
        self.clip.adapted_by = method
        self.fast()
        self.train(False)

    def _attach(self) -> None:
        stacks = transformers(self.clip.model) if self._droppable else {}
        keep = self._handles.append
        for tower, stack in stacks.items():
            keep(stack.register_forward_pre_hook(self.token_dropout.drop))
            for layer, block in enumerate(stack.resblocks):
                for i, place in ((1, "after_attention"), (2, "after_mlp")):
                    if getattr(self.added, place) is not None:
                        tap = Tap(self.added, place, tower, layer)
                        keep(getattr(block, f"ln_{i}").register_forward_hook(tap.listen))
                        keep(getattr(block, f"ls_{i}").register_forward_hook(tap.join))
                if self.added.in_proj is not None:
                    swap = Swap(self.added, tower, layer)
                    keep(block.attn.register_forward_pre_hook(swap.put))
                    keep(block.attn.register_forward_hook(swap.back, always_call=True))  # after an error too
                if tower == "image" and self.added.before_block is not None:
                    keep(block.register_forward_pre_hook(Stream(self.added, layer).before_block))
        outside = Stream(self.added)
        if self.added.embed is not None:
            keep(token_embedding(self.clip.model).register_forward_hook(outside.embed))
        if self.added.enter is not None:  # registered after the token dropout: prompts are not dropped
            keep(stacks["image"].register_forward_pre_hook(outside.enter))
        if self.added.leave is not None:
            keep(stacks["image"].register_forward_hook(outside.leave))

    def detach(self):
        """Take the method off and give the CLIP back as it was. This model is of no use afterwards."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        clip = self.original[0]
        self.clip.adapted_by = None
        if self.clip is clip:  # a copy took nothing from it, and another method may be on it by now
            for name, p in clip.named_parameters():
                p.requires_grad_(self._kept[name])
        return clip

    def train(self, mode: bool = True):
        super().train(mode)
        if not self.added.trains_backbone:
            self.clip.eval()
        return self

    @property
    def device(self) -> torch.device:
        return self.clip.device

    @property
    def stamp(self) -> str:
        return self.clip.stamp

    def fast(self, on: bool = True) -> Adapted:
        """Whether embeddings come from the written-out forward of :mod:`rsnb.fast` (the default: equal to rounding)
        or from open_clip's own with hooks, which hooks of your own on its blocks can follow. Returns itself.

        Where the model is of a kind that the former does not know, the latter is taken, with a warning said once.
        """
        reason = why_not(self.clip.model) if on else None
        if reason and (self.clip.name, reason) not in _warned:
            _warned.add((self.clip.name, reason))
            warnings.warn(f"open_clip's own forward is used for {self.clip.name}: {reason}", RsnbWarning, stacklevel=4)
        self._written_out = on and reason is None
        return self

    @property
    def is_fast(self) -> bool:
        """Whether embeddings come from :mod:`rsnb.fast`."""
        return self._written_out

    def untouched(self, tower: str) -> int | None:
        """How many blocks of a tower give the same at every step (see :func:`rsnb.surgery.untouched_blocks`); None: the
        whole tower does, 0: nothing can be kept."""
        found = 0 if self.unfrozen else untouched_blocks(self.added, tower)
        return found if found is None or self._written_out else 0

    @torch.no_grad()
    def begin(self, tower: str, x: Tensor) -> Begun:
        """What the untouched blocks make of pixels or token ids, to be given to ``encode_image`` or ``encode_text`` in
        their place."""
        if self._written_out:
            return begin(self.clip.model, tower, x, self.untouched(tower), cut=not self.added.mixes_tokens(tower))
        if self.untouched(tower) is not None:
            raise RsnbError(f"open_clip's own forward cannot begin with a part of its {tower} tower")
        encode = self.clip.model.encode_image if tower == "image" else self.clip.model.encode_text
        return Begun(encode(x.to(self.device, non_blocking=True)), None, None)

    def _encode(self, tower: str, x: Tensor | Begun) -> Tensor:
        if self._written_out:
            return embed_batch(self, tower, x)
        if isinstance(x, Begun):
            embedding = x.stream
        elif tower == "image":
            embedding = self.clip.model.encode_image(x.to(self.device, non_blocking=True))
        else:
            ids = x.to(self.device, non_blocking=True)
            ids = ids if self.added.tokens is None else self.added.at("tokens", ids)
            embedding = self.clip.model.encode_text(ids)
        with torch.autocast(embedding.device.type, enabled=False):
            embedding = embedding.float()
            if self.added.head is not None:
                embedding = self.added.at("head", embedding, tower)
            return F.normalize(embedding, dim=-1)

    def encode_image(self, pixels: Tensor | Begun) -> Tensor:
        """(N, 3, S, S) preprocessed pixels, or what :meth:`begin` made of them -> (N, D), L2-normalised."""
        if not isinstance(pixels, Begun):
            need_pixels(pixels, self.clip.image_shape)
        return self._encode("image", pixels)

    def encode_text(self, tokens: Tensor | Begun) -> Tensor:
        """(N, context length) token ids, here or on the CPU, or what :meth:`begin` made of them -> (N, D),
        L2-normalised."""
        if not isinstance(tokens, Begun):
            need_tokens(tokens, self.clip.context_length)
        try:
            return self._encode("text", tokens)
        except IndexError as error:  # on a CPU: a token id that the vocabulary lacks
            raise RsnbError(f"encode_text: {error}; clip.tokenizer(list of sentences) makes token ids") from None

    def encode_twice(self, tower: str, x: Tensor, rate: float = 0.2) -> tuple[Tensor, Tensor]:
        """The clean and the token-dropped embeddings of one input, (N, D) each, in one pass over 2N."""
        need = need_pixels if tower == "image" else need_tokens
        need(x, self.clip.image_shape if tower == "image" else self.clip.context_length)
        if not self._droppable:
            raise RsnbError("token dropout needs towers of open_clip residual blocks; use loss='clip' or 'triplet'")
        if self._written_out:
            clean, dropped = embed_batch(self, tower, x, rate).chunk(2)
            return clean, dropped
        self.token_dropout.rate = rate
        try:
            clean, dropped = self._encode(tower, torch.cat([x, x])).chunk(2)
        finally:
            self.token_dropout.rate = None
        return clean, dropped

    def trainable(self) -> dict[str, nn.Parameter]:
        """Name -> parameter of all that trains, each once: the method's own, and "clip:<name>" of the CLIP's."""
        return {n: p for n, p in self.state().items() if isinstance(p, nn.Parameter) and p.requires_grad}

    def state(self) -> dict[str, Tensor]:
        """Name -> tensor, not copied, of all that was added or trains, each once: the method's parameters, frozen ones
        too, and its persistent buffers; of the CLIP, as "clip:<name>", what is not frozen.

        Raises:
            RsnbError: the method keeps a state that is no tensor.
        """
        theirs = {id(p) for model in (self.original[0], self.clip) for p in (*model.parameters(), *model.buffers())}
        found = {n: x for n, x in self.added.state_dict(keep_vars=True).items() if id(x) not in theirs}
        odd = [name for name, x in found.items() if not isinstance(x, Tensor)]
        if odd:
            raise RsnbError(f"{self.method} keeps {odd[0]}, which is no tensor; keep it as a buffer or an option")
        parts = self.clip.model.state_dict(keep_vars=True)
        whole = self.added.trains_backbone  # its train mode moves buffers too, such as a BatchNorm's
        moved = {n: x for n, x in parts.items() if n in self.unfrozen or (whole and not isinstance(x, nn.Parameter))}
        found |= {f"{CLIP_PART}{n}": x for n, x in moved.items()}
        first = {id(x): name for name, x in reversed(found.items())}
        return {name: x for name, x in found.items() if first[id(x)] == name}


def named_parameters_of(model: nn.Module, words: str | Collection[str] | None) -> frozenset[str]:
    """The names of an open_clip model's parameters that a word stands for: one in which a part begins with it.

    ``"ln_"`` is every LayerNorm of both towers, ``"visual.ln_"`` those of the image tower, "visual.proj" its
    projection, "resblocks.1" the second block of each tower (a number is meant as a whole), "" everything; None or ()
    is nothing.

    Raises:
        RsnbError: a word that no name holds, with names that are near.
    """
    words = () if words is None else (words,) if isinstance(words, str) else tuple(words)
    names, found = [name for name, _ in model.named_parameters()], set()
    for word in words:
        number = r"(?!\d)" if str(word)[-1:].isdigit() else ""
        chosen = {name for name in names if re.search(rf"(^|\.){re.escape(str(word))}{number}", name)}
        if not chosen:
            steps = [name.split(".") for name in names]
            parts = {".".join(s[i:j]) for s in steps for i in range(len(s)) for j in range(i + 1, len(s) + 1)}
            near = difflib.get_close_matches(str(word), sorted(parts), n=5, cutoff=0.5)
            near = near or sorted({part for s in steps for part in s if not part.isdigit()})
            raise RsnbError(f"unfreeze is {word!r}, but no part of this CLIP is called so; it has {', '.join(near)}")
        found |= chosen
    return frozenset(found)


def _copy_of(clip, own: Collection[str]):
    """The CLIP once more. The named parameters are copied, the others share their memory."""
    shared = {id(p): nn.Parameter(p.detach()) for name, p in clip.model.named_parameters() if name not in own}
    return copy.deepcopy(clip, shared)


def count_trainable(model: nn.Module) -> int:
    """How many numbers an optimizer moves: of an adapted model those of ``model.trainable()``, of another module its
    parameters that are not frozen. What is shared counts once."""
    moved = model.trainable().values() if isinstance(model, Adapted) else model.parameters()
    return sum(p.numel() for p in moved if p.requires_grad)
