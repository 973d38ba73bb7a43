import numpy as np
import pytest

from likewise.data import BoxSet
from likewise.errors import DataError, UsageError


def boxset(labels, /, *, groups=None, pictures=None, **columns):
    """Pictures of 40 x 60 pixels that differ, each with the given classes, of which there are three."""
    count = len(labels)
    if pictures is None:
        pictures = np.arange(count, dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2)
    values = {
        "sources": pictures,
        "files": tuple(f"{i}.png" for i in range(count)),
        "names": ("cat", "dog", "owl"),
        "boxes": tuple(np.array([[j, 2.0 * j, 5, 4] for j in range(len(each))]) for each in labels),
        "labels": tuple(np.array(each, int) for each in labels),
        "ignored": tuple(np.zeros(len(each), bool) for each in labels),
        "sizes": np.tile([40, 60], (count, 1)),
        "groups": None if groups is None else np.array(groups),
        "group_names": () if groups is None else tuple(map(str, range(max(groups) + 1))),
    }
    return BoxSet(**(values | columns))


def test_columns_of_all_boxes_say_in_which_picture_each_is():
    data = boxset([[0, 1], [], [2]], ignored=([False, True], [], [False]))
    assert len(data) == 3
    np.testing.assert_array_equal(data.every_box, [[0, 0, 5, 4], [1, 2, 5, 4], [0, 0, 5, 4]])
    np.testing.assert_array_equal(data.every_label, [0, 1, 2])
    np.testing.assert_array_equal(data.every_ignored, [False, True, False])
    np.testing.assert_array_equal(data.picture_of, [0, 0, 2])
    np.testing.assert_array_equal(data.counts(), [1, 0, 1])  # an ignored box does not count
    assert repr(data) == "<BoxSet in memory: 3 pictures, 2 boxes of 3 classes>"


def test_subset_takes_pictures_with_all_that_is_theirs():
    data = boxset([[0, 1], [], [2]], groups=[1, 0, 1], problems=(("x.png", "gone"),))
    assert len(data.contents) == 3
    part = data.subset([2, 0], "some")
    assert part.files == ("2.png", "0.png")
    np.testing.assert_array_equal(part.sources, data.sources[[2, 0]])
    np.testing.assert_array_equal(part.every_label, [2, 0, 1])
    np.testing.assert_array_equal(part.groups, [1, 1])
    np.testing.assert_array_equal(part.contents, data.contents[[2, 0]])
    assert part.origin == "some"
    assert part.problems == ()


def test_contents_are_those_of_the_pictures(tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    data = boxset([[0], [1], []], pictures=(tmp_path / "a", b"same", b"other"))
    assert data.contents[0] == data.contents[1] != data.contents[2]
    np.testing.assert_array_equal(data.identity_keys(), data.contents)


def test_a_split_deals_rare_classes_fairly_and_every_picture_once():
    labels = [[0, 0]] * 60 + [[0, 2]] * 20 + [[]] * 20
    parts = boxset(labels).split(0.5, 0.3, 0.2, seed=4)
    assert sorted(file for part in parts for file in part.files) == sorted(f"{i}.png" for i in range(100))
    assert [int(part.counts()[2]) for part in parts] == [10, 6, 4]
    assert [sum(not len(each) for each in part.labels) for part in parts] == [10, 6, 4]
    assert parts[1].origin == "in memory, part 2 of 3 (30%) by item, seed 4"
    assert [part.files for part in boxset(labels).split(0.5, 0.3, 0.2, seed=4)] == [part.files for part in parts]
    assert [part.files for part in boxset(labels).split(0.5, 0.3, 0.2, seed=5)] != [part.files for part in parts]


def test_copies_of_a_picture_stay_together_whatever_is_marked_in_them():
    pictures = np.repeat(np.arange(20, dtype=np.uint32), 2).view(np.uint8).reshape(-1, 2, 2)
    labels = [[i % 3] for i in range(40)]
    for seed in range(5):
        first, second = boxset(labels, pictures=pictures).split(0.5, 0.5, seed=seed)
        assert not set(first.contents.tolist()) & set(second.contents.tolist())


def test_a_split_by_group_parts_no_group():
    data = boxset([[0]] * 30, groups=[i // 5 for i in range(30)])
    first, second = data.split(0.5, 0.5, by="group", seed=1)
    assert not set(first.groups.tolist()) & set(second.groups.tolist())
    assert len(first) == len(second) == 15
    with pytest.raises(DataError, match="needs groups"):
        boxset([[0]] * 30).split(0.5, 0.5, by="group")


def test_pictures_stay_in_the_part_they_had():
    kept = np.array([1, 0] * 5 + [-1] * 10)
    parts = boxset([[0]] * 20).split(0.5, 0.5, seed=0, kept=kept)
    assert {f"{i}.png" for i in range(0, 10, 2)} <= set(parts[1].files)
    assert {f"{i}.png" for i in range(1, 10, 2)} <= set(parts[0].files)


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"boxes": ([[0, 0, 5, 0]], [])}, "has an area"),
        ({"boxes": ([[0, 0, -5, 3]], [])}, "has an area"),
        ({"boxes": ([[58, 0, 5, 3]], [])}, r"lies in its picture; got 58 0 5 3 of 60 x 40 in 0\.png"),
        ({"boxes": ([[0, -1, 5, 3]], [])}, "lies in its picture"),
        ({"boxes": ([[0, np.nan, 5, 3]], [])}, "lies in its picture"),
        ({"boxes": ([[0, 0, np.inf, 3]], [])}, "lies in its picture"),
        ({"labels": ([3], [])}, "Every label has a name"),
        ({"labels": ([-1], [])}, "Every label has a name"),
        ({"labels": ([0, 1], [])}, r"Each box has a label, and is ignored or not; got 1 and 2 and 1 .* 0\.png"),
        ({"ignored": ([], [])}, "Each box has a label, and is ignored or not"),
        ({"sizes": [[40, 60]]}, "Each picture has"),
        ({"files": ("0.png",)}, "Each picture has"),
        ({"groups": [0]}, "Each picture has"),
    ],
)
def test_what_cannot_be_is_refused(columns, rule):
    with pytest.raises(DataError, match=rule):
        boxset([[0], []], **columns)


def test_other_splits_are_refused():
    with pytest.raises(UsageError, match="by item or by group"):
        boxset([[0]] * 4).split(0.5, 0.5, by="identity")
    with pytest.raises(UsageError, match="Shares"):
        boxset([[0]] * 4).split(0.9, 0.5)
    with pytest.raises(DataError, match="fills 2 parts"):
        boxset([[0]]).split(0.5, 0.5)
