"""Of scores that come run by run, all that may be among the k best of their probe."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_SAMPLED = 1 << 18  # scores a first cut is taken from
_WITHIN_ROUNDING = 1024  # rows; where more are within rounding of the k-th best, some of them are as good as all


@final
class Finalists:
    """For each of Q probes, every row whose score is within `slack` of the k-th best.

    A cut rises towards the k-th best score while runs are offered; below it nothing is looked at again, so that of most
    runs a comparison with the cut is all that is left to do.

    Args:
        k: how many are wanted.
        slack: (Q,) how far a score may be off, twice.
    """

    def __init__(self, k: int, slack: Floats) -> None:
        self._k, self._slack = k, slack
        self._cut = np.full(len(slack), -np.inf, np.float32)
        self._held: list[tuple[Integers, Integers, Floats]] = []  # probe, place, score
        self._waiting = 0

    def offer(self, start: int, scores: Floats) -> None:
        """(b, Q) scores of the rows from place `start` on."""
        probes = scores.shape[1]
        if not self._held:
            # The k-th best of some is no better than the k-th best of all.
            some = scores if probes == 1 else scores[: max(self._k, _SAMPLED // probes)]
            if len(some) >= self._k:
                self._cut = np.partition(some, len(some) - self._k, axis=0)[-self._k] - self._slack
        hits = np.flatnonzero(scores >= self._cut)
        row, probe = np.divmod(hits, probes)
        self._held.append((probe, start + row, scores.ravel()[hits]))
        self._waiting += len(hits)
        if self._waiting > 4 * self._k * probes:
            self._sift()

    def all(self) -> tuple[Integers, Integers]:
        """Probe and place of every finalist, sorted by probe."""
        self._sift()
        probe, place, _ = self._held[0]
        return probe, place

    def _sift(self) -> None:
        probe, place, score = (np.concatenate(column) for column in zip(*self._held, strict=True))
        # Rising probe, falling score, as one integer: floats of one sign are ordered like their bits.
        bits = score.view(np.int32).astype(np.int64)
        order = np.argsort((probe << 32) - np.where(bits < 0, -(bits & 0x7FFFFFFF), bits))
        probe, place, score = probe[order], place[order], score[order]
        first = np.searchsorted(probe, np.arange(len(self._slack)))
        count = np.diff(np.append(first, len(probe)))
        enough, full = count >= self._k, count >= self._k + _WITHIN_ROUNDING
        kth = np.where(enough, score[np.where(enough, first + self._k - 1, 0)], -np.float32(np.inf))
        rank = np.arange(len(probe)) - first[probe]
        kept = (score >= (kth - self._slack)[probe]) & (rank < self._k + _WITHIN_ROUNDING)
        # Where there are more than can be kept, only better ones matter from now on.
        self._cut = np.maximum(self._cut, np.where(full, np.nextafter(kth, np.float32(np.inf)), kth - self._slack))
        self._held = [(probe[kept], place[kept], score[kept])]
        self._waiting = 0
