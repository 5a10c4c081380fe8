"""Images changed at random, in training alone: steps for ``rsnb.train(..., augment=...)``.

Each takes preprocessed pixels (B, 3, S, S) and a ``torch.Generator`` on the CPU, and draws from that alone, for each
image on its own, so that a run can be repeated and resumed. A step of your own looks like them::

    def augment(pixels, generator):
        return quarter_turns(flips(pixels, generator), generator)
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from rsnb.errors import RsnbError

#: torchvision's steps that draw random numbers, beside those whose name begins with Random
ALSO_RANDOM = ("AugMix", "AutoAugment", "ColorJitter", "CutMix", "ElasticTransform", "GaussianNoise", "MixUp",
               "RandAugment", "ScaleJitter", "TrivialAugmentWide")  # fmt: skip


def flips(pixels: Tensor, generator: Generator, vertical: bool = True) -> Tensor:
    """Each image mirrored left to right with probability 1/2, and top to bottom with probability 1/2."""
    for dim in (3, 2) if vertical else (3,):
        pixels = torch.where(_coins(pixels, generator), pixels.flip(dim), pixels)
    return pixels


def quarter_turns(pixels: Tensor, generator: Generator) -> Tensor:
    """Each image turned by 0, 90, 180 or 270 degrees."""
    turns = torch.randint(4, (len(pixels),), generator=generator)
    return torch.stack([image.rot90(turn, (1, 2)) for image, turn in zip(pixels, turns.tolist())])


def random_resized_crops(
    pixels: Tensor,
    generator: Generator,
    scale: tuple[float, float] = (0.5, 1.0),
    ratio: tuple[float, float] = (0.75, 4 / 3),
) -> Tensor:
    """A part of each image, at the size of the whole.

    Args:
        scale: share of the image's area. ratio: width to height of the part; what does not fit is cut.
    """
    n, _, height, width = pixels.shape
    low, high = scale
    if not 0 < low <= high <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise RsnbError(f"scale is {scale} and ratio {ratio}; each is (least, most) above 0, and scale at most 1")
    area = torch.empty(n).uniform_(low, high, generator=generator) * height * width
    shape = torch.empty(n).uniform_(ratio[0], ratio[1], generator=generator)
    place = torch.rand(n, 2, generator=generator)
    crops = []
    for image, a, r, (x, y) in zip(pixels, area.tolist(), shape.tolist(), place.tolist()):
        h, w = min(height, max(1, round((a / r) ** 0.5))), min(width, max(1, round((a * r) ** 0.5)))
        top, left = round(y * (height - h)), round(x * (width - w))
        part = image[None, :, top : top + h, left : left + w]
        crops.append(F.interpolate(part, (height, width), mode="bicubic", align_corners=False, antialias=True)[0])
    return torch.stack(crops)


def _coins(pixels: Tensor, generator: Generator) -> Tensor:
    return (torch.rand(len(pixels), generator=generator) < 0.5).to(pixels.device)[:, None, None, None]


def refuse_random(preprocess: Any) -> None:
    """Refuse a preprocessing that draws random numbers: images are preprocessed once and kept, and evaluated with it.

    Raises:
        RsnbError: a step of torchvision that is random, at any depth; or one and the same picture comes out in another
            way when it goes in again.
    """
    _refuse_random_steps(preprocess)
    picture = Image.linear_gradient("L").resize((97, 61)).convert("RGB")
    try:
        first, *others = (torch.as_tensor(preprocess(picture)) for _ in range(4))
    except Exception:  # it takes other pictures; what is wrong is said where images go through it
        return
    if not all(torch.equal(first, other) for other in others):
        raise RsnbError(
            "clip.preprocess gives another result for the same picture each time; images are preprocessed once and "
            "kept, so its random step would act once, and in evaluation too; take it out, and give rsnb.train an "
            "augment(pixels, generator)"
        )


def _refuse_random_steps(preprocess: Any) -> None:
    for step in getattr(preprocess, "transforms", None) or ():
        _refuse_random_steps(step)
    name = type(preprocess).__name__
    if name.startswith("Random") or (name in ALSO_RANDOM and type(preprocess).__module__.startswith("torchvision.")):
        raise RsnbError(
            f"clip.preprocess holds the random step {name}; images are preprocessed once and kept, so it would act "
            "once, and in evaluation too; take it out, and give rsnb.train an augment(pixels, generator)"
        )
