"""Triplet networks: objectives on anchor, positive and negative.

Every loss here is a function of the gap ``d(a, p) - d(a, n)``, which is to become negative. With `AllValid`
the sum runs over all triplets of the batch without listing them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from likewise.objective.distances import L1, Distance, Euclidean, squared_between, squared_rowwise
from likewise.objective.miners import (
    AllValid,
    HardestInBatch,
    Miner,
    RandomTriplets,
    SemiHard,
    in_blocks,
    negatives_only,
    sort_rows,
)
from likewise.objective.objective import Objective, Outcome, positive
from likewise.objective.partners import Partners

DENSE = 32  # one distance in so many costs as much, picked by itself, as a row of the product that gives them all


class TripletObjective(Objective):
    """An objective over triplets, which a miner chooses.

    The loss is the mean over all chosen triplets. It is 0 with 0 terms if the miner found none.
    """

    miner: Miner

    @abstractmethod
    def losses(self, gap: Tensor) -> Tensor:
        """Loss of each triplet from its gap ``d(a, p) - d(a, n)``; any shape."""

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        if isinstance(self.miner, AllValid):
            return self._all_valid(embeddings, labels)
        anchor, near, far = self.miner(embeddings.detach(), labels, self.distance, generator)
        # All of them if many are wanted, by one product of matrices; else those alone.
        if DENSE * len(anchor) > len(labels) ** 2:
            apart = self._between(embeddings, embeddings)
            gap = apart[anchor, near] - apart[anchor, far]
        else:
            anchors = embeddings[anchor]
            gap = self._rowwise(anchors, embeddings[near]) - self._rowwise(anchors, embeddings[far])
        return Outcome.mean(self.losses(gap))

    def _rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        return self.distance.rowwise(a, b)

    def _between(self, a: Tensor, b: Tensor) -> Tensor:
        return self.distance.between(a, b)

    def _all_valid(self, embeddings: Tensor, labels: Tensor) -> Outcome:
        partners = Partners(labels)
        loss, active = embeddings.sum() * 0, 0
        for anchors in in_blocks(partners.anchors, len(labels) * partners.most_same):
            # Computed again in the backward pass, not kept: together the blocks hold every triplet.
            part, count = checkpoint(
                self._all_of,
                embeddings,
                labels,
                partners,
                anchors,
                use_reentrant=False,
                preserve_rng_state=False,
            )
            loss, active = loss + part, active + int(count)
        return Outcome(loss / max(1, partners.triplets), partners.triplets, active)

    def _all_of(self, embeddings: Tensor, labels: Tensor, partners: Partners, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the losses of all triplets of R anchors, and how many are above zero."""
        apart = self._between(embeddings[anchors], embeddings)  # (R, B)
        others, real = partners.all_same(anchors)  # (R, K)
        row, column = real.nonzero(as_tuple=True)  # Q pairs of anchor and positive
        gap = apart[row, others[row, column]].unsqueeze(dim=1) - apart[row]  # (Q, B)
        same = labels[anchors[row]].unsqueeze(dim=1) == labels
        losses = self.losses(gap).masked_fill(same, 0)
        return losses.sum(), (losses > 0).sum()

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "miner": self.miner.options(), "distance": self.distance.name}


