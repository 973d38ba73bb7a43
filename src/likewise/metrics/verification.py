"""One against one: how often different items pass as same and same items are refused.

ROC AUC, EER and FNMR at an FMR are no means over pairs, but change like one where the pairs change a little:

- 1 - AUC is the mean placement of the different pairs, and of the same ones; it changes by the sum of both.
- EER is where the two rates meet. With f same and g different pairs per step of the threshold there, it changes by
  (f dFMR + g dFNMR) / (f + g), where dFMR and dFNMR are the changes of both rates at the threshold.
- FNMR at an FMR changes by dFNMR + f / g dFMR, as a larger FMR makes for a smaller threshold.

So one interval serves them all (`likewise.metrics.intervals`). f / g is the slope of the curve between FMRs 1.5 times
smaller and larger: a tangent would hang on single pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from likewise.errors import DataError, UsageError
from likewise.metrics.curve import ErrorCurve, error_curve, listed_curve
from likewise.metrics.estimate import Estimate
from likewise.metrics.inputs import Array, checked
from likewise.metrics.intervals import CONFIDENCE, Spread, interval, trials_needed
from likewise.metrics.pairs import BLOCK
from likewise.metrics.shares import (
    AT_ONCE,
    Cut,
    Distances,
    Integers,
    PairError,
    Placement,
    Shares,
    Unit,
    listed_shares,
    shares,
)
from likewise.objective.distances import Distance

FMR_LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
_ACCEPTED = 10  # different pairs: where fewer set a threshold, intervals held the truth in 85 to 92% of simulated sets
_AROUND = 1.5  # factor on an error rate up to which the curve is taken for straight
_DRAWN = 1024  # points of the curve that is handed out


@dataclass(frozen=True)
class FnmrAtFmr:
    """FNMR at the largest threshold whose FMR is at most a promised one.

    Attributes:
        fmr: the promised false match rate.
        fnmr: share of same pairs refused there; None where the pairs are too few to know the threshold by.
        reason: why there is none; None where there is one.
    """

    fmr: float
    fnmr: Estimate | None
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """``value``, ``low``, ``high``; or ``value`` None and ``reason``."""
        return {"value": None, "reason": self.reason} if self.fnmr is None else self.fnmr.as_dict()


@dataclass(frozen=True)
class Verification:
    """One-against-one figures over all pairs of a set, or over listed ones.

    Attributes:
        roc_auc: area under the ROC curve: how often a same pair is closer than a different one, in [0, 1].
        eer: equal error rate, in [0, 1].
        fnmr_at_fmr: FNMR at each promised FMR, in the order asked for.
        curve: FMR and FNMR by threshold, thinned for drawing.
        pairs_same: how many pairs of the same identity there are.
        pairs_different: how many pairs of different identities.
        identities: how many identities; None where only pairs are known.
        unit: what the intervals take as sampled: "identity" (the identities are a sample of all there are) or
            "item" (the list of identities is fixed, their items are a sample).
        confidence: of the intervals, two-sided.
    """

    roc_auc: Estimate
    eer: Estimate
    fnmr_at_fmr: tuple[FnmrAtFmr, ...]
    curve: ErrorCurve
    pairs_same: int
    pairs_different: int
    identities: int | None
    unit: Unit
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; the curve is left out."""
        return {
            "roc_auc": self.roc_auc.value,
            "roc_auc_low": self.roc_auc.low,
            "roc_auc_high": self.roc_auc.high,
            "eer": self.eer.value,
            "eer_low": self.eer.low,
            "eer_high": self.eer.high,
            "fnmr_at_fmr": {f"{point.fmr:g}": point.as_dict() for point in self.fnmr_at_fmr},
            "pairs_same": self.pairs_same,
            "pairs_different": self.pairs_different,
            "identities": self.identities,
            "unit": self.unit,
            "confidence": self.confidence,
        }


