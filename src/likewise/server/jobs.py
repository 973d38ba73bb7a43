"""Work that takes longer than a client waits: one job at a time, with progress, and an end when somebody cancels it.

Jobs and what they found are in memory, for an hour after they have ended: behind a balancer, one asks the copy again
that took the job on.
"""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Literal, final

from likewise.encoder import Progress
from likewise.errors import DataError, LikewiseError
from likewise.server.refusals import Refusal, busy, described

WAITING = 4  # jobs that may wait
KEPT = 3600.0  # seconds

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class _CancelledError(Exception):
    """Ends a job from inside its progress."""


@final
@dataclass
class Job:
    """One piece of work.

    Attributes:
        id: for asking after it.
        state: where it stands.
        done, total, text: progress of the present stage.
        answer: what it found, when done. error: why it failed.
    """

    work: Callable[[Progress], dict[str, Any]]
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    state: State = "waiting"
    done: int = 0
    total: int = 0
    text: str = ""
    answer: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    cancelled: Event = field(default_factory=Event)
    ended: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        keys = ("id", "state", "done", "total", "text", "answer", "error")
        return {key: getattr(self, key) for key in keys}


@final
class Jobs:
    """A thread that works off jobs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._jobs: dict[str, Job] = {}
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._thread = Thread(target=self._work, name="works off jobs", daemon=True)
        self._thread.start()

    def add(self, work: Callable[[Progress], dict[str, Any]]) -> Job:
        """Takes on a job.

        Args:
            work: calls the progress it is given, which may end it.

        Raises:
            Refusal: 503, too many wait.
        """
        job, now = Job(work), time.monotonic()
        with self._lock:
            self._jobs = {id: old for id, old in self._jobs.items() if old.ended is None or now - old.ended < KEPT}
            waiting = sum(old.state == "waiting" for old in self._jobs.values())
            if waiting >= WAITING:
                raise busy(f"a job more than the {WAITING} that wait", 30)
            self._jobs[job.id] = job
        self._queue.put(job)
        return job

    def get(self, id: str) -> Job:
        """The job with this id.

        Raises:
            Refusal: 404, there is none.
        """
        with self._lock:
            job = self._jobs.get(id)
        if job is None:
            kept = f"They are kept for {KEPT / 60:g} minutes, in the copy of the service that took them on."
            raise Refusal(404, DataError("A job that is asked for is here", ascii(id[:40]), kept))
        return job

    def cancel(self, id: str) -> Job:
        """Ends a job, one that runs at its next step; what it found already is dropped."""
        job = self.get(id)
        job.cancelled.set()
        with self._lock:
            if job.state in ("waiting", "done"):
                _end(job, "cancelled")
            job.answer = None
        return job

    def close(self) -> None:
        """Cancels all."""
        with self._lock:
            for job in self._jobs.values():
                job.cancelled.set()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            with self._lock:
                if job.state != "waiting" or job.cancelled.is_set():
                    continue
                job.state = "running"
            try:
                found = job.work(_progress_of(job))
                with self._lock:
                    if job.cancelled.is_set():
                        _end(job, "cancelled")
                    else:
                        job.answer, job.done = found, job.total
                        _end(job, "done")
            except _CancelledError:
                _end(job, "cancelled")
            except Refusal as refused:
                job.error = refused.as_dict()
                _end(job, "failed")
            except LikewiseError as error:
                job.error = described(error)
                _end(job, "failed")
            except Exception as error:  # a fault of ours must not end the thread
                job.error = described(fault(error))
                _end(job, "failed")


def fault(error: Exception) -> DataError:
    """What is said of an error that nobody foresaw."""
    return DataError("The service does not fail", type(error).__name__, "This is a fault in likewise; see its log.")


def _progress_of(job: Job) -> Progress:
    def progress(done: int, total: int, text: str) -> None:
        job.done, job.total, job.text = done, total, text
        if job.cancelled.is_set():
            raise _CancelledError

    return progress


def _end(job: Job, state: State) -> None:
    job.state, job.ended = state, time.monotonic()
    job.work = _nothing  # it holds the pictures


def _nothing(progress: Progress) -> dict[str, Any]:
    return {}
