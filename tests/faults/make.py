"""Makes the input of cases: small pictures of one colour each, captions, and the layouts that they are listed in."""

from __future__ import annotations

import csv
import io
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .box import Box

SIDE = 24  # pixels of a picture


@dataclass(frozen=True)
class Row:
    """One listed image."""

    name: str
    part: str
    captions: tuple[str, ...]


def colour(n: int) -> tuple[int, int, int]:
    """That of picture n: no two of the first thousand are alike."""
    return (n * 37) % 256, (n * 91 + n // 256) % 256, (n * 53) % 256


def rows_of(names: dict[str, list[str]], captions: int = 1) -> list[Row]:
    """Images of each part, with captions that are all different."""
    listed = [(name, part) for part, own in names.items() for name in own]
    words = ("a grey runway beside a field", "two boats in a blue harbor", "many houses along a road")
    return [
        Row(name, part, tuple(f"{words[k % 3]} , number {n}" for k in range(captions)))
        for n, (name, part) in enumerate(listed)
    ]


def plain_rows(train: int = 8, test: int = 3, folder: str = "", ending: str = "png", captions: int = 1) -> list[Row]:
    """An ordinary set."""
    names = [f"{folder}tile_{n:02d}.{ending}" for n in range(train + test)]
    return rows_of({"train": names[:train], "test": names[train:]}, captions)


def pictures(folder: Path, names: list[str], first: int = 0) -> None:
    """Pictures of one colour: that of their place in the list."""
    from PIL import Image

    for n, name in enumerate(names, start=first):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), colour(n)).save(path)


# --- layouts ----------------------------------------------------------------------------------------------------
def karpathy(folder: Path, rows: list[Row]) -> None:
    images = [{"filename": r.name, "split": r.part, "sentences": [{"raw": text} for text in r.captions]} for r in rows]
    (folder / "dataset_own.json").write_text(json.dumps({"images": images}), encoding="utf-8")


def precomp(folder: Path, rows: list[Row]) -> None:
    for part in ("train", "test"):
        own = [r for r in rows if r.part == part]
        (folder / f"{part}_filename.txt").write_text("".join(f"{r.name}\n" for r in own), encoding="utf-8")
        lines = "".join(f"{text}\n" for r in own for text in r.captions)
        (folder / f"{part}_caps.txt").write_text(lines, encoding="utf-8")


def harma(folder: Path, rows: list[Row]) -> None:
    for part in ("train", "test"):
        own = [{"image": f"{part}/{r.name}", "caption": list(r.captions)} for r in rows if r.part == part]
        (folder / f"own_{part}.json").write_text(json.dumps(own), encoding="utf-8")


def table(
    folder: Path,
    rows: list[Row],
    separator: str = ",",
    encoding: str = "utf-8",
    head: tuple[str, str, str] = ("filename", "title", "split"),
    first: str = "",
    name: str = "own.csv",
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([r.name, caption, r.part] for r in rows for caption in r.captions)
    (folder / name).write_bytes((first + text.getvalue()).encode(encoding))


LAYOUTS = {"karpathy": karpathy, "precomp": precomp, "harma": harma, "csv": table}


def small_set(box: Box, layout: str = "karpathy", **options: Any) -> list[Row]:
    """An ordinary set of a few images, complete, in box.data."""
    rows = plain_rows(**options)
    LAYOUTS[layout](box.data, rows)
    pictures(box.data / "images", [r.name for r in rows])
    return rows


# --- what is read -----------------------------------------------------------------------------------------------
def read_back(folder: Path, **options: Any) -> dict[str, list]:
    """name -> [train or test, its captions, the colour of its picture], as `load_dataset` gives them."""
    import rsnb

    found = {}
    for split, said in (("trainval", "train"), ("test", "test")):
        dataset = rsnb.load_dataset(str(folder), split, **options)
        for i, item in enumerate(dataset):
            found[item.name] = [said, list(item.captions), list(dataset.image(i).getpixel((1, 1)))]
    return found


def as_listed(rows: list[Row]) -> dict[str, list]:
    """What `read_back` gives where nothing is wrong."""
    return {r.name: [r.part, list(r.captions), list(colour(n))] for n, r in enumerate(rows)}


# --- image files that Pillow does not write ---------------------------------------------------------------------
def tiff(
    path: Path,
    pixels: Any,
    photometric: int = 2,
    extra: int | None = None,
    nodata: str | None = None,
    size: tuple[int, int] | None = None,
) -> None:
    """An uncompressed TIFF of pixels (H, W, bands), uint8, uint16 or float32; ``size`` (W, H) lies about them."""
    height, width, bands = pixels.shape
    width, height = size or (width, height)
    bits, form = 8 * pixels.itemsize, 3 if pixels.dtype.kind == "f" else 1
    raw = pixels.tobytes()
    tags: list[tuple[int, int, list[int] | bytes]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * bands), (259, 3, [1]), (262, 3, [photometric]),
        (273, 4, [8]), (277, 3, [bands]), (278, 4, [height]), (279, 4, [len(raw)]), (284, 3, [1]),
    ]  # fmt: skip
    if extra is not None:
        tags.append((338, 3, [extra] * (bands - (3 if photometric == 2 else 1))))
    tags.append((339, 3, [form] * bands))
    if nodata is not None:
        tags.append((42113, 2, nodata.encode() + b"\0"))
    at = 8 + len(raw) + len(raw) % 2
    after, more, entries = at + 2 + 12 * len(tags) + 4, b"", b""
    for tag, kind, values in tags:
        packed = (
            values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        )
        if len(packed) > 4:
            held = struct.pack("<I", after + len(more))
            more += packed + b"\0" * (len(packed) % 2)
        else:
            held = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(values)) + held
    head = b"II*\0" + struct.pack("<I", at) + raw + b"\0" * (len(raw) % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + more)


def png(path: Path, pixels: Any = None, size: tuple[int, int] = (SIDE, SIDE), bits: int = 16, kind: int = 2) -> None:
    """A PNG of pixels (H, W, channels), uint16; without pixels the header alone, of any size."""
    raw = b""
    if pixels is not None:
        size = pixels.shape[1], pixels.shape[0]
        raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    body = b"".join(struct.pack(">I", len(c)) + t + c + struct.pack(">I", zlib.crc32(t + c)) for t, c in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


# --- damage -----------------------------------------------------------------------------------------------------
def cut(box: Box, path: Path) -> None:
    """Take away what comes after a byte somewhere in the middle."""
    raw = path.read_bytes()
    path.write_bytes(raw[: box.rng.randrange(len(raw) // 8, max(len(raw) * 7 // 8, len(raw) // 8 + 1))])


def flip(box: Box, path: Path, count: int = 20) -> None:
    """Other bits in some bytes."""
    raw = bytearray(path.read_bytes())
    for _ in range(count):
        raw[box.rng.randrange(len(raw))] ^= box.rng.randrange(1, 256)
    path.write_bytes(bytes(raw))
