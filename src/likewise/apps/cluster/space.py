"""Embeddings as points of a plain space, for methods that know no other."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from likewise.errors import UsageError
from likewise.objective.distances import L1, Cosine, Distance, Euclidean, WeightedL1


class Space(NamedTuple):
    """Points whose plain distances order as the model's.

    Attributes:
        points: (N, D) float64.
        metric: which plain distance that is.
    """

    points: NDArray[np.float64]
    metric: Literal["euclidean", "manhattan"]


def space_of(embeddings: Tensor, distance: Distance) -> Space:
    """The points (N, D) of `embeddings` (N, D) under `distance`.

    Directions stand for the cosine distance, which is half their squared Euclidean one; weights are multiplied in.

    Raises:
        UsageError: a distance that no points stand for.
    """
    points = embeddings.detach().double()
    if isinstance(distance, Cosine):
        return Space(normalize(points, dim=1).numpy(), "euclidean")
    if isinstance(distance, Euclidean):
        return Space(points.numpy(), "euclidean")
    if isinstance(distance, WeightedL1):
        return Space((points * distance.weights.detach().double()).numpy(), "manhattan")
    if isinstance(distance, L1):
        return Space(points.numpy(), "manhattan")
    raise UsageError(
        "This method needs a distance between points",
        f"the distance {distance.name}",
        "Cluster with the method agglomerative, which takes any distance.",
    )
