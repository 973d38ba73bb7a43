"""How well a model answers: figures with intervals, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.classify.calibration import COVERED, HALF
from likewise.apps.classify.model import Classifier, Outputs
from likewise.data import Dataset
from likewise.encoder import Head, HeadKind, Progress
from likewise.evaluation.names import shortened
from likewise.media.files import write_json
from likewise.metrics import Estimate
from likewise.metrics.classification import (
    ConfusionCounts,
    Reliability,
    balanced_accuracy,
    chance_error,
    confusion_counts,
    log_loss,
    reliability,
    share_right,
)

DRAWN_CLASSES = 30  # of a confusion matrix with names and numbers; of more only what there is is listed
LONGEST_NAME = 30  # letters of a class beside it
MOST_CELLS = 600  # a side of its picture
Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class AnswerReport:
    """What was measured.

    Attributes:
        data: on what, in words.
        head: kind of answers.
        names: of the classes or numbers.
        items: how many.
        groups: how many groups intervals take for the sample; None where items are.
        right: share of items answered wholly right, with its interval; of numbers the share inside the interval said,
            each number by itself as each interval is, in the mean of the numbers.
        figures: by their names; see `as_dict`.
        by_name: figures of each class or number.
        reliability: what was said and what was right; None of numbers.
        before: the same before calibration.
        confusion: of one class out of several, else None.
        skipped: file and reason of what could not be read.
    """

    data: str
    head: HeadKind
    names: tuple[str, ...]
    items: int
    groups: int | None
    right: Estimate | None
    figures: dict[str, float]
    by_name: dict[str, dict[str, float]]
    reliability: Reliability | None
    before: Reliability | None
    confusion: ConfusionCounts | None
    skipped: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise evaluate --json`."""
        found: dict[str, Any] = {"head": self.head, "items": self.items, "groups": self.groups, **self.figures}
        if self.right is not None:
            found["interval"] = self.right.as_dict()
        found |= {"by_name": self.by_name, "rows": [list(row) for row in self.rows()]}
        if self.confusion is not None:
            found["confusion"] = {"names": list(self.names), **_cells(self.confusion)}
        return found

    def rows(self) -> list[tuple[str, str]]:
        """The figures as text."""
        sample = "items" if self.groups is None else f"{self.groups} group{'s' * (self.groups != 1)}"
        rows = [("items", f"{self.items:,} of {self.data}")]
        if self.right is not None:
            what = {"multilabel": "all classes right", "regression": f"within the {COVERED:.0%} interval"}
            interval = f"{self.right.low:.2%} to {self.right.high:.2%} over {sample}"
            rows.append((what.get(self.head, "accuracy"), f"{self.right.value:.2%} (95%: {interval})"))
        said = {
            "balanced_accuracy": ("balanced accuracy", "{:.2%}"),
            "log_loss": ("log loss", "{:.4f} nats"),
            "ece": ("calibration error", "{:.2%}"),
            "ece_by_chance": ("by chance alone", "{:.2%} in the mean, at most {:.2%} in 95 of 100"),
            "ece_uncalibrated": ("before calibration", "{:.2%}"),
            "mean_f1": ("F1, mean of the classes", "{:.3f}"),
        }
        held = self.figures
        if "mean_f1" in held and (found := sum(f["items"] > 0 for f in self.by_name.values())) < len(self.by_name):
            classes = f"mean of {found} of {len(self.by_name)} classes; the others hold of none of these items"
            said["mean_f1"] = ("F1", f"{{:.3f}} ({classes})")
        rows += [
            (text, form.format(held[key], held.get(f"{key}_at_most")))
            for key, (text, form) in said.items()
            if key in held
        ]
        if self.head == "regression":
            rows += [
                (
                    name,
                    f"off by {f['mae']:.4g} in the mean, {f['rmse']:.4g} root mean square, R2 {f['r2']:.3f}"
                    + (f", {f['covered']:.2%} within the {COVERED:.0%} interval" if "covered" in f else ""),
                )
                for name, f in self.by_name.items()
            ]
        elif self.head == "multilabel":
            rows += [
                (
                    name,
                    f"precision {f['precision']:.2%}, recall {f['recall']:.2%}, F1 {f['f1']:.3f}"
                    if f["items"]
                    else f"holds of none of these items, said of {f['said']:,.0f} of {self.items:,}",
                )
                for name, f in list(self.by_name.items())[:10]
            ]
        return rows

    def write(self, folder: Path) -> list[Path]:
        """Writes metrics.json and pictures."""
        metrics = folder / "metrics.json"
        write_json(metrics, self.as_dict())
        written = [metrics]
        if self.reliability is not None and self.before is not None:
            written.append(draw_reliability(self.reliability, self.before, folder / "reliability.png"))
        if self.confusion is not None:
            written.append(draw_confusion(self.confusion, self.names, folder / "confusion.png"))
        return written


