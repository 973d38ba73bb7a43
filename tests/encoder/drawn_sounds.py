"""Drawn words: what tests of sounds learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def words(folder: Path, seed: int = 0) -> Path:
    """Three "words", each a chord of its own that glides up, said 12 times at other lengths and loudness."""
    rng = np.random.default_rng(seed)
    for word, chord in {"do": (400, 900), "re": (700, 1900), "mi": (300, 2600)}.items():
        (folder / word).mkdir(parents=True)
        for take in range(12):
            t = np.arange(round(rng.uniform(0.25, 0.4) * 8_000)) / 8_000
            pitch = rng.uniform(0.95, 1.05)
            sound = sum(np.sin(2 * np.pi * pitch * hertz * (t + 0.2 * t**2)) for hertz in chord)
            sound = sound * rng.uniform(0.05, 0.3) + rng.normal(0, 0.01, len(t))
            soundfile.write(folder / word / f"{take}.wav", sound, 8_000)
    return folder
