"""`identify --known`, `--format csv` and `--annotate`, and `verify --log`: what a person and a script see."""

from __future__ import annotations

import csv
import io
import json
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import likewise as lw

Run = Callable[..., object]
Files = Callable[[int, slice], list[Path]]


@pytest.fixture
def files(digit_folder: Path) -> Files:
    return lambda digit, part: sorted((digit_folder / str(digit)).iterdir())[part]


@pytest.fixture
def known(tmp_path: Path, files: Files) -> Path:
    """Three pictures of each of 0 to 3 in sub-folders, and one picture of 4 by itself."""
    folder = tmp_path / "known"
    for digit in range(4):
        (folder / f"digit {digit}").mkdir(parents=True)
        for file in files(digit, slice(3)):
            shutil.copy(file, folder / f"digit {digit}")
    shutil.copy(files(4, slice(1))[0], folder / "digit 4.png")
    return folder


def about(found: Any) -> Any:
    """The same with floats rounded: batches of other sizes add up in another order."""
    if isinstance(found, dict):
        return {key: about(value) for key, value in found.items()}
    if isinstance(found, list):
        return [about(value) for value in found]
    return pytest.approx(found, rel=1e-4, abs=1e-5) if isinstance(found, float) else found


class TestKnown:
    def test_is_a_gallery_of_the_same_pictures(
        self, run: Run, known: Path, files: Files, model_folder: Path, tmp_path: Path
    ) -> None:
        probes = [file for digit in range(6) for file in files(digit, slice(5, 8))]
        with lw.Gallery.open(tmp_path / "g.gallery", model_folder) as gallery:
            for digit in range(4):
                gallery.enrol(f"digit {digit}", files(digit, slice(3)))
            gallery.enrol("digit 4", files(4, slice(1)))
            expected = gallery.identify(probes).as_dict()
        found = run("identify", "--known", known, *probes, "--model", model_folder, "--json")
        assert found.json == about(json.loads(json.dumps(expected)))
        assert found.status == (0 if all(p["decision"] == "known" for p in expected["probes"]) else 1)

    def test_a_picture_that_cannot_be_used_is_told_and_the_others_are_known(
        self, run: Run, known: Path, files: Files, model_folder: Path
    ) -> None:
        (known / "digit 0" / "broken.png").write_text("no picture")
        (known / "nobody.png").write_text("no picture")
        found = run("identify", files(0, slice(5, 6))[0], "--known", known, "--model", model_folder, "--json")
        assert {match["name"] for match in found.json["probes"][0]["matches"]} <= {f"digit {i}" for i in range(5)}
        assert "broken.png" in found.err
        assert "nobody" in found.err

    def test_people_are_encoded_in_one_pass(
        self, run: Run, known: Path, files: Files, model_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        passes: list[int] = []
        encode_parts = lw.Model.encode_parts

        def counted(model: lw.Model, items: list[Any], **options: Any) -> Any:
            passes.append(len(items))
            return encode_parts(model, items, **options)

        monkeypatch.setattr(lw.Model, "encode_parts", counted)
        run("identify", "--known", known, *files(0, slice(5, 7)), "--model", model_folder)
        assert passes == [13, 2]

    @pytest.mark.parametrize("name", ["x" * 210, "left\u200eright"])
    def test_who_cannot_be_called_so_is_told_and_the_others_are_known(
        self, run: Run, known: Path, files: Files, model_folder: Path, name: str
    ) -> None:
        shutil.copy(files(5, slice(1))[0], known / f"{name}.png")
        found = run("identify", "--known", known, files(0, slice(1))[0], "--model", model_folder, "--json")
        (probe,) = found.json["probes"]
        assert (probe["decision"], probe["name"], found.json["records"]) == ("known", "digit 0", 13)
        assert len([line for line in found.err.splitlines() if "skipped" in line]) == 1
        assert "A name " in found.err
        for other in known.iterdir():
            if other.is_dir():
                shutil.rmtree(other)
        (known / "digit 4.png").unlink()
        line = run("identify", "--known", known, files(0, slice(1))[0], "--model", model_folder).refused(3)
        assert "There is somebody to know" in line

    def test_a_folder_for_somebody_without_pictures_is_told(
        self, run: Run, known: Path, files: Files, model_folder: Path
    ) -> None:
        (known / "Nobody" / "deeper").mkdir(parents=True)
        (known / ".hidden").mkdir()
        found = run("identify", "--known", known, files(0, slice(1))[0], "--model", model_folder)
        assert [line for line in found.err.splitlines() if line.startswith("skipped")] == [
            f"skipped {known / 'Nobody'}: no pictures in it, so nobody is known by this name"
        ]

    def test_what_is_not_there_is_told_before_anything_is_loaded(self, run: Run, known: Path) -> None:
        line = run("identify", "--known", known, "nodir.txt", "--model", "no such model").refused(3)
        assert "nodir.txt (No such file or directory)" in line
        line = run("identify", "none.gallery", "a.jpg", "b.jpg").refused(3)
        assert "None of 2 items can be used, the first because" in line
        assert "a.jpg" in line

    def test_nobody_to_know(self, run: Run, files: Files, model_folder: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        for place in ("empty", "nowhere"):
            run("identify", "--known", tmp_path / place, *files(0, slice(1)), "--model", model_folder).refused(3)

    def test_a_model_is_for_known_people_only(self, run: Run, files: Files, model_folder: Path) -> None:
        run("identify", "g.gallery", *files(0, slice(1)), "--model", model_folder).refused(2)

    def test_files_are_needed(self, run: Run, known: Path) -> None:
        assert "Missing argument 'FILE...'. Try" in run("identify", "g.gallery").refused(2)
        assert "Missing argument 'GALLERY FILE...'. Try" in run("identify").refused(2)
        assert "Missing argument 'FILE...'. Try" in run("identify", "--known", known).refused(2)
        line = run("verify", "--gallery", "g.gallery", "--name", "ada").refused(2)
        assert line == "likewise: Missing argument 'FILE...'. Try `likewise verify --help`."
        assert "Missing argument 'B'. Try" in run("verify", "a.model", "a.jpg").refused(2)
        assert "4 of them, and 3 are wanted" in run("verify", "a.model", "a.jpg", "b.jpg", "c.jpg").refused(2)


def test_csv_has_a_line_for_each_probe(run: Run, known: Path, files: Files, model_folder: Path) -> None:
    probes = [file for digit in range(7) for file in files(digit, slice(5, 7))]
    asked = ("identify", "--known", known, *probes, "--model", model_folder)
    expected = run(*asked, "--json").json["probes"]
    rows = list(csv.reader(io.StringIO(run(*asked, "--format", "csv").out)))
    assert [row[0] for row in rows] == [str(file) for file in probes]
    assert [row[1] for row in rows] == [p["name"] if p["decision"] == "known" else "unknown_person" for p in expected]
    assert "unknown_person" in {row[1] for row in rows}
    assert [float(row[2]) for row in rows] == pytest.approx([p["matches"][0]["distance"] for p in expected], rel=1e-5)


def test_csv_in_full_tells_of_every_picture(run: Run, known: Path, files: Files, model_folder: Path) -> None:
    (known.parent / "cut.png").write_text("no picture")
    probe = files(0, slice(5, 6))[0]
    asked = ("identify", "--known", known, known.parent / "cut.png", probe, "--model", model_folder, "--format")
    rows = list(csv.DictReader(io.StringIO(run(*asked, "csv-full").out)))
    assert [(row["path"], row["decision"]) for row in rows] == [
        (str(probe), "known"), (str(known.parent / "cut.png"), "unreadable")
    ]  # fmt: skip
    assert "cut.png" in rows[1]["problem"]
    assert len(run(*asked, "csv").out.splitlines()) == 1


def test_annotated_pictures_are_copies(run: Run, known: Path, files: Files, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    large = [tmp_path / "one.png", tmp_path / "a" / "one.png"]
    for digit, place in enumerate(large):
        Image.open(files(digit, slice(5, 6))[0]).resize((200, 200)).save(place)
    before = [file.read_bytes() for file in large]
    out = tmp_path / "shown"
    found = run("identify", "--known", known, *large, "--model", model_folder, "--annotate", out, "--json")
    assert found.json["annotated"] == [str(out / "one.png"), str(out / "one-2.png")]
    assert [file.read_bytes() for file in large] == before
    assert found.json["numbered"] == {}
    for file in found.json["annotated"]:
        picture = Image.open(file)
        assert picture.size == (200, 200)
        red, green, blue = picture.getpixel((0, 100))
        assert max(red, green, blue) - min(red, green, blue) > 50  # a frame in colour around a grey picture


def test_originals_are_never_written_over(run: Run, known: Path, files: Files, model_folder: Path) -> None:
    photos = known.parent / "photos"
    photos.mkdir()
    for file in (*files(0, slice(5, 7)), *files(9, slice(5, 6))):
        shutil.copy(file, photos / f"{file.parent.name} {file.name}")
    before = {file: file.read_bytes() for file in [*photos.iterdir(), *known.rglob("*.png")]}
    for place in (photos, known, known / "digit 4.png"):
        asked = ("identify", "--known", known, photos, "--model", "no such model", "--annotate", place)
        assert "new or empty folder" in run(*asked).refused(2)  # before anything is loaded
    assert {file: file.read_bytes() for file in [*photos.iterdir(), *known.rglob("*.png")]} == before


def test_a_name_that_cannot_be_drawn_has_a_number(run: Run, files: Files, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    shutil.copy(files(3, slice(1))[0], tmp_path / "known" / "王小明.png")
    asked = ("identify", "--known", tmp_path / "known", files(3, slice(1))[0], "--model", model_folder)
    found = run(*asked, "--annotate", tmp_path / "shown", "--json")
    assert found.json["probes"][0]["name"] == "王小明"
    assert found.json["numbered"] == {"1": "王小明"}
    assert "#1 is 王小明" in found.err


class TestLog:
    def test_what_was_seen_by_nobody_is_on_record_too(
        self, run: Run, files: Files, model_folder: Path, tmp_path: Path
    ) -> None:
        place, log, cut = tmp_path / "g.gallery", tmp_path / "door.jsonl", tmp_path / "cut.png"
        run("enrol", place, "three", *files(3, slice(5)), "--model", model_folder)
        cut.write_bytes(files(3, slice(1))[0].read_bytes()[:50])
        said = run("verify", "--gallery", place, "--name", "three", "--log", log, cut, "--json")
        assert (said.status, said.json["said"], said.json["distance"]) == (1, "unfit", None)
        (line,) = (json.loads(line) for line in log.read_text().splitlines())
        assert (line["said"], line["same"], line["name"]) == ("unfit", False, "three")
        assert str(cut) in line["frames"][0]["problem"]

    @pytest.mark.parametrize("name", ["eve", "x" * 500, "a/b"])
    def test_a_name_that_is_refused_is_on_record(
        self, run: Run, files: Files, model_folder: Path, tmp_path: Path, name: str
    ) -> None:
        place, log = tmp_path / "g.gallery", tmp_path / "door.jsonl"
        run("enrol", place, "three", *files(3, slice(5)), "--model", model_folder)
        asked = ("verify", "--gallery", place, "--name", name, *files(3, slice(2)))
        status = 3 if name == "eve" else 2
        assert run(*asked).refused(status) == (refusal := run(*asked, "--log", log).refused(status))
        (line,) = (json.loads(line) for line in log.read_text().splitlines())
        assert (line["said"], line["same"], line["name"]) == ("refused", False, name[:200])
        assert line["problem"] in refusal
        assert line["files"] == [str(file) for file in files(3, slice(2))]
        with lw.Gallery.open(place) as gallery:
            assert (line["gallery"], line["model"]) == (gallery.uri, gallery.fingerprint)
        run(*asked, "--log", tmp_path).refused(3)  # and nothing is said without a record

    def test_a_line_for_every_decision(self, run: Run, files: Files, model_folder: Path, tmp_path: Path) -> None:
        place, log = tmp_path / "g.gallery", tmp_path / "door.jsonl"
        run("enrol", place, "three", *files(3, slice(5)), "--model", model_folder)
        asked = ("verify", "--gallery", place, "--name", "three", "--log", log)
        before = datetime.now(UTC)
        answers = [
            run(*asked, *files(3, slice(5, 8)), "--json").json,
            run(*asked, *files(8, slice(5, 6)), "--json").json,
        ]
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        times = [datetime.fromisoformat(line.pop("when")) for line in lines]
        assert [time.utcoffset() for time in times] == [timedelta(0)] * 2
        slack = timedelta(milliseconds=1)  # to which times are rounded
        assert before - slack <= times[0] <= times[1] <= datetime.now(UTC)
        model = lw.load(model_folder).fingerprint
        assert lines == [{"gallery": str(place), "model": model, **said} for said in answers]
        assert answers[0]["supported"] is True
        assert len(lines[0]["frames"]) == 3
        assert stat.S_IMODE(log.stat().st_mode) == 0o600

    def test_what_cannot_be_logged_is_not_answered(
        self, run: Run, files: Files, model_folder: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "g.gallery"
        run("enrol", place, "three", *files(3, slice(5)), "--model", model_folder)
        refused = run("verify", "--gallery", place, "--name", "three", *files(3, slice(1)), "--log", tmp_path)
        assert "A decision is logged before it is told" in refused.refused(3)
        assert refused.out == ""
        nowhere = tmp_path / "nowhere" / "door.jsonl"
        line = run("verify", "--gallery", place, "--name", "three", *files(3, slice(1)), "--log", nowhere).refused(3)
        assert line.count(str(nowhere)) == 1

    def test_is_for_names(self, run: Run, files: Files, model_folder: Path, tmp_path: Path) -> None:
        run("verify", model_folder, *files(3, slice(2)), "--log", tmp_path / "door.jsonl").refused(2)
