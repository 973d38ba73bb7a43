"""Embeddings of a labelled set: what every figure and every threshold is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from likewise.data import Dataset, PairSet
from likewise.encoder import Encoding, Progress


@final
@dataclass(frozen=True)
class Labelled:
    """A labelled set after encoding.

    Attributes:
        embeddings: (n, D) float32.
        labels: (n,) int64.
        data: the items that could be used, in the same order.
        skipped: file and reason of each that could not be: it cannot be read, or does not show one thing and show it
            well.
    """

    embeddings: Tensor
    labels: Tensor
    data: Dataset
    skipped: tuple[tuple[str, str], ...]


def encode_labelled(encoder: Encoding, data: Dataset, progress: Progress | None = None) -> Labelled:
    """Encodes `data` and keeps labels and items in step with the embeddings."""
    encoded = encoder.encode_sole(data.sources, progress=progress)
    kept = data if len(encoded.kept) == len(data) else data.subset(encoded.kept)
    skipped = tuple((data.files[i], reason) for i, reason in encoded.problems)
    return Labelled(encoded.embeddings, torch.from_numpy(kept.labels), kept, skipped)


def encode_pairs(
    encoder: Encoding, pairs: PairSet, progress: Progress | None = None
) -> tuple[Tensor, PairSet, tuple[tuple[str, str], ...]]:
    """Distances (m,) of the pairs whose two items could be used, those pairs, and file and reason of each bad item."""
    encoded = encoder.encode_sole(pairs.items.sources, progress=progress)
    whole, positions = pairs.positions(encoded.kept)
    first, second = (encoded.embeddings[torch.from_numpy(positions[:, side])] for side in (0, 1))
    distances = encoder.distances(first, second)
    skipped = tuple((pairs.items.files[i], reason) for i, reason in encoded.problems)
    return distances, pairs.subset(whole.nonzero()[0]), skipped
