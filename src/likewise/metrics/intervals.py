"""How far a share of pairs can be trusted, when pairs share the people they were made of.

Twenty people with ten pictures each give 19,000 pairs of different people, and nothing like 19,000
observations: all 100 pairs of the same two people rise and fall together, and so do all pairs that one of
them is part of. Counting pairs as if they were independent gives intervals many times too narrow.

So pairs are treated as edges of a graph. A vertex is what was sampled (a person, or an item), and two pairs
are correlated when they share a vertex. The variance of the share counts those correlations
(`dyadic_variance`), becomes the number of independent trials that would have the same variance, and that
number goes into Wilson's interval (`wilson`), which behaves where errors are few. Sums per vertex are all it
takes, so pairs can be streamed.

References: Fafchamps and Gubert, "The formation of risk sharing networks", Journal of Development Economics
83 (2007), and Aronow, Samii and Assenova, "Cluster-robust variance estimation for dyadic data", Political
Analysis 23 (2015), for the variance; Fogliato, Patil and Perona, "Confidence intervals for error rates in 1:1
matching tasks", IJCV (2024), for Wilson's interval with an effective number of trials.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from likewise.metrics.estimate import Estimate

CONFIDENCE = 0.95


def dyadic_variance(residuals: NDArray[np.float64], squares: float, pairs: float, disjoint: float) -> float:
    """Variance of a share of pairs whose errors are correlated where they share a vertex.

    With r the residual of a pair (1 - share for an error, -share for none), two pairs that share a vertex
    contribute the product of their residuals, a pair with itself included:

        variance = (sum over vertices of (sum of r at the vertex)^2 - sum of r^2) / (pairs^2 disjoint)

    where r^2 is subtracted because a pair stands at both of its vertices. Pairs between the same two vertices
    count as one, with the sum of their residuals as r. Residuals are taken from a share fitted to the same
    pairs, which makes them too small; dividing by `disjoint` mends that, exactly so where every two vertices
    form a pair. The variance is never less than if pairs of vertices were independent.

    Args:
        residuals: (V,), the sum of r over the pairs at each vertex.
        squares: sum of r^2 over pairs of two different vertices; 0 where every pair lies within one vertex.
        pairs: how many pairs the share was counted on.
        disjoint: of all ordered pairs of pairs, the share that have no vertex in common; in (0, 1].
    """
    shared = float(np.square(residuals).sum()) - squares
    return max(shared, squares) / (pairs * pairs * disjoint)


def effective_number(residuals: NDArray[np.float64]) -> float:
    """How many vertices carry the variance: (sum of r^2)^2 / sum of r^4, between 1 and V.

    As many as there are if all contribute alike, about 1 if a single person makes most of the errors. To be
    used as degrees of freedom: a variance that hangs on few vertices is itself uncertain (Carter, Schnepel and
    Steigerwald, "Asymptotic behavior of a t-test robust to cluster heterogeneity", Review of Economics and
    Statistics 99 (2017)).

    Args:
        residuals: (V,), the sum of residuals at each vertex.
    """
    squares = np.square(residuals)
    total = float(squares.sum())
    return total * total / float(np.square(squares).sum()) if total > 0 else float(len(residuals))


def wilson(share: float, trials: float, *, freedom: float = math.inf, confidence: float = CONFIDENCE) -> Estimate:
    """Wilson's score interval around a share: all true shares that would not be surprised by the one seen.

    Args:
        share: errors / trials, in [0, 1].
        trials: how many independent trials the share is worth; need not be whole, greater than 0.
        freedom: degrees of freedom the number of trials was estimated with; infinite if it was counted.
        confidence: two-sided.
    """
    tail = (1 + confidence) / 2
    z = float(ndtri(tail) if math.isinf(freedom) else stdtrit(freedom, tail))
    shrink = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
    return Estimate(float(share), float(low), float(high))


def share_interval(
    share: float,
    *,
    residuals: NDArray[np.float64],
    squares: float,
    pairs: float,
    disjoint: float,
    units: float,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """A share of pairs with its interval.

    Degrees of freedom are `effective_number` where pairs join two vertices, and vertices - 1 where every pair
    lies within one (errors of one vertex then say nothing about the pairs of another, and few errors are
    Wilson's business). A share of 0 or 1 shows no variance: then only `units` count. Where any two pairs
    share a vertex, nothing is known of the variance and the interval is [0, 1].

    Args:
        share: errors / pairs, in [0, 1].
        residuals: see `dyadic_variance`.
        squares: see `dyadic_variance`.
        pairs: how many pairs the share was counted on.
        disjoint: see `dyadic_variance`; 0 or less where any two pairs share a vertex.
        units: how many trials to reckon with when there was no error, or nothing but errors.
        confidence: two-sided.
    """
    if disjoint <= 0:
        return Estimate(float(share), 0.0, 1.0)
    if share in (0, 1):
        return wilson(share, units, confidence=confidence)
    variance = dyadic_variance(residuals, squares, pairs, disjoint)
    trials = min(share * (1 - share) / variance, pairs) if variance > 0 else pairs
    freedom = len(residuals) - 1.0
    if squares > 0:
        freedom = min(freedom, effective_number(residuals))
    return wilson(share, trials, freedom=freedom, confidence=confidence)
