"""An approximate index of the points in memory, for galleries so large that comparing with every record takes too long.

Faiss's inverted lists: k-means divides the space, and of a probe's nearest cells the rows are looked at, with each of
their numbers kept in 8 bits. The candidates are then compared by the distance itself, so distances are exact and what
can be missing is a neighbour in a cell that was not looked at. The index lives in memory only, is made from the records
in some seconds, and forgets what they forget.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.errors import UsageError
from likewise.gallery.points import Points
from likewise.objective.distances import Distance

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

FROM = 1_000_000  # rows; up to about so many an exact search answers in milliseconds
_CELLS = 2.0  # times the square root of the rows
_LOOKED_AT = 16  # cells
_TRAINED_ON = 40  # rows for each cell
_ROUNDS = 8  # of k-means


@final
class Approximate:
    """Finds rows of `points`, which are known to it by numbers of theirs: positions change when rows are dropped.

    Args:
        points: what is searched.
        numbers: (n,) of the rows, each its own, 0 or more.
    """

    def __init__(self, points: Points, numbers: Integers) -> None:
        import faiss

        self._points = points
        self._selector: Any = faiss.IDSelectorBatch
        cells = max(1, int(_CELLS * len(points) ** 0.5))
        self._index: Any = faiss.index_factory(points.dim, f"IVF{cells},SQ8")
        self._index.cp.niter, self._index.nprobe = _ROUNDS, _LOOKED_AT
        step = max(1, len(points) // (cells * _TRAINED_ON))
        self._index.train(np.concatenate([rows[::step, :-1] for rows in points.runs()]))
        done = 0
        for rows in points.runs():
            self.append(rows[:, :-1], numbers[done : done + len(rows)])
            done += len(rows)
        self._positions = np.empty(0, np.int64)

    def append(self, points: Floats, numbers: Integers) -> None:
        """Adds rows that `points` has been given."""
        self._index.add_with_ids(np.ascontiguousarray(points), numbers)

    def drop(self, numbers: Integers) -> None:
        """Removes rows."""
        self._index.remove_ids(self._selector(numbers))

    def place(self, numbers: Integers) -> None:
        """Takes note of where rows are now: (n,) the number of the row at each position."""
        self._positions = np.full(int(numbers.max(initial=-1)) + 1, -1)
        self._positions[numbers] = np.arange(len(numbers))

    def search(self, probes: Floats, k: int, distance: Distance) -> tuple[Integers, Floats] | None:
        """(Q, k) positions and distances of near rows, nearest first; None where some probe has fewer than k."""
        _, numbers = self._index.search(self._points.of(probes), 4 * k + 32)
        there = numbers >= 0
        if (there.sum(axis=1) < k).any():
            return None
        probe = np.nonzero(there)[0]
        asked = torch.from_numpy(np.array(probes))
        return self._points.compare(asked, probe, self._positions[numbers[there]], k, distance)


def require_faiss(uri: str) -> None:
    """Refuses where faiss is not installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("faiss") is None:
        raise UsageError("The index faiss needs faiss", repr(uri), 'Install it: pip install "likewise[ann]".')
