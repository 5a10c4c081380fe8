"""The recalls of both directions, and their mean."""

from __future__ import annotations

import torch

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


# --- recalls ----------------------------------------------------------------------------------------------------
def _galleries() -> list[tuple]:
    """(s, owner, k): true pairs score higher on average, not always; captions in any number and order."""
    rng = torch.Generator().manual_seed(41)
    found = []
    for n, m, k, mixed in ((4, 9, 2, True), (6, 30, 3, False), (7, 23, 1, True), (9, 45, 5, True), (12, 31, 4, True)):
        owner = torch.arange(n).repeat_interleave(m // n)
        owner = torch.cat([owner, torch.randint(n, (m - len(owner),), generator=rng)])
        owner = owner[torch.randperm(m, generator=rng)] if mixed else owner
        s = torch.randn(n, m, generator=rng)
        s[owner, torch.arange(m)] += 0.8
        even = s.flatten().argsort().argsort().view(n, m) / (n * m)  # the same order, evenly spaced: no ties
        found.append((even, owner, k))
    return found


def _places(s, dim):
    """The 0-based place of each entry of s among its column (dim 0) or row (dim 1), best first."""
    return s.argsort(dim=dim, descending=True).argsort(dim=dim)


def _image_hits(s, owner, k):
    """(M,) whether a caption's own image is among the first k of its column."""
    return _places(s, 0)[owner, torch.arange(len(owner))] < k


def _text_hits(s, owner, k):
    """(M,) whether a caption is among the first k of its own image's row."""
    return _places(s, 1)[owner, torch.arange(len(owner))] < k


def _of_each(owner, n):
    """For each image, the places of its captions."""
    return [torch.nonzero(owner == i).flatten() for i in range(n)]


def _percent(hits):
    return 100 * hits.float().mean()


def _text_recall(s, owner, k, rule):
    hits = _text_hits(s, owner, k)
    return _percent(torch.stack([rule(hits[own]) for own in _of_each(owner, len(s))]))


def _in_fives(s, owner, k):
    return _percent(torch.stack([(s[i].topk(k).indices // 5 == i).any() for i in range(len(s))]))


IMAGE_RECALL = Exercise(
    key="image_recall",
    lesson=4,
    title="Text to image: recall at K",
    aim="Count how many captions find their image among the K nearest images.",
    difficulty=2,
    importance=3,
    minutes=10,
    task=(
        "Write `image_recall(sim, owner, k)`. `sim` is (N, M), the similarity of N images (rows) and M captions "
        "(columns). `owner` is (M,), the index of each caption's image. The number of captions an image has varies, "
        "and they come in any order. A caption is a hit at K if its image is among the `k` most similar images:\n\n"
        "$$\\mathrm{R@}K = \\frac{100}{M} \\sum_{j=1}^{M} "
        "[\\,\\mathrm{owner}_j \\in \\text{the first } K \\text{ of column } j\\,]$$\n\n"
        "Return one number, in percent. No two similarities are equal."
    ),
    name="image_recall",
    stub="def image_recall(sim, owner, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def image_recall(sim, owner, k):\n"
        "    first = sim.T.topk(k, dim=1).indices  # (M, k) images, best first\n"
        "    hit = (first == owner[:, None]).any(dim=1)  # (M,)\n"
        "    return 100 * hit.float().mean()\n"
    ),
    cases=_galleries,
    draw=draws.recalls,
    truth=lambda s, owner, k: _percent(_image_hits(s, owner, k)),
    mistakes={
        "wrong axis": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, torch.any),
            "this is the other direction: images look for captions along the rows of sim. Here each caption looks for "
            "its image, so rank each column: sim.T, or dim=0",
        ),
        "caption's index": Mistake(
            lambda s, owner, k: 100 * (_places(s, 0).diagonal() < k).sum() / len(owner),
            "the images found for caption j are compared with the number j itself; j counts captions, not images. "
            "Compare with owner[j], the image that caption j belongs to",
        ),
        "fraction": Mistake(
            lambda s, owner, k: _image_hits(s, owner, k).float().mean(),
            "this is a share between 0 and 1; the task asks for percent, so multiply by 100",
        ),
        "farthest": Mistake(
            lambda s, owner, k: _percent(_image_hits(-s, owner, k)),
            "these are the k least similar images: the order is ascending. A larger similarity is better, so sort "
            "with descending=True or take topk",
        ),
        "one too many": Mistake(
            lambda s, owner, k: _percent(_image_hits(s, owner, k + 1)),
            "K + 1 images are looked at: the best image has rank 0, so a hit at K has a rank below K, not up to K",
        ),
        "k ignored": Mistake(
            lambda s, owner, k: _percent(_image_hits(s, owner, 1)),
            "this is R@1 whatever k is: only the first image counts. Take the first k of each column",
        ),
        "per image": Mistake(
            lambda s, owner, k: 100 * _image_hits(s, owner, k).sum() / len(s),
            "the hits are divided by the number of images, so more than 100 percent is possible. Here captions ask, "
            "so divide by the number of captions, M",
        ),
    },
    hint="take the k best images of each column of sim (sim.T has a row for each caption); compare with owner[:, None]",
    errors={
        "size of tensor": "a shape does not fit: the images found are (M, k), they are compared with owner[:, "
        "None], (M, 1)",
        "out of range": "k is larger than the dimension that topk looks along: it must run over the images",
        "dtype": "a mean needs numbers: turn the hits (True or False) into them with .float()",
    },
    right=(
        "def image_recall(sim, owner, k):\n"
        "    m = sim.shape[1]\n"
        "    own = sim[owner, torch.arange(m)]\n"
        "    rank = (sim > own).sum(dim=0)\n"
        "    return (rank < k).sum().item() / m * 100\n",
        "def image_recall(sim, owner, k):\n"
        "    hits = 0\n"
        "    for j, i in enumerate(owner.tolist()):\n"
        "        best = sorted(range(sim.shape[0]), key=lambda image: float(sim[image, j]), reverse=True)[:k]\n"
        "        hits += i in best\n"
        "    return 100 * hits / len(owner)\n",
    ),
    wrong={
        "wrong axis": (
            "def image_recall(sim, owner, k):\n"
            "    found = owner[sim.topk(k, dim=1).indices]\n"
            "    hit = found == torch.arange(sim.shape[0])[:, None]\n"
            "    return 100 * hit.any(dim=1).float().mean()\n"
        ),
        "caption's index": (
            "def image_recall(sim, owner, k):\n"
            "    first = sim.T.argsort(dim=1, descending=True)[:, :k]\n"
            "    hit = first == torch.arange(sim.shape[1])[:, None]\n"
            "    return hit.any(dim=1).float().mean() * 100\n"
        ),
        "fraction": (
            "def image_recall(sim, owner, k):\n"
            "    first = sim.topk(k, dim=0).indices\n"
            "    return (first == owner).sum() / len(owner)\n"
        ),
        "farthest": (
            "def image_recall(sim, owner, k):\n"
            "    first = sim.T.argsort(dim=1)[:, :k]\n"
            "    return 100 * (first == owner[:, None]).any(1).float().mean()\n"
        ),
        "one too many": (
            "def image_recall(sim, owner, k):\n"
            "    rank = (sim > sim.T.gather(1, owner[:, None]).T).sum(0)\n"
            "    return 100 * (rank <= k).float().mean()\n"
        ),
        "k ignored": (
            "def image_recall(sim, owner, k):\n    return 100 * (sim.argmax(dim=0) == owner).float().mean()\n"
        ),
        "per image": (
            "def image_recall(sim, owner, k):\n"
            "    n, m = sim.shape\n"
            "    first = sim.T.topk(k, dim=1).indices\n"
            "    return 100 * sum(int(owner[j] in first[j]) for j in range(m)) / n\n"
        ),
    },
)

TEXT_RECALL = Exercise(
    key="text_recall",
    lesson=4,
    title="Image to text: recall at K",
    aim="Count how many images find at least one of their captions among the K nearest captions.",
    difficulty=2,
    importance=3,
    minutes=12,
    task=(
        "Write `text_recall(sim, owner, k)`. `sim` is (N, M), the similarity of N images (rows) and M captions "
        "(columns). `owner` is (M,), the index of each caption's image. The number of captions an image has varies "
        "(at least one), and they come in any order. An image is a hit at K if **any** of its captions is among the "
        "`k` most similar captions:\n\n"
        "$$\\mathrm{R@}K = \\frac{100}{N} \\sum_{i=1}^{N} "
        "[\\,\\exists\\, j \\in \\text{the first } K \\text{ of row } i: \\mathrm{owner}_j = i\\,]$$\n\n"
        "Return one number, in percent. No two similarities are equal."
    ),
    name="text_recall",
    stub="def text_recall(sim, owner, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def text_recall(sim, owner, k):\n"
        "    first = sim.topk(k, dim=1).indices  # (N, k) captions, best first\n"
        "    hit = owner[first] == torch.arange(len(sim))[:, None]  # (N, k)\n"
        "    return 100 * hit.any(dim=1).float().mean()\n"
    ),
    cases=_galleries,
    draw=draws.recalls,
    truth=lambda s, owner, k: _text_recall(s, owner, k, torch.any),
    mistakes={
        "all captions": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, torch.all),
            "an image counts here only if all its captions are among the first k, which is impossible at R@1 with "
            "five captions. One of them is enough: any, not all",
        ),
        "first caption": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, lambda hits: hits[0]),
            "only the first caption of each image counts here, its other captions count as misses. Each of its "
            "captions is a right answer: look up owner for all k captions found",
        ),
        "per caption": Mistake(
            lambda s, owner, k: _percent(_text_hits(s, owner, k)),
            "this is a mean over the M captions, each a separate hit or miss. Here images ask: any caption makes "
            "the image a hit, and the mean is over the N images",
        ),
        "precision": Mistake(
            lambda s, owner, k: 100 * _text_hits(s, owner, k).sum() / (len(s) * k),
            "this is the share of right captions among the k found (a precision). R@K asks whether there is one at "
            "all: take any(dim=1) before the mean",
        ),
        "wrong axis": Mistake(
            lambda s, owner, k: _percent(_image_hits(s, owner, k)),
            "this is the other direction: captions look for images along the columns of sim. Here each image looks for "
            "captions, so rank each row, dim=1",
        ),
        "in fives": Mistake(
            _in_fives,
            "caption j is assumed to belong to image j // 5, which is true only for five captions per image, in order. "
            "owner says whose caption it is, for any number and order",
        ),
        "fraction": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, torch.any) / 100,
            "this is a share of the images, between 0 and 1; multiply by 100 to get percent",
        ),
    },
    hint="take the k best captions of each row of sim, look up their owner, and compare with the row's index",
    errors={
        "size of tensor": "a shape does not fit: owner of the captions found is (N, k), the rows' numbers are "
        "torch.arange(N)[:, None], (N, 1)",
        "shape mismatch": "two indices do not fit: sim[image, caption] takes two tensors of one length",
        "out of bounds": "owner is indexed by captions (0 to M - 1) and gives images (0 to N - 1); sim is indexed by "
        "[image, caption]",
        "dtype": "a mean needs numbers: turn the hits (True or False) into them with .float()",
    },
    right=(
        "def text_recall(sim, owner, k):\n"
        "    hits = 0\n"
        "    for i in range(sim.shape[0]):\n"
        "        best = sim[i].argsort(descending=True)[:k].tolist()\n"
        "        hits += any(int(owner[j]) == i for j in best)\n"
        "    return 100.0 * hits / sim.shape[0]\n",
        "def text_recall(sim, owner, k):\n"
        "    own = owner[None, :] == torch.arange(len(sim))[:, None]\n"
        "    best = sim.masked_fill(~own, float('-inf')).amax(dim=1, keepdim=True)\n"
        "    return ((sim > best).sum(dim=1) < k).double().mean() * 100\n",
    ),
    wrong={
        "all captions": (
            "def text_recall(sim, owner, k):\n"
            "    hits = 0\n"
            "    for i, row in enumerate(sim):\n"
            "        best = set(row.topk(k).indices.tolist())\n"
            "        hits += {j for j, image in enumerate(owner.tolist()) if image == i} <= best\n"
            "    return 100 * hits / len(sim)\n"
        ),
        "first caption": (
            "def text_recall(sim, owner, k):\n"
            "    own = owner.tolist()\n"
            "    hits = [own.index(i) in sim[i].topk(k).indices.tolist() for i in range(len(sim))]\n"
            "    return 100 * sum(hits) / len(hits)\n"
        ),
        "per caption": (
            "def text_recall(sim, owner, k):\n"
            "    first = sim.topk(k, dim=1).indices\n"
            "    return 100 * (first[owner] == torch.arange(len(owner))[:, None]).any(dim=1).float().mean()\n"
        ),
        "precision": (
            "def text_recall(sim, owner, k):\n"
            "    first = sim.argsort(dim=1, descending=True)[:, :k]\n"
            "    return 100 * (owner[first] == torch.arange(len(sim)).view(-1, 1)).float().mean()\n"
        ),
        "wrong axis": (
            "def text_recall(sim, owner, k):\n"
            "    return 100 * (sim.topk(k, dim=0).indices == owner).any(dim=0).float().mean()\n"
        ),
        "in fives": (
            "def text_recall(sim, owner, k):\n"
            "    first = sim.argsort(dim=1, descending=True)[:, :k]\n"
            "    hit = torch.div(first, 5, rounding_mode='floor') == torch.arange(len(sim))[:, None]\n"
            "    return 100 * hit.any(dim=1).float().mean()\n"
        ),
        "fraction": (
            "def text_recall(sim, owner, k):\n"
            "    hit = owner[sim.topk(k, dim=1).indices] == torch.arange(len(sim))[:, None]\n"
            "    return hit.any(dim=1).sum() / len(sim)\n"
        ),
    },
)


