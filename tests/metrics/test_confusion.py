from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.metrics.confusion import Confusion, confusions, hardest_pairs
from likewise.objective.distances import L1, Euclidean


def test_confusions_on_a_line() -> None:
    # a a . b . . a . b b : the third a is taken for b, the first b for a; c has one item and is never asked.
    points = torch.tensor([[0.0], [1.0], [2.5], [6.0], [7.0], [7.2], [30.0]])
    labels = torch.tensor([5, 5, 8, 5, 8, 8, 1])
    assert confusions(points, labels, Euclidean()) == (
        Confusion(identity=5, taken_for=8, items=1, share=1 / 3),
        Confusion(identity=8, taken_for=5, items=1, share=1 / 3),
    )


def test_confusions_as_counted_one_by_one(cloud) -> None:
    points, labels = cloud(0, [10, 30, 1, 20], spread=1.2)
    apart = torch.cdist(points.double(), points.double()).fill_diagonal_(torch.inf)
    counted = Counter((int(label), int(labels[int(row.argmin())])) for label, row in zip(labels, apart, strict=True))
    sizes = Counter(labels.tolist())
    expected = {pair: n for pair, n in counted.items() if pair[0] != pair[1] and sizes[pair[0]] > 1}
    found = confusions(points, labels + 2**24, Euclidean(), block=100)
    assert {(c.identity - 2**24, c.taken_for - 2**24): c.items for c in found} == expected
    assert all(c.share == c.items / sizes[c.identity - 2**24] for c in found)
    assert [c.items for c in found] == sorted(expected.values(), reverse=True)
    assert confusions(points, labels + 2**24, Euclidean(), top=2) == found[:2]


def test_no_confusion_gives_an_empty_list(cloud) -> None:
    points, labels = cloud(1, [5, 5], dim=8, spread=0.01)
    assert confusions(points, labels, Euclidean()) == ()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 30), block=st.integers(1, 500))
def test_hardest_pairs_as_sorted_one_by_one(cloud, seed: int, count: int, block: int) -> None:
    points, labels = cloud(seed, [3, 1, 6, 5], dim=3)
    found = hardest_pairs(points, labels, L1(), count=count, block=block)
    pairs = [(float((points[i] - points[j]).abs().sum()), i, j) for i, j in combinations(range(len(points)), 2)]
    for kept, alike, backwards in ((found.different, False, False), (found.same, True, True)):
        expected = sorted((pair for pair in pairs if (labels[pair[1]] == labels[pair[2]]) == alike), reverse=backwards)[
            :count
        ]
        assert [(p.first, p.second) for p in kept] == [(i, j) for _, i, j in expected]
        assert [p.distance for p in kept] == pytest.approx([d for d, _, _ in expected], rel=1e-5)


def test_hardest_pairs_on_a_line() -> None:
    points, labels = torch.tensor([[9.0], [0.0], [4.0], [5.0]]), torch.tensor([1, 1, 2, 1])
    found = hardest_pairs(points, labels, Euclidean(), count=2)
    assert found.as_dict() == {
        "different": [
            {"first": 2, "second": 3, "distance": 1.0},
            {"first": 1, "second": 2, "distance": 4.0},
        ],
        "same": [{"first": 0, "second": 1, "distance": 9.0}, {"first": 1, "second": 3, "distance": 5.0}],
    }


def test_no_more_than_a_block_is_held_at_once(cloud, watched) -> None:
    points, labels = cloud(2, [20, 30])
    hardest_pairs(points, labels, watched, block=100)
    confusions(points, labels, watched, block=100)
    assert watched.largest <= 100
