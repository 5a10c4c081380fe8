"""Build an index of tiles, or bring it up to date: only what is new or has changed is encoded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from rsnb.base import bars
from rsnb.base.files import make_folder
from rsnb.base.locks import only
from rsnb.errors import RsnbError
from rsnb.tiles.files import File, files_of, root_of
from rsnb.tiles.foreign import best_of_foreign
from rsnb.tiles.identity import Encoder, identity, refuse_another
from rsnb.tiles.places import Window, bounds
from rsnb.tiles.reading import How, Opened, how_to_read
from rsnb.tiles.store import FORMAT, LOCK, Writer, is_index, need_folder, open_blocks, read_about, read_table, schema

if TYPE_CHECKING:
    import pyarrow as pa

A, B = TypeVar("A"), TypeVar("B")
READERS = 4  # threads that decode while the model computes
LARGE = 1024  # pixels, which a model sees as some hundred
EVERY = 60.0  # seconds after which what was encoded is kept at the latest


@dataclass
class Built:
    """What became of a source: tiles in the index, files encoded now, tiles dropped, tiles without data, {file: why} of
    those left out, and seconds."""

    tiles: int = 0
    encoded: int = 0
    dropped: int = 0
    empty: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """In one line."""
        parts = [f"{self.tiles:,} tiles", f"{self.encoded:,} encoded in {self.seconds:.0f} s"]
        parts += [f"{self.dropped:,} dropped"] * bool(self.dropped)
        parts += [f"{self.empty:,} without data left out"] * bool(self.empty)
        parts += [f"{len(self.bad):,} file{'s' * (len(self.bad) > 1)} left out"] * bool(self.bad)
        return "; ".join(parts)


def build(
    source: Path,
    folder: Path,
    model: Encoder,
    file: Path | None = None,
    asset: str | None = None,
    batch_size: int = 64,
    progress: bool = False,
    say: Callable[[str], None] | None = None,
    **reading: Any,
) -> Built:
    """Index ``source`` in ``folder``; an index that is there is brought up to date.

    Args:
        file: the adapter's file, which the index remembers.
        asset: which asset of STAC items.
        say: is given a line each time that something was kept.
        reading: tile, overlap, bands, scale of :func:`rsnb.tiles.reading.how_to_read`; of an index that is there,
            what it was made with.

    Raises:
        RsnbError: nothing to index, an index of another model or of tiles cut in another way, a full disk: the index
            has what was kept until then.
    """
    begun = time.perf_counter()
    reading = {name: value for name, value in reading.items() if value is not None}
    need_folder(folder, source)
    if asset is None and is_index(folder):
        asset = read_about(folder)["source"]["asset"]
    files, bad = files_of(source, asset)
    root, built = root_of(source), Built(bad=bad)
    make_folder(folder)
    with only(folder / LOCK, "an indexing"):
        if is_index(folder):
            about = read_about(folder)
            how, table = _as_before(folder, about, model, asset, reading), read_table(folder, about)
        else:
            about = {"format": FORMAT, "width": model.clip.embed_dim, "blocks": [], "complete": False}
            how, table = how_to_read(root, files, **reading), schema().empty_table()
        about["model"] = identity(model, file or _file_of(about))
        about["source"] = {"root": str(root.absolute()), "name": source.name, "asset": asset, **how.to_dict()}
        known, dead = _known(table, files)
        if len(dead) and not {file.path for file in files} & set(table["path"].to_pylist()):
            raise RsnbError(
                f"{folder} is an index of other files: none of its {len(dead):,} tiles is in {source}; take "
                "another --out"
            )
        jobs = _Jobs(files, known, root, how, about["complete"], bad)
        writer = Writer(folder, {**about, "complete": False}, table)
        try:
            _encode(writer, jobs, model, batch_size, built, progress, say)
        except KeyboardInterrupt:
            writer.commit()
            raise
        built.encoded = writer.table.num_rows - len(dead)
        writer.drop(np.concatenate([dead, np.zeros(built.encoded, dtype=bool)]))
        built.dropped, built.tiles = int(dead.sum()), writer.table.num_rows
        if not built.tiles:
            raise RsnbError(f"{source} holds no image that can be read: {_first(bad)}")
        foreign = best_of_foreign(model, open_blocks(folder, writer.about))
        extent = extent_of(writer.table)
        writer.commit(complete=True, bad=bad, foreign=foreign, extent=extent)
    built.seconds, built.remarks = time.perf_counter() - begun, remarks_on(how, writer.table)
    return built


def remarks_on(how: How, table: pa.Table) -> list[str]:
    """What a reader of the index should know of how its files became pictures."""
    found, view = [], how.view
    ranges = view.ranges if view else ()
    found += [
        f"numbers of type {name}: {low:g} is black, {high:g} white" for name, low, high in ranges if name != "any"
    ]
    large = [path for path, width in zip(table["path"].to_pylist(), table["width"].to_pylist()) if width > LARGE]
    if large and not how.tile:
        found.append(f"{large[0]} is one tile although it is wide: --tile 256 cuts a GeoTIFF into tiles")
    return found


def _as_before(folder: Path, about: dict[str, Any], model: Encoder, asset: str | None, reading: dict[str, Any]) -> How:
    """How the files of an index were read; what is asked for now must be the same, or not be given."""
    refuse_another(about["model"], model, folder)
    how = How.from_dict(about["source"])
    bands = how.view.bands if how.view else None
    scale = next(((low, high) for name, low, high in how.view.ranges if name == "any"), None) if how.view else None
    then = {"tile": how.tile, "overlap": how.overlap, "bands": bands, "scale": scale, "asset": about["source"]["asset"]}
    for name, value in {**reading, "asset": asset}.items():
        if value and value != then[name]:
            raise RsnbError(f"{folder} was made with {name} {then[name]}, not {value}; take another --out")
    return how


def _file_of(about: dict[str, Any]) -> Path | None:
    known = about.get("model", {}).get("file")
    return Path(known) if known else None


def _known(table: pa.Table, files: Sequence[File]) -> tuple[dict[str, set[tuple[int, int]]], np.ndarray]:
    """{path: where its tiles begin} of the files that are as they were, and a mask of the rows of all others."""
    now = {file.path: (file.bytes, file.modified, file.start) for file in files}
    dead, known = np.zeros(table.num_rows, dtype=bool), {}
    columns = (table["path"], table["bytes"], table["modified"].cast("int64"), table["start"], table["x"], table["y"])
    for n, (path, *state, x, y) in enumerate(zip(*(column.to_pylist() for column in columns))):
        if now.get(path) == tuple(state):
            known.setdefault(path, set()).add((x, y))
        else:
            dead[n] = True
    return known, dead


@dataclass
class _Jobs:
    """The tiles to be encoded: (file, None, None), or (file, what was opened of it, window) of one that is cut."""

    files: Sequence[File]
    known: dict[str, set[tuple[int, int]]]
    root: Path
    how: How
    complete: bool  # the index had all tiles of the files it knows
    bad: dict[str, str]

    def __iter__(self) -> Iterator[tuple[File, Opened | None, Window | None]]:
        for file in self.files:
            there = self.known.get(file.path)
            if there and (self.complete or not self._may_be_cut(file)):
                continue
            if not self._may_be_cut(file):
                yield file, None, None
                continue
            try:
                opened = Opened(file, self.root, self.how)
                for window in opened.windows():
                    if (window or (0, 0))[:2] not in (there or ()):
                        yield file, opened, window
            except RsnbError as error:
                self.bad[file.path] = str(error)

    def count(self) -> int:
        """How many there are; headers are read for it."""
        return sum(1 for _ in self) if self.how.tile else sum(file.path not in self.known for file in self.files)

    def _may_be_cut(self, file: File) -> bool:
        return bool(self.how.tile) and file.is_tiff


def _encode(
    writer: Writer,
    jobs: _Jobs,
    model: Encoder,
    batch_size: int,
    built: Built,
    progress: bool,
    say: Callable[[str], None] | None,
) -> None:
    """Read and encode the jobs into the writer, in their order."""
    total, begun = jobs.count(), time.perf_counter()
    done, kept, pixels, cells = 0, begun, [], []

    def flush() -> None:
        nonlocal kept
        if pixels:
            writer.add(_embedded(model, torch.stack(pixels)), cells)
            pixels.clear(), cells.clear()
        if time.perf_counter() - kept > EVERY:
            writer.commit()
            kept = time.perf_counter()
            if say:
                left = (kept - begun) / done * (total - done) / 60
                say(f"{done:,} of {total:,} tiles, about {left:.0f} minutes left")

    with (
        ThreadPoolExecutor(READERS) as pool,
        bars.bar(total=total, hidden=not progress, desc="tiles", leave=False) as bar,
    ):
        for (file, *_), found in ahead(pool, lambda job: _read(job, jobs, model.clip.preprocess), jobs, 2 * batch_size):
            done += 1
            bar.update()
            if isinstance(found, str):
                built.bad[file.path] = found
            elif found is None:
                built.empty += 1
            else:
                pixels.append(found[0])
                cells.append(found[1])
            if len(pixels) == batch_size:
                flush()
        flush()


def _read(job: tuple[File, Opened | None, Window | None], jobs: _Jobs, preprocess: Callable) -> Any:
    """(pixels as the model takes them, cells of the table); None without data; a text that says what is wrong."""
    file, opened, window = job
    try:
        picture, cells = (opened or Opened(file, jobs.root, jobs.how)).read(window)
        if file.start is None:
            now = file.place(jobs.root).stat()
            if (now.st_size, now.st_mtime_ns) != (file.bytes, file.modified):
                return "it changed while it was read; index again"
        return None if picture is None else (preprocess(picture), cells)
    except RsnbError as error:
        return str(error)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


def ahead(pool: ThreadPoolExecutor, work: Callable[[A], B], jobs: Iterable[A], depth: int) -> Iterator[tuple[A, B]]:
    """(job, its result) in order; at most ``depth`` are begun and not yet taken, so that memory is bounded."""
    waiting: deque = deque()
    for job in jobs:
        waiting.append((job, pool.submit(work, job)))
        if len(waiting) >= depth:
            begun, result = waiting.popleft()
            yield begun, result.result()
    while waiting:
        begun, result = waiting.popleft()
        yield begun, result.result()


@torch.no_grad()
def _embedded(model: Encoder, pixels: torch.Tensor) -> np.ndarray:
    found = model.encode_image(pixels.to(model.clip.device)).float().cpu()
    if not torch.isfinite(found).all():
        raise RsnbError("the model's embeddings are not all finite; its weights are damaged or its training diverged")
    return found.numpy()


def extent_of(table: pa.Table) -> list[float] | None:
    """West, south, east, north of all tiles that have a place; west > east across the antimeridian."""
    west, south, east, north = (table[name].to_numpy() for name in ("west", "south", "east", "north"))
    there = ~np.isnan(west)
    if not there.any():
        return None
    found = bounds(np.concatenate([np.stack([west, south], 1)[there], np.stack([east, north], 1)[there]]).tolist())
    return [round(found[name], 7) for name in ("west", "south", "east", "north")]


def _first(bad: dict[str, str]) -> str:
    return "; ".join(f"{path} ({why})" for path, why in list(bad.items())[:3]) or "every tile is without data"
