from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from likewise.errors import UsageError
from likewise.metrics.neighbours import neighbours
from likewise.objective.distances import L1, Cosine, Euclidean


@pytest.mark.parametrize(
    ("distance", "metric"), [(Euclidean(), "euclidean"), (L1(), "manhattan"), (Cosine(), "cosine")]
)
def test_as_scikit_learn_finds_them(cloud, distance, metric: str) -> None:
    points, _ = cloud(0, [20, 30, 10])
    found = neighbours(points, distance, 7, block=500)
    expected_d, expected_i = NearestNeighbors(n_neighbors=7, metric=metric).fit(points.double()).kneighbors()
    assert found.indices.tolist() == expected_i.tolist()
    torch.testing.assert_close(found.distances.double(), torch.from_numpy(expected_d), rtol=1e-5, atol=1e-6)


def test_queries_in_another_set(cloud) -> None:
    queries, _ = cloud(0, [9, 8])
    gallery, _ = cloud(1, [20, 20])
    found = neighbours(queries, Euclidean(), 40, gallery=gallery)
    _, expected = NearestNeighbors(n_neighbors=40).fit(gallery.double()).kneighbors(queries.double())
    assert found.indices.tolist() == expected.tolist()


def test_on_a_line() -> None:
    found = neighbours(torch.tensor([[0.0], [1.0], [3.0], [7.0]]), Euclidean(), 2)
    assert found.indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert found.distances.tolist() == [[1, 3], [1, 2], [2, 3], [4, 6]]


def test_an_item_is_not_its_own_neighbour_even_among_copies_of_itself() -> None:
    found = neighbours(torch.ones(6, 3), Euclidean(), 5)
    for item, row in enumerate(found.indices.tolist()):
        assert sorted(row) == [other for other in range(6) if other != item]


@pytest.mark.parametrize("block", [1, 7, 64, 10**6])
def test_the_block_changes_nothing_but_memory(cloud, watched, block: int) -> None:
    points, _ = cloud(3, [13, 12])
    found = neighbours(points, watched, 4, block=block)
    assert watched.largest <= max(block, len(points))
    assert found.indices.tolist() == neighbours(points, Euclidean(), 4).indices.tolist()


@pytest.mark.parametrize("k", [0, 4])
def test_k_is_limited_by_the_other_items(k: int) -> None:
    with pytest.raises(UsageError, match="between 1 and the 3 other items"):
        neighbours(torch.zeros(4, 2), Euclidean(), k)
    assert neighbours(torch.zeros(4, 2), Euclidean(), 4, gallery=torch.zeros(4, 2)).indices.shape == (4, 4)
