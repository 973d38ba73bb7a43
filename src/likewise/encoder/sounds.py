"""How sounds become numbers: samples, and from them a log-mel spectrogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likewise.encoder.preprocessing import Item, Preprocessing, Readable, content_of, name_of, sampled
from likewise.errors import ModelError, UsageError
from likewise.media.lengths import at_length, from_start, whole_numbers
from likewise.media.sounds import read_sound, sound_info
from likewise.prepare import Finder, Part

USUAL_RATE = 16_000  # hertz; speech has little above 8 kHz
LONGEST_DEFAULT = 4.0  # seconds
FLOOR = 1e-5  # power of a mel band below which it counts as silent: some 50 dB below speech
SILENT = math.log(FLOOR) + 1e-3  # what a band without any power has at most
LOUDNESS = 0.1  # root mean square that sounds are brought to
SILENCE = 1e-3  # root mean square, of 1, far below which that would be to make noise of silence
BRIGHT = 64  # of 255 that a standard deviation is shown brighter: two fit in either way
MelScale = Literal["htk", "slaney"]
BLOCK_SECONDS = 512  # of sound whose spectrogram is in memory at a time while its mean is taken


@final
@dataclass(frozen=True)
class Sounds(Preprocessing):
    """How a sound becomes numbers.

    A sound that stands for itself, as a word does, is cut to the stretch with the most energy where it is longer than
    an item, has digital silence on both sides where it is shorter, and is brought to one loudness. A piece of a stream
    is taken from its beginning and as loud as it is: nobody knows yet what will come.

    Attributes:
        rate: hertz that sounds are brought to.
        samples: T, length of an item.
        mels: number of mel bands.
        scale: on which they are evenly spaced; see `mel_matrix`.
        window: samples of a frame of the spectrogram.
        taper: how many of them, in its middle, the Hann window weighs; the others count nothing.
        hop: samples between the beginnings of two frames.
        low, high: hertz where the lowest band begins and the highest ends.
        streamed: whether items are pieces of a stream.
        mean, std: per band, of the logarithm of its power; taken off and divided by inside the encoder.
    """

    kind: ClassVar[str] = "sound"
    dtype: ClassVar[torch.dtype] = torch.int16
    full: ClassVar[int] = 32768
    prepare: ClassVar[Finder | None] = None  # pyright: ignore[reportIncompatibleVariableOverride]  nothing is cut out

    rate: int
    samples: int
    mels: int
    scale: MelScale
    window: int
    taper: int
    hop: int
    low: float
    high: float
    streamed: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1_000 <= self.rate <= 192_000:
            raise UsageError("Sounds are encoded at 1,000 to 192,000 Hz", self.rate)
        if not (16 <= self.window <= 65_536 and 1 <= self.hop <= self.window):
            raise UsageError("A frame has 16 to 65,536 samples, of which a hop has some", (self.window, self.hop))
        if not 2 <= self.taper <= self.window:
            raise UsageError("A Hann window reaches over 2 samples of a frame or more", (self.taper, self.window))
        if self.scale not in get_args(MelScale):
            raise UsageError(f"A mel scale is one of {', '.join(get_args(MelScale))}", repr(self.scale))
        if not self.window <= self.samples <= 600 * self.rate:
            raise UsageError("A sound to be encoded lasts from one frame to 600 s", f"{self.samples / self.rate:g} s")
        if not 4 <= self.mels <= 256:
            raise UsageError("A spectrogram has 4 to 256 mel bands", self.mels)
        if not 0 <= self.low < self.high <= self.rate / 2:
            raise UsageError("Mel bands lie between 0 Hz and half the rate", f"{self.low:g} to {self.high:g} Hz")
        finite = np.isfinite([*self.mean, *self.std]).all()
        if not finite or not len(self.mean) == len(self.std) == self.mels or min(self.std) <= 0:
            raise UsageError(
                "There is one mean and one positive std per mel band", f"{len(self.mean)}, {len(self.std)}"
            )

    @classmethod
    def at(
        cls, rate: int = USUAL_RATE, seconds: float = 1.0, *, mels: int = 40, hop_seconds: float = 0.01,
        streamed: bool = False,
    ) -> Sounds:  # fmt: skip
        """The usual spectrogram at a rate: frames of about 30 ms, and bands from 60 Hz to just below half the rate.

        Args:
            rate, mels, streamed: see the class.
            seconds: length of an item.
            hop_seconds: between two frames.

        Raises:
            UsageError: numbers that cannot be.
        """
        if not (math.isfinite(seconds) and 0 < seconds <= 600):
            raise UsageError("A sound to be encoded lasts up to 600 s", f"{seconds} s")
        window = 2 ** round(math.log2(0.03 * rate))
        return cls(
            rate, max(window, round(seconds * rate)), mels, "htk", window, window, max(1, round(hop_seconds * rate)),
            60.0, 0.475 * rate, streamed, (0.0,) * mels, (1.0,) * mels,
        )  # fmt: skip

    @classmethod
    def of(cls, items: Sequence[Item] | NDArray[Any], seconds: float | None = None, rate: int | None = None) -> Sounds:
        """Rate and length that suit `items`; mean and std are set by `standardised`.

        The rate is what most of the sampled sounds have, at most 16 kHz; the length is that of all but the longest
        twentieth, at most 4 s. Arrays do not tell their rate: it is 16 kHz unless said.

        Raises:
            DataError: nothing can be read.
        """

        def header_of(item: Item) -> tuple[int, float]:
            if isinstance(item, np.ndarray):
                usual = USUAL_RATE if rate is None else rate
                return usual, len(item) / usual
            content = item.read() if isinstance(item, Readable) else item
            found = sound_info(content, name=name_of(item))
            return found.rate, found.seconds

        rates, lengths = zip(*sampled(items, header_of), strict=True)
        if rate is None:
            rate = min(USUAL_RATE, int(np.bincount(rates).argmax()))
        if seconds is None:
            seconds = min(LONGEST_DEFAULT, math.ceil(10 * float(np.quantile(lengths, 0.95))) / 10)
        return cls.at(rate, seconds)

    @property
    def seconds(self) -> float:
        """Length of an item."""
        return self.samples / self.rate

    @property
    def _at_once(self) -> int:
        return max(1, int(BLOCK_SECONDS / self.seconds))

    @property
    def frames(self) -> int:
        """Of an item's spectrogram."""
        return 1 + (self.samples - self.window) // self.hop

    @property
    def layout(self) -> tuple[int]:
        """(T,)."""
        return (self.samples,)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, mels, frames)."""
        return 1, self.mels, self.frames

    def hann(self) -> NDArray[np.float64]:
        """(window,): what each sample of a frame counts."""
        around = self.window - self.taper
        middle = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.taper) / self.taper)
        return np.pad(middle, (around // 2, around - around // 2))

    def matrix(self) -> NDArray[np.float64]:
        """(window // 2 + 1, mels); see `mel_matrix`."""
        return mel_matrix(self.rate, self.window, self.mels, self.low, self.high, self.scale)

    def standardised(self, values: Tensor) -> Sounds:
        """See `Preprocessing`; per band. Digital silence in a stream, as after a shorter clip, is not counted."""
        log_mel = LogMel(replace(self, mean=(0.0,) * self.mels, std=(1.0,) * self.mels))
        total, count = torch.zeros(2, self.mels, dtype=torch.float64), 0
        for block in values.split(self._at_once):
            power = log_mel(self.scaled(block)).double()[:, 0].transpose(1, 2).flatten(0, 1)  # (n * frames, mels)
            if self.streamed:
                power = power[power.amax(dim=1) > SILENT]
            total += torch.stack([power.sum(dim=0), power.square().sum(dim=0)])
            count += len(power)
        mean, square = total / max(count, 1)
        # Sounds that are all silent have no spread; dividing by a little keeps the numbers finite.
        std = (square - mean.square()).clamp_min(1e-2).sqrt()
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def front(self) -> nn.Module:
        """See `Preprocessing`."""
        return LogMel(self)

    def parts(self, item: Item) -> list[Part]:
        """See `Preprocessing`; one, (T,)."""
        samples = read_sound(content_of(item), rate=self.rate, name=name_of(item))
        placed = from_start if self.streamed else at_length
        return [Part(whole_numbers(placed(samples, self.samples)))]

    def laid_out(self, part: Part) -> NDArray[Any]:
        """(T,) -> (T,)."""
        return part.values

    def already(self, items: NDArray[Any]) -> NDArray[Any] | None:
        """See `Preprocessing`: int16 samples of the right number."""
        return items if items.dtype == np.int16 and items.shape[1:] == self.layout else None

    def shown(self, values: Tensor) -> NDArray[np.uint8]:
        """See `Preprocessing`: spectrograms, high sounds above, loud ones bright."""
        power = torch.cat([LogMel(self)(self.scaled(block)) for block in values.split(self._at_once)])
        grey = (BRIGHT * power + 128).clamp(0, 255).to(torch.uint8)
        return grey.flip(2).permute(0, 2, 3, 1).contiguous().numpy()

    def from_shown(self, pictures: Tensor) -> Tensor:
        """See `Preprocessing`: spectrograms."""
        return ((255 * pictures - 128) / BRIGHT).flip(2)

    def drawn(self, rng: np.random.Generator, count: int) -> Tensor:
        """See `Preprocessing`: a few tones each, which swell and fade."""
        t = np.arange(self.samples) / self.rate
        pitch = np.exp(rng.uniform(np.log(80), np.log(self.rate / 2.5), (count, 4, 1)))
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * (t * rng.uniform(1, 5, (count, 4, 1)) + rng.random((count, 4, 1))))
        sounds = (0.2 * swell * np.sin(2 * np.pi * pitch * t)).sum(axis=1)
        return torch.from_numpy((sounds * 32767).round().astype(np.int16))

    def as_dict(self) -> dict[str, Any]:
        """See `Preprocessing`."""
        return {"kind": self.kind, **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}}

    @staticmethod
    def said(values: dict[str, Any]) -> str:
        """See `Preprocessing`."""
        return f"sounds of {values['samples'] / values['rate']:g} s at {values['rate']:,} Hz"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Sounds:
        """See `Preprocessing`."""
        given = dict(values)
        try:
            if given.pop("kind") != cls.kind:
                raise ValueError(f"kind {values['kind']!r}")
            given |= {name: tuple(float(v) for v in given[name]) for name in ("mean", "std")}
            whole = ("rate", "samples", "mels", "window", "taper", "hop")
            if not all(type(given[name]) is int for name in whole) or type(given["streamed"]) is not bool:
                raise ValueError(", ".join(f"{name} {given[name]!r}" for name in (*whole, "streamed")))
            return cls(**given)
        except (TypeError, KeyError, ValueError, UsageError) as error:
            raise ModelError(
                "The preprocessing of a model is complete", str(error), "Copy the folder again."
            ) from error


