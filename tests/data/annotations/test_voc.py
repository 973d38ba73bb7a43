import codecs

import numpy as np
import pytest

import likewise as lw
from likewise.errors import DataError


def xml(*objects, filename="a.png", size="<size><width>60</width><height>40</height></size>", head=""):
    return f"{head}<annotation><filename>{filename}</filename>{size}{''.join(objects)}</annotation>"


def marked(name, *corners, more=""):
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def one_reason(data, file):
    found = [reason for name, reason in data.problems if name == file]
    assert len(found) == 1, data.problems
    assert "\n" not in found[0]
    return found[0]


def test_pixels_count_from_1_and_corners_are_inside(tmp_path, picture, write):
    """As VOC's development kit has them: 1 to W is all of the picture, 5 to 5 one pixel."""
    picture("a.png")
    write("a.xml", xml(marked("cat", 1, 1, 60, 40), marked("dog", 5, 6, 5, 6), marked("cat", "2.5", 3, 4, 9)))
    data = lw.open_boxes(tmp_path)
    assert data.names == ("cat", "dog")
    np.testing.assert_array_equal(data.boxes[0], [[0, 0, 60, 40], [4, 5, 1, 1], [1.5, 2, 2.5, 7]])
    np.testing.assert_array_equal(data.labels[0], [0, 1, 0])
    np.testing.assert_array_equal(data.sizes, [[40, 60]])
    assert data.problems == ()


def test_difficult_objects_are_ignored_and_their_parts_passed_over(tmp_path, picture, write):
    picture("a.png")
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    objects = (
        marked("cat", 1, 1, 9, 9, more="<difficult>1</difficult>"),
        marked("cat", 1, 1, 8, 8, more="<difficult>0</difficult>" + part),
    )
    write("a.xml", xml(*objects))
    data = lw.open_boxes(tmp_path)
    np.testing.assert_array_equal(data.ignored[0], [True, False])
    np.testing.assert_array_equal(data.boxes[0][1], [0, 0, 8, 8])
    assert data.names == ("cat",)


@pytest.mark.parametrize(
    ("pictures", "annotations"),
    [("images", "annotations"), ("JPEGImages", "Annotations"), (".", "."), ("images/train", "Annotations/train")],
)
def test_usual_folders(tmp_path, picture, write, pictures, annotations):
    picture(f"{pictures}/a.png")
    picture(f"{pictures}/b.jpg")
    write(f"{annotations}/a.xml", xml(marked("cat", 1, 1, 9, 9)))
    write(f"{annotations}/b.xml", xml(marked("owl", 1, 1, 9, 9), filename="b.jpg"))
    write("ImageSets/Main/train.txt", "a\nb\n")
    data = lw.open_boxes(tmp_path)
    assert [file.rsplit("/", 1)[-1] for file in data.files] == ["a.png", "b.jpg"]
    assert data.names == ("cat", "owl")
    assert data.problems == ()


def test_masks_beside_the_folder_of_pictures_are_no_pictures(tmp_path, picture, write):
    picture("JPEGImages/a.jpg")
    picture("SegmentationClass/a.png")
    picture("SegmentationClass/b.png")
    write("Annotations/a.xml", xml(marked("cat", 1, 1, 9, 9)))
    data = lw.open_boxes(tmp_path)
    assert data.files == ("JPEGImages/a.jpg",)
    assert data.problems == ()


@pytest.mark.parametrize(
    "filename", ["a.jpg", "elsewhere/a.gif", r"C:\Users\me\a.png", "../../a.png", "/etc/passwd", "", "a"]
)
def test_a_file_name_that_lies_is_found_by_the_stem(tmp_path, picture, write, filename):
    picture("images/a.png")
    write("annotations/a.xml", xml(marked("cat", 1, 1, 9, 9), filename=filename))
    data = lw.open_boxes(tmp_path)
    assert data.files == ("images/a.png",)
    assert data.problems == ()


def test_an_annotation_of_another_name_is_found_by_the_file_name_in_it(tmp_path, picture, write):
    picture("images/cat.png")
    write("annotations/0001.xml", xml(marked("cat", 1, 1, 9, 9), filename="cat.jpg"))
    assert lw.open_boxes(tmp_path).files == ("images/cat.png",)


