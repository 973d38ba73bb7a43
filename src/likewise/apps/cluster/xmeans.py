"""x-means: k-means that finds k by itself."""

from __future__ import annotations

import math
import warnings
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

PARTS = (2, 3, 4)  # into how many a cluster may split at once

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class XMeans(ClusterMixin, BaseEstimator):
    """k-means that splits its clusters for as long as the Bayesian information criterion gains by it.

    Pelleg and Moore, "X-means: Extending K-means with efficient estimation of the number of clusters" (ICML 2000).
    From `min_clusters` on, two steps take turns. *Improve-params* runs k-means from the centres there are.
    *Improve-structure* runs k-means inside every cluster and keeps the parts where their BIC, over the points of that
    cluster alone, is above that of the one. When nothing splits any more, or at `max_clusters`, the k is taken whose
    BIC over all points is highest. The paper tries two parts only; here three and four are tried too, because halving
    points spread evenly in two dimensions gains no more than it costs, though they lie in four heaps.

    Args:
        min_clusters: k to begin with.
        max_clusters: largest k; None for half the number of points.
        n_init: starts of the first k-means and of those inside clusters; the best counts.
        max_iter: most iterations of any k-means.
        random_state: seed or generator of the starts.

    Attributes:
        cluster_centers_: (k, D), means of the clusters.
        labels_: (N,) int64, the cluster of each point.
        n_clusters_: k.
        inertia_: sum of squared distances to the nearest centre.
        bic_: of the result, see `bic`; higher is better.
        n_iter_: how often both steps took their turn.
        n_features_in_: D.
    """

    def __init__(
        self,
        min_clusters: int = 1,
        max_clusters: int | None = None,
        *,
        n_init: int = 3,
        max_iter: int = 300,
        random_state: Any = None,
    ) -> None:
        self.min_clusters = min_clusters
        self.max_clusters = max_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Finds the clusters of `X`, (N, D); `y` is not looked at.

        Raises:
            ValueError: as scikit-learn's estimators do, for data or parameters that cannot be.
        """
        points = cast("Floats", validate_data(self, cast("Any", X), dtype=np.float64))
        most = self._most(len(points))
        random = check_random_state(self.random_state)
        means = self._k_means(points, self.min_clusters, random)
        best, best_bic, self.n_iter_ = means, _bic_of(means, points), 1
        while len(means.cluster_centers_) < most:
            centres = self._split(points, means, most, random)
            if len(centres) == len(means.cluster_centers_):
                break
            means = self._k_means(points, centres, random)
            self.n_iter_ += 1
            if (score := _bic_of(means, points)) > best_bic:
                best, best_bic = means, score
        self.cluster_centers_: Floats = best.cluster_centers_
        self.labels_: Integers = best.labels_.astype(np.int64)
        self.inertia_, self.bic_ = float(best.inertia_), best_bic
        self.n_clusters_ = len(self.cluster_centers_)
        return self

    def predict(self, X: ArrayLike) -> Integers:
        """(N, D) -> (N,) int64: the cluster whose centre is nearest."""
        check_is_fitted(self)
        points = cast("Floats", validate_data(self, cast("Any", X), dtype=np.float64, reset=False))
        return pairwise_distances_argmin(points, self.cluster_centers_).astype(np.int64)

    def _most(self, count: int) -> int:
        """Largest k for `count` points."""
        most = count // 2 if self.max_clusters is None else self.max_clusters
        if not 1 <= self.min_clusters <= count:
            raise ValueError(f"min_clusters is between 1 and n_samples={count}; got {self.min_clusters}")
        if self.max_clusters is not None and most < self.min_clusters:
            raise ValueError(f"max_clusters is at least min_clusters={self.min_clusters}; got {most}")
        return min(max(most, self.min_clusters), count)

    def _k_means(self, points: Floats, start: int | Floats, random: Any) -> Any:
        """k-means with `start` clusters, or from the centres `start`."""
        options: dict[str, Any] = {"max_iter": self.max_iter, "random_state": random}
        if isinstance(start, int):
            means = KMeans(start, n_init=cast("Any", self.n_init), **options)
        else:
            means = KMeans(len(start), init=cast("Any", start), n_init=cast("Any", 1), **options)
        with warnings.catch_warnings():  # fewer distinct points than centres: then no split gains anything
            warnings.simplefilter("ignore", ConvergenceWarning)
            return means.fit(points)

    def _split(self, points: Floats, means: Any, most: int, random: Any) -> Floats:
        """The centres after improve-structure; those splits that gain most where not all fit under `most`."""
        dimensions, gains = points.shape[1], list[tuple[float, int, Floats]]()
        for number in range(len(means.cluster_centers_)):
            inside = points[means.labels_ == number]
            whole = bic([len(inside)], float(np.square(inside - inside.mean(axis=0)).sum()), dimensions)
            for parts in PARTS:
                if len(inside) > parts:
                    found = self._k_means(inside, parts, random)
                    sizes = np.bincount(found.labels_, minlength=parts)
                    if sizes.all():
                        gain = bic(sizes, found.inertia_, dimensions) - whole
                        gains.append((gain, number, found.cluster_centers_))
        centres = {number: centre[None] for number, centre in enumerate(means.cluster_centers_)}
        room, split = most - len(centres), set[int]()
        for gain, number, parts in sorted(gains, key=lambda one: -one[0]):
            if gain > 0 and number not in split and len(parts) - 1 <= room:
                centres[number] = parts
                room -= len(parts) - 1
                split.add(number)
        return np.concatenate(list(centres.values()))


def bic(sizes: ArrayLike, inertia: float, dimensions: int) -> float:
    """Bayesian information criterion of a clustering, taken as a mixture of round Gaussians of one variance.

    With R points in K clusters of R_n each, M dimensions and the unbiased variance per dimension
    ``s2 = inertia / (M (R - K))``,

        log-likelihood = sum_n R_n log(R_n / R) - R M / 2 log(2 pi s2) - M (R - K) / 2
        BIC = log-likelihood - ((K - 1) + M K + 1) / 2 log R.

    Section 3.2 of the paper, where the dimensions are left out of the variance and of the constant.

    Args:
        sizes: (K,), how many points each cluster has; at least 1.
        inertia: sum of squared distances of the points to the means of their clusters.
        dimensions: M.

    Returns:
        Higher is better; minus infinity where there are no more points than clusters.
    """
    each = np.asarray(sizes, dtype=np.float64)
    points, clusters = float(each.sum()), len(each)
    if points <= clusters:
        return -math.inf
    variance = max(inertia / (dimensions * (points - clusters)), np.finfo(np.float64).tiny)
    likelihood = (
        float((each * np.log(each / points)).sum())
        - points * dimensions / 2 * math.log(2 * math.pi * variance)
        - dimensions * (points - clusters) / 2
    )
    return likelihood - (clusters - 1 + dimensions * clusters + 1) / 2 * math.log(points)


def _bic_of(means: Any, points: Floats) -> float:
    sizes = np.bincount(means.labels_, minlength=len(means.cluster_centers_))
    return bic(sizes[sizes > 0], float(means.inertia_), points.shape[1])
