"""Outputs become probabilities: temperatures, thresholds and intervals where the right ones are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.apps.classify import AnswerCalibration
from likewise.apps.classify.calibration import best_threshold, calibrated
from likewise.encoder import Head
from likewise.errors import ModelError

ITEMS, CLASSES = 20_000, 4
NAMES = tuple("abcd")


def found_for(head: Head, outputs: torch.Tensor, targets: torch.Tensor) -> AnswerCalibration:
    return calibrated(head, outputs, targets, "fingerprint", "drawn")


class TestTemperature:
    """Outputs from which the truth is drawn are right at temperature 1; scaled by a factor, at that factor."""

    @pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
    def test_of_a_softmax(self, factor: float) -> None:
        rng = np.random.default_rng(0)
        outputs = torch.from_numpy(2 * rng.standard_normal((ITEMS, CLASSES)))
        drawn = (outputs.softmax(dim=1).cumsum(dim=1) < torch.from_numpy(rng.random((ITEMS, 1)))).sum(dim=1)
        targets = torch.nn.functional.one_hot(drawn.clamp_max(CLASSES - 1), CLASSES).float()
        found = found_for(Head("multiclass", NAMES), factor * outputs, targets)
        assert found.temperature == pytest.approx(factor, rel=0.04)
        assert (found.thresholds, found.half_widths, found.items) == ((), (), ITEMS)

    @pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
    @pytest.mark.parametrize("head", [Head("binary", ("a", "b")), Head("multilabel", NAMES)], ids=lambda h: h.kind)
    def test_of_sigmoids(self, factor: float, head: Head) -> None:
        rng = np.random.default_rng(0)
        outputs = torch.from_numpy(2 * rng.standard_normal((ITEMS, head.outputs)))
        targets = (torch.from_numpy(rng.random(outputs.shape)) < outputs.sigmoid()).float()
        assert found_for(head, factor * outputs, targets).temperature == pytest.approx(factor, rel=0.05)

    @pytest.mark.parametrize("count", [10, 1_000])
    def test_who_was_always_right_is_not_certain(self, count: int) -> None:
        labels = torch.arange(count) % CLASSES
        targets = torch.nn.functional.one_hot(labels, CLASSES).float()
        head = Head("multiclass", NAMES)
        found = found_for(head, 50 * targets, targets)
        wrong = 1 - head.answers(50 * targets / found.temperature).max(dim=1).values
        # One of N + 2 is taken to be any of the four: wrong are three quarters of it.
        assert wrong.numpy() == pytest.approx(0.75 / (count + 2), rel=0.01)

    def test_it_is_the_most_likely_one(self) -> None:
        rng = np.random.default_rng(3)
        outputs = torch.from_numpy(3 * rng.standard_normal((200, CLASSES)))
        labels = torch.from_numpy(rng.integers(0, CLASSES, 200))
        targets = torch.nn.functional.one_hot(labels, CLASSES).float()
        found = found_for(Head("multiclass", NAMES), outputs + 2 * targets, targets).temperature
        softened = (1 - 1 / 202) * targets + 1 / 202 / CLASSES

        def unlikely(temperature: float) -> float:
            return -float((softened * ((outputs + 2 * targets) / temperature).log_softmax(dim=1)).sum())

        assert unlikely(found) <= min(unlikely(found * factor) for factor in (0.9, 0.99, 1.01, 1.1))


class TestClassWeights:
    """Where a class counts w times, the most likely outputs are those of its probability and log w above."""

    WEIGHTS = (9.0, 0.4, 1.0, 3.0)

    def drawn(self, head: Head, factor: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Outputs of a network that weighted classes, and said all `factor` times too surely; what is so; truth."""
        rng = np.random.default_rng(0)
        plain = torch.from_numpy(2 * rng.standard_normal((ITEMS, head.outputs)) - [0.0, 1.0, 2.0, 3.0][: head.outputs])
        if head.kind == "multiclass":
            drawn = (plain.softmax(dim=1).cumsum(dim=1) < torch.from_numpy(rng.random((ITEMS, 1)))).sum(dim=1)
            targets = torch.nn.functional.one_hot(drawn.clamp_max(CLASSES - 1), CLASSES).float()
        else:
            targets = (torch.from_numpy(rng.random(plain.shape)) < plain.sigmoid()).float()
        return factor * plain + torch.tensor(self.WEIGHTS[: head.outputs]).double().log(), plain, targets

    @pytest.mark.parametrize("factor", [1.0, 3.0])
    @pytest.mark.parametrize(
        "head", [Head("multiclass", NAMES), Head("binary", ("a", "b")), Head("multilabel", NAMES)], ids=lambda h: h.kind
    )
    def test_probabilities_are_those_of_the_items(self, head: Head, factor: float) -> None:
        outputs, plain, targets = self.drawn(head, factor)
        weights = self.WEIGHTS[: head.outputs]
        found = calibrated(head, outputs, targets, "fingerprint", "drawn", weights=weights)
        assert found.shifts == pytest.approx([math.log(w) for w in weights])
        assert found.temperature == pytest.approx(factor, rel=0.05)
        said, so = head.answers(found.read(outputs)), head.answers(plain)
        assert float((said - so).abs().max()) < 0.02
        unaware = calibrated(head, outputs, targets, "fingerprint", "drawn")
        assert float((head.answers(unaware.read(outputs)) - so).abs().max()) > 0.1

    def test_a_class_that_counted_nothing_is_read_as_it_is(self) -> None:
        outputs, _, targets = self.drawn(Head("multiclass", NAMES), 1.0)
        found = calibrated(Head("multiclass", NAMES), outputs, targets, "f", "drawn", weights=(0, 1, 1, 1))
        assert found.shifts == (0, 0, 0, 0)


