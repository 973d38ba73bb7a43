"""Random changes of spoken sounds that leave the word and, but for the pitch, the speaker as they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SHIFT = 0.1  # of an item's length, either way
GAIN = (0.25, 1.5)
NOISY, SNR = 0.6, (3.0, 40.0)  # share of items that get noise, decibels over it
COLOUR = 1.5  # steepest fall of a noise's power with frequency f, as f to the minus this; 0 is white, 1 pink
BABBLE, BABBLE_SNR = 0.2, (8.0, 30.0)  # share of items that get another of the batch behind them
STRETCH = (0.85, 1.18)  # of time
THROAT = (0.88, 1.14)  # of the frequencies of bands, as longer and shorter vocal tracts have them
STREAM_MASK = 0.02  # of the frames of a stream: 0.2 s of ten, so that no word is lost
MASK = 1 / 6  # of bands, and of frames, that are at most masked (Park et al. 2019, SpecAugment)


def changed_sounds(x: Tensor) -> Tensor:
    """(N, T) in [-1, 1] -> the same: shifted, louder or softer, with noise and with others in the background."""
    count, length = x.shape
    x = _shifted(x, (length * SHIFT * _uniform(count, -1, 1, x)).long())
    x = x + _noise(x) * _level(x, NOISY, SNR)
    behind = x.roll(1, dims=0)  # of the batch as it is now
    x = x + behind / _loudness(behind) * _level(x, BABBLE, BABBLE_SNR)
    return x * _uniform(count, *GAIN, x)[:, None]


def changed_streams(x: Tensor) -> Tensor:
    """(N, T) in [-1, 1] -> the same: louder or softer, and with noise; everything is where it was."""
    x = x + _noise(x) * _level(x, NOISY, SNR)
    return x * _uniform(len(x), *GAIN, x)[:, None]


def changed_bands(h: Tensor) -> Tensor:
    """(N, 1, mels, frames) -> the same: as from other throats, and with masked stripes."""
    return _masked(_stretched(h, time=(1.0, 1.0)), STREAM_MASK)


def changed_spectrograms(h: Tensor) -> Tensor:
    """(N, 1, mels, frames) -> the same: stretched in time and frequency, and with masked stripes."""
    return _masked(_stretched(h, time=STRETCH), MASK)


def _stretched(h: Tensor, time: tuple[float, float]) -> Tensor:
    """(N, 1, mels, frames) with the frequencies of its bands, and its time, times a number each."""
    count = len(h)
    theta = h.new_zeros(count, 2, 3)
    theta[:, 0, 0] = 1 / _uniform(count, *time, h)
    throat = 1 / _uniform(count, *THROAT, h)
    theta[:, 1, 1], theta[:, 1, 2] = throat, throat - 1  # the lowest band stays where it is
    grid = F.affine_grid(theta, list(h.shape), align_corners=True)
    return F.grid_sample(h, grid, padding_mode="border", align_corners=True)


def _uniform(count: int, low: float, high: float, like: Tensor) -> Tensor:
    return torch.empty(count, device=like.device).uniform_(low, high)


def _loudness(x: Tensor) -> Tensor:
    """(N, 1) root mean square, never 0."""
    return x.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-5)


def _level(x: Tensor, share: float, snr: tuple[float, float]) -> Tensor:
    """(N, 1) what something of loudness 1 is to be multiplied by: 0 for most but a share."""
    there = (_uniform(len(x), 0, 1, x) < share).float()
    return (there * 10 ** (-_uniform(len(x), *snr, x) / 20))[:, None] * _loudness(x)


def _shifted(x: Tensor, by: Tensor) -> Tensor:
    """(N, T) moved by so many samples each, (N,); what comes in is silence."""
    place = torch.arange(x.shape[1], device=x.device) - by[:, None]
    inside = (place >= 0) & (place < x.shape[1])
    return x.gather(1, place.clamp(0, x.shape[1] - 1)) * inside


def _noise(x: Tensor) -> Tensor:
    """(N, T) of loudness 1, each of a colour of its own."""
    spectrum = torch.fft.rfft(torch.randn_like(x))
    frequency = torch.arange(1, spectrum.shape[1] + 1, device=x.device)
    fall = frequency ** (-_uniform(len(x), 0, COLOUR, x)[:, None] / 2)
    coloured = torch.fft.irfft(spectrum * fall, n=x.shape[1])
    return coloured / _loudness(coloured)


def _masked(h: Tensor, frames_share: float) -> Tensor:
    """(N, 1, mels, frames) with a stripe of bands and one of frames at the mean of each item.

    0 would be the mean of standardised items only: to a network that hears decibels it is below any silence.
    """
    _, _, mels, frames = h.shape
    kept = _outside(mels, h, MASK)[:, None, :, None] * _outside(frames, h, frames_share)[:, None, None, :]
    mean = h.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (h - mean) * kept


def _outside(length: int, like: Tensor, share: float) -> Tensor:
    """(N, length) 0 within a random stripe, 1 outside."""
    count = len(like)
    width = _uniform(count, 0, share * length, like)
    start = _uniform(count, 0, 1, like) * (length - width)
    place = torch.arange(length, device=like.device)
    return ((place < start[:, None]) | (place >= (start + width)[:, None])).float()
