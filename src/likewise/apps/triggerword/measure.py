"""How good events are: misses, false alarms per hour, latency, at any threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from likewise.apps.triggerword.events import Floats, IntArray, events_at, refractory_steps, scores
from likewise.data import Clips
from likewise.encoder import StepTimes
from likewise.errors import DataError
from likewise.metrics import Estimate
from likewise.metrics.intervals import CONFIDENCE, wilson

LATE = 0.5  # seconds after its end up to which a word counts as found
CURVE = 200  # thresholds of a curve, at most


@final
@dataclass(frozen=True)
class Found:
    """What one threshold gives.

    Attributes:
        threshold: see `EventRule`.
        misses: of the words that could be found.
        miss_rate: share of them; the interval takes voices as the sample.
        alarms: events that are no trigger.
        alarms_per_hour: with the interval of a Poisson count.
        latency: (E,) seconds from the end of each word that was found to its event; below 0 where it came before.
    """

    threshold: float
    misses: int
    miss_rate: Estimate | None
    alarms: int
    alarms_per_hour: Estimate
    latency: Floats

    def rates(self) -> dict[str, float | None]:
        """JSON-ready; see `rates`."""
        return rates(self.miss_rate, self.alarms_per_hour)


@final
@dataclass(frozen=True)
class Moments:
    """Which words one threshold misses, and where it hears one that is not there.

    Attributes:
        words: (W,) places, among the words of the clips, of the triggers that could be found.
        found: (W,) whether each was.
        best: (W,) the highest score where it would have been found.
        clip: (A,) of each false alarm.
        seconds: (A,) from the beginning of the clip, when it is raised.
        score: (A,) then.
    """

    words: IntArray
    found: NDArray[np.bool_]
    best: Floats
    clip: IntArray
    seconds: Floats
    score: Floats


@final
class Heard:
    """Outputs for clips of which it is known what is said in them: `at` any threshold, as often as asked.

    A trigger counts as found by an event from its start to `LATE` seconds after its end. All other events are false
    alarms, also a second one for the same word, and also those that other words set off. Where two triggers follow each
    other so closely that both could be meant, the earlier is. Triggers that end too close to the end of their clip to
    be waited for are left out: they are neither missed nor found, and an event for one is no false alarm.

    Args:
        probabilities: one (S,) per clip, each heard from a fresh start.
        data: the same clips, and their words.
        times: when each output is known.
        rate: hertz.
        hits, refractory: see `EventRule`.

    Attributes:
        data: the clips.
        hits, refractory: as given.
        score: (S,) of `scores`, of all clips in a row.
        words: triggers that could be found.
        voices: (words,) who says each, as a number; whom nobody knows is nobody else.
        left_out: triggers too close to the end of their clip.
        hours: in which an alarm would be false: of all steps that were heard but those in which a trigger is found.

    Raises:
        DataError: there is nothing to listen to.
    """

    def __init__(
        self, probabilities: Sequence[Floats], data: Clips, times: StepTimes, rate: int, *, hits: int, refractory: float
    ) -> None:
        lengths = np.array([len(row) for row in probabilities], np.int64)
        if not lengths.sum():
            rule = f"Hearing is measured on clips of at least {times.first / rate:.2g} s"
            raise DataError(rule, f"{len(lengths)} shorter ones" if len(lengths) else "none that can be read")
        self.data, self.hits, self.refractory = data, hits, refractory
        step = times.every / rate
        self._times, self._rate, self._quiet = times, rate, refractory_steps(refractory, step)
        # One row of all clips, with silence between them that is longer than the refractory time.
        edges = np.concatenate([[0], np.cumsum(lengths + self._quiet)])
        self.score = np.zeros(edges[-1])
        for start, row in zip(edges, probabilities, strict=False):
            self.score[start : start + len(row)] = scores(row, hits)

        triggers = np.flatnonzero(data.positive)
        triggers = triggers[np.lexsort((data.start[triggers], data.clip[triggers]))]  # as they are said
        clip, self._ends = data.clip[triggers], data.end[triggers]
        first = np.maximum(0, times.after(_samples(data.start[triggers], rate)))
        last = np.maximum(-1, (_samples(self._ends + LATE, rate) - times.first) // times.every)
        self._triggers, self._edges, self._clip_starts = triggers, edges, edges[clip]
        # What ends with its clip, or so soon after its beginning that there are too few steps for an event, is no miss.
        self._judged = (last < lengths[clip]) & (last - first + 1 >= hits)
        self._window = np.zeros(edges[-1], np.int64)  # 1 + number of the trigger whose window a step is in, 0 of none
        last = np.minimum(last, lengths[clip] - 1)
        for i, (start, begin, stop) in enumerate(zip(self._clip_starts, first, last, strict=True)):
            inside = self._window[start + begin : start + stop + 1]
            inside[inside == 0] = i + 1
        self.words, self.left_out = int(self._judged.sum()), int((~self._judged).sum())
        self.voices = _told_apart(data.voices[triggers])[self._judged]
        self.hours = max(1, int(lengths.sum()) - np.count_nonzero(self._window)) * step / 3600

    def at(self, threshold: float) -> Found:
        """What an `EventRule` with this threshold finds."""
        steps = events_at(self.score, threshold, self._quiet)
        number = self._window[steps]
        hit, first = np.unique(number[number > 0], return_index=True)
        hit -= 1
        found = np.zeros(len(self._ends), bool)
        found[hit] = True
        known = self._times.heard(steps[number > 0][first] - self._clip_starts[hit]) / self._rate
        misses = ~found[self._judged]
        alarms = len(steps) - len(hit)
        return Found(
            threshold=float(threshold),
            misses=int(misses.sum()),
            miss_rate=_share_by_voice(misses, self.voices) if len(misses) else None,
            alarms=alarms,
            alarms_per_hour=per_hour(alarms, self.hours),
            latency=(known - self._ends[hit])[self._judged[hit]],
        )

    def moments(self, threshold: float) -> Moments:
        """What `at` counts, one by one."""
        steps = events_at(self.score, threshold, self._quiet)
        number = self._window[steps]
        hit, first = np.unique(number, return_index=True)
        found = np.isin(np.arange(len(self._ends)), hit - 1)[self._judged]
        best = np.zeros(len(self._ends) + 1)
        np.maximum.at(best, self._window, self.score)
        alarms = np.delete(steps, first[hit > 0])
        clip = np.searchsorted(self._edges, alarms, side="right") - 1
        return Moments(
            words=self._triggers[self._judged],
            found=found,
            best=best[1:][self._judged],
            clip=clip,
            seconds=self._times.heard(alarms - self._edges[clip]) / self._rate,
            score=self.score[alarms],
        )

    def thresholds(self, most: int = CURVE) -> Floats:
        """(n,) rising: of those at which something changes, up to `most` that are spread over what they find."""
        there = self._levels()
        if not len(there):
            return np.array([0.5])
        odds = np.log(there / (1 - there))
        wanted = np.linspace(odds[0], odds[-1], most)
        return there[np.unique(np.searchsorted(odds, wanted).clip(0, len(there) - 1))]

    def curve(self, most: int = CURVE) -> list[Found]:
        """What each of the `thresholds` gives."""
        return [self.at(float(threshold)) for threshold in self.thresholds(most)]

    def lowest_threshold(self, alarms: int) -> float | None:
        """The threshold just below which there are more than `alarms` false alarms; None if there are below 1 too.

        It lies halfway, in log-odds, between two scores. With triggers a count may fall again at a lower one, where a
        word that is found earlier silences an alarm; that is not sought.
        """
        there = self._levels()
        low, high = -1, len(there)  # there[low] gives too many; from there[high] on there are few enough
        while high - low > 1:
            middle = (low + high) // 2
            if self.at(float(there[middle])).alarms <= alarms:
                high = middle
            else:
                low = middle
        above = float(there[high]) if high < len(there) else 1.0
        threshold = _between(float(there[low]), above) if low >= 0 else min(above, 0.5)
        return threshold if threshold < 1 and self.at(threshold).alarms <= alarms else None

    def _levels(self) -> Floats:
        """Rising scores at which an event may begin or end, without those that no threshold reaches."""
        return np.unique(self.score[(self.score > 0) & (self.score < 1)])


def rates(missed: Estimate | None, alarms: Estimate) -> dict[str, float | None]:
    """Two rates and their intervals, as every output names them."""
    return {
        "miss_rate": None if missed is None else missed.value,
        "miss_rate_low": None if missed is None else missed.low,
        "miss_rate_high": None if missed is None else missed.high,
        "false_alarms_per_hour": alarms.value,
        "false_alarms_per_hour_low": alarms.low,
        "false_alarms_per_hour_high": alarms.high,
    }


def per_hour(alarms: int, hours: float) -> Estimate:
    """A rate of rare events with the exact interval of a Poisson count (Garwood 1936)."""
    tail = (1 - CONFIDENCE) / 2
    low = float(chi2.ppf(tail, 2 * alarms)) / 2 if alarms else 0.0
    high = float(chi2.ppf(1 - tail, 2 * alarms + 2)) / 2
    return Estimate(alarms / hours, low / hours, high / hours)


def at_most(alarms: int, hours: float) -> float:
    """The rate per hour that so many alarms show not to be exceeded, at 95%: 3 / hours where there is none."""
    return float(chi2.ppf(0.95, 2 * alarms + 2)) / 2 / hours


def _share_by_voice(misses: NDArray[np.bool_], voices: IntArray) -> Estimate:
    """The share of misses, and an interval of as many trials as words of these voices are worth.

    What one voice says ten times is no ten trials: the variance is that of a mean over voices (Cochran 1977, ratio
    estimator). Without a miss nothing is known of how voices differ, so that each is one trial.
    """
    share = float(misses.mean())
    _, of = np.unique(voices, return_inverse=True)
    count = int(of.max()) + 1
    if share in (0, 1) or count == 1:
        return wilson(share, count)
    residual = np.bincount(of, misses - share)
    variance = float(np.square(residual).sum()) * count / (count - 1) / len(misses) ** 2
    return wilson(share, min(share * (1 - share) / variance, len(misses)) if variance else count, freedom=count - 1)


def _between(low: float, high: float) -> float:
    """Above `low`, halfway to `high` in log-odds; just above it where `high` is 1, so that nothing is known between."""
    if high >= 1:
        return float(np.nextafter(low, 1))
    odds = [np.log(p / (1 - p)) for p in (low, high)]
    middle = float(1 / (1 + np.exp(-np.mean(odds))))
    return middle if low < middle < high else high  # of neighbours nothing lies between


def _samples(seconds: Floats, rate: int) -> IntArray:
    return np.round(seconds * rate).astype(np.int64)


def _told_apart(voices: NDArray[np.str_]) -> IntArray:
    """(M,) names -> (M,) numbers, each "" one of its own."""
    number = np.unique(voices, return_inverse=True)[1]
    unknown = np.flatnonzero(voices == "")
    number[unknown] = len(voices) + unknown
    return number
