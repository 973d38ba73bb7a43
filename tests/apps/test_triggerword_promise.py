"""Promises of false alarms per hour: how many hours they take, and a calibration that is read back or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from likewise.apps.triggerword import AlarmCalibration, AlarmThreshold, Heard
from likewise.apps.triggerword.measure import at_most, per_hour
from likewise.apps.triggerword.promise import LADDER, most_alarms, promise, smallest_supported
from likewise.data import Clips
from likewise.encoder import StepTimes
from likewise.errors import ModelError, SupportError, UsageError
from likewise.metrics import Estimate


def heard(hours: float, peaks: list[float]) -> Heard:
    """So many hours of one output a second, all 0.01 but for `peaks`, two minutes apart."""
    row = np.full(round(hours * 3600), 0.01)
    row[120 * np.arange(1, len(peaks) + 1)] = peaks
    none = np.empty(0)
    data = Clips(
        ("a.wav",), np.array([float(len(row))]), none.astype(int), none, none, none.astype(bool), none.astype(str), "a"
    )
    return Heard([row], data, StepTimes(100, 100), 100, hits=1, refractory=1.0)


class TestHours:
    @settings(max_examples=100, deadline=None)
    @given(rate=st.floats(0.05, 50), hours=st.floats(0.01, 60))
    def test_so_many_alarms_as_still_show_the_rate(self, rate: float, hours: float) -> None:
        most = most_alarms(rate, hours)
        few = -1 if most is None else most
        assert few < 0 or at_most(few, hours) <= rate * (1 + 1e-9)
        assert at_most(few + 1, hours) > rate * (1 - 1e-9)

    def test_what_is_promised_is_kept_in_95_of_100_or_more(self) -> None:
        """Alarms of a Poisson process, each with a score: the threshold is where one too many is left out.

        There were more alarms than that with exactly this chance. 2,000 draws, seed 0: within four standard errors.
        """
        rng = np.random.default_rng(0)
        hours, rate = 10.0, 1.0
        most = most_alarms(rate, hours)
        assert most is not None
        kept = 0
        for _ in range(2_000):
            scores = np.sort(rng.random(rng.poisson(30 * hours)))[::-1]  # 30 per hour at threshold 0
            threshold = scores[most]  # just above it are `most`
            kept += 30 * (1 - threshold) <= rate
        chance = poisson.sf(most, rate * hours)
        assert chance >= 0.95 > poisson.sf(most + 1, rate * hours)
        assert kept / 2_000 == pytest.approx(chance, abs=0.015)

    def test_the_smallest_of_the_ladder(self) -> None:
        assert smallest_supported(6.0) == 0.5
        assert smallest_supported(5.9) == 1.0
        assert smallest_supported(100.0) == min(LADDER)
        assert smallest_supported(0.001) is None

    def test_too_few_hours_are_refused_and_the_missing_ones_told(self) -> None:
        with pytest.raises(SupportError, match=r"takes 5.99 hours.*; got 4 hours. Bring 119 minutes .* promise 0.8\."):
            promise(heard(4.0, []), 0.5)
        promise(heard(4.0, []), 0.8)
        with pytest.raises(SupportError, match=r"got 36 s. Bring 17.4 minutes more, or promise 299.6\."):
            promise(heard(0.01, []), 10.0)

    @pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), 1e6])
    def test_rates_that_cannot_be(self, rate: float) -> None:
        with pytest.raises(UsageError, match="above 0"):
            promise(heard(4.0, []), rate)


class TestCost:
    def line(self, missed: float | None) -> AlarmThreshold:
        rate = None if missed is None else Estimate(missed, 0.0, 1.0)
        return AlarmThreshold(0.5, 0.9, 0, per_hour(0, 6.0), rate)

    def test_a_promise_that_costs_most_of_the_words_is_told(self) -> None:
        warning = self.line(0.98).warning()
        assert warning is not None
        assert "at most 0.5 false alarms per hour 98% of the words are missed" in warning

    @pytest.mark.parametrize("missed", [None, 0.0, 0.49])
    def test_others_are_not(self, missed: float | None) -> None:
        assert self.line(missed).warning() is None


class TestThreshold:
    def test_it_lies_just_above_the_first_alarm_too_many(self) -> None:
        line = promise(heard(6.0, [0.9, 0.5, 0.7]), 0.5)
        assert most_alarms(0.5, 6.0) == 0
        assert 0.9 < line.threshold < 1
        assert (line.alarms, line.promised, line.miss_rate) == (0, 0.5, None)
        looser = promise(heard(6.0, [0.9, 0.5, 0.7]), 0.9)
        assert most_alarms(0.9, 6.0) == 1
        assert 0.7 < looser.threshold < 0.9
        assert looser.alarms == 1
        assert poisson.cdf(1, looser.alarms_per_hour.high * 6.0) == pytest.approx(0.025)

    def test_a_model_that_is_wholly_sure_is_refused(self) -> None:
        with pytest.raises(SupportError, match="threshold below 1 with at most 0; got a model that is wholly sure"):
            promise(heard(6.0, [1.0]), 0.5)


LINES = (
    AlarmThreshold(1.0, 0.6, 2, per_hour(2, 8.0), Estimate(0.1, 0.05, 0.2)),
    AlarmThreshold(0.5, 0.8, 0, per_hour(0, 8.0), None),
)
GOOD = AlarmCalibration("0" * 64, 2, 1.0, LINES, 0.5, 8.0, 40, "clips", "0" * 64)


class TestCalibration:
    def test_it_is_read_back_as_it_was(self) -> None:
        again = AlarmCalibration.from_json(GOOD.to_json())
        assert again == GOOD
        assert json.loads(GOOD.to_json()) == json.loads(json.dumps(GOOD.as_dict()))
        assert again.rule().threshold == 0.8
        assert again.rule(1.0).threshold == 0.6

    def test_lines_are_found_by_their_promise(self) -> None:
        assert GOOD.line_for(1.0 + 1e-12) == LINES[0]
        with pytest.raises(UsageError, match=r"promises false alarms per hour of 1, 0\.5; got 0\.2"):
            GOOD.line_for(0.2)

    def test_a_new_line_is_the_default_and_replaces_its_like(self) -> None:
        new = replace(LINES[0], promised=2.0, threshold=0.3)
        found = GOOD.with_line(new)
        assert [line.promised for line in found.lines] == [2.0, 1.0, 0.5]
        assert found.default == 2.0
        assert found.with_line(replace(LINES[1], threshold=0.9)).line_for(0.5).threshold == 0.9

    @pytest.mark.parametrize("field", list(json.loads(GOOD.to_json())))
    def test_a_missing_field_is_refused(self, field: str) -> None:
        values = json.loads(GOOD.to_json())
        del values[field]
        if field == "format":  # which is 1 where it is not said
            assert AlarmCalibration.from_json(json.dumps(values)) == GOOD
        else:
            with pytest.raises(ModelError, match=f"whole; got {field}: Field required"):
                AlarmCalibration.from_json(json.dumps(values))

    @pytest.mark.parametrize(
        ("where", "value"),
        [
            (("hits",), 0), (("hits",), 2.5), (("hits",), True), (("refractory",), -1.0), (("refractory",), "1"),
            (("hours",), float("nan")), (("hours",), 0.0), (("hours",), 1.0), (("default",), 0.7), (("lines",), []),
            (("more",), 1), (("model",), None), (("lines", 0, "threshold"), 1.0), (("lines", 0, "threshold"), 0.0),
            (("lines", 0, "threshold"), "0.5"), (("lines", 0, "alarms"), 9), (("lines", 0, "alarms"), -1),
            (("lines", 0, "promised"), 0.0), (("lines", 0, "promised"), float("inf")),
            (("lines", 0, "alarms_per_hour", "high"), float("nan")), (("lines", 0, "alarms_per_hour"), None),
            (("lines", 0, "miss_rate", "low"), "0"), (("format",), 2),
        ],
    )  # fmt: skip
    def test_values_that_cannot_be_are_refused(self, where: tuple[Any, ...], value: object) -> None:
        values = json.loads(GOOD.to_json())
        inner = values
        for key in where[:-1]:
            inner = inner[key]
        inner[where[-1]] = value
        with pytest.raises(ModelError) as refused:
            AlarmCalibration.from_json(json.dumps(values))
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("text", ["", "{", "null", "[" * 10_000, GOOD.to_json()[:-5], "\x00"])
    def test_what_is_no_calibration_is_refused(self, text: str) -> None:
        with pytest.raises(ModelError, match="A calibration is whole"):
            AlarmCalibration.from_json(text)
