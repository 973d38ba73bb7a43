"""`likewise voices`: clips of words that are spoken by programs, each checked before it is kept."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np

from likewise.apps.making import Progress, check_makable, in_order, write_record
from likewise.apps.voices.near import near_misses
from likewise.apps.voices.speakers import ESPEAK, FLITE, Manner, Speaker, accents, installed, say, speakers
from likewise.errors import DataError, LikewiseError, UsageError
from likewise.media.files import replacing_file
from likewise.media.sounds import HIGHEST_RATE, Samples, read_sound, sound_info, word_bounds, write_sound

MANIFEST = "manifest.csv"
RECORD = "voices.json"
NEAR = "near-misses"  # the folder of them in OUT
COLUMNS = ("path", "label", "group", "kind", "seconds", "program", "accent", "pitch", "speed")
PITCH = (25, 75)  # of 0 to 99; beyond, voices are caricatures
SPEED = (120, 220)  # words a minute, from slow and clear to hurried
LEAST_RATE = 4_000  # Hz; below it no consonant is left
SILENCE_DBFS = -60.0  # what programs speak lies well above, what they pad it with is digital zero
ROOM_DBFS = -70.0
ROOM_SECONDS = 0.25
MOST_BYTES = 100  # of a word; file systems allow 255 for a name
LEAST_SECONDS = 0.1  # of a word
MOST_SECONDS, MOST_SECONDS_PER_LETTER = 1.0, 0.25  # 2.25 s for "alexa"; what takes longer is spelt, or stuck


@final
@dataclass(frozen=True)
class VoicesOptions:
    """What is spoken.

    Attributes:
        count: clips of each word, and as many of its near misses together.
        seed: of everything drawn: who speaks, accent, pitch and speed.
        rate: samples per second.
        near: different near misses of each word.
        language: that the words are in, as espeak-ng calls it.
    """

    count: int = 500
    seed: int = 0
    rate: int = 16_000
    near: int = 0
    language: str = "en"

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be made."""
        if self.count < 1:
            raise UsageError("At least 1 clip is made", self.count, "Pass for example --count 500.")
        if self.seed < 0:
            raise UsageError("A seed is at least 0", self.seed)
        if self.near < 0:
            raise UsageError("There are 0 or more near misses", self.near)
        if not LEAST_RATE <= self.rate <= HIGHEST_RATE:
            raise UsageError(f"Speech has {LEAST_RATE:,} to {HIGHEST_RATE:,} samples per second", f"{self.rate:,}")


