"""Kills, disks, folders in the way, two processes at once, and the files that a run leaves."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import make
from .box import Box, Case, Seen, fine, refused

KILLED, STATE = "a killed run goes on and gives the same", "a damaged state is named"
ORPHANS, TWICE = "workers end with their parent", "one process at a time in a run's folder"
WHERE, DISK = "a folder that cannot be written is refused at once", "a full or vanished disk ends in one line"
OWN = "a user's file is never overwritten"
TRAIN = ("train", "--data", "{data}", "--batch-size", "8", "--out", "{out}", "--epochs")


def many(box: Box) -> None:
    make.small_set(box, train=40, test=8)


def outcome(folder: Path) -> dict[str, Any]:
    """What a run found, without its times."""
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    history = [{k: v for k, v in row.items() if "seconds" not in k} for row in found["history"]]
    test = {k: v for k, v in found["test"].items() if k != "seconds"}
    return {"history": history, "test": test, "best": found["best_epoch"]}


def killed_once(when: Callable[[Box], Callable[[], bool]]) -> Callable[[Box], Seen]:
    """Train; train elsewhere with a kill, and again: both must give the same."""

    def run(box: Box) -> Seen:
        whole = tuple(word.replace("{out}", "{work}/whole") for word in TRAIN)
        box.command(*whole, "4")
        box.command(*TRAIN, "4", kill_when=when(box))
        last = box.command(*TRAIN, "4")
        if not box.seen[-2].killed and last.code == 2:  # it was done before the kill
            last = box.seen[-2]
        box.notes |= {"whole": outcome(box.work / "whole"), "killed": outcome(box.out)}
        return last

    return run


def same_outcome(box: Box, seen: Seen) -> None:
    fine()(box, seen)
    assert box.notes["whole"] == box.notes["killed"], "the run that was killed found something else"


def after(seconds: float) -> Callable[[Box], Callable[[], bool]]:
    def when(box: Box) -> Callable[[], bool]:
        until = time.monotonic() + seconds * box.rng.uniform(0.5, 1.5)
        return lambda: time.monotonic() > until

    return when


def there(pattern: str) -> Callable[[Box], Callable[[], bool]]:
    return lambda box: lambda: any(box.out.rglob(pattern))


def not_trained_again(*words: str) -> Callable[[Box], Seen]:
    """Kill between the training and its result; what the second start trains again is counted."""

    def run(box: Box) -> Seen:
        box.command(*words, kill_when=there("done.json")(box))
        states = {path: path.stat().st_mtime_ns for path in box.out.rglob("state.pt")}
        last = box.command(*words)
        box.notes["again"] = [p.name for p, then in states.items() if p.exists() and p.stat().st_mtime_ns != then]
        return last

    return run


def nothing_again(box: Box, seen: Seen) -> None:
    fine()(box, seen)
    assert not box.notes["again"], "a finished training was trained again"


# --- a state that is something else -----------------------------------------------------------------------------
def with_state(damage: Callable[[Box, Path], None], name: str = "state.pt") -> Callable[[Box], Seen]:
    def run(box: Box) -> Seen:
        box.command(*TRAIN, "30", kill_when=there("state.pt")(box))
        damage(box, box.out / name)
        return box.command(*TRAIN, "30", kill_when=after(8)(box))

    return run


def torch_saved(value: Callable[[dict], Any]) -> Callable[[Box, Path], None]:
    def damage(box: Box, path: Path) -> None:
        import torch

        torch.save(value(torch.load(path, weights_only=True)), path)

    return damage


def other_shapes(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "weights": {name: value[..., :1] for name, value in state["weights"].items()}}


def named_or_gone_on(box: Box, seen: Seen) -> None:
    if not seen.killed:
        refused("state|unfinished|run")(box, seen)


def named(box: Box, seen: Seen) -> None:
    assert not seen.killed, "it trained on"
    refused("state|unfinished|run")(box, seen)


def a_folder_there(box: Box, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


STATES: dict[str, Callable[[Box, Path], None]] = {
    "cut off": make.cut,
    "noise": lambda box, path: path.write_bytes(box.rng.randbytes(3000)),
    "empty": lambda box, path: path.write_bytes(b""),
    "a list": torch_saved(lambda state: [1, 2]),
    "no key": torch_saved(lambda state: {k: v for k, v in state.items() if k != "key"}),
    "no weights": torch_saved(lambda state: {k: v for k, v in state.items() if k != "weights"}),
    "no result": torch_saved(lambda state: {k: v for k, v in state.items() if k != "result"}),
    "other shapes": torch_saved(other_shapes),
    "a result that is no JSON": torch_saved(lambda state: {**state, "result": "{"}),
    "a folder": a_folder_there,
}


# --- workers ----------------------------------------------------------------------------------------------------
def killed_after(seconds: float, *words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, kill_when=after(seconds)(box))


def was_killed(box: Box, seen: Seen) -> None:
    assert seen.killed, f"it ended by itself with {seen.code}: {seen.err[-200:]}"


# --- two processes ----------------------------------------------------------------------------------------------
def two_at_once(*words: str, pattern: str) -> Callable[[Box], Seen]:
    """Start a second one while the first works; gives the first."""

    def run(box: Box) -> Seen:
        def second() -> None:
            until = time.monotonic() + 20
            while not any(box.out.rglob(pattern)) and time.monotonic() < until:
                time.sleep(0.01)
            box.notes["second"] = box.command(*words)

        return box.command(*words, meanwhile=second)

    return run


def one_works(box: Box, seen: Seen) -> None:
    """One ends with 0; the other says who holds the folder, or waited for it and had nothing left to do."""
    both = seen, box.notes["second"]
    assert any(one.code == 0 for one in both), f"they ended with {[one.code for one in both]}"
    for one in both:
        if one.code:
            refused("process|holds|running|pid|finished")(box, one)


# --- where results go -------------------------------------------------------------------------------------------
def a_file(box: Box) -> str:
    (box.work / "file").write_text("mine", encoding="utf-8")
    return str(box.work / "file")


def below_a_file(box: Box) -> str:
    return f"{a_file(box)}/out"


def a_loop(box: Box) -> str:
    (box.work / "loop").symlink_to("loop")
    return str(box.work / "loop")


def a_pipe(box: Box) -> str:
    os.mkfifo(box.work / "pipe")
    return str(box.work / "pipe")


BAD_PLACES: dict[str, Callable[[Box], str]] = {
    "a file": a_file,
    "below a file": below_a_file,
    "/proc": lambda box: "/proc/rsnb/out",
    "a name of 300 characters": lambda box: str(box.work / ("x" * 300)),
    "a link to itself": a_loop,
    "a named pipe": a_pipe,
}
WRITERS: dict[str, tuple[str, ...]] = {
    "train": ("train", "--epochs", "1", "--out"),
    "benchmark": ("benchmark", "--methods", "mrs", "--seeds", "1", "--epochs", "1", "--search-epochs", "0", "--out"),
    "ablate": ("ablate", "--vary", "adapter.bottleneck=8", "--seeds", "1", "--epochs", "1", "--out"),
    "pretrain": ("pretrain", "--images", "64", "--steps", "1", "--out"),
    "toy": ("toy", "--count", "1", "--test-count", "1", "--out"),
    "run": ("run", "--only", "1", "--quick", "--out"),
    "notebooks": ("notebooks",),
    "pack": ("pack",),
    "site": ("site", "--out"),
    "fetch": ("fetch", "vit-b-32", "--out"),
}


def into(place: Callable[[Box], str], *words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, place(box))


def limited(size: int) -> Callable[[], None]:
    """No file may be larger: what a write meets on a full disk, at some byte."""

    def before() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before


def on_a_full_disk(size: int, *words: str) -> Callable[[Box], Seen]:
    return lambda box: box.command(*words, before=limited(size))


def vanishing(box: Box) -> Seen:
    """The folder is deleted while the run works."""

    def delete() -> None:
        until = time.monotonic() + 20
        while not (box.out / "state.pt").exists() and time.monotonic() < until:
            time.sleep(0.01)
        shutil.rmtree(box.out, ignore_errors=True)
        box.out.write_text("a file in its place", encoding="utf-8")

    return box.command(*TRAIN, "12", meanwhile=delete)


# --- files of the user ------------------------------------------------------------------------------------------
def own_files(*names: str) -> Callable[[Box], None]:
    def build(box: Box) -> None:
        for name in names:
            path = box.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"mine: {name}", encoding="utf-8")

    return build


def files_stay(*names: str) -> Callable[[Box, Seen], None]:
    def want(box: Box, seen: Seen) -> None:
        for name in names:
            path = box.data / name
            kept = path.exists() and path.read_text(encoding="utf-8", errors="replace") == f"mine: {name}"
            assert kept, f"the user's {name} is {'another' if path.exists() else 'gone'}"

    return want


TAKEN: dict[tuple[str, ...], tuple[str, ...]] = {
    ("pack", "{data}"): ("README.txt", "wheels/notes-1.0-py3-none-any.whl"),
    ("notebooks", "{data}"): ("01_inspect_the_data.ipynb", "figures/mine.png"),
    ("toy", "--count", "1", "--test-count", "1", "--out", "{data}"): ("dataset_toy.json", "images/airport_0.jpg"),
    ("train", "--epochs", "1", "--limit", "24", "--out", "{data}"): ("adapter.safetensors", "history.csv"),
    ("bench", "--parts", "memory", "--out", "{data}/mine.json"): ("mine.json",),
    ("site", "--notebooks", "notebooks", "--out", "{data}"): ("index.html",),
    ("data", "toy", "--sheet", "{data}/mine.png"): ("mine.png",),
}
CASES = [
    *(
        Case(KILLED, f"after a while, {n}", many, killed_once(after(0.6 + 0.5 * n)), same_outcome, slow=True)
        for n in range(4)
    ),
    Case(KILLED, "after the first epoch", many, killed_once(there("state.pt")), same_outcome, slow=True),
    Case(KILLED, "after the last epoch", many, killed_once(there("done.json")), same_outcome, slow=True),
    Case(
        KILLED, "while the adapter is written", many, killed_once(there("adapter.safetensors")), same_outcome, slow=True
    ),
    *(
        Case(
            KILLED,
            f"{words[0]}: between training and result",
            many,
            not_trained_again(*words),
            nothing_again,
            slow=True,
        )
        for words in (
            (*WRITERS["benchmark"], "{out}", "--data", "{data}", "--batch-size", "8"),
            (*WRITERS["ablate"], "{out}", "--data", "{data}", "--set", "batch_size=8"),
        )
    ),
    *(Case(STATE, name, many, with_state(damage), named, slow=True) for name, damage in STATES.items()),
    Case(STATE, "other bits", many, with_state(make.flip), named_or_gone_on, slow=True),
    Case(
        ORPHANS,
        "toy --workers 2",
        None,
        killed_after(1.5, "toy", "--workers", "2", "--out", "{out}"),
        was_killed,
        slow=True,
    ),
    Case(
        ORPHANS,
        "pretrain, drawing",
        None,
        killed_after(2.5, "pretrain", "--images", "40000", "--out", "{out}"),
        was_killed,
        slow=True,
    ),
    Case(
        ORPHANS,
        "bench",
        None,
        killed_after(5, "bench", "--parts", "memory,step", "--rounds", "50"),
        was_killed,
        megabytes=4000,  # a ViT-B/32 in training
        slow=True,
    ),
    Case(TWICE, "train", many, two_at_once(*TRAIN, "12", pattern="state.pt"), one_works, slow=True),
    Case(
        TWICE,
        "benchmark",
        many,
        two_at_once(
            *WRITERS["benchmark"][:-3],
            "--epochs",
            "8",
            "--search-epochs",
            "0",
            "--out",
            "{out}",
            "--data",
            "{data}",
            "--batch-size",
            "8",
            pattern="state.pt",
        ),
        one_works,
        slow=True,
    ),
    *(
        Case(WHERE, f"{writer}, {name}", None, into(place, *words), refused(), seconds=30, slow=True)
        for writer, words in WRITERS.items()
        for name, place in BAD_PLACES.items()
    ),
    *(
        Case(
            DISK,
            f"train, {size:,} bytes a file",
            many,
            on_a_full_disk(size, *TRAIN, "2"),
            refused("written|disk|space|large"),
            slow=True,
        )
        for size in (10_000, 60_000, 200_000)
    ),
    Case(
        DISK,
        "toy, 1,000 bytes a file",
        None,
        on_a_full_disk(1000, "toy", "--count", "1", "--out", "{out}"),
        refused(),
        slow=True,
    ),
    Case(
        DISK,
        "search, no cache can be written",
        many,
        on_a_full_disk(5000, "search", "a boat", "--data", "{data}"),
        fine(),
    ),
    Case(DISK, "the folder vanishes", many, vanishing, refused(), slow=True),
    *(
        Case(OWN, f"rsnb {' '.join(words)}", own_files(*names), words, files_stay(*names), keeps=False, slow=True)
        for words, names in TAKEN.items()
    ),
]
