"""The hardest pairs without a common item, as a loop over all pairs finds them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likewise.evaluation.apart import hardest_apart
from likewise.metrics import Pair, hardest_pairs
from likewise.objective.distances import Euclidean


def one_by_one(points: torch.Tensor, labels: torch.Tensor, count: int, *, same: bool) -> list[tuple[int, int]]:
    pairs = [
        (float(torch.dist(points[a], points[b])), a, b)
        for a in range(len(points))
        for b in range(a + 1, len(points))
        if bool(labels[a] == labels[b]) == same
    ]
    found: list[tuple[int, int]] = []
    for _, a, b in sorted(pairs, reverse=same):
        if not {a, b} & {item for pair in found for item in pair}:
            found.append((a, b))
    return found[:count]


def places(pairs: tuple[Pair, ...]) -> list[tuple[int, int]]:
    return [(pair.first, pair.second) for pair in pairs]


@pytest.mark.parametrize("known", [1, 7, 200])
@pytest.mark.parametrize("seed", [0, 1])
def test_as_one_by_one(known: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    points, labels = torch.randn(60, 3, generator=rng), torch.randint(5, (60,), generator=rng)
    hardest = hardest_pairs(points, labels, Euclidean(), count=known)
    found = hardest_apart(hardest, points, labels, Euclidean(), 8)
    assert places(found.same) == one_by_one(points, labels, 8, same=True)
    assert places(found.different) == one_by_one(points, labels, 8, same=False)
    for pair in (*found.same, *found.different):
        assert pair.distance == pytest.approx(float(torch.dist(points[pair.first], points[pair.second])), rel=1e-5)


def test_odd_items_do_not_fill_the_picture() -> None:
    """Three mislabelled items are in each of the 200 hardest pairs of their class, and there are still eight pairs."""
    rng = torch.Generator().manual_seed(0)
    points = torch.cat([torch.randn(100, 2, generator=rng), 50 + torch.randn(100, 2, generator=rng)])
    labels = torch.arange(200) // 100
    labels[[3, 4, 5]] = 1
    hardest = hardest_pairs(points, labels, Euclidean(), count=200)
    assert all({pair.first, pair.second} & {3, 4, 5} for pair in hardest.same)
    found = hardest_apart(hardest, points, labels, Euclidean(), 8)
    assert len(found.same) == len(found.different) == 8
    for pairs in (found.same, found.different):
        assert len(set(np.ravel(places(pairs)))) == 16
    assert places(found.same)[3:] == one_by_one(points, labels, 8, same=True)[3:]


def test_there_are_fewer_only_where_there_are_no_more() -> None:
    points = torch.tensor([[0.0], [1.0], [5.0], [7.0]])
    hardest = hardest_pairs(points, torch.tensor([0, 0, 1, 2]), Euclidean(), count=200)
    found = hardest_apart(hardest, points, torch.tensor([0, 0, 1, 2]), Euclidean(), 8)
    assert places(found.same) == [(0, 1)]
    assert places(found.different) == [(2, 3)]  # the other two are the same
