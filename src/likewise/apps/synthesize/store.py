"""Decoded sounds in one temporary file, mapped into memory: each is decoded once, however many hours there are."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import final

import numpy as np

from likewise.media.sounds import Samples

_BYTES = 4  # of a sample


@final
class Store:
    """float32 samples by their position.

    The system keeps in memory what it has room for. The file has no name, so nothing of it is left by a kill.

    Args:
        folder: where the file is.
    """

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115  closed with the store
        self._end = 0
        self._lock = Lock()

    def reserve(self, samples: int) -> int:
        """The position of a stretch of `samples` that nobody else gets."""
        with self._lock:
            start, self._end = self._end, self._end + samples
        return start

    def write(self, start: int, samples: Samples) -> None:
        """Puts samples to a position that was reserved; any thread may."""
        with self._lock:
            self._file.seek(start * _BYTES)
            self._file.write(np.ascontiguousarray(samples, dtype=np.float32).data)

    def add(self, samples: Samples) -> int:
        """Reserves and writes; returns the position."""
        start = self.reserve(len(samples))
        self.write(start, samples)
        return start

    def mapped(self) -> Samples:
        """All of it as one array, for reading."""
        self._file.flush()
        self._file.truncate(max(1, self._end) * _BYTES)
        return np.memmap(self._file, dtype=np.float32, mode="r")

    def close(self) -> None:
        """Gives the file back; an array that was mapped stays."""
        self._file.close()
