"""Disjoint parts of a dataset (by item, by identity or by group) and of pairs, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.data.dataset import Dataset, IntArray, PairSet
from likewise.errors import DataError, UsageError

By = Literal["item", "identity", "group"]

IDENTITIES_FOR_SPLIT_BY_IDENTITY = 20
ORDERS_TRIED = 16  # in which unequal groups are dealt, before the fairest outcome is taken
FAIR_ENOUGH = 0.9  # of its share for the part that has least of it: no further order is tried


def default_split(data: Dataset) -> By:
    """By identity from 20 identities on: fewer are taken for a fixed list of classes, which are split by item."""
    return "identity" if data.identities >= IDENTITIES_FOR_SPLIT_BY_IDENTITY else "item"


def split(data: Dataset, shares: Sequence[float], *, by: str, seed: int) -> tuple[Dataset, ...]:
    """Disjoint parts of `data` holding about the given shares of it.

    Args:
        data: what to split.
        shares: positive, summing to at most 1 (what is left over is in no part).
        by: "item" splits the items of every identity in the same proportion; "identity" gives each identity to one
            part, so that the identities of the last part were never seen; "group" gives each group to one part.
        seed: same seed, same parts.

    Raises:
        UsageError: shares or `by` make no sense.
        DataError: a part would be empty, or there are no groups.
    """
    _check(shares)
    rng = np.random.default_rng(seed)
    if by == "item":
        assigned = _by_item(data.labels, shares, rng)
    elif by == "identity":
        assigned = _by_identity(data.labels, shares, rng)
    elif by == "group":
        if data.groups is None:
            raise DataError(
                "A split by group needs groups",
                "none",
                "Give a manifest with a group column, or --group-from REGEX.",
            )
        assigned = _dealt(np.bincount(data.groups)[:, None], shares, rng)[data.groups]
    else:
        raise UsageError("A split is by item, identity or group", repr(by), "Use one of these.")
    parts: list[Dataset] = []
    for i, share in enumerate(shares):
        chosen = np.flatnonzero(assigned == i)
        if not len(chosen):
            raise DataError(
                f"Every part of a split by {by} holds something",
                f"nothing for part {i + 1} ({share:.0%}) of {len(data)} items of {data.identities} identities",
                "Bring more data or ask for fewer parts.",
            )
        parts.append(
            data.subset(chosen, f"{data.origin}, part {i + 1} of {len(shares)} ({share:.0%}) by {by}, seed {seed}")
        )
    return tuple(parts)


def split_pairs(pairs: PairSet, shares: Sequence[float], *, seed: int) -> tuple[PairSet, ...]:
    """Parts of `pairs` such that no item is in two parts, each with about its share of either kind of pair.

    What stays together is, if that serves, all items that pairs link; otherwise those that pairs of the same link, as
    one identity; otherwise each item goes by itself. The first way loses no pair. The others leave out pairs whose two
    items fall into different parts, so each is taken only where the part that has least then has over twice as much.

    Args:
        pairs: what to split.
        shares: positive, summing to at most 1.
        seed: same seed, same parts.

    Raises:
        UsageError: shares make no sense.
        DataError: some part would lack pairs of one kind.
    """
    _check(shares)
    rng = np.random.default_rng(seed)
    n = len(pairs.items)
    ends = np.zeros((n, 2), dtype=np.int64)  # how many pairs of either kind, different and same, an item is in
    for side in (pairs.first, pairs.second):
        np.add.at(ends, (side, pairs.same.astype(np.int64)), 1)
    chosen, least = np.empty(0, dtype=np.int64), 0.0
    for unit in (linked(n, pairs.first, pairs.second), pairs.linked_identities(), np.arange(n)):
        sizes = np.zeros((unit.max(initial=-1) + 1, 2), dtype=np.int64)
        np.add.at(sizes, unit, ends)
        part = _dealt(sizes, shares, rng)[unit]
        whole = np.where(part[pairs.first] == part[pairs.second], part[pairs.first], len(shares))
        held = np.array([np.bincount(pairs.same[whole == i], minlength=2) for i in range(len(shares))])
        found = float((held / np.asarray(shares)[:, None]).min())
        if found > 2 * least:
            chosen, least = whole, found
    if not least:
        raise DataError(
            "Every part of a split holds pairs of both kinds",
            f"a part without, of {len(pairs)} pairs of {n} items in {len(shares)} parts",
            "Bring more pairs, or a pairs file with a column split.",
        )
    lost = int((chosen == len(shares)).sum())
    left_out = f", without {lost} of {len(pairs)} pairs that lie across parts" if lost else ""
    return tuple(
        pairs.subset(
            np.flatnonzero(chosen == i),
            f"{pairs.origin}, part {i + 1} of {len(shares)} ({share:.0%}), seed {seed}{left_out}",
        )
        for i, share in enumerate(shares)
    )


def linked(items: int, first: IntArray, second: IntArray) -> IntArray:
    """(items,) a number for each item, equal where a chain of pairs links two: connected components."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(first)), (first, second)), shape=(items, items))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _check(shares: Sequence[float]) -> None:
    if not shares or min(shares) <= 0 or sum(shares) > 1 + 1e-9:
        raise UsageError(
            "Shares are positive and sum to at most 1", tuple(shares), "Use for example 0.6 0.1 0.15 0.15."
        )