class TestThreshold:
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=30))
    def test_no_other_has_a_higher_f1(self, pairs: list[tuple[int, bool]]) -> None:
        said, holds = np.array([p / 10 for p, _ in pairs]), np.array([h for _, h in pairs])
        found = best_threshold(said, holds)
        if holds.all() or not holds.any():
            assert found == 0.5
            return

        def f1(threshold: float) -> float:
            claimed = said >= threshold
            return 2 * (claimed & holds).sum() / (claimed.sum() + holds.sum())

        assert f1(found) == pytest.approx(max(f1(threshold) for threshold in (*np.arange(0.05, 1, 0.1), 0.0)))

    def test_it_lies_in_the_middle_and_near_one_half(self) -> None:
        said, holds = np.array([0.1, 0.2, 0.6, 0.9]), np.array([False, False, True, True])
        assert best_threshold(said, holds) == pytest.approx(0.4)
        tied = np.array([0.9, 0.7, 0.6, 0.4, 0.3]), np.array([True, False, False, True, False])
        # F1 is 2/3 from 0.8 on, and from 0.35 on: the latter is nearer to one half.
        assert best_threshold(*tied) == pytest.approx(0.35)

    def test_each_class_has_its_own_after_the_temperature(self) -> None:
        rng = np.random.default_rng(0)
        outputs = torch.from_numpy(3 * rng.standard_normal((400, 2)) + [-2.0, 2.0])
        targets = (torch.from_numpy(rng.random((400, 2))) < (outputs / 2).sigmoid()).float()
        found = found_for(Head("multilabel", ("a", "b")), outputs, targets)
        for k, threshold in enumerate(found.thresholds):
            said = (outputs[:, k] / found.temperature).sigmoid().numpy()
            assert threshold == best_threshold(said, targets[:, k].numpy() > 0.5)
        assert len(set(found.thresholds)) == 2


class TestIntervals:
    HEAD = Head("regression", ("age",), (100.0,), (10.0,))

    def widths(self, off: np.ndarray) -> tuple[float, ...]:
        """Of outputs that are all the mean, where targets are `off` from it."""
        targets = torch.from_numpy(100 + off)[:, None]
        return found_for(self.HEAD, torch.zeros(len(off), 1), targets).half_widths

    @pytest.mark.parametrize("count", [9, 10, 19, 49, 69, 100, 999])
    def test_it_is_the_quantile_of_the_theory(self, count: int) -> None:
        off = np.random.default_rng(count).normal(size=count)
        place = math.ceil(Fraction(9, 10) * (count + 1))
        assert self.widths(off) == (pytest.approx(np.sort(np.abs(off))[place - 1], abs=1e-9),)

    @pytest.mark.parametrize("count", [1, 5, 8])
    def test_too_few_give_none(self, count: int) -> None:
        assert self.widths(np.ones(count)) == ()

    @pytest.mark.parametrize("count", [9, 30, 99])
    def test_nine_of_ten_fresh_ones_lie_within(self, count: int) -> None:
        """Over 2,000 calibrations with skewed errors; at 9, 30 and 99 the theory says 90%, 90.3% and 90%."""
        rng = np.random.default_rng(count)
        off = rng.exponential(size=(2_000, count)) ** 2 * rng.choice([-1, 1], (2_000, count))
        fresh = rng.exponential(size=2_000) ** 2
        within = np.mean([new <= self.widths(old)[0] for old, new in zip(off, fresh, strict=True)])
        expected = math.ceil(Fraction(9, 10) * (count + 1)) / (count + 1)
        assert within == pytest.approx(expected, abs=3.5 * math.sqrt(expected * (1 - expected) / 2_000))


