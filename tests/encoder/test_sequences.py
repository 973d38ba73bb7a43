"""Networks over time: what they hear of the future (nothing), when steps are known, and how they are saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_sounds import sounds_of

from likewise.encoder import SEQUENCES, Encoder, Pictures, Sounds, StepTimes, read_encoding, step_times
from likewise.errors import UsageError

RATE = 8_000
SECONDS = 2.0
times = st.builds(StepTimes, first=st.integers(1, 400), every=st.integers(1, 90))


@pytest.fixture(params=list(SEQUENCES))
def encoder(request: pytest.FixtureRequest) -> Encoder:
    """Unlike a new network: with running figures, and weights that keep signals alive through many layers."""
    made = Encoder(request.param, 1, preprocessing=sounds_of(request.param, RATE, SECONDS), seed=3)
    generator = torch.Generator().manual_seed(0)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean = torch.randn(module.num_features, generator=generator)
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, generator=generator)
    return made.eval()


def noise(seed: int, samples: int, count: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(seed))


class TestStepTimes:
    @settings(max_examples=100, deadline=None)
    @given(times=times, samples=st.integers(0, 3_000))
    def test_steps_are_those_whose_samples_have_come(self, times: StepTimes, samples: int) -> None:
        known = [step for step in range(3_100) if times.first + step * times.every <= samples]
        assert times.count(samples) == len(known)
        assert [times.heard(step) for step in known] == [times.first + step * times.every for step in known]
        assert times.heard(np.array(known, np.int64)).tolist() == [times.heard(step) for step in known]

    @settings(max_examples=100, deadline=None)
    @given(times=times, samples=st.lists(st.integers(0, 3_000), max_size=5))
    def test_after_is_the_first_step_that_has_heard_so_much(self, times: StepTimes, samples: list[int]) -> None:
        expected = [next(s for s in range(-500, 3_100) if times.first + s * times.every >= n) for n in samples]
        assert times.after(np.array(samples, np.int64)).tolist() == expected


@pytest.mark.parametrize("samples", [1_208, 1_209, 1_215, 1_216, 1_535, 1_536, 4_000, 6_255, 6_256, 6_896, 20_001])
def test_there_are_as_many_outputs_as_step_times_says(encoder: Encoder, samples: int) -> None:
    known = encoder.step_times
    assert known == step_times(encoder.backbone, sounds_of(encoder.backbone, RATE, 1.0))
    # 13 frames of 80 samples apart, then 4 more for each step; of speech 76 and 8, as published.
    frames, every = (76, 8) if encoder.backbone == "speech-gru" else (13, 4)
    assert known == StepTimes(256 + (frames - 1) * 80, every * 80)
    if not known.count(samples):
        with pytest.raises(UsageError, match="items of shape"):
            encoder(noise(0, samples))
    else:
        assert encoder(noise(0, samples)).shape == (1, known.count(samples), 1)
    assert encoder.embedded == (known.count(round(SECONDS * RATE)), 1)


def test_no_output_hears_what_comes_later(encoder: Encoder) -> None:
    known = encoder.step_times
    assert known is not None
    samples = round(SECONDS * RATE)
    first, second = noise(0, samples), noise(1, samples)
    with torch.inference_mode():
        expected = encoder(first)[0, :, 0]
        for step in (0, 1, 7, known.count(samples) - 2):
            heard = known.heard(step)
            found = encoder(torch.cat([first[:, :heard], second[:, heard:]], dim=1))[0, :, 0]
            assert torch.allclose(found[: step + 1], expected[: step + 1], atol=1e-6)
            assert (found[step + 1] - expected[step + 1]).abs() > 1e-7  # but what has come it does
            earlier = first.clone()
            earlier[0, heard - 1 - 256 // 2] += 0.5  # in the last frame of the step
            assert (encoder(earlier)[0, step, 0] - expected[step]).abs() > 1e-7


def test_a_longer_sound_has_the_outputs_of_its_beginning(encoder: Encoder) -> None:
    sound = noise(2, 3 * RATE)
    with torch.inference_mode():
        whole, beginning = encoder(sound)[0], encoder(sound[:, : 2 * RATE])[0]
    assert torch.allclose(whole[: len(beginning)], beginning, atol=1e-6)


def test_rounding_of_bfloat16_does_not_add_up(encoder: Encoder) -> None:
    sound = noise(2, 10 * RATE)
    with torch.inference_mode():
        exact = encoder(sound)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = encoder.from_features(encoder.features(sound)).float()
    off = (exact - rounded).abs()[0, :, 0]
    assert off.max() < 0.05
    assert off[-50:].mean() < 3 * off[:50].mean()


def test_it_is_read_back_as_it_was(encoder: Encoder, tmp_path: Path) -> None:
    encoder.write_parameters(tmp_path)
    again = read_encoding(encoder.architecture(), tmp_path)
    assert isinstance(again, Encoder)
    assert (again.backbone, again.step_times, again.ready()) == (encoder.backbone, encoder.step_times, encoder.ready())
    assert again.fingerprint() == encoder.fingerprint()
    items = encoder.ready().drawn(np.random.default_rng(0), 3)
    assert torch.equal(again.encode(items).embeddings, encoder.encode(items).embeddings)


def test_clips_are_taken_from_their_beginning(encoder: Encoder) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    read = encoder.ready().decode([sound, sound[:4_000]]).values.float() / 32768
    assert torch.allclose(read[0], torch.from_numpy(sound[: 2 * RATE]), atol=1e-4)
    assert torch.allclose(read[1, :4_000], torch.from_numpy(sound[:4_000]), atol=1e-4)
    assert (read[1, 4_000:] == 0).all()


@pytest.mark.parametrize("backbone", list(SEQUENCES))
def test_what_is_no_stream_is_refused(backbone: str) -> None:
    pictures = Pictures.of([np.zeros((8, 8), np.uint8)])
    for how, said in ((pictures, "pictures"), (Sounds.at(RATE, 1.0), "sounds of their own")):
        with pytest.raises(UsageError, match=f"hears sounds as a stream; got {said}"):
            Encoder(backbone, 1, preprocessing=how)
    with pytest.raises(UsageError, match=r"at least (13|76) frames"):
        Encoder(backbone, 1, preprocessing=sounds_of(backbone, RATE, 0.1))
    assert Encoder("mlp", 4).step_times is None
