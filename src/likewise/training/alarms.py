"""Signs that training goes nowhere, said with a remedy."""

from __future__ import annotations

from likewise.objective import Objective
from likewise.training.history import Epoch

COLLAPSED_SPREAD = 0.02  # below it, embeddings differ by less than 2% of their length
STUCK_WITHIN = 0.02  # of the loss of a collapse, relative
EMPTY_BATCHES = 0.5  # share of batches without any pair or triplet


def alarms(epoch: Epoch, objective: Objective, before: tuple[str, ...]) -> tuple[str, ...]:
    """Warnings so far, with those that this epoch gives for the first time.

    The three signs: embeddings that fell together (spread near zero); a loss that stays where identical embeddings
    would put it, with nearly every term active; batches in which no pair or triplet was found.
    """
    found: dict[str, str] = {}
    if epoch.spread < COLLAPSED_SPREAD:
        found["The embeddings collapsed"] = (
            f": in epoch {epoch.epoch} they lie within {epoch.spread:.1%} of their length of each other (loss"
            f" {epoch.loss:.4g}). Lower the learning rate, use larger batches, or a gentler miner (semi-hard, random)."
        )
    stuck = objective.collapsed_loss
    if stuck and epoch.epoch > 1 and epoch.active > 0.9 and abs(epoch.loss - stuck) < STUCK_WITHIN * stuck:
        found["The loss is stuck"] = (
            f" at {epoch.loss:.4g} in epoch {epoch.epoch}; identical embeddings give {stuck:.4g}, so nothing is"
            " learned. Lower the learning rate, or use miner semi-hard or random."
        )
    if epoch.empty > EMPTY_BATCHES:
        found["Batches are empty"] = (
            f": in {epoch.empty:.0%} of those of epoch {epoch.epoch} no pair or triplet was found. Use more items per"
            " identity (K), more identities (P), or another miner."
        )
    new = [head + rest for head, rest in found.items() if not any(text.startswith(head) for text in before)]
    return (*before, *new)
