"""Sounds of any length as items of one length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def at_length(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(T,) -> (count,): the stretch with the most energy of a longer sound, silence on both sides of a shorter one."""
    if len(samples) <= count:
        before = (count - len(samples)) // 2
        return np.pad(samples, (before, count - len(samples) - before))
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = int(np.argmax(energy[count:] - energy[:-count]))
    return samples[start : start + count]


def from_start(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(T,) -> (count,): the beginning of a longer sound, silence after a shorter one."""
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def whole_numbers(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """(T,) as 16-bit numbers; what is louder than they can say is clipped."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