@final
class LogMel(nn.Module):
    """Samples (N, T) in [-1, 1] -> logarithm of the power in mel bands (N, 1, mels, frames), standardised.

    Frame i is of samples i * hop to i * hop + window; there is none that reaches over an end, so that a stream has the
    same frames. Works on any T of at least one window.
    """

    def __init__(self, settings: Sounds) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("matrix", torch.from_numpy(settings.matrix().astype(np.float32)), persistent=False)
        self.register_buffer("hann", torch.from_numpy(settings.hann().astype(np.float32)), persistent=False)
        self.register_buffer("mean", torch.tensor(settings.mean).view(1, -1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(settings.std).view(1, -1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        with torch.autocast(x.device.type, enabled=False):  # powers span more than bfloat16 tells apart
            x = x.float()
            if not self.settings.streamed:
                loudness = x.square().mean(dim=1, keepdim=True).add(SILENCE**2).sqrt()
                x = x * (LOUDNESS / loudness)
            spectrum = torch.stft(
                x, self.settings.window, self.settings.hop, window=self.get_buffer("hann"), center=False,
                return_complex=True,
            )  # fmt: skip
            power = spectrum.real.square() + spectrum.imag.square()  # (N, bins, frames)
            bands = torch.einsum("nbf,bm->nmf", power, self.get_buffer("matrix"))
            found = ((bands + FLOOR).log() - self.get_buffer("mean")) / self.get_buffer("std")
        return found.unsqueeze(1)


def mel_corners(mels: int, low: float, high: float, scale: MelScale) -> NDArray[np.float64]:
    """(mels + 2,) hertz, evenly spaced on a mel scale: a band rises from one to the next, and falls to the one after.

    Args:
        mels: number of bands.
        low, high: hertz of the first corner and of the last.
        scale: "htk", of O'Shaughnessy (1987): m = 2595 log10(1 + f / 700). "slaney", of his Auditory Toolbox (1998):
            15 mels per 1,000 Hz up to there, and then 27 for every factor of 6.4.
    """
    if scale == "htk":
        first, last = (2595 * np.log10(1 + frequency / 700) for frequency in (low, high))
        return 700 * (10 ** (np.linspace(first, last, mels + 2) / 2595) - 1)
    steep = 27 / np.log(6.4)
    first, last = (0.015 * f if f < 1000 else 15 + steep * np.log(f / 1000) for f in (low, high))
    at = np.linspace(first, last, mels + 2)
    return np.where(at < 15, at / 0.015, 1000 * np.exp((at - 15) / steep))


def mel_matrix(
    rate: int, window: int, mels: int, low: float, high: float, scale: MelScale = "htk"
) -> NDArray[np.float64]:
    """(window // 2 + 1, mels): how much of each frequency of a spectrum belongs to each mel band.

    Bands are triangles, each as high as 1; see `mel_corners`.
    """
    corners = mel_corners(mels, low, high, scale)
    frequencies = np.arange(window // 2 + 1)[:, None] * rate / window
    below, middle, above = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequencies - below) / (middle - below), (above - frequencies) / (above - middle)
    return np.clip(np.minimum(rising, falling), 0, None)
