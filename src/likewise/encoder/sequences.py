"""Networks that hear a spectrogram from left to right and give an output at every step.

Nothing in them looks ahead, so that what is said of a stream while it comes in is what is said of it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.encoder.backbone import Backbone, Shape
from likewise.encoder.sounds import Sounds
from likewise.errors import UsageError

CHANNELS = 64  # of both convolutions
UNITS = 96  # of the recurrent layer
DROPOUT = 0.2  # before and after it
KERNELS, STRIDES = (5, 5), (2, 2)  # in frames, and in steps of the first convolution
LEAK, LEAST = 0.2, -0.4  # what the network of speech makes of negative outputs: a fifth of them, and no less than that
SPEECH_MELS = 32  # bands that the network of speech hears,
SPEECH_CHANNELS = (1, 24, 48, 72, 96, 96)  # its channels, before and after each block,
SPEECH_POOLS = (2, 1, 2, 1, 2)  # and how many steps become one after it; of two bands it is always one


@final
@dataclass(frozen=True)
class StepTimes:
    """When the outputs of a sequence are known.

    Attributes:
        first: samples that the first step hears.
        every: samples that come in between one step and the next.
    """

    first: int
    every: int

    def count(self, samples: int) -> int:
        """Steps that `samples` give."""
        return max(0, 1 + (samples - self.first) // self.every)

    @overload
    def heard(self, step: int) -> int: ...
    @overload
    def heard(self, step: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def heard(self, step: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        """Samples that have come in when the output of `step`, from 0, is known."""
        return self.first + step * self.every

    def after(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """(M,) numbers of samples -> (M,): the first step that has heard so many; below 0 where the steps would have to
        begin sooner.
        """
        return -(-(samples - self.first) // self.every)


def conv_gru(shape: Shape) -> Backbone:
    """Two 1-D convolutions that halve the number of steps, and a GRU (Cho et al. 2014): 80,000 parameters."""
    return _sequence(shape, "gru")


def conv_lstm(shape: Shape) -> Backbone:
    """The same with an LSTM (Hochreiter and Schmidhuber 1997)."""
    return _sequence(shape, "lstm")


def speech_gru(shape: Shape) -> Backbone:
    """A GRU on the 96 numbers that a published network of speech gives every 80 ms (Lin et al. 2020), which are fixed.

    That network has 330,000 parameters and hears 0.78 s. Begin with `likewise.encoder.speech.speech_encoder`, which
    brings its weights.

    Raises:
        UsageError: spectrograms of other than 32 bands, or too short.
    """
    _, bands, frames = shape
    least, _ = _frames_of_a_step("speech-gru")
    if bands != SPEECH_MELS or frames < least:
        raise UsageError(
            f"Backbone speech-gru hears spectrograms of {SPEECH_MELS} bands and at least {least} frames",
            f"{bands} bands, {frames} frames",
            "It is for trigger words: `train --task triggerword`, or lw.speech_encoder() with 1 s or more.",
        )
    blocks: dict[str, nn.Module] = {
        f"speech{i + 1}": SpeechBlock(before, after, SPEECH_POOLS[i], first=i == 0)
        for i, (before, after) in enumerate(pairwise(SPEECH_CHANNELS))
    }
    features = SPEECH_CHANNELS[-1]
    stages = {**blocks, "speech": SpeechTop(features), "recurrent": Recurrent("gru", features, UNITS)}
    return Backbone(stages, UNITS)


SEQUENCES = {"conv-gru": conv_gru, "conv-lstm": conv_lstm, "speech-gru": speech_gru}


def step_times(backbone: str, how: Sounds) -> StepTimes:
    """When the outputs of a network from `SEQUENCES` are known, of sounds that are read so."""
    frames, every = _frames_of_a_step(backbone)
    return StepTimes(how.window + (frames - 1) * how.hop, every * how.hop)


@final
class BandConvolution(nn.Module):
    """A convolution over time whose channels begin as the bands of a spectrogram, normalised and rectified.

    (N, 1, mels, frames) or (N, C, steps) -> (N, after, 1 + (steps - kernel) // stride)
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(before, after, kernel, stride=stride, bias=False)
        self.norm = nn.BatchNorm1d(after)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.relu(self.norm(self.convolution(x.flatten(1, 2) if x.ndim == 4 else x)))


@final
class SpeechBlock(nn.Module):
    """Four convolutions in turn over three bands and over three frames, and a pooling; the weights are not trained.

    (N, before, bands, frames) -> (N, after, bands // 2, (frames - 4) // pool). The first block begins with one over
    both, in place of the first two, so that it takes four frames too.
    """

    def __init__(self, before: int, after: int, pool: int, *, first: bool) -> None:
        super().__init__()
        self.pool = pool  # steps that become one
        kernels = [(3, 3), (3, 1), (1, 3)] if first else [(3, 1), (1, 3), (3, 1), (1, 3)]
        channels = [before, *([after] * len(kernels))]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, kernel, padding=(kernel[0] // 2, 0))  # nothing is put around the frames
            for (a, b), kernel in zip(pairwise(channels), kernels, strict=True)
        )
        self.pooling = nn.MaxPool2d((2, pool))
        self.requires_grad_(False)

    def layers(self) -> list[nn.Conv2d]:
        """Its convolutions, in order."""
        return [layer for layer in self.convolutions if isinstance(layer, nn.Conv2d)]  # all of them

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for convolution in self.layers():
            x = F.leaky_relu(convolution(x), LEAK).clamp_min(LEAST)
        return self.pooling(x)


@final
class SpeechTop(nn.Module):
    """The last convolution of the network of speech, not trained, and its outputs brought to one scale.

    (N, C, 1, steps) -> (N, C, steps - 2)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, 3, bias=False).requires_grad_(False)
        self.norm = nn.BatchNorm1d(channels, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.norm(self.convolution(x.squeeze(2)))


@final
class Recurrent(nn.Module):
    """One recurrent layer over time, from left to right, (N, C, S) -> (N, S, units)."""

    def __init__(self, kind: Literal["gru", "lstm"], before: int, units: int) -> None:
        super().__init__()
        self.kind = kind
        self.dropout = nn.Dropout(DROPOUT)
        self.layer = (nn.GRU if kind == "gru" else nn.LSTM)(before, units, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        with torch.autocast(x.device.type, enabled=False):  # rounding would add up over hundreds of steps
            found, _ = self.layer(self.dropout(x.to(next(self.layer.parameters()).dtype).transpose(1, 2)))
        return self.dropout(found)


def _frames_of_a_step(backbone: str) -> tuple[int, int]:
    """Frames that the first step hears, and frames between steps."""
    layers = list(zip(KERNELS, STRIDES, strict=True))
    if backbone == "speech-gru":
        layers = [layer for pool in SPEECH_POOLS for layer in ((3, 1), (3, 1), (pool, pool))] + [(3, 1)]
    first, every = 1, 1
    for kernel, stride in layers:
        first += (kernel - 1) * every
        every *= stride
    return first, every


def _sequence(shape: Shape, kind: Literal["gru", "lstm"]) -> Backbone:
    _, bands, frames = shape
    least, _ = _frames_of_a_step(f"conv-{kind}")
    if frames < least:
        raise UsageError(f"A sequence needs sounds of at least {least} frames", frames, "Pass more seconds.")
    return Backbone(
        {
            "conv1": BandConvolution(bands, CHANNELS, KERNELS[0], STRIDES[0]),
            "conv2": BandConvolution(CHANNELS, CHANNELS, KERNELS[1], STRIDES[1]),
            "recurrent": Recurrent(kind, CHANNELS, UNITS),
        },
        UNITS,
    )
