"""Who can be paired with whom in a batch: partners of the same and of other identities."""

from __future__ import annotations

from typing import final

import torch
from torch import Generator, Tensor


@final
class Partners:
    """The items of a batch in the order of identities, so that partners are found without a B x B table.

    No item is ever its own partner.

    Args:
        labels: (B,) int64.
    """

    def __init__(self, labels: Tensor) -> None:
        count = len(labels)
        everyone = torch.arange(count, device=labels.device)
        self._order = labels.argsort(stable=True)  # position in the order of identities -> item
        self._rank = torch.empty_like(everyone)  # item -> position
        self._rank[self._order] = everyone
        _, identity, sizes = labels.unique(return_inverse=True, return_counts=True)
        self.same = sizes[identity] - 1  # (B,): how many partners of the same identity each item has
        self.different = count - sizes[identity]  # (B,): and of other identities
        self.most_same = int(self.same.max()) if count else 0
        self.triplets = int((self.same * self.different).sum())  # of anchor, positive and negative
        self._start = (sizes.cumsum(dim=0) - sizes)[identity]  # where the identity begins in the order
        self.anchors = everyone[(self.same > 0) & (self.different > 0)]  # items that have both

    def all_same(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """(R,) items -> (R, K) partners of the same identity, and (R, K) bool, which entries are partners.

        K is `most_same`, the largest number of such partners any item of the batch has.
        """
        turn = torch.arange(self.most_same, device=items.device)
        return self._same(items.unsqueeze(dim=1), turn), turn < self.same[items].unsqueeze(dim=1)

    def draw_same(self, items: Tensor, generator: Generator | None) -> Tensor:
        """(R,) items that have such partners -> (R,): for each one of them, all equally likely."""
        return self._same(items, _below(self.same[items], generator))

    def draw_different(self, items: Tensor, generator: Generator | None) -> Tensor:
        """(R,) items that have such partners -> (R,): for each one of them, all equally likely."""
        place = _below(self.different[items], generator)  # in the order without the item's own identity
        place += (self.same[items] + 1) * (place >= self._start[items])
        return self._order[place]

    def _same(self, items: Tensor, turn: Tensor) -> Tensor:
        # Counted on from the item itself around its identity, which is reached again after size - 1 partners.
        size = self.same[items] + 1
        place = (self._rank[items] - self._start[items] + 1 + turn) % size
        return self._order[self._start[items] + place]


def _below(limits: Tensor, generator: Generator | None) -> Tensor:
    """A random integer in [0, limit) for each limit."""
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    # In float64, where rounding cannot reach the limit.
    share = torch.rand(limits.shape, generator=generator, device=generator.device, dtype=torch.float64)
    return (share.to(limits.device) * limits).long()
