"""A figure with its interval: what every measured number in a report is."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval it is believed to lie in.

    Attributes:
        value: the figure itself.
        low: lower end of the interval.
        high: upper end of the interval; which confidence the two ends stand for is said by what made them.
    """

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """The three numbers as plain JSON values."""
        return asdict(self)