def evaluate(model: Classifier, data: Dataset, *, progress: Progress | None = None) -> AnswerReport:
    """Measures how well `model` answers for `data`; where that has groups, intervals take them for the sample.

    Raises:
        DataError, UsageError: see `Classifier.outputs_for`.
    """
    return report_on(model, model.outputs_for(data, progress))


def report_on(model: Classifier, given: Outputs) -> AnswerReport:
    """What there is to say of outputs that `model` gave."""
    groups = given.data.groups
    values, targets = model.answers(given.outputs), given.targets.double().numpy()
    measure = {"regression": _of_numbers, "multilabel": _of_several}.get(model.head.kind, _of_one)
    right, figures, by_name, bins, before, confusion = measure(model, values, targets, given, groups)
    return AnswerReport(
        data=given.data.origin, head=model.head.kind, names=model.head.names, items=len(targets),
        groups=None if groups is None else len(np.unique(groups)), right=right, figures=figures, by_name=by_name,
        reliability=bins, before=before, confusion=confusion, skipped=given.skipped,
    )  # fmt: skip


_Measured = tuple[
    Estimate | None,
    dict[str, float],
    dict[str, dict[str, float]],
    Reliability | None,
    Reliability | None,
    ConfusionCounts | None,
]


def _of_one(model: Classifier, values: Floats, targets: Floats, given: Outputs, groups: Any) -> _Measured:
    """One class out of several."""
    truth = (targets[:, 0] >= HALF).astype(np.int64) if model.head.kind == "binary" else targets.argmax(axis=1)
    said, rows = model.best(given.outputs), np.arange(len(values))
    likely = values[rows, said]
    bins = reliability(likely, said == truth)
    before = reliability(_uncalibrated(model.head, given)[rows, said], said == truth)
    right, classes = share_right(said == truth, groups), len(model.head.names)
    counts = confusion_counts(truth, said, classes)
    figures = {
        "accuracy": right.value,
        "balanced_accuracy": balanced_accuracy(truth, said),
        "log_loss": log_loss(values[rows, truth]),
        **_calibration(bins, before, likely),
    }
    by_name = {
        name: {"items": float(shown), "recall": _part(found, shown), "precision": _part(found, claimed)}
        for name, found, shown, claimed in zip(
            model.head.names, counts.right(), counts.of_shown(), counts.of_said(), strict=True
        )
    }
    return right, figures, by_name, bins, before, counts


def _of_several(model: Classifier, values: Floats, targets: Floats, given: Outputs, groups: Any) -> _Measured:
    """Several classes, each of which holds or not."""
    truth, said = targets >= HALF, model.holding(values)
    bins = reliability(values.ravel(), truth.ravel())
    before = reliability(_uncalibrated(model.head, given).ravel(), truth.ravel())
    right = share_right((said == truth).all(axis=1), groups)
    by_name: dict[str, dict[str, float]] = {}
    for k, name in enumerate(model.head.names):
        both, holds, claimed = (said & truth)[:, k].sum(), truth[:, k].sum(), said[:, k].sum()
        by_name[name] = {
            "items": float(holds), "said": float(claimed),
            "precision": _part(both, claimed), "recall": _part(both, holds), "f1": _part(2 * both, holds + claimed),
            "balanced_accuracy": balanced_accuracy(truth[:, k].astype(np.int64), said[:, k].astype(np.int64)),
        }  # fmt: skip
    likely = np.where(truth, values, 1 - values)
    figures = {
        "accuracy": right.value,
        "balanced_accuracy": float(np.mean([f["balanced_accuracy"] for f in by_name.values()])),
        "log_loss": log_loss(likely.ravel()),
        **_calibration(bins, before, values.ravel()),
        # A class that holds of no item cannot be found: it is no class that was missed.
        **({"mean_f1": float(np.mean(f1))} if (f1 := [f["f1"] for f in by_name.values() if f["items"]]) else {}),
    }
    return right, figures, by_name, bins, before, None


