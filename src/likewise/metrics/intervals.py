"""How far a mean over pairs can be trusted, when pairs share the people they were made of.

Twenty people with ten pictures each give 19,000 pairs of different people, and nothing like 19,000 observations: all
100 pairs of the same two people rise and fall together, and so do all pairs that one of them is part of. Counting
pairs as if they were independent gives intervals many times too narrow.

So pairs are treated as edges of a graph. A vertex is what was sampled (a person, or an item), and two pairs are
correlated when they share a vertex. The variance counts those correlations (`Spread`), becomes the number of
independent trials that would have the same variance, and that number goes into Wilson's interval (`wilson`), which
behaves where errors are few. Sums per vertex are all it takes, so pairs can be streamed.

Every interval of the package that is about pairs is made here: of FMR and FNMR, which are means over pairs, and of
ROC AUC, EER and FNMR at an FMR, which are such means to first order (`likewise.metrics.verification`).

References: Fafchamps and Gubert, "The formation of risk sharing networks", Journal of Development Economics 83 (2007),
and Aronow, Samii and Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23 (2015), for
the variance; Fogliato, Patil and Perona, "Confidence intervals for error rates in 1:1 matching tasks", IJCV (2024),
for Wilson's interval with an effective number of trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from likewise.errors import UsageError
from likewise.metrics.estimate import Estimate

CONFIDENCE = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How far a mean over pairs hangs on single vertices.

    Spreads of several means add up to that of their sum, and follow a factor, vertex by vertex: if the same people
    raise both means, that is counted.

    Attributes:
        residuals: (V,), what each vertex has moved the mean by: the sum of the residuals of its pairs, over the number
            of all pairs; see `of`.
        squares: the same of each two vertices between which there are pairs, squared and summed.
        independent: the variance that the mean would have if its pairs were independent.
        vertices: how many vertices these pairs have.
        apart: how many of the pairs can be chosen so that no two share a vertex.
    """

    residuals: Floats
    squares: float
    independent: float
    vertices: int
    apart: float

    @classmethod
    def of(
        cls,
        residuals: Floats,
        squares: float,
        *,
        pairs: float,
        independent: float,
        disjoint: float,
        vertices: int,
        apart: float,
    ) -> Spread:
        """Scale the sums of a mean so that `variance` is its variance.

        Residuals are taken from a mean fitted to the same pairs, which makes them too small; dividing their products
        by `disjoint` mends that, exactly so where every two vertices form a pair.

        Args:
            residuals: (V,), of each vertex the sum of r over its pairs, r being what a pair has less the mean.
            squares: sum of r^2 over pairs of two different vertices, where pairs between the same two count as one
                with the sum of their r; 0 where every pair lies within one vertex.
            pairs: how many pairs there are.
            independent: see `Spread`.
            disjoint: of all ordered pairs of pairs, the share that have no vertex in common. At 0 or less any two
                pairs share one, and nothing is known of the variance.
            vertices: see `Spread`.
            apart: see `Spread`.
        """
        if disjoint <= 0:
            return cls(np.zeros(len(residuals)), math.inf, independent, vertices, apart)
        scale = 1 / (pairs * math.sqrt(disjoint))
        return cls(scale * residuals, scale**2 * squares, independent, vertices, apart)

    def __add__(self, other: Spread) -> Spread:
        """The spread of the sum of two means over different pairs of the same V vertices."""
        return Spread(
            self.residuals + other.residuals,
            self.squares + other.squares,
            self.independent + other.independent,
            min(self.vertices, other.vertices),
            min(self.apart, other.apart),
        )

    def __rmul__(self, factor: float) -> Spread:
        """The spread of `factor` times the mean."""
        squares = factor**2 * self.squares if math.isfinite(self.squares) else math.inf
        return Spread(factor * self.residuals, squares, factor**2 * self.independent, self.vertices, self.apart)

    @property
    def variance(self) -> float:
        """Of the mean; infinite where nothing is known of it.

        Two pairs that share a vertex contribute the product of their residuals, a pair with itself included; `squares`
        is subtracted because a pair stands at both of its vertices. It is never less than if pairs of vertices, or all
        pairs, were independent.
        """
        return max(float(np.square(self.residuals).sum()) - self.squares, self.squares, self.independent)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of `variance`: as many as vertices carry it, and fewer than there are."""
        return min(self.vertices - 1.0, effective_number(self.residuals))


def effective_number(residuals: Floats) -> float:
    """How many vertices carry the variance: (sum of r^2)^2 / sum of r^4, between 1 and V.

    As many as there are if all contribute alike, about 1 if a single person makes most of the errors. To be
    used as degrees of freedom: a variance that hangs on few vertices is itself uncertain (Carter, Schnepel and
    Steigerwald, "Asymptotic behavior of a t-test robust to cluster heterogeneity", Review of Economics and
    Statistics 99 (2017)).

    Args:
        residuals: (V,), the sum of residuals at each vertex.
    """
    squares = np.square(residuals / (np.abs(residuals).max(initial=0) or 1))
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


def interval(value: float, spread: Spread, confidence: float = CONFIDENCE) -> Estimate:
    """A rate with its interval.

    It is worth as many independent trials as would have its variance. A rate of 0 or 1 shows no variance. One odd
    person may then have been missed who would pass for everybody, so that only pairs of which no two share a person are
    trials: half as many as there are people.

    Args:
        value: in [0, 1].
        spread: of the mean over pairs that the rate is, exactly or to first order.
        confidence: two-sided.
    """
    variance = spread.variance
    if math.isinf(variance):
        return Estimate(float(value), 0.0, 1.0)
    if value in (0, 1) or variance == 0:
        return wilson(value, spread.apart, confidence=confidence)
    return wilson(value, value * (1 - value) / variance, freedom=spread.freedom, confidence=confidence)


def trials_needed(fmr: float) -> int:
    """Independent trials a promised false match rate needs: 3 / fmr.

    Not one error in n of them shows, at 95%, an error rate below about 3 / n.

    Raises:
        UsageError: `fmr` is not between 0 and 1.
    """
    if not 0 < fmr < 1:
        raise UsageError("A promised false match rate is between 0 and 1", fmr, "Pass for example 0.001.")
    return math.ceil(3 / fmr * (1 - 1e-12))  # 3 / 1e-4 is a little more than 30,000 in floating point
