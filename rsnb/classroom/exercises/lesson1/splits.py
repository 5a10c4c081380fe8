"""What crosses the split: captions in both parts, and the split by image."""

from __future__ import annotations

import random

from rsnb.classroom.exercises import draws
from rsnb.classroom.exercises.judging import Exercise, Mistake


# --- the leak between train and test ----------------------------------------------------------------------------
def _leak_cases() -> list[tuple]:
    """Captions from a small grammar, some in capitals, some with blanks around them, many repeated."""
    rng = random.Random(3)

    def caption() -> str:
        text = f"{rng.choice(('a', 'one', 'there is a'))} {rng.choice(('bridge', 'pond', 'park', 'pier', 'road'))} ."
        text = rng.choice((text, text, text.capitalize()))
        return rng.choice((text, text, f" {text}", f"{text} "))

    found = []
    for train, test in ((6, 9), (7, 12), (10, 7), (12, 20)):
        found.append(([caption() for _ in range(train)], [caption() for _ in range(test)]))
    found.append((["A harbor .", "many boats ."], ["a forest .", "harbor", "two boats ."]))
    return found


def _tidy(caption: str) -> str:
    return caption.lower().strip()


def _leak(train, test, of_train=_tidy, of_test=_tidy, parts="captions"):
    train, test = [of_train(caption) for caption in train], [of_test(caption) for caption in test]
    leaked = [caption for caption in test if caption in train]
    if parts == "captions":
        return len(leaked) / len(test)
    if parts == "distinct":
        return len(set(leaked)) / len(set(test))
    if parts == "distinct of all":
        return len(set(leaked)) / len(test)
    if parts == "by train":
        return len(leaked) / len(train)
    return sum(any(caption in other for other in train) for caption in test) / len(test)  # as a part of a caption


