"""A target that is shared by all that is as right as the pair itself."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


def _batches() -> list[tuple]:
    """(captions, owners): twins by caption, by image, by both, by neither; a chain, where rows and columns differ;
    the image 0; captions that are nearly equal; each pair with a twin; a batch of one."""
    return [
        (["a pond", "two boats", "a pond"], [4, 0, 7]),
        (["a pond", "two boats", "grey roofs"], [0, 3, 0]),
        (["a pond", "a pond", "two boats"], [3, 5, 5]),
        (["a road"], [2]),
        (["a pond", "a Pond", "pond a", "a pond near a road"], [8, 1, 30, 12]),
        (["a pond", "a pond", "a pond", "two boats"], [1, 1, 2, 2]),
        (["a pond", "trees", "a pond", "trees", "a road"], [6, 6, 9, 0, 0]),
    ]


def _batch(rng: random.Random) -> tuple:
    count = rng.randint(1, 7)
    images = rng.sample(range(40), rng.randint(1, count + 1))
    return draws.texts(rng, count, rng.randint(1, 6)), [rng.choice(images) for _ in range(count)]


def _same(values: list) -> Tensor:
    return torch.tensor([[float(a == b) for b in values] for a in values])


def _either(captions: list, owners: list) -> Tensor:
    return torch.maximum(_same(captions), _same(owners))


def _rows(x: Tensor) -> Tensor:
    return x / x.sum(dim=1, keepdim=True)


def _others(captions: list, owners: list) -> Tensor:
    return _either(captions, owners) - torch.eye(len(owners))


def _refused_alone(captions: list, owners: list) -> Tensor:
    found = _others(captions, owners)
    if not found.sum(dim=1).all():
        raise ZeroDivisionError
    return _rows(found)


def _chained(captions: list, owners: list) -> Tensor:
    found = _either(captions, owners)
    for _ in owners:
        found = (found @ found > 0).float()
    return _rows(found)


SHARED_TARGET = Exercise(
    key="shared_target",
    lesson=13,
    title="A target that is shared",
    aim="Call no caption wrong that is as right as the pair's own.",
    difficulty=2,
    importance=3,
    minutes=10,
    task=(
        "A batch has B pairs of an image and a caption. Write `shared_target(captions, owners)`: `captions` is a list "
        "of B strings, `owners` a list of the numbers of their B images. Two pairs are *equally right* if their "
        "captions are equal (`==`) **or** their images are the same one. Return (B, B): row $i$ is the target of pair "
        "$i$, a distribution over the B pairs, spread evenly over all $j$ that are equally right with $i$ (so is $i$ "
        "itself), and 0 elsewhere."
    ),
    name="shared_target",
    stub="def shared_target(captions, owners):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def shared_target(captions, owners):\n"
        "    pairs = list(zip(captions, owners))\n"
        "    rows = [[a == c or b == d for c, d in pairs] for a, b in pairs]\n"
        "    alike = torch.tensor(rows).float()\n"
        "    return alike / alike.sum(dim=1, keepdim=True)  # (B, B), each row sums to 1\n"
    ),
    cases=_batches,
    draw=_batch,
    truth=lambda captions, owners: _rows(_either(captions, owners)),
    mistakes={
        "each its own": Mistake(
            lambda captions, owners: torch.eye(len(owners)),
            "this is CLIP's own target, the pair itself. The same sentence on another image is then pushed away as if "
            "it were wrong: share the target with it",
        ),
        "not shared out": Mistake(
            _either,
            "these are ones where two pairs are equally right, and a row with a twin sums to more than 1. A target is "
            "a distribution: divide each row by its sum",
        ),
        "captions alone": Mistake(
            lambda captions, owners: _rows(_same(captions)),
            "only equal captions share the target. An image has several captions, and two of them may be in one batch: "
            "ask for the same image too",
        ),
        "images alone": Mistake(
            lambda captions, owners: _rows(_same(owners)),
            "only pairs of one image share the target. The same sentence may describe two images: ask for equal "
            "captions too",
        ),
        "and": Mistake(
            lambda captions, owners: _rows(torch.minimum(_same(captions), _same(owners))),
            "the target is shared only where the caption and the image are both the same; one of the two is enough: "
            "or, not and",
        ),
        "whole matrix": Mistake(
            lambda captions, owners: _either(captions, owners) / _either(captions, owners).sum(),
            "the whole matrix sums to 1; each row should, since each is the target of one pair. Sum along a row: "
            "sum(dim=1, keepdim=True)",
        ),
        "columns": Mistake(
            lambda captions, owners: _rows(_either(captions, owners)).T,
            "the columns sum to 1, not the rows. Without keepdim=True the sums lie along a row, so that column j is "
            "divided by the sum of row j: write sum(dim=1, keepdim=True)",
        ),
        "by the batch": Mistake(
            lambda captions, owners: _either(captions, owners) / len(owners),
            "each row is divided by the size of the batch, so that it sums to less than 1. Divide by how many are "
            "equally right with this pair",
        ),
        "softmax": Mistake(
            lambda captions, owners: _either(captions, owners).softmax(dim=1),
            "a softmax of zeros and ones leaves something for every wrong pair, since e to the power of 0 is 1. Divide "
            "by the sum of the row instead",
        ),
        "counted twice": Mistake(
            lambda captions, owners: _rows(_same(captions) + _same(owners)),
            "what has the same caption and the same image too counts twice here, first of all the pair itself, so the "
            "target is not even. Join the two questions by or, not by +",
        ),
        "mean of two targets": Mistake(
            lambda captions, owners: (_rows(_same(captions)) + _rows(_same(owners))) / 2,
            "this is the mean of a target for captions and one for images, which gives the pair itself more than its "
            "twins. First join the two questions by or, then divide each row by its sum",
        ),
        "itself left out": Mistake(
            (
                _refused_alone,
                lambda captions, owners: _others(captions, owners) / _others(captions, owners).sum(1, True).clamp(1),
            ),
            "the pair itself has no part in its own target, and a pair without a twin has no target at all. Leave the "
            "diagonal in",
        ),
        "chain": Mistake(
            _chained,
            "twins of twins are counted: if a has the caption of b and b the image of c, then a and c are both right "
            "for b, but they need not fit each other. Compare any two pairs directly, without groups",
        ),
    },
    hint="first a matrix of ones and zeros: is j equally right with i? Then divide each row by its own sum",
    errors={
        "nan or infinite": "a row sums to 0 and is divided by it: is the pair equally right with itself?",
        "division by zero": "a row sums to 0 and is divided by it: is the pair equally right with itself?",
        "too many dimensions 'str'": "a tensor holds no strings: compare the captions in Python, or number them first",
        "has no attribute": "captions and owners are lists: compare their members one by one",
        "expected the shape": "one row for each pair, and in it one number for each pair: (B, B)",
        "must match the size": "the sums of the rows need the shape (B, 1) to divide row by row: keepdim=True",
    },
    right=(
        "def shared_target(captions, owners):\n"
        "    number = {caption: n for n, caption in enumerate(captions)}\n"
        "    c, o = torch.tensor([number[x] for x in captions]), torch.tensor(owners)\n"
        "    alike = (c[:, None] == c) | (o[:, None] == o)\n"
        "    return F.normalize(alike.double(), p=1, dim=1)\n",
        "def shared_target(captions, owners):\n"
        "    rows = []\n"
        "    for i in range(len(captions)):\n"
        "        right = {j for j in range(len(owners)) if captions[j] == captions[i]}\n"
        "        right |= {j for j in range(len(owners)) if owners[j] == owners[i]}\n"
        "        rows.append([1 / len(right) if j in right else 0.0 for j in range(len(owners))])\n"
        "    return rows\n",
        "def shared_target(captions, owners):\n"
        "    import numpy as np\n"
        "    c, o = np.array(captions), np.array(owners)\n"
        "    alike = (c[None] == c[:, None]) | (o[None] == o[:, None])\n"
        "    return (alike / alike.sum(0)).T\n",
    ),
    wrong={
        "each its own": "def shared_target(captions, owners):\n    return torch.eye(len(captions))\n",
        "not shared out": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    return torch.tensor([[a == c or b == d for c, d in pairs] for a, b in pairs])\n"
        ),
        "captions alone": (
            "def shared_target(captions, owners):\n"
            "    return [[(a == b) / captions.count(a) for b in captions] for a in captions]\n"
        ),
        "images alone": (
            "def shared_target(captions, owners):\n"
            "    o = torch.tensor(owners)\n"
            "    return F.normalize((o[:, None] == o).float(), p=1, dim=1)\n"
        ),
        "and": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    return [[(a == b) / pairs.count(a) for b in pairs] for a in pairs]\n"
        ),
        "whole matrix": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    alike = torch.tensor([[a == c or b == d for c, d in pairs] for a, b in pairs])\n"
            "    return alike / alike.sum()\n"
        ),
        "columns": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    alike = torch.tensor([[a == c or b == d for c, d in pairs] for a, b in pairs])\n"
            "    return alike / alike.sum(dim=1)\n"
        ),
        "by the batch": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    return [[(a == c or b == d) / len(pairs) for c, d in pairs] for a, b in pairs]\n"
        ),
        "softmax": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    alike = torch.tensor([[a == c or b == d for c, d in pairs] for a, b in pairs]).float()\n"
            "    return alike.exp() / alike.exp().sum(dim=1, keepdim=True)\n"
        ),
        "counted twice": (
            "def shared_target(captions, owners):\n"
            "    pairs = list(zip(captions, owners))\n"
            "    alike = torch.tensor([[(a == c) + (b == d) for c, d in pairs] for a, b in pairs])\n"
            "    return alike / alike.sum(dim=1, keepdim=True)\n"
        ),
        "mean of two targets": (
            "def shared_target(captions, owners):\n"
            "    even = lambda x: torch.tensor([[(a == b) / x.count(a) for b in x] for a in x])\n"
            "    return torch.stack([even(captions), even(owners)]).mean(dim=0)\n"
        ),
        "itself left out": (
            "def shared_target(captions, owners):\n"
            "    rows = []\n"
            "    for i, (a, b) in enumerate(zip(captions, owners)):\n"
            "        row = [i != j and (a == c or b == d) for j, (c, d) in enumerate(zip(captions, owners))]\n"
            "        rows.append([x / sum(row) for x in row])\n"
            "    return rows\n"
        ),
        "chain": (
            "def shared_target(captions, owners):\n"
            "    group = list(range(len(captions)))\n"
            "    for i in range(len(group)):\n"
            "        for j in range(i):\n"
            "            if captions[i] == captions[j] or owners[i] == owners[j]:\n"
            "                group = [group[j] if g == group[i] else g for g in group]\n"
            "    return [[(a == b) / group.count(a) for b in group] for a in group]\n"
        ),
    },
)

EXERCISES = [SHARED_TARGET]
