"""Images ready for the encoder: decoded, resized and cropped once, kept as bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import torch

    from rsnb.data.dataset import CaptionDataset

A = TypeVar("A")
B = TypeVar("B")


def map_threads(work: Callable[[A], B], jobs: Sequence[A], title: str | None = None) -> Iterator[B]:
    """`work` of every job, in order, in a few threads; with a progress bar if it has a title."""
    from tqdm.auto import tqdm

    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        results = pool.map(work, jobs)
        yield from tqdm(results, title, len(jobs), leave=False, delay=1) if title else results


class PixelStore:
    """What `clip.preprocess` makes of each image of a data set, without doing it again every epoch.

    Keeps the resized and cropped images as uint8 (N, 3, H, W), filled at the first use of each image or all
    at once by `fill()`. `store[indices]` -> float32 (B, 3, H, W), which equals stacking
    `clip.preprocess(ds.image(i))`.

    ds:        a CaptionDataset with images
    clip:      anything with `preprocess`, a torchvision Compose of PIL steps, ToTensor, tensor steps. Of any
               other kind nothing is kept, and each image is preprocessed at each use
    max_bytes: larger stores keep nothing either (default 2 GiB)

    Raises (on use): RsnbError that lists up to ten images that cannot be decoded.
    """

    def __init__(self, ds: CaptionDataset, clip: Any, max_bytes: int = 2 * 1024**3) -> None:
        self.ds = ds
        self._whole = clip.preprocess
        self._before, self._after = _halves(clip.preprocess)
        self._max_bytes = max_bytes
        self._pixels: torch.Tensor | None = None
        self._filled: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.ds)

    def fill(self, progress: bool = True) -> PixelStore:
        """Decode everything that is not there yet; returns the store."""
        if len(self) and self._ready():
            missing = (~self._filled).nonzero().flatten().tolist()
            self._decode(missing, f"decode {self.ds.name}/{self.ds.split}" if progress else None)
        return self

    def __getitem__(self, index: Any) -> torch.Tensor:
        """Preprocessed images: (B, 3, H, W) for a list, tensor or slice of indices, (3, H, W) for one."""
        import torch

        if isinstance(index, slice):
            index = list(range(*index.indices(len(self))))
        chosen = torch.as_tensor(index)
        if chosen.dtype == torch.bool:
            chosen = chosen.nonzero().flatten()
        flat = chosen.reshape(-1).long().cpu()
        if not len(flat):
            raise RsnbError("no image asked for: the list of indices is empty")
        if not (-len(self) <= int(flat.min()) and int(flat.max()) < len(self)):
            raise RsnbError(f"image index out of range: the store has {len(self)} images")
        flat = flat % len(self)
        if not self._ready():
            images = torch.stack(list(map_threads(lambda i: self._whole(self.ds.image(i)), flat.tolist())))
        else:
            self._decode([i for i in dict.fromkeys(flat.tolist()) if not self._filled[i]])
            images = self._pixels[flat].to(torch.float32).div(255)
            for step in self._after:
                images = step(images)
        return images[0] if chosen.ndim == 0 else images

    def _ready(self) -> bool:
        """Make the empty store at the first call; False if nothing is to be kept."""
        import torch

        if self._before is None:
            return False
        if self._pixels is None:
            first = self._first()
            if first.numel() * len(self) > self._max_bytes:
                self._before = None
                return False
            self._pixels = torch.empty((len(self), *first.shape), dtype=torch.uint8)
            self._filled = torch.zeros(len(self), dtype=torch.bool)
        return True

    def _first(self) -> torch.Tensor:
        """The first image that can be decoded: it tells the shape."""
        if not self.ds.has_images:
            self.ds.image(0)  # says what is missing
        for i in range(len(self)):
            try:
                return self._bytes(i)
            except RsnbError as error:
                last = error
        raise RsnbError(f"no image of {self.ds.name}/{self.ds.split} can be decoded; the last one: {last}")

    def _bytes(self, index: int) -> torch.Tensor:
        """The image after the PIL steps: uint8 (3, H, W)."""
        import numpy as np
        import torch

        image = self.ds.image(index)
        for step in self._before:
            image = step(image)
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)

    def _decode(self, indices: Iterable[int], title: str | None = None) -> None:
        def one(i: int) -> tuple[int, torch.Tensor | str]:
            try:
                return i, self._bytes(i)
            except RsnbError as error:
                return i, str(error).split(";")[0]

        wrong = []
        for i, pixels in map_threads(one, list(indices), title):
            if isinstance(pixels, str):
                wrong.append(pixels)
            else:
                self._pixels[i] = pixels
                self._filled[i] = True
        if wrong:
            more = f", and {len(wrong) - 10} more" if len(wrong) > 10 else ""
            raise RsnbError(
                f"{len(wrong)} images of {self.ds.name}/{self.ds.split}: {', '.join(wrong[:10])}{more}. Get "
                f"these files again, or load the data set with skip_bad=True"
            )


def _halves(preprocess: Any) -> tuple[list | None, list]:
    """The steps before ToTensor (on PIL images) and those after it (on tensors); (None, []) if unclear."""
    from torchvision.transforms import ToTensor

    steps = list(getattr(preprocess, "transforms", ()))
    places = [n for n, step in enumerate(steps) if isinstance(step, ToTensor)]
    if len(places) != 1:
        return None, []
    return steps[: places[0]], steps[places[0] + 1 :]
