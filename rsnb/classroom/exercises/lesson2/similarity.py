"""Cosines among the images of a batch: their mean, within and between classes, the hardest negative."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


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
        "Write `mean_cosine(x)`. `x` is (B, D) with $B \\ge 2$, a row per item; the rows are **not** normalised. "
        "Return "
        "the mean cosine of two different rows, a scalar. With $v_i = x_i / \\lVert x_i \\rVert$:\n\n"
        "$$\\bar{s} = \\frac{1}{B (B - 1)} \\sum_{i} \\sum_{j \\ne i} v_i^\\top v_j$$"
    ),
    name="mean_cosine",
    stub="def mean_cosine(x):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def mean_cosine(x):\n"
        "    v = F.normalize(x, dim=-1)  # (B, D)  rows of length 1\n"
        "    s = v @ v.T  # (B, B)\n"
        "    other = ~torch.eye(len(x), dtype=torch.bool)  # (B, B)  True where j != i\n"
        "    return s[other].mean()\n"
    ),
    cases=_row_cases,
    draw=draws.mean_cosine,
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
            "diagonal there are B(B-1)/2 entries",
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
        "expected the shape": "the result must be a scalar: average over both dimensions",
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
        "and likewise for $c_i \\ne c_j$. Every pair has the same weight; an item does not form a pair with itself."
    ),
    name="same_and_different",
    stub="def same_and_different(x, labels):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def same_and_different(x, labels):\n"
        "    v = F.normalize(x, dim=-1)\n"
        "    s = v @ v.T  # (N, N)\n"
        "    same = torch.tensor([[a == b for b in labels] for a in labels])\n"
        "    itself = torch.eye(len(x), dtype=torch.bool)\n"
        '    return {"same": s[same & ~itself].mean(), "different": s[~same].mean()}\n'
    ),
    cases=_class_cases,
    draw=draws.same_and_different,
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
        "too many dimensions 'str'": "a tensor cannot hold strings; compare the labels in Python, or number the "
        "classes",
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
        "Write `hardest(sim)`. `sim` is (B, B), $B \\ge 2$: the cosine of image $i$ (row) with caption $j$ (column); "
        "the true pairs are on the diagonal. Return for each image the index of its hardest negative, the most similar "
        "caption that is not its own, as a (B,) tensor of integers:\n\n"
        "$$h_i = \\mathrm{arg}\\max_{j \\ne i} s_{ij}$$\n\n"
        "Cosines may be negative."
    ),
    name="hardest",
    stub="def hardest(sim):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def hardest(sim):\n"
        "    itself = torch.eye(len(sim), dtype=torch.bool)\n"
        "    return sim.masked_fill(itself, -torch.inf).argmax(dim=1)  # (B,)\n"
    ),
    cases=_similarity_cases,
    draw=draws.hardest_negative,
    truth=lambda s: _masked(s).argmax(dim=1),
    mistakes={
        "diagonal": Mistake(
            lambda s: s.argmax(dim=1),
            "the diagonal is not masked, so an image can name its own caption, which is the positive; set the "
            "diagonal to -inf first",
        ),
        "axis": Mistake(
            lambda s: _masked(s).argmax(dim=0),
            "this goes down the columns and finds the hardest image of each caption; dim=1 runs along a row",
        ),
        "minimum": Mistake(
            (lambda s: s.argmin(dim=1), lambda s: _masked(s, torch.inf).argmin(dim=1)),
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
            "its own entry is cut out of the row, so all places after it move up by one; mask it, or add 1 to every "
            "index that is i or more",
        ),
        "value": Mistake(
            lambda s: _masked(s).amax(dim=1),
            "this is the cosine of the hardest negative; the task asks for its index: argmax, or the indices of max",
        ),
    },
    hint="fill the diagonal with -inf, so that it can never win; then argmax over the captions of a row",
    errors={
        "masked_fill_ only supports boolean": "the mask must hold True and False: torch.eye(B, dtype=torch.bool)",
        "has no attribute 'argmax'": "max(dim=1) returns values and indices together; take .indices",
        "expected the shape": "the task asks for one index per image, so the result is (B,): argmax needs dim=1",
        "expected numbers": "max(dim=1) returns values and indices together; take .indices",
    },
    right=(
        "def hardest(sim):\n"
        "    found = []\n"
        "    for i, row in enumerate(sim.tolist()):\n"
        "        others = [j for j in range(len(row)) if j != i]\n"
        "        found.append(max(others, key=lambda j: row[j]))\n"
        "    return torch.tensor(found)\n",
        "def hardest(sim):\n    return (sim - 10 * torch.eye(len(sim))).max(dim=1).indices\n",
        "def hardest(sim):\n    return sim.fill_diagonal_(-1).sort(dim=1, descending=True).indices[:, 0]\n",
    ),
    wrong={
        "diagonal": "def hardest(sim):\n    return sim.max(dim=1).indices\n",
        "axis": "def hardest(sim):\n    return (sim - 3 * torch.eye(len(sim))).max(dim=0).indices\n",
        "minimum": "def hardest(sim):\n    return (sim + 3 * torch.eye(len(sim))).sort(dim=1).indices[:, 0]\n",
        "masked with 0": "def hardest(sim):\n    return (sim * (1 - torch.eye(len(sim)))).max(dim=1).indices\n",
        "second": "def hardest(sim):\n    return sim.sort(dim=1, descending=True).indices[:, 1]\n",
        "shortened row": (
            "def hardest(sim):\n"
            "    b = len(sim)\n"
            "    return sim[~torch.eye(b, dtype=torch.bool)].view(b, b - 1).argmax(dim=1)\n"
        ),
        "value": "def hardest(sim):\n    return sim.fill_diagonal_(-2).max(dim=1).values\n",
    },
)

EXERCISES = [MEAN_COSINE, SAME_AND_DIFFERENT, HARDEST_NEGATIVE]
