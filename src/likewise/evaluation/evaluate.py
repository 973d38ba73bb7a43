"""Measuring an encoder or model on a labelled set or on pairs."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from likewise.data import Dataset, PairSet
from likewise.encoder import Encoder, Progress
from likewise.errors import DataError
from likewise.evaluation.report import PairReport, Report
from likewise.matching import Labelled, Model, default_unit, encode_labelled, encode_pairs
from likewise.metrics import (
    FewShot,
    clustering,
    confusions,
    few_shot,
    hardest_pairs,
    retrieval,
    verification,
)
from likewise.metrics.curve import listed_curve
from likewise.objective.distances import Distance

HARDEST = 200  # pairs of each kind that are kept; the picture shows those without a repeated item
WAYS = 20  # of the N-way one-shot figure, where there are so many identities


def evaluate(
    model: Model | Encoder,
    data: Dataset,
    *,
    resample: Literal["identity", "item"] | None = None,
    ways: int = WAYS,
    shots: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """All figures of a model on a labelled set, every item against every other.

    Args:
        model: a model or a bare encoder.
        data: items that had no part in training, choosing or calibrating.
        resample: what the intervals take for a sample; None decides by the number of identities, as splitting does.
        ways, shots: N and K of the few-shot figure; N is lowered to the identities that have K + 1 items.
        seed: of k-means, resampling and episodes.
        progress: told of encoding.

    Raises:
        DataError: fewer than two identities, or no identity with two items.
    """
    encoder = model.encoder if isinstance(model, Model) else model
    started = time.perf_counter()
    labelled = encode_labelled(encoder, data, progress)
    encoded = time.perf_counter()
    counts = labelled.data.counts()
    if (counts > 0).sum() < 2 or counts.max(initial=0) < 2:
        raise DataError(
            "Measuring needs 2 identities, one of them with 2 items",
            f"{len(labelled.labels)} readable items of {int((counts > 0).sum())} identities",
            "Bring more items.",
        )
    embeddings, labels, distance = labelled.embeddings, labelled.labels, encoder.distance
    return Report(
        retrieval=retrieval(embeddings, labels, distance),
        verification=verification(
            embeddings, labels, distance, resample=resample or default_unit(labelled.data), seed=seed
        ),
        clustering=clustering(embeddings, labels, seed=seed),
        fewshot=_few_shot(labelled, distance, ways, shots, seed),
        confusions=confusions(embeddings, labels, distance),
        hardest=hardest_pairs(embeddings, labels, distance, count=HARDEST),
        labelled=labelled,
        distance=distance,
        seconds=(encoded - started, time.perf_counter() - encoded),
    )


def evaluate_pairs(model: Model | Encoder, pairs: PairSet, *, progress: Progress | None = None) -> PairReport:
    """ROC AUC and EER on given pairs.

    Raises:
        DataError: no readable pair of one of the two kinds.
    """
    encoder = model.encoder if isinstance(model, Model) else model
    distances, whole, skipped = encode_pairs(encoder, pairs, progress)
    same = int(np.count_nonzero(whole.same))
    if same in (0, len(whole)):
        raise DataError("Measuring needs pairs of both kinds", f"{same} same of {len(whole)} readable pairs")
    curve = listed_curve(distances.numpy(), whole.same)
    return PairReport(curve.auc(), curve.eer(), same, len(whole) - same, skipped, pairs.origin)


def _few_shot(labelled: Labelled, distance: Distance, ways: int, shots: int, seed: int) -> FewShot | None:
    eligible = int((labelled.data.counts() > shots).sum())
    if eligible < 2:
        return None
    return few_shot(labelled.embeddings, labelled.labels, distance, ways=min(ways, eligible), shots=shots, seed=seed)
