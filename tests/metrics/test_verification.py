from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from sklearn.metrics import roc_auc_score, roc_curve

from likewise.errors import DataError, UsageError
from likewise.metrics import Estimate, Verification, listed_verification, verification
from likewise.metrics.curve import RESOLUTION
from likewise.metrics.intervals import effective_number, wilson
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


def numbers(found: Verification) -> dict[str, float]:
    """All of the answer that is a number."""
    answer = found.as_dict()
    points = answer.pop("fnmr_at_fmr")
    answer |= {f"{fmr} {key}": value for fmr, point in points.items() for key, value in point.items()}
    return {key: value for key, value in answer.items() if isinstance(value, int | float)}


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
    answered, refused = verification(points, labels, Euclidean(), fmr=(0.1, 0.09), unit="item").fnmr_at_fmr
    assert answered.fnmr is not None
    assert answered.reason is None
    assert refused.as_dict() == {
        "value": None,
        "reason": "0.09 of 100 different pairs is less than the 10 it takes to set a threshold",
    }


def test_a_rate_that_too_few_pairs_of_identities_make_up_is_not_answered(cloud) -> None:
    points, labels = cloud(0, [8] * 20)  # 12,160 different pairs of items, but 190 of identities
    by_identity, by_item = (
        verification(points, labels, Euclidean(), fmr=(1e-2, 3 / 190), unit=unit).fnmr_at_fmr
        for unit in ("identity", "item")
    )
    assert [point.fnmr is None for point in by_identity] == [True, False]
    assert by_identity[0].reason == "0.01 needs 300 pairs of identities that are not the same; there are 190"
    assert [point.fnmr is None for point in by_item] == [False, False]


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
    assert figures(verification(points, labels, L1(), unit="item")) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("distance", [Euclidean(), Cosine(), L1()])
def test_as_scikit_learn_has_it_within_the_stated_resolution(cloud, distance) -> None:
    points, labels = cloud(1, [60, 45, 80, 2, 50])
    found = verification(points, labels, distance, block=3000, unit="item")
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
        assert figures(verification(x, y, Euclidean(), fmr=LEVELS[:1], unit="item")) == pytest.approx(
            expected, abs=1e-12
        )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), block=st.integers(1, 900))
def test_the_block_changes_nothing(lattice, seed: int, block: int) -> None:
    points, labels = lattice(seed, [5, 1, 9, 6])
    for unit in ("identity", "item"):
        one, other = (verification(points, labels, Euclidean(), unit=unit, block=size) for size in (block, 10**6))
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-5)  # placements are summed in float32, by blocks


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
    found = verification(torch.ones(60, 4), torch.arange(60) % 3, Euclidean(), unit="item")
    assert found.roc_auc.value == 0.5
    assert found.eer.value == 0.5
    assert [point.fnmr and point.fnmr.value for point in found.fnmr_at_fmr[:2]] == [1.0, 1.0]


@pytest.mark.parametrize("unit", ["identity", "item"])
def test_no_error_seen_is_not_called_no_error(unit) -> None:
    labels = torch.arange(8).repeat_interleave(6)
    points = 100.0 * torch.nn.functional.one_hot(labels).float() + torch.arange(48)[:, None] / 48
    found = verification(points, labels, Euclidean(), unit=unit, fmr=[0.2])
    assert (found.roc_auc.value, found.eer.value) == (1.0, 0.0)
    # Of 8 people 4 pairs can be chosen, nobody in two; of 48 items 24.
    expected = wilson(0.0, 4 if unit == "identity" else 24)
    assert found.eer.as_dict() == pytest.approx(expected.as_dict())
    assert (found.roc_auc.low, found.roc_auc.high) == pytest.approx((1 - expected.high, 1.0))


def test_no_error_at_a_looser_rate_is_bounded_by_the_stricter_one(cloud) -> None:
    points, labels = cloud(1, [10] * 40, dim=6, spread=0.22)
    stricter, looser = verification(points, labels, Euclidean(), fmr=(1e-2, 0.5)).fnmr_at_fmr
    assert stricter.fnmr is not None
    assert looser.fnmr is not None
    assert 0 < stricter.fnmr.value < 0.05
    assert stricter.fnmr.high < wilson(0.0, 20).high  # what no error among 40 identities leaves by itself
    assert looser.fnmr.value == 0
    assert looser.fnmr.high == stricter.fnmr.high


