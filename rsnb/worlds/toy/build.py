"""Writes the toy overhead world to disk, and checks a copy of it against the code that draws it.

Layout (Karpathy's, as the real caption sets have it)::

    dataset_toy.json              images[]: filename, imgid, split, label, sentids,
                                  sentences[]: raw, tokens, imgid, sentid
    images/<class>_<number>.jpg   128 x 128 RGB

The official train part is marked ``"train"`` in full; whoever wants a validation part takes it from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rsnb.base import bars
from rsnb.base.files import write_bytes, write_text
from rsnb.base.processes import end_with_parent
from rsnb.errors import RsnbError
from rsnb.worlds.toy.scenes import CLASSES, describe, draw

COUNT, TEST_COUNT, SEED = 69, 12, 2024  # pictures per class in train and test; the seed of the shipped copy
JSON_NAME = "dataset_toy.json"
QUALITY = 85

Job = tuple[str, str, int, int]  # class, split, index within the split, number in the file name


def jobs(count: int = COUNT, test_count: int = TEST_COUNT) -> list[Job]:
    """What is to be drawn, in the order of the JSON file."""
    if count < 1 or test_count < 0:
        raise RsnbError(
            f"the toy world needs at least 1 train and 0 test pictures per class, not {count} and {test_count}"
        )
    return [
        (name, split, k, k + 1 if split == "train" else count + k + 1)
        for name in CLASSES
        for split, n in (("train", count), ("test", test_count))
        for k in range(n)
    ]


def filename(job: Job) -> str:
    return f"{job[0]}_{job[3]}.jpg"


def render(job: Job, seed: int = SEED) -> tuple[bytes, list[str]]:
    """One picture as JPEG bytes, and its five captions."""
    name, split, index, _ = job
    picture, attributes = draw(name, seed, split, index)
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0", optimize=True)
    return buffer.getvalue(), describe(name, attributes, seed, split, index)


def pixels(jpeg: bytes | Path) -> np.ndarray:
    """Decoded pixels, uint8 (128, 128, 3)."""
    with Image.open(BytesIO(jpeg) if isinstance(jpeg, bytes) else jpeg, formats=("JPEG",)) as picture:
        return np.asarray(picture.convert("RGB"))


def _rendered(work: list[Job], seed: int, workers: int, progress: bool) -> Iterator[tuple[Job, bytes, list[str]]]:
    make = partial(render, seed=seed)
    bar = partial(bars.bar, total=len(work), desc="toy world", unit="picture", hidden=not progress)
    if workers <= 1:
        for job in bar(work):
            yield job, *make(job)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent) as pool:
        for job, (jpeg, captions) in zip(work, bar(pool.map(make, work, chunksize=16))):
            yield job, jpeg, captions


def _entry(job: Job, imgid: int, captions: list[str]) -> dict[str, Any]:
    sentences = [
        {"raw": raw, "tokens": raw.removesuffix(" .").split(), "imgid": imgid, "sentid": 5 * imgid + k}
        for k, raw in enumerate(captions)
    ]
    return {
        "filename": filename(job),
        "imgid": imgid,
        "split": job[1],
        "label": job[0],
        "sentids": [s["sentid"] for s in sentences],
        "sentences": sentences,
    }


def to_json(entries: list[dict[str, Any]]) -> str:
    """The JSON file: one picture per line, so that a change is easy to see."""
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    return f'{{"dataset":"toy","images":[\n{lines}\n]}}\n'


def build_toy(
    out: Path,
    count: int = COUNT,
    test_count: int = TEST_COUNT,
    seed: int = SEED,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Draw the toy world into ``out``.

    Args:
        out: folder for ``dataset_toy.json`` and ``images/``; made when absent.
        count: train pictures per class.
        test_count: test pictures per class.
        seed: the same seed gives the same pixels and captions, whatever the number of workers.
        workers: processes (1 draws in this one).

    Returns:
        The path of the JSON file.

    Raises:
        RsnbError: ``out`` is a file, or the counts make no sense.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise RsnbError(f"{out} is a file; give a folder for the toy world")
    entries = []
    for imgid, (job, jpeg, captions) in enumerate(_rendered(jobs(count, test_count), seed, workers, progress)):
        write_bytes(out / "images" / filename(job), jpeg)
        entries.append(_entry(job, imgid, captions))
    write_text(out / JSON_NAME, to_json(entries))
    return out / JSON_NAME


def check_toy(
    out: Path,
    count: int = COUNT,
    test_count: int = TEST_COUNT,
    seed: int = SEED,
    workers: int = 1,
    progress: bool = True,
) -> list[str]:
    """Draw everything again in memory and compare pixels and JSON with what lies in ``out``.

    Returns:
        One line for each difference; empty when the folder is what the code draws.
    """
    out = Path(out)
    if not (out / JSON_NAME).is_file():
        raise RsnbError(f"{out / JSON_NAME} was not found; write it first: rsnb toy --out {out}")
    faults, entries, names = [], [], set()
    for imgid, (job, jpeg, captions) in enumerate(_rendered(jobs(count, test_count), seed, workers, progress)):
        path = out / "images" / filename(job)
        names.add(path.name)
        entries.append(_entry(job, imgid, captions))
        if not path.is_file():
            faults.append(f"missing: images/{path.name}")
        else:
            try:
                same = np.array_equal(pixels(path), pixels(jpeg))
            except OSError:
                same = False
            if not same:
                faults.append(f"other pixels: images/{path.name}")
    faults += [
        f"not drawn by this command: images/{p.name}" for p in sorted((out / "images").glob("*")) if p.name not in names
    ]
    if json.loads((out / JSON_NAME).read_text(encoding="utf-8")) != json.loads(to_json(entries)):
        faults.append(f"other content: {JSON_NAME}")
    return faults
