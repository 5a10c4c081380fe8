"""Exercises of notebook 2: intra-modal similarity."""

from __future__ import annotations

import math
import random
from collections import Counter

import torch
import torch.nn.functional as F

from rsnb.classroom.exercises.core import Exercise, Mistake


def _rows(n, d, rng):
    """Un-normalised embeddings (n, d): one common direction, lengths from 0.5 to 3."""
    x = F.normalize(torch.randn(n, d, generator=rng) + 0.6, dim=-1)
    return x * (0.5 + 2.5 * torch.rand(n, 1, generator=rng))


def _cosine(x):
    x = F.normalize(x, dim=1)
    return x @ x.T


def _above(s):
    """The values above the diagonal: every pair once."""
    return s[torch.triu(torch.ones_like(s, dtype=torch.bool), diagonal=1)]


# --- the mean cosine --------------------------------------------------------------------------------------------
def _row_cases() -> list[tuple]:
    rng = torch.Generator().manual_seed(1)
    return [(_rows(n, d, rng),) for n, d in ((2, 3), (4, 6), (7, 5), (12, 8))]


def _mean_cosine(x, norm="rows", own=False, divisor=None, part="both"):
    if norm == "rows":
        x = F.normalize(x, dim=1)
    elif norm == "columns":
        x = F.normalize(x, dim=0)
    s, n = x @ x.T, len(x)
    if not own:
        s = s - torch.diag(s.diagonal())
    if part == "upper":
        s = torch.triu(s)
    return s.sum() / (divisor or n * (n - 1))


