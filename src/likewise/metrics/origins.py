"""Where mistakes come from: which kinds of items go wrong more often than the others, and more than by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from likewise.metrics.classification import share_right
from likewise.metrics.estimate import Estimate

LIKELY = 0.05  # chance below which a kind is said to go wrong more than by chance
FEWEST_SAMPLES = 5  # that go wrong together: if all of fewer do, so would the tosses of a coin more often than that

IntArray = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Origin:
    """Items of one kind, and how many of them went wrong.

    Attributes:
        kind: its number.
        items: how many there are.
        mistakes: how many of them are wrong.
        share: of all mistakes, in [0, 1].
        rate: mistakes among its items, with the 95% interval.
        rest: mistakes among all other items, in [0, 1]; None where there are none.
        samples: how many the interval counts where items go wrong together, such as cameras; None where each is one.
        chance: how often it would have so many mistakes or more if all of them had been dealt to the items blindly,
            corrected for having looked at several kinds (Holm 1979).
    """

    kind: int
    items: int
    mistakes: int
    share: float
    rate: Estimate
    rest: float | None
    samples: int | None
    chance: float

    @property
    def excess(self) -> float:
        """Mistakes beyond those it would have at the rate of the others."""
        return self.mistakes - self.items * (self.rest or 0.0)

    @property
    def likely(self) -> bool:
        """Whether it goes wrong more than the others, and chance is no likely reason.

        Neither if its items went wrong one by one, nor as the interval has it, which counts those that do together. One
        camera, or two, cannot show that: what they have in common beside their kind is as good a reason.
        """
        return not self.lacking and self.chance < LIKELY and self.rate.low > (self.rest or 0.0)

    @property
    def lacking(self) -> bool:
        """Whether its items are of too few samples to tell a reason from chance."""
        return self.samples is not None and self.samples < FEWEST_SAMPLES

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "items": self.items,
            "mistakes": self.mistakes,
            "share": self.share,
            "rate": self.rate.value,
            "rate_low": self.rate.low,
            "rate_high": self.rate.high,
            "rate_of_the_rest": self.rest,
            "samples": self.samples,
            "chance": self.chance,
        }


def origins(of: IntArray, wrong: NDArray[np.bool_], sample: IntArray | None = None) -> tuple[Origin, ...]:
    """How each kind of items fares, those with most mistakes beyond the rate of the others first.

    `chance` is Fisher's exact test (one-sided, hypergeometric) and takes items to go wrong one by one; the intervals
    count those that go wrong together, such as twenty pictures by one camera, as `sample` says.

    Args:
        of: (N,) the kind of each item.
        wrong: (N,) whether it went wrong.
        sample: (N,) items of one number go wrong together; None where each is a trial of its own.
    """
    total, mistakes = len(of), int(wrong.sum())
    kinds, number, sizes = np.unique(of, return_inverse=True, return_counts=True)
    hits = np.bincount(number, wrong, len(kinds)).astype(np.int64)
    chances = _holm(np.asarray(hypergeom.sf(hits - 1, total, mistakes, sizes), np.float64))
    found: list[Origin] = []
    for i, inside in enumerate(np.split(np.argsort(number, kind="stable"), np.cumsum(sizes)[:-1])):
        right = share_right(~wrong[inside], None if sample is None else sample[inside])
        rate = Estimate(1 - right.value, 1 - right.high, 1 - right.low)
        others = total - int(sizes[i])
        rest = (mistakes - int(hits[i])) / others if others else None
        share = float(hits[i] / mistakes) if mistakes else 0.0
        samples = None if sample is None else len(np.unique(sample[inside]))
        found.append(Origin(int(kinds[i]), int(sizes[i]), int(hits[i]), share, rate, rest, samples, float(chances[i])))
    return tuple(sorted(found, key=lambda origin: (-origin.excess, origin.kind)))


def _holm(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) chances of K tests -> the same corrected, so that none of them is below a level by accident more often."""
    order = np.argsort(chances, kind="stable")
    steps = np.maximum.accumulate(chances[order] * np.arange(len(chances), 0, -1))
    found = np.empty_like(chances)
    found[order] = np.minimum(1.0, steps)
    return found
