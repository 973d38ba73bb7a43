"""A word is learnt from three small piles and heard in a stream, and what set off the listener is kept as a clip.

    python examples/listen.py

The word is a tone that rises; others fall. So everything can be made here. One learns what the piles are, that a
listener is fed pieces of any size and answers at once, and that what set it off can be kept.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import likewise as lw
from likewise.apps.synthesize import SynthesisOptions, synthesize
from likewise.apps.triggerword.recorder import Recorder
from likewise.media.sounds import write_sound

RATE = 8_000
RNG = np.random.default_rng(0)


def tone(*, rising: bool) -> np.ndarray:
    """0.4 s over an octave, a little different each time."""
    t = np.linspace(0, 1, round(0.4 * RATE))
    pitch = 500 * RNG.uniform(0.9, 1.1) * 2 ** (t if rising else 1 - t)
    return 0.4 * np.hanning(len(t)) ** 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)


def main(folder: Path) -> None:
    for i in range(8):
        for pile in ("rising", "falling"):
            write_sound(folder / pile / f"{i}.wav", np.pad(tone(rising=pile == "rising"), RATE // 4), RATE)
    write_sound(folder / "noise" / "0.wav", 0.02 * RNG.standard_normal(20 * RATE), RATE)
    options = SynthesisOptions(count=100, seconds=3.0, rate=RATE, snr_db=(10, 20), most_positive=2, most_negative=2)
    synthesize(folder / "rising", folder / "falling", folder / "noise", folder / "clips", options)

    encoder = lw.Encoder("conv-gru", dim=1)
    lw.fit(encoder, lw.clips(folder / "clips"), lw.SequentialBCE(), epochs=10, lr=5e-3, batch=16, seed=0)
    listener = lw.TriggerWord(encoder).listener(threshold=0.5)  # `likewise calibrate` finds one that promises something
    recorder = Recorder(folder / "alarms", "stream", RATE, before=1.0)

    stream = 0.02 * RNG.standard_normal(12 * RATE)
    for at, rising in ((2, True), (5, False), (8, True)):
        stream[at * RATE :][: round(0.4 * RATE)] += tone(rising=rising)
    for piece in np.split(stream, range(640, len(stream), 640)):
        recorder.feed(piece)
        for event in listener.feed(piece):
            print(f"heard at {event.time_s:.2f} s, score {event.score:.3f}, kept as {recorder.save(event).name}")
    print(f"{listener.seconds:.0f} s, in which it was said from 2.0 to 2.4 s and from 8.0 to 8.4 s")


if __name__ == "__main__":
    main(Path(tempfile.mkdtemp()))
