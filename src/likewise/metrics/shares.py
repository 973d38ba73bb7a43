"""How wrong pairs are on average, different and same apart, and how far that hangs on single people or items.

A measure of error gives every pair a number between 0 and 1: `Cut` whether a threshold gets it wrong, so that the
means are FMR and FNMR, and `Placement` how many pairs of the other kind it is on the wrong side of, so that either
mean is 1 - AUC.

Counting is one pass over all pairs. What it keeps grows with the items, never with the pairs: sums per item, and for
pairs of identities three sums. Identities are taken run by run against all that come after them, so that the table of
errors between the two is complete, and can be summed and dropped, before the next run begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import DataError
from likewise.metrics.curve import ErrorCurve, bins
from likewise.metrics.estimate import Estimate
from likewise.metrics.intervals import Floats, Spread, interval
from likewise.metrics.pairs import cross_blocks
from likewise.objective.distances import Distance

Unit = Literal["identity", "item"]
Integers = NDArray[np.int64]
Distances = NDArray[np.float32]

AT_ONCE = 1 << 22  # distances: a run of rows shares what a distance prepares of all the columns


@dataclass(frozen=True)
class Share:
    """A mean over pairs, and its spread."""

    value: float
    spread: Spread

    def estimate(self) -> Estimate:
        """With its 95% interval."""
        return interval(self.value, self.spread)


@dataclass(frozen=True)
class Shares:
    """What one measure of error gives on average, over different and over same pairs.

    Both spreads have the same vertices in the same order.
    """

    different: Share
    same: Share


class PairError(Protocol):
    """How wrong a pair is, between 0 and 1."""

    def of_different(self, distances: Distances) -> Distances:
        """Of pairs of different identities, any shape; the result is the caller's to overwrite."""
        ...

    def of_same(self, distances: Distances) -> Distances:
        """Of pairs of the same identity, likewise."""
        ...


@dataclass(frozen=True)
class Cut:
    """Wrong, 1, are different pairs within the threshold and same pairs beyond it."""

    threshold: float

    def of_different(self, distances: Distances) -> Distances:
        """(...) -> (...), 0 or 1."""
        return (distances <= np.float64(self.threshold)).astype(np.float32)

    def of_same(self, distances: Distances) -> Distances:
        """(...) -> (...), 0 or 1."""
        return (distances > np.float64(self.threshold)).astype(np.float32)


class Placement:
    """Of a different pair, the share of same pairs that are farther; of a same pair, of different ones that are nearer.

    Equal distances count half. These are the placement values of DeLong, DeLong and Clarke-Pearson, "Comparing the
    areas under two or more correlated receiver operating characteristic curves", Biometrics 44 (1988): to first order
    1 - AUC changes by the sum of what both their means change by.

    Args:
        curve: of the pairs, whole and not thinned.
    """

    def __init__(self, curve: ErrorCurve) -> None:
        occupied = bins(curve.thresholds[1:].copy())
        halves_same, halves_different = (np.diff(counts) / 2 for counts in (curve.same, curve.different))
        farther = (curve.same[-1] - curve.same[1:] + halves_same) / curve.same[-1]
        nearer = (curve.different[:-1] + halves_different) / curve.different[-1]
        # By bin, as a step: a distance that a recount rounds into another bin finds the value next to its own.
        lengths = np.diff(occupied, append=occupied[-1] + 1)
        self._first = occupied[0]
        self._farther, self._nearer = (np.repeat(by.astype(np.float32), lengths) for by in (farther, nearer))

    def of_different(self, distances: Distances) -> Distances:
        """(...) -> (...), in [0, 1]."""
        return np.take(self._farther, self._places(distances), mode="clip")

    def of_same(self, distances: Distances) -> Distances:
        """(...) -> (...), in [0, 1]."""
        return np.take(self._nearer, self._places(distances), mode="clip")

    def _places(self, distances: Distances) -> NDArray[np.int32]:
        places = bins(distances.copy())
        places -= self._first
        return places


def shares(
    errors: Sequence[PairError],
    embeddings: Tensor,
    identities: Tensor,
    distance: Distance,
    unit: Unit,
    block: int = AT_ONCE,
) -> list[Shares]:
    """What each measure of error gives over all pairs of different items.

    Args:
        errors: measures of error.
        embeddings: (N, D) float32.
        identities: (N,) int64 from 0 without gaps, rising; at least one pair of a kind.
        distance: what compares them; symmetric.
        unit: what is taken as sampled, and is a vertex: "identity" (the identities are a sample of all there are) or
            "item" (the list of identities is fixed, and their items are a sample).
        block: most distances held at once.

    Raises:
        DataError: a distance that is not finite.
    """
    of = identities.numpy()
    sizes = np.bincount(of).astype(np.float64)
    sums = _summed(errors, embeddings, of, distance, block)
    if unit == "identity":
        return [
            Shares(_different_identities(_by(of, s.different), s, sizes), _same_identity(_by(of, s.same) / 2, s, sizes))
            for s in sums
        ]
    return [Shares(_different_items(s, of, sizes), _same_items(s, of, sizes)) for s in sums]


