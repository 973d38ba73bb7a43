"""How often answers are right, and whether their probabilities are what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.metrics.estimate import Estimate
from likewise.metrics.intervals import CONFIDENCE, wilson

BINS = 15  # of equally many answers each
DRAWS = 200  # of answers that are right as often as was said
LEAST_PROBABILITY = 1e-12  # in a logarithm
LEAST_VARIANCE = 1e-12  # below it is rounding

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Reliability:
    """Answers in bins of rising probability.

    Attributes:
        said: (B,) mean probability of each bin.
        right: (B,) share of it that was right.
        count: (B,) answers in it.
    """

    said: Floats
    right: Floats
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: how far both lie apart, over all answers (Naeini et al. 2015)."""
        return float((np.abs(self.said - self.right) * self.count).sum() / max(1, self.count.sum()))


@final
@dataclass(frozen=True)
class ChanceError:
    """The calibration error of probabilities that are exactly right, on as many answers.

    Attributes:
        mean: over repetitions.
        most: at most this in 95 of 100.
    """

    mean: float
    most: float


def reliability(probability: Floats, right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """(N,) what was said of each answer, (N,) whether it was right -> both in bins of equally many answers.

    Bins of equal width would leave most of them to a handful of answers (Nixon et al. 2019).
    """
    parts = _bins(probability, bins)
    said = np.array([probability[part].mean() for part in parts])
    share = np.array([right[part].mean() for part in parts])
    return Reliability(said, share, np.array([len(part) for part in parts], np.int64))


def chance_error(probability: Floats, bins: int = BINS, seed: int = 0) -> ChanceError:
    """(N,) what was said of each answer -> the error that chance alone shows.

    Answers are drawn to be right with the probability said, independently of each other, `DRAWS` times. A bin of few
    answers is rarely right in just the share that was said, and the error counts every deviation (Bröcker and Smith
    2007; Vaicenavicius et al. 2019).
    """
    parts = _bins(probability, bins)
    if not parts:
        return ChanceError(0.0, 0.0)
    ranked = probability[np.concatenate(parts)]
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    said, rng = np.add.reduceat(ranked, starts), np.random.default_rng(seed)
    errors = [
        float(np.abs(np.add.reduceat((rng.random(len(ranked)) < ranked).astype(np.int64), starts) - said).sum())
        for _ in range(DRAWS)
    ]
    return ChanceError(float(np.mean(errors)) / len(ranked), float(np.quantile(errors, 0.95)) / len(ranked))


def _bins(probability: Floats, bins: int) -> list[NDArray[np.int64]]:
    """Places of the answers in order of probability, in bins of equally many; none is empty."""
    order = np.argsort(probability, kind="stable")
    return [part for part in np.array_split(order, min(bins, max(1, len(order)))) if len(part)]


def share_right(
    right: NDArray[np.bool_], groups: NDArray[np.int64] | None = None, confidence: float = CONFIDENCE
) -> Estimate:
    """(N,) whether each answer was right -> how many, with Wilson's interval.

    Args:
        right: at least one.
        groups: (N,) items of one group are answered alike; the interval then takes groups for the sample. The variance
            of a ratio of sums over groups says how many independent answers these are worth (Kish 1965).
        confidence: two-sided.
    """
    share, trials, freedom = float(right.mean()), float(len(right)), np.inf
    if groups is not None:
        _, of = np.unique(groups, return_inverse=True)
        count = int(of.max()) + 1
        freedom = max(1.0, count - 1.0)
        variance = variance_of_sum((right - share) / len(right), of)
        # Where all are right, or all wrong, or of one group, nothing can vary: then groups are what there is.
        varied = count > 1 and 0 < share < 1
        trials = min(trials, share * (1 - share) / max(variance, LEAST_VARIANCE)) if varied else float(count)
    return wilson(share, max(trials, 1e-9), freedom=freedom, confidence=confidence)


def variance_of_sum(parts: Floats, of: NDArray[np.int64]) -> float:
    """Of the sum of what items are off their mean, where those of one group vary together (Kish 1965).

    Args:
        parts: (N,) what each is off, times its weight in the mean.
        of: (N,) its group, from 0.
    """
    together = np.bincount(of, weights=parts)
    return float(np.square(together).sum()) * len(together) / max(1, len(together) - 1)


def log_loss(probability: Floats) -> float:
    """(N,) what was said of the truth -> mean of its negative logarithm, in nats."""
    return float(-np.log(np.clip(probability, LEAST_PROBABILITY, 1)).mean())


def balanced_accuracy(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """(N,), (N,) classes -> mean over the classes in `truth` of the share of each that was found."""
    return float(np.mean([(said[truth == c] == c).mean() for c in np.unique(truth)]))


@final
@dataclass(frozen=True, eq=False)
class ConfusionCounts:
    """How many items of which class were said to be of which: only what there is, as most of C x C is nothing.

    Attributes:
        classes: C.
        shown, said: (M,) classes of each pair that occurs, in rising order of `shown`, then `said`.
        count: (M,) items of it.
    """

    classes: int
    shown: NDArray[np.int64]
    said: NDArray[np.int64]
    count: NDArray[np.int64]

    def of_shown(self) -> NDArray[np.int64]:
        """(C,) items of each class."""
        return _summed(self.shown, self.count, self.classes)

    def of_said(self) -> NDArray[np.int64]:
        """(C,) items that were said to be of each class."""
        return _summed(self.said, self.count, self.classes)

    def right(self) -> NDArray[np.int64]:
        """(C,) items of each class that were said to be of it."""
        same = self.shown == self.said
        return _summed(self.shown[same], self.count[same], self.classes)

    def pooled(self, cells: int) -> NDArray[np.int64]:
        """(S, S), S = min(C, cells): rows are what was shown; neighbouring classes share a row where C is more."""
        side = min(self.classes, cells)
        row, column = (place * side // self.classes for place in (self.shown, self.said))
        return _summed(row * side + column, self.count, side * side).reshape(side, side)


def confusion_counts(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> ConfusionCounts:
    """(N,), (N,) classes -> how many items of which class were said to be of which."""
    cell, count = np.unique(truth * classes + said, return_counts=True)
    return ConfusionCounts(classes, cell // classes, cell % classes, count.astype(np.int64))


def _summed(place: NDArray[np.int64], count: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """(length,) sums of the counts at each place; exact, as sums of doubles are up to 2^53."""
    return np.bincount(place, weights=count, minlength=length).astype(np.int64)
