"""A model: an encoder that knows its distance and, once calibrated, its threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from os import PathLike
from typing import Any, ClassVar, final

from numpy.typing import NDArray
from torch import Tensor

from likewise.calibration import Calibration
from likewise.data import Dataset
from likewise.encoder import Encoded, Encoding, Item, Progress
from likewise.errors import DataError, ModelError
from likewise.matching.card import card
from likewise.matching.folder import EMBED
from likewise.matching.labelled import Labelled, encode_labelled
from likewise.matching.task_model import TaskModel
from likewise.prepare import unfit

_NEVER = "a model that was never calibrated"


@final
@dataclass(frozen=True)
class Verdict:
    """The answer of `Model.verify`.

    Attributes:
        same: whether `distance` is at most `threshold`.
        distance: between the two embeddings; small means same.
        threshold: where the model draws the line.
        probability: that the two are the same, if same and different were equally likely beforehand; in (0, 1).
        fmr: the promised share of different pairs that the threshold accepts.
        fmr_high: upper end of the 95% interval of that share, as calibration measured it.
        supported: whether the calibration data were enough for such a promise.
    """

    same: bool
    distance: float
    threshold: float
    probability: float
    fmr: float
    fmr_high: float
    supported: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def _repr_html_(self) -> str:
        answer, reasons = str(self).split(": ", 1)
        return f"<b>{answer}</b>: {escape(reasons)}"

    def __str__(self) -> str:
        text = (
            f"{'the same' if self.same else 'not the same'}: distance {self.distance:.4g}, threshold"
            f" {self.threshold:.4g} (FMR {self.fmr:g}), probability {self.probability:.1%}"
        )
        if self.supported:
            return text
        return f"{text}; too few data to support this promise (FMR may be as high as {self.fmr_high:.2g})"


@final
class Model(TaskModel[Encoding, Calibration]):
    """An encoder with what it takes to answer.

    Args:
        encoder: built, usually trained.
        calibration: thresholds and distance -> probability; without it the model encodes but gives no verdicts.
    """

    task: ClassVar[str] = EMBED

    def __repr__(self) -> str:
        promised = self.calibration
        said = "not calibrated" if promised is None else f"FMR {promised.default:g}"
        return f"Model({self.fingerprint[:8]}, {self.dim}-d, {said})"

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.encoder.dim

    def encode(
        self,
        items: Sequence[Item] | NDArray[Any] | Tensor,
        *,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Encoded:
        """Embeddings of `items`, one of each; see `Encoding.encode`."""
        return self.encoder.encode(items, batch=batch, progress=progress)

    def encode_parts(self, items: Sequence[Item] | NDArray[Any], *, progress: Progress | None = None) -> Encoded:
        """Embeddings of everything that is found in `items`; see `Encoding.encode_parts`."""
        return self.encoder.encode_parts(items, progress=progress)

    def encode_labelled(self, data: Dataset, progress: Progress | None = None) -> Labelled:
        """Embeddings of a labelled set, with the labels of what could be read."""
        return encode_labelled(self.encoder, data, progress)

    def distance(self, a: Item, b: Item) -> float:
        """Between two items; small means same.

        Raises:
            DataError: one of them cannot be read, or does not show one thing and show it well.
        """
        return self.distance_of(self.encode_parts([a, b]), [_name(a, "the first item"), _name(b, "the second item")])

    def distance_of(self, pair: Encoded, names: Sequence[str]) -> float:
        """Between two items that were encoded with `encode_parts`; see `distance`."""
        if pair.problems:
            raise DataError(pair.problems[0][1].rstrip("."))
        finder = self.encoder.ready().prepare
        flaws = pair.flaws or (None,) * len(pair.kept)
        for number, name in enumerate(names):
            reason = unfit([flaw for of, flaw in zip(pair.kept.tolist(), flaws, strict=True) if of == number], finder)
            if reason is not None:
                what = "thing" if finder is None else finder.one
                rule, remedy = f"Pictures that are compared show one {what} each", "Take another one, or crop it."
                raise DataError(rule, f"{name}: {reason}", remedy)
        first, second = pair.embeddings
        return float(self.encoder.distances(first[None], second[None]))

    def verify(self, a: Item, b: Item, *, fmr: float | None = None) -> Verdict:
        """Whether two items are the same.

        Args:
            a, b: paths, bytes or arrays.
            fmr: which of the promised false match rates to hold; None for the model's own.

        Raises:
            DataError: one of them cannot be read, or does not show one thing and show it well.
            ModelError: the model is not calibrated; it then says how far the two are apart.
            UsageError: it is not calibrated for this rate.
        """
        if self.calibration is not None:
            self.calibration.threshold_for(fmr)  # refused before the work
        return self.verdict(self.distance(a, b), fmr=fmr)

    def verdict(self, distance: float, *, fmr: float | None = None) -> Verdict:
        """What a distance between two items says; see `verify`.

        Args:
            distance: as `distance` gives it.
            fmr: which of the promised false match rates to hold; None for the model's own.

        Raises:
            ModelError: the model is not calibrated, or the distance is not finite.
            UsageError: it is not calibrated for this rate.
        """
        if not math.isfinite(distance):
            raise ModelError("Distances are finite", distance, "The model's parameters are damaged; train it again.")
        if self.calibration is None:
            raise _uncalibrated(f"a distance of {distance:.4g} from {self._hint()}")
        calibration = self.calibration
        line = calibration.threshold_for(fmr)
        probability = float(calibration.probability([distance])[0])
        return Verdict(
            same=bool(line.accepts(distance)),
            distance=distance,
            threshold=line.threshold,
            probability=probability,
            fmr=line.promised,
            fmr_high=line.fmr.high,
            supported=line.supported,
        )

    def calibrated(self) -> Calibration:
        """The calibration.

        Raises:
            ModelError: there is none.
        """
        if self.calibration is None:
            raise _uncalibrated(_NEVER)
        return self.calibration

    def _hint(self) -> str:
        """A model without a threshold, and what its makers say of theirs."""
        published = self.encoder.published
        if published is None:
            return _NEVER
        return f"{_NEVER} (its makers take two for the same up to {published:g}, on their pictures; a hint, no promise)"

    def card(self, name: str, config: dict[str, Any], figures: dict[str, Any]) -> str:
        """See `TaskModel.card`."""
        return card(name, config, self.calibration, figures)

    def _repr_html_(self) -> str:
        state = "not calibrated" if self.calibration is None else "calibrated"
        return (
            f"<b>model {self.fingerprint[:12]}</b>: {escape(self.encoder.backbone)}, {self.dim}-d,"
            f" {escape(self.encoder.distance.name)} distance, {state}"
        )


def _uncalibrated(received: str) -> ModelError:
    return ModelError(
        "A model gives verdicts once it knows its threshold",
        received,
        "Run `likewise calibrate MODEL DATA --fmr 0.01 --out NEW` with data of people or things it was not trained on.",
    )


def _name(item: Item, otherwise: str) -> str:
    return str(item) if isinstance(item, (str, PathLike)) else otherwise
