import pytest

import likewise as lw
from likewise.data import box_format
from likewise.errors import DataError, UsageError

VOC = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>\
</object></annotation>"
COCO = '{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.xml": VOC}, "voc"),
        ({"a.xml": VOC, "a.txt": "0 0.5 0.5 1 1", "boxes.json": COCO}, "voc"),
        ({"boxes.json": COCO}, "coco"),
        ({"a.txt": "0 0.5 0.5 1 1"}, "yolo"),
        ({"labels/a.txt": ""}, "yolo"),
        ({"a.txt": "a caption"}, None),
        ({"b.txt": "0 0.5 0.5 1 1"}, None),
        ({"a.xml": "<project/>", "settings.json": '{"name": "x"}'}, None),
        ({}, None),
    ],
)
def test_which_format_it_is(tmp_path, picture, write, files, expected):
    picture("a.png")
    for name, content in files.items():
        write(name, content)
    assert box_format(tmp_path) == expected
    if expected is None:
        with pytest.raises(DataError, match="which is neither"):
            lw.open_boxes(tmp_path)
    else:
        assert lw.open_boxes(tmp_path).files == ("a.png",)


def test_identities_in_folders_are_no_boxes(tmp_path, picture):
    picture("ada/1.png")
    picture("bob/1.png")
    assert box_format(tmp_path) is None


def test_of_two_formats_one_can_be_named(tmp_path, picture, write):
    picture("a.png")
    write("a.xml", VOC)
    write("a.txt", "0 0.5 0.5 1 1")
    found = lw.open_boxes(tmp_path)
    assert found.names == ("cat",)
    assert [reason for _, reason in found.problems] == [
        "A folder is annotated in one format; got YOLO text beside Pascal VOC: the former is not read"
    ]
    named = lw.open_boxes(tmp_path, format="yolo")
    assert (named.names, named.problems) == (("0",), ())


def test_wrong_use(tmp_path, write):
    write("boxes.json", COCO)
    write("a.xml", VOC)
    with pytest.raises(UsageError, match="coco, voc or yolo; got 'kitti'"):
        lw.open_boxes(tmp_path, format="kitti")
    with pytest.raises(UsageError, match="for COCO alone"):
        lw.open_boxes(tmp_path, format="voc", pictures=tmp_path)
    with pytest.raises(DataError, match="which is not there"):
        lw.open_boxes(tmp_path / "gone")
    with pytest.raises(DataError, match="which is neither"):
        lw.open_boxes(tmp_path / "a.xml")


def test_a_file_of_another_format_that_cannot_be_read_spoils_nothing(tmp_path, picture, write):
    picture("a.png")
    write("a.xml", VOC)
    (tmp_path / "x.json").symlink_to(tmp_path / "gone.json")
    assert lw.open_boxes(tmp_path).files == ("a.png",)
