"""Images ready for the encoder: decoded, resized and cropped once, kept as bytes, here and in a cache on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rsnb.base import bars, paths
from rsnb.base.files import replacing
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from rsnb.data.dataset import CaptionDataset

A = TypeVar("A")
B = TypeVar("B")
SLOW = 2.0  # seconds of decoding that are worth a file in the cache
LARGEST = 8 * 1024**3  # bytes of the whole cache; the files used longest ago go first
DAY = 24 * 3600


def map_threads(work: Callable[[A], B], jobs: Sequence[A], title: str | None = None) -> Iterator[B]:
    """`work` of every job, in order, in a few threads; with a progress bar if it has a title."""
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        results = pool.map(work, jobs)
        yield from bars.bar(results, desc=title, total=len(jobs), leave=False, delay=1) if title else results


class PixelStore:
    """What `clip.preprocess` makes of each image of a data set, without doing it again every epoch.

    Keeps the resized and cropped images as uint8 (N, 3, H, W), filled at the first use of each image or all
    at once by `fill()`. `store[indices]` -> float32 (B, 3, H, W), which equals stacking
    `clip.preprocess(ds.image(i))`; `store.batch(indices, device)` gives the same on a device.

    Once all images are there, and if that took more than two seconds, they go into a file of the cache, which the
    next store of the same images maps into memory instead of decoding. The file's name is a digest of every
    image's path, size and times of change and of the preprocessing, so a changed image is never served from it; it
    appears whole (written aside, flushed, renamed) or not at all; two processes write the same bytes. Behind the images
    it holds a checksum of each, looked at when the image is first used: a damaged one is decoded anew. The files
    used longest ago are deleted beyond 8 GiB.

    Args:
        ds: a CaptionDataset with images
        clip: anything with `preprocess`, a torchvision Compose of PIL steps, ToTensor, tensor steps. Of any other kind
            nothing is kept, and each image is preprocessed at each use
        max_bytes: larger stores keep nothing either (default 2 GiB), unless the cache has them
        cache: folder of the cache; None is `rsnb.base.paths.cache_dir()`, False is no cache

    Raises:
        RsnbError: a preprocessing that draws random numbers; on use, images that cannot be decoded: up to
            ten are listed.
    """

    def __init__(
        self, ds: CaptionDataset, clip: Any, max_bytes: int = 2 * 1024**3, cache: Path | str | bool | None = None
    ) -> None:
        from rsnb.data.augment import refuse_random

        self.ds = ds
        refuse_random(clip.preprocess)
        self._whole = clip.preprocess
        self._before, self._after = _halves(clip.preprocess)
        self._max_bytes = max_bytes
        self._cache = None if cache is False else paths.cache_dir() if cache in (None, True) else Path(cache)
        self._pixels: torch.Tensor | None = None
        self._filled: torch.Tensor | None = None
        self._sums: np.ndarray | None = None  # of the images of a cached store, each looked at once
        self._seconds = 0.0

    def __len__(self) -> int:
        return len(self.ds)

    def fill(self, progress: bool = True) -> PixelStore:
        """Decode everything that is not there yet; returns the store."""
        if len(self) and self._ready():
            self._check(range(len(self)))
            missing = (~self._filled).nonzero().flatten().tolist()
            self._decode(missing, f"decode {self.ds.name}/{self.ds.split}" if progress else None)
        return self

    def __getitem__(self, index: Any) -> torch.Tensor:
        """Preprocessed images: (B, 3, H, W) for a list, tensor or slice of indices, (3, H, W) for one."""
        return self.batch(index)

    def batch(self, index: Any, device: torch.device | str = "cpu") -> torch.Tensor:
        """The same on a device; to CUDA the bytes travel from pinned memory, without waiting for them."""
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
            images = torch.stack(list(map_threads(lambda i: self._whole(self.ds.image(i)), flat.tolist()))).to(device)
        else:
            self._check(dict.fromkeys(flat.tolist()))
            self._decode([i for i in dict.fromkeys(flat.tolist()) if not self._filled[i]])
            images = self._pixels[flat]
            if torch.device(device).type == "cuda":
                images = images.pin_memory()
            images = images.to(device, non_blocking=True).to(torch.float32).div_(255)
            for step in self._after:
                images = _in_place(step)(images)
        return images[0] if chosen.ndim == 0 else images

    def _ready(self) -> bool:
        """Make the empty store at the first call, or open the cached one; False if nothing is to be kept."""
        import torch

        if self._before is None:
            return False
        if self._pixels is None:
            first, index = self._first()
            self._pixels = self._open(first, index)
            if self._pixels is not None:
                self._filled = torch.ones(len(self), dtype=torch.bool)
                return True
            if first.numel() * len(self) > self._max_bytes:
                self._before = None
                return False
            self._pixels = torch.empty((len(self), *first.shape), dtype=torch.uint8)
            self._filled = torch.zeros(len(self), dtype=torch.bool)
        return True

    # --- the cache --------------------------------------------------------------------------------------------

    @functools.cached_property
    def cache_file(self) -> Path | None:
        """Where these images lie in the cache, or would lie, as they are now; None without a cache."""
        if self._cache is None or self._before is None:
            return None
        import PIL
        import torchvision

        digest = hashlib.sha256(f"{self._before} {PIL.__version__} {torchvision.__version__}".encode())
        for item in self.ds:
            path, *cell = item.cell or (item.path,)
            if path is None:
                return None
            try:
                found = os.stat(path)
            except OSError:
                return None
            # the time of change of the entry too: unpacking an archive again may set any st_mtime
            state = (os.path.abspath(path), cell, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            state = state if item.view is None else (*state, item.view)
            digest.update(f"{state}\n".encode())
        return self._cache / f"{self.ds.name}-{self.ds.split}-{digest.hexdigest()[:16]}.npy".replace(os.sep, "_")

    def _open(self, first: torch.Tensor, index: int) -> torch.Tensor | None:
        """The cached store, mapped into memory, if it is there, whole, and has this image; None otherwise."""
        import numpy as np
        import torch

        path = self.cache_file
        if path is None or not path.is_file():
            return None
        try:
            pixels = np.load(path, mmap_mode="c", allow_pickle=False)  # never written through
            with open(path, "rb") as file:
                file.seek(pixels.offset + pixels.nbytes)
                sums = np.load(file, allow_pickle=False)
            found = torch.from_numpy(pixels)
        except (OSError, ValueError, EOFError, TypeError, AttributeError):
            found = sums = None
        right = found is not None and found.dtype == torch.uint8 and found.shape == (len(self), *first.shape)
        if right and sums.shape == (len(self),) and sums.dtype == np.uint32 and torch.equal(found[index], first):
            with contextlib.suppress(OSError):
                os.utime(path)  # used now; its name does not depend on it
            self._sums, self._checked = sums, np.zeros(len(self), dtype=bool)
            return found
        with contextlib.suppress(OSError):
            path.unlink()  # damaged: it is made again
        return None

    def _check(self, indices: Iterable[int]) -> None:
        """Compare cached images with their checksums; a wrong one is no longer there, and the file is written anew."""
        if self._sums is None:
            return
        wrong = [i for i in indices if not self._checked[i] and _sum(self._pixels[i]) != self._sums[i]]
        if not wrong:
            self._checked[list(indices)] = True
            return
        wrong = [i for i in range(len(self)) if _sum(self._pixels[i]) != self._sums[i]]
        self._sums = None
        self._filled[wrong] = False
        with contextlib.suppress(OSError):
            self.cache_file.unlink()
        self._decode(wrong)
        self.keep()

    def keep(self) -> None:
        """Write the full store into the cache now; where that is not possible, do without."""
        import numpy as np

        path = self.cache_file
        if path is None or path.exists() or self._filled is None or not bool(self._filled.all()):
            return
        # no room, no right to write, or on Windows: another process has it open
        with contextlib.suppress(RsnbError, OSError):
            with replacing(path) as scratch, open(scratch, "wb") as file:
                np.save(file, self._pixels.numpy(), allow_pickle=False)
                np.save(file, np.array([_sum(image) for image in self._pixels], dtype=np.uint32), allow_pickle=False)
            _prune(path.parent)

    def _first(self) -> tuple[torch.Tensor, int]:
        """The first image that can be decoded, which tells the shape, and its index."""
        if not self.ds.has_images:
            self.ds.image(0)  # says what is missing
        for i in range(len(self)):
            try:
                return self._bytes(i), i
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

        wrong, started, indices = [], time.perf_counter(), list(indices)
        if not indices:
            return
        for i, pixels in map_threads(one, indices, title):
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
        self._seconds += time.perf_counter() - started
        if self._seconds > SLOW:
            self.keep()


def _sum(image: torch.Tensor) -> int:
    """CRC-32 of an image's bytes."""
    return zlib.crc32(image.numpy())


def _prune(folder: Path) -> None:
    """Delete what a killed process left behind, and the files used longest ago beyond LARGEST bytes in all."""
    for scratch in folder.glob("*.part"):
        if time.time() - scratch.stat().st_mtime > DAY:
            scratch.unlink()
    total = 0
    for file in sorted(folder.glob("*.npy"), key=lambda p: p.stat().st_mtime, reverse=True):
        total += file.stat().st_size
        if total > LARGEST:
            file.unlink()


def _halves(preprocess: Any) -> tuple[list | None, list]:
    """The steps before ToTensor (on PIL images) and those after it (on tensors); (None, []) if unclear."""
    from torchvision.transforms import ToTensor

    steps = list(getattr(preprocess, "transforms", ()))
    places = [n for n, step in enumerate(steps) if isinstance(step, ToTensor)]
    if len(places) != 1:
        return None, []
    return steps[: places[0]], steps[places[0] + 1 :]


def _in_place(step: Callable) -> Callable:
    """Torchvision's Normalize without its copy: the batch is our own."""
    from torchvision.transforms import Normalize
    from torchvision.transforms.functional import normalize

    return (lambda images: normalize(images, step.mean, step.std, inplace=True)) if type(step) is Normalize else step
