"""What the lab itself decides of a cell's numbers: which images and batches it trains on, and what is counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rsnb.data.twins import TwinBatches
from rsnb.measures.similarity import cosine, one_caption, pair_values


def part_of_training(whole, share: float, seed: int):
    """The training images that a share (0 to 1) leaves: of one seed, a smaller share lies within a larger one."""
    import torch

    if share == 1:
        return whole
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed)).tolist()
    return whole.subset(sorted(order[: max(2, round(share * len(whole)))]))


def batches_of(spec, seed: int) -> TwinBatches | None:
    """Gives the batches of a :class:`rsnb.studies.ablation.spec.Spec`; None: drawn at random."""
    return None if spec.twins is None else TwinBatches(spec.twins, spec.alike, spec.config.batch_size, seed)


def hits_of_images(hits, captions: Sequence[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each of N images the mean chance of a hit, and the sum of the like over its captions; see
    :class:`rsnb.studies.ablation.cell.Cell`. hits: :class:`rsnb.measures.ties.Hits`."""
    sums = [0.0] * len(captions)
    for owner, hit in zip(hits.owner.tolist(), hits.image.mean(dim=1).tolist()):
        sums[owner] += hit
    return tuple(round(x, 5) for x in hits.text.mean(dim=1).tolist()), tuple(round(x, 5) for x in sums)


def hits_by_image(report, captions: Sequence[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """:func:`hits_of_images` of a :class:`rsnb.evaluation.Report`."""
    from rsnb.measures.ties import hits

    found = hits(report.image_embeddings, report.text_embeddings, report.owner)
    return hits_of_images(found, captions)


def mean_recall(text: Sequence[float], image: Sequence[float], captions: Sequence[int]) -> float:
    """mR in percent from what a cell keeps of each image."""
    return 50 * (math.fsum(text) / len(text) + math.fsum(image) / sum(captions))


def intra_modal(report, seed: int = 0) -> dict[str, float]:
    """The mean cosine of two images, and of captions of two images, of a :class:`rsnb.evaluation.Report`."""
    one = one_caption(report.owner, len(report.image_embeddings), seed)
    both = {"image": report.image_embeddings, "text": report.text_embeddings[one]}
    return {name: round(pair_values(cosine(x)).mean().item(), 4) for name, x in both.items()}


def rounded_history(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a training's history with five decimals."""
    return [{name: round(value, 5) for name, value in row.items()} for row in history]
