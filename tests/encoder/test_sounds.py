"""Sounds: the spectrogram against librosa's, what the length rule does, and the round trip of settings."""

from __future__ import annotations

import io
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from drawn_sounds import words
from hypothesis import given
from hypothesis import strategies as st

import likewise as lw
from likewise.encoder import Encoder, Sounds, Wanted, are_sounds
from likewise.encoder.kinds import preprocessing_from
from likewise.encoder.sounds import FLOOR, LOUDNESS, LogMel, mel_matrix
from likewise.errors import DataError, ModelError, UsageError
from likewise.media.lengths import at_length


def tone(hertz: float, seconds: float, rate: int = 8_000) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("rate", "window", "mels"), [(16_000, 512, 40), (8_000, 256, 40), (44_100, 1024, 64)])
def test_mel_bands_are_librosas(rate: int, window: int, mels: int) -> None:
    expected = librosa.filters.mel(
        sr=rate, n_fft=window, n_mels=mels, fmin=60.0, fmax=0.475 * rate, htk=True, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(mel_matrix(rate, window, mels, 60.0, 0.475 * rate).T, expected, atol=1e-9)
    expected = librosa.filters.mel(
        sr=rate, n_fft=window, n_mels=mels, fmin=60.0, fmax=0.475 * rate, norm=None, dtype=np.float64
    )
    np.testing.assert_allclose(mel_matrix(rate, window, mels, 60.0, 0.475 * rate, "slaney").T, expected, atol=1e-9)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_spectrogram_is_librosas(rate: int) -> None:
    how = Sounds.at(rate, 1.0, streamed=True)
    samples = np.random.default_rng(0).normal(0, 0.1, (3, how.samples)).astype(np.float32)
    expected = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=how.window, hop_length=how.hop, center=False, n_mels=40, fmin=how.low, fmax=how.high,
        htk=True, norm=None,
    )  # fmt: skip
    found = LogMel(how)(torch.from_numpy(samples))
    assert found.shape == (3, *how.shape)
    np.testing.assert_allclose(found[:, 0], np.log(expected + FLOOR), atol=1e-4)


def test_an_even_spectrogram_does_not_depend_on_loudness() -> None:
    samples = torch.from_numpy(np.stack([tone(500, 1.0), 0.1 * tone(500, 1.0), 0 * tone(500, 1.0)]))
    loud, soft, silent = LogMel(Sounds.at(8_000, 1.0))(samples)
    torch.testing.assert_close(loud, soft, atol=0.02, rtol=0)
    assert (silent == np.log(FLOOR)).all()  # and noise is not made of silence
    scaled = samples[:1] * (LOUDNESS / samples[0].square().mean().sqrt())
    torch.testing.assert_close(loud[None], LogMel(Sounds.at(8_000, 1.0, streamed=True))(scaled), atol=0.02, rtol=0)


def test_a_tone_is_bright_in_its_band_and_high_tones_are_shown_above_low_ones() -> None:
    how = Sounds.at(8_000, 1.0)
    items = np.stack([tone(hertz, 1.0) * 32768 for hertz in (250, 3000)]).astype(np.int16)
    how = how.standardised(torch.from_numpy(items))
    low, high = how.shown(torch.from_numpy(items))[..., 0].mean(axis=2).argmax(axis=1)
    assert low > high
    centres = mel_matrix(8_000, 256, 40, 60.0, 3800.0).argmax(axis=0) * 8_000 / 256
    assert abs(centres[::-1][high] - 3000) < 150


