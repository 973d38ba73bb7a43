"""Mistakes of a model that answers: classes, several at once, numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.classify import Classifier, Outputs
from likewise.apps.classify.calibration import COVERED, HALF
from likewise.apps.mistakes.findings import Bools, Finding, IntArray, Judged, Kind, Merged, percent
from likewise.metrics import Doubts, claims_of, doubts

FAR_OUT = 3.0  # quartile ranges beyond the quartiles: "far out" in Tukey, Exploratory Data Analysis (1977)
LARGEST = 24  # deviations of numbers that are listed
LEAST = 1e-12  # of a mean deviation

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class _Answers:
    """The part of `Judged` that depends on what is answered."""

    of: IntArray
    names: tuple[str, ...]
    item: IntArray
    wrong: Bools
    mistakes: list[Finding]
    suspects: list[tuple[Finding, tuple[str, str]]]
    merged: list[Merged]
    hardest: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    decided: bool = True


def judged_answers(model: Classifier, given: Outputs, trained_on: Bools) -> Judged:
    """What is wrong or doubtful in labelled items that `model` gave outputs for.

    Args:
        model: what answered.
        given: its outputs.
        trained_on: (n,) whether it was trained on each.
    """
    values, targets = model.answers(given.outputs), given.targets.double().numpy()
    if model.head.kind == "regression":
        found = _of_numbers(model, values, targets)
    elif model.head.kind == "multilabel":
        found = _of_several(model, values, targets)
    else:
        truth = (targets[:, 0] >= HALF).astype(np.int64) if model.head.kind == "binary" else targets.argmax(axis=1)
        found = _of_one(model.head.names, values, truth, model.best(given.outputs))
    groups, several = given.data.groups, len(found.item) > len(given.data)
    return Judged(
        task="answer",
        data=given.data,
        how=model.encoder.ready(),
        trained_on=trained_on,
        skipped=given.skipped,
        asked="answers are wrong",
        of=found.of,
        names=found.names,
        item=found.item,
        wrong=found.wrong,
        mistakes=tuple(found.mistakes),
        suspects=tuple(finding for finding, _ in found.suspects),
        suggested=tuple(suggested for _, suggested in found.suspects),
        sample=groups[found.item] if groups is not None else found.item if several else None,
        merged=tuple(found.merged),
        hardest=found.hardest,
        notes=found.notes,
        decided=found.decided,
    )


def _of_one(names: tuple[str, ...], values: Floats, truth: IntArray, said: IntArray) -> _Answers:
    """One class out of several, and which was named."""
    rows = np.arange(len(values))
    wrong, sure = said != truth, values[rows, said]
    mistakes = [
        Finding(
            "mistake", (i,), names[truth[i]], names[said[i]], float(sure[i]), None,
            f"{names[said[i]]} is {percent(sure[i])} probable, {names[truth[i]]} {percent(values[i, truth[i]])}",
            (names[truth[i]], names[said[i]]),
        )
        for i in sorted(np.flatnonzero(wrong).tolist(), key=lambda i: -sure[i])
    ]  # fmt: skip
    doubtful = doubts(claims_of(values, truth))
    suspects = [
        (
            Finding(
                "suspected label", (s.item,), names[s.label], names[s.suggested], s.probability, None,
                f"{names[s.suggested]} is {percent(s.probability)} probable, {names[s.label]} {percent(s.own)}",
            ),
            ("label", names[s.suggested]),
        )
        for s in doubtful.suspects
    ]  # fmt: skip
    notes = () if len(np.unique(truth)) > 1 else ("All items are of one class: no wrong label can be suspected.",)
    return _Answers(truth, names, rows, wrong, mistakes, suspects, _merged(doubtful, names), (), notes)


def _of_several(model: Classifier, values: Floats, targets: Floats) -> _Answers:
    """Several classes, each of which holds or not: every class of every item is an answer."""
    classes = model.head.names
    kinds = tuple(text for name in classes for text in (f"no {name}", name))
    truth, said = targets >= HALF, model.holding(values)
    sure = np.where(said, values, 1 - values)
    of = (2 * np.arange(len(classes)) + truth).astype(np.int64)
    mistakes: list[Finding] = []
    suspects: list[tuple[Finding, tuple[str, str]]] = []
    merged: list[Merged] = []
    for i, k in sorted(np.argwhere(truth != said).tolist(), key=lambda place: -sure[tuple(place)]):
        label, other = (kinds[2 * k + int(holds)] for holds in (truth[i, k], said[i, k]))
        why = f"{classes[k]} is {percent(values[i, k])} probable"
        mistakes.append(Finding("mistake", (i,), label, other, float(sure[i, k]), None, why, (label, other)))
    for k, name in enumerate(classes):
        holds = truth[:, k].astype(np.int64)
        doubtful = doubts(claims_of(np.column_stack([1 - values[:, k], values[:, k]]), holds))
        pair = kinds[2 * k : 2 * k + 2]
        for s in doubtful.suspects:
            why = f"{pair[s.suggested]} is {percent(s.probability)} probable"
            finding = Finding("suspected label", (s.item,), pair[s.label], pair[s.suggested], s.probability, None, why)
            suspects.append((finding, (name, str(s.suggested))))
        merged += _merged(doubtful, pair)
    suspects.sort(key=lambda suspect: -(suspect[0].probability or 0.0))
    rows = np.repeat(np.arange(len(values)), len(classes))
    return _Answers(of.ravel(), kinds, rows, (truth != said).ravel(), mistakes, suspects, merged)


def _of_numbers(model: Classifier, values: Floats, targets: Floats) -> _Answers:
    """Numbers: a mistake lies outside the interval that is given with it."""
    names = model.head.names
    widths = () if model.calibration is None else model.calibration.half_widths
    off = values - targets
    scale = np.array(widths or np.maximum(np.abs(off).mean(axis=0), LEAST))
    relative = np.abs(off) / scale
    wrong = relative > 1 if widths else np.zeros(off.shape, bool)
    low, high = np.quantile(off, 0.25, axis=0), np.quantile(off, 0.75, axis=0)
    reach = FAR_OUT * (high - low)
    strange = (off < low - reach) | (off > high + reach)
    unit = f"what {COVERED:.0%} are off by at most" if widths else "the mean"

    def findings(kind: Kind, chosen: Bools) -> list[Finding]:
        found: list[Finding] = []
        for i, k in sorted(np.argwhere(chosen).tolist(), key=lambda place: -relative[place[0], place[1]]):
            label, said = (f"{names[k]} {number[i, k]:.4g}" for number in (targets, values))
            why = f"off by {abs(off[i, k]):.4g}, {relative[i, k]:.1f} times {unit}"
            cell = names[k], "too high" if off[i, k] > 0 else "too low"
            found.append(Finding(kind, (i,), label, said, None, None, why, cell))
        return found

    suspects = findings("suspected label", strange)
    places = sorted(np.argwhere(strange).tolist(), key=lambda place: -relative[place[0], place[1]])
    suggested = [(names[k], f"{values[i, k]:.6g}") for i, k in places]
    note = (
        f"The interval of a number is made to hold {COVERED:.0%} of items: about a tenth lies outside by design."
        if widths
        else "The model gives no interval with its numbers, so nothing says which answer is a mistake: `likewise"
        " calibrate MODEL DATA` learns one."
    )
    return _Answers(
        np.tile(np.arange(len(names)), len(values)), names, np.repeat(np.arange(len(values)), len(names)),
        wrong.ravel(), findings("mistake", wrong), list(zip(suspects, suggested, strict=True)), [],
        tuple(findings("large deviation", np.ones(off.shape, bool))[:LARGEST]), (note,), bool(widths),
    )  # fmt: skip


def _merged(doubtful: Doubts, names: Any) -> list[Merged]:
    return [Merged(names[cell.label], names[cell.taken_for], cell.items) for cell in doubtful.inseparable]
