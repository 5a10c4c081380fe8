"""Counts to know before training: recall by chance, captions that say something, wrong pairs."""

from __future__ import annotations

import functools
import math
import re

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


# --- recall by chance -------------------------------------------------------------------------------------------
def _chance_cases() -> list[tuple]:
    """Few captions, so that the wrong formulas lie far from the right one; the last K leaves no room to miss."""
    return [(20, 5, 1), (20, 5, 3), (50, 5, 10), (12, 4, 5), (10, 1, 4), (9, 3, 7)]


def _ways(captions, own, k, hits):
    """In how many of the sets of k captions stand exactly `hits` own ones."""
    return math.comb(own, hits) * math.comb(captions - own, k - hits) if hits <= k else 0


CHANCE_RECALL = Exercise(
    key="chance_recall",
    lesson=1,
    title="Recall by chance",
    aim="Find the score of a model that has learned nothing.",
    difficulty=2,
    importance=2,
    minutes=12,
    task=(
        "An image is the query, and all $M$ captions of the test part are put in a random order. $c$ of them are the "
        "image's own. Write `chance_recall(captions, own, k)` with the integers $M$, $c$ and $K \\le M$: the exact "
        "probability (0 to 1) that at least one of the image's own captions is among the first $K$. It is 1 minus "
        "the probability of a miss, that all $K$ places go to the $M - c$ others:\n\n"
        "$$P = 1 - \\frac{\\binom{M - c}{K}}{\\binom{M}{K}}$$\n\n"
        "For $M = 1320$, $c = 5$ and $K = 10$ it is 0.0374."
    ),
    name="chance_recall",
    stub="def chance_recall(captions, own, k):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def chance_recall(captions, own, k):\n"
        "    import math\n"
        "    return 1 - math.comb(captions - own, k) / math.comb(captions, k)\n"
    ),
    cases=_chance_cases,
    draw=draws.chance_recall,
    truth=lambda captions, own, k: 1 - _ways(captions, own, k, 0) / math.comb(captions, k),
    mistakes={
        "one caption": Mistake(
            lambda captions, own, k: k / captions,
            "K/M is the chance of one particular caption; an image has c captions of its own, and any of them is a "
            "hit. Use the probability that all of them miss",
        ),
        "added": Mistake(
            lambda captions, own, k: own * k / captions,
            "c * K/M is the expected number of hits, not the probability of at least one: a list with two hits counts "
            "twice, and the value can pass 1. Use 1 minus the probability of no hit",
        ),
        "capped": Mistake(
            lambda captions, own, k: min(1.0, own * k / captions),
            "c * K/M counts a list with two hits twice, and cutting it off at 1 only hides that. Use 1 minus the "
            "probability of no hit",
        ),
        "with replacement": Mistake(
            lambda captions, own, k: 1 - (1 - own / captions) ** k,
            "this draws every place from all M captions again, so a caption could be in the list twice. After each "
            "miss one caption fewer is left: (M-c)/M * (M-c-1)/(M-1) * ...",
        ),
        "places of one": Mistake(
            lambda captions, own, k: 1 - (1 - k / captions) ** own,
            "the c captions are treated as if each missed independently of the others; two of them cannot be in the "
            "same place. Count without replacement",
        ),
        "exactly one": Mistake(
            lambda captions, own, k: _ways(captions, own, k, 1) / math.comb(captions, k),
            "this is the probability of exactly one hit; two or more hits count as well: take 1 minus no hit",
        ),
        "all of them": Mistake(
            lambda captions, own, k: _ways(captions, own, k, own) / math.comb(captions, k),
            "this is the probability that all of the image's captions are found; R@K asks for only one",
        ),
        "a miss": Mistake(
            lambda captions, own, k: _ways(captions, own, k, 0) / math.comb(captions, k),
            "this is the probability of a miss; a hit is 1 minus it",
        ),
        "percent": Mistake(
            lambda captions, own, k: 100 * (1 - _ways(captions, own, k, 0) / math.comb(captions, k)),
            "the formula is right, but this is in percent; the requested probability is between 0 and 1",
        ),
    },
    hint="math.comb(n, k) is n choose k; first write the probability that none of the image's captions is listed",
    errors={
        "not defined for negative": "K may be larger than the number of other captions, then a factorial gets a "
        "negative number and a miss is impossible; math.comb returns 0 there by itself",
        "too large to convert": "a factorial of a large number does not fit into a float: divide the integers first, "
        "or use math.comb",
        "cannot be interpreted as an integer": "math.comb wants integers; do not divide before you call it",
        "'math' is not defined": "write import math in the first line",
    },
    right=(
        "def chance_recall(captions, own, k):\n"
        "    miss = 1.0\n"
        "    for place in range(k):\n"
        "        miss *= max(0, captions - own - place) / (captions - place)\n"
        "    return 1 - miss\n",
        "def chance_recall(captions, own, k):\n"
        "    from math import comb\n"
        "    hits = range(1, min(own, k) + 1)\n"
        "    return sum(comb(own, h) * comb(captions - own, k - h) for h in hits) / comb(captions, k)\n",
    ),
    wrong={
        "one caption": "def chance_recall(captions, own, k):\n    return 1 / captions * k\n",
        "added": (
            "def chance_recall(captions, own, k):\n"
            "    total = 0\n"
            "    for place in range(k):\n"
            "        total += own / captions\n"
            "    return total\n"
        ),
        "capped": (
            "def chance_recall(captions, own, k):\n    p = k * own / captions\n    return p if p < 1 else 1.0\n"
        ),
        "with replacement": (
            "def chance_recall(captions, own, k):\n"
            "    miss = 1\n"
            "    for place in range(k):\n"
            "        miss = miss * (captions - own) / captions\n"
            "    return 1 - miss\n"
        ),
        "places of one": (
            "def chance_recall(captions, own, k):\n"
            "    outside = (captions - k) / captions\n"
            "    return 1 - outside ** own\n"
        ),
        "exactly one": (
            "def chance_recall(captions, own, k):\n"
            "    import math\n"
            "    return own * math.comb(captions - own, k - 1) / math.comb(captions, k)\n"
        ),
        "all of them": (
            "def chance_recall(captions, own, k):\n"
            "    p = 1.0\n"
            "    for i in range(own):\n"
            "        p *= max(0, k - i) / (captions - i)\n"
            "    return p\n"
        ),
        "a miss": (
            "def chance_recall(captions, own, k):\n"
            "    miss = 1.0\n"
            "    for place in range(k):\n"
            "        miss *= max(0, captions - own - place) / (captions - place)\n"
            "    return miss\n"
        ),
        "percent": (
            "def chance_recall(captions, own, k):\n"
            "    miss = 1.0\n"
            "    for place in range(k):\n"
            "        miss *= max(0, captions - own - place) / (captions - place)\n"
            "    return 100 - 100 * miss\n"
        ),
    },
)


