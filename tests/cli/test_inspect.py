"""likewise inspect: what it leaves, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from likewise.apps.triggerword import LearnedTrigger

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def files(digit_folder: Path) -> list[Path]:
    return sorted((digit_folder / "7").iterdir())[:2]


def test_two_pictures(run: Run, model_folder: Path, files: list[Path], tmp_path: Path) -> None:
    found = run("inspect", model_folder, *files, "-o", tmp_path / "o", "--json").json
    assert found["model"] == str(model_folder)
    assert set(found) >= {"page", "files", "sections", "similarity", "distance"}
    assert [Path(file).name for file in found["files"]][:2] == ["similarity.png", "given.png"]
    assert all(Path(file).is_file() for file in (*found["files"], found["page"]))
    assert -1 <= found["similarity"] <= 1
    assert found["distance"] >= 0
    verdict = run("verify", model_folder, *files, "--json").json
    assert found["distance"] == pytest.approx(verdict["distance"], abs=1e-4)


def test_one_channel_and_its_patches(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    options = ("--tap", "hidden1", "--channel", 5, "--data", digit_folder, "--optimise")
    found = run("inspect", model_folder, "-o", tmp_path / "o", *options)
    names = [Path(line.split(": ")[0]).name for line in found.out.splitlines()]
    assert names == ["filters.png", "sought-hidden1.png", "patches-hidden1.png", "index.html"]


def test_a_tap_alone_is_looked_into_by_optimising(run: Run, model_folder: Path, tmp_path: Path) -> None:
    found = run("inspect", model_folder, "-o", tmp_path / "o", "--tap", "hidden2", "--channel", 1, "--json").json
    assert [Path(file).name for file in found["files"]] == ["filters.png", "sought-hidden2.png"]


def test_a_word(run: Run, trigger: LearnedTrigger, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "s.wav", rng.normal(0, 0.1, 16000), 16000)
    found = run("inspect", trigger.folder, tmp_path / "s.wav", "-o", tmp_path / "o", "--json").json
    assert "features-recurrent.png" in [Path(file).name for file in found["files"]]
    clips = trigger.folder.parent / "clips"
    found = run("inspect", trigger.folder, "--tap", "conv2", "--channel", 2, "--data", clips, "-o", tmp_path / "o")
    assert "patches-conv2.png" in found.out
    line = run("inspect", trigger.folder, tmp_path / "s.wav", tmp_path / "s.wav", "-o", tmp_path / "p").refused(2)
    assert "hears a stream" in line
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--tap", "conv9"), 2, "Taps of this model are hidden1, hidden2, embedding"),
        (("--tap", "hidden1", "--channel", "512"), 2, "Channels of hidden1 are 0 to 511"),
        (("--channel", "3"), 2, "A channel is one of a tap"),
        (("--data", "nosuch"), 3, "nosuch"),
    ],
)
def test_what_is_not_there(
    run: Run, model_folder: Path, tmp_path: Path, options: tuple[str, ...], status: int, said: str
) -> None:
    assert said in run("inspect", model_folder, "-o", tmp_path / "o", *options).refused(status)
    assert not (tmp_path / "o").exists()


def test_files_that_cannot_be_read(run: Run, model_folder: Path, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for arguments in (("text.png",), ("nosuch.png",), (files[0], "text.png")):
        given = [tmp_path / name for name in arguments]
        line = run("inspect", model_folder, *given, "-o", tmp_path / "o").refused(3)
        assert str(arguments[-1]) in line
    assert not (tmp_path / "o").exists()


def test_a_picture_in_colour_is_read_as_the_model_reads_it(run: Run, model_folder: Path, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).save(tmp_path / "c.png")
    assert run("inspect", model_folder, tmp_path / "c.png", "-o", tmp_path / "o").status == 0


def test_a_folder_of_other_things_is_refused_before_the_model_is_read(
    run: Run, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("mine")
    assert "inspect.json" in run("inspect", tmp_path / "nomodel", *files, "-o", tmp_path).refused(2)
    assert "A model is a folder" in run("inspect", tmp_path / "nomodel", *files, "-o", tmp_path / "o").refused(3)


def test_a_network_of_another_engine(run: Run, files: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="test networks are written with the package onnx")
    from onnx_drawn import embedder

    file, _ = embedder(tmp_path / "net.onnx")
    assert run("import", file, "--out", tmp_path / "m", "--std", 255).status == 0
    assert "onnx computes as a whole" in run("inspect", tmp_path / "m", files[0], "-o", tmp_path / "o").refused(2)
