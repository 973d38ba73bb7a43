import numpy as np
import pytest
from PIL import Image

import likewise as lw
from likewise.data import check_boxes


def boxset(tmp_path, boxes, labels=None, *, colours=None, ignored=None, names=("cat", "dog"), problems=()):
    """Pictures of 400 x 300 pixels with the given boxes, each of a colour of its own unless said otherwise."""
    sources, size = [], (400, 300)
    if ignored is None:
        ignored = [[False] * len(each) for each in boxes]
    for i in range(len(boxes)):
        file = tmp_path / f"{i}.png"
        Image.new("RGB", size, (10 * (i if colours is None else colours[i]), 0, 0)).save(file)
        sources.append(file)
    return lw.BoxSet(
        sources=tuple(sources),
        files=tuple(file.name for file in sources),
        names=names,
        boxes=tuple(np.array(each, float).reshape(-1, 4) for each in boxes),
        labels=tuple(np.zeros(len(each), int) for each in boxes) if labels is None else tuple(map(np.array, labels)),
        ignored=tuple(np.array(each, bool) for each in ignored),
        sizes=np.tile([size[1], size[0]], (len(boxes), 1)),
        problems=problems,
    )


def kinds(health):
    return [problem.kind for problem in health.problems]


def test_what_is_there(tmp_path):
    data = boxset(
        tmp_path,
        [[[0, 0, 40, 30], [50, 50, 100, 80]], [], [[10, 10, 50, 200]]],
        [[0, 1], [], [1]],
        ignored=[[False, False], [], [True]],
    )
    told = []
    health = check_boxes(data, lambda done, total, _: told.append((done, total)))
    assert (health.pictures, health.without, health.boxes, health.ignored, health.crowded) == (3, 1, 2, 1, 2)
    assert health.classes == {"cat": 1, "dog": 1}
    assert health.sides == pytest.approx(np.quantile([0.1, 0.25, 0.5], [0.05, 0.5, 0.95]))
    assert health.problems == ()
    assert told == [(3, 3)]
    assert health.as_dict()["sides"] == list(health.sides)


def test_unreadable_pictures_and_what_reading_told(tmp_path):
    data = boxset(tmp_path, [[[0, 0, 40, 30]], [[0, 0, 40, 30]]], problems=(("x.xml", "A box has an area; got 0"),))
    (tmp_path / "1.png").write_bytes(b"no picture")
    health = check_boxes(data)
    assert (health.pictures, health.boxes) == (1, 1)
    assert kinds(health) == ["unreadable", "annotation", "no boxes"]
    assert health.problems[1].text == "x.xml: A box has an area; got 0"
    assert health.problems[2].text == "1 of 2 classes have no box: dog"


def test_one_thing_marked_twice_but_not_two_things(tmp_path):
    one = [100, 100, 100, 100]
    near = [103, 98, 99, 101]  # 9408 of 10,591 pixels
    half = [150, 100, 100, 100]
    data = boxset(
        tmp_path,
        [[one, half, near], [one, near], [one, near], [one]],
        [[0, 0, 0], [0, 1], [0, 0], [1]],
        ignored=[[False] * 3, [False] * 2, [False, True], [False]],
    )
    health = check_boxes(data)
    assert kinds(health) == ["twice"]
    assert health.problems[0].text == "0.png: 'cat' marked twice, 100 100 100 100 and 103 98 99 101"


def test_twice_is_found_among_more_boxes_than_are_compared_at_once(tmp_path):
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(30)), axis=-1).reshape(-1, 2) * 10.0
    boxes = np.c_[grid, np.full((1200, 2), 9.0)]
    boxes[1100] = boxes[37] + [0.1, 0, 0, 0]
    order = rng.permutation(1200)
    health = check_boxes(boxset(tmp_path, [boxes[order]], names=("cat",)))
    assert kinds(health) == ["twice"]


def test_copies_with_and_without_the_same_boxes(tmp_path):
    box, other = [[0, 0, 40, 30]], [[0, 0, 40, 31]]
    data = boxset(tmp_path, [box, box, other], names=("cat",), colours=[1, 1, 1])
    health = check_boxes(data)
    assert kinds(health) == ["two annotations", "twice"]
    assert health.problems[0].text == "0.png and 2.png are the same file, with other boxes"


def test_tiny_boxes_are_those_that_a_detector_hardly_sees(tmp_path):
    """At 416 a picture of 400 is a little larger, and 8 pixels are 7.7."""
    data = boxset(tmp_path, [[[0, 0, 7.6, 100]], [[0, 0, 7.8, 100]], [[0, 0, 100, 3]]], names=("cat",))
    health = check_boxes(data)
    assert kinds(health) == ["tiny"]
    assert health.problems[0].files == ("0.png", "2.png")
    assert health.problems[0].text.startswith("2 of 3 boxes have a side below 8 pixels at 416")


def test_a_class_of_nearly_all_boxes(tmp_path):
    boxes = [[[20 * i, 0, 15, 15] for i in range(15)]]
    data = boxset(tmp_path, boxes, [[0] * 12 + [1, 1, 2]], names=("cat", "dog", "owl"))
    health = check_boxes(data)
    assert kinds(health) == ["imbalance"]
    assert health.problems[0].text == "'cat' has 12 boxes, the median class 2"
    assert list(health.classes) == ["cat", "dog", "owl"]


def test_no_boxes_at_all(tmp_path):
    health = check_boxes(boxset(tmp_path, [[], []]))
    assert (health.boxes, health.without, health.crowded) == (0, 2, 0)
    assert np.isnan(health.sides).all()
    assert kinds(health) == ["no boxes"]
