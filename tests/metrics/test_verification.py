from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from likewise.errors import DataError, UsageError
from likewise.metrics import Verification, verification
from likewise.metrics.curve import RESOLUTION
from likewise.objective.distances import L1, Cosine, Euclidean

LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)


def all_pairs(points, labels, distance) -> tuple[np.ndarray, np.ndarray]:
    """The distance of every pair of different items, and whether it is a same pair."""
    i, j = zip(*combinations(range(len(points)), 2), strict=True)
    first, second = list(i), list(j)
    apart = distance.rowwise(points[first].double(), points[second].double())
    return apart.numpy(), (labels[first] == labels[second]).numpy()


def by_definition(apart: np.ndarray, same: np.ndarray, levels: Sequence[float]) -> dict[str, float]:
    """AUC over couples of pairs; FMR and FNMR counted at every distance there is, ISO/IEC 19795-1."""
    genuine, impostor = apart[same], apart[~same]
    couples = [(g < impostor).sum() + (g == impostor).sum() / 2 for g in genuine]
    points = [(0.0, 1.0)] + [((impostor <= t).mean(), (genuine > t).mean()) for t in np.unique(apart)]
    figures = {"roc_auc": sum(couples) / (len(genuine) * len(impostor))}
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 >= y1:  # the first step on which FMR overtakes FNMR
            along = (y0 - x0) / ((y0 - x0) - (y1 - x1))
            figures["eer"] = x0 + along * (x1 - x0)
            break
    return figures | {f"fnmr at {level:g}": min(y for x, y in points if x <= level) for level in levels}


def figures(found: Verification) -> dict[str, float]:
    named = {"roc_auc": found.roc_auc.value, "eer": found.eer.value}
    return named | {f"fnmr at {p.fmr:g}": p.fnmr.value for p in found.fnmr_at_fmr if p.fnmr is not None}


def test_on_a_line() -> None:
    # a at 0 and 1, b at 3 and 10. Same pairs: 1, 7. Different pairs: 2, 3, 9, 10.
    points, labels = torch.tensor([[0.0], [1.0], [3.0], [10.0]]), torch.tensor([4, 4, 2, 2])
    found = verification(points, labels, Euclidean())
    assert (found.pairs_same, found.pairs_different, found.identities) == (2, 4, 2)
    assert found.roc_auc.value == pytest.approx((4 + 2) / 8)  # 1 is below all four, 7 below two
    assert found.eer.value == pytest.approx(0.5)  # at a threshold of 3
    np.testing.assert_allclose(found.curve.thresholds, [-np.inf, 1, 2, 3, 7, 9, 10], rtol=RESOLUTION)
    assert found.curve.fmr.tolist() == [0, 0, 0.25, 0.5, 0.5, 0.75, 1]
    assert found.curve.fnmr.tolist() == [1, 0.5, 0.5, 0.5, 0, 0, 0]
    assert [found.curve.fnmr_at(fmr) for fmr in (0.2, 0.25, 0.3, 0.5, 0.6)] == [0.5, 0.5, 0.5, 0, 0]


def test_a_rate_that_too_few_pairs_make_up_is_not_answered() -> None:
    points, labels = torch.arange(20.0)[:, None], torch.arange(20) % 2  # 100 different pairs
    answered, refused = verification(points, labels, Euclidean(), fmr=(0.1, 0.09)).fnmr_at_fmr
    assert answered.fnmr is not None
    assert answered.reason is None
    assert refused.as_dict() == {
        "value": None,
        "reason": "0.09 of 100 different pairs is less than the 10 it takes to set a threshold",
    }


def test_equal_error_rate_between_two_points() -> None:
    # Same pairs 1, 2, 9; different ones 3, 4, ... FMR jumps from 0 to 2/4 at 9 where FNMR falls from 1/3 to 0.
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 9.0], [1.0, 9.0]])
    labels = torch.tensor([0, 0, 1, 0])
    apart, same = all_pairs(points, labels, Euclidean())
    found = verification(points, labels, Euclidean())
    assert sorted(apart[same]) == pytest.approx([1, 9, 82**0.5])
    assert sorted(apart[~same]) == pytest.approx([1, 9, 82**0.5])
    # The curve runs (0, 1), (1/3, 2/3), (2/3, 1/3), (1, 0): FMR = FNMR half-way along the middle step.
    assert found.eer.value == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_as_defined_where_distances_tie(lattice, seed: int) -> None:
    points, labels = lattice(seed, [1, 15, 12, 20, 16], dim=3)
    expected = by_definition(*all_pairs(points, labels, L1()), LEVELS[:2])
    assert figures(verification(points, labels, L1())) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("distance", [Euclidean(), Cosine(), L1()])
def test_as_scikit_learn_has_it_within_the_stated_resolution(cloud, distance) -> None:
    points, labels = cloud(1, [60, 45, 80, 2, 50])
    found = verification(points, labels, distance, block=3000)
    apart, same = all_pairs(points, labels, distance)
    rounding = 2 * RESOLUTION
    worst, best = (np.where(same, apart * (1 + r), apart) for r in (rounding, -rounding))
    assert roc_auc_score(same, -worst) <= found.roc_auc.value <= roc_auc_score(same, -best)
    assert found.roc_auc.value == pytest.approx(roc_auc_score(same, -apart), abs=1e-6)

    worst_x, worst_y, _ = roc_curve(same, -worst, drop_intermediate=False)
    best_x, best_y, _ = roc_curve(same, -best, drop_intermediate=False)
    for point in found.fnmr_at_fmr[:3]:
        assert point.fnmr is not None
        at_worst, at_best = (
            1 - y[np.searchsorted(x, point.fmr, side="right") - 1] for x, y in ((worst_x, worst_y), (best_x, best_y))
        )
        assert at_best <= point.fnmr.value <= at_worst
    expected = by_definition(apart, same, ())["eer"]
    assert found.eer.value == pytest.approx(expected, abs=2 / min(same.sum(), (~same).sum()))


