"""likewise import: a network from elsewhere goes the whole way that a trained one goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_drawn import embedder, node, tensor, write
from PIL import Image

from likewise.apps.detect import LearnedBoxes
from likewise.encoder import PARTS
from likewise.matching import load
from likewise.prepare import FINDERS

Run = Callable[..., object]
PUBLISHED = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]


@pytest.fixture
def of_digits(tmp_path: Path) -> Path:
    """A network that takes grey pictures of 8 x 8 pixels and gives them back flattened."""
    nodes = [node("Flatten", ["x"], ["y"])]
    return write(tmp_path / "flat.onnx", nodes, [], {"x": ["N", 1, 8, 8]}, {"y": ["N", 64]})


def test_from_the_file_to_a_verdict(run: Run, of_digits: Path, digit_folder: Path, tmp_path: Path) -> None:
    plain, ready = tmp_path / "flat.model", tmp_path / "ready.model"
    made = run("import", of_digits, "--out", plain, "--mean", 0, "--std", 255, "--distance", "euclidean", "--json").json
    assert (made["dim"], made["takes"], made["batch"], made["layout"]) == (64, [1, 8, 8], None, "nchw")
    a, b, c = (digit_folder / name for name in ("0/00.png", "0/01.png", "1/00.png"))
    line = run("verify", plain, a, b).refused(3)
    assert "calibrate" in line
    calibrated = run("calibrate", plain, digit_folder, "--fmr", 0.05, "--unit", "item", "--out", ready, "--json").json
    one, two, three = (np.asarray(Image.open(path), float) / 255 for path in (a, b, c))
    same, other = run("verify", ready, a, b, "--json"), run("verify", ready, a, c, "--json")
    assert same.json["distance"] == pytest.approx(np.linalg.norm(one - two), rel=1e-5)
    assert other.json["distance"] == pytest.approx(np.linalg.norm(one - three), rel=1e-5)
    assert same.json["threshold"] == calibrated["threshold"]
    assert (same.status, other.status) == (0, 1)
    assert run("models", "info", ready, "--json").json["fingerprint"] == made["fingerprint"]


def test_the_file_is_looked_at_before_anything_is_asked_of_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hi")
    line = run("import", tmp_path / "text.jpg", "--out", tmp_path / "m").refused(3)
    assert "A network is a whole ONNX file" in line
    assert "text.jpg', which is none, or cut short" in line


def test_downstream(run: Run, of_digits: Path, digit_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "flat.model"
    assert run("import", of_digits, "--out", model, "--std", 255).status == 0
    assert run("calibrate", model, digit_folder, "--fmr", 0.05, "--unit", "item").status == 0
    measured = run("evaluate", model, digit_folder, "--json").json
    assert measured["items"] == 300
    assert measured["precision_at_1"] > 0.9  # neighbours by pixels
    assert run("map", model, digit_folder, "-o", tmp_path / "map.html", "--method", "pca").status == 0
    encoded = run("encode", model, digit_folder / "0", "-o", tmp_path / "e.npz", "--json").json
    assert (encoded["items"], encoded["dim"]) == (30, 64)
    assert run("cluster", model, digit_folder, "--out", tmp_path / "albums", "--json").json["clusters"]
    probe = digit_folder / "3/05.png"
    assert run("search", model, digit_folder / "3", probe, "--json").json["matches"]
    gallery = tmp_path / "digits.gallery"
    assert run("enrol", gallery, "three", digit_folder / "3/00.png", "--model", model).status == 0
    for path in sorted(model.rglob("*"), reverse=True):
        path.unlink()
    model.rmdir()  # the gallery has a copy
    known = run("identify", gallery, digit_folder / "3/00.png", "--json").json
    assert known["probes"][0]["matches"][0]["name"] == "three"


def test_lists_and_cards_say_what_it_is(run: Run, of_digits: Path, tmp_path: Path) -> None:
    model = tmp_path / "flat.model"
    run("import", of_digits, "--out", model, "--std", 255, "--published", 0.25)
    (row,) = [row for row in run("models", "list", tmp_path, "--json").json["models"] if row["model"] == str(model)]
    assert (row["backbone"], row["dim"]) == ("flat", 64)
    shown = run("models", "info", model)
    assert "not known here: it came as flat.onnx" in shown.out
    assert "0.25" in shown.out
    card = (model / "README.md").read_text()
    assert "it came as flat.onnx" in card
    assert "onnxruntime" in card
    config = json.loads((model / "config.json").read_text())
    assert config["versions"]["onnxruntime"]
    assert "which is a model" in run("data", "check", model).refused(2)
    (model / "config.json").write_text("{")
    assert "problem" in run("models", "list", tmp_path, "--json").json["models"][0]


def test_training_does_not_start_from_it(run: Run, of_digits: Path, digit_folder: Path, tmp_path: Path) -> None:
    run("import", of_digits, "--out", tmp_path / "m", "--std", 255)
    line = run("train", digit_folder, "--from", tmp_path / "m", "--out", tmp_path / "n").refused(2)
    assert "one that onnx computes" in line


def test_the_size_is_said_where_the_file_leaves_it_open(run: Run, tmp_path: Path) -> None:
    nodes = [node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)]
    file = write(tmp_path / "n.onnx", nodes, [], {"x": ["N", 3, "h", "w"]}, {"y": ["N", 3]})
    assert "--size 112" in run("import", file, "--out", tmp_path / "m", *PUBLISHED).refused(2)
    made = run("import", file, "--out", tmp_path / "m", *PUBLISHED, "--size", "16x8", "--json").json
    assert made["takes"] == [3, 16, 8]
    assert run("import", file, "--out", tmp_path / "m", *PUBLISHED, "--size", 12, "--json").json["takes"] == [3, 12, 12]


@pytest.mark.parametrize(("options", "said"), [
    ([], "--scale"),
    (["--mean", 127.5, "--std", 128, "--scale", 1], "pass --scale 255"),
    (["--mean", "1,2", "--std", 128], "each of 3 channels"),
    (["--mean", "x"], "--mean is a number"),
    (["--mean", "nan", "--std", 128], "mean"),
    (["--std", 0, "--scale", 255], "positive std"),
    ([*PUBLISHED, "--size", "8x8x8"], "--size is a side"),
    ([*PUBLISHED, "--size", 9], "3 x 8 x 8"),
    ([*PUBLISHED, "--output", "z"], "output 'z'"),
    ([*PUBLISHED, "--layout", "nhwc"], "layout nhwc"),
    ([*PUBLISHED, "--prepare", "nonesuch"], "A prepare step is one of"),
    ([*PUBLISHED, "--prepare", "faces-cnn", "--align", "5-point"], "--align 5-point is --prepare faces-arcface"),
    ([*PUBLISHED, "--published", -1], "above 0"),
])  # fmt: skip
def test_options_that_cannot_be(run: Run, tmp_path: Path, options: list[object], said: str) -> None:
    file, _ = embedder(tmp_path / "net.onnx")
    assert said in run("import", file, "--out", tmp_path / "m", *options).refused(2)
    assert not (tmp_path / "m").exists()


def test_files_that_are_none(run: Run, of_digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert "can be read" in run("import", tmp_path / "none.onnx", "--out", out, "--std", 255).refused(3)
    assert "can be read" in run("import", tmp_path, "--out", out, "--std", 255).refused(3)
    (tmp_path / "picture.onnx").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "whole ONNX file" in run("import", tmp_path / "picture.onnx", "--out", out, "--std", 255).refused(3)
    of_digits.write_bytes(of_digits.read_bytes()[:-20])
    assert run("import", of_digits, "--out", out, "--std", 255).refused(3)
    assert not out.exists()


def test_grey_pictures_have_no_order_of_colours(run: Run, of_digits: Path, tmp_path: Path) -> None:
    line = run("import", of_digits, "--out", tmp_path / "m", "--std", 255, "--color", "bgr").refused(2)
    assert "Grey pictures" in line


def test_what_is_no_model_is_not_replaced(run: Run, of_digits: Path, digit_folder: Path) -> None:
    assert "is overwritten" in run("import", of_digits, "--out", digit_folder, "--std", 255).refused(2)


def test_numbers_that_are_not_finite(run: Run, tmp_path: Path) -> None:
    nodes = [node("Flatten", ["x"], ["f"]), node("Add", ["f", "nan"], ["y"])]
    file = write(tmp_path / "n.onnx", nodes, [tensor("nan", np.float32("nan"))], {"x": ["N", 1, 8, 8]},
                 {"y": ["N", 64]})  # fmt: skip
    assert "finite" in run("import", file, "--out", tmp_path / "m", "--std", 255).refused(3)


def test_what_its_detector_was_fitted_to_is_known(
    run: Run, of_digits: Path, detector: LearnedBoxes, tmp_path: Path
) -> None:
    made = run("import", of_digits, "--mean", 0, "--std", 255, "--prepare", detector.folder, "--out", tmp_path / "m")
    assert made.status == 0
    seen, theirs = load(tmp_path / "m").encoder.seen, detector.model.encoder.seen
    assert seen.items.tolist() == theirs.items[theirs.parts <= PARTS.index("valid")].tolist()
    assert seen.trained_identities().tolist() == []


def test_faces_are_found_before(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("dlib", reason="faces are found by dlib")
    pytest.importorskip("face_recognition_models", reason="its weights are in a package of their own")
    file, _ = embedder(tmp_path / "net.onnx")
    assert run("import", file, "--out", tmp_path / "m", *PUBLISHED, "--align", "5-point").status == 0
    prepare = json.loads((tmp_path / "m/config.json").read_text())["architecture"]["preprocessing"]["prepare"]
    assert prepare["kind"] == FINDERS["faces"][0]
    Image.new("RGB", (60, 60)).save(tmp_path / "black.png")
    line = run("encode", tmp_path / "m", tmp_path / "black.png", "-o", tmp_path / "e.npz").refused(3)
    assert "at least one face" in line
