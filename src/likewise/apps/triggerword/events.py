"""From outputs at every step to events: the word has been said, here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.errors import UsageError

Floats = NDArray[np.float64]
IntArray = NDArray[np.int64]

HITS, REFRACTORY = 2, 1.0
MOST_HITS = 12  # half a second: what a word is known by lasts no longer


@final
@dataclass(frozen=True)
class EventRule:
    """When outputs make an event.

    Attributes:
        threshold: of probabilities, in (0, 1).
        hits: steps in a row, N, that have to reach it, 1 to `MOST_HITS`.
        refractory: seconds after an event in which there is no other, 0 or more.
    """

    threshold: float
    hits: int = HITS
    refractory: float = REFRACTORY

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UsageError("A threshold of a trigger word is between 0 and 1", self.threshold)
        check_shape(self.hits, self.refractory)


def check_shape(hits: int, refractory: float) -> None:
    """Refuses numbers that cannot be; see `EventRule`.

    Raises:
        UsageError: they cannot.
    """
    if not 1 <= hits <= MOST_HITS:
        raise UsageError(f"An event takes 1 to {MOST_HITS} hits in a row", hits, "2 are usual.")
    if not 0 <= refractory < 3600:
        raise UsageError("A refractory time is 0 or more seconds", refractory, "1 is usual.")


def scores(probabilities: Floats, hits: int) -> Floats:
    """(S,) probabilities -> (S,): the least of the last `hits` ones, 0 at steps before there are so many.

    An event is where a score reaches the threshold: so many steps in a row reach it exactly there.
    """
    if len(probabilities) < hits:
        return np.zeros_like(probabilities)
    least = np.lib.stride_tricks.sliding_window_view(probabilities, hits).min(axis=1)
    return np.concatenate([np.zeros(hits - 1), least])


def events_at(score: Floats, threshold: float, refractory: int) -> IntArray:
    """(S,) scores -> (E,) steps of events: the first that reaches the threshold, and then at least `refractory` apart.

    Args:
        score: of `scores`.
        threshold: see `EventRule`.
        refractory: steps, at least 1.
    """
    reached = np.flatnonzero(score >= threshold)
    found: list[int] = []
    place = 0
    while place < len(reached):
        step = int(reached[place])
        found.append(step)
        place = int(np.searchsorted(reached, step + refractory))
    return np.array(found, np.int64)


@final
class EventFinder:
    """The same of probabilities that come in piece by piece.

    Args:
        rule: what makes an event.
        step_seconds: between two outputs.
    """

    def __init__(self, rule: EventRule, step_seconds: float) -> None:
        self._rule = rule
        self._refractory = refractory_steps(rule.refractory, step_seconds)
        self._last: deque[float] = deque(maxlen=rule.hits)
        self._steps = 0  # so far
        self._quiet_until = 0

    def feed(self, probabilities: Floats) -> list[tuple[int, float]]:
        """(n,) -> the events among them: step from the beginning of the stream, and score."""
        found: list[tuple[int, float]] = []
        for probability in probabilities.tolist():
            self._last.append(probability)
            score = min(self._last) if len(self._last) == self._rule.hits else 0.0
            if score >= self._rule.threshold and self._steps >= self._quiet_until:
                found.append((self._steps, score))
                self._quiet_until = self._steps + self._refractory
            self._steps += 1
        return found

    def interrupt(self) -> None:
        """Hits so far do not count: what comes next is about something else."""
        self._last.clear()

    def go_on_at(self, step: int) -> None:
        """What comes next is the output of `step`, with others before it that nobody heard."""
        self._last.clear()
        self._steps = step


def refractory_steps(seconds: float, step_seconds: float) -> int:
    """How many steps a refractory time is, at least 1: an event is not its own successor."""
    return max(1, round(seconds / step_seconds))
