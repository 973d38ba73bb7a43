"""Thresholds that keep their promise, whatever the distances look like. Seeds are fixed."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.calibration import Calibration, calibrate, calibrate_pairs
from likewise.errors import DataError, SupportError, UsageError
from likewise.objective.distances import L1, Euclidean


def people(identities, items, seed=0, dim=6, spread=0.5):
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(identities), items)
    points = rng.normal(size=(identities, dim))[of] + spread * rng.normal(size=(len(of), dim))
    return torch.tensor(points, dtype=torch.float32), torch.tensor(of)


def pairs_of(embeddings, of):
    """Distances, same, and identities of both sides, of every pair."""
    i, j = np.array(list(combinations(range(len(of)), 2))).T
    distances = Euclidean().rowwise(embeddings[i], embeddings[j]).numpy()
    labels = of.numpy()
    return distances, labels[i] == labels[j], labels[i], labels[j]


def listed(distances, same, first, second, **options):
    return calibrate_pairs(distances, same, first=first, second=second, unit="identity", **options)


def same_figures(a, b):
    assert a.ece == pytest.approx(b.ece)
    for x, y in zip(a.thresholds, b.thresholds, strict=True):
        assert x.as_dict() == pytest.approx(y.as_dict(), rel=1e-9)


def test_threshold_is_the_largest_that_keeps_the_promise():
    embeddings, of = people(30, 4)
    distances, same, _, _ = pairs_of(embeddings, of)
    different = np.sort(distances[~same])
    found = calibrate(embeddings, of, Euclidean())
    assert [t.promised for t in found.thresholds] == [1e-1, 1e-2]
    assert found.default == 1e-2
    for t in found.thresholds:
        accepted = np.count_nonzero(different <= t.threshold)
        assert t.fmr.value == accepted / len(different) <= t.promised
        # The next different pair would break it, but for pairs within 2**-15 of the threshold.
        allowed = int(t.promised * len(different))
        assert different[allowed] > t.threshold
        assert np.count_nonzero(different <= t.threshold * (1 + 2**-14)) >= allowed
        assert t.fnmr.value == pytest.approx(np.mean(distances[same] > t.threshold))
        assert t.fmr.low <= t.fmr.value <= t.fmr.high
        assert t.supported


def test_counts_say_what_was_there():
    embeddings, of = people(30, 4)
    found = calibrate(embeddings, of, Euclidean(), seed=3)
    assert (found.items, found.identities, found.trials) == (120, 30, 30 * 29 // 2)
    assert (found.pairs_same, found.pairs_different) == (30 * 6, 30 * 29 // 2 * 16)
    assert (found.unit, found.seed) == ("identity", 3)


def test_ties_do_not_break_the_promise():
    """Whole-number distances: 4 of 40 different pairs at 2, 8 more at 3. 1e-1 ends at 2, 2e-1 still does."""
    distances = np.array([2] * 4 + [3] * 8 + [5] * 28 + [1] * 10 + [3] * 10)
    same = np.arange(60) >= 40
    for promised in (0.1, 0.2, 0.29):
        found = calibrate_pairs(distances, same, max_fmr=promised).threshold_for(promised)
        assert 2 <= found.threshold < 2 * (1 + 2**-14)
        assert found.fmr.value == 0.1
        assert found.fnmr.value == 0.5
    assert calibrate_pairs(distances, same, max_fmr=0.3).threshold_for(0.3).fmr.value == 0.3


def test_where_every_distance_is_the_same_nothing_is_accepted():
    distances, same = np.zeros(60), np.arange(60) >= 40
    found = calibrate_pairs(distances, same, max_fmr=0.1).threshold_for()
    assert found.threshold == -1
    assert (found.fmr.value, found.fnmr.value) == (0, 1)
    assert not found.accepts(np.array([0.0, 1.0])).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.floats(0.05, 0.6))
def test_the_promise_holds_for_any_distances_with_many_ties(seed, values, promised):
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, values, 200)
    same = np.arange(200) < 60
    found = calibrate_pairs(distances, same, max_fmr=promised).threshold_for(promised)
    assert np.mean(found.accepts(distances[~same])) == pytest.approx(found.fmr.value)
    assert found.fmr.value <= promised
    larger = distances[~same][~found.accepts(distances[~same])]
    if len(larger):  # and the next larger distance would break it
        assert np.mean(distances[~same] <= larger.min()) > promised


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_and_names_say_nothing(seed):
    rng = np.random.default_rng(seed)
    embeddings, of = people(12, 3, seed=5)
    order = torch.from_numpy(rng.permutation(len(of)))
    found = calibrate(embeddings[order], of[order], Euclidean())
    plain = calibrate(embeddings, of, Euclidean())
    same_figures(found, plain)
    # Other names shuffle who is in which half, and with it `ece` alone.
    names = torch.from_numpy(rng.choice(10**12, 12, replace=False))
    renamed = calibrate(embeddings, names[of], Euclidean())
    for x, y in zip(renamed.thresholds, plain.thresholds, strict=True):
        assert x.as_dict() == pytest.approx(y.as_dict(), rel=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_growing_function_of_the_distance_changes_no_decision(seed):
    """Whole numbers below 65,536 are told apart exactly, before and after squaring."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(12), 3)
    i, j = np.array(list(combinations(range(36), 2))).T
    same = of[i] == of[j]
    distances = rng.integers(1, 120, len(i)) + 60 * ~same
    plain = listed(distances, same, of[i], of[j])
    squared = listed(distances**2, same, of[i], of[j])
    for x, y in zip(plain.thresholds, squared.thresholds, strict=True):
        assert np.array_equal(x.accepts(distances), y.accepts(distances**2))
        assert x.fmr.as_dict() == pytest.approx(y.fmr.as_dict())
        assert x.fnmr.as_dict() == pytest.approx(y.fnmr.as_dict())