def test_standardised_spectrograms_have_mean_0_and_spread_1() -> None:
    items = torch.from_numpy(np.random.default_rng(1).normal(0, 3000, (30, 8_000)).astype(np.int16))
    how = Sounds.at(8_000, 1.0, streamed=True).standardised(items)
    found = LogMel(how)(how.scaled(items))
    torch.testing.assert_close(found.mean(dim=(0, 1, 3)), torch.zeros(40), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.std(dim=(0, 1, 3)), torch.ones(40), atol=1e-2, rtol=0)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_a_sound_is_brought_to_its_length(length: int, count: int, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(size=length).astype(np.float32)
    found = at_length(samples, count)
    assert found.shape == (count,)
    if length <= count:
        before = (count - length) // 2
        assert (found[before : before + length] == samples).all()
        assert np.count_nonzero(found) == length
    else:
        energies = [np.square(samples[i : i + count].astype(np.float64)).sum() for i in range(length - count + 1)]
        assert np.square(found.astype(np.float64)).sum() == pytest.approx(max(energies), rel=1e-9)


def test_files_bytes_and_arrays_are_one_sound(tmp_path: Path) -> None:
    how = Sounds.at(8_000, 0.5)
    samples = (tone(440, 0.5) * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 8_000)
    (tmp_path / "not.wav").write_text("no sound")
    found = how.decode([tmp_path / "a.wav", str(tmp_path / "not.wav"), (tmp_path / "a.wav").read_bytes(), samples])
    assert found.kept.tolist() == [0, 2, 3]
    assert (found.values.numpy() == samples).all()
    assert "not.wav" in found.problems[0][1]
    assert (how.decode(samples[None]).values.numpy() == samples).all()


def test_rate_and_length_suit_the_data(tmp_path: Path) -> None:
    for i, (seconds, rate) in enumerate([(0.4, 8_000)] * 18 + [(0.72, 8_000)] + [(5.0, 44_100)]):
        soundfile.write(tmp_path / f"{i}.wav", np.ones(round(seconds * rate)) / 2, rate)
    files = [tmp_path / f"{i}.wav" for i in range(20)]
    how = Wanted().suiting(files)
    assert isinstance(how, Sounds)
    assert how.rate == 8_000
    assert how.seconds == pytest.approx(1.0, abs=0.11)  # the one of 5 s is the twentieth
    asked = Wanted(seconds=1.5, rate=16_000).suiting(files)
    assert isinstance(asked, Sounds)
    assert (asked.rate, asked.samples) == (16_000, 24_000)
    with pytest.raises(UsageError, match=r"size is for pictures; got sounds"):
        Wanted(size=28).suiting(files)
    with pytest.raises(UsageError, match=r"grey is for pictures; got sounds"):
        Wanted(grey=True).suiting(files)
    with pytest.raises(UsageError, match=r"rate is for sounds; got pictures"):
        Wanted(rate=8_000).suiting(np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(DataError):
        Wanted().suiting([tmp_path / "gone.wav"])


def test_what_is_a_sound() -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.ones(100), 8_000, format="WAV")
    assert are_sounds([stream.getvalue()])
    assert are_sounds(["x.FLAC"])
    assert are_sounds(np.zeros((2, 100), np.float32))
    assert not are_sounds([b"\x89PNG\r\n"])
    assert not are_sounds(["x.png"])
    assert not are_sounds(np.zeros((2, 10, 10), np.uint8))
    assert not are_sounds([])


def test_settings_go_round() -> None:
    how = Sounds.at(8_000, 0.7, mels=24, streamed=True)
    assert preprocessing_from(how.as_dict()) == how
    for change in (
        {"rate": 8_000.5},
        {"streamed": 1},
        {"mels": 3},
        {"std": [0.0] * 24},
        {"more": 1},
        {"kind": "smell"},
    ):
        with pytest.raises(ModelError):
            preprocessing_from(how.as_dict() | change)


@pytest.mark.parametrize(
    "given_", [{"rate": 10}, {"seconds": 0}, {"seconds": float("nan")}, {"seconds": 601}, {"mels": 2}]
)
def test_settings_that_cannot_be(given_: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Sounds.at(**given_)  # pyright: ignore[reportArgumentType]


def test_a_folder_of_words_is_learned_saved_loaded_and_told_apart(tmp_path: Path) -> None:
    train, test = lw.folder(words(tmp_path / "words")).split(0.6, 0.4, seed=0)
    encoder = Encoder("convnet-small", 16, seed=0)
    lw.fit(encoder, train, lw.SupCon(), epochs=20, augment="speech", seed=0)
    model = lw.calibrate(encoder, test, max_fmr=0.1)
    model.save(tmp_path / "words.model")
    again = lw.load(tmp_path / "words.model")
    assert again.fingerprint == model.fingerprint
    report = lw.evaluate(again, test)
    assert report.retrieval.precision_at_1 > 0.9
    do, other, mi = (tmp_path / "words" / name for name in ("do/0.wav", "do/1.wav", "mi/1.wav"))
    assert again.verify(do, other).distance < again.verify(do, mi).distance
