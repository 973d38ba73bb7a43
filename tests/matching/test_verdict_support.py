"""A verdict says whether the data its threshold was set with bear the promise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from likewise.apps.learn import Learned
from likewise.data import Dataset
from likewise.matching import Model, Verdict, calibrate

WORDS = "too few data to support this promise"


@pytest.fixture(scope="module")
def unsupported(learned: Learned, digits: Dataset) -> Model:
    """Set with six digits taken for people: 15 pairs of them, where a rate of 0.1 needs 30."""
    return calibrate(learned.model.encoder, digits.of_identities(range(6)).subset(np.arange(60)), unit="identity")


def test_a_promise_that_data_do_not_support_is_marked(unsupported: Model, digits: Dataset) -> None:
    verdict = unsupported.verify(digits.sources[0], digits.sources[10])
    line = unsupported.calibrated().threshold_for()
    assert not line.supported
    assert verdict.supported is False
    assert verdict.fmr_high == line.fmr.high > verdict.fmr
    for shown in (str(verdict), verdict._repr_html_()):
        assert WORDS in shown
        assert f"{line.fmr.high:.2g}" in shown


def test_one_that_they_do_is_not(learned: Learned, digits: Dataset) -> None:
    verdict = learned.model.verify(digits.sources[0], digits.sources[10])
    assert verdict.supported is True
    assert verdict.fmr_high == learned.model.calibrated().threshold_for().fmr.high
    assert WORDS not in str(verdict)
    assert WORDS not in verdict._repr_html_()


def test_every_rate_says_it_of_itself(learned: Learned, digits: Dataset) -> None:
    for line in learned.model.calibrated().thresholds:
        verdict = learned.model.verify(digits.sources[0], digits.sources[1], fmr=line.promised)
        assert (verdict.fmr_high, verdict.supported) == (line.fmr.high, line.supported)


def test_it_is_in_the_json(unsupported: Model, digits: Dataset) -> None:
    values = json.loads(json.dumps(unsupported.verify(digits.sources[0], digits.sources[1]).as_dict()))
    assert values["supported"] is False
    assert 0 < values["fmr_high"] <= 1


def test_the_text_says_the_answer_and_its_reasons() -> None:
    text = str(Verdict(True, 0.1, 0.5, 0.9, 0.01, 0.02, True))
    assert text == "the same: distance 0.1, threshold 0.5 (FMR 0.01), probability 90.0%"
    assert Verdict(False, 1.0, 0.5, 0.1, 0.01, 0.02, True)._repr_html_().startswith("<b>not the same</b>: distance 1,")
