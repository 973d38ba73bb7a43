"""A trigger word through the commands: keys, statuses, and options of other tasks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_trigger import drawn_clips, piles

from likewise.apps.triggerword import LearnedTrigger, TriggerWord

Run = Callable[..., object]
QUICK = ("--task", "triggerword", "--epochs", 1, "--batch", 8, "--precision", "float32", "--json")


@pytest.fixture(scope="module")
def folder(trigger: LearnedTrigger) -> Path:
    """A model; to be read, not changed."""
    return trigger.folder


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips that it was not trained on."""
    root = tmp_path_factory.mktemp("others")
    drawn_clips(root, 40, seed=1)
    return root / "clips"


def test_from_three_piles_to_a_promise(run: Run, tmp_path: Path) -> None:
    positive, negative, background = piles(tmp_path / "piles")
    made = run(
        "synthesize", "--positive", positive, "--negative", negative, "--background", background,
        "--out", tmp_path / "clips", "--count", 30, "--seconds", 2, "--rate", 8_000, "--most-positive", 1,
        "--most-negative", 1, "--speed", 0.9, 1.1, "--json",
    ).json  # fmt: skip
    assert made["clips"] == 30
    model = tmp_path / "word.model"
    trained = run("train", tmp_path / "clips", "--out", model, *QUICK, "--augment", "stream")
    assert trained.status == 0
    assert {"model", "epochs", "train_seconds", "images_per_second", "loss"} <= set(trained.json)
    assert trained.json["task"] == "triggerword"
    assert "split by clip: 24 train, 3 valid, 3 to set the threshold on" in trained.err

    promise = run("calibrate", model, tmp_path / "clips", "--per-hour", 5000, "--json")
    assert promise.status == 0
    assert promise.json["per_hour"] == 5000
    assert "without 27 clips trained on" in promise.json["data"]


def test_measuring(run: Run, folder: Path, others: Path, tmp_path: Path) -> None:
    values = run("evaluate", folder, others, "--threshold", 0.5, "--out", tmp_path / "report", "--json").json
    assert {"miss_rate", "false_alarms_per_hour", "hours", "latency_s", "curve"} <= set(values)
    assert values["threshold"] == 0.5
    assert values["misses"] <= 2
    assert values["latency_s"] < values["latency_s_p90"] < 0.5
    assert sorted(Path(file).name for file in values["files"]) == ["alarms.png", "metrics.json"]
    kept = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert kept == {name: value for name, value in values.items() if name != "files"}
    text = run("evaluate", folder, others, "--threshold", 0.5).out
    assert "false alarms per hour" in text
    assert "trained on" not in text
    assert "54 of these clips" in run("evaluate", folder, folder.parent / "clips").out


def test_calibrating_a_copy_and_in_place(run: Run, folder: Path, others: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    copy = tmp_path / "copy.model"
    values = run("calibrate", folder, others, "--per-hour", 300, "--hits", 3, "--out", copy, "--json").json
    assert (values["per_hour"], values["model"]) == (300, str(copy))
    assert {"threshold", "false_alarms", "hours", "words", "miss_rate"} <= set(values)
    assert before == {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    assert "| 300 |" in (copy / "README.md").read_text()
    assert (copy / "README.md").read_text().startswith("# copy.model")
    assert run("calibrate", copy, others, "--per-hour", 500, "--json").status == 0
    promised = TriggerWord.load(copy).calibration
    assert promised is not None
    assert ([line.promised for line in promised.lines], promised.hits) == ([500, 300], 3)
    measured = run("evaluate", copy, others, "--per-hour", 300, "--json").json
    assert (measured["promised_per_hour"], measured["calibrated_on"]) == (300, 40)
    assert "false alarms per hour of 500, 300" in run("evaluate", copy, others, "--per-hour", 7).refused(2)


def test_what_a_model_is(run: Run, folder: Path) -> None:
    values = run("models", "info", folder, "--json").json
    assert values["task"] == "triggerword"
    assert values["calibration"]["lines"]
    assert values["parameters"] > 50_000
    text = run("models", "info", folder).out
    assert "streams at 8,000 Hz" in text
    assert "every 40 ms" in text
    listed = run("models", "list", folder.parent, "--json").json["models"]
    assert [(model["task"], model["backbone"]) for model in listed] == [("triggerword", "conv-gru")]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train", ("--loss", "triplet")), ("train", ("--dim", 8)), ("train", ("--split", "item")),
        ("train", ("--select", "eer")), ("train", ("--seconds", 1)), ("train", ("--balanced",)),
        ("evaluate", ("--part", "test")), ("evaluate", ("--ways", 5)), ("evaluate", ("--seed", 1)),
        ("calibrate", ("--fmr", 0.1)), ("calibrate", ("--unit", "item")),
    ],
    ids=str,
)  # fmt: skip
def test_options_of_embeddings_are_refused(
    run: Run, folder: Path, others: Path, tmp_path: Path, command: str, options: tuple[object, ...]
) -> None:
    given = (others, "--out", tmp_path / "m", *QUICK) if command == "train" else (folder, others)
    assert f"has no {options[0]}" in run(command, *given, *options).refused(2)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train", ("--hits", 3)), ("train", ("--labels", "clip")), ("train", ("--tune", "clips")),
        ("evaluate", ("--threshold", 0.5)), ("calibrate", ("--per-hour", 0.5)), ("calibrate", ("--hits", 2)),
    ],
    ids=str,
)  # fmt: skip
def test_options_of_trigger_words_are_refused(
    run: Run, model_folder: Path, digit_folder: Path, tmp_path: Path, command: str, options: tuple[object, ...]
) -> None:
    given = (digit_folder, "--out", tmp_path / "m") if command == "train" else (model_folder, digit_folder)
    assert f"has no {options[0]}" in run(command, *given, *options).refused(2)


