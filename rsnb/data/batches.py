"""The pairs of an epoch, and what a loss is given of a batch of them."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    from rsnb.data.dataset import CaptionDataset

VIEWS = ("image", "text", "image2", "text2")


class Pairs:
    """The (image, caption) pairs of a data set: pair number i is its caption number i, and the image of it."""

    def __init__(self, train: CaptionDataset):
        self.name, (self.captions, self.owner) = f"{train.name}/{train.split}", train.captions
        number = {label: n for n, label in enumerate(train.classes)}
        self.labels = [number.get(label, -1) for label in train.labels]  # of each image

    def __len__(self) -> int:
        return len(self.owner)


class Batch:
    """What a loss is given: B pairs, row i of each view belonging to pair i.

    ``image``, ``text``: (B, D) embeddings, L2-normalised. ``image2``, ``text2``: (B, D), the same inputs with token
    dropout. ``captions``: B texts. ``owners``: (B,) the number of each pair's image in the training set; captions of
    one image have one owner. ``labels``: (B,) the number of each image's class. ``epoch``: from 1.
    ``logit_scale``: CLIP's inverse temperature.

    Only views that the loss reads are computed: which these are is found once, before training.

    Raises:
        RsnbError: a view that the loss did not read then; ``labels`` where an image has no class.
    """

    def __init__(
        self,
        views: dict[str, Tensor],
        logit_scale: Tensor | float = 100.0,
        pairs: Pairs | None = None,
        chosen: Sequence[int] = (),
        epoch: int = 1,
    ):
        self.logit_scale, self.epoch = logit_scale, epoch
        self.read: set[str] = set()  # the views that were asked for
        self._views, self._pairs, self._chosen = views, pairs, chosen

    def __len__(self) -> int:
        return len(next(iter(self._views.values())))

    @property
    def image(self) -> Tensor:
        return self._view("image")

    @property
    def text(self) -> Tensor:
        return self._view("text")

    @property
    def image2(self) -> Tensor:
        return self._view("image2")

    @property
    def text2(self) -> Tensor:
        return self._view("text2")

    def _view(self, name: str) -> Tensor:
        self.read.add(name)
        if name not in self._views:
            raise RsnbError(
                f"the loss reads {name} in epoch {self.epoch}, and did not when it was asked before the training which "
                "views it reads; read it always, also where its weight is 0"
            )
        return self._views[name]

    @property
    def captions(self) -> list[str]:
        return [self._pairs.captions[c] for c in self._chosen]

    @property
    def owners(self) -> Tensor:
        return self._whole([self._pairs.owner[c] for c in self._chosen])

    @property
    def labels(self) -> Tensor:
        if -1 in self._pairs.labels:
            lacking = self._pairs.labels.count(-1)
            raise RsnbError(
                f"the loss reads labels, but {lacking} of {len(self._pairs.labels)} images of {self._pairs.name} have "
                "no class; give them one, or take another loss"
            )
        return self._whole([self._pairs.labels[self._pairs.owner[c]] for c in self._chosen])

    def _whole(self, numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, device=next(iter(self._views.values())).device)


def epoch_order(config, owner: list[int], images: int, epoch: int) -> list[int]:
    """The captions of one epoch, in order: a seeded function of (seed, epoch) alone, so a run can resume.

    pairs="all": every caption once, shuffled. pairs="one": one random caption of each image, shuffled.
    """
    rng = torch.Generator().manual_seed(seed_of(config.seed, epoch))
    if config.pairs == "all":
        return torch.randperm(len(owner), generator=rng).tolist()
    captions: list[list[int]] = [[] for _ in range(images)]
    for caption, image in enumerate(owner):
        captions[image].append(caption)
    draws = torch.rand(images, generator=rng).tolist()
    chosen = [own[int(draw * len(own))] for own, draw in zip(captions, draws) if own]
    return [chosen[i] for i in torch.randperm(len(chosen), generator=rng).tolist()]


def seed_of(seed: int, epoch: int, rank: int = 0, stream: int = 0) -> int:
    """The seed of an epoch's random numbers in one of several processes; ``stream`` parts what is drawn for different
    ends."""
    return (seed * 100_003 + epoch + 10_000_019 * rank + 2_000_000_011 * stream) % 2**64


def checked_batches(found: Any, pairs: int, least: int = 2) -> list[list[int]]:
    """The batches that a sampler of your own gave, as lists of whole numbers.

    Args:
        pairs: how many there are to choose from. least: pairs in a batch, 2 for each process.

    Raises:
        RsnbError: no batch; one that is too small, names a pair that is not there, or one twice.
    """
    if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
        raise RsnbError(f"batches gave {type(found).__name__}; it must give a list of batches, each a list of numbers")
    batches = []
    for number, batch in enumerate(found, start=1):
        said = f"batch {number} of batches"
        batch = batch.tolist() if hasattr(batch, "tolist") else batch
        if isinstance(batch, (str, bytes)) or not isinstance(batch, Iterable):
            raise RsnbError(f"{said} is {batch!r}; it must be a list of the numbers of captions")
        chosen = list(batch)
        wrong = [c for c in chosen if isinstance(c, bool) or not isinstance(c, numbers.Integral) or not 0 <= c < pairs]
        if wrong:
            raise RsnbError(f"{said} names {wrong[0]!r}; captions have the numbers 0 to {pairs - 1} (train.captions)")
        if len(chosen) < least:
            raise RsnbError(f"{said} has {len(chosen)} pairs; at least {least} are needed, for there must be negatives")
        if len(set(chosen)) < len(chosen):
            twice = next(c for c in chosen if chosen.count(c) > 1)
            raise RsnbError(f"{said} names caption {twice} twice; it would be its own negative")
        batches.append([int(c) for c in chosen])
    if not batches:
        raise RsnbError("batches gave no batch; it must give at least one, of the numbers of captions")
    return batches
