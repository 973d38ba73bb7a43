"""Disjoint parts of a dataset (by item, by identity or by group) and of pairs, seeded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likewise.data.dataset import Dataset, IntArray, PairSet
from likewise.errors import DataError, UsageError

By = Literal["item", "identity", "group"]

IDENTITIES_FOR_SPLIT_BY_IDENTITY = 20
NEARLY_ALL = 0.95  # of the identities of a set must be known before it is taken for more items of a fixed list
ORDERS_TRIED = 16  # in which unequal groups are dealt, before the fairest outcome is taken
FAIR_ENOUGH = 0.9  # of its share for the part that has least of it: no further order is tried


def default_split(data: Dataset) -> By:
    """By identity from 20 identities on: fewer are taken for a fixed list of classes, which are split by item."""
    return "identity" if data.identities >= IDENTITIES_FOR_SPLIT_BY_IDENTITY else "item"


def of_fixed_list(known: NDArray[np.bool_]) -> bool:
    """Whether later items are of a fixed list of identities: nearly all that are met, (C,), were known before.

    One shared name does not make two crowds of strangers a list, and one new face does not make ten classes strangers.
    """
    return bool(len(known)) and float(np.mean(known)) >= NEARLY_ALL


def split(
    data: Dataset, shares: Sequence[float], *, by: str, seed: int, kept: IntArray | None = None
) -> tuple[Dataset, ...]:
    """Disjoint parts of `data` holding about the given shares of it.

    What goes by itself goes as a whole: an identity, a group, or by item all copies of one content, as a copy of what
    was trained on tests nothing.

    Args:
        data: what to split.
        shares: positive, summing to at most 1 (what is left over is in no part).
        by: "item" splits the items of every identity in the same proportion, and gives the one item of an identity that
            has no other to the first part, so that none is in the others only; "identity" gives each identity to one
            part, so that the identities of the last part were never seen; "group" gives each group to one part.
        seed: same seed, same parts.
        kept: (N,) the part an item is to be in, from 0, or -1 where that is open. Of several asked for by one identity,
            group or content the first counts. The rest is dealt such that the whole comes near its shares.

    Raises:
        UsageError: shares or `by` make no sense.
        DataError: a part would be empty, or there are no groups.
    """
    part = assigned(data, shares, by=by, seed=seed, kept=kept)
    return tuple(
        data.subset(np.flatnonzero(part == i), of_part(data.origin, i, shares, by, seed)) for i in range(len(shares))
    )


def of_part(origin: str, part: int, shares: Sequence[float], by: str, seed: int) -> str:
    """What part `part`, from 0, of a split of `origin` is called."""
    return f"{origin}, part {part + 1} of {len(shares)} ({shares[part]:.0%}) by {by}, seed {seed}"


def assigned(data: Dataset, shares: Sequence[float], *, by: str, seed: int, kept: IntArray | None = None) -> IntArray:
    """(N,) the part from 0 that `split` gives each item to, -1 for none; arguments and errors are those of `split`."""
    _check(shares)
    rng = np.random.default_rng(seed)
    if by == "item":
        unit = _copies(data)
    elif by == "identity":
        unit = np.unique(data.labels, return_inverse=True)[1]
    elif by == "group":
        if data.groups is None:
            raise DataError(
                "A split by group needs groups",
                "none",
                "Give a manifest with a group column, or --group-from REGEX.",
            )
        unit = np.unique(data.groups, return_inverse=True)[1]
    else:
        raise UsageError("A split is by item, identity or group", repr(by), "Use one of these.")
    part_of = _fixed(unit, kept, len(shares))
    free = np.flatnonzero(part_of < 0)
    if by == "group":
        part_of = _dealt(np.bincount(unit)[:, None], shares, rng, part_of)
    elif by == "identity":
        part_of[free] = _by_number(len(free), _left(shares, part_of), rng)
    else:
        labels = data.labels[np.unique(unit, return_index=True)[1]]
        part_of[free] = _by_item(labels[free], _left(shares, part_of), rng)
        lone = (np.bincount(labels) == 1)[labels]
        if not lone.all():
            part_of[np.intersect1d(free, np.flatnonzero(lone))] = 0
    for i, share in enumerate(shares):
        if not (part_of == i).any():
            raise _too_few(data, part_of, shares, by, f"none of them for part {i + 1} ({share:.0%})")
    return part_of[unit]


def split_pairs(
    pairs: PairSet, shares: Sequence[float], *, seed: int, kept: IntArray | None = None
) -> tuple[PairSet, ...]:
    """Parts of `pairs` such that no item is in two parts, each with about its share of either kind of pair.

    What stays together is, if that serves, all items that pairs or identities link; otherwise those of one identity;
    otherwise each item goes by itself, with its copies, and the parts are `mixed`. The first way loses no pair. The
    others leave out pairs whose two items fall into different parts, so each is taken only where the part that has
    least then has over twice as much.

    Args:
        pairs: what to split.
        shares: positive, summing to at most 1.
        seed: same seed, same parts.
        kept: (number of items,) as in `split`.

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
    every = np.arange(n)
    copy, relative = _first_like(pairs.items.contents), _first_like(pairs.items.labels)
    ways = (
        linked(n, np.r_[pairs.first, every, every], np.r_[pairs.second, copy, relative]),
        linked(n, np.r_[every, every], np.r_[copy, relative]),
        linked(n, every, copy),
    )
    chosen, least, mixed = np.empty(0, dtype=np.int64), 0.0, False
    for way, unit in enumerate(ways):
        sizes = np.zeros((unit.max(initial=-1) + 1, 2), dtype=np.int64)
        np.add.at(sizes, unit, ends)
        part = _dealt(sizes, shares, rng, _fixed(unit, kept, len(shares)))[unit]
        whole = np.where(part[pairs.first] == part[pairs.second], part[pairs.first], len(shares))
        held = np.array([np.bincount(pairs.same[whole == i], minlength=2) for i in range(len(shares))])
        found = float((held / np.asarray(shares)[:, None]).min())
        if found > 2 * least:
            chosen, least, mixed = whole, found, way == len(ways) - 1
    if not least:
        raise DataError(
            "Every part of a split holds pairs of both kinds",
            f"a part without, of {len(pairs)} pairs of {n} items in {len(shares)} parts",
            "Bring more pairs, or a pairs file with a column split.",
        )
    lost = int((chosen == len(shares)).sum())
    left_out = f", without {lost} of {len(pairs)} pairs that lie across parts" if lost else ""
    return tuple(
        replace(
            pairs.subset(
                np.flatnonzero(chosen == i),
                f"{pairs.origin}, part {i + 1} of {len(shares)} ({share:.0%}), seed {seed}{left_out}",
            ),
            mixed=pairs.mixed or mixed,
        )
        for i, share in enumerate(shares)
    )


