"""An index on the disk: embeddings in blocks, and one table of what each row is.

A folder with

- ``block-000012.safetensors``: one tensor ``embeddings`` (rows, D) float16, rows of unit length; every block but the
  last has :data:`BLOCK` rows;
- ``tiles.parquet``: a row for each embedding, in the order of the blocks by name; columns in :func:`schema`. Its
  metadata has, under the key ``rsnb``, a JSON object: the model, the source, how its files are read, the blocks with
  their checksums, and what could not be read.

The table is replaced whole, and last: it is what counts, and a block that it does not name is no part of the index. So
a process may be killed at any time.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.base.files import replacing, write_bytes
from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

FORMAT = "rsnb-tiles-1"
TABLE = "tiles.parquet"
LOCK = ".lock"
KEY = b"rsnb"
OURS = re.compile(r"block-\d{6,}\.safetensors|\.[0-9a-f]{16}\.part")  # what a writer makes, finished or not
BLOCK = 4096  # rows
GROUP = 16 * BLOCK  # rows of the table that are read together
#: What the description holds, by part: the types of its values.
NEEDED: dict[str, dict[str, tuple[type, ...]]] = {
    "": {
        "format": (str,),
        "model": (dict,),
        "source": (dict,),
        "blocks": (list,),
        "width": (int,),
        "complete": (bool,),
    },
    "model": {
        **dict.fromkeys(("backbone", "fingerprint", "method", "stamp"), (str,)),
        **dict.fromkeys(("pretrained", "adapter", "file"), (str, type(None))),
    },
    "source": {
        **dict.fromkeys(("root", "name"), (str,)),
        **dict.fromkeys(("tile", "overlap"), (int,)),
        "asset": (str, type(None)),
        "view": (dict, type(None)),
    },
}


def schema() -> pa.Schema:
    """The columns of the table. Degrees are of EPSG:4326, and missing where a file has no place.

    - path: below the source's folder, with "/"; of an image in a tar file, behind the tar's name
    - start: its first byte in the tar file; missing elsewhere
    - x, y, width, height: the part of the image that is the tile, in pixels
    - lon, lat: its centre. west, south, east, north: its bounds; west > east across the antimeridian
    - corners: longitude and latitude of upper left, upper right, lower right, lower left
    - bytes, modified: size of the file (of the image in a tar) and time of its last change
    - taken: when the picture was taken, where a STAC item says so
    """
    import pyarrow as pa

    when, degree = pa.timestamp("ns", tz="UTC"), pa.float64()
    return pa.schema(
        [
            ("path", pa.string()),
            ("start", pa.int64()),
            *((name, pa.int32()) for name in ("x", "y", "width", "height")),
            *((name, degree) for name in ("lon", "lat", "west", "south", "east", "north")),
            ("corners", pa.list_(degree)),
            ("bytes", pa.int64()),
            ("modified", when),
            ("taken", when),
        ]
    )


def block_name(number: int) -> str:
    """The file of a block."""
    return f"block-{number:06d}.safetensors"


def number_of(file: str) -> int:
    """The number of a block's file."""
    return int(file.removeprefix("block-").removesuffix(".safetensors"))


# --- reading ----------------------------------------------------------------------------------------------------
def is_index(folder: Path) -> bool:
    """Whether a folder holds a table of tiles, whole or damaged: the file is there, and says ``rsnb`` if it can be
    read."""
    if not (folder / TABLE).is_file():
        return False
    try:
        import pyarrow.parquet as pq

        return KEY in (pq.ParquetFile(folder / TABLE).schema_arrow.metadata or {})
    except Exception:  # pyarrow raises many types
        return any(OURS.fullmatch(path.name) for path in folder.iterdir())


def need_folder(folder: Path, source: Path) -> None:
    """Raises:
    RsnbError: an index of ``source`` cannot lie in ``folder``, for it is the source or holds something else.
    """
    if not folder.exists() or is_index(folder):
        return
    if source.exists() and folder.resolve() == source.resolve():
        raise RsnbError(f"{folder} is the folder of the images; give the index another one: --out {folder}.index")
    if not folder.is_dir():
        raise RsnbError(f"{folder} is a file; an index is a folder: take another --out")
    others = [path.name for path in folder.iterdir() if not OURS.fullmatch(path.name) and path.name != LOCK]
    if others:
        raise RsnbError(f"{folder} holds other files, such as {sorted(others)[0]}; take another --out")


