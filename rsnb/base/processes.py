"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from typing import IO


def end_with_parent() -> None:
    """For a process of ``multiprocessing``, such as a worker of a pool: its initializer."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        _when_done(parent.join)


def end_with_input(stream: IO[str] | None = None) -> None:
    """For another process, whose standard input is a pipe from its parent."""
    stream = stream or sys.stdin
    if stream is not None:
        _when_done(stream.read)


def _when_done(wait) -> None:
    def watch() -> None:
        try:
            wait()
        finally:
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
