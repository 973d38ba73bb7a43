"""Misses and false alarms of a trigger word, one by one: drawn by hand, and cut out of clips that can be heard."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from drawn_trigger import RATE, drawn_clips

import likewise as lw
from likewise.apps.mistakes import mistakes_heard
from likewise.apps.mistakes.words import Cut
from likewise.apps.triggerword import Heard, LearnedTrigger
from likewise.data import Clips
from likewise.encoder import StepTimes
from likewise.errors import UsageError

TIMES, PER_SECOND = StepTimes(10, 10), 100  # step s is known after (s + 1) / 10 s


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    """Clip 0: ann's word is found, and there is an alarm at 2.5 s. Clip 1: bob's word is missed, one of ann's found
    twice. Every clip sounds as high as its number says.
    """
    words = [(0, 0.5, 1.0, "ann"), (1, 0.5, 1.0, "bob"), (1, 3.0, 3.5, "ann")]
    rows = [np.full(50, 0.1), np.full(50, 0.2)]
    rows[0][[8, 24]] = 0.9, 0.7
    rows[1][[10, 33, 38]] = 0.4, 0.8, 0.95
    for i in range(2):
        tone = 0.3 * np.sin(2 * np.pi * (500 + 500 * i) * np.arange(5 * 8_000) / 8_000)
        soundfile.write(tmp_path / f"{i}.wav", tone, 8_000)
    clip, start, end, voice = zip(*words, strict=True)
    clips = Clips(
        tuple(tmp_path / f"{i}.wav" for i in range(2)), np.array([5.0, 5.0]), np.array(clip), np.array(start),
        np.array(end), np.ones(3, bool), np.array(voice), "drawn",
    )  # fmt: skip
    return Heard(rows, clips, TIMES, PER_SECOND, hits=1, refractory=0.3)


def test_moments_by_hand(heard: Heard) -> None:
    found = heard.moments(0.5)
    assert found.words.tolist() == [0, 1, 2]
    assert found.found.tolist() == [True, False, True]
    assert found.best == pytest.approx([0.9, 0.4, 0.95])
    assert found.clip.tolist() == [0, 1]
    assert found.seconds == pytest.approx([2.5, 3.9])  # what is heard again of a word is an alarm too
    assert found.score == pytest.approx([0.7, 0.95])


@pytest.mark.parametrize("threshold", [0.05, 0.15, 0.3, 0.5, 0.75, 0.85, 0.97])
def test_moments_are_those_that_are_counted(heard: Heard, threshold: float) -> None:
    counted, found = heard.at(threshold), heard.moments(threshold)
    assert counted.misses == (~found.found).sum()
    assert counted.alarms == len(found.clip) == len(found.score)
    assert (found.score >= threshold).all()
    assert (found.best[~found.found] < threshold).all()


def test_each_can_be_listened_to(heard: Heard, trigger: LearnedTrigger, tmp_path: Path) -> None:
    found = mistakes_heard(trigger.model, heard, 0.5, (("bad.wav", "torn"),))
    (miss,) = found.judged.mistakes
    assert "said from 0.50 to 1.00 s of its clip; its score reaches 0.4, not 0.5" in miss.why
    assert [alarm.probability for alarm in found.judged.hardest] == pytest.approx([0.95, 0.7])
    assert found.rate is not None
    assert found.rate.value == pytest.approx(1 / 3)
    bob, ann = found.groups
    assert (bob.name, bob.origin.mistakes, bob.origin.items) == ("bob", 1, 1)
    assert (ann.name, ann.origin.mistakes, ann.origin.items) == ("ann", 0, 2)
    assert any(text.startswith("Group bob: 1 of 1 mistake") for text in found.advice)
    assert any("2 false alarms: collect more sounds like them" in text for text in found.advice)

    files = found.write(tmp_path / "errors")
    assert {file.name for file in files} == {
        "index.html",
        "errors.csv",
        "errors.json",
    }  # there are no labels to correct
    text = files[0].read_text("utf-8")
    assert "1 of 3 words are missed" in text
    assert "2 false alarms in" in text
    assert "Suspected" not in text
    assert "torn" in text
    players = re.findall(r'src="data:audio/wav;base64,([^"]*)"', text)
    assert len(players) == 3
    for player, (seconds, hertz) in zip(players, [(1.5, 1_000), (1.5, 1_000), (1.5, 500)], strict=True):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(player)))
        assert len(samples) / rate == pytest.approx(seconds, abs=0.01)
        assert np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples) == pytest.approx(hertz, abs=5)
    with (tmp_path / "errors" / "errors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["group"]) for row in rows] == [
        ("mistake", "bob"), ("false alarm", "false alarm"), ("false alarm", "false alarm")
    ]  # fmt: skip
    times = [[0.0, 1.5], [2.4, 3.9], [1.0, 2.5]]
    np.testing.assert_allclose([[float(row["start"]), float(row["end"])] for row in rows], times)


def test_a_word_that_an_alarm_has_silenced(heard: Heard, trigger: LearnedTrigger) -> None:
    """It is loud enough, but an event 0.2 s before its window leaves 0.3 s of silence."""
    rows = [np.full(50, 0.1), np.full(50, 0.2)]
    rows[0][[3, 5]] = rows[1][10] = rows[1][33] = 0.9
    deaf = Heard(rows, heard.data, TIMES, PER_SECOND, hits=1, refractory=0.3)
    assert deaf.at(0.5).misses == 1
    (miss,) = mistakes_heard(trigger.model, deaf, 0.5).judged.mistakes
    assert "reaches 0.9, but an alarm had been raised too shortly before, at the threshold 0.5" in miss.why


def test_nobody_known_and_nothing_wrong(heard: Heard, trigger: LearnedTrigger) -> None:
    clips = heard.data
    silent = Clips(
        clips.sources, clips.seconds, clips.clip, clips.start, clips.end, clips.positive, np.full(3, ""), "drawn"
    )
    rows = [np.full(50, 0.1), np.full(50, 0.2)]
    rows[0][8] = rows[1][10] = rows[1][33] = 0.9
    found = mistakes_heard(trigger.model, Heard(rows, silent, TIMES, PER_SECOND, hits=1, refractory=0.3), 0.5)
    assert (found.judged.mistakes, found.judged.hardest, found.groups) == ((), (), ())
    assert found.advice == ("There is no mistake that would say what to collect.",)


def test_a_model_on_clips_of_its_own_and_of_others(trigger: LearnedTrigger, tmp_path: Path) -> None:
    other = drawn_clips(tmp_path / "other", 12, seed=3)
    found = lw.find_mistakes(trigger.model, other)
    assert len(found.judged.wrong) == trigger.model.hear(other)[0].words
    assert found.trained_on == 0
    known = lw.clips(trigger.folder.parent / "clips")
    assert lw.find_mistakes(trigger.model, known).trained_on > 0
    with pytest.raises(UsageError, match="looked for in clips; got Dataset"):
        lw.find_mistakes(trigger.model, lw.arrays(np.zeros((2, 4, 4), np.uint8), [0, 1]))


def test_a_cut_at_the_edges_of_its_clip(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, RATE), RATE)
    samples, rate = soundfile.read(io.BytesIO(Cut(tmp_path / "a.wav", 0.75, 2.0).read()))
    assert len(samples) == rate // 4
    assert samples[0] == pytest.approx(0.25, abs=1e-3)
