"""learn: four parts with one use each, a model folder at the end, and nothing at all where it is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likewise.apps.learn import Learned, LearnOptions, Parts, divide, learn, part_of, prepare
from likewise.data import Dataset, PairSet, arrays, folder
from likewise.encoder import Encoder, Preprocessing
from likewise.errors import DataError, LikewiseError, ModelError, UsageError
from likewise.evaluation import PairReport, evaluate
from likewise.matching import load
from likewise.training import FitOptions, Step, fit

pytestmark = pytest.mark.usefixtures("undrawn")

QUICK = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=2, precision="float32", device="cpu"))


def numbered(data: Dataset, parts: list[str] | None = None) -> Dataset:
    """The same with each item's position written into its first two pixels, to follow it through splits."""
    pictures = data.sources.copy()
    pictures[:, 0, 0], pictures[:, 0, 1] = np.arange(len(data)) % 256, np.arange(len(data)) // 256
    return arrays(pictures, data.labels, parts=parts)


def positions(part: Dataset) -> set[int]:
    return {int(p[0, 0]) + 256 * int(p[0, 1]) for p in part.sources}


def four(parts: Parts) -> tuple[Dataset, ...]:
    return parts.train, parts.valid, parts.tune, parts.test


class TestDivide:
    def test_ten_classes_are_split_by_item_and_no_item_is_in_two_parts(self, digits: Dataset) -> None:
        parts = divide(numbered(digits))
        held = [positions(part) for part in four(parts)]
        assert parts.by == "item"
        assert sum(map(len, held)) == len(set().union(*held)) == 1797
        assert [round(len(h) / 1797, 2) for h in held] == [0.6, 0.1, 0.15, 0.15]
        for part in four(parts):
            assert part.identities == 10

    def test_from_twenty_identities_on_they_are_kept_apart(self, digits: Dataset) -> None:
        for count, by in ((19, "item"), (20, "identity")):
            data = arrays(digits.sources[: count * 30], np.repeat(np.arange(count), 30))
            parts = divide(data)
            assert parts.by == by
            identities = [set(part.labels.tolist()) for part in four(parts)]
            disjoint = sum(map(len, identities)) == len(set().union(*identities))
            assert disjoint == (by == "identity")

    def test_a_split_that_is_asked_for_is_made(self, digits: Dataset) -> None:
        data = arrays(digits.sources[:600], np.repeat(np.arange(20), 30), groups=np.tile(np.arange(12), 50))
        for by in ("item", "identity", "group"):
            assert divide(data, by).by == by
        groups = [set(part.groups.tolist()) for part in four(divide(data, "group"))]
        assert sum(map(len, groups)) == len(set().union(*groups))

    def test_the_datas_own_test_part_is_respected(self, digits: Dataset) -> None:
        data = numbered(digits, ["train"] * 1200 + ["test"] * 597)
        parts = divide(data)
        assert positions(parts.test) == set(range(1200, 1797))
        held = [positions(part) for part in four(parts)[:3]]
        assert set().union(*held) == set(range(1200))
        assert sum(map(len, held)) == 1200
        assert len(held[1]) == pytest.approx(120, abs=10)
        assert parts.own_test
        assert "the test part is the data's own" in parts.said()

    def test_what_is_held_out_of_a_large_training_part_is_enough(self) -> None:
        data = arrays(
            np.zeros((80_000, 1, 1), np.uint8), np.arange(80_000) % 10, parts=["train"] * 70_000 + ["test"] * 10_000
        )
        parts = divide(data)
        assert [len(part) for part in four(parts)] == [60_000, 5_000, 5_000, 10_000]

    @pytest.mark.parametrize("own", [("valid",), ("tune",), ("valid", "tune")])
    def test_the_datas_other_parts_are_respected_too(self, digits: Dataset, own: tuple[str, ...]) -> None:
        names = ["train"] * 1000 + ["test"] * 400 + ([own[0]] * 200 + [own[-1]] * 197)
        data = numbered(digits, names)
        parts = divide(data)
        for name in own:
            assert positions(getattr(parts, name)) == {i for i, part in enumerate(names) if part == name}
        held = [positions(part) for part in four(parts)]
        assert sum(map(len, held)) == len(set().union(*held)) == 1797

    def test_the_seed_decides(self, digits: Dataset) -> None:
        first, again, other = (divide(numbered(digits), seed=seed) for seed in (0, 0, 1))
        assert positions(first.test) == positions(again.test) != positions(other.test)

    def test_it_is_said_in_one_line(self, digits: Dataset) -> None:
        said = divide(digits).said()
        assert said.startswith("split by item: train 1,0")
        assert "\n" not in said

    def test_too_little_for_four_parts_is_refused(self, digits: Dataset) -> None:
        with pytest.raises(DataError, match="Every part of a split"):
            divide(digits.subset([0, 1, 2]))


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

    def test_no_training_state_is_left_beside_the_model(self, learned: Learned) -> None:
        assert [path.name for path in learned.folder.parent.iterdir()] == ["digits.model"]

    def test_the_answer_is_plain_json(self, learned: Learned) -> None:
        values = learned.as_dict()
        assert json.loads(json.dumps(values)) == values
        assert {"model", "epochs", "train_seconds", "images_per_second", "loss", "split", "notes"} <= set(values)
        assert values["epochs"] == 6
        assert values["loss"] == learned.history.epochs[-1].loss
        assert any("Calibrated for a false match rate of" in note for note in values["notes"])

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
        assert learned.report.eer < 0.4
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


