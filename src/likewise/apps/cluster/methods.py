"""Embeddings and what is known of them in, clusters out: one function, and the table of methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from likewise.apps.cluster.agglomerative import agglomerate
from likewise.apps.cluster.curves import KCurve, k_curve, k_means
from likewise.apps.cluster.flaws import joined
from likewise.apps.cluster.rules import Rules, numbered
from likewise.apps.cluster.space import Space, space_of
from likewise.encoder import Progress
from likewise.errors import DataError, UsageError
from likewise.metrics.inputs import Array, checked_embeddings
from likewise.objective.distances import Distance

Integers = NDArray[np.int64]
Method = Literal["agglomerative", "hdbscan", "x-means", "k-means"]

SMALLEST: dict[Method, int] = {"agglomerative": 2, "hdbscan": 3, "x-means": 2, "k-means": 2}


@final
@dataclass(frozen=True)
class ClusterOptions:
    """How to cluster.

    Attributes:
        method: "agglomerative" (average linkage, cut at a threshold), "hdbscan", "x-means" or "k-means".
        k: how many clusters k-means makes, where there are so many items; None for the k of the largest mean
            silhouette. With x-means the most it may make; None for half as many as items.
        smallest: items a cluster has at least; None for 3 with hdbscan and 2 with the others. Items of smaller ones are
            left unassigned.
        seed: of what is random: the starts of k-means and x-means.
    """

    method: Method = "agglomerative"
    k: int | None = None
    smallest: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UsageError(f"A method is one of {', '.join(get_args(Method))}", repr(self.method))
        if self.k is not None and self.method not in ("x-means", "k-means"):
            raise UsageError("k is for k-means and x-means", f"k = {self.k} and {self.method}", "Leave k out.")
        if self.k is not None and self.k < 1:
            raise UsageError("k is at least 1", self.k, "Leave it out to have it found.")
        if self.smallest is not None and self.smallest < 1:
            raise UsageError("The smallest cluster has at least 1 item", self.smallest, "Pass for example 2.")

    @property
    def at_least(self) -> int:
        """Items a cluster has at least."""
        return SMALLEST[self.method] if self.smallest is None else self.smallest

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@final
@dataclass(frozen=True)
class Clusters:
    """What was found.

    Attributes:
        labels: (N,) int64, the cluster of each item, -1 for unassigned; anchored items have the number of their anchor,
            other clusters follow, numbered from the largest anchor + 1 in the order of their first items.
        curve: what was tried for each k, where k-means had to find it.
    """

    labels: Integers
    curve: KCurve | None = None


def find_clusters(
    embeddings: Array,
    distance: Distance,
    options: ClusterOptions = ClusterOptions(),
    *,
    threshold: float | None = None,
    pair: float | None = None,
    anchors: ArrayLike | None = None,
    together: ArrayLike | None = None,
    flawed: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> Clusters:
    """Groups items by their embeddings.

    Args:
        embeddings: (N, D).
        distance: what compares them. k-means, x-means and hdbscan see points of a plain space (`space_of`), k-means and
            x-means by their Euclidean distance there.
        options: method and its options.
        threshold: for the method agglomerative, the largest mean distance between clusters that are merged.
        pair: likewise, the largest distance of two items that are a cluster by themselves; None for `threshold`.
        anchors: (N,) whole numbers; items with the same one are in one cluster, items with different ones are not. -1
            for items of which nothing is known.
        together: (N,) whole numbers, the picture an item was found in: two of one picture are never the same, unless
            their anchors say so. -1 for an item by itself.
        flawed: (N,) items too poor to decide anything by: they draw no other item, and join a cluster only where they
            are clearly near it (`joined`), which takes a threshold.
        progress: told of long work; what it raises ends the work.

    Raises:
        DataError: embeddings that are not (N, D) finite numbers.
        UsageError: no threshold for agglomerative, anchors or pictures of another shape, a distance that the method
            cannot use.
    """
    vectors = checked_embeddings(embeddings)
    rules = Rules.of(len(vectors), anchors, together)
    if not len(vectors):
        return Clusters(np.empty(0, dtype=np.int64))
    if flawed is not None and flawed.any():
        return _but_for_flawed(vectors, distance, options, threshold, pair, rules, flawed, progress)
    curve = None
    if options.method == "agglomerative":
        if threshold is None:
            raise UsageError("Agglomerative clustering stops at a threshold", None, "Pass threshold=.")
        start = _corners(vectors, distance, threshold, rules)
        merged = agglomerate(vectors, distance, threshold, rules=rules, start=start, progress=progress)
        labels = rules.named(merged)
        if pair is not None:
            labels = _parted(labels, vectors, distance, pair, rules)
    else:
        space = space_of(vectors, distance)
        found, curve = POINT_METHODS[options.method](space, options, progress)
        labels = rules.kept(found, space)
    return Clusters(_finished(labels, rules, options.at_least), curve)


def _but_for_flawed(
    vectors: Tensor, distance: Distance, options: ClusterOptions, threshold: float | None, pair: float | None,
    rules: Rules, flawed: NDArray[np.bool_], progress: Progress | None,
) -> Clusters:  # fmt: skip
    """Clusters of the good items, and the flawed ones in theirs or where they are clearly near."""
    good = np.flatnonzero(~flawed)
    found = find_clusters(
        vectors[torch.from_numpy(good)], distance, options, threshold=threshold, pair=pair,
        anchors=rules.anchors[good], together=rules.together[good], progress=progress,
    )  # fmt: skip
    labels, largest = rules.anchors.copy(), int(rules.anchors[good].max(initial=-1))
    new = found.labels > largest  # numbered after all anchors, those of flawed items too
    labels[good] = np.where(new, found.labels + rules.anchors.max(initial=-1) - largest, found.labels)
    if threshold is not None:
        labels = joined(vectors, distance, labels, flawed, rules.together, threshold)
    return Clusters(labels, found.curve)


def _corners(vectors: Tensor, distance: Distance, threshold: float, rules: Rules) -> Integers:
    """(N,) clusters within each anchor; free items are by themselves.

    They come first, so that a stray of one anchor does not draw a crowd of strangers to it.
    """
    start: Integers = np.arange(len(vectors))
    for anchor in np.unique(rules.anchors[rules.anchors >= 0]):
        held = np.flatnonzero(rules.anchors == anchor)
        inside = agglomerate(vectors[torch.from_numpy(held)], distance, threshold)
        start[held] = held[np.unique(inside, return_index=True)[1][inside]]
    return start


def _parted(labels: Integers, vectors: Tensor, distance: Distance, pair: float, rules: Rules) -> Integers:
    """The labels with both items by themselves again where a cluster is two that are farther than `pair` apart.

    Of an anchored and a free item the free one goes. What is parted are finished clusters: a third item holds two that
    are farther apart.
    """
    order = labels.argsort(kind="stable")
    order = order[labels[order] >= 0]
    _, start, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    first, second = order[start[sizes == 2]], order[start[sizes == 2] + 1]
    if not len(first):
        return labels
    with torch.inference_mode():
        far = distance.rowwise(vectors[torch.from_numpy(first)], vectors[torch.from_numpy(second)]).numpy() > pair
    first, second = first[far], second[far]
    leaving = np.where(rules.anchors[second] < 0, second, first)
    leaving = leaving[rules.anchors[leaving] < 0]
    labels = labels.copy()
    labels[leaving] = labels.max() + 1 + np.arange(len(leaving))
    return labels


Found = tuple[Integers, KCurve | None]


def _hdbscan(space: Space, options: ClusterOptions, progress: Progress | None) -> Found:
    from sklearn.cluster import HDBSCAN

    least = max(options.at_least, 2)  # fewer are not dense
    if len(space.points) < least:
        return np.full(len(space.points), -1), None
    if progress is not None:
        progress(0, 1, "hdbscan")
    options_of_it: dict[str, Any] = {"min_cluster_size": least, "metric": space.metric, "copy": True}
    labels: Any = HDBSCAN(**options_of_it).fit_predict(space.points)
    return labels.astype(np.int64), None


def _x_means(space: Space, options: ClusterOptions, progress: Progress | None) -> Found:
    from likewise.apps.cluster.xmeans import XMeans

    if progress is not None:
        progress(0, 1, "x-means")
    return XMeans(max_clusters=options.k, random_state=options.seed).fit(space.points).labels_, None


def _k_means(space: Space, options: ClusterOptions, progress: Progress | None) -> Found:
    if options.k is not None and options.k > len(space.points):
        raise DataError(
            "k-means makes at most as many clusters as there are items", f"k = {options.k} for {len(space.points)}"
        )
    curve = k_curve(space.points, seed=options.seed, progress=progress) if options.k is None else None
    k = curve.best if options.k is None and curve else options.k or 1
    return k_means(space.points, k, options.seed)[0], curve


POINT_METHODS: dict[str, Callable[[Space, ClusterOptions, Progress | None], Found]] = {
    "hdbscan": _hdbscan,
    "x-means": _x_means,
    "k-means": _k_means,
}


def _finished(labels: Integers, rules: Rules, smallest: int) -> Integers:
    """Leaves the items of clusters that are too small unassigned, and numbers new clusters after the anchors."""
    labels = labels.copy()
    first_new = int(rules.anchors.max(initial=-1)) + 1
    new = np.flatnonzero(labels >= first_new)
    if len(new):
        _, number, sizes = np.unique(labels[new], return_inverse=True, return_counts=True)
        labels[new[sizes[number] < smallest]] = -1
        new = new[sizes[number] >= smallest]
        labels[new] = first_new + numbered(labels[new])
    return labels
