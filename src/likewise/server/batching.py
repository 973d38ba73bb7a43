"""Requests share the encoder: what has come in while a batch was encoded is the next batch.

Nobody waits for a batch to fill up. So one client alone is answered at once, and many together get batches as large as
there are clients. What waits is bounded: a queue that grows only makes all answers late.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock, Thread
from typing import final

import numpy as np
import torch
from torch import Tensor

from likewise.encoder import Encoded, Encoding, Item
from likewise.encoder.preprocessing import Readable
from likewise.errors import DataError
from likewise.prepare import Finder, Part, shown_part
from likewise.server.decoding import Decoders
from likewise.server.refusals import busy

BATCH = 64  # pictures encoded at once, if as many wait
_RECENT = 0.9  # weight of the past in the running pace


def every(parts: list[Part], finder: Finder | None, name: str) -> list[Part]:
    """All that was found in an item."""
    return parts


def shown(parts: list[Part], finder: Finder | None, name: str) -> list[Part]:
    """The most prominent part of an item.

    Raises:
        DataError: nothing was found in it.
    """
    return [shown_part(parts, finder, name)]


@final
@dataclass
class _Job:
    encoder: Encoding
    values: Tensor  # (n, ...) whole numbers as decoded
    at_once: int | None
    answer: Future[Tensor] = field(default_factory=Future[Tensor])


@final
class Lane:
    """One thread that encodes, and the bounded queue in front of it.

    Args:
        decoders: what makes pixels of pictures.
        capacity: pictures that may be here at a time: being decoded, waiting, or being encoded.

    Attributes:
        batches, encoded: how many since the start.
        refused: pictures that found the queue full.
    """

    def __init__(self, decoders: Decoders, capacity: int) -> None:
        self._decoders, self._capacity = decoders, capacity
        self._lock = Lock()
        self._came, self._left = Condition(self._lock), Condition(self._lock)  # jobs, and pictures
        self._jobs: deque[_Job] = deque()
        self._closing = False
        self._pace = 0.0  # seconds per picture
        self.here = self.batches = self.encoded = self.refused = 0
        self._thread = Thread(target=self._work, name="encodes", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether somebody encodes."""
        return self._thread.is_alive() and not self._closing

    def encode(
        self,
        encoder: Encoding,
        items: Sequence[Item],
        chosen: Callable[[list[Part], Finder | None, str], list[Part]] = every,
        *,
        patient: bool = False,
    ) -> Encoded:
        """Embeddings of what is found in uploads, as `Encoding.encode_parts` gives them; see `encode_sized`."""
        return self.encode_sized(encoder, items, chosen, patient=patient)[0]

    def encode_sized(
        self,
        encoder: Encoding,
        items: Sequence[Item],
        chosen: Callable[[list[Part], Finder | None, str], list[Part]] = every,
        *,
        patient: bool = False,
        at_once: int | None = None,
    ) -> tuple[Encoded, list[tuple[int, ...]]]:
        """Embeddings of what is found in pictures or sounds, and how large these are.

        Args:
            encoder: which one; pictures for different ones are in different batches.
            items: have a `read()` that gives bytes, and a name as their text.
            chosen: which of the parts that were found in an item: `every`, or the one that is `shown`.
            patient: wait for a place in the queue, as work in the background does.
            at_once: parts per pass through the network; None as `Encoding.encode` takes them.

        Returns:
            As `Encoding.encode_parts`; and for each of its rows, height and width of the upright picture, or how many
            samples the sound has.

        Raises:
            Refusal: 503, the queue is full; 413, a picture too large, or too slow to decode.
        """
        how = encoder.ready()
        parts: list[Part] = []
        kept: list[int] = []
        sizes: list[tuple[int, ...]] = []
        problems: list[tuple[int, str]] = []
        budget = self._decoders.budget()
        with self._places(len(items), patient):
            for i, item in enumerate(items):
                if not isinstance(item, Readable):
                    raise TypeError(f"uploads are encoded here, not {type(item).__name__}")
                try:
                    opened = self._decoders.decode(item.read(), str(item), how, budget)
                    found = chosen(opened.parts, how.prepare, str(item))
                    parts += found
                    kept += [i] * len(found)
                    sizes += [opened.size] * len(found)
                except DataError as error:
                    problems.append((i, str(error)))
            rows = [how.laid_out(part) for part in parts]
            embeddings = self._encoded(encoder, rows, at_once) if rows else torch.empty(0, *encoder.embedded)
        boxes, flaws = tuple(part.box for part in parts), tuple(part.flaw for part in parts)
        return Encoded(embeddings, np.array(kept, np.int64), tuple(problems), boxes, flaws), sizes

    def close(self) -> None:
        """Encodes what is here, and takes nothing more."""
        with self._lock:
            self._closing = True
            self._came.notify_all()
            self._left.notify_all()
        self._thread.join()

    def _encoded(self, encoder: Encoding, rows: Sequence[np.ndarray], at_once: int | None) -> Tensor:
        job = _Job(encoder, torch.from_numpy(np.stack(rows)), at_once)
        with self._lock:
            if self._closing:
                raise busy("a service that is stopping", 5)
            self._jobs.append(job)
            self._came.notify()
        return job.answer.result()

    @contextmanager
    def _places(self, number: int, patient: bool) -> Generator[None]:
        with self._lock:
            if patient:
                self._left.wait_for(lambda: not self.here or self.here + number <= self._capacity // 2 or self._closing)
            elif self.here + number > self._capacity:
                self.refused += number
                seconds = max(1, round(self.here * self._pace))
                raise busy(f"{number} more pictures while {self.here} of at most {self._capacity} wait", seconds)
            self.here += number
        try:
            yield
        finally:
            with self._lock:
                self.here -= number
                self._left.notify_all()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._came.wait_for(lambda: self._jobs or self._closing)
                if not self._jobs:
                    return
                batch = self._next()
            began = time.perf_counter()
            values = torch.cat([job.values for job in batch])
            try:
                found = batch[0].encoder.encode(values, batch=batch[0].at_once).embeddings
            except Exception as error:  # it is for those who wait; the next batch may go well
                for job in batch:
                    job.answer.set_exception(error)
                continue
            for job, rows in zip(batch, found.split([len(job.values) for job in batch]), strict=True):
                job.answer.set_result(rows)
            self.batches, self.encoded = self.batches + 1, self.encoded + len(values)
            took = (time.perf_counter() - began) / len(values)
            self._pace = _RECENT * self._pace + (1 - _RECENT) * took

    def _next(self) -> list[_Job]:
        """The jobs of one batch: the first in the queue, and those behind it that fit."""
        batch = [self._jobs.popleft()]
        room = BATCH - len(batch[0].values)
        while self._jobs and self._jobs[0].encoder is batch[0].encoder and len(self._jobs[0].values) <= room:
            room -= len(self._jobs[0].values)
            batch.append(self._jobs.popleft())
        return batch