LEAK_SHARE = Exercise(
    key="leak_share",
    lesson=1,
    title="How many test captions occur in train?",
    aim="Count the captions that cross the split, ignoring case and surrounding blanks.",
    difficulty=1,
    importance=3,
    minutes=8,
    task=(
        "Write `leak_share(train_captions, test_captions)`. Both are non-empty lists of strings. Return the share "
        "(0 to 1) of the test captions that occur word for word among the train captions, once both are in lower "
        "case and the blanks at both ends are removed. A caption that occurs twice in test counts twice: with $C$ the "
        "list of test captions and $T$ the set of train captions,\n\n"
        "$$\\mathrm{leak} = \\frac{1}{|C|} \\sum_{c \\in C} [\\, c \\in T \\,]$$"
    ),
    name="leak_share",
    stub="def leak_share(train_captions, test_captions):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def leak_share(train_captions, test_captions):\n"
        "    known = {caption.lower().strip() for caption in train_captions}\n"
        "    leaked = [caption for caption in test_captions if caption.lower().strip() in known]\n"
        "    return len(leaked) / len(test_captions)\n"
    ),
    cases=_leak_cases,
    draw=draws.leak_share,
    truth=_leak,
    mistakes={
        "distinct": Mistake(
            lambda train, test: _leak(train, test, parts="distinct"),
            "this is the share of the distinct test captions: a text that occurs five times counts once. Each caption "
            "of the list is a query of its own; count the list, not its set",
        ),
        "distinct of all": Mistake(
            lambda train, test: _leak(train, test, parts="distinct of all"),
            "distinct texts are divided by all captions, repeats included: both numbers must count the same thing. "
            "Count every caption of the test list, above and below the line",
        ),
        "by train": Mistake(
            lambda train, test: _leak(train, test, parts="by train"),
            "the count is right, but it is divided by the number of train captions; a share of the test captions is "
            "divided by len(test_captions)",
        ),
        "other way round": Mistake(
            lambda train, test: _leak(test, train),
            "this is the share of the train captions that occur in test; the question is about the test captions, "
            "so go through those and look each one up in train",
        ),
        "case": Mistake(
            lambda train, test: _leak(train, test, str.strip, str.strip),
            "capitals are still compared, so 'A pond .' and 'a pond .' count as two texts; put .lower() on both sides",
        ),
        "blanks": Mistake(
            lambda train, test: _leak(train, test, str.lower, str.lower),
            "blanks at the ends are still compared, so ' a pond .' and 'a pond .' count as two texts; put .strip() on "
            "both sides",
        ),
        "raw": Mistake(
            lambda train, test: _leak(train, test, str, str),
            "the captions are compared as they are in the file; put .lower() and .strip() on both sides first",
        ),
        "train raw": Mistake(
            lambda train, test: _leak(train, test, of_train=str),
            "only the test captions are put in lower case and trimmed, so they miss their twins in train; do the same "
            "to the train captions",
        ),
        "test raw": Mistake(
            lambda train, test: _leak(train, test, of_test=str),
            "only the train captions are put in lower case and trimmed, so the test captions miss their twins; do the "
            "same to the test captions",
        ),
        "part of a caption": Mistake(
            lambda train, test: _leak(train, test, parts="inside"),
            "a test caption also counts when it is only a part of a longer train caption: 'in' between two strings "
            "looks for a part. Look it up in a set of captions, which compares whole texts",
        ),
        "percent": Mistake(
            lambda train, test: 100 * _leak(train, test),
            "this is in percent; the requested share is between 0 and 1, so drop the factor 100",
        ),
    },
    hint="make a set of the train captions first, each in lower case and trimmed; then look up every test caption",
    errors={
        "object has no attribute 'lower'": "lower() and strip() belong to one string; apply them to each caption of "
        "the list",
        "unhashable": "a list went into the set as one element; a set of strings is {c for c in train_captions}",
        "unsupported operand": "& and - are for two sets; two lists need a loop or set(...) around both",
    },
    right=(
        "def leak_share(train_captions, test_captions):\n"
        "    def tidy(texts):\n"
        "        return [' '.join(text.split()).casefold() for text in texts]\n"
        "    train = tidy(train_captions)\n"
        "    hits = torch.tensor([float(text in train) for text in tidy(test_captions)])\n"
        "    return hits.mean()\n",
        "def leak_share(train_captions, test_captions):\n"
        "    from collections import Counter\n"
        "    train = Counter(map(str.lower, map(str.strip, train_captions)))\n"
        "    test = Counter(map(str.lower, map(str.strip, test_captions)))\n"
        "    missing = sum(n for text, n in test.items() if not train[text])\n"
        "    return 1 - missing / sum(test.values())\n",
    ),
    wrong={
        "distinct": (
            "def leak_share(train_captions, test_captions):\n"
            "    a = {c.strip().lower() for c in train_captions}\n"
            "    b = {c.strip().lower() for c in test_captions}\n"
            "    return len(a & b) / len(b)\n"
        ),
        "distinct of all": (
            "def leak_share(train_captions, test_captions):\n"
            "    a, b = ({c.strip().lower() for c in part} for part in (train_captions, test_captions))\n"
            "    return len(b.intersection(a)) / len(test_captions)\n"
        ),
        "by train": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = {c.strip().lower() for c in train_captions}\n"
            "    return sum(c.strip().lower() in known for c in test_captions) / len(train_captions)\n"
        ),
        "other way round": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = {c.strip().lower() for c in test_captions}\n"
            "    return sum(c.strip().lower() in known for c in train_captions) / len(train_captions)\n"
        ),
        "case": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = {c.strip() for c in train_captions}\n"
            "    return sum(c.strip() in known for c in test_captions) / len(test_captions)\n"
        ),
        "blanks": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = {c.lower() for c in train_captions}\n"
            "    return sum(c.lower() in known for c in test_captions) / len(test_captions)\n"
        ),
        "raw": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = set(train_captions)\n"
            "    leaked = [caption for caption in test_captions if caption in known]\n"
            "    return len(leaked) / len(test_captions)\n"
        ),
        "train raw": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = set(train_captions)\n"
            "    return sum(c.strip().lower() in known for c in test_captions) / len(test_captions)\n"
        ),
        "test raw": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = {c.strip().lower() for c in train_captions}\n"
            "    return sum(c in known for c in test_captions) / len(test_captions)\n"
        ),
        "part of a caption": (
            "def leak_share(train_captions, test_captions):\n"
            "    everything = '\\n'.join(c.strip().lower() for c in train_captions)\n"
            "    return sum(c.strip().lower() in everything for c in test_captions) / len(test_captions)\n"
        ),
        "percent": (
            "def leak_share(train_captions, test_captions):\n"
            "    known = {c.strip().lower() for c in train_captions}\n"
            "    return sum(c.strip().lower() in known for c in test_captions) / len(test_captions) * 100\n"
        ),
    },
)


