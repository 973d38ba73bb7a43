"""What calibration found, as it stands in calibration.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any, NoReturn, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likewise.calibration.probability import ProbabilityCurve
from likewise.calibration.promises import promise_for
from likewise.calibration.rates import Unit
from likewise.errors import ModelError
from likewise.metrics.estimate import Estimate

FORMAT = 1

T = TypeVar("T")


@dataclass(frozen=True)
class Threshold:
    """The threshold of one promised false match rate: "same" is a distance of at most `threshold`.

    Attributes:
        promised: the false match rate asked for; `fmr.value` is at most this.
        threshold: of the distances seen, told apart to 2**-15, the largest that keeps the promise; -1 if
            none does, which accepts nothing.
        fmr: false match rate measured at the threshold, and the 95% interval of the true one.
        fnmr: false non-match rate at the threshold, likewise.
        supported: whether there were the 3 / `promised` independent trials such a promise needs.
    """

    promised: float
    threshold: float
    fmr: Estimate
    fnmr: Estimate
    supported: bool

    def accepts(self, distances: ArrayLike) -> NDArray[np.bool_]:
        """(...) distances -> (...) bool, True where "same"."""
        return np.asarray(distances) <= self.threshold

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; both rates with `_low` and `_high`."""
        return {
            "promised": self.promised,
            "threshold": self.threshold,
            "fmr": self.fmr.value,
            "fmr_low": self.fmr.low,
            "fmr_high": self.fmr.high,
            "fnmr": self.fnmr.value,
            "fnmr_low": self.fnmr.low,
            "fnmr_high": self.fnmr.high,
            "supported": self.supported,
        }