MEAN_COSINE = Exercise(
    key="mean_cosine",
    lesson=2,
    title="The mean cosine of different rows",
    aim="Put one number on how crowded a modality is.",
    difficulty=1,
    importance=3,
    minutes=8,
    task=(
        "Write `mean_cosine(x)`. `x` is (B, D) with $B \\ge 2$, a row an item; the rows are **not** normalised. Return "
        "the mean cosine of two different rows, a scalar. With $v_i = x_i / \\lVert x_i \\rVert$:\n\n"
        "$$\\bar{s} = \\frac{1}{B (B - 1)} \\sum_{i} \\sum_{j \\ne i} v_i^\\top v_j$$"
    ),
    name="mean_cosine",
    stub="def mean_cosine(x):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def mean_cosine(x):\n"
        "    v = F.normalize(x, dim=-1)                                     # (B, D)  rows of length 1\n"
        "    s = v @ v.T                                                    # (B, B)\n"
        "    other = ~torch.eye(len(x), dtype=torch.bool)                   # (B, B)  True where j != i\n"
        "    return s[other].mean()\n"
    ),
    cases=_row_cases,
    truth=lambda x: _above(_cosine(x)).mean(),
    mistakes={
        "diagonal": Mistake(
            lambda x: _mean_cosine(x, own=True, divisor=len(x) ** 2),
            "the diagonal is averaged too: every row has cosine 1 with itself, which pulls the mean up. Leave the "
            "entries with i = j out",
        ),
        "zeros": Mistake(
            lambda x: _mean_cosine(x, divisor=len(x) ** 2),
            "the diagonal is set to 0, but its B zeros are still counted in the mean; divide by B(B-1), or select "
            "the other entries with a mask",
        ),
        "half": Mistake(
            lambda x: _mean_cosine(x, part="upper"),
            "each pair is added once, but the sum is divided by B(B-1), which counts each pair twice; above the "
            "diagonal stand B(B-1)/2 entries",
        ),
        "half of all": Mistake(
            lambda x: _mean_cosine(x, part="upper", divisor=len(x) ** 2),
            "only the half above the diagonal is added, but the sum is divided by all B * B entries, as mean() does "
            "after triu; divide by the B(B-1)/2 entries of that half",
        ),
        "double": Mistake(
            lambda x: _mean_cosine(x, divisor=len(x) * (len(x) - 1) / 2),
            "each pair is added twice, as (i, j) and as (j, i), but the sum is divided by the number of pairs; divide "
            "by B(B-1), or add one half only",
        ),
        "dot product": Mistake(
            lambda x: _mean_cosine(x, norm="none"),
            "these are dot products of rows of any length, not cosines; scale every row to length 1 first",
        ),
        "columns": Mistake(
            lambda x: _mean_cosine(x, norm="columns"),
            "the columns are scaled to length 1, not the rows: dim=0 runs along the items. A row is one item, so use "
            "dim=1 (or -1)",
        ),
        "features": Mistake(
            lambda x: _above(F.normalize(x, dim=1).T @ F.normalize(x, dim=1)).mean(),
            "v.T @ v is (D, D) and compares the D features; v @ v.T is (B, B) and compares the rows",
        ),
    },
    hint="normalise the rows, make the (B, B) matrix, and average only the entries off its diagonal",
    errors={
        "cannot be multiplied": "a (B, D) matrix does not fit another (B, D) matrix: transpose the second, v @ v.T",
        "size of tensor": "the lengths of the rows must be (B, 1) to divide row by row: x.norm(dim=1, keepdim=True)",
        "only implemented on integer and boolean": "~ needs a mask of True and False: torch.eye(n, dtype=torch.bool)",
        "expected the shape": "a scalar is asked for: average over both dimensions",
    },
    right=(
        "def mean_cosine(x):\n"
        "    v = x / x.norm(dim=1, keepdim=True)\n"
        "    b = len(v)\n"
        "    return (v.sum(dim=0).square().sum() - b) / (b * (b - 1))\n",
        "def mean_cosine(x):\n"
        "    values = []\n"
        "    for i in range(len(x)):\n"
        "        for j in range(i):\n"
        "            values.append(F.cosine_similarity(x[i], x[j], dim=0).item())\n"
        "    return sum(values) / len(values)\n",
    ),
    wrong={
        "diagonal": ("def mean_cosine(x):\n    v = F.normalize(x)\n    return (v @ v.T).mean()\n"),
        "zeros": ("def mean_cosine(x):\n    v = F.normalize(x)\n    return (v @ v.T).fill_diagonal_(0).mean()\n"),
        "half": (
            "def mean_cosine(x):\n"
            "    total, b = 0.0, len(x)\n"
            "    for i in range(b):\n"
            "        for j in range(i + 1, b):\n"
            "            total += F.cosine_similarity(x[i], x[j], dim=0)\n"
            "    return total / (b * (b - 1))\n"
        ),
        "half of all": ("def mean_cosine(x):\n    v = F.normalize(x)\n    return (v @ v.T).tril(-1).mean()\n"),
        "double": (
            "def mean_cosine(x):\n"
            "    v, b = F.normalize(x), len(x)\n"
            "    return ((v @ v.T).sum() - b) / (b * (b - 1) // 2)\n"
        ),
        "dot product": (
            "def mean_cosine(x):\n    s = x @ x.T\n    return s[~torch.eye(len(s), dtype=torch.bool)].mean()\n"
        ),
        "columns": (
            "def mean_cosine(x):\n"
            "    v = x / x.norm(dim=0)\n"
            "    s = v @ v.T\n"
            "    return s[~torch.eye(len(s), dtype=torch.bool)].mean()\n"
        ),
        "features": (
            "def mean_cosine(x):\n"
            "    v = x / x.norm(dim=1, keepdim=True)\n"
            "    s = v.T @ v\n"
            "    return s[~torch.eye(len(s), dtype=torch.bool)].mean()\n"
        ),
    },
)


# --- within and between classes ---------------------------------------------------------------------------------
def _class_cases() -> list[tuple]:
    """Classes of unequal size, of two items at least; the items of a class lie close."""
    rng, found = torch.Generator().manual_seed(4), []
    for names in (
        ["pond", "park", "pond", "park", "park"],
        ["river", "river", "beach", "river", "beach", "river", "river"],
        ["port", "farm", "road", "farm", "port", "road", "farm", "farm", "road", "farm"],
    ):
        centres = {name: torch.randn(1, 6, generator=rng) + 0.4 for name in sorted(set(names))}
        x = torch.cat([centres[name] + 0.7 * torch.randn(1, 6, generator=rng) for name in names])
        found.append((x * (0.5 + 2 * torch.rand(len(names), 1, generator=rng)), names))
    return found


def _same_mask(labels):
    return torch.tensor([[a == b for b in labels] for a in labels])


def _two_means(x, labels, own="out", cosine=True, divide="pairs"):
    s = _cosine(x) if cosine else x @ x.T
    same, itself = _same_mask(labels), torch.eye(len(s), dtype=torch.bool)
    groups = {"same": same if own == "same" else same & ~itself, "different": ~same}
    if own == "different":
        groups["different"] = groups["different"] | itself
    if divide == "pairs":
        return {name: s[group].mean() for name, group in groups.items()}
    count = len(s) ** 2 if divide == "entries" else len(s) * (len(s) - 1)
    return {name: s[group].sum() / count for name, group in groups.items()}