def read_about(folder: Path) -> dict[str, Any]:
    """What the metadata of the table says; only the end of the file is read.

    Raises:
        RsnbError: there is no index, it is damaged, or of another format.
    """
    if not is_index(folder):
        found = "it holds no tiles.parquet of rsnb" if folder.is_dir() else "there is no such folder"
        raise RsnbError(f"{folder} is no index: {found}; make one with rsnb index DIR --out DIR.index")
    with damage(folder):
        import pyarrow.parquet as pq

        found = pq.ParquetFile(folder / TABLE)
        about = json.loads((found.schema_arrow.metadata or {})[KEY])
        rows = found.metadata.num_rows
    if not isinstance(about, dict) or not isinstance(about.get("format"), str):
        raise _damaged(folder, "its description is not one of rsnb")
    if about["format"] != FORMAT:
        raise RsnbError(f"{folder} is of the format {about['format']}, this rsnb reads {FORMAT}; build it again")
    for part, kinds in NEEDED.items():
        inside = about[part] if part else about
        if any(key not in inside or not isinstance(inside[key], kind) for key, kind in kinds.items()):
            raise _damaged(folder, "its description is not one of rsnb")
    if not found.schema_arrow.remove_metadata().equals(schema()):
        raise _damaged(folder, "its table has other columns")
    with damage(folder):
        stated = sum(block["rows"] for block in about["blocks"])
    if stated != rows:
        raise _damaged(folder, f"its table has {rows:,} rows, its blocks {stated:,}")
    return about


def read_table(folder: Path, about: dict[str, Any], columns: Sequence[str] | None = None) -> pa.Table:
    """The table, or some of its columns.

    Raises:
        RsnbError: it is damaged, or another one than ``about`` is of.
    """
    with damage(folder):
        return _same_table(folder, about).read(columns)


