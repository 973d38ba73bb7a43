"""How well boxes are found: average precision as COCO has it, with intervals, and what a score is worth.

The figures are those of pycocotools' COCOeval, `map` its stats[0] and `map_50` its stats[1]: greedy matching by
falling score, precision made to never fall and read off at 101 recalls, at most 100 boxes of a class in a picture,
ignored boxes as its crowds. A class without a box that counts has no figure and does not enter the means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from scipy.special import expit, logit, stdtrit

from likewise.data import BoxSet
from likewise.errors import DataError, UsageError
from likewise.metrics.box_matching import Detections, Flags, Floats, IntArray, Matches, match
from likewise.metrics.estimate import Estimate
from likewise.metrics.intervals import CONFIDENCE, wilson

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
RECALLS: Floats = np.linspace(0.0, 1.0, 101)
MOST = 100  # boxes of a class in a picture
DRAWS = 500  # of a bootstrap
LEAST_UNITS = 2  # pictures, or groups, that tell of a spread
CERTAIN = 1e-9  # from 0 or 1 is rounding
AT_ONCE = 1 << 22  # numbers of a block of draws


@final
@dataclass(frozen=True)
class ClassPrecision:
    """Average precision of one class.

    Attributes:
        name: of the class.
        boxes: that count.
        average_precision: mean over intersections over union of 0.5 to 0.95; NaN where there are no boxes.
        average_precision_50: at 0.5.
    """

    name: str
    boxes: int
    average_precision: float
    average_precision_50: float


@final
@dataclass(frozen=True)
class AtScore:
    """What is found from a score on, at an overlap of 0.5, all classes together.

    Attributes:
        score: boxes of at least this score count as found.
        precision: share of these that show something; NaN where nothing is found.
        recall: share of boxes that are found.
    """

    score: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where nothing is right."""
        return 2 * self.precision * self.recall / (self.precision + self.recall) if self.recall else 0.0


