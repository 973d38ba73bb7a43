"""What is asked of boxes in every format; here in that of COCO, whose numbers are not changed on the way."""

import json

import numpy as np
import pytest
from PIL import Image

import likewise as lw
from likewise.data.annotations.marks import MOST_BOXES
from likewise.errors import DataError, UsageError
from likewise.media.pictures import read_picture


@pytest.fixture
def opened(tmp_path, picture, write):
    """Reads boxes (x, y, width, height) of a picture of 60 x 40 pixels, beside one in which all is right."""
    picture("b.png")

    def read(boxes, *, size=(60, 40), orientation=None, file="a.png"):
        picture("a.png", orientation=orientation)
        found = [(1, box) for box in boxes] + [(2, [1, 2, 3, 4])]
        width, height = size or (None, None)
        document = {
            "images": [
                {"id": 1, "file_name": file, "width": width, "height": height},
                {"id": 2, "file_name": "b.png"},
            ],
            "annotations": [{"image_id": i, "category_id": 7, "bbox": box} for i, box in found],
            "categories": [{"id": 7, "name": "cat"}],
        }
        return lw.open_boxes(write("boxes.json", json.dumps(document)))

    return read


def test_good_boxes_are_taken_as_they_are(opened):
    data = opened([[0, 0, 60, 40], [1.25, 2.5, 3.75, 4]])
    np.testing.assert_array_equal(data.boxes[0], [[0, 0, 60, 40], [1.25, 2.5, 3.75, 4]])
    assert data.problems == ()


@pytest.mark.parametrize(
    ("box", "expected", "rule"),
    [
        ([50, 30, 20, 20], [50, 30, 10, 10], "A box lies in its picture; got 50 30 70 50 (box 2) of 60 x 40: clipped"),
        ([-5, -5, 10, 10], [0, 0, 5, 5], "clipped"),
        ([-10, -10, 100, 100], [0, 0, 60, 40], "clipped"),
        ([20, 10, -5, 4], [15, 10, 5, 4], "Left is left of right and top above bottom; got 20 10 15 14 (box 2)"),
        ([20, 10, -5, -4], [15, 6, 5, 4], "corners swapped"),
    ],
)
def test_what_can_be_put_right_is_and_is_told(opened, box, expected, rule):
    data = opened([[1, 1, 2, 2], box])
    np.testing.assert_array_equal(data.boxes[0], [[1, 1, 2, 2], expected])
    ((file, reason),) = data.problems
    assert file == "a.png"
    assert rule in reason


@pytest.mark.parametrize("box", [[-0.75, -1, 10, 10], [50, 30, 10.9, 11]])
def test_a_pixel_over_the_edge_is_cut_off_without_a_word(opened, box):
    data = opened([box])
    assert (data.boxes[0][:, :2] >= 0).all()
    assert (data.boxes[0][:, :2] + data.boxes[0][:, 2:] <= [60, 40]).all()
    assert data.problems == ()


@pytest.mark.parametrize(
    ("box", "rule"),
    [
        ([60, 0, 5, 5], "A box lies in its picture; got 60 0 65 5 (box 2) of 60 x 40: box left out"),
        ([-9, 0, 5, 5], "A box lies in its picture"),
        ([5, 400, 5, 5], "A box lies in its picture"),
        ([5, 5, 0, 5], "A box has an area"),
        ([5, 5, 5, 0], "A box has an area"),
    ],
)
def test_a_box_that_cannot_be_is_left_out_alone(opened, box, rule):
    data = opened([[1, 1, 2, 2], box, [3, 3, 4, 4]])
    np.testing.assert_array_equal(data.boxes[0], [[1, 1, 2, 2], [3, 3, 4, 4]])
    ((_, reason),) = data.problems
    assert rule in reason
    assert reason.endswith("box left out")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "five", None, True, [], 10**400])
def test_a_box_of_unknown_place_takes_its_picture_with_it(opened, value):
    """What is there would be taught to be background."""
    data = opened([[1, 1, 2, 2], [1, 2, value, 4]])
    assert data.files == ("b.png",)
    ((file, reason),) = data.problems
    assert file == "a.png"
    assert "finite numbers" in reason
    assert reason.endswith("(box 2) of 60 x 40: picture left out")


def test_a_picture_in_which_no_box_can_be_is_no_empty_one(opened):
    data = opened([[5, 5, 0, 5], [100, 100, 5, 5]])
    assert data.files == ("b.png",)
    assert len(data.problems) == 3
    assert data.problems[-1][1].endswith("picture left out")


