"""Spreadsheets and annotated pictures of answers that are drawn by hand."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from likewise.apps.recognise import annotate, as_csv, check_new
from likewise.errors import DataError, UsageError
from likewise.gallery import Identified, Probe
from likewise.gallery.decision import Decision, Lines, Match

GREY, GREEN, ORANGE, RED = (90, 90, 90), (0, 170, 80), (230, 150, 0), (210, 40, 40)
ADA, BOB = (20, 10, 60, 40), (110, 30, 80, 50)  # left, top, width, height


def probe(file: object, name: str | None, *near: tuple[str, float], outcome: str = "known", box: object = ADA) -> Probe:
    matches = tuple(Match(who, far, None, 1) for who, far in near)
    return Probe(str(file), box, Decision(outcome, name, matches))


def found(files: list[object], *probes: Probe) -> Identified:
    order, filled = tuple(map(str, files)), {one.file for one in probes}
    empty = tuple(file for file in order if file not in filled)
    return Identified(probes, (), empty, order, Lines(1.0, 2.0, 0.01, 0.1, "gallery"), "vote", 5, 10)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Plain grey, 240 x 120."""
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (240, 120), GREY).save(tmp_path / "photos" / "a.png")
    return tmp_path / "photos" / "a.png"


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def drawn(photo: Path, name: str, out: Path) -> np.ndarray:
    """The picture on which somebody of this name was found."""
    return pixels(annotate(found([photo], probe(photo, name, (name, 0.5))), out).files[0])


class TestCsv:
    def test_lines_come_in_the_order_of_the_files(self) -> None:
        rows = as_csv(
            found(
                ["z.jpg", "empty.jpg", "a,b.jpg", "last.jpg"],
                probe("z.jpg", "ada", ("ada", 0.25)),
                probe("z.jpg", "bob", ("bob", 0.5)),
                probe("a,b.jpg", None, ("ada", 3.5), outcome="unknown"),
            )
        )
        assert list(csv.reader(io.StringIO(rows))) == [
            ["z.jpg", "ada", "0.25"],
            ["z.jpg", "bob", "0.5"],
            ["empty.jpg", "no_persons_found", ""],
            ["a,b.jpg", "unknown_person", "3.5"],
            ["last.jpg", "no_persons_found", ""],
        ]

    def test_a_name_comes_with_its_own_distance(self) -> None:
        """Bob is nearest, and three of Ada outvoted him."""
        near = ("bob", 0.3), ("ada", 0.35)
        assert as_csv(found(["p.jpg"], probe("p.jpg", "ada", *near))) == "p.jpg,ada,0.35"
        unsure = probe("p.jpg", "ada", *near, outcome="unsure")
        assert as_csv(found(["p.jpg"], unsure)) == "p.jpg,unknown_person,0.35"
        assert as_csv(found(["p.jpg"], probe("p.jpg", None, outcome="unknown"))) == "p.jpg,unknown_person,"

    def test_in_full_nothing_is_left_out(self) -> None:
        there = found(
            ["a.jpg", "empty.jpg"],
            probe("a.jpg", "ada", ("ada", 0.25)),
            probe("a.jpg", "ada", ("bob", 0.5), ("ada", 0.625), outcome="unsure", box=BOB),
            replace(probe("a.jpg", None, ("ada", 3.5), outcome="unknown", box=None), flaw="blurred"),
        )
        there = replace(there, skipped=(("cut.jpg", "cut short, or worse"),))
        rows = list(csv.DictReader(io.StringIO(as_csv(there, full=True))))
        assert [list(row.values()) for row in rows] == [
            ["a.jpg", "ada", "0.25", "known", "", "20", "10", "60", "40", ""],
            ["a.jpg", "unknown_person", "0.625", "unsure", "ada", "110", "30", "80", "50", ""],
            ["a.jpg", "unknown_person", "3.5", "unknown", "", "", "", "", "", "blurred"],
            ["empty.jpg", "no_persons_found", "", "empty", "", "", "", "", "", ""],
            ["cut.jpg", "", "", "unreadable", "", "", "", "", "", "cut short, or worse"],
        ]
        short = list(csv.reader(io.StringIO(as_csv(there))))
        assert short == [list(row.values())[:3] for row in rows[:-1]]


