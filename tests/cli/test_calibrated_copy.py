"""`likewise calibrate --out`: the whole model once more, with another calibration."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_scenes import scene
from PIL import Image

from likewise.apps.detect import LearnedBoxes
from likewise.matching import load

Run = Callable[..., Any]

NEW = {"calibration.json", "README.md", "seen.safetensors"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def calibrate(run: Run, model: Path, data: Path, *options: object) -> None:
    assert run("calibrate", model, data, "--fmr", 0.05, "--unit", "item", *options).status == 0


@pytest.mark.parametrize("there", [False, True], ids=["new", "over an older model"])
def test_a_copy_has_everything(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path, there: bool) -> None:
    out = tmp_path / "copy"
    if there:
        shutil.copytree(model_folder, out)
        (out / "report" / "old.png").write_text("of another model")
    before = contents(model_folder)
    calibrate(run, model_folder, digit_folder, "--out", out)
    after = contents(out)
    assert set(after) == set(before)
    assert {name for name in before if before[name] != after[name]} == NEW
    assert contents(model_folder) == before
    assert load(out).calibrated().default == 0.05
    card = (out / "README.md").read_text()
    assert card.startswith("# copy\n")
    assert "P@1" in card  # the figures of the report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_onto_itself_is_in_place(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(model_folder, tmp_path / "m"))
    (tmp_path / "link").symlink_to(model)
    before = contents(model)
    calibrate(run, model, digit_folder, "--out", tmp_path / "link")
    after = contents(model)
    assert set(after) == set(before)
    assert {name for name in before if before[name] != after[name]} == NEW
    assert (tmp_path / "link").is_symlink()


def test_a_copy_that_fails_leaves_what_was_there(
    run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from likewise import matching

    out = Path(shutil.copytree(model_folder, tmp_path / "out"))
    before = contents(out)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(matching.Model, "save_calibration", full)
    line = run("calibrate", model_folder, digit_folder, "--fmr", 0.05, "--unit", "item", "--out", out).refused(3)
    assert "No space left" in line
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_another_prepare_step_makes_another_model(
    run: Run, model_folder: Path, detector: LearnedBoxes, tmp_path: Path
) -> None:
    rng = np.random.default_rng(8)
    for i in range(80):
        picture, boxes, labels = scene(rng)
        if len(boxes) == 1:
            (tmp_path / "data" / str(labels[0])).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[..., 0]).save(tmp_path / "data" / str(labels[0]) / f"{i}.png")
    arguments = ("calibrate", model_folder, tmp_path / "data", "--fmr", 0.1, "--unit", "item")
    arguments += ("--prepare", detector.folder)
    assert "another model" in run(*arguments).refused(2)
    done = run(*arguments, "--out", tmp_path / "m", "--json")
    assert done.status == 0, done.err
    before, after = load(model_folder), load(tmp_path / "m")
    assert after.calibrated().default == 0.1
    assert after.fingerprint != before.fingerprint
    finder = after.encoder.ready().prepare
    assert finder is not None
    assert finder.sources() == {"detector": detector.model.fingerprint}
    assert "noses" in run(*arguments[:-1], "noses", "--out", tmp_path / "n").refused(2)
