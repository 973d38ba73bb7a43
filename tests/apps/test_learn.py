"""learn: four parts with one use each, a model folder at the end, and nothing at all where it is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.apps.learn import Learned, LearnOptions, learn, prepare
from likewise.apps.parts import Parts, divide
from likewise.data import Dataset, PairSet, arrays, folder
from likewise.encoder import Encoder, Pictures
from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.evaluation import PairReport, evaluate
from likewise.matching import Model, load
from likewise.objective import SupCon
from likewise.training import FitOptions, Step, fit

pytestmark = pytest.mark.usefixtures("undrawn")

QUICK = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=2, precision="float32", device="cpu"))


def four(parts: Parts) -> tuple[Dataset, ...]:
    return parts.train, parts.valid, parts.tune, parts.test


class TestLearn:
    def test_the_folder_is_complete(self, learned: Learned) -> None:
        for file in learned.files:
            assert file.is_file()
        assert learned.folder.is_dir()
        lines = (learned.folder / "report" / "history.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
        figures = json.loads((learned.folder / "report" / "metrics.json").read_text())
        assert figures["items"] == len(learned.parts.test)

    def test_the_report_is_of_the_test_part_and_the_calibration_of_the_tune_part(self, learned: Learned) -> None:
        assert learned.report.labelled.data.files == learned.parts.test.files
        assert learned.model.calibrated().data == learned.parts.tune.origin
        assert learned.model.calibrated().items == len(learned.parts.tune)
        again = evaluate(load(learned.folder), learned.parts.test)
        assert again.retrieval == learned.report.retrieval

    def test_it_learns(self, learned: Learned) -> None:
        assert learned.report.retrieval.precision_at_1 > 0.93
        assert learned.history.epochs[-1].loss < learned.history.epochs[0].loss

    def test_a_promise_that_refuses_nearly_everything_comes_with_what_to_do(
        self, learned: Learned, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        idle = replace(QUICK, fit=replace(QUICK.fit, lr=1e-9, epochs=1))
        poor = learn(digits, tmp_path / "poor.model", idle, watcher=watcher)
        assert poor.model.calibrated().threshold_for().fnmr.value > 0.5
        advice = f"`likewise calibrate {tmp_path / 'poor.model'} DATA --part tune --fmr 0.05`"
        assert [advice in note for note in poor.notes].count(True) == 1
        assert learned.model.calibrated().threshold_for().fnmr.value < 0.5
        assert not any("--fmr" in note for note in learned.notes)

    def test_no_training_state_is_left_beside_the_model(self, learned: Learned) -> None:
        assert [path.name for path in learned.folder.parent.iterdir()] == ["digits.model"]

    def test_the_answer_is_plain_json(self, learned: Learned) -> None:
        values = learned.as_dict()
        assert json.loads(json.dumps(values)) == values
        assert {"model", "epochs", "train_seconds", "images_per_second", "loss", "split", "notes"} <= set(values)
        assert values["epochs"] == 6
        assert values["loss"] == learned.history.epochs[-1].loss
        assert any(re.match(r"Calibrated for a false match rate of \S+ on the tune part", n) for n in values["notes"])
        assert learned.rows()[0] == ("measured on", "the test part")

    def test_a_seed_repeats_the_model_bit_for_bit(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        data = digits.subset(np.arange(0, 1797, 4))
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            learned = learn(data, tmp_path / name, replace(QUICK, fit=replace(QUICK.fit, seed=seed)), watcher=watcher)
            expected = divide(data, seed=seed)  # the seed is that of the split too
            assert [part.files for part in four(learned.parts)] == [part.files for part in four(expected)]
        a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
        assert a == b != c
        assert (tmp_path / "a" / "calibration.json").read_text() == (tmp_path / "b" / "calibration.json").read_text()

    def test_pairs_make_a_model_too(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        first, second = np.arange(0, 1796, 2), np.arange(1, 1797, 2)
        pairs = PairSet(digits, first, second, digits.labels[first] == digits.labels[second], origin="pairs of digits")
        learned = learn(pairs, tmp_path / "m", replace(QUICK, loss="contrastive"), watcher=watcher)
        assert isinstance(learned.report, PairReport)
        assert learned.report.as_dict()["eer"] < 0.4
        assert load(tmp_path / "m").calibrated().data.startswith("pairs of digits")
        text = (tmp_path / "m" / "README.md").read_text()
        assert "in pairs" in text
        assert "![" not in text  # no picture is drawn of pairs, so none is shown

    def test_unreadable_files_are_told_whichever_part_they_fall_into(
        self, digit_folder: Path, tmp_path: Path, watcher: object
    ) -> None:
        import shutil

        root = Path(shutil.copytree(digit_folder, tmp_path / "digits"))
        data = folder(root)
        names = [name for part in four(divide(data)) for name in part.files[:2]]
        for name in names:
            (root / name).write_bytes(b"\x89PNG broken")
        learn(data, tmp_path / "m", QUICK, watcher=watcher)
        told = [line.split(": ")[0].removeprefix("skipped ") for line in watcher.said if line.startswith("skipped")]
        assert sorted(told) == sorted(names)

    def test_few_items_keep_the_last_epoch_and_say_so(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        """Five people, ten pictures each: what somebody who tries it has."""
        chosen = np.concatenate([np.flatnonzero(digits.labels == digit)[:10] for digit in range(5)])
        learned = learn(digits.subset(chosen), tmp_path / "m", QUICK, watcher=watcher)
        assert learned.history.select is None
        assert learned.history.best == 2
        assert any("the last epoch is kept" in note for note in learned.notes)
        assert any("too few to support even that" in note or "Not calibrated" in note for note in learned.notes)
        assert load(tmp_path / "m").fingerprint == learned.model.fingerprint

    def test_what_cannot_be_measured_is_refused_before_training(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        chosen = np.concatenate([np.flatnonzero(digits.labels == digit)[:5] for digit in range(4)])
        with pytest.raises(DataError, match="The part kept for the report"):
            learn(digits.subset(chosen), tmp_path / "m", QUICK, watcher=watcher)
        assert watcher.steps == []
        assert list(tmp_path.iterdir()) == []

    def test_a_model_that_is_there_is_replaced_at_the_end_only(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        data = digits.subset(np.arange(0, 1797, 4))
        first = learn(data, tmp_path / "m", QUICK, watcher=watcher)
        seen: list[str] = []
        watcher.step = lambda _: seen.append(load(tmp_path / "m").fingerprint)
        second = learn(data, tmp_path / "m", replace(QUICK, fit=replace(QUICK.fit, seed=1)), watcher=watcher)
        assert set(seen) == {first.model.fingerprint}
        assert load(tmp_path / "m").fingerprint == second.model.fingerprint != first.model.fingerprint


class TestWhatWasSeen:
    """What the parts share with what was trained on, and what may be claimed then."""

    def names(self, part: Dataset) -> set[str]:
        return {part.names[i] for i in part.labels}

    def card(self, learned: Learned) -> str:
        return (learned.folder / "README.md").read_text()

    def test_one_shared_name_makes_no_fixed_list(
        self, crowd: Callable[..., Dataset], tmp_path: Path, watcher: object
    ) -> None:
        names = [f"p{i}" for i in range(60)] + ["p0"] + [f"q{i}" for i in range(29)]
        learned = learn(crowd(names, parts=["train"] * 60 + ["test"] * 30), tmp_path / "m", QUICK, watcher=watcher)
        assert learned.as_dict()["unit"] == learned.model.calibrated().unit == "identity"
        assert learned.model.calibrated().identities == 6
        assert not learned.model.calibrated().threshold_for().supported  # 15 pairs of people
        assert not self.names(learned.parts.tune) & self.names(learned.parts.train)
        said = "Of the test part 1 of 30 identities were trained on, which flatters the report."
        assert said in learned.notes
        assert said in watcher.said  # before training
        assert "which had no part in training" not in self.card(learned)
        assert "of which 1 of 30 identities were trained on, which flatters it." in self.card(learned)
        assert load(learned.folder).encoder.trained["split"]["test_trained_on"] == "1 of 30 identities"

    def test_an_own_tune_part_loses_those_trained_on(
        self, crowd: Callable[..., Dataset], tmp_path: Path, watcher: object
    ) -> None:
        names = [*(f"p{i}" for i in range(20)), *(f"p{i}" for i in range(4)), *(f"q{i}" for i in range(12))]
        parts = ["train"] * 20 + ["tune"] * 16
        learned = learn(crowd(names, parts=parts), tmp_path / "m", QUICK, watcher=watcher)
        assert len(learned.parts.tune) == 16 * 8
        known = len(self.names(learned.parts.train) & self.names(learned.parts.tune))
        assert known > 0
        assert learned.model.calibrated().identities == 16 - known
        assert f"without {known} of 16 identities, which were trained on" in self.card(learned)

    def test_strangers_only_and_the_claim_stands(
        self, crowd: Callable[..., Dataset], tmp_path: Path, watcher: object
    ) -> None:
        learned = learn(crowd([f"p{i}" for i in range(40)]), tmp_path / "m", QUICK, watcher=watcher)
        assert "which had no part in training." in self.card(learned)
        assert not any("flatters" in line for line in (*learned.notes, *watcher.said))

    def test_copies_are_not_tested_on(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        few = digits.subset(np.arange(0, 1797, 8))
        data = arrays(np.concatenate([few.sources, few.sources]), np.r_[few.labels, few.labels])
        learned = learn(data, tmp_path / "m", QUICK, watcher=watcher)
        held = [{picture.tobytes() for picture in part.sources} for part in four(learned.parts)]
        assert sum(map(len, held)) == len(set().union(*held)) == len(few)
        assert not any("flatters" in line for line in (*learned.notes, *watcher.said))

    def test_copies_in_an_own_test_part_are_told(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        few = digits.subset(np.arange(0, 1797, 4))
        sources = np.concatenate([few.sources[:400], few.sources[:20]])
        data = arrays(sources, np.r_[few.labels[:400], few.labels[:20]], parts=["train"] * 300 + ["test"] * 120)
        learned = learn(data, tmp_path / "m", QUICK, watcher=watcher)
        trained_on = {picture.tobytes() for picture in learned.parts.train.sources}
        copies = sum(picture.tobytes() in trained_on for picture in learned.parts.test.sources)
        assert copies > 0
        (note,) = [note for note in learned.notes if "flatters" in note]
        assert note.startswith(f"Of the test part {copies} of 120 items were trained on")

    def test_pairs_that_do_not_name_anybody_promise_at_most(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        first, second = np.arange(0, 1796, 2), np.arange(1, 1797, 2)
        items = arrays(digits.sources, range(1797))
        pairs = PairSet(items, first, second, digits.labels[first] == digits.labels[second])
        learned = learn(pairs, tmp_path / "m", replace(QUICK, loss="contrastive"), watcher=watcher)
        assert any("may support less than this" in note for note in learned.notes)
        assert "the identities are a sample, counted as far as pairs tell" in self.card(learned)
        named = PairSet(digits, first, second, digits.labels[first] == digits.labels[second], named=True)
        learned = learn(named, tmp_path / "n", replace(QUICK, loss="contrastive"), watcher=watcher)
        assert learned.as_dict()["split"] == "item"  # ten digits in every part
        assert not any("may support less" in note for note in learned.notes)
        assert "the list of identities is fixed" in self.card(learned)
        assert "as far as pairs tell" not in self.card(learned)


REFUSED: dict[str, tuple[LearnOptions, str]] = {
    "unknown loss": (replace(QUICK, loss="nosuch"), "A loss is one of"),
    "unknown miner": (replace(QUICK, loss="triplet", miner="nosuch"), "miner"),
    "a miner for nothing": (replace(QUICK, loss="softmax", miner="semi-hard"), "miner goes with"),
    "unknown distance": (replace(QUICK, loss="contrastive", distance="nosuch"), "distance"),
    "margin 0": (replace(QUICK, loss="triplet", margin=0.0), "greater than 0"),
    "margin below 0": (replace(QUICK, loss="contrastive", margin=-1.0), "greater than 0"),
    "dim 0": (replace(QUICK, dim=0), "dimension"),
    "unknown backbone": (replace(QUICK, backbone="nosuch"), "A backbone is one of"),
    "pictures too small": (replace(QUICK, backbone="resnet-18"), "at least 32 pixels"),
    "size 0": (replace(QUICK, size=0), "1 to 4096 pixels"),
    "K too large": (replace(QUICK, fit=replace(QUICK.fit, batch=(4, 5000))), "K is at most"),
    "no groups": (replace(QUICK, split="group"), "needs groups"),
    "no such model": (LearnOptions(start="/nonexistent/model"), "A model is a folder"),
}


class TestRefusal:
    @pytest.mark.parametrize("what", REFUSED)
    def test_it_is_one_line_and_nothing_is_written(
        self, digits: Dataset, tmp_path: Path, watcher: object, what: str
    ) -> None:
        options, rule = REFUSED[what]
        with pytest.raises(LikewiseError, match=rule) as caught:
            learn(digits.subset(np.arange(0, 1797, 4)), tmp_path / "m", options, watcher=watcher)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []
        assert watcher.steps == []

    def test_a_folder_that_is_no_model_is_refused_before_training(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "letter.txt").write_text("precious")
        with pytest.raises(UsageError, match="overwritten"):
            learn(digits, tmp_path / "m", QUICK, watcher=watcher)
        assert watcher.said == []
        assert (tmp_path / "m" / "letter.txt").read_text() == "precious"

    @pytest.mark.parametrize(
        ("labels", "rule"),
        [([0] * 60, "at least 2 identities"), (range(60), "identities with at least 2 items"), ([], "at least 2 id")],
    )
    def test_one_class_or_lone_items_are_refused(
        self, digits: Dataset, tmp_path: Path, watcher: object, labels: list[int], rule: str
    ) -> None:
        data = arrays(digits.sources[: len(labels)], np.array(labels, dtype=int))
        with pytest.raises(DataError, match=rule):
            learn(data, tmp_path / "m", QUICK, watcher=watcher)
        assert list(tmp_path.iterdir()) == []


class TestFrom:
    def test_it_begins_with_the_weights_of_the_model(self, learned: Learned, digits: Dataset) -> None:
        encoder, objective = prepare(digits, LearnOptions(start=str(learned.folder)))
        for name, value in learned.model.encoder.stages.state_dict().items():
            assert torch.equal(encoder.stages.state_dict()[name], value)
        fit(encoder, digits, objective, epochs=1, lr=1e-20, weight_decay=0.0, precision="float32")
        for name, value in learned.model.encoder.stages.state_dict().items():
            torch.testing.assert_close(encoder.stages.state_dict()[name], value, rtol=0, atol=1e-12)

    def test_its_first_epoch_is_better_than_that_of_a_new_one(
        self, learned: Learned, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        data = digits.subset(np.arange(0, 1797, 3))
        new = learn(data, tmp_path / "new", replace(QUICK, dim=16), watcher=watcher)
        options = LearnOptions(start=str(learned.folder), fit=QUICK.fit)
        tuned = learn(data, tmp_path / "tuned", options, watcher=watcher)
        assert tuned.history.epochs[0].loss < 0.8 * new.history.epochs[0].loss
        assert tuned.model.encoder.trained["before"]["fit"]["epochs"] == 6
        assert load(tmp_path / "tuned").encoder.ready() == learned.model.encoder.ready()

    def test_nobody_it_was_trained_on_is_reported_on(
        self, crowd: Callable[..., Dataset], tmp_path: Path, watcher: object
    ) -> None:
        """The same eighty people with another seed: all keep the part they had."""
        data = crowd([f"p{i}" for i in range(80)], 4)
        first = learn(data, tmp_path / "a", QUICK, watcher=watcher)
        options = LearnOptions(start=str(tmp_path / "a"), fit=replace(QUICK.fit, seed=1))
        tuned = learn(data, tmp_path / "b", options, watcher=watcher)
        for part in (tuned.parts.valid, tuned.parts.tune, tuned.parts.test):
            assert not set(part.labels) & set(first.parts.train.labels)
        assert "which had no part in training." in (tmp_path / "b" / "README.md").read_text()
        third = learn(data, tmp_path / "c", replace(options, start=str(tmp_path / "b")), watcher=watcher)
        assert third.parts.test.files == first.parts.test.files

    def test_where_all_were_trained_on_the_claim_falls(
        self, crowd: Callable[..., Dataset], tmp_path: Path, watcher: object
    ) -> None:
        data = crowd([f"p{i}" for i in range(40)], 4)
        encoder = Encoder("mlp", 8)
        fit(encoder, data, SupCon(), epochs=1, precision="float32")
        Model(encoder).save(tmp_path / "a")
        learned = learn(data, tmp_path / "b", LearnOptions(start=str(tmp_path / "a"), fit=QUICK.fit), watcher=watcher)
        known = f"{len(learned.parts.test)} of {len(learned.parts.test)} items"
        assert f"Of the test part {known} were trained on, which flatters the report." in learned.notes
        assert "which had no part in training" not in (tmp_path / "b" / "README.md").read_text()
        assert learned.model.calibrated().unit == "item"  # it may only speak of those it knows

    @pytest.mark.parametrize("change", [{"dim": 32}, {"backbone": "convnet"}, {"size": 12}, {"grey": True}])
    def test_what_the_model_decides_cannot_be_asked_for(
        self, learned: Learned, digits: Dataset, tmp_path: Path, watcher: object, change: dict[str, object]
    ) -> None:
        with pytest.raises(UsageError, match="keeps its backbone, dimension and preprocessing"):
            learn(digits, tmp_path / "m", LearnOptions(start=str(learned.folder), **change), watcher=watcher)

    @pytest.mark.parametrize(("loss", "unit"), [("supcon", True), ("softmax-triplet", False)])
    def test_length_and_distance_are_those_the_new_objective_asks_for(
        self, learned: Learned, digits: Dataset, loss: str, unit: bool
    ) -> None:
        encoder, objective = prepare(digits, LearnOptions(loss=loss, start=str(learned.folder)))
        fit(encoder, digits.subset(np.arange(100)), objective, epochs=1, precision="float32")
        assert encoder.unit == objective.unit == unit
        assert encoder.distance is objective.distance

    def test_a_damaged_model_is_refused(
        self, learned: Learned, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        import shutil

        bad = shutil.copytree(learned.folder, tmp_path / "bad")
        (bad / "golden.safetensors").unlink()
        with pytest.raises(ModelError):
            learn(digits, tmp_path / "m", LearnOptions(start=str(bad)), watcher=watcher)


def test_options_that_cannot_work_are_found_without_data() -> None:
    for options in (
        replace(QUICK, loss="nosuch"), replace(QUICK, class_weights=True), replace(QUICK, dim=0),
        replace(QUICK, backbone="nosuch"), replace(QUICK, fit=replace(QUICK.fit, device="toaster")),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            prepare(None, options)
    encoder, objective = prepare(None, replace(QUICK, loss="softmax", class_weights=True))
    assert (encoder.dim, objective.name) == (8, "softmax")


class TestResume:
    class Killed(BaseException):
        pass

    def test_a_killed_run_goes_on_to_the_same_model(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        data = digits.subset(np.arange(0, 1797, 4))
        options = replace(QUICK, fit=replace(QUICK.fit, epochs=4, average=0.9, augment="jitter"))
        whole = learn(data, tmp_path / "whole", options, watcher=watcher)

        def kill(step: Step) -> None:
            if step.epoch == 3:
                raise self.Killed

        quiet = watcher.step
        watcher.step = kill
        with pytest.raises(self.Killed):
            learn(data, tmp_path / "m", options, watcher=watcher)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m.training", "whole"]
        watcher.step = quiet
        resumed = learn(data, tmp_path / "m", options, resume=True, watcher=watcher)
        assert resumed.model.fingerprint == whole.model.fingerprint
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "whole"]

    def test_ctrl_c_saves_a_model_and_what_it_takes_to_go_on(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        data = digits.subset(np.arange(0, 1797, 4))
        options = replace(QUICK, fit=replace(QUICK.fit, epochs=3))
        whole = learn(data, tmp_path / "whole", options, watcher=watcher)

        def interrupt(step: Step) -> None:
            if step.epoch == 3:
                raise KeyboardInterrupt

        quiet = watcher.step
        watcher.step = interrupt
        stopped = learn(data, tmp_path / "m", options, watcher=watcher)
        assert stopped.history.stopped == "interrupted"
        assert any("stopped in epoch 3" in note for note in stopped.notes)
        assert load(tmp_path / "m").fingerprint == stopped.model.fingerprint
        assert (tmp_path / "m.training").is_dir()
        watcher.step = quiet
        resumed = learn(data, tmp_path / "m", options, resume=True, watcher=watcher)
        assert resumed.model.fingerprint == whole.model.fingerprint
        assert not (tmp_path / "m.training").exists()

    def test_ctrl_c_leaves_a_model_that_is_there_as_it_was(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        data = digits.subset(np.arange(0, 1797, 4))
        before = learn(data, tmp_path / "m", QUICK, watcher=watcher).model.fingerprint

        def interrupt(step: Step) -> None:
            if step.epoch == 2:
                raise KeyboardInterrupt

        quiet, watcher.step = watcher.step, interrupt
        longer = replace(QUICK, fit=replace(QUICK.fit, epochs=3))
        with pytest.raises(KeyboardInterrupt):
            learn(data, tmp_path / "m", longer, watcher=watcher)
        assert load(tmp_path / "m").fingerprint == before
        watcher.step = quiet
        learned = learn(data, tmp_path / "m", longer, resume=True, watcher=watcher)
        assert learned.history.resumed_after == 1
        assert load(tmp_path / "m").fingerprint == learned.model.fingerprint != before

    def test_ctrl_c_in_the_first_epoch_saves_nothing_and_says_so(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        def interrupt(_: Step) -> None:
            raise KeyboardInterrupt

        watcher.step = interrupt
        with pytest.raises(KeyboardInterrupt):
            learn(digits.subset(np.arange(0, 1797, 4)), tmp_path / "m", QUICK, watcher=watcher)
        assert watcher.said[-1] == "Training was stopped before an epoch was done. Nothing was saved."
        assert list(tmp_path.iterdir()) == []

    def test_resuming_is_promised_only_where_there_is_a_checkpoint(
        self, digits: Dataset, tmp_path: Path, watcher: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C while the first checkpoint is written: an epoch is done, and there is nothing to go on with."""

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("likewise.training.state.save_file", interrupt)
        data = digits.subset(np.arange(0, 1797, 4))
        monkeypatch.setattr("likewise.matching.Model.save", lambda *_: (tmp_path / "m").mkdir())
        learned = learn(data, tmp_path / "m", QUICK, watcher=watcher)
        assert f"Training was stopped in epoch 2. {tmp_path / 'm'} is the best epoch so far." in learned.notes

    def test_the_state_of_an_earlier_run_is_not_written_over(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        def interrupt(step: Step) -> None:
            if step.epoch == 2:
                raise KeyboardInterrupt

        data = digits.subset(np.arange(0, 1797, 4))
        quiet, watcher.step = watcher.step, interrupt
        learn(data, tmp_path / "m", QUICK, watcher=watcher)
        before = (tmp_path / "m.training" / "checkpoint.safetensors").read_bytes()
        watcher.step = quiet
        watcher.said.clear()
        with pytest.raises(
            UsageError, match=r"got '.*m\.training'\. Go on with that run \(--resume.*or delete the folder"
        ):
            learn(data, tmp_path / "m", QUICK, watcher=watcher)
        assert watcher.said == watcher.steps == []  # it is refused before any work
        assert (tmp_path / "m.training" / "checkpoint.safetensors").read_bytes() == before


class TestShape:
    @pytest.mark.parametrize(("size", "resize"), [(12, "squash"), (10, "pad"), (None, "crop")])
    def test_size_and_resize_are_kept(self, digits: Dataset, size: int | None, resize: str) -> None:
        encoder, objective = prepare(digits.subset(np.arange(200)), replace(QUICK, size=size, resize=resize))
        fit(encoder, digits.subset(np.arange(200)), objective, epochs=1, precision="float32")
        assert encoder.ready().shape == (1, size or 8, size or 8)
        assert encoder.ready().resize == resize
        assert encoder.ready().mean != (0.5,)  # and mean and spread are those of the data

    def test_the_seed_is_that_of_the_weights_too(self, digits: Dataset) -> None:
        weights = []
        for seed in (0, 0, 1):
            options = replace(QUICK, loss="softmax", fit=replace(QUICK.fit, seed=seed))
            encoder, objective = prepare(digits, options)
            encoder.build(Pictures(1, 8, 8))
            weights.append((encoder.stages["embedding"].weight, objective.weight))
        for first, again, other in zip(*weights, strict=True):
            assert torch.equal(first, again)
            assert not torch.equal(first, other)

    def test_the_default_is_the_small_convnet_with_128_numbers(self, digits: Dataset) -> None:
        encoder, _ = prepare(digits, LearnOptions())
        assert (encoder.backbone, encoder.dim) == ("convnet-small", 128)
        assert isinstance(encoder, Encoder)
