"""Training: one loop that one reads in one sitting."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likewise.data import Dataset, PairSet
from likewise.data.augmentation import augmentation, seeded
from likewise.encoder import Encoder
from likewise.errors import CollapseWarning, DataError, UsageError
from likewise.objective import Objective
from likewise.training.batches import prepare
from likewise.training.checkpoint import STATE, load_checkpoint, save_checkpoint
from likewise.training.history import Epoch, History, Step, Stopped
from likewise.training.options import FitOptions
from likewise.training.validation import validated_by, validator

COLLAPSED_SPREAD = 0.02  # below it, embeddings differ by less than 2% of their length


def fit(
    encoder: Encoder,
    train: Dataset | PairSet,
    objective: Objective,
    *,
    validation: Dataset | PairSet | None = None,
    options: FitOptions = FitOptions(),  # noqa: B008 - frozen
    checkpoint: Path | None = None,
    resume: bool = False,
    watch: Callable[[Step], None] | None = None,
    **changes: Any,
) -> History:
    """Trains `encoder` in place and leaves it with the weights of its best epoch.

    The best epoch is the one with the best figure on `validation`, or the last one without it. Ctrl-C stops after the
    current step and keeps the best epoch so far. Same seed, data and machine: same weights, bit for bit.

    Args:
        encoder: takes shape and standardisation from `train` if it has none, and its distance from `objective`.
        train: what to learn from; a `PairSet` needs a `PairObjective`.
        objective: what to minimise; its own parameters are trained along.
        validation: chooses the epoch; never the data that will be reported on.
        options: see `FitOptions`; single ones can be given by name, as in ``fit(..., epochs=10, seed=0)``.
        checkpoint: folder that holds the state after each epoch, and history.jsonl.
        resume: go on from `checkpoint` if there is one; ends with the weights an uninterrupted run would have.
        watch: called after each step.

    Raises:
        UsageError: options that cannot work.
        DataError: data that allow no training, such as one identity.
    """
    options = _with(options, changes)
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    augment = augmentation(options.augment)
    batches = prepare(encoder, train, objective, options)
    measure = None if validation is None else validator(encoder, validation, options)

    encoder.to(device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue] - torch takes both
    objective.to(device).train()
    encoder.distance = objective.distance
    parameters = list(dict.fromkeys([*encoder.parameters(), *objective.parameters()]))  # the distance is in both
    optimizer = _optimizer(options, parameters)
    modules: dict[str, nn.Module] = {"encoder": encoder, "objective": objective}
    average = _snapshot(encoder) if options.average else None
    best = _snapshot(encoder)
    history = History((), 0, validated_by(validation, options), "finished", precision, batches.skipped)
    best_figure = -math.inf
    if resume and checkpoint is not None and (checkpoint / STATE).exists():
        kept, state = load_checkpoint(checkpoint, modules, optimizer)
        best = {k.removeprefix("best/"): v for k, v in kept.items() if k.startswith("best/")}
        average = {k.removeprefix("average/"): v for k, v in kept.items() if k.startswith("average/")} or None
        if state["options"] != options.as_dict():
            raise UsageError(
                "A run is resumed with the options it was started with", f"other options than in {checkpoint}"
            )
        history = replace(history, epochs=tuple(Epoch(**e) for e in state["epochs"]), best=state["best"])
        best_figure = state["best_figure"]

    steps = len(batches)
    seconds = history.seconds
    stopped: Stopped = "finished"
    random = torch.Generator(device=device)
    try:
        for epoch in range(len(history.epochs) + 1, options.epochs + 1):
            sums = np.zeros(4)  # loss, active share, spread, empty batches
            images, lr, started = 0, 0.0, time.perf_counter()
            for step, batch in enumerate(batches.epoch(epoch), start=1):
                # Everything random in a step follows from the seed and the step's number, so that resuming needs no
                # generator state.
                number = (epoch - 1) * steps + step
                random.manual_seed(options.seed * 1_000_003 + number)
                lr = options.peak_lr * schedule(options.schedule, (number - 0.5) / (options.epochs * steps))
                for group in optimizer.param_groups:
                    group["lr"] = lr

                pixels = batch.pixels.to(device, non_blocking=True)  # (B, C, H, W) uint8
                if augment:
                    pixels = seeded(augment, pixels.float() / 255, options.seed * 1_000_003 + number)
                with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                    embeddings = encoder(pixels)  # (B, D)
                embeddings = embeddings.float()
                outcome = batch.outcome(objective, embeddings, random)
                optimizer.zero_grad(set_to_none=True)
                outcome.loss.backward()
                optimizer.step()
                if average is not None:
                    _move_average(average, encoder, min(options.average, number / (number + 10)))

                images += len(pixels)
                now = np.array([
                    outcome.loss.item(), outcome.active / max(1, outcome.terms), spread(embeddings), outcome.terms == 0,
                ])  # fmt: skip
                sums += now
                if not math.isfinite(now[0]):
                    raise DataError(
                        "The loss stays finite",
                        f"{now[0]} in epoch {epoch}, step {step}",
                        "Lower the learning rate.",
                    )
                if watch:
                    rate = images / (time.perf_counter() - started)
                    watch(Step(epoch, options.epochs, step, steps, now[0], now[1], now[2], rate))
            elapsed = time.perf_counter() - started
            seconds += elapsed

            live = _snapshot(encoder)
            if average is not None:
                encoder.load_state_dict(average)
            figure = measure() if measure else None
            # Of equally good epochs the later one is kept: it has the lower loss.
            score = float(epoch) if figure is None else figure
            improved = score >= best_figure
            if improved:
                best, best_figure = _snapshot(encoder), score
            encoder.load_state_dict(live)
            encoder.train()
            loss, active, apart, empty = (float(v) for v in sums / steps)
            shown = -figure if figure is not None and history.select == "eer" else figure
            entry = Epoch(epoch, loss, active, apart, empty, lr, images / elapsed, seconds, shown)
            history = replace(
                history, epochs=(*history.epochs, entry), best=epoch if improved else history.best,
                warnings=_alarms(history, entry, objective),
            )  # fmt: skip
            if checkpoint:
                kept = {f"best/{k}": v for k, v in best.items()}
                kept |= {f"average/{k}": v for k, v in (average or {}).items()}
                state = {"options": options.as_dict(), "epochs": [asdict(e) for e in history.epochs]}
                state |= {"best": history.best, "best_figure": best_figure}
                save_checkpoint(checkpoint, modules, optimizer, kept, state)
            if options.patience and epoch - history.best >= options.patience:
                stopped = "early"
                break
    except KeyboardInterrupt:
        stopped = "interrupted"
        if not history.epochs:  # nothing validated yet: what there is, is the best there is
            best = _snapshot(encoder)
    encoder.load_state_dict(best)
    encoder.to("cpu").eval()
    objective.to("cpu").eval()
    encoder.trained = {
        "data": train.origin,
        "items": len(batches.pixels),
        "identities": batches.identities,
        "data_fingerprint": batches.fingerprint(),
        "objective": objective.options(),
        "fit": options.as_dict(),
        "best_epoch": history.best,
        "stopped": stopped,
        "precision": precision,
        "seconds": seconds,
        "started_from": encoder.trained.get("fingerprint"),
    }
    for warning in history.warnings:
        warnings.warn(warning, CollapseWarning, stacklevel=2)
    return replace(history, stopped=stopped)


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


def spread(embeddings: Tensor) -> float:
    """How far the rows of (N, D) lie apart: root mean square distance to their mean, over their root mean square length.

    In [0, 1] up to rounding: 0 when all are the same, near 1 when they point in all directions.
    """
    with torch.no_grad():
        centred = embeddings - embeddings.mean(dim=0)
        return math.sqrt(centred.square().sum().item() / max(embeddings.square().sum().item(), 1e-30))


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one.

    Raises:
        UsageError: unknown, or not on this machine.
    """
    try:
        device = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            "A device is one this machine has", f"{name!r}: {str(error).splitlines()[0]}", "Use auto."
        ) from error
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """ "bfloat16" where asked for, or where "auto" finds a processor that gains from it; else "float32".

    On processors without bfloat16 instructions (AVX512-BF16, AMX) it is emulated, and slower than float32.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage] - there is no public question
    return "bfloat16" if native else "float32"


def _optimizer(options: FitOptions, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    # Weights of layers decay; biases and the scales of normalisation (one dimension) do not.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lr = options.peak_lr
    if options.optimizer == "adam":
        return torch.optim.Adam(groups, lr=lr, fused=True)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True)
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr, momentum=options.momentum)
    return torch.optim.SGD(groups, lr=lr, momentum=options.momentum, nesterov=options.momentum > 0, fused=True)


def _snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _move_average(average: dict[str, Tensor], module: nn.Module, keep: float) -> None:
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - keep)
            else:
                average[name].copy_(value)


def _alarms(history: History, epoch: Epoch, objective: Objective) -> tuple[str, ...]:
    """Warnings so far, with a new one if this epoch shows that the embeddings fell together or nothing is learned."""
    found = list(history.warnings)
    if epoch.spread < COLLAPSED_SPREAD and not any("collapsed" in text for text in found):
        found.append(
            f"The embeddings collapsed: in epoch {epoch.epoch} they lie within {epoch.spread:.1%} of their length of each"
            f" other (loss {epoch.loss:.4g}). Lower the learning rate, use larger batches, or a gentler miner"
            " (semi-hard instead of hardest)."
        )
    stuck = objective.collapsed_loss
    if stuck is not None and epoch.active > 0.9 and abs(epoch.loss - stuck) < 0.02 * stuck and epoch.epoch > 1:
        if not any("stuck" in text for text in found):
            found.append(
                f"The loss is stuck at {epoch.loss:.4g}, which is what identical embeddings give ({stuck:.4g}): nothing is"
                f" learned after epoch {epoch.epoch}. Lower the learning rate, or begin with miner semi-hard or random."
            )
    if epoch.empty > 0.5 and not any("no pair" in text for text in found):
        found.append(
            f"In {epoch.empty:.0%} of the batches of epoch {epoch.epoch} no pair or triplet was found. Use more items per"
            " identity (K), more identities (P), or another miner."
        )
    return tuple(found)


def _with(options: FitOptions, changes: dict[str, Any]) -> FitOptions:
    known = {field.name for field in fields(FitOptions)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise UsageError(f"Options of fit are {', '.join(sorted(known))}", ", ".join(unknown))
    return replace(options, **changes)
