"""From distances to answers, against plain loops and cases drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.calibration import Calibration, ProbabilityCurve, Threshold
from likewise.errors import UsageError
from likewise.gallery.decision import (
    Candidates,
    Lines,
    check_rule,
    chosen,
    decide,
    distances_to,
    expected_fpir,
    lines_of_model,
    robust_mean,
)
from likewise.metrics.estimate import Estimate
from likewise.objective import Cosine, Euclidean

NAMES = ["ada", "bob", "eve"]
LINES = Lines(1.0, 2.0, 0.01, 0.1, "gallery")


def calibration(*thresholds: tuple[float, float, bool]) -> Calibration:
    """Of promised rate, threshold and whether it is supported."""
    lines = tuple(
        Threshold(fmr, at, Estimate(fmr, 0, 1), Estimate(0.1, 0, 1), supported) for fmr, at, supported in thresholds
    )
    return Calibration(
        lines, thresholds[-1][0], ProbabilityCurve((0.0, 4.0), (4.0, -4.0)), None, "identity", 10, 5, 10, 40, 5, 0
    )


def near(names: str, *distances: float) -> Candidates:
    """One probe; a letter for each name."""
    return Candidates(np.array([["abe".index(letter) for letter in names]]), np.array([distances], np.float32))


def test_fpir_of_independent_comparisons() -> None:
    assert expected_fpir(1e-4, 200 * 5) == pytest.approx(0.0952, abs=1e-4)  # 200 people with 5 pictures each
    assert expected_fpir(0.01, 1) == pytest.approx(0.01)
    assert expected_fpir(0.5, 3) == pytest.approx(1 - 0.5**3)
    assert expected_fpir(1e-12, 10) == pytest.approx(1e-11)


class TestVote:
    @pytest.mark.parametrize(
        ("names", "distances", "outcome", "name"),
        [
            ("abe", (0.5, 0.6, 3.0), "known", "ada"),  # one vote each: the nearest
            ("abbe", (0.5, 0.6, 0.7, 0.8), "known", "bob"),  # most votes
            ("abb", (0.5, 1.5, 1.6), "known", "ada"),  # who is beyond the strict line has no vote
            ("abb", (1.2, 1.5, 1.6), "unsure", "bob"),
            ("abb", (2.1, 2.2, 2.3), "unknown", None),
            ("a", (1.0,), "known", "ada"),  # at most the line is within it
            ("a", (2.0,), "unsure", "ada"),
            ("", (), "unknown", None),
        ],
    )
    def test_by_hand(self, names: str, distances: tuple[float, ...], outcome: str, name: str | None) -> None:
        (found,) = decide(near(names, *distances), None, NAMES, LINES, None)
        assert (found.outcome, found.name) == (outcome, name)

    @pytest.mark.parametrize(
        ("names", "distances", "far"),
        [
            ("baaa", (0.30, 0.35, 0.36, 0.37), 0.35),  # the nearest record loses the vote
            ("baaa", (1.30, 1.35, 1.36, 1.37), 1.35),
            ("baaa", (2.30, 2.35, 2.36, 2.37), 2.30),  # nobody: the nearest
            ("", (), None),
        ],
    )
    def test_the_distance_is_that_of_whom_was_decided_for(
        self, names: str, distances: tuple[float, ...], far: float | None
    ) -> None:
        (found,) = decide(near(names, *distances), None, NAMES, LINES, None)
        assert found.distance == (None if far is None else pytest.approx(far))
        assert found.at_most_unsure().distance == found.distance

    def test_matches_are_names_by_distance(self) -> None:
        (found,) = decide(near("bab", 0.5, 0.6, 1.9), None, NAMES, LINES, calibration((0.1, 1.0, True)))
        assert [(match.name, match.votes) for match in found.matches] == [("bob", 2), ("ada", 1)]
        assert [match.distance for match in found.matches] == pytest.approx([0.5, 0.6])
        assert [match.probability for match in found.matches] == pytest.approx(
            [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-2.8))], rel=1e-5
        )
        assert decide(near("a", 0.5), None, NAMES, LINES, None)[0].matches[0].probability is None

    @given(st.integers(0, 2**32))
    def test_as_a_plain_loop_votes(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        names = rng.integers(0, 4, (20, 6))
        distances = np.sort(rng.integers(0, 12, (20, 6)) / 4, axis=1).astype(np.float32)
        found = chosen(Candidates(names, distances), 1.5, "vote")
        for row in range(20):
            votes: dict[int, int] = {}
            nearest: dict[int, float] = {}
            for name, distance in zip(names[row].tolist(), distances[row].tolist(), strict=True):
                if distance <= 1.5:
                    votes[name] = votes.get(name, 0) + 1
                    nearest.setdefault(name, distance)
            if not votes:
                assert found[row] == -1
                continue
            winner = names[row, found[row]]
            assert votes[winner] == max(votes.values())
            assert nearest[winner] == min(nearest[name] for name in votes if votes[name] == max(votes.values()))
            assert distances[row, found[row]] == nearest[winner]


class TestMean:
    def test_the_nearest_mean_wins_however_many_votes(self) -> None:
        to_means = np.array([[0.9, 0.4, 0.4]], np.float32)
        (found,) = decide(near("abb", 0.5, 0.6, 0.7), to_means, NAMES, LINES, None)
        assert (found.outcome, found.name) == ("known", "bob")
        assert [(match.name, match.votes) for match in found.matches] == [("bob", 2), ("ada", 1)]
        assert [match.distance for match in found.matches] == pytest.approx([0.4, 0.9])

    def test_probability_is_that_of_the_nearest_record(self) -> None:
        (found,) = decide(
            near("ab", 2.0, 3.0), np.array([[1.5, 0.4]], np.float32), NAMES, LINES, calibration((0.1, 1.0, True))
        )
        assert [match.name for match in found.matches] == ["bob", "ada"]
        assert [match.probability for match in found.matches] == pytest.approx([1 / (1 + np.exp(2)), 0.5])

    def test_who_was_forgotten_meanwhile_is_not_named(self) -> None:
        (found,) = decide(near("ab", 0.2, 3.0), np.array([[np.nan, 5.0]], np.float32), NAMES, LINES, None)
        assert (found.outcome, [match.name for match in found.matches]) == ("unknown", ["bob"])

    def test_outliers_are_left_out(self) -> None:
        rng = np.random.default_rng(0)
        rows = rng.normal(0, 0.1, (9, 4)).astype(np.float32)
        outlier = np.full((1, 4), 50, np.float32)
        with_outlier = robust_mean(np.concatenate([rows, outlier]), Euclidean(), unit=False)
        kept = robust_mean(rows, Euclidean(), unit=False)
        np.testing.assert_allclose(with_outlier, kept, atol=0.05)
        assert np.abs(np.concatenate([rows, outlier]).mean(axis=0)).min() > 4

    def test_few_or_equal_rows_are_all_kept(self) -> None:
        rows = np.array([[0, 0], [4, 2]], np.float32)
        assert robust_mean(rows, Euclidean(), unit=False).tolist() == [2, 1]
        assert robust_mean(rows[:1], Euclidean(), unit=False).tolist() == [0, 0]
        assert robust_mean(np.ones((5, 3), np.float32), Euclidean(), unit=False).tolist() == [1, 1, 1]

    @pytest.mark.parametrize(("distance", "unit"), [(Euclidean(), True), (Cosine(), False)])
    def test_the_mean_of_directions_is_a_direction(self, distance: object, unit: bool) -> None:
        rows = np.array([[2, 0], [0, 5]], np.float32)
        np.testing.assert_allclose(robust_mean(rows, distance, unit), np.sqrt([0.5, 0.5]), rtol=1e-6)

    def test_distances_to_others(self) -> None:
        rng = np.random.default_rng(0)
        probes, others = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(3, 5, 4)).astype(np.float32)
        expected = np.linalg.norm(probes[:, None] - others, axis=2)
        np.testing.assert_allclose(distances_to(probes, others, Euclidean()), expected, rtol=1e-5)


class TestLinesOfModel:
    LADDER = ((0.1, 4.0, True), (0.01, 3.0, True), (0.001, 2.0, True), (0.0001, 1.0, True))

    @pytest.mark.parametrize(
        ("records", "strict", "loose"),
        [(1, 3.0, 4.0), (2, 2.0, 3.0), (10, 2.0, 3.0), (11, 1.0, 2.0), (100, 1.0, 2.0), (1000, 1.0, 2.0)],
    )
    def test_the_more_records_the_stricter(self, records: int, strict: float, loose: float) -> None:
        lines = lines_of_model(calibration(*self.LADDER), records, "vote")
        assert (lines.strict, lines.loose) == (strict, loose)

    def test_the_promise_is_said_as_it_is(self) -> None:
        lines = lines_of_model(calibration(*self.LADDER), 1000, "vote")
        assert lines.fpir == pytest.approx(1 - (1 - 1e-4) ** 1000)
        assert lines.fpir_loose == pytest.approx(1 - (1 - 1e-3) ** 1000)
        assert "up to 9.5 of 100 strangers" in lines.in_words()
        assert lines_of_model(calibration(*self.LADDER), 5, "mean").fpir is None

    def test_what_is_not_supported_is_not_used(self) -> None:
        lines = lines_of_model(calibration((0.1, 4.0, True), (0.01, 3.0, True), (0.001, 2.0, False)), 100, "vote")
        assert (lines.strict, lines.loose) == (3.0, 4.0)

    def test_a_model_with_one_threshold(self) -> None:
        lines = lines_of_model(calibration((0.1, 4.0, False)), 100, "vote")
        assert (lines.strict, lines.loose) == (4.0, 4.0)
        assert lines.fpir == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("rule", "k"), [("median", 5), ("vote", 0), ("vote", -1), ("mean", 1000)])
def test_impossible_rules(rule: str, k: int) -> None:
    with pytest.raises(UsageError):
        check_rule(rule, k)


class TestInWords:
    """What a name is worth is one line, and warns where it is worth little."""

    def test_nobody_is_enrolled(self) -> None:
        for rule in ("vote", "mean"):
            lines = lines_of_model(calibration((0.1, 3.0, True), (0.01, 2.0, True)), 0, rule)
            assert (lines.fpir, lines.fpir_loose) == (0, 0)
            assert lines.in_words() == "nobody is enrolled, so nobody gets a name"

    def test_a_weak_promise_is_a_warning(self) -> None:
        weak = lines_of_model(calibration((0.1, 3.0, True)), 10, "vote")
        assert weak.strict == weak.loose
        assert weak.in_words().startswith("Warning: up to 65 of 100 strangers would be given a name; nobody is unsure")
        good = lines_of_model(calibration((0.1, 3.0, True), (0.001, 2.0, True)), 10, "vote")
        words = "up to 10 of 1,000 strangers would be given a name, up to 65 of 100 a name or unsure"
        assert good.in_words().startswith(words)
        for rate, said in ((1.0, "100 of 100"), (0.001, "1 of 1,000"), (2.5e-8, "0.025 of 1,000,000")):
            assert f"up to {said} strangers" in Lines(1.0, 1.0, rate, rate, "gallery").in_words()

    def test_what_was_asked_for_is_none(self) -> None:
        assert "Warning" not in Lines(1.0, 2.0, 0.6, 0.9, "gallery").in_words()
