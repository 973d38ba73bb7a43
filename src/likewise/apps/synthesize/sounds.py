"""`likewise synthesize` of sounds: clips with exact labels from three piles."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from likewise.apps.making import Progress
from likewise.apps.synthesize.files import LEAST_RATE, File, bandwidths, list_piles
from likewise.apps.synthesize.flow import DrawOptions, Folders, conduct, digest, listed
from likewise.apps.synthesize.piles import Kind, Skipped, Word, hard_negatives, read_backgrounds, read_words
from likewise.apps.synthesize.scene import Piles, Rules, Scene, draw_scene, mix
from likewise.apps.synthesize.store import Store
from likewise.errors import UsageError
from likewise.media.files import check_outside, replacing_file
from likewise.media.sounds import HIGHEST_RATE, write_sound

MANIFEST = "manifest.csv"
RECORD = "clips.json"
SOUNDS = "sounds"  # the folder of the clips in OUT
COLUMNS = (
    "path", "seconds", "start", "end", "word", "kind", "source", "group", "snr_db", "speed",
    "background", "background_start", "background_db", "gain_db",
)  # fmt: skip
MOST_SECONDS = 3_600


@final
@dataclass(frozen=True)
class SynthesisOptions(DrawOptions):
    """What clips are made; see `DrawOptions` too.

    Attributes:
        seconds: length of each.
        rate: samples per second.
        snr_db: range of a word's mean power over that of the background under it; drawn uniformly for each word.
        gain_db: range of the gain of a whole clip.
        background_db: range of the gain of a clip's background under the words: rooms are quiet at times.
        speed: range of how many times as fast, and as high, as in its file a word is said; drawn for each.
        most_positive: a clip has 0 to this many positive words, each number as often as the others.
        most_negative: likewise.
        gap: least seconds between two words.
        hard: whether a quarter of the negative words are halves of positive ones, and halves said twice.
    """

    seconds: float = 10.0
    rate: int = 16_000
    snr_db: tuple[float, float] = (0.0, 20.0)
    gain_db: tuple[float, float] = (-12.0, 0.0)
    background_db: tuple[float, float] = (-20.0, 0.0)
    speed: tuple[float, float] = (1.0, 1.0)
    most_positive: int = 4
    most_negative: int = 4
    gap: float = 0.0
    hard: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be made."""
        super().__post_init__()
        if not LEAST_RATE <= self.rate <= HIGHEST_RATE:
            raise UsageError(f"Speech has {LEAST_RATE:,} to {HIGHEST_RATE:,} samples per second", f"{self.rate:,}")
        if not 1 / self.rate <= self.seconds <= MOST_SECONDS:
            raise UsageError(f"A clip lasts up to {MOST_SECONDS:,} s", f"{self.seconds:g} s")
        if min(self.most_positive, self.most_negative) < 0:
            raise UsageError("A clip has 0 or more words", min(self.most_positive, self.most_negative))
        for name, (low, high) in (
            ("SNR", self.snr_db),
            ("gain", self.gain_db),
            ("background gain", self.background_db),
        ):
            if not -100 <= low <= high <= 100:
                raise UsageError(f"The {name} is from a lower to a higher level in dB", f"{low:g} to {high:g}")
        if not 0.5 <= self.speed[0] <= self.speed[1] <= 2:
            raise UsageError(
                "A speed is from a lower to a higher one, 0.5 to 2", f"{self.speed[0]:g} to {self.speed[1]:g}"
            )
        if not (math.isfinite(self.gap) and self.gap >= 0):
            raise UsageError("A gap is at least 0 s", self.gap)

    @property
    def length(self) -> int:
        """Samples of a clip."""
        return round(self.seconds * self.rate)


