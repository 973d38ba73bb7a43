"""Listening from the command line: to files, standard input and microphones; and all that can be wrong with them."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from drawn_trigger import RATE, chirp, piles

import likewise as lw
from likewise.apps.triggerword import LearnedTrigger, TriggerWord, listener, recorder, sources
from likewise.cli import listen
from likewise.errors import DataError
from likewise.media.sounds import read_sound

Run = Callable[..., Any]
SAID = (2.0, 6.0, 9.0)  # seconds at which the word begins
THRESHOLD = ("--threshold", 0.5)


@pytest.fixture
def model(trigger: LearnedTrigger) -> Path:
    return trigger.folder


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    """12 s of noise, with the word in it at `SAID`, and another word at 4 s."""
    rng = np.random.default_rng(5)
    sound = 0.02 * rng.standard_normal(12 * RATE).astype(np.float32)
    for at, rising in [*((at, True) for at in SAID), (4.0, False)]:
        word = chirp(rising, rng)
        sound[round(at * RATE) :][: len(word)] += word
    return sound


@pytest.fixture
def file(stream: np.ndarray, tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "kitchen.wav", stream, RATE)
    return tmp_path / "kitchen.wav"


def as_said(result: Any) -> None:
    """Each time the word was said there is one event, soon after it, and a line of JSON of its own."""
    assert result.status == 0, result.err
    events = [json.loads(line) for line in result.out.splitlines()]
    assert len(events) == len(SAID)
    for event, at in zip(events, SAID, strict=True):
        assert at < event["time_s"] < at + 0.9
        assert 0.5 <= event["score"] <= 1
    assert result.err.splitlines()[-1] == "heard 12.0 s, 3 events"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Puts bytes on standard input, through a pipe."""
    writers: list[threading.Thread] = []

    def put(content: bytes) -> None:
        reading, writing = os.pipe()

        def write() -> None:
            with os.fdopen(writing, "wb") as to:
                to.write(content)

        writers.append(threading.Thread(target=write))
        writers[-1].start()
        monkeypatch.setattr(sys, "stdin", os.fdopen(reading))

    yield put
    for writer in writers:
        writer.join()
    if writers:
        sys.stdin.close()


class TestASource:
    def test_a_file(self, run: Run, model: Path, file: Path) -> None:
        as_said(run("listen", model, file, *THRESHOLD, "--json"))
        lines = run("listen", model, file, *THRESHOLD).out.splitlines()
        assert len(lines) == 3
        assert all(line.split()[1] == "s" for line in lines)

    @pytest.mark.parametrize(("rate", "channels"), [(8_000, 2), (11_025, 1), (44_100, 2), (96_000, 1)])
    def test_other_rates_and_channels(
        self, run: Run, model: Path, stream: np.ndarray, tmp_path: Path, rate: int, channels: int
    ) -> None:
        content = io.BytesIO()
        soundfile.write(content, stream, RATE, format="WAV", subtype="FLOAT")
        sound = read_sound(content.getvalue(), rate=rate)
        soundfile.write(tmp_path / "a.flac", np.stack([sound] * channels, axis=1), rate)
        as_said(run("listen", model, tmp_path / "a.flac", *THRESHOLD, "--json"))

    def test_a_wav_on_standard_input(self, run: Run, model: Path, file: Path, piped: Callable[[bytes], None]) -> None:
        piped(file.read_bytes())
        as_said(run("listen", model, "-", *THRESHOLD, "--json"))

    def test_raw_samples_on_standard_input(
        self, run: Run, model: Path, stream: np.ndarray, piped: Callable[[bytes], None]
    ) -> None:
        piped(np.rint(32767 * np.clip(stream, -1, 1)).astype("<i2").tobytes())
        as_said(run("listen", model, "-", "--raw", RATE, *THRESHOLD, "--json"))

    def test_nothing_is_said(self, run: Run, model: Path, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "noise.wav", 0.02 * np.random.default_rng(1).standard_normal(5 * RATE), RATE)
        result = run("listen", model, tmp_path / "noise.wav", *THRESHOLD)
        assert (result.status, result.out, result.err) == (1, "", "heard 5.0 s, 0 events\n")


