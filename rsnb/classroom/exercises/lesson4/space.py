"""The embedding space: nearest images, the modality gap, and what t-SNE shows."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


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
        "    v = F.normalize(image, dim=-1)  # (N, D)\n"
        "    t = F.normalize(text_query, dim=-1)  # (D,)\n"
        "    return (v @ t).topk(k).indices  # (k,)\n"
    ),
    cases=_queries,
    draw=draws.top_k,
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
        "dimension out of range": "F.normalize works along dim=1 by default, and text_query has only one dimension: "
        "write dim=-1",
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
        "    v = F.normalize(image, dim=-1).mean(dim=0)  # (D,)\n"
        "    t = F.normalize(text, dim=-1).mean(dim=0)  # (D,)\n"
        "    return (v - t).norm()\n"
    ),
    cases=_clouds,
    draw=draws.modality_gap,
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
            "this is one minus the cosine of the two centres: it sees only their directions. The task asks for the "
            "length of their difference",
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
    title="What a t-SNE map shows",
    aim="Distinguish what a t-SNE map supports from what it only seems to say.",
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
            "A is wrong: t-SNE keeps neighbourhoods, and the room between clusters is what was left over. How far "
            "apart two classes are is a question for the full space: compute their mean cosine",
        ),
        "size": Mistake(
            lambda: set("BCD"),
            "C is wrong: t-SNE evens out densities, so a tight and a scattered class may look equally wide. Compute "
            "the cosines within each class instead",
        ),
        "axis": Mistake(
            lambda: set("BDE"),
            "E is wrong: the axes of a t-SNE map have no meaning and no unit; rotating the map changes nothing. For "
            "axes that measure something use PCA",
        ),
        "distance and size": Mistake(
            lambda: set("ABCD"),
            "A and C are wrong: neither the room between clusters nor their width is kept, only who is near whom. "
            "Distances and spreads have to be computed in the full space",
        ),
        "everything": Mistake(
            lambda: set("ABCDE"),
            "all five cannot be: distances between clusters (A), their sizes (C) and the axes (E) mean nothing in a "
            "t-SNE map. Keep only what speaks of near neighbours",
        ),
        "only B": Mistake(
            lambda: set("B"),
            "B is right, and one is missing: a statement that says the same of many points at once, captions and "
            "images. Look for the other one that speaks only of near neighbours",
        ),
        "only D": Mistake(
            lambda: set("D"),
            "D is right, and one is missing: what holds for many marks that lie together holds for two of them. Look "
            "for the other one that speaks only of near neighbours",
        ),
        "near and far": Mistake(
            lambda: set("AB"),
            "B is right, A is not: near points on the map are probably near in the space, but far ones may be at "
            "any distance. And a statement about near neighbours is missing",
        ),
        "reversed": Mistake(
            lambda: set("ACE"),
            "these are the three that the map does not support: t-SNE keeps near neighbours, not distances between "
            "clusters (A), sizes (C) or axes (E). Take the others",
        ),
    },
    hint='t-SNE keeps one thing: near neighbours stay near. Test each statement by it; write a set like {"A", "C"}',
    errors={
        "the answer is not 'AC'": 'a string was given; write a set with one string for each letter, {"A", "C"}',
        "NameError": 'the letters are strings and need quotes: {"A", "C"}, not {A, C}',
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

EXERCISES = [TOP_K, MODALITY_GAP, READ_TSNE]
