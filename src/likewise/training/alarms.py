"""Signs that training goes nowhere, said with a remedy."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from likewise.objective import Objective
from likewise.training.history import LESS_IS_BETTER, Epoch

COLLAPSED_SPREAD = 0.02  # below it, embeddings differ by less than 2% of their length
STUCK_WITHIN = 0.02  # of the loss of a collapse, relative
STUCK_EPOCHS = 3  # in a row; a loss may pass through that value on its way down
EMPTY_BATCHES = 0.5  # share of batches without any pair or triplet


class Diverged(Exception):  # noqa: N818 - not an error of the user's
    """Training left the finite numbers; the text says with what."""


def spread(embeddings: Tensor) -> float:
    """How far the rows of (N, D) lie apart: root mean square distance to their mean, over that to the origin.

    In [0, 1] up to rounding: 0 when all are the same, near 1 when they point in all directions. NaN where one of them
    is not finite or too long to be squared.
    """
    centred = embeddings - embeddings.mean(dim=0)
    return math.sqrt(centred.square().sum().item() / max(embeddings.square().sum().item(), 1e-30))


def check_finite(embeddings: Tensor) -> None:
    """Refuses the (N, D) embeddings of an epoch between which nothing can be measured.

    Raises:
        Diverged: one of them is not finite or too long to be squared.
    """
    if not math.isfinite(spread(embeddings)):
        raise Diverged("embeddings that are not finite at the end")


def alarms(
    epochs: Sequence[Epoch], objective: Objective, before: tuple[str, ...], select: str | None = None
) -> tuple[str, ...]:
    """Warnings so far (`before`), with those that the last of `epochs` gives for the first time.

    The three signs: embeddings that fell together (spread near zero); a loss that is stuck; batches in which no pair or
    triplet was found. A loss is stuck that for `STUCK_EPOCHS` epochs stays where identical embeddings would put it,
    with nearly every term active, though the learning rate no longer rises; and, where there is a validation set, none
    of these epochs gave the best figure so far.

    Args:
        epochs: all so far, at least one.
        objective: what is minimised.
        before: warnings of earlier epochs.
        select: name of the validation figure; see `LESS_IS_BETTER`.
    """
    *_, epoch = epochs
    found: dict[str, str] = {}
    if epoch.spread < COLLAPSED_SPREAD and not objective.targets:  # answers may well be alike
        found["The embeddings collapsed"] = (
            f": in epoch {epoch.epoch} they lie within {epoch.spread:.1%} of their length of each other (loss"
            f" {epoch.loss:.4g}). Lower the learning rate, use larger batches, or a gentler miner (semi-hard, random)."
        )
    stuck, last = objective.collapsed_loss, epochs[-STUCK_EPOCHS:]
    if (
        stuck
        and len(last) == STUCK_EPOCHS
        and last[-1].lr <= last[-2].lr
        and not _improved(epochs, select)
        and all(e.active > 0.9 and abs(e.loss - stuck) < STUCK_WITHIN * stuck for e in last)
    ):
        also = "" if epoch.validation is None else ", and the validation figure gets no better"
        found["The loss is stuck"] = (
            f" at {epoch.loss:.4g} in epoch {epoch.epoch}: identical embeddings give {stuck:.4g}{also}. Lower the"
            " learning rate; for triplets, use miner semi-hard or random."
        )
    if epoch.empty > EMPTY_BATCHES:
        found["Batches are empty"] = (
            f": in {epoch.empty:.0%} of those of epoch {epoch.epoch} no pair or triplet was found. Use more items per"
            " identity (K), more identities (P), or another miner."
        )
    new = [head + rest for head, rest in found.items() if not any(text.startswith(head) for text in before)]
    return (*before, *new)


def _improved(epochs: Sequence[Epoch], select: str | None) -> bool:
    """Whether one of the last `STUCK_EPOCHS` epochs gave the best validation figure so far."""
    figures = [epoch.validation for epoch in epochs if epoch.validation is not None]
    if not figures:
        return False
    best = min(figures) if select in LESS_IS_BETTER else max(figures)
    return figures.index(best) >= len(figures) - STUCK_EPOCHS
