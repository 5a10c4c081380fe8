"""Recall that does not depend on the order of ties, what could be reached at all, and how sure a number is.

Pure functions of embeddings (N images, M captions, width D), on the CPU. Five ways of counting stand side by side in
:data:`COUNTINGS`; :func:`report` puts recall, the effect of ties, a bootstrap interval and the ceiling in one table.

What is a tie? Two captions of the same text have the same embedding, so their similarities to an image are equal and
only the sort decides which of them comes first. :func:`rsnb.evaluation.embed` encodes a repeated caption once, and here
every distinct row is multiplied once, so such ties are exact and the default tolerance is 0. (A product of the whole
matrices may give two equal columns different last bits.) Code that encodes a repeated caption in several batches gets
embeddings that differ by rounding; there a tolerance such as 1e-6 joins them again. Text to image, only images of equal
embeddings tie: a text that describes two images is two queries of one ranking, in which one of the images comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rsnb.errors import RsnbError
from rsnb.evaluation import KS, ranks
from rsnb.measures.similarity import image_retrieval_ceiling

COUNTINGS = {
    "expected": "the mean over all orders of the tied items, in closed form",
    "sort": "tied items in the order of the data set, as rsnb.evaluate counts",
    "authors": "the reversed argsort of numpy, as published code for remote sensing retrieval counts",
    "optimistic": "in every query the tied items that are right come first",
    "pessimistic": "in every query the tied items that are right come last",
}


# --- ties -------------------------------------------------------------------------------------------------------
@dataclass
class Ties:
    """Where the best right item of each query stands; one number a query (Q,).

    ``ahead`` items are strictly nearer than it, all of them wrong. ``own`` right items (itself counted; 0 for a query
    without any) and ``foreign`` wrong ones are as near as it.
    """

    ahead: Tensor
    own: Tensor
    foreign: Tensor

    def hits(self, k: int, counting: str = "expected") -> Tensor:
        """(Q,) chance from 0 to 1 that a right item is among the first k: expected, optimistic or pessimistic."""
        places = k - self.ahead  # what the items ahead leave to the tied ones
        if counting == "expected":
            return chance(places, self.own + self.foreign, self.own)
        needed = {"optimistic": 0, "pessimistic": self.foreign}[counting]
        return ((places > needed) & (self.own > 0)).double()


def chance(places: Tensor, group: Tensor, own: Tensor) -> Tensor:
    r"""Probability that at least one of ``own`` items of a group in random order is in the first ``places`` of it.

    .. math:: 1 - \binom{g - o}{r} \Big/ \binom{g}{r} = 1 - \prod_{j=0}^{r-1} \frac{g - o - j}{g - j},
       \qquad r = \min(\mathrm{places}, g)

    With one own item this is r / g. Tensors of one shape; float64.
    """
    places = places.clamp(min=0).minimum(group)
    miss = torch.ones(group.shape, dtype=torch.float64)
    for j in range(int(places.max()) if len(places) else 0):
        factor = (group - own - j).clamp(min=0).double() / (group - j).clamp(min=1)
        miss = torch.where(j < places, miss * factor, miss)
    return 1 - miss


def ties(image: Tensor, text: Tensor, owner: Tensor, tolerance: float = 0.0, block: int = 2**23) -> tuple[Ties, Ties]:
    """What stands ahead of, and beside, the best right item of every query, both ways.

    Args:
        image: (N, D); text: (M, D); owner: (M,) index of each caption's image.
        tolerance: similarities that differ by at most this count as tied; 0: only equal ones.
        block: at most so many similarities at a time (and at least one row of them).

    Returns:
        of each image among all captions (N,), of each caption among all images (M,).
    """
    image, text, owner = _checked(image, text, owner)
    if not tolerance >= 0:
        raise RsnbError(f"the tolerance is {tolerance}; it must be 0 or more")
    return (
        _beside(image, text, _captions_of(owner, len(image)), tolerance, block),
        _beside(text, image, owner[:, None], tolerance, block),
    )


def _beside(query: Tensor, gallery: Tensor, own: Tensor, tolerance: float, block: int) -> Ties:
    """Ties of (Q, D) queries among (G, D) items; own (Q, C) are the right items, -1 where there are fewer than C."""
    distinct, place = _distinct(gallery)
    copies = torch.bincount(place).to(gallery.dtype)  # whole numbers, exact in floats
    found = []
    for rows in _blocks(len(query), len(distinct), block):
        s = query[rows] @ distinct.T  # (block, distinct)
        there = own[rows] >= 0
        mine = s.gather(1, place[own[rows].clamp(min=0)]).masked_fill(~there, -torch.inf)
        best = mine.max(dim=1, keepdim=True).values
        ahead = (s > best + tolerance).to(copies.dtype) @ copies
        near = (s >= best - tolerance).to(copies.dtype) @ copies  # ahead or tied
        tied = (there & (mine >= best - tolerance)).sum(dim=1)
        found.append(torch.stack([ahead.long(), tied, (near - ahead).long() - tied]))
    return Ties(*torch.cat(found, dim=1))


def _checked(image: Tensor, text: Tensor, owner: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n, m, owner = len(image), len(text), torch.as_tensor(owner)
    if m == 0 or n == 0 or len(owner) != m or int(owner.min()) < 0 or int(owner.max()) >= n:
        raise RsnbError(f"{n} images, {m} captions and {len(owner)} owners do not belong together")
    image, text = (x.detach().cpu() for x in (image, text))
    image, text = (x if x.dtype == torch.float64 else x.float() for x in (image, text))
    if not (torch.isfinite(image).all() and torch.isfinite(text).all()):
        raise RsnbError("the embeddings are not all finite; the model is damaged or its training diverged")
    return image, text, owner.cpu().long()


def _blocks(rows: int, columns: int, block: int) -> tuple[Tensor, ...]:
    """The numbers of the rows in parts of at most ``block`` similarities, as :func:`rsnb.evaluation.ranks` has them."""
    return torch.arange(rows).split(min(1024, max(1, block // columns)))


def _distinct(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The different rows of (Q, D), and for each row the place of its like among them (Q,)."""
    seen: dict[bytes, int] = {}
    place = torch.tensor([seen.setdefault(row.tobytes(), len(seen)) for row in rows.numpy()])
    distinct = rows.new_empty(len(seen), rows.shape[1])
    distinct[place] = rows
    return distinct, place


