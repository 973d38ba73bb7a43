"""Silhouettes: against scikit-learn, by hand, and of a sample."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from likewise.errors import DataError
from likewise.metrics.silhouette import silhouette
from likewise.objective.distances import L1, Euclidean


def points(seed: int, n: int = 60, dim: int = 3, groups: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(groups, size=n)
    return (2 * rng.normal(size=(groups, dim))[labels] + rng.normal(size=(n, dim))).astype(np.float32), labels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("distance", "metric"), [(Euclidean(), "euclidean"), (L1(), "manhattan")])
def test_agrees_with_scikit_learn(seed: int, distance, metric: str) -> None:
    x, labels = points(seed)
    labels[0] = 9  # alone in its group
    assert silhouette(x, labels, distance) == pytest.approx(silhouette_score(x, labels, metric=metric), abs=1e-6)


def test_by_hand() -> None:
    # On a line at 0, 1 and 10: s = (9.5 - 1) / 9.5... for the pair, and 0 for the one alone.
    found = silhouette(np.array([[0.0], [1.0], [10.0]]), np.array([7, 7, 3]), Euclidean())
    assert found == pytest.approx(((10 - 1) / 10 + (9 - 1) / 9 + 0) / 3)


def test_identical_items_have_no_silhouette() -> None:
    assert silhouette(np.zeros((4, 2)), np.array([0, 0, 1, 1]), Euclidean()) == 0


def test_blocks_change_nothing() -> None:
    x, labels = points(1)
    whole = silhouette(x, labels, Euclidean())
    assert silhouette(x, labels, Euclidean(), block=7) == pytest.approx(whole, abs=1e-12)


def test_a_sample_is_compared_with_all_and_repeats() -> None:
    x, labels = points(2, n=3000)
    whole = silhouette(x, labels, Euclidean(), sample=3000)
    some = [silhouette(x, labels, Euclidean(), sample=500, seed=seed) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]
    assert some == pytest.approx([whole] * 3, abs=0.05)


def test_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="at least two groups"):
        silhouette(np.zeros((3, 2)), np.zeros(3, dtype=int), Euclidean())