def linked(items: int, first: IntArray, second: IntArray) -> IntArray:
    """(items,) a number for each item, equal where a chain of pairs links two: connected components."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(first)), (first, second)), shape=(items, items))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _first_like(values: IntArray) -> IntArray:
    """(N,) position of the first that has the same value."""
    first, inverse = np.unique(values, return_index=True, return_inverse=True)[1:]
    return first[inverse]


def _copies(data: Dataset) -> IntArray:
    """(N,) a number from 0 for each item in the order of the items, the same for copies within one identity."""
    content = np.unique(data.contents, return_inverse=True)[1]
    return np.unique(_first_like(data.labels * len(data) + content), return_inverse=True)[1]


def _fixed(unit: IntArray, kept: IntArray | None, parts: int) -> IntArray:
    """(U,) the first part that one of a unit's items is to be kept in, -1 for none."""
    first = np.full(unit.max(initial=-1) + 1, parts)
    if kept is not None:
        np.minimum.at(first, unit[kept >= 0], kept[kept >= 0])
    return np.where(first < parts, first, -1)


def _too_few(data: Dataset, units: IntArray, shares: Sequence[float], by: str, empty: str) -> DataError:
    """That some part of a split gets nothing: how many units there are, how many it takes, and the ways out."""
    if by == "item":
        copies = f", of which {len(units)} differ" if len(units) < len(data) else ""
        found = f"{len(data)} items{copies}, of {data.identities} identities, {empty}"
        return DataError(f"A split by item fills {len(shares)} parts", found, "Bring more items.")
    several, least = ("groups", len(shares)) if by == "group" else ("identities", _least(shares))
    if len(units) >= least:
        found = f"{len(units)} {several} of which some keep the part they had, and {empty}"
        return DataError(f"A split by {by} fills {len(shares)} parts", found, f"Bring more {several}.")
    shared = "lets a group be in several parts" if by == "group" else "is for a list of identities that is fixed"
    return DataError(
        f"A split by {by} into {len(shares)} parts takes at least {least} {several}",
        f"{len(units)}, {empty}",
        f"Bring more {several}, or split by item (--split item), which {shared}.",
    )


