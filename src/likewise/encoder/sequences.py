"""Networks that hear a spectrogram from left to right and give an output at every step.

Nothing in them looks ahead, so that what is said of a stream while it comes in is what is said of it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.encoder.backbones import Backbone, Shape
from likewise.encoder.sounds import Sounds
from likewise.errors import UsageError

CHANNELS = 64  # of both convolutions
UNITS = 96  # of the recurrent layer
DROPOUT = 0.2  # before and after it
KERNELS, STRIDES = (5, 5), (2, 2)  # in frames, and in steps of the first convolution


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
        """(M,) numbers of samples -> (M,): the first step that has heard so many."""
        return np.maximum(0, -(-(samples - self.first) // self.every))


def conv_gru(shape: Shape) -> Backbone:
    """Two 1-D convolutions that halve the number of steps, and a GRU (Cho et al. 2014): 80,000 parameters."""
    return _sequence(shape, "gru")


def conv_lstm(shape: Shape) -> Backbone:
    """The same with an LSTM (Hochreiter and Schmidhuber 1997)."""
    return _sequence(shape, "lstm")


SEQUENCES = {"conv-gru": conv_gru, "conv-lstm": conv_lstm}


def step_times(how: Sounds) -> StepTimes:
    """When the outputs of these networks are known, of sounds that are read so."""
    frames, every = _frames_of_a_step()
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
            found, _ = self.layer(self.dropout(x.float().transpose(1, 2)))
        return self.dropout(found)


def _frames_of_a_step() -> tuple[int, int]:
    """Frames that the first step hears, and frames between steps."""
    first, every = 1, 1
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        first += (kernel - 1) * every
        every *= stride
    return first, every


def _sequence(shape: Shape, kind: Literal["gru", "lstm"]) -> Backbone:
    _, bands, frames = shape
    least, _ = _frames_of_a_step()
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