# --- mR ---------------------------------------------------------------------------------------------------------
def _reports() -> list[tuple]:
    """Six recalls each; the keys come in another order each time."""
    rng = torch.Generator().manual_seed(43)
    names, found = [f"{way}_r{k}" for way in ("text", "image") for k in (1, 5, 10)], []
    for start in (5.0, 20.0, 40.0, 55.0):
        order = torch.randperm(6, generator=rng).tolist() if found else range(6)
        values = (start + 40 * torch.rand(6, generator=rng)).tolist()
        found.append(({names[i]: round(values[i], 2) for i in order},))
    return found


def _mean_of(recalls, kept):
    values = [recalls[name] for name in sorted(recalls) if kept in name + "."]
    return sum(values) / len(values)


MEAN_RECALL = Exercise(
    key="mean_recall",
    lesson=4,
    title="One number for a table: mR",
    aim="Compute the mean recall from the six recalls.",
    difficulty=1,
    importance=2,
    minutes=4,
    task=(
        "Write `mean_recall(recalls)`. `recalls` is a dict of six numbers in percent with the keys `text_r1`, "
        "`text_r5`, `text_r10` (image to text) and `image_r1`, `image_r5`, `image_r10` (text to image), in any "
        "order. Return mR, one number in percent:\n\n"
        "$$\\mathrm{mR} = \\frac16 \\sum_{\\text{way}} \\sum_{K \\in \\{1, 5, 10\\}} \\mathrm{R@}K_{\\text{way}}$$"
    ),
    name="mean_recall",
    stub="def mean_recall(recalls):\n    raise NotImplementedError  # your code\n",
    solution="def mean_recall(recalls):\n    return sum(recalls.values()) / len(recalls)\n",
    cases=_reports,
    draw=draws.mean_recall,
    truth=lambda recalls: _mean_of(recalls, "_"),
    mistakes={
        "R@1 only": Mistake(
            lambda recalls: _mean_of(recalls, "_r1."),
            "only the two R@1 are averaged; mR is the mean of R@1, R@5 and R@10, both ways",
        ),
        "image to text only": Mistake(
            lambda recalls: _mean_of(recalls, "text"),
            "only the image-to-text half (text_r...) is averaged; the three recalls image_r... count as much",
        ),
        "text to image only": Mistake(
            lambda recalls: _mean_of(recalls, "image"),
            "only the text-to-image half (image_r...) is averaged; the three recalls text_r... count as much",
        ),
        "sum": Mistake(
            lambda recalls: 6 * _mean_of(recalls, "_"),
            "this is the sum of the six recalls (other papers print it as rSum); divide by six to get the mean",
        ),
        "fraction": Mistake(
            lambda recalls: _mean_of(recalls, "_") / 100,
            "this is divided by 100; the recalls are in percent and mR stays in percent",
        ),
        "median": Mistake(
            lambda recalls: sum(sorted(recalls.values())[2:4]) / 2,
            "this is the median of the six recalls; it does not notice a change of R@1 or R@10. Take the mean",
        ),
    },
    hint="recalls.values() are the six numbers; add them up and divide by how many there are",
    errors={
        "unsupported operand": "a sum over the dict itself goes over its keys, which are text; use recalls.values()",
        "KeyError": "a key is misspelled: they are text_r1, text_r5, text_r10, image_r1, image_r5 and image_r10",
        "must be Tensor": "torch.mean takes a tensor: torch.tensor(list(recalls.values()))",
    },
    right=(
        "def mean_recall(recalls):\n"
        "    total = 0\n"
        "    for way in ('text', 'image'):\n"
        "        for k in (1, 5, 10):\n"
        "            total += recalls[f'{way}_r{k}'] / 6\n"
        "    return total\n",
        "def mean_recall(recalls):\n    return torch.tensor(list(recalls.values())).mean()\n",
    ),
    wrong={
        "R@1 only": "def mean_recall(recalls):\n    return (recalls['text_r1'] + recalls['image_r1']) / 2\n",
        "image to text only": (
            "def mean_recall(recalls):\n    return sum(recalls[f'text_r{k}'] for k in (1, 5, 10)) / 3\n"
        ),
        "text to image only": (
            "def mean_recall(recalls):\n"
            "    return torch.tensor([v for k, v in recalls.items() if k.startswith('image')]).mean()\n"
        ),
        "sum": "def mean_recall(recalls):\n    return sum(recalls.values())\n",
        "fraction": "def mean_recall(recalls):\n    return sum(v / 100 for v in recalls.values()) / 6\n",
        "median": (
            "def mean_recall(recalls):\n    import statistics\n    return statistics.median(recalls.values())\n"
        ),
    },
)

EXERCISES = [IMAGE_RECALL, TEXT_RECALL, MEAN_RECALL]
