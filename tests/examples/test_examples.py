"""Every example runs and says what it is there to say: on small data, and without arguments among the slow tests."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import runpy
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from likewise.errors import CollapseWarning

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(file.stem for file in EXAMPLES.glob("*.py") if file.stem != "sample_data")
SLOW = {"map", "triplets", "unseen_classes"}  # a UMAP, and networks trained to be compared
FACES = Path(os.environ.get("LIKEWISE_DATA", "."), "faces-orl")
WEBCAMS = Path(os.environ.get("LIKEWISE_DATA", "."), "day-night")
WORDS = Path(os.environ.get("LIKEWISE_DATA", "."), "spoken-digits")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs an example as a person would, with its temporary files below `tmp_path`; returns what it printed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return call


def test_examples_are_short_documented_and_in_the_readme() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
        assert len(text.splitlines()) < 60, name
        assert "One learns" in (ast.get_docstring(ast.parse(text)) or ""), name
        assert f"examples/{name}.py" in readme, name


def percentages(text: str) -> list[float]:
    return [float(number) / 100 for number in re.findall(r"([\d.]+)%", text)]


def saw_train_folder(printed: str, *, whole: bool) -> None:
    verdicts = [line for line in printed.splitlines() if "(threshold " in line]
    assert len(verdicts) == 2
    assert ": the same, " in verdicts[0]
    assert ": not the same, " in verdicts[1]
    saved = re.search(r"saved as (.*)", printed)
    assert saved is not None
    assert (Path(saved[1]) / "config.json").is_file()


def saw_pairs(printed: str, *, whole: bool) -> None:
    eer = {name: percentages(rest)[0] for name, rest in re.findall(r"^(.*): EER (.*)$", printed, re.MULTILINE)}
    assert list(eer) == ["contrastive loss", "weighted distance and a sigmoid", "concatenated twins"]
    assert eer["contrastive loss"] < (0.15 if whole else 0.4)


def saw_style(printed: str, *, whole: bool) -> None:
    before, after, end = (float(number) for number in re.findall(r"style loss ([\d.]+)", printed))
    assert after < 0.9 * before
    assert end == pytest.approx(after, rel=0.2)
    assert Path(printed.rsplit(": ", 1)[1].strip()).is_file()


def saw_triplets(printed: str, *, whole: bool) -> None:
    miners = re.split(r"^(random|semi-hard|hardest)$", printed, flags=re.MULTILINE)
    said = dict(zip(miners[1::2], miners[2::2], strict=True))
    first_epoch = {name: percentages(text)[0] for name, text in said.items()}
    assert first_epoch["random"] < first_epoch["semi-hard"] <= first_epoch["hardest"]
    assert "warning" not in said["semi-hard"]
    if whole:
        assert "warning: The " in said["hardest"]  # embeddings collapsed, or loss stuck, or both


def saw_calibrate_own_data(printed: str, *, whole: bool) -> None:
    before, after = (float(found) for found in re.findall(r"found ([\d.]+) \(", printed))
    assert 0.03 < after < 0.3
    if whole:  # the worse camera is part of the example
        assert before > 0.2
    assert "one in ten million: A false match rate of 1e-07 needs" in printed


def saw_gallery(printed: str, *, whole: bool) -> None:
    said = {
        who: {outcome: int(count) for outcome, count in re.findall(r"(known|another name|unknown|unsure) (\d+)", rest)}
        for who, rest in re.findall(r"^(.+?): (.*\d)$", printed, re.MULTILINE)
        if who != "the promise"
    }
    assert [who.split(", ")[-1] for who in said] == ["members", "a stranger", "enrolled", "forgotten"]
    members, stranger, enrolled, forgotten = said.values()
    assert "strangers would be given a name" in printed
    if whole:
        assert members["known"] > 0.9 * sum(members.values())
        assert enrolled["known"] > 0.8 * sum(enrolled.values())
    for outside in (stranger, forgotten):  # a name that is not enrolled cannot be said
        assert "known" not in outside
        assert not whole or outside["unknown"] > 0.7 * sum(outside.values())


def saw_classify(printed: str, *, whole: bool) -> None:
    one, error = percentages(re.findall(r"^one of 10: .*$", printed, re.MULTILINE)[0])
    (both,) = percentages(re.findall(r"^two at once: .*$", printed, re.MULTILINE)[0])
    assert one > (0.95 if whole else 0.7)
    assert error < (0.04 if whole else 0.2)
    assert both > (0.9 if whole else 0.5)
    assert "a softmax: Targets of a softmax" in printed


def saw_day_night(printed: str) -> None:
    said = re.findall(r"^([a-z ]+): ([\d.]+)% of 84 right \(([\d.]+)% to ([\d.]+)%\)$", printed, re.MULTILINE)
    right = {name: float(value) for name, value, _, _ in said}
    assert list(right) == ["whole picture", "upper half", "network"]
    assert all(float(low) < float(value) <= float(high) for _, value, low, high in said)
    assert right["upper half"] == 100
    assert right["network"] > 85  # 96.4 and 100 with two seeds; always to say night gets 51
    assert re.search(r"one network took \d+ s to train", printed)


def saw_cluster(printed: str, *, whole: bool) -> None:
    assert re.search(r"all pictures: \d+ clusters, \d+ unassigned, 2 corrections", printed)
    assert "kept: True" in printed


def saw_albums(printed: str, *, whole: bool) -> None:
    found = re.search(r"^(\d+) albums: cluster-001 \((\d+)\), cluster-002 \((\d+)\)", printed, re.MULTILINE)
    assert found is not None
    assert int(found[1]) > (9 if whole else 2)
    assert f"1 correction; cluster-002 now has {int(found[3]) + 1}, copied 0" in printed


def saw_faces(printed: str) -> None:
    said = dict(line.split(": ", 1) for line in printed.splitlines() if ": " in line and not line.startswith(" "))
    assert said["at the door"].split(": ", 1)[1].startswith("yes, distance ")
    assert said["nobody there"].endswith("unfit, item 0: no face was found")
    asked, right = re.search(r"of (\d+) photos that were not enrolled, (\d+) have the right name", printed).groups()
    assert int(right) > 0.95 * int(asked)


def saw_listen(printed: str, *, whole: bool) -> None:
    heard = [float(time) for time in re.findall(r"^heard at ([\d.]+) s, .* kept as stream-", printed, re.MULTILINE)]
    assert len(heard) == 2
    assert all(said < time < said + 0.9 for said, time in zip((2, 8), heard, strict=True))


def saw_words(printed: str) -> None:
    asked = [int(number) for number in re.findall(r": \d+ of (\d+) clips are nearest to it", printed)]
    assert asked == [197] * 5  # of 200 each, less those enrolled
    found = re.search(r"^([\d.]+)% of 985 clips, of 5 words never trained on", printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) > 60  # guessing has 20


def saw_service(printed: str, *, whole: bool) -> None:
    answers, _, logged = printed.partition("logged:\n")
    said = dict(line.split(": ", 1) for line in answers.splitlines() if not line.startswith("No folder"))
    enrolled = ast.literal_eval(said["enrol"])
    assert len(enrolled["added"]) == 3
    assert ast.literal_eval(said["verify"])["name"] == enrolled["name"]
    assert len(ast.literal_eval(said["identify"])["probes"]) == 1
    assert "scope" in said["not for the door"]
    lines = [json.loads(line) for line in logged.splitlines()]
    assert len(lines) == 4
    assert {line["status"] for line in lines} == {200, 403}


def saw_evaluate_model(printed: str, *, whole: bool) -> None:
    found = re.search(r"^P@1 +([\d.]+)$", printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) > 0.9
    files = [Path(file) for file in re.findall(r"look at (.*)", printed)]
    assert [file.name for file in files] == ["metrics.json", "roc.png", "hardest.png"]
    assert all(file.stat().st_size for file in files)


def saw_map(printed: str, *, whole: bool) -> None:
    drawn = re.findall(r"trustworthiness ([\d.]+): (.*)", printed)
    assert [Path(file).name for _, file in drawn] == ["before.png", "after.png", "after.html"]
    assert all(Path(file).stat().st_size for _, file in drawn)
    assert all(0.8 < float(trust) <= 1 for trust, _ in drawn)


def saw_unseen_classes(printed: str, *, whole: bool) -> None:
    shares = {line[:20].strip(): percentages(line) for line in printed.splitlines()[2:]}
    assert list(shares) == [
        "pixels", "concatenated twins", "contrastive loss", "class head, cut off", "semi-hard triplets", "SupCon",
    ]  # fmt: skip
    assert all(value > 1 / 3 for (value,) in shares.values())  # three ways: better than guessing


def saw_detect(printed: str, *, whole: bool) -> None:
    found = re.search(r"^mAP@0\.5 ([\d.]+) on \d+ pictures$", printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) > 0.7
    cut = re.search(r"^(\d+) cut out: ", printed, re.MULTILINE)
    assert cut is not None
    boxes = printed.splitlines()[1].split("; ")
    assert int(cut[1]) == len(boxes) >= 1  # each box is cut out


def test_every_example_is_looked_at() -> None:
    assert {f"saw_{name}" for name in NAMES} == {name for name in globals() if name.startswith("saw_")}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in NAMES
        if name not in ("day_night", "detect", "faces", "listen", "pairs", "style", "words")
    ],
)
def test_on_a_small_folder(name: str, run, model_folder: Path, digit_folder: Path) -> None:
    given = [model_folder] if name in ("calibrate_own_data", "evaluate_model") else []
    globals()[f"saw_{name}"](run(name, *given, digit_folder), whole=False)


@pytest.mark.slow
def test_on_a_small_pairs_file(run, digit_folder: Path, tmp_path: Path) -> None:
    files = {who: sorted(who.glob("*.png")) for who in sorted(digit_folder.iterdir())}
    with (tmp_path / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["a", "b", "same"])
        for turn in range(10):  # pictures 3 turn to 3 turn + 2 of every digit: two alike, one with the next digit's
            for who, other in zip(files, [*list(files)[1:], *list(files)[:1]], strict=True):
                table.writerow([files[who][3 * turn], files[who][3 * turn + 1], 1])
                table.writerow([files[who][3 * turn + 2], files[other][(3 * turn + 1) % 30], 0])
    saw_pairs(run("pairs", tmp_path / "pairs.csv"), whole=False)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("dlib") is None, reason="dlib is not installed: the extra faces has it")
@pytest.mark.skipif(not FACES.is_dir(), reason="LIKEWISE_DATA names no folder with faces-orl")
def test_on_faces(run) -> None:
    saw_faces(run("faces", FACES))


@pytest.mark.slow
@pytest.mark.skipif(not WORDS.is_dir(), reason="LIKEWISE_DATA names no folder with spoken-digits")
def test_on_words(run) -> None:
    saw_words(run("words", WORDS))


@pytest.mark.slow
@pytest.mark.skipif(not WEBCAMS.is_dir(), reason="LIKEWISE_DATA names no folder with day-night")
def test_on_webcams_of_six_sizes(run, tmp_path: Path) -> None:
    """Up to eight days and eight nights of each: two sizes to learn from would be too few."""
    sizes = ((1024, 737), (640, 372), (640, 439), (640, 469), (800, 555), (800, 591))
    taken: Counter[tuple[str, tuple[int, int]]] = Counter()
    for photo in sorted(WEBCAMS.glob("*/*.jpg")):
        with Image.open(photo) as opened:
            kind = (photo.parent.name, opened.size)
        if kind[1] in sizes and taken[kind] < 8:
            taken[kind] += 1
            there = tmp_path / "photos" / photo.parent.name / photo.name
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, there)
    saw_day_night(run("day_night", tmp_path / "photos"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("day_night", "faces", "words")])
def test_without_arguments(name: str, run) -> None:
    globals()[f"saw_{name}"](run(name), whole=True)
