"""One map of the same items at several times, on which what stays the same stays where it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from torch import Tensor

from likewise.apps.map.layouts import FEWEST_FOR_UMAP, TRUST_NEIGHBOURS
from likewise.apps.map.metric import prepared
from likewise.apps.map.trust import trustworthiness
from likewise.metrics.neighbours import neighbours
from likewise.objective.distances import Euclidean

METRIC, NEIGHBOURS, MIN_DIST = "correlation", 15, 0.3  # as of `likewise map`
A, B = 0.9921756, 1.1122533  # by which UMAP's curve 1 / (1 + a d^2b) suits that min_dist
SIZE = 10.0  # of the start: largest coordinate
STEPS, STEP = 200, 0.1  # moves, and how far the first goes along the gradient; the last goes nowhere
DRAWN = 16  # other items that push an item away, in one move
PUSH = 20.0  # what they count together for each item that pulls; UMAP has 5, with which neighbours were less true
SPRING = 1.0  # between an item and itself before and after
STEEPEST = 4.0  # the longest way of one pull or push

Floats = NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class AlignedLayout:
    """Where the items are at each time.

    Attributes:
        points: (T, N, 2) float32.
        method: "umap", or "pca" of fewer than 4 items.
        trustworthiness: (T) of each time's points; see `likewise.apps.map.trustworthiness`. None where it means
            nothing.
        movement: see `movement`.
    """

    points: Floats
    method: str
    trustworthiness: tuple[float | None, ...]
    movement: float


class Pulls(NamedTuple):
    """Which items pull at which.

    Attributes:
        heads, tails: (E,) int64, items; each pair both ways.
        weights: (E,) float32 in (0, 1].
    """

    heads: Tensor
    tails: Tensor
    weights: Tensor


def aligned(embeddings: Sequence[Tensor], *, seed: int = 0) -> AlignedLayout:
    """Lays out T sets of embeddings (N, D) of the same N items, to be looked at one after the other.

    Each time is laid out as UMAP does (McInnes, Healy and Melville 2018), from principal components of all times
    together: neighbours pull, others push. All times are moved at once, and a spring holds each item at one time to
    itself at the next, as in AlignedUMAP. docs/inspect.md has what this was measured against.

    Args:
        embeddings: T of them, at least 1, all of one shape; a few hundred items.
        seed: of which items push.
    """
    rows = [prepared(found, METRIC) for found in embeddings]
    times, items = len(rows), len(rows[0])
    points = _principal(torch.cat(rows)).view(times, items, 2)
    few = items < FEWEST_FOR_UMAP
    if not few:
        rng = torch.Generator().manual_seed(seed)
        points = _moved(SIZE * points, [pulls(found) for found in rows], rng)
    found = points.numpy()
    return AlignedLayout(found, "pca" if few else "umap", tuple(map(_trust, rows, found)), movement(found))


def movement(points: NDArray[np.floating[Any]]) -> float:
    """(T, N, 2) -> mean way of an item from one time to the next, as a share of the spread of the points after it.

    The spread is the root mean square distance from the middle. 0 of one time.
    """
    if len(points) < 2:
        return 0.0
    after = points[1:]
    spread = np.sqrt(np.square(after - after.mean(axis=1, keepdims=True)).sum(axis=2).mean(axis=1))
    way = np.linalg.norm(after - points[:-1], axis=2).mean(axis=1)
    return float(np.mean(way / np.maximum(spread, np.finfo(np.float32).tiny)))


def pulls(rows: Tensor, k: int = NEIGHBOURS) -> Pulls:
    """How strongly prepared rows (N, D) belong to each other: UMAP's graph, its section 3.1.

    A row's nearest weighs 1, others exp(-(d - d_nearest) / sigma) with sigma such that the weights of its k - 1 nearest
    sum to log2 k. Of both directions the probabilistic sum is taken.
    """
    k = min(k, len(rows) - 1)
    near = neighbours(rows, Euclidean(), k - 1)
    distances = (near.distances.double() ** 2 / 2).sort(dim=1).values  # of unit rows: 1 - correlation
    order = near.indices.gather(1, near.distances.argsort(dim=1))
    positive = torch.where(distances > 0, distances, torch.inf)
    least = positive.amin(dim=1, keepdim=True)
    beyond = (distances - torch.where(least.isinf(), 0.0, least)).clamp_min(0)
    low, high = torch.full_like(least, -50), torch.full_like(least, 10)  # logarithm of sigma
    for _ in range(50):
        middle = (low + high) / 2
        more = (-beyond / middle.exp()).exp().sum(dim=1, keepdim=True) > math.log2(k)
        low, high = torch.where(more, low, middle), torch.where(more, middle, high)
    weights = (-beyond / ((low + high) / 2).exp()).exp()
    heads = torch.arange(len(rows))[:, None].expand_as(order)
    one = coo_matrix((weights.flatten().numpy(), (heads.flatten().numpy(), order.flatten().numpy())), [len(rows)] * 2)
    both = coo_matrix(one + one.T - one.multiply(one.T))
    both.eliminate_zeros()
    return Pulls(
        torch.from_numpy(both.row).long(), torch.from_numpy(both.col).long(), torch.from_numpy(both.data).float()
    )


def _principal(rows: Tensor) -> Tensor:
    """(N, D) -> (N, 2) with a largest coordinate of 1; a little noise gives points in one place somewhere to go."""
    centred = (rows - rows.mean(dim=0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)
    directions = torch.nn.functional.pad(directions[:, -2:].flip(1), (0, max(0, 2 - rows.shape[1])))
    found = centred @ (directions * torch.where(directions.sum(dim=0) < 0, -1.0, 1.0))  # else the sign is chance
    noise = torch.from_numpy(np.random.default_rng(0).normal(scale=1e-5, size=found.shape))
    return (found / found.abs().max().clamp_min(1e-12) + noise).float()


def _moved(start: Tensor, pulls: Sequence[Pulls], rng: torch.Generator) -> Tensor:
    """(T, N, 2) -> the same after all moves."""
    times, items, _ = start.shape
    first = torch.arange(times).repeat_interleave(items) * items  # of the items of the same time
    heads, tails = (torch.cat([p[side] + t * items for t, p in enumerate(pulls)]) for side in (0, 1))
    weights = torch.cat([p.weights for p in pulls])
    belonging = torch.zeros(times * items).index_add_(0, heads, weights)
    stiffness, modes = torch.linalg.eigh(_chain(times))
    points = start.reshape(-1, 2)
    for move in range(STEPS):
        step = STEP * (1 - move / STEPS)
        gap = points[heads] - points[tails]
        square = gap.square().sum(dim=1).clamp_min(1e-6)
        slope = -4 * A * B * square ** (B - 1) / (1 + A * square**B) * weights  # both ends of a pair move: twice
        way = torch.zeros_like(points).index_add_(0, heads, _held(slope[:, None] * gap))
        others = torch.randint(items, (times * items, DRAWN), generator=rng) + first[:, None]
        gap = points[:, None] - points[others]
        square = gap.square().sum(dim=2)
        slope = 2 * B / ((0.001 + square) * (1 + A * square**B)) * (PUSH / DRAWN * belonging[:, None])
        way += _held(slope[..., None] * gap).sum(dim=1)
        # Springs pull all times at once; solved for where they come to, no step is too long for them.
        along = modes.T @ (points + step * way).view(times, -1)
        points = (modes @ (along / (1 + step * SPRING * stiffness[:, None]))).view(-1, 2)
    return points.view(times, items, 2)


def _held(ways: Tensor) -> Tensor:
    """(..., 2), none longer than `STEEPEST`; held in each coordinate, as in UMAP, they would all turn to diagonals."""
    return ways / (ways.norm(dim=-1, keepdim=True) / STEEPEST).clamp_min(1)


def _chain(times: int) -> Tensor:
    """(T, T): second differences from one time to the next."""
    steps = torch.eye(times)[1:] - torch.eye(times)[:-1]
    return steps.T @ steps


def _trust(rows: Tensor, points: Floats) -> float | None:
    k = min(TRUST_NEIGHBOURS, (len(rows) - 1) // 2)
    return trustworthiness(rows, points, k, "euclidean") if k and not bool((rows == rows[0]).all()) else None
