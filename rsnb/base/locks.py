"""One process at a time: a lock on a file, which ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rsnb.errors import RsnbError

if os.name == "nt":
    import msvcrt

    def _take(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def alone(path: Path, every: float = 0.2) -> Iterator[None]:
    """Hold the lock ``path`` in the block: another process, or thread, that asks for it waits. The file is there while
    somebody holds it, and stays where its holder was killed; that keeps nobody out.

    Args:
        every: seconds between two tries.

    Raises:
        RsnbError: the file cannot be made, or the disk knows no locks.
    """
    while (file := _held(path)) is None:
        time.sleep(every)
    try:
        yield
    finally:
        _release(path, file)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock ``path``; its file is gone then."""
    file = _held(path)
    if file is not None:
        _release(path, file)
    return file is not None


def _release(path: Path, file: int) -> None:
    if os.name != "nt":  # while it is held, so that nobody else holds what is deleted
        path.unlink(missing_ok=True)
    os.close(file)
    if os.name == "nt":
        with contextlib.suppress(OSError):  # others wait for it
            path.unlink(missing_ok=True)


def _held(path: Path) -> int | None:
    """The open file with the lock on it; None if another holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT)
    except PermissionError:
        if os.name == "nt" and path.exists():  # it is being deleted
            return None
        raise RsnbError(f"{path} cannot be written; choose another folder") from None
    except OSError as error:
        raise RsnbError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None
    try:
        _take(file)
        if os.path.samestat(os.fstat(file), os.stat(path)):
            return file
    except (BlockingIOError, PermissionError, FileNotFoundError):  # held by another, or deleted in between
        pass
    except OSError as error:
        os.close(file)
        raise RsnbError(
            f"{path} cannot be locked ({error.strerror or error}); choose a folder on another disk"
        ) from None
    os.close(file)
    return None
