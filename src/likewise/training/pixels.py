"""What is optimised: the pixels. Stages stay as they are; a picture is moved to where an objective on taps is least.

Inspecting a channel and style transfer differ in the objective and in where the pixels begin, not in this loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder import Encoder, evaluating
from likewise.errors import DataError

Objective = Callable[[Tensor, dict[str, Tensor]], Tensor]
Progress = Callable[[int, int, str], None]

# How the colours of photographs go together (Olah et al. 2017, from ImageNet): a unit of each of three uncorrelated
# directions, the first of which is nearly brightness, in red, green and blue; divided by the longest column.
_COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS = _COLOURS / _COLOURS.norm(dim=0).max()
CONTRAST = 2.0  # of a random start: standard deviation of the pixels, before they are brought into (0, 1)
DARKEST = 0.02  # of a colour that pictures begin from


@final
class Waves(nn.Module):
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
        self.waves = nn.Parameter(noise)
        with torch.no_grad():
            self.get_buffer("scale").mul_(CONTRAST / (self._sum() - self.get_buffer("around")).std())

    def forward(self) -> Tensor:
        """See the class."""
        return self._sum().sigmoid()

    def _sum(self) -> Tensor:
        waves = torch.view_as_complex(self.waves) * self.get_buffer("scale")
        found = torch.fft.irfft2(waves, s=self._size, norm="ortho")
        if found.shape[1] == len(COLOURS):
            found = torch.einsum("nkhw,ck->nchw", found, COLOURS.to(found))
        return found + self.get_buffer("around")


def total_variation(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N,): mean square of the differences between pixels and those below and beside them."""
    down, aside = pictures.diff(dim=2), pictures.diff(dim=3)
    return down.square().mean(dim=(1, 2, 3)) + aside.square().mean(dim=(1, 2, 3))


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def optimise_pixels(
    encoder: Encoder,
    pictures: nn.Module,
    objective: Objective,
    taps: list[str],
    *,
    steps: int,
    lr: float,
    jitter: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Moves the parameters of `pictures` until `objective` is small; the encoder stays as it is.

    Args:
        encoder: whose taps are looked at.
        pictures: called without anything, gives (N, C, H, W) in [0, 1], as the preprocessing shows items.
        objective: pictures, and the outputs of `taps` by name -> a scalar.
        taps: names of them.
        steps: of Adam (Kingma and Ba 2015).
        lr: its learning rate.
        jitter: pixels by which pictures are shifted at random before each step, up, down or aside, so that nothing is
            made of single pixels.
        seed: of the shifts.
        progress: called with steps done, steps in all and a word.

    Returns:
        (N, C, H, W) in [0, 1].

    Raises:
        DataError: the objective is no longer finite.
    """
    how, optimizer = encoder.ready(), torch.optim.Adam(pictures.parameters(), lr)
    rng = seeded(seed)
    with evaluating(encoder):
        for step in range(steps):
            shown = pictures()
            down, aside = (torch.randint(-jitter, jitter + 1, (2,), generator=rng)).tolist()
            loss = objective(shown, encoder.from_features(how.from_shown(_shifted(shown, down, aside)), taps))
            if not loss.isfinite():
                raise DataError("Optimising pixels stays within finite numbers", f"{loss.item()} in step {step + 1}")
            # Gradients of the pixels alone, not of the weights, which are to be left as they are found.
            for parameter, grad in zip(
                pictures.parameters(), torch.autograd.grad(loss, [*pictures.parameters()]), strict=True
            ):
                parameter.grad = grad
            optimizer.step()
            if progress:
                progress(step + 1, steps, "optimising pixels")
    with torch.no_grad():
        return pictures().clone()


def _shifted(pictures: Tensor, down: int, aside: int) -> Tensor:
    """(N, C, H, W), with what leaves on one side replaced by what is at the edge of the other."""
    height, width = pictures.shape[2:]
    padded = F.pad(pictures, (max(aside, 0), max(-aside, 0), max(down, 0), max(-down, 0)), mode="replicate")
    return padded[:, :, max(-down, 0) :][:, :, :height][..., max(-aside, 0) :][..., :width]
