"""A model that answers: encoder with a head and, once calibrated, how its outputs are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from likewise.apps.classify.calibration import HALF, AnswerCalibration, calibrated
from likewise.apps.classify.card import card
from likewise.data import Dataset
from likewise.encoder import Encoded, Encoder, Head, Item, Progress
from likewise.encoder.preprocessing import name_of
from likewise.encoder.seen import FITTING
from likewise.errors import DataError, ModelError, UsageError
from likewise.matching import TaskModel, read_model
from likewise.training.targets import targets_for

TASK = "classify"
NONE = "none"  # what is said where no class holds
FEWEST = 5  # items that a model is calibrated on


@final
@dataclass(frozen=True)
class Answer:
    """What a model says of one item.

    Attributes:
        file: what the item is called.
        label: the class; several with + between them, or "none"; of numbers what they are, "name value".
        probability: of that class; of several the least of what is said of each; None of numbers.
        labels: the classes that hold, one or several; of numbers, or where none holds, empty.
        values: probability of every class, that of `label` first, then the most probable; of several the most probable
            first; of numbers the numbers.
        between: of numbers, the two ends between which 90% of such items lie; empty where that is not known.
    """

    file: str
    label: str
    labels: tuple[str, ...]
    probability: float | None
    values: dict[str, float]
    between: dict[str, tuple[float, float]]

    def shown(self, top: int | None = None) -> dict[str, float]:
        """The `top` values, and those of `labels`; of numbers all."""
        kept = set(list(self.values)[: None if self.probability is None else top]).union(self.labels)
        return {name: value for name, value in self.values.items() if name in kept}

    def as_dict(self, top: int | None = None) -> dict[str, Any]:
        """JSON-ready; an entry of `likewise classify --json`, with the values that `shown` gives."""
        found: dict[str, Any] = {
            "file": self.file, "label": self.label, "labels": list(self.labels), "probability": self.probability,
            "values": self.shown(top),
        }  # fmt: skip
        return found | ({"between": {name: list(ends) for name, ends in self.between.items()}} if self.between else {})


@final
class Classifier(TaskModel[Encoder, AnswerCalibration]):
    """Answers what an item is, which of several things hold of it, or how much.

    Args:
        encoder: with a head, usually trained.
        calibration: how outputs are read; without it as training left them.

    Attributes:
        head: what the answers are.

    Raises:
        UsageError: an encoder without a head.
    """

    task: ClassVar[str] = TASK

    def __init__(self, encoder: Encoder, calibration: AnswerCalibration | None = None) -> None:
        super().__init__(encoder, calibration)
        if encoder.head is None:
            raise UsageError("A classifier has an encoder with a head", "one without", "Pass lw.Encoder(head=...).")
        self.head: Head = encoder.head

    def __repr__(self) -> str:
        names = ", ".join(self.head.names[:5]) + (", ..." if len(self.head.names) > 5 else "")
        said = "not calibrated" if self.calibration is None else f"calibrated on {self.calibration.items} items"
        return f"Classifier({self.head.kind}: {names}; {said})"

    def classify(self, items: Sequence[Item] | NDArray[Any], progress: Progress | None = None) -> list[Answer | str]:
        """One answer for each of `items`, or why there is none."""
        encoded = self.encoder.encode(items, progress=progress)
        return self.answered(encoded, [name_of(items[i]) or f"item {i}" for i in range(len(items))])

    def answered(self, encoded: Encoded, names: Sequence[str]) -> list[Answer | str]:
        """As `classify`, of items that were encoded, one row each, and of what they are called."""
        values, best = self.answers(encoded.embeddings), self.best(encoded.embeddings)
        found: list[Answer | str] = [""] * len(names)
        for i, reason in encoded.problems:
            found[i] = reason
        for i, row, one in zip(encoded.kept.tolist(), values, best.tolist(), strict=True):
            found[i] = self._answer(names[int(i)], row, one)
        return found

    def answers(self, outputs: Tensor) -> NDArray[np.float64]:
        """(N, K) outputs of the encoder -> (N, number of names): calibrated probabilities, or the numbers."""
        return self.head.answers(outputs if self.calibration is None else self.calibration.read(outputs)).numpy()

    def best(self, outputs: Tensor) -> NDArray[np.int64]:
        """(N, K) outputs of "binary" or "multiclass" -> (N,) which class is named.

        The one with the highest output, as training weighted them: with class weights a rare class is named before it
        is the most probable, which is what they are for. Without, it is the most probable one.
        """
        return self.head.answers(outputs).argmax(dim=1).numpy()

    def holding(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N, number of names) probabilities of "multilabel" -> which classes are said to hold."""
        thresholds = () if self.calibration is None else self.calibration.thresholds
        return values >= np.array(thresholds or [HALF] * values.shape[1])

    def outputs_for(self, data: Dataset, progress: Progress | None = None) -> Outputs:
        """Outputs for labelled items, and what they are to be.

        Raises:
            DataError: none can be read, or a class that the model does not know. UsageError: see `targets_for`.
        """
        targets = targets_for(self.head, data)
        encoded = self.encoder.encode_sole(data.sources, progress=progress)
        skipped = tuple((data.files[i], reason) for i, reason in encoded.problems)
        if not len(encoded.kept):
            raise DataError("At least one item can be read", skipped[0][1] if skipped else "no items")
        return Outputs(encoded.embeddings, targets[encoded.kept], data.subset(encoded.kept), skipped)

    def calibrated_on(self, data: Dataset, progress: Progress | None = None) -> tuple[Classifier, Outputs]:
        """The model with a calibration learned from `data`, and the outputs that it is from.

        Items that it was trained on, or its epoch chosen by, are left out: they look better than others.

        Raises:
            DataError: too few others. DataError, UsageError: see `outputs_for`.
        """
        targets_for(self.head, data)  # what it cannot answer at all is said first
        used = self.encoder.seen.used_for(data.contents, *FITTING)
        new = int(np.count_nonzero(~used))
        if new < FEWEST:
            found = f"{new} of {len(data)}"
            raise DataError(
                f"A calibration takes {FEWEST} items or more that training did not use", found, "Bring more."
            )
        if new < len(data):
            without = f"{data.origin}, without {len(data) - new:,} of {len(data):,} items, which training used"
            data = data.subset(np.flatnonzero(~used), without)
        given = self.outputs_for(data, progress)
        found = calibrated(
            self.head,
            given.outputs,
            given.targets,
            self.fingerprint,
            data.origin,
            weights=self._class_weights(),
            groups=given.data.groups,
        )
        return Classifier(self.encoder, found), given

    def card(self, name: str, config: dict[str, Any], figures: dict[str, Any]) -> str:
        """See `TaskModel.card`."""
        return card(name, config, self.calibration, figures)

    @classmethod
    def load(cls, folder: str | Path) -> Classifier:
        """The model in `folder`.

        Raises:
            ModelError: it is damaged, or one for another task.
        """
        folder = Path(folder)
        encoder, calibration = read_model(folder, TASK, AnswerCalibration.from_json)
        if not isinstance(encoder, Encoder) or encoder.head is None:
            raise ModelError("A model that classifies has a head", f"none in {str(folder)!r}", "Copy the folder again.")
        if calibration is not None:
            for held, count in (
                (calibration.thresholds, len(encoder.head.names)), (calibration.half_widths, len(encoder.head.names)),
                (calibration.shifts, encoder.head.outputs),
            ):  # fmt: skip
                if len(held) not in (0, count):
                    names = f"{len(held)} numbers for {', '.join(encoder.head.names)}"
                    raise ModelError("A calibration is complete", names, "Calibrate the model again.")
        return cls(encoder, calibration)

    def _class_weights(self) -> tuple[float, ...]:
        """(K,) what each output counted in training, by its weight and by how often it was drawn; empty where all did
        the same.
        """
        trained = self.encoder.trained
        objective = trained.get("objective", {})
        given: Sequence[float] = objective.get("class_weights") or objective.get("positive_weights") or ()
        drawn: Sequence[float] = trained.get("drawn") or ()
        if not given or not drawn:
            return tuple(given or drawn)
        return tuple(a * b for a, b in zip(given, drawn, strict=True))

    def _answer(self, file: str, row: NDArray[np.float64], best: int) -> Answer:
        names, said = self.head.names, dict(zip(self.head.names, row.tolist(), strict=True))
        if self.head.kind == "regression":
            widths = () if self.calibration is None else self.calibration.half_widths
            between = {
                name: (said[name] - width, said[name] + width) for name, width in zip(names, widths, strict=False)
            }
            label = ", ".join(f"{name} {value:.4g}" for name, value in said.items())
            return Answer(file, label, (), None, said, between)
        ranked = dict(sorted(said.items(), key=lambda pair: -pair[1]))
        if self.head.kind == "multilabel":
            holds = self.holding(row[None])[0]
            labels = tuple(name for name, holding in zip(names, holds, strict=True) if holding)
            sure = float(np.where(holds, row, 1 - row).min())
            return Answer(file, "+".join(labels) or NONE, labels, sure, ranked, {})
        label = names[best]
        return Answer(file, label, (label,), said[label], {label: said[label]} | ranked, {})


@final
@dataclass(frozen=True, eq=False)
class Outputs:
    """What a model gave for labelled items.

    Attributes:
        outputs: (N, K) of the encoder.
        targets: (N, K) what they are to be, as `targets_for` gives them.
        data: the items.
        skipped: file and reason of those that could not be read.
    """

    outputs: Tensor
    targets: Tensor
    data: Dataset
    skipped: tuple[tuple[str, str], ...]
