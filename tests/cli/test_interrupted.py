"""Ctrl-C in training: what is said is true, the status is the shell's 130, and nothing misleading is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from likewise.apps import demo
from likewise.apps.learn import LearnOptions
from likewise.apps.map import MapOptions
from likewise.cli.training_bar import TrainingBar
from likewise.matching import load
from likewise.training import FitOptions, Step

pytestmark = pytest.mark.usefixtures("undrawn")

Run = Callable[..., Any]


def interrupt_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(_: TrainingBar, now: Step) -> None:
        if now.epoch == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingBar, "step", step)


@pytest.fixture
def quick_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    options = LearnOptions(backbone="mlp", dim=8, fit=FitOptions(epochs=3, precision="float32"))
    monkeypatch.setattr(demo, "recipe", lambda *_: options)
    monkeypatch.setattr(demo, "MapOptions", lambda **_: MapOptions("pca"))


@pytest.mark.usefixtures("quick_demo")
@pytest.mark.parametrize(("epoch", "when"), [(1, "before an epoch was done"), (3, "in epoch 3")])
def test_a_demo_that_is_stopped_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, when: str
) -> None:
    interrupt_in(epoch, monkeypatch)
    found = run("demo", "--data", "digits", "--out", tmp_path / "demo", "--json")
    assert (found.status, found.out) == (130, "")
    assert found.err.splitlines()[1:] == [f"Training was stopped {when}. Nothing was saved.", "likewise: stopped"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_demo")
def test_a_demo_that_is_stopped_leaves_the_one_before_and_can_be_run_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["demo", "--data", "digits", "--out", tmp_path / "demo"]
    assert run(*command).status == 0
    before = {file.name for file in (tmp_path / "demo").iterdir()}
    fingerprint = load(tmp_path / "demo" / "model").fingerprint
    with monkeypatch.context() as patched:
        interrupt_in(2, patched)
        found = run(*command, "--seed", 1)
    assert found.status == 130
    assert f"Training was stopped in epoch 2. {tmp_path / 'demo' / 'model'} is the model it was before." in found.err
    assert {file.name for file in (tmp_path / "demo").iterdir()} == before == {"model", "map.png", "map.html"}
    assert load(tmp_path / "demo" / "model").fingerprint == fingerprint
    assert run(*command).status == 0


def test_training_stopped_in_its_first_epoch_saves_nothing(
    run: Run, quick: list[object], digit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_in(1, monkeypatch)
    found = run("train", digit_folder, *quick, "--json")
    assert (found.status, found.out) == (130, "")
    assert "Training was stopped before an epoch was done. Nothing was saved." in found.err
    assert "--resume" not in found.err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("m")]


def test_the_same_command_again_does_not_write_over_a_run_that_was_cut_off(
    run: Run, quick: list[object], digit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", digit_folder, *quick, "--epochs", 3]
    with monkeypatch.context() as patched:
        interrupt_in(3, patched)
        stopped = run(*command)
    assert stopped.status == 130
    assert "Training was stopped in epoch 3; --resume goes on." in stopped.err
    line = run(*command).refused(2)
    assert "m.training" in line
    assert "--resume" in line
    assert "delete the folder" in line
    assert run(*command, "--resume").status == 0
    assert not (tmp_path / "m.training").exists()
    assert run(*command).status == 0
