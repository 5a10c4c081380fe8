"""What no model can exceed where captions repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rsnb.base.recalls import KS
from rsnb.errors import RsnbError
from rsnb.measures.ties import chance_of_hit


def image_retrieval_ceiling(captions: Sequence[str], owner: Sequence[int], k: int) -> float:
    """Best possible R@K of text-to-image retrieval, in percent: g images that share a caption cannot be told apart
    by it, so a perfect model finds the right one with probability min(1, K / g)."""
    images: dict[str, set[int]] = {}
    for caption, image in zip(captions, owner):
        images.setdefault(caption, set()).add(image)
    return 100 * sum(min(1.0, k / len(images[caption])) for caption in captions) / len(captions)


def as_read(captions: Sequence[str], tokenizer: Callable[[list[str]], Tensor]) -> list[str]:
    """M captions as a text tower tells them apart: each is replaced by the first of those with the same tokens; what
    lies behind the tower's length is cut off. :func:`ceiling` of these is that of the model.

    Args:
        tokenizer: list of B captions -> (B, L) ids, as of :attr:`rsnb.backbone.Clip.tokenizer`.
    """
    distinct, first = list(dict.fromkeys(captions)), {}
    ids = tokenizer(distinct).tolist() if distinct else []
    read = {caption: first.setdefault(tuple(row), caption) for caption, row in zip(distinct, ids)}
    return [read[caption] for caption in captions]


# --- what could be reached --------------------------------------------------------------------------------------
def shared_captions(captions: Sequence[str], owner: Sequence[int]) -> int:
    """How many captions have a text that also describes another image."""
    images: Counter[str] = Counter(text for text, _ in set(zip(captions, _numbers(owner))))
    return sum(images[text] > 1 for text in captions)


def ceiling(
    captions: Sequence[str],
    owner: Sequence[int],
    ks: Sequence[int] = KS,
    images: int | None = None,
    order: str = "chance",
) -> dict[str, float]:
    r"""The best recalls, in percent, that a model can reach whose similarity depends on the image and the text alone.

    **Image to text.** Captions of one text tie. Of an own text with m copies among all captions, o of them this
    image's, a model that ranks it first has a hit at K with probability :func:`chance` (K, m, o), which is 1 as soon
    as m is at most K. A second text would only fill places that the first leaves, and it leaves none before it is 1:
    the ceiling is the best single own text.

    **Text to image.** The g images of a text cannot be told apart by it. ``order="chance"``: they come first in random
    order, min(1, K / g), as :func:`image_retrieval_ceiling` and the exercise have it. ``order="best"``:
    an image that carries the text several times is asked for several times; a model that puts such images first
    reaches a little more, and nothing reaches more than that.

    Every K for itself, so one model need not reach all at once; mr is the mean. Two exact copies of an image are not
    looked for: they would lower the ceiling further.

    Args:
        captions: M texts; owner: (M,) the image of each; images: N, where the last ones may have no caption.
    """
    owner = _numbers(owner)
    if order not in ("chance", "best"):
        raise RsnbError(f"unknown order {order!r} of the images that share a text; there are: chance, best")
    if not captions or len(captions) != len(owner):
        raise RsnbError(f"{len(captions)} captions and {len(owner)} owners do not belong together")
    n = images or max(owner) + 1
    everywhere, here = Counter(captions), Counter(zip(owner, captions))  # m of a text; o of (image, text)
    at = torch.tensor([image for image, _ in here])
    m, o = torch.tensor([everywhere[text] for _, text in here]), torch.tensor(list(here.values()))
    found = {}
    for k in ks:
        first = chance_of_hit(torch.full_like(m, k), m, o)
        best = torch.zeros(n, dtype=torch.float64).scatter_reduce(0, at, first, "amax")
        found[f"text_r{k}"] = 100 * best.mean().item()
    if order == "chance":
        found |= {f"image_r{k}": image_retrieval_ceiling(captions, owner, k) for k in ks}
    else:
        copies: dict[str, list[int]] = {}
        for (_, text), times in here.most_common():  # the largest number of copies first
            copies.setdefault(text, []).append(times)
        found |= {f"image_r{k}": 100 * sum(sum(c[:k]) for c in copies.values()) / len(captions) for k in ks}
    return {**found, "mr": sum(found.values()) / len(found)}


def _numbers(owner: Sequence[int] | Tensor) -> list[int]:
    return torch.as_tensor(owner).tolist()
