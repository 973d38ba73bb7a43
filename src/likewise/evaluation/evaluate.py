"""Measuring an encoder or model on a labelled set or on pairs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import overload

import numpy as np

from likewise.calibration import Rates
from likewise.calibration.rates import Unit, listed_rates_at
from likewise.data import Dataset, PairSet
from likewise.encoder import Encoding, Progress
from likewise.errors import DataError, UsageError
from likewise.evaluation.groups import Figures, Groups, groups_of, measure_groups, rates_of
from likewise.evaluation.report import AtThreshold, PairReport, Report
from likewise.matching import Labelled, Model, default_unit, encode_labelled, encode_pairs
from likewise.metrics import (
    FewShot,
    Verification,
    clustering,
    confusions,
    few_shot,
    hardest_pairs,
    listed_verification,
    retrieval,
    verification,
)
from likewise.objective.distances import Distance

HARDEST = 200  # pairs of each kind that are kept; the picture shows those without a repeated item
GROUPS_FMR = 0.01  # of all items: where a model without a threshold has its groups compared
WAYS = 20  # of the N-way one-shot figure, where there are so many identities


@overload
def evaluate(
    model: Model | Encoding,
    data: Dataset,
    *,
    unit: Unit | None = None,
    ways: int | None = None,
    shots: int | None = None,
    by_group: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report: ...


@overload
def evaluate(
    model: Model | Encoding, data: PairSet, *, seed: int = 0, progress: Progress | None = None
) -> PairReport: ...


@overload
def evaluate(
    model: Model | Encoding,
    data: Dataset | PairSet,
    *,
    unit: Unit | None = None,
    ways: int | None = None,
    shots: int | None = None,
    by_group: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report | PairReport: ...


def evaluate(
    model: Model | Encoding,
    data: Dataset | PairSet,
    *,
    unit: Unit | None = None,
    ways: int | None = None,
    shots: int | None = None,
    by_group: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report | PairReport:
    """All figures of a model: on a labelled set, every item against every other; on pairs, those given.

    Of pairs, items that pairs of the same link are taken for one identity, and intervals for those of a sample of
    identities.

    Args:
        model: a model or a bare encoder; of a calibrated model also what its threshold does here.
        data: items that had no part in training, choosing or calibrating.
        unit: what the intervals take for a sample: "identity" or "item"; None for what `calibrate` would take.
        ways, shots: N and K of the few-shot figure; None for 20, or as many identities as have K + 1 items, and 1.
        by_group: whether each group of the data is measured by itself as well, at one threshold for all.
        seed: of k-means and episodes.
        progress: told of encoding.

    Raises:
        DataError: fewer than two identities, or no identity with two items; no readable pair of one of the two kinds.
        UsageError: more ways than there are identities with K + 1 items; groups of data that have none; a unit, ways,
            shots or figures by group for pairs.
    """
    if isinstance(data, PairSet):
        options = ("unit", unit), ("ways", ways), ("shots", shots), ("by_group", by_group or None)
        asked = [name for name, value in options if value is not None]
        if asked:
            raise UsageError("Pairs have no labels to draw classes or samples by", ", ".join(asked), "Leave it out.")
        return _evaluate_pairs(model, data, progress)
    shots = 1 if shots is None else shots
    _ways(data, ways, shots)  # refused before the work, as far as that can be seen
    if by_group:
        groups_of(data)
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
    embeddings, labels, distance = labelled.embeddings, labelled.labels, encoder.distance_on_cpu()
    sampled = unit or default_unit(encoder, data)

    def rates(threshold: float) -> Rates:
        return rates_of(threshold, embeddings, labels, distance, sampled)

    found, nearest = verification(embeddings, labels, distance, unit=sampled), retrieval(embeddings, labels, distance)
    at_threshold = _at_threshold(model, rates)

    def of_groups() -> Groups:
        line = at_threshold or _line_of_all(found, rates)
        whole = Figures(nearest.precision_at_1, found.eer, line.rates)
        return measure_groups(
            data, labelled, distance, sampled, whole,
            threshold=line.threshold, promised=line.promised, own=line is at_threshold,
        )  # fmt: skip

    return Report(
        retrieval=nearest,
        verification=found,
        at_threshold=at_threshold,
        clustering=clustering(embeddings, labels, seed=seed, distance=distance),
        fewshot=_few_shot(labelled, distance, ways, shots, seed),
        confusions=confusions(embeddings, labels, distance),
        hardest=hardest_pairs(embeddings, labels, distance, count=HARDEST),
        groups=of_groups() if by_group else None,
        labelled=labelled,
        distance=distance,
        seconds=(encoded - started, time.perf_counter() - encoded),
    )


def _evaluate_pairs(model: Model | Encoding, pairs: PairSet, progress: Progress | None) -> PairReport:
    encoder = model.encoder if isinstance(model, Model) else model
    distances, whole, skipped = encode_pairs(encoder, pairs, progress)
    same = int(np.count_nonzero(whole.same))
    if same in (0, len(whole)):
        raise DataError("Measuring needs pairs of both kinds", f"{same} same of {len(whole)} readable pairs")
    identity = whole.items.labels
    given = distances.numpy(), whole.same, identity[whole.first], identity[whole.second]
    found = listed_verification(*given)
    return PairReport(
        # Items that no pairs link may be of one identity all the same: how many there are is not known then.
        verification=replace(found, identities=found.identities if whole.named else None),
        at_threshold=_at_threshold(model, lambda threshold: listed_rates_at([threshold], *given)[0]),
        skipped=skipped,
        data=pairs.origin,
    )


def _at_threshold(model: Model | Encoding, rates: Callable[[float], Rates]) -> AtThreshold | None:
    if isinstance(model, Encoding) or model.calibration is None:
        return None
    line = model.calibration.threshold_for()
    return AtThreshold(line.threshold, line.promised, rates(line.threshold))


def _line_of_all(found: Verification, rates: Callable[[float], Rates]) -> AtThreshold:
    """At the largest threshold of the drawn curve whose FMR over all items is at most `GROUPS_FMR`."""
    curve = found.curve
    place = int(np.searchsorted(curve.fmr, GROUPS_FMR, side="right")) - 1
    threshold = max(float(curve.thresholds[place]), -1.0)  # the first of the curve, -inf, has no place in JSON
    return AtThreshold(threshold, GROUPS_FMR, rates(threshold))


def _few_shot(labelled: Labelled, distance: Distance, ways: int | None, shots: int, seed: int) -> FewShot | None:
    of = _ways(labelled.data, ways, shots)
    if of is None:
        return None
    return few_shot(labelled.embeddings, labelled.labels, distance, ways=of, shots=shots, seed=seed)


def _ways(data: Dataset, ways: int | None, shots: int) -> int | None:
    """How many identities an episode draws; None where nobody asked and fewer than two have `shots` + 1 items."""
    eligible = int((data.counts() > shots).sum())
    if ways is None:
        return min(WAYS, eligible) if eligible > 1 else None
    if ways > eligible:
        raise UsageError(
            f"An episode of {ways} ways and {shots} shots draws identities with {shots + 1} items or more",
            f"{eligible} of them",
            "Ask for fewer.",
        )
    return ways
