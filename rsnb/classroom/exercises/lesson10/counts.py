"""What the recalls count: whole images, and every caption's own image."""

from __future__ import annotations

import torch
from torch import Tensor

from rsnb.classroom.bughunt import checks
from rsnb.classroom.bughunt.suspect import Suspect
from rsnb.classroom.exercises.lesson10 import draws
from rsnb.classroom.exercises.lesson10.breaking import any_caption, by_fives, first_caption, one_each, swapped
from rsnb.classroom.exercises.lesson10.frame import LOW, probe, sound, turned, when
from rsnb.evaluation import ranks, recalls


# --- whole images --------------------------------------------------------------------------------------------
def _counts() -> list[Suspect]:
    sure = sound(39, 0.0, images=6, each=None)
    return [
        sound(31),
        sound(32, LOW, images=37, each=None),
        swapped(sound(33, LOW)),
        swapped(sound(35, 3.0, images=31, each=None)),
        sound(1, LOW, each=None),
        swapped(sound(6, LOW)),
        sure,
        sound(38, LOW, images=32),
    ]


def _broken_count(s: Suspect, way: str, n: int, within: float = 1e-3) -> bool:
    counts = [s.recalls[f"{way}_r{k}"] * n / 100 for k in (1, 5, 10)]
    return any(abs(x - round(x)) > within for x in counts)


PROBE_COUNTS = probe(
    "counts",
    checks.exchanged,
    _counts,
    title="a recall is a count",
    draw=draws.counts,
    difficulty=2,
    importance=2,
    minutes=8,
    question=(
        "A recall is a count in disguise: image to text, N images ask, and a whole number of them find one of their "
        "captions. So R@K times N / 100 is a whole number. Text to image, M captions ask, and it is R@K times M / 100. "
        "Which of the two can show that the directions were mixed up?"
    ),
    handles=(
        '`suspect.recalls["text_r1"]` and so on (image to text, in percent), `suspect.image` (N, D), `suspect.text` '
        "(M, D); or count the recalls again from these"
    ),
    solution=(
        "def probe_counts(suspect):\n"
        "    n = len(suspect.image)\n"
        '    counts = [suspect.recalls[f"text_r{k}"] * n / 100 for k in (1, 5, 10)]\n'
        "    return any(abs(x - round(x)) > 0.001 for x in counts)\n"
    ),
    never=(
        "mR is the same whichever direction comes first, and so is every sum over both. Turn a recall from image to "
        "text into the number of images that found a caption: is it whole?"
    ),
    mistakes={
        "larger": when(
            lambda s: s.recalls["image_r1"] > s.recalls["text_r1"],
            "it calls a run broken where text to image is better than image to text. That is unusual with five "
            "captions per image and proves nothing; sound runs do it, and broken ones need not. Count images",
        ),
        "both ways": when(
            lambda s: any(_broken_count(s, way, len(s.image)) for way in ("text", "image")),
            "all six recalls are taken for counts of images. Text to image, captions ask: there R@K times M / 100 is "
            "whole. Take the three recalls from image to text",
        ),
        "captions": when(
            lambda s: _broken_count(s, "image", len(s.text)),
            "only the counts of captions are tested. With five captions per image, M is 5 N, and a whole number of "
            "images is a whole number of captions too, so nothing shows. Test image to text with N",
        ),
        "exact": when(
            lambda s: any((s.recalls[f"text_r{k}"] * len(s.image) / 100) % 1 != 0 for k in (1, 5, 10)),
            "counts are compared with whole numbers to the last bit; 61.9999996 is 62, rounded. Allow 0.001 or so",
        ),
    },
    hint="multiply the three recalls from image to text by N / 100: a whole number each, up to rounding",
    errors={"KeyError": "the recalls are called text_r1, text_r5, text_r10, image_r1, image_r5, image_r10"},
    right=(
        "def probe_counts(suspect):\n"
        "    from rsnb.evaluation import ranks, recalls\n"
        "    honest = recalls(*ranks(suspect.image, suspect.text, suspect.owner))\n"
        '    return any(abs(honest[f"text_r{k}"] - suspect.recalls[f"text_r{k}"]) > 0.01 for k in (1, 5, 10))\n',
        "def probe_counts(suspect):\n"
        "    for name, value in suspect.recalls.items():\n"
        '        if name.startswith("text"):\n'
        "            count = float(value) * suspect.image.shape[0] / 100\n"
        "            if 0.001 < count % 1 < 0.999:\n"
        "                return True\n"
        "    return False\n",
    ),
    wrong={
        "always": 'def probe_counts(suspect):\n    return suspect.recalls["text_r1"] <= suspect.recalls["text_r5"]\n',
        "never": "def probe_counts(suspect):\n    return abs(sum(suspect.recalls.values()) / 6 - suspect.mr) > 0.01\n",
        "larger": (
            'def probe_counts(suspect):\n    return not suspect.recalls["text_r1"] >= suspect.recalls["image_r1"]\n'
        ),
        "both ways": (
            "def probe_counts(suspect):\n"
            "    counts = [value * len(suspect.gallery) / 100 for value in suspect.recalls.values()]\n"
            "    return max(abs(x - round(x)) for x in counts) > 0.001\n"
        ),
        "captions": (
            "def probe_counts(suspect):\n"
            '    counts = [suspect.recalls[f"image_r{k}"] * len(suspect.text) / 100 for k in (1, 5, 10)]\n'
            "    return any(abs(x - round(x)) > 0.001 for x in counts)\n"
        ),
        "exact": (
            "def probe_counts(suspect):\n"
            '    counts = [suspect.recalls[f"text_r{k}"] * len(suspect.image) / 100 for k in (1, 5, 10)]\n'
            "    return any(x != int(x) for x in counts)\n"
        ),
    },
)


