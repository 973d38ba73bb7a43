"""Which of a model's promises is meant."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import Protocol, TypeVar

from likewise.errors import UsageError


class Promise(Protocol):
    """One that was calibrated."""

    @property
    def promised(self) -> float:
        """The rate that will not be exceeded."""
        ...


P = TypeVar("P", bound=Promise)


def is_for(promise: Promise, rate: float) -> bool:
    """Whether it is the promise of this rate, which may have been through text."""
    return isclose(promise.promised, rate, rel_tol=1e-9)


def promise_for(promises: Sequence[P], rate: float, what: str) -> P:
    """The one of this rate.

    Args:
        promises: to choose from.
        rate: that is promised.
        what: the rate is of.

    Raises:
        UsageError: there is none.
    """
    for promise in promises:
        if is_for(promise, rate):
            return promise
    known = ", ".join(f"{promise.promised:g}" for promise in promises)
    raise UsageError(f"This model promises {what} of {known}", f"{rate:g}", "Calibrate it for this rate first.")
