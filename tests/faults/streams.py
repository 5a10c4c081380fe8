"""Streams, encodings, and what is printed: a closed or full output, no home, names that a terminal would obey."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import make
from .box import Box, Case, Seen, fine, orderly, refused
from .captions import REPORT
from .make import Row

STREAMS, ENCODING = "a closed or full output ends in one line", "another encoding of the terminal stops nothing"
PLACES, ESCAPED = "no home, no temporary folder, no working folder", "names and captions are printed as text"
COMMANDS = (
    ("data", "toy", "--no-images"),
    ("fetch",),
    ("exercises",),
    ("search", "a boat", "--limit", "24"),
    ("audit", "--part", "arithmetic"),
    ("--help",),
    ("data", "nowhere"),
)


def closed(stdout: Any, stderr: Any = None, *words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, fresh=True, stdout=stdout, stderr=stderr)


def full(box: Box, seen: Seen) -> None:
    """What could not be written is no success."""
    assert seen.code in (1, 2), f"it ended with {seen.code}, though nothing could be written"


def broken_pipe(*words: str) -> Callable[[Box], Seen]:
    """The reader is gone before anything is written."""

    def run(box: Box) -> Seen:
        read, write = os.pipe()
        os.close(read)
        try:
            return box.command(*words, fresh=True, stdout=write)
        finally:
            os.close(write)

    return run


def no_input(*words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, fresh=True, stdin=-1)


# --- encodings --------------------------------------------------------------------------------------------------
def foreign(box: Box) -> None:
    """Names and captions of several scripts."""
    texts = ("机场上停着许多飞机", "ein Fluß bei Zürich", "много самолётов стоит", "a ﬁeld – “wide” 🛩 and flat")
    names = ("机场", "fluß", "аэродром", "plane")
    parts = ["train"] * 8 + ["test"] * 3
    rows = [Row(f"{names[n % 4]}_{n}.png", part, (f"{texts[n % 4]} {n}",)) for n, part in enumerate(parts)]
    make.karpathy(box.data, rows)
    make.pictures(box.data / "images", [r.name for r in rows])


ENCODINGS: dict[str, dict[str, str | None]] = {
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": None},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
}


def encoded(env: dict[str, str | None], *words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, fresh=True, env=env)


# --- places -----------------------------------------------------------------------------------------------------
def nowhere_to_be() -> None:
    """The working folder is deleted."""
    gone = tempfile.mkdtemp()
    os.chdir(gone)
    shutil.rmtree(gone)


def nowhere_for_scratch() -> None:
    tempfile.tempdir = None
    tempfile._candidate_tempdir_list = lambda: ["/nonexistent/folder"]


def no_user() -> None:
    """A user without an entry and without HOME, as in some containers."""
    import pwd

    def unknown(*given: Any) -> Any:
        raise KeyError("getpwuid(): uid not found")

    os.environ.pop("HOME", None)
    os.environ.pop("RSNB_CACHE", None)
    pwd.getpwuid = unknown


def in_place(before: Callable[[], None], *words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, before=before)


def cache_at(make_place: Callable[[Box], str]) -> Callable[[Box], Seen]:
    return lambda box: box.command("search", "a boat", "--limit", "24", env={"RSNB_CACHE": make_place(box)})


def a_file(box: Box) -> str:
    (box.work / "file").write_text("mine", encoding="utf-8")
    return str(box.work / "file")


NO_PLACE = {"no working folder": nowhere_to_be, "no temporary folder": nowhere_for_scratch, "no home": no_user}
STARTED = (
    ("data", "toy", "--no-images"),
    ("doctor",),
    ("search", "a boat", "--limit", "24"),
    ("fetch",),
    ("data", "~nosuchuser/x"),
)

# --- what a terminal would obey ---------------------------------------------------------------------------------
OBEYED = {
    "an escape sequence": "\x1b[2J\x1b[31m",
    "a window's title": "\x1b]0;owned\x07",
    "C1 controls": "\x9b31m\x85",
    "right to left": "\u202egnp.\u2066x",
    "a backspace": "\x08\x08\x08",
}


def obeyed(text: str, where: str) -> Callable[[Box], None]:
    """A name, a caption, or a split that holds it."""

    def build(box: Box) -> None:
        rows = make.plain_rows(8, 3)
        changed = {
            "caption": Row(rows[0].name, "train", (f"a boat {text} at sea",)),
            "missing name": Row(f"gone{text}.png", "train", ("a boat at sea here",)),
            "split": Row(rows[0].name, f"tr{text}", ("a boat at sea here",)),
        }[where]
        make.karpathy(box.data, [changed, *rows[1:]])
        make.pictures(box.data / "images", [r.name for r in rows])

    return build


SEARCH = ("search", "a boat at sea", "--data", "{data}", "--split", "all", "--k", "11")
CASES = [
    *(
        Case(STREAMS, f"stdout closed: {' '.join(words)}", None, closed(-1, None, *words), orderly, slow=True)
        for words in COMMANDS
    ),
    *(
        Case(STREAMS, f"stdout full: {' '.join(words)}", None, closed(Path("/dev/full"), None, *words), full, slow=True)
        for words in COMMANDS
        if words != ("--help",)  # whose failure argparse passes over
    ),
    *(
        Case(STREAMS, f"both closed: {' '.join(words)}", None, closed(-1, -1, *words), orderly, slow=True)
        for words in COMMANDS[::3]
    ),
    *(
        Case(STREAMS, f"broken pipe: {' '.join(words)}", None, broken_pipe(*words), orderly, slow=True)
        for words in COMMANDS[:4]
    ),
    *(
        Case(STREAMS, f"no stdin: {' '.join(words)}", None, no_input(*words), fine(), slow=True)
        for words in COMMANDS[:4:3]
    ),
    *(
        Case(ENCODING, f"{name}: rsnb {' '.join(words[:2])}", foreign, encoded(env, *words), fine(), slow=True)
        for name, env in ENCODINGS.items()
        for words in (
            REPORT,
            ("search", "a boat", "--data", "{data}"),
            ("search", "飞机", "--data", "{data}", "--json"),
        )
    ),
    *(
        Case(PLACES, f"{name}: rsnb {' '.join(words[:2])}", None, in_place(before, *words), orderly)
        for name, before in NO_PLACE.items()
        for words in STARTED
    ),
    *(
        Case(PLACES, f"the cache is {name}", None, cache_at(place), fine())
        for name, place in {"a file": a_file, "in /proc": lambda box: "/proc/rsnb/cache"}.items()
    ),
    *(
        Case(ESCAPED, f"{name} in a {where}, rsnb {run[0]}", obeyed(text, where), run, orderly)
        for name, text in OBEYED.items()
        for where, run in (("caption", REPORT), ("caption", SEARCH), ("missing name", REPORT), ("split", REPORT))
    ),
    *(
        Case(ESCAPED, f"{name} on the command line", None, ("data", f"no{text}where"), refused())
        for name, text in OBEYED.items()
    ),
]
