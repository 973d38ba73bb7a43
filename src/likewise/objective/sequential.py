"""Objectives on outputs at every step of a sequence: has the word just been said?"""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from likewise.errors import DataError, UsageError
from likewise.objective.distances import Euclidean
from likewise.objective.objective import Objective, Outcome, positive


class StepObjective(Objective):
    """Binary cross-entropy on logits (N, S, 1) and labels (N, S) that are 1, 0, or -1 where nothing counts.

    Nearly all steps are plainly not the word, and soon well known; what decides of false alarms are the few that sound
    like it. So a term counts (1 - p)^focus, where p is what the network gives its label: the focal loss of Lin et al.
    2017, eq. 4 and 5. With focus 0 it is the plain one.

    Args:
        positive_weight: what a label of 1 counts, > 0, where one of 0 counts 1. There are many more of these.
        focus: gamma of the focal loss, 0 or more.
        hold: seconds after the end of the word in which labels are 1, > 0.
        grace: seconds before it in which they are -1, > 0: an answer a little early is no mistake.

    Raises:
        UsageError: a number that cannot be.
    """

    batches = "item"
    unit = False
    timed: ClassVar[bool]  # whether every step has a term of its own

    def __init__(
        self, positive_weight: float = 5.0, focus: float = 2.0, hold: float = 0.3, grace: float = 0.12
    ) -> None:
        super().__init__()
        self.distance = Euclidean()
        self.positive_weight = positive("positive_weight", positive_weight)
        if not 0 <= focus < math.inf:
            raise UsageError("A focus is 0 or more", focus, "2 is usual, 0 is plain cross-entropy.")
        self.focus = float(focus)
        self.hold, self.grace = positive("hold", hold), positive("grace", grace)

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
        if embeddings.ndim != 3 or embeddings.shape[2] != 1 or labels.shape != embeddings.shape[:2]:
            raise DataError(
                "A batch is outputs (N, S, 1) with labels (N, S)",
                f"{tuple(embeddings.shape)} and {tuple(labels.shape)}",
            )

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        of = ("positive_weight", "focus", "hold", "grace")
        return {**super().options(), **{name: getattr(self, name) for name in of}}

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T,), (T,) -> (T,)."""
        weight, labels = logits.new_tensor(self.positive_weight), labels.to(logits.dtype)
        losses = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight, reduction="none")
        if not self.focus:
            return losses
        wrong = F.logsigmoid(logits * (1 - 2 * labels))  # log(1 - p), since a power of 0 has no slope
        return losses * (self.focus * wrong).exp()


@final
class SequentialBCE(StepObjective):
    """The mean over all steps that count: timed labels."""

    name = "sequential-bce"
    timed = True

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        counted = labels >= 0
        return Outcome.mean(self._losses(embeddings[..., 0][counted], labels[counted]))


@final
class ClipBCE(StepObjective):
    """One label per clip, 1 where any of its steps has 1, on the largest of its outputs that count.

    What one would try first, as it needs no times. It takes far more clips to learn as much: nothing says what in the
    ten seconds mattered.
    """

    name = "clip-bce"
    timed = False

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        counted = labels >= 0
        largest = embeddings[..., 0].masked_fill(~counted, -torch.inf).amax(dim=1)
        heard = counted.any(dim=1)
        return Outcome.mean(self._losses(largest[heard], (labels == 1).any(dim=1)[heard]))
