"""Labels that may be wrong: what items look like, against what they are called.

What speaks for each label of an item is a probability: a classifier's, or one made of how far its neighbours of that
label are. How many labels are wrong, and which, then follows by confident learning: Northcutt, Jiang and Chuang,
"Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021). It takes an item for one of a label
where the label is as probable as it is on average for the items that bear it, so that labels which are hard to tell
apart, and about which nothing is ever sure, are not suspected as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from likewise.errors import DataError
from likewise.metrics.inputs import Array, checked
from likewise.metrics.pairs import STRIP, cross_blocks
from likewise.objective.distances import Distance

NEAREST = 3  # items that speak for a label: of a single one that is wrongly labelled itself, two others make up
AMONG = 10  # other labels that are looked at, the most probable ones
MOST_WRONG = 0.25  # share of a label that may be another in truth; beyond it the two are not told apart
CLOSE = 0.01  # probabilities that differ by less are as good as equal: 99.9% is no less sure than 99.99%
LEAST_DISTANCE = 1e-12  # in a logarithm
STEEPEST = 1e3  # power of the distance that probabilities fall by

Floats = NDArray[np.float64]
IntArray = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Claims:
    """What speaks for the label that an item bears, and for others.

    Attributes:
        labels: (N,) int64, as borne.
        own: (N,) probability of that label, in [0, 1]; NaN where nothing can be said.
        others: (N, K) int64, other labels.
        probability: (N, K) of each of those; 0 where there are fewer.
    """

    labels: IntArray
    own: Floats
    others: IntArray
    probability: Floats


class Suspect(NamedTuple):
    """An item whose label is probably wrong.

    Attributes:
        item: which.
        label: that it bears.
        suggested: the label that it looks like.
        own: probability of `label`.
        probability: of `suggested`.
    """

    item: int
    label: int
    suggested: int
    own: float
    probability: float


class Inseparable(NamedTuple):
    """Two labels that cannot be told apart.

    Attributes:
        label: borne by items,
        taken_for: that look like this one,
        items: how many.
    """

    label: int
    taken_for: int
    items: int


@final
@dataclass(frozen=True)
class Doubts:
    """What is doubtful about the labels of a set.

    Attributes:
        suspects: the surest first.
        inseparable: labels so many of whose items look like another that it is not their labels that are wrong.
    """

    suspects: tuple[Suspect, ...]
    inseparable: tuple[Inseparable, ...]


def claims_of(probability: Floats, labels: IntArray, *, among: int = AMONG) -> Claims:
    """What a classifier claims.

    Args:
        probability: (N, C) of each label; of items it was not trained on, as a network agrees with what it has learned
            by heart.
        labels: (N,) as borne, each one of the C.
        among: most other labels that are looked at.
    """
    rows, kept = np.arange(len(labels)), min(among, probability.shape[1] - 1)
    others = probability.copy()
    others[rows, labels] = -1
    best = np.argpartition(-others, max(kept - 1, 0), axis=1)[:, :kept]
    return Claims(labels, probability[rows, labels], best, others[rows[:, None], best])


def neighbour_claims(
    embeddings: Array,
    labels: Array,
    distance: Distance,
    *,
    nearest: int = NEAREST,
    among: int = AMONG,
    block: int = STRIP,
) -> Claims:
    """What the neighbours of each item claim, itself left out.

    How far an item is from a label is the mean distance d to the `nearest` items that bear it (the measure of
    Rousseeuw's silhouette, 1987, and of the trust score of Jiang et al. 2018, for neighbourhoods). The probability of a
    label is in proportion to d^-b, where the one number b is what makes the labels borne most probable. An item that is
    wrongly labelled is only one of `nearest`: it does not make its good neighbours look like itself.

    Args:
        embeddings: (N, D).
        labels: (N,) integers, 0 or more.
        distance: what compares them.
        nearest: items that speak for a label, or as many as there are.
        among: most other labels that are looked at, the nearest ones.
        block: most distances held at once.

    Returns:
        Where no other item bears an item's label, `own` is NaN.

    Raises:
        DataError: see `checked`; or only one label.
    """
    vectors, ids = checked(embeddings, labels)
    names, of, sizes = np.unique(ids.numpy(), return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError("Wrong labels show where there are others", f"{len(ids)} items of one label")
    order = np.argsort(of, kind="stable")
    place = np.argsort(order)  # of each item among the sorted
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    kept = min(among, len(names) - 1)
    own, far = np.empty(len(of)), np.empty((len(of), kept))
    others = np.empty((len(of), kept), np.int64)
    for rows, _, distances, _ in cross_blocks(vectors, vectors[order], distance, block):
        here = np.arange(rows.start, rows.stop)
        distances[np.arange(len(here)), place[here]] = np.inf  # itself
        parts = np.array_split(distances.numpy(), -(-distances.numel() // KEYS))
        means = np.concatenate([_means_of_smallest(part, starts, nearest) for part in parts])
        own[here] = means[np.arange(len(here)), of[here]]
        means[np.arange(len(here)), of[here]] = np.inf
        best = np.argpartition(means, kept - 1, axis=1)[:, :kept]
        others[here], far[here] = names[best], np.take_along_axis(means, best, axis=1)
    known = np.isfinite(own)
    probability = _from_distances(np.column_stack([own, far]), known)
    return Claims(ids.numpy(), np.where(known, probability[:, 0], np.nan), others, probability[:, 1:])


def doubts(claims: Claims) -> Doubts:
    """Which labels are probably wrong, and which cannot be told apart.

    Items are counted by what they bear and what they are taken for: the most probable of the labels that are at least
    as probable as on average where they are borne. Of the items of a label that are taken for something, those that are
    taken for another are wrong; scaled up to all items of the label ("calibrated" in the words of the paper), that
    estimates how many there are. So many are named, of all labels together: those whose most probable label is ahead
    of their own by most.

    Where more than a quarter of a label, and more than one item, are taken for one other, wrong labels are the smaller
    wonder: the model does not see the difference, or both are one thing under two names. These items are not named.
    A label that no judged item bears, as one that only one item has among neighbours, can be nobody's suggestion.
    """
    sure = ~np.isnan(claims.own) & (claims.probability.max(axis=1, initial=0) > 0)
    judged = np.flatnonzero(sure)
    if not len(judged):
        return Doubts((), ())
    labels, own = claims.labels[judged], claims.own[judged]
    others, probability = claims.others[judged], claims.probability[judged]
    classes = int(max(labels.max(), others.max())) + 1
    borne = np.bincount(labels, minlength=classes)
    usual = np.bincount(labels, own, classes) / np.maximum(borne, 1) - CLOSE
    usual[borne == 0] = np.inf

    rows = np.arange(len(labels))
    passing = np.where(probability >= usual[others], probability, -1.0)
    best = passing.argmax(axis=1)
    by_other = passing[rows, best]
    right = (own >= usual[labels]) & (own >= by_other)
    wrong = ~right & (by_other >= 0)
    taken = np.bincount(labels[right | wrong], minlength=classes)
    cells, counts = np.unique(np.stack([labels, others[rows, best]], axis=1)[wrong], axis=0, return_counts=True)
    estimated = counts * borne[cells[:, 0]] / taken[cells[:, 0]]
    apart = estimated <= np.maximum(1, MOST_WRONG * borne[cells[:, 0]])

    among = np.where(np.isfinite(usual[others]), probability, -1.0)
    top = among.argmax(axis=1)
    suggested, margin = others[rows, top], among[rows, top] - own
    merged = np.isin(labels * classes + suggested, cells[~apart] @ [classes, 1])
    named = np.flatnonzero((margin > 0) & ~merged)
    named = named[np.argsort(-margin[named], kind="stable")][: round(float(estimated[apart].sum()))]
    return Doubts(
        tuple(
            Suspect(int(judged[i]), int(labels[i]), int(suggested[i]), float(own[i]), float(probability[i, top[i]]))
            for i in named
        ),
        tuple(
            Inseparable(int(label), int(other), int((margin[(labels == label) & (suggested == other)] > 0).sum()))
            for label, other in cells[~apart]
        ),
    )


INFINITE = np.int64(0x7F800000) << 32  # the bits of infinity above those of a column
KEYS = 1 << 18  # distances looked through at a time: 2 MB, which stay in the processor's cache


def _means_of_smallest(distances: NDArray[np.float32], starts: IntArray, count: int) -> Floats:
    """(B, N) distances, (C,) where the columns of each label begin -> (B, C) mean of the smallest of each label.

    Of as many as there are, up to `count`; infinite where there is none. What is infinite is not there.
    """
    # Whole numbers in the order of the distances, no two of a row the same: bits of the distance, then the column. The
    # bits of floats from 0 on rise with them.
    keys = np.abs(distances).view(np.int32).astype(np.int64)
    keys <<= 32
    keys |= np.arange(distances.shape[1])
    rows = np.arange(len(keys))[:, None]
    total, met = np.zeros((len(keys), len(starts))), np.zeros((len(keys), len(starts)))
    for _ in range(count):
        least = np.minimum.reduceat(keys, starts, axis=1)
        values = (least >> 32).astype(np.int32).view(np.float32)
        there = np.isfinite(values)
        total += np.where(there, values, 0)
        met += there
        column = least & 0xFFFFFFFF
        keys[rows, column] = INFINITE | column
    return np.divide(total, met, out=np.full_like(total, np.inf), where=met > 0)


def _from_distances(far: Floats, known: NDArray[np.bool_]) -> Floats:
    """(N, K) distances to labels, the one borne first -> (N, K) probabilities in proportion to their power -b.

    b is what makes the labels of the `known` most probable.
    """
    near = -np.log(np.maximum(far, LEAST_DISTANCE))

    def probability(power: float) -> Floats:
        scaled = power * near
        exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return exponential / exponential.sum(axis=1, keepdims=True)

    def unlikely(logarithm: float) -> float:
        scaled = np.exp(logarithm) * near[known]
        top = scaled.max(axis=1)
        return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - scaled[:, 0]))

    if not known.any():
        return probability(1.0)
    best: Any = minimize_scalar(unlikely, bounds=(-np.log(STEEPEST), np.log(STEEPEST)), method="bounded")
    return probability(float(np.exp(best.x)))
