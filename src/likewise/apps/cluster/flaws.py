"""Items too poor to decide anything by, such as blurred faces: to a cluster only where there is no doubt."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.metrics.pairs import BLOCK
from likewise.objective.distances import Distance

CLEARLY = 0.8  # of the threshold; docs/clustering.md says what that costs and saves

Integers = NDArray[np.int64]


def joined(
    embeddings: Tensor, distance: Distance, labels: Integers, flawed: NDArray[np.bool_], together: Integers,
    threshold: float,
) -> Integers:  # fmt: skip
    """The labels with those flawed items in a cluster that are clearly near it.

    An item is clearly near a cluster if its mean distance to the good items of it is at most `CLEARLY` times the
    threshold, and that to every other cluster is above the threshold. Of several items of one picture the nearest one
    joins, and none where the cluster has an item of that picture already.

    Args:
        embeddings: (N, D).
        distance: what compares them.
        labels: (N,) clusters, -1 for none.
        flawed: (N,) which items are; those with a label keep it.
        together: (N,) the picture an item was found in, or -1.
        threshold: within which clusters are merged.
    """
    waiting, good = np.flatnonzero(flawed & (labels < 0)), np.flatnonzero(~flawed & (labels >= 0))
    if not len(waiting) or not len(good):
        return labels
    good = good[labels[good].argsort(kind="stable")]
    clusters, starts, sizes = np.unique(labels[good], return_index=True, return_counts=True)
    columns = embeddings[torch.from_numpy(good)]
    near = list[tuple[float, int, int]]()
    height = max(BLOCK // len(good), 1)
    for top in range(0, len(waiting), height):
        rows = waiting[top : top + height]
        with torch.inference_mode():
            distances = distance.between(embeddings[torch.from_numpy(rows)], columns).double().numpy()
        means = np.add.reduceat(distances, starts, axis=1) / sizes
        best, mean = means.argmin(axis=1), means.min(axis=1)
        clear = (mean <= CLEARLY * threshold) & ((means <= threshold).sum(axis=1) == 1)
        near += zip(mean[clear].tolist(), rows[clear].tolist(), clusters[best[clear]].tolist(), strict=True)
    labels = labels.copy()
    there = set(zip(together[together >= 0].tolist(), labels[together >= 0].tolist(), strict=True))
    for _, item, cluster in sorted(near):
        picture = int(together[item])
        if (picture, cluster) not in there:
            labels[item] = cluster
            if picture >= 0:
                there.add((picture, cluster))
    return labels
