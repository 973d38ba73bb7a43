"""How often and how much: requests and pictures of a token, and verifications of a name that were refused.

Kept in memory, for each service.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import final

from likewise.errors import DataError
from likewise.server.refusals import Refusal
from likewise.server.tokens import Token

Clock = Callable[[], float]

TRIES, WAIT = 5, 30.0  # refused verifications of a name, and then seconds (the rule of NIST SP 800-63B)
_BURST = 6  # a token may use up a sixth of a minute's requests at once
_FORGOTTEN = 3600.0  # seconds after the last refusal, and they no longer count
_MANY = 10_000  # names remembered before old ones are looked for


@final
class Rates:
    """Token buckets: a request takes one, and they fill up again evenly."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._left: dict[str, tuple[float, float]] = {}  # by id of a token: how many, and when

    def take(self, token: Token) -> None:
        """One request.

        Raises:
            Refusal: 429, the bucket is empty.
        """
        per_second, most, now = token.per_minute / 60, max(1.0, token.per_minute / _BURST), self._clock()
        with self._lock:
            left, when = self._left.get(token.id, (most, now))
            left = min(most, left + (now - when) * per_second)
            self._left[token.id] = max(left - 1, 0.0) if left >= 1 else left, now
        if left < 1:
            seconds = math.ceil((1 - left) / per_second)
            rule = f"This token is good for {token.per_minute:g} requests per minute"
            raise Refusal(429, DataError(rule, "more", f"Ask again in {seconds} s."), seconds)


@final
class Shares:
    """How many pictures of one token are worked on at a time: whoever sends many leaves places in the queue to others.

    Args:
        most: pictures; a request that comes alone may have more.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._here: dict[str, int] = {}  # by id of a token

    @contextmanager
    def of(self, token: Token, number: int) -> Generator[None]:
        """While `number` pictures of a token are worked on.

        Raises:
            Refusal: 429, too many with those that are here.
        """
        with self._lock:
            here = self._here.get(token.id, 0)
            if here and here + number > self._most:
                rule = f"A token has at most {self._most} pictures here at a time"
                raise Refusal(429, DataError(rule, f"{number} more than {here}", "Ask again in 1 s."), 1)
            self._here[token.id] = here + number
        try:
            yield
        finally:
            with self._lock:
                self._here[token.id] -= number
                if not self._here[token.id]:
                    del self._here[token.id]


@final
class Tries:
    """Who guesses must wait: after `TRIES` refused verifications of one name, `WAIT` seconds before each further one.

    Those that are not decided yet count as refused, so that asking for many at once gives no more guesses.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._refused: dict[str, tuple[int, float]] = {}  # by name: how many, and when the last one was
        self._open: dict[str, int] = {}  # by name: how many are being decided

    @contextmanager
    def one(self, name: str) -> Generator[Callable[[bool], None]]:
        """A verification of `name`; the block calls what it is given with the answer, unless it raises.

        Raises:
            Refusal: 429, it must wait.
        """
        self._begin(name)
        try:
            yield lambda same: self._end(name, same)
        finally:
            with self._lock:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

    def forget(self, name: str) -> None:
        """Drops what is remembered of a name."""
        with self._lock:
            self._refused.pop(name, None)

    def _begin(self, name: str) -> None:
        now = self._clock()
        with self._lock:
            refused, last = self._refused.get(name, (0, now))
            if now - last > _FORGOTTEN:
                self._refused.pop(name)
                refused = 0
            undecided = self._open.get(name, 0)
            wait = last + WAIT - now if refused >= TRIES else 0.0
            if wait <= 0 and (undecided < TRIES - refused or not undecided):
                self._open[name] = undecided + 1
                return
        seconds = max(1, math.ceil(wait))
        rule = f"After {TRIES} refused verifications of a name the next one waits {WAIT:g} s"
        received = "one too soon" if wait > 0 else "many at once"
        raise Refusal(429, DataError(rule, received, f"Ask again in {seconds} s."), seconds)

    def _end(self, name: str, same: bool) -> None:
        now = self._clock()
        with self._lock:
            if same:
                self._refused.pop(name, None)
                return
            self._refused[name] = self._refused.get(name, (0, now))[0] + 1, now
            if len(self._refused) > _MANY:
                self._refused = {n: held for n, held in self._refused.items() if now - held[1] < _FORGOTTEN}
