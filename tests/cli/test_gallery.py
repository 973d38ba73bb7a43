"""`enrol`, `identify`, `verify --gallery`, `forget` and `gallery ...`: what a person and a script see."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import likewise as lw
from likewise.encoder import Encoder, Pictures
from likewise.gallery import sqlite
from likewise.matching.folder import CALIBRATION

Run = Callable[..., object]
Files = Callable[[int, slice], list[Path]]


@pytest.fixture
def files(digit_folder: Path) -> Files:
    return lambda digit, part: sorted((digit_folder / str(digit)).iterdir())[part]


@pytest.fixture(scope="module")
def five_digits(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, digit_folder: Path) -> Path:
    """Five pictures of the digits 0 to 4, originals kept; to be copied."""
    place = tmp_path_factory.mktemp("galleries") / "digits.gallery"
    with lw.Gallery.open(place, model_folder) as opened:
        for digit in range(5):
            pictures = sorted((digit_folder / str(digit)).iterdir())[:5]
            opened.enrol(f"digit {digit}", pictures, keep_originals=True)
    return place


@pytest.fixture
def gallery(tmp_path: Path, five_digits: Path) -> Path:
    """One of one's own, as a gallery is one file."""
    return shutil.copy(five_digits, tmp_path / "a.gallery")


@pytest.fixture(scope="module")
def forty_people(tmp_path_factory: pytest.TempPathFactory, crowd: Callable[..., lw.Dataset]) -> Path:
    """40 people with 4 pictures each, of a model without calibration, originals not kept; to be copied."""
    people = crowd([f"person {i}" for i in range(40)], each=4)
    encoder = Encoder("mlp", 16, preprocessing=Pictures.of(people.sources), seed=0)
    place = tmp_path_factory.mktemp("galleries") / "crowd.gallery"
    with lw.Gallery.open(place, lw.Model(encoder)) as opened:
        for person in range(40):
            opened.enrol(people.names[person], [people.sources[4 * person + i] for i in range(4)])
    return place


@pytest.fixture
def crowded(tmp_path: Path, forty_people: Path) -> Path:
    return shutil.copy(forty_people, tmp_path / "crowd.gallery")


