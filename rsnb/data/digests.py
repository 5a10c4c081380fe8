"""Digests of image files: read once, then known by path, size and times of change, here and in the cache on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.base.files import write_json
from rsnb.errors import RsnbError

SLOW = 1.0  # seconds of reading that are worth a file in the cache
_known: dict[str, str] = {}  # state of a file -> digest of its bytes


def image_digests(items: Sequence[Any]) -> list[str]:
    """32 hex digits of the encoded bytes of each item's image, nothing is decoded; "" for an item without an image.

    items: of a :class:`rsnb.data.dataset.CaptionDataset`.

    Raises:
        RsnbError: a file is gone or cannot be read.
    """
    states = [_state(item) for item in items]
    if any(state and state not in _known for state in states):
        for file in {_cache_file(item) for item in items}:
            _recall(file)
        started = time.perf_counter()
        new = [(item, state) for item, state in zip(items, states) if state and state not in _known]
        for item, state in new:
            _known[state] = _read(item)
        if time.perf_counter() - started > SLOW:
            _keep(items, states)
    return [_known[state] if state else "" for state in states]


def _state(item: Any) -> str:
    """What changes when the image does: where it lies, its size and times of change; "" without an image."""
    path, *cell = item.cell or (item.path,)
    if path is None:
        return ""
    try:
        found = os.stat(path)
    except OSError as error:
        raise RsnbError(
            f"{item.name}: {path} cannot be read ({error.strerror}); get it again, or load the data set anew with "
            "skip_bad=True"
        ) from None
    # the time of change of the entry too: unpacking an archive again may set any st_mtime
    return f"{os.path.abspath(path)} {cell} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _read(item: Any) -> str:
    try:
        source = item.source
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise RsnbError(f"{item.name}: {item.path} cannot be read ({error.strerror}); get it again") from None
    return hashlib.sha256(content).hexdigest()[:32]


def _cache_file(item: Any) -> Path:
    """One file for all images of a folder (or of a parquet file)."""
    place = item.cell[0] if item.cell else item.path.parent if item.path else Path()
    return paths.cache_dir() / f"digests-{hashlib.sha256(os.path.abspath(place).encode()).hexdigest()[:16]}.json"


def _recall(file: Path) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no such file, or a damaged one: it is made again
        for state, digest in json.loads(file.read_text(encoding="utf-8")).items():
            _known.setdefault(state, str(digest))


def _keep(items: Sequence[Any], states: Sequence[str]) -> None:
    """Write what is known of the folders of these items; where that is not possible, do without."""
    found: dict[Path, dict[str, str]] = {}
    for item, state in zip(items, states):
        if state:
            found.setdefault(_cache_file(item), {})[state] = _known[state]
    for file, digests in found.items():
        with contextlib.suppress(OSError, ValueError, RsnbError):
            before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
            write_json(file, {**before, **digests})