@final
@dataclass(frozen=True, eq=False)
class Detection:
    """How well boxes were found.

    Attributes:
        map: mean average precision over classes and overlaps of 0.5 to 0.95, with its interval over pictures.
        map_50: over classes at an overlap of 0.5.
        classes: each alone.
        best: the score with the highest F1; None where nothing was found.
        pictures: how many.
        boxes: in them that count.
        found: that were looked at.
        scores: (S,) falling, each once.
        right: (S,) boxes that were found, from that score on.
        wrong: (S,) what was found and is not there.
    """

    map: Estimate
    map_50: Estimate
    classes: tuple[ClassPrecision, ...]
    best: AtScore | None
    pictures: int
    boxes: int
    found: int
    scores: Floats
    right: IntArray
    wrong: IntArray

    def at(self, score: float) -> AtScore:
        """Precision and recall of what has at least this score."""
        last = int(np.searchsorted(-self.scores, -score, side="right")) - 1
        right, wrong = (int(self.right[last]), int(self.wrong[last])) if last >= 0 else (0, 0)
        return AtScore(score, right / (right + wrong) if right + wrong else float("nan"), right / self.boxes)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the curve."""
        best = self.best
        return {
            "map": self.map.as_dict(),
            "map_50": self.map_50.as_dict(),
            "classes": {
                each.name: {
                    "boxes": each.boxes,
                    "average_precision": each.average_precision,
                    "average_precision_50": each.average_precision_50,
                }
                for each in self.classes
            },
            "best": None
            if best is None
            else {"score": best.score, "precision": best.precision, "recall": best.recall, "f1": best.f1},
            "pictures": self.pictures,
            "boxes": self.boxes,
            "found": self.found,
        }


def detection(truth: BoxSet, found: Detections, *, most: int = MOST, draws: int = DRAWS, seed: int = 0) -> Detection:
    """Compares what was found with what there is.

    Intervals, at 95%, come from a bootstrap over groups of pictures, or over pictures where there are no groups: what
    is in one picture is found, or missed, together. Where all draws agree on 0 or 1 it is Wilson's for as many trials.

    Args:
        truth: N pictures.
        found: of the same pictures in the same order.
        most: that count of each class in each picture, the surest.
        draws: of the bootstrap; 0 for intervals that say nothing, from 0 to 1.
        seed: of these.

    Raises:
        DataError: there is no box to be found, or `found` is of other pictures or classes.
        UsageError: `most` below 1, or `draws` below 0.
    """
    if most < 1 or draws < 0:
        raise UsageError("At least 1 box counts, in 0 or more draws", f"{most} and {draws}")
    there = truth.picture_of[~truth.every_ignored]
    label = truth.every_label[~truth.every_ignored]
    if not len(there):
        raise DataError("To measure takes a box that is not ignored", f"none in {len(truth)} pictures")
    matches = match(truth, found, THRESHOLDS, most)
    counts = np.bincount(label, minlength=len(truth.names))
    once = np.ones((1, len(truth)))
    precision = average_precision(matches, there, label, len(truth.names), once)[0]
    unit = np.arange(len(truth)) if truth.groups is None else np.unique(truth.groups, return_inverse=True)[1]
    units = int(unit.max()) + 1
    drawn = _drawn(units, draws, seed)[:, unit] if units >= LEAST_UNITS else np.empty((0, len(truth)))
    again = average_precision(matches, there, label, len(truth.names), drawn)
    showing = len(np.unique(unit[there]))
    scores, right, wrong = _curve(matches)
    result = Detection(
        map=_estimate(precision, again, showing, lambda each: each),
        map_50=_estimate(precision, again, showing, lambda each: each[..., :1]),
        classes=tuple(
            ClassPrecision(name, int(count), float(of_class.mean()), float(of_class[0]))
            for name, count, of_class in zip(truth.names, counts, precision, strict=True)
        ),
        best=None,
        pictures=len(truth),
        boxes=len(there),
        found=len(matches.score),
        scores=scores,
        right=right,
        wrong=wrong,
    )
    return result if not len(scores) else _with_best(result)


def average_precision(
    matches: Matches, there: IntArray, label: IntArray, classes: int, weights: Floats, recalls: Floats = RECALLS
) -> Floats:
    """Average precision of each class, where pictures count as often as `weights` say.

    Args:
        matches: M boxes that were found, at T thresholds.
        there: (P,) pictures of the boxes that are to be found.
        label: (P,) their classes.
        classes: C, how many there are.
        weights: (R, N) how often each picture counts.
        recalls: at which precision is read off.

    Returns:
        (R, C, T); NaN where a class has no box.
    """
    found = np.full((len(weights), classes, len(matches.hit)), np.nan)
    begin = np.searchsorted(matches.label, np.arange(classes + 1))
    for of_class in np.unique(label).tolist():
        mine = slice(int(begin[of_class]), int(begin[of_class + 1]))
        picture, targets = matches.picture[mine], there[label == of_class]
        for start in range(0, len(weights), block := max(1, AT_ONCE // max(1, len(picture)))):
            some = weights[start : start + block]
            positives = some[:, targets].sum(axis=1)
            weight = some[:, picture]
            for level, (hit, void) in enumerate(zip(matches.hit[:, mine], matches.void[:, mine], strict=True)):
                found[start : start + block, of_class, level] = _interpolated(weight, hit, void, positives, recalls)
    return found


def _interpolated(weight: Floats, hit: Flags, void: Flags, positives: Floats, recalls: Floats) -> Floats:
    """(R,) mean over `recalls` of the precision there, made to never fall, of boxes (R, M) by falling score."""
    rows, count = weight.shape
    right, wrong = np.cumsum(weight * hit, axis=1), np.cumsum(weight * ~(hit | void), axis=1)
    precision = right / (right + wrong + np.spacing(1.0))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # How many must be right for each recall: the least whole number of which right / all is not below it.
    every = np.maximum(positives, 1)[:, None]
    needed = np.ceil(recalls * every)
    needed -= (needed - 1) / every >= recalls
    needed += needed / every < recalls
    # One search for all rows, as each lies in an interval of its own; whole numbers, so that nothing is rounded.
    apart = (every.max() + 2) * np.arange(rows)[:, None]
    place = np.searchsorted((right + apart).ravel(), (needed + apart).ravel(), side="left")
    place = place.reshape(rows, -1) - count * np.arange(rows)[:, None]
    read = np.take_along_axis(np.pad(precision, ((0, 0), (0, 1))), np.clip(place, 0, count), axis=1)
    return np.where(positives > 0, read.mean(axis=1), np.nan)


def _drawn(units: int, draws: int, seed: int) -> Floats:
    """(draws, units) how often each is drawn, with replacement."""
    return np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)


def _estimate(precision: Floats, again: Floats, units: int, chosen: Callable[[Floats], Floats]) -> Estimate:
    """The mean over classes and `chosen` thresholds, (C, T) once and (R, C, T) drawn, with its interval.

    Drawn sets are a little better than the whole, as precision is made to never fall; by so much the whole is taken to
    be better than the truth. What is left is Student's interval of log-odds, with the spread of the draws.
    """
    value = float(np.nanmean(chosen(precision)))
    drawn = chosen(again)
    drawn = drawn[~np.isnan(drawn).all(axis=(1, 2))]  # of which some have a box at all
    if len(drawn) < LEAST_UNITS:
        return Estimate(value, 0.0, 1.0)
    means = np.nanmean(drawn, axis=(1, 2))
    if np.ptp(means) < CERTAIN and min(value, 1 - value) < CERTAIN:
        return wilson(round(value), units)
    middle = float(np.clip(2 * value - means.mean(), value / 2, (1 + value) / 2))
    reach = stdtrit(max(1, units - 1), (1 + CONFIDENCE) / 2) * means.std(ddof=1) / (middle * (1 - middle))
    low, high = expit(logit(middle) + np.array([-reach, reach]))
    return Estimate(value, min(float(low), value), max(float(high), value))


def _curve(matches: Matches) -> tuple[Floats, IntArray, IntArray]:
    """Scores, falling, and how many were right and wrong from each on, at the lowest threshold."""
    order = np.argsort(-matches.score, kind="stable")
    score, hit, void = matches.score[order], matches.hit[0, order], matches.void[0, order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], len(score) > 0))
    return score[last], np.cumsum(hit)[last], np.cumsum(~(hit | void))[last]


def _with_best(result: Detection) -> Detection:
    # F1 is 2 right / (found + boxes), which needs no division by nothing.
    f1 = 2 * result.right / (result.right + result.wrong + result.boxes)
    return replace(result, best=result.at(float(result.scores[int(np.argmax(f1))])))
