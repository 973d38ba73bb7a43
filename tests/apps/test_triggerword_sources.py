"""Files, raw samples and microphones give the same stream; what is missing or goes away is said."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile

from likewise.apps.triggerword import sources
from likewise.errors import DataError, UsageError
from likewise.media.sounds import read_sound

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_raw_samples_are_those_of_a_file(rate: int) -> None:
    steps = np.rint(TONE * 32768).astype("<i2")
    blocks = list(sources.from_raw(io.BytesIO(steps.tobytes() + b"\x07"), 44_100, rate))  # and half a sample
    assert {len(block) for block in blocks[:-1]} == {round(0.08 * rate)}
    wav = io.BytesIO()
    soundfile.write(wav, steps, 44_100, format="WAV", subtype="PCM_16")
    np.testing.assert_allclose(np.concatenate(blocks), read_sound(wav.getvalue(), rate=rate), atol=1e-6)


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(UsageError, match="A rate is"):
        sources.from_raw(io.BytesIO(b""), 10, 8_000)


class Microphone:
    """What sounddevice has, as far as it is used; it speaks `TONE` when it is started, and then no more."""

    PortAudioError: ClassVar[type[Exception]] = type("PortAudioError", (Exception,), {})
    closed: ClassVar[list[bool]] = []

    @staticmethod
    def query_devices(device: object = None, kind: str | None = None) -> Any:
        there = [{"name": "USB", "max_input_channels": 1}, {"name": "speaker", "max_input_channels": 0}]
        if kind is None:
            return there
        if device not in (None, "USB", 0):
            raise ValueError(f"No input device matching {device!r}")
        return {"default_samplerate": 44_100.0}

    class InputStream:
        def __init__(
            self, *, callback: Callable[..., None], samplerate: int, channels: int, dtype: str, device: object
        ):
            assert (samplerate, channels, dtype) == (44_100, 1, "float32")
            self._callback = callback

        def start(self) -> None:
            buffer = np.empty((441, 1), np.float32)
            for place in range(0, len(TONE), 441):
                buffer[:, 0] = TONE[place : place + 441]
                self._callback(buffer, 441, None, None)
                buffer[:] = np.nan  # the library uses it again

        def close(self, ignore_errors: bool) -> None:
            Microphone.closed.append(ignore_errors)


@pytest.fixture
def microphone(monkeypatch: pytest.MonkeyPatch) -> type[Microphone]:
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone)
    monkeypatch.setattr(sources, "GONE", 0.05)
    monkeypatch.setattr(Microphone, "closed", [])
    return Microphone


@pytest.mark.parametrize("device", [None, "USB", "0"])
def test_a_microphone_is_heard_until_it_is_gone(microphone: type[Microphone], device: str | None) -> None:
    heard: list[np.ndarray] = []
    with pytest.raises(DataError, match="goes on until it is stopped"):
        heard.extend(sources.from_microphone(device, 44_100))
    found = np.concatenate(heard)
    assert len(found) == 44_100 // 3_528 * 3_528  # whole blocks of 80 ms
    assert np.array_equal(found, TONE[: len(found)])
    assert microphone.closed == [True]


def test_it_is_brought_to_the_rate_and_let_go_by_who_stops_listening(microphone: type[Microphone]) -> None:
    blocks = sources.from_microphone(None, 8_000)
    assert [len(next(blocks)) for _ in range(5)] == [640] * 5
    del blocks
    assert microphone.closed == [True]


def test_who_does_not_listen_is_told_and_memory_does_not_grow(
    microphone: type[Microphone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BEHIND", 0.5)  # of the second that is recorded at once
    with pytest.raises(DataError, match=r"as fast as it records; got more than 0\.5 s"):
        next(sources.from_microphone(None, 8_000))
    assert microphone.closed == [True]


def test_a_microphone_that_is_not_there(microphone: type[Microphone], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"can be opened; got Bluetooth .* There are: USB\."):
        sources.from_microphone("Bluetooth", 8_000)

    def busy(_: object) -> None:
        raise Microphone.PortAudioError("Device unavailable")

    monkeypatch.setattr(Microphone.InputStream, "start", busy)
    with pytest.raises(DataError, match="Device unavailable"):
        next(sources.from_microphone("USB", 8_000))


def test_without_package_or_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UsageError, match=r"likewise\[microphone\]"):
        sources.from_microphone(None, 8_000)

    class Without:
        """What finds a sounddevice that does not find its library."""

        @staticmethod
        def find_spec(name: str, *_: object) -> Any:
            if name != "sounddevice":
                return None
            raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [Without, *sys.meta_path])
    with pytest.raises(UsageError, match=r"PortAudio library not found.*libportaudio2"):
        sources.from_microphone(None, 8_000)
