"""Execute the notebooks: ``rsnb run``. With the mini CLIP two run side by side, where there are cores for two.

The settings are handed over as ``RSNB_*`` variables. What comes out lies in one folder::

    outputs/<notebook>.ipynb    executed         outputs/figures/<notebook>-<figure>.png
    outputs/<notebook>.html     the same page    outputs/results.json
    outputs/index.html          links to all of them
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from rsnb.base import bars, paths
from rsnb.base.files import replacing, write_bytes, write_json
from rsnb.base.recalls import RECALLS
from rsnb.base.text import markdown_table
from rsnb.classroom import lesson
from rsnb.errors import RsnbError
from rsnb.publishing.contents import write_contents
from rsnb.publishing.execution import CellFailed, Job, Stopped, Watch, code_cells, execute
from rsnb.publishing.masters import FLAVOURS, build_notebooks
from rsnb.settings import Settings, resolve

__all__ = ["CellFailed", "Job", "find_notebooks", "notebooks_dir", "run_notebooks", "summary"]

PACKAGES = ("rsnb", "torch", "torchvision", "open_clip_torch", "numpy", "scikit-learn", "matplotlib")
LONGEST = (6, 3, 10, 4, 8, 5)  # begun first where two run side by side, so that both end at about the same time
MEMORY = 2 * 2**30  # bytes that a notebook needs at most with the mini CLIP


def notebooks_dir(folder: Path | None = None) -> Path:
    """Where the notebooks lie: the given folder, else those in an installed package, else those of the clone."""
    places = [paths.PACKAGE / "_shipped" / "notebooks", paths.PACKAGE.parent / "notebooks"]
    for place in [folder] if folder else places:
        if place.is_dir():
            return place
    raise RsnbError(
        f"no notebooks at {folder or ' or '.join(map(str, places))}; give --notebooks DIR, or run from a clone"
    )


def number_of(stem: str) -> int:
    """The number of a notebook, by which its name begins; 0 if there is none."""
    digits = re.match(r"\d*", stem)[0]
    return int(digits or 0)


def find_notebooks(folder: Path, only: tuple[int, ...] = ()) -> list[Path]:
    """The numbered notebooks of a folder in order; ``only`` picks by number."""
    found = {path: number_of(path.stem) for path in folder.glob("[0-9]*.ipynb")}
    chosen = sorted((number, path.name, path) for path, number in found.items() if not only or number in only)
    missing = sorted(set(only) - set(found.values()))
    if missing or not chosen:
        have = ", ".join(str(n) for n in sorted(set(found.values()))) or "none"
        wanted = ", ".join(map(str, missing)) or "any"
        raise RsnbError(f"no notebook number {wanted} in {folder}; there: {have}")
    return [path for _, _, path in chosen]


def run_notebooks(job: Job) -> dict:
    """Execute the notebooks, two side by side where that pays.

    Returns:
        The content of ``results.json``: ``records`` (one line per method shown), ``notebooks`` (seconds of
        each), ``versions``, ``stamp``.

    Raises:
        RsnbError: bad settings, or nothing to run.
        CellFailed: a cell raised; the half-executed notebook was written. What ran beside it was stopped.
    """
    folder = notebooks_dir(job.folder)
    settings = resolve({**os.environ, **job.settings})
    if job.inplace and settings.data != "toy":
        raise RsnbError(
            f"--inplace saves pictures into the notebooks, and those of {settings.data} must not be passed on; "
            "leave it out, and the results go to --out"
        )
    if job.inplace and (folder / "source").is_dir():
        for flavour, below in FLAVOURS.items():
            build_notebooks(folder / "source", folder / below, job.only, flavour)
    todo = find_notebooks(folder, job.only)
    results = Results(job.out / "results.json", {path.stem for path in todo}, keep=bool(job.only))
    results.content.update(stamp=settings.stamp, versions=versions_of_run())
    results.add()
    at_once = side_by_side(settings, len(todo))
    if at_once > 1:
        todo = sorted(todo, key=lambda path: (*LONGEST, number_of(path.stem)).index(number_of(path.stem)))
        if "OMP_NUM_THREADS" not in os.environ:
            job = replace(job, settings={"OMP_NUM_THREADS": "1", **job.settings})
    try:
        Batch(todo, job, results).run(at_once)
    finally:
        write_contents(job.out)
    if job.inplace and "04_retrieval_and_tsne" in results.stems:
        _readme_figure(job.out / "figures", folder / "figures")
    return results.content


def side_by_side(settings: Settings, notebooks: int) -> int:
    """How many notebooks run at once: two where each gets a core and its memory; a large CLIP uses all for itself."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    room = cores >= 2 and psutil.virtual_memory().available >= 2 * MEMORY
    return min(notebooks, 2 if room and settings.backbone == "mini" else 1)


class Results:
    """``results.json`` of a run. Each kernel records in a folder of its own; this process alone writes the file.

    Fields:
        stems: the notebooks of this run; their lines of an earlier run go, those of others stay if ``keep``.
        content: what the file holds, its lines in the order of the notebooks.
    """

    KEYS = {"records": "notebook", "notebooks": "name"}  # and which field of a line names its notebook

    def __init__(self, path: Path, stems: set[str], keep: bool):
        self.path, self.stems = path, stems
        self.content = lesson.read_results(path) if keep else {"records": [], "notebooks": []}
        for key, name in self.KEYS.items():
            self.content[key] = [line for line in self.content[key] if line.get(name) not in stems]

    def add(self, records: Sequence[dict] = (), notebooks: Sequence[dict] = ()) -> None:
        """Add lines and write the file."""
        for (key, name), lines in zip(self.KEYS.items(), (records, notebooks)):
            self.content[key] = sorted([*self.content[key], *lines], key=lambda line: number_of(line.get(name, "")))
        write_json(self.path, self.content)

    def collect(self, folder: Path) -> None:
        """Take over what a kernel saved: its figures, in the order of their making, and its records."""
        for picture in sorted(folder.glob("figures/*"), key=lambda path: path.stat().st_mtime_ns):
            write_bytes(self.path.parent / "figures" / picture.name, picture.read_bytes())
        self.add(records=lesson.read_results(folder / "results.json")["records"])


