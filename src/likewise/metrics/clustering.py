"""How well groups found without labels agree with the identities."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from likewise.errors import DataError, UsageError
from likewise.metrics.inputs import Array, checked
from likewise.objective.distances import Distance

_WORK = 1_000_000  # items x clusters that k-means may take on for all of its starts
_MOST_WORK = 20_000_000  # and for one start: 10,000 items of 2,000 identities take some ten seconds


@dataclass(frozen=True)
class Clustering:
    """Agreement between a clustering and the identities, each in [0, 1] unless said otherwise.

    Attributes:
        nmi: normalised mutual information, by the arithmetic mean of both entropies.
        ami: the same adjusted for chance; 0 is what chance gives, and it may fall below.
        bcubed_precision: over items, the mean share of an item's cluster that has its identity.
        bcubed_recall: over items, the mean share of an item's identity that is in its cluster.
        bcubed_f: harmonic mean of the two.
        pairwise_f: harmonic mean of the share of pairs in one cluster that are of one identity, and of the
            share of pairs of one identity that are in one cluster.
        clusters: how many clusters.
        identities: how many identities.
        items: how many items.
    """

    nmi: float
    ami: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f: float
    pairwise_f: float
    clusters: int
    identities: int
    items: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def clustering(
    embeddings: Array, labels: Array, *, seed: int, clusters: int | None = None, distance: Distance | None = None
) -> Clustering:
    """Agreement of a k-means of the embeddings with the identities.

    K-means knows Euclidean distance only; for unit vectors its order is that of cosine distance. The best of
    up to 10 starts is taken, fewer where items x clusters are many; where they are more than a laptop has patience for,
    whole identities are drawn until they are not (`items` says how many items were left).

    Args:
        embeddings: (N, D).
        labels: (N,) integers.
        seed: of the starts, and of the draw.
        clusters: k; the number of identities if left out.
        distance: what compares the embeddings; a cosine has k-means look at their directions.

    Raises:
        DataError: see `checked`; or no items.
        UsageError: k below 1 or above the number of items.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    vectors, ids = checked(embeddings, labels)
    _refuse_nothing(ids)
    if distance is not None:
        vectors = distance.counted(vectors)
    if clusters is None:
        kept = _affordable(ids, seed)
        vectors, ids = vectors[kept], ids[kept]
    k = len(ids.unique()) if clusters is None else clusters
    if not 1 <= k <= len(ids):
        raise UsageError(f"k is between 1 and the {len(ids)} items there are", k, "Ask for fewer clusters.")
    starts = min(max(_WORK // (len(ids) * k), 1), 10)
    with warnings.catch_warnings():  # fewer distinct items than k: `clusters` will say how many there were
        warnings.simplefilter("ignore", ConvergenceWarning)
        # pyright takes the type of n_init from its default, "auto"; a number is what scikit-learn documents first.
        means = KMeans(k, n_init=starts, random_state=seed)  # pyright: ignore[reportArgumentType]
        found = means.fit_predict(vectors.numpy())
    return agreement(ids, torch.from_numpy(found))


def agreement(labels: Array, groups: Array) -> Clustering:
    """Agreement of any clustering with the identities.

    BCubed as in Amigo et al., "A comparison of extrinsic clustering evaluation metrics based on formal
    constraints" (2009), sections on non-overlapping clusters; with n_ck the number of items of identity c in
    cluster k,

        precision = 1/N sum_ck n_ck^2 / n_k,    recall = 1/N sum_ck n_ck^2 / n_c.

    Args:
        labels: (N,) integers, N >= 1.
        groups: (N,) integers, the cluster of each item.

    Raises:
        DataError: not integers, of different lengths, or no items.
    """
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    _, ids = checked(torch.zeros(len(groups), 0), labels)
    _, found = checked(torch.zeros(len(ids), 0), groups)
    _refuse_nothing(ids)
    ids, identity_sizes = _numbered(ids)
    found, group_sizes = _numbered(found)
    cells, in_cell = (ids * len(group_sizes) + found).unique(return_counts=True)
    of_identity, of_group = identity_sizes[cells // len(group_sizes)], group_sizes[cells % len(group_sizes)]
    precision = float((in_cell**2 / of_group).sum()) / len(ids)
    recall = float((in_cell**2 / of_identity).sum()) / len(ids)
    together = _pairs(identity_sizes) + _pairs(group_sizes)
    return Clustering(
        nmi=float(normalized_mutual_info_score(ids, found)),
        ami=float(adjusted_mutual_info_score(ids, found)),
        bcubed_precision=precision,
        bcubed_recall=recall,
        bcubed_f=2 * precision * recall / (precision + recall),
        pairwise_f=2 * _pairs(in_cell) / together if together else 1.0,
        clusters=len(group_sizes),
        identities=len(identity_sizes),
        items=len(ids),
    )


def _affordable(labels: Tensor, seed: int) -> Tensor:
    """(N,) bool: items of identities drawn at random, as many as keep items x identities at `_MOST_WORK` or below."""
    numbers, sizes = _numbered(labels)
    drawn = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    work = sizes[drawn].cumsum(0) * torch.arange(1, len(drawn) + 1)
    taken = drawn[: max(int((work <= _MOST_WORK).sum()), 1)]
    return torch.isin(numbers, taken)


def _refuse_nothing(labels: Tensor) -> None:
    if not len(labels):
        raise DataError("A clustering needs items", "none", "Give at least one.")


def _numbered(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (N,) numbered 0, 1, 2, ..., and how many items each number has."""
    _, numbers, sizes = labels.unique(return_inverse=True, return_counts=True)
    return numbers, sizes.double()


def _pairs(sizes: Tensor) -> float:
    return float((sizes * (sizes - 1)).sum()) / 2
