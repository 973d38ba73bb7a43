"""`likewise data check` of a pairs file, of clips and of one flat folder; and clips where labelled items belong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn_trigger import drawn_clips
from PIL import Image

from likewise.data import Clips

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return drawn_clips(tmp_path_factory.mktemp("drawn"), 20)


def test_pairs(run: Run, tree: Path) -> None:
    rows = ["person 0/0.png,person 0/1.png,1", "person 0/1.png,person 0/0.png,0", "person 0/0.png,person 1/0.png,0"]
    (tree / "pairs.csv").write_text("a,b,same\n" + "\n".join(rows))
    found = run("data", "check", tree / "pairs.csv", "--json").json
    assert (found["items"], found["identities"], found["counts"]) == (3, None, {"same": 1, "different": 2})
    assert [problem["kind"] for problem in found["problems"]] == ["two answers"]
    shown = run("data", "check", tree / "pairs.csv")
    assert shown.status == 0
    assert "not known, only pairs" in shown.out
    assert "listed as same and as different" in shown.out


def test_clips(run: Run, drawn: Clips, tmp_path: Path) -> None:
    values = run("data", "check", drawn.origin, "--json").json
    assert (values["clips"], values["seconds"]) == (20, pytest.approx(60))
    assert values["triggers"] == drawn.triggers > 0
    assert values["others"] == len(drawn.clip) - drawn.triggers > 0
    assert values["without"] == 20 - len(set(drawn.clip[drawn.positive].tolist())) > 0
    assert values["voices"] == len(set(drawn.voices[drawn.positive].tolist())) > 1
    assert values["problems"] == []
    shown = run("data", "check", Path(drawn.origin) / "manifest.csv").out
    assert f"20, {values['without']} of them without the trigger" in shown
    assert "60 s, which is 0.0167 h" in shown
    assert "identities" not in shown
    assert "manifest" in run("data", "check", drawn.origin, "--group-from", "(x)").refused(2)


def test_bad_clips(run: Run, tmp_path: Path) -> None:
    few = drawn_clips(tmp_path, 6, most_positive=0)
    few.sources[2].write_bytes(b"no sound")
    few.sources[4].write_bytes(few.sources[3].read_bytes())
    values = run("data", "check", few.origin, "--json").json
    assert (values["clips"], values["triggers"], values["without"], values["voices"]) == (5, 0, 5, 0)
    told = [(problem["kind"], [Path(file).name for file in problem["files"]]) for problem in values["problems"]]
    assert told == [("unreadable", ["00002.wav"]), ("no trigger", []), ("twice", ["00003.wav", "00004.wav"])]


def test_a_pile(run: Run, tmp_path: Path) -> None:
    drawn_clips(tmp_path, 2)
    trigger = tmp_path / "piles" / "trigger"
    (trigger / "broken.wav").write_bytes(b"")
    found = run("data", "check", trigger, "--json")
    assert "one flat folder, taken for a pile of trigger" in found.err
    assert (found.json["items"], found.json["counts"]) == (8, {"trigger": 8})
    assert [problem["kind"] for problem in found.json["problems"]] == ["unreadable", "one identity"]


def test_what_is_not_read_beside_pictures_is_told(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        Image.new("L", (20, 20), 9 * ord(name) % 256).save(tmp_path / f"{name}.png")
    (tmp_path / "annotations.json").write_text("[]")
    assert "no format of boxes is known there: annotations.json" in run("data", "check", tmp_path).err


def test_clips_are_no_labelled_items(run: Run, drawn: Clips, model_folder: Path, tmp_path: Path) -> None:
    for where in (drawn.origin, Path(drawn.origin) / "manifest.csv"):
        for command in (
            ("train", where, "--out", tmp_path / "m"), ("evaluate", model_folder, where),
            ("calibrate", model_folder, where), ("map", model_folder, where, "-o", tmp_path / "m.png"),
        ):  # fmt: skip
            line = run(*command).refused(3)
            assert "clips, in which it is known where words are" in line
            assert "pass --task triggerword" in line
    assert list(tmp_path.iterdir()) == []


def test_times_beside_labels_do_not_make_clips(run: Run, tree: Path) -> None:
    rows = [f"person {who}/{n}.png,{who},0,1" for who in range(2) for n in range(3)]
    (tree / "manifest.csv").write_text("path,label,start,end\n" + "\n".join(rows))
    assert run("data", "check", tree / "manifest.csv", "--json").json["items"] == 6
    assert run("data", "check", tree, "--json").json["items"] == 24


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A folder in YOLO's format: two pictures with boxes, one with a bad line."""
    for i, line in enumerate(("0 0.5 0.5 0.4 0.4", "1 0.25 0.25 0.8 0.2", "7 0.5 0.5 1 1")):
        for folder in ("images", "labels"):
            (tmp_path / "marked" / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80), (i, 0, 0)).save(tmp_path / "marked" / "images" / f"{i}.png")
        (tmp_path / "marked" / "labels" / f"{i}.txt").write_text(line + "\n")
    (tmp_path / "marked" / "classes.txt").write_text("cat\ndog\n")
    return tmp_path / "marked"