def listed_shares(
    errors: Sequence[PairError], distances: Distances, same: NDArray[np.bool_], first: Integers, second: Integers
) -> list[Shares]:
    """What each measure of error gives over listed pairs.

    Args:
        errors: measures of error.
        distances: (M,).
        same: (M,), with at least one pair of either kind.
        first: (M,) the vertex on one side of each pair: its identity, or its item.
        second: (M,) the same for the other side.
    """
    vertices, ends = np.unique(np.stack([first, second]), return_inverse=True)
    low, high = np.sort(ends.reshape(2, -1), axis=0)
    different, alike = (_Graph(low[kind], high[kind], len(vertices)) for kind in (~same, same))
    return [
        Shares(
            different.share(error.of_different(distances[~same]).astype(np.float64)),
            alike.share(error.of_same(distances[same]).astype(np.float64)),
        )
        for error in errors
    ]


class _Sums(NamedTuple):
    """What one pass over all pairs leaves behind of one measure of error.

    Attributes:
        different: (N,) of each item, the sum of its errors with items of other identities.
        same: (N,) with items of its own identity.
        different_squared: sum of the squared errors of different pairs.
        same_squared: of same pairs.
        squares: sum over pairs of identities of y^2, with y the sum of the errors between the two.
        weighted: sum of y m, with m the number of pairs between the two.
        relative: sum of y^2 / m.
    """

    different: Floats
    same: Floats
    different_squared: float
    same_squared: float
    squares: float
    weighted: float
    relative: float


def _summed(
    errors: Sequence[PairError], embeddings: Tensor, of: Integers, distance: Distance, block: int
) -> list[_Sums]:
    sizes = np.bincount(of).astype(np.float64)
    different, same = np.zeros((2, len(errors), len(of)))
    squared = np.zeros((2, len(errors)))
    between = np.zeros((3, len(errors)))
    for start, stop in _runs(sizes, block, len(errors)):
        right, low = of[start:], int(of[start])
        begin = np.searchsorted(right, np.arange(low, len(sizes)))
        m = sizes[low : int(of[stop - 1]) + 1, None] * sizes[low:]
        tables = np.zeros((len(errors), *m.shape))
        for tile in cross_blocks(embeddings[start:stop], embeddings[start:], distance, block):
            far, rows = tile.distances.numpy(), slice(start + tile.rows.start, start + tile.rows.stop)
            if not np.isfinite(far).all():
                raise DataError("Distances are finite", "NaN or infinity", "Look at the distance's weights.")
            left = right[tile.rows]
            names, begin_left = np.unique(left, return_index=True)
            end = int(np.searchsorted(right, left[-1], side="right"))  # beyond it nothing is the same
            near = far[:, :end]
            ordered = left[:, None] < right[:end]
            later = np.arange(tile.rows.start, tile.rows.stop)[:, None] < np.arange(end)
            alike = later & (left[:, None] == right[:end])
            for k, error in enumerate(errors):
                wrong = error.of_different(far)
                wrong[:, :end] *= ordered
                squared[0, k] += np.vdot(wrong, wrong)
                by_identity = np.add.reduceat(wrong, begin, axis=1, dtype=np.float64)
                tables[k, names - low] += np.add.reduceat(by_identity, begin_left, axis=0)
                different[k, rows] += by_identity.sum(axis=1)
                different[k, start:] += wrong.sum(axis=0)

                wrong = error.of_same(near) * alike
                squared[1, k] += np.vdot(wrong, wrong)
                same[k, rows] += wrong.sum(axis=1)
                same[k, start : start + end] += wrong.sum(axis=0)
        for k, table in enumerate(tables):  # one after the other, as they may be large
            between[:, k] += np.vdot(table, table), np.vdot(table, m), np.vdot(table, table / m)
    return [_Sums(*columns) for columns in zip(different, same, *squared.tolist(), *between.tolist(), strict=True)]


