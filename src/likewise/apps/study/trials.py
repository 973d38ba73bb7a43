"""What runs of several studies share: the parts of the data, and one training with its figures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.classify import Classifier, ClassifyOptions, objective_for
from likewise.apps.parts import divide
from likewise.data import By, Dataset
from likewise.encoder import Encoder, Head, Pictures
from likewise.errors import DataError
from likewise.evaluation import evaluate
from likewise.metrics.classification import share_right
from likewise.objective import Objective
from likewise.training import FitOptions, fit

TIMED = 64  # items whose encoding is timed
SURE = 1.645  # standard errors: of one side, 95%


@final
@dataclass(frozen=True)
class Held:
    """The parts that a study uses.

    Attributes:
        train: to fit.
        valid: to choose the epoch.
        judged: to compare runs by; the part that calibrates a model that is trained for good.
    """

    train: Dataset
    valid: Dataset
    judged: Dataset

    @classmethod
    def of(cls, data: Dataset, by: By | None, seed: int) -> Held:
        """Takes `data` apart as training does, and leaves the test part alone."""
        parts = divide(data, by, seed)
        found = [part for part in (parts.train, parts.valid, parts.tune) if isinstance(part, Dataset)]
        return cls(*found)

    @property
    def digest(self) -> str:
        """Of the items and labels of all parts."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid, self.judged):
            digest.update(part.contents.tobytes() + part.labels.tobytes())
        return digest.hexdigest()


def classified(held: Held, head: Head, encoder: Encoder, options: FitOptions) -> dict[str, Any]:
    """Trains a classifier: how often it is right on the judged part, for every item, and what it costs."""
    objective = objective_for(head, held.train, ClassifyOptions(fit=options))
    history = fit(encoder, held.train, objective, validation=held.valid, options=options)
    model = Classifier(encoder)
    given = model.outputs_for(held.judged)
    truth = given.targets.argmax(dim=1) if given.targets.shape[1] > 1 else (given.targets[:, 0] > 0.5).long()
    right = np.asarray(model.answers(given.outputs).argmax(axis=1) == truth.numpy())
    accuracy = share_right(right, given.data.groups)
    return {
        "accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high, "items": len(right),
        "seconds": history.seconds, "parameters": encoder.parameters_count, "ms_per_item": 1000 * cost(encoder),
        "right": right.astype(int).tolist(),
    }  # fmt: skip


def embedded(held: Held, encoder: Encoder, objective: Objective, options: FitOptions) -> dict[str, Any]:
    """Trains an embedding: its P@1 and EER on the judged part, and what it costs."""
    if not held.judged.comparable:
        raise DataError("Comparing takes two identities, one of them with two items", "fewer", "Bring more items.")
    history = fit(
        encoder, held.train, objective, validation=held.valid if held.valid.comparable else None, options=options
    )
    return {**neighbours(encoder, held.judged), "seconds": history.seconds, "parameters": encoder.parameters_count}


def neighbours(encoder: Encoder, data: Dataset) -> dict[str, Any]:
    """P@1 and EER, the latter with its interval."""
    figures = evaluate(encoder, data).as_dict()
    eer = figures["eer"]
    return {"precision_at_1": figures["precision_at_1"], "eer": eer if isinstance(eer, float) else eer["value"]}


def cost(encoder: Encoder) -> float:
    """Seconds that encoding one item takes, without reading it; the least of three tries."""
    items = encoder.ready().drawn(np.random.default_rng(0), TIMED)
    tries: list[float] = []
    for _ in range(3):
        begun = time.perf_counter()
        encoder.encode(items)
        tries.append((time.perf_counter() - begun) / TIMED)
    return min(tries)


def worse(best: NDArray[np.bool_], other: NDArray[np.bool_], groups: NDArray[np.int64] | None) -> bool:
    """(N,), (N,) which items each of two got right -> whether the other is worse by more than chance, at 95%, one side.

    Items are compared one by one, so that what is hard for both does not count; items of a group stand together.
    """
    difference = best.astype(float) - other.astype(float)
    of = np.arange(len(difference)) if groups is None else np.unique(groups, return_inverse=True)[1]
    off = np.bincount(of, weights=difference - difference.mean())
    count = len(off)
    error = np.sqrt((off**2).sum() * count / max(1, count - 1)) / len(difference)
    return bool(difference.mean() > SURE * error and difference.mean() > 0)


def grey(encoder_for: Callable[[], Encoder], held: Held) -> Encoder:
    """The encoder that `encoder_for` makes, for the same pictures without colour."""
    encoder = encoder_for()
    how = encoder.suiting(held.train.sources)
    if not isinstance(how, Pictures):
        raise DataError("Colour is asked of pictures", f"{how.kind}s", "Leave out --grey.")
    how = replace(how, channels=1, mean=(0.5,), std=(0.5,))
    encoder.build(how.standardised(how.decode_sole(held.train.sources).values))
    return encoder
