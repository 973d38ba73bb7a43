"""Intervals for shares of pairs, against double loops, closed forms and scipy. Seeds are fixed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from likewise.metrics.intervals import Spread, effective_number, interval, trials_needed, wilson


def spread_of(pairs, errors, apart=1.0):
    """(spread, mean) of listed pairs (u, v) with errors 0 or 1, their sums by plain loops."""
    share = sum(errors) / len(pairs)
    between = {}
    for ends, error in zip(pairs, errors, strict=True):
        key = tuple(sorted(ends))
        between[key] = between.get(key, 0.0) + error - share
    vertices = sorted({v for ends in pairs for v in ends})
    residuals = np.array([sum(r for ends, r in between.items() if v in ends) for v in vertices])
    squares = sum(r * r for ends, r in between.items() if ends[0] != ends[1])
    disjoint = sum(not set(a) & set(b) for a in pairs for b in pairs) / len(pairs) ** 2
    found = Spread.of(
        residuals,
        squares,
        pairs=len(pairs),
        independent=sum((error - share) ** 2 for error in errors) / len(pairs) ** 2,
        disjoint=disjoint,
        vertices=len(vertices),
        apart=apart,
    )
    return found, share


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
    found, _ = spread_of(pairs, errors)
    assert found.variance == pytest.approx(variance_by_double_loop(pairs, errors), rel=1e-12)


def test_variance_of_pairs_with_no_vertex_in_common_is_the_binomial_one():
    errors = [1, 0, 0, 1, 0, 0, 0, 1, 0, 0]
    found, share = spread_of([(2 * i, 2 * i + 1) for i in range(10)], errors)
    assert found.variance == pytest.approx(share * (1 - share) / 9)


def test_variance_of_pairs_within_vertices_is_the_cluster_robust_one():
    errors = np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    found, share = spread_of([(g, g) for g in range(4) for _ in range(3)], errors.ravel().tolist())
    assert found.squares == 0
    assert found.variance == pytest.approx(4 / 3 * np.sum((errors.sum(axis=1) - 3 * share) ** 2) / 12**2)


def test_variance_is_never_less_than_that_of_independent_pairs_of_vertices():
    # Two stars whose errors avoid each other: the products of pairs that share a vertex are negative.
    pairs = list(combinations(range(4), 2))
    errors = [1, 0, 0, 0, 0, 1]  # {0,1} and {2,3}: the only two that share no vertex
    found, share = spread_of(pairs, errors)
    assert variance_by_double_loop(pairs, errors) < 0
    disjoint = 6 / 36  # each of six pairs has one that avoids both its ends
    assert found.variance == pytest.approx(sum((e - share) ** 2 for e in errors) / 36 / disjoint)


def test_variance_is_never_less_than_that_of_independent_pairs():
    """Everybody refuses one pair of three: people do not differ, which is chance and no proof."""
    spread, share = spread_of([(v, v) for v in range(4) for _ in range(3)], [1, 0, 0] * 4)
    assert np.allclose(spread.residuals, 0)
    assert spread.variance == pytest.approx(share * (1 - share) / 12)


def test_where_nothing_varies_only_pairs_that_lie_apart_are_trials():
    """An area of one half, because all distances are equal: every pair is as wrong as every other."""
    spread = Spread.of(np.zeros(6), 0.0, pairs=15, independent=0.0, disjoint=0.4, vertices=6, apart=3)
    assert interval(0.5, spread).as_dict() == pytest.approx(wilson(0.5, 3).as_dict())


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
        at_vertices = np.bincount(u, r, 12) + np.bincount(v, r, 12)
        disjoint = 10 * 9 / (12 * 11)  # another pair avoids both ends of the first
        found = Spread.of(
            at_vertices, np.square(r).sum(), pairs=66, independent=0.0, disjoint=disjoint, vertices=12, apart=6
        )
        shares.append(share)
        unfloored.append(np.square(found.residuals).sum() - found.squares)
    error = np.sqrt(np.var(unfloored) / 2000 + 2 * np.var(shares) ** 2 / 2000)
    assert np.mean(unfloored) == pytest.approx(np.var(shares, ddof=1), abs=4 * error)


@pytest.mark.parametrize("factor", [2.0, -0.5])
def test_spreads_of_two_means_add_up_vertex_by_vertex(factor):
    """3 a + `factor` b, with a over pairs of two of eight people and b over pairs within each; three err often."""
    rng = np.random.default_rng(1)
    between = list(combinations(range(8), 2))
    within = [(v, v) for v in range(8) for _ in range(4)]
    a, b = ([int(rng.random() < (0.7 if min(ends) < 3 else 0.1)) for ends in pairs] for pairs in (between, within))
    of_a, mean_a = spread_of(between, a, apart=4)
    of_b, mean_b = spread_of(within, b, apart=8)
    both = 3 * of_a + factor * of_b

    def pulls(pairs, errors, mean, times):
        scale = times / np.sqrt(sum(not set(x) & set(y) for x in pairs for y in pairs))
        return [(set(ends), scale * (error - mean)) for ends, error in zip(pairs, errors, strict=True)]

    def products(one, other):
        return sum(x * y for e, x in one for f, y in other if e & f)

    left, right = pulls(between, a, mean_a, 3), pulls(within, b, mean_b, factor)
    expected = products(left, left) + products(right, right) + 2 * products(left, right)
    assert both.variance == pytest.approx(expected)
    assert (both.variance > 9 * of_a.variance + factor**2 * of_b.variance) == (factor > 0)
    assert both.independent == pytest.approx(9 * of_a.independent + factor**2 * of_b.independent)
    assert (both.vertices, both.apart) == (8, 4)


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
    spread, share = spread_of([(2 * i, 2 * i + 1) for i in range(300)], errors)
    # Carrying vertices: the 24 ends of the 12 errors, all but alone.
    assert 24 < spread.freedom < 30
    found, plain = interval(share, spread), wilson(share, 299, freedom=spread.freedom)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), rel=1e-9)


def test_copies_of_a_pair_add_no_trial():
    """Five items of each of two identities give 25 pairs that are all right or all wrong: one observation."""
    pairs = [(2 * i, 2 * i + 1) for i in range(40)]
    errors = [1] * 6 + [0] * 34
    once, share = spread_of(pairs, errors)
    often, _ = spread_of(pairs * 25, errors * 25)
    assert interval(share, often).as_dict() == pytest.approx(interval(share, once).as_dict())


@pytest.mark.parametrize("errors", [0, 1])
def test_without_an_error_only_pairs_that_lie_apart_are_trials(errors):
    spread, share = spread_of(list(combinations(range(30), 2)), [errors] * 435, apart=15)
    found = interval(share, spread)
    z = stats.norm.ppf(0.975)
    assert found.value == errors
    assert found.high - found.low == pytest.approx(z**2 / (15 + z**2))
    assert (found.low, found.high)[errors] == errors


def test_there_are_fewer_degrees_of_freedom_than_vertices():
    """Of two people who refuse 1 and 3 of 4 pairs each, the two residuals tell one difference."""
    spread, share = spread_of([(v, v) for v in range(2) for _ in range(4)], [1, 0, 0, 0, 1, 1, 1, 0])
    assert effective_number(spread.residuals) == pytest.approx(2)
    assert spread.freedom == 1
    found, expected = interval(share, spread), wilson(0.5, 0.25 / spread.variance, freedom=1)
    assert found.as_dict() == pytest.approx(expected.as_dict())


def test_nothing_is_known_where_any_two_pairs_share_a_vertex():
    spread, share = spread_of([(0, 1), (0, 2), (1, 2)], [1, 0, 0])
    for unknown in (spread, 0.0 * spread, spread + 2.0 * spread):
        found = interval(share, unknown)
        assert (found.low, found.high) == (0, 1)
        assert found.value == pytest.approx(1 / 3)


@given(st.integers(0, 2**32 - 1), st.integers(4, 10))
def test_interval_holds_the_share_and_does_not_ask_who_is_who(seed, vertices):
    rng = np.random.default_rng(seed)
    pairs = list(combinations(range(vertices), 2))
    errors = (rng.random(len(pairs)) < 0.3).astype(int).tolist()
    spread, share = spread_of(pairs, errors)
    found = interval(share, spread)
    assert 0 <= found.low <= found.value == share <= found.high <= 1
    names = rng.permutation(vertices)
    renamed, _ = spread_of([(names[u], names[v]) for u, v in pairs], errors)
    assert interval(share, renamed).as_dict() == pytest.approx(found.as_dict())


@pytest.mark.parametrize("confidence", [0.8, 0.99])
def test_confidence_is_that_of_the_interval(confidence):
    spread, share = spread_of([(2 * i, 2 * i + 1) for i in range(50)], [1] * 10 + [0] * 40)
    found = interval(share, spread, confidence)
    expected = wilson(share, 49, freedom=spread.freedom, confidence=confidence)
    assert found.as_dict() == pytest.approx(expected.as_dict())


def test_trials_of_a_promise():
    assert [trials_needed(fmr) for fmr in (0.5, 0.1, 1e-4)] == [6, 30, 30_000]
