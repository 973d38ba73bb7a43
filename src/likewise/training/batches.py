"""From a labelled set or pairs to the batches of an epoch: decoded once, then only indexed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data import Dataset, IdentityBatches, PairSet, PlainBatches, Sampler, labels_of
from likewise.encoder import Encoder
from likewise.errors import DataError, UsageError
from likewise.objective import Objective, Outcome, PairObjective
from likewise.training.options import FitOptions

BATCH_ITEMS = 256  # of a default batch
LEAST_BATCH, STEPS_OF_AN_EPOCH = (
    32,
    8,
)  # of small sets: fewer items would be noise, fewer steps would not move the weights
HANDFUL = 4  # least K of a default P x K batch


@final
@dataclass(frozen=True)
class Batch:
    """One step's items.

    Attributes:
        values: (B, ...) whole numbers as decoded; for pairs the first items and then the second.
        labels: (B,) int64; for pairs (B / 2,) bool, whether they are the same.
    """

    values: Tensor
    labels: Tensor

    def outcome(self, objective: Objective, embeddings: Tensor, random: torch.Generator) -> Outcome:
        """What `objective` says of the (B, D) embeddings of this batch."""
        labels = self.labels.to(embeddings.device)
        if labels.dtype != torch.bool:
            return objective.outcome(embeddings, labels, random)
        assert isinstance(objective, PairObjective)  # `prepare` saw to it
        first, second = embeddings.chunk(2)
        return objective.on_pairs(first, second, labels)


@final
@dataclass(frozen=True)
class Batches:
    """Decoded training items and how they come together.

    Attributes:
        values: (N, ...) whole numbers: (N, C, H, W) uint8 of pictures, (N, T) int16 of sounds.
        labels: (N,) int64 from 0 without gaps, or (M,) bool with `pairs`.
        pairs: (M, 2) int64 positions in `values`, or None.
        sampler: positions of labels in each batch.
        skipped: file and reason of each item that could not be read.
    """

    values: Tensor
    labels: Tensor
    pairs: Tensor | None
    sampler: Sampler
    skipped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.sampler)

    @property
    def identities(self) -> int | None:
        """How many there are; None for pairs, which do not say."""
        return None if self.pairs is not None else len(self.labels.unique())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over decoded items and labels: the same data have the same, whatever their files are called."""
        return fingerprint(self.values, self.labels, *(() if self.pairs is None else (self.pairs,)))

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number`, the same whenever asked for."""
        for positions in self.sampler.epoch(number):
            chosen = torch.from_numpy(positions)
            items = chosen if self.pairs is None else self.pairs[chosen].T.reshape(-1)
            yield Batch(self.values[items], self.labels[chosen])


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 over shapes and content."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def prepare(encoder: Encoder, train: Dataset | PairSet, objective: Objective, options: FitOptions) -> Batches:
    """Decodes `train`, shapes the encoder by it where it has no shape yet, and chooses the sampler.

    Raises:
        DataError: nothing to learn from. UsageError: a batch that cannot be drawn.
    """
    items = train.items if isinstance(train, PairSet) else train
    preprocessing = encoder.preprocessing or encoder.wanted.suiting(items.sources)
    decoded = preprocessing.decode_sole(items.sources)
    skipped = tuple((items.files[i], reason) for i, reason in decoded.problems)
    if not len(decoded.kept):
        raise DataError("Training needs readable items", skipped[0][1] if skipped else "none")
    if isinstance(train, PairSet):
        sampler, labels, pairs = _of_pairs(train, decoded.kept, objective, options)
    else:
        sampler, labels = _of_labels(train, decoded.kept, objective, options)
        pairs = None
    if encoder.follows_objective:
        encoder.unit = objective.unit
    if encoder.preprocessing is None:
        encoder.build(preprocessing.standardised(decoded.values))
    return Batches(decoded.values, labels, pairs, sampler, skipped)


def check_trainable(data: Dataset) -> None:
    """Refuses items from which no pair of the same and no pair of different identities can be made.

    Raises:
        DataError: fewer than two identities, or no identity with two items.
    """
    if data.identities < 2:
        raise DataError("Training needs at least 2 identities", data.identities, "Bring items of another one.")
    if data.counts().max() < 2:
        raise DataError(
            "Training needs identities with at least 2 items",
            f"{data.identities} identities of 1 item each",
            "Bring a second item of some.",
        )


def _of_labels(
    train: Dataset, kept: NDArray[np.int64], objective: Objective, options: FitOptions
) -> tuple[Sampler, Tensor]:
    readable = train.subset(kept)
    check_trainable(readable)
    counts = readable.counts()
    # Numbered before unreadable items are dropped, so that class weights and heads keep their rows.
    labels = labels_of(train)[kept]
    batch = _default_batch(counts[counts > 0], objective.batches) if options.batch is None else options.batch
    sampler: Sampler
    if isinstance(batch, tuple):
        sampler = IdentityBatches(labels, *batch, balanced=options.balanced, seed=options.seed)
    else:
        sampler = PlainBatches(labels, batch, balanced=options.balanced, seed=options.seed)
    return sampler, torch.from_numpy(labels)


def _default_batch(counts: NDArray[np.int64], drawn_by: str) -> tuple[int, int] | int:
    """About `BATCH_ITEMS` items, on small sets an eighth of the set: as many identities as there are, of which never
    fewer than `HANDFUL` items each.
    """
    total = int(counts.sum())
    size = min(BATCH_ITEMS, max(LEAST_BATCH, total // STEPS_OF_AN_EPOCH), total)
    if drawn_by == "item":
        return size
    k = max(2, min(max(HANDFUL, size // len(counts)), int(counts.max())))
    return max(2, size // k), k


def _of_pairs(
    train: PairSet, kept: NDArray[np.int64], objective: Objective, options: FitOptions
) -> tuple[Sampler, Tensor, Tensor]:
    if not isinstance(objective, PairObjective):
        raise UsageError(
            "A pairs file is learned from by an objective on pairs",
            objective.name,
            "Use contrastive, bce or concatenated.",
        )
    readable, pairs = train.positions(kept)
    same = train.same[readable]
    if same.all() or not same.any():
        raise DataError("Training needs pairs of both kinds", f"{same.sum()} same of {len(same)} readable pairs")
    if isinstance(options.batch, tuple):
        raise UsageError("Batches of pairs are a number of pairs", f"{options.batch}", "Pass for example batch=128.")
    batch = BATCH_ITEMS // 2 if options.batch is None else options.batch
    sampler = PlainBatches(same.astype(np.int64), batch, balanced=True, seed=options.seed)
    return sampler, torch.from_numpy(same), torch.from_numpy(pairs)
