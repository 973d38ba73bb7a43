import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import likewise as lw
from likewise.data import FORMATS
from likewise.errors import DataError, UsageError
from likewise.media.pictures import read_picture

RACCOONS = Path(os.environ.get("LIKEWISE_DATA", "."), "raccoons")
WIDTH, HEIGHT = 60, 40
pixel = st.floats(0, 1, allow_nan=False).map(lambda share: round(share, 6))
name = st.text("abcäöß &<>'\"0 ", min_size=1, max_size=8).map(lambda text: " ".join(text.split())).filter(bool)


@st.composite
def boxsets(draw):
    names = draw(st.lists(name, min_size=1, max_size=4, unique=True))
    counts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any))
    boxes, labels, ignored = [], [], []
    for count in counts:
        x, y = (np.array(draw(st.lists(pixel, min_size=count, max_size=count))) * side / 2 for side in (WIDTH, HEIGHT))
        wide, high = (
            1 + np.array(draw(st.lists(pixel, min_size=count, max_size=count))) * (side / 2 - 1)
            for side in (WIDTH, HEIGHT)
        )
        boxes.append(np.stack([x, y, wide, high], axis=1).reshape(-1, 4))
        labels.append(np.array(draw(st.lists(st.integers(0, len(names) - 1), min_size=count, max_size=count)), int))
        ignored.append(np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool))
    return lw.BoxSet(
        sources=np.arange(len(counts), dtype=np.uint8)[:, None, None] + np.zeros((HEIGHT, WIDTH), np.uint8),
        files=tuple(f"picture {i}" for i in range(len(counts))),
        names=tuple(names),
        boxes=tuple(boxes),
        labels=tuple(labels),
        ignored=tuple(ignored),
        sizes=np.tile([HEIGHT, WIDTH], (len(counts), 1)),
    )


@pytest.mark.parametrize("format", FORMATS)
@settings(deadline=None, max_examples=40)
@given(data=boxsets())
def test_what_is_written_is_read_back_the_same(format, data):
    with tempfile.TemporaryDirectory() as folder:
        problems = lw.write_boxes(data, Path(folder) / "out", format)
        again = lw.open_boxes(Path(folder) / "out")
        for i in range(len(data)):
            np.testing.assert_array_equal(read_picture(again.sources[i])[:, :, 0], data.sources[i])
    kept = [~each if format == "yolo" else np.ones(len(each), bool) for each in data.ignored]
    assert again.names == data.names
    assert again.problems == ()
    assert len(problems) == (data.every_ignored.sum() if format == "yolo" else 0)
    np.testing.assert_array_equal(again.sizes, data.sizes)
    for i, rows in enumerate(kept):
        np.testing.assert_allclose(again.boxes[i], data.boxes[i][rows], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(again.labels[i], data.labels[i][rows])
        np.testing.assert_array_equal(again.ignored[i], data.ignored[i][rows])


def some(files, sources, names=("cat",)):
    count = len(files)
    return lw.BoxSet(
        sources=sources,
        files=files,
        names=names,
        boxes=tuple(np.array([[1, 1, 5.0, 5]]) for _ in range(count)),
        labels=tuple(np.zeros(1, int) for _ in range(count)),
        ignored=tuple(np.zeros(1, bool) for _ in range(count)),
        sizes=np.tile([HEIGHT, WIDTH], (count, 1)),
    )


@pytest.mark.parametrize("format", FORMATS)
def test_files_are_copied_as_they_are_and_of_one_name_numbered(tmp_path, picture, format):
    files = ("x/a.jpg", "y/a.jpg", "../b c.png", "classes.png")
    sources = (picture("x/a.jpg"), picture("y/a.jpg"), picture("b.png").read_bytes(), picture("c.png"))
    lw.write_boxes(some(files, sources), tmp_path / "out", format)
    folder = tmp_path / "out" / FORMATS[format].pictures
    named = ("000000-a.jpg", "000001-a.jpg", "b_c.png", "000003-classes.png")
    assert sorted(file.name for file in folder.iterdir()) == sorted(named)
    assert (folder / "000001-a.jpg").read_bytes() == sources[1].read_bytes()
    assert len(lw.open_boxes(tmp_path / "out")) == 4


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("there", ["classes.txt", "annotations.json", "notes.txt"])
def test_nothing_that_is_there_is_replaced(tmp_path, picture, format, there):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / there).write_text("mine")
    with pytest.raises(UsageError, match="new or empty"):
        lw.write_boxes(some(("a.png",), (picture("a.png"),)), tmp_path / "out", format)
    assert [(file.name, file.read_text()) for file in (tmp_path / "out").iterdir()] == [(there, "mine")]


def test_nothing_is_left_where_a_picture_cannot_be_read(tmp_path, picture):
    data = some(("a.png", "gone.png"), (picture("a.png"), tmp_path / "gone.png"))
    with pytest.raises(DataError, match=r"gone\.png"):
        lw.write_boxes(data, tmp_path / "out", "coco")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png"]


@pytest.mark.parametrize("names", [("cat\n",), ("",), (" cat",), ("a  b",), ("cat", "cat"), ("\x01",)])
def test_names_that_a_line_cannot_hold_are_refused(tmp_path, picture, names):
    with pytest.raises(DataError, match="name of a class"):
        lw.write_boxes(some(("a.png",), (picture("a.png"),), names), tmp_path / "out", "voc")


def test_another_format_is_refused(tmp_path, picture):
    with pytest.raises(UsageError, match="coco, voc or yolo"):
        lw.write_boxes(some(("a.png",), (picture("a.png"),)), tmp_path / "out", "kitti")


@pytest.mark.skipif(not RACCOONS.is_dir(), reason="LIKEWISE_DATA names no folder with raccoons")
def test_real_photos_with_boxes_survive_every_format(tmp_path):
    data = lw.open_boxes(RACCOONS)
    assert (len(data), int(data.counts()[0]), data.problems) == (200, 217, ())
    for format in FORMATS:
        lw.write_boxes(data.subset(range(20)), tmp_path / "out", format)
        again = lw.open_boxes(tmp_path / "out")
        np.testing.assert_allclose(again.every_box, data.subset(range(20)).every_box, rtol=0, atol=1e-9)
        shutil.rmtree(tmp_path / "out")
