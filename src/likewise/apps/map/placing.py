"""Where the names of classes go on a map: inside its frame, apart from each other, over as few dots as can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

CELL = 4  # pixels: names are moved in steps of this
COVER = 0.5  # of the dots of a class: a name over so many is as bad as one that is
REACH = 0.25  # of the frame's longer side away from them
CENTRED = 0.1  # what the way to a name's middle counts, beside the way to its edge
WORST = 0.4  # of that badness; a name for which there is no better place is left out


class Place(NamedTuple):
    """Where a name is written, in pixels.

    Attributes:
        x, y: of its lower left corner.
        dot: (2,) the dot of its class that it is written next to.
        gap: from that dot to its edge.
    """

    x: float
    y: float
    dot: Floats
    gap: float


def places(
    dots: Floats, of_item: NDArray[np.integer], boxes: Floats, frame: Sequence[float], radius: float
) -> list[Place | None]:
    """A place for each class's name, or None where there is no good one.

    One name after another is tried at every step of the frame where it touches none before. What counts against a
    place is how far it is from the class's middle dot, and the share of its dots that it covers, summed over classes
    and squared: a few of the dots of a cloud are no loss, but a small one is gone. With a table of sums (Crow 1984,
    doi:10.1145/800031.808600) the share takes four additions, however many dots there are.

    Args:
        dots: (N, 2), in pixels.
        of_item: (N,) class of each dot, from 0.
        boxes: (C, 2) width and height of the names of the first C classes, with the room that is to be about them.
        frame: left, bottom, right and top.
        radius: of a dot.
    """
    origin = np.array(frame[:2])
    columns, rows = (int((high - low) // CELL) for low, high in zip(frame[:2], frame[2:], strict=True))
    edge = math.ceil(radius / CELL)  # a dot is covered in part by what is this near to its middle
    column, row = np.clip(np.floor((dots - origin) / CELL).astype(int), 0, (columns - 1, rows - 1)).T + edge
    sums = np.zeros((rows + 2 * edge + 1, columns + 2 * edge + 1))
    np.add.at(sums, (row + 1, column + 1), 1 / np.bincount(of_item)[of_item])
    sums = sums.cumsum(axis=0).cumsum(axis=1)

    found: list[Place | None] = []
    taken: list[tuple[int, int, int, int]] = []  # column, row, width and height of the names before
    for number, (width, height) in enumerate(np.ceil(boxes / CELL).astype(int).tolist()):
        dot = _middle(dots[of_item == number])
        if width > columns or height > rows:
            found.append(None)
            continue
        w, h = width + 2 * edge, height + 2 * edge
        covered = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]  # of every place, by row and column
        (gap_x, off_x), (gap_y, off_y) = (
            _apart(steps, size, at)
            for steps, size, at in zip(covered.shape[::-1], (width, height), (dot - origin) / CELL, strict=True)
        )
        gap = np.hypot(gap_x, gap_y[:, None])
        far = gap + CENTRED * np.hypot(off_x, off_y[:, None])
        badness = (covered / COVER) ** 2 + far / (REACH * max(columns, rows))
        for c, r, other_width, other_height in taken:
            badness[max(0, r - height + 1) : r + other_height, max(0, c - width + 1) : c + other_width] = np.inf
        r, c = np.unravel_index(int(badness.argmin()), badness.shape)
        if badness[r, c] > WORST:
            found.append(None)
            continue
        taken.append((int(c), int(r), width, height))
        x, y = (origin + CELL * np.array([c, r])).tolist()
        found.append(Place(x, y, dot, CELL * float(gap[r, c])))
    return found


def _middle(dots: Floats) -> Floats:
    """The dot nearest to the median: where a class lies in two places, the median may lie in neither."""
    return dots[np.square(dots - np.median(dots, axis=0)).sum(axis=1).argmin()]


def _apart(steps: int, size: int, at: float) -> tuple[Floats, Floats]:
    """Of boxes that begin at 0, 1, ...: how far `at` is outside of them, and how far from their middle."""
    begins = np.arange(steps)
    return np.maximum(np.maximum(begins - at, at - (begins + size)), 0), begins + size / 2 - at