# --- the split by image -----------------------------------------------------------------------------------------
def _split_cases() -> list[tuple]:
    """The order of the toy set, five captions per image side by side; then shuffled lists of uneven images."""
    found = [([i // 5 for i in range(20)], {1, 3})]
    rng = random.Random(2)
    for images, held_out in ((4, {0}), (6, {5, 2}), (9, {1, 3, 4, 8})):
        owner = [i for i in range(images) for _ in range(rng.randint(2, 6))]
        rng.shuffle(owner)
        found.append((owner, held_out))
    return found


def _parts(owner, is_test):
    """Caption numbers of both parts; is_test(caption number, its image)."""
    train, test = [], []
    for i, image in enumerate(owner):
        (test if is_test(i, image) else train).append(i)
    return {"train": train, "test": test}


def _first_only(owner, test_images):
    first = {image: i for i, image in reversed(list(enumerate(owner)))}
    return _parts(owner, lambda i, image: image in test_images and first[image] == i)


def _swapped(owner, test_images):
    return _parts(owner, lambda i, image: image not in test_images)


def _image_numbers(owner, test_images):
    return {"train": sorted(set(owner) - test_images), "test": sorted(test_images)}


def _owners_of_captions(owner, test_images):
    parts = _parts(owner, lambda i, image: image in test_images)
    return {name: [owner[i] for i in captions] for name, captions in parts.items()}


SPLIT_BY_IMAGE = Exercise(
    key="split_by_image",
    lesson=1,
    title="Split by image",
    aim="Send all captions of an image where the image goes.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=(
        "Write `split_captions(owner, test_images)`. `owner` is a list of $M$ integers: caption $i$ belongs to image "
        "`owner[i]`. The list need not be in order, and images may have different numbers of captions. "
        '`test_images` is a set of image numbers. Return `{"train": [...], "test": [...]}`: the numbers '
        "$0 \\dots M-1$ of the captions of both parts, in ascending order, so that no image is in both parts."
    ),
    name="split_captions",
    stub="def split_captions(owner, test_images):\n    raise NotImplementedError  # your code\n",
    solution=(
        "def split_captions(owner, test_images):\n"
        "    train = [i for i, image in enumerate(owner) if image not in test_images]\n"
        "    test = [i for i, image in enumerate(owner) if image in test_images]\n"
        '    return {"train": train, "test": test}\n'
    ),
    cases=_split_cases,
    draw=draws.split_by_image,
    truth=lambda owner, test_images: _parts(owner, lambda i, image: image in test_images),
    mistakes={
        "by caption": Mistake(
            lambda owner, test_images: _parts(owner, lambda i, image: i in test_images),
            "caption numbers are looked up among image numbers, which splits caption by caption: the other captions "
            "of a test image stay in train. Ask whether owner[i] is in test_images, not i",
        ),
        "five each": Mistake(
            lambda owner, test_images: _parts(owner, lambda i, image: i // 5 in test_images),
            "this assumes that captions 5k to 5k + 4 belong to image k; lists may be in any order, and an "
            "image can lose a blank caption. Read the image from owner[i]",
        ),
        "first only": Mistake(
            _first_only,
            "only the first caption of each test image is held out, its others stay in train, so the model trains on "
            "test images: owner.index finds the first place only. Go through all captions",
        ),
        "swapped": Mistake(
            _swapped, "train and test are swapped: a caption whose image is in test_images belongs to test"
        ),
        "image numbers": Mistake(
            _image_numbers,
            "these are the numbers of images; the task asks for the numbers of their captions, one for each place "
            "in owner: take i from enumerate(owner)",
        ),
        "owners": Mistake(
            _owners_of_captions,
            "the right captions are chosen, but each is given as its image, owner[i]; give its place i",
        ),
    },
    hint="go through enumerate(owner): it gives the number of a caption and the image it belongs to",
    errors={
        "list indices must be integers": "owner is a plain list and takes one number at a time; loop over "
        "enumerate(owner)",
        "unsupported operand": "- and & work between two sets, not between lists; a loop with 'in' does it here",
        "'set' object is not subscriptable": "a set has no order and no places; ask with: image in test_images",
    },
    right=(
        "def split_captions(owner, test_images):\n"
        "    held_out = torch.isin(torch.tensor(owner), torch.tensor(sorted(test_images)))\n"
        '    return {"train": (~held_out).nonzero().flatten(), "test": held_out.nonzero().flatten()}\n',
        "def split_captions(owner, test_images):\n"
        "    captions = {}\n"
        "    for i, image in enumerate(owner):\n"
        "        captions.setdefault(image, []).append(i)\n"
        "    test = [i for image in captions if image in test_images for i in captions[image]]\n"
        "    train = set(range(len(owner))) - set(test)\n"
        "    return dict(train=sorted(train), test=sorted(test))\n",
    ),
    wrong={
        "by caption": (
            "def split_captions(owner, test_images):\n"
            "    test = sorted(test_images)\n"
            "    return {'train': [i for i in range(len(owner)) if i not in test], 'test': test}\n"
        ),
        "five each": (
            "def split_captions(owner, test_images):\n"
            "    taken = {5 * image + j for image in test_images for j in range(5)}\n"
            "    every = set(range(len(owner)))\n"
            "    return {'train': sorted(every - taken), 'test': sorted(every & taken)}\n"
        ),
        "first only": (
            "def split_captions(owner, test_images):\n"
            "    test = sorted(owner.index(image) for image in test_images)\n"
            "    return {'train': [i for i in range(len(owner)) if i not in test], 'test': test}\n"
        ),
        "swapped": (
            "def split_captions(owner, test_images):\n"
            "    inside = [i for i in range(len(owner)) if owner[i] in test_images]\n"
            "    outside = [i for i in range(len(owner)) if owner[i] not in test_images]\n"
            "    return {'train': inside, 'test': outside}\n"
        ),
        "image numbers": (
            "def split_captions(owner, test_images):\n"
            "    train = [image for image in range(max(owner) + 1) if image not in test_images]\n"
            "    return {'train': train, 'test': sorted(test_images)}\n"
        ),
        "owners": (
            "def split_captions(owner, test_images):\n"
            "    train = [image for image in owner if image not in test_images]\n"
            "    return {'train': train, 'test': [image for image in owner if image in test_images]}\n"
        ),
    },
)

EXERCISES = [LEAK_SHARE, SPLIT_BY_IMAGE]
