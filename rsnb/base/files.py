"""The one way to write a file: a reader, or a crash, never meets half of it. Sizes and failures in words."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsnb.errors import RsnbError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A scratch path beside ``path``, to be written in the block; it takes its place when the block ends well.

    Otherwise ``path`` stays as it was. Folders are made. Nobody can know the name of the scratch before, and a link at
    ``path`` is replaced, so nothing is written through a link.

    Raises:
        RsnbError: the folder or the file cannot be written, or something lies there that is no file.
    """
    path = Path(path)
    scratch = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise RsnbError(f"{path} cannot be written (it is {kind}); choose another name or another folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield scratch
        with open(scratch, "rb+") as file:
            os.fsync(file.fileno())  # on the disk before the old file goes: a power cut leaves one of the two
        os.replace(scratch, path)
    except OSError as error:
        raise RsnbError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None
    finally:
        with contextlib.suppress(OSError):  # such as a file where a folder should be: it is said above
            scratch.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file; see :func:`replacing`."""
    with replacing(path) as scratch:
        scratch.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8 with the line ends of Unix, so that a committed file is the same on every system."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON, indented by one."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_torch(path: str | Path, value: Any) -> None:
    """Write tensors, in containers, with ``torch.save``.

    Raises:
        RsnbError: the folder or the file cannot be written, or the disk is full.
    """
    import torch

    with replacing(path) as scratch:
        try:
            torch.save(value, scratch)
        except RuntimeError as error:  # torch's own words for a write that failed
            free = shutil.disk_usage(scratch.parent).free
            raise OSError(f"{free / 1e6:.0f} MB are free; {str(error).splitlines()[0][:80]}") from None


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same names, at least one, as comma-separated values under a head of these names."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def make_folder(path: str | Path) -> None:
    """Make the folder of a command's results, before anything is computed for it.

    Raises:
        RsnbError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RsnbError(f"{path} cannot be made ({error.strerror or error}); choose another --out") from None
    with replacing(Path(path) / ".rsnb-probe") as scratch:  # whether files can be written, too
        scratch.write_bytes(b"x")
    (Path(path) / ".rsnb-probe").unlink(missing_ok=True)


def megabytes(files: Iterable[Path]) -> str:
    """The size of files together, in MB or GB."""
    return readable_size(sum(path.stat().st_size for path in files))


def readable_size(size: int) -> str:
    """'12 MB', '1.5 GB'."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def reason(error: Exception) -> str:
    """What failed, in one line: the message of an RsnbError, or the kind of another error with its first line."""
    if isinstance(error, RsnbError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