def _by_item(labels: IntArray, shares: Sequence[float], rng: np.random.Generator) -> IntArray:
    """(N,) part of each item, -1 for none; each identity is cut in the same proportion."""
    position = position_within(labels, rng)  # a random order inside each identity
    counts = np.bincount(labels)[labels]
    # One random offset per identity: with 2 items and shares 0.6 / 0.4, it is chance which part gets the odd one.
    offset = rng.random(labels.max() + 1)[labels]
    quantile = (position + offset) / counts
    quantile -= np.floor(quantile)
    return _cut(quantile, shares)


def _by_identity(labels: IntArray, shares: Sequence[float], rng: np.random.Generator) -> IntArray:
    """(N,) part of each item, -1 for none; identities are dealt by number, and their items follow."""
    present, inverse = np.unique(labels, return_inverse=True)
    part_of = np.empty(len(present), dtype=np.int64)
    part_of[rng.permutation(len(present))] = _cut((np.arange(len(present)) + 0.5) / len(present), shares)
    return part_of[inverse]


def _dealt(sizes: IntArray, shares: Sequence[float], rng: np.random.Generator) -> IntArray:
    """(U,) part of each of few and unequal units, -1 for none.

    In random order, each goes to the part that is furthest below its share. A large unit that comes late can upset the
    shares, so of several orders the one is taken whose worst-served part has most of its share.

    Args:
        sizes: (U, K) how much of each of K kinds a unit holds; of every kind, each part is to have its share.
        shares: of the parts.
        rng: of the orders.
    """
    wanted = np.append(np.asarray(shares), max(0.0, 1 - sum(shares)))[:, None] * sizes.sum(axis=0)
    best, least = np.empty(0, dtype=np.int64), -1.0
    for _ in range(ORDERS_TRIED):
        room = wanted.copy()
        part_of = np.empty(len(sizes), dtype=np.int64)
        for unit in rng.permutation(len(sizes)):
            part_of[unit] = part = int(np.argmax(room @ sizes[unit]))
            room[part] -= sizes[unit]
        served = 1 - room[:-1] / np.maximum(wanted[:-1], 1e-9)
        if served.min() > least:
            best, least = part_of, float(served.min())
        if least >= FAIR_ENOUGH:
            break
    return np.where(best < len(shares), best, -1)


def _cut(quantile: NDArray[np.float64], shares: Sequence[float]) -> IntArray:
    """Which part each quantile in [0, 1) falls into; -1 beyond the last."""
    edges = np.cumsum(shares)
    edges[-1] += 1e-9 if edges[-1] > 1 - 1e-9 else 0.0
    part = np.searchsorted(edges, quantile, side="right")
    return np.where(part < len(shares), part, -1).astype(np.int64)


def position_within(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """(N,) each item's place in a random order of the items of its own identity, from 0."""
    order = np.lexsort((rng.random(len(labels)), labels))
    sorted_labels = labels[order]
    starts = np.flatnonzero(np.r_[True, sorted_labels[1:] != sorted_labels[:-1]])
    lengths = np.diff(np.r_[starts, len(labels)])
    position = np.empty(len(labels), dtype=np.int64)
    position[order] = np.arange(len(labels)) - np.repeat(starts, lengths)
    return position
