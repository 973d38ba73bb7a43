"""`train --resume` with nothing to resume, and how long training will be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn_trigger import drawn_clips

from likewise.cli.training_bar import TrainingBar
from likewise.training import Step

pytestmark = pytest.mark.usefixtures("undrawn")

Run = Callable[..., Any]


def test_with_nothing_to_resume_training_begins_anew_and_says_so(
    run: Run, quick: list[object], digit_folder: Path, tmp_path: Path
) -> None:
    found = run("train", digit_folder, *quick, "--resume")
    assert found.status == 0
    (line,) = [line for line in found.err.splitlines() if line.startswith("nothing")]
    assert line == f"nothing to resume in {tmp_path / 'm.training'}: training begins anew"
    assert found.err.index("nothing to resume") < found.err.index("split by")  # before the work


def test_a_finished_model_is_not_trained_anew_by_resume(
    run: Run, quick: list[object], digit_folder: Path, tmp_path: Path
) -> None:
    assert run("train", digit_folder, *quick).status == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir() if file.is_file()}
    line = run("train", digit_folder, *quick, "--resume").refused(2)
    assert "which is a finished model" in line
    assert "Leave out --resume" in line
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir() if file.is_file()}
    assert "training for 1 epoch of" in run("train", digit_folder, *quick).err


def test_likewise_for_a_trigger_word(run: Run, tmp_path: Path) -> None:
    drawn_clips(tmp_path, 30)
    command = (
        "train", tmp_path / "clips", "--task", "triggerword", "--epochs", 1, "--batch", 8, "--out", tmp_path / "m",
        "--resume",
    )  # fmt: skip
    found = run(*command)
    assert found.status == 0
    assert f"nothing to resume in {tmp_path / 'm.training'}" in found.err
    assert "training for 1 epoch of 3 steps" in found.err
    assert "which is a finished model" in run(*command).refused(2)


def test_both_values_of_what_is_another_option_now(
    run: Run, quick: list[object], digit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(_: TrainingBar, now: Step) -> None:
        if now.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingBar, "step", step)
        assert run("train", digit_folder, *quick, "--epochs", 3).status == 130
    line = run("train", digit_folder, *quick, "--epochs", 4, "--resume").refused(2)
    assert "got epochs 4 instead of 3. Use the same, or delete" in line
    resumed = run("train", digit_folder, *quick, "--epochs", 3, "--resume")
    assert "training for 3 epochs of 5 steps, 1 of them done" in resumed.err


def test_what_is_trained_on_is_called_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for items in ("sounds", "clips"):
        shown: list[str] = []
        bar = TrainingBar(items)
        bar._bar = lambda done, total, note, shown=shown: shown.append(note)
        bar.step(Step(1, 2, 1, 4, 0.5, 1.0, 0.5, 123.0))
        assert shown[0].endswith(f"123 {items}/s")
    assert "training for 2 epochs of 4 steps" in capsys.readouterr().err
