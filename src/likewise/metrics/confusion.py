"""Where a model goes wrong: which identities it takes for which, and its hardest pairs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from likewise.metrics.inputs import Array, checked
from likewise.metrics.neighbours import neighbours
from likewise.metrics.pairs import BLOCK, upper_blocks
from likewise.objective.distances import Distance


@dataclass(frozen=True)
class Confusion:
    """One identity taken for another.

    Attributes:
        identity: the label of the items.
        taken_for: the label of the item nearest to them.
        items: how many items of `identity` that happened to.
        share: of all items of `identity`, in (0, 1].
    """

    identity: int
    taken_for: int
    items: int
    share: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def confusions(
    embeddings: Array, labels: Array, distance: Distance, *, top: int = 20, block: int = BLOCK
) -> tuple[Confusion, ...]:
    """Which identities are taken for which others most often, by the nearest item of each item.

    Only what happened is listed, the most frequent first; an identity with a single item is left out, because
    its nearest item cannot be right.

    Args:
        embeddings: (N, D), N >= 2.
        labels: (N,) integers.
        distance: what compares them.
        top: most entries in the list.
        block: most distances held at once.

    Raises:
        DataError: see `checked`.
    """
    vectors, ids = checked(embeddings, labels)
    nearest = ids[neighbours(vectors, distance, 1, block=block).indices[:, 0]]
    _, number, sizes = ids.unique(return_inverse=True, return_counts=True)
    size = sizes[number]
    wrong = (nearest != ids) & (size > 1)
    pairs, counts = torch.stack([ids[wrong], nearest[wrong], size[wrong]], dim=1).unique(dim=0, return_counts=True)
    order = counts.argsort(descending=True, stable=True)[:top]
    return tuple(
        Confusion(identity, other, count, count / among)
        for (identity, other, among), count in zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    )


class Pair(NamedTuple):
    """Two items, by position, and the distance between them; `first` < `second`."""

    first: int
    second: int
    distance: float


@dataclass(frozen=True)
class HardestPairs:
    """The pairs a threshold is most likely to get wrong.

    Attributes:
        different: the closest pairs of different identities, closest first.
        same: the furthest pairs of the same identity, furthest first.
    """

    different: tuple[Pair, ...]
    same: tuple[Pair, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: lists of ``first``, ``second``, ``distance``."""
        return {kind: [pair._asdict() for pair in pairs] for kind, pairs in vars(self).items()}


def hardest_pairs(
    embeddings: Array, labels: Array, distance: Distance, *, count: int = 20, block: int = BLOCK
) -> HardestPairs:
    """The closest different pairs and the furthest same pairs of all there are.

    Args:
        embeddings: (N, D).
        labels: (N,) integers.
        distance: what compares them.
        count: most pairs of each kind; fewer are returned where there are fewer.
        block: most distances held at once.

    Raises:
        DataError: see `checked`.
    """
    vectors, ids = checked(embeddings, labels)
    different, same = _Smallest(count), _Smallest(count)
    for rows, columns, distances, mask in upper_blocks(vectors, distance, block):
        alike = ids[rows, None] == ids[None, columns]
        counts = torch.ones_like(alike) if mask is None else mask
        different.offer(distances, ~alike & counts, rows.start, columns.start)
        same.offer(-distances, alike & counts, rows.start, columns.start)
    return HardestPairs(
        different=tuple(different.pairs()), same=tuple(Pair(a, b, -value) for a, b, value in same.pairs())
    )


class _Smallest:
    """The smallest of all values offered, and where they were."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._values = torch.empty(0)
        self._places = torch.empty(0, 2, dtype=torch.int64)

    def offer(self, values: Tensor, eligible: Tensor, top: int, left: int) -> None:
        """Values and bool of a block (r, c) whose first entry is the pair (top, left)."""
        if len(self._values) == self._count:  # most blocks have next to nothing below what is already held
            eligible = eligible & (values < self._values[-1])
        places = eligible.nonzero()
        values = torch.cat([self._values, values[eligible]])
        places = torch.cat([self._places, places + torch.tensor([top, left])])
        self._values, order = values.topk(min(self._count, len(values)), largest=False)
        self._places = places[order]

    def pairs(self) -> list[Pair]:
        return [
            Pair(int(a), int(b), float(value))
            for (a, b), value in zip(self._places.tolist(), self._values.tolist(), strict=True)
        ]
