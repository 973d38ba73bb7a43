"""Siamese networks: objectives on pairs of items, same or different."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, NamedTuple, final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from likewise.errors import DataError
from likewise.objective.distances import Concatenated, Distance, Euclidean, full_precision
from likewise.objective.objective import Objective, Outcome, positive
from likewise.objective.partners import Partners

PAIRS_PER_ITEM = 4  # of each kind, from the labels of a batch


class Pairs(NamedTuple):
    """Positions of the items of M pairs, (M,) int64 each, and (M,) bool, whether they are the same."""

    left: Tensor
    right: Tensor
    same: Tensor


def balanced_pairs(labels: Tensor, per_item: int = 1, generator: Generator | None = None) -> Pairs:
    """As many same as different pairs, drawn at random, no item with itself.

    Args:
        labels: (B,) int64.
        per_item: pairs of each kind per item. Items that have no partner of their identity begin no pair.
        generator: source of the draw; without one it is that of seed 0.
    """
    partners = Partners(labels)
    left = partners.anchors.repeat_interleave(per_item)
    same, different = partners.draw_same(left, generator), partners.draw_different(left, generator)
    answers = torch.arange(2, device=labels.device).repeat_interleave(len(left)) == 0
    return Pairs(left.repeat(2), torch.cat([same, different]), answers)


class PairObjective(Objective):
    """An objective over pairs, from the labels of a batch (`balanced_pairs`) or from a pairs file."""

    @final
    def on_pairs(self, a: Tensor, b: Tensor, same: Tensor) -> Outcome:
        """(M, D), (M, D), (M,) -> Outcome.

        Args:
            a: first item of each pair.
            b: second item of each pair.
            same: bool, or 1 for same and 0 for different. (Hadsell, Chopra and LeCun write 0 for same.)

        Raises:
            DataError: shapes do not fit, or `same` holds something other than 0 and 1.
        """
        if a.ndim != 2 or a.shape != b.shape or same.shape != a.shape[:1]:
            shapes = " and ".join(str(tuple(x.shape)) for x in (a, b, same))
            raise DataError("Pairs are two tensors (M, D) with answers (M,)", shapes)
        if same.dtype != torch.bool and not ((same == 0) | (same == 1)).all():
            raise DataError("Pairs are labelled 1 for same and 0 for different", f"values {same.unique().tolist()[:5]}")
        with torch.autocast(a.device.type, enabled=False):
            return Outcome.mean(self._losses(full_precision(a), full_precision(b), same.bool()))

    @abstractmethod
    def _losses(self, a: Tensor, b: Tensor, same: Tensor) -> Tensor:
        """(M, D), (M, D), (M,) bool -> (M,): the loss of each pair."""

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        left, right, same = balanced_pairs(labels, PAIRS_PER_ITEM, generator)
        return Outcome.mean(self._losses(embeddings[left], embeddings[right], same))

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "distance": self.distance.name}


@final
class Contrastive(PairObjective):
    """Contrastive loss (Hadsell, Chopra and LeCun 2006, equation 4).

    ``d^2 / 2`` for the same, ``max(0, margin - d)^2 / 2`` for different: the same are drawn together, the
    different pushed apart until they are `margin` away.

    Args:
        margin: > 0, in units of the distance. Unit vectors are at most 2 apart, and sqrt(2) when unrelated.
        distance: Euclidean unless another is given.

    Raises:
        UsageError: margin not above 0.
    """

    name = "contrastive"

    def __init__(self, margin: float = 1.0, distance: Distance | None = None) -> None:
        super().__init__()
        self.margin = positive("margin", margin)
        self.distance = distance or Euclidean()
        self.collapsed_loss = margin**2 / 4  # half of the pairs are different

    def _losses(self, a: Tensor, b: Tensor, same: Tensor) -> Tensor:
        distances = self.distance.rowwise(a, b)
        return torch.where(same, distances, F.relu(self.margin - distances)).square() / 2

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "margin": self.margin}


@final
class BinaryCrossEntropy(PairObjective):
    """A distance layer and one sigmoid unit under binary cross-entropy (Koch et al. 2015, section 3.1).

    ``p(same) = sigmoid(bias - scale * d)`` with learned scale > 0 and bias. Both only stretch the distance,
    which changes no decision, and calibration finds their like on data of its own. So the model keeps the
    distance, with its learned weights if it has some, and lets the unit go.

    Args:
        distance: Koch's `WeightedL1`, or any other.
    """

    name = "bce"
    unit = False
    collapsed_loss = math.log(2)

    def __init__(self, distance: Distance) -> None:
        super().__init__()
        self.distance = distance
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.ones(()))

    def logit(self, a: Tensor, b: Tensor) -> Tensor:
        """(M, D), (M, D) -> (M,): log-odds of same."""
        return self.bias - self.log_scale.exp() * self.distance.rowwise(a, b)

    def _losses(self, a: Tensor, b: Tensor, same: Tensor) -> Tensor:
        return _cross_entropy(self.logit(a, b), same)


@final
class ConcatenatedTwins(PairObjective):
    """The older form of twins: both embeddings go side by side into a network that answers same or not.

    Trained with binary cross-entropy. The network is the distance, `Concatenated`, which is saved with
    the model.

    Args:
        dim: D, length of the embeddings.
        hidden: units of the hidden layer.
        seed: of the initial weights.
    """

    name = "concatenated"
    unit = False
    collapsed_loss = math.log(2)

    def __init__(self, dim: int, hidden: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.distance = Concatenated(dim, hidden, seed)

    def _losses(self, a: Tensor, b: Tensor, same: Tensor) -> Tensor:
        assert isinstance(self.distance, Concatenated)
        return _cross_entropy(self.distance.logit(a, b), same)


def _cross_entropy(logits: Tensor, same: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, same.to(logits.dtype), reduction="none")
