"""From labelled items to a saved model: what is kept apart, what is said, and what is refused before any training."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from classify_drawn import grey, halves
from PIL import Image
from small_runs import Killed

from likewise.apps.classify import (
    Classifier,
    ClassifyOptions,
    LearnedAnswers,
    learn,
    objective_for,
    prepare,
    report_on,
)
from likewise.apps.classify.learn import drawn_weights
from likewise.data import Dataset, arrays
from likewise.encoder import Encoder, Head, Seen
from likewise.errors import DataError, ModelError, UsageError
from likewise.objective import AbsoluteError, Multiclass, Multilabel, SquaredError
from likewise.training import FitOptions, Step, fit
from likewise.training.targets import head_for, targets_for

FIT = FitOptions(epochs=10, batch=32, lr=0.02, precision="float32", device="cpu", seed=0)
QUICK = ClassifyOptions(backbone="linear", fit=FIT)


class Watcher:
    """Keeps what it is told; `at` (epoch, step) it raises."""

    def __init__(self, at: tuple[int, int] | None = None, error: type[BaseException] = Killed) -> None:
        self.at, self.error = at, error
        self.said: list[str] = []
        self.steps = 0

    def step(self, step: Step) -> None:
        self.steps += 1
        if (step.epoch, step.step) == self.at:
            raise self.error

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def _plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and empty pictures."""
    monkeypatch.setenv("LIKEWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("likewise.apps.training.draw_history", lambda _, file: file.touch())
    report = import_module("likewise.apps.classify.report")
    monkeypatch.setattr(report, "draw_reliability", lambda _, __, file: file.touch() or file)
    monkeypatch.setattr(report, "draw_confusion", lambda _, __, file: file.touch() or file)


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """600 of the digits 0 to 4."""
    return digits.of_identities(range(5)).subset(range(600))


def made(data: Dataset, out: Path, watcher: Watcher | None = None, **changes: Any) -> LearnedAnswers:
    resume = changes.pop("resume", False)
    return learn(data, out, replace(QUICK, **changes), resume=resume, watcher=watcher or Watcher())


class TestLearned:
    def test_classes(self, few: Dataset, tmp_path: Path) -> None:
        watcher = Watcher()
        found = made(few, tmp_path / "m", watcher)
        assert watcher.said[0].startswith("split by item: train ")
        assert found.report is not None
        assert found.report.figures["accuracy"] > 0.93
        assert found.model.head == Head("multiclass", ("0", "1", "2", "3", "4"))
        assert found.model.calibration is not None
        assert found.model.calibration.items == len(found.parts.tune)
        assert found.report.items == len(found.parts.test)
        values = found.as_dict()
        assert {"model", "epochs", "train_seconds", "images_per_second", "loss"} <= set(values)
        assert (values["task"], values["split"], values["head"]) == ("classify", "item", "multiclass")
        again = Classifier.load(tmp_path / "m")
        assert again.fingerprint == found.model.fingerprint
        assert again.calibration == found.model.calibration
        assert {file.name for file in (tmp_path / "m" / "report").iterdir()} == {
            "metrics.json", "history.jsonl", "history.png", "reliability.png", "confusion.png",
        }  # fmt: skip
        assert not (tmp_path / "m.training").exists()

    def test_each_part_has_one_use(self, few: Dataset, tmp_path: Path) -> None:
        found = made(few, tmp_path / "m")
        parts = [set(part.contents.tolist()) for part in found.parts.named().values()]
        assert sum(map(len, parts)) == len(set.union(*parts))
        seen = found.model.encoder.seen
        assert set(seen.items.tolist()) == set.union(*parts)
        for number, part in enumerate(parts):
            assert set(seen.items[seen.parts == number].tolist()) == part

    def test_several_at_once_and_numbers(self, tmp_path: Path) -> None:
        found = made(halves(300), tmp_path / "a")
        assert found.model.head == Head("multilabel", ("left", "upper"))
        assert found.report is not None
        assert found.report.figures["accuracy"] > 0.9
        assert found.model.encoder.trained["columns"] is True
        number = made(grey(300), tmp_path / "b", fit=replace(FIT, epochs=60))
        assert number.model.head.kind == "regression"
        assert number.report is not None
        assert number.report.by_name["degrees"]["r2"] > 0.9
        assert number.model.encoder.trained["objective"]["name"] == "l2"

    def test_groups_stay_together(self, few: Dataset, tmp_path: Path) -> None:
        groups = np.random.default_rng(0).integers(0, 30, len(few))
        grouped = replace(few, groups=groups, group_names=tuple(map(str, range(30))))
        watcher = Watcher()
        found = made(grouped, tmp_path / "m", watcher)
        assert watcher.said[0].startswith("split by group: ")
        of_parts = [set(part.groups.tolist()) for part in found.parts.named().values()]
        assert sum(map(len, of_parts)) == len(set.union(*of_parts)) == 30
        assert found.report is not None
        assert found.report.groups == len(of_parts[3])
        by_item = made(grouped, tmp_path / "n", split="item")
        assert by_item.parts.by == "item"

    @pytest.mark.parametrize("seed", range(6))
    def test_a_class_of_one_group_is_learned_whatever_the_seed(self, few: Dataset, tmp_path: Path, seed: int) -> None:
        groups = np.where(few.labels == 4, 7, np.arange(len(few)) % 7)  # all fours are by one writer
        grouped = replace(few, groups=groups, group_names=tuple(map(str, range(8))))
        found = made(grouped, tmp_path / "m", fit=replace(FIT, epochs=1, seed=seed))
        assert found.model.head.names == ("0", "1", "2", "3", "4")
        assert 7 in found.parts.train.groups
        assert "The test part has no item of 4, so nothing was measured of that." in found.notes

    @pytest.mark.parametrize("seed", range(6))
    def test_a_column_that_holds_in_one_group_is_learned_too(self, tmp_path: Path, seed: int) -> None:
        data = halves(120)
        groups = np.where(data.targets[:, 1] > 0, 5, np.arange(120) % 5)
        grouped = replace(data, groups=groups, group_names=tuple("abcdef"))
        found = made(grouped, tmp_path / "m", fit=replace(FIT, epochs=1, seed=seed))
        assert 5 in found.parts.train.groups
        assert "The test part has no item of upper, so nothing was measured of that." in found.notes
        assert found.report is not None
        assert found.report.figures["mean_f1"] == found.report.by_name["left"]["f1"]
        rows, items = dict(found.report.rows()), found.report.items
        assert rows["upper"].startswith("holds of none of these items, said of ")
        assert rows["upper"].endswith(f" of {items}")
        assert rows["F1"].endswith("(mean of 1 of 2 classes; the others hold of none of these items)")

    def test_too_few_groups_for_an_interval_are_said(self, tmp_path: Path) -> None:
        data = replace(grey(200), groups=np.arange(200) % 20, group_names=tuple(map(str, range(20))))
        found = made(data, tmp_path / "m")
        said = "No interval of 90%: that takes 9 groups or more, and there were 3."
        assert said in found.notes
        assert said in (tmp_path / "m" / "README.md").read_text()

    def test_one_seed_gives_one_model(self, few: Dataset, tmp_path: Path) -> None:
        first, again = made(few, tmp_path / "a"), made(few, tmp_path / "b")
        other = made(few, tmp_path / "c", fit=replace(FIT, seed=1))
        assert first.model.fingerprint == again.model.fingerprint
        assert first.model.calibration == again.model.calibration
        assert other.model.fingerprint != first.model.fingerprint

    def test_what_cannot_be_read_is_said_and_left_out(self, digits: Dataset, tmp_path: Path) -> None:
        pictures = digits.of_identities([0, 1]).subset(range(80))
        for i, picture in enumerate(pictures.sources):
            (tmp_path / "p").mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / "p" / f"{i}.png")
            if i % 9 == 0:
                (tmp_path / "p" / f"{i}.png").write_bytes(b"no picture %d" % i)
        files = [f"{i}.png" for i in range(80)]
        data = Dataset(tuple(tmp_path / "p" / file for file in files), tuple(files), pictures.labels, digits.names)
        watcher = Watcher()
        made(data, tmp_path / "m", watcher)
        skipped = {line.split(": ")[0].removeprefix("skipped ") for line in watcher.said if line.startswith("skipped")}
        assert skipped == {f"{i}.png" for i in range(0, 80, 9)}


