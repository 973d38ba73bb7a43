"""Learning a drawn word in seconds; a run that is cut off; clips that cannot be learned from."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from drawn_trigger import QUICK, RATE, drawn_clips
from small_runs import Killed

import likewise as lw
from likewise.apps.triggerword import LearnedTrigger, TriggerOptions, TriggerWord, learn
from likewise.data import Clips
from likewise.encoder.speech import speech_encoder
from likewise.errors import DataError, ModelError, UsageError
from likewise.training import Step

needs_speech = pytest.mark.skipif(
    not (find_spec("livekit") and find_spec("onnx")),
    reason="needs livekit-wakeword, onnx: pip install likewise[speech]",
)
SHORT = replace(QUICK, fit=replace(QUICK.fit, epochs=3, batch=8))


class Watcher:
    """Keeps what it is told; `at` (epoch, step) it raises."""

    def __init__(self, at: tuple[int, int] | None = None, error: type[BaseException] = Killed) -> None:
        self.at, self.error = at, error
        self.said: list[str] = []

    def step(self, step: Step) -> None:
        if (step.epoch, step.step) == self.at:
            raise self.error

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def _plain(request: pytest.FixtureRequest, trigger: LearnedTrigger, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `trigger` was made, empty pictures."""
    monkeypatch.setattr("likewise.apps.training.draw_history", lambda _, file: file.touch())
    report = import_module("likewise.apps.triggerword.report")  # which a function of the package hides
    monkeypatch.setattr(report, "draw_curve", lambda _, file: file.touch() or file)


@pytest.fixture(scope="module")
def few(trigger: LearnedTrigger) -> Clips:
    return lw.clips(trigger.folder.parent / "clips").subset(range(24))


def made(data: Clips, out: Path, watcher: Watcher | None = None, **changes: Any) -> LearnedTrigger:
    resume = changes.pop("resume", False)
    tune = changes.pop("tune", None)
    return learn(data, out, replace(SHORT, **changes), tune=tune, resume=resume, watcher=watcher or Watcher())


class TestAWord:
    def test_it_is_learned(self, trigger: LearnedTrigger, tmp_path: Path) -> None:
        heard, _ = trigger.model.hear(drawn_clips(tmp_path, 50, seed=1))
        found = heard.at(0.5)
        assert heard.words > 25
        assert found.misses <= 1
        assert found.alarms <= 1
        assert np.median(found.latency) < 0.2
        assert (np.abs(found.latency) < 0.5).all()

    def test_what_it_leaves(self, trigger: LearnedTrigger) -> None:
        assert trigger.history.select == "loss"
        losses = [epoch.validation for epoch in trigger.history.epochs]
        assert trigger.history.best == 1 + int(np.argmin(losses))
        assert trigger.history.stopped == "finished"
        assert {file.name for file in trigger.files} == {"README.md", "alarms.png", "history.png"}
        assert all(file.exists() for file in trigger.files)
        assert not trigger.folder.with_name("word.model.training").exists()
        assert trigger.report is not None
        assert trigger.report.trained_on == 0
        assert any("share voices" in note for note in trigger.notes)
        values = trigger.as_dict()
        assert {"model", "epochs", "train_seconds", "loss", "task"} <= set(values)
        assert values["task"] == "triggerword"

    def test_voices_of_their_own_set_the_threshold(self, few: Clips, tmp_path: Path) -> None:
        tune = drawn_clips(tmp_path, 10, seed=2)
        watcher = Watcher()
        found = made(few, tmp_path / "m", watcher, tune=tune)
        assert watcher.said[0] == "split by clip: 22 train, 2 valid, 10 to set the threshold on"
        assert found.model.calibration is not None
        assert found.model.calibration.data == tune.origin
        assert not any("share voices" in note for note in found.notes)

    def test_one_label_per_clip(self, few: Clips, tmp_path: Path) -> None:
        found = made(few, tmp_path / "m", labels="clip")
        assert found.model.encoder.trained["objective"]["name"] == "clip-bce"

    def test_the_other_network_and_rate(self, few: Clips, tmp_path: Path) -> None:
        found = made(few, tmp_path / "m", backbone="conv-lstm", rate=4_000)
        again = TriggerWord.load(tmp_path / "m")
        assert (again.encoder.backbone, again.sounds.rate) == ("conv-lstm", 4_000)
        assert again.fingerprint == found.model.fingerprint

    @needs_speech
    def test_the_network_of_speech(self, few: Clips, tmp_path: Path) -> None:
        """Its own rate unless another is asked for, its weights as published, and whose they are on the card."""
        found = made(few, tmp_path / "m", backbone="speech-gru", rate=8_000)
        again = TriggerWord.load(tmp_path / "m")
        assert (again.encoder.backbone, again.sounds.rate) == ("speech-gru", 8_000)
        assert again.fingerprint == found.model.fingerprint
        published = speech_encoder(rate=8_000).state_dict()
        for name, value in again.encoder.state_dict().items():
            if name.startswith(("stages.speech", "front")) and "norm" not in name:
                assert torch.equal(value, published[name])
        assert "Apache-2.0" in (tmp_path / "m" / "README.md").read_text()
        further = made(few, tmp_path / "n", start=str(tmp_path / "m"))
        assert further.model.encoder.backbone == "speech-gru"
        assert "Apache-2.0" in (tmp_path / "n" / "README.md").read_text()
        assert TriggerOptions(backbone="speech-gru").encoder().ready().rate == 16_000

    @needs_speech
    def test_clips_that_are_over_before_it_hears_anything(self, tmp_path: Path) -> None:
        lines = ["path,seconds,start,end,kind"]
        for i in range(12):
            soundfile.write(tmp_path / f"{i}.wav", 0.1 * np.random.default_rng(i).standard_normal(5_600), RATE)
            lines.append(f"{i}.wav,0.7,{'0.1,0.4,positive' if i % 2 else ',,'}")
        (tmp_path / "short.csv").write_text("\n".join(lines))
        short = lw.clips(tmp_path / "short.csv")
        with pytest.raises(DataError, match=r"at least 0\.78 s; got 0\.7 s"):
            made(short, tmp_path / "m", backbone="speech-gru", rate=8_000)


