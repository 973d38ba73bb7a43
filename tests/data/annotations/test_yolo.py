import numpy as np
import pytest

import likewise as lw
from likewise.errors import DataError


def one_reason(data, file):
    found = [reason for name, reason in data.problems if name == file]
    assert len(found) == 1, data.problems
    assert "\n" not in found[0]
    return found[0]


def test_shares_of_the_picture_drawn_by_hand(tmp_path, picture, write):
    picture("images/a.png", 60, 40)
    picture("images/b.png", 100, 10)
    write("labels/a.txt", "1 0.5 0.5 1 1\n0 0.25 0.75 0.1 0.2\n")
    write("labels/b.txt", "0 0.25 0.5 0.5 0.2\r\n\r\n")
    write("classes.txt", "cat\ndog\nowl\n")
    data = lw.open_boxes(tmp_path)
    assert data.names == ("cat", "dog", "owl")
    np.testing.assert_allclose(data.boxes[0], [[0, 0, 60, 40], [12, 26, 6, 8]], atol=1e-12)
    np.testing.assert_allclose(data.boxes[1], [[0, 4, 50, 2]], atol=1e-12)
    np.testing.assert_array_equal(data.labels[0], [1, 0])
    assert data.problems == ()


def test_the_bounds_of_an_outline_are_its_box(tmp_path, picture, write):
    """A triangle and a four-sided one, as Ultralytics has them to segment, beside a box."""
    picture("images/a.png", 100, 50)
    write("labels/a.txt", "0 0.2 0.4 0.6 0.4 0.4 0.8\n1 0.9 0.1 0.7 0.3 0.8 0.5 0.95 0.2\n0 0.5 0.5 0.2 0.2\n")
    write("classes.txt", "cat\ndog\n")
    data = lw.open_boxes(tmp_path)
    np.testing.assert_allclose(data.boxes[0], [[20, 20, 40, 20], [70, 5, 25, 20], [40, 20, 20, 10]], atol=1e-9)
    np.testing.assert_array_equal(data.labels[0], [0, 1, 0])


def test_shares_are_of_the_picture_as_it_is_shown(tmp_path, picture, write):
    picture("a.png", 60, 40, orientation=6)
    write("a.txt", "0 0.5 0.5 0.5 0.5")
    data = lw.open_boxes(tmp_path)
    np.testing.assert_array_equal(data.sizes, [[60, 40]])
    np.testing.assert_array_equal(data.boxes[0], [[10, 15, 20, 30]])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("data.yaml", "path: ../x\ntrain: images\nnames: ['cat', \"dog\"]  # two\n"),
        ("data.yaml", "names:\n  0: cat\n  1: dog\nnc: 2\n"),
        ("data.yml", "names:\n- cat\n- dog\n"),
        ("classes.txt", "cat\n dog \n\n"),
        ("labels/classes.txt", "\ufeffcat\ndog"),
        ("obj.names", "cat\r\ndog\r\n"),
    ],
)
def test_names_of_classes_wherever_they_stand(tmp_path, picture, write, file, content):
    picture("images/a.png")
    write("labels/a.txt", "1 0.5 0.5 1 1")
    write(file, content)
    data = lw.open_boxes(tmp_path)
    assert data.names == ("cat", "dog")
    assert data.labels[0].tolist() == [1]


def test_data_yaml_is_a_way_to_say_where(tmp_path, picture, write):
    picture("images/a.png")
    write("labels/a.txt", "0 0.5 0.5 1 1")
    assert lw.open_boxes(write("data.yaml", "names: [cat]")).names == ("cat",)


def test_without_names_classes_are_called_by_their_numbers(tmp_path, picture, write):
    picture("a.png")
    write("a.txt", "2 0.5 0.5 1 1")
    assert lw.open_boxes(tmp_path).names == ("0", "1", "2")


def test_a_name_that_stands_twice_is_one_class(tmp_path, picture, write):
    picture("a.png")
    write("a.txt", "2 0.5 0.5 1 1\n1 0.5 0.5 1 1")
    write("classes.txt", "cat\ndog\ncat")
    data = lw.open_boxes(tmp_path)
    assert data.names == ("cat", "dog")
    assert data.labels[0].tolist() == [0, 1]


