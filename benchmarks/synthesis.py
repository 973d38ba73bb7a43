"""How fast clips are made of three piles: times real time, from reading the piles to the manifest.

Run ``python benchmarks/synthesis.py [CLIPS]``. The piles are drawn: 300 positive and 400 negative words of about 0.6 s
in 16-bit FLAC, and an hour of noise at 44.1 kHz in stereo, which has to be mixed down and resampled. Each clip is
flushed to the disk, so the disk counts.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from common import machine, show
from likewise.apps.synthesize import SynthesisOptions, synthesize

SECONDS = 10.0
LEAST_RATIO = 200  # times real time, on 2 cores
RATE = 16_000


def draw_piles(folder: Path) -> tuple[Path, Path, Path]:
    """Words are noise that swells and fades in digital zero."""
    rng = np.random.default_rng(0)
    for pile, words in (("positive", 300), ("negative", 400)):
        (folder / pile).mkdir()
        for i in range(words):
            length = round(rng.uniform(0.4, 0.8) * RATE)
            word = 0.2 * rng.standard_normal(length) * np.hanning(length)
            soundfile.write(folder / pile / f"{i:03}.flac", np.pad(word, RATE // 2), RATE)
    (folder / "background").mkdir()
    for i in range(6):
        noise = 0.02 * rng.standard_normal((600 * 44_100, 2))
        soundfile.write(folder / "background" / f"{i}.wav", noise, 44_100)
    return folder / "positive", folder / "negative", folder / "background"


def measure(piles: tuple[Path, Path, Path], out: Path, clips: int, workers: int | None) -> tuple[float, float]:
    """Seconds in all, and seconds for the clips alone."""
    began: list[float] = []

    def note(_: int, __: int, text: str) -> None:
        if text == "clips" and not began:
            began.append(time.perf_counter())

    started = time.perf_counter()
    synthesize(*piles, out, SynthesisOptions(count=clips, seconds=SECONDS, hard=True), workers=workers, progress=note)
    ended = time.perf_counter()
    return ended - started, ended - began[0]


def main() -> None:
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    rows = [("machine", machine()), ("clips", f"{clips:,} of {SECONDS:g} s, 0 to 4 words of each kind, hard ones too")]
    with tempfile.TemporaryDirectory() as name:
        piles = draw_piles(Path(name))
        for workers in (1, None):
            whole, alone = measure(piles, Path(name) / f"clips-{workers}", clips, workers)
            threads = "1 thread" if workers else f"{os.cpu_count()} threads"
            rows += [
                (f"{threads}: all", f"{whole:.1f} s, {clips * SECONDS / whole:,.0f} times real time"),
                (f"{threads}: clips", f"{clips / alone:,.0f} a second, {clips * SECONDS / alone:,.0f} times real time"),
            ]
    show(f"synthesis (asked: {LEAST_RATIO} times real time)", rows)


if __name__ == "__main__":
    main()
