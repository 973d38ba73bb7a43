"""The one place that walks over all pairs: block by block, never N x N.

A block holds the distances between a run of rows and a run of columns. Blocks are made when asked for, so
whoever reads them keeps one at a time and memory stays at a few blocks however many items there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from likewise.objective.distances import Distance

BLOCK = 1 << 20  # distances in a block: 4 MB, which stays in the processor's cache while it is counted
STRIP = (
    1 << 23
)  # distances of some queries to a whole gallery: with few queries, preparing it would be most of the work
COLUMNS = 2048  # gallery items compared at once


class Block(NamedTuple):
    """The distances between a run of rows and a run of columns.

    Attributes:
        rows: which items the rows are.
        columns: which items the columns are.
        distances: (r, c) float32; the reader may overwrite it.
        mask: (r, c) bool, True where an entry counts; None when all of them do.
    """

    rows: slice
    columns: slice
    distances: Tensor
    mask: Tensor | None


def upper_blocks(embeddings: Tensor, distance: Distance, block: int = BLOCK) -> Iterator[Block]:
    """Every unordered pair of different items exactly once, in square blocks of the upper triangle.

    The distance is taken to be symmetric: only d(i, j) with i < j is asked for.

    Args:
        embeddings: (N, D) float32.
        distance: what compares them.
        block: most distances in a block, 4 bytes each.

    Yields:
        Blocks with ``rows.start <= columns.start``. Blocks on the diagonal carry a mask of their strict upper
        triangle, the others none.
    """
    side = max(isqrt(block), 1)
    for top in range(0, len(embeddings), side):
        for left in range(top, len(embeddings), side):
            rows, columns = (slice(start, min(start + side, len(embeddings))) for start in (top, left))
            distances = _between(embeddings[rows], embeddings[columns], distance)
            mask = torch.ones_like(distances, dtype=torch.bool).triu_(diagonal=1) if left == top else None
            yield Block(rows, columns, distances, mask)


def cross_blocks(queries: Tensor, gallery: Tensor, distance: Distance, block: int = STRIP) -> Iterator[Block]:
    """Every query against the whole gallery: each block is a run of queries by all gallery items.

    A distance prepares both sides before it compares them (Euclidean: wider numbers, centred). So the block is larger
    than that of `upper_blocks`, for many queries to share that work, and is filled a piece of the gallery at a time.

    Args:
        queries: (Q, D) float32, the rows.
        gallery: (G, D) float32, the columns.
        distance: what compares them.
        block: most distances in a block, 4 bytes each; one row is the least.

    Yields:
        Blocks whose columns are the whole gallery; all entries count.
    """
    height = max(block // max(len(gallery), 1), 1)
    for top in range(0, len(queries), height):
        rows = slice(top, min(top + height, len(queries)))
        distances = torch.empty(rows.stop - rows.start, len(gallery))
        for left in range(0, len(gallery), COLUMNS):
            columns = slice(left, min(left + COLUMNS, len(gallery)))
            distances[:, columns] = _between(queries[rows], gallery[columns], distance)
        yield Block(rows, slice(0, len(gallery)), distances, None)


def _between(a: Tensor, b: Tensor, distance: Distance) -> Tensor:
    with torch.no_grad():  # here, not around a loop: a generator would leave it on for its reader
        return distance.between(a, b).float()
