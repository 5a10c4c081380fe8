"""One range of numbers for a whole set of deep images, so that neighbouring tiles, train and test are scaled alike."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.data.headers import Header, read_header
from rsnb.data.rasters import View, read_numbers
from rsnb.errors import RsnbError

SAMPLE, PIXELS = 50, 40_000  # images, and numbers of each band of one, that a range is taken from
LOW, HIGH = 2, 98  # percentiles


def is_scaled(header: Header | None) -> bool:
    """Whether the numbers of an image need a range: more than 8 bits, or floating point."""
    return header is not None and (header.bits > 8 or header.kind != "uint")


def view_of(sources: Sequence[Path | bytes], bands: tuple[int, ...] | None) -> View | None:
    """The view for a set: the bands, and from the 2nd to the 98th percentile of the numbers of up to 50 images, evenly
    chosen, places without data left out. None where nothing is deep and no bands are asked for.

    sources: of the images of train and val, the official parts together, in order.
    """
    headers = {}
    for source in sources:
        with contextlib.suppress(OSError):
            header = read_header(source)
            if is_scaled(header) and header.kind != "complex":
                headers[len(headers)] = source, header
    if not headers:
        return View(bands) if bands else None
    deep = list(headers.values())
    chosen = (
        [deep[round(i * (len(deep) - 1) / max(SAMPLE - 1, 1))] for i in range(SAMPLE)] if len(deep) > SAMPLE else deep
    )
    file = _file([source for source, _ in chosen], bands)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        return View(bands, float(kept["low"]), float(kept["high"]))
    found = _percentiles(chosen, bands)
    if found is None:
        return View(bands) if bands else None
    with contextlib.suppress(OSError, RsnbError):  # no room in the cache: it is computed again next time
        write_json(file, {"low": found[0], "high": found[1], "images": len(chosen), "percentiles": [LOW, HIGH]})
    return View(bands, *found)


def _percentiles(
    chosen: list[tuple[Path | bytes, Header]], bands: tuple[int, ...] | None
) -> tuple[float, float] | None:
    import numpy as np

    numbers = []
    for source, header in chosen:
        with contextlib.suppress(RsnbError):  # a broken one is named where all are read
            pixels = read_numbers(source, header, bands, "an image")
            step = max(1, round((pixels[0].size / PIXELS) ** 0.5))
            part = pixels[:, ::step, ::step]
            numbers.append(part[~np.isnan(part)])
    every = np.concatenate(numbers) if numbers else np.empty(0)
    if not every.size:
        return None
    low, high = (float(end) for end in np.percentile(every, (LOW, HIGH)))
    return (low, high) if high > low else (low, low + 1.0)


def _file(sources: Sequence[Path | bytes], bands: tuple[int, ...] | None) -> Path:
    """The range in the cache, named after the images it is taken from as they are now."""
    digest = hashlib.sha256(f"{bands} {SAMPLE} {PIXELS} {LOW} {HIGH}".encode())
    for source in sources:
        if isinstance(source, bytes):
            digest.update(hashlib.sha256(source).digest())
        else:
            state = os.stat(source)
            digest.update(f"{os.path.abspath(source)} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}".encode())
    return paths.cache_dir() / f"range-{digest.hexdigest()[:16]}.json"