class TestPartOf:
    """Parts by the names they had in training, for measuring a model on what it never saw."""

    @pytest.mark.parametrize("name", ["train", "valid", "tune", "test"])
    def test_parts_set_aside_in_training_are_found_again(self, learned: Learned, digits: Dataset, name: str) -> None:
        said: list[str] = []
        found = part_of(load(learned.folder), digits, name, said.append)
        assert found.files == getattr(learned.parts, name).files
        assert said == []

    def test_measuring_on_everything_a_model_was_trained_on_is_remarked(
        self, learned: Learned, digits: Dataset
    ) -> None:
        said: list[str] = []
        assert part_of(learned.model, digits, None, said.append) is digits
        (text,) = said
        assert "--part test" in text

    def test_the_same_items_from_another_place_are_the_same(self, learned: Learned, digits: Dataset) -> None:
        moved = replace(digits, origin="elsewhere")
        assert part_of(learned.model, moved, "test", print).files == learned.parts.test.files

    def test_items_that_came_since_would_mix_the_parts(self, learned: Learned, digits: Dataset) -> None:
        changed = replace(digits.subset(np.arange(1796)), origin="digits")
        with pytest.raises(UsageError, match="items there were then"):
            part_of(learned.model, changed, "test", print)
        said: list[str] = []
        assert part_of(learned.model, changed, None, said.append) is changed
        assert len(said) == 1

    def test_other_data_have_their_own_parts_or_none(self, learned: Learned, digits: Dataset) -> None:
        own = arrays(digits.sources[:100], digits.labels[:100], parts=["train"] * 60 + ["test"] * 40)
        said: list[str] = []
        assert part_of(learned.model, own, "test", said.append).files == own.files[60:]
        assert part_of(learned.model, own, None, said.append) is own
        assert said == []
        with pytest.raises(UsageError, match="have a part called 'test'"):
            part_of(learned.model, arrays(digits.sources[:100], digits.labels[:100]), "test", print)

    def test_a_test_part_of_the_datas_own_stays_what_it_is(
        self, digits: Dataset, tmp_path: Path, watcher: object
    ) -> None:
        few = digits.subset(np.arange(0, 1797, 4))
        data = arrays(few.sources, few.labels, parts=["train"] * 300 + ["test"] * 150)
        model = learn(data, tmp_path / "m", QUICK, watcher=watcher).model
        assert part_of(model, data, "test", print).files == data.files[300:]
        more = data.subset(np.r_[5:450])
        assert part_of(model, more, "test", print).files == data.files[300:]

    def test_pairs_have_parts_too(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        first, second = np.arange(0, 1796, 2), np.arange(1, 1797, 2)
        pairs = PairSet(digits, first, second, digits.labels[first] == digits.labels[second], origin="pairs of digits")
        learned = learn(pairs, tmp_path / "m", replace(QUICK, loss="contrastive"), watcher=watcher)
        found = part_of(load(tmp_path / "m"), pairs, "test", print)
        assert found.items.files == learned.parts.test.items.files
        assert found.same.tolist() == learned.parts.test.same.tolist()


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
    "unknown augmentation": (replace(QUICK, fit=replace(QUICK.fit, augment="nosuch")), "An augmentation is one of"),
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

    @pytest.mark.parametrize("change", [{"dim": 32}, {"backbone": "convnet"}, {"size": 12}])
    def test_what_the_model_decides_cannot_be_asked_for(
        self, learned: Learned, digits: Dataset, tmp_path: Path, watcher: object, change: dict[str, object]
    ) -> None:
        with pytest.raises(UsageError, match="keeps its backbone, dimension and size"):
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

    def test_ctrl_c_in_the_first_epoch_still_saves(self, digits: Dataset, tmp_path: Path, watcher: object) -> None:
        def interrupt(_: Step) -> None:
            raise KeyboardInterrupt

        watcher.step = interrupt
        learned = learn(digits.subset(np.arange(0, 1797, 4)), tmp_path / "m", QUICK, watcher=watcher)
        assert learned.as_dict()["epochs"] == 0
        assert learned.as_dict()["loss"] is None
        assert load(tmp_path / "m").fingerprint == learned.model.fingerprint


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
            encoder.build(Preprocessing(1, 8, 8))
            weights.append((encoder.stages["embedding"].weight, objective.weight))
        for first, again, other in zip(*weights, strict=True):
            assert torch.equal(first, again)
            assert not torch.equal(first, other)

    def test_the_default_is_the_small_convnet_with_128_numbers(self, digits: Dataset) -> None:
        encoder, _ = prepare(digits, LearnOptions())
        assert (encoder.backbone, encoder.dim) == ("convnet-small", 128)
        assert isinstance(encoder, Encoder)
