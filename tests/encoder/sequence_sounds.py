"""How the networks over time hear sounds."""

from __future__ import annotations

from likewise.encoder import Sounds
from likewise.encoder.speech import BACKBONE, speech_sounds


def sounds_of(backbone: str, rate: int, seconds: float) -> Sounds:
    """The spectrogram that a network from `SEQUENCES` takes."""
    return speech_sounds(rate, seconds) if backbone == BACKBONE else Sounds.at(rate, seconds, streamed=True)
