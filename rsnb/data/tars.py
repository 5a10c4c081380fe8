"""Images with captions inside tar files (WebDataset): listed from the headers, read in place; nothing is unpacked."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rsnb.data.endings import ENDINGS
from rsnb.errors import RsnbError

Cell = tuple[Path, int, int]  # tar file, where the image begins, bytes
TEXTS = (".txt", ".caption", ".json")  # what may hold the captions of an image, the first of them that is there
LARGEST = 1 << 20  # bytes of a text: more is no caption


@dataclass
class Sample:
    """The members of one key: the image, its text by ending, and what is wrong with them."""

    images: list[tarfile.TarInfo] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    wrong: str = ""

    @property
    def text(self) -> tuple[str, bytes] | None:
        """The ending and the bytes of the captions."""
        return next(((ending, self.texts[ending]) for ending in TEXTS if ending in self.texts), None)


def holds_pairs(file: Path) -> bool:
    """Whether a tar file holds an image that has a text beside it.

    Raises:
        RsnbError: it cannot be read, or is compressed.
    """
    keys: dict[str, set[bool]] = {}
    for member in _members(file):
        key, ending = _key(member.name)
        if ending in ENDINGS or ending in TEXTS:
            kinds = keys.setdefault(key, set())
            kinds.add(ending in ENDINGS)
            if len(kinds) == 2:
                return True
    return False


def samples(file: Path) -> Iterator[tuple[str, Sample]]:
    """(key, sample) of a tar file, in its order.

    Raises:
        RsnbError: the file is damaged: cut off, or with more behind its end.
    """
    found: dict[str, Sample] = {}
    texts: list[tuple[Sample, str, tarfile.TarInfo]] = []
    for member in _members(file):
        key, ending = _key(member.name)
        if ending not in ENDINGS and ending not in TEXTS:
            continue
        sample = found.setdefault(key, Sample())
        if not member.isfile() or member.issparse():
            sample.wrong = f"{member.name} is a link or a sparse file"
        elif ending in ENDINGS:
            sample.images.append(member)
        elif member.size > LARGEST:
            sample.wrong = f"{member.name} has {member.size:,} bytes, which is no caption"
        else:
            texts.append((sample, ending, member))
    for sample, ending, member in texts:
        if ending in sample.texts:
            sample.wrong = f"{member.name} is there twice"
        sample.texts[ending] = image_bytes((file, member.offset_data, member.size))
    for key, sample in found.items():
        if len(sample.images) != 1:
            names = ", ".join(member.name for member in sample.images[:3])
            sample.wrong = sample.wrong or (f"several images: {names}" if names else "a text without an image")
        yield key, sample


def image_bytes(cell: Cell) -> bytes:
    """The bytes of one member.

    Raises:
        RsnbError: the file is gone, or shorter than it was.
    """
    file, start, size = cell
    try:
        with file.open("rb") as raw:
            raw.seek(start)
            data = raw.read(size)
    except OSError as error:
        raise RsnbError(f"{file} cannot be read ({error.strerror}); load the data set again") from None
    if len(data) < size:
        raise RsnbError(f"{file} is shorter than it was; get it again")
    return data


def captions_of(sample: Sample) -> tuple[list[Any], dict[str, Any]]:
    """The texts of a sample (a line of a text file, or the JSON object itself, to be read by its keys).

    Raises:
        RsnbError: they are not UTF-8, or no JSON object.
    """
    if sample.text is None:
        return [], {}
    ending, raw = sample.text
    try:
        text = raw.decode("utf-8-sig")
        if ending != ".json":
            return text.splitlines(), {}
        entry = json.loads(text)
    except UnicodeDecodeError:
        raise RsnbError(f"its {ending} is not UTF-8") from None
    except (ValueError, RecursionError):
        raise RsnbError(f"its {ending} is not valid JSON") from None
    if not isinstance(entry, dict):
        raise RsnbError(f"its {ending} holds no object")
    return [], entry


def _key(name: str) -> tuple[str, str]:
    """`a/0001.jpg` -> (`a/0001`, `.jpg`): all up to the first dot of the file's name, and the ending in lower case; no
    ending for hidden files."""
    path = PurePosixPath(name.replace("\\", "/"))
    stem, dot, ending = path.name.partition(".")
    hidden = not stem or "__MACOSX" in path.parts
    return str(path.with_name(stem)) if stem else name, "" if hidden else f"{dot}{ending.lower()}"


def _members(file: Path) -> Iterator[tarfile.TarInfo]:
    """The members of a tar file but for folders; at their end, the file must end too."""
    try:
        size = file.stat().st_size
        with file.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            for member in tar:
                if member.offset_data + (member.size if member.isfile() else 0) > size:
                    raise RsnbError(f"{file} is cut off in {member.name}; get it again")
                if not member.isdir():
                    yield member
            raw.seek(tar.offset)
            while rest := raw.read(1 << 20):
                if rest.strip(b"\0"):
                    raise RsnbError(f"{file} is damaged after byte {tar.offset:,}, or holds a second tar; get it again")
    except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError) as error:
        if isinstance(error, RsnbError):
            raise
        raise RsnbError(
            f"{file} cannot be read as a tar file ({str(error)[:80]}); if it is compressed, take the compression off "
            "(gunzip), else get it again"
        ) from None
