"""One against one: how often different items pass as same and same items are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from likewise.errors import DataError, UsageError
from likewise.metrics.curve import ErrorCurve, Rates, area_above, crossing, error_curve
from likewise.metrics.estimate import Estimate
from likewise.metrics.inputs import Array, checked
from likewise.metrics.pairs import BLOCK
from likewise.metrics.resampling import rate_estimate, replicates, unit_counts
from likewise.objective.distances import Distance

FMR_LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
# Below 10 different pairs, intervals held the truth in about 80% of simulated sets; from there on in 89 to 98%.
_ACCEPTED = 10
_STEPS = 256  # of the curve that is resampled
_DRAWN = 1024  # points of the curve that is handed out


@dataclass(frozen=True)
class FnmrAtFmr:
    """FNMR at the largest threshold whose FMR is at most a promised one.

    Attributes:
        fmr: the promised false match rate.
        fnmr: share of same pairs refused there; None where fewer than 10 different pairs make up that rate.
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
    """One-against-one figures over all pairs of a set.

    Attributes:
        roc_auc: area under the ROC curve: how often a same pair is closer than a different one, in [0, 1].
        eer: equal error rate, in [0, 1].
        fnmr_at_fmr: FNMR at each promised FMR, in the order asked for.
        curve: FMR and FNMR by threshold, thinned for drawing.
        pairs_same: how many pairs of the same identity there are.
        pairs_different: how many pairs of different identities.
        identities: how many identities.
        unit: what the intervals resample: "identity" (the identities are a sample of all there are) or
            "item" (the list of identities is fixed, their items are a sample).
        confidence: of the intervals, two-sided.
    """

    roc_auc: Estimate
    eer: Estimate
    fnmr_at_fmr: tuple[FnmrAtFmr, ...]
    curve: ErrorCurve
    pairs_same: int
    pairs_different: int
    identities: int
    unit: Literal["identity", "item"]
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
    unit: Literal["identity", "item"] = "identity",
    resamples: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
    block: int = BLOCK,
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
        unit: what the intervals resample, see `Verification`.
        resamples: bootstrap replicates.
        confidence: of the intervals, two-sided.
        seed: of the replicates.
        block: most distances held at once.

    Raises:
        DataError: see `checked`; or no pair of the same identity, or none of different ones.
        UsageError: a rate outside (0, 1), or fewer than 2 resamples.
    """
    for name, rate in (*(("A false match rate", level) for level in fmr), ("A confidence", confidence)):
        if not 0 < rate < 1:
            raise UsageError(f"{name} is between 0 and 1", rate, "Pass for example 0.01.")
    if resamples < 2:
        raise UsageError("An interval needs at least 2 resamples", resamples, "Leave it at 500.")
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

    curve = error_curve(vectors, identities, distance, block)
    by_identity = unit == "identity"
    units = identities if by_identity else torch.arange(len(ids))
    strata = np.zeros(len(names), np.int64) if by_identity else identities.numpy()
    counts = unit_counts(vectors, identities, units, curve.thinned(_STEPS), distance, block)
    figures = np.concatenate([_figures(x, y, fmr) for x, y in replicates(counts, strata, resamples, seed)])
    auc, eer, *fnmr = zip(figures.mean(axis=0).tolist(), figures.var(axis=0, ddof=1).tolist(), strict=True)

    pairs_same = int(curve.same[-1])
    estimate = partial(rate_estimate, confidence=confidence, units=len(strata), trials=pairs_same)
    mistaken = estimate(1 - curve.auc(), *auc)
    return Verification(
        roc_auc=Estimate(1 - mistaken.value, 1 - mistaken.high, 1 - mistaken.low),
        eer=estimate(curve.eer(), *eer),
        fnmr_at_fmr=_fnmr_at_fmr(curve, dict(zip(fmr, fnmr, strict=True)), estimate),
        curve=curve.thinned(_DRAWN),
        pairs_same=pairs_same,
        pairs_different=int(curve.different[-1]),
        identities=len(names),
        unit=unit,
        confidence=confidence,
    )


def _figures(fmr: Rates, fnmr: Rates, levels: Sequence[float]) -> Rates:
    """(R, T) curves -> (R, 2 + levels), the figures with an interval: 1 - AUC, EER, FNMR at each FMR."""
    at_levels = [np.interp(levels, x, y) for x, y in zip(fmr, fnmr, strict=True)]
    return np.column_stack([area_above(fmr, fnmr), crossing(fmr, fnmr), np.stack(at_levels)])


def _fnmr_at_fmr(
    curve: ErrorCurve, resampled: dict[float, tuple[float, float]], estimate: Callable[..., Estimate]
) -> tuple[FnmrAtFmr, ...]:
    """At every FMR asked for, given mean and variance of the replicates there."""
    points: dict[float, FnmrAtFmr] = {}
    pairs = int(curve.different[-1])
    ceiling = 1.0
    for level in sorted(resampled):
        if level * pairs < _ACCEPTED:
            reason = f"{level:g} of {pairs} different pairs is less than the {_ACCEPTED} it takes to set a threshold"
            points[level] = FnmrAtFmr(level, None, reason)
            continue
        fnmr = estimate(curve.fnmr_at(level), *resampled[level])
        if fnmr.value == 0:  # no error seen: FNMR is still no larger than where less is accepted
            fnmr = Estimate(0.0, 0.0, min(fnmr.high, ceiling))
        ceiling = min(ceiling, fnmr.high)
        points[level] = FnmrAtFmr(level, fnmr, None)
    return tuple(points[level] for level in resampled)
