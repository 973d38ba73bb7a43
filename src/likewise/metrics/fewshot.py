"""N-way K-shot: told a few items of each of N identities, which of them is a new item?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from likewise.errors import DataError, UsageError
from likewise.metrics.inputs import Array, checked
from likewise.objective.distances import Distance

_COMPARED = 1 << 20  # numbers on either side of the comparisons made at once


@dataclass(frozen=True)
class FewShot:
    """Few-shot accuracy over random episodes.

    Attributes:
        accuracy: share of queries named right.
        standard_error: of that, had other episodes been drawn from the same items; it says nothing of other identities.
        ways: N, identities in an episode; chance is 1 / N.
        identities: how many there were to draw from.
        shots: K, known items of each.
        episodes: how many were drawn.
        rule: what a query is compared with, see `few_shot`.
    """

    accuracy: float
    standard_error: float
    ways: int
    identities: int
    shots: int
    episodes: int
    rule: Literal["mean", "nearest"]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def few_shot(
    embeddings: Array,
    labels: Array,
    distance: Distance,
    *,
    ways: int = 20,
    shots: int = 1,
    queries: int = 1,
    episodes: int = 1000,
    rule: Literal["mean", "nearest"] = "mean",
    seed: int = 0,
) -> FewShot:
    """N-way K-shot accuracy: in every episode N identities, K known items and some queries of each are drawn.

    A query is named right where its own identity is closer, by the model's distance, than every other; a tie
    is wrong. How close an identity is:

    - "mean": distance to the mean of its shots, of their directions where the distance is cosine (Snell, Swersky and
        Zemel, "Prototypical Networks", 2017, eq. 1);
    - "nearest": distance to the nearest of its shots.

    Both are the same for one shot.

    Args:
        embeddings: (N, D).
        labels: (N,) integers; only identities with at least ``shots + queries`` items are drawn.
        distance: what compares them.
        ways: identities in an episode, at least 2.
        shots: known items of each, at least 1.
        queries: new items of each, at least 1.
        episodes: how many, at least 2.
        rule: "mean" or "nearest".
        seed: of the draws.

    Raises:
        DataError: see `checked`; or fewer than `ways` identities with enough items.
        UsageError: a number too small.
    """
    for what, number, least in (
        ("An episode has at least 2 ways", ways, 2),
        ("An episode has at least 1 shot", shots, 1),
        ("An episode has at least 1 query of each identity", queries, 1),
        ("A standard error needs at least 2 episodes", episodes, 2),
    ):
        if number < least:
            raise UsageError(what, number, f"Pass {least} or more.")
    vectors, ids = checked(embeddings, labels)
    ids, order = ids.sort(stable=True)
    vectors = distance.counted(vectors[order])
    sizes = ids.unique_consecutive(return_counts=True)[1]
    starts = sizes.cumsum(0) - sizes
    enough = (sizes >= shots + queries).nonzero()[:, 0]
    if len(enough) < ways:
        raise DataError(
            f"{ways}-way {shots}-shot episodes need {ways} identities with {shots + queries} items",
            f"{len(enough)} such identities",
            f"Give more of them, or ask for at most {len(enough)} ways.",
        )

    generator = torch.Generator().manual_seed(seed)
    chosen = enough[_drawn(torch.full((episodes,), len(enough)), ways, generator)]
    items = _drawn(sizes[chosen].flatten(), shots + queries, generator).view(episodes, ways, -1)
    items += starts[chosen][:, :, None]
    at_once = max(_COMPARED // (ways * queries * ways * shots * max(vectors.shape[1], 1)), 1)
    shares = torch.cat([_right(vectors[part], shots, rule, distance) for part in items.split(at_once)])
    error = float(shares.std()) / episodes**0.5
    return FewShot(float(shares.mean()), error, ways, len(enough), shots, episodes, rule)


def _drawn(sizes: Tensor, count: int, generator: Generator) -> Tensor:
    """(M,) sizes -> (M, count): different numbers below each size, every ordered choice equally likely."""
    drawn = torch.empty(len(sizes), 0, dtype=torch.int64)
    for taken in range(count):
        # The t-th number not taken yet: step over each taken one that is not above it, in rising order.
        number = (torch.rand(len(sizes), dtype=torch.float64, generator=generator) * (sizes - taken)).long()
        for earlier in drawn.sort(dim=1).values.unbind(dim=1):
            number += number >= earlier
        drawn = torch.cat([drawn, number[:, None]], dim=1)
    return drawn


def _right(vectors: Tensor, shots: int, rule: Literal["mean", "nearest"], distance: Distance) -> Tensor:
    """(E, ways, shots + queries, D) episodes -> (E,) share of queries named right."""
    known, asked = vectors[:, :, :shots], vectors[:, :, shots:]
    if rule == "mean":
        known = known.mean(dim=2, keepdim=True)
    episodes, ways, kept, dim = known.shape
    # (E, ways asked, queries, ways known, kept, D) on both sides, compared row by row
    shape = (episodes, ways, asked.shape[2], ways, kept, dim)
    a = asked[:, :, :, None, None].expand(shape).reshape(-1, dim)
    b = known[:, None, None].expand(shape).reshape(-1, dim)
    with torch.no_grad():
        closeness = distance.rowwise(a, b).view(shape[:-1]).amin(dim=-1)  # (E, ways, queries, ways)
    own = closeness.diagonal(dim1=1, dim2=3)  # (E, queries, ways)
    others = closeness.masked_fill(torch.eye(ways, dtype=torch.bool)[:, None, :], torch.inf).amin(dim=-1)
    return (own < others.transpose(1, 2)).double().mean(dim=(1, 2))
