"""Words: digits of a speaker nobody trained with, words known from ten examples, and speakers.

    LIKEWISE_DATA=... python benchmarks/words.py SOUNDS WORK [digits] [few] [speakers]

SOUNDS holds what benchmarks/triggerword.py says. WORK gets what espeak-ng and flite say, and the prompts cut at their
pauses, some 250 MB, and keeps both for the next run. Everything is brought to 8 kHz, the rate of digits and prompts:
the bandwidth must not give the answer away.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import likewise as lw
from common import machine, show
from likewise.apps.voices import VoicesOptions, speak
from likewise.assets import data_folder
from likewise.data import Dataset
from likewise.media.sounds import read_sound, word_bounds, write_sound

RATE = 8_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PEOPLE = ("george", "jackson", "nicolas", "yweweler")

# Voices of prompts. Allison speaks the English and the Mexican ones.
TRAINED = ("en_US_f_Allison", "es_MX_f_Allison", "ru_RU_f_IvrvoiceRU", "it_IT_m_Carlo", "es", "fr")
OTHERS = ("it_IT_f_Menardi", "fr_CA_f_June")
NO_SPEECH = ("tone", "beep", "monkeys", "silence")

ONSETS = [
    "b", "bl", "br", "d", "dr", "f", "fl", "fr", "g", "gl", "gr", "h", "j", "k", "kl", "kr", "l", "m", "n",
    "p", "pl", "pr", "r", "s", "sk", "sl", "sp", "st", "t", "tr", "v", "w", "y", "z", "sh", "ch", "th",
]  # fmt: skip
VOWELS = ["a", "e", "i", "o", "u", "ee", "oo", "ai", "ou", "or", "ar"]
CODAS = [""] * 4 + ["n", "m", "l", "r", "s", "t", "k", "p", "x", "nd", "st"]

KNOWN, ALLOWED, DRAWS = 10, 0.05, 200  # clips of a new word, share of strangers taken for it, draws of the clips


class Chosen(NamedTuple):
    """Where things lie, and who is tested."""

    data: Path
    sounds: Path
    work: Path
    people: Sequence[str]  # who says the digits to be tested


def vocabulary(count: int, seed: int) -> list[str]:
    """Words that do not exist: what they have in common with a real one is chance. Some differ in one syllable only."""
    rng = np.random.default_rng(seed)

    def syllable() -> str:
        onset = rng.choice(ONSETS) if rng.random() < 0.85 else ""
        return f"{onset}{rng.choice(VOWELS)}{rng.choice(CODAS)}"

    found: dict[str, None] = {}
    while len(found) < count:
        syllables = [syllable() for _ in range(rng.choice([1, 2, 3, 4], p=[0.15, 0.4, 0.35, 0.1]))]
        found["".join(syllables)] = None
        if len(syllables) > 1:
            syllables[rng.integers(len(syllables))] = syllable()
            found["".join(syllables)] = None
    return list(found)[:count]


def spoken(words: Sequence[str], out: Path, count: int, seed: int) -> dict[str, list[Path]]:
    """`count` clips of each word in synthetic voices, sorted by program and accent; made once."""
    if not (out / "manifest.csv").exists():
        made = speak(words, out, VoicesOptions(count=count, rate=RATE, seed=seed))
        print(f"{out.name}: {made.clips} clips of {len(words)} words in {made.voices} voices", flush=True)
    return {word: sorted((out / word).glob("*.wav")) for word in words}


def vocabulary_said(at: Chosen) -> dict[str, list[Path]]:
    """Forty clips of each of 240 words that do not exist."""
    return spoken(vocabulary(240, seed=0), at.work / "vocabulary", 40, seed=1)


def stretches(samples: NDArray[np.float32], pause: float = 0.06) -> Iterator[NDArray[np.float32]]:
    """What lies between pauses and lasts 0.3 to 1 s, with 50 ms around: mostly one or two words."""
    size = RATE // 100
    levels = 10 * np.log10(samples[: len(samples) // size * size].reshape(-1, size).var(axis=1) + 1e-12)
    loud = np.flatnonzero(levels > np.percentile(levels, 95) - 30) if len(levels) else np.empty(0, int)
    for part in np.split(loud, np.flatnonzero(np.diff(loud) > 100 * pause) + 1):
        if len(part) and 30 <= part[-1] + 1 - part[0] <= 100:
            yield samples[max(0, part[0] * size - 400) : (part[-1] + 1) * size + 400]


def prompts(at: Chosen, voice: str) -> list[Path]:
    """Stretches of all prompts of a voice, cut once."""
    out = at.work / "prompts" / voice
    if not out.exists():
        out.mkdir(parents=True)
        spoken_by = at.sounds / "asterisk/sounds" / voice
        for file in sorted(each for ending in ("wav", "gsm") for each in spoken_by.rglob(f"*.{ending}")):
            if not any(word in str(file.relative_to(spoken_by)) for word in NO_SPEECH):
                samples, _ = soundfile.read(file, dtype="float32")  # bare GSM 06.10, some of them
                for i, part in enumerate(stretches(samples)):
                    write_sound(out / f"{file.parent.name}-{file.stem}-{i}.wav", part, RATE)
    return sorted(out.glob("*.wav"))


def recorded(at: Chosen, word: str) -> list[Path]:
    """Clips of a wake word by many people, cut to the word and 0.1 s around, once."""
    out = at.work / "words" / word
    if not out.exists():
        out.mkdir(parents=True)
        for file in sorted((at.data / "wake-words" / word).glob("*.flac")):
            samples = read_sound(file, rate=RATE)
            bounds = word_bounds(samples, RATE)
            if bounds is not None:
                start, end = bounds
                write_sound(out / f"{file.stem}.wav", samples[max(0, start - 800) : end + 800], RATE)
    return sorted(out.glob("*.wav"))


def labelled(groups: Sequence[Sequence[Path]], names: Sequence[str] | None = None) -> Dataset:
    """One identity per group."""
    files = [file for group in groups for file in group]
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    called = tuple(names or map(str, range(len(groups))))
    return Dataset(tuple(files), tuple(map(str, files)), labels.astype(np.int64), called)


def trained(data: Dataset, seconds: float, batch: tuple[int, int], epochs: int, dim: int) -> tuple[lw.Encoder, float]:
    """An encoder, and the seconds that it took."""
    encoder = lw.Encoder("convnet-small", dim, seconds=seconds, rate=RATE)
    history = lw.fit(encoder, data, lw.SupCon(), augment="speech", epochs=epochs, batch=batch, average=0.99, seed=0)
    return encoder, history.seconds


def digits(at: Chosen) -> None:
    """Three people and synthetic voices train, the fourth person tests; all four ways.

    Synthetic voices say other words too: telling more words apart helps with a new speaker's.
    """
    voices, others = spoken(DIGITS, at.work / "digits", 300, seed=0), vocabulary_said(at)
    accuracies, eers, rows = [], [], []
    for person in at.people:
        clips = [sorted((at.data / "spoken-digits" / str(i)).glob("*.wav")) for i in range(10)]
        groups = [
            [file for file in files if not file.name.startswith(person)] + voices[word][::2]
            for files, word in zip(clips, DIGITS, strict=True)
        ]
        groups += [files[::2] for files in list(others.values())[:200]]
        encoder, seconds = trained(labelled(groups), 0.7, batch=(20, 10), epochs=14, dim=64)
        test = labelled([[file for file in files if file.name.startswith(person)] for files in clips], DIGITS)
        report = lw.evaluate(encoder, test, ways=10, shots=5)
        assert report.fewshot is not None
        eer = report.verification.eer
        accuracies.append(report.fewshot.accuracy)
        eers.append(eer.value)
        of = f"{report.fewshot.accuracy:.1%}, EER {eer.value:.1%} ({eer.low:.1%} to {eer.high:.1%})"
        rows.append((f"{person}, trained with the others", f"{of}, trained in {seconds:.0f} s"))
    asked = "asked: at least 95%, EER under 8%"
    rows.append(("mean", f"{np.mean(accuracies):.1%}, EER {np.mean(eers):.1%} ({asked})"))
    show("digits of a new speaker, 10-way 5-shot with five examples of the same speaker", rows)


def few(at: Chosen) -> None:
    """Words told from ten clips each, by an encoder that has not heard them, nor any person who says them."""
    rng = np.random.default_rng(0)
    cut = [file for voice in TRAINED for file in prompts(at, voice)]
    # A stretch of a prompt is an identity of one clip, which augmentation changes each time.
    alone = [[cut[i]] * 3 for i in rng.permutation(len(cut))[:2000]]
    encoder, seconds = trained(labelled([*vocabulary_said(at).values(), *alone]), 1.0, (64, 4), 7, 128)

    def embedded(files: Sequence[Path]) -> Tensor:
        return F.normalize(encoder.encode(list(files)).embeddings)

    strangers = {
        "digits": embedded(sorted((at.data / "spoken-digits").glob("*/*.wav"))[::3]),
        "prompts": embedded([file for voice in OTHERS for file in prompts(at, voice)][::2]),
    }
    own = {word: embedded(recorded(at, word)) for word in ("alexa", "computer")}
    rows = [("encoder", f"{encoder.parameters_count:,} parameters, trained in {seconds:.0f} s")]
    for word, other in (("alexa", "computer"), ("computer", "alexa")):
        piles = strangers | {f'"{other}"': own[other]}
        for name, pile in {"all three": torch.cat(list(piles.values())), **piles}.items():
            rows.append((f'"{word}", {len(own[word])} clips, against {len(pile)} of {name}', found(own[word], pile)))
    show(f"words from {KNOWN} clips: found at {ALLOWED:.0%} false acceptance (asked: at least 76%)", rows)


def found(own: Tensor, strangers: Tensor) -> str:
    """Share of a word's other clips whose mean cosine to ten of them passes all but the allowed share of strangers."""
    rng = np.random.default_rng(0)
    shares: list[float] = []
    for _ in range(DRAWS):
        order = torch.from_numpy(rng.permutation(len(own)))
        known = own[order[:KNOWN]].mean(dim=0)
        line = torch.quantile(strangers @ known, 1 - ALLOWED)
        shares.append(float((own[order[KNOWN:]] @ known > line).float().mean()))
    low, high = np.quantile(shares, [0.025, 0.975])
    return f"{np.mean(shares):.1%} ({low:.1%} to {high:.1%} of {DRAWS} draws)"


