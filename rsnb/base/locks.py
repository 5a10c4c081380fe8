"""One process at a time: a lock on a file, which ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from rsnb.errors import RsnbError, RsnbWarning

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
    somebody holds it, and stays where its holder was killed; that keeps nobody out. On a disk that knows no locks
    nobody waits, with a warning.

    Args:
        every: seconds between two tries.

    Raises:
        RsnbError: the file cannot be made.
    """
    while (held := _held(path)) is None:
        time.sleep(every)
    file, locked = held
    if not locked:
        message = f"{path.parent} lies on a disk that knows no locks: do not train the same cell twice at once there"
        warnings.warn(message, RsnbWarning, stacklevel=3)
    try:
        yield
    finally:
        _release(path, file)


@contextlib.contextmanager
def only(path: Path, what: str) -> Iterator[None]:
    """Hold the lock ``path`` in the block, as :func:`alone`; but where another has it, do not wait.

    Args:
        what: is done in the folder of ``path``, such as "a training".

    Raises:
        RsnbError: another process, or thread, holds it, by its number and machine; or the file cannot be made.
    """
    held = _held(path)
    if held is None:
        raise RsnbError(
            f"{path.parent} is in use: {what} runs there{_holder(path)}; wait for it, or take another folder"
        )
    file, _ = held
    with contextlib.suppress(OSError):  # behind the byte that Windows locks
        os.ftruncate(file, 0)
        said = {"process": os.getpid(), "machine": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.write(file, b"\n" + json.dumps(said).encode())
    try:
        yield
    finally:
        _release(path, file)


def _holder(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(1)
            said = json.loads(file.read(1000))
        return f" (process {said['process']} on {said['machine']}, since {said['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def is_free(path: Path) -> bool:
    """Whether it is certain that nobody holds the lock ``path``; its file is gone then."""
    held = _held(path)
    if held is None:
        return False
    file, locked = held
    if locked:
        _release(path, file)
    else:
        os.close(file)
    return locked


def _release(path: Path, file: int) -> None:
    if os.name != "nt":  # while it is held, so that nobody else holds what is deleted
        path.unlink(missing_ok=True)
    os.close(file)
    if os.name == "nt":
        with contextlib.suppress(OSError):  # others wait for it
            path.unlink(missing_ok=True)


def _held(path: Path) -> tuple[int, bool] | None:
    """The open file, and whether there is a lock on it; None if another holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            raise RsnbError(f"{path} is a link, and nothing is written through one; delete it")
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0))  # Windows has none
    except OSError as error:
        if os.name == "nt" and isinstance(error, PermissionError) and path.exists():  # it is being deleted
            return None
        raise RsnbError(f"{path} cannot be written ({error.strerror or error}); choose another folder") from None
    try:
        _take(file)
        if os.path.samestat(os.fstat(file), os.stat(path)):
            return file, True
    except (BlockingIOError, PermissionError, FileNotFoundError):  # held by another, or deleted in between
        pass
    except OSError:
        return file, False
    os.close(file)
    return None
