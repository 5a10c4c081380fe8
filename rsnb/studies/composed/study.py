"""Composed retrieval: an image and a few words are one query. Nothing is trained.

The similarity of the query image to every image of the gallery and that of the words to every image are each brought to
a common scale over the gallery, then mixed: ``(1 - lambda) * image + lambda * words`` (WeiCom: Psomas et al. 2024,
"Composed Image Retrieval for Remote Sensing"). What counts as found is known exactly for the drawn toy world, and from
the words of the captions for any other data. ``rsnb composed`` measures it and writes ``data/results/composed.json``.

Everywhere N is a number of images, Q of queries, L of values of lambda, D the width of an embedding. A gallery is all
images but the query image: N - 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import functools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import rsnb
from rsnb.base import paths
from rsnb.classroom import lesson
from rsnb.data import PixelStore
from rsnb.data.report import words_of
from rsnb.errors import RsnbError
from rsnb.measures import similarity as analysis
from rsnb.worlds.toy.build import COUNT, SEED
from rsnb.worlds.toy.draw import GROUNDS, SIZE, Canvas
from rsnb.worlds.toy.scenes import SCENES, describe, stream
from rsnb.worlds.toy.words import OWN_WORDS, WORDS

LAMBDAS = tuple(i / 20 for i in range(21))
FIRST = 10  # recall is counted among so many
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
)) | analysis.FUNCTION_WORDS  # fmt: skip
#: Scale of a row of similarities, by name; see :func:`normalise`.
WAYS = ("cdf", "standard score", "min-max", "none")


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
    everywhere = analysis.vocabulary(dataset.captions[0])

    def subject(item) -> str:
        own = {w: n for w, n in analysis.vocabulary(item.captions).items() if w not in EMPTY}
        return max(own, key=lambda w: (own[w], everywhere[w], w), default=analysis.UNKNOWN)

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


# --- scores -----------------------------------------------------------------------------------------------------
def galleries(images: Sequence[int] | Tensor, count: int) -> Tensor:
    """For each query image the indices of all the others: (Q, count - 1). So a query never finds itself."""
    images = torch.as_tensor(images)[:, None]
    places = torch.arange(count - 1)[None, :]
    return places + (places >= images)


def normalise(scores: Tensor, way: str = "cdf") -> Tensor:
    r"""Each row of similarities (Q, N) on a common scale over its gallery.

    "cdf" (the paper's) takes the row for a normal distribution and gives the share of it that lies below, 0 to 1:
    :math:`\Phi((s - \mu) / \sigma)`; "standard score" stops at :math:`(s - \mu) / \sigma`; "min-max" stretches the row
    to 0 to 1; "none" leaves cosines. All of them rise with s: none changes the order within a row.
    """
    if way not in WAYS:
        raise RsnbError(f"no normalisation is called {way!r}; there are {', '.join(WAYS)}")
    scores = scores.double()
    if way == "none":
        return scores
    if way == "min-max":
        low, high = scores.amin(dim=1, keepdim=True), scores.amax(dim=1, keepdim=True)
        return (scores - low) / (high - low).clamp(min=1e-12)
    spread = scores.std(dim=1, correction=0, keepdim=True).clamp(min=1e-12)
    score = (scores - scores.mean(dim=1, keepdim=True)) / spread
    return torch.special.ndtr(score) if way == "cdf" else score


def mixed(image_scores: Tensor, word_scores: Tensor, lam: float, way: str = "cdf") -> Tensor:
    """(Q, N) and (Q, N) -> (Q, N): the image alone at lambda 0, the words alone at 1."""
    if not 0 <= lam <= 1:
        raise RsnbError(f"lambda is a weight between 0 (image alone) and 1 (words alone), not {lam}")
    return (1 - lam) * normalise(image_scores, way) + lam * normalise(word_scores, way)


def relevant(asked: Sequence[Query], gallery: Tensor) -> Tensor:
    """(Q, N - 1) bool: which images of each gallery (Q, N - 1) are right."""
    right = torch.zeros(len(asked), gallery.shape[1] + 1, dtype=torch.bool)
    for row, query in zip(right, asked):
        row[list(query.wanted)] = True
    return right.gather(1, gallery)


def hits(scores: Tensor, right: Tensor) -> Tensor:
    """(Q, N) bool: is the image at each place right, best first? Equal scores keep the order of the data set."""
    return right.gather(1, scores.argsort(dim=1, descending=True, stable=True))


def average_precision(found: Tensor) -> Tensor:
    """(Q, N) hits, best first -> (Q,) in percent: the mean of the precision at the places of the right ones."""
    found = found.double()
    precision = found.cumsum(dim=1) / torch.arange(1, found.shape[1] + 1)
    return 100 * (precision * found).sum(dim=1) / found.sum(dim=1)


def recall(found: Tensor, first: int = FIRST) -> Tensor:
    """(Q, N) hits, best first -> (Q,) in percent: the share of the right ones that are among the first."""
    found = found.double()
    return 100 * found[:, :first].sum(dim=1) / found.sum(dim=1)


def chance(asked: Sequence[Query], images: int) -> float:
    r"""Mean average precision of a random order, in percent: of R right ones in a gallery of n = N - 1,
    :math:`\frac1n \sum_k \frac1k \left(1 + (k - 1) \frac{R - 1}{n - 1}\right)`."""
    n = images - 1
    k = torch.arange(1, n + 1, dtype=torch.float64)
    others = torch.tensor([len(query.wanted) - 1 for query in asked], dtype=torch.float64)[:, None] / max(1, n - 1)
    return 100 * ((1 + (k - 1) * others) / k).mean(dim=1).mean().item()


@dataclasses.dataclass
class Space:
    """The embeddings of one model: image (N, D) of a data set, words (Q, D) of the queries; rows of length 1."""

    image: Tensor
    words: Tensor

    def scores(self, asked: Sequence[Query]) -> tuple[Tensor, Tensor, Tensor]:
        """Image similarity (Q, N - 1), similarity of the words (Q, N - 1), the gallery they belong to (Q, N - 1)."""
        own = torch.tensor([query.image for query in asked])
        gallery = galleries(own, len(self.image))
        return (
            (self.image[own] @ self.image.T).gather(1, gallery),
            (self.words @ self.image.T).gather(1, gallery),
            gallery,
        )


@torch.no_grad()
def space(model, dataset, asked: Sequence[Query], batch_size: int = 64) -> Space:
    """Embed the images of a data set and the words of its queries with a CLIP or an adapted model."""
    clip, was_training = getattr(model, "clip", model), model.training
    store, texts = PixelStore(dataset, clip), list(dict.fromkeys(query.words for query in asked))
    model.eval()
    parts = torch.arange(len(dataset)).split(batch_size)
    image = torch.cat([model.encode_image(store.batch(part.tolist(), clip.device)).float().cpu() for part in parts])
    words = torch.cat([encode(model, texts[i : i + batch_size]) for i in range(0, len(texts), batch_size)])
    model.train(was_training)
    place = {text: i for i, text in enumerate(texts)}
    return Space(image, words[[place[query.words] for query in asked]])


@torch.no_grad()
def encode(model, texts: Sequence[str]) -> Tensor:
    """(Q, D), rows of length 1."""
    clip, was_training = getattr(model, "clip", model), model.training
    found = model.eval().encode_text(clip.tokenizer(list(texts)).to(clip.device)).float().cpu()
    model.train(was_training)
    return found


@dataclasses.dataclass
class Curve:
    """Of every query at every lambda: average precision and recall (L, Q) in percent."""

    lambdas: tuple[float, ...]
    precision: Tensor
    recall: Tensor

    @property
    def best(self) -> int:
        """The place of the lambda with the highest mean average precision (the smaller one of equals)."""
        return int(self.precision.mean(dim=1).argmax())


def curve(at: Space, asked: Sequence[Query], way: str = "cdf", lambdas: Sequence[float] = LAMBDAS) -> Curve:
    """Average precision and recall of the queries against lambda."""
    image, words, gallery = at.scores(asked)
    image, words, right = normalise(image, way), normalise(words, way), relevant(asked, gallery)
    found = [hits(mixed(image, words, lam, "none"), right) for lam in lambdas]
    return Curve(
        tuple(lambdas), torch.stack([average_precision(f) for f in found]), torch.stack([recall(f) for f in found])
    )


def interval(
    values: Tensor, asked: Sequence[Query], draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Of the mean of a value of each query (Q,), by a bootstrap: query images are drawn, each with all its changes,
    since the changes of one image are not independent. Of a difference: give the differences, query by query."""
    own = torch.tensor([query.image for query in asked])
    n = int(own.max()) + 1
    sums = torch.zeros(n, 2, dtype=torch.float64)
    sums.index_add_(0, own, torch.stack([values.double(), torch.ones(len(values), dtype=torch.float64)], dim=1))
    sums = sums[sums[:, 1] > 0]
    drawn = torch.randint(len(sums), (draws, len(sums)), generator=torch.Generator().manual_seed(seed))
    total = sums[drawn].sum(dim=1)  # (draws, 2)
    at = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (total[:, 0] / total[:, 1]).quantile(at).tolist()
    return low, high


# --- a study ----------------------------------------------------------------------------------------------------
ZERO_SHOT, ADAPTED = "zero-shot CLIP", "with adapter"


def study(models: Mapping[str, Any], val, test, way: str = "cdf") -> dict[str, Any]:
    """Choose lambda on val, report on test: every model, every normalisation. Rows of plain numbers, ready for JSON.

    Args:
        models: name -> a CLIP or an adapted model; the first one is what the others are compared with.
        way: the normalisation that the sentence and the table by kinds speak of.
    """
    asked_val, source = queries(val)
    asked, _ = queries(test)
    found: dict[str, Any] = {
        "source": source,
        "way": way,
        "lambdas": list(LAMBDAS),
        "first": FIRST,
        "models": {},
        "differences": {},
        "images": {"val": len(val), "test": len(test)},
        "queries": {"val": len(asked_val), "test": len(asked)},
        "right": round(sum(len(q.wanted) for q in asked) / len(asked), 2),
        "chance": round(chance(asked, len(test)), 2),
    }
    chosen: dict[str, Tensor] = {}
    for name, model in models.items():
        spaces = space(model, val, asked_val), space(model, test, asked)
        row: dict[str, Any] = {"ways": {}}
        for each in WAYS:
            on_val, on_test = curve(spaces[0], asked_val, each), curve(spaces[1], asked, each)
            at = on_val.best
            row["ways"][each] = {
                "lambda": LAMBDAS[at],
                "curve": _round(on_test.precision.mean(dim=1)),
                "recall curve": _round(on_test.recall.mean(dim=1)),
                **_numbers(on_test, at, asked),
            }
            if each == way:
                chosen[name] = on_test.precision[at]
                alone = on_test.precision[[0, -1]]
                better = alone[int(alone.mean(dim=1).argmax())]
                row["gain"] = _difference(chosen[name] - better, asked)
                row["kinds"] = _kinds(on_test, at, asked)
        found["models"][name] = row
    first = next(iter(chosen))
    found["differences"] = {name: _difference(chosen[name] - chosen[first], asked) for name in chosen if name != first}
    return found


def _round(values: Tensor) -> list[float]:
    return [round(v, 2) for v in values.tolist()]


def _numbers(on_test: Curve, at: int, asked: Sequence[Query]) -> dict[str, Any]:
    """mAP and recall of the mix, the image alone and the words alone, with the interval of the first."""
    low, high = interval(on_test.precision[at], asked)
    rows = {"mix": at, "image": 0, "words": -1}
    return {
        "mAP": {name: round(on_test.precision[i].mean().item(), 2) for name, i in rows.items()},
        "recall": {name: round(on_test.recall[i].mean().item(), 2) for name, i in rows.items()},
        "interval": [round(low, 2), round(high, 2)],
    }


def _difference(values: Tensor, asked: Sequence[Query]) -> list[float]:
    """[mean, low, high] in points."""
    return [round(v, 2) for v in (values.mean().item(), *interval(values, asked))]


def _kinds(on_test: Curve, at: int, asked: Sequence[Query]) -> dict[str, dict[str, float]]:
    """mAP by the kind of change."""
    table = {}
    for kind in KINDS:
        own = torch.tensor([query.kind == kind for query in asked])
        if own.any():
            mean = {
                name: round(on_test.precision[i][own].mean().item(), 2)
                for name, i in (("mix", at), ("image", 0), ("words", -1))
            }
            table[kind] = {"queries": int(own.sum()), **mean}
    return table


def sentences(found: Mapping[str, Any]) -> list[str]:
    """A study in plain words."""
    said, way = [], found["way"]
    for name, row in found["models"].items():
        own = row["ways"][way]
        gain, low, high = row["gain"]
        said.append(
            f"{name}: mixing at lambda = {own['lambda']:.2f}, chosen on the validation part, reaches an mAP of "
            f"{own['mAP']['mix']:.1f} on {found['queries']['test']:,} test queries; the image alone reaches "
            f"{own['mAP']['image']:.1f}, the words alone {own['mAP']['words']:.1f}, a random order "
            f"{found['chance']:.1f}. Mixing {_worth(gain, low, high)} against the better of the two alone."
        )
    for name, (value, low, high) in found["differences"].items():
        said.append(
            f"{name} against {next(iter(found['models']))}, each at its own lambda: it {_worth(value, low, high)}."
        )
    return said


def _worth(value: float, low: float, high: float) -> str:
    what = "adds" if low > 0 else "loses" if high < 0 else "makes no clear difference:"
    number = f"{abs(value):.1f}" if low > 0 or high < 0 else f"{value:+.1f}"
    return f"{what} {number} points (95 % interval {low:+.1f} to {high:+.1f})"


def table(found: Mapping[str, Any], ways: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A study as rows: mAP and recall in percent, test part."""
    rows = []
    for name, row in found["models"].items():
        for way in ways or (found["way"],):
            own = row["ways"][way]
            middle = own["curve"][found["lambdas"].index(0.5)]
            rows.append(
                {
                    "model": name,
                    "normalised by": way,
                    "lambda (val)": own["lambda"],
                    "mAP image": own["mAP"]["image"],
                    "mAP words": own["mAP"]["words"],
                    "mAP mix": own["mAP"]["mix"],
                    "95 % interval": "{:.1f} to {:.1f}".format(*own["interval"]),
                    "mAP at 0.5": middle,
                    f"R@{found['first']} image": own["recall"]["image"],
                    f"R@{found['first']} mix": own["recall"]["mix"],
                }
            )
    return rows


# --- the command ------------------------------------------------------------------------------------------------
def result_file() -> Path:
    return paths.results_dir() / "composed.json"


def load(data: str = "toy", backbone: str = "mini") -> dict[str, Any] | None:
    """The committed study of this data and backbone, or None."""
    return _file().get("runs", {}).get(analysis.run_name(data, backbone))


def _file() -> dict[str, Any]:
    path = result_file()
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["runs"].items()
        return found
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise RsnbError(
            f"{path} is no result file of rsnb composed ({error!r}); remove it, then run rsnb composed --install"
        ) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="toy", help="toy (default), ucm, rsicd, rsitmd, or a folder")
    parser.add_argument("--root", default=None, metavar="DIR", help="where a real data set lies")
    parser.add_argument("--backbone", default="mini", help="mini (default), or any open_clip name")
    parser.add_argument("--pretrained", default=None, help="tag or checkpoint path of the backbone's weights")
    parser.add_argument("--adapter", type=Path, default=None, metavar="FILE", help="default: the shipped one, if any")
    parser.add_argument("--normalise", default="cdf", choices=WAYS, help="what the sentences speak of (default: cdf)")
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="at most N images of each split")
    parser.add_argument("--install", action="store_true", help="keep the numbers with the committed results")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure mAP and recall against lambda, print the table and its sentences; keep them with --install."""
    if args.install and (args.limit or args.adapter or args.normalise != "cdf"):
        raise RsnbError(
            "--install keeps results that others rely on; it does not go with --limit, --adapter or --normalise"
        )
    given = lesson.resolve(
        {}, data=args.data, root=args.root, backbone=args.backbone, pretrained=args.pretrained, limit=args.limit
    )
    models = {ZERO_SHOT: given.clip()}
    adapter = args.adapter or analysis.adapter_path(given.data, given.backbone)
    if adapter.is_file():
        models[ADAPTED] = rsnb.load_adapter(adapter, given.clip())
    elif args.adapter:
        raise RsnbError(f"no adapter lies at {args.adapter}; rsnb train writes one")
    found = study(models, given.dataset("val"), given.dataset("test"), args.normalise)
    found = {"stamp": given.stamp.rsplit(" · ", 1)[0] + (" · adapter of seed 0" if not args.adapter else ""), **found}
    if args.limit:
        found["stamp"] += f" · at most {args.limit} images a split"
    if args.install:
        install(found, given)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    print(
        f"{found['stamp']}\nattributes from {found['source']}; {found['queries']['test']:,} test queries on "
        f"{found['images']['test']:,} images, {found['right']} right ones each on average\n"
    )
    for row in table(found, WAYS):
        print(
            "   ".join(
                f"{name} {value:.2f}"
                if isinstance(value, float)
                else f"{value}"
                if name == "model"
                else f"{name} {value}"
                for name, value in row.items()
            )
        )
    print("\n" + "\n".join(sentences(found)))
    return 0


def install(found: Mapping[str, Any], given) -> Path:
    """Put a study into data/results/composed.json, beside those of other data."""
    root = " --root DIR" if given.root else ""
    date = datetime.date.today().isoformat()
    run_ = {"command": f"rsnb composed --data {given.data}{root} --backbone {given.backbone} --install", "date": date}
    kept = _file().get("runs", {})
    kept = {**kept, analysis.run_name(given.data, given.backbone): {**run_, **found}}
    head = lesson.result_head(
        "composed retrieval: mAP and recall of an image plus words, against the weight of the words",
        "rsnb composed --install; the command of each run stands with it",
        " | ".join(one["stamp"] for one in kept.values()),
    )
    lesson.write_json(result_file(), {**head, "runs": kept})
    return result_file()
