"""One against many, by rank: what lies nearest to each item."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import DataError, UsageError
from likewise.metrics.inputs import Array, checked
from likewise.metrics.pairs import BLOCK, STRIP, cross_blocks
from likewise.objective.distances import Distance


@dataclass(frozen=True)
class Retrieval:
    """Figures over queries, each in [0, 1]; R is how many other items of a query's identity there are to be
    found.

    Attributes:
        precision_at_1: how often the nearest item has the query's identity.
        r_precision: share of the query's identity among its R nearest, averaged over queries.
        map_at_r: mean average precision at R.
        knn_accuracy: how often a vote of the `k` nearest items names the query's identity.
        k: how many voted.
        queries: how many queries were counted.
        left_out: how many were not, because there is no other item of their identity to be found.
    """

    precision_at_1: float
    r_precision: float
    map_at_r: float
    knn_accuracy: float
    k: int
    queries: int
    left_out: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def retrieval(
    embeddings: Array,
    labels: Array,
    distance: Distance,
    *,
    gallery: tuple[Array, Array] | None = None,
    k: int = 5,
    block: int = STRIP,
) -> Retrieval:
    """P@1, R-precision, MAP@R and k-NN accuracy, of a set within itself or of queries in a gallery.

    Musgrave, Belongie and Lim, "A Metric Learning Reality Check" (ECCV 2020): with P(i) the share of the
    query's identity among its i nearest items, and rel(i) 1 if the i-th is one of them, R-precision is P(R)
    and

        MAP@R = 1/R sum_{i=1}^{R} P(i) rel(i).

    Among items at the same distance those of other identities rank first: a model that puts everything in one
    place scores nothing. Items whose identity has no other item count as what others may be mistaken for, not
    as queries.

    Args:
        embeddings: (N, D), the queries.
        labels: (N,) integers.
        distance: what compares them.
        gallery: embeddings (G, D) and labels (G,) to be searched; the queries themselves if left out, each
            without itself.
        k: how many neighbours vote; all there are where there are fewer. A tie goes to the identity, of those
            tied, that has the nearest item.
        block: most distances held at once.

    Raises:
        DataError: see `checked`; or no query has anything to be found.
        UsageError: k below 1.
    """
    if k < 1:
        raise UsageError("k, the neighbours that vote, is at least 1", k, "Pass for example k=5.")
    probes, ids = checked(embeddings, labels)
    items, item_ids = (probes, ids) if gallery is None else checked(*gallery)
    own = int(gallery is None)
    names, sizes = item_ids.unique(return_counts=True)
    place = torch.searchsorted(names, ids).clamp(max=len(names) - 1)
    relevant = torch.where(names[place] == ids, sizes[place] - own, 0) if len(names) else torch.zeros_like(ids)
    asked = relevant > 0
    if not asked.any():
        raise DataError(
            "Retrieval needs an identity with something to be found",
            f"{len(ids)} items, none with another of its identity" + ("" if own else " in the gallery"),
            "Give at least one identity two items.",
        )

    voters = min(k, len(items) - own)
    figures: list[NDArray[np.float64]] = []
    voted: list[Tensor] = []
    for rows, _, distances, _ in cross_blocks(probes, items, distance, block):
        if own:
            distances.diagonal(rows.start).fill_(torch.inf)  # further than anything: itself is never found
        voted.append(vote(item_ids[distances.topk(voters, dim=1, largest=False).indices], block))
        ranked = _ranked(distances.numpy(), (ids[rows, None] == item_ids).numpy())
        figures.append(_at_r(ranked[asked[rows].numpy()], relevant[rows][asked[rows]].numpy()))
    precision_at_1, r_precision, map_at_r = np.concatenate(figures).mean(axis=0).tolist()
    return Retrieval(
        precision_at_1=precision_at_1,
        r_precision=r_precision,
        map_at_r=map_at_r,
        knn_accuracy=float((torch.cat(voted) == ids)[asked].double().mean()),
        k=voters,
        queries=int(asked.sum()),
        left_out=int((~asked).sum()),
    )


def hits_at_1(
    embeddings: Array, labels: Array, distance: Distance, *, block: int = STRIP
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of which items the nearest other one has the same identity; their mean is P@1 of `retrieval`.

    Args:
        embeddings: (N, D).
        labels: (N,) integers.
        distance: what compares them.
        block: most distances held at once.

    Returns:
        (Q,) positions of the items whose identity has another, rising, and (Q,) whether one of these is nearer than all
        items of others.

    Raises:
        DataError: see `checked`.
    """
    vectors, ids = checked(embeddings, labels)
    hit = torch.zeros(len(ids), dtype=torch.bool)
    for rows, _, distances, _ in cross_blocks(vectors, vectors, distance, block):
        distances.diagonal(rows.start).fill_(torch.inf)
        same = ids[rows, None] == ids
        own, others = (distances.masked_fill(hidden, torch.inf).amin(dim=1) for hidden in (~same, same))
        hit[rows] = own < others  # among items at the same distance those of other identities rank first
    _, of, counts = ids.unique(return_inverse=True, return_counts=True)
    asked = counts[of] > 1
    return asked.nonzero()[:, 0].numpy(), hit[asked].numpy()


def vote(labels: Tensor, block: int = BLOCK) -> Tensor:
    """The most frequent label of each row; of several the one that comes first. (Q, k) -> (Q,)."""
    height = max(block // labels.shape[1] ** 2, 1)
    winners = [(rows[:, :, None] == rows[:, None, :]).sum(dim=2).max(dim=1).indices for rows in labels.split(height)]
    return labels.gather(1, torch.cat(winners)[:, None])[:, 0]


def _ranked(distances: NDArray[np.float32], alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(r, G) distances -> (r, G) bool: whether the nearest, second nearest, ... item has the row's identity.

    A distance of at least 0 orders like its 31 bits; shifted up by one there is room for the identity below
    them, and sorting whole numbers is many times faster than sorting distances together with where they came
    from. Overwrites `distances`.
    """
    keys = np.abs(distances, out=distances).view(np.uint32)  # abs: -0.0 has the sign bit set
    keys <<= 1
    keys |= alike
    keys.sort(axis=1)
    return (keys & 1).astype(bool)


def _at_r(ranked: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """(r, G) ranked hits and (r,) R >= 1 -> (r, 3): hit at 1, R-precision and average precision at R."""
    ranks = np.arange(1, relevant.max(initial=1) + 1)
    hits = ranked[:, : len(ranks)] & (ranks <= relevant[:, None])
    precision = hits.cumsum(axis=1) / ranks
    return np.column_stack([hits[:, 0], hits.sum(axis=1) / relevant, (precision * hits).sum(axis=1) / relevant])
