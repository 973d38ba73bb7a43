"""What `train`, `calibrate` and `evaluate` refuse before any work, in the words of the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import typer

from likewise.cli import calibrate, evaluate, tasks, train
from likewise.cli.tasks import foreign_to
from likewise.data.augmentation import AUGMENTATIONS
from likewise.encoder.encoder import NETWORKS
from likewise.matching import TASKS
from likewise.objective.distances import DISTANCES
from likewise.objective.miners import MINERS
from likewise.objective.objectives import OBJECTIVES
from likewise.training.options import OPTIMIZERS, PRECISIONS, SCHEDULES, FitOptions

Run = Callable[..., object]
WORD = ("--task", "triggerword")


@pytest.mark.parametrize("module", [train, calibrate, evaluate], ids=lambda module: module.__name__)
def test_options_of_one_task_are_parameters_of_the_command(module: ModuleType) -> None:
    command = getattr(module, module.__name__.rsplit(".", 1)[1])
    parameters = set(inspect.signature(command).parameters)
    assert set(module.OPTIONS_OF) == set(TASKS)
    for task, options in module.OPTIONS_OF.items():
        assert parameters >= options
        assert not options & foreign_to(task, module.OPTIONS_OF)


def test_a_name_that_the_command_does_not_have_is_a_fault() -> None:
    app = typer.Typer()

    @app.command()
    def command(context: typer.Context, hits: int = 2) -> None:
        tasks.check_given(context, {"hits", "renamed"}, "embed")

    with pytest.raises(KeyError, match="renamed"):
        app([], standalone_mode=False)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (get_args(train.Miner), MINERS), (get_args(train.Comparison), DISTANCES), (get_args(train.Network), NETWORKS),
        (get_args(train.Optimizer), OPTIMIZERS), (get_args(train.Schedule), SCHEDULES),
        (get_args(train.Precision), PRECISIONS), (get_args(train.Change), AUGMENTATIONS),
        (train.LOSSES.split(", "), OBJECTIVES),
    ],
    ids=["miners", "distances", "backbones", "optimizers", "schedules", "precisions", "augmentations", "losses"],
)  # fmt: skip
def test_names_are_those_of_the_library(here: tuple[str, ...], there: tuple[str, ...]) -> None:
    assert list(here) == list(there)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*WORD, "--hold", -1), "--hold is above 0; got -1. Leave it out for 0.3"),
        ((*WORD, "--hold", "nan"), "--hold is above 0; got nan"),
        ((*WORD, "--positive-weight", 0), "--positive-weight is above 0; got 0. Leave it out for 5"),
        ((*WORD, "--hits", 0), "--hits"),
        ((*WORD, "--refractory", -1), "--refractory is at least 0; got -1"),
        ((*WORD, "--epochs", 0), "--epochs"),
        ((*WORD, "--backbone", "mlp"), "one of conv-gru, conv-lstm, speech-gru"),
        ((*WORD, "--augment", "speech"), "one of none, stream"),
        ((*WORD, "--from", "nowhere"), "A model is a folder"),
        ((*WORD, "--device", "toaster"), "A device is one"),
        ((*WORD, "--loss", "triplet"), "A model for hearing a word has no --loss"),
        (("--hold", 0.2), "A model for encoding items has no --hold"),
        (("--margin", 0), "--margin is above 0; got 0"),
        (("--lr", -1), "--lr is above 0; got -1"),
        (("--weight-decay", -1), "--weight-decay is at least 0"),
        (("--average", 1), "--average is in [0, 1)"),
        (("--batch", "many"), "--batch is PxK"),
        (("--loss", "nosuch"), "A loss is one of"),
        (("--loss", "pml:NoSuch"), "NoSuch"),
        (("--loss", "supcon", "--class-weights"), "--class-weights goes with"),
        (("--backbone", "nosuch"), "--backbone"),
        (("--from", "nowhere"), "A model is a folder"),
        (("--device", "toaster"), "A device is one"),
    ],
    ids=str,
)
def test_before_data_are_looked_for(run: Run, tmp_path: Path, options: tuple[object, ...], said: str) -> None:
    """The data are not there, and that would be told first."""
    found = run("train", tmp_path / "none", "--out", tmp_path / "m", *options)
    line = found.refused(found.status)
    assert found.status in (2, 3)
    assert said in line
    assert "not there" not in line


@pytest.mark.parametrize(
    "options", [("--hold", -1), ("--loss", "nosuch"), ("--epochs", 0), ("--backbone", "nosuch"), ("--lr", 0)], ids=str
)
def test_before_torch_is_loaded(
    run: Run, tmp_path: Path, options: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.cli.train.check_given", None)  # the first line of the command is not come to
    run("train", tmp_path / "none", "--out", tmp_path / "m", *options).refused(2)
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_how_many_epochs_there_are(run: Run) -> None:
    shown = " ".join(run("train", "--help").out.split())
    assert "as many as make 1,000 steps, but 10 to 60" in shown
    usual = FitOptions()
    assert [usual.epochs_for(steps) for steps in (1, 16, 17, 50, 100, 101, 10_000)] == [60, 60, 59, 20, 10, 10, 10]


def test_snapshots_are_of_embeddings_and_answers(
    run: Run, quick: list[object], digit_folder: Path, tmp_path: Path, undrawn: None
) -> None:
    assert "has no --snapshots" in run("train", digit_folder, *WORD, "--snapshots", "--out", tmp_path / "w").refused(2)
    found = run("train", digit_folder, *quick, "--snapshots", "--json")
    assert found.status == 0
    assert {Path(file).name for file in found.json["files"]} >= {"path.webp", "path.html"}
    assert "drawing the path of training: 30 items, 2 times" in found.err


def test_what_was_said_before_training_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    from types import SimpleNamespace

    from likewise.cli.train import _tell
    from likewise.cli.training_bar import TrainingBar

    flattered, later = "Of the test part 2 of 9 items were trained on.", "Not calibrated."
    history = SimpleNamespace(stopped="")
    learned = SimpleNamespace(notes=(flattered, later), as_dict=dict, rows=list, history=history)
    with TrainingBar("items") as watcher:
        watcher.say(flattered)
    _tell(learned, watcher, True)
    assert capsys.readouterr().err.splitlines() == [flattered, later]
