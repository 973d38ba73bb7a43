"""What a classifier says, and its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from classify_drawn import QUICK, classifier, grey, halves
from PIL import Image

from likewise.apps.classify import (
    Answer,
    AnswerCalibration,
    Classifier,
    ClassifyOptions,
    objective_for,
    report_on,
)
from likewise.apps.learn import Learned
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, HeadKind, Pictures
from likewise.errors import DataError, ModelError, UsageError
from likewise.matching import read_config, task_of
from likewise.metrics.classification import reliability
from likewise.training import fit
from likewise.training.targets import head_for


@pytest.fixture(scope="module")
def of_digits(digits: Dataset) -> Classifier:
    return classifier(digits.subset(range(500))).calibrated_on(digits.subset(range(500, 800)))[0]


@pytest.fixture(scope="module")
def of_halves() -> Classifier:
    return classifier(halves()).calibrated_on(halves(seed=1))[0]


@pytest.fixture(scope="module")
def of_grey() -> Classifier:
    return classifier(grey()).calibrated_on(grey(seed=1))[0]


class TestClassify:
    def test_one_class(self, of_digits: Classifier, digits: Dataset) -> None:
        others = digits.subset(range(800, 1000))
        answers = of_digits.classify(others.sources)
        right = 0
        for answer, label in zip(answers, others.labels, strict=True):
            assert isinstance(answer, Answer)
            assert set(answer.values) == set(map(str, range(10)))
            said = list(answer.values.values())
            assert sum(said) == pytest.approx(1, abs=1e-12)
            assert said == sorted(said, reverse=True)
            assert (answer.label, answer.probability) == next(iter(answer.values.items()))
            right += answer.label == str(label)
        assert right > 170

    def test_its_probabilities_are_those_of_the_outputs_at_the_temperature(
        self, of_digits: Classifier, digits: Dataset
    ) -> None:
        outputs = of_digits.encoder.encode(digits.sources[:5]).embeddings.double()
        assert of_digits.calibration is not None
        assert of_digits.calibration.temperature != pytest.approx(1, abs=0.01)
        expected = (outputs / of_digits.calibration.temperature).softmax(dim=1)
        for answer, row in zip(of_digits.classify(digits.sources[:5]), expected, strict=True):
            assert isinstance(answer, Answer)
            assert [answer.values[str(k)] for k in range(10)] == pytest.approx(row.tolist(), rel=1e-9)

    def test_several_at_once(self, of_halves: Classifier) -> None:
        data = halves(seed=2)
        assert data.targets is not None
        assert of_halves.calibration is not None
        labels = set()
        thresholds = dict(zip(("left", "upper"), of_halves.calibration.thresholds, strict=True))
        for answer, row in zip(of_halves.classify(data.sources), data.targets, strict=True):
            assert isinstance(answer, Answer)
            holds = [name for name in ("left", "upper") if answer.values[name] >= thresholds[name]]
            assert answer.label == ("+".join(holds) or "none")
            least = min(p if name in holds else 1 - p for name, p in answer.values.items())
            assert answer.probability == pytest.approx(least)
            assert list(answer.values.values()) == sorted(answer.values.values(), reverse=True)
            labels.add(answer.label)
            assert (answer.label == "none") == (not row.any())
        assert labels == {"none", "left", "upper", "left+upper"}

    def test_numbers_with_the_ends_between_which_they_are(self, of_grey: Classifier) -> None:
        data = grey(400, seed=2)
        assert data.targets is not None
        assert of_grey.calibration is not None
        (width,) = of_grey.calibration.half_widths
        within = 0
        for answer, (degrees,) in zip(of_grey.classify(data.sources), data.targets, strict=True):
            assert isinstance(answer, Answer)
            value = answer.values["degrees"]
            assert answer.label == f"degrees {value:.4g}"
            assert answer.probability is None
            low, high = answer.between["degrees"]
            assert (value - low, high - value) == (pytest.approx(width), pytest.approx(width))
            within += low <= degrees <= high
        assert 0.8 < within / 400 < 0.98
        uncalibrated = Classifier(of_grey.encoder).classify(data.sources[:1])[0]
        assert isinstance(uncalibrated, Answer)
        assert uncalibrated.between == {}
        assert "between" not in uncalibrated.as_dict()

    def test_what_cannot_be_read_keeps_its_place(self, of_digits: Classifier, tmp_path: Path) -> None:
        files = [tmp_path / name for name in ("a.png", "bad.png", "c.png", "none.png")]
        for file, shade in zip(files[::2], (0, 255), strict=True):
            Image.fromarray(np.full((8, 8), shade, np.uint8)).save(file)
        files[1].write_bytes(b"no picture")
        first, bad, third, missing = of_digits.classify(files)
        assert isinstance(bad, str)
        assert isinstance(missing, str)
        assert "bad.png" in bad
        for answer, file in ((first, files[0]), (third, files[2])):
            assert isinstance(answer, Answer)
            assert answer.file == str(file)
            assert answer.values == pytest.approx(of_digits.classify([file])[0].values, abs=1e-5)

    def test_only_some_of_the_classes(self, of_digits: Classifier, digits: Dataset) -> None:
        answer = of_digits.classify(digits.sources[:1])[0]
        assert isinstance(answer, Answer)
        values = answer.as_dict(top=2)
        assert list(values) == ["file", "label", "labels", "probability", "values"]
        assert list(values["values"].items()) == list(answer.values.items())[:2]
        assert len(answer.as_dict()["values"]) == 10

    def test_no_number_and_nothing_that_holds_is_left_out(self, of_halves: Classifier) -> None:
        data = halves(40, seed=2)
        assert data.targets is not None
        for answer, row in zip(of_halves.classify(data.sources), data.targets, strict=True):
            assert isinstance(answer, Answer)
            assert answer.labels == tuple(name for name, holds in zip(("left", "upper"), row, strict=True) if holds)
            assert set(answer.shown(1)) == {next(iter(answer.values)), *answer.labels}
        sizes = replace(grey(40), targets=np.tile(grey(40).targets, (1, 3)), target_names=("a", "b", "c"))
        (answer,) = classifier(sizes).classify(sizes.sources[:1])
        assert isinstance(answer, Answer)
        assert (list(answer.shown(1)), answer.labels) == (["a", "b", "c"], ())

    def test_two_classes(self, digits: Dataset) -> None:
        two = digits.subset(np.flatnonzero(np.isin(digits.labels, (3, 8))))
        model = classifier(two, "binary")
        for answer, output in zip(
            model.classify(two.sources[:20]), model.encoder.encode(two.sources[:20]).embeddings[:, 0], strict=True
        ):
            assert isinstance(answer, Answer)
            assert answer.label == ("8" if output > 0 else "3")
            assert answer.values["8"] == pytest.approx(float(output.double().sigmoid()))
            assert sum(answer.values.values()) == pytest.approx(1)


class TestClassWeights:
    """One in ten is bright, and hard to tell from the others."""

    @staticmethod
    def rare(count: int, seed: int) -> Dataset:
        rng = np.random.default_rng((2, seed))
        bright = rng.random(count) < 0.1
        pictures = rng.normal(100, 40, (count, 8, 8))
        pictures[:, :4] += 14 * bright[:, None, None]
        return arrays(pictures.clip(0, 255).astype(np.uint8), np.where(bright, "bright", "dark"), origin="rare")

    @pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
    def test_probabilities_are_right_and_rare_ones_are_found(self, kind: HeadKind, tmp_path: Path) -> None:
        train, tune, test = self.rare(1_000, 0), self.rare(600, 1), self.rare(4_000, 2)
        if kind == "multilabel":
            train, tune, test = (
                replace(data, targets=(data.labels == data.names.index("bright")).astype(np.float32)[:, None],
                        target_names=("bright",))
                for data in (train, tune, test)
            )  # fmt: skip
        head = head_for(train, kind)
        objective = objective_for(head, train, ClassifyOptions(class_weights=True))
        encoder = Encoder("linear", head=head, seed=0)
        fit(encoder, train, objective, options=replace(QUICK, epochs=10, lr=0.005))
        Classifier(encoder).calibrated_on(tune)[0].save(tmp_path / "m")
        model = Classifier.load(tmp_path / "m")
        given = model.outputs_for(test)
        values, bright = model.answers(given.outputs), test.labels == test.names.index("bright")
        of_bright = values[:, head.names.index("bright")]
        assert reliability(of_bright, bright).error < 0.05
        assert reliability(head.answers(given.outputs).numpy()[:, head.names.index("bright")], bright).error > 0.15
        figures = report_on(model, given)
        assert figures.figures["ece"] < 0.05
        assert "counted more in training" in (tmp_path / "m" / "README.md").read_text()
        if kind != "multilabel":  # whose thresholds are found by F1
            assert figures.by_name["bright"]["recall"] > 0.5
            answers = [answer for answer in model.classify(test.sources[:200]) if isinstance(answer, Answer)]
            assert [answer.label for answer in answers] == [head.names[i] for i in model.best(given.outputs)[:200]]
            assert any(answer.label == "bright" and answer.values["bright"] < 0.5 for answer in answers)
            assert all(next(iter(answer.values)) == answer.label for answer in answers)


class TestFolder:
    @pytest.mark.parametrize("which", ["of_digits", "of_halves", "of_grey"])
    def test_what_is_saved_is_what_is_loaded(
        self, which: str, request: pytest.FixtureRequest, tmp_path: Path, digits: Dataset
    ) -> None:
        model: Classifier = request.getfixturevalue(which)
        model.save(tmp_path / "m")
        again = Classifier.load(tmp_path / "m")
        assert again.calibration == model.calibration
        assert again.head == model.head
        assert again.fingerprint == model.fingerprint
        assert again.classify(digits.sources[:10]) == model.classify(digits.sources[:10])
        assert (task_of(tmp_path / "m"), read_config(tmp_path / "m")["task"]) == ("classify", "classify")
        text = (tmp_path / "m" / "README.md").read_text()
        assert text.startswith("# m\n")
        assert all(name in text for name in model.head.names)
        assert "Not calibrated" not in text

    def test_without_a_calibration(self, of_halves: Classifier, tmp_path: Path) -> None:
        Classifier(of_halves.encoder).save(tmp_path / "m")
        again = Classifier.load(tmp_path / "m")
        assert again.calibration is None
        assert "Not calibrated" in (tmp_path / "m" / "README.md").read_text()
        assert again.holding(np.array([[0.5, 0.49]])).tolist() == [[True, False]]
        with pytest.raises(ModelError):
            again.save_calibration(tmp_path / "m")
        of_halves.save_calibration(tmp_path / "m")
        assert Classifier.load(tmp_path / "m").calibration == of_halves.calibration
        assert "temperature" in (tmp_path / "m" / "README.md").read_text()

    def test_a_calibration_of_another_model_is_refused(
        self, of_halves: Classifier, of_digits: Classifier, tmp_path: Path
    ) -> None:
        of_halves.save(tmp_path / "halves")
        of_digits.save(tmp_path / "digits")
        before = (tmp_path / "digits" / "calibration.json").read_bytes()
        with pytest.raises(ModelError, match="belongs to its model"):
            of_halves.save_calibration(tmp_path / "digits")
        assert (tmp_path / "digits" / "calibration.json").read_bytes() == before
        shutil.copy(tmp_path / "halves" / "calibration.json", tmp_path / "digits")
        with pytest.raises(ModelError, match="belongs to its model"):
            Classifier.load(tmp_path / "digits")

    @pytest.mark.parametrize("thresholds", [[0.5], [0.5, 0.5, 0.5]])
    def test_a_calibration_of_other_classes_is_refused(
        self, of_halves: Classifier, tmp_path: Path, thresholds: list[float]
    ) -> None:
        of_halves.save(tmp_path / "m")
        values = json.loads((tmp_path / "m" / "calibration.json").read_text())
        (tmp_path / "m" / "calibration.json").write_text(json.dumps(values | {"thresholds": thresholds}))
        with pytest.raises(ModelError, match="A calibration is complete"):
            Classifier.load(tmp_path / "m")

    def test_a_changed_head_is_noticed(self, of_halves: Classifier, tmp_path: Path) -> None:
        of_halves.save(tmp_path / "m")
        whole = json.loads((tmp_path / "m" / "config.json").read_text())
        for head in ({"names": ["upper", "left"]}, {"kind": "multiclass"}, {"names": ["left"]}, {"kind": "none"}):
            changed = json.loads(json.dumps(whole))
            changed["architecture"]["head"] |= head
            (tmp_path / "m" / "config.json").write_text(json.dumps(changed))
            with pytest.raises(ModelError) as caught:
                Classifier.load(tmp_path / "m")
            assert "\n" not in str(caught.value)

    def test_a_model_for_another_task_is_none(self, learned: Learned, model_folder: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"a model for classifying; got .* one for encoding items"):
            Classifier.load(model_folder)
        config = json.loads((model_folder / "config.json").read_text()) | {"task": "classify"}
        shutil.copytree(model_folder, tmp_path / "m", ignore=shutil.ignore_patterns("calibration.json"))
        (tmp_path / "m" / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="has a head"):
            Classifier.load(tmp_path / "m")


class TestRefused:
    def test_an_encoder_without_a_head_or_a_shape(self, of_halves: Classifier) -> None:
        with pytest.raises(UsageError, match="an encoder with a head"):
            Classifier(Encoder("mlp", 4, preprocessing=Pictures(1, 8, 8)))
        with pytest.raises(UsageError, match="knows the shape"):
            Classifier(Encoder("mlp", head=of_halves.head))

    def test_items_that_it_cannot_be_measured_on(self, of_digits: Classifier, tmp_path: Path) -> None:
        bad = tmp_path / "bad.png"
        bad.write_bytes(b"no picture")
        data = Dataset((bad,), ("bad.png",), np.zeros(1, np.int64), ("3",))
        with pytest.raises(DataError, match=r"At least one item can be read; got .*bad\.png"):
            of_digits.outputs_for(data)
        with pytest.raises(DataError, match="got eleven"):
            of_digits.outputs_for(Dataset((bad,), ("bad.png",), np.zeros(1, np.int64), ("eleven",)))


def test_outputs_and_targets_go_together_where_some_cannot_be_read(of_digits: Classifier, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(6)]
    for i, file in enumerate(files):
        Image.fromarray(np.full((8, 8), 40 * i, np.uint8)).save(file)
    files[2].write_bytes(b"no picture")
    data = Dataset(tuple(files), tuple(map(str, files)), np.array([1, 2, 3, 4, 5, 6]), tuple(map(str, range(10))))
    given = of_digits.outputs_for(data)
    assert given.targets.argmax(dim=1).tolist() == [1, 2, 4, 5, 6]
    assert given.data.labels.tolist() == [1, 2, 4, 5, 6]
    assert [file for file, _ in given.skipped] == [str(files[2])]
    each = torch.cat([of_digits.encoder.encode([file]).embeddings for file in files if file != files[2]])
    torch.testing.assert_close(given.outputs, each)


def test_calibrating_leaves_the_model_as_it_was(of_halves: Classifier) -> None:
    plain = Classifier(of_halves.encoder)
    found, given = plain.calibrated_on(halves(60, seed=3))
    assert plain.calibration is None
    assert isinstance(found.calibration, AnswerCalibration)
    assert (found.calibration.items, found.calibration.data, len(given.outputs)) == (60, "halves", 60)
    assert found.calibration.model == plain.fingerprint
