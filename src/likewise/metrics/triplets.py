"""The triplets that an embedding gets most wrong, or comes closest to."""

from __future__ import annotations

from typing import NamedTuple

import torch

from likewise.metrics.inputs import Array, checked
from likewise.metrics.pairs import STRIP, cross_blocks
from likewise.objective.distances import Distance

EACH = 2  # triplets of one identity


class Triplet(NamedTuple):
    """Three items, by position.

    Attributes:
        anchor: an item.
        positive: the farthest of its identity.
        negative: the nearest of another.
        to_positive, to_negative: how far from the anchor they are.
    """

    anchor: int
    positive: int
    negative: int
    to_positive: float
    to_negative: float

    @property
    def margin(self) -> float:
        """How much farther the negative is than the positive; below 0 where the order is wrong."""
        return self.to_negative - self.to_positive


def hardest_triplets(
    embeddings: Array, labels: Array, distance: Distance, *, count: int = 20, each: int = EACH, block: int = STRIP
) -> tuple[Triplet, ...]:
    """Of every item its farthest positive and its nearest negative; of those triplets the ones of smallest margin.

    These are the triplets that batch-hard mining (Hermans, Beyer and Leibe 2017) would find if the whole set were one
    batch. One odd item is the farthest of all others of its identity, so that an identity is anchor at most `each`
    times, and no item is in two triplets.

    Args:
        embeddings: (N, D).
        labels: (N,) integers.
        distance: what compares them.
        count: most triplets; fewer are returned where there are fewer.
        each: most triplets with an anchor of one identity.
        block: most distances held at once.

    Raises:
        DataError: see `checked`.
    """
    vectors, ids = checked(embeddings, labels)
    far, near = torch.zeros(2, len(ids))
    positive, negative = torch.zeros(2, len(ids), dtype=torch.int64)
    for rows, _, distances, _ in cross_blocks(vectors, vectors, distance, block):
        same = ids[rows, None] == ids
        near[rows], negative[rows] = distances.masked_fill(same, torch.inf).min(dim=1)
        same.diagonal(rows.start).fill_(False)
        far[rows], positive[rows] = distances.masked_fill_(~same, -torch.inf).max(dim=1)
    margin = near - far  # infinite where there is no positive, or no negative
    found: list[Triplet] = []
    used: set[int] = set()
    anchors: dict[int, int] = {}
    for anchor in margin.argsort(stable=True).tolist():
        if len(found) == count or not margin[anchor] < torch.inf:
            break
        identity, items = int(ids[anchor]), {anchor, int(positive[anchor]), int(negative[anchor])}
        if anchors.get(identity, 0) < each and not used & items:
            used |= items
            anchors[identity] = anchors.get(identity, 0) + 1
            to = float(far[anchor]), float(near[anchor])
            found.append(Triplet(anchor, int(positive[anchor]), int(negative[anchor]), *to))
    return tuple(found)
