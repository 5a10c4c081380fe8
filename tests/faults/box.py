"""A case, the folder that it runs in, and what was seen of a command."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

REPO = Path(__file__).resolve().parents[2]
GRACE = 5.0  # seconds in which what a command has started must end after it


IMPORTS = 500.0  # MB of PyTorch and what comes with it


@dataclass
class Seen:
    """What a command did: exit status (negative: a signal), what it printed, seconds, peak memory, and whether it ran
    past its time, was killed on purpose, or left processes behind."""

    said: str
    code: int
    out: str
    err: str
    seconds: float
    megabytes: float
    late: bool = False
    killed: bool = False
    left: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Both streams."""
        return f"{self.out}\n{self.err}"

    @property
    def value(self) -> Any:
        """What a Python function gave back, or a command printed with --json."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Case:
    """One row. ``build(box)`` makes the input below box.data. ``run`` is a command line, in which {data}, {out} and
    {work} stand for the folders of the box, or a function of the box that gives a `Seen`. ``want(box, seen)`` raises an
    AssertionError that says what is not as it should be."""

    kind: str
    name: str
    build: Callable[[Box], Any] | None
    run: tuple[str, ...] | Callable[[Box], Seen]
    want: Callable[[Box, Seen], None]
    seconds: float = 60.0  # what each of its commands may take
    megabytes: float = 1200.0  # the peak of each, PyTorch and its libraries included
    keeps: bool = True  # whether box.data must be the same before and after
    slow: bool = False  # trains, or starts programs of its own: not among the fast ones

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass
class Box:
    """The folders of a case and its random numbers: ``data`` holds the input, ``out`` does not exist yet."""

    folder: Path
    seed: int
    limit: float = 60.0
    seen: list[Seen] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)  # what `build` knows and `want` asks for

    def __post_init__(self):
        self.rng = random.Random(self.seed)
        self.data, self.out, self.work = (self.folder / name for name in ("data", "out", "work"))
        self.home = self.folder / "home"
        for path in (self.data, self.work, self.home):
            path.mkdir(parents=True)

    def environment(self, **changes: str | None) -> dict[str, str]:
        """That of a command: no network, a home and a cache of its own. None takes a variable away."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RSNB_", "HF_"))}
        own = {"RSNB_BLOCK_SOCKETS": "1", "RSNB_CACHE": str(self.folder / "cache"), "HOME": str(self.home)}
        own |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8", "HF_HUB_OFFLINE": "1"}
        return {name: value for name, value in {**kept, **own, **changes}.items() if value is not None}

    def filled(self, words: tuple[str, ...]) -> list[str]:
        """A command line with the folders of this box."""
        places = {"{data}": self.data, "{out}": self.out, "{work}": self.work}
        for place, path in places.items():
            words = tuple(word.replace(place, str(path)) for word in words)
        return list(words)

    def command(
        self, *words: str, fresh: bool = False, before: Callable[[], Any] | None = None, **options: Any
    ) -> Seen:
        """Run ``rsnb WORDS``; ``fresh`` starts a new Python, else this one is forked, with all that is imported, and
        ``before`` is called in it first. Options: see `_watch`."""
        from rsnb.commands import cli

        argv = self.filled(words)
        if fresh:
            return self._watch(
                shown(argv), lambda **to: _program([sys.executable, "-m", "rsnb", *argv], **to), True, **options
            )

        def action() -> int:
            if before:
                before()
            return cli.main(argv)

        return self._watch(shown(argv), lambda **to: _forked(action, **to), **options)

    def call(self, function: Callable[..., Any], *given: Any, **options: Any) -> Seen:
        """Call a function in a forked process: what it gives back is printed as JSON, an RsnbError as the command line
        does it."""
        from rsnb.errors import RsnbError

        def action() -> int:
            try:
                print(json.dumps(function(*given), default=str))
                return 0
            except RsnbError as error:
                print(f"rsnb: {error}", file=sys.stderr)
                return 2

        return self._watch(getattr(function, "__name__", "call"), lambda **to: _forked(action, **to), **options)

    def _watch(
        self,
        said: str,
        start: Callable[..., int],
        fresh: bool = False,
        env: dict[str, str | None] | None = None,
        cwd: Path | None = None,
        stdout: Path | int | None = None,
        stderr: Path | int | None = None,
        stdin: int | None = None,
        kill_when: Callable[[], bool] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Seen:
        """Start a process in a session of its own, wait for its end, its time limit or ``kill_when``, and look at what
        it left. ``stdout``, ``stderr``: another file, or -1: closed. ``meanwhile`` is called once, when it runs."""
        n = len(self.seen)
        files = [self.folder / f"{n}.out", self.folder / f"{n}.err"]
        to = {"stdin": stdin, "stdout": files[0] if stdout is None else stdout}
        to |= {"stderr": files[1] if stderr is None else stderr}
        begun, held = time.monotonic(), psutil.Process().memory_info().rss / 1e6
        pid = start(env=self.environment(**(env or {})), cwd=cwd or self.work, **to)
        if meanwhile:
            meanwhile()
        late = killed = False
        while True:
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                break
            late = late or time.monotonic() - begun > self.limit
            if late or (kill_when is not None and not killed and kill_when()):
                killed = not late
                for one in _session(pid) if late else [pid]:
                    _kill(one)
            time.sleep(0.002)
        seconds = time.monotonic() - begun
        until = time.monotonic() + GRACE
        while (left := _session(pid)) and time.monotonic() < until:
            time.sleep(0.02)
        names = tuple(_name(one) for one in left)
        for one in left:
            _kill(one)
        code = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        if not fresh:  # a fork begins with what this process holds; count what its imports take
            peak = max(0.0, peak - held) + IMPORTS
        texts = [file.read_bytes().decode("utf-8", "replace") if file.exists() else "" for file in files]
        self.seen.append(Seen(said, code, *texts, seconds, peak, late, killed, names))
        return self.seen[-1]


def shown(argv: list[str]) -> str:
    return f"rsnb {' '.join(argv)}"


def _open(stdin: int | None, stdout: Path | int, stderr: Path | int) -> None:
    """The three streams of this process: a file, or -1: closed."""
    given = [os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin]
    given += [os.open(s, os.O_WRONLY | os.O_CREAT, 0o600) if isinstance(s, Path) else s for s in (stdout, stderr)]
    for number, one in enumerate(given):
        if one == -1:
            os.close(number)
        elif one != number:
            os.dup2(one, number)


def _forked(action: Callable[[], Any], env, cwd, stdin, stdout, stderr) -> int:
    """The process id of a fork that does the action and ends as ``python -m rsnb`` would."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        _open(stdin, stdout, stderr)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        sys.stdin = open(0, encoding="utf-8", closefd=False) if stdin != -1 else None  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        warnings.resetwarnings()
        result = action()
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120  # as Python itself ends
        os._exit(code)


def _program(argv: list[str], env, cwd, stdin, stdout, stderr) -> int:
    handles = [open(s, "wb") if isinstance(s, Path) else None if s == -1 else s for s in (stdout, stderr)]  # noqa: SIM115
    closed = [n for n, s in enumerate((stdin, stdout, stderr)) if s == -1]
    if closed:  # as a shell does it: >&-
        argv = ["/bin/sh", "-c", 'exec "$@" ' + " ".join(f"{n}>&-" for n in closed), "sh", *argv]
    process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=handles[0], stderr=handles[1],
                               start_new_session=True)  # fmt: skip
    for handle in handles:
        if hasattr(handle, "close"):
            handle.close()
    return process.pid


def _session(pid: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for one in psutil.pids():
        try:
            if os.getsid(one) == pid and psutil.Process(one).status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (OSError, psutil.Error):
            continue
    return found


def _name(pid: int) -> str:
    try:
        return f"{pid} {' '.join(psutil.Process(pid).cmdline())[:80]}"
    except psutil.Error:
        return str(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


# --- what must come of a case -----------------------------------------------------------------------------------
def says(seen: Seen, words: tuple[str, ...], never: tuple[str, ...] = ()) -> None:
    """Each pattern is found in what was printed (upper and lower case are one), and none of ``never``."""
    for word in words:
        assert re.search(word, seen.text, re.IGNORECASE), f"nothing says {word!r}"
    for word in never:
        found = re.search(word, seen.text, re.IGNORECASE)
        assert not found, f"it says {found[0]!r}"


def refused(*words: str, never: tuple[str, ...] = ()) -> Callable[[Box, Seen], None]:
    """It ends with 1 or 2, and says these words."""

    def want(box: Box, seen: Seen) -> None:
        assert seen.code in (1, 2), f"it ended with {seen.code}, as if nothing were wrong"
        assert re.search(r"(^|\r)rsnb[\w ]*: \S", seen.err, re.MULTILINE), (
            f"no line 'rsnb: ...' but {seen.err[-200:]!r}"
        )
        says(seen, words, never)

    return want


def fine(*words: str, never: tuple[str, ...] = ()) -> Callable[[Box, Seen], None]:
    """It ends with 0, and says these words."""

    def want(box: Box, seen: Seen) -> None:
        assert seen.code == 0, f"it ended with {seen.code}"
        says(seen, words, never)

    return want


def orderly(box: Box, seen: Seen) -> None:
    """It works, or it refuses: what holds for every case is enough."""


def gives(reference: Callable[[Box], Any] | Any) -> Callable[[Box, Seen], None]:
    """A function gave back what is written here, or what the function of the box makes."""

    def want(box: Box, seen: Seen) -> None:
        expected = json.loads(json.dumps(reference(box) if callable(reference) else reference, default=str))
        assert seen.code == 0, f"it ended with {seen.code}"
        assert seen.value == expected, f"not what it should be: {difference(seen.value, expected)}"

    return want


def difference(found: Any, expected: Any) -> str:
    """The first place where two values differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in [*expected, *(k for k in found if k not in expected)]:
            if found.get(key) != expected.get(key):
                return f"{key}: {str(found.get(key))[:200]} for {str(expected.get(key))[:200]}"
    return f"{str(found)[:200]} for {str(expected)[:200]}"
