"""Mistakes of a model that compares: hand-drawn points, planted labels, groups, and lists without repetition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import likewise as lw
from likewise import assets
from likewise.apps.classify import Classifier
from likewise.apps.mistakes import Mistakes, mistakes_in
from likewise.calibration import Calibration
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, UsageError
from likewise.matching import Labelled, Model
from likewise.objective import Multiclass
from likewise.objective.distances import Euclidean
from likewise.training.targets import head_for


def placed(points: np.ndarray, labels: list[str], groups: list[str] | None = None) -> tuple[Encoder, Labelled]:
    """An encoder that compares by plain distance, and items that it has put at `points`."""
    encoder = Encoder("linear", dim=points.shape[1], preprocessing=Pictures(1, 4, 4), distance=Euclidean())
    pictures = np.arange(len(points) * 16, dtype=np.uint8).reshape(-1, 4, 4)
    data = arrays(pictures, labels, groups=groups, origin="drawn points")
    return encoder, Labelled(torch.from_numpy(points.astype(np.float32)), torch.from_numpy(data.labels), data, ())


def found_in(points: np.ndarray, labels: list[str], groups: list[str] | None = None) -> Mistakes:
    encoder, labelled = placed(points, labels, groups)
    return mistakes_in(encoder, labelled, labelled.data)


@pytest.fixture(scope="module")
def line() -> Mistakes:
    """Six people on a line, some items of whom lie beside somebody else's.

    ann    0 1 2 (11)      bob 10 12 (1.2)    cyd 20 21 22 23    dan 30 31      eve 40 41     flo 99
    """
    people = {
        "ann": [0, 1, 2, 11], "bob": [10, 12, 1.2], "cyd": [20, 21, 22, 23], "dan": [30, 31], "eve": [40, 41],
        "flo": [99],
    }  # fmt: skip
    points = np.array([[x] for places in people.values() for x in places])
    labels = [name for name, places in people.items() for _ in places]
    # By camera: north has all that goes wrong.
    groups = ["north" if name in ("ann", "bob") else "south" for name in labels]
    return found_in(points, labels, groups)


class TestDrawnByHand:
    def test_nearest_items(self, line: Mistakes) -> None:
        at = {int(f.items[0]): (f.label, f.said, int(f.items[1])) for f in line.judged.mistakes}
        # ann at 1 and bob at 1.2 take each other; ann at 2 is nearest to bob at 1.2; ann at 11 lies between two of bob.
        assert at[1] == ("ann", "bob", 6)
        assert at[6] == ("bob", "ann", 1)
        assert at[2] == ("ann", "bob", 6)
        assert at[3][:2] == ("ann", "bob")
        assert at[4] == ("bob", "ann", 3)
        assert at[5] == ("bob", "ann", 3)
        assert set(at) == {1, 2, 3, 4, 5, 6}
        distances = [f.distance for f in line.judged.mistakes]
        assert distances == sorted(distances)
        assert distances[0] == pytest.approx(0.2)
        assert all(f.probability is None for f in line.judged.mistakes)  # it was never calibrated

    def test_those_who_have_no_other_item_are_left_out_and_told(self, line: Mistakes) -> None:
        assert len(line.judged.wrong) == 15
        assert "1 item could not be judged" in line.judged.notes[0]
        assert line.rate is not None
        assert line.rate.value == pytest.approx(6 / 15)

    def test_pairs_of_people_who_are_confused(self, line: Mistakes) -> None:
        (cell,) = line.judged.cells()
        assert (cell.label, cell.said, cell.mutual, cell.answers, len(cell.findings)) == ("ann", "bob", True, 7, 6)
        assert cell.text() == "ann and bob: 6 mistakes in 7 (85.7%)"

    def test_groups(self, line: Mistakes) -> None:
        north, south = line.groups
        assert (north.name, north.origin.mistakes, north.origin.items, north.origin.share) == ("north", 6, 7, 1.0)
        assert (south.name, south.origin.mistakes, south.origin.items) == ("south", 0, 8)
        assert north.origin.chance < 0.01
        assert north.taken == (("ann as bob", 3), ("bob as ann", 3))
        sentence = next(text for text in line.advice if text.startswith("Group north"))
        assert "6 of 6 mistakes (100%), with 85.71%" in sentence
        assert "all others are right" in sentence
        assert "more than chance (p = 0.0028), but there are only 2" in sentence  # pairs go wrong together
        assert "6 of them may be wrong labels" in sentence

    def test_labels_in_doubt(self, line: Mistakes) -> None:
        found = {finding.items[0]: (finding.label, finding.said) for finding in line.judged.suspects}
        assert found == {3: ("ann", "bob"), 6: ("bob", "ann")}

    def test_labels(self, line: Mistakes) -> None:
        assert {s.name: s.origin.mistakes for s in line.labels} == {"ann": 3, "bob": 3, "cyd": 0, "dan": 0, "eve": 0}

    def test_as_text(self, line: Mistakes) -> None:
        assert repr(line) == (
            "<Mistakes in drawn points: 6 of 15 items have one of another label nearest, 2 labels suspected>"
        )
        first, second, *others = str(line).splitlines()
        assert first.startswith("mistakes         6 of 15 items have one of another label nearest: 40.00% (95%: ")
        assert second == "suspected labels 2"
        assert [other.removeprefix("next             ") for other in others] == list(line.advice[:3])

    def test_as_json(self, line: Mistakes) -> None:
        values = line.as_dict()
        assert (values["items"], values["answers"], values["mistakes"]) == (16, 15, 6)
        assert values["confused"] == [{"label": "ann", "said": "bob", "mutual": True, "mistakes": 6, "answers": 7}]
        assert [group["name"] for group in values["groups"]] == ["north", "south"]
        assert set(values["listed"]) == {"close pair", "far pair", "triplet"}
        assert values["suspected_labels"] == 2


@pytest.fixture(scope="module")
def planted() -> tuple[Mistakes, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(12), 20)
    points = 12 * rng.standard_normal((12, 6))[truth] + rng.standard_normal((240, 6))
    labels = truth.copy()
    wrong = rng.choice(240, 12, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 12
    return found_in(points, [f"p{label:02}" for label in labels]), np.sort(wrong)


class TestPlanted:
    def test_suspects_are_the_planted_ones_with_what_they_should_be(self, planted: tuple[Mistakes, np.ndarray]) -> None:
        found, wrong = planted
        assert sorted(found.judged.suspected) == wrong.tolist()
        for finding, (column, suggested) in zip(found.judged.suspects, found.judged.suggested, strict=True):
            assert column == "label"
            assert finding.said == suggested == f"p{finding.items[0] // 20:02}"
            assert finding.label != finding.said
            assert finding.probability is not None
            assert finding.probability > 0.8

    def test_beside_each_lie_a_good_item_of_either_label(self, planted: tuple[Mistakes, np.ndarray]) -> None:
        found, wrong = planted
        names = [found.judged.data.names[label] for label in found.judged.data.labels]
        for item, suggested, labelled in (finding.items for finding in found.judged.suspects):
            assert names[suggested] == f"p{item // 20:02}"
            assert names[labelled] == names[item]
            assert suggested not in wrong
            assert labelled not in wrong

    def test_hard_cases_are_of_the_others_and_have_no_item_twice(self, planted: tuple[Mistakes, np.ndarray]) -> None:
        found, wrong = planted
        for kind in ("close pair", "far pair", "triplet"):
            items = [item for finding in found.judged.hardest if finding.kind == kind for item in finding.items]
            assert len(items) >= 20
            assert len(set(items)) == len(items)
            assert not set(items) & set(wrong.tolist())

    def test_mistakes_that_may_be_a_wrong_labels_are_counted(self, planted: tuple[Mistakes, np.ndarray]) -> None:
        found, wrong = planted
        assert {f.items[0] for f in found.judged.mistakes} >= set(wrong.tolist())
        assert all(map(found.judged.doubted, found.judged.mistakes))
        assert "Look at the 12 suspected labels first" in found.advice[0]
        many = len(found.judged.mistakes)
        assert f"{many} of {many} mistakes may be due to them" in found.advice[0]


def test_one_person_in_two_folders_is_told_and_not_suspected() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.standard_normal((40, 4)), 30 + rng.standard_normal((40, 4))])
    found = found_in(points, ["ada"] * 20 + ["lovelace"] * 20 + ["bob"] * 40)
    assert found.judged.suspects == ()
    assert {(merged.label, merged.taken_for) for merged in found.judged.merged} == {
        ("ada", "lovelace"), ("lovelace", "ada")
    }  # fmt: skip
    assert "one thing under two names" in found.advice[0]


def test_no_mistake() -> None:
    rng = np.random.default_rng(0)
    found = found_in(
        np.repeat(50 * np.eye(3), 8, axis=0) + rng.standard_normal((24, 3)), ["a"] * 8 + ["b"] * 8 + ["c"] * 8
    )
    assert (found.judged.mistakes, found.judged.suspects, found.judged.merged) == ((), (), ())
    assert found.advice == ("There is no mistake that would say what to collect.",)
    assert found.rate is not None
    assert (found.rate.value, found.rate.low) == (0, 0)
    assert {finding.kind for finding in found.judged.hardest} == {"close pair", "far pair", "triplet"}


@pytest.fixture(scope="module")
def of_digits(digits: Dataset) -> tuple[Model, Mistakes]:
    train, tune, test = digits.split(0.4, 0.3, 0.3, seed=0)
    encoder = lw.Encoder("mlp", dim=8, seed=0)
    lw.fit(encoder, train, lw.SupCon(), epochs=8, precision="float32", seed=0)
    model = lw.calibrate(encoder, tune, max_fmr=0.01)
    return model, lw.find_mistakes(model, test)


class TestCalibrated:
    def test_probabilities_and_the_threshold_are_those_of_the_model(self, of_digits: tuple[Model, Mistakes]) -> None:
        model, mistakes = of_digits
        calibration = model.calibration
        assert isinstance(calibration, Calibration)
        threshold = calibration.threshold_for().threshold
        pairs = [finding for finding in mistakes.judged.hardest if finding.kind != "triplet"]
        assert len(pairs) == 48
        sources = mistakes.judged.data.sources
        for finding in pairs[::6]:
            first, second = finding.items
            verdict = model.verify(sources[first], sources[second])
            assert finding.distance == pytest.approx(verdict.distance, rel=1e-4)
            assert finding.probability == pytest.approx(verdict.probability, rel=1e-3)
            assert finding.said == ("the same" if verdict.same else "different")
            wrong = verdict.same == (finding.kind == "close pair")
            assert ("wrongly" in finding.why) == wrong
            assert f"{threshold:.4g}" in finding.why
        assert any("wrongly" in finding.why for finding in pairs)

    def test_it_is_the_report_that_errs_as_often(self, of_digits: tuple[Model, Mistakes]) -> None:
        model, mistakes = of_digits
        report = lw.evaluate(model, mistakes.whole)
        assert mistakes.rate is not None
        assert 1 - mistakes.rate.value == pytest.approx(report.retrieval.precision_at_1)

    def test_what_was_trained_on_is_known(self, digits: Dataset, of_digits: tuple[Model, Mistakes]) -> None:
        model, mistakes = of_digits
        assert mistakes.trained_on == 0
        train = digits.split(0.4, 0.3, 0.3, seed=0)[0]
        mixed = digits.subset(np.arange(600))
        known = int(np.isin(mixed.contents, train.contents).sum())
        assert lw.find_mistakes(model, mixed).trained_on == known > 0

    def test_planted_labels_in_what_a_network_made_of_digits(
        self, digits: Dataset, of_digits: tuple[Model, Mistakes]
    ) -> None:
        model, mistakes = of_digits
        test = mistakes.whole
        assert test is not None
        rng, labels = np.random.default_rng(0), test.labels.copy()
        wrong = rng.choice(len(test), round(0.05 * len(test)), replace=False)
        labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
        suspected = lw.find_mistakes(model, replace(test, labels=labels)).judged.suspected
        both = len(suspected & set(wrong.tolist()))
        assert both / len(wrong) >= 0.85
        assert both / len(suspected) >= 0.75


class TestRefused:
    @pytest.mark.parametrize("labels", [["a"] * 6, ["a", "b", "c", "d", "e", "f"]])
    def test_nothing_to_compare(self, labels: list[str]) -> None:
        with pytest.raises(DataError, match="2 identities, one of them with 2 items"):
            found_in(np.random.default_rng(0).random((6, 2)), labels)

    def test_other_data(self) -> None:
        encoder, labelled = placed(np.zeros((2, 2)), ["a", "b"])
        pairs = lw.PairSet(labelled.data, np.array([0]), np.array([1]), np.array([False]))
        with pytest.raises(UsageError, match="looked for in labelled items; got PairSet"):
            lw.find_mistakes(encoder, pairs)

    def test_a_whole_that_is_not(self) -> None:
        encoder, labelled = placed(np.random.default_rng(0).random((6, 2)), ["a", "b"] * 3)
        with pytest.raises(UsageError, match="which does not"):
            mistakes_in(encoder, labelled, labelled.data.subset([0, 1, 2]))


@pytest.mark.slow
@pytest.mark.parametrize("compares", [True, False], ids=["compares", "answers"])
def test_planted_labels_in_the_test_part_of_mnist(compares: bool) -> None:
    """2% of 10,000 labels replaced, networks that saw 12,000 other digits."""
    if not assets.status("mnist").found:
        pytest.skip("MNIST is not here")
    mnist = lw.open_data("mnist")
    train, test = mnist.part("train").subset(np.arange(12_000)), mnist.part("test")
    if compares:
        model = lw.Encoder("convnet-small", dim=32, seed=0)
        lw.fit(model, train, lw.SupCon(), epochs=2, precision="float32", seed=0)
    else:
        encoder = lw.Encoder("convnet-small", head=head_for(train), seed=0)
        lw.fit(encoder, train.subset(np.arange(10_000)), Multiclass(), epochs=2, precision="float32", seed=0)
        model, _ = Classifier(encoder).calibrated_on(train.subset(np.arange(10_000, 12_000)))
    rng, labels = np.random.default_rng(0), test.labels.copy()
    wrong = rng.choice(10_000, 200, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, 200)) % 10
    suspected = lw.find_mistakes(model, replace(test, labels=labels)).judged.suspected
    both = len(suspected & set(wrong.tolist()))
    assert both / 200 >= 0.9
    assert both / len(suspected) >= 0.75
