"""Which of the boxes that were found show something: COCO's greedy matching, many pictures and thresholds at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.data import BoxSet
from likewise.errors import DataError
from likewise.objective.boxes import iou_rowwise, sized_to_corners

Floats: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

ROUNDING = 1e-10  # an overlap of 1 counts as reaching a threshold of 1, as pycocotools has it
AT_ONCE = 1 << 23  # cells of boxes x thresholds x boxes that are held


@final
@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in pictures.

    Attributes:
        boxes: of each picture (k, 4): x and y of the top left corner, width and height, in pixels.
        labels: of each (k,) classes.
        scores: of each (k,), higher where it is surer.
    """

    boxes: Sequence[Floats]
    labels: Sequence[IntArray]
    scores: Sequence[Floats]

    def __post_init__(self) -> None:
        """Raises DataError for columns that do not fit together, and for numbers that are none."""
        for column in (self.labels, self.scores):
            if [len(each) for each in column] != [len(each) for each in self.boxes]:
                raise DataError("Each box that was found has a label and a score", "another number of them")
        if not all(np.isfinite(each).all() for column in (self.boxes, self.scores) for each in column):
            raise DataError("Boxes that were found, and their scores, are finite numbers", "NaN or infinity")

    def __len__(self) -> int:
        return len(self.boxes)


@final
@dataclass(frozen=True, eq=False)
class Matches:
    """Boxes that were found, by class and falling score, and what each of them shows at each of T thresholds.

    Attributes:
        row: (M,) where it stands among all that were found, picture after picture.
        picture: (M,) in which it was found.
        label: (M,) its class, never falling.
        score: (M,).
        hit: (T, M) whether it shows a box that no surer one of its picture shows.
        void: (T, M) whether it shows only what is ignored, and is not counted.
        by: (T, P) for each box that is there the one of the M that shows it, -1 where none does.
    """

    row: IntArray
    picture: IntArray
    label: IntArray
    score: Floats
    hit: Flags
    void: Flags
    by: IntArray


def match(truth: BoxSet, found: Detections, thresholds: Floats, most: int) -> Matches:
    """Matches what was found with what there is, class by class.

    In falling order of their scores, each takes the box that it overlaps most and that is not taken yet, if by at
    least the threshold; else, if it overlaps an ignored one so, it does not count. What part of an ignored box it
    covers is taken of its own area, and any number may lie in one, as in COCO's crowds.

    Args:
        truth: N pictures.
        found: of the same pictures.
        thresholds: (T,) of intersection over union.
        most: that count of each class in each picture, the surest.

    Raises:
        DataError: of another number of pictures, or classes that there are not.
    """
    if len(found) != len(truth):
        raise DataError("What was found is of the pictures it is compared with", f"{len(found)} and {len(truth)}")
    label = np.concatenate([np.empty(0, np.int64), *found.labels])
    if len(label) and not 0 <= label.min() <= label.max() < len(truth.names):
        raise DataError("What was found is of known classes", f"{label.min()} to {label.max()} of {len(truth.names)}")
    picture = np.repeat(np.arange(len(found)), [len(each) for each in found.boxes])
    score = np.concatenate([np.empty(0), *found.scores]).astype(np.float64)
    boxes = np.concatenate([np.empty((0, 4)), *found.boxes]).astype(np.float64)
    order = np.lexsort((-score, label, picture))
    rank = _rank(picture[order], label[order])
    order, rank = order[rank < most], rank[rank < most]
    picture, label, score, boxes = picture[order], label[order], score[order], boxes[order]
    classes = max(1, len(truth.names))
    group = truth.picture_of * classes + truth.every_label
    there = np.argsort(group, kind="stable")
    hit, void, taken = _matched(
        _Ragged(picture * classes + label, boxes, np.zeros(len(boxes), np.bool_)),
        _Ragged(group[there], truth.every_box[there], truth.every_ignored[there]),
        np.minimum(thresholds, 1 - ROUNDING),
    )
    by_class = np.lexsort((rank, picture, -score, label))
    place = np.append(np.argsort(by_class), -1)  # of each in that order; the last for -1
    by = np.empty_like(taken)
    by[:, there] = place[taken]
    return Matches(
        order[by_class], picture[by_class], label[by_class], score[by_class], hit[:, by_class], void[:, by_class], by
    )


