"""A registered name as MODEL: every command takes it, none writes to it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_faces import drawn_face
from PIL import ExifTags, Image

from likewise.matching import load

NAME = "dlib-face-128"
MISSING = [name for name in ("dlib", "face_recognition_models") if find_spec(name) is None]
needs_dlib = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: pip install likewise[faces]")

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people, five pictures of each."""
    return draw(tmp_path_factory.mktemp("people"), people=8, each=5)


def draw(folder: Path, people: int, each: int) -> Path:
    for seed in range(people):
        (folder / f"p{seed}").mkdir(parents=True)
        for view in range(each):
            Image.fromarray(drawn_face(160, seed, view=view)).save(folder / f"p{seed}" / f"{view}.png")
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_the_list_has_it(run: Run) -> None:
    found = run("models", "list", "--json")
    assert found.json["models"] == []
    about = ("model", "task", "backbone", "dim", "extra")
    assert [tuple(one[key] for key in about) for one in found.json["registered"]] == [
        (NAME, "embed", "dlib-face", 128, "faces"),
        ("efficientnet-lite0", "embed", "efficientnet-lite0", 1280, "imagenet"),
        ("vgg19", "embed", "vgg19", 512, "style"),
        ("vgg19-average", "embed", "vgg19-average", 512, "style"),
    ]
    assert NAME in run("models", "list").out


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_swapped_arguments_are_noticed(run: Run, people: Path, command: str) -> None:
    line = run(command, people, NAME).refused(2)
    assert f"{NAME!r}, which is a model." in line
    assert f"{command} {NAME} {people}" in line


def test_calibrating_it_needs_somewhere_to_write(run: Run, people: Path) -> None:
    assert "Pass --out MODEL" in run("calibrate", NAME, people).refused(2)


def test_a_name_that_is_not_there_leads_to_the_list(run: Run, people: Path) -> None:
    assert "likewise models list" in run("verify", "dlib-face-129", people / "p0/0.png", people / "p0/1.png").refused(3)


@needs_dlib
class TestDlibFace:
    def test_info(self, run: Run) -> None:
        found = run("models", "info", NAME, "--json").json
        assert found["architecture"]["backbone"] == "dlib-face"
        assert found["architecture"]["published"] == 0.6
        assert found["parameters"] == 5_607_616  # 29 convolutions with biases, and 256 x 128 + 128
        assert found["calibration"] is None
        text = run("models", "info", NAME).out
        assert "0.6" in text
        assert "7,485 people" in text

    def test_it_gives_no_verdict_until_it_is_calibrated(self, run: Run, people: Path) -> None:
        same, other = people / "p0/0.png", people / "p1/0.png"
        line = run("verify", NAME, same, people / "p0/1.png").refused(3)
        assert "likewise calibrate MODEL DATA" in line
        assert "--out" in line
        apart = load(NAME).distance(same, people / "p0/1.png")
        assert f"a distance of {apart:.4g} from a model that was never calibrated" in line
        assert "two for the same up to 0.6" in line
        Image.new("L", (90, 90), 120).save("wall.png")
        assert "wall.png: no face was found" in run("verify", NAME, same, "wall.png").refused(3)
        assert "nobody.png" in run("verify", NAME, same, "nobody.png").refused(3)
        assert run("calibrate", NAME, people, "--fmr", 0.2, "--out", "mine.model").status == 0
        made = load("mine.model")
        assert made.calibrated().default == 0.2
        assert made.fingerprint == load(NAME).fingerprint
        answers = [run("verify", "mine.model", same, x, "--json").json for x in (people / "p0/1.png", other)]
        assert answers[0]["distance"] < answers[1]["distance"]
        assert run("verify", "mine.model", same, same).status == 0
        card = Path("mine.model/README.md").read_text(encoding="utf-8")
        assert card.startswith("# mine.model\n")
        assert run("verify", NAME, same, same).status == 3  # the name means what it meant

    @pytest.mark.slow
    def test_a_folder_of_its_name_takes_its_place(self, run: Run, people: Path) -> None:
        assert run("calibrate", NAME, people, "--fmr", 0.2, "--out", NAME).status == 0
        assert run("verify", NAME, people / "p0/0.png", people / "p0/0.png").status == 0
        assert run("calibrate", NAME, people, "--fmr", 0.3).status == 0  # in place: it is a folder now
        assert load(NAME).calibrated().default == 0.3

    def test_evaluate_encode_and_enrol(self, run: Run, people: Path) -> None:
        assert run("evaluate", NAME, people, "--json").json["precision_at_1"] == 1
        assert run("encode", NAME, people / "p0", "-o", "e.npz", "--json").json["dim"] == 128
        enrolled = run("enrol", "g.gallery", "ada", people / "p0/0.png", "--model", NAME)
        assert enrolled.status == 0, enrolled.err
        assert run("enrol", "g.gallery", "bob", people / "p1/0.png", "--model", NAME).status == 0

    def test_deep_printed_turned_and_broken_pictures(self, run: Run, people: Path) -> None:
        for person in ("p0", "p1", "p2"):
            Path("known", person).mkdir(parents=True)
            for view in range(2):
                Path("known", person, f"{view}.png").write_bytes((people / person / f"{view}.png").read_bytes())
        first, second, third = (Image.open(people / person / "2.png") for person in ("p0", "p1", "p2"))
        Image.fromarray(np.asarray(first.convert("L"), np.uint16) * 257).save("a-deep.png")
        second.convert("CMYK").save("b-cmyk.jpg", quality=95)
        turned = Image.Exif()
        turned[ExifTags.Base.Orientation] = 6
        third.rotate(90, expand=True).save("c-turned.jpg", exif=turned, quality=95)
        Image.new("I;16", (90, 90)).save("d-black.png")
        Path("e-cut.png").write_bytes((people / "p0/3.png").read_bytes()[:2000])
        names = ["a-deep.png", "b-cmyk.jpg", "c-turned.jpg", "d-black.png", "e-cut.png"]
        found = run("identify", "--known", "known", *names, "--format", "csv-full")
        rows = list(csv.DictReader(io.StringIO(found.out)))
        assert [(row["path"], row["name"], row["decision"]) for row in rows] == [
            ("a-deep.png", "p0", "known"), ("b-cmyk.jpg", "p1", "known"), ("c-turned.jpg", "p2", "known"),
            ("d-black.png", "no_persons_found", "empty"), ("e-cut.png", "", "unreadable"),
        ]  # fmt: skip
        assert "skipped e-cut.png" in found.err

    @pytest.mark.slow
    def test_training_goes_on_from_it(self, run: Run, tmp_path: Path) -> None:
        people = draw(tmp_path / "more", people=4, each=15)
        found = run(
            "train", people, "--from", NAME, "--out", "fine.model", "--epochs", 1, "--batch", "4x2", "--split", "item",
            "--lr", 1e-5, "--precision", "float32", "--json",
        )  # fmt: skip
        assert found.status == 0, found.err
        encoder = load("fine.model").encoder
        assert encoder.backbone == "dlib-face"
        assert encoder.published is None
        assert encoder.preprocessing == load(NAME).encoder.preprocessing
        assert "7,485 people" in str(encoder.trained["before"])