def _least(shares: Sequence[float]) -> int:
    """How many units it takes for each part to get one of them by its share, and so for any larger number."""
    most = math.ceil(1 / min(shares))  # then no part is narrower than the space between two units
    enough = [set(range(len(shares))) <= set(_in_a_row(units, shares).tolist()) for units in range(most + 1)]
    return most - enough[::-1].index(False) + 1


def _left(shares: Sequence[float], fixed: IntArray) -> Sequence[float]:
    """Shares of what is not fixed yet that bring the whole near `shares`."""
    if (fixed < 0).all():
        return shares
    held = np.bincount(fixed[fixed >= 0], minlength=len(shares) + 1)
    room = np.maximum(np.append(shares, max(0.0, 1 - sum(shares))) * len(fixed) - held, 0)
    return (room[:-1] / max(room.sum(), 1e-9)).tolist()


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
    offset = rng.random(labels.max(initial=-1) + 1)[labels]
    quantile = (position + offset) / counts
    quantile -= np.floor(quantile)
    return _cut(quantile, shares)


def _by_number(units: int, shares: Sequence[float], rng: np.random.Generator) -> IntArray:
    """(U,) part of each unit, -1 for none; as many to each part as its share says."""
    part_of = np.empty(units, dtype=np.int64)
    part_of[rng.permutation(units)] = _in_a_row(units, shares)
    return part_of


def _in_a_row(units: int, shares: Sequence[float]) -> IntArray:
    """(U,) part of each of equal units that lie in a row, -1 for none."""
    return _cut((np.arange(units) + 0.5) / max(units, 1), shares)


def _dealt(sizes: IntArray, shares: Sequence[float], rng: np.random.Generator, fixed: IntArray) -> IntArray:
    """(U,) part of each of few and unequal units, -1 for none.

    In random order, each goes to the part that is furthest below its share, but the last ones to parts that have
    nothing yet. A large unit that comes late can upset the shares, so of several orders the one is taken whose
    worst-served part has most of its share.

    Args:
        sizes: (U, K) how much of each of K kinds a unit holds; of every kind, each part is to have its share.
        shares: of the parts.
        rng: of the orders.
        fixed: (U,) the part a unit is in already, or -1.
    """
    free = np.flatnonzero(fixed < 0)
    wanted = np.append(np.asarray(shares), max(0.0, 1 - sum(shares)))[:, None] * sizes.sum(axis=0)
    left = wanted.copy()
    np.subtract.at(left, fixed[fixed >= 0], sizes[fixed >= 0])
    best, least = np.empty(0, dtype=np.int64), -np.inf
    for _ in range(ORDERS_TRIED):
        room, part_of = left.copy(), fixed.copy()
        empty = set(range(len(shares))) - set(fixed.tolist())
        for dealt, unit in enumerate(rng.permutation(free)):
            below = room @ sizes[unit]
            part = int(np.argmax(below)) if len(free) - dealt > len(empty) else max(empty, key=below.__getitem__)
            empty.discard(part)
            part_of[unit] = part
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
