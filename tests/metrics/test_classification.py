"""Figures of answers against loops and scikit-learn, and intervals against the formula and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t
from sklearn import metrics

from likewise.metrics.classification import (
    balanced_accuracy,
    chance_error,
    confusion_counts,
    log_loss,
    reliability,
    share_right,
)


def wilson(share: float, trials: float, z: float) -> tuple[float, float]:
    """The two solutions p of (share - p)^2 = z^2 p (1 - p) / trials (Wilson 1927)."""
    a, b, c = 1 + z * z / trials, -(2 * share + z * z / trials), share * share
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


class TestReliability:
    def naive(self, said: np.ndarray, right: np.ndarray, bins: int) -> float:
        """Of equally many answers each, of which the first bins have one more where it does not come out even."""
        ranked = sorted(zip(said.tolist(), right.tolist(), strict=True), key=lambda pair: pair[0])
        error, start = 0.0, 0
        for b in range(bins):
            size = len(ranked) // bins + (b < len(ranked) % bins)
            part = ranked[start : start + size]
            start += size
            if part:
                off = sum(p for p, _ in part) / size - sum(r for _, r in part) / size
                error += size / len(ranked) * abs(off)
        return error

    @pytest.mark.parametrize("count", [1, 7, 15, 16, 200, 1003])
    def test_the_error_against_a_loop(self, count: int) -> None:
        rng = np.random.default_rng(count)
        said = rng.random(count)
        right = rng.random(count) < said**2
        found = reliability(said, right)
        assert found.error == pytest.approx(self.naive(said, right, 15), abs=1e-12)
        assert found.count.sum() == count
        assert found.count.max() - found.count.min() <= 1
        assert (np.diff(found.said) >= 0).all()

    def test_on_paper(self) -> None:
        found = reliability(np.array([0.9, 0.6, 0.9, 0.6]), np.array([True, False, True, True]), bins=2)
        np.testing.assert_allclose(found.said, [0.6, 0.9])
        np.testing.assert_allclose(found.right, [0.5, 1.0])
        assert found.error == pytest.approx(0.1)

    def test_what_is_said_rightly_has_hardly_an_error_and_too_sure_one_has(self) -> None:
        rng = np.random.default_rng(0)
        said = rng.uniform(0.5, 1, 20_000)
        right = rng.random(20_000) < said
        assert reliability(said, right).error < 0.015
        assert reliability(np.full(20_000, 0.99), right).error == pytest.approx(0.99 - right.mean())

    def test_of_nothing(self) -> None:
        assert reliability(np.zeros(0), np.zeros(0, bool)).error == 0


class TestChanceError:
    @pytest.mark.parametrize("count", [20, 45, 450])
    def test_it_is_what_right_probabilities_show(self, count: int) -> None:
        """Against 1,000 sets of answers that are drawn here, of probabilities from 0.5 to 1."""
        rng = np.random.default_rng(count)
        said = rng.uniform(0.5, 1, count)
        errors = [reliability(said, rng.random(count) < said).error for _ in range(1_000)]
        found = chance_error(said)
        assert found.mean == pytest.approx(np.mean(errors), rel=0.06)
        assert found.most == pytest.approx(np.quantile(errors, 0.95), rel=0.08)

    def test_it_falls_with_the_root_of_the_answers(self) -> None:
        """A bin of n answers at one half is off by sqrt(2 / pi) / (2 sqrt(n)) in the mean (half-normal)."""
        for count in (1_500, 15_000):
            expected = math.sqrt(2 / math.pi) / 2 / math.sqrt(count / 15)
            assert chance_error(np.full(count, 0.5)).mean == pytest.approx(expected, rel=0.05)

    def test_certain_answers_have_none_and_one_seed_gives_one_number(self) -> None:
        found = chance_error(np.ones(50))
        assert (found.mean, found.most) == (0, 0)
        said = np.random.default_rng(0).random(100)
        assert chance_error(said) == chance_error(said) != chance_error(said, seed=1)
        assert chance_error(np.zeros(0)).mean == 0


class TestShareRight:
    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.lists(st.booleans(), min_size=1, max_size=60))
    def test_without_groups_it_is_wilsons(self, answers: list[bool]) -> None:
        found = share_right(np.array(answers))
        low, high = wilson(float(np.mean(answers)), len(answers), norm.ppf(0.975))
        assert found.value == pytest.approx(np.mean(answers))
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))

    def test_against_published_ends(self) -> None:
        """81 of 263: Newcombe (1998), table I, method 3, says 0.2553 to 0.3662."""
        found = share_right(np.arange(263) < 81)
        assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)

    @pytest.mark.parametrize("size", [1, 2, 25])
    def test_groups_answered_alike_are_as_many_trials(self, size: int) -> None:
        groups, right = 40, 29
        answers = np.repeat(np.arange(groups) < right, size)
        found = share_right(answers, np.repeat(np.arange(groups) * 7, size))
        # The variance is estimated from 40 groups, with 39 degrees of freedom, as that of a mean of 40 numbers is.
        low, high = wilson(right / groups, groups - 1, t.ppf(0.975, groups - 1))
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))

    def test_groups_against_a_loop(self) -> None:
        rng = np.random.default_rng(0)
        group = rng.integers(0, 12, 300)
        answers = rng.random(300) < rng.beta(2, 1, 12)[group]
        share = answers.mean()
        variance = 0.0
        for one in range(12):
            variance += sum(float(a) - share for a in answers[group == one]) ** 2
        variance *= 12 / 11 / 300**2
        found = share_right(answers, group)
        low, high = wilson(share, share * (1 - share) / variance, t.ppf(0.975, 11))
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
        plain = share_right(answers)
        assert found.high - found.low > plain.high - plain.low

    @pytest.mark.parametrize("right", [True, False])
    def test_where_nothing_varies_groups_are_what_there_is(self, right: bool) -> None:
        found = share_right(np.full(100, right), np.repeat(np.arange(5), 20))
        low, high = wilson(float(right), 5, t.ppf(0.975, 4))
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))

    def test_groups_that_are_all_alike_are_worth_no_more_than_their_items(self) -> None:
        found = share_right(np.tile(np.arange(10) < 9, 8), np.repeat(np.arange(8), 10))  # 9 of 10 in each
        low, high = wilson(0.9, 80, t.ppf(0.975, 7))
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))

    def test_one_group_leaves_everything_open(self) -> None:
        found = share_right(np.arange(100) < 90, np.zeros(100, np.int64))
        assert found.high - found.low > 0.9

    def test_the_interval_holds_the_truth_nineteen_times_of_twenty(self) -> None:
        """Groups of 10 that are answered much alike, 600 times; intervals of items would hold it far less often."""
        rng = np.random.default_rng(0)
        group = np.repeat(np.arange(30), 10)
        held, of_items = 0, 0
        for _ in range(600):
            answers = rng.random(300) < rng.beta(4, 1, 30)[group]  # 0.8 in the mean
            found, plain = share_right(answers, group), share_right(answers)
            held += found.low <= 0.8 <= found.high
            of_items += plain.low <= 0.8 <= plain.high
        assert 0.93 <= held / 600 <= 0.985
        assert of_items < held


class TestFigures:
    @pytest.fixture
    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        truth = rng.choice([0, 1, 2, 4], 200, p=[0.6, 0.2, 0.15, 0.05])  # class 3 does not occur
        return truth, np.where(rng.random(200) < 0.7, truth, rng.integers(0, 5, 200))

    @pytest.mark.filterwarnings("ignore:y_pred contains classes")
    def test_balanced_accuracy_is_that_of_scikit_learn(self, drawn: tuple[np.ndarray, np.ndarray]) -> None:
        assert balanced_accuracy(*drawn) == pytest.approx(metrics.balanced_accuracy_score(*drawn))

    def test_counts_are_those_of_scikit_learn(self, drawn: tuple[np.ndarray, np.ndarray]) -> None:
        expected = metrics.confusion_matrix(*drawn, labels=range(5))
        found = confusion_counts(*drawn, 5)
        np.testing.assert_array_equal(found.pooled(5), expected)
        np.testing.assert_array_equal(found.of_shown(), expected.sum(axis=1))
        np.testing.assert_array_equal(found.of_said(), expected.sum(axis=0))
        np.testing.assert_array_equal(found.right(), expected.diagonal())
        cells = [[i, j, expected[i, j]] for i in range(5) for j in range(5) if expected[i, j]]
        np.testing.assert_array_equal(np.column_stack([found.shown, found.said, found.count]), cells)

    def test_counts_of_many_classes_take_no_more_than_items(self) -> None:
        """65,536 classes squared would be 32 GiB."""
        rng = np.random.default_rng(0)
        truth, said = rng.integers(0, 65_536, (2, 1_000))
        found = confusion_counts(truth, said, 65_536)
        assert found.count.sum() == 1_000
        assert len(found.count) <= 1_000
        pooled = found.pooled(600)
        assert (pooled.shape, pooled.sum()) == ((600, 600), 1_000)
        expected = np.histogram2d(truth * 600 // 65_536, said * 600 // 65_536, bins=600, range=((0, 600), (0, 600)))[0]
        np.testing.assert_array_equal(pooled, expected)

    def test_log_loss_is_that_of_scikit_learn(self) -> None:
        probability = np.random.default_rng(0).dirichlet(np.ones(4), 50)
        truth = np.random.default_rng(1).integers(0, 4, 50)
        expected = metrics.log_loss(truth, probability, labels=range(4))
        assert log_loss(probability[np.arange(50), truth]) == pytest.approx(expected)

    def test_what_was_said_to_be_impossible_costs_much_and_not_everything(self) -> None:
        assert log_loss(np.array([0.0, 1.0])) == pytest.approx(-math.log(1e-12) / 2)
