"""Many short sounds in one: what the page of a map plays, of bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import soxr
from numpy.typing import NDArray

from likewise.errors import UsageError

RATE = 8_000  # hertz at most; enough to hear a word
MOST_BYTES = 9_000_000  # one for each sample: 12 MB as base64
MU = 255  # of the logarithmic 8-bit code of telephones (ITU-T G.711, mu-law)
BLOCK = 512  # clips resampled at a time


@final
@dataclass(frozen=True)
class Clips:
    """Clips of one length, one after the other.

    Attributes:
        code: `samples` bytes for each clip; byte b stands for sign(y) (256^|y| - 1) / 255 with y = (b - 127.5) / 127.5.
        rate: hertz.
        samples: of a clip.
        every: clip c is of item c * every; items between have none.
    """

    code: bytes
    rate: int
    samples: int
    every: int


def clips_of(sounds: NDArray[np.int16], rate: int) -> Clips:
    """(N, T) sounds at a rate, as at most 9 MB at no more than 8 kHz.

    If they do not fit, every second, third, ... item has one. Each clip is as loud as it can be.

    Raises:
        UsageError: another shape or type.
    """
    if sounds.ndim != 2 or sounds.dtype != np.int16 or 0 in sounds.shape:
        raise UsageError("Clips are int16 of shape (N, samples)", f"{sounds.dtype} {sounds.shape}")
    slow = min(rate, RATE)
    length = max(1, sounds.shape[1] * slow // rate)
    every = -(-len(sounds) // max(1, MOST_BYTES // length))
    chosen = sounds[::every]
    blocks = [_coded(chosen[i : i + BLOCK], rate, slow, length) for i in range(0, len(chosen), BLOCK)]
    return Clips(b"".join(blocks), slow, length, every)


def _coded(sounds: NDArray[np.int16], rate: int, slow: int, length: int) -> bytes:
    samples: Any = sounds.T.astype(np.float32) / 32768  # soxr takes (T, channels)
    if slow != rate:
        samples = soxr.resample(samples, rate, slow)
    samples = np.pad(samples[:length], ((0, max(0, length - len(samples))), (0, 0)))
    samples = samples / np.maximum(np.abs(samples).max(axis=0), 1e-3)
    code = np.sign(samples) * np.log1p(MU * np.abs(samples)) / np.log1p(MU)
    return np.rint(code * 127.5 + 127.5).astype(np.uint8).T.tobytes()
