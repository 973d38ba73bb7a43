"""Mistakes of a model that hears a word: words that it misses and false alarms, each to be listened to."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast, final

import numpy as np
import soundfile

from likewise.apps.mistakes.findings import Finding, Judged, counted
from likewise.apps.triggerword import Heard, TriggerWord
from likewise.data import Dataset
from likewise.data.dataset import Source
from likewise.encoder import Sounds
from likewise.media.lengths import whole_numbers
from likewise.media.sounds import Samples, read_sound

RATE = 8_000  # hertz at which cuts are played
BEFORE, AFTER = 0.5, 0.5  # seconds around a word that are played
HEARD = 1.5  # seconds before a false alarm, in which its reason is
SHOWN, MELS = 2.0, 60  # seconds of a spectrogram, and its bands
WORD, NOTHING = "the word", "nothing"


@final
@dataclass(frozen=True)
class Cut:
    """A stretch of a clip, read when it is asked for.

    Attributes:
        clip: the file.
        start, end: seconds from its beginning.
    """

    clip: Path
    start: float
    end: float

    def read(self) -> bytes:
        """As a WAV file.

        Raises:
            DataError: the clip cannot be read.
        """
        samples = _clip(self.clip)[max(0, round(self.start * RATE)) : round(self.end * RATE)]
        file = io.BytesIO()
        soundfile.write(file, whole_numbers(samples), RATE, "PCM_16", format="WAV")
        return file.getvalue()

    def __str__(self) -> str:
        return f"{self.clip} {self.start:.2f} to {self.end:.2f} s"


@lru_cache(maxsize=2)  # one clip may have many cuts
def _clip(file: Path) -> Samples:
    return read_sound(file, rate=RATE)


def judged_words(model: TriggerWord, heard: Heard, threshold: float, skipped: tuple[tuple[str, str], ...]) -> Judged:
    """What `model` misses at a threshold, by voices where they are known, and its false alarms.

    Args:
        model: what listened.
        heard: to what, and what it made of it.
        threshold: of probabilities.
        skipped: file and reason of each clip that could not be read.
    """
    clips, found = heard.data, heard.moments(threshold)
    words, sources = found.words, clips.sources
    cuts = [
        Cut(sources[clip], max(0.0, start - BEFORE), end + AFTER)
        for clip, start, end in zip(
            clips.clip[words].tolist(), clips.start[words].tolist(), clips.end[words].tolist(), strict=True
        )
    ]
    cuts += [
        Cut(sources[clip], max(0.0, at - HEARD), at)
        for clip, at in zip(found.clip.tolist(), found.seconds.tolist(), strict=True)
    ]
    names, voice = np.unique(clips.voices[words], return_inverse=True)
    known = bool((names != "").any())
    alarm = np.full(len(found.clip), len(names))
    data = Dataset(
        sources=cast("tuple[Source, ...]", tuple(cuts)),  # read as members of a zip are
        files=tuple(map(str, cuts)),
        labels=np.r_[np.zeros(len(words), np.int64), np.ones(len(alarm), np.int64)],
        names=(WORD, NOTHING),
        groups=np.r_[voice, alarm] if known else None,
        group_names=(*(name or "a voice unknown" for name in names.tolist()), "false alarm") if known else (),
        origin=clips.origin,
    )
    missed = np.flatnonzero(~found.found)
    mistakes: list[Finding] = []
    for i in missed[np.argsort(found.best[missed], kind="stable")].tolist():
        start, end, best = clips.start[words[i]], clips.end[words[i]], found.best[i]
        reason = "not" if best < threshold else "but an alarm had been raised too shortly before, at the threshold"
        why = (
            f"said from {start:.2f} to {end:.2f} s of its clip; its score reaches {best:.4g}, {reason} {threshold:.4g}"
        )
        mistakes.append(Finding("mistake", (i,), WORD, NOTHING, None, None, why, (WORD, NOTHING)))
    alarms = [
        Finding(
            "false alarm", (len(words) + int(i),), NOTHING, WORD, float(found.score[i]), None,
            f"at {found.seconds[i]:.2f} s of its clip", (NOTHING, WORD),
        )
        for i in np.argsort(-found.score, kind="stable")
    ]  # fmt: skip
    note = f"{counted(len(alarms), 'false alarm')} in {heard.hours:.3g} h, at the threshold {threshold:.4g}."
    hint = (
        f"{counted(len(alarms), 'false alarm')}: collect more sounds like them, and give them to `likewise synthesize`"
        " as negatives or backgrounds. One that is the word after all is missing in the table of its clips."
    )
    trained = model.known(clips)
    return Judged(
        task="hear",
        data=data,
        how=Sounds.at(model.sounds.rate, SHOWN, mels=MELS, hop_seconds=SHOWN / (2 * MELS)),
        trained_on=trained[np.r_[clips.clip[words], found.clip].astype(np.int64)],
        skipped=skipped,
        asked="words are missed",
        of=np.zeros(len(words), np.int64),
        names=(WORD,),
        item=np.arange(len(words)),
        wrong=~found.found,
        mistakes=tuple(mistakes),
        suspects=(),
        suggested=(),
        sample=heard.voices,
        hardest=tuple(alarms),
        notes=(note,),
        hints=(hint,) if alarms else (),
    )