@pytest.mark.parametrize("layout", ["{kind}/{part}/{name}", "{part}/{kind}/{name}", "{kind}/deep/{part}/{name}"])
def test_parts_in_folders_of_their_own(tmp_path, picture, write, layout):
    for i, part in enumerate(("train", "val")):
        picture(layout.format(kind="images", part=part, name="a.jpg"))
        write(layout.format(kind="labels", part=part, name="a.txt"), f"0 0.5 0.5 {0.5 + i / 4} 1")
    data = lw.open_boxes(tmp_path)
    assert len(data) == 2
    width = dict(zip(data.files, (each[0, 2] for each in data.boxes), strict=True))
    assert width[layout.format(kind="images", part="val", name="a.jpg")] == pytest.approx(45)
    assert data.problems == ()


def test_an_empty_file_is_a_picture_with_nothing_in_it_none_is_told(tmp_path, picture, write):
    for name in "abc":
        picture(f"images/{name}.png")
    write("labels/a.txt", "0 0.5 0.5 1 1")
    write("labels/b.txt", "")
    write("labels/gone.txt", "0 0.5 0.5 1 1")
    data = lw.open_boxes(tmp_path)
    assert data.files == ("images/a.png", "images/b.png")
    assert data.boxes[1].shape == (0, 4)
    assert "A picture has an annotation file" in one_reason(data, "images/c.png")
    assert "An annotation has a picture" in one_reason(data, "labels/gone.txt")


def test_other_texts_beside_pictures_are_not_read(tmp_path, picture, write):
    picture("a.png")
    write("a.txt", "0 0.5 0.5 1 1")
    write("readme.txt", "all about it")
    write("train.txt", "a.png")
    assert lw.open_boxes(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("0 0.5 0.5 1", "class x y width height; got '0 0.5 0.5 1' in line 2: picture left out"),
        ("0 0.5 0.5 1 1 0.9", "class x y width height"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.1", "class x y width height"),
        ("0 0.1 0.1 0.2 0.1 0.2 nan", "Corners of an outline"),
        ("cat 0.5 0.5 1 1", "class x y width height"),
        ("-1 0.5 0.5 1 1", "class x y width height"),
        ("1.5 0.5 0.5 1 1", "class x y width height"),
        ("3 0.5 0.5 1 1", "A class has a name; got 3 of 3 names, in line 2: picture left out"),
        ("9" * 5_000 + " 0.5 0.5 1 1", "A class has a name"),
        ("٣ 0.5 0.5 1 1", "class x y width height"),
        ("\0\0\0", "text in UTF-8"),
    ],
)
def test_a_damaged_file_is_told_and_the_rest_is_read(tmp_path, picture, write, line, rule):
    picture("images/a.png")
    picture("images/bad.png")
    write("labels/a.txt", "0 0.5 0.5 1 1")
    write("labels/bad.txt", f"0 0.5 0.5 1 1\n{line}\n")
    write("classes.txt", "cat\ndog\nowl")
    data = lw.open_boxes(tmp_path)
    assert data.files == ("images/a.png",)
    assert rule in one_reason(data, "labels/bad.txt")
    assert len(data.problems) == 1


@pytest.mark.parametrize(("value", "rule"), [("nan", "finite"), ("inf", "finite"), ("x", "finite"), ("7", "lies in")])
def test_numbers_that_cannot_be(tmp_path, picture, write, value, rule):
    picture("a.png")
    picture("b.png")
    write("a.txt", f"0 {value} 0.5 0.5 0.5")
    write("b.txt", "0 0.5 0.5 0.5 0.5")
    data = lw.open_boxes(tmp_path)
    assert data.files == ("b.png",)
    assert any(rule in reason for file, reason in data.problems if file == "a.png")


@pytest.mark.parametrize("content", ["names: 5", "names: [[]]", "names: {1: cat}", "{", "- a\n- b", "names: [a, b"])
def test_settings_that_cannot_be_read_are_one_error(tmp_path, picture, write, content):
    picture("images/a.png")
    write("labels/a.txt", "0 0.5 0.5 1 1")
    write("data.yaml", content)
    with pytest.raises(DataError, match=r"data\.yaml") as caught:
        lw.open_boxes(tmp_path)
    assert "\n" not in str(caught.value)


def test_too_many_classes(tmp_path, picture, write):
    picture("images/a.png")
    write("labels/a.txt", "0 0.5 0.5 1 1")
    write("classes.txt", "".join(f"{i}\n" for i in range(10_001)))
    with pytest.raises(DataError, match="at most 10,000 classes"):
        lw.open_boxes(tmp_path)
