"""Build many pictures of the web world with several processes, and keep them in a cache."""

from __future__ import annotations

import json
import os
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from rsnb.base import bars
from rsnb.base.files import replacing
from rsnb.base.processes import end_with_parent
from rsnb.errors import RsnbError
from rsnb.worlds.web.captions import captions
from rsnb.worlds.web.draw import picture, seeded

DRAWN = 96  # pixels at which a picture is drawn before it is reduced
CAPTIONS = 3  # alternative captions per picture
CHUNK = 250  # pictures per task of a worker
HELD_OUT_SEED = 900_001  # held-out pictures come from seeds that pre-training never uses
VERSION = 2  # raise when the drawing changes, so that old caches are not used


def _chunk(task: tuple[int, int, int, int]) -> tuple[np.ndarray, list[list[str]], list[str]]:
    """Draw pictures start..stop-1 of a world: (n, size, size, 3) uint8, captions, kinds."""
    seed, start, stop, size = task
    images = np.empty((stop - start, size, size, 3), np.uint8)
    texts, kinds = [], []
    for k, index in enumerate(range(start, stop)):
        im, tags = picture(seed, index, DRAWN)
        images[k] = np.asarray(im.resize((size, size), Image.Resampling.BICUBIC))
        texts.append(captions(tags, Random(seeded(seed, index).randrange(2**40) + 1), CAPTIONS))
        kinds.append(tags["kind"])
    return images, texts, kinds


def _build(count: int, seed: int, size: int, workers: int | None, progress: bool):
    if count < 1 or size < 8:
        raise RsnbError(f"count is {count} and size {size}; at least 1 picture of at least 8 pixels is needed.")

    tasks = [(seed, k, min(count, k + CHUNK), size) for k in range(0, count, CHUNK)]
    workers = min(len(tasks), os.cpu_count() or 1 if workers is None else max(1, workers))
    images, texts, kinds = np.empty((count, size, size, 3), np.uint8), [], []
    with bars.bar(total=count, unit="picture", desc="drawing the web world", hidden=not progress) as bar:

        def take(parts) -> None:
            for (_, start, stop, _), (block, t, k) in zip(tasks, parts):
                images[start:stop] = block
                texts.extend(t)
                kinds.extend(k)
                bar.update(stop - start)

        if workers == 1:
            take(map(_chunk, tasks))
        else:
            with ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent) as pool:
                take(pool.map(_chunk, tasks))
    return images, texts, kinds


def _load(cache: Path, key: dict):
    """The cached world, or None where there is none or it is another one or damaged."""
    try:
        with np.load(cache, allow_pickle=False) as box:
            meta = json.loads(bytes(box["meta"]).decode("utf-8"))
            if meta["key"] != key:
                return None
            return box["images"], meta["captions"], meta["kinds"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None


def _cached(count: int, seed: int, size: int, workers: int | None, cache: Path | str | None, progress: bool):
    key = {"count": count, "seed": seed, "size": size, "version": VERSION}
    if cache is not None:
        cache = Path(cache)
        found = _load(cache, key) if cache.is_file() else None
        if found is not None:
            return found
    world = _build(count, seed, size, workers, progress)
    if cache is not None:
        meta = json.dumps({"key": key, "captions": world[1], "kinds": world[2]}).encode("utf-8")
        with replacing(cache) as scratch, open(scratch, "wb") as file:
            np.savez(file, images=world[0], meta=np.frombuffer(meta, np.uint8))
    return world


def build_web(
    count: int,
    seed: int = 0,
    size: int = 64,
    workers: int | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, list[list[str]]]:
    """Draw `count` pictures of the web world.

    Returns (images, captions): uint8 (count, size, size, 3) and per picture up to three alternative captions.
    workers: processes (default: one per core; 1 draws in this process); the result does not depend on it.
    cache: an .npz file to read if it holds this very world, and to write otherwise.
    """
    if seed >= HELD_OUT_SEED or seed < 0:
        raise RsnbError(f"seed {seed} is kept for held-out pictures. Choose one from 0 to {HELD_OUT_SEED - 1}.")
    images, texts, _ = _cached(count, seed, size, workers, cache, progress)
    return images, texts


def held_out(
    count: int = 1000,
    size: int = 64,
    workers: int | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, list[list[str]], list[str]]:
    """Pictures never seen in pre-training: (images, captions, kinds), kinds natural, abstract or overhead."""
    return _cached(count, HELD_OUT_SEED, size, workers, cache, progress)
