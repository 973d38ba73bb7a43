"""`likewise synthesize`: clips with exact labels from three piles of sounds."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

from likewise.apps.making import Progress, check_makable, in_order, write_record
from likewise.apps.synthesize.files import LEAST_RATE, File, bandwidths, list_piles
from likewise.apps.synthesize.piles import Kind, Skipped, Word, hard_negatives, read_backgrounds, read_words
from likewise.apps.synthesize.scene import Piles, Rules, Scene, draw_scene, mix
from likewise.apps.synthesize.store import Store
from likewise.errors import UsageError
from likewise.media.files import replacing_file
from likewise.media.sounds import HIGHEST_RATE, write_sound

MANIFEST = "manifest.csv"
RECORD = "clips.json"
SOUNDS = "sounds"  # the folder of the clips in OUT
COLUMNS = (
    "path", "seconds", "start", "end", "word", "kind", "source", "group", "snr_db", "speed",
    "background", "background_start", "background_db", "gain_db",
)  # fmt: skip
MOST_SECONDS = 3_600

Folders: TypeAlias = Path | str | Sequence[Path | str]


@final
@dataclass(frozen=True)
class SynthesisOptions:
    """What clips are made.

    Attributes:
        count: clips.
        seconds: length of each.
        seed: of everything random; the same seed and piles give the same clips.
        rate: samples per second.
        snr_db: range of a word's mean power over that of the background under it; drawn uniformly for each word.
        gain_db: range of the gain of a whole clip.
        background_db: range of the gain of a clip's background under the words: rooms are quiet at times.
        speed: range of how many times as fast, and as high, as in its file a word is said; drawn for each.
        most_positive: a clip has 0 to this many positive words, each number as often as the others.
        most_negative: likewise.
        gap: least seconds between two words.
        hard: whether a quarter of the negative words are halves of positive ones, and halves said twice.
        take: the share of each folder that is used, from and to, in the order of its files.
        group_from: regular expression with one group, which it finds in file names. Files of one group are used
            together or not at all, in all piles, and the share is one of groups.
    """

    count: int = 4_000
    seconds: float = 10.0
    seed: int = 0
    rate: int = 16_000
    snr_db: tuple[float, float] = (0.0, 20.0)
    gain_db: tuple[float, float] = (-12.0, 0.0)
    background_db: tuple[float, float] = (-20.0, 0.0)
    speed: tuple[float, float] = (1.0, 1.0)
    most_positive: int = 4
    most_negative: int = 4
    gap: float = 0.0
    hard: bool = False
    take: tuple[float, float] = (0.0, 1.0)
    group_from: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be made."""
        if self.count < 1:
            raise UsageError("At least 1 clip is made", self.count, "Pass for example --count 4000.")
        if not LEAST_RATE <= self.rate <= HIGHEST_RATE:
            raise UsageError(f"Speech has {LEAST_RATE:,} to {HIGHEST_RATE:,} samples per second", f"{self.rate:,}")
        if not 1 / self.rate <= self.seconds <= MOST_SECONDS:
            raise UsageError(f"A clip lasts up to {MOST_SECONDS:,} s", f"{self.seconds:g} s")
        if self.seed < 0:
            raise UsageError("A seed is at least 0", self.seed)
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
        if not 0 <= self.take[0] < self.take[1] <= 1:
            raise UsageError(
                "A share of the piles is from a lower to a higher number, 0 to 1",
                f"{self.take[0]:g}:{self.take[1]:g}",
                "Take for example 0:0.6 to train and 0.8:1 to test.",
            )
        self.expression()

    @property
    def length(self) -> int:
        """Samples of a clip."""
        return round(self.seconds * self.rate)

    def expression(self) -> re.Pattern[str] | None:
        """`group_from`, compiled."""
        if self.group_from is None:
            return None
        try:
            expression = re.compile(self.group_from)
        except re.error as error:
            raise UsageError("--group-from is a regular expression", f"{self.group_from!r}: {error}") from error
        if expression.groups != 1:
            received = f"{self.group_from!r}, which has {expression.groups}"
            raise UsageError("--group-from has one group in parentheses", received)
        return expression


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
    folders = {pile: _folders(each) for pile, each in given.items()}
    _check_folders(folders, out, options)
    piles, notes = list_piles(folders, options.take, options.expression(), workers, progress)
    if note := bandwidths(piles, options.rate):
        notes.append(note)
    made_from = _made_from(piles, options)
    check_makable(out, RECORD, made_from)
    out.parent.mkdir(parents=True, exist_ok=True)
    with closing(Store(out.parent)) as store:
        read, skipped, more = _read(piles, store, options, workers, progress)
        (out / SOUNDS).mkdir(parents=True, exist_ok=True)
        write_record(out, RECORD, made_from, None)
        rules = Rules(
            length=options.length,
            gap=round(options.gap * options.rate),
            most_positive=options.most_positive,
            most_negative=options.most_negative,
            snr_db=options.snr_db,
            gain_db=options.gain_db,
            speed=options.speed,
            background_db=options.background_db,
        )

        def make(number: int) -> tuple[Scene, float]:
            scene = draw_scene(read, rules, np.random.default_rng([options.seed, number]))
            clip, gain_db = mix(scene, read.sounds, rules.length)
            file = out / _path(number, options)
            if not file.exists():
                write_sound(file, clip, options.rate)
            return scene, gain_db

        clips = in_order(make, range(options.count), workers=workers, progress=progress, text="clips")
    kinds = [placed.word for scene, _ in clips for placed in scene.placed]
    result = Synthesized(
        out=out,
        clips=options.count,
        seconds=options.count * rules.length / options.rate,
        positive=sum(word.kind == "positive" for word in kinds),
        negative=sum(word.kind == "negative" for word in kinds),
        hard=sum(word.hard for word in kinds),
        left_out=sum(scene.left_out for scene, _ in clips),
        files={
            "positives": len(read.positive),
            "negatives": len(read.negative),
            "backgrounds": sum(len(each.files) for each in read.backgrounds),
        },
        skipped=tuple(skipped),
        notes=(*notes, *more),
    )
    _write_manifest(result.manifest, clips, options)
    write_record(out, RECORD, made_from, result.as_dict() | {"manifest": MANIFEST})
    return result


