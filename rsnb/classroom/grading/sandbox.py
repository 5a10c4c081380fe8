"""A process for a student's code: no network, nothing to read but Python and the package, bounds of memory and time."""

from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.classroom.grading import wire
from rsnb.errors import RsnbError

MEMORY = 4 * 1024**3  # bytes
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")


#: Of the package, what a student's process must not see: the solutions, and what tells a bug from a healthy run.
TRUTH = ("classroom/exercises", "classroom/bughunt/checks.py", "classroom/bughunt/__pycache__", "_shipped/notebooks")
#: What a Python needs of a system. Nothing else of it is there: no home, no other hand-in, no clone with its history.
SYSTEM = (
    "/usr",
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/sys/devices/system/cpu",
)
SPACE = 256 * 1024**2  # bytes that may be written, in memory


@cache
def confined() -> bool:
    """Whether this system can shut a process in: bubblewrap is there and may make namespaces."""
    tool = shutil.which("bwrap")
    if not sys.platform.startswith("linux") or tool is None:
        return False
    tried = [*_walls(tool), sys.executable, "-c", "import torch"]
    return subprocess.run(tried, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def need_walls() -> None:
    """Raise if this system cannot shut a process in."""
    if not confined():
        raise RsnbError(
            "this system cannot isolate what students wrote: that needs Linux with bubblewrap (sudo apt install "
            "bubblewrap). On a machine that holds nothing of value: --unsafe"
        )


def _walls(tool: str) -> list[str]:
    """Python and the package without its truth may be read, a folder in memory written; no network, and no other
    process is seen."""
    flags = [flag for path in SYSTEM for flag in ("--ro-bind-try", path, path)]
    flags += ["--dev", "/dev", "--proc", "/proc", "--size", str(SPACE), "--tmpfs", "/tmp"]
    for path in dict.fromkeys((sys.base_prefix, sys.prefix, str(paths.PACKAGE))):
        flags += ["--ro-bind", path, path]
    for path in (paths.PACKAGE / name for name in TRUTH):
        if path.exists():
            flags += ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", "/dev/null", str(path)]
    return [
        tool,
        *flags,
        "--remount-ro",
        "/",
        "--chdir",
        "/tmp",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--",
    ]


class Process:
    """A student's process with the cells of a notebook.

    Args:
        folder: where it may write if it is run without walls; behind them it has a folder in memory.
        unsafe: run it without walls, where the system has none.

    Raises:
        RsnbError: the system cannot shut it in, and it is not asked to run unsafe.
    """

    def __init__(self, folder: Path, seconds: float, unsafe: bool = False):
        if not unsafe:
            need_walls()
        walls = _walls(shutil.which("bwrap")) if confined() else []
        place = "/tmp" if walls else str(folder)
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        kept |= {"PYTHONPATH": str(paths.PACKAGE.parent), "OMP_NUM_THREADS": "1", "TMPDIR": place, "HOME": place}
        self.seconds, self.lines = seconds, queue.Queue()
        self.process = subprocess.Popen(
            [*walls, sys.executable, "-m", "rsnb.classroom.grading.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
            cwd=folder,
            preexec_fn=_bounds if os.name == "posix" else None,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in iter(lambda: self.process.stdout.readline(wire.LONGEST), b""):
            self.lines.put(line)
        self.lines.put(None)

    def ask(self, question: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """The answer to a question; {"error": ...} where the process ended or took too long, and it is then gone."""
        try:
            self.process.stdin.write((wire.written(question) + "\n").encode())
            self.process.stdin.flush()
            line = self.lines.get(timeout=seconds or self.seconds)
        except queue.Empty:
            self.close()
            return {"error": f"TimeoutError: stopped after {seconds or self.seconds:g} seconds"}
        except (OSError, ValueError):  # it ended, or was closed
            line = None
        if line is None:
            self.close()
            return {"error": "the process ended"}
        try:
            answer = wire.read(line)
            return answer if isinstance(answer, dict) else {"error": "ValueError: no answer"}
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            return {"error": f"ValueError: {error}"[:200]}

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bounds() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024**2, 64 * 1024**2))


def sent(value: Any) -> Any:
    """An input as it goes to the process: a suspect in its parts, and of what it does anew each time, three times."""
    if not dataclasses.is_dataclass(value):
        return value
    parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {"suspect": {**parts, "again": [value.again() for _ in range(3)]}}
