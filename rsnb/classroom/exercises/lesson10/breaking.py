"""What makes a sound suspect a broken one."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.evaluation import ranks, recalls


def swapped(suspect: Suspect) -> Suspect:
    other = {"text": "image", "image": "text"}
    return replace(
        suspect, recalls={f"{other[k.split('_r')[0]]}_r{k.split('_r')[1]}": v for k, v in suspect.recalls.items()}
    )


def any_caption(s: Suspect) -> Suspect:
    """An image counts as found by text if any of its captions finds it."""
    text_ranks, image_ranks = ranks(s.image, s.text, s.owner)
    best = torch.stack([image_ranks[s.owner == i].min() for i in range(len(s.image))])
    return replace(s, recalls=recalls(text_ranks, best))


def first_caption(s: Suspect) -> Suspect:
    """An image finds its text only if it finds the first of its captions."""
    first = torch.stack([torch.where(s.owner == i)[0][0] for i in range(len(s.image))])
    scores = s.image @ s.text.T
    own = scores[torch.arange(len(s.image)), first]
    return replace(s, recalls=recalls((scores > own[:, None]).sum(dim=1), ranks(s.image, s.text, s.owner)[1]))


def by_fives(s: Suspect) -> Suspect:
    """Caption j is taken for one of image j // 5, whatever the data says."""
    owner = (torch.arange(len(s.text)) // 5).clamp(max=len(s.image) - 1)
    return replace(s, owner=owner, recalls=recalls(*ranks(s.image, s.text, owner)))


def one_each(s: Suspect) -> Suspect:
    """One caption of each image is ranked, the others are left out."""
    first = torch.stack([torch.where(s.owner == i)[0][0] for i in range(len(s.image))])
    text, owner = s.text[first], s.owner[first]
    return replace(s, text=text, owner=owner, recalls=recalls(*ranks(s.image, text, owner)))


def stretched(suspect: Suspect, seed: int, image: bool = True, text: bool = True, low=0.5, high=9.0) -> Suspect:
    """Rows of other lengths; the recalls are those of these rows."""
    rng = torch.Generator().manual_seed(seed)

    def size(x):
        return low + (high - low) * torch.rand(len(x), 1, generator=rng)

    a = suspect.image * size(suspect.image) if image else suspect.image
    b = suspect.text * size(suspect.text) if text else suspect.text
    return replace(suspect, image=a, text=b, recalls=recalls(*ranks(a, b, suspect.owner)))


def of_mean_one(suspect: Suspect) -> Suspect:
    """Lengths that differ, with a mean of 1."""
    found = stretched(suspect, 5)
    return replace(
        found, **{name: getattr(found, name) / getattr(found, name).norm(dim=1).mean() for name in ("image", "text")}
    )


def moody(suspect: Suspect, image: float, text: float) -> Suspect:
    """``again`` gives other values at each call, by so much."""
    first = suspect.again()

    def again():
        return tuple(x + size * torch.randn_like(x) for x, size in zip(first, (image, text)))

    return replace(suspect, again=again)


def other_function(suspect: Suspect, image: float, text: float) -> Suspect:
    """``bare`` differs from ``published`` by so much; both have length 1."""
    rng = torch.Generator().manual_seed(70)
    moved = tuple(
        F.normalize(x + size * torch.randn(x.shape, generator=rng), dim=-1) if size else x.clone()
        for x, size in zip(suspect.published, (image, text))
    )
    return replace(suspect, bare=moved)