def _folders(given: Folders | None) -> list[Path]:
    if given is None:
        return []
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(each) for each in given]


def _check_folders(folders: Mapping[str, Sequence[Path]], out: Path, options: SynthesisOptions) -> None:
    """There is a pile of all that a clip is to hold, and `out` lies in none."""
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
    target = out.resolve()
    for folder in (folder for given in folders.values() for folder in given):
        if target == folder.resolve() or folder.resolve() in target.parents:
            raise UsageError(
                "Clips are written outside of the piles", f"{str(out)!r} in {str(folder)!r}", "Choose another place."
            )


def _made_from(piles: Mapping[str, Sequence[File]], options: SynthesisOptions) -> dict[str, Any]:
    """All that decides what the clips are, to the last bit, as JSON gives it back. Options have the command's names."""
    made_from = {
        **{_option(name): value for name, value in asdict(options).items()},
        **{pile: _digest(files) for pile, files in piles.items()},
        "versions": {name: version(name) for name in ("likewise", "numpy", "soundfile", "soxr")},
    }
    return json.loads(json.dumps(made_from))


def _option(name: str) -> str:
    """What the command calls an option."""
    if name == "background_db":
        return "--background-gain"
    return "--" + name.removesuffix("_db").replace("_", "-")


def _digest(files: Sequence[File]) -> str:
    """SHA-256 of a pile: of names, words and contents."""
    lines = "\n".join(f"{file.name}\0{file.word}\0{file.sha256}" for file in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _read(
    piles: dict[str, list[File]],
    store: Store,
    options: SynthesisOptions,
    workers: int | None,
    progress: Progress | None,
) -> tuple[Piles, Skipped, list[str]]:
    """The piles in the store, the files that could not be read, and what the person should know."""
    rate, length = options.rate, options.length
    skipped: Skipped = []

    def words(name: str, kind: Kind) -> list[Word]:
        if not piles[name]:
            return []
        found, unusable = read_words(piles[name], kind, store, rate, length, workers, progress)
        skipped.extend(unusable)
        return found

    positive, negative = words("positives", "positive"), words("negatives", "negative")
    backgrounds, unusable, notes = read_backgrounds(piles["backgrounds"], store, rate, length, workers, progress)
    skipped.extend(unusable)
    hard = hard_negatives(positive, store, rate, length) if options.hard else []
    cuts = np.cumsum([0, *(each.length - length + 1 for each in backgrounds)])
    return Piles(positive, negative, hard, backgrounds, cuts, store.mapped()), skipped, notes


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
