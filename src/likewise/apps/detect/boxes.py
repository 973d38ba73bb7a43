"""Boxes that were found in pictures, and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.data import BoxSet
from likewise.errors import DataError
from likewise.media.pictures import Pixels
from likewise.prepare import Part

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class FoundBox:
    """One thing that was found.

    Attributes:
        x, y: top left corner, in pixels of the picture as it is shown, inside it.
        width, height: likewise.
        label: what it is.
        score: how sure the model is that it is there and that the box fits, in [0, 1]; no probability.
    """

    x: float
    y: float
    width: float
    height: float
    label: str
    score: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; an entry of `likewise detect --json`."""
        return asdict(self)


@final
@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one picture, the surest first.

    Attributes:
        boxes: (k, 4) x, y, width and height, in pixels, inside the picture.
        labels: (k,) int64, positions among the names of the model.
        scores: (k,) in [0, 1], falling.
        size: height and width of the picture.
    """

    boxes: Floats
    labels: NDArray[np.int64]
    scores: Floats
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, threshold: float) -> Boxes:
        """Those with at least this score."""
        return self.at(self.scores >= threshold)

    def at(self, chosen: NDArray[Any]) -> Boxes:
        """Those at some places."""
        return replace(self, boxes=self.boxes[chosen], labels=self.labels[chosen], scores=self.scores[chosen])


def relabelled(data: BoxSet, names: tuple[str, ...]) -> BoxSet:
    """The same with other names for its classes, among which its own are.

    Raises:
        DataError: boxes of a class that is not.
    """
    if data.names == names:
        return data
    place = np.array([names.index(name) if name in names else -1 for name in data.names], np.int64)
    unknown = [data.names[k] for k in np.flatnonzero((place < 0) & (data.counts() > 0))]
    if unknown:
        raise DataError(
            f"Boxes to measure are of {', '.join(names[:20])}", ", ".join(unknown), "Rename or leave out the others."
        )
    known = [place[labels] >= 0 for labels in data.labels]  # of ignored boxes the class may be any
    return replace(
        data,
        names=names,
        boxes=tuple(boxes[kept] for boxes, kept in zip(data.boxes, known, strict=True)),
        labels=tuple(place[labels[kept]] for labels, kept in zip(data.labels, known, strict=True)),
        ignored=tuple(ignored[kept] for ignored, kept in zip(data.ignored, known, strict=True)),
    )


def cut_out(picture: Pixels, box: Sequence[float], margin: float = 0.0) -> Part:
    """What a box shows, with `margin` of its sides around it, as far as the picture goes; at least a pixel.

    Its values are those of the picture, not a copy: many large boxes take no more memory than it does.
    """
    x, y, width, height = box
    left, top = max(0, int(np.floor(x - margin * width))), max(0, int(np.floor(y - margin * height)))
    right = min(picture.shape[1], int(np.ceil(x + width * (1 + margin))))
    bottom = min(picture.shape[0], int(np.ceil(y + height * (1 + margin))))
    left, top = min(left, picture.shape[1] - 1), min(top, picture.shape[0] - 1)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return Part(picture[top:bottom, left:right], (left, top, right - left, bottom - top))