class TestEnrol:
    def test_the_first_time_and_again(self, run: Run, tmp_path: Path, model_folder: Path, files: Files) -> None:
        place = tmp_path / "a.gallery"
        first = run("enrol", place, "three", *files(3, slice(2)), "--model", model_folder, "--json")
        assert first.status == 0
        assert [added["file"] for added in first.json["added"]] == list(map(str, files(3, slice(2))))
        assert first.json["name"] == "three"
        assert "originals are not kept: another model would need these pictures again" in first.err
        again = run("enrol", place, "three", *files(3, slice(3)), "--metadata", '{"door": 3}')
        assert again.out == "1 of 3 items enrolled as three, 2 were there already\n"
        assert run("gallery", "list", place, "--json").json == {"names": {"three": 3}}
        listed = run("gallery", "list", place, "three", "--json").json["records"]
        assert sorted(str(one["metadata"]) for one in listed) == ["{'door': 3}", "{}", "{}"]

    def test_a_name_that_was_left_out(
        self, run: Run, gallery: Path, model_folder: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The likeliest slip there is: the first picture stands where the name should."""
        monkeypatch.chdir(files(9, slice(1))[0].parent)
        text = run("enrol", gallery, "00.png", "01.png").refused(2)
        assert "'00.png', which is a picture. Say whose it is: likewise enrol GALLERY NAME FILE..." in text
        run("enrol", tmp_path / "new.gallery", "00.png", "01.png", "--model", model_folder).refused(2)
        assert not (tmp_path / "new.gallery").exists()
        assert run("enrol", gallery, "nine.png", "00.png").status == 0  # no such file: odd, but a name

    def test_a_first_time_that_failed_is_in_nobodys_way(
        self, run: Run, model_folder: Path, files: Files, tmp_path: Path, digit_arrays: tuple
    ) -> None:
        wrong, place = tmp_path / "wrong.model", tmp_path / "new.gallery"
        lw.Model(Encoder("mlp", 12, preprocessing=Pictures.of(digit_arrays[0][:50]), seed=5)).save(wrong)
        (tmp_path / "bad.png").write_text("no picture")
        run("enrol", place, "nine", tmp_path / "bad.png", "--model", wrong).refused(3)
        assert run("enrol", place, "nine", *files(9, slice(2)), "--model", model_folder).status == 0
        assert run("gallery", "export", place, tmp_path / "all.parquet").out.startswith("2 records in ")
        other = tmp_path / "other.gallery"
        run("gallery", "import", other, tmp_path / "all.parquet", "--model", wrong).refused(3)
        done = run("gallery", "import", other, tmp_path / "all.parquet", "--model", model_folder)
        assert done.out == "2 records entered, 0 there already\n"

    def test_originals_of_what_was_there(self, run: Run, gallery: Path, model_folder: Path, files: Files) -> None:
        run("enrol", gallery, "nine", *files(9, slice(2)))
        again = run("enrol", gallery, "nine", *files(9, slice(3)), "--keep-originals")
        assert "what was there already stays as it is: to keep its originals, forget it and enrol it again" in again.err
        assert "forget it" not in run("enrol", gallery, "ten", *files(8, slice(3)), "--keep-originals").err

    def test_a_folder(self, run: Run, gallery: Path, digit_folder: Path) -> None:
        assert len(run("enrol", gallery, "nine", digit_folder / "9", "--json").json["added"]) == 30

    def test_one_unreadable_file_among_many_is_told(
        self, run: Run, gallery: Path, files: Files, tmp_path: Path
    ) -> None:
        (tmp_path / "bad.png").write_text("no picture")
        done = run("enrol", gallery, "nine", tmp_path / "bad.png", *files(9, slice(2)), "--json")
        assert done.status == 0
        assert f"skipped {tmp_path / 'bad.png'}: " in done.err
        assert done.json["skipped"][0]["file"] == str(tmp_path / "bad.png")

    def test_no_gallery_and_no_model(self, run: Run, tmp_path: Path, files: Files) -> None:
        text = run("enrol", tmp_path / "none.gallery", "three", *files(3, slice(1))).refused(3)
        assert "--model MODEL" in text
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["a/b", "a\nb", "x" * 10_000, "", "\u202eada", "..", "a\x00b"])
    def test_what_is_no_name(self, run: Run, gallery: Path, files: Files, name: str) -> None:
        text = run("enrol", gallery, name, *files(9, slice(1))).refused(2)
        assert len(text) < 300
        run("forget", gallery, name).refused(2)
        run("verify", "--gallery", gallery, "--name", name, *files(9, slice(1))).refused(2)

    def test_a_bad_name_makes_no_gallery(self, run: Run, model_folder: Path, files: Files, tmp_path: Path) -> None:
        run("enrol", tmp_path / "new.gallery", "a/b", *files(9, slice(1)), "--model", model_folder).refused(2)
        assert not list(tmp_path.glob("new.gallery*"))

    def test_other_alphabets(self, run: Run, gallery: Path, files: Files) -> None:
        for digit, name in zip(range(5, 10), ["Jürgen", "李小龙", "עדה", "O'Neill & Söhne; --json", "🙂"], strict=True):
            assert run("enrol", gallery, name, *files(digit, slice(2))).status == 0
            assert name in run("gallery", "list", gallery).out
            found = run("identify", gallery, *files(digit, slice(1)), "--json").json["probes"][0]
            assert found["matches"][0]["name"] == name
            assert run("forget", gallery, name).status == 0

    @pytest.mark.parametrize("metadata", ["{", "3", "[1]", '{"a": NaN}'])
    def test_metadata_that_are_no_object(self, run: Run, gallery: Path, files: Files, metadata: str) -> None:
        line = run("enrol", gallery, "nine", *files(9, slice(1)), "--metadata", metadata).refused(2)
        assert "Metadata are a JSON object" in line


class TestIdentify:
    def test_an_entry_for_each(self, run: Run, gallery: Path, files: Files) -> None:
        done = run("identify", gallery, *files(3, slice(2)), "--json")
        assert done.status == 0
        for probe, file in zip(done.json["probes"], files(3, slice(2)), strict=True):
            assert (probe["file"], probe["box"], probe["decision"], probe["name"]) == (
                str(file), None, "known", "digit 3",
            )  # fmt: skip
            assert probe["matches"][0]["distance"] < 1e-4
            assert 0 <= probe["matches"][0]["probability"] <= 1
        assert "strangers would be given a name" in done.err
        assert len(done.err.splitlines()) == 1

    def test_status_1_where_any_is_not_known(self, run: Run, gallery: Path, files: Files, tmp_path: Path) -> None:
        Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "white.png")
        done = run("identify", gallery, *files(3, slice(1)), tmp_path / "white.png", "--json")
        assert [probe["decision"] for probe in done.json["probes"]] == ["known", "unknown"]
        assert done.status == 1
        assert run("identify", gallery, tmp_path / "white.png").out.startswith(f"{tmp_path / 'white.png'}: unknown")

    def test_bad_input(self, run: Run, gallery: Path, files: Files, tmp_path: Path) -> None:
        (tmp_path / "empty.png").touch()
        (tmp_path / "nothing").mkdir()
        run("identify", gallery, tmp_path / "empty.png").refused(3)
        assert "no pictures in" in run("identify", gallery, tmp_path / "nothing").refused(3)
        run("identify", gallery, tmp_path / "none.png").refused(3)
        run("identify", tmp_path / "none.gallery", *files(3, slice(1))).refused(3)
        run("identify", gallery, *files(3, slice(1)), "--k", 0).refused(2)
        run("identify", gallery, *files(3, slice(1)), "--rule", "median").refused(2)
        assert not (tmp_path / "none.gallery").exists()

    def test_neither_gallery_nor_model_is_calibrated(self, run: Run, crowded: Path, files: Files) -> None:
        assert "gallery calibrate GALLERY --fpir" in run("identify", crowded, *files(3, slice(1))).refused(3)


class TestVerify:
    def test_status_says_it(self, run: Run, gallery: Path, files: Files) -> None:
        yes = run("verify", "--gallery", gallery, "--name", "digit 3", *files(3, slice(1)), "--json")
        assert (yes.status, yes.json["same"], yes.json["name"]) == (0, True, "digit 3")
        assert yes.json["distance"] <= yes.json["threshold"]
        no = run("verify", *files(0, slice(1)), "--gallery", gallery, "--name", "digit 4", "--json")
        assert (no.status, no.json["same"]) == (1, False)
        two = [*files(3, slice(1)), *files(0, slice(1))]
        both = run("verify", "--gallery", gallery, "--name", "digit 3", *two, "--json")
        assert (both.status, both.json["same"]) == (1, False)
        assert [one["said"] for one in both.json["frames"]] == ["same", "different"]

    def test_frames_vote_and_unreadable_ones_do_not(
        self, run: Run, gallery: Path, files: Files, tmp_path: Path
    ) -> None:
        (tmp_path / "bad.png").write_text("no picture")
        given = [tmp_path / "bad.png", *files(3, slice(2)), *files(0, slice(1))]
        done = run("verify", "--gallery", gallery, "--name", "digit 3", *given, "--json")
        assert done.status == 0
        assert [one["said"] for one in done.json["frames"]] == ["unfit", "same", "same", "different"]
        assert [one["file"] for one in done.json["frames"]] == list(map(str, given))
        shown = run("verify", "--gallery", gallery, "--name", "digit 3", *given).out.splitlines()
        assert shown[0].startswith("digit 3: yes, distance")
        assert [line.split(": ")[1].split(",")[0] for line in shown[1:]] == ["unfit", "same", "same", "different"]
        for unreadable in ("bad.png", "none.png"):
            alone = run("verify", "--gallery", gallery, "--name", "digit 3", tmp_path / unreadable)
            assert alone.status == 1
            assert alone.out.startswith("digit 3: unfit, ")
            assert alone.out.count(unreadable) == 1

    def test_wrong_use(self, run: Run, gallery: Path, files: Files) -> None:
        run("verify", "--gallery", gallery, *files(3, slice(1))).refused(2)
        run("verify", "--name", "digit 3", *files(3, slice(1))).refused(2)
        run("verify", "--gallery", gallery, "--name", "digit 3").refused(2)
        assert "Perhaps 'digit 3'?" in run(
            "verify", "--gallery", gallery, "--name", "digit3", *files(3, slice(1))
        ).refused(3)
        run("verify", "--gallery", gallery, "--name", "digit 3", *files(3, slice(1)), "--fmr", 1e-9).refused(2)
        text = run("verify", "--gallery", gallery, "--name", "digit 3", *files(3, slice(1)), "--fmr", 1e-9).refused(2)
        assert "likewise gallery rebuild GALLERY MODEL" in text


class TestForget:
    def test_a_name_and_an_id(self, run: Run, gallery: Path) -> None:
        assert run("forget", gallery, "digit 3").out == "5 records of digit 3 forgotten\n"
        assert b"digit 3" not in gallery.read_bytes()
        id = run("gallery", "list", gallery, "digit 4", "--json").json["records"][0]["id"]
        assert run("forget", gallery, "--id", id, "--json").json == {"name": "digit 4", "records": 1}
        assert run("gallery", "list", gallery, "--json").json["names"]["digit 4"] == 4
        id = run("gallery", "list", gallery, "digit 4", "--json").json["records"][0]["id"]
        assert run("forget", gallery, "--id", id).out == "1 record of digit 4 forgotten\n"

    def test_nobody_and_nothing(self, run: Run, gallery: Path) -> None:
        assert "'nobody'" in run("forget", gallery, "nobody").refused(3)
        run("forget", gallery, "--id", 5).refused(3)
        run("forget", gallery).refused(2)
        run("forget", gallery, "digit 3", "--id", 5).refused(2)


class TestWhole:
    def test_info(self, run: Run, gallery: Path) -> None:
        known = run("gallery", "info", gallery, "--json").json
        assert (known["names"], known["records"], known["rule"], known["k"]) == (5, 25, "vote", 5)
        assert known["lines"]["source"] == "model"
        assert "strangers would be given a name" in run("gallery", "info", gallery).out

    def test_rename_and_merge(self, run: Run, gallery: Path) -> None:
        assert run("gallery", "rename", gallery, "digit 3", "three", "--json").json == {"name": "three", "records": 5}
        assert b"digit 3" not in gallery.read_bytes()
        assert "`merge`" in run("gallery", "rename", gallery, "three", "digit 4").refused(3)
        assert run("gallery", "merge", gallery, "three", "digit 4").status == 0
        assert run("gallery", "list", gallery, "--json").json["names"]["digit 4"] == 10
        run("gallery", "merge", gallery, "three", "digit 4").refused(3)

    def test_calibrate(self, run: Run, crowded: Path) -> None:
        shown = run("gallery", "calibrate", crowded, "--fpir", 0.1)
        assert shown.status == 0
        assert "FPIR at it" in shown.out
        assert "(95%: " in shown.out
        values = run("gallery", "calibrate", crowded, "--fpir", 0.1, "--rule", "mean", "--json").json
        strict = values["strict"]
        assert strict["fpir"]["low"] <= strict["fpir"]["value"] <= 0.1 < strict["fpir"]["high"] + 0.1
        assert 0 <= strict["fnir"]["low"] <= strict["fnir"]["value"] <= strict["fnir"]["high"] <= 1
        assert "260 names are missing" in run("gallery", "calibrate", crowded).refused(3)
        assert "got 2." in run("gallery", "calibrate", crowded, "--fpir", 2).refused(2)
        assert run("gallery", "calibrate", crowded, "--fpir", 0.6).status == 0
        values = run("gallery", "calibrate", crowded, "--fpir", 0.1, "--json").json
        assert run("gallery", "info", crowded, "--json").json["calibration"] == values  # the last that was found

    def test_export_and_import(
        self, run: Run, gallery: Path, model_folder: Path, crowded: Path, tmp_path: Path
    ) -> None:
        assert run("gallery", "export", gallery, tmp_path / "all.parquet", "--json").json["records"] == 25
        place = tmp_path / "b.gallery"
        done = run("gallery", "import", place, tmp_path / "all.parquet", "--model", model_folder, "--json")
        assert (done.json["added"], done.json["already"], done.json["skipped"]) == (25, 0, [])
        assert run("gallery", "import", place, tmp_path / "all.parquet", "--json").json["already"] == 25
        assert "embeddings of one model" in run("gallery", "import", crowded, tmp_path / "all.parquet").refused(3)
        run("gallery", "import", place, tmp_path / "none.parquet").refused(3)
        run("gallery", "export", gallery, tmp_path).refused(2)  # a folder
        before = gallery.read_bytes()
        assert "called .parquet" in run("gallery", "export", gallery, gallery).refused(2)
        assert gallery.read_bytes() == before

    def test_move(self, run: Run, gallery: Path, tmp_path: Path) -> None:
        assert run("gallery", "move", gallery, tmp_path / "b.gallery").status == 0
        assert not gallery.exists()
        assert run("gallery", "info", tmp_path / "b.gallery", "--json").json["records"] == 25
        shutil.copy(tmp_path / "b.gallery", gallery)  # a gallery is one file that can be copied
        assert "One place holds one gallery" in run("gallery", "move", gallery, tmp_path / "b.gallery").refused(3)

    def test_rebuild(
        self, run: Run, gallery: Path, crowded: Path, tmp_path: Path, digit_arrays: tuple, files: Files
    ) -> None:
        other = tmp_path / "other.model"
        lw.Model(Encoder("mlp", 12, preprocessing=Pictures.of(digit_arrays[0][:50]), seed=5)).save(other)
        text = run("enrol", gallery, "nine", *files(9, slice(1)), "--model", other).refused(3)
        assert "gallery rebuild" in text
        assert run("gallery", "rebuild", gallery, other, "--json").json["records"] == 25
        assert run("enrol", gallery, "nine", *files(9, slice(1)), "--model", other).status == 0
        assert "160 of 160 records without one" in run("gallery", "rebuild", crowded, other).refused(3)

    def test_rebuild_with_the_same_model_says_so(
        self, run: Run, gallery: Path, crowded: Path, tmp_path: Path, model_folder: Path
    ) -> None:
        done = run("gallery", "rebuild", gallery, model_folder)
        assert "the same embeddings; the calibration of the model is taken over" in done.err
        run("gallery", "calibrate", crowded, "--fpir", 0.1)
        with lw.Gallery.open(crowded) as opened:
            opened.model.save(tmp_path / "same.model")
        done = run("gallery", "rebuild", crowded, tmp_path / "same.model")
        assert "dropped" not in done.err
        assert run("gallery", "info", crowded, "--json").json["calibration"] is not None

    def test_records_are_listed_plainly(self, run: Run, gallery: Path, files: Files) -> None:
        run("enrol", gallery, "nine", *files(9, slice(1)))
        run("enrol", gallery, "nine", *files(9, slice(2)), "--metadata", '{"door": 3, "by": "Zoë"}')
        lines = run("gallery", "list", gallery, "nine").out.splitlines()
        assert all(line == line.rstrip() for line in lines)
        assert sorted(line.partition("UTC")[2] for line in lines) == ["", '  {"door": 3, "by": "Zoë"}']

    def test_nobody_is_enrolled(self, run: Run, gallery: Path, files: Files) -> None:
        for digit in range(5):
            run("forget", gallery, f"digit {digit}")
        done = run("identify", gallery, *files(3, slice(1)), "--json")
        assert (done.status, done.json["lines"]["fpir"]) == (1, 0)
        assert "nobody is enrolled" in done.err
        assert "nobody is enrolled" in run("gallery", "info", gallery).out

    def test_an_answer_says_how_many_voted_and_how_probable_it_is(self, run: Run, gallery: Path, files: Files) -> None:
        out = run("identify", gallery, *files(3, slice(1))).out
        assert re.search(r"00\.png: digit 3 \(digit 3 [\d.e-]+, 5 votes, \d+\.\d% the same", out)

    def test_files_that_are_no_galleries(
        self, run: Run, gallery: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "text").write_text("no gallery" * 1000)
        for place in (tmp_path / "text", tmp_path, files(3, slice(1))[0]):
            run("gallery", "info", place).refused(3)
            run("forget", place, "ada").refused(3)
        run("gallery", "info", "ftp://host/name").refused(2)
        monkeypatch.setattr(sqlite, "WAIT", 0.2)
        holder = sqlite3.connect(gallery, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert "Try again" in run("forget", gallery, "digit 3").refused(3)
        holder.close()

    def test_a_model_changed_under_a_gallery(self, run: Run, gallery: Path, files: Files) -> None:
        db = sqlite3.connect(gallery, isolation_level=None)
        ((parameters,),) = db.execute("SELECT content FROM model_files WHERE path = 'model.safetensors'")
        damaged = parameters[:-4] + b"\x00\x00\x80\x3f"
        db.execute("UPDATE model_files SET content = ? WHERE path = 'model.safetensors'", (damaged,))
        db.close()
        run("identify", gallery, *files(3, slice(1))).refused(3)


def test_the_command_line_and_python_give_the_same_answers(
    run: Run, gallery: Path, files: Files, digit_folder: Path
) -> None:
    with lw.Gallery.open(gallery) as opened:
        found = opened.identify([file for digit in range(6) for file in files(digit, slice(28, 30))])
        given = [Path(probe.file) for probe in found]
        for rule, k in (("vote", 5), ("vote", 1), ("mean", 5)):
            said = run("identify", gallery, *given, "--rule", rule, "--k", k, "--json")
            expected = opened.identify(given, rule=rule, k=k)
            assert said.json == json.loads(json.dumps(expected.as_dict()))
            assert said.status == (0 if expected.all_known else 1)
        for file in given:
            said = run("verify", "--gallery", gallery, "--name", "digit 3", file, "--json")
            assert said.json == json.loads(json.dumps(opened.verify(file, "digit 3").as_dict()))
        assert run("gallery", "list", gallery, "--json").json["names"] == opened.names()


def test_help_imports_nothing_heavy() -> None:
    script = """
import contextlib, io, sys
from likewise.cli import main
verbs = ("info", "list", "rename", "merge", "calibrate", "export", "import", "move", "rebuild")
for command in (["enrol"], ["identify"], ["forget"], ["gallery"], *(["gallery", verb] for verb in verbs)):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*command, "--help"])
    assert out.getvalue().startswith(f"Usage: likewise {' '.join(command)}"), out.getvalue()
print(sorted({"torch", "numpy", "rich", "PIL", "scipy", "pyarrow", "pymilvus", "faiss"} & set(sys.modules)))
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_a_gallery_needs_no_model_folder(run: Run, tmp_path: Path, model_folder: Path, files: Files) -> None:
    shutil.copytree(model_folder, tmp_path / "m.model")
    run("enrol", tmp_path / "a.gallery", "three", *files(3, slice(3)), "--model", tmp_path / "m.model")
    shutil.rmtree(tmp_path / "m.model")
    assert run("identify", tmp_path / "a.gallery", *files(3, slice(1))).status == 0


def test_a_model_without_calibration_can_be_enrolled_with(
    run: Run, tmp_path: Path, model_folder: Path, files: Files
) -> None:
    shutil.copytree(model_folder, tmp_path / "m.model")
    (tmp_path / "m.model" / CALIBRATION).unlink()
    place = tmp_path / "a.gallery"
    assert run("enrol", place, "three", *files(3, slice(3)), "--model", tmp_path / "m.model").status == 0
    assert "none: neither the gallery nor its model is calibrated" in run("gallery", "info", place).out
    run("identify", place, *files(3, slice(1))).refused(3)
