"""Exercises of notebook 4: recalls both ways, nearest images, the modality gap, and what t-SNE shows."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from rsnb.classroom.exercises.core import Exercise, Mistake


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
        "Write `image_recall(s, owner, k)`. `s` is (N, M), the similarity of N images (rows) and M captions "
        "(columns). `owner` is (M,), the index of each caption's image. The number of captions an image has varies, "
        "and they come in any order. A caption is a hit at K if its image is among the `k` most similar images:\n\n"
        "$$\\mathrm{R@}K = \\frac{100}{M} \\sum_{j=1}^{M} "
        "[\\,\\mathrm{owner}_j \\in \\text{the first } K \\text{ of column } j\\,]$$\n\n"
        "Return one number, in percent. No two similarities are equal."
    ),
    name="image_recall",
    stub="def image_recall(s, owner, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def image_recall(s, owner, k):\n"
        "    first = s.T.topk(k, dim=1).indices                             # (M, k) images, best first\n"
        "    hit = (first == owner[:, None]).any(dim=1)                     # (M,)\n"
        "    return 100 * hit.float().mean()\n"
    ),
    cases=_galleries,
    truth=lambda s, owner, k: _percent(_image_hits(s, owner, k)),
    mistakes={
        "wrong axis": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, torch.any),
            "this is the other direction: images look for captions along the rows of s. Here each caption looks for "
            "its image, so rank each column: s.T, or dim=0",
        ),
        "caption's index": Mistake(
            lambda s, owner, k: 100 * (_places(s, 0).diagonal() < k).sum() / len(owner),
            "the images found for caption j are compared with the number j itself; j counts captions, not images. "
            "Compare with owner[j], the image that caption j belongs to",
        ),
        "fraction": Mistake(
            lambda s, owner, k: _image_hits(s, owner, k).float().mean(),
            "this is a share between 0 and 1; the recall is asked in percent, multiply by 100",
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
    hint="take the k best images of each column of s (s.T has a row for each caption), and compare with owner[:, None]",
    errors={
        "size of tensor": "a shape does not fit: the images found are (M, k), what they are compared with is "
        "owner[:, None], (M, 1)",
        "out of range": "k is larger than the dimension that topk looks along: it must run over the images",
        "dtype": "a mean needs numbers: turn the hits (True or False) into them with .float()",
    },
    right=(
        "def image_recall(s, owner, k):\n"
        "    m = s.shape[1]\n"
        "    own = s[owner, torch.arange(m)]\n"
        "    rank = (s > own).sum(dim=0)\n"
        "    return (rank < k).sum().item() / m * 100\n",
        "def image_recall(s, owner, k):\n"
        "    hits = 0\n"
        "    for j, i in enumerate(owner.tolist()):\n"
        "        best = sorted(range(s.shape[0]), key=lambda image: float(s[image, j]), reverse=True)[:k]\n"
        "        hits += i in best\n"
        "    return 100 * hits / len(owner)\n",
    ),
    wrong={
        "wrong axis": (
            "def image_recall(s, owner, k):\n"
            "    found = owner[s.topk(k, dim=1).indices]\n"
            "    hit = found == torch.arange(s.shape[0])[:, None]\n"
            "    return 100 * hit.any(dim=1).float().mean()\n"
        ),
        "caption's index": (
            "def image_recall(s, owner, k):\n"
            "    first = s.T.argsort(dim=1, descending=True)[:, :k]\n"
            "    hit = first == torch.arange(s.shape[1])[:, None]\n"
            "    return hit.any(dim=1).float().mean() * 100\n"
        ),
        "fraction": (
            "def image_recall(s, owner, k):\n"
            "    first = s.topk(k, dim=0).indices\n"
            "    return (first == owner).sum() / len(owner)\n"
        ),
        "farthest": (
            "def image_recall(s, owner, k):\n"
            "    first = s.T.argsort(dim=1)[:, :k]\n"
            "    return 100 * (first == owner[:, None]).any(1).float().mean()\n"
        ),
        "one too many": (
            "def image_recall(s, owner, k):\n"
            "    rank = (s > s.T.gather(1, owner[:, None]).T).sum(0)\n"
            "    return 100 * (rank <= k).float().mean()\n"
        ),
        "k ignored": ("def image_recall(s, owner, k):\n    return 100 * (s.argmax(dim=0) == owner).float().mean()\n"),
        "per image": (
            "def image_recall(s, owner, k):\n"
            "    n, m = s.shape\n"
            "    first = s.T.topk(k, dim=1).indices\n"
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
        "Write `text_recall(s, owner, k)`. `s` is (N, M), the similarity of N images (rows) and M captions "
        "(columns). `owner` is (M,), the index of each caption's image. The number of captions an image has varies "
        "(at least one), and they come in any order. An image is a hit at K if **any** of its captions is among the "
        "`k` most similar captions:\n\n"
        "$$\\mathrm{R@}K = \\frac{100}{N} \\sum_{i=1}^{N} "
        "[\\,\\exists\\, j \\in \\text{the first } K \\text{ of row } i: \\mathrm{owner}_j = i\\,]$$\n\n"
        "Return one number, in percent. No two similarities are equal."
    ),
    name="text_recall",
    stub="def text_recall(s, owner, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def text_recall(s, owner, k):\n"
        "    first = s.topk(k, dim=1).indices                               # (N, k) captions, best first\n"
        "    hit = owner[first] == torch.arange(len(s))[:, None]            # (N, k)\n"
        "    return 100 * hit.any(dim=1).float().mean()\n"
    ),
    cases=_galleries,
    truth=lambda s, owner, k: _text_recall(s, owner, k, torch.any),
    mistakes={
        "all captions": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, torch.all),
            "an image counts here only if all its captions are among the first k, which is impossible at R@1 with "
            "five captions. One of them is enough: any, not all",
        ),
        "first caption": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, lambda hits: hits[0]),
            "only the first caption of each image counts here, its other captions are taken for misses. Each of its "
            "captions is a right answer: look up owner for all k captions found",
        ),
        "per caption": Mistake(
            lambda s, owner, k: _percent(_text_hits(s, owner, k)),
            "this is a mean over the M captions, each a hit or a miss of its own. Here images ask: any caption makes "
            "the image a hit, and the mean is over the N images",
        ),
        "precision": Mistake(
            lambda s, owner, k: 100 * _text_hits(s, owner, k).sum() / (len(s) * k),
            "this is the share of right captions among the k found (a precision). R@K asks whether there is one at "
            "all: take any(dim=1) before the mean",
        ),
        "wrong axis": Mistake(
            lambda s, owner, k: _percent(_image_hits(s, owner, k)),
            "this is the other direction: captions look for images along the columns of s. Here each image looks for "
            "captions, so rank each row, dim=1",
        ),
        "in fives": Mistake(
            _in_fives,
            "caption j is taken for one of image j // 5, which is true only for five captions an image, in order. "
            "owner says whose caption it is, for any number and order",
        ),
        "fraction": Mistake(
            lambda s, owner, k: _text_recall(s, owner, k, torch.any) / 100,
            "this is a share of the images, between 0 and 1; multiply by 100 to have percent",
        ),
    },
    hint="take the k best captions of each row of s, look up their owner, and compare with the row's index",
    errors={
        "size of tensor": "a shape does not fit: owner of the captions found is (N, k), the rows' numbers are "
        "torch.arange(N)[:, None], (N, 1)",
        "shape mismatch": "two indices do not fit: s[image, caption] takes two tensors of one length",
        "out of bounds": "owner is indexed by captions (0 to M - 1) and gives images (0 to N - 1); s is indexed by "
        "[image, caption]",
        "dtype": "a mean needs numbers: turn the hits (True or False) into them with .float()",
    },
    right=(
        "def text_recall(s, owner, k):\n"
        "    hits = 0\n"
        "    for i in range(s.shape[0]):\n"
        "        best = s[i].argsort(descending=True)[:k].tolist()\n"
        "        hits += any(int(owner[j]) == i for j in best)\n"
        "    return 100.0 * hits / s.shape[0]\n",
        "def text_recall(s, owner, k):\n"
        "    own = owner[None, :] == torch.arange(len(s))[:, None]\n"
        "    best = s.masked_fill(~own, float('-inf')).amax(dim=1, keepdim=True)\n"
        "    return ((s > best).sum(dim=1) < k).double().mean() * 100\n",
    ),
    wrong={
        "all captions": (
            "def text_recall(s, owner, k):\n"
            "    hits = 0\n"
            "    for i, row in enumerate(s):\n"
            "        best = set(row.topk(k).indices.tolist())\n"
            "        hits += {j for j, image in enumerate(owner.tolist()) if image == i} <= best\n"
            "    return 100 * hits / len(s)\n"
        ),
        "first caption": (
            "def text_recall(s, owner, k):\n"
            "    own = owner.tolist()\n"
            "    hits = [own.index(i) in s[i].topk(k).indices.tolist() for i in range(len(s))]\n"
            "    return 100 * sum(hits) / len(hits)\n"
        ),
        "per caption": (
            "def text_recall(s, owner, k):\n"
            "    first = s.topk(k, dim=1).indices\n"
            "    return 100 * (first[owner] == torch.arange(len(owner))[:, None]).any(dim=1).float().mean()\n"
        ),
        "precision": (
            "def text_recall(s, owner, k):\n"
            "    first = s.argsort(dim=1, descending=True)[:, :k]\n"
            "    return 100 * (owner[first] == torch.arange(len(s)).view(-1, 1)).float().mean()\n"
        ),
        "wrong axis": (
            "def text_recall(s, owner, k):\n"
            "    return 100 * (s.topk(k, dim=0).indices == owner).any(dim=0).float().mean()\n"
        ),
        "in fives": (
            "def text_recall(s, owner, k):\n"
            "    first = s.argsort(dim=1, descending=True)[:, :k]\n"
            "    hit = torch.div(first, 5, rounding_mode='floor') == torch.arange(len(s))[:, None]\n"
            "    return 100 * hit.any(dim=1).float().mean()\n"
        ),
        "fraction": (
            "def text_recall(s, owner, k):\n"
            "    hit = owner[s.topk(k, dim=1).indices] == torch.arange(len(s))[:, None]\n"
            "    return hit.any(dim=1).sum() / len(s)\n"
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
    aim="Make the mean recall out of the six recalls.",
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
            "this is the sum of the six recalls (other papers print it as rSum); divide by six to have the mean",
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


# --- nearest images ---------------------------------------------------------------------------------------------
def _queries() -> list[tuple]:
    """(image, text_query, k): embeddings of very different lengths around a common direction."""
    rng = torch.Generator().manual_seed(65)
    found = []
    for n, d, k in ((6, 4, 3), (9, 5, 4), (10, 8, 5), (7, 12, 2)):
        length = 0.3 + 4 * torch.rand(n, 1, generator=rng)
        image = length * F.normalize(torch.randn(n, d, generator=rng) + 0.5, dim=-1)
        found.append((image, 2 * torch.randn(d, generator=rng) + 0.5, k))
    return found


def _first(scores, k, descending=True):
    return scores.argsort(descending=descending)[:k]


def _cosines(image, query, dim=1):
    return image / image.norm(dim=dim, keepdim=True) @ (query / query.norm())


TOP_K = Exercise(
    key="top_k",
    lesson=4,
    title="The k nearest images for a query",
    aim="Answer one text query by cosine similarity.",
    difficulty=1,
    importance=3,
    minutes=8,
    task=(
        "Write `top_k(image, text_query, k)`. `image` is (N, D), the embeddings of N images; `text_query` is (D,), the "
        "embedding of one text. Neither is normalised. Return the indices of the `k` images with the largest cosine, "
        "(k,), best first:\n\n"
        "$$\\cos(v_i, t) = \\frac{v_i^\\top t}{\\lVert v_i \\rVert\\, \\lVert t \\rVert}$$"
    ),
    name="top_k",
    stub="def top_k(image, text_query, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def top_k(image, text_query, k):\n"
        "    v = F.normalize(image, dim=-1)                                 # (N, D)\n"
        "    t = F.normalize(text_query, dim=-1)                            # (D,)\n"
        "    return (v @ t).topk(k).indices                                 # (k,)\n"
    ),
    cases=_queries,
    truth=lambda image, query, k: _first(_cosines(image, query), k),
    mistakes={
        "dot product": Mistake(
            lambda image, query, k: _first(image @ query, k),
            "this is the order of the dot product: a long embedding wins even if it points elsewhere. Divide each "
            "image embedding by its length first (the length of the query does not change the order)",
        ),
        "ascending": Mistake(
            lambda image, query, k: _first(_cosines(image, query), k, descending=False),
            "these are the images with the smallest cosines: argsort is ascending. Ask for descending=True or use topk",
        ),
        "euclidean": Mistake(
            lambda image, query, k: _first((image - query).norm(dim=1), k, descending=False),
            "this is the order of the Euclidean distance, which depends on the lengths as well as on the directions. "
            "It agrees with the cosine only after normalising",
        ),
        "wrong axis": Mistake(
            lambda image, query, k: _first(_cosines(image, query, dim=0), k),
            "the images are normalised along dim=0, which scales each feature over all images. An embedding is a row: "
            "normalise along the last dimension, dim=-1",
        ),
        "scores": Mistake(
            lambda image, query, k: _cosines(image, query).sort(descending=True).values[:k],
            "these are the cosines themselves; the question is which images have them. topk gives both: take .indices",
        ),
    },
    hint="normalise both along the last dimension; one matrix product gives all N cosines, topk(k).indices the answer",
    errors={
        "dimension out of range": "F.normalize works along dim=1 unless told otherwise, and text_query has one "
        "dimension only: write dim=-1",
        "not implemented for": "something here is not a float tensor",
        "size": "a shape does not fit: image is (N, D) and text_query (D,), so image @ text_query is (N,)",
    },
    right=(
        "def top_k(image, text_query, k):\n"
        "    scores = F.cosine_similarity(image, text_query[None], dim=1)\n"
        "    return scores.argsort(descending=True)[:k]\n",
        "def top_k(image, text_query, k):\n"
        "    cosine = [float(v @ text_query / (v.norm() * text_query.norm())) for v in image]\n"
        "    return sorted(range(len(cosine)), key=cosine.__getitem__, reverse=True)[:k]\n",
    ),
    wrong={
        "dot product": (
            "def top_k(image, text_query, k):\n"
            "    scores = image @ F.normalize(text_query, dim=0)\n"
            "    return scores.topk(k).indices\n"
        ),
        "ascending": (
            "def top_k(image, text_query, k):\n"
            "    return torch.argsort(F.cosine_similarity(image, text_query.unsqueeze(0)))[:k]\n"
        ),
        "euclidean": (
            "def top_k(image, text_query, k):\n"
            "    return torch.cdist(text_query[None], image)[0].topk(k, largest=False).indices\n"
        ),
        "wrong axis": (
            "def top_k(image, text_query, k):\n"
            "    return (F.normalize(image, dim=0) @ F.normalize(text_query, dim=0)).topk(k).indices\n"
        ),
        "scores": (
            "def top_k(image, text_query, k):\n    return F.cosine_similarity(image, text_query[None]).topk(k).values\n"
        ),
    },
)


# --- the modality gap -------------------------------------------------------------------------------------------
def _clouds() -> list[tuple]:
    """(image, text): two clouds with centres of their own, un-normalised, of different sizes."""
    rng = torch.Generator().manual_seed(45)
    found = []
    for n, m, d in ((5, 11, 4), (8, 8, 6), (12, 30, 10)):
        image = (1 + 3 * torch.rand(n, 1, generator=rng)) * (torch.randn(n, d, generator=rng) + 1)
        text = (1 + torch.rand(m, 1, generator=rng)) * (torch.randn(m, d, generator=rng) - 0.5)
        found.append((image, text))
    return found


def _centre(x, unit=True):
    return (x / x.norm(dim=1, keepdim=True) if unit else x).mean(dim=0)


def _apart(image, text):
    """(N, M) distances of all pairs of normalised embeddings."""
    return (2 - 2 * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T).clamp(min=0).sqrt()


MODALITY_GAP = Exercise(
    key="modality_gap",
    lesson=4,
    title="The modality gap",
    aim="Measure how far apart the centres of images and captions lie.",
    difficulty=2,
    importance=2,
    minutes=8,
    task=(
        "Write `modality_gap(image, text)`. `image` is (N, D), `text` is (M, D); neither is normalised. With "
        "$\\hat v_i$ and $\\hat t_j$ the embeddings divided by their lengths:\n\n"
        "$$\\mathrm{gap} = \\left\\lVert \\frac1N \\sum_i \\hat v_i - \\frac1M \\sum_j \\hat t_j \\right\\rVert$$\n\n"
        "Return a scalar. The centres themselves are not normalised."
    ),
    name="modality_gap",
    stub="def modality_gap(image, text):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def modality_gap(image, text):\n"
        "    v = F.normalize(image, dim=-1).mean(dim=0)                     # (D,)\n"
        "    t = F.normalize(text, dim=-1).mean(dim=0)                      # (D,)\n"
        "    return (v - t).norm()\n"
    ),
    cases=_clouds,
    truth=lambda image, text: (_centre(image) - _centre(text)).norm(),
    mistakes={
        "not normalised": Mistake(
            lambda image, text: (_centre(image, False) - _centre(text, False)).norm(),
            "the embeddings are not normalised, so their lengths enter the gap, although retrieval by cosine never "
            "sees them. Divide each row by its length before the mean",
        ),
        "pairwise": Mistake(
            lambda image, text: _apart(image, text).mean(),
            "this is the mean distance of all image-text pairs; it is large for two scattered clouds even if their "
            "centres are the same. Take the two means first, then one distance",
        ),
        "centres normalised": Mistake(
            lambda image, text: (F.normalize(_centre(image), dim=0) - F.normalize(_centre(text), dim=0)).norm(),
            "the centres are normalised as well, which moves them onto the sphere; a centre lies inside it. Normalise "
            "the rows, then leave the mean as it is",
        ),
        "normalised too late": Mistake(
            lambda image, text: (
                F.normalize(_centre(image, False), dim=0) - F.normalize(_centre(text, False), dim=0)
            ).norm(),
            "the mean is taken first and normalised afterwards, so long embeddings weigh more and the centre is moved "
            "onto the sphere. Normalise each row, then take the mean",
        ),
        "squared": Mistake(
            lambda image, text: (_centre(image) - _centre(text)).square().sum(),
            "this is the squared distance of the centres; take the square root, or .norm()",
        ),
        "cosine": Mistake(
            lambda image, text: 1 - F.cosine_similarity(_centre(image), _centre(text), dim=0),
            "this is one minus the cosine of the two centres: it sees their directions alone. Asked is the length of "
            "their difference",
        ),
    },
    hint="normalise the rows of both, take the mean of each over dim=0, and only then the norm of the difference",
    errors={
        "size of tensor": "a shape does not fit: N and M differ, so rows cannot be subtracted; a mean over dim=0 is "
        "(D,) for both",
        "converted to": "the result has more than one element: a mean over dim=0 and a norm over all of it leave one",
    },
    right=(
        "def modality_gap(image, text):\n"
        "    gap = 0.0\n"
        "    v = image / image.square().sum(dim=1, keepdim=True).sqrt()\n"
        "    t = text / text.square().sum(dim=1, keepdim=True).sqrt()\n"
        "    for d in range(image.shape[1]):\n"
        "        gap += float(v[:, d].sum() / len(v) - t[:, d].sum() / len(t)) ** 2\n"
        "    return gap ** 0.5\n",
        "def modality_gap(image, text):\n"
        "    v, t = F.normalize(image), F.normalize(text)\n"
        "    squared = (v @ v.T).mean() + (t @ t.T).mean() - 2 * (v @ t.T).mean()\n"
        "    return squared.sqrt()\n",
    ),
    wrong={
        "not normalised": (
            "def modality_gap(image, text):\n    return torch.linalg.vector_norm(image.mean(0) - text.mean(0))\n"
        ),
        "pairwise": (
            "def modality_gap(image, text):\n    return torch.cdist(F.normalize(image), F.normalize(text)).mean()\n"
        ),
        "centres normalised": (
            "def modality_gap(image, text):\n"
            "    v, t = F.normalize(image).sum(0), F.normalize(text).sum(0)\n"
            "    return torch.dist(v / v.norm(), t / t.norm())\n"
        ),
        "normalised too late": (
            "def modality_gap(image, text):\n"
            "    v, t = image.sum(0), text.sum(0)\n"
            "    return (v / v.norm() - t / t.norm()).pow(2).sum().sqrt()\n"
        ),
        "squared": (
            "def modality_gap(image, text):\n"
            "    d = F.normalize(image).mean(0) - F.normalize(text).mean(0)\n"
            "    return d @ d\n"
        ),
        "cosine": (
            "def modality_gap(image, text):\n"
            "    v, t = F.normalize(image).sum(0), F.normalize(text).sum(0)\n"
            "    return 1 - v @ t / (v.norm() * t.norm())\n"
        ),
    },
)

# --- reading t-SNE ----------------------------------------------------------------------------------------------
READ_TSNE = Exercise(
    key="read_tsne",
    lesson=4,
    title="What a t-SNE map tells",
    aim="Tell apart what a t-SNE map supports and what it only seems to say.",
    difficulty=2,
    importance=3,
    minutes=5,
    task=(
        "A t-SNE map shows the images and captions of ten classes. Which of these statements does it support?\n\n"
        "- **A** Class 1 lies twice as far from class 3 as from class 2, so in the embedding space it is twice as far, "
        "too.\n"
        "- **B** Two marks lie side by side, so these two are probably near each other in the embedding space.\n"
        "- **C** The cluster of class 4 is wide and that of class 5 is small, so the images of class 4 differ more "
        "from each other.\n"
        "- **D** Many captions of class 7 lie in between the images of class 9, so images of class 9 are probably "
        "among the nearest images of many of these captions.\n"
        "- **E** Classes far to the left have less of some property than classes far to the right: the horizontal "
        "axis measures it.\n\n"
        'Set `tsne_says` to the set of the letters that hold, for example `{"A", "C"}`.'
    ),
    name="tsne_says",
    stub='tsne_says = ...  # the set of your letters, for example {"A", "C"}\n',
    solution='tsne_says = {"B", "D"}  # only neighbourhoods are kept; D is B, said of many points\n',
    kind="prediction",
    truth=lambda: set("BD"),
    mistakes={
        "distance": Mistake(
            lambda: set("ABD"),
            "A is wrong: t-SNE keeps neighbourhoods, and the room between clusters is what was left over. How far two "
            "classes are apart is a question to the full space: compute their mean cosine",
        ),
        "size": Mistake(
            lambda: set("BCD"),
            "C is wrong: t-SNE evens out densities, so a tight and a scattered class may look equally wide. Compute "
            "the cosines within each class instead",
        ),
        "axis": Mistake(
            lambda: set("BDE"),
            "E is wrong: the axes of a t-SNE map have no meaning and no unit, turning the map changes nothing. For "
            "axes that measure something take PCA",
        ),
        "distance and size": Mistake(
            lambda: set("ABCD"),
            "A and C are wrong: neither the room between clusters nor their width is kept, only who is near whom. "
            "Distances and spreads have to be computed in the full space",
        ),
        "everything": Mistake(
            lambda: set("ABCDE"),
            "all five cannot be: distances between clusters (A), their sizes (C) and the axes (E) mean nothing in a "
            "t-SNE map. Keep what speaks of near neighbours alone",
        ),
        "only B": Mistake(
            lambda: set("B"),
            "B is right, and one is missing: a statement that says the same of many points at once, captions and "
            "images. Look for the other one that speaks of near neighbours alone",
        ),
        "only D": Mistake(
            lambda: set("D"),
            "D is right, and one is missing: what holds for many marks that lie together holds for two of them. Look "
            "for the other one that speaks of near neighbours alone",
        ),
        "near and far": Mistake(
            lambda: set("AB"),
            "B is right, A is not: near points on the map are probably near in the space, but far ones may be at any "
            "distance. And one that speaks of near neighbours is missing",
        ),
        "reversed": Mistake(
            lambda: set("ACE"),
            "these are the three that the map does not support: t-SNE keeps near neighbours, not distances between "
            "clusters (A), sizes (C) or axes (E). Take the others",
        ),
    },
    hint='t-SNE keeps one thing: near neighbours stay near. Test each statement by it; write a set like {"A", "C"}',
    errors={
        "the answer is not 'AC'": 'a text was given; write a set with one text for each letter, {"A", "C"}',
        "NameError": 'the letters are texts and need quotes: {"A", "C"}, not {A, C}',
    },
    right=('tsne_says = ["D", "B"]\n', 'tsne_says = set("ABCDE") - set("ACE")\n'),
    wrong={
        "distance": 'tsne_says = {"A", "B", "D"}\n',
        "size": 'tsne_says = ("D", "C", "B")\n',
        "axis": 'tsne_says = ["B", "D", "E"]\n',
        "distance and size": 'tsne_says = set("ABCDE") - {"E"}\n',
        "everything": "tsne_says = {chr(65 + i) for i in range(5)}\n",
        "only B": 'tsne_says = {"B"}\n',
        "only D": 'tsne_says = ["D"]\n',
        "near and far": 'tsne_says = {"B", "A"}\n',
        "reversed": 'tsne_says = set("ABCDE"[::2])\n',
    },
)

EXERCISES = [IMAGE_RECALL, TEXT_RECALL, MEAN_RECALL, TOP_K, MODALITY_GAP, READ_TSNE]