class TestAMicrophone:
    @pytest.mark.parametrize(("end", "status"), [(KeyboardInterrupt(), 0), (DataError("it was unplugged"), 3)])
    def test_what_was_heard_stays(
        self,
        run: Run,
        model: Path,
        stream: np.ndarray,
        monkeypatch: pytest.MonkeyPatch,
        end: BaseException,
        status: int,
    ) -> None:
        def recorded(device: str | None, rate: int) -> Iterator[np.ndarray]:
            assert (device, rate) == ("USB", RATE)
            yield from stream[: 8 * RATE].reshape(-1, 640)
            raise end

        monkeypatch.setattr(sources, "from_microphone", recorded)
        result = run("listen", model, "--microphone", "--device", "USB", *THRESHOLD)
        assert result.status == status
        assert len(result.out.splitlines()) == 2
        lines = result.err.splitlines()
        assert lines[0] == "heard 8.0 s, 2 events"
        assert lines[1:] == ([] if status == 0 else ["likewise: it was unplugged."])

    def test_without_its_package(self, run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        assert "likewise[microphone]" in run("listen", model, "--microphone", *THRESHOLD).refused(2)


class TestSavedAlarms:
    def test_they_are_a_pile_of_negatives(self, run: Run, model: Path, file: Path, tmp_path: Path) -> None:
        save = tmp_path / "false-alarms"
        result = run("listen", model, file, *THRESHOLD, "--save", save, "--before", 1.5, "--json")
        events = [json.loads(line) for line in result.out.splitlines()]
        assert [Path(event["file"]) for event in events] == sorted(save.iterdir())
        sound = read_sound(file, rate=RATE)
        for event in events:
            end = round(event["time_s"] * RATE)
            assert np.array_equal(read_sound(event["file"], rate=RATE), sound[end - round(1.5 * RATE) : end])

        before = {path: path.read_bytes() for path in save.iterdir()}
        run("listen", model, file, *THRESHOLD, "--save", save)
        assert len(list(save.iterdir())) == 2 * len(before)
        assert all(path.read_bytes() == content for path, content in before.items())

        positive, _, background = piles(tmp_path / "piles")
        made = run(
            "synthesize", "--positive", positive, "--negative", save, "--background", background, "--out",
            tmp_path / "clips", "--count", 8, "--seconds", 5, "--json",
        )  # fmt: skip
        assert made.status == 0, made.err
        others = [row for row in lw.clips(tmp_path / "clips").sources if row]
        assert len(others) == 8
        assert ",false-alarms,negative," in (tmp_path / "clips" / "manifest.csv").read_text()

    def test_where_they_cannot_be(self, run: Run, model: Path, file: Path) -> None:
        assert "saved in a folder" in run("listen", model, file, *THRESHOLD, "--save", file).refused(2)
        assert "0.1 to 60 s" in run("listen", model, file, *THRESHOLD, "--save", "x", "--before", 0).refused(2)


def test_silence_is_slept_through_and_a_soft_word_after_it_is_heard(
    run: Run, model: Path, stream: np.ndarray, tmp_path: Path
) -> None:
    soft = np.concatenate([np.zeros(5 * RATE, np.float32), 0.1 * stream[round(1.9 * RATE) : 3 * RATE]])
    soundfile.write(tmp_path / "soft.wav", soft, RATE)
    gated, always, deaf = (
        run("listen", model, tmp_path / "soft.wav", "--threshold", 0.3, *more, "--json")
        for more in ([], ["--no-gate"], ["--gate", -10])
    )
    for result in (gated, always):
        (line,) = result.out.splitlines()
        assert 5.1 < json.loads(line)["time_s"] < 6.0
    assert (deaf.status, deaf.out) == (1, "")


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (None, "No such file"),
            (b"", "0 bytes"),
            (b"these are words, not sounds", "A sound is one of"),
            ("nan", "NaN"),
        ],
    )
    def test_a_file(
        self, run: Run, model: Path, file: Path, content: bytes | str | None, why: str, tmp_path: Path
    ) -> None:
        bad = tmp_path / "bad.wav"
        if content == "nan":
            soundfile.write(bad, np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
        elif isinstance(content, bytes):
            bad.write_bytes(content)
        result = run("listen", model, bad, *THRESHOLD)
        assert (result.status, result.out) == (3, "")
        (refusal,) = result.err.splitlines()
        assert why in refusal
        assert "bad.wav" in refusal

    def test_a_file_that_was_cut_short_is_heard_as_far_as_it_goes(
        self, run: Run, model: Path, file: Path, tmp_path: Path
    ) -> None:
        content, cut = file.read_bytes(), tmp_path / "cut.wav"
        cut.write_bytes(content[: 44 + 2 * RATE * 4])
        whole, found = run("listen", model, file, *THRESHOLD), run("listen", model, cut, *THRESHOLD)
        heard = [line for line in whole.out.splitlines() if float(line.split()[0]) < 4]
        assert heard
        assert (found.status, found.out.splitlines()) == (3, heard)
        summary, refusal = found.err.splitlines()
        assert summary == f"heard 4.0 s, {len(heard)} event{'s' * (len(heard) != 1)}"
        assert "decodes to its last sample" in refusal

    def test_a_model(self, run: Run, model: Path, file: Path, tmp_path: Path) -> None:
        TriggerWord(TriggerWord.load(model).encoder).save(tmp_path / "fresh.model")
        refusal = run("listen", tmp_path / "fresh.model", file).refused(3)
        assert "likewise calibrate MODEL CLIPS --per-hour 0.5" in refusal
        encoder = lw.Encoder("mlp", dim=4)
        shapes = np.random.default_rng(0).integers(0, 255, (12, 8, 8), dtype=np.uint8)
        data = lw.Dataset(shapes, tuple(map(str, range(12))), np.arange(12) // 6, ("a", "b"))
        lw.fit(encoder, data, lw.SupCon(), epochs=1, seed=0)
        lw.Model(encoder).save(tmp_path / "faces.model")
        assert "one for encoding items" in run("listen", tmp_path / "faces.model", file, *THRESHOLD).refused(3)
        with lw.Gallery.open(tmp_path / "faces.gallery", lw.Model(encoder)):
            pass
        assert "gallery of sounds" in run("listen", "--gallery", tmp_path / "faces.gallery", file).refused(3)

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ([], "missing 'MODEL FILE'"),
            (["m"], "missing 'FILE', - or --microphone"),
            (["m", "a.wav", "b.wav"], "more than 'MODEL FILE'"),
            (["m", "a.wav", "--microphone"], "more than 'MODEL'"),
            (["--gallery", "g"], "missing 'FILE'"),
            (["m", "a.wav", "--device", "1"], "Add --microphone"),
            (["m", "a.wav", "--raw", "8000"], "Name - as the FILE"),
            (["m", "a.wav", "--name", "do"], "Add --gallery"),
            (["--gallery", "g", "a.wav", "--threshold", "0.5"], "likewise gallery calibrate"),
            (["m", "a.wav", "--gate", "loud"], "--gate"),
        ],
    )
    def test_options(self, run: Run, given: list[str], why: str) -> None:
        assert why in run("listen", *given).refused(2)


