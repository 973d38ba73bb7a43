"""The model that hears a word: clips of any length, promises, folders that are read back or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from drawn_trigger import drawn_clips
from scipy.special import expit

import likewise as lw
from likewise.apps.triggerword import LearnedTrigger, TriggerWord, calibrate, evaluate
from likewise.apps.triggerword import model as module
from likewise.data import Clips
from likewise.encoder import PARAMETERS
from likewise.errors import DataError, ModelError, SupportError, UsageError
from likewise.matching import load
from likewise.media.sounds import read_sound


@pytest.fixture(scope="module")
def word(trigger: LearnedTrigger) -> TriggerWord:
    return trigger.model


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Clips that the model was not trained on."""
    return drawn_clips(tmp_path_factory.mktemp("others"), 50, seed=1)


@pytest.fixture
def uncalibrated(trigger: LearnedTrigger) -> TriggerWord:
    """May be changed."""
    return TriggerWord(TriggerWord.load(trigger.folder).encoder)


def test_outputs_are_probabilities_of_the_encoder(word: TriggerWord, others: Clips) -> None:
    sound = read_sound(others.sources[0], rate=word.sounds.rate)
    with torch.inference_mode():
        logits = word.encoder(torch.from_numpy(sound)[None]).numpy()[0, :, 0]
    assert word.probabilities(sound) == pytest.approx(expit(logits.astype(float)), abs=1e-6)


