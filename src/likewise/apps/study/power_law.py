"""The law that errors follow as examples grow in number: a power of it, down to a floor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

RATES = np.geomspace(0.01, 3.0, 300)
FINER = np.linspace(0.98, 1.02, 41)  # around the best of these, which lie 2% apart
ASKED = 3.84  # of chi-square, by which a floor has to mend the fit: 95% of one degree of freedom
LARGEST = 700.0  # logarithm of what a float holds

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class PowerLaw:
    """Error against the number of examples: scale * n^-rate + floor (Cortes et al. 1994; Hestness et al. 2017).

    Attributes:
        scale, rate, floor: of the law; what no number of examples would mend is the floor.
    """

    scale: float
    rate: float
    floor: float

    def __call__(self, examples: Floats | float) -> Floats:
        """(...) numbers of examples -> (...) errors."""
        return self.scale * np.asarray(examples, float) ** -self.rate + self.floor

    def examples(self, error: float) -> float:
        """How many it takes for an error; infinite where the floor is above it."""
        if error <= self.floor:
            return math.inf
        if self.scale <= 0:
            return 0.0
        power = (math.log(self.scale) - math.log(error - self.floor)) / self.rate
        return math.exp(power) if power < LARGEST else math.inf


def fit_power_law(examples: Floats, errors: Floats, items: float) -> PowerLaw:
    """The law that errors measured on `items` each follow best; errors count by what chance leaves open of each.

    Args:
        examples: (R,) numbers of them.
        errors: (R,) shares of wrong answers.
        items: independent ones; where they come in groups, as many as they are worth.
    """
    return fit_power_laws(examples, errors[None], items)[0]


def fit_power_laws(examples: Floats, errors: Floats, items: float) -> list[PowerLaw]:
    """(R,) numbers of examples, (D, R) errors of D curves -> the law that each curve follows best.

    Weighted least squares; given the rate, scale and floor are a straight line's, so that only rates are searched.
    There is a floor only where the errors ask for it by more than chance: a few points that happen to bend would
    otherwise say that no number of examples will do.
    """
    seen = (errors * items + 0.5) / (items + 1)  # no error at all is fewer than one
    weights = items / (seen * (1 - seen))
    plain, bent = (_best(examples, seen, weights, floors=floors) for floors in (False, True))
    chosen = np.where(plain[:, 3:] - bent[:, 3:] > ASKED, bent, plain)
    return [PowerLaw(scale, rate, floor) for rate, scale, floor, _ in chosen.tolist()]


def _best(examples: Floats, seen: Floats, weights: Floats, *, floors: bool) -> Floats:
    """(D, R) errors and weights -> (D, 4): rate, scale, floor and sum of squares of the law that fits each best."""
    coarse = _at(examples, seen, weights, np.broadcast_to(RATES, (len(seen), len(RATES))), floors)
    return _at(examples, seen, weights, coarse[:, :1] * FINER, floors)


def _at(examples: Floats, seen: Floats, weights: Floats, rates: Floats, floors: bool) -> Floats:
    """The same of (D, K) rates."""
    x = examples ** -rates[..., None]  # (D, K, R)
    y, w = seen[:, None], weights[:, None]
    total, sx, sy = w.sum(axis=2), (w * x).sum(axis=2), (w * y).sum(axis=2)
    sxx, sxy = (w * x * x).sum(axis=2), (w * x * y).sum(axis=2)
    bend = np.maximum(total * sxx - sx**2, 1e-300)
    most = seen.min(axis=1, keepdims=True) if floors else 0.0
    floor = np.clip((sxx * sy - sx * sxy) / bend, 0.0, most)
    scale = np.maximum((sxy - floor * sx) / sxx, 0.0)
    off = (w * (scale[..., None] * x + floor[..., None] - y) ** 2).sum(axis=2)
    best = off.argmin(axis=1)[:, None]
    return np.concatenate([np.take_along_axis(values, best, axis=1) for values in (rates, scale, floor, off)], axis=1)
