"""Mistakes of a model that answers: each head by hand, and planted labels in what a classifier makes of digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from classify_drawn import classifier, grey, halves

import likewise as lw
from likewise.apps.classify import AnswerCalibration, Classifier, Outputs
from likewise.apps.classify.report import report_on
from likewise.apps.mistakes import Mistakes, mistakes_in
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Head, Pictures

NAMES = ("ant", "bee", "cat")


def found_in(
    head: Head, outputs: np.ndarray, targets: np.ndarray, *, groups: list[str] | None = None, **calibration: object
) -> Mistakes:
    """Of outputs as they are given, for items 0, 1, 2, ..."""
    encoder = Encoder("linear", head=head, preprocessing=Pictures(1, 4, 4))
    read = AnswerCalibration(encoder.fingerprint(), 100, "drawn", **calibration) if calibration else None
    pictures = np.arange(16 * len(outputs), dtype=np.uint8).reshape(-1, 4, 4)
    classes = targets.argmax(axis=1) if head.kind == "multiclass" else targets[:, 0].astype(int)
    one = head.kind in ("multiclass", "binary")
    data = arrays(pictures, [head.names[k] for k in classes] if one else ["item"] * len(outputs), groups=groups)
    if not one:
        data = replace(data, targets=targets.astype(np.float32), target_names=head.names)
    given = Outputs(torch.from_numpy(outputs).float(), torch.from_numpy(targets).float(), data, (("bad.png", "torn"),))
    return mistakes_in(Classifier(encoder, read), given, data)


def logits(probability: list[list[float]]) -> np.ndarray:
    return np.log(np.array(probability))


class TestOneClass:
    def test_the_most_confident_first(self) -> None:
        said = [[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.6, 0.1], [0.01, 0.01, 0.98], [0.2, 0.3, 0.5]]
        truth = np.eye(3)[[0, 0, 0, 1, 2]]
        found = found_in(Head("multiclass", NAMES), logits(said), truth, temperature=1.0)
        assert [(f.items, f.label, f.said) for f in found.judged.mistakes] == [
            ((3,), "bee", "cat"), ((1,), "ant", "bee"), ((2,), "ant", "bee")
        ]  # fmt: skip
        assert [f.probability for f in found.judged.mistakes] == pytest.approx([0.98, 0.9, 0.6], abs=1e-6)
        assert found.judged.mistakes[1].why == "bee is 90.0% probable, ant 5.0%"
        cells = [
            (cell.label, cell.said, cell.mutual, len(cell.findings), cell.answers) for cell in found.judged.cells()
        ]
        assert cells == [("ant", "bee", False, 2, 3), ("bee", "cat", False, 1, 1)]
        assert found.judged.cells()[0].text() == "ant taken for bee: 2 mistakes in 3 (66.7%)"
        assert found.judged.hardest == ()
        assert found.judged.skipped == (("bad.png", "torn"),)

    @pytest.mark.parametrize("groups", [None, ["north"] * 20 + ["south"] * 20])
    def test_the_interval_is_that_of_the_accuracy(self, groups: list[str] | None) -> None:
        """Two cameras, one of which is answered wrongly as a whole: 40 items are not 40 trials."""
        outputs = logits([[0.9, 0.05, 0.05]] * 40)
        truth = np.eye(3)[[0] * 20 + [1] * 20]
        found = found_in(Head("multiclass", NAMES), outputs, truth, groups=groups)
        encoder = Encoder("linear", head=Head("multiclass", NAMES), preprocessing=Pictures(1, 4, 4))
        given = Outputs(torch.from_numpy(outputs).float(), torch.from_numpy(truth).float(), found.judged.data, ())
        right = report_on(Classifier(encoder, None), given).right
        assert found.rate is not None
        assert right is not None
        assert (found.rate.low, found.rate.high) == pytest.approx((1 - right.high, 1 - right.low))
        if groups is not None:
            assert found.rate.low < 0.05
            assert found.rate.high > 0.95
            assert [(s.name, s.origin.likely) for s in found.groups] == [("south", True), ("north", False)]  # by item

    def test_probabilities_are_the_calibrated_ones(self) -> None:
        found = found_in(Head("multiclass", NAMES), logits([[0.1, 0.8, 0.1]] * 2), np.eye(3)[[0, 0]], temperature=2.0)
        expected = np.sqrt(0.8) / (np.sqrt(0.8) + 2 * np.sqrt(0.1))
        assert found.judged.mistakes[0].probability == pytest.approx(expected, abs=1e-6)

    def test_binary(self) -> None:
        outputs = np.array([[3.0], [-3.0], [2.0]])
        found = found_in(Head("binary", ("day", "night")), outputs, np.array([[0.0], [0.0], [1.0]]))
        assert [(f.items, f.label, f.said) for f in found.judged.mistakes] == [((0,), "day", "night")]

    def test_of_one_class_only_no_label_is_suspected_and_that_is_told(self) -> None:
        found = found_in(Head("multiclass", NAMES), logits([[0.1, 0.8, 0.1]] * 9), np.eye(3)[[0] * 9])
        assert len(found.judged.mistakes) == 9
        assert found.judged.suspects == ()
        assert "of one class" in found.judged.notes[0]


class TestSeveral:
    def test_every_class_of_every_item_is_an_answer(self) -> None:
        """Rain is said where there is none, and snow is not where there is; thresholds are those of the model."""
        said = np.array([[0.9, 0.3], [0.2, 0.3], [0.1, 0.9]])
        truth = np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
        outputs = np.log(said / (1 - said))
        found = found_in(Head("multilabel", ("rain", "snow")), outputs, truth, thresholds=(0.5, 0.25))
        assert [(f.items, f.label, f.said) for f in found.judged.mistakes] == [
            ((0,), "no rain", "rain"), ((1,), "no snow", "snow")
        ]  # fmt: skip
        assert [f.probability for f in found.judged.mistakes] == pytest.approx([0.9, 0.3])
        assert len(found.judged.wrong) == 6
        fares = {source.name: (source.origin.mistakes, source.origin.items) for source in found.labels}
        assert fares == {"no rain": (1, 3), "no snow": (1, 1), "snow": (0, 2)}

    @pytest.mark.parametrize("groups", [None, ["north"] * 9 + ["south"] * 21])
    def test_answers_of_one_item_are_one_trial(self, groups: list[str] | None) -> None:
        """Five classes of 30 items go wrong together: as much is known of them as of one class."""
        wrong = np.arange(30) < 6
        outputs, names = np.where(wrong, 3.0, -3.0)[:, None], tuple("abcde")
        one = found_in(Head("multilabel", ("a",)), outputs, np.zeros((30, 1)), groups=groups).rate
        five = found_in(Head("multilabel", names), outputs.repeat(5, axis=1), np.zeros((30, 5)), groups=groups).rate
        assert one is not None
        assert five is not None
        assert (five.value, five.low, five.high) == pytest.approx((one.value, one.low, one.high), abs=0.015)  # z, or t

    def test_what_a_cell_should_say(self) -> None:
        rng = np.random.default_rng(0)
        truth = rng.integers(0, 2, (200, 2)).astype(float)
        outputs = 8 * truth - 4
        noted = truth.copy()
        noted[7, 1] = 1 - noted[7, 1]
        noted[9] = 1 - noted[9]
        found = found_in(Head("multilabel", ("rain", "snow")), outputs, noted)
        places = {(f.items[0], column): value for f, (column, value) in zip(
            found.judged.suspects, found.judged.suggested, strict=True
        )}  # fmt: skip
        assert places == {
            (7, "snow"): f"{truth[7, 1]:.0f}", (9, "rain"): f"{truth[9, 0]:.0f}", (9, "snow"): f"{truth[9, 1]:.0f}"
        }  # fmt: skip


class TestNumbers:
    OFF = (0.0, 0.5, -0.5, 0.2, -0.2, 3.0, -1.5)

    @pytest.fixture
    def head(self) -> Head:
        return Head("regression", ("degrees",), mean=(0.0,), std=(1.0,))

    def given(self) -> tuple[np.ndarray, np.ndarray]:
        truth = np.arange(7.0)[:, None]
        return truth + np.array(self.OFF)[:, None], truth

    def test_what_lies_outside_the_interval_is_a_mistake(self, head: Head) -> None:
        found = found_in(head, *self.given(), half_widths=(1.0,))
        assert [(f.items, f.label, f.said) for f in found.judged.mistakes] == [
            ((5,), "degrees 5", "degrees 8"), ((6,), "degrees 6", "degrees 4.5")
        ]  # fmt: skip
        assert "off by 3, 3.0 times what 90% are off by at most" in found.judged.mistakes[0].why
        assert [(cell.label, cell.said) for cell in found.judged.cells()] == [
            ("degrees", "too high"), ("degrees", "too low")
        ]  # fmt: skip
        assert found.rate is not None
        assert found.rate.value == pytest.approx(2 / 7)

    def test_without_an_interval_only_the_largest_deviations_are_listed(self, head: Head) -> None:
        found = found_in(head, *self.given())
        assert found.judged.mistakes == ()
        assert found.rate is None
        assert [f.items[0] for f in found.judged.hardest][:3] == [5, 6, 1]
        assert {f.kind for f in found.judged.hardest} == {"large deviation"}
        assert "nothing says which answer is a mistake" in found.judged.notes[0]

    def test_far_out_deviations_are_suspected(self, head: Head) -> None:
        """Quartiles of what it is off by: -0.35 and 0.35; three ranges beyond are -2.45 and 2.45 (Tukey)."""
        found = found_in(head, *self.given(), half_widths=(1.0,))
        assert [f.items for f in found.judged.suspects] == [(5,)]
        assert found.judged.suggested == (("degrees", "8"),)


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_planted_labels_in_what_a_classifier_makes_of_digits(digits: Dataset, share: float) -> None:
    train, test = digits.split(0.5, 0.5, seed=0)
    model, _ = classifier(train).calibrated_on(test)
    rng, labels = np.random.default_rng(0), test.labels.copy()
    wrong = rng.choice(len(test), round(share * len(test)), replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
    suspected = lw.find_mistakes(model, replace(test, labels=labels)).judged.suspected
    both = len(suspected & set(wrong.tolist()))
    assert both / len(wrong) >= 0.85
    assert both / len(suspected) >= 0.6  # a linear model is right in 95 of 100


def test_each_head_as_it_is_trained() -> None:
    for make in (halves, grey):
        data = make()
        model, _ = classifier(data).calibrated_on(make(seed=1))
        given = model.outputs_for(data)
        found = lw.find_mistakes(model, data)
        assert found.trained_on == len(data)
        assert len(found.judged.wrong) == given.targets.numel()
        again = mistakes_in(model, given, data)
        assert again.as_dict() == found.as_dict()
