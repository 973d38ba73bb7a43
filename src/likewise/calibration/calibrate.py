"""From pairs that are known to be the same or different to a threshold that keeps a promise.

1. Pairs are counted by distance, same and different apart (the error curve).
2. The threshold of a promised false match rate is read off the curve.
3. Both error rates there are counted again, per identity or item, for their intervals.
4. The probability of "same" is fitted to the curve; halves of the identities tell how well such a fit holds.

The pairs must be new to the model: neither trained on nor used to choose anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from likewise.calibration.probability import calibration_error, fit_probability
from likewise.calibration.rates import Integers, Rates, Unit, rates_at
from likewise.calibration.result import Calibration, Threshold
from likewise.calibration.support import LADDER, require_support, smallest_supported_fmr, trials_needed
from likewise.errors import DataError, UsageError
from likewise.metrics.curve import ErrorCurve, error_curve
from likewise.metrics.estimate import Estimate
from likewise.metrics.inputs import Array, checked
from likewise.objective.distances import Distance

ACCEPTS_NOTHING = -1.0


def calibrate(
    embeddings: Array,
    labels: Array,
    distance: Distance,
    *,
    max_fmr: float | None = None,
    unit: Unit = "identity",
    seed: int = 0,
) -> Calibration:
    """Calibrate on all pairs of a labelled set; they are streamed, two and a half times.

    Thresholds are made for every rate of the ladder 1e-1 to 1e-4 that the data support, and for `max_fmr`.

    Args:
        embeddings: (N, D), of items the model was not trained on.
        labels: (N,) integers, which identity each is.
        distance: what compares them; symmetric.
        max_fmr: the false match rate to promise, and the default of the result. None takes the smallest of
            the ladder that is supported; if none is, 1e-1, marked as not supported.
        unit: "identity" where the identities are a sample of those to be met later (people), "item" where the
            list of identities is fixed and later items will be of these (digits).
        seed: of the halves the calibration error is measured with.

    Raises:
        SupportError: too few identities (or items) for `max_fmr`; says how many are missing.
        DataError: embeddings or labels that cannot be used (see `checked`), or no pair of either kind.
        UsageError: `max_fmr` or `unit` that cannot be.
    """
    check_unit(unit)
    vectors, ids = checked(embeddings, labels)
    ids, order = ids.sort(stable=True)
    vectors = vectors[order]
    of, sizes = ids.unique_consecutive(return_inverse=True, return_counts=True)[1:]
    people, items = len(sizes), len(ids)
    by_identity = unit == "identity"
    same = int((sizes * (sizes - 1) // 2).sum())
    different = items * (items - 1) // 2 - same
    evidence = Evidence(
        unit=unit,
        items=items,
        identities=people,
        trials=people * (people - 1) // 2 if by_identity else different,
        pairs_different=different,
        pairs_same=same,
    )
    promised = promises(max_fmr, evidence)
    half = torch.from_numpy(halves(people, seed)[of.numpy()] if by_identity else halves(items, seed))
    return conclude(
        evidence,
        promised,
        error_curve(vectors, of, distance),
        (
            error_curve(vectors[half == 0], of[half == 0], distance),
            error_curve(vectors[half == 1], of[half == 1], distance),
        ),
        lambda thresholds: rates_at(thresholds, vectors, of, distance, unit),
        seed,
    )


@dataclass(frozen=True)
class Evidence:
    """How much there is to go by; see `Calibration`."""

    unit: Unit
    items: int | None
    identities: int | None
    trials: int
    pairs_different: int
    pairs_same: int


def check_unit(unit: str) -> None:
    """Refuse what is no unit of sampling.

    Raises:
        UsageError: neither "identity" nor "item".
    """
    if unit not in ("identity", "item"):
        raise UsageError("What was sampled is identities or items", repr(unit), 'Pass "identity" or "item".')


def promises(max_fmr: float | None, evidence: Evidence) -> list[float]:
    """Rates to make thresholds for, the default one first.

    Raises:
        SupportError: too little for `max_fmr`.
        DataError: no pair of either kind.
        UsageError: `max_fmr` is not between 0 and 1.
    """
    if evidence.pairs_same == 0 or evidence.pairs_different == 0:
        raise DataError(
            "Calibration needs pairs of the same identity and pairs of different ones",
            f"{evidence.pairs_same:,} same and {evidence.pairs_different:,} different pairs",
            "Give at least two identities, one of them with two items.",
        )
    trials = evidence.trials
    if max_fmr is not None:
        require_support(max_fmr, trials, evidence.identities if evidence.unit == "identity" else None)
    default = max_fmr or smallest_supported_fmr(trials) or LADDER[0]
    return [default, *(fmr for fmr in LADDER if fmr != default and trials_needed(fmr) <= trials)]


def halves(number: int, seed: int) -> Integers:
    """(number,) 0 or 1 at random, equally often."""
    return np.random.default_rng(seed).permutation(number) % 2


def conclude(
    evidence: Evidence,
    promised: list[float],
    curve: ErrorCurve,
    curves_of_halves: tuple[ErrorCurve, ErrorCurve],
    rates: Callable[[list[float]], list[Rates]],
    seed: int,
) -> Calibration:
    """Steps 2 to 4, once pairs are counted by distance.

    Args:
        evidence: how much there is.
        promised: rates to make thresholds for, the default one first.
        curve: of all pairs.
        curves_of_halves: of the pairs within each half of the identities (or items).
        rates: counts both error rates at given thresholds, with intervals.
        seed: of the halves.
    """
    places = [int(np.searchsorted(curve.fmr, fmr, side="right")) - 1 for fmr in promised]
    cuts = [float(curve.thresholds[place]) if place else ACCEPTS_NOTHING for place in places]
    thresholds = [
        Threshold(
            promised=fmr,
            threshold=cut,
            fmr=_at(found.fmr, float(curve.fmr[place])),
            fnmr=found.fnmr,
            supported=trials_needed(fmr) <= evidence.trials,
        )
        for fmr, cut, place, found in zip(promised, cuts, places, rates(cuts), strict=True)
    ]
    return Calibration(
        thresholds=tuple(sorted(thresholds, key=lambda threshold: -threshold.promised)),
        default=promised[0],
        curve=fit_probability(curve, evidence.trials),
        ece=_cross_fitted_error(*curves_of_halves, evidence.trials // 4),
        unit=evidence.unit,
        items=evidence.items,
        identities=evidence.identities,
        trials=evidence.trials,
        pairs_different=evidence.pairs_different,
        pairs_same=evidence.pairs_same,
        seed=seed,
    )


def _at(estimate: Estimate, value: float) -> Estimate:
    """For what the curve counted, as that was promised: a recount in other blocks may round a distance otherwise."""
    return replace(estimate, value=value, low=min(estimate.low, value), high=max(estimate.high, value))


def _cross_fitted_error(a: ErrorCurve, b: ErrorCurve, trials: int) -> float | None:
    """Mean calibration error of a curve fitted to one half and measured on the other, both ways round."""
    if not (a.same[-1] and a.different[-1] and b.same[-1] and b.different[-1]):
        return None
    there = calibration_error(fit_probability(a, trials), b)
    back = calibration_error(fit_probability(b, trials), a)
    return (there + back) / 2