def test_of_two_pictures_of_one_stem_the_one_that_is_named(tmp_path, picture, write):
    picture("a.jpg")
    picture("a.png")
    write("a.xml", xml(marked("cat", 1, 1, 9, 9), filename="a.png"))
    data = lw.open_boxes(tmp_path)
    assert data.files == ("a.png",)
    assert "A picture has an annotation file" in one_reason(data, "a.jpg")


def test_a_path_never_leaves_the_folder(tmp_path, picture, write):
    picture("secret.png")
    picture("data/images/b.png")
    write("data/annotations/b.xml", xml(marked("cat", 1, 1, 9, 9), filename="b.png"))
    write("data/annotations/x.xml", xml(marked("cat", 1, 1, 9, 9), filename="../../secret.png"))
    data = lw.open_boxes(tmp_path / "data")
    assert data.files == ("images/b.png",)
    assert one_reason(data, "annotations/x.xml") == "An annotation has a picture; got ../../secret.png: left out"


def test_a_picture_without_annotation_is_left_out_one_without_objects_is_empty(tmp_path, picture, write):
    for name in "abc":
        picture(f"images/{name}.png")
    write("annotations/a.xml", xml(marked("cat", 1, 1, 9, 9)))
    write("annotations/b.xml", xml(filename="b.png"))
    data = lw.open_boxes(tmp_path)
    assert data.files == ("images/a.png", "images/b.png")
    assert data.boxes[1].shape == (0, 4)
    assert "got none: picture left out" in one_reason(data, "images/c.png")


ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (xml(marked("cat", 1, 1, 9, 9))[:60], "whole XML; got "),
        (b"", "whole XML"),
        (b"\0\xff\xfe", "whole XML"),
        ("<html/>", "an element called annotation; got 'html'"),
        (xml(head=ENTITY), "no document type"),
        (xml(head=ENTITY).encode("utf-16"), "no document type"),
        (b'<?xml version="1.0" encoding="cp037"?>' + xml(head=ENTITY).encode("cp037"), "whole XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><annotation/>', "whole XML"),
        (xml("<object><bndbox/></object>"), "a name and a bndbox"),
        (xml("<object><name>cat</name></object>"), "a name and a bndbox"),
        (xml("<object><name> </name><bndbox/></object>"), "a name and a bndbox"),
        (xml("<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>"), "xmin, ymin, xmax and ymax"),
        (b"<annotation>" + b" " * 2**22, "at most 4,194,304 bytes"),
        (b"<a>" * 200_000, "whole XML"),
    ],
)
def test_a_damaged_file_is_told_and_the_rest_is_read(tmp_path, picture, write, content, rule):
    picture("images/a.png")
    picture("images/bad.png")
    write("annotations/a.xml", xml(marked("cat", 1, 1, 9, 9)))
    write("annotations/bad.xml", content)
    data = lw.open_boxes(tmp_path)
    assert data.files == ("images/a.png",)
    assert rule in one_reason(data, "annotations/bad.xml")
    assert len(data.problems) == 1  # the picture is not told again


def test_two_annotations_of_one_picture(tmp_path, picture, write):
    picture("images/a.png")
    write("annotations/a.xml", xml(marked("cat", 1, 1, 9, 9)))
    write("annotations/z.xml", xml(marked("dog", 1, 1, 9, 9)))
    data = lw.open_boxes(tmp_path)
    assert data.names == ("cat",)
    assert "A picture has one annotation file" in one_reason(data, "annotations/z.xml")


def test_nothing_usable_is_an_error_that_says_why(tmp_path, picture, write):
    picture("a.png")
    write("a.xml", "<annotation>")
    with pytest.raises(DataError, match=r"can be used; got none of 1: a\.xml: An annotation is whole XML"):
        lw.open_boxes(tmp_path)


def test_a_byte_order_mark_and_another_encoding(tmp_path, picture, write):
    picture("a.png")
    write("a.xml", codecs.BOM_UTF8 + xml(marked("Bär", 1, 1, 9, 9)).encode())
    assert lw.open_boxes(tmp_path).names == ("Bär",)
    write("a.xml", b'<?xml version="1.0" encoding="latin-1"?>' + xml(marked("Bär", 1, 1, 9, 9)).encode("latin-1"))
    assert lw.open_boxes(tmp_path).names == ("Bär",)


