"""`likewise calibrate --out`: the whole model once more, with another calibration."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from likewise.matching import load

Run = Callable[..., object]

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
