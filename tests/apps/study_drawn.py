"""What tests of studies share: small data, and runs as a study leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from likewise.apps.study import Run
from likewise.apps.study.noise import each, share
from likewise.data import Dataset, arrays
from likewise.training import FitOptions

QUICK = FitOptions(epochs=2)


def some_digits(count: int = 500) -> Dataset:
    """The first of scikit-learn's digits, 8 x 8."""
    items, labels = load_digits(return_X_y=True)
    return arrays((items[:count].reshape(-1, 8, 8) * 15.9).astype(np.uint8), labels[:count])


def grouped(data: Dataset, groups: int, seed: int = 0) -> Dataset:
    """The same in random groups."""
    of = np.random.default_rng(seed).integers(0, groups, len(data))
    of[:groups] = np.arange(groups)
    return replace(data, groups=of, group_names=tuple(map(str, range(groups))))


def judged(
    settings: dict[str, Any], right: Sequence[bool] | np.ndarray, clusters: Sequence[int] | None = None, **more: Any
) -> Run:
    """A run of a classifier with these answers."""
    found = np.asarray(right, bool)
    of = np.arange(len(found)) if clusters is None else np.asarray(clusters)
    rate = share(found, of)
    figures = {
        "accuracy": rate.value, "precision_at_1": rate.value, "low": rate.low, "high": rate.high, "items": len(found),
        "most_frequent": 0.5, "trained_accuracy": 1.0, "trained_by_class": [[1, 1]] * 2, "seconds": 1.0,
        "ms_per_item": 0.1, "eer": 0.1,
        **each(np.arange(len(found)), found, of), **more,
    }  # fmt: skip
    return Run(settings, figures)


def first(of: int, right: int) -> list[bool]:
    """`right` answers that are, and then others."""
    return [True] * right + [False] * (of - right)
