"""Average linkage: against scipy's, and against a loop straight from the definition, with items that must not meet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from likewise.apps.cluster.agglomerative import agglomerate
from likewise.apps.cluster.rules import Rules, numbered
from likewise.objective.distances import L1, Concatenated, Cosine, Distance, Euclidean

DISTANCES: list[Distance] = [Euclidean(), Cosine(), L1(), Concatenated(5)]


def drawn(seed: int, n: int = 40, dim: int = 5) -> Tensor:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, dim))
    return torch.from_numpy((centres[rng.integers(6, size=n)] + 0.5 * rng.normal(size=(n, dim))).astype(np.float32))


def pairwise(x: Tensor, distance: Distance) -> np.ndarray:
    """(N, N) dissimilarities whose mean between clusters is what is compared: squares, for the Euclidean distance."""
    with torch.no_grad():
        wide = x if isinstance(distance, Concatenated) else x.double()
        d = distance.between(wide, wide).double().numpy()
    d = d**2 if isinstance(distance, Euclidean) else d
    d = (d + d.T) / 2
    np.fill_diagonal(d, 0)
    return d


def limit(threshold: float, distance: Distance) -> float:
    return threshold**2 if isinstance(distance, Euclidean) else threshold


def thresholds(x: Tensor, distance: Distance) -> list[float]:
    """Four that cut the hierarchy at different heights, each between two merges."""
    heights = linkage(squareform(pairwise(x, distance), checks=False), "average")[:, 2]
    cuts = [(heights[i] + heights[i + 1]) / 2 for i in (5, 15, 25, len(heights) - 2)]
    return [float(np.sqrt(c)) if isinstance(distance, Euclidean) else float(c) for c in cuts]


def naive(d: np.ndarray, threshold: float, rules: Rules) -> np.ndarray:
    """Merges the nearest two clusters that may be merged, one pair at a time."""
    clusters = [[i] for i in range(len(d))]

    def apart(i: int, j: int) -> bool:
        a, b = rules.anchors[i], rules.anchors[j]
        return (a >= 0 and b >= 0 and a != b) or (rules.together[i] >= 0 and rules.together[i] == rules.together[j])

    while True:
        best = None
        for i, one in enumerate(clusters):
            for j, other in enumerate(clusters[:i]):
                mean = d[np.ix_(one, other)].mean()
                allowed = not any(apart(p, q) for p in one for q in other)
                if allowed and mean <= threshold and (best is None or mean < best[0]):
                    best = mean, j, i
        if best is None:
            break
        _, j, i = best
        clusters[j] += clusters.pop(i)
    labels = np.empty(len(d), dtype=np.int64)
    for number, members in enumerate(clusters):
        labels[members] = number
    return numbered(labels)


@pytest.mark.parametrize("distance", DISTANCES, ids=lambda d: d.name)
@pytest.mark.parametrize("matrix", [0, 12, 1000])  # distances never held, held from 12 clusters on, held from the start
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scipy(distance: Distance, matrix: int, seed: int) -> None:
    x = drawn(seed)
    tree = linkage(squareform(pairwise(x, distance), checks=False), "average")
    for threshold in thresholds(x, distance):
        expected = numbered(fcluster(tree, limit(threshold, distance), "distance"))
        assert np.array_equal(agglomerate(x, distance, threshold, matrix=matrix, block=100), expected)


numbers = st.lists(st.integers(-1, 3), min_size=20, max_size=20)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from([0, 8, 100]), st.sampled_from(range(3)), st.sampled_from(range(4)),
    numbers, numbers,
)  # fmt: skip
def test_agrees_with_the_definition_whatever_the_rules(
    seed: int, matrix: int, kind: int, cut: int, anchors: list[int], together: list[int]
) -> None:
    x, distance = drawn(seed, 20), DISTANCES[kind]
    rules = Rules.of(20, anchors, together)
    d = pairwise(x, distance)
    heights = np.sort(squareform(d, checks=False))
    threshold = float(
        heights[len(heights) * (cut + 1) // 5 :][:2].mean()
    )  # at a distance itself, rounding would decide
    given_ = float(np.sqrt(threshold)) if isinstance(distance, Euclidean) else threshold
    found = agglomerate(x, distance, given_, rules=rules, matrix=matrix, block=50)
    assert np.array_equal(found, naive(d, threshold, rules))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_the_items_does_not_matter(seed: int) -> None:
    x = drawn(seed)
    threshold = thresholds(x, Euclidean())[2]
    order = np.random.default_rng(seed).permutation(len(x))
    found = agglomerate(x, Euclidean(), threshold)
    assert np.array_equal(numbered(found[order]), agglomerate(x[torch.from_numpy(order)], Euclidean(), threshold))


def test_by_hand() -> None:
    # On a line: 0 and 1 are 1 apart; 2.2 is (2.2 + 1.2) / 2 = 1.7 from the two by the mean of the distances.
    x = torch.tensor([[0.0], [2.2], [1.0], [9.0]])
    assert agglomerate(x, L1(), 0.9).tolist() == [0, 1, 2, 3]
    assert agglomerate(x, L1(), 1.1).tolist() == [0, 1, 0, 2]
    assert agglomerate(x, L1(), 1.65).tolist() == [0, 1, 0, 2]
    assert agglomerate(x, L1(), 1.75).tolist() == [0, 0, 0, 1]
    # The root of the mean of the squares is sqrt((2.2^2 + 1.2^2) / 2) = 1.772.
    assert agglomerate(x, Euclidean(), 1.75).tolist() == [0, 1, 0, 2]
    assert agglomerate(x, Euclidean(), 1.79).tolist() == [0, 0, 0, 1]
    assert agglomerate(x, Euclidean(), -1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("distance", DISTANCES, ids=lambda d: d.name)
def test_ties_end_and_merge_what_is_the_same(distance: Distance) -> None:
    x = torch.zeros(50, 5)
    x[25:] = 1
    if isinstance(distance, Concatenated):
        threshold = distance.rowwise(x[:1], x[:1]).item() + 1e-4
        assert agglomerate(x, distance, threshold, matrix=10).max() <= 1
    else:
        assert agglomerate(x, distance, 0.1, matrix=10).tolist() == [0] * 25 + [1] * 25


class Counting(Distance):
    """L1, noting the largest block that was asked for."""

    name = "counting"
    largest = 0

    def rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        return L1().rowwise(a, b)

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        Counting.largest = max(Counting.largest, len(a) * len(b))
        return L1().between(a, b)


def test_never_more_than_a_block_is_computed_at_once() -> None:
    x = drawn(0, 300)
    distance = Counting()
    found = agglomerate(x, distance, 2.0, matrix=50, block=2000)
    assert 0 < Counting.largest <= 2000
    assert np.array_equal(found, agglomerate(x, L1(), 2.0))


def test_progress_is_told_and_may_stop_the_work() -> None:
    told: list[tuple[int, int]] = []
    agglomerate(drawn(0), Euclidean(), 100.0, progress=lambda done, total, _: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (39, 40)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agglomerate(drawn(0), Euclidean(), 100.0, progress=stop)


def test_nothing_and_one() -> None:
    assert agglomerate(torch.empty(0, 3), Euclidean(), 1.0).tolist() == []
    assert agglomerate(torch.ones(1, 3), Euclidean(), 1.0).tolist() == [0]