class TestCutOff:
    def test_a_run_that_was_killed_ends_as_if_it_had_not_been(self, few: Clips, tmp_path: Path) -> None:
        whole = made(few, tmp_path / "whole")
        for at in ((1, 2), (3, 1)):
            with pytest.raises(Killed):
                made(few, tmp_path / "cut", Watcher(at))
            assert not (tmp_path / "cut").exists()
            resumed = made(few, tmp_path / "cut", resume=True)
            assert resumed.model.fingerprint == whole.model.fingerprint
            assert resumed.model.calibration == whole.model.calibration
            assert not (tmp_path / "cut.training").exists()
            shutil.rmtree(tmp_path / "cut")

    def test_a_checkpoint_is_not_written_over_unasked(self, few: Clips, tmp_path: Path) -> None:
        with pytest.raises(Killed):
            made(few, tmp_path / "m", Watcher((2, 1)))
        with pytest.raises(UsageError, match="resume"):
            made(few, tmp_path / "m")
        with pytest.raises(UsageError):  # of another objective
            made(few, tmp_path / "m", resume=True, positive_weight=2.0)

    def test_ctrl_c_keeps_the_best_epoch_and_the_checkpoint(self, few: Clips, tmp_path: Path) -> None:
        stopped = made(few, tmp_path / "m", Watcher((3, 2), KeyboardInterrupt))
        assert stopped.history.stopped == "interrupted"
        assert any("stopped in epoch 3; --resume goes on" in note for note in stopped.notes)
        assert TriggerWord.load(tmp_path / "m").fingerprint == stopped.model.fingerprint
        resumed = made(few, tmp_path / "m", resume=True)
        assert len(resumed.history.epochs) == 3
        assert resumed.model.fingerprint == made(few, tmp_path / "whole").model.fingerprint

    def test_ctrl_c_in_the_first_epoch_leaves_nothing(self, few: Clips, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            made(few, tmp_path / "m", Watcher((1, 1), KeyboardInterrupt))
        assert not (tmp_path / "m").exists()


class TestGoingOn:
    def test_it_starts_from_a_model(self, trigger: LearnedTrigger, few: Clips, tmp_path: Path) -> None:
        gentle = replace(SHORT.fit, lr=1e-9, epochs=1)
        found = made(few, tmp_path / "m", start=str(trigger.folder), fit=gentle)
        sound = 0.1 * np.random.default_rng(0).standard_normal(9_000).astype(np.float32)
        assert found.model.probabilities(sound) == pytest.approx(trigger.model.probabilities(sound), abs=0.3)
        assert found.model.encoder.trained["before"] == trigger.model.encoder.trained
        before, after = trigger.model.encoder.seen.items, found.model.encoder.seen.items
        assert np.isin(before, after).all()
        known = found.model.known(few)
        assert known[trigger.model.known(few)].all()
        assert known.sum() >= round(0.9 * len(few))  # to train on, and to choose the epoch by

    def test_what_it_keeps_cannot_be_asked_for(self, trigger: LearnedTrigger, few: Clips, tmp_path: Path) -> None:
        for changes, said in (({"backbone": "conv-lstm"}, "backbone conv-lstm"), ({"rate": 4_000}, "rate 4000")):
            with pytest.raises(UsageError, match=f"keeps its backbone and rate; got {said}"):
                made(few, tmp_path / "m", start=str(trigger.folder), **changes)

    def test_another_task_is_no_start(self, few: Clips, model_folder: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="hearing a word"):
            made(few, tmp_path / "m", start=str(model_folder))


class TestClips:
    @pytest.fixture
    def folder(self, few: Clips, tmp_path: Path) -> Path:
        """12 clips that may be changed."""
        shutil.copytree(few.sources[0].parent.parent, tmp_path / "clips")
        return tmp_path / "clips"

    def change(self, folder: Path, row: Callable[[dict[str, str]], dict[str, str] | None]) -> Clips:
        with (folder / "manifest.csv").open(newline="") as file:
            rows = [changed for given in csv.DictReader(file) if (changed := row(given))]
        with (folder / "manifest.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0])
            table.writeheader()
            table.writerows(rows)
        return lw.clips(folder)

    def test_unreadable_clips_are_told_and_passed_over(self, folder: Path, tmp_path: Path) -> None:
        data = lw.clips(folder).subset(range(24))
        for i in range(0, 24, 4):
            data.sources[i].write_bytes(data.sources[i].read_bytes()[:500] if i else b"")
        watcher = Watcher()
        made(data, tmp_path / "m", watcher)
        skipped = [line for line in watcher.said if line.startswith("skipped ")]
        assert {line.split(": ")[0] for line in skipped} == {f"skipped {data.files[i]}" for i in range(0, 24, 4)}

    def test_nothing_that_can_be_read(self, folder: Path, tmp_path: Path) -> None:
        data = lw.clips(folder).subset(range(8))
        for source in data.sources:
            source.write_bytes(b"no sound")
        with pytest.raises(DataError):
            made(data, tmp_path / "m")
        assert not (tmp_path / "m").exists()

    def test_too_few_clips_make_a_model_without_a_threshold(self, few: Clips, tmp_path: Path) -> None:
        some = [int(i) for i in np.unique(few.clip[few.positive])[:2]]
        found = made(few.subset(some), tmp_path / "m")
        assert found.model.calibration is None
        assert any(note.startswith("Not calibrated") for note in found.notes)
        assert TriggerWord.load(tmp_path / "m").calibration is None
        assert "Nothing yet" in (tmp_path / "m" / "README.md").read_text()

    def test_no_trigger(self, folder: Path, tmp_path: Path) -> None:
        data = self.change(folder, lambda row: row | {"kind": "negative"} if row["kind"] else row)
        with pytest.raises(DataError, match="steps with the trigger, and steps without; got 0 steps"):
            made(data.subset(range(12)), tmp_path / "m")

    def test_a_trigger_in_every_clip_will_do_for_timed_labels_only(self, few: Clips, tmp_path: Path) -> None:
        data = few.subset(np.unique(few.clip[few.positive]))
        with pytest.raises(DataError, match="clips with the trigger, and clips without"):
            made(data, tmp_path / "m", labels="clip")
        made(data, tmp_path / "m")

    def test_clips_that_are_too_long(self, folder: Path, tmp_path: Path) -> None:
        soundfile.write(folder / "long.wav", np.zeros(61 * RATE), RATE)
        with (folder / "manifest.csv").open("a") as file:
            file.write("long.wav,61,,,,,,,,,,,\n")
        with pytest.raises(DataError, match="last up to 60 s; got 61 s"):
            made(lw.clips(folder), tmp_path / "m", fit=replace(SHORT.fit, seed=1))

    def test_a_folder_that_is_no_model_is_not_replaced(self, few: Clips, tmp_path: Path) -> None:
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "letter.txt").write_text("dear")
        with pytest.raises(UsageError):
            made(few, tmp_path / "m")
        assert (tmp_path / "m" / "letter.txt").exists()


@pytest.mark.parametrize("changes", [{"labels": "words"}, {"hits": 0}, {"refractory": -1.0}, {"positive_weight": 0.0}])
def test_options_that_cannot_be(few: Clips, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        made(few, tmp_path / "m", **changes)


def test_options_are_told() -> None:
    values = TriggerOptions().as_dict()
    assert values["labels"] == "steps"
    assert values["fit"]["epochs"] is None
