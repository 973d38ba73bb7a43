"""What the cards of models for all tasks have in common."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from classify_drawn import classifier, halves

from likewise.apps.detect import LearnedBoxes
from likewise.apps.learn import Learned
from likewise.apps.triggerword import LearnedTrigger
from likewise.matching import TaskModel


@pytest.fixture(params=["embed", "classify", "triggerword", "detect"])
def model(request: pytest.FixtureRequest) -> TaskModel[Any, Any]:
    task = request.param
    if task == "classify":
        return classifier(halves())
    fixture = {"embed": "learned", "triggerword": "trigger", "detect": "detector"}[task]
    made: Learned | LearnedTrigger | LearnedBoxes = request.getfixturevalue(fixture)
    return made.model


def test_they_begin_alike_and_say_whose_weights_a_model_holds(model: TaskModel[Any, Any]) -> None:
    config = model.describe()
    assert config["task"] == model.task
    card = model.card("m", config, {})
    for line in ("# m", "## How it was trained", f"- Fingerprint `{model.fingerprint}`."):
        assert card.splitlines().count(line) == 1
    assert f"optimizer {config['trained']['fit']['optimizer']}" in card
    assert "weights of others" not in card
    config = copy.deepcopy(config)
    config["trained"]["before"] = {"source": "a package", "licence": "MIT"}
    assert "- It holds weights of others: a package, MIT." in model.card("m", config, {}).splitlines()


def test_names_are_shown_as_they_are(model: TaskModel[Any, Any]) -> None:
    config = copy.deepcopy(model.describe())
    config["trained"]["data"] = "<script>"
    if (head := config["architecture"].get("head")) is not None:
        head["names"] = ["<b>one</b>", *head["names"][1:]]
    card = model.card("a*b*", config, {})
    assert card.startswith("# a\\*b\\*\n")
    assert "<script>" not in card
    assert "<b>" not in card
