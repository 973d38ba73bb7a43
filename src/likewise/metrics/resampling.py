"""Intervals for figures over pairs, by resampling what was sampled: identities, or items within identities.

Pairs are not independent: all pairs of one identity rise and fall together. So the bootstrap draws units
(identities or items) with replacement, and a pair counts as often as its units were drawn. To need no table
of all pairs of units, the count is taken to first order: with w the draws of a unit, a pair of units u and v
counts

    1 + (w_u - 1) + (w_v - 1)    instead of    w_u w_v,

and a pair within one unit w_u. What is left out, (w_u - 1)(w_v - 1), only repeats chance that is in already:
where nothing but the pair itself varies, a product of draws has three times the variance of the truth, this
has twice. A replicate is then one row of a matrix product, whatever the number of pairs.

The bootstrap gives the variance; the interval around a rate is Wilson's for as many independent trials as
have that variance, which stays honest where errors are few and percentiles of a bootstrap do not (Fogliato,
Patil and Perona, "Confidence Intervals for Error Rates in 1:1 Matching Tasks", IJCV 2024), with Student's
quantile for few units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.metrics.curve import BINS, ErrorCurve, Rates, bins
from likewise.metrics.estimate import Estimate
from likewise.metrics.intervals import wilson
from likewise.metrics.pairs import BLOCK, upper_blocks
from likewise.objective.distances import Distance

_REPLICATES_AT_ONCE = 64


@dataclass(frozen=True)
class UnitCounts:
    """How many pairs every unit takes part in, by distance.

    Attributes:
        counts: (U, 2, K) float32: of unit u, how many different (0) and same (1) pairs lie between two
            thresholds of a curve. A pair is counted in each of the units it belongs to.
        total: (2, K) float64: how many pairs there are, each counted once.
    """

    counts: NDArray[np.float32]
    total: NDArray[np.float64]


def unit_counts(
    embeddings: Tensor,
    identities: Tensor,
    units: Tensor,
    curve: ErrorCurve,
    distance: Distance,
    block: int = BLOCK,
) -> UnitCounts:
    """Count, in a second pass over all pairs, what each unit contributes to each step of `curve`.

    Args:
        embeddings: (N, D) float32.
        identities: (N,) int64, sorted.
        units: (N,) int64 from 0 without gaps, rising: `identities` numbered so, or the items themselves.
        curve: a thinned curve of the same pairs; its steps are the K bins.
        distance: what compares them.
        block: most distances held at once.
    """
    edges = bins(curve.thresholds[1:].copy()).astype(np.int64)
    steps = len(edges)
    step_of_bin = torch.from_numpy(
        np.repeat(np.arange(steps + 1, dtype=np.int32), np.diff(edges + 1, prepend=0, append=BINS))
    )
    counts = np.zeros((int(units[-1]) + 1, 2 * steps), np.float32)
    for rows, columns, distances, mask in upper_blocks(embeddings, distance, block):
        keys = torch.from_numpy(bins(distances.numpy()))
        cells = torch.index_select(step_of_bin, 0, keys.view(-1)).view(keys.shape)
        if identities[rows][-1] >= identities[columns][0]:
            cells += steps * (identities[rows, None] == identities[None, columns])
        for run, shape in ((rows, (-1, 1)), (columns, (1, -1))):
            first, last = int(units[run][0]), int(units[run][-1])
            offsets = ((units[run] - first) * (2 * steps)).to(torch.int32).view(shape)
            places = cells + offsets if mask is None else (cells + offsets)[mask]
            found = np.bincount(places.numpy().ravel(), minlength=(last - first + 1) * 2 * steps)
            counts[first : last + 1] += found.reshape(-1, 2 * steps)
    counts = counts.reshape(-1, 2, steps)
    total = counts.sum(axis=0, dtype=np.float64) / 2
    if len(counts) < len(units):  # both items of a same pair are in one unit, which has counted it twice
        counts[:, 1] /= 2
    return UnitCounts(counts, total)


def replicates(
    counts: UnitCounts, strata: NDArray[np.int64], resamples: int, seed: int
) -> Iterator[tuple[Rates, Rates]]:
    """FMR and FNMR of resampled sets at the thresholds of the curve, a few at a time, each (R, K + 1).

    Args:
        counts: what each of U units contributes.
        strata: (U,) rising; units are drawn anew within their stratum, as many as it has.
        resamples: how many replicates in all.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    units = len(strata)
    first = np.searchsorted(strata, strata, side="left")
    size = np.searchsorted(strata, strata, side="right") - first
    flat = counts.counts.reshape(units, -1)
    for start in range(0, resamples, _REPLICATES_AT_ONCE):
        number = min(_REPLICATES_AT_ONCE, resamples - start)
        drawn = first + (rng.random((number, units)) * size).astype(np.int64)
        drawn += np.arange(number)[:, None] * units
        draws = np.bincount(drawn.ravel(), minlength=number * units).reshape(number, units)
        change = (draws - 1).astype(np.float32) @ flat
        pairs = (counts.total + change.reshape(number, *counts.total.shape)).cumsum(axis=-1)
        pairs = pairs[(pairs[..., -1] > 0).all(axis=-1)]  # a draw of few identities may hold no same pair
        # To first order a step may lose more pairs than it has; the curve stays one by never turning back.
        rates = np.maximum.accumulate((pairs / pairs[..., -1:]).clip(0, 1), axis=-1)
        rates = np.pad(rates, ((0, 0), (0, 0), (1, 0)))
        yield rates[:, 0], 1 - rates[:, 1]


def rate_estimate(
    value: float, mean: float, variance: float, *, confidence: float, units: int, trials: int
) -> Estimate:
    """A rate with Wilson's interval for as many independent trials as resampling has shown it to be worth.

    Trials of a rate m have a variance of m (1 - m) / n, so n is taken from mean and variance of the
    replicates. The rate itself, in place of their mean, would give too few where it is near 0 and some
    replicates are not.

    Args:
        value: the rate, in [0, 1].
        mean: of the replicates.
        variance: of the replicates.
        confidence: of the interval, two-sided.
        units: how many units (at least 2) were resampled: one more than the degrees of freedom, and the
            number of trials where no error, or nothing but errors, was seen.
        trials: how many pairs the rate was counted on: there are never more independent ones.
    """
    spread = value * (1 - value)
    n = units if spread == 0 else min(mean * (1 - mean) / variance, trials) if variance > 0 else trials
    return wilson(value, n, freedom=units - 1, confidence=confidence)
