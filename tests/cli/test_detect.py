"""Detectors from the command line: trained on a folder with boxes, used, measured, calibrated, exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_scenes import SIDE, scene, scene_folder
from PIL import Image

from likewise.apps.detect import Detector, LearnedBoxes

Run = Callable[..., Any]


@pytest.fixture
def model(detector: LearnedBoxes) -> Path:
    return detector.folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of things, and one of nothing."""
    rng = np.random.default_rng(4)
    (tmp_path / "in").mkdir()
    for name in "abc":
        Image.fromarray(scene(rng)[0][..., 0]).save(tmp_path / "in" / f"{name}.png")
    Image.new("L", (50, 50)).save(tmp_path / "in" / "dark.png")
    return tmp_path / "in"


def test_what_is_where(run: Run, model: Path, pictures: Path) -> None:
    result = run("detect", model, pictures / "a.png", pictures / "b.png", "--json")
    assert result.status == 0, result.err
    said = json.loads(result.out)
    assert [Path(each["file"]).name for each in said["files"]] == ["a.png", "b.png"]
    for each in said["files"]:
        assert each["boxes"]
        for box in each["boxes"]:
            assert set(box) == {"x", "y", "width", "height", "label", "score"}
            assert box["label"] in ("ring", "square")
            assert 0 <= box["x"] <= box["x"] + box["width"] <= SIDE
            assert 0 <= box["y"] <= box["y"] + box["height"] <= SIDE
            assert said["threshold"] <= box["score"] <= 1


def test_a_picture_of_nothing_gives_status_1(run: Run, model: Path, pictures: Path) -> None:
    result = run("detect", model, pictures)
    assert result.status == 1
    assert "dark.png: nothing" in result.out


def test_crops_and_drawings(run: Run, model: Path, pictures: Path, tmp_path: Path) -> None:
    crops, drawings = tmp_path / "crops", tmp_path / "drawn"
    result = run("detect", model, pictures, "--crop", crops, "--draw", drawings, "--json")
    said = json.loads(result.out)
    count = sum(len(each["boxes"]) for each in said["files"])
    assert len(list(crops.iterdir())) == len(said["written"]["crops"]) == count > 0
    assert sorted(file.name for file in drawings.iterdir()) == ["a.png", "b.png", "c.png", "dark.png"]
    box = said["files"][0]["boxes"][0]
    width, height = Image.open(crops / "a_1.png").size
    assert (width, height) == pytest.approx((box["width"], box["height"]), abs=2)
    again = run("detect", model, pictures, "--crop", crops)
    assert again.status == 2
    assert "empty folder" in again.err
    assert run("detect", model, pictures, "--crop", tmp_path / "x", "--draw", tmp_path / "x").status == 2


def test_files_that_cannot_be_read_are_skipped_by_name(run: Run, model: Path, pictures: Path) -> None:
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:100])
    result = run("detect", model, pictures / "a.png", pictures / "cut.png", pictures / "gone.png", "--json")
    assert result.status == 1
    assert [Path(each["file"]).name for each in json.loads(result.out)["skipped"]] == ["cut.png", "gone.png"]
    assert "skipped" in result.err
    alone = run("detect", model, pictures / "cut.png")
    assert alone.status == 3
    assert len(alone.err.strip().splitlines()) == 2


@pytest.mark.parametrize("arguments", [("--score", 2), ("--overlap", 2), ("--margin", -1), ("--nonsense",)])
def test_wrong_use(run: Run, model: Path, pictures: Path, arguments: tuple[Any, ...]) -> None:
    result = run("detect", model, pictures, *arguments)
    assert result.status == 2
    assert "Traceback" not in result.err


def test_other_tasks_are_refused(run: Run, model: Path, model_folder: Path, pictures: Path) -> None:
    a, b = pictures / "a.png", pictures / "b.png"
    for arguments in (("detect", model_folder, pictures), ("verify", model, a, b),
                      ("detect", "efficientnet-lite0", a), ("classify", "efficientnet-lite0", a),
                      ("export", "efficientnet-lite0", pictures / "x.onnx"),
                      ("classify", model, a), ("encode", model, a, "-o", pictures / "x.npz")):  # fmt: skip
        result = run(*arguments)
        assert result.status == 3
        assert "This takes a model for" in result.err
        assert len(result.err.strip().splitlines()) == 1


