"""Lengths and objectives side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t
from study_drawn import QUICK, first, judged, some_digits

from likewise.apps.study import Dim, Objectives, Run, conduct
from likewise.data import Dataset
from likewise.encoder import Encoder
from likewise.errors import DataError, UsageError
from likewise.evaluation import evaluate
from likewise.objective import make_objective
from likewise.training import FitOptions, fit


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits()


def quiet(done: int, total: int, text: str) -> None:
    """Nobody waits."""


class TestDim:
    def test_lengths(self, digits: Dataset, tmp_path: Path) -> None:
        study = Dim(digits, (1, 8), by="item", backbone="mlp", fit=FitOptions(epochs=4))
        found = conduct(study, tmp_path / "s", say=print)
        one, eight = (run.figures["precision_at_1"] for run in found.runs)
        assert one < eight
        assert found.advice.startswith("8 numbers are enough")
        assert "Longer ones may be better still" in found.advice

    def test_figures_are_those_of_evaluate(self, digits: Dataset) -> None:
        study = Dim(digits, (4, 8), by="item", backbone="mlp", fit=QUICK)
        found = study.run({"dim": 8}, quiet)
        plan = study._trainer.plan
        (fold,) = plan.folds
        train, valid, measured = (plan.data.subset(part) for part in (fold.train, fold.valid, fold.judged))
        encoder = Encoder("mlp", 8)
        fit(encoder, train, make_objective("supcon", dim=8, classes=10), validation=valid, options=QUICK)
        expected = evaluate(encoder, measured, unit="item").as_dict()
        assert found["precision_at_1"] == pytest.approx(expected["precision_at_1"])
        assert (found["eer"], found["eer_low"]) == pytest.approx((expected["eer"], expected["eer_low"]))

    def test_folds_judge_every_item_once_and_their_eers_make_one(self, digits: Dataset) -> None:
        study = Dim(digits, (4, 8), by="item", folds=3, backbone="mlp", fit=QUICK)
        found, eers = study.run({"dim": 8}, quiet), []
        plan = study._trainer.plan
        for fold in plan.folds:
            encoder = Encoder("mlp", 8)
            fit(encoder, plan.data.subset(fold.train), make_objective("supcon", dim=8, classes=10), options=QUICK)
            eers.append(evaluate(encoder, plan.data.subset(fold.judged), unit="item").as_dict()["eer"])
        assert found["each"]["item"] == list(range(len(plan.data)))
        assert found["eer"] == pytest.approx(np.mean(eers))
        half = t.interval(0.95, 2, scale=np.std(eers, ddof=1) / np.sqrt(3))[1]
        assert found["eer_high"] - found["eer"] == pytest.approx(half)

    def test_advice(self, digits: Dataset) -> None:
        study = Dim(digits, (2, 8, 32), by="item", fit=QUICK)
        runs = [judged({"dim": dim}, first(400, right)) for dim, right in ((2, 300), (8, 395), (32, 396))]
        said = study.advice(runs)
        assert said.startswith("8 numbers are enough: P@1 0.988")
        assert "with 2 P@1 is 0.750" in said
        assert "the best is 32 with 0.990" in said
        assert "Longer" not in said


class TestObjectives:
    def test_side_by_side(self, digits: Dataset, tmp_path: Path) -> None:
        found = conduct(Objectives(digits, ("triplet", "softmax"), by="item", fit=QUICK), tmp_path / "s", say=print)
        best = max(found.runs, key=lambda run: run.figures["precision_at_1"])
        assert found.advice.startswith(f"{best.settings['loss']} does best here")
        assert (tmp_path / "s" / "study.png").stat().st_size > 1000

    @pytest.mark.parametrize(
        ("right", "said"),
        [
            ({"a": 396, "b": 395, "c": 300}, "; b is within chance of it."),
            ({"a": 396, "b": 395, "c": 395}, "but the others are as good within chance: take what trains fastest."),
            ({"a": 396, "b": 300, "c": 200}, "; all others look worse."),
            ({"a": 396}, "; no other was tried."),
        ],
    )
    def test_advice(self, digits: Dataset, right: dict[str, int], said: str) -> None:
        study = Objectives(digits, ("triplet", "softmax"), by="item", fit=QUICK)
        runs: list[Run] = [judged({"loss": loss}, first(400, count)) for loss, count in right.items()]
        assert study.advice(runs).endswith(said)


def test_what_cannot_be(digits: Dataset) -> None:
    with pytest.raises(UsageError, match="two lengths or more, rising, each 1 or more"):
        Dim(digits, (8, 4))
    with pytest.raises(UsageError, match="got nosuch"):
        Objectives(digits, ("triplet", "nosuch"))
    with pytest.raises(UsageError, match="A loss is one of"):
        Dim(digits, loss="nosuch")
    with pytest.raises(DataError, match="at least 2 identities"):
        Dim(digits.subset(np.flatnonzero(digits.labels == 1)))
