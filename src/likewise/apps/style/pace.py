"""What is left of a time limit, and what fits into it by how long pixels have taken so far."""

from __future__ import annotations

import math
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

    def learn(self, what: Pass, pixels: int, seconds: float) -> None:
        """So long such a pass over so many pixels has taken."""
        self._rates[what] = seconds / pixels

    def takes(self, what: Pass, pixels: int) -> float:
        """Seconds; 0 where no such pass was made."""
        return self._rates.get(what, 0.0) * pixels

    def fits(self, seconds: float) -> bool:
        """Whether so much is left."""
        return self.seconds + seconds <= self.limit