def _class_by_class(x, labels):
    s, labels_of = _cosine(x), torch.tensor([sorted(set(labels)).index(label) for label in labels])
    own = [_above(s[labels_of == c][:, labels_of == c]).mean() for c in labels_of.unique()]
    return {"same": sum(own) / len(own), "different": s[~_same_mask(labels)].mean()}


def _exchanged(x, labels):
    means = _two_means(x, labels)
    return {"same": means["different"], "different": means["same"]}


SAME_AND_DIFFERENT = Exercise(
    key="same_and_different",
    lesson=2,
    title="Within a class, between classes",
    aim="Tell whether a space is crowded in the right places.",
    difficulty=2,
    importance=3,
    minutes=12,
    task=(
        "Write `same_and_different(x, labels)`. `x` is (N, D), **not** normalised; `labels` is a list of N strings. "
        'Return `{"same": ..., "different": ...}`: the mean cosine of all pairs $i \\ne j$ of one class, and that '
        "of all pairs of two classes. With $c_i$ the label of row $i$ and "
        "$P = \\{(i, j) : i \\ne j,\\ c_i = c_j\\}$:\n\n"
        "$$\\mathrm{same} = \\frac{1}{|P|} \\sum_{(i, j) \\in P} \\cos(x_i, x_j)$$\n\n"
        "and likewise for $c_i \\ne c_j$. Every pair has the same weight; an item is no pair with itself."
    ),
    name="same_and_different",
    stub="def same_and_different(x, labels):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def same_and_different(x, labels):\n"
        "    v = F.normalize(x, dim=-1)\n"
        "    s = v @ v.T                                                    # (N, N)\n"
        "    same = torch.tensor([[a == b for b in labels] for a in labels])\n"
        "    itself = torch.eye(len(x), dtype=torch.bool)\n"
        '    return {"same": s[same & ~itself].mean(), "different": s[~same].mean()}\n'
    ),
    cases=_class_cases,
    truth=_two_means,
    mistakes={
        "diagonal in same": Mistake(
            lambda x, labels: _two_means(x, labels, own="same"),
            "the diagonal counts as pairs of one class: each item has cosine 1 with itself, which raises 'same'. Take "
            "i = j out of that mask",
        ),
        "diagonal in different": Mistake(
            lambda x, labels: _two_means(x, labels, own="different"),
            "the diagonal was taken out of 'same', and so it fell into 'different', which is everything else; take it "
            "out of both",
        ),
        "swapped": Mistake(
            _exchanged, "the two numbers are right but exchanged: 'same' is for pairs whose labels are equal"
        ),
        "dot product": Mistake(
            lambda x, labels: _two_means(x, labels, cosine=False),
            "the pairs are right, but these are dot products of rows of any length; scale the rows to length 1 first",
        ),
        "class by class": Mistake(
            _class_by_class,
            "'same' is averaged in each class and then over the classes, so that a small class weighs as much as a "
            "large one; average over all pairs at once",
        ),
        "zeros": Mistake(
            lambda x, labels: _two_means(x, labels, divide="entries"),
            "the matrix is multiplied by the mask and then averaged, so all the zeros count too; select with "
            "s[mask].mean(), or divide by mask.sum()",
        ),
        "all pairs": Mistake(
            lambda x, labels: _two_means(x, labels, divide="all pairs"),
            "both sums are divided by the number of all pairs; divide each by the number of its own pairs",
        ),
    },
    hint="make an (N, N) mask that is True where the labels of i and j are equal; then take the diagonal out of it",
    errors={
        "too many dimensions 'str'": "a tensor holds no strings; compare the labels in Python, or number the classes",
        "list indices must be integers": "labels is a plain list: labels[:, None] needs a tensor, so number the "
        "classes first",
        "shape of the mask": "the mask must be (N, N), like the matrix: one entry for each pair of labels",
        "only implemented on integer and boolean": "~ needs a mask of True and False: torch.eye(n, dtype=torch.bool)",
        "expected a dict": "return a dict with the keys 'same' and 'different', spelled so",
    },
    right=(
        "def same_and_different(x, labels):\n"
        "    sums, counts = {'same': 0.0, 'different': 0.0}, {'same': 0, 'different': 0}\n"
        "    for i in range(len(labels)):\n"
        "        for j in range(i):\n"
        "            kind = 'same' if labels[i] == labels[j] else 'different'\n"
        "            sums[kind] += float(F.cosine_similarity(x[i], x[j], dim=0))\n"
        "            counts[kind] += 1\n"
        "    return {kind: sums[kind] / counts[kind] for kind in sums}\n",
        "def same_and_different(x, labels):\n"
        "    number = {name: k for k, name in enumerate(set(labels))}\n"
        "    one_hot = F.one_hot(torch.tensor([number[name] for name in labels])).float()\n"
        "    v = x / x.norm(dim=1, keepdim=True)\n"
        "    s, same, n = v @ v.T, one_hot @ one_hot.T, len(x)\n"
        "    within = (s * same).sum() - n\n"
        "    return {'different': (s * (1 - same)).sum() / (1 - same).sum(), 'same': within / (same.sum() - n)}\n",
    ),
    wrong={
        "diagonal in same": (
            "def same_and_different(x, labels):\n"
            "    v = F.normalize(x)\n"
            "    s, pairs = v @ v.T, {True: [], False: []}\n"
            "    for i, a in enumerate(labels):\n"
            "        for j, b in enumerate(labels):\n"
            "            pairs[a == b].append(float(s[i, j]))\n"
            "    return {'same': sum(pairs[True]) / len(pairs[True]), 'different': sum(pairs[False]) / "
            "len(pairs[False])}\n"
        ),
        "diagonal in different": (
            "def same_and_different(x, labels):\n"
            "    v, n = F.normalize(x), len(x)\n"
            "    mask = torch.tensor([[labels[i] == labels[j] and i != j for j in range(n)] for i in range(n)])\n"
            "    s = v @ v.T\n"
            "    return {'same': s[mask].mean(), 'different': s[~mask].mean()}\n"
        ),
        "swapped": (
            "def same_and_different(x, labels):\n"
            "    v, ids = F.normalize(x), torch.tensor([sorted(labels).index(name) for name in labels])\n"
            "    s, other = v @ v.T, ids[:, None] != ids\n"
            "    rest = ~other & ~torch.eye(len(x), dtype=torch.bool)\n"
            "    return {'same': s[other].mean(), 'different': s[rest].mean()}\n"
        ),
        "dot product": (
            "def same_and_different(x, labels):\n"
            "    ids = torch.tensor([sorted(labels).index(name) for name in labels])\n"
            "    s, same = x @ x.T, (ids[:, None] == ids).fill_diagonal_(False)\n"
            "    return {'same': s[same].mean(), 'different': s[ids[:, None] != ids].mean()}\n"
        ),
        "class by class": (
            "def same_and_different(x, labels):\n"
            "    v, ids = F.normalize(x), torch.tensor([sorted(labels).index(name) for name in labels])\n"
            "    means = []\n"
            "    for name in set(ids.tolist()):\n"
            "        own = v[ids == name]\n"
            "        k = len(own)\n"
            "        means.append(((own @ own.T).sum() - k) / (k * k - k))\n"
            "    return {'same': torch.stack(means).mean(), 'different': (v @ v.T)[ids[:, None] != ids].mean()}\n"
        ),
        "zeros": (
            "def same_and_different(x, labels):\n"
            "    v, ids = F.normalize(x), torch.tensor([sorted(labels).index(name) for name in labels])\n"
            "    s = (v @ v.T).fill_diagonal_(0)\n"
            "    same = (ids[:, None] == ids).float()\n"
            "    return {'same': (s * same).mean(), 'different': (s * (1 - same)).mean()}\n"
        ),
        "all pairs": (
            "def same_and_different(x, labels):\n"
            "    n, sums = len(x), {'same': 0, 'different': 0}\n"
            "    for i in range(n):\n"
            "        for j in range(i + 1, n):\n"
            "            kind = 'same' if labels[i] == labels[j] else 'different'\n"
            "            sums[kind] = sums[kind] + F.cosine_similarity(x[i], x[j], dim=0)\n"
            "    return {kind: value / (n * (n - 1) / 2) for kind, value in sums.items()}\n"
        ),
    },
)