# --- captions that say nothing ----------------------------------------------------------------------------------
def _usable_cases() -> list[tuple]:
    return [
        (["a pond .", " .", "1 .", "two boats in a harbor ."],),
        (["", "   ", "a .", "12 .", "... .", "many trees.", "I 1 a"],),
        (["BRIDGE", " x y", "10 20", "Road!", "?!", "a b c d"],),
        (["a", " .", "", "7"],),
        (["(park)", "a 2 b", "is", "-- --", "A", " an airport", "1 ."],),
    ]


def _indices(captions, keep):
    return [i for i, caption in enumerate(captions) if keep(caption)]


def _says_something(caption: str) -> bool:
    return re.search("[a-z]{2}", caption.lower()) is not None


USABLE_CAPTIONS = Exercise(
    key="usable_captions",
    lesson=1,
    title="Captions that say nothing",
    aim="Find the captions with at least one real word.",
    difficulty=2,
    importance=2,
    minutes=10,
    task=(
        'Real caption files have entries such as `" ."` or `"1 ."`: not empty, yet they say nothing. Write '
        "`usable(captions)`. `captions` is a list of strings. Return the indices, in ascending order, of those with "
        "at least one word of two letters or more, that is, with two letters a-z side by side; capitals count, and "
        'punctuation may touch the word. `"many trees."`, `"BRIDGE"` and `"(park)"` are usable; `" ."`, '
        '`"12 ."` and `"a 2 b"` are not.'
    ),
    name="usable",
    stub="def usable(captions):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def usable(captions):\n"
        "    import re\n"
        '    return [i for i, text in enumerate(captions) if re.search("[A-Za-z]{2}", text)]\n'
    ),
    cases=_usable_cases,
    draw=draws.usable_captions,
    truth=lambda captions: _indices(captions, _says_something),
    mistakes={
        "not blank": Mistake(
            lambda captions: _indices(captions, lambda c: c.strip() != ""),
            "only blank captions are left out: ' .' and '1 .' are not blank, and still say nothing. Look for letters",
        ),
        "any letter": Mistake(
            lambda captions: _indices(captions, lambda c: re.search("[a-z]", c.lower())),
            "one letter is enough here, so 'a .' counts; a word needs two letters side by side",
        ),
        "letters apart": Mistake(
            lambda captions: _indices(captions, lambda c: len(re.findall("[a-z]", c.lower())) >= 2),
            "the letters of the whole caption are counted, so 'a 2 b' counts; the two must stand side by side in one "
            "word",
        ),
        "characters": Mistake(
            lambda captions: _indices(captions, lambda c: len(c.strip()) >= 2),
            "the length counts characters, digits and full stops included, so '1 .' passes with three; count letters",
        ),
        "long tokens": Mistake(
            lambda captions: _indices(captions, lambda c: any(len(word) >= 2 for word in c.split())),
            "split() cuts at blanks only, so '12' and '...' pass as words; ask for letters inside a piece",
        ),
        "digits": Mistake(
            lambda captions: _indices(captions, lambda c: re.search("[a-z0-9]{2}", c.lower())),
            "digits count as letters here, so '12 .' passes: \\w and isalnum() take both. Ask for letters, [A-Za-z]",
        ),
        "glued": Mistake(
            lambda captions: _indices(captions, lambda c: any(len(w) >= 2 and w.isalpha() for w in c.split())),
            "a word that touches punctuation, such as 'trees.' or '(park)', is lost: isalpha() is false for the whole "
            "piece. Strip the punctuation, or search for letters with re",
        ),
        "small letters": Mistake(
            lambda captions: _indices(captions, lambda c: re.search("[a-z]{2}", c)),
            "capitals are not seen, so 'BRIDGE' is lost; use lower() first, or [A-Za-z]",
        ),
        "the bad ones": Mistake(
            lambda captions: _indices(captions, lambda c: not _says_something(c)),
            "these are the captions to throw away; return the others",
        ),
    },
    hint="write down the test for one caption first: does re.search find two letters side by side? Then use enumerate",
    errors={
        "'re' is not defined": "write import re in the first line",
        "expected string or bytes": "re.search looks into one string; give it one caption, not the list",
        "has no attribute 'split'": "split() belongs to one caption, not to the list; loop over the captions",
        "has no attribute 'strip'": "strip() belongs to one caption, not to the list; loop over the captions",
        "expected numbers": "the captions themselves are returned; the task asks for their indices: loop over "
        "enumerate(captions)",
    },
    right=(
        "def usable(captions):\n"
        "    found = []\n"
        "    for i, caption in enumerate(captions):\n"
        "        pairs = zip(caption, caption[1:])\n"
        "        if any(a.isalpha() and b.isalpha() for a, b in pairs):\n"
        "            found.append(i)\n"
        "    return found\n",
        "def usable(captions):\n"
        "    def words(text):\n"
        "        return ''.join(x if x.isalpha() else ' ' for x in text).split()\n"
        "    good = [max(map(len, words(text)), default=0) > 1 for text in captions]\n"
        "    return torch.tensor(good).nonzero().flatten()\n",
    ),
    wrong={
        "not blank": "def usable(captions):\n    return [i for i in range(len(captions)) if captions[i].split()]\n",
        "any letter": (
            "def usable(captions):\n"
            "    return [i for i, text in enumerate(captions) if any(x.isalpha() for x in text)]\n"
        ),
        "letters apart": (
            "def usable(captions):\n"
            "    return [i for i, text in enumerate(captions) if sum(x.isalpha() for x in text) > 1]\n"
        ),
        "characters": (
            "def usable(captions):\n    return [i for i, text in enumerate(captions) if len(text.strip()) > 1]\n"
        ),
        "long tokens": (
            "def usable(captions):\n"
            "    return [i for i, text in enumerate(captions) if max(map(len, text.split()), default=0) > 1]\n"
        ),
        "digits": (
            "def usable(captions):\n"
            "    import re\n"
            "    return [i for i, text in enumerate(captions) if any(len(w) > 1 for w in re.findall(r'\\w+', text))]\n"
        ),
        "glued": (
            "def usable(captions):\n"
            "    import re\n"
            "    word = re.compile('[a-zA-Z][a-zA-Z]+')\n"
            "    return [i for i, text in enumerate(captions) if any(map(word.fullmatch, text.split()))]\n"
        ),
        "small letters": (
            "def usable(captions):\n"
            "    small = 'abcdefghijklmnopqrstuvwxyz'\n"
            "    pairs = [[x in small and y in small for x, y in zip(t, t[1:])] for t in captions]\n"
            "    return [i for i, found in enumerate(pairs) if True in found]\n"
        ),
        "the bad ones": (
            "def usable(captions):\n"
            "    import re\n"
            "    return [i for i, text in enumerate(captions) if not re.search('[A-Za-z][A-Za-z]', text)]\n"
        ),
    },
)


