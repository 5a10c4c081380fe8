"""Composed queries: an image, and words that say what is to be different."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from pathlib import Path

from rsnb.data.words import FUNCTION_WORDS, vocabulary, words_of
from rsnb.errors import RsnbError
from rsnb.measures.similarity import UNKNOWN
from rsnb.worlds.toy.build import COUNT, SEED
from rsnb.worlds.toy.draw import GROUNDS, SIZE, Canvas
from rsnb.worlds.toy.scenes import SCENES, describe, stream
from rsnb.worlds.toy.words import OWN_WORDS, WORDS

MOST_WORDS = 8  # attributes of a class that are words
PICTURE, CAPTIONS = "the program that drew the pictures", "words of the captions"
KINDS = ("colour", "quantity", "density", "shape", "existence", "context", "word")

#: What a query about an attribute of the drawn world is (the kinds of the paper), and its words; "s": more than one.
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "tail": ("colour", "{} tail"), "roof": ("colour", "{} roof"), "sea": ("colour", "{} sea"),
    "sand": ("colour", "{} sand"), "colour": ("colour", "{} water"), "deck": ("colour", "{} deck"),
    "meadow.tone": ("colour", "{} grass"), "railwaystation.tone": ("colour", "{} roofs"),
    "runway.tone": ("colour", "{} runway"), "storagetanks.tone": ("colour", "{} tanks"),
    "kind": ("colour", "{} trees"), "lane": ("colour", "{} track"), "turf": ("colour", "{} field"),
    "pave": ("colour", "{} pavement"), "inside": ("colour", "{} court"), "outside": ("colour", "{} edge"),
    "train": ("colour", "{} trains"), "water": ("colour", "{} water"), "airport.n": ("quantity", "{} plane(s)"),
    "bridge.n": ("quantity", "{} bridge(s)"), "harbor.n": ("quantity", "{} pier(s)"),
    "industrial.n": ("quantity", "{} building(s)"), "pond.n": ("quantity", "{} pond(s)"),
    "runway.n": ("quantity", "{} runway(s)"), "sparseresidential.n": ("quantity", "{} house(s)"),
    "storagetanks.n": ("quantity", "{} tank(s)"), "tenniscourt.n": ("quantity", "{} court(s)"),
    "roofs": ("quantity", "{} roofs"), "levels": ("quantity", "{} levels"), "roads": ("quantity", "{} road(s)"),
    "jets": ("quantity", "{} plane(s)"), "fill": ("density", "{}"), "harbor.fill": ("density", "{} boats"),
    "busy": ("density", "{} cars"), "dense": ("density", "{} trees"), "green": ("density", "{} trees"),
    "form": ("shape", "{}"), "shape": ("shape", "{}"), "layout": ("shape", "{}"), "width": ("shape", "{}"),
    "drive": ("shape", "{} road"), "size": ("shape", "{} boats"), "lot": ("existence", "a parking lot"),
    "runway": ("existence", "a runway"), "extra": ("existence", "{}"), "ships": ("existence", "{}"),
    "pool": ("existence", "a pool"), "island": ("existence", "an island"), "hall": ("existence", "a station building"),
    "taxi": ("existence", "a taxiway"), "thing": ("existence", "{}"), "heart": ("existence", "{}"),
    "bridge": ("existence", "a bridge"), "isles": ("existence", "trees between the cars"),
    "inner": ("existence", "{}"), "near": ("context", "near {}"), "land": ("context", "{}"), "bank": ("context", "{}"),
    "floor": ("context", "{}"),
}  # fmt: skip
#: Values that the captions name by more than their key word.
SAID = {"fork": "two branches", "clover": "four round ramps", "crossing": "crossed roads", "circles": "round fields",
        "strips": "long strips", "blocks": "rectangular blocks", "cables": "with cables",
        "square": "rectangular"}  # fmt: skip
#: Words that say nothing of what is seen, beside ``analysis.FUNCTION_WORDS``.
EMPTY = frozenset((
    "again", "all", "also", "along", "around", "beside", "besides", "between", "but", "different", "each", "from", "go",
    "goes", "here", "into", "kinds", "lot", "lots", "no", "not", "only", "other", "others", "over", "piece", "quite",
    "so", "them", "these", "they", "through", "too", "very", "were", "which", "while", "without",
)) | FUNCTION_WORDS  # fmt: skip


# --- what is on an image ----------------------------------------------------------------------------------------
class Nothing:
    """A pen that leaves no mark."""

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: None


class Sketch(Canvas):
    """A canvas that takes every decision of the drawing and draws no pixel: the attributes in a sixth of the time."""

    def __init__(self, rng) -> None:
        super().__init__(rng)
        self.pen = Nothing()

    def cover(self, name: str, points=None, solid: bool = False) -> None:
        for cell, octaves in ((GROUNDS[name][2], 4), (4, 2)):  # the random numbers of draw.texture, drawn and dropped
            for octave in range(octaves):
                knots = max(4, int(SIZE / max(1.5, cell / 2**octave)) + 3)
                self.rng.standard_normal((knots, knots))
        self.fill(points, None, solid)

    def fill(self, points, paper, solid: bool = False) -> None:
        if solid and points is not None:
            self.block(points)


@functools.cache
def _sketched(name: str) -> tuple[dict[str, str], tuple[str, ...]] | None:
    """(attributes, captions) of a file of the shipped toy world, or None for a name that it does not have."""
    match = re.fullmatch(r"([a-z]+)_(\d+)\.jpg", name)
    if match is None or match[1] not in SCENES or match[2] == "0":
        return None
    number = int(match[2])
    job = (SEED, "train", number - 1) if number <= COUNT else (SEED, "test", number - COUNT - 1)
    attributes = SCENES[match[1]](Sketch(stream(*job[:2], match[1], job[2])))
    return attributes, tuple(describe(match[1], attributes, *job))


def drawn_attributes(dataset) -> list[dict[str, str]] | None:
    """What the drawing program decided for each image, such as {"n": "two", "tail": "red"}; None if it is not the
    shipped toy world. They are not stored with the files: the drawing is repeated without its pixels, and is the right
    one only if it leads to the very captions of the file.
    """
    if not dataset.is_toy:
        return None
    found = [_sketched(Path(item.name).name) for item in dataset]
    if any(f is None or f[1] != item.captions for f, item in zip(found, dataset)):
        return None
    return [attributes for attributes, _ in found]


def scenes(dataset) -> list[str]:
    """What a query wants to keep: the class of each image; without classes, the word that its captions use most (of
    equals the one that is more frequent in the data set)."""
    everywhere = vocabulary(dataset.captions[0])

    def subject(item) -> str:
        own = {w: n for w, n in vocabulary(item.captions).items() if w not in EMPTY}
        return max(own, key=lambda w: (own[w], everywhere[w], w), default=UNKNOWN)

    return [item.label or subject(item) for item in dataset]


def word_attributes(dataset, most: int = MOST_WORDS) -> list[dict[str, str]]:
    """For each image, of the `most` words that divide its class most evenly: {word: word if a caption of it says so,
    else ""}. No function words; a word that one image alone carries, or all do, divides nothing."""
    labels, found = scenes(dataset), []
    carried = [{w for c in item.captions for w in words_of(c)} - EMPTY for item in dataset]
    members = Counter(labels)
    counts = {label: Counter() for label in members}
    for label, words in zip(labels, carried):
        counts[label].update(words)
    chosen = {}
    for label, n in members.items():
        least = 2 if n > 2 else 1
        dividing = [w for w, times in counts[label].items() if least <= times < n]
        chosen[label] = sorted(dividing, key=lambda w: (abs(counts[label][w] - n / 2), w))[:most]
    for label, words in zip(labels, carried):
        found.append({w: w if w in words else "" for w in chosen[label]})
    return found


def wording(scene: str, key: str, value: str) -> tuple[str, str] | None:
    """(kind, words) of a query for a value of a drawn attribute, such as ("quantity", "two planes"); None for one that
    cannot be asked for: a side of the picture, or one of two kinds of crops that words do not tell apart."""
    entry = ATTRIBUTES.get(f"{scene}.{key}") or ATTRIBUTES.get(key)
    if entry is None:
        return None
    kind, template = entry
    said = SAID.get(value) or (OWN_WORDS.get(scene, {}).get(f"{key}={value}") or WORDS.get(value, (value,)))[0]
    return kind, template.replace("(s)", "" if value == "one" else "s").format(said)


@dataclasses.dataclass(frozen=True)
class Query:
    """An image, the words that change it, and what is to be found: images of its scene that have the new value.

    ``was`` is the value that the query image has ("" for none), ``kind`` one of ``KINDS``.
    """

    image: int
    words: str
    kind: str
    was: str
    wanted: tuple[int, ...]


def queries(dataset) -> tuple[list[Query], str]:
    """Every change that has an answer in the data set, and where the attributes come from (``PICTURE``, ``CAPTIONS``).

    Raises:
        RsnbError: no image has an answer.
    """
    drawn = drawn_attributes(dataset)
    attributes, source = (word_attributes(dataset), CAPTIONS) if drawn is None else (drawn, PICTURE)
    labels = scenes(dataset)
    members: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        members.setdefault(label, []).append(i)
    found = []
    for i, label in enumerate(labels):
        others = [j for j in members[label] if j != i]
        for key, was in attributes[i].items():
            for value in sorted({attributes[j].get(key, "") for j in others} - {"", was}):
                said = ("word", value) if drawn is None else wording(label, key, value)
                if said is not None:
                    wanted = tuple(j for j in others if attributes[j].get(key) == value)
                    found.append(Query(i, said[1], said[0], was, wanted))
    if not found:
        raise RsnbError(
            f"{dataset.name}/{dataset.split} has {len(dataset):,} images and no two of one class that "
            "differ in an attribute or a word; take more images (a higher --limit), or data with captions"
        )
    return found, source
