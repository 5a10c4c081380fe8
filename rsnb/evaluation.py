"""Retrieval both ways: embed every image and caption once, rank, count hits.

Text retrieval (image to text): an image is a hit at K if ANY of its captions is among the K nearest captions.
Image retrieval (text to image): a caption is a hit at K if its image is among the K nearest images.
mR is the mean of the six recalls, in percent (the paper, evaluation protocol).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rsnb.base import bars
from rsnb.base.devices import autocast
from rsnb.base.fields import checked
from rsnb.base.recalls import KS
from rsnb.base.shapes import described, need_rows
from rsnb.data import PixelStore
from rsnb.data.kept import LARGEST, Kept
from rsnb.errors import RsnbError
from rsnb.fast import Begun


@dataclass
class Report:
    """What a model retrieves on a data set.

    ``recalls`` has text_r1, text_r5, text_r10 (image to text) and image_r1, ... (text to image), in percent.
    ``text_ranks`` (N,) is the 0-based rank of the best of each image's captions, ``image_ranks`` (M,) that of
    each caption's image. Equal scores rank in the order of the data set.
    """

    recalls: dict[str, float]
    text_ranks: Tensor
    image_ranks: Tensor
    image_embeddings: Tensor = field(repr=False)
    text_embeddings: Tensor = field(repr=False)
    owner: Tensor = field(repr=False)
    seconds: float = 0.0
    stamp: str = ""

    @property
    def mr(self) -> float:
        return sum(self.recalls.values()) / len(self.recalls)

    def to_dict(self) -> dict[str, Any]:
        """Recalls and mR, rounded to 1/100 of a point, with sizes and the stamp."""
        rounded = {name: round(value, 2) for name, value in self.recalls.items()}
        sizes = {"images": len(self.text_ranks), "captions": len(self.image_ranks)}
        return {**rounded, "mr": round(self.mr, 2), **sizes, "seconds": round(self.seconds, 2), "stamp": self.stamp}

    def __str__(self) -> str:
        cells = "  ".join(f"{name} {value:5.1f}" for name, value in self.recalls.items())
        return f"{cells}  mR {self.mr:5.1f}   [{self.stamp}]"


class Inputs:
    """The images and distinct captions of a data set as a model's towers take them.

    What the blocks that a method leaves alone make of an input (:meth:`rsnb.adapted.Adapted.begin`) is the same at
    every step, so it is computed once and kept here, where memory allows: for a head all that a tower does.

    Args:
        store: a :class:`rsnb.data.PixelStore` of the data set, where one is at hand.
        keep: the towers of which anything may be kept: none whose input is another one each time.
        keep_bytes: a tower that needs more keeps nothing.
    """

    def __init__(
        self, model, dataset, store: PixelStore | None = None, keep: Collection[str] = (), keep_bytes: int = LARGEST
    ):
        self.model, self.clip = model, getattr(model, "clip", model)
        self.store = store or PixelStore(dataset, self.clip)
        captions, self.owner = dataset.captions
        self.distinct = list(dict.fromkeys(captions))  # a repeated caption is encoded once: equal captions tie exactly
        place = {caption: i for i, caption in enumerate(self.distinct)}
        self.place = [place[caption] for caption in captions]  # of each caption, among the distinct ones
        self.tokens = self.clip.tokenizer(self.distinct)
        self.blocks = {tower: model.untouched(tower) for tower in keep}
        count = {"image": len(dataset), "text": len(self.distinct)}
        use = [tower for tower, blocks in self.blocks.items() if blocks != 0 and keep_bytes]
        self.kept = {tower: Kept(partial(self._begin, tower), count[tower], keep_bytes) for tower in use}

    def _begin(self, tower: str, index: list[int]) -> Tensor:
        given = self.store.batch(index, self.clip.device) if tower == "image" else self.tokens[index]
        return self.model.begin(tower, given).stream

    def images(self, index: Sequence[int]) -> Tensor | Begun:
        """What ``encode_image`` takes: pixels (B, 3, S, S), or what was begun of them."""
        if "image" in self.kept:
            return Begun(self.kept["image"][index], None, self.blocks["image"])
        return self.store.batch(index, self.clip.device)

    def texts(self, index: Sequence[int]) -> Tensor | Begun:
        """What ``encode_text`` takes, of some distinct captions: ids (B, L), or what was begun of them."""
        if "text" in self.kept:
            return Begun(self.kept["text"][index], self.tokens[index], self.blocks["text"])
        ids = self.tokens[index]
        return ids.pin_memory() if self.clip.device.type == "cuda" else ids


@torch.no_grad()
def embed(
    model,
    dataset,
    batch_size: int = 64,
    progress: bool = False,
    store: PixelStore | None = None,
    precision: str = "fp32",
    inputs: Inputs | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Embed each image and each distinct caption once; ``inputs`` of the data set spare what they keep.

    Returns:
        image embeddings (N, D), text embeddings (M, D), owner (M,): the image of each caption; on the CPU.

    Raises:
        RsnbError: an embedding is not finite; model or dataset is something else.
    """
    if not (hasattr(model, "encode_image") and hasattr(dataset, "captions")):
        raise RsnbError(
            f"a model with encode_image and a data set of rsnb.load_dataset(...) are needed, found {described(model)} "
            f"and {described(dataset)}"
        )
    inputs = inputs or Inputs(model, dataset, store)
    parts = torch.arange(len(dataset)).split(batch_size)
    was_training = model.training
    model.eval()
    try:
        with autocast(inputs.clip.device, precision):
            bar = bars.bar(parts, hidden=not progress, desc="images", leave=False)
            image = torch.cat([model.encode_image(inputs.images(part)).float().cpu() for part in bar])
            text = encode_captions(model, inputs.tokens, batch_size, progress, inputs.texts).float().cpu()
    finally:
        model.train(was_training)
    _refuse_infinite(image, text)
    return image, text[inputs.place], torch.as_tensor(inputs.owner)


