"""One clip: which words lie where over which background, and how loud. Drawn from a generator, then mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import soxr
from numpy.typing import NDArray

from likewise.apps.synthesize.files import File
from likewise.apps.synthesize.piles import Background, Word
from likewise.data.synthesis import place
from likewise.media.sounds import Samples

HARD_SHARE = 0.25  # of negative words, where hard ones are asked for
FLOOR_DBFS = -40.0  # a quieter background counts as this loud: a word 10 dB above digital zero could not be heard
PEAK = 32767 / 32768  # the largest step of 16 bits


@final
@dataclass(frozen=True)
class Rules:
    """What scenes are drawn by: times in samples, levels in dB, both ends of a range included."""

    length: int
    gap: int
    most_positive: int
    most_negative: int
    snr_db: tuple[float, float]
    gain_db: tuple[float, float]
    speed: tuple[float, float]
    background_db: tuple[float, float]


@final
@dataclass(frozen=True)
class Piles:
    """What scenes are made of.

    Attributes:
        positive, negative, hard: words; none where a clip has none of them.
        backgrounds: at least one.
        cuts: for each background, how many cuts there are in those before it; and at the end, how many in all.
        sounds: the store that all the others lie in.
    """

    positive: Sequence[Word]
    negative: Sequence[Word]
    hard: Sequence[Word]
    backgrounds: Sequence[Background]
    cuts: NDArray[np.int64]
    sounds: Samples


@final
@dataclass(frozen=True)
class Placed:
    """A word in a clip, from sample `start` to before `end`, said so many times as fast and as high as in its file."""

    word: Word
    start: int
    end: int
    snr_db: float
    speed: float


@final
@dataclass(frozen=True)
class Scene:
    """A clip as it was drawn.

    Attributes:
        placed: its words by their starts.
        left_out: words that were drawn too, but for which there was no room.
        background: position in the store where the cut begins.
        file: the background file in which it begins.
        file_start: the sample of that file at which it begins.
        background_db: gain of the background alone, before words are laid over it.
        gain_db: of the whole; mixing may take more off.
    """

    placed: tuple[Placed, ...]
    left_out: int
    background: int
    file: File
    file_start: int
    background_db: float
    gain_db: float


def draw_scene(piles: Piles, rules: Rules, rng: np.random.Generator) -> Scene:
    """Every cut of the backgrounds is equally likely, so is every number of words up to the most, and every word."""
    cut = int(rng.integers(piles.cuts[-1]))
    which = int(np.searchsorted(piles.cuts, cut, side="right")) - 1
    background, position = piles.backgrounds[which], cut - int(piles.cuts[which])
    positive = int(rng.integers(rules.most_positive + 1))
    negative = int(rng.integers(rules.most_negative + 1))
    hard = int(rng.binomial(negative, HARD_SHARE)) if piles.hard else 0
    words = [
        pile[int(rng.integers(len(pile)))]
        for pile, number in ((piles.positive, positive), (piles.negative, negative - hard), (piles.hard, hard))
        for _ in range(number)
    ]
    words = [words[i] for i in rng.permutation(len(words))]  # else it would be negatives for which there is no room
    drawn = len(words)
    speeds = np.round(rng.uniform(*rules.speed, size=drawn), 3).tolist()
    lengths = [at_speed(word.length, speed) for word, speed in zip(words, speeds, strict=True)]
    while (starts := place(lengths, rules.length, rng, gap=rules.gap)) is None:
        lengths.pop()
    kept = len(lengths)
    levels = rng.uniform(*rules.snr_db, size=kept)
    placed = [
        Placed(word, int(start), int(start) + length, round(float(snr), 3), speed)
        for word, start, length, snr, speed in zip(words[:kept], starts, lengths, levels, speeds[:kept], strict=True)
    ]
    file, file_start = background.at(position)
    return Scene(
        placed=tuple(sorted(placed, key=lambda each: each.start)),
        left_out=drawn - kept,
        background=background.start + position,
        file=file,
        file_start=file_start,
        background_db=round(float(rng.uniform(*rules.background_db)), 3),
        gain_db=round(float(rng.uniform(*rules.gain_db)), 3),
    )


def mix(scene: Scene, sounds: Samples, length: int) -> tuple[Samples, float]:
    """The clip, and the gain in dB that all of it has: that of the scene, or less where it would pass full scale.

    The SNR of a word is its mean power over that of the background from its start to its end, or over `FLOOR_DBFS`
    where the background is quieter.
    """
    background = sounds[scene.background : scene.background + length] * np.float32(10 ** (scene.background_db / 20))
    clip = background.copy()
    for placed in scene.placed:
        word, under = placed.word, background[placed.start : placed.end]
        power = max(float(np.square(under, dtype=np.float64).mean()), 10 ** (FLOOR_DBFS / 10))
        said = sounds[word.start : word.start + word.length]
        of_word = word.power
        if placed.speed != 1:
            said = _said_at(said, placed.speed, placed.end - placed.start)
            # Its highest tones may be gone; what is left after all of them is noise, and not to be raised.
            of_word = max(float(np.square(said, dtype=np.float64).mean()), word.power / 100)
        clip[placed.start : placed.end] += np.float32(np.sqrt(power * 10 ** (placed.snr_db / 10) / of_word)) * said
    gain = 10 ** (scene.gain_db / 20)
    peak = float(np.abs(clip).max())
    if peak * gain > PEAK:
        gain = PEAK / peak
    clip *= np.float32(gain)
    return clip, 20 * float(np.log10(gain))


def at_speed(length: int, speed: float) -> int:
    """Samples of a word of so many samples, said so many times as fast."""
    return max(1, round(length / speed))


def _said_at(samples: Samples, speed: float, length: int) -> Samples:
    """(T,) -> (length,): as from a tape that runs faster or slower, with higher or lower pitch."""
    found = soxr.resample(samples, speed, 1.0)[:length]
    return np.pad(found, (0, length - len(found)))  # which may be a sample short
