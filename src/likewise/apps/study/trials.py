"""One training with its figures: what runs of several studies share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from likewise.apps.classify import ClassifyOptions, objective_for
from likewise.apps.study.noise import each, share
from likewise.apps.study.plan import Fold, Plan
from likewise.apps.study.study import EACH
from likewise.data import Dataset
from likewise.encoder import Encoder, Head, Progress
from likewise.errors import DataError
from likewise.matching import encode_labelled
from likewise.metrics import Estimate, hits_at_1, verification
from likewise.metrics.intervals import CONFIDENCE
from likewise.objective import Distance, Objective
from likewise.training import FitOptions, History, Observe, Step, fit
from likewise.training.targets import head_for, targets_for

EER = ("eer", "eer_low", "eer_high")
TIMED = 64  # items whose encoding is timed


def trained(
    encoder: Encoder,
    train: Dataset,
    objective: Objective,
    options: FitOptions,
    *,
    valid: Dataset | None = None,
    watch: Callable[[Step], None] | None = None,
    observe: Observe | None = None,
) -> History:
    """`fit`, of which an interrupted one is no run.

    Raises:
        KeyboardInterrupt: Ctrl-C, also where some epochs were done: half a training says nothing of a setting.
    """
    history = fit(encoder, train, objective, validation=valid, options=options, watch=watch, observe=observe)
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
    return history


def classified(plan: Plan, make: Callable[[Head], Encoder], options: FitOptions, progress: Progress) -> dict[str, Any]:
    """Trains a classifier for each fold: how often they are right on what is judged, for every item, and what it costs.

    And how often on what they were trained on, by class too: how many were right, and how many there are.

    Args:
        plan: of items that can be read.
        make: an encoder with this head.
        options: how to train.
        progress: told of steps.
    """
    head = head_for(plan.data)
    right: list[NDArray[np.bool_]] = []
    learned: list[NDArray[np.bool_]] = []
    seconds, encoder = 0.0, make(head)
    for number, fold in enumerate(plan.folds):
        encoder, train = make(head), plan.data.subset(fold.train)
        objective = objective_for(head, train, ClassifyOptions(fit=options))
        history = trained(
            encoder, train, objective, options, valid=_part(plan, fold.valid), watch=told(progress, plan, number)
        )
        seconds += history.seconds
        right.append(right_of(encoder, head, plan.data.subset(fold.judged)))
        learned.append(right_of(encoder, head, train))
    known = np.concatenate(learned)
    of = plan.data.labels[np.concatenate([fold.train for fold in plan.folds])]
    return {
        **answered(plan, _judged(plan), np.concatenate(right)),
        "trained_accuracy": float(known.mean()),
        "trained_by_class": np.stack([np.bincount(of, known), np.bincount(of)], axis=1).astype(int).tolist(),
        "seconds": seconds, "parameters": encoder.parameters_count, "ms_per_item": 1000 * cost(encoder),
    }  # fmt: skip


def answered(plan: Plan, positions: NDArray[np.int64], right: NDArray[np.bool_]) -> dict[str, Any]:
    """(n,) judged items, (n,) which were answered rightly -> the share, with its interval, and each."""
    clusters = plan.clusters(positions)
    rate = share(right, clusters)
    counts = np.bincount(plan.data.labels[positions])
    return {
        "accuracy": rate.value, "low": rate.low, "high": rate.high, "items": len(right),
        "most_frequent": float(counts.max() / len(right)), **each(positions, right, clusters),
    }  # fmt: skip


def right_of(encoder: Encoder, head: Head, data: Dataset) -> NDArray[np.bool_]:
    """(N,) which items of classes an encoder with this head gets right."""
    outputs = encode_labelled(encoder, data).embeddings
    return np.asarray(outputs.argmax(dim=1) == targets_for(head, data).argmax(dim=1))


def embedded(
    plan: Plan,
    make: Callable[[Dataset], tuple[Encoder, Objective]],
    options: FitOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Trains an embedding for each fold: P@1 and EER on what is judged, and what it costs.

    Of several folds the EER is their mean, with the interval that their spread gives: distances of two networks do not
    compare.

    Args:
        plan: of items that can be read.
        make: encoder and objective for what is trained on.
        options: how to train.
        progress: told of steps.
    """
    figures: list[dict[str, Any]] = []
    seconds, parameters = 0.0, 0
    for number, fold in enumerate(plan.folds):
        train, valid = plan.data.subset(fold.train), _part(plan, fold.valid)
        if valid is not None and not valid.comparable:
            valid = None
        encoder, objective = make(train)
        history = trained(encoder, train, objective, options, valid=valid, watch=told(progress, plan, number))
        seconds, parameters = seconds + history.seconds, encoder.parameters_count
        embeddings = encode_labelled(encoder, plan.data.subset(fold.judged)).embeddings
        figures.append(neighbours(plan, fold, embeddings, encoder.distance_on_cpu()))
    return {**joined(figures), "seconds": seconds, "parameters": parameters}


