"""Things placed over a background without overlap: words in time, boxes in a picture.

The one rule of both: every way of placing them is as likely as any other. Placing one after the other would not give
that: what is placed first has more room than what comes last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likewise.errors import UsageError

IntArray = NDArray[np.int64]


def place(lengths: Sequence[int], room: int, rng: np.random.Generator, *, gap: int = 0) -> IntArray | None:
    """Starts of intervals in ``[0, room)`` that do not overlap, uniform over all ways there are.

    The order of n intervals and the slack around them are drawn apart: each of the n! orders leaves the same slack, and
    slack s is shared out among the n + 1 places before, between and behind them in one of (s + n choose n) ways, which
    are the choices of n of s + n positions. So there is nothing to try and nothing to reject.

    Args:
        lengths: of the intervals, each at least 1.
        room: the length they are placed in.
        rng: what the draw comes from.
        gap: least distance from the end of one to the start of the next, at least 0.

    Returns:
        (N,) starts in the order of `lengths`; None where they do not fit.

    Raises:
        UsageError: a length below 1, a gap below 0.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    n = len(sizes)
    if n and sizes.min() < 1:
        raise UsageError("What is placed has a length of at least 1", int(sizes.min()))
    if gap < 0:
        raise UsageError("A gap is at least 0", gap)
    slack = room - int(sizes.sum()) - gap * max(0, n - 1)
    if slack < 0:
        return None
    order = rng.permutation(n)
    chosen = np.sort(rng.choice(slack + n, n, replace=False))
    before = np.cumsum(sizes[order] + gap) - sizes[order] - gap  # where each starts if there is no slack
    starts = np.empty(n, dtype=np.int64)
    starts[order] = before + chosen - np.arange(n)
    return starts


def place_boxes(
    sizes: Sequence[tuple[int, int]],
    within: tuple[int, int],
    rng: np.random.Generator,
    *,
    gap: int = 0,
    tries: int = 200,
) -> list[tuple[int, int] | None]:
    """Top left corners of boxes in a picture that do not overlap.

    Whole arrangements are drawn until one has no overlap, which makes it uniform over all there are. Where none of
    `tries` has, as in a crowded picture, the boxes are placed one after the other, each uniform over what its
    predecessors leave, with as many tries each; a box that finds no room is left out.

    Args:
        sizes: height and width of each box, each at least 1.
        within: height and width of the picture.
        rng: what the draws come from.
        gap: least distance between two boxes, in rows or in columns.
        tries: draws before it is given up.

    Returns:
        For each box its row and column, or None where there was no room for it.

    Raises:
        UsageError: a size or `tries` below 1, a gap below 0.
    """
    box = np.asarray(sizes, dtype=np.int64).reshape(-1, 2)
    if (box < 1).any():
        raise UsageError("What is placed is at least 1 x 1", " x ".join(map(str, box.min(axis=0))))
    if gap < 0:
        raise UsageError("A gap is at least 0", gap)
    if tries < 1:
        raise UsageError("A place is tried at least once", tries)
    ends = np.asarray(within) - box + 1  # corners lie below these
    fitting = np.flatnonzero((ends > 0).all(axis=1))
    box, ends = box[fitting], ends[fitting]
    n = len(box)
    corners = rng.integers(0, ends, size=(tries, n, 2))
    one, other = np.triu_indices(n, 1)
    free = ~_overlap(corners[:, one], box[one], corners[:, other], box[other], gap).any(axis=1)
    found: dict[int, IntArray] = {}
    if free.any():
        found = dict(enumerate(corners[free.argmax()]))
    else:
        for i in range(n):
            drawn = rng.integers(0, ends[i], size=(tries, 1, 2))
            placed = np.array(list(found.values())).reshape(-1, 2)
            free = ~_overlap(drawn, box[i], placed, box[list(found)], gap).any(axis=1)
            if free.any():
                found[i] = drawn[free.argmax(), 0]
    result: list[tuple[int, int] | None] = [None] * len(sizes)
    for i, (row, column) in found.items():
        result[fitting[i]] = int(row), int(column)
    return result


def _overlap(a: IntArray, size_a: IntArray, b: IntArray, size_b: IntArray, gap: int) -> NDArray[np.bool_]:
    """Whether boxes are nearer than `gap` both in rows and in columns; corners and sizes are (..., 2)."""
    near = (a < b + size_b + gap) & (b < a + size_a + gap)
    return near[..., 0] & near[..., 1]
