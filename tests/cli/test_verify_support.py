"""`likewise verify` says when the data its threshold was set with are too few for what it promises."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from likewise.apps.learn import Learned
from likewise.data import Dataset
from likewise.matching import calibrate

Run = Callable[..., object]


@pytest.fixture
def weak(learned: Learned, model_folder: Path, digits: Dataset, tmp_path: Path) -> Path:
    """A model set with six digits taken for people: 15 pairs of them, where a rate of 0.1 needs 30."""
    model = calibrate(learned.model.encoder, digits.of_identities(range(6)).subset(range(60)), unit="identity")
    folder = Path(shutil.copytree(model_folder, tmp_path / "weak"))
    model.save_calibration(folder)
    return folder


def test_a_claim_says_so_too(run: Run, weak: Path, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    pictures = sorted((digit_folder / "3").iterdir())
    for model, supported in ((weak, False), (model_folder, True)):
        gallery = tmp_path / f"{supported}.gallery"
        run("enrol", gallery, "three", *pictures[:2], "--model", model)
        asked = ("verify", "--gallery", gallery, "--name", "three", *pictures[2:4])
        assert ("too few data to support this promise" in run(*asked).out.splitlines()[0]) is not supported
        said = run(*asked, "--json").json
        assert (said["supported"], said["fmr"] < said["fmr_high"]) == (supported, True)


def test_text_and_json(run: Run, weak: Path, model_folder: Path, digit_folder: Path) -> None:
    a, b = digit_folder / "3/00.png", digit_folder / "3/01.png"
    assert "too few data to support this promise" in run("verify", weak, a, b).out
    assert run("verify", weak, a, b, "--json").json["supported"] is False
    assert "too few data" not in run("verify", model_folder, a, b).out
    found = run("verify", model_folder, a, b, "--json").json
    assert found["supported"] is True
    assert found["fmr_high"] < 1
