"""What happened in training, step by step for a progress bar and epoch by epoch for the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, final

Observe: TypeAlias = Callable[[int, float | None], None]  # epochs done, the validation figure


class Step(NamedTuple):
    """One step, for whoever watches.

    Attributes:
        epoch, epochs: from 1.
        step, steps: of this epoch, from 1.
        loss: of this batch.
        active: share of the batch's pairs, triplets or items that still pull on the weights, in [0, 1].
        spread: how far embeddings lie apart, in [0, 1]; 0 means that all are the same (`likewise.training.spread`).
        images_per_second: of this epoch so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    active: float
    spread: float
    images_per_second: float


@final
@dataclass(frozen=True)
class Epoch:
    """One epoch; means over its steps.

    Attributes:
        epoch: from 1.
        loss, active, spread: see `Step`.
        empty: share of batches without a single pair or triplet, in [0, 1].
        lr: learning rate of the last step.
        images_per_second: training alone, validation not counted.
        seconds: of training, since the start (over all runs if resumed).
        validation: figure on the validation set, or None without one.
    """

    epoch: int
    loss: float
    active: float
    spread: float
    empty: float
    lr: float
    images_per_second: float
    seconds: float
    validation: float | None


Stopped = Literal["finished", "early", "interrupted", "diverged"]


LESS_IS_BETTER = ("eer", "loss")  # of validation figures


@final
@dataclass(frozen=True)
class History:
    """The record of a training run.

    Attributes:
        epochs: one entry per epoch.
        best: the epoch whose weights were kept, from 1.
        select: name of the validation figure, None without a validation set.
        resumed_after: epochs that were done already when this run began.
        stopped: "finished", "early" (patience ran out), "interrupted" (Ctrl-C) or "diverged" (numbers not finite).
        precision: "float32" or "bfloat16", as it was run.
        skipped: file and reason of each item that could not be read.
        warnings: what the user should know, such as a collapse.
    """

    epochs: tuple[Epoch, ...]
    best: int
    select: str | None
    stopped: Stopped
    precision: str
    skipped: tuple[tuple[str, str], ...] = ()
    resumed_after: int = 0
    warnings: tuple[str, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """Seconds of training, without validation."""
        return self.epochs[-1].seconds if self.epochs else 0.0

    @property
    def images_per_second(self) -> float:
        """Over the whole run, without validation."""
        shown = sum(e.images_per_second * s for e, s in self._durations())
        return shown / self.seconds if self.seconds else 0.0

    @property
    def stalled_for(self) -> int:
        """Epochs since the validation figure became as good as it ever was; 0 without a validation set."""
        if self.select is None or not self.epochs:
            return 0
        best = self.epochs[self.best - 1].validation
        return len(self.epochs) - next(epoch.epoch for epoch in self.epochs if epoch.validation == best)

    def _durations(self) -> list[tuple[Epoch, float]]:
        before = 0.0
        pairs: list[tuple[Epoch, float]] = []
        for epoch in self.epochs:
            pairs.append((epoch, epoch.seconds - before))
            before = epoch.seconds
        return pairs

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def lines(self) -> str:
        """The epochs as JSON lines, as in history.jsonl."""
        return "".join(f"{json.dumps(asdict(epoch))}\n" for epoch in self.epochs)