class TestHearing:
    def test_long_clips_are_heard_as_short_ones(
        self, word: TriggerWord, others: Clips, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few = others.subset(range(5))
        told: list[tuple[int, int]] = []
        at_once, skipped = word.hear(few, hits=1, progress=lambda done, total, _: told.append((done, total)))
        assert skipped == ()
        assert told == [(5, 5)]
        monkeypatch.setattr(module, "PIECE", 1.0)
        monkeypatch.setattr(module, "AT_A_TIME", 0.7)
        streamed, _ = word.hear(few, hits=1)
        assert streamed.score == pytest.approx(at_once.score, abs=1e-4)
        assert streamed.hours == at_once.hours
        sound = read_sound(few.sources[0], rate=word.sounds.rate)
        assert word.probabilities(sound) == pytest.approx(at_once.score[: word.times.count(len(sound))], abs=1e-4)

    def test_clips_of_other_rates_and_lengths(self, word: TriggerWord, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for name, rate, seconds in (("a", 16_000, 1.0), ("b", 8_000, 1.0), ("c", 8_000, 0.1), ("d", 44_100, 2.0)):
            soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal(round(seconds * rate)), rate)
        (tmp_path / "manifest.csv").write_text("path,start,end\na.wav,,\nb.wav,,\nc.wav,,\nd.wav,,\n")
        heard, skipped = word.hear(lw.clips(tmp_path))
        steps = 2 * word.times.count(8_000) + word.times.count(16_000)
        assert heard.hours == pytest.approx(steps * word.times.every / 8_000 / 3600)
        assert skipped == ()

    def test_what_cannot_be_read_is_told_and_its_words_with_it_are_left_out(
        self, word: TriggerWord, others: Clips, tmp_path: Path
    ) -> None:
        shutil.copytree(others.sources[0].parent.parent, tmp_path / "clips")
        data = lw.clips(tmp_path / "clips")
        data.sources[3].write_bytes(data.sources[3].read_bytes()[:1000])
        data.sources[7].write_bytes(b"no sound")
        heard, skipped = word.hear(data)
        assert [file for file, _ in skipped] == [data.files[3], data.files[7]]
        whole, _ = word.hear(others)
        lost = int((np.isin(others.clip, (3, 7)) & others.positive).sum())
        assert heard.words + heard.left_out == others.triggers - lost
        assert heard.hours < whole.hours
        only = data.subset([3, 7])
        with pytest.raises(DataError, match="none that can be read"):
            word.hear(only)


class TestPromises:
    def test_a_model_decides_by_its_promise_or_by_a_threshold(self, uncalibrated: TriggerWord, others: Clips) -> None:
        with pytest.raises(ModelError, match="never calibrated"):
            uncalibrated.rule()
        assert repr(uncalibrated) == "TriggerWord(conv-gru at 8,000 Hz, not calibrated)"
        assert uncalibrated.rule(threshold=0.4).threshold == 0.4
        with pytest.raises(UsageError, match="both"):
            uncalibrated.rule(250.0, 0.4)
        assert uncalibrated.event_shape() == (2, 1.0)
        uncalibrated.encoder.trained["options"].update(hits=4, refractory=2.0)
        assert uncalibrated.event_shape() == (4, 2.0)
        assert uncalibrated.rule(threshold=0.4).hits == 4
        first, _ = calibrate(uncalibrated, others, 250.0, hits=3, refractory=0.5)
        assert uncalibrated.calibration is None
        assert first.rule().hits == 3
        assert repr(first) == "TriggerWord(conv-gru at 8,000 Hz, at most 250 false alarms per hour)"
        assert first.rule(threshold=0.4).hits == 3
        assert first.event_shape() == (3, 0.5)
        assert first.event_shape(1, 2.0) == (1, 2.0)
        with pytest.raises(UsageError, match="promises false alarms per hour of 250"):
            first.rule(5.0)

    def test_promises_of_the_same_clips_stay_together(self, uncalibrated: TriggerWord, others: Clips) -> None:
        one, skipped = calibrate(uncalibrated, others, 250.0)
        two, _ = calibrate(one, others, 500.0)
        assert skipped == ()
        assert two.calibration is not None
        assert [line.promised for line in two.calibration.lines] == [500.0, 250.0]
        assert two.rule().threshold == two.rule(500.0).threshold <= two.rule(250.0).threshold
        for other in (calibrate(two, others.subset(range(45)), 400.0), calibrate(two, others, 400.0, hits=1)):
            found = other[0].calibration
            assert found is not None
            assert [line.promised for line in found.lines] == [400.0]

    def test_clips_made_anew_at_the_same_place_are_others(self, uncalibrated: TriggerWord, tmp_path: Path) -> None:
        drawn_clips(tmp_path, 60, seed=3, most_positive=0)
        one, _ = calibrate(uncalibrated, lw.clips(tmp_path / "clips"), 200.0)
        shutil.rmtree(tmp_path / "clips")
        shutil.rmtree(tmp_path / "piles")
        drawn_clips(tmp_path, 60, seed=4, most_positive=0)
        two, _ = calibrate(one, lw.clips(tmp_path / "clips"), 400.0)
        assert one.calibration is not None
        assert two.calibration is not None
        assert (one.calibration.data, one.calibration.hours) == (two.calibration.data, two.calibration.hours)
        assert [line.promised for line in two.calibration.lines] == [400.0]

    def test_what_set_a_threshold_is_remembered(self, uncalibrated: TriggerWord, others: Clips, tmp_path: Path) -> None:
        half, data = others.subset(range(25)), others.subset(range(20, 50))
        uncalibrated.remember(half)
        uncalibrated.save(tmp_path / "m")
        again = TriggerWord.load(tmp_path / "m")
        assert again.calibrated_on(data).tolist() == [True] * 5 + [False] * 25
        assert not again.known(data).any()  # it may set another threshold
        report = evaluate(again, data, threshold=0.5)
        assert report.calibrated_on == 5
        assert ("calibrated on", "5 of these clips: whether a promise holds shows on others only") in report.rows()

    def test_hours_that_are_too_few(self, uncalibrated: TriggerWord, others: Clips) -> None:
        with pytest.raises(SupportError, match="more, or promise"):
            calibrate(uncalibrated, others, 0.5)

    def test_clips_trained_on_set_no_threshold(self, trigger: LearnedTrigger, word: TriggerWord) -> None:
        data = lw.clips(trigger.folder.parent / "clips")
        known = word.known(data)
        assert known.sum() == 54 == 0.9 * len(data)  # to train on, and to choose the epoch by
        found, _ = calibrate(TriggerWord(word.encoder), data, 1000.0)
        assert found.calibration is not None
        assert found.calibration.data == f"{data.origin}, without {known.sum()} clips trained on"
        assert found.calibration.hours < data.hours / 10
        with pytest.raises(DataError, match="not trained on; got 54 that it was"):
            calibrate(word, data.subset(np.flatnonzero(known)), 1000.0)
        assert evaluate(word, data).trained_on == known.sum()

    def test_a_report_is_of_the_promise(self, uncalibrated: TriggerWord, others: Clips, tmp_path: Path) -> None:
        model, _ = calibrate(uncalibrated, others, 250.0)
        report = evaluate(model, others)
        values = json.loads(json.dumps(report.as_dict()))
        assert values["promised_per_hour"] == 250.0
        assert values["trained_on"] == 0
        assert values["words"] + values["left_out"] == others.triggers
        assert values["false_alarms_per_hour"] == values["false_alarms"] / values["hours"]
        assert values["miss_rate"] == values["misses"] / values["words"]
        assert values["voices"] <= 8
        assert [point["threshold"] for point in values["curve"]] == sorted(p["threshold"] for p in values["curve"])
        assert evaluate(model, others, threshold=0.5).promised is None
        assert {file.name for file in report.write(tmp_path)} == {"metrics.json", "alarms.png"}
        assert json.loads((tmp_path / "metrics.json").read_text()) == values


class TestFolder:
    def test_it_is_read_back_as_it_was(self, trigger: LearnedTrigger, word: TriggerWord) -> None:
        again = TriggerWord.load(trigger.folder)
        assert again.fingerprint == word.fingerprint
        assert again.calibration == word.calibration
        assert (again.times, again.sounds) == (word.times, word.sounds)
        sound = 0.1 * np.random.default_rng(0).standard_normal(9_000).astype(np.float32)
        assert again.probabilities(sound) == pytest.approx(word.probabilities(sound), abs=1e-7)
        assert np.bincount(again.encoder.seen.parts).tolist() == [48, 6, 6]  # train, valid, and to set the threshold on
        card = (trigger.folder / "README.md").read_text()
        assert "Hears whether a word has just been said" in card
        assert "at most, per hour" in card

    def test_models_for_other_tasks_are_refused(self, trigger: LearnedTrigger, model_folder: Path) -> None:
        with pytest.raises(ModelError, match=r"takes a model for encoding items; got .*one for hearing a word"):
            load(trigger.folder)
        assert isinstance(lw.load(trigger.folder), TriggerWord)
        with pytest.raises(ModelError, match=r"takes a model for hearing a word; got .*one for encoding items"):
            TriggerWord.load(model_folder)

    def test_an_embedding_that_calls_itself_a_trigger_word(self, model_folder: Path, tmp_path: Path) -> None:
        shutil.copytree(model_folder, tmp_path / "m", ignore=shutil.ignore_patterns("calibration.json"))
        config = json.loads((tmp_path / "m" / "config.json").read_text())
        (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"task": "triggerword"}))
        with pytest.raises(ModelError, match="one output at every step"):
            TriggerWord.load(tmp_path / "m")

    def test_a_calibration_of_another_model_is_refused(
        self, trigger: LearnedTrigger, word: TriggerWord, uncalibrated: TriggerWord, tmp_path: Path
    ) -> None:
        shutil.copytree(trigger.folder, tmp_path / "m")
        file = tmp_path / "m" / "calibration.json"
        values = json.loads(file.read_text())
        file.write_text(json.dumps(values | {"model": "0" * 64}))
        with pytest.raises(ModelError, match="belongs to its model"):
            TriggerWord.load(tmp_path / "m")
        word.save_calibration(tmp_path / "m")
        assert TriggerWord.load(tmp_path / "m").calibration == word.calibration
        with pytest.raises(ModelError, match="never calibrated"):
            uncalibrated.save_calibration(tmp_path / "m")
        file.write_text("{}")
        with pytest.raises(ModelError, match="A calibration is whole"):
            TriggerWord.load(tmp_path / "m")

    def test_a_damaged_network_is_refused(self, trigger: LearnedTrigger, tmp_path: Path) -> None:
        shutil.copytree(trigger.folder, tmp_path / "m")
        file = tmp_path / "m" / PARAMETERS
        content = bytearray(file.read_bytes())
        content[-20_000] ^= 0x55
        file.write_bytes(content)
        with pytest.raises(ModelError):
            TriggerWord.load(tmp_path / "m")
