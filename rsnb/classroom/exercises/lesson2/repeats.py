"""What repeats cost: texts that several images share, and two images of one class in a batch."""

from __future__ import annotations

import math
import random
from collections import Counter

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


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
        "Captions with the same text have the same embedding, so no model can know from such a text which of its "
        "images is meant. Write `ceiling(captions, owner, k)`. `captions` is a list of $M$ strings, caption $i$ "
        "belongs to image `owner[i]`, and `k` is $K$. With $g_i$ the number of **different images** that carry "
        "the text of caption $i$, return the best expected R@K of image retrieval, in percent:\n\n"
        "$$\\mathrm{ceiling}(K) = \\frac{100}{M} \\sum_{i=1}^{M} \\min\\left(1, \\frac{K}{g_i}\\right)$$\n\n"
        "An image may carry the same text twice; it is still one image, and both captions are queries."
    ),
    name="ceiling",
    stub="def ceiling(captions, owner, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def ceiling(captions, owner, k):\n"
        "    images = {}  # text -> the images that carry it\n"
        "    for caption, image in zip(captions, owner):\n"
        "        images.setdefault(caption, set()).add(image)\n"
        "    return 100 * sum(min(1, k / len(images[c])) for c in captions) / len(captions)\n"
    ),
    cases=_caption_cases,
    draw=draws.retrieval_ceiling,
    truth=_ceiling,
    mistakes={
        "captions counted": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, count="captions"),
            "g counts captions here: an image that carries its text twice competes with itself. Collect the images "
            "of a text in a set and count those",
        ),
        "all or nothing": Mistake(
            lambda captions, owner, k: _ceiling(captions, owner, k, chance=lambda g, k: g <= k),
            "a text that more than K images share counts as lost; by chance the right one is among the first K in K "
            "of g cases, so it counts K/g",
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
            "K/g is more than 1 where fewer than K images share the text; a probability is at most 1: min(1, K/g)",
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
    aim="Find how likely a batch is to hold a negative that may not be wrong.",
    difficulty=2,
    importance=2,
    minutes=10,
    task=(
        "A batch holds $B$ random images. There are $C$ classes, and each image is of each of them with the same "
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
        "        differ *= max(0, classes - i) / classes  # image i meets none of the i before it\n"
        "    return 1 - differ\n"
    ),
    cases=_batch_cases,
    draw=draws.batch_clash,
    truth=lambda b, c: 1 - _all_differ(b, c),
    mistakes={
        "share": Mistake(
            lambda b, c: b / c,
            "B/C is how many images a class has in the batch on average, not a probability (it can pass 1). Start "
            "from the probability that all images are of different classes",
        ),
        "capped share": Mistake(
            lambda b, c: min(1.0, b / c),
            "B/C, cut off at 1, is still not the probability of a clash: with B = 1 nothing can clash, and it "
            "gives 1/C. Start from the probability that all images differ",
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

EXERCISES = [RETRIEVAL_CEILING, BATCH_CLASH]
