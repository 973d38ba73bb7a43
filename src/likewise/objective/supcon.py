"""Supervised contrastive learning: every item against the whole batch at once."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from likewise.objective.distances import Cosine
from likewise.objective.objective import Objective, Outcome, positive
from likewise.objective.partners import Partners


@final
class SupCon(Objective):
    """Supervised contrastive loss, ``L_out`` (Khosla et al. 2020, equation 2).

    For each anchor a the mean over its positives p of
    ``-log(exp(z_a . z_p / t) / sum_i exp(z_a . z_i / t))``, i running over everything but the anchor; then
    the mean over anchors. The z are embeddings scaled to unit length. Anchors are the items with a partner of
    their identity in the batch and one of another.

    Args:
        temperature: t > 0.

    Raises:
        UsageError: temperature not above 0.
    """

    name = "supcon"

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = positive("temperature", temperature)
        self.distance = Cosine()

    def _outcome(self, embeddings: Tensor, labels: Tensor, generator: Generator | None) -> Outcome:
        partners = Partners(labels)
        anchors = partners.anchors
        directions = F.normalize(embeddings)
        itself = anchors.unsqueeze(dim=1) == torch.arange(len(labels), device=labels.device)
        logits = (directions[anchors] @ directions.T / self.temperature).masked_fill(itself, -torch.inf)  # (A, B)
        others, real = partners.all_same(anchors)
        to_positives = logits.gather(1, others).masked_fill(~real, 0).sum(dim=1) / partners.same[anchors]
        return Outcome.mean(logits.logsumexp(dim=1) - to_positives)

    def options(self) -> dict[str, Any]:
        """Name and what it was made with."""
        return {**super().options(), "temperature": self.temperature}