def neighbours(
    plan: Plan, fold: Fold, embeddings: Tensor, distance: Distance, labels: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """EER of what a fold judges, with its interval, and of which items the nearest is of the same identity.

    Args:
        plan, fold: whose items.
        embeddings: (n, D) of the judged items, in their order.
        distance: what compares them.
        labels: (N,) of the items of the plan; None for the data's own.

    Raises:
        DataError: nothing to compare.
    """
    of = torch.from_numpy((plan.data.labels if labels is None else labels)[fold.judged])
    counts = torch.bincount(of)
    if int((counts > 0).sum()) < 2 or int(counts.max()) < 2:
        few = f"{len(of)} judged items of {int((counts > 0).sum())}"
        raise DataError("Comparing takes 2 identities, one of them with 2 items", few, "Bring more items.")
    asked, right = hits_at_1(embeddings, of, distance)
    eer = verification(embeddings, of, distance, unit="identity" if plan.by == "identity" else "item").eer
    positions = fold.judged[asked]
    return {
        "eer": eer.value, "eer_low": eer.low, "eer_high": eer.high,
        **each(positions, right, plan.clusters(positions)),
    }  # fmt: skip


def joined(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """P@1 over what all folds judged, and the mean of their EERs, with intervals; see `embedded`."""
    position, hit, cluster = (
        np.concatenate([np.array(one[EACH][name], np.int64) for one in figures])
        for name in ("item", "right", "cluster")
    )
    right = hit.astype(bool)
    at_1 = share(right, cluster)
    eer = _mean([one["eer"] for one in figures]) if len(figures) > 1 else Estimate(*(figures[0][key] for key in EER))
    return {
        "precision_at_1": at_1.value, "low": at_1.low, "high": at_1.high,
        "eer": eer.value, "eer_low": eer.low, "eer_high": eer.high, "items": len(right),
        **each(position, right, cluster),
    }  # fmt: skip


def _mean(shares: list[float]) -> Estimate:
    """Mean of a share over folds, with the interval that their spread gives."""
    mean, count = float(np.mean(shares)), len(shares)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2) * np.std(shares, ddof=1) / np.sqrt(count))
    return Estimate(mean, max(0.0, mean - half), min(1.0, mean + half))


def cost(encoder: Encoder) -> float:
    """Seconds that encoding one item takes, without reading it; the least of three tries."""
    items = encoder.ready().drawn(np.random.default_rng(0), TIMED)
    tries: list[float] = []
    for _ in range(3):
        begun = time.perf_counter()
        encoder.encode(items)
        tries.append((time.perf_counter() - begun) / TIMED)
    return min(tries)


def _part(plan: Plan, positions: NDArray[np.int64]) -> Dataset | None:
    return plan.data.subset(positions) if len(positions) else None


def _judged(plan: Plan) -> NDArray[np.int64]:
    """What is judged, fold by fold."""
    return np.concatenate([fold.judged for fold in plan.folds])


def told(progress: Progress, plan: Plan, number: int) -> Callable[[Step], None]:
    """Steps of one fold as a share of those of all."""
    folds = len(plan.folds)

    def watch(step: Step) -> None:
        of_fold = step.epochs * step.steps
        done = number * of_fold + (step.epoch - 1) * step.steps + step.step
        which = f"fold {number + 1}/{folds} " if folds > 1 else ""
        progress(done, folds * of_fold, f"{which}epoch {step.epoch}/{step.epochs} loss {step.loss:.3f}")

    return watch
