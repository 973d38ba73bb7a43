"""Exact nearest neighbours, by blocks of distances."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from likewise.errors import UsageError
from likewise.metrics.inputs import Array, checked_embeddings
from likewise.metrics.pairs import STRIP, cross_blocks
from likewise.objective.distances import Distance


class Neighbours(NamedTuple):
    """The k nearest gallery items of every query, nearest first.

    Attributes:
        distances: (Q, k) float32.
        indices: (Q, k) int64, positions in the gallery; ``labels[indices]`` are their labels.
    """

    distances: Tensor
    indices: Tensor


def neighbours(
    queries: Array, distance: Distance, k: int, *, gallery: Array | None = None, block: int = STRIP
) -> Neighbours:
    """The k nearest of a gallery for every query, compared with every item of it: nothing is approximate.

    Which of several items at the same distance is taken, and in which order, is not defined.

    Args:
        queries: (Q, D).
        distance: what compares them.
        k: how many, from 1 to the size of the gallery, itself not counted where the gallery is the query set.
        gallery: (G, D), another set to search; the queries themselves if left out, each without itself.
        block: most distances held at once.

    Raises:
        DataError: see `checked_embeddings`.
        UsageError: k outside its range.
    """
    probes = checked_embeddings(queries)
    items = probes if gallery is None else checked_embeddings(gallery)
    most = len(items) - (gallery is None)
    if not 1 <= k <= most:
        raise UsageError(
            f"k is between 1 and the {most} other items there are", k, "Ask for fewer, or give more items."
        )
    nearest = Neighbours(torch.empty(len(probes), k), torch.empty(len(probes), k, dtype=torch.int64))
    for rows, _, distances, _ in cross_blocks(probes, items, distance, block):
        if gallery is None:
            distances.diagonal(rows.start).fill_(torch.inf)
        nearest.distances[rows], nearest.indices[rows] = distances.topk(k, dim=1, largest=False)
    return nearest
