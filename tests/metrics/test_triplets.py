"""Hardest triplets against a naive loop, and lists that one odd item does not fill."""

from __future__ import annotations

import numpy as np
import pytest

from likewise.metrics import hardest_triplets
from likewise.objective.distances import Euclidean


def by_a_loop(x: np.ndarray, y: np.ndarray, count: int, each: int) -> list[tuple[int, int, int]]:
    found = []
    for a in range(len(y)):
        to = [float(np.linalg.norm(x[a] - x[i])) for i in range(len(y))]
        same = [i for i in range(len(y)) if i != a and y[i] == y[a]]
        others = [i for i in range(len(y)) if y[i] != y[a]]
        if same and others:
            p, n = max(same, key=lambda i: to[i]), min(others, key=lambda i: to[i])
            found.append((to[n] - to[p], a, p, n))
    kept, used, anchors = [], set(), dict.fromkeys(y.tolist(), 0)
    for _, *triplet in sorted(found):
        if len(kept) < count and anchors[int(y[triplet[0]])] < each and not used & set(triplet):
            kept.append(tuple(triplet))
            used |= set(triplet)
            anchors[int(y[triplet[0]])] += 1
    return kept


@pytest.mark.parametrize("block", [1, 100, 1 << 20])
@pytest.mark.parametrize(("count", "each"), [(1, 1), (6, 1), (6, 2), (100, 3)])
def test_they_are_those_of_a_naive_loop(count: int, each: int, block: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 7, 60)
    x = (rng.standard_normal((60, 3)) + 0.8 * y[:, None]).astype(np.float32)
    found = hardest_triplets(x, y, Euclidean(), count=count, each=each, block=block)
    assert [tuple(triplet[:3]) for triplet in found] == by_a_loop(x, y, count, each)
    for triplet in found:
        to = np.linalg.norm(x[triplet.anchor].astype(np.float64) - x, axis=1)
        assert triplet.to_positive == pytest.approx(to[triplet.positive], rel=1e-5)
        assert triplet.to_negative == pytest.approx(to[triplet.negative], rel=1e-5)
        assert triplet.margin == triplet.to_negative - triplet.to_positive


def test_one_odd_item_is_in_one_triplet() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 10)
    x = (rng.standard_normal((30, 2)) * 0.1 + np.array([[0, 0], [9, 0], [0, 9]])[y]).astype(np.float32)
    x[5] = 9, 0  # among the items of 1: the farthest of all of 0, and the nearest negative of all of 1
    found = hardest_triplets(x, y, Euclidean(), count=10)
    assert 5 in found[0][:3]
    assert sum(5 in triplet[:3] for triplet in found) == 1
    assert {int(y[triplet.anchor]) for triplet in found} == {0, 2}  # of 1 it is every item's nearest negative


def test_none_without_a_positive_or_without_a_negative() -> None:
    x = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
    assert hardest_triplets(x, np.arange(4), Euclidean()) == ()
    assert hardest_triplets(x, np.zeros(4, int), Euclidean()) == ()
