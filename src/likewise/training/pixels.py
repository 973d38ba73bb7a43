"""What is optimised: the pixels. Stages stay as they are; a picture is moved to where an objective is least.

Inspecting a channel and style transfer differ in the objective and in where the pixels begin, not in this loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder import Encoder, evaluating
from likewise.errors import DataError
from likewise.training.movers import Mover


@final
class NotFiniteError(DataError):
    """Pixels cannot be moved any further, as numbers are no longer finite."""


Objective = Callable[[Tensor], Tensor]
ObjectiveOnTaps = Callable[[Tensor, dict[str, Tensor]], Tensor]

# How the colours of photographs go together (Olah et al. 2017, from ImageNet): a unit of each of three uncorrelated
# directions, the first of which is nearly brightness, in red, green and blue; divided by the longest column.
_COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = _COLOURS / _COLOURS.norm(dim=0).max()
CONTRAST = 2.0  # of a random start: standard deviation of the pixels, before they are brought into (0, 1)
DARKEST = 0.02  # of a colour that pictures begin from


class Movable(nn.Module, ABC):
    """Pictures that follow from one parameter."""

    values: nn.Parameter

    @abstractmethod
    def forward(self) -> Tensor:
        """The pictures, (N, C, H, W) in [0, 1]."""

    @abstractmethod
    def restrain(self) -> None:
        """After a move, brings the parameter back to where pictures can be shown."""


@final
class Waves(Movable):
    """Pictures as sums of waves, all of which are moved alike: a decorrelated space (Olah, Mordvintsev, Schubert 2017).

    A step in it changes large forms as much as pixels, and brightness as much as colour, so that there is less noise in
    what comes out. Calling it gives pictures (N, C, H, W) in (0, 1), in which gradients pass back to the waves.

    Args:
        shape: (N, C, H, W), C of 1 or 3.
        around: (C,) in [0, 1], the colour that pictures begin from, with noise on it.
        seed: of the noise.
    """

    def __init__(self, shape: tuple[int, int, int, int], around: Tensor, seed: int = 0) -> None:
        super().__init__()
        count, channels, height, width = shape
        self._size = height, width
        rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :]
        # The constant counts as the slowest wave does, or it would be all that is moved.
        self.register_buffer("scale", 1 / (rows.square() + columns.square()).sqrt().clamp_min(1 / max(height, width)))
        self.register_buffer("around", torch.logit(around.clamp(DARKEST, 1 - DARKEST)).view(1, -1, 1, 1))
        noise = torch.randn((count, channels, height, len(columns[0]), 2), generator=seeded(seed))
        self.values = nn.Parameter(noise)
        with torch.no_grad():
            self.get_buffer("scale").mul_(CONTRAST / (self._sum() - self.get_buffer("around")).std())

    def forward(self) -> Tensor:
        """See the class."""
        return self._sum().sigmoid()

    def restrain(self) -> None:
        """Any waves can be shown."""

    def _sum(self) -> Tensor:
        waves = torch.view_as_complex(self.values) * self.get_buffer("scale")
        found = torch.fft.irfft2(waves, s=self._size, norm="ortho")
        if found.shape[1] == len(COLOURS):
            found = torch.einsum("nkhw,ck->nchw", found, COLOURS.to(found))
        return found + self.get_buffer("around")


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


@final
class Pixels(Movable):
    """Pictures that are moved pixel by pixel: where style transfer begins with a photograph.

    Args:
        start: (N, C, H, W); what is outside [least, most] is brought to its ends.
        least, most: () or (N, C, H, W), in [0, 1]: between what pixels stay.
    """

    def __init__(self, start: Tensor, least: Tensor | float = 0.0, most: Tensor | float = 1.0) -> None:
        super().__init__()
        for name, value in (("least", least), ("most", most)):
            self.register_buffer(name, torch.as_tensor(value, dtype=start.dtype, device=start.device))
        self.values = nn.Parameter(start.detach().clone().contiguous())
        with torch.no_grad():
            self.restrain()

    def forward(self) -> Tensor:
        """See `Movable`."""
        return self.values

    def restrain(self) -> None:
        """See `Movable`: the nearest that can be shown."""
        self.values.clamp_(self.get_buffer("least"), self.get_buffer("most"))


@final
@dataclass(frozen=True, eq=False)
class PixelStep:
    """One pass forward and back.

    Attributes:
        number: of the step, from 1.
        loss: what the objective gave for pictures,
        pictures: (N, C, H, W) these; with averaging the mean of them and those before.
    """

    number: int
    loss: float
    pictures: Tensor


def optimise_pixels(
    pictures: Movable, objective: Objective, mover: Mover, *, steps: int, average: float = 0.0
) -> Generator[PixelStep]:
    """Moves the parameter of `pictures` to where `objective` is small; gives what is reached, step after step.

    Whoever asks for no further step has stopped it, and what was given before stays good.

    Args:
        pictures: what is moved.
        objective: pictures -> a scalar through which gradients pass.
        mover: how to go; its memory is used.
        steps: at most, of one pass forward and back each.
        average: how much of the mean of pictures is kept at each step, in [0, 1); 0 for none. What swings from step to
            step, noise above all, is not in the mean (Polyak and Juditsky 1992).

    Raises:
        NotFiniteError: the objective, or its gradient, is no longer finite.
    """
    values = pictures.values
    mean: Tensor | None = None
    for number in range(1, steps + 1):
        shown: Tensor = pictures()
        loss = objective(shown)
        # Gradients of the pixels alone, not of weights, which are to be left as they are found.
        (gradient,) = torch.autograd.grad(loss, values)
        if not (loss.isfinite() and gradient.isfinite().all()):
            raise NotFiniteError(
                "Optimising pixels stays within finite numbers", f"{float(loss.detach())} in step {number}"
            )
        with torch.no_grad():
            # The mean of the first n counts each alike until it has seen enough of them.
            share = max(1 - average, 1 / number) if average else 1.0
            mean = shown.clone() if mean is None else mean.lerp(shown, share)
        yield PixelStep(
            number, float(loss.detach()), mean
        )  # outside, or whoever is given it would be without gradients too
        with torch.no_grad():
            values += mover.step(values, gradient)
            pictures.restrain()


def through_taps(
    encoder: Encoder, objective: ObjectiveOnTaps, taps: list[str], *, jitter: int = 0, seed: int = 0
) -> Objective:
    """An objective on what an encoder, which stays as it is, makes of pictures.

    Args:
        encoder: whose taps are looked at.
        objective: pictures in [0, 1] as the preprocessing shows items, and the outputs of `taps` by name -> a scalar.
        taps: names of them.
        jitter: pixels by which pictures are shifted at random each time, up, down or aside, so that nothing is made of
            single pixels.
        seed: of the shifts.
    """
    how, rng = encoder.ready(), seeded(seed)

    def shifted_through(shown: Tensor) -> Tensor:
        down, aside = (torch.randint(-jitter, jitter + 1, (2,), generator=rng)).tolist()
        with evaluating(encoder):
            return objective(shown, encoder.from_features(how.from_shown(_shifted(shown, down, aside)), taps))

    return shifted_through


def _shifted(pictures: Tensor, down: int, aside: int) -> Tensor:
    """(N, C, H, W), with what leaves on one side replaced by what is at the edge of the other."""
    height, width = pictures.shape[2:]
    padded = F.pad(pictures, (max(aside, 0), max(-aside, 0), max(down, 0), max(-down, 0)), mode="replicate")
    return padded[:, :, max(-down, 0) :][:, :, :height][..., max(-aside, 0) :][..., :width]
