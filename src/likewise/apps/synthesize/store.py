"""Decoded piles in one temporary file, mapped into memory: each file is decoded once, however many there are."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Generic, TypeVar, final

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)


@final
class Store(Generic[Number]):
    """Numbers of one type by their position: samples of sounds, or the bytes of pictures.

    The system keeps in memory what it has room for. The file has no name, so nothing of it is left by a kill.

    Args:
        folder: where the file is; None for that of the system's temporary files.
        dtype: of the numbers.
    """

    def __init__(self, folder: Path | None, dtype: type[Number]) -> None:
        self._dtype = np.dtype(dtype)
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115  closed with the store
        self._end = 0
        self._lock = Lock()

    def reserve(self, length: int) -> int:
        """The position of a stretch of `length` numbers that nobody else gets."""
        with self._lock:
            start, self._end = self._end, self._end + length
        return start

    def write(self, start: int, numbers: NDArray[Number]) -> None:
        """Puts numbers (T,) to a position that was reserved; any thread may."""
        with self._lock:
            self._file.seek(start * self._dtype.itemsize)
            self._file.write(np.ascontiguousarray(numbers, dtype=self._dtype).data)

    def add(self, numbers: NDArray[Number]) -> int:
        """Reserves and writes (T,); returns the position."""
        start = self.reserve(len(numbers))
        self.write(start, numbers)
        return start

    def mapped(self) -> NDArray[Number]:
        """All of it as one array, for reading."""
        self._file.flush()
        self._file.truncate(max(1, self._end) * self._dtype.itemsize)
        return np.memmap(self._file, dtype=self._dtype, mode="r")

    def close(self) -> None:
        """Gives the file back; an array that was mapped stays."""
        self._file.close()
