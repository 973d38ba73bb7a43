"""Which items go into a batch together: P x K identities by items, plain batches, pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import final

import numpy as np
from numpy.typing import NDArray

from likewise.data.dataset import IntArray
from likewise.data.splits import position_within
from likewise.errors import UsageError


class Sampler(ABC):
    """The batches of an epoch. Epoch e of seed s is the same on every run and needs no earlier epoch, for resuming."""

    @abstractmethod
    def epoch(self, number: int) -> Iterator[IntArray]:
        """Positions of the items of each batch of epoch `number`."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches per epoch."""


@final
class PlainBatches(Sampler):
    """Every item once per epoch in random order, `size` at a time.

    With `balanced`, every draw is of an identity first, each as likely, and takes the next of its items in a random
    order that starts again at its end. No item stands twice in a batch, where it would be its own positive: once an
    identity has no more to give, further draws of it are void and the batch is smaller.
    """

    def __init__(self, labels: IntArray, size: int, *, balanced: bool = False, seed: int = 0) -> None:
        if size < 2:
            raise UsageError("A batch has at least 2 items", size, "Pass for example batch=128.")
        self._labels, self._size, self._balanced, self._seed = labels, size, balanced, seed
        # A last batch of a few items would upset batch normalisation; it is spread over the others instead.
        self._batches = max(1, round(len(labels) / size))

    def __len__(self) -> int:
        return self._batches

    def epoch(self, number: int) -> Iterator[IntArray]:
        """See `Sampler`."""
        rng = np.random.default_rng((self._seed, number))
        if self._balanced:
            yield from self._balanced_epoch(rng)
        else:
            order = rng.permutation(len(self._labels))
            yield from (part.astype(np.int64) for part in np.array_split(order, self._batches))

    def _balanced_epoch(self, rng: np.random.Generator) -> Iterator[IntArray]:
        draws = len(self._labels)
        _, label, counts = np.unique(self._labels, return_inverse=True, return_counts=True)
        identity = rng.integers(len(counts), size=draws)
        batch = np.arange(draws) * self._batches // draws
        # By identity and in the order of the draws: how many of the same went before, in the epoch and in the batch.
        order = np.argsort(identity, kind="stable")
        identity, batch, place = identity[order], batch[order], np.arange(draws)
        before = place - _start_of_run(np.r_[True, identity[1:] != identity[:-1]])
        in_batch = place - _start_of_run(np.r_[True, (identity[1:] != identity[:-1]) | (batch[1:] != batch[:-1])])
        shuffled = np.lexsort((rng.random(draws), label))  # the items of each identity, one identity after another
        item = shuffled[(np.cumsum(counts) - counts)[identity] + before % counts[identity]]
        kept = in_batch < counts[identity]
        item, batch = item[kept], batch[kept]
        item = item[np.argsort(batch, kind="stable")]
        yield from np.split(item.astype(np.int64), np.cumsum(np.bincount(batch, minlength=self._batches))[:-1])


def _start_of_run(starts: NDArray[np.bool_]) -> IntArray:
    """For each place where its run begins, given the places where a run begins."""
    return np.maximum.accumulate(np.where(starts, np.arange(len(starts)), 0))


@final
class IdentityBatches(Sampler):
    """P x K batches: about K items of each of P identities; every item once per epoch.

    The items of an identity are dealt into handfuls of about K. An identity with fewer than K items gives a handful of
    what it has, never one item twice, so no item is its own positive; a handful is single only where the identity is.
    The handfuls of each identity are spread evenly over the epoch, so that batches hold P different identities wherever
    the counts allow it.

    Args:
        labels: (N,) int64.
        identities: P, handfuls per batch.
        items: K, items per handful.
        balanced: every identity gives equally many handfuls (as many as the median identity); small ones are dealt
            again, large ones not to their end.
        seed: same seed, same batches.

    Raises:
        UsageError: P or K below 2, or K larger than the largest identity.
    """

    def __init__(self, labels: IntArray, identities: int, items: int, *, balanced: bool = False, seed: int = 0) -> None:
        counts = np.bincount(labels)
        counts = counts[counts > 0]
        if identities < 2 or items < 2:
            raise UsageError("P x K batches have P >= 2 identities and K >= 2 items", f"{identities} x {items}")
        if items > counts.max(initial=0):
            raise UsageError(
                "K is at most the number of items of the largest identity",
                f"K = {items}, largest {counts.max(initial=0)}",
                "Lower K (--batch PxK).",
            )
        self._labels, self._p, self._k, self._seed = labels, min(identities, len(counts)), items, seed
        per_identity = np.bincount(labels)
        # Two items at least to a handful, unless the identity has no more than one.
        self._handfuls = np.clip(np.round(per_identity / items), 1, np.maximum(1, per_identity // 2)).astype(np.int64)
        self._dealt = int(np.median(self._handfuls[np.bincount(labels) > 0])) if balanced else 0
        total = self._dealt * len(counts) if balanced else int(self._handfuls[np.bincount(labels) > 0].sum())
        self._batches = max(1, round(total / self._p))

    def __len__(self) -> int:
        return self._batches

    def epoch(self, number: int) -> Iterator[IntArray]:
        """See `Sampler`."""
        rng = np.random.default_rng((self._seed, number))
        items, handful, identity = self._deal(rng)
        of_identity = np.full(len(self._handfuls), self._dealt) if self._dealt else self._handfuls
        # Handful j of n comes at (j + a random phase of its identity) / n of the epoch.
        phase = rng.random(len(self._handfuls))[identity]
        when = (handful + phase) / of_identity[identity]
        order = np.lexsort((handful, identity, when))
        items, identity, handful = items[order], identity[order], handful[order]
        starts = np.flatnonzero(np.r_[True, (identity[1:] != identity[:-1]) | (handful[1:] != handful[:-1])])
        edges = [group[0] for group in np.array_split(starts, self._batches)] + [len(items)]
        yield from (items[a:b] for a, b in pairwise(edges))

    def _deal(self, rng: np.random.Generator) -> tuple[IntArray, IntArray, IntArray]:
        """Item, number of its handful, identity, for all that the epoch serves."""
        counts = np.bincount(self._labels)
        # Balanced, an identity is dealt as often as it takes to reach the common number of handfuls.
        turns = -(-self._dealt // self._handfuls) if self._dealt else np.ones_like(counts)
        of_item = turns[self._labels]
        items = np.repeat(np.arange(len(self._labels)), of_item)
        turn = np.arange(len(items)) - np.repeat(np.cumsum(of_item) - of_item, of_item)
        identity = self._labels[items]
        position = position_within((np.cumsum(turns) - turns)[identity] + turn, rng)  # each turn in an order of its own
        handful = position * self._handfuls[identity] // counts[identity] + turn * self._handfuls[identity]
        keep = handful < self._dealt if self._dealt else slice(None)
        return items[keep], handful[keep], identity[keep]
