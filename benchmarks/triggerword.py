"""How well a trigger word is heard: "alexa" of people who were not trained with, among speech of other voices.

    LIKEWISE_DATA=... python benchmarks/triggerword.py SOUNDS WORK [--word computer] [--positives voices]

SOUNDS holds what Debian's asterisk-core-sounds-{en,es,fr,it,ru}-wav, asterisk-prompt-{it-menardi-wav,fr-armelle,es-co},
asterisk-moh-opsound-wav and sonic-pi-samples install in /usr/share (``dpkg-deb -x`` puts them anywhere). Some seven
voices speak: one Spanish and the English prompts are one person. They are 8 kHz, so everything is brought to that:
the bandwidth must not give the answer away. WORK gets the clips, some 5 GB, and keeps them for the next run.

Recorded words are split by contiguous blocks of their numbers, 60/20/20, as neighbours are often one speaker; voices of
training, tuning and test are different people, but perhaps for those who say "computer", the other recorded word, whose
files tell nothing of speakers. The threshold is set on the tuning hours, all figures are of the test.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

import likewise as lw
from common import machine, show
from likewise.apps.synthesize import SynthesisOptions, synthesize
from likewise.apps.triggerword import Listener, TriggerOptions, TriggerWord, learn
from likewise.apps.triggerword.listener import GATE
from likewise.apps.triggerword.measure import Heard
from likewise.apps.voices import VoicesOptions, speak
from likewise.assets import data_folder
from likewise.media.sounds import read_sound
from likewise.training import FitOptions, Step

RATE = 8_000
SECONDS = 10.0
PROMISES = (0.25, 0.5, 1.0)  # false alarms per hour

# Who speaks in which part. Allison is the voice of the English and of the Mexican prompts.
VOICES = {
    "train": ("en_US_f_Allison", "es_MX_f_Allison", "ru_RU_f_IvrvoiceRU", "es"),
    "tune": ("it_IT_m_Carlo", "fr"),
    "test": ("it_IT_f_Menardi", "fr_CA_f_June"),
}
SPEAKERS = {"train": ("jackson", "nicolas"), "tune": ("george",), "test": ("yweweler",)}  # of the digits
# What else synthetic voices say, to be heard as not the word: the recordings to train with are of few voices.
WORDS = (
    "about after again always animal another answer around because before between business change children city country"
    " different during early enough every example family father follow government group hello history house important"
    " information interest language large later letter light listen little machine material matter member minute moment"
    " money morning mother mountain music nature never next night nothing number office often order other paper people"
    " person picture place plant play point possible present problem program public question quick radio ready really"
    " reason right river school science second sentence service several should simple social something special station"
    " story street system table teacher telephone together tomorrow travel under until usual various video voice watch"
    " water weather window without woman world write yellow yesterday"
)
PHRASES = (
    "turn the light on", "what time is it", "good morning", "next song please", "how is the weather",
    "call my mother", "stop the music", "set a timer",
)  # fmt: skip
SHARES = {"train": (0.0, 0.6), "tune": (0.6, 0.8), "test": (0.8, 1.0)}


class Piles(NamedTuple):
    """Folders of one part."""

    positive: Path
    negative: Path
    background: Path


def link(files: Iterable[Path], to: Path) -> None:
    """A pile of `files`, under the name of the folder that each lies in."""
    for file in files:
        place = to / file.parent.name / f"{file.parent.parent.name}-{file.name}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(file.resolve())


def convert(files: Iterable[Path], to: Path) -> None:
    """Bare GSM 06.10, which tells neither rate nor kind, as WAV."""
    for file in files:
        place = to / f"{file.parent.name}-{file.stem}.wav"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            samples, rate = soundfile.read(file)
            soundfile.write(place, samples, rate)


def block(files: list[Path], share: tuple[float, float]) -> list[Path]:
    """Neighbours."""
    low, high = (round(edge * len(files)) for edge in share)
    return sorted(files)[low:high]


def make_piles(sounds: Path, work: Path, word: str) -> dict[str, Piles]:
    """Links to the files of each part."""
    data = data_folder()
    if data is None:
        raise SystemExit("Set LIKEWISE_DATA.")
    spoken, noises = sounds / "asterisk/sounds", sorted((sounds / "sonic-pi/samples").glob("*.flac"))
    others = "computer" if word == "alexa" else "alexa"
    noise = [file for file in noises if file.name.startswith(("ambi_", "loop_", "vinyl_", "guit_", "mehackit_"))]
    music = sorted((sounds / "asterisk/moh").glob("*.wav"))
    found: dict[str, Piles] = {}
    for part, share in SHARES.items():
        piles = Piles(*(work / "piles" / part / name for name in Piles._fields))
        link(block(list((data / "wake-words" / word).iterdir()), share), piles.positive)
        link(block(list((data / "wake-words" / others).iterdir()), share), piles.negative)
        for voice in VOICES[part]:
            link(sorted((spoken / voice).rglob("*.wav")), piles.negative)
            convert(sorted((spoken / voice).rglob("*.gsm")), piles.negative / f"{voice}-gsm")
        for speaker in SPEAKERS[part]:
            link(sorted((data / "spoken-digits").glob(f"*/{speaker}_*.wav")), piles.negative)
        link([*block(noise, share), *block(music, share)], piles.background)
        found[part] = piles
    return found


def spoken_word(work: Path, word: str, near: int) -> Path:
    """The word, and others that sound like it, in synthetic voices."""
    out = work / "voices"
    if not (out / "manifest.csv").exists():
        speak([word], out, VoicesOptions(count=1000, near=near, seed=0))
    return out


def spoken_words(work: Path) -> list[Path]:
    """Some 2,000 other words in synthetic voices."""
    out = work / "words"
    if not (out / "manifest.csv").exists():
        speak([*WORDS.split(), *PHRASES], out, VoicesOptions(count=16, seed=5))
    return sorted(out.rglob("*.wav"))


def make_clips(piles: Piles, out: Path, options: SynthesisOptions) -> lw.Clips:
    """Clips that are there are kept; those of other options or piles are refused, never taken for these."""
    made = synthesize(piles.positive, piles.negative, piles.background, out, options)
    print(f"{out.name}: {made.clips} clips, {made.positive} triggers, {made.negative} others, skipped:")
    print("".join(f"  {file}: {reason}\n" for file, reason in made.skipped), end="")
    return lw.clips(out)


class Said:
    """A line per epoch."""

    def __init__(self) -> None:
        self._epoch = 0

    def step(self, step: Step) -> None:
        if step.step == step.steps:
            print(
                f"epoch {step.epoch}/{step.epochs} loss {step.loss:.4f} {step.images_per_second:.0f} clips/s",
                flush=True,
            )

    def say(self, text: str) -> None:
        print(text, flush=True)


def rows_of(model: TriggerWord, placed: Heard, quiet: Heard) -> Iterator[tuple[str, str]]:
    """Figures of the test part at the promised thresholds, and over all thresholds."""
    assert model.calibration is not None
    for line in model.calibration.lines:
        found, alarms = placed.at(line.threshold), quiet.at(line.threshold)
        missed, rate = found.miss_rate, alarms.alarms_per_hour
        assert missed is not None
        yield (
            f"promised {line.promised:g}/h",
            f"misses {missed.value:.1%} ({missed.low:.1%} to {missed.high:.1%}), {placed.words} words of"
            f" {len(np.unique(placed.voices))} files; {alarms.alarms} alarms in {quiet.hours:.2f} h mixed,"
            f" {rate.value:.2f}/h ({rate.low:.2f} to {rate.high:.2f})",
        )
    latency = placed.at(model.calibration.lines[0].threshold).latency
    yield "known after", f"{np.median(latency):.2f} s (middle), {np.quantile(latency, 0.9):.2f} s (9 in 10)"
    yield from bounds(placed, quiet, "of the test (chosen on it: a bound, no figure)")


def in_one(model: TriggerWord, hours: lw.Clips) -> int:
    """Events in all clips, one after the other."""
    listener = Listener(model.encoder, model.rule(), gate=None)
    return sum(len(listener.feed(read_sound(file, rate=listener.rate))) for file in hours.sources)


def gated(model: TriggerWord, recordings: Sequence[Path]) -> str:
    """What the gate costs: soft words in digital silence, and in noise that is below it."""
    rng, rate = np.random.default_rng(0), model.sounds.rate
    found = dict.fromkeys((None, GATE), 0)
    for file in recordings:
        word = read_sound(file, rate=rate)
        word /= np.sqrt(np.square(word).mean())
        for level, floor in itertools.product((-20, -40, -50, -55), (0.0, 10 ** (-65 / 20))):
            stream = np.zeros(4 * rate + len(word), np.float32)
            stream[3 * rate : 3 * rate + len(word)] = (10 ** (level / 20) * word).clip(-1, 1)
            stream += floor * rng.standard_normal(len(stream), dtype=np.float32)
            for gate in found:
                found[gate] += bool(Listener(model.encoder, model.rule(), gate=gate).feed(stream))
    return f"{found[GATE]} found with the gate, {found[None]} without, of {8 * len(recordings)}"


def bounds(heard: Heard, quiet: Heard, of: str) -> Iterator[tuple[str, str]]:
    """Misses at the lowest thresholds that hours allow."""
    for allowed in (0.15, 0.25, 0.5, 1.0, 2.0, 4.0):
        threshold = quiet.lowest_threshold(int(allowed * quiet.hours))
        if threshold is not None and (missed := heard.at(threshold).miss_rate) is not None:
            yield f"misses at {allowed:g}/h", f"{missed.value:.1%} {of}"


def learned_from(piles: dict[str, Piles], work: Path, word: str, positives: str) -> Piles:
    """What is trained on: words that were recorded, synthetic voices, or these and ten recordings."""
    train = piles["train"]
    positive, negative = work / f"piles/{positives}/positive", work / f"piles/{positives}/negative"
    link([file.resolve() for file in sorted(train.negative.rglob("*.*"))], negative)
    link(spoken_words(work), negative)
    real = sorted(train.positive.rglob("*.flac"))
    if positives == "real":
        return Piles(train.positive, negative, train.background)
    spoken = spoken_word(work, word, near=20)
    link(sorted((spoken / word).glob("*.wav")), positive)
    link(sorted((spoken / "near-misses").rglob("*.wav")), negative)
    if positives == "voices+10":
        for file, copy in itertools.product(real[:: len(real) // 10][:10], range(20)):  # a sixth of what is drawn
            place = positive / file.parent.name / f"{copy}-{file.name}"
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, place)
    return Piles(positive, negative, train.background)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sounds", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--word", default="alexa")
    parser.add_argument("--positives", choices=("real", "voices", "voices+10"), default="real")
    parser.add_argument("--backbone", choices=("conv-gru", "conv-lstm", "speech-gru"), default="speech-gru")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--epochs", type=int, help="8 with speech-gru, else 20")
    parser.add_argument("--labels", choices=("steps", "clip"), default="steps")
    parser.add_argument("--focus", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--on", choices=("tune", "test"), default="test", help="tune: to choose between recipes")
    parser.add_argument("--peers", action="store_true", help="only make words and hours of the test, at 16 kHz")
    chosen = parser.parse_args()
    work = chosen.work / chosen.word
    piles = make_piles(chosen.sounds, work, chosen.word)
    made = SynthesisOptions(
        count=chosen.count, seconds=SECONDS, rate=16_000 if chosen.peers else RATE, hard=True, speed=(0.9, 1.12),
        gap=0.05, most_positive=2, most_negative=6, background_db=(-25.0, 0.0), snr_db=(-3.0, 18.0),
    )  # fmt: skip
    if chosen.positives != "real":  # in noise synthetic voices are too unlike people
        made = replace(made, background_db=(-40.0, 0.0), snr_db=(0.0, 20.0))
    hours = replace(
        made, most_positive=0, hard=False, speed=(0.92, 1.08), snr_db=(0.0, 25.0), background_db=(-40.0, 0.0)
    )
    placed = SynthesisOptions(
        count=300, seconds=SECONDS, rate=made.rate, snr_db=(10.0, 10.0), most_positive=1, most_negative=3,
        background_db=(0.0, 0.0),
    )  # fmt: skip

    def clips(part: str, name: str, options: SynthesisOptions) -> lw.Clips:
        return make_clips(piles[part], work / (f"{name}-16k" if chosen.peers else name), options)

    def of_the_test() -> tuple[lw.Clips, lw.Clips]:
        words = clips("test", "clips-words", replace(placed, seed=3))
        return words, clips("test", "clips-test", replace(hours, count=2400, seed=2))

    if chosen.peers:
        of_the_test()
        return
    train = learned_from(piles, work, chosen.word, chosen.positives)
    learned_clips = make_clips(train, work / f"clips-train-{chosen.positives}-{chosen.count}", made)
    tune = clips("tune", "clips-tune", replace(hours, count=5000, seed=1))
    options = TriggerOptions(
        backbone=chosen.backbone, rate=RATE, labels=chosen.labels, focus=chosen.focus,
        fit=FitOptions(
            epochs=chosen.epochs or (8 if chosen.backbone == "speech-gru" else 20), augment="stream", average=0.998,
            seed=chosen.seed,
        ),
    )  # fmt: skip
    learned = learn(
        learned_clips, work / f"{chosen.backbone}-{chosen.positives}-{chosen.seed}.model", options, watcher=Said()
    )
    model, quiet = learned.model, learned.model.hear(tune)[0]
    for per_hour in PROMISES:
        model = model.promising(quiet, per_hour)
    rows = [
        ("machine", machine()),
        ("network", f"{model.encoder.parameters_count:,} parameters, trained in {learned.history.seconds:.0f} s"),
    ]
    if chosen.on == "tune":
        words = clips("tune", "clips-tunewords", replace(placed, count=600, seed=4))
        rows += bounds(model.hear(words)[0], quiet, f"of {words.triggers} words of the tuning part")
    else:
        words, hours_of_test = of_the_test()
        rows += rows_of(model, model.hear(words)[0], model.hear(hours_of_test)[0])
        rows.append(("as one stream", f"{in_one(model, hours_of_test)} alarms, where the network never begins anew"))
        recordings = sorted(piles["test"].positive.rglob("*.flac"))
        rows.append(("soft words", gated(model, recordings)))
    show(f"{chosen.word}, positives {chosen.positives}, {chosen.backbone}, seed {chosen.seed}", rows)


if __name__ == "__main__":
    main()