def encode_captions(
    model,
    tokens: Tensor,
    batch_size: int = 64,
    progress: bool = False,
    texts: Callable[[Tensor], Tensor | Begun] | None = None,
) -> Tensor:
    """(M, L) ids -> (M, D); captions of like length share a batch, so that the fast forward cuts away more of them.
    ``texts`` gives what the tower takes of some of them, where that is not their ids."""
    order = tokens.argmax(dim=1).argsort(stable=True)
    bar = bars.bar(order.split(batch_size), hidden=not progress, desc="captions", leave=False)
    return torch.cat([model.encode_text(texts(part) if texts else tokens[part]) for part in bar])[order.argsort()]


def checked_embeddings(image: Tensor, text: Tensor, owner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, D), texts (M, D), owner (M,) on the CPU, in fp32 or fp64.

    Raises:
        RsnbError: their numbers do not belong together, or an embedding is not finite.
    """
    need_rows("retrieval", image, text, alike=False)
    n, m, owner = len(image), len(text), whole_numbers("owner", owner)
    if len(owner) != m or int(owner.min()) < 0 or int(owner.max()) >= n:
        raise RsnbError(f"{n} images, {m} captions and {len(owner)} owners do not belong together")
    image, text = (x.detach().cpu() for x in (image, text))
    image, text = (x if x.dtype == torch.float64 else x.float() for x in (image, text))
    _refuse_infinite(image, text)
    return image, text, owner.cpu().long()


def whole_numbers(name: str, x: Tensor | Sequence[int]) -> Tensor:
    """A tensor (M,) of whole numbers, or a list of them, as a tensor.

    Raises:
        RsnbError: it is something else; numbers that are not finite are no whole numbers.
    """
    try:
        found = torch.as_tensor(x)
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or found.ndim != 1 or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise RsnbError(f"{name} must be whole numbers of shape (M,), found {described(x)}")
    return found


def _refuse_infinite(image: Tensor, text: Tensor) -> None:
    if not (torch.isfinite(image).all() and torch.isfinite(text).all()):
        raise RsnbError("the model's embeddings are not all finite; its weights are damaged or its training diverged")


def similarities(query: Tensor, gallery: Tensor, block: int = 2**23) -> Iterator[tuple[Tensor, Tensor]]:
    """Similarities of (Q, D) queries and (G, D) items, without ever holding all of them: (the numbers of some queries
    (q,), their similarities (q, G)), block by block of at most ``block`` numbers (and at least one query).

    Equal items get exactly equal similarities, so they tie: each distinct one is multiplied once, as a product of whole
    matrices may give two equal columns other last bits.
    """
    seen: dict[bytes, int] = {}
    place = torch.tensor([seen.setdefault(row.tobytes(), len(seen)) for row in gallery.numpy()])
    distinct = gallery.new_empty(len(seen), gallery.shape[1])
    distinct[place] = gallery
    for rows in torch.arange(len(query)).split(min(1024, max(1, block // len(gallery)))):
        s = query[rows] @ distinct.T
        yield rows, s if len(distinct) == len(gallery) else s[:, place]


def captions_of(owner: Tensor, images: int) -> Tensor:
    """(N, C) the captions of each image, filled up with -1; C is the largest number of captions of an image."""
    order, counts = owner.argsort(stable=True), torch.bincount(owner, minlength=images)
    number = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner[order]]
    table = torch.full((images, int(counts.max())), -1)
    table[owner[order], number] = order
    return table


def ranks(image: Tensor, text: Tensor, owner: Tensor, block: int = 2**23) -> tuple[Tensor, Tensor]:
    """0-based ranks from embeddings, on the CPU. Equal scores rank in the order of the data set.

    Args:
        image: (N, D); text: (M, D); owner: (M,) index of each caption's image.
        block: at most so many similarities at a time (and at least one row of them).

    Returns:
        text_ranks (N,): for each image, the rank of the best of its captions among all captions (M for an image without
        captions); image_ranks (M,): for each caption, the rank of its image among all images.
    """
    image, text, owner = checked_embeddings(image, text, owner)
    own = captions_of(owner, len(image))
    return _best_ranks(image, text, own, block), _best_ranks(text, image, owner[:, None], block)


def _best_ranks(query: Tensor, gallery: Tensor, own: Tensor, block: int) -> Tensor:
    """(Q,) the rank of the best right item of each query; own (Q, C) are the right ones, -1 where there are fewer."""
    found = torch.empty(len(query), dtype=torch.long)
    position = torch.arange(len(gallery))[None, :]
    for rows, s in similarities(query, gallery, block):
        there = own[rows] >= 0
        mine = s.gather(1, own[rows].clamp(min=0)).masked_fill(~there, -torch.inf)
        best = mine.amax(dim=1, keepdim=True)
        first = own[rows].masked_fill(~there | (mine < best), len(gallery)).amin(dim=1, keepdim=True)  # of equal ones
        ahead = (s > best) | ((s == best) & (position < first))
        found[rows] = torch.where(there.any(dim=1), ahead.sum(dim=1), len(gallery))
    return found


def recalls(text_ranks: Tensor, image_ranks: Tensor, ks: Sequence[int] = KS) -> dict[str, float]:
    """R@K in percent for both directions, from 0-based ranks (N,) and (M,).

    Raises:
        RsnbError: they are no finite numbers from 0 on, or there are none.
    """
    both = {"text": text_ranks, "image": image_ranks}
    for way, r in both.items():
        sound = isinstance(r, Tensor) and r.ndim == 1 and len(r) and not r.is_complex() and r.dtype != torch.bool
        if not (sound and torch.isfinite(r).all() and r.min() >= 0):
            raise RsnbError(f"{way}_ranks must be finite numbers from 0 on of shape (N,), found {described(r)}")
    return {f"{way}_r{k}": 100 * (r < k).float().mean().item() for way, r in both.items() for k in ks}


def evaluate(
    model,
    dataset,
    batch_size: int = 64,
    progress: bool = False,
    store: PixelStore | None = None,
    precision: str = "fp32",
    inputs: Inputs | None = None,
) -> Report:
    """Retrieval report of a CLIP or an adapted model on a data set.

    Args:
        model: from :func:`rsnb.load_clip`, :func:`rsnb.adapt` or :func:`rsnb.load_adapter`.
        dataset: from :func:`rsnb.load_dataset`; any number of captions per image.
        store: a :class:`rsnb.data.PixelStore` of this data set, where one is at hand.
        precision: "fp32" (the default: reported numbers do not depend on the machine), "bf16" or "auto".
        inputs: :class:`Inputs` of this data set for this model and precision, which spare what they keep.

    Raises:
        RsnbError: an embedding is not finite; model or dataset is something else.
    """
    started, precision = time.perf_counter(), checked("precision", precision)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise RsnbError(f"batch_size is {batch_size!r}; it must be a whole number, at least 1")
    image, text, owner = embed(model, dataset, batch_size, progress, store, precision, inputs)
    text_ranks, image_ranks = ranks(image, text, owner)
    return Report(
        recalls=recalls(text_ranks, image_ranks),
        text_ranks=text_ranks,
        image_ranks=image_ranks,
        image_embeddings=image,
        text_embeddings=text,
        owner=owner,
        seconds=time.perf_counter() - started,
        stamp=f"{dataset.stamp} · {model.stamp}",
    )
