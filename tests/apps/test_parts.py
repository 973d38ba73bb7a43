"""Four parts with one use each, whatever the data bring and whatever was trained on before; and found again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likewise.apps.classify import Classifier
from likewise.apps.learn import Learned, LearnOptions, learn
from likewise.apps.parts import Parts, divide, part_of
from likewise.data import Dataset, PairSet, arrays, folder
from likewise.encoder import Encoder, Head, Seen
from likewise.errors import DataError, UsageError
from likewise.matching import Model, load
from likewise.objective import Multiclass, SupCon
from likewise.training import FitOptions, fit

pytestmark = pytest.mark.usefixtures("undrawn")

QUICK = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=2, precision="float32", device="cpu"))


@pytest.fixture(scope="module")
def trained_folder(digit_folder: Path) -> tuple[Model, Path]:
    """A model of a folder of 10 x 30 pictures, divided as `learn` does."""
    parts = divide(folder(digit_folder))
    encoder = Encoder("mlp", 4)
    fit(encoder, parts.train, SupCon(), epochs=1, precision="float32")
    encoder.seen = parts.seen()
    return Model(encoder), digit_folder


def numbered(data: Dataset, parts: list[str] | None = None) -> Dataset:
    """The same with each item's position written into its first two pixels, to follow it through splits."""
    pictures = data.sources.copy()
    pictures[:, 0, 0], pictures[:, 0, 1] = np.arange(len(data)) % 256, np.arange(len(data)) // 256
    return arrays(pictures, data.labels, parts=parts)


def distinct(count: int) -> np.ndarray:
    """(count, 2, 2) pictures, no two alike."""
    return np.arange(count, dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2)


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
        assert parts.own == ("train", "test")
        assert "(the data's own: train, test)" in parts.said()

    def test_what_is_held_out_of_a_large_training_part_is_enough(self) -> None:
        data = arrays(distinct(80_000), np.arange(80_000) % 10, parts=["train"] * 70_000 + ["test"] * 10_000)
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
        with pytest.raises(DataError, match="A split by item fills 4 parts; got 3 items"):
            divide(digits.subset([0, 1, 2]))

    def test_all_of_a_plain_set_is_used(self) -> None:
        whole = arrays(distinct(180), np.repeat(np.arange(30), 6))
        parts = divide(whole, seed=3)
        assert parts.by == "identity"
        assert sorted(f for part in four(parts) for f in part.files) == sorted(whole.files)

    def test_groups_are_kept_apart_without_being_asked(self) -> None:
        data = arrays(distinct(200), np.tile(np.arange(5), 40), groups=np.repeat(np.arange(20), 10))
        parts = divide(data)
        assert parts.by == "group"
        assert not set(parts.train.groups) & set(parts.test.groups)


class TestOwnParts:
    """What the data call train, valid, tune and test is that; what they lack is taken from train."""

    @pytest.mark.parametrize("by", [None, "item", "identity"])
    def test_an_own_test_part_is_kept_whatever_is_asked(self, by: str | None) -> None:
        whole = arrays(distinct(200), np.tile(np.arange(10), 20), parts=["train"] * 100 + ["test"] * 100)
        parts = divide(whole, by)
        assert sorted(parts.test.files) == sorted(whole.part("test").files)
        assert not {f for part in four(parts)[:3] for f in part.files} & set(parts.test.files)

    def test_nearly_all_known_make_a_fixed_list_and_new_ones_a_sample(self) -> None:
        shared = divide(arrays(distinct(300), np.tile(np.arange(30), 10), parts=["train"] * 150 + ["test"] * 150))
        assert shared.by == "item"  # 30 identities, and all of them trained on
        new = divide(arrays(distinct(200), np.repeat(np.arange(40), 5), parts=["train"] * 100 + ["test"] * 100))
        assert new.by == "identity"
        assert not set(new.train.labels) & set(new.tune.labels)

    @pytest.mark.parametrize(("strangers", "by"), [(1, "item"), (2, "identity")])
    def test_one_new_face_among_twenty_is_no_crowd_and_two_are(self, strangers: int, by: str) -> None:
        labels = np.r_[np.repeat(np.arange(20), 10), np.repeat(np.arange(strangers, 20 + strangers), 2)]
        parts = divide(arrays(distinct(240), labels, parts=["train"] * 200 + ["test"] * 40))
        assert parts.by == by

    def test_one_shared_name_makes_no_list_of_strangers(self, crowd: Callable[..., Dataset]) -> None:
        names = [f"p{i}" for i in range(100)] + ["p0"] + [f"q{i}" for i in range(49)]
        parts = divide(crowd(names, 4, parts=["train"] * 100 + ["test"] * 50))
        assert parts.by == "identity"
        assert not set(parts.train.labels) & (set(parts.tune.labels) | set(parts.valid.labels))
        assert len(parts.test) == 200  # it stays what the data say it is

    @pytest.mark.parametrize("own", [("train",), ("train", "valid"), ("train", "tune"), ("train", "valid", "tune")])
    def test_without_a_test_part_it_is_taken_from_train(self, own: tuple[str, ...]) -> None:
        names = np.repeat(own, 200)
        data = arrays(distinct(len(names)), np.arange(len(names)) % 10, parts=names.tolist())
        parts = divide(data)
        assert parts.own == own
        for name in own[1:]:
            assert sorted(parts.named()[name].files) == sorted(data.part(name).files)
        shares = {"valid": 0.1, "tune": 0.15, "test": 0.15}
        for name in shares.keys() - set(own):
            assert len(parts.named()[name]) == pytest.approx(200 * shares[name], abs=5)
            assert set(parts.named()[name].files) <= set(data.part("train").files)
        assert sum(map(len, four(parts))) == len(data)

    def test_parts_without_one_to_train_on_are_refused(self) -> None:
        data = arrays(distinct(40), np.arange(40) % 4, parts=["test"] * 20 + ["valid"] * 20)
        with pytest.raises(DataError, match="one to train on; got valid, test"):
            divide(data)

    def test_pairs_bring_their_own(self) -> None:
        same = np.random.default_rng(0).random(200) < 0.5
        names = np.array(["train"] * 100 + ["test"] * 100)
        pairs = PairSet(arrays(distinct(400), range(400)), np.arange(0, 400, 2), np.arange(1, 400, 2), same, names)
        parts = divide(pairs)
        assert isinstance(parts.test, PairSet)
        assert len(parts.test) == 100
        assert len(parts.train) + len(parts.valid) + len(parts.tune) == 100
        assert parts.by == "identity"

    def test_pairs_whose_own_parts_share_identities_are_not_split_by_them(self) -> None:
        """Item 0 is of one identity with 1 in a training pair, and with 2 in a test pair."""
        first, second = np.r_[0, np.arange(3, 43, 2)], np.r_[1, np.arange(4, 44, 2)]
        first, second = np.r_[first, 0, 43], np.r_[second, 2, 45]
        same = np.r_[True, np.arange(20) % 2 == 0, True, False]
        parts = np.array(["train"] * 21 + ["test"] * 2)
        pairs = PairSet(arrays(distinct(46), range(46)), first, second, same, parts)
        assert divide(pairs, seed=1).by == "item"


