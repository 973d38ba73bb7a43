"""Asking a person what an item is: the question, and how it is put in a terminal."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import wave
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, final

import numpy as np
import soxr
from numpy.typing import NDArray

from likewise.errors import visible
from likewise.media.files import replacing_file
from likewise.media.pictures import Pixels, png_bytes

KEYS = "123456789abcdefghijklmnoprstuvwxyz"  # one for each class; q stops
STOP, AGAIN = "q", ("", " ")
SUFFIXES = (".png", ".wav")
SHOWN_AS = "shown"  # the name of the file that holds what is asked about: it tells nothing
SHOWN = 512  # pixels a side that a picture is enlarged to where there is room
PLAYED = 16_000  # hertz; players refuse very low rates
ROWS_BESIDE = 4  # of a terminal, for what stands below a picture
PLAYERS = (("aplay", "-q"), ("paplay",), ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"), ("afplay",))


@final
@dataclass(frozen=True, eq=False)
class Question:
    """What is asked.

    Attributes:
        number, of: its place, from 1.
        item: what the machine is given: a picture (H, W) or (H, W, 3) uint8, or a sound (T,) int16.
        rate: samples per second of a sound.
        classes: possible answers, at most as many as `KEYS`.
    """

    number: int
    of: int
    item: NDArray[np.generic]
    rate: int | None
    classes: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """Of a file that holds it."""
        return SUFFIXES[self.rate is not None]

    def shown(self) -> bytes:
        """PNG of a picture, each pixel a square and nothing smoothed; WAV of a sound, at a rate that players take."""
        return wav_bytes(self.item, self.rate) if self.rate is not None else png_bytes(enlarged(self.item, SHOWN))


class Asker(ABC):
    """Puts questions to a person."""

    @abstractmethod
    def ask(self, question: Question) -> int:
        """The place of the answer in the classes.

        Raises:
            KeyboardInterrupt: the person wants to stop.
        """

    @abstractmethod
    def end(self) -> None:
        """Tells the person that this was the last question."""


@final
class Terminal(Asker):
    """Pictures as half blocks in colour where they fit, else as a file; sounds by a player of the system.

    Args:
        out: where to write.
        given: what the person types: a key, and Enter where it is no terminal.
        folder: for the file, of which there is one at a time and whose name tells nothing.
    """

    def __init__(self, out: TextIO, given: TextIO, folder: Path) -> None:
        self._out, self._given, self._folder = out, given, folder
        self._told = False

    def ask(self, question: Question) -> int:
        """See `Asker`."""
        classes = [visible(name) for name in question.classes]
        keys = dict(zip(KEYS, range(len(classes)), strict=False))
        if not self._told:
            self._told = True
            self._say("What is it? " + "  ".join(f"[{k}] {classes[i]}" for k, i in keys.items()) + "  [q] stop")
        again = question.rate is not None
        self._show(question)
        while True:
            self._say(f"{question.number} of {question.of}{', Enter to hear it again' if again else ''}: ", end="")
            typed = self._typed()
            if typed is None or typed == STOP:
                self._say("")
                raise KeyboardInterrupt
            if typed in keys:
                self._say(classes[keys[typed]] if self._given.isatty() else "")
                return keys[typed]
            if again and typed in AGAIN:
                self._show(question)
            else:
                self._say(f"One of {', '.join(keys)}, or q to stop.")

    def end(self) -> None:
        """See `Asker`."""
        for suffix in SUFFIXES:
            (self._folder / f"{SHOWN_AS}{suffix}").unlink(missing_ok=True)
        self._say("That was the last one. Thank you.")

    def _show(self, question: Question) -> None:
        """As half blocks or sound; or in a file, whose name is told."""
        if question.rate is None and (lines := self._fitting(question.item)) is not None:
            self._say(lines)
            return
        file = self._folder / f"{SHOWN_AS}{question.suffix}"
        with replacing_file(file) as fresh:
            fresh.write_bytes(question.shown())
        if question.rate is None or not played(file):
            self._say(f"look at {file}" if question.rate is None else f"listen to {file}")

    def _fitting(self, item: NDArray[np.generic]) -> str | None:
        """The picture as text as large as the terminal allows; None where it has no room, or is no terminal."""
        if not self._out.isatty():
            return None
        try:
            columns, rows = os.get_terminal_size(self._out.fileno())
        except OSError:
            return None
        pixels = item.astype(np.uint8)
        height, width = pixels.shape[:2]
        times = min(columns // width, 2 * (rows - ROWS_BESIDE) // height)
        return half_blocks(_repeated(pixels, times)) if times >= 1 else None

    def _typed(self) -> str | None:
        """A key of a terminal, or a line of anything else; None at its end."""
        if self._given.isatty():
            with _single_keys(self._given) as read:
                return read().lower() or None
        line = self._given.readline()
        return line.strip().lower() if line else None

    def _say(self, text: str, end: str = "\n") -> None:
        self._out.write(text + end)
        self._out.flush()


def half_blocks(pixels: Pixels) -> str:
    """(H, W) or (H, W, 3) -> lines of ANSI text, each character two pixels, one above the other."""
    rgb = np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels
    lines: list[str] = []
    for y in range(0, len(rgb), 2):
        above = rgb[y].tolist()
        below = rgb[y + 1].tolist() if y + 1 < len(rgb) else [None] * len(above)
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]}m" + ("\x1b[49m" if b is None else f"\x1b[48;2;{b[0]};{b[1]};{b[2]}m") + "▀"
            for a, b in zip(above, below, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def enlarged(picture: NDArray[np.generic], side: int) -> Pixels:
    """(H, W) or (H, W, 3), each pixel a square of whole pixels, at most `side` on the longer side; never smaller."""
    pixels = picture.astype(np.uint8)
    return _repeated(pixels, max(1, side // max(pixels.shape[:2])))


def wav_bytes(samples: NDArray[np.generic], rate: int) -> bytes:
    """(T,) int16 at a rate -> a WAV of 16 bits at 16 kHz or more, with nothing in it that was not there before."""
    found = samples.astype(np.float32) / 32768
    if rate < PLAYED:
        found = soxr.resample(found, rate, PLAYED)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(max(rate, PLAYED))
        file.writeframes(np.clip(np.rint(found * 32768), -32768, 32767).astype("<i2").tobytes())
    return stream.getvalue()


def played(file: Path) -> bool:
    """Whether a player of the system played it."""
    for name, *options in PLAYERS:
        if (program := shutil.which(name)) is not None:
            done = subprocess.run([program, *options, str(file)], capture_output=True, check=False)
            return done.returncode == 0
    return False


def _repeated(pixels: Pixels, times: int) -> Pixels:
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


@contextmanager
def _single_keys(terminal: TextIO) -> Generator[Callable[[], str]]:
    """Reads keys as they are pressed, where the system can; else lines."""
    try:
        import termios
        import tty
    except ImportError:
        yield lambda: terminal.readline().strip() or " "
        return
    descriptor = terminal.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)  # Ctrl-C still stops
        yield lambda: os.read(descriptor, 1).decode("latin-1").replace("\n", " ").replace("\x04", "")
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
