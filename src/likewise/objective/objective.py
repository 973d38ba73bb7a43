"""What training minimises: tensors in, a scalar out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, final

import torch
from torch import Generator, Tensor, nn

from likewise.errors import DataError, UsageError
from likewise.objective.distances import Distance, full_precision


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

    @classmethod
    def mean(cls, losses: Tensor) -> Outcome:
        """The mean of (T,) losses, one per term; T may be 0."""
        return cls(losses.sum() / max(1, len(losses)), len(losses), int((losses > 0).sum()))


class Objective(nn.Module, ABC):
    """An objective over a batch of embeddings and integer labels.

    Attributes:
        batches: "identity" wants P x K batches (several items of each identity), "item" plain ones.
        targets: whether labels are numbers (N, K) that are to be answered, and not (N,) identities.
        unit: whether embeddings are to be scaled to unit length before they come here.
        distance: what the trained embeddings are to be compared with; saved with the model.
        collapsed_loss: the least loss when all embeddings are the same; None where it depends on the data.
    """

    name: ClassVar[str]
    batches: Literal["identity", "item"] = "identity"
    targets: ClassVar[bool] = False
    unit: bool = True
    distance: Distance
    collapsed_loss: float | None = None

    @final
    def outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None = None) -> Outcome:
        """(N, D) float, (N,) integers -> Outcome; computed in float32 or better, whatever autocast says.

        Args:
            embeddings: one row per item.
            labels: equal where the identity is the same.
            generator: source of random choices; without one they are those of seed 0, the same at every call.

        Raises:
            DataError: shapes do not fit, or labels are not integers.
        """
        self._check(embeddings, labels)
        if labels.is_floating_point() and not self.targets:
            raise DataError("Labels are integers", labels.dtype, "In float32 numbers above 16,777,216 run together.")
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._outcome(full_precision(embeddings), labels if self.targets else labels.long(), generator)

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
        """Refuses shapes that do not fit; see `outcome`."""
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
            raise DataError(
                "A batch is embeddings (N, D) with labels (N,)",
                f"{tuple(embeddings.shape)} and {tuple(labels.shape)}",
            )

    @abstractmethod
    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        """`outcome` of checked input in full precision."""

    def forward(self, embeddings: Tensor, labels: Tensor, generator: Generator | None = None) -> Tensor:
        """(N, D), (N,) -> (): the loss alone."""
        return self.outcome(embeddings, labels, generator).loss

    def options(self) -> dict[str, Any]:
        """How this objective was configured, JSON-ready, for the record in the model folder."""
        return {"name": self.name}


def positive(what: str, value: float) -> float:
    """`value`, if it is above 0 and finite.

    Raises:
        UsageError: it is not.
    """
    if not 0 < value < float("inf"):
        raise UsageError(f"A {what} is greater than 0", value, f"Pass for example {what}=0.2.")
    return float(value)
