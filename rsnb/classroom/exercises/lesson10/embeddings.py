"""What the model gives: rows of length 1, the same for the same input, and CLIP's own while the adapter is idle."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rsnb.classroom.bughunt import checks
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.classroom.exercises.lesson10 import draws
from rsnb.classroom.exercises.lesson10.breaking import moody, of_mean_one, other_function, stretched
from rsnb.classroom.exercises.lesson10.frame import LOW, different, probe, sound, turned, when
from rsnb.evaluation import ranks, recalls


# --- lengths -------------------------------------------------------------------------------------------------
def _one_hot() -> Suspect:
    """Lengths of exactly 1."""
    suspect = sound(8, images=16)
    image = torch.eye(16)
    text = image[suspect.owner]
    return replace(suspect, image=image, text=text, recalls=recalls(*ranks(image, text, suspect.owner)))


def _lengths() -> list[Suspect]:
    rounded = sound(2, LOW)
    rounded.image = rounded.image * (1 + 1e-6)
    return [
        sound(1),
        rounded,
        stretched(sound(3), 3),
        stretched(sound(4, LOW), 4, image=False),
        stretched(sound(5), 5, text=False),
        of_mean_one(sound(6, LOW)),
        sound(7, each=None),
        _one_hot(),
        stretched(sound(9, LOW), 9, low=0.2, high=0.9),
    ]


def _off(x: Tensor, within: float = 1e-3) -> bool:
    return bool((x.norm(dim=1) - 1).abs().max() > within)


PROBE_LENGTH = probe(
    "length",
    checks.not_unit,
    _lengths,
    title="the length of a row",
    draw=draws.length,
    difficulty=1,
    minutes=6,
    question=(
        "Retrieval ranks by the cosine, and the pipeline multiplies `image @ text.T`. What must hold for every row of "
        "both, so that a dot product is a cosine?"
    ),
    handles="`suspect.image` (N, D), `suspect.text` (M, D)",
    solution=(
        "def probe_length(suspect):\n"
        "    lengths = torch.cat([suspect.image, suspect.text]).norm(dim=1)  # (N + M,)\n"
        "    return bool((lengths - 1).abs().max() > 1e-3)  # rounding is no violation\n"
    ),
    never="A row of length 3 counts three times: compare the lengths, .norm(dim=1), with 1",
    mistakes={
        "images alone": when(
            lambda s: _off(s.image), "only the images are looked at; there are runs with captions of any length"
        ),
        "captions alone": when(
            lambda s: _off(s.text), "only the captions are looked at; there are runs with images of any length"
        ),
        "mean length": when(
            lambda s: any(abs(float(x.norm(dim=1).mean()) - 1) > 1e-3 for x in (s.image, s.text)),
            "the mean length is compared with 1, and long and short rows cancel in it. Every single row counts: take "
            "the largest difference from 1",
        ),
        "exact": when(
            lambda s: any((x.norm(dim=1) != 1).any() for x in (s.image, s.text)),
            "lengths are compared with 1 to the last bit; a length of 0.9999999 is rounding. Allow 1e-3 or so",
        ),
        "cosines above 1": when(
            lambda s: (s.image @ s.text.T).max() > 1.001,
            "it looks for products above 1. Rows that are too short give none and are not normalised either: compare "
            "the lengths themselves",
        ),
    },
    hint="take .norm(dim=1) of both, and the largest difference from 1; allow for rounding",
    errors={"ambiguous": "a whole tensor is used where True or False is wanted: use .any() or .max()"},
    right=(
        "def probe_length(suspect):\n"
        "    for x in (suspect.image, suspect.text):\n"
        "        if not torch.allclose(x, F.normalize(x, dim=-1), atol=1e-4):\n"
        "            return True\n"
        "    return False\n",
        "def probe_length(suspect):\n"
        "    squared = [float(row @ row) for x in (suspect.image, suspect.text) for row in x]\n"
        "    return max(squared) > 1.01 or min(squared) < 0.99\n",
    ),
    wrong={
        "always": "def probe_length(suspect):\n    return suspect.image.norm() != 1\n",
        "never": "def probe_length(suspect):\n    return len(suspect.text) < len(suspect.image)\n",
        "too good": "def probe_length(suspect):\n    return sum(suspect.recalls.values()) / 6 > 60\n",
        "images alone": (
            "def probe_length(suspect):\n    return not torch.allclose(suspect.image.norm(dim=1), torch.ones(1))\n"
        ),
        "captions alone": (
            "def probe_length(suspect):\n"
            "    n = suspect.text.norm(dim=1)\n    return ((n > 1.001) | (n < 0.999)).any()\n"
        ),
        "mean length": (
            "def probe_length(suspect):\n"
            "    return any((x.norm(dim=1).mean() - 1).abs() > 0.001 for x in (suspect.image, suspect.text))\n"
        ),
        "exact": (
            "def probe_length(suspect):\n"
            "    one = lambda x: bool((x.norm(dim=1) == 1).all())\n"
            "    return not (one(suspect.image) and one(suspect.text))\n"
        ),
        "cosines above 1": (
            "def probe_length(suspect):\n    s = suspect.image @ suspect.text.T\n    return bool((s > 1.001).any())\n"
        ),
    },
)


# --- the same input twice ------------------------------------------------------------------------------------
def _twice() -> list[Suspect]:
    return [
        sound(21),
        moody(sound(22, LOW), 1e-7, 1e-7),
        moody(sound(23), 0.1, 0.1),
        moody(sound(24, LOW), 0.1, 0),
        moody(sound(25), 0, 0.1),
        moody(sound(26, LOW), 0.02, 0.02),
        turned(sound(27)),
        moody(sound(28, LOW), 1e-7, 0.05),
    ]


def apart(a, b, which=(0, 1), within: float = 1e-4) -> bool:
    return any(bool((a[i] - b[i]).abs().max() > within) for i in which)


PROBE_REPEAT = probe(
    "repeat",
    checks.changes_its_mind,
    _twice,
    title="the same input twice",
    draw=draws.repeat,
    difficulty=1,
    minutes=6,
    question="A model that is evaluated is a function: what must the same input give, today and tomorrow?",
    handles=(
        "`suspect.again()`, which embeds the first images and captions of test once more and returns a pair of tensors"
    ),
    solution=(
        "def probe_repeat(suspect):\n"
        "    once, twice = suspect.again(), suspect.again()\n"
        "    return any((a - b).abs().max().item() > 1e-4 for a, b in zip(once, twice))\n"
    ),
    never="One call says nothing about the next: call suspect.again() twice, and keep both results",
    mistakes={
        "images alone": when(
            lambda s: apart(s.again(), s.again(), (0,)),
            "only the images are compared; the text tower has its own dropout. Compare both tensors of the pair",
        ),
        "captions alone": when(
            lambda s: apart(s.again(), s.again(), (1,)),
            "only the captions are compared; the image tower has its own dropout. Compare both tensors of the pair",
        ),
        "exact": when(
            lambda s: apart(s.again(), s.again(), within=0.0),
            "the two results are compared to the last bit, so that rounding counts as a violation. Allow 1e-4 or so",
        ),
        "order": when(
            lambda s: apart(s.again(), (s.image[:4], s.text[:6])),
            "what again() gives is compared with the first rows of what was ranked. A gallery may be in any order, "
            "and then a sound run is called broken. Compare two calls of again() with each other",
        ),
    },
    hint="call suspect.again() twice; compare the two image tensors and the two text tensors, with room for rounding",
    errors={
        "unsupported operand": "again() returns a pair (images, captions): compare the tensors in it one by one",
        "not callable": "suspect.again is the function: call it with suspect.again()",
    },
    right=(
        "def probe_repeat(suspect):\n"
        "    (a, b), (c, d) = suspect.again(), suspect.again()\n"
        "    return not (torch.allclose(a, c, atol=1e-5) and torch.allclose(b, d, atol=1e-5))\n",
        "def probe_repeat(suspect):\n"
        "    runs = torch.stack([torch.cat(suspect.again()) for _ in range(4)])\n"
        "    return bool(runs.std(dim=0).max() > 1e-5)\n",
    ),
    wrong={
        "always": "def probe_repeat(suspect):\n    return suspect.again() is not None\n",
        "never": "def probe_repeat(suspect):\n    x, _ = suspect.again()\n    return bool((x - x).abs().sum() > 0)\n",
        "too good": "def probe_repeat(suspect):\n    return suspect.recalls['text_r1'] > 50\n",
        "images alone": (
            "def probe_repeat(suspect):\n"
            "    return not torch.allclose(suspect.again()[0], suspect.again()[0], atol=1e-4)\n"
        ),
        "captions alone": (
            "def probe_repeat(suspect):\n"
            "    return not torch.allclose(suspect.again()[1], suspect.again()[1], atol=1e-4)\n"
        ),
        "exact": (
            "def probe_repeat(suspect):\n"
            "    return not all(torch.equal(a, b) for a, b in zip(suspect.again(), suspect.again()))\n"
        ),
        "order": (
            "def probe_repeat(suspect):\n"
            "    image, text = suspect.again()\n"
            "    same = lambda a, b: torch.allclose(a, b[: len(a)], atol=1e-4)\n"
            "    return not (same(image, suspect.image) and same(text, suspect.text))\n"
        ),
    },
)


# --- the same function ---------------------------------------------------------------------------------------
def _towers() -> list[Suspect]:
    tuned, plain = sound(76), sound(77, LOW)
    tuned.frozen, tuned.after = (), {name: value + 0.1 for name, value in tuned.before.items()}
    plain.image[:4], plain.text[:6] = plain.published
    plain.recalls = recalls(*ranks(plain.image, plain.text, plain.owner))
    return [
        other_function(sound(71, LOW), 1e-7, 1e-7),
        sound(72),
        other_function(sound(73), 0.1, 0.1),
        other_function(sound(74, LOW), 0, 0.05),
        other_function(sound(75, LOW), 0.01, 0),
        tuned,
        plain,
    ]


PROBE_FUNCTION = probe(
    "function",
    checks.other_activation,
    _towers,
    title="the same function",
    draw=draws.function,
    difficulty=2,
    minutes=6,
    question=(
        "Notebook 3: before the first step, when the adapter adds nothing, whose embeddings must the model give? "
        "Weights alone do not make a model; the code around them matters too."
    ),
    handles=(
        "`suspect.bare`, a pair of embeddings (images, captions) by this run's base model with CLIP's own weights and "
        "without the adapter; `suspect.published`, the same inputs by CLIP as it was published"
    ),
    solution=(
        "def probe_function(suspect):\n"
        "    gaps = [(a - b).abs().max().item() for a, b in zip(suspect.bare, suspect.published)]\n"
        "    return max(gaps) > 1e-4  # rounding is no violation\n"
    ),
    never=(
        "Lengths and shapes are the same for any model, and so are the weights here: compare the embeddings in "
        "bare with those in published, value by value"
    ),
    mistakes={
        "weights": when(
            lambda s: different(s, [n for n in s.before if not n.startswith("adapter")], torch.equal),
            "weights are compared. A different function with the same weights escapes, and an open fine-tuning is "
            "called broken. Compare what comes out: bare and published",
        ),
        "images alone": when(
            lambda s: apart(s.bare, s.published, (0,)),
            "only the image tower is compared; the text tower may compute something else. Compare both of the pair",
        ),
        "captions alone": when(
            lambda s: apart(s.bare, s.published, (1,)),
            "only the text tower is compared; the image tower may compute something else. Compare both of the pair",
        ),
        "exact": when(
            lambda s: apart(s.bare, s.published, within=0.0),
            "the embeddings are compared to the last bit; a different order of additions changes the last "
            "digits. Allow 1e-4 or so",
        ),
        "ranked": when(
            lambda s: apart((s.image[:4], s.text[:6]), s.published),
            "what was ranked is compared with CLIP: of course an adapter changes that. bare is the base model alone",
        ),
    },
    hint="compare the two tensors of suspect.bare with those of suspect.published, with room for rounding",
    errors={"unsupported operand": "bare and published are pairs (images, captions): subtract the tensors one by one"},
    right=(
        "def probe_function(suspect):\n"
        "    return not all(torch.allclose(a, b, atol=1e-5) for a, b in zip(suspect.bare, suspect.published))\n",
        "def probe_function(suspect):\n"
        "    a, b = torch.cat(suspect.bare), torch.cat(suspect.published)\n"
        "    return bool(F.cosine_similarity(a, b).min() < 1 - 1e-6)\n",
    ),
    wrong={
        "always": "def probe_function(suspect):\n    return suspect.bare is not suspect.published\n",
        "never": (
            "def probe_function(suspect):\n"
            "    return any(abs(a.norm(dim=1) - b.norm(dim=1)).max() > 1e-3\n"
            "               for a, b in zip(suspect.bare, suspect.published))\n"
        ),
        "weights": (
            "def probe_function(suspect):\n"
            '    base = [name for name in suspect.before if "adapter" not in name]\n'
            "    return any(not torch.equal(suspect.before[n], suspect.after[n]) for n in base)\n"
        ),
        "images alone": (
            "def probe_function(suspect):\n"
            "    return bool((suspect.bare[0] - suspect.published[0]).abs().max() > 1e-4)\n"
        ),
        "captions alone": (
            "def probe_function(suspect):\n"
            "    return not torch.allclose(suspect.bare[1], suspect.published[1], atol=1e-4)\n"
        ),
        "exact": (
            "def probe_function(suspect):\n"
            "    return any(not torch.equal(a, b) for a, b in zip(suspect.bare, suspect.published))\n"
        ),
        "ranked": (
            "def probe_function(suspect):\n"
            "    a, b = suspect.published\n"
            "    gap = max((suspect.image[: len(a)] - a).abs().max(), (suspect.text[: len(b)] - b).abs().max())\n"
            "    return bool(gap > 1e-4)\n"
        ),
    },
)
