"""What is drawn is what is heard, over the time of the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_trigger import RATE, chirp

from likewise.apps.triggerword import EventRule, LearnedTrigger
from likewise.apps.triggerword.picture import draw_heard
from likewise.errors import DataError, UsageError
from likewise.media.pictures import read_picture

RULE = EventRule(0.5)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    rng = np.random.default_rng(2)
    found = 0.02 * rng.standard_normal(4 * RATE).astype(np.float32)
    word = chirp(True, rng)
    found[2 * RATE :][: len(word)] += word
    return found


def test_outputs_are_expanded_to_samples(trigger: LearnedTrigger, sound: np.ndarray) -> None:
    model = trigger.model
    outputs, expanded = model.probabilities(sound), model.over_time(sound)
    assert expanded.shape == sound.shape
    assert (expanded[: model.times.first - 1] == 0).all()
    for step, output in enumerate(outputs):
        known = model.times.heard(step)  # samples that have come in
        until = min(len(sound) + 1, model.times.heard(step + 1))
        assert (expanded[known - 1 : until - 1] == output).all()
    assert model.over_time(sound[:10]).tolist() == [0.0] * 10
    assert 2.0 < expanded.argmax() / RATE < 3.0


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf"])
def test_it_is_written(trigger: LearnedTrigger, sound: np.ndarray, tmp_path: Path, name: str) -> None:
    assert draw_heard(trigger.model, sound, RULE, tmp_path / name) == tmp_path / name
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_an_event_is_a_red_line_where_it_is(trigger: LearnedTrigger, sound: np.ndarray, tmp_path: Path) -> None:
    def red(rule: EventRule) -> int:
        picture = read_picture(draw_heard(trigger.model, sound, rule, tmp_path / "a.png")).astype(int)
        lower = picture[len(picture) // 2 :]
        return int(((lower[..., 0] > 180) & (lower[..., 1] < 80) & (lower[..., 2] < 80)).sum())

    assert red(RULE) > 100
    assert red(EventRule(0.999999)) == 0


def test_what_cannot_be_drawn(trigger: LearnedTrigger, sound: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"s of sound; got 0\.00125 s"):
        draw_heard(trigger.model, sound[:10], RULE, tmp_path / "a.png")
    with pytest.raises(DataError, match="to 120 s of sound; got 124 s"):
        draw_heard(trigger.model, np.tile(sound, 31), RULE, tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"ends in \.png, \.svg, \.pdf; got 'a\.bmp'"):
        draw_heard(trigger.model, sound, RULE, tmp_path / "a.bmp")
    assert not list(tmp_path.iterdir())
