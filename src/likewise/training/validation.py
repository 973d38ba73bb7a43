"""The figure by which the best epoch is chosen, on items that are neither trained on nor reported on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from likewise.data import Dataset, PairSet
from likewise.encoder import Encoder
from likewise.errors import DataError
from likewise.metrics import neighbours
from likewise.metrics.curve import error_curve, listed_curve
from likewise.training.options import FitOptions

VALIDATED_ITEMS = 5000  # a larger validation set is sampled down to this many


def validated_by(validation: Dataset | PairSet | None, options: FitOptions) -> str | None:
    """Name of the figure; pairs tell nothing of neighbours, so theirs is the EER whatever was asked."""
    if validation is None:
        return None
    return "eer" if isinstance(validation, PairSet) else options.select


def validator(
    encoder: Encoder, validation: Dataset | PairSet, options: FitOptions
) -> tuple[Callable[[], float], tuple[tuple[str, str], ...]]:
    """A function that measures `encoder` as it is when called, larger is better; and what could not be read.

    Items are decoded once, here; of those that cannot be, file and reason are returned.

    Raises:
        DataError: nothing to compare.
    """
    if isinstance(validation, PairSet):
        return _on_pairs(encoder, validation)
    if len(validation) > VALIDATED_ITEMS:
        chosen = np.random.default_rng(options.seed).choice(len(validation), VALIDATED_ITEMS, replace=False)
        validation = validation.subset(np.sort(chosen))
    decoded = encoder.ready().decode(validation.sources)
    skipped = tuple((validation.files[i], reason) for i, reason in decoded.problems)
    labels, order = torch.from_numpy(validation.labels[decoded.kept]).sort(stable=True)
    pixels = decoded.pixels[order]
    counts = torch.bincount(labels)
    if not len(labels) or int((counts > 0).sum()) < 2 or int(counts.max()) < 2:
        raise DataError("Validation needs 2 identities, one of them with 2 items", f"{len(labels)} readable items")

    def figure() -> float:
        embeddings = encoder.encode(pixels).embeddings
        if options.select == "eer":
            return -error_curve(embeddings, labels, encoder.distance).eer()
        nearest = neighbours(embeddings, encoder.distance, 1).indices[:, 0]
        findable = counts[labels] > 1
        return float((labels[nearest] == labels)[findable].double().mean())

    return figure, skipped


def _on_pairs(encoder: Encoder, validation: PairSet) -> tuple[Callable[[], float], tuple[tuple[str, str], ...]]:
    decoded = encoder.ready().decode(validation.items.sources)
    readable, pairs = validation.positions(decoded.kept)
    same = validation.same[readable]
    if same.all() or not same.any():
        raise DataError("Validation needs pairs of both kinds", f"{same.sum()} same of {len(same)} readable pairs")

    def figure() -> float:
        embeddings = encoder.encode(decoded.pixels).embeddings
        with torch.inference_mode():
            distances = encoder.distance.rowwise(embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])
        return -listed_curve(distances.numpy(), same).eer()

    return figure, tuple((validation.items.files[i], reason) for i, reason in decoded.problems)
