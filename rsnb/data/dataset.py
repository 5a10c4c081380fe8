"""A set of captioned images, whatever layout it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rsnb.data.digests import image_digests
from rsnb.data.images import open_rgb
from rsnb.data.rasters import View
from rsnb.data.splits import draw
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Item:
    """One image and its captions. `path` is None without images, and for images inside parquet or tar files.

    view: how numbers beyond 8 bits and bands beyond three become a picture; None where there are none.
    """

    name: str
    path: Path | None
    captions: tuple[str, ...]
    label: str | None = None
    cell: tuple[Path, int, int] | None = field(default=None, repr=False)
    view: View | None = field(default=None, repr=False)

    @property
    def source(self) -> Path | bytes | None:
        """What the image can be decoded from: a file, or encoded bytes; None if there is none."""
        if self.cell is None:
            return self.path
        from rsnb.data.cells import image_bytes

        return image_bytes(self.cell)


class CaptionDataset:
    """Images with their captions: `len(ds)` images, `ds[i]` an Item, `ds.image(i)` a PIL image (RGB)."""

    def __init__(
        self,
        items: Iterable[Item],
        name: str = "own",
        split: str = "all",
        layout: str = "none",
        root: Path | None = None,
        stamp: str | None = None,
    ) -> None:
        self.items = tuple(items)
        self.name = name
        self.split = split
        self.layout = layout
        self.root = root
        self.stamp = stamp or f"{name} (own data)"

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def image(self, index: int) -> Image:
        """The image as PIL RGB, decoded now.

        Raises:
            RsnbError: it is missing, corrupt, or was not loaded (images=False).
        """
        item = self.items[index]
        source = item.source
        if source is None:
            raise RsnbError(
                f"{item.name}: {self.name} was loaded without images (images=False); "
                "load it again with images=True and a root that holds them"
            )
        return open_rgb(source, item.name, item.view)

    @property
    def has_images(self) -> bool:
        """Whether `image` can be asked for."""
        return all(item.path is not None or item.cell is not None for item in self.items)

    @property
    def captions(self) -> tuple[list[str], list[int]]:
        """All captions in one list (M), and for each the index of the image it belongs to (M)."""
        pairs = [(caption, i) for i, item in enumerate(self.items) for caption in item.captions]
        return [caption for caption, _ in pairs], [owner for _, owner in pairs]

    @property
    def labels(self) -> list[str | None]:
        """Scene class of each image, None where unknown."""
        return [item.label for item in self.items]

    @property
    def classes(self) -> list[str]:
        """The classes that occur, sorted."""
        return sorted({item.label for item in self.items if item.label is not None})

    @property
    def view(self) -> View | None:
        """How numbers beyond 8 bits and bands beyond three become a picture; None where there are none."""
        return self.items[0].view if self.items else None

    @property
    def is_toy(self) -> bool:
        """Whether this is the drawn toy world."""
        return self.name == "toy"

    def subset(self, indices: Iterable[int]) -> CaptionDataset:
        """A data set of these images, in this order.

        Raises:
            RsnbError: an index is out of range.
        """
        chosen = [int(i) for i in indices]
        wrong = [i for i in chosen if not -len(self) <= i < len(self)]
        if wrong:
            raise RsnbError(f"indices {wrong[:10]} are out of range: {self.name}/{self.split} has {len(self):,} images")
        items = [self.items[i] for i in chosen]
        return CaptionDataset(items, self.name, self.split, self.layout, self.root, self.stamp)

    def limited(self, count: int | None, seed: int = 0) -> CaptionDataset:
        """At most `count` images, seeded, spread evenly over the classes if they are known."""
        if count is None:
            return self
        chosen = draw(self.labels, count, seed)
        return self if len(chosen) == len(self) else self.subset(chosen)

    def fingerprint(self) -> str:
        """16 hex digits that change with any name, class, caption or image file (its bytes), or their order.

        Raises:
            RsnbError: an image file is gone or cannot be read.
        """
        digest = hashlib.sha256()
        for item, image in zip(self.items, image_digests(self.items)):
            seen = () if item.view is None else (repr(item.view),)
            for text in (item.name, item.label or "", image, *seen, *item.captions):
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
            digest.update(b"\1")
        return digest.hexdigest()[:16]

    def __repr__(self) -> str:
        captions = sum(len(item.captions) for item in self.items)
        classes = f"{len(self.classes)} classes" if self.classes else "no class labels"
        return (
            f"CaptionDataset({self.name}/{self.split}: {len(self):,} images"
            f"{'' if self.has_images else ' (captions only)'}, {captions:,} captions, {classes}, "
            f"layout {self.layout}; {self.stamp})"
        )