def test_a_step_is_exported(run: Run, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    told = run("export", model, tmp_path / "step.onnx", *THRESHOLD, "--json").json
    assert (told["rate"], told["threshold"], told["file"]) == ("8000", "0.5", str(tmp_path / "step.onnx"))
    assert (tmp_path / "step.onnx").stat().st_size > 300_000
    assert "to a .onnx file" in run("export", model, tmp_path / "step.bin", *THRESHOLD).refused(2)


def test_what_is_said_without_loading_is_what_holds() -> None:
    assert listen.GATE == listener.GATE
    assert listen.BEFORE == recorder.BEFORE


class TestPicture:
    def test_it_is_drawn_beside_the_events(self, run: Run, model: Path, file: Path, tmp_path: Path) -> None:
        result = run("listen", model, file, *THRESHOLD, "--draw", tmp_path / "heard.png", "--json")
        as_said(result)
        assert f"drawn: {tmp_path / 'heard.png'}" in result.err
        assert (tmp_path / "heard.png").read_bytes().startswith(b"\x89PNG")

    def test_what_cannot_be_drawn(self, run: Run, model: Path, file: Path, tmp_path: Path) -> None:
        assert "of a model and a FILE" in run("listen", model, "-", *THRESHOLD, "--draw", "a.png").refused(2)
        assert "ends in .png" in run("listen", model, file, *THRESHOLD, "--draw", tmp_path / "a.bmp").refused(2)
        soundfile.write(tmp_path / "long.wav", np.zeros(130 * RATE), RATE)
        assert "at most 119.5 s" in run(
            "listen", model, tmp_path / "long.wav", *THRESHOLD, "--draw", tmp_path / "a.png"
        ).refused(3)