def test_classes_are_in_natural_order_or_in_that_of_classes_txt(tmp_path, picture, write):
    picture("a.png")
    write("a.xml", xml(*(marked(name, 1, 1, 9, 9) for name in ("10", "9", "zebra"))))
    assert lw.open_boxes(tmp_path).names == ("9", "10", "zebra")
    write("classes.txt", "zebra\nno one\n\n10\n")
    data = lw.open_boxes(tmp_path)
    assert data.names == ("zebra", "no one", "10", "9")
    np.testing.assert_array_equal(data.labels[0], [2, 3, 0])


def test_lists_of_files_say_which_part_a_picture_is_of(tmp_path, picture, write):
    """As VOC2007 comes: train and val beside the two together, a list for each class, and of some releases test."""
    for name in "abcde":
        picture(f"VOC2007/JPEGImages/{name}.png")
        write(f"VOC2007/Annotations/{name}.xml", xml(marked("cat", 1, 1, 9, 9), filename=f"{name}.png"))
    lists = "VOC2007/ImageSets/Main"
    for name, lines in (
        ("trainval", "a\nb\nc\n"),
        ("train", "a\n"),
        ("val", "b\n"),
        ("test", "d\n"),
        ("cat_val", "e  1\n"),
    ):
        write(f"{lists}/{name}.txt", lines)
    write("VOC2007/ImageSets/Layout/val.txt", "a\n")
    data = lw.open_boxes(tmp_path)
    parts = dict(zip((file[-5] for file in data.files), data.parts.tolist(), strict=True))
    assert parts == {"a": "train", "b": "valid", "c": "train", "d": "test", "e": "train"}
    assert "1 that are in none: they are trained on" in one_reason(data, "VOC2007/JPEGImages/e.png")


def test_one_list_of_all_pictures_divides_nothing(tmp_path, picture, write):
    for name in "ab":
        picture(f"{name}.png")
        write(f"{name}.xml", xml(marked("cat", 1, 1, 9, 9), filename=f"{name}.png"))
    write("ImageSets/Main/trainval.txt", "a\nb\n")
    data = lw.open_boxes(tmp_path)
    assert (data.parts, data.problems) == (None, ())


def test_each_folder_has_its_own_lists(tmp_path, picture, write):
    for root, train, test in (("A", "1\n2\n", "3\n"), ("B", "2\n3\n", "1\n")):
        for name in "123":
            picture(f"{root}/JPEGImages/{name}.png")
            write(f"{root}/Annotations/{name}.xml", xml(marked("cat", 1, 1, 9, 9), filename=f"{name}.png"))
        write(f"{root}/ImageSets/Main/train.txt", train)
        write(f"{root}/ImageSets/Main/test.txt", test)
    data = lw.open_boxes(tmp_path)
    parts = dict(zip(((file[0], file[-5]) for file in data.files), data.parts.tolist(), strict=True))
    assert [key for key, part in parts.items() if part == "test"] == [("A", "3"), ("B", "1")]
    assert data.problems == ()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("my cat\nb.png\n", None),
        ("my cat\nb\ngone\n", "1 of 3, 'gone' first: passed over"),
        ("my cat\nb\na\n", "A picture is in one list; got 1 in others too, 'a.png' first: taken for test"),
        ("m\0y\0\n", "zeros among its bytes, as UTF-16 has them: the list is not read"),
        ("x" * (2**22 + 1), "at most 4,194,304 bytes"),
    ],
)
def test_what_is_wrong_with_a_list_is_told(tmp_path, picture, write, lines, told):
    for name in ("a", "b", "my cat"):
        picture(f"{name}.png")
        write(f"{name}.xml", xml(marked("cat", 1, 1, 9, 9), filename=f"{name}.png"))
    write("ImageSets/Main/train.txt", "a\n")
    write("ImageSets/Main/test.txt", lines)
    data = lw.open_boxes(tmp_path)
    if told is None:
        assert dict(zip(data.files, data.parts.tolist(), strict=True)) == {
            "a.png": "train", "b.png": "test", "my cat.png": "test",
        }  # fmt: skip
        assert data.problems == ()
    else:
        assert told in one_reason(data, "ImageSets/Main/test.txt")
