"""A drawn trigger word, a rising chirp, and another word, a falling one, over noise: learned in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from likewise.apps.synthesize import SynthesisOptions, synthesize
from likewise.apps.training import Watcher
from likewise.apps.triggerword import LearnedTrigger, TriggerOptions, learn
from likewise.data import Clips, clips
from likewise.training import FitOptions

RATE = 8_000
SECONDS = 3.0
QUICK = TriggerOptions(fit=FitOptions(epochs=10, lr=8e-3, batch=16, precision="float32", seed=0))


def chirp(rising: bool, rng: np.random.Generator, seconds: float = 0.4) -> np.ndarray:
    """(T,) a tone that glides over an octave, said a little differently each time."""
    t = np.arange(round(seconds * RATE)) / RATE
    low = 500 * rng.uniform(0.9, 1.1)
    pitch = low * 2 ** (t / seconds if rising else 1 - t / seconds)
    return (0.4 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.hanning(len(t)) ** 0.3).astype(np.float32)


def piles(folder: Path, seed: int = 0) -> tuple[Path, Path, Path]:
    """8 triggers, 8 others and 20 s of noise; the voice is the first part of a file's name."""
    rng = np.random.default_rng(seed)
    for name, rising in (("trigger", True), ("others", False)):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            quiet = np.zeros(RATE // 4, np.float32)
            sound = np.concatenate([quiet, chirp(rising, rng), quiet])
            soundfile.write(folder / name / f"v{i}-{seed}.wav", sound + rng.normal(0, 1e-3, len(sound)), RATE)
    (folder / "noise").mkdir()
    soundfile.write(folder / "noise" / "noise.wav", 0.02 * rng.standard_normal(20 * RATE), RATE)
    return folder / "trigger", folder / "others", folder / "noise"


def drawn_clips(folder: Path, count: int, seed: int = 0, most_positive: int = 2) -> Clips:
    """`count` clips of `SECONDS`, in `folder` / clips."""
    positive, negative, background = piles(folder / "piles", seed)
    options = SynthesisOptions(
        count=count, seconds=SECONDS, seed=seed, rate=RATE, snr_db=(10.0, 20.0), most_positive=most_positive,
        most_negative=2, gap=0.6,
    )  # fmt: skip
    synthesize(positive, negative, background, folder / "clips", options, workers=1)
    return clips(folder / "clips")


def learned_trigger(folder: Path, watcher: Watcher) -> LearnedTrigger:
    """Learned in a few seconds from clips in `folder` / clips."""
    return learn(drawn_clips(folder, 60), folder / "word.model", QUICK, watcher=watcher)
