"""The decoding processes, from the side of the service: borrowed for a picture, killed when it takes too long."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, BinaryIO, cast, final

import numpy as np

import likewise
from likewise.encoder import Pictures, Preprocessing, Sounds
from likewise.errors import DataError, ModelError
from likewise.media.pictures import Pixels
from likewise.prepare import Part
from likewise.server.decoder import receive, send
from likewise.server.limits import Limits
from likewise.server.refusals import Refusal, busy

_LOOK_EVERY = 0.05  # seconds between two looks for processes that take too long
_STARTS_WITHIN = 60.0  # seconds that a process has until it can decode
_WAIT = 20.0  # seconds that a picture may wait for a process
_PICTURES = 4  # times the seconds of one picture: those of all in a request
# How refusals begin that are about a limit of the service, and what to do.
_TOO_LARGE = {
    "A picture has at most": "Make it smaller, or have the service started with more `serve --pixels`.",
    "A sound lasts at most": "Cut it, or have the service started with more `serve --sound-seconds`.",
}


@final
class Budget:
    """Time to decode that a request has left: many slow pictures cost no more than a few.

    Args:
        limits: seconds of a picture; a request has four times as many.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.left = _PICTURES * limits.decode_seconds

    @property
    def next(self) -> float:
        """Seconds for the next picture."""
        return min(self.left, self._limits.decode_seconds)

    def late(self, name: str) -> Refusal:
        """What is said once they have passed."""
        most = self._limits.decode_seconds
        if self.left <= 0:
            rule, remedy = f"The pictures of a request decode within {_PICTURES * most:g} s", "Send fewer at a time."
        else:
            rule, remedy = f"A picture decodes within {most:g} s", "Save it anew, or smaller."
        return Refusal(413, DataError(rule, name, remedy))


@final
@dataclass(frozen=True)
class Opened:
    """A picture or sound that was decoded.

    Attributes:
        parts: what of it is encoded, the most prominent first.
        size: height and width of the upright picture, or how many samples the sound has.
    """

    parts: list[Part]
    size: tuple[int, ...]


@final
class Decoders:
    """Decodes pictures of strangers, each within a time limit that holds whatever the decoder does.

    Args:
        limits: pixels and seconds of a picture.
        number: of processes; None for one per core.
    """

    def __init__(self, limits: Limits, number: int | None = None) -> None:
        self._limits = limits
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._all = [_Process() for _ in range(number or os.cpu_count() or 1)]
        for process in self._all:
            self._idle.put(process)
        self.killed = 0  # how many took too long
        self._closing = Event()
        self._watch = Thread(target=self._kill_the_late, name="watches decoders", daemon=True)
        self._watch.start()

    def budget(self) -> Budget:
        """That of a new request."""
        return Budget(self._limits)

    def decode(self, content: bytes, name: str, how: Preprocessing, budget: Budget) -> Opened:
        """What `Preprocessing.parts` would find in this process, and how large the item is.

        Args:
            content, name: a picture or sound, and what its errors call it.
            how: what is made of it; its prepare step goes by no parameters of the model, as processes hold no network.
            budget: of the request it is part of.

        Raises:
            DataError: it cannot be read. Refusal: 413, it is too large or takes too long, which should end its request;
                503, all processes are busy with others for long.
        """
        prepare = None if how.prepare is None else how.prepare.as_dict()
        return self._opened(content, {"name": name, "prepare": prepare, **_asked(how, self._limits)}, budget)

    def picture(self, content: bytes, name: str, how: Pictures, budget: Budget) -> Pixels:
        """A picture with all of its pixels, upright, in the colours that `how` takes; see `decode`."""
        asked = {"kind": "whole", "mode": _mode(how), "max_pixels": self._limits.pixels}
        (whole,) = self._opened(content, {"name": name, "prepare": None, **asked}, budget).parts
        return whole.values

    def close(self) -> None:
        """Ends the processes."""
        self._closing.set()
        self._watch.join()
        for process in self._all:
            process.end()

    def _opened(self, content: bytes, header: dict[str, Any], budget: Budget) -> Opened:
        try:
            process = self._idle.get(timeout=_WAIT)
        except queue.Empty:
            raise busy(f"pictures that take more than {_WAIT:g} s to decode") from None
        try:
            return process.decode(content, header, budget)
        finally:
            self._idle.put(process)

    def _kill_the_late(self) -> None:
        while not self._closing.wait(_LOOK_EVERY):
            self.killed += sum(process.kill_if_late() for process in self._all)


