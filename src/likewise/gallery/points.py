"""Embeddings in memory, compared with probes exactly: what a gallery on one machine searches.

For the Euclidean and the cosine distance, nearness to a probe q is a product: with rows x of unit length for cosine,

    |q - x|^2 = |q|^2 - 2 (q . x - |x|^2 / 2),

so that [x, -|x|^2 / 2] . [q, 1] is largest for the nearest row, and one matrix product in float32 ranks all rows. What
it rounds away is bounded; every row within that bound of the k-th best is a finalist, and finalists are compared by the
distance itself. Other distances have no product and are computed for every row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from likewise.gallery.finalists import Finalists
from likewise.objective.distances import Cosine, Distance, Euclidean

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_BLOCK_BYTES = 1 << 26  # rows are kept in blocks of this size, so that none is moved when more come
_PROBES = 1024  # compared at a time
_SCORES = 1 << 21  # made at a time: 8 MB; more would not stay in a cache, less would wait for their threads more often
_COMPARED = 1 << 18  # numbers of embeddings compared at a time by the distance itself: 1 MB, which stays in a cache


@final
class Points:
    """(n, D) embeddings in no particular order; positions from 0 to n - 1 are good until the next `drop`.

    Args:
        dim: D, length of an embedding.
        directions: whether embeddings are compared by their directions, as the cosine distance does.
    """

    def __init__(self, dim: int, directions: bool) -> None:
        self.dim, self.directions = dim, directions
        self._blocks: list[Floats] = []  # (b, D + 1) each, all full but the last
        self._height = max(1, _BLOCK_BYTES // (4 * (dim + 1)))
        self._count = 0
        self._longest = 0.0  # largest |x| there was

    def __len__(self) -> int:
        return self._count

    def append(self, embeddings: Floats) -> None:
        """Adds (n, D) embeddings at the end."""
        points = self.of(embeddings)
        squares = np.einsum("nd,nd->n", points, points)
        self._longest = max(self._longest, float(np.sqrt(squares.max(initial=0))))
        done = 0
        while done < len(points):
            place = self._count % self._height
            if place == 0:
                self._blocks.append(np.empty((self._height, self.dim + 1), np.float32))
            part = slice(done, done + self._height - place)
            rows = self._blocks[-1][place : place + len(points[part])]
            rows[:, :-1], rows[:, -1] = points[part], -squares[part] / 2
            done, self._count = done + len(rows), self._count + len(rows)

    def drop(self, positions: Integers) -> Integers:
        """Removes rows; the last ones take their places.

        Returns:
            (n - dropped,) former positions of the rows that are now at 0, 1, ...
        """
        left = self._count - len(positions)
        order = np.arange(left)
        holes = positions[positions < left]
        order[holes] = np.setdiff1d(np.arange(left, self._count), positions)
        for hole in holes.tolist():
            self._row(hole)[:] = self._row(int(order[hole]))
        for last in range(left, self._count):
            self._row(last)[:] = 0  # what is forgotten is not kept in memory either
        self._count = left
        del self._blocks[-(-left // self._height) :]
        return order

    def of(self, embeddings: Floats) -> Floats:
        """(n, D) points as they are kept: directions, where these are compared."""
        rows = np.array(embeddings, np.float32)
        return F.normalize(torch.from_numpy(rows), dim=1).numpy() if self.directions else rows

    def at(self, positions: Integers) -> Floats:
        """(m, D) points at these positions."""
        block, row = np.divmod(positions, self._height)
        found = np.empty((len(positions), self.dim), np.float32)
        for number in np.unique(block):
            here = block == number
            found[here] = self._blocks[number][row[here], :-1]
        return found

    def search(
        self, probes: Floats, k: int, distance: Distance, among: Integers | None = None
    ) -> tuple[Integers, Floats]:
        """The k nearest rows of every probe, nearest first.

        Args:
            probes: (Q, D).
            k: how many, at least 1.
            distance: what compares them.
            among: (m,) positions of the rows that count; None for all.

        Returns:
            (Q, min(k, m)) positions, and distances.
        """
        k = min(k, self._count if among is None else len(among))
        if k == 0 or len(probes) == 0:
            return np.empty((len(probes), k), np.int64), np.empty((len(probes), k), np.float32)
        way = self._by_product if isinstance(distance, (Euclidean, Cosine)) else self._with_all
        parts = [way(part, k, distance, among) for part in torch.from_numpy(np.array(probes)).split(_PROBES)]
        positions, far = (np.concatenate(column) for column in zip(*parts, strict=True))
        return positions, far

    def compare(
        self, probes: Tensor, probe: Integers, positions: Integers, k: int, distance: Distance
    ) -> tuple[Integers, Floats]:
        """The k nearest of given rows.

        Args:
            probes: (Q, D).
            probe: (m,) which probe is compared, every one of the Q at least k times.
            positions: (m,) with which row.
            k: how many.
            distance: what compares them.
        """
        far = np.empty(len(positions), np.float32)
        step = max(1, _COMPARED // self.dim)
        with torch.no_grad():
            for start in range(0, len(positions), step):
                part = slice(start, start + step)
                rows = torch.from_numpy(self.at(positions[part]))
                far[part] = distance.rowwise(probes[torch.from_numpy(probe[part])], rows).numpy()
        order = np.lexsort((positions, far, probe))
        first = np.searchsorted(probe[order], np.arange(len(probes)))
        chosen = order[first[:, None] + np.arange(k)]
        return positions[chosen], far[chosen]

    def runs(self, among: Integers | None = None, height: int = 1 << 16) -> Iterator[Floats]:
        """All rows, or some, in their order: runs of (b, D + 1) points, the last column being -|x|^2 / 2."""
        if among is not None:
            for start in range(0, len(among), height):
                points = self.at(among[start : start + height])
                yield np.column_stack([points, -np.einsum("nd,nd->n", points, points) / 2])
            return
        for number, block in enumerate(self._blocks):
            there = min(self._height, self._count - number * self._height)
            for start in range(0, there, height):
                yield block[start : min(start + height, there)]

    def _row(self, position: int) -> Floats:
        return self._blocks[position // self._height][position % self._height]

    def _by_product(
        self, probes: Tensor, k: int, distance: Distance, among: Integers | None
    ) -> tuple[Integers, Floats]:
        points = self.of(probes.numpy())
        right = np.column_stack([points, np.ones(len(points), np.float32)]).T.copy()
        # A sum of D + 1 rounded products is off by at most (D + 1) 2^-24 times the lengths; two scores are compared.
        lengths = np.sqrt(np.einsum("nd,nd->n", points, points))
        slack = 2 * (self.dim + 2) * 2.0**-24 * self._longest * (lengths + self._longest / 2)
        finalists = Finalists(k, slack.astype(np.float32))
        height = min(_SCORES // len(probes), self._height, self._count)
        scores = np.empty((height, len(probes)), np.float32)
        done = 0
        for rows in self.runs(among, height):
            finalists.offer(done, np.matmul(rows, right, out=scores[: len(rows)]))
            done += len(rows)
        probe, place = finalists.all()
        return self.compare(probes, probe, place if among is None else among[place], k, distance)

    def _with_all(self, probes: Tensor, k: int, distance: Distance, among: Integers | None) -> tuple[Integers, Floats]:
        far = torch.empty(len(probes), 0)
        places = torch.empty(len(probes), 0, dtype=torch.int64)
        done = 0
        with torch.no_grad():
            for rows in self.runs(among, max(1, _SCORES // len(probes))):
                here = distance.between(probes, torch.from_numpy(rows[:, :-1])).float()
                new = torch.arange(done, done + len(rows)).expand(here.shape)
                far, places = torch.cat([far, here], dim=1), torch.cat([places, new], dim=1)
                far, best = far.topk(min(k, far.shape[1]), dim=1, largest=False)
                places, done = places.gather(1, best), done + len(rows)
        positions = places.numpy()
        return (positions if among is None else among[positions]), far.numpy()
