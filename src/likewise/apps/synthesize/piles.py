"""What is used of the files of the three piles: of words what is said, of backgrounds all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, final

import numpy as np

from likewise.apps.making import Progress, in_order
from likewise.apps.synthesize.files import File
from likewise.apps.synthesize.store import Store
from likewise.errors import DataError, LikewiseError
from likewise.media.sounds import Samples, read_sound, sound_info, stream_sound, word_bounds

Kind = Literal["positive", "negative"]
Skipped = list[tuple[str, str]]  # file and reason
Read = TypeVar("Read")

TOO_LONG, TOO_SHORT = 1.6, 0.6  # of the median length of a word
STRICTER = (0.5, 0.6, 0.7)  # shares for `word_bounds`
LEAST_FOR_MEDIAN = 5  # clips of a word
LONGEST_WORD_FILE = 60.0  # s; a word with so much around it is a recording that nobody cut
BLOCK_SECONDS = 60
FADE_SECONDS = 0.005  # where a word is cut in the middle: a click would tell halves from words


@final
@dataclass(frozen=True)
class Word:
    """A word, or a part of one, in the store.

    Attributes:
        file: where it came from.
        word: what is said.
        kind: positive or negative.
        start: its position in the store.
        length: samples.
        power: mean square.
    """

    file: File
    word: str
    kind: Kind
    start: int
    length: int
    power: float

    @property
    def hard(self) -> bool:
        """Whether it was made of a positive word."""
        return self.word != self.file.word


@final
@dataclass(frozen=True)
class Background:
    """A stretch of the store that clips are cut out of: a long file, or short ones joined end to end.

    Attributes:
        start: its position in the store.
        length: samples.
        files: what it consists of.
        begins: where each of them begins in it.
    """

    start: int
    length: int
    files: tuple[File, ...]
    begins: tuple[int, ...]

    def at(self, position: int) -> tuple[File, int]:
        """The file that a position lies in, and the position in that."""
        i = int(np.searchsorted(self.begins, position, side="right")) - 1
        return self.files[i], position - self.begins[i]


def read_words(
    files: Sequence[File],
    kind: Kind,
    store: Store[np.float32],
    rate: int,
    longest: int,
    workers: int | None,
    progress: Progress | None,
) -> tuple[list[Word], Skipped]:
    """The word of each file, without what is around it.

    Args:
        files: of one pile.
        kind: which pile it is.
        store: where they are put.
        rate: samples per second.
        longest: samples of a clip, which a word has to fit into.
        workers: threads.
        progress: told how many files are read.

    Raises:
        DataError: there is not one that can be used.
    """

    def read(file: File) -> Word | str:
        try:
            samples = read_sound(file.path, rate=rate, max_seconds=LONGEST_WORD_FILE)
        except LikewiseError as error:
            return str(error)
        bounds = word_bounds(samples, rate)
        if bounds is None:
            return "no word found: it is silent, or as loud everywhere"
        word = samples[slice(*bounds)]
        if len(word) > longest:
            return f"the word is longer than a clip: {len(word) / rate:.2f} s of {longest / rate:g} s; see --seconds"
        return _stored(word, file, file.word, kind, store)

    made = in_order(read, files, workers=workers, progress=progress, text=f"reading {kind}s")
    if kind == "positive":
        made = _of_like_length(files, made, store, rate, workers)
    words, skipped = _sorted_out(files, made)
    if not words:
        raise _none_usable(f"{kind} words", skipped)
    return words, skipped


def _of_like_length(
    files: Sequence[File], made: Sequence[Word | str], store: Store[np.float32], rate: int, workers: int | None
) -> list[Word | str]:
    """The same word by many people lasts about as long.

    What is `TOO_LONG` times the median took in noise. It is looked for again above louder and louder floors; where that
    does not help the clip is left out, as its word would be thought to end when it has long been over. What is
    `TOO_SHORT` is a part of the word or a click, which must not be taken for it.
    """
    lengths: dict[str, list[int]] = {}
    for word in made:
        if isinstance(word, Word):
            lengths.setdefault(word.word, []).append(word.length)
    usual = {word: float(np.median(found)) for word, found in lengths.items() if len(found) >= LEAST_FOR_MEDIAN}

    def checked(read: tuple[File, Word | str]) -> Word | str:
        file, word = read
        if isinstance(word, str) or word.word not in usual:
            return word
        least, most = (share * usual[word.word] for share in (TOO_SHORT, TOO_LONG))
        told = f"{word.length / rate:.2f} s, where {word.word!r} lasts {usual[word.word] / rate:.2f} s"
        if word.length < least:
            return f"a part of the word, or a click: {told}"
        if word.length <= most:
            return word
        samples = read_sound(file.path, rate=rate, max_seconds=LONGEST_WORD_FILE)
        for share in STRICTER:
            bounds = word_bounds(samples, rate, share)
            if bounds and least <= bounds[1] - bounds[0] <= most:
                return _stored(samples[slice(*bounds)], file, file.word, word.kind, store)
        return f"the word cannot be told from the noise around it: {told}"

    return in_order(checked, list(zip(files, made, strict=True)), workers=workers)


def hard_negatives(words: Sequence[Word], store: Store[np.float32], rate: int, longest: int) -> list[Word]:
    """Of each positive word what must not be taken for it: either half alone, and either half said twice.

    Args:
        words: positive ones.
        store: where the words are, and halves are put.
        rate: samples per second.
        longest: samples of a clip; what is longer is left out.
    """
    made: list[Word] = []
    sounds = store.mapped()
    for word in words:
        samples = sounds[word.start : word.start + word.length]
        middle = word.length // 2
        fade = np.linspace(0, 1, min(middle, round(FADE_SECONDS * rate)), dtype=np.float32)
        first, second = samples[:middle].copy(), samples[middle:].copy()
        first[len(first) - len(fade) :] *= fade[::-1]
        second[: len(fade)] *= fade
        for part, what in (
            (first, "first half"),
            (second, "second half"),
            (np.tile(first, 2), "first half twice"),
            (np.tile(second, 2), "second half twice"),
        ):
            if len(part) <= longest and part.any():
                made.append(_stored(part, word.file, f"{word.word}: {what}", "negative", store))
    return made


def read_backgrounds(
    files: Sequence[File],
    store: Store[np.float32],
    rate: int,
    length: int,
    workers: int | None,
    progress: Progress | None,
) -> tuple[list[Background], Skipped, list[str]]:
    """What clips are cut out of. Files shorter than a clip are joined end to end, in their order.

    Args:
        files: of the pile.
        store: where they are put.
        rate: samples per second.
        length: samples of a clip.
        workers: threads.
        progress: told how many files are read.

    Returns:
        The backgrounds, the files that could not be used, and what the person should know.

    Raises:
        DataError: all together are shorter than a clip.
    """

    def read(file: File) -> Background | str:
        try:
            room = round((sound_info(file.path).seconds + 1) * rate)
            start, done = store.reserve(room), 0
            for block in stream_sound(file.path, rate=rate, block=BLOCK_SECONDS * rate):
                if done + len(block) > room:
                    raise DataError("A sound is as long as its header says", file.path, "Convert it to WAV.")
                store.write(start + done, block)
                done += len(block)
        except LikewiseError as error:
            return str(error)
        return Background(start, done, (file,), (0,))

    made = in_order(read, files, workers=workers, progress=progress, text="reading backgrounds")
    whole, skipped = _sorted_out(files, made)
    if not whole:
        raise _none_usable("backgrounds", skipped)
    backgrounds = [each for each in whole if each.length >= length]
    short = [each for each in whole if each.length < length]
    joined = _joined(short, store)
    notes: list[str] = []
    if joined.length >= length:
        backgrounds.append(joined)
        notes.append(f"{len(short)} backgrounds shorter than a clip were joined end to end")
    elif backgrounds:
        skipped += [
            (str(each.files[0].path), f"shorter than a clip: {each.length / rate:.2f} s of {length / rate:g} s")
            for each in short
        ]
    else:
        raise DataError(
            f"The backgrounds last as long as a clip, {length / rate:g} s",
            f"{joined.length / rate:.2f} s in {len(short)} files",
            "Add some, or make shorter clips with --seconds.",
        )
    return backgrounds, skipped, notes


def _joined(short: Sequence[Background], store: Store[np.float32]) -> Background:
    """One stretch of all of them."""
    begins = (0, *itertools.accumulate(each.length for each in short))
    start = store.reserve(begins[-1])
    if short:
        sounds = store.mapped()
        for each, begin in zip(short, begins, strict=False):
            store.write(start + begin, sounds[each.start : each.start + each.length])
    return Background(start, begins[-1], tuple(each.files[0] for each in short), begins[:-1])


def _stored(samples: Samples, file: File, word: str, kind: Kind, store: Store[np.float32]) -> Word:
    power = float(np.square(samples, dtype=np.float64).mean())
    return Word(file, word, kind, store.add(samples), len(samples), power)


def _sorted_out(files: Sequence[File], made: Sequence[Read | str]) -> tuple[list[Read], Skipped]:
    """What was read, and of each file that could not be its path and why."""
    read = [each for each in made if not isinstance(each, str)]
    return read, [(str(file.path), why) for file, why in zip(files, made, strict=True) if isinstance(why, str)]


def _none_usable(what: str, skipped: Skipped) -> DataError:
    file, reason = skipped[0]
    return DataError(f"At least one of the {what} can be used", f"none of {len(skipped)}: {file}: {reason}")
