"""What frames say together, on distances drawn by hand, and what their vote does to a promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.calibration import Calibration, ProbabilityCurve, Threshold
from likewise.errors import UsageError
from likewise.gallery.claim import Frame, Line, claimed
from likewise.gallery.decision import Lines, expected_fpir
from likewise.metrics.estimate import Estimate

LINE = Line(1.0, 2.0, 0.01, 0.02, True)
CURVE = ProbabilityCurve((0.0, 4.0), (4.0, -4.0))


def calibration(*thresholds: tuple[float, float], supported: bool = True) -> Calibration:
    """Of promised rate, up to twice which was measured, and threshold; the last is the default."""
    lines = tuple(
        Threshold(fmr, at, Estimate(fmr, 0, 2 * fmr), Estimate(0.1, 0, 1), supported) for fmr, at in thresholds
    )
    return Calibration(lines, thresholds[-1][0], CURVE, None, "identity", 10, 5, 10, 40, 5, 0)


def frames(*distances: float | None) -> list[Frame]:
    return [
        Frame(f"{i}.jpg", "unfit", None, problem="no face was found")
        if far is None
        else Frame(f"{i}.jpg", LINE.says(far), far)
        for i, far in enumerate(distances)
    ]


@pytest.mark.parametrize(
    ("distances", "said", "middle"),
    [
        ((0.5,), "same", 0.5), ((1.0,), "same", 1.0), ((1.5,), "unsure", 1.5), ((2.5,), "different", 2.5),
        ((0.5, 0.9), "same", 0.9), ((0.5, 1.1), "unsure", 1.1), ((0.5, 9.0), "different", 9.0),  # both of two
        ((9.0, 0.5, 0.6), "same", 0.6), ((9.0, 0.5, 1.5), "unsure", 1.5), ((9.0, 0.5, 8.0), "different", 8.0),
        ((0.1, 0.2, 1.5, 1.6), "unsure", 1.5), ((0.1, 0.2, 0.3, 9.0), "same", 0.3),  # three of four
        ((None, 0.5), "same", 0.5), ((9.0, None, 0.5, None, 0.6), "same", 0.6), ((None, 0.5, 9.0), "different", 9.0),
        ((None,), "unfit", None), ((None, None), "unfit", None), ((), "unfit", None),
    ],
)  # fmt: skip
def test_the_middle_distance_decides(distances: tuple[float | None, ...], said: str, middle: float | None) -> None:
    claim = claimed("ada", frames(*distances), LINE, calibration((0.01, 1.0)), 3)
    assert (claim.said, claim.same, claim.distance) == (said, said == "same", middle)
    assert (claim.threshold, claim.loose, claim.records) == (1.0, 2.0, 3)
    assert claim.fmr == pytest.approx(1 - 0.99**3)
    if middle is None:
        assert claim.probability is None
    else:
        assert claim.probability == pytest.approx(calibration((0.01, 1.0)).probability([middle])[0])
    assert claim.as_dict()["frames"] == [frame.__dict__ for frame in claim.frames]


@given(
    st.integers(1, 7).flatmap(
        lambda number: st.lists(
            st.lists(st.sampled_from([0.5, 1.5, 2.5]), min_size=number, max_size=number), min_size=1, max_size=40
        )
    )
)
def test_votes_keep_a_promise_within_a_factor_of_two(strangers: list[list[float]]) -> None:
    """Markov: however the frames of one stranger depend on each other, a yes is at most twice as frequent as a pass."""
    passes = np.mean([far <= LINE.strict for one in strangers for far in one])
    yes = np.mean([claimed("ada", frames(*one), LINE, None, 1).same for one in strangers])
    assert yes <= 2 * passes + 1e-12


def test_the_factor_is_no_smaller() -> None:
    """Of three frames two may pass together: then half again as many strangers do."""
    strangers = [(0.5, 0.5, 9.0)] * 10 + [(9.0, 9.0, 9.0)] * 90
    passes = np.mean([far <= LINE.strict for one in strangers for far in one])
    yes = np.mean([claimed("ada", frames(*one), LINE, None, 1).same for one in strangers])
    assert yes == pytest.approx(1.5 * passes)


class TestLine:
    def test_of_a_model_ends_where_the_next_larger_rate_does(self) -> None:
        known = calibration((0.1, 3.0), (0.01, 2.0), (0.001, 1.0))
        assert Line.of_model(known, None) == Line(1.0, 2.0, 0.001, 0.002, True)
        assert Line.of_model(known, 0.01) == Line(2.0, 3.0, 0.01, 0.02, True)
        assert Line.of_model(known, 0.1) == Line(3.0, 3.0, 0.1, 0.2, True)  # nothing is unsure
        with pytest.raises(UsageError):
            Line.of_model(known, 0.5)

    def test_the_strictest_decides_whichever_was_calibrated_last(self) -> None:
        known = replace(calibration((0.001, 1.0), (0.1, 3.0)), default=0.1)
        assert Line.of_model(known, None) == Line.of_model(known, 0.001)

    def test_of_a_gallery_promises_nothing_for_one_name(self) -> None:
        assert Line.of_gallery(Lines(1.0, 2.0, 0.01, 0.1, "gallery")) == Line(1.0, 2.0, None, None, True)
        claim = claimed("ada", frames(0.5), Line(1.0, 2.0, None, None, True), None, 3)
        assert (claim.fmr, claim.fmr_high, claim.supported) == (None, None, True)

    def test_the_rate_grows_with_the_records_of_the_name(self) -> None:
        claim = claimed("ada", frames(0.5), LINE, None, 5)
        assert claim.fmr == pytest.approx(expected_fpir(0.01, 5))
        assert claim.fmr_high == pytest.approx(expected_fpir(0.02, 5))

    def test_of_a_model_knows_whether_its_promise_is_supported(self) -> None:
        weak = Line.of_model(calibration((0.001, 1.0), supported=False), None)
        assert (weak.fmr, weak.fmr_high, weak.supported) == (0.001, 0.002, False)
        for claim in (claimed("ada", frames(*far), weak, None, 10) for far in ((0.5,), (9.0, 1.5))):
            assert not claim.supported
            assert claim.as_dict()["supported"] is False
            said = str(claim).splitlines()[0]
            assert said.endswith("; too few data to support this promise (FMR may be as high as 0.02)")
        assert "too few data" not in str(claimed("ada", frames(0.5), LINE, None, 10))

    def test_a_rate_that_may_be_one(self) -> None:
        assert claimed("ada", frames(0.5), Line(1.0, 2.0, 0.5, 1.0, False), None, 3).fmr_high == 1


def test_in_words() -> None:
    one = claimed("ada", frames(0.5), LINE, calibration((0.01, 1.0)), 1)
    assert str(one) == "ada: yes, distance 0.5, threshold 1 (FMR 0.01 with 1 record), probability 95.3%"
    several = str(claimed("ada", frames(1.5, None), LINE, None, 1))
    assert several.splitlines()[0].startswith("ada: unsure, let a person look, distance 1.5, threshold 1")
    assert several.splitlines()[1:] == ["  0.jpg: unsure, distance 1.5", "  1.jpg: unfit, no face was found"]
    assert str(claimed("ada", frames(None), LINE, None, 1)) == "ada: unfit, 0.jpg: no face was found"
    unreadable = Frame("a.jpg", "unfit", None, problem="A picture has content; got a.jpg.")
    assert str(claimed("ada", [unreadable], LINE, None, 1)) == "ada: unfit, A picture has content; got a.jpg."


def test_a_yes_that_many_others_would_get_comes_with_a_warning() -> None:
    loose = Line(1.0, 1.0, 0.1, 0.2, True)
    few, many = (str(claimed("ada", frames(0.5), loose, None, records)) for records in (1, 10))
    assert "Warning" not in few
    assert "Warning: 65% of others would pass for ada too" in many  # 1 - 0.9^10
    assert "Warning" not in str(claimed("ada", frames(3.0), loose, None, 10))  # nobody is let in