def _same_table(folder: Path, about: dict[str, Any]):
    """The table as a file, if it is of the blocks of ``about``: rows of one state never name those of another."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / TABLE, page_checksum_verification=True)
    if json.loads(file.schema_arrow.metadata[KEY])["blocks"] != about["blocks"]:
        raise RsnbError(f"{folder} has changed since it was opened; open it again")
    return file


def read_rows(folder: Path, about: dict[str, Any], rows: Sequence[int]) -> pa.Table:
    """Some rows of the table by their numbers, in the order given; of the table only the groups that hold them are
    read. Raises as :func:`read_table`."""
    with damage(folder):
        import pyarrow as pa

        file = _same_table(folder, about)
        groups: dict[int, list[int]] = {}
        for row in rows:
            groups.setdefault(int(row) // GROUP, []).append(int(row))
        parts, order = [], []
        for group, inside in sorted(groups.items()):
            parts.append(file.read_row_group(group).take([row - group * GROUP for row in inside]))
            order += inside
        if not parts:
            return schema().empty_table()
        place = {row: n for n, row in enumerate(order)}
        return pa.concat_tables(parts).take([place[int(row)] for row in rows])


def open_blocks(folder: Path, about: dict[str, Any]) -> list[np.ndarray]:
    """The embeddings, mapped into memory, not loaded, each block (rows, D) float16; sizes are compared, and
    checksums, for which each is read once.

    Raises:
        RsnbError: a block is gone, shorter or longer, or its bytes are other ones.
    """
    blocks = about["blocks"]
    with ThreadPoolExecutor(2) as pool:  # checksums let other threads run
        return list(pool.map(lambda block: _open_block(folder, block, about["width"]), blocks))


def _open_block(folder: Path, block: dict[str, Any], width: int) -> np.ndarray:
    import numpy as np

    with damage(folder):
        path, rows = folder / block_name(number_of(block["file"])), int(block["rows"])
    wanted = rows * width * 2
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(length)) if length < 10_000 else {}
        right = head["embeddings"] == {"dtype": "F16", "shape": [rows, width], "data_offsets": [0, wanted]}
        if not right or path.stat().st_size != 8 + length + wanted:
            raise _damaged(folder, f"{path.name} is not of the size that the table states")
        found = (
            np.memmap(path, np.dtype("<f2"), "r", 8 + length, (rows, width)) if rows else np.empty((0, width), "<f2")
        )
    except OSError as error:
        if block not in read_about(folder)["blocks"]:
            raise RsnbError(f"{folder} has changed since it was opened; open it again") from None
        raise _damaged(folder, f"{path.name} cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(folder, f"{path.name} is no block of embeddings") from None
    if zlib.crc32(found) != block["sum"]:
        raise _damaged(folder, f"{path.name} has other bytes than were written")
    return found


@contextlib.contextmanager
def damage(folder: Path) -> Iterator[None]:
    """What goes wrong in the block with what an index says is a damage of it, in one line."""
    try:
        yield
    except RsnbError:
        raise
    except Exception as error:  # pyarrow raises many types
        raise _damaged(folder, " ".join(str(error).split())[:120] or type(error).__name__) from None


def _damaged(folder: Path, reason: str) -> RsnbError:
    return RsnbError(f"the index {folder} is damaged ({reason}); delete it and build it again")


# --- writing ----------------------------------------------------------------------------------------------------
class Writer:
    """Adds rows to an index, or drops some. What was added is there after :meth:`commit`, and not before.

    Args:
        about: what the table's metadata shall say; its ``blocks`` are those of ``table``.
        table: the rows that are there.
    """

    def __init__(self, folder: Path, about: dict[str, Any], table: pa.Table):
        import numpy as np

        self.folder, self.about = folder, about
        self._clean()
        self.table = table  # of all rows
        self._full: list[dict[str, Any]] = list(about["blocks"])  # blocks that are not written again
        self._rows = np.empty((0, about["width"]), "<f2")  # of the last block, which grows
        self._last: dict[str, Any] | None = None  # that block as it is on the disk
        if self._full and self._full[-1]["rows"] < BLOCK:
            self._last = self._full.pop()
            self._rows = np.array(_open_block(folder, self._last, about["width"]))

    def add(self, embeddings: np.ndarray, cells: Sequence[dict[str, Any]]) -> None:
        """Append rows (n, D), and for each its cells of the table; commits where a block is full."""
        import pyarrow as pa

        if self._append(embeddings, pa.Table.from_pylist(list(cells), schema())):
            self.commit()

    def commit(self, **about: Any) -> None:
        """Write the last block and the table; from here on the index has all rows that were added.

        Raises:
            RsnbError: the disk is full, or the folder cannot be written; the index stays as it was.
        """
        if len(self._rows) and self._last is None:
            self._last = self._written(self._rows)
        old = {block["file"] for block in self.about["blocks"]}
        blocks = [*self._full, *([self._last] if len(self._rows) else [])]
        self._write_table({**self.about, **about, "blocks": blocks})
        self.about.update(about, blocks=blocks)
        for file in old - {block["file"] for block in blocks}:
            with contextlib.suppress(OSError):  # on Windows: another process has it open; it goes next time
                (self.folder / file).unlink(missing_ok=True)

    def drop(self, dead: np.ndarray) -> None:
        """Leave out the rows of a mask (N,). Every block from the first that holds such a row is written anew."""
        import numpy as np
        import pyarrow as pa

        self.commit()
        if not dead.any():
            return
        first, table = int(np.argmax(dead)) // BLOCK, self.table
        moved = self.about["blocks"][first:]
        self._full, self._rows, self._last = self.about["blocks"][:first], self._rows[:0], None
        self.table, at = table.slice(0, first * BLOCK), first * BLOCK
        for block in moved:
            live = ~dead[at : at + block["rows"]]
            rows = np.array(_open_block(self.folder, block, self.about["width"])[live])
            self._append(rows, table.slice(at, block["rows"]).filter(pa.array(live)))
            at += block["rows"]
        self.commit()

    def _append(self, rows: np.ndarray, table: pa.Table) -> bool:
        """Whether a block became full; those are written, the table is not."""
        import numpy as np
        import pyarrow as pa

        self._rows = np.concatenate([self._rows, rows.astype("<f2")])
        self.table, full = pa.concat_tables([self.table, table]), False
        self._last = None if len(rows) else self._last
        while len(self._rows) >= BLOCK:
            self._full.append(self._written(self._rows[:BLOCK]))
            self._rows, full = self._rows[BLOCK:], True
        return full

    def _written(self, rows: np.ndarray) -> dict[str, Any]:
        """Write a block under a name that no other has had."""
        import numpy as np
        from safetensors.numpy import save

        used = (number_of(block["file"]) for block in (*self.about["blocks"], *self._full))
        file, rows = block_name(max(used, default=-1) + 1), np.ascontiguousarray(rows)
        write_bytes(self.folder / file, save({"embeddings": rows}))
        return {"file": file, "rows": len(rows), "sum": zlib.crc32(rows)}

    def _write_table(self, about: dict[str, Any]) -> None:
        import pyarrow.parquet as pq

        said = {KEY: json.dumps(about, ensure_ascii=False).encode()}
        options = {"row_group_size": GROUP, "compression": "zstd", "write_page_checksum": True}
        with replacing(self.folder / TABLE) as scratch:
            pq.write_table(self.table.replace_schema_metadata(said), scratch, **options)

    def _clean(self) -> None:
        """Delete what a killed process left behind: blocks that the table does not name, and scratch files."""
        named = {block["file"] for block in self.about["blocks"]}
        for path in self.folder.iterdir():
            if OURS.fullmatch(path.name) and path.name not in named:
                with contextlib.suppress(OSError):
                    path.unlink()