class TestNotes:
    @pytest.mark.parametrize(("part", "said"), [("tune", "Not calibrated: "), ("test", "Not measured: ")])
    def test_what_could_not_be_done_is_noted_and_the_model_kept(
        self, tmp_path: Path, digits: Dataset, part: str, said: str
    ) -> None:
        pictures = digits.of_identities([0, 1]).subset(range(60))
        names = ["train"] * 30 + ["valid"] * 10 + ["tune"] * 10 + ["test"] * 10
        for i, picture in enumerate(pictures.sources):
            Image.fromarray(picture).save(tmp_path / f"{i}.png")
            if names[i] == part:
                (tmp_path / f"{i}.png").write_bytes(b"no picture %d" % i)
        files = tuple(f"{i}.png" for i in range(60))
        data = Dataset(
            tuple(tmp_path / file for file in files), files, pictures.labels, digits.names, parts=np.array(names)
        )
        found = made(data, tmp_path / "m")
        assert any(note.startswith(said) for note in found.notes)
        assert (found.model.calibration is None) == (part == "tune")
        assert (found.report is None) == (part == "test")
        assert Classifier.load(tmp_path / "m").fingerprint == found.model.fingerprint


class TestRefusedBeforeTraining:
    def refused(self, error: type[Exception], said: str, data: Dataset, out: Path, **changes: Any) -> None:
        watcher = Watcher()
        with pytest.raises(error, match=said) as caught:
            made(data, out, watcher, **changes)
        assert watcher.steps == 0
        assert "\n" not in str(caught.value)
        assert not out.exists()

    def test_all_of_one_class(self, digits: Dataset, tmp_path: Path) -> None:
        data = digits.of_identities([3])
        self.refused(DataError, "at least 2 classes; got only 3", data, tmp_path / "m")

    def test_a_class_in_a_part_that_training_never_saw(self, few: Dataset, tmp_path: Path) -> None:
        for part in ("valid", "tune", "test"):
            names = np.resize(["train", "train", "valid", "tune", "test"], len(few))
            names[few.labels == 4] = part
            data = replace(few, parts=names.astype(str))
            self.refused(DataError, f"trained on: 0, 1, 2, 3; got 4 in the {part} part", data, tmp_path / "m")

    def test_classes_that_leave_no_group_for_other_parts(self, few: Dataset, tmp_path: Path) -> None:
        groups = np.where(few.labels == 4, 3, np.arange(len(few)) % 3)
        groups[few.labels == 3] = 0
        grouped = replace(few, groups=groups, group_names=("north", "east", "west", "south"))
        said = r"4 groups of which 2 may leave train, as '3' is only in 'north'\. Bring .*--split item"
        self.refused(DataError, said, grouped, tmp_path / "m")

    def test_numbers_that_are_none_by_name(self, tmp_path: Path) -> None:
        for data in (halves(60), grey(60)):
            targets = data.targets.copy()
            targets[17, 0] = np.nan
            said = rf"Targets are finite numbers; got nan.* for '{data.files[17]}'"
            self.refused(DataError, said, replace(data, targets=targets), tmp_path / "m")

    @pytest.mark.parametrize(("value", "which"), [(0, "never"), (1, "always")])
    def test_a_column_that_never_changes_by_name(self, tmp_path: Path, value: int, which: str) -> None:
        data = halves(60)
        data = replace(data, targets=np.column_stack([data.targets[:, 0], np.full(60, value)]).astype(np.float32))
        self.refused(DataError, f"got 'upper', which {which} holds", data, tmp_path / "m")
        shares = np.column_stack([1 - data.targets[:, 0], data.targets[:, 0], np.zeros(60)]).astype(np.float32)
        data = replace(data, targets=shares, target_names=("right", "left", "gone"))
        said = "got 'gone', which never holds"
        self.refused(DataError, said, data, tmp_path / "m", head="multiclass", class_weights=True)

    def test_class_weights_of_a_class_that_the_train_part_lacks(self, tmp_path: Path) -> None:
        data = halves(60)
        shares = np.column_stack([1 - data.targets[:, 0], data.targets[:, 0], np.zeros(60)]).astype(np.float32)
        parts = np.resize(["train", "train", "train", "valid", "tune", "test"], 60)
        shares[parts == "test"] = [0, 0, 1]
        data = replace(data, targets=shares, target_names=("right", "left", "gone"), parts=parts)
        said = "in the train part; got 'gone', which never does"
        self.refused(DataError, said, data, tmp_path / "m", head="multiclass", class_weights=True)

    def test_items_whose_targets_are_no_distribution_by_name(self, tmp_path: Path) -> None:
        data = halves(100)
        assert data.targets is not None
        first = int(np.flatnonzero(data.targets.sum(axis=1) != 1)[0])
        self.refused(
            DataError, rf"sum to 1 .* for '{data.files[first]}'\. .*multilabel", data, tmp_path / "m", head="multiclass"
        )

    def test_heads_that_these_data_cannot_have(self, few: Dataset, tmp_path: Path) -> None:
        out = tmp_path / "m"
        self.refused(UsageError, "columns of numbers; got labels", few, out, head="regression")
        self.refused(UsageError, "no columns", few, out, head="multilabel")
        self.refused(UsageError, "2 classes apart; got 5", few, out, head="binary")
        self.refused(UsageError, "yes and no, 1 and 0; got degrees", grey(), out, head="multilabel")
        self.refused(UsageError, "goes with classes", grey(), out, class_weights=True)

    def test_an_existing_folder_that_is_no_model(self, few: Dataset, tmp_path: Path) -> None:
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "letter.txt").write_text("precious")
        with pytest.raises(UsageError):
            made(few, tmp_path / "m")
        assert (tmp_path / "m" / "letter.txt").read_text() == "precious"

    def test_options_that_cannot_work(self, few: Dataset, tmp_path: Path, model_folder: Path) -> None:
        with pytest.raises(UsageError, match="--frozen without --from"):
            prepare(replace(QUICK, frozen=True))
        with pytest.raises(UsageError, match="keeps its backbone and preprocessing; got backbone linear"):
            prepare(replace(QUICK, start=str(model_folder)))
        with pytest.raises(UsageError, match="got size 8"):
            prepare(ClassifyOptions(start=str(model_folder), size=8))
        with pytest.raises(ModelError, match="A model is a folder"):
            prepare(ClassifyOptions(start=str(tmp_path / "none")))