def speakers(at: Chosen) -> None:
    """The speaker as identity: four people in words they did not train with, and people nobody trained with.

    For the latter, synthetic voices and those of prompts train.
    """

    def said(numbers: Iterable[int]) -> Dataset:
        folder = at.data / "spoken-digits"
        return labelled([[f for i in numbers for f in sorted(folder.glob(f"{i}/{p}_*.wav"))] for p in PEOPLE], PEOPLE)

    encoder, seconds = trained(said(range(5)), 0.7, batch=(4, 32), epochs=12, dim=64)
    show("who says 5 to 9, of four people trained with 0 to 4", told_apart(encoder, said(range(5, 10)), seconds))

    vocabulary_said(at)
    folder = at.work / "vocabulary"
    with (folder / "manifest.csv").open(newline="") as table:
        spoken_by = [(row["group"], folder / row["path"]) for row in csv.DictReader(table)]
    voices = sorted({voice for voice, _ in spoken_by})
    groups = [[file for by, file in spoken_by if by == voice][:60] for voice in voices]
    people = sorted({voice.split("_")[-1] for voice in TRAINED})  # one speaks two of the languages
    rng = np.random.default_rng(0)
    for person in people:
        files = [file for voice in TRAINED if voice.endswith(person) for file in prompts(at, voice)]
        groups.append([files[i] for i in rng.permutation(len(files))[:200]])
    encoder, seconds = trained(labelled(groups), 0.7, batch=(32, 8), epochs=6, dim=64)
    learned = f"who says a digit, of four people nobody trained with: {len(voices)} voices, {len(people)} people"
    show(learned, told_apart(encoder, said(range(10)), seconds))


def told_apart(encoder: lw.Encoder, people: Dataset, seconds: float) -> list[tuple[str, str]]:
    report = lw.evaluate(encoder, people, ways=4, shots=5, unit="item")
    assert report.fewshot is not None
    eer = report.verification.eer
    return [
        ("trained in", f"{seconds:.0f} s"),
        ("4-way 5-shot", f"{report.fewshot.accuracy:.1%}"),
        ("EER", f"{eer.value:.1%} ({eer.low:.1%} to {eer.high:.1%}, of these people)"),
    ]


PARTS: dict[str, Callable[[Chosen], None]] = {"digits": digits, "few": few, "speakers": speakers}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sounds", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="|".join(PARTS))
    parser.add_argument("--people", nargs="+", choices=PEOPLE, default=PEOPLE, help="whose digits are tested")
    chosen = parser.parse_args()
    data = data_folder()
    if data is None:
        raise SystemExit("Set LIKEWISE_DATA.")
    began = time.perf_counter()
    for part in chosen.parts:
        PARTS[part](Chosen(data, chosen.sounds, chosen.work, chosen.people))
    show("all", [("machine", machine()), ("seconds", f"{time.perf_counter() - began:.0f}")])


if __name__ == "__main__":
    main()
