"""Which items are trained on, choose and judge; and items in memory are those an encoder would read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from study_drawn import grouped, some_digits

from likewise.apps.parts import divide
from likewise.apps.study.plan import FEW, FOLDS, InMemory, Plan
from likewise.data import Dataset, arrays, folder
from likewise.encoder import Encoder, Wanted
from likewise.errors import DataError, UsageError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return some_digits()


class TestOneSplit:
    def test_parts_are_those_of_training_and_the_test_part_is_left_alone(self, digits: Dataset) -> None:
        plan, parts = Plan.of(digits, "item", None, 3), divide(digits, "item", 3)
        (fold,) = plan.folds
        for positions, part in ((fold.train, parts.train), (fold.valid, parts.valid), (fold.judged, parts.tune)):
            assert set(plan.data.subset(positions).files) == set(part.files)
        assert not set(plan.data.files) & set(parts.test.files)
        assert len(plan.data) + len(parts.test) == len(digits)

    def test_a_digest_tells_data_apart_and_not_how_they_are_split(self, digits: Dataset) -> None:
        one, other = Plan.of(digits, "item", None, 0), Plan.of(digits, "item", 5, 1)
        assert one.digest == other.digest
        assert one.options() != other.options()
        assert Plan.of(digits.subset(np.arange(400)), "item", None, 0).digest != one.digest
        assert Plan.of(grouped(digits, 40), "item", None, 0).digest != one.digest

    def test_runs_of_other_parts_or_targets_are_of_another_study(self, digits: Dataset) -> None:
        """Which part an item is of, and what a column says of it, as --task-column has it."""
        half = np.where(np.arange(len(digits)) % 2, "train", "valid")
        half[::7], half[::5] = "tune", "test"
        other = half.copy()
        other[[1, 2]] = half[[2, 1]]
        values = np.arange(len(digits), dtype=np.float32)[:, None] % 3
        sets = [
            replace(digits, parts=half), replace(digits, parts=other),
            replace(digits, targets=values, target_names=("speaker",)),
            replace(digits, targets=values + 1, target_names=("speaker",)),
            replace(digits, targets=values, target_names=("room",)),
        ]  # fmt: skip
        assert len({Plan.of(data, None, 1, 0).digest for data in sets}) == len(sets)

    @pytest.mark.parametrize("folds", [1, 4])
    def test_and_so_are_those_of_other_splits_of_the_same_data(self, digits: Dataset, folds: int) -> None:
        one, again, other = (Plan.of(digits, "item", folds, seed) for seed in (0, 0, 1))
        assert one.options() == again.options()
        assert one.options() != other.options()
        kept = np.arange(1, len(one.data))  # what could not be read does not make another study of it
        assert one.on(kept, one.data.subset(kept)).options() == one.options()


class TestFolds:
    @pytest.mark.parametrize("groups", [6, 13, FEW - 1])
    def test_few_groups_are_each_judged_once_by_a_network_that_has_not_seen_them(
        self, digits: Dataset, groups: int
    ) -> None:
        data = grouped(digits, groups)
        plan = Plan.of(data, "group", None, 0)
        assert len(plan.folds) == FOLDS
        assert np.array_equal(np.sort(np.concatenate([fold.judged for fold in plan.folds])), np.arange(len(plan.data)))
        of = plan.data.groups
        assert of is not None
        for fold in plan.folds:
            assert not set(of[fold.train]) & set(of[fold.judged])
            assert len(fold.train) + len(fold.judged) == len(plan.data)
            assert not len(fold.valid)
        test = divide(data, "group", 0).test
        assert not set(plan.data.files) & set(test.files)

    def test_many_groups_have_one_split(self, digits: Dataset) -> None:
        assert len(Plan.of(grouped(digits, 60), "group", None, 0).folds) == 1
        assert len(Plan.of(grouped(digits, 60), "group", 3, 0).folds) == 3
        assert len(Plan.of(grouped(digits, 6), "group", 1, 0).folds) == 1

    def test_few_identities_too(self) -> None:
        rng = np.random.default_rng(0)
        people = arrays(rng.integers(0, 255, (200, 8, 8), dtype=np.uint8), np.repeat(np.arange(20), 10))
        plan = Plan.of(people, None, None, 0)
        assert (plan.by, len(plan.folds)) == ("identity", FOLDS)
        for fold in plan.folds:
            assert not set(plan.data.labels[fold.train]) & set(plan.data.labels[fold.judged])
        assert np.array_equal(plan.clusters(plan.judged), plan.data.labels)  # people are the sample

    def test_items_where_asked(self, digits: Dataset) -> None:
        plan = Plan.of(digits, "item", 4, 0)
        assert [len(fold.judged) for fold in plan.folds] == pytest.approx([len(plan.data) / 4] * 4, rel=0.1)
        assert "4 folds by item" in plan.said()

    def test_what_cannot_be(self, digits: Dataset) -> None:
        with pytest.raises(UsageError, match="1 fold or more"):
            Plan.of(digits, "item", 0, 0)
        with pytest.raises(UsageError, match="as many folds as groups: 5"):
            Plan.of(grouped(digits, 6), "group", 8, 0)
        with pytest.raises(DataError, match="at least 4 groups"):
            Plan.of(grouped(digits, 3), "group", None, 0)


class TestInMemory:
    def test_an_encoder_gives_the_same_for_them_as_for_the_files(self, digit_folder: Path, tmp_path: Path) -> None:
        data = folder(digit_folder)
        torn = tmp_path / "torn.png"
        torn.write_bytes(b"no picture")
        sources = (torn, *data.sources[1:])
        held = InMemory.of(replace(data, sources=sources), Wanted(size=6).suiting(data.sources))
        assert [file for file, _ in held.skipped] == [data.files[0]]
        assert held.kept.tolist() == list(range(1, len(data)))
        how = Wanted(size=6).suiting(data.sources)
        encoder = Encoder("mlp", 8, preprocessing=how).eval()
        assert np.array_equal(encoder.encode_all(held.data.sources), encoder.encode_all(data.sources[1:]))
        made = Encoder("mlp", 8, **held.asked).suiting(held.data.sources)
        assert made.layout == how.layout

    def test_sounds(self) -> None:
        rng = np.random.default_rng(0)
        sounds = [rng.integers(-9000, 9000, 7000 + 300 * i).astype(np.int16) for i in range(8)]
        data = replace(arrays(np.zeros((8, 4, 4)), np.arange(8) % 2), sources=tuple(sounds))
        how = Wanted(rate=16_000).suiting(data.sources)
        held = InMemory.of(data, how)
        made = Encoder("mlp", 8, **held.asked).suiting(held.data.sources)
        assert made.layout == how.layout == held.data.sources[0].shape

    def test_places_move_with_what_could_be_read(self, digits: Dataset) -> None:
        plan = Plan.of(digits, "item", None, 0)
        kept = np.setdiff1d(np.arange(len(plan.data)), plan.folds[0].judged[:3])
        moved = plan.on(kept, plan.data.subset(kept))
        assert moved.data.subset(moved.folds[0].judged).files == plan.data.subset(plan.folds[0].judged[3:]).files