def around(fmr: np.ndarray, fnmr: np.ndarray, low: float, high: float) -> float:
    """Same pairs lost for a different pair gained, as shares of all, between two points of the curve."""
    return (fnmr[low] - fnmr[high]) / (fmr[high] - fmr[low])


def by_double_loop(value: float, wrong: np.ndarray, same: np.ndarray, ends: list[frozenset[int]], strata: np.ndarray):
    """The interval of a figure that changes by the sum of `wrong` over different pairs and over same ones.

    Args:
        value: the figure.
        wrong: what each pair adds to the mean of its kind.
        same: whether a pair is the same.
        ends: its vertices.
        strata: residuals are taken from the mean of these.
    """
    pulls = np.zeros(len(wrong))
    touching = np.array([[bool(a & b) for b in ends] for a in ends])
    for kind in (~same, same):
        of = strata[kind]
        means = {s: wrong[kind][of == s].mean() for s in set(of)}
        alike = of[:, None] == of
        scale = alike.sum() / (alike & ~touching[np.ix_(kind, kind)]).sum()
        pulls[kind] = (wrong[kind] - [means[s] for s in of]) * np.sqrt(scale) / kind.sum()
    edges = {}
    for e, pull in zip(ends, pulls, strict=True):
        edges[e] = edges.get(e, 0.0) + pull
    squares = sum(pull**2 for e, pull in edges.items() if len(e) == 2)
    independent = sum(np.square(wrong[kind] - wrong[kind].mean()).sum() / kind.sum() ** 2 for kind in (~same, same))
    variance = max(pulls @ touching @ pulls, squares, independent)
    vertices = sorted({v for e in ends for v in e})
    pulled = np.array([sum(pull for e, pull in edges.items() if v in e) for v in vertices])
    have = [len({v for e, kind in zip(ends, same, strict=True) if kind == k for v in e}) for k in (False, True)]
    return wilson(value, value * (1 - value) / variance, freedom=min(min(have) - 1, effective_number(pulled)))


@pytest.mark.parametrize("unit", ["identity", "item"])
@pytest.mark.parametrize("sizes", [[5, 5, 5, 5, 5, 5, 5, 5, 5], [4, 1, 7, 5, 5, 4, 8, 4, 5]])
def test_intervals_are_those_of_a_double_loop_over_pairs(cloud, unit: str, sizes: list[int]) -> None:
    """The influence of each pair from the definitions in the module, variances by every two pairs that share an end."""
    points, labels = cloud(9, sizes, dim=3)
    apart, same = all_pairs(points, labels, Euclidean())
    i, j = zip(*combinations(range(len(points)), 2), strict=True)
    of = labels.tolist()
    classes = [frozenset((of[a], of[b])) for a, b in zip(i, j, strict=True)]
    ends = classes if unit == "identity" else [frozenset(pair) for pair in zip(i, j, strict=True)]
    strata = np.zeros(len(same), int)
    if unit == "item":
        strata = np.array([sorted(set(classes), key=sorted).index(c) for c in classes])
    found = verification(points, labels, Euclidean(), unit=unit, fmr=[0.1])

    def check(estimate, wrong):
        expected = by_double_loop(estimate.value, wrong, same, ends, strata)
        assert estimate.as_dict() == pytest.approx(expected.as_dict(), rel=1e-4)

    farther = np.array([(apart[same] > d).mean() + (apart[same] == d).mean() / 2 for d in apart])
    nearer = np.array([(apart[~same] < d).mean() + (apart[~same] == d).mean() / 2 for d in apart])
    auc = found.roc_auc
    check(Estimate(1 - auc.value, 1 - auc.high, 1 - auc.low), np.where(same, nearer, farther))

    levels = np.concatenate([[0.0], np.sort(apart)])
    fmr, fnmr = (
        np.array([f(t) for t in levels])
        for f in (lambda t: (apart[~same] <= t).mean(), lambda t: (apart[same] > t).mean())
    )
    crossing = np.flatnonzero(fmr >= fnmr)[0]
    eer = found.eer.value
    slope = around(fmr, fnmr, np.flatnonzero(fmr <= eer / 1.5)[-1], np.flatnonzero(fnmr <= eer / 1.5)[0])
    weight = slope / (1 + slope)
    mistaken = np.where(same, apart > levels[crossing], apart <= levels[crossing])
    check(found.eer, np.where(same, 1 - weight, weight) * mistaken)

    slope = around(fmr, fnmr, np.flatnonzero(fmr <= 0.1 / 1.5)[-1], np.flatnonzero(fmr >= 0.1 * 1.5)[0])
    cut = levels[np.flatnonzero(fmr <= 0.1)[-1]]
    check(found.fnmr_at_fmr[0].fnmr, np.where(same, apart > cut, slope * (apart <= cut)))