# --- the hardest negative ---------------------------------------------------------------------------------------
def _similarity_cases() -> list[tuple]:
    """(B, B) cosines, not symmetric, no two values of a row near; a true pair is never the least of its row.

    In the last two all values are negative, so that a diagonal of 0 wins every row.
    """
    found = []
    sizes = ((2, -0.2, 0.8), (4, -0.3, 0.9), (6, 0.1, 0.9), (5, -0.9, -0.1), (3, -0.8, -0.2))
    for seed, (b, low, high) in enumerate(sizes):
        rng = random.Random(seed)
        steps = [low + (high - low) * k / (b * b - 1) for k in range(b * b)]
        rng.shuffle(steps)
        s = torch.tensor(steps).view(b, b)
        for i in range(b):
            least = int(s[i].argmin())
            if least == i:
                other = (i + 1) % b
                s[i, i], s[i, other] = s[i, other].item(), s[i, i].item()
        found.append((s,))
    return found


def _masked(s, value=-torch.inf):
    return s.masked_fill(torch.eye(len(s), dtype=torch.bool), value)


def _short_index(s):
    """The argmax of each row without its own entry, counted in the shortened row."""
    return torch.stack([torch.cat([row[:i], row[i + 1 :]]).argmax() for i, row in enumerate(s)])


