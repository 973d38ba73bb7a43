"""What a program listens to: a file, standard input, a microphone; all in small blocks, as they come in."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from likewise.apps.triggerword.listener import CHUNK
from likewise.errors import DataError, UsageError
from likewise.media.sounds import Samples, stream_pieces, stream_sound

AT_ONCE = 2.56  # seconds, where something gains by hearing more of a file at once
GONE = 3.0  # seconds without a sample after which a microphone is taken for unplugged
BEHIND = 30.0  # seconds of sound that wait to be heard, at most


def from_file(
    source: Path | BinaryIO, rate: int, *, seconds: float = CHUNK, name: str | None = None
) -> Iterator[Samples]:
    """A sound of any length, or a WAV on a pipe, in blocks of so many seconds; see `stream_sound`."""
    return stream_sound(source, rate=rate, block=round(seconds * rate), name=name)


def from_raw(stream: BinaryIO, given: int, rate: int, *, seconds: float = CHUNK) -> Iterator[Samples]:
    """Samples without a header: 16 bits, the lower byte first, one channel, at `given` hertz.

    Raises:
        UsageError: an impossible rate.
    """
    pieces = _decoded(stream, 2 * max(1, round(seconds * given)))
    return stream_pieces(pieces, given=given, rate=rate, block=round(seconds * rate))


def from_microphone(device: str | None, rate: int, *, seconds: float = CHUNK) -> Iterator[Samples]:
    """A microphone, until it is gone.

    Args:
        device: number, name or part of one; None for the usual microphone of the machine.
        rate: of the blocks; it is recorded at its own.
        seconds: of a block.

    Raises:
        UsageError: sounddevice or its library is not installed.
        DataError: there is no such microphone, it cannot be opened, or it is gone.
    """
    library = _sounddevice()
    which = int(device) if device is not None and device.isdecimal() else device
    try:
        given = round(library.query_devices(which, "input")["default_samplerate"])
    except (library.PortAudioError, ValueError) as error:
        raise _no_microphone(library, device, error) from error
    return stream_pieces(_recorded(library, device, which, given), given=given, rate=rate, block=round(seconds * rate))


def _decoded(stream: BinaryIO, at_once: int) -> Iterator[Samples]:
    while content := stream.read(at_once):
        samples: Samples = np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32)
        yield samples / np.float32(32768)


def _recorded(library: Any, device: str | None, which: str | int | None, given: int) -> Iterator[Samples]:
    pieces: queue.SimpleQueue[Samples] = queue.SimpleQueue()
    taken = heard = 0  # samples, each counted by one thread

    def take(samples: NDArray[np.float32], *_: object) -> None:
        """Called by the library, from a thread of its own."""
        nonlocal taken
        if taken - heard <= BEHIND * given:
            pieces.put(samples[:, 0].copy())
        taken += len(samples)

    try:
        stream = library.InputStream(device=which, samplerate=given, channels=1, dtype="float32", callback=take)
        stream.start()
    except (library.PortAudioError, ValueError) as error:
        raise _no_microphone(library, device, error) from error
    try:
        while True:
            try:
                piece = pieces.get(timeout=GONE)
            except queue.Empty:  # a library cannot be relied on to say so
                raise DataError(
                    "A microphone goes on until it is stopped",
                    f"nothing for {GONE:g} s from {device or 'the usual one'}",
                    "Plug it in again and start anew.",
                ) from None
            if taken - heard > BEHIND * given:
                raise DataError(
                    "A microphone is heard as fast as it records",
                    f"more than {BEHIND:g} s that nobody asked for",
                    "Read the events as they come, and start anew.",
                )
            heard += len(piece)
            yield piece
    finally:
        stream.close(ignore_errors=True)


def _sounddevice() -> Any:
    try:
        import sounddevice  # pyright: ignore[reportMissingImports]  an extra
    except ImportError as error:
        raise UsageError(
            "A microphone needs the package sounddevice", "none installed", 'pip install "likewise[microphone]".'
        ) from error
    except OSError as error:  # it is there, but not what it calls
        raise UsageError(
            "A microphone needs the library PortAudio", error, "Install it, for example: apt install libportaudio2."
        ) from error
    return sounddevice


def _no_microphone(library: Any, device: str | None, error: Exception) -> DataError:
    there = [str(one["name"]) for one in library.query_devices() if one["max_input_channels"] > 0]
    return DataError(
        "A microphone can be opened",
        f"{device or 'the usual one'} ({str(error).rstrip('.')})",
        f"There are: {', '.join(there)}." if there else "None is plugged in.",
    )
