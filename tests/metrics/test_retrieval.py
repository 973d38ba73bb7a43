from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.neighbors import KNeighborsClassifier

from likewise.errors import DataError, UsageError
from likewise.metrics.retrieval import hits_at_1, retrieval, vote
from likewise.objective.distances import L1, Euclidean


def by_definition(points, labels, gallery=None, gallery_labels=None) -> dict[str, float]:
    """Every figure by loops over queries and ranks, L1 distance; of equal distances the wrong ones come first."""
    itself = gallery is None
    gallery, gallery_labels = (points, labels) if itself else (gallery, gallery_labels)
    at_1, r_precision, average, left_out = [], [], [], 0
    for q, point in enumerate(points.tolist()):
        ranked = sorted(
            (sum(abs(x - y) for x, y in zip(point, other, strict=True)), label == labels[q])
            for i, (other, label) in enumerate(zip(gallery.tolist(), gallery_labels.tolist(), strict=True))
            if not (itself and i == q)
        )
        hits = [bool(hit) for _, hit in ranked]
        relevant = sum(hits)
        if relevant == 0:
            left_out += 1
            continue
        at_1.append(hits[0])
        r_precision.append(sum(hits[:relevant]) / relevant)
        average.append(sum(sum(hits[: i + 1]) / (i + 1) for i in range(relevant) if hits[i]) / relevant)
    figures = {"precision_at_1": at_1, "r_precision": r_precision, "map_at_r": average}
    return {name: float(np.mean(values)) for name, values in figures.items()} | {
        "queries": len(at_1),
        "left_out": left_out,
    }