class Batch:
    """Notebooks that are executed side by side: the first that fails stops the others."""

    def __init__(self, todo: list[Path], job: Job, results: Results):
        self.waiting, self.count, self.done = deque(todo), len(todo), 0
        self.job, self.results = job, results
        self.watch, self.running = Watch(self.executed), []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.failure: BaseException | None = None

    def run(self, at_once: int) -> None:
        """Execute them all. The loop runs in a thread of its own, so that Ctrl-C comes to this one on every system."""
        ended = threading.Event()  # a thread whose join is interrupted counts as ended, although it runs on

        def loop() -> None:
            try:
                asyncio.run(self.work_side_by_side(at_once))
            except BaseException as error:
                self.failure = error
            ended.set()

        threading.Thread(target=loop, daemon=True).start()
        try:
            while not ended.wait(0.2):  # a wait without end would hold back Ctrl-C on Windows
                pass
        except KeyboardInterrupt:
            self.watch.stopping = True
            if self.loop and not ended.is_set():
                asyncio.run_coroutine_threadsafe(self.watch.stop(), self.loop)
            ended.wait()
            raise
        if self.failure:
            raise self.failure

    async def work_side_by_side(self, at_once: int) -> None:
        import nbformat

        self.loop = asyncio.get_running_loop()
        cells = sum(len(code_cells(nbformat.read(path, as_version=4))) for path in self.waiting)
        with bars.bar(total=cells, unit="cell", hidden=not self.job.progress) as self.bar:
            await asyncio.gather(*(self.work() for _ in range(at_once)))

    async def work(self) -> None:
        """Take notebooks from the queue until it is empty."""
        while self.waiting and not self.watch.stopping:
            path = self.waiting.popleft()
            self.show_running([*self.running, path.stem])
            try:
                await self.one(path)
            except Stopped:
                pass
            except Exception as error:
                self.failure = self.failure or error
                await self.watch.stop()
            finally:
                self.show_running([stem for stem in self.running if stem != path.stem])

    async def one(self, path: Path) -> None:
        # A short folder name: a socket's path must stay under about 100 characters.
        with tempfile.TemporaryDirectory(prefix="rsnb", ignore_cleanup_errors=True) as scratch:
            try:
                seconds, cells = await execute(path, self.job, Path(scratch), self.watch)
            finally:
                self.results.collect(Path(scratch) / "out")
        self.results.add(notebooks=[{"name": path.stem, "seconds": round(seconds, 1), "cells": cells}])
        self.done += 1
        if self.job.progress:
            self.bar.write(f"[{self.done}/{self.count}] {path.stem}: {seconds:.0f} s", file=sys.stderr)

    def show_running(self, stems: list[str]) -> None:
        self.running = stems
        self.bar.set_description(" + ".join(stems))

    def executed(self) -> None:
        self.bar.update(1)


def _readme_figure(made: Path, kept: Path) -> None:
    """The README's picture: notebook 4's images found for captions, as a JPEG."""
    source = made / "04_retrieval_and_tsne-text-to-image.png"
    if source.is_file() and kept.is_dir():
        from PIL import Image

        with replacing(kept / "retrieval.jpg") as scratch:
            Image.open(source, formats=("PNG",)).convert("RGB").save(scratch, "JPEG", quality=85, optimize=True)


def versions_of_run() -> dict[str, str]:
    """Python's, the system's and the packages' versions, for ``results.json``."""
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def summary(results: dict) -> str:
    """The closing table: a line per method, then seconds per notebook."""
    lines: list[str] = []
    unique: dict[tuple, dict] = {}
    for record in results["records"]:
        unique[(record["method"], record["stamp"])] = record
    if unique:
        stamps = {record["stamp"] for record in unique.values()}
        head = ("method", "trainable", "i2t R@1", "R@5", "R@10", "t2i R@1", "R@5", "R@10", "mR", "seconds")
        rows = [head + (("stamp",) if len(stamps) > 1 else ())]
        for record in unique.values():
            recalls = [f"{record['recalls'][name]:.2f}" for name in RECALLS]
            trainable = "-" if record["trainable"] is None else f"{record['trainable']:,}"
            seconds = "-" if record["seconds"] is None else f"{record['seconds']:.1f}"
            row = (record["method"], trainable, *recalls, f"{record['mr']:.2f}", seconds)
            rows.append(row + ((record["stamp"],) if len(stamps) > 1 else ()))
        if len(stamps) == 1:
            lines.append(stamps.pop())
        lines += ["", markdown_table(rows[0], rows[1:]), ""]
        lines += ["i2t: image to text, t2i: text to image, recall in percent; seconds of training", ""]
    rows = [("notebook", "seconds")] + [(n["name"], f"{n['seconds']:.1f}") for n in results["notebooks"]]
    rows.append(("sum", f"{sum(n['seconds'] for n in results['notebooks']):.1f}"))
    return "\n".join([*lines, markdown_table(rows[0], rows[1:])])
