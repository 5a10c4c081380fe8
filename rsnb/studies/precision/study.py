"""Images laid into a folder, indexed, and searched by words and by images: precision at 10 of every class.

By words: one sentence for each class (:func:`sentence_of`), and a hit is right if it is of that class. By images: every
image is asked for, as the index holds it; it is taken out of its own hits, and a hit is right if it is of its class.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsnb.errors import RsnbError
from rsnb.measures.bootstrap import percentile_ends, resampled_sums
from rsnb.tiles.index import Index
from rsnb.tiles.zero_labels import PROMPTS

TOP, DRAWS = 10, 2000
WORDS, IMAGES = "words", "images"
PROMPT = PROMPTS[1]  # "an aerial image of {}"; chosen before anything was measured

#: Classes whose names are written in one word, or are adjectives.
SPELLED = {
    "agricultural": "agricultural area", "baseballdiamond": "baseball diamond",
    "denseresidential": "dense residential area", "golfcourse": "golf course",
    "mediumresidential": "medium residential area", "mobilehomepark": "mobile home park", "parkinglot": "parking lot",
    "sparseresidential": "sparse residential area", "storagetanks": "storage tanks", "tenniscourt": "tennis court",
}  # fmt: skip


def sentence_of(label: str, prompt: str = PROMPT) -> str:
    """The sentence that asks for a class, by rule: its name in separate words, "area" behind an adjective, "a" or "an"
    before it unless it is a plural.

    >>> sentence_of("tenniscourt")
    'an aerial image of a tennis court'
    """
    name = SPELLED.get(label, label)
    plural = name.endswith("s") and not name.endswith("ss")
    article = "" if plural else "an " if name[0] in "aeiou" else "a "
    return prompt.format(article + name)


# --- one index --------------------------------------------------------------------------------------------------
def as_folder(dataset, folder: Path) -> list[str]:
    """Copy the images of a data set into a plain folder, under names that say nothing; their classes, in the order of
    the names.

    Raises:
        RsnbError: an image is no file, or has no class.
    """
    folder.mkdir(parents=True)
    for number, item in enumerate(dataset):
        if item.path is None or item.cell is not None or item.label is None:
            raise RsnbError(f"{item.name}: an image file with a class is needed; name the folder of UCM-Captions")
        shutil.copyfile(item.path, folder / f"{number:05d}{item.path.suffix}")
    return list(dataset.labels)


def hits_of_words(index: Index, labels: Sequence[str], top: int = TOP, prompt: str = PROMPT) -> dict[str, list[int]]:
    """{class: the images that its sentence finds, best first}. labels: the class of each image of the index."""
    classes = sorted(set(labels))
    found = _images(index.search([sentence_of(label, prompt) for label in classes], top), len(classes))
    return dict(zip(classes, found))


def hits_of_images(index: Index, top: int = TOP) -> list[list[int]]:
    """For each image of the index the images that it finds, best first, without itself."""
    own = _own(index)
    vectors = np.concatenate([block.astype(np.float32) for block in index.blocks])
    found = _images(index.search(vectors, top + 1), len(own))
    hits: list[list[int]] = [[] for _ in own]
    for image, near in zip(own, found):  # of copies of one image, any may come first
        hits[image] = [other for other in near if other != image][:top]
    return hits


def _own(index: Index) -> list[int]:
    return [int(Path(path).stem) for path in index.table(["path"])["path"]]


def _images(hits, queries: int) -> list[list[int]]:
    """The hits of each query as numbers of images."""
    numbers = [int(Path(path).stem) for path in hits["path"]]
    each = len(numbers) // queries
    return [numbers[at : at + each] for at in range(0, len(numbers), each)]


def precision(index: Index, labels: Sequence[str], top: int = TOP) -> dict[str, dict[str, float]]:
    """{"words" or "images": {class: share of the first ``top`` hits that are of it, in percent}}."""
    by_words = hits_of_words(index, labels, top)
    shares: dict[str, list[float]] = {label: [] for label in by_words}
    for image, found in enumerate(hits_of_images(index, top)):
        shares[labels[image]].append(_share(found, labels, labels[image], top))
    return {
        WORDS: {label: _share(found, labels, label, top) for label, found in by_words.items()},
        IMAGES: {label: sum(of) / len(of) for label, of in shares.items()},
    }


def wordings(index: Index, labels: Sequence[str], top: int = TOP) -> dict[str, float]:
    """{prompt: precision by words in percent, the mean over classes} of all that rsnb label asks with."""
    means = {}
    for prompt in PROMPTS:
        hits = hits_of_words(index, labels, top, prompt)
        means[prompt] = round(sum(_share(found, labels, label, top) for label, found in hits.items()) / len(hits), 3)
    return means


def _share(found: Sequence[int], labels: Sequence[str], label: str, top: int) -> float:
    return 100 * sum(labels[image] == label for image in found) / top


def expected(labels: Sequence[str], top: int = TOP) -> dict[str, dict[str, float]]:
    """{"chance" or "most": {"words" or "images": percent}}: the share of the class among what is searched, and what a
    perfect order reaches; means over classes. By images the query is out, so its class has one less."""
    sizes, n = list(Counter(labels).values()), len(labels)

    def mean(values):
        return round(100 * sum(values) / len(sizes), 2)

    return {
        "chance": {WORDS: mean([size / n for size in sizes]), IMAGES: mean([(size - 1) / (n - 1) for size in sizes])},
        "most": {
            WORDS: mean([min(top, size) / top for size in sizes]),
            IMAGES: mean([min(top, size - 1) / top for size in sizes]),
        },
    }


# --- several models ---------------------------------------------------------------------------------------------
def gallery(models: Mapping[str, Any], dataset, top: int = TOP) -> dict[str, Any]:
    """Precision of several adapted models on one folder, as plain numbers; the others are compared with the first.

    The interval is a bootstrap over classes, each drawn with all its queries: sentences stand for one class each, and
    images of one class are no independent queries. A difference draws the same classes for both.
    """
    rows: dict[str, Any] = {}
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        labels = as_folder(dataset, Path(scratch) / "images")
        for number, (name, model) in enumerate(models.items()):
            index = Index.build(Path(scratch) / "images", Path(scratch) / f"{number}.index", model)
            rows[name], said[name] = precision(index, labels, top), wordings(index, labels, top)
            del index  # its blocks are mapped, and a mapped file cannot be deleted everywhere
    first = next(iter(models))
    found = {
        name: {way: _numbers(of, None if name == first else rows[first][way]) for way, of in row.items()}
        for name, row in rows.items()
    }
    found = {name: {**row, "wordings": said[name]} for name, row in found.items()}
    return {"images": len(labels), **expected(labels, top), "models": found}


def _numbers(of: Mapping[str, float], against: Mapping[str, float] | None) -> dict[str, Any]:
    """Mean, interval, the values by class; the difference to another model as [mean, low, high]."""
    mean, *ends = over_classes(list(of.values()))
    found: dict[str, Any] = {"mean": mean, "interval": ends}
    if against is not None:
        found["difference"] = over_classes([of[label] - against[label] for label in of])
    return {**found, "classes": {label: round(value, 2) for label, value in of.items()}}


def over_classes(values: Sequence[float], draws: int = DRAWS, level: float = 0.95, seed: int = 0) -> list[float]:
    """[mean, low, high] of a value of each class."""
    table = torch.tensor(values, dtype=torch.float64)[:, None]
    low, high = percentile_ends(resampled_sums(table, draws, seed)[:, 0] / len(values), level)
    return [round(value, 3) for value in (table.mean().item(), low.item(), high.item())]