class TestObjective:
    def test_goes_with_the_head(self, few: Dataset) -> None:
        head = Head("multiclass", ("0", "1", "2", "3", "4"))
        assert isinstance(objective_for(head, few, QUICK), Multiclass)
        assert isinstance(objective_for(Head("multilabel", ("left", "upper")), halves(), QUICK), Multilabel)
        number = Head("regression", ("degrees",), (0.0,), (1.0,))
        assert isinstance(objective_for(number, grey(), QUICK), SquaredError)
        assert isinstance(objective_for(number, grey(), replace(QUICK, norm="l1")), AbsoluteError)

    def test_with_class_weights_all_classes_count_the_same_in_all(self, few: Dataset) -> None:
        uneven = few.subset(np.flatnonzero((few.labels != 2) | (np.arange(len(few)) % 5 == 0)))
        head = Head("multiclass", ("0", "1", "2", "3", "4"))
        objective = objective_for(head, uneven, replace(QUICK, class_weights=True))
        targets = targets_for(head, uneven)
        weights = torch.tensor(objective.options()["class_weights"])
        torch.testing.assert_close((targets * weights).sum(dim=0), torch.full((5,), len(uneven) / 5))

    def test_drawn_alike_what_is_rare_is_said_as_often_as_it_is_met(self, tmp_path: Path) -> None:
        """One of ten pictures is bright by nature; by chance many others are as bright."""
        rng = np.random.default_rng(0)
        bright = np.arange(8000) % 10 == 0
        light = rng.normal(np.where(bright, 140, 110), 20).clip(0, 255)
        pictures = np.broadcast_to(light[:, None, None], (8000, 8, 8)).astype(np.uint8)
        data = arrays(pictures, np.where(bright, "rare", "usual").tolist())
        for head in ("multiclass", "binary"):
            out, fit = tmp_path / head, replace(FIT, balanced=True)
            model = made(data.subset(range(6000)), out, head=head, fit=fit).model
            outputs, rare = model.encoder.encode_all(pictures[6000:]), model.head.names.index("rare")
            assert model.answers(outputs)[:, rare].mean() == pytest.approx(0.1, abs=0.03)
            assert Classifier(model.encoder).answers(outputs)[:, rare].mean() > 0.2  # as training left it

    @pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
    def test_drawing_shifts_as_the_weights_of_all_items_would(self, kind: str) -> None:
        rng, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [20, 50, 130])
        held = (
            np.eye(3)[labels]
            if kind == "multiclass"
            else (rng.random((200, 3)) < np.array([0.2, 0.5, 0.9])[:, None][labels]) * 1.0
        )
        copies = np.repeat(np.arange(200), (1300 / np.bincount(labels)[labels]).round().astype(int))  # of each as many
        shares, drawn = held.mean(0), held[copies].mean(0)
        odds = drawn / shares if kind == "multiclass" else drawn / (1 - drawn) / shares * (1 - shares)
        head = Head(kind, ("a", "b", "c"))
        found = drawn_weights(head, torch.tensor(held), labels)
        np.testing.assert_allclose(found, odds, rtol=1e-9)

    def test_with_class_weights_what_holds_counts_as_much_as_what_does_not(self) -> None:
        data = halves(200).subset(np.flatnonzero((halves(200).targets[:, 0] == 0) | (np.arange(200) % 4 == 0)))
        objective = objective_for(Head("multilabel", ("left", "upper")), data, replace(QUICK, class_weights=True))
        weights, targets = objective.options()["positive_weights"], data.targets
        for k in range(2):
            assert weights[k] * targets[:, k].sum() == pytest.approx((1 - targets[:, k]).sum(), rel=1e-5)
        always = replace(data, targets=np.c_[np.ones(len(data)), targets[:, 1]].astype(np.float32))
        with pytest.raises(DataError, match="got 'left', which always does"):
            objective_for(Head("multilabel", ("left", "upper")), always, replace(QUICK, class_weights=True))


