"""Classifiers that are trained in a fraction of a second, and pictures that they are of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from likewise.apps.classify import Classifier
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Head
from likewise.objective import AnswerObjective, Multiclass, Multilabel, SquaredError
from likewise.training import FitOptions, fit
from likewise.training.targets import head_for

QUICK = FitOptions(epochs=20, batch=32, lr=0.02, precision="float32", device="cpu", seed=0)


def halves(count: int = 120, seed: int = 0) -> Dataset:
    """Pictures of 8 x 8 whose left half is bright or not, and the upper half too; columns "left" and "upper"."""
    rng = np.random.default_rng((1, seed))
    holds = rng.integers(0, 2, (count, 2))
    pictures = rng.normal(90, 20, (count, 8, 8))
    pictures[:, :, :4] += 70 * holds[:, 0, None, None]
    pictures[:, :4] += 70 * holds[:, 1, None, None]
    data = arrays(pictures.clip(0, 255).astype(np.uint8), ["item"] * count, origin="halves")
    return replace(data, targets=holds.astype(np.float32), target_names=("left", "upper"))


def grey(count: int = 120, seed: int = 0) -> Dataset:
    """Pictures with noise; the column "degrees" rises with their brightness."""
    rng = np.random.default_rng((1, seed))  # not the numbers by which a split of the same seed draws
    brightness = rng.uniform(30, 220, count)
    pictures = rng.normal(brightness[:, None, None], 25, (count, 8, 8)).clip(0, 255).astype(np.uint8)
    data = arrays(pictures, ["item"] * count, origin="grey")
    return replace(data, targets=np.float32(5 * brightness - 300)[:, None], target_names=("degrees",))


def classifier(data: Dataset, kind: str | None = None) -> Classifier:
    head: Head = head_for(data, kind)
    objective: AnswerObjective = {"multiclass": Multiclass, "regression": SquaredError}.get(head.kind, Multilabel)()
    encoder = Encoder("linear", head=head, seed=0)
    fit(encoder, data, objective, options=QUICK)
    return Classifier(encoder)
