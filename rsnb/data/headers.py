"""What the first bytes of a TIFF or PNG file say of its numbers: size, bands, bits, nodata. Nothing is decoded."""

from __future__ import annotations

import functools
import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: tags of TIFF 6.0, and GDAL's for the value of pixels without data
WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES, EXTRA, FORMAT, NODATA = 256, 257, 258, 262, 277, 338, 339, 42113
ROWS, PLANES, TILE_WIDTH, TILE_HEIGHT = 278, 284, 322, 323
TAGS = {WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES, EXTRA, FORMAT, NODATA, ROWS, PLANES, TILE_WIDTH, TILE_HEIGHT}
KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex", 6: "complex"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 16: 8}  # bytes of BYTE, ASCII, SHORT, LONG, LONG8
GREY, RGB, PALETTE = (0, 1), 2, 3
MOST = 4096  # tags, and values of one, that are looked at


@dataclass(frozen=True)
class Header:
    """Size in pixels, number of bands, bits of each number, "uint", "int", "float" or "complex", what the bands mean
    (TIFF's photometric interpretation; of PNG the like), the meaning of extra bands, the value without data, and how
    many numbers are stored in one piece."""

    width: int
    height: int
    bands: int
    bits: int
    kind: str = "uint"
    photometric: int = RGB
    extra: tuple[int, ...] = ()
    nodata: float | None = None
    format: str = "TIFF"
    block: int = 0

    @property
    def type(self) -> str:
        """ "uint16", "float32", ..."""
        return f"{self.kind}{self.bits}"

    @property
    def may_have_mask(self) -> bool:
        """Whether this is a TIFF of RGB and a fourth band of 8 bits that is called alpha."""
        alpha = self.photometric == RGB and self.bands == 4 and bool({1, 2} & set(self.extra))
        return self.format == "TIFF" and self.type == "uint8" and alpha

    @property
    def is_deep(self) -> bool:
        """Whether Pillow would not read the numbers as they are: over 8 bits, or more bands than RGB and a mask."""
        return self.bits > 8 or self.bands > 4 or self.kind != "uint" or (self.photometric in GREY and self.bands > 2)

    def __str__(self) -> str:
        of = {"uint": "bits", "int": "bits with a sign", "float": "bits, floating point", "complex": "bits, complex"}
        return f"{self.bands} band{'s' * (self.bands != 1)} of {self.bits} {of[self.kind]}"


def read_header(source: Path | bytes) -> Header | None:
    """The header of a TIFF (BigTIFF too) or a PNG; None for another format, or a header that makes no sense.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return _header_or_none(io.BytesIO(source))
    state = os.stat(source)
    return _of_file(source, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=2**17)
def _of_file(path: Path, size: int, changed: int) -> Header | None:
    with open(path, "rb") as file:
        return _header_or_none(file)


def _header_or_none(file: BinaryIO) -> Header | None:
    try:
        return _header(file)
    except (ArithmeticError, LookupError, OSError, ValueError, struct.error):  # such as a place outside the file
        return None


def _header(file: BinaryIO) -> Header | None:
    start = file.read(32)
    if start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:16] == b"IHDR":
        width, height, bits, colour = struct.unpack(">IIBB", start[16:26])
        bands, meaning = {0: (1, 1), 2: (3, RGB), 3: (1, PALETTE), 4: (2, 1), 6: (4, RGB)}[colour]
        return Header(width, height, bands, bits, "uint", meaning, format="PNG")
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(file, "<" if start[:2] == b"II" else ">", b"+" in start[:4], start)
    return None


def _tiff(file: BinaryIO, order: str, big: bool, start: bytes) -> Header | None:
    place = struct.unpack(order + ("Q" if big else "I"), start[8:16] if big else start[4:8])[0]
    file.seek(place)
    count = struct.unpack(order + ("Q" if big else "H"), file.read(8 if big else 2))[0]
    size, tags = 20 if big else 12, {}
    entries = file.read(min(count, MOST) * size)
    for at in range(0, len(entries) - size + 1, size):
        tag, kind = struct.unpack(order + "HH", entries[at : at + 4])
        if tag in TAGS and kind in SIZES:
            tags[tag] = _values(file, order, big, kind, entries[at + 4 : at + size])
    bits = tags.get(BITS, (1,))
    extra = tuple(tags.get(EXTRA, ()))
    return Header(
        width=tags[WIDTH][0],
        height=tags[HEIGHT][0],
        bands=tags.get(SAMPLES, (1,))[0],
        bits=max(bits),
        kind=KINDS.get(tags.get(FORMAT, (1,))[0], "uint"),
        photometric=tags.get(PHOTOMETRIC, (1,))[0],
        extra=extra,
        nodata=_nodata(tags.get(NODATA)),
        block=_block(tags),
    )


def _block(tags: dict[int, tuple[int, ...]]) -> int:
    """Numbers of one tile or strip; all bands lie in it unless they are stored apart."""
    if TILE_WIDTH in tags and TILE_HEIGHT in tags:
        pixels = tags[TILE_WIDTH][0] * tags[TILE_HEIGHT][0]
    else:
        pixels = tags[WIDTH][0] * min(tags[HEIGHT][0], tags.get(ROWS, tags[HEIGHT])[0])
    return pixels * (1 if tags.get(PLANES, (1,))[0] == 2 else tags.get(SAMPLES, (1,))[0])


def _values(file: BinaryIO, order: str, big: bool, kind: int, rest: bytes) -> tuple[int, ...] | bytes:
    """The values of one entry of the directory: in it where they fit, else where it points to."""
    wide = 8 if big else 4
    count = min(struct.unpack(order + ("Q" if big else "I"), rest[:wide])[0], MOST)
    raw = rest[wide:]
    if count * SIZES[kind] > len(raw):
        file.seek(struct.unpack(order + ("Q" if big else "I"), raw)[0])
        raw = file.read(count * SIZES[kind])
    raw = raw[: count * SIZES[kind]]
    return raw if kind == 2 else struct.unpack(f"{order}{count}{dict(zip(SIZES, 'BsHIQ'))[kind]}", raw)


def _nodata(raw: bytes | tuple[int, ...] | None) -> float | None:
    try:
        return float(raw.split(b"\0")[0].decode("ascii")) if isinstance(raw, bytes) else None
    except ValueError:
        return None
