"""What is known before clustering: items that belong to a cluster that is there, and items that are never the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from likewise.apps.cluster.space import Space
from likewise.errors import UsageError
from likewise.metrics.neighbours import neighbours
from likewise.objective.distances import L1, Euclidean

Integers = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Rules:
    """Facts every method keeps to, about N items.

    Attributes:
        anchors: (N,) the number of the cluster an item belongs to, or -1. Items of one anchor are in one cluster, and
            those of two anchors never are.
        together: (N,) the picture an item was found in, or -1. Items of one picture are never the same, unless their
            anchors say so.
    """

    anchors: Integers
    together: Integers

    @classmethod
    def of(cls, items: int, anchors: ArrayLike | None = None, together: ArrayLike | None = None) -> Self:
        """Rules for a number of items; whatever is left out is not known.

        Raises:
            UsageError: another shape.
        """
        columns: list[Integers] = []
        for name, column in (("anchor", anchors), ("picture", together)):
            numbers = np.full(items, -1) if column is None else np.asarray(column)
            if numbers.shape != (items,) or numbers.dtype.kind not in "iu":
                received = f"{numbers.dtype} of shape {numbers.shape} for {items} items"
                raise UsageError(f"The {name} of every item is a whole number, -1 for none", received)
            columns.append(numbers.astype(np.int64))
        return cls(columns[0], columns[1])

    def conflicts(self) -> csr_array | None:
        """(N, P) of 0 and 1, a column for each picture: two items with a 1 in one column are never in one cluster.

        None where there are no pictures. That items of different anchors are not in one cluster is not said here.
        """
        found = np.flatnonzero(self.together >= 0)
        if not len(found):
            return None
        pictures = numbered(self.together[found])
        entries = np.ones(len(found), dtype=np.int32), (found, pictures)
        return csr_array(entries, shape=(len(self.together), int(pictures.max()) + 1))

    def named(self, merged: Integers) -> Integers:
        """Clusters (N,) in which no rule is broken, those with items of one anchor taken together.

        Of one picture, items that meet only by that, in different corners of what somebody put together, are left
        unassigned.

        Returns:
            (N,) int64: anchors keep their numbers, other clusters are numbered after them; -1 for unassigned.
        """
        held = np.flatnonzero(self.anchors >= 0)
        number = merged + self.anchors.max(initial=-1) + 1
        place = np.arange(int(number.max(initial=0)) + 1)
        place[number[held]] = self.anchors[held]
        labels = place[number]
        crowded = self._crowded(labels)
        labels[crowded[self.anchors[crowded] < 0]] = -1
        return labels

    def kept(self, found: Integers, space: Space) -> Integers:
        """What a method that knows no rules found, made to keep them.

        Anchored items are in their cluster. Free ones follow the anchor that speaks for the cluster they were found in;
        of several the one that has the nearest item. An anchor speaks for a cluster where a quarter of its items are,
        or of which it has half: a stray draws nobody. Where that breaks a rule an item is left unassigned: of two free
        items of one picture the one further from the mean of the cluster.

        Args:
            found: (N,) clusters, -1 for unassigned.
            space: where they were found.

        Returns:
            (N,) int64: anchors keep their numbers, other clusters are numbered after them; -1 for unassigned.
        """
        labels = np.where(found < 0, -1, found + self.anchors.max(initial=-1) + 1)
        anchored = self.anchors >= 0
        names, of_name, sizes = np.unique(self.anchors, return_inverse=True, return_counts=True)
        for cluster in np.unique(found[anchored & (found >= 0)]):
            inside = np.flatnonzero(found == cluster)
            free, held = inside[~anchored[inside]], inside[anchored[inside]]
            here = np.bincount(of_name[held], minlength=len(names))
            held = held[((4 * here >= sizes) | (2 * here >= len(inside)))[of_name[held]]]
            if len(held):
                labels[free] = self.anchors[held[_nearest(space, free, held)]]
        labels[anchored] = self.anchors[anchored]
        return self._one_of_each_picture(labels, space)

    def _one_of_each_picture(self, labels: Integers, space: Space) -> Integers:
        """Leaves of the items of one picture in one cluster the anchored ones, or the one nearest to its mean."""
        crowded = self._crowded(labels)
        off, order = np.empty(len(labels)), 1 if space.metric == "manhattan" else 2
        for cluster in np.unique(labels[crowded]):
            of_cluster = crowded[labels[crowded] == cluster]
            mean = space.points[labels == cluster].mean(axis=0)
            off[of_cluster] = np.linalg.norm(space.points[of_cluster] - mean, ord=order, axis=1)
        free = self.anchors[crowded] < 0
        best_first = np.lexsort((off[crowded], free, labels[crowded], self.together[crowded]))
        crowded, free = crowded[best_first], free[best_first]
        picture, cluster = self.together[crowded], labels[crowded]
        again = (picture[1:] == picture[:-1]) & (cluster[1:] == cluster[:-1])
        labels = labels.copy()
        labels[crowded[1:][again & free[1:]]] = -1
        return labels

    def _crowded(self, labels: Integers) -> Integers:
        """The items that share both picture and cluster with another."""
        asked = np.flatnonzero((self.together >= 0) & (labels >= 0))
        both = np.stack([self.together[asked], labels[asked]])
        _, cell, count = np.unique(both, axis=1, return_inverse=True, return_counts=True)
        return asked[count[cell.ravel()] > 1]


def _nearest(space: Space, items: Integers, among: Integers) -> Integers:
    """For each of `items` the position in `among` of its nearest."""
    if not len(items):
        return items
    distance: Any = Euclidean() if space.metric == "euclidean" else L1()
    points = torch.from_numpy(space.points)
    found = neighbours(points[torch.from_numpy(items)], distance, 1, gallery=points[torch.from_numpy(among)])
    return found.indices[:, 0].numpy()


def numbered(labels: NDArray[Any]) -> Integers:
    """(N,) -> (N,) int64: the same groups, numbered 0, 1, 2, ... in the order of their first items."""
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[first.argsort()] = np.arange(len(first))
    return rank[number]