class TestIntervalsOfGroups:
    """Items of one group are off by much the same: a camera that sees all too warm."""

    HEAD = TestIntervals.HEAD

    def widths(self, off: np.ndarray, groups: np.ndarray) -> tuple[float, ...]:
        targets = torch.from_numpy(100 + off)[:, None]
        return calibrated(self.HEAD, torch.zeros(len(off), 1), targets, "f", "drawn", groups=groups).half_widths

    @pytest.mark.parametrize("groups", [9, 12, 40])
    def test_nine_of_ten_items_of_new_groups_lie_within(self, groups: int) -> None:
        """1,500 calibrations, groups of 1 to 40 items. By items, and by the farthest of 9, one would be far off."""
        rng = np.random.default_rng(groups)
        within, of_items = 0, 0
        for _ in range(1_500):
            sizes = rng.integers(1, 41, groups)
            of = np.repeat(np.arange(groups) * 3, sizes)
            off = np.repeat(5 * rng.standard_normal(groups), sizes) + rng.standard_normal(len(of))
            new = abs(5 * rng.standard_normal() + rng.standard_normal())
            within += new <= self.widths(off, of)[0]
            of_items += (
                new
                <= found_for(self.HEAD, torch.zeros(len(off), 1), torch.from_numpy(100 + off)[:, None]).half_widths[0]
            )
        deviation = math.sqrt(0.9 * 0.1 / 1_500)
        assert within / 1_500 > 0.9 - 3 * deviation
        assert within / 1_500 < 0.9 + 1 / (groups + 1) + 3 * deviation  # not simply everything
        assert of_items < within
        if groups == 9:
            assert of_items / 1_500 < 0.87

    def test_groups_of_one_item_are_items(self) -> None:
        off = np.random.default_rng(0).normal(size=57)
        alone = found_for(self.HEAD, torch.zeros(57, 1), torch.from_numpy(100 + off)[:, None]).half_widths
        assert self.widths(off, np.random.default_rng(1).permutation(57)) == alone

    def test_on_paper(self) -> None:
        """Ten groups, weight 1/11 each; of the last, items at 10 and 20. 9.9 groups are to lie within: all."""
        off = np.array([*range(1, 10), 10.0, 20.0])
        groups = np.array([*range(9), 9, 9])
        assert self.widths(off, groups) == (20,)
        # Of 19 groups 18 are enough: half of the last but one lies beyond.
        groups = np.array([*range(18), 18, 18])
        assert self.widths(np.array([*range(1, 19), 0.5, 99.0]), groups) == (18,)

    def test_too_few_groups_give_none_however_many_items_they_have(self) -> None:
        off = np.random.default_rng(0).normal(size=800)
        assert self.widths(off, np.repeat(np.arange(8), 100)) == ()
        targets = torch.from_numpy(100 + off)[:, None]
        found = calibrated(self.HEAD, torch.zeros(800, 1), targets, "f", "drawn", groups=np.repeat(np.arange(8), 100))
        assert found.lacking() == "No interval of 90%: that takes 9 groups or more, and there were 8."
        assert (found.groups, found.sample()) == (8, "800 items of 8 groups")


class TestKept:
    FOUND = AnswerCalibration("f", 30, "drawn", 1.5, (0.0, 1.25), (0.25, 0.75), (2.0,), 12)

    def test_as_json(self) -> None:
        assert AnswerCalibration.from_json(self.FOUND.to_json()) == self.FOUND

    @pytest.mark.parametrize(
        "damage",
        [
            lambda v: v.update(temperature=0), lambda v: v.update(temperature=-1), lambda v: v.update(temperature="x"),
            lambda v: v.update(temperature=math.nan), lambda v: v.update(temperature=math.inf),
            lambda v: v.update(thresholds=None), lambda v: v.update(shifts=[math.inf]), lambda v: v.pop("shifts"),
            lambda v: v.update(half_widths=["wide"]), lambda v: v.pop("items"), lambda v: v.pop("thresholds"),
            lambda v: v.update(fmr=0.1), lambda v: v.update(groups=0), lambda v: v.update(groups="many"),
        ],
    )  # fmt: skip
    def test_a_damaged_one_is_refused(self, damage: Callable[[dict[str, Any]], object]) -> None:
        values = json.loads(self.FOUND.to_json())
        damage(values)
        with pytest.raises(ModelError, match="A calibration is complete"):
            AnswerCalibration.from_json(json.dumps(values))

    @pytest.mark.parametrize("text", ["", "[]", "{", "3", "null"])
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ModelError, match="A calibration is complete"):
            AnswerCalibration.from_json(text)
