"""False match and false non-match rate at given thresholds, with intervals that know what was sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from likewise.metrics.estimate import Estimate
from likewise.metrics.shares import AT_ONCE, Cut, Integers, Shares, Unit, listed_shares, shares
from likewise.objective.distances import Distance


@dataclass(frozen=True)
class Rates:
    """Both error rates at one threshold; "same" is a distance of at most the threshold.

    Attributes:
        fmr: share of pairs of different identities that were accepted.
        fnmr: share of pairs of the same identity that were refused.
    """

    fmr: Estimate
    fnmr: Estimate


def rates_at(
    thresholds: Sequence[float],
    embeddings: Tensor,
    identities: Tensor,
    distance: Distance,
    unit: Unit,
    block: int = AT_ONCE,
) -> list[Rates]:
    """Both error rates over all pairs of different items, at each threshold.

    Args:
        thresholds: any order.
        embeddings: (N, D) float32.
        identities: (N,) int64 from 0 without gaps, rising; at least one pair of a kind.
        distance: what compares them; symmetric.
        unit: what the intervals take as sampled: "identity" (the identities are a sample of all there are) or
            "item" (the list of identities is fixed, and their items are a sample).
        block: most distances held at once.

    Raises:
        DataError: a distance that is not finite.
    """
    cuts = [Cut(threshold) for threshold in thresholds]
    return [_rates(found) for found in shares(cuts, embeddings, identities, distance, unit, block)]


def listed_rates_at(
    thresholds: Sequence[float],
    distances: NDArray[np.float32],
    same: NDArray[np.bool_],
    first: Integers,
    second: Integers,
) -> list[Rates]:
    """Both error rates over listed pairs, at each threshold.

    Args:
        thresholds: any order.
        distances: (M,).
        same: (M,), with at least one pair of either kind.
        first: (M,) what was sampled on one side of each pair: its identity, or its item.
        second: (M,) the same for the other side.
    """
    cuts = [Cut(threshold) for threshold in thresholds]
    return [_rates(found) for found in listed_shares(cuts, distances, same, first, second)]


def _rates(found: Shares) -> Rates:
    return Rates(found.different.estimate(), found.same.estimate())
