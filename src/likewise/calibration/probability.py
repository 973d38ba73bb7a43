"""How probable "the same" is at a distance, when same and different are equally likely beforehand.

The log-odds of "same" are a function of the distance that never rises: straight lines between a few knots,
fitted by logistic regression with same and different pairs weighing half each. Platt's sigmoid
("Probabilistic outputs for support vector machines", 1999) is the case of one straight line; more of them
follow distances whose two ends fall at different speeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from likewise.errors import DataError
from likewise.metrics.curve import ErrorCurve

Floats = NDArray[np.float64]

_KNOTS = 10
_TAIL = 0.002  # share of the pairs beyond the first and the last knot
_RIDGE = 1e-4  # on the slopes: where nothing is seen, as between two classes far apart, the line is straight
_FITTED_POINTS = 1024
_BINS = 15


@dataclass(frozen=True)
class ProbabilityCurve:
    """Probability of "same" at equal priors, by distance.

    Attributes:
        knots: distances, rising.
        logits: log-odds of "same" at each knot, never rising; straight lines between, constant beyond.
    """

    knots: tuple[float, ...]
    logits: tuple[float, ...]

    def __call__(self, distances: ArrayLike) -> Floats:
        """(...) distances -> (...) probabilities in (0, 1), never rising with distance.

        The prior is 1/2: what a pair says before anything is known about how often pairs are the same. For a
        prior p add log(p / (1 - p)) to the log-odds.

        Raises:
            DataError: a distance that is not a number.
        """
        at = np.asarray(distances, np.float64)
        if np.isnan(at).any():
            raise DataError("A distance is a number", "NaN", "Look at the embeddings of these items.")
        return expit(np.interp(at, self.knots, self.logits))


def fit_probability(curve: ErrorCurve, trials: int) -> ProbabilityCurve:
    """Fit the log-odds to the counts of an error curve.

    The odds stay between 1 to (same pairs + 1) and (trials + 1) to 1: a certainty of "same" that would need
    more strangers than were seen is not claimed.

    Args:
        curve: counts of same and different pairs by distance, both kinds present.
        trials: how many pairs of identities (or items) formed the different pairs.
    """
    distances, same, different = _merged(*_weights(curve))
    knots = _place_knots(distances, (same + different).cumsum() / 2)
    # Column k rises from 0 to 1 between knots k and k + 1: the log-odds are linear in the steps taken down.
    ramps = ((distances[:, None] - knots[:-1]) / np.diff(knots)).clip(0, 1)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        start, steps = parameters[0], parameters[1:]
        logits = start - ramps @ steps
        value = same @ np.logaddexp(0, -logits) + different @ np.logaddexp(0, logits)
        slope = (same + different) * expit(logits) - same
        gradient = np.concatenate([[slope.sum()], -(slope @ ramps) + 2 * _RIDGE * steps])
        return value + _RIDGE * float(steps @ steps), gradient

    begin = np.concatenate([[1.0], np.full(len(knots) - 1, 2 / max(len(knots) - 1, 1))])
    bounds = [(None, None), *[(0, None)] * (len(knots) - 1)]
    options = {"maxiter": 500, "ftol": 1e-12}
    best = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    logits = best[0] - np.concatenate([[0], best[1:].cumsum()])
    logits = logits.clip(-log(int(curve.same[-1]) + 1), log(trials + 1))
    return ProbabilityCurve(tuple(knots.tolist()), tuple(logits.tolist()))


def calibration_error(fitted: ProbabilityCurve, curve: ErrorCurve) -> float:
    """Expected calibration error at equal priors: mean |probability given - share the same|, in [0, 1].

    Over 15 bins of probability of equal width (Guo et al., "On calibration of modern neural networks", ICML
    2017, equation 3), same and different pairs weighing half each.

    Args:
        fitted: what gives the probabilities.
        curve: counts by distance of pairs `fitted` has not seen.
    """
    distances, same, different = _weights(curve)
    probability = fitted(distances)
    of = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    given = np.bincount(of, probability * (same + different), _BINS)
    return float(np.abs(given - np.bincount(of, same, _BINS)).sum() / 2)


def _merged(distances: Floats, same: Floats, different: Floats) -> tuple[Floats, Floats, Floats]:
    """The same in at most `_FITTED_POINTS` points of about equal weight, each at the mean of the distances it is for.

    A curve has up to tens of thousands of distances, ten knots need no more than some hundred.
    """
    both = same + different
    group = np.minimum((both.cumsum() / both.sum() * _FITTED_POINTS).astype(np.int64), _FITTED_POINTS - 1)
    sums = (np.bincount(group, of).astype(np.float64) for of in (both, both * distances, same, different))
    weight, moment, same, different = sums
    held = weight > 0
    return moment[held] / weight[held], same[held], different[held]


def _weights(curve: ErrorCurve) -> tuple[Floats, Floats, Floats]:
    """Distances, and the share of all same and of all different pairs at each."""
    distances = curve.thresholds[1:].astype(np.float64)
    return distances, np.diff(curve.same) / curve.same[-1], np.diff(curve.different) / curve.different[-1]


def _place_knots(distances: Floats, cumulative: Floats) -> Floats:
    """At equal steps of the mixture of same and different pairs; fewer where distances repeat."""
    levels = np.linspace(_TAIL, 1 - _TAIL, _KNOTS)
    places = np.searchsorted(cumulative, levels).clip(max=len(distances) - 1)
    return distances[np.unique(places)]
