"""The promise that is meant is found, also by a rate that went through text; others are refused with what there is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from likewise.calibration.promises import is_for, promise_for
from likewise.errors import UsageError


@dataclass(frozen=True)
class Line:
    promised: float


LINES = [Line(0.01), Line(0.1 + 0.2), Line(1e-6)]


@pytest.mark.parametrize(("rate", "place"), [(0.01, 0), (0.3, 1), (1.0000000001e-6, 2)])
def test_it_is_found(rate: float, place: int) -> None:
    assert promise_for(LINES, rate, "rates") is LINES[place]
    assert [is_for(line, rate) for line in LINES] == [i == place for i in range(3)]


def test_what_there_is_is_told() -> None:
    with pytest.raises(UsageError, match=r"promises rates of 0\.01, 0\.3, 1e-06; got 0\.02"):
        promise_for(LINES, 0.02, "rates")