@final
@dataclass(frozen=True)
class Synthesized:
    """What `synthesize` made.

    Attributes:
        out: the folder.
        clips: how many.
        seconds: of sound in all.
        positive: words placed that are to be found.
        negative: words placed that are not.
        hard: of these, halves of positive words.
        left_out: words for which a clip had no room.
        files: how many of each pile were used.
        skipped: file and reason of each that could not be.
        notes: what the person should know.
    """

    out: Path
    clips: int
    seconds: float
    positive: int
    negative: int
    hard: int
    left_out: int
    files: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def manifest(self) -> Path:
        """The table of all words: where each begins and ends."""
        return self.out / MANIFEST

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the keys of `likewise synthesize --json`."""
        return {
            "clips": self.clips,
            "seconds": self.seconds,
            "manifest": str(self.manifest),
            **self._counts(),
        }

    def _counts(self) -> dict[str, Any]:
        return {
            "positive": self.positive,
            "negative": self.negative,
            "hard": self.hard,
            "left_out": self.left_out,
            "files": self.files,
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "notes": list(self.notes),
        }


def synthesize(
    positive: Folders | None,
    negative: Folders | None,
    background: Folders,
    out: Path | str,
    options: SynthesisOptions | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Synthesized:
    """Writes clips with words over backgrounds, and a table of where every word lies.

    The piles are only read. Stopped and called again with the same arguments it goes on where it was; the manifest is
    written at the end, so a folder that has one is whole.

    Args:
        positive: folder, or several, of clips of the word to be found, one in each; None where there are to be none.
        negative: likewise, of clips of other words.
        background: likewise, of noise, music, rooms, others' speech.
        out: where to: WAV files, manifest.csv and clips.json.
        options: the defaults if None.
        workers: threads, as many as there are processors by default; they do not change the clips.
        progress: told of every stage.

    Raises:
        UsageError: options that cannot be; folders that share files; an `out` that lies in a pile, holds
            something else, or was made with other options or of other files.
        DataError: a pile of which nothing can be used; a folder that cannot be read or written.
    """
    options = options or SynthesisOptions()
    out = Path(out)
    given = {"positives": positive, "negatives": negative, "backgrounds": background}
    folders = {pile: listed(each) for pile, each in given.items()}
    _check_folders(folders, options)
    check_outside(out, [folder for each in folders.values() for folder in each])
    piles, notes = list_piles(folders, options.take, options.expression(), "sound", workers, progress)
    if note := bandwidths(piles, options.rate):
        notes.append(note)
    made_from = options.made_from({pile: digest(files) for pile, files in piles.items()}, "soundfile", "soxr")
    return conduct(_Sounds(piles, options, notes), out, options.count, made_from, workers, progress)


@final
class _Sounds:
    """Clips; see `Kind`.

    Args:
        piles: files of each pile.
        options: what is asked.
        notes: what the person should know already.
    """

    record, folder, dtype, called = RECORD, SOUNDS, np.float32, "clips"

    def __init__(self, piles: dict[str, list[File]], options: SynthesisOptions, notes: Sequence[str]) -> None:
        self._files, self._options, self._notes = piles, options, list(notes)
        self._skipped: Skipped = []
        self._rules = Rules(
            length=options.length,
            gap=round(options.gap * options.rate),
            most_positive=options.most_positive,
            most_negative=options.most_negative,
            snr_db=options.snr_db,
            gain_db=options.gain_db,
            speed=options.speed,
            background_db=options.background_db,
        )

    def read(self, store: Store[np.float32], workers: int | None, progress: Progress | None) -> None:
        """The piles, and what could not be read of them."""
        rate, length = self._options.rate, self._options.length

        def words(name: str, kind: Kind) -> list[Word]:
            if not self._files[name]:
                return []
            found, unusable = read_words(self._files[name], kind, store, rate, length, workers, progress)
            self._skipped.extend(unusable)
            return found

        positive, negative = words("positives", "positive"), words("negatives", "negative")
        files = self._files["backgrounds"]
        backgrounds, unusable, notes = read_backgrounds(files, store, rate, length, workers, progress)
        self._skipped.extend(unusable)
        self._notes += notes
        hard = hard_negatives(positive, store, rate, length) if self._options.hard else []
        cuts = np.cumsum([0, *(each.length - length + 1 for each in backgrounds)])
        self._piles = Piles(positive, negative, hard, backgrounds, cuts, store.mapped())

    def make(self, number: int, out: Path) -> tuple[Scene, float]:
        """The clip's scene and its gain in dB."""
        scene = draw_scene(self._piles, self._rules, np.random.default_rng([self._options.seed, number]))
        clip, gain_db = mix(scene, self._piles.sounds, self._rules.length)
        file = out / _path(number, self._options)
        if not file.exists():
            write_sound(file, clip, self._options.rate)
        return scene, gain_db

    def finish(self, out: Path, scenes: Sequence[tuple[Scene, float]]) -> Synthesized:
        """Writes the manifest."""
        kinds = [placed.word for scene, _ in scenes for placed in scene.placed]
        result = Synthesized(
            out=out,
            clips=len(scenes),
            seconds=len(scenes) * self._rules.length / self._options.rate,
            positive=sum(word.kind == "positive" for word in kinds),
            negative=sum(word.kind == "negative" for word in kinds),
            hard=sum(word.hard for word in kinds),
            left_out=sum(scene.left_out for scene, _ in scenes),
            files={
                "positives": len(self._piles.positive),
                "negatives": len(self._piles.negative),
                "backgrounds": sum(len(each.files) for each in self._piles.backgrounds),
            },
            skipped=tuple(self._skipped),
            notes=tuple(self._notes),
        )
        _write_manifest(result.manifest, scenes, self._options)
        return result


def _check_folders(folders: Mapping[str, Sequence[Path]], options: SynthesisOptions) -> None:
    """There is a pile of all that a clip is to hold."""
    for pile, most in (("positives", options.most_positive), ("negatives", options.most_negative)):
        if most and not folders[pile]:
            kind = pile.removesuffix("s")
            raise UsageError(
                f"Clips with {kind} words need a pile of them", "none", f"Pass --{kind} DIR, or --most-{kind} 0."
            )
    if options.hard and not folders["positives"]:
        raise UsageError(
            "--hard makes negatives of positive words", "no pile of these", "Pass --positive DIR, or leave out --hard."
        )
    if not folders["backgrounds"]:
        raise UsageError("Clips are cut out of a pile of backgrounds", "none", "Pass --background DIR.")


def _path(number: int, options: SynthesisOptions) -> str:
    return f"{SOUNDS}/{number:0{max(5, len(str(options.count - 1)))}}.wav"


def _write_manifest(file: Path, clips: Sequence[tuple[Scene, float]], options: SynthesisOptions) -> None:
    """A row for each word, and one for each clip that has none. Times to the microsecond tell the sample."""
    rate, seconds = options.rate, f"{options.length / options.rate:.6f}"
    with (
        replacing_file(file) as fresh,
        fresh.open("w", encoding="utf-8", errors="backslashreplace", newline="") as text,
    ):
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for number, (scene, gain_db) in enumerate(clips):
            clip = (_path(number, options), seconds)
            whole = (scene.file.name, f"{scene.file_start / rate:.6f}", f"{scene.background_db:.3f}", f"{gain_db:.4f}")
            for placed in scene.placed:
                word = placed.word
                times = (f"{placed.start / rate:.6f}", f"{placed.end / rate:.6f}")
                origin = (
                    word.word,
                    word.kind,
                    word.file.name,
                    word.file.group,
                    f"{placed.snr_db:.3f}",
                    f"{placed.speed:.3f}",
                )
                table.writerow((*clip, *times, *origin, *whole))
            if not scene.placed:
                table.writerow((*clip, *[""] * 8, *whole))
