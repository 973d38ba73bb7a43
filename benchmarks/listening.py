"""What listening costs: a share of the stream's length, memory and its growth, and what silence costs.

Run ``python benchmarks/listening.py [HOURS]``. The stream is drawn: noise that swells and fades four times a second as
speech, always above the gate. What a step costs does not depend on the weights, so nothing is trained. Memory is that
of `likewise listen` as a process of its own that hears an hour through a pipe (Linux).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import likewise as lw
from common import machine, show
from likewise.apps.triggerword import EventRule, Listener, TriggerWord
from likewise.apps.triggerword.gallery_listener import GalleryListener
from likewise.apps.triggerword.listener import stream_probabilities
from likewise.encoder import SEQUENCES, Encoder, Sounds
from likewise.encoder.speech import BACKBONE as SPEECH
from likewise.encoder.speech import speech_sounds

RATE = 16_000
CHUNK = round(0.08 * RATE)
SECONDS = 300
MOST_COST, MOST_MEMORY, MOST_GROWTH, MOST_DIFFERENCE = 0.005, 400.0, 5.0, 1e-4
NEVER = EventRule(0.999999)

Array = NDArray[np.float32]


def speech_like(seconds: int, seed: int = 0) -> Array:
    """(T,) noise of -26 dBFS at its loudest, with four syllables a second."""
    t = np.arange(seconds * RATE, dtype=np.float32) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(t), dtype=np.float32)
    return 0.05 * noise * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))


def cost(feed: Callable[[Array], object], stream: Array, chunk: int = CHUNK) -> float:
    """Seconds of one core per second of sound, the least of three runs."""
    took: list[float] = []
    for _ in range(3):
        began = time.process_time()
        for place in range(0, len(stream), chunk):
            feed(stream[place : place + chunk])
        took.append(time.process_time() - began)
    return min(took) * RATE / len(stream)


def new_words(folder: Path) -> lw.Gallery:
    """A gallery of ten "words" of noise, three clips each, with an encoder of the usual size."""
    rng = np.random.default_rng(0)
    clips = (3_000 * rng.standard_normal((30, RATE))).astype(np.int16)
    data = lw.Dataset(
        list(clips), tuple(map(str, range(30))), np.arange(30) // 3, tuple(f"word {i}" for i in range(10))
    )
    encoder = Encoder("convnet-small", 64, preprocessing=Sounds.at(RATE, 1.0), seed=0)
    gallery = lw.Gallery.open(folder / "words.gallery", lw.calibrate(encoder, data, max_fmr=0.2, unit="item"))
    for i in range(10):
        gallery.enrol(data.names[i], list(clips[3 * i : 3 * i + 3]))
    return gallery


def memory(model: Path, hours: float) -> tuple[float, float]:
    """MB of `likewise listen` at its most, and by how many it grew after the first minute."""
    command = [
        sys.executable,
        "-m",
        "likewise",
        "listen",
        str(model),
        "-",
        "--raw",
        str(RATE),
        "--threshold",
        "0.999999",
    ]
    minute = np.clip(32768 * speech_like(60), -32768, 32767).astype("<i2").tobytes()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        held: list[float] = []
        for _ in range(round(60 * hours)):
            process.stdin.write(minute)
            process.stdin.flush()  # all but what the pipe holds has been heard
            held.append(_status(process.pid, "VmRSS"))
        most = _status(process.pid, "VmHWM")
        process.stdin.close()
    return most, held[-1] - held[0]


def _status(process: int, key: str) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def main() -> None:
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    torch.set_num_threads(1)
    stream, silence = speech_like(SECONDS), np.zeros(SECONDS * RATE, np.float32)
    rows = [("machine", machine()), ("stream", f"{SECONDS} s at {RATE:,} Hz, pieces of 80 ms")]
    with tempfile.TemporaryDirectory() as name:
        for backbone in SEQUENCES:
            how = speech_sounds(RATE) if backbone == SPEECH else Sounds.at(RATE, 10.0, streamed=True)
            encoder = Encoder(backbone, 1, preprocessing=how, seed=0)
            model, listener = TriggerWord(encoder), Listener(encoder, NEVER)
            rows.append((f"{backbone}: cost", f"{cost(listener.feed, stream):.5f} (asked: below {MOST_COST})"))
            rows.append((f"{backbone}: cost of silence", f"{cost(listener.feed, silence):.6f}"))
            offline = model.probabilities(stream)
            heard = stream_probabilities(encoder, np.split(stream, range(CHUNK, len(stream), CHUNK)))
            assert len(heard) == len(offline)
            difference = float(np.abs(heard - offline).max())
            rows.append(
                (f"{backbone}: stream and offline differ", f"{difference:.1e} (asked: below {MOST_DIFFERENCE})")
            )
            if backbone == "conv-gru":
                model.save(Path(name) / "m.model")
        most, growth = memory(Path(name) / "m.model", hours)
        rows.append(("memory of the command", f"{most:.0f} MB (asked: below {MOST_MEMORY:g})"))
        rows.append((f"growth over {hours:g} h", f"{growth:.1f} MB (asked: below {MOST_GROWTH:g})"))
        with new_words(Path(name)) as gallery:
            for text, chunk in (("pieces of 80 ms", CHUNK), ("a file", 32 * CHUNK)):
                found = cost(GalleryListener(gallery).feed, stream[: 60 * RATE], chunk)
                rows.append((f"gallery, a look every 160 ms, {text}", f"{found:.4f}"))
            rows.append(("gallery: cost of silence", f"{cost(GalleryListener(gallery).feed, silence):.6f}"))
    show("listening: seconds of one core per second of sound", rows)


if __name__ == "__main__":
    main()
