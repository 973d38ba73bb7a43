"""From a labelled set or pairs to the batches of an epoch: decoded once, then only indexed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likewise.data import BoxSet, Clips, Dataset, IdentityBatches, PairSet, PlainBatches, Sampler, labels_of
from likewise.data.augmentation import Augmentation, seeded
from likewise.encoder import SEQUENCES, Encoder, Pictures, Preprocessing, Sounds, step_times, to_page
from likewise.errors import DataError, UsageError
from likewise.objective import AnswerObjective, Objective, Outcome, PairObjective, StepObjective, Yolo
from likewise.objective.yolo import BOX, IGNORED, NO_BOX
from likewise.training.memory import check_memory
from likewise.training.options import FitOptions
from likewise.training.targets import targets_for

TrainingSet = Dataset | PairSet | Clips | BoxSet

BATCH_ITEMS = 256  # of a default batch
BATCH_CLIPS = 32  # likewise; each has hundreds of outputs
BATCH_SCENES = 16  # pictures with boxes; each has hundreds of outputs, and is large
LONGEST_CLIP = 60.0  # seconds
LEAST_BATCH, STEPS_OF_AN_EPOCH = 32, 8  # of small sets: fewer items would be noise, fewer steps move no weights
HANDFUL = 4  # least K of a default P x K batch


@final
@dataclass(frozen=True)
class Batch:
    """One step's items.

    Attributes:
        values: (B, ...) whole numbers as decoded; for pairs the first items and then the second.
        labels: (B,) int64; for pairs (B / 2,) bool, whether they are the same; for clips (B, S) int8, one per step; for
            answers (B, K) float32; for pictures with boxes (B, M, 5) float32, see `box_targets`.
    """

    values: Tensor
    labels: Tensor

    def changed(self, items: Tensor, augment: Augmentation, seed: int) -> tuple[Tensor, Batch]:
        """`items` as scaled, changed at random by `augment`, and the batch with the labels that they have then."""
        if self.labels.ndim == 3:
            placed = augment.placed
            assert placed is not None  # of pictures
            items, labels = seeded(lambda values: placed(values, self.labels.to(values.device)), items, seed)
            return items, replace(self, labels=labels)
        return (items if augment.items is None else seeded(augment.items, items, seed)), self

    def outcome(self, objective: Objective, embeddings: Tensor, random: torch.Generator) -> Outcome:
        """What `objective` says of the (B, D) embeddings of this batch, or its (B, S, 1) or (B, R, S, D) outputs."""
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
        labels: (N,) int64 from 0 without gaps, or (M,) bool with `pairs`, or (N, S) int8 of clips, or (N, K) float32
            of answers, or (N, M, 5) float32 of boxes.
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
        """How many there are; None for pairs, clips, answers and boxes, which do not say."""
        return len(self.labels.unique()) if self.labels.dtype == torch.int64 else None

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


def prepare(encoder: Encoder, train: TrainingSet, objective: Objective, options: FitOptions) -> Batches:
    """Decodes `train`, shapes the encoder by it where it has no shape yet, and chooses the sampler.

    Raises:
        DataError: nothing to learn from. UsageError: a batch that cannot be drawn, or an objective on other data.
    """
    items = train.items if isinstance(train, PairSet) else train
    if isinstance(train, Clips):
        _check_clips(encoder, train, objective)
    elif isinstance(objective, StepObjective):
        raise UsageError(f"{objective.name} learns from clips", "labelled items", "Read them with lw.clips.")
    if isinstance(train, BoxSet) != isinstance(objective, Yolo):
        raise UsageError("Pictures with boxes, and no others, are learned from by yolo", objective.name)
    longest = float(train.seconds.max()) if isinstance(train, Clips) else None
    preprocessing = encoder.preprocessing or encoder.suiting(items.sources, longest)
    if longest is not None and encoder.preprocessing is not None:
        assert isinstance(preprocessing, Sounds)  # `_check_clips` saw to it
        # Of a stream all lengths will do: clips may be longer than those the encoder was trained on before.
        preprocessing = replace(preprocessing, samples=max(preprocessing.window, round(longest * preprocessing.rate)))
        encoder.preprocessing = preprocessing
    if isinstance(train, BoxSet):
        check_memory(len(train), preprocessing)
    decoded = preprocessing.decode_sole(items.sources)
    skipped = tuple((items.files[i], reason) for i, reason in decoded.problems)
    if not len(decoded.kept):
        raise DataError("Training needs readable items", skipped[0][1] if skipped else "none")
    if isinstance(train, PairSet):
        sampler, labels, pairs = _of_pairs(train, decoded.kept, objective, options)
    elif isinstance(train, Clips):
        assert isinstance(objective, StepObjective)  # `_check_clips` saw to it
        labels, pairs = step_labels(encoder.backbone, train.subset(decoded.kept), objective, preprocessing), None
        _check_both(labels, objective)
        sampler = PlainBatches(np.zeros(len(labels), np.int64), _number(options, BATCH_CLIPS), seed=options.seed)
    elif isinstance(train, BoxSet):
        labels, pairs = box_targets(encoder, train.subset(decoded.kept), preprocessing), None
        sampler = PlainBatches(np.zeros(len(labels), np.int64), _number(options, BATCH_SCENES), seed=options.seed)
    elif isinstance(objective, AnswerObjective):
        sampler, labels, pairs = *_of_answers(encoder, train.subset(decoded.kept), objective, options), None
    else:
        sampler, labels = _of_labels(train, decoded.kept, objective, options)
        pairs = None
    if encoder.follows_objective:
        encoder.unit = objective.unit
    if encoder.preprocessing is None:
        encoder.build(preprocessing.standardised(decoded.values))
    return Batches(decoded.values, labels, pairs, sampler, skipped)


def _check_clips(encoder: Encoder, train: Clips, objective: Objective) -> None:
    if not isinstance(objective, StepObjective):
        raise UsageError("Clips are learned from by sequential-bce or clip-bce", objective.name)
    check_hears(encoder)
    if float(train.seconds.max()) > LONGEST_CLIP:
        raise DataError(f"Clips to train with last up to {LONGEST_CLIP:g} s", f"{train.seconds.max():g} s", "Cut them.")


def check_hears(encoder: Encoder) -> None:
    """Refuses an encoder that has no output at every step.

    Raises:
        UsageError: it has not.
    """
    if encoder.backbone not in SEQUENCES:
        raise UsageError(f"Clips are heard by one of {', '.join(SEQUENCES)}", encoder.backbone)


def _check_both(labels: Tensor, objective: StepObjective) -> None:
    """Refuses labels (N, S) that are all of one kind."""
    of = labels == 1 if objective.timed else (labels == 1).any(dim=1)
    found = int(of.sum())
    if not 0 < found < int((labels >= 0).sum() if objective.timed else len(labels)):
        what = "steps" if objective.timed else "clips"
        raise DataError(
            f"Training needs {what} with the trigger, and {what} without",
            f"{found} {what} with it in {len(labels)} readable clips",
        )


def step_labels(backbone: str, data: Clips, objective: StepObjective, preprocessing: Preprocessing) -> Tensor:
    """(N, S) int8: what the output of a network at every step of `data` is to be; see `Clips.step_labels`.

    Raises:
        DataError: clips that are over before there is a first output.
    """
    assert isinstance(preprocessing, Sounds)
    times = step_times(backbone, preprocessing)
    if not times.count(preprocessing.samples):
        raise DataError(
            f"Backbone {backbone} learns from clips of at least {times.first / preprocessing.rate:.2g} s",
            f"{preprocessing.seconds:.2g} s",
            "Make longer ones.",
        )
    first = times.after(np.round(data.end * preprocessing.rate).astype(np.int64))
    hold, grace = (round(s * preprocessing.rate / times.every) for s in (objective.hold, objective.grace))
    steps = times.count(preprocessing.samples)
    samples = np.round(data.seconds * preprocessing.rate).astype(np.int64)
    lasting = np.clip(1 + (samples - times.first) // times.every, 0, steps)
    return torch.from_numpy(data.step_labels(first, lasting, steps, max(1, hold), grace))


def _number(options: FitOptions, usual: int) -> int:
    if isinstance(options.batch, tuple):
        raise UsageError("Batches of clips or scenes are a number of them", f"{options.batch}", "Pass --batch 16.")
    return usual if options.batch is None else options.batch


def box_targets(encoder: Encoder, data: BoxSet, how: Preprocessing) -> Tensor:
    """(N, M, 5) float32: what a network that sees pictures so is to find in each; see `likewise.objective.yolo_terms`.

    M is the most boxes of a picture, ignored ones too, and at least 1.

    Raises:
        UsageError: the encoder has no head that detects, or one for other classes. DataError: no boxes at all.
    """
    head = encoder.head
    if head is None or head.kind != "detect" or head.names != data.names:
        there = "without a head" if head is None else f"{head.kind}: {', '.join(head.names[:10])}"
        raise UsageError("Boxes are found by an encoder with a head that detects their classes", there)
    assert isinstance(how, Pictures)  # what has boxes is no sound
    found = torch.zeros(len(data), max([1, *map(len, data.boxes)]), BOX)
    found[..., 4] = NO_BOX
    for i, (boxes, labels, ignored) in enumerate(zip(data.boxes, data.labels, data.ignored, strict=True)):
        height, width = data.sizes[i].tolist()
        placed, wanted = to_page(boxes, (height, width), how), np.where(ignored, IGNORED, labels)
        found[i, : len(placed)] = torch.from_numpy(np.concatenate([placed, wanted[:, None]], axis=1))
    if not bool((found[..., 4] >= 0).any()):
        raise DataError("Training needs boxes", f"none in {len(data)} pictures")
    return found


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


def answers_of(encoder: Encoder, data: Dataset, objective: AnswerObjective) -> Tensor:
    """(N, K) what the outputs of `encoder` are to be; see `targets_for`.

    Raises:
        UsageError: it has no head. DataError: targets that contradict the objective.
    """
    if encoder.head is None:
        raise UsageError(f"{objective.name} trains an encoder with a head", "one without", "Pass lw.Encoder(head=...).")
    targets = encoder.head.scaled(targets_for(encoder.head, data))
    objective.check_targets(targets)
    return targets


def _of_answers(
    encoder: Encoder, readable: Dataset, objective: AnswerObjective, options: FitOptions
) -> tuple[Sampler, Tensor]:
    targets = answers_of(encoder, readable, objective)
    if isinstance(options.batch, tuple):
        raise UsageError("Batches to answer are a number of items", f"{options.batch}", "Take for example 64.")
    usual = min(BATCH_ITEMS, max(LEAST_BATCH, len(readable) // STEPS_OF_AN_EPOCH), len(readable))
    batch = usual if options.batch is None else options.batch
    labels = np.unique(readable.labels, return_inverse=True)[1].astype(np.int64)
    return PlainBatches(labels, batch, balanced=options.balanced, seed=options.seed), targets


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
