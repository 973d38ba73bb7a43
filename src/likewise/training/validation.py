"""The figure by which the best epoch is chosen, on items that are neither trained on nor reported on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from likewise.data import BoxSet, Clips, Dataset, PairSet
from likewise.data.splits import position_within
from likewise.encoder import Encoder, evaluating
from likewise.errors import DataError, UsageError
from likewise.metrics import retrieval
from likewise.metrics.curve import error_curve, listed_curve
from likewise.objective import AnswerObjective, Objective, StepObjective, Yolo
from likewise.training.alarms import check_finite
from likewise.training.batches import TrainingSet, answers_of, box_targets, fingerprint, step_labels
from likewise.training.features import fixed_outputs
from likewise.training.options import FitOptions

VALIDATED_ITEMS = 5000  # a larger validation set is sampled down to this many


def validated_by(validation: TrainingSet | None, objective: Objective, options: FitOptions) -> str | None:
    """Name of the figure; pairs tell nothing of neighbours: always the EER; of clips and answers always the loss."""
    if validation is None:
        return None
    if isinstance(validation, Clips) or objective.targets:
        return "loss"
    return "eer" if isinstance(validation, PairSet) else options.select


class Validator(NamedTuple):
    """What chooses the epoch.

    Attributes:
        measure: the figure of the encoder as it is when called; larger is better; raises `Diverged` where embeddings
            are not finite. None where too little could be read.
        fingerprint: of what it is measured on.
        skipped: file and reason of what could not be read.
    """

    measure: Callable[[], float] | None
    fingerprint: str
    skipped: tuple[tuple[str, str], ...]


def validator(encoder: Encoder, objective: Objective, validation: TrainingSet, options: FitOptions) -> Validator:
    """Decodes `validation`, once, to measure `encoder` on it.

    Raises:
        DataError: nothing to compare. UsageError: clips, and training is on others; or the other way round.
    """
    if isinstance(validation, Clips) != isinstance(objective, StepObjective):
        raise UsageError("A model is validated on data like those it is trained on", validation)
    if isinstance(validation, BoxSet) != isinstance(objective, Yolo):
        raise UsageError("A model is validated on data like those it is trained on", validation)
    if isinstance(validation, Clips):
        return _on_clips(encoder, objective, validation)
    if isinstance(validation, BoxSet):
        return _on_boxes(encoder, objective, validation)
    if isinstance(objective, AnswerObjective):
        return _on_answers(encoder, objective, validation, options)
    if not validation.comparable:
        kinds = "pairs of both kinds" if isinstance(validation, PairSet) else "2 identities, one of them with 2 items"
        raise DataError(f"Validation needs {kinds}", f"{len(validation)} items or pairs without", "Leave it out.")
    if isinstance(validation, PairSet):
        return _on_pairs(encoder, validation)
    if len(validation) > VALIDATED_ITEMS:
        validation = _sample(validation, options.seed)
    decoded = encoder.ready().decode_sole(validation.sources)
    skipped = tuple((validation.files[i], reason) for i, reason in decoded.problems)
    labels, order = torch.from_numpy(validation.labels[decoded.kept]).sort(stable=True)
    pixels = decoded.values[order]
    counts = torch.bincount(labels)
    if not len(labels) or int((counts > 0).sum()) < 2 or int(counts.max()) < 2:
        return Validator(None, fingerprint(pixels, labels), skipped)

    def figure() -> float:
        embeddings, distance = encoder.encode(pixels).embeddings, encoder.distance_on_cpu()
        check_finite(embeddings)
        if options.select == "eer":
            return -error_curve(embeddings, labels, distance).eer()
        return retrieval(embeddings, labels, distance).precision_at_1

    return Validator(figure, fingerprint(pixels, labels), skipped)


def _sample(data: Dataset, seed: int) -> Dataset:
    """About `VALIDATED_ITEMS` items that still have partners: whole identities, large ones cut to an equal share."""
    rng = np.random.default_rng(seed)
    share = max(10, VALIDATED_ITEMS // data.identities)
    few = data.subset(np.flatnonzero(position_within(data.labels, rng) < share))
    identities = rng.permutation(np.flatnonzero(few.counts()))
    upto = np.searchsorted(np.cumsum(few.counts()[identities]), VALIDATED_ITEMS, side="right")
    return few.of_identities(identities[: max(2, int(upto))])


def _on_pairs(encoder: Encoder, validation: PairSet) -> Validator:
    decoded = encoder.ready().decode_sole(validation.items.sources)
    readable, pairs = validation.positions(decoded.kept)
    same = validation.same[readable]
    skipped = tuple((validation.items.files[i], reason) for i, reason in decoded.problems)
    seen = fingerprint(decoded.values, torch.from_numpy(pairs), torch.from_numpy(same))
    if same.all() or not same.any():
        return Validator(None, seen, skipped)

    def figure() -> float:
        embeddings = encoder.encode(decoded.values).embeddings
        check_finite(embeddings)
        with torch.inference_mode():
            distances = encoder.distance_on_cpu().rowwise(embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])
        return -listed_curve(distances.numpy(), same).eer()

    return Validator(figure, seen, skipped)


def _on_answers(
    encoder: Encoder, objective: AnswerObjective, validation: Dataset | PairSet, options: FitOptions
) -> Validator:
    if isinstance(validation, PairSet):
        raise UsageError("A model is validated on data like those it is trained on", validation)
    if len(validation) > VALIDATED_ITEMS:
        chosen = np.random.default_rng(options.seed).choice(len(validation), VALIDATED_ITEMS, replace=False)
        validation = validation.subset(np.sort(chosen))
    decoded = encoder.ready().decode_sole(validation.sources)
    skipped = tuple((validation.files[i], reason) for i, reason in decoded.problems)
    targets = answers_of(encoder, validation.subset(decoded.kept), objective)
    seen = fingerprint(decoded.values, targets)
    if not len(targets):
        return Validator(None, seen, skipped)
    features = None if encoder.fixed is None else fixed_outputs(encoder, decoded.values)

    def figure() -> float:
        device = next(encoder.parameters()).device
        with evaluating(encoder), torch.inference_mode():
            if features is None:
                outputs = encoder.encode(decoded.values).embeddings.to(device)
            else:
                outputs = encoder.from_features(features.to(device), after=encoder.fixed).float()
            check_finite(outputs)
            return -float(objective.losses(outputs, targets.to(device)).mean())

    return Validator(figure, seen, skipped)


def _on_clips(encoder: Encoder, objective: Objective, validation: Clips) -> Validator:
    assert isinstance(objective, StepObjective)  # `prepare` saw to it
    preprocessing = encoder.ready()
    decoded = preprocessing.decode(validation.sources)
    skipped = tuple((validation.files[i], reason) for i, reason in decoded.problems)
    labels = step_labels(encoder.backbone, validation.subset(decoded.kept), objective, preprocessing)
    seen = fingerprint(decoded.values, labels)
    if not len(labels):
        return Validator(None, seen, skipped)

    def figure() -> float:
        outputs = encoder.encode(decoded.values).embeddings
        check_finite(outputs.flatten(1))
        with torch.inference_mode():
            return -objective(outputs, labels).item()

    return Validator(figure, seen, skipped)


def _on_boxes(encoder: Encoder, objective: Objective, validation: BoxSet) -> Validator:
    preprocessing = encoder.ready()
    decoded = preprocessing.decode(validation.sources)
    skipped = tuple((validation.files[i], reason) for i, reason in decoded.problems)
    labels = box_targets(encoder, validation.subset(decoded.kept), preprocessing)
    seen = fingerprint(decoded.values, labels)
    if not len(labels):
        return Validator(None, seen, skipped)

    def figure() -> float:
        outputs = encoder.encode(decoded.values).embeddings
        check_finite(outputs.flatten(0, 2))
        with torch.inference_mode():
            return -objective(outputs, labels).item()

    return Validator(figure, seen, skipped)