def verification(
    embeddings: Array,
    labels: Array,
    distance: Distance,
    *,
    fmr: Sequence[float] = FMR_LEVELS,
    unit: Unit = "identity",
    confidence: float = CONFIDENCE,
    block: int | None = None,
) -> Verification:
    """ROC AUC, EER and FNMR at FMR over all pairs of different items, each with an interval.

    Terms as in ISO/IEC 19795-1: FMR is the share of different pairs accepted, FNMR of same pairs refused,
    where "same" is a distance of at most the threshold. Pairs are streamed twice, once for the curve and once
    for the intervals. Two distances within a relative 2**-15 of each other may count as equal; every point of
    the curve is exact at its threshold.

    Args:
        embeddings: (N, D).
        labels: (N,) integers.
        distance: what compares them; symmetric.
        fmr: promised false match rates, each in (0, 1).
        unit: what the intervals take as sampled, see `Verification`.
        confidence: of the intervals, two-sided.
        block: most distances held at once; None for what is fast.

    Raises:
        DataError: see `checked`; or no pair of the same identity, or none of different ones.
        UsageError: a rate outside (0, 1).
    """
    _check_rates(fmr, confidence)
    vectors, ids = checked(embeddings, labels)
    ids, order = ids.sort(stable=True)
    vectors = vectors[order]
    names, identities, sizes = ids.unique_consecutive(return_inverse=True, return_counts=True)
    if len(names) < 2 or int(sizes.max()) < 2:
        raise DataError(
            "Error rates need pairs of the same identity and pairs of different ones",
            f"{len(ids)} items of {len(names)} identities",
            "Give at least two identities, one of them with two items.",
        )

    curve = error_curve(vectors, identities, distance, block or BLOCK)
    return _measured(
        curve,
        lambda errors: shares(errors, vectors, identities, distance, unit, block or AT_ONCE),
        trials=len(names) * (len(names) - 1) // 2 if unit == "identity" else int(curve.different[-1]),
        identities=len(names),
        fmr=fmr,
        unit=unit,
        confidence=confidence,
    )


def listed_verification(
    distances: Distances,
    same: np.ndarray[Any, np.dtype[np.bool_]],
    first: Integers,
    second: Integers,
    *,
    fmr: Sequence[float] = FMR_LEVELS,
    unit: Unit = "identity",
    confidence: float = CONFIDENCE,
) -> Verification:
    """The same figures over listed pairs.

    Args:
        distances: (M,), 0 or more.
        same: (M,), with at least one pair of either kind.
        first: (M,) what was sampled on one side of each pair: its identity, or its item, as `unit` says.
        second: (M,) the same for the other side.
        fmr: promised false match rates, each in (0, 1).
        unit: which of the two `first` and `second` number.
        confidence: of the intervals, two-sided.

    Raises:
        UsageError: a rate outside (0, 1).
    """
    _check_rates(fmr, confidence)
    ends = np.sort(np.stack([first, second]), axis=0)
    return _measured(
        listed_curve(distances, same),
        lambda errors: listed_shares(errors, distances, same, first, second),
        trials=np.unique(ends[:, ~same], axis=1).shape[1],
        identities=len(np.unique(ends)) if unit == "identity" else None,
        fmr=fmr,
        unit=unit,
        confidence=confidence,
    )


class _Mark(NamedTuple):
    """A point of the curve that a figure is read off at.

    Attributes:
        threshold: of the point.
        same, different: lost same pairs and gained different ones, as shares of all, around it: f and g.
    """

    threshold: float
    same: float
    different: float


