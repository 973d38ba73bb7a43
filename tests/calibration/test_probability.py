"""Distance -> probability where the true posterior is known, and its calibration error. Seeds are fixed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from likewise.calibration import ProbabilityCurve, calibrate, calibrate_pairs
from likewise.calibration.probability import calibration_error, fit_probability
from likewise.errors import DataError
from likewise.metrics.curve import ErrorCurve, error_curve
from likewise.objective.distances import Euclidean


def drawn(draw_same, draw_different, same=20_000, different=60_000, seed=0):
    rng = np.random.default_rng(seed)
    distances = np.concatenate([draw_same(rng, same), draw_different(rng, different)])
    return distances, np.arange(same + different) < same


CASES = {
    # Normal with a common deviation: log-odds fall in a straight line, ((d - 8)^2 - (d - 5)^2) / 2.
    "normal": (
        lambda rng, n: rng.normal(5, 1, n),
        lambda rng, n: rng.normal(8, 1, n),
        lambda d: expit(((d - 8) ** 2 - (d - 5) ** 2) / 2),
    ),
    # Normal with two deviations: the log-odds are a parabola that falls up to d = 11.
    "two deviations": (
        lambda rng, n: rng.normal(5, 1, n),
        lambda rng, n: rng.normal(8, 2**0.5, n),
        lambda d: expit(((d - 8) ** 2 / 2 - (d - 5) ** 2) / 2 + np.log(2) / 2),
    ),
    # Exponential: log-odds log(4) - 3 d / 4.
    "exponential": (
        lambda rng, n: rng.exponential(1, n),
        lambda rng, n: rng.exponential(4, n),
        lambda d: expit(np.log(4) - 0.75 * d),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_probability_is_the_known_posterior_at_equal_priors(case):
    """Three times as many different pairs as same ones leave the prior at one half."""
    draw_same, draw_different, posterior = CASES[case]
    distances, same = drawn(draw_same, draw_different)
    found = calibrate_pairs(distances.clip(0), same)
    fresh, fresh_same = drawn(draw_same, draw_different, 5000, 5000, seed=1)
    error = np.abs(found.probability(fresh.clip(0)) - posterior(fresh))
    assert error[fresh_same].mean() < 0.015
    assert error[~fresh_same].mean() < 0.015
    assert found.ece is not None
    assert found.ece < 0.02


def test_two_classes_far_apart_are_told_apart_and_the_gap_is_undecided():
    distances, same = drawn(lambda r, n: r.uniform(0, 1, n), lambda r, n: r.uniform(3, 4, n), 500, 500)
    found = calibrate_pairs(distances, same)
    near, middle, far = found.probability(np.array([0.0, 2.0, 9.0]))
    # No surer than one error in the next 500 allows.
    assert 0.99 < near <= 501 / 502
    assert 0.3 < middle < 0.7
    assert 1 / 502 <= far < 0.01


def test_a_distance_that_says_nothing_gives_one_half():
    rng = np.random.default_rng(0)
    found = calibrate_pairs(rng.random(4000), rng.random(4000) < 0.4)
    assert found.probability(np.linspace(0, 1, 11)) == pytest.approx(0.5, abs=0.03)


def test_a_distance_that_misleads_gives_one_half_and_an_error_to_match():
    distances, same = drawn(lambda r, n: r.normal(8, 1, n), lambda r, n: r.normal(5, 1, n), 2000, 2000)
    found = calibrate_pairs(distances, same)
    assert found.probability(np.array([3.0, 6.5, 10.0])) == pytest.approx(0.5, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 300))
def test_probability_never_rises_and_is_never_certain(seed, pairs):
    rng = np.random.default_rng(seed)
    same = np.arange(pairs) < pairs // 2
    distances = np.round(rng.exponential(1, pairs) + rng.choice([0, 3]) * ~same, rng.integers(0, 4))
    found = calibrate_pairs(distances, same)
    at = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 200), [np.inf]])
    probability = found.probability(at)
    assert (np.diff(probability) <= 0).all()
    assert probability[0] < 1
    assert probability[-1] > 0
    assert probability.shape == at.shape


def test_nan_is_refused_and_a_plain_number_is_answered():
    curve = ProbabilityCurve((0.0, 2.0), (3.0, -3.0))
    assert float(curve(1.0)) == 0.5
    assert curve([[0.5], [1.5]]).shape == (2, 1)
    assert float(curve(0.5)) == pytest.approx(expit(1.5))
    with pytest.raises(DataError, match="NaN"):
        curve([0.1, float("nan")])


def counts(distances, different, same):
    return ErrorCurve(
        np.concatenate([[-np.inf], distances]).astype(np.float32),
        np.concatenate([[0], np.cumsum(different)]),
        np.concatenate([[0], np.cumsum(same)]),
    )


def test_calibration_error_by_hand():
    """80 of 100 same and 5 of 50 different pairs at 1, the rest at 3. Weights at 1: 0.4 same, 0.05 different."""
    measured = counts([1, 3], [5, 45], [80, 20])
    # Said 0.75 of a weight of 0.45 that is to 0.4 / 0.45 the same, and 0.25 of 0.55 of which 0.1 is.
    said = ProbabilityCurve((1.0, 3.0), (float(np.log(3)), -float(np.log(3))))
    expected = abs(0.75 * 0.45 - 0.4) + abs(0.25 * 0.55 - 0.1)
    assert calibration_error(said, measured) == pytest.approx(expected)


def test_bins_of_the_calibration_error_do_not_cancel():
    """Too sure below and too unsure above: each bin counts on its own."""
    measured = counts([1, 2], [10, 10], [10, 10])  # one half everywhere
    said = ProbabilityCurve((1.0, 2.0), (float(np.log(4)), -float(np.log(4))))  # 0.8 and 0.2
    assert calibration_error(said, measured) == pytest.approx(0.3)


def test_calibration_error_is_measured_on_other_people():
    """One identity spread out far more than the rest: the halves disagree, and the figure says so."""
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(24), 6)
    spread = np.where(np.arange(24) < 12, 0.1, 2.0)
    points = 3 * rng.normal(size=(24, 4))[of] + spread[of, None] * rng.normal(size=(144, 4))
    embeddings, labels = torch.tensor(points, dtype=torch.float32), torch.tensor(of)
    errors = [calibrate(embeddings, labels, Euclidean(), seed=seed).ece for seed in range(4)]
    assert len(set(errors)) == 4  # other halves, another measurement
    alike = 3 * rng.normal(size=(24, 4))[of] + 0.1 * rng.normal(size=(144, 4))
    even = calibrate(torch.tensor(alike, dtype=torch.float32), labels, Euclidean()).ece
    assert min(errors) > even


def test_calibration_error_is_the_mean_of_both_ways_round():
    """Fitted to one half of the people and measured on the other; both halves spread out differently."""
    rng = np.random.default_rng(1)
    of = np.repeat(np.arange(24), 6)
    second = np.random.default_rng(5).permutation(24) % 2 == 1  # the half of each, as seed 5 deals them
    spread = np.where(second, 1.5, 0.5)[of, None]
    points = torch.tensor(2 * rng.normal(size=(24, 4))[of] + spread * rng.normal(size=(144, 4)), dtype=torch.float32)
    found = calibrate(points, torch.tensor(of), Euclidean(), seed=5)

    a, b = (
        error_curve(points[half], torch.tensor(of)[half], Euclidean())
        for half in (torch.tensor(second[of] == side) for side in (False, True))
    )
    of_a, of_b = (fit_probability(curve, 24 * 23 // 2 // 4) for curve in (a, b))
    there, back = calibration_error(of_a, b), calibration_error(of_b, a)
    assert found.ece == pytest.approx((there + back) / 2)
    for other in (calibration_error(of_a, a), calibration_error(of_b, b)):  # what a fit says of itself
        assert abs(other - there) > 0.02
        assert abs(other - back) > 0.02
