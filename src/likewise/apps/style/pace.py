"""What is left of a time limit, and what fits into it by how long pixels have taken so far."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Literal, final

Pass = Literal["look", "step"]  # forward alone; forward and back, and the move


@final
class Pace:
    """A clock that starts with its making, and knows the latest seconds per pixel of each kind of pass.

    Args:
        limit: seconds; None for none.

    Attributes:
        limit: seconds, or infinity.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = math.inf if limit is None else limit
        self._began = monotonic()
        self._rates: dict[Pass, float] = {}

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self._began

    @contextmanager
    def noted(self, what: Pass, pixels: int) -> Generator[None]:
        """Learns from the block how long such a pass over so many pixels takes."""
        began = monotonic()
        yield
        self._rates[what] = (monotonic() - began) / pixels

    def takes(self, what: Pass, pixels: int) -> float:
        """Seconds; 0 where no such pass was made."""
        return self._rates.get(what, 0.0) * pixels

    def fits(self, seconds: float) -> bool:
        """Whether so much is left."""
        return self.seconds + seconds <= self.limit