@final
class TripletLoss(TripletObjective):
    """FaceNet's loss on unit vectors (Schroff, Kalenichenko and Philbin 2015, equation 3).

    ``max(0, |a - p|^2 - |a - n|^2 + margin)``. Equation 3 is a sum; here it is the mean over all triplets the
    miner chose, satisfied ones included. With `AllValid`, where soon nearly all are satisfied and would water
    the mean down, it is the mean over those above zero ("batch all, not 0", Hermans, Beyer and Leibe 2017).

    Args:
        margin: > 0, in units of the squared distance, which between unit vectors is in [0, 4].
        miner: `SemiHard` unless another is given.

    Raises:
        UsageError: margin not above 0.
    """

    name = "triplet"

    def __init__(self, margin: float = 0.2, miner: Miner | None = None) -> None:
        super().__init__()
        self.margin = positive("margin", margin)
        self.miner = miner or SemiHard()
        self.distance = Euclidean()
        self.collapsed_loss = self.margin

    def losses(self, gap: Tensor) -> Tensor:
        """The hinge."""
        return F.relu(gap + self.margin)

    def _rowwise(self, a: Tensor, b: Tensor) -> Tensor:
        return squared_rowwise(a, b)

    def _between(self, a: Tensor, b: Tensor) -> Tensor:
        return squared_between(a, b)

    def _all_valid(self, embeddings: Tensor, labels: Tensor) -> Outcome:
        # Where the hinge is above zero it is linear. So the sum over all triplets is one over distances: each
        # times the active triplets it is the positive of, less those it is the negative of.
        partners = Partners(labels)
        loss, active = embeddings.sum() * 0, 0
        for anchors in in_blocks(partners.anchors, len(labels)):
            apart = self._between(embeddings[anchors], embeddings)  # (R, B)
            often = self._how_often(apart.detach(), labels, anchors, partners)
            triplets = int(often.clamp(min=0).sum())
            loss, active = loss + (apart * often).sum() + self.margin * triplets, active + triplets
        return Outcome(loss / max(1, active), partners.triplets, active)

    def _how_often(self, apart: Tensor, labels: Tensor, anchors: Tensor, partners: Partners) -> Tensor:
        """(R, B) distances -> (R, B) counts: active triplets as the positive, less those as the negative."""
        others, real = partners.all_same(anchors)  # (R, K)
        reach = (apart.gather(1, others) + self.margin).masked_fill(~real, -torch.inf)
        near = negatives_only(apart, labels, anchors)  # a negative is active if it is nearer than the reach
        as_positive = torch.searchsorted(sort_rows(near)[0], reach)
        as_negative = reach.shape[1] - torch.searchsorted(sort_rows(reach)[0], near, right=True)
        return (-as_negative).scatter_add(1, others, as_positive).to(apart.dtype)

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "margin": self.margin}


@final
class SoftMarginTripletLoss(TripletObjective):
    """``log(1 + exp(d(a, p) - d(a, n)))`` on plain vectors (Hermans, Beyer and Leibe 2017, section 2).

    It has no margin to reach and never quite stops pulling. Distances between unit vectors, at most 2, are
    too small for it to fade.

    Args:
        miner: `HardestInBatch` unless another is given, as in the paper.
        distance: Euclidean (not squared) unless another is given, as in the paper.
    """

    name = "soft-triplet"
    unit = False
    collapsed_loss = math.log(2)

    def __init__(self, miner: Miner | None = None, distance: Distance | None = None) -> None:
        super().__init__()
        self.miner = miner or HardestInBatch()
        self.distance = distance or Euclidean()

    def losses(self, gap: Tensor) -> Tensor:
        """The smooth hinge at 0."""
        return F.softplus(gap)


@final
class SoftmaxTripletLoss(TripletObjective):
    """The loss of IBM's Project Debater for sentences (Ein Dor et al. 2018), on plain vectors.

    ``(p, q) = softmax(d(a, p), d(a, n))`` and the loss is ``|p| + |1 - q|``: the positive is to have none of
    the distance, the negative all of it. As p = 1 - q = sigmoid(gap), this is twice the sigmoid of the gap.

    Args:
        miner: `RandomTriplets` unless another is given.
        distance: L1 unless another is given, as in the paper.
    """

    name = "softmax-triplet"
    unit = False
    collapsed_loss = 1.0

    def __init__(self, miner: Miner | None = None, distance: Distance | None = None) -> None:
        super().__init__()
        self.miner = miner or RandomTriplets()
        self.distance = distance or L1()

    def losses(self, gap: Tensor) -> Tensor:
        """In (0, 2)."""
        return 2 * torch.sigmoid(gap)