@final
@dataclass(frozen=True)
class Spoken:
    """What `speak` made.

    Attributes:
        out: the folder.
        words: clips of each word.
        near: clips of each near miss.
        seconds: of sound in all.
        voices: how many there are, an espeak-ng variant in several accents being one.
        skipped: what was to be spoken and was not, and why.
    """

    out: Path
    words: dict[str, int]
    near: dict[str, int]
    seconds: float
    voices: int
    skipped: tuple[tuple[str, str], ...]

    @property
    def clips(self) -> int:
        """How many in all."""
        return sum(self.words.values()) + sum(self.near.values())

    @property
    def manifest(self) -> Path:
        """The table of all clips: who says what, and how."""
        return self.out / MANIFEST

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise voices --json`."""
        return {
            "clips": self.clips,
            "seconds": self.seconds,
            "manifest": str(self.manifest),
            "words": self.words,
            "near": self.near,
            "voices": self.voices,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
        }


@final
@dataclass(frozen=True)
class _Clip:
    """One clip to be: what is said, by whom and how, the file in OUT, and the seed of its room."""

    text: str
    near: bool
    speaker: Speaker
    manner: Manner
    file: str
    seed: tuple[int, ...]


def speak(
    words: Sequence[str],
    out: Path | str,
    options: VoicesOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Spoken:
    """Speaks words with all voices that are installed, in turn, and keeps what passes for speech.

    A file is named for its voice: ``alexa/espeak-en-us+f3-0001.wav``, ``alexa/flite-slt-0002.wav``; in the manifest the
    voice, without the accent, is the group. Near misses lie in ``near-misses/``. Stopped and called again with the same
    arguments it goes on where it was.

    Args:
        words: words or phrases; each is a folder in `out`.
        out: where to.
        options: the defaults if None.
        workers: threads, as many as there are processors by default; they do not change the clips.
        progress: told of every stage.

    Raises:
        UsageError: no program to speak with, a language it does not know, words that cannot be folders, or an `out`
            that holds something else or was made with other options.
        DataError: nothing could be spoken, or not be written.
    """
    options = options or VoicesOptions()
    out = Path(out)
    words = _checked(words, options)
    programs = installed()
    if options.near and ESPEAK not in programs:
        raise UsageError("Near misses are told from a word by espeak-ng", "flite alone", "Run `apt install espeak-ng`.")
    known = accents(options.language) if ESPEAK in programs else []
    cast = speakers(options.language, workers, progress)
    near = [
        near_misses(word, words, options.near, known[0], np.random.default_rng([options.seed, i]))
        if options.near
        else []
        for i, word in enumerate(words)
    ]
    made_from = {
        **{f"--{name}": value for name, value in asdict(options).items()},  # as the command names them
        "words": list(words),
        NEAR: near,
        "voices": [f"{speaker.program} {speaker.name}" for speaker in cast],
        "accents": known,
    }
    check_makable(out, RECORD, made_from)
    clips = _plan(words, near, cast, known, options)
    for folder in {(out / clip.file).parent for clip in clips}:
        folder.mkdir(parents=True, exist_ok=True)
    write_record(out, RECORD, made_from, None)

    def make(clip: _Clip) -> float | str:
        try:
            return _make(clip, out / clip.file, options.rate)
        except LikewiseError as error:
            return str(error)

    made = in_order(make, clips, workers=workers, progress=progress, text="speaking")
    skipped = tuple((clip.file, why) for clip, why in zip(clips, made, strict=True) if isinstance(why, str))
    kept = [(clip, seconds) for clip, seconds in zip(clips, made, strict=True) if not isinstance(seconds, str)]
    if not kept:
        raise DataError("At least one voice speaks", f"none: {skipped[0][0]}: {skipped[0][1]}")
    _write_manifest(out / MANIFEST, kept)
    spoken = Spoken(
        out=out,
        words=dict(Counter(clip.text for clip, _ in kept if not clip.near)),
        near=dict(Counter(clip.text for clip, _ in kept if clip.near)),
        seconds=sum(seconds for _, seconds in kept),
        voices=len({clip.speaker for clip, _ in kept}),
        skipped=skipped,
    )
    write_record(out, RECORD, made_from, spoken.as_dict() | {"manifest": MANIFEST})
    return spoken


def _checked(words: Sequence[str], options: VoicesOptions) -> tuple[str, ...]:
    """The words in one form of Unicode, once it is sure that they can be spoken and be folders."""
    checked = tuple(unicodedata.normalize("NFC", " ".join(word.split())) for word in words)
    for word in checked:
        if not any(letter.isalnum() for letter in word) or len(word.encode("utf-8", "replace")) > MOST_BYTES:
            raise UsageError(f"A word has letters, and at most {MOST_BYTES} bytes", repr(word), "Name another.")
        if set(word) & set("/\\:") or word.startswith(".") or not word.isprintable():
            raise UsageError(
                "A word can be the name of a folder", repr(word), "Leave out dots in front, / and the like."
            )
        if word == NEAR and options.near:
            raise UsageError(f"{NEAR} is the folder of near misses", repr(word), "Speak it in a run of its own.")
    if not checked or len(set(checked)) < len(checked):
        raise UsageError("Words are different ones, at least 1", ", ".join(checked) or "none")
    return checked


def _plan(
    words: Sequence[str],
    near: Sequence[Sequence[str]],
    cast: Sequence[Speaker],
    known: Sequence[str],
    options: VoicesOptions,
) -> list[_Clip]:
    """Every voice in turn for a word, in an order drawn for it; any for a near miss."""
    digits = max(4, len(str(options.count)))
    clips: list[_Clip] = []
    for i, word in enumerate(words):
        order = np.random.default_rng([options.seed, i]).permutation(len(cast))
        for number in range(options.count):
            for is_near in (False, True)[: 1 + bool(near[i])]:
                seed = options.seed, i, number, int(is_near)
                rng = np.random.default_rng(seed)
                speaker = cast[int(rng.integers(len(cast)) if is_near else order[number % len(cast)])]
                text = near[i][number % len(near[i])] if is_near else word
                manner = Manner(
                    accent=str(rng.choice(known)) if speaker.program == ESPEAK else "",
                    pitch=int(rng.integers(PITCH[0], PITCH[1] + 1)),
                    speed=int(rng.integers(SPEED[0], SPEED[1] + 1)),
                )
                voice = speaker.name.replace(" ", "_")
                voice = f"espeak-{manner.accent}+{voice}" if speaker.program == ESPEAK else f"{FLITE}-{voice}"
                folder = f"{NEAR}/{text}" if is_near else text
                file = f"{folder}/{voice}-{number + 1:0{digits}}.wav"
                clips.append(_Clip(text, is_near, speaker, manner, file, (*seed, 1)))
    return clips


def _make(clip: _Clip, file: Path, rate: int) -> float | str:
    """Seconds of the clip, which is there afterwards; or why it is not."""
    if not file.exists():
        with TemporaryDirectory() as folder:
            raw = Path(folder) / "spoken.wav"
            if problem := say(clip.text, clip.speaker, clip.manner, raw):
                return problem
            spoken = read_sound(raw, rate=rate, max_seconds=60, name=f"what {clip.speaker.program} wrote")
        samples = _in_a_room(spoken, rate, np.random.default_rng(clip.seed))
        if problem := _implausible(samples, rate, clip.text):
            return problem
        write_sound(file, samples, rate)
    return sound_info(file).seconds


def _in_a_room(spoken: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """The word with a quarter of a second before and behind it, over noise that is hardly heard.

    Where a word ends is found by how much louder it is than what is around it. With digital zero around, 33 of 500
    clips lost more than 0.1 s of what lies within 25 dB of their loudest; so it is 3, which are echoes of one voice.
    """
    loud = np.flatnonzero(np.abs(spoken) > 10 ** (SILENCE_DBFS / 20))
    word = spoken[loud[0] : loud[-1] + 1] if len(loud) else spoken[:0]
    samples = np.pad(word, round(ROOM_SECONDS * rate))
    samples += np.float32(10 ** (ROOM_DBFS / 20)) * rng.standard_normal(len(samples), dtype=np.float32)
    return samples


def _implausible(samples: Samples, rate: int, text: str) -> str | None:
    """Why this is no such word, if it is none."""
    bounds = word_bounds(samples, rate)
    if bounds is None:
        return "no word is heard in what was spoken"
    seconds, most = (bounds[1] - bounds[0]) / rate, MOST_SECONDS + MOST_SECONDS_PER_LETTER * len(text)
    if not LEAST_SECONDS <= seconds <= most:
        return f"what was spoken lasts {seconds:.2f} s, where {LEAST_SECONDS:g} to {most:g} s are plausible"
    return None


def _write_manifest(file: Path, kept: Sequence[tuple[_Clip, float]]) -> None:
    with replacing_file(file) as fresh, fresh.open("w", encoding="utf-8", newline="") as text:
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for clip, seconds in kept:
            manner, speaker = clip.manner, clip.speaker
            voice = f"{speaker.program} {speaker.name}"
            kind = "near miss" if clip.near else "word"
            how = (speaker.program, manner.accent, manner.pitch, manner.speed)
            table.writerow((clip.file, clip.text, voice, kind, f"{seconds:.6f}", *how))
