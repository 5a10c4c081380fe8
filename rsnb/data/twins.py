"""Batches in which a chosen share of the pairs have a twin: another image of the same caption, or of the same class.

In a random batch twins come as they come. Here they are counted, so that their effect on a loss can be measured: of two
pairs that are twins, each is a negative of the other for every contrastive loss, though its caption is true of both
images ("caption") or its image shows the same kind of place ("class").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from rsnb.data.batches import seed_of
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    from rsnb.data.dataset import CaptionDataset


@dataclass(frozen=True)
class TwinBatches:
    """Gives the batches of an epoch, numbers of ``train.captions``, as ``batches`` of :func:`rsnb.train` does.

    As many whole batches as there are in the training set. In each, ``share`` of the pairs (0 to 1, rounded to an even
    number) are twins, two by two, and no other two pairs are alike. An image appears once, until the images that are
    left make no such batch; then all may appear again. What is drawn depends on seed and epoch alone.

    Args:
        alike: "caption" or "class".

    Raises:
        RsnbError: there are too few captions (or classes) that differ, or that several images have in common.
    """

    share: float
    alike: str
    batch_size: int
    seed: int = 0

    def __call__(self, train: CaptionDataset, epoch: int) -> list[list[int]]:
        (captions, owner), classes = train.captions, train.labels
        labels = captions if self.alike == "caption" else [classes[image] for image in owner]
        size, twins = self.batch_size, 2 * round(self.share * self.batch_size / 2)
        rng = torch.Generator().manual_seed(seed_of(self.seed, epoch, stream=2))
        order = torch.randperm(len(owner), generator=rng).tolist()
        alike = defaultdict(list)
        for caption in order:
            alike[labels[caption]].append(caption)
        found, dealt = [], set()
        for _ in range(len(train) // size):
            batch = _dealt(order, alike, labels, owner, dealt, twins, size)
            if not batch:  # what is left does not suffice
                dealt = set()
                batch = _dealt(order, alike, labels, owner, dealt, twins, size)
            if not batch:
                break
            found.append(batch)
            dealt |= {owner[caption] for caption in batch}
        if not found:
            what = "captions" if self.alike == "caption" else "classes"
            raise RsnbError(
                f"{train.name}/{train.split} gives no batch of {size} pairs with {twins} twins and otherwise {what} "
                f"that differ: it has {len(train)} images and {len(set(labels))} {what}; take smaller batches or "
                "another share"
            )
        return found


def _dealt(
    order: Sequence[int],
    alike: Mapping[str | None, Sequence[int]],
    labels: Sequence[str | None],
    owner: Sequence[int],
    dealt: Set[int],
    twins: int,
    size: int,
) -> list[int]:
    """The first captions in the order that make a batch: ``twins``, and others of labels that differ. [] if there are
    none. alike: the captions of each label. dealt: images that are not to be taken."""
    batch, images, taken = [], set(dealt), set()
    for wanted, until in ((2, twins), (1, size)):
        for caption in order:
            if len(batch) == until:
                break
            label = labels[caption]
            if label in taken or owner[caption] in images:
                continue
            others = (c for c in alike[label] if owner[c] != owner[caption] and owner[c] not in images)
            group = [caption, *islice(others, wanted - 1)]
            if len(group) == wanted:
                batch += group
                taken.add(label)
                images |= {owner[c] for c in group}
        if len(batch) < until:
            return []
    return batch