def _of_numbers(model: Classifier, values: Floats, targets: Floats, given: Outputs, groups: Any) -> _Measured:
    """Numbers."""
    off = values - targets
    by_name: dict[str, dict[str, float]] = {}
    for k, name in enumerate(model.head.names):
        spread = float(np.square(targets[:, k] - targets[:, k].mean()).sum())
        by_name[name] = {
            "mae": float(np.abs(off[:, k]).mean()),
            "rmse": float(np.sqrt(np.square(off[:, k]).mean())),
            "r2": 1 - float(np.square(off[:, k]).sum()) / spread if spread else 0.0,  # nothing to explain
        }
    widths = () if model.calibration is None else model.calibration.half_widths
    right = None
    if widths:
        inside = np.abs(off) <= np.array(widths)
        for name, share in zip(by_name, inside.mean(axis=0).tolist(), strict=True):
            by_name[name]["covered"] = share
        # Numbers of one item are no more trials than the item; of one number alone the two are the same.
        items = np.arange(len(inside)) if groups is None and inside.shape[1] > 1 else groups
        right = share_right(inside.ravel(), None if items is None else np.repeat(items, inside.shape[1]))
    figures = {"mae": float(np.mean([f["mae"] for f in by_name.values()]))}
    return right, figures | ({} if right is None else {"covered": right.value}), by_name, None, None, None


def _calibration(found: Reliability, before: Reliability, said: Floats) -> dict[str, float]:
    """How far probabilities `said` are from shares, what chance alone would show, and how far they were before."""
    chance = chance_error(said)
    return {
        "ece": found.error,
        "ece_by_chance": chance.mean,
        "ece_by_chance_at_most": chance.most,
        "ece_uncalibrated": before.error,
    }


def _uncalibrated(head: Head, given: Outputs) -> Floats:
    return head.answers(given.outputs).numpy()


def _part(some: Any, of: Any) -> float:
    return float(some) / float(of) if of else 0.0


def draw_reliability(found: Reliability, before: Reliability, file: Path) -> Path:
    """How often answers were right against how probable they were said to be, before calibration too, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    if before.said.tolist() != found.said.tolist():  # there is a calibration
        label = f"before calibration, error {before.error:.2%}"
        axes.plot(before.said, before.right, "s--", color="#d55e00", markersize=4, linewidth=1, label=label)
    axes.plot(found.said, found.right, "o-", color="#0072b2", label=f"as answered, error {found.error:.2%}")
    axes.set(
        xlabel="said to be probable", ylabel="share that was right", xlim=(0, 1.02), ylim=(0, 1.02),
    )  # fmt: skip
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", fontsize=8)
    figure.savefig(file)
    return file


def _cells(found: ConfusionCounts) -> dict[str, Any]:
    """Every cell where classes are few; else those that hold something, of which there are no more than items."""
    if found.classes <= DRAWN_CLASSES:
        return {"counts": found.pooled(DRAWN_CLASSES).tolist()}
    return {"cells": np.column_stack([found.shown, found.said, found.count]).tolist()}


def draw_confusion(found: ConfusionCounts, names: tuple[str, ...], file: Path) -> Path:
    """Which class was taken for which, as a picture; rows are what was shown."""
    from matplotlib.figure import Figure

    counts = found.pooled(MOST_CELLS)
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = 2 + 0.35 * min(len(names), DRAWN_CLASSES)
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, vmin=0, vmax=1, cmap="Blues", extent=(-0.5, len(names) - 0.5, len(names) - 0.5, -0.5))
    axes.set(xlabel="said", ylabel="shown")
    if len(names) <= DRAWN_CLASSES:
        labels = shortened(names, LONGEST_NAME)
        axes.set_xticks(range(len(names)), labels, rotation=90)
        axes.set_yticks(range(len(names)), labels)
        for i, j in np.argwhere(counts):
            colour = "white" if share[i, j] > HALF else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=7)
    figure.savefig(file)
    return file