def test_the_real_size_counts(opened):
    data = opened([[1, 1, 50, 30]], size=(30, 20))
    np.testing.assert_array_equal(data.boxes[0], [[1, 1, 50, 30]])
    np.testing.assert_array_equal(data.sizes[0], [40, 60])
    ((_, reason),) = data.problems
    assert "got 30 x 20, where it has 60 x 40: boxes taken as they are" in reason
    assert opened([[1, 1, 50, 30]], size=None).problems == ()
    assert opened([[1, 1, 50, 30]], size=(0, 0)).problems == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_marked_on_a_picture_as_stored_are_turned_with_it(tmp_path, write, orientation):
    """A bright spot is where its box is, whatever way the picture is turned."""
    stored = np.zeros((40, 60), np.uint8)
    stored[5:10, 12:20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [12, 5, 8, 5]}],
        "categories": [{"id": 1, "name": "spot"}],
    }
    data = lw.open_boxes(write("boxes.json", json.dumps(document)))
    shown = read_picture(tmp_path / "a.png")[:, :, 0]
    assert data.sizes[0].tolist() == list(shown.shape)
    if orientation < 5:  # the sizes agree: nothing tells how it was looked at
        assert data.problems == ()
        return
    x, y, width, height = data.boxes[0][0].astype(int)
    assert shown[y : y + height, x : x + width].min() == 255
    assert (shown == 255).sum() == width * height
    assert data.problems[0][1].endswith("got 60 x 40, where it has 40 x 60: turned with it by EXIF")


def test_missing_and_damaged_pictures_are_told(opened, write):
    data = opened([[1, 1, 2, 2]], file="gone.png")
    assert data.files == ("b.png",)
    ((file, reason),) = data.problems
    assert file == "gone.png"
    assert "No such file" in reason
    write("broken.png", b"no picture")
    assert "A picture is one of" in opened([[1, 1, 2, 2]], file="broken.png").problems[0][1]


def test_too_many_boxes(opened):
    data = opened([[1, 1, 2, 2]] * (MOST_BOXES + 1))
    assert data.files == ("b.png",)
    assert "at most 10,000 boxes; got 10001: picture left out" in data.problems[0][1]


def test_groups_and_progress(tmp_path, opened):
    opened([[1, 1, 2, 2]])
    told = []
    data = lw.open_boxes(
        tmp_path / "boxes.json", group_from="^(.)", progress=lambda done, total, _: told.append((done, total))
    )
    np.testing.assert_array_equal(data.groups, [0, 1])
    assert data.group_names == ("a", "b")
    assert told == [(2, 2)]
    with pytest.raises(UsageError, match="one group"):
        lw.open_boxes(tmp_path / "boxes.json", group_from="a")
    with pytest.raises(DataError, match="tells its group"):
        lw.open_boxes(tmp_path / "boxes.json", group_from="(z)")


@pytest.mark.parametrize("layout", ["{}/images/{}.png", "images/{}/{}.png"])
def test_folders_of_parts_are_the_data_s_own(tmp_path, layout):
    """As Roboflow and Ultralytics lay them out: train/images and labels, or images/train and labels/train."""
    for i, part in enumerate(("train", "train", "valid", "test", "train")):
        file = tmp_path / layout.format(part, i)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (50, 40), i).save(file)
        text = tmp_path / layout.replace("images", "labels").replace("png", "txt").format(part, i)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [cat]\n")
    for path in (tmp_path, tmp_path / "data.yaml"):
        data = lw.open_boxes(path)
        assert data.problems == ()
        by_file = dict(zip((file.rsplit("/")[-1] for file in data.files), data.parts.tolist(), strict=True))
        assert by_file == {"0.png": "train", "1.png": "train", "2.png": "valid", "3.png": "test", "4.png": "train"}
        assert [file.rsplit("/")[-1] for file in data.part("test").files] == ["3.png"]
    with pytest.raises(UsageError, match="tune"):
        data.part("tune")


def test_folders_of_parts_that_do_not_hold_all_are_told(tmp_path):
    for i, part in enumerate(("train", "test", "more")):
        (tmp_path / part).mkdir()
        Image.new("L", (50, 40), i).save(tmp_path / part / f"{i}.png")
        (tmp_path / part / f"{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    data = lw.open_boxes(tmp_path)
    assert data.parts is None
    assert [file for file, reason in data.problems if "not taken for parts" in reason] == ["more/2.png"]
