"""Training: one loop that one reads in one sitting."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likewise.data.augmentation import augmentation, seeded
from likewise.encoder import Encoder, Encoding, Seen
from likewise.errors import CollapseWarning, DataError, UsageError
from likewise.objective import Distance, Objective
from likewise.training.alarms import Diverged, alarms, check_finite, spread
from likewise.training.batches import Batches, TrainingSet, prepare
from likewise.training.device import choose_device, choose_precision
from likewise.training.features import fixed_outputs
from likewise.training.history import LESS_IS_BETTER, Epoch, History, Observe, Step, Stopped
from likewise.training.options import FitOptions
from likewise.training.state import CHECKPOINT, TrainingState, check_fresh, in_place
from likewise.training.validation import validated_by, validator

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PROBED = 64  # items that the weights of an epoch have to encode where there is no validation set


def fit(
    encoder: Encoder,
    train: TrainingSet,
    objective: Objective,
    *,
    validation: TrainingSet | None = None,
    options: FitOptions = FitOptions(),  # noqa: B008 - frozen
    checkpoint: Path | None = None,
    resume: bool = False,
    watch: Callable[[Step], None] | None = None,
    observe: Observe | None = None,
    **changes: Any,
) -> History:
    """Trains `encoder` in place and leaves it with the weights of its best epoch.

    The best epoch is the one with the best figure on `validation`, or the last one without it. Ctrl-C stops at once and
    keeps the best epoch so far; so does a loss, weights or embeddings that are no longer finite. Before the first epoch
    is done there is nothing to keep: both then raise. Same seed, data, machine and number of threads: same weights, bit
    for bit.

    Args:
        encoder: takes shape and standardisation from `train` if it has none, and its distance from `objective`.
        train: what to learn from; a `PairSet` needs a `PairObjective`, `Clips` a
            `StepObjective` and an encoder that hears a stream, a `BoxSet` needs `Yolo`. That one and an
            `AnswerObjective` need an encoder with a head.
        objective: what to minimise; its own parameters are trained along.
        validation: chooses the epoch; never the data that will be reported on.
        options: see `FitOptions`; single ones can be given by name, as in ``fit(..., epochs=10, seed=0)``.
        checkpoint: folder that holds the state after each epoch, also after the last; one that holds that of an earlier
            run is not written over, unless it is resumed.
        resume: go on from `checkpoint` if there is one; ends with the weights an uninterrupted run would have.
        watch: called after each step.
        observe: called before the first epoch and after each, with the number of epochs done and the validation
            figure, while `encoder` has the weights that this epoch offers. It may encode with them; what it raises ends
            training, with the weights of the best epoch before.

    Raises:
        UsageError: options that cannot work; an encoder of another engine; a checkpoint that is there already.
        DataError: data that allow no training, such as one identity; numbers that are not finite in the first epoch; a
            checkpoint that cannot be written.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
        After an error in training the encoder has the weights of the best epoch before it, or those it came with.
    """
    encoder, options = trainable(encoder), _with(options, changes)
    if checkpoint is not None and not resume:
        check_fresh(checkpoint)
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    batches = prepare(encoder, train, objective, options)
    augment = augmentation(options.augment, encoder.ready().kind if encoder.step_times is None else "stream")
    validated = None if validation is None else validator(encoder, objective, validation, options)

    _hand_on(encoder.distance, objective.distance)
    encoder.distance = objective.distance
    encoder.published = None  # which was of the weights it came with
    encoder.to(device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue] - torch takes both
    objective.to(device).train()
    # Stages that training leaves as they are give the same for an item each time, unless it is changed each time.
    known = encoder.fixed if augment is None else None
    drawn = batches if known is None else replace(batches, values=fixed_outputs(encoder, batches.values))
    forward = partial(encoder.from_features, after=known)
    # The distance belongs to encoder and objective alike; its parameters are to be stepped once.
    optimizer = _optimizer(options, list(dict.fromkeys([*encoder.parameters(), *objective.parameters()])))
    skipped = tuple(dict.fromkeys((*batches.skipped, *(validated.skipped if validated else ()))))
    measure = validated.measure if validated else None
    select = validated_by(validation, objective, options) if measure else None
    warned = () if measure or not validated else ("Too little to choose an epoch by could be read: the last is kept.",)
    history = History((), 0, select, "finished", precision, skipped, warnings=warned)
    data = {
        "training data": batches.fingerprint,
        "validation data": validated.fingerprint if validated else None,
        "fixed stages": encoder.fixed,
    }
    state = TrainingState(encoder, objective, optimizer, options, history, data)
    if resume and checkpoint is not None and (checkpoint / CHECKPOINT).exists():
        state.restore(checkpoint)

    averages = [module for module in encoder.modules() if isinstance(module, NORMS)]
    random = torch.Generator(device=device)
    steps = len(batches)
    epochs = options.epochs_for(steps)
    stopped: Stopped = "finished"

    def measured(epoch: int, offered: dict[str, Tensor]) -> float | None:
        """The validation figure of `offered`, larger is better; whoever observes is told while they are in place."""
        with in_place(offered, encoder):
            if measure is None:
                check_finite(encoder.encode(batches.values[:PROBED]).embeddings)
            figure = None if measure is None else measure()
            if observe is not None:
                observe(epoch, _shown(figure, select))
        return figure

    try:
        if observe is not None and not state.history.epochs:
            measured(0, state.candidate())
        for epoch in range(len(state.history.epochs) + 1, epochs + 1):
            if options.patience is not None and state.history.stalled_for >= options.patience:
                stopped = "early"
                break
            seen, started = 0, time.perf_counter()
            totals = np.zeros(4)  # loss, share active, spread, batches without terms
            lr = 0.0
            for step, batch in enumerate(drawn.epoch(epoch), start=1):
                number = (epoch - 1) * steps + step
                # Everything random in a step follows from the seed and the step's number: resuming needs no more.
                seed = options.seed * 1_000_003 + number
                random.manual_seed(seed)
                lr = options.peak_lr * schedule(options.schedule, (number - 0.5) / (epochs * steps))
                for group in optimizer.param_groups:
                    group["lr"] = lr

                items = batch.values.to(device, non_blocking=True)  # (B, ...) whole numbers
                if augment is not None:
                    items, batch = batch.changed(encoder.ready().scaled(items), augment, seed)
                features = items if known is not None else encoder.features(items)  # (B, C, H, W)
                if augment is not None and augment.features is not None:
                    features = seeded(augment.features, features, seed)
                follow(averages, number)
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                    embeddings = seeded(forward, features, seed)  # (B, D), (B, S, D) or (B, R, S, D); for dropout
                outcome = batch.outcome(objective, embeddings.float(), random)
                loss, active = outcome.loss.item(), outcome.active / max(1, outcome.terms)
                apart = spread(embeddings.detach().float().flatten(0, -2))
                if not math.isfinite(loss):
                    raise Diverged(f"a loss of {loss} in step {step}")
                if not math.isfinite(apart):  # a miner may find nothing among NaN: loss 0
                    raise Diverged(f"embeddings that are not finite in step {step}")
                optimizer.zero_grad(set_to_none=True)
                outcome.loss.backward()
                optimizer.step()
                state.move_average(number)

                totals += (loss, active, apart, outcome.terms == 0)
                seen += len(items)
                if watch is not None:
                    rate = seen / (time.perf_counter() - started)
                    watch(Step(epoch, epochs, step, steps, loss, active, apart, rate))
            elapsed = time.perf_counter() - started

            offered = state.candidate()
            figure = measured(epoch, offered)
            loss, active, apart, empty = (totals / steps).tolist()
            seconds = state.history.seconds + elapsed
            entry = Epoch(epoch, loss, active, apart, empty, lr, seen / elapsed, seconds, _shown(figure, select))
            warned = alarms((*state.history.epochs, entry), objective, state.history.warnings, history.select)
            state.close_epoch(entry, offered, figure, warned)
            if checkpoint is not None:
                state.save(checkpoint)
    except KeyboardInterrupt:
        if not state.history.epochs:
            raise
        stopped = "interrupted"
    except Diverged as what:
        found = f"{what} of epoch {len(state.history.epochs) + 1}"
        if not state.history.epochs:
            raise DataError("Training stays within finite numbers", found, "Lower the learning rate.") from what
        stopped = "diverged"
        warning = f"Training gave {found}: the best epoch before is kept. Lower the learning rate."
        state.history = replace(state.history, warnings=(*state.history.warnings, warning))
    finally:  # whatever went wrong: the best epoch, or the weights it began with where none was finished
        encoder.load_state_dict(state.best)
        encoder.cpu().eval()
        objective.cpu().eval()
    history = replace(state.history, stopped=stopped)
    encoder.trained = _record(encoder, train, objective, options, batches, history)
    used = {"train": train} if validation is None else {"train": train, "valid": validation}
    met = (Seen.of(part, data.contents, data.identity_keys()) for part, data in used.items())
    encoder.seen = Seen().joined(*met, encoder.seen)
    for warning in history.warnings:
        warnings.warn(warning, CollapseWarning, stacklevel=2)
    return history


def trainable(encoder: Encoding) -> Encoder:
    """The same, if training can change it.

    Raises:
        UsageError: it cannot.
    """
    if not isinstance(encoder, Encoder):
        raise UsageError(
            "Training starts from an encoder that torch computes",
            f"one that {encoder.architecture()['engine']} computes",
            "It can be calibrated as it is.",
        )
    return encoder


def schedule(name: str, progress: float) -> float:
    """Share of the peak learning rate at `progress` in [0, 1] of the whole run.

    "one-cycle" rises over the first quarter and falls to zero along a cosine (Smith and Topin 2018); "cosine" does so
    after a warm-up of one twentieth; "constant" stays at 1.
    """
    if name == "constant":
        return 1.0
    warm = 0.25 if name == "one-cycle" else 0.05
    if progress < warm:
        return 0.5 - 0.5 * math.cos(math.pi * progress / warm)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm) / (1 - warm))


def follow(averages: Sequence[nn.BatchNorm1d | nn.BatchNorm2d], step: int) -> None:
    """Makes running means and variances the plain mean of the first ten steps, and a decaying one after.

    They begin at 0 and 1, which after few steps is still most of a decaying mean: a network trained for 20 steps would
    then answer in use unlike in training, nearly the same for every item.
    """
    for module in averages:
        module.momentum = max(0.1, 1 / step)


def _shown(figure: float | None, select: str | None) -> float | None:
    """A figure, of which larger is better, as people know it."""
    return -figure if figure is not None and select in LESS_IS_BETTER else figure


def _optimizer(options: FitOptions, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    # Weights of layers decay; biases and the scales of normalisation (one dimension) do not.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lr, momentum = options.peak_lr, options.momentum
    if options.optimizer == "adam":
        return torch.optim.Adam(groups, lr=lr, fused=True)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True)
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr, momentum=momentum)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0, fused=True)


def _record(
    encoder: Encoder,
    train: TrainingSet,
    objective: Objective,
    options: FitOptions,
    batches: Batches,
    history: History,
) -> dict[str, Any]:
    """How the encoder was trained, for the model folder."""
    return {
        "data": train.origin,
        "data_fingerprint": batches.fingerprint,
        "items": len(batches.values),
        "identities": batches.identities,
        "objective": objective.options(),
        "fit": options.as_dict(),
        "precision": history.precision,
        "best_epoch": history.best,
        "stopped": history.stopped,
        "seconds": history.seconds,
        "before": encoder.trained or None,  # when training started from a trained model
    }


def _hand_on(before: Distance, after: Distance) -> None:
    """Training that goes on from a trained encoder goes on from what its distance has learned, if it is of one kind."""
    if before is not after and (before.name, before.options()) == (after.name, after.options()):
        after.load_state_dict(before.state_dict())


def _with(options: FitOptions, changes: dict[str, Any]) -> FitOptions:
    known = {field.name for field in fields(FitOptions)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise UsageError(f"Options of fit are {', '.join(sorted(known))}", ", ".join(unknown))
    return replace(options, **changes)