def test_what_cannot_be(run: Run, folder: Path, others: Path, tmp_path: Path, model_folder: Path) -> None:
    out = tmp_path / "m"
    assert "one of none, stream; got 'speech'" in run(
        "train", others, "--out", out, *QUICK, "--augment", "speech"
    ).refused(2)
    assert "manifest.csv" in run("train", tmp_path, "--out", out, *QUICK).refused(3)
    assert "keeps its backbone" in run(
        "train", others, "--out", out, *QUICK, "--from", folder, "--backbone", "conv-gru"
    ).refused(2)
    assert "heard by one of conv-gru, conv-lstm, speech-gru" in run(
        "train", others, "--out", out, *QUICK, "--backbone", "mlp"
    ).refused(2)
    assert "hours more" in run("calibrate", folder, others, "--per-hour", 0.5, "--out", out).refused(3)
    assert "between 0 and 1" in run("evaluate", folder, others, "--threshold", 1.5).refused(2)
    assert "one for encoding items" in run("listen", model_folder, others / "sounds" / "00000.wav").refused(3)
    assert "one for hearing a word" in run("encode", folder, others, "-o", tmp_path / "e.npz").refused(3)
    assert not out.exists()


def test_a_bad_clip_among_good_ones_is_told(run: Run, folder: Path, others: Path, tmp_path: Path) -> None:
    shutil.copytree(others, tmp_path / "clips")
    (tmp_path / "clips" / "sounds" / "00003.wav").write_bytes(b"no sound")
    whole = (tmp_path / "clips" / "sounds" / "00005.wav").read_bytes()
    (tmp_path / "clips" / "sounds" / "00005.wav").write_bytes(whole[: len(whole) // 2])
    found = run("evaluate", folder, tmp_path / "clips", "--threshold", 0.5, "--json")
    assert found.status == 0
    assert [Path(one["file"]).name for one in found.json["skipped"]] == ["00003.wav", "00005.wav"]
    assert "38 of " in found.json["data"]
    assert "00003.wav" in found.err


def test_ctrl_c_keeps_what_there_is(run: Run, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from likewise.cli.training_bar import TrainingBar

    real = TrainingBar.step

    def step(self: TrainingBar, step: object) -> None:
        real(self, step)
        if step.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingBar, "step", step)
    quick = (*QUICK[:2], "--epochs", 3, *QUICK[4:])
    stopped = run("train", others, "--out", tmp_path / "m", *quick)
    assert stopped.status == 130
    assert "--resume goes on" in stopped.err
    assert run("models", "info", tmp_path / "m").status == 0
    monkeypatch.setattr(TrainingBar, "step", real)
    assert "resume" in run("train", others, "--out", tmp_path / "m", *quick).refused(2)
    assert run("train", others, "--out", tmp_path / "m", *quick, "--resume").json["epochs"] == 3
