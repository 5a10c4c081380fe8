"""An example that breaks a claim about the two directions, and a prediction whose miss is to be explained."""

from __future__ import annotations

from typing import Any

import torch

from rsnb.classroom.exercises.choices import chosen
from rsnb.classroom.exercises.comparing import numbers_of
from rsnb.classroom.exercises.judging import Exercise, Mistake

HALF = 50.0


def _one_way(value: Any) -> tuple[str | None, str]:
    scores, owner = numbers_of(value[0]), numbers_of(value[1])
    n = len(scores)
    whole = bool((owner == owner.round()).all())
    if scores.dim() != 2 or owner.shape != scores.shape[1:] or n < 4 or not whole:
        return "shapes", f"found {tuple(scores.shape)} and {tuple(owner.shape)}"
    owner = owner.long()
    if sorted(set(owner.tolist())) != list(range(n)):
        return "owners", f"captions belong to {sorted(set(owner.tolist()))}"
    if not torch.isfinite(scores).all() or scores.abs().max() > 1 + 1e-6:
        return "no cosines", f"values from {scores.min():.2f} to {scores.max():.2f}"
    own = owner[None] == torch.arange(n)[:, None]  # (N, M)
    best, rival = scores.masked_fill(~own, -2).max(dim=1).values, scores.masked_fill(own, -2).max(dim=1).values
    column = scores.masked_fill(~own, -2).max(dim=0).values, scores.masked_fill(own, -2).max(dim=0).values
    i2t, t2i = 100 * (best > rival).float().mean().item(), 100 * (column[0] > column[1]).float().mean().item()
    said = f"i2t R@1 {i2t:.0f}, t2i R@1 {t2i:.0f}"
    if (best == rival).any() or (column[0] == column[1]).any():
        return "ties", said
    if i2t < 100:
        return ("the other way" if t2i == 100 else "i2t"), said
    return ("t2i" if t2i > HALF else None), said


ONE_WAY_ONLY = Exercise(
    key="one_way_only",
    lesson=4,
    title="Perfect one way, poor the other",
    aim='Find the input that breaks the claim "a model that finds every text also finds every image".',
    difficulty=2,
    importance=2,
    minutes=8,
    task=(
        "*Someone says: both directions rank the same matrix, so a model that is perfect in one is good in the "
        "other.* Find the input that breaks this. Write `one_way_only()`; it takes nothing and returns `S, owner`: "
        "cosines (N, M) of $N \\ge 4$ images and M captions, each in [-1, 1], and the image of each caption, (M,), "
        "0 to N - 1, at least one caption for each. Image to text R@1 must be 100, text to image R@1 at most "
        f"{HALF:.0f}, without ties. M may be N."
    ),
    name="one_way_only",
    stub="def one_way_only():\n    raise NotImplementedError  # your code: return S, owner\n",
    solution=(
        "def one_way_only():\n"
        "    S = 0.1 * torch.rand(4, 4) + 0.5 * torch.eye(4)  # own captions win in every row\n"
        "    S[0] = torch.tensor([0.9, 0.8, 0.8, 0.8])  # one image is near to every caption\n"
        "    return S, torch.arange(4)\n"
    ),
    truth=lambda: None,
    holds=_one_way,
    mistakes={
        "shapes": Mistake((), "S must be (N, M) with N of at least 4, owner (M,), whole numbers"),
        "owners": Mistake((), "every image needs a caption, and every caption an image from 0 to N - 1"),
        "no cosines": Mistake((), "a cosine lies between -1 and 1"),
        "ties": Mistake((), "equal values compete for a first place here: what is found then depends on the sorting"),
        "the other way": Mistake(
            (), "every text finds its image here, but not every image finds a text: turn it around"
        ),
        "i2t": Mistake(
            (), "not every image finds one of its captions first: the largest value of each row must be its own"
        ),
        "t2i": Mistake(
            (), "too many captions find their image: in most columns another image must have the largest value"
        ),
    },
    hint="rows are compared in rows, columns in columns: what if one image's row is large as a whole?",
    errors={"not iterable": "return both, separated by a comma: return S, owner"},
    right=(
        "def one_way_only():\n"
        "    S = [[0.9, 0.7, 0.7, 0.7, 0.7], [0.1, 0.4, 0.0, 0.0, 0.2], [0.1, 0.0, 0.4, 0.0, 0.3],\n"
        "         [0.1, 0.0, 0.0, 0.4, 0.1]]\n"
        "    return S, [0, 1, 2, 3, 2]\n",
        "def one_way_only():\n"
        "    S = torch.eye(6) - 0.5 - 0.01 * torch.arange(6.0)[:, None]\n"
        "    S[5] = 0.99 - 0.01 * torch.tensor([5.0, 4, 3, 2, 1, 0])\n"
        "    return S.numpy(), range(6)\n",
    ),
    wrong={
        "shapes": "def one_way_only():\n    return torch.eye(3), torch.arange(3)\n",
        "owners": "def one_way_only():\n    return torch.rand(4, 4), torch.tensor([0, 1, 2, 2])\n",
        "no cosines": "def one_way_only():\n    return 9 * torch.eye(4), torch.arange(4)\n",
        "ties": "def one_way_only():\n    return torch.ones(4, 4), torch.arange(4)\n",
        "the other way": (
            "def one_way_only():\n"
            "    S = 0.5 * torch.eye(4) + 0.01 * torch.arange(4.0)\n"
            "    S[:, 0] = torch.tensor([0.9, 0.8, 0.81, 0.82])\n"
            "    return S, torch.arange(4)\n"
        ),
        "i2t": (
            "def one_way_only():\n"
            "    S = torch.eye(4) + torch.arange(16.0).view(4, 4) / 100 - 0.2\n"
            "    return S.flip(0), torch.arange(4)\n"
        ),
        "t2i": (
            "def one_way_only():\n"
            "    return 0.5 * torch.eye(4) + torch.arange(16.0).view(4, 4) / 100, torch.arange(4)\n"
        ),
    },
)

WHY_SO_HIGH = chosen(
    key="why_so_high",
    lesson=4,
    title="Explain the miss: a castle in the snow",
    aim="Find the cause of an unexpected number.",
    minutes=4,
    task=(
        "Compare the last lines with your prediction. The ten sentences describe nothing in this data set, a castle in "
        "the snow among them. With the adapter, their mean cosine to the images falls; yet their best cosine stays "
        "about where it was, and lies above that of more test captions than before. Which cause fits these numbers?"
    ),
    options={
        "a": "The adapter has learned what a castle looks like from above.",
        "b": "Training spread the embeddings: a sentence is farther from the images on average, but its cosines differ "
        "more from image to image, so the best of so many stays high; nothing in the loss asks that a sentence "
        "without an answer stay far from all of them.",
        "c": "The tokenizer does not know the words, so that the query is empty.",
        "d": "A higher cosine means that the model is surer, so there must be a good answer in the gallery.",
    },
    right="b",
    says={
        "a": "no training image and no training caption has one. Where would it have learned that?",
        "c": "the cell above prints what no training caption contains; words are cut into known pieces, and the "
        "zero-shot model, with the same tokenizer, gave a different cosine",
        "d": "the cosine was not trained to say how sure the model is: only the order within a row or a column was "
        "trained. A cosine alone says nothing across models",
    },
    hint="the second line of each model: the mean of the cosines to all images, and how much they spread",
)

EXERCISES = [ONE_WAY_ONLY, WHY_SO_HIGH]
