"""What a SQLite file holds, in memory: the points that are searched, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.gallery import ann
from likewise.gallery.points import Points
from likewise.gallery.records import Found
from likewise.objective.distances import Cosine, Distance, Euclidean


@final
class Memory:
    """Follows the file: rows that are new are appended, rows that were emptied are dropped.

    Attributes:
        last_row, last_step, last_name: up to where the file's tables have been read.

    Args:
        dim: D, length of an embedding.
        distance: what will compare them.
        approximate: whether large galleries are searched by an index, which may miss some of the nearest.
    """

    def __init__(self, dim: int, distance: Distance, approximate: bool) -> None:
        self.last_row = self.last_step = self.last_name = 0
        self._points = Points(dim, directions=isinstance(distance, Cosine))
        self._rows = np.empty(0, np.int64)
        self._ids = np.empty(0, np.int64)
        self._numbers = np.empty(0, np.int64)  # of the names
        self._names: dict[int, str] = {}
        self._approximate = approximate
        self._index: ann.Approximate | None = None

    def suits(self, distance: Distance) -> bool:
        """Whether points are kept as this distance needs them."""
        return self._points.directions == isinstance(distance, Cosine)

    def call(self, names: Sequence[tuple[int, str | None]]) -> None:
        """Takes note of numbers and names."""
        self._names |= {number: name for number, name in names if name is not None}
        self.last_name = max([self.last_name, *(number for number, _ in names)])

    def append(self, rows: Sequence[tuple[int, int, int, bytes]]) -> None:
        """Adds rows of row number, id, number of the name, and embedding."""
        row, ids, numbers, held = zip(*rows, strict=True)
        embeddings = np.frombuffer(b"".join(held), np.float32).reshape(len(rows), -1)
        self._points.append(embeddings)
        self._rows = np.concatenate([self._rows, np.array(row, np.int64)])
        self._ids = np.concatenate([self._ids, np.array(ids, np.int64)])
        self._numbers = np.concatenate([self._numbers, np.array(numbers, np.int64)])
        self.last_row = row[-1]
        if self._index is not None:
            self._index.append(self._points.of(embeddings), np.array(row, np.int64))
            self._index.place(self._rows)

    def drop(self, emptied: Sequence[tuple[int, int]]) -> None:
        """Removes rows, given as step and row number, and the names that nobody has any more."""
        if not emptied:
            return
        steps, rows = zip(*emptied, strict=True)
        self.last_step = steps[-1]
        places = np.flatnonzero(np.isin(self._rows, rows))
        if not len(places):
            return
        freed, gone = np.unique(self._numbers[places]), self._rows[places]
        order = self._points.drop(places)
        self._rows, self._ids, self._numbers = self._rows[order], self._ids[order], self._numbers[order]
        for number in np.setdiff1d(freed, self._numbers).tolist():
            del self._names[number]
        if self._index is not None:
            self._index.drop(gone)
            self._index.place(self._rows)

    def search(self, probes: NDArray[np.float32], k: int, distance: Distance, names: Sequence[str] | None) -> Found:
        """The k nearest rows of every probe, among all or among those of some names."""
        among, found = None, None
        if names is not None:
            wanted = set(names)
            numbers = [number for number, name in self._names.items() if name in wanted]
            among = np.flatnonzero(np.isin(self._numbers, numbers))
        elif self._approximate and len(self._points) >= ann.FROM and isinstance(distance, (Euclidean, Cosine)):
            if self._index is None:
                self._index = ann.Approximate(self._points, self._rows)
                self._index.place(self._rows)
            found = self._index.search(probes, k, distance)
        places, distances = found or self._points.search(probes, k, distance, among)
        name = self._names
        return Found(
            ids=self._ids[places],
            names=[[name[number] for number in row] for row in self._numbers[places].tolist()],
            distances=distances,
        )
