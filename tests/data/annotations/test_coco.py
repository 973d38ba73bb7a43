import contextlib
import io
import json
import random

import numpy as np
import pytest

import likewise as lw
from likewise.errors import DataError, LikewiseError

GOOD = {
    "images": [{"id": 3, "file_name": "a.png", "width": 60, "height": 40}, {"id": 1, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 3, "category_id": 9, "bbox": [1, 2, 3.5, 4], "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 4, "bbox": [5, 6, 7, 8], "iscrowd": 1},
    ],
    "categories": [{"id": 9, "name": "cat"}, {"id": 4, "name": "dog"}, {"id": 90, "name": "owl"}],
}


@pytest.fixture
def opened(picture, write):
    """Reads `GOOD` with some entries in place of, or behind, its own."""
    picture("a.png")
    picture("b.png")

    def read(**changes):
        return lw.open_boxes(write("boxes.json", json.dumps(GOOD | changes)))

    return read


def test_what_a_file_says(opened):
    data = opened()
    assert data.names == ("dog", "cat", "owl")  # by their ids
    assert data.files == ("a.png", "b.png")
    np.testing.assert_array_equal(data.boxes[0], [[1, 2, 3.5, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(data.labels[0], [1, 0])
    np.testing.assert_array_equal(data.ignored[0], [False, True])
    assert data.boxes[1].shape == (0, 4)  # listed, and nothing in it
    assert data.problems == ()


def with_more(key, *entries):
    return {key: [*GOOD[key], *entries]}


@pytest.mark.parametrize(
    ("changes", "file", "rule"),
    [
        (with_more("images", {"id": 5}), "boxes.json", "A picture has an id and a file_name; got entry 3 without"),
        (with_more("images", {"id": [], "file_name": "b.png"}), "boxes.json", "A picture has an id"),
        (with_more("images", 5), "boxes.json", "A picture has an id"),
        (with_more("images", {"id": 5, "file_name": "../b.png"}), "boxes.json", "in the folder of the data; got '../b"),
        (with_more("images", {"id": 5, "file_name": "x/../../b.png"}), "boxes.json", "in the folder"),
        (with_more("images", {"id": 5, "file_name": "/etc/passwd"}), "boxes.json", "in the folder"),
        (with_more("images", {"id": 5, "file_name": "C:\\b.png"}), "boxes.json", "in the folder"),
        (with_more("images", {"id": 5, "file_name": "..\\b.png"}), "boxes.json", "in the folder"),
        (with_more("images", {"id": 5, "file_name": "b\0.png"}), "boxes.json", "in the folder"),
        (with_more("images", {"id": 3, "file_name": "c.png"}), "c.png", "listed once; got again as entry 3"),
        (with_more("images", {"id": 8, "file_name": "b.png"}), "b.png", "listed once"),
        (with_more("images", {"id": 8, "file_name": "gone.png"}), "gone.png", "No such file"),
        (with_more("annotations", {"image_id": 77}), "boxes.json", "a picture that is listed; got image_id 77"),
        (with_more("annotations", {"image_id": {}}), "boxes.json", "a picture that is listed"),
        (with_more("annotations", "x"), "boxes.json", "a picture that is listed"),
        (with_more("annotations", {"image_id": 1, "category_id": 5, "bbox": [1, 1, 2, 2]}), "b.png", "of a category"),
        (with_more("annotations", {"image_id": 1, "bbox": [1, 1, 2, 2]}), "b.png", "got category_id None"),
        (with_more("annotations", {"image_id": 1, "category_id": []}), "b.png", "of a category"),
        (with_more("annotations", {"image_id": 1, "category_id": 4}), "b.png", "finite numbers"),
        (with_more("annotations", {"image_id": 1, "category_id": 4, "bbox": [1, 2, 3]}), "b.png", "finite numbers"),
    ],
)
def test_a_bad_entry_is_told_and_the_rest_is_read(opened, changes, file, rule):
    data = opened(**changes)
    ((told, reason),) = data.problems
    assert told == file
    assert rule in reason
    assert "a.png" in data.files
    np.testing.assert_array_equal(data.boxes[0], [[1, 2, 3.5, 4], [5, 6, 7, 8]])


def test_two_ids_of_one_name_are_one_class(opened):
    data = opened(**with_more("categories", {"id": 1, "name": "owl"}, {"id": "x", "name": "no"}, {"id": 2}, 7))
    assert data.names == ("owl", "dog", "cat")
    assert [file for file, _ in data.problems] == ["boxes.json"] * 3
    assert all("A category has a whole number" in reason for _, reason in data.problems)


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"images": []',
     '{"images": [], "annotations": []}', '{"images": {}, "annotations": 1, "categories": []}',
     "[" * 100_000, '{"images": ' + "[" * 100_000, '{"images": [' + "9" * 5_000 + "]}", b"\xff\xfe{"],
)  # fmt: skip
def test_a_damaged_file_is_one_error(write, content):
    with pytest.raises(DataError) as caught:
        lw.open_boxes(write("boxes.json", content), format="coco")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("boxes.json", "."),
        ("boxes.json", "images"),
        ("annotations/instances_val.json", "val"),
        ("annotations/instances_val.json", "images"),
        ("annotations/boxes.json", "."),
        ("train/_annotations.coco.json", "train"),
    ],
)
def test_pictures_are_found_where_they_usually_are(tmp_path, picture, write, file, where):
    picture(f"{where}/a.png")
    picture(f"{where}/b.png")
    path = write(file, json.dumps(GOOD))
    assert lw.open_boxes(path).sources == (tmp_path / where / "a.png", tmp_path / where / "b.png")
    assert len(lw.open_boxes(tmp_path)) == 2


