"""Is somebody who they are said to be? One picture answers, or several that vote.

Each picture that shows one thing, and shows it well, has a distance to the nearest record of the name. The middle
distance is compared with two lines: up to the strict one the answer is yes, up to the loose one a person should look,
beyond it is no. Of an even number the larger of the two middle distances counts, so a yes is that of more than half, or
of both of two. Votes keep a promise to within a factor of two: at least half of the pictures pass in a yes, which by
Markov's inequality happens at most twice as often as that one passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, final

from likewise.calibration import Calibration
from likewise.gallery.decision import Lines, expected_fpir
from likewise.prepare import Box

MOST_OTHERS = 0.1  # share of others that pass with a name above which a yes comes with a warning

Said = Literal["same", "unsure", "different", "unfit"]


@final
@dataclass(frozen=True)
class Frame:
    """What one picture says.

    Attributes:
        file: which.
        said: "same", "unsure" or "different"; "unfit" where it says nothing.
        distance: to the nearest record of the name; None where unfit.
        box: which part of the picture: left, top, width, height in pixels; None for all of it.
        problem: why it is unfit: unreadable, nothing or several things found, too small, too blurred; None else.
    """

    file: str
    said: Said
    distance: float | None
    box: Box | None = None
    problem: str | None = None

    @property
    def why(self) -> str:
        """File and problem, which may name the file itself."""
        problem = str(self.problem)
        return problem if self.file in problem else f"{self.file}: {problem}"

    def __str__(self) -> str:
        return f"{self.file}: {self.said}, " + (self.problem or f"distance {self.distance:.4g}")


@final
@dataclass(frozen=True)
class Line:
    """What a claim is measured against.

    Attributes:
        strict, loose: distances; "same" up to `strict`, "unsure" up to `loose`.
        fmr: share of others that one picture passes for with a name of one record; None where nobody knows.
        fmr_high: upper end of the 95% interval of that share, as calibration measured it; None likewise.
        supported: whether the calibration data were enough for such a promise.
    """

    strict: float
    loose: float
    fmr: float | None
    fmr_high: float | None
    supported: bool

    @classmethod
    def of_model(cls, calibration: Calibration, fmr: float | None) -> Line:
        """The threshold for `fmr`, or the strictest that the model has; loose is the one of the next larger rate.

        Raises:
            UsageError: the model is not calibrated for this rate.
        """
        strictest = min(calibration.thresholds, key=lambda line: line.promised)
        strict = strictest if fmr is None else calibration.threshold_for(fmr)
        looser = [line.threshold for line in calibration.thresholds if line.promised > strict.promised]
        loose = max(strict.threshold, min(looser, default=strict.threshold))
        return cls(strict.threshold, loose, strict.promised, strict.fmr.high, strict.supported)

    @classmethod
    def of_gallery(cls, lines: Lines) -> Line:
        """What a gallery was calibrated for; its promise is about all names, and was refused without enough data."""
        return cls(lines.strict, lines.loose, None, None, True)

    def says(self, distance: float) -> Said:
        """Of one distance."""
        return "same" if distance <= self.strict else "unsure" if distance <= self.loose else "different"


@final
@dataclass(frozen=True)
class Claim:
    """The answer of `Gallery.verify`: whether pictures are of whom they are said to be.

    Attributes:
        same: whether to let them pass: `said` is "same".
        said: the answer; "unsure" is for a person to look at, "unfit" where no picture says anything.
        name: who it is said to be.
        distance: the middle one of the pictures' distances to the name's nearest records; None where unfit.
        threshold, loose: where "same" and where "unsure" ends.
        probability: that pictures at this distance are of the same, if both were equally likely beforehand; None where
            the model does not know.
        fmr: share of others that one picture passes for with this name, as promised: each of its records is one more
            chance; None where the line is the gallery's, whose promise is about all names.
        fmr_high: the same share from the upper end of the 95% interval that calibration measured; None likewise.
        supported: whether the calibration data were enough for such a promise.
        records: how many records the name has.
        frames: what each picture says, in their order.
    """

    same: bool
    said: Said
    name: str
    distance: float | None
    threshold: float
    loose: float
    probability: float | None
    fmr: float | None
    fmr_high: float | None
    supported: bool
    records: int
    frames: tuple[Frame, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "frames": [asdict(frame) for frame in self.frames]}

    def __str__(self) -> str:
        answer = {"same": "yes", "unsure": "unsure, let a person look", "different": "no", "unfit": "unfit"}[self.said]
        if self.distance is None:
            return f"{self.name}: {answer}, " + "; ".join(one.why for one in self.frames)
        text = f"{self.name}: {answer}, distance {self.distance:.4g}, threshold {self.threshold:.4g}"
        text += (
            "" if self.fmr is None else f" (FMR {self.fmr:.3g} with {self.records} record{'s' * (self.records != 1)})"
        )
        text += "" if self.probability is None else f", probability {self.probability:.1%}"
        if not self.supported:
            text += f"; too few data to support this promise (FMR may be as high as {self.fmr_high:.2g})"
        if self.same and self.fmr is not None and self.fmr > MOST_OTHERS:
            text += f"; Warning: {self.fmr:.0%} of others would pass for {self.name} too, each record being a chance:"
            text += " calibrate with more people, or keep fewer records"
        return text if len(self.frames) == 1 else "\n".join([text, *(f"  {frame}" for frame in self.frames)])


def claimed(name: str, frames: Sequence[Frame], line: Line, calibration: Calibration | None, records: int) -> Claim:
    """What all frames say together."""
    distances = sorted(one.distance for one in frames if one.distance is not None)
    middle = distances[len(distances) // 2] if distances else None
    said: Said = "unfit" if middle is None else line.says(middle)
    known = None if calibration is None or middle is None else float(calibration.probability([middle])[0])
    fmr, fmr_high = (None if one is None else expected_fpir(one, records) for one in (line.fmr, line.fmr_high))
    return Claim(
        said == "same", said, name, middle, line.strict, line.loose, known, fmr, fmr_high, line.supported, records,
        tuple(frames),
    )  # fmt: skip