def test_boxes_are_checked(run: Run, marked: Path) -> None:
    result = run("data", "check", marked, "--json")
    assert result.status == 0
    assert (result.json["pictures"], result.json["boxes"]) == (2, 2)
    assert result.json["classes"] == {"cat": 1, "dog": 1}
    assert [problem["kind"] for problem in result.json["problems"]] == ["annotation", "annotation"]
    table = run("data", "check", marked)
    assert "2, 0 of them without a box" in table.out
    assert "labels/2.txt: A class has a name; got 7 of 2 names" in table.out
    assert "images/1.png: A box lies in its picture" in table.out


def test_boxes_are_converted(run: Run, marked: Path, tmp_path: Path) -> None:
    result = run("data", "boxes", marked, "--to", "voc", "-o", tmp_path / "voc", "--json")
    assert result.status == 0
    assert (result.json["pictures"], result.json["boxes"], result.json["classes"]) == (2, 2, ["cat", "dog"])
    assert [each["file"] for each in result.json["problems"]] == ["labels/2.txt", "images/1.png"]
    assert (tmp_path / "voc" / "Annotations" / "0.xml").is_file()
    again = run("data", "boxes", tmp_path / "voc", "-o", tmp_path / "coco")
    assert again.status == 0
    assert "written to" in again.out
    assert run("data", "check", tmp_path / "coco", "--json").json["problems"] == []


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("out", [".", "..", "images", "new"])
def test_a_folder_is_not_converted_onto_itself(run: Run, marked: Path, to: str, out: str) -> None:
    before = {file: file.read_bytes() for file in marked.parent.rglob("*") if file.is_file()}
    result = run("data", "boxes", marked, "--to", to, "-o", marked / out)
    assert result.status == 2
    assert "outside of what it is made from" in result.err
    assert {file: file.read_bytes() for file in marked.parent.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_another_labelled_folder_is_not_replaced(run: Run, marked: Path, tmp_path: Path, to: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("classes.txt", "annotations.json", "notes.txt"):
        (other / name).write_text("mine")
    result = run("data", "boxes", marked, "--to", to, "-o", other)
    assert result.status == 2
    assert "new or empty" in result.err
    assert sorted(file.name for file in other.iterdir()) == ["annotations.json", "classes.txt", "notes.txt"]


@pytest.mark.parametrize(
    ("to", "out", "said"),
    [("kitti", "new", "coco, voc or yolo"), ("coco", "full", "new or empty"), ("kitti", "full", "new or empty")],
)
def test_boxes_that_cannot_be_converted(run: Run, marked: Path, tmp_path: Path, to: str, out: str, said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    result = run("data", "boxes", marked, "-o", tmp_path / out, "--to", to)
    assert result.status == 2
    assert said in result.err
    assert run("data", "boxes", tmp_path / "gone", "-o", tmp_path / "x").status == 3