def _captions_of(owner: Tensor, images: int) -> Tensor:
    """(N, C) the captions of each image, filled up with -1; C is the largest number of captions of an image."""
    order, counts = owner.argsort(stable=True), torch.bincount(owner, minlength=images)
    number = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner[order]]
    table = torch.full((images, int(counts.max())), -1)
    table[owner[order], number] = order
    return table


# --- hits and recalls -------------------------------------------------------------------------------------------
@dataclass
class Hits:
    """The chance (0 to 1) of each query to be a hit at each K: ``text`` (N, len(ks)) image to text, ``image``
    (M, len(ks)) text to image, ``owner`` (M,)."""

    text: Tensor
    image: Tensor
    owner: Tensor
    ks: tuple[int, ...] = KS

    @property
    def names(self) -> list[str]:
        return [*(f"{way}_r{k}" for way in ("text", "image") for k in self.ks), "mr"]

    @property
    def recalls(self) -> dict[str, float]:
        """text_r1, ..., image_r1, ... and mr, their mean; in percent."""
        values = 100 * torch.cat([self.text.mean(dim=0), self.image.mean(dim=0)])
        return dict(zip(self.names, [*values.tolist(), values.mean().item()]))


def hits(
    image: Tensor,
    text: Tensor,
    owner: Tensor,
    counting: str = "expected",
    ks: Sequence[int] = KS,
    tolerance: float = 0.0,
    block: int = 2**23,
) -> Hits:
    """Every query's chance of a hit, by one of the :data:`COUNTINGS`; tolerance as in :func:`ties` (the two sorts,
    "sort" and "authors", know none)."""
    if counting not in COUNTINGS:
        raise RsnbError(f"unknown counting {counting!r}; there are: {', '.join(COUNTINGS)}")
    image, text, owner = _checked(image, text, owner)
    if counting == "sort":
        return _hits_of_ranks(ranks(image, text, owner, block), owner, ks)
    if counting == "authors":
        return _hits_of_ranks(authors_ranks(image, text, owner, block=block), owner, ks)
    return _hits_of_ties(ties(image, text, owner, tolerance, block), owner, ks, counting)