@dataclass(frozen=True)
class Calibration:
    """Thresholds for promised false match rates, and the probability of "same" by distance.

    Attributes:
        thresholds: one for each promised rate, the largest rate first.
        default: the promised rate that is meant when none is named; one of `thresholds`.
        curve: probability of "same" at equal priors.
        ece: expected calibration error of such a curve on identities it was not fitted to, in [0, 1]; None
            where there were too few of them to hold half back.
        unit: what the intervals take as sampled: "identity" or "item".
        items: how many items; None where only distances of pairs were given.
        identities: how many identities; None where pairs were listed without them.
        trials: pairs of units that formed the different pairs: what supports a promise.
        pairs_different: how many pairs of different identities.
        pairs_same: how many pairs of the same identity.
        seed: of the halves `ece` was measured with.
        model: fingerprint of the model this belongs to; None until it belongs to one.
        data: where the pairs came from, in words; None if nobody said.
    """

    thresholds: tuple[Threshold, ...]
    default: float
    curve: ProbabilityCurve
    ece: float | None
    unit: Unit
    items: int | None
    identities: int | None
    trials: int
    pairs_different: int
    pairs_same: int
    seed: int
    model: str | None = None
    data: str | None = None

    @property
    def support_at_most(self) -> bool:
        """Whether identities were counted as if items that no pairs link were all of different ones.

        Then there may be fewer, and the promise less supported than it says.
        """
        return self.unit == "identity" and self.identities is None

    def threshold_for(self, fmr: float | None = None) -> Threshold:
        """The threshold of a promised false match rate; of the default one if none is named.

        Raises:
            UsageError: there is no threshold for this rate.
        """
        return promise_for(self.thresholds, self.default if fmr is None else fmr, "a false match rate")

    def probability(self, distances: ArrayLike) -> NDArray[np.float64]:
        """(...) distances -> (...) probabilities of "same" at equal priors, in (0, 1).

        Raises:
            DataError: a distance that is not a number.
        """
        return self.curve(distances)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "format": FORMAT,
            "rule": "same if distance <= threshold",
            "thresholds": [threshold.as_dict() for threshold in self.thresholds],
            "default": self.default,
            "probability": {"prior": 0.5, "knots": list(self.curve.knots), "logits": list(self.curve.logits)},
            "ece": self.ece,
            "unit": self.unit,
            "items": self.items,
            "identities": self.identities,
            "trials": self.trials,
            "pairs_different": self.pairs_different,
            "pairs_same": self.pairs_same,
            "seed": self.seed,
            "model": self.model,
            "data": self.data,
        }

    def to_json(self) -> str:
        """The text of calibration.json."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read calibration.json back, believing nothing.

        Raises:
            ModelError: not JSON, another format, a field that is missing or of the wrong kind, or figures
                that contradict each other.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            _refuse("it is JSON", "something else")
        read = _Reader(fields)
        if read.whole("format") != FORMAT:
            _refuse(f"its format is {FORMAT}", fields["format"])
        curve = _Reader(read.take("probability"))
        unit = read.take("unit")
        if unit not in get_args(Unit):
            _refuse(f"its unit is one of {', '.join(get_args(Unit))}", repr(unit))
        found = cls(
            thresholds=tuple(_threshold(_Reader(entry)) for entry in read.sequence("thresholds")),
            default=read.share("default"),
            curve=ProbabilityCurve(tuple(curve.numbers("knots")), tuple(curve.numbers("logits"))),
            ece=read.optional(read.share, "ece"),
            unit=unit,
            items=read.optional(read.whole, "items"),
            identities=read.optional(read.whole, "identities"),
            trials=read.whole("trials"),
            pairs_different=read.whole("pairs_different"),
            pairs_same=read.whole("pairs_same"),
            seed=read.whole("seed"),
            model=read.optional(read.text, "model"),
            data=read.optional(read.text, "data"),
        )
        _check(found)
        return found


def _threshold(read: _Reader) -> Threshold:
    def estimate(name: str) -> Estimate:
        found = Estimate(read.share(name), read.share(f"{name}_low"), read.share(f"{name}_high"))
        if not found.low <= found.value <= found.high:
            _refuse(f"{name} lies in its interval", found)
        return found

    supported = read.take("supported")
    if not isinstance(supported, bool):
        _refuse("supported is true or false", repr(supported))
    found = Threshold(read.share("promised"), read.number("threshold"), estimate("fmr"), estimate("fnmr"), supported)
    if found.fmr.value > found.promised:
        _refuse("the measured false match rate is at most the promised one", found.fmr.value)
    return found


def _check(found: Calibration) -> None:
    """Figures that could not have come from one calibration are refused."""
    steps = list(pairwise(found.thresholds))
    if not all(a.promised > b.promised and a.threshold >= b.threshold for a, b in steps):
        _refuse("a smaller promised rate has no larger threshold", "thresholds out of order")
    if not any(threshold.promised == found.default for threshold in found.thresholds):
        _refuse("its default is one of its promised rates", found.default)
    knots, logits = found.curve.knots, found.curve.logits
    if not (0 < len(knots) == len(logits)):
        _refuse("every knot has its log-odds", f"{len(knots)} knots and {len(logits)} log-odds")
    if any(a >= b for a, b in pairwise(knots)) or any(a < b for a, b in pairwise(logits)):
        _refuse("the probability never rises with distance", "knots out of order")


class _Reader:
    """Takes fields out of parsed JSON and refuses what is not as it was written."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            _refuse("a record has named fields", repr(fields)[:40])
        self.fields: dict[str, Any] = fields

    def take(self, name: str) -> Any:
        if name not in self.fields:
            _refuse(f"it has a field {name}", "none")
        return self.fields[name]

    def number(self, name: str) -> float:
        return _number(name, self.take(name))

    def share(self, name: str) -> float:
        value = self.number(name)
        if not 0 <= value <= 1:
            _refuse(f"{name} is between 0 and 1", value)
        return value

    def whole(self, name: str) -> int:
        value = self.take(name)
        if type(value) is not int or value < 0:
            _refuse(f"{name} is a whole number, 0 or more", repr(value))
        return value

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str):
            _refuse(f"{name} is text", repr(value))
        return value

    def sequence(self, name: str) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list):
            _refuse(f"{name} is a list", repr(value)[:40])
        return value

    def numbers(self, name: str) -> list[float]:
        return [_number(name, value) for value in self.sequence(name)]

    def optional(self, read: Callable[[str], T], name: str) -> T | None:
        return None if self.take(name) is None else read(name)


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        _refuse(f"{name} is a finite number", repr(value))
    return float(value)


def _refuse(rule: str, received: object) -> NoReturn:
    raise ModelError(f"In a model's calibration.json {rule}", received, "Calibrate the model again.")
