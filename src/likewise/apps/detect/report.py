"""How well a detector finds what is there, with numbers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from likewise.apps.detect.boxes import Boxes
from likewise.apps.detect.drawing import draw_report
from likewise.apps.detect.matches import Match, detections_of, found_in, matches_of
from likewise.apps.detect.model import Detector
from likewise.apps.detect.scores import Found
from likewise.data import BoxSet
from likewise.encoder import Progress
from likewise.errors import DataError
from likewise.media.files import write_json
from likewise.metrics import Estimate
from likewise.metrics.boxes import Detection, detection


@final
@dataclass(frozen=True, eq=False)
class DetectReport:
    """What was measured.

    Attributes:
        data: on what, in words.
        pictures, boxes: how many.
        average: mean average precision, with its intervals and what it is made of.
        threshold: score from which on a box counts; right and found are measured at it.
        right: share of what is found that is there; None where nothing is found.
        found: share of what is there that is found.
        looked: pictures, boxes found in them and what became of these; for drawings.
        skipped: file and reason of what could not be read.
    """

    data: str
    pictures: int
    boxes: int
    average: Detection
    threshold: float
    right: Estimate | None
    found: Estimate | None
    looked: tuple[BoxSet, list[Boxes], list[Match], Found] = field(repr=False)
    skipped: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise evaluate --json`."""
        map_50, map_ = self.average.map_50, self.average.map
        return {
            "map_50": map_50.value,
            "map_50_low": map_50.low,
            "map_50_high": map_50.high,
            "map": map_.value,
            "map_low": map_.low,
            "map_high": map_.high,
            "pictures": self.pictures,
            "boxes": self.boxes,
            "threshold": self.threshold,
            "precision": None if self.right is None else self.right.as_dict(),
            "recall": None if self.found is None else self.found.as_dict(),
            "classes": self.average.as_dict()["classes"],
            "data": self.data,
            "rows": [list(row) for row in self.rows()],
        }

    def rows(self) -> list[tuple[str, str]]:
        """The figures as text."""
        rows = [("pictures", f"{self.pictures:,} of {self.data}, with {self.boxes:,} boxes")]
        for name, value in (("mAP at 0.5", self.average.map_50), ("mAP 0.5 to 0.95", self.average.map)):
            rows.append((name, f"{value.value:.3f} (95%: {value.low:.3f} to {value.high:.3f})"))
        at = f"from a score of {self.threshold:.3f} on"
        for name, share in (("precision", self.right), ("recall", self.found)):
            if share is not None:
                rows.append((name, f"{share.value:.2%} (95%: {share.low:.2%} to {share.high:.2%}) {at}"))
        classes = self.average.classes if len(self.average.classes) > 1 else ()
        told = [f"{each.name} {each.average_precision_50:.3f} ({each.boxes})" for each in classes if each.boxes]
        return [*rows, *([("by class at 0.5", ", ".join(told[:20]))] if told else [])]

    def write(self, folder: Path, model: Detector) -> dict[str, Any]:
        """Writes metrics.json and pictures; what the card says of them."""
        write_json(folder / "metrics.json", self.as_dict())
        data, boxes, matches, found = self.looked
        shown = [(draw_curve(found, model.threshold, folder / "precision_recall.png").name, "precision and recall")]
        return {**self.as_dict(), "shown": [*shown, *draw_report(model, boxes, matches, data, folder)]}


def evaluate(model: Detector, data: BoxSet, *, progress: Progress | None = None) -> DetectReport:
    """Measures how well `model` finds what is in `data`; intervals take pictures for the sample, or groups.

    Raises:
        DataError: nothing can be read, there are no boxes, or classes that the model does not know.
    """
    boxes, looked_at, skipped = model.look(data, progress=progress)
    count = int(looked_at.counts().sum())
    if not count:
        raise DataError("A detector is measured on boxes", f"none in {len(looked_at)} pictures")
    matches = matches_of(boxes, looked_at)
    found = found_in(boxes, matches, looked_at)
    return DetectReport(
        data=looked_at.origin, pictures=len(looked_at), boxes=count,
        average=precision_of(boxes, looked_at),
        threshold=model.threshold, right=found.precision(model.threshold), found=found.recall(model.threshold),
        looked=(looked_at, boxes, matches, found), skipped=skipped,
    )  # fmt: skip


def precision_of(found: Sequence[Boxes], data: BoxSet, **options: int) -> Detection:
    """Mean average precision of the boxes found in the pictures of `data`; options of `likewise.metrics.boxes`."""
    return detection(data, detections_of(found), **options)


def draw_curve(found: Found, threshold: float, file: Path) -> Path:
    """Precision against recall over all scores, with a mark at the threshold."""
    import numpy as np
    from matplotlib.figure import Figure

    order = np.argsort(-found.scores, kind="stable")
    hits = np.cumsum(found.hit[order])
    figure = Figure(figsize=(4.5, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(hits / len(found.by), hits / np.arange(1, len(hits) + 1), color="#0072b2")
    right, there = found.precision(threshold), found.recall(threshold)
    if right is not None and there is not None:
        axes.plot(there.value, right.value, "o", color="#d55e00")
        axes.annotate(f"  {threshold:.2f}", (there.value, right.value))
    axes.set(xlabel="share of what is there that is found", ylabel="share of what is found that is there",
             xlim=(0, 1.02), ylim=(0, 1.02))  # fmt: skip
    axes.grid(alpha=0.3)
    figure.savefig(file)
    return file