HARDEST_NEGATIVE = Exercise(
    key="hardest_negative",
    lesson=2,
    title="The hardest negative",
    aim="Find the wrong caption that the hinge will look at.",
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        "Write `hardest(s)`. `s` is (B, B), $B \\ge 2$: the cosine of image $i$ (row) with caption $j$ (column); the "
        "true pairs stand on the diagonal. Return for each image the index of its hardest negative, the most similar "
        "caption that is not its own, as a (B,) tensor of integers:\n\n"
        "$$h_i = \\mathrm{arg}\\max_{j \\ne i} s_{ij}$$\n\n"
        "Cosines may be negative."
    ),
    name="hardest",
    stub="def hardest(s):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def hardest(s):\n"
        "    itself = torch.eye(len(s), dtype=torch.bool)\n"
        "    return s.masked_fill(itself, -torch.inf).argmax(dim=1)         # (B,)\n"
    ),
    cases=_similarity_cases,
    truth=lambda s: _masked(s).argmax(dim=1),
    mistakes={
        "diagonal": Mistake(
            lambda s: s.argmax(dim=1),
            "the diagonal is not masked, so an image can name its own caption, which is the positive; set the "
            "diagonal to -inf first",
        ),
        "axis": Mistake(
            lambda s: _masked(s).argmax(dim=0),
            "this goes down the columns and finds the hardest image of each caption; along a row runs dim=1",
        ),
        "minimum": Mistake(
            lambda s: s.argmin(dim=1),
            "this is the least similar caption, the easiest negative; the hardest one has the highest cosine",
        ),
        "masked with 0": Mistake(
            lambda s: _masked(s, 0.0).argmax(dim=1),
            "the diagonal is set to 0, which still wins where all cosines of the row are negative; set it to -inf",
        ),
        "second": Mistake(
            lambda s: s.topk(2, dim=1).indices[:, 1],
            "this is the second best of each row, which is right only where the true pair is the best; mask the "
            "diagonal and take the best of the rest",
        ),
        "shortened row": Mistake(
            _short_index,
            "the own entry is cut out of the row, so all places behind it move up by one; mask it, or add 1 to every "
            "index that is i or more",
        ),
        "value": Mistake(
            lambda s: _masked(s).amax(dim=1),
            "this is the cosine of the hardest negative; its index is asked for: argmax, or the indices of max",
        ),
    },
    hint="fill the diagonal with -inf, so that it can never win; then argmax over the captions of a row",
    errors={
        "masked_fill_ only supports boolean": "the mask must hold True and False: torch.eye(B, dtype=torch.bool)",
        "has no attribute 'argmax'": "max(dim=1) returns values and indices together; take .indices",
        "expected the shape": "one index an image is asked for, so the result is (B,): argmax needs dim=1",
        "expected numbers": "max(dim=1) returns values and indices together; take .indices",
    },
    right=(
        "def hardest(s):\n"
        "    found = []\n"
        "    for i, row in enumerate(s.tolist()):\n"
        "        others = [j for j in range(len(row)) if j != i]\n"
        "        found.append(max(others, key=lambda j: row[j]))\n"
        "    return torch.tensor(found)\n",
        "def hardest(s):\n    return (s - 10 * torch.eye(len(s))).max(dim=1).indices\n",
        "def hardest(s):\n    return s.fill_diagonal_(-1).sort(dim=1, descending=True).indices[:, 0]\n",
    ),
    wrong={
        "diagonal": "def hardest(s):\n    return s.max(dim=1).indices\n",
        "axis": "def hardest(s):\n    return (s - 3 * torch.eye(len(s))).max(dim=0).indices\n",
        "minimum": "def hardest(s):\n    return (s + 3 * torch.eye(len(s))).sort(dim=1).indices[:, 0]\n",
        "masked with 0": "def hardest(s):\n    return (s * (1 - torch.eye(len(s)))).max(dim=1).indices\n",
        "second": "def hardest(s):\n    return s.sort(dim=1, descending=True).indices[:, 1]\n",
        "shortened row": (
            "def hardest(s):\n"
            "    b = len(s)\n"
            "    return s[~torch.eye(b, dtype=torch.bool)].view(b, b - 1).argmax(dim=1)\n"
        ),
        "value": "def hardest(s):\n    return s.fill_diagonal_(-2).max(dim=1).values\n",
    },
)


