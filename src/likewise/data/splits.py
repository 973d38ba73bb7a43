"""Disjoint parts of a dataset: by item, by identity or by group, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.data.dataset import Dataset, IntArray, PairSet
from likewise.errors import DataError, UsageError

By = Literal["item", "identity", "group"]

IDENTITIES_FOR_SPLIT_BY_IDENTITY = 20


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
    if not shares or min(shares) <= 0 or sum(shares) > 1 + 1e-9:
        raise UsageError(
            "Shares are positive and sum to at most 1", tuple(shares), "Use for example 0.6 0.1 0.15 0.15."
        )
    rng = np.random.default_rng(seed)
    if by == "item":
        assigned = _by_item(data.labels, shares, rng)
    elif by == "identity":
        assigned = _whole(data.labels, shares, rng, by_items=False)
    elif by == "group":
        if data.groups is None:
            raise DataError(
                "A split by group needs groups",
                "none",
                "Give a manifest with a group column, or --group-from REGEX.",
            )
        assigned = _whole(data.groups, shares, rng, by_items=True)
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
    """Parts of `pairs` in which no item stands twice: items linked by pairs go together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(pairs.items)
    links = coo_array((np.ones(len(pairs)), (pairs.first, pairs.second)), shape=(n, n))
    component = connected_components(links, directed=False)[1].astype(np.int64)
    assigned = _whole(component[pairs.first], shares, np.random.default_rng(seed), by_items=True)
    parts = tuple(
        pairs.subset(np.flatnonzero(assigned == i), f"{pairs.origin}, part {i + 1} of {len(shares)}, seed {seed}")
        for i in range(len(shares))
    )
    if any(not len(part) for part in parts):
        raise DataError(
            "Every part of a split holds a pair",
            f"an empty part of {len(pairs)} pairs",
            "Bring pairs that share fewer items.",
        )
    return parts


def _by_item(labels: IntArray, shares: Sequence[float], rng: np.random.Generator) -> IntArray:
    """(N,) part of each item, -1 for none; each identity is cut in the same proportion."""
    position = position_within(labels, rng)  # a random order inside each identity
    counts = np.bincount(labels)[labels]
    # One random offset per identity: with 2 items and shares 0.6 / 0.4, it is chance which part gets the odd one.
    offset = rng.random(labels.max() + 1)[labels]
    quantile = (position + offset) / counts
    quantile -= np.floor(quantile)
    return _cut(quantile, shares)


def _whole(units: IntArray, shares: Sequence[float], rng: np.random.Generator, *, by_items: bool) -> IntArray:
    """(N,) part of each item; all items of one unit (identity, group) share a part.

    Identities are dealt by number. Groups are often few and unequal, so each in turn, largest first, goes to the part
    that is furthest below its share of the items.
    """
    present, inverse = np.unique(units, return_inverse=True)
    shuffled = rng.permutation(len(present))
    part_of = np.full(len(present), -1, dtype=np.int64)
    if by_items:
        sizes = np.bincount(inverse)
        room = np.append(np.asarray(shares), max(0.0, 1 - sum(shares))) * len(units)
        for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            part_of[unit] = int(np.argmax(room))
            room[part_of[unit]] -= sizes[unit]
        part_of[part_of == len(shares)] = -1
    else:
        part_of[shuffled] = _cut((np.arange(len(present)) + 0.5) / len(present), shares)
    return part_of[inverse]


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
