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
NAMED = ("filename", "file_name", "filepath")
SENTENCE = ("raw", "caption", "sentence", "text")


def _open(file: Path) -> pq.ParquetFile:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise RsnbError(f"{file.name} needs pyarrow to be read: pip install pyarrow") from None
    try:
        return pq.ParquetFile(file)
    except Exception as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> RsnbError:
    reason = " ".join(str(error).split())[:120]
    return RsnbError(f"{file} cannot be read as parquet ({reason}); get it again")


def _rows(table: pq.ParquetFile, file: Path, group: int, columns: list[str]) -> list[dict[str, Any]]:
    try:
        return table.read_row_group(group, columns=columns).to_pylist()
    except Exception as error:  # pyarrow raises many types for damaged pages
        raise _unreadable(file, error) from None


def cells(file: Path) -> Iterator[tuple[Any, Any, list[Any], Any, Cell | None]]:
    """(name, part, captions, label, cell) of every row, without reading the image bytes; no cell where `image` is a
    column of names. Name and part are None where the file states none.

    Raises:
        RsnbError: the columns are not those of a caption set.
    """
    with _open(file) as table:
        schema = table.schema_arrow
        columns = schema.names
        captions = next((c for c in CAPTIONS if c in columns), None)
        if captions is None or "image" not in columns:
            raise RsnbError(
                f"{file} has columns {', '.join(columns)}; needed are image (bytes, or {{bytes, path}}) and one of "
                f"{', '.join(CAPTIONS)}, and beside them filename where images have names"
            )
        kind, inside = str(schema.field("image").type), _fields(schema.field("image").type)
        if kind not in ("string", "large_string", "binary", "large_binary") and "bytes" not in inside:
            raise RsnbError(f"{file}: image is of type {kind[:60]}; needed are bytes, or {{bytes, path}}")
        named = kind in ("string", "large_string")
        wanted = [
            captions,
            *[c for c in (*NAMED, "split", "label_name", "class") if c in columns],
            *(["image"] if named else []),
        ]
        if not set(NAMED) & set(columns) and "path" in inside:
            wanted.append("image.path")
        for group in range(table.num_row_groups):
            for row, entry in enumerate(_rows(table, file, group, wanted)):
                image = entry.get("image")
                name = next((entry[c] for c in NAMED if entry.get(c)), None)
                name = name or (image if named else (image or {}).get("path"))
                label = entry.get("label_name") or entry.get("class")
                yield (
                    name,
                    entry.get("split"),
                    _texts(entry[captions], file, captions),
                    label,
                    None if named else (file, group, row),
                )


def _fields(kind: Any) -> set[str]:
    return {kind.field(i).name for i in range(kind.num_fields)} if str(kind).startswith("struct") else set()


def _texts(value: Any, file: Path, column: str) -> list[Any]:
    """A caption, or a list of captions or of {raw: caption}, as a list."""
    found = value if isinstance(value, list) else [value]
    found = [next((one[k] for k in SENTENCE if k in one), one) if isinstance(one, dict) else one for one in found]
    odd = next((one for one in found if not isinstance(one, (str, type(None)))), None)
    if odd is not None:
        raise RsnbError(
            f"{file}: {column} holds {type(odd).__name__} {str(odd)[:40]!r}; needed is text or a list of texts"
        )
    return found


@lru_cache(maxsize=4)
def _group(file: Path, group: int, stamp: tuple[int, int]) -> list[bytes | None]:
    with _open(file) as table:
        images = [row["image"] for row in _rows(table, file, group, ["image"])]
    return [entry.get("bytes") if isinstance(entry, dict) else entry for entry in images]


def image_bytes(cell: Cell) -> bytes:
    """The encoded image of one cell; the last few row groups stay in memory.

    Raises:
        RsnbError: the file is gone or holds no image there.
    """
    file, group, row = cell
    try:
        state = file.stat()
    except OSError:
        raise RsnbError(f"{file} is gone; load the data set again") from None
    data = _group(file, group, (state.st_size, state.st_mtime_ns))[row]
    if not isinstance(data, bytes) or not data:  # text would be taken for a path
        raise RsnbError(f"{file.name} holds no image in row {row} of group {group}; get the file again")
    return data
