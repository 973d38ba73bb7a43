"""How well groups are set apart, without knowing the identities."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.errors import DataError
from likewise.metrics.inputs import Array, checked
from likewise.metrics.pairs import BLOCK, cross_blocks
from likewise.objective.distances import Distance

SAMPLE = 2_000  # items asked; the standard error of their mean is 0.005 where silhouettes spread by 0.2


def silhouette(
    embeddings: Array, groups: Array, distance: Distance, *, sample: int = SAMPLE, seed: int = 0, block: int = BLOCK
) -> float:
    """Mean silhouette, in [-1, 1]: 1 where groups are tight and far apart, 0 where they touch.

    Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis" (1987): with a
    the mean distance of an item to the others of its group and b that to the nearest other group,

        s = (b - a) / max(a, b),

    and s = 0 for an item alone in its group.

    Args:
        embeddings: (N, D).
        groups: (N,) integers, at least two different ones.
        distance: what compares them.
        sample: how many items are asked; each is compared with all N.
        seed: of the sample.
        block: most distances held at once.

    Raises:
        DataError: see `checked`; or fewer than two groups.
    """
    vectors, ids = checked(embeddings, groups)
    _, numbers, sizes = ids.unique(return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise DataError("A silhouette compares at least two groups", len(sizes), "Make more clusters.")
    asked = torch.arange(len(ids))
    if sample < len(ids):
        asked = torch.from_numpy(np.random.default_rng(seed).choice(len(ids), sample, replace=False))
    order = numbers.argsort(stable=True)
    starts = np.concatenate([[0], sizes.cumsum(0)[:-1].numpy()])
    figures: list[NDArray[np.float64]] = []
    for rows, _, distances, _ in cross_blocks(vectors[asked], vectors[order], distance, block):
        sums = np.add.reduceat(distances.double().numpy(), starts, axis=1)
        figures.append(_silhouettes(sums, numbers[asked[rows]], sizes))
    return float(np.concatenate(figures).mean())


def _silhouettes(sums: NDArray[np.float64], own: Tensor, sizes: Tensor) -> NDArray[np.float64]:
    """(r, K) sums of distances to each group, (r,) own group, (K,) sizes -> (r,) silhouettes."""
    row, group, counts = np.arange(len(own)), own.numpy(), sizes.double().numpy()
    others = counts[group] - 1
    a = sums[row, group] / np.maximum(others, 1)
    means = sums / counts
    means[row, group] = np.inf
    b = means.min(axis=1)
    return np.where((others > 0) & (np.maximum(a, b) > 0), (b - a) / np.maximum(np.maximum(a, b), 1e-300), 0.0)
