"""Every sound here is drawn in memory; expected values are worked out by hand beside them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from likewise.errors import DataError, UsageError
from likewise.media.sounds import (
    SOUND_SUFFIXES,
    SoundInfo,
    read_sound,
    sound_info,
    stream_sound,
    word_bounds,
    write_sound,
)

RATE = 16_000
NOISE = (0.2 * np.random.default_rng(0).standard_normal(RATE)).clip(-1, 1).astype(np.float32)
STEPS = np.rint(NOISE * 32767).astype(np.int16)  # as 16 bits hold it

# Formats that give back 16 bits exactly, and those that lose a little.
EXACT = {
    ".wav": ("WAV", "PCM_16"),
    ".wav of 24 bits": ("WAV", "PCM_24"),
    ".wav of 32 bits": ("WAV", "PCM_32"),
    ".wav of floats": ("WAV", "FLOAT"),
    ".wav of doubles": ("WAV", "DOUBLE"),
    ".wave": ("WAVEX", "PCM_16"),
    ".rf64": ("RF64", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".flac of 24 bits": ("FLAC", "PCM_24"),
    ".aif": ("AIFF", "PCM_16"),
    ".aifc": ("AIFF", "FLOAT"),
    ".aiff": ("AIFF", "PCM_24"),
    ".au": ("AU", "PCM_16"),
    ".snd": ("AU", "FLOAT"),
    ".caf": ("CAF", "PCM_16"),
    ".caf, ALAC": ("CAF", "ALAC_16"),
}
LOSSY = {
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".wav, mu-law": ("WAV", "ULAW"),
    ".wav, ADPCM": ("WAV", "MS_ADPCM"),
    ".wav, GSM": ("WAV", "GSM610"),
    ".wav of 8 bits": ("WAV", "PCM_U8"),
}


def encoded(samples: np.ndarray, form: str = "WAV", kind: str = "PCM_16", rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=kind)
    return stream.getvalue()


def sine(hertz: float, seconds: float, rate: int = RATE, height: float = 0.5) -> np.ndarray:
    return (height * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def decibel(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-30)


def refusal(source, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_sound(source, **{"rate": RATE, **options})
    text = str(caught.value)
    assert "\n" not in text
    return text


def untold(flac: bytes) -> bytes:
    """A FLAC as it comes out of a pipe: the 36 bits of its header for the number of samples are 0."""
    return flac[:21] + bytes([flac[21] & 0xF0, 0, 0, 0, 0]) + flac[26:]


class TestKinds:
    @pytest.mark.parametrize(("form", "kind"), EXACT.values(), ids=EXACT)
    def test_sixteen_bits_come_through_exactly(self, form, kind):
        samples = read_sound(encoded(STEPS.astype(np.float64) / 32768, form, kind), rate=RATE)
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, STEPS / np.float32(32768))

    @pytest.mark.parametrize(("form", "kind"), LOSSY.values(), ids=LOSSY)
    def test_formats_that_lose_a_little(self, form, kind):
        # A chirp from 100 to 900 Hz; decoders may add a frame of silence at the end.
        t = np.arange(2 * RATE) / RATE
        chirp = (0.5 * np.sin(2 * np.pi * (100 * t + 200 * t**2))).astype(np.float32)
        samples = read_sound(encoded(chirp, form, kind), rate=RATE)
        assert 0 <= len(samples) - len(chirp) < 1200
        middle = slice(RATE // 4, -RATE // 4)
        assert decibel(samples[: len(chirp)][middle] - chirp[middle]) < decibel(chirp) - 15

    def test_eight_bits_are_without_a_sign(self):
        # WAV holds 0..255 with silence at 128: 0, 64, 128 and 255 are -1, -0.5, 0 and 127/128.
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 40, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE, 1, 8, b"data", 4
        )
        samples = read_sound(header + bytes([0, 64, 128, 255]), rate=RATE)
        np.testing.assert_array_equal(samples, np.array([-1, -0.5, 0, 127 / 128], np.float32))

    @pytest.mark.parametrize("channels", [2, 3, 6])
    def test_channels_become_their_mean(self, channels):
        parts = np.random.default_rng(channels).integers(-9999, 9999, (500, channels)).astype(np.int16)
        samples = read_sound(encoded(parts), rate=RATE)
        np.testing.assert_allclose(samples, parts.mean(axis=1) / 32768, atol=1e-6)

    def test_float_files_may_pass_full_scale(self):
        assert read_sound(encoded(np.array([0.0, 1.5, -2.0]), "WAV", "FLOAT"), rate=RATE).tolist() == [0.0, 1.5, -2.0]

    def test_clipped_and_silent_sounds_are_no_errors(self):
        clipped = np.sign(sine(100, 0.1)).astype(np.float32)
        assert np.abs(read_sound(encoded(clipped), rate=RATE)).max() == pytest.approx(1, abs=1e-4)
        assert not read_sound(encoded(np.zeros(1000)), rate=RATE).any()

    def test_every_suffix_is_of_a_file_that_is_read(self):
        written = {name.split()[0].rstrip(",") for name in (EXACT | LOSSY)}
        assert written == SOUND_SUFFIXES


class TestRates:
    @pytest.mark.parametrize("given_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
    def test_a_sine_stays_that_sine(self, given_rate):
        samples = read_sound(encoded(sine(1000, 1, given_rate), "WAV", "FLOAT", given_rate), rate=RATE)
        assert len(samples) == RATE
        middle = slice(RATE // 4, -RATE // 4)
        np.testing.assert_allclose(samples[middle], sine(1000, 1)[middle], atol=1e-4)

    def test_it_is_flat_to_0_92_of_the_band_and_nothing_aliases(self):
        # To 8 kHz, whose band ends at 4,000 Hz: 3,680 Hz is 0.92 of it; 4,100 Hz would come back as 3,900.
        for hertz, lowest, highest in ((3680, -0.02, 0.02), (4100, -400, -120), (7000, -400, -120)):
            given_sine = sine(hertz, 1)
            samples = read_sound(encoded(given_sine, "WAV", "DOUBLE"), rate=8000)
            gain = decibel(samples[2000:-2000]) - decibel(given_sine)
            assert lowest <= gain <= highest, f"{hertz} Hz: {gain} dB"

    @pytest.mark.parametrize(("up", "down"), [(1, 2), (2, 1), (160, 441), (4, 1)])
    def test_as_another_resampler_has_it(self, up, down):
        smooth = np.convolve(NOISE, np.hanning(64) / 32, mode="same").astype(np.float32)  # far below both bands' ends
        given_rate = RATE * down // up
        samples = read_sound(encoded(smooth, "WAV", "FLOAT", given_rate), rate=RATE)
        other = resample_poly(smooth.astype(np.float64), up, down)
        n = min(len(samples), len(other))
        assert abs(len(samples) - len(other)) <= 1
        assert decibel(samples[200 : n - 200] - other[200 : n - 200]) < decibel(other) - 50

    @pytest.mark.parametrize(("given_rate", "wanted"), [(768_000, 1_000), (1_000, 768_000)])
    def test_from_end_to_end(self, given_rate, wanted):
        samples = read_sound(encoded(np.full(given_rate, 0.5), rate=given_rate), rate=wanted)
        assert len(samples) == wanted
        assert samples[wanted // 2] == pytest.approx(0.5, abs=1e-4)

    @pytest.mark.parametrize("rate", [999, 768_001, 0, -16_000, 16_000.5, float("nan")])
    def test_impossible_rates(self, rate):
        for call in (
            lambda: read_sound(NOISE, rate=rate),
            lambda: stream_sound("a.wav", rate=rate, block=10),
            lambda: write_sound("a.wav", NOISE, rate),
        ):
            with pytest.raises(UsageError, match="1,000 to 768,000 Hz"):
                call()

    @pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000_000])
    def test_a_file_of_an_impossible_rate(self, rate):
        assert f"ada.wav with {rate:,}" in refusal(encoded(STEPS, rate=rate), name="ada.wav")

    def test_too_little_for_one_sample(self):
        assert "none at 1,000 Hz" in refusal(encoded(STEPS[:20], rate=96_000), rate=1000)


class TestArrays:
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_floats_are_copied(self, kind):
        values = np.array([0, 0.25, -1, 1], kind)
        samples = read_sound(values, rate=RATE)
        assert samples.dtype == np.float32
        assert samples.tolist() == [0, 0.25, -1, 1]
        assert not np.shares_memory(samples, values)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_integers_are_scaled(self, order):
        small, large = np.array([-32768, 0, 16384], order + "i2"), np.array([-(2**31), 0, 2**30], order + "i4")
        assert read_sound(small, rate=RATE).tolist() == read_sound(large, rate=RATE).tolist() == [-1, 0, 0.5]
        assert read_sound(np.array([0, 128, 192], np.uint8), rate=RATE).tolist() == [-1, 0, 0.5]

    def test_channels_become_their_mean(self):
        assert read_sound(np.array([[0, 16384], [-32768, 0]], np.int16), rate=RATE).tolist() == [0.25, -0.5]

    def test_they_are_at_the_rate_already(self):
        np.testing.assert_array_equal(read_sound(NOISE, rate=8000), NOISE)

    @pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.bool_, np.complex64])
    def test_other_types(self, kind):
        assert np.dtype(kind).name in refusal(np.zeros(4, kind))

    @pytest.mark.parametrize("shape", [(), (0,), (4, 0), (2, 2, 2), (2, 16_000)])
    def test_other_shapes(self, shape):
        assert str(shape) in refusal(np.zeros(shape, np.float32))

    def test_another_kind_of_source(self):
        with pytest.raises(UsageError, match="list"):
            read_sound([0.0, 1.0], rate=RATE)
        with pytest.raises(UsageError, match="int"):
            sound_info(3)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("wanted", [RATE, 8000])
    def test_nan_and_infinity(self, value, wanted):
        bad = NOISE.copy()
        bad[700] = value
        for source in (bad, encoded(bad, "WAV", "FLOAT"), np.stack([bad, NOISE], axis=1)):
            text = refusal(source, rate=wanted, name="row 7")
            assert "finite" in text
            assert "row 7" in text

    def test_a_float_beyond_32_bits(self):
        assert "finite" in refusal(encoded(np.array([0, 1e300]), "WAV", "DOUBLE"))

    def test_another_scale_is_refused(self):
        scaled = STEPS.astype(np.float32)
        for source in (scaled, encoded(scaled, "WAV", "FLOAT")):
            text = refusal(source)
            assert "[-1, 1]" in text
            assert f"{scaled.max():g}" in text


class TestInfo:
    def test_it_is_the_header(self, tmp_path, monkeypatch):
        path = tmp_path / "a.flac"
        path.write_bytes(encoded(np.zeros((11_025, 2)), "FLAC", rate=44_100))
        monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
        assert sound_info(path) == sound_info(path.read_bytes()) == SoundInfo(0.25, 44_100, 2)

    def test_a_flac_that_does_not_tell_is_counted(self):
        assert sound_info(untold(encoded(STEPS, "FLAC"))) == SoundInfo(1.0, RATE, 1)

    def test_refusals_name_the_file(self, tmp_path):
        with pytest.raises(DataError, match=r"gone\.wav"):
            sound_info(tmp_path / "gone.wav")
        with pytest.raises(DataError, match=r"row 3 with 0 bytes"):
            sound_info(b"", name="row 3")


class TestLimits:
    def test_a_bomb_is_refused_by_its_header(self, monkeypatch):
        flac = bytearray(encoded(STEPS, "FLAC"))
        flac[21] |= 0x0F  # 2^36 - 1 samples: 68,719,476,735 / 16,000 = 4,294,967.3 s
        flac[22:26] = b"\xff" * 4
        monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded"))
        text = refusal(bytes(flac), name="bomb.flac")
        assert "at most 3,600 s" in text
        assert "bomb.flac with 4,294,967.3 s" in text

    def test_a_header_that_says_nothing_does_not_help(self):
        flac = untold(encoded(np.zeros(3_000_000, np.int16), "FLAC"))  # 12 MB as float32
        tracemalloc.start()
        try:
            text = refusal(flac, max_seconds=20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "at most 20 s" in text
        assert peak < 20 * RATE * 4 + 4 * 2**20

    def test_exactly_the_limit_is_read(self):
        for source in (encoded(STEPS), untold(encoded(STEPS, "FLAC")), NOISE):
            assert len(read_sound(source, rate=RATE, max_seconds=1)) == RATE
            assert "at most 0.99 s" in refusal(source, max_seconds=0.99)

    def test_a_thousand_channels_come_in_small_blocks(self):
        wide = encoded(np.zeros((2000, 1024), np.int16))  # 8 MB as float32
        tracemalloc.start()
        try:
            assert len(read_sound(wide, rate=RATE)) == 2000
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 4 * 2**20

    def test_many_threads(self, tmp_path):
        sounds = [sine(200 + 10 * i, 0.3) for i in range(40)]
        for i, samples in enumerate(sounds):
            (tmp_path / f"{i}.flac").write_bytes(encoded(samples, "FLAC", rate=RATE))
        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(lambda i: read_sound(tmp_path / f"{i % 40}.flac", rate=8000), range(400)))
        for i, samples in enumerate(at_once):
            np.testing.assert_array_equal(samples, at_once[i % 40])
        for i in (0, 39):
            np.testing.assert_array_equal(at_once[i], read_sound(tmp_path / f"{i}.flac", rate=8000))


class TestFiles:
    @pytest.mark.parametrize("name", ["ada.wav", "ñandú — 猫 🐈.wav", "no suffix", "wrong.raw", "two\nlines.wav"])
    def test_any_name(self, tmp_path, name):
        (tmp_path / name).write_bytes(encoded(STEPS))
        for path in (tmp_path / name, str(tmp_path / name)):
            np.testing.assert_array_equal(read_sound(path, rate=RATE), STEPS / np.float32(32768))
        (tmp_path / name).write_bytes(b"not a sound")
        assert name.split()[0] in refusal(tmp_path / name)

    def test_a_name_that_is_not_text(self, tmp_path):
        name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
        Path(name).write_bytes(encoded(STEPS))
        assert len(read_sound(name, rate=RATE)) == RATE

    def test_missing(self, tmp_path):
        text = refusal(tmp_path / "gone.wav")
        assert "A sound is a file" in text
        assert "gone.wav (No such file" in text

    def test_a_name_with_a_zero_byte(self):
        assert "null byte" in refusal("a\0b.wav")

    def test_a_folder_a_pipe_and_a_device(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.wav")
        for path in (tmp_path, tmp_path / "pipe.wav", "/dev/zero"):
            assert "folder or a device" in refusal(path)

    def test_zero_bytes(self, tmp_path):
        (tmp_path / "empty.wav").touch()
        assert "empty.wav with 0 bytes" in refusal(tmp_path / "empty.wav")

    @pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "CAF"])
    def test_zero_samples(self, form):
        assert "ada with none" in refusal(encoded(np.zeros(0), form), name="ada")

    @pytest.mark.parametrize(
        "data",
        [
            b"Buy milk,\nand bread.",
            "Milk".encode("utf-16"),
            STEPS.tobytes(),
            b"\xff\xf1" + bytes(30),
            b"\0\0\0\x20ftypM4A \0\0\0\0",
            b"\x89PNG\r\n\x1a\n" + bytes(20),
            b"RIFF\x24\0\0\0AVI LIST",
            b"MATLAB 5.0 MAT-file" + bytes(200),
            b"\xff",
        ],
        ids=["text", "utf-16", "raw samples", "aac", "m4a", "png", "avi", "matlab", "one byte"],
    )
    def test_formats_off_the_list(self, data, tmp_path):
        (tmp_path / "ada.wav").write_bytes(data)
        text = refusal(tmp_path / "ada.wav")
        assert "ada.wav" in text
        assert "A sound is one of WAV, W64, FLAC" in text

    @pytest.mark.parametrize("head", [b"RIFF\x24\0\0\0WAVE", b"fLaC", b"OggS", b"ID3", b"FORM\0\0\0\0AIFF", b"caff"])
    def test_a_beginning_and_nothing_behind(self, head):
        for rest in (b"", bytes(500)):
            assert "ada" in refusal(head + rest, name="ada")

    def test_a_member_of_a_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "words.zip", "w") as archive:
            archive.writestr("yes/1.wav", encoded(STEPS))
        with zipfile.ZipFile(tmp_path / "words.zip") as archive:
            assert len(read_sound(archive.read("yes/1.wav"), rate=RATE)) == RATE
            assert "words.zip:yes/1.wav" in refusal(archive.read("yes/1.wav")[:90], name="words.zip:yes/1.wav")


SHORT = STEPS[:400].astype(np.float64) / 32768
FILES = {name: encoded(SHORT, *kind) for name, kind in (EXACT | LOSSY).items()}
UNTOLD_LENGTH = {".ogg", ".oga", ".opus"}  # see the top of sounds.py; an MP3 of 400 samples is all slack


class TestDamage:
    @pytest.mark.parametrize("name", sorted(set(FILES) - UNTOLD_LENGTH - {".mp3"}))
    def test_a_cut_file_is_refused_or_whole_never_half(self, name):
        whole = read_sound(FILES[name], rate=RATE)
        refused = 0
        for length in range(len(FILES[name])):
            try:
                samples = read_sound(FILES[name][:length], rate=RATE)
            except DataError:
                refused += 1
            else:
                # Of a CAF libsndfile does not miss the last 6 bytes.
                assert len(whole) - len(samples) <= 6 * name.startswith(".caf")
                np.testing.assert_array_equal(samples, whole[: len(samples)])
        assert refused > 0.9 * len(FILES[name])

    def test_a_cut_mp3(self):
        assert "of 160,000 samples" in refusal(encoded(sine(300, 10), "MP3", "MPEG_LAYER_III")[:-8000])

    def test_what_is_told_of_a_cut_file(self):
        assert "ada with 31,000 of 32,000 bytes" in refusal(encoded(STEPS)[:-1000], name="ada")
        assert "lost sync" in refusal(encoded(STEPS, "FLAC")[:-1000])

    @pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
    def test_a_wav_from_a_program_that_could_not_know_its_length(self, size):
        wav = bytearray(encoded(STEPS))
        wav[4:8], wav[40:44] = struct.pack("<I", min(size + 36, 0xFFFFFFFF)), struct.pack("<I", size)
        np.testing.assert_array_equal(read_sound(bytes(wav), rate=RATE), STEPS / np.float32(32768))

    @given(name=st.sampled_from(sorted(FILES)), data=st.data())
    @settings(max_examples=400, deadline=None, derandomize=True)
    def test_altered_bytes_give_a_sound_or_one_line(self, name, data):
        content = bytearray(FILES[name])
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            content[at] = data.draw(st.integers(0, 255))
        try:
            samples = read_sound(bytes(content), rate=RATE, max_seconds=10)
        except DataError as error:
            outcome = str(error)
        else:
            outcome = f"{samples.dtype} {samples.ndim} {np.isfinite(samples).all()}"
        assert "\n" not in outcome
        assert outcome.startswith("A sound") or outcome == "float32 1 True"

    @pytest.mark.parametrize("kind", [MemoryError, RuntimeError, TypeError, soundfile.LibsndfileError(1)])
    def test_whatever_a_decoder_raises(self, kind, monkeypatch):
        def fail(self, *_, **__):
            raise kind

        monkeypatch.setattr(soundfile.SoundFile, "read", fail)
        assert "ada.wav" in refusal(encoded(STEPS), name="ada.wav")


class TestStream:
    @pytest.mark.parametrize("given_rate", [RATE, 8000, 44_100])
    @pytest.mark.parametrize(("form", "kind"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "")])
    def test_it_is_what_reading_gives(self, form, kind, given_rate, tmp_path):
        path = tmp_path / "a"
        path.write_bytes(encoded(np.tile(STEPS, 2), form, kind or "MPEG_LAYER_III", given_rate))
        whole = read_sound(path, rate=RATE)
        for block in (1280, 77, len(whole), len(whole) + 1, 10**7):
            blocks = list(stream_sound(path, rate=RATE, block=block))
            assert [len(one) for one in blocks[:-1]] == [block] * (len(whole) // block - (len(whole) % block == 0))
            assert 1 <= len(blocks[-1]) <= block
            np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)

    def test_channels_and_streams_that_can_be_sought(self):
        stream = io.BytesIO(encoded(np.stack([STEPS, -STEPS // 2], axis=1), "FLAC"))
        samples = np.concatenate(list(stream_sound(stream, rate=RATE, block=500)))
        np.testing.assert_array_equal(samples, read_sound(stream.getvalue(), rate=RATE))
        assert not stream.closed

    def test_memory_does_not_grow(self, tmp_path):
        path = tmp_path / "long.flac"
        soundfile.write(path, np.zeros(2_500_000, np.int16), RATE)  # 10 MB as float32
        tracemalloc.start()
        try:
            total = sum(len(block) for block in stream_sound(path, rate=8000, block=640))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert total == 1_250_000
        assert peak < 2**20

    @pytest.mark.parametrize(
        ("form", "kind"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_24")]
    )
    @pytest.mark.parametrize("wanted", [RATE, 8000])
    def test_a_pipe_brings_blocks_while_it_is_written(self, form, kind, wanted):
        wav = encoded(STEPS / 32768, form, kind)
        reading, writing = os.pipe()
        seen = threading.Event()

        def write() -> None:
            with os.fdopen(writing, "wb") as stream:
                stream.write(wav[: len(wav) // 2])
                stream.flush()
                assert seen.wait(60)
                stream.write(wav[len(wav) // 2 :])

        writer = threading.Thread(target=write)
        writer.start()
        with os.fdopen(reading, "rb") as stream:
            blocks = []
            for block in stream_sound(stream, rate=wanted, block=wanted // 20):
                blocks.append(block)
                seen.set()
            assert not stream.closed
        writer.join()
        assert {len(block) for block in blocks} == {wanted // 20}
        np.testing.assert_allclose(np.concatenate(blocks), read_sound(wav, rate=wanted), atol=1e-6)

    @pytest.mark.parametrize("size", [0x7FFFF000, 0xFFFFFFFF])
    def test_standard_input_of_untold_length(self, size):
        wav = bytearray(encoded(STEPS))
        wav[4:8], wav[40:44] = b"\xff" * 4, struct.pack("<I", size)
        program = (
            "import sys; from likewise.media.sounds import stream_sound\n"
            "print([len(b) for b in stream_sound(sys.stdin.buffer, rate=16000, block=7000)])"
        )
        done = subprocess.run([sys.executable, "-c", program], input=bytes(wav), capture_output=True, check=True)
        assert done.stdout == b"[7000, 7000, 2000]\n"
        assert done.stderr == b""

    @pytest.mark.parametrize("content", [b"", b"Buy milk", encoded(STEPS, "AU"), encoded(STEPS, "FLAC")])
    def test_a_pipe_of_something_else(self, content):
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as stream:
            stream.write(content)
        with (
            os.fdopen(reading, "rb") as stream,
            pytest.raises(DataError, match=r"through a pipe is a WAV; got ada \("),
        ):
            list(stream_sound(stream, rate=RATE, block=100, name="ada"))

    def test_a_stream_without_a_descriptor(self):
        class Unseekable(io.BytesIO):
            def seekable(self) -> bool:
                return False

        with pytest.raises(UsageError, match="descriptor; got Unseekable"):
            list(stream_sound(Unseekable(encoded(STEPS)), rate=RATE, block=100))

    def test_what_is_no_stream(self):
        for source in (NOISE, encoded(STEPS), 0):
            with pytest.raises(UsageError, match="path or a binary stream"):
                list(stream_sound(source, rate=RATE, block=100))
        with pytest.raises(UsageError, match="at least 1"):
            stream_sound("a.wav", rate=RATE, block=0)

    def test_what_came_before_the_damage_is_there(self, tmp_path):
        path = tmp_path / "cut.flac"
        path.write_bytes(encoded(np.tile(STEPS, 5), "FLAC")[:-30_000])
        blocks: list[np.ndarray] = []
        with pytest.raises(DataError, match=r"cut\.flac"):
            blocks.extend(stream_sound(path, rate=RATE, block=500))
        np.testing.assert_array_equal(blocks[0], STEPS[:500] / np.float32(32768))

    @pytest.mark.parametrize("damage", ["nan", "none"])
    def test_other_damage(self, damage):
        samples = np.full(100, np.nan) if damage == "nan" else np.zeros(0)
        with pytest.raises(DataError, match="A sound h"):
            list(stream_sound(io.BytesIO(encoded(samples, "WAV", "FLOAT")), rate=8000, block=10))


class TestWrite:
    def test_what_was_read_from_16_bits_is_written_as_it_was(self, tmp_path):
        every = np.arange(-32768, 32768).astype(np.int16)
        write_sound(tmp_path / "a.wav", read_sound(every, rate=RATE), 8000)
        steps, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
        np.testing.assert_array_equal(steps, every)
        assert rate == 8000
        assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"

    def test_rounded_and_clipped_never_wrapped(self, tmp_path):
        # In steps of 1/32768: 0.4 and 0.6 go to 0 and 1; 1 would be 32768, which is not there.
        write_sound(tmp_path / "a.wav", np.array([0.4 / 32768, 0.6 / 32768, 1, 1.7, -1, -9]), RATE)
        steps, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
        assert steps.tolist() == [0, 1, 32767, 32767, -32768, -32768]

    def test_channels_stay_apart(self, tmp_path):
        write_sound(tmp_path / "a.wav", np.array([[0.5, -0.5], [0, 0.25]]), RATE)
        assert soundfile.read(tmp_path / "a.wav")[0].tolist() == [[0.5, -0.5], [0, 0.25]]

    def test_the_same_samples_are_the_same_bytes(self, tmp_path):
        for name in ("a.wav", "b.wav"):
            write_sound(tmp_path / name, NOISE, RATE)
        assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()

    def test_what_fails_leaves_what_was_there(self, tmp_path, monkeypatch):
        path = tmp_path / "a.wav"
        write_sound(path, NOISE, RATE)
        before = path.read_bytes()
        for bad in (np.array([0, np.nan]), np.array([np.inf]), np.zeros(0), np.zeros((2, 2, 2))):
            with pytest.raises(DataError, match=r"a\.wav"):
                write_sound(path, bad, RATE)

        def full(self, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match="No space left"):
            write_sound(path, -NOISE, RATE)
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]

    def test_a_folder_is_not_replaced(self, tmp_path):
        with pytest.raises(UsageError):
            write_sound(tmp_path, NOISE, RATE)


def clip(*parts: tuple[str, float] | tuple[str, float, float], rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Parts one after another: "zero", "noise" at -60 dB (or as said), "tone" of 200 Hz at -9 dB (or as said)."""
    random = np.random.default_rng(seed)
    made = []
    for what, seconds, *level in parts:
        n = round(seconds * rate)
        if what == "zero":
            made.append(np.zeros(n))
        elif what == "noise":
            made.append(10 ** ((level or [-60])[0] / 20) * random.standard_normal(n))
        else:
            made.append(np.sqrt(2) * 10 ** ((level or [-9])[0] / 20) * np.sin(2 * np.pi * 200 * np.arange(n) / rate))
    return np.concatenate(made).astype(np.float32)


