"""Scene classes of images: from a label field, the name, the UC Merced numbering, or class folders."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from rsnb.data.detect import SPLIT_WORDS
from rsnb.data.index import name_key
from rsnb.data.layouts import Record

#: The 21 classes of UC Merced, in the alphabetical order that numbers its images (100 per class).
UCM_CLASSES = (
    "agricultural", "airplane", "baseballdiamond", "beach", "buildings", "chaparral", "denseresidential",
    "forest", "freeway", "golfcourse", "harbor", "intersection", "mediumresidential", "mobilehomepark",
    "overpass", "parkinglot", "river", "runway", "sparseresidential", "storagetanks", "tenniscourt",
)  # fmt: skip
_PLAIN_FOLDERS = {"img", "imgs", "data", "raw", *SPLIT_WORDS}


def ucm_name(name: str) -> str | None:
    """UCM-Captions number to UC Merced file: `81.tif` -> `agricultural/agricultural80`; None if no number.

    n = 100 * class index + index + 1, with n in 1..2100 and the index in 0..99.
    """
    stem = PurePosixPath(name_key(name)).name
    if not re.fullmatch(r"[1-9]\d{0,3}", stem) or int(stem) > 100 * len(UCM_CLASSES):
        return None
    kind, index = divmod(int(stem) - 1, 100)
    return f"{UCM_CLASSES[kind]}/{UCM_CLASSES[kind]}{index:02d}"


def name_label(name: str) -> str | None:
    """`train/airport_12.jpg` -> `airport`; None for plain numbers (`00623.jpg`), plain words, and names with a
    long number before the last one (`n8454739999_US_21.jpg`)."""
    match = re.fullmatch(r"(.*[^\W\d_])[ _-]*\d+", PurePosixPath(name_key(name)).name)
    return match[1] if match and not _is_numbered(match[1]) else None


def folder_label(name: str) -> str | None:
    """`Images/beach/001.tif` -> `beach`; None without a folder, or for `images`, `train`, `scene_0012` and the like."""
    folder = PurePosixPath(name_key(name)).parent.name
    plain = folder in _PLAIN_FOLDERS or "image" in folder or _is_numbered(folder)
    return None if plain else folder


def _is_numbered(word: str) -> bool:
    """Whether a word tells one image from others (`scene_0012`, `12`), rather than a class."""
    return bool(re.search(r"\d{4}", word)) or not any(c.isalpha() for c in word)


def are_classes(guessed: list[str | None]) -> bool:
    """Whether what names or folders tell divides the images: into at least two classes, and not nearly every image into
    one of its own (`n8454739999_US_21`)."""
    counts = Counter(label for label in guessed if label is not None)
    alone = sum(count == 1 for count in counts.values())
    return len(counts) > 1 and (alone < 10 or alone <= sum(counts.values()) / 2)


def _without_single_numbers(guessed: list[str | None]) -> list[str | None]:
    """A word with a number in it that one image alone has (`a1_us`) tells that image from others."""
    counts = Counter(guessed)
    return [None if word and counts[word] == 1 and re.search(r"\d", word) else word for word in guessed]


def labels_of(rows: list[Record], is_ucm: bool) -> list[str | None]:
    """A class per record, or None where nothing tells it.

    Names that would put every image into one class (`img_1`, `img_2`) tell nothing; then folders may.
    """
    if is_ucm and all(row.label is None for row in rows):
        numbered = [ucm_name(row.name) for row in rows]
        if all(numbered):
            return [name.partition("/")[0] for name in numbered if name]
    for guess in (name_label, folder_label):
        guessed = _without_single_numbers([guess(row.name) for row in rows])
        if are_classes(guessed):
            return [row.label or label for row, label in zip(rows, guessed)]
    return [row.label for row in rows]
