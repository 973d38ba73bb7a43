"""Intervals for shares of pairs, against double loops, closed forms and scipy. Seeds are fixed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from likewise.metrics.intervals import dyadic_variance, effective_number, share_interval, wilson


def sums(pairs, errors):
    """Residual sums of listed pairs (u, v) with errors 0 or 1, by plain loops; (arguments, share)."""
    share = sum(errors) / len(pairs)
    between = {}
    for ends, error in zip(pairs, errors, strict=True):
        key = tuple(sorted(ends))
        between[key] = between.get(key, 0.0) + error - share
    vertices = sorted({v for ends in pairs for v in ends})
    residuals = np.array([sum(r for ends, r in between.items() if v in ends) for v in vertices])
    squares = sum(r * r for ends, r in between.items() if ends[0] != ends[1])
    disjoint = sum(not set(a) & set(b) for a in pairs for b in pairs) / len(pairs) ** 2
    return {"residuals": residuals, "squares": squares, "pairs": len(pairs), "disjoint": disjoint}, share


def variance_by_double_loop(pairs, errors):
    share = sum(errors) / len(pairs)
    products, sharing = 0.0, 0
    for a, x in zip(pairs, errors, strict=True):
        for b, y in zip(pairs, errors, strict=True):
            if set(a) & set(b):
                products += (x - share) * (y - share)
                sharing += 1
    return products / (len(pairs) ** 2 - sharing)


@pytest.mark.parametrize("seed", range(6))
def test_variance_is_the_double_loop_over_pairs_that_share_a_vertex(seed):
    rng = np.random.default_rng(seed)
    strange = np.arange(9) < 3  # vertices that err more: correlation where a vertex is shared
    pairs = [(u, v) for u, v in combinations(range(9), 2) for _ in range(rng.integers(1, 4))]
    errors = [int(rng.random() < 0.05 + 0.45 * (int(strange[u]) + int(strange[v]))) for u, v in pairs]
    arguments, _ = sums(pairs, errors)
    expected = variance_by_double_loop(pairs, errors)
    assert dyadic_variance(**arguments) == pytest.approx(expected, rel=1e-12)


def test_variance_of_pairs_with_no_vertex_in_common_is_the_binomial_one():
    errors = [1, 0, 0, 1, 0, 0, 0, 1, 0, 0]
    arguments, share = sums([(2 * i, 2 * i + 1) for i in range(10)], errors)
    assert dyadic_variance(**arguments) == pytest.approx(share * (1 - share) / 9)


def test_variance_of_pairs_within_vertices_is_the_cluster_robust_one():
    errors = np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    arguments, share = sums([(g, g) for g in range(4) for _ in range(3)], errors.ravel().tolist())
    assert arguments["squares"] == 0
    expected = 4 / 3 * np.sum((errors.sum(axis=1) - 3 * share) ** 2) / 12**2
    assert dyadic_variance(**arguments) == pytest.approx(expected)


def test_variance_is_never_less_than_that_of_independent_pairs_of_vertices():
    # Two stars whose errors avoid each other: the products of pairs that share a vertex are negative.
    pairs = list(combinations(range(4), 2))
    errors = [1, 0, 0, 0, 0, 1]  # {0,1} and {2,3}: the only two that share no vertex
    arguments, share = sums(pairs, errors)
    assert variance_by_double_loop(pairs, errors) < 0
    independent = sum((e - share) ** 2 for e in errors) / 36 / arguments["disjoint"]
    assert dyadic_variance(**arguments) == pytest.approx(independent)


@pytest.mark.parametrize("effect", [0.0, 0.15])
def test_variance_is_right_on_average(effect):
    """2,000 draws of 12 vertices; the mean of the estimates against the variance of the shares (seed 0)."""
    rng = np.random.default_rng(0)
    pairs = list(combinations(range(12), 2))
    u, v = np.array(pairs).T
    shares, unfloored = [], []
    for _ in range(2000):
        wolf = rng.choice([-effect, effect], 12)
        errors = (rng.random(66) < 0.35 + wolf[u] + wolf[v]).astype(float)
        share = errors.mean()
        r = errors - share
        residuals = np.bincount(u, r, 12) + np.bincount(v, r, 12)
        disjoint = 10 * 9 / (12 * 11)  # another pair avoids both ends of the first
        shares.append(share)
        unfloored.append((np.square(residuals).sum() - np.square(r).sum()) / (66**2 * disjoint))
    error = np.sqrt(np.var(unfloored) / 2000 + 2 * np.var(shares) ** 2 / 2000)
    assert np.mean(unfloored) == pytest.approx(np.var(shares, ddof=1), abs=4 * error)


def test_effective_number_counts_who_contributes():
    assert effective_number(np.array([2.0, -2.0, 2.0, -2.0, 2.0])) == pytest.approx(5)
    assert effective_number(np.array([7.0, 0.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_number(np.array([3.0, -3.0, 0.0, 0.0])) == pytest.approx(2)
    assert effective_number(np.zeros(4)) == 4  # nobody stands out


@given(
    st.lists(st.floats(-100, 100).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=30),
    st.floats(0.01, 100),
)
def test_effective_number_is_between_one_and_all_and_knows_no_scale(values, scale):
    residuals = np.array(values)
    found = effective_number(residuals)
    assert 1 - 1e-9 <= found <= len(values) + 1e-9
    assert effective_number(scale * residuals) == pytest.approx(found)


@pytest.mark.parametrize(("errors", "trials"), [(0, 20), (1, 20), (7, 50), (50, 50), (3, 30_000)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_is_scipys_for_counted_trials(errors, trials, confidence):
    theirs = stats.binomtest(errors, trials).proportion_ci(confidence, method="wilson")
    ours = wilson(errors / trials, trials, confidence=confidence)
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(0.5, 1e6), st.floats(1, 200))
def test_wilson_ends_are_the_shares_that_would_just_be_surprised(share, trials, freedom):
    found = wilson(share, trials, freedom=freedom)
    quantile = stats.t.ppf(0.975, freedom)
    for end in (found.low, found.high):
        assert abs(share - end) == pytest.approx(quantile * np.sqrt(end * (1 - end) / trials), rel=1e-6)


def test_fewer_degrees_of_freedom_widen():
    certain, unsure = wilson(0.1, 100), wilson(0.1, 100, freedom=3)
    assert unsure.low < certain.low < 0.1 < certain.high < unsure.high


def test_independent_pairs_have_the_ordinary_wilson_interval():
    errors = [1] * 12 + [0] * 288
    arguments, share = sums([(2 * i, 2 * i + 1) for i in range(300)], errors)
    found = share_interval(share, **arguments, units=300)
    # Carrying vertices: the 24 ends of the 12 errors, all but alone.
    freedom = effective_number(arguments["residuals"])
    assert 24 < freedom < 30
    plain = wilson(share, 299, freedom=freedom)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), rel=1e-9)


def test_copies_of_a_pair_add_no_trial():
    """Ten items of each of two identities give 100 pairs that are all right or all wrong: one observation."""
    pairs = [(2 * i, 2 * i + 1) for i in range(40)]
    errors = [1] * 6 + [0] * 34
    once, share = sums(pairs, errors)
    often, _ = sums(pairs * 100, errors * 100)
    assert share_interval(share, **often, units=40).as_dict() == pytest.approx(
        share_interval(share, **once, units=40).as_dict()
    )


def test_no_error_leaves_only_the_units_to_count():
    arguments, share = sums([(g, g) for g in range(30) for _ in range(45)], [0] * 1350)
    found = share_interval(share, **arguments, units=30)
    z = stats.norm.ppf(0.975)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(z**2 / (30 + z**2))


def test_nothing_is_known_where_any_two_pairs_share_a_vertex():
    arguments, share = sums([(0, 1), (0, 2), (1, 2)], [1, 0, 0])
    found = share_interval(share, **arguments, units=3)
    assert (found.low, found.high) == (0, 1)
    assert found.value == pytest.approx(1 / 3)


@given(st.integers(0, 2**32 - 1), st.integers(4, 10))
def test_interval_holds_the_share_and_does_not_ask_who_is_who(seed, vertices):
    rng = np.random.default_rng(seed)
    pairs = list(combinations(range(vertices), 2))
    errors = (rng.random(len(pairs)) < 0.3).astype(int).tolist()
    arguments, share = sums(pairs, errors)
    found = share_interval(share, **arguments, units=len(pairs))
    assert 0 <= found.low <= found.value == share <= found.high <= 1
    names = rng.permutation(vertices)
    renamed, _ = sums([(names[u], names[v]) for u, v in pairs], errors)
    assert share_interval(share, **renamed, units=len(pairs)).as_dict() == pytest.approx(found.as_dict())