@final
@dataclass(frozen=True, eq=False)
class _Ragged:
    """Boxes by group (a picture and a class), which never falls; `ignored` of those found says nothing."""

    group: IntArray
    boxes: Floats
    ignored: Flags


def _rank(*keys: IntArray) -> IntArray:
    """(M,) the place of each in the run of those with its keys."""
    place = np.arange(len(keys[0]))
    new = np.ones(len(place), np.bool_)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return place - np.maximum.accumulate(np.where(new, place, 0))


def _matched(found: _Ragged, truth: _Ragged, thresholds: Floats) -> tuple[Flags, Flags, IntArray]:
    """(T, M) which are hits, (T, M) which are void, and (T, P) what shows each box that is there, or -1.

    Groups with about as many boxes in truth go together.
    """
    hit = np.zeros((len(thresholds), len(found.boxes)), np.bool_)
    void = np.zeros_like(hit)
    taken = np.full((len(thresholds), len(truth.boxes)), -1)
    groups, first, count = np.unique(found.group, return_index=True, return_counts=True)
    start = np.searchsorted(truth.group, groups)
    there = np.searchsorted(truth.group, groups, side="right") - start
    width = np.ceil(np.log2(np.maximum(there, 1))).astype(np.int64)
    for power in np.unique(width[there > 0]).tolist():
        chosen = np.flatnonzero((there > 0) & (width == power))
        chosen = chosen[np.argsort(-count[chosen], kind="stable")]
        rows = max(1, AT_ONCE // (len(thresholds) << power))
        for begin in range(0, len(chosen), rows):
            some = chosen[begin : begin + rows]
            _match_groups(
                found, truth, thresholds, first[some], count[some], start[some], there[some], hit, void, taken
            )
    return hit, void, taken


def _match_groups(
    found: _Ragged, truth: _Ragged, thresholds: Floats, first: IntArray, count: IntArray, start: IntArray,
    there: IntArray, hit: Flags, void: Flags, taken: IntArray,
) -> None:  # fmt: skip
    """Matches groups, those with most boxes found first; writes into `hit`, `void` and `taken`."""
    place = np.arange(int(there.max()))
    within = place < there[:, None]
    rows = np.where(within, start[:, None] + place, 0)
    corners = sized_to_corners(torch.from_numpy(truth.boxes[rows]))
    ignored = truth.ignored[rows] & within
    crowd = torch.from_numpy(ignored)
    # (groups, T, boxes): what may still be taken; an ignored one may be again and again
    free = np.repeat((within & ~ignored)[:, None], len(thresholds), axis=1)
    for turn in range(int(count[0])):
        taking = int(np.searchsorted(-count, -turn))  # groups with more boxes than this
        now = first[:taking] + turn
        own = sized_to_corners(torch.from_numpy(found.boxes[now]))[:, None]
        overlap = iou_rowwise(own, corners[:taking], crowd[:taking]).numpy()
        enough = overlap[:, None] >= thresholds[:, None]
        real = enough & free[:taking]
        best = len(place) - 1 - np.where(real, overlap[:, None], -1.0)[..., ::-1].argmax(axis=2)  # the last of equals
        hits = real.any(axis=2)
        group, level = np.nonzero(hits)
        free[group, level, best[group, level]] = False
        taken[level, start[group] + best[group, level]] = now[group]
        hit[:, now] = hits.T
        void[:, now] = (~hits & (enough & ignored[:taking, None]).any(axis=2)).T
