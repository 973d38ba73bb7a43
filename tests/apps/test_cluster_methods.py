"""Every method keeps to what is known beforehand, whatever the items; curves over k; the cut by the calibration."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from cluster_drawn import PointModel, calibration, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.apps.cluster import (
    ClusterOptions,
    KCurve,
    cluster_folder,
    cut_of,
    draw_k_curve,
    find_clusters,
    k_curve,
    pair_cut_of,
)
from likewise.apps.cluster.cut import distance_at
from likewise.apps.cluster.methods import Method
from likewise.apps.cluster.rules import numbered
from likewise.apps.cluster.space import space_of
from likewise.calibration.probability import ProbabilityCurve
from likewise.errors import DataError, ModelError, UsageError
from likewise.metrics import agreement
from likewise.objective.distances import DISTANCES, L1, Concatenated, Cosine, Euclidean, WeightedL1, make_distance

METHODS = get_args(Method)


def blobs(
    seed: int, groups: int = 5, each: int = 8, dim: int = 3, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups), each)
    return (12 * rng.normal(size=(groups, dim)))[labels] + spread * rng.normal(size=(groups * each, dim)), labels


def options(method: str, **others: int) -> ClusterOptions:
    return ClusterOptions(method, k=5 if method == "k-means" else None, **others)


@pytest.mark.parametrize("method", METHODS)
def test_clear_groups_are_found(method: str) -> None:
    x, labels = blobs(3)
    found = find_clusters(x, Euclidean(), options(method), threshold=8.0).labels
    agreed = agreement(labels, found)
    assert agreed.bcubed_precision > 0.97
    assert agreed.bcubed_f > (0.6 if method == "x-means" else 0.99)  # which splits more than it should


anchored = st.lists(st.integers(-1, 2), min_size=40, max_size=40)
# X-means runs k-means some twenty times for each example.
SOME_SLOW = [pytest.param(method, marks=[pytest.mark.slow] if method == "x-means" else []) for method in METHODS]


@pytest.mark.parametrize("method", SOME_SLOW)
@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 1000), anchored, st.lists(st.integers(-1, 9), min_size=40, max_size=40),
    st.integers(1, 4),
)  # fmt: skip
def test_the_rules_hold(method: str, seed: int, anchors: list[int], together: list[int], smallest: int) -> None:
    x, _ = blobs(seed, spread=4.0)
    found = find_clusters(
        x, Euclidean(), options(method, smallest=smallest), threshold=9.0, anchors=anchors,
        together=together,
    ).labels  # fmt: skip
    first_new = max(anchors) + 1
    for i in range(40):
        if anchors[i] >= 0:
            assert found[i] == anchors[i]
        for j in range(i):
            free = anchors[i] < 0 or anchors[j] < 0
            if together[i] == together[j] >= 0 and free:
                assert found[i] == -1 or found[i] != found[j]
    new = found[found >= first_new]
    assert sorted(set(new.tolist())) == list(range(first_new, first_new + len(set(new.tolist()))))
    assert np.array_equal(numbered(new), new - first_new)
    counts = np.bincount(found[found >= 0]) if (found >= 0).any() else np.zeros(0)
    if not any(group >= 0 for group in together):  # else items may have left it again
        assert all(counts[number] >= smallest for number in set(new.tolist()))


@pytest.mark.parametrize("method", SOME_SLOW)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), anchored, st.permutations(range(3)))
def test_other_numbers_for_the_anchors_give_the_same_groups(
    method: str, seed: int, anchors: list[int], numbers: list[int]
) -> None:
    x, _ = blobs(seed, spread=3.0)
    others = [-1 if number < 0 else 10 * numbers[number] + 3 for number in anchors]
    one, other = (
        find_clusters(x, Euclidean(), options(method), threshold=9.0, anchors=a).labels for a in (anchors, others)
    )
    assert np.array_equal(one < 0, other < 0)
    assert np.array_equal(numbered(one[one >= 0]), numbered(other[other >= 0]))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), anchored)
def test_the_order_of_the_items_does_not_matter(seed: int, anchors: list[int]) -> None:
    # hdbscan's does: many of its distances are equal by definition, and the order decides which of these comes first.
    x, _ = blobs(seed, spread=3.0)
    order = np.random.default_rng(seed).permutation(len(x))
    one = find_clusters(x, Euclidean(), ClusterOptions(), threshold=9.0, anchors=anchors).labels[order]
    other = find_clusters(
        x[order], Euclidean(), ClusterOptions(), threshold=9.0, anchors=np.array(anchors)[order]
    ).labels
    assert np.array_equal(one < 0, other < 0)
    assert np.array_equal(numbered(one[one >= 0]), numbered(other[other >= 0]))


@pytest.mark.parametrize("method", ["hdbscan", "k-means", "x-means"])
def test_a_free_item_goes_to_the_nearest_anchor_of_its_cluster(method: str) -> None:
    # One heap on a line from 0 to 9, and another far off; in the first one a person made two clusters, left and right.
    x = np.array([[0.0], [1], [2], [3], [4], [5], [6], [7], [8], [9], [500], [501], [502], [503]])
    anchors = [7, -1, -1, -1, -1, -1, -1, -1, -1, 9, -1, -1, -1, -1]
    chosen = ClusterOptions(method, k=2 if method != "hdbscan" else None)
    found = find_clusters(x, Euclidean(), chosen, anchors=anchors).labels
    assert found.tolist() == [7] * 5 + [9] * 5 + [10] * 4


def test_of_one_picture_the_more_typical_item_stays() -> None:
    x = np.array([[0.0], [1], [2], [3], [9], [100], [101], [102]])
    found = find_clusters(x, Euclidean(), ClusterOptions("k-means", k=2), together=[-1, -1, 5, -1, 5, 6, 6, -1]).labels
    assert found.tolist() == [0, 0, 0, 0, -1, -1, 1, 1]


def test_what_lies_near_a_corner_of_a_cluster_a_person_made_joins_it() -> None:
    x = np.array([[0.0], [1], [100], [101], [100.5], [50]])
    found = find_clusters(x, Euclidean(), threshold=3.0, anchors=[4, 4, 4, 4, -1, -1]).labels
    assert found.tolist() == [4, 4, 4, 4, 4, -1]


@pytest.mark.parametrize("method", METHODS)
def test_a_stray_draws_nobody_to_its_cluster(method: str) -> None:
    # A heap of ten at 0, one of ten at 100, nobody's; one item of the first lies between, nearer to the second.
    x = np.array([[i / 10] for i in range(9)] + [[92.0]] + [[100 + i / 10] for i in range(10)])
    anchors = [0] * 10 + [-1] * 10
    chosen = ClusterOptions(method, k=2 if method == "k-means" else None)
    found = find_clusters(x, Euclidean(), chosen, threshold=93.0, anchors=anchors).labels
    assert set(found[:10].tolist()) == {0}
    assert 0 not in found[10:]
    assert (found[10:] > 0).any()


@pytest.mark.parametrize("method", METHODS)
def test_nothing_at_all(method: str) -> None:
    assert find_clusters(np.empty((0, 3)), Euclidean(), options(method), threshold=1.0).labels.tolist() == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("distance", sorted(DISTANCES))
def test_every_distance(method: str, distance: str) -> None:
    x, labels = blobs(1)
    x += 5
    chosen = make_distance(distance, 3)
    if method != "agglomerative" and distance == "concatenated":
        with pytest.raises(UsageError, match=r"distance between points.*agglomerative"):
            find_clusters(x, chosen, options(method))
        return
    with torch.no_grad():
        threshold = float(chosen.rowwise(torch.tensor(x[:1]).float(), torch.tensor(x[1:2]).float())) * 2
    found = find_clusters(x, chosen, options(method), threshold=threshold).labels
    assert len(found) == len(labels)


def test_points_stand_for_their_distances() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(20, 4)).astype(np.float32))
    weighted = WeightedL1(4)
    with torch.no_grad():
        weighted.raw.copy_(torch.randn(4, generator=torch.Generator().manual_seed(0)))
        for distance, power in ((Euclidean(), 1), (Cosine(), 2), (L1(), 1), (weighted, 1)):
            points, metric = space_of(x, distance)
            order = 1 if metric == "manhattan" else 2
            plain = np.linalg.norm(points[:, None] - points[None], ord=order, axis=2) ** power / power
            assert plain == pytest.approx(distance.between(x, x).numpy(), abs=1e-5)
    with pytest.raises(UsageError):
        space_of(x, Concatenated(4))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"method": "dbscan"}, "one of agglomerative, hdbscan"),
        ({"k": 3}, "k is for k-means"),
        ({"method": "k-means", "k": 0}, "at least 1"),
        ({"smallest": 0}, "at least 1 item"),
    ],
)
def test_options_that_cannot_be(values: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ClusterOptions(**values)


def test_arguments_that_cannot_be() -> None:
    x, _ = blobs(0)
    with pytest.raises(UsageError, match="stops at a threshold"):
        find_clusters(x, Euclidean())
    with pytest.raises(UsageError, match="anchor of every item"):
        find_clusters(x, Euclidean(), threshold=1.0, anchors=[0, 1])
    with pytest.raises(UsageError, match="picture of every item"):
        find_clusters(x, Euclidean(), threshold=1.0, together=np.zeros(40))
    with pytest.raises(DataError, match="finite"):
        find_clusters(np.full((3, 2), np.nan), Euclidean(), threshold=1.0)


# Curves over k


@pytest.mark.parametrize("groups", [3, 6])
def test_both_curves_suggest_the_k_that_was_drawn(groups: int) -> None:
    x, _ = blobs(5, groups=groups, each=20, spread=0.5)
    curve = k_curve(x, most=12)
    assert curve.ks == tuple(range(2, 13))
    assert curve.best == groups
    assert abs(curve.elbow - groups) <= 2  # groups that lie near each other hide the bend
    assert list(curve.inertia) == sorted(curve.inertia, reverse=True)
    assert find_clusters(x, Euclidean(), ClusterOptions("k-means")).labels.max() + 1 == groups


def test_elbow_and_best_by_hand() -> None:
    curve = KCurve((2, 3, 4, 5, 6), (100.0, 60.0, 20.0, 10.0, 0.0), (0.2, 0.5, 0.7, 0.7, 0.1))
    assert curve.elbow == 4  # on the line, over log k, it would be 100, 63, 37, 17 and 0: at k = 4 it is 17 below
    assert curve.best == 4
    assert curve.as_dict()["ks"] == [2, 3, 4, 5, 6]


def test_larger_k_come_in_equal_ratios() -> None:
    x = np.random.default_rng(0).normal(size=(400, 2))
    ks = k_curve(x).ks
    assert ks[:19] == tuple(range(2, 21))
    assert ks[-1] == 200
    ratios = np.array(ks[20:]) / np.array(ks[19:-1])
    assert ratios.min() > 1.05
    assert ratios.max() < 1.2


def test_curves_need_three_different_items() -> None:
    with pytest.raises(DataError, match="at least 3 different"):
        k_curve(np.array([[0.0], [1.0], [1.0]]))


@pytest.mark.parametrize("most", [2, 12, 60])
def test_curves_are_drawn_with_the_k_they_suggest(most: int, tmp_path: Path) -> None:
    from PIL import Image

    x = np.random.default_rng(0).normal(size=(150, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_k_curve(k_curve(x, most=most), tmp_path / "k.png")
    with Image.open(tmp_path / "k.png") as picture:
        assert picture.size == (960, 720)
        colours = picture.convert("RGB").getcolors(1 << 24) or []
    assert {(0x4C, 0x78, 0xA8), (0xE4, 0x57, 0x56)} <= {colour for _, colour in colours}


# The cut


def test_a_distance_of_a_given_probability() -> None:
    curve = ProbabilityCurve((0.0, 2.0, 4.0), (3.0, 1.0, -1.0))
    at = distance_at(curve, 0.8)
    assert at == pytest.approx(2 - (math.log(4) - 1))  # the log-odds fall by 1 for each 1 of distance
    assert curve(at) == pytest.approx(0.8)
    assert distance_at(ProbabilityCurve((0.0, 1.0, 2.0, 3.0), (1.0, 1.0, 0.5, 0.0)), 0.9) == 1.0  # never so sure
    assert distance_at(ProbabilityCurve((0.0, 2.0, 4.0), (3.0, 1.0, -1.0))) == pytest.approx(3.0)
    assert distance_at(ProbabilityCurve((0.0, 5.0), (9.0, 8.0))) == 5.0


def test_the_cut_of_a_model() -> None:
    model = PointModel()
    assert calibration().probability(cut_of(model)) == pytest.approx(0.5)
    line = calibration().threshold_for(0.1)
    assert cut_of(model, 0.1) == line.threshold
    with pytest.raises(UsageError, match="promises a false match rate of"):
        cut_of(model, 0.3)
    assert pair_cut_of(model) is None
    model = PointModel(calibrated=False)
    with pytest.raises(ModelError, match="never calibrated and has no published distance"):
        cut_of(model)
    assert pair_cut_of(model) is None
    model.encoder.published = 10.0
    assert cut_of(model) == pytest.approx(9.0)
    assert pair_cut_of(model) == pytest.approx(8.0)
    with pytest.raises(ModelError, match="never calibrated"):
        cut_of(model, 0.1)


# A line of their own for two items alone

ALONE = [0, 8.5, 100, 107.5, 200, 207.5, 215, 300]  # two apart, two near, three in a row, one


def alone(*, anchors: list[int] | None = None, smallest: int = 2, **options: Any) -> list[int]:
    points = np.array(ALONE)[:, None]
    chosen = ClusterOptions(smallest=smallest)
    return find_clusters(points, Euclidean(), chosen, threshold=12.0, anchors=anchors, **options).labels.tolist()


def test_two_alone_are_a_cluster_only_within_their_own_line() -> None:
    assert alone() == [0, 0, 1, 1, 2, 2, 2, -1]
    assert alone(pair=8.0) == [-1, -1, 0, 0, 1, 1, 1, -1]
    assert alone(pair=8.0, smallest=1) == [0, 1, 2, 2, 3, 3, 3, 4]
    assert alone(pair=7.0) == [-1, -1, -1, -1, 0, 0, 0, -1]  # three hold each other, by their mean
    assert alone(pair=8.5) == alone()
    flawed = np.array(ALONE) == 300
    assert alone(pair=8.0, flawed=flawed) == [-1, -1, 0, 0, 1, 1, 1, -1]


def test_of_two_alone_the_one_that_somebody_put_there_stays() -> None:
    assert alone(pair=8.0, anchors=[5, -1, 6, -1, -1, -1, -1, -1]) == [5, -1, 6, 6, 7, 7, 7, -1]
    assert alone(pair=8.0, anchors=[-1, 5, -1, 6, -1, -1, -1, -1]) == [-1, 5, 6, 6, 7, 7, 7, -1]
    assert alone(pair=8.0, anchors=[5, 5, -1, -1, -1, -1, -1, 5])[:2] == [5, 5]
    assert alone(pair=8.0, anchors=[5, 5, -1, -1, -1, -1, -1, -1])[:2] == [5, 5]


def test_the_cuts_of_a_published_distance_are_those_of_a_folder(tmp_path: Path) -> None:
    model = PointModel(calibrated=False)
    model.encoder.published = 10.0
    for number, (x, y) in enumerate([(10, 10), (18, 12), (100, 10), (107, 10), (200, 10), (208, 10), (204, 17)]):
        draw(tmp_path / "photos" / f"{number}.png", x, y)
    done = cluster_folder(model, tmp_path / "photos", tmp_path / "out")
    assert sorted([Path(item).stem for item in group.items] for group in done.clusters) == [["2", "3"], ["4", "5", "6"]]
    assert [Path(item).stem for item in done.unassigned] == ["0", "1"]  # 8.2 apart
    assert any("cut at 9," in note and "two items alone at 8;" in note for note in done.notes)