def _measured(
    curve: ErrorCurve,
    average: Callable[[list[PairError]], list[Shares]],
    *,
    trials: int,
    identities: int | None,
    fmr: Sequence[float],
    unit: Unit,
    confidence: float,
) -> Verification:
    """All figures, given what averages a measure of error over the pairs of `curve`.

    Args:
        curve: of all pairs.
        average: gives the mean and spread of each measure of error.
        trials: how many pairs of vertices formed the different pairs.
        identities, fmr, unit, confidence: see `Verification` and `verification`.
    """
    eer = curve.eer()
    levels = sorted(set(fmr))
    marks = [_crossing(curve, eer), *(_at_level(curve, level) for level in levels)]
    placement, *cuts = average([Placement(curve), *(Cut(mark.threshold) for mark in marks)])
    mistaken = interval(1 - curve.auc(), placement.different.spread + placement.same.spread, confidence)

    crossing, here = marks[0], cuts[0]
    weight = crossing.same / (crossing.same + crossing.different)
    at_crossing = weight * here.different.spread + (1 - weight) * here.same.spread

    points: dict[float, FnmrAtFmr] = {}
    ceiling = 1.0
    for level, mark, found in zip(levels, marks[1:], cuts[1:], strict=True):
        reason = _unknown(level, trials, int(curve.different[-1]), unit)
        if reason is not None:
            points[level] = FnmrAtFmr(level, None, reason)
            continue
        spread: Spread = found.same.spread + (mark.same / mark.different) * found.different.spread
        fnmr = interval(curve.fnmr_at(level), spread, confidence)
        if fnmr.value == 0:  # no error seen: FNMR is still no larger than where less is accepted
            fnmr = Estimate(0.0, 0.0, min(fnmr.high, ceiling))
        ceiling = min(ceiling, fnmr.high)
        points[level] = FnmrAtFmr(level, fnmr, None)
    return Verification(
        roc_auc=Estimate(1 - mistaken.value, 1 - mistaken.high, 1 - mistaken.low),
        eer=interval(eer, at_crossing, confidence),
        fnmr_at_fmr=tuple(points[level] for level in fmr),
        curve=curve.thinned(_DRAWN),
        pairs_same=int(curve.same[-1]),
        pairs_different=int(curve.different[-1]),
        identities=identities,
        unit=unit,
        confidence=confidence,
    )


def _crossing(curve: ErrorCurve, eer: float) -> _Mark:
    """Where FMR overtakes FNMR."""
    fmr, fnmr = curve.fmr, curve.fnmr
    place = int((fmr >= fnmr).argmax())  # never 0: every curve starts at FMR 0, FNMR 1
    low = int(np.searchsorted(fmr, eer / _AROUND, side="right")) - 1
    high = int((fnmr <= eer / _AROUND).argmax())
    return _mark(curve, min(low, place - 1), place, max(high, place))


def _at_level(curve: ErrorCurve, level: float) -> _Mark:
    """The largest threshold whose FMR is at most `level`."""
    low, place = (int(np.searchsorted(curve.fmr, rate, side="right")) - 1 for rate in (level / _AROUND, level))
    high = int(np.searchsorted(curve.fmr, min(level * _AROUND, 1.0)))
    return _mark(curve, low, place, high)


def _mark(curve: ErrorCurve, low: int, place: int, high: int) -> _Mark:
    fmr, fnmr = curve.fmr, curve.fnmr
    return _Mark(float(curve.thresholds[place]), float(fnmr[low] - fnmr[high]), float(fmr[high] - fmr[low]))


def _unknown(level: float, trials: int, pairs: int, unit: Unit) -> str | None:
    """Why the threshold of an FMR cannot be known; None if it can."""
    if level * pairs < _ACCEPTED:
        return f"{level:g} of {pairs} different pairs is less than the {_ACCEPTED} it takes to set a threshold"
    if trials < trials_needed(level):
        kind = "identities" if unit == "identity" else "items"
        return f"{level:g} needs {trials_needed(level):,} pairs of {kind} that are not the same; there are {trials:,}"
    return None


def _check_rates(fmr: Sequence[float], confidence: float) -> None:
    for name, rate in (*(("A false match rate", level) for level in fmr), ("A confidence", confidence)):
        if not 0 < rate < 1:
            raise UsageError(f"{name} is between 0 and 1", rate, "Pass for example 0.01.")
