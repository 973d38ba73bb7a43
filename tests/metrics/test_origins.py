"""Where mistakes come from: a hand-drawn case, scipy's exact test, and how often chance is called a reason."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from likewise.metrics import origins
from likewise.metrics.classification import share_right


def test_drawn_by_hand() -> None:
    """Camera 7 errs in 6 of 10, camera 3 in 2 of 20, camera 5 in none of 30."""
    of = np.repeat([3, 5, 7], [20, 30, 10])
    wrong = np.zeros(60, bool)
    wrong[[0, 1, 50, 51, 52, 53, 54, 55]] = True
    seven, three, five = origins(of, wrong)
    assert [origin.kind for origin in (seven, three, five)] == [7, 3, 5]
    assert (seven.items, seven.mistakes, seven.share, seven.rate.value, seven.rest) == (10, 6, 0.75, 0.6, 2 / 50)
    assert (five.items, five.mistakes, five.share, five.rate.value, five.rest) == (30, 0, 0.0, 0.0, 8 / 30)
    assert seven.excess == pytest.approx(6 - 10 * 2 / 50)
    assert five.excess == pytest.approx(-8)
    right = share_right(~wrong[of == 7])
    assert (seven.rate.low, seven.rate.high) == (1 - right.high, 1 - right.low)

    once = {7: fisher_exact([[6, 4], [2, 48]], "greater")[1], 3: fisher_exact([[2, 18], [6, 34]], "greater")[1]}
    assert seven.chance == pytest.approx(3 * once[7])  # Holm: the smallest of three tests times three,
    assert three.chance == pytest.approx(min(1, 2 * once[3]))  # the next times two
    assert five.chance == 1
    assert (seven.likely, three.likely, five.likely) == (True, False, False)


def test_mistakes_everywhere_alike_are_called_chance_as_often_as_they_should() -> None:
    rng, of = np.random.default_rng(0), np.repeat(np.arange(10), 50)
    alarms = sum(any(origin.likely for origin in origins(of, rng.random(500) < 0.1)) for _ in range(400))
    assert alarms / 400 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_without_any_mistake_and_with_nothing_else() -> None:
    (only,) = origins(np.zeros(5, int), np.zeros(5, bool))
    assert (only.mistakes, only.share, only.rate.value, only.rest, only.chance, only.likely) == (
        0,
        0.0,
        0.0,
        None,
        1,
        False,
    )
    (all_wrong,) = origins(np.zeros(5, int), np.ones(5, bool))
    assert (all_wrong.share, all_wrong.rate.value, all_wrong.likely) == (1.0, 1.0, False)


def test_intervals_take_the_sample_for_trials() -> None:
    of, sample = np.repeat([0, 1], 100), np.arange(200) // 20
    wrong = np.isin(sample, [0, 1])
    by_item, by_group = (next(o for o in origins(of, wrong, s) if o.kind == 0).rate for s in (None, sample))
    assert by_item.value == by_group.value == 0.4
    assert by_group.high - by_group.low > 2 * (by_item.high - by_item.low)
