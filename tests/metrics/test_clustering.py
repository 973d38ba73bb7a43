from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

from likewise.errors import DataError, UsageError
from likewise.metrics.clustering import agreement, clustering
from likewise.objective.distances import Cosine

FIGURES = ("nmi", "ami", "bcubed_precision", "bcubed_recall", "bcubed_f", "pairwise_f")


def by_definition(labels: list[int], groups: list[int]) -> dict[str, float]:
    """BCubed item by item, pairs pair by pair."""
    items = range(len(labels))
    alike = [[labels[i] == labels[j] for j in items] for i in items]
    together = [[groups[i] == groups[j] for j in items] for i in items]
    both = [[a and t for a, t in zip(*rows, strict=True)] for rows in zip(alike, together, strict=True)]
    precision = np.mean([sum(both[i]) / sum(together[i]) for i in items])
    recall = np.mean([sum(both[i]) / sum(alike[i]) for i in items])
    a, t, b = (sum(table[i][j] for i, j in combinations(items, 2)) for table in (alike, together, both))
    return {
        "bcubed_precision": precision,
        "bcubed_recall": recall,
        "bcubed_f": 2 / (1 / precision + 1 / recall),
        "pairwise_f": 2 / (t / b + a / b) if b else float(a + t == 0),
        "nmi": normalized_mutual_info_score(labels, groups),
        "ami": adjusted_mutual_info_score(labels, groups),
    }


@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25))
def test_as_defined_item_by_item(items: list[tuple[int, int]]) -> None:
    labels, groups = (list(column) for column in zip(*items, strict=True))
    found = agreement(np.array(labels), np.array(groups)).as_dict()
    expected = by_definition(labels, groups)
    assert {name: found[name] for name in FIGURES} == pytest.approx(expected, abs=1e-9)
    assert (found["items"], found["identities"], found["clusters"]) == (
        len(items),
        len(set(labels)),
        len(set(groups)),
    )


def test_on_paper() -> None:
    # Identities a a a a b b; clusters {a a a b} {a b}.
    found = agreement(np.array([0, 0, 0, 0, 1, 1]), np.array([5, 5, 5, 6, 5, 6]))
    assert found.bcubed_precision == pytest.approx((3 * 3 / 4 + 1 / 2 + 1 / 4 + 1 / 2) / 6)
    assert found.bcubed_recall == pytest.approx((3 * 3 / 4 + 1 / 4 + 1 / 2 + 1 / 2) / 6)
    assert found.pairwise_f == pytest.approx(2 * 3 / (7 + 7))  # 3 pairs right, of 7 together and 7 alike


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_and_names_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 5, (2, 40))
    order = rng.permutation(40)
    names = np.array([2**24, 2**24 + 1, -3, 2**60, 2**60 + 1])
    expected = agreement(labels, groups).as_dict()
    assert agreement(labels[order], groups[order]).as_dict() == pytest.approx(expected)
    assert agreement(names[labels], names[groups]).as_dict() == pytest.approx(expected)


def test_k_means_finds_what_is_apart(cloud) -> None:
    points, labels = cloud(0, [30, 40, 20, 30], dim=8, spread=0.1)
    found = clustering(points, labels, seed=0)
    assert found.clusters == found.identities == 4
    assert [getattr(found, name) for name in FIGURES] == pytest.approx([1.0] * 6)
    assert clustering(points, labels, seed=0, clusters=2).bcubed_recall == pytest.approx(1.0)


def test_chance_is_0_when_adjusted(cloud) -> None:
    points, labels = cloud(1, [50] * 6)
    shuffled = labels[torch.randperm(300, generator=torch.Generator().manual_seed(1))]
    found = clustering(points, shuffled, seed=0)
    assert abs(found.ami) < 0.03
    assert found.nmi > found.ami


def test_everything_in_one_place_is_one_cluster(recwarn) -> None:
    found = clustering(torch.ones(12, 2), torch.arange(12) % 3, seed=0)
    assert (found.clusters, found.ami, found.bcubed_recall) == (1, 0, 1)
    assert found.bcubed_precision == pytest.approx(1 / 3)
    assert len(recwarn) == 0


def test_a_seed_repeats_the_clustering(cloud) -> None:
    points, labels = cloud(2, [40] * 8, spread=1.5)
    assert clustering(points, labels, seed=3) == clustering(points, labels, seed=3)


def test_impossible_numbers_of_clusters_are_refused(cloud) -> None:
    points, labels = cloud(3, [3, 3])
    for clusters in (0, 7):
        with pytest.raises(UsageError, match="between 1 and the 6 items"):
            clustering(points, labels, seed=0, clusters=clusters)
    with pytest.raises(DataError, match="needs items"):
        clustering(points[:0], labels[:0], seed=0)
    with pytest.raises(DataError, match="needs items"):
        agreement(labels[:0], labels[:0])
    with pytest.raises(DataError, match="one label for each"):
        agreement(np.array([1, 2, 3]), np.array([1, 2]))


def test_lengths_do_not_count_where_the_distance_is_cosine() -> None:
    rng = np.random.default_rng(0)
    angle = np.repeat(np.arange(4) * np.pi / 2, 30) + 0.05 * rng.normal(size=120)
    points = np.exp(rng.normal(size=(120, 1))) * np.column_stack([np.cos(angle), np.sin(angle)])
    labels = np.repeat(np.arange(4), 30)
    assert clustering(points, labels, seed=0, distance=Cosine()).bcubed_f == 1
    assert clustering(points, labels, seed=0).bcubed_f < 1


def test_whole_identities_are_drawn_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["likewise.metrics.clustering"], "_MOST_WORK", 50)
    labels = np.repeat(np.arange(20), 3)
    found = clustering(100.0 * labels[:, None], labels, seed=0)
    assert (found.items, found.identities, found.clusters) == (12, 4, 4)  # 5 identities: 15 items x 5 are more than 50
    assert found.bcubed_f == 1
