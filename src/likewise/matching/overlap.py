"""How much of a data set an encoder has met before, and what the data are a sample of for it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TypeVar, cast, final

import numpy as np
from numpy.typing import NDArray

from likewise.calibration.rates import Unit
from likewise.data import BoxSet, Dataset, PairSet
from likewise.data.contents import of_same_name
from likewise.data.dataset import IntArray
from likewise.data.splits import of_fixed_list
from likewise.encoder import Encoding, Seen
from likewise.encoder.seen import TRAIN
from likewise.errors import NamesakeWarning

Data = TypeVar("Data", bound=Dataset | PairSet | BoxSet)


@final
@dataclass(frozen=True, eq=False)
class Overlap:
    """What of a data set is not new.

    Attributes:
        parts: (N,) int64: the place in `likewise.encoder.PARTS` of what each item was used for, -1 for new items.
        labels: (C,) int64: the identities that have items.
        known: (C,) bool: whether each was trained on. It was if any of its items is of an identity that was, or if
            `data` and what was trained on are parts of one whole in which it was. Names prove nothing.
        namesakes: how many of the others have the name of one that was trained on.
    """

    parts: IntArray
    labels: IntArray
    known: NDArray[np.bool_]
    namesakes: int = 0

    @property
    def items(self) -> int:
        """How many items were trained on."""
        return int(np.count_nonzero(self.parts == TRAIN))

    @property
    def identities(self) -> int:
        """How many identities were trained on."""
        return int(np.count_nonzero(self.known))

    @property
    def unit(self) -> Unit:
        """What the data are a sample of: items of the identities trained on, or new identities.

        Where only some identities are new, "identity" is the careful choice: taken for a sample, few people support
        modest promises only; taken for a fixed list they would support strong ones that hold for nobody else.
        """
        return "item" if of_fixed_list(self.known) else "identity"

    def said(self) -> str:
        """In words, what of the data is not new: empty if all is, or if the list of identities is fixed."""
        told: list[str] = []
        if self.items:
            told.append(f"{self.items:,} of {len(self.parts):,} items")
        if self.unit == "identity" and self.identities:
            told.append(f"{self.identities:,} of {len(self.known):,} identities")
        return " and ".join(told)


def overlap(seen: Seen, data: Dataset | PairSet) -> Overlap:
    """What `seen` has of `data`; reads every item once, unless there is nothing to compare with."""
    labels, first, of = np.unique(
        (data.items if isinstance(data, PairSet) else data).labels, return_index=True, return_inverse=True
    )
    if not len(seen):
        return Overlap(np.full(len(of), -1), labels, np.zeros(len(labels), bool))
    rows, trained = seen.rows(data.contents), seen.trained_identities()
    met = (rows >= 0) & np.isin(seen.identities[rows], trained)
    keys = data.identity_keys()[first]
    known = np.isin(keys, trained) | (np.bincount(of, met, len(labels)) > 0)
    namesakes = int(np.count_nonzero(of_same_name(keys, trained) & ~known))
    return Overlap(seen.uses(data.contents), labels, known, namesakes)


def default_unit(encoder: Encoding, data: Dataset | PairSet) -> Unit:
    """What `data` are taken to be a sample of when nobody says; see `taken_for`."""
    return taken_for(overlap(encoder.seen, data))


def taken_for(found: Overlap) -> Unit:
    """`found.unit`; where that takes namesakes of those trained on for others, a `NamesakeWarning` tells."""
    if found.unit == "identity" and found.namesakes:
        warnings.warn(
            f"{found.namesakes:,} of {len(found.known):,} identities have names of some that were trained on, but none"
            " of their items, and are taken for others: unit item (--unit item) says that they are the same.",
            NamesakeWarning,
            stacklevel=3,
        )
    return found.unit


def used_for(seen: Seen, data: Data, part: str) -> Data:
    """The items, or the pairs of items, of `data` that were used for `part` before."""
    chosen = seen.used_for(data.contents, part)
    if isinstance(data, PairSet):
        chosen = chosen[data.first] & chosen[data.second]
    return cast(Data, data.subset(np.flatnonzero(chosen), f"{data.origin}, its {part} part in training"))


def of_new_identities(found: Overlap, data: Dataset | PairSet) -> Dataset | PairSet:
    """`data` without the items, or pairs with items, of identities that were trained on."""
    origin = f"{data.origin}, without {found.identities:,} of {len(found.known):,} identities, which were trained on"
    new = np.isin((data.items if isinstance(data, PairSet) else data).labels, found.labels[~found.known])
    if isinstance(data, PairSet):
        return data.subset(np.flatnonzero(new[data.first] & new[data.second]), origin)
    return data.subset(np.flatnonzero(new), origin)
