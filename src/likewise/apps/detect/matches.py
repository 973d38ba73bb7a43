"""Which boxes that were found are of things that are there, and which things were missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.apps.detect.boxes import Boxes
from likewise.apps.detect.scores import Found
from likewise.data import BoxSet
from likewise.objective.boxes import iou_between, sized_to_corners

OVERLAP = 0.5  # intersection over union of a hit

Flags = NDArray[np.bool_]


@final
@dataclass(frozen=True, eq=False)
class Match:
    """What became of the boxes of one picture.

    Attributes:
        hit: (k,) whether each box found is of a thing that is there, and of none that a surer one is of.
        counted: (k,) whether it counts; not where it lies on something that is ignored.
        by: (t,) the score of the box that found each thing that is there; 0 where none did, NaN of ignored ones.
    """

    hit: Flags
    counted: Flags
    by: NDArray[np.float64]


def matched(found: Boxes, boxes: NDArray[np.float64], labels: NDArray[np.int64], ignored: Flags) -> Match:
    """Boxes that were found, the surest first, with those that are there (t, 4), labels (t,) and whether ignored (t,).

    As `likewise.metrics.boxes` matches at 0.5, which does not say what was missed: each takes the thing of its class
    that it overlaps most, and who comes second is wrong.
    """
    hit, counted = np.zeros(len(found), bool), np.ones(len(found), bool)
    by = np.where(ignored, np.nan, 0.0)
    if not len(found) or not len(boxes):
        return Match(hit, counted, by)
    corners = (sized_to_corners(torch.from_numpy(each)) for each in (found.boxes, boxes))
    overlap = iou_between(*corners, crowd=torch.from_numpy(ignored)).numpy()
    overlap[found.labels[:, None] != labels[None, :]] = 0
    free = np.ones(len(boxes), bool)
    for k, row in enumerate(overlap):
        open_ = np.where(free & ~ignored, row, 0.0)
        best = int(open_.argmax())
        if open_[best] >= OVERLAP:
            hit[k], free[best], by[best] = True, False, found.scores[k]
        elif (row[ignored] >= OVERLAP).any():
            counted[k] = False
    return Match(hit, counted, by)


def matches_of(found: Sequence[Boxes], data: BoxSet) -> list[Match]:
    """Of each picture; see `matched`."""
    rows = zip(found, data.boxes, data.labels, data.ignored, strict=True)
    return [matched(*row) for row in rows]


def found_in(found: Sequence[Boxes], matches: Sequence[Match], data: BoxSet) -> Found:
    """All pictures together, for a threshold to be set on; `matches` are those of each."""
    sample = np.arange(len(data)) if data.groups is None else data.groups
    return Found(
        scores=np.concatenate([np.empty(0), *(f.scores[m.counted] for f, m in zip(found, matches, strict=True))]),
        hit=np.concatenate([np.empty(0, bool), *(m.hit[m.counted] for m in matches)]),
        picture=np.repeat(sample, [int(m.counted.sum()) for m in matches]),
        by=np.concatenate([np.empty(0), *(m.by[~np.isnan(m.by)] for m in matches)]),
        there=np.repeat(sample, [int((~np.isnan(m.by)).sum()) for m in matches]),
    )