def test_pictures_anywhere_else_are_said(tmp_path, picture, write):
    picture("far/away/a.png")
    path = write("boxes.json", json.dumps(GOOD))
    assert lw.open_boxes(path, pictures=tmp_path / "far" / "away").files == ("a.png",)
    with pytest.raises(DataError, match=r"none of 2: a\.png"):
        lw.open_boxes(path)


def test_of_two_files_one_is_named(tmp_path, write):
    write("one.json", json.dumps(GOOD))
    write("two.json", json.dumps(GOOD))
    with pytest.raises(DataError, match=r"the file itself is named; got one\.json, two\.json"):
        lw.open_boxes(tmp_path)


def test_no_change_of_a_byte_or_a_value_brings_a_traceback(tmp_path, picture, write):
    """Seeded: values put in place of others, and bytes of the text."""
    picture("a.png")
    picture("b.png")
    rng = random.Random(0)
    values = [None, True, -1, 0, 1e308, float("nan"), "", "x", [], {}, [[]], {"id": 1}, "../x", 3.5]

    def changed(value):
        if rng.random() < 0.08:
            return rng.choice(values)
        if isinstance(value, dict):
            return {key: changed(each) for key, each in value.items()}
        return [changed(each) for each in value] if isinstance(value, list) else value

    read = 0
    for _ in range(300):
        text = bytearray(json.dumps(changed(GOOD)).encode())
        if rng.random() < 0.3:
            text[rng.randrange(len(text))] = rng.randrange(256)
        with contextlib.suppress(LikewiseError):
            data = lw.open_boxes(write("boxes.json", bytes(text)), format="coco")
            read += 1
            assert all("\n" not in reason for _, reason in data.problems)
    assert read > 50


def test_what_is_written_pycocotools_reads_alike(tmp_path):
    coco = pytest.importorskip("pycocotools.coco", reason="needs the package pycocotools")
    rng = np.random.default_rng(5)
    counts = [3, 0, 5]
    data = lw.BoxSet(
        sources=rng.integers(0, 256, (3, 40, 60, 3), np.uint8),
        files=("one.png", "two.png", "three.png"),
        names=("cat", "dog"),
        boxes=tuple(np.c_[rng.uniform(0, 20, (k, 2)), rng.uniform(1, 20, (k, 2))] for k in counts),
        labels=tuple(rng.integers(0, 2, k) for k in counts),
        ignored=tuple(rng.random(k) < 0.4 for k in counts),
        sizes=np.tile([40, 60], (3, 1)),
    )
    lw.write_boxes(data, tmp_path / "out", "coco")
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = coco.COCO(tmp_path / "out" / "annotations.json")
    for i, key in enumerate(loaded.getImgIds()):
        image = loaded.loadImgs(key)[0]
        assert image["file_name"] == f"images/{data.files[i]}"
        assert (image["height"], image["width"]) == (40, 60)
        found = loaded.loadAnns(loaded.getAnnIds(key))
        np.testing.assert_array_equal([each["bbox"] for each in found], data.boxes[i].tolist())
        assert [loaded.loadCats(each["category_id"])[0]["name"] for each in found] == [
            data.names[label] for label in data.labels[i]
        ]
        assert [each["iscrowd"] for each in found] == data.ignored[i].tolist()
        np.testing.assert_allclose([each["area"] for each in found], data.boxes[i][:, 2:].prod(axis=1), rtol=1e-15)
