"""Scores of composed queries: image and words mixed, and what they retrieve."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from rsnb.data import PixelStore
from rsnb.measures.bootstrap import percentile_ends, resampled_sums
from rsnb.measures.mixing import mixed, normalise
from rsnb.studies.composed.queries import Query

LAMBDAS = tuple(i / 20 for i in range(21))
FIRST = 10  # recall is counted among so many


# --- scores -----------------------------------------------------------------------------------------------------
def galleries(images: Sequence[int] | Tensor, count: int) -> Tensor:
    """For each query image the indices of all the others: (Q, count - 1). So a query never finds itself."""
    images = torch.as_tensor(images)[:, None]
    places = torch.arange(count - 1)[None, :]
    return places + (places >= images)


def relevant(asked: Sequence[Query], gallery: Tensor) -> Tensor:
    """(Q, N - 1) bool: which images of each gallery (Q, N - 1) are right."""
    right = torch.zeros(len(asked), gallery.shape[1] + 1, dtype=torch.bool)
    for row, query in zip(right, asked):
        row[list(query.wanted)] = True
    return right.gather(1, gallery)


def hits_at(scores: Tensor, right: Tensor) -> Tensor:
    """(Q, N) bool: is the image at each place right, best first? Equal scores keep the order of the data set."""
    return right.gather(1, scores.argsort(dim=1, descending=True, stable=True))


def average_precision(found: Tensor) -> Tensor:
    """(Q, N) hits, best first -> (Q,) in percent: the mean of the precision at the places of the right ones."""
    found = found.double()
    precision = found.cumsum(dim=1) / torch.arange(1, found.shape[1] + 1)
    return 100 * (precision * found).sum(dim=1) / found.sum(dim=1)


def recall_at(found: Tensor, first: int = FIRST) -> Tensor:
    """(Q, N) hits, best first -> (Q,) in percent: the share of the right ones that are among the first."""
    found = found.double()
    return 100 * found[:, :first].sum(dim=1) / found.sum(dim=1)


def chance_precision(asked: Sequence[Query], images: int) -> float:
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
def composed_space(model, dataset, asked: Sequence[Query], batch_size: int = 64) -> Space:
    """Embed the images of a data set and the words of its queries with a CLIP or an adapted model."""
    clip, was_training = getattr(model, "clip", model), model.training
    store, texts = PixelStore(dataset, clip), list(dict.fromkeys(query.words for query in asked))
    model.eval()
    parts = torch.arange(len(dataset)).split(batch_size)
    image = torch.cat([model.encode_image(store.batch(part.tolist(), clip.device)).float().cpu() for part in parts])
    words = torch.cat([encode_words(model, texts[i : i + batch_size]) for i in range(0, len(texts), batch_size)])
    model.train(was_training)
    place = {text: i for i, text in enumerate(texts)}
    return Space(image, words[[place[query.words] for query in asked]])


@torch.no_grad()
def encode_words(model, texts: Sequence[str]) -> Tensor:
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


def recall_curve(at: Space, asked: Sequence[Query], way: str = "cdf", lambdas: Sequence[float] = LAMBDAS) -> Curve:
    """Average precision and recall of the queries against lambda."""
    image, words, gallery = at.scores(asked)
    image, words, right = normalise(image, way), normalise(words, way), relevant(asked, gallery)
    found = [hits_at(mixed(image, words, lam, "none"), right) for lam in lambdas]
    return Curve(
        tuple(lambdas), torch.stack([average_precision(f) for f in found]), torch.stack([recall_at(f) for f in found])
    )


def interval_of_queries(
    values: Tensor, asked: Sequence[Query], draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Of the mean of a value of each query (Q,), by a bootstrap: query images are drawn, each with all its changes,
    since the changes of one image are not independent. Of a difference: give the differences, query by query."""
    own = torch.tensor([query.image for query in asked])
    n = int(own.max()) + 1
    sums = torch.zeros(n, 2, dtype=torch.float64)
    sums.index_add_(0, own, torch.stack([values.double(), torch.ones(len(values), dtype=torch.float64)], dim=1))
    sums = sums[sums[:, 1] > 0]
    total = resampled_sums(sums, draws, seed)  # (draws, 2)
    low, high = percentile_ends(total[:, 0] / total[:, 1], level)
    return low.item(), high.item()
