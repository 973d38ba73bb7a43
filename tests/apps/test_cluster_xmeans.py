"""x-means: the rules of scikit-learn, BIC from the definition, and k on drawn points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.utils.estimator_checks import parametrize_with_checks

from likewise.apps.cluster import XMeans
from likewise.apps.cluster.xmeans import bic


@parametrize_with_checks([XMeans()])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_keeps_to_the_rules_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def blobs(k: int, each: int = 40, dim: int = 2, seed: int = 0, apart: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = apart * np.stack([np.arange(k) % 4, np.arange(k) // 4], axis=1)
    labels = np.repeat(np.arange(k), each)
    return np.pad(centres, ((0, 0), (0, dim - 2)))[labels] + rng.normal(size=(k * each, dim)), labels


def naive_bic(points: np.ndarray, labels: np.ndarray) -> float:
    """Log-likelihood of every point under its own round Gaussian, less half the parameters times the log of R."""
    ks, (count, dim) = np.unique(labels), points.shape
    means = {k: points[labels == k].mean(axis=0) for k in ks}
    spread = sum(((p - means[label]) ** 2).sum() for p, label in zip(points, labels, strict=True))
    variance = spread / (dim * (count - len(ks)))
    likelihood = 0.0
    for p, label in zip(points, labels, strict=True):
        share = (labels == label).mean()
        likelihood += math.log(share) + multivariate_normal(means[label], variance).logpdf(p)
    parameters = (len(ks) - 1) + dim * len(ks) + 1
    return likelihood - parameters / 2 * math.log(count)


@pytest.mark.parametrize(("k", "dim"), [(1, 1), (2, 3), (5, 2)])
def test_bic_is_the_definition(k: int, dim: int) -> None:
    rng = np.random.default_rng(k)
    points, labels = rng.normal(size=(30, dim)), np.sort(rng.permutation(np.arange(30) % k))
    inertia = sum(((points[labels == c] - points[labels == c].mean(axis=0)) ** 2).sum() for c in range(k))
    assert bic(np.bincount(labels), inertia, dim) == pytest.approx(naive_bic(points, labels))


def test_bic_of_a_point_for_each_cluster_is_hopeless() -> None:
    assert bic([1, 1], 0.0, 3) == -math.inf


@pytest.mark.parametrize("k", [1, 2, 3, 7, 12])
def test_finds_k(k: int) -> None:
    points, labels = blobs(k)
    found = XMeans(random_state=0).fit(points)
    assert found.n_clusters_ == k
    assert len(set(zip(labels.tolist(), found.labels_.tolist(), strict=True))) == k
    assert found.inertia_ == pytest.approx(KMeans(k, n_init=5, random_state=0).fit(points).inertia_)
    assert found.bic_ == pytest.approx(naive_bic(points, found.labels_))


def test_limits_of_k_hold() -> None:
    points, _ = blobs(6)
    assert XMeans(max_clusters=4, random_state=0).fit(points).n_clusters_ == 4
    assert XMeans(min_clusters=8, random_state=0).fit(points).n_clusters_ >= 6
    assert XMeans(min_clusters=2, max_clusters=2, random_state=0).fit(points).n_clusters_ == 2


@pytest.mark.parametrize("options", [{"min_clusters": 0}, {"min_clusters": 99}, {"min_clusters": 3, "max_clusters": 2}])
def test_impossible_limits_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="_clusters is"):
        XMeans(**options).fit(np.arange(20.0).reshape(10, 2))


def test_the_same_seed_gives_the_same_and_predict_repeats_fit() -> None:
    points = np.random.default_rng(0).normal(size=(200, 3))
    one, other = XMeans(random_state=5).fit(points), clone(XMeans(random_state=5)).fit(points)
    assert np.array_equal(one.labels_, other.labels_)
    assert np.array_equal(one.predict(points), one.labels_)


def test_points_that_are_all_the_same_are_one_cluster() -> None:
    assert XMeans(random_state=0).fit(np.ones((20, 2))).n_clusters_ == 1
