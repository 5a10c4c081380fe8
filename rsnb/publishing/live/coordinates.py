"""The map of notebook 4, for the page: t-SNE of the toy test images and their captions, before and after adaptation."""

from __future__ import annotations

import functools

import numpy as np
import torch

import rsnb
from rsnb.measures import similarity
from rsnb.publishing.live.gallery import COLUMNS, SIZE
from rsnb.studies.runs import adapter_path

SIDE = 1000  # of the square in which the points of a map lie, as whole numbers


@functools.cache  # half a minute
def coordinates(images: int = 300, captions: int = 1500, seed: int = 0) -> dict:
    """{"images": [its place on the sheet of pictures, its class] for each image; "captions": [place of its image, its
    text] for each caption; "before", "after": [x, y] of the images and then of the captions, whole numbers from 0 to
    1,000, y upwards; "size", "columns": of the sheet, see :func:`rsnb.publishing.live.gallery.sheet`}.

    The points are those of notebook 4: at most so many images, as many of each class, and so many of their captions.
    """
    test = rsnb.load_dataset("toy", "test")
    texts, owner = test.captions
    per_class = max(1, images // max(1, len(test.classes)))
    shown = similarity.examples(test.labels, per_class=per_class, seed=seed, most=images)
    places = set(shown)
    kept = [j for j, image in enumerate(owner) if int(image) in places][:captions]
    model = rsnb.load_adapter(adapter_path("toy", "mini"))
    maps = {}
    for name, one in (("before", rsnb.load_clip("mini")), ("after", model)):
        report = rsnb.evaluate(one, test)
        both = torch.cat([report.image_embeddings[shown], report.text_embeddings[kept]])
        maps[name] = in_square(similarity.tsne(both, seed=seed))
    return {
        "size": SIZE,
        "columns": COLUMNS,
        "images": [[int(i), test.labels[i]] for i in shown],
        "captions": [[int(owner[j]), texts[j]] for j in kept],
        **maps,
    }


def in_square(points: np.ndarray) -> list[list[int]]:
    """(N, 2) points moved and scaled into the square, both directions alike, as whole numbers."""
    low, width = points.min(axis=0), np.ptp(points, axis=0)
    offset = (width.max() - width) / 2  # the narrower direction lies in the middle
    return np.rint((points - low + offset) / max(width.max(), 1e-9) * SIDE).astype(int).tolist()