def test_every_point_of_the_curve_is_exact(cloud) -> None:
    points, labels = cloud(2, [30, 40, 50])
    curve = verification(points, labels, Euclidean()).curve
    apart, same = all_pairs(points, labels, Euclidean())
    apart = apart.astype(np.float32)
    assert len(curve.thresholds) > 100
    for threshold, x, y in zip(curve.thresholds, curve.fmr, curve.fnmr, strict=True):
        assert x == pytest.approx((apart[~same] <= threshold).mean(), abs=1e-12)
        assert y == pytest.approx((apart[same] > threshold).mean(), abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_rotation_and_names_of_identities_do_not_matter(lattice, seed: int) -> None:
    points, labels = lattice(seed, [4, 9, 8], dim=3)
    expected = by_definition(*all_pairs(points, labels, Euclidean()), LEVELS[:1])
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    turned = points[:, [1, 2, 0]] * torch.tensor([1.0, -1.0, -1.0])
    names = torch.tensor([2**50 + 1, 2**50, -(2**50)])
    for x, y in ((points[order], labels[order]), (turned, labels), (points, names[labels])):
        assert figures(verification(x, y, Euclidean(), fmr=LEVELS[:1])) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.integers(1, 900))
def test_the_block_changes_nothing(lattice, seed: int, block: int) -> None:
    points, labels = lattice(seed, [5, 1, 9, 6])
    for unit in ("identity", "item"):
        one, other = (
            verification(points, labels, Euclidean(), unit=unit, resamples=20, block=size) for size in (block, 10**6)
        )
        assert one.as_dict() == other.as_dict()


def test_no_more_than_a_block_is_held_at_once(cloud, watched) -> None:
    points, labels = cloud(3, [50, 50])
    verification(points, labels, watched, block=400)
    assert watched.largest == 400


def test_identities_that_float32_cannot_tell_apart(cloud) -> None:
    points, labels = cloud(4, [2] * 30, spread=2.0)
    found = verification(points, labels + 2**24, Euclidean())
    assert found.as_dict() == verification(points, labels, Euclidean()).as_dict()
    assert (found.identities, found.pairs_same) == (30, 30)


def test_everything_in_one_place_is_chance() -> None:
    found = verification(torch.ones(60, 4), torch.arange(60) % 3, Euclidean())
    assert found.roc_auc.value == 0.5
    assert found.eer.value == 0.5
    assert [point.fnmr and point.fnmr.value for point in found.fnmr_at_fmr[:2]] == [1.0, 1.0]


@pytest.mark.parametrize("unit", ["identity", "item"])
def test_no_error_seen_is_not_called_no_error(unit) -> None:
    labels = torch.arange(8).repeat_interleave(6)
    points = 100.0 * torch.nn.functional.one_hot(labels).float() + torch.arange(48)[:, None] / 48
    found = verification(points, labels, Euclidean(), unit=unit)
    units = 8 if unit == "identity" else 48
    assert (found.roc_auc.value, found.eer.value) == (1.0, 0.0)
    for estimate in (found.eer, found.fnmr_at_fmr[0].fnmr):
        assert estimate is not None
        assert (estimate.value, estimate.low) == (0.0, 0.0)
        assert 3 / units < estimate.high < 6 / units  # about 3.7 / n for many trials, more for few units
    assert found.roc_auc.low == pytest.approx(1 - found.eer.high)


def test_no_error_at_a_looser_rate_is_bounded_by_the_stricter_one(cloud) -> None:
    points, labels = cloud(5, [40] * 12, dim=6, spread=0.2)
    stricter, looser = verification(points, labels, Euclidean(), fmr=(1e-2, 0.5)).fnmr_at_fmr
    assert stricter.fnmr is not None
    assert looser.fnmr is not None
    assert 0 < stricter.fnmr.value < 0.05
    assert looser.fnmr.value == 0
    assert looser.fnmr.high == stricter.fnmr.high


def test_the_answer_is_plain_json(cloud) -> None:
    points, labels = cloud(6, [20, 10])
    answer = json.loads(json.dumps(verification(points, labels, Euclidean()).as_dict()))
    assert set(answer["fnmr_at_fmr"]) == {"0.1", "0.01", "0.001", "0.0001"}
    assert set(answer["fnmr_at_fmr"]["0.1"]) == {"value", "low", "high"}
    assert set(answer["fnmr_at_fmr"]["0.01"]) == {"value", "reason"}
    assert (answer["pairs_same"], answer["pairs_different"]) == (190 + 45, 200)
    assert answer["unit"] == "identity"


def test_a_seed_repeats_the_intervals(cloud) -> None:
    points, labels = cloud(7, [30] * 10)
    one, again, other = (verification(points, labels, Euclidean(), seed=s, resamples=50).eer for s in (1, 1, 2))
    assert one == again
    assert one.high != other.high


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [], [5]])
def test_both_kinds_of_pairs_are_needed(labels: list[int]) -> None:
    with pytest.raises(DataError, match="pairs of the same identity and pairs of different ones"):
        verification(torch.zeros(len(labels), 2), torch.tensor(labels, dtype=torch.int64), Euclidean())


@pytest.mark.parametrize("options", [{"fmr": [0.0]}, {"fmr": [0.1, 1.0]}, {"confidence": 95.0}, {"resamples": 1}])
def test_impossible_options_are_refused(cloud, options) -> None:
    points, labels = cloud(8, [3, 3])
    with pytest.raises(UsageError):
        verification(points, labels, Euclidean(), **options)
