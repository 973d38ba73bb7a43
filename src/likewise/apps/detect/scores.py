"""From which score on a box counts: where F1 is highest, or where nearly all that is found is right."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.errors import DataError, ModelError, SupportError, UsageError
from likewise.metrics import Estimate
from likewise.metrics.classification import share_right

Floats = NDArray[np.float64]
IntArray = NDArray[np.int64]
TRIED = 512  # thresholds at which a promise of precision is looked at


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

        Raises:
            UsageError: a promise outside (0, 1). SupportError: the boxes do not support it at any threshold.
        """
        if not 0 < promised < 1:
            raise UsageError("A promised precision is between 0 and 1", promised, "0.9 is usual.")
        levels = np.unique(self.scores[self.hit])
        levels = levels[np.unique(np.linspace(0, len(levels) - 1, min(TRIED, len(levels))).astype(int))]
        kept = None
        for level in levels[::-1].tolist():
            low = self.precision(level)
            if low is not None and low.low >= promised:
                kept = level
            elif kept is not None:
                break
        if kept is None:
            raise SupportError(
                f"Boxes to promise a precision of {promised:g} show it with their interval",
                f"{int(self.hit.sum())} right ones of {len(self.hit)} at no score do",
                "Bring more pictures, or promise less.",
            )
        return kept


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