@pytest.mark.parametrize("seed", range(5))
def test_as_defined_with_ties_and_lone_items(lattice, seed: int) -> None:
    points, labels = lattice(seed, [1, 2, 9, 1, 20], dim=2)
    found = asdict(retrieval(points, labels, L1(), block=100))
    expected = by_definition(points, labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found["left_out"] == 2


@pytest.mark.parametrize("seed", range(5))
def test_as_defined_between_two_sets(lattice, seed: int) -> None:
    points, labels = lattice(seed, [3, 4, 5], dim=2)
    gallery, gallery_labels = lattice(seed + 100, [6, 1, 0, 7], dim=2)  # none of identity 2, and a stranger
    found = asdict(retrieval(points, labels, L1(), gallery=(gallery, gallery_labels)))
    expected = by_definition(points, labels, gallery, gallery_labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found["left_out"] == 5


def test_as_pytorch_metric_learning_has_it(cloud) -> None:
    points, labels = cloud(1, [5, 30, 60, 2])
    found = retrieval(points, labels, Euclidean())
    peer = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        k="max_bin_count",
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    ).get_accuracy(points, labels)
    assert found.precision_at_1 == pytest.approx(peer["precision_at_1"], abs=1e-6)
    assert found.r_precision == pytest.approx(peer["r_precision"], abs=1e-6)
    assert found.map_at_r == pytest.approx(peer["mean_average_precision_at_r"], abs=1e-6)


def test_on_a_line() -> None:
    # a a . b . a: each a has the other two to find (R = 2), b has nobody.
    points = torch.tensor([[0.0], [1.0], [3.0], [5.5]])
    labels = torch.tensor([7, 7, 9, 7])
    found = retrieval(points, labels, Euclidean(), k=1)
    # From 0: a b | from 1: a b | from 5.5: b a
    assert found.precision_at_1 == pytest.approx(2 / 3)
    assert found.r_precision == pytest.approx((1 / 2 + 1 / 2 + 1 / 2) / 3)
    assert found.map_at_r == pytest.approx((1 / 2 + 1 / 2 + (1 / 2) / 2) / 3)
    assert found.knn_accuracy == pytest.approx(2 / 3)
    assert (found.queries, found.left_out) == (3, 1)


def test_everything_in_one_place_finds_nothing() -> None:
    labels = torch.arange(4).repeat_interleave(5)
    found = retrieval(torch.zeros(20, 3), labels, Euclidean())
    assert (found.precision_at_1, found.r_precision, found.map_at_r) == (0, 0, 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_rotation_and_names_of_identities_do_not_matter(lattice, seed: int) -> None:
    points, labels = lattice(seed, [3, 6, 8], dim=3)
    expected = by_definition(points, labels)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    turned = points[:, [2, 0, 1]] * torch.tensor([-1.0, 1.0, -1.0])
    names = torch.tensor([2**40, -5, 2**40 + 1])
    for x, y in ((points[order], labels[order]), (turned, labels), (points, names[labels])):
        found = asdict(retrieval(x, y, L1()))
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_identities_that_float32_cannot_tell_apart(cloud) -> None:
    points, labels = cloud(2, [2] * 40, spread=3.0)
    assert retrieval(points, labels + 2**24, Euclidean()) == retrieval(points, labels, Euclidean())
    assert retrieval(points, labels, Euclidean()).precision_at_1 < 0.5


@pytest.mark.parametrize("block", [1, 50, 333, 10**6])
def test_the_block_changes_nothing_but_memory(cloud, watched, block: int) -> None:
    points, labels = cloud(4, [10, 10, 10])
    expected = retrieval(points, labels, Euclidean())
    assert retrieval(points, labels, watched, block=block) == expected
    assert watched.largest <= max(block, 30)


def test_vote_is_scikit_learns(cloud) -> None:
    gallery, gallery_labels = cloud(5, [40, 40])
    points, labels = cloud(5, [25, 25], spread=1.5)
    found = retrieval(points, labels, Euclidean(), gallery=(gallery, gallery_labels), k=7)
    peer = KNeighborsClassifier(7).fit(gallery.double(), gallery_labels)
    assert found.knn_accuracy == pytest.approx(peer.score(points.double(), labels), abs=1e-12)


def test_a_tied_vote_goes_to_the_nearest() -> None:
    votes = torch.tensor([[3, 1, 1, 3, 2], [5, 4, 3, 2, 1], [9, 9, 1, 1, 1]])
    assert vote(votes).tolist() == [3, 5, 1]
    assert vote(votes, block=1).tolist() == [3, 5, 1]


def test_fewer_neighbours_vote_where_there_are_fewer(cloud) -> None:
    points, labels = cloud(6, [2, 2])
    assert retrieval(points, labels, Euclidean(), k=50).k == 3
    with pytest.raises(UsageError, match="at least 1"):
        retrieval(points, labels, Euclidean(), k=0)


def test_nothing_to_be_found_is_an_error(cloud) -> None:
    points, labels = cloud(7, [1, 1, 1])
    with pytest.raises(DataError, match=r"something to be found.*3 items, none with another of its identity"):
        retrieval(points, labels, Euclidean())
    with pytest.raises(DataError, match="in the gallery"):
        retrieval(points, labels, Euclidean(), gallery=(points, labels + 3))
    with pytest.raises(DataError, match="in the gallery"):
        retrieval(points, labels, Euclidean(), gallery=(points[:0], labels[:0]))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 200))
def test_hits_are_those_of_retrieval_item_by_item(seed: int, block: int) -> None:
    """On a lattice many distances are the same: then the wrong ones come first."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.integers(0, 4, (24, 2)).astype(np.float32))
    labels = torch.from_numpy(np.r_[rng.integers(0, 4, 23), 9])  # one of which there is no other
    asked, hit = hits_at_1(points, labels, L1(), block=block)
    distances = np.abs(points.numpy()[:, None] - points.numpy()).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    for i, found in zip(asked, hit, strict=True):
        own = labels.numpy() == labels.numpy()[i]
        assert found == (distances[i][own].min() < distances[i][~own].min())
    assert set(asked.tolist()) == {i for i in range(24) if (labels == labels[i]).sum() > 1}
    assert hit.mean() == pytest.approx(retrieval(points, labels, L1()).precision_at_1)
