"""The same clips through pymicro-wakeword's and pyopen-wakeword's "alexa": misses and false alarms per hour.

    python -m venv PEERS && PEERS/bin/pip install pymicro-wakeword pyopen-wakeword soundfile soxr
    PEERS/bin/python benchmarks/trigger_peers.py WORDS HOURS [--peer micro | open] [--clips 2400]

WORDS and HOURS are folders of clips that benchmarks/triggerword.py has made: ``clips-words`` and ``clips-test``. Both
peers take 16 kHz, so that what is 8 kHz is resampled for them. Their own thresholds decide. A word counts as found by a
detection from its beginning to 1 s after its end, as both answer later than half a second; all else is a false alarm,
once a second at most.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16_000
CHUNK = 1280  # samples: 80 ms
LATE, APART = 1.0, 1.0  # seconds


def micro() -> Callable[[bytes], Iterator[bool]]:
    """A fresh detector."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    detector, features = MicroWakeWord.from_builtin(Model.ALEXA), MicroWakeWordFeatures()
    return lambda audio: (bool(detector.process_streaming(each)) for each in features.process_streaming(audio))


def open_() -> Callable[[bytes], Iterator[bool]]:
    """A fresh detector; its usual threshold is 0.5."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    detector, features = OpenWakeWord.from_builtin(Model.ALEXA), OpenWakeWordFeatures.from_builtin()
    return lambda audio: (
        probability > 0.5
        for each in features.process_streaming(audio)
        for probability in detector.process_streaming(each)
    )


PEERS = {"micro": micro, "open": open_}


def detections(file: Path, fresh: Callable[[], Callable[[bytes], Iterator[bool]]]) -> list[float]:
    """Seconds at which the word was detected, at least `APART`."""
    samples, rate = soundfile.read(file, dtype="float32")
    wanted = soxr.resample(samples, rate, RATE) if rate != RATE else samples
    whole = np.clip(np.rint(wanted * 32767), -32768, 32767).astype(np.int16)
    detector, found = fresh(), list[float]()
    for start in range(0, len(whole), CHUNK):
        now = min(start + CHUNK, len(whole)) / RATE
        if any(list(detector(whole[start : start + CHUNK].tobytes()))) and (not found or now - found[-1] >= APART):
            found.append(now)
    return found


def triggers(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Where the word is in each clip."""
    found: dict[str, list[tuple[float, float]]] = {}
    with (folder / "manifest.csv").open() as text:
        for row in csv.DictReader(text):
            words = found.setdefault(row["path"], [])
            if row["kind"] == "positive":
                words.append((float(row["start"]), float(row["end"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("words", type=Path)
    parser.add_argument("hours", type=Path)
    parser.add_argument("--peer", choices=PEERS, default="micro")
    parser.add_argument("--clips", type=int, default=2400)
    chosen = parser.parse_args()
    fresh, started, seconds = PEERS[chosen.peer], time.process_time(), 0.0
    words = misses = 0
    for name, said in triggers(chosen.words).items():
        length = soundfile.info(chosen.words / name).duration
        heard, seconds = detections(chosen.words / name, fresh), seconds + length
        for start, end in said:
            if end + LATE <= length:
                words += 1
                misses += not any(start <= at <= end + LATE for at in heard)
    alarms, quiet = 0, 0.0
    for name in list(triggers(chosen.hours))[: chosen.clips]:
        alarms += len(detections(chosen.hours / name, fresh))
        quiet += soundfile.info(chosen.hours / name).duration
    factor = (time.process_time() - started) / (seconds + quiet)
    print(f"{chosen.peer}: misses {misses} of {words} ({misses / words:.1%})")
    print(f"false alarms {alarms} in {quiet / 3600:.2f} h ({alarms / quiet * 3600:.2f}/h), {factor:.4f} of real time")


if __name__ == "__main__":
    main()
