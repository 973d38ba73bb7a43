"""Mistakes of a model that compares: nearest items, pairs, triplets, and labels their neighbours contradict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from likewise.apps.mistakes.findings import Bools, Finding, IntArray, Judged, Kind, Merged, counted, percent
from likewise.calibration import Calibration
from likewise.calibration.rates import Unit
from likewise.data import Dataset
from likewise.encoder import Encoding
from likewise.errors import DataError
from likewise.evaluation.apart import hardest_apart
from likewise.matching import Labelled
from likewise.metrics import (
    Pair,
    Suspect,
    doubts,
    hardest_pairs,
    hardest_triplets,
    neighbour_claims,
    neighbours,
)
from likewise.objective.distances import Distance

PAIRS, TRIPLETS = 24, 24  # of each kind that are listed
LOOKED_AT = 200  # hardest pairs among which those without a repeated item are found


def judged_embeddings(
    encoder: Encoding, labelled: Labelled, calibration: Calibration | None, trained_on: Bools, unit: Unit
) -> Judged:
    """What is wrong or hard in a labelled set, every item compared with every other.

    Args:
        encoder: what made the embeddings.
        labelled: the embeddings.
        calibration: for the probability of a distance, and the threshold; None without.
        trained_on: (n,) whether `encoder` was trained on each.
        unit: what intervals take for a sample: "identity" or "item".

    Raises:
        DataError: fewer than two labels, or none with two items.
    """
    data, embeddings, labels = labelled.data, labelled.embeddings, labelled.labels.numpy()
    counts = data.counts()
    if (counts > 0).sum() < 2 or counts.max(initial=0) < 2:
        raise DataError(
            "Mistakes show among items of 2 identities, one of them with 2 items",
            f"{counted(len(labels), 'readable item')} of {int((counts > 0).sum())}",
            "Bring more items.",
        )
    distance = encoder.distance_on_cpu()
    found = neighbours(embeddings, distance, 1)
    nearest, far = found.indices[:, 0].numpy(), found.distances[:, 0].numpy()
    judged = np.flatnonzero(counts[labels] > 1)
    wrong = labels[nearest] != labels
    confident = judged[wrong[judged]]
    confident = confident[np.argsort(far[confident], kind="stable")]
    mistakes = [
        Finding(
            "mistake", (i, other), label, said, probability, distance, f"the nearest item is {said}", (label, said)
        )
        for i, other, label, said, probability, distance in zip(
            confident.tolist(), nearest[confident].tolist(), _named(data, confident), _named(data, nearest[confident]),
            _probable(calibration, far[confident]), far[confident].tolist(), strict=True,
        )
    ]  # fmt: skip
    doubtful = doubts(neighbour_claims(embeddings, labels, distance))
    shown = _nearest_of_both(embeddings, labels, distance, doubtful.suspects)
    suspects = [
        Finding(
            "suspected label", (suspect.item, *items), data.names[suspect.label], data.names[suspect.suggested],
            suspect.probability, None, f"its neighbours make {data.names[suspect.suggested]}"
            f" {percent(suspect.probability)} probable, and {data.names[suspect.label]} {percent(suspect.own)}",
        )
        for suspect, items in zip(doubtful.suspects, shown, strict=True)
    ]  # fmt: skip
    sound = np.setdiff1d(np.arange(len(labels)), [suspect.item for suspect in doubtful.suspects])
    hardest = _hardest(labelled, sound, distance, calibration)
    alone = len(labels) - len(judged)
    return Judged(
        task="compare",
        data=data,
        how=encoder.ready(),
        trained_on=trained_on,
        skipped=labelled.skipped,
        asked="items have one of another label nearest",
        of=labels[judged],
        names=data.names,
        item=judged,
        wrong=wrong[judged],
        mistakes=tuple(mistakes),
        suspects=tuple(suspects),
        suggested=tuple(("label", finding.said) for finding in suspects),
        sample=labels[judged] if unit == "identity" else None,
        merged=tuple(
            Merged(data.names[cell.label], data.names[cell.taken_for], cell.items) for cell in doubtful.inseparable
        ),
        hardest=hardest,
        notes=(f"{counted(alone, 'item')} could not be judged: no other has the same label.",) if alone else (),
    )


def _nearest_of_both(
    embeddings: torch.Tensor, labels: IntArray, distance: Distance, suspects: Sequence[Suspect]
) -> list[tuple[int, ...]]:
    """Of each suspect the nearest item of the label that is suggested, and the nearest other one of its own.

    They are none of the suspects, unless all of a label are.
    """
    doubted = np.isin(np.arange(len(labels)), [suspect.item for suspect in suspects])
    found: dict[tuple[int, bool], int] = {}
    for own in (False, True):
        by_label: dict[int, list[int]] = {}
        for suspect in suspects:
            by_label.setdefault(suspect.label if own else suspect.suggested, []).append(suspect.item)
        for label, items in by_label.items():
            gallery = np.flatnonzero((labels == label) & ~doubted)
            if not len(gallery):
                gallery = np.flatnonzero(labels == label)
            k = min(2 if own else 1, len(gallery))
            near = neighbours(embeddings[items], distance, k, gallery=embeddings[torch.from_numpy(gallery)])
            for item, row in zip(items, gallery[near.indices.numpy()].tolist(), strict=True):
                found[item, own] = next(other for other in row if other != item)
    return [(found[suspect.item, False], found[suspect.item, True]) for suspect in suspects]


def _hardest(
    labelled: Labelled, sound: IntArray, distance: Distance, calibration: Calibration | None
) -> tuple[Finding, ...]:
    """Pairs and triplets of the items `sound`: those whose label is not suspected."""
    chosen = torch.from_numpy(sound)
    embeddings, labels = labelled.embeddings[chosen], labelled.labels[chosen]
    hardest = hardest_apart(
        hardest_pairs(embeddings, labels, distance, count=LOOKED_AT), embeddings, labels, distance, count=PAIRS
    )
    line = None if calibration is None else calibration.threshold_for()
    found: list[Finding] = []
    kinds: tuple[tuple[Kind, Sequence[Pair]], ...] = (("close pair", hardest.different), ("far pair", hardest.same))
    for kind, pairs in kinds:
        first, second = (sound[np.array([pair[side] for pair in pairs], np.int64)] for side in (0, 1))
        far = np.array([pair.distance for pair in pairs], np.float32)
        names, probable = _named(labelled.data, first), _probable(calibration, far)
        for pair, a, b, name, probability in zip(pairs, first, second, names, probable, strict=True):
            said, why = "", "closer than others" if kind == "close pair" else "farther apart than others"
            if line is not None:
                accepted = bool(line.accepts(pair.distance))
                said = "the same" if accepted else "different"
                wrong = ", wrongly" if accepted == (kind == "close pair") else ""
                why = (
                    f"{'within' if accepted else 'beyond'} the threshold {line.threshold:.4g}: taken for {said}{wrong}"
                )
            found.append(Finding(kind, (int(a), int(b)), name, said, probability, pair.distance, why))
    for triplet in hardest_triplets(embeddings, labels, distance, count=TRIPLETS):
        items = tuple(sound[list(triplet[:3])].tolist())
        why = f"{triplet.to_positive:.4g} to the farthest of the same, {triplet.to_negative:.4g} to the nearest other"
        name = labelled.data.names[labelled.data.labels[items[0]]]
        found.append(Finding("triplet", items, name, "", None, triplet.margin, why))
    return tuple(found)


def _named(data: Dataset, items: IntArray) -> list[str]:
    """What items are labelled."""
    return [data.names[label] for label in data.labels[items]]


def _probable(calibration: Calibration | None, distances: NDArray[np.float32]) -> list[float] | list[None]:
    """How probable it is that items at these distances are the same; None where that is not known."""
    return [None] * len(distances) if calibration is None else calibration.probability(distances).tolist()