@final
class _Process:
    """One decoding process, started when it is needed and after it has been killed."""

    def __init__(self) -> None:
        self._lock = Lock()  # between the thread that decodes and the one that watches
        self._deadline: float | None = None
        self._late = False
        self._running = self._start()
        self._ready = False
        self._prepared: dict[str, Any] | None = None  # the finder it has loaded

    def decode(self, content: bytes, header: dict[str, Any], budget: Budget) -> Opened:
        name: str = header["name"]
        if budget.left <= 0:
            raise budget.late(name)
        try:
            self._expect(time.monotonic() + _STARTS_WITHIN)
            self._make_ready(header["prepare"])
            began = time.monotonic()
            self._expect(began + budget.next)
            try:
                send(_pipe(self._running.stdin), header, content)
                answer, values = receive(_pipe(self._running.stdout))
            finally:
                budget.left -= time.monotonic() - began
        except (EOFError, OSError):
            late = self._expect(None)
            self._start_again()
            if late:
                raise budget.late(name) from None
            rule, remedy = "An upload decodes to its end", "Copy it again, or save it in another format."
            raise DataError(rule, f"{name} (the decoder ended)", remedy) from None
        if self._expect(None):  # it was killed just after it had answered
            self._start_again()
        if "rule" in answer:
            for beginning, remedy in _TOO_LARGE.items():
                if answer["rule"].startswith(beginning):
                    raise Refusal(413, DataError(answer["rule"], answer["received"], remedy))
            raise DataError(answer["rule"], answer["received"], answer["remedy"])
        size = tuple(answer["size"])
        if not answer["parts"]:
            return Opened([], size)
        found = np.frombuffer(values, answer["type"]).reshape(-1, *answer["shape"])
        parts = [
            Part(rows, None if one["box"] is None else tuple(one["box"]), one["flaw"])
            for rows, one in zip(found, answer["parts"], strict=True)
        ]
        return Opened(parts, size)

    def kill_if_late(self) -> bool:
        """Whether it had to be killed."""
        with self._lock:
            if self._deadline is None or time.monotonic() < self._deadline:
                return False
            self._deadline, self._late = None, True
            self._running.kill()
            return True

    def end(self) -> None:
        """Kills it, and waits until it is gone."""
        self._running.kill()
        self._running.wait()
        for pipe in (self._running.stdin, self._running.stdout):
            with suppress(OSError):  # what was not sent is not wanted any more
                _pipe(pipe).close()

    def _start_again(self) -> None:
        self.end()
        self._running, self._ready, self._prepared = self._start(), False, None

    def _make_ready(self, prepare: dict[str, Any] | None) -> None:
        """Waits until it decodes, and has loaded what looks for parts: neither is the fault of a picture."""
        if not self._ready:
            receive(_pipe(self._running.stdout))
            self._ready = True
        if prepare != self._prepared:
            send(_pipe(self._running.stdin), {"prepare": prepare})
            answer, _ = receive(_pipe(self._running.stdout))
            if "rule" in answer:
                self._expect(None)
                raise ModelError(answer["rule"], answer["received"], answer["remedy"])
            self._prepared = prepare

    def _expect(self, deadline: float | None) -> bool:
        """Sets when it is late; whether it has been already."""
        with self._lock:
            late, self._late, self._deadline = self._late, False, deadline
            return late

    def _start(self) -> subprocess.Popen[bytes]:
        here = str(Path(str(likewise.__file__)).parents[1])
        path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            [sys.executable, "-m", "likewise.server.decoder"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip


def _asked(how: Preprocessing, limits: Limits) -> dict[str, Any]:
    """What the header of a frame says of the kind of item that is to be decoded."""
    if isinstance(how, Sounds):
        return {"kind": how.kind, "rate": how.rate, "samples": how.samples, "max_seconds": limits.sound_seconds}
    assert isinstance(how, Pictures)  # there are no other kinds
    return {
        "kind": how.kind, "mode": _mode(how), "height": how.height, "width": how.width, "resize": how.resize,
        "max_pixels": limits.pixels,
    }  # fmt: skip


def _mode(how: Pictures) -> str:
    return "L" if how.channels == 1 else "RGB"


def _pipe(stream: object) -> BinaryIO:
    return cast(BinaryIO, stream)
