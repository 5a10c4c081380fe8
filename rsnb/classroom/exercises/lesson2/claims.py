"""Claims about similarity: an example that breaks one, and one to be repaired."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from rsnb.classroom.exercises.choices import chosen
from rsnb.classroom.exercises.comparing import numbers_of
from rsnb.classroom.exercises.judging import Exercise, Mistake

ALIKE = 0.9


def _alike_and_found(value: Any) -> tuple[str | None, str]:
    image, text = (numbers_of(x) for x in value)
    if image.dim() != 2 or image.shape != text.shape or len(image) < 4:
        return "shapes", f"found {tuple(image.shape)} and {tuple(text.shape)}"
    lengths = torch.cat([image, text]).norm(dim=1)
    if (lengths - 1).abs().max() > 1e-3 or not torch.isfinite(lengths).all():
        return "lengths", f"lengths from {lengths.min():.2f} to {lengths.max():.2f}"
    image, text, n = F.normalize(image, dim=1), F.normalize(text, dim=1), len(image)
    pairs = (image @ image.T)[~torch.eye(n, dtype=torch.bool)]
    scores = image @ text.T
    rivals = scores.masked_fill(torch.eye(n, dtype=torch.bool), -2)
    own = scores.diagonal()
    found = torch.stack([own - rivals.max(dim=1).values, own - rivals.max(dim=0).values])  # (2, n)
    said = f"mean image-image cosine {pairs.mean():.3f}, pairs found both ways {(found > 1e-6).all(dim=0).sum()} of {n}"
    if pairs.mean() <= ALIKE:
        return "not alike", said
    if (found.abs() <= 1e-6).any() and (found >= -1e-6).all():
        return "ties", said
    return (None if (found > 1e-6).all() else "not found"), said


ALIKE_AND_FOUND = Exercise(
    key="alike_and_found",
    lesson=2,
    title="Alike, and still found",
    aim='Find the input that breaks the claim "images that are alike cannot be retrieved".',
    difficulty=2,
    importance=3,
    minutes=8,
    task=(
        "*Someone says: if all images are alike, retrieval must fail.* Find the input that breaks this. Write "
        "`alike_and_found()`; it takes nothing and returns `image, text`, both (N, D) with $N \\ge 4$, every row of "
        f"length 1. The mean cosine of two images (i ≠ j) must be above {ALIKE}, and yet each image's nearest text "
        "must be its own (row i of both), and each text's nearest image too, without ties."
    ),
    name="alike_and_found",
    stub="def alike_and_found():\n    raise NotImplementedError  # your code: return image, text\n",
    solution=(
        "def alike_and_found():\n"
        "    common = torch.zeros(4, 5)\n"
        "    common[:, 4] = 1  # what all of them share\n"
        "    own = F.pad(torch.eye(4), (0, 1))  # what each has for itself\n"
        "    image = F.normalize(common + 0.2 * own, dim=1)  # cosines of 0.96\n"
        "    return image, image.clone()  # rank by what is left: it is enough\n"
    ),
    truth=lambda: None,
    holds=_alike_and_found,
    mistakes={
        "shapes": Mistake((), "image and text must both be (N, D), of one shape, with at least four rows"),
        "lengths": Mistake((), "the rows must have length 1: F.normalize(x, dim=1)"),
        "not alike": Mistake((), f"these images are not alike: the mean cosine of two of them must be above {ALIKE}"),
        "ties": Mistake(
            (), "equal similarities: where two texts are equally near to an image, neither of them is found first"
        ),
        "not found": Mistake(
            (), "these are alike, and some are not found: each true pair must be the nearest in its row and its column"
        ),
    },
    hint="a direction that all rows share makes them alike; a small one private to each row makes them findable",
    errors={"not iterable": "return both, separated by a comma: return image, text"},
    right=(
        "def alike_and_found():\n"
        "    image = F.normalize(torch.ones(6, 8) + 0.3 * torch.eye(6, 8), dim=1)\n"
        "    return image, F.normalize(image + 0.01, dim=1)\n",
        "def alike_and_found():\n"
        "    angle = torch.linspace(0, 0.3, 5)\n"
        "    image = torch.stack([angle.cos(), angle.sin()], dim=1)\n"
        "    return image.numpy(), image.tolist()\n",
        "def alike_and_found():\n"
        "    torch.manual_seed(0)\n"
        "    image = F.normalize(torch.randn(4, 32) * 0.05 + torch.ones(32), dim=1)\n"
        "    return image, image\n",
    ),
    wrong={
        "shapes": "def alike_and_found():\n    x = torch.ones(3, 2) / 2**0.5\n    return x, x\n",
        "lengths": "def alike_and_found():\n    x = torch.ones(4, 5) + torch.eye(4, 5)\n    return x, x\n",
        "not alike": "def alike_and_found():\n    x = torch.eye(4)\n    return x, x\n",
        "ties": "def alike_and_found():\n    x = F.normalize(torch.ones(4, 5), dim=1)\n    return x, x\n",
        "not found": (
            "def alike_and_found():\n"
            "    x = F.normalize(torch.ones(4, 5) + 0.2 * torch.eye(4, 5), dim=1)\n"
            "    return x, x.flip(0)\n"
        ),
    },
)

REPAIR_CLASSES = chosen(
    key="repair_classes",
    lesson=2,
    title="Repair a claim about classes",
    aim="Say what a share means compared with the share expected by chance, and no more.",
    minutes=4,
    task=(
        "*A report says: most of the hardest negatives are of another class, so scene classes do not matter for "
        "training.* Which sentence follows from the numbers above?"
    ),
    options={
        "a": "Scene classes do not matter: the hardest negative is of another class in most cases.",
        "b": "A negative of the image's own class is the hardest one more often than by chance; since there are far "
        "more negatives of other classes, most of the hardest ones are still of another.",
        "c": "Since most hardest negatives are of another class, most of them are wrong descriptions of the image.",
        "d": "In larger batches the hardest negative is less often of the image's own class, with more to choose from.",
    },
    right="b",
    says={
        "a": "compare with chance: a negative of the same class is rare in the batch, and takes far more than its "
        "share of the first places. So classes do matter",
        "c": "being of another class does not make a caption false: it may describe the image as well. The table "
        "counts classes, not truth",
        "d": "no number above says so. A larger batch has more negatives of every class, including the image's own",
    },
    hint="the last line above has two shares: the measured one, and the one that a random negative would give",
)

EXERCISES = [ALIKE_AND_FOUND, REPAIR_CLASSES]
