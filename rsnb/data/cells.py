"""Images that lie inside another file: a row of a parquet file, or a member of a tar file."""

from __future__ import annotations

from pathlib import Path

Cell = tuple[Path, int, int]  # the file, and the place in it


def image_bytes(cell: Cell) -> bytes:
    """The encoded image.

    Raises:
        RsnbError: the file is gone or holds no image there.
    """
    if cell[0].suffix.lower() == ".tar":
        from rsnb.data import tars

        return tars.image_bytes(cell)
    from rsnb.data import parquet

    return parquet.image_bytes(cell)
