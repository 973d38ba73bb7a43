"""What training a detector decides before it begins, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_scenes import SIDE, scenes

import likewise as lw
from likewise.apps.detect import DetectOptions, Detector, LearnedBoxes, learn
from likewise.apps.detect.learn import _divided, _stride, _untaught
from likewise.data import BoxSet
from likewise.encoder import Pictures, Seen
from likewise.errors import DataError, UsageError
from likewise.training import FitOptions


def of_size(side: float) -> BoxSet:
    """Pictures of 320 pixels with a box of `side` each."""
    data = scenes(4, height=320, width=320)
    one = np.array([[10.0, 10, side, side]])
    return replace(data, boxes=(one,) * 4, labels=(np.zeros(1, int),) * 4, ignored=(np.zeros(1, bool),) * 4)


@pytest.mark.parametrize(("side", "stride"), [(12, 8), (31, 8), (33, 16), (63, 16), (65, 32), (300, 32)])
def test_the_usual_box_is_at_least_two_cells_wide(side: float, stride: int) -> None:
    assert _stride(of_size(side), Pictures(1, 320, 320, "pad")) == stride


def test_ignored_boxes_do_not_choose_the_cells() -> None:
    small = of_size(12)
    boxes = tuple(np.concatenate([each, np.full((3, 4), 150.0)]) for each in small.boxes)
    both = replace(small, boxes=boxes, labels=(np.zeros(4, int),) * 4, ignored=(np.arange(4) > 0,) * 4)
    assert _stride(both, Pictures(1, 320, 320, "pad")) == 8


def test_boxes_to_be_measured_on_do_not_choose_the_cells(tmp_path: Path, watcher) -> None:
    """Of 60 pictures, 20 to learn from show small things, and all the others what is as large as the picture."""
    data = scenes(60)
    large = tuple(np.array([[0.0, 0, 64, 64]]) if i >= 20 else each[:1] for i, each in enumerate(data.boxes))
    parts = np.array(["train"] * 20 + ["valid"] * 10 + ["tune"] * 10 + ["test"] * 20)
    data = replace(
        data, boxes=large, labels=tuple(each[:1] for each in data.labels), ignored=(np.zeros(1, bool),) * 60,
        parts=parts,
    )  # fmt: skip
    learned = learn(data, tmp_path / "m", DetectOptions(size=SIDE, fit=FitOptions(epochs=1)), watcher=watcher)
    assert learned.model.head.stride == 8
    assert np.bincount(learned.model.encoder.seen.parts).tolist() == [20, 10, 10, 20]


@pytest.mark.parametrize("own", [("train", "test"), ("train", "valid", "test"), ("train", "valid")])
def test_the_data_s_own_parts_are_used(own: tuple[str, ...]) -> None:
    data = replace(scenes(120), parts=np.array(own)[np.arange(120) % len(own)])
    parts = _divided(data, "item", 0, Seen())
    assert list(parts) == ["train", "valid", "tune", "test"]
    for name in own[1:]:
        assert set(parts[name].files) == set(data.part(name).files)
    taken = [name for name in parts if name not in own[1:]]
    assert sorted(file for name in taken for file in parts[name].files) == sorted(data.part("train").files)
    with pytest.raises(DataError, match="Call one of them train"):
        _divided(data.part(own[1]), "item", 0, Seen())


def test_a_test_part_that_was_trained_on_is_told(tmp_path: Path, watcher) -> None:
    data = scenes(40)
    twice = data.subset([*range(40), *range(4)])
    twice = replace(twice, parts=np.array(["train"] * 30 + ["test"] * 14))
    options = DetectOptions(size=SIDE, stride=8, fit=FitOptions(epochs=1, precision="float32"))
    learned = learn(twice, tmp_path / "m", options, watcher=watcher)
    assert any("4 of 14 pictures were trained on" in note for note in learned.notes)


def test_large_pictures_are_measured_as_the_network_sees_them() -> None:
    assert _stride(of_size(130), Pictures(1, 160, 160, "pad")) == 32  # 65 pixels of them
    assert _stride(of_size(120), Pictures(1, 160, 160, "pad")) == 16


def test_pictures_that_a_model_has_met_keep_their_use() -> None:
    data = scenes(80)
    first = _divided(data, "item", 0, Seen())
    seen = Seen().joined(*(Seen.of(name, part.contents, part.identity_keys()) for name, part in first.items()))
    again = _divided(data, "item", 5, seen)
    for name, part in first.items():
        assert set(part.files) == set(again[name].files)
    other = _divided(data, "item", 5, Seen())
    assert set(other["test"].files) != set(first["test"].files)


def test_the_model_remembers_its_parts(detector: LearnedBoxes) -> None:
    seen = Detector.load(detector.folder).encoder.seen
    assert np.bincount(seen.parts).tolist() == [156, 25, 40, 39]


def test_rare_classes_are_told() -> None:
    assert _untaught(scenes(60)) == []
    assert "ring (" in _untaught(scenes(2))[0]


@pytest.mark.parametrize(
    "options",
    [
        DetectOptions(size=100), DetectOptions(size=32), DetectOptions(size=4096), DetectOptions(per_cell=0),
        DetectOptions(coord=0), DetectOptions(stride=7), DetectOptions(precision=1.0), DetectOptions(frozen=True),
        DetectOptions(start="efficientnet-lite0", backbone="convnet-small"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_work_is_said_before_anything_is_read(options: DetectOptions, tmp_path: Path, watcher) -> None:
    with pytest.raises(UsageError):
        learn(scenes(4), tmp_path / "m", options, watcher=watcher)
    assert not (tmp_path / "m").exists()


def test_nothing_to_learn(tmp_path: Path, watcher) -> None:
    data = scenes(8)
    nothing = replace(data, ignored=tuple(np.ones(len(each), bool) for each in data.labels))
    with pytest.raises(DataError, match="learns from boxes"):
        learn(nothing, tmp_path / "m", DetectOptions(size=SIDE), watcher=watcher)


def test_groups_are_kept_apart_and_training_may_go_on(tmp_path: Path, watcher) -> None:
    data = replace(scenes(60), groups=np.arange(60) % 12, group_names=tuple(map(str, range(12))))
    options = DetectOptions(size=SIDE, stride=8, fit=FitOptions(epochs=1, precision="float32"))
    learned = learn(data, tmp_path / "m", options, watcher=watcher)
    assert learned.split == "group"
    more = learn(data, tmp_path / "n", replace(options, start=str(tmp_path / "m")), watcher=watcher)
    assert isinstance(lw.load(more.folder), Detector)
    assert more.model.encoder.trained["before"]["items"] == learned.model.encoder.trained["items"]


def test_the_card_says_that_figures_of_the_threshold_flatter(detector: LearnedBoxes) -> None:
    assert "both figures flatter it" in (detector.folder / "README.md").read_text()
