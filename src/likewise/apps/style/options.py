"""What can be chosen in style transfer, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final, get_args

from PIL import Image

from likewise.apps.drawing import write_picture
from likewise.errors import UsageError
from likewise.media.pictures import Pixels
from likewise.training.movers import MoverName
from likewise.training.options import PRECISIONS

Start = Literal["content", "noise", "style"]
Stopped = Literal["interrupted", "time limit", "not finite"]
USUAL_SIZE, LARGEST_SIZE, LEAST_SIDE = 512, 8192, 16  # pixels
SMALLEST_TILE = 128  # pixels
MOST_STEPS = 100_000


@final
@dataclass(frozen=True)
class StyleOptions:
    """How a picture is given the style of others.

    Attributes:
        size: pixels of the longer side; None for those of the content, 512 at most.
        steps: passes forward and back, over all sizes together.
        content_weight, style_weight, smooth_weight: what content, style and roughness (total variation) count beside
            each other: ten times as much of all is the same.
        style_weights: what each style counts beside the others; None for all alike.
        style_scale: size of the style beside that of the picture; larger makes larger brushstrokes. No style is seen
            larger than it is and than twice the picture; `Styled.notes` tells where that is less than asked.
        content_taps, style_taps: of the judge, by which content and style are told; None for what suits it.
        start: what pixels begin as.
        keep_colour: leave the content its colours, and change brightness alone.
        optimiser: "lbfgs" needs no rate and comes further in as many steps; "adam" needs less memory.
        rate: of Adam, in shares of the way from black to white.
        average: how much of the mean of pictures is kept at each step; None for 0.95 with Adam and 0 with L-BFGS.
        smallest: pixels of the longer side to begin with; from there on sizes grow by the square root of 2.
        tile: pixels; what is wider or higher is computed in tiles of about this side, to bound memory.
        time_limit: seconds in which all is done, as far as can be told ahead, and the best so far is taken; None for
            none.
        precision: "bfloat16" computes the judge in it; "auto" does so where the processor gains from it.
        device: "auto", "cpu", "cuda".
        seed: of the noise.

    Raises:
        UsageError: a value that cannot be.
    """

    size: int | None = None
    steps: int = 300
    content_weight: float = 0.1
    style_weight: float = 1.0
    smooth_weight: float = 0.0
    style_weights: tuple[float, ...] | None = None
    style_scale: float = 1.0
    content_taps: tuple[str, ...] | None = None
    style_taps: tuple[str, ...] | None = None
    start: Start = "content"
    keep_colour: bool = False
    optimiser: MoverName = "lbfgs"
    rate: float = 0.02
    average: float | None = None
    smallest: int = 128
    tile: int = 1024
    time_limit: float | None = None
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _whole("A picture is made at 16 to 8192 pixels on its longer side", self.size, LEAST_SIDE, LARGEST_SIZE)
        _whole("Style transfer takes 1 to 100,000 steps", self.steps, 1, MOST_STEPS)
        _whole("Sizes begin with 16 pixels or more", self.smallest, LEAST_SIDE, LARGEST_SIZE)
        _whole(f"Tiles have at least {SMALLEST_TILE} pixels a side", self.tile, SMALLEST_TILE, 2**20)
        for name, weights in (
            ("The weight of the content", (self.content_weight,)), ("The weight of the style", (self.style_weight,)),
            ("The weight of smoothness", (self.smooth_weight,)), ("What each style counts", self.style_weights or ()),
        ):  # fmt: skip
            if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
                raise UsageError(f"{name} is a finite number, 0 or more", ", ".join(f"{w:g}" for w in weights))
        if self.content_weight + self.style_weight == 0:
            raise UsageError("Content or style counts something", "weights of 0 for both", "Pass one above 0.")
        if self.style_weights is not None and not any(self.style_weights):
            raise UsageError("One of the styles counts something", "weights of 0 for all", "Pass one above 0.")
        if not 0 < self.style_scale <= 16:
            raise UsageError("Style is scaled by a factor above 0 and up to 16", self.style_scale)
        if not 0 < self.rate <= 1:
            raise UsageError("A rate is above 0 and up to 1", self.rate)
        if not 0 <= (self.average or 0.0) < 1:
            raise UsageError("An average is from 0 to below 1", self.average)
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise UsageError("A time limit is above 0 seconds", self.time_limit)
        for name, value, known in (
            ("Pixels begin as", self.start, get_args(Start)),
            ("An optimiser is", self.optimiser, get_args(MoverName)),
            ("A precision is", self.precision, PRECISIONS),
        ):
            if value not in known:
                raise UsageError(f"{name} one of {', '.join(known)}", repr(value))
        for taps in (self.content_taps, self.style_taps):
            if taps == ():
                raise UsageError("Content and style are told by at least one tap each", "none")

    def shares(self, styles: int) -> tuple[float, ...]:
        """What each of so many styles counts; together 1.

        Raises:
            UsageError: another number of weights.
        """
        weights = self.style_weights or (1.0,) * styles
        if len(weights) != styles:
            raise UsageError("There is one weight for each style", f"{len(weights)} for {styles}")
        beside = _beside_the_largest(weights)
        return tuple(weight / sum(beside) for weight in beside)

    @property
    def weights(self) -> tuple[float, ...]:
        """Of content, style and roughness, the largest 1: sums of any weights stay within floating point."""
        return _beside_the_largest((self.content_weight, self.style_weight, self.smooth_weight))


@final
@dataclass(frozen=True)
class Moment:
    """One step of the way.

    Attributes:
        step: its number, from 1.
        height, width: of the picture, in pixels.
        content_loss, style_loss: as the judge computes them there, before weights.
    """

    step: int
    height: int
    width: int
    content_loss: float
    style_loss: float


@final
@dataclass(frozen=True, eq=False)
class Styled:
    """What was made.

    Attributes:
        pixels: (H, W, 3) uint8.
        steps: how many were taken.
        content_loss: of these pixels against the content, 0 where none of it is missed, before weights; and
        style_loss: against the styles; both by the judge in float32, and None where Ctrl-C came while they were
            measured, or measuring would have taken more than a quarter of the time limit.
        seconds: it took.
        stopped: why before the end; None where it was not.
        moments: the way there, step after step.
        judge: what told style and content.
        seed: of the noise.
        notes: what was done otherwise than one may expect, in words.
    """

    pixels: Pixels
    steps: int
    content_loss: float | None
    style_loss: float | None
    seconds: float
    stopped: Stopped | None
    moments: tuple[Moment, ...]
    judge: str
    seed: int
    notes: tuple[str, ...] = ()

    def save(self, file: str | Path) -> None:
        """Writes a PNG; the file that was there stays until the new one is whole.

        Raises:
            UsageError, DataError: it cannot be written.
        """
        write_picture(Image.fromarray(self.pixels), Path(file))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; with `file` the keys of `likewise style --json`."""
        return {
            "width": self.pixels.shape[1],
            "height": self.pixels.shape[0],
            "steps": self.steps,
            "content_loss": self.content_loss,
            "style_loss": self.style_loss,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "judge": self.judge,
            "seed": self.seed,
            "notes": list(self.notes),
        }


def _beside_the_largest(weights: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(weight / max(weights) for weight in weights)


def _whole(rule: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise UsageError(rule, value)
