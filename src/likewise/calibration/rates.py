"""False match and false non-match rate at given thresholds, with intervals that know what was sampled.

Counting is one more pass over all pairs. What it keeps grows with the items, never with the pairs: errors per
item, and for pairs of identities three sums. Identities are taken run by run against all that come after
them, so that the table of errors between the two is complete, and can be summed and dropped, before the next
run begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import DataError
from likewise.metrics.estimate import Estimate
from likewise.metrics.intervals import share_interval
from likewise.metrics.pairs import BLOCK, cross_blocks
from likewise.objective.distances import Distance

Unit = Literal["identity", "item"]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """Both error rates at one threshold; "same" is a distance of at most the threshold.

    Attributes:
        fmr: share of pairs of different identities that were accepted.
        fnmr: share of pairs of the same identity that were refused.
    """

    fmr: Estimate
    fnmr: Estimate


def rates_at(
    thresholds: Sequence[float],
    embeddings: Tensor,
    identities: Tensor,
    distance: Distance,
    unit: Unit,
    block: int = BLOCK,
) -> list[Rates]:
    """Both error rates over all pairs of different items, at each threshold.

    Args:
        thresholds: any order.
        embeddings: (N, D) float32.
        identities: (N,) int64 from 0 without gaps, rising; at least one pair of a kind.
        distance: what compares them; symmetric.
        unit: what the intervals take as sampled: "identity" (the identities are a sample of all there are) or
            "item" (the list of identities is fixed, and their items are a sample).
        block: most distances held at once.

    Raises:
        DataError: a distance that is not finite.
    """
    levels, place = np.unique(np.asarray(thresholds, np.float64), return_inverse=True)
    of = identities.numpy()
    counts = _count(levels, embeddings, of, distance, block)
    sizes = np.bincount(of).astype(np.float64)
    found: list[Rates] = []
    for matches, misses, squares, weighted, relative in zip(*counts, strict=True):
        if unit == "identity":
            fmr = _different_identities(_sums(of, matches), squares, weighted, sizes)
            fnmr = _same_identity(_sums(of, misses) / 2, sizes)  # both items of a pair are of that identity
        else:
            fmr = _different_items(matches, relative, of, sizes)
            fnmr = _same_items(misses, of, sizes)
        found.append(Rates(fmr, fnmr))
    return [found[level] for level in place]


def listed_rates_at(
    thresholds: Sequence[float],
    distances: NDArray[np.float32],
    same: NDArray[np.bool_],
    first: Integers,
    second: Integers,
) -> list[Rates]:
    """Both error rates over listed pairs, at each threshold.

    Args:
        thresholds: any order.
        distances: (M,).
        same: (M,), with at least one pair of either kind.
        first: (M,) what was sampled on one side of each pair: its identity, or its item.
        second: (M,) the same for the other side.
    """
    return [
        Rates(
            _listed(distances[~same] <= threshold, first[~same], second[~same], units="pairs"),
            _listed(distances[same] > threshold, first[same], second[same], units="vertices"),
        )
        for threshold in thresholds
    ]


class _Counts(NamedTuple):
    """What one pass over all pairs leaves behind, for each of T rising thresholds.

    Attributes:
        matches: (T, N) of each item, how many items of other identities are within the threshold.
        misses: (T, N) of each item, how many of the same identity are beyond it.
        squares: (T,) sum over pairs of identities of y^2, with y the matches between the two.
        weighted: (T,) sum of y m, with m the number of pairs between the two.
        relative: (T,) sum of y^2 / m.
    """

    matches: Floats
    misses: Floats
    squares: Floats
    weighted: Floats
    relative: Floats


def _count(levels: Floats, embeddings: Tensor, of: Integers, distance: Distance, block: int) -> _Counts:
    sizes = np.bincount(of).astype(np.float64)
    matches, misses = np.zeros((2, len(levels), len(of)))
    sums = np.zeros((3, len(levels)))
    for start, stop in _runs(sizes, block):
        right, low = of[start:], int(of[start])
        shape = len(levels), int(of[stop - 1]) + 1 - low, len(sizes) - low
        table = np.zeros(shape[0] * shape[1] * shape[2], np.int64)
        for tile in cross_blocks(embeddings[start:stop], embeddings[start:], distance, block):
            far, top = tile.distances.numpy(), tile.rows.start
            if not np.isfinite(far).all():
                raise DataError("Distances are finite", "NaN or infinity", "Look at the distance's weights.")
            left = right[tile.rows]

            i, j = np.nonzero((far <= levels[-1]) & (left[:, None] < right))
            level = np.searchsorted(levels, far[i, j])  # the first that accepts the pair
            table += np.bincount((level * shape[1] + left[i] - low) * shape[2] + right[j] - low, minlength=len(table))
            matches += _by_item(level, start + top + i, start + j, matches.shape)

            end = int(np.searchsorted(right, left[-1], side="right"))  # beyond it nothing is the same
            after = np.arange(top, top + len(left))[:, None] < np.arange(end)
            i, j = np.nonzero(after & (left[:, None] == right[:end]) & (far[:, :end] > levels[0]))
            level = np.searchsorted(levels, far[i, j]) - 1  # the last that refuses the pair
            misses += _by_item(level, start + top + i, start + j, misses.shape)
        y = table.reshape(shape).cumsum(axis=0).astype(np.float64)
        m = sizes[low : low + shape[1], None] * sizes[low:]
        sums += [(y * y).sum(axis=(1, 2)), (y * m).sum(axis=(1, 2)), (y * y / m).sum(axis=(1, 2))]
    return _Counts(matches.cumsum(axis=0), misses[::-1].cumsum(axis=0)[::-1], *sums)


def _runs(sizes: Floats, block: int) -> Iterator[tuple[int, int]]:
    """Cut the items into runs of whole identities, about `block` distances to all that come after each."""
    ends = sizes.cumsum().astype(np.int64)
    start, items = 0, int(ends[-1])
    while start < items:
        fitting = np.searchsorted(ends, start + block // (items - start), side="right") - 1
        stop = int(ends[max(fitting, np.searchsorted(ends, start, side="right"))])
        yield start, stop
        start = stop


def _by_item(level: Integers, first: Integers, second: Integers, shape: tuple[int, ...]) -> Integers:
    """(T, N) how many pairs of each level each item is in."""
    cells = np.concatenate([level * shape[1] + first, level * shape[1] + second])
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)


def _different_identities(y: Floats, squares: float, weighted: float, sizes: Floats) -> Estimate:
    """FMR with identities as vertices; y (I,) matches of each identity, the sums as in `_Counts`."""
    m = sizes * (sizes.sum() - sizes)  # pairs at each identity
    pairs = m.sum() / 2
    share = y.sum() / 2 / pairs
    m_squares = _sum_of_products(sizes**2)
    return share_interval(
        share,
        residuals=y - share * m,
        squares=squares - 2 * share * weighted + share**2 * m_squares,
        pairs=pairs,
        disjoint=1 - ((m**2).sum() - m_squares) / pairs**2,
        units=len(sizes) * (len(sizes) - 1) / 2,
    )


def _same_identity(y: Floats, sizes: Floats) -> Estimate:
    """FNMR with identities as vertices; y (I,) misses of each. Every pair lies within one identity."""
    m = sizes * (sizes - 1) / 2
    y, m = y[m > 0], m[m > 0]
    share = y.sum() / m.sum()
    return share_interval(
        share,
        residuals=y - share * m,
        squares=0.0,
        pairs=m.sum(),
        disjoint=1 - (m**2).sum() / m.sum() ** 2,
        units=len(m),
    )


def _different_items(y: Floats, relative: float, of: Integers, sizes: Floats) -> Estimate:
    """FMR with items as vertices, drawn within fixed classes; y (N,) matches of each item.

    The share is a fixed mixture of one share for each two classes. Residuals are taken from those, so that
    what differs between classes is no variance. All items of a class face the same other items: that is why
    the mean of the class is what to subtract.
    """
    pairs = _sum_of_products(sizes)
    total = y.sum() / 2
    return share_interval(
        total / pairs,
        residuals=_within(y, of, sizes),
        squares=total - relative,
        pairs=pairs,
        disjoint=_sum_of_products(sizes * (sizes - 1)) / _sum_of_products(sizes**2),
        units=pairs,
    )


def _same_items(y: Floats, of: Integers, sizes: Floats) -> Estimate:
    """FNMR with items as vertices, drawn within fixed classes; y (N,) misses of each item."""
    m = sizes * (sizes - 1) / 2
    of_class = _sums(of, y) / 2
    return share_interval(
        of_class.sum() / m.sum(),
        residuals=_within(y, of, sizes),
        squares=float((of_class - np.divide(of_class**2, m, out=np.zeros_like(m), where=m > 0)).sum()),
        pairs=m.sum(),
        disjoint=(m * (sizes - 2) * (sizes - 3) / 2).sum() / (m**2).sum(),
        units=sizes[sizes > 1].sum(),
    )


def _listed(
    errors: NDArray[np.bool_], first: Integers, second: Integers, units: Literal["pairs", "vertices"]
) -> Estimate:
    """A share of listed pairs, whatever graph they form."""
    vertices, ends = np.unique(np.stack([first, second]), return_inverse=True)
    low, high = np.sort(ends.reshape(2, -1), axis=0)
    edges, edge = np.unique(low * len(vertices) + high, return_inverse=True)
    low, high = np.divmod(edges, len(vertices))
    y = _sums(edge, errors.astype(np.float64))
    m = np.bincount(edge).astype(np.float64)
    between = low < high
    share = y.sum() / m.sum()
    r = y - share * m

    def at_vertices(values: Floats) -> Floats:
        return _sums(np.concatenate([low, high[between]]), np.concatenate([values, values[between]]))

    return share_interval(
        share,
        residuals=at_vertices(r),
        squares=float((r[between] ** 2).sum()),
        pairs=m.sum(),
        disjoint=1 - ((at_vertices(m) ** 2).sum() - (m[between] ** 2).sum()) / m.sum() ** 2,
        units=len(edges) if units == "pairs" else len(vertices),
    )


def _within(y: Floats, of: Integers, sizes: Floats) -> Floats:
    """Deviation of each item's count from the mean of its class."""
    return y - (_sums(of, y) / sizes)[of]


def _sums(of: Integers, values: Floats) -> Floats:
    """(G,) sum of the values of each group."""
    return np.asarray(np.bincount(of, values), np.float64)


def _sum_of_products(x: Floats) -> float:
    """Sum over u < v of x_u x_v."""
    return float((x.sum() ** 2 - (x**2).sum()) / 2)