def _hits_of_ranks(both: tuple[Tensor, Tensor], owner: Tensor, ks: Sequence[int]) -> Hits:
    return Hits(*(torch.stack([(r < k).double() for k in ks], dim=1) for r in both), owner, tuple(ks))


def _hits_of_ties(both: tuple[Ties, Ties], owner: Tensor, ks: Sequence[int], counting: str) -> Hits:
    return Hits(*(torch.stack([t.hits(k, counting) for k in ks], dim=1) for t in both), owner, tuple(ks))


def recall(
    image: Tensor,
    text: Tensor,
    owner: Tensor,
    counting: str = "expected",
    ks: Sequence[int] = KS,
    tolerance: float = 0.0,
    block: int = 2**23,
) -> dict[str, float]:
    """The recalls and mr in percent by one of the :data:`COUNTINGS`; see :func:`hits`.

    "pessimistic" and "optimistic" bound what any sort can make of the ties. They are taken query by query: one order
    of the data set serves some queries at the cost of others, so it seldom reaches either.
    """
    return hits(image, text, owner, counting, ks, tolerance, block).recalls


# --- the counting of the published codes ------------------------------------------------------------------------
def authors_ranks(
    image: Tensor, text: Tensor, owner: Tensor, kind: str | None = None, block: int = 2**23
) -> tuple[Tensor, Tensor]:
    """0-based ranks (N,) and (M,) as the public codes of PE-RSITR, AMFMN, GaLR, PIR and HarMA count them.

    One similarity matrix (N, 5N) in float64, captions 5i to 5i + 4 belonging to image i (PIR and HarMA: in float32, the
    captions looked up). Each row, and each row of the transpose, is sorted by ``numpy.argsort(row)[::-1]``; an image's
    rank is the position of the first of its captions, a caption's rank that of its image. Here any ``owner`` will do,
    and the rows come in blocks. GaLR's re-ranking before the count is not part of this.

    Ties: the position in the array decides. A stable sort that is reversed (``kind="stable"``) puts the LAST of equal
    items first, the opposite of :func:`rsnb.evaluation.ranks`. The codes leave ``kind`` at numpy's default, which is
    not stable: the order of equal items then depends on the numpy version and on the processor, so the same
    embeddings can give another recall on another machine. Without ties all of these are the same.
    """
    image, text, owner = _checked(image, text, owner)
    image, text = image.double(), text.double()
    both = ((image, text, _captions_of(owner, len(image))), (text, image, owner[:, None]))
    return tuple(_by_argsort(*way, kind, block) for way in both)


def _by_argsort(query: Tensor, gallery: Tensor, own: Tensor, kind: str | None, block: int) -> Tensor:
    distinct, place = _distinct(gallery)
    last, found = len(gallery) - 1, []
    for rows in _blocks(len(query), len(gallery), block):
        s = (query[rows] @ distinct.T)[:, place]  # (block, G)
        order = torch.from_numpy(np.argsort(s.numpy(), axis=1, kind=kind))  # of each place the item, ascending
        at = torch.empty_like(order).scatter_(1, order, torch.arange(last + 1).expand_as(order))
        mine = (last - at).gather(1, own[rows].clamp(min=0))  # read backwards: descending
        found.append(mine.masked_fill(own[rows] < 0, torch.iinfo(torch.long).max).min(dim=1).values)
    return torch.cat(found)


def authors_recall(
    image: Tensor, text: Tensor, owner: Tensor, kind: str | None = None, ks: Sequence[int] = KS
) -> dict[str, float]:
    """Recalls and their mean mr in percent from :func:`authors_ranks`: 100 times the share of ranks below K."""
    return _hits_of_ranks(authors_ranks(image, text, owner, kind), torch.as_tensor(owner), ks).recalls


