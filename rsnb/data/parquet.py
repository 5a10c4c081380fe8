"""Images inside Hugging Face parquet files: listed at once, decoded one row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsnb.errors import RsnbError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Cell = tuple[Path, int, int]  # parquet file, row group, row in the group
CAPTIONS = ("captions", "caption", "sentences", "text", "title")


def _open(file: Path) -> pq.ParquetFile:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise RsnbError(f"{file.name} needs pyarrow to be read: pip install pyarrow") from None
    try:
        return pq.ParquetFile(file)
    except Exception as error:
        raise RsnbError(f"{file} cannot be read as parquet ({str(error)[:120]}); get it again") from None


def cells(file: Path) -> Iterator[tuple[Any, list[Any], Any, Cell]]:
    """(name, captions, label, cell) of every row, without reading the image bytes.

    Raises: RsnbError if the columns are not those of a caption set.
    """
    with _open(file) as table:
        columns = table.schema_arrow.names
        captions = next((c for c in CAPTIONS if c in columns), None)
        if captions is None or "image" not in columns:
            raise RsnbError(f"{file} has columns {', '.join(columns)}; expected image, captions and filename")
        wanted = [captions, *[c for c in ("filename", "label_name", "class") if c in columns]]
        if "filename" not in columns:
            wanted.append("image.path")
        for group in range(table.num_row_groups):
            frame = table.read_row_group(group, columns=wanted).to_pandas()
            for row, entry in enumerate(frame.to_dict("records")):
                name = entry.get("filename") or (entry.get("image") or {}).get("path")
                texts = entry[captions]
                texts = [texts] if isinstance(texts, str) or texts is None else list(texts)
                yield name, texts, entry.get("label_name") or entry.get("class"), (file, group, row)


@lru_cache(maxsize=4)
def _group(file: Path, group: int, stamp: tuple[int, int]) -> list[bytes | None]:
    with _open(file) as table:
        images = table.read_row_group(group, columns=["image"]).column("image").to_pylist()
    return [entry.get("bytes") if isinstance(entry, dict) else entry for entry in images]


def image_bytes(cell: Cell) -> bytes:
    """The encoded image of one cell; the last few row groups stay in memory.

    Raises: RsnbError if the file is gone or holds no image there.
    """
    file, group, row = cell
    try:
        state = file.stat()
    except OSError:
        raise RsnbError(f"{file} is gone; load the data set again") from None
    data = _group(file, group, (state.st_size, state.st_mtime_ns))[row]
    if not data:
        raise RsnbError(f"{file.name} holds no image in row {row} of group {group}; get the file again")
    return data
