"""Keeping what was heard before an event, as a clip to look through and to train with."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from likewise.apps.triggerword.listener import Event
from likewise.errors import DataError, UsageError
from likewise.media.sounds import write_sound

BEFORE = 3.0  # seconds


@final
class Recorder:
    """Remembers the last seconds of a stream, in memory that does not grow, and writes them when asked to.

    Args:
        folder: where to; made when the first clip is written.
        name: what the files are called, before the time of their event.
        rate: hertz.
        before: seconds of a clip, which ends with its event.

    Raises:
        UsageError: an impossible number of seconds, or a folder that is a file.
    """

    def __init__(self, folder: Path, name: str, rate: int, before: float = BEFORE) -> None:
        if not 0.1 <= before <= 60:
            raise UsageError("A clip of an alarm has 0.1 to 60 s", f"{before:g} s", "3 are usual.")
        if folder.exists() and not folder.is_dir():
            raise UsageError("Alarms are saved in a folder", str(folder), "Choose another name.")
        self._folder, self._name, self._rate, self._length = folder, name, rate, round(before * rate)
        self._held = np.empty(0, np.float32)
        self._end = 0  # of what is held, in samples of the stream

    def feed(self, samples: NDArray[np.floating[Any]]) -> None:
        """(T,), the next piece of the stream. What came before it is kept for events that it completes."""
        self._held = np.concatenate([self._held[-self._length :], np.asarray(samples, np.float32)])
        self._end += len(samples)

    def save(self, event: Event) -> Path:
        """Writes what came before an event that the last piece has completed; nothing is ever overwritten.

        Returns:
            NAME-SECONDS.wav, or the next of its kind that is free.

        Raises:
            DataError: it cannot be written.
        """
        end = len(self._held) - (self._end - round(event.time_s * self._rate))
        file = self._free(f"{self._name}-{event.time_s:08.2f}")
        try:
            write_sound(file, self._held[max(0, end - self._length) : end], self._rate)
        except BaseException:
            file.unlink()  # the place that was held for it
            raise
        return file

    def _free(self, stem: str) -> Path:
        """A new file: two programs may save into one folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                file = self._folder / (f"{stem}.wav" if number == 1 else f"{stem}-{number}.wav")
                with suppress(FileExistsError):
                    file.touch(exist_ok=False)
                    return file
        except OSError as error:
            raise DataError(
                "An alarm can be saved", f"{self._folder} ({error.strerror})", "Choose another folder."
            ) from error
        raise AssertionError("numbers do not end")
