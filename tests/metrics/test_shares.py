"""What measures of error give on average, and how it hangs on vertices; tests/calibration/test_rates.py has the loops.

Seeds are fixed.
"""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from likewise.errors import DataError
from likewise.metrics.curve import error_curve, listed_curve
from likewise.metrics.shares import Cut, Placement, listed_shares, shares
from likewise.objective.distances import Euclidean, WeightedL1


def test_a_cut_is_wrong_where_a_distance_is_on_the_wrong_side() -> None:
    distances = np.array([0.0, 1.0, 2.0, 3.0], np.float32)
    assert Cut(2.0).of_different(distances).tolist() == [1, 1, 1, 0]
    assert Cut(2.0).of_same(distances).tolist() == [0, 0, 0, 1]
    assert Cut(2.0 - 1e-12).of_different(distances).tolist() == [1, 1, 0, 0]  # finer than float32


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_placement_counts_pairs_of_the_other_kind_beyond_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances, same = rng.integers(0, 12, 60).astype(np.float32), rng.random(60) < 0.4
    same[:2] = True, False
    found = Placement(listed_curve(distances, same))
    genuine, impostor = distances[same], distances[~same]
    farther = [(genuine > d).mean() + (genuine == d).mean() / 2 for d in impostor]
    nearer = [(impostor < d).mean() + (impostor == d).mean() / 2 for d in genuine]
    assert found.of_different(impostor) == pytest.approx(farther, abs=1e-6)
    assert found.of_same(genuine) == pytest.approx(nearer, abs=1e-6)
    mistaken = 1 - roc_auc_score(same, -distances)
    assert (np.mean(farther), np.mean(nearer)) == pytest.approx((mistaken, mistaken))


def test_placements_beyond_all_distances_are_those_at_the_ends() -> None:
    found = Placement(listed_curve(np.array([1.0, 2, 3, 4], np.float32), np.array([True, False, True, False])))
    beyond = np.array([0.0, 1e-30, 100.0], np.float32)
    assert found.of_different(beyond).tolist() == [0.75, 0.75, 0]
    assert found.of_same(beyond).tolist() == [0, 0, 0.75]


@pytest.mark.parametrize("unit", ["identity", "item"])
@pytest.mark.parametrize("block", [7, 64, 10**6])
def test_both_means_of_placements_are_the_area_above_the_curve(cloud, unit: str, block: int) -> None:
    points, labels = cloud(0, [4, 1, 6, 3, 5])
    labels, order = labels.sort(stable=True)
    curve = error_curve(points[order], labels, Euclidean())
    found, cut = shares([Placement(curve), Cut(1.5)], points[order], labels, Euclidean(), unit, block)
    assert (found.different.value, found.same.value) == pytest.approx((1 - curve.auc(), 1 - curve.auc()), rel=1e-6)
    place = np.searchsorted(curve.thresholds, 1.5, side="right") - 1
    assert (cut.different.value, cut.same.value) == pytest.approx((curve.fmr[place], curve.fnmr[place]))


def test_both_kinds_name_their_vertices_alike() -> None:
    """Person 0 alone is wrong, with others and within: the two spreads point at the same place."""
    of = torch.arange(5).repeat_interleave(3)
    points = 10.0 * torch.nn.functional.one_hot(of, 5).float()
    points[:3] = torch.tensor([[0.0, 10, 0, 0, 0], [0, 0, 10, 0, 0], [0, 0, 0, 10, 0]])
    i, j = np.array(list(combinations(range(15), 2))).T
    distances = Euclidean().rowwise(points[i], points[j]).numpy()
    labels = of.numpy()
    (streamed,) = shares([Cut(5.0)], points, of, Euclidean(), "identity")
    (listed,) = listed_shares([Cut(5.0)], distances, labels[i] == labels[j], labels[i], labels[j])
    for found in (streamed, listed):
        for share in (found.different, found.same):
            assert np.abs(share.spread.residuals).argmax() == 0
    np.testing.assert_allclose(streamed.different.spread.residuals, listed.different.spread.residuals)
    np.testing.assert_allclose(streamed.same.spread.residuals, listed.same.spread.residuals)


def test_no_more_than_a_block_is_held_at_once(cloud, watched) -> None:
    points, labels = cloud(1, [20] * 10)
    shares([Cut(1.0)], points, labels.sort().values, watched, "identity", block=1000)
    assert watched.largest <= 1000


def test_many_identities_and_measures_take_little_memory() -> None:
    """As many identities as items make every table as large as the distances, and each measure has one."""
    points, of = torch.randn(1200, 4, generator=torch.Generator().manual_seed(0)), torch.arange(1200)
    of[1], of[2:] = 0, of[2:] - 1
    peaks: list[int] = []
    for count in (1, 1, 8):  # the first loads what is loaded once
        tracemalloc.start()
        shares([Cut(0.3 * k) for k in range(count)], points, of, Euclidean(), "identity", block=1 << 17)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]


def test_distances_that_are_no_numbers_are_refused(cloud) -> None:
    points, labels = cloud(2, [3, 3])
    broken = WeightedL1(5)
    with torch.no_grad():
        broken.raw[0] = torch.nan
    with pytest.raises(DataError, match="finite"):
        shares([Cut(1.0)], points, labels.sort().values, broken, "identity")
