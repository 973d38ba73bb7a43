"""Which content a SQLite file holds, in memory: enrolling asks it every time, and no index may hold a hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np


@final
class Contents:
    """The first eight bytes of each record's hash, which all but tell one from another; the file tells the rest.

    Attributes:
        generation: of the file's tables, which are numbered anew with each.
        last_row, last_step: up to where they have been read.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.last_row = self.last_step = 0
        self._rows = np.empty(0, np.int64)
        self._beginnings = np.empty(0, np.uint64)

    def append(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Adds rows of row number and hash."""
        numbers, hashes = zip(*rows, strict=True)
        self._rows = np.concatenate([self._rows, np.array(numbers, np.int64)])
        self._beginnings = np.concatenate([self._beginnings, _beginnings(hashes)])
        self.last_row = numbers[-1]

    def drop(self, emptied: Sequence[tuple[int, int]]) -> None:
        """Removes rows, given as step and row number."""
        if emptied:
            steps, rows = zip(*emptied, strict=True)
            left = ~np.isin(self._rows, rows)
            self._rows, self._beginnings = self._rows[left], self._beginnings[left]
            self.last_step = steps[-1]

    def rows(self, hashes: Sequence[bytes]) -> list[int]:
        """The rows that may have one of these hashes: all that have, and hardly ever another."""
        return self._rows[np.isin(self._beginnings, _beginnings(hashes))].tolist()


def _beginnings(hashes: Sequence[bytes]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(b"".join(content_hash[:8] for content_hash in hashes), np.uint64)
