"""What a frozen part of a model makes of each item of a data set, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 1024**3  # bytes of one store


class Kept:
    """The rows of a tensor (count, ...), each made when it is first asked for.

    Args:
        make: numbers of items -> their rows, (B, ...), of one shape for all items
        max_bytes: a store that would be larger keeps nothing; each row is made at each use (default 1 GiB)
    """

    def __init__(self, make: Callable[[list[int]], Tensor], count: int, max_bytes: int = LARGEST) -> None:
        self.make, self.count, self.max_bytes = make, count, max_bytes
        self.made = 0  # rows, those made again included
        self._rows: Tensor | None = None
        self._there = [False] * count

    def __getitem__(self, index: Sequence[int]) -> Tensor:
        """(B, ...), on the device on which they are made."""
        index = [int(i) for i in index]
        missing = [i for i in dict.fromkeys(index) if not self._there[i]]
        if missing:
            found = self.make(missing)
            self.made += len(missing)
            if self._rows is None and found[0].nbytes * self.count <= self.max_bytes:
                self._rows = found.new_empty((self.count, *found.shape[1:]))
            if self._rows is None:
                place = {item: row for row, item in enumerate(missing)}
                return found[[place[i] for i in index]]
            self._rows[missing] = found
            for i in missing:
                self._there[i] = True
        return self._rows[index]