# --- the ceiling of retrieval -----------------------------------------------------------------------------------
def _caption_cases() -> list[tuple]:
    """Few texts for many captions: texts shared by several images, and repeated within one."""
    found = []
    for seed, (images, each, texts, k) in enumerate(((4, 2, 4, 1), (6, 3, 7, 1), (8, 3, 6, 2), (9, 5, 12, 3))):
        rng = random.Random(seed)
        pool = [f"{rng.choice(('a', 'one', 'some'))} scene {number} ." for number in range(texts)]
        owner = [image for image in range(images) for _ in range(each)]
        found.append(([rng.choice(pool) for _ in owner], owner, k))
    return found


def _ceiling(captions, owner, k, chance=lambda g, k: min(1, k / g), count="images", over="captions"):
    images = Counter(text for text, _ in set(zip(captions, owner))) if count == "images" else Counter(captions)
    texts = captions if over == "captions" else list(images)
    return 100 * sum(chance(images[text], k) for text in texts) / len(texts)


RETRIEVAL_CEILING = Exercise(
    key="retrieval_ceiling",
    lesson=2,
    title="The ceiling of image retrieval",
    aim="Find the best recall that repeated captions leave to any model.",
    difficulty=2,
    importance=2,
    minutes=12,
    task=(
        "Captions with the same text have the same embedding, so no model can tell by such a text which of its images "
        "is meant. Write `ceiling(captions, owner, k)`. `captions` is a list of $M$ strings, caption $i$ belongs to "
        "image `owner[i]`, and `k` is $K$. With $g_i$ the number of **different images** that carry the text of "
        "caption $i$, return the best expected R@K of image retrieval, in percent:\n\n"
        "$$\\mathrm{ceiling}(K) = \\frac{100}{M} \\sum_{i=1}^{M} \\min\\left(1, \\frac{K}{g_i}\\right)$$\n\n"
        "An image may carry the same text twice; it is still one image, and both captions are queries."
    ),
    name="ceiling",
    stub="def ceiling(captions, owner, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def ceiling(captions, owner, k):\n"
        "    images = {}                                                    # text -> the images that carry it\n"
        "    for caption, image in zip(captions, owner):\n"
        "        images.setdefault(caption, set()).add(image)\n"
        "    return 100 * sum(min(1, k / len(images[c])) for c in captions) / len(captions)\n"
    ),
    cases=_caption_cases,
    truth=_ceiling,
    mistakes={
        "captions counted": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, count="captions"),
            "g counts captions here: an image that carries its text twice competes with itself. Collect the images "
            "of a text in a set and count those",
        ),
        "all or nothing": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, chance=lambda g, k: g <= k),
            "a text that more than K images share counts as lost; by luck the right one is among the first K in K of "
            "g cases, so it counts K/g",
        ),
        "unique": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, chance=lambda g, k: g == 1),
            "this is the share of captions whose text belongs to one image only; a shared text is still found with "
            "probability K/g, at most 1",
        ),
        "distinct": Mistake(
            lambda captions, owner, k: 100 * len(set(captions)) / len(captions),
            "this is the share of distinct texts among all captions; it knows neither K nor whose captions they are. "
            "Average min(1, K/g) over the captions",
        ),
        "over texts": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, over="texts"),
            "the mean runs over the distinct texts, so a text of many captions weighs no more than a rare one; every "
            "caption of the list is a query, average over all M",
        ),
        "uncapped": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, chance=lambda g, k: k / g),
            "K/g is more than 1 where fewer than K images share the text; a probability ends at 1: min(1, K/g)",
        ),
        "K left out": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, 1),
            "this is the ceiling of R@1 whatever K is; with K places the right image is among them with probability "
            "min(1, K/g)",
        ),
        "fraction": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k) / 100,
            "the value is right as a share from 0 to 1; recall in this series is given in percent, so multiply by 100",
        ),
    },
    hint="first build a dict from each text to the set of images that carry it; its size is g",
    errors={
        "unhashable": "a list cannot be a key or an element of a set; use the text as key and collect image numbers",
        "list indices must be integers": "owner and captions run side by side: zip(captions, owner) gives both",
        "division by zero": "every text of the list belongs to one image at least, so g is never 0: is each caption "
        "counted?",
    },
    right=(
        "def ceiling(captions, owner, k):\n"
        "    from collections import Counter\n"
        "    g = Counter(text for text, image in set(zip(captions, owner)))\n"
        "    chances = torch.tensor([k / g[text] for text in captions])\n"
        "    return 100 * chances.clamp(max=1).mean()\n",
        "def ceiling(captions, owner, k):\n"
        "    total = 0\n"
        "    for query in captions:\n"
        "        sharing = {image for text, image in zip(captions, owner) if text == query}\n"
        "        total += k / max(k, len(sharing))\n"
        "    return total / len(captions) * 100\n",
    ),
    wrong={
        "captions counted": (
            "def ceiling(captions, owner, k):\n"
            "    return 100 * sum(min(1, k / captions.count(c)) for c in captions) / len(captions)\n"
        ),
        "all or nothing": (
            "def ceiling(captions, owner, k):\n"
            "    found = 0\n"
            "    for c in captions:\n"
            "        found += len({o for o, d in zip(owner, captions) if c == d}) <= k\n"
            "    return 100 * found / len(owner)\n"
        ),
        "unique": (
            "def ceiling(captions, owner, k):\n"
            "    alone = [c for c in captions if len({o for o, d in zip(owner, captions) if c == d}) == 1]\n"
            "    return 100 * len(alone) / len(captions)\n"
        ),
        "distinct": (
            "def ceiling(captions, owner, k):\n"
            "    seen = []\n"
            "    for c in captions:\n"
            "        if c not in seen:\n"
            "            seen.append(c)\n"
            "    return len(seen) / len(captions) * 100\n"
        ),
        "over texts": (
            "def ceiling(captions, owner, k):\n"
            "    images = {}\n"
            "    for c, o in zip(captions, owner):\n"
            "        images.setdefault(c, set()).add(o)\n"
            "    return 100 * sum(min(1, k / len(group)) for group in images.values()) / len(images)\n"
        ),
        "uncapped": (
            "def ceiling(captions, owner, k):\n"
            "    pairs = list(set(zip(captions, owner)))\n"
            "    texts = [text for text, _ in pairs]\n"
            "    return 100 * sum(k / texts.count(c) for c in captions) / len(captions)\n"
        ),
        "K left out": (
            "def ceiling(captions, owner, k):\n"
            "    texts = [text for text, _ in set(zip(captions, owner))]\n"
            "    return 100 * sum(1 / texts.count(c) for c in captions) / len(captions)\n"
        ),
        "fraction": (
            "def ceiling(captions, owner, k):\n"
            "    texts = [text for text, _ in set(zip(captions, owner))]\n"
            "    return sum(min(1, k / texts.count(c)) for c in captions) / len(captions)\n"
        ),
    },
)


