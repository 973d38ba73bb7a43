"""From which score on a box counts: where F1 is highest, or where nearly all that is found is right."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from likewise.errors import DataError, ModelError, SupportError, UsageError
from likewise.metrics import Estimate
from likewise.metrics.classification import share_right
from likewise.metrics.intervals import CONFIDENCE

Floats = NDArray[np.float64]
IntArray = NDArray[np.int64]
TRIED = 512  # thresholds at which a promise of precision is looked at, at most
SPARE = 2  # times as many boxes as show a promise when all are right: where looking begins


@final
@dataclass(frozen=True, eq=False)
class Found:
    """Boxes of all scores that were found in pictures, and what is there.

    Attributes:
        scores: (k,) of boxes found.
        hit: (k,) whether each is of something that is there.
        picture: (k,) in which picture it is, or of which group that is.
        by: (t,) the score of the box that found each thing that is there, 0 where none did.
        there: (t,) in which picture, or group, that is.
    """

    scores: Floats
    hit: NDArray[np.bool_]
    picture: IntArray
    by: Floats
    there: IntArray

    def precision(self, threshold: float) -> Estimate | None:
        """Share of the boxes that is right, with an interval over pictures; None where there are no boxes."""
        sure = self.scores >= threshold
        return share_right(self.hit[sure], self.picture[sure]) if sure.any() else None

    def recall(self, threshold: float) -> Estimate | None:
        """Share of what is there that is found, likewise; None where nothing is there."""
        return share_right(self.by >= threshold, self.there) if len(self.by) else None

    def best(self) -> float:
        """The threshold with the highest F1, halfway to the next score.

        Raises:
            DataError: nothing was found that is there.
        """
        if not self.hit.any():
            raise DataError("A threshold is set where something is found", f"nothing of {len(self.by)} boxes")
        order = np.argsort(-self.scores, kind="stable")
        scores, hits = self.scores[order], np.cumsum(self.hit[order])
        f1 = 2 * hits / (np.arange(1, len(scores) + 1) + len(self.by))
        ends = np.flatnonzero(np.r_[scores[1:] < scores[:-1], True])  # a threshold parts no two that are the same
        last = int(ends[f1[ends].argmax()])
        below = scores[last + 1] if last + 1 < len(scores) else 0.0
        return float((scores[last] + below) / 2)

    def precise(self, promised: float) -> float:
        """The lowest threshold from which on the interval of precision lies above a promise, at every one tried.

        Each threshold would be one more chance to be lucky, so they are tested in a fixed sequence (Maurer, Hothorn and
        Lehmacher 1995): from that of as many of the surest boxes as could keep the promise with a few wrong ones among
        them, whichever these are, down to the first at which the interval does not. Then all together promise too much
        as rarely as one alone.

        Raises:
            UsageError: a promise outside (0, 1). SupportError: the boxes do not support it where the sequence begins.
        """
        check_promise(promised)
        falling = np.sort(self.scores)[::-1]
        least = ndtri((1 + CONFIDENCE) / 2) ** 2 * promised / (1 - promised)  # that show it if all are right (Wilson)
        first = min(math.ceil(SPARE * least), len(falling))
        counts = np.unique(np.geomspace(max(first, 1), max(len(falling), 1), TRIED).round().astype(np.int64))
        kept = None
        for level in falling[counts - 1].tolist() if len(falling) else []:
            low = self.precision(level)
            if low is None or low.low < promised:
                break
            kept = level
        if kept is None:
            right = int(self.hit[self.scores >= falling[first - 1]].sum()) if first else 0
            raise SupportError(
                f"Boxes to promise a precision of {promised:g} show it with their interval",
                f"{right} right ones of the {first} surest, which do not",
                "Bring more pictures, or promise less.",
            )
        return kept


def check_promise(precision: float) -> None:
    """Refuses what no boxes could keep, or all.

    Raises:
        UsageError: a precision outside (0, 1).
    """
    if not 0 < precision < 1:
        raise UsageError("A promised precision is between 0 and 1", precision, "0.9 is usual.")


@final
@dataclass(frozen=True)
class ScoreCalibration:
    """From which score on a box counts.

    Attributes:
        model: fingerprint of the model it is for.
        threshold: the score, in [0, 1].
        promised: precision that is promised, at 95%; None where F1 is highest.
        precision, recall: measured at it on the pictures it was set on; the first None where no box has the score.
        pictures, boxes: how many there were.
        data: where they came from, in words.
    """

    model: str
    threshold: float
    promised: float | None
    precision: Estimate | None
    recall: Estimate | None
    pictures: int
    boxes: int
    data: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def said(self) -> str:
        """How it was chosen, in words."""
        how = "F1 is highest" if self.promised is None else f"precision is {self.promised:g} or more, at 95%"
        return f"from where {how} on {self.pictures:,} pictures with {self.boxes:,} boxes of {self.data}"

    def to_json(self) -> str:
        """The content of calibration.json."""
        return json.dumps(self.as_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ScoreCalibration:
        """Inverse of `to_json`.

        Raises:
            ModelError: damaged, or of a model for another task.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            for name in ("precision", "recall"):
                values[name] = None if values[name] is None else Estimate(**values[name])
            found = cls(**values)
            if not 0 <= found.threshold <= 1:
                raise ValueError(f"threshold {found.threshold}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError("A calibration is complete", str(error), "Calibrate the model again.") from error
        return found


def calibrated(found: Found, model: str, pictures: int, data: str, promised: float | None = None) -> ScoreCalibration:
    """The threshold that pictures which training did not use show to be best, or right for a promised precision.

    Raises:
        DataError, SupportError, UsageError: see `Found`.
    """
    threshold = found.best() if promised is None else found.precise(promised)
    return ScoreCalibration(
        model, threshold, promised, found.precision(threshold), found.recall(threshold), pictures, len(found.by), data
    )
