"""Clips of alarms hold what came before them, to the sample, and never take the place of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likewise.apps.triggerword import Event
from likewise.apps.triggerword.recorder import Recorder
from likewise.errors import DataError, UsageError
from likewise.media.sounds import read_sound

RATE = 1_000
STREAM = np.arange(10_000, dtype=np.float32) / 32768  # every sample tells where it is


@pytest.mark.parametrize("piece", [80, 333, 10_000])
@pytest.mark.parametrize("at", [0.5, 2.0, 7.123])
def test_a_clip_is_what_came_before_its_event(tmp_path: Path, piece: int, at: float) -> None:
    recorder = Recorder(tmp_path / "alarms", "kitchen", RATE, before=2.0)
    for place in range(0, len(STREAM), piece):
        recorder.feed(STREAM[place : place + piece])
        if place + piece >= at * RATE:
            break
    file = recorder.save(Event(at, 0.9))
    assert file.name == f"kitchen-{at:08.2f}.wav"
    end = round(at * RATE)
    assert read_sound(file, rate=RATE).tolist() == STREAM[max(0, end - 2_000) : end].tolist()


def test_nothing_is_overwritten_and_memory_does_not_grow(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "kitchen", RATE, before=1.0)
    for _ in range(50):
        recorder.feed(STREAM[:400])
    assert len(recorder._held) == 1_400
    files = [recorder.save(Event(20.0, 0.9)) for _ in range(3)]
    assert [file.name for file in files] == [f"kitchen-00020.00{end}.wav" for end in ("", "-2", "-3")]


def test_what_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="saved in a folder"):
        Recorder(tmp_path / "file", "a", RATE)
    with pytest.raises(UsageError, match=r"0\.1 to 60 s"):
        Recorder(tmp_path, "a", RATE, before=0)
    recorder = Recorder(tmp_path / "file" / "below", "a", RATE)
    recorder.feed(STREAM)
    with pytest.raises(DataError, match="can be saved"):
        recorder.save(Event(1.0, 0.9))


def test_what_could_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DataError("the disk is full")

    monkeypatch.setattr("likewise.apps.triggerword.recorder.write_sound", full)
    recorder = Recorder(tmp_path / "alarms", "a", RATE)
    recorder.feed(STREAM)
    with pytest.raises(DataError, match="full"):
        recorder.save(Event(1.0, 0.9))
    assert list((tmp_path / "alarms").iterdir()) == []
