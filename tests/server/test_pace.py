"""How often, by a clock that the test turns."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from likewise.server.pace import Rates, Tries
from likewise.server.refusals import Refusal
from likewise.server.tokens import Token


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def token(per_minute: float, id: str = "a") -> Token:
    return Token(id, "n", ("verify",), 0, per_minute, "")


def allowed(rates: Rates, who: Token, tries: int) -> int:
    count = 0
    for _ in range(tries):
        with suppress(Refusal):
            rates.take(who)
            count += 1
    return count


def test_a_sixth_of_a_minutes_requests_at_once_then_evenly() -> None:
    clock = Clock()
    rates, who = Rates(clock), token(60)
    assert allowed(rates, who, 100) == 10
    clock.now += 3
    assert allowed(rates, who, 100) == 3
    clock.now += 3600
    assert allowed(rates, who, 100) == 10
    assert allowed(rates, token(60, "b"), 100) == 10  # others have their own


def test_over_an_hour_no_more_than_was_promised() -> None:
    clock = Clock()
    rates, who, total = Rates(clock), token(60), 0
    for _ in range(3600):
        clock.now += 1
        total += allowed(rates, who, 3)
    assert 3600 <= total <= 3610


def test_it_says_when_to_come_back() -> None:
    clock = Clock()
    rates, who = Rates(clock), token(2)
    rates.take(who)
    with pytest.raises(Refusal) as refused:
        rates.take(who)
    assert (refused.value.status, refused.value.retry_after) == (429, 30)
    clock.now += 30
    rates.take(who)


def attempt(tries: Tries, same: bool, name: str = "ada") -> None:
    with tries.one(name) as decided:
        decided(same)


def test_after_five_refusals_the_next_waits_thirty_seconds() -> None:
    clock = Clock()
    tries = Tries(clock)
    for _ in range(5):
        attempt(tries, same=False)
    with pytest.raises(Refusal) as refused:
        attempt(tries, same=True)  # even the right one
    assert (refused.value.status, refused.value.retry_after) == (429, 30)
    attempt(tries, same=True, name="grace")  # another name need not wait
    clock.now += 29
    with pytest.raises(Refusal):
        attempt(tries, same=True)
    clock.now += 1
    attempt(tries, same=False)
    with pytest.raises(Refusal):  # and so with each further refusal
        attempt(tries, same=False)
    clock.now += 30
    attempt(tries, same=True)
    for _ in range(5):  # a right one takes all back
        attempt(tries, same=False)


def test_asking_for_many_at_once_gives_no_more_guesses() -> None:
    tries = Tries(Clock())
    with ExitStack() as stack:
        opened = [stack.enter_context(tries.one("ada")) for _ in range(5)]
        with pytest.raises(Refusal), tries.one("ada"):
            pass
        for decided in opened:
            decided(False)
    with pytest.raises(Refusal):
        attempt(tries, same=False)


def test_what_fails_is_no_refusal() -> None:
    tries = Tries(Clock())
    for _ in range(20):
        with pytest.raises(ValueError, match="unreadable"), tries.one("ada"):
            raise ValueError("unreadable")
    attempt(tries, same=False)


def test_a_forgotten_name_is_forgotten_here_too() -> None:
    tries = Tries(Clock())
    for _ in range(5):
        attempt(tries, same=False)
    tries.forget("ada")
    attempt(tries, same=False)
    assert "ada" in repr(vars(tries))
    tries.forget("ada")
    assert "ada" not in repr(vars(tries))
