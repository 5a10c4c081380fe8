"""Retrieval both ways: embed every image and caption once, rank, count hits.

Text retrieval (image to text): an image is a hit at K if ANY of its captions is among the K nearest captions.
Image retrieval (text to image): a caption is a hit at K if its image is among the K nearest images.
mR is the mean of the six recalls, in percent (the paper, evaluation protocol).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from rsnb.base.devices import autocast
from rsnb.data import PixelStore
from rsnb.errors import RsnbError

KS = (1, 5, 10)
RECALLS = tuple(f"{way}_r{k}" for way in ("text", "image") for k in KS)


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


@torch.no_grad()
def embed(
    model,
    dataset,
    batch_size: int = 64,
    progress: bool = False,
    store: PixelStore | None = None,
    precision: str = "fp32",
) -> tuple[Tensor, Tensor, Tensor]:
    """Embed each image and each distinct caption once.

    Returns:
        image embeddings (N, D), text embeddings (M, D), owner (M,): the image of each caption; on the CPU.
    """
    clip = getattr(model, "clip", model)
    was_training = model.training
    model.eval()
    store = store or PixelStore(dataset, clip)
    captions, owner = dataset.captions
    distinct = list(dict.fromkeys(captions))  # a repeated caption is encoded once, so equal captions tie exactly
    place = {caption: i for i, caption in enumerate(distinct)}
    parts = [list(range(i, min(i + batch_size, len(dataset)))) for i in range(0, len(dataset), batch_size)]
    try:
        with autocast(clip.device, precision):
            bar = tqdm(parts, desc="images", disable=not progress, leave=False)
            image = torch.cat([model.encode_image(store.batch(part, clip.device)).float().cpu() for part in bar])
            text = encode_captions(model, clip.tokenizer(distinct), batch_size, progress).float().cpu()
    finally:
        model.train(was_training)
    return image, text[[place[caption] for caption in captions]], torch.as_tensor(owner)


def encode_captions(model, tokens: Tensor, batch_size: int = 64, progress: bool = False) -> Tensor:
    """(M, L) ids -> (M, D); captions of like length share a batch, so that the fast forward cuts away more of them."""
    order = tokens.argmax(dim=1).argsort(stable=True)
    bar = tqdm(order.split(batch_size), desc="captions", disable=not progress, leave=False)
    return torch.cat([model.encode_text(tokens[part]) for part in bar])[order.argsort()]


def ranks(image: Tensor, text: Tensor, owner: Tensor, block: int = 2**23) -> tuple[Tensor, Tensor]:
    """0-based ranks from embeddings, without ever holding the whole similarity matrix.

    Args:
        image: (N, D); text: (M, D); owner: (M,) index of each caption's image.
        block: at most so many similarities at a time (and at least one row of them).

    Returns:
        text_ranks (N,): for each image, the rank of the best of its captions among all captions;
        image_ranks (M,): for each caption, the rank of its image among all images.
    """
    n, m = len(image), len(text)
    if m == 0 or n == 0 or len(owner) != m or int(owner.min()) < 0 or int(owner.max()) >= n:
        raise RsnbError(f"{n} images, {m} captions and {len(owner)} owners do not belong together")
    text_ranks = torch.full((n,), m, dtype=torch.long)
    image_ranks = torch.empty(m, dtype=torch.long)
    for rows in torch.arange(n).split(min(1024, max(1, block // m))):
        s = image[rows] @ text.T  # (block, M)
        own = owner[None, :] == rows[:, None]
        best, at = s.masked_fill(~own, -torch.inf).max(dim=1, keepdim=True)  # its best caption
        ahead = (s > best) | ((s == best) & (torch.arange(m)[None, :] < at))
        found = ahead.sum(dim=1)
        text_ranks[rows] = torch.where(own.any(dim=1), found, torch.full_like(found, m))
    for rows in torch.arange(m).split(min(1024, max(1, block // n))):
        s = text[rows] @ image.T  # (block, N)
        at = owner[rows][:, None]
        own = s.gather(1, at)
        ahead = (s > own) | ((s == own) & (torch.arange(n)[None, :] < at))
        image_ranks[rows] = ahead.sum(dim=1)
    return text_ranks, image_ranks


def recalls(text_ranks: Tensor, image_ranks: Tensor, ks: Sequence[int] = KS) -> dict[str, float]:
    """R@K in percent for both directions, from 0-based ranks."""
    both = {"text": text_ranks, "image": image_ranks}
    return {f"{way}_r{k}": 100 * (r < k).float().mean().item() for way, r in both.items() for k in ks}


def evaluate(
    model,
    dataset,
    batch_size: int = 64,
    progress: bool = False,
    store: PixelStore | None = None,
    precision: str = "fp32",
) -> Report:
    """Retrieval report of a CLIP or an adapted model on a data set.

    Args:
        model: from :func:`rsnb.load_clip`, :func:`rsnb.adapt` or :func:`rsnb.load_adapter`.
        dataset: from :func:`rsnb.load_dataset`; any number of captions an image.
        store: a :class:`rsnb.data.PixelStore` of this data set, where one is at hand.
        precision: "fp32" (the default: reported numbers do not depend on the machine), "bf16" or "auto".
    """
    started = time.perf_counter()
    image, text, owner = embed(model, dataset, batch_size, progress, store, precision)
    if not (torch.isfinite(image).all() and torch.isfinite(text).all()):
        raise RsnbError("the model's embeddings are not all finite; its weights are damaged or its training diverged")
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
