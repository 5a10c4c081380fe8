"""One view for all images of a set, so that neighbouring tiles, train and test are scaled and read alike."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.data.headers import Header, read_header
from rsnb.data.rasters import View, is_mask, read_numbers
from rsnb.errors import RsnbError

SAMPLE, PIXELS = 50, 40_000  # images, and numbers of each band of one, that a range is taken from
LOW, HIGH = 2, 98  # percentiles
MASK = "mask"  # the group of images whose fourth band may be one


def is_scaled(header: Header | None) -> bool:
    """Whether the numbers of an image need a range: more than 8 bits, or floating point."""
    return header is not None and (header.bits > 8 or header.kind != "uint")


def view_of(
    sources: Sequence[Path | bytes], bands: tuple[int, ...] | None, scale: tuple[float, float] | None = None
) -> View | None:
    """The view for a set; None where nothing is deep, every fourth band is a mask, and nothing is asked for.

    Of each type of number the range runs from the 2nd to the 98th percentile of up to 50 images, evenly chosen, places
    without data left out; it is `scale` where that is given. A fourth band is a mask if it has no value but 0 and 255
    in any of up to 50 images.

    sources: of the images of train and val, the official parts together, in order; of a set without these, all.
    """
    groups: dict[str, list[tuple[Path | bytes, Header]]] = {}
    for source in sources:
        with contextlib.suppress(OSError):
            header = read_header(source)
            if is_scaled(header) and header.kind != "complex":
                groups.setdefault(header.type, []).append((source, header))
            elif header is not None and header.may_have_mask:
                groups.setdefault(MASK, []).append((source, header))
    if scale:
        groups = {MASK: groups[MASK]} if MASK in groups else {}
    chosen = {name: evenly(group, SAMPLE) for name, group in sorted(groups.items())}
    ranges, mask = _kept(chosen, bands) if chosen else ((), True)
    view = View(bands, (("any", *scale),) if scale else ranges, mask)
    return None if view == View() else view


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """At most ``count`` of these, spread evenly, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(n * (len(items) - 1) / (count - 1))] for n in range(count)]


def _kept(
    chosen: dict[str, list[tuple[Path | bytes, Header]]], bands: tuple[int, ...] | None
) -> tuple[tuple[tuple[str, float, float], ...], bool]:
    """The ranges, and whether fourth bands are masks, out of the cache or found now."""
    file = _file([source for group in chosen.values() for source, _ in group], bands)
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        return tuple((str(name), float(low), float(high)) for name, low, high in kept["ranges"]), bool(kept["mask"])
    found = {name: _percentiles(group, bands) for name, group in chosen.items() if name != MASK}
    ranges = tuple((name, *ends) for name, ends in found.items() if ends)
    mask = all(_is_mask(source) for source, _ in chosen.get(MASK, ()))
    with contextlib.suppress(OSError, RsnbError):  # no room in the cache: it is found again next time
        write_json(file, {"ranges": ranges, "mask": mask, "percentiles": [LOW, HIGH]})
    return ranges, mask


def _is_mask(source: Path | bytes) -> bool:
    """Whether the fourth band of an image has no value but 0 and 255; so has a broken one, which is named elsewhere."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("TIFF",)) as image:
            return is_mask(image)
    except Exception:  # Pillow's decoders raise many types
        return True


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
    low, high = (float(f"{end:g}") for end in np.percentile(every, (LOW, HIGH)))  # as they are printed
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
