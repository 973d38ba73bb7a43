"""What chance leaves open between two runs: against the enumeration of all signs, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest
from study_drawn import first, judged

from likewise.apps.study.noise import (
    as_good,
    at_most_worse,
    beyond,
    may_lose,
    near,
    sample_of,
    share,
    share_in,
    worse,
    worth,
)  # fmt: skip
from likewise.metrics.intervals import wilson


def alone(count: int) -> np.ndarray:
    return np.arange(count)


class TestWorse:
    @pytest.mark.parametrize("seed", range(30))
    def test_all_signs_are_counted(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        clusters = rng.integers(0, 8, 40)
        best, other = rng.random(40) < 0.85, rng.random(40) < 0.6
        sums = np.bincount(clusters, weights=best.astype(float) - other, minlength=8)
        as_large = np.mean([np.dot(signs, sums) >= sums.sum() for signs in itertools.product((-1, 1), repeat=8)])
        assert worse(best, other, clusters) == (as_large < 0.05 and sums.sum() > 0)

    @pytest.mark.parametrize(("better", "otherwise"), [(3, 0), (4, 0), (5, 0), (9, 2), (8, 2), (40, 25), (38, 25)])
    def test_of_single_items_it_is_mcnemars_exact_test(self, better: int, otherwise: int) -> None:
        best = np.r_[np.ones(better, bool), np.zeros(otherwise, bool), np.ones(50, bool)]
        other = np.r_[np.zeros(better, bool), np.ones(otherwise, bool), np.ones(50, bool)]
        chance = binomtest(better, better + otherwise, alternative="greater").pvalue
        assert worse(best, other, alone(len(best))) == (chance < 0.05)

    @pytest.mark.parametrize("seed", range(5))
    def test_chance_alone_is_no_difference(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        found = [worse(*(rng.random((2, 300)) < 0.9), alone(300)) for _ in range(200)]
        assert np.mean(found) < 0.1  # one side of 95%

    def test_a_difference_is_seen_and_in_one_direction(self) -> None:
        rng = np.random.default_rng(0)
        good, bad = rng.random(500) < 0.98, rng.random(500) < 0.9
        assert worse(good, bad, alone(500))
        assert not worse(bad, good, alone(500))
        assert not worse(good, good, alone(500))

    def test_items_of_a_group_are_one_witness(self) -> None:
        good, bad = np.ones(400, bool), np.ones(400, bool)
        bad[:40] = False  # all of one group of ten
        assert worse(good, bad, alone(400))
        assert not worse(good, bad, np.repeat(np.arange(10), 40))


class TestAtMostWorse:
    @pytest.mark.parametrize("clusters", [200, 20])
    def test_it_holds_the_true_difference(self, clusters: int) -> None:
        """Of 400 items, with groups that are harder for the one: the bound is broken in no more than 5% of samples."""
        rng = np.random.default_rng(0)
        of, broken = np.repeat(np.arange(clusters), 400 // clusters), 0
        for _ in range(300):
            harder = rng.normal(0.05, 0.05, clusters).clip(0, 0.3)[of]  # the mean of these is what is true
            best, other = rng.random(400) < 0.95, rng.random(400) < 0.95 - harder
            broken += at_most_worse(best, other, of) < 0.05
        assert broken / 300 < 0.08  # 5%, and two standard errors of 300 samples

    def test_few_show_little(self) -> None:
        same = np.ones(100, bool)
        few, many = at_most_worse(same, same, np.repeat(np.arange(5), 20)), at_most_worse(same, same, alone(100))
        assert 0 < many < 0.03 < few
        assert at_most_worse(same, same, np.zeros(100, int)) == 1.0  # one group shows nothing


class TestShareIn:
    @pytest.mark.parametrize("groups", [300, 30, 1])
    @pytest.mark.parametrize("right", [300, 280, 0])
    def test_in_the_mix_that_there_is_it_is_the_share(self, groups: int, right: int) -> None:
        rng = np.random.default_rng(0)
        of, kinds = np.arange(300) % groups, rng.integers(0, 3, 300)
        answers = rng.permutation(first(300, right))
        found, expected = share_in(answers, kinds, of, np.bincount(kinds).astype(float)), share(answers, of)
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))

    @pytest.mark.parametrize("grouped", [False, True])
    def test_it_holds_what_is_true_of_another_mix(self, grouped: bool) -> None:
        """270 of a class that is right in 98%, 30 of one in 60%; asked half and half: 79%, in 95% of samples."""
        rng = np.random.default_rng(0)
        kinds, of = np.repeat([0, 1], [270, 30]), np.arange(300)
        if grouped:
            of = np.r_[np.repeat(np.arange(27), 10), 27 + np.repeat(np.arange(10), 3)]
        held, naive, values = 0, 0, list[float]()
        for _ in range(400):
            chance = np.where(kinds == 0, 0.98, 0.6)
            if grouped:  # beta with the same means and a correlation of 0.1 within a group
                chance = np.where(kinds == 0, rng.beta(9 * 0.98, 9 * 0.02, 37)[of], rng.beta(9 * 0.6, 9 * 0.4, 37)[of])
            right = rng.random(300) < chance
            found = share_in(right, kinds, of, np.array([10.0, 10.0]))
            values.append(found.value)
            held += found.low <= 0.79 <= found.high
            naive += share(right, of).low <= 0.79
        assert np.mean(values) == pytest.approx(0.79, abs=0.01)
        assert held / 400 >= 0.93  # 95%, less two standard errors of 400 samples
        assert naive / 400 < 0.1  # the share in the mix that there is

    def test_kinds_of_which_there_are_none_are_left_out(self) -> None:
        found = share_in(np.array([True, False, True]), np.array([0, 0, 2]), alone(3), np.array([1.0, 5.0, 1.0]))
        assert found.value == pytest.approx(0.75)

    def test_a_difference_is_newcombes(self) -> None:
        """56 of 70 against 48 of 80: 0.2 (0.0524 to 0.3339), the example of Newcombe (1998), method 10."""
        found = beyond(wilson(56 / 70, 70), wilson(48 / 80, 80))
        assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


class TestRuns:
    def test_items_are_compared_where_both_have_them(self) -> None:
        one, other = judged({}, first(50, 50)), judged({}, first(50, 40))
        other.figures["each"]["item"] = list(range(10, 60))  # of which the last ten, that are wrong, are new
        assert not as_good(one, judged({}, first(50, 40)))
        assert as_good(one, other)

    def test_near_wants_a_look_or_a_bound(self) -> None:
        groups = np.repeat(np.arange(6), 20)
        best, other = judged({}, first(120, 120), groups), judged({}, first(120, 100), groups)
        assert as_good(best, other)  # one group of six is no proof
        assert may_lose(best, other) > 0.3
        assert not near(best, other, "accuracy")
        assert near(best, judged({}, first(120, 118), groups), "accuracy")

    @pytest.mark.parametrize(("fewer", "within"), [(0, True), (4, True), (5, False), (20, False), (49, False)])
    def test_what_items_show_is_not_called_chance_however_little_it_is(self, fewer: int, within: bool) -> None:
        """Of 10,000 the best gets 10 wrong: five more that nothing makes up for have p = 1/32, 49 have 2e-15."""
        best, other = judged({}, first(10_000, 9990)), judged({}, first(10_000, 9990 - fewer))
        assert near(best, other, "accuracy") == within

    def test_what_items_of_groups_are_worth(self) -> None:
        """Groups of ten that are all right or all wrong are one trial each; single items are what they are."""
        right = np.repeat(np.arange(200) % 4 > 0, 10)
        assert worth([judged({}, right, np.repeat(np.arange(200), 10))] * 2) == pytest.approx(200, rel=0.01)
        assert worth([judged({}, right)]) == 2000
        assert worth([judged({}, np.ones(60, bool), np.repeat(np.arange(6), 10))]) == 6  # nothing varies
        blind = [judged({}, np.random.default_rng(seed).random(2000) < 0.8, np.repeat(np.arange(200), 10)) for seed in
                 range(5)]  # fmt: skip
        assert worth(blind) == pytest.approx(2000, rel=0.1)

    def test_what_a_figure_stands_on(self) -> None:
        assert sample_of(judged({}, first(1200, 3))) == "1,200 items"
        assert sample_of(judged({}, first(6, 3), [0, 0, 1, 1, 2, 2]), "pictures", "people") == "6 pictures of 3 people"

    def test_single_items_have_wilsons_interval(self) -> None:
        assert share(np.array(first(40, 37)), alone(40)) == wilson(37 / 40, 40)
