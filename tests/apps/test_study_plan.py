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