# --- what could be reached --------------------------------------------------------------------------------------
def shared_captions(captions: Sequence[str], owner: Sequence[int]) -> int:
    """How many captions have a text that also describes another image."""
    images: Counter[str] = Counter(text for text, _ in set(zip(captions, _numbers(owner))))
    return sum(images[text] > 1 for text in captions)


def ceiling(
    captions: Sequence[str],
    owner: Sequence[int],
    ks: Sequence[int] = KS,
    images: int | None = None,
    order: str = "chance",
) -> dict[str, float]:
    r"""The best recalls, in percent, that a model can reach whose similarity depends on the image and the text alone.

    **Image to text.** Captions of one text tie. Of an own text with m copies among all captions, o of them this
    image's, a model that ranks it first has a hit at K with probability :func:`chance` (K, m, o), which is 1 as soon
    as m is at most K. A second text would only fill places that the first leaves, and it leaves none before it is 1:
    the ceiling is the best single own text.

    **Text to image.** The g images of a text cannot be told apart by it. ``order="chance"``: they come first in random
    order, min(1, K / g), as :func:`rsnb.measures.similarity.image_retrieval_ceiling` and the exercise have it. ``order="best"``:
    an image that carries the text several times is asked for several times; a model that puts such images first
    reaches a little more, and nothing reaches more than that.

    Every K for itself, so one model need not reach all at once; mr is the mean. Two exact copies of an image are not
    looked for: they would lower the ceiling further.

    Args:
        captions: M texts; owner: (M,) the image of each; images: N, where the last ones may have no caption.
    """
    owner = _numbers(owner)
    if order not in ("chance", "best"):
        raise RsnbError(f"unknown order {order!r} of the images that share a text; there are: chance, best")
    if not captions or len(captions) != len(owner):
        raise RsnbError(f"{len(captions)} captions and {len(owner)} owners do not belong together")
    n = images or max(owner) + 1
    everywhere, here = Counter(captions), Counter(zip(owner, captions))  # m of a text; o of (image, text)
    at = torch.tensor([image for image, _ in here])
    m, o = torch.tensor([everywhere[text] for _, text in here]), torch.tensor(list(here.values()))
    found = {}
    for k in ks:
        first = chance(torch.full_like(m, k), m, o)
        best = torch.zeros(n, dtype=torch.float64).scatter_reduce(0, at, first, "amax")
        found[f"text_r{k}"] = 100 * best.mean().item()
    if order == "chance":
        found |= {f"image_r{k}": image_retrieval_ceiling(captions, owner, k) for k in ks}
    else:
        copies: dict[str, list[int]] = {}
        for (_, text), times in here.most_common():  # the largest number of copies first
            copies.setdefault(text, []).append(times)
        found |= {f"image_r{k}": 100 * sum(sum(c[:k]) for c in copies.values()) / len(captions) for k in ks}
    return {**found, "mr": sum(found.values()) / len(found)}


def _numbers(owner: Sequence[int] | Tensor) -> list[int]:
    return torch.as_tensor(owner).tolist()


# --- how sure a number is ---------------------------------------------------------------------------------------
class Difference(NamedTuple):
    """A difference of two recalls in points, and the ends of its interval."""

    value: float
    low: float
    high: float


