"""What a channel looks for: pixels optimised until it answers as strongly as it can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from likewise.apps.drawing import Tile, tiled
from likewise.apps.inspect.subject import Shown, channel_names, on_grid, outputs_at, tap_called
from likewise.encoder import EMBEDDING, Encoder, Progress, evaluating
from likewise.errors import UsageError
from likewise.media.pictures import Pixels
from likewise.objective.style import total_variation
from likewise.training.movers import Adam
from likewise.training.pixels import Waves, optimise_pixels, through_taps

STEPS, RATE = 128, 0.05
JITTER = 16  # a picture is shifted by at most its longer side by this
SMOOTH, CALM = 3.0, 1.0  # what roughness (total variation), and straying from the mean colour, count beside the answer
LEAST = 1e-3  # answers below count as if they were this
EACH, COLUMNS, SIDE = 9, 3, 160  # channels of a level, in a row, and pixels


@final
@dataclass(frozen=True, eq=False)
class Level:
    """Channels of one tap.

    Attributes:
        tap: its name.
        channels: numbers of them.
        names: what they are called.
    """

    tap: str
    channels: tuple[int, ...]
    names: tuple[str, ...]


@final
@dataclass(frozen=True, eq=False)
class Sought:
    """What channels of one tap look for.

    Attributes:
        level: which channels.
        pixels: one picture (h, w, 1 or 3) uint8 for each.
        answers: (n,) what the channel answers to it, in the mean over places.
        starts: (n,) and what it answered to the random start.
    """

    level: Level
    pixels: list[Pixels]
    answers: NDArray[np.float32]
    starts: NDArray[np.float32]

    def said(self) -> str:
        """What there is to see, in a sentence."""
        silent = int((self.answers <= self.starts).sum())
        gone = f" {silent} could not be excited." if silent else ""
        return (
            f"{self.level.tap}: each picture began as noise, and its pixels were moved until the channel answered as"
            f" strongly as it would, here in the mean {self.answers.mean():.3g} instead of {self.starts.mean():.3g}. It"
            f" shows what the channel looks for, though no item may ever look so.{gone}"
        )

    def draw(self) -> Image.Image:
        """A picture for each channel."""
        tiles = [Tile(one, name) for one, name in zip(self.pixels, self.level.names, strict=True)]
        return tiled(tiles, side=SIDE, columns=COLUMNS, title=f"What channels of {self.level.tap} look for")


def levels_of(
    encoder: Encoder, item: Shown | None = None, *, tap: str | None = None, channel: int | None = None
) -> list[Level]:
    """Which channels to look at: of a low, a middle and a high level, nine each, unless said.

    Args:
        encoder: whose.
        item: of a tap are taken the channels that it excites most; the first ones without it.
        tap: that alone.
        channel: of `tap`, that alone.

    Raises:
        UsageError: no such tap or channel; or a channel without a tap.
    """
    if tap is None and channel is not None:
        raise UsageError("A channel is one of a tap", f"channel {channel} and no tap", "Name the tap too.")
    taps = _low_middle_high(encoder) if tap is None else [tap_called(encoder, tap)]
    features = torch.zeros(1, *encoder.ready().shape) if item is None else item.features
    found: list[Level] = []
    for name, maps in outputs_at(encoder, features, taps).items():
        count = maps.shape[1]
        if channel is not None and not 0 <= channel < count:
            raise UsageError(f"Channels of {name} are 0 to {count - 1}", channel)
        names = channel_names(encoder, name, count)
        ranked = list(range(count)) if item is None else maps[0].amax(dim=(1, 2)).argsort(descending=True).tolist()
        chosen = sorted(ranked[:EACH]) if channel is None else [channel]
        found.append(Level(name, tuple(chosen), tuple(names[one] for one in chosen)))
    return found


def sought(
    encoder: Encoder, level: Level, *, steps: int = STEPS, seed: int = 0, progress: Progress | None = None
) -> Sought:
    """What the channels of `level` look for; of sounds a spectrogram.

    The pixels are those at which the mean of a channel over all places is largest (Olah, Mordvintsev and Schubert 2017,
    "Feature Visualization"), made of waves and shifted at every step, without which it would be noise that nothing but
    this network answers to.

    Args:
        encoder: whose.
        level: of `levels_of`.
        steps: of the optimisation.
        seed: of noise and shifts.
        progress: called with steps done, steps in all and a word.
    """
    shape, how = encoder.ready().shape, encoder.ready()
    black, white = (how.from_shown(torch.full((1, *shape), level)) for level in (0.0, 1.0))
    mean = (black / (black - white)).mean(dim=(0, 2, 3))  # what is shown so is 0 to the network
    pictures = Waves((len(level.channels), *shape), mean, seed)
    chosen = torch.tensor(level.channels)
    largest = torch.full((len(chosen),), LEAST)  # that was answered so far: by it answers are of one size

    def answers(outputs: dict[str, Tensor]) -> Tensor:
        maps = on_grid(encoder, level.tap, outputs[level.tap])
        return maps[torch.arange(len(chosen)), chosen].mean(dim=(1, 2))  # (n,)

    def objective(shown: Tensor, outputs: dict[str, Tensor]) -> Tensor:
        found = answers(outputs)
        torch.maximum(largest, found.detach().abs(), out=largest)
        strayed = (shown - mean.view(1, -1, 1, 1)).square().mean(dim=(1, 2, 3))
        return (SMOOTH * total_variation(shown) + CALM * strayed - found / largest).sum()

    def of(shown: Tensor) -> NDArray[np.float32]:
        with evaluating(encoder), torch.inference_mode():
            return answers(encoder.from_features(how.from_shown(shown), [level.tap])).numpy()

    with torch.no_grad():
        start = found = pictures().clone()
    jitter = max(1, max(shape[1:]) // JITTER)
    through = through_taps(encoder, objective, [level.tap], jitter=jitter, seed=seed)
    for step in optimise_pixels(pictures, through, Adam(RATE), steps=steps):
        found = step.pictures
        if progress is not None:
            progress(step.number, steps, "optimising pixels")
    pixels = (255 * found).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return Sought(level, list(pixels), of(found), of(start))


def _low_middle_high(encoder: Encoder) -> list[str]:
    """The first, the middle and the last of the taps that weights lead to; the last tap only where it has a meaning."""
    taps = [name for name, stage in encoder.stages.items() if any(True for _ in stage.parameters())]
    if encoder.head is None and len(taps) > 1:
        taps.remove(EMBEDDING)
    return list(dict.fromkeys((taps[0], taps[(len(taps) - 1) // 2], taps[-1])))