class TestWordBounds:
    @pytest.mark.parametrize("rate", [8000, RATE, 44_100])
    @pytest.mark.parametrize("bed", ["zero", "noise"])
    def test_a_word_in_the_middle(self, bed, rate):
        samples = clip((bed, 0.5), ("tone", 0.6), (bed, 0.7), rate=rate)
        assert word_bounds(samples, rate) == (round(0.5 * rate), round(1.1 * rate))

    @pytest.mark.parametrize("bed", ["zero", "noise"])
    def test_a_word_at_an_end(self, bed):
        assert word_bounds(clip(("tone", 0.6), (bed, 0.7)), RATE) == (0, 9600)
        assert word_bounds(clip((bed, 0.7), ("tone", 0.6)), RATE) == (11_200, 20_800)

    def test_a_word_in_noise_between_digital_zeros(self):
        # The floor is that of the noise: zeros, which are far below it, would put the line under the noise.
        samples = clip(("zero", 1), ("noise", 0.4), ("tone", 0.5), ("noise", 0.4), ("zero", 1))
        assert word_bounds(samples, RATE) == (22_400, 30_400)

    def test_it_does_not_depend_on_the_gain(self):
        samples = clip(("noise", 0.5), ("tone", 0.6), ("noise", 0.7))
        for gain in (0.05, 1, 4):
            assert word_bounds(gain * samples, RATE) == (8000, 17_600)

    def test_a_constant_is_silence(self):
        samples = clip(("noise", 0.5), ("tone", 0.6), ("noise", 0.7)) + np.float32(0.3)
        assert word_bounds(samples, RATE) == (8000, 17_600)
        assert word_bounds(np.full(RATE, 0.3, np.float32), RATE) is None

    @pytest.mark.parametrize("bed", ["zero", "noise"])
    @pytest.mark.parametrize("length", [0.0001, 0.01, 0.03])
    def test_clicks_are_no_word(self, bed, length):
        click = ("tone", length, 0.0)
        before, after = (("noise", 0.3), click, ("noise", 0.3)), ((bed, 0.3), click, (bed, 0.3))
        assert word_bounds(clip((bed, 0.5), click, (bed, 0.7), click, (bed, 0.2)), RATE) is None
        start, end = word_bounds(clip(*before, ("tone", 0.6), *after), RATE)
        assert start == pytest.approx(round((0.6 + length) * RATE), abs=160)  # clicks shift the frames
        assert end == pytest.approx(round((1.2 + length) * RATE), abs=160)

    @pytest.mark.parametrize("bed", ["zero", "noise"])
    def test_forty_ms_are_a_word(self, bed):
        assert word_bounds(clip((bed, 0.5), ("tone", 0.04), (bed, 0.5)), RATE) == (8000, 8640)

    def test_a_pause_of_0_2_s_is_inside_the_word(self):
        samples = clip(("noise", 0.5), ("tone", 0.2), ("noise", 0.2), ("tone", 0.2), ("noise", 0.5))
        assert word_bounds(samples, RATE) == (8000, 17_600)

    def test_after_a_longer_pause_it_is_the_larger_of_two(self):
        for first, second in ((0.2, 0.4), (0.4, 0.2)):
            samples = clip(("noise", 0.5), ("tone", first), ("noise", 0.25), ("tone", second), ("noise", 0.5))
            start = 0.5 if first > second else 0.75 + first
            assert word_bounds(samples, RATE) == (round(start * RATE), round((start + 0.4) * RATE))

    def test_where_the_line_is(self):
        # Noise at -60 dB, a tone at -10: the line is the higher of -60 + 0.4 * 50 = -40 and -10 - 35 = -45 dB, and the
        # 10th percentile of noise lies some 1 dB below its mean. A tail at -37 dB belongs to the word, one at -44 not.
        for level, end in ((-37.0, 0.9), (-44.0, 0.8)):
            samples = clip(("noise", 0.5), ("tone", 0.3, -10.0), ("tone", 0.1, level), ("noise", 0.8))
            assert word_bounds(samples, RATE) == (8000, round(end * RATE))
        # In a room at -85 dB it is -10 - 35 = -45 dB, not -85 + 0.4 * 75 = -55: a breath at -50 dB is left out.
        for level, end in ((-42.0, 0.9), (-50.0, 0.8)):
            samples = clip(("noise", 0.5, -85.0), ("tone", 0.3, -10.0), ("tone", 0.1, level), ("noise", 0.8, -85.0))
            assert word_bounds(samples, RATE) == (8000, round(end * RATE))

    @pytest.mark.parametrize("level", [-60.0, -20.0])
    def test_noise_alone_is_no_word(self, level):
        assert word_bounds(clip(("noise", 2, level)), RATE) is None

    @pytest.mark.parametrize("length", [0, 1, 159, 639, 640, RATE])
    def test_silence_of_any_length_is_no_word(self, length):
        assert word_bounds(np.zeros(length, np.float32), RATE) is None

    @given(before=st.integers(5, 60), word=st.integers(4, 60), after=st.integers(5, 60), seed=st.integers(0, 99))
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_any_word_of_whole_frames_is_found(self, before, word, after, seed):
        samples = clip(("noise", before / 100), ("tone", word / 100), ("noise", after / 100), seed=seed)
        # 10% of the frames at least are noise, or the floor would be the word's.
        assert word_bounds(samples, RATE) == (160 * before, 160 * (before + word))