class TestGoingOn:
    def test_only_the_last_layer_is_trained_where_the_rest_is_frozen(
        self, few: Dataset, model_folder: Path, tmp_path: Path
    ) -> None:
        from likewise.matching import load

        before = load(model_folder).encoder
        assert isinstance(before, Encoder)
        found = made(few, tmp_path / "m", backbone=None, start=str(model_folder), frozen=True)
        assert found.report is not None
        assert found.report.figures["accuracy"] > 0.9
        ours, theirs = found.model.encoder.state_dict(), before.state_dict()
        stages = [name for name in theirs if name.startswith("stages.hidden")]
        assert len(stages) == 4
        assert all(torch.equal(ours[name], theirs[name]) for name in stages)
        assert ours["stages.embedding.weight"].shape == (5, 256)
        assert list((tmp_path / "cache" / "features").iterdir())
        assert found.model.encoder.trained["before"] == before.trained
        assert np.isin(before.seen.items, found.model.encoder.seen.items).all()
        whole = made(few, tmp_path / "n", backbone=None, start=str(model_folder))
        moved = whole.model.encoder.state_dict()
        assert not any(torch.equal(moved[name], theirs[name]) for name in stages)

    @pytest.mark.parametrize("seed", [1, 2])
    def test_what_was_learned_by_heart_is_not_reported_on(self, tmp_path: Path, seed: int) -> None:
        """Noise with labels drawn by lot: nobody is right of new items more often than by chance."""
        rng = np.random.default_rng(7)
        noise = arrays(rng.integers(0, 256, (300, 8, 8)).astype(np.uint8), rng.integers(0, 2, 300))
        known = noise.subset(range(200))
        encoder = Encoder("mlp", head=Head("multiclass", ("0", "1")), seed=0)
        fit(encoder, known, Multiclass(), options=replace(FIT, epochs=60, lr=0.003))
        learned = Classifier(encoder)
        learned.save(tmp_path / "a")
        assert report_on(learned, learned.outputs_for(known)).figures["accuracy"] > 0.98
        found = made(
            noise, tmp_path / "b", backbone=None, start=str(tmp_path / "a"), frozen=True, fit=replace(FIT, seed=seed)
        )
        assert found.report is not None
        assert found.report.figures["accuracy"] < 0.7
        for part in (found.parts.valid, found.parts.tune, found.parts.test):
            assert not np.isin(part.contents, known.contents).any()
        assert not any("were trained on" in note for note in found.notes)

    def test_a_test_part_of_its_own_that_was_trained_on_is_said(self, few: Dataset, tmp_path: Path) -> None:
        made(few, tmp_path / "a")
        seen = Classifier.load(tmp_path / "a").encoder.seen
        parts = np.where(np.arange(len(few)) % 4, "train", "test")
        again = int(np.isin(few.contents[parts == "test"], seen.items[seen.parts == 0]).sum())
        watcher = Watcher()
        found = made(
            replace(few, parts=parts), tmp_path / "b", watcher, backbone=None, start=str(tmp_path / "a"), frozen=True
        )
        line = f"Of the test part {again} of 150 items were trained on, which flatters the report."
        assert again > 50
        assert line in watcher.said
        assert line in found.notes
        assert found.model.encoder.trained["split"]["test_trained_on"] == f"{again} of 150 items"

    def test_from_a_model_that_was_split_by_identity(self, few: Dataset, tmp_path: Path) -> None:
        """Whole classes of its data were in other parts than train; to answer with, train needs items of all."""
        classes = replace(few, names=tuple("abcde"))
        identities = classes.of_identities([0, 1, 2])
        encoder = Encoder("linear", head=head_for(identities), seed=0)
        fit(encoder, identities, Multiclass(), options=FIT)
        rest = classes.of_identities([3, 4])
        encoder.seen = encoder.seen.joined(Seen.of("test", rest.contents, rest.identity_keys()))
        Classifier(encoder).save(tmp_path / "a")
        found = made(classes, tmp_path / "b", backbone=None, start=str(tmp_path / "a"), frozen=True)
        assert found.model.head.names == tuple("abcde")
        assert not np.isin(found.parts.test.contents, identities.contents).any()
        assert "The test part has no item of a, b, c, so nothing was measured of that." in found.notes

    def test_several_at_once_keep_their_parts_too(self, tmp_path: Path) -> None:
        first = made(halves(200), tmp_path / "a")
        for data, seed in ((halves(200), 1), (replace(grey(200), sources=halves(200).sources), 2)):
            found = made(
                data, tmp_path / f"b{seed}", backbone=None, start=str(tmp_path / "a"), frozen=True,
                fit=replace(FIT, seed=seed),
            )  # fmt: skip
            assert set(found.parts.test.contents.tolist()) == set(first.parts.test.contents.tolist())

    def test_from_a_classifier_of_other_classes(self, digits: Dataset, tmp_path: Path) -> None:
        made(digits.of_identities([0, 1, 2]).subset(range(300)), tmp_path / "a", backbone="mlp")
        other = digits.of_identities([5, 6]).subset(range(200))
        found = made(other, tmp_path / "b", backbone=None, start=str(tmp_path / "a"), frozen=True)
        assert found.model.head.names == ("5", "6")
        assert found.model.encoder.backbone == "mlp"

    def test_a_run_that_was_killed_ends_as_if_it_had_not_been(self, few: Dataset, tmp_path: Path) -> None:
        whole = made(few, tmp_path / "whole")
        with pytest.raises(Killed):
            made(few, tmp_path / "cut", Watcher((5, 1)))
        assert not (tmp_path / "cut").exists()
        with pytest.raises(UsageError, match="resume"):
            made(few, tmp_path / "cut")
        resumed = made(few, tmp_path / "cut", resume=True)
        assert resumed.model.fingerprint == whole.model.fingerprint
        assert not (tmp_path / "cut.training").exists()

    def test_ctrl_c_keeps_what_there_is(self, few: Dataset, tmp_path: Path) -> None:
        found = made(few, tmp_path / "m", Watcher((5, 1), KeyboardInterrupt))
        assert found.history.stopped == "interrupted"
        assert any("stopped in epoch 5; --resume goes on" in note for note in found.notes)
        assert Classifier.load(tmp_path / "m").fingerprint == found.model.fingerprint
        shutil.rmtree(tmp_path / "m.training")


def test_labels_of_two_classes_take_either_head(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    night = rng.integers(0, 2, 200)
    pictures = rng.normal(np.where(night, 60, 180)[:, None, None], 30, (200, 8, 8)).clip(0, 255).astype(np.uint8)
    data = arrays(pictures, np.where(night, "night", "day"))
    for head in (None, "binary"):
        found = made(data, tmp_path / str(head), head=head)
        assert found.report is not None
        assert found.report.figures["accuracy"] > 0.95
        assert found.model.head.outputs == (1 if head else 2)