class TestBefore:
    """Training that goes on from a model leaves every item the use it had, and trained identities in train."""

    def names(self, part: Dataset) -> set[str]:
        return {part.names[i] for i in part.labels}

    @pytest.mark.parametrize("by", ["identity", "item"])
    def test_another_seed_makes_no_other_parts(self, crowd: Callable[..., Dataset], by: str) -> None:
        data = crowd([f"p{i}" for i in range(80)], 20)
        first = divide(data, by, seed=0)
        again = divide(data, by, seed=1, before=first.seen())
        assert [part.files for part in four(again)] == [part.files for part in four(first)]
        assert four(divide(data, by, seed=1))[3].files != first.test.files

    def test_new_identities_bring_the_whole_near_its_shares(self, crowd: Callable[..., Dataset]) -> None:
        """A model of 60 people, all trained on, goes on with these and 40 more."""
        known, others = [f"p{i}" for i in range(60)], [f"q{i}" for i in range(40)]
        before = Seen.of("train", (data := crowd(known)).contents, data.identity_keys())
        parts = divide(crowd([*known, *others]), before=before)
        assert set(known) <= self.names(parts.train)
        assert [part.identities for part in four(parts)] == [60, 10, 15, 15]

    def test_new_pictures_of_somebody_tested_stay_in_test(self, crowd: Callable[..., Dataset]) -> None:
        data = crowd([f"p{i}" for i in range(40)], 4)
        first = divide(data)
        more = arrays(
            np.concatenate([data.sources, crowd([f"p{i}" for i in range(40)], 2, seed=7).sources]),
            np.r_[data.labels, np.repeat(np.arange(40), 2)],
        )
        parts = divide(more, seed=5, before=first.seen())
        assert set(parts.test.labels) == set(first.test.labels)
        assert len(parts.test) == 6 * first.test.identities

    def test_groups_stay_too(self) -> None:
        data = arrays(distinct(240), np.arange(240) % 6, groups=np.arange(240) // 12)
        first = divide(data)
        again = divide(data, seed=9, before=first.seen())
        assert set(again.train.groups) == set(first.train.groups)
        assert set(again.test.groups) == set(first.test.groups)

    def test_where_nothing_is_left_they_are_divided_as_if_new(self, crowd: Callable[..., Dataset]) -> None:
        data = crowd([f"p{i}" for i in range(30)])
        parts = divide(data, seed=4, before=Seen.of("train", data.contents, data.identity_keys()))
        assert [part.files for part in four(parts)] == [part.files for part in four(divide(data, seed=4))]

    def test_pairs_keep_their_parts(self, digits: Dataset) -> None:
        first, second = np.arange(0, 1796, 2), np.arange(1, 1797, 2)
        items = arrays(digits.sources, range(1797))
        pairs = PairSet(items, first, second, digits.labels[first] == digits.labels[second])
        before = divide(pairs, seed=0)
        again = divide(pairs, seed=1, before=before.seen())
        assert [part.items.files for part in four(again)] == [part.items.files for part in four(before)]
        assert divide(pairs, seed=1).test.items.files != before.test.items.files


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

    def test_items_that_came_since_belong_to_no_part(self, learned: Learned, digits: Dataset) -> None:
        sources = np.concatenate([255 - digits.sources[:7], digits.sources[5:]])
        changed = arrays(sources, np.r_[digits.labels[:7], digits.labels[5:]])
        said: list[str] = []
        found = part_of(learned.model, changed, "test", said.append)
        gone = {picture.tobytes() for picture in digits.sources[:5]}
        assert [p.tobytes() for p in found.sources] == [
            p.tobytes() for p in learned.parts.test.sources if p.tobytes() not in gone
        ]
        assert said == ["7 of 1,799 items are new to the model and belong to no part of its training."]

    @pytest.mark.parametrize("change", ["one more picture", "a copy elsewhere", "another spelling", "other names"])
    def test_the_warning_does_not_hang_on_the_path(
        self, trained_folder: tuple[Model, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        model, root = trained_folder
        if change == "another spelling":
            monkeypatch.chdir(root.parent)
            data = folder(Path("..") / root.parent.name / root.name)
        else:
            copy = Path(shutil.copytree(root, tmp_path / "copy"))
            if change == "one more picture":
                Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(copy / "3" / "more.png")
            if change == "other names":
                for who in sorted(copy.iterdir()):
                    who.rename(copy / f"digit {who.name}")
            data = folder(copy)
        said: list[str] = []
        assert part_of(model, data, None, said.append) is data
        (text,) = said
        assert text.startswith(f"The model was trained on {model.encoder.trained['items']} of {len(data)} items of ")
        assert "--part test" in text

    def test_a_part_is_found_in_a_moved_copy(self, trained_folder: tuple[Model, Path], tmp_path: Path) -> None:
        model, root = trained_folder
        data, moved = folder(root), folder(Path(shutil.copytree(root, tmp_path / "moved")))
        held = {name: part_of(model, moved, name, print).files for name in ("train", "valid", "tune", "test")}
        expected = divide(data).named()
        assert held == {name: part.files for name, part in expected.items()}

    def test_other_data_have_their_own_parts_or_none(self, learned: Learned, digits: Dataset) -> None:
        others = 255 - digits.sources[:100]
        own = arrays(others, digits.labels[:100], parts=["train"] * 60 + ["test"] * 40)
        said: list[str] = []
        assert part_of(learned.model, own, "test", said.append).files == own.files[60:]
        assert part_of(learned.model, own, "Testing", said.append).files == own.files[60:]
        assert part_of(learned.model, own, None, said.append) is own
        assert said == []
        with pytest.raises(UsageError, match="have a part called 'test'"):
            part_of(learned.model, arrays(others, digits.labels[:100]), "test", print)

    def test_a_part_that_training_did_not_have_is_refused(self, digits: Dataset) -> None:
        encoder = Encoder("mlp", 4)
        fit(encoder, digits.subset(np.arange(100)), SupCon(), epochs=1, precision="float32")
        with pytest.raises(UsageError, match=r"the use test .* train 100, valid 0, tune 0, test 0, new 1,697"):
            part_of(Model(encoder), digits, "test", print)

    def test_a_test_part_that_was_trained_on_is_remarked(self, learned: Learned) -> None:
        train = learned.parts.train
        own = arrays(train.sources[:50], train.labels[:50], parts=["train"] * 30 + ["test"] * 20)
        said: list[str] = []
        assert len(part_of(learned.model, own, "test", said.append)) == 20
        (text,) = said
        assert text.startswith("The model was trained on 20 of 20 items ")
        assert "--part" not in text

    def test_strangers_among_whom_some_were_trained_on_are_remarked(self, crowd: Callable[..., Dataset]) -> None:
        encoder = Encoder("mlp", 4)
        fit(encoder, crowd(["ada", "bob", "cem"]), SupCon(), epochs=1, precision="float32")
        said: list[str] = []
        part_of(Model(encoder), crowd(["ada", "dan", "eve", "fay"]), None, said.append)
        assert said == ["The model was trained on 8 of 32 items and 1 of 4 identities of these, which flatters it."]

    def test_of_a_classifier_it_is_items_that_were_trained_on(self, crowd: Callable[..., Dataset]) -> None:
        """What is told apart is no crowd of strangers: labels that were met are all there is."""
        encoder = Encoder("mlp", head=Head("multiclass", ("ada", "bob", "cem")))
        fit(encoder, crowd(["ada", "bob", "cem"]), Multiclass(), epochs=1, precision="float32")
        said: list[str] = []
        part_of(Classifier(encoder), crowd(["ada", "dan", "eve", "fay"]), None, said.append)
        assert said == ["The model was trained on 8 of 32 items of these, which flatters it."]
        part_of(Classifier(encoder), crowd(["dan", "eve"]), None, said.append)
        assert len(said) == 1

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