class TestAnnotate:
    def test_frames_are_where_things_were_found(self, photo: Path, tmp_path: Path) -> None:
        there = found(
            [photo],
            probe(photo, "ada", ("ada", 0.5)),
            probe(photo, None, ("ada", 3.0), outcome="unknown", box=BOB),
            probe(photo, "ada", ("ada", 1.5), outcome="unsure", box=(210, 2, 20, 20)),
        )
        shown = annotate(there, tmp_path / "out")
        assert shown.files == (tmp_path / "out" / "a.png",)
        picture = pixels(shown.files[0])
        for (left, top, width, height), color in ((ADA, GREEN), (BOB, RED), ((210, 2, 20, 20), ORANGE)):
            for corner in ((left, top), (left + width, top), (left, top + height), (left + width, top + height)):
                assert tuple(picture[corner[1], corner[0]]) == color
            assert tuple(picture[top + height // 2, left + width // 2]) == GREY  # a frame, and nothing in it
        assert tuple(picture[60, 98]) == GREY
        below = picture[ADA[1] + ADA[3] + 4 : ADA[1] + ADA[3] + 14, ADA[0] : ADA[0] + 20]  # where the name is
        assert (below.min(axis=2) > 150).any()
        assert (picture[2:8] == GREY).all(axis=2)[:, :200].all()

    def test_nothing_found_is_nothing_drawn(self, photo: Path, tmp_path: Path) -> None:
        (file,) = annotate(found([photo]), tmp_path / "out").files
        np.testing.assert_array_equal(pixels(file), pixels(photo))

    def test_without_a_box_the_frame_is_around_everything(self, photo: Path, tmp_path: Path) -> None:
        (file,) = annotate(found([photo], probe(photo, "ada", ("ada", 0.5), box=None)), tmp_path / "out").files
        assert {tuple(pixels(file)[y, x]) for y, x in ((0, 0), (0, 239), (60, 0))} == {GREEN}

    @pytest.mark.parametrize(
        ("box", "clipped"),
        [
            ((-12, 30, 60, 40), (0, 30, 48, 70)),
            ((200, 90, 80, 60), (200, 90, 239, 119)),
            ((60, -20, 60, 60), (60, 0, 120, 40)),
        ],
    )
    def test_what_reaches_over_an_edge_is_drawn_inside(
        self, photo: Path, tmp_path: Path, box: tuple[int, int, int, int], clipped: tuple[int, int, int, int]
    ) -> None:
        picture = pixels(
            annotate(found([photo], probe(photo, "Jürgen", ("Jürgen", 0.5), box=box)), tmp_path / "o").files[0]
        )
        left, top, right, bottom = clipped
        for y, x in ((top, left), (top, right), (bottom, left) if bottom < 119 else (top, left)):
            assert tuple(picture[y, x]) == GREEN
        letters = (picture > 200).all(axis=2)
        whole = (drawn(photo, "Jürgen", tmp_path / "inside") > 200).all(axis=2)
        assert letters.sum() == whole.sum()  # the whole name

    @pytest.mark.parametrize(("one", "other"), [("ada", "bob"), ("Ада", "Ида"), ("Ζωή", "Ζωά"), ("José", "Jose")])
    def test_names_can_be_told_apart(self, photo: Path, tmp_path: Path, one: str, other: str) -> None:
        white = [(drawn(photo, name, tmp_path / name) > 100).all(axis=2) for name in (one, other)]  # the letters alone
        assert white[0].any()
        assert (white[0] != white[1]).any()

    def test_a_name_that_the_font_lacks_is_a_number_with_a_legend(self, photo: Path, tmp_path: Path) -> None:
        names = ["王小明", "김", "ada", "王小明"]
        boxes = [(10 + 50 * i, 10, 40, 40) for i in range(4)]
        probes = [probe(photo, who, (who, 0.5), box=box) for who, box in zip(names, boxes, strict=True)]
        shown = annotate(found([photo], *probes), tmp_path / "out")
        assert shown.numbered == {1: "王小明", 2: "김"}
        said = [
            probe(photo, who, (who, 0.5), box=box) for who, box in zip(["#1", "#2", "ada", "#1"], boxes, strict=True)
        ]
        expected = annotate(found([photo], *said), tmp_path / "numbers")
        assert expected.numbered == {}
        np.testing.assert_array_equal(pixels(shown.files[0]), pixels(expected.files[0]))

    def test_writing_from_the_right_needs_a_library(
        self, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(features, "check", lambda feature: feature != "fribidi")
        shown = annotate(found([photo], probe(photo, "محمد", ("محمد", 0.5))), tmp_path / "out")
        assert shown.numbered == {1: "محمد"}
        monkeypatch.setattr(features, "check", lambda _: True)
        shown = annotate(found([photo], probe(photo, "محمد", ("محمد", 0.5))), tmp_path / "again")
        assert shown.numbered == {}

    def test_two_of_one_name_are_two_files(self, photo: Path, tmp_path: Path) -> None:
        other = photo.with_suffix(".bmp")
        Image.new("RGB", (50, 50), RED).save(other)
        files = annotate(found([photo, other]), tmp_path / "out").files
        assert files == (tmp_path / "out" / "a.png", tmp_path / "out" / "a-2.png")
        assert [tuple(pixels(file)[0, 0]) for file in files] == [GREY, RED]

    def test_no_file_is_ever_replaced(self, photo: Path, tmp_path: Path) -> None:
        before = photo.read_bytes()
        there = found([photo], probe(photo, "ada", ("ada", 0.5)))
        (tmp_path / "link").symlink_to(photo.parent)
        for place in (photo.parent, tmp_path / "link", photo):
            with pytest.raises(UsageError, match="new or empty folder"):
                annotate(there, place)
        (tmp_path / "out").mkdir()  # an empty one will do
        (first,) = annotate(there, tmp_path / "out").files
        written = first.read_bytes()
        with pytest.raises(UsageError, match="new or empty folder"):
            annotate(found([photo]), tmp_path / "out")
        assert (photo.read_bytes(), first.read_bytes()) == (before, written)
        assert list(photo.parent.iterdir()) == [photo]

    def test_where_nothing_can_be_written(self, photo: Path, tmp_path: Path) -> None:
        check_new(tmp_path / "new" / "folder")
        with pytest.raises(DataError, match="permissions"):
            annotate(found([photo]), photo / "below")
