"""The threshold for a promised number of false alarms per hour."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any, final

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from scipy.stats import poisson

from likewise.apps.triggerword.events import EventRule, check_shape
from likewise.apps.triggerword.measure import Heard, at_most
from likewise.calibration.promises import is_for, promise_for
from likewise.errors import ModelError, SupportError, UsageError
from likewise.metrics import Estimate

FORMAT = 1
LADDER = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)  # per hour
USELESS = 0.5  # share of misses from which on a person should be told


@final
@with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
@dataclass(frozen=True)
class AlarmThreshold:
    """One promise.

    Attributes:
        promised: false alarms per hour that will not be exceeded, at 95%, among sounds like those calibrated on.
        threshold: of probabilities.
        alarms: false ones there were at it.
        alarms_per_hour: the same with its interval.
        miss_rate: of the words of the calibration; None where there were none.
    """

    promised: float
    threshold: float
    alarms: int
    alarms_per_hour: Estimate
    miss_rate: Estimate | None

    def warning(self) -> str | None:
        """That the promise costs most of the words, where it does."""
        missed = self.miss_rate
        if missed is None or missed.value < USELESS:
            return None
        return (
            f"With at most {self.promised:g} false alarms per hour {missed.value:.0%} of the words are missed: promise"
            " less (a larger --per-hour), or train longer and on more voices."
        )


@final
@with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
@dataclass(frozen=True)
class AlarmCalibration:
    """What a model of a trigger word promises.

    Attributes:
        model: fingerprint of the encoder.
        hits, refractory: of the events that were counted (`EventRule`).
        lines: promises, the strictest last.
        default: `promised` of the one that holds where nothing else is said.
        hours: of sound without the word.
        words: triggers that could be found.
        data: what it was set on, in words.
        contents: of the same, as a number (`Clips.digest`): what lies at a place may be made anew.
        format: of calibration.json.
    """

    model: str
    hits: int
    refractory: float
    lines: tuple[AlarmThreshold, ...]
    default: float
    hours: float
    words: int
    data: str
    contents: str
    format: int = FORMAT

    def line_for(self, promised: float | None = None) -> AlarmThreshold:
        """The promise of so many false alarms per hour; the default one of None.

        Raises:
            UsageError: there is none.
        """
        return promise_for(self.lines, self.default if promised is None else promised, "false alarms per hour")

    def rule(self, promised: float | None = None) -> EventRule:
        """What makes an event under a promise; see `line_for`."""
        return EventRule(self.line_for(promised).threshold, self.hits, self.refractory)

    def with_line(self, line: AlarmThreshold) -> AlarmCalibration:
        """With one more promise, which becomes the default."""
        others = [known for known in self.lines if not is_for(known, line.promised)]
        lines = sorted((*others, line), key=lambda known: -known.promised)
        return replace(self, lines=tuple(lines), default=line.promised)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def to_json(self) -> str:
        """The text of calibration.json."""
        return _adapter().dump_json(self, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str) -> AlarmCalibration:
        """Reads calibration.json back, believing nothing.

        Raises:
            ModelError: it is none, or its figures contradict each other.
        """
        try:
            found = _adapter().validate_json(text)
            check_shape(found.hits, found.refractory)
            for line in found.lines:
                EventRule(line.threshold, found.hits, found.refractory)
            found.line_for()
            if not all(_shown(line, found.hours) for line in found.lines):
                raise UsageError("A promise is one that the hours show", f"{found.hours:g} h")
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
            raise ModelError("A calibration is whole", wrong, "Calibrate the model again.") from error
        except UsageError as error:
            raise ModelError("A calibration is whole", str(error), "Calibrate the model again.") from error
        if found.format != FORMAT:
            raise ModelError(f"A calibration has format {FORMAT}", found.format, "Install a newer likewise.")
        return found


def promise(heard: Heard, per_hour: float) -> AlarmThreshold:
    """The lowest threshold whose false alarms show, at 95%, that there will be at most `per_hour`.

    Raises:
        SupportError: the hours are too few to show it, even without any alarm; or no threshold does.
        UsageError: not a rate.
    """
    if not 0 < per_hour < 1e6:
        raise UsageError("Promised false alarms per hour are above 0", per_hour, "0.5 is usual.")
    alarms = most_alarms(per_hour, heard.hours)
    if alarms is None:
        best = ceil(10 * at_most(0, heard.hours)) / 10
        needed = at_most(0, 1.0) / per_hour
        raise SupportError(
            f"At most {per_hour:g} false alarms per hour takes {said_time(needed)} without the word",
            said_time(heard.hours),
            f"Bring {said_time(needed - heard.hours)} more, or promise {best:g}.",
        )
    threshold = heard.lowest_threshold(alarms)
    if threshold is None:
        raise SupportError(
            f"At most {per_hour:g} false alarms per hour takes a threshold below 1 with at most {alarms}",
            "a model that is wholly sure of more",
            "Train it longer, with more of what it mistakes for the word.",
        )
    found = heard.at(threshold)
    return AlarmThreshold(per_hour, threshold, found.alarms, found.alarms_per_hour, found.miss_rate)


def most_alarms(per_hour: float, hours: float) -> int | None:
    """How many alarms in so many hours still show, at 95%, at most `per_hour`; None if not even 0 do."""
    # So few that, were there `per_hour`, one would see more in 95 of 100 cases.
    alarms = int(poisson.ppf(0.05, per_hour * hours)) - 1
    return None if alarms < 0 else alarms


def smallest_supported(hours: float) -> float | None:
    """The smallest rate of `LADDER` that so many hours can show; None if they can show none."""
    return min((rate for rate in LADDER if most_alarms(rate, hours) is not None), default=None)


def said_time(hours: float) -> str:
    """A length of time in the unit that a person would use."""
    seconds = 3600 * hours
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} minutes" if seconds < 7200 else f"{hours:.3g} hours"


def _shown(line: AlarmThreshold, hours: float) -> bool:
    most = most_alarms(line.promised, hours) if line.promised > 0 and hours > 0 else None
    return most is not None and 0 <= line.alarms <= most


def _adapter() -> TypeAdapter[AlarmCalibration]:
    return TypeAdapter(AlarmCalibration)
