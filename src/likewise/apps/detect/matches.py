"""Which boxes that were found are of things that are there, and which things were missed, picture by picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.detect.boxes import Boxes
from likewise.apps.detect.scores import Found
from likewise.data import BoxSet
from likewise.metrics.box_matching import Detections, match

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


def detections_of(found: Sequence[Boxes]) -> Detections:
    """What was found in each picture, to be compared with what is there."""
    return Detections([each.boxes for each in found], [each.labels for each in found], [each.scores for each in found])


def matches_of(found: Sequence[Boxes], data: BoxSet) -> list[Match]:
    """Of each picture, its boxes matched at an overlap of 0.5; see `likewise.metrics.box_matching.match`."""
    counts = [len(each) for each in found]
    matches = match(data, detections_of(found), np.array([OVERLAP]), most=max([1, *counts]))
    hit, counted = np.zeros(sum(counts), np.bool_), np.ones(sum(counts), np.bool_)
    hit[matches.row], counted[matches.row] = matches.hit[0], ~matches.void[0]
    by = np.where(data.every_ignored, np.nan, np.append(matches.score, 0.0)[matches.by[0]])
    ends = np.cumsum(counts)[:-1]
    there = np.cumsum([len(each) for each in data.boxes])[:-1]
    rows = zip(np.split(hit, ends), np.split(counted, ends), np.split(by, there), strict=True)
    return [Match(*row) for row in rows]


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
