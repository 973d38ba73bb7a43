"""Objectives on the answers that a person wants: a class, several at once, a number.

What is minimised is the negative log-likelihood of the targets under the outputs, which are logits or numbers, never
probabilities: their logarithm would be lost where they are near 0 or 1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from likewise.errors import DataError, UsageError
from likewise.objective.distances import Euclidean
from likewise.objective.objective import Objective, Outcome

SUM_TOLERANCE = 1e-4  # of a row of targets that is a distribution


class AnswerObjective(Objective):
    """An objective on outputs (N, K) and targets (N, K): one number for each class, or each quantity."""

    batches = "item"
    unit = False
    targets: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.distance = Euclidean()

    @classmethod
    @abstractmethod
    def check_targets(cls, targets: Tensor, called: Sequence[str] | None = None) -> None:
        """Refuses targets (N, K) that contradict the objective.

        Args:
            targets: one row per item.
            called: (N,) names of the items, to say which; None to count rows from 0.

        Raises:
            DataError: they do; says of which item.
        """

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N, K), (N, K) -> (N,): one loss per item."""

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
        if embeddings.ndim != 2 or labels.shape != embeddings.shape:
            shapes = f"{tuple(embeddings.shape)} and {tuple(labels.shape)}"
            raise DataError("A batch is outputs (N, K) with targets (N, K)", shapes)
        self.check_targets(labels)

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        return Outcome.mean(self.losses(embeddings, labels.to(embeddings.dtype)))


@final
class Multiclass(AnswerObjective):
    """Softmax cross-entropy: one of K classes, or shares of them that sum to 1.

    Args:
        class_weights: (K,) what each class counts, 0 or more; None for 1 each.

    Raises:
        UsageError: a negative weight.
    """

    name = "multiclass"

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", _weights(class_weights), persistent=False)

    @classmethod
    def check_targets(cls, targets: Tensor, called: Sequence[str] | None = None) -> None:
        """Rows are distributions: not below 0, and summing to 1."""
        if targets.shape[1] < 2:
            raise DataError("Softmax tells 2 classes or more apart", f"{targets.shape[1]}", "Use the head binary.")
        total = targets.sum(dim=1)
        wrong = (targets < 0).any(dim=1) | ~((total - 1).abs() <= SUM_TOLERANCE)
        if wrong.any():
            raise DataError(
                "Targets of a softmax are 0 or more and sum to 1 in every row",
                _first(wrong, targets, called),
                "Where several may hold at once, or none, use the head multilabel.",
            )

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `AnswerObjective`."""
        weights = self.get_buffer("class_weights")
        weighted = targets * weights if len(weights) else targets
        return -(weighted * F.log_softmax(outputs, dim=1)).sum(dim=1)

    def options(self) -> dict[str, Any]:
        """Name and class weights."""
        return {**super().options(), "class_weights": self.get_buffer("class_weights").tolist() or None}


@final
class Multilabel(AnswerObjective):
    """Sigmoid cross-entropy, summed over K classes each of which may hold or not; with K = 1 logistic regression.

    Args:
        positive_weights: (K,) what it counts that a class holds, above 0, where 1 is what it counts that it does not;
            None for 1 each.

    Raises:
        UsageError: a weight that is not above 0.
    """

    name = "multilabel"

    def __init__(self, positive_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = _weights(positive_weights)
        if (weights <= 0).any():
            raise UsageError("A positive weight is above 0", _listed(weights))
        self.register_buffer("positive_weights", weights, persistent=False)

    @classmethod
    def check_targets(cls, targets: Tensor, called: Sequence[str] | None = None) -> None:
        """Targets are probabilities: 0 to 1."""
        wrong = ~((targets >= 0) & (targets <= 1)).all(dim=1)
        if wrong.any():
            raise DataError(
                "Targets of sigmoids are from 0 to 1",
                _first(wrong, targets, called),
                "For other numbers use the head regression.",
            )

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `AnswerObjective`."""
        weights = self.get_buffer("positive_weights")
        pos_weight = weights if len(weights) else None
        return F.binary_cross_entropy_with_logits(outputs, targets, pos_weight=pos_weight, reduction="none").sum(dim=1)

    def options(self) -> dict[str, Any]:
        """Name and positive weights."""
        return {**super().options(), "positive_weights": self.get_buffer("positive_weights").tolist() or None}


class _Regression(AnswerObjective):
    """K numbers; outputs and targets are in units of their spread."""

    @classmethod
    def check_targets(cls, targets: Tensor, called: Sequence[str] | None = None) -> None:
        """Targets are finite."""
        wrong = ~targets.isfinite().all(dim=1)
        if wrong.any():
            found = _first(wrong, targets, called)
            raise DataError("Targets of a regression are finite numbers", found, "Leave such items out.")


@final
class AbsoluteError(_Regression):
    """|y - f(x)|, summed over K: finds the median, and forgives outliers."""

    name = "l1"

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `AnswerObjective`."""
        return (outputs - targets).abs().sum(dim=1)


@final
class SquaredError(_Regression):
    """(y - f(x))^2, summed over K: finds the mean."""

    name = "l2"

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `AnswerObjective`."""
        return (outputs - targets).square().sum(dim=1)


def _weights(given: Sequence[float] | None) -> Tensor:
    weights = torch.tensor([] if given is None else list(given), dtype=torch.float32)
    if not bool(((weights >= 0) & weights.isfinite()).all()):
        raise UsageError("A class counts 0 or more", _listed(weights))
    return weights


def _first(wrong: Tensor, targets: Tensor, called: Sequence[str] | None) -> str:
    """The first row that is wrong, and whose it is."""
    row = int(wrong.int().argmax())
    return f"{_listed(targets[row])} {f'in row {row}' if called is None else f'for {called[row]!r}'}"


def _listed(row: Tensor) -> str:
    return ", ".join(f"{value:g}" for value in row.tolist())
