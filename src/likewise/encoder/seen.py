"""What an encoder met on its way to its weights: remembered by content, so that paths and names may change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

PARTS = ("train", "valid", "tune", "test")  # what an item can have been used for, the hardest use first
TRAIN = 0
FITTING = ("train", "valid")  # uses after which a model does better on an item than on others
NOBODY = -1  # whose an item is that was met without being told from others, as by a detector


def _nothing() -> IntArray:
    return np.empty(0, np.int64)


@final
@dataclass(frozen=True, eq=False)
class Seen:
    """Items an encoder has met, as numbers that stand for their content and for their identity.

    Attributes:
        items: (n,) int64, rising: contents (`Dataset.contents`).
        parts: (n,) int64: the place in `PARTS` of what each was used for.
        identities: (n,) int64: whose each is (`Dataset.identity_keys`), or `NOBODY`.
    """

    items: IntArray = field(default_factory=_nothing)
    parts: IntArray = field(default_factory=_nothing)
    identities: IntArray = field(default_factory=_nothing)

    @classmethod
    def of(cls, part: str, items: IntArray, identities: IntArray) -> Seen:
        """Items (N,), copies among them or not, of one part, and the identity (N,) of each."""
        return cls(items, np.full(len(items), PARTS.index(part)), identities).joined()

    def __len__(self) -> int:
        return len(self.items)

    def joined(self, *others: Seen) -> Seen:
        """With what `others` met. Of several uses of one content the hardest stays, of equals that of the first."""
        together = (self, *others)
        items, parts, identities = (
            np.concatenate([getattr(seen, name) for seen in together]) for name in ("items", "parts", "identities")
        )
        order = np.lexsort((parts, items))
        kept = order[np.unique(items[order], return_index=True)[1]]
        return Seen(items[kept], parts[kept], identities[kept])

    def rows(self, items: IntArray) -> IntArray:
        """(N,) where contents stand here, -1 for new ones."""
        place = np.searchsorted(self.items, items)
        found = self.items[np.minimum(place, len(self) - 1)] == items if len(self) else np.zeros(len(items), bool)
        return np.where(found, place, -1)

    def uses(self, items: IntArray) -> IntArray:
        """(N,) the place in `PARTS` of what each content was used for, -1 for new ones."""
        rows = self.rows(items)
        return np.where(rows >= 0, np.append(self.parts, -1)[rows], -1)

    def used_for(self, items: IntArray, *parts: str) -> NDArray[np.bool_]:
        """(N,) whether each content was used for one of `parts`."""
        return np.isin(self.uses(items), [PARTS.index(part) for part in parts])

    def trained_identities(self) -> IntArray:
        """(k,) identities with an item that was trained on."""
        return np.unique(self.identities[(self.parts == TRAIN) & (self.identities != NOBODY)])

    def told_apart(self) -> Seen:
        """Without items of nobody."""
        kept = self.identities != NOBODY
        return Seen(self.items[kept], self.parts[kept], self.identities[kept])
