"""The hardest pairs that have no item in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from likewise.metrics import HardestPairs, Pair, hardest_pairs
from likewise.objective.distances import Distance

AT_A_TIME = 200  # pairs looked for in what is left


def hardest_apart(
    hardest: HardestPairs, embeddings: Tensor, labels: Tensor, distance: Distance, count: int
) -> HardestPairs:
    """The hardest pairs, in order, each without the items of all harder ones.

    A single odd item, such as a mislabelled one, is in as many hard pairs as it has partners, and would fill a picture.
    Where `hardest` holds too few pairs apart from each other, those of the items that are left follow: there are fewer
    than `count` only where there are no more.

    Args:
        hardest: the hardest pairs of all, as many as there are or enough to begin with.
        embeddings: (N, D).
        labels: (N,) integers.
        distance: what compares them.
        count: most pairs of each kind.
    """

    def apart(kind: Literal["different", "same"]) -> tuple[Pair, ...]:
        found: list[Pair] = []
        left = torch.arange(len(labels))  # places of the items that are in no pair yet
        pairs: Sequence[Pair] = getattr(hardest, kind)
        while pairs:
            seen: set[int] = set()
            for first, second, far in pairs:
                if not seen & {first, second}:
                    seen |= {first, second}
                    found.append(Pair(int(left[first]), int(left[second]), far))
            if len(found) >= count:
                break
            unseen = torch.ones(len(left), dtype=torch.bool)
            unseen[list(seen)] = False
            left = left[unseen]
            pairs = getattr(hardest_pairs(embeddings[left], labels[left], distance, count=AT_A_TIME), kind)
        return tuple(found[:count])

    return HardestPairs(different=apart("different"), same=apart("same"))
