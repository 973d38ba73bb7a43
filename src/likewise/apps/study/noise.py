"""Which of two runs is better by more than chance: items are compared one by one, and those of a group as one.

Chance is that of the items judged. Each run is one training, by one seed: how far another seed would move it is not in
any of these figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from likewise.apps.study.study import EACH, Run
from likewise.metrics import Estimate
from likewise.metrics.classification import share_right, variance_of_sum
from likewise.metrics.intervals import wilson

CHANCE = 0.05  # of taking two for different that are not, one-sided
LITTLE = 0.02  # of a share: how much worse a run may look that few items do not show to be worse
BOUND = 0.05  # of a share: or how much worse it is at most


def worse(best: NDArray[np.bool_], other: NDArray[np.bool_], clusters: NDArray[np.int64]) -> bool:
    """(N,), (N,) which items each of two got right -> whether the other is worse by more than chance, at 95%, one side.

    What is hard for both does not count. Were both equally good, the difference of each cluster might as well have the
    other sign; the share of signs that give as large a sum is exact for any number of clusters (Fisher's randomisation
    test), and with clusters of one item it is McNemar's exact test.

    Args:
        best, other: see above.
        clusters: (N,) items of one number, as those of a group, are one witness.
    """
    sums = np.rint(_per_cluster(best, other, clusters)).astype(np.int64)
    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    total, found = int((sizes * counts).sum()), int(sums.sum())
    if found <= 0:
        return False
    # A sum of random signs has the product of cosines as its characteristic function; it lies in [-total, total].
    span = 2 * total + 1
    angles = 2 * np.pi * np.arange(span) / span
    chances = np.fft.fft((np.cos(angles[:, None] * sizes) ** counts).prod(axis=1)).real / span
    return bool(chances[found : total + 1].sum() < CHANCE)


def at_most_worse(best: NDArray[np.bool_], other: NDArray[np.bool_], clusters: NDArray[np.int64]) -> float:
    """How much less often the other of two may be right, as a share of the items: the upper end at 95%, one side.

    One cluster that only the better gets right is counted in: where no difference is seen, few clusters still show
    little.
    """
    sums = _per_cluster(best, other, clusters)
    count, items = len(sums), len(best)
    if count < 2:
        return 1.0
    mean = float(sums.sum()) / items
    off = sums - mean * np.bincount(np.unique(clusters, return_inverse=True)[1])
    error = np.sqrt((float((off**2).sum()) + (items / count) ** 2) * count / (count - 1)) / items
    return float(np.clip(mean + stdtrit(count - 1, 1 - CHANCE) * error, 0.0, 1.0))


def share(right: NDArray[np.bool_], clusters: NDArray[np.int64]) -> Estimate:
    """(N,), (N,) -> how many are right, with an interval that takes clusters for the sample where they hold several."""
    return share_right(right, clusters if len(np.unique(clusters)) < len(clusters) else None)


def share_in(
    right: NDArray[np.bool_], kinds: NDArray[np.int64], clusters: NDArray[np.int64], mix: NDArray[np.float64]
) -> Estimate:
    """How many would be right if kinds came as often as `mix` says, with an interval as that of `share`.

    A mean over strata: every item counts by how often its kind is to come, over how often it is there. Kinds of which
    there is none are left out.

    Args:
        right: (N,) which items are.
        kinds: (N,) of each, below K.
        clusters: (N,) see `share`.
        mix: (K,) how often each kind is to come, in any unit.
    """
    weights = mix[kinds] / np.bincount(kinds, minlength=len(mix))[kinds]
    weights = weights / weights.sum()
    value = min(1.0, float(weights @ right))
    of = np.unique(clusters, return_inverse=True)[1]
    count = int(of.max()) + 1
    grouped = count < len(of)
    varied = count > 1 and 0 < right[weights > 0].mean() < 1
    # Where nothing can vary, groups are what there is.
    most = 1 / float(np.square(weights if varied or not grouped else np.bincount(of, weights)).sum())
    off = weights * (right - value)
    variance = variance_of_sum(off, of) if grouped else float(np.square(off).sum())
    trials = min(most, value * (1 - value) / variance) if varied and variance > 0 else most
    return wilson(value, trials, freedom=max(1.0, count - 1.0) if grouped else np.inf)


def beyond(one: Estimate, other: Estimate) -> Estimate:
    """How far a share lies above another, with the interval that those of both leave (Newcombe 1998, method 10)."""
    off = one.value - other.value
    below = np.hypot(one.value - one.low, other.high - other.value)
    above = np.hypot(one.high - one.value, other.value - other.low)
    return Estimate(off, off - float(below), off + float(above))


def worth(runs: Sequence[Run]) -> float:
    """How many independent items those that each of some runs was judged by are worth, where groups go wrong together.

    As many as there are over the design effect (Kish 1965), which is taken of all runs together: of one with few groups
    it is hardly known.
    """
    count = min(run.figures["items"] for run in runs)
    groups = min(len(set(run.figures[EACH]["cluster"])) for run in runs)
    if groups == count:
        return float(count)
    alone, together = 0.0, 0.0  # variances of the shares, were items independent, and as groups have it
    for run in runs:
        right = np.array(run.figures[EACH]["right"], float)
        share = float(right.mean())
        of = np.unique(run.figures[EACH]["cluster"], return_inverse=True)[1]
        alone += share * (1 - share) / len(right)
        together += variance_of_sum((right - share) / len(right), of)
    return count / max(1.0, together / alone) if alone > 0 and groups > 1 else float(groups)


def as_good(best: Run, other: Run) -> bool:
    """Whether the items do not show `other` to be worse than `best` by more than chance."""
    return not worse(*_compared(best, other))


def near(best: Run, other: Run, figure: str) -> bool:
    """Whether `other` is as good, as far as can be told.

    That its items do not show it to be worse is not enough where they are so few that they would show nothing: then it
    must look nearly as good, or be known not to be much worse.
    """
    short = best.figures[figure] - other.figures[figure]
    return as_good(best, other) and (short <= LITTLE or may_lose(best, other) <= BOUND)


def may_lose(best: Run, other: Run) -> float:
    """See `at_most_worse`."""
    return at_most_worse(*_compared(best, other))


def sample_of(run: Run, items: str = "items", clusters: str = "groups") -> str:
    """What a figure stands on, "199 items" or "199 items of 11 groups", with what they are called."""
    of = run.figures[EACH]["cluster"]
    count = len(set(of))
    return f"{len(of):,} {items}" + (f" of {count} {clusters}" if count < len(of) else "")


def each(
    positions: NDArray[np.int64], right: NDArray[np.bool_], clusters: NDArray[np.int64]
) -> dict[str, dict[str, list[int]]]:
    """What `as_good` compares, JSON-ready: positions of the judged items in the data, whether right, and clusters."""
    order = np.argsort(positions)
    columns = {"item": positions, "right": right.astype(int), "cluster": clusters}
    return {EACH: {name: column[order].tolist() for name, column in columns.items()}}


def _compared(best: Run, other: Run) -> tuple[Any, Any, Any]:
    """Which of the items that both were judged by each got right, and their clusters."""
    a, b = best.figures[EACH], other.figures[EACH]
    _, left, right = np.intersect1d(a["item"], b["item"], assume_unique=True, return_indices=True)
    return (
        np.array(a["right"], bool)[left], np.array(b["right"], bool)[right], np.array(a["cluster"], np.int64)[left]
    )  # fmt: skip


def _per_cluster(
    best: Sequence[bool] | NDArray[np.bool_], other: NDArray[np.bool_], clusters: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(C,) in how many more items of each cluster the one is right."""
    of = np.unique(clusters, return_inverse=True)[1]
    return np.bincount(of, weights=np.asarray(best, float) - np.asarray(other, float)).astype(np.float64)