def _runs(sizes: Floats, block: int, tables: int) -> Iterator[tuple[int, int]]:
    """Cut the items into runs of whole identities, one or more.

    A run has at most about `block` distances to all that come after it, and as many pairs of identities in `tables`.
    """
    ends = sizes.cumsum().astype(np.int64)
    start, items = 0, int(ends[-1])
    while start < items:
        first = int(np.searchsorted(ends, start, side="right"))
        fitting = np.searchsorted(ends, start + block // (items - start), side="right") - 1
        last = max(first, min(fitting, first - 1 + block // (tables * (len(ends) - first))))
        yield start, int(ends[last])
        start = int(ends[last])


def _different_identities(y: Floats, sums: _Sums, sizes: Floats) -> Share:
    """Mean over different pairs with identities as vertices; y (I,) sum of errors of each identity."""
    m = sizes * (sizes.sum() - sizes)  # pairs at each identity
    pairs = m.sum() / 2
    mean = y.sum() / 2 / pairs
    m_squares = _sum_of_products(sizes**2)
    spread = Spread.of(
        y - mean * m,
        sums.squares - 2 * mean * sums.weighted + mean**2 * m_squares,
        pairs=pairs,
        independent=_independent(sums.different_squared, mean, pairs),
        disjoint=1 - ((m**2).sum() - m_squares) / pairs**2,
        vertices=len(sizes),
        apart=len(sizes) / 2,
    )
    return Share(mean, spread)


def _same_identity(y: Floats, sums: _Sums, sizes: Floats) -> Share:
    """Mean over same pairs with identities as vertices; y (I,) sum of each. Every pair lies within one identity."""
    m = sizes * (sizes - 1) / 2
    pairs = m.sum()
    mean = y.sum() / pairs
    paired = int(np.count_nonzero(m))
    spread = Spread.of(
        y - mean * m,
        0.0,
        pairs=pairs,
        independent=_independent(sums.same_squared, mean, pairs),
        disjoint=1 - (m**2).sum() / pairs**2,
        vertices=paired,
        apart=paired,
    )
    return Share(mean, spread)


def _different_items(sums: _Sums, of: Integers, sizes: Floats) -> Share:
    """Mean over different pairs with items as vertices, drawn within fixed classes.

    It is a fixed mixture of one mean for each two classes. Residuals are taken from those, so that what differs
    between classes is no variance. All items of a class face the same other items: that is why the mean of the class
    is what to subtract.
    """
    pairs = _sum_of_products(sizes)
    mean = sums.different.sum() / 2 / pairs
    spread = Spread.of(
        _within(sums.different, of, sizes),
        max(sums.different_squared - sums.relative, 0.0),
        pairs=pairs,
        independent=_independent(sums.different_squared, mean, pairs),
        disjoint=_sum_of_products(sizes * (sizes - 1)) / _sum_of_products(sizes**2),
        vertices=len(of),
        apart=min(len(of) / 2, len(of) - sizes.max()),
    )
    return Share(mean, spread)


def _same_items(sums: _Sums, of: Integers, sizes: Floats) -> Share:
    """Mean over same pairs with items as vertices, drawn within fixed classes."""
    m = sizes * (sizes - 1) / 2
    of_class = _by(of, sums.same) / 2
    relative = float(np.divide(of_class**2, m, out=np.zeros_like(m), where=m > 0).sum())
    pairs = m.sum()
    mean = of_class.sum() / pairs
    paired = int(sizes[sizes > 1].sum())
    spread = Spread.of(
        _within(sums.same, of, sizes),
        max(sums.same_squared - relative, 0.0),
        pairs=pairs,
        independent=_independent(sums.same_squared, mean, pairs),
        disjoint=(m * (sizes - 2) * (sizes - 3) / 2).sum() / (m**2).sum(),
        vertices=paired,
        apart=paired / 2,
    )
    return Share(mean, spread)


class _Graph:
    """Listed pairs as edges between vertices, whatever graph they form.

    Args:
        low, high: (M,) the vertices of each pair, low <= high.
        vertices: how many there are, in this graph or not.
    """

    def __init__(self, low: Integers, high: Integers, vertices: int) -> None:
        edges, self._edge = np.unique(low * vertices + high, return_inverse=True)
        self._low, self._high = np.divmod(edges, vertices)
        self._vertices = vertices
        self._between = self._low < self._high
        self._m = np.bincount(self._edge).astype(np.float64)
        self._degree = self._at_vertices(np.ones(len(edges)))

    def share(self, errors: Floats) -> Share:
        """Their mean; errors (M,)."""
        m, pairs = self._m, float(len(errors))
        mean = float(errors.mean())
        r = _by(self._edge, errors) - mean * m
        sharing = (self._at_vertices(m) ** 2).sum() - (m[self._between] ** 2).sum()
        # With these weights no vertex has more than 1: the pairs that can be chosen apart, in fractions of a pair.
        weights = 1 / np.maximum(self._degree[self._low], self._degree[self._high])
        spread = Spread.of(
            self._at_vertices(r),
            float((r[self._between] ** 2).sum()),
            pairs=pairs,
            independent=_independent(float(np.square(errors).sum()), mean, pairs),
            disjoint=1 - sharing / pairs**2,
            vertices=int(np.count_nonzero(self._degree)),
            apart=float(weights.sum()),
        )
        return Share(mean, spread)

    def _at_vertices(self, values: Floats) -> Floats:
        """(V,) sum of the values of the edges at each vertex."""
        ends = np.concatenate([self._low, self._high[self._between]])
        return np.asarray(
            np.bincount(ends, np.concatenate([values, values[self._between]]), self._vertices), np.float64
        )


def _independent(squares: float, mean: float, pairs: float) -> float:
    """Variance of the mean of independent pairs, given the sum of their squared errors."""
    return max(squares / pairs - mean**2, 0.0) / pairs


def _within(y: Floats, of: Integers, sizes: Floats) -> Floats:
    """Deviation of each item's sum from the mean of its class."""
    return y - (_by(of, y) / sizes)[of]


def _by(of: Integers, values: Floats) -> Floats:
    """(G,) sum of the values of each group."""
    return np.asarray(np.bincount(of, values), np.float64)


def _sum_of_products(x: Floats) -> float:
    """Sum over u < v of x_u x_v."""
    return float((x.sum() ** 2 - (x**2).sum()) / 2)
