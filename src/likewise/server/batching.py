"""Requests share the encoder: what has come in while a batch was encoded is the next batch.

Where a detector stands before the encoder, it looks through pictures on the same thread, one at a time: both are
networks, which share the processor badly.

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
from threading import BoundedSemaphore, Condition, Lock, Thread
from typing import final

import numpy as np
import torch
from torch import Tensor

from likewise.encoder import Encoded, Encoding, Item, Pictures, Preprocessing
from likewise.encoder.preprocessing import Readable
from likewise.errors import DataError
from likewise.media.pictures import Pixels
from likewise.prepare import Box, Finder, Part, part_sized, shown_part
from likewise.server.decoding import Budget, Decoders, Opened
from likewise.server.limits import Limits
from likewise.server.refusals import busy

BATCH = 64  # pictures encoded at once, if as many wait
WHOLE = 8  # pictures held with all their pixels at once, 72 MB each at most, for a detector to look through
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
class _Rows:
    """Parts to be encoded."""

    encoder: Encoding
    values: Tensor  # (n, ...) whole numbers as decoded
    at_once: int | None
    answer: Future[Tensor] = field(default_factory=Future[Tensor])


@final
@dataclass
class _Look:
    """A picture in which parts are to be found."""

    finder: Finder
    picture: Pixels
    answer: Future[list[Part]] = field(default_factory=Future[list[Part]])


@final
class Lane:
    """One thread that encodes, and the bounded queue in front of it.

    Args:
        decoders: what makes pixels of pictures.
        capacity: pictures that may be here at a time: being decoded, waiting, or being encoded.
        parts: that are encoded of one picture, at most.

    Attributes:
        batches, encoded: how many since the start.
        refused: pictures that found the queue full.
    """

    def __init__(self, decoders: Decoders, capacity: int, parts: int = Limits.parts) -> None:
        self._decoders, self._capacity, self._parts = decoders, capacity, parts
        self._lock = Lock()
        self._came, self._left = Condition(self._lock), Condition(self._lock)  # jobs, and pictures
        self._jobs: deque[_Rows | _Look] = deque()
        self._closing = False
        self._looking = self._encoding = 0.0  # seconds per picture, and per part
        self._whole = BoundedSemaphore(WHOLE)
        self._learned: tuple[Finder, bool] | None = None  # the finder that was asked last, and what was found
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
        rows: list[np.ndarray] = []  # that wait to be encoded; of others no pixels are held any more
        blocks: list[Tensor] = [torch.empty(0, *encoder.embedded)]
        kept: list[int] = []
        boxes: list[Box | None] = []
        flaws: list[str | None] = []
        sizes: list[tuple[int, ...]] = []
        problems: list[tuple[int, str]] = []
        budget = self._decoders.budget()
        with self._places(len(items), patient):
            for i, item in enumerate(items):
                if not isinstance(item, Readable):
                    raise TypeError(f"uploads are encoded here, not {type(item).__name__}")
                try:
                    opened = self._opened(item, how, budget)
                    found = chosen(opened.parts, how.prepare, str(item))
                    if len(found) > self._parts:
                        rule = f"Of a picture up to {self._parts} parts are encoded"
                        raise DataError(rule, f"{item}, with more", "Send it in pieces.")
                except DataError as error:
                    problems.append((i, str(error)))
                    continue
                rows += [how.laid_out(part) for part in found]
                kept += [i] * len(found)
                boxes += [part.box for part in found]
                flaws += [part.flaw for part in found]
                sizes += [opened.size] * len(found)
                # In turns: a request may have thousands of parts, and others wait.
                while len(rows) >= BATCH:
                    blocks.append(self._encoded(encoder, rows[:BATCH], at_once))
                    del rows[:BATCH]
            if rows:
                blocks.append(self._encoded(encoder, rows, at_once))
        answer = Encoded(torch.cat(blocks), np.array(kept, np.int64), tuple(problems), tuple(boxes), tuple(flaws))
        return answer, sizes

    def close(self) -> None:
        """Encodes what is here, and takes nothing more."""
        with self._lock:
            self._closing = True
            self._came.notify_all()
            self._left.notify_all()
        self._thread.join()

    def _encoded(self, encoder: Encoding, rows: Sequence[np.ndarray], at_once: int | None) -> Tensor:
        job = _Rows(encoder, torch.from_numpy(np.stack(rows)), at_once)
        self._queue(job)
        return job.answer.result()

    def _opened(self, item: Readable, how: Preprocessing, budget: Budget) -> Opened:
        """An upload's parts: found where it is decoded, or here where that takes a network."""
        if how.prepare is None or not self._has_learned(how.prepare):
            return self._decoders.decode(item.read(), str(item), how, budget)
        assert isinstance(how, Pictures)  # nothing is found in sounds
        with self._whole:
            picture = self._decoders.picture(item.read(), str(item), how, budget)
            job = _Look(how.prepare, picture)
            self._queue(job)
            found, began = job.answer.result(), time.perf_counter()
            # Here, as it takes no network; by its own time, as a stranger says how many and how large they are.
            parts: list[Part] = []
            for part in found[: self._parts + 1]:  # one more than are encoded shows that there are more
                parts.append(part_sized(part, how.height, how.width, how.resize))
                if time.perf_counter() - began > budget.next:
                    raise budget.late(str(item))
            budget.left -= time.perf_counter() - began
            return Opened(parts, picture.shape[:2])

    def _has_learned(self, finder: Finder) -> bool:
        """Whether it goes by parameters that the model keeps, which decoders do not have."""
        known = self._learned
        if known is None or known[0] is not finder:
            known = self._learned = finder, bool(finder.parameters())  # once: they are copied
        return known[1]

    def _queue(self, job: _Rows | _Look) -> None:
        with self._lock:
            if self._closing:
                raise busy("a service that is stopping", 5)
            self._jobs.append(job)
            self._came.notify()

    @contextmanager
    def _places(self, number: int, patient: bool) -> Generator[None]:
        with self._lock:
            if patient:
                self._left.wait_for(lambda: not self.here or self.here + number <= self._capacity // 2 or self._closing)
            elif self.here + number > self._capacity:
                self.refused += number
                seconds = max(1, round(self.here * (self._looking + self._encoding)))
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
                first = self._jobs.popleft()
                batch = self._batch(first) if isinstance(first, _Rows) else []
            if isinstance(first, _Look):
                self._look(first)
            else:
                self._encode(batch)

    def _look(self, job: _Look) -> None:
        began = time.perf_counter()
        try:
            job.answer.set_result(job.finder.find(job.picture))
        except Exception as error:  # it is for who waits; the next one may go well
            job.answer.set_exception(error)
            return
        self._looking = _running(self._looking, time.perf_counter() - began)

    def _encode(self, batch: list[_Rows]) -> None:
        began, values = time.perf_counter(), torch.cat([job.values for job in batch])
        try:
            found = batch[0].encoder.encode(values, batch=batch[0].at_once).embeddings
        except Exception as error:  # it is for those who wait; the next batch may go well
            for job in batch:
                job.answer.set_exception(error)
            return
        for job, rows in zip(batch, found.split([len(job.values) for job in batch]), strict=True):
            job.answer.set_result(rows)
        self.batches, self.encoded = self.batches + 1, self.encoded + len(values)
        self._encoding = _running(self._encoding, (time.perf_counter() - began) / len(values))

    def _batch(self, first: _Rows) -> list[_Rows]:
        """What is encoded together: one that has left the queue, and what is in it for the same encoder and fits."""
        batch, room, others = [first], BATCH - len(first.values), deque[_Rows | _Look]()
        for job in self._jobs:
            if isinstance(job, _Rows) and job.encoder is first.encoder and len(job.values) <= room:
                batch.append(job)
                room -= len(job.values)
            else:
                others.append(job)
        self._jobs = others
        return batch


def _running(mean: float, seconds: float) -> float:
    return _RECENT * mean + (1 - _RECENT) * seconds
