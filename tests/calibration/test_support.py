"""How many people a promise needs, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.calibration import identities_needed, smallest_supported_fmr
from likewise.calibration.support import require_support, trials_needed
from likewise.errors import SupportError, UsageError


@pytest.mark.parametrize(
    ("fmr", "trials", "people"),
    [
        (1e-1, 30, 9),  # 9 * 8 / 2 = 36; 8 make 28
        (1e-2, 300, 25),  # 25 * 24 / 2 = 300 exactly
        (1e-3, 3000, 78),  # 78 * 77 / 2 = 3,003; 77 make 2,926
        (1e-4, 30_000, 246),  # 246 * 245 / 2 = 30,135; 245 make 29,890, a little short
        (0.5, 6, 4),
        (0.3, 10, 5),
    ],
)
def test_three_over_the_promise(fmr, trials, people):
    assert trials_needed(fmr) == trials
    assert identities_needed(fmr) == people


@given(st.floats(1e-9, 0.999))
def test_needed_identities_are_just_enough(fmr):
    people = identities_needed(fmr)
    assert people * (people - 1) // 2 >= trials_needed(fmr) > (people - 1) * (people - 2) // 2


@pytest.mark.parametrize(
    ("trials", "fmr"), [(29, None), (30, 1e-1), (299, 1e-1), (300, 1e-2), (2999, 1e-2), (10**9, 1e-4)]
)
def test_smallest_supported(trials, fmr):
    assert smallest_supported_fmr(trials) == fmr


def test_refusal_says_how_many_there_are_needed_and_missing():
    with pytest.raises(SupportError) as caught:
        require_support(1e-4, 4950, 100)
    text = str(caught.value)
    for part in ("0.0001", "30,000", "246 identities", "4,950 pairs of 100 identities", "146 identities are missing"):
        assert part in text
    assert "promise 0.001" in text
    assert "\n" not in text


def test_refusal_for_items_counts_pairs_of_items():
    with pytest.raises(SupportError, match=r"30,000 .* 12,000\. .* 18,000 more, or promise 0\.001"):
        require_support(1e-4, 12_000, None)


def test_refusal_names_no_alternative_where_there_is_none():
    with pytest.raises(SupportError) as caught:
        require_support(1e-1, 10, 5)
    assert "4 identities are missing" in str(caught.value)
    assert "promise" not in str(caught.value)


@pytest.mark.parametrize("fmr", [0, 1, -0.1, 2, float("nan")])
def test_a_rate_is_between_0_and_1(fmr):
    with pytest.raises(UsageError, match="between 0 and 1"):
        require_support(fmr, 10**9, None)