def resample(found: Hits, draws: int = 2000, seed: int = 0) -> Tensor:
    """Recalls and mr in percent of ``draws`` random samples of the images: (draws, len(found.names)).

    A sample draws N images with replacement; an image comes with all of its captions, because these are not
    independent of each other. Only the queries are drawn: every query keeps its ranking in the whole, fixed gallery.
    The samples depend on N, ``draws`` and ``seed`` alone, so those of two models on one split belong together.
    """
    n, k = len(found.text), len(found.ks)
    captions = torch.cat([found.image, torch.ones(len(found.owner), 1, dtype=torch.float64)], dim=1)
    own = torch.zeros(n, k + 1, dtype=torch.float64).index_add_(0, found.owner, captions)  # hits and number, an image
    table = torch.cat([found.text, own], dim=1)
    rng, parts = torch.Generator().manual_seed(seed), []
    for part in torch.arange(draws).split(max(1, 2**21 // n)):
        drawn = torch.randint(n, (len(part), n), generator=rng)
        times = torch.zeros(len(part), n, dtype=torch.float64)
        times.scatter_add_(1, drawn, torch.ones((), dtype=torch.float64).expand_as(times))
        sums = times @ table
        parts.append(torch.cat([sums[:, :k] / n, sums[:, k:-1] / sums[:, -1:].clamp(min=1)], dim=1))
    values = 100 * torch.cat(parts)
    return torch.cat([values, values.mean(dim=1, keepdim=True)], dim=1)


def intervals(found: Hits, draws: int = 2000, level: float = 0.95, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The percentile interval of every recall and of mr over resampled images; see :func:`resample`.

    It says how far the number could move with other images of the same kind as queries. It knows nothing of another
    gallery, of another training seed, or of a bias that all images share.
    """
    return dict(zip(found.names, _ends(resample(found, draws, seed), level)))


def difference(
    first: Hits, second: Hits, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> dict[str, Difference]:
    """First minus second in points, with the interval of a paired bootstrap: both models see the same drawn images,
    so what is hard for both cancels. An interval without 0 speaks for a difference on images of this kind.

    Raises:
        RsnbError: the two are not of the same split.
    """
    if len(first.text) != len(second.text) or first.ks != second.ks or not torch.equal(first.owner, second.owner):
        raise RsnbError(
            f"a paired difference needs two models on the same split and the same K: found {len(first.text)} images, "
            f"{len(first.owner)} captions, K {first.ks} and {len(second.text)} images, {len(second.owner)} captions, "
            f"K {second.ks}; if the numbers agree, the captions belong to other images"
        )
    ends = _ends(resample(first, draws, seed) - resample(second, draws, seed), level)
    one, other = first.recalls, second.recalls
    return {name: Difference(one[name] - other[name], *end) for name, end in zip(first.names, ends)}


def _ends(values: Tensor, level: float) -> list[tuple[float, float]]:
    if not 0 < level < 1:
        raise RsnbError(f"the level of an interval is {level}; it must lie between 0 and 1, as 0.95 does")
    at = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=values.dtype)
    return [tuple(pair) for pair in values.quantile(at, dim=0).T.tolist()]


# --- all of it --------------------------------------------------------------------------------------------------
@dataclass
class HonestReport:
    """The recalls and mr of one model on one split, in percent, under the names of :attr:`Hits.names`.

    ``expected`` over random orders of the ties, ``sort`` in the order of the data set, ``low`` and ``high`` with all
    ties broken against and for the model; ``interval`` of expected over resampled images; ``ceiling`` and ``shared``
    (captions that also describe another image) are None where no captions were given.
    """

    expected: dict[str, float]
    sort: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    interval: dict[str, tuple[float, float]]
    ceiling: dict[str, float] | None
    shared: int | None
    images: int
    captions: int
    level: float
    draws: int
    hits: Hits = field(repr=False)

    @property
    def share(self) -> dict[str, float] | None:
        """Expected recall in percent of the ceiling."""
        return self.ceiling and {name: 100 * self.expected[name] / self.ceiling[name] for name in self.expected}

    def to_dict(self) -> dict[str, Any]:
        """What a result file keeps, rounded to 1/100 of a point."""
        rounded = lambda values: {name: round(value, 2) for name, value in values.items()}  # noqa: E731
        low, high = self.interval["mr"]
        kept = {
            "expected": rounded(self.expected),
            "ties_mr": [round(self.low["mr"], 2), round(self.high["mr"], 2)],
            "interval_mr": [round(low, 2), round(high, 2)],
        }
        if self.ceiling:
            kept |= {"ceiling": rounded(self.ceiling), "shared_captions": self.shared}
        return kept

    def table(self) -> list[dict[str, str | float]]:
        """One row a recall, mR last, in percent."""
        rows = []
        for name, value in self.expected.items():
            way, _, k = name.partition("_r")
            numbers = {
                "expected": value,
                "as sorted": self.sort[name],
                "ties lowest": self.low[name],
                "ties highest": self.high[name],
                "interval low": self.interval[name][0],
                "interval high": self.interval[name][1],
            }
            if self.ceiling:
                numbers |= {"ceiling": self.ceiling[name], "share of ceiling": self.share[name]}
            label = {"text": f"i2t R@{k}", "image": f"t2i R@{k}", "mr": "mR"}[way]
            rows.append({"recall": label, **{column: round(number, 4) for column, number in numbers.items()}})
        return rows

    def text(self) -> str:
        """The table for a terminal; every number in percent."""
        rows = self.table()
        lines = ["  ".join(f"{name:>8}" for name in rows[0])]
        for row in rows:
            shown = ((v if isinstance(v, str) else f"{v:.1f}", max(8, len(name))) for name, v in row.items())
            lines.append("  ".join(f"{value:>{width}}" for value, width in shown))
        return "\n".join(lines)

    def sentence(self) -> str:
        """The same of mR, in words."""
        low, high = self.interval["mr"]
        words = f"On {self.images:,} images and {self.captions:,} captions"
        if self.shared is not None:
            words += f", {self.shared:,} of which also describe another image,"
        words += f" the mean recall is {self.expected['mr']:.1f} in expectation over the order of ties"
        if self.high["mr"] - self.low["mr"] < 0.05:
            words += ", and no order of the ties changes it by 0.1. "
        else:
            words += f"; whatever a sort makes of the ties, it is from {self.low['mr']:.1f} to {self.high['mr']:.1f}. "
        words += (
            f"The {100 * self.level:.0f} % interval over resampled images ({self.draws:,} draws, the gallery kept "
            f"fixed) runs from {low:.1f} to {high:.1f}."
        )
        if self.ceiling:
            words += (
                f" Captions that repeat limit every model to {self.ceiling['mr']:.1f} in expectation; "
                f"{self.share['mr']:.0f} % of that is reached."
            )
        return words


def report(
    image: Tensor,
    text: Tensor,
    owner: Tensor,
    captions: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = 2000,
    level: float = 0.95,
    tolerance: float = 0.0,
) -> HonestReport:
    """Recall, the effect of ties, intervals and, with the M captions at hand, the ceiling.

    Args:
        image: (N, D); text: (M, D); owner: (M,), as :func:`rsnb.evaluation.embed` returns them; captions: M texts.
    """
    image, text, owner = _checked(image, text, owner)
    if captions is not None and len(captions) != len(text):
        raise RsnbError(f"{len(captions)} captions do not belong to {len(text)} embeddings of captions")
    if captions is not None:
        first: dict[str, int] = {}
        like = text[[first.setdefault(caption, i) for i, caption in enumerate(captions)]]
        if (text - like).abs().max() > 1e-3 * text.abs().max():
            raise RsnbError(
                "captions of one text have different embeddings, so these captions belong to another order "
                "or another split; give them as the data set's captions[0]"
            )
    both = ties(image, text, owner, tolerance)
    expected, low, high = (_hits_of_ties(both, owner, KS, name) for name in ("expected", "pessimistic", "optimistic"))
    return HonestReport(
        expected=expected.recalls,
        sort=recall(image, text, owner, "sort"),
        low=low.recalls,
        high=high.recalls,
        interval=intervals(expected, draws, level, seed),
        ceiling=None if captions is None else ceiling(captions, owner, images=len(image)),
        shared=None if captions is None else shared_captions(captions, owner),
        images=len(image),
        captions=len(text),
        level=level,
        draws=draws,
        hits=expected,
    )


def of(found, dataset, **options: Any) -> HonestReport:
    """:func:`report` of what ``rsnb.evaluate(model, dataset)`` found."""
    captions = dataset.captions[0]
    return report(found.image_embeddings, found.text_embeddings, found.owner, captions, **options)
