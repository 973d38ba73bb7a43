"""Miners: which triplets of a batch to learn from.

A triplet is an anchor, a positive (another item of the same identity) and a negative (an item of another
identity). Distances are made for some anchors at a time, `BLOCK` of them; there is never a B x B x B tensor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
import torch
from torch import Generator, Tensor

from likewise.errors import UsageError
from likewise.objective.distances import Distance, Euclidean, at_least_one
from likewise.objective.partners import Partners

BLOCK = 1 << 20  # distances from anchors to the batch held at once
MOST_LISTED = 1 << 24  # triplets `AllValid` lists at most: 400 MB


class Triplets(NamedTuple):
    """Positions in the batch, (T,) int64 each; T may be 0."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Miner(ABC):
    """Chooses triplets. Items without a partner of their identity, or of another, are never anchors."""

    name: ClassVar[str]

    def __call__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        distance: Distance | None = None,
        generator: Generator | None = None,
    ) -> Triplets:
        """(B, D), (B,) int64 -> Triplets.

        Args:
            embeddings: one row per item.
            labels: equal where the identity is the same.
            distance: decides what is hard; Euclidean unless another is given.
            generator: source of random choices; without one they are those of seed 0.
        """
        with torch.no_grad():
            parts = list(self._blocks(embeddings, labels, distance or Euclidean(), generator))
            none = Triplets(*(labels.new_empty(0) for _ in range(3)))
            return Triplets(*(torch.cat(column) for column in zip(none, *parts, strict=True)))

    @abstractmethod
    def _blocks(
        self, embeddings: Tensor, labels: Tensor, distance: Distance, generator: Generator | None
    ) -> Iterator[Triplets]:
        """The triplets of some anchors at a time."""

    def options(self) -> dict[str, Any]:
        """How this miner was configured, JSON-ready."""
        return {"name": self.name}


@final
@dataclass(frozen=True)
class RandomTriplets(Miner):
    """Positives and negatives drawn at random, all equally likely.

    Args:
        per_anchor: triplets per anchor.
    """

    name = "random"
    per_anchor: int = 1

    def __post_init__(self) -> None:
        at_least_one("An anchor", "triplet", self.per_anchor)

    def _blocks(
        self, embeddings: Tensor, labels: Tensor, distance: Distance, generator: Generator | None
    ) -> Iterator[Triplets]:
        partners = Partners(labels)
        anchor = partners.anchors.repeat_interleave(self.per_anchor)
        yield Triplets(anchor, partners.draw_same(anchor, generator), partners.draw_different(anchor, generator))

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "per_anchor": self.per_anchor}


@final
@dataclass(frozen=True)
class AllValid(Miner):
    """Every triplet there is ("batch all", Hermans, Beyer and Leibe 2017, section 2).

    The triplet objectives sum over them without making the list. Called by itself it does list them.

    Raises:
        UsageError: called on a batch with more than `MOST_LISTED` triplets.
    """

    name = "all-valid"

    def _blocks(
        self, embeddings: Tensor, labels: Tensor, distance: Distance, generator: Generator | None
    ) -> Iterator[Triplets]:
        partners = Partners(labels)
        if partners.triplets > MOST_LISTED:
            raise UsageError(
                f"At most {MOST_LISTED:,} triplets are listed",
                f"{partners.triplets:,}",
                "Use a smaller batch.",
            )
        for anchors in in_blocks(partners.anchors, len(labels) * partners.most_same):
            others, real = partners.all_same(anchors)
            row, column = real.nonzero(as_tuple=True)
            pair, negative = (labels[anchors[row], None] != labels).nonzero(as_tuple=True)
            yield Triplets(anchors[row[pair]], others[row, column][pair], negative)


@final
@dataclass(frozen=True)
class HardestInBatch(Miner):
    """For each anchor its farthest positive and nearest negative ("batch hard", Hermans et al. 2017)."""

    name = "hardest"

    def _blocks(
        self, embeddings: Tensor, labels: Tensor, distance: Distance, generator: Generator | None
    ) -> Iterator[Triplets]:
        partners = Partners(labels)
        for anchors in in_blocks(partners.anchors, len(labels)):
            apart = distance.between(embeddings[anchors], embeddings)  # (R, B)
            others, real = partners.all_same(anchors)  # (R, K)
            farthest = apart.gather(1, others).masked_fill(~real, -torch.inf).argmax(dim=1, keepdim=True)
            negative = negatives_only(apart, labels, anchors).argmin(dim=1)
            yield Triplets(anchors, others.gather(1, farthest).squeeze(dim=1), negative)


@final
@dataclass(frozen=True)
class SemiHard(Miner):
    """For each anchor and positive, the hardest negative that is still further away than the positive.

    FaceNet's choice (Schroff, Kalenichenko and Philbin 2015, section 3.2, equation 4) over all
    anchor-positive pairs of the batch. A pair with no negative further away gives no triplet. One sort of the
    negatives of each anchor and one binary search for each pair: B^2 log B in all.

    `TripletMarginMiner(type_of_triplets="semihard")` of pytorch-metric-learning means something else: every
    negative between the positive and the margin, not only the hardest.
    """

    name = "semi-hard"

    def _blocks(
        self, embeddings: Tensor, labels: Tensor, distance: Distance, generator: Generator | None
    ) -> Iterator[Triplets]:
        partners = Partners(labels)
        for anchors in in_blocks(partners.anchors, len(labels)):
            apart = distance.between(embeddings[anchors], embeddings)  # (R, B)
            others, real = partners.all_same(anchors)  # (R, K)
            positives = apart.gather(1, others)
            negatives, who = sort_rows(negatives_only(apart, labels, anchors))  # nearest first
            # The first that is strictly further away; beyond the last negative all are infinite.
            place = torch.searchsorted(negatives, positives, right=True).clamp_(max=len(labels) - 1)
            row, column = (real & negatives.gather(1, place).isfinite()).nonzero(as_tuple=True)
            yield Triplets(anchors[row], others[row, column], who[row, place[row, column]])


MINERS: dict[str, type[Miner]] = {kind.name: kind for kind in (RandomTriplets, AllValid, HardestInBatch, SemiHard)}


def make_miner(name: str) -> Miner:
    """The miner called `name`.

    Raises:
        UsageError: no such miner.
    """
    if name not in MINERS:
        raise UsageError(f"A miner is one of {', '.join(MINERS)}", repr(name))
    return MINERS[name]()


def in_blocks(anchors: Tensor, width: int) -> Iterator[Tensor]:
    """(A,) anchors, some at a time: as many as have `BLOCK` entries in rows of `width`, one at least."""
    return iter(anchors.split(max(1, BLOCK // max(1, width)))) if len(anchors) else iter(())


def negatives_only(apart: Tensor, labels: Tensor, anchors: Tensor) -> Tensor:
    """(R, B) distances from anchors, infinite to items of the anchor's own identity."""
    return apart.masked_fill(labels[anchors].unsqueeze(dim=1) == labels, torch.inf)


def sort_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """(R, B) -> each row in ascending order, and where its numbers were."""
    if x.device.type == "cpu":  # NumPy has vector instructions for it and takes a sixth of torch's time
        order = torch.from_numpy(np.argsort(x.numpy(), axis=1))
        return x.gather(1, order), order
    return torch.sort(x, dim=1)
