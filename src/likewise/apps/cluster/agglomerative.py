"""Agglomerative clustering by average linkage, cut at a distance: exact, with clusters that must not meet, never N x N.

Clusters that are each other's nearest are merged, all such pairs at once, round after round, until no two clusters are
within the threshold. A merged cluster is never nearer to a third than the nearer of its parts was, so the order of
these merges does not matter and the result is the hierarchy's, cut at the threshold (Sumengen et al., "Scaling
Hierarchical Agglomerative Clustering to Billion-sized Datasets", 2021). For the same reason a cluster with nothing
within the threshold is finished. All this also holds with an infinite distance between clusters that must not meet.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import normalize

from likewise.apps.cluster.rules import Rules, numbered
from likewise.encoder import Progress
from likewise.metrics.pairs import BLOCK
from likewise.objective.distances import Cosine, Distance, Euclidean

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MATRIX = 8192  # clusters from which on all distances between them are held: 256 MB


def agglomerate(
    embeddings: Tensor,
    distance: Distance,
    threshold: float,
    *,
    rules: Rules | None = None,
    start: Integers | None = None,
    progress: Progress | None = None,
    matrix: int = MATRIX,
    block: int = BLOCK,
) -> Integers:
    """Merges clusters for as long as two that may be merged are within `threshold` of each other.

    The distance between two clusters is the mean over the pairs between them; for the Euclidean distance the root mean
    square, which is a little more and so a little stricter.

    The first rounds compute distances anew, in blocks; once at most `matrix` clusters are left to be merged, theirs are
    held and updated. For Euclidean and cosine distances one mean per cluster is enough to compute them, for others all
    pairs of items are gone through.

    Args:
        embeddings: (N, D) float32.
        distance: what compares them; symmetric.
        threshold: the largest distance between clusters that are merged; below 0 none are.
        rules: which items are never in one cluster. Items of one anchor are not brought together here, but a cluster
            that holds some is closed to those of others: somebody may have put things together that lie far apart, and
            what is near to some of them belongs there too.
        start: (N,) clusters to begin with; every item by itself if left out.
        progress: told how many of the clusters at the start are done with.
        matrix: most clusters whose distances are held, 4 bytes for each pair.
        block: most distances computed at once.

    Returns:
        (N,) int64: clusters numbered from 0 in the order of their first items.
    """
    labels = np.arange(len(embeddings)) if start is None else numbered(start)
    if threshold < 0 or not len(labels):
        return labels
    count = int(labels.max()) + 1
    pairs, limit = _pairs(embeddings, distance, rules or Rules.of(len(labels)), labels, threshold, block)
    gone_to: Integers = np.arange(count)
    nearest: Integers = np.full(count, -1)
    gap = np.zeros(count, dtype=np.float32)
    active: NDArray[np.bool_] = np.ones(count, dtype=bool)  # neither merged into another nor finished
    stale = active.copy()  # whose nearest is to be found again
    while len(slots := np.flatnonzero(active)) > 1:
        pairs = pairs.among(slots, matrix)
        waiting = slots[stale[slots]]
        height = max(block // len(slots), 1)
        for top in range(0, len(waiting), height):
            rows = waiting[top : top + height]
            nearest[rows], gap[rows] = pairs.nearest(rows)
        stale[waiting] = False
        slots = slots[gap[slots] <= limit]
        first = slots[(nearest[nearest[slots]] == slots) & (slots < nearest[slots])]
        if len(slots) and not len(first):  # rounding hid that the two nearest of all are each other's nearest
            first = slots[[gap[slots].argmin()]]
        second = nearest[first]
        pairs.merge(first, second)
        gone_to[second] = first
        gone_to = gone_to[gone_to]
        active[:] = False
        active[slots] = True
        active[second] = False
        stale[slots] = np.isin(nearest[slots], np.concatenate([first, second]))
        if progress is not None:
            progress(count - int(active.sum()), count, "merging")
    return numbered(gone_to[labels])


class _Pairs(ABC):
    """Distances between clusters. Each cluster has a number, its slot, and keeps it when another is merged into it."""

    @abstractmethod
    def among(self, slots: Integers, matrix: int) -> _Pairs:
        """What to go on with when only `slots`, rising, are left; held as a whole if they are at most `matrix`."""

    @abstractmethod
    def nearest(self, slots: Integers) -> tuple[Integers, NDArray[np.float32]]:
        """(r,), (r,): for each of `slots` the nearest other one it may be merged with, and how far that is."""

    @abstractmethod
    def merge(self, first: Integers, second: Integers) -> None:
        """Puts every cluster `second[i]` into `first[i]`."""


class _Computed(_Pairs):
    """Distances computed when asked for."""

    def __init__(self, rules: Rules, labels: Integers, block: int) -> None:
        self._block = block
        self._labels, self._sizes = labels.copy(), np.bincount(labels)
        self._slots: Integers = np.arange(len(self._sizes))
        self._anchors: Integers = np.full(len(self._sizes), -1)
        np.maximum.at(self._anchors, labels, rules.anchors)
        self._conflicts = rules.conflicts()

    @abstractmethod
    def rows(self, slots: Integers) -> NDArray[np.float32]:
        """(r, columns): from each of `slots` to all that are left."""

    def among(self, slots: Integers, matrix: int) -> _Pairs:
        self._slots = slots
        if self._conflicts is not None:
            self._of_pictures = self._of_clusters(self._conflicts)
            self._columns_of: Any = self._of_pictures[slots].T.tocsr()
        if len(slots) > matrix:
            return self
        whole = np.empty((len(slots), len(slots)), dtype=np.float32)
        height = max(self._block // len(slots), 1)
        for top in range(0, len(slots), height):
            whole[top : top + height] = self._allowed(slots[top : top + height])
        return _Matrix(whole, slots, self._sizes)

    def nearest(self, slots: Integers) -> tuple[Integers, NDArray[np.float32]]:
        distances = self._allowed(slots)
        best = distances.argmin(axis=1)
        return self._slots[best], distances[np.arange(len(slots)), best]

    def merge(self, first: Integers, second: Integers) -> None:
        self._sizes[first] += self._sizes[second]
        place = np.arange(len(self._sizes))
        place[second] = first
        self._labels = place[self._labels]
        self._anchors[first] = np.maximum(self._anchors[first], self._anchors[second])

    def _of_clusters(self, of_items: csr_array) -> Any:
        """(items, G) -> (clusters, G): what any of its items has, a cluster has."""
        items: Any = of_items.tocoo()
        entries = np.ones(items.nnz, dtype=np.int32), (self._labels[items.coords[0]], items.coords[1])
        return csr_array(entries, shape=(len(self._sizes), items.shape[1]))

    def _allowed(self, slots: Integers) -> NDArray[np.float32]:
        """(r, columns) with infinity at the cluster itself and at those it must not be merged with."""
        distances = self.rows(slots)
        distances[np.arange(len(slots)), np.searchsorted(self._slots, slots)] = np.inf
        if self._conflicts is not None:
            distances[(self._of_pictures[slots] @ self._columns_of).nonzero()] = np.inf
        own, others = self._anchors[slots, None], self._anchors[self._slots]
        if (own >= 0).any():
            distances[(own >= 0) & (others >= 0) & (own != others)] = np.inf
        return distances


class _Means(_Computed):
    """Mean squared distance from one mean for each cluster.

    With m the mean of a cluster's points and s the mean of their squared lengths, the mean of |a - b|^2 over all pairs
    between two clusters is ``s_A + s_B - 2 m_A . m_B``. Half of that is the mean cosine distance of unit vectors.
    """

    def __init__(self, points: Floats, rules: Rules, labels: Integers, block: int) -> None:
        super().__init__(rules, labels, block)
        points = points - points.mean(axis=0)  # smaller numbers leave less to cancel
        member: Any = csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))))
        self._means: Floats = (member @ points) / self._sizes[:, None]
        self._squares: Floats = (member @ np.square(points).sum(axis=1)) / self._sizes

    def among(self, slots: Integers, matrix: int) -> _Pairs:
        self._columns, self._column_squares = self._means[slots].T, self._squares[slots]
        return super().among(slots, matrix)

    def rows(self, slots: Integers) -> NDArray[np.float32]:
        found = self._means[slots] @ self._columns
        found *= -2
        found += self._squares[slots, None]
        found += self._column_squares
        return np.maximum(found, 0, out=found).astype(np.float32)  # both orders of a pair round to one number

    def merge(self, first: Integers, second: Integers) -> None:
        share = self._sizes[second] / (self._sizes[first] + self._sizes[second])
        self._means[first] += (self._means[second] - self._means[first]) * share[:, None]
        self._squares[first] += (self._squares[second] - self._squares[first]) * share
        super().merge(first, second)


class _Items(_Computed):
    """Mean distance, whatever the distance, from all pairs of items."""

    def __init__(self, embeddings: Tensor, distance: Distance, rules: Rules, labels: Integers, block: int) -> None:
        super().__init__(rules, labels, block)
        self._embeddings, self._distance = embeddings, distance

    def among(self, slots: Integers, matrix: int) -> _Pairs:
        order = self._labels.argsort(kind="stable")
        order = order[np.isin(self._labels[order], slots)]
        self._columns = self._embeddings[torch.from_numpy(order)]  # the items of a cluster lie side by side
        self._starts = np.concatenate([[0], self._sizes[slots].cumsum()])
        return super().among(slots, matrix)

    def rows(self, slots: Integers) -> NDArray[np.float32]:
        begins, sizes = self._starts[np.searchsorted(self._slots, slots)], self._sizes[slots]
        items = np.repeat(begins - (sizes.cumsum() - sizes), sizes) + np.arange(sizes.sum())
        owner = np.repeat(np.arange(len(slots)), sizes)
        sums = np.zeros((len(slots), len(self._slots)))
        height = max(self._block // len(self._columns), 1)
        for top in range(0, len(items), height):
            part = torch.from_numpy(items[top : top + height])
            with torch.inference_mode():
                distances = self._distance.between(self._columns[part], self._columns).double().numpy()
            by_cluster = np.add.reduceat(distances, self._starts[:-1], axis=1)
            owners, begin = np.unique(owner[top : top + height], return_index=True)
            sums[owners] += np.add.reduceat(by_cluster, begin, axis=0)
        return (sums / (sizes[:, None] * self._sizes[self._slots])).astype(np.float32)


class _Matrix(_Pairs):
    """All distances between the clusters that are left, held and updated (Lance and Williams 1967, group average)."""

    def __init__(self, whole: NDArray[np.float32], slots: Integers, sizes: Integers) -> None:
        self._whole, self._slots, self._sizes = whole, slots, sizes.copy()

    def among(self, slots: Integers, matrix: int) -> _Pairs:
        if len(slots) <= len(self._slots) // 2:  # less to look through from now on
            kept = np.searchsorted(self._slots, slots)
            self._whole, self._slots = self._whole[np.ix_(kept, kept)], slots
        return self

    def nearest(self, slots: Integers) -> tuple[Integers, NDArray[np.float32]]:
        distances = self._whole[np.searchsorted(self._slots, slots)]
        best = distances.argmin(axis=1)
        return self._slots[best], distances[np.arange(len(slots)), best]

    def merge(self, first: Integers, second: Integers) -> None:
        a, b = np.searchsorted(self._slots, first), np.searchsorted(self._slots, second)
        share = (self._sizes[second] / (self._sizes[first] + self._sizes[second])).astype(np.float32)[:, None]
        for whole in (self._whole, self._whole.T):
            whole[a] = whole[a] * (1 - share) + whole[b] * share
        self._whole[:, b] = np.inf  # nobody's nearest any more
        self._sizes[first] += self._sizes[second]


def _pairs(
    embeddings: Tensor, distance: Distance, rules: Rules, labels: Integers, threshold: float, block: int
) -> tuple[_Pairs, float]:
    """What gives the distances, and the threshold in its terms."""
    if isinstance(distance, Euclidean):
        return _Means(embeddings.double().numpy(), rules, labels, block), threshold**2
    if isinstance(distance, Cosine):
        directions = normalize(embeddings.double(), dim=1) / math.sqrt(2)
        return _Means(directions.numpy(), rules, labels, block), threshold
    return _Items(embeddings, distance, rules, labels, block), threshold
