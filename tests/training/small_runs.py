"""Training runs of a fraction of a second, and ways to cut them off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from likewise.data import Dataset
from likewise.encoder import Encoder
from likewise.objective import Objective, SupCon
from likewise.training import FitOptions, History, Observe, Step, fit

Watch = Callable[[Step], None]


SMALL = FitOptions(epochs=2, batch=(10, 5), precision="float32", device="cpu", seed=0)


def trained(
    train: Dataset,
    valid: Dataset | None = None,
    objective: Objective | None = None,
    *,
    encoder: Encoder | None = None,
    watch: Watch | None = None,
    observe: Observe | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    **options: object,
) -> tuple[Encoder, History]:
    encoder = encoder or Encoder("mlp", 8, seed=0)
    history = fit(
        encoder, train, objective or SupCon(), validation=valid, options=replace(SMALL, **options),
        watch=watch, observe=observe, checkpoint=checkpoint, resume=resume,
    )  # fmt: skip
    return encoder, history


def same_weights(a: Encoder, b: Encoder) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def without_times(history: History) -> dict[str, object]:
    values = history.as_dict()
    del values["resumed_after"]
    for epoch in values["epochs"]:
        del epoch["seconds"], epoch["images_per_second"]
    return values


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


def kill_at(epoch: int, step: int, error: type[BaseException] = Killed) -> Watch:
    def watch(now: Step) -> None:
        if (now.epoch, now.step) == (epoch, step):
            raise error

    return watch
