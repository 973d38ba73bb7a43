"""likewise synthesize and likewise voices, as a script sees them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.main import get_command

from likewise.cli.app import make_app
from likewise.cli.synthesize import PICTURE_OPTIONS

Run = Callable[..., object]
RATE = 16_000


@pytest.fixture
def piles(tmp_path: Path) -> list[object]:
    """Options that name three piles of drawn sounds, and make a few short clips."""
    rng = np.random.default_rng(0)
    for pile, hertz in (("beep", 900), ("boop", 300)):
        (tmp_path / pile).mkdir()
        for i in range(5):
            t = np.arange(round((0.2 + 0.02 * i) * RATE)) / RATE
            word = np.pad(0.4 * np.sin(2 * np.pi * hertz * t), RATE // 4)
            soundfile.write(tmp_path / pile / f"{i}.wav", word, RATE)
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "hiss.wav", 0.02 * rng.standard_normal(5 * RATE), RATE)
    return [
        "--positive", tmp_path / "beep", "--negative", tmp_path / "boop", "--background", tmp_path / "noise",
        "--count", 5, "--seconds", 2, "--most-positive", 2, "--most-negative", 2,
    ]  # fmt: skip


def test_synthesize_answers_with_one_document(run: Run, piles: list[object], tmp_path: Path) -> None:
    result = run("synthesize", *piles, "--out", tmp_path / "clips", "--hard", "--json")
    assert result.status == 0
    assert result.json["clips"] == 5
    assert result.json["seconds"] == 10
    assert result.json["files"] == {"positives": 5, "negatives": 5, "backgrounds": 1}
    with Path(result.json["manifest"]).open(newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["path"] for row in found} == {f"sounds/0000{i}.wav" for i in range(5)}
    assert all((tmp_path / "clips" / row["path"]).is_file() for row in found)
    assert sum(bool(row["start"]) for row in found) == result.json["positive"] + result.json["negative"]
    assert json.loads((tmp_path / "clips" / "clips.json").read_text())["finished"] is True


def test_synthesize_as_a_table(run: Run, piles: list[object], tmp_path: Path) -> None:
    (tmp_path / "beep" / "bad.wav").write_text("not a sound")
    result = run("synthesize", *piles, "--out", tmp_path / "clips")
    assert result.status == 0
    rows = dict(line.split("  ", 1) for line in result.out.splitlines())
    assert rows["clips"].strip() == "5"
    assert rows["positives used"].strip() == "5"
    assert rows["written to"].strip() == str(tmp_path / "clips" / "manifest.csv")
    assert "bad.wav: A sound is one of" in next(line for line in result.err.splitlines() if line.startswith("skipped"))


def test_options_reach_the_clips(run: Run, piles: list[object], tmp_path: Path) -> None:
    options = ("--rate", 8000, "--snr", 3, 3, "--gain", -6, -6, "--take", "0:0.4", "--seed", 4, "--count", 30)
    noise = tmp_path / "noise"
    for i in range(3):
        shutil.copy(noise / "hiss.wav", noise / f"more{i}.wav")
    result = run("synthesize", *piles, *options, "--out", tmp_path / "clips", "--json")
    with Path(result.json["manifest"]).open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["start"]]
    assert {row["snr_db"] for row in found} == {"3.000"}
    assert {row["gain_db"] for row in found} == {"-6.0000"}
    assert {row["source"] for row in found} == {"beep/0.wav", "beep/1.wav", "boop/0.wav", "boop/1.wav"}
    assert soundfile.info(tmp_path / "clips" / found[0]["path"]).samplerate == 8000


def test_a_pile_of_several_folders(run: Run, piles: list[object], tmp_path: Path) -> None:
    """As false alarms are added to the negatives."""
    (tmp_path / "alarms").mkdir()
    for i in range(3):
        shutil.copy(tmp_path / "boop" / f"{i}.wav", tmp_path / "alarms" / f"{i}.wav")
    more = ("--negative", tmp_path / "alarms", "--count", 40)
    result = run("synthesize", *piles, *more, "--out", tmp_path / "clips", "--json")
    assert result.json["files"]["negatives"] == 8
    with Path(result.json["manifest"]).open(newline="") as file:
        found = {row["source"] for row in csv.DictReader(file) if row["kind"] == "negative"}
    assert found == {*(f"boop/{i}.wav" for i in range(5)), *(f"alarms/{i}.wav" for i in range(3))}


def test_many_skipped_files_are_some_lines_and_a_number(run: Run, piles: list[object], tmp_path: Path) -> None:
    word = np.pad(0.3 * np.sin(2 * np.pi * 300 * np.arange(3 * RATE) / RATE), RATE // 4)
    for i in range(13):
        soundfile.write(tmp_path / "boop" / f"long{i}.wav", word, RATE)
    result = run("synthesize", *piles, "--out", tmp_path / "clips")
    lines = [line for line in result.err.splitlines() if line.startswith("skipped")]
    assert len(lines) == 11
    assert all(line.endswith("longer than a clip: 3.00 s of 2 s; see --seconds") for line in lines[:10])
    assert lines[10] == f"skipped 3 more: all are in {tmp_path / 'clips' / 'clips.json'}"
    assert len(json.loads((tmp_path / "clips" / "clips.json").read_text())["skipped"]) == 13


def test_words_without_room_are_told_with_what_to_change(run: Run, piles: list[object], tmp_path: Path) -> None:
    result = run("synthesize", *piles, "--gap", 1, "--count", 20, "--out", tmp_path / "clips")
    assert "words, for lack of room: see --seconds and --gap" in result.out


def test_what_clips_were_made_from_is_told_by_the_names_of_options(
    run: Run, piles: list[object], tmp_path: Path
) -> None:
    """Which a folder that is gone on with otherwise names."""
    run("synthesize", *piles, "--out", tmp_path / "clips")
    made_from = json.loads((tmp_path / "clips" / "clips.json").read_text())["made_from"]
    named = {name for name in made_from if name.startswith("--")}
    assert set(made_from) == named | {"positives", "negatives", "backgrounds", "versions"}
    synthesize = get_command(make_app("synthesize")).commands["synthesize"]
    taken = {option for each in synthesize.params for option in each.opts}
    taken -= {"--object", *(f"--{name}" for name in PICTURE_OPTIONS)}
    assert taken - named == {"--positive", "--negative", "--background", "--out", "--json"}
    assert not named - taken


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--take", "0.6"], "FROM:TO"), (["--take", "a:b"], "FROM:TO"), (["--take", "0.6:0.2"], "share"),
        (["--snr", 10, 0], "SNR"), (["--count", 0], "At least 1"), (["--seconds", -1], "lasts"),
        (["--gap", "nan"], "gap"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(
    run: Run, piles: list[object], tmp_path: Path, options: list[object], said: str
) -> None:
    assert said in run("synthesize", *piles, *options, "--out", tmp_path / "clips").refused(2)
    assert not (tmp_path / "clips").exists()


def test_a_pile_that_is_not_named(run: Run, piles: list[object], tmp_path: Path) -> None:
    line = run("synthesize", *piles[2:], "--out", tmp_path / "clips").refused(2)
    assert "--positive DIR" in line


def test_an_empty_pile(run: Run, piles: list[object], tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    line = run("synthesize", *piles, "--background", tmp_path / "none", "--out", tmp_path / "clips").refused(3)
    assert "The pile of backgrounds holds sounds" in line


def test_a_folder_of_other_clips(run: Run, piles: list[object], tmp_path: Path) -> None:
    run("synthesize", *piles, "--out", tmp_path / "clips")
    line = run("synthesize", *piles, "--seed", 1, "--out", tmp_path / "clips").refused(2)
    assert "not as then: --seed" in line


def test_voices_without_a_program(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    line = run("voices", "alexa", "--out", tmp_path / "out").refused(2)
    assert "apt install espeak-ng" in line


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_voices_answer_with_one_document(run: Run, tmp_path: Path) -> None:
    result = run("voices", "alexa", "--out", tmp_path / "out", "--count", 4, "--near", 2, "--json")
    assert result.status == 0
    assert result.json["clips"] == 8
    assert result.json["words"] == {"alexa": 4}
    assert sum(result.json["near"].values()) == 4
    assert len(list((tmp_path / "out" / "alexa").glob("*.wav"))) == 4
    assert result.json["seconds"] > 4
    assert Path(result.json["manifest"]).is_file()


def test_neither_command_imports_what_it_need_not() -> None:
    """`--help` is there in no time."""
    code = (
        "import sys, likewise.cli.synthesize, likewise.cli.voices;"
        " print({'numpy', 'torch', 'soundfile'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture
def collage(tmp_path: Path) -> list[object]:
    """Options that name objects and photos, and make a few small pictures."""
    rng = np.random.default_rng(0)
    for name, side in (("dot", 8), ("spot", 14)):
        (tmp_path / "objects" / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.zeros((20, 20), np.uint8)
            pixels[2 : 2 + side, 2 : 2 + side] = 200 + i
            Image.fromarray(pixels).save(tmp_path / "objects" / name / f"{i}.png")
    (tmp_path / "photos").mkdir()
    Image.fromarray(rng.integers(0, 99, (90, 120, 3)).astype(np.uint8)).save(tmp_path / "photos" / "a.png")
    return ["--object", tmp_path / "objects", "--background", tmp_path / "photos", "--count", 6, "--size", 64]


def test_what_pictures_were_made_from_is_told_by_the_names_of_options(
    run: Run, collage: list[object], tmp_path: Path
) -> None:
    run("synthesize", *collage, "--out", tmp_path / "out")
    made_from = json.loads((tmp_path / "out" / "pictures.json").read_text())["made_from"]
    named = {name for name in made_from if name.startswith("--")}
    assert named == {f"--{name}" for name in PICTURE_OPTIONS} | {"--count", "--seed", "--take", "--group-from", "--gap"}


def test_synthesize_pictures_answers_with_one_document(run: Run, collage: list[object], tmp_path: Path) -> None:
    (tmp_path / "photos" / "bad.jpg").write_text("not a picture")
    result = run("synthesize", *collage, "--out", tmp_path / "out", "--objects", 1, 2, "--json")
    assert result.status == 0
    assert result.json["pictures"] == 6
    assert result.json["manifest"] == str(tmp_path / "out" / "annotations.json")
    assert result.json["files"] == {"objects": 8, "backgrounds": 1}
    assert sum(result.json["classes"].values()) == result.json["boxes"] > 5
    assert [Path(each["file"]).name for each in result.json["skipped"]] == ["bad.jpg"]
    assert "skipped" in result.err
    assert len(list((tmp_path / "out" / "images").iterdir())) == 6
    again = run("synthesize", *collage, "--out", tmp_path / "out", "--objects", 1, 2)
    assert again.status == 0
    assert dict(line.split("  ", 1) for line in again.out.splitlines())["pictures"].strip() == "6"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--hard"], "--hard is an option of sounds"),
        (["--seconds", 3], "--seconds is an option of sounds"),
        (["--most-positive", 3], "--most-positive is an option of sounds"),
        (["--size", 3], "rows and columns"),
        (["--take", "x"], "FROM:TO"),
    ],
)
def test_synthesize_pictures_refuses(
    run: Run, collage: list[object], tmp_path: Path, options: list[object], said: str
) -> None:
    result = run("synthesize", *collage, "--out", tmp_path / "out", *options)
    assert result.status == 2
    assert said in result.err
    assert not (tmp_path / "out").exists()


def test_options_of_pictures_need_objects(run: Run, piles: list[object], tmp_path: Path) -> None:
    result = run("synthesize", *piles, "--out", tmp_path / "clips", "--contrast", 0.1)
    assert result.status == 2
    assert "--contrast is an option of pictures, which need --object" in result.err
