"""Changes of sounds: the word stays the loudest thing, and spectrograms keep their scale."""

from __future__ import annotations

import math

import pytest
import torch

from likewise.data import sound_augmentation as module
from likewise.data.augmentation import seeded
from likewise.data.sound_augmentation import (
    GAIN,
    MASK,
    NOISY,
    STREAM_MASK,
    STRETCH,
    THROAT,
    _masked,
    changed_bands,
    changed_sounds,
    changed_spectrograms,
    changed_streams,
)


def tones() -> torch.Tensor:
    """(64, 4000) at 8 kHz: a tone of 1,000 Hz in the middle half of each."""
    t = torch.arange(4_000) / 8_000
    return (0.3 * torch.sin(2 * math.pi * 1_000 * t) * ((t > 0.125) & (t < 0.375))).repeat(64, 1)


def test_sounds_repeat_with_the_seed_and_differ_without() -> None:
    one, again, other = (seeded(changed_sounds, tones(), seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == tones().shape
    assert one.isfinite().all()


def test_the_word_stays_the_loudest_thing() -> None:
    found = seeded(changed_sounds, tones(), 0)
    spectrum = torch.fft.rfft(found).abs().square()  # 2 Hz a bin
    share = spectrum[:, 450:550].sum(dim=1) / spectrum.sum(dim=1)
    assert share.min() > 0.5  # noise is at least 3 dB below, another sound 8
    assert (share > 0.995).float().mean() > 0.1  # and some items have none
    assert (share < 0.9).any()  # and some a lot


def test_words_are_moved_and_of_other_loudness() -> None:
    found = seeded(changed_sounds, tones(), 0)
    weight = found.square() / found.square().sum(dim=1, keepdim=True)
    middle = (weight * torch.arange(4_000)).sum(dim=1)
    assert middle.std() > 50
    assert (middle - 2_000).abs().max() < 800
    gain = found.square().mean(dim=1).sqrt() / tones().square().mean(dim=1).sqrt()
    assert GAIN[0] * 0.9 < gain.min() < 0.6
    assert 1.1 < gain.max() < GAIN[1] * 1.3


def test_silence_stays_all_but_silent() -> None:
    assert seeded(changed_sounds, torch.zeros(16, 4_000), 0).abs().max() < 1e-3


def test_stripes_are_masked_with_the_mean_of_their_item() -> None:
    """Of decibels as of standardised bands: nothing becomes softer than anything that was heard."""
    for level in (0.0, 8.0):
        bands = level + torch.randn(128, 1, 40, 60, generator=torch.Generator().manual_seed(0))
        found = seeded(lambda h: _masked(h, MASK), bands, 0)[:, 0]
        mean = bands.mean(dim=(1, 2, 3))[:, None, None]
        masked = (found - mean).abs() < 1e-6
        torch.testing.assert_close(found[~masked], bands[:, 0][~masked])
        rows, columns = masked.all(dim=2).sum(dim=1), masked.all(dim=1).sum(dim=1)
        assert rows.max() <= 40 * MASK + 1
        assert columns.max() <= 60 * MASK + 1
        assert rows.float().mean() > 2
        stripes = masked.all(dim=2, keepdim=True) | masked.all(dim=1, keepdim=True)
        assert (masked != stripes).float().mean() < 1e-4  # a value may lie at the mean by chance


def test_bands_stay_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MASK", 0.0)
    bands = torch.arange(1.0, 41).view(1, 1, 40, 1).expand(128, 1, 40, 60)
    found = seeded(changed_spectrograms, bands, 0)[:, 0]
    assert found.shape == (128, 40, 60)
    assert (found[:, :, 0].diff(dim=1) >= 0).all()
    torch.testing.assert_close(found[:, 0], torch.ones(128, 60))  # warped about the lowest band
    middle = found[:, 20]  # of value 21 where nothing is warped
    assert middle.min() >= 1 + 20 / THROAT[1] - 1e-3
    assert middle.max() <= 1 + 20 / THROAT[0] + 1e-3


def test_time_is_stretched_about_the_middle() -> None:
    frames = torch.zeros(64, 1, 20, 101)
    frames[..., 40:61] = 1.0
    found = seeded(changed_spectrograms, frames, 0)[:, 0]
    length = found.amax(dim=1).gt(0.5).sum(dim=1).float()
    assert length.min() >= 21 * STRETCH[0] - 101 * MASK - 2
    assert length.max() <= 21 * STRETCH[1] + 2
    assert length.max() - length.min() > 3


class TestStreams:
    def test_an_impulse_stays_at_its_sample(self) -> None:
        x = torch.zeros(64, 4_000)
        place = torch.arange(64) * 61 + 7
        x[torch.arange(64), place] = 0.9
        found = seeded(changed_streams, x, 0)
        assert found.shape == x.shape
        assert (found.abs().argmax(dim=1) == place).all()
        gain = found[torch.arange(64), place] / 0.9
        assert GAIN[0] * 0.8 < gain.min() < 0.6
        assert 1.1 < gain.max() < GAIN[1] * 1.2
        plain = (found != 0).sum(dim=1) == 1  # without noise it is only louder or softer
        assert abs(plain.float().mean() - (1 - NOISY)) < 0.2

    def test_a_frame_stays_where_it_is_while_bands_move(self) -> None:
        h = torch.zeros(64, 1, 40, 300)
        place = torch.arange(64) * 4 + 20
        h[torch.arange(64), 0, :, place] = torch.arange(1.0, 41)
        found = seeded(changed_bands, h, 0)[:, 0]
        assert found.shape == (64, 40, 300)
        at = found.abs().sum(dim=1)  # (64, 300)
        there = at.max(dim=1).values > 0  # but for those that a stripe hides
        assert there.float().mean() > 0.9
        assert (at.argmax(dim=1)[there] == place[there]).all()
        aside = at.clone()
        aside[torch.arange(64), place] = 0
        assert (aside.max(dim=1).values < 1e-2 * at.max(dim=1).values.clamp_min(1e-9))[there].all()
        shape = found[torch.arange(64), :, place][there]
        assert shape.std(dim=0)[20] > 0.5  # throats differ

    def test_little_of_the_time_is_hidden(self) -> None:
        bands = torch.arange(40.0).view(1, 1, 40, 1).expand(256, 1, 40, 500)
        found = seeded(changed_bands, bands, 0)[:, 0]
        hidden = (found.std(dim=1) < 1e-4).sum(dim=1)  # frames whose bands are all the same
        assert hidden.max() <= 500 * STREAM_MASK + 1
        assert hidden.float().mean() > 2
