"""Calibration for people who know items only in pairs: distances, and whether each pair is the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from likewise.calibration.calibrate import Evidence, check_unit, conclude, halves, promises
from likewise.calibration.rates import Integers, Unit, listed_rates_at
from likewise.calibration.result import Calibration
from likewise.errors import DataError, UsageError
from likewise.metrics.curve import listed_curve


def calibrate_pairs(
    distances: ArrayLike,
    same: ArrayLike,
    *,
    first: ArrayLike | None = None,
    second: ArrayLike | None = None,
    max_fmr: float | None = None,
    unit: Unit = "item",
    seed: int = 0,
) -> Calibration:
    """Calibrate on listed pairs, for people who know items only in pairs.

    Args:
        distances: (M,) of the pairs, 0 or more; kept in float32.
        same: (M,) bool.
        first: (M,) integers, what was sampled on one side of each pair: its item, or its identity, as `unit`
            says. Without `first` and `second` no item is taken to stand in two pairs.
        second: (M,) the same for the other side.
        max_fmr: see `calibrate`.
        unit: which of the two `first` and `second` number. Who knows the identities should give them: pairs
            of other items of the same two people are no new evidence.
        seed: see `calibrate`.

    Raises:
        SupportError: too few pairs of identities (or items) for `max_fmr`.
        DataError: arrays that do not fit, a distance that is no finite number of at least 0, pairs that
            contradict `first` and `second`, or no pair of either kind.
        UsageError: `max_fmr` or `unit` that cannot be, or `unit` "identity" without `first` and `second`.
    """
    check_unit(unit)
    by_identity = unit == "identity"
    if (first is None) != (second is None) or (first is None and by_identity):
        raise UsageError("Pairs are numbered on both sides", "one side or none", "Pass first and second.")
    far, alike = np.array(distances, np.float32), np.array(same, bool)
    ends = np.arange(2 * far.size) if first is None else np.concatenate([_numbers(first), _numbers(second)])
    if not (far.ndim == 1 and len(far) == len(alike) and len(ends) == 2 * len(far)):
        raise DataError(
            "A pair has a distance, an answer and two sides",
            f"{far.shape} distances, {alike.shape} answers and {len(ends)} ends",
            "Pass arrays of one length.",
        )
    wrong = ~(np.isfinite(far) & (far >= 0))
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError("A distance is a finite number, 0 or more", f"{far[place]} in pair {place}")
    units, ends = np.unique(ends, return_inverse=True)
    left, right = ends.reshape(2, -1)
    rule = "is the same just where its identities are" if by_identity else "joins two different items"
    wrong = (left == right) & ~alike | (left != right) & alike if by_identity else left == right
    if wrong.any():
        raise DataError(f"A pair {rule}", f"otherwise in pair {int(wrong.argmax())}", "Mend the list of pairs.")

    lower, upper = np.minimum(left, right), np.maximum(left, right)
    evidence = Evidence(
        unit=unit,
        items=None if by_identity else len(units),
        identities=len(units) if by_identity else None,
        trials=len(np.unique((lower * len(units) + upper)[~alike])),
        pairs_different=int((~alike).sum()),
        pairs_same=int(alike.sum()),
    )
    promised = promises(max_fmr, evidence)
    half = halves(len(units), seed)
    a, b = ((half[left] == side) & (half[right] == side) for side in (0, 1))
    return conclude(
        evidence,
        promised,
        listed_curve(far, alike),
        (listed_curve(far[a], alike[a]), listed_curve(far[b], alike[b])),
        lambda thresholds: listed_rates_at(thresholds, far, alike, left, right),
        seed,
    )


def _numbers(values: ArrayLike | None) -> Integers:
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise DataError("Items and identities are numbered by integers", numbers.dtype, "Number them 0, 1, 2, ...")
    return numbers.astype(np.int64)