# --- a prediction -----------------------------------------------------------------------------------------------
@functools.cache
def _toy_test() -> tuple[int, int, int, int]:
    """Of the toy test part: images, captions, distinct captions, distinct captions counted image by image."""
    import rsnb

    toy = rsnb.load_dataset("toy", "test", images=False)
    captions = toy.captions[0]
    return len(toy), len(captions), len(set(captions)), sum(len(set(item.captions)) for item in toy)


def _wrong_pairs() -> int:
    images, captions, _, _ = _toy_test()
    return images * captions - captions


def _wrong_texts() -> int:
    images, _, distinct, own = _toy_test()
    return images * distinct - own


WRONG_PAIRS = Exercise(
    key="wrong_pairs",
    lesson=1,
    title="How many wrong answers are there?",
    aim="See how few of all image-caption pairs are right.",
    difficulty=1,
    importance=2,
    minutes=4,
    task=(
        "The test part of the toy set has 264 images with five captions each. Retrieval compares every image with "
        "every caption of the part. **Predict**, without code: how many of these (image, caption) pairs are "
        "*wrong*, that is, their caption is not listed for that image? A text that is listed several times is "
        "several captions. Write the whole number, or the arithmetic that gives it, into `wrong_pairs`."
    ),
    name="wrong_pairs",
    stub="wrong_pairs = ...  # your prediction\n",
    solution="wrong_pairs = 264 * 1320 - 1320    # all pairs, less five right ones an image: 347,160\n",
    kind="prediction",
    atol=1e-7,
    truth=_wrong_pairs,
    mistakes={
        "all pairs": Mistake(
            lambda: math.prod(_toy_test()[:2]),
            "these are all pairs, including the right ones; subtract the captions that belong to their image",
        ),
        "right pairs": Mistake(
            lambda: _toy_test()[1],
            "this is the number of captions, and so of the right pairs; the wrong ones are all the others",
        ),
        "one right each": Mistake(
            lambda: (_toy_test()[1] - 1) * _toy_test()[0],
            "one right caption per image is subtracted; each image has five of them, and every one is a right answer",
        ),
        "one caption": Mistake(
            lambda: math.perm(_toy_test()[0], 2),
            "this is as if every image had one caption; it has five, so the table has 264 rows and five times as many "
            "columns",
        ),
        "captions with captions": Mistake(
            lambda: math.perm(_toy_test()[1], 2),
            "captions are paired with captions here; the rows of the table are images, 264 of them",
        ),
        "wrong for one": Mistake(
            lambda: _toy_test()[1] - 5,
            "that many captions are wrong for one image; there are 264 images, each with its own row of them",
        ),
        "texts merged": Mistake(
            _wrong_texts,
            "repeated texts are counted once; retrieval ranks the list as it is, so every one of its captions counts, "
            "repeated or not",
        ),
    },
    hint="think of a table with a row for each image and a column for each caption: how many cells does it have, "
    "and how many cells of a row are right?",
    errors={
        "expected the shape": "the answer is one number, not a list of numbers",
        "expected numbers": "write a number without quotation marks; a thousands separator is _ in Python: 12_345",
    },
    right=(
        "images, each = 264, 5\nwrong_pairs = images * (images - 1) * each\n",
        "wrong_pairs = 264 * (1320 - 5.0)\n",
        "wrong_pairs = torch.tensor(1320) * 263\n",
    ),
    wrong={
        "all pairs": "wrong_pairs = 264 * 264 * 5\n",
        "right pairs": "wrong_pairs = 264 * 5\n",
        "one right each": "wrong_pairs = 264 * 1320 - 264\n",
        "one caption": "wrong_pairs = 264 * 264 - 264\n",
        "captions with captions": "wrong_pairs = 1320 * 1320 - 1320\n",
        "wrong for one": "wrong_pairs = 1315\n",
        "texts merged": "wrong_pairs = 264 * 1186 - 1253\n",
    },
)

EXERCISES = [CHANCE_RECALL, USABLE_CAPTIONS, WRONG_PAIRS]
