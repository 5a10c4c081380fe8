"""How crowded a model's space is, and how hard the hardest negative: of natural pictures, of views from above in a
style that pre-training knew, and of the data set; zero-shot and adapted.

One set alone cannot say why its images look alike to a model: because they are alike, or because the model does not
know their kind. The second set has the view from above without the unfamiliar look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

import rsnb
from rsnb.base.text import markdown_table
from rsnb.measures.similarity import cosine, hardest_in_batch, named, one_caption, pair_values
from rsnb.worlds.natural import embedded, natural_pictures

NATURAL, FAMILIAR, OWN = "natural pictures", "from above, familiar", "this data set"
MARGIN, BATCH, ITEMS = 0.2, 16, 10_000
COSINES = ("image cosine", "text cosine", "nearest")
SHARES = ("below margin", "negative wins", "own class", "by chance", "literal")


def controls(models: Mapping[str, Any], dataset, folder=None, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """{set: {model: numbers}}; sets that this backbone has not are left out.

    The numbers, shares from 0 to 1: ``image cosine`` and ``text cosine``, the mean of two images and of captions of
    two; ``nearest``, the mean cosine of an image to the most similar other one of the set; and of random batches of 16
    the share of images whose gap to the hardest caption of another image is ``below margin`` (0.2), or below zero
    (``negative wins``); whose hardest negative is of their ``own class`` (``by chance``: a random one), or is word for
    word one of their own captions (``literal``).

    Args:
        models: by name, such as a CLIP and an adapted one, on the same backbone. dataset: with captions, the test part.
        folder: natural photographs, see :func:`rsnb.worlds.natural.natural_pictures`.
    """
    clip = next(iter(models.values()))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, wanted in ((NATURAL, "natural"), (FAMILIAR, "overhead")):
        if wanted == "overhead" and clip.name != "mini":
            continue
        drawn = natural_pictures(clip, len(dataset), folder if wanted == "natural" else None, wanted)
        for label, model in models.items() if drawn is not None else ():
            image, text = embedded(model, drawn.pictures, drawn.captions)
            own = [{caption} for caption in drawn.captions] if drawn.captions else None
            numbers = crowding(image, text, drawn.captions, own, None, seed)
            found.setdefault(name, {})[label] = numbers
    found[OWN] = {label: of_dataset(model, dataset, seed) for label, model in models.items()}
    return found


def of_dataset(model, dataset, seed: int = 0) -> dict[str, float]:
    """The numbers of :func:`controls` of a data set, one caption of each image drawn at random."""
    report = rsnb.evaluate(model, dataset)
    chosen = one_caption(report.owner, len(dataset), seed).tolist()
    texts, own = [dataset.captions[0][i] for i in chosen], [set(item.captions) for item in dataset]
    return crowding(report.image_embeddings, report.text_embeddings[chosen], texts, own, dataset.labels, seed)


def crowding(
    image: torch.Tensor,
    text: torch.Tensor | None,
    captions: Sequence[str] | None,
    own: Sequence[set[str]] | None,
    labels: Sequence[str | None] | None,
    seed: int = 0,
) -> dict[str, float]:
    """The numbers of :func:`controls` of one set and model.

    Args:
        image: (N, D). text: (N, D), a caption of each image, ``captions`` in words; None where there are none. own: all
            captions of each image. labels: classes; None where there are none.
    """
    alike = cosine(image)
    found = {"images": float(len(image)), "image cosine": pair_values(alike).mean().item()}
    found["nearest"] = alike.fill_diagonal_(-1).amax(dim=1).mean().item()
    if text is None:
        return found
    found["text cosine"] = pair_values(cosine(text)).mean().item()
    size = min(BATCH, len(image))
    hardest = hardest_in_batch(image, text, labels, size, ITEMS, seed)
    found |= {"below margin": hardest.inside(MARGIN), "negative wins": hardest.inside(0.0)}
    literal = [captions[at] in own[item] for item, at in zip(hardest.item.tolist(), hardest.at.tolist())]
    found["literal"] = sum(literal) / len(literal)
    if labels is not None and None not in labels:
        counts = [named(labels).count(label) for label in labels]
        found["own class"] = hardest.same_class.float().mean().item()
        found["by chance"] = sum(count - 1 for count in counts) / len(labels) / (len(labels) - 1)
    return found


def controls_table(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """As Markdown: one row per set and model; cosines with two decimals, shares in percent."""
    rows = []
    for name, models in found.items():
        for label, numbers in models.items():
            shown = [f"{numbers[c]:.2f}" if c in numbers else "" for c in COSINES]
            shown += [f"{100 * numbers[c]:.1f} %" if c in numbers else "" for c in SHARES]
            rows.append([name, label, *shown])
    return markdown_table(("set", "model", *COSINES, *SHARES), rows)