def test_listed_pairs_with_identities_give_what_their_embeddings_give():
    embeddings, of = people(12, 3)
    found = listed(*pairs_of(embeddings, of))
    direct = calibrate(embeddings, of, Euclidean())
    for x, y in zip(found.thresholds, direct.thresholds, strict=True):
        assert x.as_dict() == pytest.approx(y.as_dict(), rel=1e-9)
    assert (found.trials, found.identities, found.items) == (66, 12, None)
    assert found.curve.knots == pytest.approx(direct.curve.knots)
    assert found.curve.logits == pytest.approx(direct.curve.logits, abs=1e-3)  # as near as the fit goes


def test_pairs_without_numbers_are_taken_for_independent():
    rng = np.random.default_rng(0)
    distances, same = rng.random(800), np.arange(800) < 300
    found = calibrate_pairs(distances, same)
    assert (found.unit, found.items, found.identities, found.trials) == ("item", 1600, None, 500)
    assert found.default == 1e-2
    wide = calibrate_pairs(distances, same, first=np.arange(800) % 40, second=40 + np.arange(800) % 41)
    assert wide.items == 81
    assert wide.threshold_for(0.1).fmr.high > found.threshold_for(0.1).fmr.high


def test_fixed_classes_take_items_for_the_sample():
    """Digits: ten classes are all there are. 45 pairs of classes bear 1e-1 alone, pairs of items far more."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = images[:500], labels[:500]
    by_class = calibrate(images, labels, Euclidean())
    by_item = calibrate(images, labels, Euclidean(), unit="item")
    assert (by_class.unit, by_item.unit) == ("identity", "item")
    assert by_class.trials == 45
    assert by_class.default == 1e-1
    assert by_item.trials == by_item.pairs_different
    assert by_item.default == 1e-4
    a, b = by_class.threshold_for(1e-1), by_item.threshold_for(1e-1)
    assert (a.threshold, a.fmr.value, a.fnmr.value) == (b.threshold, b.fmr.value, b.fnmr.value)
    assert b.fmr.high - b.fmr.low < 0.5 * (a.fmr.high - a.fmr.low)


def test_a_promise_the_data_cannot_bear_is_refused():
    embeddings, of = people(20, 3)
    with pytest.raises(SupportError, match=r"25 identities; got 190 pairs of 20 identities\. 5 identities are missing"):
        calibrate(embeddings, of, Euclidean(), max_fmr=1e-2)
    with pytest.raises(SupportError, match="190 pairs of 20 identities"):
        listed(*pairs_of(embeddings, of), max_fmr=1e-2)


def test_without_a_promise_the_smallest_supported_is_taken_and_too_few_people_never_fail():
    embeddings, of = people(25, 2)
    assert calibrate(embeddings, of, Euclidean()).default == 1e-2
    few = calibrate(*people(3, 4), Euclidean())
    assert few.default == 1e-1
    assert not few.threshold_for().supported
    # Any two of three pairs of people share one: nothing is known about the spread.
    assert (few.threshold_for().fmr.low, few.threshold_for().fmr.high) == (0, 1)


def test_a_promise_off_the_ladder_stands_beside_it():
    found = calibrate(*people(30, 3), Euclidean(), max_fmr=0.05)
    assert [t.promised for t in found.thresholds] == [1e-1, 0.05, 1e-2]
    assert found.default == 0.05
    assert found.threshold_for() is found.threshold_for(0.05)


def test_no_stranger_is_let_in_by_an_item_alone():
    """Identities of one item add different pairs and no same ones."""
    embeddings, of = people(12, 1)
    twice = torch.cat([embeddings, embeddings[:1] + 0.01]), torch.cat([of, of[:1]])
    found = calibrate(*twice, Euclidean())
    assert (found.pairs_same, found.pairs_different) == (1, 77)
    assert found.ece is None


@pytest.mark.parametrize(
    ("labels", "reason"),
    [([0, 0, 0, 0], "6 same and 0 different"), ([0, 1, 2, 3], "0 same and 6 different")],
)
def test_too_little_for_anything(labels, reason):
    with pytest.raises(DataError, match=reason):
        calibrate(torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), torch.tensor(labels), L1())


def test_broken_input_is_refused():
    embeddings, of = people(6, 3)
    broken = embeddings.clone()
    broken[4, 1] = torch.nan
    with pytest.raises(DataError, match="row 4"):
        calibrate(broken, of, Euclidean())
    with pytest.raises(DataError, match="one label for each"):
        calibrate(embeddings, of[:-1], Euclidean())
    with pytest.raises(UsageError, match="identities or items"):
        calibrate(embeddings, of, Euclidean(), unit="pair")
    with pytest.raises(UsageError, match="between 0 and 1"):
        calibrate(embeddings, of, Euclidean(), max_fmr=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"distances": [0.1, np.nan, 0.3]}, "finite number, 0 or more; got nan in pair 1"),
        ({"distances": [0.1, -0.2, 0.3]}, "in pair 1"),
        ({"distances": [0.1, 0.2]}, "a distance, an answer and two sides"),
        ({"same": [True, False]}, "a distance, an answer and two sides"),
        ({"first": [0.0, 1.0, 2.0], "second": [3, 4, 5]}, "numbered by integers"),
        ({"first": [0, 1, 2], "second": [3, 1, 5]}, "joins two different items; got otherwise in pair 1"),
        ({"first": [0, 1, 2], "second": [0, 4, 5], "unit": "identity"}, "in pair 2"),
        ({"same": [False, False, False]}, "0 same and 3 different"),
    ],
)
def test_broken_lists_are_refused(change, reason):
    with pytest.raises(DataError, match=reason):
        calibrate_pairs(**({"distances": [0.1, 0.2, 0.3], "same": [True, False, True]} | change))


def test_identities_of_listed_pairs_come_from_both_sides():
    with pytest.raises(UsageError, match="both sides"):
        calibrate_pairs([0.1, 0.2], [True, False], unit="identity")
    with pytest.raises(UsageError, match="both sides"):
        calibrate_pairs([0.1, 0.2], [True, False], first=[0, 1])


def test_two_people_met_both_ways_round_are_one_trial():
    found = calibrate_pairs(
        [0.5, 0.6, 0.7, 0.1, 0.2], [False, False, False, True, True],
        first=[0, 1, 2, 0, 1], second=[1, 0, 1, 0, 1], unit="identity",
    )  # fmt: skip
    assert (found.pairs_different, found.trials, found.identities) == (3, 2, 3)


def test_a_recount_that_rounds_otherwise_widens_the_interval(monkeypatch):
    module = sys.modules["likewise.calibration.calibrate"]  # the package's name for it is the function's
    rates_at = module.rates_at

    def recounted(*given, **options):
        return [
            replace(found, fmr=replace(found.fmr, value=2 * found.fmr.high, low=1.5 * found.fmr.high))
            for found in rates_at(*given, **options)
        ]

    monkeypatch.setattr(module, "rates_at", recounted)
    found = calibrate(*people(30, 4), Euclidean())
    assert all(line.fmr.low <= line.fmr.value <= line.fmr.high for line in found.thresholds)
    assert Calibration.from_json(found.to_json()) == found
