"""Runs cases, each in a process of its own, and holds them to what is true of all of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from .box import Box, Case, Seen

SCREEN = 60  # lines of an error, at most
#: What a terminal would obey instead of show; a progress bar's own carriage return is none of it.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass
class Verdict:
    """What became of a case: "" or what is not as it should be, and all that was printed."""

    kind: str
    name: str
    wrong: str
    seconds: float
    printed: str


def judged(case: Case, seed: int = 0, keep: Path | None = None) -> Verdict:
    """Build, run and look. The random numbers of a case follow from the seed and its name."""
    folder, begun = Path(tempfile.mkdtemp(prefix="rsnb-fault-")).resolve(), time.monotonic()
    digest = hashlib.sha256(f"{seed} {case}".encode()).digest()
    box, wrong = Box(folder, int.from_bytes(digest[:8], "big"), case.seconds), ""
    try:
        if case.build:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case.build(box)
        before = contents(box.data)
        seen = case.run(box) if callable(case.run) else box.command(*case.run)
        for one in box.seen:
            hold(case, one)
        case.want(box, seen)
        after = contents(box.data)
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        assert not case.keeps or not changed, f"it changed the user's files: {', '.join(changed[:5])}"
    except AssertionError as error:
        wrong = str(error) or "".join(traceback.format_exc().splitlines()[-3:])
    except Exception:
        wrong = "the case itself fails: " + traceback.format_exc()
    finally:
        shutil.rmtree(folder, onerror=_writable)
    printed = "\n".join(
        f"$ {s.said}\n{s.out}{s.err}[{s.code}, {s.seconds:.1f} s, {s.megabytes:.0f} MB]" for s in box.seen
    )
    return Verdict(case.kind, case.name, wrong, round(time.monotonic() - begun, 2), printed)


def hold(case: Case, seen: Seen) -> None:
    """What is true of every command, whatever it was given."""
    assert "Traceback (most recent call last)" not in seen.text, f"a traceback: {last_line(seen.err)}"
    assert "Exception ignored" not in seen.text, f"an exception that nobody caught: {last_line(seen.err)}"
    assert not seen.late, f"it did not end within {case.seconds:.0f} s"
    assert not seen.left, f"it left processes behind: {'; '.join(seen.left)}"
    assert seen.megabytes <= case.megabytes, f"it took {seen.megabytes:.0f} MB, more than {case.megabytes:.0f}"
    raw = CONTROL.search(seen.text)
    assert not raw, f"it prints the control character {raw[0]!r} as it is"
    if seen.killed:
        return
    assert seen.code in (0, 1, 2, 130), f"it ended with {seen.code}"
    if seen.code:
        assert len(seen.err.splitlines()) <= SCREEN, f"an error of {len(seen.err.splitlines())} lines"


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "nothing"


def contents(folder: Path) -> dict[str, str]:
    """Every path below a folder with a digest of what it is; pipes and devices are never opened."""
    found = {}
    for top, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(top, name)
            mode = path.lstat().st_mode
            held = os.readlink(path) if stat.S_ISLNK(mode) else ""
            held = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else held
            found[str(path.relative_to(folder))] = f"{stat.S_IFMT(mode):o} {held}"
    return found


def _writable(remove, path, error) -> None:
    """A folder that a case has made read only."""
    try:
        os.chmod(Path(path).parent, 0o700)
        os.chmod(path, 0o700)
        remove(path)
    except OSError:
        pass


def run(cases: Iterable[Case], seed: int = 0, at_once: int = 2, say: Callable[[Verdict], None] = lambda v: None):
    """The verdicts of the cases, in their order; each is judged in a fork of this process."""
    waiting, running, found = list(enumerate(cases)), {}, {}
    with tempfile.TemporaryDirectory(prefix="rsnb-verdicts-") as folder:
        while waiting or running:
            while waiting and len(running) < at_once:
                at, case = waiting.pop(0)
                running[_judge_in_fork(case, seed, Path(folder, str(at)))] = at, case
            pid, _ = os.wait()
            if pid not in running:
                continue
            at, case = running.pop(pid)
            file = Path(folder, str(at))
            lost = Verdict(case.kind, case.name, "the process that judged it died", 0.0, "")
            found[at] = Verdict(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else lost
            say(found[at])
    return [found[at] for at in sorted(found)]


def _judge_in_fork(case: Case, seed: int, file: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        verdict = json.dumps(asdict(judged(case, seed)))
        file.write_text(verdict, encoding="utf-8")
    finally:
        os._exit(0)
