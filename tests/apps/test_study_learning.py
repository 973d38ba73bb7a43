"""How many more examples: the law is found again, shares keep the classes, and advice follows from the runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from study_drawn import QUICK, first, grouped, judged, some_digits

from likewise.apps.study import Learning, PowerLaw, Run, conduct, fit_power_law
from likewise.apps.study.learning import _between
from likewise.data import Dataset
from likewise.errors import DataError, UsageError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits()


class TestPowerLaw:
    @settings(max_examples=30, deadline=None)
    @given(scale=st.floats(0.5, 3), rate=st.floats(0.3, 0.9), floor=st.sampled_from([0.0, 0.01]))
    def test_a_law_is_found_again(self, scale: float, rate: float, floor: float) -> None:
        examples = np.array([50.0, 100, 200, 400, 800, 1600])
        errors = scale * examples**-rate + floor
        law = fit_power_law(examples, errors, 1_000_000)
        assert law(examples) == pytest.approx(errors, rel=0.02)
        assert law(3200.0) == pytest.approx(scale * 3200**-rate + floor, rel=0.05)

    def test_examples_are_the_inverse(self) -> None:
        law = fit_power_law(np.array([50.0, 100, 200, 400]), 2 * np.array([50.0, 100, 200, 400]) ** -0.5, 1_000_000)
        assert float(law(law.examples(0.05))) == pytest.approx(0.05)
        assert law.examples(0.05) == pytest.approx(1600, rel=0.05)
        assert math.isinf(replace(law, floor=0.1).examples(0.05))

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 10_000))
    def test_no_worse_than_scipys_least_squares(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        examples, items = np.array([20.0, 40, 80, 160, 320]), 500
        truth = np.clip(rng.uniform(0.5, 3) * examples ** -rng.uniform(0.2, 1) + rng.uniform(0, 0.05), 0, 0.9)
        errors = rng.binomial(items, truth) / items
        seen = (errors * items + 0.5) / (items + 1)
        spread = np.sqrt(seen * (1 - seen) / items)

        def off(law: np.ndarray) -> np.ndarray:
            return (np.exp(law[0]) * examples ** -law[1] + law[2] - seen) / spread

        theirs = least_squares(off, (0.0, 0.5, 0.0), bounds=([-20, 0.01, 0], [20, 3, seen.min()]))
        ours = fit_power_law(examples, errors, items)
        off_by = ((ours(examples) - seen) ** 2 / spread**2).sum()
        assert off_by <= 2 * theirs.cost + (1e-3 if ours.floor else 3.85)  # a floor is for what chance does not explain

    def test_a_floor_has_to_be_asked_for(self) -> None:
        """3,000 digits of MNIST, judged by 448: errors of n^-0.5 that happen to bend, and far more that do bend."""
        examples = np.array([113.0, 225, 451, 902, 1803])
        errors = np.array([0.122, 0.077, 0.048, 0.041, 0.031])
        law = fit_power_law(examples, errors, 448)
        assert law.floor == 0
        assert law.rate == pytest.approx(0.5, abs=0.05)
        assert fit_power_law(examples, errors, 448_000).floor > 0.02

    def test_nothing_overflows(self) -> None:
        """A curve that hardly falls: the number of examples has more digits than a float."""
        assert math.isinf(PowerLaw(0.5, 0.01, 0.0).examples(1e-9))
        assert PowerLaw(0.0, 0.5, 0.1).examples(0.2) == 0


def curve(errors: dict[int, float], of: int = 1000, **more: object) -> list[Run]:
    """Runs with these shares of wrong answers; the same items are hard for all."""
    return [judged({"examples": n, "draw": 0}, first(of, round(of * (1 - e))), **more) for n, e in errors.items()]


class TestAdvice:
    @pytest.fixture
    def study(self, digits: Dataset) -> Learning:
        return Learning(digits, 0.05, fit=QUICK)

    def test_how_many_times_as_many(self, study: Learning) -> None:
        """Errors of 2 n^-0.5: 5% takes 1,600 examples."""
        total = study.trials([])[-1]["examples"]
        said = study.advice(curve({n: 2 * n**-0.5 for n in (19, 38, 75, 150, total)}, of=20_000))
        assert said.startswith(
            f"About {1600 / total:.1f} times as many examples (1,600, now {total:,}) for 5.00% wrong"
        )

    def test_other_items_to_judge_by_might_say_another_number(self, study: Learning) -> None:
        errors = {n: 2 * n**-0.5 for n in (19, 38, 75, 150, 300)}
        found, low, high = study.times(curve(errors, of=60))
        assert low < found < high
        surer = study.times(curve(errors, of=6000))
        assert surer[2] - surer[1] < high - low

    def test_groups_are_drawn_as_wholes(self, study: Learning) -> None:
        errors = {n: 2 * n**-0.5 for n in (19, 38, 75, 150, 300)}
        alone, groups = curve(errors, of=600), []
        for run in curve(errors, of=600):
            order = np.random.default_rng(0).permutation(600)
            run.figures["each"]["cluster"] = (order // 60).tolist()  # of ten
            groups.append(run)
        lumped = [replace(run, figures={**run.figures, "each": {**run.figures["each"]}}) for run in alone]
        for run in lumped:
            run.figures["each"]["cluster"] = (np.arange(600) // 60).tolist()  # and wrong answers lie in few of them
        widths = [high / low for _, low, high in map(study.times, (alone, groups, lumped))]
        assert widths[2] > 1.5 * max(widths[:2])

    def test_groups_that_go_wrong_together_make_no_floor(self, study: Learning) -> None:
        """12 groups of 20 by 1.5 n^-0.5, each run with a spread of its own between groups (correlation 0.1 within one):
        a floor is claimed of at most 1 in 20 curves, and two standard errors of 200."""
        rng, floors = np.random.default_rng(0), 0
        groups = np.repeat(np.arange(12), 20)
        for _ in range(200):
            runs: list[Run] = []
            for n in (19, 38, 75, 150, 300):
                error = 1.5 * n**-0.5
                of_group = rng.beta(9 * error, 9 * (1 - error), 12)
                runs.append(judged({"examples": n, "draw": 0}, rng.random(240) >= of_group[groups], groups))
            floors += study.law(runs).floor > 0
        assert floors / 200 <= 0.08

    def test_how_far_that_hangs_on_the_items_is_said(self, study: Learning) -> None:
        runs = curve({n: 2 * n**-0.5 for n in (19, 38, 75, 150, 300)}, of=200)
        _, low, high = study.times(runs)
        assert f"anything from {low:.1f} times to {high:.1f} times" in study.advice(runs)
        assert _between(0.8, 3.0) == "enough already to 3.0 times"
        assert _between(2.6, math.inf) == "2.6 times to far more"

    def test_enough_is_enough(self, study: Learning) -> None:
        assert "are enough: 4.00% wrong" in study.advice(curve({20: 0.4, 80: 0.2, 300: 0.04}))

    def test_a_curve_that_levels_off(self, study: Learning) -> None:
        said = study.advice(curve({20: 0.3, 80: 0.3, 300: 0.3}))
        assert said.startswith("More examples alone will hardly do: 1,000 times as many would leave")

    def test_wrong_in_what_was_learned_from(self, study: Learning) -> None:
        """No number of examples mends what a network cannot fit."""
        said = study.advice(curve({20: 0.4, 80: 0.3, 300: 0.2}, trained_accuracy=0.85))
        assert "even of those trained on 15.00% are answered wrongly" in said

    def test_never_less_than_there_are(self, study: Learning) -> None:
        """The last point lies above the law that all follow."""
        said = study.advice(curve({19: 0.5, 38: 0.2, 75: 0.08, 150: 0.03, 300: 0.052}))
        assert "about enough" in said


class TestShares:
    @pytest.mark.parametrize("groups", [None, 8])
    def test_they_grow_and_keep_the_classes(self, digits: Dataset, groups: int | None) -> None:
        study = Learning(digits if groups is None else grouped(digits, groups), 0.05, fit=QUICK)
        sizes = [trial["examples"] for trial in study.trials([])]
        assert sizes == sorted(sizes)
        assert sizes[-1] == min(len(fold.train) for fold in study.plan.folds)
        for fold in study.plan.folds:
            of_fold = np.bincount(study.plan.data.labels[fold.train], minlength=10)
            for trial in study.trials([]):
                drawn = study.drawn(fold, trial["examples"], trial["draw"])
                assert len(drawn) == trial["examples"] == len(set(drawn.tolist()))
                assert set(drawn.tolist()) <= set(fold.train.tolist())
                counts = np.bincount(study.plan.data.labels[drawn], minlength=10)
                assert np.abs(counts - len(drawn) / len(fold.train) * of_fold).max() <= 1

    def test_two_draws_differ(self, digits: Dataset) -> None:
        study = Learning(digits, 0.05, fit=QUICK)
        (fold,) = study.plan.folds
        assert (study.drawn(fold, 50, 0) != study.drawn(fold, 50, 1)).any()


def test_it_ends_with_a_sentence_and_a_picture(digits: Dataset, tmp_path: Path) -> None:
    study = Learning(digits, 0.001, repeats=1, backbone="linear", fit=QUICK)
    found = conduct(study, tmp_path / "s", say=print)
    assert "examples" in found.advice
    assert (tmp_path / "s" / "study.png").stat().st_size > 1000
    assert all(run.figures["trained_accuracy"] >= run.figures["accuracy"] - 0.2 for run in found.runs)


def test_what_cannot_be(digits: Dataset) -> None:
    for error in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(UsageError, match="between 0 and 1"):
            Learning(digits, error)
    with pytest.raises(DataError, match="takes 32 items to train on"):
        Learning(digits.subset(np.arange(40)), 0.1)
    with pytest.raises(DataError, match="at least 2 classes"):
        Learning(digits.subset(np.flatnonzero(digits.labels == 3)), 0.1)