# --- two of one class in a batch --------------------------------------------------------------------------------
def _batch_cases() -> list[tuple]:
    """A pair, small batches, the paper's 16 of about twenty classes, and more images than classes."""
    return [(2, 7), (3, 10), (5, 30), (16, 21), (8, 100), (6, 5), (1, 4)]


def _all_differ(b, c):
    return math.perm(c, b) / c**b


BATCH_CLASH = Exercise(
    key="batch_clash",
    lesson=2,
    title="Two of one class in a batch",
    aim="Know how surely a batch holds a negative that may not be wrong.",
    difficulty=2,
    importance=2,
    minutes=10,
    task=(
        "A batch holds $B$ random images. There are $C$ classes, and each image is of any of them with the same "
        "probability, whatever the others are. Write `clash(batch, classes)` with the integers $B$ and $C$: the "
        "probability (0 to 1) that **some** two images of the batch are of one class. It is 1 minus the probability "
        "that all differ:\n\n"
        "$$P = 1 - \\prod_{i=0}^{B-1} \\frac{C - i}{C}$$\n\n"
        "For $B > C$ it is 1: there are not enough classes. Section 6 asked about **one** image of the batch and "
        "the others of its class; guess first which of the two probabilities is larger."
    ),
    name="clash",
    stub="def clash(batch, classes):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def clash(batch, classes):\n"
        "    differ = 1.0\n"
        "    for i in range(batch):\n"
        "        differ *= max(0, classes - i) / classes                    # image i meets none of the i before it\n"
        "    return 1 - differ\n"
    ),
    cases=_batch_cases,
    truth=lambda b, c: 1 - _all_differ(b, c),
    mistakes={
        "share": Mistake(
            lambda b, c: b / c,
            "B/C is how many images a class has in the batch on average, not a probability (it can pass 1). Start "
            "from the probability that all images are of different classes",
        ),
        "capped share": Mistake(
            lambda b, c: min(1.0, b / c),
            "B/C, cut off at 1, is still no probability of a clash: with B = 1 nothing can clash, and it gives 1/C. "
            "Start from the probability that all images differ",
        ),
        "expected pairs": Mistake(
            lambda b, c: math.comb(b, 2) / c,
            "this is the expected number of pairs of one class; a batch with three such pairs counts three times, and "
            "the value can pass 1. Take 1 minus the probability of no pair",
        ),
        "capped pairs": Mistake(
            lambda b, c: min(1.0, math.comb(b, 2) / c),
            "this is the expected number of pairs of one class, cut off at 1; a batch with several pairs still counts "
            "several times. Take 1 minus the probability of no pair",
        ),
        "one class": Mistake(
            lambda b, c: 1 - (1 - 1 / c) ** b,
            "this is the probability that one class you named beforehand occurs in the batch; any class may occur "
            "twice. Let image i avoid the classes of all i images before it",
        ),
        "one image": Mistake(
            lambda b, c: 1 - (1 - 1 / c) ** (b - 1),
            "this is the probability that one given image meets its own class; any two images may clash, which is "
            "far more likely. Let image i avoid all i images before it",
        ),
        "pairs apart": Mistake(
            lambda b, c: 1 - (1 - 1 / c) ** math.comb(b, 2),
            "close, but the pairs are treated as independent: if images 1 and 2 agree and 2 and 3 agree, 1 and 3 must "
            "agree too. Multiply image by image, not pair by pair",
        ),
        "all differ": Mistake(
            _all_differ, "this is the probability that all images are of different classes; a clash is 1 minus it"
        ),
    },
    hint="take the images one by one: given that i images are of i different classes, with what probability does the "
    "next one avoid all of them?",
    errors={
        "not defined for negative": "(C - B)! has no value for B > C; there a clash is certain: return 1, or use "
        "math.perm, which gives 0",
        "too large to convert": "a factorial of a large number does not fit into a float: divide the integers first, "
        "or multiply small factors",
        "'math' is not defined": "write import math in the first line",
    },
    right=(
        "def clash(batch, classes):\n"
        "    import math\n"
        "    return 1 - math.comb(classes, batch) * math.factorial(batch) / classes ** batch\n",
        "def clash(batch, classes):\n"
        "    if batch > classes:\n"
        "        return 1\n"
        "    return 1 - (1 - torch.arange(batch, dtype=torch.float64) / classes).prod()\n",
    ),
    wrong={
        "share": "def clash(batch, classes):\n    return batch * (1 / classes)\n",
        "capped share": (
            "def clash(batch, classes):\n    if batch >= classes:\n        return 1.0\n    return batch / classes\n"
        ),
        "expected pairs": (
            "def clash(batch, classes):\n"
            "    pairs = [(i, j) for i in range(batch) for j in range(i)]\n"
            "    return len(pairs) / classes\n"
        ),
        "capped pairs": (
            "def clash(batch, classes):\n"
            "    pairs = batch * (batch - 1) / 2\n"
            "    return 1 if pairs >= classes else pairs / classes\n"
        ),
        "one class": (
            "def clash(batch, classes):\n"
            "    p = 1\n"
            "    for _ in range(batch):\n"
            "        p = p * (classes - 1) / classes\n"
            "    return 1 - p\n"
        ),
        "one image": (
            "def clash(batch, classes):\n"
            "    p = 1\n"
            "    for _ in range(1, batch):\n"
            "        p = p * (classes - 1) / classes\n"
            "    return 1 - p\n"
        ),
        "pairs apart": (
            "def clash(batch, classes):\n"
            "    p = 1\n"
            "    for i in range(batch):\n"
            "        p = p * (1 - 1 / classes) ** i\n"
            "    return 1 - p\n"
        ),
        "all differ": (
            "def clash(batch, classes):\n"
            "    p = 1\n"
            "    for i in range(batch):\n"
            "        p = p * max(0, 1 - i / classes)\n"
            "    return p\n"
        ),
    },
)

EXERCISES = [MEAN_COSINE, SAME_AND_DIFFERENT, HARDEST_NEGATIVE, RETRIEVAL_CEILING, BATCH_CLASH]