def test_area_varies_as_the_jackknife_says(cloud) -> None:
    """It leaves out one identity after the other, and knows nothing of placements (Arvesen 1969).

    At a confidence of 0.5 the reach of an interval is 0.67 standard errors, whatever the degrees of freedom.
    """
    points, labels = cloud(10, [6] * 80, dim=6, spread=0.6)
    points[labels < 15] *= 0.4  # some are close to the middle, and pass for many

    def area(kept: torch.Tensor) -> Estimate:
        return verification(points[kept], labels[kept], Euclidean(), confidence=0.5).roc_auc

    left_out = np.array([area(labels != k).value for k in range(80)])
    jackknife = np.sqrt(79 / 80 * np.square(left_out - left_out.mean()).sum())
    found = area(labels >= 0)
    assert (found.high - found.low) / 2 / ndtri(0.75) == pytest.approx(jackknife, rel=0.03)


def test_identities_that_differ_much_widen_the_interval_over_identities(cloud) -> None:
    points, labels = cloud(1, [30] * 12)
    points = points * torch.linspace(0.2, 2.0, 12)[labels][:, None]  # the first are far tighter than the last
    by_identity, by_item = (verification(points, labels, Euclidean(), unit=unit) for unit in ("identity", "item"))
    for of_identities, of_items in ((by_identity.eer, by_item.eer), (by_identity.roc_auc, by_item.roc_auc)):
        assert of_identities.value == of_items.value
        assert of_identities.high - of_identities.low > 2 * (of_items.high - of_items.low)


def test_listed_pairs_say_the_same_as_the_embeddings_they_came_from(cloud) -> None:
    points, labels = cloud(11, [4, 6, 3, 5, 1, 4, 6, 3, 5, 2])
    apart, same = all_pairs(points, labels, Euclidean())
    first, second = (labels.numpy()[list(end)] for end in zip(*combinations(range(len(points)), 2), strict=True))
    flipped = np.arange(len(same)) % 2 == 0  # which side comes first says nothing
    first, second = np.where(flipped, second, first), np.where(flipped, first, second)
    found = listed_verification(apart.astype(np.float32), same, first, second)
    assert numbers(found) == pytest.approx(numbers(verification(points, labels, Euclidean())), rel=1e-5)
    assert (found.identities, found.unit) == (10, "identity")


def test_of_listed_items_there_are_as_many_trials_as_pairs_of_items() -> None:
    rng = np.random.default_rng(12)
    distances, same = rng.random(300).astype(np.float32), np.arange(300) < 100
    once, again = (
        listed_verification(distances, same, *ends, unit="item", fmr=[0.1])
        for ends in (np.arange(600).reshape(2, -1), np.arange(600).reshape(2, -1) % 15 + [[0], [15]])
    )
    assert (once.identities, once.unit) == (None, "item")
    assert once.fnmr_at_fmr[0].fnmr is not None
    assert again.fnmr_at_fmr[0].reason == "0.1 needs 30 pairs of items that are not the same; there are 15"


def test_the_answer_is_plain_json(cloud) -> None:
    points, labels = cloud(6, [20, 10])
    answer = json.loads(json.dumps(verification(points, labels, Euclidean(), unit="item").as_dict()))
    assert set(answer["fnmr_at_fmr"]) == {"0.1", "0.01", "0.001", "0.0001"}
    assert set(answer["fnmr_at_fmr"]["0.1"]) == {"value", "low", "high"}
    assert set(answer["fnmr_at_fmr"]["0.01"]) == {"value", "reason"}
    assert (answer["pairs_same"], answer["pairs_different"]) == (190 + 45, 200)
    assert answer["unit"] == "item"


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [], [5]])
def test_both_kinds_of_pairs_are_needed(labels: list[int]) -> None:
    with pytest.raises(DataError, match="pairs of the same identity and pairs of different ones"):
        verification(torch.zeros(len(labels), 2), torch.tensor(labels, dtype=torch.int64), Euclidean())


@pytest.mark.parametrize("options", [{"fmr": [0.0]}, {"fmr": [0.1, 1.0]}, {"confidence": 95.0}])
def test_impossible_options_are_refused(cloud, options) -> None:
    points, labels = cloud(8, [3, 3])
    with pytest.raises(UsageError):
        verification(points, labels, Euclidean(), **options)