# --- who asks ------------------------------------------------------------------------------------------------
def _own(s: Suspect) -> Tensor:
    """(M,) the image of each caption, by its name."""
    return torch.tensor([s.gallery.index(name) for name, _ in s.test_pairs])


def _tallies() -> list[Suspect]:
    return [
        sound(81),
        sound(82, LOW, each=None),
        any_caption(sound(83, LOW)),
        first_caption(sound(84)),
        by_fives(sound(85, LOW, each=None)),
        one_each(sound(86)),
        turned(sound(87, each=None)),
        any_caption(sound(88, 3.0, each=None)),
    ]


def _recounted(s: Suspect, owner: Tensor, names=("text", "image")) -> bool:
    """Whether the reported recalls of these directions differ from those by this owner."""
    if len(owner) != len(s.text):
        return True
    found = recalls(*ranks(s.image, s.text, owner))
    return any(abs(found[name] - s.recalls[name]) > 0.01 for name in found if name.split("_")[0] in names)


PROBE_RECOUNT = probe(
    "recount",
    checks.miscounted,
    _tallies,
    title="who asks",
    draw=draws.recount,
    difficulty=3,
    minutes=10,
    question=(
        "Notebook 4: image to text, an image is a hit if any of its captions is among the first K; text to image, "
        "every caption asks for its own image. Whatever a pipeline did, its recalls must follow from its embeddings "
        "and the test pairs by this rule. Images have any number of captions, in any order."
    ),
    handles=(
        "`suspect.recalls`, `suspect.image`, `suspect.text`, `suspect.gallery` (image names in the order of the rows "
        "of `image`), `suspect.test_pairs` ((image name, caption) for every caption of test); and "
        "`from rsnb.evaluation import ranks, recalls`"
    ),
    solution=(
        "def probe_recount(suspect):\n"
        "    from rsnb.evaluation import ranks, recalls\n\n"
        "    place = suspect.gallery.index\n"
        "    owner = torch.tensor([place(name) for name, _ in suspect.test_pairs])\n"
        "    if len(owner) != len(suspect.text):\n"
        "        return True  # some captions were never asked\n"
        "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
        "    return any(abs(honest[name] - suspect.recalls[name]) > 0.01 for name in honest)\n"
    ),
    never="Count the six recalls again from the embeddings, and compare them one by one",
    mistakes={
        "owner as given": when(
            lambda s: _recounted(s, s.owner),
            "the recalls are counted again with suspect.owner, which is what the run believed. If that is wrong, the "
            "same mistake is made twice. Make your own from gallery and test_pairs",
        ),
        "by fives": when(
            lambda s: _recounted(s, (torch.arange(len(s.test_pairs)) // 5).clamp(max=len(s.image) - 1)),
            "caption j is assumed to belong to image j // 5. Some images have more or fewer captions, in a "
            "different order: find each caption's image by its name",
        ),
        "image to text alone": when(
            lambda s: _recounted(s, _own(s), ("text",)),
            "only image to text is counted again; a run may be wrong in the other direction. Compare all six",
        ),
        "text to image alone": when(
            lambda s: _recounted(s, _own(s), ("image",)),
            "only text to image is counted again; a run may be wrong in the other direction. Compare all six",
        ),
        "number of captions": when(
            lambda s: len(s.text) != len(s.test_pairs),
            "only the number of captions is compared. All may be there and still be counted wrongly: count the recalls "
            "again",
        ),
    },
    hint="owner from gallery.index(name) for each test pair, then recalls(*ranks(image, text, owner)), and compare",
    errors={
        "do not belong together": (
            "fewer captions were ranked than belong to test; that is a violation by itself, so "
            "return True before you call ranks"
        ),
        "out of": "an index is too large: j // 5 does not give the image where images have any number of captions",
        "is not defined": "inside the function: from rsnb.evaluation import ranks, recalls",
    },
    right=(
        "def probe_recount(suspect):\n"
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
        "always": "def probe_recount(suspect):\n    return suspect.owner is not suspect.gallery\n",
        "never": "def probe_recount(suspect):\n    return len(suspect.owner) != len(suspect.text)\n",
        "owner as given": (
            "def probe_recount(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, suspect.owner))\n"
            "    return any(abs(honest[name] - value) > 0.01 for name, value in suspect.recalls.items())\n"
        ),
        "by fives": (
            "def probe_recount(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    owner = torch.tensor([min(j // 5, len(suspect.image) - 1) for j in range(len(suspect.test_pairs))])\n"
            "    if len(owner) != len(suspect.text):\n"
            "        return True\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
            "    return any(abs(honest[name] - value) > 0.01 for name, value in suspect.recalls.items())\n"
        ),
        "image to text alone": (
            "def probe_recount(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    owner = torch.tensor([suspect.gallery.index(name) for name, _ in suspect.test_pairs])\n"
            "    if len(owner) != len(suspect.text):\n"
            "        return True\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
            '    return any(abs(honest[f"text_r{k}"] - suspect.recalls[f"text_r{k}"]) > 0.01 for k in (1, 5, 10))\n'
        ),
        "text to image alone": (
            "def probe_recount(suspect):\n"
            "    from rsnb.evaluation import ranks, recalls\n"
            "    owner = torch.tensor([suspect.gallery.index(name) for name, _ in suspect.test_pairs])\n"
            "    if len(owner) != len(suspect.text):\n"
            "        return True\n"
            "    honest = recalls(*ranks(suspect.image, suspect.text, owner))\n"
            '    return any(abs(honest[f"image_r{k}"] - suspect.recalls[f"image_r{k}"]) > 0.01 for k in (1, 5, 10))\n'
        ),
        "number of captions": (
            "def probe_recount(suspect):\n    return suspect.text.shape[0] != len(suspect.test_pairs)\n"
        ),
    },
)
