"""What training minimises: tensors in, a scalar out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Generator, Tensor, nn

from likewise.objective.distances import Distance


class Outcome(NamedTuple):
    """What one batch gave.

    Attributes:
        loss: scalar with a gradient; zero with a (zero) gradient when the batch had no term.
        terms: how many pairs, triplets or items were looked at.
        active: how many of them still pull on the weights (loss above zero).
    """

    loss: Tensor
    terms: int
    active: int


class Objective(nn.Module, ABC):
    """An objective over a batch of embeddings and integer labels.

    Attributes:
        distance: what the trained embeddings are to be compared with; saved with the model.
        batches: "identity" wants P x K batches (several items of each identity), "item" plain ones.
        unit: whether embeddings are scaled to unit length.
    """

    name: ClassVar[str]
    batches: ClassVar[Literal["identity", "item"]] = "identity"
    unit: ClassVar[bool] = True
    distance: Distance

    @abstractmethod
    def outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None = None) -> Outcome:
        """(N, D) float, (N,) int64 -> Outcome. Random choices draw from `generator` only."""

    def forward(self, embeddings: Tensor, labels: Tensor, generator: Generator | None = None) -> Tensor:
        """(N, D), (N,) -> (): the loss alone."""
        return self.outcome(embeddings, labels, generator).loss

    def options(self) -> dict[str, Any]:
        """How this objective was configured, JSON-ready, for the record in the model folder."""
        return {"name": self.name}


class PairObjective(Objective):
    """An objective over pairs; pairs come from the labels of a batch or from a pairs file."""

    @abstractmethod
    def on_pairs(self, a: Tensor, b: Tensor, same: Tensor) -> Outcome:
        """(M, D), (M, D), (M,) bool -> Outcome."""