def test_evaluated_and_calibrated(run: Run, model: Path, tmp_path: Path) -> None:
    data = scene_folder(tmp_path / "scenes", 90, seed=8)
    measured = json.loads(run("evaluate", model, data, "--out", tmp_path / "report", "--json").out)
    assert measured["map_50"] > 0.9
    assert measured["map_50_low"] <= measured["map_50"] <= measured["map_50_high"]
    assert 0 < measured["map"] < measured["map_50"]
    assert (tmp_path / "report" / "metrics.json").exists()
    found = json.loads(run("calibrate", model, data, "--score-precision", 0.8, "--out", tmp_path / "m", "--json").out)
    assert found["precision"]["low"] >= 0.8
    again = json.loads(run("models", "info", tmp_path / "m", "--json").out)
    assert again["calibration"]["threshold"] == found["threshold"]
    again = run("evaluate", tmp_path / "m", data)
    assert "set its threshold" in again.err
    for foreign in (("evaluate", "--ways", 5), ("calibrate", "--fmr", 0.1)):
        result = run(foreign[0], model, data, *foreign[1:])
        assert result.status == 2
        assert "has no --" in result.err


def test_a_part_of_its_training_can_be_named(run: Run, tmp_path: Path) -> None:
    data, model = scene_folder(tmp_path / "scenes", 60), tmp_path / "s.model"
    fast = ("--size", SIDE, "--stride", 8, "--epochs", 1)
    assert run("train", data, "--task", "detect", *fast, "--out", model).status == 0
    found = run("evaluate", model, data, "--part", "test", "--json")
    then = json.loads((model / "report" / "metrics.json").read_text())
    assert found.json["pictures"] == then["pictures"] < 12
    assert found.json["map_50"] == pytest.approx(then["map_50"], abs=1e-6)
    assert "trained on" not in found.err
    said = run("calibrate", model, data, "--part", "tune", "--out", tmp_path / "m", "--json")
    assert said.status == 0, said.err
    assert said.json["pictures"] < 12
    assert "left out" not in said.err
    new = scene_folder(tmp_path / "new", 12, seed=77)
    assert run("evaluate", model, new, "--part", "test").status == 2


def test_a_promise_that_cannot_be_is_refused_before_anything_is_looked_at(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = scene_folder(tmp_path / "scenes", 6)
    looked: list[object] = []
    monkeypatch.setattr(Detector, "look", lambda *what, **_: looked.append(what))
    assert "between 0 and 1" in run("calibrate", model, data, "--score-precision", 1.5).refused(2)
    assert not looked


def test_trained_from_a_folder_and_exported(run: Run, tmp_path: Path) -> None:
    data, out = scene_folder(tmp_path / "scenes", 60), tmp_path / "s.model"
    result = run(
        "train", data, "--task", "detect", "--size", SIDE, "--stride", 8, "--epochs", 1, "--out", out, "--json"
    )
    assert result.status == 0, result.err
    said = json.loads(result.out)
    assert said["task"] == "detect"
    assert said["epochs"] == 1
    assert "8 x 8 cells of 8 pixels" in result.err
    listed = json.loads(run("models", "list", tmp_path, "--json").out)
    assert [each["task"] for each in listed["models"]] == ["detect"]
    assert "ring, square" in run("models", "info", out).out
    assert run("export", out, tmp_path / "s.onnx").status == 0
    assert (tmp_path / "s.onnx").stat().st_size > 10_000
    assert "has no --per-hour" in run("export", out, tmp_path / "s.onnx", "--per-hour", 1).err
    more = run("train", data, "--task", "detect", "--from", out, "--size", SIDE, "--stride", 8, "--epochs", 1,
               "--out", tmp_path / "t.model")  # fmt: skip
    assert more.status == 0, more.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--size", 100), "a multiple of 32"),
        (("--stride", 5), "side of"),
        (("--score-precision", 1.5), "between 0 and 1"),
        (("--frozen",), "--from MODEL"),
        (("--split", "identity"), "--split item"),
        (("--loss", "triplet"), "has no --loss"),
        (("--backbone", "mlp", "--size", 64), "no places"),
        (("--augment", "speech", "--size", 64), "augmentation of pictures"),
    ],
)
def test_options_that_cannot_work(run: Run, tmp_path: Path, arguments: tuple[Any, ...], said: str) -> None:
    data = scene_folder(tmp_path / "scenes", 30)
    result = run("train", data, "--task", "detect", "--out", tmp_path / "m", "--epochs", 1, *arguments)
    assert result.status == 2, result.err
    assert said in result.err
    assert not (tmp_path / "m").exists()


def test_data_without_boxes(run: Run, tmp_path: Path, digit_folder: Path) -> None:
    result = run("train", digit_folder, "--task", "detect", "--out", tmp_path / "m")
    assert result.status == 3
    assert len(result.err.strip().splitlines()) == 1


def test_an_overlap_decides_which_boxes_are_one(run: Run, model: Path, pictures: Path) -> None:
    counts = []
    for overlap in (0, 0.5, 1):
        said = json.loads(run("detect", model, pictures, "--score", 0.01, "--overlap", overlap, "--json").out)
        counts.append(sum(len(each["boxes"]) for each in said["files"]))
    assert counts[0] <= counts[1] < counts[2]
