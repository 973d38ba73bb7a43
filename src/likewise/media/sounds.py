from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

SOUND_SUFFIXES = frozenset({".wav", ".flac"})


@dataclass(frozen=True)
class SoundInfo:
    seconds: float
    rate: int
    channels: int


def _f(s):
    return io.BytesIO(s) if isinstance(s, bytes) else s


def sound_info(source):
    i = soundfile.info(_f(source))
    return SoundInfo(i.frames / i.samplerate, i.samplerate, i.channels)


def read_sound(source, *, rate, max_seconds=600, name=None):
    if isinstance(source, np.ndarray):
        return source.astype(np.float32) / (32768 if source.dtype == np.int16 else 1)
    x, r = soundfile.read(_f(source), dtype="float32", always_2d=True)
    x = x.mean(1)
    return soxr.resample(x, r, rate) if r != rate else x
