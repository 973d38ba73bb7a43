"""What other processes do to a gallery while a test looks on."""

from __future__ import annotations

import os
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

import likewise as lw

NOBODY = 65534  # a user who may do nothing
_PROCESSES = get_context("forkserver")  # starts in no time, and shares nothing with the tests
_PROCESSES.set_forkserver_preload(["likewise.gallery.sqlite", "likewise.gallery.gallery", "writers"])


def start(work: object, *given: object) -> tuple[BaseProcess, Connection]:
    """Runs `work(*given, said)` in another process; what it sends to `said` comes out of the connection."""
    heard, said = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=work, args=(*given, said), daemon=True)
    process.start()
    said.close()
    return process, heard


def pictures(seed: int, number: int) -> list[np.ndarray]:
    """Noise of 8 x 8 pixels, never the same from two seeds."""
    return list(np.random.default_rng(seed).integers(0, 256, (number, 8, 8), dtype=np.uint8))


def enrol_and_forget(uri: str, seed: int, steps: int, said: Connection) -> None:
    """A stream of both. Before each: what, name, seed and number of pictures; after it: None."""
    rng = np.random.default_rng(seed)
    mine: list[str] = []
    with lw.Gallery.open(uri) as gallery:
        for step in range(steps):
            if mine and rng.random() < 0.4:
                name = mine.pop(int(rng.integers(len(mine))))
                said.send(("forget", name, 0, 0))
                gallery.forget(name)
            else:
                drawn, number = seed * 1_000_000 + step, int(rng.integers(1, 4))
                name = f"person {rng.bytes(12).hex()}"
                said.send(("enrol", name, drawn, number))
                gallery.enrol(name, pictures(drawn, number), keep_originals=True)
                mine.append(name)
            said.send(None)


def as_nobody(uri: str, seed: int, said: Connection) -> None:
    """What the library says to somebody without permissions who opens, looks and enrols."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        with lw.Gallery.open(uri) as gallery:
            said.send(sorted(gallery.names()))
            gallery.enrol("somebody else", pictures(seed, 1))
            said.send("enrolled")
    except lw.LikewiseError as error:
        said.send(f"{type(error).__name__}: {error}")
