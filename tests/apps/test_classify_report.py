"""Figures of a report against scikit-learn, intervals over groups, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics

from likewise.apps.classify import AnswerCalibration, AnswerReport, Classifier, Outputs, report_on
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Head, Pictures
from likewise.metrics.classification import chance_error, reliability, share_right

ITEMS = 300
NAMES = ("ant", "bee", "cat", "dog")


def given(
    head: Head, outputs: np.ndarray, targets: np.ndarray, *, groups: np.ndarray | None = None, **calibration: object
) -> tuple[Classifier, Outputs]:
    encoder = Encoder("linear", head=head, preprocessing=Pictures(1, 4, 4))
    found = AnswerCalibration(encoder.fingerprint(), 100, "drawn", **calibration) if calibration else None
    data = arrays(np.zeros((len(outputs), 4, 4), np.uint8), [0] * len(outputs), groups=groups, origin="drawn")
    return Classifier(encoder, found), Outputs(
        torch.from_numpy(outputs).float(), torch.from_numpy(targets).float(), data, (("bad.png", "no picture"),)
    )


@pytest.fixture(scope="module")
def of_one() -> tuple[np.ndarray, np.ndarray]:
    """Outputs that are right in about 3 of 4, of classes that are not equally frequent."""
    rng = np.random.default_rng(0)
    truth = rng.choice(4, ITEMS, p=[0.5, 0.3, 0.15, 0.05])
    return 1.5 * rng.standard_normal((ITEMS, 4)) + 3 * np.eye(4)[truth], truth


class TestOneClass:
    @pytest.fixture
    def report(self, of_one: tuple[np.ndarray, np.ndarray]) -> AnswerReport:
        outputs, truth = of_one
        return report_on(*given(Head("multiclass", NAMES), outputs, np.eye(4)[truth], temperature=2.0))

    def test_figures_are_those_of_scikit_learn(
        self, report: AnswerReport, of_one: tuple[np.ndarray, np.ndarray]
    ) -> None:
        outputs, truth = of_one
        said = outputs.argmax(axis=1)
        probability = np.exp(outputs / 2) / np.exp(outputs / 2).sum(axis=1, keepdims=True)
        figures = report.figures
        assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
        assert figures["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, said))
        assert figures["log_loss"] == pytest.approx(metrics.log_loss(truth, probability), rel=1e-6)
        assert report.confusion is not None
        np.testing.assert_array_equal(report.confusion.pooled(4), metrics.confusion_matrix(truth, said))
        assert figures["ece"] == pytest.approx(reliability(probability.max(axis=1), said == truth).error, abs=1e-6)
        chance = chance_error(probability.max(axis=1))
        assert figures["ece_by_chance"] == pytest.approx(chance.mean, abs=1e-4)
        assert figures["ece_by_chance_at_most"] == pytest.approx(chance.most, abs=1e-3)
        expected = f"{figures['ece_by_chance']:.2%} in the mean, at most {figures['ece_by_chance_at_most']:.2%}"
        assert dict(report.rows())["by chance alone"].startswith(expected)
        before = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        expected = reliability(before.max(axis=1), said == truth).error
        assert figures["ece_uncalibrated"] == pytest.approx(expected, abs=1e-6)
        for k, name in enumerate(NAMES):
            found = report.by_name[name]
            assert found["items"] == (truth == k).sum()
            assert found["recall"] == pytest.approx(metrics.recall_score(truth == k, said == k))
            assert found["precision"] == pytest.approx(metrics.precision_score(truth == k, said == k))

    def test_the_interval_is_over_items_or_over_groups(
        self, report: AnswerReport, of_one: tuple[np.ndarray, np.ndarray]
    ) -> None:
        outputs, truth = of_one
        right = outputs.argmax(axis=1) == truth
        assert report.right == share_right(right)
        assert report.groups is None
        groups = np.sort(np.random.default_rng(1).integers(0, 9, ITEMS))
        grouped = report_on(*given(Head("multiclass", NAMES), outputs, np.eye(4)[truth], groups=groups))
        assert grouped.right == share_right(right, groups)
        assert grouped.groups == 9
        assert "over 9 groups" in dict(grouped.rows())["accuracy"]
        assert "over items" in dict(report.rows())["accuracy"]

    def test_two_classes_are_the_same_by_one_output_or_two(self, of_one: tuple[np.ndarray, np.ndarray]) -> None:
        outputs, truth = of_one[0][:, :2], of_one[1] % 2
        by_two = report_on(*given(Head("multiclass", ("a", "b")), outputs, np.eye(2)[truth]))
        by_one = report_on(*given(Head("binary", ("a", "b")), outputs[:, 1:] - outputs[:, :1], truth[:, None]))
        for name, value in by_two.figures.items():
            assert by_one.figures[name] == pytest.approx(value, abs=1e-5), name
        assert by_one.confusion is not None
        assert by_two.confusion is not None
        np.testing.assert_array_equal(by_one.confusion.pooled(2), by_two.confusion.pooled(2))

    def test_a_class_that_nobody_says_and_one_that_does_not_occur(self) -> None:
        report = report_on(*given(Head("multiclass", ("a", "b", "c")), np.array([[2.0, 0, 0]] * 2), np.eye(3)[[0, 1]]))
        assert report.by_name["b"] == {"items": 1, "recall": 0, "precision": 0}
        assert report.by_name["c"] == {"items": 0, "recall": 0, "precision": 0}
        assert report.figures["balanced_accuracy"] == 0.5  # over the classes that do occur


class TestSeveralAtOnce:
    def test_figures_are_those_of_scikit_learn(self) -> None:
        rng = np.random.default_rng(0)
        truth = rng.random((ITEMS, 3)) < [0.5, 0.3, 0.1]
        outputs = 1.5 * rng.standard_normal((ITEMS, 3)) + 3 * truth - 2
        thresholds = (0.5, 0.3, 0.2)
        head = Head("multilabel", ("a", "b", "c"))
        report = report_on(*given(head, outputs, truth.astype(float), temperature=0.5, thresholds=thresholds))
        probability = 1 / (1 + np.exp(-outputs / 0.5))
        said = probability >= thresholds
        figures = report.figures
        assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))  # of all three at once
        assert figures["mean_f1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))
        assert figures["log_loss"] == pytest.approx(
            np.mean([metrics.log_loss(truth[:, k], probability[:, k]) for k in range(3)]), rel=1e-5
        )
        balanced = [metrics.balanced_accuracy_score(truth[:, k], said[:, k]) for k in range(3)]
        assert figures["balanced_accuracy"] == pytest.approx(np.mean(balanced))
        assert figures["ece"] == pytest.approx(reliability(probability.ravel(), truth.ravel()).error, abs=1e-6)
        for k, name in enumerate("abc"):
            found = report.by_name[name]
            assert found["precision"] == pytest.approx(metrics.precision_score(truth[:, k], said[:, k]))
            assert found["recall"] == pytest.approx(metrics.recall_score(truth[:, k], said[:, k]))
            assert found["f1"] == pytest.approx(metrics.f1_score(truth[:, k], said[:, k]))
        chance = chance_error(probability.ravel())
        assert figures["ece_by_chance"] == pytest.approx(chance.mean, abs=1e-4)
        assert report.confusion is None
        assert "all classes right" in dict(report.rows())


class TestNumbers:
    HEAD = Head("regression", ("age", "size"), (40.0, 2.0), (10.0, 0.5))

    def test_figures_are_those_of_scikit_learn(self) -> None:
        rng = np.random.default_rng(0)
        outputs = rng.standard_normal((ITEMS, 2))
        said = outputs * [10, 0.5] + [40, 2]
        truth = said + rng.standard_normal((ITEMS, 2)) * [4, 0.1]
        report = report_on(*given(self.HEAD, outputs, truth, half_widths=(6.0, 0.2)))
        for k, name in enumerate(("age", "size")):
            found = report.by_name[name]
            assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth[:, k], said[:, k]), rel=1e-5)
            assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth[:, k], said[:, k]), rel=1e-5)
            assert found["r2"] == pytest.approx(metrics.r2_score(truth[:, k], said[:, k]), abs=1e-5)
        within = np.abs(said - truth) <= [6, 0.2]
        assert [report.by_name[name]["covered"] for name in ("age", "size")] == pytest.approx(within.mean(axis=0))
        assert report.figures["covered"] == pytest.approx(within.mean())
        assert report.right == share_right(within.ravel(), np.repeat(np.arange(ITEMS), 2))
        assert f"{within[:, 1].mean():.2%} within the 90% interval" in dict(report.rows())["size"]
        assert (report.reliability, report.confusion) == (None, None)

    def test_each_interval_of_ten_numbers_holds_nine_tenths(self) -> None:
        """Ten numbers, each inside its interval nine times of ten: all ten at once are so far less often."""
        rng = np.random.default_rng(0)
        head = Head("regression", tuple("abcdefghij"), (0.0,) * 10, (1.0,) * 10)
        report = report_on(
            *given(head, np.zeros((2_000, 10)), rng.standard_normal((2_000, 10)), half_widths=(1.645,) * 10)
        )
        assert report.figures["covered"] == pytest.approx(0.9, abs=0.01)
        assert report.right is not None
        assert report.right.low < 0.9 < report.right.high

    def test_one_number_is_as_many_trials_as_items_or_groups(self) -> None:
        rng = np.random.default_rng(0)
        head, truth = Head("regression", ("age",), (0.0,), (1.0,)), rng.standard_normal((200, 1))
        inside = np.abs(truth[:, 0]) <= 1.0
        report = report_on(*given(head, np.zeros((200, 1)), truth, half_widths=(1.0,)))
        assert report.right == share_right(inside)
        groups = np.repeat(np.arange(20), 10)
        report = report_on(*given(head, np.zeros((200, 1)), truth, half_widths=(1.0,), groups=groups))
        assert report.right == share_right(inside, groups)

    def test_without_intervals_nothing_is_covered(self) -> None:
        report = report_on(*given(self.HEAD, np.zeros((5, 2)), np.ones((5, 2))))
        assert report.right is None
        assert "covered" not in report.figures
        assert "interval" not in report.as_dict()

    def test_numbers_that_are_all_the_same_make_json_all_the_same(self, tmp_path: Path) -> None:
        report = report_on(*given(self.HEAD, np.zeros((5, 2)), np.ones((5, 2))))
        report.write(tmp_path)
        values = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
        assert values["by_name"]["age"]["r2"] == metrics.r2_score(np.ones(5), np.full(5, 40.0))


class TestWritten:
    def test_files_and_figures(self, of_one: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
        outputs, truth = of_one
        report = report_on(*given(Head("multiclass", NAMES), outputs, np.eye(4)[truth], temperature=2.0))
        files = report.write(tmp_path)
        assert {file.name for file in files} == {"metrics.json", "reliability.png", "confusion.png"}
        for file in files[1:]:
            with Image.open(file) as picture:
                assert len(np.unique(np.asarray(picture.convert("L")))) > 10
        values = json.loads((tmp_path / "metrics.json").read_text())
        assert values == json.loads(json.dumps(report.as_dict()))
        assert {"accuracy", "balanced_accuracy", "log_loss", "ece", "items", "interval"} <= set(values)
        assert np.sum(values["confusion"]["counts"]) == ITEMS
        assert values["confusion"]["names"] == list(NAMES)

    def test_of_many_classes_only_what_there_is_is_written(self, tmp_path: Path) -> None:
        """3,000 classes squared are 9 million numbers, of 500 items."""
        rng = np.random.default_rng(0)
        truth, said = rng.integers(0, 3_000, (2, 500))
        said[:400] = truth[:400]
        head = Head("multiclass", tuple(f"class {i}" for i in range(3_000)))
        outputs, targets = np.zeros((500, 3_000)), np.eye(3_000, dtype=np.float32)[truth]
        outputs[np.arange(500), said] = 9
        report = report_on(*given(head, outputs, targets))
        report.write(tmp_path)
        assert (tmp_path / "metrics.json").stat().st_size < 700_000
        found = json.loads((tmp_path / "metrics.json").read_text())["confusion"]
        assert set(found) == {"names", "cells"}
        assert len(found["cells"]) <= 500
        again = np.zeros((3_000, 3_000), int)
        for row, column, count in found["cells"]:
            again[row, column] = count
        expected = np.zeros((3_000, 3_000), int)
        np.add.at(expected, (truth, said), 1)
        np.testing.assert_array_equal(again, expected)
        assert (tmp_path / "confusion.png").stat().st_size > 1_000

    def test_a_report_counts_what_could_be_read(self, of_one: tuple[np.ndarray, np.ndarray]) -> None:
        outputs, truth = of_one
        model, outcome = given(Head("multiclass", NAMES), outputs, np.eye(4)[truth])
        assert isinstance(outcome.data, Dataset)
        report = report_on(model, replace(outcome, skipped=(("x.png", "empty"),)))
        assert (report.items, report.skipped) == (ITEMS, (("x.png", "empty"),))
        assert "300 of drawn" in dict(report.rows())["items"]


def test_the_picture_of_reliability_has_both_curves_with_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    from likewise.apps.classify.report import draw_reliability

    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file: drawn.append(self))
    right = np.arange(300) % 4 > 0  # 75%
    after, before = reliability(np.full(300, 0.75), right), reliability(np.full(300, 0.99), right)
    draw_reliability(after, before, tmp_path / "r.png")
    ((legend,), (axes,)) = drawn[0].legends, drawn[0].axes
    assert [text.get_text() for text in legend.get_texts()] == [
        "before calibration, error 24.00%", "as answered, error 0.00%",
    ]  # fmt: skip
    (_, was, now) = axes.lines
    for line, said in ((was, 0.99), (now, 0.75)):
        assert line.get_xdata() == pytest.approx(np.full(len(line.get_xdata()), said))
