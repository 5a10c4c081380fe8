"""A process for a student's code: no network, nothing to write but its own folder, bounds of memory and time."""

from __future__ import annotations

import dataclasses
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from rsnb.base import paths
from rsnb.classroom.grading import wire
from rsnb.errors import RsnbError

MEMORY = 4 * 1024**3  # bytes
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "HOME", "SYSTEMROOT")


def confined() -> bool:
    """Whether this system can shut a process in: bubblewrap is there and may make namespaces."""
    tool = shutil.which("bwrap")
    if not sys.platform.startswith("linux") or tool is None:
        return False
    tried = subprocess.run([*_walls(tool, "/tmp"), "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return tried.returncode == 0


#: Of the package, what a student's process must not see: the solutions, and what tells a bug from a healthy run.
TRUTH = ("classroom/exercises", "classroom/bughunt/checks.py")


def _walls(tool: str, folder: str) -> list[str]:
    """Everything may be read but people's folders and the truth, nothing written but in the folder; no network, and no
    other process is seen."""
    hidden = [path for path in ("/home", "/root", "/work", "/tmp") if Path(path).is_dir()]
    needed = sorted({str(paths.PACKAGE), sys.prefix, sys.base_prefix})
    flags = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    flags += [flag for path in hidden for flag in ("--tmpfs", path)]
    flags += [
        flag for path in needed if path.startswith(tuple(f"{h}/" for h in hidden)) for flag in ("--ro-bind", path, path)
    ]
    for name in TRUTH:
        path = str(paths.PACKAGE / name)
        flags += ["--tmpfs", path] if Path(path).is_dir() else ["--ro-bind", "/dev/null", path]
    flags += ["--tmpfs", str(notebooks)] if (notebooks := paths.PACKAGE / "notebooks").is_dir() else []
    walls = ["--unshare-all", "--die-with-parent", "--new-session"]
    return [tool, *flags, "--bind", folder, folder, "--chdir", folder, *walls]


class Process:
    """A student's process with the cells of a notebook.

    Args:
        folder: the only place where it may write. unsafe: run it without walls, where the system has none.

    Raises:
        RsnbError: the system cannot shut it in, and it is not asked to run unsafe.
    """

    def __init__(self, folder: Path, seconds: float, unsafe: bool = False, walls: bool | None = None):
        shut = confined() if walls is None else walls
        if not shut and not unsafe:
            raise RsnbError(
                "this system cannot shut in what students wrote: it takes Linux with bubblewrap (sudo apt install "
                "bubblewrap). On a machine that holds nothing of value: --unsafe"
            )
        program = [sys.executable, "-m", "rsnb.classroom.grading.worker"]
        tool = [*_walls(shutil.which("bwrap") or "bwrap", str(folder)), "--"] if shut else []
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        kept |= {"PYTHONPATH": str(paths.PACKAGE.parent), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
        self.seconds, self.lines = seconds, queue.Queue()
        self.process = subprocess.Popen(
            [*tool, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "HOME": str(folder)},
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
