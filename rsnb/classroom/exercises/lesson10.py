"""Exercises of notebook 10: a probe for each broken invariant, and what to say of those that break none.

A probe is judged on small suspects built here: sound ones and broken ones, of other sizes and with other numbers than
those of the notebook, some with a high mR and some with a low one, so that no number tells which is which.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from rsnb.classroom.bughunt import checks
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.classroom.exercises.core import Exercise, Mistake
from rsnb.evaluation import ranks, recalls

HIGH, LOW = 0.9, 6.0  # noise of the captions: mR above 90, mR below 45


def _suspect(seed: int, noise: float = HIGH, images: int = 40, each: int | None = 5, dim: int = 16) -> Suspect:
    """A sound suspect with random embeddings; ``each``: captions of an image, None for 2 to 6."""
    rng = torch.Generator().manual_seed(seed)
    counts = torch.randint(2, 7, (images,), generator=rng) if each is None else torch.full((images,), each)
    owner = torch.arange(images).repeat_interleave(counts)
    image = F.normalize(torch.randn(images, dim, generator=rng), dim=-1)
    spread = torch.randn(len(owner), dim, generator=rng) / dim**0.5
    text = F.normalize(image[owner] + noise * spread, dim=-1)
    weights = {
        f"{tower}.{layer}.weight": torch.randn(3, 4, generator=rng)
        for tower in ("visual", "text")
        for layer in range(3)
    }
    adapter = {"adapter.down": torch.randn(3, generator=rng), "adapter.up": torch.randn(3, generator=rng)}
    first = image[:4].clone(), text[:6].clone()
    plain = tuple(F.normalize(torch.randn(n, dim, generator=rng), dim=-1) for n in (4, 6))
    return Suspect(
        letter="x",
        claim="",
        recalls=recalls(*ranks(image, text, owner)),
        image=image,
        text=text,
        owner=owner,
        gallery=[f"test_{i}.jpg" for i in range(images)],
        test_pairs=[(f"test_{i}.jpg", f"caption {j}") for j, i in enumerate(owner.tolist())],
        train_pairs=[(f"train_{j // 5}.jpg", f"caption {j + 1000}") for j in range(40)],
        frozen=tuple(weights),
        before={**weights, **adapter},
        after={**copy.deepcopy(weights), **{name: value + 0.1 for name, value in adapter.items()}},
        again=lambda: first,
        bare=plain,
        published=tuple(x.clone() for x in plain),
    )


def _truth(check: Callable[[Suspect], tuple[bool, str]]) -> Callable[[Suspect], float]:
    """1.0 where the check says that the suspect is broken, else 0.0: a bool, a numpy bool and a tensor all compare."""
    return lambda suspect: float(check(suspect)[0])


def _when(probe: Callable[[Suspect], object], says: str) -> Mistake:
    return Mistake(lambda suspect: float(bool(probe(suspect))), says)


ALWAYS = _when(
    lambda s: True,
    "it calls every run broken, the sound ones too. A probe is worth something only if it can come out both ways: "
    "compute what must hold, and return whether it does not",
)
TOO_GOOD = _when(
    lambda s: s.mr > 60,
    "it goes by the numbers: whatever has a high mR is called broken. Sound runs may be good and broken ones poor, and "
    "here half of each are. Look at what the numbers were made of",
)


TOO_POOR = _when(
    lambda s: s.mr < 60,
    "it goes by the numbers: whatever has a low mR is called broken. Sound runs may be poor and broken ones good, and "
    "here half of each are. Look at what the numbers were made of",
)


def _never(says: str) -> Mistake:
    return _when(lambda s: False, f"it calls every run sound. {says}")


def _stub(letter: str) -> str:
    return f"def probe_{letter}(suspect):\n    raise NotImplementedError  # your code: True if it is violated\n"


def _task(letter: str, question: str, handles: str) -> str:
    return (
        f"{question}\n\nWrite `probe_{letter}(suspect)`: `True` if the suspect violates this, `False` if not. It gets "
        f"any suspect, sound or broken, of any size. Useful here: {handles}. Afterwards try it on all of them: "
        f"`{{x: probe_{letter}(lab.case(x)) for x in bugs.LETTERS}}`."
    )


ERRORS = {
    "has no attribute": "a suspect has the handles listed in section 1, such as suspect.image or suspect.recalls",
    "not subscriptable": "a handle is used as a list or dict that is none; print it once for lab.case(...)",
}


# --- A: lengths -------------------------------------------------------------------------------------------------
def _stretched(suspect: Suspect, seed: int, image: bool = True, text: bool = True, low=0.5, high=9.0) -> Suspect:
    """Rows of other lengths; the recalls are those of these rows."""
    rng = torch.Generator().manual_seed(seed)
    size = lambda x: low + (high - low) * torch.rand(len(x), 1, generator=rng)  # noqa: E731
    a = suspect.image * size(suspect.image) if image else suspect.image
    b = suspect.text * size(suspect.text) if text else suspect.text
    return replace(suspect, image=a, text=b, recalls=recalls(*ranks(a, b, suspect.owner)))


def _mean_one(suspect: Suspect) -> Suspect:
    """Lengths that differ, with a mean of 1."""
    found = _stretched(suspect, 5)
    return replace(
        found, **{name: getattr(found, name) / getattr(found, name).norm(dim=1).mean() for name in ("image", "text")}
    )


def _one_hot() -> Suspect:
    """Lengths of exactly 1."""
    suspect = _suspect(8, images=16)
    image = torch.eye(16)
    text = image[suspect.owner]
    return replace(suspect, image=image, text=text, recalls=recalls(*ranks(image, text, suspect.owner)))


def _lengths() -> list[tuple]:
    rounded = _suspect(2, LOW)
    rounded.image = rounded.image * (1 + 1e-6)
    found = [
        _suspect(1),
        rounded,
        _stretched(_suspect(3), 3),
        _stretched(_suspect(4, LOW), 4, image=False),
        _stretched(_suspect(5), 5, text=False),
        _mean_one(_suspect(6, LOW)),
        _suspect(7, each=None),
        _one_hot(),
        _stretched(_suspect(9, LOW), 9, low=0.2, high=0.9),
    ]
    return [(suspect,) for suspect in found]


def _off(x: Tensor, within: float = 1e-3) -> bool:
    return bool((x.norm(dim=1) - 1).abs().max() > within)


PROBE_A = Exercise(
    key="probe_a",
    lesson=10,
    title="A probe for suspect A",
    aim="Turn the invariant that suspect A may violate into a test that any run can take.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=_task(
        "a",
        "Retrieval ranks by the cosine, and the pipeline multiplies `image @ text.T`. What must hold for every row of "
        "both, so that a dot product is a cosine?",
        "`suspect.image` (N, D), `suspect.text` (M, D)",
    ),
    name="probe_a",
    stub=_stub("a"),
    solution=(
        "def probe_a(suspect):\n"
        "    lengths = torch.cat([suspect.image, suspect.text]).norm(dim=1)  # (N + M,)\n"
        "    return bool((lengths - 1).abs().max() > 1e-3)                   # rounding is no violation\n"
    ),
    cases=_lengths,
    truth=_truth(checks.not_unit),
    mistakes={
        "always": ALWAYS,
        "never": _never("A row of length 3 counts three times: compare the lengths, .norm(dim=1), with 1"),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "images alone": _when(
            lambda s: _off(s.image), "only the images are looked at; there are runs with captions of any length"
        ),
        "captions alone": _when(
            lambda s: _off(s.text), "only the captions are looked at; there are runs with images of any length"
        ),
        "mean length": _when(
            lambda s: any(abs(float(x.norm(dim=1).mean()) - 1) > 1e-3 for x in (s.image, s.text)),
            "the mean length is compared with 1, and long and short rows cancel in it. Every single row counts: take "
            "the largest difference from 1",
        ),
        "exact": _when(
            lambda s: any((x.norm(dim=1) != 1).any() for x in (s.image, s.text)),
            "lengths are compared with 1 to the last bit; a length of 0.9999999 is rounding. Allow 1e-3 or so",
        ),
        "cosines above 1": _when(
            lambda s: (s.image @ s.text.T).max() > 1.001,
            "it looks for products above 1. Rows that are too short give none and are not normalised either: compare "
            "the lengths themselves",
        ),
    },
    hint="take .norm(dim=1) of both, and the largest difference from 1; allow for rounding",
    errors={"ambiguous": "a whole tensor stands where True or False is wanted: use .any() or .max()", **ERRORS},
    right=(
        "def probe_a(suspect):\n"
        "    for x in (suspect.image, suspect.text):\n"
        "        if not torch.allclose(x, F.normalize(x, dim=-1), atol=1e-4):\n"
        "            return True\n"
        "    return False\n",
        "def probe_a(suspect):\n"
        "    squared = [float(row @ row) for x in (suspect.image, suspect.text) for row in x]\n"
        "    return max(squared) > 1.01 or min(squared) < 0.99\n",
    ),
    wrong={
        "always": "def probe_a(suspect):\n    return suspect.image.norm() != 1\n",
        "never": "def probe_a(suspect):\n    return len(suspect.text) < len(suspect.image)\n",
        "too good": "def probe_a(suspect):\n    return sum(suspect.recalls.values()) / 6 > 55\n",
        "images alone": (
            "def probe_a(suspect):\n    return not torch.allclose(suspect.image.norm(dim=1), torch.ones(1))\n"
        ),
        "captions alone": (
            "def probe_a(suspect):\n    n = suspect.text.norm(dim=1)\n    return ((n > 1.01) | (n < 0.99)).any()\n"
        ),
        "mean length": (
            "def probe_a(suspect):\n"
            "    return any((x.norm(dim=1).mean() - 1).abs() > 0.01 for x in (suspect.image, suspect.text))\n"
        ),
        "exact": (
            "def probe_a(suspect):\n"
            "    one = lambda x: bool((x.norm(dim=1) == 1).all())\n"
            "    return not (one(suspect.image) and one(suspect.text))\n"
        ),
        "cosines above 1": (
            "def probe_a(suspect):\n    s = suspect.image @ suspect.text.T\n    return bool((s > 1.01).any())\n"
        ),
    },
)


# --- B: images in both parts ------------------------------------------------------------------------------------
def _parts() -> list[tuple]:
    """Sound: other images, though sentences repeat; broken: from a single image to all of them."""
    said = _suspect(11)
    said.train_pairs = [(image.replace("test", "train"), caption) for image, caption in said.test_pairs]
    untrained = _suspect(12, LOW)
    untrained.train_pairs = []
    every, single, mixed, pair = _suspect(13), _suspect(14, LOW), _suspect(15), _suspect(16, LOW)
    every.train_pairs = [(image, f"another {caption}") for image, caption in every.test_pairs]
    single.train_pairs = [*single.train_pairs, ("test_3.jpg", "another sentence")]
    mixed.train_pairs = [*mixed.train_pairs, *((image, "one more") for image, _ in mixed.test_pairs)]
    pair.train_pairs = [pair.test_pairs[7], *pair.train_pairs]
    return [(s,) for s in (said, untrained, every, single, mixed, pair, _suspect(17, LOW), _suspect(18, each=None))]


def _names(pairs) -> set[str]:
    return {image for image, _ in pairs}


PROBE_B = Exercise(
    key="probe_b",
    lesson=10,
    title="A probe for suspect B",
    aim="Turn the invariant that suspect B may violate into a test that any run can take.",
    difficulty=1,
    importance=3,
    minutes=5,
    task=_task(
        "b",
        "Notebook 1: what must never be in training and in test at once? A sentence may be: many images share short "
        "true sentences.",
        "`suspect.train_pairs`, `suspect.test_pairs`, lists of (image name, caption)",
    ),
    name="probe_b",
    stub=_stub("b"),
    solution=(
        "def probe_b(suspect):\n"
        "    trained = {image for image, caption in suspect.train_pairs}\n"
        "    return any(image in trained for image, caption in suspect.test_pairs)\n"
    ),
    cases=_parts,
    truth=_truth(checks.leaks),
    mistakes={
        "always": ALWAYS,
        "never": _never("The names of the images are in the pairs: make a set of each part's and intersect them"),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "captions": _when(
            lambda s: {c for _, c in s.train_pairs} & {c for _, c in s.test_pairs},
            "captions are compared. A sentence may describe many images; what must not be in both parts is an image",
        ),
        "pairs": _when(
            lambda s: set(s.train_pairs) & set(s.test_pairs),
            "whole pairs are compared. When captions are dealt out one by one no pair is in both parts, but the images "
            "are, with other captions: compare the first entries alone",
        ),
        "all of them": _when(
            lambda s: _names(s.test_pairs) <= _names(s.train_pairs),
            "it asks whether all test images were trained on; one is enough to break the invariant",
        ),
    },
    hint="make two sets of image names, one of each list, and intersect them",
    errors={"unhashable": "sets hold texts or tuples, not lists: take the image's name alone", **ERRORS},
    right=(
        "def probe_b(suspect):\n"
        "    train, test = (set(list(zip(*p))[0] if p else []) for p in (suspect.train_pairs, suspect.test_pairs))\n"
        "    return not train.isdisjoint(test)\n",
        "def probe_b(suspect):\n"
        "    for name in suspect.gallery:\n"
        "        for image, _ in suspect.train_pairs:\n"
        "            if image == name:\n"
        "                return True\n"
        "    return False\n",
    ),
    wrong={
        "always": "def probe_b(suspect):\n    return len(suspect.train_pairs) >= 0\n",
        "never": "def probe_b(suspect):\n    return any(name in suspect.train_pairs for name in suspect.gallery)\n",
        "too good": "def probe_b(suspect):\n    return suspect.mr > 60\n",
        "too poor": "def probe_b(suspect):\n    return not suspect.mr > 50\n",
        "captions": (
            "def probe_b(suspect):\n"
            "    known = [caption for image, caption in suspect.train_pairs]\n"
            "    return any(caption in known for image, caption in suspect.test_pairs)\n"
        ),
        "pairs": "def probe_b(suspect):\n    return any(pair in suspect.train_pairs for pair in suspect.test_pairs)\n",
        "all of them": (
            "def probe_b(suspect):\n"
            "    seen = {pair[0] for pair in suspect.train_pairs}\n"
            "    return all(pair[0] in seen for pair in suspect.test_pairs)\n"
        ),
    },
)


# --- D: the same input twice ------------------------------------------------------------------------------------
def _moody(suspect: Suspect, image: float, text: float) -> Suspect:
    """``again`` gives other values at each call, by so much."""
    first = suspect.again()

    def again():
        return tuple(x + size * torch.randn_like(x) for x, size in zip(first, (image, text)))

    return replace(suspect, again=again)


def _turned(suspect: Suspect) -> Suspect:
    """The gallery and the captions in reverse order, with all that belongs to them."""
    n = len(suspect.image)
    return replace(
        suspect,
        image=suspect.image.flip(0),
        text=suspect.text.flip(0),
        owner=n - 1 - suspect.owner.flip(0),
        gallery=suspect.gallery[::-1],
        test_pairs=suspect.test_pairs[::-1],
    )


def _twice() -> list[tuple]:
    found = [
        _suspect(21),
        _moody(_suspect(22, LOW), 1e-7, 1e-7),
        _moody(_suspect(23), 0.1, 0.1),
        _moody(_suspect(24, LOW), 0.1, 0),
        _moody(_suspect(25), 0, 0.1),
        _moody(_suspect(26, LOW), 0.02, 0.02),
        _turned(_suspect(27)),
        _moody(_suspect(28, LOW), 1e-7, 0.05),
    ]
    return [(suspect,) for suspect in found]


def _apart(a, b, which=(0, 1), within: float = 1e-4) -> bool:
    return any(bool((a[i] - b[i]).abs().max() > within) for i in which)


PROBE_D = Exercise(
    key="probe_d",
    lesson=10,
    title="A probe for suspect D",
    aim="Turn the invariant that suspect D may violate into a test that any run can take.",
    difficulty=1,
    importance=3,
    minutes=6,
    task=_task(
        "d",
        "A model that is evaluated is a function: what must the same input give, today and tomorrow?",
        "`suspect.again()`, which embeds the first images and captions of test once more and returns a pair of tensors",
    ),
    name="probe_d",
    stub=_stub("d"),
    solution=(
        "def probe_d(suspect):\n"
        "    once, twice = suspect.again(), suspect.again()\n"
        "    return any((a - b).abs().max().item() > 1e-4 for a, b in zip(once, twice))\n"
    ),
    cases=_twice,
    truth=_truth(checks.changes_its_mind),
    mistakes={
        "always": ALWAYS,
        "never": _never("One call tells nothing about the next: call suspect.again() twice, and keep both results"),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "images alone": _when(
            lambda s: _apart(s.again(), s.again(), (0,)),
            "only the images are compared; the text tower has dropout of its own. Compare both tensors of the pair",
        ),
        "captions alone": _when(
            lambda s: _apart(s.again(), s.again(), (1,)),
            "only the captions are compared; the image tower has dropout of its own. Compare both tensors of the pair",
        ),
        "exact": _when(
            lambda s: _apart(s.again(), s.again(), within=0.0),
            "the two results are compared to the last bit, so that rounding counts as a violation. Allow 1e-4 or so",
        ),
        "order": _when(
            lambda s: _apart(s.again(), (s.image[:4], s.text[:6])),
            "what again() gives is compared with the first rows of what was ranked. A gallery may stand in any order, "
            "and then a sound run is called broken. Compare two calls of again() with each other",
        ),
    },
    hint="call suspect.again() twice; compare the two image tensors and the two text tensors, with room for rounding",
    errors={
        "unsupported operand": "again() returns a pair (images, captions): compare the tensors in it one by one",
        "not callable": "suspect.again is the function: call it with suspect.again()",
        **ERRORS,
    },
    right=(
        "def probe_d(suspect):\n"
        "    (a, b), (c, d) = suspect.again(), suspect.again()\n"
        "    return not (torch.allclose(a, c, atol=1e-5) and torch.allclose(b, d, atol=1e-5))\n",
        "def probe_d(suspect):\n"
        "    runs = torch.stack([torch.cat(suspect.again()) for _ in range(4)])\n"
        "    return bool(runs.std(dim=0).max() > 1e-5)\n",
    ),
    wrong={
        "always": "def probe_d(suspect):\n    return suspect.again() is not None\n",
        "never": "def probe_d(suspect):\n    x, _ = suspect.again()\n    return bool((x - x).abs().sum() > 0)\n",
        "too good": "def probe_d(suspect):\n    return suspect.recalls['text_r10'] > 70\n",
        "images alone": (
            "def probe_d(suspect):\n    return not torch.allclose(suspect.again()[0], suspect.again()[0], atol=1e-4)\n"
        ),
        "captions alone": (
            "def probe_d(suspect):\n    return not torch.allclose(suspect.again()[1], suspect.again()[1], atol=1e-4)\n"
        ),
        "exact": (
            "def probe_d(suspect):\n"
            "    return not all(torch.equal(a, b) for a, b in zip(suspect.again(), suspect.again()))\n"
        ),
        "order": (
            "def probe_d(suspect):\n"
            "    image, text = suspect.again()\n"
            "    same = lambda a, b: torch.allclose(a, b[: len(a)], atol=1e-4)\n"
            "    return not (same(image, suspect.image) and same(text, suspect.text))\n"
        ),
    },
)


# --- E: whole images --------------------------------------------------------------------------------------------
def _swap(suspect: Suspect) -> Suspect:
    other = {"text": "image", "image": "text"}
    return replace(
        suspect, recalls={f"{other[k.split('_r')[0]]}_r{k.split('_r')[1]}": v for k, v in suspect.recalls.items()}
    )


def _counts() -> list[tuple]:
    sure = _suspect(39, 0.0, images=6, each=None)
    found = [
        _suspect(31),
        _suspect(32, LOW, images=37, each=None),
        _swap(_suspect(33, LOW)),
        _swap(_suspect(35, 3.0, images=31, each=None)),
        _suspect(1, LOW, each=None),
        _swap(_suspect(6, LOW)),
        sure,
        _suspect(38, LOW, images=32),
    ]
    return [(suspect,) for suspect in found]


def _broken_count(s: Suspect, way: str, n: int, within: float = 1e-3) -> bool:
    counts = [s.recalls[f"{way}_r{k}"] * n / 100 for k in (1, 5, 10)]
    return any(abs(x - round(x)) > within for x in counts)


PROBE_E = Exercise(
    key="probe_e",
    lesson=10,
    title="A probe for suspect E",
    aim="Turn the invariant that suspect E may violate into a test that any run can take.",
    difficulty=2,
    importance=2,
    minutes=8,
    task=_task(
        "e",
        "A recall is a count in disguise: image to text, N images ask, and a whole number of them find one of their "
        "captions. So R@K times N / 100 is a whole number. Text to image, M captions ask, and it is R@K times M / 100. "
        "Which of the two can tell that the directions were mixed up?",
        '`suspect.recalls["text_r1"]` and so on (image to text, in percent), `suspect.image` (N, D), `suspect.text` '
        "(M, D); or count the recalls again from these",
    ),
    name="probe_e",
    stub=_stub("e"),
    solution=(
        "def probe_e(suspect):\n"
        "    n = len(suspect.image)\n"
        '    counts = [suspect.recalls[f"text_r{k}"] * n / 100 for k in (1, 5, 10)]  # images that found one\n'
        "    return any(abs(x - round(x)) > 0.001 for x in counts)\n"
    ),
    cases=_counts,
    truth=_truth(checks.exchanged),
    mistakes={
        "always": ALWAYS,
        "never": _never(
            "mR is the same whichever direction stands where, so is every sum over both. Turn a recall from image to "
            "text into the number of images that found a caption: is it whole?"
        ),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "larger": _when(
            lambda s: s.recalls["image_r1"] > s.recalls["text_r1"],
            "it calls a run broken where text to image is better than image to text. That is unusual with five "
            "captions an image and proves nothing; sound runs do it, and broken ones need not. Count images",
        ),
        "both ways": _when(
            lambda s: any(_broken_count(s, way, len(s.image)) for way in ("text", "image")),
            "all six recalls are taken for counts of images. Text to image, captions ask: there R@K times M / 100 is "
            "whole. Take the three recalls from image to text",
        ),
        "captions": _when(
            lambda s: _broken_count(s, "image", len(s.text)),
            "only the counts of captions are tested. With five captions an image, M is 5 N, and a whole number of "
            "images is a whole number of captions too, so nothing shows. Test image to text with N",
        ),
        "exact": _when(
            lambda s: any((s.recalls[f"text_r{k}"] * len(s.image) / 100) % 1 != 0 for k in (1, 5, 10)),
            "counts are compared with whole numbers to the last bit; 61.9999996 is 62, rounded. Allow 0.001 or so",
        ),
    },
    hint="multiply the three recalls from image to text by N / 100: a whole number each, up to rounding",
    errors={"KeyError": "the recalls are called text_r1, text_r5, text_r10, image_r1, image_r5, image_r10", **ERRORS},
    right=(
        "def probe_e(suspect):\n"
        "    from rsnb.evaluation import ranks, recalls\n"
        "    honest = recalls(*ranks(suspect.image, suspect.text, suspect.owner))\n"
        '    return any(abs(honest[f"text_r{k}"] - suspect.recalls[f"text_r{k}"]) > 0.01 for k in (1, 5, 10))\n',
        "def probe_e(suspect):\n"
        "    for name, value in suspect.recalls.items():\n"
        '        if name.startswith("text"):\n'
        "            count = float(value) * suspect.image.shape[0] / 100\n"
        "            if 0.001 < count % 1 < 0.999:\n"
        "                return True\n"
        "    return False\n",
    ),
    wrong={
        "always": 'def probe_e(suspect):\n    return suspect.recalls["text_r1"] <= suspect.recalls["text_r5"]\n',
        "never": "def probe_e(suspect):\n    return abs(sum(suspect.recalls.values()) / 6 - suspect.mr) > 0.01\n",
        "larger": 'def probe_e(suspect):\n    return not suspect.recalls["text_r1"] >= suspect.recalls["image_r1"]\n',
        "both ways": (
            "def probe_e(suspect):\n"
            "    counts = [value * len(suspect.gallery) / 100 for value in suspect.recalls.values()]\n"
            "    return max(abs(x - round(x)) for x in counts) > 0.001\n"
        ),
        "captions": (
            "def probe_e(suspect):\n"
            '    counts = [suspect.recalls[f"image_r{k}"] * len(suspect.text) / 100 for k in (1, 5, 10)]\n'
            "    return any(abs(x - round(x)) > 0.001 for x in counts)\n"
        ),
        "exact": (
            "def probe_e(suspect):\n"
            '    counts = [suspect.recalls[f"text_r{k}"] * len(suspect.image) / 100 for k in (1, 5, 10)]\n'
            "    return any(x != int(x) for x in counts)\n"
        ),
    },
)


# --- F: what must not move --------------------------------------------------------------------------------------
def _change(suspect: Suspect, **tensors: Tensor) -> Suspect:
    suspect.after.update({name.replace("__", "."): value for name, value in tensors.items()})
    return suspect


def _weights() -> list[tuple]:
    """Sound: only the adapter moved, or what is said to train; broken: many tensors, one, by little or in balance."""
    open_, tower, still = _suspect(52), _suspect(56, LOW), _suspect(57)
    open_.frozen = ()
    open_.after = {name: value * 1.1 for name, value in open_.before.items()}
    tower.frozen = tuple(name for name in tower.frozen if name.startswith("visual"))
    tower.after = {name: value if name in tower.frozen else value + 1 for name, value in tower.before.items()}
    still.after = copy.deepcopy(still.before)
    many, little, even = _suspect(53, LOW), _suspect(54), _suspect(55, LOW)
    many.after = {name: value + 0.01 for name, value in many.before.items()}
    little.after["text.1.weight"] = little.before["text.1.weight"] * (1 + 5e-6)
    even.before["text.2.weight"] = torch.arange(12.0).view(3, 4) / 4
    even.after["text.2.weight"] = even.before["text.2.weight"].flip(0)
    return [(suspect,) for suspect in (_suspect(51, LOW), open_, many, little, even, tower, still)]


def _different(s: Suspect, names, same) -> bool:
    return any(not same(s.before[name], s.after[name]) for name in names)


PROBE_F = Exercise(
    key="probe_f",
    lesson=10,
    title="A probe for suspect F",
    aim="Turn the invariant that suspect F may violate into a test that any run can take.",
    difficulty=2,
    importance=3,
    minutes=6,
    task=_task(
        "f",
        "Notebook 3: of all weights, which must be the same after training as before, to the last bit? A run says "
        "itself which weights it froze, and one that trains all of them openly breaks nothing.",
        "`suspect.frozen`, a tuple of names; `suspect.before` and `suspect.after`, {name: tensor} of all weights",
    ),
    name="probe_f",
    stub=_stub("f"),
    solution=(
        "def probe_f(suspect):\n"
        "    return any(not torch.equal(suspect.before[name], suspect.after[name]) for name in suspect.frozen)\n"
    ),
    cases=_weights,
    truth=_truth(checks.moved),
    mistakes={
        "always": ALWAYS,
        "never": _never(
            "Names, shapes and the number of parameters stay the same whether a weight moves or not: compare the "
            "values, with torch.equal"
        ),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "all weights": _when(
            lambda s: _different(s, s.before, torch.equal),
            "all weights are compared, those too that are meant to learn: the adapter, or all of CLIP in an open "
            "full fine-tuning. Only the names in suspect.frozen must not move",
        ),
        "first tensor": _when(
            lambda s: _different(s, s.frozen[:1], torch.equal),
            "only the first of the frozen tensors is looked at; some runs moved another one. Go through all of them",
        ),
        "lenient": _when(
            lambda s: _different(s, s.frozen, torch.allclose),
            "torch.allclose lets small changes pass, and a few steps at a small learning rate are small changes. "
            "Frozen means equal: torch.equal",
        ),
        "sums": _when(
            lambda s: _different(s, s.frozen, lambda a, b: bool(a.sum() == b.sum())),
            "sums are compared; weights can move and leave their sum where it was. Compare every value: torch.equal",
        ),
    },
    hint="go through suspect.frozen and compare before[name] with after[name] by torch.equal",
    errors={
        "ambiguous": "== of two tensors is a tensor; torch.equal gives one True or False",
        "KeyError": "not every name of one dict must be in the other; the names to look at are in suspect.frozen",
        **ERRORS,
    },
    right=(
        "def probe_f(suspect):\n"
        "    changes = [(suspect.before[n] - suspect.after[n]).abs().max().item() for n in suspect.frozen]\n"
        "    return max(changes, default=0.0) > 0\n",
        "def probe_f(suspect):\n"
        "    for name, value in suspect.before.items():\n"
        "        if name in suspect.frozen and bool((value != suspect.after[name]).any()):\n"
        "            return True\n"
        "    return False\n",
    ),
    wrong={
        "always": "def probe_f(suspect):\n    return suspect.before is not suspect.after\n",
        "never": (
            "def probe_f(suspect):\n"
            "    count = lambda weights: sum(w.numel() for w in weights.values())\n"
            "    return count(suspect.before) != count(suspect.after)\n"
        ),
        "all weights": (
            "def probe_f(suspect):\n"
            "    return not all(torch.equal(w, suspect.after[name]) for name, w in suspect.before.items())\n"
        ),
        "first tensor": (
            "def probe_f(suspect):\n"
            "    for name in suspect.frozen:\n"
            "        return not torch.equal(suspect.before[name], suspect.after[name])\n"
            "    return False\n"
        ),
        "lenient": (
            "def probe_f(suspect):\n"
            "    return not all(torch.allclose(suspect.before[n], suspect.after[n]) for n in suspect.frozen)\n"
        ),
        "sums": (
            "def probe_f(suspect):\n"
            "    return any(suspect.before[n].sum().item() != suspect.after[n].sum().item() for n in suspect.frozen)\n"
        ),
        "too good": "def probe_f(suspect):\n    return suspect.mr > 65\n",
    },
)


# --- G: the reported epoch --------------------------------------------------------------------------------------
def _told(seed: int, val: list[float], test: list[float], epoch: int, noise: float = HIGH, first: int = 1) -> Suspect:
    rows = [{"epoch": first + i, "val_mr": v, "test_mr": t} for i, (v, t) in enumerate(zip(val, test))]
    return replace(_suspect(seed, noise), history=rows, epoch=epoch)


def _histories() -> list[tuple]:
    found = [
        _told(61, [30, 45, 44, 41], [31, 42, 47, 40], 2),  # sound, although test has a better one
        _told(62, [30, 41, 46, 44], [31, 40, 48, 45], 3, LOW),  # sound: both agree
        _told(63, [30, 45, 44, 41], [31, 42, 47, 40], 3),  # the best on test
        _told(64, [30, 45, 44, 41], [31, 46, 43, 42], 4, LOW),  # the last one
        _told(65, [30, 45, 41, 45, 39], [31, 42, 47, 44, 40], 4, LOW),  # sound: the later of two equal ones
        _suspect(66, LOW),  # sound: none was chosen
        _told(67, [30, 33, 47, 41], [31, 45, 44, 40], 12, first=11),  # the best on test; a resumed run
        _told(68, [30, 33, 47, 41], [31, 45, 44, 40], 13, LOW, 11),  # sound: a resumed run
    ]
    return [(suspect,) for suspect in found]


def _at(s: Suspect, part: str) -> dict | None:
    return max(s.history, key=lambda row: row[f"{part}_mr"], default=None)


def _told_test(s: Suspect) -> float:
    return next((row["test_mr"] for row in s.history if row["epoch"] == s.epoch), 0.0)


PROBE_G = Exercise(
    key="probe_g",
    lesson=10,
    title="A probe for suspect G",
    aim="Turn the invariant that suspect G may violate into a test that any run can take.",
    difficulty=2,
    importance=3,
    minutes=7,
    task=_task(
        "g",
        "Notebook 3: which part of the data may choose the epoch that is reported? (If two epochs are equally good "
        "there, either may be reported. A run may also have chosen none: then its history is empty.)",
        "`suspect.history`, a list of {epoch, val_mr, test_mr}; `suspect.epoch`, the reported one (the numbers in the "
        "history; None where none was chosen)",
    ),
    name="probe_g",
    stub=_stub("g"),
    solution=(
        "def probe_g(suspect):\n"
        '    val = {row["epoch"]: row["val_mr"] for row in suspect.history}\n'
        "    return bool(val) and val[suspect.epoch] < max(val.values())\n"
    ),
    cases=_histories,
    truth=_truth(checks.chosen_on_test),
    mistakes={
        "always": ALWAYS,
        "never": _never("Find the row of the reported epoch, and ask whether another has a higher val_mr"),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "best on test": _when(
            lambda s: s.history and _at(s, "test")["epoch"] == s.epoch,
            "it calls a run broken where the reported epoch is the best on test. That may be chance, if validation "
            "chooses it too; and a run that reports the last epoch escapes. Ask what validation says",
        ),
        "gain": _when(
            lambda s: s.history and _told_test(s) > _at(s, "val")["test_mr"],
            "it looks for a gain on test. Whoever ignores validation and gains nothing has broken the rule all the "
            "same; leave test out of it and compare val_mr alone",
        ),
        "counts from 0": _when(
            lambda s: s.history and s.history.index(_at(s, "val")) != s.epoch,
            "the place in the list is compared with the number of the epoch. Epochs count from 1, a resumed run's "
            'from later on: compare with row["epoch"]',
        ),
        "place plus one": _when(
            lambda s: s.history and s.history.index(_at(s, "val")) + 1 != s.epoch,
            "it takes for granted that the history starts with epoch 1. That of a resumed run does not: find the row "
            'whose row["epoch"] is suspect.epoch',
        ),
        "tie": _when(
            lambda s: s.history and _at(s, "val")["epoch"] != s.epoch,
            "only the first of several equally good epochs is accepted. Compare the values: the reported epoch's "
            "val_mr with the largest",
        ),
    },
    hint="make a dict from epoch to val_mr, and compare that of the reported epoch with the largest; mind an empty one",
    errors={
        "empty": "a run that chose no epoch has an empty history: return False there before max() is taken",
        "KeyError: None": "a run that chose no epoch has the epoch None: return False there",
        "index out of range": 'places are no epochs: find the row whose row["epoch"] is suspect.epoch',
        **ERRORS,
    },
    right=(
        "def probe_g(suspect):\n"
        "    if suspect.epoch is None:\n"
        "        return False\n"
        '    own = [row for row in suspect.history if row["epoch"] == suspect.epoch][0]\n'
        '    return any(row["val_mr"] > own["val_mr"] for row in suspect.history)\n',
        "def probe_g(suspect):\n"
        '    best = max((row["val_mr"] for row in suspect.history), default=0)\n'
        '    return suspect.epoch not in [row["epoch"] for row in suspect.history if row["val_mr"] == best] + [None]\n',
    ),
    wrong={
        "always": "def probe_g(suspect):\n    return True\n",
        "never": "def probe_g(suspect):\n    return len(suspect.history) == 1\n",
        "best on test": (
            "def probe_g(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    test = [row["test_mr"] for row in suspect.history]\n'
            '    return suspect.history[test.index(max(test))]["epoch"] == suspect.epoch\n'
        ),
        "gain": (
            "def probe_g(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    chosen = max(suspect.history, key=lambda row: row["val_mr"])\n'
            '    own = next(row for row in suspect.history if row["epoch"] == suspect.epoch)\n'
            '    return own["test_mr"] > chosen["test_mr"]\n'
        ),
        "counts from 0": (
            "def probe_g(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    val = torch.tensor([row["val_mr"] for row in suspect.history])\n'
            "    return int(val.argmax()) != suspect.epoch\n"
        ),
        "place plus one": (
            "def probe_g(suspect):\n"
            '    val = [row["val_mr"] for row in suspect.history]\n'
            "    return len(val) > 0 and val.index(max(val)) + 1 != suspect.epoch\n"
        ),
        "tie": (
            "def probe_g(suspect):\n"
            "    if not suspect.history:\n"
            "        return False\n"
            '    return max(suspect.history, key=lambda row: row["val_mr"])["epoch"] != suspect.epoch\n'
        ),
    },
)


# --- I: the same function ---------------------------------------------------------------------------------------
def _other(suspect: Suspect, image: float, text: float) -> Suspect:
    """``bare`` differs from ``published`` by so much; both have length 1."""
    rng = torch.Generator().manual_seed(70)
    moved = tuple(
        F.normalize(x + size * torch.randn(x.shape, generator=rng), dim=-1) if size else x.clone()
        for x, size in zip(suspect.published, (image, text))
    )
    return replace(suspect, bare=moved)


def _towers() -> list[tuple]:
    tuned, plain = _suspect(76), _suspect(77, LOW)
    tuned.frozen, tuned.after = (), {name: value + 0.1 for name, value in tuned.before.items()}
    plain.image[:4], plain.text[:6] = plain.published
    plain.recalls = recalls(*ranks(plain.image, plain.text, plain.owner))
    found = [
        _other(_suspect(71, LOW), 1e-7, 1e-7),
        _suspect(72),
        _other(_suspect(73), 0.1, 0.1),
        _other(_suspect(74, LOW), 0, 0.05),
        _other(_suspect(75, LOW), 0.01, 0),
        tuned,
        plain,
    ]
    return [(suspect,) for suspect in found]


PROBE_I = Exercise(
    key="probe_i",
    lesson=10,
    title="A probe for suspect I",
    aim="Turn the invariant that suspect I may violate into a test that any run can take.",
    difficulty=2,
    importance=3,
    minutes=6,
    task=_task(
        "i",
        "Notebook 3: before the first step, when the adapter adds nothing, whose embeddings must the model give? "
        "Weights alone do not make a model: the code around them does the rest.",
        "`suspect.bare`, a pair of embeddings (images, captions) by this run's base model with CLIP's own weights and "
        "without the adapter; `suspect.published`, the same inputs by CLIP as it was published",
    ),
    name="probe_i",
    stub=_stub("i"),
    solution=(
        "def probe_i(suspect):\n"
        "    gaps = [(a - b).abs().max().item() for a, b in zip(suspect.bare, suspect.published)]\n"
        "    return max(gaps) > 1e-4                                         # rounding is no violation\n"
    ),
    cases=_towers,
    truth=_truth(checks.other_activation),
    mistakes={
        "always": ALWAYS,
        "never": _never(
            "Lengths and shapes are the same for any model, and so are the weights here: compare the embeddings in "
            "bare with those in published, value by value"
        ),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "weights": _when(
            lambda s: _different(s, [n for n in s.before if not n.startswith("adapter")], torch.equal),
            "weights are compared. Another function with the same weights escapes, and an open fine-tuning is called "
            "broken. Compare what comes out: bare and published",
        ),
        "images alone": _when(
            lambda s: _apart(s.bare, s.published, (0,)),
            "only the image tower is compared; the text tower may compute something else. Compare both of the pair",
        ),
        "captions alone": _when(
            lambda s: _apart(s.bare, s.published, (1,)),
            "only the text tower is compared; the image tower may compute something else. Compare both of the pair",
        ),
        "exact": _when(
            lambda s: _apart(s.bare, s.published, within=0.0),
            "the embeddings are compared to the last bit; another order of additions changes the last digits. Allow "
            "1e-4 or so",
        ),
        "ranked": _when(
            lambda s: _apart((s.image[:4], s.text[:6]), s.published),
            "what was ranked is compared with CLIP: of course an adapter changes that. bare is the base model alone",
        ),
    },
    hint="compare the two tensors of suspect.bare with those of suspect.published, with room for rounding",
    errors={
        "unsupported operand": "bare and published are pairs (images, captions): subtract the tensors one by one",
        **ERRORS,
    },
    right=(
        "def probe_i(suspect):\n"
        "    return not all(torch.allclose(a, b, atol=1e-5) for a, b in zip(suspect.bare, suspect.published))\n",
        "def probe_i(suspect):\n"
        "    a, b = torch.cat(suspect.bare), torch.cat(suspect.published)\n"
        "    return bool(F.cosine_similarity(a, b).min() < 1 - 1e-6)\n",
    ),
    wrong={
        "always": "def probe_i(suspect):\n    return suspect.bare is not suspect.published\n",
        "never": (
            "def probe_i(suspect):\n"
            "    return any(abs(a.norm(dim=1) - b.norm(dim=1)).max() > 1e-3\n"
            "               for a, b in zip(suspect.bare, suspect.published))\n"
        ),
        "weights": (
            "def probe_i(suspect):\n"
            '    base = [name for name in suspect.before if "adapter" not in name]\n'
            "    return any(not torch.equal(suspect.before[n], suspect.after[n]) for n in base)\n"
        ),
        "images alone": (
            "def probe_i(suspect):\n    return bool((suspect.bare[0] - suspect.published[0]).abs().max() > 1e-4)\n"
        ),
        "captions alone": (
            "def probe_i(suspect):\n    return not torch.allclose(suspect.bare[1], suspect.published[1], atol=1e-4)\n"
        ),
        "exact": (
            "def probe_i(suspect):\n"
            "    return any(not torch.equal(a, b) for a, b in zip(suspect.bare, suspect.published))\n"
        ),
        "ranked": (
            "def probe_i(suspect):\n"
            "    a, b = suspect.published\n"
            "    gap = max((suspect.image[: len(a)] - a).abs().max(), (suspect.text[: len(b)] - b).abs().max())\n"
            "    return bool(gap > 1e-4)\n"
        ),
    },
)


# --- J: who asks ------------------------------------------------------------------------------------------------
def _own(s: Suspect) -> Tensor:
    """(M,) the image of each caption, by its name."""
    return torch.tensor([s.gallery.index(name) for name, _ in s.test_pairs])


def _any_caption(s: Suspect) -> Suspect:
    """An image counts as found by text if any of its captions finds it."""
    text_ranks, image_ranks = ranks(s.image, s.text, s.owner)
    best = torch.stack([image_ranks[s.owner == i].min() for i in range(len(s.image))])
    return replace(s, recalls=recalls(text_ranks, best))


def _first_caption(s: Suspect) -> Suspect:
    """An image finds its text only if it finds the first of its captions."""
    first = torch.stack([torch.where(s.owner == i)[0][0] for i in range(len(s.image))])
    scores = s.image @ s.text.T
    own = scores[torch.arange(len(s.image)), first]
    return replace(s, recalls=recalls((scores > own[:, None]).sum(dim=1), ranks(s.image, s.text, s.owner)[1]))


def _by_fives(s: Suspect) -> Suspect:
    """Caption j is taken for one of image j // 5, whatever the data says."""
    owner = (torch.arange(len(s.text)) // 5).clamp(max=len(s.image) - 1)
    return replace(s, owner=owner, recalls=recalls(*ranks(s.image, s.text, owner)))


def _one_each(s: Suspect) -> Suspect:
    """One caption of each image is ranked, the others are left out."""
    first = torch.stack([torch.where(s.owner == i)[0][0] for i in range(len(s.image))])
    text, owner = s.text[first], s.owner[first]
    return replace(s, text=text, owner=owner, recalls=recalls(*ranks(s.image, text, owner)))


def _tallies() -> list[tuple]:
    found = [
        _suspect(81),
        _suspect(82, LOW, each=None),
        _any_caption(_suspect(83, LOW)),
        _first_caption(_suspect(84)),
        _by_fives(_suspect(85, LOW, each=None)),
        _one_each(_suspect(86)),
        _turned(_suspect(87, each=None)),
        _any_caption(_suspect(88, 3.0, each=None)),
    ]
    return [(suspect,) for suspect in found]


def _recounted(s: Suspect, owner: Tensor, names=("text", "image")) -> bool:
    """Whether the reported recalls of these directions differ from those by this owner."""
    if len(owner) != len(s.text):
        return True
    found = recalls(*ranks(s.image, s.text, owner))
    return any(abs(found[name] - s.recalls[name]) > 0.01 for name in found if name.split("_")[0] in names)


PROBE_J = Exercise(
    key="probe_j",
    lesson=10,
    title="A probe for suspect J",
    aim="Turn the invariant that suspect J may violate into a test that any run can take.",
    difficulty=3,
    importance=3,
    minutes=10,
    task=_task(
        "j",
        "Notebook 4: image to text, an image is a hit if any of its captions is among the first K; text to image, "
        "every caption asks for its own image. Whatever a pipeline did, its recalls must follow from its embeddings "
        "and the test pairs by this rule. Images have any number of captions, in any order.",
        "`suspect.recalls`, `suspect.image`, `suspect.text`, `suspect.gallery` (image names in the order of the rows "
        "of `image`), `suspect.test_pairs` ((image name, caption) for every caption of test); and "
        "`from rsnb.evaluation import ranks, recalls`",
    ),
    name="probe_j",
    stub=_stub("j"),
    solution=(
        "def probe_j(suspect):\n"
        "    from rsnb.evaluation import ranks, recalls\n\n"
        "    owner = torch.tensor([suspect.gallery.index(name) for name, _ in suspect.test_pairs])\n"
        "    if len(owner) != len(suspect.text):\n"
        "        return True                                                 # some captions were never asked\n"
        "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
        "    return any(abs(honest[name] - suspect.recalls[name]) > 0.01 for name in honest)\n"
    ),
    cases=_tallies,
    truth=_truth(checks.miscounted),
    mistakes={
        "always": ALWAYS,
        "never": _never("Count the six recalls again from the embeddings, and compare them one by one"),
        "too good": TOO_GOOD,
        "too poor": TOO_POOR,
        "owner as given": _when(
            lambda s: _recounted(s, s.owner),
            "the recalls are counted again with suspect.owner, which is what the run believed. If that is wrong, the "
            "same mistake is made twice. Make your own from gallery and test_pairs",
        ),
        "by fives": _when(
            lambda s: _recounted(s, (torch.arange(len(s.test_pairs)) // 5).clamp(max=len(s.image) - 1)),
            "caption j is taken for one of image j // 5. Some images have more or fewer captions, in another order: "
            "find each caption's image by its name",
        ),
        "image to text alone": _when(
            lambda s: _recounted(s, _own(s), ("text",)),
            "only image to text is counted again; a run may be wrong in the other direction. Compare all six",
        ),
        "text to image alone": _when(
            lambda s: _recounted(s, _own(s), ("image",)),
            "only text to image is counted again; a run may be wrong in the other direction. Compare all six",
        ),
        "number of captions": _when(
            lambda s: len(s.text) != len(s.test_pairs),
            "only the number of captions is compared. All may be there and still be counted wrongly: count the recalls "
            "again",
        ),
    },
    hint="owner from gallery.index(name) for each test pair, then recalls(*ranks(image, text, owner)), and compare",
    errors={
        "do not belong together": "fewer captions were ranked than belong to test; that is a violation by itself, so "
        "return True before you call ranks",
        "out of": "an index is too large: j // 5 does not give the image where images have any number of captions",
        "is not defined": "inside the function: from rsnb.evaluation import ranks, recalls",
        **ERRORS,
    },
    right=(
        "def probe_j(suspect):\n"
        "    place = {name: i for i, name in enumerate(suspect.gallery)}\n"
        "    owner = torch.tensor([place[name] for name, _ in suspect.test_pairs])\n"
        "    n, m = len(suspect.image), len(owner)\n"
        "    if suspect.text.shape[0] != m:\n"
        "        return True\n"
        "    s = suspect.image @ suspect.text.T\n"
        "    own = owner[None] == torch.arange(n)[:, None]\n"
        "    found = []\n"
        "    for k in (1, 5, 10):\n"
        "        near = torch.zeros_like(own).scatter(1, s.topk(min(k, m), dim=1).indices, True)\n"
        "        found.append((near & own).any(1).float().mean())\n"
        "    for k in (1, 5, 10):\n"
        "        near = torch.zeros_like(own).scatter(0, s.topk(min(k, n), dim=0).indices, True)\n"
        "        found.append((near & own).any(0).float().mean())\n"
        "    told = [suspect.recalls[f'{way}_r{k}'] for way in ('text', 'image') for k in (1, 5, 10)]\n"
        "    return max(abs(100 * float(a) - b) for a, b in zip(found, told)) > 0.01\n",
    ),
    wrong={
        "always": "def probe_j(suspect):\n    return suspect.owner is not suspect.gallery\n",
        "never": "def probe_j(suspect):\n    return len(suspect.owner) != len(suspect.text)\n",
        "owner as given": (
            "def probe_j(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, suspect.owner))\n"
            "    return any(abs(honest[name] - value) > 0.01 for name, value in suspect.recalls.items())\n"
        ),
        "by fives": (
            "def probe_j(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    owner = torch.tensor([min(j // 5, len(suspect.image) - 1) for j in range(len(suspect.test_pairs))])\n"
            "    if len(owner) != len(suspect.text):\n"
            "        return True\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
            "    return any(abs(honest[name] - value) > 0.01 for name, value in suspect.recalls.items())\n"
        ),
        "image to text alone": (
            "def probe_j(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    owner = torch.tensor([suspect.gallery.index(name) for name, _ in suspect.test_pairs])\n"
            "    if len(owner) != len(suspect.text):\n"
            "        return True\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
            '    return any(abs(honest[f"text_r{k}"] - suspect.recalls[f"text_r{k}"]) > 0.01 for k in (1, 5, 10))\n'
        ),
        "text to image alone": (
            "def probe_j(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    owner = torch.tensor([suspect.gallery.index(name) for name, _ in suspect.test_pairs])\n"
            "    if len(owner) != len(suspect.text):\n"
            "        return True\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
            '    return any(abs(honest[f"image_r{k}"] - suspect.recalls[f"image_r{k}"]) > 0.01 for k in (1, 5, 10))\n'
        ),
        "number of captions": ("def probe_j(suspect):\n    return suspect.text.shape[0] != len(suspect.test_pairs)\n"),
    },
)


# --- C and H: nothing broken ------------------------------------------------------------------------------------
CHOICES = ", ".join(f'`"{name}"`' for name in checks.NAMES)


def _verdict(letter: str, says: dict[str, str], why: str, right: tuple[str, ...], wrong: dict[str, str]) -> Exercise:
    return Exercise(
        key=f"verdict_{letter}",
        lesson=10,
        title=f"Your verdict on suspect {letter.upper()}",
        aim="Name the bug, or say that there is none, before the examination.",
        difficulty=2,
        importance=3,
        minutes=5,
        task=f"Set `verdict_{letter}` to one of these names: {CHOICES}.\n\nNo probe is asked for: you may run those "
        f'that you have on `lab.case("{letter.upper()}")`.',
        name=f"verdict_{letter}",
        stub=f"verdict_{letter} = ...  # one of the names, as a text\n",
        solution=f'verdict_{letter} = "healthy"  # {why}\n',
        kind="prediction",
        truth=lambda: checks.HEALTHY,
        mistakes={name: Mistake(lambda name=name: name, text) for name, text in says.items()},
        hint="go through the checks one by one: what would have to be violated, and where in the code would it happen?",
        errors={"NameError": 'the name is a text and needs quotes: "healthy", for example'},
        right=right,
        wrong=wrong,
    )


VERDICT_C = _verdict(
    "c",
    {
        "captions miscounted": "every caption still asks: text[[distinct.index(c) for c in captions]] gives one row to "
        "each of the M captions, equal sentences the same row. Counted again, the recalls agree",
        "directions swapped": "ranks gives text_ranks first and recalls takes them first; the star passes both on in "
        "order. Image to text is a whole number of images",
        "embeddings not normalised": "model.encode_image and model.encode_text normalise; picking rows and turning "
        "them to double precision changes no length",
        "dropout left on": "lab.model() gives a model in eval mode; the same inputs embed to the same values",
        "captions of one image in both parts": "equal sentences are merged within test alone, and no test image was "
        "trained on",
        "wrong activation": "the model is taken as it is; without its adapter it gives CLIP's embeddings",
    },
    "odd, and right: rows are picked by sentence, and the owners follow the new order of the gallery",
    ('verdict_c = "HEALTHY".lower()\n',),
    {
        "captions miscounted": 'verdict_c = "captions miscounted"\n',
        "directions swapped": 'verdict_c = "directions " + "swapped"\n',
        "embeddings not normalised": 'verdict_c = "embeddings not normalised"\n',
    },
)
VERDICT_H = _verdict(
    "h",
    {
        "base model trained": "it is trained, and the claim says so: full fine-tuning. The bug of that name is a "
        "weight that moves although it is said to be frozen",
        "best epoch chosen on test": "it reports the model after its last step; no epoch was chosen",
        "dropout left on": "the model learns in train mode and is evaluated after .eval(); the same inputs embed to "
        "the same values",
        "captions of one image in both parts": "its batches come from the train part, whose images are not in test",
        "wrong activation": "no module was replaced: with CLIP's weights put back in, it gives CLIP's embeddings",
    },
    "all weights move, as it says; what counts is the claim",
    ('verdict_h = " ".join(["healthy"])\n',),
    {
        "base model trained": 'verdict_h = "base model trained"\n',
        "best epoch chosen on test": 'verdict_h = "best epoch chosen on test"\n',
        "dropout left on": 'verdict_h = "dropout" + " left on"\n',
    },
)

EXERCISES = [PROBE_A, PROBE_B, VERDICT_C, PROBE_D, PROBE_E, PROBE_F, PROBE_G, VERDICT_H, PROBE_I, PROBE_J]
