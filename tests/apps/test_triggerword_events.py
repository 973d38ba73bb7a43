"""From outputs to events: piece by piece as at once, and both as a loop that says what an event is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likewise.apps.triggerword import EventRule
from likewise.apps.triggerword.events import EventFinder, events_at, refractory_steps, scores
from likewise.errors import UsageError

STEP = 0.04
outputs = st.lists(st.sampled_from([0.0, 0.1, 0.4, 0.5, 0.6, 0.9, 1.0]), max_size=60).map(np.array)


def by_hand(probabilities: np.ndarray, threshold: float, hits: int, refractory: int) -> list[int]:
    found: list[int] = []
    for step in range(hits - 1, len(probabilities)):
        if all(p >= threshold for p in probabilities[step - hits + 1 : step + 1]) and (
            not found or step - found[-1] >= refractory
        ):
            found.append(step)
    return found


@settings(max_examples=200, deadline=None)
@given(
    probabilities=outputs, threshold=st.sampled_from([0.05, 0.5, 0.6, 0.95]), hits=st.integers(1, 5),
    seconds=st.sampled_from([0.0, 0.04, 0.2, 1.0]), cuts=st.lists(st.integers(0, 60), max_size=8),
)  # fmt: skip
def test_at_once_and_piece_by_piece_as_by_hand(
    probabilities: np.ndarray, threshold: float, hits: int, seconds: float, cuts: list[int]
) -> None:
    apart = refractory_steps(seconds, STEP)
    expected = by_hand(probabilities, threshold, hits, apart)
    score = scores(probabilities, hits)
    assert events_at(score, threshold, apart).tolist() == expected
    finder = EventFinder(EventRule(threshold, hits, seconds), STEP)
    found = [event for piece in np.split(probabilities, sorted(cuts)) for event in finder.feed(piece)]
    assert [step for step, _ in found] == expected
    assert [least for _, least in found] == [probabilities[s - hits + 1 : s + 1].min() for s in expected]
    assert [score[s] for s in expected] == [least for _, least in found]


def test_a_refractory_time_is_at_least_a_step() -> None:
    assert [refractory_steps(seconds, STEP) for seconds in (0.0, 0.04, 0.05, 1.0)] == [1, 1, 1, 25]


def test_after_a_rest_hits_begin_anew_but_it_stays_quiet() -> None:
    finder = EventFinder(EventRule(0.5, 2, 0.4), STEP)  # 10 steps
    assert finder.feed(np.array([0.9, 0.1, 0.9])) == []
    finder.go_on_at(9)
    assert finder.feed(np.array([0.8])) == []  # one hit
    assert finder.feed(np.array([0.7])) == [(10, 0.7)]
    finder.go_on_at(17)
    assert finder.feed(np.array([0.9, 0.9, 0.9, 0.9])) == [(20, 0.9)]  # 18 has hits enough, but 20 is 10 after 10


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_thresholds_that_cannot_be(threshold: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        EventRule(threshold)


@pytest.mark.parametrize("refractory", [-0.1, 3600.0, float("nan"), float("inf")])
def test_refractory_times_that_cannot_be(refractory: float) -> None:
    with pytest.raises(UsageError, match="refractory"):
        EventRule(0.5, 1, refractory)


@pytest.mark.parametrize("hits", [0, -1, 13])
def test_hits_that_cannot_be(hits: int) -> None:
    with pytest.raises(UsageError, match="takes 1 to 12 hits"):
        EventRule(0.5, hits)
