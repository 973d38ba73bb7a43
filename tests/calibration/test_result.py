"""calibration.json goes out and comes back, and what was tampered with does not come back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from likewise.calibration import Calibration, ProbabilityCurve, Threshold
from likewise.errors import ModelError, UsageError
from likewise.metrics.estimate import Estimate

MADE = Calibration(
    thresholds=(
        Threshold(0.1, 1.25, Estimate(0.09, 0.05, 0.2), Estimate(0.01, 0.0, 0.05), True),
        Threshold(0.001, 0.5, Estimate(0.001, 0.0004, 0.003), Estimate(0.2, 0.1, 0.3), False),
    ),
    default=0.1,
    curve=ProbabilityCurve((0.25, 0.5, 2.0), (4.0, 4.0, -3.5)),
    ece=0.0125,
    unit="identity",
    items=200,
    identities=20,
    trials=190,
    pairs_different=19_000,
    pairs_same=900,
    seed=7,
)


def test_round_trip():
    assert Calibration.from_json(MADE.to_json()) == MADE
    owned = replace(MADE, model="ab12", data="tune half of people/", ece=None, items=None, identities=None)
    assert Calibration.from_json(owned.to_json()) == owned


def test_json_is_plain_and_names_what_the_command_line_prints():
    fields = json.loads(MADE.to_json())
    assert {"pairs_different", "pairs_same", "unit", "identities"} <= fields.keys()
    assert {"threshold", "fmr", "fmr_low", "fmr_high", "fnmr"} <= fields["thresholds"][0].keys()


def test_thresholds_are_found_by_their_promise():
    assert MADE.threshold_for(0.1) is MADE.thresholds[0]
    assert MADE.threshold_for(1e-3) is MADE.thresholds[1]
    assert MADE.threshold_for() is MADE.thresholds[0]
    with pytest.raises(UsageError, match=r"0\.1, 0\.001; got 0\.01"):
        MADE.threshold_for(0.01)


def test_a_distance_of_just_the_threshold_is_the_same():
    accepts = MADE.threshold_for(0.1).accepts
    assert accepts(1.25)
    assert not accepts(np.nextafter(1.25, 2))
    assert accepts(np.array([[0.0], [1.3]])).tolist() == [[True], [False]]


def altered(change):
    fields = json.loads(MADE.to_json())
    change(fields)
    return json.dumps(fields)


def setting(*path, to):
    def change(fields):
        for key in path[:-1]:
            fields = fields[key]
        fields[path[-1]] = to

    return change


@pytest.mark.parametrize("field", sorted(json.loads(MADE.to_json()).keys() - {"rule"}))
def test_a_missing_field_is_refused(field):
    with pytest.raises(ModelError, match=field):
        Calibration.from_json(altered(lambda fields: fields.pop(field)))


@pytest.mark.parametrize("field", sorted(MADE.thresholds[0].as_dict()))
def test_a_missing_field_of_a_threshold_is_refused(field):
    with pytest.raises(ModelError, match=field):
        Calibration.from_json(altered(lambda fields: fields["thresholds"][1].pop(field)))


@pytest.mark.parametrize(
    "change",
    [
        setting("format", to=2),
        setting("format", to=True),
        setting("ece", to=float("nan")),
        setting("ece", to=1.5),
        setting("unit", to="pair"),
        setting("items", to=-1),
        setting("items", to=2.5),
        setting("trials", to="190"),
        setting("seed", to=None),
        setting("model", to=5),
        setting("default", to=0.01),
        setting("thresholds", to=[]),
        setting("thresholds", to={}),
        setting("thresholds", 0, to=1),
        setting("thresholds", 0, "threshold", to=float("nan")),
        setting("thresholds", 0, "threshold", to=float("inf")),
        setting("thresholds", 0, "threshold", to=0.25),  # below that of the smaller promise
        setting("thresholds", 0, "threshold", to=None),
        setting("thresholds", 0, "fmr", to=0.11),  # more than promised
        setting("thresholds", 0, "fmr_low", to=0.095),  # above the figure
        setting("thresholds", 0, "fnmr_high", to=0.005),  # below the figure
        setting("thresholds", 0, "fnmr", to=-0.1),
        setting("thresholds", 0, "promised", to=0.0005),  # out of order
        setting("thresholds", 0, "supported", to=1),
        setting("probability", to=[]),
        setting("probability", "knots", to=[0.25, 0.25, 2.0]),
        setting("probability", "knots", to=[0.25, 2.0]),
        setting("probability", "knots", 0, to=None),
        setting("probability", "logits", to=[4.0, 5.0, -3.5]),  # rises
        setting("probability", "logits", 2, to=-float("inf")),
    ],
)
def test_altered_json_is_refused(change):
    with pytest.raises(ModelError, match=r"calibration\.json"):
        Calibration.from_json(altered(change))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, MADE.to_json()[:-40]])
def test_what_is_no_calibration_is_refused_in_one_line(text):
    with pytest.raises(ModelError) as caught:
        Calibration.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
