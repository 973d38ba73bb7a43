"""The error curve of a verifier: how many same and different pairs lie within each distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from likewise.metrics.pairs import BLOCK, upper_blocks
from likewise.objective.distances import Distance

Rates = NDArray[np.float64]

# A float32 that is not negative sorts like its bits. Without the last 8 of them a bin is 2**-15 of the
# distance wide at most, and a distance of 0, or a whole number below 65,536, has a bin of its own.
_DROPPED_BITS = 8
BINS = 1 << (31 - _DROPPED_BITS)
RESOLUTION = 2.0**-15  # relative: two distances closer than this may count as equal


def bins(distances: NDArray[np.float32]) -> NDArray[np.int32]:
    """Which bin each distance is in; a larger distance is never in a smaller bin.

    Args:
        distances: any shape, each >= 0; their memory becomes that of the result.
    """
    keys = distances.view(np.int32)
    keys >>= _DROPPED_BITS
    return np.maximum(keys, 0, out=keys)  # -0.0 has the sign bit set


def upper_edges(keys: NDArray[np.integer]) -> NDArray[np.float32]:
    """The largest distance in each bin: a distance is at most that just where its bin is at most this one."""
    return (((keys.astype(np.int64) + 1) << _DROPPED_BITS) - 1).astype(np.int32).view(np.float32)


@dataclass(frozen=True)
class ErrorCurve:
    """False match and false non-match rate at rising thresholds; "same" is a distance of at most the
    threshold.

    Each point is exact: the counts are those of all pairs at that threshold.

    Attributes:
        thresholds: (T,) float32, rising; the first is -inf, which accepts nothing.
        different: (T,) int64, how many different pairs each threshold accepts; starts at 0.
        same: (T,) int64, how many same pairs each threshold accepts; starts at 0.
    """

    thresholds: NDArray[np.float32]
    different: NDArray[np.int64]
    same: NDArray[np.int64]

    @property
    def fmr(self) -> Rates:
        """(T,) false match rate: the share of different pairs accepted, rising from 0 to 1."""
        return self.different / self.different[-1]

    @property
    def fnmr(self) -> Rates:
        """(T,) false non-match rate: the share of same pairs refused, falling from 1 to 0."""
        return 1 - self.same / self.same[-1]

    def auc(self) -> float:
        """Area under the ROC curve: how often a same pair is closer than a different one (a tie: half)."""
        return 1 - float(area_above(self.fmr, self.fnmr))

    def eer(self) -> float:
        """Equal error rate: where FMR = FNMR on the straight lines between the points of the curve."""
        return float(crossing(self.fmr, self.fnmr))

    def fnmr_at(self, fmr: float) -> float:
        """FNMR at the largest threshold whose FMR is at most `fmr`; nothing between two points is assumed."""
        return float(self.fnmr[np.searchsorted(self.fmr, fmr, side="right") - 1])

    def thinned(self, points: int) -> ErrorCurve:
        """The same curve at about `points` of its thresholds or fewer, dense where either error is small."""
        if len(self.thresholds) <= points:
            return self
        levels = np.geomspace(1 / max(self.different[-1], self.same[-1]), 1, points // 2)
        kept = np.union1d(
            np.searchsorted(self.fmr, levels[:-1], side="right") - 1,
            np.searchsorted(-self.fnmr, -levels),
        )
        kept = np.union1d(kept, [0, len(self.thresholds) - 1])
        return ErrorCurve(self.thresholds[kept], self.different[kept], self.same[kept])


def error_curve(embeddings: Tensor, identities: Tensor, distance: Distance, block: int = BLOCK) -> ErrorCurve:
    """The error curve over all pairs, in one pass; memory does not grow with their number.

    Args:
        embeddings: (N, D) float32.
        identities: (N,) int64, sorted: then few blocks hold pairs of both kinds.
        distance: what compares them.
        block: most distances held at once.
    """
    different, same = _Tally(), _Tally()
    for rows, columns, distances, mask in upper_blocks(embeddings, distance, block):
        keys = bins(distances.numpy())
        if identities[rows][-1] < identities[columns][0]:
            different.add(keys.ravel())
            continue
        alike = (identities[rows, None] == identities[None, columns]).numpy()
        counts = np.ones_like(alike) if mask is None else mask.numpy()
        different.add(keys[~alike & counts])
        same.add(keys[alike & counts])
    seen = slice(min(different.first, same.first), max(different.stop, same.stop))
    counted = different.counts[seen], same.counts[seen]
    occupied = np.flatnonzero((counted[0] > 0) | (counted[1] > 0))
    return ErrorCurve(
        np.concatenate([[-np.inf], upper_edges(seen.start + occupied)], dtype=np.float32),
        *(np.concatenate([[0], counts[occupied].cumsum()]) for counts in counted),
    )


def listed_curve(distances: NDArray[np.floating], same: NDArray[np.bool_]) -> ErrorCurve:
    """The error curve of pairs that are listed one by one.

    Args:
        distances: (M,), 0 or more.
        same: (M,).
    """
    keys, place = np.unique(bins(np.array(distances, np.float32)), return_inverse=True)
    return ErrorCurve(
        np.concatenate([[-np.inf], upper_edges(keys)], dtype=np.float32),
        np.concatenate([[0], np.bincount(place, ~same).cumsum()]).astype(np.int64),
        np.concatenate([[0], np.bincount(place, same).cumsum()]).astype(np.int64),
    )


class _Tally:
    """Counts of distances by bin, and the run of bins that have been touched: nearly all of a large array is not."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.first, self.stop = BINS, 0

    def add(self, keys: NDArray[np.int32]) -> None:
        """Count `keys`, (K,) bins."""
        if len(keys):
            low = int(keys.min())
            found = np.bincount(keys - low)
            self.counts[low : low + len(found)] += found
            self.first, self.stop = min(self.first, low), max(self.stop, low + len(found))


def area_above(fmr: Rates, fnmr: Rates) -> Rates:
    """1 - AUC along the last axis, by trapezia: of pairs at the same step half are taken to be in order."""
    return (np.diff(fmr, axis=-1) * (fnmr[..., 1:] + fnmr[..., :-1])).sum(axis=-1) / 2


def crossing(fmr: Rates, fnmr: Rates) -> Rates:
    """The rate at which rising `fmr` and falling `fnmr` meet, on straight lines along the last axis."""
    after = (fmr >= fnmr).argmax(axis=-1, keepdims=True)  # never 0: every curve starts at FMR 0, FNMR 1
    before = after - 1
    x0, x1 = (np.take_along_axis(fmr, i, axis=-1)[..., 0] for i in (before, after))
    y0, y1 = (np.take_along_axis(fnmr, i, axis=-1)[..., 0] for i in (before, after))
    step = (y0 - x0) / ((y0 - x0) + (x1 - y1))
    return x0 + step * (x1 - x0)
