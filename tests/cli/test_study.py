"""likewise study: every question from the command line, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_split_of_a_folder(run: Run, digit_folder: Path, tmp_path: Path) -> None:
    found = run("study", "split", digit_folder, "--out", tmp_path / "s", "--shares", "0.5,0.2", "--json").json
    assert found["study"] == "split"
    assert [r["settings"]["share"] for r in found["runs"]] == [0.5, 0.2]
    assert all(Path(file).is_file() for file in found["files"])
    assert found["advice"].endswith(".")
    refused = run("study", "split", digit_folder, "--out", tmp_path / "s").refused(2)
    assert "--resume" in refused


def test_taps_of_a_model(run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path) -> None:
    found = run("study", "tap", model_folder, digit_folder, "--out", tmp_path / "s", "--json").json
    assert found["runs"][-1]["settings"] == {"tap": "embedding"}
    assert 0 <= found["runs"][-1]["eer"] <= 1


def test_resolution(run: Run, digit_folder: Path, tmp_path: Path) -> None:
    options = ("--sizes", "4,8", "--backbone", "linear", "--epochs", "2")
    found = run("study", "resolution", digit_folder, "--out", tmp_path / "s", *options, "--json").json
    assert [r["settings"]["size"] for r in found["runs"]] == [4, 8]
    assert {"accuracy", "low", "high", "seconds", "ms_per_item", "parameters"} <= set(found["runs"][0])
    again = run("study", "resolution", digit_folder, "--out", tmp_path / "s", *options, "--resume", "--json").json
    assert again == found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("resolution", "--sizes", "8,x"), "whole numbers"),
        (("split", "--shares", "half"), "--shares are numbers"),
        (("dim", "--split", "colour"), "by item, identity or group"),
        (("objective", "--losses", "nosuch"), "A loss is one of"),
        (("resolution", "--backbone", "nosuch"), "A backbone is one of"),
    ],
)
def test_what_cannot_be(run: Run, digit_folder: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    command, *options = arguments
    assert said in run("study", command, digit_folder, "--out", tmp_path / "s", *options).refused(2)
